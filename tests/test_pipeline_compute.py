"""A dyad-session's chance level, and every threshold that a setting names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hyperscan.errors import NothingToAnalyseError
from hyperscan.nulls.near_lags import lag_peak, lead_asymmetry
from hyperscan.results import StudyResult
from hyperscan.schema import TABLES
from pipeline_fixtures import run, tiny_study


@pytest.fixture(scope="module")
def four_run(four_dyads: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    return run(four_dyads, tmp_path_factory.mktemp("four_run") / "out")


def test_chance_is_the_mean_of_the_pseudo_pairs(four_run: StudyResult) -> None:
    cell = ["dyad", "signal", "metric", "band", "roi_therapist", "roi_client"]
    z = four_run.pseudo.groupby(cell)["z"]
    table = four_run.table.set_index(cell).sort_index()
    np.testing.assert_allclose(table["pseudo_mean_z"], z.mean(), rtol=1e-9)
    np.testing.assert_allclose(table["pseudo_sd_z"], z.std(), rtol=1e-9)
    np.testing.assert_allclose(table["excess_z"], table["z"] - table["pseudo_mean_z"], atol=1e-9)
    assert set(table["n_pseudo"]) == {6}
    assert table["flags"].isna().all() or set(table["flags"].fillna("")) == {""}


def test_tables_have_the_columns_of_the_schema(four_run: StudyResult) -> None:
    assert tuple(four_run.pseudo) == TABLES["pseudo"]
    assert tuple(four_run.guards) == TABLES["guards"]
    assert tuple(four_run.table)[: len(TABLES["synchrony"])] == TABLES["synchrony"]


def test_lag_profiles_are_compared_with_those_of_the_pseudo_pairs(four_run: StudyResult) -> None:
    lags, cell = four_run.lags, ["roi_therapist", "roi_client"]
    assert tuple(lags) == TABLES["lags"]
    assert len(lags) == 4 * 33  # one primary ROI pair, 1 s to each side in steps of 1 / 16 s
    np.testing.assert_allclose(lags["profile_excess_z"], lags["profile_z"] - lags["profile_pseudo_z"], atol=1e-9)
    primary = four_run.table.set_index(cell).loc[[("posterior", "posterior")]].set_index("dyad")
    for dyad, part in lags.groupby("dyad"):
        lags_s, excess = (part[name].to_numpy() for name in ("lag_s", "profile_excess_z"))
        assert primary["lead_asymmetry_excess"][dyad] == pytest.approx(float(lead_asymmetry(lags_s, excess)), abs=1e-6)
        assert primary["lag_peak_s"][dyad] == pytest.approx(lag_peak(lags_s, excess), abs=1e-3)
    assert four_run.table["lag_peak_p"].between(1 / 7, 1).all()


@pytest.mark.parametrize(
    ("setting", "value", "n_pseudo", "flags"),
    [("min_pseudo", 7, 6, "weak_chance"), ("min_pseudo", 6, 6, ""), ("max_partners", 1, 2, "weak_chance")],
)
def test_thresholds_of_chance_are_read_from_the_settings(
    four_dyads: Path, tmp_path: Path, setting: str, value: int, n_pseudo: int, flags: str
) -> None:
    table = run(four_dyads, tmp_path / "out", **{setting: value}).table
    assert set(table["n_pseudo"]) == {n_pseudo}
    assert set(table["flags"].fillna("")) == {flags}


@pytest.mark.parametrize(("min_windows", "usable"), [(4, True), (5, False)])
def test_the_least_number_of_windows_is_read_from_the_settings(
    four_dyads: Path, tmp_path: Path, min_windows: int, usable: bool
) -> None:
    if usable:
        assert set(run(four_dyads, tmp_path / "out", min_windows=min_windows).table["n_windows"]) == {4}
    else:
        with pytest.raises(NothingToAnalyseError, match="min_windows = 5"):
            run(four_dyads, tmp_path / "out", min_windows=min_windows)


def test_without_other_dyads_the_lag_null_is_chance(tmp_path: Path) -> None:
    result = run(tiny_study(tmp_path / "study", n_dyads=1, n_sessions=1, duration_s=200), tmp_path / "out")
    assert set(result.table["n_pseudo"]) == {0}
    assert set(result.table["flags"]) == {"chance_from_lags"}
    assert result.table["pseudo_mean_z"].isna().all()
    assert np.isfinite(result.table["excess_z"]).all()
    assert (result.table["excess_z"] < result.table["lag_estimate"]).all()  # its mean under shifts is above 0
    assert result.pseudo.empty
