"""Means over dyads at each session, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hyperscan import plots
from hyperscan.errors import TableError

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame([{"dyad": f"D{d}", "session": s, "arm": "ab"[d % 2]} for d in range(7) for s in (1, 2, 3)])
TABLE["excess_z"] = RNG.normal(0.1, 0.05, len(TABLE))


def ends(ax: object, curve: int) -> np.ndarray:
    return np.array([segment[:, 1] for segment in ax.containers[curve][2][0].get_segments()])


def test_the_interval_is_students_over_dyads() -> None:
    ax = plots.session_means(TABLE)
    for (low, high), (_, part) in zip(ends(ax, 0), TABLE.groupby("session"), strict=True):
        expected = stats.t.interval(0.95, 6, part["excess_z"].mean(), stats.sem(part["excess_z"]))
        assert (low, high) == pytest.approx(expected)


def test_groups_stand_side_by_side_and_say_how_many_they_are() -> None:
    ax = plots.session_means(TABLE, by="arm")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        *("chance (excess 0)", "a (4 dyads), 95 % CI", "b (3 dyads), 95 % CI"),
    ]
    first, second = (container[0].get_xdata() for container in ax.containers)
    assert (np.round(first) == np.round(second)).all()
    assert (first < second).all()


def test_a_single_dyad_has_no_interval_and_a_lost_column_is_said() -> None:
    ax = plots.session_means(TABLE[TABLE["dyad"] == "D1"])
    assert np.ptp(ends(ax, 0), axis=1) == pytest.approx(0)
    with pytest.raises(TableError, match="lacks the columns phase"):
        plots.session_means(TABLE, by="phase")
