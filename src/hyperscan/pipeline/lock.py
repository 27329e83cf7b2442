"""One run per output folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hyperscan.errors import OutputLockedError, OutputWriteError
from hyperscan.storage import to_json

LOCK_NAME = ".hyperscan.lock"

#: An unreadable lock of this age in s is left over from a crash (our choice).
GARBAGE_S = 10.0


@contextlib.contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """Hold the output folder for this process; a lock of a dead process on this host is taken over."""
    path = folder / LOCK_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _take(path)
    except OSError as error:
        raise OutputWriteError(
            f"{folder.name}: the output folder cannot be written ({error.strerror}). Free space, mend its "
            "permissions, or choose another one."
        ) from error
    try:
        yield
    finally:
        if _holder(path).get("pid") == os.getpid():
            path.unlink(missing_ok=True)


def sweep_locks(folder: Path) -> None:
    """Remove what runs left that died while they took the lock."""
    for path in folder.glob(f"{LOCK_NAME}-*"):
        if _is_old(path):
            path.unlink(missing_ok=True)


def check_unlocked(folder: Path) -> None:
    """Refuse a folder that another run holds."""
    path = folder / LOCK_NAME
    if path.exists() and not _is_stale(path):
        raise OutputLockedError(_locked(path))


def _take(path: Path) -> None:
    """Put a complete lock under its name in one step; where one is, see whether it is a dead one's."""
    mine = path.with_name(f"{LOCK_NAME}-{uuid.uuid4().hex[:12]}")  # no partial: the holder sweeps those
    mine.write_text(to_json(_body()), encoding="utf-8")
    try:
        if not _linked(mine, path) and not _taken_over(mine, path):
            raise OutputLockedError(_locked(path))
    finally:
        mine.unlink(missing_ok=True)


def _body() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "start": datetime.now(UTC).isoformat("T", "seconds"),
    }


def _linked(mine: Path, path: Path) -> bool:
    try:
        path.hardlink_to(mine)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        return _created(mine, path)
    return True


def _created(mine: Path, path: Path) -> bool:
    try:
        with path.open("xb") as stream:
            stream.write(mine.read_bytes())
    except FileExistsError:
        return False
    return True


def _taken_over(mine: Path, path: Path) -> bool:
    """Replace a dead process's lock; of several that try at once, one wins."""
    try:
        with path.open("rb") as stream:
            _hold(stream.fileno())
            same = os.fstat(stream.fileno()).st_ino == path.stat().st_ino
            if not same or not _is_stale(path):
                return False
            mine.replace(path)
    except FileNotFoundError:  # released this very moment
        return _linked(mine, path)
    except BlockingIOError:  # another one is taking it over
        return False
    return True


def _hold(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: the take-over is then not safe against another one in the same moment
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _born(pid: int) -> str | None:
    """When a process began, in the kernel's ticks: a number that comes again is another process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _holder(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # just being written, or just released
        return {}
    return held if isinstance(held, dict) else {}


def _is_stale(path: Path) -> bool:
    holder = _holder(path)
    if not holder:
        return _is_old(path)
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return holder.get("born") not in (None, _born(pid))


def _is_old(path: Path) -> bool:
    """Locks appear whole, so an unreadable one is no run's; unless a file system wrote it in two steps."""
    try:
        return time.time() - path.stat().st_mtime > GARBAGE_S
    except FileNotFoundError:
        return True


def _locked(path: Path) -> str:
    holder = _holder(path)
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, started {holder.get('start', '?')}"
    return (
        f"{path.parent.name}: another run is writing there ({who}). Wait for it, choose another folder, "
        f"or delete {LOCK_NAME} there if that process is gone."
    )
