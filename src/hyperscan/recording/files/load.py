"""A row of ``dyads.tsv`` to two recordings: read, split, compare, pair epochs, find the parts to analyse."""

from __future__ import annotations

import warnings
from pathlib import Path

import mne
import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, ReadError, count
from hyperscan.recording.annotations import fresh_raw, with_events
from hyperscan.recording.files.pairs import check_same_file, compare_people, one_file
from hyperscan.recording.files.read import Recorded, read_person
from hyperscan.recording.pauses import mark_boundaries
from hyperscan.recording.records import PairedRecording, Segment
from hyperscan.recording.resampling import on_own_stamps
from hyperscan.recording.windows import find_segments
from hyperscan.study.session import Session


def pair_epochs(session: Session, therapist: Recorded, client: Recorded) -> PairedRecording:
    """Join the epochs that both people have."""
    a, b = therapist.data, client.data
    _check_alike(session, a, b)
    first, second, how = common_epochs(a, b, session.relative(session.client_file))
    lost = len(a) - len(first), len(b) - len(second)
    note = (
        f"{count(len(first), 'epoch')} common to both people paired by {how}; {lost[0]} of the therapist's and "
        f"{lost[1]} of the "
        "client's have no partner and were left out"
    )
    raws = [_joined(epochs, rows) for epochs, rows in ((a, first), (b, second))]
    length = len(a.times) / a.info["sfreq"]
    segments = tuple(Segment(k * length, length, session.task) for k in range(len(first)))
    history = tuple(dict.fromkeys((*therapist.notes, *client.notes, note)))
    return PairedRecording(raws[0], raws[1], session, segments, history=history, epoched=True)


def common_epochs(a: BaseEpochs, b: BaseEpochs, name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Find the epochs that two people have in common.

    Shapes: ``first, second`` (n_common,).
    """
    for key, how in ((_samples, "event sample"), (_selection, "the number of the original epoch")):
        keys = key(a), key(b)
        if keys[0] is None or keys[1] is None:
            continue
        shared, first, second = np.intersect1d(keys[0], keys[1], return_indices=True)
        if shared.size:
            return first, second, how
    if len(a) == len(b):
        warnings.warn(
            f"{name}: its epochs say neither when they were recorded nor which were left out; as both people "
            f"have {len(a)}, they "
            "are taken to belong together. Save epochs with their events to be sure.",
            DataQualityWarning,
            stacklevel=2,
        )
        return np.arange(len(a)), np.arange(len(b)), "their order, as both have equally many"
    raise ReadError(
        f"{name}: no event sample and no epoch number is common to both people ({len(a)} and {len(b)} "
        "epochs). "
        "Save both with their events, cut at the same moments."
    )


def _samples(epochs: BaseEpochs) -> np.ndarray | None:
    # 0, 1, 2 ... is what MNE writes when nobody said when epochs were recorded
    samples = epochs.events[:, 0]
    trivial = np.array_equal(samples, np.arange(len(samples))) or len(np.unique(samples)) < len(samples)
    return None if trivial else samples


def _selection(epochs: BaseEpochs) -> np.ndarray | None:
    trivial = len(epochs.drop_log) == len(epochs.selection)
    return None if trivial else epochs.selection


def _check_alike(session: Session, a: BaseEpochs, b: BaseEpochs) -> None:
    same = len(a.times) == len(b.times) and np.isclose(a.info["sfreq"], b.info["sfreq"], rtol=1e-6)
    if not same or not np.isclose(a.tmin, b.tmin, atol=0.5 / a.info["sfreq"]):
        raise ReadError(
            f"{session.relative(session.client_file)}: its epochs run from {b.tmin:g} to {b.tmax:g} s at "
            f"{b.info['sfreq']:g} Hz, the "
            f"therapist's from {a.tmin:g} to {a.tmax:g} s at {a.info['sfreq']:g} Hz. Cut both alike."
        )


def _joined(epochs: BaseEpochs, rows: np.ndarray) -> BaseRaw:
    data = epochs[rows].get_data(copy=False)
    n_epochs, n_channels, n_times = data.shape
    flat = np.ascontiguousarray(data.transpose(1, 0, 2).reshape(n_channels, n_epochs * n_times))
    raw = mne.io.RawArray(flat, epochs.info, verbose="WARNING")
    # filters of mne leave these joints alone
    joints = np.arange(1, n_epochs) * n_times / epochs.info["sfreq"]
    return fresh_raw(raw, annotations=mne.Annotations(joints, 0.0, "EDGE boundary", orig_time=None))


def load_session(session: Session) -> PairedRecording:
    """Read the two people of a session.

    Splitting comes first, so the two never meet in a filter, a reference or a vote on bad channels. Values
    are
    left as the files hold them.

    Parameters
    ----------
    session : Session
        Row of ``dyads.tsv``.

    Returns
    -------
    PairedRecording
        Two preloaded raws starting at 0 s, in SI units, each on its own clock; ``clock`` and ``quality`` are
        None. Trigger channels have become annotations. Epochs are joined in time order, one segment each.

    Raises
    ------
    ReadError
        If a file is missing, damaged, of an unknown format or another modality; if both rows name the same
        data, units differ, or epochs cannot be paired.

    Examples
    --------
    >>> import tempfile, mne, numpy as np
    >>> from pathlib import Path
    >>> from hyperscan.study.session import Session
    >>> root = Path(tempfile.mkdtemp())
    >>> info = mne.create_info(["Pz", "Oz"], 100.0, "eeg")
    >>> for seed, name in enumerate(["t-raw.fif", "c-raw.fif"]):
    ...     data = 1e-5 * np.random.default_rng(seed).standard_normal((2, 2000))
    ...     _ = mne.io.RawArray(data, info, verbose=False).save(root / name, verbose=False)
    >>> row = Session("D1", "T1", "C1", 1, "eeg", root / "t-raw.fif", root / "c-raw.fif", root)
    >>> pair = load_session(row)
    >>> pair.client.ch_names
    ['Pz', 'Oz']
    """
    check_same_file(session)
    therapist = _read(session, session.therapist_file, session.therapist_channels)
    client = _read(session, session.client_file, session.client_channels)
    if isinstance(therapist.data, BaseEpochs) or isinstance(client.data, BaseEpochs):
        pair = _load_epochs(session, therapist, client)
    else:
        pair = _load_raws(session, therapist, client)
    return compare_people(pair, therapist, client)


def _read(session: Session, path: Path, rule: str | None) -> Recorded:
    return read_person(path, rule, modality=session.modality, name=session.relative(path))


def _load_raws(session: Session, therapist: Recorded, client: Recorded) -> PairedRecording:
    raws: list[BaseRaw] = []
    notes: list[str] = []
    shared = _share_stamps(session, therapist, client)
    for person, path in ((therapist, session.therapist_file), (client, session.client_file)):
        raw, n_marked = mark_boundaries(with_events(fresh_raw(person.data)))
        if person.stamps is not None and not shared:
            raw, fit = on_own_stamps(raw, person.stamps)
            notes += [f"{session.relative(path)}: {note}" for note in fit.notes]
        raws.append(raw)
        notes += person.notes
        if n_marked:
            notes.append(
                f"{session.relative(path)}: {count(n_marked, 'place')} where recording was cut or paused marked as bad"
            )
    pair = PairedRecording(raws[0], raws[1], session, history=tuple(dict.fromkeys(notes)))
    if shared and therapist.stamps is not None and client.stamps is not None:
        pair = pair.replace(stamps=(therapist.stamps, client.stamps))
    segments, note = find_segments(pair)
    return pair.replace(segments=segments, history=(*pair.history, *note))


def _share_stamps(session: Session, therapist: Recorded, client: Recorded) -> bool:
    """Whether time stamps of the two people are on one clock; else each recording's own put its samples in place."""
    if therapist.stamps is None or client.stamps is None:
        return False
    return session.clock == "timestamps" or (one_file(session) and session.clock in (None, "same_amplifier"))


def _load_epochs(session: Session, therapist: Recorded, client: Recorded) -> PairedRecording:
    if not (isinstance(therapist.data, BaseEpochs) and isinstance(client.data, BaseEpochs)):
        role = "therapist" if isinstance(therapist.data, BaseEpochs) else "client"
        raise ReadError(
            f"{session.relative(getattr(session, f'{role}_file'))}: holds epochs, the other person's file is "
            "continuous. "
            "Export both the same way."
        )
    return pair_epochs(session, therapist, client)
