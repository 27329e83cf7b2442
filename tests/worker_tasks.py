"""Tasks for workers that import little."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path


def die(marker: Path, times: int) -> None:
    """Kill this process, as many times as asked for."""
    count = int(marker.read_text()) if marker.exists() else 0
    if count < times:
        marker.write_text(str(count + 1))
        os.kill(os.getpid(), signal.SIGKILL)


def touch(path: Path) -> None:
    """Leave a file."""
    path.write_text("done")


def raise_key_error() -> None:
    """Fail as a fault of ours would."""
    raise KeyError("a fault of ours")


def fill(folder: Path, marker: Path, seconds: float) -> None:
    """Begin a folder, say who does so, and go on for a while."""
    from hyperscan.storage import new_folder, write_text

    with new_folder(folder) as temporary:
        write_text(temporary / "first.tsv", "a\n")
        write_text(marker, f"{os.getpid()}")
        time.sleep(seconds)
        write_text(temporary / "second.tsv", "b\n")


def tell_what_is_held(path: Path) -> None:
    """Say whether results have to ask before they land, and how many pages an array costs where one was freed."""
    from hyperscan.storage import _LANDING

    faults = 0
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(40_000_000)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    path.write_text(f"{_LANDING.get() is not None} {faults}")


def tell_process(folder: Path) -> None:
    """Leave a file that is called after this process."""
    (folder / str(os.getpid())).touch()
    time.sleep(0.5)  # so that no worker does two


def tell_threads(path: Path) -> None:
    """Say how many threads the numerical libraries of this process use."""
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    path.write_text(" ".join(str(each["num_threads"]) for each in threadpool_info()))
