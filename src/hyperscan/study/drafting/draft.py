"""``hyperscan init``: a folder -> a drafted ``dyads.tsv``, with questions where the folder does not tell."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hyperscan.errors import InputError, OutputError, OutputWriteError, count
from hyperscan.schema import ROLES
from hyperscan.study.drafting.bids import bids_files, bids_layout
from hyperscan.study.drafting.folders import folder_layout
from hyperscan.study.drafting.inside import Peek, look_inside
from hyperscan.study.drafting.recordings import UNREADABLE, Meeting, Proposal, Recording, find_recordings, listed
from hyperscan.study.rows import REQUIRED

_COLUMNS = (*REQUIRED, "task", "run", "therapist_channels", "client_channels", "condition")


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

    def __str__(self) -> str:
        lines = [f"{count(len(self.rows), 'row')}, paired by: {self.rule}"]
        lines += [f"to fill in  {question}" for question in self.questions]
        lines += [f"note        {note}" for note in self.notes]
        return "\n".join(lines)


def draft_dyads(folder: str | Path, *, peek: Peek | None = None) -> Draft:
    """Draft the table of a study from its folders and names; nothing is written.

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
    layout = _look_inside(_pair_recordings(recordings, root, peek), root, peek)
    rows = [_row(meeting) for meeting in layout.meetings]
    asks_dyad = any(question.startswith("dyad:") for question in layout.questions)
    questions = (*layout.questions, *_questions(layout.meetings, rows, asks_dyad=asks_dyad))
    notes = (*passed, *layout.notes, *_notes(layout.meetings, recordings))
    # columns that questions begin with belong in the table, although nothing is in them yet
    asked = {name.strip() for question in questions for name in question.partition(":")[0].split(",")}
    return Draft(_frame(rows, asked), layout.rule, questions, notes)


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
    note = f"not named as BIDS wants, so left out: {listed(others)}."
    return dataclasses.replace(layout, notes=(*layout.notes, note))


def _look_inside(layout: Proposal, root: Path, peek: Peek | None) -> Proposal:
    """Look for two people in the files that stand alone."""
    lone = [meeting for meeting in layout.meetings if len(meeting.people) == 1]
    # where most sessions have two files, a single one lacks its partner
    if not lone or 2 * len(lone) < len(layout.meetings):
        return layout
    seen = {meeting.people[0].file: look_inside(root / meeting.people[0].file, peek) for meeting in lone}
    meetings = []
    for meeting in layout.meetings:
        if len(meeting.people) == 1:
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
        f"therapist_channels, client_channels: one file per session, and {question}: {listed(asked, 3)}. "
        "Fill in each person's part if both are in it, else the partner's file."
        for question, asked in files.items()
        if question
    ]
    return Proposal(rule, tuple(meetings), (*layout.questions, *questions), layout.notes)


def _row(meeting: Meeting) -> dict[str, str]:
    row = dict.fromkeys(_COLUMNS, "")
    row |= {
        "dyad": meeting.dyad,
        "session": "" if meeting.session is None else str(meeting.session),
        "modality": meeting.modality,
        "task": meeting.task,
        "run": meeting.run,
        "condition": meeting.condition,
    }
    if len(meeting.people) > 2:
        return row
    known = {person.role for person in meeting.people} == {*ROLES}
    for place, person in zip(ROLES, meeting.people, strict=False):
        role = person.role or place
        # a spreadsheet would take the rest for a formula
        row[f"{role}_file"] = f"./{person.file}" if person.file.startswith(("=", "+", "-", "@")) else person.file
        row[f"{role}_channels"] = person.channels
        row[role] = person.label if known else ""
    if known and not row["client"] and meeting.dyad:
        row["client"] = f"C{meeting.dyad}"
    return row


def _frame(rows: Sequence[dict[str, str]], asked: Collection[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(_COLUMNS), dtype=str)
    used = [name for name in _COLUMNS if name in REQUIRED or name in asked or (frame[name] != "").any()]
    frame = frame[used]
    number = pd.to_numeric(frame["session"], errors="coerce")
    order = frame.assign(_number=number).sort_values(["dyad", "_number", "therapist_file", "client_file"])
    ordered = frame.loc[order.index].reset_index(drop=True)
    # a table says n/a where there is no value; an empty cell is a question
    optional = [name for name in used if name not in REQUIRED and not name.endswith("_channels")]
    return ordered.assign(**{name: ordered[name].replace("", "n/a") for name in optional})


def _questions(meetings: Sequence[Meeting], rows: Sequence[dict[str, str]], *, asks_dyad: bool) -> Iterator[str]:
    """Ask for what the meetings leave open, each question beginning with its columns."""
    pairs = [(m, row) for m, row in zip(meetings, rows, strict=True) if len(m.people) == 2]
    if any(not person.role for meeting, _ in pairs for person in meeting.people):
        yield (
            "therapist, client: nothing tells who is the therapist. Fill in both ids, and exchange the two "
            f"files (and channels) where the client's stands first.{_often_met(meeting for meeting, _ in pairs)}"
        )
    elif any(not row["therapist"] for _, row in pairs):
        yield (
            "therapist: nothing tells the therapists apart. Fill in one id per person; a therapist of "
            "several dyads has the same id in all."
        )
    lone = [meeting.people[0].file for meeting in meetings if len(meeting.people) == 1]
    if lone and pairs:
        yield (
            f"therapist_file, client_file: the partner is missing for {listed(lone, 3)}. Fill in the "
            "empty cells, or delete the rows."
        )
    crowd = [person.file for meeting in meetings if len(meeting.people) > 2 for person in meeting.people]
    if crowd:
        yield (
            f"therapist_file, client_file: more than two people in one dyad-session: {listed(crowd, 6)}. "
            "Fill in who met whom."
        )
    if any(meeting.session is None for meeting in meetings):
        yield "session: labels without a number. Fill in 1, 2, 3 ... in the order in which they took place."
    if any(not meeting.modality for meeting in meetings):
        yield "modality: file names do not tell. Fill in eeg or fnirs."
    if any(not meeting.dyad for meeting in meetings) and not asks_dyad:
        yield "dyad: nothing names the pairs. Fill in one id (letters and digits) per pair of people."


def _often_met(meetings: Iterable[Meeting]) -> str:
    """Name people of several dyads."""
    dyads: dict[str, set[str]] = defaultdict(set)
    for meeting in meetings:
        for person in meeting.people:
            if person.label and meeting.dyad:
                dyads[person.label].add(meeting.dyad)
    several = sorted(label for label, names in dyads.items() if len(names) > 1)
    return f" In several dyads, as therapists may be: {listed(several)}." if several else ""


def _notes(meetings: Sequence[Meeting], recordings: Sequence[Recording]) -> list[str]:
    notes = []
    two_files = [m for m in meetings if len(m.people) == 2 and len({p.file for p in m.people}) == 2]
    if two_files:
        notes.append(
            "the two people are in two files: add the column clock (same_amplifier, triggers, timestamps, "
            "offset) if nothing in the files aligns them; without it equal clocks are assumed, with warning."
        )
    closed = sorted({r.suffix for r in recordings if r.suffix in UNREADABLE})
    if closed:
        notes.append(f"{', '.join(closed)} cannot be read: export these recordings to EDF or CSV.")
    return notes
