"""The slope of one series on another inside dyads, without what time alone does to both.

Each dyad's own line is taken out by contrasts that know nothing of it, and what all dyads share at a session by columns
of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.pooled import regress, variance_between
from hyperscan.growth.records import CappedSlope, SlopeTest
from hyperscan.growth.reml import fit_mixed
from hyperscan.growth.slopes import Estimates, estimates_of
from hyperscan.growth.table import holds_yes_no

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
        slopes, rest = self.beside_slopes(y)
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

    def beside_slopes(self, y: Array) -> tuple[Array, Array]:
        """Slope of contrasts on those of x in every dyad, and what all these slopes leave of them.

        Shapes: ``y`` (n,), returns (n_dyads,) and (n,).
        """
        n = len(self.labels)
        slopes = np.bincount(self.codes, self.x * y, n) / np.bincount(self.codes, self.x**2, n)
        return slopes, y - slopes[self.codes] * self.x

    def mixed(self, rows: pd.DataFrame) -> CappedSlope | None:
        """Fit ``y ~ x + t + kept + (t | dyad) + (0 + x | dyad)``, x without lines; df capped at dyads - 1.

        None where what is kept constant, or each dyad's own slope, leaves nothing to fit: an outcome of yes and no
        that seldom changes, in short courses.
        """
        inside = np.isfinite(self.rest_x)
        t, dyads, y = (rows[name].to_numpy()[inside] for name in ("t", "dyad", "y"))
        line = np.column_stack([np.ones(len(t)), t - t.mean()]).astype(float)
        x = self.rest_x[inside][:, None]
        fixed = np.column_stack([line[:, :1], x, line[:, 1:], self.kept_rows[inside]])
        least = NO_REST * float(np.linalg.norm(y - y.mean()))
        if min(np.linalg.norm(self.rest_y[inside]), np.linalg.norm(self.beside_slopes(self.y)[1])) <= least:
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


#: A scatter within dyads below this share of the outcome's range counts as none (our choice).
NO_SCATTER = 1e-6


@dataclass(frozen=True)
class Courses:
    """An outcome beside synchrony: every dyad at every session number of the study, NaN where one is missing."""

    #: Names of the dyads, sorted, and the session numbers
    labels: tuple[str, ...]
    numbers: Array
    #: shape (n_dyads, n_numbers): Time, synchrony and outcome
    t: Array
    value: Array
    outcome: Array
    #: shape (n_dyads, n_numbers): Variance that the windows of a session give its synchrony, from halves; NaN where the
    #: table does not tell
    noise: Array

    @classmethod
    def of(cls, told: pd.DataFrame, sessions: pd.DataFrame) -> Courses:
        """Join an outcome (``dyad session t outcome``) to the sessions of synchrony (``dyad session value``)."""
        labels = np.unique(told["dyad"].to_numpy(str))
        # the next session is the next of the study's numbers, whether or not the dyad was seen
        numbers = np.unique(told["session"].dropna().to_numpy(float))
        shape = (len(labels), len(numbers))

        def laid_out(rows: pd.DataFrame, column: str) -> Array:
            rows = rows[rows["session"].isin(numbers) & rows[column].notna()]
            dyads = np.searchsorted(labels, rows["dyad"].to_numpy(str))
            at = dyads * shape[1] + np.searchsorted(numbers, rows["session"].to_numpy(float))
            # every row of a session repeats the same number
            size = np.bincount(at, minlength=shape[0] * shape[1])
            total = np.bincount(at, rows[column].to_numpy(float), shape[0] * shape[1])
            return np.where(size > 0, total / np.maximum(size, 1), np.nan).reshape(shape)

        t, outcome = laid_out(told, "t"), laid_out(told, "outcome")
        noise = np.full(shape, np.nan)
        if "halves_z" in sessions:
            windows = np.maximum(laid_out(sessions, "n_windows"), 2) if "n_windows" in sessions else 2.0
            # halves of n1 and n2 windows differ by n^2 / (n1 n2) times the variance of their common mean
            noise = laid_out(sessions, "halves_z") ** 2 * (windows // 2) * (windows - windows // 2) / windows**2
        return cls(tuple(labels.tolist()), numbers, t, laid_out(sessions, "value"), outcome, noise)

    @property
    def constant(self) -> bool:
        """Whether the outcome is one number per dyad."""
        known = self.outcome[np.isfinite(self.outcome).any(1)]
        return len(known) == 0 or not bool(
            (np.nanmax(known, 1) - np.nanmin(known, 1)).max() > NO_SCATTER * (np.nanmax(known) - np.nanmin(known))
        )

    @property
    def binary(self) -> bool:
        """Whether the outcome is yes or no."""
        return holds_yes_no(self.outcome)

    def per_dyad(self, series: str, *, level: bool) -> Estimates:
        """Mean or slope of the outcome or of synchrony (``value``) in every dyad."""
        values: Array = getattr(self, series)
        codes = np.repeat(np.arange(len(self.labels)), len(self.numbers))
        return estimates_of(values.ravel(), self.t.ravel(), codes, len(self.labels), level=level)


def reliability(variance: float, noise: Array) -> float | None:
    """Share of a variance that the windows' own noise leaves (Rulon's split-half); None where noise is not told.

    Shapes: ``noise`` (n,).
    """
    known = noise[np.isfinite(noise)]
    if not len(known) or variance <= 0:
        return None
    return float(np.clip(1 - known.mean() / variance, 0, 1))


def ahead(values: Array, k: int) -> Array:
    """Bring to every session what comes ``k`` sessions later; NaN where nothing does.

    Shapes: ``values`` (n_dyads, n_numbers), returns (n_dyads, n_numbers).
    """
    out = np.full(values.shape, np.nan)
    n = values.shape[1]
    out[:, max(-k, 0) : n - max(k, 0)] = values[:, max(k, 0) : n - max(-k, 0)]
    return out


@dataclass(frozen=True)
class Lag:
    """Which values of two series a relation inside dyads pairs; numbers are sessions ahead of that of ``x``."""

    y: str
    x: str
    #: How far ahead y is
    ahead: int
    #: Places of x that are kept constant, and those that the guard of other sessions keeps constant
    kept: tuple[int, ...]
    around: tuple[int, ...]

    def rows(self, courses: Courses, kept: Sequence[int]) -> pd.DataFrame:
        """Pair the values, with those of x that are kept constant.

        ``session`` and ``t`` are those of x; ``of`` is the session that synchrony is of.
        """
        x, y = getattr(courses, self.x), ahead(getattr(courses, self.y), self.ahead)
        numbers = np.broadcast_to(courses.numbers, x.shape)
        of = numbers if self.x == "value" else ahead(numbers, self.ahead)
        columns = {"session": numbers, "t": courses.t, "x": x, "y": y, "of": of}
        columns |= {f"kept_{k}": ahead(x, k) for k in kept}
        use = np.logical_and.reduce([np.isfinite(column) for column in columns.values()])
        labels = np.repeat(courses.labels, len(courses.numbers)).reshape(x.shape)
        return pd.DataFrame({"dyad": labels[use], **{name: column[use] for name, column in columns.items()}})

    def within(self, courses: Courses, kept: Sequence[int]) -> tuple[pd.DataFrame, Within]:
        """Pair the values, and take out what time alone does to them."""
        rows = self.rows(courses, kept)
        return rows, Within.of(rows, [f"kept_{k}" for k in kept])


#: A relation in a later session also shows in the same one where neighbouring sessions are alike, and taking a line out
#: of a short course turns one into the opposite of the other: so what is nearest is kept constant.
LAGS: Mapping[str, Lag] = MappingProxyType(
    {
        "same_session": Lag("outcome", "value", 0, (), (-1, 1)),
        "next_session": Lag("outcome", "value", 1, (1,), (1, 2)),
        "reverse": Lag("value", "outcome", 1, (1,), (1, 2)),
    }
)
