"""What the guards of one person rest on: rows of an index, and how much a measure has to move to matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan.growth.evidence import Slopes
from hyperscan.growth.within import index_rows, material

COURSES = [(f"D{dyad}", n, float(n)) for dyad in range(8) for n in range(4)]
SESSIONS = pd.DataFrame(COURSES, columns=["dyad", "session", "t"])


def slopes(**of: float) -> Slopes:
    """Make measures that change by so much per session in every dyad, and a little by chance."""
    rng = np.random.default_rng(1)
    columns = {name: slope * SESSIONS["t"] + rng.normal(0, 0.05, len(SESSIONS)) for name, slope in of.items()}
    return Slopes.of(SESSIONS[["dyad", "session"]].assign(**columns), SESSIONS, {"": 1.0})


def test_rows_of_an_index_have_text_where_a_band_is_left_open() -> None:
    table = pd.DataFrame({"index": ["power", "drift", "peak"], "band": ["alpha", np.nan, np.nan]})
    assert index_rows(table, "power", "drift")["band"].tolist() == ["alpha", ""]


@pytest.mark.parametrize(("slope", "direction", "moved"), [(1, 0, True), (-1, 0, True), (-1, 1, False), (0, 0, False)])
def test_without_a_limit_any_clear_change_counts(slope: float, direction: float, moved: bool) -> None:
    found = slopes(measure=slope)
    test, told = material(found, found.column("measure"), direction, None)
    assert told is moved
    assert test.slope == pytest.approx(slope, abs=0.05)


@pytest.mark.parametrize(("slope", "moved"), [(0.4, False), (-0.4, False), (0.6, True), (-0.6, True)])
def test_with_a_limit_it_has_to_change_by_more_than_that(slope: float, moved: bool) -> None:
    found = slopes(measure=slope, limit=0.5)
    assert material(found, found.column("measure"), 0, found.column("limit"))[1] is moved
