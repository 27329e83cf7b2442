"""Dying workers, on this machine and on a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from hyperscan.errors import ClusterError, InputError, OutputWriteError
from hyperscan.pipeline import workers
from hyperscan.pipeline.lock import LOCK_NAME, output_lock
from hyperscan.pipeline.workers import Conditions, Place, Task, do_checked, kept_workers, run_tasks
from hyperscan.storage import new_folder
from pipeline_fixtures import (
    alive,
    command,
    run,
    tree,
    wait_for_units,
)
from worker_tasks import die, raise_key_error, tell_process, tell_what_is_held, touch


def test_a_dead_worker_costs_one_try(tmp_path: Path) -> None:
    tasks = [Task(f"t{i}", partial(touch, tmp_path / f"t{i}")) for i in range(2)]
    tasks.insert(0, Task("once", partial(die, tmp_path / "once", times=1)))
    tasks.insert(2, Task("always", partial(die, tmp_path / "always", times=99)))
    assert run_tasks(tasks, Place(n_jobs=2), "test", progress=False) == ["always"]
    assert (tmp_path / "once").read_text() == "1"
    assert (tmp_path / "always").read_text() == "2"
    assert all((tmp_path / f"t{i}").exists() for i in range(2))


def test_an_exception_in_a_worker_is_raised(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="a fault of ours"):
        run_tasks([Task("x", raise_key_error), Task("y", partial(touch, tmp_path / "y"))], Place(n_jobs=2), "t")


@pytest.mark.parametrize("n_jobs", [0, -1])
def test_a_number_of_workers_that_is_none_is_refused(n_jobs: int) -> None:
    with pytest.raises(InputError, match=rf"n_jobs = {n_jobs}: expected a whole number from 1 on"):
        Place(n_jobs=n_jobs)


@pytest.mark.parametrize("keep", [kept_workers, contextlib.nullcontext])
def test_a_worker_whose_task_raised_ends_with_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    """It shares the lock on the folder: the next run of the same Python would wait for it, and be refused."""
    monkeypatch.setattr("hyperscan.pipeline.lock.WAIT_S", 0.0)
    (tmp_path / "told").mkdir()
    tasks = [Task("t", partial(tell_process, tmp_path / "told")), Task("x", raise_key_error)]
    with pytest.raises(KeyError) as raised, keep():
        run_tasks(tasks, Place(n_jobs=2, output=tmp_path), "test", progress=False)
    with output_lock(tmp_path):
        assert raised.value.__traceback__ is not None  # a notebook keeps it, and so all that its frames hold


def test_a_worker_holds_until_its_end_what_it_began_with(tmp_path: Path) -> None:
    """A context that was entered and then forgotten is left at once: memory went back with every array."""
    tasks = [Task(f"t{i}", partial(tell_what_is_held, tmp_path / f"t{i}")) for i in range(2)]
    assert run_tasks(tasks, Place(n_jobs=2, output=tmp_path), "test", progress=False) == []
    for task in tasks:
        asks, faults = (tmp_path / task.name).read_text().split()
        assert asks == "True"
        assert int(faults) < 100 or platform.libc_ver()[0] != "glibc"


def test_the_workers_of_one_stage_do_the_next_and_one_that_died_meanwhile_costs_nothing(tmp_path: Path) -> None:
    def stage(name: str, place: Place) -> set[int]:
        (tmp_path / name).mkdir()
        tasks = [Task(f"t{i}", partial(tell_process, tmp_path / name)) for i in range(2)]
        assert run_tasks(tasks, place, "test", progress=False) == []
        return {int(path.name) for path in (tmp_path / name).iterdir()}

    here, elsewhere = Place(n_jobs=2, output=tmp_path), Place(n_jobs=2, output=tmp_path / "other")
    elsewhere.output.mkdir()  # type: ignore[union-attr]
    with kept_workers():
        first, second = stage("first", here), stage("second", here)
        assert len(first) == 2
        assert second == first
        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        third = stage("third", here)
        assert first - third == {killed}
        assert len(third) == 2
        # a worker has joined the writers of one folder
        assert not stage("fourth", elsewhere) & third
        assert all(map(alive, third))
    assert not any(map(alive, third))
    assert not stage("fifth", here) & third  # without that every stage has its own


def test_workers_end_with_their_parent(slow_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command("run", slow_study, "-o", out, "--jobs", 2, "-q"), stderr=subprocess.DEVNULL)
    try:
        wait_for_units(out)
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    finally:
        process.kill()
        process.wait(60)
    until = time.monotonic() + 10
    while any(map(alive, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert [pid for pid in children if alive(pid)] == []


def test_a_wrong_scheduler_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("hyperscan.pipeline.workers.CONNECT_S", 1)
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        run_tasks([Task("x", partial(touch, Path("x")))], Place(cluster="tcp://127.0.0.1:9"), "t", progress=False)


@pytest.fixture
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and three workers, each a process of its own."""
    pytest.importorskip("distributed")
    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    from fault_runs import on_cluster

    with on_cluster(3) as started:
        yield started


def test_a_killed_worker_of_a_cluster_costs_nothing(
    tiny: Path, tiny_run: Path, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    out = tmp_path / "out"

    def kill() -> None:
        wait_for_units(out)
        workers[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    run(tiny, out, cluster=address)
    killer.join()
    assert workers[0].wait(60) == -signal.SIGKILL
    assert tree(out) == tree(tiny_run)


def test_a_task_that_kills_two_workers_of_a_cluster_is_left_out(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    tasks = [Task("always", partial(die, tmp_path / "always", times=99)), Task("t", partial(touch, tmp_path / "t"))]
    assert run_tasks(tasks, Place(cluster=address), "test", progress=False) == ["always"]
    assert (tmp_path / "always").read_text() == "2"
    assert (tmp_path / "t").exists()
    assert len([worker for worker in workers if worker.poll() is None]) == 1


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a scheduler without any worker, and wait until it listens."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("hyperscan.pipeline.workers.CONNECT_S", 30)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dask = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    process = subprocess.Popen(dask, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield f"tcp://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def a_worker(address: str, *paths: Path) -> subprocess.Popen[bytes]:
    """Start a worker that finds modules in further folders first."""
    path = os.pathsep.join([*map(str, paths), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    worker = [sys.executable, "-m", "dask", "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(worker, stdout=quiet, stderr=quiet, env=os.environ | {"PYTHONPATH": path})


def test_a_scheduler_without_workers_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: tuple[str, subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr("hyperscan.pipeline.workers.WORKERS_S", 1)
    place = Place(cluster=scheduler[0])
    with pytest.raises(InputError, match="no worker after 1 s"):
        run_tasks([Task("x", partial(touch, tmp_path / "x"))], place, "t", progress=False)


def test_a_secured_scheduler_without_certificates_is_said(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="needs certificates"):
        run_tasks([Task("x", partial(touch, tmp_path / "x"))], Place(cluster="tls://127.0.0.1:9"), "t", progress=False)


def test_a_worker_of_other_versions_is_refused(
    tiny: Path, tmp_path: Path, scheduler: tuple[str, subprocess.Popen[bytes]]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nreal = m.version\n"
        "m.version = lambda name: '0.0' if name == 'numpy' else real(name)\n"
    )
    worker = a_worker(scheduler[0], other)
    try:
        with pytest.raises(ClusterError, match=r"other versions than this run \(numpy 0.0 for"):
            run(tiny, tmp_path / "out", cluster=scheduler[0])
    finally:
        worker.kill()
        worker.wait()
    assert not list((tmp_path / "out").glob("work/*/*/unit.json"))


@pytest.mark.parametrize("what", ["scheduler", "worker"])
def test_a_cluster_that_ends_is_said(
    slow_study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: tuple[str, subprocess.Popen[bytes]],
    what: str,
) -> None:
    address, process = scheduler
    worker, out = a_worker(address), tmp_path / "out"

    def kill() -> None:
        wait_for_units(out)
        monkeypatch.setattr("hyperscan.pipeline.workers.WORKERS_S", 2)
        (process if what == "scheduler" else worker).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        said = "the scheduler ended" if what == "scheduler" else "all workers are gone"
        with pytest.raises(ClusterError, match=said):
            run(slow_study, out, cluster=address)
    finally:
        killer.join()
        worker.kill()
        worker.wait()


def test_a_worker_that_sees_other_folders_is_refused(tmp_path: Path) -> None:
    with output_lock(tmp_path / "out"):
        wanted = Conditions.here(tmp_path / "out", (tmp_path,))
        wanted.check()
        with pytest.raises(ClusterError, match="study's folder"):
            dataclasses.replace(wanted, folders=(tmp_path / "elsewhere",)).check()
        with pytest.raises(ClusterError, match="output folder"):
            dataclasses.replace(wanted, holder="of another run").check()
        with pytest.raises(ClusterError, match="other versions"):
            dataclasses.replace(wanted, versions=wanted.versions | {"code": "0"}).check()
    with pytest.raises(ClusterError, match="output folder"):
        wanted.check()


def test_work_that_goes_on_after_its_run_does_not_land(tmp_path: Path) -> None:
    def work() -> None:
        with new_folder(tmp_path / "out" / "unit") as folder:
            (folder / "a").write_text("1")
            (tmp_path / "out" / LOCK_NAME).write_text("of the next run")

    with output_lock(tmp_path / "out"):
        wanted = Conditions.here(tmp_path / "out", ())
        with pytest.raises(OutputWriteError, match="its run has ended"):
            do_checked(work, wanted)
    assert not (tmp_path / "out" / "unit").exists()


def test_a_stage_says_how_far_it_is_where_no_terminal_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A log is told every few seconds, also while a unit lasts; with no progress asked for, nothing."""
    monkeypatch.setattr(workers, "TELLS_S", 0.01)
    caplog.set_level("INFO", logger="hyperscan")

    def units() -> Iterator[str]:
        for unit in "ab":
            heard = len(caplog.records)
            while len(caplog.records) < heard + 2:
                time.sleep(0.01)
            yield unit

    assert list(workers.follow(units(), 2, "pairs")) == ["a", "b"]
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "pairs: 0 of 2, 0 s"
    assert told[-1].startswith("pairs: 1 of 2, ")
    with workers.under_way("report"):
        while "report: 0 s" not in caplog.text:
            time.sleep(0.01)
    caplog.clear()
    with workers.under_way("report", progress=False):
        time.sleep(0.05)
    assert list(workers.follow(iter("abc"), 3, "pairs", progress=False)) == ["a", "b", "c"]
    assert not caplog.records
