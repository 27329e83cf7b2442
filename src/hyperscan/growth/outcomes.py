"""Relations between synchrony and what therapy is about: symptoms, alliance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.config import FurtherOutcome
from hyperscan.errors import TableError, count, did_you_mean, p_text
from hyperscan.growth.evidence import Evidence
from hyperscan.growth.few import without_tests
from hyperscan.growth.flips import holm
from hyperscan.growth.guards import ask_guards, not_asked, not_assessable, summarise
from hyperscan.growth.outcomes_slopes import LAGS, ROUND_OFF, Courses, Lag, Within, basis, is_nothing, reliability
from hyperscan.growth.pooled import Regression, regress
from hyperscan.growth.records import Analysis, Guard, OutcomeRelation, SlopeTest, TherapistLevel
from hyperscan.growth.slopes import slope_test
from hyperscan.growth.table import yes_no_column
from hyperscan.growth.verdict import ALPHA, ALPHA_PLAIN, tell_open, tell_reach, tell_test
from hyperscan.schema import MIN_DYADS, MIN_GROUP
from hyperscan.words import RELATION_WORDS, YES_NO_SAID

Array = NDArray[np.float64]

#: From so many therapists on, a relation has to hold over them (our choice: fewer give no test worth its name).
MIN_THERAPISTS = 5

#: Dyads of which one counts up to so many times as much as another count about alike (our choice).
MOST_UNLIKE = 1.5


@dataclass(frozen=True)
class Answer:
    """A relation before it is corrected and said."""

    relation: OutcomeRelation
    #: Why it cannot be tested (empty: it can)
    lack: str = ""
    #: The outcome is one number per dyad; it holds nothing but 0 and 1
    constant: bool = False
    binary: bool = False


@dataclass(frozen=True)
class Series:
    """An outcome and synchrony, who is seen by whom, and what the recordings tell."""

    named: FurtherOutcome
    courses: Courses
    #: Therapist of every dyad; empty where the table does not say
    therapists: Mapping[str, str]
    evidence: Evidence
    modality: str

    @classmethod
    def of(cls, named: FurtherOutcome, told: pd.DataFrame, evidence: Evidence, modality: str) -> Series:
        """Join an outcome (``dyad session t outcome``) to the sessions of synchrony."""
        seen = evidence.sessions
        pairs = zip(seen["dyad"], seen["therapist"], strict=True) if "therapist" in seen else ()
        return cls(named, Courses.of(told, seen), dict(pairs), evidence, modality)

    def clusters(self, labels: Sequence[str]) -> NDArray[np.str_] | None:
        """Therapists of some dyads, where one of them sees several; else None."""
        found = [self.therapists.get(label, "") for label in labels]
        return np.array(found) if self.therapists and len(set(found)) < len(found) else None

    def over_therapists(
        self, labels: Sequence[str], test: Callable[[NDArray[np.str_] | None], SlopeTest]
    ) -> TherapistLevel:
        """Test over therapists where there are enough; ``test`` takes the therapist of every dyad."""
        clusters = self.clusters(labels)
        if clusters is None:
            return TherapistLevel(known=bool(self.therapists))
        n = len(set(clusters.tolist()))
        needed = n >= MIN_THERAPISTS
        return TherapistLevel(True, n, needed=needed, test=test(clusters) if needed else None)

    def relate(self, relation: str) -> Answer:
        """Test one relation, and ask its guards."""
        return self.relate_within(relation) if relation in LAGS else self.relate_dyads(relation)

    def relate_within(self, relation: str) -> Answer:
        """Test a relation of sessions inside dyads."""
        lag = LAGS[relation]
        if self.courses.constant:
            return self.lacking(relation, "there is one number per dyad")
        rows, within = lag.within(self.courses, lag.kept)
        if not within.testable:
            return self.lacking(relation, "too few sessions, or nothing left once time is taken out")
        estimate, (_, y), (_, x) = within.test(), within.left_y, within.left_x
        level = self.over_therapists(within.labels, within.test)
        rest = within.rest_y if lag.x == "value" else within.rest_x
        guards = (
            ask_common_course(within),
            self.ask_other_sessions(lag, estimate),
            *ask_therapists(level),
            *self.ask_recordings(float(np.sign(estimate.slope)), rows.assign(rest=rest)),
        )
        # of a dyad alone at its session numbers the common course leaves nothing
        size, whole = (np.bincount(within.codes, part**2) for part in (x, within.x))
        left = size > ROUND_OFF**2 * whole
        slopes = np.where(left, np.bincount(within.codes, x * y) / np.where(left, size, 1.0), np.nan)
        synchrony = x if lag.x == "value" else y
        variance = float(synchrony @ synchrony) / max(len(x) - within.kept.shape[1], 1)
        found = OutcomeRelation(
            *(self.named.name, relation, "", "", estimate),
            second=slope_test(slopes),
            mixed=within.mixed(rows),
            therapist_level=level,
            guards=guards,
            reliability=reliability(variance, self.courses.noise),
            n_dyads=len(within.labels),
            n_sessions=within.n_rows,
        )
        return self.answer(standardise(found, float(np.linalg.norm(x) / np.linalg.norm(y))))

    def ask_other_sessions(self, lag: Lag, estimate: SlopeTest) -> Guard:
        """Ask whether a slope keeps its sign with the sessions around in the model."""
        _, within = lag.within(self.courses, lag.around)
        if not within.testable or len(within.labels) < MIN_DYADS:
            return not_assessable("other_sessions", "too few sessions have others before and after them")
        test = within.test()
        passed = test.in_direction(float(np.sign(estimate.slope)), ALPHA_PLAIN)
        verb = "holds" if passed else "does not clearly hold"
        said = f"With the sessions around it in the model it {verb} (slope {test.slope:+.3g}, {p_text(test.p)})."
        return Guard("other_sessions", passed, test.slope, said)

    def ask_recordings(self, sign: float, rows: pd.DataFrame) -> tuple[Guard, ...]:
        """Ask every guard of the recordings about the outcome in the place of time.

        ``rows`` hold, by dyad and session (``of``) of synchrony, what time leaves of the outcome (``rest``).
        """
        keys = rows[["dyad", "of", "rest"]].rename(columns={"of": "session", "rest": "t"})
        sessions = self.evidence.sessions.drop(columns="t").merge(keys, on=["dyad", "session"])
        question = replace(self.evidence.question, by_precision=True)
        return self.reworded(replace(self.evidence, sessions=sessions.dropna(subset="t"), question=question), sign)

    def reworded(self, evidence: Evidence, sign: float) -> tuple[Guard, ...]:
        """Ask the guards of the recordings, and say their answers of this relation."""
        said = {True: "does not explain the relation", False: "may explain the relation"}
        return tuple(
            guard
            if guard.passed is None
            else replace(
                guard,
                detail=f"{guard.spoken.capitalize()}: {said[guard.passed]} (slope of its measure "
                f"{guard.figure:+.3g} per unit of {self.named.name}).",
            )
            for guard in ask_guards(evidence, self.modality, float(sign or 1))
        )

    def relate_dyads(self, relation: str) -> Answer:
        """Test a relation between dyads, of their means or of their changes, and ask its guards."""
        found, number = self.compare_dyads(relation)
        if found.estimate is None:
            lack = f"too few dyads, or no difference between them (of two values each needs {MIN_GROUP} dyads)"
            return self.lacking(relation, lack)
        question = replace(self.evidence.question, level=relation == "between", column=number)
        guards = self.reworded(replace(self.evidence, question=question), float(np.sign(found.estimate.slope)))
        return self.answer(replace(found, guards=(*ask_therapists(found.therapist_level), *guards)))

    def compare_dyads(self, relation: str) -> tuple[OutcomeRelation, Mapping[str, float]]:
        """Test a relation between dyads; ``estimate`` is None where too little is left. With the outcome by dyad."""
        level, courses = relation == "between", self.courses
        outcome = courses.per_dyad("outcome", level=level or courses.constant)
        synchrony = courses.per_dyad("value", level=level)
        use = outcome.known & synchrony.known
        labels = [label for label, known in zip(courses.labels, use.tolist(), strict=True) if known]
        y, x, own = outcome.value[use], synchrony.value[use], outcome.own[use]
        seen = np.isfinite(courses.value[use])
        kept = np.ones((len(y), 1))
        if level:  # means of courses that differ in length differ by what time does
            mean_t = np.where(seen, courses.t[use], 0.0).sum(1) / seen.sum(1)
            kept = basis(np.column_stack([kept, mean_t - mean_t.mean() if len(y) else mean_t]))
        rest_y, rest_x = (values - kept @ np.linalg.lstsq(kept, values, rcond=None)[0] for values in (y, x))
        found = OutcomeRelation(self.named.name, relation, "", "", n_dyads=len(y), n_sessions=int(seen.sum()))
        _, sizes = np.unique(y, return_counts=True)
        lopsided = len(sizes) == 2 and sizes.min() < MIN_GROUP
        if len(y) < kept.shape[1] + 2 or lopsided or is_nothing((y, rest_y)) or is_nothing((x, rest_x)):
            return found, {}
        columns = np.column_stack([x, kept])

        fit = regress(y, own, columns)
        # among few dyads a robust standard error wastes power, and unlike courses make any other one claim too much
        alike = float(fit.weight.max()) <= MOST_UNLIKE * float(fit.weight.min())
        tests = (trusting_test(fit, columns), robust_test(fit))
        estimate, second = tests if alike else tests[::-1]
        level_of = self.over_therapists(labels, lambda clusters: robust_test(regress(y, own, columns, clusters)))
        # what windows give a mean or a slope of sessions
        time = np.where(seen, courses.t[use], 0.0)
        centred = np.where(seen, time - (time.sum(1) / seen.sum(1))[:, None], 0.0)
        size = seen.sum(1) if level else (centred**2).sum(1)
        noise = np.array(
            [row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in courses.noise[use]]
        )
        variance = float(rest_x @ rest_x) / (len(y) - kept.shape[1])
        found = replace(found, estimate=estimate, second=second, therapist_level=level_of)
        found = replace(found, reliability=reliability(variance, noise / size))
        scale = float(np.linalg.norm(rest_x) / np.linalg.norm(rest_y))
        return standardise(found, scale), dict(zip(labels, y.tolist(), strict=True))

    def lacking(self, relation: str, lack: str) -> Answer:
        """Answer on a relation that cannot be tested."""
        return self.answer(OutcomeRelation(self.named.name, relation, "", ""), lack)

    def answer(self, relation: OutcomeRelation, lack: str = "") -> Answer:
        """Add what is known of the outcome."""
        if not lack and relation.n_dyads < MIN_DYADS:
            lack = f"{count(relation.n_dyads, 'dyad has', 'dyads have')} enough sessions and {MIN_DYADS} are needed"
        relation = without_tests(replace(relation, measured=self.named.measured), relation.n_dyads)
        return Answer(relation, lack, self.courses.constant, self.courses.binary)


def robust_test(fit: Regression) -> SlopeTest:
    """Test the first coefficient of a regression over dyads by its sandwich, df capped at the clusters minus one."""
    return replace(fit, df=np.minimum(fit.df, fit.n - 1.0)).test()


def trusting_test(fit: Regression, columns: Array) -> SlopeTest:
    """Test the first coefficient of a regression over dyads by its own weights, as if they were right.

    Shapes: ``columns`` (n_dyads, p).
    """
    freedom = float(len(columns) - columns.shape[1])
    scale = float(fit.weight @ fit.residual**2) / freedom
    bread = np.linalg.inv(columns.T @ (fit.weight[:, None] * columns))
    se = np.full(len(fit.se), np.sqrt(scale * bread[0, 0]))
    return replace(fit, se=se, df=np.full(len(fit.df), freedom)).test()


def ask_common_course(within: Within) -> Guard:
    """Say whether what all dyads share at a session could be taken out."""
    if not within.common:
        return not_assessable("common_course", "too few dyads share each session number")
    return Guard("common_course", True, None, "What all dyads share at a session number was taken out of both.")


def ask_therapists(level: TherapistLevel) -> tuple[Guard, ...]:
    """Say where therapists see several dyads and are too few for a test over them."""
    n = level.n_therapists or 0
    if level.needed or n < 2:
        return ()
    return (not_assessable("therapists", f"{n} therapists see several dyads, and a test over them takes five"),)


def standardise(found: OutcomeRelation, scale: float) -> OutcomeRelation:
    """Add the slope in standard deviations; ``scale`` is that of x over that of y."""
    assert found.estimate is not None
    low, high = found.estimate.ci_low * scale, found.estimate.ci_high * scale
    slope = found.estimate.slope * scale
    return replace(found, standardised=slope, standardised_low=low, standardised_high=high)


def relate_outcomes(
    asked: Sequence[FurtherOutcome], table: pd.DataFrame, frame: pd.DataFrame, evidence: Evidence, analysis: Analysis
) -> tuple[OutcomeRelation, ...]:
    """Relate columns of a table to synchrony; ``frame`` is the table made tidy."""
    known = [str(column) for column in table.columns]
    answers = []
    for named in asked:
        if named.name not in known:
            raise TableError(f"outcomes: the table has no column {named.name!r}.{did_you_mean(named.name, known)}")
        told = frame[["dyad", "session", "t"]].assign(outcome=yes_no_column(table, named.name))
        told = told[frame["task"] == evidence.outcome.task]
        series = Series.of(named, told, evidence, analysis.modality)
        answers += [series.relate(relation) for relation in named.relations]
    return settle_relations(answers, analysis.value)


def settle_relations(answers: Sequence[Answer], value: str) -> tuple[OutcomeRelation, ...]:
    """Correct all relations that were asked for, and say each in a word and a sentence."""
    corrected = holm([None if answer.lack else answer.relation.p_decides for answer in answers])
    tested = sum(p is not None for p in corrected)
    settled = []
    for answer, p in zip(answers, corrected, strict=True):
        found = replace(answer.relation, p_holm=p)
        found = replace(found, word=decide_relation(found))
        if found.word in ("no_clear_relation", "cannot_tell"):
            found = replace(found, guards=not_asked(found.guards, "relation"))
        settled.append(replace(found, sentence=tell_relation(replace(answer, relation=found), value, tested)))
    return tuple(settled)


def decide_relation(found: OutcomeRelation) -> str:
    """Choose the word for a relation whose p is corrected: the first line that matches."""
    if found.p_holm is None or found.estimate is None:
        return "cannot_tell"
    level = found.therapist_level.test
    agrees = level is None or level.slope * found.estimate.slope > 0
    # between dyads neither standard error is trusted alone
    follows = found.relation in LAGS or (found.second is not None and found.second.p < ALPHA_PLAIN)
    if not (found.p_holm < ALPHA and agrees and follows):
        return "no_clear_relation"
    asked = summarise(found.guards)
    # synchrony at zero lag is open, as it is for growth
    if set(asked["failed"]) - {"lag"}:
        return "confounded"
    return "goes_with_unchecked" if asked["failed"] or asked["open"] else "goes_with"


def called(value: str) -> str:
    """Name what a relation is of."""
    return "excess synchrony" if value == "excess_z" else f"{value!r} (not compared with chance here)"


def tell_relation(answer: Answer, value: str, tested: int) -> str:
    """Write one honest paragraph about a relation, of so many that were tested."""
    found, words = answer.relation, RELATION_WORDS[answer.relation.relation]
    what = called(value)
    places = {"outcome": found.name, "what": what}
    if found.word == "cannot_tell":
        return f"Cannot tell ({found.name}, {found.spoken}): {answer.lack}."
    assert found.estimate is not None
    more, less = words.constant if words.constant and answer.constant else (words.more, words.less)
    claim = (more if found.estimate.slope > 0 else less).format(**places)
    opening = {
        "goes_with": claim,
        "goes_with_unchecked": f"Unchecked. {claim}",
        "confounded": f"{claim} A guard failed, so it is not attributed to coupling.",
        "no_clear_relation": f"No clear relation of {found.name} and {what} ({found.spoken}); that is not evidence "
        "of none.",
    }[found.word]
    parts = [opening, tell_numbers(found, tested), *tell_relation_limits(answer)]
    return " ".join(part for part in parts if part)


def tell_numbers(found: OutcomeRelation, tested: int) -> str:
    """Say the slope with its interval, every test of it, and how many it is corrected for."""
    test, level = found.estimate, found.therapist_level
    assert test is not None
    text = (
        f"Slope {test.slope:+.3g} ({tell_test(test)}; {count(found.n_dyads, 'dyad')}, "
        f"{count(found.n_sessions, 'session')}), standardised "
        f"{found.standardised:+.2f}; {p_text(found.p_holm)} by Holm over {count(tested, 'relation')}"
    )
    if found.second is not None and found.relation not in LAGS:
        text += f"; by the other standard error {p_text(found.second.p)}"
    if level.test is not None:
        text += f"; over {level.n_therapists} therapists {p_text(level.test.p)}"
    return text + (f"; mixed model {p_text(found.mixed.p)}." if found.mixed else ".")


def tell_relation_limits(answer: Answer) -> list[str]:
    """Say what comes first, what is kept constant, what is open, and how far it reaches."""
    found, words = answer.relation, RELATION_WORDS[answer.relation.relation]
    text = [words.order]
    if found.relation == "same_session":
        when = {"before": "was measured before", "after": "was measured after"}.get(found.measured)
        text = [f"{found.name} {when} the session." if when else "Which of the two came first is not told."]
    if answer.binary:
        text.append(YES_NO_SAID.format(name=found.name))
    if found.reliability is not None:
        text.append(f"Split-half reliability of what synchrony differs by here: {found.reliability:.2f}.")
    if not found.word.startswith(("goes_with", "confounded")):
        return text
    text += [guard.detail for guard in found.guards if guard.passed is False]
    text += [tell_open(found.guards), tell_reach(found.therapist_level)]
    return [*text, "It is an association; neither is shown to bring about the other."]
