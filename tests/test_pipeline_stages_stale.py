"""Nothing that enters an output can change unnoticed: every column, setting, companion and version, one at a time."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hyperscan
import recording_fixtures as make
from format_fixtures import EXAMPLES
from hyperscan.config import Primary, StudyConfig
from hyperscan.errors import ReadError
from hyperscan.pipeline import load_study
from hyperscan.pipeline.prepare import opened_files
from hyperscan.pipeline.unit import VERSIONED, Basis, UnitInputs, all_versions, package_versions, units_of
from hyperscan.recording.files.bids import files_of
from hyperscan.recording.guard import _READERS
from hyperscan.recording.read import read_person
from hyperscan.results.plan import Plan
from hyperscan.schema import ROLES, Outcome
from hyperscan.simulate import simulate_study
from hyperscan.study import Session
from hyperscan.study.rows import OPTIONAL, REQUIRED
from pipeline_fixtures import edit_table, run, tree

#: As cheap as two modalities can be; path lengths by age, so that two covariates enter preparation.
SETTINGS = StudyConfig(
    window_s=4.0,
    n_null=19,
    min_windows=2,
    min_seconds=60.0,
    fnirs_ppf="age",
    metrics={"eeg": ["plv"], "fnirs": ["corr"]},
    bands={"alpha": (8, 12), "slow": (0.02, 0.1)},
)

#: Another value of every setting.
OTHER = {
    "primary": Primary("plv", "alpha", "all-all"),
    "metrics": {"eeg": ["ciplv"], "fnirs": ["corr"]},
    "bands": {"alpha": (8, 13), "slow": (0.02, 0.1)},
    "rois": {"mine": ["O1", "O2", "S1_D1"]},
    "roi_pairs": ["all-all"],
    "window_s": 5.0,
    "min_windows": 3,
    "min_seconds": 50.0,
    "eeg_filter_hz": (2.0, 40.0),
    "eeg_line_hz": 50.0,
    "eeg_reference": "average",
    "eeg_max_sfreq": 100.0,
    "eeg_interpolate": True,
    "eeg_ica": "ocular",
    "fnirs_filter_hz": (0.01, 0.4),
    "fnirs_sfreq": 1.5,
    "fnirs_min_sci": 0.5,
    "fnirs_tddr": False,
    "fnirs_short_mm": 9.0,
    "fnirs_short_regression": False,
    "fnirs_regress_events": False,
    "fnirs_ppf": 5.0,
    "max_partners": 1,
    "min_pseudo": 1,
    "n_null": 20,
    "seed": 1,
    "time": "weeks",
    "equivalence_slope": 0.5,
    "outcomes": ["bdi"],
}

#: A change of every column of the table: what to write instead of what, in the rows of the first dyad.
COLUMNS = {
    "dyad": ("D01\t", "D09\t"),
    "therapist": ("\tT01\t", "\tT09\t"),
    "client": ("\tC01\t", "\tC09\t"),
    "session": ("\tC01\t1\t", "\tC01\t2\t"),
    "modality": ("\teeg\tdyad-01/ses-01/therapist", "\tfnirs\tdyad-01/ses-01/therapist"),
    "therapist_file": ("dyad-01/ses-01/therapist.edf", "dyad-01/ses-01/spare.edf"),
    "client_file": ("dyad-01/ses-01/client.edf", "dyad-01/ses-01/spare.edf"),
    "days": ("\t1\t0\t", "\t1\t7\t"),
}

#: Value of an optional column, another one, and what must be there beside it.
FURTHER = {
    "date": ("2026-03-01", "2026-03-02", {}),
    "task": ("rest", "talk", {}),
    "run": ("1", "2", {}),
    "start_s": ("0", "6", {}),
    "stop_s": ("30", "20", {}),
    "segment_event": ("n/a", "talk", {}),
    "therapist_channels": ("1-8", "1-6", {}),
    "client_channels": ("1-8", "1-6", {}),
    "clock": ("same_amplifier", "assumed", {}),
    "therapist_offset_s": ("0", "3", {"clock": "offset", "client_offset_s": "0"}),
    "client_offset_s": ("0", "3", {"clock": "offset", "therapist_offset_s": "0"}),
    "sync_event": ("pulse", "flash", {}),
    "include": ("yes", "no", {}),
    "bdi": ("10", "30", {}),
    "arm": ("CBT", "EFT", {}),
    "therapist_age": ("40", "60", {}),
    "client_age": ("30", "50", {}),
}


def write_table(study: Path, rows: list[dict[str, str]]) -> None:
    """Write rows of text as ``dyads.tsv``."""
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    (study / "dyads.tsv").write_text("\n".join(lines) + "\n")


def read_rows(study: Path) -> list[dict[str, str]]:
    """Read ``dyads.tsv`` as text."""
    head, *rows = [line.split("\t") for line in (study / "dyads.tsv").read_text().splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dyads in one session, each with EEG and fNIRS."""
    top = tmp_path_factory.mktemp("two_modalities")
    study = simulate_study(top / "study", "none", n_dyads=2, n_sessions=1, duration_s=32)
    light = simulate_study(top / "light", "none", modality="fnirs", n_dyads=2, n_sessions=1, duration_s=100)
    shutil.copytree(light, study / "light", ignore=shutil.ignore_patterns("*.toml", "*.tsv", "*.json"))
    rows = read_rows(study)
    for row in read_rows(light):
        rows.append(row | {f"{role}_file": f"light/{row[f'{role}_file']}" for role in ROLES})
    ages = {"therapist_age": "40", "client_age": "30"}
    write_table(study, [row | ages | {"bdi": str(10 + number)} for number, row in enumerate(rows)])
    make.write_edf(study / "dyad-01/ses-01/spare.edf", 5)
    (study / "study.toml").write_text(SETTINGS.to_toml())
    return study


@pytest.fixture(scope="module")
def done(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "out"
    assert not run(study, out).skipped
    return out


@pytest.fixture
def mine(study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "study"))


def assert_as_fresh(study: Path, out: Path, fresh: Path) -> None:
    """Assert that a run in place leaves what one in a new folder leaves, and that something changed."""
    before = tree(out)
    run(study, out)
    run(study, fresh)
    assert tree(out) == tree(fresh)
    assert tree(out) != before


def test_the_enumerations_are_complete() -> None:
    assert list(OTHER) == [item.name for item in dataclasses.fields(StudyConfig)]
    assert [*COLUMNS, *FURTHER][: len(REQUIRED)] == list(REQUIRED)
    assert set(REQUIRED) | set(OPTIONAL) <= set(COLUMNS) | set(FURTHER)
    assert list(all_versions()) == ["hyperscan", "code", "python", *VERSIONED]


# ---- what is digested, without a run


def digests(rows: list[Session], config: StudyConfig = SETTINGS, versions: dict[str, str] | None = None) -> list[str]:
    """Digests of preparation and of computation of the first unit."""
    versions = all_versions() if versions is None else versions
    unit = units_of([dataclasses.replace(row, line=0) for row in rows])[0]
    made_from = UnitInputs.of(unit, config, versions)
    plan = Plan("1", Outcome("plv", "alpha", "all-all", "", "eeg", "eeg"), units={unit.name: made_from.digest})
    return [made_from.digest, Basis.of(plan, config, versions).digest_of(unit)]


def test_every_field_of_a_row_but_its_line_and_its_study_enters_the_digest(study: Path) -> None:
    rows = list(load_study(study)[0].sessions)
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


def test_a_study_may_move(study: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(study, tmp_path / "elsewhere")
    assert digests(list(load_study(moved)[0].sessions)) == digests(list(load_study(study)[0].sessions))


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_enters_the_digests(study: Path, name: str) -> None:
    rows = list(load_study(study)[0].sessions)
    assert not set(digests(rows)) & set(digests(rows, dataclasses.replace(SETTINGS, **{name: OTHER[name]})))


def test_the_last_digit_of_a_setting_enters_the_digests(study: Path) -> None:
    rows = list(load_study(study)[0].sessions)
    near = dataclasses.replace(SETTINGS, window_s=4.000000000000001)
    assert not set(digests(rows)) & set(digests(rows, near))


def test_every_version_enters_the_digests(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(load_study(study)[0].sessions)
    seen = [digests(rows)]
    for name in all_versions():
        with monkeypatch.context() as patch:
            change_version(patch, name)
            seen.append(digests(rows))
    assert len({digest for pair in seen for digest in pair}) == 2 * len(seen)


#: Packages that are imported and shape no number: drawing, progress, processes, and what writes or names files alone.
SHAPE_NOTHING = {"distributed", "edfio", "jinja2", "joblib", "matplotlib", "mne_bids", "psutil", "shtab", "tqdm"}


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


def change_version(patch: pytest.MonkeyPatch, name: str) -> None:
    """Pretend that another version of something is installed."""
    real = importlib.metadata.version
    if name == "hyperscan":
        patch.setattr(hyperscan, "__version__", "0.0.0")
    elif name == "code":
        patch.setattr("hyperscan.pipeline.unit.code_digest", lambda: "other")
    elif name == "python":
        patch.setattr(platform, "python_version", lambda: "2.7.18")
    else:
        patch.setattr(importlib.metadata, "version", lambda asked: "0.0.0" if asked == name else real(asked))


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


# ---- one at a time, in place and afresh


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER)
def test_a_changed_setting_is_taken_up(mine: Path, done: Path, tmp_path: Path, name: str) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    (mine / "study.toml").write_text(dataclasses.replace(SETTINGS, **{name: OTHER[name]}).to_toml())
    assert_as_fresh(mine, out, tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.parametrize("name", COLUMNS)
def test_a_changed_column_is_taken_up(mine: Path, done: Path, tmp_path: Path, name: str) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    edit_table(mine, *COLUMNS[name])
    assert_as_fresh(mine, out, tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.parametrize("name", FURTHER)
def test_a_changed_further_column_is_taken_up(mine: Path, tmp_path: Path, name: str) -> None:
    value, other, beside = FURTHER[name]
    rows = read_rows(mine)
    if name == "date":
        rows = [{column: text for column, text in row.items() if column != "days"} for row in rows]
    filled = [row | beside | {name: value} for row in rows]
    write_table(mine, filled)
    # a date is compared with another session of the dyad, which there is not: days stay 0
    run(mine, tmp_path / "out")
    before = tree(tmp_path / "out")
    write_table(mine, [row | {name: other} if row["dyad"] == "D01" else row for row in filled])
    run(mine, tmp_path / "out")
    run(mine, tmp_path / "fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")
    assert (tree(tmp_path / "out") != before) == (name != "date")


@pytest.mark.slow
def test_a_new_and_a_lost_column_are_taken_up(mine: Path, done: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    rows = read_rows(mine)
    write_table(mine, [row | {"wai": "5"} for row in rows])
    assert_as_fresh(mine, out, tmp_path / "more")
    write_table(mine, [{name: text for name, text in row.items() if name != "bdi"} for row in rows])
    assert_as_fresh(mine, out, tmp_path / "less")


@pytest.mark.slow
@pytest.mark.parametrize("name", all_versions())
def test_a_changed_version_is_taken_up(
    study: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    change_version(monkeypatch, name)
    assert_as_fresh(study, out, tmp_path / "fresh")


def _renamed_fdt(path: Path) -> list[Path]:
    make.write_set(path.with_name("before.set"), 3, fdt=True)
    path.with_name("before.set").rename(path)
    return [path, path.with_name("before.fdt")]


def _brainvision(path: Path) -> list[Path]:
    make.write_brainvision(path, 3)
    return [path, path.with_suffix(".eeg"), path.with_suffix(".vmrk")]


#: Recordings of several files: name, and what writes them and lists them.
SEVERAL: dict[str, tuple[str, Callable[[Path], list[Path]]]] = {
    "EEGLAB": ("x.set", _renamed_fdt),
    "BrainVision": ("x.vhdr", _brainvision),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEVERAL)
def test_a_changed_companion_is_taken_up(mine: Path, tmp_path: Path, name: str) -> None:
    file, write = SEVERAL[name]
    written = write(mine / "dyad-01/ses-01" / file)
    edit_table(mine, "dyad-01/ses-01/therapist.edf", f"dyad-01/ses-01/{file}")
    run(mine, tmp_path / "out")
    for number, changed in enumerate(written):
        content = bytearray(changed.read_bytes())
        content[-9] ^= 1
        changed.write_bytes(content)
        assert_as_fresh(mine, tmp_path / "out", tmp_path / f"fresh{number}")


def test_what_a_reader_opens_undeclared_is_never_taken_over(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader to come may open what nobody thought of: an EEGLAB header may even name a file of another folder."""
    folder = mine / "dyad-01/ses-01"
    make.write_set(folder / "before.set", 3, fdt=True)
    (folder / "before.set").rename(folder / "x.set")
    edit_table(mine, "dyad-01/ses-01/therapist.edf", "dyad-01/ses-01/x.set")
    monkeypatch.setattr("hyperscan.pipeline.unit.files_of", lambda path: [path])
    monkeypatch.setattr("hyperscan.pipeline.prepare.files_of", lambda path: [path])
    run(mine, tmp_path / "out")
    content = bytearray((folder / "before.fdt").read_bytes())
    content[2000] ^= 1
    (folder / "before.fdt").write_bytes(content)
    assert_as_fresh(mine, tmp_path / "out", tmp_path / "fresh")
    before = tree(tmp_path / "out")
    run(mine, tmp_path / "out")
    assert tree(tmp_path / "out") == before
