"""Differences as they are settled: corrected for their number, each in a word, and silent where nothing was tested."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hyperscan.growth.differences import Asked, Difference, Side, Wording, settle_differences, tell_more
from hyperscan.growth.records import FlipTest, Guard, SlopeTest, TherapistLevel, WeightedSlope
from hyperscan.words import DIFFERENCES

LIMITS = "Order is not ruled out."
WORDING = Wording("whether talk is higher", "more synchrony in talk", "more synchrony in rest", LIMITS)


def difference(p: float, n: int = 8, guards: tuple[Guard, ...] = ()) -> Difference:
    """Make a difference of this p in both tests that a claim rests on."""
    test = SlopeTest(0.2, 0.1, 0.04, n - 1.0, 5.0, p, 0.1, 0.3, n)
    weighted = WeightedSlope(0.2, 0.1, 0.04, n - 1.0, 5.0, p, 0.1, 0.3, n, p_length=0.5)
    flips = FlipTest(p, 256, True, 1 / 128, n)
    sides = (Side("talk", test, 3 * n), Side("rest", test, 3 * n))
    over, parts = TherapistLevel(), (sides, guards, ())
    return Difference("x", "level", "", "", "z", weighted, test, None, flips, over, math.nan, *parts, 3 * n)


def test_what_can_be_tested_is_corrected_by_holm_and_what_cannot_counts_for_nothing() -> None:
    asked = [
        Asked(difference(p), WORDING, lack) for p, lack in ((0.01, ""), (0.02, ""), (0.001, "No task."), (0.03, ""))
    ]
    settled = settle_differences(asked)
    assert [one.p_holm for one in settled if not math.isnan(one.p_holm)] == pytest.approx([0.03, 0.04, 0.04])
    assert [one.word for one in settled] == [
        "differs_unchecked",
        "differs_unchecked",
        "cannot_tell",
        "differs_unchecked",
    ]
    assert "No task." in settled[2].sentence
    assert all("after Holm" in one.sentence for one in settled if one.word != "cannot_tell")
    assert all(one.word in DIFFERENCES for one in settled)


def test_no_difference_is_claimed_where_all_groups_together_show_none() -> None:
    for omnibus, word in ((0.2, "no_clear_difference"), (math.nan, "no_clear_difference"), (0.01, "differs_unchecked")):
        (one,) = settle_differences([Asked(difference(0.001), WORDING)], omnibus)
        assert one.word == word


@pytest.mark.parametrize(
    ("passed", "name", "word"),
    [
        (True, "space", "differs"),
        (False, "space", "confounded"),
        (None, "space", "differs_unchecked"),
        (False, "lag", "differs_unchecked"),
    ],
)
def test_guards_decide_the_word(passed: bool | None, name: str, word: str) -> None:
    guard = Guard(name, passed, 0.1, "What was found.")
    (one,) = settle_differences([Asked(difference(0.001, guards=(guard,)), WORDING)])
    assert one.word == word
    assert (LIMITS in one.sentence) == word.startswith("differs")


def test_few_dyads_on_a_side_have_an_estimate_and_no_test() -> None:
    side = Side.of("talk", difference(0.001, n=3).plain, 9)
    assert side.test.slope == 0.2
    assert math.isnan(side.test.p)
    (one,) = settle_differences([Asked(replace(difference(0.001, n=3)), WORDING, "3 dyads, and 6 are needed.")])
    assert one.word == "cannot_tell"
    assert math.isnan(one.estimate.p)
    assert "Difference" not in one.sentence


@pytest.mark.parametrize(
    ("slopes", "said"),
    [((0.1, 0.2), "more growth"), ((-0.1, -0.2), "less of a fall"), ((-0.1, 0.2), "a more upward change")],
)
def test_more_is_said_as_the_side_that_is_ahead_has_it(slopes: tuple[float, float], said: str) -> None:
    assert tell_more("plv", "in talk", slopes) == f"{said} of plv in talk"
