"""Faults that only show when rows are compared: duplicates, collisions, order, recordings used twice.

Every check takes the rows and returns line -> sentences. Where two rows contradict each other and nothing
says which one is right, both are named.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from hyperscan.schema import SessionKey
from hyperscan.study.rows import StudyRow, quote
from hyperscan.study.selectors import Selector, disjoint

Faults = dict[int, list[str]]

#: A row, and the role of the person whose recording is meant.
_Use = tuple[StudyRow, str]

#: Lines that a message lists; one more is looked for, to say that there are more.
_LISTED = 5

#: Most parts that a file may be divided into: one for each person in it, however often it is named (our choice).
_MAX_PARTS = 128

_TOO_MANY = "the file {} is divided into {} parts, more than it can hold people. Correct the columns of channels."

#: A recording from its beginning to its end.
_ALL = (0.0, math.inf)

_LABELS = ("dyad", "therapist", "client", "task", "run")


def compare_rows(rows: Sequence[StudyRow]) -> Faults:
    """Run every check that needs more than one row."""
    sound = [row for row in rows if not row.faults]
    found = (
        _duplicate_keys(rows),
        _case_collisions(rows),
        _changed_pairs(sound),
        _disordered(rows),
        _recordings_used_twice(sound),
    )
    faults: Faults = defaultdict(list)
    for part in found:
        for line, sentences in part.items():
            faults[line] += sentences
    return dict(faults)


def _duplicate_keys(rows: Iterable[StudyRow]) -> Faults:
    lines: dict[SessionKey, list[int]] = defaultdict(list)
    for row in rows:
        if row.key is not None:
            lines[row.key].append(row.line)
    return {
        line: [
            f"dyad, session, modality, task and run are the same as in line {_list_others(same, line)}. "
            "Remove one, or number them in task or run."
        ]
        for same in lines.values()
        if len(same) > 1
        for line in same
    }


def _list_others(lines: Iterable[int], line: int) -> str:
    rest = list(itertools.islice((str(other) for other in lines if other != line), _LISTED + 1))
    return ", ".join(rest[:_LISTED]) + (" ..." if len(rest) > _LISTED else "")


def _case_collisions(rows: Sequence[StudyRow]) -> Faults:
    """Ids that differ only in case are one folder on many disks."""
    faults: Faults = defaultdict(list)
    for column in _LABELS:
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for name, number in Counter(getattr(row, column) for row in rows).items():
            spellings[name.casefold()][name] = number
        most = {folded: counts.most_common(2) for folded, counts in spellings.items() if len(counts) > 1}
        for row in rows if most else ():
            value = getattr(row, column)
            usual = most.get(value.casefold(), [])
            if usual and (value != usual[0][0] or usual[0][1] == usual[1][1]):
                other = next(name for name, _ in usual if name != value)
                faults[row.line].append(
                    f"{column} = {value!r} differs only in case from {other!r}. Spell one id in one way."
                )
    return faults


def _changed_pairs(rows: Sequence[StudyRow]) -> Faults:
    """Hold a dyad to one therapist with one client."""
    faults: Faults = {}
    for dyad, same in _by_dyad(rows).items():
        counts = Counter((row.therapist, row.client) for row in same)
        (usual, most), *rest = counts.most_common()
        undecided = bool(rest) and rest[0][1] == most
        for row in same:
            pair = row.therapist, row.client
            if not rest or (pair == usual and not undecided):
                continue
            therapist, client = rest[0][0] if pair == usual else usual
            if pair == (client, therapist):
                fault = (
                    f"therapist {row.therapist!r} and client {row.client!r} are exchanged in other rows of dyad "
                    f"{dyad!r}. Correct the roles, with their files and channels."
                )
            else:
                fault = (
                    f"dyad {dyad!r} is therapist {row.therapist!r} with client {row.client!r} here, but {therapist!r} "
                    f"with {client!r} in other rows. Give each pair its own dyad id."
                )
            faults[row.line] = [fault]
    return faults


def _disordered(rows: Sequence[StudyRow]) -> Faults:
    """Compare the order of the sessions with their days."""
    faults: Faults = {}
    for same in _by_dyad(row for row in rows if row.dyad).values():
        timed = [(row.session, row.days, row) for row in same if row.session is not None and row.days is not None]
        meetings: dict[int, list[tuple[float, StudyRow]]] = defaultdict(list)
        for session, day, row in timed:
            meetings[session].append((day, row))
        numbers = sorted(meetings)
        firsts = {number: meetings[number][0] for number in numbers}
        trusted = _in_every_longest_order([firsts[number][0] for number in numbers])
        for number, is_trusted in zip(numbers, trusted, strict=True):
            first_day, first = firsts[number]
            for day, row in meetings[number]:
                # a session may pass midnight
                if abs(day - first_day) > 1:
                    faults[row.line] = [
                        f"session {number} is on day {day:g} here, but on day {first_day:g} in line {first.line}. "
                        "Correct days (or date) or session."
                    ]
                elif not is_trusted:
                    faults[row.line] = [
                        f"session {number} is on day {day:g}, which disagrees with the order of the dyad's other "
                        "sessions. Correct session or days (or date)."
                    ]
    return faults


def _in_every_longest_order(values: Sequence[float]) -> list[bool]:
    """Which elements every longest non-decreasing subsequence holds.

    One mistyped day is then blamed alone, while of two exchanged sessions neither is trusted.
    """
    before = _longest_up_to(values)
    after = _longest_up_to([-value for value in reversed(values)])[::-1]
    longest = max(before, default=0)
    on_one = [b + a - 1 == longest for b, a in zip(before, after, strict=True)]
    ranks = Counter(b for b, used in zip(before, on_one, strict=True) if used)
    return [used and ranks[b] == 1 for b, used in zip(before, on_one, strict=True)]


def _longest_up_to(values: Sequence[float]) -> list[int]:
    """Length of the longest non-decreasing subsequence that ends at each value."""
    # last values of the best subsequences of every length
    tails: list[float] = []
    lengths = []
    for value in values:
        place = bisect.bisect_right(tails, value)
        tails[place : place + 1] = [value]
        lengths.append(place + 1)
    return lengths


def _by_dyad(rows: Iterable[StudyRow]) -> dict[str, list[StudyRow]]:
    groups: dict[str, list[StudyRow]] = defaultdict(list)
    for row in rows:
        groups[row.dyad].append(row)
    return dict(groups)


def _recordings_used_twice(rows: Sequence[StudyRow]) -> Faults:
    """Hold each recording of a person to one dyad at a time."""
    # parts between different events never overlap
    uses: dict[tuple[tuple[int, int], str | None], list[_Use]] = defaultdict(list)
    for row in rows:
        for role, inode in row.inodes.items():
            uses[inode, row.segment_event].append((row, role))
    others: dict[tuple[int, str], list[int]] = defaultdict(list)
    faults: Faults = defaultdict(list)
    for same in (each for each in uses.values() if len(each) > 1):
        parts = {_part(use) for use in same}
        if len(parts) > _MAX_PARTS:
            for line, name in {row.line: row.files[role].name for row, role in same}.items():
                faults[line].append(_TOO_MANY.format(quote(name), len(parts)))
            continue
        for (one, role), (two, other_role) in _meetings(same, parts, others):
            others[one.line, role].append(two.line)
            others[two.line, other_role].append(one.line)
    for (one, role), (two, other_role) in _whole_and_part(uses):
        for use, other in (((one.line, role), two.line), ((two.line, other_role), one.line)):
            if other not in others[use] and len(others[use]) <= _LISTED:
                others[use].append(other)
    by_line = {row.line: row for row in rows} if others else {}
    for (line, role), lines in others.items():
        name = by_line[line].files[role].name
        faults[line].append(
            f"{role}_file is used for the same time in line {_list_others(sorted(lines), line)} too "
            f"({quote(name)}). Correct the file, or give start_s and stop_s (or segment_event) that do "
            "not overlap."
        )
    return faults


def _whole_and_part(
    uses: Mapping[tuple[tuple[int, int], str | None], Sequence[_Use]],
) -> Iterator[tuple[_Use, _Use]]:
    """List pairs of uses of which one takes a whole file, and one of another meeting an event's spans of it."""
    for (inode, event), parts in uses.items():
        if event is None:
            continue
        # a whole file is used once, or its rows are refused already
        for whole in [use for use in uses.get((inode, None), ())[:_LISTED] if use[0].span == _ALL]:
            for part in parts:
                is_same = (whole[0].dyad, whole[0].session) == (part[0].dyad, part[0].session)
                if not is_same and not _are_apart(_part(whole), _part(part)):
                    yield whole, part


def _part(use: _Use) -> Selector | None:
    """Channels that a use takes of its file; None: not said."""
    row, role = use
    return row.therapist_channels if role == "therapist" else row.client_channels


def _meetings(
    uses: Sequence[_Use], parts: Collection[Selector | None], found: Mapping[tuple[int, str], list[int]]
) -> Iterator[tuple[_Use, _Use]]:
    """List pairs of uses that overlap, in order of time; a use of which enough are ``found`` meets no further ones."""
    near = {part: [other for other in parts if not _are_apart(part, other)] for part in parts}
    ends: list[tuple[float, int]] = []
    lacking, enough = ({part: dict[int, _Use]() for part in parts} for _ in range(2))

    def is_full(use: _Use) -> bool:
        return len(found.get((use[0].line, use[1]), ())) > _LISTED

    ordered = sorted(uses, key=lambda use: use[0].span[0])
    for number, use in enumerate(ordered):
        part, span = _part(use), use[0].span
        while ends and ends[0][0] <= span[0]:
            ended = heapq.heappop(ends)[1]
            for waiting in (lacking, enough):
                waiting[_part(ordered[ended])].pop(ended, None)
        heapq.heappush(ends, (span[1], number))
        for other in [other for each in near[part] for other in lacking[each].values()]:
            if _overlap(use[0], other[0]):
                yield other, use
        for other in (other for each in near[part] for other in enough[each].values()):
            if is_full(use):
                break
            if _overlap(use[0], other[0]):
                yield other, use
        lacking[part][number] = use
        for each in near[part]:
            for full in [number for number, other in lacking[each].items() if is_full(other)]:
                enough[each][full] = lacking[each].pop(full)


def _are_apart(one: Selector | None, two: Selector | None) -> bool:
    """Whether two parts of a file have no channel in common."""
    return one is not None and two is not None and disjoint(one, two)


def _overlap(one: StudyRow, two: StudyRow) -> bool:
    """Whether two rows use a file at the same time."""
    # EEG and fNIRS of one session may lie in one file
    if one is two or (one.modality != two.modality and (one.dyad, one.session) == (two.dyad, two.session)):
        return False
    starts, stops = zip(one.span, two.span, strict=True)
    return max(starts) < min(stops)
