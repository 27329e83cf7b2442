"""Files next to a recording: its own parts, a JSON sidecar, and the ``channels.tsv`` and ``events.tsv`` of BIDS."""

from __future__ import annotations

import datetime
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

import mne
import numpy as np
import pandas as pd
from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, MachineError, ReadError, count, fault_of_machine
from hyperscan.recording.annotations import is_technical, own_annotations, start_of
from hyperscan.recording.files.units import factor_to_si
from hyperscan.recording.start_times import hour_hint, is_shifted, is_told
from hyperscan.storage import odd_kind
from hyperscan.study.formats import formats_named

_NAME = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*_(?:eeg|nirs)")
_LEVEL = re.compile(r"(?:sub|ses)-[A-Za-z0-9]+|eeg|nirs")
#: BIDS channel types that MNE has a type for (BIDS 1.10, tables of EEG and NIRS channels); the rest is ``misc``.
_TYPES = {
    "EEG": "eeg", "EOG": "eog", "HEOG": "eog", "VEOG": "eog", "ECG": "ecg", "EMG": "emg", "TRIG": "stim",
    "RESP": "resp", "GSR": "gsr", "TEMP": "temperature",
}  # fmt: skip
_LIGHT = {
    "NIRSCWAMPLITUDE": "fnirs_cw_amplitude",
    "NIRSCWOPTICALDENSITY": "fnirs_od",
    "NIRSCWHBO": "hbo",
    "NIRSCWHBR": "hbr",
}
#: Onsets in tables are rounded to a millisecond or so.
_ROUNDING_S = 1e-3
_NO_VALUE = ("", "n/a")
#: Start times further apart than this, in s, are two moments, not two roundings (our choice).
_START_S = 2.0
#: Rates that differ by more than this are two settings, not two roundings (our choice).
_SAME_RATE = 0.01


def files_of(path: Path) -> list[Path]:
    """List a recording's own file and the files next to it that belong to it.

    Examples
    --------
    >>> files_of(Path("gone.edf"))
    [PosixPath('gone.edf')]
    """
    if path.is_dir() or not path.exists():
        return [path]
    return [path, *(file for file in _beside(path) if file.is_file() and file != path)]


def stored_bytes(path: Path) -> int:
    """Add up the sizes of a recording's files."""
    inside = [file for each in files_of(path) for file in (each.rglob("*") if each.is_dir() else (each,))]
    return sum(file.stat().st_size for file in inside if file.is_file())


def check_kinds(path: Path, name: str) -> None:
    """Refuse a pipe, socket or device in a recording's folder or among the files that belong to it."""
    for file in sorted(path.rglob("*")) if path.is_dir() else _beside(path):
        if odd_kind(file):
            raise ReadError(f"{name}: {file.name[-60:]} next to it or in it is {odd_kind(file)}, no file. Remove it.")


def _beside(path: Path) -> list[Path]:
    """List where files may be that belong to a recording."""
    formats = formats_named(path)
    endings = [ending for form in formats for ending in form.companions]
    beside = [path.with_name(path.stem + ending) for ending in (*endings, ".json", ".tsv")]
    beside += [file for form in formats for file in form.further(path)]
    beside += bids_tables(path).values()
    scans = scans_table(path)
    beside += [scans] if scans else []
    return list(dict.fromkeys(beside))


def bids_tables(path: Path) -> dict[str, Path]:
    """Find the tables that belong to a recording by the inheritance principle of BIDS.

    Examples
    --------
    >>> bids_tables(Path("therapist.edf"))
    {}
    """
    if not _NAME.fullmatch(path.stem):
        return {}
    entities = set(path.stem.split("_")[:-1])
    found: dict[str, Path] = {}
    folder = path.parent
    while len(found) < 2:
        for kind in ("channels", "events"):
            near = [file for file in folder.glob(f"*_{kind}.tsv") if set(file.stem.split("_")[:-1]) <= entities]
            near += list(folder.glob(f"{kind}.tsv"))
            if near:
                found.setdefault(kind, max(sorted(near), key=lambda file: file.stem.count("_")))
        if not _LEVEL.fullmatch(folder.name):
            break
        folder = folder.parent
    return {kind: found[kind] for kind in ("channels", "events") if kind in found}


def scans_table(path: Path) -> Path | None:
    """Find the ``scans.tsv`` of a recording's session or person.

    Examples
    --------
    >>> scans_table(Path("therapist.edf")) is None
    True
    """
    folder = path.parent
    while _NAME.fullmatch(path.stem) and _LEVEL.fullmatch(folder.name):
        found = sorted(folder.glob("*_scans.tsv"))
        if found:
            return found[0]
        folder = folder.parent
    return None


def _once_each(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


@dataclass(frozen=True)
class Sidecar:
    """What a JSON file next to a recording declares; None for what it lacks or says in a wrong form."""

    #: SamplingFrequency, in Hz
    sfreq: float | None
    #: ChannelNames
    channels: tuple[str, ...] | None
    unit: str | None
    variable: str | None
    #: StartTime, in s
    start_s: float | None = None

    @classmethod
    def read(cls, path: Path) -> Sidecar:
        """Read JSON in which no key appears twice and every number is one."""
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_number)
        held = values if isinstance(values, dict) else {}
        names, unit = held.get("ChannelNames"), held.get("Unit")
        rate, start = (_finite(held.get(key)) for key in ("SamplingFrequency", "StartTime"))
        variable = held.get("Variable")
        listed = names if isinstance(names, list) else [None]
        return cls(
            rate,
            tuple(listed) if all(isinstance(each, str) and each for each in listed) else None,
            unit if isinstance(unit, str) else None,
            None if variable is None else str(variable),
            start,
        )


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def check_sidecar(path: Path, sfreq: float, name: str) -> None:
    """Compare a recording of a BIDS dataset with the JSON next to it."""
    beside = path.with_suffix(".json")
    if not path.stem.endswith(("_eeg", "_nirs")) or not beside.is_file():
        return
    try:
        rate = Sidecar.read(beside).sfreq
    except (ValueError, RecursionError, OverflowError) as error:
        raise ReadError(
            f"{name}: its sidecar {beside.name[-60:]} is not valid JSON ({type(error).__name__}; no key may stand "
            "twice, NaN is no number). Correct it, or remove it."
        ) from error
    if rate is not None and rate > 0 and abs(rate / sfreq - 1) > _SAME_RATE:
        warnings.warn(
            f"{name}: holds {sfreq:g} Hz, its sidecar says {rate:g} Hz; the recording is believed. Correct it.",
            DataQualityWarning,
            stacklevel=3,
        )


def with_bids_tables(data: BaseRaw | BaseEpochs, path: Path, name: str) -> tuple[dict[str, float], tuple[str, ...]]:
    """Take channel types, bad channels and events from the tables next to a recording, in place."""
    tables = bids_tables(path)
    volts: dict[str, float] = {}
    notes: list[str] = []
    if "channels" in tables:
        volts, taken = take_channels(data, tables["channels"], name)
        notes += taken
    if "events" in tables and isinstance(data, BaseRaw):
        notes += take_events(data, tables["events"], name)
    return volts, tuple(notes)


def with_start_time(data: BaseRaw | BaseEpochs, path: Path, name: str) -> tuple[str, ...]:
    """Take the start time from ``scans.tsv`` where the recording tells none, in place; report one that disagrees."""
    scans = scans_table(path)
    told = _acquired(scans, path, name) if scans else None
    if told is None:
        return ()
    is_raw = isinstance(data, BaseRaw)
    held: datetime.datetime | None = start_of(data) if is_raw else data.info["meas_date"]
    if held is None or not is_told(held) or is_shifted(held):
        # that of the first sample, where MNE wants that of what was cut away before it
        data.set_meas_date(told - datetime.timedelta(seconds=data.first_time if is_raw else 0.0))
        return (f"{name}: start time taken from its scans.tsv",)
    apart = (told - held).total_seconds()
    # both are cut to whole seconds by one writer or the other
    if abs(apart) > _START_S and not is_shifted(told):
        later = "after" if apart > 0 else "before"
        _warn(
            f"{name}: its scans.tsv lets it begin {abs(apart):.1f} s {later} the time in its header, which is believed."
            f"{hour_hint(apart)} Correct acq_time or the header."
        )
    return ()


def _acquired(scans: Path, path: Path, name: str) -> datetime.datetime | None:
    """Read when a recording began; None where the table does not say, or says what nobody knows."""
    table = _read(scans, name, "filename")
    own = PurePosixPath(path.relative_to(scans.parent).with_suffix("").as_posix())
    # a cell that names nothing has no ending to take off
    rows = table[[bool(each.strip("./")) and PurePosixPath(each).with_suffix("") == own for each in table["filename"]]]
    times = list(dict.fromkeys(rows.get("acq_time", pd.Series(dtype=str)).loc[lambda cells: ~cells.isin(_NO_VALUE)]))
    if not times:
        return None
    try:
        date = datetime.datetime.fromisoformat(times[0])
    except ValueError:
        date = None
    if date is None or len(times) > 1:
        _warn(
            f"{name}: its {scans.name[-60:]} gives no one acq_time for it ({_lines(list(rows.index))}); it is not "
            "used. Write one as 2009-06-15T13:45:30."
        )
        return None
    utc = date.replace(tzinfo=datetime.UTC) if date.tzinfo is None else date.astimezone(datetime.UTC)
    return utc if is_told(utc) else None


def _read(path: Path, name: str, *needed: str) -> pd.DataFrame:
    """Read a table as text; the index is the line number."""
    label = f"{name}: its {path.name[-60:]}"
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        if fault_of_machine(error):
            raise MachineError(f"{label} could not be read, because {fault_of_machine(error)}") from error
        raise ReadError(
            f"{label} cannot be read ({type(error).__name__}). Save it as UTF-8 text with tabs, or remove it."
        ) from error
    lacking = [column for column in needed if column not in table.columns]
    if lacking:
        raise ReadError(f"{label} has no column {lacking[0]!r}. Add it, or remove the table.")
    table.index = table.index + 2
    return table.map(str.strip)


def _warn(message: str) -> None:
    warnings.warn(message, DataQualityWarning, stacklevel=5)


def _lines(rows: Sequence[int]) -> str:
    return f"line{'s' if len(rows) > 1 else ''} " + ", ".join(map(str, rows[:8])) + (" ..." if len(rows) > 8 else "")


# ---- channels


def take_channels(data: BaseRaw | BaseEpochs, path: Path, name: str) -> tuple[dict[str, float], list[str]]:
    """Take types, bad channels and units from ``channels.tsv``, in place; factors are left to be applied."""
    table = _read(path, name, "name", "type")
    if {"source", "detector", "wavelength_nominal"} <= set(table.columns):
        # names as MNE has them: S1-D1 of a NIRS table is told apart by its wavelength
        optodes = table[["source", "detector", "wavelength_nominal"]]
        wave = table["wavelength_nominal"].str.removesuffix(".0")
        named = table["source"] + "_" + table["detector"] + " " + wave
        table["name"] = table["name"].where(optodes.isin(_NO_VALUE).any(axis=1), named)
    label = f"{name}: its {path.name[-60:]}"
    doubled = table.index[table["name"].duplicated()]
    if len(doubled):
        raise ReadError(f"{label} names a channel twice ({_lines(doubled)}). Correct the table.")
    _report_strangers(table, data, label)
    table = table[table["name"].isin(data.ch_names)].set_index("name")
    factors, n_units = _factors(data, table, label)
    notes = _set_types(data, table, label)
    if "status" in table.columns:
        bad = [str(each) for each in table.index[table["status"].str.casefold() == "bad"]]
        data.info["bads"] = list(dict.fromkeys([*data.info["bads"], *bad]))
        notes += [f"{count(len(bad), 'bad channel')}"] * bool(bad)
    if n_units:
        notes.append(f"units of {count(n_units, 'channel')}, which the recording does not tell")
    return factors, [f"{name}: taken from its channels.tsv: {'; '.join(notes)}"] if notes else []


def _report_strangers(table: pd.DataFrame, data: BaseRaw | BaseEpochs, label: str) -> None:
    types = dict(zip(data.ch_names, data.get_channel_types(), strict=True))
    absent = ~table["name"].isin(data.ch_names)
    if any(kind.startswith(("fnirs", "hb")) for kind in types.values()):
        # what a SNIRF file holds next to the light (accelerometer, pulse) is not read
        absent &= table["type"].str.upper().str.startswith("NIRS")
    strangers = list(table.index[absent])
    # trigger channels are often left out of the table
    unnamed = [each for each in data.ch_names if each not in set(table["name"]) and types[each] != "stim"]
    if strangers:
        _warn(
            f"{label} names {count(len(strangers), 'channel')} that the recording does not have ({_lines(strangers)}). "
            "Correct the table, or look whether it is the right one."
        )
    if unnamed:
        _warn(
            f"{label} does not name {count(len(unnamed), 'channel')} of the recording "
            f"(number {', '.join(str(data.ch_names.index(each) + 1) for each in unnamed[:8])}). Add them to the table."
        )


def _set_types(data: BaseRaw | BaseEpochs, table: pd.DataFrame, label: str) -> list[str]:
    held = dict(zip(data.ch_names, data.get_channel_types(), strict=True))
    new: dict[str, str] = {}
    wrong: list[str] = []
    for each, said in zip(map(str, table.index), table["type"].str.upper(), strict=True):
        if said.casefold() in _NO_VALUE:
            continue
        is_light = held[each].startswith(("fnirs", "hb"))
        if said.startswith("NIRS") or is_light:
            # which kind of light it is decides the steps that are taken, and is the recording's to say
            agrees = said.startswith("NIRS") == is_light and _LIGHT.get(said, held[each]) == held[each]
            wrong += [] if agrees else [each]
        elif _TYPES.get(said, "misc") != held[each]:
            new[each] = _TYPES.get(said, "misc")
    if wrong:
        _warn(
            f"{label} says another kind of signal than the recording for {count(len(wrong), 'channel')}; the recording "
            "is believed. Correct the table."
        )
    if not new:
        return []
    data.set_channel_types(new, on_unit_change="ignore", verbose="WARNING")
    return [f"types of {count(len(new), 'channel')}"]


def _volts(unit: str) -> float | None:
    """Find the volts of one unit in any usual spelling; None where none is told."""
    return None if unit in _NO_VALUE else factor_to_si(unit, "V")


def _factors(data: BaseRaw | BaseEpochs, table: pd.DataFrame, label: str) -> tuple[dict[str, float], int]:
    """Find volts per unit where the file tells none, with their number, and factors to whole numbers for triggers.

    A unit that differs from the file's is reported.
    """
    held: Mapping[str, str] = getattr(data, "_orig_units", None) or {}
    is_trigger = table["type"].str.upper() == "TRIG"
    volts, wrong = {}, []
    told = table[~is_trigger] if "units" in table.columns else table[:0]
    for each, said in zip(map(str, told.index), told.get("units", ()), strict=True):
        stated, here = _volts(said), held.get(each, "")
        if stated is not None and here == "n/a":
            volts[each] = stated
        elif None not in (stated, _volts(here)) and stated != _volts(here):
            wrong.append(each)
    if wrong:
        _warn(
            f"{label} says another unit than the recording for {count(len(wrong), 'channel')}; the recording is "
            "believed. Correct the table."
        )
    # the reader took them for volts
    taken = [each for each, kind in zip(data.ch_names, data.get_channel_types(), strict=True) if kind != "stim"]
    triggers = map(str, table.index[is_trigger & table.index.isin(taken)])
    units = {each: _volts(held.get(each, "")) for each in triggers}
    codes = {each: 1 / unit for each, unit in units.items() if unit is not None}
    return volts | codes, len(volts)


# ---- events


def take_events(raw: BaseRaw, path: Path, name: str) -> list[str]:
    """Take events from ``events.tsv``, in place."""
    table = _read(path, name, "onset")
    label = f"{name}: its {path.name[-60:]}"
    onset = pd.to_numeric(table["onset"], errors="coerce").to_numpy(float)
    inside = (onset >= 0) & (onset < raw.n_times / raw.info["sfreq"])
    if not inside.all():
        rows = list(table.index[~inside])
        _warn(
            f"{label} has {count(len(rows), 'event')} without a time within the recording ({_lines(rows)}); they are "
            "left out. Correct onset, in s from the start."
        )
    if not inside.any():
        return []
    words = pd.Series("", table.index)
    for column in ("value", "trial_type"):
        if column in table.columns:
            words = words.where(table[column].isin(_NO_VALUE), table[column])
    length = pd.to_numeric(table.get("duration", pd.Series("0", table.index)), errors="coerce").to_numpy(float)
    n_named, n_added, n_other = merge_events(
        raw, onset[inside], np.nan_to_num(length[inside]), words.to_numpy(str)[inside]
    )
    notes = [f"{count(n_added, 'event')} added"] if n_added else []
    notes += [f"names of {count(n_named, 'event')} of the recording"] if n_named else []
    notes += [f"{count(n_other, 'event')} of the recording not in the table, kept"] if n_other else []
    return [f"{name}: taken from its events.tsv: {'; '.join(notes)}"] if notes else []


def merge_events(raw: BaseRaw, onset: np.ndarray, length: np.ndarray, words: np.ndarray) -> tuple[int, int, int]:
    """Give events of the recording the table's names, add those it lacks; count named, added and other events.

    Shapes: ``onset``, ``length``, ``words`` (n_events,).
    """
    own = own_annotations(raw)
    held = list(zip(own.onset, own.duration, map(str, own.description), strict=True))
    tolerance = max(1.5 / raw.info["sfreq"], _ROUNDING_S)
    # moments of the recording in their order, and which of them no row of the table has taken yet
    free = {k: moment for k, (moment, _, text) in enumerate(held) if not is_technical(text)}
    numbers, moments = list(free), np.array(list(free.values()))
    # a little wider, because what counts is the difference itself
    first, stop = (np.searchsorted(moments, onset + side * 1.01 * tolerance) for side in (-1, 1))
    n_named = n_added = 0
    for at, seconds, word, a, b in zip(onset, length, words, first, stop, strict=True):
        around = [k for k in numbers[a:b] if k in free and abs(free[k] - at) <= tolerance]
        if not around:
            held.append((at, seconds, str(word) or "event"))
            n_added += 1
            continue
        near = min(around, key=lambda k: abs(free[k] - at))
        del free[near]
        moment, lasting, text = held[near]
        held[near] = (moment, lasting or seconds, str(word) or text)
        n_named += bool(word) and word != text
    rows = [list(column) for column in zip(*sorted(held), strict=True)]
    raw.set_annotations(mne.Annotations(*rows, orig_time=None), verbose="WARNING")
    return n_named, n_added, len(free)
