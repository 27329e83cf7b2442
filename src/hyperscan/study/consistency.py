"""Faults that only show when rows are compared: duplicates, collisions, order, recordings used twice.

Every check takes the rows and returns line -> sentences. Where two rows contradict each other and nothing
says which one is right, both are named.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hyperscan.study.cells import shown
from hyperscan.study.rows import Entry
from hyperscan.study.selectors import disjoint

Faults = dict[int, list[str]]

_ROLES = ("therapist", "client")
_LABELS = ("dyad", "therapist", "client", "task", "run")


def compare_rows(entries: Sequence[Entry]) -> Faults:
    """Run every check that needs more than one row."""
    sound = [entry for entry in entries if not entry.faults]
    found = (
        _duplicate_keys(entries),
        _case_collisions(entries),
        _changed_pairs(sound),
        _disordered(entries),
        _recordings_used_twice(sound),
    )
    faults: Faults = defaultdict(list)
    for part in found:
        for line, sentences in part.items():
            faults[line] += sentences
    return dict(faults)


def _duplicate_keys(entries: Iterable[Entry]) -> Faults:
    lines: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for entry in entries:
        if entry.key is not None:
            lines[entry.key].append(entry.line)
    return {
        line: [
            f"dyad, session, modality, task and run are the same as in line {_others(same, line)}. "
            "Remove one, or number them in task or run."
        ]
        for same in lines.values()
        if len(same) > 1
        for line in same
    }


def _others(lines: Iterable[int], line: int) -> str:
    rest = [str(other) for other in lines if other != line]
    return ", ".join(rest[:5]) + (" ..." if len(rest) > 5 else "")


def _case_collisions(entries: Sequence[Entry]) -> Faults:
    """Ids that differ only in case are one folder on many disks."""
    faults: Faults = defaultdict(list)
    for column in _LABELS:
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for entry in entries:
            if column in entry.values:
                spellings[entry.values[column].casefold()][entry.values[column]] += 1
        for entry in entries:
            value = entry.values.get(column, "")
            usual = spellings[value.casefold()].most_common(2) if value else []
            if len(usual) > 1 and (value != usual[0][0] or usual[0][1] == usual[1][1]):
                other = next(name for name, _ in usual if name != value)
                faults[entry.line].append(
                    f"{column} = {value!r} differs only in case from {other!r}. Spell one id in one way."
                )
    return faults


def _changed_pairs(entries: Sequence[Entry]) -> Faults:
    """Hold a dyad to one therapist with one client."""
    faults: Faults = {}
    for dyad, rows in _by(entries, "dyad").items():
        counts = Counter(_pair(entry) for entry in rows)
        (usual, most), *rest = counts.most_common()
        undecided = bool(rest) and rest[0][1] == most
        for entry in rows:
            pair = _pair(entry)
            if rest and (undecided or pair != usual):
                other = rest[0][0] if pair == usual else usual
                faults[entry.line] = [_pair_fault(dyad, pair, other)]
    return faults


def _pair(entry: Entry) -> tuple[str, str]:
    return entry.values["therapist"], entry.values["client"]


def _pair_fault(dyad: str, pair: tuple[str, str], other: tuple[str, str]) -> str:
    if pair == other[::-1]:
        return (
            f"therapist {pair[0]!r} and client {pair[1]!r} are exchanged in other rows of dyad {dyad!r}. "
            "Correct the roles, with their files and channels."
        )
    return (
        f"dyad {dyad!r} is therapist {pair[0]!r} with client {pair[1]!r} here, but {other[0]!r} with "
        f"{other[1]!r} in other rows. Give each pair its own dyad id."
    )


def _disordered(entries: Sequence[Entry]) -> Faults:
    """Compare the order of the sessions with their days."""
    faults: Faults = {}
    timed = [entry for entry in entries if {"dyad", "session", "days"} <= set(entry.values)]
    for rows in _by(timed, "dyad").values():
        sessions = [same for _, same in sorted(_by(rows, "session").items())]
        trusted = _in_every_longest_order([same[0].values["days"] for same in sessions])
        for same, is_trusted in zip(sessions, trusted, strict=True):
            faults.update({entry.line: [_order_fault(entry)] for entry in same if not is_trusted})
            # a session may pass midnight
            apart = [entry for entry in same if abs(entry.values["days"] - same[0].values["days"]) > 1]
            faults.update({entry.line: [_day_fault(entry, same[0])] for entry in apart})
    return faults


def _order_fault(entry: Entry) -> str:
    return (
        f"session {entry.values['session']} is on day {entry.values['days']:g}, which disagrees with the "
        "order of the dyad's other sessions. Correct session or days (or date)."
    )


def _day_fault(entry: Entry, first: Entry) -> str:
    return (
        f"session {entry.values['session']} is on day {entry.values['days']:g} here, but on day "
        f"{first.values['days']:g} in line {first.line}. Correct days (or date) or session."
    )


def _in_every_longest_order(values: Sequence[float]) -> list[bool]:
    """Which elements every longest non-decreasing subsequence holds.

    One mistyped day is then blamed alone, while of two exchanged sessions neither is trusted.
    """
    before = [1] * len(values)
    after = [1] * len(values)
    for i, j in itertools.combinations(range(len(values)), 2):
        if values[i] <= values[j]:
            before[j] = max(before[j], before[i] + 1)
    for i, j in itertools.combinations(reversed(range(len(values))), 2):
        if values[j] <= values[i]:
            after[j] = max(after[j], after[i] + 1)
    longest = max(before, default=0)
    on_one = [b + a - 1 == longest for b, a in zip(before, after, strict=True)]
    ranks = Counter(b for b, used in zip(before, on_one, strict=True) if used)
    return [used and ranks[b] == 1 for b, used in zip(before, on_one, strict=True)]


def _by(entries: Iterable[Entry], column: str) -> dict[Any, list[Entry]]:
    groups: dict[Any, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.values[column]].append(entry)
    return dict(groups)


def _recordings_used_twice(entries: Sequence[Entry]) -> Faults:
    """Hold each recording of a person to one dyad at a time."""
    uses: dict[tuple[int, int], list[tuple[Entry, str]]] = defaultdict(list)
    for entry in entries:
        for role in _ROLES:
            status = entry.values[f"{role}_file"].stat()
            uses[status.st_dev, status.st_ino].append((entry, role))
    others: dict[tuple[int, str], list[int]] = defaultdict(list)
    for same in uses.values():
        for (one, role), (two, other_role) in itertools.combinations(same, 2):
            if one is not two and _same_part(one, role, two, other_role) and _same_time(one.values, two.values):
                others[one.line, role].append(two.line)
                others[two.line, other_role].append(one.line)
    faults: Faults = defaultdict(list)
    files = {(entry.line, role): entry.values[f"{role}_file"].name for entry in entries for role in _ROLES}
    for (line, role), lines in others.items():
        faults[line].append(
            f"{role}_file is used for the same time in line {_others(lines, line)} too "
            f"({shown(files[line, role])}). Correct the file, or give start_s and stop_s (or segment_event) that do "
            "not overlap."
        )
    return faults


def _same_part(one: Entry, role: str, two: Entry, other_role: str) -> bool:
    a, b = one.values.get(f"{role}_channels"), two.values.get(f"{other_role}_channels")
    if a is not None and b is not None and disjoint(a, b):
        return False
    session = [entry.values["dyad"] + str(entry.values["session"]) for entry in (one, two)]
    # EEG and fNIRS of one session may lie in one file
    return not (one.values["modality"] != two.values["modality"] and session[0] == session[1])


def _same_time(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    if one.get("segment_event") != two.get("segment_event"):
        return False
    starts = [values.get("start_s", 0.0) for values in (one, two)]
    stops = [values.get("stop_s", float("inf")) for values in (one, two)]
    return bool(max(starts) < min(stops))
