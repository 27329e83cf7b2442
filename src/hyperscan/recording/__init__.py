"""Two people on one clock: read, split, align, clean, judge."""

from __future__ import annotations

from typing import Any

from hyperscan.recording.clocks.align import align_pair
from hyperscan.recording.memory import PairsInMemory
from hyperscan.recording.read import channel_names, load_heads, load_session
from hyperscan.recording.records import ClockReport, PairedRecording, QualityReport, Segment

__all__ = [
    "ClockReport",
    "PairedRecording",
    "PairsInMemory",
    "QualityReport",
    "Segment",
    "align_pair",
    "channel_names",
    "load_heads",
    "load_session",
    "preprocess_pair",
]


def __getattr__(name: str) -> Any:
    # preparation is heavier than reading and not needed for it
    if name == "preprocess_pair":
        from hyperscan.recording.cleaning.prepare import preprocess_pair

        return preprocess_pair
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
