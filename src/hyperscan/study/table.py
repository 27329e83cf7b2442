"""Reading ``dyads.tsv``: the table is judged whole, covariates included, before any recording is opened."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import gc
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from hyperscan.errors import DataQualityWarning, TableError, did_you_mean, tell_reasons
from hyperscan.schema import TABLES
from hyperscan.study.consistency import compare_rows
from hyperscan.study.grid import Grid, find_table, read_grid
from hyperscan.study.personal import find_personal
from hyperscan.study.rows import (
    DECIMAL_COMMA,
    OPTIONAL,
    REQUIRED,
    StudyRow,
    holds_number,
    is_missing,
    quote,
    read_rows,
)
from hyperscan.study.session import Session

_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_PADDED = re.compile(r"[+-]?0[0-9]")
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Covariate:
    """A further column."""

    #: Name of the column
    name: str
    #: Line -> int, float or str (one type per column), None where the cell is empty. Empty if left out
    values: Mapping[int, int | float | str | None] = field(default_factory=dict)
    #: Why the column cannot be read
    problem: str = ""
    #: What was left out or changed
    note: str = ""


def read_covariates(grid: Grid) -> list[Covariate]:
    """Read every further column with one type.

    What identifies people is left out (``days`` keeps what growth needs of dates), and text that a spreadsheet would
    run as a formula gets an apostrophe in front.
    """
    names = [name for name in grid.columns if name and name not in REQUIRED and name not in OPTIONAL]
    dyads = {row.line: row.cells.get("dyad", "") for row in grid.rows}
    return [_read_covariate(name, {row.line: row.cells.get(name, "") for row in grid.rows}, dyads) for name in names]


def _read_covariate(name: str, texts: Mapping[int, str], dyads: Mapping[int, str]) -> Covariate:
    filled = {line: text for line, text in texts.items() if not is_missing(text)}
    personal = find_personal(name, filled, dyads)
    if personal is not None:
        line, what = personal
        note = (
            f"line {line}: column {name!r} holds {what}, which identify people; it is left out. "
            "Use days, an age, a score or a short code instead; name an amount by what it counts (income_eur)."
        )
        return Covariate(name, note=note)
    for line, text in filled.items():
        if DECIMAL_COMMA.fullmatch(text):
            problem = f"line {line}: column {name!r} = {quote(text)} has a decimal comma. Write a point."
            return Covariate(name, problem=problem)
    reader: Callable[[str], int | float | str] = _tame_text
    if all(_WHOLE.fullmatch(text) for text in filled.values()):
        reader = int
    # 007 is a code, not the number seven
    elif all(holds_number(text) and not _PADDED.match(text) for text in filled.values()):
        reader = float
    values = {line: reader(text) if line in filled else None for line, text in texts.items()}
    tamed: dict[int | float | str, str] = {}
    for line, text in filled.items():
        if reader is _tame_text and tamed.setdefault(reader(text), text) != text:
            other = quote(tamed[reader(text)])
            return Covariate(
                name, problem=f"line {line}: column {name!r} = {quote(text)} would read like {other}. Correct one."
            )
    changed = [line for line, text in filled.items() if reader is _tame_text and _tame_text(text) != text]
    note = (
        f"line {changed[0]}: column {name!r} holds text that a spreadsheet could run as a formula, or "
        "control signs; it is kept in a harmless form. Remove them."
        if changed
        else ""
    )
    return Covariate(name, values, note=note)


def _tame_text(text: str) -> str:
    """Put text on one line that no spreadsheet runs as a formula."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return f"'{line}" if line.startswith(_FORMULA) and not holds_number(line) else line


#: Columns of a run's tables, which a covariate must not hide.
OUTPUT_COLUMNS = {*TABLES["synchrony"], *TABLES["pseudo"]} - {*REQUIRED, *OPTIONAL}

_COVARIATE_NAME = re.compile(r"[^\W\d_][\w .()/%+-]{0,63}")


def check_columns(columns: Sequence[str]) -> list[str]:
    """List what is wrong with a header.

    Examples
    --------
    >>> check_columns([*REQUIRED, "day"])
    ["column 'day' is not known. Did you mean 'days'? If it is a covariate, give it another name."]
    """
    problems = []
    missing = [name for name in REQUIRED if name not in columns]
    for name in missing:
        close = did_you_mean(name, [column for column in columns if column not in REQUIRED])
        hint = f"{close.replace('Did you mean', 'Is it the one named')} Rename it" if close else " Add it"
        problems.append(f"column {name!r} is missing.{hint}; required: {', '.join(REQUIRED)}.")
    counts = Counter(name.casefold() for name in columns)
    twice = sorted({name for name in columns if counts[name.casefold()] > 1})
    if twice:
        listed = ", ".join(quote(name) for name in twice)
        problems.append(f"these columns stand there twice or differ only in case: {listed}. Keep one of each.")
    for position, name in enumerate(columns, 1):
        if name not in REQUIRED and name not in OPTIONAL:
            problems += _check_further_name(position, name, columns, missing)
    return problems


def _check_further_name(position: int, name: str, columns: Sequence[str], missing: Sequence[str]) -> list[str]:
    if not name:
        return [f"column {position} has no name. Name it, or delete it."]
    if not _COVARIATE_NAME.fullmatch(name):
        return [
            f"column {position} is named {quote(name)}. Begin with a letter; allowed: letters, "
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


@dataclass(frozen=True)
class Rejected:
    """A row of the table that is not analysed."""

    #: Line of the table
    line: int
    #: Label; empty where the cell cannot be read
    dyad: str
    #: Session number; None where the cell cannot be read
    session: int | None
    #: Every fault of the row, each with its remedy
    reason: str
    #: The rest of the key, as far as it can be read
    modality: str = ""
    task: str = ""
    run: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"

    @property
    def name(self) -> str:
        """Line, dyad and session, as far as they can be read."""
        number = "" if self.session is None else f" ses-{self.session:02d}"
        return f"line {self.line} ({self.dyad or 'dyad ?'}{number})"


def said_once(rejected: Iterable[Rejected]) -> list[str]:
    """Tell which rows cannot be used; rows with the same faults share a line.

    Examples
    --------
    >>> said_once([Rejected(2, "A", 1, "therapist is empty."), Rejected(3, "A", 2, "therapist is empty.")])
    ['line 2 (A ses-01), line 3 (A ses-02): therapist is empty.']
    """
    alike: dict[str, list[str]] = {}
    for row in rejected:
        alike.setdefault(row.reason, []).append(row.name)
    return tell_reasons(alike)


@dataclass(frozen=True)
class StudyTable:
    """A table that was read."""

    #: Usable rows, in the order of the table
    sessions: tuple[Session, ...]
    #: Rows that cannot be used
    rejected: tuple[Rejected, ...]
    #: Study folder, resolved
    root: Path
    #: The table
    path: Path
    #: Rows that the column ``include`` leaves out on purpose
    excluded: tuple[Rejected, ...] = ()
    #: What was left out or changed on reading, which warnings repeat
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Make many records without looking for garbage, which they are not, and which takes as long as making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_collection()
def read_table(path: str | Path) -> StudyTable:
    r"""Read ``dyads.tsv`` with every fault of every row, and open no recording.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "dyads.tsv").write_text(
    ...         "dyad\ttherapist\tclient\tsession\tmodality\ttherapist_file\tclient_file\n"
    ...         "D1\tT1\tC1\t1\teeg\tt.edf\tc.edf\n"
    ...     )
    ...     table = read_table(folder)
    >>> [(row.line, row.reason.splitlines()[0][:32]) for row in table.rejected]
    [(2, "therapist_file = 't.edf': is not")]
    """
    found = find_table(path)
    grid = read_grid(found)
    covariates = read_covariates(grid)
    problems = [f"{found.name}: {text}" for text in check_columns(grid.columns)]
    problems += [f"{found.name} {c.problem}" for c in covariates if c.problem]
    if problems:
        raise TableError("\n".join(problems), problems)
    root = found.parent.resolve()
    rows = count_days(read_rows(grid, root))
    asked = [row for row in rows if row.include]
    compared = compare_rows(asked)
    judged = [
        dataclasses.replace(row, faults=(*row.faults, *compared[row.line])) if row.line in compared else row
        for row in asked
    ]
    further = {row.line: {c.name: c.values[row.line] for c in covariates if c.values} for row in judged}
    return StudyTable(
        sessions=tuple(row.to_session(root, further[row.line]) for row in judged if not row.faults),
        rejected=tuple(_reject(row, " ".join(row.faults)) for row in judged if row.faults),
        root=root,
        path=found,
        excluded=tuple(_reject(row, "include says no.") for row in rows if not row.include),
        notes=tuple(f"{found.name} {c.note}" for c in covariates if c.note),
    )


def read_sessions(path: str | Path) -> list[Session]:
    """Read the sessions of a study; no recording is opened yet.

    Parameters
    ----------
    path : path-like
        Study folder, or its table (``.tsv`` or ``.csv``).

    Returns
    -------
    list of Session, shape (n_sessions,)
        In the order of the table. Rows that cannot be used are left out with a warning that names each;
        :func:`read_table` returns them instead.

    Raises
    ------
    TableError
        If the structure of the table is broken, or no row can be used.

    Warns
    -----
    DataQualityWarning
        If rows or columns were left out.

    Examples
    --------
    >>> import tempfile
    >>> from hyperscan.simulate import simulate_study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = simulate_study(folder + "/study", "none", n_dyads=1, n_sessions=2, duration_s=10)
    ...     [str(row.key) for row in read_sessions(study / "dyads.tsv")]
    ['D01 ses-01 eeg', 'D01 ses-02 eeg']
    """
    table = read_table(path)
    name = table.path.name
    if not table.sessions:
        reasons = [f"{name} {row}" for row in (*table.rejected, *table.excluded)]
        raise TableError(f"{name}: not one row can be used.\n" + "\n".join(reasons), reasons)
    for note in table.notes:
        warnings.warn(note, DataQualityWarning, stacklevel=2)
    if table.rejected:
        total = len(table.sessions) + len(table.rejected)
        listed = "\n".join(str(row) for row in table.rejected)
        warnings.warn(
            f"{name}: {len(table.rejected)} of {total} rows cannot be used.\n{listed}",
            DataQualityWarning,
            stacklevel=2,
        )
    return list(table.sessions)


def _reject(row: StudyRow, reason: str) -> Rejected:
    return Rejected(row.line, row.dyad, row.session, reason, row.modality, row.task, row.run)


def count_days(rows: Sequence[StudyRow]) -> list[StudyRow]:
    """Turn each dyad's dates into days since its first one; refuse a dyad whose days and dates tell two stories."""
    dates = {row.line: row.date.date() for row in rows if row.date is not None and row.dyad}
    firsts: dict[str, date] = {}
    for row in rows:
        if row.line in dates:
            firsts[row.dyad] = min(dates[row.line], firsts.get(row.dyad, dates[row.line]))
    counted = {row.line: float((dates[row.line] - firsts[row.dyad]).days) for row in rows if row.line in dates}
    shifts: dict[str, set[float]] = defaultdict(set)
    filled: dict[str, set[tuple[bool, bool]]] = defaultdict(set)
    for row in rows:
        given = row.days is not None, row.line in counted
        if any(given):
            filled[row.dyad].add(given)
        if row.days is not None and row.line in counted:
            shifts[row.dyad].add(row.days - counted[row.line])
    found = []
    for row in rows:
        shift, faults = shifts[row.dyad], row.faults
        if row.include and shift and max(shift) - min(shift) > 1:
            faults += ("days and date disagree in this dyad. Correct them, or keep one of the two columns.",)
        elif row.include and row.dyad and len(filled[row.dyad]) > 1:
            faults += ("this dyad has days in some rows and date in others. Fill one of the two columns throughout.",)
        days = counted.get(row.line) if row.days is None else row.days
        told = row.date is None and days == row.days and faults is row.faults
        found.append(row if told else dataclasses.replace(row, date=None, days=days, faults=faults))
    return found
