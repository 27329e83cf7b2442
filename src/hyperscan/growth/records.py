"""What growth finds, part by part: the records that make up growth.json and growth.tsv.

Code reads fields; whoever has a result in hand may also read them by the keys of growth.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hyperscan.growth.reml import MixedFit
from hyperscan.schema import Outcome
from hyperscan.storage import record_of
from hyperscan.words import LEFT_OUT

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Record(Mapping[str, Any]):
    """A part of growth.json: fields, and the same values by key."""

    #: Field whose own values stand beside the others
    spread: ClassVar[str] = ""

    def parts(self) -> dict[str, Any]:
        """Values by the keys of growth.json, in their order."""
        found: dict[str, Any] = {}
        for name, value in vars(self).items():
            found |= (value or {}) if name == self.spread else {name: value}
        return found

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the part back."""
        return record_of(cls, {**content, cls.spread: content})

    def __getitem__(self, name: str) -> Any:
        return self.parts()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts())

    def __len__(self) -> int:
        return len(self.parts())


@dataclass(frozen=True)
class SlopeTest(Record):
    """A one-sample t test of slopes against zero."""

    #: Mean of the slopes, their standard deviation and the standard error of the mean, per unit of time
    slope: float
    sd: float
    se: float
    #: Degrees of freedom, t and two-sided p
    df: float
    t: float
    p: float
    #: 95 % confidence interval of the mean slope
    ci_low: float
    ci_high: float
    #: Slopes that entered
    n: int

    def in_direction(self, sign: float, alpha: float) -> bool:
        """Whether the mean slope has this sign with a two-sided p below alpha."""
        return bool(self.slope * sign > 0 and self.p < alpha)


@dataclass(frozen=True)
class WeightedSlope(SlopeTest):
    """The test that a claim rests on: slopes weighted by precision, with a robust standard error.

    ``sd`` is the spread between dyads beyond their own noise.
    """

    #: p that slopes go with the number of sessions
    p_length: float


@dataclass(frozen=True)
class FlipTest(Record):
    """A sign-flip test."""

    #: Two-sided p
    p: float
    #: Sign patterns looked at
    n_flips: int
    #: Whether those were all there are
    exact: bool
    #: Smallest p this test could have given
    smallest_p: float
    #: Dyads with a slope
    n: int

    @property
    def tells(self) -> bool:
        """Whether it could have been significant at all; of fewer than six dyads it cannot."""
        return self.smallest_p < 0.05


@dataclass(frozen=True)
class CappedSlope(Record):
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
    def of(cls, fit: MixedFit, n_dyads: int, k: int = 1) -> CappedSlope:
        """Cap the df of coefficient k of a fit at ``n_dyads - 1``."""
        slope, se, df_satt = float(fit.estimate[k]), float(fit.se[k]), float(fit.df[k])
        df = min(df_satt, n_dyads - 1.0)
        t = float(fit.t[k])
        half = float(special.stdtrit(df, 0.975)) * se
        return cls(
            slope=slope,
            se=se,
            df_satterthwaite=df_satt,
            p_satterthwaite=float(fit.p[k]),
            df=df,
            t=t,
            p=float(2 * special.stdtr(df, -abs(t))),
            ci_low=slope - half,
            ci_high=slope + half,
            singular=fit.singular,
        )


@dataclass(frozen=True)
class PrimarySlope(Record):
    """The mixed model of the outcome that was named in advance."""

    #: Labels; empty where the table does not say
    outcome: Outcome
    #: None with too few dyads
    fit: CappedSlope | None
    n_dyads: int
    n_sessions: int

    def parts(self) -> dict[str, Any]:
        """Labels, numbers and sizes side by side."""
        numbers = dict.fromkeys(CappedSlope.__dataclass_fields__) if self.fit is None else self.fit.parts()
        return {**self.outcome.named, **numbers, "n_dyads": self.n_dyads, "n_sessions": self.n_sessions}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the part back."""
        fit = None if content["se"] is None else CappedSlope.from_dict(content)
        outcome = Outcome(**{name: content[name] for name in Outcome().named})
        return cls(outcome, fit, content["n_dyads"], content["n_sessions"])


@dataclass(frozen=True)
class CompanionSlope(Record):
    """Mixed-model slope of a column beside the outcome: the real pairs, or the chance level."""

    spread = "fit"

    fit: CappedSlope
    n_sessions: int


@dataclass(frozen=True)
class TherapistLevel(Record):
    """The test over therapists, where therapists see several dyads."""

    spread = "test"

    #: Whether the table names therapists, and how many
    known: bool = False
    n_therapists: int | None = None
    #: Slope of the three-level model
    mixed: CappedSlope | None = None
    #: Several therapists, one of them with several dyads: then the verdict needs the test
    needed: bool = False
    #: Of the therapists' mean slopes
    test: SlopeTest | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the part back."""
        return record_of(cls, {**content, "test": content if "slope" in content else None})


@dataclass(frozen=True)
class Guard(Record):
    """One guard's answer."""

    #: A key of :data:`hyperscan.words.GUARDS`
    name: str
    #: None = not assessable
    passed: bool | None
    #: The slope it looked at, per unit of time
    figure: float | None
    #: One sentence
    detail: str
    #: Whether something is claimed that it could explain; without a claim it is neither passed nor failed
    asked: bool = True

    @property
    def spoken(self) -> str:
        """Name as a sentence has it."""
        return self.name.replace("_", " ")

    @property
    def reason(self) -> str:
        """Detail without the words that say again that it could not be assessed, or was not asked."""
        return self.detail.removeprefix("Not assessable: ").removeprefix("Not asked: ")


@dataclass(frozen=True)
class Recordings(Record):
    """What the tables of the recordings say of them, for the sentence."""

    #: Sessions by what put their clocks together; empty where the tables do not say
    clocks: Mapping[str, int]
    #: Slope of the rhythm's share of the signal (s2), mean of both people; None where it is not known
    signal_fraction: SlopeTest | None
    #: Nothing is claimed, but corrected for signal to noise a rise shows
    masked: bool = False


@dataclass(frozen=True)
class ExploratorySlope(Record):
    """The two-stage slope of one metric, band and ROI pair."""

    outcome: Outcome
    test: SlopeTest
    #: p corrected for all outcomes by the maximum statistic; NaN with too few dyads
    p_max_t: float
    #: p adjusted for the false discovery rate; NaN with too few dyads
    q_bh: float
    #: Whether it is the primary outcome
    primary: bool
    #: Band of the same metric and regions that changes more, and that the filter of this band reaches into
    leaks_from: str = ""

    def parts(self) -> dict[str, Any]:
        """Labels, numbers and size side by side."""
        labels = {name: getattr(self.outcome, name) for name in ("task", "signal", "metric", "band", "roi")}
        numbers = {name: value for name, value in self.test.parts().items() if name not in ("sd", "n")}
        corrected = {"p_max_t": self.p_max_t, "q_bh": self.q_bh}
        last = {"n_dyads": self.test.n, "primary": self.primary, "leaks_from": self.leaks_from}
        return {**labels, **numbers, **corrected, **last}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the part back; the spread of the slopes follows from their standard error."""
        outcome = Outcome(**{name: content[name] for name in ("task", "signal", "metric", "band", "roi")})
        n, se = content["n_dyads"], content["se"]
        test = SlopeTest.from_dict({**content, "n": n, "sd": None if se is None else se * math.sqrt(n)})
        p_max_t, q_bh = (math.nan if content[name] is None else content[name] for name in ("p_max_t", "q_bh"))
        return cls(outcome, test, p_max_t, q_bh, content["primary"], content["leaks_from"])


@dataclass(frozen=True)
class Equivalence(Record):
    """Two one-sided tests against a smallest slope of interest."""

    #: Named in advance, per unit of time; None = none was
    bound: float | None
    #: Largest p of both sides and all estimators
    p: float | None
    #: The mixed model's 90 % interval
    ci90_low: float
    ci90_high: float
    #: Whether p < .05
    holds: bool | None
    #: Guards by which the recordings changed in a way that may hide a change, with commas between
    hidden_by: str = ""


@dataclass(frozen=True)
class BayesFactor(Record):
    """A rough Bayes factor for no growth, and the likelihood-ratio test of the slope."""

    #: Above 1 speaks for no growth
    bf01: float
    chisq: float
    p: float
    #: With and without the slope
    bic1: float
    bic0: float


@dataclass(frozen=True)
class DyadTrend(Record):
    """The course of a single dyad."""

    #: Theil-Sen slope per unit of time and its 95 % interval
    slope: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    #: Kendall's tau with time, and p of the Mann-Kendall test
    tau: float | None = None
    p: float | None = None
    #: Whether the test was exact; else by random permutations
    exact: bool | None = None
    n_sessions: int = 0
    tested: bool = False
    #: One or two sentences
    text: str = ""


@dataclass(frozen=True)
class OutcomeRelation(Record):
    """How a column such as symptoms or alliance goes with synchrony, in one of five ways."""

    name: str
    #: Of :data:`hyperscan.schema.RELATIONS`
    relation: str
    #: A key of :data:`hyperscan.words.RELATION_ANSWERS`
    word: str
    sentence: str
    #: The test that a claim rests on, dyads weighted by precision: inside them, or where they count unlike, with a
    #: robust standard error (CR2), else with that of the weighted regression; None where it cannot be made
    estimate: SlopeTest | None = None
    #: In standard deviations of both series as they entered, and its 95 % interval
    standardised: float | None = None
    standardised_low: float | None = None
    standardised_high: float | None = None
    #: Inside dyads, the t test of their slopes without weights. Between dyads, the test with the other standard error,
    #: which has to follow at p < .20
    second: SlopeTest | None = None
    #: The mixed model's slope inside dyads, its df capped
    mixed: CappedSlope | None = None
    #: Over therapists, where one sees several dyads; needed from five therapists on
    therapist_level: TherapistLevel = TherapistLevel()
    #: p that decides, corrected for all relations that were asked for
    p_holm: float | None = None
    guards: tuple[Guard, ...] = ()
    #: When the outcome was measured: ``before`` or ``after`` the session; empty where that is not told
    measured: str = ""
    #: Share of the variance of synchrony that repeats between halves of its sessions; None where that is not known
    reliability: float | None = None
    n_dyads: int = 0
    n_sessions: int = 0

    @property
    def spoken(self) -> str:
        """The relation as a sentence has it."""
        return self.relation.replace("_", " ")

    @property
    def p_decides(self) -> float | None:
        """Largest p of the tests that a claim rests on."""
        level = self.therapist_level
        if self.estimate is None or (level.needed and level.test is None):
            return None
        return max(self.estimate.p, level.test.p) if level.needed and level.test else self.estimate.p


@dataclass(frozen=True)
class Trend(Record):
    """Slope of something of the recordings, which decides nothing."""

    topic: str
    #: Column of the table, and whose it is (None: of both)
    name: str
    person: str | None
    slope: float
    t: float
    p: float
    n: int


@dataclass(frozen=True)
class LeaveOneOut(Record):
    """How much one dyad decides: the weighted mean slope with each dyad left out; None with fewer than three."""

    same_sign: bool | None = None
    slope_min: float | None = None
    slope_max: float | None = None
    #: Largest p; None where too few dyads for a test are left
    p_max: float | None = None
    #: The dyad that the mean slope depends on most
    dyad: str | None = None


@dataclass(frozen=True)
class Missing(Record):
    """Sessions per dyad, and whether dyads that stop early stopped at unusual values."""

    n_observed: int
    #: Per dyad
    fewest: int
    most: int
    #: Dyads times distinct sessions; None without session numbers, as the two below
    n_planned: int | None = None
    n_stopped_early: int | None = None
    #: Mean over those dyads of their last value minus the mean of all dyads at that session
    last_value_before_stop: float | None = None


@dataclass(frozen=True)
class Figures(Record):
    """Figures beside the guards."""

    trends: tuple[Trend, ...]
    leave_one_out: LeaveOneOut
    missing: Missing


@dataclass(frozen=True)
class LeftOut(Record):
    """A row of the outcome that did not enter growth."""

    dyad: str
    #: None where the table does not say
    session: float | None
    run: str
    #: A key of :data:`hyperscan.words.LEFT_OUT`
    why: str

    @property
    def name(self) -> str:
        """Which one it is, for a sentence."""
        session = "" if self.session is None else f" session {self.session:g}"
        return f"{self.dyad}{session}" + (f" run {self.run}" if self.run else "")

    @property
    def reason(self) -> str:
        """Why, in words."""
        return LEFT_OUT.get(self.why, self.why)


@dataclass(frozen=True)
class Analysis(Record):
    """What was analysed, and what was left out (``design`` of growth.json)."""

    #: Column of the outcome, column of time, and what the slope is per
    value: str
    time: str
    unit: str
    modality: str
    signal: str
    n_dyads_with_slope: int
    #: Rows without a value or a time, and those without pseudo pairs where others have some
    left_out: tuple[LeftOut, ...]
    #: Sessions whose runs were averaged
    n_averaged: int
    #: Sessions with fewer pseudo pairs than ``min_pseudo``, and with none; None where the table does not say
    n_weak_chance: int | None
    n_lag_chance: int | None
    n_flips: int
    #: Whether the value is yes (1) or no (0), and its slopes changes of a share
    yes_no: bool
    #: Whether the outcome was named by the caller or is the package's default, rather than the only one of the table
    named: bool


@dataclass(frozen=True)
class Findings:
    """What a verdict and its sentence rest on."""

    primary: PrimarySlope
    weighted: WeightedSlope
    two_stage: SlopeTest
    sign_flip: FlipTest
    real_slope: CompanionSlope | None
    pseudo_slope: CompanionSlope | None
    therapist_level: TherapistLevel
    equivalence: Equivalence | None
    one_dyad: DyadTrend | None
    design: Analysis
    recordings: Recordings
    guards: tuple[Guard, ...] = ()

    @property
    def equivalent(self) -> bool | None:
        """Whether the slope is smaller than the bound named in advance, and nothing hides one; None without a bound."""
        return self.equivalence.holds and not self.equivalence.hidden_by if self.equivalence else None


def json_values(value: Any) -> Any:
    """Return a value as JSON can hold it, however deep: records as mappings, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return json_values(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
