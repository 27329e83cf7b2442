"""Power to show that an outcome goes with synchrony: simulated studies, analysed as the real one would be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.config import FurtherOutcome
from hyperscan.growth.evidence import Evidence
from hyperscan.growth.outcomes import Series
from hyperscan.growth.outcomes_courses import LAGS
from hyperscan.growth.verdict import ALPHA, ALPHA_PLAIN
from hyperscan.schema import MIN_DYADS, Outcome

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Planned:
    """What is assumed of a study and of one relation in it."""

    relation: str
    #: Slope in standard deviations of both series, -1 to 1: of sessions inside dyads, else of dyads' true means or
    #: slopes, of which the outcome is one number per dyad
    size: float
    #: Of synchrony: between dyads, between their slopes, within a dyad from session to session
    intercept_sd: float
    slope_sd: float
    residual_sd: float
    missing: float
    dyads_per_therapist: int

    def simulate(self, n_dyads: int, n_sessions: int, rng: np.random.Generator) -> Series:
        """Draw one study."""
        rest, level, trend = rng.normal(size=(n_dyads, n_sessions)), *rng.normal(size=(2, n_dyads))
        own, t = np.sqrt(1 - self.size**2), np.arange(float(n_sessions))
        if self.relation in LAGS:
            outcome = own * rng.normal(size=rest.shape)
            if self.relation == "same_session":
                outcome += self.size * rest
            elif self.relation == "next_session":
                outcome[:, 1:] += self.size * rest[:, :-1]
            else:
                rest[:, 1:] = self.size * outcome[:, :-1] / own + own * rest[:, 1:]
        else:
            parts = (self.intercept_sd, self.slope_sd * t.mean()) if self.relation == "between" else (0.0, 1.0)
            about = (parts[0] * level + parts[1] * trend) / (np.hypot(*parts) or 1.0)
            outcome = np.repeat((self.size * about + own * rng.normal(size=n_dyads))[:, None], n_sessions, axis=1)
        value = self.intercept_sd * level[:, None] + self.slope_sd * trend[:, None] * t + self.residual_sd * rest
        kept = rng.random(value.size) >= self.missing
        labels = np.array([f"{dyad:05d}" for dyad in range(n_dyads)])
        rows = pd.DataFrame({"dyad": np.repeat(labels, n_sessions), "t": np.tile(t, n_dyads)})
        rows = rows.assign(session=rows["t"] + 1, value=value.ravel(), outcome=outcome.ravel())[kept]
        therapists = pd.Series([f"{dyad // self.dyads_per_therapist}" for dyad in range(n_dyads)], labels)
        evidence = Evidence(rows.assign(therapist=rows["dyad"].map(therapists)), Outcome())
        told = rows[["dyad", "session", "t", "outcome"]]
        return Series.of(FurtherOutcome("outcome", relations=(self.relation,)), told, evidence, "eeg")

    def claims(self, n_dyads: int, n_sessions: int, rng: np.random.Generator) -> tuple[bool, bool]:
        """Whether the relation would be claimed, if the recordings are in order; whether its plain test shows it."""
        series = self.simulate(n_dyads, n_sessions, rng)
        if self.relation not in LAGS:
            found = series.compare_dyads(self.relation)[0]
            if found.estimate is None or found.second is None or found.n_dyads < MIN_DYADS:
                return False, False
            tests = [(found.estimate, ALPHA), (found.second, ALPHA_PLAIN)]
            tests += [(found.therapist_level.test, ALPHA)] if found.therapist_level.test else []
            return all(test.in_direction(1, alpha) for test, alpha in tests), found.estimate.in_direction(1, ALPHA)
        lag = LAGS[self.relation]
        _, within = lag.within(series.courses, lag.kept)
        if not within.testable or len(within.labels) < MIN_DYADS:
            return False, False
        estimate, level = within.test(), series.over_therapists(within.labels, within.test).test
        alone = estimate.in_direction(1, ALPHA)
        if not alone or (level is not None and not level.in_direction(1, ALPHA)):
            return False, alone
        return series.ask_other_sessions(lag, estimate).passed is not False, alone
