"""One run per folder: live locks are respected, dead ones taken over, and of several at once one wins."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hyperscan.errors import (
    OutputLockedError,
)
from hyperscan.pipeline import lock
from pipeline_fixtures import (
    SERVER,
)


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
