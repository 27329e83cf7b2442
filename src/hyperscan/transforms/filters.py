"""Band-limited analytic signals by one zero-phase FIR filter, the design MNE uses by default.

The filter and the Hilbert transform are applied together, as one multiplication in the frequency domain:
per band one inverse FFT, and one forward FFT for all bands. Channels are handled in blocks, so that next to
input, spectrum and output only one block is held.

A NaN sample makes the output NaN as far as the filter reaches (half its length to both sides), in that
channel. A flat channel gives exact zeros, which every metric turns into NaN. Constant offsets are removed
first.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import DataQualityWarning, InputError

# Length of a Hamming-windowed filter times its transition width (Ifeachor and Jervis 2002, Digital Signal
# Processing, 2nd ed., ch. 7), and MNE's default transition width: a quarter of the edge, at least 2 Hz.
_LENGTH_FACTOR = 3.3
_TRANSITION_RATIO = 0.25
_TRANSITION_MIN_HZ = 2.0

_BLOCK_BYTES = 2**25  # of one inverse FFT: large enough to amortise the calls (our choice)


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

    The forward FFT is shared. Use and release one band before asking for the next, and only one band is held.

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
    if not sfreq > 0:
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
    pad = min(max(h.size for h in filters.values()) // 2 + 1, rows.shape[-1] - 1)
    n_fft = _fft_length(rows.shape[-1] + 2 * pad, decim)
    spectrum = _padded_spectrum(rows, pad, n_fft)
    gaps = _gaps(rows)
    for name, h in filters.items():
        yield name, _one_band(spectrum, h, x.shape, pad, n_fft, decim, gaps)


def _fft_length(n_min: int, decim: int) -> int:
    from scipy.fft import next_fast_len

    return decim * int(next_fast_len(-(-n_min // decim)))


def _padded_spectrum(rows: NDArray[Any], pad: int, n_fft: int) -> NDArray[Any]:
    """One-sided spectra of the channels, continued at both ends by their point reflection."""
    from scipy.fft import rfft

    n = rows.shape[-1]
    complex_type = np.result_type(rows.dtype, np.complex64)
    spectrum = np.empty((rows.shape[0], n_fft // 2 + 1), dtype=complex_type)
    buffer = np.zeros(n_fft, dtype=rows.dtype)
    inner = buffer[pad : pad + n]
    for row, first, out in zip(rows, rows[:, 0], spectrum, strict=True):
        # Subtracting the first sample before the mean leaves exact zeros of a flat channel.
        np.subtract(row, first if np.isfinite(first) else 0, out=inner)
        inner -= inner.mean()
        if not np.isfinite(inner).all():
            inner[:] = _bridged(row)
        buffer[:pad] = 2 * inner[0] - inner[pad:0:-1]
        buffer[pad + n : pad + n + pad] = 2 * inner[-1] - inner[-2 : -pad - 2 : -1]
        out[:] = rfft(buffer)
    return spectrum


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


def _one_band(
    spectrum: NDArray[Any],
    h: NDArray[np.float64],
    shape: tuple[int, ...],
    pad: int,
    n_fft: int,
    decim: int,
    gaps: Mapping[int, NDArray[np.intp]],
) -> NDArray[Any]:
    n = shape[-1]
    gain = _analytic_gain(h, n_fft, spectrum.real.dtype, pad if decim > 1 else 0)
    first = 0 if decim > 1 else pad
    n_out = -(-n // decim)
    z = np.empty((spectrum.shape[0], n_out), dtype=spectrum.dtype)
    step = max(1, _BLOCK_BYTES // (n_fft * spectrum.itemsize))
    for start in range(0, spectrum.shape[0], step):
        block = slice(start, start + step)
        z[block] = _inverse(spectrum[block], gain, n_fft, decim)[:, first : first + n_out]
    for row, gap in gaps.items():
        z[row, _reach(gap, h.size // 2, n)[::decim]] = np.nan
    return z.reshape(*shape[:-1], n_out)


def _analytic_gain(h: NDArray[np.float64], n_fft: int, dtype: np.dtype[Any], shift: int) -> NDArray[Any]:
    """Zero-phase gain, doubled at positive frequencies, and a shift of the origin for decimated output."""
    from scipy.fft import rfft

    # Taps that would wrap around a transform shorter than the filter are added up, as time is circular here.
    place = (np.arange(h.size) - h.size // 2 - shift) % n_fft
    gain = rfft(np.bincount(place, weights=h, minlength=n_fft))
    gain[1 : (n_fft + 1) // 2] *= 2
    if not shift:
        return np.asarray(gain.real, dtype=dtype)
    return np.asarray(gain, dtype=np.result_type(dtype, np.complex64))


def _inverse(spectrum: NDArray[Any], gain: NDArray[Any], n_fft: int, decim: int) -> NDArray[Any]:
    from scipy.fft import ifft

    n_rows, n_positive = spectrum.shape
    full = np.zeros((n_rows, n_fft), dtype=spectrum.dtype)
    np.multiply(spectrum, gain, out=full[:, :n_positive])
    if decim > 1:
        # Every decim-th sample of a signal is the inverse transform of its spectrum folded decim times.
        full = full.reshape(n_rows, decim, n_fft // decim).mean(axis=1)
    return np.asarray(ifft(full, axis=-1, overwrite_x=True))


def _reach(gap: NDArray[np.intp], half: int, n: int) -> NDArray[np.bool_]:
    """Mark the samples within the filter's reach of a gap."""
    edges = np.zeros(n + 1, dtype=np.int64)
    np.add.at(edges, np.maximum(gap - half, 0), 1)
    np.add.at(edges, np.minimum(gap + half + 1, n), -1)
    return np.cumsum(edges[:-1]) > 0
