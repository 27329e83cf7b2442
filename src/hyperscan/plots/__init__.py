"""Arrays or frames and Axes in, Axes out."""

from __future__ import annotations

import importlib
from typing import Any

#: Public name to the module that holds it: matplotlib and pandas are imported only when something is drawn.
_HOMES = {
    "chance_curves": "curves",
    "channel_matrix": "matrices",
    "clock_panel": "panels",
    "coherence_chart": "session",
    "course_chart": "dyad",
    "data_kept_timeline": "session",
    "dyad_panels": "curves",
    "figure_style": "style",
    "flat_positions": "topographies",
    "forest_plot": "estimates",
    "growth_curves": "curves",
    "guards_panel": "panels",
    "head_panels": "dyad",
    "lag_chart": "lags",
    "lag_heatmap": "lags",
    "map_panels": "dyad",
    "matrix_panels": "dyad",
    "missing_session_grid": "matrices",
    "palette": "style",
    "power_curves": "panels",
    "quality_panel": "panels",
    "roi_panels": "curves",
    "save_svg": "style",
    "session_band_heatmap": "matrices",
    "session_means": "curves",
    "specification_curve": "estimates",
    "surrogate_histogram": "session",
    "time_course": "session",
    "two_heads": "topographies",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hyperscan.plots.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
