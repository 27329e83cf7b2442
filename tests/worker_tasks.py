"""Tasks for workers that import nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def die(marker: str, times: int) -> None:
    """Kill this process, as many times as asked for."""
    path = Path(marker)
    count = int(path.read_text()) if path.exists() else 0
    if count < times:
        path.write_text(str(count + 1))
        os.kill(os.getpid(), signal.SIGKILL)


def touch(path: str) -> None:
    """Leave a file."""
    Path(path).write_text("done")


def raise_key_error() -> None:
    """Fail as a fault of ours would."""
    raise KeyError("a fault of ours")
