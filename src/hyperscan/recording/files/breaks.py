"""Breaks that a file tells of and its reader drops: Neuroscan CNT, Hitachi."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ReadError
from hyperscan.recording.annotations import own_annotations
from hyperscan.recording.records import Pause, PersonRecording

# ---- Neuroscan CNT

#: Bytes of the fixed header and of a channel's, and where it has the number of channels and the place of the events.
_FIXED, _PER_CHANNEL, _N_CHANNELS, _EVENT_TABLE = 900, 75, 370, 886
#: Bytes of an event by the type of the table.
_EVENT_BYTES = {1: 8, 2: 19, 3: 19}
#: Upper half of an event's fourth byte where recording was interrupted.
_INTERRUPTED = 0xE


def read_cnt(path: Path, name: str) -> PersonRecording:
    """Read a Neuroscan recording, with the interruptions that its event table tells of."""
    del name
    raw = mne.io.read_raw_cnt(path, preload=False, verbose="WARNING")
    places = cnt_breaks(path, raw.n_times)
    if places:
        marks = mne.Annotations([at / raw.info["sfreq"] for at in places], 0.0, "New Segment/")
        raw.set_annotations(own_annotations(raw) + marks, verbose="WARNING")
    return PersonRecording(raw)


def cnt_breaks(path: Path, n_times: int) -> list[int]:
    """List the first samples after interruptions."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_FIXED)
        n_channels = struct.unpack_from("<H", head, _N_CHANNELS)[0]
        table = struct.unpack_from("<i", head, _EVENT_TABLE)[0]
        first = _FIXED + _PER_CHANNEL * n_channels
        width = (table - first) // max(n_times, 1)
        if not first < table <= size - 9 or width <= 0:
            return []
        file.seek(table)
        kind, n_bytes, _ = struct.unpack("<Bii", file.read(9))
        events = file.read(max(n_bytes, 0))
    step = _EVENT_BYTES.get(kind, len(events) + 1)
    places = []
    for at in range(0, len(events) - step + 1, step):
        _, _, state, offset = struct.unpack_from("<HBBi", events, at)
        if state >> 4 == _INTERRUPTED:
            # the third type counts samples, the others bytes
            places.append(offset if kind == 3 else (offset - first) // width)
    return [place for place in places if 0 < place < n_times]


# ---- Hitachi

_DAY_S = 86_400.0
#: A step between two rows longer than this, in s, is a pause and no hiccup of the computer's clock (our choice).
_HICCUP_S = 1.0


def read_hitachi(path: Path, name: str) -> PersonRecording:
    """Read a Hitachi recording, its pauses by the time of day of every row."""
    raw: BaseRaw = mne.io.read_raw_hitachi(path, preload=False, verbose="WARNING")
    rows = path.read_bytes().decode("latin-1").partition("\nData")[2].splitlines()
    heads = [row.split(",") for row in rows[:3]]
    column = next((head.index("Time") for head in heads if "Time" in head), None)
    if column is None:
        return PersonRecording(raw)
    cells = [row.split(",") for row in rows]
    told = [_time_of_day(cell[column]) for cell in cells if len(cell) > column]
    times = [time for time in told if time is not None]
    if len(times) != raw.n_times:
        return PersonRecording(raw)
    steps = np.diff(times)
    steps[steps < -_DAY_S / 2] += _DAY_S
    lost = steps - 1 / raw.info["sfreq"]
    if (lost < -_HICCUP_S).any():
        raise ReadError(
            f"{name}: the times of its rows run back by {-lost.min():.1f} s. Nobody can tell which time is right: "
            "export it again."
        )
    pauses = tuple(Pause(int(at) + 1, float(lost[at])) for at in np.flatnonzero(lost > _HICCUP_S))
    return PersonRecording(raw, pauses=pauses)


def _time_of_day(text: str) -> float | None:
    found = re.fullmatch(r"\s*([0-9]{1,2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)\s*", text)
    return None if found is None else 3600.0 * int(found[1]) + 60.0 * int(found[2]) + float(found[3])
