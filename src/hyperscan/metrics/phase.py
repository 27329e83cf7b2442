"""Phase locking and circular correlation: metrics of phases alone, blind to amplitude."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError
from hyperscan.metrics.arrays import analytic_pair
from hyperscan.metrics.engine.preparations import PHASE, SINE, PhasePreparation
from hyperscan.metrics.engine.products import CrossMoment, cross_products

__all__ = ["accorr", "ccorr", "ciplv", "nmplv", "plv", "ppc"]

# 1 - Re**2 below this many roundings is zero: the phase difference is 0 or pi throughout (our choice).
_ZERO_ROUNDINGS = 16.0


def plv(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Phase-locking value: how constant the phase difference is.

    ``|mean(exp(i (phi_a - phi_b)))|``. 0: phase differences spread evenly, 1: constant. Unrelated signals of
    finite length give more than 0; the more, the shorter the window and the narrower the band.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client (or ``exp(1j * phase)``). Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1. NaN where a channel holds a NaN or a zero sample.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Lachaux et al. 1999, doi:10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C

    Examples
    --------
    >>> import numpy as np
    >>> phase = np.linspace(0, 50, 1000)
    >>> plv(np.exp(1j * phase)[None], np.exp(1j * (phase - 0.7))[None]).round(6)
    array([[1.]])
    """
    return PLV.compute(*analytic_pair(a, b))


def ciplv(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Corrected imaginary phase-locking value: phase locking that no mixing at lag 0 can make.

    ``|Im| / sqrt(1 - Re**2)`` of the mean phase difference. 0: no locking, or only at phase 0 or pi.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1. NaN where a channel holds a NaN or a zero sample.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Bruna et al. 2018, doi:10.1088/1741-2552/aacfe4

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> ciplv(z, z).round(6), ciplv(z, z * 1j).round(6)
    (array([[0.]]), array([[1.]]))
    """
    return CIPLV.compute(*analytic_pair(a, b))


def ppc(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Pairwise phase consistency: squared phase locking without the bias of few samples.

    ``(n plv**2 - 1) / (n - 1)``. The correction assumes independent samples; those of a narrow band are not,
    so unrelated signals still give a little more than 0.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From ``-1 / (n_times - 1)`` to 1; 0 without locking. NaN where a channel holds a NaN or a zero sample.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Vinck et al. 2010, doi:10.1016/j.neuroimage.2010.01.073

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> ppc(z, z).round(6)
    array([[1.]])
    """
    return PPC.compute(*analytic_pair(a, b))


def ccorr(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Circular correlation: covariance of the phases' deviations from their circular means.

    Signed. Pulled towards 0 where phases cover the circle evenly, since no mean direction exists then; for
    such phases take :func:`accorr`.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From -1 to 1, 0 for unrelated phases. NaN where a channel holds a NaN or a zero sample, or has a
        constant phase.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Burgess 2013, doi:10.3389/fnhum.2013.00881; Jammalamadaka and SenGupta 2001, doi:10.1142/4031

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> ccorr(z, z).round(6)
    array([[1.]])
    """
    return CCORR.compute(*analytic_pair(a, b))


def accorr(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Circular correlation adjusted for phases that cover the circle evenly.

    Difference of the locking of phase difference and phase sum, over the deviations from the two directions
    that this difference is largest for. About the phase-locking value for uniform phases, with its bias.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client. Leading dims broadcast.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From -1 to 1. Unrelated phases give more than 0, as with :func:`plv`. NaN where a channel holds a NaN
        or a zero sample, or has a constant phase.

    Raises
    ------
    InputError
        If an array is real, or the shapes do not fit.

    References
    ----------
    Zimmermann et al. 2024, doi:10.1162/imag_a_00350

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> accorr(z, z * 1j).round(6)
    array([[1.]])
    """
    return ACCORR.compute(*analytic_pair(a, b))


def nmplv(a: NDArray[Any], b: NDArray[Any], n: int = 1, m: int = 2) -> NDArray[Any]:
    """n:m phase-locking value: n cycles' worth of the therapist's phase against m of the client's.

    ``|mean(exp(i (n phi_a - m phi_b)))|``. Locking of a rhythm f of the therapist to ``f n / m`` of the
    client.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of therapist and client, usually of different bands. Leading dims broadcast.
    n, m : int
        Factors of the therapist's and the client's phase; ``n = m = 1`` is :func:`plv`.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1. NaN where a channel holds a NaN or a zero sample.

    Raises
    ------
    InputError
        If an array is real, the shapes do not fit, or a factor is not a positive integer.

    References
    ----------
    Tass et al. 1998, doi:10.1103/PhysRevLett.81.3291

    Examples
    --------
    >>> import numpy as np
    >>> phase = np.linspace(0, 50, 1000)
    >>> nmplv(np.exp(2j * phase)[None], np.exp(1j * phase)[None], n=1, m=2).round(6)
    array([[1.]])
    """
    for name, value in (("n", n), ("m", m)):
        if not value >= 1 or value % 1:
            raise InputError(f"{name} must be a positive integer, got {value}.")
    products = cross_products(*analytic_pair(a, b), PhasePreparation(int(n)), PhasePreparation(int(m)))
    return PLV.value(products)


def magnitude(minus: NDArray[Any], *_: Any) -> NDArray[Any]:
    """Magnitude of locking or coherency.

    Parameters
    ----------
    minus : complex array, any shape
        Values within the unit circle, so that squares cannot overflow.

    Returns
    -------
    array, same shape
        From 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> magnitude(np.array([0.6 - 0.8j])).round(3)
    array([1.])
    """
    return np.asarray(np.minimum(np.sqrt(np.square(minus.real) + np.square(minus.imag)), 1))


def lagged_part(minus: NDArray[Any], *_: Any) -> NDArray[Any]:
    """Imaginary part corrected for the real part, of locking or coherency.

    Examples
    --------
    >>> import numpy as np
    >>> lagged_part(np.array([1.0, 0.6 + 0.4j])).round(3)
    array([0. , 0.5])
    """
    rest = 1 - np.square(minus.real)
    nothing = rest <= _ZERO_ROUNDINGS * np.finfo(rest.dtype).eps
    value = np.abs(minus.imag) / np.sqrt(np.where(nothing, 1, rest))
    return np.asarray(np.where(nothing, 0, np.minimum(value, 1)), dtype=rest.dtype)


def _ppc(minus: NDArray[Any], plus: Any, a: Any, b: Any, n_times: int | None) -> NDArray[Any]:
    squared = np.square(minus.real) + np.square(minus.imag)
    return np.asarray(squared if n_times is None else (n_times * squared - 1) / (n_times - 1))


def _clipped(minus: NDArray[Any], *_: Any) -> NDArray[Any]:
    return np.asarray(np.clip(minus.real, -1, 1))


def _accorr(
    minus: NDArray[Any], plus: NDArray[Any] | None, a: NDArray[Any] | None, b: NDArray[Any] | None, _: Any
) -> NDArray[Any]:
    from hyperscan.metrics.engine.pair_kernels import adjusted_correlations

    if plus is None or a is None or b is None:
        raise InputError("accorr needs the products plus, a and b; compute them with needs_plus.")
    kind, lead = minus.dtype, minus.shape[:-2]
    n_windows = math.prod(lead)
    flat = [
        np.ascontiguousarray(x).reshape(n_windows, *minus.shape[-2:]) for x in (minus, plus.astype(kind, copy=False))
    ]
    # a phase that is constant has no deviations to correlate
    spread = 1 - _ZERO_ROUNDINGS * np.finfo(kind).eps
    known = [np.where(np.abs(x) < spread, x, np.nan) for x in (a, b)]
    # a circular shift leaves the squares as they are, so they may lack the leading dims
    first, second = (
        np.broadcast_to(x, (*lead, x.shape[-1])).astype(kind).reshape(n_windows, x.shape[-1]) for x in known
    )
    value = np.empty(flat[0].shape, dtype=minus.real.dtype)
    adjusted_correlations(flat[0], flat[1], first, second, value)
    return value.reshape(minus.shape)


PLV = CrossMoment(PHASE, magnitude)
CIPLV = CrossMoment(PHASE, lagged_part)
PPC = CrossMoment(PHASE, _ppc)
CCORR = CrossMoment(SINE, _clipped)
ACCORR = CrossMoment(PHASE, _accorr, needs_plus=True)
