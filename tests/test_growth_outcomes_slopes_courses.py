"""Courses on the study's session numbers, and the values that relations pair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan.growth.outcomes_slopes import LAGS, Courses, ahead, reliability

TOLD = pd.DataFrame(
    [("A", 1, 0.0, 10.0), ("A", 3, 2.0, 30.0), ("A", 3, 2.0, 34.0), ("A", 5, 4.0, np.nan), ("B", 3, 2.0, 7.0)],
    columns=["dyad", "session", "t", "outcome"],
)
SESSIONS = pd.DataFrame({"dyad": ["A", "A", "B"], "session": [1, 5, 3], "value": [0.1, 0.5, 0.3]})


@pytest.fixture
def courses() -> Courses:
    return Courses.of(TOLD, SESSIONS)


def test_repeated_rows_are_averaged_and_missing_ones_stay_missing(courses: Courses) -> None:
    assert (courses.labels, courses.numbers.tolist()) == (("A", "B"), [1, 3, 5])
    np.testing.assert_array_equal(courses.outcome, [[10, 32, np.nan], [np.nan, 7, np.nan]])
    np.testing.assert_array_equal(courses.value, [[0.1, np.nan, 0.5], [np.nan, 0.3, np.nan]])


def test_the_next_session_is_the_next_number_of_the_study(courses: Courses) -> None:
    np.testing.assert_array_equal(ahead(courses.outcome, 1), [[32, np.nan, np.nan], [7, np.nan, np.nan]])
    np.testing.assert_array_equal(ahead(courses.outcome, -1)[:, 1:], courses.outcome[:, :-1])
    np.testing.assert_array_equal(ahead(courses.outcome, 0), courses.outcome)
    later = LAGS["next_session"].rows(courses, ())
    assert later[["dyad", "session", "x", "y", "of"]].to_numpy().tolist() == [["A", 1, 0.1, 32, 1]]
    assert len(LAGS["next_session"].rows(courses, (1,))) == 0  # synchrony of session 3 is missing
    back = LAGS["reverse"].rows(courses, ())
    assert back[["dyad", "session", "x", "y", "of"]].to_numpy().tolist() == [["A", 3, 32, 0.5, 5]]
    same = LAGS["same_session"].rows(courses, ())
    assert same[["dyad", "of", "x", "y"]].to_numpy().tolist() == [["A", 1, 0.1, 10], ["B", 3, 0.3, 7]]


def test_one_number_per_dyad_and_yes_or_no_are_known(courses: Courses) -> None:
    assert not courses.constant
    assert not courses.binary
    ages = Courses.of(TOLD.assign(outcome=TOLD["dyad"].map({"A": 1.0, "B": 0.0})), SESSIONS)
    assert ages.constant
    assert ages.binary
    assert Courses.of(TOLD.assign(outcome=np.nan), SESSIONS).constant
    assert courses.per_dyad("outcome", level=True).value == pytest.approx([21, 7])
    assert courses.per_dyad("value", level=False).value[0] == pytest.approx(0.1)


def test_reliability_is_what_halves_agree_on() -> None:
    rng = np.random.default_rng(0)
    n, sessions, windows = 60, 10, 7
    true = 0.1 * rng.normal(size=(n, sessions))
    single = true[..., None] + 0.2 * rng.normal(size=(n, sessions, windows))
    halves = single[..., ::2].mean(-1) - single[..., 1::2].mean(-1)
    rows = pd.DataFrame(
        {
            "dyad": np.repeat([f"D{d:02d}" for d in range(n)], sessions),
            "session": np.tile(np.arange(1, sessions + 1), n),
            "value": single.mean(-1).ravel(),
            "halves_z": halves.ravel(),
            "n_windows": windows,
        }
    )
    courses = Courses.of(rows.assign(t=rows["session"] - 1.0, outcome=1.0), rows)
    assert courses.noise.mean() == pytest.approx(0.04 / windows, rel=0.1)
    total = 0.1**2 + 0.04 / windows
    assert reliability(total, courses.noise) == pytest.approx(0.1**2 / total, abs=0.05)
    assert reliability(total, np.full(3, np.nan)) is None
    assert reliability(1e-6, courses.noise) == 0
