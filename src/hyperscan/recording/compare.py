"""Whether two recordings are two people, measured alike: not one file twice, one unit, one kind of signal."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ReadError, count
from hyperscan.recording.copies import check_copies
from hyperscan.recording.gaps import recorded
from hyperscan.recording.read import Recorded
from hyperscan.recording.records import PairedRecording
from hyperscan.recording.wavelengths import check_same_light
from hyperscan.study.session import Session

#: Two people's amplitudes differ by less than this unless a unit is wrong (our choice; people differ up to
#: ten-fold).
MAX_RATIO = 100.0
#: Standard deviation in V within a second that EEG may have, as the median over seconds and channels: from
#: amplifier noise
#: to beyond any artefact (our choice, wide). Volts read as microvolts are a million off.
EEG_RANGE = (5e-8, 5e-3)
#: The same within twenty seconds for haemoglobin changes in mol/l.
HB_RANGE = (1e-10, 1e-2)
_BLOCK_S = {"EEG": 1.0, "haemoglobin": 20.0}

#: What is looked at in the middle of a recording, in s.
_LOOK_S = 60.0


def check_same_file(session: Session) -> None:
    """Refuse one file for both people without a rule that tells them apart.

    Parameters
    ----------
    session : Session
        A row.

    Raises
    ------
    ReadError
        If the two paths, two links or two copies are the same data.
    """
    a, b = session.therapist_file, session.client_file
    if session.therapist_channels is not None and session.client_channels is not None:
        return
    if not (a.exists() and b.exists()):
        return
    if one_file(session) or _same_bytes(a, b):
        raise ReadError(
            f"{session.relative(a)}: therapist_file and client_file are the same data "
            f"({session.relative(b)}). "
            "Name two files, or say in therapist_channels and client_channels which part is whose (1-32, "
            "prefix:T_ ...)."
        )


def one_file(session: Session) -> bool:
    """Whether both people are in one file: one path, or two links to it.

    Parameters
    ----------
    session : Session
        A row.

    Returns
    -------
    bool
    """
    a, b = session.therapist_file, session.client_file
    return a == b or (a.exists() and b.exists() and a.samefile(b))


def _same_bytes(a: Path, b: Path) -> bool:
    if a.is_dir() or b.is_dir() or a.stat().st_size != b.stat().st_size or a.stat().st_size == 0:
        return False
    # the header of two BrainVision recordings may be equal, their data not
    if a.suffix.lower() == ".vhdr":
        return False
    return _digest(a) == _digest(b)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare_people(pair: PairedRecording, therapist: Recorded, client: Recorded) -> PairedRecording:
    """Refuse pairs that are not two people measured alike.

    Parameters
    ----------
    pair : PairedRecording
        As loaded.
    therapist, client : Recorded
        What their files say of them.

    Returns
    -------
    PairedRecording
        The same.

    Raises
    ------
    ReadError
        If both people share channels of one file, the signals are of different kinds, the units or wavelengths
        differ, or the samples are the same, be it with a shift in time.

    Warns
    -----
    DataQualityWarning
        If some, but not most, channels are the same in both.
    """
    _check_overlap(pair, therapist.channels, client.channels)
    _check_kinds(pair)
    _check_units(pair)
    people = {role: pair.raw(role) for role in ("therapist", "client")}
    check_same_light(pair.session, people, {"therapist": therapist.light, "client": client.light})
    check_copies(pair)
    return pair


def _check_overlap(pair: PairedRecording, a: tuple[str, ...], b: tuple[str, ...]) -> None:
    session = pair.session
    if not one_file(session):
        return
    rules = (session.therapist_channels, session.client_channels)
    if any(rule and rule.startswith(("stream:", "/")) for rule in rules):
        both = [rules[0]] if rules[0] == rules[1] else []
    else:
        both = [name for name in a if name in set(b) and name in pair.therapist.ch_names + pair.client.ch_names]
    if both:
        raise ReadError(
            f"{session.relative(session.therapist_file)}: therapist and client share {count(len(both), 'part')} of "
            "the file "
            f"(rules {rules[0]!r} and {rules[1]!r}). Make the two rules name different channels."
        )


def _kind(raw: BaseRaw) -> str:
    types = set(raw.get_channel_types())
    for kind, members in KINDS.items():
        if types & members:
            return kind
    return "none"


KINDS = {
    "haemoglobin": {"hbo", "hbr"},
    "optical density": {"fnirs_od"},
    "raw intensity": {"fnirs_cw_amplitude", "fnirs_fd_ac_amplitude"},
    "EEG": {"eeg"},
}


def _check_kinds(pair: PairedRecording) -> None:
    a, b = _kind(pair.therapist), _kind(pair.client)
    if a != b:
        session = pair.session
        raise ReadError(
            f"{session.relative(session.client_file)}: holds {b}, the therapist's file holds {a}. "
            "Export both people in the same form (best: raw intensity)."
        )


def _look(raw: BaseRaw, kinds: set[str]) -> np.ndarray:
    """Take the middle minute that was recorded of the channels of some types, shape (n_channels, n_times)."""
    picks = [k for k, kind in enumerate(raw.get_channel_types()) if kind in kinds]
    rows = np.flatnonzero(recorded(raw))
    n = min(rows.size, round(_LOOK_S * raw.info["sfreq"]))
    rows = rows[(rows.size - n) // 2 :][:n]
    if not rows.size:
        return np.zeros((len(picks), 0))
    return raw.get_data(picks=picks, start=int(rows[0]), stop=int(rows[-1]) + 1)[:, rows - rows[0]]


def _check_units(pair: PairedRecording) -> None:
    kind = _kind(pair.therapist)
    if kind not in ("EEG", "haemoglobin"):
        return
    low, high = EEG_RANGE if kind == "EEG" else HB_RANGE
    unit = "V" if kind == "EEG" else "mol/l"
    usual = "uV stored as V, or V as uV" if kind == "EEG" else "uM or arbitrary units stored as M, or M as uM"
    session = pair.session
    size = {}
    for role in ("therapist", "client"):
        raw = pair.raw(role)
        size[role] = _deviation(_look(raw, KINDS[kind]), round(_BLOCK_S[kind] * raw.info["sfreq"]))
    for role, rms in size.items():
        if rms and not low <= rms <= high:
            raise ReadError(
                f"{session.relative(getattr(session, f'{role}_file'))}: the median standard deviation of its "
                f"{kind} channels is "
                f"{rms:.2g} {unit}; expected {low:g} to {high:g}. A unit is wrong ({usual}?): "
                "export it anew with its unit."
            )
    smaller, larger = sorted(size.values())
    if smaller and larger / smaller > MAX_RATIO:
        worse = min(size, key=lambda role: size[role])
        raise ReadError(
            f"{session.relative(getattr(session, f'{worse}_file'))}: the amplitudes of the two people differ "
            f"{larger / smaller:.0f}-fold "
            f"(therapist {size['therapist']:.2g}, client {size['client']:.2g} {unit}); at most "
            f"{MAX_RATIO:.0f}-fold is plausible. "
            "Check the unit of both exports."
        )


def _deviation(data: np.ndarray, n_block: int) -> float:
    """Take the median standard deviation within blocks, which slow drifts do not swell."""
    n = data.shape[1] // max(n_block, 2)
    if n == 0:
        return float(np.median(np.nan_to_num(data.std(axis=1)))) if data.size else 0.0
    blocks = data[:, : n * max(n_block, 2)].reshape(data.shape[0], n, -1)
    deviation = np.where(np.isfinite(blocks).all(axis=2), blocks.std(axis=2), 0.0)
    alive = deviation[deviation > 0]
    return float(np.median(alive)) if alive.size else 0.0
