"""Labels of drafted rows: one label for names that differ in case alone, never one for two different names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hyperscan.errors import name_some
from hyperscan.study.drafting.recordings import Meeting
from hyperscan.study.labels import clashes

#: Within what a label of a column has to be another than all others.
_SCOPES: Mapping[str, Callable[[Meeting], tuple[str, ...]]] = MappingProxyType(
    {
        "dyad": lambda _: (),
        "condition": lambda _: (),
        "session": lambda meeting: (meeting.said.dyad or meeting.said.condition,),
        "task": lambda meeting: (meeting.said.dyad, meeting.said.session),
        "run": lambda meeting: (meeting.said.dyad, meeting.said.session),
    }
)

#: Positions of meetings whose names give one label, and these names.
_Clash = tuple[list[int], list[str]]


def settle_labels(meetings: Sequence[Meeting]) -> tuple[list[Meeting], list[str], list[str]]:
    """Spell labels that differ in case alone in one way, and take back those that two different names gave.

    Returns the meetings, what was taken as one, and what has to be asked.
    """
    found, joined, questions = list(meetings), [], []
    for column in _SCOPES:
        asked: dict[str, list[str]] = {}
        files: list[str] = []
        for where, texts in _clashes_of(found, column):
            label = str(getattr(found[where[0]], column))
            twice = _colliding([found[i] for i in where], column)
            if len({text.casefold() for text in texts}) == 1 and not twice:
                usual = Counter((getattr(found[i].said, column), getattr(found[i], column)) for i in where)
                said, label = min(usual, key=lambda pair: (-usual[pair], str(pair)))
                joined.append(f"{' and '.join(texts)} ({column} {label})")
                for i in where:
                    found[i] = _labelled(found[i], column, label, said)
                continue
            asked[label], files = texts, [*files, *twice]
            for i in where:
                found[i] = _labelled(found[i], column, None if column == "session" else "")
        if asked:
            several = name_some([f"{' and '.join(texts)} ({label})" for label, texts in asked.items()], 3)
            both = f" Of one session there are: {name_some(files)}." if files else ""
            questions.append(
                f"{column}: two names would become one label: {several}.{both} Fill in one id where they are the same, "
                "one each where they are not."
            )
    found, people = _people_spelled(found)
    joined += people
    notes = [f"names that differ in case alone are taken as one label: {name_some(joined)}."] if joined else []
    return found, notes, questions


def _clashes_of(meetings: Sequence[Meeting], column: str) -> Iterator[_Clash]:
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, meeting in enumerate(meetings):
        groups[_SCOPES[column](meeting)].append(i)
    for group in groups.values():
        labels = {i: str(getattr(meetings[i], column) or "") for i in group}
        shared = clashes((getattr(meetings[i].said, column), labels[i]) for i in group)
        for label, texts in shared.items():
            yield [i for i in group if labels[i].casefold() == label], texts


def _colliding(meetings: Iterable[Meeting], column: str) -> list[str]:
    """List the files of meetings that one label would make one session, though their names are spelled in two ways."""
    held: dict[tuple[object, ...], list[Meeting]] = defaultdict(list)
    for meeting in meetings:
        names = (getattr(meeting, name).casefold() for name in ("dyad", "task", "run"))
        if meeting.dyad:
            held[(*names, meeting.session, meeting.modality)].append(meeting)
    twice = [group for group in held.values() if len({getattr(meeting.said, column) for meeting in group}) > 1]
    return [" and ".join(dict.fromkeys(p.file for meeting in group for p in meeting.people)) for group in twice]


def _labelled(meeting: Meeting, column: str, label: str | None, said: str | None = None) -> Meeting:
    changes: dict[str, Any] = {column: label}
    if said is not None:
        changes["said"] = replace(meeting.said, **{column: said})
    return replace(meeting, **changes)


def _people_spelled(meetings: Sequence[Meeting]) -> tuple[list[Meeting], list[str]]:
    """Spell the labels of people that differ in case alone in one way, where no session has both of them."""
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    there: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for meeting in meetings:
        for person in meeting.people:
            spellings[person.label.casefold()][person.label] += 1
            there[person.label.casefold(), meeting.session, meeting.modality, meeting.task, meeting.run].add(
                person.label
            )
    both = {name for (name, *_), labels in there.items() if len(labels) > 1}
    several = [counts for name, counts in spellings.items() if len(counts) > 1 and name not in both]
    usual = {
        label: min(counts.items(), key=lambda item: (-item[1], item[0]))[0] for counts in several for label in counts
    }
    found = [
        replace(meeting, people=tuple(replace(p, label=usual.get(p.label, p.label)) for p in meeting.people))
        for meeting in meetings
    ]
    told = {" and ".join(sorted(label for label in usual if usual[label] == one)): one for one in usual.values()}
    return found, [f"{names} (person {label})" for names, label in sorted(told.items())]
