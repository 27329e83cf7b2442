"""One run per output folder, also where runs in containers see neither each other nor each other's process ids.

A run holds a lock of the operating system (flock) on its lock file for as long as it lives: the kernel drops it with
the process, however that ends. Where a file system knows no such locks, what the file says about its holder decides.

Whoever else writes into the folder, as the workers of a run do, shares a lock on the folder itself. Workers outlive a
run that is killed for a moment, so the next run waits until it could have the folder alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from hyperscan.errors import OutputLockedError, OutputWriteError
from hyperscan.storage import odd_kind, sweep, to_json

LOCK_NAME = ".hyperscan.lock"

#: How the temporary folder of a run without an output folder begins: nobody names a folder of results so.
TEMPORARY = ".hyperscan-temporary-"

#: An unreadable lock of this age in s is left over from a crash (our choice).
GARBAGE_S = 10.0

#: How long a run waits for workers of one that was killed, and how often it looks, in s (our choice).
WAIT_S, LOOK_S = 30.0, 0.02


@contextlib.contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """Hold the output folder for this process; a lock of a dead process is taken over."""
    path = folder / LOCK_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path)
    except OSError as error:
        raise OutputWriteError(
            f"{folder.name}: the output folder cannot be written ({error.strerror}). Free space, mend its "
            "permissions, or choose another one."
        ) from error
    try:
        _wait_for_writers(folder)
        yield
    finally:
        holder = Holder.of(path)
        if holder is not None and holder.pid == os.getpid() and holder.pid_space == _pid_space():
            path.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def among_writers(folder: Path) -> Iterator[None]:
    """Write into a folder beside others, but never beside a run; what a killed one left goes where nobody is at it."""
    descriptor = _opened_folder(folder)
    try:
        if descriptor is not None:
            if _hold(descriptor) is False:
                check_unlocked(folder)  # a run writes without this lock; one that begins now waits for it
                with contextlib.suppress(OSError):  # whoever writes there will say it
                    sweep(folder)
            _hold(descriptor, wait=True, shared=True)
        check_unlocked(folder)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def join_writers(folder: Path) -> int | None:
    """Share the lock on a folder until this process ends, or closes what is returned; None: there are no such locks."""
    descriptor = _opened_folder(folder)
    if descriptor is not None:
        _hold(descriptor, wait=True, shared=True)
    return descriptor


def _wait_for_writers(folder: Path) -> None:
    """Wait until nobody else writes into a folder: workers of a killed run end when they see that it is gone."""
    until = time.monotonic() + WAIT_S
    while _is_written_to(folder):
        if time.monotonic() > until:
            raise OutputLockedError(
                f"{folder.name}: other processes write there, as workers of a run that was killed, or "
                f"`check --prepare`; {WAIT_S:.0f} s were waited. Wait for their end, or choose another folder."
            )
        time.sleep(LOOK_S)


def _is_written_to(folder: Path) -> bool:
    """Whether somebody has joined the writers of a folder and is not gone; False where there are no such locks."""
    descriptor = _opened_folder(folder)
    if descriptor is None:
        return False
    try:
        return bool(_hold(descriptor))
    finally:
        os.close(descriptor)


def _opened_folder(folder: Path) -> int | None:
    """Open a folder to lock it; None where that cannot be."""
    try:
        return os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:  # Windows
        return None


def sweep_locks(folder: Path) -> None:
    """Remove what runs left that died while they took the lock."""
    for path in folder.glob(f"{LOCK_NAME}-*"):
        if _is_old(path):
            path.unlink(missing_ok=True)


def sweep_temporary(folder: Path) -> None:
    """Remove what a run left in the folder of temporary files when it was killed: its output, or recordings."""
    for path in folder.glob(f"{TEMPORARY}*/*/{LOCK_NAME}"):
        top = path.parents[1]
        with contextlib.suppress(OSError, OutputLockedError):
            mine = top.stat().st_uid == getattr(os, "getuid", lambda: -1)() and list(top.iterdir()) == [path.parent]
            if mine and not top.is_symlink() and not path.parent.is_symlink():
                check_unlocked(path.parent)
                if not _is_written_to(path.parent):
                    shutil.rmtree(top)


def check_unlocked(folder: Path) -> None:
    """Refuse a folder that another run holds."""
    path = folder / LOCK_NAME
    if not path.exists():
        return
    descriptor = None
    try:
        with contextlib.suppress(OSError):  # where nothing can be written, what the file says decides
            descriptor = _opened(path)
        if not _is_left(path, None if descriptor is None else _hold(descriptor)):
            raise OutputLockedError(_locked(path))
    finally:
        if descriptor is not None:
            os.close(descriptor)


@dataclass(frozen=True)
class Holder:
    """Content of a lock: who holds it. What another program or version wrote there is kept as it is."""

    host: object = "?"
    pid: object = "?"
    #: When the process began, in the kernel's ticks: a number that comes again is another process
    born: object = None
    #: When the lock was taken
    start: object = "?"
    #: Which start of which kernel it runs on, and which name space its process id is of: containers have their own
    boot: object = None
    pid_space: object = None

    @classmethod
    def here(cls) -> Holder:
        """Describe the process that runs this, now."""
        now = datetime.now(UTC).isoformat("T", "seconds")
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), now, _boot(), _pid_space())

    @classmethod
    def of(cls, path: Path) -> Holder | None:
        """Read a lock; None where it is just being written or released, or is damaged."""
        try:
            held = None if odd_kind(path) else json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(held, dict) or not held:
            return None
        return cls(**{item.name: held[item.name] for item in fields(cls) if item.name in held})

    def is_gone(self, *, held: bool | None) -> bool:
        """Whether it is known to have ended; ``held``: the kernel's word, None where it has none.

        Of another machine's process nobody can tell from here.
        """
        if self.boot is not None and self.boot == _boot():
            if held is not None:
                return not held
            if self.pid_space != _pid_space():
                return False
        elif self.host != socket.gethostname():
            return False
        elif self.boot is not None:  # this machine, before it was started again
            return held is False
        if held or not isinstance(self.pid, int):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            return False
        return self.born not in (None, _born(self.pid))


def _take(path: Path) -> int:
    """Put a complete lock under its name in one step, and hold it; where one is, see whether it is a dead one's."""
    mine = path.with_name(f"{LOCK_NAME}-{uuid.uuid4().hex[:12]}")  # no partial: the holder sweeps those
    mine.write_text(to_json(asdict(Holder.here())), encoding="utf-8")
    descriptor = _opened(mine)
    try:
        _hold(descriptor)
        if _linked(mine, path) or _taken_over(mine, path):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
            os.close(descriptor)  # a file system without links: the lock is a copy
            descriptor = _opened(path)
            _hold(descriptor, wait=True)
            return descriptor
        raise OutputLockedError(_locked(path))
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        mine.unlink(missing_ok=True)


def _opened(path: Path) -> int:
    """Open a lock without waiting for the other end of a pipe."""
    return os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


def _hold(descriptor: int, *, wait: bool = False, shared: bool = False) -> bool | None:
    """Take the kernel's lock on what is open; return whether another one has it, None where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    except OSError:  # a file system that knows none
        return None
    return False


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
        descriptor = _opened(path)
    except FileNotFoundError:  # released this very moment
        return _linked(mine, path)
    try:
        held = _hold(descriptor)
        if held or os.fstat(descriptor).st_ino != path.stat().st_ino or not _is_left(path, held):
            return False
        mine.replace(path)
    except FileNotFoundError:
        return _linked(mine, path)
    finally:
        os.close(descriptor)
    return True


def _boot() -> str | None:
    """Return the id of the running kernel's start, which all containers on it share."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _pid_space() -> str | None:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None


def _born(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _is_left(path: Path, held: bool | None) -> bool:
    """Whether a lock is left over from a run that has ended."""
    holder = Holder.of(path)
    return not held and _is_old(path) if holder is None else holder.is_gone(held=held)


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
