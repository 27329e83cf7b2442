"""The slope of one series on another inside dyads, without what time alone does to both.

Each dyad's own line is taken out by contrasts that know nothing of it, and what all dyads share at a session by columns
of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.pooled import regress, variance_between
from hyperscan.growth.records import CappedSlope, SlopeTest
from hyperscan.growth.reml import fit_mixed

Array = NDArray[np.float64]

#: What all dyads share at a session number is taken out where it costs at most this share of what their own lines leave
#: (our choice).
MOST_SHARED = 0.25

#: Below this share of a column's size its rest is round-off.
ROUND_OFF = 1e-9

#: Below this share of the outcome's own size its rest leaves a mixed model nothing to fit (our choice).
NO_REST = 1e-6

#: Least noise that is assumed, as a share of the mean square: without any, weights would have no bound.
LEAST_NOISE = 1e-8


@dataclass(frozen=True)
class Within:
    """Two series inside dyads, without each dyad's own line and without what all share at a session.

    Contrasts are what a dyad's values say beyond a line: where errors of the values are independent and alike, so are
    those of the contrasts.
    """

    #: shape (n,): Contrasts of both series, and the dyad of each, 0 to n_dyads - 1
    y: Array
    x: Array
    codes: NDArray[np.intp]
    #: shape (n, k): Orthogonal columns that are kept constant: further series, and the common course
    kept: Array
    #: Dyads that have a slope
    labels: tuple[str, ...]
    #: Whether the common course was taken out
    common: bool
    #: shape (n_rows,): What is left of both series in each row; NaN in dyads without a slope
    rest_y: Array
    rest_x: Array
    #: shape (n_rows, k): What is kept constant, row by row; NaN likewise
    kept_rows: Array

    @classmethod
    def of(cls, rows: pd.DataFrame, kept: Sequence[str] = ()) -> Within:
        """Take lines and common course out of a frame with ``dyad session t y x`` and the columns ``kept``."""
        table = rows[["y", "x", *kept]].to_numpy(float)
        table = table - table.mean(0) if len(table) else table
        t, dyads, numbers = rows["t"].to_numpy(float), rows["dyad"].to_numpy(str), rows["session"].to_numpy(float)
        course = (numbers[:, None] == np.unique(numbers)).astype(float)
        used: list[tuple[str, NDArray[np.intp], Array]] = []
        known: dict[bytes, Array] = {}  # most dyads have the same times
        for label in np.unique(dyads).tolist():
            at = np.flatnonzero(dyads == label)
            since = t[at] - t[at].mean()
            if since.tobytes() not in known:
                known[since.tobytes()] = linalg.null_space(np.column_stack([np.ones(len(at)), since]).T)
            contrasts = known[since.tobytes()]
            if np.linalg.norm(contrasts.T @ table[at, 1]) > ROUND_OFF * np.linalg.norm(table[:, 1]):
                used.append((label, at, contrasts))
        rest_y, rest_x = np.full((2, len(table)), np.nan)
        if not used:
            return cls(
                np.empty(0),
                np.empty(0),
                np.empty(0, np.intp),
                np.empty((0, 0)),
                (),
                False,
                rest_y,
                rest_x,
                np.empty((0, 0)),
            )
        order, turn = np.concatenate([at for _, at, _ in used]), linalg.block_diag(*(c for _, _, c in used))
        values = turn.T @ table[order]
        values[:, np.linalg.norm(values, axis=0) <= ROUND_OFF * np.linalg.norm(table, axis=0)] = 0.0
        nuisance = basis(np.column_stack([values[:, 2:], turn.T @ course[order]]))
        common = nuisance.shape[1] - len(kept) <= MOST_SHARED * len(values)
        nuisance = nuisance if common else basis(values[:, 2:])
        rest_y[order], rest_x[order] = (turn @ (values[:, :2] - nuisance @ (nuisance.T @ values[:, :2]))).T
        kept_rows = np.full((len(table), nuisance.shape[1]), np.nan)
        kept_rows[order] = turn @ nuisance
        codes = np.repeat(np.arange(len(used)), [c.shape[1] for _, _, c in used]).astype(np.intp)
        labels = tuple(label for label, _, _ in used)
        return cls(values[:, 0], values[:, 1], codes, nuisance, labels, common, rest_y, rest_x, kept_rows)

    @property
    def n_rows(self) -> int:
        """Pairs of values in the dyads that have a slope."""
        return int(np.isfinite(self.rest_x).sum())

    @property
    def freedom(self) -> int:
        """Contrasts that are left once what is kept constant and the dyads' slopes are known."""
        return self.y.size - int(self.kept.shape[1]) - len(self.labels)

    @property
    def testable(self) -> bool:
        """Whether enough is left of both series for a test."""
        return len(self.labels) > 1 and self.freedom > 0 and not (is_nothing(self.left_y) or is_nothing(self.left_x))

    @property
    def left_y(self) -> tuple[Array, Array]:
        """Contrasts of y, and what is kept constant leaves of them."""
        return self.y, self.y - self.kept @ (self.kept.T @ self.y)

    @property
    def left_x(self) -> tuple[Array, Array]:
        """Contrasts of x, and what is kept constant leaves of them."""
        return self.x, self.x - self.kept @ (self.kept.T @ self.x)

    def test(self, clusters: NDArray[np.str_] | None = None) -> SlopeTest:
        """Test the mean slope of y on x, dyads weighted by precision.

        Weights come from a model in which slopes differ between dyads; standard error (CR2) and degrees of freedom
        (Bell and McCaffrey's, never above the number of clusters minus one) do not rest on it. ``clusters`` say which
        dyads belong together; by default each stands for itself.
        """
        n = len(self.labels)
        columns = np.column_stack([self.x, self.kept])
        fitted, *_ = np.linalg.lstsq(columns, self.y, rcond=None)
        y, size = self.y - self.kept @ fitted[1:], np.bincount(self.codes, self.x**2, n)
        slopes = np.bincount(self.codes, self.x * y, n) / size
        rest = y - slopes[self.codes] * self.x
        noise = max(float(rest @ rest) / self.freedom, LEAST_NOISE * float(y @ y) / len(y))
        between = variance_between(slopes, noise / size, np.ones((n, 1)))
        # the inverse root of a dyad's covariance, noise * I + between * x x'
        shrink = (np.sqrt(noise / (noise + between * size)) - 1) / size
        table = np.column_stack([self.y, columns])
        along = np.array([np.bincount(self.codes, self.x * column, n) for column in table.T]).T * shrink[:, None]
        white = (table + self.x[:, None] * along[self.codes]) / np.sqrt(noise)
        groups = self.codes if clusters is None else clusters[self.codes]
        found = regress(white[:, 0], np.ones(len(white)), white[:, 1:], groups, between=0.0)
        df = np.minimum(found.df, found.n - 1.0)
        return replace(found, df=df, between=between).test()

    def mixed(self, rows: pd.DataFrame) -> CappedSlope | None:
        """Fit ``y ~ x + t + kept + (t | dyad) + (0 + x | dyad)``, x without lines; df capped at dyads - 1."""
        inside = np.isfinite(self.rest_x)
        t, dyads, y = (rows[name].to_numpy()[inside] for name in ("t", "dyad", "y"))
        line = np.column_stack([np.ones(len(t)), t - t.mean()]).astype(float)
        x = self.rest_x[inside][:, None]
        fixed = np.column_stack([line[:, :1], x, line[:, 1:], self.kept_rows[inside]])
        if np.linalg.norm(self.rest_y[inside]) <= NO_REST * np.linalg.norm(y - y.mean()):
            return None
        fit = fit_mixed(y, fixed, [RandomTerm(dyads.astype(str), line), RandomTerm(dyads.astype(str), x)])
        return CappedSlope.of(fit, len(self.labels))


def is_nothing(values: tuple[Array, Array]) -> bool:
    """Whether round-off alone is left of a column, of which the second is the rest."""
    whole, rest = (float(np.linalg.norm(part)) for part in values)
    return rest <= ROUND_OFF * whole


def basis(columns: Array) -> Array:
    """Orthogonal columns that span the same; those that say nothing new are left out.

    Shapes: ``columns`` (n, k), returns (n, at most k).
    """
    size = np.linalg.norm(columns, axis=0)
    columns = columns[:, size > ROUND_OFF * size.max(initial=0.0)]
    if not columns.shape[1]:
        return np.empty((len(columns), 0))
    left, values, _ = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), full_matrices=False)
    return np.asarray(left[:, values > ROUND_OFF * values.max()])
