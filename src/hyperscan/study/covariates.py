"""Further columns of ``dyads.tsv``: one type each, nothing that identifies a person or runs as a formula."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hyperscan.study import cells
from hyperscan.study.columns import OPTIONAL, REQUIRED
from hyperscan.study.grid import Grid

_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_DATE = re.compile(r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}(?:[T ].*)?|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{2}){1,2}")
_FORMULA = ("=", "+", "-", "@")
#: Longer text is a remark, not a level of a factor (our choice).
_MAX_TEXT = 64


@dataclass(frozen=True)
class Covariate:
    """A further column.

    Parameters
    ----------
    name : str
        Name of the column.
    values : mapping
        Line -> int, float or str (one type per column), None where the cell is empty. Empty if left out.
    problem : str
        Why the column cannot be read.
    note : str
        What was left out or changed.
    """

    name: str
    values: Mapping[int, Any] = field(default_factory=dict)
    problem: str = ""
    note: str = ""


def read_covariates(grid: Grid) -> list[Covariate]:
    """Read every further column with one type.

    Dates are left out (they identify people; ``days`` keeps what growth needs), remarks too, and text that a
    spreadsheet would run as a formula gets an apostrophe in front.

    Parameters
    ----------
    grid : Grid
        The table.

    Returns
    -------
    list of Covariate
        In the order of the table.
    """
    names = [name for name in grid.columns if name and name not in REQUIRED and name not in OPTIONAL]
    return [_read(name, {row.line: row.cells.get(name, "") for row in grid.rows}) for name in names]


def _read(name: str, texts: Mapping[int, str]) -> Covariate:
    filled = {line: text for line, text in texts.items() if not cells.is_missing(text)}
    left_out = _private(name, filled)
    if left_out:
        return Covariate(name, note=left_out)
    for line, text in filled.items():
        if cells.DECIMAL_COMMA.fullmatch(text):
            problem = f"line {line}: column {name!r} = {cells.shown(text)} has a decimal comma. Write a point."
            return Covariate(name, problem=problem)
    reader = _reader(filled.values())
    values = {line: reader(text) if line in filled else None for line, text in texts.items()}
    changed = [line for line, text in filled.items() if reader is _text and _text(text) != text]
    return Covariate(name, values, note=_changed(name, changed[0]) if changed else "")


def _changed(name: str, line: int) -> str:
    return (
        f"line {line}: column {name!r} holds text that a spreadsheet could run as a formula, or "
        "control signs; it is kept in a harmless form. Remove them."
    )


def _private(name: str, filled: Mapping[int, str]) -> str:
    for line, text in filled.items():
        if _DATE.fullmatch(text):
            return (
                f"line {line}: column {name!r} holds dates, which identify people; it is left out. "
                "Use days, an age or a duration instead."
            )
        if len(text) > _MAX_TEXT:
            return (
                f"line {line}: column {name!r} holds text of more than {_MAX_TEXT} characters; "
                "it is left out. Use a short code instead."
            )
    return ""


def _reader(texts: Any) -> Callable[[str], Any]:
    if all(_WHOLE.fullmatch(text) for text in texts):
        return int
    return float if all(_is_number(text) for text in texts) else _text


def _is_number(text: str) -> bool:
    # 007 is a code, not the number seven
    return not re.match(r"[+-]?0[0-9]", text) and cells.is_number(text)


def _text(text: str) -> str:
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return f"'{line}" if line.startswith(_FORMULA) and not cells.is_number(line) else line
