"""One person out of one file: recognise, read, choose the channels."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw
from mne.io.constants import FIFF

from hyperscan.errors import InputError, ReadError, count
from hyperscan.recording.annotations import fresh_raw, own_annotations
from hyperscan.recording.files.bids import with_bids_tables
from hyperscan.recording.files.formats import first_bytes, recognise
from hyperscan.recording.files.intact import (
    check_brainvision,
    check_edf,
    check_fdt,
    fif_blocks,
    marker_text,
    record_onsets,
)
from hyperscan.recording.files.matlab import check_matlab
from hyperscan.recording.files.nirs import listed_light as homer_light
from hyperscan.recording.files.nirs import read_homer, read_nirx
from hyperscan.recording.files.snirf import listed_light as snirf_light
from hyperscan.recording.files.snirf import read_snirf
from hyperscan.recording.files.tables import check_sidecar, read_matlab, read_table
from hyperscan.recording.files.wavelengths import whole_pairs
from hyperscan.recording.files.xdf import read_xdf
from hyperscan.recording.guard import check_memory, library
from hyperscan.recording.pauses import GAP, Pause, cut_out, new_segments, open_gaps, restore_time
from hyperscan.study.selectors import Selector, parse_selector

#: Channel types that make a recording one of this modality.
SIGNAL_TYPES = {
    "eeg": ("eeg",),
    "fnirs": ("fnirs_cw_amplitude", "fnirs_od", "hbo", "hbr", "fnirs_fd_ac_amplitude"),
}
_FNIRS = (*SIGNAL_TYPES["fnirs"], "fnirs_fd_phase")


@dataclass(frozen=True)
class Recorded:
    """One person's recording, as the file holds it."""

    #: Preloaded, with the channels of this person only
    data: BaseRaw | BaseEpochs
    #: shape (n_times,): Time of each sample in s on a clock that all streams of the file share; None if the file has
    #: none
    stamps: np.ndarray | None = None
    #: Names that the channels have in the file, to compare with the other person's
    channels: tuple[str, ...] = ()
    #: What was noticed, in words fit for a methods section
    notes: tuple[str, ...] = ()
    #: Wavelengths in nm, in the order in which the file's probe lists them; empty where it lists none
    light: tuple[float, ...] = ()
    #: Interruptions of known length that ``data`` does not hold yet
    pauses: tuple[Pause, ...] = ()


def read_person(path: Path, rule: str | None, *, modality: str, name: str) -> Recorded:
    """Read the part of a file that is one person."""
    kind = recognise(path, name)
    selector = _selector(rule, kind, name)
    with library(name, kind) as heard, mne.use_log_level("WARNING"):
        found = _read(path, kind, selector, name)
        # a damaged type shows only when it is asked for
        found.data.get_channel_types()
    heard.warn(name)
    _check_names(found.data, name)
    check_sidecar(path, found.data.info["sfreq"], name)
    volts, table_notes = with_bids_tables(found.data, path, name)
    channels = _picked(found.data, selector, name)
    data = _loaded(found.data, channels, name, kind)
    for each in set(data.ch_names) & volts.keys():
        data.apply_function(lambda x, by: x * by, picks=[each], by=volts[each], verbose="WARNING")
    _check_modality(data, modality, name)
    notes = (*found.notes, *table_notes, *(f"{name}: {note}" for note in heard.notes))
    if isinstance(data, BaseRaw):
        data, restored = restore_time(data, found.pauses, name)
        notes += restored
    if modality == "fnirs" and isinstance(data, BaseRaw):
        data, further = whole_pairs(data, name)
        notes += further
    return Recorded(_renamed(data, selector, modality), found.stamps, tuple(channels), notes, found.light)


def channel_names(path: Path) -> list[str]:
    """Look at the channel names of a recording, as the file has them."""
    kind = recognise(path, path.name)
    with library(path.name, kind), mne.use_log_level("WARNING"):
        return list(_read(path, kind, None, path.name).data.ch_names)


def _selector(rule: str | None, kind: str, name: str) -> Selector | None:
    if rule is None:
        return None
    try:
        selector = parse_selector(rule)
    except InputError as error:
        raise ReadError(f"{name}: the channel rule {error} Correct it in dyads.tsv.") from None
    needs = {"stream": "XDF", "group": "SNIRF"}.get(selector.kind)
    if needs is not None and kind != needs:
        raise ReadError(
            f"{name}: the rule {rule!r} chooses a part of a {needs} file, but this is {kind}. "
            "Choose channels instead: 1-32, prefix:T_, suffix:-0 or sources:1-8."
        )
    return selector


def _read(path: Path, kind: str, selector: Selector | None, name: str) -> Recorded:
    if kind in _OWN:
        return _OWN[kind](path, selector, name)
    return Recorded(_READERS[kind](path))


def _fif(path: Path, selector: Selector | None, name: str) -> Recorded:
    del selector
    blocks = fif_blocks(path)
    if FIFF.FIFFB_MNE_EPOCHS in blocks:
        return Recorded(mne.read_epochs(path, preload=False, proj=False, verbose="WARNING"))
    continuous = blocks & {FIFF.FIFFB_RAW_DATA, FIFF.FIFFB_IAS_RAW_DATA, FIFF.FIFFB_CONTINUOUS_DATA}
    if FIFF.FIFFB_EVOKED in blocks and not continuous:
        raise ReadError(
            f"{name}: holds an average (evoked), in which single moments are lost. "
            "Name the continuous recording or its epochs instead."
        )
    if not continuous:
        raise ReadError(f"{name}: is a FIF file without a recording. Name the -raw.fif or -epo.fif file instead.")
    try:
        return Recorded(mne.io.read_raw_fif(path, preload=False, on_split_missing="raise", verbose="WARNING"))
    except ValueError as error:
        lacking = re.search(r"next file (.+) does not exist", str(error))
        if lacking is None:
            raise
        raise ReadError(
            f"{name}: is one of several parts, and the next one ({Path(lacking[1]).name}) is not there. "
            "Copy all parts into one folder, under the names they were saved with."
        ) from error


def _eeglab(path: Path, selector: Selector | None, name: str) -> Recorded:
    del selector
    check_matlab(path, name)
    try:
        raw = mne.io.read_raw_eeglab(path, preload=False, verbose="WARNING")
    except FileNotFoundError as error:
        raise ReadError(
            f"{name}: its data part (.fdt) is not there. Copy the .fdt file beside the .set file."
        ) from error
    except TypeError as error:
        # MNE's way of saying that the file holds trials
        if "trials" not in str(error):
            raise
        return Recorded(mne.io.read_epochs_eeglab(path, verbose="WARNING"))
    data = Path(raw.filenames[0])
    if data.suffix == ".fdt":
        check_fdt(data, raw.n_times * len(raw.ch_names), name)
    return Recorded(raw, pauses=cut_out(mne.read_annotations(path), raw.info["sfreq"]))


def _brainvision(path: Path, selector: Selector | None, name: str) -> Recorded:
    del selector
    notes = check_brainvision(path, name)
    raw = mne.io.read_raw_brainvision(path, preload=False, verbose="WARNING")
    return Recorded(raw, notes=notes, pauses=new_segments(marker_text(path), raw.info["sfreq"]))


def _egi(path: Path, selector: Selector | None, name: str) -> Recorded:
    del selector
    # odd versions of simple binary are cut into segments, without the time between them
    if first_bytes(path, name, 4)[3] % 2:
        raise ReadError(
            f"{name}: is a segmented EGI file, which does not tell the time between its segments. "
            "Export the continuous recording (MFF, or simple binary that is not segmented)."
        )
    return Recorded(mne.io.read_raw_egi(path, preload=False, verbose="WARNING"))


def _gdf(path: Path, selector: Selector | None, name: str) -> Recorded:
    del selector, name
    raw = mne.io.read_raw_gdf(path, preload=False, verbose="WARNING")
    # a new segment by the event table of GDF 2.0: when it began is not told
    known = {"32766": "New Segment"}
    raw.annotations.rename({old: new for old, new in known.items() if old in raw.annotations.description})
    return Recorded(raw)


def _edf(path: Path, selector: Selector | None, name: str) -> Recorded:
    del selector
    notes = check_edf(path, name)
    read = mne.io.read_raw_bdf if path.suffix.lower() == ".bdf" else mne.io.read_raw_edf
    raw = read(path, preload=False, verbose="WARNING")
    onsets = record_onsets(path, name)
    return Recorded(raw, notes=notes) if onsets is None else _discontinuous(raw, onsets, notes, name)


def _discontinuous(raw: BaseRaw, onsets: np.ndarray, notes: tuple[str, ...], name: str) -> Recorded:
    """Open the gaps of an EDF+D file, which MNE reads as if there were none."""
    sfreq = raw.info["sfreq"]
    per_record = raw.n_times / len(onsets)
    # true time ahead of recorded time, in samples; what is written is rounded to a millisecond or so
    ahead = (onsets - onsets[0]) * sfreq - per_record * np.arange(len(onsets))
    rounding = max(0.75, 2e-3 * sfreq)
    if (np.diff(ahead) < -rounding).any():
        raise ReadError(f"{name}: its records overlap in time. The file is damaged: export it anew.")
    rows = np.flatnonzero(np.diff(ahead) > rounding)
    missing = np.diff(np.rint([0.0, *ahead[rows + 1]])).astype(int)
    if not rows.size:
        return Recorded(raw, notes=notes)
    check_memory((raw.n_times + int(missing.sum())) * len(raw.ch_names), name)
    # events of EDF+ are given in true time, which the opened recording has again
    events = own_annotations(raw)
    opened = open_gaps(fresh_raw(raw), np.rint((rows + 1) * per_record).astype(int), missing)
    gaps = own_annotations(opened)
    gaps.delete(np.flatnonzero(gaps.description != GAP))
    events.onset -= onsets[0]
    note = f"{name}: {count(rows.size, 'gap')} ({missing.sum() / sfreq:.1f} s) opened and marked as bad"
    return Recorded(fresh_raw(opened, annotations=gaps + events), notes=(*notes, note))


def _snirf(path: Path, selector: Selector | None, name: str) -> Recorded:
    group = selector.text if selector and selector.kind == "group" else None
    raw, notes = read_snirf(path, group, name)
    return Recorded(raw, notes=notes, light=snirf_light(path, group))


def _homer(path: Path, selector: Selector | None, name: str) -> Recorded:
    del selector
    return Recorded(read_homer(path, name), light=homer_light(path))


def _xdf(path: Path, selector: Selector | None, name: str) -> Recorded:
    raw, stamps, notes = read_xdf(path, selector.text if selector and selector.kind == "stream" else None, name)
    return Recorded(raw, stamps, notes=notes)


def _plain(read: Callable[[Path, str], BaseRaw]) -> Callable[[Path, Selector | None, str], Recorded]:
    return lambda path, _selector, name: Recorded(read(path, name))


_READERS: dict[str, Callable[[Path], BaseRaw]] = {
    "CNT": lambda path: mne.io.read_raw_cnt(path, preload=False, verbose="WARNING"),
    "ANT CNT": lambda path: mne.io.read_raw_ant(path, preload=False, verbose="WARNING"),
    "EGI MFF": lambda path: mne.io.read_raw_egi(path, preload=False, verbose="WARNING"),
    "Hitachi": lambda path: mne.io.read_raw_hitachi(path, preload=False, verbose="WARNING"),
    "BOXY": lambda path: mne.io.read_raw_boxy(path, preload=False, verbose="WARNING"),
    "Persyst": lambda path: mne.io.read_raw_persyst(path, preload=False, verbose="WARNING"),
    "eximia": lambda path: mne.io.read_raw_eximia(path, preload=False, verbose="WARNING"),
    "Curry": lambda path: mne.io.read_raw_curry(path, preload=False, verbose="WARNING"),
    "Nicolet": lambda path: mne.io.read_raw_nicolet(path, "eeg", preload=False, verbose="WARNING"),
}

#: Formats that need more than one call.
_OWN: dict[str, Callable[[Path, Selector | None, str], Recorded]] = {
    "FIF": _fif,
    "EDF": _edf,
    "BDF": _edf,
    "EGI": _egi,
    "GDF": _gdf,
    "BrainVision": _brainvision,
    "EEGLAB": _eeglab,
    "SNIRF": _snirf,
    "XDF": _xdf,
    "NIRx": _plain(read_nirx),
    "Homer": _homer,
    "MATLAB": _plain(read_matlab),
    "table": _plain(read_table),
}


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


def _loaded(data: BaseRaw | BaseEpochs, channels: list[str], name: str, kind: str) -> BaseRaw | BaseEpochs:
    check_memory(_n_times(data) * len(channels), name)
    with library(name, kind) as heard:
        if len(channels) < len(data.ch_names):
            data = data.copy().pick(channels, verbose="WARNING")
        if not data.preload:
            with mne.use_log_level("WARNING"):
                data.load_data()
    heard.warn(name)
    return data


def _n_times(data: BaseRaw | BaseEpochs) -> int:
    return data.n_times if isinstance(data, BaseRaw) else len(data.times) * len(data.events)


def _check_names(data: BaseRaw | BaseEpochs, name: str) -> None:
    for number, each in enumerate(data.ch_names, start=1):
        if "\0" in each:  # numpy drops it at the end of a name, so that nothing finds the channel again
            raise ReadError(
                f"{name}: the name of channel {number} holds a zero byte, so its header is damaged. "
                "Copy it again, or export it anew."
            )


def _check_modality(data: BaseRaw | BaseEpochs, modality: str, name: str) -> None:
    types = set(data.get_channel_types())
    if types & set(SIGNAL_TYPES[modality]):
        return
    found = "fNIRS" if types & set(_FNIRS) else "EEG" if "eeg" in types else "no EEG and no fNIRS"
    wanted = "EEG" if modality == "eeg" else "fNIRS"
    raise ReadError(
        f"{name}: the row says modality {modality!r}, but the file holds {found} channels (no {wanted}). "
        "Correct the column modality, the channel rule or the file; both people need one modality."
    )


def _renamed(data: BaseRaw | BaseEpochs, selector: Selector | None, modality: str) -> BaseRaw | BaseEpochs:
    # fNIRS names carry source, detector and wavelength: another name breaks mne.preprocessing.nirs
    if selector is None or modality != "eeg":
        return data
    bare = {each: selector.strip(each) for each in data.ch_names}
    if len(set(bare.values())) < len(bare):
        return data
    return data.rename_channels({old: new for old, new in bare.items() if old != new}, verbose="WARNING")
