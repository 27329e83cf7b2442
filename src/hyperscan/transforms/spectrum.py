"""Power spectra, and what they say about signal and noise in a band.

A rhythm rises from a background that falls with frequency. Fitting the background next to the rhythm tells
which part of the power in the band is rhythm: the signal fraction, on which observed synchrony depends.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperscan.errors import InputError

#: Frequencies in Hz that the background is fitted over: next to the alpha rhythm and its flanks (chosen with
#: the guards of this project, by simulation).
BACKGROUND_HZ = ((2.0, 5.0), (15.0, 40.0))

#: The fit of the background was validated by simulation for bands inside this range (Hz), at this sampling rate (Hz)
#: and above, where the filter before sampling leaves the spectrum up to 40 Hz as it is.
FITTED_BANDS, FITTED_SFREQ = (6.0, 14.0), 90.0

#: Fewest samples of a segment that has a spectrum (our choice).
SHORTEST_SEGMENT = 8

#: A signal fraction below this is set to it: dividing by less only amplifies noise (chosen with the guards).
SIGNAL_FLOOR = 0.05

#: A maximum lower than this above the background is called no peak (our choice, three times the standard
#: error of a spectrum averaged over some hundred segments).
MIN_PEAK_DB = 1.0

Array = NDArray[np.floating]


class PeakEstimate(NamedTuple):
    """The highest point of a spectrum above its background, inside a band."""

    #: shape (...): Power over background at the peak, in dB
    height_db: Array
    #: shape (...): Peak frequency in Hz; NaN where no peak stands out
    frequency: Array
    #: shape (...): Full width in Hz at half the height above the background; NaN where no peak stands out
    width: Array


def welch_psd(
    x: ArrayLike, sfreq: float, segment_s: float = 4.0, clean: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Power spectral density, averaged over half-overlapping Hann segments that are clean throughout.

    Welch 1967, https://doi.org/10.1109/TAU.1967.1161901

    Shapes: ``x`` (..., n_times), ``clean`` (n_times,), ``freqs`` (n_freqs,), ``psd`` (..., n_freqs).

    Examples
    --------
    >>> times = np.arange(2000) / 100
    >>> freqs, psd = welch_psd(np.sin(2 * np.pi * 10 * times), 100.0)
    >>> float(freqs[psd.argmax()])
    10.0
    """
    x = np.asarray(x)
    _check_rate(sfreq)
    n_segment = round(segment_s * sfreq) if 0 < segment_s < np.inf else 0
    if n_segment < SHORTEST_SEGMENT:
        raise InputError(
            f"segment_s = {segment_s:g} s holds {n_segment} samples; at least {SHORTEST_SEGMENT} are needed."
        )
    usable = np.ones(x.shape[-1], bool) if clean is None else np.asarray(clean, bool)
    if usable.shape != (x.shape[-1],):
        raise InputError(f"clean has shape {usable.shape}; expected ({x.shape[-1]},), one value per sample of x.")
    starts = _clean_starts(usable, n_segment)
    freqs = np.fft.rfftfreq(n_segment, 1 / sfreq)
    flat = x.reshape(-1, x.shape[-1])
    psd = np.stack([_mean_periodogram(row, starts, n_segment, sfreq) for row in flat])
    return freqs, psd.reshape(*x.shape[:-1], freqs.size)


def fourier_coefficients(x: ArrayLike, sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Fourier coefficients of epochs at the frequencies of a band, Hann-windowed, each epoch's mean removed.

    With frequencies as leading dimension and epochs as samples, metrics of analytic signals become those that
    ``mne_connectivity.spectral_connectivity_epochs(mode="fourier")`` averages over epochs.

    Parameters
    ----------
    x : array_like, shape (n_epochs, n_channels, n_times)
        Real signals, any unit.
    sfreq : float
        Sampling rate in Hz.
    band : tuple of float
        Lowest and highest frequency in Hz.

    Returns
    -------
    complex array, shape (n_freqs, n_channels, n_epochs)
        In the precision of the input.

    Raises
    ------
    InputError
        If the rate is not positive, the shape another one, or the epochs too short to have a frequency in the band.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((5, 2, 200))
    >>> fourier_coefficients(x, 100.0, (8.0, 12.0)).shape
    (9, 2, 5)
    """
    epochs = np.asarray(x)
    _check_rate(sfreq)
    if epochs.ndim != 3:
        raise InputError(f"x must have shape (n_epochs, n_channels, n_times), got {epochs.shape}.")
    epochs = epochs if epochs.dtype == np.float32 else epochs.astype(np.float64, copy=False)
    n_times = epochs.shape[-1]
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    freqs = freqs[(freqs >= band[0]) & (freqs <= band[1])]
    if not freqs.size:
        raise InputError(
            f"band = {band}: epochs of {n_times / sfreq:g} s have no frequency in it, only multiples of "
            f"{sfreq / n_times:g} Hz. Take longer epochs or a wider band."
        )
    basis = np.exp(-2j * np.pi * np.outer(np.arange(n_times) / sfreq, freqs)) * np.hanning(n_times)[:, None]
    basis -= basis.mean(axis=0)  # the same as removing the mean of every epoch
    # few of many frequencies are one matrix product
    parts = epochs.reshape(-1, n_times) @ np.concatenate([basis.real, basis.imag], axis=1).astype(epochs.dtype)
    z = (parts[:, : freqs.size] + 1j * parts[:, freqs.size :]).reshape(*epochs.shape[:2], freqs.size)
    return np.ascontiguousarray(z.transpose(2, 1, 0), dtype=np.result_type(epochs.dtype, np.complex64))


def _check_rate(sfreq: float) -> None:
    if not 0 < sfreq < np.inf:
        raise InputError(f"sfreq must be positive, in Hz, got {sfreq}.")


def _clean_starts(usable: NDArray[np.bool_], n_segment: int) -> NDArray[np.intp]:
    if usable.size < n_segment:
        return np.empty(0, np.intp)
    total = np.concatenate([[0], np.cumsum(usable)])
    whole = total[n_segment:] - total[:-n_segment] == n_segment
    # segments start again after every gap, half a segment apart within a clean run
    edges = np.flatnonzero(np.diff(np.concatenate([[0], whole.view(np.int8), [0]])))
    runs = [np.arange(start, stop, n_segment // 2) for start, stop in edges.reshape(-1, 2)]
    return np.concatenate(runs) if runs else np.empty(0, np.intp)


def _mean_periodogram(x: Array, starts: NDArray[np.intp], n_segment: int, sfreq: float) -> Array:
    n_freqs = n_segment // 2 + 1
    if starts.size == 0:
        return np.full(n_freqs, np.nan, x.dtype if x.dtype.kind == "f" else float)
    window = np.hanning(n_segment + 1)[:-1]
    power = np.zeros(n_freqs)
    for chunk in np.array_split(starts, max(1, starts.size // 256)):
        segments = np.lib.stride_tricks.sliding_window_view(x, n_segment)[chunk]
        centred = segments - segments.mean(-1, keepdims=True)
        power += (np.abs(np.fft.rfft(centred * window)) ** 2).sum(0)
    power *= 2 / (starts.size * sfreq * (window**2).sum())
    power[0] /= 2
    if n_segment % 2 == 0:
        power[-1] /= 2
    return power


def fit_background(
    freqs: ArrayLike, psd: ArrayLike, degree: int, spans: Sequence[tuple[float, float]] = BACKGROUND_HZ
) -> Array:
    """Background of a spectrum: log power as a polynomial of log frequency, fitted next to the rhythm.

    Shapes: ``freqs`` (n_freqs,), ``psd`` (..., n_freqs), returns (..., n_freqs).

    Examples
    --------
    >>> freqs = np.arange(1, 46, 0.25)
    >>> bool(np.allclose(fit_background(freqs, 3 / freqs, degree=1), 3 / freqs))
    True
    """
    if degree not in (1, 2):
        raise InputError(f"degree = {degree!r}: expected 1 (line) or 2 (curve).")
    freqs, psd = np.asarray(freqs, float), np.asarray(psd, float)
    used = np.any([(freqs >= low) & (freqs <= high) for low, high in spans], axis=0)
    reaches = freqs.size > 0 and freqs[-1] >= max(high for _, high in spans)
    if not reaches or used.sum() <= degree:
        return np.full(psd.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        basis = np.stack([np.log(freqs / 10) ** power for power in range(degree + 1)], -1)
        log_psd = np.log(psd[..., used])
    log_psd[~np.isfinite(log_psd).all(-1)] = np.nan
    weights = log_psd @ np.linalg.pinv(basis[used]).T
    basis[freqs <= 0] = np.nan
    return np.asarray(np.exp(weights @ basis.T))


def inside_fit(band: tuple[float, float]) -> bool:
    """Whether the fit of the background was validated for a band.

    Examples
    --------
    >>> inside_fit((8.0, 12.0)), inside_fit((13.0, 30.0))
    (True, False)
    """
    return FITTED_BANDS[0] <= band[0] and band[1] <= FITTED_BANDS[1]


def holds_background(passband: tuple[float, float], sfreq: float) -> bool:
    """Whether a recording still holds the spectrum that the background is fitted to.

    Examples
    --------
    >>> holds_background((1.0, 40.0), 250.0), holds_background((1.0, 30.0), 250.0), holds_background((1.0, 40.0), 85.0)
    (True, False, False)
    """
    low, high = BACKGROUND_HZ[0][0], BACKGROUND_HZ[-1][1]
    return passband[0] <= low and high <= passband[1] and sfreq >= FITTED_SFREQ


def signal_fraction(
    freqs: ArrayLike,
    psd: ArrayLike,
    band_power_response: ArrayLike,
    degree: int,
    spans: Sequence[tuple[float, float]] = BACKGROUND_HZ,
) -> Array:
    """Share of the power in a band that is not background.

    Fits log power over 2-5 and 15-40 Hz, and compares the fit with the spectrum inside the band, both weighted by what
    the band filter lets through.

    Shapes: ``freqs`` (n_freqs,), ``psd`` (..., n_freqs), ``band_power_response`` (n_freqs,), returns (...).

    Examples
    --------
    >>> freqs = np.arange(1, 46, 0.25)
    >>> response = ((freqs >= 8) & (freqs <= 12)).astype(float)
    >>> round(float(signal_fraction(freqs, (1 + 3 * response) / freqs, response, 1)), 3)
    0.75
    """
    freqs, psd, weight = np.asarray(freqs, float), np.asarray(psd, float), np.asarray(band_power_response)
    if weight.shape != freqs.shape or psd.shape[-1:] != freqs.shape:
        raise InputError(
            f"freqs {freqs.shape}, psd {psd.shape} and band_power_response {weight.shape} do not fit "
            "together: the last axis of each is frequency."
        )
    background = fit_background(freqs, psd, degree, spans)
    inside = (freqs > 0) & (weight > 0)
    noise = (background * weight)[..., inside].sum(-1)
    power = (psd * weight)[..., inside].sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = 1 - noise / power
    return np.asarray(np.maximum(fraction, SIGNAL_FLOOR))


def spectral_peak(freqs: ArrayLike, psd: ArrayLike, band: tuple[float, float]) -> PeakEstimate:
    """Height, frequency and width of the highest peak above the background in a band.

    Shapes: ``freqs`` (n_freqs,), ``psd`` (..., n_freqs), returns (...).

    Examples
    --------
    >>> freqs = np.arange(0, 46, 0.25)
    >>> psd = (1 + 4 * np.exp(-(((freqs - 10.1) / 0.8) ** 2))) / (freqs + 0.1)
    >>> peak = spectral_peak(freqs, psd, (8.0, 12.0))
    >>> round(float(peak.frequency), 1), round(float(peak.height_db))
    (10.1, 7)
    """
    freqs, psd = np.asarray(freqs, float), np.asarray(psd, float)
    ratio = psd / fit_background(freqs, psd, 1, background_spans(band))
    flat = np.array([_peak(freqs, row, band) for row in ratio.reshape(-1, freqs.size)])
    shaped = flat.reshape(*ratio.shape[:-1], 3)
    return PeakEstimate(shaped[..., 0], shaped[..., 1], shaped[..., 2])


def background_spans(band: tuple[float, float]) -> list[tuple[float, float]]:
    """Choose frequencies next to a band for the fit of its background.

    Examples
    --------
    >>> background_spans((8.0, 12.0)), background_spans((13.0, 30.0))
    ([(2.0, 5.0), (15.0, 40.0)], [(2.0, 7.0), (32.0, 40.0)])
    """
    if band[0] >= 6 and band[1] <= 14:
        return list(BACKGROUND_HZ)
    # elsewhere: what is left of 2-40 Hz without the band's surroundings and the alpha range (our choice)
    edges = sorted({2.0, 7.0, 14.0, 40.0, max(2.0, band[0] - 1), min(40.0, band[1] + 2)})
    return [
        (low, high)
        for low, high in itertools.pairwise(edges)
        if (high <= band[0] - 1 or low >= band[1] + 2) and (high <= 7 or low >= 14)
    ]


def _peak(freqs: Array, ratio: Array, band: tuple[float, float]) -> tuple[float, float, float]:
    smooth = np.convolve(np.nan_to_num(ratio), [0.25, 0.5, 0.25], "same")
    inside = np.flatnonzero((freqs >= band[0]) & (freqs <= band[1]))
    if inside.size < 3 or not np.isfinite(ratio[inside]).all() or not smooth[inside].min() > 0:
        return np.nan, np.nan, np.nan
    top = inside[smooth[inside].argmax()]
    height = 10 * np.log10(smooth[top])
    if height < MIN_PEAK_DB:
        return float(height), np.nan, np.nan
    excess = smooth - 1
    above = _run_around(excess > excess[top] / 2, top)
    # what rises further outside the band is something else, and this is its flank
    if excess[above].max() > excess[top]:
        return float(height), np.nan, np.nan
    weight = np.clip(excess[above], 0, None)
    # the centroid of the upper half uses more bins than a parabola through three
    frequency = float((freqs[above] * weight).sum() / weight.sum())
    return float(height), frequency, _half_width(freqs, excess, above)


def _run_around(mask: NDArray[np.bool_], index: int) -> slice:
    outside = np.flatnonzero(~mask)
    before, after = outside[outside < index], outside[outside > index]
    return slice(int(before[-1]) + 1 if before.size else 0, int(after[0]) if after.size else mask.size)


def _half_width(freqs: Array, excess: Array, above: slice) -> float:
    half = excess[above].max() / 2
    step = freqs[1] - freqs[0]
    edges = [(above.start, above.start - 1), (above.stop - 1, above.stop)]
    width = (above.stop - 1 - above.start) * step
    for inner, outer in edges:
        if 0 <= outer < freqs.size:
            width += step * (excess[inner] - half) / (excess[inner] - excess[outer])
    return float(width)


def band_power(freqs: ArrayLike, psd: ArrayLike, band: tuple[float, float]) -> Array:
    """Power between two frequencies.

    Shapes: ``freqs`` (n_freqs,), ``psd`` (..., n_freqs), returns (...).

    Examples
    --------
    >>> float(band_power([0, 1, 2, 3], [1.0, 1.0, 1.0, 1.0], (1, 2)))
    2.0
    """
    freqs, psd = np.asarray(freqs, float), np.asarray(psd, float)
    inside = (freqs >= band[0]) & (freqs <= band[1])
    return np.asarray(psd[..., inside].sum(-1) * (freqs[1] - freqs[0]))


def power_share(freqs: ArrayLike, psd: ArrayLike, part: tuple[float, float], whole: tuple[float, float]) -> Array:
    """Share of the power of a wide band that lies in a part of it.

    Shapes: ``freqs`` (n_freqs,), ``psd`` (..., n_freqs), returns (...).

    Examples
    --------
    >>> float(power_share([0, 1, 2, 3], [1.0, 1.0, 1.0, 1.0], (1, 2), (0, 3)))
    0.5
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return band_power(freqs, psd, part) / band_power(freqs, psd, whole)
