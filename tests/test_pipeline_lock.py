"""One run per folder: live locks are respected, dead ones taken over, and of several at once one wins."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hyperscan import cli
from hyperscan.errors import (
    OutputLockedError,
)
from hyperscan.pipeline import lock
from hyperscan.storage import sweep
from pipeline_fixtures import SERVER, alive


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


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that another process holds."""
    won, go_on = SERVER.Queue(), SERVER.Event()
    process = SERVER.Process(target=hold, args=(tmp_path, won, go_on))
    process.start()
    assert won.get(timeout=180) > 0
    yield tmp_path
    go_on.set()
    process.join(60)
    process.kill()


@pytest.mark.parametrize("changes", [{"pid": 2**22 + 1}, {"pid_space": "pid:[1]"}, {"host": "a-container", "pid": 1}])
def test_a_live_lock_of_a_container_is_respected(holder: Path, changes: dict[str, Any]) -> None:
    path = holder / lock.LOCK_NAME
    there = json.loads(path.read_text())
    # what a process in a container says of itself means something else outside of it
    path.write_text(json.dumps(there | changes))
    with pytest.raises(OutputLockedError), lock.output_lock(holder):
        pass
    with pytest.raises(OutputLockedError):
        lock.check_unlocked(holder)
    path.write_text(json.dumps(there))


@pytest.mark.parametrize(
    ("changes", "kernel_locks", "free"),
    [
        ({}, True, True),  # killed: the kernel has dropped its lock
        ({"host": "a-container", "pid": 1}, True, True),
        ({"boot": "earlier"}, True, True),  # this machine was started again
        ({"boot": "earlier", "host": "elsewhere"}, True, False),
        ({}, False, False),  # without locks of the kernel the process counts, and it lives
        ({"pid": 2**22 + 1}, False, True),
        ({"pid": 2**22 + 1, "pid_space": "pid:[1]"}, False, False),
        ({"boot": "earlier"}, False, False),
    ],
)
def test_who_holds_a_lock_is_known_or_it_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], kernel_locks: bool, free: bool
) -> None:
    if not kernel_locks:
        monkeypatch.setattr(lock, "_hold", lambda *_, **__: None)
    (tmp_path / lock.LOCK_NAME).write_text(json.dumps(asdict(lock.Holder.here()) | changes))
    with contextlib.nullcontext() if free else pytest.raises(OutputLockedError), lock.output_lock(tmp_path):
        assert json.loads((tmp_path / lock.LOCK_NAME).read_text())["pid"] == os.getpid()


def test_a_container_with_its_own_process_ids(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom hyperscan.pipeline.lock import output_lock\n"
        f"with output_lock(Path({str(tmp_path)!r})): print('held', flush=True); input()"
    )
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    first = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, text=True)
    assert first.stdin is not None
    assert first.stdout is not None
    try:
        if first.stdout.readline() != "held\n":
            pytest.skip("no name spaces here")
        assert json.loads((tmp_path / lock.LOCK_NAME).read_text())["pid"] == 1
        second = subprocess.run(command, input="\n", capture_output=True, text=True, check=False, timeout=120)
        assert "another run is writing there" in second.stderr
        with pytest.raises(OutputLockedError), lock.output_lock(tmp_path):
            pass
        first.communicate("\n", timeout=120)
    finally:
        first.kill()
        first.wait(60)
    with lock.output_lock(tmp_path):
        pass


def hold(folder: Path, won: Any, go_on: Any) -> None:
    try:
        with lock.output_lock(folder):
            won.put(os.getpid())
            go_on.wait(180)
    except OutputLockedError:
        won.put(0)


@pytest.mark.slow
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
            process.join(60)
            process.kill()
        assert sum(pid > 0 for pid in pids) == 1
        assert list(tmp_path.iterdir()) == []


def test_a_run_waits_for_workers_of_one_that_was_killed(tmp_path: Path) -> None:
    """Under load a worker sees late that its run is gone: here it is held still, until the next run waits."""
    out, marker = tmp_path / "out", tmp_path / "marker"
    out.mkdir()
    task = f"Task('unit', partial(fill, Path({str(out / 'unit')!r}), Path({str(marker)!r}), 60))"
    code = (
        "from functools import partial\nfrom pathlib import Path\nfrom worker_tasks import fill\n"
        "from hyperscan.pipeline.workers import Place, Task, run_tasks\n"
        f"run_tasks([{task}], Place(n_jobs=2, output=Path({str(out)!r})), 'test', progress=False)"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths})
    try:
        until = time.monotonic() + 60
        while not marker.exists() and time.monotonic() < until:
            time.sleep(0.02)
        worker = int(marker.read_text())
        os.kill(worker, signal.SIGSTOP)
    finally:
        parent.kill()
        parent.wait(60)
    threading.Timer(0.3, os.kill, (worker, signal.SIGCONT)).start()
    assert alive(worker)
    with lock.output_lock(out):
        sweep(out)
        assert [path.name for path in out.iterdir()] == [lock.LOCK_NAME]
        # a process that ends closes its files, and with them its locks, a moment before it is gone
        until = time.monotonic() + 10
        while alive(worker) and time.monotonic() < until:
            time.sleep(0.01)
        assert not alive(worker)


def test_a_run_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_S", 0.05)
    joined = lock.join_writers(tmp_path)
    assert joined is not None
    refused = pytest.raises(OutputLockedError, match=r"other processes write there.*Wait for their end")
    with refused, lock.output_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    os.close(joined)
    with lock.output_lock(tmp_path):
        pass


def test_who_writes_beside_others_sweeps_alone_and_never_beside_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_S", 0.0)
    left = tmp_path / ".partial-0123456789ab"
    left.touch()
    with lock.among_writers(tmp_path):
        assert not left.exists()
        left.touch()
        with lock.among_writers(tmp_path):  # it may be theirs
            assert left.exists()
        with pytest.raises(OutputLockedError), lock.output_lock(tmp_path):
            pass
    with lock.output_lock(tmp_path):
        left.touch()  # the run's own, half written: a run on one worker or on a cluster holds no lock on the folder
        with pytest.raises(OutputLockedError), lock.among_writers(tmp_path):
            pass
        assert left.exists()


def test_recordings_in_the_temporary_folder_stay_while_workers_write_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / f"{lock.TEMPORARY}x" / "out"
    folder.mkdir(parents=True)
    (folder / lock.LOCK_NAME).write_text(body(pid=2**22 + 1))
    joined = lock.join_writers(folder)
    assert joined is not None
    lock.sweep_temporary(tmp_path)
    assert (folder / lock.LOCK_NAME).exists()
    os.close(joined)
    lock.sweep_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["report", "view"])
def test_pages_are_not_written_beside_a_run(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with lock.output_lock(tmp_path):
        assert cli.main([command, str(tmp_path), "-q"]) == 5
    assert "another run is writing there" in capsys.readouterr().err


def test_every_place_names_the_folder_that_its_workers_write_into() -> None:
    """A new command with workers, too: else the next run would not wait for those that outlive it."""
    found = {}
    for path in Path(lock.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Place":
                found[f"{path.name}:{node.lineno}"] = "output" in [keyword.arg for keyword in node.keywords]
    assert len(found) >= 4
    assert [where for where, named in found.items() if not named] == []
