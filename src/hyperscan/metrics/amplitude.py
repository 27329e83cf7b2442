"""Correlation of amplitudes, and of the signals themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.metrics.arrays import analytic_pair, real_pair
from hyperscan.metrics.engine.preparations import ENVELOPE, ENVELOPE_POWER, ORTHOGONAL, SERIES
from hyperscan.metrics.engine.products import CrossMoment, pair_sums

__all__ = ["aec", "corr", "oaec", "pec"]

# A variance below this many roundings of the mean square is zero (our choice).
_ZERO_ROUNDINGS = 16.0


def aec(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Amplitude-envelope correlation: whether the two rhythms swell together.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        Pearson correlation from -1 to 1, 0 for unrelated envelopes. NaN where a channel holds a NaN or its
        envelope is constant.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Bruns et al. 2000, doi:10.1097/00001756-200005150-00029

    Examples
    --------
    >>> import numpy as np
    >>> swell = (2 + np.sin(np.linspace(0, 30, 1000)))[None]
    >>> aec(swell * np.exp(2j), swell * np.exp(5j)).round(6)
    array([[1.]])
    """
    return AEC.compute(*analytic_pair(a, b))


def pec(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Power-envelope correlation: :func:`aec` of squared amplitudes.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        Pearson correlation from -1 to 1, 0 for unrelated envelopes; for Gaussian signals the squared
        coherence. NaN where a channel holds a NaN or its envelope is constant.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Bruns et al. 2000, doi:10.1097/00001756-200005150-00029

    Examples
    --------
    >>> import numpy as np
    >>> swell = (2 + np.sin(np.linspace(0, 30, 1000)))[None]
    >>> pec(swell * np.exp(2j), swell * np.exp(5j)).round(6)
    array([[1.]])
    """
    return PEC.compute(*analytic_pair(a, b))


def oaec(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Orthogonalised amplitude-envelope correlation: what of :func:`aec` no mixing at lag 0 can make.

    Sample by sample, the part of one signal that is in phase with the other is removed before its envelope is
    correlated with the other's; mean of both directions.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From -1 to 1, 0 for unrelated envelopes and for copies at lag 0. Smaller than :func:`aec` even without
        mixing. NaN where a channel holds a NaN or a zero sample, or its envelope is constant.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Hipp et al. 2012, doi:10.1038/nn.3101

    Examples
    --------
    >>> import numpy as np
    >>> swell = (2 + np.sin(np.linspace(0, 30, 1000)))[None]
    >>> oaec(swell + 0j, swell + 0j), oaec(swell + 0j, swell * 1j).round(6)
    (array([[0.]]), array([[1.]]))
    """
    from hyperscan.metrics.engine.pair_kernels import orthogonal_sums

    first, second = analytic_pair(a, b)
    n = first.shape[-1]
    sums = pair_sums(first, second, ORTHOGONAL, orthogonal_sums, 5) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_a, spread_a = _amplitude_moments(first)
        mean_b, spread_b = _amplitude_moments(second)
        eps = np.finfo(first.real.dtype).eps
        onto_a = _orthogonal(sums[0], sums[1], sums[4], mean_a[..., :, None], spread_a[..., :, None], eps)
        onto_b = _orthogonal(sums[2], sums[3], sums[4], mean_b[..., None, :], spread_b[..., None, :], eps)
    return np.asarray(((onto_a + onto_b) / 2).astype(first.real.dtype))


def corr(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Pearson correlation of the signals.

    Slow and autocorrelated signals (fNIRS) correlate widely by chance; see :func:`ar_corr`.

    Parameters
    ----------
    a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Real signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From -1 to 1, 0 for unrelated signals. NaN where a channel holds a NaN or is flat.

    Raises
    ------
    InputError
        If an array is complex, or the shapes do not fit.

    References
    ----------
    Pearson 1895, doi:10.1098/rspl.1895.0041

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 100))
    >>> corr(x, 3 - 2 * x).round(6)
    array([[-1.]])
    """
    return CORR.compute(*real_pair(a, b))


def _clipped(minus: NDArray[Any], *_: Any) -> NDArray[Any]:
    return np.asarray(np.clip(minus.real, -1, 1))


AEC = CrossMoment(ENVELOPE, _clipped)
PEC = CrossMoment(ENVELOPE_POWER, _clipped)
CORR = CrossMoment(SERIES, _clipped)


def _amplitude_moments(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation of amplitudes of unit mean square, (..., n) each."""
    facts = np.empty((*x.shape[:-1], 3))
    for where in np.ndindex(*x.shape[:-2]):
        facts[where] = ENVELOPE.measure(x[where])
    return facts[..., 1], 1 / facts[..., 2]


def _orthogonal(
    mean: NDArray[Any],
    square: NDArray[Any],
    cross: NDArray[Any],
    own: NDArray[Any],
    spread: NDArray[Any],
    eps: Any,
) -> NDArray[Any]:
    """Correlation of an orthogonalised envelope with the envelope it was made orthogonal to."""
    variance = square - np.square(mean)
    value = (cross - mean * own) / (spread * np.sqrt(np.maximum(variance, 0)))
    # Nothing is left of a copy at lag 0, and a constant rest is known to rounding only.
    nothing = variance <= _ZERO_ROUNDINGS * eps * np.maximum(square, eps)
    return np.where(nothing & np.isfinite(spread), 0.0, np.clip(value, -1, 1))
