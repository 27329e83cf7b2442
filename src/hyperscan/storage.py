"""The one way in which the package writes: whole or not at all.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed; a folder
likewise. So a crash leaves the old content or the new one under a final name, never a mixture.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from hyperscan.errors import InputError, OutputWriteError, TableError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

#: Marks what a run that died may have left; swept at the start of the next one.
PARTIAL_PREFIX = ".partial-"
_PARTIAL = re.compile(re.escape(PARTIAL_PREFIX) + r"[0-9a-f]{12}(\.\w+)?")

#: Ten significant digits: more than any of our numbers carries, and equal across machines (our choice).
FLOAT_FORMAT = "%.10g"

#: Rows of a table that are read at once where only some of them are kept.
_PART = 200_000

#: A record that a file holds.
Made = TypeVar("Made")

#: How BIDS writes a missing value in a table.
MISSING = "n/a"


#: What is written is noted here, where somebody asks.
_NOTED: ContextVar[set[Path] | None] = ContextVar("noted", default=None)


@contextlib.contextmanager
def written_files() -> Iterator[set[Path]]:
    """Collect the files that a block writes, by their final names."""
    noted: set[Path] = set()
    before = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(before)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file so that it appears whole or not at all."""
    return _write_through(Path(path), lambda temporary: _dump(temporary, data))


def write_text(path: str | Path, text: str) -> Path:
    r"""Write text as UTF-8 with ``\n`` line ends. See :func:`write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a mapping as JSON; what is not finite becomes ``null``. See :func:`write_bytes`."""
    return write_text(path, to_json(content))


def write_table(path: str | Path, frame: pd.DataFrame) -> Path:
    """Write a frame as TSV with ``n/a`` for what is missing. See :func:`write_bytes`."""
    return write_text(path, table_text(frame))


def table_text(frame: pd.DataFrame) -> str:
    """Return the text of a frame as TSV."""
    text: str = frame.to_csv(sep="\t", index=False, na_rep=MISSING, float_format=FLOAT_FORMAT, lineterminator="\n")
    return text


def write_dataset(path: str | Path, dataset: xr.Dataset) -> Path:
    """Write a labelled dataset as compressed netCDF. See :func:`write_bytes`."""
    numbers = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "f"]
    encoding = {name: {"zlib": True, "complevel": 4} for name in numbers}
    return _write_through(Path(path), lambda temporary: _dump_dataset(temporary, dataset, encoding))


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write arrays as an uncompressed ``.npz`` without pickled objects. See :func:`write_bytes`."""
    return _write_through(Path(path), lambda temporary: _dump_arrays(temporary, arrays))


def load_table(
    path: str | Path, *texts: str, keep: Callable[[pd.DataFrame], pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Read back what :func:`write_table` wrote, or a table from elsewhere; labels stay text.

    ``keep`` chooses rows of each part as it is read, so that a table far larger than them never is in memory.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path.name}: there is no such table. Correct the path.")
    labels = ("dyad", "partner_dyad", "therapist", "client", "task", "run", "flags", "reason", "which", *texts)
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader(lines, delimiter=separator), [])
        read = partial(
            pd.read_csv,
            path,
            sep=separator,
            na_values=[MISSING],
            keep_default_na=False,
            dtype=dict.fromkeys(labels, str),
        )
        if keep is None:
            frame = read()
        else:
            with read(chunksize=_PART) as parts:
                frame = pd.concat([keep(part) for part in parts], ignore_index=True)
    except UnicodeDecodeError:
        raise TableError(f"{path.name}: not UTF-8. Save the table as UTF-8.") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, csv.Error) as error:
        raise TableError(f"{path.name}: is not a table ({str(error).strip()}). Correct the file.") from None
    if len(frame.columns) == 1 and any(mark in frame.columns[0] for mark in ",;\t"):
        raise TableError(
            f"{path.name}: its columns are separated by something else than its name says. Use tabs in a .tsv "
            "file; commas, and a point in numbers, in a .csv file."
        )
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        # pandas would rename the second one, and leave open which was meant
        raise TableError(f"{path.name}: its header names {twice[0]!r} more than once. Rename or delete all but one.")
    present = [name for name in labels if name in frame]
    return frame.assign(**{name: frame[name].fillna("") for name in present})


def to_json(content: Mapping[str, Any]) -> str:
    """JSON text of a mapping, keys in their order.

    Examples
    --------
    >>> print(to_json({"p": float("nan"), "n": 3}), end="")
    {
      "p": null,
      "n": 3
    }
    """
    return json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """Read back what :func:`write_json` wrote; empty where the file holds something else than a mapping."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # halves of a sign can be read, and never be written
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: cannot be read as JSON ({error}). Run the analysis again.") from None
    return content if isinstance(content, dict) else {}


def record_of(kind: type[Made], content: Mapping[str, Any], *, whole: bool = True) -> Made:
    """Make a record from what JSON holds of it: lists are tuples again, null a number that was not finite is NaN.

    With ``whole`` a field that is not there raises a KeyError, else it has its default. What is not of the declared
    type stays as it is, for :func:`check_types` to refuse.

    Examples
    --------
    >>> from hyperscan.schema import Outcome
    >>> record_of(Outcome, {"metric": "plv", "band": "alpha"}, whole=False)
    Outcome(metric='plv', band='alpha', roi='', task='', signal='', modality='')
    """
    declared = _declared_types(cast(Any, kind))
    names = [item.name for item in fields(cast(Any, kind)) if whole or item.name in content]
    return kind(**{name: _declared(content[name], declared[name]) for name in names})


@cache
def _declared_types(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _declared(value: Any, declared: Any) -> Any:
    """Give a value of JSON the type that it is declared to have, as far as it can have it."""
    kind, parts = get_origin(declared) or declared, get_args(declared)
    if kind in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        return _declared(value, next(part for part in parts if part is not NoneType))
    if kind is float and value is None:
        return math.nan
    if kind in (tuple, Sequence) and isinstance(value, list):
        return tuple(_declared(one, parts[0]) for one in value)
    if hasattr(kind, "_fields"):
        return kind(*value)
    if isinstance(value, Mapping) and kind is Mapping:
        return {name: _declared(one, parts[1]) for name, one in value.items()}
    if isinstance(value, Mapping) and is_dataclass(kind):
        return kind.from_dict(value) if hasattr(kind, "from_dict") else record_of(cast("type[Any]", kind), value)
    return value


def check_types(record: Any) -> None:
    """Refuse a record read from a file, and any in it, of which a field holds something else than it is declared to.

    Examples
    --------
    >>> from hyperscan.schema import Cell
    >>> check_types(Cell("eeg", "plv", band=8))
    Traceback (most recent call last):
    ...
    ValueError: Cell: band is not of the type str
    """
    kind = type(record)
    for name, declared in _declared_types(cast(Any, kind)).items():
        if get_origin(declared) is not ClassVar and not _is_of(getattr(record, name), declared):
            told = getattr(declared, "__name__", declared)
            raise ValueError(f"{kind.__name__}: {name} is not of the type {told}")


def _is_of(value: Any, declared: Any) -> bool:
    """Whether a value is of a declared type; a whole number counts as a float, and no truth value as a number."""
    kind, parts = get_origin(declared) or declared, get_args(declared)
    if kind in (Union, UnionType):
        return any(_is_of(value, part) for part in parts)
    if kind is Any:
        return True
    if kind in (int, float):
        allowed = int | float if kind is float else int
        return isinstance(value, allowed) and not isinstance(value, bool) and not abs(value) > sys.float_info.max
    if kind in (tuple, Sequence):  # a text is no sequence of values
        found = itertools.product(value, set(parts) - {...}) if isinstance(value, list | tuple) else None
        return found is not None and all(_is_of(one, part) for one, part in found)
    if not isinstance(value, kind):
        return False
    if isinstance(value, Mapping) and parts:
        return all(_is_of(one, part) for pair in value.items() for one, part in zip(pair, parts, strict=True))
    if is_dataclass(value) or hasattr(value, "_fields"):
        check_types(value)
    return True


#: Held while something of this process appears under its final name; says whether it still may.
_LANDING: ContextVar[Callable[[], AbstractContextManager[bool]] | None] = ContextVar("landing", default=None)


@contextlib.contextmanager
def landing_if(landing: Callable[[], AbstractContextManager[bool]]) -> Iterator[None]:
    """Let files and folders appear under their final names only within ``landing``, and only where it says so."""
    before = _LANDING.set(landing)
    try:
        yield
    finally:
        _LANDING.reset(before)


@contextlib.contextmanager
def _landing(final: Path) -> Iterator[None]:
    landing = _LANDING.get()
    with contextlib.nullcontext(True) if landing is None else landing() as allowed:
        if not allowed:
            raise OutputWriteError(f"{final.name}: its run has ended, so this result is dropped. Run again.")
        yield


@contextlib.contextmanager
def new_folder(path: str | Path, ours: Callable[[Path], Collection[str]] | None = None) -> Iterator[Path]:
    """Fill a folder that appears under its final name only when the block ends well.

    ``ours`` names the files of an earlier folder there that it replaces, and all others are kept; None = it replaces
    all of them.
    """
    final = Path(path)
    temporary = _temporary(final)
    with _disk_errors(final):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            _keep_theirs(temporary, final, ours)
            for file in sorted(temporary.rglob("*")):
                if not file.is_symlink():
                    _sync(file)
            _sync(temporary)
            with _landing(final):
                _swap_folder(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, final: Path, ours: Callable[[Path], Collection[str]] | None = None) -> None:
    """Put a whole folder into the place of another one, which is there until then; ``ours`` as in new_folder."""
    with _disk_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _keep_theirs(new, final, ours)
        _swap_folder(new, final)


def remove(path: Path) -> None:
    """Remove a file so that a crash of the machine does not bring it back."""
    with _disk_errors(path, every=True):
        path.unlink(missing_ok=True)
        _sync(path.parent)


def sweep(folder: Path) -> None:
    """Remove what an interrupted run left half written; links are followed nowhere."""
    for top, folders, files in os.walk(folder):  # what goes meanwhile is gone
        left = [name for name in (*folders, *files) if _PARTIAL.fullmatch(name)]
        folders[:] = [name for name in folders if name not in left]
        for path in (Path(top, name) for name in left):
            if path.is_symlink() or not path.is_dir():
                path.unlink(missing_ok=True)
            else:
                shutil.rmtree(path, ignore_errors=True)


def remove_files(folder: Path, names: Iterable[str], top: Path) -> None:
    """Remove some files of a folder, then it and the folders above it, below ``top``, as far as they are empty.

    A folder that is a link, or lies behind one, is left as it is.
    """
    above = [folder, *(each for each in folder.parents if each.is_relative_to(top) and each != top)]
    if any(each.is_symlink() for each in above):
        return
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for each in above:
        try:
            each.rmdir()
        except OSError:  # holds something else
            return


def odd_kind(path: Path) -> str:
    """Say what something is that is neither a file nor a folder, and may let a reader wait for ever; else empty.

    Examples
    --------
    >>> odd_kind(Path("/dev/null")), odd_kind(Path("/"))
    ('a device', '')
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # not there, or for the reader to say
        return ""
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return kinds.get(stat.S_IFMT(mode), "")


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, or of every file of a folder with its name, as a hex digest."""
    path = Path(path)
    if odd_kind(path):
        raise OSError(errno.EINVAL, f"is {odd_kind(path)}, no file", str(path))
    if path.is_dir():
        parts = (f"{p.relative_to(path).as_posix()} {sha256(p)}" for p in sorted(path.rglob("*")) if p.is_file())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return float(FLOAT_FORMAT % value) if math.isfinite(value) else None
    return value


def _temporary(final: Path) -> Path:
    return final.with_name(f"{PARTIAL_PREFIX}{uuid.uuid4().hex[:12]}{final.suffix}")


def _copy(theirs: Path, to: Path) -> None:
    """Copy a file, a link as a link, or a folder."""
    if theirs.is_dir() and not theirs.is_symlink():
        shutil.copytree(theirs, to, symlinks=True)
    else:
        shutil.copy2(theirs, to, follow_symlinks=False)


def _dump(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _dump_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    import numpy as np

    with path.open("wb") as stream:  # straight to the disk: a copy in memory would be the size of a recording
        np.savez(stream, allow_pickle=False, **arrays)


def _dump_dataset(path: Path, dataset: xr.Dataset, encoding: Mapping[Any, Any]) -> None:
    try:
        dataset.to_netcdf(path, engine="netcdf4", encoding=encoding)
    except RuntimeError as error:
        # the netCDF library says "HDF error" for every disk fault; a copy of the bytes tells which one it is
        probe = _temporary(path)
        try:
            _dump(probe, bytes(dataset.nbytes + 65_536))
        finally:
            probe.unlink(missing_ok=True)
        raise OSError(errno.EIO, "netCDF cannot be written") from error


def _write_through(final: Path, write: Callable[[Path], object]) -> Path:
    with _disk_errors(final, every=True):
        with _landing(final):  # not even its folder, which may be swept
            final.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(final)
        try:
            write(temporary)
            _sync(temporary)
            with _landing(final):
                temporary.replace(final)
            _sync(final.parent)
        finally:
            temporary.unlink(missing_ok=True)
    noted = _NOTED.get()
    if noted is not None:
        noted.add(final)
    return final


def _keep_theirs(new: Path, final: Path, ours: Callable[[Path], Collection[str]] | None) -> None:
    """Copy what a new folder does not replace out of the one before."""
    if ours is not None and final.is_dir():
        replaced = {*ours(final), *(file.name for file in new.iterdir())}
        for theirs in final.iterdir():
            if theirs.name not in replaced:
                _copy(theirs, new / theirs.name)


def _swap_folder(temporary: Path, final: Path) -> None:
    """Put a folder under its name; of two processes that make the same one at once, the later one stays."""
    while temporary.exists():
        old = _temporary(final)
        with contextlib.suppress(FileNotFoundError):
            final.replace(old)
        try:
            temporary.replace(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another one has just put its own there
                if old.exists():
                    old.replace(final)
                raise
        if old.is_symlink():
            old.unlink()
        shutil.rmtree(old, ignore_errors=True)
    _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_errors(path: Path, *, every: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            reason, remedy = "the disk is full", "Free some space and run again: finished sessions are kept."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason, remedy = (
                "writing is not permitted",
                "Choose another output folder or mend its permissions.",
            )
        elif every:
            reason, remedy = "cannot be written", "Check the disk and run again: finished sessions are kept."
        else:
            raise
        raise OutputWriteError(f"{path.name}: {reason} ({error.strerror}). {remedy}") from error
