r"""Folders and names that are not BIDS: named patterns find dyad, session, run and role.

======== ============================================ =================================
pattern  form                                         examples
======== ============================================ =================================
dyad     a word for dyad, then a label                ``dyad-01``, ``pair_A3``, ``D01``
session  a word for session, then a number            ``ses-02``, ``Sitzung_3``, ``week 4``
run      ``run``, then a number                       ``run-1``
role     a word for therapist or client               ``therapist.edf``, ``P_rest.mat``
======== ============================================ =================================

People are brought together by what the names say, letter by letter, never by the labels that are made of it.
Without a word for dyad, the folder before the session or the last folder with a number is the dyad. ``S02``
is a session beside a word for a role, where both people are in one file, and where a dyad has three or more of
them; else it may be a subject. Without a word for the role, two names that differ in one part are the two people.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from unicodedata import normalize

from hyperscan.errors import name_some
from hyperscan.study.drafting.recordings import (
    Meeting,
    Person,
    Proposal,
    Recording,
    Said,
    pair_roles,
    role_of,
)
from hyperscan.study.labels import plain_label

_END = r"(?![^\W_])"
_START = r"(?<![^\W_])"

#: Words before the number of a session, by what they count, in English, German, French and Spanish.
SESSION_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "session": ("session", "sess", "ses", "sitzung", "séance", "seance", "sesión", "sesion"),
        "visit": ("visit", "termin", "besuch", "visite", "visita", "cita"),
        "week": ("week", "woche", "semaine", "semana"),
    }
)

#: Words before the label of a dyad.
DYAD_WORDS = ("dyadic", "dyad", "pair", "couple", "family", "dyade", "paar", "familie", "famille", "pareja", "familia")


def _one_of(words: Iterable[str]) -> str:
    return "|".join(sorted((f"{word}s?" for word in words), key=len, reverse=True))


#: Named patterns; each is searched in the folders first, then in the file's name.
PATTERNS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "dyad": re.compile(
            rf"{_START}(?:(?:{_one_of(DYAD_WORDS)})[-_ ]?(?=\w*[0-9])|D(?=[0-9]))(?P<value>[^\W_]+){_END}",
            re.IGNORECASE,
        ),
        "session": re.compile(
            rf"{_START}(?:"
            + "|".join(f"(?P<{unit}>{_one_of(words)})" for unit, words in SESSION_WORDS.items())
            + rf")[-_ ]?0*(?P<value>[0-9]{{1,4}}){_END}",
            re.IGNORECASE,
        ),
        "S for session": re.compile(rf"{_START}S0*(?P<value>[0-9]{{1,4}}){_END}", re.IGNORECASE),
        "run": re.compile(rf"{_START}run[-_ ]?(?P<value>[0-9]+){_END}", re.IGNORECASE),
    }
)


@dataclass(frozen=True)
class NamedRecording:
    """A recording and what its path says of it."""

    recording: Recording
    dyad: str
    condition: str
    session: int | None
    run: str
    words: tuple[str, ...]
    said: Said


#: Kinds of signal, which may have folders of their own.
_SIGNALS = frozenset({"eeg", "nirs", "fnirs", "raw", "data"})

#: Files that are looked into for two people before S02 is read as a session (our choice).
_LOOKED_INTO = 5

#: What is left of the names -> recordings with the word that was taken out.
ByRest = dict[tuple[str, ...], list[tuple[NamedRecording, str]]]


def folder_layout(recordings: Sequence[Recording], holds_two: Callable[[str], bool] = lambda _: False) -> Proposal:
    """Pair recordings by folders and names."""
    places = _ask_for_sessions(_drop_constant_words(_read_names(recordings, holds_two)))
    groups: dict[tuple[object, ...], list[NamedRecording]] = defaultdict(list)
    for place in places:
        said = place.said
        key = (said.condition, said.dyad, place.session or 0, said.session, said.run, place.recording.modality)
        groups[key].append(place)
    meetings = [meeting for _, group in sorted(groups.items(), key=str) for meeting in _meetings(group)]
    keys = [(m.said.condition, m.said.dyad, m.said.session, m.said.run, m.modality) for m in meetings]
    if len(set(keys)) == len(keys):
        # what is left of the names is a task only where it tells two meetings apart
        meetings = [replace(meeting, task="", said=replace(meeting.said, task="")) for meeting in meetings]
    final, questions, notes = _judge_conditions(meetings)
    notes += _mislaid(places)
    if not any(place.session is not None for place in places):
        notes.append("no folder or name tells a session, so every dyad has one session, number 1.")
        # S1 and S2 became two people, which they need not be
        words = sorted({word for place in places for word in place.words if PATTERNS["S for session"].fullmatch(word)})
        if words and any(place.dyad for place in places):
            notes.append(
                f"{name_some(words)} in the names are taken as people. If they are sessions, give each its own row in "
                "dyads.tsv, or rename them (ses-1, ses-2)."
            )
    names = ["dyad"] if any(place.dyad for place in places) else []
    names += ["session"] if any(place.session for place in places) else []
    names += ["role"] if any(role_of(word) for place in places for word in place.words) else []
    rule = f"folders and names (layouts L5-L7, L11); patterns that matched: {', '.join(names) or 'none'}."
    return Proposal(rule, tuple(final), tuple(questions), tuple(notes))


def _read_names(recordings: Sequence[Recording], holds_two: Callable[[str], bool]) -> list[NamedRecording]:
    """Read every name; what an S means is what most names tell, so that a few odd ones do not change the others."""
    places = [_place(recording) for recording in recordings]
    numbered = {
        i: place
        for i, recording in enumerate(recordings)
        if places[i].session is None and (place := _place(recording, s_is_session=True)).session is not None
    }
    if 2 * len(numbered) <= len(places):
        return places
    # three people are no dyad; a folder that only holds a number may be no dyad either
    of_dyad: dict[str, set[int | None]] = defaultdict(set)
    for place in numbered.values():
        of_dyad[place.said.dyad].add(place.session)
    named = all(PATTERNS["dyad"].search(place.recording.path.as_posix()) for place in numbered.values())
    many = named and max(map(len, of_dyad.values())) > 2
    # the first one may be damaged
    some = list(numbered.values())[:_LOOKED_INTO]
    if not many and not any(holds_two(place.recording.path.as_posix()) for place in some):
        return places
    return [numbered.get(i, place) for i, place in enumerate(places)]


def _ask_for_sessions(places: list[NamedRecording]) -> list[NamedRecording]:
    """Take session 1 for granted only in dyads of which no name tells a session."""
    told = {place.said.dyad for place in places if place.session is not None}
    # 0 is no session: its cell stays empty
    return [
        replace(place, session=0) if place.session is None and place.said.dyad in told else place for place in places
    ]


def _mislaid(places: Sequence[NamedRecording]) -> list[str]:
    """Name files that lie in one dyad's folder and are called after another dyad's."""
    folders = {place.said.dyad.casefold() for place in places if len(place.recording.path.parts) > 1}
    # a number alone in a name may count anything
    folders = {name for name in folders if re.search(r"[^\W\d_]", name)}
    called = re.compile(_START + "(" + "|".join(map(re.escape, sorted(folders, key=len, reverse=True))) + ")" + _END)
    found = []
    for place in places if len(folders) > 1 else ():
        names = set(called.findall(place.recording.stem.casefold()))
        if names and place.said.dyad.casefold() not in names:
            found.append(place.recording.path.as_posix())
    told = (
        f"called after another dyad than that of their folder, which counts: {name_some(found)}. Look whose they are."
    )
    return [told] * bool(found)


def _place(recording: Recording, *, s_is_session: bool = False) -> NamedRecording:
    own = recording.stem if "." in recording.path.name else recording.path.name
    *folders, stem = parts = [normalize("NFC", part) for part in (*recording.path.parts[:-1], own)]
    # S02 may be a subject, unless a word beside it says who this is
    s_is_session = s_is_session or any(role_of(word) for word in _words(parts))
    names = [name for name in PATTERNS if s_is_session or name != "S for session"]
    sessions = [_find(name, parts) for name in ("session", "S for session") if name in names]
    found = next((matches for matches in sessions if matches), [])
    position, dyad = _dyad(folders)
    in_name = _find("dyad", [stem])
    rest = [*folders[position + 1 :], stem]
    for name in names:
        rest = [PATTERNS[name].sub(" ", part) for part in rest]
    run = next((match["value"] for match in _find("run", parts)), "")
    return NamedRecording(
        recording,
        dyad=plain_label(dyad or (in_name[0]["value"] if in_name else "")),
        condition=plain_label("".join(folders[: max(position, 0)])),
        session=int(found[0]["value"]) if found else None,
        run=run,
        words=tuple(_words(rest)),
        said=Said(
            dyad=_said_dyad(recording.path.parts[position], names) if dyad else _spelled(in_name[:1]),
            # week 1, session 2 is not week 1, session 1
            session=" ".join(dict.fromkeys(f"{_unit(match)} {match['value']}" for match in found)),
            run=run,
            condition="/".join(recording.path.parts[: max(position, 0)]),
        ),
    )


def _unit(match: re.Match[str]) -> str:
    return next((unit for unit in SESSION_WORDS if match.groupdict().get(unit)), "session")


def _said_dyad(folder: str, names: Iterable[str]) -> str:
    """Take session, run, role and kind of signal out of a dyad folder's name: what is left tells dyads apart."""
    text = normalize("NFC", folder)
    for name in names:
        text = text if name == "dyad" else PATTERNS[name].sub(" ", text)
    own = [word for word in _words([text]) if role_of(word) or word.casefold() in _SIGNALS]
    for word in own:
        text = re.sub(rf"{_START}{re.escape(word)}{_END}", " ", text, count=1)
    text = re.sub(r"^[\s_.\-]+|[\s_.\-]+$", "", text) or folder
    # two folders may look alike and differ in how an accent is stored
    return text if normalize("NFC", folder) == folder else f"{text} (accents stored apart)"


def _spelled(matches: Sequence[re.Match[str]]) -> str:
    """Write a dyad of a file's name in one way: D01, dyad_01 and Dyad-01 are the same."""
    text = "".join(re.sub(r"[-_ ]", "", match[0]).casefold() for match in matches)
    return re.sub(r"^(dyadic|dyad|d)(?=[0-9])", "dyad", text)


def _words(parts: Sequence[str]) -> list[str]:
    return [word for part in parts for word in re.split(r"[\s_.\-]+", part) if word]


def _role_word(place: NamedRecording) -> str:
    return next((word for word in place.words if role_of(word)), "")


def _find(name: str, parts: Sequence[str]) -> list[re.Match[str]]:
    return [match for part in parts for match in PATTERNS[name].finditer(part)]


def _dyad(folders: Sequence[str]) -> tuple[int, str]:
    """Position and label of the folder that is the dyad; (-1, '') if there is none."""
    for position, name in enumerate(folders):
        match = PATTERNS["dyad"].search(name)
        if match:
            return position, match["value"]
    with_session = [i for i, name in enumerate(folders) if PATTERNS["session"].search(name)]
    if with_session and with_session[0] > 0:
        return with_session[0] - 1, folders[with_session[0] - 1]
    numbered = [
        i
        for i, name in enumerate(folders)
        if re.search(r"[0-9]", name) and not PATTERNS["session"].search(name) and not role_of(name)
    ]
    return (numbered[-1], folders[numbered[-1]]) if numbered else (-1, "")


def _drop_constant_words(places: Sequence[NamedRecording]) -> list[NamedRecording]:
    """Words that every name has (EEG, raw) tell nothing; neither does the dyad's own label."""
    shared = set.intersection(*(set(place.words) for place in places)) if len(places) > 1 else set()
    return [
        replace(place, words=tuple(w for w in place.words if w not in shared and plain_label(w) != place.dyad))
        for place in places
    ]


def _meetings(places: Sequence[NamedRecording]) -> list[Meeting]:
    """Split the recordings of one dyad-session into pairs, one per task."""
    if len(places) == 1:
        return [_meeting(places, ("",))]
    by_role = _by_rest(places, [_role_word(place) for place in places])
    if _are_pairs(by_role) and all(any(pair_roles([word for _, word in pair])) for pair in by_role.values()):
        return _pairs(by_role)
    words = tuple(_role_word(place) for place in places)
    if len(places) == 2 and any(pair_roles(words)):
        return [_meeting(places, words)]
    return _differing_in_one_word(places)


def _differing_in_one_word(places: Sequence[NamedRecording]) -> list[Meeting]:
    lengths = {len(place.words) for place in places}
    for position in range(min(lengths)) if len(lengths) == 1 else ():
        by_word = _by_rest(places, [place.words[position] for place in places])
        people = {tuple(sorted(word for _, word in pair)) for pair in by_word.values()}
        if len(people) == 1 and _are_pairs(by_word):
            return _pairs(by_word)
    if len(places) == 2 or places[0].dyad:
        return [_meeting(places, ("",) * len(places))]
    return [_meeting([place], ("",)) for place in places]


def _by_rest(places: Sequence[NamedRecording], words: Sequence[str]) -> ByRest:
    """Group recordings whose names are the same but for one word, which may name the person."""
    groups: ByRest = defaultdict(list)
    for place, word in zip(places, words, strict=True):
        rest = list(place.words)
        if word:
            rest.remove(word)
        groups[tuple(rest)].append((place, word))
    return groups


def _are_pairs(groups: ByRest) -> bool:
    return all(len(pair) == 2 and pair[0][1] != pair[1][1] for pair in groups.values())


def _pairs(groups: ByRest) -> list[Meeting]:
    return [
        _meeting([place for place, _ in pair], tuple(word for _, word in pair), rest) for rest, pair in groups.items()
    ]


def _meeting(places: Sequence[NamedRecording], words: tuple[str, ...], rest: tuple[str, ...] = ()) -> Meeting:
    first = places[0]
    roles = pair_roles(words) if len(words) == 2 else tuple(role_of(word) for word in words)
    people = tuple(
        Person(place.recording.path.as_posix(), role=role, words=(word,) if word else place.words)
        for place, role, word in zip(places, roles, words, strict=True)
    )
    task = "".join(plain_label(word) for word in rest)
    session = 1 if first.session is None else first.session
    said = replace(first.said, task=" ".join(rest))
    return Meeting(
        first.dyad, session or None, first.recording.modality, people, task, first.run, first.condition, said
    )


def _judge_conditions(meetings: Sequence[Meeting]) -> tuple[list[Meeting], list[str], list[str]]:
    """Decide what the folders above the dyad mean: another task, another arm, or nothing."""
    conditions = {meeting.said.condition for meeting in meetings}
    if len(conditions) < 2:
        return [replace(m, condition="", said=replace(m.said, condition="")) for m in meetings], [], []
    of_dyad: dict[str, set[str]] = defaultdict(set)
    for meeting in meetings:
        of_dyad[meeting.said.dyad.casefold()].add(meeting.said.condition)
    if all(len(found) == 1 for found in of_dyad.values()):
        note = f"the folders above the dyads ({name_some(sorted(conditions))}) became the covariate 'condition'."
        return list(meetings), [], [note]
    question = (
        f"dyad: one dyad name stands under several folders ({name_some(sorted(conditions))}). If these are the "
        "same people, fill in dyad and use condition as task; if not, give each its own dyad id."
    )
    return [replace(meeting, dyad="") for meeting in meetings], [question], []
