"""Chance by pairing people who never met: pseudo-dyads, and the same dyad's other sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hyperscan.errors import InputError


@dataclass(frozen=True)
class PseudoPair:
    """A therapist and a client who did not meet in this session.

    Attributes
    ----------
    dyad : int
        Position of the dyad whose chance level this pair describes.
    partner : int
        Position of the dyad that lends one person.
    which : {"client", "therapist"}
        Whom the partner lends: "client" is (therapist of dyad, client of partner), "therapist" is (therapist
        of partner, client of dyad).
    shared_therapist : bool
        Whether both dyads have the same therapist.
    """

    dyad: int
    partner: int
    which: Literal["client", "therapist"]
    shared_therapist: bool


def partners(
    dyads: Sequence[str],
    therapists: Sequence[str],
    clients: Sequence[str],
    *,
    max_partners: int = 20,
    min_pairs: int = 4,
    rng: np.random.Generator,
) -> list[PseudoPair]:
    """List who is paired with whom to form pseudo-dyads.

    Tests that synchrony is specific to the people who met. Destroys the interaction and keeps what a shared
    protocol, room and instrument give to everyone. Invalid when protocols, lengths or sampling rates differ
    between the dyads (pass only sessions alike in number, task and rate). It cannot see what also comes and
    goes with the pair itself, such as noise common to both amplifiers or the two signal-to-noise ratios.

    Parameters
    ----------
    dyads, therapists, clients : sequence of str, shape (n_dyads,)
        Labels of the recordings that are alike, one entry per dyad.
    max_partners : int
        Most partner dyads of one dyad; each partner gives two pairs. Partners are drawn mutually where that can
        be, so that every dyad lends itself about equally often and a pair serves both of its dyads.
    min_pairs : int
        Partners with the same therapist are used only where the others give fewer pairs than this.
    rng : numpy.random.Generator
        Draws the partners where there are more than ``max_partners``.

    Returns
    -------
    list of PseudoPair
        Two per dyad and partner, in the order of ``dyads``; none for a dyad without an admissible partner.

    Raises
    ------
    InputError
        If the labels differ in number or a dyad is listed twice.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = partners(["D1", "D2"], ["T1", "T2"], ["C1", "C2"], rng=np.random.default_rng(0))
    >>> [(pair.dyad, pair.partner, pair.which) for pair in pairs]
    [(0, 1, 'client'), (0, 1, 'therapist'), (1, 0, 'client'), (1, 0, 'therapist')]
    """
    n_dyads = len(dyads)
    if not n_dyads == len(therapists) == len(clients):
        raise InputError(
            f"dyads, therapists and clients have {n_dyads}, {len(therapists)} and {len(clients)} labels; "
            "allowed is one of each per dyad"
        )
    twice = sorted({dyad for dyad in dyads if list(dyads).count(dyad) > 1})
    if twice:
        raise InputError(f"dyads lists {twice[0]!r} more than once; pass one session, task and run at a time")
    if max_partners < 1:
        raise InputError(f"max_partners={max_partners} must be at least 1")
    candidates = []
    for dyad in range(n_dyads):
        others = {other for other in range(n_dyads) if clients[other] != clients[dyad]}
        strangers = {other for other in others if therapists[other] != therapists[dyad]}
        candidates.append(strangers if 2 * len(strangers) >= min_pairs else others)
    drawn = _drawn(candidates, max_partners, rng)
    sides: tuple[Literal["client", "therapist"], ...] = ("client", "therapist")
    return [
        PseudoPair(dyad, partner, which, therapists[dyad] == therapists[partner])
        for dyad in range(n_dyads)
        for partner in sorted(drawn[dyad])
        for which in sides
    ]


def sessions(session_numbers: Sequence[int], *, for_growth: bool = False) -> list[tuple[int, int]]:
    """Pair the therapist of one session with the client of another session of the same dyad.

    Tests moment-to-moment coupling given the same two people. Destroys the simultaneity and keeps both
    people's traits. Invalid for growth: every pair mixes two sessions, so the trend over sessions is averaged
    away, and the excess over such a null mirrors the trend it should be free of. Also invalid when sessions
    differ in protocol or length. There are at most S (S - 1) values for S sessions.

    Parameters
    ----------
    session_numbers : sequence of int, shape (n_sessions,)
        Sessions of one dyad.
    for_growth : bool
        State what the null is for; True is refused.

    Returns
    -------
    list of tuple of int
        Positions (therapist's session, client's session), never equal.

    Raises
    ------
    InputError
        If ``for_growth``, if fewer than two sessions are given, or one is given twice.

    Examples
    --------
    >>> sessions([1, 2])
    [(0, 1), (1, 0)]
    """
    if for_growth:
        raise InputError(
            "null='sessions' mixes sessions and removes the very trend a growth test looks for; "
            "use 'partners' (same session number, other dyads)"
        )
    count = len(session_numbers)
    if count < 2 or len(set(session_numbers)) < count:
        raise InputError(f"session_numbers={list(session_numbers)} must be at least two different sessions")
    return [(first, second) for first in range(count) for second in range(count) if first != second]


def _drawn(candidates: Sequence[set[int]], most: int, rng: np.random.Generator) -> list[set[int]]:
    """Partners of every dyad: neighbours on a circle in random order, near ones first; the rest as they come."""
    n_dyads = len(candidates)
    circle = rng.permutation(n_dyads).tolist()
    drawn: list[set[int]] = [set() for _ in range(n_dyads)]
    for distance in range(1, n_dyads // 2 + 1):
        for place, dyad in enumerate(circle):
            other = circle[(place + distance) % n_dyads]
            mutual = other in candidates[dyad] and dyad in candidates[other]
            if mutual and len(drawn[dyad] | {other}) <= most and len(drawn[other] | {dyad}) <= most:
                drawn[dyad].add(other)
                drawn[other].add(dyad)
    lent = [len(mine) for mine in drawn]
    for dyad in circle:
        # a partner that is full already, or that would not choose this dyad, lends itself once more
        others = sorted(candidates[dyad] - drawn[dyad], key=lambda other: (lent[other], circle.index(other)))
        for other in others[: most - len(drawn[dyad])]:
            drawn[dyad].add(other)
            lent[other] += 1
    return drawn
