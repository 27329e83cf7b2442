"""Reading ``dyads.tsv``: the table is judged whole, covariates included, before any recording is opened."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperscan.errors import DataQualityWarning, TableError
from hyperscan.study.cells import DECIMAL_COMMA, OPTIONAL, REQUIRED, check_columns, is_missing, is_number, shown
from hyperscan.study.consistency import compare_rows
from hyperscan.study.grid import Grid, find_table, read_grid
from hyperscan.study.rows import Entry, read_row
from hyperscan.study.session import Session

_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_DATE = re.compile(r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}(?:[T ].*)?|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{2}){1,2}")
_FORMULA = ("=", "+", "-", "@")
#: Longer text is a remark, not a level of a factor (our choice).
_MAX_TEXT = 64


@dataclass(frozen=True)
class Covariate:
    """A further column."""

    #: Name of the column
    name: str
    #: Line -> int, float or str (one type per column), None where the cell is empty. Empty if left out
    values: Mapping[int, Any] = field(default_factory=dict)
    #: Why the column cannot be read
    problem: str = ""
    #: What was left out or changed
    note: str = ""


def read_covariates(grid: Grid) -> list[Covariate]:
    """Read every further column with one type.

    Dates are left out (they identify people; ``days`` keeps what growth needs), remarks too, and text that a
    spreadsheet would run as a formula gets an apostrophe in front.
    """
    names = [name for name in grid.columns if name and name not in REQUIRED and name not in OPTIONAL]
    return [_read(name, {row.line: row.cells.get(name, "") for row in grid.rows}) for name in names]


def _read(name: str, texts: Mapping[int, str]) -> Covariate:
    filled = {line: text for line, text in texts.items() if not is_missing(text)}
    left_out = _private(name, filled)
    if left_out:
        return Covariate(name, note=left_out)
    for line, text in filled.items():
        if DECIMAL_COMMA.fullmatch(text):
            problem = f"line {line}: column {name!r} = {shown(text)} has a decimal comma. Write a point."
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
    return not re.match(r"[+-]?0[0-9]", text) and is_number(text)


def _text(text: str) -> str:
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return f"'{line}" if line.startswith(_FORMULA) and not is_number(line) else line


_SELECTORS = ("therapist_channels", "client_channels")
#: Columns that a Session takes as they were read.
_PLAIN = (*REQUIRED, *(name for name in OPTIONAL if name not in ("date", "include", *_SELECTORS)))


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
        number = "" if self.session is None else f" ses-{self.session:02d}"
        name = f" ({self.dyad or 'dyad ?'}{number})"
        return f"line {self.line}{name}: {self.reason}"


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
    _refuse([*check_columns(grid.columns), *(c.problem for c in covariates if c.problem)], found.name)
    root = found.parent.resolve()
    entries = _with_days([read_row(row, root) for row in grid.rows])
    asked = [entry for entry in entries if entry.included]
    compared = compare_rows(asked)
    judged = [dataclasses.replace(e, faults=(*e.faults, *compared.get(e.line, ()))) for e in asked]
    further = {e.line: {c.name: c.values[e.line] for c in covariates if c.values} for e in judged}
    return StudyTable(
        sessions=tuple(_session(entry, root, further[entry.line]) for entry in judged if not entry.faults),
        rejected=tuple(_rejected(entry) for entry in judged if entry.faults),
        root=root,
        path=found,
        excluded=tuple(_rejected(entry) for entry in entries if not entry.included),
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
    list of Session
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


def _refuse(problems: Sequence[str], name: str) -> None:
    if problems:
        full = [f"{name} {text}" if text.startswith("line ") else f"{name}: {text}" for text in problems]
        raise TableError("\n".join(full), full)


def _session(entry: Entry, root: Path, covariates: Mapping[str, Any]) -> Session:
    values = {name: entry.values[name] for name in _PLAIN if name in entry.values}
    for name in _SELECTORS:
        values[name] = str(entry.values[name]) if name in entry.values else None
    return Session(**values, root=root, covariates=covariates, line=entry.line)


def _rejected(entry: Entry) -> Rejected:
    values = entry.values
    return Rejected(
        line=entry.line,
        dyad=values.get("dyad", ""),
        session=values.get("session"),
        reason=" ".join(entry.faults) if entry.included else "include says no.",
        modality=values.get("modality", ""),
        task=values.get("task", ""),
        run=values.get("run", ""),
    )


def _with_days(entries: Sequence[Entry]) -> list[Entry]:
    """Turn each dyad's dates into days since its first one; the dates go no further."""
    firsts: dict[str, Any] = {}
    for entry in entries:
        if {"date", "dyad"} <= set(entry.values):
            day = entry.values["date"].date()
            firsts[entry.values["dyad"]] = min(day, firsts.get(entry.values["dyad"], day))
    counted = [_count_days(entry, firsts) for entry in entries]
    return _compare_days(counted)


def _count_days(entry: Entry, firsts: Mapping[str, Any]) -> Entry:
    values = dict(entry.values)
    date = values.pop("date", None)
    if date is None or "dyad" not in values:
        return dataclasses.replace(entry, values=values)
    counted = float((date.date() - firsts[values["dyad"]]).days)
    return dataclasses.replace(entry, values={**values, "_counted": counted})


def _compare_days(entries: Sequence[Entry]) -> list[Entry]:
    """Refuse a dyad whose days and dates tell two stories."""
    shifts: dict[str, set[float]] = defaultdict(set)
    mixed: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        values, dyad = entry.values, entry.values.get("dyad", "")
        given = {name for name in ("days", "_counted") if name in values}
        mixed[dyad] |= {"+".join(sorted(given))} if given else set()
        if len(given) == 2:
            shifts[dyad].add(values["days"] - values["_counted"])
    return [_settle_days(entry, shifts, mixed) for entry in entries]


def _settle_days(entry: Entry, shifts: Mapping[str, set[float]], mixed: Mapping[str, set[str]]) -> Entry:
    values = dict(entry.values)
    counted = values.pop("_counted", None)
    dyad = values.get("dyad", "")
    shift = shifts.get(dyad, set())
    fault = ""
    if shift and max(shift) - min(shift) > 1:
        fault = "days and date disagree in this dyad. Correct them, or keep one of the two columns."
    elif len(mixed.get(dyad, set())) > 1 and dyad:
        fault = "this dyad has days in some rows and date in others. Fill one of the two columns throughout."
    if counted is not None:
        values.setdefault("days", counted)
    faults = (*entry.faults, fault) if fault and entry.included else entry.faults
    return dataclasses.replace(entry, values=values, faults=faults)
