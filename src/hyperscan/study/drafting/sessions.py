"""Which session a name tells: a number that counts, or a date, of which the order is one; else it is asked for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from hyperscan.errors import name_some
from hyperscan.study.drafting.recordings import Meeting, bare_word

#: Where a word of a name begins and ends.
END, START = r"(?![^\W_])", r"(?<![^\W_])"
#: A date in a name, year first (2024-03-01, 20240301, with a time of day or without one) or last, with dots
#: (01.03.2024). Day and month with other signs between them are read in two ways, so they are not read.
DATE = re.compile(
    rf"{START}(?:(?P<year>(?:19|20)\d\d)(?P<mark>[-_.]?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d)(?:T\d{{4,6}})?|"
    rf"(?P<last_day>\d\d?)\.(?P<last_month>\d\d?)\.(?P<last_year>(?:19|20)\d\d)){END}"
)
#: What tells times of a therapy apart without counting them, in English, German, French and Spanish.
_TIMES = re.compile(
    r"pre|post|baseline|bl|follow|followup|fup?|intake|before|after|first|second|third|last|start|end|vor|nach|vorher|"
    r"nachher|anfang|ende|avant|apres|antes|despues|katamnese"
)


def read_dates(text: str) -> list[str]:
    """List the dates in a name, as year-month-day.

    Examples
    --------
    >>> read_dates("2024-03-01_T"), read_dates("S 01.03.2024"), read_dates("20241301"), read_dates("03-01-2024")
    (['2024-03-01'], ['2024-03-01'], [], [])
    """
    found = []
    for match in DATE.finditer(text):
        year, month, day = (match[name] or match[f"last_{name}"] for name in ("year", "month", "day"))
        try:
            found.append(date(int(year), int(month), int(day)).isoformat())
        except ValueError:
            continue
    return found


def session_number(label: str) -> int | None:
    """Read the number of a session from its label: one at the end, behind letters alone; None if there is none.

    Examples
    --------
    >>> session_number("02"), session_number("visit3"), session_number("w2s1"), session_number("20240301")
    (2, 3, None, None)
    """
    match = re.fullmatch(r"[^\W\d_]*0*([0-9]{1,4})", label)
    return int(match[1]) if match and int(match[1]) > 0 else None


def is_time(word: str) -> bool:
    """Whether a word is called as times of a therapy are, with a number or without one.

    Examples
    --------
    >>> is_time("pre"), is_time("Post2"), is_time("control-01")
    (True, True, False)
    """
    return _TIMES.fullmatch(bare_word(word)) is not None


def tells_time(text: str) -> bool:
    """Whether a word that is left of a name may tell sessions apart: it holds a number, or is called pre, post ...

    Examples
    --------
    >>> tells_time("post"), tells_time("2a"), tells_time("rest")
    (True, True, False)
    """
    return any(re.search("[0-9]", word) or is_time(word) for word in text.split())


def ask_of_times(meetings: Sequence[Meeting]) -> tuple[list[Meeting], list[str]]:
    """Ask whether words that tell meetings of one dyad apart are tasks or sessions, where no name tells a session."""
    dyads: dict[tuple[str, str], list[Meeting]] = defaultdict(list)
    for meeting in meetings:
        dyads[meeting.said.condition, meeting.said.dyad].append(meeting)
    doubtful = [
        group
        for group in dyads.values()
        if not any(meeting.said.session for meeting in group)
        and len({meeting.said.task for meeting in group}) > 1
        and all(tells_time(meeting.said.task) for meeting in group)
    ]
    if not doubtful:
        return list(meetings), []
    words = name_some(sorted({meeting.said.task for group in doubtful for meeting in group}), 6)
    question = (
        f"session: {words} tell recordings of a dyad apart, and no name tells a session. If these are sessions, fill "
        "in 1, 2, 3 ... in their order and n/a for task; if they are tasks, fill in 1."
    )
    unsure = [meeting for group in doubtful for meeting in group]
    return [replace(meeting, session=None) if meeting in unsure else meeting for meeting in meetings], [question]


def settle_sessions(meetings: Sequence[Meeting]) -> tuple[list[Meeting], list[str], list[str]]:
    """Count sessions by their dates where nothing else counts them, and take back numbers that count several things.

    Returns the meetings, notes, and what has to be asked.
    """
    dyads: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, meeting in enumerate(meetings):
        dyads[meeting.said.condition, meeting.said.dyad].append(place)
    found, mixed, dated = list(meetings), [], False
    for (_, dyad), places in dyads.items():
        own = [meetings[place] for place in places]
        counted = sorted({meeting.said.session for meeting in own if meeting.session is not None})
        if len({_counts_in(text) for text in counted}) > 1:
            mixed.append(", ".join(counted))
            for place in places:
                found[place] = replace(found[place], session=None)
        elif dyad and all(meeting.date and meeting.session is None for meeting in own):
            dated = True
            order = sorted({meeting.date for meeting in own})
            for place in places:
                found[place] = replace(found[place], session=order.index(found[place].date) + 1)
        else:
            for place in places:
                found[place] = replace(found[place], date="")
    questions = []
    if mixed:
        told = name_some(list(dict.fromkeys(mixed)), 3)
        questions.append(
            f"session: numbers count several things in one dyad ({told}), so they do not tell the order. Fill in 1, 2, "
            "3 ... in the order in which they took place."
        )
    notes = [
        "sessions are numbered in the order of the dates in their names, which the column date holds. Correct the "
        "numbers where a session is missing."
    ] * dated
    return found, notes, questions


def _counts_in(text: str) -> str:
    """Take the numbers out of what names say of a session: what is left says what they count."""
    return " ".join(re.sub("[0-9]+", " ", text).casefold().split())
