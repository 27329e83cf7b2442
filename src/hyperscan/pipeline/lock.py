"""One run per output folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hyperscan.errors import OutputLockedError, OutputWriteError

LOCK_NAME = ".hyperscan.lock"


@contextlib.contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """Hold the output folder for this process; a lock of a dead process on this host is taken over.

    Parameters
    ----------
    folder : Path
        Output folder; made if it is missing.

    Raises
    ------
    OutputLockedError
        If another run holds the folder.
    OutputWriteError
        If the folder cannot be written.
    """
    path = folder / LOCK_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _take(path)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise OutputWriteError(
            f"{folder.name}: the output folder cannot be written ({error.strerror}). Choose another one."
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path) -> None:
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            holder = _holder(path)
            if not _is_stale(holder):
                raise OutputLockedError(_locked(path, holder)) from None
            path.unlink(missing_ok=True)
            continue
        body = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "start": datetime.now(UTC).isoformat("T", "seconds"),
        }
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(body, stream)
        return
    raise OutputLockedError(_locked(path, _holder(path)))


def _holder(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # just being written, or just released
        return {}
    return held if isinstance(held, dict) else {}


def _is_stale(holder: dict[str, Any]) -> bool:
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _locked(path: Path, holder: dict[str, Any]) -> str:
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, started {holder.get('start', '?')}"
    return (
        f"{path.parent.name}: another run is writing there ({who}). Wait for it, choose another folder, "
        f"or delete {LOCK_NAME} there if that process is gone."
    )
