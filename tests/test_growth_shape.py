"""The shape of the course: planted shapes, and one correction for all of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan.growth.shape import SHAPES, describe_shape, turns

RNG = np.random.default_rng


def course(shape, n=10, sessions=8, seed=0) -> pd.DataFrame:
    rng, t = RNG(seed), np.arange(sessions, dtype=float)
    rows = [
        (f"D{d}", s + 1, t[s], shape(t[s] / t[-1]) + rng.normal(0, 0.05)) for d in range(n) for s in range(sessions)
    ]
    return pd.DataFrame(rows, columns=["dyad", "session", "t", "value"])


def shapes(table: pd.DataFrame) -> dict:
    return {one.name: one for one in describe_shape(table, RNG(0), 999)}


def test_a_line_has_no_bend() -> None:
    found = shapes(course(lambda u: 0.3 * u))
    assert list(found) == list(SHAPES)
    assert found["early_late"].p_max_t < 0.05
    assert found["rise_and_fall"].p_max_t > 0.1
    assert found["saturation"].p_max_t > 0.1
    assert all(one.p_max_t >= one.test.p - 0.01 for one in found.values())


@pytest.mark.parametrize("level", [0.0, 0.3, 40.0])
def test_round_off_is_no_bend(level: float) -> None:
    rows = [(f"D{d}", s + 1, float(s), 0.1 * s * (1 + d) + level) for d in range(8) for s in range(6)]
    found = shapes(pd.DataFrame(rows, columns=["dyad", "session", "t", "value"]))
    for name in ("rise_and_fall", "saturation"):
        assert (found[name].test.slope, found[name].test.p, found[name].p_max_t) == (0.0, 1.0, 1.0)
        assert found[name].text == "no departure"


def test_dip_rise_and_fall_and_saturation_are_told_apart() -> None:
    dip = shapes(course(lambda u: 0.4 * (2 * u - 1) ** 2))["rise_and_fall"]
    assert dip.p_max_t < 0.05
    assert dip.test.slope == pytest.approx(0.4, abs=0.06)
    assert dip.text.endswith("a dip: it falls and rises again")
    hill = shapes(course(lambda u: -0.4 * (2 * u - 1) ** 2))["rise_and_fall"]
    assert hill.text.endswith("it rises and falls again")
    found = shapes(course(lambda u: 0.5 * (1 - 8**-u)))
    assert found["saturation"].test.slope == pytest.approx(0.5, abs=0.15)
    assert found["saturation"].text.startswith("it rises first and levels off")
    assert "again" not in found["rise_and_fall"].text


def test_turning_points_lie_inside() -> None:
    assert turns(0.0, 1.0)
    assert not turns(10.0, 1.0)
    assert not turns(0.1, 0.0)


def test_few_dyads_or_sessions_have_no_shape() -> None:
    assert shapes(course(lambda u: u, n=5)) == {}
    assert shapes(course(lambda u: u, sessions=3)) == {}
    short = course(lambda u: 0.3 * u)
    assert shapes(short[(short["dyad"] != "D0") | (short["session"] < 3)])["early_late"].test.n == 9
