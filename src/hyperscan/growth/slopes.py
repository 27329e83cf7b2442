"""A least-squares slope per dyad, tests over dyads (or therapists), and the trend of a single dyad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import special

from hyperscan.errors import count, p_text
from hyperscan.growth.pooled import beyond_rounding, regress
from hyperscan.growth.records import (
    CappedSlope,
    DyadTrend,
    LeaveOneOut,
    SlopeTest,
    TherapistLevel,
    WeightedSlope,
)
from hyperscan.schema import MIN_DYADS

Array = NDArray[np.float64]

AnyTest = TypeVar("AnyTest", SlopeTest, WeightedSlope, CappedSlope)


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

    mass, largest = np.maximum(total(w), np.finfo(float).tiny), np.zeros(n_dyads)
    np.maximum.at(largest, dyad, np.abs(value))
    dt = time - (total(w * time) / mass)[dyad]
    dy = value - (total(w * value) / mass)[dyad]
    spread = total(w * dt**2)
    # times that differ by round-off only carry no slope
    floor = 1e-20 * total(w) * (np.abs(time).max(initial=0.0) ** 2)
    known = spread > floor
    slope = total(w * dt * dy) / np.where(known, spread, 1.0)
    # dyads of the same times round alike: what that leaves of a level course would pass any test
    slope = beyond_rounding(slope, largest * np.sqrt(mass / np.where(known, spread, 1.0)))
    return np.where(known, slope, np.nan)


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
    half = float(special.stdtrit(n - 1, 0.5 + level / 2)) * se
    p = float(2 * special.stdtr(n - 1, -abs(t)))
    return SlopeTest(mean, sd, se, float(n - 1), t, p, mean - half, mean + half, n)


@dataclass(frozen=True)
class Estimates:
    """One number per dyad, NaN where its sessions do not tell it."""

    #: shape (n_dyads,): The number, and the variance that the noise of its own sessions gives it
    value: Array
    own: Array
    #: shape (n_dyads,): Sessions of every dyad
    size: Array

    @property
    def known(self) -> NDArray[np.bool_]:
        """Dyads that have it, shape (n_dyads,)."""
        return np.isfinite(self.value)

    def without(self, dyad: int) -> Estimates:
        """Leave one dyad out."""
        return Estimates(*(np.delete(numbers, dyad) for numbers in (self.value, self.own, self.size)))


def estimates_of(
    y: ArrayLike,
    t: ArrayLike,
    codes: ArrayLike,
    n_dyads: int,
    *,
    level: bool = False,
    weights: ArrayLike | None = None,
) -> Estimates:
    """Slope of every dyad, or its mean (``level``), with the variance that the pooled noise of sessions gives it.

    Shapes: ``y, t, weights`` (n,), ``codes`` (n,).

    Examples
    --------
    >>> estimates_of([0, 1, 2, 3, 0, 2], [0, 1, 2, 3, 0, 1], [0, 0, 0, 0, 1, 1], 2, level=True).value
    array([1.5, 1. ])
    """
    value, time, dyad = np.asarray(y, float), np.asarray(t, float), np.asarray(codes, np.intp)
    w = np.ones_like(value) if weights is None else np.asarray(weights, float)
    use = np.isfinite(value) & np.isfinite(time) & np.isfinite(w) & (w > 0)
    value, time, dyad, w = value[use], time[use], dyad[use], w[use]
    size, total = np.bincount(dyad, minlength=n_dyads), np.bincount(dyad, w, n_dyads)
    per = np.where(size > 0, total, 1.0)
    dt = time - (np.bincount(dyad, w * time, n_dyads) / per)[dyad]
    mean = np.bincount(dyad, w * value, n_dyads) / per
    dy = value - mean[dyad]
    found = np.where(size > 0, mean, np.nan) if level else dyad_slopes(value, time, dyad, n_dyads, w)
    known = np.isfinite(found)
    inside = known[dyad]
    residual = (dy if level else dy - np.where(known, found, 0.0)[dyad] * dt)[inside]
    freedom = len(residual) - (1 if level else 2) * int(known.sum())
    noise = float(w[inside] @ residual**2) / freedom if freedom > 0 else 0.0
    mass = total if level else np.bincount(dyad, w * dt**2, n_dyads)
    own = np.where(known, noise / np.where(known & (mass > 0), mass, 1.0), np.nan)
    return Estimates(np.asarray(found, float), own, size.astype(float))


def plain_test(values: ArrayLike, column: Array | None = None, level: float = 0.95) -> SlopeTest:
    """Test the mean of one number per dyad, or how it goes with a column: Welch's t of two groups, else regression.

    Shapes: ``values`` (n_dyads,), ``column`` (n_dyads,).

    Examples
    --------
    >>> test = plain_test([0.1, 0.2, 0.3, 0.4, 0.6, 0.5], np.array([0, 0, 0, 1, 1, 1.0]))
    >>> round(test.slope, 3), round(test.p, 4)
    (0.3, 0.0213)
    """
    if column is None:
        return slope_test(values, level)
    x, by = np.asarray(values, float), np.asarray(column, float)
    use = np.isfinite(x) & np.isfinite(by)
    x, by = x[use], by[use]
    n, nan = len(x), np.nan
    if not tells_apart(by):
        return SlopeTest(nan, nan, nan, nan, nan, nan, nan, nan, n)
    kinds = np.unique(by)
    if len(kinds) == 2:
        parts = [slope_test(x[by == kind], level) for kind in kinds]
        step, load = float(kinds[1] - kinds[0]), 2 / float(kinds[1] - kinds[0])
        slope, shares = (parts[1].slope - parts[0].slope) / step, [(part.se / step) ** 2 for part in parts]
        se = float(np.sqrt(sum(shares)))
        df = se**4 / sum(share**2 / part.df for share, part in zip(shares, parts, strict=True)) if se > 0 else n - 2.0
    else:
        centred = by - by.mean()
        slope, load = float(centred @ x / (centred @ centred)), float(np.abs(centred).sum() / (centred @ centred))
        rest = x - x.mean() - slope * centred
        df = n - 2.0
        se = float(np.sqrt(rest @ rest / df / (centred @ centred)))
    slope, se = (float(part) for part in beyond_rounding(np.array([slope, se]), load * float(np.abs(x).max())))
    t = slope / se if se > 0 else (0.0 if slope == 0 else float(np.copysign(np.inf, slope)))
    half = float(special.stdtrit(df, 0.5 + level / 2)) * se
    return SlopeTest(slope, nan, se, df, t, float(2 * special.stdtr(df, -abs(t))), slope - half, slope + half, n)


def for_lent_people(test: AnyTest, n_pseudo: float) -> AnyTest:
    """Widen a test of excesses for the people that dyads lend each other for their chance levels.

    A pseudo pair lowers the excess of both dyads whose people it re-pairs, so that excesses of unrelated people are
    correlated, and the variance of their mean is ``n_pseudo / (n_pseudo - 1)`` times what their spread tells. So is
    that of a difference of groups which are re-paired inside; how excesses go with a number of the dyads is not led
    astray by what all of them share.

    Examples
    --------
    >>> test = weighted_test([0, 1, 0, 2, 0, 4], [0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2], 3)
    >>> round(for_lent_people(test, 4).se / test.se, 3)
    1.155
    """
    if not n_pseudo > 1:
        return test
    by = float(np.sqrt(n_pseudo / (n_pseudo - 1)))
    t = test.t / by
    found = {name: test.slope + by * (getattr(test, name) - test.slope) for name in ("ci_low", "ci_high")}
    found |= {"se": by * test.se, "t": t, "p": float(2 * special.stdtr(test.df, -abs(t)))}
    if isinstance(test, CappedSlope):
        found["p_satterthwaite"] = float(2 * special.stdtr(test.df_satterthwaite, -abs(t)))
    return replace(test, **found)


def level_for_lent_people(level: TherapistLevel, n_pseudo: float) -> TherapistLevel:
    """Widen what is tested over therapists likewise."""
    test, mixed = level.test, level.mixed
    return replace(
        level, test=test and for_lent_people(test, n_pseudo), mixed=mixed and for_lent_people(mixed, n_pseudo)
    )


def tells_apart(column: Array) -> bool:
    """Whether dyads can be compared by a column: it has three values or more, or two that two dyads each have.

    Shapes: ``column`` (n_dyads,).

    Examples
    --------
    >>> tells_apart(np.array([0, 0, 0, 1.0])), tells_apart(np.array([0, 0, 1, 1.0]))
    (False, True)
    """
    kinds, sizes = np.unique(column, return_counts=True)
    return len(column) > 2 and (len(kinds) > 2 or (len(kinds) == 2 and int(sizes.min()) > 1))


def weighted_test(y: ArrayLike, t: ArrayLike, codes: ArrayLike, n_dyads: int, level: float = 0.95) -> WeightedSlope:
    """Test the mean slope with every dyad weighted by how precisely its course of sessions tells it.

    Weights are one over the variance between dyads (REML) plus the variance of the dyad's own slope, which its times
    and the pooled residual variance give; see :func:`hyperscan.growth.pooled.regress`.

    Shapes: ``y, t`` (n,), ``codes`` (n,).

    Examples
    --------
    >>> test = weighted_test([0, 1, 2, 3, 0, 2], [0, 1, 2, 3, 0, 1], [0, 0, 0, 0, 1, 1], 2)
    >>> round(test.slope, 2)
    1.5
    """
    return pooled_test(estimates_of(y, t, codes, n_dyads), level=level)


def slope_weights(found: Estimates) -> Array:
    """Share that every dyad has in the weighted mean; NaN without a slope. Shapes: returns (n_dyads,)."""
    out, use = np.full(len(found.value), np.nan), found.known
    if use.sum() > 1:
        weight = regress(found.value[use], found.own[use], np.ones((int(use.sum()), 1))).weight
        out[use] = weight / weight.sum()
    else:
        out[use] = 1.0
    return out


def pooled_test(found: Estimates, column: Array | None = None, level: float = 0.95) -> WeightedSlope:
    """Test the weighted mean of one number per dyad, or how it goes with a column.

    Where slopes go with the length of courses, the weighted mean answers another question than the plain one: how
    clearly they do is found by regressing them (or what the column leaves of them) on the number of sessions.

    Shapes: ``column`` (n_dyads,).
    """
    use = found.known if column is None else found.known & np.isfinite(column)
    b, n = found.value[use], int(use.sum())
    if column is None and n < 2:
        return WeightedSlope(**vars(slope_test(b)), p_length=np.nan)
    columns = np.ones((n, 1))
    if column is not None:
        if not tells_apart(column[use]):
            return WeightedSlope(**vars(replace(slope_test([]), n=n)), p_length=np.nan)
        columns = np.column_stack([column[use] - column[use].mean(), columns])
    fit = regress(b, found.own[use], columns)
    p_length = _p_of_length(fit.residual, found.size[use], fit.weight)
    if column is not None:
        # a comparison is led astray only where what dyads are compared by goes with the length of courses as well
        p_length = max(p_length, _p_of_length(columns[:, 0], found.size[use], np.ones(n)))
    return WeightedSlope(**vars(fit.test(level=level)), p_length=p_length)


def _p_of_length(slopes: Array, n_sessions: Array, weight: Array) -> float:
    """Return p of the weighted regression of slopes on the number of sessions; 1 where all courses are alike.

    Shapes: ``slopes, n_sessions, weight`` (n_dyads,).
    """
    x = n_sessions - np.average(n_sessions, weights=weight)
    spread, n = float(weight @ x**2), len(slopes)
    if n < 3 or spread <= 1e-12 * float(weight.sum()):
        return 1.0
    rest = slopes - np.average(slopes, weights=weight)
    steepness = float((weight * x) @ rest) / spread
    scale = float(weight @ (rest - steepness * x) ** 2) / (n - 2)
    if scale <= 0:
        return 1.0 if steepness == 0 else 0.0
    return float(2 * special.stdtr(n - 2, -abs(steepness) / np.sqrt(scale / spread)))


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


def leave_one_out(found: Estimates, labels: NDArray[Any], n_pseudo: float = 0.0) -> LeaveOneOut:
    """Say how much one dyad decides: weighted mean slope and p with each dyad left out, as the slope itself is tested.

    Shapes: ``labels`` (n_dyads,).
    """
    known = np.flatnonzero(found.known)
    if len(known) < 3:
        return LeaveOneOut()
    tests = [for_lent_people(pooled_test(found.without(int(k))), n_pseudo) for k in known]
    means = np.array([test.slope for test in tests])
    full = pooled_test(found).slope
    return LeaveOneOut(
        same_sign=bool((np.sign(means) == np.sign(full)).all()),
        slope_min=float(means.min()),
        slope_max=float(means.max()),
        p_max=max(test.p for test in tests) if len(known) > MIN_DYADS else None,
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
    slope, _, low, high = map(float, scipy.stats.theilslopes(y, t))
    if n == 2:
        text = f"One dyad, two sessions: a difference of {y[-1] - y[0]:+.4g}, which no test can judge."
        return DyadTrend(slope, n_sessions=n, text=text)
    tau = float(scipy.stats.kendalltau(t, y).statistic) if len(np.unique(y)) > 1 else None
    if n < MIN_TESTED:
        text = f"{who}: Theil-Sen slope {slope:+.4g}; below {MIN_TESTED} sessions described, not tested."
        return DyadTrend(slope, low, high, tau, n_sessions=n, text=text)
    p = mann_kendall(t, y, rng, n_permutations)
    text = (
        f"{who}: Theil-Sen slope {slope:+.4g} ({low:+.4g} to {high:+.4g}), Mann-Kendall {p_text(p)}, which assumes "
        "independent sessions and cannot be checked with so few. The result speaks of this dyad alone."
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
        return float(scipy.stats.kendalltau(t, y, method="exact").pvalue)
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
