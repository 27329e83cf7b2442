"""Deviance of a linear mixed model with random terms, and its exact first and second derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RandomTerm:
    """One random term: these columns vary by this grouping."""

    #: shape (n,): Group of every observation
    groups: NDArray[Any]
    #: shape (n, q): Columns whose coefficients differ between groups
    columns: Array
    #: Whether those coefficients may correlate
    correlated: bool = True


def column_sizes(columns: Array) -> Array:
    """Root mean square of every column, 1 for a column of zeros."""
    size = np.sqrt((columns**2).mean(0))
    return np.where(size > 0, size, 1.0)


@dataclass(frozen=True)
class TermLayout:
    """Where every term's columns stand in the stacked ``Z`` of a top-level group."""

    top: NDArray[np.intp]
    labels: NDArray[Any]
    slots: tuple[NDArray[np.intp], ...]
    n_slots: tuple[int, ...]
    entries: tuple[tuple[tuple[int, int], ...], ...]
    patterns: Array
    scale_z: tuple[Array, ...]

    @classmethod
    def of(cls, random: Sequence[RandomTerm]) -> TermLayout:
        """Lay out these terms; the first one's grouping is the coarsest."""
        labels, top = np.unique(random[0].groups, return_inverse=True)
        slots, n_slots = [np.zeros(len(top), np.intp)], [1]
        for term in random[1:]:
            slot = _slots(top, term.groups)
            slots.append(slot)
            n_slots.append(int(slot.max()) + 1)
        entries = tuple(_entries(term) for term in random)
        widths = [term.columns.shape[1] for term in random]
        scale_z = tuple(column_sizes(np.asarray(term.columns, float)) for term in random)
        patterns = _patterns(entries, widths, n_slots)
        return cls(top, labels, tuple(slots), tuple(n_slots), entries, patterns, scale_z)

    def stack(self, random: Sequence[RandomTerm], x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Arrays by top-level group, filled with zeros."""
        rank = _rank_within(self.top)
        q = self.patterns.shape[1]
        n_groups, n_max = len(self.labels), max(int(rank.max()) + 1, q)
        z = np.zeros((n_groups, n_max, q))
        offset = 0
        for term, slot, n_slots, scale in zip(random, self.slots, self.n_slots, self.scale_z, strict=True):
            width = term.columns.shape[1]
            for column in range(width):
                z[self.top, rank, offset + slot * width + column] = term.columns[:, column] / scale[column]
            offset += n_slots * width
        xs = np.zeros((n_groups, n_max, x.shape[1]))
        ys = np.zeros((n_groups, n_max))
        xs[self.top, rank], ys[self.top, rank] = x, y
        return z, xs, ys

    def starts(self) -> list[Array]:
        """Small, middling and large random effects; very large ones where rows hardly outnumber coefficients."""
        diagonal = np.array([r == c for term in self.entries for r, c in term], float)
        starts = [diagonal, 0.2 * diagonal + 0.02 * (1 - diagonal), 10 * diagonal]
        if len(self.top) <= len(self.labels) * self.patterns.shape[1]:
            starts.append(30 * diagonal)
        return starts


def _slots(top: NDArray[np.intp], groups: NDArray[Any]) -> NDArray[np.intp]:
    """Count the groups inside each top-level group.

    Shapes: ``top, groups`` (n,), returns (n,).
    """
    labels, inner = np.unique(groups, return_inverse=True)
    slot = np.zeros(len(labels), np.intp)
    seen: dict[int, int] = {}
    for k in range(len(labels)):
        owners = np.unique(top[inner == k])
        if len(owners) > 1:
            raise InputError(f"random: group {labels[k]!r} lies in several groups of the first term; nest it in one.")
        slot[k] = seen.get(int(owners[0]), 0)
        seen[int(owners[0])] = int(slot[k]) + 1
    return slot[inner]


def _entries(term: RandomTerm) -> tuple[tuple[int, int], ...]:
    """List the free entries of a term's lower triangle, column by column."""
    q = term.columns.shape[1]
    if not term.correlated:
        return tuple((r, r) for r in range(q))
    return tuple((r, c) for c in range(q) for r in range(c, q))


def _patterns(entries: Sequence[Sequence[tuple[int, int]]], widths: Sequence[int], n_slots: Sequence[int]) -> Array:
    """Mark where each parameter stands in the factor ``L``.

    Shapes: returns (n_theta, q, q).
    """
    total = sum(w * s for w, s in zip(widths, n_slots, strict=True))
    patterns, offset = [], 0
    for term, width, slots in zip(entries, widths, n_slots, strict=True):
        for r, c in term:
            pattern = np.zeros((total, total))
            at = offset + width * np.arange(slots)
            pattern[at + r, at + c] = 1.0
            patterns.append(pattern)
        offset += width * slots
    return np.array(patterns)


def _rank_within(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """Count the rows of each group.

    Shapes: ``groups`` (n,), returns (n,).
    """
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(len(groups), np.intp)
    rank[order] = np.arange(len(groups)) - first
    return rank


@dataclass(frozen=True)
class Problem:
    """What the deviance needs of the data."""

    #: shape (n_groups, q, q): ``Z``, ``X`` and ``y`` of every group, rotated onto the column space of ``Z``
    r: Array
    x: Array
    y: Array
    #: shape (p, p): Cross products of what is left of ``X`` and ``y`` outside that space, summed over groups
    xx: Array
    xy: Array
    yy: float
    #: shape (n_theta, q, q): Where each parameter stands in the factor ``L``
    patterns: Array
    #: Observations
    n: int
    #: Restricted likelihood; otherwise the full one
    reml: bool

    @property
    def dof(self) -> int:
        """Divisor of the residual sum of squares."""
        return self.n - (self.x.shape[2] if self.reml else 0)


def rotate(z: Array, x: Array, y: Array, patterns: Array, *, n: int, reml: bool) -> Problem:
    """Rotate every group onto the column space of its ``Z``.

    Shapes: ``z, x, y`` (n_groups, n_max, q), ``patterns`` (n_theta, q, q).
    """
    q, r = np.linalg.qr(z)
    qt = q.transpose(0, 2, 1)
    x1, y1 = qt @ x, (qt @ y[..., None])[..., 0]
    x2 = (x - q @ x1).reshape(-1, x.shape[2])
    y2 = (y - (q @ y1[..., None])[..., 0]).ravel()
    return Problem(r, x1, y1, x2.T @ x2, x2.T @ y2, float(y2 @ y2), patterns, n, reml)


@dataclass(frozen=True)
class Evaluation:
    """The deviance at one point, and what its derivatives are made of."""

    theta: Array
    deviance: float
    sigma2: float
    beta: Array
    c: Array  # (X' W^-1 X)^-1
    s: Array  # Z' W^-1 Z per group
    u: Array  # Z' W^-1 X per group
    resid: Array  # Z' W^-1 (y - X beta) per group
    factor: Array

    def gradient_matrix(self, reml: bool) -> Array:
        """Differentiate the deviance with respect to ``L L'``, shape (q, q)."""
        g = self.s.sum(0) - np.einsum("ga,gb->ab", self.resid, self.resid) / self.sigma2
        if reml:
            g = g - np.einsum("gap,pr,gbr->ab", self.u, self.c, self.u)
        return np.asarray(g)


def factor(theta: Array, patterns: Array) -> Array:
    """Factor ``L`` of the relative covariance, shape (q, q)."""
    return np.asarray(np.tensordot(theta, patterns, axes=1))


def evaluate(problem: Problem, theta: Array) -> Evaluation:
    """Deviance at ``theta``, with residual variance and fixed effects profiled out.

    Shapes: ``theta`` (n_theta,).
    """
    lower = factor(theta, problem.patterns)
    a = problem.r @ lower
    w = a @ a.transpose(0, 2, 1)
    w += np.eye(w.shape[1])
    logdet = float(np.linalg.slogdet(w)[1].sum())
    k = problem.r.transpose(0, 2, 1) @ np.linalg.inv(w)
    winv_x = np.linalg.solve(w, problem.x)
    xwx = problem.xx + np.einsum("gqp,gqr->pr", problem.x, winv_x)
    xwy = problem.xy + np.einsum("gqp,gq->p", winv_x, problem.y)
    c = np.linalg.inv(xwx)
    beta = c @ xwy
    e = problem.y - problem.x @ beta
    rss = problem.yy - 2 * beta @ problem.xy + beta @ problem.xx @ beta
    resid = (k @ e[..., None])[..., 0]
    rss += float(np.einsum("gq,gq->", e, np.linalg.solve(w, e[..., None])[..., 0]))
    dof = problem.dof
    sigma2 = max(rss, np.finfo(float).tiny) / dof
    deviance = logdet + dof * (1 + np.log(2 * np.pi * sigma2))
    if problem.reml:
        deviance += float(np.linalg.slogdet(xwx)[1])
    return Evaluation(theta, float(deviance), float(sigma2), beta, c, k @ problem.r, k @ problem.x, resid, lower)


@dataclass(frozen=True)
class Derivatives:
    """Derivatives at one point."""

    #: shape (n_theta,): Of the deviance with respect to theta
    gradient: Array
    #: shape (n_theta + 1, n_theta + 1): Of the deviance with respect to theta and sigma (not profiled)
    hessian: Array
    #: shape (n_theta, p, p): Of ``(X' W^-1 X)^-1`` with respect to theta
    d_c: Array

    def profiled(self) -> Array:
        """Hessian with respect to theta alone, sigma at its best value for each theta."""
        h = self.hessian
        return np.asarray(h[:-1, :-1] - np.outer(h[:-1, -1], h[-1, :-1]) / h[-1, -1])


def derivatives(problem: Problem, at: Evaluation) -> Derivatives:
    """Differentiate the deviance once and twice, exactly."""
    pat = problem.patterns
    d_sigma = pat @ at.factor.T
    d_sigma = d_sigma + d_sigma.transpose(0, 2, 1)
    g = at.gradient_matrix(problem.reml)
    gradient = np.einsum("ab,kba->k", g, d_sigma)
    sd = at.s[:, None] @ d_sigma  # (group, theta, q, q)
    du = d_sigma @ at.u[:, None]  # (group, theta, q, p)
    a = np.einsum("gqp,gkqr->kpr", at.u, du)
    trace = np.einsum("gkab,glba->kl", sd, sd)
    if problem.reml:
        sdu = at.s[:, None] @ du
        trace = trace - 2 * np.einsum("gkqp,glqr,rp->kl", du, sdu, at.c)
        ac = a @ at.c
        trace = trace + np.einsum("kab,lba->kl", ac, ac)
    v = (d_sigma @ at.resid[:, None, :, None])[..., 0]  # (group, theta, q)
    av = np.einsum("gqp,gkq->kp", at.u, v)
    quad = np.einsum("gka,gab,glb->kl", v, at.s, v) - av @ at.c @ av.T
    curvature = 2 * np.einsum("ab,kbc,lac->kl", g, pat, pat)
    sigma = np.sqrt(at.sigma2)
    n_theta = len(pat)
    h = np.empty((n_theta + 1, n_theta + 1))
    h[:-1, :-1] = curvature - trace + 2 * quad / at.sigma2
    h[:-1, -1] = h[-1, :-1] = 2 * np.einsum("gq,gkq->k", at.resid, v) / sigma**3
    h[-1, -1] = 4 * problem.dof / at.sigma2
    return Derivatives(np.asarray(gradient), (h + h.T) / 2, at.c @ a @ at.c)


def minimise(problem: Problem, starts: Any) -> tuple[Evaluation, bool]:
    """Lowest deviance over several starting points, by damped Newton steps.

    Shapes: ``starts`` (n_theta,).
    """
    best: tuple[Evaluation, bool] | None = None
    for start in starts:
        found = _newton(problem, np.asarray(start, float))
        if best is None or found[0].deviance < best[0].deviance - 1e-9:
            best = found
    if best is None:
        raise AssertionError("no starting point was given")
    return best


def _newton(problem: Problem, theta: Array, max_iter: int = 200) -> tuple[Evaluation, bool]:
    """Go downhill by damped Newton steps, and say whether an optimum was reached.

    Shapes: ``theta`` (n_theta,).
    """
    here = evaluate(problem, theta)
    for _ in range(max_iter):
        d = derivatives(problem, here)
        values, vectors = np.linalg.eigh(d.profiled())
        floor = max(1e-10, 1e-9 * float(np.abs(values).max()))
        step = -vectors @ ((vectors.T @ d.gradient) / np.maximum(np.abs(values), floor))
        decrement = float(-d.gradient @ step)
        if decrement < 1e-14 * (1 + abs(here.deviance)):
            return here, True
        # a step far beyond the present scale leaves the region where the quadratic means anything
        limit = 1 + float(np.linalg.norm(here.theta))
        step *= min(1.0, limit / max(float(np.linalg.norm(step)), 1e-300))
        there = _search(problem, here, step, decrement)
        if there is None:
            return here, decrement < 1e-5
        # beyond this the deviance is round-off, and steps only wander in it
        still = here.deviance - there.deviance < 1e-13 * (1 + abs(here.deviance))
        here = there
        if still:
            return here, True
    return here, False


def _search(problem: Problem, here: Evaluation, step: Array, decrement: float) -> Evaluation | None:
    """Halve a step until the deviance falls enough; None if it never does.

    Shapes: ``step`` (n_theta,).
    """
    scale = 1.0
    for _ in range(30):
        there = evaluate(problem, here.theta + scale * step)
        if there.deviance <= here.deviance - 1e-4 * scale * decrement:
            return there
        scale /= 2
    return None
