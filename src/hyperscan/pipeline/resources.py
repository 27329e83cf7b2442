"""What a study will need: memory per worker, time and disk, said before it starts."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperscan.config import StudyConfig
from hyperscan.pipeline.units import Unit, files_of
from hyperscan.synchrony.signals import SIGNALS

#: Bytes that one sample takes in a file, by format; what is unknown counts like the densest.
_BYTES_PER_SAMPLE = {".edf": 2, ".bdf": 3, ".fif": 4, ".gz": 2, ".set": 4, ".fdt": 4, ".snirf": 8, ".xdf": 4, ".eeg": 2}

#: Preparation holds at most three times the raw data in double precision (a house rule, tested there).
_COPIES = 3

#: Python with its libraries: about 0.35 GB per process (our estimate, not calibrated).
_BASE_BYTES = 350_000_000

#: Imports, compilation, growth and report in s; and per sample and channel (filters), sample and channel pair
#: (products), or coherence sample: orders of magnitude (our estimate, not calibrated at large sizes).
START_S = 15.0
_S_PER_SAMPLE, _S_PER_PRODUCT, _S_PER_COHERENCE = 3e-8, 1.5e-9, 1e-6

#: Part of the free memory that workers may take; the rest is for the system's file cache (our choice).
_SHARE = 0.8


def unit_bytes(unit: Unit) -> int:
    """Estimate the memory that a unit takes at its largest, in bytes.

    Parameters
    ----------
    unit : Unit
        The dyad-session; its rows are worked on one after the other.

    Returns
    -------
    int
    """
    return _BASE_BYTES + _COPIES * 8 * max(_samples(row.therapist_file, row.client_file) for row in unit.rows)


def input_bytes(units: Sequence[Unit]) -> int:
    """Size of all recordings, in bytes."""
    paths = {path for unit in units for row in unit.rows for path in (row.therapist_file, row.client_file)}
    return sum(_size(file) for path in paths for file in files_of(path))


def work_bytes(units: Sequence[Unit]) -> int:
    """Estimate the disk that prepared signals take while a run lasts: single precision, in bytes."""
    return sum(4 * _samples(row.therapist_file, row.client_file) for unit in units for row in unit.rows)


def fitting_jobs(units: Sequence[Unit], wanted: int) -> int:
    """Say how many workers fit into the free memory together, from 1 to what was asked for.

    Parameters
    ----------
    units : sequence of Unit
        What will be worked on.
    wanted : int
        Workers asked for.

    Returns
    -------
    int
    """
    largest = max((unit_bytes(unit) for unit in units), default=_BASE_BYTES)
    return max(1, min(wanted, int(_SHARE * free_bytes() // largest)))


def pair_seconds(row: Mapping[str, Any], config: StudyConfig) -> float:
    """Estimate the time that one pair of people takes, in s.

    Parameters
    ----------
    row : mapping
        Summary of a row that can be used.
    config : StudyConfig
        Metrics and bands.

    Returns
    -------
    float
    """
    modality = row["key"][2]
    people = [len(person["channels"]) for person in row["people"].values()]
    samples = row["seconds"] * row["sfreq"]
    cells = len(config.metrics[modality]) * len(config.bands_of(modality))
    if modality == "fnirs":
        return float(_S_PER_COHERENCE * len(SIGNALS[modality]) * math.prod(people) * samples * cells)
    return float((_S_PER_SAMPLE * sum(people) + _S_PER_PRODUCT * math.prod(people)) * samples * cells)


def free_bytes() -> int:
    """Free memory in bytes: of the machine, or of the control group that a cluster gave the job."""
    candidates = [_meminfo(), _control_group()]
    known = [value for value in candidates if value is not None]
    return min(known) if known else 64 * 2**30  # other systems tell neither way; our choice


def _samples(*paths: Path) -> int:
    return sum(
        _size(file) // _BYTES_PER_SAMPLE.get(file.suffix.lower(), 2) for path in set(paths) for file in files_of(path)
    )


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(_size(entry) for entry in path.rglob("*") if entry.is_file())
    return path.stat().st_size if path.is_file() else 0


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _control_group() -> int | None:
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = (root / "memory.current").read_text(encoding="ascii").strip()
        return max(int(limit) - int(used), 0)
    except (OSError, ValueError):  # no limit, or no such control group
        return None
