"""Annotations, triggers and markers: from channels to plain lists of times, in a raw of one's own."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable

import mne
import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.recording.start_times import is_told
from hyperscan.recording.timeline import is_near

#: Parts of a recording: first and last moment of each, in s.
Spans = list[tuple[float, float]]

#: Fields of an Info that say whose or when, and that no step needs.
_PERSONAL = (
    "subject_info",
    "experimenter",
    "description",
    "device_info",
    "helium_info",
    "proj_id",
    "proj_name",
)


def samples_of(raw: BaseRaw) -> np.ndarray:
    """Take all samples of a recording, to be read and not to be written to; MNE's ``get_data`` would copy them.

    Shapes: returns (n_channels, n_times).
    """
    return raw._data if raw.preload else raw.get_data()


def give_up_samples(raw: BaseRaw) -> None:
    """Free the memory of a recording that nobody reads any more; its length and header stay."""
    if raw.preload:
        raw._data = np.broadcast_to(np.zeros((1, 1)), raw._data.shape)
        raw._init_kwargs = {}  # MNE keeps what a raw was made from, and reads it nowhere


def fresh_raw(
    raw: BaseRaw,
    data: np.ndarray | None = None,
    *,
    sfreq: float | None = None,
    annotations: mne.Annotations | None = None,
    keep_date: bool = True,
) -> BaseRaw:
    """Build a new raw with the channels of another, and with its samples where no others are given.

    Shapes: ``data`` (n_channels, n_times).

    Examples
    --------
    >>> import mne, numpy as np
    >>> info = mne.create_info(["Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 100)), info, first_samp=50, verbose=False)
    >>> fresh_raw(raw).first_samp
    0
    """
    if annotations is None:
        annotations = own_annotations(raw)
    info = raw.info.copy()
    with info._unlock():
        for key in _PERSONAL:
            info[key] = None
        for key in ("file_id", "meas_id", "utc_offset"):
            info[key] = None
        info["proc_history"] = []
        info["hpi_meas"], info["hpi_results"], info["events"] = [], [], []
        info["sfreq"] = float(raw.info["sfreq"] if sfreq is None else sfreq)
        info["lowpass"] = min(info["lowpass"], info["sfreq"] / 2)
        info["meas_date"] = start_of(raw) if keep_date else None
    made = mne.io.RawArray(samples_of(raw) if data is None else data, info, verbose="WARNING")
    return made.set_annotations(annotations, verbose="WARNING")


def joined_spans(spans: Iterable[tuple[float, float]]) -> Spans:
    """Join spans that touch, in order.

    Examples
    --------
    >>> joined_spans([(2.0, 3.0), (0.0, 1.0), (1.0, 1.5)])
    [(0.0, 1.5), (2.0, 3.0)]
    """
    joined: Spans = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return joined


def start_of(raw: BaseRaw) -> datetime.datetime | None:
    """Tell when the first sample was taken: of a recording that was cut, MNE keeps when the whole of it began.

    A time in whole seconds stays one, as it is known to no more.

    Examples
    --------
    >>> raw = mne.io.RawArray(np.zeros((1, 900)), mne.create_info(["Cz"], 100.0, "eeg"), first_samp=500, verbose=False)
    >>> raw = raw.set_meas_date(datetime.datetime(2024, 3, 1, 10, 0, 5, tzinfo=datetime.UTC))
    >>> start_of(raw).isoformat()
    '2024-03-01T10:00:10+00:00'
    """
    date: datetime.datetime | None = raw.info["meas_date"]
    if date is None or not is_told(date):
        return date
    later_s = float(raw.first_time)
    return date + datetime.timedelta(seconds=later_s if date.microsecond else round(later_s))


def own_annotations(raw: BaseRaw) -> mne.Annotations:
    """Copy annotations with onsets in s from the first sample."""
    kept = raw.annotations
    return mne.Annotations(kept.onset - raw.first_time, kept.duration, list(kept.description), orig_time=None)


def marks(spans: Spans, label: str) -> mne.Annotations:
    """Annotate parts of a recording, all at once: each addition to annotations would sort all of them again."""
    return mne.Annotations([start for start, _ in spans], [end - start for start, end in spans], label, orig_time=None)


#: Annotations that mark damage, joints or the amplifier's own doings (ANT), not moments that two devices share.
_NO_EVENT = ("bad", "edge", "sync status", "impedance")
#: What writers and readers call a place where samples were cut out or recording was paused: how the name begins, in
#: lower case (EEGLAB; MNE; BrainVision; hyperscan; ANT), and whole names (EEGLAB with ``option_boundary99``, ERPLAB;
#: the new segment of GDF, also as Biosig hands it to EEGLAB).
BREAK_BEGINS = (
    "boundary",
    "bad boundary",
    "edge boundary",
    "new segment",
    "bad_boundary",
    "bad_disconnection",
    "amplifier disconnected",
    "amplifier reconnected",
)
BREAK_NAMES = ("-99", "-99.0", "32766", "32766.0")
#: Bit of BioSemi's status channel that is up where a recording began or was resumed, and those of the triggers.
_RESUMED, _CODES = 1 << 16, (1 << 16) - 1


#: How a trigger line is called where a reader takes it for EEG, as those of EDF, BDF and tables do.
_TRIGGER = re.compile(
    r"(trig(ger)?s?|trg|ttl|markers?|mrk|events?|stim(ulus)?|sti|status|din|sync)"
    r"([ _.-]?(in|input|line|channel|chan|ch))?[ _.-]?\d*",
    re.IGNORECASE,
)


def is_trigger_line(name: str) -> bool:
    """Whether a channel is called as trigger lines are.

    Examples
    --------
    >>> is_trigger_line("TRIG"), is_trigger_line("STI 014"), is_trigger_line("Triceps")
    (True, True, False)
    """
    return _TRIGGER.fullmatch(name.strip()) is not None


def find_trigger_lines(data: BaseRaw | BaseEpochs) -> list[int]:
    """Give channels that are called as trigger lines are the type of one, in place; their numbers, from 1 on."""
    kinds = enumerate(zip(data.ch_names, data.get_channel_types(), strict=True), start=1)
    found = {name: number for number, (name, kind) in kinds if kind == "eeg" and is_trigger_line(name)}
    data.set_channel_types(dict.fromkeys(found, "stim"), on_unit_change="ignore", verbose="WARNING")
    return list(found.values())


def trigger_codes(line: np.ndarray) -> np.ndarray:
    """Read the whole numbers of a trigger line, which a reader may have taken for volts; 0 and 1 of an analogue one.

    Shapes: ``line``, returns (n_times,).

    Examples
    --------
    >>> trigger_codes(np.repeat([0, 2e-6, 255e-6], 6))[::6], trigger_codes(np.array([0.01, 4.9, 0.02, 0.0]))
    (array([  0,   2, 255]), array([0, 1, 0, 0]))
    """
    line = np.where(np.isfinite(line), line, 0.0)
    for per_unit in (1.0, 1e3, 1e6, 1e9):
        codes = np.rint(per_unit * line)
        steady = per_unit == 1 or np.mean(np.diff(codes) != 0) <= _MOST_CHANGES
        if codes.any() and steady and np.abs(per_unit * line - codes).max() < _WHOLE:
            return codes.astype(np.int64)
    # two levels with little between them: how far is each sample from the level at rest
    height = np.abs(line - np.median(line))
    share = height / max(height.max(initial=0.0), np.finfo(float).tiny)
    if np.mean((share > 0.25) & (share < 0.75)) < 0.5 * np.mean(share >= 0.75):
        return (share > 0.5).astype(np.int64)
    return np.rint(line).astype(np.int64)


#: How far from a whole number a code may be: steps of a 16-bit file whose range is some thousand (our choice).
_WHOLE = 0.05
#: Codes stay for some samples; what changes in more of them is the noise of an analogue line in whole steps of its
#: converter (our choice).
_MOST_CHANGES = 0.2


def with_events(raw: BaseRaw) -> BaseRaw:
    """Turn trigger channels into annotations."""
    stims = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    if not stims:
        return raw
    onset, names = _channel_events(raw, stims)
    known = own_annotations(raw)
    dt = 1.0 / raw.info["sfreq"]
    # a mark of damage that begins at a trigger does not tell of it
    events = np.array([not is_technical(str(name)) for name in known.description], bool)
    told = is_near(onset, known.onset[events], 1.5 * dt)
    new = [k for k, name in enumerate(names) if is_break(name) or not told[k]]
    added = mne.Annotations(onset[new], 0.0, [names[k] for k in new], orig_time=None)
    bare = fresh_raw(raw).drop_channels(stims) if len(stims) < len(raw.ch_names) else raw
    return fresh_raw(bare, annotations=known + added)


#: Share of the samples that the most frequent value of a line must hold to be its resting level where it is not 0
#: (our choice: pulses are short). Lines that hold each code until the next one rest at no value but 0.
_RESTS = 0.6


def resting_level(values: np.ndarray) -> int:
    """Find the value that a trigger line has between its pulses: the most frequent one.

    Shapes: ``values`` (n_times,).

    Examples
    --------
    >>> resting_level(np.array([1, 0, 0, 0, 1, 0])), resting_level(np.array([255, 255, 255, 0, 255]))
    (0, 255)
    """
    levels, counts = np.unique(values, return_counts=True)
    most = int(np.argmax(counts))
    return int(levels[most]) if counts[most] >= _RESTS * len(values) else 0


def _channel_events(raw: BaseRaw, stims: list[str]) -> tuple[np.ndarray, list[str]]:
    rows: list[tuple[int, str]] = []
    for stim in stims:
        values = trigger_codes(raw.get_data(picks=[stim])[0])
        changes = np.flatnonzero(np.diff(values) != 0) + 1
        if stim.lower() == "status":
            resumed = np.flatnonzero(np.diff(values & _RESUMED) > 0) + 1
            rows += [(int(at), "New Segment/") for at in resumed]
            values &= _CODES
            changes = np.flatnonzero(np.diff(values) != 0) + 1
        # a pulse that is up at the first sample rose at an unknown time before
        left = changes[values[changes] != resting_level(values)]
        # a constant or ever-changing channel holds no triggers
        if len(left) > max(10, raw.n_times // 20):
            continue
        rows += [(int(at), str(values[at])) for at in left]
    rows.sort(key=lambda timed: timed[0])
    return np.array([at for at, _ in rows]) / raw.info["sfreq"], [name for _, name in rows]


def is_break(description: str) -> bool:
    """Whether an annotation is a place where samples were cut out or recording was paused.

    Examples
    --------
    >>> is_break("New Segment/LostSamples"), is_break("Stimulus/-99"), is_break("-9")
    (True, True, False)
    """
    parts = [part.strip().lower() for part in description.split("/")]
    return any(part.startswith(BREAK_BEGINS) or part in BREAK_NAMES for part in parts)


def is_technical(description: str) -> bool:
    """Whether an annotation marks damage or a joint, and no moment that two devices share."""
    return description.lower().startswith(_NO_EVENT) or is_break(description)


def event_times(raw: BaseRaw, only: str | None = None) -> tuple[np.ndarray, list[str]]:
    """List times and names of the events of a recording.

    Shapes: ``times`` (n_events,).
    """
    kept = own_annotations(raw)
    rows = sorted(
        (float(onset), str(name))
        for onset, name in zip(kept.onset, kept.description, strict=True)
        if not is_technical(str(name)) and (only is None or is_called(str(name), only))
    )
    return np.array([onset for onset, _ in rows]), [name for _, name in rows]


def is_called(name: str, wanted: str) -> bool:
    """Whether an event is the one of a given name, its kind aside.

    Examples
    --------
    >>> is_called("Stimulus/S  1", "S 1"), is_called("Stimulus/S  1", "S 11")
    (True, False)
    """
    held, sought = " ".join(name.split()), " ".join(wanted.split())
    return sought in (held, held.partition("/")[2])


def listed_events(raw: BaseRaw) -> str:
    """List the names of the events with their counts, for messages."""
    counts = Counter(name for name in event_times(raw)[1])
    return ", ".join(f"{name[:20]!r} ({n})" for name, n in counts.most_common(8)) or "none"
