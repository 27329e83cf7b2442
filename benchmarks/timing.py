"""What a case is, and how two programs are timed side by side.

CPU time of the process, not wall time, so that other work on the machine shows less; runs alternate between
ours and the peer's, so that what is left of its changes hits both.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

CASE_SECONDS = 30.0  # after that long no further pair of a case is begun
FEWEST_PAIRS = 2


@dataclass
class Job:
    """A case with its arrays made: two programs for the same input, and how far their values may differ.

    ``scale`` multiplies the peer's time where it computes only part of what ours does; ``note`` then says so.
    """

    ours: Callable[[], Any]
    peer: Callable[[], Any]
    difference: Callable[[Any, Any], float] | None
    tolerance: float = 0.0
    scale: float = 1.0
    repeats: int = 3
    note: str = ""
    measure_memory: bool = True
    limit_seconds: float | None = None


@dataclass(frozen=True)
class Case:
    """One row: what is compared, the row of the targets it answers, and the target.

    With ``sense`` "faster" the ratio is peer / ours and at least ``target`` is wanted; with "cost" it is ours / peer
    and at most ``target``. ``target`` None: no target was set. ``skip`` gives the reason why it is not measured.
    """

    topic: str
    name: str
    peer: str
    target: float | None
    build: Callable[[bool], Job] | None
    sense: Literal["faster", "cost"] = "faster"
    skip: str = ""


@dataclass
class Result:
    """What was measured of a case; seconds are CPU seconds, the peer's scaled."""

    case: Case
    ours: float = float("nan")
    peer: float = float("nan")
    ratios: list[float] = field(default_factory=list)
    difference: float | None = None
    tolerance: float = 0.0
    ours_bytes: int | None = None
    peer_bytes: int | None = None
    limit_ratio: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Median of the paired ratios."""
        return median(self.ratios) if self.ratios else float("nan")

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.case.target is None or not self.ratios:
            return None
        return self.ratio >= self.case.target if self.case.sense == "faster" else self.ratio <= self.case.target

    @property
    def agrees(self) -> bool | None:
        """Whether the values agree; None if they are not comparable."""
        return None if self.difference is None else self.difference <= self.tolerance


def cpu_seconds(func: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, all threads, and what it returned."""
    start = time.process_time()
    value = func()
    return time.process_time() - start, value


def peak_bytes(func: Callable[[], Any]) -> tuple[int, Any]:
    """Most memory that numpy and Python held at once during a call, beyond what was there before."""
    gc.collect()
    tracemalloc.start()
    try:
        value = func()
        return tracemalloc.get_traced_memory()[1], value
    finally:
        tracemalloc.stop()


def measure(case: Case, small: bool, repeats: int | None = None) -> Result:
    """Compare the values, then time pairs of calls: as many as asked for, or fewer where they are slow."""
    result = Result(case, note=case.skip)
    if case.build is None:
        return result
    job = case.build(small)
    result.note, result.tolerance = job.note, job.tolerance
    if job.measure_memory:
        result.ours_bytes, value = peak_bytes(job.ours)
        result.peer_bytes, reference = peak_bytes(job.peer)
    else:
        value, reference = job.ours(), job.peer()
    if job.difference is not None:
        result.difference = float(job.difference(value, reference))
    del value, reference
    pairs = []
    start = time.perf_counter()
    for turn in range(repeats or (2 if small else job.repeats)):
        if turn >= FEWEST_PAIRS and time.perf_counter() - start > CASE_SECONDS:
            break
        pairs.append((cpu_seconds(job.ours)[0], cpu_seconds(job.peer)[0] * job.scale))
    result.ours, result.peer = (median(column) for column in zip(*pairs, strict=True))
    faster = case.sense == "faster"
    result.ratios = [peer / ours if faster else ours / peer for ours, peer in pairs]
    if job.limit_seconds is not None:
        result.limit_ratio = result.ours / job.limit_seconds
    return result
