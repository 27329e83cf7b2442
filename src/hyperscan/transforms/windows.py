"""Cut recordings into windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperscan.errors import InputError


def cut_windows(x: NDArray[Any], starts: Sequence[int] | NDArray[np.integer[Any]], n_window: int) -> NDArray[Any]:
    """Cut windows of equal length out of a recording.

    Equally spaced windows are returned as a read-only view, without a copy.

    Parameters
    ----------
    x : array, shape (..., n_channels, n_times)
        The recording.
    starts : sequence of int, shape (n_windows,)
        First sample of each window; any order, overlaps allowed.
    n_window : int
        Window length in samples.

    Returns
    -------
    array, shape (n_windows, ..., n_channels, n_window)
        The windows, in the order of ``starts``. Treat them as read-only.

    Raises
    ------
    InputError
        If a window does not lie within the recording.

    Examples
    --------
    >>> import numpy as np
    >>> cut_windows(np.arange(6)[np.newaxis], [0, 3], 3)[:, 0]
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    first = _checked_starts(starts, n_window, x.shape[-1])
    sliding = np.lib.stride_tricks.sliding_window_view(x, n_window, axis=-1)
    steps = np.unique(np.diff(first))
    if first.size == 1 or (steps.size == 1 and steps[0] > 0):
        step = int(steps[0]) if steps.size else 1
        return np.moveaxis(sliding[..., first[0] : first[-1] + 1 : step, :], -2, 0)
    return np.moveaxis(sliding, -2, 0)[first]


def window_starts(n_times: int, n_window: int, *, onset: int = 0) -> NDArray[np.int64]:
    """First samples of the non-overlapping windows that fit into a stretch of samples.

    Parameters
    ----------
    n_times : int
        Length of the stretch in samples.
    n_window : int
        Window length in samples.
    onset : int
        First sample of the stretch.

    Returns
    -------
    array of int, shape (n_windows,)
        Empty when not one window fits.

    Raises
    ------
    InputError
        If ``n_window`` is not positive.

    Examples
    --------
    >>> window_starts(11, 4, onset=100)
    array([100, 104])
    """
    return sliding_starts(n_times, n_window, n_window, onset=onset)


def sliding_starts(n_times: int, n_window: int, n_step: int, *, onset: int = 0) -> NDArray[np.int64]:
    """First samples of the windows that slide over a stretch of samples.

    Time-resolved synchrony is a metric of such windows; overlapping windows are not independent.

    Shapes: returns (n_windows,).

    Examples
    --------
    >>> sliding_starts(10, 4, 2)
    array([0, 2, 4, 6])
    """
    for name, value in (("n_window", n_window), ("n_step", n_step)):
        if value < 1:
            raise InputError(f"{name} must be a positive number of samples, got {value}.")
    return onset + np.arange(0, n_times - n_window + 1, n_step, dtype=np.int64)


def _checked_starts(starts: ArrayLike, n_window: int, n_times: int) -> NDArray[np.int64]:
    if not 1 <= n_window <= n_times:
        raise InputError(f"n_window must be 1 to {n_times} samples, the length of x, got {n_window}.")
    first = np.atleast_1d(np.asarray(starts))
    if first.ndim != 1 or first.size == 0 or not np.issubdtype(first.dtype, np.integer):
        raise InputError(
            f"starts must be a non-empty sequence of sample numbers (integers), got {first.dtype} "
            f"of shape {first.shape}."
        )
    outside = first[(first < 0) | (first + n_window > n_times)]
    if outside.size:
        raise InputError(
            f"starts: a window of {n_window} samples from sample {outside[0]} leaves the recording of "
            f"{n_times} samples.\nAllowed are starts from 0 to {n_times - n_window}."
        )
    return first.astype(np.int64)
