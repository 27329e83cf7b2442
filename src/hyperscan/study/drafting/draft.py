"""``hyperscan init``: a folder -> a drafted ``dyads.tsv``, with questions where the folder does not tell."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from hyperscan.errors import InputError, OutputError, OutputWriteError, count, name_some
from hyperscan.schema import CLOCKS, MODALITIES, ROLES
from hyperscan.study.drafting.bids import bids_files, bids_layout
from hyperscan.study.drafting.folders import folder_layout
from hyperscan.study.drafting.inside import Inside, Peek, look_inside
from hyperscan.study.drafting.recordings import (
    UNREADABLE,
    Meeting,
    Person,
    Proposal,
    Recording,
    find_copies,
    find_recordings,
    is_marked,
    tell_copies,
    without_copies,
)
from hyperscan.study.drafting.sessions import settle_sessions
from hyperscan.study.drafting.spellings import settle_labels
from hyperscan.study.labels import changed_letters, plain_label
from hyperscan.study.rows import REQUIRED

_CHANNELS = tuple(f"{role}_channels" for role in ROLES)
_OFFSETS = tuple(f"{role}_offset_s" for role in ROLES)
_COLUMNS = (*REQUIRED, "date", "task", "run", *_CHANNELS, "condition", "clock", *_OFFSETS)

#: A therapist of its own for every dyad.
EACH = "each"


@dataclass(frozen=True)
class Told:
    """What a folder does not say and its owner does."""

    #: Words of names, ``sub-`` labels or signs of channels that are the therapist's, and the client's
    therapist: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    #: Id of the one therapist of all dyads; ``each``: one of its own for every dyad
    therapist_id: str = ""
    #: How the two recordings share a clock
    clock: str = ""
    #: one of {'eeg', 'fnirs', ''}: Where file names do not tell
    modality: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("clock", CLOCKS[:-1]), ("modality", MODALITIES)):
            value = getattr(self, name)
            if value and value not in allowed:
                raise InputError(f"{name} {value!r}: allowed: {', '.join(allowed)}. Write one of them.")
        if self.therapist_id != plain_label(self.therapist_id):
            raise InputError(
                f"therapist id {self.therapist_id!r}: only letters A-Z a-z and digits are allowed. Shorten it."
            )
        twice = {word.casefold() for word in self.therapist} & {word.casefold() for word in self.client}
        if twice:
            raise InputError(f"{sorted(twice)[0]!r} is told to be therapist and client. Give it one role.")

    def role_of(self, person: Person) -> str:
        """Role that the owner's words give a person; empty if none or both."""
        own = {word.casefold() for word in person.words}
        roles = [role for role in ROLES if own & {word.casefold() for word in getattr(self, role)}]
        return roles[0] if len(roles) == 1 else ""


@dataclass(frozen=True)
class Draft:
    """A proposal for ``dyads.tsv``."""

    #: The table, all text; an empty cell has to be filled in, and keeps its row from being analysed
    rows: pd.DataFrame
    #: Which rule paired the recordings
    rule: str
    #: What has to be filled in or confirmed; each begins with the column
    questions: tuple[str, ...] = ()
    #: What was assumed or passed over
    notes: tuple[str, ...] = ()
    #: Recordings to look at: damaged ones, and copies
    doubts: tuple[str, ...] = ()

    @property
    def empty(self) -> dict[str, int]:
        """Cells that have to be filled in before a row can be analysed: column -> in how many rows."""
        one_file = self.rows["therapist_file"] == self.rows["client_file"]
        needed = {name: one_file if name in _CHANNELS else one_file | True for name in self.rows}
        blank = {name: int(((self.rows[name] == "") & rows).sum()) for name, rows in needed.items()}
        return {name: n for name, n in blank.items() if n}

    @property
    def complete(self) -> bool:
        """Whether nothing is left to fill in."""
        return not self.empty and not self.questions

    def __str__(self) -> str:
        lines = [f"{count(len(self.rows), 'row')}, paired by: {self.rule}"]
        lines += [f"to fill in  {question}" for question in self.questions]
        cells = [f"{name} in {count(n, 'row')}" for name, n in self.empty.items()]
        lines += [f"empty       {', '.join(cells)}"] * bool(cells)
        lines += [f"look at     {doubt}" for doubt in self.doubts]
        lines += [f"note        {note}" for note in self.notes]
        return "\n".join(lines)


def draft_dyads(folder: str | Path, *, peek: Peek | None = None, told: Told = Told()) -> Draft:
    """Draft the table of a study from its folders and names, and what its owner tells; nothing is written.

    Examples
    --------
    >>> draft = draft_dyads("study")  # doctest: +SKIP
    >>> draft.questions  # doctest: +SKIP
    ('therapist: the folder does not tell the therapists. Fill in one id per person; ...',)
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder.name} is not a folder. Name the folder that holds the recordings.")
    root = folder.resolve()
    recordings, passed = find_recordings(root)
    if not recordings:
        raise InputError(
            f"{folder.name} holds no recording (EDF, BDF, BrainVision, SNIRF, XDF ...). Name another folder."
        )
    copies = find_copies(recordings, root)
    marked = [copy for copy, original in copies.items() if is_marked(copy, original)]
    recordings = [recording for recording in recordings if recording.path.as_posix() not in marked]
    layout = _pair_recordings(recordings, root, peek)
    single, aside = without_copies(layout.meetings, copies)
    layout, faults = _look_inside(dataclasses.replace(layout, meetings=tuple(single)), root, peek)
    dated, numbered, asked_order = settle_sessions(_apply(told, layout.meetings))
    meetings, joined, asked_apart = settle_labels(dated)
    if len({meeting.dyad for meeting in meetings}) == 1 and not told.therapist_id:
        told = dataclasses.replace(told, therapist_id=EACH)
    rows = [_row(meeting, told) for meeting in meetings]
    asked = [*layout.questions, *asked_order, *asked_apart]
    asked += _questions(meetings, rows)
    questions = _complete(asked, rows)
    notes = (*passed, *layout.notes, *numbered, *joined, *_notes(meetings, recordings, told))
    # columns that questions begin with belong in the table, although nothing is in them yet
    wanted = {name for question in questions for name in columns_of(question)}
    doubts = (*tell_copies(copies, [*marked, *aside]), *faults)
    return Draft(_frame(rows, wanted), layout.rule, questions, notes, doubts)


def columns_of(question: str) -> list[str]:
    """Columns that a question is about: it begins with them."""
    return [name.strip() for name in question.partition(":")[0].split(",")]


def write_draft(draft: Draft, path: str | Path) -> Path:
    """Write a draft; an existing table is never replaced."""
    path = Path(path)
    path = path / "dyads.tsv" if path.is_dir() else path
    text = draft.rows.to_csv(sep="\t", index=False, lineterminator="\n")
    try:
        with path.open("x", encoding="utf-8", newline="") as stream:
            try:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise OutputError(f"{path.name} exists and is not replaced. Rename it to have another drafted.") from None
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "")
        raise OutputWriteError(f"{path.name} cannot be written ({error.strerror or code}). Check the disk.") from None
    return path


def _pair_recordings(recordings: Sequence[Recording], root: Path, peek: Peek | None) -> Proposal:
    def holds_two(file: str) -> bool:
        return bool(look_inside(root / file, peek).channels)

    files = bids_files(recordings)
    if not files:
        return folder_layout(recordings, holds_two)
    layout = bids_layout(files, root, holds_two)
    used = {file.recording for file in files}
    others = [recording.path.as_posix() for recording in recordings if recording not in used]
    if not others:
        return layout
    note = f"not named as BIDS wants, so left out: {name_some(others)}."
    return dataclasses.replace(layout, notes=(*layout.notes, note))


def _look_inside(layout: Proposal, root: Path, peek: Peek | None) -> tuple[Proposal, list[str]]:
    """Look for two people in the files that stand alone; say which of these are damaged."""
    # a person of known role is one of two files
    lone = [m for m in layout.meetings if len(m.people) == 1 and not m.people[0].role]
    # where most sessions have two files, a single one lacks its partner
    if not lone or 2 * len(lone) < len(layout.meetings):
        return layout, []
    seen = {meeting.people[0].file: look_inside(root / meeting.people[0].file, peek) for meeting in lone}
    faults = []
    for meeting in (meeting for meeting in lone if seen[meeting.people[0].file].fault):
        file = meeting.people[0].file
        like = _inside_of_others(meeting, lone, seen)
        fault = seen[file].fault.removeprefix(f"{PurePosixPath(file).name}: ").removeprefix(f"{file}: ")
        drafted = " Its row is drafted like the other files." if like.channels else ""
        faults.append(f"{file}: {fault}{drafted}")
        seen[file] = like if like.channels else seen[file]
    meetings = []
    for meeting in layout.meetings:
        if meeting in lone:
            file = meeting.people[0].file
            modality = meeting.modality or seen[file].modality
            people = seen[file].people(file) if seen[file].channels else meeting.people
            meetings.append(dataclasses.replace(meeting, people=people, modality=modality))
        else:
            meetings.append(meeting)
    rules = sorted({found.rule for found in seen.values() if found.rule})
    rule = "; ".join([layout.rule.rstrip("."), *rules]) + "."
    files: dict[str, list[str]] = defaultdict(list)
    for file, found in seen.items():
        files[found.question].append(file)
    questions = [
        f"therapist_channels, client_channels: one file per session, and {question}: {name_some(asked, 3)}. "
        "Fill in each person's part if both are in it, else the partner's file."
        for question, asked in files.items()
        if question
    ]
    return Proposal(rule, tuple(meetings), (*layout.questions, *questions), layout.notes), faults


def _inside_of_others(meeting: Meeting, lone: Sequence[Meeting], seen: Mapping[str, Inside]) -> Inside:
    """Look at how the other files of a dyad, else of all dyads, hold two people; nothing if in several ways."""
    own = [other for other in lone if other.said.dyad.casefold() == meeting.said.dyad.casefold()]
    for group in (own if meeting.said.dyad else [], lone):
        ways = {seen[other.people[0].file] for other in group if seen[other.people[0].file].channels}
        if ways:
            return ways.pop() if len(ways) == 1 else Inside()
    return Inside()


def _apply(told: Told, meetings: Sequence[Meeting]) -> list[Meeting]:
    """Give people the roles that the owner's words tell; a word that is nobody's is a mistake."""
    words = {word.casefold() for meeting in meetings for person in meeting.people for word in person.words}
    for role in ROLES:
        unknown = [word for word in getattr(told, role) if word.casefold() not in words]
        if unknown:
            telling = name_some(sorted({word for m in meetings for person in m.people for word in person.words}), 12)
            raise InputError(
                f"{role} {unknown[0]!r}: no person's file, label or channels are told apart by this word. "
                f"Words that are: {telling or 'none'}. Name some of these."
            )
    given = []
    for meeting in meetings:
        roles = [told.role_of(person) for person in meeting.people]
        if len(roles) == 2 and sorted(roles)[0] == "" and any(roles):
            # the other one of two
            roles = [role or next(r for r in ROLES if r not in roles) for role in roles]
        known = len(roles) == 1 or sorted(roles) == sorted(ROLES)
        people = tuple(
            dataclasses.replace(person, role=role or person.role) if known else person
            for person, role in zip(meeting.people, roles, strict=True)
        )
        given.append(dataclasses.replace(meeting, people=people, modality=meeting.modality or told.modality))
    return given


def _row(meeting: Meeting, told: Told) -> dict[str, str]:
    row = dict.fromkeys(_COLUMNS, "")
    row |= {
        "dyad": meeting.dyad,
        "session": "" if meeting.session is None else str(meeting.session),
        "modality": meeting.modality,
        "date": meeting.date,
        "task": meeting.task,
        "run": meeting.run,
        "condition": meeting.condition,
        "clock": told.clock,
    }
    if len(meeting.people) > 2:
        return row
    roles = {person.role for person in meeting.people}
    for place, person in zip(ROLES, meeting.people, strict=False):
        role = person.role or place
        # a spreadsheet would take the rest for a formula
        row[f"{role}_file"] = f"./{person.file}" if person.file.startswith(("=", "+", "-", "@")) else person.file
        row[f"{role}_channels"] = person.channels
        row[role] = person.label if roles == {*ROLES} or (person.role and len(meeting.people) == 1) else ""
    if roles == {*ROLES} and meeting.dyad:
        row["client"] = row["client"] or f"C{meeting.dyad}"
        own = f"T{meeting.dyad}" if told.therapist_id == EACH else told.therapist_id
        row["therapist"] = row["therapist"] or own
    return row


def _frame(rows: Sequence[dict[str, str]], asked: Collection[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(_COLUMNS), dtype=str)
    used = [name for name in _COLUMNS if name in REQUIRED or name in asked or (frame[name] != "").any()]
    frame = frame[used]
    number = pd.to_numeric(frame["session"], errors="coerce")
    order = frame.assign(_number=number).sort_values(["dyad", "_number", "therapist_file", "client_file"])
    ordered = frame.loc[order.index].reset_index(drop=True)
    # a table says n/a where there is no value; an empty cell is a question
    optional = [name for name in used if name not in (*REQUIRED, *_CHANNELS, *_OFFSETS)]
    return ordered.assign(**{name: ordered[name].replace("", "n/a") for name in optional})


def _questions(meetings: Sequence[Meeting], rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Ask for what the meetings leave open, each question beginning with its columns."""
    pairs = [(m, row) for m, row in zip(meetings, rows, strict=True) if len(m.people) == 2]
    unknown = [meeting for meeting, _ in pairs if not all(person.role for person in meeting.people)]
    if unknown:
        files = [" and ".join(dict.fromkeys(person.file for person in meeting.people)) for meeting in unknown]
        which = (
            f" in {len(unknown)} of {count(len(pairs), 'row')} ({name_some(files)})"
            if len(unknown) < len(pairs)
            else ""
        )
        one_file = [len({person.file for person in meeting.people}) == 1 for meeting in unknown]
        what = "two channel rules" if all(one_file) else "two files (and channels)"
        both = ", or the channel rules of one file," if any(one_file) and not all(one_file) else ""
        yield (
            f"therapist, client: nothing tells who is the therapist{which}. Fill in both ids, and exchange the {what}"
            f"{both} where the client's stands first.{_often_met(unknown)}"
        )
    if any(meeting not in unknown and not row["therapist"] for meeting, row in pairs):
        yield (
            "therapist: nothing tells the therapists apart. Fill in one id per person; a therapist of "
            "several dyads has the same id in all. Or rename this draft and say it: --therapist-id each, or the one id."
        )
    lone = [meeting.people[0].file for meeting in meetings if len(meeting.people) == 1]
    if lone and pairs:
        yield (
            f"therapist_file, client_file: the partner is missing for {name_some(lone, 3)}. Fill in the "
            "empty cells, or delete the rows."
        )
    crowd = [person.file for meeting in meetings if len(meeting.people) > 2 for person in meeting.people]
    if crowd:
        yield (
            f"therapist_file, client_file: more than two people in one dyad-session: {name_some(crowd, 6)}. "
            "Fill in who met whom."
        )
    if any(row["clock"] == "offset" for row in rows):
        yield f"{', '.join(_OFFSETS)}: the time of each recording's first sample on a common clock, in s. Fill in both."


#: What is asked of an empty cell that no other question is about.
_ASKED = {
    "dyad": "nothing names the pairs. Fill in one id (letters and digits) per pair of people.",
    "therapist": "an id is missing. Fill in one per person; a therapist of several dyads has the same id in all.",
    "client": "an id is missing. Fill in one per person.",
    "session": "labels without a number, or with several. Fill in 1, 2, 3 ... in the order in which they took place.",
    "modality": "file names do not tell. Fill in eeg or fnirs.",
    "therapist_file": "a recording is missing. Fill in the file, or delete the row.",
    "client_file": "a recording is missing. Fill in the file, or delete the row.",
}


def _complete(questions: Sequence[str], rows: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Ask for every required column with an empty cell that no question is about yet."""
    asked = {name for question in questions for name in columns_of(question)}
    found = list(questions)
    for name in (name for name in REQUIRED if name not in asked):
        empty = [row for row in rows if not row[name]]
        files = [file for row in empty if (file := row["therapist_file"] or row["client_file"])]
        where = f" Empty for {name_some(files)}." if files and len(empty) < len(rows) else ""
        found += [f"{name}: {_ASKED[name]}{where}"] * bool(empty)
    return tuple(found)


def _often_met(meetings: Iterable[Meeting]) -> str:
    """Name people of several dyads."""
    dyads: dict[str, set[str]] = defaultdict(set)
    for meeting in meetings:
        for person in meeting.people:
            if person.label and meeting.dyad:
                dyads[person.label].add(meeting.dyad)
    several = sorted(label for label, names in dyads.items() if len(names) > 1)
    return f" In several dyads, as therapists may be: {name_some(several)}." if several else ""


def _notes(meetings: Sequence[Meeting], recordings: Sequence[Recording], told: Told) -> list[str]:
    notes = []
    names = ((getattr(m.said, name), getattr(m, name)) for m in meetings for name in ("dyad", "task", "condition"))
    spelled = sorted({f"{said} is {label}" for said, label in names if label and changed_letters(said)})
    if spelled:
        notes.append(f"ids have letters A-Z a-z and digits only, so {name_some(spelled)}.")
    two_files = [m for m in meetings if len(m.people) == 2 and len({p.file for p in m.people}) == 2]
    if two_files and not told.clock:
        notes.append(
            "the two people are in two files: add the column clock (same_amplifier, triggers, timestamps, "
            "offset) if nothing in the files aligns them; without it equal clocks are assumed, with warning."
        )
    closed = sorted({r.suffix for r in recordings if r.suffix in UNREADABLE})
    if closed:
        notes.append(f"{', '.join(closed)} cannot be read: export these recordings to EDF or CSV.")
    return notes
