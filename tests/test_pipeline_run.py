"""Runs: the same bytes whatever the way, after crashes and full disks too; nothing outside the output."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from hyperscan import cli
from hyperscan.errors import (
    ConfigError,
    DataQualityWarning,
    InputError,
    NothingToAnalyseError,
    OutputLockedError,
    OutputWriteError,
)
from hyperscan.pipeline import load_study, lock, prepare_study, report_of, run_study
from hyperscan.report import pages_of
from hyperscan.results import StudyResult
from hyperscan.schema import INDICES
from hyperscan.storage import load_table
from pipeline_fixtures import (
    SERVER,
    alive,
    command,
    left_overs,
    run,
    tree,
    wait_for_units,
)
from report_fixtures import Fake, write_fake


@pytest.mark.slow
def test_workers_and_order_leave_the_same_bytes(tiny: Path, my_study: Path, tiny_run: Path, tmp_path: Path) -> None:
    rows = (my_study / "dyads.tsv").read_text().splitlines()
    (my_study / "dyads.tsv").write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n")
    run(my_study, tmp_path / "two", n_jobs=2, report=True)
    run(tiny, tmp_path / "one", report=True)
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    assert "report.html" in tree(tmp_path / "one")
    assert {"run.json", "growth.json", "synchrony.tsv", "dyad-D01/ses-01/eeg_synchrony.nc"} <= set(tree(tiny_run))


def test_run_json_holds_the_hash_of_everything(tiny: Path, tiny_run: Path) -> None:
    record = json.loads((tiny_run / "run.json").read_text())
    files = tree(tiny_run)
    assert record["outputs"] == {name: value for name, value in files.items() if name != "run.json"}
    assert len(record["inputs"]) == 8
    assert all(len(value) == 64 for value in record["inputs"].values())


def test_files_of_a_user_are_no_outputs(tiny: Path, my_run: Path) -> None:
    theirs = ["notes.tsv", "dyad-D01/notes.html", "dyad-D01/ses-01/notes.json", "dyad-figures/ses-01/plot.png"]
    for name in theirs:
        (my_run / name).parent.mkdir(parents=True, exist_ok=True)
        (my_run / name).write_text("mine")
    run(tiny, my_run, seed=5)
    record = (my_run / "run.json").read_text()
    assert set(json.loads(record)["outputs"]) == set(tree(my_run)) - {*theirs, "run.json"}
    (my_run / theirs[2]).write_text("changed")
    (my_run / theirs[0]).unlink()
    with failing("fsync", at=0), failing("replace", at=0):
        run(tiny, my_run, seed=5)
    assert (my_run / "run.json").read_text() == record


def test_prepared_parts_give_the_same_run(tiny: Path, tiny_run: Path, tmp_path: Path) -> None:
    table, config = load_study(tiny)
    for dyad in ("D02", "D01"):
        only = [row.key for row in table.sessions if row.dyad == dyad]
        assert prepare_study(table.sessions, config, out=tmp_path / "out", only=only) == []
    assert not (tmp_path / "out" / "run.json").exists()
    run(tiny, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tiny_run)
    with pytest.raises(NothingToAnalyseError, match="Check the labels"):
        prepare_study(table.sessions, config, out=tmp_path / "out", only=[])


def test_inputs_stay_as_they_are(my_study: Path, tmp_path: Path) -> None:
    def state() -> dict[str, tuple[int, int, str]]:
        stats = {path: path.stat() for path in my_study.rglob("*")}
        return {str(p): (s.st_mtime_ns, s.st_mode, tree(my_study).get(p.name, "")) for p, s in stats.items()}

    for path in sorted(my_study.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before, content = state(), tree(my_study)
    run(my_study, tmp_path / "out")
    assert state() == before
    assert tree(my_study) == content
    for path in my_study.rglob("*"):
        path.chmod(0o755)


def test_preparing_into_a_running_folder_is_refused(tiny: Path, my_run: Path) -> None:
    body = {"host": os.uname().nodename, "pid": os.getpid(), "start": "now"}
    (my_run / ".hyperscan.lock").write_text(json.dumps(body))
    table, config = load_study(tiny)
    with pytest.raises(OutputLockedError):
        prepare_study(table.sessions, config, out=my_run, only=[table.sessions[0].key])


def test_nothing_is_kept_without_an_output(tiny: Path, tiny_run: Path) -> None:
    table, config = load_study(tiny)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        result = run_study(table.sessions, config)
    assert len(result.table) == len((tiny_run / "synchrony.tsv").read_text().splitlines()) - 1


def assert_whole(my_run: Path, tiny_run: Path) -> None:
    """Assert that whatever stands under a final name is what an undisturbed run writes there."""
    names = [name for name in tree(my_run) if not name.startswith("work/") and "/." not in f"/{name}"]
    wanted = tree(tiny_run)
    assert {name: tree(my_run)[name] for name in names} == {name: wanted[name] for name in names}


def test_killed_at_any_moment_it_goes_on(tiny: Path, tiny_run: Path, tmp_path: Path) -> None:
    out, random_s = tmp_path / "out", random.Random(1)
    for _ in range(5):  # scripts/faults.sh does many more
        process = SERVER.Process(target=run, args=(tiny, out, 1))
        process.start()
        try:
            while process.is_alive() and not out.exists():
                time.sleep(0.01)
            process.join(random_s.uniform(0.0, 2.0))
        finally:
            process.kill()
            process.join(60)
        assert_whole(out, tiny_run)
    run(tiny, out)
    assert tree(out) == tree(tiny_run)
    assert left_overs(out) == []


class failing:
    """Let one call of ``os.fsync`` or ``Path.replace``, and every later one, find the disk full."""

    def __init__(self, name: str, at: int, number: int = errno.ENOSPC) -> None:
        self.name, self.at, self.number, self.calls = name, at, number, 0
        self.owner: Any = os if name == "fsync" else Path

    def __enter__(self) -> Callable[[], int]:
        real = getattr(self.owner, self.name)

        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls > self.at:
                raise OSError(self.number, os.strerror(self.number))
            return real(*arguments)

        self.patch = mock.patch.object(self.owner, self.name, call)
        self.patch.start()
        return lambda: self.calls

    def __exit__(self, *_: object) -> None:
        self.patch.stop()


@pytest.fixture(scope="module")
def write_points(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Count how often a run passes each point where a disk can fail."""
    counts = {}
    for name in ("fsync", "replace"):
        with failing(name, at=10**9) as count:
            run(tiny, tmp_path_factory.mktemp("count") / "out")
        counts[name] = count()
    return counts


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_at_any_write(
    tiny: Path, tiny_run: Path, tmp_path: Path, write_points: dict[str, int], name: str, share: float
) -> None:
    out = tmp_path / "out"
    with failing(name, at=int(share * write_points[name])), pytest.raises(OutputWriteError, match="disk is full"):
        run(tiny, out)
    assert_whole(out, tiny_run)
    assert not (out / "run.json").exists()
    run(tiny, out)
    assert tree(out) == tree(tiny_run)


def results(out: Path) -> dict[str, str]:
    """Hash what is not there for a while only."""
    return {name: made for name, made in tree(out).items() if not name.startswith("work/")}


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93])
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_an_interrupted_rerun_leaves_the_old_results_or_says_that_it_is_not_finished(
    tiny: Path, my_run: Path, tmp_path: Path, write_points: dict[str, int], name: str, share: float
) -> None:
    before = results(my_run)
    with failing(name, at=int(share * write_points[name])), pytest.raises(OutputWriteError):
        run(tiny, my_run, n_null=25)
    if (my_run / "run.json").exists():
        assert results(my_run) == before
        assert StudyResult.load(my_run).table.shape
    else:
        with pytest.raises(InputError, match="interrupted or goes on"):
            StudyResult.load(my_run)
        for word in ("growth", "report"):
            assert cli.main([word, str(my_run), "-q"]) == 2
    run(tiny, my_run, n_null=25)
    run(tiny, tmp_path / "fresh", n_null=25)
    assert tree(my_run) == tree(tmp_path / "fresh")


@pytest.mark.parametrize("stage", ["stages.prepare_unit", "stages.compute_batch", "stages.compute_unit"])
def test_until_new_results_are_computed_the_old_ones_stay(
    tiny: Path, my_run: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    before = results(my_run)
    monkeypatch.setattr(f"hyperscan.pipeline.{stage}", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, my_run, seed=5)
    assert results(my_run) == before
    assert StudyResult.load(my_run).path is not None


@pytest.mark.parametrize("stage", ["write_tables", "growth_of", "build_report", "write_json"])
def test_while_new_results_are_moved_in_readers_refuse(
    tiny: Path, my_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: str
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"hyperscan.pipeline.run.{stage}", stop)
        # the report is replaced as others are, or left out
        with pytest.raises(KeyboardInterrupt):
            run(tiny, my_run, seed=5, report=stage == "build_report")
    for word in ("growth", "report"):
        assert cli.main([word, str(my_run)]) == 2
        said = capsys.readouterr()
        assert "run.json missing" in said.err
        assert said.out == ""
    run(tiny, my_run, seed=5)
    assert StudyResult.load(my_run).path is not None


def test_a_rerun_with_nothing_to_do_writes_nothing(tiny: Path, my_run: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = [path for path in my_run.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    before, began = state(), time.monotonic()
    with failing("fsync", at=0), failing("replace", at=0):
        run(tiny, my_run)
    assert time.monotonic() - began < 2
    assert state() == before


def test_a_rerun_with_nothing_to_do_can_be_interrupted(
    tiny: Path, my_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    before = tree(my_run)
    for stage in ("make_plan", "_facts", "_is_recorded"):
        with monkeypatch.context() as patch:
            patch.setattr(f"hyperscan.pipeline.run.{stage}", stop)
            with pytest.raises(KeyboardInterrupt):
                run(tiny, my_run)
        assert tree(my_run) == before


@pytest.mark.parametrize("name", ["config.toml", "plan.json", "synchrony.tsv", "growth.json", "run.json", "README"])
def test_what_is_lost_or_changed_is_written_again(tiny: Path, tiny_run: Path, my_run: Path, name: str) -> None:
    (my_run / name).write_bytes((my_run / name).read_bytes() + b" ")
    run(tiny, my_run)
    assert tree(my_run) == tree(tiny_run)
    (my_run / name).unlink()
    run(tiny, my_run)
    assert tree(my_run) == tree(tiny_run)


def test_readers_say_which_tables_are_not_as_the_run_wrote_them(my_run: Path) -> None:
    text = (my_run / "quality.tsv").read_text()
    (my_run / "quality.tsv").write_text(text + text.splitlines()[-1] + "\n")
    with pytest.warns(DataQualityWarning, match="quality.tsv not as the run wrote it"):
        StudyResult.load(my_run)


def test_a_disk_fault_in_a_worker_ends_the_run(tiny: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "out" / "work"
    blocked.parent.mkdir()
    (blocked.parent / lock.LOCK_NAME).write_text("{}")
    os.utime(blocked.parent / lock.LOCK_NAME, (0, 0))
    blocked.write_text("a file where the folder of prepared signals goes")
    with pytest.raises((OutputWriteError, OSError)):
        run(tiny, tmp_path / "out", n_jobs=2)


def test_ctrl_c_ends_everything(slow_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command("run", slow_study, "-o", out, "--jobs", 2, "-q"), stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for_units(out)
        started = time.monotonic()
        with pytest.raises(OutputLockedError, match=f"process {process.pid} on {socket.gethostname()}"):
            run(slow_study, out)
        assert time.monotonic() - started < 2
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    time.sleep(0.5)
    assert [pid for pid in children if alive(pid)] == []
    assert not (out / lock.LOCK_NAME).exists()
    assert not (out / "run.json").exists()


def call_main(*arguments: object) -> None:
    os._exit(cli.main([str(argument) for argument in arguments]))


def test_terminated_it_ends_with_143(slow_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = SERVER.Process(target=call_main, args=("run", slow_study, "-o", out, "-q"))
    process.start()
    try:
        wait_for_units(out)
        process.terminate()
        process.join(30)
    finally:
        process.kill()
    assert process.exitcode == 143
    assert not (out / lock.LOCK_NAME).exists()
    assert left_overs(out) == []


@pytest.mark.parametrize("within", ["asymmetry/alpha/posterior", "lagcoh/alpha/frontal-frontal"])
def test_an_index_that_the_recordings_do_not_have_ends_no_run(tiny: Path, my_run: Path, within: str) -> None:
    tables = {name: made for name, made in tree(my_run).items() if name.endswith(".tsv") and "dyad-" not in name}
    known = load_table(my_run / "within.tsv")[["index", "band", "region"]].agg("/".join, axis=1)
    assert within not in set(known)
    run(tiny, my_run, within=within)
    assert not (my_run / "persons.json").exists()
    (remark,) = [found for found in StudyResult.load(my_run).plan.findings if found.kind == "within"]
    assert "there are:" in remark.message
    assert {name: made for name, made in tree(my_run).items() if name in tables} == tables
    before = tree(my_run)
    run(tiny, my_run, within=within)  # nothing has changed
    assert tree(my_run) == before


@pytest.mark.parametrize(
    "within", [*(name for name, facts in INDICES.items() if facts.modality != "eeg"), "wtc/alpha/all", "power/slow/all"]
)
def test_an_index_of_another_modality_is_refused_before_work(tiny: Path, tmp_path: Path, within: str) -> None:
    with pytest.raises(ConfigError, match=r"of eeg, which the primary outcome is of; known: "):
        run(tiny, tmp_path / "out", within=within, bands={"alpha": (8, 12), "slow": (0.02, 0.1)})
    assert not (tmp_path / "out").exists()


def test_pages_that_workers_draw_are_those_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    for n_jobs in (1, 2):
        out = write_fake(tmp_path / str(n_jobs), Fake(n_dyads=3, n_sessions=3))
        monkeypatch.setattr("hyperscan.pipeline.run.PAGES_EACH", 1)
        report_of(out, n_jobs=n_jobs)
        pages.append({page.relative_to(out): page.read_bytes() for page in [*pages_of(out), out / "report.html"]})
    assert pages[0] == pages[1]
    assert len(pages[0]) > 3
