"""Sign-flip tests of dyads' slopes: one outcome, many outcomes at once, and clusters of outcomes.

Under no growth a dyad's slopes are as likely to point up as down, all of them together. Flipping the sign of
a dyad's whole slope vector keeps how outcomes hang together, which is what makes the maximum a valid
correction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats
from scipy.sparse import csgraph

from hyperscan.errors import InputError

Array = NDArray[np.float64]

#: Up to this many dyads all sign patterns are enumerated (2^14 = 16,384).
MAX_EXACT = 14

_CHUNK = 4096


@dataclass(frozen=True)
class FlipTest:
    """A sign-flip test."""

    #: Two-sided p
    p: float
    #: Sign patterns looked at
    n_flips: int
    #: Whether those were all there are
    exact: bool
    #: Smallest p this test could have given
    smallest_p: float
    #: Dyads with a slope
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Plain mapping of the fields."""
        return asdict(self)


def sign_patterns(n: int, n_flips: int, rng: np.random.Generator) -> Iterator[Array]:
    """All patterns of n signs if there are few, else random ones, in blocks.

    Shapes: returns (n_block, n).
    """
    total = 2**n if n <= MAX_EXACT else n_flips
    for start in range(0, total, _CHUNK):
        size = min(_CHUNK, total - start)
        if n <= MAX_EXACT:
            index = np.arange(start, start + size)[:, None]
            yield np.asarray(1.0 - 2.0 * ((index >> np.arange(n)) & 1), np.float64)
        else:
            yield np.asarray(1.0 - 2.0 * rng.integers(0, 2, (size, n), dtype=np.int8), np.float64)


def flip_test(slopes: ArrayLike, rng: np.random.Generator, n_flips: int = 100_000) -> FlipTest:
    """Sign-flip test of a mean slope.

    Shapes: ``slopes`` (n_dyads,).

    Examples
    --------
    >>> flip_test([0.1, 0.2, 0.1, 0.3, 0.2], np.random.default_rng(0)).p
    0.0625
    """
    x = np.asarray(slopes, float)
    x = x[np.isfinite(x)]
    n = len(x)
    if n == 0:
        return FlipTest(np.nan, 0, True, np.nan, 0)
    observed = abs(float(x.sum()))
    # sums of the same numbers in another order differ by round-off
    tolerance = 1e-12 * float(np.abs(x).sum())
    exact = n <= MAX_EXACT
    total = hits = 0
    for signs in sign_patterns(n, n_flips, rng):
        total += len(signs)
        hits += int((np.abs(signs @ x) >= observed - tolerance).sum())
    if exact:
        return FlipTest(hits / total, total, True, 2.0 ** (1 - n), n)
    return FlipTest((hits + 1) / (total + 1), total, False, 1 / (total + 1), n)


def _pseudo_t(sums: Array, squares: Array, counts: Array) -> Array:
    """T values from sums, when flips leave the sums of squares alone."""
    variance = (squares - sums**2 / counts) / (counts - 1)
    # slopes that are all of one size and sign have no variance: as significant as can be
    tiny = 1e-24 * squares / counts + np.finfo(float).tiny
    return np.asarray(sums / np.sqrt(counts * np.maximum(variance, tiny)))


def max_t(slopes: ArrayLike, rng: np.random.Generator, n_flips: int = 100_000) -> Array:
    """P values of many outcomes, corrected for all of them by the maximum over joint sign flips.

    Shapes: ``slopes`` (n_dyads, n_outcomes), returns (n_outcomes,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(0, 1, (8, 3)) + [3, 0, 0]
    >>> max_t(x, rng).round(3)[0]
    np.float64(0.008)
    """
    x = np.asarray(slopes, float)
    known = np.isfinite(x)
    counts = known.sum(0)
    out = np.full(x.shape[1], np.nan)
    use = (counts >= 2) & (np.nan_to_num(x) != 0).any(0)
    out[(counts >= 2) & ~use] = 1.0
    if not use.any():
        return out
    x = np.where(known, x, 0.0)[:, use]
    squares, n = (x**2).sum(0), counts[use].astype(float)
    observed = np.abs(_pseudo_t(x.sum(0), squares, n))
    hits, total = np.zeros(len(observed), np.intp), 0
    for signs in sign_patterns(len(x), n_flips, rng):
        largest = np.abs(_pseudo_t(signs @ x, squares, n)).max(1)
        total += len(signs)
        # compare in sorted order: one search per outcome instead of a full table
        ranked = np.sort(largest)
        hits += total_above(ranked, observed * (1 - 1e-10))
    exact = len(x) <= MAX_EXACT
    out[use] = hits / total if exact else (hits + 1) / (total + 1)
    return out


def total_above(ranked: Array, thresholds: Array) -> NDArray[np.intp]:
    """How many of the sorted values reach each threshold."""
    return np.asarray(len(ranked) - np.searchsorted(ranked, thresholds, side="left"), np.intp)


@dataclass(frozen=True)
class Cluster:
    """Neighbouring outcomes that grow (or fall) together."""

    #: shape (n_members, 2): Channel (or pair) and band positions
    members: NDArray[np.intp]
    #: Sum of the t values
    mass: float
    #: Two-sided p, corrected over all clusters
    p: float


def flip_clusters(
    slopes: ArrayLike,
    adjacency: ArrayLike,
    rng: np.random.Generator,
    *,
    threshold: float | None = None,
    n_flips: int = 1000,
) -> list[Cluster]:
    """Cluster test over channels and bands on joint sign flips.

    Maris & Oostenveld 2007, doi:10.1016/j.jneumeth.2007.03.024

    Shapes: ``slopes`` (n_dyads, n_channels, n_bands), ``adjacency`` (n_channels, n_channels).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(10, 3, 2)); x[:, :2] += 2
    >>> clusters = flip_clusters(x, np.eye(3, k=1) + np.eye(3, k=-1), rng, n_flips=199)
    >>> len(clusters[0].members), clusters[0].p <= 0.01
    (4, True)
    """
    x, near = np.asarray(slopes, float), np.asarray(adjacency) != 0
    if x.ndim != 3 or near.shape != x.shape[1:2] * 2:
        raise InputError(
            f"slopes {x.shape} and adjacency {near.shape} do not fit; expected (n_dyads, n_channels, n_bands) and "
            "(n_channels, n_channels)."
        )
    if not np.isfinite(x).all():
        raise InputError("slopes: some are missing. Leave out the dyads, channels or bands that lack them.")
    n, n_bands = x.shape[0], x.shape[2]
    flat = x.reshape(n, -1)
    squares, counts = (flat**2).sum(0), np.full(flat.shape[1], float(n))
    limit = float(stats.t.ppf(0.975, n - 1)) if threshold is None else threshold
    edges = _grid_edges(near, n_bands)
    observed = _find_clusters(_pseudo_t(flat.sum(0), squares, counts), limit, edges)
    exact = n <= MAX_EXACT and 2**n <= n_flips
    signs = np.vstack(list(sign_patterns(n, 0, rng))) if exact else 1.0 - 2.0 * rng.integers(0, 2, (n_flips, n))
    null = np.zeros(len(signs))
    for i, t in enumerate(_pseudo_t(signs @ flat, squares, counts)):
        null[i] = max((abs(mass) for _, mass in _find_clusters(t, limit, edges)), default=0.0)
    # one that is drawn may miss the observed pattern, which all of them hold
    drawn = 0 if exact else 1
    out = [
        Cluster(
            np.column_stack(np.divmod(members, n_bands)),
            mass,
            float((drawn + (null >= abs(mass) * (1 - 1e-10)).sum()) / (len(null) + drawn)),
        )
        for members, mass in observed
    ]
    return sorted(out, key=lambda cluster: -abs(cluster.mass))


def _grid_edges(adjacency: NDArray[np.bool_], n_bands: int) -> sparse.csr_array:
    channels = sparse.kron(sparse.csr_array(adjacency), sparse.eye_array(n_bands))
    chain = np.eye(n_bands, k=1) + np.eye(n_bands, k=-1)
    return sparse.csr_array(channels + sparse.kron(sparse.eye_array(len(adjacency)), sparse.csr_array(chain)))


def _find_clusters(t: Array, limit: float, edges: sparse.csr_array) -> list[tuple[NDArray[np.intp], float]]:
    found = []
    for sign in (1.0, -1.0):
        above = np.flatnonzero(sign * t > limit)
        if len(above):
            _, labels = csgraph.connected_components(edges[above][:, above], directed=False)
            found += [(above[labels == k], float(t[above[labels == k]].sum())) for k in np.unique(labels)]
    return found


def benjamini_hochberg(p: ArrayLike) -> Array:
    """P values adjusted for the false discovery rate.

    Shapes: ``p`` (n,), returns (n,).

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.5]).round(3)
    array([0.03, 0.03, 0.5 ])
    """
    p = np.asarray(p, float)
    out = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        out[known] = stats.false_discovery_control(p[known], method="bh")
    return out
