"""MATLAB and HDF5 files: whole, of a size that fits, without links to elsewhere, before a reader sees them."""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import h5py

from hyperscan.errors import ReadError
from hyperscan.hdf5 import check_heaps, claimed_bytes
from hyperscan.recording.guard import check_memory

#: Types of elements.
MATRIX = 14
_FLAGS, _SIZES, _NAMES = {6}, {5, 6}, {1, 2, 16}  # some writers say unsigned, or UTF-8
_DATA = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18})

#: Classes of arrays: cell, struct, object; sparse; char and numbers. Others have layouts of their own.
_CELL, _STRUCT, _OBJECT, _SPARSE, _PLAIN = 1, 2, 3, 5, frozenset({4, *range(6, 16)})

#: Deeper nesting is no recording (our choice).
_MAX_DEPTH = 32


class Element(NamedTuple):
    """An element: its type, and where its data begin and end."""

    kind: int
    start: int
    stop: int


class MalformedError(ValueError):
    """An element that cannot be what its tag says."""


def check_matrix(data: memoryview, element: Element, order: str, depth: int = 0) -> None:
    """Check that everything within an array is where and what it says."""
    if element.start == element.stop:  # an empty array
        return
    parts = list(_elements(data, element.start, element.stop, order))
    if depth > _MAX_DEPTH or not _are(parts[:3], _FLAGS, _SIZES, _NAMES):
        raise MalformedError
    flags, shape, _, *rest = parts
    if flags.stop - flags.start != 8 or shape.stop - shape.start < 8:
        raise MalformedError
    word = _number(data, flags.start, order)
    kind, n_parts = word & 0xFF, 2 if word & 0x0800 else 1
    size = math.prod(_number(data, at, order) for at in range(shape.start, shape.stop, 4))
    if kind in (_CELL, _STRUCT, _OBJECT):
        inner = _contained(data, rest, kind, size, order)
        for part in inner:
            check_matrix(data, part, order, depth + 1)
    elif kind in _PLAIN or kind == _SPARSE:
        wanted = n_parts + 2 if kind == _SPARSE else n_parts
        if len(rest) != wanted or not {part.kind for part in rest} <= _DATA:
            raise MalformedError


def _contained(data: memoryview, rest: list[Element], kind: int, size: int, order: str) -> list[Element]:
    """Arrays within a cell or a struct, as many as there must be."""
    inner = rest
    if kind != _CELL:
        first = 1 if kind == _OBJECT else 0
        if not _are(rest[first : first + 2], _SIZES, _NAMES):
            raise MalformedError
        length, names, inner = rest[first], rest[first + 1], rest[first + 2 :]
        width = _number(data, length.start, order)
        if width == 0 or (names.stop - names.start) % width:
            raise MalformedError
        size *= (names.stop - names.start) // width
    if len(inner) != size or any(part.kind != MATRIX for part in inner):
        raise MalformedError
    return inner


def _are(parts: list[Element], *kinds: set[int]) -> bool:
    return len(parts) == len(kinds) and all(part.kind in kind for part, kind in zip(parts, kinds, strict=True))


def _elements(data: memoryview, start: int, stop: int, order: str) -> Iterator[Element]:
    at = start
    while at < stop:
        if at + 8 > stop:
            raise MalformedError
        kind, n_bytes = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # four bytes or fewer stand in the tag itself
            kind, n_bytes = kind & 0xFFFF, kind >> 16
            found, at = Element(kind, at + 4, at + 4 + n_bytes), at + 8
            if n_bytes > 4:
                raise MalformedError
        else:
            found = Element(kind, at + 8, at + 8 + n_bytes)
            at = found.stop if kind == MATRIX else found.stop + -n_bytes % 8
        if at > stop:
            raise MalformedError
        yield found


def _number(data: memoryview, at: int, order: str) -> int:
    return int(struct.unpack_from(f"{order}I", data, at)[0])


#: Kind of the element that holds a compressed one (MATLAB level 5 MAT-file format).
_COMPRESSED = 15
#: zlib makes no more of a byte than this (zlib technical notes).
_MAX_RATIO = 1032


def check_matlab(path: Path, name: str) -> None:
    """Check that every variable of a MAT-file is there to its last byte, and that memory holds it.

    A reader that is asked for one variable does not notice when a later one is cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(128)
        if head.startswith(b"MATLAB 7.3"):
            check_heaps(path, name)
            with h5py.File(path, "r") as held:
                check_hdf5(held, name)
            return
        if not head.startswith(b"MATLAB 5.0"):
            return
        order = "<" if head[126:128] == b"IM" else ">"
        at = 128
        while at + 8 <= size:
            file.seek(at)
            kind, n_bytes = struct.unpack(f"{order}II", file.read(8))
            if kind == _COMPRESSED and at + 8 + n_bytes <= size:
                _check_unpacked(file, n_bytes, order, name)
            elif kind == MATRIX and at + 8 + n_bytes <= size:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
                    try:
                        check_matrix(data, Element(MATRIX, at + 8, at + 8 + n_bytes), order)
                    except MalformedError:
                        raise ReadError(
                            f"{name}: a variable is damaged: its parts are not of the kinds and sizes that they "
                            "announce. Copy it again, or export it anew."
                        ) from None
            at += 8 + n_bytes
    if at != size:
        raise ReadError(f"{name}: is cut off: its last variable is incomplete. Copy it again, or export it anew.")


def check_version(path: Path, name: str) -> None:
    """Refuse MATLAB 7.3 where numbers are read by SciPy, which knows the older form only."""
    with path.open("rb") as file:
        if file.read(10) == b"MATLAB 7.3":
            raise ReadError(
                f"{name}: not supported: a MATLAB 7.3 file. Save it in MATLAB with the option '-v7', or export the "
                "recording as SNIRF, EDF or FIF."
            )


def _check_unpacked(file: BinaryIO, n_bytes: int, order: str, name: str) -> None:
    """Unpack a few bytes of an element: they say how long it is."""
    unpacker = zlib.decompressobj()
    try:
        tag = unpacker.decompress(file.read(min(n_bytes, 4096)), 8)
    except zlib.error:
        tag = b""
    if len(tag) < 8:
        raise ReadError(f"{name}: a compressed variable cannot be unpacked. Copy it again, or export it anew.")
    announced = struct.unpack(f"{order}II", tag)[1]
    if announced > _MAX_RATIO * n_bytes + 8:
        raise ReadError(
            f"{name}: a variable of {n_bytes} bytes claims to unpack to {announced / 1e9:.1f} GB, which cannot be. "
            "The file is damaged: export it anew."
        )
    check_memory(announced // 8, name, n_bytes)


def check_hdf5(file: h5py.File, name: str, group: str = "/") -> None:
    """Check the links of an HDF5 file, and the sizes of a group."""
    claimed, stored = claimed_bytes(file, name, group)
    check_memory(claimed // 8, name, stored)
