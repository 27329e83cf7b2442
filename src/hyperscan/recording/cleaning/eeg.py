"""The EEG chain: from two recordings as read to two sets of clean scalp channels."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, QualityError, count
from hyperscan.recording.annotations import own_annotations
from hyperscan.recording.cleaning.channels import (
    ElectrodeTable,
    clean_name,
    is_positional,
    sort_channels,
    standard_montage,
    standard_names,
)
from hyperscan.recording.cleaning.eeg_filter import Signals, read_signals
from hyperscan.recording.cleaning.faults import artefact_spans, find_bad_channels, merge_spans
from hyperscan.recording.windows import Spans, break_samples, clean_mask

#: Fewer channels than this give no useful decomposition (our choice).
MIN_CHANNELS = 8
#: Channels beside the eyes, as a stand-in for an EOG.
_NEAR_EYES = ("Fp1", "Fp2", "Fpz", "AF7", "AF8", "AF3", "AF4", "F7", "F8")
#: Probability from which a class of mne-icalabel is believed (our choice).
_LABEL_PROBABILITY = 0.8


def remove_components(raw: BaseRaw, config: StudyConfig) -> tuple[BaseRaw, tuple[str, ...]]:
    """Remove components of eyes or muscles, as ``eeg_ica`` asks.

    Extended Infomax. Classes by mne-icalabel (Pion-Tonachini et al. 2019,
    https://doi.org/10.1016/j.neuroimage.2019.05.026) where it is installed and channels have positions, else by MNE's
    detectors: correlation with the channels next to the eyes, and the spectrum and topography of muscle (Dharmaprani et
    al. 2016, https://doi.org/10.1109/EMBC.2016.7590834). The note says which; keep to one within a study.
    """
    if config.eeg_ica == "none":
        return raw, ()
    if len(raw.ch_names) < MIN_CHANNELS:
        warnings.warn(
            f"eeg_ica = {config.eeg_ica!r} needs {MIN_CHANNELS} channels; "
            f"{count(len(raw.ch_names), 'is', 'are')} left.",
            DataQualityWarning,
            stacklevel=2,
        )
        return raw, (f"no ICA: fewer than {MIN_CHANNELS} channels",)
    kinds = config.eeg_ica.split("+")
    ica = _fit(raw, config.seed)
    detector, found = _detected(raw, ica, kinds)
    ica.exclude = sorted({component for components in found.values() for component in components})
    ica.apply(raw, verbose="error")
    removed = ", ".join(f"{len(components)} {kind}" for kind, components in found.items())
    return raw, (
        f"ICA (extended Infomax, {count(ica.n_components_, 'component')}), found by {detector}: removed {removed}",
    )


def _detected(raw: BaseRaw, ica: mne.preprocessing.ICA, kinds: list[str]) -> tuple[str, dict[str, list[int]]]:
    """Name the detector, as two installations may differ in it, and list the components of each kind."""
    if importlib.util.find_spec("mne_icalabel") is None:
        why = "mne-icalabel is not installed"
    elif not _all_placed(raw):
        why = "mne-icalabel needs positions of all channels"
    else:
        try:
            return f"mne-icalabel {version('mne-icalabel')}", _by_icalabel(raw, ica, kinds)
        except ImportError:
            why = "mne-icalabel needs onnxruntime or torch"
    return f"MNE's detectors ({why})", {kind: _by_mne(raw, ica, kind) for kind in kinds}


def _all_placed(raw: BaseRaw) -> bool:
    return all(np.isfinite(ch["loc"][:3]).all() and ch["loc"][:3].any() for ch in raw.info["chs"])


def _fit(raw: BaseRaw, seed: int) -> mne.preprocessing.ICA:
    rank = int(np.linalg.matrix_rank(np.cov(raw.get_data())))
    ica = mne.preprocessing.ICA(
        n_components=min(rank, 30),
        method="infomax",
        fit_params={"extended": True},
        random_state=seed,
        verbose="error",
    )
    # at most ten minutes, and no more than about 100 Hz, carry all the structure that is needed
    decim = max(1, int(raw.info["sfreq"] // 100))
    stop = min(raw.n_times, round(600 * raw.info["sfreq"]))
    ica.fit(
        raw,
        start=0,
        stop=stop,
        decim=decim,
        reject_by_annotation=bool(clean_mask(raw)[:stop].any()),
        verbose="error",
    )
    return ica


def _by_icalabel(raw: BaseRaw, ica: mne.preprocessing.ICA, kinds: list[str]) -> dict[str, list[int]]:
    # an optional package, imported by name as it may be absent
    label_components = importlib.import_module("mne_icalabel").label_components
    # it takes the average of all channels for granted; components do not change by it
    referenced = raw.copy().set_eeg_reference("average", projection=False, verbose="error")
    # trained on 1-100 Hz, it warns: preparation has ended the passband below mains
    with mne.use_log_level("ERROR"):
        result = label_components(referenced, ica, method="iclabel")
    names = {"ocular": "eye blink", "muscle": "muscle artifact"}
    pairs = list(zip(result["labels"], result["y_pred_proba"], strict=True))
    return {
        kind: [at for at, (label, p) in enumerate(pairs) if label == names[kind] and p >= _LABEL_PROBABILITY]
        for kind in kinds
    }


def _by_mne(raw: BaseRaw, ica: mne.preprocessing.ICA, kind: str) -> list[int]:
    if kind == "muscle":
        components, _ = ica.find_bads_muscle(raw, verbose="error")
        return [int(component) for component in components]
    near = [name for name in _NEAR_EYES if name in raw.ch_names][:2]
    if not near:
        warnings.warn(
            "eeg_ica = 'ocular': no channel next to the eyes is left to find blinks with.",
            DataQualityWarning,
            stacklevel=2,
        )
        return []
    components, _ = ica.find_bads_eog(raw, ch_name=near, measure="correlation", threshold=0.7, verbose="error")
    return [int(component) for component in components]


#: From so many channels on an average reference approximates a neutral one (the study's design; ours).
MIN_AVERAGE = 16

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class CleanPerson:
    """One person after preparation."""

    #: Kept channels; ``BAD_`` annotations mark what may not be used
    raw: BaseRaw
    #: Channel to reason
    dropped: Mapping[str, str]
    #: Channels of the modality that were recorded, bad ones included
    n_total: int
    #: Steps, for the history
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CleanCap(CleanPerson):
    """One person's EEG after preparation, with what only the unprepared signal tells."""

    #: Mains over its surroundings in dB, before filtering
    line_noise_db: float
    #: Share of the time without values or at a rail, in any kept channel
    lost: float
    #: Share of the samples of all channels, bad ones included, at a rail or another value that does not move
    saturation: float


@dataclass(frozen=True)
class _Cap:
    """Channels on their way through the steps: data (n_channels, n_times) in V, names, and what was done."""

    data: Floats
    names: tuple[str, ...]
    sfreq: float
    notes: tuple[str, ...] = ()
    bad: Mapping[str, str] = field(default_factory=dict)

    def keep(self, names: Sequence[str]) -> _Cap:
        rows = [self.names.index(name) for name in names]
        data = self.data if len(rows) == len(self.names) else self.data[rows]
        return dataclasses.replace(self, data=data, names=tuple(names))

    def note(self, *notes: str) -> _Cap:
        return dataclasses.replace(self, notes=(*self.notes, *notes))


def clean_eeg(raw: BaseRaw, config: StudyConfig, who: str = "recording") -> CleanCap:
    """Prepare the EEG of one person."""
    table = sort_channels(raw)
    if not table.names:
        raise QualityError(
            f"{who}: no EEG channel among {len(raw.ch_names)} ({_some(raw.ch_names)}).\n"
            "Name the channels after the 10-20 system, or set their type to EEG."
        )
    references = _reference_channels(raw, config.eeg_reference, who)
    names = {**{name: clean_name(name) or name for name in references}, **table.names}
    signals = read_signals(raw, list(names), config)
    cap = _Cap(signals.data, tuple(names.values()), signals.sfreq, signals.notes)
    marked = [names[name] for name in raw.info["bads"] if name in names]
    aside = [name for name in names.values() if name not in table.names.values()]
    cap = _without_bad(cap, signals, marked, aside, who)
    cap = _interpolated(cap, list(table.names.values()), config)
    cap = _referenced(cap, [names[name] for name in references], config, who)
    cap = cap.keep([name for name in cap.names if name in table.names.values()])
    clean = _build(raw, cap)
    clean, component_notes = remove_components(clean, config)
    lost, mark_notes = _mark(
        clean,
        signals,
        [at for at, name in enumerate(names.values()) if name in cap.names and name not in cap.bad],
    )
    dropped = {**table.dropped, **{name: why for name, why in cap.bad.items() if name not in cap.names}}
    scalp = [at for at, name in enumerate(names.values()) if name in table.names.values()]
    notes = (*_name_notes(table), *cap.notes, *component_notes, *mark_notes)
    return CleanCap(clean, dropped, len(table.names), notes, signals.line_db, lost, _at_one_value(signals, scalp))


def _some(items: Sequence[str], most: int = 4) -> str:
    return ", ".join(items[:most]) + (", ..." if len(items) > most else "")


def _name_notes(table: ElectrodeTable) -> tuple[str, ...]:
    if is_positional(table.names):
        return ("channels are called after connectors (A1, ...): no positions are known, regions are those of [rois]",)
    if not table.aliases:
        return ()
    return ("channels renamed: " + ", ".join(f"{old} -> {new}" for old, new in table.aliases.items()),)


def _reference_channels(raw: BaseRaw, setting: str, who: str) -> list[str]:
    """Channels named as the reference, as the recording calls them."""
    if setting in ("auto", "average", "recorded"):
        return []
    found = []
    for wanted in (part.strip() for part in setting.split("+")):
        standard = clean_name(wanted)
        same = [
            name
            for name in raw.ch_names
            if wanted.lower() in (name.lower(), name.lower().removeprefix("eeg "))
            or (standard is not None and clean_name(name) == standard)
        ]
        if not same:
            raise QualityError(
                f"{who}: reference channel {wanted!r} of eeg_reference is not in the recording "
                f"({_some(raw.ch_names)}).\nName channels that every recording has, or use 'auto'."
            )
        found.append(same[0])
    return found


def _without_bad(cap: _Cap, signals: Signals, marked: Sequence[str], aside: Sequence[str], who: str) -> _Cap:
    bad = dict.fromkeys(marked, "marked as bad in the recording")
    bad |= find_bad_channels(cap.data, cap.sfreq, cap.names, signals.missing, signals.held, aside)
    kept = [name for name in cap.names if name not in bad]
    if not kept:
        reasons = _some([f"{name}: {why}" for name, why in bad.items()])
        raise QualityError(
            f"{who}: all {len(bad)} EEG channels are bad ({reasons}).\n"
            "Check the units and the recording, or leave the session out (include = no)."
        )
    cap = dataclasses.replace(cap.keep(kept), bad=bad)
    if not bad:
        return cap
    return cap.note("bad channels left out: " + ", ".join(f"{name} ({why})" for name, why in bad.items()))


def _interpolated(cap: _Cap, scalp: Sequence[str], config: StudyConfig) -> _Cap:
    """Bad channels computed from their neighbours, where asked for and where positions are known."""
    if is_positional(scalp):
        return cap
    wanted = [name for name in scalp if name in cap.bad and name.lower() in standard_names()]
    known = [name for name in cap.names if name.lower() in standard_names()]
    if not config.eeg_interpolate or not wanted or len(known) < 4:
        return cap
    info = mne.create_info([*known, *wanted], cap.sfreq, "eeg")
    data = np.concatenate([cap.keep(known).data, np.zeros((len(wanted), cap.data.shape[-1]))])
    raw = mne.io.RawArray(data, info, copy=None, verbose="error")
    raw.set_montage(standard_montage(), verbose="error")
    raw.info["bads"] = list(wanted)
    raw.interpolate_bads(verbose="error")
    added = raw.get_data(picks=wanted)
    rest = dataclasses.replace(cap, data=np.concatenate([cap.data, added]), names=(*cap.names, *wanted))
    return rest.note(f"interpolated from their neighbours (spherical splines): {', '.join(wanted)}")


def _referenced(cap: _Cap, references: Sequence[str], config: StudyConfig, who: str) -> _Cap:
    n_channels = len(cap.names)
    if references:
        lost = [name for name in references if name not in cap.names]
        if lost:
            raise QualityError(
                f"{who}: reference channel {lost[0]} is bad ({cap.bad[lost[0]]}).\n"
                "Use another eeg_reference, or leave the session out (include = no)."
            )
        np.subtract(cap.data, cap.keep(references).data.mean(0), out=cap.data)
        left = [name for name in cap.names if len(references) > 1 or name not in references]
        return cap.keep(left).note(f"re-referenced to {' + '.join(references)}")
    if config.eeg_reference == "average" or (config.eeg_reference == "auto" and n_channels >= MIN_AVERAGE):
        np.subtract(cap.data, cap.data.mean(0), out=cap.data)
        return cap.note(f"average reference over {count(n_channels, 'channel')} (rank {n_channels - 1})")
    few = "" if config.eeg_reference == "recorded" else f" (fewer than {MIN_AVERAGE} channels)"
    return cap.note(f"reference as recorded{few}")


def _build(raw: BaseRaw, cap: _Cap) -> BaseRaw:
    info = mne.create_info(list(cap.names), cap.sfreq, "eeg")
    clean = mne.io.RawArray(cap.data, info, copy=None, verbose="error")
    if not is_positional(cap.names):
        clean.set_montage(standard_montage(), match_case=False, on_missing="ignore", verbose="error")
    clean.set_annotations(own_annotations(raw), verbose="error")
    return clean


def _at_one_value(signals: Signals, rows: Sequence[int]) -> float:
    """Share of the samples of all channels, bad ones included, at a rail or another value that does not move."""
    seconds = signals.data.shape[-1] / signals.sfreq
    return float(np.mean([sum(stop - start for start, stop in signals.held[row]) / seconds for row in rows]))


def _mark(raw: BaseRaw, signals: Signals, rows: Sequence[int]) -> tuple[float, tuple[str, ...]]:
    """Annotate what may not be used; the share that was missing or stood still, and what was marked in words."""
    end = raw.n_times / raw.info["sfreq"]
    found = {
        "BAD_missing": [span for row in rows for span in signals.missing[row]],
        "BAD_held": [span for row in rows for span in signals.held[row]],
        "BAD_artefact": artefact_spans(raw.get_data(), raw.info["sfreq"], break_samples(raw)),
        "BAD_unfiltered": signals.unfiltered,
    }
    for label, spans in found.items():
        for start, stop in merge_spans(spans, end):
            raw.annotations.append(start, stop - start, label)
    lost = _seconds([*found["BAD_missing"], *found["BAD_held"]], end)
    seconds = {label: _seconds(spans, end) for label, spans in found.items()}
    # what is missing stands still as well
    seconds["BAD_held"] = lost - seconds["BAD_missing"]
    said = [f"{amount:.1f} s {_MARKED[label]}" for label, amount in seconds.items() if amount >= 0.05]
    return lost / end, (f"marked as bad: {', '.join(said)}",) if said else ()


#: What the marks mean, in words.
_MARKED = {
    "BAD_missing": "without values",
    "BAD_held": "at a rail or another value that does not move",
    "BAD_artefact": "of artefacts",
    "BAD_unfiltered": "in stretches too short to be filtered",
}


def _seconds(spans: Spans, end: float) -> float:
    return float(sum(stop - start for start, stop in merge_spans(spans, end, 0.0)))
