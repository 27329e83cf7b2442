"""Band-limited analytic signals by one zero-phase FIR filter, the design MNE uses by default.

The filter and the Hilbert transform are applied together, as one multiplication in the frequency domain, to
overlapping blocks of a channel that stay in the processor's cache (overlap-save): next to input and output only
one channel is held.

A NaN sample makes the output NaN as far as the filter reaches (half its length to both sides), in that
channel. A flat channel gives exact zeros, which every metric turns into NaN. Constant offsets are removed
first.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import DataQualityWarning, InputError

# Length of a Hamming-windowed filter times its transition width (Ifeachor and Jervis 2002, Digital Signal
# Processing, 2nd ed., ch. 7), and MNE's default transition width: a quarter of the edge, at least 2 Hz.
_LENGTH_FACTOR = 3.3
_TRANSITION_RATIO = 0.25
_TRANSITION_MIN_HZ = 2.0

# Samples of a block, or so many lengths of the filter: short enough for the cache, long next to what overlaps; and
# bytes of the blocks that are transformed in one call (our choices).
_BLOCK_SAMPLES, _BLOCK_FILTERS = 2**13, 8
_GROUP_BYTES = 2**19

# How far beyond the filter its Hilbert transform is followed, at least: what lies further off is less than 1e-4 of the
# size of a signal without drift (measured by tests/test_transforms_filters.py; our choice).
_HILBERT_SAMPLES = 2**9


def analytic_signal(x: NDArray[Any], sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Band-limited analytic signal.

    Parameters
    ----------
    x : array, shape (..., n_times)
        Real signals, any unit. float32 is computed as float32, everything else as float64.
    sfreq : float
        Sampling rate in Hz.
    band : tuple of float
        Lower and upper pass-band edge in Hz, as ``l_freq`` and ``h_freq`` of :func:`mne.filter.filter_data`.

    Returns
    -------
    complex array, shape (..., n_times)
        Real part: the zero-phase filtered signal, imaginary part: its Hilbert transform, in the unit of x.

    Raises
    ------
    InputError
        If ``x`` is complex or empty, or the band does not fit the sampling rate.

    Warns
    -----
    DataQualityWarning
        If the filter is longer than the signal.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(2000) / 250
    >>> z = analytic_signal(3 * np.cos(2 * np.pi * 10 * t), 250.0, (8, 12))
    >>> float(np.abs(z)[1000].round(2))
    3.0
    """
    ((_, z),) = analytic_bands(x, sfreq, {"band": band})
    return z


def analytic_bands(
    x: NDArray[Any], sfreq: float, bands: Mapping[str, tuple[float, float]], *, decim: int = 1
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Band-limited analytic signals of several bands, one after the other.

    Use and release one band before asking for the next, and only one band is held.

    Shapes: ``x`` (..., n_times), ``z`` (..., ceil(n_times / decim).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((2, 1000))
    >>> [(name, z.shape) for name, z in analytic_bands(x, 250.0, {"alpha": (8, 12), "beta": (13, 30)})]
    [('alpha', (2, 1000)), ('beta', (2, 1000))]
    """
    signals = _checked_signals(x)
    if decim < 1:
        raise InputError(f"decim must be a positive integer, got {decim}.")
    filters = {name: design_band_pass(band, sfreq) for name, band in bands.items()}
    longest = max((h.size for h in filters.values()), default=1)
    if longest > signals.shape[-1]:
        warnings.warn(
            f"The band-pass filter needs {longest} samples ({longest / sfreq:.1f} s), the signal has "
            f"{signals.shape[-1]}: its edges dominate. Use longer segments or a wider band.",
            DataQualityWarning,
            stacklevel=2,
        )
    return _stream(signals, filters, decim)


def band_response(freqs: NDArray[Any], band: tuple[float, float], sfreq: float) -> NDArray[np.float64]:
    """Power response of the band filter.

    Shapes: ``freqs`` (n_freqs,), returns (n_freqs,).

    Examples
    --------
    >>> import numpy as np
    >>> band_response(np.array([2.0, 10.0, 20.0]), (8, 12), 250.0).round(2)
    array([0., 1., 0.])
    """
    h = design_band_pass(band, sfreq)
    half = h.size // 2
    # A symmetric filter about its middle has a real response: a sum of cosines.
    phase = 2 * np.pi * np.outer(np.asarray(freqs, dtype=float) / sfreq, np.arange(1, half + 1))
    gain = h[half] + 2 * np.cos(phase) @ h[half + 1 :]
    return np.asarray(gain**2, dtype=np.float64)


@functools.cache
def reaches_into(band: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether the filter of a band lets through more than a hundredth of the power somewhere in another one.

    Examples
    --------
    >>> reaches_into((4, 8), (8, 12)), reaches_into((13, 30), (8, 12)), reaches_into((30, 40), (8, 12))
    (True, True, False)
    """
    freqs = np.linspace(*other, 101)
    return bool((band_response(freqs, band, 4.0 * max(*band, *other)) > 0.01).any())


def design_band_pass(band: tuple[float, float], sfreq: float) -> NDArray[np.float64]:
    """Impulse response of the zero-phase FIR band-pass that MNE designs by default.

    The difference of two Hamming-windowed low-passes, each as long as its own transition band demands.

    Shapes: returns (n_taps,).

    Examples
    --------
    >>> design_band_pass((8, 12), 250.0).size
    413
    """
    low, high = _checked_band(band, sfreq)
    nyquist = sfreq / 2
    width_low = min(max(_TRANSITION_RATIO * low, _TRANSITION_MIN_HZ), low)
    width_high = min(max(_TRANSITION_RATIO * high, _TRANSITION_MIN_HZ), nyquist - high)
    upper = _low_pass(high + width_high / 2, width_high, sfreq)
    lower = _low_pass(low - width_low / 2, width_low, sfreq)
    h = np.zeros(max(upper.size, lower.size))
    _add_centred(h, upper)
    _add_centred(h, -lower)
    return h


def _low_pass(cutoff: float, width: float, sfreq: float) -> NDArray[np.float64]:
    n_taps = round(_LENGTH_FACTOR / width * sfreq)
    n_taps += 1 - n_taps % 2
    offset = np.arange(n_taps) - n_taps // 2
    h = np.sinc(2 * cutoff / sfreq * offset) * np.hamming(n_taps)
    return np.asarray(h / h.sum(), dtype=np.float64)


def _add_centred(total: NDArray[np.float64], part: NDArray[np.float64]) -> None:
    first = (total.size - part.size) // 2
    total[first : first + part.size] += part


def _checked_band(band: tuple[float, float], sfreq: float) -> tuple[float, float]:
    low, high = (float(edge) for edge in band)
    if not 0 < sfreq < np.inf:
        raise InputError(f"sfreq must be positive, in Hz, got {sfreq}.")
    if not 0 < low < high < sfreq / 2:
        raise InputError(
            f"band ({low:g}, {high:g}) Hz does not fit: allowed is 0 < low < high < {sfreq / 2:g} Hz, half "
            f"the sampling rate of {sfreq:g} Hz."
        )
    return low, high


def _checked_signals(x: NDArray[Any]) -> NDArray[Any]:
    signals = np.asarray(x)
    if np.iscomplexobj(signals) or signals.dtype.kind not in "fiub":
        raise InputError(f"x must be real numbers, got {signals.dtype}.")
    if signals.ndim < 1 or signals.shape[-1] < 2:
        raise InputError(f"x must have shape (..., n_times) with two samples or more, got {signals.shape}.")
    return signals if signals.dtype == np.float32 else signals.astype(np.float64, copy=False)


def _stream(
    x: NDArray[Any], filters: Mapping[str, NDArray[np.float64]], decim: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    if not filters:
        return
    rows = x.reshape(-1, x.shape[-1])
    gaps = _gaps(rows)
    for name, h in filters.items():
        yield name, _one_band(rows, h, gaps, decim).reshape(*x.shape[:-1], -1)


@dataclass(frozen=True)
class _Blocks:
    """How a channel is cut into overlapping blocks, of each of which the middle is kept (overlap-save)."""

    #: Samples of a channel, and of its continuation at both ends
    n_times: int
    n_reflected: int
    #: Samples of a block, and those at both of its ends that are not kept
    size: int
    margin: int
    #: Every which sample is kept
    decim: int

    @classmethod
    def of(cls, n_times: int, n_taps: int, decim: int) -> _Blocks:
        """Choose blocks for a filter: one block if all fits into it."""
        from scipy.fft import next_fast_len

        # The filter reaches half its length. Its Hilbert transform reaches further, but falls with the cube of the
        # distance, as the filter has no gain at 0 Hz.
        half = n_taps // 2
        margin = -(-(half + max(half, _HILBERT_SAMPLES)) // decim) * decim
        size = decim * int(next_fast_len(-(-max(_BLOCK_SAMPLES, _BLOCK_FILTERS * n_taps) // decim)))
        if n_times + 2 * margin <= size:
            size = decim * int(next_fast_len(-(-(n_times + 2 * margin) // decim)))
        return cls(n_times, min(half + 1, n_times - 1), size, margin, decim)

    @property
    def hop(self) -> int:
        """Samples from one block to the next."""
        return self.size - 2 * self.margin

    @property
    def number(self) -> int:
        """Blocks of a channel."""
        return -(-self.n_times // self.hop)

    def of_channel(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Cut a channel, continued at both ends by its point reflection, into blocks.

        Shapes: ``samples`` (n_times,), returns (n_blocks, size), a read-only view.
        """
        n, pad, first = self.n_times, self.n_reflected, self.margin
        buffer = np.zeros((self.number - 1) * self.hop + self.size, dtype=samples.dtype)
        inner = buffer[first : first + n]
        # Subtracting the first sample before the mean leaves exact zeros of a flat channel.
        np.subtract(samples, samples[0] if np.isfinite(samples[0]) else 0, out=inner)
        inner -= inner.mean()
        if not np.isfinite(inner).all():
            inner[:] = _bridged(samples)
        buffer[first - pad : first] = 2 * inner[0] - inner[pad:0:-1]
        buffer[first + n : first + n + pad] = 2 * inner[-1] - inner[-2 : -pad - 2 : -1]
        return np.lib.stride_tricks.sliding_window_view(buffer, self.size)[:: self.hop]


def _one_band(
    rows: NDArray[Any], h: NDArray[np.float64], gaps: Mapping[int, NDArray[np.intp]], decim: int
) -> NDArray[Any]:
    """Filter channels one after the other, a few blocks at a time, which stay in the processor's cache."""
    from scipy.fft import ifft, rfft

    n = rows.shape[-1]
    blocks = _Blocks.of(n, h.size, decim)
    hop, first = blocks.hop // decim, blocks.margin // decim
    z = np.empty((len(rows), -(-n // decim)), dtype=np.result_type(rows.dtype, np.complex64))
    gain = _analytic_gain(h, blocks.size, rows.dtype)
    step = max(1, _GROUP_BYTES // (blocks.size * z.itemsize))
    full = np.empty((min(step, blocks.number), blocks.size), dtype=z.dtype)
    for row, out in zip(rows, z, strict=True):
        cut = blocks.of_channel(row)
        for start in range(0, len(cut), step):
            some = cut[start : start + step]
            spectra = full[: len(some)]
            np.multiply(rfft(some), gain, out=spectra[:, : len(gain)])
            spectra[:, len(gain) :] = 0
            if decim > 1:
                # Every decim-th sample of a signal is the inverse transform of its spectrum folded decim times.
                spectra = spectra.reshape(len(some), decim, -1).mean(axis=1)
            kept = ifft(spectra, overwrite_x=True)[:, first : first + hop]
            place = out[start * hop : (start + len(some)) * hop]
            whole = len(place) // hop
            place[: whole * hop].reshape(whole, hop)[...] = kept[:whole]
            place[whole * hop :] = kept[whole:, : len(place) - whole * hop].ravel()
    for i, gap in gaps.items():
        z[i, _reach(gap, h.size // 2, n)[::decim]] = np.nan
    return z


def _analytic_gain(h: NDArray[np.float64], n_fft: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zero-phase gain, doubled at positive frequencies."""
    from scipy.fft import rfft

    gain = rfft(np.bincount((np.arange(h.size) - h.size // 2) % n_fft, weights=h, minlength=n_fft)).real
    gain[1 : (n_fft + 1) // 2] *= 2
    return np.asarray(gain, dtype=dtype)


def _bridged(row: NDArray[Any]) -> NDArray[Any]:
    """Fill non-finite samples by straight lines, and remove the mean; zeros if nothing is left."""
    good = np.isfinite(row)
    if not good.any():
        return np.zeros_like(row)
    where = np.arange(row.size)
    filled = np.interp(where, where[good], row[good] - row[good][0])
    return np.asarray(filled - filled.mean(), dtype=row.dtype)


def _gaps(rows: NDArray[Any]) -> dict[int, NDArray[np.intp]]:
    """Non-finite samples of the channels that have any."""
    bad = [i for i, row in enumerate(rows) if not np.isfinite(row.sum())]
    return {i: gap for i in bad if (gap := np.flatnonzero(~np.isfinite(rows[i]))).size}


def _reach(gap: NDArray[np.intp], half: int, n: int) -> NDArray[np.bool_]:
    """Mark the samples within the filter's reach of a gap."""
    edges = np.zeros(n + 1, dtype=np.int64)
    np.add.at(edges, np.maximum(gap - half, 0), 1)
    np.add.at(edges, np.minimum(gap + half + 1, n), -1)
    return np.cumsum(edges[:-1]) > 0
