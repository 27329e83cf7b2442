"""Two people who are in memory already: MNE's Raw and Epochs, taken as the files of a row are."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import mne
import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw
from numpy.typing import ArrayLike

from hyperscan.errors import InputError, did_you_mean
from hyperscan.recording.annotations import find_trigger_lines
from hyperscan.recording.files.epochs import fix_moments, keys_of_mne
from hyperscan.recording.files.fif import without_ids
from hyperscan.recording.files.pairs import SIGNAL_TYPES, compare_people
from hyperscan.recording.files.wavelengths import whole_pairs
from hyperscan.recording.read import pair_epochs, pair_raws
from hyperscan.recording.records import EpochKeys, PairedRecording, PersonRecording
from hyperscan.schema import ROLES, SessionKey
from hyperscan.study.session import Session

#: Below it no file can lie, so nobody looks for one.
_NOWHERE = Path(os.devnull)

#: Two people of one session: their raws, their epochs, or both in one record.
Pair = PairedRecording | tuple[BaseRaw, BaseRaw] | tuple[BaseEpochs, BaseEpochs]

#: Sessions in memory: by dyad and session number, or a list per dyad in the order of its sessions.
PairsInMemory = Mapping[tuple[str, int], Pair] | Mapping[str, Sequence[Pair]]


def is_signal(data: object) -> TypeGuard[BaseRaw | BaseEpochs]:
    """Whether an object is a Raw or Epochs of MNE."""
    return isinstance(data, BaseRaw | BaseEpochs)


def pair_in_memory(
    therapist: BaseRaw | BaseEpochs,
    client: BaseRaw | BaseEpochs,
    key: str | tuple[ArrayLike, ArrayLike] | None = None,
    /,
    **row: Any,
) -> PairedRecording:
    """Pair two raws or two epochs; ``row`` holds fields of :class:`hyperscan.Session`."""
    people = {"therapist": therapist, "client": client}
    for role, data in people.items():
        if not is_signal(data):
            raise InputError(
                f"{role} = {type(data).__name__}: expected a Raw or Epochs of MNE. Wrap arrays in mne.io.RawArray or "
                "mne.EpochsArray, or give them to hyperscan.metrics as they are."
            )
    epoched = [isinstance(data, BaseEpochs) for data in people.values()]
    if any(epoched) and not all(epoched):
        raise InputError("one person has a Raw, the other Epochs: expected the same of both. Cut both alike.")
    of_files = ("root", "_file", "_channels", "line")
    known = [field.name for field in dataclasses.fields(Session) if not field.name.endswith(of_files)]
    for name in row:
        if name.endswith("_channels"):
            raise InputError(
                f"{name} chooses a part of a file. Pick each person's channels before: raw.copy().pick(...)."
            )
        if name not in known:
            raise InputError(f"{name} is no label of a session; known: {', '.join(known)}.{did_you_mean(name, known)}")
    dyad = row.pop("dyad", "D1")
    fields: dict[str, Any] = {"therapist": f"T{dyad}", "client": f"C{dyad}", "session": 1, **row}
    fields.setdefault("modality", _modality(therapist))
    session = Session(
        dyad=dyad, root=_NOWHERE, therapist_file=_NOWHERE / "therapist", client_file=_NOWHERE / "client", **fields
    )
    for role, data in people.items():
        if not set(data.get_channel_types()) & set(SIGNAL_TYPES[session.modality]):
            raise InputError(f"{role}: holds no {session.modality} channels. Give both people's {session.modality}.")
    with mne.use_log_level("WARNING"):
        taken = {role: PersonRecording(data.copy().load_data()) for role, data in people.items()}
        for role, person in taken.items():
            find_trigger_lines(person.data)
            if session.modality == "fnirs" and isinstance(person.data, BaseRaw):
                data, notes = whole_pairs(person.data, role)
                taken[role] = replace(person, data=data, notes=notes)
    if all(epoched):
        if key is not None and session.clock is None:  # the user says which trial is which
            session = replace(session, clock="triggers")
        keys = _keys(taken, key)
        taken = {role: replace(person, epochs=keys[role]) for role, person in taken.items()}
    a, b = taken["therapist"], taken["client"]
    with mne.use_log_level("WARNING"):
        return compare_people((pair_epochs if all(epoched) else pair_raws)(session, a, b), a, b)


PairedRecording._in_memory = staticmethod(pair_in_memory)


def _modality(data: BaseRaw | BaseEpochs) -> str:
    types = set(data.get_channel_types())
    found = [name for name, members in SIGNAL_TYPES.items() if types & set(members)]
    if len(found) != 1:
        what = " and ".join(found) or "neither EEG nor fNIRS"
        raise InputError(f"therapist: holds {what} channels. Pick one kind, or say modality='eeg' or 'fnirs'.")
    return found[0]


def _keys(
    people: Mapping[str, PersonRecording], key: str | tuple[ArrayLike, ArrayLike] | None
) -> dict[str, EpochKeys | None]:
    """Say which epoch is which: by a key that the user names, or by what MNE keeps."""
    if key is None:
        return {role: keys_of_mne(person.data) for role, person in people.items()}
    named = f"column {key!r} of their metadata" if isinstance(key, str) else "the keys that were given"
    columns = {}
    for role, given in zip(ROLES, (key, key) if isinstance(key, str) else key, strict=True):
        epochs = people[role].data
        if isinstance(given, str):
            known = [] if epochs.metadata is None else list(epochs.metadata.columns)
            if given not in known:
                told = ", ".join(map(str, known)) or "none"
                raise InputError(f"key = {given!r}: the {role}'s metadata have no such column; known: {told}.")
            given = epochs.metadata[given]
        column = np.asarray(given)
        if column.shape != (len(epochs),):
            raise InputError(
                f"key: the {role} has {len(epochs)} epochs and keys of shape {column.shape}. Give one each."
            )
        if len(set(column.tolist())) < len(column):
            raise InputError(f"key: two epochs of the {role} have one key. Give every trial a key of its own.")
        columns[role] = column.tolist()
    numbers = {held: number for number, held in enumerate(dict.fromkeys([*columns["therapist"], *columns["client"]]))}
    return {
        role: replace(
            keys_of_mne(people[role].data),
            numbers=np.array([numbers[held] for held in column], float),
            n_original=len(numbers),
            logged=True,
            counted=named,
            stated=True,
        )
        for role, column in columns.items()
    }


# ---- a study


def pairs_of(study: PairsInMemory) -> Iterator[PairedRecording]:
    """Read a mapping of sessions in memory; a list counts a dyad's sessions from 1 on."""
    for name, held in study.items():
        if isinstance(name, str) and isinstance(held, Sequence) and not _is_pair(held):
            for number, pair in enumerate(held, start=1):
                yield _labelled(pair, name, number)
        elif isinstance(name, tuple) and len(name) == 2 and isinstance(name[0], str) and isinstance(name[1], int):
            yield _labelled(held, *name)
        else:
            raise InputError(
                f"sessions[{name!r}]: expected {{('D1', 1): (raw_therapist, raw_client), ...}} or "
                "{'D1': [(raw_therapist, raw_client), ...], ...}."
            )


def _is_pair(held: object) -> bool:
    return isinstance(held, PairedRecording) or (
        isinstance(held, Sequence) and len(held) == 2 and all(map(is_signal, held))
    )


def _labelled(pair: object, dyad: str, number: int) -> PairedRecording:
    name = f"sessions[{dyad!r}, {number}]"
    if isinstance(pair, PairedRecording):
        if pair.clock is not None or pair.stamps is not None:
            raise InputError(
                f"{name}: is aligned already, or holds time stamps; a run aligns and prepares by itself, to tell how.\n"
                "Give what PairedRecording.from_raws or from_epochs made, or run it from its files."
            )
        return pair.replace(session=replace(pair.session, dyad=dyad, session=number))
    if not isinstance(pair, Sequence) or not _is_pair(pair):
        raise InputError(f"{name} = {type(pair).__name__}: expected two Raw, two Epochs, or a PairedRecording.")
    return pair_in_memory(*pair, dyad=dyad, session=number)


def save_pairs(pairs: Iterator[PairedRecording], folder: Path) -> list[Session]:
    """Write sessions in memory as FIF files, as a study on disk has them; equal data give equal files.

    Samples are kept as 64-bit numbers: 8 bytes each.
    """
    folder.mkdir(exist_ok=True)
    rows = []
    for pair in pairs:
        key: SessionKey = pair.session.key
        label = "_".join(filter(None, [key.dyad, f"{key.session:02d}", key.modality, key.task, key.run]))
        files: list[Path] = []
        for role in ROLES:
            path = folder / f"{label}_{role}_{'epo' if pair.epoched else 'raw'}.fif"
            data = _epochs_again(pair, role) if pair.epoched else pair.raw(role)
            data.save(path, fmt="double", verbose="ERROR")
            without_ids(path)
            files.append(path)
        rows.append(replace(pair.session, root=folder, therapist_file=files[0], client_file=files[1]))
    if not rows:
        raise InputError("sessions is an empty mapping: give at least one dyad and session.")
    return rows


def _epochs_again(pair: PairedRecording, role: str) -> BaseEpochs:
    """Cut joined epochs apart, with a sample each that pairs them when they are read."""
    raw, n_epochs = pair.raw(role), len(pair.segments)
    n_times = raw.n_times // n_epochs
    data = raw.get_data().reshape(len(raw.ch_names), n_epochs, n_times).transpose(1, 0, 2)
    # the therapist's for both, who are paired; else samples that are not those of epochs laid end to end
    times = None if pair.epoch_times is None or not fix_moments(pair.epoch_times[0]) else pair.epoch_times[0]
    samples = (2 * np.arange(n_epochs) + 1) * n_times
    if times is not None:
        samples = np.rint(times * raw.info["sfreq"]).astype(int)
    events = np.column_stack([samples, np.zeros(n_epochs, int), np.ones(n_epochs, int)])
    return mne.EpochsArray(data, raw.info, events=events, verbose="ERROR")
