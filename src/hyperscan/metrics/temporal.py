"""Correlation over time beyond lag 0, and correlation that autocorrelation does not inflate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError
from hyperscan.metrics.arrays import in_samples, leading_shape, real_pair
from hyperscan.metrics.engine.preparations import SERIES
from hyperscan.transforms.regression import BISQUARE, ar_whitener

__all__ = ["ar_corr", "xcorr", "xcorr_lag"]

_MAD_TO_SD = 1.4826  # of a Gaussian


def innovations(x: NDArray[np.float64], max_order: int) -> NDArray[np.float64]:
    """Prediction errors of each channel's best autoregressive model, in robust standard units.

    The first ``max_order`` samples are left out for all channels, so that the errors of two people stay paired.

    Shapes: ``x`` (..., n_channels, n_times), returns (..., n_channels, n_times - max_order).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.cumsum(np.random.default_rng(0).standard_normal((1, 1000)), axis=-1)
    >>> e = innovations(x, 5)
    >>> bool(abs(np.corrcoef(e[0, 1:], e[0, :-1])[0, 1]) < 0.1)
    True
    """
    n, centred = x.shape[-1], x - x.mean(axis=-1, keepdims=True)
    filters = ar_whitener(x, max_order)[..., np.newaxis]
    return _robust_units(
        np.asarray(sum(filters[..., k, :] * centred[..., max_order - k : n - k] for k in range(max_order + 1)))
    )


def _robust_units(x: NDArray[Any]) -> NDArray[Any]:
    centred = x - np.median(x, axis=-1, keepdims=True)
    spread = _MAD_TO_SD * np.median(np.abs(centred), axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(centred / np.where(spread > 0, spread, np.nan))


_BLOCK_BYTES = 2**24  # of the inverse transforms held at once (our choice)


def xcorr(a: NDArray[Any], b: NDArray[Any], sfreq: float, max_lag_s: float = 1.0) -> NDArray[Any]:
    """Cross-correlation at the lag where it is strongest.

    Correlations at all lags up to ``max_lag_s`` are taken over the whole window (samples that have no partner
    count as zero), and the one largest in magnitude is returned with its sign.

    Parameters
    ----------
    a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Real signals of therapist and client. Leading dims broadcast.
    sfreq : float
        Sampling rate in Hz.
    max_lag_s : float
        Largest lag in seconds, to both sides. 1 s suits EEG, 20 s fNIRS: a run takes it from the setting
        ``max_lag_s`` (our choice).

    Returns
    -------
    array, shape (..., n_a, n_b)
        From -1 to 1. The largest of many: unrelated signals are far from 0. NaN where a channel holds a NaN
        or is flat.

    Raises
    ------
    InputError
        If an array is complex, the shapes do not fit, or the lag is not shorter than the window.

    References
    ----------
    Boker et al. 2002, doi:10.1037/1082-989X.7.3.338

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1003))
    >>> xcorr(x[:, 3:], x[:, :-3], 100.0).round(1)  # the client follows three samples later
    array([[1.]])
    """
    return _strongest(a, b, sfreq, max_lag_s)[0]


def xcorr_lag(a: NDArray[Any], b: NDArray[Any], sfreq: float, max_lag_s: float = 1.0) -> NDArray[Any]:
    """Lag in seconds at which the cross-correlation is strongest; positive if the therapist leads.

    Parameters
    ----------
    a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Real signals of therapist and client. Leading dims broadcast.
    sfreq : float
        Sampling rate in Hz.
    max_lag_s : float
        Largest lag in seconds, to both sides. 1 s suits EEG, 20 s fNIRS: a run takes it from the setting
        ``max_lag_s`` (our choice).

    Returns
    -------
    array, shape (..., n_a, n_b)
        In seconds, from ``-max_lag_s`` to ``max_lag_s``; any value for unrelated signals. NaN where a channel
        holds a NaN or is flat.

    Raises
    ------
    InputError
        If an array is complex, the shapes do not fit, or the lag is not shorter than the window.

    References
    ----------
    Boker et al. 2002, doi:10.1037/1082-989X.7.3.338

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1003))
    >>> xcorr_lag(x[:, 3:], x[:, :-3], 100.0)  # the client follows three samples later
    array([[0.03]])
    """
    return _strongest(a, b, sfreq, max_lag_s)[1]


def ar_corr(a: NDArray[Any], b: NDArray[Any], sfreq: float, memory_s: float = 4.0) -> NDArray[Any]:
    """Robust correlation of what is new in each signal: autocorrelation and outliers removed.

    Each channel is predicted from its own past by an autoregressive model (Burg's method, order up to
    ``memory_s`` chosen by the Bayesian criterion); the prediction errors are correlated with bisquare weights
    on their joint distance from the centre.

    Parameters
    ----------
    a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Real signals of therapist and client. Leading dims broadcast.
    sfreq : float
        Sampling rate in Hz.
    memory_s : float
        Longest past used, in seconds; at most a quarter of the window.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From -1 to 1, 0 for unrelated signals, however slow. NaN where a channel holds a NaN, is flat, or brings
        nothing new in half of its samples (a step).

    Raises
    ------
    InputError
        If an array is complex, the shapes do not fit, or ``memory_s`` or ``sfreq`` is not positive.

    References
    ----------
    Santosa et al. 2017, doi:10.1117/1.JBO.22.5.055002

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> walks = np.cumsum(rng.standard_normal((2, 2000)), axis=-1)
    >>> abs(ar_corr(walks[:1], walks[1:], 10.0)).round(1)
    array([[0.]])
    """
    from hyperscan.metrics.engine.pair_kernels import robust_correlation

    first, second = real_pair(a, b)
    order = max(1, min(in_samples("memory_s", memory_s, sfreq), first.shape[-1] // 4))
    news = [innovations(x.astype(np.float64), order) for x in (first, second)]
    lead = leading_shape(first, second)
    out = np.empty((*lead, first.shape[-2], second.shape[-2]))
    whole = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in news]
    for where in np.ndindex(*lead):
        rows = [np.ascontiguousarray(x[where]) for x in whole]
        robust_correlation(rows[0], rows[1], BISQUARE, out[where])
    return np.asarray(np.clip(out, -1, 1).astype(first.dtype))


def _strongest(a: NDArray[Any], b: NDArray[Any], sfreq: float, max_lag_s: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Strongest correlation and its lag in seconds, (..., n_a, n_b) both."""
    first, second = real_pair(a, b)
    n = first.shape[-1]
    reach = in_samples("max_lag_s", max_lag_s, sfreq)
    if reach >= n:
        raise InputError(f"max_lag_s must be below the window of {n / sfreq:g} s, got {max_lag_s:g} s.")
    lead = leading_shape(first, second)
    value = np.empty((*lead, first.shape[-2], second.shape[-2]), dtype=first.dtype)
    lag = np.empty_like(value)
    whole = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (first, second)]
    for where in np.ndindex(*lead):
        _one_window(whole[0][where], whole[1][where], reach, value[where], lag[where])
    return value, lag / first.dtype.type(sfreq)


def _one_window(a: NDArray[Any], b: NDArray[Any], reach: int, value: NDArray[Any], lag: NDArray[Any]) -> None:
    """Write the strongest correlation and its lag in samples."""
    from scipy.fft import irfft, next_fast_len, rfft

    n = a.shape[-1]
    n_fft = next_fast_len(n + reach, real=True)
    spectra = [np.conj(rfft(_standardised(a), n_fft)), rfft(_standardised(b), n_fft)]
    lags = np.arange(-reach, reach + 1)
    step = max(1, _BLOCK_BYTES // (n_fft * b.shape[0] * a.itemsize))
    for start in range(0, a.shape[0], step):
        block = slice(start, start + step)
        # conj(A) B: at a positive lag the client repeats what the therapist did before.
        curve = irfft(spectra[0][block, np.newaxis] * spectra[1], n_fft)[..., lags] / n
        best = np.argmax(np.abs(curve), axis=-1)[..., np.newaxis]
        peak = np.take_along_axis(curve, best, axis=-1)[..., 0]
        value[block] = np.clip(peak, -1, 1)
        lag[block] = np.where(np.isnan(peak), np.nan, lags[best[..., 0]])


def _standardised(x: NDArray[Any]) -> NDArray[Any]:
    rows = np.ascontiguousarray(x)
    out = np.empty_like(rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        SERIES.fill(rows, SERIES.measure(rows), out)
    return out
