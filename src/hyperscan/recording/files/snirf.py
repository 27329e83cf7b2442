"""SNIRF files: one person per ``/nirs`` group, none dropped, gaps in time kept."""

from __future__ import annotations

import re
import tempfile
import warnings
from pathlib import Path

import h5py
import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, ReadError, count
from hyperscan.recording.annotations import fresh_raw, own_annotations
from hyperscan.recording.files.matlab import check_hdf5, check_heaps
from hyperscan.recording.pauses import open_gaps
from hyperscan.recording.timeline import find_breaks

_NIRS = re.compile(r"nirs[0-9]*")
_DATA = re.compile(r"data[0-9]*")
#: A step of more samples than this in the time vector is a gap (our choice; a clock error stays below one
#: sample).
_STEP = 0.75


def read_snirf(path: Path, group: str | None, name: str) -> tuple[BaseRaw, tuple[str, ...]]:
    """Read one person of a SNIRF file.

    MNE takes the sampling rate over gaps in the time vector, which moves everything behind a gap; here gaps are opened
    to their true length and annotated.
    """
    check_heaps(path, name)
    with h5py.File(path, "r") as file:
        chosen = _choose(sorted(key for key in file if _NIRS.fullmatch(key)), group, name)
        check_hdf5(file, name, f"/{chosen}")
        scale = _time_unit(file[chosen])
        times = scale * _check_block(file[chosen], name)
        events = _events(file[chosen], scale, times[0])
        orphans = _orphans(file[chosen], name)
    with warnings.catch_warnings():
        # said better below, where gaps are opened
        if find_breaks(times, 1 / float(np.median(np.diff(times))), step=_STEP).size:
            warnings.filterwarnings("ignore", message=".*jitter")
        raw = _read_group(path, chosen, orphans)
    notes = () if group is None else (f"{name}: person taken from group /{chosen}",)
    if orphans:
        note = f"{name}: {len(orphans)} fNIRS channels without their other wavelength were left out"
        warnings.warn(f"{note}. Export all wavelengths of every pair.", DataQualityWarning, stacklevel=2)
        notes = (*notes, note)
    return _with_gaps(fresh_raw(raw), times, events, name, notes)


def listed_light(path: Path, group: str | None) -> tuple[float, ...]:
    """List the wavelengths of a file that was read, in nm, in the order of its probe."""
    with h5py.File(path, "r") as file:
        chosen = group or next(key for key in file if _NIRS.fullmatch(key))
        held = file.get(f"{chosen}/probe/wavelengths")
        return () if held is None else tuple(float(value) for value in np.asarray(held).ravel())


def _time_unit(group: h5py.Group) -> float:
    tag = group["metaDataTags/TimeUnit"][()] if "metaDataTags/TimeUnit" in group else b"s"
    tag = np.asarray(tag).ravel()[0]
    text = tag.decode("latin-1") if isinstance(tag, bytes) else str(tag)
    return {"ms": 1e-3, "us": 1e-6}.get(text.strip().lower(), 1.0)


def _events(group: h5py.Group, scale: float, start: float) -> mne.Annotations:
    """Stimuli by the file's own time, counted from the first sample."""
    events = mne.Annotations([], [], [], orig_time=None)
    for key in sorted(key for key in group if key.startswith("stim")):
        if "data" not in group[key] or group[key]["data"].size == 0:
            continue
        label = np.asarray(group[key]["name"][()]).ravel()[0] if "name" in group[key] else key
        text = label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
        for row in np.atleast_2d(np.asarray(group[key]["data"], dtype=float)):
            length = row[1] * scale if row.size > 1 and row[1] > 0 else 0.0
            events.append(row[0] * scale - start, length, text)
    return events


def _with_gaps(
    raw: BaseRaw, times: np.ndarray, events: mne.Annotations, name: str, notes: tuple[str, ...]
) -> tuple[BaseRaw, tuple[str, ...]]:
    dt = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    breaks = find_breaks(times, 1 / dt, step=_STEP)
    if not breaks.size:
        return raw.set_annotations(_within(events, raw), verbose="WARNING"), notes
    lost = np.diff(times)[breaks - 1]
    if (lost < 0).any():
        raise ReadError(
            f"{name}: its time vector jumps back by {-lost.min():.1f} s. Nobody can tell which time is "
            "right: export it again."
        )
    missing = np.rint(lost / dt).astype(int) - 1
    # the rate between gaps: MNE's is taken over them
    rate = (len(times) - 1 - len(breaks)) / (times[-1] - times[0] - lost.sum())
    opened = open_gaps(raw, breaks, missing, sfreq=rate)
    gaps = own_annotations(opened)
    total = f"{name}: {count(len(breaks), 'gap')} in the time vector ({lost.sum():.1f} s) opened and marked as bad"
    return opened.set_annotations(gaps + _within(events, opened), verbose="WARNING"), (*notes, total)


def _within(events: mne.Annotations, raw: BaseRaw) -> mne.Annotations:
    end = raw.n_times / raw.info["sfreq"]
    keep = [k for k in range(len(events)) if -1e-9 <= events.onset[k] < end]
    return mne.Annotations(
        [max(float(events.onset[k]), 0.0) for k in keep],
        [float(min(events.duration[k], end - events.onset[k])) for k in keep],
        [str(events.description[k]) for k in keep],
        orig_time=None,
    )


def _choose(groups: list[str], group: str | None, name: str) -> str:
    listed = ", ".join(f"/{each}" for each in groups)
    if not groups:
        raise ReadError(f"{name}: is an HDF5 file without a /nirs group, so no SNIRF. Export it as SNIRF again.")
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


def _check_block(group: h5py.Group, name: str) -> np.ndarray:
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
    series, time = block["dataTimeSeries"], block["time"]
    if series.ndim != 2 or 0 in series.shape:
        raise ReadError(
            f"{name}: {series.name} has the shape {series.shape}; expected (times, channels). Export it again."
        )
    return _times(np.asarray(time, dtype=float).ravel(), series.shape[0], name)


def _times(time: np.ndarray, n_times: int, name: str) -> np.ndarray:
    # two numbers are start and step (SNIRF 1.1, /nirs(i)/data(j)/time)
    if time.size == 2 and n_times != 2:
        time = time[0] + time[1] * np.arange(n_times)
    if time.size != n_times or not np.isfinite(time).all() or (n_times > 1 and time[-1] <= time[0]):
        raise ReadError(
            f"{name}: its time vector has {time.size} values for {n_times} samples, or does not increase. "
            "The file is damaged: export it again."
        )
    return time


def _orphans(group: h5py.Group, name: str) -> list[int]:
    """Find measurements, from 0 on, whose pair lacks another wavelength: MNE refuses them."""
    block = group[next(key for key in group if _DATA.fullmatch(key))]
    listed = []
    for k in range(1, block["dataTimeSeries"].shape[1] + 1):
        if f"measurementList{k}" not in block:
            return []
        row = block[f"measurementList{k}"]
        keys = ("dataType", "sourceIndex", "detectorIndex", "wavelengthIndex")
        if any(key not in row for key in keys):
            return []
        listed.append(tuple(int(np.asarray(row[key][()]).ravel()[0]) for key in keys))
    waves: dict[tuple[int, int], set[int]] = {}
    for kind, source, detector, wave in listed:
        if kind != 1:
            return []
        waves.setdefault((source, detector), set()).add(wave)
    most = max((len(found) for found in waves.values()), default=0)
    if most < 2:
        raise ReadError(
            f"{name}: no source-detector pair has two wavelengths, so haemoglobin cannot be computed. "
            "Export all wavelengths."
        )
    return [k for k, row in enumerate(listed) if len(waves[row[1], row[2]]) < most]


def _read_group(path: Path, chosen: str, orphans: list[int]) -> BaseRaw:
    if chosen == "nirs" and not orphans:
        return mne.io.read_raw_snirf(path, preload=True, verbose="WARNING")
    # a file of its own with one group called /nirs, the only one that MNE knows
    with tempfile.TemporaryDirectory(prefix="hyperscan-") as folder:
        alone = Path(folder) / "person.snirf"
        with h5py.File(path, "r") as source, h5py.File(alone, "w") as target:
            source.copy(source["formatVersion"], target)
            source.copy(source[chosen], target, name="nirs")
            if orphans:
                _drop(target["nirs"], orphans)
        return mne.io.read_raw_snirf(alone, preload=True, verbose="WARNING")


def _drop(group: h5py.Group, orphans: list[int]) -> None:
    block = group[next(key for key in group if _DATA.fullmatch(key))]
    series = np.asarray(block["dataTimeSeries"])
    del block["dataTimeSeries"]
    block["dataTimeSeries"] = np.delete(series, orphans, axis=1)
    kept = [k for k in range(series.shape[1]) if k not in set(orphans)]
    for k in orphans:
        del block[f"measurementList{k + 1}"]
    for new, old in enumerate(kept):
        if new != old:
            block.move(f"measurementList{old + 1}", f"measurementList{new + 1}")
