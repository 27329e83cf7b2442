"""Figures of who leads draw the numbers they were given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan.errors import TableError
from hyperscan.plots import lag_chart, lag_heatmap

LAGS_S = np.array([-0.5, 0.0, 0.5])


def table(n_dyads: int = 4) -> pd.DataFrame:
    rows = [
        (f"D{dyad}", session, lag, 0.1 * session * (lag > 0) + 0.01 * dyad)
        for dyad in range(n_dyads)
        for session in (1, 2)
        for lag in LAGS_S
    ]
    out = pd.DataFrame(rows, columns=["dyad", "session", "lag_s", "profile_excess_z"])
    return out.assign(profile_z=out["profile_excess_z"] + 0.2, profile_pseudo_z=0.2, profile_pseudo_sd_z=0.03)


def test_the_profile_lies_beside_its_chance() -> None:
    ax = lag_chart(table())
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["real pairs, mean"].get_ydata(), [0.215, 0.215, 0.365])
    np.testing.assert_allclose(lines["chance (mean of pseudo pairs)"].get_ydata(), 0.2)
    assert "client leads" in ax.get_xlabel()
    assert len(ax.collections) == 2
    assert len(lag_chart(table(2)).collections) == 1  # two dyads have no interval


def test_the_interval_is_that_of_the_dyads_that_have_a_lag() -> None:
    rows = table(6)
    rows.loc[(rows["lag_s"] != 0) & rows["dyad"].isin(["D4", "D5"]), "profile_z"] = np.nan
    (interval,) = (found for found in lag_chart(rows).collections if found.get_label() == "95 % interval")
    alone = lag_chart(rows[rows["dyad"] < "D4"])
    (wanted,) = (found for found in alone.collections if found.get_label() == "95 % interval")
    ends, others = (found.get_paths()[0].vertices for found in (interval, wanted))
    np.testing.assert_allclose(ends[np.abs(ends[:, 0]) == 0.5], others[np.abs(others[:, 0]) == 0.5])


def test_the_heat_map_has_a_row_per_session() -> None:
    ax = lag_heatmap(table())
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.015, 0.015, 0.115], [0.015, 0.015, 0.215]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["\N{MINUS SIGN}0.5", "0", "0.5"]
    assert not ax.texts


def test_colours_are_not_zoomed_into_noise() -> None:
    rows = table().assign(profile_excess_z=0.001)
    assert lag_heatmap(rows).images[0].get_clim() == pytest.approx((-0.06, 0.06))  # two SD of chance
    assert lag_heatmap(table()).images[0].get_clim() == pytest.approx((-0.06, 0.215))


def test_without_pseudo_pairs_no_chance_is_drawn_or_told() -> None:
    ax = lag_chart(table().assign(profile_pseudo_z=np.nan, profile_pseudo_sd_z=np.nan))
    assert not [text for text in ax.get_legend().get_texts() if "chance" in text.get_text()]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match="profile_pseudo_z"):
        lag_chart(table().drop(columns="profile_pseudo_z"))
