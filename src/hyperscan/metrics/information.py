"""Gaussian-copula information: dependence whatever the distributions of the two signals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError
from hyperscan.metrics.amplitude import CORR
from hyperscan.metrics.arrays import analytic_pair, in_samples, leading_shape, real_pair

__all__ = ["gcmi", "gcte"]

_LEAST_REST = 1e-14  # 1 - r**2 is no smaller, so that a copied channel has finite information (our choice)


def gcmi(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Gaussian-copula mutual information of two analytic signals: a lower bound of what they share at lag 0.

    Real and imaginary parts are turned into normal scores by their ranks, so each person has two dimensions, and
    information is that of Gaussian variables with the same correlations: ``-log2(det(1 - M M')) / 2`` with M the
    correlations between the people after each one's own two dimensions are made uncorrelated. Phase and amplitude
    count, and a lag of a quarter cycle hides nothing; there is no sign.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        In bits, 0 or more (about 23 for a copy); unrelated signals of finite length give more than 0. NaN
        where a channel holds a NaN, or one of its two parts is flat.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Ince et al. 2017, doi:10.1002/hbm.23471

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((2, 1000)) + 1j * rng.standard_normal((2, 1000))
    >>> gcmi(x[:1], 1j * x[:1] + x[1:]).round(1)
    array([[0.9]])
    """
    first, second = analytic_pair(a, b)
    (real_a, turned_a), (real_b, turned_b) = (_uncorrelated_parts(x) for x in (first, second))
    m11, m12, m21, m22 = (CORR.compute(ours, theirs) for ours in (real_a, turned_a) for theirs in (real_b, turned_b))
    left = 1 - (m11**2 + m12**2 + m21**2 + m22**2) + (m11 * m22 - m12 * m21) ** 2
    return _bits_left(left).astype(first.real.dtype)


def gcte(a: NDArray[Any], b: NDArray[Any], sfreq: float, lag_s: float = 0.1) -> NDArray[Any]:
    """Gaussian-copula transfer entropy: what the therapist's past adds to the client's own past.

    Information between the client's present and the therapist's past at one lag, given the client's past at
    that lag. For the other direction swap the arrays (and transpose the result).

    Parameters
    ----------
    a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Real signals of therapist and client. Leading dims broadcast.
    sfreq : float
        Sampling rate in Hz.
    lag_s : float
        How far back the past lies, in seconds; rounded to samples, at least one (0.1 s is our choice).

    Returns
    -------
    array, shape (..., n_a, n_b)
        In bits, 0 or more; unrelated signals of finite length give more than 0. NaN where a channel holds a
        NaN or is flat.

    Raises
    ------
    InputError
        If an array is complex, the shapes do not fit, the rate or the lag is not positive, or the lag leaves fewer than
        four samples.

    References
    ----------
    Ince et al. 2017, doi:10.1002/hbm.23471; Schreiber 2000, doi:10.1103/PhysRevLett.85.461

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1001))
    >>> therapist, client = x[:, 1:], x[:, :-1]  # the client follows one sample later
    >>> bool(gcte(therapist, client, 10.0) > 5 > 0.1 > gcte(client, therapist, 10.0))
    True
    """
    first, second = real_pair(a, b)
    lag = max(1, in_samples("lag_s", lag_s, sfreq))
    if first.shape[-1] - lag < 4:
        raise InputError(
            f"lag_s = {lag_s:g} s is {lag} samples at {sfreq:g} Hz, too long for {first.shape[-1]} samples: "
            "four or more must be left."
        )
    lead = leading_shape(first, second)
    past_a, past_b, now = (_scores(x) for x in (first[..., :-lag], second[..., :-lag], second[..., lag:]))
    drive = CORR.compute(past_a, now)
    shared = CORR.compute(past_a, past_b)
    own = np.broadcast_to(_own_correlation(past_b, now), (*lead, second.shape[-2]))[..., np.newaxis, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum((1 - np.square(shared)) * (1 - np.square(own)), _LEAST_REST))
        partial = np.clip((drive - shared * own) / spread, -1, 1)
    return _bits(partial).astype(first.dtype)


def _own_correlation(past: NDArray[Any], now: NDArray[Any]) -> NDArray[Any]:
    """Correlation of each channel's present with its own past, (..., n)."""
    x = past - past.mean(axis=-1, keepdims=True)
    y = now - now.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((x * y).sum(-1) / np.sqrt(np.square(x).sum(-1) * np.square(y).sum(-1)))


def _uncorrelated_parts(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Score the ranks of real and imaginary parts, the latter without what the former tell, (..., n, n_times) each."""
    real, imaginary = (_scores(part) for part in (x.real, x.imag))
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (real * imaginary).sum(axis=-1, keepdims=True) / np.square(real).sum(axis=-1, keepdims=True)
    return real, imaginary - slope * real


def _bits(r: NDArray[Any]) -> NDArray[Any]:
    """Information of two Gaussian variables with a correlation, any shape."""
    return _bits_left(1 - np.square(r.astype(np.float64)))


def _bits_left(left: NDArray[Any]) -> NDArray[Any]:
    """Information by the share of variance (or determinant) that is left once the other person is known, any shape."""
    return np.asarray(-0.5 * np.log2(np.maximum(left, _LEAST_REST)) + 0.0)


def _scores(x: NDArray[Any]) -> NDArray[Any]:
    """Turn each channel into normal scores of its ranks (equal values share one); all NaN if one is not finite."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    known = np.where(np.isfinite(x), x, np.nan)
    return np.asarray(ndtri(rankdata(known, axis=-1, nan_policy="propagate") / (x.shape[-1] + 1)))
