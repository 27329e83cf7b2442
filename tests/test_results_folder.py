"""The one reader of a run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError
from hyperscan.results import Plan, RunFolder, StudyResult
from hyperscan.schema import Outcome
from report_fixtures import Fake, write_fake

SMALL = Fake(n_dyads=3, n_sessions=3)


def test_it_reads_what_the_run_wrote(small_run: Path) -> None:
    folder, study = RunFolder(small_run), StudyResult.load(small_run)
    for name in ("table", "pseudo", "lags", "guards", "quality"):
        pd.testing.assert_frame_equal(getattr(folder, name), getattr(study, name))
    assert folder.plan == study.plan == Plan.load(small_run / "plan.json")
    assert folder.config == StudyConfig.from_toml(small_run / "config.toml")
    assert next(iter(folder.versions)) == "hyperscan-mne"
    assert folder.dyads == sorted(study.table["dyad"].unique())


def test_rows_of_one_outcome_are_read_part_by_part(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperscan.storage._PART", 500)
    folder = RunFolder(small_run)
    outcome = folder.plan.primary
    wanted = outcome.select(folder.pseudo).reset_index(drop=True)
    assert 0 < len(wanted) < len(folder.pseudo) > 500
    pd.testing.assert_frame_equal(folder.pseudo_of(outcome), wanted, check_dtype=False)
    assert folder.pseudo_of(Outcome(metric="nothing")).empty


def test_an_empty_folder_is_empty(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert all(getattr(folder, name).empty for name in ("table", "pseudo", "lags", "guards", "quality"))
    assert (folder.plan, folder.config, folder.config_text) == (Plan("", Outcome()), StudyConfig(), "")
    assert (folder.versions, folder.dyads, folder.sessions_of("D01")) == ({}, [], [])


@pytest.mark.parametrize("column", ["dyad", "session", "metric", "band"])
def test_a_table_without_its_keys_is_refused(tmp_path: Path, column: str) -> None:
    write_fake(tmp_path, SMALL)
    table = pd.read_csv(tmp_path / "synchrony.tsv", sep="\t", dtype=str, keep_default_na=False)
    table.drop(columns=column).to_csv(tmp_path / "synchrony.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match=rf"synchrony\.tsv: lacks the columns {column}"):
        _ = RunFolder(tmp_path).table


def test_labels_that_look_like_numbers_or_nothing_stay_labels(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    for name in ("synchrony.tsv", "quality.tsv", "guards.tsv", "pseudo.tsv", "lags.tsv", "plan.json"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace("D01", "001").replace("D02", "NA"))
    assert RunFolder(tmp_path).dyads == ["001", "D03", "NA"]


def test_a_plan_of_another_version_is_a_finding_for_a_reader_and_a_fault_for_a_study(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    content = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps({**content, "schema": 99}))
    (finding,) = RunFolder(tmp_path).plan.findings
    assert finding.message.startswith("plan.json: is not the plan of a run of this version")
    with pytest.raises(InputError, match="its schema is 99"):
        StudyResult.load(tmp_path)
