"""fNIRS files other than SNIRF: Homer's ``.nirs`` and NIRx folders; and how any fNIRS recording is put in its time."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np
import scipy.io
from mne.io import BaseRaw
from mne.io.constants import FIFF

from hyperscan.errors import DataQualityWarning, ReadError, count
from hyperscan.recording.annotations import marks, own_annotations
from hyperscan.recording.files.matlab import check_matlab, check_version
from hyperscan.recording.files.units import NOT_SUPPORTED, plain_unit
from hyperscan.recording.guard import check_memory
from hyperscan.recording.pauses import open_gaps
from hyperscan.recording.records import PersonRecording
from hyperscan.recording.timeline import find_breaks

#: A step of more samples than this in the time vector is a gap (our choice; a clock error stays below one sample).
_STEP = 0.75
#: Times that leave an even grid by more than this share of a sample are uneven (our choice).
_UNEVEN = 0.05
#: Units of length, in m.
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6}
#: Note on a probe whose coordinates are not said to be those of a head.
UNPLACED = (
    "the probe does not say where on the head its positions are, so they were used for distances and not for regions; "
    "name the channels of regions in [rois]"
)
#: Distances of source and detector that a probe may have, as the median, in m (our choice, wide).
_PROBE_M = (0.01, 0.06)


def build_light(
    values: np.ndarray,
    names: Sequence[str],
    kinds: Sequence[str],
    places: Sequence[np.ndarray],
    times: np.ndarray,
    events: mne.Annotations,
    name: str,
) -> tuple[BaseRaw, tuple[str, ...]]:
    """Build a recording on an even grid from values and their times in s, gaps opened, events in their place.

    Shapes: ``values`` (n_channels, n_times), ``places`` n_channels of (12,), ``times`` (n_times,).
    """
    n, dt = len(times), float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    breaks = find_breaks(times, 1 / dt, step=_STEP)
    lost = np.diff(times)[breaks - 1]
    if (lost < 0).any():
        raise ReadError(
            f"{name}: its time vector jumps back by {-lost.min():.1f} s. Nobody can tell which time is right: "
            "export it again."
        )
    # the rate between gaps, which a rate taken over them would miss
    rate = (n - 1 - len(breaks)) / (times[-1] - times[0] - lost.sum()) if n > 1 else 1.0
    if not breaks.size and n > 2:
        left = np.abs(times - times[0] - np.arange(n) / rate).max() * rate
        if left > _UNEVEN:
            warnings.warn(
                f"{name}: its sampling intervals are uneven: samples are up to {left:.2g} intervals off an even grid. "
                "Check the file or export it anew.",
                DataQualityWarning,
                stacklevel=3,
            )
    raw = mne.io.RawArray(values, mne.create_info(list(names), rate, list(kinds)), verbose="WARNING")
    for channel, place in zip(raw.info["chs"], places, strict=True):
        channel["loc"][: len(place)] = place
    notes: tuple[str, ...] = ()
    if breaks.size:
        raw = open_gaps(raw, breaks, np.rint(lost / dt).astype(int) - 1, sfreq=rate)
        notes = (
            f"{name}: {count(len(breaks), 'gap')} in the time vector ({lost.sum():.1f} s) opened and marked as bad",
        )
    end = raw.n_times / raw.info["sfreq"]
    # what was pressed within half a sample of the first one belongs to it
    keep = [k for k in range(len(events)) if -0.5 / rate - 1e-9 <= events.onset[k] < end]
    onset = [max(float(events.onset[k]), 0.0) for k in keep]
    within = mne.Annotations(
        onset,
        [float(min(events.duration[k], end - at)) for k, at in zip(keep, onset, strict=True)],
        [str(events.description[k]) for k in keep],
        orig_time=None,
    )
    outside = len(events) - len(keep)
    if outside:
        note = f"{name}: {count(outside, 'event')} before the first or after the last sample left out"
        warnings.warn(
            f"{note} (the recording lasts {end:.0f} s; SNIRF has events in s whatever TimeUnit is). Check their times.",
            DataQualityWarning,
            stacklevel=3,
        )
        notes = (*notes, note)
    return raw.set_annotations(own_annotations(raw) + within, verbose="WARNING"), notes


def guess_metres(apart: np.ndarray, unit: str, field: str, name: str) -> tuple[float, tuple[str, ...]]:
    """Find the unit of a probe that does not tell a known one, by the one that gives distances a probe may have.

    Shapes: ``apart`` (n_channels, 3).
    """
    median = float(np.nanmedian(np.linalg.norm(apart, axis=1)))
    fits = [each for each, factor in METRES.items() if _PROBE_M[0] <= factor * median <= _PROBE_M[1]]
    if unit or len(fits) != 1:
        shown = f"the unit of length {unit[:12]!r}" if unit else "a probe without a unit of length"
        raise ReadError(
            f"{name}: {NOT_SUPPORTED}{shown} ({field}), whose source and detector are {median:.3g} apart. "
            f"Write one of {', '.join(METRES)} in {field}, or export the recording again."
        )
    note = f"{name}: the probe's unit of length ({field}) is not told and was taken for {fits[0]}"
    warnings.warn(
        f"{note}: source and detector are then {1e3 * METRES[fits[0]] * median:.0f} mm apart. Correct it in the file.",
        DataQualityWarning,
        stacklevel=4,
    )
    return METRES[fits[0]], (note,)


# ---- Homer


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
    #: shape (n_measurements,): Measurements that somebody took out by hand
    pruned: np.ndarray
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, held: object, name: str) -> _Probe:
        """Take what is needed from ``SD``."""
        fields = {}
        for key in ("MeasList", "Lambda", "SrcPos", "DetPos"):
            if np.size(getattr(held, key, ())) == 0 or getattr(held, key) is None:
                raise ReadError(f"{name}: its probe (SD) lacks {key}. Export it as SNIRF.")
            fields[key] = np.atleast_2d(np.asarray(getattr(held, key), float))
        source, detector, _, wavelength, *_ = fields["MeasList"].astype(int).T
        light = tuple(float(value) for value in fields["Lambda"].ravel())
        counted = {"SrcPos": (source, len(fields["SrcPos"])), "DetPos": (detector, len(fields["DetPos"]))}
        for key, (numbers, n) in {**counted, "Lambda": (wavelength, len(light))}.items():
            if not 1 <= numbers.min() <= numbers.max() <= n:
                raise ReadError(
                    f"{name}: its MeasList asks for {numbers.min()} to {numbers.max()} of {key}, which has {n}, "
                    "counted from 1 on. Correct the probe (SD), or export the recording again."
                )
        places = [np.pad(fields[key][:, :3], ((0, 0), (0, max(0, 3 - fields[key].shape[1])))) for key in counted]
        told = np.ravel(getattr(held, "SpatialUnit", ""))
        unit = plain_unit(str(told[0]) if told.size else "")
        notes: tuple[str, ...] = ()
        if unit in METRES:
            factor = METRES[unit]
        else:
            apart = places[0][source - 1] - places[1][detector - 1]
            factor, notes = guess_metres(apart, unit, "SD.SpatialUnit", name)
        pruned = np.zeros(len(source), bool)
        # Homer lists what was taken out by hand under one of these names
        for key in ("MeasListAct", "MeasListActMan"):
            act = np.ravel(np.asarray(getattr(held, key, ()), float))
            if act.size == len(source):
                pruned |= act == 0
            elif act.size:
                raise ReadError(
                    f"{name}: SD.{key} marks {act.size} measurements, but there are {len(source)}, so nobody can tell "
                    "which were taken out by hand. Correct it, or export the recording again."
                )
        return cls(source, detector, wavelength, light, factor * places[0], factor * places[1], pruned, notes)


def read_homer(path: Path, name: str) -> PersonRecording:
    """Read a Homer ``.nirs`` file.

    It holds ``d`` (times, measurements), ``t`` (s), ``SD`` (probe, list of measurements) and ``s`` (stimuli). Channels
    pruned by hand (``SD.MeasListAct``) are bad, time excluded by hand (``tIncMan``) is marked as bad.
    """
    check_matlab(path, name)
    check_version(path, name)
    shapes = {key: shape for key, shape, _ in scipy.io.whosmat(path)}
    missing = [key for key in ("d", "t", "SD") if key not in shapes]
    if missing:
        raise ReadError(f"{name}: lacks the variables {', '.join(missing)} of a Homer recording. Export it as SNIRF.")
    check_memory(int(np.prod(shapes["d"], dtype=object)), name, path.stat().st_size)
    wanted = ["d", "t", "SD", "s", "tIncMan"]
    held = scipy.io.loadmat(path, variable_names=wanted, squeeze_me=False, struct_as_record=False)
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
    # in the order of the file, which channel rules count in
    names = [f"S{probe.source[k]}_D{probe.detector[k]} {waves[k]:.0f}" for k in range(n)]
    places = []
    for k in range(n):
        source, detector = probe.sources[probe.source[k] - 1], probe.detectors[probe.detector[k] - 1]
        # MNE's layout of fNIRS positions: middle, source, detector, wavelength in nm
        places.append(np.array([*(source + detector) / 2, *source, *detector, waves[k]]))
    events = _rises(times, held.get("s"), name) + _excluded(times, held.get("tIncMan"), name)
    raw, notes = build_light(data.T, names, ["fnirs_cw_amplitude"] * n, places, times, events, name)
    for channel in raw.info["chs"]:
        channel["coord_frame"] = FIFF.FIFFV_COORD_UNKNOWN
    notes = (*notes, f"{name}: {UNPLACED}")
    pruned = {names[at].partition(" ")[0] for at in range(n) if probe.pruned[at]}
    raw.info["bads"] = [each for each in names if each.partition(" ")[0] in pruned]
    if pruned:
        notes = (*notes, f"{name}: {count(len(pruned), 'channel')} pruned by hand (SD.MeasListAct) marked as bad")
    seconds = sum(events.duration[events.description == EXCLUDED])
    if seconds:
        notes = (*notes, f"{name}: {seconds:.1f} s excluded by hand (tIncMan) marked as bad")
    return PersonRecording(raw, notes=(*probe.notes, *notes), light=probe.light)


#: Our mark over time that somebody excluded by hand.
EXCLUDED = "BAD_manual"


def _column(held: np.ndarray | None, times: np.ndarray, what: str, name: str) -> np.ndarray:
    """Check a variable with one row per sample; none are no columns.

    Shapes: ``times`` (n_times,), returns (n_times, n_columns).
    """
    if held is None or np.size(held) == 0:
        return np.zeros((len(times), 0))
    held = np.atleast_2d(np.asarray(held, float))
    held = held.T if held.shape[0] != len(times) and held.shape[1] == len(times) else held
    if held.shape[0] != len(times):
        raise ReadError(
            f"{name}: its variable {what} has {held.shape[0]} rows for {len(times)} samples, so nobody can tell their "
            "times. Correct it, or export the recording again."
        )
    return held


def _rises(times: np.ndarray, stimuli: np.ndarray | None, name: str) -> mne.Annotations:
    """List where a column of stimuli rises; what is up in the first row begins there.

    Shapes: ``times`` (n_times,), ``stimuli`` (n_times, n_kinds).
    """
    found: list[tuple[float, str]] = []  # joined once: each addition to annotations would sort them again
    for k, column in enumerate(_column(stimuli, times, "s", name).T, start=1):
        up = np.concatenate([[0.0], np.where(np.isfinite(column), column, 0.0)])
        found += [(times[at] - times[0], str(k)) for at in np.flatnonzero((np.diff(up) > 0) & (up[1:] > 0))]
    return mne.Annotations([onset for onset, _ in found], 0.0, [text for _, text in found], orig_time=None)


def _excluded(times: np.ndarray, included: np.ndarray | None, name: str) -> mne.Annotations:
    """List the stretches that were excluded by hand, which are 0 in ``tIncMan``.

    Shapes: ``times`` (n_times,), ``included`` (n_times, n_columns).
    """
    columns = _column(included, times, "tIncMan", name)
    if not columns.size:
        return marks([], EXCLUDED)
    out = np.concatenate([[0], (columns == 0).any(axis=1).astype(int), [0]])
    edges = np.array([*times, times[-1] + float(np.median(np.diff(times)))]) - times[0]
    ends = zip(np.flatnonzero(np.diff(out) > 0), np.flatnonzero(np.diff(out) < 0), strict=True)
    return marks([(edges[first], edges[stop]) for first, stop in ends], EXCLUDED)


# ---- NIRx


def read_nirx(path: Path, name: str) -> PersonRecording:
    """Read a NIRx folder.

    Its triggers last no time, which MNE says is 1 s; what is saturated in a channel is no value of that channel.
    """
    lengths: dict[str, int] = {}
    for suffix in ("wl1", "wl2"):
        files = sorted(path.glob(f"*.{suffix}"))
        if not files:
            continue
        with files[0].open("rb") as file:
            # a row without its end is no sample
            lengths[suffix] = sum(1 for line in file if line.strip() and line.endswith(b"\n"))
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
    for header in sorted(path.glob("*.hdr")):
        if header.read_bytes().count(b'"') % 2:
            raise ReadError(f"{name}: a text in its header (.hdr) does not end, so it was cut off. Copy it again.")
    try:
        raw = mne.io.read_raw_nirx(path, saturated="nan", preload=False, verbose="WARNING")
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
    triggers = own_annotations(raw)
    names = [f"{float(text):g}" for text in triggers.description]
    return PersonRecording(
        raw.set_annotations(mne.Annotations(triggers.onset, 0.0, names, orig_time=None), verbose="WARNING")
    )
