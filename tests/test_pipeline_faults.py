"""Crashes at any moment, full disks, dying workers, two runs at once."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from hyperscan import cli
from hyperscan.errors import InputError, OutputLockedError, OutputWriteError
from hyperscan.pipeline import lock
from hyperscan.pipeline.workers import Place, Task, run_tasks
from pipeline_fixtures import run, tiny_study, tree
from worker_tasks import die, raise_key_error, touch

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["hyperscan.pipeline", "hyperscan.growth", "pipeline_fixtures"])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_study(tmp_path_factory.mktemp("tiny") / "study")


@pytest.fixture(scope="module")
def done(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "out"
    run(study, out)
    return out


def left_overs(out: Path) -> list[str]:
    return [path.name for path in out.rglob(".*") if path.name not in (lock.LOCK_NAME, ".bidsignore")]


def assert_whole(out: Path, done: Path) -> None:
    """Assert that whatever stands under a final name is what an undisturbed run writes there."""
    names = [name for name in tree(out) if not name.startswith("work/") and "/." not in f"/{name}"]
    wanted = tree(done)
    assert {name: tree(out)[name] for name in names} == {name: wanted[name] for name in names}


def test_killed_at_any_moment_it_goes_on(study: Path, done: Path, tmp_path: Path) -> None:
    out, random_s = tmp_path / "out", random.Random(1)
    for _ in range(5):  # scripts/faults.sh does many more
        process = SERVER.Process(target=run, args=(study, out, 1))
        process.start()
        while process.is_alive() and not out.exists():
            time.sleep(0.01)
        process.join(random_s.uniform(0.0, 2.0))
        process.kill()
        process.join()
        assert_whole(out, done)
    run(study, out)
    assert tree(out) == tree(done)
    assert left_overs(out) == []


@pytest.fixture(scope="module")
def write_points(study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Count how often a run passes each point where a disk can fail."""
    counts = {}
    for name in ("fsync", "replace"):
        with failing(name, at=10**9) as count:
            run(study, tmp_path_factory.mktemp("count") / "out")
        counts[name] = count()
    return counts


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


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_at_any_write(
    study: Path, done: Path, tmp_path: Path, write_points: dict[str, int], name: str, share: float
) -> None:
    out = tmp_path / "out"
    with failing(name, at=int(share * write_points[name])), pytest.raises(OutputWriteError, match="disk is full"):
        run(study, out)
    assert_whole(out, done)
    assert not (out / "run.json").exists()
    run(study, out)
    assert tree(out) == tree(done)


def test_a_disk_fault_in_a_worker_ends_the_run(study: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "out" / "work"
    blocked.parent.mkdir()
    (blocked.parent / lock.LOCK_NAME).write_text("{}")
    os.utime(blocked.parent / lock.LOCK_NAME, (0, 0))
    blocked.write_text("a file where the folder of prepared signals goes")
    with pytest.raises((OutputWriteError, OSError)):
        run(study, tmp_path / "out", n_jobs=2)


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


@pytest.mark.parametrize("stage", ["prepare_unit", "compute_unit"])
def test_a_unit_that_kills_its_worker_is_left_out(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def lose(tasks: list[Task], place: Place, label: str, **_: Any) -> list[str]:
        kept = [task for task in tasks if task.work.func.__name__ != stage or task.name != "dyad-D02/ses-01"]
        run_tasks(kept, place, label, progress=False)
        return [task.name for task in tasks if task not in kept]

    monkeypatch.setattr("hyperscan.pipeline.stages.run_tasks", lose)
    result = run(study, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D02", 1)]
    assert "memory" in result.skipped[0].reason
    assert not (tmp_path / "out/dyad-D02/ses-01").exists()
    assert set(result.table["dyad"]) == {"D01", "D02"}


def body(**changes: Any) -> str:
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "start": "2026-01-01T00:00:00+00:00"}
    return json.dumps(mine | changes)


def test_a_live_lock_is_respected(tmp_path: Path) -> None:
    with (
        lock.output_lock(tmp_path),
        pytest.raises(OutputLockedError, match=rf"process {os.getpid()} on .*started 20") as caught,
        lock.output_lock(tmp_path),
    ):
        pass
    assert caught.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "age_s", "free"),
    [
        (body(pid=2**22 + 1), 0, True),  # no such process
        (body(born="1"), 0, True),  # the number belongs to another process now
        (body(host="elsewhere", pid=2**22 + 1), 10_000, False),  # nobody can tell from here
        (body(pid="x"), 0, False),
        ("", 0, False),
        ("", 60, True),
        ("garbage \0", 60, True),
        ("[1]", 60, True),
    ],
    ids=["dead", "reborn", "elsewhere", "no number", "being written", "empty", "garbage", "list"],
)
def test_stale_locks(tmp_path: Path, text: str, age_s: float, free: bool) -> None:
    path = tmp_path / lock.LOCK_NAME
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)
    if not free:
        with pytest.raises(OutputLockedError), lock.output_lock(tmp_path):
            pass
        assert path.read_text() == text
        return
    with lock.output_lock(tmp_path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def hold(folder: Path, won: Any, go_on: Any) -> None:
    try:
        with lock.output_lock(folder):
            won.put(os.getpid())
            go_on.wait(180)
    except OutputLockedError:
        won.put(0)


@pytest.mark.parametrize("stale", [False, True])
def test_of_eight_at_once_one_wins(tmp_path: Path, stale: bool) -> None:
    for _ in range(3):
        if stale:
            (tmp_path / lock.LOCK_NAME).write_text(body(pid=2**22 + 1))
        won, go_on = SERVER.Queue(), SERVER.Event()
        processes = [SERVER.Process(target=hold, args=(tmp_path, won, go_on)) for _ in range(8)]
        for process in processes:
            process.start()
        pids = [won.get(timeout=180) for _ in processes]
        go_on.set()
        for process in processes:
            process.join()
        assert sum(pid > 0 for pid in pids) == 1
        assert list(tmp_path.iterdir()) == []


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "import sys; from hyperscan.cli import main; sys.exit(main())", *map(str, arguments)]


@pytest.fixture
def slow_study(study: Path, tmp_path: Path) -> Path:
    """Return a study that takes long enough to be interrupted."""
    slow = Path(shutil.copytree(study, tmp_path / "slow"))
    settings = slow / "study.toml"
    settings.write_text(settings.read_text().replace("n_null = 20", "n_null = 20000"))
    return slow


def wait_for_units(out: Path) -> None:
    until = time.monotonic() + 60
    while not list(out.glob("work/dyad-*/ses-*/unit.json")) and time.monotonic() < until:
        time.sleep(0.05)


def test_ctrl_c_ends_everything(slow_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command("run", slow_study, "-o", out, "--jobs", 2, "-q"), stderr=subprocess.PIPE, text=True
    )
    wait_for_units(out)
    started = time.monotonic()
    with pytest.raises(OutputLockedError, match=f"process {process.pid} on {socket.gethostname()}"):
        run(slow_study, out)
    assert time.monotonic() - started < 2
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
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
    wait_for_units(out)
    process.terminate()
    process.join(30)
    assert process.exitcode == 143
    assert not (out / lock.LOCK_NAME).exists()
    assert left_overs(out) == []


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_workers_end_with_their_parent(slow_study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command("run", slow_study, "-o", out, "--jobs", 2, "-q"), stderr=subprocess.DEVNULL)
    wait_for_units(out)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.kill()
    process.wait()
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
    study: Path, done: Path, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    out = tmp_path / "out"

    def kill() -> None:
        wait_for_units(out)
        workers[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    run(study, out, cluster=address)
    killer.join()
    assert workers[0].wait() == -signal.SIGKILL
    assert tree(out) == tree(done)


def test_a_task_that_kills_two_workers_of_a_cluster_is_left_out(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    tasks = [Task("always", partial(die, tmp_path / "always", times=99)), Task("t", partial(touch, tmp_path / "t"))]
    assert run_tasks(tasks, Place(cluster=address), "test", progress=False) == ["always"]
    assert (tmp_path / "always").read_text() == "2"
    assert (tmp_path / "t").exists()
    assert len([worker for worker in workers if worker.poll() is None]) == 1
