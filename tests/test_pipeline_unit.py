"""A unit of work: its name, what it was made from, and its manifest."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from pathlib import Path

import pytest

import hyperscan
from hyperscan.config import StudyConfig
from hyperscan.pipeline import load_study
from hyperscan.pipeline.summary import Attempt, Computed, Summary
from hyperscan.pipeline.unit import (
    MANIFEST,
    UNIT_TABLES,
    Manifest,
    Prepared,
    UnitInputs,
    all_versions,
    code_digest,
    input_hashes,
    is_current,
    own_files,
    read_manifest,
    row_label,
    signals_path,
    unit_name,
    units_of,
)
from hyperscan.schema import SessionKey
from hyperscan.storage import sha256, to_json
from pipeline_fixtures import run

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
    Manifest("now", (Computed(KEY),), prepared).save(tmp_path)
    return tmp_path


def test_a_manifest_reads_what_it_wrote(folder: Path) -> None:
    made = read_manifest(folder, Attempt)
    assert made is not None
    assert (made.digest, made.rows) == ("now", (Attempt(KEY),))
    assert made.files == {"synchrony.tsv": sha256(folder / "synchrony.tsv")}
    assert made.prepared == Prepared("before", (Summary(KEY, "skipped", "too short"),))
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


def test_an_input_has_the_ending_of_its_kind_and_no_other(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "2026-03-01.JaneDoe"
    folder.mkdir()
    (folder / "a.hdr").write_text("x")
    row = dataclasses.replace(load_study(tiny)[0].sessions[0], therapist_file=folder)
    assert list(input_hashes([row])) == ["dyad-D01/ses-01/eeg_client.edf", "dyad-D01/ses-01/eeg_therapist"]


def test_every_kind_of_file_of_the_package_enters_the_digest_of_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path(hyperscan.__file__).parent
    top = Path(shutil.copytree(here, tmp_path / "hyperscan", ignore=shutil.ignore_patterns("__pycache__", ".*")))
    monkeypatch.setattr(hyperscan, "__file__", str(top / "__init__.py"))
    kinds = {path.suffix: path for path in top.rglob("*") if path.is_file() and path.name != "py.typed"}
    assert {".py", ".j2", ".css"} <= set(kinds)
    seen = {code_digest.__wrapped__()}
    for path in kinds.values():
        path.write_bytes(path.read_bytes() + b"\n")
        seen.add(code_digest.__wrapped__())
    assert len(seen) == 1 + len(kinds)
    (top / "__pycache__").mkdir()
    (top / "__pycache__" / "errors.pyc").write_bytes(b"x")
    (top / ".DS_Store").write_bytes(b"x")
    assert code_digest.__wrapped__() in seen


def test_what_preparation_depends_on(tiny: Path) -> None:
    table, config = load_study(tiny)
    unit, other = units_of(table.sessions)[:2]
    versions = all_versions()

    def digest_with(**row: object) -> str:
        rows = tuple(dataclasses.replace(each, **row) for each in unit.rows)
        return UnitInputs.of(dataclasses.replace(unit, rows=rows), config, versions).digest

    mine = UnitInputs.of(unit, config, versions)
    assert digest_with() == mine.digest
    assert digest_with(covariates={"bdi": 3}, line=99) == mine.digest  # neither reaches it
    changes = [
        UnitInputs.of(other, config, versions).digest,
        dataclasses.replace(mine, hashes={**mine.hashes, "more": "x"}).digest,
        dataclasses.replace(mine, config=StudyConfig(seed=1)).digest,
        digest_with(start_s=1.0),
        digest_with(covariates={"therapist_age": 40}),
        *(dataclasses.replace(mine, versions={**versions, name: "0"}).digest for name in versions),
    ]
    assert len({mine.digest, *changes}) == 1 + len(changes)


def test_no_flipped_bit_of_a_record_is_accepted(tiny_run: Path, tmp_path: Path) -> None:
    """Of 5,000 single bits of the records of a run, seeded; scripts are not needed, because it takes seconds."""
    records = [path.read_bytes() for path in sorted(tiny_run.glob("dyad-*/ses-*/unit.json"))]
    draw, accepted = random.Random(16), 0
    for _ in range(5000):
        content = bytearray(draw.choice(records))
        bit = draw.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        (tmp_path / MANIFEST).write_bytes(content)
        accepted += read_manifest(tmp_path, Computed) is not None
    assert accepted == 0
    (tmp_path / MANIFEST).write_bytes(records[0])
    assert read_manifest(tmp_path, Computed) is not None


ODD = [None, 0, -1.5, True, "", "x", [], [1], {}, {"x": 1}, [[]], [None]]


@pytest.mark.parametrize("key", ["digest", "rows", "files", "prepared", "sha256"])
def test_a_record_with_an_odd_or_a_lost_entry_is_none(folder: Path, key: str) -> None:
    whole = json.loads((folder / MANIFEST).read_text())
    for changed in [{**whole, key: value} for value in ODD] + [{n: v for n, v in whole.items() if n != key}]:
        (folder / MANIFEST).write_text(to_json(changed))
        assert read_manifest(folder, Summary) is None
        assert not is_current(folder, "now")


def test_a_deep_record_is_none(folder: Path) -> None:
    (folder / MANIFEST).write_text("[" * 100_000)
    assert read_manifest(folder, Summary) is None


def test_what_a_unit_holds_is_known_without_its_record(tiny_run: Path, tmp_path: Path) -> None:
    unit = Path(shutil.copytree(tiny_run / "dyad-D01" / "ses-01", tmp_path / "unit"))
    held = {path.name for path in unit.iterdir()}
    assert held == {MANIFEST, "eeg_synchrony.nc", *(f"{name}.tsv" for name in UNIT_TABLES)}
    assert own_files(unit) == held
    (unit / MANIFEST).write_text("damaged")
    (unit / "mine.tsv").write_text("a user's")
    assert own_files(unit) == held


def test_what_a_batch_of_pairs_holds_is_known_without_its_record(
    four_dyads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperscan.pipeline.run.remove_work", lambda out: None)
    run(four_dyads, tmp_path / "out")
    kept = [folder for folder in (tmp_path / "out/work").glob("**/") if (folder / MANIFEST).is_file()]
    assert {folder.parent.name for folder in kept} >= {"pairs"}
    for folder in kept:
        held = {path.name for path in folder.iterdir()}
        (folder / MANIFEST).write_text("damaged")
        assert own_files(folder) == held
