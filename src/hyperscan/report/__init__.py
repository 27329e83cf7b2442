"""Results in, report.html out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["build_report"]


def build_report(out: str | Path, info: Mapping[str, Any] | None = None) -> Path:
    """Write the report of a run's folder: see :func:`hyperscan.report.build.build_report`."""
    from hyperscan.report.build import build_report as build

    return build(out, info)
