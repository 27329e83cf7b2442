"""The text of a table -> rows of cells with their line numbers. Knows the format, not the meaning."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hyperscan.errors import TableError, did_you_mean

TABLE_NAMES = ("dyads.tsv", "dyads.csv")

_SEPARATORS = {".tsv": "\t", ".csv": ","}
_SEPARATOR_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons"}
#: Fifty dyads x twenty sessions take less than 1 MB (our choice).
_MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class GridRow:
    """One line of a table."""

    #: Line of the file, the header being 1
    line: int
    #: Column name -> text without surrounding blanks
    cells: Mapping[str, str]
    #: What is wrong with the line as a whole; empty if nothing is
    fault: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of text."""

    #: The table
    path: Path
    #: Names in order, empty ones at the end left out
    columns: tuple[str, ...]
    #: Lines that are not blank
    rows: tuple[GridRow, ...]


def find_table(path: str | Path) -> Path:
    """Find the table of a study."""
    path = Path(path)
    if not path.is_dir():
        if path.suffix.lower() not in _SEPARATORS and path.exists():
            raise TableError(f"{path.name}: expected a folder with dyads.tsv, or a .tsv or .csv file.")
        if not path.is_file():
            raise TableError(f"{path.name} is not there. Name the study's folder or its dyads.tsv.")
        return path
    found = [path / name for name in TABLE_NAMES if (path / name).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise TableError(f"The study folder holds {' and '.join(TABLE_NAMES)}. Keep one, or name the one to use.")
    near = did_you_mean(TABLE_NAMES[0], [entry.name for entry in path.iterdir() if entry.is_file()])
    raise TableError(f"dyads.tsv is missing from the study folder.{near} `hyperscan init FOLDER` drafts one.")


def read_grid(path: Path) -> Grid:
    """Read a tab- or comma-separated table."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise TableError(f"{path.name} is larger than {_MAX_BYTES:,} bytes: no table of sessions. Check the file.")
        text = _decode(path.read_bytes(), path.name)
    except OSError as error:
        raise TableError(f"{path.name} cannot be read ({error.strerror}). Check the file's permissions.") from None
    separator = _SEPARATORS[path.suffix.lower()]
    lines = _split(text, separator, path.name)
    if not lines:
        raise TableError(f"{path.name} is empty. `hyperscan init FOLDER` drafts a table.")
    (first, header), *body = lines
    _check_separator(header, separator, f"{path.name} line {first}")
    names = [name.strip() for name in header]
    while names and not names[-1]:
        names.pop()
    columns = tuple(names)
    rows = tuple(_row(line, cells, columns) for line, cells in body if any(cell.strip() for cell in cells))
    if not rows:
        raise TableError(f"{path.name} has a header but no rows. Add one row per dyad and session.")
    return Grid(path, columns, rows)


def _decode(data: bytes, name: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise TableError(f"{name} is UTF-16 text. Save it as UTF-8 (in Excel: 'CSV UTF-8').")
    if data[:4] == b"PK\x03\x04" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise TableError(f"{name} is a spreadsheet file, not text. Save it as UTF-8 text (.tsv or .csv).")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        lines = [number for number, line in enumerate(data.splitlines(), 1) if not _is_utf8(line)]
        listed = ", ".join(map(str, lines[:10])) + (" ..." if len(lines) > 10 else "")
        raise TableError(f"{name} line {listed}: not UTF-8 (Latin-1?). Save the table as UTF-8.") from None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _split(text: str, separator: str, name: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines, start = [], 1
    try:
        for cells in reader:
            if cells:
                lines.append((start, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f'{name} line {start}: the row cannot be split ({error}). Look for a single " or an overlong cell.'
        ) from None
    return lines


def _check_separator(header: list[str], separator: str, where: str) -> None:
    if len(header) > 1:
        return
    other = next((sign for sign in ("\t", ";", ",") if sign in header[0] and sign != separator), None)
    if other:
        raise TableError(
            f"{where}: columns are separated by {_SEPARATOR_NAMES[other]}. "
            f"Use tabs in a .tsv file and commas in a .csv file."
        )
    raise TableError(
        f"{where}: only one column is found. Separate the columns with {_SEPARATOR_NAMES[separator]} "
        "(tabs in .tsv, commas in .csv)."
    )


def _row(line: int, cells: list[str], columns: tuple[str, ...]) -> GridRow:
    texts = [cell.strip() for cell in cells]
    while len(texts) > len(columns) and not texts[-1]:
        texts.pop()
    named = dict(zip(columns, texts, strict=False))
    if len(texts) == len(columns):
        return GridRow(line, named)
    fault = (
        f"the row has {len(texts)} cells, the header {len(columns)}. "
        "Fill every column; write n/a where there is no value."
    )
    return GridRow(line, named, fault)
