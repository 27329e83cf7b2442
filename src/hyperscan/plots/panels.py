"""Small multiples of what surrounds the result: clocks, quality, guards, and power of a study to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperscan.errors import count
from hyperscan.plots.frames import TIME_LABELS, column_in, draw_course, dyad_curves, means_over_time, require, widen
from hyperscan.plots.style import DASHED, legend_above, new_axes, palette, panel_grid, plain, styled
from hyperscan.schema import GROWTH_SCALE, GUARD_COLUMNS, ROLES, column_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What is drawn of the clocks.
_CLOCK = ("clock_ppm", "clock_residual_ms")

#: Panel size in inches.
_SIZE = (2.8, 2.15)

#: What is drawn of the guards: their columns without weights and the parts of the band.
GUARDS_SHOWN = tuple(name for name in GUARD_COLUMNS if not name.startswith(("w_", "imcoh_")))

#: What is drawn of the quality table where it is there.
QUALITY_SHOWN = (
    "channels_kept",
    "clean_seconds",
    "s2_line",
    "highfreq",
    "motion",
    "short_r2",
    "band_sd",
    "mayer_fraction",
    "motion_overlap",
    "instrument_noise",
    "sci",
)

#: Measures that are shares of a whole; an interval of their mean ends where they do.
_SHARES = ("s2_line", "highfreq", "motion", "short_r2", "mayer_fraction", "motion_overlap", "sci", "snr_")
#: Amounts, which cannot be negative.
_AMOUNTS = ("channels_kept", "clean_seconds", "band_sd", "instrument_noise", "clock_residual_ms")


@styled
def clock_panel(table: pd.DataFrame, axes: Sequence[Axes] | None = None, *, time: str = "session") -> list[Axes]:
    """Draw clock drift and residual of every dyad over the sessions.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        ``dyad``, ``session`` (or ``days``), and any of ``clock_ppm`` and ``clock_residual_ms``.
    axes : sequence of matplotlib.axes.Axes or None
        Where to draw, one per panel; None = a new figure.
    time : {'session', 'weeks'}
        Column on the x axes.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per column that holds values.

    Raises
    ------
    TableError
        If there is no clock in the table.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": [1, 2], "clock_ppm": [12.0, 11.0]})
    >>> [ax.get_ylabel() for ax in clock_panel(table)]
    ['Clock drift removed (ppm)']
    """
    columns = filled(table, _CLOCK)
    if not columns:
        require(table, *_CLOCK)
    axes = panel_grid(len(columns), columns=2, size=(4.2, 2.6), axes=axes, sharex=True)
    colours = palette()
    for ax, column in zip(axes, columns, strict=True):
        curves = dyad_curves(table, [column], time)
        look = {"color": colours.real, "alpha": 0.5, "lw": 1, "marker": "o", "ms": 3, "mec": "none"}
        for curve in curves.values():
            draw_course(ax, curve, column, time, **look, label="each dyad")
        ax.set_ylabel(column_of(column).axis_label)
        shown = any(curve[column].any() for curve in curves.values())
        ax.set_title(f"{count(len(curves), 'dyad')}, {'a line each' if shown else '0 in all sessions'}")
        _frame_panel(ax, time)
        _calm([ax], column)
    return axes


@styled
def quality_panel(
    table: pd.DataFrame,
    columns: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
    *,
    time: str = "session",
) -> list[Axes]:
    """Draw measures of quality over the sessions: mean over dyads with 95 % CI, for each person.

    An interval is cut where the measure ends: shares at 0 and 1, amounts at 0.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        ``dyad``, ``session`` (or ``days``), ``person`` and measures.
    columns : sequence of str or None
        Measures to draw; None = the usual ones that are there, and an in-band signal fraction.
    axes : sequence of matplotlib.axes.Axes or None
        Where to draw, one per panel; None = a new figure.
    time : {'session', 'weeks'}
        Column on the x axes.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per measure.

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": 1, "person": ["therapist", "client"], "clean_seconds": 300.0})
    >>> [ax.get_title(loc="left") for ax in quality_panel(table)]
    ['Clean time (s)']
    """
    from matplotlib.ticker import EngFormatter, MaxNLocator, StrMethodFormatter

    if columns is None:
        ratios = [name for name in ("snr_alpha", *(c for c in table.columns if c.startswith("snr_"))) if name in table]
        columns = filled(table, QUALITY_SHOWN)
        # s2_line is the fraction of the primary band already
        columns += [] if "s2_line" in columns else filled(table, ratios[:1])
    require(table, "dyad", "person", *columns)
    axes = panel_grid(len(columns), columns=3, size=_SIZE, axes=axes, sharex=True)
    colours = palette()
    for ax, column in zip(axes, columns, strict=True):
        people = {person: dyad_curves(table[table["person"] == person], [column], time) for person in ROLES}
        if _alike(people["therapist"], people["client"], column):  # a fact of both, or equal in both
            _mean_curve(ax, people["therapist"], column, colours.ink, "D", "both alike", 0.0, _bounds(column))
        else:
            looks = zip(ROLES, (colours.therapist, colours.client), "os", (-0.06, 0.06), strict=True)
            for person, colour, marker, shift in looks:
                # side by side, so that close values do not hide each other
                _mean_curve(ax, people[person], column, colour, marker, person, shift, _bounds(column))
        ax.set_title(column_of(column).axis_label, fontsize=9)
        _frame_panel(ax, time)
        _calm([ax], column)
        if column == "channels_kept":
            ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))
        if column == "band_sd":
            ax.yaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}", unit="M"))
            ax.set_title(column_of(column).head, fontsize=9)  # the ticks have the unit
        if column == "instrument_noise":  # far below 1
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.2g}"))
        widen(ax)
    _share_legend(axes)
    return axes


@styled
def guards_panel(
    table: pd.DataFrame,
    columns: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
    *,
    time: str = "session",
    unit: str = "",
) -> list[Axes]:
    """Draw what the guards look at over the sessions: every dyad thin, mean over dyads with 95 % CI thick.

    Measures of one unit share one scale. One dyad alone is drawn once.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        ``dyad``, ``session`` (or ``days``) and measures: ``guards.tsv``.
    columns : sequence of str or None
        Measures to draw; None = the usual ones that are there.
    axes : sequence of matplotlib.axes.Axes or None
        Where to draw, one per panel; None = a new figure.
    time : {'session', 'weeks'}
        Column on the x axes.
    unit : str
        Unit of ``client_value``, ``therapist_value`` and ``difference_value``, which have that of their index.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per measure.

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": [1, 2], "g1_line": [0.1, 0.2], "control_excess_z": 0.0})
    >>> len(guards_panel(table))
    2
    """
    columns = list(columns) if columns is not None else filled(table, GUARDS_SHOWN)
    require(table, "dyad", *columns)
    axes = panel_grid(len(columns), columns=3, size=_SIZE, axes=axes, sharex=True)
    colours = palette()
    for ax, column in zip(axes, columns, strict=True):
        curves = dyad_curves(table, [column], time)
        for curve in curves.values() if len(curves) > 1 else ():
            draw_course(ax, curve, column, time, color=colours.real, alpha=0.4, lw=0.8, label="each dyad")
        mean = f"mean of {len(curves)} dyads, 95 % CI" if len(curves) > 1 else count(len(curves), "dyad")
        _mean_curve(ax, curves, column, colours.slope, "o", mean)
        if column.endswith("_z"):
            ax.axhline(0, color=colours.chance, lw=1, ls=DASHED)
        known = "" if column.endswith("_value") else column
        told = column_in(table, column)
        ax.set_title(told.axis_label if known else f"{told.head} ({unit or '1'})", fontsize=9)
        _frame_panel(ax, time)
    _calm_alike(axes, columns, unit)
    _share_legend(axes)
    return axes


def _calm_alike(axes: Sequence[Axes], columns: Sequence[str], unit: str) -> None:
    """Draw what has one unit on one scale: noise beside a change looks like noise; a difference has its height."""
    placed = dict(zip(columns, axes, strict=True))
    shared: set[str] = set()
    for kind in ("_z", "g1_", "_value"):
        alike = [name for name in columns if name.endswith(kind) or name.startswith(kind)]
        level = [name for name in alike if name != "difference_value"] or alike
        _calm([placed[name] for name in level], level[0] if level else "", _LEAST_SPAN.get(unit, 0.0))
        shared.update(alike)
    for name in (name for name in columns if name not in shared):
        _calm([placed[name]], name)
    if "difference_value" in placed and len(placed) > 1:
        ax, heights = placed["difference_value"], [np.ptp(placed[name].get_ylim()) for name in columns]
        ax.set_ylim(np.mean(ax.get_ylim()) + np.array([-0.5, 0.5]) * max(heights))


@styled
def power_curves(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    x: str = "n_dyads",
    by: str | None = None,
    value: str = "power",
    target: float = 0.8,
) -> Axes:
    """Draw the power of a planned study against its size.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        ``x``, ``value`` (0 to 1) and ``by``; ``n_sim``, where there, gives the simulation error.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    x : str
        Column on the x axis.
    by : str or None
        One curve per value of this column.
    value : str
        Column on the y axis.
    target : float
        Power to mark.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"n_dyads": [8, 16, 24], "power": [0.4, 0.7, 0.9]})
    >>> power_curves(table).get_xlabel()
    'Dyads (n)'
    """
    require(table, x, value, *([by] if by else []))
    ax = new_axes(ax, 6.8, 4.0)
    colours = palette()
    groups = list(table.groupby(by, sort=True)) if by else [("", table)]
    looks = zip(
        [colours.real, colours.slope, colours.therapist, colours.client, colours.muted],
        "os^Dv",
        ["-", "--", "-.", ":", "-"],
        strict=True,
    )  # fmt: skip
    cycle = list(looks)
    for i, (name, part) in enumerate(groups):
        colour, marker, dashes = cycle[i % len(cycle)]
        part = part.sort_values(x)
        label = f"{plain(name)} sessions" if by == "sessions" else f"{str(by).replace('_', ' ')} {plain(name)}"
        ax.plot(part[x], part[value], color=colour, marker=marker, ls=dashes, ms=5.5, label=label if by else None)
        if "n_sim" in part:
            error = 1.96 * np.sqrt(part[value] * (1 - part[value]) / part["n_sim"])
            ax.fill_between(part[x], part[value] - error, part[value] + error, color=colour, alpha=0.15, lw=0)
    ax.axhline(target, color=colours.chance, lw=1.2, ls=DASHED)
    # right of the curves, where no point lies
    ax.text(1.01, target, f"{target:.0%}", transform=ax.get_yaxis_transform(), va="center", color=colours.muted)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel({"dyads": "Dyads (n)", "sessions": "Sessions per dyad (n)"}.get(x.removeprefix("n_"), x))
    ax.set_ylabel("Power (share of simulated studies)")
    if by:
        # below the target's label
        ax.legend(loc="lower left", bbox_to_anchor=(1.01, 0.0))
    return ax


def filled(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Those of the columns that the table has and that hold at least one number."""
    return [
        column
        for column in dict.fromkeys(columns)
        if column in table and bool(pd.to_numeric(table[column], errors="coerce").notna().any())
    ]


def _mean_curve(
    ax: Axes,
    curves: dict[str, pd.DataFrame],
    column: str,
    colour: str,
    marker: str,
    label: str,
    shift: float = 0.0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Draw the mean of all dyads at each time, with its interval cut at the bounds."""
    if not curves:
        return
    times, means, halves = means_over_time(curves, column)
    ends = np.clip([means - halves, means + halves], *bounds)
    ax.errorbar(
        times + shift, means, yerr=np.abs(ends - means), color=colour, marker=marker, ms=5, lw=1.8,
        elinewidth=1, ls="--" if marker == "s" else "-", mec="none", label=label,
    )  # fmt: skip


#: Least height of an axis by the unit of its measure: smaller changes are drawn small (our choice).
_LEAST_SPAN = {
    "0-1": 0.25,
    "share": 0.25,
    "log share": 0.4,
    "Fisher z": 0.1,
    GROWTH_SCALE: 0.1,
    "ppm": 10.0,
    "ms": 1.0,
    "dB": 3.0,
}


def _calm(axes: Sequence[Axes], column: str, span: float = 0.0) -> None:
    """Give axes of one measure one scale: not zoomed into noise, and no room where values cannot lie."""
    if not axes:
        return
    least, most = _bounds(column)
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    span = _LEAST_SPAN.get(column_of(column).axis_label.rpartition("(")[2].rstrip(")"), span)
    if column in _AMOUNTS:
        low, high = 0.0, 1.08 * high
    wanting = max(span - (high - low), 0.0)
    low, high = low - wanting / 2, high + wanting / 2
    if least > -np.inf and low < least:
        low, high = least, high + (least - low) * (wanting > 0)
    if high > most:
        low, high = low - (high - most) * (wanting > 0), most
    # a mark at the end of the scale is drawn whole
    room = 0.04 * (high - low)
    for ax in axes:
        ax.set_ylim(max(low, least) - room * (low <= least), min(high, most) + room * (high >= most))


def _alike(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame], column: str) -> bool:
    """Whether both people have one value in every session."""
    return one.keys() == other.keys() and all(
        one[dyad]["time"].equals(other[dyad]["time"]) and np.allclose(one[dyad][column], other[dyad][column])
        for dyad in one
    )


def _bounds(column: str) -> tuple[float, float]:
    """Say in which range a measure can lie."""
    if column.startswith(_SHARES):
        return 0.0, 1.0
    return (0.0, np.inf) if column in _AMOUNTS else (-np.inf, np.inf)


def _frame_panel(ax: Axes, time: str) -> None:
    """Write whole numbers on the time axis, and its label below the lowest panel."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    # with a shared axis only the lowest panel of a column carries the label
    if any(label.get_visible() for label in ax.get_xticklabels()):
        ax.set_xlabel(TIME_LABELS[time])


def _share_legend(axes: list[Axes]) -> None:
    """Put one legend above all panels."""
    if axes:
        found = [ax.get_legend_handles_labels() for ax in axes]
        unique = {label: handle for handles, labels in found for label, handle in zip(labels, handles, strict=True)}
        legend_above(axes[0].figure, unique)
