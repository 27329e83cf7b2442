"""Values on a grid: sessions by bands, channels by channels, and which sessions there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from hyperscan.errors import InputError, count
from hyperscan.plots.frames import column_in, left_out_of, of_sessions, require
from hyperscan.plots.style import SEQUENTIAL, colour_bar, new_axes, palette, plain, styled, upright

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Up to so many cells the number is printed in each; up to so many names stand on an axis (our choice).
MAX_PRINTED, MAX_NAMES = 120, 36


@styled
def session_band_heatmap(table: pd.DataFrame, ax: Axes | None = None, *, value: str = "excess_z") -> Axes:
    """Draw the mean over dyads for every session and band; runs of a session are averaged first.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Rows of one metric, ROI pair and signal: ``dyad``, ``session``, ``band`` and ``value``; with ``pseudo_sd_z`` the
        colours reach at least two SD of single pseudo pairs to both sides of 0.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    value : str
        Column to average, on the growth scale.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"dyad": "A", "session": [1, 2], "band": "alpha", "excess_z": [0.0, 0.1]})
    >>> [text.get_text() for text in session_band_heatmap(table).texts]
    ['0.00', '0.10']
    """
    require(table, "dyad", "session", "band", value)
    table = table[~left_out_of(table, value)]
    bands = list(dict.fromkeys(table["band"]))
    sessions = of_sessions(table, [value, *({"pseudo_sd_z"} & set(table))], "band")
    means = sessions.pivot_table(index="band", columns="session", values=value, aggfunc="mean").reindex(bands)
    dyads = table.dropna(subset=[value]).groupby("session")["dyad"].nunique().reindex(means.columns).fillna(0)
    ax = new_axes(ax, 8.4, max(3.0, 1.2 + 0.5 * len(bands)))
    shown = means.to_numpy(dtype=float)
    limits = limits_beyond_chance(shown, sessions.get("pseudo_sd_z"))
    draw_image(ax, shown, column_in(table, value).axis_label, "{:.2f}", limits)
    several = table["dyad"].nunique() > 1
    ticks = [_Lines(f"{session:g}" + (f"\nn = {n:g}" if several else "")) for session, n in dyads.items()]
    _name_axis(ax, "x", ticks, MAX_NAMES // 2)
    _name_axis(ax, "y", list(means.index), MAX_NAMES)
    ax.set_xlabel("Session (number; n = dyads)" if several else "Session (number)")
    ax.set_ylabel("Band")
    return ax


@styled
def channel_matrix(
    values: np.ndarray,
    therapist_names: Sequence[str],
    client_names: Sequence[str],
    ax: Axes | None = None,
    *,
    label: str = "Synchrony (metric's own scale)",
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw synchrony between every channel of the therapist and every channel of the client.

    Parameters
    ----------
    values : ndarray, shape (n_therapist, n_client)
        Any scale; NaN is left blank.
    therapist_names, client_names : sequence of str
        Channel or ROI names. On a long axis every second, third ... is written.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    label : str
        What the colour means, with unit.
    limits : tuple of float or None
        Ends of the colour scale; None = those of the values.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the names do not fit the matrix.

    Examples
    --------
    >>> ax = channel_matrix(np.eye(2), ["O1", "O2"], ["O1", "O2"])
    >>> ax.get_ylabel()
    'Therapist (2 channels)'
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (len(therapist_names), len(client_names)):
        raise InputError(
            f"values has shape {values.shape}, but there are {len(therapist_names)} therapist and"
            f" {len(client_names)} client names: expected ({len(therapist_names)}, {len(client_names)})."
        )
    ax = new_axes(ax, 6.4, 5.4)
    draw_image(ax, values, label, "{:.2f}", limits, square=True)
    _name_axis(ax, "y", therapist_names, MAX_NAMES)
    _name_axis(ax, "x", client_names, MAX_NAMES)
    ax.tick_params(axis="x", labelrotation=90 if len(client_names) > 8 else 0)
    ax.set_ylabel(f"Therapist ({count(len(therapist_names), 'channel')})")
    ax.set_xlabel(f"Client ({count(len(client_names), 'channel')})")
    return ax


@styled
def missing_session_grid(states: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw which sessions of which dyads were used, left out, or never there.

    Parameters
    ----------
    states : DataFrame of shape (n_rows, n_columns)
        ``dyad``, ``session`` and ``state`` (``used``, ``left out of growth`` or ``skipped``); a dyad-session without a
        row is blank.
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
    >>> states = pd.DataFrame({"dyad": ["A", "A"], "session": [1, 2], "state": ["used", "skipped"]})
    >>> missing_session_grid(states).get_title(loc="left")
    '1 of 2 dyad-sessions used'
    """
    require(states, "dyad", "session", "state")
    dyads = sorted(states["dyad"].astype(str).unique())
    ax = new_axes(ax, 8.4, 1.1 + (0.24 if len(dyads) <= 20 else 0.17) * len(dyads))
    colours = palette()
    rows = states["dyad"].astype(str).map({dyad: i for i, dyad in enumerate(dyads)})
    looks = {"used": ("o", colours.real, colours.real), "left out of growth": ("o", colours.real, colours.paper)}
    for state, (marker, colour, inside) in {**looks, "skipped": ("x", colours.warn, colours.warn)}.items():
        chosen = states["state"] == state
        if state != "used" and not chosen.any():
            continue
        ax.plot(
            states.loc[chosen, "session"], rows[chosen], marker=marker, ls="", color=colour, mfc=inside, ms=6, mew=2,
            label=f"{state} ({int(chosen.sum())})",
        )  # fmt: skip
    ax.set_title(f"{int((states['state'] == 'used').sum())} of {len(states)} dyad-sessions used")
    _name_axis(ax, "y", dyads, 60)
    ax.set_ylim(len(dyads) - 0.5, -0.5)
    sessions = pd.to_numeric(states["session"])
    ax.set_xticks(np.arange(sessions.min(), sessions.max() + 1))
    ax.set_xlabel("Session (number)")
    ax.set_ylabel("Dyad")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return ax


def limits_beyond_chance(values: np.ndarray, chance_sd: pd.Series | None) -> tuple[float, float] | None:
    """Give the ends of a colour scale that is not zoomed into noise: at least two SD of single pseudo pairs around 0.

    Shapes: ``values`` (n_rows, n_columns), ``chance_sd`` (n_sessions,). Two SD are our choice.
    """
    reach = float("nan") if chance_sd is None else 2 * float(pd.to_numeric(chance_sd).mean())
    if not np.isfinite(reach) or not np.isfinite(values).any():
        return None
    return min(float(np.nanmin(values)), -reach), max(float(np.nanmax(values)), reach)


def draw_image(
    ax: Axes,
    values: np.ndarray,
    label: str,
    text: str,
    limits: tuple[float, float] | None = None,
    *,
    square: bool = False,
) -> None:
    """Draw values as colours, with a bar beside them and, where there is room, their numbers.

    Shapes: ``values`` (n_rows, n_columns).
    """
    finite = values[np.isfinite(values)]
    low, high = limits or ((finite.min(), finite.max()) if len(finite) else (0.0, 1.0))
    image = ax.imshow(
        values,
        cmap=SEQUENTIAL,
        vmin=low,
        vmax=high,
        aspect="equal" if square else "auto",
        interpolation="nearest",
    )
    colour_bar(image, ax, upright(label))
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if text and np.isfinite(value) and values.size <= MAX_PRINTED:
            red, green, blue, _ = image.cmap(image.norm(value))
            # luminance weights of sRGB (ITU-R BT.709)
            dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
            told = text.format(round(value, 2) + 0.0).replace("-", "\N{MINUS SIGN}")
            colour = "#ffffff" if dark else "#000000"
            ax.text(column, row, told, ha="center", va="center", fontsize=8.5, color=colour)


def _name_axis(ax: Axes, axis: Literal["x", "y"], names: Sequence[object], most: int) -> None:
    """Write every name, or every second, third ... where there are more than ``most``."""
    step = max(1, -(-len(names) // most))
    places = list(range(0, len(names), step))
    # our own session labels hold a line break, which no name of a channel may
    labels = [str(names[i]) if isinstance(names[i], _Lines) else plain(names[i], 16) for i in places]
    (ax.set_xticks if axis == "x" else ax.set_yticks)(places, labels)
    for text in (ax.get_xticklabels if axis == "x" else ax.get_yticklabels)():
        text.set_parse_math(False)
    ax.tick_params(axis=axis, length=0)


class _Lines(str):
    """A label that is meant to have two lines."""
