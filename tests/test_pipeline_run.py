"""Runs: the same bytes whatever the way, nothing stale, nothing outside the output."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import hyperscan
from hyperscan.errors import DataQualityWarning, NothingToAnalyseError, OutputError, OutputLockedError
from hyperscan.pipeline import chance as chance_units
from hyperscan.pipeline import check_study, load_study, prepare_study, resources, run_study, stages
from hyperscan.pipeline import prepare as prepare_module
from hyperscan.pipeline.chance import compute_batch
from hyperscan.pipeline.output import describe_output
from hyperscan.pipeline.summary import Summary
from hyperscan.pipeline.unit import read_manifest, units_of
from hyperscan.storage import load_table
from hyperscan.synchrony import pair
from pipeline_fixtures import edit_table, run, tiny_study, tree


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_study(tmp_path_factory.mktemp("tiny") / "study")


@pytest.fixture(scope="module")
def done(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "out"
    run(study, out)
    return out


@pytest.fixture
def mine(study: Path, tmp_path: Path) -> Path:
    """Return a copy of the study that a test may damage."""
    return Path(shutil.copytree(study, tmp_path / "study"))


@pytest.fixture
def out(done: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run that a test may damage."""
    return Path(shutil.copytree(done, tmp_path / "out"))


def test_workers_and_order_leave_the_same_bytes(study: Path, mine: Path, done: Path, tmp_path: Path) -> None:
    rows = (mine / "dyads.tsv").read_text().splitlines()
    (mine / "dyads.tsv").write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n")
    run(mine, tmp_path / "two", n_jobs=2, report=True)
    run(study, tmp_path / "one", report=True)
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    assert "report.html" in tree(tmp_path / "one")
    assert {"run.json", "growth.json", "synchrony.tsv", "dyad-D01/ses-01/eeg_synchrony.nc"} <= set(tree(done))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_study(tmp_path_factory.mktemp("four") / "study", n_dyads=4, n_sessions=1)


def test_pairs_do_not_depend_on_their_batches(four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(four, tmp_path / "one")
    seen = []
    monkeypatch.setattr(
        stages, "compute_batch", lambda batch, **rest: (seen.append(batch), compute_batch(batch, **rest))
    )
    monkeypatch.setattr(chance_units, "MAX_SIDE", 2)
    run(four, tmp_path / "many")
    assert [len(batch.pairs) for batch in seen] == [2, 4, 4, 2]
    assert tree(tmp_path / "many") == tree(tmp_path / "one")


def test_a_person_is_filtered_once_for_all_partners(
    four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, filtered = pair.person_windows, []
    monkeypatch.setattr(
        pair, "person_windows", lambda person, *rest: (filtered.append(person.person), real(person, *rest))[1]
    )
    run(four, tmp_path / "out")
    # and once for the partner of its own
    assert sorted(filtered) == sorted(2 * [f"{role}{n}" for role in "TC" for n in ("01", "02", "03", "04")])
    pseudo = load_table(tmp_path / "out/pseudo.tsv")
    assert len(pseudo) == 4 * 6 * len(pseudo[["roi_therapist", "roi_client"]].drop_duplicates())


def test_each_side_of_a_batch_fits_into_memory() -> None:
    assert chance_units.sides_for(10**6) == (chance_units.MAX_SIDE, chance_units.MAX_SIDE)
    people = sum(chance_units.sides_for(4 * 128 * 675_000))  # 128 channels, 45 min at 250 Hz
    assert people == 3
    assert (people * 16 + 8) * 128 * 675_000 < 5.5e9
    assert chance_units.sides_for(10**10) == (1, 1)


def test_a_failed_batch_costs_its_dyads_and_is_tried_again(
    four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chance_units, "MAX_SIDE", 2)
    real = chance_units.chance_values

    def fail(therapists, *rest):
        if set(therapists) == {"D03", "D04"}:
            raise KeyError("a fault of ours")
        return real(therapists, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(chance_units, "chance_values", fail)
        with pytest.raises(NothingToAnalyseError, match="has no rows"):
            run(four, tmp_path / "out")
    monkeypatch.setattr(chance_units, "chance_values", real)
    result = run(four, tmp_path / "out")
    assert not result.skipped
    assert set(result.table["n_pseudo"]) == {6}


def test_a_finished_run_is_not_computed_again(study: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("hyperscan.pipeline.stages.prepare_unit", refuse)
    monkeypatch.setattr("hyperscan.pipeline.stages.compute_unit", refuse)
    before = tree(out)
    run(study, out)
    assert tree(out) == before


def test_run_json_holds_the_hash_of_everything(study: Path, done: Path) -> None:
    record = json.loads((done / "run.json").read_text())
    files = tree(done)
    assert record["outputs"] == {name: value for name, value in files.items() if name != "run.json"}
    assert len(record["inputs"]) == 8
    assert all(len(value) == 64 for value in record["inputs"].values())


def test_a_changed_byte_of_an_input_is_found(mine: Path, out: Path, tmp_path: Path) -> None:
    path = next(mine.glob("dyad-01/ses-01/*therapist*.edf"))
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    before = tree(out)
    run(mine, out)
    assert tree(out)["run.json"] != before["run.json"]
    run(mine, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


def test_results_of_two_configurations_never_mix(mine: Path, out: Path, tmp_path: Path) -> None:
    settings = mine / "study.toml"
    settings.write_text(settings.read_text().replace("n_null = 20", "n_null = 21"))
    run(mine, out)
    run(mine, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


def test_what_left_the_table_leaves_the_output(mine: Path, out: Path, tmp_path: Path) -> None:
    rows = (mine / "dyads.tsv").read_text().splitlines()
    (mine / "dyads.tsv").write_text("\n".join(row for row in rows if "D02" not in row) + "\n")
    run(mine, out)
    run(mine, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")
    assert not (out / "dyad-D02").exists()


@pytest.mark.parametrize("name", ["synchrony.tsv", "unit.json", "eeg_synchrony.nc"])
def test_a_damaged_unit_is_made_again(study: Path, done: Path, out: Path, name: str) -> None:
    path = out / "dyad-D01/ses-01" / name
    path.write_bytes(path.read_bytes()[:-20])
    run(study, out)
    assert tree(out) == tree(done)


def test_a_version_makes_everything_new(study: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.loads((out / "dyad-D01/ses-01/unit.json").read_text())["digest"]
    monkeypatch.setattr("hyperscan.__version__", "0.1.0.test")
    run(study, out)
    assert json.loads((out / "dyad-D01/ses-01/unit.json").read_text())["digest"] != before


def test_prepared_parts_give_the_same_run(study: Path, done: Path, tmp_path: Path) -> None:
    table, config = load_study(study)
    for dyad in ("D02", "D01"):
        only = [row.key for row in table.sessions if row.dyad == dyad]
        assert prepare_study(table.sessions, config, out=tmp_path / "out", only=only) == []
    assert not (tmp_path / "out" / "run.json").exists()
    run(study, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(done)
    with pytest.raises(NothingToAnalyseError, match="Check the labels"):
        prepare_study(table.sessions, config, out=tmp_path / "out", only=[])


@pytest.mark.parametrize("where", [".", "..", "results", "dyad-01", "derivatives/../new"])
def test_output_in_or_around_the_study_is_refused(mine: Path, where: str) -> None:
    with pytest.raises(OutputError, match="would lie in the study"):
        run(mine, mine / where)


def test_output_under_derivatives_is_fine_and_links_are_followed(mine: Path, done: Path, tmp_path: Path) -> None:
    run(mine, mine / "derivatives" / "hyperscan")
    assert tree(mine / "derivatives" / "hyperscan") == tree(done)
    (tmp_path / "link").symlink_to(mine)
    with pytest.raises(OutputError, match="would lie in the study"):
        run(mine, tmp_path / "link" / "x")


def test_a_folder_of_others_is_refused(study: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match="no folder of a run"):
        run(study, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(OutputError, match="is a file"):
        run(study, tmp_path / "holiday.jpg")
    (tmp_path / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(OutputError, match="no folder of a run"):
        run(study, tmp_path)


def test_inputs_stay_as_they_are(mine: Path, tmp_path: Path) -> None:
    def state() -> dict[str, tuple[int, int, str]]:
        stats = {path: path.stat() for path in mine.rglob("*")}
        return {str(p): (s.st_mtime_ns, s.st_mode, tree(mine).get(p.name, "")) for p, s in stats.items()}

    for path in sorted(mine.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before, content = state(), tree(mine)
    run(mine, tmp_path / "out")
    assert state() == before
    assert tree(mine) == content
    for path in mine.rglob("*"):
        path.chmod(0o755)


def test_an_input_that_changes_while_it_is_read_is_left_out(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = prepare_module.load_session

    def load_and_change(row: Any) -> Any:
        pair = load(row)
        if row.dyad == "D01" and row.session == 1:
            with row.therapist_file.open("ab") as stream:
                stream.write(b"\0")
        return pair

    monkeypatch.setattr(prepare_module, "load_session", load_and_change)
    result = run(mine, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D01", 1)]
    assert "changed while it was read" in result.skipped[0].reason
    assert not (tmp_path / "out/dyad-D01/ses-01").exists()


def test_an_unreadable_input_is_left_out(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = prepare_module.load_session

    def forbid(row: Any) -> Any:
        if row.dyad == "D02":
            raise PermissionError(13, "Permission denied", str(row.therapist_file))
        return load(row)

    monkeypatch.setattr(prepare_module, "load_session", forbid)
    result = run(mine, tmp_path / "out")
    assert {entry.dyad for entry in result.skipped} == {"D02"}
    assert "Permission denied" in result.skipped[0].reason
    monkeypatch.undo()  # a failure of the machine is not remembered
    assert run(mine, tmp_path / "out").skipped == []


@pytest.mark.parametrize(("error", "words"), [(MemoryError(), "memory"), (KeyError("Jane Doe"), "internal error")])
def test_a_fault_in_one_session_costs_only_that_one(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    align = prepare_module.align_pair

    def fail(pair: Any) -> Any:
        if pair.session.key[:2] == ("D02", 2):
            raise error
        return align(pair)

    monkeypatch.setattr(prepare_module, "align_pair", fail)
    result = run(mine, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D02", 2)]
    assert words in result.skipped[0].reason
    everything = "".join(path.read_text("utf-8", "replace") for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert "Jane Doe" not in everything
    if words == "internal error":
        log = next((tmp_path / "out/logs").iterdir()).read_text()
        assert "at prepare.py" in log


def test_one_recording_under_two_names_is_left_out(mine: Path, tmp_path: Path) -> None:
    first, second = (next(mine.glob(f"dyad-0{i}/ses-01/*therapist*.edf")) for i in (1, 2))
    shutil.copy(first, second)
    result = run(mine, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D01", 1), ("D02", 1)]
    assert "one recording is there under two names" in result.skipped[0].reason
    assert "edf" not in result.skipped[0].reason
    report = check_study(mine)
    assert (report.usable, report.skipped) == (2, 2)
    assert {finding.kind for finding in result.plan.findings} >= {"few_dyads", "two_sessions"}


def test_no_usable_row_is_nothing_to_analyse(mine: Path, tmp_path: Path) -> None:
    edit_table(mine, "eeg", "meg")
    table, config = load_study(mine)
    with pytest.raises(NothingToAnalyseError, match="Not one of 4"):
        run_study(table.sessions, config, out=tmp_path / "out", rejected=table.rejected)
    assert not (tmp_path / "out").exists()


def test_preparing_into_a_running_folder_is_refused(study: Path, out: Path) -> None:
    body = {"host": os.uname().nodename, "pid": os.getpid(), "start": "now"}
    (out / ".hyperscan.lock").write_text(json.dumps(body))
    table, config = load_study(study)
    with pytest.raises(OutputLockedError):
        prepare_study(table.sessions, config, out=out, only=[table.sessions[0].key])


def test_nothing_is_kept_without_an_output(study: Path, done: Path) -> None:
    table, config = load_study(study)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        result = run_study(table.sessions, config)
    assert len(result.table) == len((done / "synchrony.tsv").read_text().splitlines()) - 1


def test_the_seed_changes_the_record(study: Path, out: Path) -> None:
    before = tree(out)
    run(study, out, seed=7)
    assert tree(out)["dyad-D01/ses-01/unit.json"] != before["dyad-D01/ses-01/unit.json"]


def test_estimates_are_near_what_a_run_takes(four: Path, tmp_path: Path) -> None:
    """Disk and memory within a factor of 2; time, which depends on the machine and its other work, of 4."""
    table, config = load_study(four)
    units = units_of(table.sessions)
    prepare_study(table.sessions, config, out=tmp_path / "out", only=[row.key for row in table.sessions])
    disk = sum(path.stat().st_size for path in (tmp_path / "out/work").rglob("*.npz"))
    assert 0.5 < resources.work_bytes(units) / disk < 2
    rows = [read_manifest(tmp_path / "out/work" / unit.name, Summary).rows[0] for unit in units]
    run(four, tmp_path / "compiled")
    began = time.process_time()
    run(four, tmp_path / "out")
    took = time.process_time() - began
    assert 0.25 < sum(resources.session_seconds(row, config, 3) for row in rows) / took < 4
    program = "import sys; from hyperscan.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "run", str(four), "-o", str(tmp_path / "alone"), "-q"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, process.returncode, used = os.wait4(process.pid, 0)
    assert process.returncode == 0
    assert 0.5 < resources.worker_bytes(units) / (1024 * used.ru_maxrss) < 2


def test_check_says_what_a_run_needs(study: Path) -> None:
    report = check_study(study)
    text = str(report)
    assert report.usable == 4
    assert "an estimate" in text
    assert "GB of memory per worker" in text
    assert "limited by D01 ses-01 eeg" in text


def test_the_output_describes_itself_as_a_bids_derivative(tmp_path: Path) -> None:
    # what BIDS 1.10 requires of a derivative (dataset description), and that its own file is in force
    describe_output(tmp_path)
    told = json.loads((tmp_path / "dataset_description.json").read_text())
    assert told["Name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["BIDSVersion"])
    assert told["DatasetType"] == "derivative"
    assert [told["GeneratedBy"][0][key] for key in ("Name", "Version")] == ["hyperscan-mne", hyperscan.__version__]
    assert all(entry["Name"] and entry["Version"] for entry in told["GeneratedBy"])
    ignored = (tmp_path / ".bidsignore").read_text().split()
    assert {"dyad-*", "*.html", "*.tsv"} <= set(ignored)
    assert (tmp_path / "README").stat().st_size > 150  # BIDS asks for a description, not a title
