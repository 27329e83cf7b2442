"""Small multiples of one dyad's sessions, on common scales: channels, links, windows, wavelet coherence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hyperscan.errors import InputError, count
from hyperscan.plots.frames import require
from hyperscan.plots.heads import flat_positions, two_heads
from hyperscan.plots.style import SEQUENTIAL, palette, panel_grid, plain, styled
from hyperscan.plots.within import COHERENCE_LABEL, MAP_KEY, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Up to so many channels carry their names in a small matrix (our choice: beyond that they collide).
MAX_NAMES = 10


@styled
def matrix_panels(matrices: Mapping[str, pd.DataFrame], *, label: str = "Synchrony", columns: int = 4) -> list[Axes]:
    """Draw one therapist x client matrix per session, on one colour scale.

    Parameters
    ----------
    matrices : mapping of str to DataFrame
        Title to values, therapist's channels as index and client's as columns. A channel that a session
        lacks stays blank.
    label : str
        What the colour means, with unit.
    columns : int
        Panels in a row.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per matrix.

    Raises
    ------
    InputError
        If there is no matrix.

    Examples
    --------
    >>> matrix = pd.DataFrame([[0.1, 0.2]], index=["O1"], columns=["O1", "O2"])
    >>> [ax.get_title(loc="left") for ax in matrix_panels({"Session 1": matrix})]
    ['Session 1']
    """
    _check_some(matrices)
    rows, cols = (_union(matrices, axis) for axis in (0, 1))
    full = {title: matrix.reindex(index=rows, columns=cols).to_numpy(float) for title, matrix in matrices.items()}
    low, high = _limits(full.values())
    width = 8.6 / max(min(columns, len(full)), 3)
    axes = panel_grid(len(full), columns=columns, size=(width, width * 0.9), sharex=True, sharey=True)
    for ax, (title, values) in zip(axes, full.items(), strict=True):
        image = ax.imshow(values, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest", aspect="auto")
        ax.set_title(plain(title), fontsize=9.5, parse_math=False)
        ax.grid(visible=False)
        _name(ax, rows, cols)
    _bar(axes, image, label)
    axes[0].figure.supylabel(f"Therapist ({count(len(rows), 'channel')})", fontsize=10)
    axes[0].figure.supxlabel(f"Client ({count(len(cols), 'channel')})", fontsize=10)
    return axes


@styled
def head_panels(
    matrices: Mapping[str, pd.DataFrame],
    therapist_xyz: pd.DataFrame,
    client_xyz: pd.DataFrame,
    threshold: float,
    *,
    columns: int = 3,
) -> list[Axes]:
    """Draw :func:`two_heads` for every session, with one threshold and one scale of line widths.

    Parameters
    ----------
    matrices : mapping of str to DataFrame
        Title to values, therapist's channels as index and client's as columns.
    therapist_xyz, client_xyz : DataFrame
        Channels as index, ``x``, ``y`` and ``z`` in m. A channel without a position is not drawn.
    threshold : float
        Smallest value that is drawn.
    columns : int
        Panels in a row.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per matrix.

    Raises
    ------
    InputError
        If there is no matrix.
    """
    _check_some(matrices)
    places = [_places(xyz) for xyz in (therapist_xyz, client_xyz)]
    shown = {
        title: matrix.reindex(
            index=[name for name in matrix.index if name in places[0].index],
            columns=[name for name in matrix.columns if name in places[1].index],
        )
        for title, matrix in matrices.items()
    }
    _, high = _limits(matrix.to_numpy(float) for matrix in shown.values())
    axes = panel_grid(len(shown), columns=columns, size=(8.6 / columns, 1.75))
    for ax, (title, matrix) in zip(axes, shown.items(), strict=True):
        links = matrix.to_numpy(float)
        here, there = places[0].loc[matrix.index].to_numpy(), places[1].loc[matrix.columns].to_numpy()
        two_heads(links, here, there, threshold, ax, strongest=high, size=6)
        n = int(np.count_nonzero(np.nan_to_num(links, nan=-np.inf) >= threshold))
        ax.set_title(f"{plain(title)}: {n} of {links.size}", fontsize=9.5, parse_math=False)
    return axes


@styled
def course_panels(table: pd.DataFrame, *, label: str = "Synchrony (Fisher z)", columns: int = 4) -> list[Axes]:
    """Draw synchrony over the windows of every session, beside the session's chance level.

    Parameters
    ----------
    table : DataFrame
        One row per window: ``session``, ``time_s`` (s from the start), ``z`` and ``pseudo_mean_z``, the mean
        of the session's pseudo pairs, NaN where there are none.
    label : str
        What ``z`` is, with unit.
    columns : int
        Panels in a row.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per session.

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"session": 1, "time_s": [10.0, 30.0], "z": [0.1, 0.2], "pseudo_mean_z": 0.1})
    >>> course_panels(table)[0].get_title(loc="left")
    'Session 1: 2 windows'
    """
    require(table, "session", "time_s", "z", "pseudo_mean_z")
    parts = dict(list(table.groupby("session", sort=True)))
    _check_some(parts)
    colours = palette()
    axes = panel_grid(len(parts), columns=columns, size=(8.6 / columns, 1.6), sharex=True, sharey=True)
    for ax, (session, part) in zip(axes, parts.items(), strict=True):
        ax.plot(part["time_s"], part["z"], color=colours.real, marker="o", ms=3.5, lw=1, mec="none", label="window")
        ax.axhline(part["z"].mean(), color=colours.real, lw=1.6, alpha=0.6, label="mean of the session")
        if part["pseudo_mean_z"].notna().any():
            level = part["pseudo_mean_z"].mean()
            ax.axhline(level, color=colours.chance, lw=1.2, ls=(0, (5, 3)), label="chance (mean of pseudo pairs)")
        ax.set_title(f"Session {session}: {count(len(part), 'window')}", fontsize=9.5)
    figure = axes[0].figure
    figure.supxlabel("Time in session (s)", fontsize=10)
    figure.supylabel(label, fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return axes


@styled
def map_panels(maps: Mapping[str, Mapping[str, Any]], *, columns: int = 2) -> list[Axes]:
    """Draw :func:`wtc_map` for every session.

    Parameters
    ----------
    maps : mapping of str to mapping
        Title to the arguments of :func:`wtc_map` by name: ``r2``, ``phase``, ``period``, ``coi``, ``sfreq``
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
    """
    _check_some(maps)
    axes = panel_grid(len(maps), columns=columns, size=(8.6 / min(columns, len(maps)), 2.3), sharex=True, sharey=True)
    for ax, (title, arrays) in zip(axes, maps.items(), strict=True):
        image = draw_map(ax, **arrays, arrows=(7, 18))
        ax.set_title(plain(title), fontsize=9.5, parse_math=False)
    _bar(axes, image, COHERENCE_LABEL)
    figure = axes[0].figure
    figure.supxlabel("Time (s)", fontsize=10)
    figure.supylabel("Period (s)", fontsize=10)
    figure.suptitle(MAP_KEY, fontsize=9.5, x=0.01, ha="left")
    return axes


def _check_some(panels: Mapping[Any, Any]) -> None:
    if not panels:
        raise InputError("there is nothing to draw: expected at least one session.")


def _union(matrices: Mapping[str, pd.DataFrame], axis: int) -> list[str]:
    return list(dict.fromkeys(str(name) for matrix in matrices.values() for name in matrix.axes[axis]))


def _limits(arrays: Any) -> tuple[float, float]:
    finite = np.concatenate([values[np.isfinite(values)] for values in arrays])
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _places(xyz: pd.DataFrame) -> pd.DataFrame:
    flat = pd.DataFrame(flat_positions(xyz.to_numpy(float)), index=xyz.index)
    return flat.dropna()


def _name(ax: Axes, rows: list[str], cols: list[str]) -> None:
    ax.tick_params(length=0, labelsize=7)
    for set_ticks, names in ((ax.set_yticks, rows), (ax.set_xticks, cols)):
        named = names if len(names) <= MAX_NAMES else []
        set_ticks(range(len(named)), [plain(name, 8) for name in named])
    ax.tick_params(axis="x", labelrotation=90)
    for text in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        text.set_parse_math(False)


def _bar(axes: list[Axes], image: Any, label: str) -> None:
    bar = axes[0].figure.colorbar(image, ax=axes, pad=0.02, fraction=0.03, aspect=30)
    bar.set_label(label)
    bar.outline.set_visible(False)
