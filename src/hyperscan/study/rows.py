"""One row of ``dyads.tsv``: text to values, or sentences that say what to write.

A cell is read by one function; a path is followed inside the study folder; cells that contradict each other are told.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from hyperscan.errors import InputError, did_you_mean
from hyperscan.schema import CLOCKS, MODALITIES, ROLES, SPEAKING, SPEAKS, YES_NO, SessionKey
from hyperscan.storage import odd_kind
from hyperscan.study.grid import Grid, GridRow
from hyperscan.study.labels import MAX_LABEL, is_label, plain_label
from hyperscan.study.selectors import TWO_PARTS, Selector, disjoint, parse_selector
from hyperscan.study.session import AUX, Session

#: Ways to say "no value": BIDS writes n/a, R writes NA, pandas writes nan.
_NO_VALUE = frozenset({"", "n/a", "na", "nan"})

#: Beyond any real study (our choice); keeps typing errors out of file names and time axes.
MAX_SESSION = 9999
MAX_DAYS = 36_525
MAX_SECONDS = 1e7

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.casefold() in _NO_VALUE


def quote(text: str, limit: int = 60) -> str:
    """Value as a message may show it: quoted, on one line, cut to ``limit`` characters."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def read_label(text: str) -> str:
    """Read an id such as ``D01``: 1-64 letters and digits."""
    if is_label(text):
        return text
    plain = plain_label(text)[:20]
    raise InputError(
        f"only letters A-Z a-z and digits are allowed, at most {MAX_LABEL}."
        + (f" Write for example {plain!r}, if no other is called that." if plain else " Give it a plain code.")
    )


def read_session(text: str) -> int:
    """Read a session number from 1 on; ``01`` and ``1.0`` are 1."""
    value = float(text) if holds_number(text) else math.nan
    if not value.is_integer() or not 1 <= value <= MAX_SESSION:
        digits = re.sub(r"[^0-9]", "", text).lstrip("0")[:4]
        usable = digits and "." not in text and not text.startswith("-")
        hint = f" Write {digits}?" if usable else " Write 1 for the first session."
        raise InputError(f"expected a whole number from 1 to {MAX_SESSION}.{hint}")
    return int(value)


def read_modality(text: str) -> str:
    """Read ``eeg`` or ``fnirs``, in any case."""
    if text.casefold() in MODALITIES:
        return text.casefold()
    hint = " Did you mean 'fnirs'?" if text.casefold() == "nirs" else did_you_mean(text.casefold(), MODALITIES)
    raise InputError(f"allowed: {', '.join(MODALITIES)}. Write one of them.{hint}")


def read_clock(text: str) -> str:
    """Read how the two recordings share a clock; ``none`` is refused."""
    if text not in CLOCKS:
        raise InputError(f"allowed: {', '.join(CLOCKS[:-1])}. Write one of them.{did_you_mean(text, CLOCKS)}")
    if text == "none":
        raise InputError(
            "two recordings without a common clock cannot be compared. Name what they share "
            f"({', '.join(CLOCKS[:4])}), or write 'assumed' if they were started together."
        )
    return text


def read_number(text: str, low: float = -MAX_SECONDS, high: float = MAX_SECONDS) -> float:
    """Read a finite number with a decimal point, within ``low`` and ``high``."""
    if DECIMAL_COMMA.fullmatch(text):
        raise InputError(f"has a decimal comma. Write {text.replace(',', '.')[:20]}.")
    value = float(text) if holds_number(text) else math.nan
    if not low <= value <= high:
        raise InputError(f"expected a number from {low:g} to {high:g}, with a decimal point. Correct it.")
    return value


def holds_number(text: str) -> bool:
    """Whether a cell holds a finite number."""
    return _NUMBER.fullmatch(text) is not None and len(text) <= MAX_LABEL and math.isfinite(float(text))


def read_seconds(text: str) -> float:
    """Read a time in s from 0 on."""
    return read_number(text, 0.0)


def read_days(text: str) -> float:
    """Read days since the dyad's first session, from 0 on."""
    return read_number(text, 0.0, MAX_DAYS)


def read_date(text: str) -> datetime:
    """Read a date such as ``2026-03-31``; it is only ever used to count days."""
    try:
        return datetime.fromisoformat(text if _ISO.fullmatch(text) else "")
    except ValueError:
        raise InputError("expected a date. Write it like 2026-03-31 (year-month-day).") from None


def read_yes_no(text: str) -> bool:
    """Read ``yes``/``no``, ``true``/``false``, ``1``/``0``."""
    if text.casefold() not in YES_NO:
        raise InputError(f"allowed: {', '.join(YES_NO)}. Write one of them.{did_you_mean(text.casefold(), YES_NO)}")
    return YES_NO[text.casefold()]


def is_number_or_yes_no(cell: object) -> bool:
    """Whether a further column's cell is empty, a number, or a word for yes or no, which counts as 1 or 0."""
    return cell is None or isinstance(cell, int | float) or str(cell).strip().casefold() in YES_NO


def read_event(text: str) -> str:
    """Read the name of an annotation or trigger: one printable line."""
    if not text.isprintable() or len(text) > 200:
        raise InputError("expected one line of at most 200 characters. Copy the event's name from the recording.")
    return text


def read_segment_event(text: str) -> str:
    """Read the name of an annotation whose spans are used, or ``speaks:WHO``, the time in which these speak."""
    who = text.removeprefix(SPEAKS)
    if text.startswith(SPEAKS) and who not in SPEAKING:
        allowed = ", ".join(SPEAKS + name for name in SPEAKING)
        raise InputError(f"asks for no one who may speak; allowed: {allowed}.{did_you_mean(who, list(SPEAKING))}")
    return read_event(text)


def read_shared(text: str, read_file: Callable[[str], Path]) -> Path | str:
    """Read where a shared signal is: a file of the study, or ``aux:NAME``, a channel of the recording."""
    if not text.startswith(AUX):
        path = read_file(text)
        if path.suffix.lower() not in SHARED_ENDINGS:
            raise InputError(
                f"expected {', '.join(SHARED_ENDINGS)} or {AUX}NAME (a channel). Export it as one of them."
            )
        return path
    name = text.removeprefix(AUX).strip()
    if not name:
        raise InputError(f"names no channel. Write {AUX}NAME with the channel's name.")
    return AUX + read_event(name)


#: Endings of files that may hold a shared signal.
SHARED_ENDINGS = (".wav", ".csv", ".tsv")

#: Columns that name recordings, by role.
_FILES = {role: f"{role}_file" for role in ROLES}

REQUIRED = ("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file")

#: How each optional column is read. What names a file is read apart, because that needs the study folder.
OPTIONAL: Mapping[str, Callable[[str], Any]] = {
    "days": read_days,
    "date": read_date,
    "task": read_label,
    "run": read_label,
    "start_s": read_seconds,
    "stop_s": read_seconds,
    "segment_event": read_segment_event,
    "therapist_channels": parse_selector,
    "client_channels": parse_selector,
    "clock": read_clock,
    "therapist_offset_s": read_number,
    "client_offset_s": read_number,
    "sync_event": read_event,
    "shared_file": read_event,
    "include": read_yes_no,
}


#: A longer path is refused by the operating systems we run on (Linux PATH_MAX).
_MAX_PATH = 4096


#: Lines of a table in which an absent file is looked for under similar names: that takes long (our choice).
_HINTED = 1000


#: How a path begins that is not relative to the table: a root, a drive, a home.
_ANCHORED = re.compile(r"[/\\~]|.:", re.DOTALL)

#: Parts of a path that name nothing below the folder before.
_NO_NAMES = frozenset({"", ".", ".."})


@dataclass(frozen=True)
class Folders:
    """Folders of a study as its table names them, each looked up once: a table has many rows and few folders."""

    root: Path
    #: Where a folder is, if it is one inside the study; None if it is plainly absent, empty if a closer look is needed
    known: dict[str, str | None] = field(default_factory=dict)
    #: What files are on their disk, by how the table names them
    inodes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def look(self, text: str) -> tuple[Path | None, bool]:
        """Give a file that needs no closer look, and say whether it is plainly absent.

        Such a file is there and no link, in a folder that plainly is in the study.
        """
        folder, _, leaf = text.rpartition("/")
        if leaf in _NO_NAMES or len(text) > _MAX_PATH or _ANCHORED.match(text):
            return None, False
        here = self._folder(folder)
        if not here:
            return None, here is None
        path, found = _lstat(f"{here}/{leaf}")
        if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return None, found is None and path != ""
        self.inodes[text] = found.st_dev, found.st_ino
        return Path(path), False

    def inode(self, text: str, path: Path) -> tuple[int, int]:
        """Say what a file is on its disk, under whatever name."""
        if text not in self.inodes:
            status = path.stat()
            self.inodes[text] = status.st_dev, status.st_ino
        return self.inodes[text]

    def _folder(self, folder: str) -> str | None:
        if not folder:
            return str(self.root)
        if folder not in self.known:
            here: str | None = str(self.root)
            for part in itertools.accumulate(folder.split("/"), "{}/{}".format):
                if part not in self.known:
                    self.known[part] = self._enter(f"{here}/{part.rpartition('/')[2]}")
                here = self.known[part]
                if not here:
                    break
            self.known[folder] = here
        return self.known[folder]

    def _enter(self, path: str) -> str | None:
        """Look at one folder of one that is known."""
        where, found = _lstat(path)
        if path.rpartition("/")[2] in _NO_NAMES or not where:
            return ""
        if found is None:
            return None
        real = Path(path) if stat.S_ISDIR(found.st_mode) else None
        if stat.S_ISLNK(found.st_mode):
            with contextlib.suppress(InputError):
                real = _resolve(Path(path))
        return path if real is not None and real.is_relative_to(self.root) else ""


def _lstat(path: str) -> tuple[str, os.stat_result | None]:
    """Look at a path, links not followed: None if nothing is there, and an empty path if that cannot be told."""
    try:
        return path, os.lstat(path)
    except FileNotFoundError:
        return path, None
    except (OSError, ValueError):
        return "", None


#: What is said of a file that is not there.
_ABSENT = "is not there. Correct the path or add the file."


def read_path(text: str, folders: Folders, hint: bool = True) -> Path:
    """Find a recording that the table names; where it is absent, ``hint`` at one of a similar name."""
    plain, is_absent = folders.look(text)
    if plain is not None:
        return plain
    if is_absent and not hint and text.isascii():
        raise InputError(_ABSENT)
    root = folders.root
    if "\0" in text or len(text) > _MAX_PATH:
        raise InputError(f"is no usable path (NUL, or longer than {_MAX_PATH} characters). Rename the file.")
    if _ANCHORED.match(text):
        raise InputError("is an absolute path. Write it relative to the table's folder, so that the study can move.")
    named: Path | None = root / text
    real = _resolve(root / text)
    if real is None and (root / text).is_symlink():
        raise InputError("is a link to data that is not there. Download it first (for DataLad: datalad get).")
    if real is None and (hint or not text.isascii()):
        named = _other_normal_form(root, PurePosixPath(text).parts)
        real = _resolve(named) if named is not None else None
    if real is None or named is None:
        raise InputError(_explain_absence(text, root) if hint else _ABSENT)
    if real == root or not real.is_relative_to(root):
        raise InputError(
            "leads out of the study folder. Put the recording, or the table, where the path stays inside "
            "(no '..', no link to elsewhere)."
        )
    if odd_kind(real):
        raise InputError(f"is {odd_kind(real)}, no file. Name the recording itself.")
    return real if ".." in named.parts else named


def _resolve(path: Path) -> Path | None:
    # RuntimeError: a link loop before Python 3.13; ValueError: a name the file system cannot encode
    try:
        return path.resolve(strict=True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise InputError(f"cannot be followed ({error.strerror}). Mend the link or the permissions.") from None
    except (RuntimeError, ValueError):
        raise InputError("cannot be followed (a link loop or an unusable name). Mend the link or the name.") from None


def _other_normal_form(root: Path, parts: tuple[str, ...]) -> Path | None:
    """Find a path whose letters are composed differently: macOS stores é as e + accent."""
    here = root
    for part in parts:
        wanted = unicodedata.normalize("NFC", part)
        same = [entry for entry in _entries(here, root) if unicodedata.normalize("NFC", entry.name) == wanted]
        if len(same) != 1:
            return None
        here = same[0]
    return here


def _explain_absence(text: str, root: Path) -> str:
    if "\\" in text:
        return "is not there. Write folders with '/', not with a backslash."
    parent, hint = root, ""
    for part in PurePosixPath(text).parts:
        near = [entry.name for entry in _entries(parent, root)]
        if part not in near:
            hint = did_you_mean(part, near)
            break
        parent = parent / part
    return f"{_ABSENT}{hint}"


def _entries(folder: Path, root: Path) -> list[Path]:
    """List a folder of the study; nothing for folders elsewhere or unreadable ones."""
    try:
        inside = folder.resolve(strict=True).is_relative_to(root)
        return sorted(folder.iterdir()) if inside else []
    except (OSError, RuntimeError):
        return []


#: How each required column is read; files are read apart, because they need the study folder.
_IDS: Mapping[str, Callable[[str], Any]] = {
    "dyad": read_label,
    "therapist": read_label,
    "client": read_label,
    "session": read_session,
    "modality": read_modality,
}


@dataclass(frozen=True)
class StudyRow:
    """A row whose cells were read; empty or None where a cell holds no (usable) value."""

    #: Line of the table
    line: int
    #: What keeps the row from being used
    faults: tuple[str, ...] = ()
    #: Whether the row asks to be analysed
    include: bool = True
    dyad: str = ""
    therapist: str = ""
    client: str = ""
    session: int | None = None
    modality: str = ""
    therapist_file: Path | None = None
    client_file: Path | None = None
    days: float | None = None
    date: datetime | None = None
    task: str = ""
    run: str = ""
    start_s: float | None = None
    stop_s: float | None = None
    segment_event: str | None = None
    therapist_channels: Selector | None = None
    client_channels: Selector | None = None
    clock: str | None = None
    therapist_offset_s: float | None = None
    client_offset_s: float | None = None
    sync_event: str | None = None
    shared_file: Path | str | None = None
    #: Role to what the recording is on its disk, under whatever name
    inodes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def key(self) -> SessionKey | None:
        """Dyad, session, modality, task and run; None where one of them cannot be read."""
        if not self.dyad or self.session is None or not self.modality:
            return None
        return SessionKey(self.dyad, self.session, self.modality, self.task, self.run)

    @property
    def files(self) -> dict[str, Path]:
        """Role to recording, as far as it is there."""
        named = {role: getattr(self, name) for role, name in _FILES.items()}
        return {role: path for role, path in named.items() if path is not None}

    @property
    def span(self) -> tuple[float, float]:
        """Part of the recording to use, in s from its beginning."""
        return self.start_s or 0.0, math.inf if self.stop_s is None else self.stop_s

    @property
    def is_one_file(self) -> bool:
        """Whether both people are in one file, under one name or two."""
        return len(self.inodes) == 2 and len(set(self.inodes.values())) == 1

    def to_session(self, root: Path, covariates: Mapping[str, int | float | str | None]) -> Session:
        """Give the dyad-session of a row without faults."""
        values = {name: getattr(self, name) for name in _CARRIED}
        for name in (f"{role}_channels" for role in ROLES):
            values[name] = None if values[name] is None else str(values[name])
        return Session(**values, root=root, covariates=covariates)


#: What a dyad-session takes from its row.
_CARRIED = tuple(item.name for item in fields(Session) if item.name not in ("root", "covariates"))


def read_rows(grid: Grid, root: Path) -> list[StudyRow]:
    """Read every cell of a table whose columns are known."""
    folders = Folders(root)
    near, far = (_readers(grid.columns, folders, hint) for hint in (True, False))
    return [_read_row(row, near if row.line <= _HINTED else far, folders) for row in grid.rows]


def _readers(columns: Collection[str], folders: Folders, hint: bool) -> dict[str, Callable[[str], Any]]:
    """Say how each column of a table is read."""
    read_file = partial(read_path, folders=folders, hint=hint)
    # a long table has few different cells
    ids, further = ({name: cache(reader) for name, reader in each.items()} for each in (_IDS, OPTIONAL))
    readers: dict[str, Callable[[str], Any]] = {**ids, **dict.fromkeys(_FILES.values(), read_file), **further}
    readers["shared_file"] = partial(read_shared, read_file=read_file)
    return {name: reader for name, reader in readers.items() if name in columns}


def _read_row(row: GridRow, readers: Mapping[str, Callable[[str], Any]], folders: Folders) -> StudyRow:
    values: dict[str, Any] = {}
    faults = [row.fault] if row.fault else []
    for column, reader in readers.items():
        text = row.cells.get(column)
        if text is None or is_missing(text):
            faults += [f"{column} is empty. Fill it in."] if column in REQUIRED else []
            continue
        try:
            values[column] = reader(text)
        except InputError as error:
            # a date is personal: it is not repeated
            value = "" if column == "date" else f" = {quote(text)}"
            faults.append(f"{column}{value}: {error}")
    files = ((role, name) for role, name in _FILES.items() if name in values)
    inodes = {role: folders.inode(row.cells[name], values[name]) for role, name in files}
    found = StudyRow(row.line, **values, inodes=inodes)
    if not found.include:
        return found
    if found.is_one_file:
        found = replace(found, client_file=found.therapist_file)
    faults += _contradictions(found)
    return replace(found, faults=tuple(faults)) if faults else found


def _contradictions(row: StudyRow) -> list[str]:
    """Tell which cells of a row cannot hold together."""
    faults = []
    if row.therapist and row.therapist == row.client:
        faults.append(f"therapist and client are both {row.therapist!r}. Give the two people two ids.")
    start, stop = row.span
    if start >= stop:
        faults.append(f"stop_s = {stop:g} is not after start_s = {start:g}. Correct one of them.")
    offsets = [offset for offset in (row.therapist_offset_s, row.client_offset_s) if offset is not None]
    # beside triggers one of them is a note of about when, as messages about regular pulses ask for
    if (len(offsets) == 1 and row.clock != "triggers") or (row.clock == "offset" and not offsets):
        faults.append("a declared offset needs both therapist_offset_s and client_offset_s. Fill in both.")
    if row.is_one_file:
        a, b = row.therapist_channels, row.client_channels
        kinds = {selector.kind for selector in (row.therapist_channels, row.client_channels) if selector is not None}
        example = TWO_PARTS[kinds.pop() if len(kinds) == 1 else "positions"]
        remedy = f"Name each person's part in therapist_channels and client_channels, for example {example}"
        file = quote(row.files["therapist"].name)
        if a is None or b is None:
            faults.append(f"both people are in one file ({file}), but nothing says who is where. {remedy}.")
        elif not disjoint(a, b):
            faults.append(f"both people are in one file ({file}), and '{a}' and '{b}' may overlap. {remedy}.")
    return faults
