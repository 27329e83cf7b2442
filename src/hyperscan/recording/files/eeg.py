"""EEG files whose headers are checked before MNE reads them: EDF, BDF, EEGLAB, EGI, Curry, eXimia."""

from __future__ import annotations

import datetime
import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import mne
import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.errors import ReadError, count
from hyperscan.recording.annotations import fresh_raw, is_break, is_trigger_line, own_annotations, with_events
from hyperscan.recording.files.epochs import keys_of_eeglab
from hyperscan.recording.files.matlab import check_matlab
from hyperscan.recording.files.units import NOT_SUPPORTED, factor_to_si, is_electrode
from hyperscan.recording.guard import check_memory
from hyperscan.recording.pauses import GAP, find_cuts, open_gaps
from hyperscan.recording.records import PersonRecording

#: Share of a recording that may be missing at its end before it is refused (BAD_INPUT practice; our choice).
MAX_CUT = 0.01

#: Note on a file that does not tell its length.
NO_LENGTH = "does not say how long it is: a copy that was cut short could not be told"


def cut_off(name: str, held_s: float, announced_s: float) -> ReadError:
    """Say how much of a recording is missing."""
    return ReadError(
        f"{name}: is cut off: it holds {held_s:.1f} of {announced_s:.1f} s that its header announces "
        f"({100 * (1 - held_s / announced_s):.0f} % missing, at most {100 * MAX_CUT:.0f} % is allowed). "
        "Copy it again, or export the part that is left."
    )


def header_text(path: Path) -> str:
    """Read a header that is text: UTF-8, or else what Windows writes in Western countries."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


# ---- EDF and BDF


@dataclass(frozen=True)
class OwnLine:
    """A trigger line of an EDF or BDF file whose rate is not that of the EEG."""

    #: Number among the signals that are no annotations, first byte and values within a record
    place: int
    first: int
    n_values: int
    #: From stored to physical values
    gain: float
    offset: float


@dataclass(frozen=True)
class EdfHeader:
    """What the fixed part of an EDF or BDF header says."""

    #: Size of the header and of one data record, in bytes
    header_bytes: int
    record_bytes: int
    #: Announced data records; -1 = not known when writing began
    n_records: int
    #: Length of a record, in s
    record_s: float
    #: EDF+D: records need not follow each other in time
    discontinuous: bool
    #: First byte and number of bytes of every annotation signal within a record
    annotations: tuple[tuple[int, int], ...]
    #: Samples of all signals in a record
    n_values: int
    #: Whole data records that the file holds
    n_held: int
    #: Unit of each signal that is no annotation
    units: tuple[str, ...] = ()
    #: Trigger lines with a rate of their own
    own_lines: tuple[OwnLine, ...] = ()


def read_edf_header(path: Path, name: str) -> EdfHeader:
    """Read sizes from an EDF or BDF header."""
    with path.open("rb") as file:
        fixed = file.read(256)
        try:
            n_signals = int(fixed[252:256])
            signals = file.read(256 * n_signals)
            samples = [int(signals[216 * n_signals + 8 * k :][:8]) for k in range(n_signals)]
            n_records, record_s = int(fixed[236:244]), float(fixed[244:252])
        except ValueError as error:
            raise ReadError(
                f"{name}: its header is cut off or damaged (a size is no number). Copy it again, or export it anew."
            ) from error
    labels = [signals[16 * k : 16 * k + 16].strip() for k in range(n_signals)]
    is_mark = [label in (b"EDF Annotations", b"BDF Annotations") for label in labels]
    if n_signals >= 1 and all(is_mark):
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}a file of annotations only, which holds no signal. Name the recording that it "
            "belongs to."
        )
    if not 0 < record_s < math.inf:
        raise ReadError(
            f"{name}: its header gives data records of {record_s:g} s, so the sampling rate is unknown. Correct the "
            "duration of a data record in its header (as with EDFbrowser), or export it anew."
        )
    if n_signals < 1 or len(signals) < 256 * n_signals or min(samples) < 0 or sum(samples) == 0:
        raise ReadError(f"{name}: its header is cut off or announces no samples. Copy it again, or export it anew.")
    width = 3 if fixed[0] == 0xFF else 2
    starts = np.concatenate([[0], np.cumsum(samples)]) * width
    annotations = tuple((int(starts[k]), samples[k] * width) for k in range(n_signals) if is_mark[k])
    dimensions = signals[96 * n_signals : 104 * n_signals].decode("latin-1")
    units = tuple(dimensions[8 * k : 8 * k + 8].strip(" \0") for k in range(n_signals) if not is_mark[k])
    header_bytes, record_bytes = 256 * (n_signals + 1), width * sum(samples)
    return EdfHeader(
        header_bytes,
        record_bytes,
        n_records,
        record_s,
        fixed[192:197] in (b"EDF+D", b"BDF+D"),
        annotations,
        sum(samples),
        (path.stat().st_size - header_bytes) // record_bytes,
        units,
        _own_lines(signals, samples, starts, is_mark),
    )


def _own_lines(
    signals: bytes, samples: Sequence[int], starts: np.ndarray, is_mark: Sequence[bool]
) -> tuple[OwnLine, ...]:
    """Find trigger lines of another rate than the fastest other signal, by their names in the header."""
    n, found = len(samples), []
    held = [k for k in range(n) if not is_mark[k]]
    lines = [k for k in held if is_trigger_line(signals[16 * k : 16 * k + 16].decode("latin-1"))]
    most = max((samples[k] for k in held if k not in lines), default=0)
    for place, k in enumerate(held):
        if k in lines and samples[k] > 0 and samples[k] != most > 0:
            low, high, first, last = (float(signals[n * field + 8 * k :][:8]) for field in (104, 112, 120, 128))
            gain = (high - low) / (last - first)
            found.append(OwnLine(place, int(starts[k]), samples[k], gain, low - gain * first))
    return tuple(found)


def check_edf(header: EdfHeader, name: str) -> tuple[str, ...]:
    """Compare what an EDF or BDF file holds with what its header announces."""
    if header.n_records == -1:
        return (f"{name}: its header does not say how long it is; all {header.n_held} records were used",)
    if header.n_records < 1 or header.n_held < 1:
        raise ReadError(f"{name}: holds no data record. Copy it again, or export it anew.")
    lost = 1 - header.n_held / header.n_records
    if lost > MAX_CUT:
        raise cut_off(name, header.n_held * header.record_s, header.n_records * header.record_s)
    check_memory(header.n_records * header.n_values, name)
    if lost <= 0:
        return ()
    missing_s = (header.n_records - header.n_held) * header.record_s
    return (f"{name}: the last {missing_s:.1f} s announced by its header are missing",)


def record_onsets(path: Path, header: EdfHeader, name: str) -> np.ndarray:
    """Read the times of the data records of a discontinuous EDF+ or BDF+ file.

    Shapes: returns (n_records,).
    """
    if not header.annotations:
        raise ReadError(
            f"{name}: is discontinuous (EDF+D), but no annotation signal says when its records began. Export it anew."
        )
    records = np.memmap(path, np.uint8, "r", header.header_bytes, (header.n_held, header.record_bytes))
    first, n = header.annotations[0]
    onsets = []
    for record in records[:, first : first + n]:
        found = re.match(rb"([+-][0-9]+(?:\.[0-9]+)?)\x14", record.tobytes())
        if found is None:
            raise ReadError(f"{name}: a record of this discontinuous file does not say when it began. Export it anew.")
        onsets.append(float(found[1]))
    return np.array(onsets)


#: An annotation of EDF+: when it was, how long it took, and its texts (EDF+ specification, 2.2.2).
_TAL = re.compile(rb"([+-][0-9]+(?:\.[0-9]*)?)(?:\x15([0-9]+(?:\.[0-9]*)?))?\x14([^\0]*)\0")


def record_events(path: Path, header: EdfHeader, channels: Sequence[str]) -> mne.Annotations:
    """Read the events of an EDF+ or BDF+ file in true time: MNE drops those beyond what was recorded without gaps."""
    records = np.memmap(path, np.uint8, "r", header.header_bytes, (header.n_held, header.record_bytes))
    found: dict[tuple[float, float, str], None] = {}  # an event of several channels is one
    for first, n in header.annotations:
        for record in records[:, first : first + n]:
            for onset, length, texts in _TAL.findall(record.tobytes()):
                for text in filter(None, texts.decode("utf-8", errors="replace").split("\x14")):
                    said, _, channel = text.rpartition("@@")
                    found[float(onset), float(length or 0), said if channel in channels else text] = None
    onsets, lengths, texts = zip(*found, strict=True) if found else ((), (), ())
    return mne.Annotations(onsets, lengths, texts, orig_time=None)


def line_events(path: Path, header: EdfHeader, channels: Sequence[str], starts: np.ndarray) -> mne.Annotations:
    """Read the events of trigger lines that have a rate of their own: MNE would bring their codes to that of EEG.

    Shapes: ``starts`` (n_records,), the time of each record in s.
    """
    records = np.memmap(path, np.uint8, "r", header.header_bytes, (header.n_held, header.record_bytes))
    width = header.record_bytes // header.n_values
    events = mne.Annotations([], [], [])
    for line in header.own_lines:
        n = line.n_values
        stored = np.zeros((header.n_held, n, 4), np.uint8)
        stored[:, :, 4 - width :] = records[:, line.first : line.first + n * width].reshape(header.n_held, n, width)
        values = line.gain * (stored.view("<i4").reshape(1, -1) >> 8 * (4 - width)) + line.offset
        info = mne.create_info([channels[line.place]], n / header.record_s, "stim")
        found = own_annotations(with_events(mne.io.RawArray(values, info, verbose="WARNING")))
        at = np.rint(found.onset * n / header.record_s).astype(int)
        found.onset = starts[at // n] + at % n * header.record_s / n
        events += found
    return events


def read_edf(path: Path, name: str) -> PersonRecording:
    """Read an EDF or BDF file, gaps of a discontinuous one opened."""
    header = read_edf_header(path, name)
    notes = check_edf(header, name)
    onsets = record_onsets(path, header, name) if header.discontinuous else _told_onsets(path, header, name)
    with warnings.catch_warnings():
        # events after the recorded length are read below, where the gaps make room for them
        if onsets is not None and np.ptp(onsets) > (len(onsets) - 0.5) * header.record_s:
            warnings.filterwarnings("ignore", ".*annotation.*outside")
        raw = _read_by_mne(path, None if header.own_lines else "auto")
    starts = header.record_s * np.arange(header.n_held) if onsets is None else onsets
    codes = line_events(path, header, raw.ch_names, starts)
    # their values stay as they are, and are no triggers any more
    lines = [raw.ch_names[line.place] for line in header.own_lines]
    raw.set_channel_types(dict.fromkeys(lines, "misc"), on_unit_change="ignore", verbose="WARNING")
    notes += tuple(f"{name}: trigger line {line[:20]!r} was read at a rate of its own" for line in lines)
    if onsets is not None:
        raw, opened = open_records(raw, onsets, record_events(path, header, raw.ch_names) + codes, name)
        notes += opened
    elif len(codes):
        raw.set_annotations(own_annotations(raw) + codes, verbose="WARNING")
    return PersonRecording(raw, notes=notes, factors=find_factors(raw, header.units, _EDF_UNITS))


def _read_by_mne(path: Path, lines: str | None) -> BaseRaw:
    """Read a file lazily, or as a whole where its name has an older ending, which MNE refuses.

    ``lines`` says whether MNE looks for trigger lines: one of a higher rate than EEG stretches the time of all.
    """
    if path.suffix.lower() == ".bdf":
        return mne.io.read_raw_bdf(path, stim_channel=lines, preload=False, verbose="WARNING")
    if path.suffix.lower() == ".edf":
        return mne.io.read_raw_edf(path, stim_channel=lines, preload=False, verbose="WARNING")
    with path.open("rb") as file:
        return mne.io.read_raw_edf(file, stim_channel=lines, preload=True, verbose="WARNING")


#: Units that MNE reads in EDF and BDF files; it takes others for volts.
_EDF_UNITS = ("uV", "\u00b5V", "\u03bcV", "\x83\xcaV", "mV")


def find_factors(raw: BaseRaw | BaseEpochs, units: Sequence[str], read: Sequence[str]) -> dict[str, float]:
    """Find factors to V for units that the reader does not know; NaN for electrodes whose unit nobody knows."""
    if len(units) != len(raw.ch_names):
        return {}
    factors: dict[str, float] = {}
    for channel, unit, kind in zip(raw.ch_names, units, raw.get_channel_types(), strict=True):
        factor = factor_to_si(unit, "V") if unit else None
        if kind == "stim" or unit in read:
            continue
        if factor is not None:
            factors[channel] = factor
        elif is_electrode(channel):
            factors[channel] = math.nan
    return factors


def _told_onsets(path: Path, header: EdfHeader, name: str) -> np.ndarray | None:
    """Read the times of the records of a file that calls itself continuous, where they leave one out.

    Shapes: returns (n_records,).
    """
    if not header.annotations or header.record_s <= 0:
        return None
    try:
        onsets = record_onsets(path, header, name)
    except ReadError:
        return None
    steps = np.diff(onsets) / header.record_s
    return onsets if (steps > 1.5).any() and (steps > 0.5).all() else None


def open_records(
    raw: BaseRaw, onsets: np.ndarray, events: mne.Annotations, name: str
) -> tuple[BaseRaw, tuple[str, ...]]:
    """Open the gaps between data records, which MNE reads as if there were none; events are in the time of records.

    Shapes: ``onsets`` (n_records,).
    """
    sfreq = raw.info["sfreq"]
    per_record = raw.n_times / len(onsets)
    # true time ahead of recorded time, in samples; what is written is rounded to a millisecond or so
    ahead = (onsets - onsets[0]) * sfreq - per_record * np.arange(len(onsets))
    rounding = max(0.75, 2e-3 * sfreq)
    if (np.diff(ahead) < -rounding).any():
        raise ReadError(f"{name}: its records overlap in time. The file is damaged: export it anew.")
    rows = np.flatnonzero(np.diff(ahead) > rounding)
    missing = np.diff(np.rint([0.0, *ahead[rows + 1]])).astype(int)
    if not rows.size:
        return raw, ()
    check_memory((raw.n_times + int(missing.sum())) * len(raw.ch_names), name, raw.n_times * len(raw.ch_names))
    opened = open_gaps(fresh_raw(raw), np.rint((rows + 1) * per_record).astype(int), missing)
    gaps = own_annotations(opened)
    gaps.delete(np.flatnonzero(gaps.description != GAP))
    # events of EDF+ are given in true time, which the opened recording has again
    events.onset -= onsets[0]
    note = f"{name}: {count(rows.size, 'gap')} ({missing.sum() / sfreq:.1f} s) opened and marked as bad"
    return fresh_raw(opened, annotations=gaps + events), (note,)


# ---- other formats


def read_eeglab(path: Path, name: str) -> PersonRecording:
    """Read a continuous EEGLAB recording or its epochs."""
    check_matlab(path, name)
    try:
        raw = mne.io.read_raw_eeglab(path, preload=False, verbose="WARNING")
    except FileNotFoundError as error:
        raise ReadError(
            f"{name}: its data part (.fdt) is not there. Copy the .fdt file beside the .set file."
        ) from error
    except TypeError as error:
        # MNE's way of saying that the file holds trials
        if "trials" not in str(error):
            raise
        epochs = mne.io.read_epochs_eeglab(path, verbose="WARNING")
        return PersonRecording(epochs, epochs=keys_of_eeglab(path, len(epochs)))
    data, n_values = Path(raw.filenames[0]), raw.n_times * len(raw.ch_names)
    if data.suffix == ".fdt" and data.stat().st_size // 4 < n_values:
        raise ReadError(
            f"{name}: its data part (.fdt) holds {data.stat().st_size // 4} of {n_values} values: it was cut off. "
            "Copy it again."
        )
    if not any(map(is_break, raw.annotations.description)):
        return PersonRecording(raw)
    # the raw's own annotations are cut to its end, and a pause may be longer than what is left
    return PersonRecording(raw, pauses=find_cuts(mne.read_annotations(path), raw.info["sfreq"]))


def read_egi(path: Path, name: str) -> PersonRecording:
    """Read an EGI simple binary file that is not segmented."""
    with path.open("rb") as file:
        version = file.read(4)[3]
    # odd versions of simple binary are cut into segments, without the time between them
    if version % 2:
        raise ReadError(
            f"{name}: is a segmented EGI file, which does not tell the time between its segments. "
            "Export the continuous recording (MFF, or simple binary that is not segmented)."
        )
    return PersonRecording(mne.io.read_raw_egi(path, preload=False, verbose="WARNING"))


def read_mff(path: Path, name: str) -> PersonRecording:
    """Read an EGI MFF folder, with how long its events last, which MNE leaves out."""
    del name
    raw = mne.io.read_raw_egi(path, preload=False, verbose="WARNING")
    began, sfreq = raw.info["meas_date"], raw.info["sfreq"]
    lasting: dict[tuple[int, str], float] = {}
    for file in sorted(path.glob("Events*.xml")):
        for event in ElementTree.parse(file).getroot().findall("{*}event"):
            start, code = (event.findtext(f"{{*}}{key}", "") for key in ("beginTime", "code"))
            # microseconds, of which some files write nanoseconds
            moment = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", start))
            sample = round((moment - began).total_seconds() * sfreq)
            lasting[sample, code] = float(event.findtext("{*}duration", "0")) / 1e9
    events = own_annotations(raw)
    places = zip(np.rint(events.onset * sfreq).astype(int), events.description, strict=True)
    told = [lasting.get((int(sample), str(code)), 0.0) for sample, code in places]
    events.duration = np.maximum(events.duration, told)
    return PersonRecording(raw.set_annotations(events, verbose="WARNING"))


def read_curry(path: Path, name: str) -> PersonRecording:
    """Read a Curry recording, whose parameters must be those that its reader follows."""
    headers = (*(path.with_name(path.name + ending) for ending in (".dpa", ".dpo")), path.with_suffix(".dap"))
    text = next((each.read_text(encoding="latin-1") for each in headers if each.is_file()), "")
    if re.search(r"DataSampOrder\s*=\s*CHAN", text):
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}one channel after the other (DataSampOrder = CHAN). Save it as raw float, sample "
            "by sample, or export it as EDF."
        )
    groups = re.findall(r"DataUnit\s*=\s*(\S*).*?NumChanThisGroup\s*=\s*([0-9]+)", text, re.DOTALL)
    units = [unit for unit, n in groups for _ in range(int(n))]
    data = mne.io.read_raw_curry(path, preload=False, verbose="WARNING")
    return PersonRecording(data, factors=find_factors(data, units, _CURRY_UNITS))


#: Units that MNE reads in Curry files; it takes others for volts.
_CURRY_UNITS = ("uV", "fT", "V")


def check_frames(data: Path, n_channels: int, width: int, label: str, skipped: int = 0) -> None:
    """Refuse data that are no whole number of frames of one value per channel, each of ``width`` bytes."""
    size, frame = data.stat().st_size - skipped, n_channels * width
    if size < frame or size % frame:
        raise ReadError(
            f"{label} holds {size} bytes, which is no whole number of frames of {frame} bytes ({n_channels} channels): "
            "it was cut off. Copy it again."
        )


def read_eximia(path: Path, name: str) -> PersonRecording:
    """Read an eXimia recording: frames of 64 channels of 16 bits, without a header."""
    check_frames(path, 64, 2, f"{name}:")
    return PersonRecording(mne.io.read_raw_eximia(path, preload=False, verbose="WARNING"))
