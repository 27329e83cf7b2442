"""Tables as plots take them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan import plots
from hyperscan.errors import TableError
from hyperscan.plots.frames import dyad_curves, mean_and_ci, means_over_time, require
from plots_fixtures import N_SESSIONS


def test_runs_of_a_session_are_averaged(primary: pd.DataFrame) -> None:
    twice = pd.concat([primary, primary.assign(excess_z=primary["excess_z"] + 0.2)])
    ax = plots.growth_curves(twice)
    assert ax.lines[0].get_ydata() == pytest.approx(primary["excess_z"].to_numpy()[:N_SESSIONS] + 0.1)


def test_weeks_are_days_by_seven(primary: pd.DataFrame) -> None:
    ax = plots.growth_curves(primary, time="weeks")
    assert list(ax.lines[0].get_xdata()) == [0, 1, 2, 3]
    assert ax.get_xlabel() == "Time since first session (weeks)"


@pytest.mark.parametrize("column", ["dyad", "session", "excess_z"])
def test_a_missing_column_is_named(primary: pd.DataFrame, column: str) -> None:
    with pytest.raises(TableError, match=f"lacks the columns {column}; found"):
        plots.growth_curves(primary.drop(columns=column))


@pytest.mark.parametrize(("values", "mean", "half"), [([1.0, 2.0, 3.0], 2.0, 2.4841), ([5.0], 5.0, np.nan)])
def test_mean_and_interval(values: list[float], mean: float, half: float) -> None:
    # 2.4841 = t(.975, 2) / sqrt(3)
    assert mean_and_ci(np.array([*values, np.nan])) == pytest.approx((mean, half), abs=1e-4, nan_ok=True)


def test_curves_need_their_columns_and_drop_what_has_no_value(primary: pd.DataFrame) -> None:
    holed = primary.assign(excess_z=primary["excess_z"].where(primary["dyad"] != "D1"))
    assert list(dyad_curves(holed, ["excess_z"], "session")) == ["D0", "D2", "D3", "D4"]
    with pytest.raises(TableError, match="lacks the columns z9; found: dyad"):
        require(primary, "dyad", "z9")


def test_a_dyad_counts_once_in_a_week(primary: pd.DataFrame) -> None:
    rows = [("A", 0, 0.0), ("A", 7, 0.4), ("B", 0, 0.2), ("B", 6, 0.0), ("B", 9, 0.4), ("C", 0, 0.1), ("C", 8, 0.6)]
    table = pd.DataFrame(rows, columns=["dyad", "days", "excess_z"]).assign(roi_therapist="all", roi_client="all")
    times, means, halves = means_over_time(dyad_curves(table, ["excess_z"], "weeks"), "excess_z")
    assert list(times) == [0, 1]
    expected = [mean_and_ci(np.array([0.0, 0.2, 0.1])), mean_and_ci(np.array([0.4, 0.2, 0.6]))]
    np.testing.assert_allclose(np.transpose([means, halves]), expected)
    (ax,) = plots.roi_panels(table, time="weeks")
    mean = next(line for line in ax.lines if line.get_label() == "mean of 3")
    assert mean.get_ydata() == pytest.approx([0.1, 0.4])


def test_a_single_dyad_keeps_its_own_times() -> None:
    table = pd.DataFrame({"dyad": "A", "days": [0, 5, 8], "excess_z": [0.0, 0.1, 0.4]})
    times, means, _ = means_over_time(dyad_curves(table, ["excess_z"], "weeks"), "excess_z")
    assert times == pytest.approx([0, 5 / 7, 8 / 7])
    assert means == pytest.approx([0.0, 0.1, 0.4])
