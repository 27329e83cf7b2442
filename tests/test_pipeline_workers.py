"""Dying workers, on this machine and on a cluster."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hyperscan.errors import (
    InputError,
)
from hyperscan.pipeline.workers import Place, Task, run_tasks
from pipeline_fixtures import (
    alive,
    command,
    run,
    tree,
    wait_for_units,
)
from worker_tasks import die, raise_key_error, touch


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
    assert workers[0].wait() == -signal.SIGKILL
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
