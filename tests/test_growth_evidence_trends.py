"""Trends of the recordings beside the guards: which columns are reported, for whom, and how."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from hyperscan.growth.evidence import QUALITY_TRENDS, Slopes, quality_trends, trend_of

COURSES = [(f"D{dyad}", n, float(n)) for dyad in range(6) for n in (1, 2, 3)]
SESSIONS = pd.DataFrame(COURSES, columns=["dyad", "session", "t"])


def quality(**slopes: float) -> pd.DataFrame:
    """Make quality.tsv of two people per dyad; columns that change by so much per session, in the client twice."""
    rng, frames = np.random.default_rng(0), []
    for person, times in (("therapist", 1.0), ("client", 2.0)):
        noise = rng.normal(0, 0.01, len(SESSIONS))
        columns = {name: times * slope * SESSIONS["session"] + noise for name, slope in slopes.items()}
        frames.append(SESSIONS[["dyad", "session"]].assign(person=person, **columns))
    return pd.concat(frames, ignore_index=True)


def test_every_measure_is_told_of_each_person_under_its_topic() -> None:
    found = quality_trends(quality(clean_seconds=1.0, snr_alpha=-0.5, unheard=3.0), SESSIONS, "")
    assert [(one.topic, one.name, one.person) for one in found] == [
        ("amount of data", "clean_seconds", "therapist"),
        ("signal fraction", "snr_alpha", "therapist"),
        ("amount of data", "clean_seconds", "client"),
        ("signal fraction", "snr_alpha", "client"),
    ]
    assert [one.slope for one in found] == pytest.approx([1.0, -0.5, 2.0, -1.0], abs=0.02)
    assert {one.n for one in found} == {6}


@pytest.mark.parametrize("topic", QUALITY_TRENDS)
def test_names_that_end_in_an_underscore_stand_for_every_band(topic: str) -> None:
    for name in QUALITY_TRENDS[topic]:
        column = f"{name}alpha" if name.endswith("_") else name
        found = quality_trends(quality(**{column: 1.0, f"x{column}": 1.0}), SESSIONS, "")
        assert {(one.topic, one.name) for one in found} == {(topic, column)}


def test_fewer_dyads_than_a_verdict_needs_have_a_slope_and_no_test() -> None:
    few = SESSIONS[SESSIONS["dyad"].isin(["D0", "D1", "D2"])]
    slopes = Slopes.of(few[["dyad", "session"]].assign(n_windows=few["session"] * 2.0), few, {"": 1.0})
    found = trend_of("amount of data", "n_windows", slopes)
    assert (found.slope, found.n) == (pytest.approx(2.0), 3)
    assert math.isnan(found.t)
    assert math.isnan(found.p)
