"""A least-squares slope per dyad, tests over dyads (or therapists), and the trend of a single dyad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hyperscan.errors import count
from hyperscan.growth.records import DyadTrend, LeaveOneOut, SlopeTest, TherapistLevel

Array = NDArray[np.float64]


def dyad_slopes(y: ArrayLike, t: ArrayLike, codes: ArrayLike, n_dyads: int, weights: ArrayLike | None = None) -> Array:
    """Slope of every dyad by (weighted) least squares.

    Shapes: ``y, t`` (n,), ``codes`` (n,), ``weights`` (n,), returns (n_dyads,).

    Examples
    --------
    >>> dyad_slopes([1, 2, 3, 5, 5], [0, 1, 2, 0, 0], [0, 0, 0, 1, 1], 2)
    array([ 1., nan])
    """
    value, time, dyad = np.asarray(y, float), np.asarray(t, float), np.asarray(codes, np.intp)
    w = np.ones_like(value) if weights is None else np.asarray(weights, float)
    use = np.isfinite(value) & np.isfinite(time) & np.isfinite(w) & (w > 0)
    value, time, dyad, w = value[use], time[use], dyad[use], w[use]

    def total(x: Array) -> Array:
        return np.asarray(np.bincount(dyad, x, minlength=n_dyads), np.float64)

    mass = np.maximum(total(w), np.finfo(float).tiny)
    dt = time - (total(w * time) / mass)[dyad]
    dy = value - (total(w * value) / mass)[dyad]
    # equal values differ from their mean by round-off, and that must not become a slope
    dy[np.abs(dy) <= 1e-13 * np.abs(value).max(initial=0.0)] = 0.0
    spread = total(w * dt**2)
    # times that differ by round-off only carry no slope
    floor = 1e-20 * total(w) * (np.abs(time).max(initial=0.0) ** 2)
    known = spread > floor
    return np.where(known, total(w * dt * dy) / np.where(known, spread, 1.0), np.nan)


def slope_test(slopes: ArrayLike, level: float = 0.95) -> SlopeTest:
    """Test whether the mean slope differs from zero.

    Shapes: ``slopes`` (n,).

    Examples
    --------
    >>> round(slope_test([0.1, 0.2, 0.3, 0.2]).p, 4)
    0.0163
    """
    x = np.asarray(slopes, float)
    x = x[np.isfinite(x)]
    n = len(x)
    mean = float(x.mean()) if n else np.nan
    if n < 2:
        nan = np.nan
        return SlopeTest(mean, nan, nan, nan, nan, nan, nan, nan, n)
    sd = float(x.std(ddof=1))
    # equal numbers leave a standard deviation of round-off
    sd = 0.0 if sd <= 1e-12 * float(np.abs(x).max()) else sd
    se = float(sd / np.sqrt(n))
    t = float(np.divide(mean, se)) if se > 0 else (0.0 if mean == 0 else float(np.copysign(np.inf, mean)))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * se
    p = float(2 * stats.t.sf(abs(t), n - 1))
    return SlopeTest(mean, sd, se, float(n - 1), t, p, mean - half, mean + half, n)


def therapist_means(slopes: Array, therapists: NDArray[Any]) -> Mapping[Any, float]:
    """Mean slope of every therapist's dyads.

    Shapes: ``slopes`` (n_dyads,), ``therapists`` (n_dyads,).
    """
    known = np.isfinite(slopes)
    labels = dict.fromkeys(therapists[known].tolist())
    return {label: float(slopes[known & (therapists == label)].mean()) for label in labels}


def therapist_test(slopes: Array, therapists: NDArray[Any]) -> TherapistLevel:
    """Test the therapists' mean slopes, where one of them has several dyads.

    Shapes: ``slopes`` (n_dyads,), ``therapists`` (n_dyads,).
    """
    means = therapist_means(slopes, therapists)
    fewer = len(means) < int(np.isfinite(slopes).sum())
    test = slope_test(list(means.values())) if fewer else None
    return TherapistLevel(known=True, n_therapists=len(means), needed=fewer and len(means) > 1, test=test)


def leave_one_out(slopes: Array, labels: NDArray[Any]) -> LeaveOneOut:
    """Say how much one dyad decides: mean slope and p with each dyad left out.

    Shapes: ``slopes`` (n_dyads,), ``labels`` (n_dyads,).
    """
    known = np.flatnonzero(np.isfinite(slopes))
    if len(known) < 3:
        return LeaveOneOut()
    tests = [slope_test(np.delete(slopes, k)) for k in known]
    means = np.array([test.slope for test in tests])
    full = float(np.nanmean(slopes))
    return LeaveOneOut(
        same_sign=bool((np.sign(means) == np.sign(full)).all()),
        slope_min=float(means.min()),
        slope_max=float(means.max()),
        p_max=max(test.p for test in tests),
        dyad=str(labels[known[int(np.abs(means - full).argmax())]]),
    )


#: Below this many sessions a trend is described, not tested (its power is near nothing there; our choice).
MIN_TESTED = 8


def describe_dyad(t: ArrayLike, y: ArrayLike, rng: np.random.Generator, n_permutations: int = 100_000) -> DyadTrend:
    """Describe the sessions of one dyad and, where there are enough, test for a trend.

    Theil-Sen: Sen 1968, doi:10.1080/01621459.1968.10480934. Mann-Kendall: Mann 1945, doi:10.2307/1907187.

    Shapes: ``t, y`` (n_sessions,).

    Examples
    --------
    >>> out = describe_dyad(range(8), [1, 3, 2, 4, 5, 6, 8, 7], np.random.default_rng(0))
    >>> out.slope, round(out.p, 4)
    (1.0, 0.0017)
    """
    t, y = np.asarray(t, float), np.asarray(y, float)
    n = len(y)
    who = f"One dyad, {count(n, 'session')}"
    if len(np.unique(t)) < 2:
        text = f"One dyad with {count(n, 'session')}: nothing can be said about change."
        return DyadTrend(n_sessions=n, text=text)
    slope, _, low, high = map(float, stats.theilslopes(y, t))
    if n == 2:
        text = f"One dyad, two sessions: a difference of {y[-1] - y[0]:+.4g}, which no test can judge."
        return DyadTrend(slope, n_sessions=n, text=text)
    tau = float(stats.kendalltau(t, y).statistic) if len(np.unique(y)) > 1 else None
    if n < MIN_TESTED:
        text = f"{who}: Theil-Sen slope {slope:+.4g}; below {MIN_TESTED} sessions described, not tested."
        return DyadTrend(slope, low, high, tau, n_sessions=n, text=text)
    p = mann_kendall(t, y, rng, n_permutations)
    text = (
        f"{who}: Theil-Sen slope {slope:+.4g} ({low:+.4g} to {high:+.4g}), Mann-Kendall p = {p:.3g}. The p assumes "
        "independent sessions, which cannot be checked with so few; the result speaks of this dyad alone."
    )
    return DyadTrend(slope, low, high, tau, p, not _ties(t, y), n, True, text)


def mann_kendall(t: ArrayLike, y: ArrayLike, rng: np.random.Generator, n_permutations: int = 100_000) -> float:
    """Two-sided p of the Mann-Kendall test of trend.

    Shapes: ``t, y`` (n_sessions,).

    Examples
    --------
    >>> round(mann_kendall([0, 1, 2, 3], [1, 2, 3, 4], np.random.default_rng(0)), 4)
    0.0833
    """
    t, y = np.asarray(t, float), np.asarray(y, float)
    if not _ties(t, y):
        return float(stats.kendalltau(t, y, method="exact").pvalue)
    pairs = np.triu_indices(len(t), 1)
    dt = np.sign(t[pairs[1]] - t[pairs[0]])
    observed = abs(float(dt @ np.sign(y[pairs[1]] - y[pairs[0]])))
    hits = 0
    for start in range(0, n_permutations, 10_000):
        size = min(10_000, n_permutations - start)
        shuffled: NDArray[np.float64] = rng.permuted(np.tile(y, (size, 1)), axis=1)
        scores = np.sign(shuffled[:, pairs[1]] - shuffled[:, pairs[0]]) @ dt
        hits += int((np.abs(scores) >= observed).sum())
    return (hits + 1) / (n_permutations + 1)


def _ties(t: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    return len(np.unique(t)) < len(t) or len(np.unique(y)) < len(y)
