"""XDF files: one person per stream, with the time stamps as they were recorded."""

from __future__ import annotations

import itertools
import logging
import re
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import mne
import numpy as np
import pyxdf

from hyperscan.errors import ReadError, count, did_you_mean
from hyperscan.recording.files.units import NOT_SUPPORTED, factor_to_si, is_electrode
from hyperscan.recording.guard import check_memory, check_names
from hyperscan.recording.records import PersonRecording
from hyperscan.recording.timeline import Piece, StampFit, fit_stamps

#: Bytes of one value by the stream's channel_format (XDF specification 1.0); a text has a length and may be empty.
_WIDTHS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4, "double64": 8, "string": 1}
#: Numbers that take as much memory as a text and its list.
_TEXT = 16
_SAMPLES, _HEADER = 3, 2
#: File header, stream header, samples, clock offset, boundary, stream footer.
_TAGS = range(1, 7)
#: A stream header describes channels: text, far below this (our choice).
_MAX_HEADER = 20_000_000


class _Announced(NamedTuple):
    """What a stream header says of its samples."""

    #: Bytes of the smallest sample
    smallest: int
    #: Numbers whose memory a sample takes, its time stamp among them
    n_values: int


@dataclass
class _Walk:
    """Where the walk over the chunks is, and what it met so far."""

    file: BinaryIO
    size: int
    name: str
    streams: dict[int, _Announced]
    #: First byte of the chunk that is looked at
    start: int = 0
    n_values: int = 0

    def number(self) -> int | None:
        """Read a length: its own width, then little-endian; None where the file ends within."""
        width = self.file.read(1)
        if not width:
            return None
        if width[0] not in (1, 4, 8):
            return -1
        content = self.file.read(width[0])
        return int.from_bytes(content, "little") if len(content) == width[0] else None

    def damage(self, what: str) -> ReadError:
        """Say what is wrong with the chunk."""
        return ReadError(
            f"{self.name}: is damaged at byte {self.start} of {self.size}: {what} stands there. "
            "Copy it again from the recording computer, or export it anew."
        )

    def header(self, length: int) -> _Announced:
        """Read a stream header of so many bytes."""
        if not 0 < length <= _MAX_HEADER:
            raise self.damage("a stream header of an impossible size")
        text = self.file.read(length).decode("utf-8", errors="replace")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise self.damage("a stream header that defines entities, which XDF has no use for,")
        count = re.search(r"<channel_count>\s*([0-9]{1,7})\s*</channel_count>", text)
        form = re.search(r"<channel_format>\s*(\w+)\s*</channel_format>", text)
        if count is None or form is None or form[1] not in _WIDTHS:
            raise self.damage("a stream header without channel_count or channel_format")
        # one byte in front of each sample says whether a time stamp follows
        n_channels, size = int(count[1]), _TEXT if form[1] == "string" else 1
        return _Announced(1 + n_channels * _WIDTHS[form[1]], 1 + n_channels * size)

    def samples(self, stream: int, length: int) -> bool:
        """Count the samples of a chunk of so many bytes; False where the file ends before they are told."""
        if stream not in self.streams:
            raise self.damage("samples of a stream that has no header")
        n = self.number()
        if n is None:
            return False
        announced = self.streams[stream]
        if n < 0 or n * announced.smallest > length:
            raise self.damage(f"a chunk of {length} bytes that claims {n} samples")
        self.n_values += n * announced.n_values
        return True

    def to_the_end(self) -> bool:
        """Walk all chunks; True where the file was cut off."""
        self.file.seek(4)
        while self.file.tell() < self.size:
            self.start = self.file.tell()
            length = self.number()
            if length is None:
                return True
            stop = self.file.tell() + length
            if length < 2:
                raise self.damage("a chunk without a length")
            head = self.file.read(2)
            if len(head) < 2:
                return True
            tag = struct.unpack("<H", head)[0]
            if tag not in _TAGS:
                raise self.damage(f"a chunk of the unknown kind {tag}")
            if tag in (_HEADER, _SAMPLES):
                ident = self.file.read(4)
                if len(ident) < 4:
                    return True
                stream = struct.unpack("<I", ident)[0]
                if tag == _HEADER:
                    self.streams[stream] = self.header(length - 6)
                elif not self.samples(stream, length - 6):
                    return True
            if stop > self.size:
                return True
            self.file.seek(stop)
        return False


def check_chunks(path: Path, name: str) -> bool:
    """Walk the chunks, refuse one that cannot be or claims more than memory holds, and tell of a file cut off."""
    with path.open("rb") as file:
        walk = _Walk(file, path.stat().st_size, name, {})
        cut = walk.to_the_end()
    check_memory(walk.n_values, name, walk.size)
    return cut


#: What streams write where they have no unit; EEG without one is taken for microvolts (XDF meta-data for EEG).
_NO_UNIT = ("", "n/a", "none", "unknown", "na")
#: Types of streams that hold signals of people, and those of them that do not say which.
_GENERAL = ("exg", "biosignal", "biosignals", "signal", "data")
_SIGNALS = ("eeg", *_GENERAL)
#: A longer pause is none (our choice): the time between would have to be held in memory.
_LONGEST_PAUSE_H = 3.0
#: Where the rate over a stretch differs from that between neighbours, and from the declared one, by more than this
#: share, samples are lost all the time, and no stretch tells the rate (our choice).
_MOST_OFF = 0.05
_FIELDS = ("name", "type", "source_id", "channel_format", "nominal_srate", "hostname", "uid")
_TYPES = {"eeg": "eeg", "eog": "eog", "ecg": "ecg", "ekg": "ecg", "emg": "emg"}
#: How streams call a channel of triggers.
_TYPES |= dict.fromkeys(
    ("trigger", "triggers", "trig", "stim", "stimulus", "marker", "markers", "event", "events", "status", "ttl"), "stim"
)
#: Types whose values have no unit of volts.
_UNITLESS = ("misc", "stim")


@dataclass(frozen=True)
class _Channel:
    """What a stream says of one of its channels."""

    label: str = ""
    kind: str = "eeg"
    unit: str = ""


@dataclass(frozen=True)
class _Stream:
    """One stream of an XDF file."""

    name: str
    source: str
    #: Computer that sent it, and its number, which no two streams share
    host: str
    uid: str
    #: What it calls itself, such as EEG or Markers, in lower case
    kind: str
    #: As in the file, for messages
    kind_shown: str
    is_text: bool
    #: In Hz; 0 where samples come when they come
    rate: float
    #: shape (n_times,): On the recording computer's clock, in s
    stamps: np.ndarray
    #: Rows of samples
    values: Any
    channels: tuple[_Channel, ...]
    #: Whether the file goes on to the stream's end
    is_whole: bool

    @property
    def names(self) -> set[str]:
        """What a channel rule may call it."""
        given = {self.name, self.source} - {""}
        return given | {f"{each}@{self.host}" for each in given if self.host} | {each for each in (self.uid,) if each}

    @property
    def is_signal(self) -> bool:
        """Whether samples come regularly."""
        return not self.is_text and self.rate > 0

    @property
    def holds_markers(self) -> bool:
        """Whether it holds texts, or codes that come when they come, and calls itself markers."""
        words = ("marker", "trigger", "stim")
        return self.is_text or (self.rate == 0 and any(word in self.kind for word in words))

    def fit(self, name: str) -> StampFit:
        """Fit the time stamps; refuse a rate or stamps that cannot be used."""
        rate, stamps = self.rate, self.stamps
        tenth = max(1, len(stamps) // 10)
        rises = bool(np.isfinite(stamps).all()) and np.median(stamps[-tenth:]) > np.median(stamps[:tenth])
        if not np.isfinite(rate) or rate <= 0 or not rises:
            raise ReadError(
                f"{name}: its stream gives no usable sampling rate ({rate:g} Hz) or time stamps. Record it again."
            )
        paused = (float(np.ptp(stamps)) - len(stamps) / rate) / 3600
        if paused > _LONGEST_PAUSE_H:
            raise ReadError(
                f"{name}: {len(stamps)} samples at {rate:g} Hz, but their time stamps leave {paused:.3g} h without "
                f"any; allowed are {_LONGEST_PAUSE_H:g} h. A stamp is damaged, or two recordings were joined: export "
                "each anew."
            )
        found = fit_stamps(stamps, rate)
        told, between = rate * (1 + 1e-6 * found.ppm), 1 / max(float(np.median(np.diff(stamps))), 1e-9)
        if min(abs(rate / told - 1), abs(between / told - 1)) > _MOST_OFF:
            raise ReadError(
                f"{name}: its stream declares {rate:g} Hz, but by their time stamps samples come at {told:.4g} Hz in "
                f"all and {between:.4g} Hz most of the time: some are lost again and again. Record it again, or export "
                "the part that is whole."
            )
        return found


def read_xdf(path: Path, name: str, part: str | None = None) -> PersonRecording:
    """Read one person's EEG stream, ``part`` being its name or source.

    Stamps are put on the recording computer's clock by the file's own clock offsets; they are not smoothed, because
    smoothing hides gaps.
    """
    cut = check_chunks(path, name)
    streams = _load(path)
    stream = _choose(streams, part, name)
    fit = stream.fit(name)
    # the time of its pauses is put back
    n_times = int(np.ptp(stream.stamps) * stream.rate) + 1
    check_memory(n_times * max(len(stream.channels), 1), name, path.stat().st_size)
    data = np.asarray(stream.values, dtype=float).T
    n = len(data)
    listed = stream.channels if len(stream.channels) == n else (_Channel(),) * n
    labels = [each.label or f"EEG{k:03d}" for k, each in enumerate(listed, start=1)]
    check_names(labels, name)
    times = Counter(labels)
    labels = [label if times[label] == 1 else f"{label}-{k}" for k, label in enumerate(labels)]
    types = _types(stream, listed, labels, name)
    units = ["" if each.unit.strip().lower() in _NO_UNIT else each.unit for each in listed]
    factors = [
        1.0 if kind in _UNITLESS else factor_to_si(unit or "uV", "V") for unit, kind in zip(units, types, strict=True)
    ]
    strange = [unit for unit, factor in zip(units, factors, strict=True) if factor is None]
    if strange:
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}the unit {strange[0][:12]!r} of {count(len(strange), 'channel')} of its stream. "
            "Known: V, mV, uV, nV, microvolts. Export it with one of these."
        )
    data *= np.array(factors, dtype=float)[:, None]
    raw = mne.io.RawArray(data, mne.create_info(labels, stream.rate, types), verbose="WARNING")
    raw.set_annotations(_markers(streams, stream, fit.pieces, name), verbose="WARNING")
    cut = cut or any(not each.is_whole for each in streams if len(each.stamps))
    notes = (f"{name}: the file was cut off; what it holds was used",) if cut else ()
    if any(not unit and kind not in _UNITLESS for unit, kind in zip(units, types, strict=True)):
        notes = (*notes, f"{name}: its stream gives no unit for channels, which were taken for microvolts")
    return PersonRecording(raw, stream.stamps, notes=notes)


def _types(stream: _Stream, listed: Sequence[_Channel], labels: Sequence[str], name: str) -> list[str]:
    """Tell what each channel is; amplifiers that call all inputs ExG are believed where labels are electrodes."""
    types = [_TYPES.get((each.kind or "eeg").lower(), "misc") for each in listed]
    if "eeg" in types:
        return types
    if stream.kind == "eeg":
        return ["stim" if kind == "stim" else "eeg" for kind in types]
    general = [(each.kind or stream.kind).lower() in _GENERAL or stream.kind in _GENERAL for each in listed]
    types = [
        "eeg" if kind == "misc" and is_general and is_electrode(label) else kind
        for kind, is_general, label in zip(types, general, labels, strict=True)
    ]
    if "eeg" not in types:
        raise ReadError(
            f"{name}: its stream {stream.name[:30]!r} (type {stream.kind_shown[:12] or '?'!r}) holds no EEG: of its "
            f"{len(listed)} channels none is of type EEG or named after an electrode. Name another stream, or record "
            "it with electrode names."
        )
    return types


def _load(path: Path) -> list[_Stream]:
    # pyxdf writes to the log what the stamps tell us better
    log = logging.getLogger("pyxdf.pyxdf")
    silenced, log.disabled = log.disabled, True
    try:
        streams, _ = pyxdf.load_xdf(str(path), synchronize_clocks=True, dejitter_timestamps=False, verbose=False)
    finally:
        log.disabled = silenced
    made = []
    for stream in streams:
        info = {key: str((stream["info"].get(key) or [""])[0] or "") for key in _FIELDS}
        desc = (stream["info"].get("desc") or [None])[0]
        held = (desc.get("channels") or [None])[0] if isinstance(desc, dict) else None
        listed = held.get("channel") if isinstance(held, dict) else None
        channels = [
            _Channel(*(str((each.get(key) or [""])[0] or "") for key in ("label", "type", "unit")))
            for each in listed or []
            if isinstance(each, dict)
        ]
        is_text = info["channel_format"] == "string"
        made.append(
            _Stream(
                info["name"],
                info["source_id"],
                info["hostname"],
                info["uid"],
                info["type"].lower(),
                info["type"],
                is_text,
                0.0 if is_text else float(info["nominal_srate"] or 0),
                np.asarray(stream["time_stamps"], dtype=float),
                stream["time_series"],
                tuple(channels),
                bool(stream.get("footer")),
            )
        )
    return made


def _ways(streams: list[_Stream]) -> str:
    """Say how each of several streams can be named alone; by their numbers where nothing else tells them apart."""
    told = []
    for each in streams:
        others = set().union(*(other.names for other in streams if other is not each))
        forms = (each.name, each.source, f"{each.name}@{each.host}", f"{each.source}@{each.host}", each.uid)
        told.append(next((f"stream:{form}" for form in forms if form in each.names - others), ""))
    if all(told):
        return " or ".join(told[:4])
    return "but nothing in the file tells them apart: export one of them to a file of its own"


def _listed(streams: list[_Stream]) -> str:
    rows = [f"{s.name[:30]!r} ({s.kind_shown[:12] or '?'}, {len(s.stamps)} samples)" for s in streams]
    return "; ".join(rows[:8]) or "none"


def _choose(streams: list[_Stream], wanted: str | None, name: str) -> _Stream:
    signals = [stream for stream in streams if stream.is_signal]
    fits = signals if wanted is None else [s for s in signals if wanted in s.names]
    irregular = [s for s in streams if not s.is_text and s.rate == 0 and not s.holds_markers]
    irregular = [s for s in irregular if (s.kind in _SIGNALS if wanted is None else wanted in s.names)]
    if irregular and not any(stream.kind in _SIGNALS for stream in fits):
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}the stream {irregular[0].name[:30]!r} declares an irregular rate (nominal_srate "
            "0), so its samples are on no even grid. Record it with its rate, or export it resampled as EDF or FIF."
        )
    if not fits:
        known = [stream.name for stream in signals]
        what = "no stream with a sampling rate" if wanted is None else f"no stream called {wanted!r}"
        raise ReadError(
            f"{name}: has {what}.{did_you_mean(wanted or '', known)} Streams: {_listed(streams)}. Correct "
            "the channel rule."
        )
    # one device often sends EEG and its movement sensors under one name
    eeg = [stream for stream in fits if stream.kind == "eeg"]
    fits = eeg or fits
    if wanted is None and len(fits) > 1:
        fits = [stream for stream in fits if len(stream.stamps)] or fits
    if len(fits) > 1:
        raise ReadError(
            f"{name}: {len(fits)} streams fit: {_listed(fits)}. Say which is whose in therapist_channels and "
            f"client_channels: {_ways(fits)}."
        )
    if len(fits[0].stamps) < 2:
        raise ReadError(
            f"{name}: the stream {fits[0].name[:30]!r} is empty. Streams: {_listed(streams)}. Record it again."
        )
    return fits[0]


def _markers(streams: list[_Stream], signal: _Stream, pieces: Sequence[Piece], name: str) -> mne.Annotations:
    """Place the markers of all streams on the samples of one."""
    marks = [stream for stream in streams if stream.holds_markers and len(stream.stamps)]
    for first, second in itertools.combinations(marks, 2):
        same_name = (first.name, first.source) == (second.name, second.source)
        if same_name and not np.array_equal(first.stamps, second.stamps):
            raise ReadError(
                f"{name}: two marker streams have one name but differ: {_listed(marks)}. "
                "Leave one of them out when exporting, or record them under two names."
            )
    rows: set[tuple[float, str]] = set()
    for stream in marks:
        for time, values in zip(stream.stamps, stream.values, strict=True):
            value = values[0] if isinstance(values, list | tuple | np.ndarray) else values
            rows.add((float(time), value if isinstance(value, str) else f"{value:g}"))
    ordered = sorted(rows)
    times = np.array([time for time, _ in ordered])
    # pieces follow each other; between two of them the nearer one counts
    until = [max(a.stop, (a.stop + b.start) / 2) for a, b in itertools.pairwise(pieces)]
    parts = np.split(times, np.searchsorted(times, until, side="right"))
    own = np.concatenate([piece.to_own(part) for piece, part in zip(pieces, parts, strict=True)])
    inside = np.flatnonzero((own >= 0) & (own <= (len(signal.stamps) - 1) / signal.rate))
    return mne.Annotations(own[inside], 0.0, [ordered[k][1] or "marker" for k in inside], orig_time=None)
