"""Estimates with their intervals, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperscan.plots.frames import require
from hyperscan.plots.style import DASHED, new_axes, palette, plain, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Height of a line, in inches.
_LINE = 0.34


@styled
def forest_plot(table: pd.DataFrame, ax: Axes | None = None, *, label_x: str = "Slope") -> Axes:
    """Draw estimates with their confidence intervals, one under the other, and a line at zero.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        ``label``, ``slope``, ``ci_low``, ``ci_high`` (all in one unit) and, where the rows come in parts, ``part``.
        With ``clear`` (true or false) a row that is clear is filled. What has no number is left out of the drawing
        and keeps its line.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    label_x : str
        What the numbers are, with their unit.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> rows = pd.DataFrame({"label": ["bdi", "wai"], "slope": [-0.3, 0.1], "ci_low": [-0.5, -0.1]})
    >>> ax = forest_plot(rows.assign(ci_high=[-0.1, 0.3]))
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['bdi', 'wai']
    """
    require(table, "label", "slope", "ci_low", "ci_high")
    parts = table["part"].astype(str) if "part" in table else pd.Series("", index=table.index)
    # a part begins after half a line of room
    places = np.arange(len(table)) + 0.5 * (parts != parts.shift()).cumsum().to_numpy()
    ax = new_axes(ax, 7.2, 0.9 + _LINE * (float(places.max(initial=0.0)) + 1))
    colours = palette()
    clear = table["clear"].astype(bool).tolist() if "clear" in table else [True] * len(table)
    numbers = table[["slope", "ci_low", "ci_high"]].to_numpy(float)
    for place, (slope, low, high), filled in zip(places, numbers, clear, strict=True):
        ax.plot([low, high], [place, place], color=colours.real, lw=1.6, solid_capstyle="butt")
        face = colours.real if filled else colours.paper
        ax.plot([slope], [place], marker="o", ms=6, mec=colours.real, mfc=face, ls="none")
    ax.axvline(0, color=colours.chance, lw=1.2, ls=DASHED, zorder=0)
    ax.set_yticks(places, [plain(text) for text in table["label"].astype(str)], parse_math=False)
    ax.set_ylim(float(places.max(initial=1.0)) + 0.7, float(places.min(initial=0.0)) - 0.7)
    ax.set_xlabel(label_x)
    return ax
