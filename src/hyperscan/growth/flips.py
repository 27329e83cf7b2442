"""Sign-flip tests of dyads' slopes: one outcome, and many outcomes at once.

Under no growth a dyad's slopes are as likely to point up as down, all of them together. Flipping the sign of
a dyad's whole slope vector keeps how outcomes hang together, which is what makes the maximum a valid
correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperscan.growth.records import FlipTest

Array = NDArray[np.float64]

#: Up to this many dyads all sign patterns are enumerated (2^14 = 16,384).
MAX_EXACT = 14

_CHUNK = 4096


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


def smallest_p(n: int, n_flips: int) -> float:
    """Smallest p that sign flips of n dyads can give.

    Examples
    --------
    >>> smallest_p(6, 10_000)
    0.03125
    """
    return 2.0 ** (1 - n) if n <= MAX_EXACT else 1 / (n_flips + 1)


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
    p = hits / total if exact else (hits + 1) / (total + 1)
    return FlipTest(p, total, exact, smallest_p(n, n_flips), n)


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
    # scipy.stats, which has this too, takes longer to import than most verdicts to compute
    order = np.flatnonzero(known)[np.argsort(p[known])[::-1]]
    ranks = np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.minimum.accumulate(p[order] * (len(order) / ranks)), 1.0)
    return out


def holm(p: Sequence[float | None]) -> list[float | None]:
    """P values corrected for all of them (Holm 1979); None stays None."""
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    out: list[float | None] = [None] * len(p)
    largest = 0.0
    for rank, (value, i) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        out[i] = largest
    return out
