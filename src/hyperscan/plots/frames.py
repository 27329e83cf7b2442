"""What the plots ask of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hyperscan.errors import InputError, TableError, p_text
from hyperscan.plots.style import DASHED, palette
from hyperscan.schema import MIN_DYADS, other_chance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Axis label of each time axis.
TIME_LABELS: Mapping[str, str] = MappingProxyType(
    {"session": "Session (number)", "weeks": "Time since first session (weeks)"}
)

#: What the level of chance is called.
CHANCE = "chance (mean of pseudo pairs)"


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


def scaled_label(table: pd.DataFrame, text: str) -> str:
    """Return a label with the scale of the table's metric, where it holds one metric."""
    from hyperscan.metrics.table import scaled

    found = set(map(str, table["metric"])) if "metric" in table else set()
    return scaled(text, found.pop()) if len(found) == 1 else text


def dyad_curves(table: pd.DataFrame, columns: list[str], time: str) -> dict[str, pd.DataFrame]:
    """Curves over time, one per dyad: runs and tasks of a session are averaged."""
    require(table, "dyad", *columns)
    frame = pd.DataFrame({"dyad": table["dyad"].astype(str), "time": time_of(table, time)})
    for column in columns:
        frame[column] = pd.to_numeric(table[column], errors="coerce")
    frame = frame.dropna(subset=["time", columns[0]])
    means = frame.groupby(["dyad", "time"], sort=True).mean().reset_index()
    return {str(dyad): part.drop(columns="dyad") for dyad, part in means.groupby("dyad", sort=True)}


def left_out_of(table: pd.DataFrame, value: str) -> np.ndarray:
    """Which rows have an excess over another chance level than the others, so that growth leaves them out, too.

    Shapes: returns (n_rows,).
    """
    return other_chance(table).to_numpy(bool) if value == "excess_z" else np.zeros(len(table), bool)


def draw_course(ax: Axes, curve: pd.DataFrame, column: str, time: str, **style: Any) -> None:
    """Draw a curve over time; where sessions are missing it is dotted."""
    times, values = curve["time"].to_numpy(), curve[column].to_numpy()
    gaps = np.flatnonzero(np.diff(times) > 1.5) if time == "session" else np.zeros(0, int)
    ax.plot(np.insert(times, gaps + 1, np.nan), np.insert(values, gaps + 1, np.nan), **style)
    across = {name: style[name] for name in ("color", "alpha", "lw") if name in style}
    for gap in gaps:
        ax.plot(times[gap : gap + 2], values[gap : gap + 2], **across, ls=(0, (1, 3)), label="_missing")


def draw_chance(ax: Axes, times: np.ndarray, level: np.ndarray, sd: np.ndarray) -> None:
    """Draw what re-paired people reach, plus and minus the standard deviation of a single pair.

    Shapes: ``times, level, sd`` (n,).
    """
    colour = palette().chance
    ax.fill_between(times, level - sd, level + sd, color=colour, alpha=0.35, lw=0, label="chance ± 1 SD")
    ax.plot(times, level, color=colour, lw=1.2, ls=DASHED, label=CHANCE)


def draw_left_out(ax: Axes, curve: pd.DataFrame, column: str, label: str) -> None:
    """Draw points that do not enter growth: hollow, and without a line."""
    colours = palette()
    ax.plot(
        curve["time"], curve[column], ls="", marker="o", ms=4.5, mfc=colours.paper, mec=colours.real, mew=1.1, zorder=3,
        label=label,
    )  # fmt: skip


@dataclass(frozen=True)
class Bend:
    """How far the dyads' courses are from straight lines."""

    #: Mean over dyads of the quadratic term, in units of the value per squared unit of time
    curvature: float
    p: float
    n: int

    def __str__(self) -> str:
        way = "upwards" if self.curvature > 0 else "downwards"
        return f"courses bend {way} ({p_text(self.p)})"


def bend_of(curves: Mapping[str, pd.DataFrame], column: str) -> Bend | None:
    """Test by t whether the dyads' quadratic terms have mean 0; None with too few dyads of four times."""
    from scipy import stats

    long = [curve for curve in curves.values() if curve["time"].nunique() > 3]
    if len(long) < MIN_DYADS:
        return None
    terms = np.array([np.polyfit(curve["time"] - curve["time"].mean(), curve[column], 2)[0] for curve in long])
    return Bend(float(terms.mean()), float(stats.ttest_1samp(terms, 0.0).pvalue), len(long))


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
    from scipy import special

    values = values[np.isfinite(values)]
    if len(values) == 0:
        return np.nan, np.nan
    if len(values) == 1:
        return float(values[0]), np.nan
    half = special.stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def means_over_time(curves: Mapping[str, pd.DataFrame], column: str) -> np.ndarray:
    """Return times, means over the dyads and half-widths of their 95 % intervals, shape (3, n_times).

    A mean needs dyads at the same time: weeks are rounded to whole ones. One dyad has no interval (0).
    """
    points = pd.concat(curves.values())
    rows = [(time, *mean_and_ci(part[column].to_numpy())) for time, part in points.groupby(points["time"].round())]
    times, means, halves = np.array(rows).T
    return np.array([times, means, np.nan_to_num(halves)])
