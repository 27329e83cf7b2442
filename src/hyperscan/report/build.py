"""report.html and the pages of the dyads, written from the files of a run's folder alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperscan.report import figures, sections
from hyperscan.report.dyad_figures import dyad_pictures
from hyperscan.report.methods import methods_of
from hyperscan.report.read import RunFolder, read_folder, strings
from hyperscan.report.references import bibtex
from hyperscan.report.tables import label
from hyperscan.words import NO_VERDICT, VERDICTS


def build_report(out: str | Path, info: Mapping[str, Any] | None = None) -> Path:
    """Write ``report.html``, a page per dyad, ``methods.md`` and ``references.bib``.

    The same files give the same bytes: nothing of the machine, the time or the folder's name enters.
    """
    out = Path(out)
    run = read_folder(out, info)
    pages = render_pages(run)
    methods = methods_of(run)
    from hyperscan.storage import write_text

    for name, page in pages.items():
        write_text(out / name, page)
    write_text(out / "methods.md", methods.to_markdown())
    write_text(out / "references.bib", bibtex(methods.references))
    return out / "report.html"


def render_pages(run: RunFolder) -> dict[str, str]:
    """Make the text of every page."""
    links = sections.dyad_links(run)
    pages = {address: _render("dyad.html.j2", dyad_page(run, dyad)) for dyad, address in links.items()}
    return {**pages, "report.html": _render("report.html.j2", study_page(run))}


def study_page(run: RunFolder) -> dict[str, Any]:
    """Everything that the first page shows."""
    return {
        "verdict": VERDICTS.get(str(run.growth.get("verdict", "")), NO_VERDICT),
        "sentence": label(run.growth.get("sentence", ""), longest=4000),
        "facts": sections.key_facts(run),
        "guards": sections.guard_rows(run),
        "slopes": sections.slope_table(run),
        **{name: draw(run) for name, draw in figures.STUDY_PICTURES.items()},
        "trends": sections.trend_table(run),
        "remarks": sections.remarks(run),
        "outcomes": sections.outcome_table(run),
        "links": sections.dyad_links(run),
        "skipped": sections.skipped_table(run),
        "plan": sections.plan_table(run),
        "clocks": sections.clock_table(run),
        "quality": sections.quality_table(run),
        "exploratory": sections.exploratory_table(run),
        "nulls": sections.nulls_table(run),
        "methods": methods_of(run),
        "notes": [label(note) for note in strings(run.plan.get("notes"))],
        "config_text": run.config_text,
        "versions": sections.versions(run),
        "command": sections.command(run),
    }


def dyad_page(run: RunFolder, dyad: str) -> dict[str, Any]:
    """Everything that a dyad's page shows."""
    return {
        "dyad": dyad,
        "people": sections.people(run, dyad),
        "chance_picture": figures.chance_picture(run, dyad),
        "heat_picture": figures.heat_picture(run, dyad),
        **dyad_pictures(run, dyad),
        "sessions": sections.session_table(run, dyad),
        "clocks": sections.clock_table(run, dyad),
        "quality": sections.quality_table(run, dyad),
        "outcomes": sections.all_outcomes_table(run, dyad),
    }


def _render(name: str, context: Mapping[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hyperscan.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(**context)
