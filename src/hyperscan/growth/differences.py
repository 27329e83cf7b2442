"""What all differences have in common: tests, decision and sentence, of conditions, groups and moderators alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from hyperscan.errors import count, p_text
from hyperscan.growth.evidence import Evidence
from hyperscan.growth.few import without_tests
from hyperscan.growth.flips import holm
from hyperscan.growth.guards import not_asked, summarise
from hyperscan.growth.records import CappedSlope, FlipTest, Guard, Record, SlopeTest, TherapistLevel, WeightedSlope
from hyperscan.growth.verdict import (
    ALPHA,
    ALPHA_COMPARED,
    ALPHA_PLAIN,
    claimed_sign,
    plain_level,
    tell_open,
    tell_reach,
    tell_test,
)
from hyperscan.words import DIFFERENCES


@dataclass(frozen=True)
class Side(Record):
    """One condition or group of a difference, alone."""

    spread = "test"

    name: str
    test: SlopeTest
    #: Sessions that entered
    n_sessions: int

    @classmethod
    def of(cls, name: str, test: SlopeTest, n_sessions: int) -> Side:
        """Take the numbers that all tests have, without a test where too few dyads are on this side."""
        plain = SlopeTest(**{item.name: getattr(test, item.name) for item in fields(SlopeTest)})
        return cls(name, without_tests(plain, test.n), n_sessions)


@dataclass(frozen=True)
class Difference(Record):
    """Whether synchrony, or its growth, differs between conditions or groups, or with a number of the dyads."""

    #: Name of the contrast, ``active - control``, or the moderator
    name: str
    #: one of {'level', 'growth', 'group', 'moderator'}: Mean and slope of a contrast; slopes compared between dyads
    question: str
    #: A key of :data:`hyperscan.words.DIFFERENCES`
    word: str
    sentence: str
    #: What the estimate is measured in
    unit: str
    #: The test that a claim rests on: one number per dyad, weighted by precision, robust standard error
    estimate: WeightedSlope
    #: Unweighted: t over dyads, Welch's t of two groups, or a regression over dyads
    plain: SlopeTest
    #: The mixed model's coefficient: of the difference, or the interaction with time; None where it cannot be fitted
    mixed: CappedSlope | None
    #: Sign flips of the dyads, or permutations of their labels (of therapists' where these are nested)
    permutation: FlipTest
    #: Over therapists, where one sees several dyads
    therapist_level: TherapistLevel
    #: p that decides, corrected for all differences of this kind that could be tested; NaN where it was not
    p_holm: float
    #: Every side alone
    sides: tuple[Side, ...]
    guards: tuple[Guard, ...]
    #: What else a reader has to know: order of conditions, unequal amounts, who was left out
    notes: tuple[str, ...]
    n_sessions: int

    @property
    def spoken(self) -> str:
        """Name as a sentence has it."""
        return self.name.replace(" - ", " minus ").replace("_", " ")

    @property
    def usual(self) -> float:
        """Level at which the plain test has to follow, where lengths of courses say nothing."""
        return ALPHA_COMPARED if self.question in ("group", "moderator") else ALPHA_PLAIN

    @property
    def p_decides(self) -> float:
        """Largest p of the tests that a claim rests on."""
        level = self.therapist_level
        if not level.needed:
            return self.estimate.p
        return math.nan if level.test is None else float(np.maximum(self.estimate.p, level.test.p))


@dataclass(frozen=True)
class Asking:
    """What all questions of one analysis share."""

    #: The sessions of the outcome, and the recordings' tables
    evidence: Evidence
    modality: str
    #: Unit of time, unit of the value, and what the value is called
    unit: str
    value_unit: str
    what: str
    rng: np.random.Generator
    n_flips: int


@dataclass(frozen=True)
class Wording:
    """How a difference is told: what is asked, and what either sign of it says."""

    asked: str
    positive: str
    negative: str
    #: What it cannot say
    limits: str


class Asked(NamedTuple):
    """A difference before it is judged, how it is told, and why it cannot be tested (empty: it can)."""

    difference: Difference
    wording: Wording
    lack: str = ""


def tell_more(what: str, where: str, slopes: Sequence[float]) -> str:
    """Say that something grew more, or fell less, by the slopes of the side that is ahead."""
    verb = "more growth" if min(slopes) > 0 else ("less of a fall" if max(slopes) < 0 else "a more upward change")
    return f"{verb} of {what} {where}"


def settle_differences(found: Sequence[Asked], p_omnibus: float | None = None) -> tuple[Difference, ...]:
    """Correct those of one kind that can be tested for their number, and say each in a word and a sentence.

    ``p_omnibus`` is that of all groups together, where there are more than two.
    """
    decides = [math.nan if asked.lack else asked.difference.p_decides for asked in found]
    corrected = holm([None if math.isnan(p) else p for p in decides])
    tested = sum(p is not None for p in corrected)
    settled = []
    for (one, wording, lack), p in zip(found, corrected, strict=True):
        full = without_tests(replace(one, p_holm=math.nan if p is None else p), one.estimate.n)
        word = _word_of(full, lack, p_omnibus)
        if word in ("no_clear_difference", "cannot_tell"):
            full = replace(full, guards=not_asked(full.guards, "difference", tested=word != "cannot_tell"))
        settled.append(replace(full, word=word, sentence=_tell(full, word, wording, lack, tested, p_omnibus)))
    return tuple(settled)


def _word_of(found: Difference, lack: str, p_omnibus: float | None) -> str:
    if lack or math.isnan(found.p_decides):
        return "cannot_tell"
    claimed = claimed_sign(found.estimate, found.plain, found.therapist_level, found.usual) and found.p_holm < ALPHA
    # a p that is not defined holds nothing
    if not claimed or not (p_omnibus is None or p_omnibus < ALPHA):
        return "no_clear_difference"
    told = summarise(found.guards)
    if set(told["failed"]) - {"lag"}:
        return "confounded"
    return "differs_unchecked" if told["failed"] or told["open"] or not found.guards else "differs"


def _tell(found: Difference, word: str, wording: Wording, lack: str, tested: int, p_omnibus: float | None) -> str:
    """Write one honest paragraph for a difference."""
    sign = found.estimate.slope > 0
    text = DIFFERENCES[word].opening.format(asked=wording.asked, found=wording.positive if sign else wording.negative)
    parts = [text, _tell_estimate(found, tested, p_omnibus), _tell_reason(found, word, lack, p_omnibus)]
    if word in ("differs", "differs_unchecked"):
        parts.append(wording.limits)
    if word != "cannot_tell":
        parts.append(tell_reach(found.therapist_level))
    return " ".join(part for part in (*parts, *found.notes) if part)


def _tell_estimate(found: Difference, tested: int, p_omnibus: float | None) -> str:
    test = found.estimate
    if math.isnan(test.p):
        return ""
    judged = not math.isnan(found.p_holm)
    several = [f"{p_text(found.p_holm)} after Holm"] if judged and tested > 1 else []
    several += [f"all groups together {p_text(p_omnibus)}"] if judged and p_omnibus is not None else []
    others = [f"unweighted {p_text(found.plain.p)}"]
    others += [] if found.mixed is None else [f"mixed model {p_text(found.mixed.p)}"]
    others += [f"permutation {p_text(found.permutation.p)}"]
    level = found.therapist_level
    others += [f"over {count(level.test.n, 'therapist')} {p_text(level.test.p)}"] if level.needed and level.test else []
    return (
        f"Difference {test.slope:+.3g} {found.unit} ({tell_test(test)}{''.join(', ' + text for text in several)}; "
        f"{count(test.n, 'dyad')}, {count(found.n_sessions, 'session')}); {', '.join(others)}."
    )


def _tell_reason(found: Difference, word: str, lack: str, p_omnibus: float | None) -> str:
    """Say why it is this word."""
    if word == "cannot_tell":
        return lack or "The tests that a claim needs cannot be made."
    if word == "no_clear_difference":
        return _tell_disagreement(found, p_omnibus)
    failed = [guard for guard in found.guards if guard.passed is False]
    if word == "confounded":
        return " ".join(guard.detail for guard in failed if guard.name != "lag")
    if word == "differs_unchecked":
        texts = [tell_open(found.guards), *(guard.detail for guard in failed)]
        return " ".join(filter(None, texts)) or "No guard was asked."
    return "Every guard was passed."


def _tell_disagreement(found: Difference, p_omnibus: float | None) -> str:
    """Say which test did not follow where one alone shows a difference."""
    level, asked = found.therapist_level, plain_level(found.estimate, found.usual)
    if found.estimate.p >= ALPHA:
        return ""
    if not found.plain.in_direction(found.estimate.slope, asked):
        return f"The plain test does not follow (p < {asked:.2f} of the same sign is asked), so nothing is claimed."
    if level.needed and level.test and not level.test.in_direction(found.estimate.slope, ALPHA):
        return "It does not hold over therapists, so nothing is claimed."
    if p_omnibus is not None and not p_omnibus < ALPHA:
        verb = "cannot be tested" if math.isnan(p_omnibus) else "do not clearly differ"
        return f"All groups together {verb}, so nothing is claimed."
    return "Corrected for how many were named, it does not hold, so nothing is claimed."
