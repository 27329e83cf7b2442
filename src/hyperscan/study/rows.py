"""One row of ``dyads.tsv``: its values and its paths, with every fault of the row."""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from hyperscan.errors import InputError, did_you_mean
from hyperscan.study.cells import OPTIONAL, is_missing, label, modality, session_number, shown
from hyperscan.study.grid import Row
from hyperscan.study.selectors import Selector, disjoint

#: A longer path is refused by the operating systems we run on (Linux PATH_MAX).
_MAX_PATH = 4096


def study_path(text: str, root: Path) -> Path:
    """Find a recording that the table names."""
    _refuse_unsafe(text)
    named: Path | None = root / text
    real = _resolve(root / text)
    if real is None and (root / text).is_symlink():
        raise InputError("is a link to data that is not there. Download it first (for DataLad: datalad get).")
    if real is None:
        named = _other_normal_form(root, PurePosixPath(text).parts)
        real = _resolve(named) if named is not None else None
    if real is None or named is None:
        raise InputError(_missing(text, root))
    if real == root or not real.is_relative_to(root):
        raise InputError(
            "leads out of the study folder. Put the recording, or the table, where the path stays inside "
            "(no '..', no link to elsewhere)."
        )
    return real if ".." in named.parts else named


def _refuse_unsafe(text: str) -> None:
    if "\0" in text or len(text) > _MAX_PATH:
        raise InputError(f"is no usable path (NUL, or longer than {_MAX_PATH} characters). Rename the file.")
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).anchor or text.startswith("~"):
        raise InputError("is an absolute path. Write it relative to the table's folder, so that the study can move.")


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
        same = [entry for entry in _entries(here, root) if _composed(entry.name) == _composed(part)]
        if len(same) != 1:
            return None
        here = same[0]
    return here


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _missing(text: str, root: Path) -> str:
    if "\\" in text:
        return "is not there. Write folders with '/', not with a backslash."
    parent, hint = root, ""
    for part in PurePosixPath(text).parts:
        near = [entry.name for entry in _entries(parent, root)]
        if part not in near:
            hint = did_you_mean(part, near)
            break
        parent = parent / part
    return f"is not there. Correct the path or add the file.{hint}"


def _entries(folder: Path, root: Path) -> list[Path]:
    """List a folder of the study; nothing for folders elsewhere or unreadable ones."""
    try:
        inside = folder.resolve(strict=True).is_relative_to(root)
        return sorted(folder.iterdir()) if inside else []
    except (OSError, RuntimeError):
        return []


_IDS: Mapping[str, Callable[[str], Any]] = {
    "dyad": label,
    "therapist": label,
    "client": label,
    "session": session_number,
    "modality": modality,
}
_FILES = ("therapist_file", "client_file")


@dataclass(frozen=True)
class Entry:
    """A row whose cells were read."""

    #: Line of the table
    line: int
    #: Column -> value; columns without a (usable) value are absent
    values: Mapping[str, Any]
    #: What keeps the row from being used
    faults: tuple[str, ...] = ()

    @property
    def included(self) -> bool:
        """Whether the row asks to be analysed."""
        return bool(self.values.get("include", True))

    @property
    def key(self) -> tuple[Any, ...] | None:
        """Dyad, session, modality, task and run; None where one of them cannot be read."""
        if not {"dyad", "session", "modality"} <= set(self.values):
            return None
        parts = (self.values[name] for name in ("dyad", "session", "modality"))
        return (*parts, self.values.get("task", ""), self.values.get("run", ""))


def read_row(row: Row, root: Path) -> Entry:
    """Read every cell of a row."""
    values: dict[str, Any] = {}
    faults: list[str] = [row.fault] if row.fault else []
    readers = {**_IDS, **dict.fromkeys(_FILES, lambda text: study_path(text, root)), **OPTIONAL}
    for column, reader in readers.items():
        text = row.cells.get(column, "")
        if not is_missing(text):
            _read_cell(column, text, reader, values, faults)
        elif column not in OPTIONAL:
            faults.append(f"{column} is empty. Fill it in.")
    if not values.get("include", True):
        return Entry(row.line, values)
    return Entry(row.line, _one_path(values), (*faults, *_check(values)))


def _read_cell(column: str, text: str, reader: Callable[[str], Any], values: dict[str, Any], faults: list[str]) -> None:
    try:
        values[column] = reader(text)
    except InputError as error:
        # a date is personal: it is not repeated
        value = "" if column == "date" else f" = {shown(text)}"
        faults.append(f"{column}{value}: {error}")


def _one_path(values: dict[str, Any]) -> dict[str, Any]:
    """Give both people the same path where both names lead to one file."""
    if _one_file(values):
        return {**values, "client_file": values["therapist_file"]}
    return values


def _one_file(values: Mapping[str, Any]) -> bool:
    if not set(_FILES) <= set(values):
        return False
    therapist, client = (values[name] for name in _FILES)
    return bool(therapist == client or therapist.samefile(client))


def _check(values: Mapping[str, Any]) -> list[str]:
    faults = []
    if "therapist" in values and values.get("therapist") == values.get("client"):
        faults.append(f"therapist and client are both {values['therapist']!r}. Give the two people two ids.")
    if values.get("start_s", 0.0) >= values.get("stop_s", float("inf")):
        faults.append(
            f"stop_s = {values['stop_s']:g} is not after start_s = {values.get('start_s', 0.0):g}. Correct one of them."
        )
    offsets = [name for name in ("therapist_offset_s", "client_offset_s") if name in values]
    if len(offsets) == 1 or (values.get("clock") == "offset" and not offsets):
        faults.append("a declared offset needs both therapist_offset_s and client_offset_s. Fill in both.")
    if _one_file(values):
        faults += _check_one_file(values)
    return faults


def _check_one_file(values: Mapping[str, Any]) -> list[str]:
    therapist: Selector | None = values.get("therapist_channels")
    client: Selector | None = values.get("client_channels")
    remedy = "Name each person's part in therapist_channels and client_channels, for example 1-32 and 33-64"
    file = shown(values["therapist_file"].name)
    if therapist is None or client is None:
        return [f"both people are in one file ({file}), but nothing says who is where. {remedy}."]
    if not disjoint(therapist, client):
        return [f"both people are in one file ({file}), and '{therapist}' and '{client}' may overlap. {remedy}."]
    return []
