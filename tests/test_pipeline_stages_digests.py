"""What enters an output enters its digest: every field, setting, file and version, without a run."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import shutil
import sys
from pathlib import Path

import pytest

import hyperscan
import recording_fixtures as make
from format_fixtures import EXAMPLES
from hyperscan.config import CLEANING, COMPUTATION, PREPARATION, Primary, StudyConfig
from hyperscan.errors import ReadError
from hyperscan.pipeline import load_study
from hyperscan.pipeline.prepare import opened_files
from hyperscan.pipeline.unit import (
    VERSIONED,
    Basis,
    UnitInputs,
    all_versions,
    input_hashes,
    package_versions,
    units_of,
)
from hyperscan.recording.files.bids import files_of
from hyperscan.recording.guard import _READERS
from hyperscan.recording.read import read_person
from hyperscan.results.plan import Plan
from hyperscan.schema import Outcome
from hyperscan.study import Session
from hyperscan.study.formats import FORMATS, Format
from hyperscan.study.rows import OPTIONAL, REQUIRED, SHARED_ENDINGS
from stale_fixtures import COLUMNS, FURTHER, OTHER, SETTINGS, change_version


def test_the_enumerations_are_complete() -> None:
    assert list(OTHER) == [item.name for item in dataclasses.fields(StudyConfig)]
    assert [*COLUMNS, *FURTHER][: len(REQUIRED)] == list(REQUIRED)
    assert set(REQUIRED) | set(OPTIONAL) <= set(COLUMNS) | set(FURTHER)
    assert list(all_versions()) == ["hyperscan", "code", "python", *VERSIONED]


def digests(rows: list[Session], config: StudyConfig = SETTINGS, versions: dict[str, str] | None = None) -> list[str]:
    """Digests of preparation and of computation of the first unit."""
    versions = all_versions() if versions is None else versions
    unit = units_of([dataclasses.replace(row, line=0) for row in rows])[0]
    made_from = UnitInputs.of(unit, config, versions)
    plan = Plan("1", Outcome("plv", "alpha", "all-all", "", "eeg", "eeg"), units={unit.name: made_from.digest})
    return [made_from.digest, Basis.of(plan, config, versions).digest_of(unit)]


def test_every_field_of_a_row_but_its_line_and_its_study_enters_the_digest(two_modalities: Path) -> None:
    rows = list(load_study(two_modalities)[0].sessions)
    before = digests(rows)
    assert digests([dataclasses.replace(row, line=77) for row in rows]) == before
    for item in dataclasses.fields(Session):
        value = getattr(rows[0], item.name)
        if item.name in ("line", "root"):
            continue
        other = {"covariates": {"bdi": 1, "therapist_age": 99}, "session": 7}.get(item.name, "other")
        if isinstance(value, Path):
            other = value.with_name("spare.edf")
        changed = [dataclasses.replace(row, **{item.name: other}) for row in rows]
        assert not set(digests(changed)) & set(before), item.name
    for column in rows[0].covariates:
        changed = [dataclasses.replace(row, covariates={**row.covariates, column: 3.25}) for row in rows]
        assert digests(changed)[1] != before[1], column
        assert (digests(changed)[0] != before[0]) == column.endswith("_age"), column


def test_a_study_may_move(two_modalities: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(two_modalities, tmp_path / "elsewhere")
    assert digests(list(load_study(moved)[0].sessions)) == digests(list(load_study(two_modalities)[0].sessions))


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_enters_the_digests(two_modalities: Path, name: str) -> None:
    rows = list(load_study(two_modalities)[0].sessions)
    (prepared, computed), changed = (
        digests(rows),
        digests(rows, dataclasses.replace(SETTINGS, **{name: OTHER[name]})),
    )
    assert computed != changed[1]
    # what is shared by two settings is given neither of them
    field = next(item for item in dataclasses.fields(StudyConfig) if item.name == name)
    assert (prepared != changed[0]) == (field.metadata["enters"] <= PREPARATION)


@pytest.mark.parametrize("name", OTHER)
def test_a_stage_is_given_the_settings_that_enter_it_and_no_other(name: str) -> None:
    field = next(item for item in dataclasses.fields(StudyConfig) if item.name == name)
    changed = dataclasses.replace(SETTINGS, **{name: OTHER[name]})
    for stage in (CLEANING, PREPARATION):
        assert (changed.entering(stage) != SETTINGS.entering(stage)) == (field.metadata["enters"] <= stage)
    assert changed.entering(COMPUTATION) == changed


def test_neither_metric_nor_task_of_the_primary_outcome_enters_preparation() -> None:
    one, other = (
        dataclasses.replace(SETTINGS, primary=Primary(*named, task="talk"))
        for named in (("plv", "alpha", "all-all"), ("ciplv", "alpha", "all-all"))
    )
    assert one.entering(PREPARATION) == other.entering(PREPARATION)
    assert one.entering(PREPARATION).primary == Primary("", "alpha", "all-all")


def test_the_last_digit_of_a_setting_enters_the_digests(two_modalities: Path) -> None:
    rows = list(load_study(two_modalities)[0].sessions)
    near = dataclasses.replace(SETTINGS, window_s=4.000000000000001)
    assert not set(digests(rows)) & set(digests(rows, near))


def test_every_version_enters_the_digests(two_modalities: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(load_study(two_modalities)[0].sessions)
    seen = [digests(rows)]
    for name in all_versions():
        with monkeypatch.context() as patch:
            change_version(patch, name)
            seen.append(digests(rows))
    assert len({digest for pair in seen for digest in pair}) == 2 * len(seen)


#: Packages that are imported and shape no number: drawing, progress, processes, and what writes or names files alone.
SHAPE_NOTHING = {
    "distributed",
    "edfio",
    "jinja2",
    "joblib",
    "matplotlib",
    "mne_bids",
    "psutil",
    "shtab",
    "threadpoolctl",
    "tqdm",
}


def test_every_package_that_is_imported_is_versioned() -> None:
    top = Path(hyperscan.__file__).parent
    found = set(_READERS) - {reader for reader in _READERS if "/" in reader}
    for path in top.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("import_module", "find_spec"):
                found |= {word.value.partition(".")[0] for word in node.args if isinstance(word, ast.Constant)}
    further = found - sys.stdlib_module_names - SHAPE_NOTHING - {"hyperscan"}
    # what mne-icalabel and xarray compute and write with, they import themselves
    assert {name.replace("_", "-") for name in further} == {*VERSIONED} - {"onnxruntime", "torch", "netCDF4"}


def test_a_package_that_was_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert set(package_versions().values()) == {"none"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_readers_open_nothing_that_is_not_declared(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    example = EXAMPLES[name]
    if example.is_real:
        request.getfixturevalue("shared")
    path = example.write(tmp_path / example.name, 1)
    opened: set[Path] = set()
    try:
        with opened_files(tmp_path, opened):
            read_person(path, None, modality=example.modality, name=path.name)
    except ReadError:
        assert example.lacks
    if not path.is_dir():
        assert opened <= {file.resolve() for file in files_of(path)}
    assert opened or name in ("SNIRF", "NIRx") or example.lacks, "nothing was heard"


def inputs_of(path: Path) -> dict[str, str]:
    """Hash what belongs to a recording, as a run does."""
    row = make.session(path.parent, path.name, path.name)
    return input_hashes([row])


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_every_file_of_every_format_enters_the_digest(
    tmp_path: Path, form: Format, request: pytest.FixtureRequest
) -> None:
    """Those that are there change, and those that a format may have appear."""
    example = EXAMPLES[form.name]
    if example.is_real:
        request.getfixturevalue("shared")
    path = example.write(tmp_path / example.name, 1)
    seen = [inputs_of(path)]
    there = sorted(file for file in tmp_path.rglob("*") if file.is_file())
    for file in there:
        with file.open("r+b") as stream:
            first = stream.read(1)
            stream.seek(0)
            stream.write(bytes([(first or b"\0")[0] ^ 1]))
        seen.append(inputs_of(path))
    named = [path.with_name(path.stem + ending) for ending in (*form.companions, ".json", ".tsv")]
    absent = [
        file for file in named if path.is_file() and not any(file.samefile(each) for each in there if file.exists())
    ]
    for file in absent:
        file.write_text("new")
        seen.append(inputs_of(path))
    assert len(there) > 0
    assert len({tuple(sorted(each.items())) for each in seen}) == 1 + len(there) + len(absent)


@pytest.mark.parametrize("ending", SHARED_ENDINGS)
def test_a_shared_signal_and_its_sidecar_enter_the_digest(tmp_path: Path, ending: str) -> None:
    """Each appears, changes and goes."""
    for name in ("t.edf", "c.edf"):
        make.write_edf(tmp_path / name, 1)
    row = make.session(tmp_path, "t.edf", "c.edf", shared_file=tmp_path / f"s{ending}")
    seen = [input_hashes([row])]
    for name in (f"s{ending}", "s.json"):
        for text in ("1\n", "2\n"):
            (tmp_path / name).write_text(text)
            seen.append(input_hashes([row]))
    assert len({tuple(sorted(each.items())) for each in seen}) == len(seen) == 5
    (tmp_path / "s.json").unlink()
    assert input_hashes([row]) == seen[2]
    # a channel of the recording is a part of it, and its name enters as a field
    assert input_hashes([dataclasses.replace(row, shared_file="aux:Erg1")]) == {
        name: value for name, value in seen[0].items() if "_shared" not in name
    }


@pytest.mark.parametrize("name", ["sub-a_ses-1_channels.tsv", "sub-a_ses-1_events.tsv", "sub-a_ses-1_scans.tsv",
                                  "sub-a_ses-1_task-x_eeg.json", "../channels.tsv"])  # fmt: skip
def test_every_table_of_bids_enters_the_digest(tmp_path: Path, name: str) -> None:
    path = tmp_path / "sub-a" / "ses-1" / "eeg" / "sub-a_ses-1_task-x_eeg.edf"
    path.parent.mkdir(parents=True)
    make.write_edf(path, 1)
    before = inputs_of(path)
    file = path.parents[1] / name if "scans" in name else path.parent / name
    file.write_text("a\n1\n")
    appeared = inputs_of(path)
    assert appeared != before
    file.write_text("a\n2\n")
    assert inputs_of(path) not in (before, appeared)
