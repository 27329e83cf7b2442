"""What a study will need: memory per worker, time and disk, said before it starts."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from hyperscan.config import StudyConfig
from hyperscan.pipeline.chance import sides_for
from hyperscan.pipeline.summary import Summary
from hyperscan.pipeline.unit import Unit
from hyperscan.recording.files.bids import files_of
from hyperscan.schema import SIGNALS
from hyperscan.study.formats import value_bytes
from hyperscan.synchrony import BYTES_PER_SAMPLE
from hyperscan.synchrony.chance import own_shifts
from hyperscan.synchrony.lag_null import MOST_WAVELET_LAGS

#: Preparation holds at most three times the raw data in double precision (a house rule, tested there).
_COPIES = 3

#: Python with its libraries, per process, in bytes (measured: 0.28 to 0.4 GB).
_BASE_BYTES = 400_000_000

#: Imports, compilation, growth and report, in s.
START_S = 15.0

#: Processor time in s, measured with 32 to 128 channels of 5 to 45 min at 250 Hz on one core of a cloud machine: to
#: filter one sample of a channel in one band; per sample, pair of channels, metric and band; the lag null per sample,
#: channel and band, and per surrogate, pair of channels, metric and band; coherence per sample, pair, signal (not
#: measured).
_S_FILTER, _S_PRODUCT, _S_LAG, _S_SURROGATE, _S_COHERENCE = 1.1e-8, 2e-10, 1.2e-7, 8e-8, 1e-6

#: And whatever its size: for a session, and for each of its partners.
_S_SESSION, _S_PARTNER = 0.2, 0.007

#: Bands that the guards filter next to the configured ones.
_GUARD_BANDS = 1

#: Where Linux tells the limits of a job of a cluster or a container, and which control groups a process is in.
CONTROL_GROUP, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

#: Files of a control group: its limit, what it uses, and what of that is cached files that go when memory is asked
#: for; of the second version, and of the first.
_GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)

#: Part of the free memory that workers may take; the rest is for the system's file cache (our choice).
_SHARE = 0.8


def worker_bytes(units: Sequence[Unit]) -> int:
    """Estimate the memory that a worker takes at its largest, in bytes: preparing, or with a batch of pairs."""
    rows = [row for unit in units for row in unit.rows]
    both = max((_samples(row.therapist_file, row.client_file) for row in rows), default=0)
    one = 0
    for row in rows:
        files = row.therapist_file, row.client_file
        one = max(one, _samples(*files) // 2 if files[0] == files[1] else max(map(_samples, files)))
    people = min(sum(sides_for(4 * one)), 2 * len({row.dyad for row in rows}))
    return _BASE_BYTES + max(_COPIES * 8 * both, people * BYTES_PER_SAMPLE * one)


def work_bytes(units: Sequence[Unit]) -> int:
    """Estimate the disk that prepared signals take while a run lasts: single precision, in bytes."""
    return sum(4 * _samples(row.therapist_file, row.client_file) for unit in units for row in unit.rows)


def fitting_jobs(units: Sequence[Unit], wanted: int) -> int:
    """Say how many workers fit into the free memory together, from 1 to what was asked for."""
    return max(1, min(wanted, int(_SHARE * free_bytes() // worker_bytes(units))))


def session_seconds(summary: Summary, config: StudyConfig, partners: int) -> float:
    """Estimate the processor time that a dyad-session takes after its preparation, in s."""
    modality, fixed = summary.key.modality, _S_SESSION + _S_PARTNER * partners
    people = [len(person.channels) for person in summary.people.values()]
    samples, bands = summary.seconds * summary.sfreq, len(config.bands_of(modality))
    channels, pairs, cells = sum(people), math.prod(people), len(config.metrics[modality]) * bands
    if modality == "fnirs":
        n_signals = len(SIGNALS[modality]) - 1  # few sessions have a shared signal
        each = _S_COHERENCE * n_signals * pairs * samples * cells
        n_lags = min(config.n_null, MOST_WAVELET_LAGS)
        return float(fixed + each * (1 + partners) + n_lags * each / n_signals)
    filtered = 1 + partners / (sum(sides_for(int(2 * channels * samples))) / 2)
    return float(
        fixed
        + _S_FILTER * channels * samples * (bands + _GUARD_BANDS) * filtered
        + _S_PRODUCT * pairs * samples * cells * (1 + partners + len(own_shifts(summary.n_windows, 1)))
        + _S_LAG * channels * samples * bands
        + _S_SURROGATE * pairs * cells * config.n_null
    )


def free_bytes() -> int:
    """Find the free memory in bytes: of the machine, or of the control group that a cluster gave the job."""
    free = [int(psutil.virtual_memory().available)]
    for group in _control_groups():
        for limit, used, cached in _GROUP_FILES:
            # no limit, or no such control group
            with contextlib.suppress(OSError, ValueError):
                left = _number(group / limit) - _number(group / used) + _cached(group, cached)
                free.append(max(left, 0))
    return min(free)


def _control_groups() -> Iterator[Path]:
    """Name the control groups that limit the memory of this process: its own, and each that this one lies in."""
    tops = {"": CONTROL_GROUP, "memory": CONTROL_GROUP / "memory"}
    yield from tops.values()
    with contextlib.suppress(OSError, ValueError):
        for line in MEMBERSHIP.read_text(encoding="utf-8").splitlines():
            _, kinds, place = line.split(":", 2)
            for top in (tops[kind] for kind in kinds.split(",") if kind in tops):
                own = top / place.lstrip("/")  # a container may see another part of the tree than is named here
                yield from (each for each in (own, *own.parents) if each != top and each.is_relative_to(top))


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _cached(group: Path, name: str) -> int:
    """Bytes of files in memory that go when somebody asks for it; 0 where the group does not tell."""
    with contextlib.suppress(OSError, ValueError):
        told = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return int(told.get(name, 0))
    return 0


def _samples(*paths: Path) -> int:
    return sum(_size(file) // value_bytes(file) for path in set(paths) for file in files_of(path))


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(_size(entry) for entry in path.rglob("*") if entry.is_file())
    return path.stat().st_size if path.is_file() else 0
