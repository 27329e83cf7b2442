"""What is costly to make is made once for all processes of a test session, and read by every test that needs it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

#: Longer than this no test waits for what another process makes, in s.
LONGEST_S = 500


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first process to ask for it fills; the others wait. No test may change it.

    ``name``: what it is, and what the folder is called, such as ``tiny_run/out``.
    """
    folder = shelf(factory) / name
    place, made, failed = folder.parent, folder.with_name("made"), folder.with_name("failed")
    try:
        place.mkdir(parents=True)
    except FileExistsError:
        until = time.monotonic() + LONGEST_S
        while not made.exists():
            assert not failed.exists(), f"{name} could not be made; the test that tried tells why"
            assert time.monotonic() < until, f"{name} is not made after {LONGEST_S} s"
            time.sleep(0.05)
        return folder
    try:
        make(folder)
    except BaseException:
        failed.touch()
        raise
    half = made.with_suffix(".partial")
    half.write_text(json.dumps(listing(place)))
    half.replace(made)
    return folder


def shelf(factory: pytest.TempPathFactory) -> Path:
    """Where it is kept: the folder of the session, in which each worker has one of its own."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made_once"


def listing(folder: Path) -> dict[str, list[int]]:
    """Sizes and times of the files of a folder, but for the mark that it is made."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / "made"]
    return {path.relative_to(folder).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns] for path in files}


def changed(factory: pytest.TempPathFactory) -> list[str]:
    """Name what was made once and is no longer as it was made."""
    made = shelf(factory).glob("*/made")
    return [file.parent.name for file in made if json.loads(file.read_text()) != listing(file.parent)]
