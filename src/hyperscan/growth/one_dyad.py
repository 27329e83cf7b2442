"""A single dyad: a description, and from eight sessions on a rank test of trend."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hyperscan.errors import count

#: Below this many sessions a trend is described, not tested (its power is near nothing there; our choice).
MIN_SESSIONS = 8

_CAVEAT = (
    "The p assumes independent sessions, which cannot be checked with so few; the result speaks of this dyad alone."
)


def describe_dyad(
    t: ArrayLike, y: ArrayLike, rng: np.random.Generator, n_permutations: int = 100_000
) -> dict[str, Any]:
    """Describe the sessions of one dyad and, where there are enough, test for a trend.

    Parameters
    ----------
    t, y : array-like of shape (n_sessions,)
        Time and value, no NaN.
    rng : numpy.random.Generator
        Used where values tie, so that the exact distribution is not known.
    n_permutations : int
        Permutations in that case.

    Returns
    -------
    dict
        ``n_sessions slope ci_low ci_high tau p tested exact text``: Theil-Sen slope per unit of time with its 95 %
        interval, Kendall's tau (-1 to 1, 0 = no trend) and the two-sided Mann-Kendall p, ``exact`` where nothing
        ties, else by random permutations; None where there are too few sessions. With two sessions ``slope`` is
        their difference per unit of time.

    References
    ----------
    Theil-Sen: Sen 1968, doi:10.1080/01621459.1968.10480934. Mann-Kendall: Mann 1945, doi:10.2307/1907187.

    Examples
    --------
    >>> out = describe_dyad(range(8), [1, 3, 2, 4, 5, 6, 8, 7], np.random.default_rng(0))
    >>> out["slope"], round(out["p"], 4)
    (1.0, 0.0017)
    """
    t, y = np.asarray(t, float), np.asarray(y, float)
    n = len(y)
    out: dict[str, Any] = dict.fromkeys(("slope", "ci_low", "ci_high", "tau", "p", "exact"))
    out |= {"n_sessions": n, "tested": False}
    if len(np.unique(t)) < 2:
        return out | {"text": f"One dyad with {count(n, 'session')}: nothing can be said about change."}
    slope, _, low, high = stats.theilslopes(y, t)
    out["slope"] = float(slope)
    if n == 2:
        return out | {"text": f"One dyad, two sessions: a difference of {y[-1] - y[0]:+.4g}, which no test can judge."}
    out |= {"ci_low": float(low), "ci_high": float(high), "tau": _tau(t, y)}
    if n < MIN_SESSIONS:
        text = (
            f"One dyad, {count(n, 'session')}: Theil-Sen slope {slope:+.4g}; "
            f"below {MIN_SESSIONS} sessions described, not tested."
        )
        return out | {"text": text}
    p = mann_kendall(t, y, rng, n_permutations)
    text = (
        f"One dyad, {count(n, 'session')}: Theil-Sen slope {slope:+.4g} ({low:+.4g} to {high:+.4g}), "
        f"Mann-Kendall p = {p:.3g}. {_CAVEAT}"
    )
    return out | {"p": p, "tested": True, "exact": not _ties(t, y), "text": text}


def mann_kendall(t: ArrayLike, y: ArrayLike, rng: np.random.Generator, n_permutations: int = 100_000) -> float:
    """Two-sided p of the Mann-Kendall test of trend.

    Parameters
    ----------
    t, y : array-like of shape (n_sessions,)
        Time and value.
    rng : numpy.random.Generator
        Used where values or times tie.
    n_permutations : int
        Permutations where they tie.

    Returns
    -------
    float
        Exact without ties; with ties (b + 1) / (n_permutations + 1) over random permutations.

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


def _tau(t: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    if len(np.unique(y)) < 2:
        return None
    return float(stats.kendalltau(t, y).statistic)
