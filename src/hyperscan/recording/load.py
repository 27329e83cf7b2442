"""A row of ``dyads.tsv`` to two recordings: read, split, compare, find the parts to analyse."""

from __future__ import annotations

from pathlib import Path

from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.errors import ReadError, count
from hyperscan.recording.compare import check_same_file, compare_people, one_file
from hyperscan.recording.epoched import pair_epochs
from hyperscan.recording.events import with_events
from hyperscan.recording.fresh import fresh_raw
from hyperscan.recording.gaps import mark_boundaries
from hyperscan.recording.parts import find_segments
from hyperscan.recording.placing import on_own_stamps
from hyperscan.recording.read import Recorded, read_person
from hyperscan.recording.records import PairedRecording
from hyperscan.study.session import Session


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
