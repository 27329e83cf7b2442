"""Homer ``.nirs`` files and NIRx folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mne
import numpy as np
import scipy.io
from mne.io import BaseRaw

from hyperscan.errors import ReadError
from hyperscan.recording.files.matlab import check_matlab
from hyperscan.recording.guard import check_memory
from hyperscan.recording.pauses import open_gaps
from hyperscan.recording.timeline import find_breaks

_MM = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}


def read_homer(path: Path, name: str) -> BaseRaw:
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
    data, times, probe = np.asarray(held["d"], float), np.asarray(held["t"], float).ravel(), held["SD"][0, 0]
    listed = np.asarray(_field(probe, "MeasList", name), int)
    waves = np.asarray(_field(probe, "Lambda", name), float).ravel()
    if data.shape != (len(times), len(listed)) or len(times) < 2 or (np.diff(times) <= 0).any():
        raise ReadError(
            f"{name}: {data.shape[0]} x {data.shape[1]} values, {len(times)} times and {len(listed)} "
            "measurements do not fit together. "
            "The file is damaged: export it again."
        )
    names = [f"S{row[0]}_D{row[1]} {waves[row[3] - 1]:.0f}" for row in listed]
    order = sorted(range(len(names)), key=lambda k: (int(listed[k][0]), int(listed[k][1]), waves[listed[k][3] - 1]))
    raw = _raw(data.T[order], times, [names[k] for k in order])
    for k, channel in zip(order, raw.info["chs"], strict=True):
        _locate(channel, probe, listed[k], waves, name)
    return _with_stimuli(raw, times, held.get("s"))


def listed_light(path: Path) -> tuple[float, ...]:
    """List the wavelengths of a file that was read, in nm, in the order of its probe."""
    probe = scipy.io.loadmat(path, variable_names=["SD"], squeeze_me=False, struct_as_record=False)["SD"][0, 0]
    return tuple(float(value) for value in np.asarray(probe.Lambda).ravel())


def _field(probe: Any, key: str, name: str) -> Any:
    found = getattr(probe, key, None)
    if found is None:
        raise ReadError(f"{name}: its probe (SD) lacks {key}. Export it as SNIRF.")
    return found


def _raw(data: np.ndarray, times: np.ndarray, names: list[str]) -> BaseRaw:
    dt = float(np.median(np.diff(times)))
    breaks = find_breaks(times, 1 / dt, step=0.75)
    lost = np.diff(times)[breaks - 1] if breaks.size else np.zeros(0)
    rate = (len(times) - 1 - len(breaks)) / (times[-1] - times[0] - lost.sum())
    raw = mne.io.RawArray(data, mne.create_info(names, rate, "fnirs_cw_amplitude"), verbose="WARNING")
    return open_gaps(raw, breaks, np.rint(lost / dt).astype(int) - 1) if breaks.size else raw


def _locate(channel: dict[str, Any], probe: Any, row: np.ndarray, waves: np.ndarray, name: str) -> None:
    unit = getattr(probe, "SpatialUnit", np.array(["mm"]))
    factor = _MM.get(str(np.asarray(unit).ravel()[0]) if np.size(unit) else "mm", 1e-3)
    source = factor * np.asarray(_field(probe, "SrcPos", name), float)[row[0] - 1, :3]
    detector = factor * np.asarray(_field(probe, "DetPos", name), float)[row[1] - 1, :3]
    # MNE's layout of fNIRS positions: middle, source, detector, wavelength in nm
    channel["loc"][:3] = (source + detector) / 2
    channel["loc"][3:6] = source
    channel["loc"][6:9] = detector
    channel["loc"][9] = waves[row[3] - 1]


def _with_stimuli(raw: BaseRaw, times: np.ndarray, stimuli: Any) -> BaseRaw:
    if stimuli is None or np.size(stimuli) == 0 or len(stimuli) != len(times):
        return raw
    events = mne.Annotations([], [], [], orig_time=None)
    for k, column in enumerate(np.asarray(stimuli, float).T):
        rising = np.flatnonzero((column[1:] > 0) & (column[:-1] <= 0)) + 1
        for row in rising:
            events.append(times[row] - times[0], 0.0, str(k + 1))
    gaps = mne.Annotations(
        raw.annotations.onset, raw.annotations.duration, list(raw.annotations.description), orig_time=None
    )
    return raw.set_annotations(gaps + events, verbose="WARNING")


def read_nirx(path: Path, name: str) -> BaseRaw:
    """Read a NIRx folder."""
    _check_lengths(path, name)
    try:
        return mne.io.read_raw_nirx(path, preload=False, verbose="WARNING")
    except RuntimeError as error:
        if "NIRStar version" not in str(error):
            raise
        raise ReadError(
            f"{name}: was recorded with NIRStar {_version(path)}, whose files MNE does not read: other "
            "versions arrange the "
            "header differently. Export it as SNIRF (NIRx's nirsLAB or Homer3 do), or with NIRStar 15."
        ) from error


def _version(path: Path) -> str:
    for header in sorted(path.glob("*.hdr")):
        found = re.search(r'NIRStar\s*=\s*"?([0-9.]+)', header.read_text(encoding="latin-1"))
        if found:
            return found[1]
    return "of an unknown version"


def _check_lengths(path: Path, name: str) -> None:
    lengths = {}
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
