"""Recordings below a folder, their copies, and who seems to have met whom; links are not followed, nothing is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from hyperscan.errors import InputError
from hyperscan.study.findings import same_files
from hyperscan.study.formats import FORMATS, formats_named
from hyperscan.study.labels import without_accents

#: What studies hold and nobody reads for us: ending -> modality, empty where it does not tell.
UNREADABLE = {".xlsx": "", ".obci": "eeg"}
#: Tables of numbers: recordings only where a folder holds no other ones.
_PLAIN = frozenset([".xlsx", *(suffix for form in FORMATS if form.plain for suffix in form.suffixes)])
#: Folders of BIDS and of version control that hold no recordings to analyse.
_SKIPPED = frozenset({"derivatives", "sourcedata", "code", "stimuli", "__pycache__", "node_modules"})
#: Tables that describe a study, not a recording.
_TABLES = re.compile(
    r"(participants|dyads|.*_(events|channels|electrodes|scans|sessions|coordsystem|optodes)|readme.*|changes)\.\w+",
    re.IGNORECASE,
)
_CONTINUATION = re.compile(r"(?P<first>.+)-[1-9][0-9]?\.fif|.+_split-(?!0*1_)[0-9]+_.+\.fif")
#: A folder with more entries is a disk, not a study (our choice).
_MAX_ENTRIES = 500_000


@dataclass(frozen=True)
class Recording:
    """A file or folder that looks like a recording."""

    #: Relative to the study folder
    path: PurePosixPath
    #: one of {'eeg', 'fnirs', ''}: Empty where the name does not tell
    modality: str

    @property
    def suffix(self) -> str:
        """Ending of the name, in lower case."""
        return self.path.suffix.lower()

    @property
    def stem(self) -> str:
        """Name without its ending."""
        return self.path.stem


def find_recordings(folder: Path) -> tuple[list[Recording], list[str]]:
    """List what looks like a recording."""
    found: list[Recording] = []
    notes: list[str] = []
    for path in _walk(folder, notes):
        relative = PurePosixPath(path.relative_to(folder).as_posix())
        modality = _modality(path)
        if modality is not None:
            found.append(Recording(relative, modality))
    names = {recording.path for recording in found}
    found = [recording for recording in found if not _continues(recording.path, names)]
    if any(recording.suffix not in _PLAIN for recording in found):
        found = [recording for recording in found if recording.suffix not in _PLAIN]
    return sorted(found, key=lambda recording: recording.path), notes


def _walk(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Yield files and recordings that are folders; what is passed over for a reason is noted."""
    count = 0
    for here, folders, files in os.walk(folder, followlinks=False):
        parent = Path(here)
        usable = []
        for name in sorted(folders):
            if (parent / name).is_symlink():
                notes.append(f"{_shown(parent / name, folder)} is a link to a folder and is not followed.")
            elif name not in _SKIPPED and _has_plain_name(parent / name, folder, notes):
                usable.append(name)
        whole = [name for name in usable if _is_recording_folder(parent / name)]
        yield from (parent / name for name in whole)
        folders[:] = [name for name in usable if name not in whole]
        count += len(folders) + len(files)
        if count > _MAX_ENTRIES:
            raise InputError(f"{folder.name} holds more than {_MAX_ENTRIES:,} entries. Name the study's own folder.")
        for name in sorted(files):
            if (parent / name).is_symlink() and not _leads_inside(parent / name, folder):
                notes.append(f"{_shown(parent / name, folder)} is a link out of the study folder and is not used.")
            elif _has_plain_name(parent / name, folder, notes):
                yield parent / name


def _has_plain_name(path: Path, folder: Path, notes: list[str]) -> bool:
    """Tell whether a table can hold the name: no control signs, and UTF-8 (else it is not printable)."""
    if path.name.startswith("."):
        return False
    if not path.name.isprintable():
        notes.append(f"{_shown(path, folder)} has signs that no table can hold. Rename it to use it.")
    return path.name.isprintable()


def _leads_inside(path: Path, folder: Path) -> bool:
    # data that was not downloaded (git-annex) is a link to nothing, yet inside
    try:
        return path.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):
        return False


def _shown(path: Path, folder: Path) -> str:
    text = path.relative_to(folder).as_posix()
    return repr(text.encode("utf-8", "replace").decode())


def _is_recording_folder(path: Path) -> bool:
    """Tell a recording that is a folder: EGI's .mff, NIRx."""
    folders = [form for form in FORMATS if form.folder is not None]
    return any(path.suffix.lower() in form.suffixes or (form.folder and form.folder(path)) for form in folders)


def _modality(path: Path) -> str | None:
    """Kind of recording by its name; None if it is none."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return next(form.modality for form in FORMATS if suffix in form.suffixes or (form.folder and form.folder(path)))
    if _TABLES.fullmatch(path.name):
        return None
    named = [form.modality for form in formats_named(path) if form.folder is None]
    return named[0] if named else UNREADABLE.get(suffix)


def _continues(path: PurePosixPath, names: set[PurePosixPath]) -> bool:
    """Whether a FIF file is the second part of another one."""
    match = _CONTINUATION.fullmatch(path.name)
    if match is None:
        return False
    return match["first"] is None or path.with_name(f"{match['first']}.fif") in names


#: Words that name a role beyond doubt, in English, German, French and Spanish, without accents. Parent, child, F, M, A
#: and B do not: these are asked about.
ROLE_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "therapist": frozenset(
            [
                *("therapist", "ther", "thera", "th", "t", "clinician", "counselor", "counsellor", "psychologist"),
                *("therapeut", "therapeutin", "psychologe", "psychologin", "psychotherapeut", "psychotherapeutin"),
                *("therapeute", "psychologue", "psychotherapeute", "praticien", "praticienne"),
                *("terapeuta", "psicologo", "psicologa", "psicoterapeuta"),
            ]
        ),
        "client": frozenset(
            [
                *("client", "cl", "c", "patient", "pat", "pt", "p"),
                *("klient", "klientin", "patientin"),
                *("cliente", "patiente"),
                *("clienta", "paciente"),
            ]
        ),
    }
)


@dataclass(frozen=True)
class Person:
    """One person's part in a meeting."""

    #: Recording, relative to the study folder
    file: str
    #: Id; empty where it is not known
    label: str = ""
    #: one of {'therapist', 'client', ''}: Empty where it is not known
    role: str = ""
    #: Selector, where a file holds two people
    channels: str = ""
    #: Words of names, labels or channels that tell this person from the partner
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """What the names say, letter by letter: labels may keep less of it."""

    dyad: str = ""
    session: str = ""
    task: str = ""
    run: str = ""
    condition: str = ""


@dataclass(frozen=True)
class Meeting:
    """One dyad-session as far as the layout tells."""

    #: Label; empty if it has to be filled in
    dyad: str
    #: Number; None if it has to be filled in
    session: int | None
    #: ``eeg``, ``fnirs`` or empty
    modality: str
    #: Two if all is well
    people: tuple[Person, ...]
    #: Further labels
    task: str = ""
    run: str = ""
    condition: str = ""
    #: What the labels were made of
    said: Said = Said()
    #: Year-month-day that the names tell; empty if they do not
    date: str = ""


@dataclass(frozen=True)
class Proposal:
    """Who met whom in a folder, by one rule."""

    #: Sentence that says which rule was used
    rule: str
    #: One per row
    meetings: tuple[Meeting, ...]
    #: What the reader has to fill in; what was assumed or passed over
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def role_of(word: str) -> str:
    """Role that a word names, digits apart: ``T01`` and ``therapist`` are the therapist.

    Examples
    --------
    >>> role_of("Patient2"), role_of("Thérapeute"), role_of("mother")
    ('client', 'therapist', '')
    """
    bare = bare_word(word)
    return next((role for role, words in ROLE_WORDS.items() if bare in words), "")


def bare_word(word: str) -> str:
    """Take case, accents and a number at its end off a word.

    Examples
    --------
    >>> bare_word("Mère_02"), bare_word("07")
    ('mere', '')
    """
    return re.sub(r"[-_ ]*[0-9]*$", "", without_accents(word).strip("-_ "))


def pair_roles(words: Sequence[str]) -> tuple[str, ...]:
    """Roles of two people; empty ones unless the two words name both roles.

    Examples
    --------
    >>> pair_roles(["P", "T"]), pair_roles(["T", "x"])
    (('client', 'therapist'), ('', ''))
    """
    roles = tuple(role_of(word) for word in words)
    return roles if sorted(roles) == ["client", "therapist"] else ("",) * len(roles)


def last_number(text: str) -> int | None:
    """Read the number at the end of a label such as ``ses-02`` or ``pre1``; None if there is none."""
    match = re.search(r"0*([0-9]{1,4})$", text)
    return int(match[1]) if match and int(match[1]) > 0 else None


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
