"""The three levels of inference on one outcome: mixed model, two stages, therapists; and equivalence."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hyperscan.errors import DataQualityWarning
from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.reml import MixedFit, fit_mixed, fit_slope, noiseless
from hyperscan.growth.slopes import SlopeTest, dyad_slopes, slope_test, therapist_means

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CappedSlope:
    """Slope of the mixed model, its df capped at the number of dyads minus one."""

    #: Fixed slope per unit of time, and its standard error
    slope: float
    se: float
    #: Uncapped degrees of freedom, and the p they give
    df_satterthwaite: float
    p_satterthwaite: float
    #: Capped degrees of freedom, t, two-sided p and 95 % interval
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    #: The covariance of the dyads' intercepts and slopes lies on its boundary
    singular: bool

    @classmethod
    def of(cls, fit: MixedFit, n_dyads: int) -> CappedSlope:
        """Cap the df of coefficient 1 of a fit at ``n_dyads - 1``."""
        slope, se, df_satt = float(fit.estimate[1]), float(fit.se[1]), float(fit.df[1])
        df = min(df_satt, n_dyads - 1.0)
        t = float(fit.t[1])
        half = float(stats.t.ppf(0.975, df)) * se
        return cls(
            slope=slope,
            se=se,
            df_satterthwaite=df_satt,
            p_satterthwaite=float(fit.p[1]),
            df=df,
            t=t,
            p=float(2 * stats.t.sf(abs(t), df)),
            ci_low=slope - half,
            ci_high=slope + half,
            singular=fit.singular,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain mapping of the fields."""
        return dict(vars(self))


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
        if not fit.converged:
            warnings.warn(
                "the mixed model did not converge; its slope is weaker than it looks.",
                DataQualityWarning,
                stacklevel=2,
            )
        return fit

    def noiseless(self, y: Array) -> bool:
        """Whether nothing is left of the values beside each dyad's line."""
        return noiseless(y, self.t, self.codes)

    def capped(self, y: Array) -> CappedSlope | None:
        """Mixed-model slope of a value with capped df; None with fewer than two slopes."""
        fit = self.mixed(y)
        return None if fit is None else CappedSlope.of(fit, int(np.isfinite(self.slopes(y)).sum()))


def therapist_level(design: Design, y: Array, slopes: Array) -> dict[str, Any]:
    """Test over therapists, where therapists see several dyads.

    Parameters
    ----------
    design : Design
        Sessions.
    y : ndarray of shape (n,)
        Value.
    slopes : ndarray of shape (n_dyads,)
        Slope of every dyad.

    Returns
    -------
    dict
        ``known`` (the table names therapists), ``n_therapists``, ``needed`` (several therapists, and one of
        them with several dyads), the t test of the therapists' mean slopes, and ``mixed``: the slope of the
        three-level model.
    """
    if design.therapists is None:
        return {"known": False, "needed": False, "n_therapists": None, "mixed": None}
    means = therapist_means(slopes, design.therapists)
    n_dyads = int(np.isfinite(slopes).sum())
    out: dict[str, Any] = {"known": True, "n_therapists": len(means), "mixed": None}
    out["needed"] = 2 <= len(means) < n_dyads
    if len(means) < n_dyads:
        out |= slope_test(list(means.values())).to_dict()
    if out["needed"] and not design.noiseless(y):
        fit = fit_slope(y, design.t, design.codes, therapist=design.therapists[design.codes])
        out["mixed"] = CappedSlope.of(fit, len(means)).to_dict()
    return out


def equivalence(
    mixed: CappedSlope, two_stage: SlopeTest, therapists: Mapping[str, Any], bound: float
) -> dict[str, Any]:
    """Two one-sided tests against a smallest slope of interest named in advance.

    Parameters
    ----------
    mixed : CappedSlope
        Mixed-model slope.
    two_stage : SlopeTest
        Two-stage slope.
    therapists : mapping
        From :func:`therapist_level`; where it is ``needed``, its mean slope has to be small as well.
    bound : float
        Smallest slope of interest, per unit of time; 0 = none was named.

    Returns
    -------
    dict
        ``bound p ci90_low ci90_high holds``: the largest of the p values of both tests and all estimators,
        the mixed model's 90 % interval, and whether p < .05 (None without a bound).

    References
    ----------
    Schuirmann 1987, doi:10.1007/BF01068419
    """
    half = float(stats.t.ppf(0.95, mixed.df)) * mixed.se
    out: dict[str, Any] = {
        "bound": bound or None,
        "p": None,
        "ci90_low": mixed.slope - half,
        "ci90_high": mixed.slope + half,
        "holds": None,
    }
    if bound > 0:
        found = [(mixed.slope, mixed.se, mixed.df), (two_stage.slope, two_stage.se, two_stage.df)]
        if therapists["needed"]:
            found.append((therapists["slope"], therapists["se"], therapists["df"]))
        p = max(_tost(*numbers, bound) for numbers in found)
        out |= {"p": p, "holds": bool(p < 0.05)}
    return out


def _tost(slope: float, se: float, df: float, bound: float) -> float:
    if se == 0:
        return float(abs(slope) >= bound)
    return float(stats.t.sf((bound - abs(slope)) / se, df))


def bayes_factor(design: Design, y: Array) -> dict[str, Any] | None:
    """Rough Bayes factor for no growth, from the BIC of maximum-likelihood fits with and without the slope.

    Parameters
    ----------
    design : Design
        Sessions.
    y : ndarray of shape (n,)
        Value.

    Returns
    -------
    dict or None
        None where no value departs from its dyad's line. ``bf01`` (above 1 speaks for no growth), ``chisq``
        and ``p`` of the likelihood-ratio test, ``bic0``, ``bic1``.

    References
    ----------
    Wagenmakers 2007, doi:10.3758/BF03194105
    """
    if design.noiseless(y):
        return None
    ones = np.ones((len(y), 1))
    columns = np.column_stack([ones, design.t])
    term = RandomTerm(design.codes, columns)
    with_slope = fit_mixed(y, columns, [term], reml=False)
    without = fit_mixed(y, ones, [term], reml=False)
    chisq = max(without.deviance - with_slope.deviance, 0.0)
    return {
        "bf01": float(np.exp((with_slope.bic - without.bic) / 2)),
        "chisq": chisq,
        "p": float(stats.chi2.sf(chisq, 1)),
        "bic1": with_slope.bic,
        "bic0": without.bic,
    }


def slope_of(design: Design, sessions: pd.DataFrame, column: str) -> Mapping[str, Any] | None:
    """Mixed-model slope of a companion column, or None where the table lacks it."""
    if column not in sessions:
        return None
    y = sessions[column].to_numpy(float)
    fit = design.capped(y)
    return None if fit is None else fit.to_dict() | {"n_sessions": int(np.isfinite(y).sum())}
