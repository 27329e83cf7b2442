"""HDF5 containers: damage, bombs, loops and links are met before a reader sees them."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.hdf5 import MAX_UNPACKED, MUCH_BYTES, check_unpacked, claimed_bytes, load_dataset


@pytest.mark.parametrize("place", ["nirs/data1/dataTimeSeries", "nirs/stim1/data", "nirs/aux1/dataTimeSeries"])
def test_hdf5_that_claims_more_than_memory(good: Path, place: str) -> None:
    make.write_snirf(good / "t.snirf", 1, stimuli=(3.0,))
    with h5py.File(good / "t.snirf", "a") as file:
        if place in file:
            del file[place]
        file.create_dataset(place, (10**12, 3), "f8", chunks=(1000, 3), compression="gzip")
    assert (good / "t.snirf").stat().st_size < 1e6
    make.refused(good, "t.snirf", "c.snirf", "t.snirf", "GB, more than", "memory", modality="fnirs")


def test_hdf5_loops_and_data_elsewhere(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        file["nirs/again"] = file["nirs"]
        file["nirs/probe/back"] = file["/"]
    assert make.load(good, "t.snirf", "c.snirf", "fnirs").therapist.n_times == 600
    (good / "secret.bin").write_bytes(bytes(8000))
    with h5py.File(good / "t.snirf", "a") as file:
        del file["nirs/data1/time"]
        file["nirs/data1"].create_dataset("time", (600,), "f8", external=[(str(good / "secret.bin"), 0, 4800)])
    make.refused(good, "t.snirf", "c.snirf", "t.snirf", "another file", "its own data", modality="fnirs")


def test_hdf5_heap_that_leads_in_a_circle(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    content = bytearray((good / "t.snirf").read_bytes())
    start = content.index(b"GCOL")
    content[start + 24 : start + 32] = struct.pack("<Q", 2**64 - 16)
    (good / "t.snirf").write_bytes(content)
    make.refused(good, "t.snirf", "c.snirf", "t.snirf", "damaged", "Copy it again", modality="fnirs")


def test_what_a_group_claims_and_stores_is_counted_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a/x", (1000, 3), "f8", chunks=(100, 3), compression="gzip")
        file["a/y"] = np.zeros(10, "i2")
        file["b/z"] = np.zeros(7, "f8")
        file["b/again"] = file["a"]
        assert claimed_bytes(file, "x.h5") == (24_000 + 20 + 56, 20 + 56)
        assert claimed_bytes(file, "x.h5", "a") == (0, 0)  # a group is named by its whole path
        assert claimed_bytes(file, "x.h5", "/b") == (56, 56)


@pytest.mark.parametrize("link", [h5py.SoftLink("/a"), h5py.ExternalLink("other.h5", "/")])
def test_links_are_not_followed(tmp_path: Path, link: object) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"], file["b"] = np.zeros(3), link
        with pytest.raises(ReadError, match=r"x.h5: /b is a link to another place"):
            claimed_bytes(file, "x.h5")


def test_little_data_may_unpack_to_anything_and_much_to_a_hundred_times() -> None:
    check_unpacked(MUCH_BYTES, 1, "x")
    check_unpacked(MAX_UNPACKED * MUCH_BYTES, MUCH_BYTES, "x")
    with pytest.raises(ReadError, match="more than 100 times as much"):
        check_unpacked(MUCH_BYTES + 1, 1, "x")


@pytest.mark.parametrize("content", [b"", b"no netCDF", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_netcdf_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.nc").write_bytes(content)
    with pytest.raises(ReadError, match=r"x.nc: cannot be read as netCDF"):
        load_dataset(tmp_path / "x.nc")
