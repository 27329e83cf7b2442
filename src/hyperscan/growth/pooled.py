"""One number per dyad with its own noise: weighted by precision, and regressed on what tells dyads apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import special

from hyperscan.growth.records import SlopeTest

Array = NDArray[np.float64]

#: Share of what a number is made of at which it is rounding alone (our choice).
ROUNDING = 1e-12


@dataclass(frozen=True)
class Regression:
    """Coefficients of a weighted regression over dyads, with robust standard errors."""

    #: shape (p,): Coefficients, standard errors, degrees of freedom
    coefficient: Array
    se: Array
    df: Array
    #: Variance between dyads beyond their own noise
    between: float
    #: shape (n,): Weight of every dyad
    weight: Array
    #: shape (n,): What the regression leaves of every number
    residual: Array
    #: Numbers that entered, or clusters of them
    n: int

    def test(self, k: int = 0, level: float = 0.95) -> SlopeTest:
        """Test of one coefficient."""
        slope, se, df = float(self.coefficient[k]), float(self.se[k]), float(self.df[k])
        t = slope / se if se > 0 else (0.0 if slope == 0 else float(np.copysign(np.inf, slope)))
        half = float(special.stdtrit(df, 0.5 + level / 2)) * se
        p = float(2 * special.stdtr(df, -abs(t)))
        return SlopeTest(slope, float(np.sqrt(self.between)), se, df, t, p, slope - half, slope + half, self.n)


def regress(
    value: Array,
    own: Array,
    columns: Array,
    clusters: NDArray[Any] | None = None,
    *,
    between: float | None = None,
) -> Regression:
    """Regress one number per dyad on columns, weighted by one over its own variance plus that between dyads.

    The variance ``between`` is estimated by REML where it is not given.

    The standard error is the bias-reduced sandwich (CR2) and its degrees of freedom are Bell and McCaffrey's, so that
    neither rests on the weights being right: Pustejovsky & Tipton 2018, doi:10.1080/07350015.2016.1247004. With
    clusters (therapists), dyads of one cluster may be alike in any way.

    Shapes: ``value, own`` (n,), ``columns`` (n, p), ``clusters`` (n,).

    Examples
    --------
    >>> fit = regress(np.array([0.1, 0.3, 0.2]), np.full(3, 0.01), np.ones((3, 1)))
    >>> round(fit.test().slope, 3), round(fit.test().df, 3)
    (0.2, 2.0)
    """
    n = len(value)
    between = variance_between(value, own, columns) if between is None else between
    weight = 1 / (own + between) if between + own.min() > 0 else np.ones(n)
    bread = np.linalg.inv(columns.T @ (weight[:, None] * columns))
    projection = bread @ columns.T * weight
    coefficient = projection @ value
    residual = value - columns @ coefficient
    labels = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    members = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    scores, own_part, shared = [], [], []
    for at in members:
        root, inside = np.sqrt(1 / weight[at]), columns[at]
        # (I - H) times the working covariance
        covariance = np.diag(1 / weight[at]) - inside @ bread @ inside.T
        size = float(weight[at].min()) ** -2.0
        adjusted = root[:, None] * _inverse_root(root[:, None] * covariance * root, size) * root
        load = projection[:, at] @ adjusted
        scores.append(load @ residual[at])
        own_part.append((load**2 / weight[at]).sum(1))
        shared.append(load @ inside)
    variance = (np.array(scores) ** 2).sum(0)
    df = np.empty(len(coefficient))
    for k in range(len(coefficient)):
        mixed = np.array([part[k] for part in shared])
        matrix = np.diag([part[k] for part in own_part]) - mixed @ bread @ mixed.T
        size = float((matrix**2).sum())
        df[k] = float(np.trace(matrix)) ** 2 / size if size > 0 else np.nan
    # equal numbers leave a coefficient and a standard error of round-off
    size = np.abs(projection).sum(1) * np.abs(value).max(initial=0.0)
    coefficient, se = beyond_rounding(coefficient, size), beyond_rounding(np.sqrt(variance), size)
    return Regression(coefficient, se, df, between, weight, residual, len(members))


def beyond_rounding(value: Array, size: Array | float) -> Array:
    """Numbers, 0 where they are what rounding leaves of ``size``, the sum of what they are made of.

    Examples
    --------
    >>> beyond_rounding(np.array([0.1 + 0.2 - 0.3, 0.1]), 0.6)
    array([0. , 0.1])
    """
    return np.where(np.abs(value) <= ROUNDING * size, 0.0, value)


def _inverse_root(matrix: Array, size: float) -> Array:
    """Inverse square root of a symmetric matrix; nothing where it is round-off beside ``size``."""
    if matrix.shape == (1, 1):
        return np.asarray(matrix**-0.5 if matrix[0, 0] > 1e-10 * size else np.zeros((1, 1)))
    values, vectors = np.linalg.eigh(matrix)
    keep = values > 1e-10 * size
    return np.asarray((vectors[:, keep] * values[keep] ** -0.5) @ vectors[:, keep].T)


def variance_between(value: Array, own: Array, columns: Array) -> float:
    """Estimate by REML how much numbers differ beyond their own variances and what the columns tell.

    Shapes: ``value, own`` (n,), ``columns`` (n, p).
    """

    def deviance(between: Array | float) -> Array:
        w = 1 / (own + np.atleast_1d(between)[:, None])
        along = w[:, None, :] * columns.T
        cross = along @ columns
        beta = np.linalg.solve(cross, (along @ value)[..., None])[..., 0]
        rest = value - beta @ columns.T
        return np.asarray(-np.log(w).sum(1) + np.linalg.slogdet(cross)[1] + (w * rest**2).sum(1))

    rest = value - columns @ np.linalg.lstsq(columns, value, rcond=None)[0]
    spread: float = float(rest @ rest) / max(len(value) - columns.shape[1], 1)
    if 4 * spread <= 1e-24 * float(np.abs(value).max(initial=0.0)) ** 2:
        return 0.0
    if own.min() == 0:
        return spread  # nothing is known of single numbers: all count alike
    largest = 4 * spread
    grid = np.concatenate([[0.0], np.geomspace(1e-4 * largest, largest, 40)])
    found = deviance(grid)
    at = int(np.argmin(found))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    search = {"bounds": (low, high), "method": "bounded", "options": {"xatol": 1e-9 * largest}}
    best = scipy.optimize.minimize_scalar(lambda item: float(deviance(item)[0]), **search)
    return float(best.x) if best.fun < found[0] else 0.0
