"""report.html and the pages of the dyads, written from the files of a run's folder alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hyperscan.plots.style import detached
from hyperscan.report.figures import STUDY_PICTURES, dyad_pictures
from hyperscan.report.methods import methods_of
from hyperscan.report.references import bibtex
from hyperscan.report.run import ReportedRun
from hyperscan.report.sections import DYAD_SECTIONS, STUDY_SECTIONS, dyad_links

if TYPE_CHECKING:
    import jinja2


#: Shares the pages of dyads out: called with what writes some of them, and all dyads.
Sharing = Callable[[Callable[[Sequence[str]], None], Sequence[str]], object]


def write_report(out: Path, share: Sharing) -> Path:
    """Write ``report.html``, a page per dyad, ``methods.md`` and ``references.bib``.

    The same files give the same bytes: nothing of the machine, the time or the folder's name enters.
    """
    from hyperscan.storage import write_text

    run = ReportedRun.of(out)
    methods = methods_of(run)
    share(functools.partial(write_dyad_pages, out), list(dyad_links(run)))
    write_text(run.path / "report.html", study_page(run))
    write_text(run.path / "methods.md", methods.to_markdown())
    write_text(run.path / "references.bib", bibtex(methods.references))
    return run.path / "report.html"


def write_dyad_pages(out: Path, dyads: Sequence[str]) -> None:
    """Write the pages of some dyads."""
    from hyperscan.storage import write_text

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
