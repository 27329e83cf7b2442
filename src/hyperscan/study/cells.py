"""The columns of ``dyads.tsv``, and one cell of them: text to a value, or a sentence that says what to write."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hyperscan.errors import InputError, did_you_mean
from hyperscan.schema import CLOCKS, MODALITIES
from hyperscan.study.selectors import parse_selector

#: Ways to say "no value": BIDS writes n/a, R writes NA, pandas writes nan.
MISSING = frozenset({"", "n/a", "na", "nan"})


#: Beyond any real study (our choice); keeps typing errors out of file names and time axes.
MAX_SESSION = 9999
MAX_DAYS = 36_525
MAX_SECONDS = 1e7
MAX_LABEL = 64

_LABEL = re.compile(r"[A-Za-z0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.casefold() in MISSING


def shown(text: str, limit: int = 60) -> str:
    """Value as a message may show it: quoted, on one line, cut to ``limit`` characters."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def label(text: str) -> str:
    """Read an id such as ``D01``.

    Raises
    ------
    InputError
        Unless it is made of 1-64 letters and digits.
    """
    if _LABEL.fullmatch(text) and len(text) <= MAX_LABEL:
        return text
    plain = re.sub(r"[^A-Za-z0-9]", "", text)[:20]
    raise InputError(
        f"only letters A-Z a-z and digits are allowed, at most {MAX_LABEL}."
        + (f" Write for example {plain!r}." if plain else " Give it a plain code.")
    )


def session_number(text: str) -> int:
    """Read a session number from 1 on; ``01`` and ``1.0`` are 1."""
    value = float(text) if is_number(text) else math.nan
    if not value.is_integer() or not 1 <= value <= MAX_SESSION:
        digits = re.sub(r"[^0-9]", "", text).lstrip("0")[:4]
        usable = digits and "." not in text and not text.startswith("-")
        hint = f" Write {digits}?" if usable else " Write 1 for the first session."
        raise InputError(f"expected a whole number from 1 to {MAX_SESSION}.{hint}")
    return int(value)


def modality(text: str) -> str:
    """Read ``eeg`` or ``fnirs``, in any case."""
    if text.casefold() in MODALITIES:
        return text.casefold()
    hint = " Did you mean 'fnirs'?" if text.casefold() == "nirs" else did_you_mean(text.casefold(), MODALITIES)
    raise InputError(f"allowed: {', '.join(MODALITIES)}. Write one of them.{hint}")


def clock(text: str) -> str:
    """Read how the two recordings share a clock; ``none`` is refused."""
    if text not in CLOCKS:
        raise InputError(f"allowed: {', '.join(CLOCKS[:-1])}. Write one of them.{did_you_mean(text, CLOCKS)}")
    if text == "none":
        raise InputError(
            "two recordings without a common clock cannot be compared. Name what they share "
            f"({', '.join(CLOCKS[:4])}), or write 'assumed' if they were started together."
        )
    return text


def number(text: str, low: float = -MAX_SECONDS, high: float = MAX_SECONDS) -> float:
    """Read a finite number with a decimal point, within ``low`` and ``high``."""
    if DECIMAL_COMMA.fullmatch(text):
        raise InputError(f"has a decimal comma. Write {text.replace(',', '.')[:20]}.")
    value = float(text) if is_number(text) else math.nan
    if not low <= value <= high:
        raise InputError(f"expected a number from {low:g} to {high:g}, with a decimal point. Correct it.")
    return value


def is_number(text: str) -> bool:
    """Whether a cell holds a finite number."""
    return _NUMBER.fullmatch(text) is not None and len(text) <= MAX_LABEL and math.isfinite(float(text))


def seconds(text: str) -> float:
    """Read a time in s from 0 on."""
    return number(text, 0.0)


def days(text: str) -> float:
    """Read days since the dyad's first session, from 0 on."""
    return number(text, 0.0, MAX_DAYS)


def iso_date(text: str) -> datetime:
    """Read a date such as ``2026-03-31``; it is only ever used to count days."""
    try:
        return datetime.fromisoformat(text if _ISO.fullmatch(text) else "")
    except ValueError:
        raise InputError("expected a date. Write it like 2026-03-31 (year-month-day).") from None


def yes_no(text: str) -> bool:
    """Read ``yes``/``no``, ``true``/``false``, ``1``/``0``."""
    if text.casefold() not in _YES_NO:
        raise InputError(f"allowed: {', '.join(_YES_NO)}. Write one of them.{did_you_mean(text.casefold(), _YES_NO)}")
    return _YES_NO[text.casefold()]


def event_name(text: str) -> str:
    """Read the name of an annotation or trigger: one printable line."""
    if not text.isprintable() or len(text) > 200:
        raise InputError("expected one line of at most 200 characters. Copy the event's name from the recording.")
    return text


REQUIRED = ("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file")

#: How each optional column is read. Files are read apart, because they need the study folder.
OPTIONAL: Mapping[str, Callable[[str], Any]] = {
    "days": days,
    "date": iso_date,
    "task": label,
    "run": label,
    "start_s": seconds,
    "stop_s": seconds,
    "segment_event": event_name,
    "therapist_channels": parse_selector,
    "client_channels": parse_selector,
    "clock": clock,
    "therapist_offset_s": number,
    "client_offset_s": number,
    "sync_event": event_name,
    "include": yes_no,
}

#: Columns of synchrony.tsv and pseudo.tsv, which a covariate must not hide.
OUTPUT_COLUMNS = frozenset(
    """
    signal metric band roi_therapist roi_client estimate z pseudo_mean_z pseudo_sd_z n_pseudo excess_z
    lag_estimate lag_p n_windows window_s seconds flags partner_dyad which
    """.split()  # noqa: SIM905 - one name per line would take a page
)

_COVARIATE_NAME = re.compile(r"[^\W\d_][\w .()/%+-]{0,63}")


def check_columns(columns: Sequence[str]) -> list[str]:
    """List what is wrong with a header.

    Examples
    --------
    >>> check_columns([*REQUIRED, "day"])
    ["column 'day' is not known. Did you mean 'days'? If it is a covariate, give it another name."]
    """
    problems = [
        f"column {name!r} is missing.{_candidate(name, columns)}; required: {', '.join(REQUIRED)}."
        for name in REQUIRED
        if name not in columns
    ]
    counts = Counter(name.casefold() for name in columns)
    twice = sorted({name for name in columns if counts[name.casefold()] > 1})
    if twice:
        listed = ", ".join(shown(name) for name in twice)
        problems.append(f"these columns stand there twice or differ only in case: {listed}. Keep one of each.")
    missing = [name for name in REQUIRED if name not in columns]
    for position, name in enumerate(columns, 1):
        if name not in REQUIRED and name not in OPTIONAL:
            problems += _check_covariate_name(position, name, columns, missing)
    return problems


def _candidate(name: str, columns: Sequence[str]) -> str:
    close = did_you_mean(name, [column for column in columns if column not in REQUIRED])
    return f"{close.replace('Did you mean', 'Is it the one named')} Rename it" if close else " Add it"


def _check_covariate_name(position: int, name: str, columns: Sequence[str], missing: Sequence[str]) -> list[str]:
    if not name:
        return [f"column {position} has no name. Name it, or delete it."]
    if not _COVARIATE_NAME.fullmatch(name):
        return [
            f"column {position} is named {shown(name)}. Begin with a letter; allowed: letters, "
            "digits, blanks and _ . ( ) / % + -, at most 64."
        ]
    if name.casefold() in OUTPUT_COLUMNS:
        return [f"column {name!r} is the name of a result. Rename the covariate, for example to '{name}_before'."]
    known = _near(name, [option for option in OPTIONAL if option not in columns])
    if known:
        return [f"column {name!r} is not known. Did you mean {known!r}? If it is a covariate, give it another name."]
    return []


def _near(name: str, known: Sequence[str]) -> str:
    """Known column that ``name`` is a misspelling of; empty if none is close enough to be one."""

    def bare(word: str) -> str:
        return re.sub(r"[^a-z]", "", word.casefold())

    letters = sorted(bare(name))
    same = [word for word in known if sorted(bare(word)) == letters or bare(word) == bare(name) + "s"]
    close = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.85)
    return (same + close + [""])[0]
