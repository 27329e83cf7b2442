"""The one reader of a run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError
from hyperscan.pipeline import growth_of
from hyperscan.report import build_report, build_view
from hyperscan.results import Plan, RunFolder, StudyResult, SynchronyResult
from hyperscan.results.folder import LABELS, check_table
from hyperscan.schema import TABLES, TEXT_COLUMNS, Outcome, column_of
from hyperscan.storage import load_table
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


def test_sessions_and_runs_come_in_the_order_of_their_numbers(small_run: Path, tmp_path: Path) -> None:
    whole = RunFolder(small_run).sessions_of("D01")[0]
    for session, run in ((100, "1"), (20, "10"), (20, "9"), (3, "1")):
        told = {**whole.dataset.attrs, "session": session, "run": run}
        result = SynchronyResult(whole.dataset.assign_attrs(told))
        folder = tmp_path / f"dyad-D01/ses-{session:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        result.save(folder / f"eeg_run-{run}_synchrony.nc")
    found = [(one.dataset.attrs["session"], one.dataset.attrs["run"]) for one in RunFolder(tmp_path).sessions_of("D01")]
    assert found == [(3, "1"), (20, "9"), (20, "10"), (100, "1")]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_label_of_its_rows_is_refused(small_run: Path, name: str) -> None:
    table = load_table(small_run / f"{name}.tsv", *TEXT_COLUMNS)
    check_table(name, table)
    for column in (column for column in TABLES[name] if column in LABELS):
        with pytest.raises(InputError, match=rf"{name}\.tsv: lacks the columns {column}, which"):
            check_table(name, table.drop(columns=column))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("value", ["abc", "<img src=x onerror=alert(1)>", "9" * 5000, "", "True", "0x10"])
def test_a_column_of_numbers_that_holds_something_else_is_refused(small_run: Path, name: str, value: str) -> None:
    table = load_table(small_run / f"{name}.tsv", *TEXT_COLUMNS)
    numbers = [column for column in table if column in TABLES[name] and not column_of(column).text]
    assert "session" in numbers
    assert len(numbers) > 2 or name == "pseudo"
    for column in numbers:
        cells = table[column].astype(object)
        cells.iloc[2:] = value
        with pytest.raises(InputError, match=rf"{name}\.tsv: {column} is not a .*number.* in line 4\. Run"):
            check_table(name, table.assign(**{column: cells}))
        with pytest.raises(InputError, match=rf"{name}\.tsv: {column} is not a .*number.* in line 2\. Run"):
            check_table(name, table.assign(**{column: True}))


@pytest.mark.parametrize("value", [1.5, 0, -1, float("nan"), float("inf")])
def test_a_session_is_a_whole_number(small_run: Path, value: float) -> None:
    for name in TABLES:
        table = load_table(small_run / f"{name}.tsv", *TEXT_COLUMNS)
        session = table["session"].astype(float)
        session.iloc[1] = value
        with pytest.raises(InputError, match=rf"{name}\.tsv: session is not a whole number from 1 on in line 3\."):
            check_table(name, table.assign(session=session))


def test_a_table_that_is_read_is_checked(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    table = (tmp_path / "quality.tsv").read_text().replace("D02\t1\t", "D02\t1.5\t")
    (tmp_path / "quality.tsv").write_text(table)
    (tmp_path / "run.json").write_text('{"outputs": {}}')
    for act in (build_view, build_report, growth_of, StudyResult.load):
        with pytest.raises(InputError, match=r"quality\.tsv: session is not a whole number"):
            act(tmp_path)


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
