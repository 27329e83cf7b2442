"""One run per folder: live locks are respected, dead ones taken over, and of several at once one wins."""

from __future__ import annotations

import json
import os
import socket
import time
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
            process.join()
        assert sum(pid > 0 for pid in pids) == 1
        assert list(tmp_path.iterdir()) == []
