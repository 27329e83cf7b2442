"""fNIRS files: one person per ``/nirs`` group of a SNIRF file, Homer's ``.nirs``, NIRx folders."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import h5py
import mne
import numpy as np
import scipy.io
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, ReadError, count
from hyperscan.recording.annotations import fresh_raw, own_annotations
from hyperscan.recording.files.matlab import check_hdf5, check_heaps, check_matlab
from hyperscan.recording.guard import check_memory
from hyperscan.recording.pauses import open_gaps
from hyperscan.recording.records import PersonRecording
from hyperscan.recording.timeline import find_breaks

#: A step of more samples than this in the time vector is a gap (our choice; a clock error stays below one sample).
_STEP = 0.75


# ---- SNIRF

_NIRS = re.compile(r"nirs[0-9]*")
_DATA = re.compile(r"data[0-9]*")


def read_snirf(path: Path, name: str, part: str | None = None) -> PersonRecording:
    """Read one person of a SNIRF file, ``part`` being the group.

    MNE takes the sampling rate over gaps in the time vector, which moves everything behind a gap; here gaps are opened
    to their true length and annotated.
    """
    check_heaps(path, name)
    with h5py.File(path, "r") as file:
        chosen = _choose(sorted(key for key in file if _NIRS.fullmatch(key)), part, name)
        check_hdf5(file, name, f"/{chosen}")
        group = file[chosen]
        unit = _label(group["metaDataTags/TimeUnit"]) if "metaDataTags/TimeUnit" in group else "s"
        scale = {"ms": 1e-3, "us": 1e-6}.get(unit.strip().lower(), 1.0)
        times = scale * _times(group, name)
        events = _events(group, scale, times[0])
        orphans = _orphans(group, name)
        light = tuple(float(value) for value in np.ravel(group.get("probe/wavelengths", ())))
    with warnings.catch_warnings():
        # said better below, where gaps are opened
        if find_breaks(times, 1 / float(np.median(np.diff(times))), step=_STEP).size:
            warnings.filterwarnings("ignore", message=".*jitter")
        raw = _read_group(path, chosen, orphans)
    notes = () if part is None else (f"{name}: person taken from group /{chosen}",)
    if orphans:
        note = f"{name}: {len(orphans)} fNIRS channels without their other wavelength were left out"
        warnings.warn(f"{note}. Export all wavelengths of every pair.", DataQualityWarning, stacklevel=2)
        notes = (*notes, note)
    raw, opened = _with_true_time(raw, times, events, name)
    return PersonRecording(raw, notes=(*notes, *opened), light=light)


def _label(item: h5py.Dataset) -> str:
    tag = np.ravel(item[()])[0]
    return tag.decode("utf-8", "replace") if isinstance(tag, bytes) else str(tag)


def _events(group: h5py.Group, scale: float, start: float) -> mne.Annotations:
    """List the stimuli by the file's own time, counted from the first sample."""
    events = mne.Annotations([], [], [], orig_time=None)
    for key in sorted(key for key in group if key.startswith("stim")):
        if "data" not in group[key] or group[key]["data"].size == 0:
            continue
        text = _label(group[key]["name"]) if "name" in group[key] else key
        for onset, *lasting in np.atleast_2d(np.asarray(group[key]["data"], dtype=float)):
            length = lasting[0] * scale if lasting and lasting[0] > 0 else 0.0
            events.append(onset * scale - start, length, text)
    return events


def _with_true_time(
    raw: BaseRaw, times: np.ndarray, events: mne.Annotations, name: str
) -> tuple[BaseRaw, tuple[str, ...]]:
    """Open the gaps of the time vector, and let the given events replace those of the recording.

    Shapes: ``times`` (n_times,).
    """
    notes: tuple[str, ...] = ()
    raw = fresh_raw(raw, annotations=mne.Annotations([], [], [], orig_time=None))
    dt = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    breaks = find_breaks(times, 1 / dt, step=_STEP)
    if breaks.size:
        lost = np.diff(times)[breaks - 1]
        if (lost < 0).any():
            raise ReadError(
                f"{name}: its time vector jumps back by {-lost.min():.1f} s. Nobody can tell which time is right: "
                "export it again."
            )
        # the rate between gaps: MNE's is taken over them
        rate = (len(times) - 1 - len(breaks)) / (times[-1] - times[0] - lost.sum())
        raw = open_gaps(raw, breaks, np.rint(lost / dt).astype(int) - 1, sfreq=rate)
        notes = (
            f"{name}: {count(len(breaks), 'gap')} in the time vector ({lost.sum():.1f} s) opened and marked as bad",
        )
    end = raw.n_times / raw.info["sfreq"]
    keep = [k for k in range(len(events)) if -1e-9 <= events.onset[k] < end]
    within = mne.Annotations(
        [max(float(events.onset[k]), 0.0) for k in keep],
        [float(min(events.duration[k], end - events.onset[k])) for k in keep],
        [str(events.description[k]) for k in keep],
        orig_time=None,
    )
    return raw.set_annotations(own_annotations(raw) + within, verbose="WARNING"), notes


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


def _times(group: h5py.Group, name: str) -> np.ndarray:
    """Check the one data block of a group, and read the time of each sample in the file's unit.

    Shapes: returns (n_times,).
    """
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
    time, n_times = np.asarray(block["time"], dtype=float).ravel(), block["dataTimeSeries"].shape[0]
    # two numbers are start and step (SNIRF 1.1, /nirs(i)/data(j)/time)
    if time.size == 2 and n_times != 2:
        time = time[0] + time[1] * np.arange(n_times)
    if time.size != n_times or not np.isfinite(time).all() or (n_times > 1 and time[-1] <= time[0]):
        raise ReadError(
            f"{name}: its time vector has {time.size} values for {n_times} samples, or does not increase. "
            "The file is damaged: export it again."
        )
    return time


@dataclass(frozen=True)
class _Measurement:
    """A column of SNIRF data, as its ``measurementList`` describes it."""

    data_type: int
    source: int
    detector: int
    wavelength: int


def _orphans(group: h5py.Group, name: str) -> list[int]:
    """Find measurements, from 0 on, whose pair lacks another wavelength: MNE refuses them."""
    block = group[next(key for key in group if _DATA.fullmatch(key))]
    listed: list[_Measurement] = []
    waves: dict[tuple[int, int], set[int]] = defaultdict(set)
    for k in range(1, block["dataTimeSeries"].shape[1] + 1):
        row = block.get(f"measurementList{k}", {})
        keys = ("dataType", "sourceIndex", "detectorIndex", "wavelengthIndex")
        if any(key not in row for key in keys):
            return []
        each = _Measurement(*(int(np.ravel(row[key][()])[0]) for key in keys))
        if each.data_type != 1:
            return []
        listed.append(each)
        waves[each.source, each.detector].add(each.wavelength)
    most = max((len(found) for found in waves.values()), default=0)
    if most < 2:
        raise ReadError(
            f"{name}: no source-detector pair has two wavelengths, so haemoglobin cannot be computed. "
            "Export all wavelengths."
        )
    return [k for k, each in enumerate(listed) if len(waves[each.source, each.detector]) < most]


def _read_group(path: Path, chosen: str, orphans: list[int]) -> BaseRaw:
    if chosen == "nirs" and not orphans:
        return mne.io.read_raw_snirf(path, preload=True, verbose="WARNING")
    # a file of its own with one group called /nirs, the only one that MNE knows
    with tempfile.TemporaryDirectory(prefix="hyperscan-") as folder:
        alone = Path(folder) / "person.snirf"
        with h5py.File(path, "r") as source, h5py.File(alone, "w") as target:
            source.copy(source["formatVersion"], target)
            source.copy(source[chosen], target, name="nirs")
            block = target["nirs"][next(key for key in target["nirs"] if _DATA.fullmatch(key))]
            series = np.asarray(block["dataTimeSeries"]) if orphans else np.zeros((0, 0))
            if orphans:
                del block["dataTimeSeries"]
                block["dataTimeSeries"] = np.delete(series, orphans, axis=1)
            for k in orphans:
                del block[f"measurementList{k + 1}"]
            for new, old in enumerate(k for k in range(series.shape[1]) if k not in set(orphans)):
                if new != old:
                    block.move(f"measurementList{old + 1}", f"measurementList{new + 1}")
        return mne.io.read_raw_snirf(alone, preload=True, verbose="WARNING")


# ---- Homer

_MM = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}


@dataclass(frozen=True)
class _Probe:
    """Where light is sent and seen, and which measurement is between which two places."""

    #: shape (n_measurements,): Source, detector and wavelength of each measurement, from 1 on
    source: np.ndarray
    detector: np.ndarray
    wavelength: np.ndarray
    #: Wavelengths in nm
    light: tuple[float, ...]
    #: shape (n_sources, 3) and (n_detectors, 3): Places in m
    sources: np.ndarray
    detectors: np.ndarray

    @classmethod
    def of(cls, held: object, name: str) -> _Probe:
        """Take what is needed from ``SD``."""
        fields = {}
        for key in ("MeasList", "Lambda", "SrcPos", "DetPos"):
            if getattr(held, key, None) is None:
                raise ReadError(f"{name}: its probe (SD) lacks {key}. Export it as SNIRF.")
            fields[key] = np.asarray(getattr(held, key), float)
        unit = np.ravel(getattr(held, "SpatialUnit", "mm"))
        factor = _MM.get(str(unit[0]) if unit.size else "mm", 1e-3)
        source, detector, _, wavelength, *_ = fields["MeasList"].astype(int).T
        light = tuple(float(value) for value in fields["Lambda"].ravel())
        return cls(source, detector, wavelength, light, factor * fields["SrcPos"], factor * fields["DetPos"])


def read_homer(path: Path, name: str) -> PersonRecording:
    """Read a Homer ``.nirs`` file.

    It holds ``d`` (times, measurements), ``t`` (s), ``SD`` (probe, list of measurements) and ``s`` (stimuli).
    """
    check_matlab(path, name)
    shapes = {key: shape for key, shape, _ in scipy.io.whosmat(path)}
    missing = [key for key in ("d", "t", "SD") if key not in shapes]
    if missing:
        raise ReadError(f"{name}: lacks the variables {', '.join(missing)} of a Homer recording. Export it as SNIRF.")
    check_memory(int(np.prod(shapes["d"])), name)
    held = scipy.io.loadmat(path, variable_names=["d", "t", "SD", "s"], squeeze_me=False, struct_as_record=False)
    data, times, probe = (
        np.asarray(held["d"], float),
        np.asarray(held["t"], float).ravel(),
        _Probe.of(held["SD"][0, 0], name),
    )
    n = len(probe.source)
    if data.shape != (len(times), n) or len(times) < 2 or (np.diff(times) <= 0).any():
        raise ReadError(
            f"{name}: {data.shape[0]} x {data.shape[1]} values, {len(times)} times and {n} measurements do not fit "
            "together. The file is damaged: export it again."
        )
    waves = [probe.light[k - 1] for k in probe.wavelength]
    order = sorted(range(n), key=lambda k: (int(probe.source[k]), int(probe.detector[k]), waves[k]))
    names = [f"S{probe.source[k]}_D{probe.detector[k]} {waves[k]:.0f}" for k in order]
    rate = (len(times) - 1) / (times[-1] - times[0])
    raw = mne.io.RawArray(data.T[order], mne.create_info(names, rate, "fnirs_cw_amplitude"), verbose="WARNING")
    for k, channel in zip(order, raw.info["chs"], strict=True):
        source, detector = probe.sources[probe.source[k] - 1, :3], probe.detectors[probe.detector[k] - 1, :3]
        # MNE's layout of fNIRS positions: middle, source, detector, wavelength in nm
        channel["loc"][:10] = [*(source + detector) / 2, *source, *detector, waves[k]]
    raw, notes = _with_true_time(raw, times, _stimuli(times, held.get("s")), name)
    return PersonRecording(raw, notes=notes, light=probe.light)


def _stimuli(times: np.ndarray, stimuli: np.ndarray | None) -> mne.Annotations:
    """List where a column of stimuli rises.

    Shapes: ``times`` (n_times,), ``stimuli`` (n_times, n_kinds).
    """
    events = mne.Annotations([], [], [], orig_time=None)
    if stimuli is None or np.size(stimuli) == 0 or len(stimuli) != len(times):
        return events
    for k, column in enumerate(np.asarray(stimuli, float).T, start=1):
        for at in np.flatnonzero((column[1:] > 0) & (column[:-1] <= 0)) + 1:
            events.append(times[at] - times[0], 0.0, str(k))
    return events


# ---- NIRx


def read_nirx(path: Path, name: str) -> PersonRecording:
    """Read a NIRx folder."""
    lengths: dict[str, int] = {}
    for suffix in ("wl1", "wl2"):
        files = sorted(path.glob(f"*.{suffix}"))
        if not files:
            continue
        with files[0].open("rb") as file:
            lengths[suffix] = sum(1 for line in file if line.strip())
    if lengths and (len(lengths) < 2 or min(lengths.values()) == 0):
        raise ReadError(
            f"{name}: one of its two wavelengths (.wl1, .wl2) is missing or empty. Copy the whole folder again."
        )
    if len(set(lengths.values())) > 1:
        raise ReadError(
            f"{name}: its wavelengths have {lengths['wl1']} and {lengths['wl2']} samples, so one file was "
            "cut off. "
            "Copy the whole folder again."
        )
    try:
        return PersonRecording(mne.io.read_raw_nirx(path, preload=False, verbose="WARNING"))
    except RuntimeError as error:
        if "NIRStar version" not in str(error):
            raise
        headers = (header.read_text(encoding="latin-1") for header in sorted(path.glob("*.hdr")))
        said = (re.search(r'NIRStar\s*=\s*"?([0-9.]+)', text) for text in headers)
        version = next((found[1] for found in said if found), "of an unknown version")
        raise ReadError(
            f"{name}: was recorded with NIRStar {version}, whose files MNE does not read: other versions arrange the "
            "header differently. Export it as SNIRF (NIRx's nirsLAB or Homer3 do), or with NIRStar 15."
        ) from error
