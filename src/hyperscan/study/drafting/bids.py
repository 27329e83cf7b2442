"""BIDS layouts: partners share ``acq-dyadNNN``, a ``ses-`` label, one file, or a number beside words for the two roles.

Else they are asked for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from hyperscan.errors import InputError, TableError, name_some
from hyperscan.schema import ROLES
from hyperscan.storage import read_json
from hyperscan.study.drafting.recordings import (
    Meeting,
    Person,
    Proposal,
    Recording,
    Said,
    last_number,
    pair_roles,
    role_of,
)
from hyperscan.study.drafting.sessions import read_dates, session_number
from hyperscan.study.grid import read_grid
from hyperscan.study.labels import plain_label

_DYAD = re.compile(r"(?:dyadic|dyad|pair|couple)[-_]?(?P<dyad>[A-Za-z0-9]+)", re.IGNORECASE)
#: A ``sub-`` label that tells role and number: T01, 01T, client3, D01T, dyad7patient
_ROLE_LABEL = re.compile(
    r"(?:(?:dyadic|dyad|pair|couple|d)?(?P<before>[0-9]+))?(?P<word>[a-z]+)(?P<after>[0-9]*)", re.IGNORECASE
)
_NAME = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*_(?:eeg|nirs)")
_DYAD_COLUMNS = ("dyad", "dyad_id", "pair", "pair_id", "couple", "group_id")
_MAX_HEADER = 100_000
#: What a recording's JSON file may name (proposed for BIDS, bids-specification #86)
_TOGETHER = "SimultaneousRecordingWith"
_ROLE_COLUMNS = ("role", "person_role", "participant_role")


@dataclass(frozen=True)
class BidsFile:
    """A recording with its BIDS entities; absent ones are empty."""

    recording: Recording
    subject: str
    session: str
    task: str
    run: str
    acquisition: str

    @property
    def path(self) -> str:
        """Path relative to the study folder."""
        return self.recording.path.as_posix()


class MeetingLabels(NamedTuple):
    """What the recordings of one meeting have in common, as BIDS labels it."""

    dyad: str
    session: str
    task: str
    run: str
    modality: str
    #: What the dyad's label was made of
    said: str

    @classmethod
    def of(cls, file: BidsFile, dyad: str, said: str = "") -> MeetingLabels:
        """Take the labels of a file, and the dyad from elsewhere."""
        return cls(dyad, file.session, file.task, file.run, file.recording.modality, said or dyad)

    def meet(self, people: tuple[Person, ...]) -> Meeting:
        """Say that people met; a meeting without a session label is the first."""
        number = session_number(self.session) if self.session else 1
        said = Said(self.said, self.session, self.task, self.run)
        date = next(iter(read_dates(self.session)), "")
        return Meeting(self.dyad, number, self.modality, people, self.task, self.run, said=said, date=date)


def bids_files(recordings: Iterable[Recording]) -> list[BidsFile]:
    """Pick the recordings that are named as BIDS wants."""
    named = [recording for recording in recordings if _NAME.fullmatch(recording.stem)]
    if not named:
        return []
    from mne_bids import get_entities_from_fname

    files = []
    for recording in named:
        entities = get_entities_from_fname(recording.path.name, on_error="ignore")
        names = ("subject", "session", "task", "run", "acquisition")
        files.append(BidsFile(recording, *(entities.get(name) or "" for name in names)))
    return files


def bids_layout(files: Sequence[BidsFile], root: Path, holds_two: Callable[[str], bool]) -> Proposal:
    """Pair the people of a BIDS dataset."""
    participants, notes = _participants(root)
    dyad_of = _column(participants, _DYAD_COLUMNS)
    roles = {subject: role_of(word) for subject, word in _column(participants, _ROLE_COLUMNS).items()}
    if any(_DYAD.search(file.acquisition) for file in files):
        layout = _by_label(files, roles, "acquisition")
    elif any(_DYAD.search(file.session) for file in files):
        layout = _by_label(files, roles, "session")
    elif dyad_of:
        layout = _by_participants(files, dyad_of, roles)
    elif named := _by_sidecars(files, root, roles):
        layout = named
    elif by_role := _by_role(files, roles):
        layout = by_role
    elif all(_DYAD.fullmatch(file.subject) for file in files) or holds_two(files[0].path):
        layout = _one_file_per_dyad(files)
    else:
        layout = _by_number(files, roles)
    return replace(layout, notes=(*notes, *layout.notes))


def _by_label(files: Sequence[BidsFile], roles: Mapping[str, str], entity: str) -> Proposal:
    groups: dict[MeetingLabels, list[BidsFile]] = defaultdict(list)
    alone: list[BidsFile] = []
    for file in files:
        match = _DYAD.search(getattr(file, entity))
        if match is None:
            alone.append(file)
        else:
            labels = MeetingLabels.of(file, match["dyad"], match[0])
            groups[labels._replace(session="") if entity == "session" else labels].append(file)
    meetings = [labels.meet(_people(group, roles)) for labels, group in sorted(groups.items())]
    notes = [f"without a dyad label, so left out: {name_some([file.path for file in alone])}."] if alone else []
    if entity == "session":
        rule = "BIDS, the ses- label names the dyad: people with the same ses- label are partners (layout L1)."
        notes.append("the ses- label names the dyad, so every dyad has one session, number 1.")
    else:
        rule = "BIDS, people with the same acq-dyad and ses- labels are partners (layout L2, longitudinal)."
    return Proposal(rule, tuple(meetings), notes=tuple(notes))


def _by_participants(files: Sequence[BidsFile], dyad_of: Mapping[str, str], roles: Mapping[str, str]) -> Proposal:
    groups: dict[MeetingLabels, list[BidsFile]] = defaultdict(list)
    for file in files:
        said = dyad_of.get(file.subject, "")
        groups[MeetingLabels.of(file, plain_label(said), said)].append(file)
    meetings = []
    for labels, group in sorted(groups.items()):
        parts = [group] if labels.said else [[file] for file in group]
        meetings += [labels.meet(_people(part, roles)) for part in parts]
    rule = "BIDS, participants.tsv names each person's dyad (layout L4)."
    return Proposal(rule, tuple(meetings))


def _by_sidecars(files: Sequence[BidsFile], root: Path, roles: Mapping[str, str]) -> Proposal | None:
    """Pair recordings whose JSON files name each other as recorded together; None if none names another person's."""
    known = {file.recording.path.name: file for file in files}
    partners: dict[str, set[str]] = {name: set() for name in known}
    for name, file in known.items():
        for other in _recorded_with(root / file.recording.path.with_suffix(".json")) & set(known):
            if known[other].subject != file.subject:
                partners[name].add(other)
                partners[other].add(name)
    if not any(partners.values()):
        return None
    groups = {frozenset({name, *others}) for name, others in partners.items()}
    pairs = [group for group in groups if len(group) == 2 and all(len(partners[name]) == 1 for name in group)]
    dyads = sorted({tuple(sorted(known[name].subject for name in pair)) for pair in pairs})
    paired = [
        MeetingLabels.of(people[0], str(dyads.index((people[0].subject, people[1].subject)) + 1)).meet(
            _people(people, roles)
        )
        for people in (sorted((known[name] for name in pair), key=lambda file: file.subject) for pair in pairs)
    ]
    alone = [known[name] for name in sorted(set(known).difference(*pairs))]
    meetings = [*paired, *(MeetingLabels.of(file, "").meet(_people([file], roles)) for file in alone)]
    listed = name_some([file.path for file in alone])
    question = f"dyad: no JSON file, or several, name one partner of {listed}. Make one row of two, fill in its dyad."
    return Proposal(
        f"BIDS, the JSON files of recordings name who was recorded together ({_TOGETHER}, layout L4).",
        tuple(sorted(meetings, key=lambda meeting: (meeting.dyad, meeting.session))),
        (question,) if alone else (),
        notes=("dyads are numbered in the order of their sub- labels.",),
    )


def _recorded_with(sidecar: Path) -> set[str]:
    """File names of what was recorded at the same time, as a JSON file tells; empty if it does not."""
    if not sidecar.is_file() or sidecar.is_symlink() or sidecar.stat().st_size > _MAX_HEADER:
        return set()
    try:
        told = read_json(sidecar).get(_TOGETHER, [])
    except InputError:  # a damaged one is told where the recording is read
        return set()
    # from the dataset's root, as bids::sub-01/..., or relative: names are unique in BIDS
    listed = told if isinstance(told, list) else [told]
    return {name.rpartition("/")[2] for name in listed if isinstance(name, str)}


def _one_file_per_dyad(files: Sequence[BidsFile]) -> Proposal:
    meetings = []
    for file in sorted(files, key=lambda file: file.path):
        match = _DYAD.fullmatch(file.subject)
        labels = MeetingLabels.of(file, match["dyad"] if match else file.subject, file.subject)
        meetings.append(labels.meet((Person(file.path),)))
    return Proposal("BIDS, sub- is the dyad: both people are in one file (layout L3).", tuple(meetings))


def _by_role(files: Sequence[BidsFile], roles: Mapping[str, str]) -> Proposal | None:
    """Pair people whose ``sub-`` labels name both roles and one number: T01 and C01; None if they do not."""
    found = {file.subject: _ROLE_LABEL.fullmatch(file.subject) for file in files}
    told: dict[str, tuple[str, str]] = {}
    for subject, match in found.items():
        number = match and (match["before"] or match["after"])
        if match is None or not number or (match["before"] and match["after"]) or not role_of(match["word"]):
            return None
        told[subject] = role_of(match["word"]), number
    numbers = {role: {int(number) for own, number in told.values() if own == role} for role in ROLES}
    if not all(numbers.values()):
        return None
    people = {subject: roles.get(subject) or role for subject, (role, _) in told.items()}
    shared = numbers["therapist"] & numbers["client"]
    # a therapist of several clients has another number than most of them
    if 2 * len(shared) <= len(numbers["therapist"] | numbers["client"]):
        clients = [file for file in files if people[file.subject] == "client"]
        rule = "BIDS, the sub- labels name roles (layout L4), but most people share their number with nobody."
        question = (
            f"dyad, therapist, therapist_file: most numbers are those of one person ({name_some(sorted(told))}), so "
            "they do not tell who met whom. Fill in each client's therapist."
        )
        rows = tuple(MeetingLabels.of(file, "", file.subject).meet(_people([file], people)) for file in clients)
        return Proposal(rule, rows, (question,))
    groups: dict[MeetingLabels, list[BidsFile]] = defaultdict(list)
    longest: dict[int, str] = {}
    for _, number in told.values():
        longest[int(number)] = max(longest.get(int(number), ""), number, key=len)
    for file in files:
        groups[MeetingLabels.of(file, longest[int(told[file.subject][1])])].append(file)
    meetings = [labels.meet(_people(group, people)) for labels, group in sorted(groups.items())]
    pair = " and ".join(subject for subject, (_, number) in sorted(told.items()) if int(number) == min(shared))
    note = f"people of one number are taken as partners ({pair}). Correct the table if the numbers mean something else."
    rule = "BIDS, the sub- labels name the role and the number of the dyad (layout L4)."
    return Proposal(rule, tuple(meetings), notes=(note,))


def _by_number(files: Sequence[BidsFile], roles: Mapping[str, str]) -> Proposal:
    """Propose neighbours (1, 2), (3, 4) ... by number, so that a missing person shifts nobody else."""
    groups: dict[MeetingLabels, list[BidsFile]] = defaultdict(list)
    for file in files:
        number = last_number(file.subject)
        pair = file.subject if number is None else str((number + 1) // 2)
        groups[MeetingLabels.of(file, pair)].append(file)
    ordered = sorted(groups.items(), key=lambda item: item[1][0].path)
    meetings = [
        labels._replace(dyad="").meet(_people(part, roles))
        for labels, group in ordered
        # three people of one pair of numbers are no neighbours
        for part in ([group] if len(group) <= 2 else [[file] for file in group])
    ]
    if any(len(meeting.people) == 2 for meeting in meetings):
        proposed = "neighbouring numbers are proposed"
        told = (
            "Rows propose neighbours (01 with 02, 03 with 04); fill in dyad where that is right, correct the files "
            "where it is not."
        )
    else:
        proposed = "the numbers propose no pairs"
        told = (
            "The numbers propose nobody, so every file has a row of its own: bring partners into one row, fill in its "
            "dyad."
        )
    question = (
        f"dyad: nothing says who is whose partner. {told} Or add the columns dyad and role to participants.tsv, rename "
        "dyads.tsv and draft again. If each file holds both people, see layout L3."
    )
    rule = f"BIDS, one person per sub- and no dyad label (layout L4): {proposed}."
    return Proposal(rule, tuple(meetings), (question,))


def _people(files: Sequence[BidsFile], roles: Mapping[str, str]) -> tuple[Person, ...]:
    ordered = sorted(files, key=lambda file: file.path)
    found = tuple(roles.get(file.subject, "") for file in ordered)
    if len(ordered) > 1 and sorted(found) != ["client", "therapist"]:
        found = pair_roles([file.subject for file in ordered])
    return tuple(
        Person(file.path, file.subject, role, words=(file.subject,)) for file, role in zip(ordered, found, strict=True)
    )


def _participants(root: Path) -> tuple[list[Mapping[str, str]], list[str]]:
    path = root / "participants.tsv"
    if not path.is_file() or path.is_symlink():
        return [], []
    with path.open("rb") as stream:
        if b"\t" not in stream.readline(_MAX_HEADER):
            return [], []
    try:
        return [row.cells for row in read_grid(path).rows if not row.fault], []
    except TableError as error:
        return [], [f"{error} Roles and dyads were not taken from it."]


def _column(rows: Iterable[Mapping[str, str]], names: Sequence[str]) -> dict[str, str]:
    found = {}
    for row in rows:
        values = [row[name] for name in names if row.get(name) and row[name].casefold() != "n/a"]
        if values and row.get("participant_id"):
            found[row["participant_id"].removeprefix("sub-")] = values[0]
    return found
