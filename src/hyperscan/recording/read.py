"""A row of ``dyads.tsv`` to two recordings: read each person, pair epochs, find the parts to analyse."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import mne
import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, InputError, ReadError, count
from hyperscan.recording.annotations import find_trigger_lines, fresh_raw, with_events
from hyperscan.recording.files.bids import check_kinds, check_sidecar, stored_bytes, with_bids_tables, with_start_time
from hyperscan.recording.files.eeg import NO_LENGTH
from hyperscan.recording.files.epochs import common_epochs, common_times, keys_of_mne
from hyperscan.recording.files.pairs import SIGNAL_TYPES, check_same_file, compare_people, one_file
from hyperscan.recording.files.shared import read_shared_file
from hyperscan.recording.files.units import NOT_SUPPORTED
from hyperscan.recording.files.wavelengths import check_told, whole_pairs
from hyperscan.recording.guard import check_memory, check_names, guarded
from hyperscan.recording.pauses import mark_boundaries, restore_time
from hyperscan.recording.records import PairedRecording, PersonRecording, Segment, SharedSignal
from hyperscan.recording.resampling import on_own_stamps
from hyperscan.recording.windows import find_segments
from hyperscan.schema import ROLES, SPEAKS
from hyperscan.study.formats import FORMATS, Format, recognise
from hyperscan.study.selectors import Selector, parse_selector
from hyperscan.study.session import Session

#: Slowest and fastest rate that a recording may have, in Hz (our choice, wide): others are damage, and a recording
#: that lasts years by its rate would fill the memory as soon as it is brought to another one.
RATES_HZ = (0.1, 1e6)

# ---- one person


def read_person(
    path: Path, rule: str | None, *, modality: str, name: str, samples: bool = True, aside: str = ""
) -> PersonRecording:
    """Read one person's part of a file, and a channel that is nobody's where there is one called so.

    Without samples a flat line stands for the EEG, see :func:`load_heads`.
    """
    form = recognise(path, name)
    selector = _selector(rule, form, name)
    check_kinds(path, name)
    with guarded(name, form.name) as heard, mne.use_log_level("WARNING"):
        found = read_file(path, form, name, "" if selector is None or selector.picks_channels else selector.text)
        # a damaged type shows only when it is asked for
        found.data.get_channel_types()
    heard.warn(name)
    check_names(found.data.ch_names, name)
    # numpy drops a zero byte at the end of a name, so that nothing finds the channel again
    damaged = [number for number, each in enumerate(found.data.ch_names, start=1) if "\0" in each]
    if damaged:
        raise ReadError(
            f"{name}: the name of channel {damaged[0]} holds a zero byte, so its header is damaged. "
            "Copy it again, or export it anew."
        )
    _check_rate(found.data, name)
    check_sidecar(path, found.data.info["sfreq"], name)
    volts, table_notes = with_bids_tables(found.data, path, name)
    volts, strange = _known_units({**found.factors, **volts}, name)
    lines = find_trigger_lines(found.data) if modality == "eeg" else []
    table_notes += tuple(f"{name}: channel {number} was taken for a trigger line, by its name" for number in lines)
    table_notes += with_start_time(found.data, path, name)
    channels = _picked(found.data, selector, name)
    # a trigger channel serves both people
    channels = [each for each in channels if each != aside]
    own = tuple(each for each in channels if found.data.get_channel_types(picks=[each]) != ["stim"])
    if aside in found.data.ch_names:
        found.data.set_channel_types({aside: "misc"}, on_unit_change="ignore", verbose="WARNING")
        channels.append(aside)
    if samples or modality == "fnirs":
        data = _loaded(found.data, channels, name, form.name, stored_bytes(path))
    else:
        data = _flattened(found.data, channels, name, form.name, aside)
    for each in set(data.ch_names) & volts.keys():
        data.apply_function(lambda x, by: x * by, picks=[each], by=volts[each], verbose="WARNING")
    if modality == "eeg" and strange and "eeg" not in data.get_channel_types():
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}the unit of its {len(strange)} channels named after electrodes, which is not told "
            "or not known. Correct it in the header (uV, mV or V), or export the recording anew."
        )
    _check_modality(data, modality, name)
    length = () if form.tells_length else (f"{name}: {NO_LENGTH}",)
    notes = (*found.notes, *length, *table_notes, *(f"{name}: {note}" for note in heard.notes))
    if isinstance(data, BaseRaw):
        data, restored = restore_time(data, found.pauses, name)
        notes += restored
    if modality == "fnirs" and isinstance(data, BaseRaw):
        data, further = whole_pairs(data, name)
        notes += further
    # fNIRS names carry source, detector and wavelength: another name breaks mne.preprocessing.nirs
    if selector is not None and modality == "eeg":
        bare = {each: each if each == aside else selector.strip(each) for each in data.ch_names}
        if len(set(bare.values())) == len(bare):
            data.rename_channels({old: new for old, new in bare.items() if old != new}, verbose="WARNING")
    labels = own if selector is None else tuple(map(selector.strip, own))
    return replace(found, data=data, channels=own, labels=labels, notes=notes, pauses=(), factors={})


def _check_rate(data: BaseRaw | BaseEpochs, name: str) -> None:
    """Refuse a recording whose header does not tell how often samples were taken."""
    rate = float(data.info["sfreq"])
    n_times = data.n_times if isinstance(data, BaseRaw) else len(data.times)
    if not RATES_HZ[0] <= rate <= RATES_HZ[1] or n_times < 1:
        raise ReadError(
            f"{name}: its header gives a sampling rate of {rate:g} Hz and {n_times} samples, so the times of samples "
            f"are unknown: EEG and fNIRS have {RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz. Correct the header, or export the "
            "recording anew."
        )


def _known_units(factors: Mapping[str, float], name: str) -> tuple[dict[str, float], list[str]]:
    """Tell the factors that are known from channels whose unit is not, and warn of these."""
    unknown = [channel for channel, factor in factors.items() if math.isnan(factor)]
    if unknown:
        warnings.warn(
            f"{name}: the unit of {count(len(unknown), 'channel')} named after electrodes is not told or not known "
            f"({', '.join(unknown[:3])} ...); their values were taken for volts. Correct the unit in the header (uV, "
            "mV or V), or export it anew.",
            DataQualityWarning,
            stacklevel=3,
        )
    return {channel: factor for channel, factor in factors.items() if channel not in set(unknown)}, unknown


def channel_names(path: Path) -> list[str]:
    """Look at the channel names of a recording, as the file has them."""
    form = recognise(path, path.name)
    check_kinds(path, path.name)
    with guarded(path.name, form.name), mne.use_log_level("WARNING"):
        return list(read_file(path, form, path.name).data.ch_names)


def read_file(path: Path, form: Format, name: str, part: str = "") -> PersonRecording:
    """Call the reader of a format, with the part of the file that it is to read."""
    module, _, function = form.reader.partition(":")
    read = getattr(importlib.import_module(module), function)
    if module == "mne.io":
        return PersonRecording(read(path, preload=False, verbose="WARNING"))
    found: PersonRecording = read(path, name, part) if part else read(path, name)
    return found


def _selector(rule: str | None, form: Format, name: str) -> Selector | None:
    if rule is None:
        return None
    try:
        selector = parse_selector(rule)
    except InputError as error:
        raise ReadError(f"{name}: the channel rule {error} Correct it in dyads.tsv.") from None
    if not selector.picks_channels and form.selects != selector.kind:
        needs = " or ".join(each.name for each in FORMATS if each.selects == selector.kind)
        raise ReadError(
            f"{name}: the rule {rule!r} chooses a part of a {needs} file, but this is {form.name}. "
            "Choose channels instead: 1-32, prefix:T_, suffix:-0 or sources:1-8."
        )
    return selector


def _picked(data: BaseRaw | BaseEpochs, selector: Selector | None, name: str) -> list[str]:
    if selector is None or not selector.picks_channels:
        return list(data.ch_names)
    try:
        chosen = selector.pick(data.ch_names)
    except InputError as error:
        raise ReadError(f"{name}: the channel rule {error} Correct it in dyads.tsv.") from None
    # a trigger channel serves both people
    types = dict(zip(data.ch_names, data.get_channel_types(), strict=True))
    return [each for each in data.ch_names if each in set(chosen) or types[each] == "stim"]


def _loaded(data: BaseRaw | BaseEpochs, channels: list[str], name: str, kind: str, stored: int) -> BaseRaw | BaseEpochs:
    n_times = data.n_times if isinstance(data, BaseRaw) else len(data.times) * len(data.events)
    check_memory(n_times * len(channels), name, stored)
    with guarded(name, kind) as heard, mne.use_log_level("WARNING"):
        if isinstance(data, BaseEpochs):
            data.load_data()  # epochs that are not there cannot be picked
        if len(channels) < len(data.ch_names):
            data = data.copy().pick(channels, verbose="WARNING")
        if not data.preload:
            data.load_data()
    heard.warn(name)
    return data


def _flattened(
    data: BaseRaw | BaseEpochs, channels: list[str], name: str, kind: str, aside: str
) -> BaseRaw | BaseEpochs:
    """Keep trigger channels as they are, and one named and the first of every other type as a flat line."""
    types = dict(zip(data.ch_names, data.get_channel_types(), strict=True))
    first = {types[each]: each for each in reversed(channels)}
    kept = [each for each in channels if types[each] == "stim" or each in (first[types[each]], aside)]
    with guarded(name, kind) as heard, mne.use_log_level("WARNING"):
        if isinstance(data, BaseEpochs):
            data = data.load_data().pick(kept, verbose="WARNING")
        else:
            data = data.pick(kept, verbose="WARNING")
            flat = np.zeros((len(kept), data.n_times))
            lines = [row for row, each in enumerate(data.ch_names) if types[each] == "stim"]
            if lines:
                flat[lines] = data.get_data(picks=lines)
            data = fresh_raw(data, flat)
    heard.warn(name)
    return data


def _check_modality(data: BaseRaw | BaseEpochs, modality: str, name: str) -> None:
    types = set(data.get_channel_types())
    if types & set(SIGNAL_TYPES[modality]):
        return
    found = (
        "fNIRS"
        if types & {*SIGNAL_TYPES["fnirs"], "fnirs_fd_phase"}
        else "EEG"
        if "eeg" in types
        else "no EEG and no fNIRS"
    )
    wanted = "EEG" if modality == "eeg" else "fNIRS"
    raise ReadError(
        f"{name}: the row says modality {modality!r}, but the file holds {found} channels (no {wanted}). "
        "Correct the column modality, the channel rule or the file; both people need one modality."
    )


# ---- two people

#: Columns that say which time of a recording is used, or where it lies; epochs have neither.
_OF_TIME = ("start_s", "stop_s", "segment_event", "therapist_offset_s", "client_offset_s")


def pair_epochs(session: Session, therapist: PersonRecording, client: PersonRecording) -> PairedRecording:
    """Join the epochs that both people have."""
    a, b = therapist.data, client.data
    for column in _OF_TIME:
        if getattr(session, column) not in (None, 0.0):
            raise ReadError(
                f"{session.key}: {column} is given, and the recordings are epochs, which are not cut or moved any more."
                "\nLeave it empty and export the epochs of each part to files of their own, or name continuous ones."
            )
    same = len(a.times) == len(b.times) and np.isclose(a.info["sfreq"], b.info["sfreq"], rtol=1e-6)
    if not same or not np.isclose(a.tmin, b.tmin, atol=0.5 / a.info["sfreq"]):
        raise ReadError(
            f"{session.relative(session.client_file)}: its epochs run from {b.tmin:g} to {b.tmax:g} s at "
            f"{b.info['sfreq']:g} Hz, the "
            f"therapist's from {a.tmin:g} to {a.tmax:g} s at {a.info['sfreq']:g} Hz. Cut both alike."
        )
    names = " and ".join(session.relative(path) for path in (session.therapist_file, session.client_file))
    keys = [person.epochs or keys_of_mne(person.data) for person in (therapist, client)]
    first, second, how = common_epochs(keys[0], keys[1], names)
    times = common_times(keys[0], keys[1], (first, second), names)
    lost = len(a) - len(first), len(b) - len(second)
    note = (
        f"{count(len(first), 'epoch')} common to both people paired by {how}; {lost[0]} of the therapist's and "
        f"{lost[1]} of the "
        "client's have no partner and were left out"
    )
    raws = [_joined(epochs, rows) for epochs, rows in ((a, first), (b, second))]
    length = len(a.times) / a.info["sfreq"]
    segments = tuple(Segment(k * length, length, session.task) for k in range(len(first)))
    history = tuple(dict.fromkeys((*therapist.notes, *client.notes, note)))
    return PairedRecording(raws[0], raws[1], session, segments, history=history, epoched=True, epoch_times=times)


def _joined(epochs: BaseEpochs, rows: np.ndarray) -> BaseRaw:
    data = epochs[rows].get_data(copy=False)
    n_epochs, n_channels, n_times = data.shape
    flat = np.ascontiguousarray(data.transpose(1, 0, 2).reshape(n_channels, n_epochs * n_times))
    raw = mne.io.RawArray(flat, epochs.info, verbose="WARNING")
    # filters of mne leave these joints alone
    joints = np.arange(1, n_epochs) * n_times / epochs.info["sfreq"]
    return fresh_raw(raw, annotations=mne.Annotations(joints, 0.0, "EDGE boundary", orig_time=None))


def load_session(session: Session) -> PairedRecording:
    """Read the two people of a session.

    Splitting comes first, so the two never meet in a filter, a reference or a vote on bad channels. Values are
    left as the files hold them.

    Parameters
    ----------
    session : Session
        Row of ``dyads.tsv``.

    Returns
    -------
    PairedRecording
        Two preloaded raws of shape (n_channels, n_times), from 0 s on, in SI units, each on its own clock; ``clock``
        and ``quality`` are None. Trigger channels have become annotations. Epochs are joined in time order, one
        segment each.

    Raises
    ------
    ReadError
        If a file is missing, damaged, of an unknown format or another modality; if both rows name the same
        data, units differ, or epochs cannot be paired.

    Examples
    --------
    >>> import tempfile, mne, numpy as np
    >>> from pathlib import Path
    >>> from hyperscan.study.session import Session
    >>> root = Path(tempfile.mkdtemp())
    >>> info = mne.create_info(["Pz", "Oz"], 100.0, "eeg")
    >>> for seed, name in enumerate(["t-raw.fif", "c-raw.fif"]):
    ...     data = 1e-5 * np.random.default_rng(seed).standard_normal((2, 2000))
    ...     _ = mne.io.RawArray(data, info, verbose=False).save(root / name, verbose=False)
    >>> row = Session("D1", "T1", "C1", 1, "eeg", root / "t-raw.fif", root / "c-raw.fif", root)
    >>> pair = load_session(row)
    >>> pair.client.ch_names
    ['Pz', 'Oz']
    """
    return _paired(session, _read_people(session, samples=True), samples=True)


class Heads(NamedTuple):
    """What the files of a session tell without samples."""

    pair: PairedRecording
    #: Names of all channels of therapist and client
    labels: tuple[tuple[str, ...], ...]


def load_heads(session: Session) -> Heads:
    """Read what the headers, events and time stamps of a session tell: rates, lengths, clocks.

    One flat line stands for all EEG channels of a person, so that hours of recordings are looked at in seconds, and
    nothing that rests on samples is checked. fNIRS, which is small, is read.
    """
    people = _read_people(session, samples=False)
    if session.modality == "fnirs":
        for role, person in zip(ROLES, people, strict=True):
            check_told(person.data, f"{session.key}, {role}")
    return Heads(_paired(session, people, samples=False), tuple(person.labels for person in people))


def _read_people(session: Session, *, samples: bool) -> list[PersonRecording]:
    check_same_file(session)
    parts = (
        (session.therapist_file, session.therapist_channels),
        (session.client_file, session.client_channels),
    )
    people: list[PersonRecording] = []
    aside, is_found = session.shared_channel, False
    for path, rule in parts:
        name = session.relative(path)
        person = read_person(path, rule, modality=session.modality, name=name, samples=samples, aside=aside)
        if aside in person.data.ch_names and is_found:
            # the therapist's is taken
            person = replace(person, data=person.data.drop_channels([aside]))
        is_found = is_found or aside in person.data.ch_names
        people.append(person)
    if aside and not is_found:
        raise ReadError(
            f"{session.key}: shared_file names the channel {aside!r}, and neither recording has one called so. "
            "Correct its name, or give the signal as a file."
        )
    return people


def _paired(session: Session, people: Sequence[PersonRecording], *, samples: bool) -> PairedRecording:
    therapist, client = people
    epoched = [isinstance(person.data, BaseEpochs) for person in (therapist, client)]
    if any(epoched) and not all(epoched):
        raise ReadError(
            f"{session.relative(session.therapist_file if epoched[0] else session.client_file)}: holds epochs, the "
            "other person's file is continuous. Export both the same way."
        )
    if all(epoched) and session.shared_file is not None:
        raise ReadError(
            f"{session.key}: shared_file is given, and the recordings are epochs, whose time it cannot be put on. "
            "Leave it empty, or give continuous recordings."
        )
    pair = (pair_epochs if all(epoched) else pair_raws)(session, therapist, client)
    pair = pair.replace(samples=samples or session.modality == "fnirs")
    return compare_people(pair, therapist, client)


def pair_raws(session: Session, therapist: PersonRecording, client: PersonRecording) -> PairedRecording:
    """Mark events and pauses of two continuous recordings, and find the parts to analyse."""
    raws: list[BaseRaw] = []
    notes: list[str] = []
    aside = read_shared_file(session.files["shared"], session) if "shared" in session.files else None
    # time stamps of the two people are on one clock; else each recording's own put its samples in place
    one_clock = session.clock == "timestamps" or (one_file(session) and session.clock in (None, "same_amplifier"))
    shared = one_clock and therapist.stamps is not None and client.stamps is not None
    for person, path in ((therapist, session.therapist_file), (client, session.client_file)):
        raw, n_marked = mark_boundaries(with_events(fresh_raw(person.data)))
        if person.stamps is not None and not shared:
            raw, fit = on_own_stamps(raw, person.stamps)
            notes += [f"{session.relative(path)}: {note}" for note in fit.notes]
        if session.shared_channel in raw.ch_names:
            alone = raw.copy().pick([session.shared_channel], verbose="WARNING")
            aside = SharedSignal(alone, raw.info["sfreq"], ROLES[len(raws)])
            raw = raw.drop_channels([session.shared_channel])
        raws.append(raw)
        notes += person.notes
        if n_marked:
            notes.append(
                f"{session.relative(path)}: {count(n_marked, 'place')} where recording was cut or paused marked as bad"
            )
    pair = PairedRecording(raws[0], raws[1], session, history=tuple(dict.fromkeys(notes)), shared=aside)
    if one_clock and therapist.stamps is not None and client.stamps is not None:
        pair = pair.replace(stamps=(therapist.stamps, client.stamps))
    segments, role, note = find_segments(pair)
    if (session.segment_event or "").startswith(SPEAKS):
        pair = pair.replace(shared=None)  # masks that told the segments are constant inside them
    return pair.replace(segments=segments, segments_of=role, history=(*pair.history, *note))
