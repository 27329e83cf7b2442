"""Synchrony over lags: whose lead it is, and in which sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperscan.plots.frames import column_in, draw_chance, mean_and_ci, of_sessions, require
from hyperscan.plots.matrices import draw_image, limits_beyond_chance
from hyperscan.plots.style import new_axes, palette, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Said below the axis of lags.
WHO = "Lag (s): client leads ← 0 → therapist leads"


@styled
def lag_chart(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw synchrony over lags beside what re-paired people reach.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Rows of one outcome, as in ``lags.tsv``: ``dyad``, ``session``, ``lag_s``, ``profile_z``, ``profile_pseudo_z``
        and ``profile_pseudo_sd_z``.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The mean over dyads and their 95 % interval, each dyad and each of its sessions counted once; the mean of
        chance, plus and minus the standard deviation of a single pseudo pair.

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": 1, "lag_s": [-1.0, 0, 1], "profile_z": [0.1, 0.3, 0.1]})
    >>> ax = lag_chart(table.assign(profile_pseudo_z=0.1, profile_pseudo_sd_z=0.02))
    >>> len(ax.lines)
    3
    """
    from matplotlib.ticker import MaxNLocator

    columns = ["profile_z", "profile_pseudo_z", "profile_pseudo_sd_z"]
    require(table, "dyad", "session", "lag_s", *columns)
    ax = new_axes(ax, 5.2, 3.7)
    colours = palette()
    dyads = of_sessions(table, columns, "lag_s").groupby(["dyad", "lag_s"])[columns].mean()
    means = dyads.groupby("lag_s").mean()
    lags_s = means.index.to_numpy()
    if means["profile_pseudo_z"].notna().any():
        draw_chance(ax, lags_s, means["profile_pseudo_z"].to_numpy(), means["profile_pseudo_sd_z"].to_numpy())
    real = dyads["profile_z"].unstack("lag_s")
    mean, half = np.array([mean_and_ci(values) for values in real[lags_s].to_numpy().T]).T
    if len(real) > 2:
        ax.fill_between(lags_s, mean - half, mean + half, color=colours.real, alpha=0.2, lw=0, label="95 % interval")
    ax.plot(lags_s, mean, color=colours.real, lw=1.6, label="real pairs, mean")
    ax.axvline(0, color=colours.chance, lw=0.8, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.set_xlabel(WHO)
    ax.set_ylabel(column_in(table, "z").label)
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=2)
    return ax


@styled
def lag_heatmap(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the mean excess over dyads for every lag and session.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Rows of one outcome, as in ``lags.tsv``: ``dyad``, ``session``, ``lag_s`` and ``profile_excess_z``; with
        ``profile_pseudo_sd_z`` the colours reach at least two SD of single pseudo pairs to both sides of 0.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": [1, 1, 2, 2], "lag_s": [0.0, 1, 0, 1], "profile_excess_z": 0.1})
    >>> [label.get_text() for label in lag_heatmap(table).get_yticklabels()]
    ['1', '2']
    """
    from matplotlib.ticker import MaxNLocator

    require(table, "dyad", "session", "lag_s", "profile_excess_z")
    sessions = of_sessions(table, ["profile_excess_z", *({"profile_pseudo_sd_z"} & set(table))], "lag_s")
    means = sessions.pivot_table(index="session", columns="lag_s", values="profile_excess_z", aggfunc="mean")
    ax = new_axes(ax, 8.4, max(2.5, 1.4 + 0.3 * len(means)))
    limits = limits_beyond_chance(means.to_numpy(float), sessions.get("profile_pseudo_sd_z"))
    label = column_in(table, "excess_z").label
    draw_image(ax, means.to_numpy(float), label, "", limits)
    lags_s = means.columns.to_numpy(float)
    marks = MaxNLocator(nbins=min(8, len(lags_s) - 1), steps=[1, 2, 2.5, 5, 10]).tick_values(lags_s[0], lags_s[-1])
    marks = marks[(marks >= lags_s[0] - 1e-9) & (marks <= lags_s[-1] + 1e-9)]
    told = [f"{mark + 0.0:g}".replace("-", "\N{MINUS SIGN}") for mark in marks.round(9)]
    ax.set_xticks(np.interp(marks, lags_s, np.arange(len(lags_s))), told)
    step = max(1, len(means) // 12)
    ax.set_yticks(range(0, len(means), step), [f"{session:g}" for session in means.index[::step]])
    ax.axvline((len(lags_s) - 1) / 2, color=palette().chance, lw=0.8)
    ax.set_xlabel(WHO)
    ax.set_ylabel("Session (number)")
    return ax
