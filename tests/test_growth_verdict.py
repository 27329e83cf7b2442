"""The rule of the verdict, and the sentence that tells it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from growth_fixtures import table
from hyperscan.growth import Guard, fit_growth
from hyperscan.growth.records import Findings, SlopeTest, TherapistLevel, WeightedSlope
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
