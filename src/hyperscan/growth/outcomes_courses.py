"""Courses of synchrony and of an outcome over the sessions of a study, and which of their values a relation pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.growth.outcomes_slopes import Within
from hyperscan.growth.slopes import Estimates, estimates_of
from hyperscan.growth.table import holds_yes_no

Array = NDArray[np.float64]

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
