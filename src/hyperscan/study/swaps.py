"""Therapist and client exchanged in one session: told by what stays the same in a person from session to session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.study.findings import Finding
from hyperscan.study.session import SessionKey

#: Sessions of a dyad from which on one can be compared with the others (our choice: the others must agree).
MIN_SESSIONS = 3
#: The exchanged reading must leave less than this part of the distance that the given one leaves (our choice).
MAX_RATIO = 0.25
#: Two people must differ by this many standard deviations of one person over sessions (our choice).
MIN_APART = 3.0

#: Columns of quality.tsv that belong to the person more than to the day (our choice).
_PERSONAL = ("peak_hz_", "peak_width_", "peak_db_", "snr_", "amplitude", "highfreq", "s2_line", "band_sd", "mayer")

Facts = Mapping[str, Mapping[str, Any]]
Floats = NDArray[np.float64]


def find_swaps(people: Mapping[SessionKey, Facts]) -> list[Finding]:
    """Look for sessions in which the two people seem to be exchanged; nothing is ever changed.

    Parameters
    ----------
    people : mapping
        Session -> role (``therapist``, ``client``) -> columns of quality.tsv. Those typical of a person are used,
        such as the frequency, width and height of the alpha peak; NaN = not known.

    Returns
    -------
    list of Finding
        One warning per session in question, in order.

    Examples
    --------
    >>> def session(number, therapist, client):
    ...     facts = {"therapist": {"peak_hz_alpha": therapist}, "client": {"peak_hz_alpha": client}}
    ...     return SessionKey("D1", number, "eeg", "", ""), facts
    >>> rows = [session(1, 9.1, 11.2), session(2, 9.0, 11.1), session(3, 11.1, 9.1), session(4, 9.2, 11.3)]
    >>> [finding.keys[0].session for finding in find_swaps(dict(rows))]
    [3]
    """
    names = sorted(
        {name for roles in people.values() for facts in roles.values() for name in facts if name.startswith(_PERSONAL)}
    )
    groups: dict[tuple[str, str, str, str], list[SessionKey]] = defaultdict(list)
    for key in sorted(people):
        groups[key.dyad, key.modality, key.task, key.run].append(key)
    vectors = {key: _vectors(people[key], names) for key in people}
    scale = _within(list(groups.values()), vectors)
    return [
        _finding(key)
        for keys in groups.values()
        if len(keys) >= MIN_SESSIONS
        for key in keys
        if _exchanged(vectors[key] / scale, np.array([vectors[other] / scale for other in keys if other != key]))
    ]


def _vectors(facts: Facts, names: list[str]) -> Floats:
    values = [[facts[role].get(name) for name in names] for role in ("therapist", "client")]
    return np.array(values, dtype=float)  # None, as JSON has what is not known, becomes NaN


def _within(groups: list[list[SessionKey]], vectors: Mapping[SessionKey, Floats]) -> Floats:
    """Compute one person's standard deviation over sessions, by median absolute deviation, shape (n_facts,)."""
    deviations = []
    for keys in groups:
        held = np.array([vectors[key] for key in keys])
        deviations.append(np.abs(held - _median(held)).reshape(-1, held.shape[-1]))
    spread = 1.4826 * _median(np.concatenate(deviations)) if deviations else np.ones(0)
    # a fact that never varies tells people apart with certainty, but must not count beyond all others
    everything = np.concatenate(list(vectors.values())) if vectors else np.ones((1, 0))
    overall = np.abs(everything - _median(everything)).max(axis=0, initial=0.0, where=np.isfinite(everything))
    floor = np.maximum(0.02 * overall, 1e-12)
    return np.asarray(np.maximum(np.nan_to_num(spread), floor), dtype=float)


def _median(values: Floats) -> Floats:
    """Median over the first axis without NaN; NaN where nothing is known."""
    middle = np.full(values.shape[1:], np.nan)
    for at in np.ndindex(middle.shape):
        held = values[(slice(None), *at)]
        held = held[np.isfinite(held)]
        middle[at] = np.median(held) if held.size else np.nan
    return middle


def _exchanged(here: Floats, others: Floats) -> bool:
    usual = _median(others)
    known = np.isfinite(here).all(axis=0) & np.isfinite(usual).all(axis=0)
    if not known.any():
        return False
    here, usual = here[:, known], usual[:, known]
    apart = np.sqrt(np.mean((usual[0] - usual[1]) ** 2))
    given, exchanged = np.mean((here - usual) ** 2), np.mean((here[::-1] - usual) ** 2)
    return bool(apart > MIN_APART and exchanged < MAX_RATIO * given)


def _finding(key: SessionKey) -> Finding:
    return Finding(
        "swapped",
        "warning",
        f"{key}: the therapist's recording resembles the client's of the other sessions, and the other way round. "
        "Check the two files (or channel rules) of this row in dyads.tsv; nothing was exchanged.",
        (key,),
    )
