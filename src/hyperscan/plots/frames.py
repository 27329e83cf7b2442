"""What the plots ask of a table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from hyperscan.errors import InputError, TableError

#: Axis label of each time axis.
TIME_LABELS: Mapping[str, str] = MappingProxyType(
    {"session": "Session (number)", "weeks": "Time since first session (weeks)"}
)


def require(table: pd.DataFrame, *columns: str) -> None:
    """Refuse a table without the columns a plot needs."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        found = ", ".join(map(str, table.columns[:12])) or "none"
        raise TableError(f"the table lacks the columns {', '.join(missing)}; found: {found}.", missing)


def time_of(table: pd.DataFrame, time: str) -> pd.Series:
    """Time axis of a table: session numbers, or weeks since a dyad's first session."""
    if time not in TIME_LABELS:
        raise InputError(f"time = {time!r}: expected 'session' or 'weeks'.")
    column = "session" if time == "session" else "days"
    require(table, column)
    values = pd.to_numeric(table[column], errors="coerce").astype(float)
    return values if time == "session" else values / 7.0


def dyad_curves(table: pd.DataFrame, columns: list[str], time: str) -> dict[str, pd.DataFrame]:
    """Curves over time, one per dyad: runs and tasks of a session are averaged."""
    require(table, "dyad", *columns)
    frame = pd.DataFrame({"dyad": table["dyad"].astype(str), "time": time_of(table, time)})
    for column in columns:
        frame[column] = pd.to_numeric(table[column], errors="coerce")
    frame = frame.dropna(subset=["time", columns[0]])
    means = frame.groupby(["dyad", "time"], sort=True).mean().reset_index()
    return {str(dyad): part.drop(columns="dyad") for dyad, part in means.groupby("dyad", sort=True)}


def window_table(dataset: Any, metric: str, band: str, roi_pair: str, signal: str = "") -> pd.DataFrame:
    """Windows of one session's result as rows."""
    chosen = {
        "metric": metric,
        "band": band,
        "roi_pair": roi_pair,
        "signal": signal or str(dataset["signal"].values[0]),
    }
    start, attrs = dataset["window_start"].to_numpy(), dataset.attrs
    values = dataset["roi_z"].sel(chosen).to_numpy()
    return pd.DataFrame({"session": attrs["session"], "time_s": start + attrs["window_s"] / 2, "z": values})


def mean_and_ci(values: np.ndarray) -> tuple[float, float]:
    """Mean and half-width of its 95 % confidence interval by Student's t.

    Shapes: ``values`` (n,).
    """
    from scipy import stats

    values = values[np.isfinite(values)]
    if len(values) == 0:
        return np.nan, np.nan
    if len(values) == 1:
        return float(values[0]), np.nan
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)
