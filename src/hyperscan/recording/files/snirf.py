"""SNIRF files, versions 1.0 and 1.1: one person per ``/nirs`` group, each value by its own kind, unit and offset."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import mne
import numpy as np
from mne.io.constants import FIFF

from hyperscan.errors import ReadError, count
from hyperscan.hdf5 import check_heaps
from hyperscan.recording.files.matlab import check_hdf5
from hyperscan.recording.files.nirs import METRES, UNPLACED, build_light, guess_metres
from hyperscan.recording.files.units import NOT_SUPPORTED, factor_to_si, plain_unit
from hyperscan.recording.files.wavelengths import MAX_OFF_NM, SAME_LIGHT_NM
from hyperscan.recording.records import PersonRecording

_NIRS = re.compile(r"nirs[0-9]*")
_DATA = re.compile(r"data[0-9]*")
_LISTED = re.compile(r"measurementList([0-9]*)")
#: Units of time in s; a file without one means seconds (specification 1.1, ``time``).
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "unknown": 1.0, "": 1.0}
#: Samples per s that a device may take (our choice, wide): beyond them the unit of time is wrong.
_RATES_HZ = (0.2, 2000.0)
#: Kinds of value by ``dataType``, and by ``dataTypeLabel`` where that is 99999 (processed); the appendix of the
#: specification lists them.
_INTENSITY, _PROCESSED = 1, 99999
_LABELS = {"hbo": "hbo", "hbr": "hbr", "hbt": "hbt", "dod": "fnirs_od"}
_SHOWN = {
    "fnirs_cw_amplitude": "raw intensity",
    "fnirs_od": "optical density",
    "hbo": "HbO",
    "hbr": "HbR",
    "hbt": "HbT",
}
#: How coordinate systems of a template brain in MNI space begin (BIDS, appendix Coordinate systems), and its place in
#: head coordinates.
_MNI = ("MNI", "ICBM", "fsaverage")
_TEMPLATE_TRANS = Path(mne.__file__).parent / "data" / "fsaverage" / "fsaverage-trans.fif"
_UNREAD = ((100, "fluorescence"), (200, "frequency-domain"), (400, "time-domain"), (500, "diffuse correlation"))


@dataclass(frozen=True)
class _Measurement:
    """What a column of the data is."""

    source: int
    detector: int
    #: Number in the probe's list, from 1 on; 0 where none is given
    wavelength: int
    #: As MNE calls it; ``hbt`` for total haemoglobin, or how the specification calls what is not read
    kind: str
    unit: str
    #: Wavelength as it was measured, in nm; NaN where not told
    actual_nm: float


def read_snirf(path: Path, name: str, part: str | None = None) -> PersonRecording:
    """Read one person of a SNIRF file, ``part`` being the group.

    Gaps of the time vector are opened to their true length and annotated. Stimuli are in seconds whatever the unit of
    time is, as the specification has it.
    """
    check_heaps(path, name)
    with h5py.File(path, "r") as file:
        chosen = _choose(sorted(key for key in file if _NIRS.fullmatch(key)), part, name)
        check_hdf5(file, name, f"/{chosen}")
        group = file[chosen]
        block = _block(group, name)
        times = _times(group, block, name)
        columns = _measurements(block, name)
        kept, notes = _readable(columns, block.name, name)
        light = tuple(float(value) for value in np.ravel(group.get("probe/wavelengths", ())))
        values = _values(block, columns, name)[kept]
        columns = [columns[k] for k in kept]
        events, untold = _events(group, times[0])
        nominal, shared = _nominal(columns, light, name)
        places, frame, said = _places(group, columns, name)
        date = _date(group)
    names = [
        f"S{each.source}_D{each.detector} {nominal[each.wavelength] if each.kind.startswith('fnirs') else each.kind}"
        for each in columns
    ]
    twice = [each for each, n in Counter(names).items() if n > 1]
    if twice:
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}{count(len(twice), 'measurement')} of one source, detector and wavelength listed "
            f"more than once ({', '.join(twice[:3])}). Export each once."
        )
    for place, each in zip(places, columns, strict=True):
        place[9] = float(nominal[each.wavelength]) if each.kind.startswith("fnirs") else np.nan
    raw, opened = build_light(values, names, [each.kind for each in columns], places, times, events, name)
    with raw.info._unlock():
        raw.info["meas_date"] = date
        for channel in raw.info["chs"]:
            channel["coord_frame"] = frame
    first = () if part is None else (f"{name}: person taken from group /{chosen}",)
    if untold:
        notes += (f"{name}: {count(untold, 'stimulus', 'stimuli')} without a time left out",)
    return PersonRecording(raw, notes=(*first, *notes, *shared, *said, *opened), light=light)


def _choose(groups: list[str], group: str | None, name: str) -> str:
    listed = ", ".join(f"/{each}" for each in groups)
    if not groups:
        raise ReadError(
            f"{name}: is an HDF5 file without a /nirs group, so no SNIRF: another program's file. Export the recording "
            "as SNIRF (fNIRS), or as EDF, BrainVision or FIF (EEG)."
        )
    if group is None and len(groups) > 1:
        raise ReadError(
            f"{name}: holds several recordings ({listed}). Say which is whose: write one of these in "
            "therapist_channels "
            "and another in client_channels."
        )
    chosen = groups[0] if group is None else group.removeprefix("/")
    if chosen not in groups:
        raise ReadError(f"{name}: has no group '/{chosen}'. There: {listed}. Correct the channel rule in dyads.tsv.")
    return chosen


def _text(group: h5py.Group, key: str) -> str:
    """Read a text; empty where there is none."""
    if not isinstance(group.get(key), h5py.Dataset) or group[key].size == 0:
        return ""
    tag = np.ravel(group[key][()])[0]
    return (tag.decode("utf-8", "replace") if isinstance(tag, bytes) else str(tag)).strip().strip("\0")


def _number(group: h5py.Group, key: str, missing: float) -> float:
    """Read a number; the given one where there is none."""
    if not isinstance(group.get(key), h5py.Dataset) or group[key].size == 0:
        return missing
    return float(np.ravel(group[key][()])[0])


def _block(group: h5py.Group, name: str) -> h5py.Group:
    """Find the one data block of a group, and check what it must hold."""
    blocks = [key for key in group if _DATA.fullmatch(key)]
    if len(blocks) != 1:
        raise ReadError(
            f"{name}: {group.name} has {len(blocks)} data blocks, but only one can be analysed. "
            "Write one /data1 per person."
        )
    block = group[blocks[0]]
    missing = [key for key in ("dataTimeSeries", "time") if key not in block]
    if missing:
        raise ReadError(
            f"{name}: {block.name} lacks {' and '.join(missing)}: the file holds no recording. Export it again."
        )
    series = block["dataTimeSeries"]
    if series.ndim != 2 or 0 in series.shape:
        raise ReadError(
            f"{name}: {series.name} has the shape {series.shape}; expected (times, channels). Export it again."
        )
    return block


def _times(group: h5py.Group, block: h5py.Group, name: str) -> np.ndarray:
    """Read the time of each sample in s.

    Shapes: returns (n_times,).
    """
    unit = plain_unit(_text(group, "metaDataTags/TimeUnit"))
    if unit not in _SECONDS and unit.lower() not in _SECONDS:
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}the unit of time {unit[:12]!r} (TimeUnit). Known: s, ms, us, ns. Correct it, or "
            "export the recording again."
        )
    time, n_times = np.asarray(block["time"], dtype=float).ravel(), block["dataTimeSeries"].shape[0]
    # two numbers are start and step (SNIRF 1.1, /nirs(i)/data(j)/time)
    if time.size == 2 and n_times != 2:
        time = time[0] + time[1] * np.arange(n_times)
    rises = time.size == n_times and np.isfinite(time).all() and (n_times < 2 or time[-1] > time[0])
    if not rises or (n_times > 1 and np.median(np.diff(time)) <= 0):
        raise ReadError(
            f"{name}: its time vector has {time.size} values for {n_times} samples, or does not increase. "
            "The file is damaged: export it again."
        )
    time = time * _SECONDS.get(unit, _SECONDS.get(unit.lower(), 1.0))
    rate = 1 / float(np.median(np.diff(time))) if n_times > 1 else 1.0
    if not _RATES_HZ[0] <= rate <= _RATES_HZ[1]:
        raise ReadError(
            f"{name}: its times give {rate:g} samples per s where their unit is {unit or 'not told, so s'!r} "
            f"(TimeUnit); expected {_RATES_HZ[0]:g} to {_RATES_HZ[1]:g}. Correct TimeUnit, or export the recording "
            "again."
        )
    return time


# ---- what the columns are


def _measurements(block: h5py.Group, name: str) -> list[_Measurement]:
    """List what each column is, by ``measurementList1`` ... (1.0) or the arrays of ``measurementLists`` (1.1)."""
    n = block["dataTimeSeries"].shape[1]
    if isinstance(block.get("measurementLists"), h5py.Group):
        held = block["measurementLists"]
        arrays = {key: np.ravel(held[key][()]) for key in held if isinstance(held[key], h5py.Dataset)}
        wrong = [key for key in ("sourceIndex", "detectorIndex", "dataType") if len(arrays.get(key, ())) not in (1, n)]
        if wrong:
            raise ReadError(
                f"{name}: {wrong[0]} of {held.name} has {len(arrays.get(wrong[0], ()))} values for {n} channels. "
                "Export the recording again."
            )
        rows = {key: np.broadcast_to(row, n) for key, row in arrays.items() if len(row) in (1, n)}
        return [_measurement({key: row[k] for key, row in rows.items()}, name) for k in range(n)]
    numbers = sorted((int(found[1] or 1), key) for key in block if (found := _LISTED.fullmatch(key)))
    if len(numbers) != n:
        raise ReadError(
            f"{name}: {block.name} describes {len(numbers)} channels (measurementList) but holds {n}. "
            "Export the recording again."
        )
    return [
        _measurement(
            {
                key: np.ravel(item[()])[0]
                for key, item in block[listed].items()
                if isinstance(item, h5py.Dataset) and item.size
            },
            name,
        )
        for _, listed in numbers
    ]


def _measurement(row: Mapping[str, np.generic | bytes | str], name: str) -> _Measurement:
    missing = [key for key in ("sourceIndex", "detectorIndex", "dataType") if key not in row]
    if missing:
        raise ReadError(f"{name}: a channel of its measurementList has no {missing[0]}. Export the recording again.")
    texts = {
        key: held.decode("utf-8", "replace") if isinstance(held, bytes) else str(held) for key, held in row.items()
    }
    source, detector, kind = (int(float(texts[key])) for key in ("sourceIndex", "detectorIndex", "dataType"))
    label = texts.get("dataTypeLabel", "").strip().strip("\0")
    if kind == _INTENSITY:
        told = "fnirs_cw_amplitude"
    elif kind == _PROCESSED:
        told = _LABELS.get(label.lower(), f"{label[:12] or 'processed data without a dataTypeLabel'}")
    else:
        told = next((f"{shown} data" for below, shown in _UNREAD if kind <= below), "data of an unknown type")
        told = f"{told} (dataType {kind})"
    actual = float(texts.get("wavelengthActual", "nan") or "nan")
    wavelength = int(float(texts.get("wavelengthIndex", "0") or "0"))
    return _Measurement(source, detector, wavelength, told, plain_unit(texts.get("dataUnit", "")), actual or np.nan)


def _readable(columns: list[_Measurement], where: str, name: str) -> tuple[list[int], tuple[str, ...]]:
    """Choose the columns to read: all of one kind, or HbO and HbR without their sum."""
    counts = Counter(_SHOWN.get(each.kind, each.kind) for each in columns)
    listed = ", ".join(f"{n} of {kind}" for kind, n in counts.most_common(5))
    foreign = [kind for kind in counts if kind not in _SHOWN.values()]
    levels = {"blood" if kind in ("HbO", "HbR", "HbT") else kind for kind in counts}
    if foreign or len(levels) > 1 or set(counts) == {"HbT"}:
        fault = (
            f"{foreign[0]}"
            if foreign
            else "data types mixed in one block"
            if len(levels) > 1
            else "total haemoglobin (HbT) without HbO and HbR"
        )
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}{fault}; {where} holds channels {listed}. Read are raw intensity, optical "
            "density, or HbO and HbR: export one of these."
        )
    kept = [k for k, each in enumerate(columns) if each.kind != "hbt"]
    n_total = len(columns) - len(kept)
    note = f"{name}: {count(n_total, 'channel')} of total haemoglobin (HbT) left out: HbO and HbR hold it"
    return kept, (note,) if n_total else ()


def _values(block: h5py.Group, columns: list[_Measurement], name: str) -> np.ndarray:
    """Read the values with the offset of each channel, in SI units.

    Shapes: returns (n_channels, n_times).
    """
    data = np.asarray(block["dataTimeSeries"], dtype=float).T
    if isinstance(block.get("dataOffset"), h5py.Dataset) and block["dataOffset"].size:
        # "when added to dataTimeSeries, results in absolute data values" (SNIRF 1.1)
        offset = np.asarray(block["dataOffset"], dtype=float).ravel()
        if offset.size not in (1, len(data)) or not np.isfinite(offset).all():
            raise ReadError(
                f"{name}: its dataOffset has {offset.size} values for {len(data)} channels, or values that are no "
                "numbers, so absolute values are unknown. Export the recording again."
            )
        data = data + offset[:, None]
    is_blood = [each.kind in ("hbo", "hbr", "hbt") for each in columns]
    factors = [factor_to_si(each.unit, "M") if blood else 1.0 for each, blood in zip(columns, is_blood, strict=True)]
    strange = [each.unit for each, factor in zip(columns, factors, strict=True) if factor is None]
    if strange:
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}the unit {strange[0][:12]!r} of {count(len(strange), 'channel')} of haemoglobin "
            "(dataUnit). Known: M, mM, uM, nM, mol/L with such a prefix. Correct it, or export the recording again."
        )
    # what intensity is counted in does not matter: its ratios do
    return data * np.array(factors, dtype=float)[:, None]


# ---- the probe


def _nominal(
    columns: list[_Measurement], light: tuple[float, ...], name: str
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Give each wavelength of the probe a name in nm; sources with lasers of their own share those of one kind."""
    used = sorted({each.wavelength for each in columns if each.kind.startswith("fnirs")})
    wrong = [number for number in used if not 1 <= number <= len(light)]
    if wrong:
        raise ReadError(
            f"{name}: a channel has the wavelength number {wrong[0]}, but the probe lists {len(light)} wavelengths, "
            "counted from 1 on. Correct wavelengthIndex, or export the recording again."
        )
    for each in columns:
        if each.kind.startswith("fnirs") and abs(each.actual_nm - light[each.wavelength - 1]) > MAX_OFF_NM:
            raise ReadError(
                f"{name}: a channel of {light[each.wavelength - 1]:g} nm is said to be {each.actual_nm:g} nm "
                f"(wavelengthActual); at most {MAX_OFF_NM:g} nm apart are expected. Correct one of them."
            )
    # two wavelengths of one pair are two, however close
    pairs = {number: {(c.source, c.detector) for c in columns if c.wavelength == number} for number in used}
    groups: list[list[int]] = []
    for number in sorted(used, key=lambda number: light[number - 1]):
        near = bool(groups) and light[number - 1] - light[groups[-1][0] - 1] <= 2 * SAME_LIGHT_NM
        if near and not any(pairs[number] & pairs[other] for other in groups[-1]):
            groups[-1].append(number)
        else:
            groups.append([number])
    middle = [float(np.median([light[k - 1] for k in group])) for group in groups]
    form = ".0f" if len({round(value) for value in middle}) == len(groups) else "g"
    shown = {k: f"{value:{form}}" for value, group in zip(middle, groups, strict=True) for k in group}
    alike = [group for group in groups if len({round(light[k - 1]) for k in group}) > 1]
    note = (
        f"{name}: sources have lasers of their own; wavelengths up to {2 * SAME_LIGHT_NM:g} nm apart were taken as one"
    )
    return shown, (note,) if alike else ()


def _places(group: h5py.Group, columns: list[_Measurement], name: str) -> tuple[list[np.ndarray], int, tuple[str, ...]]:
    """Find middle, source and detector of each channel in m, in MNE's layout, and in which coordinates they are.

    NaN where the file has no places.
    """
    frame = int(_number(group, "metaDataTags/MNE_coordFrame", FIFF.FIFFV_COORD_UNKNOWN))
    probe = group["probe"] if isinstance(group.get("probe"), h5py.Group) else {}
    if isinstance(probe, h5py.Group) and _number(probe, "useLocalIndex", 0.0) != 0:
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}optodes counted within modules (useLocalIndex). Export the recording with one "
            "number for each source and detector."
        )
    dims = next((k for k in (3, 2) if {f"sourcePos{k}D", f"detectorPos{k}D"} <= set(probe)), 0)
    if not dims:
        return [np.full(12, np.nan) for _ in columns], frame, ()
    ends = {}
    for end in ("source", "detector"):
        places = np.asarray(probe[f"{end}Pos{dims}D"], dtype=float)
        # one optode may be written without the outer dimension
        places = places.reshape(-1, dims) if places.ndim < 2 and places.size % dims == 0 else places
        numbers = [getattr(each, end) for each in columns]
        if places.ndim != 2 or places.shape[1] < dims or not 1 <= min(numbers) <= max(numbers) <= len(places):
            raise ReadError(
                f"{name}: {end}s {min(numbers)} to {max(numbers)} are measured, counted from 1 on, but the probe's "
                f"{end}Pos{dims}D has the shape {places.shape}. Correct the probe, or export the recording again."
            )
        ends[end] = np.pad(places[:, :dims], ((0, 0), (0, 3 - dims)))[np.array(numbers) - 1]
    notes: tuple[str, ...] = (f"{name}: optode positions are two-dimensional",) if dims == 2 else ()
    unit = plain_unit(_text(group, "metaDataTags/LengthUnit"))
    if unit in METRES:
        factor = METRES[unit]
    else:
        factor, said = guess_metres(ends["source"] - ends["detector"], unit, "LengthUnit", name)
        notes += said
    ends = {end: factor * places for end, places in ends.items()}
    system = _text(group, "probe/coordinateSystem")
    if dims == 3 and system.startswith(_MNI):
        # regions are told by places in head coordinates, as MNE has them
        to_head = mne.transforms.invert_transform(mne.read_trans(_TEMPLATE_TRANS, verbose="error"))
        ends = {end: mne.transforms.apply_trans(to_head, places) for end, places in ends.items()}
        frame = FIFF.FIFFV_COORD_HEAD
        notes += (f"{name}: optode positions were taken from MNI to head coordinates",)
    if dims == 2 or frame != FIFF.FIFFV_COORD_HEAD:
        frame = FIFF.FIFFV_COORD_UNKNOWN
        notes += (f"{name}: {UNPLACED}",)
    found = []
    for source, detector in zip(ends["source"], ends["detector"], strict=True):
        found.append(np.array([*(source + detector) / 2, *source, *detector, np.nan, np.nan, np.nan]))
    return found, frame, notes


# ---- when


def _events(group: h5py.Group, start: float) -> tuple[mne.Annotations, int]:
    """List the stimuli in s from the first sample, and count those without a time."""
    found: list[tuple[float, float, str]] = []  # joined once: each addition to annotations would sort them again
    untold = 0
    for key in sorted(key for key in group if re.fullmatch(r"stim[0-9]*", key)):
        held = group[key].get("data") if isinstance(group[key], h5py.Group) else None
        if not isinstance(held, h5py.Dataset) or held.size == 0:
            continue
        text = _text(group[key], "name") or key
        for onset, *lasting in np.atleast_2d(np.asarray(held, dtype=float)):
            if np.isfinite(onset):
                length = lasting[0] if lasting and np.isfinite(lasting[0]) and lasting[0] > 0 else 0.0
                found.append((onset - start, length, text))
            untold += not np.isfinite(onset)
    onsets, lengths, texts = zip(*found, strict=True) if found else ((), (), ())
    return mne.Annotations(onsets, lengths, texts, orig_time=None), untold


def _date(group: h5py.Group) -> datetime.datetime | None:
    """Read when the recording began; None where the file does not tell it in the form of the specification."""
    said = [_text(group, f"metaDataTags/{key}") for key in ("MeasurementDate", "MeasurementTime")]
    try:
        found = datetime.datetime.fromisoformat("T".join(said))
    except ValueError:
        return None
    return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found.astimezone(datetime.UTC)
