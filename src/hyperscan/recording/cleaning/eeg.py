"""The EEG chain: from a recording as read to clean scalp channels of one person."""

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
from hyperscan.recording.annotations import Spans, marks, own_annotations, samples_of
from hyperscan.recording.cleaning.channels import (
    clean_name,
    is_positional,
    sort_channels,
    standard_montage,
    standard_names,
)
from hyperscan.recording.cleaning.eeg_filter import FilteredEeg, filter_eeg
from hyperscan.recording.cleaning.faults import artefact_spans, find_bad_channels, merge_spans
from hyperscan.recording.records import EegDecisions, FnirsDecisions
from hyperscan.recording.windows import break_samples, clean_mask

#: Fewer channels than this give no useful decomposition (our choice).
MIN_CHANNELS = 8
#: Channels next to the eyes, as a stand-in for an EOG.
_NEAR_EYES = ("Fp1", "Fp2", "Fpz", "AF7", "AF8", "AF3", "AF4", "F7", "F8")
#: Probability from which a class of mne-icalabel is believed (our choice).
_LABEL_PROBABILITY = 0.8
#: What mne-icalabel calls the kinds of components that the settings name.
_LABELS = {"ocular": "eye blink", "muscle": "muscle artifact"}
#: From so many channels on an average reference approximates a neutral one (our choice).
MIN_AVERAGE = 16
#: What the marks mean, in words.
_MARKED = {
    "BAD_missing": "without values",
    "BAD_held": "at a rail or another value that does not move",
    "BAD_artefact": "of artefacts",
    "BAD_unfiltered": "in stretches too short to be filtered",
}

Array = NDArray[np.floating]


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
    #: What the data decided where the settings leave it open
    decisions: EegDecisions | FnirsDecisions


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
class Cap:
    """Channels of one person on their way through the steps; every step returns a new one and may reuse the data."""

    #: shape (n_channels, n_times): In V
    data: Array
    #: Standard names of the channels that are left
    names: tuple[str, ...]
    sfreq: float
    #: Whose recording it is, for messages
    who: str
    #: Standard names of the scalp channels as recorded
    scalp: tuple[str, ...]
    notes: tuple[str, ...] = ()
    #: Bad channel to reason, interpolated ones included
    bad: Mapping[str, str] = field(default_factory=dict)
    interpolated: tuple[str, ...] = ()
    #: As in :class:`EegDecisions`
    reference: str = "recorded"
    n_reference: int = 0

    def keep(self, names: Sequence[str]) -> Cap:
        """Leave out all channels but some."""
        rows = [self.names.index(name) for name in names]
        data = self.data if len(rows) == len(self.names) else self.data[rows]
        return dataclasses.replace(self, data=data, names=tuple(names))

    def note(self, text: str) -> Cap:
        """Add a step to the history."""
        return dataclasses.replace(self, notes=(*self.notes, text))

    def leave_out_bad(self, signals: FilteredEeg, marked: Sequence[str]) -> Cap:
        """Find bad channels and leave them out, those marked in the recording included."""
        bad = dict.fromkeys(marked, "marked as bad in the recording")
        aside = [name for name in self.names if name not in self.scalp]
        bad |= find_bad_channels(self.data, self.sfreq, self.names, signals.missing, signals.held, aside)
        kept = [name for name in self.names if name not in bad]
        if not kept:
            reasons = _some([f"{name}: {why}" for name, why in bad.items()])
            raise QualityError(
                f"{self.who}: all {len(bad)} EEG channels are bad ({reasons}).\n"
                "Check the units and the recording, or leave the session out (include = no)."
            )
        cap = dataclasses.replace(self.keep(kept), bad=bad)
        said = ", ".join(f"{name} ({why})" for name, why in bad.items())
        return cap.note(f"bad channels left out: {said}") if bad else cap

    def interpolate(self) -> Cap:
        """Compute bad channels from their neighbours, where positions are known."""
        wanted = [name for name in self.scalp if name in self.bad and name.lower() in standard_names()]
        known = [name for name in self.names if name.lower() in standard_names()]
        if is_positional(self.scalp) or not wanted or len(known) < 4:
            return self
        info = mne.create_info([*known, *wanted], self.sfreq, "eeg")
        data = np.concatenate([self.keep(known).data, np.zeros((len(wanted), self.data.shape[-1]))])
        raw = mne.io.RawArray(data, info, copy=None, verbose="error")
        raw.set_montage(standard_montage(), verbose="error")
        raw.info["bads"] = list(wanted)
        raw.interpolate_bads(verbose="error")
        cap = dataclasses.replace(
            self,
            data=np.concatenate([self.data, raw.get_data(picks=wanted)]),
            names=(*self.names, *wanted),
            interpolated=tuple(wanted),
        )
        return cap.note(f"interpolated from their neighbours (spherical splines): {', '.join(wanted)}")

    def rereference(self, setting: str, references: Sequence[str]) -> Cap:
        """Subtract the channels that the settings name, or the average where it is asked for or large enough."""
        n_channels = len(self.names)
        if references:
            lost = [name for name in references if name not in self.names]
            if lost:
                raise QualityError(
                    f"{self.who}: reference channel {lost[0]} is bad ({self.bad[lost[0]]}).\n"
                    "Use another eeg_reference, or leave the session out (include = no)."
                )
            np.subtract(self.data, self.keep(references).data.mean(0), out=self.data)
            left = [name for name in self.names if len(references) > 1 or name not in references]
            cap = dataclasses.replace(self.keep(left), reference="+".join(references), n_reference=len(references))
            return cap.note(f"re-referenced to {' + '.join(references)}")
        if is_averaged(setting, len(self.scalp)):
            np.subtract(self.data, self.data.mean(0), out=self.data)
            cap = dataclasses.replace(self, reference="average", n_reference=n_channels)
            return cap.note(f"average reference over {count(n_channels, 'channel')} (rank {n_channels - 1})")
        few = "" if setting == "recorded" else f" (fewer than {MIN_AVERAGE} channels)"
        return self.note(f"reference as recorded{few}")

    @property
    def rank(self) -> int:
        """Independent channels: interpolated ones follow from others, and a reference among them costs one."""
        inside = self.reference == "average" or set(self.reference.split("+")) <= set(self.names)
        return len(self.names) - len(self.interpolated) - inside


def is_averaged(setting: str, n_recorded: int) -> bool:
    """Whether a setting asks for the average reference, by the channels of the cap and not by those that are left.

    A cap whose bad channels decided would change its reference from session to session.
    """
    return setting == "average" or (setting == "auto" and n_recorded >= MIN_AVERAGE)


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
    scalp = tuple(table.names.values())
    signals = filter_eeg(raw, list(names), config, who)
    cap = Cap(signals.data, tuple(names.values()), signals.sfreq, who, scalp, signals.notes)
    cap = cap.leave_out_bad(signals, [names[name] for name in raw.info["bads"] if name in names])
    cap = cap.interpolate() if config.eeg_interpolate else cap
    cap = cap.rereference(config.eeg_reference, [names[name] for name in references])
    cap = cap.keep([name for name in cap.names if name in scalp])
    clean = mne.io.RawArray(cap.data, mne.create_info(list(cap.names), cap.sfreq, "eeg"), copy=None, verbose="error")
    if not is_positional(cap.names):
        clean.set_montage(standard_montage(), match_case=False, on_missing="ignore", verbose="error")
    clean.set_annotations(own_annotations(raw), verbose="error")
    removed = remove_components(clean, config)
    used = {*cap.names} - {*cap.bad}
    lost, mark_notes = _mark(clean, signals, [at for at, name in enumerate(names.values()) if name in used])
    seconds = signals.data.shape[-1] / signals.sfreq
    still = [
        sum(stop - start for start, stop in spans) / seconds
        for name, spans in zip(names.values(), signals.held, strict=True)
        if name in scalp
    ]
    name_notes: tuple[str, ...] = ()
    if is_positional(table.names):
        name_notes = (
            "channels are called after connectors (A1, ...): no positions are known, regions are those of [rois]",
        )
    elif table.aliases:
        name_notes = ("channels renamed: " + ", ".join(f"{old} -> {new}" for old, new in table.aliases.items()),)
    return CleanCap(
        raw=clean,
        dropped={**table.dropped, **{name: why for name, why in cap.bad.items() if name not in cap.names}},
        n_total=len(scalp),
        notes=(*name_notes, *cap.notes, *removed.notes, *mark_notes),
        decisions=EegDecisions(
            sfreq=cap.sfreq,
            passband_hz=signals.passband_hz,
            filtered=not signals.epoched,
            montage=scalp,
            positional=is_positional(table.names),
            bad=tuple(name for name in scalp if name in cap.bad),
            interpolated=cap.interpolated,
            reference=cap.reference,
            n_reference=cap.n_reference,
            rank=cap.rank,
            detector=removed.detector,
            components=removed.counts,
        ),
        line_noise_db=signals.line_db,
        lost=lost,
        saturation=float(np.mean(still)),
    )


def _some(items: Sequence[str], most: int = 4) -> str:
    return ", ".join(items[:most]) + (", ..." if len(items) > most else "")


def _reference_channels(raw: BaseRaw, setting: str, who: str) -> list[str]:
    """Find the channels named as the reference, as the recording calls them."""
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


def _mark(raw: BaseRaw, signals: FilteredEeg, rows: Sequence[int]) -> tuple[float, tuple[str, ...]]:
    """Annotate what may not be used; the share that was missing or stood still, and what was marked in words."""
    end = raw.n_times / raw.info["sfreq"]
    found = {
        "BAD_missing": [span for row in rows for span in signals.missing[row]],
        "BAD_held": [span for row in rows for span in signals.held[row]],
        "BAD_artefact": artefact_spans(samples_of(raw), raw.info["sfreq"], break_samples(raw)),
        "BAD_unfiltered": signals.unfiltered,
    }
    marked = own_annotations(raw)
    for label, spans in found.items():
        marked += marks(merge_spans(spans, end), label)
    raw.set_annotations(marked, verbose="ERROR")
    lost = _seconds([*found["BAD_missing"], *found["BAD_held"]], end)
    seconds = {label: _seconds(spans, end) for label, spans in found.items()}
    # what is missing stands still as well
    seconds["BAD_held"] = lost - seconds["BAD_missing"]
    said = [f"{amount:.1f} s {_MARKED[label]}" for label, amount in seconds.items() if amount >= 0.05]
    return lost / end, (f"marked as bad: {', '.join(said)}",) if said else ()


def _seconds(spans: Spans, end: float) -> float:
    return float(sum(stop - start for start, stop in merge_spans(spans, end, 0.0)))


@dataclass(frozen=True)
class RemovedComponents:
    """What went with an independent component analysis."""

    #: What told the components apart; empty without an analysis
    detector: str = ""
    #: Components removed, by kind
    counts: Mapping[str, int] = field(default_factory=dict)
    #: For the history
    notes: tuple[str, ...] = ()


def remove_components(raw: BaseRaw, config: StudyConfig) -> RemovedComponents:
    """Remove components of eyes or muscles from a recording, in place, as ``eeg_ica`` asks.

    Extended Infomax. Classes by mne-icalabel (Pion-Tonachini et al. 2019,
    https://doi.org/10.1016/j.neuroimage.2019.05.026) where it is installed and channels have positions, else by MNE's
    detectors: correlation with the channels next to the eyes, and the spectrum and topography of muscle (Dharmaprani et
    al. 2016, https://doi.org/10.1109/EMBC.2016.7590828). The note says which; keep to one within a study.
    """
    if config.eeg_ica == "none":
        return RemovedComponents()
    if len(raw.ch_names) < MIN_CHANNELS:
        warnings.warn(
            f"eeg_ica = {config.eeg_ica!r} needs {MIN_CHANNELS} channels; "
            f"{count(len(raw.ch_names), 'is', 'are')} left.",
            DataQualityWarning,
            stacklevel=2,
        )
        return RemovedComponents(notes=(f"no ICA: fewer than {MIN_CHANNELS} channels",))
    rank = int(np.linalg.matrix_rank(np.cov(samples_of(raw))))
    ica = mne.preprocessing.ICA(
        n_components=min(rank, 30),
        method="infomax",
        fit_params={"extended": True},
        random_state=config.seed,
        verbose="error",
    )
    # at most ten minutes, and no more than about 100 Hz, carry all the structure that is needed
    stop = min(raw.n_times, round(600 * raw.info["sfreq"]))
    ica.fit(
        raw,
        start=0,
        stop=stop,
        decim=max(1, int(raw.info["sfreq"] // 100)),
        reject_by_annotation=bool(clean_mask(raw)[:stop].any()),
        verbose="error",
    )
    detector, found = _detect_components(raw, ica, config.eeg_ica.split("+"))
    ica.exclude = sorted({component for components in found.values() for component in components})
    ica.apply(raw, verbose="error")
    counts = {kind: len(components) for kind, components in found.items()}
    removed = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    note = f"ICA (extended Infomax, {count(ica.n_components_, 'component')}), found by {detector}: removed {removed}"
    return RemovedComponents(detector, counts, (note,))


def _detect_components(
    raw: BaseRaw, ica: mne.preprocessing.ICA, kinds: Sequence[str]
) -> tuple[str, dict[str, list[int]]]:
    """Name the detector, as two installations may differ in it, and list the components of each kind."""
    if importlib.util.find_spec("mne_icalabel") is None:
        why = "mne-icalabel is not installed"
    elif not all(np.isfinite(ch["loc"][:3]).all() and ch["loc"][:3].any() for ch in raw.info["chs"]):
        why = "mne-icalabel needs positions of all channels"
    else:
        # it takes the average of all channels for granted; components do not change by it
        referenced = raw.copy().set_eeg_reference("average", projection=False, verbose="error")
        try:
            # an optional package, imported by name as it may be absent
            label_components = importlib.import_module("mne_icalabel").label_components
            # trained on 1-100 Hz, it warns: preparation has ended the passband below mains
            with mne.use_log_level("ERROR"):
                result = label_components(referenced, ica, method="iclabel")
        except ImportError:
            why = "mne-icalabel needs onnxruntime or torch"
        else:
            sure = np.asarray(result["y_pred_proba"]) >= _LABEL_PROBABILITY
            labels = np.where(sure, result["labels"], "")
            found = {kind: np.flatnonzero(labels == _LABELS[kind]).tolist() for kind in kinds}
            return f"mne-icalabel {version('mne-icalabel')}", found
    return f"MNE's detectors ({why})", {kind: _detect_by_mne(raw, ica, kind) for kind in kinds}


def _detect_by_mne(raw: BaseRaw, ica: mne.preprocessing.ICA, kind: str) -> list[int]:
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
