"""Windows that were not recorded at the same time: what one window of the course reaches without its partner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError
from hyperscan.results import SynchronyResult
from hyperscan.synchrony.pairs import BandWindows, WindowPair, band_cells, person_windows, roi_means
from hyperscan.synchrony.recipe import Recipe
from hyperscan.synchrony.signals import Signals

Array = npt.NDArray[Any]

#: Most shifts of the client's windows: enough for the middle 95 % that is drawn, and 40 times a session's work (ours).
MAX_SHIFTS = 40


def with_other_windows(
    result: SynchronyResult, a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, n_null: int | None
) -> SynchronyResult:
    """Add what every window of the therapist reaches with the client's windows of other times.

    Parameters
    ----------
    result : SynchronyResult
        Of the same session.
    a, b : Signals
        Therapist and client.
    recipe : Recipe
        What to compute.
    windows : WindowPair
        Windows that both share.
    n_null : int or None
        Shifts by whole windows, evenly spaced; None = all, at most 40.

    Returns
    -------
    SynchronyResult
        With ``window_null`` (signal, metric, band, shift, window, roi_pair), on the growth scale.

    Raises
    ------
    InputError
        If there is one window alone, as in fNIRS.
    """
    count = len(windows.therapist)
    if count < 2:
        raise InputError("null = 'windows': this session is one window, so there is no other to meet. Use 'lags'.")
    shifts = np.unique(np.linspace(1, count - 1, min(n_null or MAX_SHIFTS, count - 1)).round().astype(int))
    data, pairs = result.dataset, recipe.pairs_of(a.rois, b.rois)
    axes = [list(map(str, data[dim].values)) for dim in ("signal", "metric", "band")]
    out = np.full((*map(len, axes), len(shifts), count, len(pairs)), np.nan)
    for row, cell in _moved(a, b, recipe, windows, shifts):
        where = tuple(
            names.index(name) for names, name in zip(axes, (cell.signal, cell.metric, cell.band), strict=True)
        )
        out[where][row] = roi_means(cell.z, a, b, pairs)
    dims = ("signal", "metric", "band", "shift", "window", "roi_pair")
    return SynchronyResult(data.assign(window_null=(dims, out)))


def _moved(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, shifts: Array) -> Iterator[tuple[int, Any]]:
    """Stream the bands, and in each band the client's windows moved on by every shift."""
    signal = recipe.signals[0]
    streams = [person_windows(person, signal, recipe.bands, windows.n_window) for person in (a, b)]
    for band in recipe.bands:
        ours, theirs = (next(stream)[1] for stream in streams)
        partners = theirs.at(windows.client)
        for row, shift in enumerate(shifts):
            moved = BandWindows(windows.client, np.roll(partners, shift, axis=0))
            for cell in band_cells(ours, moved, signal, band, a.sfreq, recipe, windows):
                yield row, cell
        del ours, theirs, partners  # before the next band is filtered
