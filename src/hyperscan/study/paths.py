"""Paths of ``dyads.tsv``: found below the study folder, and nowhere else."""

from __future__ import annotations

import errno
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from hyperscan.errors import InputError, did_you_mean

#: A longer path is refused by the operating systems we run on (Linux PATH_MAX).
_MAX_PATH = 4096


def study_path(text: str, root: Path) -> Path:
    """Find a recording that the table names.

    Parameters
    ----------
    text : str
        Path relative to the study folder.
    root : Path
        Study folder, resolved.

    Returns
    -------
    Path
        Existing file or folder. Links inside the study stay as they are named, because the parts of a
        recording (``.vhdr``, ``.eeg``) find each other by their names, which git-annex changes.

    Raises
    ------
    InputError
        If the path is absolute, leads out of the study folder (by ``..`` or by a link), cannot be
        followed, or nothing is there.
    """
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
