"""A statistic of time-averaged products at short lags, from the windows that it is a mean over."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from hyperscan.errors import InputError
from hyperscan.nulls.lags import Foldable

#: A peak is what is above this share of its highest point (our choice: the half width that spectra are told by).
HALF = 0.5


def near_lags(a: NDArray[Any], b: NDArray[Any], statistic: Foldable, *, n_steps: int) -> NDArray[Any]:
    """Compute a statistic with the client's windows earlier and later by a few samples.

    One transform of each window gives all lags. Products stay inside their window: a lag leaves out its own length. A
    mean over time needs samples no closer than its products change, so windows may be thinned before.

    Parameters
    ----------
    a, b : array, shape (n_windows, n_a, n_window) and (n_windows, n_b, n_window)
        Windows of therapist and client in the domain of the statistic.
    statistic : Foldable
        One that needs no products without conjugation.
    n_steps : int
        Samples to each side; fewer than a window holds.

    Returns
    -------
    array, shape (2 * n_steps + 1, n_a, n_b)
        By lag, from ``-n_steps`` to ``n_steps``: at a positive one the client repeats what the therapist did before.

    Raises
    ------
    InputError
        If the lags do not fit into a window.

    Examples
    --------
    >>> from hyperscan.metrics import METRICS
    >>> rng = np.random.default_rng(0)
    >>> z = np.exp(2j * np.pi * rng.random((5, 1, 400)))
    >>> curve = near_lags(z[..., 3:], z[..., :-3], METRICS["plv"].moment, n_steps=5)
    >>> int(curve[:, 0, 0].argmax()) - 5  # the client is three samples late
    3
    """
    u, v = (np.ascontiguousarray(x.swapaxes(0, 1)) for x in (a, b))
    n_windows, m = u.shape[1:]
    if not 0 <= n_steps < m:
        raise InputError(f"n_steps = {n_steps} does not fit into windows of {m} samples; shorten the lag.")
    n_fft = fft.next_fast_len(m + n_steps)
    # channels by windows by bins -> bins by channels by windows
    prepared = [_prepared(x, statistic) for x in (u, v)]
    spectra = [fft.fft(x, n_fft, axis=-1).transpose(2, 0, 1) for x in prepared]
    sums = fft.ifft(spectra[0] @ np.conjugate(spectra[1]).swapaxes(1, 2), axis=0)
    steps = np.arange(-n_steps, n_steps + 1)
    counts = n_windows * (m - np.abs(steps)).astype(sums.real.dtype)
    # the transform's lag is by how much the therapist is late
    minus = sums[-steps] / counts[:, np.newaxis, np.newaxis]
    if not np.iscomplexobj(prepared[0]):
        minus = minus.real
    return np.asarray(statistic.finalise(minus, None, None, None))


def _prepared(x: NDArray[Any], statistic: Foldable) -> NDArray[Any]:
    """Prepare all windows of a person at once, (n_channels, n_windows, n_steps)."""
    rows = x.reshape(len(x), -1)
    return statistic.prepare(rows, statistic.measure(rows)).reshape(x.shape)


def lead_asymmetry(lags_s: NDArray[Any], curve: NDArray[Any]) -> NDArray[Any]:
    """Subtract the mean where the client leads from the mean where the therapist leads.

    Parameters
    ----------
    lags_s : array, shape (n_lags,)
        Lags of a profile in s, the same to both sides; positive = the therapist leads.
    curve : array, shape (..., n_lags)
        Profile of synchrony, or of its excess over chance.

    Returns
    -------
    array, shape (...)
        Positive where the therapist leads more.

    Examples
    --------
    >>> float(lead_asymmetry(np.array([-1, 0, 1]), np.array([0.1, 0.5, 0.3])).round(1))
    0.2
    """
    return np.asarray(curve[..., lags_s > 0].mean(axis=-1) - curve[..., lags_s < 0].mean(axis=-1))


def lag_peak(lags_s: NDArray[Any], curve: NDArray[Any]) -> float:
    """Find the lag of the highest point of a profile, by a parabola through its peak.

    The parabola is fitted to all lags around the highest at which the profile is above half of it, each weighted by how
    far above: three points alone make the lag of a broad peak as unsure as they are. At least the neighbours enter.

    Parameters
    ----------
    lags_s : array, shape (n_lags,)
        Evenly spaced lags in s.
    curve : array, shape (n_lags,)
        Profile of synchrony, or of its excess over chance.

    Returns
    -------
    float
        In s; NaN where a value is missing.

    Examples
    --------
    >>> round(lag_peak(np.array([-1.0, 0, 1, 2]), np.array([0.0, 1, 1, 0])), 6)
    0.5
    """
    if not np.isfinite(curve).all():
        return float("nan")
    k = int(curve.argmax())
    if not 0 < k < len(curve) - 1:
        return float(lags_s[k])
    half = HALF * curve[k]
    below = np.flatnonzero(curve <= half)
    first = min(int(below[below < k].max(initial=-1)) + 1, k - 1)
    last = max(int(below[below > k].min(initial=len(curve))) - 1, k + 1)
    steps, heights = np.arange(first, last + 1) - k, curve[first : last + 1]
    weight = np.maximum(heights - half, 1e-6 * np.ptp(heights))
    bend, slope, _ = np.polyfit(steps, heights, 2, w=np.sqrt(weight))
    at = float(np.clip(-slope / (2 * bend), steps[0], steps[-1])) if bend < 0 else 0.0
    return float(lags_s[k] + at * (lags_s[1] - lags_s[0]))


def strongest_p(real: NDArray[Any], pseudo: NDArray[Any]) -> float:
    """Compare the highest excess over all lags with the highest of every pseudo pair.

    Each profile is taken from the mean of them all, the real one among them, so that under chance the real one is like
    any other.

    Parameters
    ----------
    real : array, shape (n_lags,)
        Profile of the real pair.
    pseudo : array, shape (n_pseudo, n_lags)
        Profiles of re-paired people.

    Returns
    -------
    float
        One-sided p, ``(b + 1) / (n_pseudo + 1)``; NaN without pseudo pairs or where a value is missing.

    Examples
    --------
    >>> strongest_p(np.array([0.0, 0.9, 0.0]), np.zeros((19, 3)))
    0.05
    """
    known = pseudo[np.isfinite(pseudo).all(axis=-1)]
    if not len(known) or not np.isfinite(real).all():
        return float("nan")
    every = np.concatenate([real[np.newaxis], known])
    highest = (every - every.mean(axis=0)).max(axis=-1)
    return float((1 + (highest[1:] >= highest[0]).sum()) / len(every))
