"""Tables as plots take them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan import plots
from hyperscan.errors import TableError
from hyperscan.plots.frames import dyad_curves, mean_and_ci, require
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
