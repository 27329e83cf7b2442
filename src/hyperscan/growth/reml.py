"""Linear mixed models by (restricted) maximum likelihood, with Satterthwaite degrees of freedom.

Written for session tables: ``y ~ 1 + t + (1 + t | dyad)`` and its relatives, also with therapists above
dyads. A covariance estimated on the boundary is kept and flagged, never silently reduced.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from hyperscan.errors import InputError
from hyperscan.growth.likelihood import (
    Array,
    Evaluation,
    Problem,
    RandomTerm,
    TermLayout,
    column_sizes,
    derivatives,
    factor,
    minimise,
    rotate,
)

#: A diagonal entry of the relative covariance factor below this is called singular, as lme4's isSingular does; here per
#: root mean square of its column, so that seconds and weeks give one answer.
SINGULAR = 1e-4

#: Within-group residual variance below this share of the total counts as none (round-off of doubles, our
#: choice).
NO_RESIDUAL = 1e-20


@dataclass(frozen=True)
class MixedFit:
    """A fitted mixed model."""

    #: shape (p,): Fixed effects, standard errors, Satterthwaite df, t and two-sided p. For maximum likelihood ``df`` is
    #: NaN
    estimate: Array
    se: Array
    df: Array
    t: Array
    p: Array
    #: shape (p, p): Covariance of the fixed effects
    vcov: Array
    #: Residual standard deviation, in the unit of y
    sigma: float
    #: shape (n_theta,): Entries of the relative covariance factors, term by term, lower triangles column by column
    theta: Array
    #: shape (q, q): Covariance of the random coefficients, per term
    covariances: tuple[Array, ...]
    #: A covariance lies on the boundary (a variance of zero, or a correlation of one)
    singular: bool
    #: Whether the search for the optimum ended at one
    converged: bool
    #: Minus twice the (restricted) log-likelihood
    deviance: float
    #: Observations
    n_obs: int
    #: Whether the likelihood was restricted
    reml: bool
    #: Predicted deviations of the groups of the first term, arrays of shape (q,)
    random_effects: Mapping[Hashable, Array]

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting every fixed effect and (co)variance."""
        return self.deviance + (len(self.estimate) + len(self.theta) + 1) * float(np.log(self.n_obs))


def fit_mixed(y: ArrayLike, fixed: ArrayLike, random: Sequence[RandomTerm], *, reml: bool = True) -> MixedFit:
    """Fit a linear mixed model with one grouping, or with groupings nested in the first term's.

    Shapes: ``y`` (n,), ``fixed`` (n, p).

    Examples
    --------
    >>> t = np.tile([0.0, 1, 2, 3], 3)
    >>> y = np.array([0, 1, 2, 4, 1, 1, 3, 3, 0, 2, 2, 3.0])
    >>> dyad = np.repeat(["a", "b", "c"], 4)
    >>> x = np.column_stack([np.ones(12), t])
    >>> fit = fit_mixed(y, x, [RandomTerm(dyad, x[:, :1])])
    >>> fit.estimate.round(3)
    array([0.333, 1.   ])
    """
    y, fixed = np.asarray(y, float), np.asarray(fixed, float)
    _check(y, fixed, random)
    scale_x = column_sizes(fixed)
    xs = fixed / scale_x
    beta0, *_ = np.linalg.lstsq(xs, y, rcond=None)
    centred = y - xs @ beta0
    scale_y = float(column_sizes(centred[:, None])[0])
    layout = TermLayout.of(random)
    z, x, yy = layout.stack(random, xs, centred / scale_y)
    problem = rotate(z, x, yy, layout.patterns, n=len(y), reml=reml)
    if problem.yy <= NO_RESIDUAL * len(y) and len(y) > problem.r.shape[0] * problem.r.shape[1]:
        raise InputError(
            "y: every value lies exactly on its group's line, so there is no residual variance to estimate.\n"
            "A mixed model needs measurements with noise."
        )
    best, converged = minimise(problem, layout.starts())
    at = _Scales(beta0, scale_x, scale_y)
    return _report(problem, best, layout, at, converged)


@dataclass(frozen=True)
class _Scales:
    """How the fitted numbers go back to the user's units."""

    beta0: Array
    x: Array
    y: float


def _check(y: Array, fixed: Array, random: Sequence[RandomTerm]) -> None:
    """Refuse arrays that do not fit or cannot be told apart.

    Shapes: ``y`` (n,), ``fixed`` (n, p).
    """
    n = len(y)
    if y.ndim != 1 or fixed.ndim != 2 or len(fixed) != n:
        raise InputError(f"y {y.shape} and fixed {fixed.shape} do not fit; expected (n,) and (n, p).")
    if not random:
        raise InputError("random is empty: a mixed model needs at least one random term.")
    if any(len(term.groups) != n or len(term.columns) != n for term in random):
        raise InputError(f"random: every term needs groups and columns for the {n} observations.")
    if not (np.isfinite(y).all() and np.isfinite(fixed).all()):
        raise InputError("y or fixed holds NaN or infinite values; drop those rows first.")
    if n <= fixed.shape[1] or np.linalg.matrix_rank(fixed) < fixed.shape[1]:
        raise InputError(
            f"fixed has {fixed.shape[1]} columns that {n} observations cannot tell apart; "
            "a time axis needs at least two distinct values."
        )


def _report(problem: Problem, best: Evaluation, layout: TermLayout, scales: _Scales, converged: bool) -> MixedFit:
    """Bring the fitted numbers back to the user's units."""
    df = _satterthwaite(problem, best) if problem.reml else np.full(len(best.beta), np.nan)
    back = scales.y / scales.x
    estimate = (scales.beta0 / scales.x) + best.beta * back
    vcov = best.sigma2 * best.c * np.outer(back, back)
    se = np.sqrt(np.diag(vcov))
    t = estimate / se
    sigma = float(np.sqrt(best.sigma2) * scales.y)
    theta, covariances, singular = _covariances(best.theta, layout, sigma)
    shift = 2 * problem.dof * np.log(scales.y)
    if problem.reml:
        # X was divided by its column sizes: |X'W^-1 X| changes by their squares
        shift += 2 * float(np.log(scales.x).sum())
    lower, size = factor(best.theta, problem.patterns), layout.scale_z[0]
    effects = (best.resid @ (lower @ lower.T) * scales.y)[:, : len(size)] / size
    return MixedFit(
        estimate=estimate,
        se=se,
        df=df,
        t=t,
        p=2 * special.stdtr(df, -np.abs(t)),
        vcov=vcov,
        sigma=sigma,
        theta=theta,
        covariances=covariances,
        singular=singular,
        converged=converged,
        deviance=float(best.deviance + shift),
        n_obs=problem.n,
        reml=problem.reml,
        random_effects=dict(zip(layout.labels.tolist(), effects, strict=True)),
    )


def _satterthwaite(problem: Problem, best: Evaluation) -> Array:
    """Degrees of freedom of the fixed effects by Satterthwaite's approximation, shape (p,)."""
    d = derivatives(problem, best)
    sigma = np.sqrt(best.sigma2)
    # each parameter in its own size: dyads a hundred residuals apart leave curvatures that differ by 1e10
    size = np.append(np.maximum(np.abs(best.theta), 1.0), sigma)
    values, vectors = np.linalg.eigh(d.hessian * np.outer(size, size))
    keep = values > 1e-9 * values.max()
    vectors = vectors * size[:, None]
    covariance = 2 * (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    variance = np.diag(best.c) * best.sigma2
    # d_c is per theta; the last derivative is with respect to sigma
    jacobian = np.vstack([best.sigma2 * np.einsum("kpp->kp", d.d_c), 2 * sigma * np.diag(best.c)])
    spread = np.einsum("kp,kl,lp->p", jacobian, covariance, jacobian)
    return np.asarray(2 * variance**2 / spread)


def _covariances(theta: Array, layout: TermLayout, sigma: float) -> tuple[Array, tuple[Array, ...], bool]:
    """Covariances of the random coefficients, with theta in the user's units, and whether one is singular.

    Shapes: ``theta`` (n_theta,).
    """
    out, covariances, singular, offset = [], [], False, 0
    for entries, scale in zip(layout.entries, layout.scale_z, strict=True):
        q = len(scale)
        lower = np.zeros((q, q))
        for value, (r, c) in zip(theta[offset : offset + len(entries)], entries, strict=True):
            lower[r, c] = value / scale[r]
        lower = lower * np.where(np.diag(lower) < 0, -1.0, 1.0)
        out += [lower[r, c] for r, c in entries]
        covariances.append(sigma**2 * lower @ lower.T)
        singular = singular or bool((np.diag(lower) * scale < SINGULAR).any())
        offset += len(entries)
    return np.array(out), tuple(covariances), singular


def fit_slope(
    y: ArrayLike,
    t: ArrayLike,
    dyad: ArrayLike,
    *,
    slope: Literal["correlated", "uncorrelated", "none"] = "correlated",
    therapist: ArrayLike | None = None,
    reml: bool = True,
) -> MixedFit:
    """Fit ``y ~ 1 + t + (1 + t | dyad)``.

    Shapes: ``y, t`` (n,), ``dyad`` (n,), ``therapist`` (n,).

    Examples
    --------
    >>> t = np.tile([0.0, 1, 2, 3], 3)
    >>> y = np.array([0, 1, 2, 4, 1, 1, 3, 3, 0, 2, 2, 3.0])
    >>> fit = fit_slope(y, t, np.repeat(["a", "b", "c"], 4))
    >>> round(float(fit.estimate[1]), 3), fit.singular
    (1.0, True)
    """
    if slope not in ("correlated", "uncorrelated", "none"):
        raise InputError(f"slope = {slope!r}: expected 'correlated', 'uncorrelated' or 'none'.")
    time = np.asarray(t, float)
    x = np.column_stack([np.ones_like(time), time])
    columns = x[:, :1] if slope == "none" else x
    levels = [np.asarray(dyad)] if therapist is None else [np.asarray(therapist), np.asarray(dyad)]
    terms = [RandomTerm(groups, columns, slope == "correlated") for groups in levels]
    value = np.asarray(y, float)
    _check(value, x, terms)
    if therapist is None and slope == "correlated" and noiseless(value, time, levels[0]):
        return _exact_lines(value, x, levels[0], reml)
    return fit_mixed(value, x, terms, reml=reml)


def _lines(y: Array, x: Array, dyad: NDArray[Any]) -> tuple[Array, float]:
    """Least-squares line of every dyad that has one, and the largest residual."""
    coefficients, worst = [], 0.0
    for label in np.unique(dyad):
        rows = dyad == label
        if np.ptp(x[rows, 1]) > 0:
            line, *_ = np.linalg.lstsq(x[rows], y[rows], rcond=None)
            coefficients.append(line)
            worst = max(worst, float(np.abs(y[rows] - x[rows] @ line).max()))
    return np.array(coefficients).reshape(-1, 2), worst


def noiseless(y: Array, t: Array, dyad: NDArray[Any]) -> bool:
    """Tell whether nothing is left to fit: every dyad's values lie exactly on a line, or all dyads' on the same one.

    Shapes: ``y, t`` (n,), ``dyad`` (n,).
    """
    x = np.column_stack([np.ones_like(t), t])
    counts = np.unique(dyad, return_counts=True)[1]
    nothing = 1e-10 * (np.abs(y).max() or 1.0)
    # two sessions of one dyad always lie on a line; three, or those of two dyads, by chance never do
    if counts.max() > 2 and _lines(y, x, dyad)[1] <= nothing:
        return True
    common = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return bool(len(counts) > 1 and len(y) > 2 and np.abs(y - common).max() <= nothing)


def _exact_lines(y: Array, x: Array, dyad: NDArray[Any], reml: bool) -> MixedFit:
    """Fit for values without residuals: what the mixed model tends to as the residual variance vanishes."""
    lines, _ = _lines(y, x, dyad)
    n = len(lines)
    spread = np.atleast_2d(np.cov(lines, rowvar=False)) if n > 1 else np.full((2, 2), np.nan)
    estimate, se = lines.mean(0), np.sqrt(np.diag(spread) / n)
    # what the values' own round-off can make is nothing
    size = 1e-12 * np.abs(y).max() / np.maximum(np.abs(x).max(0), 1.0)
    estimate, se = np.where(np.abs(estimate) <= size, 0.0, estimate), np.where(se <= size, 0.0, se)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where((se == 0) & (estimate == 0), 0.0, estimate / se)
    df = np.full(2, n - 1.0)
    labels = np.unique(dyad).tolist()
    effects = {label: line - estimate for label, line in zip(labels, lines, strict=False)}
    return MixedFit(
        estimate, se, df, t, 2 * special.stdtr(df, -np.abs(t)), spread / n, 0.0, np.full(3, np.inf), (spread,),
        singular=True, converged=True, deviance=-np.inf, n_obs=len(y), reml=reml, random_effects=effects,
    )  # fmt: skip
