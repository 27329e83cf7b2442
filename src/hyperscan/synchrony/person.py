"""One person's prepared session as plain arrays, small enough to meet many partners."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError, QualityError
from hyperscan.metrics.sets import correlation, n_components
from hyperscan.recall import is_remembering
from hyperscan.recording import PairedRecording
from hyperscan.recording.annotations import samples_of
from hyperscan.recording.cleaning.channels import base_name, roi_channels
from hyperscan.recording.cleaning.quality import signal_fractions
from hyperscan.recording.records import Segment, TaskResponse
from hyperscan.recording.windows import compared_stretches, window_grid
from hyperscan.schema import NO_SHARED, Index, SessionKey
from hyperscan.storage import write_arrays
from hyperscan.transforms.spectrum import holds_background, inside_fit

Array = npt.NDArray[Any]

#: Arrays of a person that are not the data.
_FACTS = ("spans", "windows", "clean", "s2_line", "s2_quad", "xyz")


@dataclass(frozen=True)
class Signals:
    """One person in one session, prepared.

    Parameters
    ----------
    person : str
        Label of the person.
    key : SessionKey
        The dyad-session it comes from.
    sfreq : float
        Sampling rate in Hz.
    ch_names : tuple of str
        Channels; source-detector names for fNIRS.
    rois : mapping of str to tuple of int
        Positions of each ROI's channels.
    data : mapping of str to array, shape (n_channels, n_times)
        By signal name, in single precision (finer than a 24-bit amplifier); EEG in V, haemoglobin in M.
    spans : array, shape (n_segments, 2)
        First and last-but-one sample of every segment.
    windows : array, shape (n_windows, 2)
        Segment and first sample (from the segment's start) of every window of the grid.
    clean : array of bool, shape (n_windows,)
        Whether this person's window is free of artefacts.
    s2_line, s2_quad : array, shape (n_channels,)
        In-band signal fraction in the primary band by the two background fits; NaN where not assessable.
    xyz : array, shape (n_channels, 3)
        Where the channels lie, in m in the head's coordinates, for drawing alone; NaN where unknown.
    responses : tuple of TaskResponse
        To the tasks that the settings name (fNIRS), channels in the order of ``ch_names``.
    """

    person: str
    key: SessionKey
    sfreq: float
    ch_names: tuple[str, ...]
    rois: Mapping[str, tuple[int, ...]]
    data: Mapping[str, Array]
    spans: Array
    windows: Array
    clean: Array
    s2_line: Array
    s2_quad: Array
    xyz: Array
    responses: tuple[TaskResponse, ...] = ()

    @cached_property
    def content(self) -> str:
        """SHA-256 of the data alone, which recordings of other windows, regions and bands have in common."""
        return _hash({"sfreq": self.sfreq, "signals": list(self.data)}, [*self.data.values(), self.spans])

    @cached_property
    def identity(self) -> str:
        """SHA-256 of all there is."""
        facts = {"content": self.content, "person": self.person, "key": self.key, "rois": self.rois}
        answered = [[one.task, one.n_events, one.seconds, list(one.height)] for one in self.responses]
        heights = [height for one in self.responses for height in one.height.values()]
        arrays = [*(getattr(self, name) for name in _FACTS), *heights]
        return _hash(facts | {"channels": self.ch_names, "responses": answered}, arrays)

    def indices(self, names: tuple[str, ...]) -> Array:
        """Positions of the named channels that this person has."""
        return np.array([self.ch_names.index(name) for name in names if name in self.ch_names], dtype=int)

    def lacking(self) -> dict[str, int]:
        """Count the components that regions have fewer than channels, as under an average reference.

        A region that lacks none is not named.
        """
        found = dict.fromkeys(self.rois, 0)
        for data in self.data.values():
            between = correlation(data)[1]
            for roi, where in self.rois.items():
                found[roi] = max(found[roi], len(where) - n_components(between[np.ix_(where, where)]))
        return {roi: lacks for roi, lacks in found.items() if lacks}

    def clean_samples(self, window_s: float) -> Array:
        """Mark the samples that lie in a clean window, shape (n_times,)."""
        n_window = round(window_s * self.sfreq)
        mask = np.zeros(next(iter(self.data.values())).shape[-1], dtype=bool)
        for (segment, offset), clean in zip(self.windows, self.clean, strict=True):
            start = self.spans[segment, 0] + offset
            mask[start : start + n_window] |= clean
        return mask

    def save(self, path: Path) -> None:
        """Write to an uncompressed ``.npz`` without pickled objects."""
        meta = {
            "person": self.person,
            "key": list(self.key),
            "sfreq": self.sfreq,
            "ch_names": list(self.ch_names),
            "rois": {name: list(where) for name, where in self.rois.items()},
            "responses": [[one.task, one.n_events, one.seconds, list(one.height)] for one in self.responses],
        }
        heights = {
            f"height_{number}_{kind}": height
            for number, one in enumerate(self.responses)
            for kind, height in one.height.items()
        }
        facts = {name: getattr(self, name) for name in _FACTS}
        data = {f"data_{name}": data for name, data in self.data.items()}
        write_arrays(path, {"meta": np.array(json.dumps(meta)), **facts, **data, **heights})

    @classmethod
    def load(cls, path: Path) -> Signals:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            meta = json.loads(str(stored["meta"]))
            return cls(
                person=meta["person"],
                key=SessionKey(*meta["key"]),
                sfreq=meta["sfreq"],
                ch_names=tuple(meta["ch_names"]),
                rois={name: tuple(where) for name, where in meta["rois"].items()},
                data={name[5:]: stored[name] for name in stored.files if name.startswith("data_")},
                **{name: stored[name] for name in _FACTS},
                responses=tuple(
                    TaskResponse(task, n, seconds, {kind: stored[f"height_{number}_{kind}"] for kind in kinds})
                    for number, (task, n, seconds, kinds) in enumerate(meta["responses"])
                ),
            )


def session_ranks(people: Sequence[Signals]) -> dict[str, int]:
    """Find the components that all of some people have, by the regions of any."""
    ranks: dict[str, int] = {}
    for person in people:
        lacking = person.lacking()
        for roi, where in person.rois.items():
            ranks[roi] = min(ranks.get(roi, len(where)), len(where) - lacking.get(roi, 0))
    return ranks


def same(*people: Signals) -> tuple[str, ...]:
    """Tell by what some people are known again, where something is remembered; else nothing is found out."""
    return tuple(person.identity for person in people) if is_remembering() else ()


def _hash(facts: Mapping[str, object], arrays: Iterable[Array]) -> str:
    made = hashlib.sha256(json.dumps(facts).encode())
    for array in arrays:
        made.update(f"{array.dtype} {array.shape}".encode())
        made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()


@dataclass(frozen=True)
class WithinValue:
    """One index of one person in one session."""

    index: Index
    #: On the index's own scale
    estimate: float
    #: On the scale that is compared over sessions
    level: float
    #: Coupling: the same of channels at times that do not match; None for what needs no chance level
    own_level: float | None = None

    @property
    def value(self) -> float:
        """What change is asked of."""
        return self.level if self.own_level is None else self.level - self.own_level


def signals_of(pair: PairedRecording, role: str, config: StudyConfig, *, unregressed: bool = False) -> Signals:
    """Cut one person of a prepared pair down to arrays; ``unregressed``: with HbO before short channels were too."""
    if pair.quality is None:
        raise InputError("pair is not prepared (pair.quality is None). Call preprocess_pair first.")
    raw, modality = pair.raw(role), pair.session.modality
    if modality == "eeg":
        ch_names, data = tuple(raw.ch_names), {"eeg": samples_of(raw).astype(np.float32)}
    else:
        ch_names, data = _haemoglobin(raw, pair.unregressed.get(role) if unregressed else None)
    if role in pair.unshared:
        data[NO_SHARED[modality]] = pair.unshared[role].astype(np.float32)
    rois = {
        name: tuple(
            sorted({ch_names.index(base_name(channel) if modality == "fnirs" else channel) for channel in channels})
        )
        for name, channels in roi_channels(raw, config).items()
    }
    sfreq = float(raw.info["sfreq"])
    windows, clean = _windows(pair, role, config.window_s, sfreq)
    s2 = _fractions(raw, ch_names, config, role)
    spans = [(s.onset_s, s.onset_s + s.duration_s) for s in _stretches(pair, config)]
    return Signals(
        person=pair.session.therapist if role == "therapist" else pair.session.client,
        key=pair.session.key,
        sfreq=sfreq,
        ch_names=ch_names,
        rois=rois,
        data=data,
        spans=np.minimum(np.round(np.array(spans) * sfreq).astype(int), raw.n_times),
        windows=windows,
        clean=clean,
        s2_line=s2[0],
        s2_quad=s2[1],
        xyz=_positions(raw, ch_names, modality),
        responses=pair.responses.get(role, ()),
    )


def _stretches(pair: PairedRecording, config: StudyConfig) -> Sequence[Segment]:
    """Stretches that are compared; none is an error."""
    stretches = compared_stretches(pair, config)
    if not stretches:
        raise QualityError(f"{pair.session.key}: everything is marked as bad. Look at the marks, or leave it out.")
    return stretches


def _windows(pair: PairedRecording, role: str, window_s: float, sfreq: float) -> tuple[Array, Array]:
    if pair.session.modality == "fnirs":  # one window: the whole of the common time
        return np.zeros((1, 2), dtype=int), np.ones(1, dtype=bool)
    grid = window_grid(pair, window_s)
    where = np.stack([grid.segment, np.round(grid.offset_s * sfreq).astype(int)], axis=1)
    return where, grid.clean_therapist if role == "therapist" else grid.clean_client


def _haemoglobin(raw: Any, unregressed: Array | None) -> tuple[tuple[str, ...], dict[str, Array]]:
    picked = {kind: [name for name in raw.ch_names if name.endswith(f" {kind}")] for kind in ("hbo", "hbr")}
    names = tuple(base_name(name) for name in picked["hbo"] or picked["hbr"])
    data = {kind: raw.get_data(picks=channels).astype(np.float32) for kind, channels in picked.items() if channels}
    if len(data) == 2:
        data["hbt"] = data["hbo"] + data["hbr"]
    if unregressed is not None and "hbo" in data:
        data["hbo_nosc"] = unregressed[[raw.ch_names.index(name) for name in picked["hbo"]]].astype(np.float32)
    return names, data


def _positions(raw: Any, ch_names: tuple[str, ...], modality: str) -> Array:
    """Middle of every channel; MNE writes zeros or NaN where it knows none."""
    found = {base_name(ch["ch_name"]) if modality == "fnirs" else ch["ch_name"]: ch["loc"] for ch in raw.info["chs"]}
    xyz = np.array([found[name][:3] for name in ch_names], dtype=float).reshape(-1, 3)
    return np.where(xyz.any(axis=1, keepdims=True), xyz, np.nan)


def _fractions(raw: Any, ch_names: tuple[str, ...], config: StudyConfig, role: str) -> Array:
    """In-band signal fractions by both fits, where the background fit was shown to hold; NaN elsewhere.

    Shapes: returns (2, n_channels).
    """
    nothing = np.full((2, len(ch_names)), np.nan)
    if tuple(raw.ch_names) != ch_names:  # haemoglobin: there is no such fit
        return nothing
    band = config.bands_of("eeg", role)[config.primary_of("eeg").band]
    if not (inside_fit(band) and holds_background(config.passband("eeg"), float(raw.info["sfreq"]))):
        return nothing
    return signal_fractions(raw, band)
