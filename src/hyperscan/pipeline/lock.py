"""One run per output folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

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
        holder = Holder.of(path)
        if holder is not None and holder.pid == os.getpid():
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


@dataclass(frozen=True)
class Holder:
    """Content of a lock: who holds it. What another program or version wrote there is kept as it is."""

    host: object = "?"
    pid: object = "?"
    #: When the process began, in the kernel's ticks: a number that comes again is another process
    born: object = None
    #: When the lock was taken
    start: object = "?"

    @classmethod
    def here(cls) -> Holder:
        """Describe the process that runs this, now."""
        now = datetime.now(UTC).isoformat("T", "seconds")
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), now)

    @classmethod
    def of(cls, path: Path) -> Holder | None:
        """Read a lock; None where it is just being written or released, or is damaged."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(held, dict) or not held:
            return None
        return cls(**{item.name: held[item.name] for item in fields(cls) if item.name in held})

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended; of another host's process nobody can tell from here."""
        if self.host != socket.gethostname() or not isinstance(self.pid, int):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            return False
        return self.born not in (None, _born(self.pid))


def _take(path: Path) -> None:
    """Put a complete lock under its name in one step; where one is, see whether it is a dead one's."""
    mine = path.with_name(f"{LOCK_NAME}-{uuid.uuid4().hex[:12]}")  # no partial: the holder sweeps those
    mine.write_text(to_json(asdict(Holder.here())), encoding="utf-8")
    try:
        if not _linked(mine, path) and not _taken_over(mine, path):
            raise OutputLockedError(_locked(path))
    finally:
        mine.unlink(missing_ok=True)


def _linked(mine: Path, path: Path) -> bool:
    try:
        try:
            path.hardlink_to(mine)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            with path.open("xb") as stream:
                stream.write(mine.read_bytes())
    except FileExistsError:
        return False
    return True


def _taken_over(mine: Path, path: Path) -> bool:
    """Replace a dead process's lock; of several that try at once, one wins."""
    try:
        with path.open("rb") as stream:
            with contextlib.suppress(ImportError):  # Windows: not safe against another take-over in the same moment
                import fcntl

                fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.fstat(stream.fileno()).st_ino == path.stat().st_ino
            if not same or not _is_stale(path):
                return False
            mine.replace(path)
    except FileNotFoundError:  # released this very moment
        return _linked(mine, path)
    except BlockingIOError:  # another one is taking it over
        return False
    return True


def _born(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _is_stale(path: Path) -> bool:
    holder = Holder.of(path)
    return _is_old(path) if holder is None else holder.is_gone


def _is_old(path: Path) -> bool:
    """Locks appear whole, so an unreadable one is no run's; unless a file system wrote it in two steps."""
    try:
        return time.time() - path.stat().st_mtime > GARBAGE_S
    except FileNotFoundError:
        return True


def _locked(path: Path) -> str:
    holder = Holder.of(path) or Holder()
    return (
        f"{path.parent.name}: another run is writing there (process {holder.pid} on {holder.host}, started "
        f"{holder.start}). Wait for it, choose another folder, or delete {LOCK_NAME} there if that process is gone."
    )
