"""The main job on the sample studies and on real recordings: from dyads.tsv to the verdict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hyperscan.cli import main
from hyperscan.config import StudyConfig
from hyperscan.pipeline import growth_of
from hyperscan.results import StudyResult, read_synchrony
from hyperscan.schema import TABLES
from pipeline_fixtures import run as run_without_report

ROOT = Path(__file__).parents[1]
FILES = [
    ".bidsignore",
    "README",
    "dataset_description.json",
    "report.html",
    "methods.md",
    "references.bib",
    "config.toml",
    "plan.json",
    "synchrony.tsv",
    "synchrony.json",
    "pseudo.json",
    "lags.json",
    "lags.tsv",
    "guards.json",
    "quality.json",
    "pseudo.tsv",
    "guards.tsv",
    "quality.tsv",
    "growth.json",
    "growth.tsv",
    "run.json",
]


def run(study: Path, out: Path) -> int:
    return main(["run", str(study), "-o", str(out), "--jobs", "1", "-q"])


def growth(out: Path) -> dict:
    return json.loads((out / "growth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def eeg_growth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("eeg") / "out"
    assert run(ROOT / "sample_data" / "eeg_growth", out) == 0
    return out


def test_growing_coupling_grows(eeg_growth: Path) -> None:
    found = growth(eeg_growth)
    assert found["verdict"] == "grows"
    assert {guard["name"]: guard["passed"] for guard in found["guards"]} == dict.fromkeys(
        ["signal_to_noise", "space", "band", "lag", "steadiness", "phase", "mismatched_times", "leak", "clock"], True
    )
    assert found["primary"]["slope"] == pytest.approx(0.15, abs=0.02)
    assert abs(found["pseudo_slope"]["slope"]) < 0.01
    assert found["primary"]["n_dyads"] == 8
    assert "partner-specific statistical dependence" in found["sentence"]


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_there_and_no_partial(eeg_growth: Path, name: str) -> None:
    assert (eeg_growth / name).stat().st_size > 0
    assert [path.name for path in eeg_growth.rglob(".*")] == [".bidsignore"]
    assert not (eeg_growth / "work").exists()


def test_table_follows_the_definitions(eeg_growth: Path) -> None:
    study = StudyResult.load(eeg_growth)
    assert list(study.table.columns) == list(TABLES["synchrony"])
    assert (study.table["n_windows"] == 6).all()
    assert (study.table["n_pseudo"] == 14).all()
    np.testing.assert_allclose(study.table["excess_z"], study.table["z"] - study.table["pseudo_mean_z"], atol=1e-9)
    keys = ["dyad", "session", "metric", "band", "roi_therapist", "roi_client"]
    chance = study.pseudo.groupby(keys)["z"].agg(["mean", "count"]).reset_index()
    joined = study.table.merge(chance, on=keys)
    assert len(joined) == len(study.table)
    np.testing.assert_allclose(joined["pseudo_mean_z"], joined["mean"], atol=1e-9)
    assert (joined["count"] == 14).all()


def test_alpha_over_the_posterior_scalp_carries_it(eeg_growth: Path) -> None:
    table = StudyResult.load(eeg_growth).table.query("metric == 'plv' and session == 5")
    excess = table.groupby(["band", "roi_therapist"])["excess_z"].mean()
    assert excess["alpha", "posterior"] > 0.5
    assert abs(excess["gamma", "posterior"]) < 0.03
    assert abs(excess["alpha", "frontal"]) < 0.15


def test_matrices_are_those_of_the_table(eeg_growth: Path) -> None:
    result = read_synchrony(eeg_growth / "dyad-D01" / "ses-05" / "eeg_synchrony.nc")
    table = StudyResult.load(eeg_growth).table.query("dyad == 'D01' and session == 5")
    ours = result.to_data_frame()
    np.testing.assert_allclose(ours["z"], table["z"], atol=1e-6)
    assert list(result.dataset["therapist"].values) == ["Fz", "F3", "F4", "T7", "T8", "Pz", "O1", "O2"]


def test_growth_follows_from_the_tables_alone(eeg_growth: Path, tmp_path: Path) -> None:
    for name in (*(f"{table}.tsv" for table in TABLES), "plan.json", "config.toml"):
        shutil.copy(eeg_growth / name, tmp_path / name)
    again = growth_of(tmp_path, StudyConfig.from_toml(tmp_path / "config.toml"))
    again.save(tmp_path)
    for name in ("growth.json", "growth.tsv"):
        assert (tmp_path / name).read_bytes() == (eeg_growth / name).read_bytes()


def test_slope_can_be_recomputed_by_hand(eeg_growth: Path) -> None:
    table = StudyResult.load(eeg_growth).table.query(
        "metric == 'plv' and band == 'alpha' and roi_therapist == 'posterior'"
    )
    slopes = [np.polyfit(rows["session"], rows["excess_z"], 1)[0] for _, rows in table.groupby("dyad")]
    assert growth(eeg_growth)["two_stage"]["slope"] == pytest.approx(np.mean(slopes), rel=1e-6)


def test_no_growth_is_not_called_growth(tmp_path: Path) -> None:
    run_without_report(ROOT / "sample_data" / "eeg_none", tmp_path / "out")
    assert growth(tmp_path / "out")["verdict"] == "no_clear_change"


def test_growing_haemodynamic_coupling_grows(tmp_path: Path) -> None:
    run_without_report(ROOT / "sample_data" / "fnirs_growth", tmp_path / "out")
    found = growth(tmp_path / "out")
    assert found["verdict"] == "grows"
    assert found["primary"]["metric"] == "wtc"
    table = StudyResult.load(tmp_path / "out").table
    assert set(table["signal"]) == {"hbo", "hbr", "hbt", "hbo_nosc"}
    assert (table["seconds"] == table["seconds"].iloc[0]).all()


def test_real_backgrounds_with_injected_growth(shared: Path, tmp_path: Path) -> None:
    assert run(shared / "data" / "eeg_study_growth", tmp_path / "out") == 0
    found = growth(tmp_path / "out")
    assert found["verdict"] == "cannot_tell"
    assert "3 dyads" in found["sentence"]
    assert "6 are needed" in found["sentence"]
    table = StudyResult.load(tmp_path / "out").table.query("metric == 'plv' and band == 'alpha'")
    for roi in ("parietal", "occipital"):
        curve = table[table["roi_therapist"] == roi].groupby("session")["excess_z"].mean()
        assert np.polyfit(curve.index, curve, 1)[0] > 0.02
        assert curve[6] > curve[1] + 0.1


def test_real_haemodynamic_dyads_run_to_the_end(shared: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(shared / "data" / "fnirs_dyads_burns_snirf", study / "burns")
    shutil.copytree(shared / "data" / "fnirs_dyad_FCS01_nirx", study / "fcs")
    rows = [(f"D{n}", "rest", f"burns/DYAD{n}_1_rest.snirf", f"burns/DYAD{n}_2_rest.snirf") for n in (130, 131, 132)]
    rows += [
        ("D132", "convo", "burns/DYAD132_1_convo.snirf", "burns/DYAD132_2_convo.snirf"),
        ("FCS01", "rest", "fcs/parent", "fcs/child"),
    ]
    table = pd.DataFrame(rows, columns=["dyad", "task", "therapist_file", "client_file"])
    table = table.assign(therapist="T" + table["dyad"], client="C" + table["dyad"], session=1, modality="fnirs")
    table.assign(clock="same_amplifier").to_csv(study / "dyads.tsv", sep="\t", index=False)
    # the three rests last 62 s, less than the default floor
    (study / "study.toml").write_text(
        'min_seconds = 60\nprimary = {metric = "wtc", band = "slow", roi = "all-all", task = "rest"}\n'
    )
    assert run(study, tmp_path / "out") == 0
    found = growth(tmp_path / "out")
    assert found["verdict"] == "cannot_tell"
    table = StudyResult.load(tmp_path / "out").table.query("signal == 'hbo' and metric == 'corr'")
    assert len(table) == 5
    assert table["z"].notna().all()
    # 62 s hold too little of periods up to 50 s: coherence is not made up
    coherence = StudyResult.load(tmp_path / "out").table.query("signal == 'hbo' and metric == 'wtc'")
    assert set(coherence.query("task == 'rest'")["flags"].str.split(";").str[-1]) == {"no_value"}
    assert coherence.query("task == 'convo'")["z"].notna().all()


def test_a_session_that_cannot_be_used_does_not_stop_the_others(
    my_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (my_study / "dyad-02" / "ses-02" / "client.edf").write_bytes(b"")
    assert run(my_study, tmp_path / "out") == 3
    told = capsys.readouterr().err
    assert "dyad-02/ses-02/client.edf" in told
    assert "Traceback" not in told
    result = StudyResult.load(tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D02", 2)]
    assert len(result.table[["dyad", "session"]].drop_duplicates()) == 3
