r"""Folders and names that are not BIDS: named patterns find dyad, session, run and role.

======== ============================================ =================================
pattern  form                                         examples
======== ============================================ =================================
dyad     a word for dyad, then a label                ``dyad-01``, ``pair_A3``, ``D01``
session  a word for session, then a number            ``ses-02``, ``Sitzung_3``, ``week 4``
date     year, month, day, or day.month.year          ``2024-03-01``, ``1.3.2024``
run      ``run``, then a number                       ``run-1``
role     a word for therapist or client               ``therapist.edf``, ``P_rest.mat``
======== ============================================ =================================

People are brought together by what the names say, letter by letter, never by the labels that are made of it.
Without a word for dyad, the folder before the session or the last folder with a number is the dyad. ``S02``
is a session beside a word for a role, where both people are in one file, and where a dyad has three or more of
them; else it may be a subject. Without a word for the role, two names that differ in one part are the two people.
Dates number sessions that nothing else does, and numbers beside roles the dyads.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from unicodedata import normalize

from hyperscan.errors import name_some
from hyperscan.schema import ROLES
from hyperscan.study.drafting.recordings import (
    Meeting,
    Person,
    Proposal,
    Recording,
    Said,
    bare_word,
    pair_roles,
    role_of,
)
from hyperscan.study.drafting.sessions import DATE, END, START, ask_of_times, is_time, read_dates
from hyperscan.study.labels import plain_label

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
            rf"{START}(?:(?:{_one_of(DYAD_WORDS)})[-_ ]?(?=\w*[0-9])|D(?=[0-9]))(?P<value>[^\W_]+){END}",
            re.IGNORECASE,
        ),
        "session": re.compile(
            rf"{START}(?:"
            + "|".join(f"(?P<{unit}>{_one_of(words)})" for unit, words in SESSION_WORDS.items())
            + rf")[-_ ]?0*(?P<value>[0-9]{{1,4}}){END}",
            re.IGNORECASE,
        ),
        "number before session": re.compile(
            rf"{START}0*(?P<value>[0-9]{{1,3}})(?:\.|st|nd|rd|th|s?te[rs]?|[eè]re|[eè]me|er|e|a|ª)[-_ .]?(?:"
            + "|".join(f"(?P<{unit}>{_one_of(words)})" for unit, words in SESSION_WORDS.items())
            + rf"){END}",
            re.IGNORECASE,
        ),
        "S for session": re.compile(rf"{START}S0*(?P<value>[0-9]{{1,4}}){END}", re.IGNORECASE),
        "run": re.compile(rf"{START}run[-_ ]?(?P<value>[0-9]+){END}", re.IGNORECASE),
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
    #: Year-month-day; empty if the names tell none, or several
    date: str = ""
    #: Whether the dyad is only the last folder that holds a number
    by_number: bool = False


#: Kinds of signal, which may have folders of their own.
_SIGNALS = frozenset({"eeg", "nirs", "fnirs", "raw", "data"})

#: Files that are looked into for two people before S02 is read as a session (our choice).
_LOOKED_INTO = 5

#: What is left of the names -> recordings with the word that was taken out.
ByRest = dict[tuple[str, ...], list[tuple[NamedRecording, str]]]


def folder_layout(recordings: Sequence[Recording], holds_two: Callable[[str], bool] = lambda _: False) -> Proposal:
    """Pair recordings by folders and names."""
    places, partners = _partners_by_number(_read_names(recordings, holds_two))
    places = _ask_for_sessions(_drop_constant_words(places))
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
    meetings, asked = ask_of_times(meetings)
    meetings, doubted = _doubt_dyads(meetings, {place.said.dyad for place in places if place.by_number})
    final, questions, notes = _judge_conditions(meetings)
    questions += [*doubted, *asked]
    notes += [*partners, *_mislaid(places)]
    if not asked and not any(place.session is not None for place in places):
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
    names += ["date"] if any(place.date for place in places) else []
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


def _partners_by_number(places: list[NamedRecording]) -> tuple[list[NamedRecording], list[str]]:
    """Take the number beside the words for the two roles for the dyad's where nothing names dyads: T01 and C01.

    Most numbers have to be those of two people, as in BIDS datasets, and there must be several.
    """
    told = [_numbered_role(place.words) for place in places]
    if any(place.dyad for place in places) or not all(told):
        return places, []
    numbers = {role: {int(number) for own, number, _ in filter(None, told) if own == role} for role in ROLES}
    shared, every = set.intersection(*numbers.values()), set.union(*numbers.values())
    # one number of all may say anything
    if len(shared) < 2 or 2 * len(shared) <= len(every):
        return places, []
    longest = {int(number): number for _, number, _ in sorted(filter(None, told), key=lambda each: len(each[1]))}
    found = []
    for place, own in zip(places, told, strict=True):
        assert own is not None
        number = longest[int(own[1])]
        found.append(replace(place, dyad=number, words=own[2], said=replace(place.said, dyad=number)))
    return found, [
        "people of one number are taken as partners, as the names tell roles and numbers and no dyad. Correct the "
        "table if the numbers mean something else."
    ]


def _numbered_role(words: Sequence[str]) -> tuple[str, str, tuple[str, ...]] | None:
    """Find the one word for a role, the number at its end or behind it, and the words without that number."""
    where = [at for at, word in enumerate(words) if role_of(word)]
    if len(where) != 1:
        return None
    at = where[0]
    number = re.search("[0-9]*$", words[at])
    own, rest = (number[0] if number else ""), words[at + 1 :]
    if not own and rest and rest[0].isdecimal():
        own, rest = rest[0], rest[1:]
    bare = re.sub("[0-9]+$", "", words[at])
    return (role_of(bare), own, (*words[:at], bare, *rest)) if own else None


def _ask_for_sessions(places: list[NamedRecording]) -> list[NamedRecording]:
    """Take session 1 for granted only in dyads of which no name tells a session, or dates that tell them apart."""
    told = {place.said.dyad for place in places if place.session is not None}
    if len({place.date for place in places}) > 1:
        told |= {place.said.dyad for place in places if place.date}
    else:  # one date of the whole study is none of a session
        places = [
            replace(place, date="", said=replace(place.said, session="")) if place.session is None else place
            for place in places
        ]
    # 0 is no session: its cell stays empty
    return [
        replace(place, session=0) if place.session is None and place.said.dyad in told else place for place in places
    ]


def _mislaid(places: Sequence[NamedRecording]) -> list[str]:
    """Name files that lie in one dyad's folder and are called after another dyad's."""
    folders = {place.said.dyad.casefold() for place in places if len(place.recording.path.parts) > 1}
    # a number alone in a name may count anything
    folders = {name for name in folders if re.search(r"[^\W\d_]", name)}
    called = re.compile(START + "(" + "|".join(map(re.escape, sorted(folders, key=len, reverse=True))) + ")" + END)
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
    named = [normalize("NFC", part) for part in (*recording.path.parts[:-1], own)]
    dates = list(dict.fromkeys(found for part in named for found in read_dates(part)))
    *folders, stem = parts = [DATE.sub(" ", part) for part in named] if len(dates) == 1 else named
    # S02 may be a subject, unless a word beside it says who this is
    s_is_session = s_is_session or any(role_of(word) for word in _words(parts))
    names = [name for name in PATTERNS if s_is_session or name != "S for session"]
    sessions = [_find(name, parts) for name in ("number before session", "session", "S for session") if name in names]
    found = next((matches for matches in sessions if matches), [])
    position, dyad, by_number = _dyad(folders)
    in_name = _find("dyad", [stem])
    if by_number and in_name:  # a word for a dyad says more than a number
        position, dyad, by_number = -1, "", False
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
            session=" ".join(dict.fromkeys(f"{_unit(match)} {match['value']}" for match in found))
            or "".join(dates[:1]),
            run=run,
            condition="/".join(recording.path.parts[: max(position, 0)]),
        ),
        date=dates[0] if len(dates) == 1 else "",
        by_number=by_number,
    )


def _unit(match: re.Match[str]) -> str:
    return next((unit for unit in SESSION_WORDS if match.groupdict().get(unit)), "session")


def _said_dyad(folder: str, names: Iterable[str]) -> str:
    """Take session, run, role and kind of signal out of a dyad folder's name: what is left tells dyads apart."""
    text = normalize("NFC", folder)
    text = DATE.sub(" ", text) if read_dates(text) else text
    for name in names:
        text = text if name == "dyad" else PATTERNS[name].sub(" ", text)
    own = [word for word in _words([text]) if role_of(word) or word.casefold() in _SIGNALS]
    for word in own:
        text = re.sub(rf"{START}{re.escape(word)}{END}", " ", text, count=1)
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


def _dyad(folders: Sequence[str]) -> tuple[int, str, bool]:
    """Position and label of the folder that is the dyad, and whether its number alone says so; (-1, '') if none is."""
    for position, name in enumerate(folders):
        match = PATTERNS["dyad"].search(name)
        if match:
            return position, match["value"], False
    counting = [PATTERNS[name] for name in ("session", "number before session")]
    with_session = [i for i, name in enumerate(folders) if any(each.search(name) for each in counting)]
    if with_session and with_session[0] > 0 and not role_of(folders[with_session[0] - 1]):
        return with_session[0] - 1, folders[with_session[0] - 1], False
    numbered = [
        i
        for i, name in enumerate(folders)
        if re.search(r"[0-9]", name) and i not in with_session and not role_of(name) and not is_time(name)
    ]
    return (numbered[-1], folders[numbered[-1]], True) if numbered else (-1, "", False)


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
    """Pair recordings whose names differ in one word, if no other word could be the people's as well."""
    lengths = {len(place.words) for place in places}
    fitting = []
    for position in range(min(lengths)) if len(lengths) == 1 else ():
        by_word = _by_rest(places, [place.words[position] for place in places])
        people = {tuple(sorted(word for _, word in pair)) for pair in by_word.values()}
        if len(people) == 1 and _are_pairs(by_word):
            fitting.append((people.pop(), by_word))
    # two roles, else two names of people, tell the people from a task
    most = max((_names_people(words) for words, _ in fitting), default=0)
    if len(places) == 2 and not most and len(fitting) == 1 and all(map(_is_time_or_task, fitting[0][0])):
        # nobody is called so: one person twice
        return [_meeting([place], ("",), (word,)) for pair in fitting[0][1].values() for place, word in pair]
    chosen = [by_word for words, by_word in fitting if _names_people(words) == most]
    if len(chosen) == 1:
        return _pairs(chosen[0])
    if len(places) == 2 or places[0].dyad:
        return [_meeting(places, ("",) * len(places))]
    return [_meeting([place], ("",)) for place in places]


#: What people are called who have no role by their name.
_PEOPLE = frozenset(
    [
        *("a", "b", "f", "m", "s", "p", "x", "y", "vp", "sub", "subj", "subject", "person", "participant", "proband"),
        *("parent", "child", "mother", "father", "mom", "mum", "dad", "son", "daughter", "sister", "brother"),
        *("man", "woman", "male", "female", "husband", "wife", "partner", "friend"),
        *("mutter", "vater", "kind", "eltern", "mann", "frau"),
    ]
)

#: What tasks are called, of which two are no two people.
_TASKS = frozenset(
    [
        *("rest", "resting", "baseline", "talk", "talking", "conversation", "task", "video", "movie", "music", "story"),
        *("game", "free", "silence", "eyesopen", "eyesclosed", "eo", "ec", "ruhe", "gespraech", "aufgabe"),
    ]
)


def _is_time_or_task(word: str) -> bool:
    """Whether a word is a time of a therapy, a task, or a number with a letter: nobody is called so."""
    return is_time(word) or bare_word(word) in _TASKS or re.fullmatch("[0-9]+[a-z]", word.casefold()) is not None


def _names_people(words: Sequence[str]) -> int:
    """Say how sure it is that two words name two people: 2 for roles, 1 for what people are called, else 0."""
    bare = [bare_word(word) for word in words]
    return 2 if any(pair_roles(words)) else int(all(word in _PEOPLE or not word for word in bare))


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
        first.dyad,
        session or None,
        first.recording.modality,
        people,
        task,
        first.run,
        first.condition,
        said,
        first.date,
    )


def _doubt_dyads(meetings: Sequence[Meeting], by_number: Collection[str]) -> tuple[list[Meeting], list[str]]:
    """Take back dyads that a folder's number alone tells, where words with numbers tell meetings of a session apart."""
    sessions: dict[tuple[str, str, str], list[Meeting]] = defaultdict(list)
    for meeting in meetings:
        sessions[meeting.said.condition, meeting.said.dyad, meeting.said.session].append(meeting)
    doubtful = [
        group
        for (_, dyad, _), group in sessions.items()
        if dyad in by_number
        and len({meeting.said.task for meeting in group}) > 1
        and all(re.search("[0-9]", meeting.said.task) for meeting in group)
    ]
    if not doubtful:
        return list(meetings), []
    unsure = {group[0].said.dyad for group in doubtful}
    words = name_some(sorted({meeting.said.task for group in doubtful for meeting in group}))
    question = (
        f"dyad: {name_some(sorted(unsure))} may be the dyads, or {words}. Fill in dyad, and n/a for task where the "
        "words of the tasks are dyads."
    )
    return [replace(each, dyad="") if each.said.dyad in unsure else each for each in meetings], [question]


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
