"""HDF5 files that others may have made: their texts end, their data are their own and no larger than they can be."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hyperscan.errors import ReadError
from hyperscan.storage import odd_kind

if TYPE_CHECKING:
    import h5py
    import xarray as xr

#: Data take at most so many times the bytes that are stored, where that is much (our choice): numbers of 16 bits take
#: 4 times as much, packed ones some 20 times. What claims more was made to fill the memory, or is damaged.
MAX_UNPACKED, MUCH_BYTES = 100, 300_000_000

#: Signature and version of a global heap collection, with its three reserved bytes.
_HEAP = b"GCOL\x01\0\0\0"


def load_dataset(path: Path) -> xr.Dataset:
    """Read a netCDF file into memory; one that would wait, lead elsewhere or fill the memory is refused."""
    import h5py
    import xarray as xr

    name = path.name
    if odd_kind(path):  # the library would wait for ever, where no signal reaches it
        raise ReadError(f"{name}: is {odd_kind(path)}, no file. Name a file of SynchronyResult.save.")
    try:
        check_heaps(path, name)
        with h5py.File(path, "r") as file:
            claimed, stored = claimed_bytes(file, name)
        check_unpacked(claimed, stored, name)
        return xr.load_dataset(path, engine="netcdf4")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ReadError(
            f"{name}: cannot be read as netCDF ({type(error).__name__}). Name a file of SynchronyResult.save."
        ) from error


def gigabytes(n_bytes: int) -> str:
    """Say an amount of memory; a damaged header may claim any."""
    return f"{n_bytes / 1e9:.1f} GB" if 0 <= n_bytes < 10**15 else "an impossible number of GB"


def check_unpacked(claimed: int, stored: int, name: str) -> None:
    """Refuse data that claim to be far larger than what is stored of them, before memory is asked for."""
    if claimed > max(MUCH_BYTES, MAX_UNPACKED * stored):
        raise ReadError(
            f"{name}: {stored / 1e6:.1f} MB would unpack to {gigabytes(claimed)}, more than {MAX_UNPACKED} times as "
            "much. The file is damaged, or made to fill the memory: check it, or export it without compression."
        )


def claimed_bytes(file: h5py.File, name: str, group: str = "/") -> tuple[int, int]:
    """Add up the bytes that a group's data claim and those that are stored; data that lie elsewhere are refused."""
    import h5py
    import numpy as np

    claimed = stored = 0
    for where, item in _items(file, "", set(), name):
        if not isinstance(item, h5py.Dataset):
            continue
        if item.is_virtual or item.external:
            raise ReadError(
                f"{name}: {where[:60]} keeps its data in another file. Write the file again with its own data."
            )
        if f"{where}/".startswith(group.rstrip("/") + "/"):
            claimed += int(np.prod(item.shape or (1,), dtype=object)) * item.dtype.itemsize
            stored += int(item.id.get_storage_size())
    return claimed, stored


def check_heaps(path: Path, name: str) -> None:
    """Walk the collections that hold texts: the HDF5 library runs in a circle on one whose sizes are damaged."""
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
    import h5py

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
