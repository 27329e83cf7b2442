"""Chance by drawing one person's signal again with the same spectrum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

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
