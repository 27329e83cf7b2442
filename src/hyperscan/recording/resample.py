"""Band-limited interpolation: samples at the times of another clock."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy import signal

#: Samples on each side that a value rests on, and the Kaiser window's beta: flat within 0.1 % to 0.42 of the
#: sampling
#: rate (our choice; 105 Hz at 250 Hz).
_HALF = 16
_BETA = 9.0
#: Steps between two samples; the nearest is used, so times err by at most 1/4096 of a sample.
_PHASES = 2048
#: Two rates closer than this differ by their clocks, not by their settings (our choice; 500 and 499.99 Hz).
SAME_RATE = 1e-3


def _weights() -> np.ndarray:
    fraction = np.arange(_PHASES + 1)[:, None] / _PHASES
    distance = fraction - np.arange(1 - _HALF, _HALF + 1)
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / _HALF) ** 2, 0, None))) / np.i0(_BETA)
    weights = np.sinc(distance) * window
    return weights / weights.sum(axis=1, keepdims=True)


def interpolate(data: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Values between samples, by a windowed sinc.

    Parameters
    ----------
    data : ndarray, shape (n_channels, n_times)
        Samples.
    positions : ndarray, shape (n_out,)
        Ascending, in samples from the first one, within the data.

    Returns
    -------
    ndarray, shape (n_channels, n_out)
        In the unit of the data.

    Examples
    --------
    >>> t = np.arange(200.0)
    >>> found = interpolate(np.sin(0.3 * t)[None], np.array([100.25, 101.25]))[0]
    >>> bool(np.allclose(found, np.sin(0.3 * np.array([100.25, 101.25])), atol=1e-4))
    True
    """
    table = _weights()
    phase = np.rint(positions * _PHASES).astype(np.int64)
    whole, part = np.divmod(phase, _PHASES)
    # between two jumps of the whole part, taps are plain slices
    breaks = np.flatnonzero(np.diff(whole) != 1) + 1
    if len(breaks) > len(positions) // 64 + 8:
        return _gather(data, whole, table[part])
    out = np.empty((data.shape[0], len(positions)))
    edges = np.unique(np.concatenate([[0, len(positions)], breaks, np.arange(0, len(positions), 8192)]))
    for first, last in pairwise(edges):
        block = _around(data, int(whole[first]), int(last - first))
        # tap first, so that every step runs along memory
        weights = np.ascontiguousarray(table[part[first:last]].T)
        total = out[:, first:last]
        total[:] = 0.0
        for tap in range(2 * _HALF):
            total += block[:, tap : tap + last - first] * weights[tap]
    return out


def _around(data: np.ndarray, first: int, n: int) -> np.ndarray:
    start, stop = first + 1 - _HALF, first + n + _HALF
    block = data[:, max(start, 0) : max(min(stop, data.shape[1]), 0)]
    missing = (max(0, -start), max(0, stop - data.shape[1]))
    return np.pad(block, ((0, 0), missing), mode="edge") if any(missing) else block


def _gather(data: np.ndarray, whole: np.ndarray, weights: np.ndarray) -> np.ndarray:
    out = np.zeros((data.shape[0], len(whole)))
    for tap in range(2 * _HALF):
        index = np.clip(whole + 1 - _HALF + tap, 0, data.shape[1] - 1)
        out += data[:, index] * weights[:, tap]
    return out


def lower_rate(data: np.ndarray, sfreq: float, target: float) -> tuple[np.ndarray, float]:
    """Resample to about a lower rate, anti-aliased and without delay.

    Parameters
    ----------
    data : ndarray, shape (n_channels, n_times)
        Samples.
    sfreq, target : float
        Rate of the data and wanted rate, in Hz.

    Returns
    -------
    data : ndarray, shape (n_channels, n_out)
        The first sample stays where it was in time.
    sfreq : float
        Rate reached, in Hz: a simple fraction of the old one. Unchanged where the target is not lower.

    Examples
    --------
    >>> lower_rate(np.zeros((1, 1000)), 512.0, 256.0)[1]
    256.0
    """
    if sfreq <= target * (1 + SAME_RATE):
        return data, sfreq
    ratio = Fraction(target / sfreq).limit_denominator(512)
    # one channel at a time: scipy's padding copies what it is given
    rows = [signal.resample_poly(row, ratio.numerator, ratio.denominator, padtype="line") for row in data]
    return np.array(rows), sfreq * ratio.numerator / ratio.denominator
