"""Synchrony between whole sets of channels: one value of two regions, by the components that couple most.

Each set is turned into components of equal power that are uncorrelated at lag 0, so nothing depends on how sources mix
into channels. The more components, the more any two people seem to have in common: a rank has to be the same in all
that is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError
from hyperscan.metrics.arrays import analytic_pair
from hyperscan.metrics.engine.preparations import POWER
from hyperscan.metrics.engine.products import CrossMoment

__all__ = ["cacoh", "mic", "mim"]

#: A component with less than this share of the largest one's power is rounding (our choice).
SMALLEST_SHARE = 1e-8

#: Independent samples (seconds times bandwidth) per component: with fewer, chance fills the range (our choice).
SAMPLES_PER_COMPONENT = 10

#: Samples whose products are summed at once (our choice).
CHUNK = 2**16

#: Phases that the search for canonical coherence starts from, most steps from the best one, and the change in radians
#: that ends it (our choice).
N_PHASES, MOST_STEPS, NO_STEP = 16, 100, 1e-7


def mic(a: NDArray[Any], b: NDArray[Any], rank: int | None = None) -> NDArray[Any]:
    """Maximised imaginary coherency: the most that a component of one set leads or follows one of the other.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of one region of the therapist and one of the client. Leading dims broadcast.
    rank : int or None
        Components of either set, the strongest ones; None = as many as it has channels.

    Returns
    -------
    array, shape (..., n_a, n_b) with one set in place of the channels: (..., 1, 1)
        From 0 to 1; 0 for what both have at lag 0. Unrelated signals give more, and the more components the more.
        A flat channel, or one that holds a NaN, is left out of its window; NaN where fewer components are left.

    Raises
    ------
    InputError
        If an array is real, the shapes do not fit, or a set has fewer channels than ``rank``.

    References
    ----------
    Ewald et al. 2012, doi:10.1016/j.neuroimage.2011.11.084

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.outer([0.2, 0.5], np.arange(2000)))
    >>> mixed = np.array([[1.0, 0.5], [0.2, 2.0]]) @ z
    >>> mic(z, mixed).round(2), mic(z, mixed * 1j).round(2)
    (array([[0.]]), array([[1.]]))
    """
    return _of_sets(MIC, a, b, rank)


def mim(a: NDArray[Any], b: NDArray[Any], rank: int | None = None) -> NDArray[Any]:
    """Multivariate interaction measure: squared imaginary coherencies of all components, added up.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of one region of the therapist and one of the client. Leading dims broadcast.
    rank : int or None
        Components of either set, the strongest ones; None = as many as it has channels.

    Returns
    -------
    array, shape (..., n_a, n_b) with one set in place of the channels: (..., 1, 1)
        From 0 to the number of components; 0 for what both have at lag 0. Unrelated signals give more, and the more
        components the more. A flat channel, or one that holds a NaN, is left out of its window; NaN where fewer
        components are left.

    Raises
    ------
    InputError
        If an array is real, the shapes do not fit, or a set has fewer channels than ``rank``.

    References
    ----------
    Ewald et al. 2012, doi:10.1016/j.neuroimage.2011.11.084

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.outer([0.2, 0.5], np.arange(2000)))
    >>> mim(z, z).round(3), mim(z, z * 1j).round(3)
    (array([[0.]]), array([[2.]]))
    """
    return _of_sets(MIM, a, b, rank)


def cacoh(a: NDArray[Any], b: NDArray[Any], rank: int | None = None) -> NDArray[Any]:
    """Canonical coherence: the most that a component of one set coheres with one of the other, at any phase.

    Parameters
    ----------
    a, b : complex array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Analytic signals of one region of the therapist and one of the client. Leading dims broadcast.
    rank : int or None
        Components of either set, the strongest ones; None = as many as it has channels.

    Returns
    -------
    array, shape (..., n_a, n_b) with one set in place of the channels: (..., 1, 1)
        From 0 to 1. Unrelated signals of finite length give more than 0, and the more components the more. A flat
        channel, or one that holds a NaN, is left out of its window; NaN where fewer components are left.

    Raises
    ------
    InputError
        If an array is real, the shapes do not fit, or a set has fewer channels than ``rank``.

    References
    ----------
    Vidaurre et al. 2019, doi:10.1016/j.neuroimage.2019.116009

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.outer([0.2, 0.5], np.arange(2000)))
    >>> mixed = np.array([[1.0, 0.5], [0.2, 2.0]]) @ z
    >>> cacoh(z, mixed * np.exp(0.7j)).round(3)
    array([[1.]])
    """
    return _of_sets(CACOH, a, b, rank)


def whitening(x: NDArray[Any], rank: int | None = None) -> NDArray[Any]:
    """Find the filters that turn a set of channels into uncorrelated components of unit power.

    Channels count alike, whatever their gain. NaN where the set has fewer components than asked for.

    Shapes: ``x`` (..., n_channels, n_times), returns (..., rank, n_channels) in double precision.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((3, 500)) + 0j
    >>> u = whitening(x, 2) @ x
    >>> (u @ u.conj().T / 500).real.round(6) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    n_channels = x.shape[-2]
    rank = n_channels if rank is None else rank
    if not isinstance(rank, int | np.integer) or not 1 <= rank <= n_channels:
        raise InputError(
            f"rank = {rank!r}: this set has {n_channels} channels. Give 1 to {n_channels}, or None for all."
        )
    scale, between = correlation(x)
    values, vectors = np.linalg.eigh(between)
    values, vectors = values[..., ::-1][..., :rank], vectors[..., ::-1][..., :rank]
    with np.errstate(invalid="ignore", divide="ignore"):
        filters = np.swapaxes(vectors / np.sqrt(values)[..., None, :], -1, -2) * scale[..., None, :]
    short = ~(values[..., -1] > SMALLEST_SHARE * values[..., 0])
    return np.where(short[..., None, None], np.nan, filters)


def correlation(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scale of every channel to unit power, and correlations at lag 0; zero for a channel without a usable value.

    Shapes: ``x`` (..., n_channels, n_times), returns (..., n_channels) and (..., n_channels, n_channels).

    Examples
    --------
    >>> import numpy as np
    >>> scale, between = correlation(np.array([[2.0, -2.0], [0.0, 0.0]]))
    >>> scale, between.tolist()
    (array([0.5, 0. ]), [[1.0, 0.0], [0.0, 0.0]])
    """
    products: Any = 0.0
    for start in range(0, x.shape[-1], CHUNK):
        part = x[..., start : start + CHUNK]
        part = part.astype(np.result_type(part, np.float64))
        products = products + (part @ np.swapaxes(part.conj(), -1, -2)).real
    products = products / x.shape[-1]
    power = np.diagonal(products, axis1=-2, axis2=-1)
    usable = np.isfinite(power) & (power > 0)
    scale = np.where(usable, 1 / np.sqrt(np.where(usable, power, 1)), 0.0)
    both = usable[..., :, None] & usable[..., None, :]
    return scale, np.where(both, products, 0) * scale[..., :, None] * scale[..., None, :]


def n_components(between: NDArray[Any]) -> int:
    """Count the components of a set by its correlations: fewer than channels where one follows from others.

    Shapes: ``between`` (n_channels, n_channels).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((3, 500))
    >>> n_components(correlation(x)[1]), n_components(correlation(x - x.mean(axis=0))[1])
    (3, 2)
    """
    values = np.linalg.eigvalsh(between)
    return int(np.sum(values > SMALLEST_SHARE * values[-1]))


def _of_sets(moment: CrossMoment, a: NDArray[Any], b: NDArray[Any], rank: int | None) -> NDArray[Any]:
    first, second = analytic_pair(a, b)
    filters = [whitening(x, rank) for x in (first, second)]
    usable = [np.isfinite(x.sum(axis=-1, keepdims=True)) for x in (first, second)]
    x, y = (f @ np.where(known, each, 0) for f, known, each in zip(filters, usable, (first, second), strict=True))
    cross = x @ np.swapaxes(y.conj(), -1, -2) / first.shape[-1]
    return moment.finalise(cross).astype(first.real.dtype)


Reduce = Callable[[NDArray[Any]], NDArray[Any]]


def _moment(reduce: Reduce) -> CrossMoment:
    """Make of a function (..., r_a, r_b) -> (...) what takes averaged products of components."""

    def finish(minus: NDArray[Any], *_: Any) -> NDArray[Any]:
        missing = ~np.isfinite(minus).all(axis=(-2, -1))
        found = reduce(np.where(missing[..., None, None], 0, minus))
        return np.where(missing, np.nan, found).astype(minus.real.dtype)[..., None, None]

    return CrossMoment(POWER, finish)


def _mic(cross: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.minimum(np.linalg.svd(cross.imag, compute_uv=False)[..., 0], 1))


def _mim(cross: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.square(cross.imag).sum(axis=(-2, -1)))


def _cacoh(cross: NDArray[Any]) -> NDArray[Any]:
    """Highest singular value of the real part over all phases.

    Its square is the largest eigenvalue of ``base + Re(turning exp(-i phase))``, with twice the phase. The search takes
    the best of some phases, and then in turn the best component for the phase and the best phase for the component,
    which never falls.
    """
    turned = np.swapaxes(cross, -1, -2)
    base, turning = (cross @ turned.conj()).real / 2, cross @ turned / 2
    phases = np.exp(-2j * np.pi * np.arange(N_PHASES) / N_PHASES)
    grid = np.linalg.eigvalsh(base[..., None, :, :] + (phases[:, None, None] * turning[..., None, :, :]).real)[..., -1]
    phase = phases[grid.argmax(axis=-1)]
    for _ in range(MOST_STEPS):
        values, vectors = np.linalg.eigh(base + (phase[..., None, None] * turning).real)
        best = vectors[..., -1]
        along = np.einsum("...i,...ij,...j->...", best, turning, best)
        before, phase = phase, np.where(along == 0, phase, np.conj(along) / np.where(along == 0, 1, np.abs(along)))
        if np.all(np.abs(phase - before) < NO_STEP):
            break
    return np.asarray(np.sqrt(np.clip(values[..., -1], 0, 1)))


MIC, MIM, CACOH = _moment(_mic), _moment(_mim), _moment(_cacoh)
