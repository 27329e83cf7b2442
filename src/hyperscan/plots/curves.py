"""Synchrony over the sessions of a therapy: every dyad, the group, and chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hyperscan.errors import InputError, count, name_some
from hyperscan.plots.frames import (
    TIME_LABELS,
    at_whole_times,
    bend_of,
    column_in,
    draw_chance,
    draw_course,
    draw_left_out,
    dyad_curves,
    left_out_of,
    means_over_time,
    require,
    time_of,
    wide_enough,
    widen,
)
from hyperscan.plots.style import DASHED, legend_above, looks_of, new_axes, palette, panel_grid, plain, spread, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: A bend with a smaller p is told beside the straight line (our choice).
BENT = 0.05

#: Up to so many dyads each line carries its name at the end (our choice: beyond that the names collide).
NAMED_DYADS = 12

#: Width in inches up to which titles and legends go below each other.
_NARROW = 6.0


@styled
def growth_curves(
    table: pd.DataFrame,
    fit: Mapping[str, float | None] | None = None,
    ax: Axes | None = None,
    *,
    value: str = "excess_z",
    time: str = "session",
    by: str | None = None,
) -> Axes:
    """Draw every dyad's excess synchrony over time, with the group's slope and its confidence band.

    Diamonds are means of the dyads at each session, each with its 95 % confidence interval. Sessions without pseudo
    pairs, where others have some, are hollow: their excess is over another chance level, and growth, the line, the
    diamonds and the counts leave them out.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        One row per dyad and session of one outcome: ``dyad``, ``session`` (or ``days``) and ``value``; with
        ``pseudo_sd_z`` the excess gets a chance band.
    fit : mapping or None
        ``slope`` (growth scale per unit of time), ``ci_low``, ``ci_high``: ``primary`` of ``growth.json``. The
        line passes through the mean of all points; the band shows the interval of the slope alone.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    value : str
        Column on the y axis; only the excess has chance at 0.
    time : {'session', 'weeks'} or str
        The x axis: session number, days / 7, or any other numeric column.
    by : str or None
        Column with the group of each dyad (``arm``): its dyads have one colour and marker. The line and the diamonds
        are of all dyads.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.
    InputError
        If a dyad has several values of ``by``.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": ["A", "A", "B", "B"], "session": [1, 2, 1, 2]})
    >>> table["excess_z"] = [0.0, 0.1, 0.1, 0.3]
    >>> ax = growth_curves(table, {"slope": 0.15, "ci_low": 0.05, "ci_high": 0.25})
    >>> ax.get_ylabel()
    'Excess over chance (Fisher z)'
    """
    require(table, *([by] if by else []))
    ax = new_axes(ax, 8.4, 4.6)
    colours = palette()
    axis = "session" if time in table and time not in TIME_LABELS else time
    table = table.assign(session=table[time]) if axis != time else table
    out = left_out_of(table, value)
    everything, curves, lost = (dyad_curves(rows, [value], axis) for rows in (table, table[~out], table[out]))
    named = len(curves) <= NAMED_DYADS
    groups = _groups_of(table, curves, by)
    looks = dict(zip(groups, looks_of(len(groups)), strict=True))
    for group, dyads in groups.items():
        for dyad in dyads:
            draw_course(
                ax, curves[dyad], value, axis, alpha=0.75 if named else 0.35, label=f"_{dyad}", **_thin(looks[group])
            )
    if lost:
        draw_left_out(ax, pd.concat(lost.values()), value, "left out of growth (another chance level)")
    if value == "excess_z":
        ax.axhline(0, color=colours.chance, lw=1.2, ls=DASHED, label="chance (excess 0)", zorder=1)
        if "pseudo_sd_z" in table:
            _pseudo_band(ax, dyad_curves(table[~out], ["pseudo_sd_z"], axis))
    if fit and curves:
        _slope_band(ax, curves, fit, value, time, colours.ink if len(groups) > 1 else colours.slope)
    n_points = sum(map(len, curves.values()))
    bend = bend_of(curves, value) if fit else None
    told = [f"{count(len(curves), 'dyad')}, {count(n_points, 'dyad-session')}"]
    told += [str(bend)] if bend is not None and bend.p < BENT else []
    # in a narrow figure one thing stands below the other
    ax.set_title(("; " if _is_wide(ax) else "\n").join(told))
    ax.set_xlabel(TIME_LABELS.get(time, time))
    ax.set_ylabel(column_in(table, value).label if value in ("excess_z", "z") else value)
    _whole_sessions(ax, everything, time)
    if named:
        _name_ends(ax, curves, value)
    _tell_growth(ax, groups, looks, by)
    return ax


def _tell_growth(
    ax: Axes, groups: Mapping[str, list[str]], looks: Mapping[str, tuple[str, str, str]], by: str | None
) -> None:
    """Write the legend below: thin lines by group, and what else is drawn."""
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    told = {
        f"{plain(group)} ({count(len(dyads), 'dyad')})" if by else "each dyad" if len(dyads) > 1 else "1 dyad": group
        for group, dyads in groups.items()
    }
    thin = [Line2D([], [], **_thin(looks[group])) for group in told.values()]
    columns = 2 if _is_wide(ax) else 1
    ax.legend([*thin, *handles], [*told, *labels], loc="upper left", bbox_to_anchor=(-0.02, -0.12), ncols=columns)


def _is_wide(ax: Axes) -> bool:
    """Whether a figure has room for one thing beside another."""
    return bool(ax.figure.bbox.width / ax.figure.dpi > _NARROW)


def _groups_of(table: pd.DataFrame, dyads: Iterable[str], by: str | None) -> dict[str, list[str]]:
    """Dyads of every group, in order of name; one group where none is asked for."""
    if by is None:
        return {"": list(dyads)}
    levels = table.assign(dyad=table["dyad"].astype(str)).groupby("dyad")[by]
    mixed = sorted(levels.nunique().loc[lambda n: n > 1].index)
    if mixed:
        raise InputError(
            f"by = {by!r}: {name_some(mixed)} have several values of it. Name a column of dyads, as 'arm'."
        )
    group = levels.first().astype(str)
    found: dict[str, list[str]] = {name: [] for name in sorted(group.unique())}
    for dyad in dyads:
        found[group[dyad]].append(dyad)
    return found


def _thin(look: tuple[str, str, str]) -> dict[str, Any]:
    """Line of one dyad, in the look of its group; dashes are for missing sessions."""
    colour, marker, _ = look
    return {"color": colour, "marker": marker, "lw": 1.1, "ms": 3.5, "mec": "none"}


def _pseudo_band(ax: Axes, curves: Mapping[str, pd.DataFrame]) -> None:
    """Shade what single pseudo pairs scatter around their mean: mean SD over dyads, weeks rounded to whole ones."""
    if not curves:
        return
    sd = at_whole_times(curves, "pseudo_sd_z").groupby("time").mean()
    times, sd = wide_enough(sd.index.to_numpy(float), sd.to_numpy(float))
    ax.fill_between(
        times, -sd, sd, color=palette().chance, alpha=0.3, lw=0, zorder=0, label="chance ± 1 SD of pseudo pairs"
    )


def _slope_band(
    ax: Axes, curves: Mapping[str, pd.DataFrame], fit: Mapping[str, float | None], value: str, time: str, colour: str
) -> None:
    """Draw the group's line through the mean of all points, and the interval of its slope."""
    points = pd.concat(curves.values())
    centre, level = points["time"].mean(), points[value].mean()
    ends = np.linspace(points["time"].min(), points["time"].max(), 50)
    # what is no number in a file from elsewhere is not drawn
    found = [fit.get(key) for key in ("slope", "ci_low", "ci_high")]
    slope, low, high = (x if isinstance(x, int | float) and not isinstance(x, bool) else np.nan for x in found)
    if not np.isfinite(slope):
        return
    colours = palette()
    if np.isfinite([low, high]).all():
        edges = level + np.outer([low, high], ends - centre)
        ax.fill_between(
            ends, edges.min(axis=0), edges.max(axis=0), color=colour, alpha=0.22, lw=0, zorder=2,
            label="95 % CI of the slope",
        )  # fmt: skip
    told = f"{slope:+#.2g}".rstrip(".")  # two digits, as the page beside it has them
    ax.plot(
        ends, level + slope * (ends - centre), color=colour, lw=3, zorder=3,
        label=f"group slope {told} per {time.removesuffix('s')}",
    )  # fmt: skip
    if len(curves) > 1:
        times, means, halves = means_over_time(curves, value)
        ax.errorbar(
            times, means, yerr=halves, ls="", marker="D", ms=6, mfc=colours.paper, mec=colours.ink,
            mew=1.4, ecolor=colours.ink, elinewidth=1.2, zorder=4, label="mean of the dyads, 95 % CI",
        )  # fmt: skip


def _whole_sessions(ax: Axes, curves: Mapping[str, pd.DataFrame], time: str, most: int = 12) -> None:
    """Mark whole sessions, and leave some room beside the first and the last."""
    from matplotlib.ticker import MaxNLocator

    if time == "session":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=most, min_n_ticks=1))
    if curves:
        times = np.concatenate([curve["time"].to_numpy() for curve in curves.values()])
        pad = 0.04 * max(np.ptp(times), 1.0)
        ax.set_xlim(times.min() - pad, times.max() + pad)


def _name_ends(ax: Axes, curves: Mapping[str, pd.DataFrame], value: str) -> None:
    """Write each dyad's name right of its last point, moved apart where they would overlap."""
    if not curves:
        return
    low, high = ax.get_ylim()
    ends = np.array([curve[value].iloc[-1] for curve in curves.values()])
    right = ax.get_xlim()[1]
    for (dyad, curve), end, place in zip(curves.items(), ends, spread(ends, 0.048 * (high - low)), strict=True):
        last = curve["time"].iloc[-1]
        colours = palette()
        ax.annotate(
            plain(dyad), xy=(last, end), xytext=(right, place), color=colours.muted, fontsize=8.5,
            va="center",
            annotation_clip=False, parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colours.grid, "lw": 0.7, "shrinkA": 1, "shrinkB": 2},
        )  # fmt: skip
    ax.set_ylim(low, high)


@styled
def chance_curves(table: pd.DataFrame, ax: Axes | None = None, *, time: str = "session") -> Axes:
    """Draw one dyad's synchrony over time beside what strangers reach by chance.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Rows of one dyad and one outcome: ``dyad``, ``session`` (or ``days``), ``z``, ``pseudo_mean_z`` and
        ``pseudo_sd_z``, all on the growth scale; with ``own_mean_z`` the level of the same two people at other times is
        drawn.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    time : {'session', 'weeks'}
        Column on the x axis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": [1, 2], "z": [0.2, 0.3]})
    >>> table = table.assign(pseudo_mean_z=0.15, pseudo_sd_z=0.02)
    >>> len(chance_curves(table).lines)
    2
    """
    ax = new_axes(ax, 5.2, 3.7)
    curves, hollow = _chance_courses(table, time)
    for dyad, curve in curves.items():
        _chance_band(ax, curve, hollow.get(dyad), time)
    _whole_sessions(ax, curves, time)
    ax.set_xlabel(TIME_LABELS[time])
    ax.set_ylabel(column_in(table, "z").label)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        dict(zip(labels, handles, strict=True)).values(),
        dict.fromkeys(labels),
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.17),
        ncols=2,
        columnspacing=1.0,
        handlelength=1.5,
    )
    return ax


def _chance_columns(table: pd.DataFrame) -> list[str]:
    """List what is drawn of one dyad: the level of its own mismatched times too, where it is there."""
    own = ["own_mean_z"] if "own_mean_z" in table and table["own_mean_z"].notna().any() else []
    return ["z", "pseudo_mean_z", "pseudo_sd_z", *own]


def _chance_courses(table: pd.DataFrame, time: str) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Curves of every dyad, and its recordings without pseudo pairs, in no mean with others that have some."""
    require(table, "dyad", "z", "pseudo_mean_z")
    rows = table.assign(_time=time_of(table, time), _alone=table["pseudo_mean_z"].isna()).dropna(subset="_time")
    with_others = rows["_alone"] & ~rows.groupby(["dyad", "_time"])["_alone"].transform("all")
    curves = dyad_curves(rows[~with_others], _chance_columns(table), time)
    return curves, dyad_curves(rows[rows["_alone"]], ["z"], time)


def _chance_band(ax: Axes, curve: pd.DataFrame, hollow: pd.DataFrame | None, time: str) -> None:
    """Draw a dyad's curve over the level and spread of chance."""
    colours = palette()
    times, mean, sd = wide_enough(*(curve[key].to_numpy() for key in ("time", "pseudo_mean_z", "pseudo_sd_z")))
    if np.isfinite(mean).any():  # a single dyad has no others to be re-paired with
        draw_chance(ax, times, mean, sd)
    if "own_mean_z" in curve:
        ax.plot(
            curve["time"], curve["own_mean_z"], color=colours.chance, lw=1.2, ls=(0, (1, 2)), marker=".", ms=3,
            label="the same two at other times",
        )  # fmt: skip
    look = {"color": colours.real, "marker": "o", "ms": 4, "mec": "none", "lw": 1.6}
    draw_course(ax, curve, "z", time, **look, label="real pair")
    if hollow is not None:
        draw_left_out(ax, hollow, "z", "without pseudo pairs")


@styled
def dyad_panels(
    table: pd.DataFrame, axes: Sequence[Axes] | None = None, *, time: str = "session", columns: int = 4
) -> list[Axes]:
    """Draw :func:`chance_curves` for every dyad, on common axes.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        As for :func:`chance_curves`, with any number of dyads.
    axes : sequence of matplotlib.axes.Axes or None
        Where to draw, one per panel; None = a new figure.
    time : {'session', 'weeks'}
        Column on the x axes.
    columns : int
        Panels in a row.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per dyad, in order of name.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": ["A", "B"], "session": 1, "z": 0.2, "pseudo_mean_z": 0.1, "pseudo_sd_z": 0.02})
    >>> [ax.get_title(loc="left") for ax in dyad_panels(table)]
    ['A', 'B']
    """
    require(table, "dyad")
    curves, hollow = _chance_courses(table, time)
    width = 8.6 / min(columns, max(len(curves), 1))
    axes = panel_grid(len(curves), columns=columns, size=(width, 1.5), axes=axes, sharex=True, sharey=True)
    for ax, (dyad, curve) in zip(axes, curves.items(), strict=True):
        _chance_band(ax, curve, hollow.get(dyad), time)
        _name_panel(ax, dyad, width)
    _finish_panels(axes, curves, time, column_in(table, "z").label)
    return axes


@styled
def roi_panels(
    table: pd.DataFrame, axes: Sequence[Axes] | None = None, *, time: str = "session", columns: int = 4
) -> list[Axes]:
    """Draw every ROI pair's excess over time: all dyads thin, their mean thick.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Rows of one metric, band and signal: ``dyad``, ``session`` (or ``days``), ``roi_therapist``,
        ``roi_client`` and ``excess_z`` (growth scale).
    axes : sequence of matplotlib.axes.Axes or None
        Where to draw, one per panel; None = a new figure.
    time : {'session', 'weeks'}
        Column on the x axes.
    columns : int
        Panels in a row.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per ROI pair, in order of appearance.

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": [1, 1], "excess_z": [0.0, 0.1]})
    >>> table = table.assign(roi_therapist=["frontal", "frontal"], roi_client=["frontal", "parietal"])
    >>> [ax.get_title(loc="left") for ax in roi_panels(table)]
    ['frontal', 'frontal-parietal']
    """
    require(table, "dyad", "roi_therapist", "roi_client", "excess_z")
    table = table[~left_out_of(table, "excess_z")]
    pairs = list(dict.fromkeys(zip(table["roi_therapist"], table["roi_client"], strict=True)))
    axes = panel_grid(len(pairs), columns=columns, size=(2.15, 1.7), axes=axes, sharex=True, sharey=True)
    curves: dict[str, pd.DataFrame] = {}
    colours = palette()
    for ax, (therapist, client) in zip(axes, pairs, strict=True):
        rows = table[(table["roi_therapist"] == therapist) & (table["roi_client"] == client)]
        curves = dyad_curves(rows, ["excess_z"], time)
        for curve in curves.values() if len(curves) > 1 else ():
            draw_course(ax, curve, "excess_z", time, color=colours.real, alpha=0.45, lw=0.8, label="each dyad")
        if curves:
            label = f"mean of {len(curves)}" if len(curves) > 1 else "1 dyad"
            times, means, _ = means_over_time(curves, "excess_z")
            ax.plot(times, means, color=colours.slope, lw=2.2, marker="o", ms=3.5, label=label)
        ax.axhline(0, color=colours.chance, lw=1.0, ls=DASHED, label="chance")
        # one name where both people's ROI is the same keeps titles apart
        _name_panel(ax, therapist if therapist == client else f"{therapist}-{client}", 2.15)
    _finish_panels(axes, curves, time, column_in(table, "excess_z").label)
    return axes


#: Inches that a letter of a panel's title takes, at most, and the fewest letters that tell a name (our choice).
_LETTER, _SHORTEST = 0.115, 5


def _name_panel(ax: Axes, name: str, inches: float) -> None:
    """Write a name above a panel, no longer than the panel is wide."""
    ax.set_title(plain(name, max(int(inches / _LETTER), _SHORTEST)), fontsize=9.5, parse_math=False)


def _finish_panels(axes: list[Axes], curves: Mapping[str, pd.DataFrame], time: str, ylabel: str) -> None:
    """Write what all panels have in common once."""
    if not axes:
        return
    for ax in axes:
        if ax is axes[0] or not axes[0].get_shared_x_axes().joined(axes[0], ax):
            _whole_sessions(ax, curves, time, most=6)
    figure = axes[0].figure
    figure.supxlabel(TIME_LABELS[time], fontsize=10)
    figure.supylabel(ylabel, fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    legend_above(figure, dict(zip(labels, handles, strict=True)))


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
    widen(ax)
    ax.set_xlabel(TIME_LABELS.get(time, time))
    ax.set_ylabel(column_in(table, value).label if value in ("excess_z", "z") else value)
    # names of groups are long: side by side they leave panels that stand side by side
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=1 if by else 2, handlelength=2.8)
    return ax
