"""Results in, report.html out."""

from __future__ import annotations

from pathlib import Path

__all__ = ["build_report", "build_view"]


def build_report(out: str | Path) -> Path:
    """Write the report of a run's folder; return its first page."""
    # drawing costs seconds to import, and a run needs it at its end alone
    from hyperscan.report.build import write_report

    return write_report(Path(out))


def build_view(out: str | Path) -> Path:
    """Write the page to look around in a run's results; return it."""
    from hyperscan.report.view import write_view

    return write_view(Path(out))
