"""MATLAB and HDF5 files: whole, of a size that fits, without links to elsewhere, before a reader sees them."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from hyperscan.errors import ReadError
from hyperscan.recording.boundary import check_memory
from hyperscan.recording.matlab import MATRIX, Element, MalformedError, check_matrix

#: Kind of the element that holds a compressed one (MATLAB level 5 MAT-file format).
_COMPRESSED = 15
#: zlib makes no more of a byte than this (zlib technical notes).
_MAX_RATIO = 1032
#: Signature and version of a global heap collection, with its three reserved bytes.
_HEAP = b"GCOL\x01\0\0\0"


def check_matlab(path: Path, name: str) -> None:
    """Check that every variable of a MAT-file is there to its last byte, and that memory holds it.

    A reader that is asked for one variable does not notice when a later one is cut off.

    Parameters
    ----------
    path : Path
        File.
    name : str
        The path as messages show it.

    Raises
    ------
    ReadError
        If the last variable was cut off, a variable unpacks to more than memory holds, or a file of level 7.3
        refers to other files.
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
                _check_array(file, Element(MATRIX, at + 8, at + 8 + n_bytes), order, name)
            at += 8 + n_bytes
    if at != size:
        raise ReadError(f"{name}: is cut off: its last variable is incomplete. Copy it again, or export it anew.")


def _check_array(file: BinaryIO, array: Element, order: str, name: str) -> None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
        try:
            check_matrix(data, array, order)
        except MalformedError:
            raise ReadError(
                f"{name}: a variable is damaged: its parts are not of the kinds and sizes that they announce. "
                "Copy it again, or export it anew."
            ) from None


def _check_unpacked(file: BinaryIO, n_bytes: int, order: str, name: str) -> None:
    """Unpack a few bytes of an element, which say how long it is."""
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
    check_memory(announced // 8, name)


def check_hdf5(file: h5py.File, name: str, group: str = "/") -> None:
    """Check the links and sizes of an HDF5 file.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    name : str
        The path as messages show it.
    group : str
        Group to weigh; links are looked at everywhere.

    Raises
    ------
    ReadError
        If a link leads to another place, data lie in another file, or the group is larger than memory.
    """
    n_bytes = 0
    for where, item in _items(file, "", set(), name):
        if not isinstance(item, h5py.Dataset):
            continue
        if item.is_virtual or item.external:
            raise ReadError(
                f"{name}: {where[:60]} keeps its data in another file. Write the file again with its own data."
            )
        if f"{where}/".startswith(group.rstrip("/") + "/"):
            n_bytes += int(np.prod(item.shape or (1,), dtype=object)) * item.dtype.itemsize
    check_memory(n_bytes // 8, name)


def check_heaps(path: Path, name: str) -> None:
    """Walk the collections that hold texts: the HDF5 library runs in a circle on one whose sizes are damaged.

    Parameters
    ----------
    path : Path
        HDF5 file. Layout: HDF5 file format specification 3.0, section III.E.
    name : str
        The path as messages show it.

    Raises
    ------
    ReadError
        If a size leads nowhere or out of its collection.
    """
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_HEAP)
        while start >= 0:
            stop = start + int.from_bytes(content[start + 8 : start + 16], "little")
            at = start + 16
            while at + 16 <= min(stop, len(content)):
                index, n_bytes = int.from_bytes(content[at : at + 2], "little"), content[at + 8 : at + 16]
                held = int.from_bytes(n_bytes, "little")
                # object 0 is the free space at the end, whose size counts its own header
                step = held if index == 0 else 16 + -(-held // 8) * 8
                if step < 16 or at + step > stop:
                    raise ReadError(
                        f"{name}: a collection of texts in it is damaged. Copy it again, or export it anew."
                    )
                at += step
            start = content.find(_HEAP, start + 16)


def _items(group: h5py.Group, prefix: str, seen: set[tuple[int, int]], name: str) -> Iterator[tuple[str, object]]:
    """Walk groups once each: hard links may form loops."""
    for key in group:
        where = f"{prefix}/{key}"
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise ReadError(
                f"{name}: {where[:60]} is a link to another place (HDF5 link), which is not followed. "
                "Write the file again with its own data."
            )
        item = group[key]
        info = h5py.h5o.get_info(item.id)
        if (info.fileno, info.addr) in seen:
            continue
        seen.add((info.fileno, info.addr))
        yield where, item
        if isinstance(item, h5py.Group):
            yield from _items(item, where, seen, name)
