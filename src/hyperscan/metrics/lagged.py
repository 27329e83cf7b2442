"""Phase-lag indices: how consistently one person's phase is ahead of the other's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.metrics.arrays import analytic_pair
from hyperscan.metrics.engine.preparations import PHASE, POWER
from hyperscan.metrics.engine.products import pair_sums

__all__ = ["dwpli", "pli", "wpli"]

# Sines of phase differences below this many roundings are zero (our choice): copies of a channel in another
# unit would otherwise give the sign of rounding errors.
_ZERO_ROUNDINGS = 16.0


def pli(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Phase-lag index: surplus of samples where the same person is ahead.

    ``|mean(sign(Im(a conj(b))))|``. Samples in phase or antiphase count as neither.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1; 0 at lag 0, unrelated signals of finite length give more. NaN where a channel holds a NaN
        or a zero sample.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Stam et al. 2007, doi:10.1002/hbm.20346

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> pli(z, z), pli(z, z * np.exp(0.1j))
    (array([[0.]]), array([[1.]]))
    """
    from hyperscan.metrics.engine.pair_kernels import lag_signs, spread_nan

    first, second = analytic_pair(a, b)
    real = first.real.dtype
    zero = real.type(_ZERO_ROUNDINGS * np.finfo(real).eps)
    counts = np.empty((first.shape[-2], second.shape[-2]), dtype=np.int32 if real == np.float32 else np.int64)

    def combine(rows_a: NDArray[Any], rows_b: NDArray[Any], out: NDArray[Any]) -> None:
        lag_signs(rows_a, rows_b, zero, counts)
        out[0] = counts
        spread_nan(rows_a, rows_b, out[0])

    (surplus,) = pair_sums(first, second, PHASE, combine, 1)
    return np.asarray(np.abs(surplus) / first.shape[-1]).astype(real)


def wpli(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Weighted phase-lag index: the phase-lag index with samples weighted by how far they are from lag 0.

    ``|sum(Im(a conj(b)))| / sum(|Im(a conj(b))|)``.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1; 0 at lag 0, unrelated signals of finite length give more. NaN where a channel holds a NaN
        or is flat.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Vinck et al. 2011, doi:10.1016/j.neuroimage.2011.01.055

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> wpli(z, z), wpli(z, z * np.exp(0.1j)).round(6)
    (array([[0.]]), array([[1.]]))
    """
    from hyperscan.metrics.engine.pair_kernels import lag_sums

    first, second = analytic_pair(a, b)
    total, size = pair_sums(first, second, POWER, lag_sums, 2)
    return _ratio(np.abs(total), size, first)


def dwpli(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Debiased weighted phase-lag index: its square without the bias of few samples.

    The correction assumes independent samples; those of a narrow band are not, so unrelated signals still
    give a little more than 0.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        At most 1, and slightly below 0 when there is no consistent lag. NaN where a channel holds a NaN or is
        flat.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Vinck et al. 2011, doi:10.1016/j.neuroimage.2011.01.055

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> dwpli(z, z), dwpli(z, z * np.exp(0.1j)).round(6)
    (array([[0.]]), array([[1.]]))
    """
    from hyperscan.metrics.engine.pair_kernels import lag_squares

    first, second = analytic_pair(a, b)
    total, size, squares = pair_sums(first, second, POWER, lag_squares, 3)
    value = _ratio(np.square(total) - squares, np.square(size) - squares, first, size)
    return value


def _ratio(top: NDArray[Any], bottom: NDArray[Any], x: NDArray[Any], size: NDArray[Any] | None = None) -> NDArray[Any]:
    """Divide; 0 where the samples hold nothing but lag 0, up to rounding."""
    real = x.real.dtype
    size = bottom if size is None else size
    nothing = size <= _ZERO_ROUNDINGS * np.finfo(real).eps * x.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(nothing, 0.0, np.minimum(top / bottom, 1)).astype(real))
