"""Means over dyads at each session, with their confidence intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from hyperscan.errors import count
from hyperscan.plots.frames import TIME_LABELS, dyad_curves, left_out_of, means_over_time, require, scaled_label
from hyperscan.plots.style import DASHED, looks_of, new_axes, palette, plain, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@styled
def session_means(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    value: str = "excess_z",
    time: str = "session",
    by: str | None = None,
) -> Axes:
    """Draw the mean over dyads at every session with its 95 % confidence interval, one curve per group or task.

    Each interval is Student's t over the dyads that have the session, by itself: whether curves differ is not told by
    overlap, and those of few dyads are wide. A single dyad has a point and no interval.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        One row per dyad and session (and task) of one outcome: ``dyad``, ``session`` (or ``days``), ``value``, ``by``.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    value : str
        Column on the y axis; only the excess has chance at 0.
    time : {'session', 'weeks'}
        Column on the x axis; weeks are rounded to whole ones.
    by : str or None
        One curve per value of this column (``arm``, ``task``), in order of name; None = all dyads together.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": ["A", "B"] * 2, "session": [1, 1, 2, 2], "excess_z": [0.0, 0.1, 0.1, 0.3]})
    >>> session_means(table).get_legend_handles_labels()[1]
    ['chance (excess 0)', 'mean of 2 dyads, 95 % CI']
    """
    from matplotlib.ticker import MaxNLocator

    require(table, "dyad", value, *([by] if by else []))
    table = table[~left_out_of(table, value)]
    ax = new_axes(ax, 6.4, 3.6)
    colours = palette()
    if value == "excess_z":
        ax.axhline(0, color=colours.chance, lw=1.2, ls=DASHED, label="chance (excess 0)", zorder=1)
    parts = table.groupby(by, sort=True, observed=True) if by else [("mean", table)]
    groups = [(plain(name), part) for name, part in parts]
    for i, ((name, part), look) in enumerate(zip(groups, looks_of(len(groups)), strict=True)):
        curves = dyad_curves(part, [value], time)
        if not curves:
            continue
        times, means, halves = means_over_time(curves, value)
        colour, marker, dashes = look
        dyads, many = count(len(curves), "dyad"), len(curves) > 1
        named = f"{name} ({dyads})" if by else f"mean of {dyads}" if many else dyads
        ax.errorbar(
            times + 0.07 * (i - (len(groups) - 1) / 2),  # side by side, so that intervals do not hide each other
            means, yerr=halves, color=colour, marker=marker, ls=dashes, ms=5.5, lw=1.8, elinewidth=1.2,
            mec="none", label=named + ", 95 % CI" * many,
        )  # fmt: skip
    if time == "session":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    ax.set_xlabel(TIME_LABELS.get(time, time))
    told = {"excess_z": "Excess over chance (Fisher z)", "z": "Synchrony (Fisher z)"}
    ax.set_ylabel(scaled_label(table, told[value]) if value in told else value)
    # names of groups are long: side by side they leave panels that stand side by side
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=1 if by else 2, handlelength=2.8)
    return ax
