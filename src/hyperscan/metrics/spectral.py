"""Coherence of the band: phase relations weighted by amplitude."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.metrics.arrays import analytic_pair
from hyperscan.metrics.engine.preparations import POWER
from hyperscan.metrics.engine.products import CrossMoment, pair_sums
from hyperscan.metrics.phase import lagged_part, magnitude

__all__ = ["coh", "imcoh", "lagcoh"]


def coh(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Coherence: magnitude of the coherency ``mean(a conj(b)) / sqrt(mean|a|**2 mean|b|**2)``.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1; unrelated signals of finite length give more than 0. NaN where a channel holds a NaN or
        is flat.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Nunez et al. 1997, doi:10.1016/S0013-4694(97)00066-7

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> coh(z, 3j * z).round(6)
    array([[1.]])
    """
    return COH.compute(*analytic_pair(a, b))


def imcoh(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Imaginary part of coherency: the part no mixing at lag 0 can make.

    Signed: positive if the therapist leads by less than half a cycle.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From -1 to 1, 0 for unrelated signals or lag 0. NaN where a channel holds a NaN or is flat.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Nolte et al. 2004, doi:10.1016/j.clinph.2004.04.029

    Examples
    --------
    >>> import numpy as np
    >>> therapist = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> client = therapist * np.exp(-0.5j)  # the same, half a radian later
    >>> imcoh(therapist, client).round(3)
    array([[0.479]])
    """
    first, second = analytic_pair(a, b)
    (total,) = pair_sums(first, second, POWER, _quadrature, 1)
    value = np.clip(total / first.shape[-1], -1, 1)
    return np.asarray(value, dtype=first.real.dtype)


def lagcoh(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Lagged coherence: ``|Im| / sqrt(1 - Re**2)`` of the coherency.

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
    Pascual-Marqui et al. 2011, doi:10.1098/rsta.2011.0081

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> lagcoh(z, z).round(6), lagcoh(z, 2 * z * np.exp(0.3j)).round(6)
    (array([[0.]]), array([[1.]]))
    """
    return LAGCOH.compute(*analytic_pair(a, b))


def _quadrature(rows_a: NDArray[Any], rows_b: NDArray[Any], out: NDArray[Any]) -> None:
    """Imaginary part of the sum of ``a conj(b)``: half the work of both parts."""
    n_a, n_b = len(rows_a) // 2, len(rows_b) // 2
    np.matmul(rows_a[n_a:], rows_b[:n_b].T, out=out[0])
    out[0] -= rows_a[:n_a] @ rows_b[n_b:].T


def _imcoh(minus: NDArray[Any], *_: Any) -> NDArray[Any]:
    return np.asarray(np.clip(minus.imag, -1, 1))


COH = CrossMoment(POWER, magnitude)
IMCOH = CrossMoment(POWER, _imcoh)
LAGCOH = CrossMoment(POWER, lagged_part)
