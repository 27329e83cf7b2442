"""Results in, report.html out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hyperscan.results import RunFolder
from hyperscan.storage import remove, remove_files

if TYPE_CHECKING:
    from hyperscan.growth.multiverse import MultiverseResult
    from hyperscan.report.build import Sharing

__all__ = ["PAGE", "TEXTS", "build_multiverse_page", "build_report", "build_view", "pages_of", "remove_report"]

#: The first page.
PAGE = "report.html"

#: What lies next to it.
TEXTS = ("methods.md", "references.bib")


def build_report(out: str | Path, share: Sharing | None = None) -> Path:
    """Write the report of a run's folder; return its first page."""
    # drawing costs seconds to import, and a run needs it at its end alone
    from hyperscan.report.build import write_report

    return write_report(Path(out), share or (lambda write, dyads: write(dyads)))


def pages_of(out: Path) -> list[Path]:
    """List the pages of dyads that belong to a run's folder."""
    from hyperscan.report.run import ReportedRun
    from hyperscan.report.sections import dyad_links

    return [out / address for address in dyad_links(ReportedRun.of(out)).values()]


def build_view(out: str | Path) -> Path:
    """Write the page to look around in a run's results; return it."""
    from hyperscan.report.view import write_view

    return write_view(Path(out))


def remove_report(out: Path) -> None:
    """Remove the report of a run's folder, whose tables are others now."""
    for name in (PAGE, *TEXTS):
        remove(out / name)
    for dyad in RunFolder(out).dyads:
        remove_files(out / f"dyad-{dyad}", [PAGE], out)


def build_multiverse_page(out: Path, found: MultiverseResult) -> Path:
    """Write the page of a multiverse; return it."""
    from hyperscan.report.build import write_multiverse_page

    return write_multiverse_page(out, found)
