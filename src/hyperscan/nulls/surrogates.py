"""Chance by surrogates: one person's signal drawn again with its spectrum, or windows of different times paired."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, sparse

from hyperscan.errors import InputError, did_you_mean

METHODS = ("fourier", "iaaft")
MAX_ITERATIONS = 200  # our choice; the ranks of EEG and fNIRS series settle within a few dozen
FEWEST_SAMPLES = 16  # our choice: fewer frequencies leave hardly any distinct surrogates


def phases(
    x: ArrayLike,
    rng: np.random.Generator,
    *,
    n_null: int = 1000,
    method: Literal["fourier", "iaaft"] = "fourier",
    common: bool = True,
) -> Iterator[NDArray[Any]]:
    """Draw surrogates of one person's signals with random Fourier phases.

    Tests that the two recordings are independent linear stationary processes with the spectra they have.
    Destroys every relation to the other person and all timing within the signal; keeps each channel's power
    spectrum, and with ``method="iaaft"`` also its distribution of values exactly (the spectrum then nearly).
    Invalid for signals that are not stationary (task blocks, bursts, artefacts, filter transients): the
    surrogates spread them over the whole recording and p is too small. A narrow band of a short recording
    holds few frequencies and so few distinct surrogates; take the surrogates of the broadband signal and
    filter them.

    Parameters
    ----------
    x : array_like, shape (..., n_times)
        Real signals of one person; shift or draw only one of the two.
    rng : numpy.random.Generator
        Source of the phases.
    n_null : int
        How many to draw.
    method : {"fourier", "iaaft"}
        Random phases, or iterated until values and spectrum both fit.
    common : bool
        Add the same phases to all channels, which keeps how they relate to each other (what `max_statistic`
        needs); with "iaaft" only approximately.

    Yields
    ------
    ndarray, shape (..., n_times)
        A surrogate in the precision of ``x``.

    Raises
    ------
    InputError
        If ``x`` is complex, shorter than 16 samples or not finite, or the method is unknown.

    References
    ----------
    Theiler et al. 1992, https://doi.org/10.1016/0167-2789(92)90102-S
    Schreiber & Schmitz 1996, https://doi.org/10.1103/PhysRevLett.77.635
    Prichard & Theiler 1994 (common phases), https://doi.org/10.1103/PhysRevLett.73.951

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((2, 100))
    >>> surrogate = next(phases(x, np.random.default_rng(1)))
    >>> bool(np.allclose(np.abs(np.fft.rfft(surrogate)), np.abs(np.fft.rfft(x))))
    True
    """
    data = _checked(x, method)
    return _draw(data, rng, n_null, method, common)


def _checked(x: ArrayLike, method: str) -> NDArray[Any]:
    if method not in METHODS:
        raise InputError(f"method={method!r} is unknown; allowed are {METHODS}.{did_you_mean(method, METHODS)}")
    data = np.asarray(x)
    if data.dtype.kind not in "fiu" or data.ndim < 1 or data.shape[-1] < FEWEST_SAMPLES:
        raise InputError(
            f"x must be real with at least {FEWEST_SAMPLES} samples along the last axis; "
            f"got {data.dtype}, shape {data.shape}"
        )
    if not np.isfinite(data).all():
        raise InputError("x holds values that are not finite; cut out or interpolate the gaps first")
    return data if data.dtype == np.float32 else data.astype(np.float64)


def _draw(
    data: NDArray[Any], rng: np.random.Generator, n_null: int, method: str, common: bool
) -> Iterator[NDArray[Any]]:
    spectrum, n_times = fft.rfft(data, axis=-1), data.shape[-1]
    for _ in range(n_null):
        angles = rng.uniform(0, 2 * np.pi, spectrum.shape[-1] if common else spectrum.shape)
        angles[..., 0] = 0  # the mean stays
        if n_times % 2 == 0:
            angles[..., -1] = 0  # the Nyquist frequency of a real signal has no phase
        turned = spectrum * np.exp(1j * angles).astype(spectrum.dtype)
        surrogate = np.asarray(fft.irfft(turned, n=n_times, axis=-1))
        yield surrogate if method == "fourier" else _iterated(data, np.abs(spectrum), surrogate)


def _iterated(data: NDArray[Any], amplitude: NDArray[Any], start: NDArray[Any]) -> NDArray[Any]:
    """Alternate between the wanted spectrum and the wanted values until the ranks stay; end on values."""
    values = np.sort(data, axis=-1)
    ranks = np.argsort(np.argsort(start, axis=-1), axis=-1)
    for _ in range(MAX_ITERATIONS):
        angles = np.angle(fft.rfft(np.take_along_axis(values, ranks, axis=-1), axis=-1))
        candidate = fft.irfft(amplitude * np.exp(1j * angles), n=data.shape[-1], axis=-1)
        latest = np.argsort(np.argsort(candidate, axis=-1), axis=-1)
        if np.array_equal(latest, ranks):
            break
        ranks = latest
    return np.asarray(np.take_along_axis(values, ranks, axis=-1))


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
