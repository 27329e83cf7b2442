"""A unit of work: its name, what it was made from, and its manifest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from hyperscan.config import StudyConfig
from hyperscan.pipeline import load_study
from hyperscan.pipeline.summary import Attempt, Computed, Summary
from hyperscan.pipeline.unit import (
    MANIFEST,
    Manifest,
    Prepared,
    input_hashes,
    is_current,
    prepare_digest,
    read_manifest,
    row_label,
    signals_path,
    unit_name,
    units_of,
)
from hyperscan.schema import SessionKey
from hyperscan.storage import sha256

KEY = SessionKey("D1", 1, "eeg", "rest", "2")


def test_rows_of_a_dyad_session_are_one_unit(tiny: Path) -> None:
    rows = load_study(tiny)[0].sessions
    talk = dataclasses.replace(rows[0], task="talk")
    units = units_of([*rows[::-1], talk])
    assert [unit.name for unit in units] == [f"dyad-D0{d}/ses-0{s}" for d in (1, 2) for s in (1, 2)]
    assert [row.task for row in units[0].rows] == ["", "talk"]


def test_names_in_the_output() -> None:
    assert unit_name("D1", 3) == "dyad-D1/ses-03"
    assert row_label(KEY) == "eeg_task-rest_run-2"
    assert row_label(KEY._replace(task="", run="")) == "eeg"
    assert signals_path(Path("work"), KEY, "client").as_posix() == "work/dyad-D1/ses-01/eeg_task-rest_run-2_client.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one file and its manifest."""
    (tmp_path / "synchrony.tsv").write_text("z\n1\n")
    prepared = Prepared("before", (Summary(KEY, "skipped", "too short"),))
    Manifest("now", (Computed(KEY, n_pseudo=4),), prepared).save(tmp_path)
    return tmp_path


def test_a_manifest_reads_what_it_wrote(folder: Path) -> None:
    made = read_manifest(folder, Attempt)
    assert made is not None
    assert (made.digest, made.rows) == ("now", (Attempt(KEY),))
    assert made.files == {"synchrony.tsv": sha256(folder / "synchrony.tsv")}
    assert made.prepared == Prepared("before", (Summary(KEY, "skipped", "too short"),))
    assert json.loads((folder / MANIFEST).read_text())["rows"][0]["n_pseudo"] == 4
    assert is_current(folder, "now")
    assert not is_current(folder, "before")


def test_a_changed_or_absent_file_makes_a_unit_stale(folder: Path) -> None:
    (folder / "synchrony.tsv").write_text("z\n2\n")
    assert not is_current(folder, "now")
    (folder / "synchrony.tsv").unlink()
    assert not is_current(folder, "now")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '"text"',
        "null",
        '{"digest": 1}',
        '{"digest": "now", "rows": {}}',
        '{"rows": [1], "digest": "x"}',
        '{"digest": "now", "rows": [{"key": [1]}], "files": {}}',
        '{"digest": "now", "rows": [], "files": 3}',
        '{"digest": "now", "rows": [], "files": {}, "prepared": [1]}',
    ],
)
def test_a_damaged_manifest_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    assert read_manifest(tmp_path, Summary) is None
    assert not is_current(tmp_path, "now")


def test_inputs_are_hashed_under_names_of_ours(tiny: Path) -> None:
    row = load_study(tiny)[0].sessions[0]
    hashes = input_hashes([row])
    assert list(hashes) == ["dyad-D01/ses-01/eeg_client.edf", "dyad-D01/ses-01/eeg_therapist.edf"]
    assert hashes["dyad-D01/ses-01/eeg_client.edf"] == sha256(row.client_file)


def test_what_preparation_depends_on(tiny: Path) -> None:
    table, config = load_study(tiny)
    unit, other = units_of(table.sessions)[:2]
    hashes = input_hashes(unit.rows)
    mine = prepare_digest(unit, hashes, config)
    assert prepare_digest(unit, hashes, config) == mine
    covered = dataclasses.replace(unit.rows[0], covariates={"bdi": 3}, line=99)  # neither is used there
    assert prepare_digest(dataclasses.replace(unit, rows=(covered,)), hashes, config) == mine
    changes = [
        prepare_digest(other, hashes, config),
        prepare_digest(unit, {**hashes, "more": "x"}, config),
        prepare_digest(unit, hashes, StudyConfig(seed=1)),
        prepare_digest(dataclasses.replace(unit, rows=(dataclasses.replace(covered, start_s=1.0),)), hashes, config),
    ]
    assert len({mine, *changes}) == 5
