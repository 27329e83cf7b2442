"""One session from within: wavelet coherence, the course over its windows, and its surrogates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np

from hyperscan.errors import InputError, count, p_text
from hyperscan.plots.frames import CHANCE
from hyperscan.plots.style import DASHED, SEQUENTIAL, colour_bar, new_axes, palette, plain, styled, upright

if TYPE_CHECKING:
    from matplotlib.axes import Axes


COHERENCE_LABEL = "Wavelet coherence R² (0-1)"

#: How to read a coherence map.
MAP_KEY = "→ in phase · ↑ therapist leads by ¼ cycle · ← anti-phase · ↓ client leads · hatched: edge effects"


class MapArrays(TypedDict):
    """Arguments of :func:`coherence_chart` by name."""

    #: shape (n_periods, n_times)
    r2: np.ndarray
    phase: np.ndarray
    #: shape (n_periods,) and (n_times,), in s
    period: np.ndarray
    coi: np.ndarray
    sfreq: float
    #: shape (n_periods, n_times)
    significant: NotRequired[np.ndarray]


@styled
def coherence_chart(
    r2: np.ndarray,
    phase: np.ndarray,
    period: np.ndarray,
    coi: np.ndarray,
    sfreq: float,
    ax: Axes | None = None,
    *,
    significant: np.ndarray | None = None,
) -> Axes:
    """Draw a wavelet coherence map with its cone of influence and phase arrows.

    Parameters
    ----------
    r2 : ndarray, shape (n_periods, n_times)
        Squared coherence, 0 to 1.
    phase : ndarray, shape (n_periods, n_times)
        In rad; positive = the therapist leads. An arrow to the right is in phase, one upwards is the
        therapist leading by a quarter of a cycle.
    period : ndarray, shape (n_periods,)
        In s, rising.
    coi : ndarray, shape (n_times,)
        Longest period in s that is free of edge effects.
    sfreq : float
        Samples per second.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    significant : ndarray of bool, shape (n_periods, n_times), or None
        Cells to outline.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the shapes do not fit.

    Examples
    --------
    >>> period, coi = np.array([8.0, 16.0, 32.0]), np.full(50, 32.0)
    >>> coherence_chart(np.full((3, 50), 0.4), np.zeros((3, 50)), period, coi, 1.0).get_ylabel()
    'Period (s)'

    References
    ----------
    .. [1] Grinsted et al. (2004). https://doi.org/10.5194/npg-11-561-2004
    """
    ax = new_axes(ax, 8.4, 4.2)
    image = draw_map(ax, r2, phase, period, coi, sfreq, significant=significant)
    colour_bar(image, ax, COHERENCE_LABEL)
    ax.set_xlabel("Time (s)")
    ax.set_ylabel("Period (s)")
    ax.set_title(MAP_KEY, fontsize=9.5)
    return ax


def draw_map(
    ax: Axes,
    r2: np.ndarray,
    phase: np.ndarray,
    period: np.ndarray,
    coi: np.ndarray,
    sfreq: float,
    *,
    significant: np.ndarray | None = None,
    arrows: tuple[int, int] = (12, 34),
) -> Any:
    """Draw what :func:`coherence_chart` draws, without the words around it.

    Shapes: ``r2, phase, significant`` (n_periods, n_times), ``period`` (n_periods,), ``coi`` (n_times,).
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    r2, phase, period, coi = (np.asarray(x, dtype=float) for x in (r2, phase, period, coi))
    if r2.shape != phase.shape or r2.shape != (len(period), len(coi)):
        raise InputError(
            f"r2 {r2.shape}, phase {phase.shape}, period ({len(period)},) and coi ({len(coi)},) do not fit:"
            " expected (n_periods, n_times) and one value per period and per time."
        )
    times = np.arange(r2.shape[1]) / sfreq
    image = ax.pcolormesh(times, period, r2, cmap=SEQUENTIAL, vmin=0, vmax=1, shading="nearest", rasterized=True)
    ax.set_yscale("log", base=2)
    octaves = np.arange(np.floor(np.log2(period[0])), np.ceil(np.log2(period[-1])) + 1)
    ax.yaxis.set_major_locator(FixedLocator((2.0**octaves).tolist()))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_ylim(period[-1], period[0])
    # drawn over the map, not over the page: white reads on it in light and dark
    edge = np.minimum(coi, period[-1])
    ax.fill_between(times, edge, period[-1], color="#ffffff", alpha=0.45, lw=0, hatch="//", ec="#777777")
    ax.plot(times, coi, color="#ffffff", lw=1.5, ls="--")
    _arrows(ax, times, period, r2, phase, coi, arrows)
    if significant is not None and np.any(significant):
        outlined = np.asarray(significant, dtype=float)
        ax.contour(times, period, outlined, levels=[0.5], colors="#ffffff", linewidths=1.6)
    ax.grid(visible=False)
    ax.set_xlim(times[0], times[-1])
    return image


def _arrows(
    ax: Axes,
    times: np.ndarray,
    period: np.ndarray,
    r2: np.ndarray,
    phase: np.ndarray,
    coi: np.ndarray,
    grid: tuple[int, int],
) -> None:
    """Phase arrows on a coarse grid, where coherence is at least one half and the edges are far."""
    rows = np.unique(np.linspace(0, len(period) - 1, grid[0]).astype(int))
    columns = np.unique(np.linspace(0, len(times) - 1, grid[1]).astype(int)[1:-1])
    row, column = np.meshgrid(rows, columns, indexing="ij")
    keep = (r2[row, column] >= 0.5) & (period[row] <= coi[column])
    row, column = row[keep], column[keep]
    angle = phase[row, column]
    ax.quiver(
        times[column], period[row], np.cos(angle), np.sin(angle), angles="uv", pivot="mid", units="inches",
        scale=4.2, width=0.02, headwidth=4.5, color="#000000", edgecolor="#ffffff", linewidth=0.5,
    )  # fmt: skip


@styled
def time_course(
    times_s: np.ndarray,
    values: np.ndarray,
    null: np.ndarray | None = None,
    ax: Axes | None = None,
    *,
    label: str = "Synchrony (growth scale)",
    chance: float | None = None,
) -> Axes:
    """Draw synchrony over the windows of a session with the middle 95 % of its null.

    Parameters
    ----------
    times_s : ndarray, shape (n_windows,)
        Window centres in s from the start of the session.
    values : ndarray, shape (n_windows,)
        One per window.
    null : ndarray, shape (n_null, n_windows) or (n_null,), or None
        Surrogates per window, or of any window.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    label : str
        What the values are, with unit.
    chance : float or None
        Level that the session's pseudo pairs reach.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If times and values differ in length.

    Examples
    --------
    >>> ax = time_course(np.array([10.0, 30.0]), np.array([0.1, 0.2]), np.linspace(0, 0.1, 100))
    >>> ax.get_xlabel()
    'Time in session (s)'
    """
    times_s, values = np.asarray(times_s, dtype=float), np.asarray(values, dtype=float)
    if times_s.shape != values.shape or times_s.ndim != 1:
        raise InputError(f"times_s {times_s.shape} and values {values.shape}: expected two equal lengths.")
    ax = new_axes(ax, 8.4, 3.4)
    colours = palette()
    if null is not None:
        null = np.asarray(null, dtype=float)
        low, high = np.quantile(null, [0.025, 0.975], axis=0)
        ax.fill_between(
            times_s,
            low,
            high,
            color=colours.chance,
            alpha=0.35,
            lw=0,
            label=f"middle 95 % of {len(null)} surrogates",
        )
    ax.plot(
        times_s, values, color=colours.real, marker="o", mec="none", label=f"observed ({count(len(values), 'window')})"
    )
    if chance is not None and np.isfinite(chance):
        ax.axhline(chance, color=colours.chance, lw=1.2, ls=DASHED, label=CHANCE)
    # not zoomed into noise: without coupling synchrony is near 0, which stays in sight
    ax.update_datalim([(float(times_s[0]), 0.0)] if len(times_s) else [])
    ax.autoscale_view()
    ax.set_xlabel("Time in session (s)")
    ax.set_ylabel(upright(label))
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), ncols=3)
    return ax


@styled
def surrogate_histogram(
    observed: float | np.ndarray,
    surrogates: np.ndarray,
    ax: Axes | None = None,
    *,
    p: float | None = None,
    label: str = "Synchrony (growth scale)",
    what: str = "surrogates",
) -> Axes:
    """Draw the null distribution and where the observed value lies in it.

    Parameters
    ----------
    observed : float or ndarray, shape (n,)
        The value of the real pair; of several, each is a tick and the line is their mean.
    surrogates : ndarray, shape (n_null,)
        Values under the null; NaN is left out.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    p : float or None
        To print beside the line.
    label : str
        What the values are, with unit.
    what : str
        What the null consists of.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> surrogate_histogram(0.3, np.linspace(0, 0.2, 50)).get_ylabel()
    'surrogates (n of 50)'
    """
    surrogates = np.asarray(surrogates, dtype=float)
    surrogates = surrogates[np.isfinite(surrogates)]
    ax = new_axes(ax, 5.2, 3.4)
    colours = palette()
    bins = int(np.clip(np.sqrt(len(surrogates)), 5, 50))
    ax.hist(surrogates, bins=bins, color=colours.chance, alpha=0.6, edgecolor=colours.paper, lw=0.5, label=what)
    several = np.atleast_1d(np.asarray(observed, dtype=float))
    mean = float(np.nanmean(several))
    text = f"observed {mean:.2g}" if len(several) == 1 else f"observed, mean of {len(several)}: {mean:.2g}"
    ax.axvline(mean, color=colours.real, lw=2.5, label=text + ("" if p is None else f", {p_text(p)}"))
    if len(several) > 1:
        # ticks along the foot: x in data, y as a share of the axes' height
        foot, each = ax.get_xaxis_transform(), f"each of the {len(several)}"
        ax.vlines(several, 0, 0.06, transform=foot, color=colours.real, lw=1, label=each)
    ax.set_xlabel(label)
    ax.set_ylabel(f"{what} (n of {len(surrogates)})")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), ncols=2)
    return ax


@styled
def data_kept_timeline(
    kept: Mapping[str, Sequence[tuple[float, float]]], total_s: float, ax: Axes | None = None
) -> Axes:
    r"""Draw which stretches of a session were kept, one lane per person or step.

    Parameters
    ----------
    kept : mapping of str to sequence of (onset_s, duration_s), shape (n_stretches, 2)
        Lane to stretches, in s from the start.
    total_s : float
        Length of the session in s.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = data_kept_timeline({"therapist": [(0.0, 30.0)], "client": [(10.0, 40.0)]}, 60.0)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['therapist\n30 s, 50 %', 'client\n40 s, 67 %']
    """
    ax = new_axes(ax, 8.4, 0.9 + 0.55 * len(kept))
    colours = palette()
    by_lane = {"therapist": colours.therapist, "client": colours.client}
    ticks = []
    for lane, (name, spans) in enumerate(kept.items()):
        ax.broken_barh([(0, total_s)], (lane - 0.3, 0.6), facecolor=colours.grid, lw=0)
        ax.broken_barh(list(spans), (lane - 0.3, 0.6), facecolor=by_lane.get(name, colours.real), lw=0)
        seconds = sum(duration for _, duration in spans)
        ticks.append(f"{plain(name)}\n{seconds:.0f} s, {100 * seconds / total_s:.0f} %")
    ax.set_yticks(range(len(kept)), ticks)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(kept) - 0.5, -0.5)
    ax.set_xlim(0, total_s)
    ax.grid(visible=False)
    ax.set_xlabel("Time in session (s); pale = left out")
    return ax
