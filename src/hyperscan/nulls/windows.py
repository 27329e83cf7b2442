"""Chance by pairing windows that were not recorded at the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from hyperscan.errors import InputError

FEWEST_WINDOWS = 6  # 720 ways to pair six windows, five leave only 120


@dataclass(frozen=True)
class WindowNull:
    """A statistic averaged over windows, and its values with the windows re-paired.

    Attributes
    ----------
    estimate : ndarray, shape (n_a, n_b)
        Mean over the windows as recorded.
    surrogates : ndarray, shape (n_null, n_a, n_b)
        Mean over re-paired windows.
    orders : ndarray, shape (n_null, n_windows)
        Which window of ``b`` each window of ``a`` met.
    """

    estimate: NDArray[Any]
    surrogates: NDArray[Any] = field(repr=False)
    orders: NDArray[np.intp] = field(repr=False)


def windows(
    a: ArrayLike,
    b: ArrayLike,
    statistic: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    *,
    n_null: int = 1000,
    min_gap: int = 0,
    rng: np.random.Generator,
) -> WindowNull:
    """Pair each window of one person with a random window of the other person.

    Tests that there is a link specific to the moment. Destroys what the two share within a window and keeps
    each window whole. Invalid where windows are not exchangeable: slow drifts, task blocks (what both do in
    the same block counts as a link) and windows short against the autocorrelation time, so never for fNIRS.

    Parameters
    ----------
    a : array_like, shape (n_windows, n_a, n_times)
        Windows of the therapist as the statistic takes them.
    b : array_like, shape (n_windows, n_b, n_times)
        Windows of the client at the same times.
    statistic : callable
        ``statistic(a, b) -> (n_windows, n_a, n_b)``.
    n_null : int
        Number of re-pairings.
    min_gap : int
        0: all pairings are drawn alike, which is exact where windows are exchangeable. More: windows closer than
        this are not paired, for those that are alike to their neighbours; pairings then overlap each other more
        than the recorded one, and the test errs upwards with few windows (with 8 windows and 1, p <= .05 in 8 % of
        our simulated nulls).
    rng : numpy.random.Generator
        Draws the pairings.

    Returns
    -------
    WindowNull
        Estimate, surrogates and pairings.

    Raises
    ------
    InputError
        If shapes do not fit or there are too few windows for ``min_gap``.

    Examples
    --------
    >>> import numpy as np
    >>> def product(a, b):
    ...     return a @ b.swapaxes(-1, -2) / a.shape[-1]
    >>> x = np.random.default_rng(0).standard_normal((10, 1, 50))
    >>> null = windows(x, x, product, n_null=99, rng=np.random.default_rng(1))
    >>> null.surrogates.shape, bool(null.estimate > null.surrogates.max())
    ((99, 1, 1), True)
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 3 or second.ndim != 3 or first.shape[::2] != second.shape[::2]:
        raise InputError(
            f"a has shape {first.shape} and b {second.shape}; allowed are (n_windows, n_channels, n_times) "
            "with the same windows and times"
        )
    if min_gap < 0 or n_null < 1:
        raise InputError(f"min_gap={min_gap} must be 0 or more, n_null={n_null} at least 1")
    n_windows, needed = len(first), max(FEWEST_WINDOWS, 4 * min_gap)
    if n_windows < needed:
        raise InputError(
            f"{n_windows} windows are too few to re-pair with min_gap={min_gap}; at least {needed} are "
            "needed. Use shorter windows or null='lags'"
        )
    orders = np.stack([_re_pairing(n_windows, min_gap, rng) for _ in range(n_null)])
    offsets = (np.arange(n_windows) - orders) % n_windows
    estimate = np.asarray(statistic(first, second))
    total = np.zeros((n_null, *estimate.shape[1:]), dtype=estimate.dtype)
    # every window pair is evaluated once, however many re-pairings use it
    for offset in np.unique(offsets):
        table = np.asarray(statistic(first, np.roll(second, offset, axis=0)))
        used = sparse.csr_array((offsets == offset).astype(table.real.dtype))
        total += (used @ table.reshape(n_windows, -1)).reshape(total.shape)
    return WindowNull(estimate.mean(axis=0), total / n_windows, orders)


def _re_pairing(n_windows: int, min_gap: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Random permutation that moves every window by at least ``min_gap``."""
    order = rng.permutation(n_windows)
    index = np.arange(n_windows)
    wrong = np.flatnonzero(np.abs(order - index) < min_gap)
    while wrong.size:
        # swapping a misplaced window with a random other one mends most of them within a few rounds
        for one in wrong.tolist():
            other = int(rng.integers(n_windows))
            order[one], order[other] = order[other], order[one]
        wrong = np.flatnonzero(np.abs(order - index) < min_gap)
    return order
