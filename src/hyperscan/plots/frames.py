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
from hyperscan.schema import MIN_DYADS, Column, column_of, other_chance

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


def column_in(table: pd.DataFrame, name: str) -> Column:
    """Return what is known of a column of a table, with the scale of the table's metrics."""
    from hyperscan.metrics.table import growth_scale

    return column_of(name, growth_scale(*(map(str, table["metric"].unique()) if "metric" in table else ())))


def dyad_curves(table: pd.DataFrame, columns: list[str], time: str) -> dict[str, pd.DataFrame]:
    """Curves over time, one per dyad: runs and tasks of a session are averaged."""
    require(table, "dyad", *columns)
    frame = pd.DataFrame({"dyad": table["dyad"].astype(str), "time": time_of(table, time)})
    for column in columns:
        frame[column] = pd.to_numeric(table[column], errors="coerce")
    frame = frame.dropna(subset=["time", columns[0]])
    means = frame.groupby(["dyad", "time"], sort=True).mean().reset_index()
    return {str(dyad): part.drop(columns="dyad") for dyad, part in means.groupby("dyad", sort=True)}


def of_sessions(table: pd.DataFrame, columns: list[str], *further: str) -> pd.DataFrame:
    """Mean of each dyad and session (and of what else is told apart): its recordings (runs) count as one session."""
    return table.groupby(["dyad", "session", *further], sort=False)[columns].mean().reset_index()


def beside_chance(rows: pd.DataFrame, pseudo: pd.DataFrame, keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the excess of every dyad-session, and that of every pseudo pair over the mean of its recording's.

    Recordings of a session are averaged, of real and of pseudo pairs alike. ``keys`` tell recordings apart.

    Shapes: returns (n_sessions,) and (n_pairs,).
    """
    levels = rows[[*keys, "pseudo_mean_z"]].drop_duplicates(keys)
    joined = pseudo.merge(levels, on=keys, how="inner")
    around = joined.assign(excess_z=joined["z"] - joined["pseudo_mean_z"]).dropna(subset="excess_z")
    pairs = of_sessions(around, ["excess_z"], "partner_dyad", "which")
    real = of_sessions(rows[~left_out_of(rows, "excess_z")].dropna(subset="excess_z"), ["excess_z"])
    return real["excess_z"].to_numpy(), pairs["excess_z"].to_numpy()


def left_out_of(table: pd.DataFrame, value: str) -> np.ndarray:
    """Which rows have an excess over another chance level than the others, so that growth leaves them out, too.

    Shapes: returns (n_rows,).
    """
    return other_chance(table).to_numpy(bool) if value == "excess_z" else np.zeros(len(table), bool)


def draw_course(ax: Axes, curve: pd.DataFrame, column: str, time: str, **style: Any) -> None:
    """Draw a curve over time; where sessions are missing it is dotted."""
    times, values = curve["time"].to_numpy(), curve[column].to_numpy()
    if len(times) == 1:  # no line is seen of one point
        style = {"marker": ".", **style}
    gaps = np.flatnonzero(np.diff(times) > 1.5) if time == "session" else np.zeros(0, int)
    ax.plot(np.insert(times, gaps + 1, np.nan), np.insert(values, gaps + 1, np.nan), **style)
    across = {name: style[name] for name in ("color", "alpha", "lw") if name in style}
    for gap in gaps:
        ax.plot(times[gap : gap + 2], values[gap : gap + 2], **across, ls=(0, (1, 3)), label="_missing")


def wide_enough(times: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Give a band of one time a width, without which nothing is seen of it.

    Shapes: ``times, values`` (n_times,).
    """
    if len(times) != 1:
        return times, *values
    return times + np.array([-0.3, 0.3]), *(value.repeat(2) for value in values)


def widen(ax: Axes) -> None:
    """Give an axis of one session the width of one, so that what stands side by side is not drawn apart."""
    left, right = ax.get_xlim()
    if right - left < 1:
        ax.set_xlim((left + right) / 2 - 0.5, (left + right) / 2 + 0.5)


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
    labels = {"session": attrs["session"], "run": str(attrs.get("run", ""))}
    return pd.DataFrame({**labels, "time_s": start + attrs["window_s"] / 2, "z": values})


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


def at_whole_times(curves: Mapping[str, pd.DataFrame], column: str) -> pd.Series:
    """Values of every dyad at whole times, by time and dyad, sessions of one week averaged; one dyad has its own."""
    points = pd.concat(curves, names=["dyad"]).reset_index("dyad")
    times = points["time"].round() if len(curves) > 1 else points["time"]
    return points.groupby([times, "dyad"])[column].mean()


def means_over_time(curves: Mapping[str, pd.DataFrame], column: str) -> np.ndarray:
    """Return times, means over the dyads and half-widths of their 95 % intervals, shape (3, n_times).

    A mean needs dyads at the same time: weeks are rounded to whole ones, in which each dyad counts once. One dyad has
    its own times, and no interval (0).
    """
    rows = [(time, *mean_and_ci(part.to_numpy())) for time, part in at_whole_times(curves, column).groupby("time")]
    times, means, halves = np.array(rows).T
    return np.array([times, means, np.nan_to_num(halves)])
