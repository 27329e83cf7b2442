"""Small multiples of one dyad's sessions, on common scales: channels, links, windows, wavelet coherence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperscan.errors import InputError, count
from hyperscan.plots.frames import CHANCE, require
from hyperscan.plots.session import COHERENCE_LABEL, MAP_KEY, MapArrays, draw_map
from hyperscan.plots.style import DASHED, SEQUENTIAL, colour_bar, new_axes, palette, panel_grid, plain, styled, upright
from hyperscan.plots.topographies import PAIR_ROOM, PAIR_SIZE, draw_pair, flat_positions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Height of a channel's name in a matrix, in points: where channels lie closer, every second, third ... is named.
_NAME_PT = 6.5

#: Space between panels and above them, in the units of the panel.
_MATRIX_GAP, _HEAD_GAP = (0.08, 0.34), (0.0, 0.5)

#: Recordings of which each has its name below the axis; of more every second, third ... has (our choice).
MOST_NAMED = 14

#: Share of the figure that the bar of colours takes, and its length in widths.
_SLIM = {"fraction": 0.03, "aspect": 30.0}


@styled
def matrix_panels(matrices: Mapping[str, pd.DataFrame], *, label: str = "Synchrony", columns: int = 4) -> Axes:
    """Draw one therapist x client matrix per session, on one colour scale.

    Parameters
    ----------
    matrices : mapping of str to DataFrame of shape (n_therapist, n_client)
        Title to values, therapist's channels as index and client's as columns. A channel that a session
        lacks stays blank.
    label : str
        What the colour means, with unit.
    columns : int
        Panels in a row.

    Returns
    -------
    matplotlib.axes.Axes
        All panels in one: one image per matrix.

    Raises
    ------
    InputError
        If there is no matrix.

    Examples
    --------
    >>> matrix = pd.DataFrame([[0.1, 0.2]], index=["O1"], columns=["O1", "O2"])
    >>> [text.get_text() for text in matrix_panels({"Session 1": matrix}).texts][:4]
    ['Session 1', 'O1', 'O1', 'O2']
    """
    _check_some(matrices)
    rows, cols = (
        list(dict.fromkeys(str(name) for matrix in matrices.values() for name in matrix.axes[axis])) for axis in (0, 1)
    )
    full = {title: matrix.reindex(index=rows, columns=cols).to_numpy(float) for title, matrix in matrices.items()}
    low, high = _limits(full.values())
    columns = _balanced(len(full), columns)
    places = _places(len(full), columns, (1.0, 1.0), _MATRIX_GAP)
    inches = 7.2 / max(columns, 2) / (1 + _MATRIX_GAP[0])
    # one panel alone would stand at the right of an empty page
    ax = _canvas(places, (1.0, 1.0), inches, below=0.75, width=8.6 if columns > 1 else 4.9)
    for (left, top), (title, values) in zip(places, full.items(), strict=True):
        extent = (left, left + 1, top + 1, top)
        image = ax.imshow(
            values, SEQUENTIAL, aspect="auto", vmin=low, vmax=high, extent=extent, interpolation="nearest"
        )
        ax.text(left, top - 0.04, plain(title), va="bottom", fontsize=9.5, weight="bold", parse_math=False)
    _name_cells(ax, places, rows, cols, inches)
    _whole(ax, places, (1.0, 1.0))
    ax.set_aspect("equal", anchor="W")
    colour_bar(image, [ax], label, **_SLIM)
    _name_sides(ax, rows, cols, inches)
    return ax


@styled
def head_panels(
    matrices: Mapping[str, pd.DataFrame],
    therapist_xyz: pd.DataFrame,
    client_xyz: pd.DataFrame,
    threshold: float,
    *,
    columns: int = 2,
) -> Axes:
    """Draw :func:`two_heads` for every session, with one threshold and one scale of line widths.

    Parameters
    ----------
    matrices : mapping of str to DataFrame of shape (n_therapist, n_client)
        Title to values, therapist's channels as index and client's as columns.
    therapist_xyz, client_xyz : DataFrame of shape (n_channels, 3)
        Channels as index, ``x``, ``y`` and ``z`` in m. A channel without a position is not drawn.
    threshold : float
        Smallest value that is drawn.
    columns : int
        Panels in a row.

    Returns
    -------
    matplotlib.axes.Axes
        All panels in one.

    Raises
    ------
    InputError
        If there is no matrix.

    Examples
    --------
    >>> matrix = pd.DataFrame([[0.1, 0.4]], index=["O1"], columns=["O1", "O2"])
    >>> places = pd.DataFrame([[-0.03, -0.09, 0.0], [0.03, -0.09, 0.0]], index=["O1", "O2"], columns=["x", "y", "z"])
    >>> [text.get_text() for text in head_panels({"Session 1": matrix}, places, places, 0.3).texts][-1]
    'Session 1: 1 of 2 pairs ≥ 0.3'
    """
    _check_some(matrices)
    flat = [
        pd.DataFrame(flat_positions(xyz.to_numpy(float)), index=xyz.index).dropna()
        for xyz in (therapist_xyz, client_xyz)
    ]
    shown = {
        title: matrix.loc[matrix.index.isin(flat[0].index), matrix.columns.isin(flat[1].index)]
        for title, matrix in matrices.items()
    }
    _, high = _limits(matrix.to_numpy(float) for matrix in shown.values())
    columns = _balanced(len(shown), columns)
    places = _places(len(shown), columns, PAIR_SIZE, _HEAD_GAP)
    inches = 8.6 / max(columns, 2) / PAIR_SIZE[0]
    ax = _canvas(places, PAIR_SIZE, inches)
    for (left, top), (title, matrix) in zip(places, shown.items(), strict=True):
        links = matrix.to_numpy(float)
        here, there = flat[0].loc[matrix.index].to_numpy(), flat[1].loc[matrix.columns].to_numpy()
        origin = (left + PAIR_ROOM[0], -top - PAIR_ROOM[1])
        n = draw_pair(
            ax, links, here, there, threshold, (list(matrix.index), list(matrix.columns)),
            strongest=high, size=6, origin=origin, fontsize=8.5, radius_pt=72 * inches,
        )  # fmt: skip
        heading = f"{plain(title)}: {n} of {links.size} pairs ≥ {threshold:.2g}"
        ax.text(left + 0.35, -top, heading, va="bottom", fontsize=9.5, weight="bold", parse_math=False)
    _whole(ax, places, PAIR_SIZE)
    ax.set_ylim(-ax.get_ylim()[0], 0)
    ax.set_aspect("equal")
    return ax


@styled
def course_chart(table: pd.DataFrame, ax: Axes | None = None, *, label: str = "Synchrony (growth scale)") -> Axes:
    """Draw synchrony over the windows of every recording, one after the other, beside its chance level.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        One row per window: ``session``, ``time_s`` (s from the start), ``z`` and ``pseudo_mean_z``, the mean
        of its pseudo pairs, NaN where there are none; ``run`` where a session has several recordings.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    label : str
        What ``z`` is, with unit.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.
    InputError
        If there is no row.

    Examples
    --------
    >>> table = pd.DataFrame({"session": 1, "time_s": [10.0, 30.0], "z": [0.1, 0.2], "pseudo_mean_z": 0.1})
    >>> course_chart(table).get_title(loc="left")
    '1 session, 2 windows'
    """
    require(table, "session", "time_s", "z", "pseudo_mean_z")
    keys = ["session", *(["run"] if "run" in table and table.groupby("session")["run"].nunique().gt(1).any() else [])]
    parts = dict(list(table.sort_values([*keys, "time_s"]).groupby(keys)))
    _check_some(parts)
    what = "recording" if "run" in keys else "session"
    ax = new_axes(ax, 8.6, 3.2)
    colours = palette()
    span = float(table["time_s"].max()) or 1.0
    # a session takes four fifths of its place; the break between two lines is the gap
    times = [slot - 0.4 + 0.8 * part["time_s"].to_numpy() / span for slot, part in enumerate(parts.values())]
    broken = [np.append(points, np.nan) for points in times]
    values = [np.append(part["z"], np.nan) for part in parts.values()]
    left, right = (np.arange(len(parts)) + side for side in (-0.4, 0.4))
    ax.plot(np.concatenate(broken), np.concatenate(values), color=colours.real, marker="o", ms=3, lw=0.8, alpha=0.7,
            mec="none", label="window")  # fmt: skip
    means = [part["z"].mean() for part in parts.values()]
    ax.hlines(means, left, right, color=colours.real, lw=2.4, label=f"mean of the {what}")
    levels = np.array([part["pseudo_mean_z"].mean() for part in parts.values()])
    if np.isfinite(levels).any():
        ax.hlines(levels, left, right, color=colours.chance, lw=1.4, ls=DASHED, label=CHANCE)
    names = ["\nrun ".join([f"{session:g}", *(plain(name, 8) for name in run)]) for session, *run in parts]
    step = -(-len(parts) // (MOST_NAMED if what == "recording" else len(parts)))
    ax.set_xticks(range(0, len(parts), step), names[::step], parse_math=False)
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(f"Session (number); within each {what}, time from 0 to {span:.0f} s")
    ax.set_ylabel(upright(label))
    ax.set_title(f"{count(len(parts), what)}, {count(len(table), 'window')}")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17 if what == "session" else -0.25), ncols=3)
    return ax


@styled
def map_panels(maps: Mapping[str, MapArrays], *, columns: int = 2) -> list[Axes]:
    """Draw :func:`coherence_chart` for every session.

    Parameters
    ----------
    maps : mapping of str to MapArrays
        Title to the arguments of :func:`coherence_chart` by name: ``r2``, ``phase``, ``period``, ``coi``, ``sfreq``
        and, if there is one, ``significant``.
    columns : int
        Panels in a row.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per map.

    Raises
    ------
    InputError
        If there is no map, or the shapes of one do not fit.

    Examples
    --------
    >>> period, coi = np.array([8.0, 16.0, 32.0]), np.full(50, 32.0)
    >>> one = {"r2": np.full((3, 50), 0.4), "phase": np.zeros((3, 50)), "period": period, "coi": coi, "sfreq": 1.0}
    >>> [ax.get_title(loc="left") for ax in map_panels({"Session 1": one})]
    ['Session 1']
    """
    _check_some(maps)
    axes = panel_grid(len(maps), columns=columns, size=(8.6 / min(columns, len(maps)), 2.3), sharex=True, sharey=True)
    for ax, (title, arrays) in zip(axes, maps.items(), strict=True):
        image = draw_map(ax, **arrays, arrows=(7, 18))
        ax.set_title(plain(title), fontsize=9.5, parse_math=False)
    colour_bar(image, axes, COHERENCE_LABEL, **_SLIM)
    figure = axes[0].figure
    figure.supxlabel("Time (s)", fontsize=10)
    figure.supylabel("Period (s)", fontsize=10)
    figure.suptitle(MAP_KEY, fontsize=9.5, x=0.01, ha="left")
    return axes


def _check_some(panels: Sized) -> None:
    """Refuse to draw nothing."""
    if not panels:
        raise InputError("there is nothing to draw: expected at least one session.")


def _limits(arrays: Iterable[np.ndarray]) -> tuple[float, float]:
    """Find the ends of a colour scale for all values.

    Shapes: each of ``arrays`` (n_therapist, n_client).
    """
    finite = np.concatenate([values[np.isfinite(values)] for values in arrays])
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _balanced(n: int, columns: int) -> int:
    """Say how many columns fill their rows: five panels are three and two, not four and one."""
    rows = -(-n // columns)
    return -(-n // rows)


def _places(n: int, columns: int, size: tuple[float, float], gap: tuple[float, float]) -> list[tuple[float, float]]:
    """Left and upper edge of every panel, row by row; y grows downwards."""
    return [(i % columns * (size[0] + gap[0]), i // columns * (size[1] + gap[1]) + gap[1]) for i in range(n)]


def _canvas(
    places: list[tuple[float, float]], size: tuple[float, float], inches: float, below: float = 0.0, width: float = 8.6
) -> Axes:
    """One empty Axes for all panels, with room for words below: an Axes each would take most of the time of a page."""
    height = max(top for _, top in places) + size[1]
    ax = new_axes(None, width, max(inches * height + below, 1.4))
    ax.set_axis_off()
    return ax


def _whole(ax: Axes, places: list[tuple[float, float]], size: tuple[float, float]) -> None:
    """Show all panels."""
    ax.set_xlim(0, max(left for left, _ in places) + size[0])
    ax.set_ylim(max(top for _, top in places) + size[1], 0)


def _name_cells(ax: Axes, places: list[tuple[float, float]], rows: list[str], cols: list[str], inches: float) -> None:
    """Write channel names left of the first panel of each row and below the lowest of each column, as many as fit."""
    lowest = dict(places)
    tops = [top for left, top in places if left == 0]
    write = partial(ax.text, fontsize=_NAME_PT, parse_math=False)
    for i in range(0, len(rows), _every(len(rows), inches)):
        for top in tops:
            write(-0.02, top + (i + 0.5) / len(rows), plain(rows[i], 8), ha="right", va="center")
    for i in range(0, len(cols), _every(len(cols), inches)):
        for left, top in lowest.items():
            x = left + (i + 0.5) / len(cols)
            write(x, top + 1.03, plain(cols[i], 8), ha="center", va="top", rotation=90)


def _name_sides(ax: Axes, rows: list[str], cols: list[str], inches: float) -> None:
    """Write whose channels are in rows and in columns, beyond the longest of their names, and make room for it."""
    longest = [max(len(plain(name, 8)) for name in names) for names in (rows, cols)]
    beside, below = (0.05 + 0.7 * n * _NAME_PT / 72 / inches for n in longest)
    line = 0.22 / inches  # a line of 10 points, and a little
    right, bottom = ax.get_xlim()[1], ax.get_ylim()[0]
    ax.text(-beside, bottom / 2, f"Therapist ({count(len(rows), 'channel')})", rotation=90, ha="right", va="center")
    ax.text(right / 2, bottom + below, f"Client ({count(len(cols), 'channel')})", ha="center", va="top")
    ax.set_xlim(-beside - line, right)
    ax.set_ylim(bottom + below + line, 0)


def _every(n: int, inches: float) -> int:
    """Say which channels are named: every one, every second, ..."""
    return max(1, int(np.ceil(n * _NAME_PT * 1.15 / (72 * inches))))
