"""Wavelet coefficients of neighbouring scales on one time grid, and their smoothing over time and scale.

Smoothing a product of coefficients with a short Gaussian at few output times is a small matrix product for
all pairs of channels at once; at full rate, where the Gaussian is long, it is done by FFT.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

OMEGA0 = 6.0  # Torrence & Compo 1998: smallest rounded value for which the Morlet wavelet is admissible
FOURIER_FACTOR = 4 * np.pi / (OMEGA0 + np.sqrt(2 + OMEGA0**2))  # period = 1.03304 x scale, Torrence & Compo table 1
VOICES = 12  # scales per octave (dj = 1/12), Grinsted et al. 2004
SCALE_KERNEL = np.array([0.6, 1, 1, 1, 1, 1, 1, 1, 0.6]) / 8.2  # Grinsted et al. 2004, for dj = 1/12
GUARD = len(SCALE_KERNEL) // 2  # scales needed on each side of the band, else the band's edge changes
WAVELET_REACH = 4.0  # in standard deviations of the wavelet's spectrum (amplitude there 3e-4 of the peak)
KERNEL_REACH = 4.5  # in standard deviations of the smoothing Gaussian (7e-6 of its area lies beyond)
TILE = 0.95  # our choice: one output per this many scales of time; coherence changes more slowly


@dataclass(frozen=True)
class PaddedSpectrum:
    """Channels of unit variance in the frequency domain.

    Attributes
    ----------
    values : ndarray, shape (..., n_channels, n_times + 1)
        Real FFT of the channels followed by as many zeros.
    usable : ndarray, shape (..., n_channels)
        False for a channel that is constant or not finite.
    n_times, sfreq : int, float
        Samples before padding, sampling frequency in Hz.
    """

    values: NDArray[Any]
    usable: NDArray[np.bool_]
    n_times: int
    sfreq: float


@dataclass(frozen=True)
class ScaleBlock:
    """Neighbouring scales on one common time grid.

    Attributes
    ----------
    scales : ndarray, shape (n_scales,)
        In seconds, the guard scales included.
    mixing : ndarray, shape (n_band, n_scales)
        The scale kernel: which scales each scale of the band is averaged over.
    kernels : tuple of ndarray
        The Gaussian of each scale on this time grid, sum one; empty at full rate, where the FFT smooths.
    coefficients : ndarray, shape (..., n_scales, n_channels, n_samples + 2 * margin)
        Complex coefficients divided by the square root of the scale, with zeros of ``margin`` samples
        on both sides.
    power : ndarray, shape (..., n_band, n_channels, n_out)
        Squared magnitude smoothed over time and scale; NaN for a channel that cannot be used.
    weights : ndarray, shape (n_band, n_out)
        Samples of the full-rate recording inside the cone of influence that each output represents.
    samples_per_scale : ndarray, shape (n_scales,)
        Each scale in samples of this time grid.
    margin, hop : int
        Zeros on each side, samples per output.
    """

    scales: NDArray[np.float64]
    mixing: NDArray[Any]
    kernels: tuple[NDArray[Any], ...]
    coefficients: NDArray[Any]
    power: NDArray[Any]
    weights: NDArray[Any]
    samples_per_scale: NDArray[np.float64]
    margin: int
    hop: int

    @property
    def band_scales(self) -> NDArray[np.float64]:
        """Scales in seconds without the guard scales, shape (n_band,)."""
        guard = (len(self.scales) - len(self.mixing)) // 2
        return np.asarray(self.scales[guard : guard + len(self.mixing)])

    @property
    def n_out(self) -> int:
        """Number of output times."""
        return int(self.weights.shape[-1])


def cross_spectra(a: ScaleBlock, b: ScaleBlock, slab: int = 2**22) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """Smooth the cross-spectrum of all pairs, a few output times at once so that the work stays in cache.

    Shapes: ``cross`` (..., n_band, n_times, n_rows, n_b).
    """
    n_a, n_b = a.coefficients.shape[-2], b.coefficients.shape[-2]
    if not a.kernels:
        for channel in range(n_a):
            yield slice(channel, channel + 1), slice(0, a.n_out), _cross_by_fft(a, b, channel)
        return
    lead = math.prod(np.broadcast_shapes(a.coefficients.shape[:-3], b.coefficients.shape[:-3]))
    per_time = lead * len(a.scales) * n_a * n_b * a.coefficients.itemsize
    count = max(1, slab // max(per_time, 1))
    for start in range(0, a.n_out, count):
        times = slice(start, min(start + count, a.n_out))
        cross = [
            np.matmul(_windows(a, row, times).conj() * kernel, np.swapaxes(_windows(b, row, times), -1, -2))
            for row, kernel in enumerate(a.kernels)
        ]
        yield slice(0, n_a), times, _mix_scales(a.mixing, np.stack(cross, axis=-4), 3)


def _time_grid(n_times: int, fastest: float, sfreq: float, oversampling: float | None) -> tuple[int, int]:
    """Choose samples and hop of a block whose shortest scale is ``fastest`` seconds."""
    if oversampling is None:
        return n_times, 1
    rate = oversampling * (OMEGA0 + WAVELET_REACH) / (2 * np.pi * fastest)
    hop = _odd_below(TILE * fastest * min(rate, sfreq))
    n_samples = hop * int(fft.next_fast_len(int(np.ceil(n_times * rate / sfreq / hop)), real=False))
    return min(n_samples, n_times), hop


def _odd_below(value: float) -> int:
    """Largest odd number up to the value, at least 1: an odd tile has a sample in its middle."""
    return max(1, 2 * int((value + 1) // 2) - 1)


def scale_block(
    spectrum: PaddedSpectrum, periods: NDArray[np.float64], guard: int, oversampling: float | None
) -> ScaleBlock:
    """Transform channels at neighbouring periods.

    Shapes: ``periods`` (n_scales,).

    Examples
    --------
    >>> channels = PaddedSpectrum(np.ones((1, 101), dtype=complex), np.array([True]), n_times=100, sfreq=1.0)
    >>> scale_block(channels, np.array([10.0, 10.59]), guard=0, oversampling=None).power.shape
    (2, 1, 100)
    """
    n_times, sfreq = spectrum.n_times, spectrum.sfreq
    scales = periods / FOURIER_FACTOR
    n_samples, hop = _time_grid(n_times, float(scales[0]), sfreq, oversampling)
    step = n_times / n_samples
    kernels = () if oversampling is None else tuple(_gaussian(scale * sfreq / step) for scale in scales)
    margin = len(kernels[-1]) // 2 + hop if kernels else 0
    coefficients = _coefficients(spectrum, scales, n_samples, margin)
    real = coefficients.real.dtype
    block = ScaleBlock(
        scales=scales,
        mixing=_mixing(len(scales), guard).astype(real),
        kernels=tuple(kernel.astype(real) for kernel in kernels),
        coefficients=coefficients,
        power=np.empty(0, dtype=real),
        weights=_cone_weights(periods[guard : len(periods) - guard], n_times, sfreq, step * hop).astype(real),
        samples_per_scale=scales * sfreq / step,
        margin=margin,
        hop=hop,
    )
    power = _smoothed_power(block)
    return replace(block, power=np.where(spectrum.usable[..., None, :, None], power, np.array(np.nan, dtype=real)))


def _gaussian(sigma: float) -> NDArray[np.float64]:
    reach = int(np.ceil(KERNEL_REACH * sigma))
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return np.asarray(kernel / kernel.sum())


def _mixing(n_scales: int, guard: int) -> NDArray[np.float64]:
    """Scale kernel as a matrix from all scales to those inside the guard."""
    full = sum(SCALE_KERNEL[offset + GUARD] * np.eye(n_scales, k=offset) for offset in range(-GUARD, GUARD + 1))
    return np.asarray(full)[guard : n_scales - guard]


def _coefficients(spectrum: PaddedSpectrum, scales: NDArray[np.float64], n_samples: int, margin: int) -> NDArray[Any]:
    """Morlet coefficients over the root of the scale, in the middle of equal parts of the recording."""
    values, sfreq = spectrum.values, spectrum.sfreq
    length, step = 2 * n_samples, spectrum.n_times / n_samples
    n_bins = min(values.shape[-1] - 1, length)
    omega = np.arange(n_bins) * (np.pi / spectrum.n_times)  # rad per full-rate sample
    shifted = values[..., :n_bins] * np.exp(0.5j * (step - 1) * omega).astype(values.dtype)
    gain = np.sqrt(2 * np.pi * sfreq) * np.pi**-0.25 / step
    shape = (*values.shape[:-2], len(scales), values.shape[-2], n_samples + 2 * margin)
    out = np.zeros(shape, dtype=values.dtype)
    for row, scale in enumerate(scales):
        wavelet = gain * np.exp(-((scale * sfreq * omega - OMEGA0) ** 2) / 2)
        wavelet[0] = 0
        series = fft.ifft(shifted * wavelet.astype(shifted.real.dtype), n=length, axis=-1)
        out[..., row, :, margin : margin + n_samples] = series[..., :n_samples]
    return out


def _cone_weights(periods: NDArray[np.float64], n_times: int, sfreq: float, tile: float) -> NDArray[np.float64]:
    """Share the valid full-rate samples of each period among the outputs.

    Between outputs the values count as interpolated (cubic), because coherence is steep where the cone cuts
    it.
    """
    middle = (n_times - 1) / 2
    reach = (n_times / 2 - np.sqrt(2) * periods * sfreq / FOURIER_FACTOR + 1e-9)[:, None]
    first, last = np.ceil(middle - reach) - 0.5, np.floor(middle + reach) + 0.5
    centres = (np.arange(int(np.ceil(n_times / tile - 1e-9))) + 0.5) * tile - 0.5
    share = _cubic_area if tile > 1 else _box_area
    inside = tile * (share((last - centres) / tile) - share((first - centres) / tile))
    return np.asarray(np.where(reach >= 0, inside, 0))


def _cubic_area(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area left of the edge under the cubic kernel of Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711."""
    u = np.minimum(np.abs(edge), 2)
    near = 0.375 * u**4 - 2.5 / 3 * u**3 + u
    far = -0.125 * u**4 + 2.5 / 3 * u**3 - 2 * u**2 + 2 * u - 1 / 6
    return np.asarray(0.5 + np.sign(edge) * np.where(u <= 1, near, far))


def _box_area(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area of the unit box left of the edge."""
    return np.asarray(np.clip(edge, -0.5, 0.5) + 0.5)


def _windows(block: ScaleBlock, scale: int, times: slice) -> NDArray[Any]:
    """View of the samples under the Gaussian at each output time: (..., n_out, n_channels, n_taps)."""
    taps, n_out = len(block.kernels[scale]), times.stop - times.start
    start = block.margin + block.hop // 2 - taps // 2 + block.hop * times.start
    part = block.coefficients[..., scale, :, start : start + block.hop * (n_out - 1) + taps]
    *lead, channel, sample = part.strides
    shape = (*part.shape[:-2], n_out, part.shape[-2], taps)
    # numpy's sliding_window_view takes as long as the products that these views enter
    return np.lib.stride_tricks.as_strided(part, shape, (*lead, block.hop * sample, channel, sample), writeable=False)


def _mix_scales(mixing: NDArray[Any], stack: NDArray[Any], trailing: int) -> NDArray[Any]:
    """Apply the scale kernel to the axis that is followed by ``trailing`` others."""
    kept = stack.shape[stack.ndim - trailing :]
    flat = stack.reshape(*stack.shape[: stack.ndim - trailing], -1)
    mixed = np.matmul(mixing, flat.view(mixing.dtype)).view(flat.dtype)
    return np.asarray(mixed.reshape(*mixed.shape[:-1], *kept))


def _smoothed_power(block: ScaleBlock) -> NDArray[Any]:
    if not block.kernels:
        power = np.square(np.abs(block.coefficients))
        return _mix_scales(block.mixing, _smooth_by_fft(block, power), 2)
    everything = slice(0, block.n_out)
    rows = [
        np.swapaxes(np.matmul(np.square(np.abs(_windows(block, scale, everything))), kernel), -1, -2)
        for scale, kernel in enumerate(block.kernels)
    ]
    return _mix_scales(block.mixing, np.stack(rows, axis=-3), 2)


def _smooth_by_fft(block: ScaleBlock, product: NDArray[Any]) -> NDArray[Any]:
    """Gaussian along the last axis of (..., n_scales, n_series, n_times), zero-padded; in place."""
    n_times = product.shape[-1]
    length = fft.next_fast_len(2 * n_times, real=False)
    omega = 2 * np.pi * fft.fftfreq(length)
    for row, sigma in enumerate(block.samples_per_scale):
        response = np.exp(-((sigma * omega) ** 2) / 2).astype(block.mixing.dtype)
        series = fft.ifft(fft.fft(product[..., row, :, :], n=length, axis=-1) * response, axis=-1)[..., :n_times]
        product[..., row, :, :] = series if np.iscomplexobj(product) else series.real
    return product


def _cross_by_fft(a: ScaleBlock, b: ScaleBlock, channel: int) -> NDArray[Any]:
    """All partners of one channel at full rate: (..., n_band, n_times, 1, n_b)."""
    product = a.coefficients[..., channel : channel + 1, :].conj() * b.coefficients
    mixed = _mix_scales(a.mixing, _smooth_by_fft(a, product), 2)
    return np.swapaxes(mixed, -1, -2)[..., None, :]
