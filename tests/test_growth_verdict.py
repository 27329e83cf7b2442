"""The rule of the verdict, and the sentence that tells it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from growth_fixtures import table
from hyperscan.errors import count
from hyperscan.growth import Guard, fit_growth
from hyperscan.growth.records import Findings, Recordings, SlopeTest, TherapistLevel, WeightedSlope
from hyperscan.growth.verdict import claimed_sign, decide, sentence
from hyperscan.words import VERDICTS

RNG = np.random.default_rng


def guards_of(**passed: bool | None) -> list[Guard]:
    return [Guard(name, value, None, "") for name, value in passed.items()]


@pytest.mark.parametrize(
    ("n", "claimed", "equivalent", "guards", "verdict"),
    [
        (5, 1, None, {"space": True}, "cannot_tell"),
        (6, 0, None, {"space": False}, "no_clear_change"),
        (6, 0, True, {"space": True}, "no_change"),
        (6, 0, False, {}, "no_clear_change"),
        (6, 1, True, {"space": True, "lag": True}, "grows"),
        (6, 1, None, {"space": False, "lag": None}, "confounded"),
        (6, 1, None, {"space": None, "lag": False}, "grows_unchecked"),
        (6, 1, None, {"space": True, "lag": False}, "grows_lag_unresolved"),
        (6, -1, None, {"space": True, "lag": False}, "declines_lag_unresolved"),
        (6, -1, None, {"space": None}, "declines_unchecked"),
        (6, -1, None, {"space": True}, "declines"),
        (6, -1, None, {"space": False}, "confounded"),
        (6, 1, None, {}, "grows_unchecked"),
    ],
)
def test_verdict_is_the_first_line_that_matches(n, claimed, equivalent, guards, verdict) -> None:
    assert decide(n_dyads=n, claimed=claimed, equivalent=equivalent, guards=guards_of(**guards)) == verdict


@pytest.mark.parametrize(
    ("weighted", "two_stage", "level", "p_length", "sign"),
    [
        ((0.1, 0.01), (0.1, 0.01), None, 1.0, 1), ((0.1, 0.06), (0.1, 0.01), None, 1.0, 0),
        ((0.1, 0.01), (0.1, 0.19), None, 1.0, 1), ((0.1, 0.01), (0.1, 0.21), None, 1.0, 0),
        ((0.1, 0.01), (0.1, 0.06), None, 0.19, 0), ((0.1, 0.01), (0.1, 0.04), None, 0.19, 1),
        ((-0.1, 0.01), (-0.1, 0.01), None, 1.0, -1), ((0.1, 0.01), (-0.1, 0.01), None, 1.0, 0),
        ((0.1, 0.01), (0.1, 0.01), (0.1, 0.06), 1.0, 0), ((0.1, 0.01), (0.1, 0.01), (0.1, 0.04), 1.0, 1),
        ((0.1, np.nan), (0.1, 0.01), None, 1.0, 0),
    ],
)  # fmt: skip
def test_a_claim_needs_every_level(weighted, two_stage, level, p_length, sign) -> None:
    def test(pair):
        return SlopeTest(pair[0], 1.0, 1.0, 7.0, 1.0, pair[1], 0.0, 0.0, 8)

    mean = WeightedSlope(**vars(test(weighted)), p_length=p_length)
    therapists = TherapistLevel() if level is None else TherapistLevel(True, 4, None, True, test(level))
    assert claimed_sign(mean, test(two_stage), therapists) == sign


def test_weak_chance_is_said() -> None:
    assert "fewer than 4 pseudo pairs" in fit_growth(table(n_pseudo=2)).sentence
    assert "pseudo pairs" not in fit_growth(table(n_pseudo=4)).sentence
    runs = pd.concat([table(run="1", n_pseudo=9), table(run="2", n_pseudo=2)])
    assert "In 48 sessions fewer than 4 pseudo pairs" in fit_growth(runs).sentence


def test_the_lag_null_as_chance_is_called_weaker_and_not_partner_specific() -> None:
    sentence_alone = fit_growth(table(n=1, n_pseudo=0)).sentence
    assert "statistical dependence beyond the lag null" in sentence_alone
    assert "In 6 sessions no other dyad could be re-paired: the chance level is the lag null" in sentence_alone
    assert "partner-specific" not in sentence_alone
    assert "fewer than" not in sentence_alone


CLOCKS = {
    "none": {},
    "one amplifier": {"same_amplifier": 12},
    "two": {"triggers": 12},
    "mixed": {"triggers": 11, "assumed": 1},
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_sentence_hides_no_guard_and_no_clock(some: Findings, verdict: str) -> None:
    """Whatever the verdict is called: each failed guard, each one not assessed, and how clocks came together."""
    answers = {True: "It held.", False: "It did not hold.", None: "Not assessable: it was dark."}
    other = Guard("band", None, None, "Not assessable: nobody recorded there.")
    for name, passed, clocks in product(("lag", "space", "clock"), answers, CLOCKS):
        guards, recordings = (Guard(name, passed, 0.0, answers[passed]), other), Recordings(CLOCKS[clocks], None)
        told = sentence(verdict, replace(some, guards=guards, recordings=recordings), 4)
        assert "band (nobody recorded there)" in told
        assert (f"{name} (it was dark)" in told) == (passed is None)
        spoken = guards[0].spoken
        failed = re.search(rf"(Failed guard {spoken}: It did not hold|would fail: {spoken})\.", told)
        assert bool(failed) == (passed is False)
        assert ("one amplifier's" in told) == (clocks == "one amplifier")
        assert ("shared triggers" in told) == (clocks in ("two", "mixed"))
        assert ("not aligned (1 session)" in told) == (clocks == "mixed")
        assert not re.search(r"\n|  ", told)


@pytest.fixture(scope="module")
def some() -> Findings:
    result = fit_growth(table(), equivalence_slope=0.5)
    return Findings(**{item.name: getattr(result, item.name) for item in fields(Findings)})


@pytest.mark.parametrize("slope", [1, -1])
@pytest.mark.parametrize("verdict", ["grows", "grows_unchecked", "grows_lag_unresolved", "confounded"])
def test_a_claim_says_that_the_rest_of_the_rhythm_went_the_other_way(some: Findings, verdict: str, slope: int) -> None:
    falls = SlopeTest(-0.03 * slope, 0.01, 0.01, 7.0, -3.0, 0.02, -0.05, -0.01, 8)
    for p, said in ((0.02, slope > 0), (0.2, False)):
        recordings = Recordings({}, replace(falls, p=p))
        told = sentence(verdict, replace(some, recordings=recordings), 4)
        assert ("share of both people's signal fell (s2: -0.03 per session, p = .020)" in told) == said


@pytest.mark.parametrize("verdict", [word for word, words in VERDICTS.items() if "{direction}" in words.opening])
def test_the_direction_is_that_of_the_slope_that_is_told(some: Findings, verdict: str) -> None:
    for slope, word in ((0.02, "Increase in"), (-0.02, "Decrease in")):
        assert some.primary.fit is not None
        mixed = replace(some.primary, fit=replace(some.primary.fit, slope=-slope))
        turned = replace(some, primary=mixed, weighted=replace(some.weighted, slope=slope))
        assert sentence(verdict, turned, 4).startswith(word)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_dyads_are_the_reason_that_is_given(n: int) -> None:
    result = fit_growth(table(n=n, sessions=12))
    few = f"guards compare dyads: {count(n, 'dyad has', 'dyads have')} two or more sessions, and 6 are needed"
    own = next(guard for guard in result.guards if guard.name == "mismatched_times")
    assert few in own.detail
    assert few in result.sentence
    assert "sign-flip p" not in result.sentence.replace("no exact sign-flip p can", "")
    assert "no claim rests on it" in VERDICTS[result.verdict].meaning


def test_sounds_of_the_room_are_named_where_growth_is() -> None:
    assert "speech, sounds and other stimuli" in VERDICTS["grows"].limits


@pytest.mark.parametrize("slope", [0.05, -0.05, 0.0])
def test_sentences_hold_their_numbers(slope: float) -> None:
    result = fit_growth(table(slope), equivalence_slope=0.03)
    assert result.verdict in VERDICTS
    for text in ("95 % CI", "8 dyads, 48 sessions", "two-stage p", "sign-flip p"):
        assert text in result.sentence
    for word in ("caused", "brains", "synchronised"):
        assert word not in result.sentence
    assert result.verdict in result.summary()
    assert "Not assessable" not in result.summary().partition("guards:")[2]


def test_tests_of_opposite_sign_are_said_to_disagree() -> None:
    result = fit_growth(table(therapist=[f"T{k // 12}" for k in range(48)]))
    found = Findings(**{item.name: getattr(result, item.name) for item in fields(Findings)})
    assert "does not follow" not in sentence("no_clear_change", found, 4)
    turned = replace(found, two_stage=replace(found.two_stage, slope=-found.two_stage.slope))
    assert "their plain mean does not follow" in sentence("no_clear_change", turned, 4)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_too_few_dyads_cannot_tell(n: int) -> None:
    result = fit_growth(table(n=n, sessions=9))
    assert result.verdict == "cannot_tell"
    if n > 1:
        assert f"{2 ** (1 - n):.3g}" in result.sentence
        assert result.one_dyad is None
    else:
        assert result.one_dyad["tested"]
        assert "this dyad alone" in result.sentence
        assert result.primary["slope"] is None


def test_six_dyads_with_one_session_each_are_too_few() -> None:
    assert fit_growth(table(sessions=1)).verdict == "cannot_tell"
    assert fit_growth(table().assign(excess_z=np.nan)).verdict == "cannot_tell"


def test_one_time_only_cannot_tell() -> None:
    assert fit_growth(table().assign(days=14.0), time="weeks").verdict == "cannot_tell"
