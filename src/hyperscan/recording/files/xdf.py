"""XDF files: one person per stream, with the time stamps as they were recorded."""

from __future__ import annotations

import logging
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import mne
import numpy as np
import pyxdf
from mne.io import BaseRaw

from hyperscan.errors import ReadError, did_you_mean
from hyperscan.recording.guard import check_memory
from hyperscan.recording.timeline import fit_stamps

#: Bytes of one value by the stream's channel_format (XDF specification 1.0); a text has a length and may be empty.
_WIDTHS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4, "double64": 8, "string": 1}
_SAMPLES, _HEADER = 3, 2
#: File header, stream header, samples, clock offset, boundary, stream footer.
_TAGS = range(1, 7)
#: A stream header describes channels: text, far below this (our choice).
_MAX_HEADER = 20_000_000


@dataclass
class _Walk:
    """Where the walk is, and what the stream headers said: smallest sample in bytes, channels."""

    file: BinaryIO
    size: int
    name: str
    streams: dict[int, tuple[int, int]]
    n_values: int = 0


def check_chunks(path: Path, name: str) -> bool:
    """Check that chunks follow each other to the end, and that none claims more samples than it can hold."""
    with path.open("rb") as file:
        walk = _Walk(file, path.stat().st_size, name, {})
        file.seek(4)
        while file.tell() < walk.size:
            start = file.tell()
            length = _number(file)
            if length is None:
                return True
            stop = file.tell() + length
            if not _look(walk, start, length):
                return True
            if stop > walk.size:
                return True
            file.seek(stop)
        check_memory(walk.n_values, name)
    return False


def _number(file: BinaryIO) -> int | None:
    """Read a length: its own width, then little-endian; None where the file ends within."""
    width = file.read(1)
    if not width:
        return None
    if width[0] not in (1, 4, 8):
        return -1
    content = file.read(width[0])
    return int.from_bytes(content, "little") if len(content) == width[0] else None


def _look(walk: _Walk, start: int, length: int) -> bool:
    """Look into one chunk; False where the file ends before its contents begin."""
    if length < 2:
        raise _damage(walk, start, "a chunk without a length")
    head = walk.file.read(2)
    if len(head) < 2:
        return False
    tag = struct.unpack("<H", head)[0]
    if tag not in _TAGS:
        raise _damage(walk, start, f"a chunk of the unknown kind {tag}")
    if tag not in (_HEADER, _SAMPLES):
        return True
    ident = walk.file.read(4)
    if len(ident) < 4:
        return False
    stream = struct.unpack("<I", ident)[0]
    if tag == _HEADER:
        walk.streams[stream] = _stream(walk, start, length - 6)
        return True
    return _samples(walk, start, stream, length - 6)


def _stream(walk: _Walk, start: int, length: int) -> tuple[int, int]:
    if not 0 < length <= _MAX_HEADER:
        raise _damage(walk, start, "a stream header of an impossible size")
    text = walk.file.read(length).decode("utf-8", errors="replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _damage(walk, start, "a stream header that defines entities, which XDF has no use for,")
    count = re.search(r"<channel_count>\s*([0-9]{1,7})\s*</channel_count>", text)
    form = re.search(r"<channel_format>\s*(\w+)\s*</channel_format>", text)
    if count is None or form is None or form[1] not in _WIDTHS:
        raise _damage(walk, start, "a stream header without channel_count or channel_format")
    # one byte in front of each sample says whether a time stamp follows
    return 1 + int(count[1]) * _WIDTHS[form[1]], int(count[1])


def _samples(walk: _Walk, start: int, stream: int, length: int) -> bool:
    if stream not in walk.streams:
        raise _damage(walk, start, "samples of a stream that has no header")
    n = _number(walk.file)
    if n is None:
        return False
    smallest, n_channels = walk.streams[stream]
    if n < 0 or n * smallest > length:
        raise _damage(walk, start, f"a chunk of {length} bytes that claims {n} samples")
    walk.n_values += n * n_channels
    return True


def _damage(walk: _Walk, start: int, what: str) -> ReadError:
    return ReadError(
        f"{walk.name}: is damaged at byte {start} of {walk.size}: {what} stands there. "
        "Copy it again from the recording computer, or export it anew."
    )


#: Factors to SI by the unit that a stream names (XDF meta-data for EEG); EEG without a unit is taken for
#: microvolts.
_UNITS = {"microvolts": 1e-6, "microvolt": 1e-6, "uv": 1e-6, "µv": 1e-6, "μv": 1e-6, "": 1e-6}
_UNITS |= {"millivolts": 1e-3, "mv": 1e-3, "volts": 1.0, "volt": 1.0, "v": 1.0, "nanovolts": 1e-9, "nv": 1e-9}
#: A longer pause is none (our choice): the time between would have to be held in memory.
_LONGEST_PAUSE_H = 3.0
_TYPES = {"eeg": "eeg", "eog": "eog", "ecg": "ecg", "ekg": "ecg", "emg": "emg"}


def read_xdf(path: Path, wanted: str | None, name: str) -> tuple[BaseRaw, np.ndarray, tuple[str, ...]]:
    """Read one person's EEG stream.

    Stamps are put on the recording computer's clock by the file's own clock offsets; they are not smoothed, because
    smoothing hides gaps.

    Shapes: ``stamps`` (n_times,).
    """
    cut = check_chunks(path, name)
    streams, quiet = _load(path)
    stream = _choose(streams, wanted, name)
    stamps = np.asarray(stream["time_stamps"], dtype=float)
    rate = _nominal(stream, stamps, name)
    data = np.asarray(stream["time_series"], dtype=float).T
    labels, types, factors = _channels(stream, data.shape[0])
    data *= factors[:, None]
    raw = mne.io.RawArray(data, mne.create_info(labels, rate, types), verbose="WARNING")
    raw.set_annotations(_markers(streams, stamps, rate, name), verbose="WARNING")
    notes = (f"{name}: the file was cut off; what it holds was used",) if quiet or cut else ()
    return raw, stamps, notes


def _load(path: Path) -> tuple[list[dict[str, Any]], bool]:
    # pyxdf writes to the log what the stamps tell us better
    log = logging.getLogger("pyxdf.pyxdf")
    silenced, log.disabled = log.disabled, True
    try:
        streams, _ = pyxdf.load_xdf(str(path), synchronize_clocks=True, dejitter_timestamps=False, verbose=False)
    finally:
        log.disabled = silenced
    cut = any(not stream.get("footer") for stream in streams if len(stream["time_stamps"]))
    return streams, cut


def _tag(stream: dict[str, Any], key: str) -> str:
    found = stream["info"].get(key) or [""]
    return str(found[0] or "")


def _is_signal(stream: dict[str, Any]) -> bool:
    return _tag(stream, "channel_format") != "string" and float(_tag(stream, "nominal_srate") or 0) > 0


def _listed(streams: list[dict[str, Any]]) -> str:
    rows = [
        f"{_tag(s, 'name')[:30]!r} ({_tag(s, 'type')[:12] or '?'}, {len(s['time_stamps'])} samples)" for s in streams
    ]
    return "; ".join(rows[:8]) or "none"


def _choose(streams: list[dict[str, Any]], wanted: str | None, name: str) -> dict[str, Any]:
    signals = [stream for stream in streams if _is_signal(stream)]
    fits = signals if wanted is None else [s for s in signals if wanted in (_tag(s, "name"), _tag(s, "source_id"))]
    if not fits:
        known = [_tag(stream, "name") for stream in signals]
        what = "no stream with a sampling rate" if wanted is None else f"no stream called {wanted!r}"
        raise ReadError(
            f"{name}: has {what}.{did_you_mean(wanted or '', known)} Streams: {_listed(streams)}. Correct "
            "the channel rule."
        )
    # one device often sends EEG and its movement sensors under one name
    eeg = [stream for stream in fits if _tag(stream, "type").lower() == "eeg"]
    fits = eeg or fits
    if wanted is None and len(fits) > 1:
        fits = [stream for stream in fits if len(stream["time_stamps"])] or fits
    if len(fits) > 1:
        raise ReadError(
            f"{name}: {len(fits)} streams fit: {_listed(fits)}. Say which is whose in therapist_channels and "
            "client_channels: "
            "stream:NAME or stream:SOURCE_ID."
        )
    if len(fits[0]["time_stamps"]) < 2:
        raise ReadError(
            f"{name}: the stream {_tag(fits[0], 'name')[:30]!r} is empty. Streams: {_listed(streams)}. Record it again."
        )
    return fits[0]


def _nominal(stream: dict[str, Any], stamps: np.ndarray, name: str) -> float:
    rate = float(_tag(stream, "nominal_srate"))
    tenth = max(1, len(stamps) // 10)
    rises = bool(np.isfinite(stamps).all()) and np.median(stamps[-tenth:]) > np.median(stamps[:tenth])
    if not np.isfinite(rate) or rate <= 0 or not rises:
        raise ReadError(
            f"{name}: its stream gives no usable sampling rate ({rate:g} Hz) or time stamps. Record it again."
        )
    paused = (float(np.ptp(stamps)) - len(stamps) / rate) / 3600
    if paused > _LONGEST_PAUSE_H:
        raise ReadError(
            f"{name}: {len(stamps)} samples at {rate:g} Hz, but their time stamps leave {paused:.3g} h without any; "
            f"allowed are {_LONGEST_PAUSE_H:g} h. A stamp is damaged, or two recordings were joined: export each anew."
        )
    return rate


def _channels(stream: dict[str, Any], n: int) -> tuple[list[str], list[str], np.ndarray]:
    listed = _descriptions(stream)
    if len(listed) != n:
        listed = [{} for _ in range(n)]
    labels = [str((each.get("label") or [""])[0] or f"EEG{k + 1:03d}") for k, each in enumerate(listed)]
    kinds = [str((each.get("type") or [""])[0] or "eeg").lower() for each in listed]
    types = [_TYPES.get(kind, "misc") for kind in kinds]
    if "eeg" not in types and _tag(stream, "type").lower() == "eeg":
        types = ["eeg"] * n
    units = [str((each.get("unit") or [""])[0] or "").strip().lower() for each in listed]
    factors = [_UNITS.get(unit, 1.0) if kind != "misc" else 1.0 for unit, kind in zip(units, types, strict=True)]
    seen: dict[str, int] = {}
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
    labels = [label if seen[label] == 1 else f"{label}-{k}" for k, label in enumerate(labels)]
    return labels, types, np.array(factors)


def _descriptions(stream: dict[str, Any]) -> list[dict[str, Any]]:
    desc = (stream["info"].get("desc") or [None])[0]
    channels = (desc.get("channels") or [None])[0] if isinstance(desc, dict) else None
    found = channels.get("channel") if isinstance(channels, dict) else None
    return [each for each in found or [] if isinstance(each, dict)]


def _markers(streams: list[dict[str, Any]], stamps: np.ndarray, rate: float, name: str) -> mne.Annotations:
    marks = [stream for stream in streams if _holds_markers(stream) and len(stream["time_stamps"])]
    _check_twice(marks, name)
    rows: set[tuple[float, str]] = set()
    for stream in marks:
        for time, values in zip(stream["time_stamps"], stream["time_series"], strict=True):
            value = values[0] if isinstance(values, list | tuple | np.ndarray) else values
            rows.add((float(time), value if isinstance(value, str) else f"{value:g}"))
    pieces = fit_stamps(stamps, rate).pieces
    events = mne.Annotations([], [], [], orig_time=None)
    for time, text in sorted(rows):
        piece = min(pieces, key=lambda each: max(each.start - time, time - each.stop, 0.0))
        own = float(piece.to_own(np.array([time]))[0])
        if 0 <= own <= (len(stamps) - 1) / rate:
            events.append(own, 0.0, text or "marker")
    return events


def _holds_markers(stream: dict[str, Any]) -> bool:
    """Texts, or codes that come when they come, from what calls itself markers."""
    if _tag(stream, "channel_format") == "string":
        return True
    kind = _tag(stream, "type").lower()
    return float(_tag(stream, "nominal_srate") or 0) == 0 and any(
        word in kind for word in ("marker", "trigger", "stim")
    )


def _check_twice(marks: list[dict[str, Any]], name: str) -> None:
    for k, stream in enumerate(marks):
        for other in marks[:k]:
            same_name = (_tag(stream, "name"), _tag(stream, "source_id")) == (
                _tag(other, "name"),
                _tag(other, "source_id"),
            )
            if same_name and not np.array_equal(stream["time_stamps"], other["time_stamps"]):
                raise ReadError(
                    f"{name}: two marker streams have one name but differ: {_listed(marks)}. "
                    "Leave one of them out when exporting, or record them under two names."
                )
