"""Arrays or frames and Axes in, Axes out."""

from __future__ import annotations

import importlib
from typing import Any

#: Public name to the module that holds it: matplotlib and pandas are imported only when something is drawn.
_HOMES = {
    "chance_curves": "curves",
    "channel_matrix": "grids",
    "clock_panel": "panels",
    "course_chart": "sessions",
    "data_kept_timeline": "within",
    "dyad_panels": "curves",
    "figure_style": "style",
    "flat_positions": "heads",
    "growth_curves": "curves",
    "guards_panel": "panels",
    "head_panels": "sessions",
    "map_panels": "sessions",
    "matrix_panels": "sessions",
    "missing_session_grid": "grids",
    "palette": "style",
    "power_curves": "panels",
    "quality_panel": "panels",
    "roi_panels": "curves",
    "save_svg": "svg",
    "session_band_heatmap": "grids",
    "surrogate_histogram": "within",
    "time_course": "within",
    "two_heads": "heads",
    "wtc_map": "within",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hyperscan.plots.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
