"""Recordings that a folder holds twice, byte for byte: a copy is nobody's partner."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from hyperscan.study.drafting.recordings import Meeting, Recording
from hyperscan.study.findings import same_files
from hyperscan.study.labels import without_accents

#: What computers and people add to the name of a copy, without accents.
_MARKS = re.compile(
    r"\s*\([0-9]+\)$|[\s_.-]*\b(copy|kopie|copie|copia|backup|duplicate|duplikat)\b[\s_.-]*([0-9]+)?$|"
    r"^(copy of|kopie von|copie de|copia de)\s+"
)


def find_copies(recordings: Iterable[Recording], root: Path) -> dict[str, str]:
    """Map every recording that is there twice to the one that it repeats: the plainest name, shortest first."""
    there = {root / recording.path: recording.path for recording in recordings}
    copies: dict[str, str] = {}
    for group in same_files(there):
        first, *others = sorted((there[path] for path in group), key=_plainness)
        copies |= {path.as_posix(): first.as_posix() for path in others}
    return copies


def _plainness(path: PurePosixPath) -> tuple[bool, int, str]:
    return _bare(path) != _folded(path), len(path.name), path.as_posix()


def _folded(path: PurePosixPath) -> str:
    return without_accents(path.stem)


def _bare(path: PurePosixPath) -> str:
    """Take the marks of copies off a name, as many as there are."""
    text, before = _folded(path), ""
    while text != before:
        text, before = _MARKS.sub("", text), text
    return text


def is_marked(copy: str, original: str) -> bool:
    """Whether a copy lies beside its original and is called after it, as computers call copies.

    Examples
    --------
    >>> is_marked("d1/rec (1).edf", "d1/rec.edf"), is_marked("d1/Kopie von rec.edf", "d1/rec.edf")
    (True, True)
    >>> is_marked("d1/therapist.edf", "d1/client.edf"), is_marked("d2/rec.edf", "d1/rec.edf")
    (False, False)
    """
    one, other = PurePosixPath(copy), PurePosixPath(original)
    return one.parent == other.parent and _bare(one) == _bare(other) and _folded(one) != _folded(other)


def without_copies(meetings: Sequence[Meeting], copies: Mapping[str, str]) -> tuple[list[Meeting], list[str]]:
    """Make one person of two who have one recording and whose names tell neither; list the files left out."""
    found, left = [], []
    for meeting in meetings:
        files = {person.file: copies.get(person.file, person.file) for person in meeting.people}
        unknown = not any(person.role or person.label for person in meeting.people)
        if unknown and len(set(files.values())) < len(files):
            ordered = sorted(files, key=lambda file: _plainness(PurePosixPath(file)))
            kept = {files[file]: file for file in reversed(ordered)}.values()
            left += [file for file in ordered if file not in kept]
            people = tuple(person for person in meeting.people if person.file in kept)
            # alone, a name tells nobody from a partner
            meeting = replace(meeting, people=people if len(people) > 1 else (replace(people[0], words=()),))
        found.append(meeting)
    return found, left


def tell_copies(copies: Mapping[str, str], left: Iterable[str]) -> list[str]:
    """Say of every copy whether it was left out, and what to do."""
    aside = set(left)
    return [
        f"{copy} has the same bytes as {original}"
        + (
            ", so it is left out. Remove it, or replace it if another recording was meant."
            if copy in aside
            else ": one recording under two names. Replace the wrong one, or correct the rows."
        )
        for copy, original in copies.items()
    ]
