"""Times of files that a reader drops or moves: events and breaks of Neuroscan CNT, pauses and starts of Hitachi."""

from __future__ import annotations

import datetime
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ReadError
from hyperscan.recording.annotations import marks, own_annotations
from hyperscan.recording.records import Pause, PersonRecording
from hyperscan.recording.start_times import DAY_S, is_told

# ---- Neuroscan CNT

#: Bytes of the fixed header and of a channel's, and where it has the number of channels, the place of the events and
#: the day and time of the beginning.
_FIXED, _PER_CHANNEL, _N_CHANNELS, _EVENT_TABLE, _BEGAN = 900, 75, 370, 886, 225
#: Bytes of an event by the type of the table, which begins with its type, its size and an unused number.
_EVENT_BYTES, _TABLE_HEAD = {1: 8, 2: 19, 3: 19}, 9
#: Upper half of an event's fourth byte where a stretch to leave out begins and ends, and where recording was
#: interrupted.
_REJECTED, _ACCEPTED, _INTERRUPTED = 0xC, 0xD, 0xE


@dataclass(frozen=True)
class CntEvent:
    """A row of the table of events."""

    #: Sample that it belongs to, from 0 on
    sample: int
    #: Code of the trigger, or the key that was pressed; empty for a mark of the program
    name: str
    #: What it marks; 0 for a trigger
    state: int


def read_cnt(path: Path, name: str) -> PersonRecording:
    """Read a Neuroscan recording, with the events and interruptions that its table tells of.

    MNE takes all events a sample early, and those that are counted in samples (files above 1 GB) by the length of the
    header too early; it takes long names of channels for marks of bad ones, and the start for local time.
    """
    raw = mne.io.read_raw_cnt(path, header="new", preload=False, verbose="WARNING")
    events, sfreq = cnt_events(path, raw.n_times, name), raw.info["sfreq"]
    rows = [(event.sample / sfreq, 0.0, event.name) for event in events if event.name]
    rows += [(event.sample / sfreq, 0.0, "New Segment/") for event in events if event.state == _INTERRUPTED]
    ends = [*(event.sample for event in events if event.state == _ACCEPTED), raw.n_times]
    for start in (event.sample for event in events if event.state == _REJECTED):
        stop = min(end for end in ends if end >= start)
        rows.append((start / sfreq, (stop - start) / sfreq, "BAD_rejected"))
    onsets, lengths, texts = zip(*rows, strict=True) if rows else ((), (), ())
    raw.set_meas_date(_cnt_start(path))
    return PersonRecording(raw.set_annotations(mne.Annotations(onsets, lengths, texts), verbose="WARNING"))


def cnt_events(path: Path, n_times: int, name: str) -> list[CntEvent]:
    """List what the table of events holds within the recording."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_FIXED)
        n_channels = struct.unpack_from("<H", head, _N_CHANNELS)[0]
        table = struct.unpack_from("<i", head, _EVENT_TABLE)[0]
        first = _FIXED + _PER_CHANNEL * n_channels
        frame = (table - first) // max(n_times, 1)
        if not first < table <= size - _TABLE_HEAD or frame <= 0:
            return []
        file.seek(table)
        kind, n_bytes, _ = struct.unpack("<Bii", file.read(_TABLE_HEAD))
        rows = file.read(max(n_bytes, 0))
    if len(rows) < n_bytes:
        raise ReadError(
            f"{name}: its table of events holds {len(rows)} of {n_bytes} bytes: it was cut off. Copy it again."
        )
    step, found = _EVENT_BYTES.get(kind, len(rows) + 1), []
    for at in range(0, len(rows) - step + 1, step):
        code, key, pad, offset = struct.unpack_from("<HBBi", rows, at)
        state, pad = pad >> 4, pad & 0xF
        called = f"KeyPad Response {pad}" if pad else f"Keyboard Response {key}" if key else str(code)
        # the third type counts samples, the others bytes of the file
        sample = offset if kind == 3 else (offset - first) // frame
        if 0 <= sample < n_times:
            found.append(CntEvent(sample, "" if state and not (code or key or pad) else called, state))
    return found


def _cnt_start(path: Path) -> datetime.datetime | None:
    """Read when the recording began, by the clock of its computer; None where that is not written as usual."""
    with path.open("rb") as file:
        file.seek(_BEGAN)
        day, time = (file.read(n).partition(b"\0")[0].decode("latin-1").strip() for n in (10, 12))
    try:
        return datetime.datetime.strptime(f"{day} {time}", "%m/%d/%y %H:%M:%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


# ---- Hitachi

#: A step between two rows longer than this, in s, is a pause and no hiccup of the computer's clock (our choice).
_HICCUP_S = 1.0
#: Columns in which the device or somebody marked what is no good, and one that tells of the time before the start.
_MARKED, _BEFORE = {"BodyMovement": "BAD_body_movement", "RemovalMark": "BAD_removal"}, "PreScan"


def read_hitachi(path: Path, name: str) -> PersonRecording:
    """Read a Hitachi recording, its start and pauses by the time of day of every row, and what it marks as no good."""
    raw: BaseRaw = mne.io.read_raw_hitachi(path, preload=False, verbose="WARNING")
    columns = [each for each in (*_MARKED, _BEFORE) if each in raw.ch_names]
    found = own_annotations(raw)
    for column in (each for each in columns if each in _MARKED):
        edges = np.diff(np.concatenate([[0.0], raw.get_data(picks=[column])[0] != 0, [0.0]]))
        starts, stops = (np.flatnonzero(edges == sign) / raw.info["sfreq"] for sign in (1, -1))
        found += marks(list(zip(starts.tolist(), stops.tolist(), strict=True)), _MARKED[column])
    # they are no triggers
    raw = raw.drop_channels(columns) if columns else raw
    raw.set_annotations(found, verbose="WARNING")
    times = _times_of_rows(path)
    if len(times) != raw.n_times:
        # the head tells a minute, which places nothing
        return PersonRecording(raw.set_meas_date(None))
    steps = np.diff(times)
    steps[steps < -DAY_S / 2] += DAY_S
    lost = steps - 1 / raw.info["sfreq"]
    if (lost < -_HICCUP_S).any():
        raise ReadError(
            f"{name}: the times of its rows run back by {-lost.min():.1f} s. Nobody can tell which time is right: "
            "export it again."
        )
    pauses = tuple(Pause(int(at) + 1, float(lost[at])) for at in np.flatnonzero(lost > _HICCUP_S))
    return PersonRecording(raw.set_meas_date(_on_day(raw.info["meas_date"], times[0])), pauses=pauses)


def _times_of_rows(path: Path) -> Sequence[float]:
    """Read the time of day of each row in s; empty where no column tells it."""
    lines = re.split("\r\n|\n|\r", path.read_bytes().decode("latin-1"))
    start = next((at for at, line in enumerate(lines) if line.rstrip(", ") == "Data"), len(lines)) + 1
    heads = [line.split(",") for line in lines[start : start + 3]]
    column = next((head.index("Time") for head in heads if "Time" in head), None)
    if column is None:
        return ()
    cells = (line.split(",") for line in lines[start:])
    told = (_time_of_day(cell[column]) for cell in cells if len(cell) > column)
    return [time for time in told if time is not None]


def _on_day(began: datetime.datetime | None, time_s: float) -> datetime.datetime | None:
    """Take the day of a start that is told to the minute, and the time of day of the first row next to it."""
    if began is None or not is_told(began):
        return began
    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
    days = (midnight + datetime.timedelta(days=days, seconds=time_s) for days in (-1, 0, 1))
    return min(days, key=lambda moment: abs(moment - began))


def _time_of_day(text: str) -> float | None:
    found = re.fullmatch(r"\s*([0-9]{1,2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)\s*", text)
    return None if found is None else 3600.0 * int(found[1]) + 60.0 * int(found[2]) + float(found[3])
