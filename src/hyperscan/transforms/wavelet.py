"""Complex Morlet wavelet coefficients, kept per channel so that many pairs can re-use them.

The estimator is the wavelet coherence of Torrence and Compo (1998) with the smoothing kernels of Grinsted,
Moore and Jevrejeva (2004): ``w0 = 6``, twelve scales per octave, a Gaussian ``exp(-t^2 / (2 s^2))`` along
time and a boxcar of 0.6 octave along scale, here in Grinsted's sampling ``[.6, 1 x 7, .6] / 8.2``.

References
----------
Torrence & Compo 1998, https://doi.org/10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2
Grinsted et al. 2004, https://doi.org/10.5194/npg-11-561-2004
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from hyperscan.errors import InputError
from hyperscan.transforms.morlet import (
    FOURIER_FACTOR,
    GUARD,
    VOICES,
    PaddedSpectrum,
    ScaleBlock,
    scale_block,
)

ANCHOR_S = 10.0  # our choice: every band uses periods 10 s x 2^(j/12), so nested bands share their scales
MIN_SAMPLES = 8  # our choice; a cone that leaves too few cells is the metric's to judge
BLOCK_SCALES = 8  # our choice: scales that share one decimated rate; the fastest of 8, 11, 14, 20 and 40


@dataclass(frozen=True)
class WaveletTransform:
    """Everything about each channel that its pairs need, computed once.

    Attributes
    ----------
    sfreq : float
        Sampling frequency of the input in Hz.
    band : tuple of float
        Low and high edge in Hz.
    n_times : int
        Samples of the input.
    oversampling : float | None
        See `wavelet_transform`; None means full rate.
    blocks : tuple of ScaleBlock
        The scales from short to long, a few octaves' worth per block.
    """

    sfreq: float
    band: tuple[float, float]
    n_times: int
    oversampling: float | None
    blocks: tuple[ScaleBlock, ...]

    @property
    def scales(self) -> NDArray[np.float64]:
        """Scales of the band in seconds, without the guard scales, shape (n_scales,)."""
        return np.asarray(np.concatenate([block.band_scales for block in self.blocks]))

    @property
    def periods(self) -> NDArray[np.float64]:
        """Fourier periods of the band in seconds, shape (n_scales,)."""
        return np.asarray(FOURIER_FACTOR * self.scales)

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return int(self.blocks[0].power.shape[-2])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input, (..., n_channels, n_times)."""
        return (*self.blocks[0].power.shape[:-3], self.n_channels, self.n_times)

    @property
    def coi(self) -> NDArray[np.float64]:
        """Longest trustworthy period in seconds at each full-rate sample, shape (n_times,)."""
        return cone_of_influence(self.n_times, self.sfreq)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Cells inside the cone of influence at full rate, shape (n_scales, n_times)."""
        return np.asarray(self.periods[:, None] <= self.coi)

    @property
    def valid_fraction(self) -> float:
        """Fraction of the band's cells inside the cone of influence, 0 to 1."""
        inside = sum(float(block.weights.sum()) for block in self.blocks)
        return inside / (len(self.scales) * self.n_times)

    def pick(self, channels: Sequence[int] | NDArray[np.intp]) -> WaveletTransform:
        """Keep some channels, in the order given."""
        chosen = np.asarray(channels, dtype=np.intp)
        return replace(
            self,
            blocks=tuple(
                replace(
                    block,
                    coefficients=block.coefficients[..., chosen, :],
                    power=block.power[..., chosen, :],
                )
                for block in self.blocks
            ),
        )


def cone_of_influence(n_times: int, sfreq: float) -> NDArray[np.float64]:
    """Longest period unharmed by the recording's ends, at each sample.

    Shapes: returns (n_times,).

    Examples
    --------
    >>> cone_of_influence(5, 1.0).round(2).tolist()
    [0.37, 1.1, 1.83, 1.1, 0.37]
    """
    distance = n_times / 2 - np.abs(np.arange(n_times) - (n_times - 1) / 2)
    return np.asarray(FOURIER_FACTOR / sfreq * distance / np.sqrt(2))


def band_periods(band: tuple[float, float]) -> NDArray[np.float64]:
    """List the periods of a band on the common grid ``10 s x 2^(j/12)``.

    Shapes: returns (n_scales,).

    Examples
    --------
    >>> band_periods((0.02, 0.1))[[0, -1]].round(2).tolist()
    [10.0, 47.57]
    """
    low, high = _checked_band(band)
    first = np.ceil(VOICES * np.log2(1 / (high * ANCHOR_S)) - 1e-9)
    last = np.floor(VOICES * np.log2(1 / (low * ANCHOR_S)) + 1e-9)
    if last < first:
        raise InputError(
            f"band={band} Hz lies between two of the {VOICES} wavelet scales per octave; "
            f"the high edge must be at least {2 ** (1 / VOICES):.3f} times the low one"
        )
    return np.asarray(ANCHOR_S * 2.0 ** (np.arange(first, last + 1) / VOICES))


def period_grid(periods: NDArray[np.float64], sfreq: float) -> NDArray[np.float64]:
    """Fill in twelve periods per octave between the shortest and the longest, or check that they are.

    Shapes: ``periods`` (n_periods,), returns (n_scales,).

    Examples
    --------
    >>> period_grid(np.array([10.0, 12.0]), sfreq=1.0).round(2).tolist()
    [10.0, 10.59, 11.22, 11.89]
    """
    if periods.ndim != 1 or len(periods) < 2 or not 2 / sfreq < periods[0] or not (np.diff(periods) > 0).all():
        raise InputError(f"periods must be rising, in seconds, and above two samples ({2 / sfreq:g} s); got {periods}")
    count = int(np.floor(VOICES * np.log2(periods[-1] / periods[0]) + 1e-6)) + 1
    grid = periods[0] * 2.0 ** (np.arange(count) / VOICES)
    if len(periods) > 2 and not (len(periods) == count and np.allclose(periods, grid, rtol=1e-3)):
        raise InputError(
            f"periods must be {VOICES} per octave, which the smoothing over periods is made for; "
            f"give only the limits, ({periods[0]:g}, {periods[-1]:g})"
        )
    return np.asarray(grid)


def wavelet_transform(
    x: ArrayLike, sfreq: float, band: tuple[float, float], *, oversampling: float | None = 2.0
) -> WaveletTransform:
    """Transform channels for one band, guard scales and smoothed power included.

    The mean is removed and each channel divided by its standard deviation (coherence does not depend on either), then
    zero-padded to twice its length. Each group of up to eight scales is computed at a rate of its own, ``oversampling``
    times the highest frequency that its shortest wavelet passes, by cutting the spectrum.

    Shapes: ``x`` (..., n_channels, n_times).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((3, 1200))
    >>> transform = wavelet_transform(x, sfreq=4.0, band=(0.02, 0.1))
    >>> transform.n_channels, len(transform.periods), round(transform.valid_fraction, 2)
    (3, 28, 0.78)
    """
    data = _checked_signals(x)
    periods = band_periods(band)
    _check_fits(data.shape[-1], sfreq, band)
    if oversampling is not None and not oversampling >= 1:
        raise InputError(f"oversampling={oversampling} must be at least 1, or None for the full rate")
    spectrum = _standardised(data, sfreq)
    groups = [periods] if oversampling is None else np.array_split(periods, -(-len(periods) // BLOCK_SCALES))
    blocks = tuple(scale_block(spectrum, _with_guard(group), GUARD, oversampling) for group in groups)
    edges = (float(band[0]), float(band[1]))
    return WaveletTransform(float(sfreq), edges, data.shape[-1], oversampling, blocks)


def transform_periods(x: ArrayLike, sfreq: float, periods: NDArray[np.float64]) -> WaveletTransform:
    """Transform at exactly these periods, full rate, no guard scales: the map that ``wtc.m`` draws.

    Shapes: ``x`` (..., n_channels, n_times), ``periods`` (n_scales,).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 100))
    >>> transform_periods(x, 1.0, band_periods((0.1, 0.2))).n_times
    100
    """
    data = _checked_signals(x)
    block = scale_block(_standardised(data, sfreq), np.asarray(periods), 0, None)
    band = (float(1 / periods[-1]), float(1 / periods[0]))
    return WaveletTransform(float(sfreq), band, data.shape[-1], None, (block,))


def _checked_band(band: tuple[float, float]) -> tuple[float, float]:
    edges = tuple(float(edge) for edge in band)
    if len(edges) != 2 or not 0 < edges[0] < edges[1] < np.inf:
        raise InputError(f"band={band!r} must be (low, high) in Hz with 0 < low < high")
    return edges[0], edges[1]


def _checked_signals(x: ArrayLike) -> NDArray[Any]:
    data = np.asarray(x)
    if np.iscomplexobj(data) or data.ndim < 1 or data.dtype.kind not in "fiub":
        raise InputError(f"x must be real signals (..., n_channels, n_times); got {data.dtype}, shape {data.shape}")
    if data.dtype != np.float32:
        data = data.astype(np.float64)
    return np.atleast_2d(data)


def _check_fits(n_times: int, sfreq: float, band: tuple[float, float]) -> None:
    if not 0 < sfreq < np.inf or band[1] >= sfreq / 2:
        raise InputError(f"band={band} Hz must end below half the sampling frequency sfreq={sfreq} Hz")
    if n_times < MIN_SAMPLES:
        raise InputError(f"x has {n_times} samples; a wavelet transform needs at least {MIN_SAMPLES}")


def _with_guard(periods: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.arange(-GUARD, len(periods) + GUARD)
    return np.asarray(periods[0] * 2.0 ** (steps / VOICES))


def _standardised(data: NDArray[Any], sfreq: float) -> PaddedSpectrum:
    finite = np.isfinite(data).all(axis=-1)
    data = np.where(finite[..., None], data, 0)
    flat = np.ptp(data, axis=-1) <= 4 * np.finfo(data.dtype).eps * np.abs(data).max(axis=-1)
    usable = finite & ~flat
    data = data - data.mean(axis=-1, keepdims=True)
    data = data / np.where(usable, data.std(axis=-1), 1)[..., None]
    n_times = data.shape[-1]
    return PaddedSpectrum(fft.rfft(data, n=2 * n_times, axis=-1), usable, n_times, float(sfreq))
