"""Numbers and texts fit for a page, and tables as plain records that a template can walk."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import pandas as pd

from hyperscan.schema import COLUMNS, GROWTH_SCALE, column_of

#: Longest text of a cell; longer ones are cut, so that one bad file cannot blow up the page (our choice).
_LONGEST = 400

#: Tables that become blocks on a narrow screen: so few rows, or so few columns with a text as long (our choices).
_FEW_ROWS, _FEW_COLUMNS, _LONG = 3, 4, 60

_PATH = re.compile(r"""(?<![\w.<])(?:[A-Za-z]:[\\/]|\\\\|~?/)(?:[^\s"'<>|:*?]+[\\/])+[^\s"'<>|:*?]*""")

#: A row of any table, by column.
Values = Mapping[str, Any]


@dataclass(frozen=True)
class TableCell:
    """One cell of a table."""

    #: What is shown
    text: str
    #: The number in full, empty for text
    value: str = ""
    #: Address inside the report, empty for none
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page: caption, column heads, rows; the first cell of a row names it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    #: What is the same in all rows, as one line; its columns are left out
    constant: str = ""
    #: How many columns only say which row it is
    n_keys: int = 1

    @property
    def is_line(self) -> bool:
        """Whether every fact is the same in all rows, so that the line says all."""
        return bool(self.constant) and len(self.columns) <= self.n_keys

    @property
    def stacks(self) -> bool:
        """Whether rows become blocks on a narrow screen: few rows of many columns, or few columns of long texts."""
        if len(self.rows) <= _FEW_ROWS and len(self.columns) > _FEW_ROWS:
            return True
        texts = (len(cell.text) for row in self.rows for cell in row)
        return len(self.columns) <= _FEW_COLUMNS and max(texts, default=0) > _LONG

    @cached_property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers, and are set to the right."""
        return tuple(any(row[i].value for row in self.rows) for i in range(len(self.columns)))


def is_finite(value: object) -> bool:
    """Whether a value is a finite number (booleans are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_empty(value: object) -> bool:
    """Whether a value says nothing."""
    return value is None or value == "" or value in ([], (), {}) or (isinstance(value, float) and math.isnan(value))


def short(value: object) -> str:
    """Write a number with four significant digits at most, a true or false in words, other things as text.

    Examples
    --------
    >>> short(0.028312), short(5.0), short(None), short(12345.6)
    ('0.02831', '5', '–', '12346')
    """
    if is_empty(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not is_finite(value):
        return one_line(value)
    number = float(value)  # type: ignore[arg-type]
    if abs(number) >= 1000 or number == int(number):
        return f"{number:.0f}".replace("-", "−")
    return f"{number:.4g}".replace("-", "−")


def brief(value: object) -> str:
    """Write a number with two significant digits, as in a story.

    Examples
    --------
    >>> brief(0.2025), brief(-0.00044), brief(40.0), brief(292.7)
    ('0.20', '−0.00044', '40', '293')
    """
    if not is_finite(value) or float(value) == int(value):  # type: ignore[arg-type, call-overload]
        return short(value)
    number = float(value)  # type: ignore[arg-type]
    return (f"{number:.0f}" if abs(number) >= 100 else f"{number:#.2g}".rstrip(".")).replace("-", "−")


def brief_all(*values: object) -> tuple[str, ...]:
    """Write numbers that stand beside each other as in a story, with as many digits as tell them apart.

    Examples
    --------
    >>> brief_all(0.1521, 0.1468, 0.1577), brief_all(0.2025, 0.1, 0.31), brief_all(None, 2.0)
    (('0.152', '0.147', '0.158'), ('0.20', '0.10', '0.31'), ('–', '2'))
    """
    known = sorted(float(value) for value in values if is_finite(value))  # type: ignore[arg-type]
    apart = [high - low for low, high in pairwise(known) if high > low]
    scale = max(map(abs, known), default=0.0)
    # the smallest step is seen at its first digit
    digits = 2 if not apart or not scale else 1 + math.ceil(math.log10(scale / min(apart)))
    if digits <= 2:
        return tuple(brief(value) for value in values)
    return tuple(
        f"{float(value):#.{min(digits, 4)}g}".rstrip(".").replace("-", "−") if is_finite(value) else short(value)  # type: ignore[arg-type]
        for value in values
    )


def short_p(value: object) -> str:
    """Write a p-value; never as zero.

    Examples
    --------
    >>> short_p(0.00002), short_p(0.0312), short_p(None)
    ('< .0001', '.0312', '–')
    """
    if not is_finite(value):
        return "–"
    number = float(value)  # type: ignore[arg-type]
    if number < 1e-4:
        return "< .0001"
    return f"{number:.4f}".removeprefix("0")


def without_paths(text: object) -> str:
    """Replace absolute paths, which may hold people's names, by their last part.

    Examples
    --------
    >>> without_paths("cannot read /home/jane/study/dyads.tsv")
    'cannot read …/dyads.tsv'
    """
    return _PATH.sub(lambda m: "…/" + re.split(r"[\\/]", m[0].rstrip("\\/"))[-1], str(text))


def one_line(text: object, longest: int = _LONGEST) -> str:
    """Make any text fit for a page: one line, no control character, no absolute path, not endless."""
    line = "".join(c if c.isprintable() else " " for c in without_paths(text))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def cell(value: object, column: str = "") -> TableCell:
    """Make a cell of any value, by the kind of column that holds it."""
    if isinstance(value, list | tuple):
        return TableCell(", ".join(short(item) for item in value) or "–")
    text = short_p(value) if column_of(column).p_value or column.startswith("p_") else short(value)
    # repr of a float gives the number back exactly
    return TableCell(text, repr(value) if is_finite(value) else "")


#: From so many rows on a fact that is the same in all is told once (our choice).
_MANY = 3


def lay_out(
    rows: Iterable[Values],
    heads: Mapping[str, str],
    caption: str,
    *,
    links: Mapping[str, str] | None = None,
    keys: Iterable[str] = (),
) -> Table:
    """Lay out rows as a table, without the columns that are empty; a row that lacks a column is a fault of ours.

    Where ``keys`` name the columns that tell the rows apart, a fact that is the same in all rows becomes a line.
    """
    rows, keys = list(rows), [key for key in keys if key in heads]
    first = next(iter(heads))
    used = [key for key in heads if key == first or any(not is_empty(row[key]) for row in rows)]
    once: dict[str, str] = {}
    if keys and len(rows) >= _MANY:
        for key in used:
            same = cell(rows[0][key], key)
            if key not in keys and all(cell(row[key], key) == same for row in rows):
                once[heads[key]] = same.text
        used = [key for key in used if heads[key] not in once]
    constant = "; ".join(f"{head} {text}" for head, text in once.items())
    constant = f"The same in all {len(rows)} rows: {constant}." if once else ""
    made = []
    for row in rows:
        cells = [cell(row[key], key) for key in used]
        address = (links or {}).get(cells[0].text, "")
        made.append((TableCell(cells[0].text, cells[0].value, address), *cells[1:]))
    n_keys = len([key for key in used if key in keys]) or 1
    return Table(caption, tuple(heads[key] for key in used), tuple(made), constant, n_keys)


def rows_of(table: pd.DataFrame) -> list[Values]:
    """Rows of a frame as plain Python values, not-a-number as None."""
    plain = table.astype(object).where(table.notna(), None)
    return [
        {str(key): getattr(value, "item", lambda v=value: v)() for key, value in row.items()}
        for row in plain.to_dict("records")
    ]


def heads_of(columns: Iterable[str], scale: str = GROWTH_SCALE) -> dict[str, str]:
    """Heads of columns, as the vocabulary has them; ``scale`` is that of the metric they are of."""
    return {name: column_of(name, scale).head for name in columns}


def measure(column: str, scale: str = GROWTH_SCALE) -> str:
    """Say what a column measures, with its unit.

    Examples
    --------
    >>> measure("clean_seconds"), measure("peak_hz_beta")
    ('Clean (s)', 'Peak frequency, beta (Hz)')
    """
    return column_of(column, scale).head if column in COLUMNS else column_of(column).label
