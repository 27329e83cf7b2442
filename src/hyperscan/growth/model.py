"""The levels of inference on one outcome: weighted slopes, mixed model, two stages, therapists; and equivalence."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hyperscan.errors import DataQualityWarning
from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.records import (
    BayesFactor,
    CappedSlope,
    CompanionSlope,
    Equivalence,
    SlopeTest,
    TherapistLevel,
    WeightedSlope,
)
from hyperscan.growth.reml import MixedFit, fit_mixed, fit_slope, noiseless
from hyperscan.growth.slopes import dyad_slopes, estimates_of, slope_weights, therapist_test, weighted_test
from hyperscan.schema import MIN_DYADS

Array = NDArray[np.float64]


#: Times that start further from zero than this many times their range (a year, a date as a number) are counted from
#: the first: no slope changes, and intercept and slope can be told apart (our choice).
FAR = 100.0


@dataclass(frozen=True)
class Design:
    """Sessions of one outcome as arrays."""

    #: shape (n,): Time; counted from the first if far from zero
    t: Array
    #: shape (n,): Dyad of every row, 0 to n_dyads - 1
    codes: NDArray[np.intp]
    #: shape (n_dyads,): Names of the dyads
    labels: NDArray[Any]
    #: shape (n_dyads,): Therapist of every dyad, where the table says
    therapists: NDArray[Any] | None

    @classmethod
    def of(cls, sessions: pd.DataFrame) -> Design:
        """Arrays of a sessions frame (``dyad t`` and, optionally, ``therapist``)."""
        labels, first, codes = np.unique(sessions["dyad"].to_numpy(str), return_index=True, return_inverse=True)
        therapists = sessions["therapist"].to_numpy(str)[first] if "therapist" in sessions else None
        t = sessions["t"].to_numpy(float)
        far = len(t) > 0 and np.abs(t).min() > FAR * np.ptp(t)
        return cls(t - t.min() if far else t, codes, labels, therapists)

    def slopes(self, y: Array) -> Array:
        """Least-squares slope of every dyad; NaN without two distinct times."""
        return dyad_slopes(y, self.t, self.codes, len(self.labels))

    @property
    def n_with_slope(self) -> int:
        """Dyads with two or more distinct times."""
        return int(np.isfinite(self.slopes(self.t)).sum())

    def mixed(self, y: Array, *, reml: bool = True) -> MixedFit | None:
        """Mixed model of a value; None with fewer than two dyads that have a slope."""
        use = np.isfinite(y)
        if int(np.isfinite(self.slopes(y)).sum()) < 2:
            return None
        fit = fit_slope(y[use], self.t[use], self.codes[use], reml=reml)
        if not fit.converged and self.n_with_slope >= MIN_DYADS:  # of fewer its slope is not told
            warnings.warn(
                "the mixed model did not converge; its slope is weaker than it looks.",
                DataQualityWarning,
                stacklevel=2,
            )
        return fit

    def weighted(self, y: Array) -> WeightedSlope:
        """Mean slope weighted by precision, the test that a claim rests on."""
        return weighted_test(y, self.t, self.codes, len(self.labels))

    def weights(self, y: Array) -> Array:
        """Share of every dyad in that mean; NaN without a slope."""
        return slope_weights(estimates_of(y, self.t, self.codes, len(self.labels)))

    def noiseless(self, y: Array) -> bool:
        """Whether nothing is left of the values beside each dyad's line."""
        return noiseless(y, self.t, self.codes)

    def capped(self, y: Array) -> CappedSlope | None:
        """Mixed-model slope of a value with capped df; None with fewer than two slopes."""
        fit = self.mixed(y)
        return None if fit is None else CappedSlope.of(fit, int(np.isfinite(self.slopes(y)).sum()))


def therapist_level(design: Design, y: Array, slopes: Array) -> TherapistLevel:
    """Test growth over therapists, where therapists see several dyads.

    Shapes: ``y`` (n,), ``slopes`` (n_dyads,).
    """
    if design.therapists is None:
        return TherapistLevel()
    level = therapist_test(slopes, design.therapists)
    if not level.needed or design.noiseless(y):
        return level
    fit = fit_slope(y, design.t, design.codes, therapist=design.therapists[design.codes])
    return replace(level, mixed=CappedSlope.of(fit, level.n_therapists or 0))


def equivalence(
    mixed: CappedSlope, others: Sequence[SlopeTest], therapists: TherapistLevel, bound: float
) -> Equivalence:
    """Run two one-sided tests against a smallest slope of interest; ``bound`` 0 means that none was named.

    Where the therapist level is needed, its mean slope has to be small as well. Schuirmann 1987,
    doi:10.1007/BF01068419
    """
    half = float(special.stdtrit(mixed.df, 0.95)) * mixed.se
    low, high = mixed.slope - half, mixed.slope + half
    if bound == 0:
        return Equivalence(None, None, low, high, None)
    tests: list[CappedSlope | SlopeTest] = [mixed, *others]
    tests += [therapists.test] if therapists.needed and therapists.test else []
    # without a spread the slope is what it is
    p = max(
        float(abs(test.slope) >= bound)
        if test.se == 0
        else float(special.stdtr(test.df, (abs(test.slope) - bound) / test.se))
        for test in tests
    )
    return Equivalence(bound, p, low, high, bool(p < 0.05))


def bayes_factor(design: Design, y: Array) -> BayesFactor | None:
    """Compare maximum-likelihood fits with and without the slope by BIC; None if no value departs from its dyad's line.

    Wagenmakers 2007, doi:10.3758/BF03194105

    Shapes: ``y`` (n,).
    """
    if design.noiseless(y):
        return None
    ones = np.ones((len(y), 1))
    columns = np.column_stack([ones, design.t])
    term = RandomTerm(design.codes, columns)
    with_slope = fit_mixed(y, columns, [term], reml=False)
    without = fit_mixed(y, ones, [term], reml=False)
    chisq = max(float(without.deviance - with_slope.deviance), 0.0)
    bf01 = float(np.exp((with_slope.bic - without.bic) / 2))
    return BayesFactor(
        bf01, chisq, float(special.chdtrc(1, chisq)), bic1=float(with_slope.bic), bic0=float(without.bic)
    )


def slope_of(design: Design, sessions: pd.DataFrame, column: str) -> CompanionSlope | None:
    """Mixed-model slope of a companion column, or None where the table lacks it."""
    if column not in sessions:
        return None
    y = sessions[column].to_numpy(float)
    fit = design.capped(y)
    return None if fit is None else CompanionSlope(fit, int(np.isfinite(y).sum()))
