"""What identifies people in the cells of a table: dates, telephone numbers, addresses, names, remarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

#: Longer text is a remark, not a level of a factor; so is text of more words (our choice).
MAX_TEXT, _MAX_WORDS = 64, 3

#: Days since 1900 between which spreadsheets count dates of living people: 1938 to 2064.
_SERIALS = (14_000, 60_000)

#: Numbers between these are dates (19830417), times (Unix), telephone numbers or ids.
_LONG = (1e6, 1e16)

_DATE = re.compile(
    r"(?<![\d.])(?:(?:19|20)\d\d[-/](?:0?[1-9]|1[0-2])(?:[-/]\d{1,2})?|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
    r"|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})?)(?!\d)"
)
_MONTH = re.compile(
    r"\b(?:jan(?:uary?|uar|vier)?|feb(?:ruary?|ruar)?|f[ée]v(?:rier)?|mar(?:ch|s)?|m[äa]e?r(?:z)?|apr(?:il)?|avr(?:il)?|may|mai|"
    r"june?|juni|juin|july?|juli|juil(?:let)?|aug(?:ust)?|ao[uû]t|sept?(?:ember|embre)?|o[ck]t(?:ober|obre)?|"
    r"nov(?:ember|embre)?|de[cz](?:ember)?|d[ée]c(?:embre)?)\b",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?=(?:\D*\d){6})[+(]?\d[\d\s()/.-]*")
_CONTACT = re.compile(r"\S+@\S+\.\w+|https?://\S+\.|www\.", re.IGNORECASE)
_STREET = (
    r"\w*(?:stra(?:ß|ss)e|str|gasse|weg|platz|allee)|street|st|road|rd|avenue|ave|lane|drive|boulevard|blvd|court|rue|"
    "via|calle|plaza"
)
_ADDRESS = re.compile(
    rf"(?=.*\d)(?=.*[^\W\d_]{{2}}).*\b(?:{_STREET})\b\.?.*|(?:.*\D)?\d{{5}}\s+[^\W\d_]{{2,}}.*", re.IGNORECASE
)
_NAME = re.compile(r"[^\W\d_a-z][^\W\d_]+(?:-[^\W\d_]+)*[,.]?\s+(?:[^\W\d_]\.?\s+)?[^\W\d_a-z][^\W\d_]+(?:-[^\W\d_]+)*")
_REMARK = re.compile(rf"(?:\S+\s+){{{_MAX_WORDS},}}\S+|.*[^\W\d_]{{2,}}[.!?;]\s+\S.*")
_WORD = re.compile(r"[^\W\d_]{2,}(?:[ -][^\W\d_]{2,})*")

#: Columns whose name says that numbers are amounts, of money or counted.
_AMOUNTS = re.compile(
    r"(?:.*[ _(])?(?:incomes?|salary|salaries|wages?|earnings|einkommen|gehalt|lohn|revenus?|salaire|costs?|price|"
    r"amount|budget|eur|euros?|usd|dollars?|gbp|pounds?|chf|jpy|yen|cny|yuan|krw|won|inr|rupees?|sek|nok|dkk|pln|brl|"
    r"counts?|steps|cells|copies)(?:[ _(].*|\d*)",
    re.IGNORECASE,
)

#: Amounts are round: half of them are multiples of the first, of dates, telephone numbers and ids one in so many. None
#: is more than so many times the middle one (our choice).
_ROUND, _RANGE = 50, 20

#: Columns whose name says what they hold.
_CALLED = {
    "names": re.compile(
        r"(?:(?:first|last|full|sur|fore|nick|given|family|client|therapist|patient|person|subject)[ _-]?)*names?|"
        "(?:vor|nach)name|initials",
        re.IGNORECASE,
    ),
    "dates": re.compile(r".*birth(?:day|date)?|.*\bdob|.*_dob|.*geburtstag|.*geburtsdatum", re.IGNORECASE),
    "telephone numbers or addresses": re.compile(
        r".*phone|mobile|tel|e?-?mail|(?:.*[ _])?address|street|city|zip|post(?:al)?[ _]?code|adresse|telefon",
        re.IGNORECASE,
    ),
    "remarks": re.compile(r"(?:.*[ _])?(?:remarks?|comments?|notes?|anmerkung(?:en)?|bemerkung(?:en)?)", re.IGNORECASE),
}


@dataclass(frozen=True)
class _Kind:
    """Something that identifies people."""

    what: str
    #: Whether a cell is of it
    fits: Callable[[str], bool]
    #: Whether every cell has to be of it, because numbers of other meanings look alike
    every: bool = False
    #: Whether amounts look like it
    numeric: bool = False


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_date(text: str) -> bool:
    named = _MONTH.search(text) is not None and re.search(r"\d", text) is not None
    return _number(text) is None and (named or _DATE.search(text) is not None)


def _is_long(text: str) -> bool:
    number = _number(text)
    return number is not None and _LONG[0] <= abs(number) < _LONG[1]


def _is_serial(text: str) -> bool:
    number = _number(text)
    return number is not None and _SERIALS[0] <= number <= _SERIALS[1]


def _is_short_date(text: str) -> bool:
    return re.fullmatch(r"\d{6}", text) is not None and _fits(text, "%d%m%y", "%y%m%d", "%m%d%y")


def _is_compact_date(text: str) -> bool:
    compact = re.fullmatch(r"(?:19|20)\d{6}|\d{4}(?:19|20)\d\d", text) is not None
    return _is_short_date(text) or (compact and _fits(text, "%Y%m%d", "%d%m%Y", "%m%d%Y"))


def _fits(text: str, *forms: str) -> bool:
    for form in forms:
        try:
            datetime.strptime(text, form)
        except ValueError:
            continue
        return True
    return False


def _are_amounts(name: str, texts: Collection[str]) -> bool:
    """Whether large numbers are amounts, as of money: the column is called so, or they are round and no dates."""
    if _AMOUNTS.fullmatch(name):
        return True
    large = {text: value for text in texts if (value := _number(text)) is not None and abs(value) >= _SERIALS[0]}
    values = sorted(map(abs, set(large.values())))
    if len(values) < 2 or all(map(_is_compact_date, large)):
        return False
    n_round = sum(value % _ROUND == 0 for value in values)
    return 2 * n_round >= len(values) and n_round > 1 and values[-1] <= _RANGE * values[len(values) // 2]


_KINDS = (
    _Kind("dates", _is_date),
    _Kind("telephone numbers", lambda text: bool(_PHONE.fullmatch(text)) and _number(text) is None),
    _Kind("numbers of 7 or more digits (dates, times, telephone numbers or ids)", _is_long, numeric=True),
    _Kind(
        f"numbers from {_SERIALS[0]} to {_SERIALS[1]} only (dates, as spreadsheets count them)",
        _is_serial,
        every=True,
        numeric=True,
    ),
    _Kind("numbers that are all dates (170483)", _is_short_date, every=True, numeric=True),
    _Kind("mail or web addresses", lambda text: bool(_CONTACT.search(text))),
    _Kind("addresses", lambda text: bool(_ADDRESS.fullmatch(text))),
    _Kind(f"text of more than {MAX_TEXT} characters", lambda text: len(text) > MAX_TEXT),
    _Kind("remarks", lambda text: bool(_REMARK.fullmatch(text))),
    _Kind("names", lambda text: bool(_NAME.fullmatch(text))),
)


def find_personal(name: str, cells: Mapping[int, str], dyads: Mapping[int, str]) -> tuple[int, str] | None:
    """Say what a column holds that identifies people, and in which line first; None if nothing is seen.

    ``cells`` and ``dyads`` are texts by line; empty cells are left out.

    Examples
    --------
    >>> find_personal("born", {2: "17.4.1983"}, {2: "D1"}), find_personal("alliance", {2: "4.5"}, {2: "D1"})
    ((2, 'dates'), None)
    """
    if not cells:
        return None
    first = min(cells)
    called = next((what for what, pattern in _CALLED.items() if pattern.fullmatch(name)), None)
    if called is not None:
        return first, called
    # a long table has few different cells
    lines = {cells[line]: line for line in sorted(cells, reverse=True)}
    amounts = _are_amounts(name, lines)
    for kind in (kind for kind in _KINDS if not (kind.numeric and amounts)):
        fitting = [line for text, line in lines.items() if kind.fits(text)]
        if fitting and (not kind.every or len(fitting) == len(lines)):
            return min(fitting), kind.what
    # a word of its own for each dyad is no level of a factor
    words: dict[str, set[str]] = {}
    for line, text in cells.items():
        words.setdefault(dyads.get(line, ""), set()).add(text)
    own = {word for held in words.values() for word in held}
    one_each = len(words) >= 3 and len(own) == len(words) and all(len(held) == 1 for held in words.values())
    if one_each and all(_WORD.fullmatch(word) for word in own):
        return first, "a word of its own for every dyad, as names are"
    return None


def is_word(label: str) -> bool:
    """Whether a label is a word, as names are, and no code.

    Examples
    --------
    >>> is_word("Jane"), is_word("JaneDoe"), is_word("T01"), is_word("AB")
    (True, True, False, False)
    """
    return re.fullmatch(r"[A-Za-z]?[a-z]{2,}([A-Z][a-z]+)*", label) is not None
