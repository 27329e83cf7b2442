"""Who is re-paired with whom: people who never met show what chance looks like."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyperscan.nulls import partners
from hyperscan.schema import SessionKey
from hyperscan.study.session import Session


@dataclass(frozen=True)
class PseudoSession:
    """A dyad-session re-paired with a person of another dyad's."""

    #: The dyad-session that the pair is the chance level of
    key: SessionKey
    #: The other dyad-session
    partner: SessionKey
    #: one of {'client', 'therapist'}: Who comes from the partner: ``client`` pairs therapist i with client j,
    #: ``therapist`` pairs therapist j with client i
    which: str
    #: The two dyads share their therapist, so they may be alike without having met
    shared_therapist: bool = False


def pseudo_pairs(
    sessions: Iterable[Session],
    *,
    max_partners: int = 20,
    min_pseudo: int = 4,
    seed: int = 0,
    compatible: Mapping[SessionKey, Hashable] | None = None,
) -> list[PseudoSession]:
    """Draw the pseudo pairs of every dyad-session.

    Pairs only form between dyads that differ in therapist and client, within one session number, modality, task and
    run; dyads that share a therapist step in where fewer than ``min_pseudo`` pairs exist otherwise.

    Examples
    --------
    >>> from pathlib import Path
    >>> file = Path("x.edf")
    >>> two = [Session(f"D{i}", f"T{i}", f"C{i}", 1, "eeg", file, file, Path()) for i in (1, 2)]
    >>> [(pair.key.dyad, pair.partner.dyad, pair.which) for pair in pseudo_pairs(two)]
    [('D1', 'D2', 'client'), ('D1', 'D2', 'therapist'), ('D2', 'D1', 'client'), ('D2', 'D1', 'therapist')]
    """
    pairs = []
    for name, group in _groups(sessions, compatible).items():
        drawn = partners(
            [session.dyad for session in group],
            [session.therapist for session in group],
            [session.client for session in group],
            max_partners=max_partners,
            min_pairs=min_pseudo,
            rng=np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())])),
        )
        pairs += [
            PseudoSession(group[pair.dyad].key, group[pair.partner].key, pair.which, pair.shared_therapist)
            for pair in drawn
        ]
    return sorted(pairs, key=lambda pair: (pair.key, pair.partner, pair.which))


def _groups(
    sessions: Iterable[Session], compatible: Mapping[SessionKey, Hashable] | None
) -> dict[str, Sequence[Session]]:
    """Group sessions that may be re-paired, under a name that does not depend on their order.

    Labels may be any hashable and need not have a stable text, so groups of one session number are told
    apart by their first key.
    """
    found: dict[tuple[Hashable, ...], list[Session]] = defaultdict(list)
    for session in sorted(sessions, key=lambda session: session.key):
        if compatible is None or session.key in compatible:
            label = None if compatible is None else compatible[session.key]
            found[(*session.key[1:], label)].append(session)
    return {str(group[0].key): group for group in found.values()}
