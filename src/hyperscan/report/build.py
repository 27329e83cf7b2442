"""Pages: a study's report and its dyads', from the files of a run's folder alone, and a multiverse's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hyperscan.growth.multiverse import MultiverseResult
from hyperscan.plots import specification_curve
from hyperscan.plots.style import detached
from hyperscan.report.figures import STUDY_PICTURES, Picture, dyad_pictures, picture
from hyperscan.report.methods import methods_of
from hyperscan.report.references import bibtex
from hyperscan.report.run import ReportedRun
from hyperscan.report.sections import DYAD_SECTIONS, STUDY_SECTIONS, dyad_links
from hyperscan.report.tables import Table, lay_out, rows_of
from hyperscan.results.folder import MULTIVERSE_PAGE
from hyperscan.storage import write_text

if TYPE_CHECKING:
    import jinja2


#: Shares the pages of dyads out: called with what writes some of them, and all dyads.
Sharing = Callable[[Callable[[Sequence[str]], None], Sequence[str]], object]


def write_report(out: Path, share: Sharing) -> Path:
    """Write ``report.html``, a page per dyad, ``methods.md`` and ``references.bib``.

    The same files give the same bytes: nothing of the machine, the time or the folder's name enters.
    """
    run = ReportedRun.of(out)
    methods = methods_of(run)
    share(functools.partial(write_dyad_pages, out), list(dyad_links(run)))
    write_text(run.path / "report.html", study_page(run))
    write_text(run.path / "methods.md", methods.to_markdown())
    write_text(run.path / "references.bib", bibtex(methods.references))
    return run.path / "report.html"


def write_dyad_pages(out: Path, dyads: Sequence[str]) -> None:
    """Write the pages of some dyads."""
    run = ReportedRun.of(out)
    links = dyad_links(run)
    for dyad in dyads:
        write_text(run.path / links[dyad], dyad_page(run, dyad))


@detached()
def study_page(run: ReportedRun) -> str:
    """Make the first page."""
    shown = {name: make(run) for name, make in {**STUDY_SECTIONS, **STUDY_PICTURES}.items()}
    return render("report.html.j2", config_text=run.config_text, **shown)


@detached()
def dyad_page(run: ReportedRun, dyad: str) -> str:
    """Make the page of a dyad."""
    shown = {name: make(run, dyad) for name, make in DYAD_SECTIONS.items()}
    return render("dyad.html.j2", dyad=dyad, **shown, **dyad_pictures(run, dyad))


def render(template: str, **shown: object) -> str:
    """Fill a template; every value is escaped."""
    return _templates().get_template(template).render(**shown)


@functools.cache
def _templates() -> jinja2.Environment:
    """Templates, each compiled once for all pages."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("hyperscan.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


#: Numbers and words of every analysis; its choices come before them.
_SHOWN = {
    "verdict": "Verdict",
    "slope": "Slope",
    "ci_low": "CI low",
    "ci_high": "CI high",
    "p": "p",
    "n": "Dyads",
    "standardised": "Standardised slope",
    "failed": "Guards failed",
    "not_assessable": "Not assessable",
    "reason": "Why there is no result",
}


def write_multiverse_page(out: Path, found: MultiverseResult) -> Path:
    """Write ``multiverse.html``; the same analyses give the same bytes."""
    with detached():
        curve = curve_picture(found)
    page = render(
        "multiverse.html.j2",
        sentence=found.sentence,
        curve=curve,
        universes=universe_table(found),
        influence=influence_table(found),
    )
    return write_text(out / MULTIVERSE_PAGE, page)


def curve_picture(found: MultiverseResult) -> Picture | None:
    """Draw the specification curve."""
    if found.table["standardised"].notna().sum() < 2:
        return None
    slopes = found.table["standardised"].dropna()
    alt = (
        f"Specification curve of {len(slopes)} analyses: standardised slopes from {slopes.min():.2f} to "
        f"{slopes.max():.2f}, {int((slopes > 0).sum())} of them above zero."
    )
    caption = (
        "Each column is one analysis of the same sessions, in the order of its standardised slope (mean slope over the "
        "standard deviation between dyads). Above: colour and shape are the group of its verdict. Below: its level of "
        "every choice; bars: the share of the variance of slopes that goes with a choice taken alone."
    )
    return picture(specification_curve(found.table, {row.choice: row.share for row in found.influence}), alt, caption)


def universe_table(found: MultiverseResult) -> Table:
    """List every analysis with its choices and what it found."""
    choices = list(found.universes[0].settings)
    shown = found.table.assign(universe=found.table["universe"] + found.table["primary"].map({True: " *", False: ""}))
    shown = shown[["universe", *choices, *_SHOWN]]
    heads = {name: _SHOWN.get(name, name) for name in shown}
    return lay_out(rows_of(shown), heads, "Every analysis; * is the primary one")


def influence_table(found: MultiverseResult) -> Table:
    """List the choices by the share of variance that goes with them."""
    heads = {"choice": "Choice", "share": "Share", "n_levels": "Levels"}
    return lay_out(found.influence, heads, "Choices by their share of the variance of standardised slopes")
