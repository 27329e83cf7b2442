"""Small files that claim much: refused before memory is used, in every format that can hold such a claim."""

from __future__ import annotations

import os
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import edfio
import h5py
import numpy as np
import pytest
import xarray as xr
from mne.io.constants import FIFF

import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording.read import read_person
from hyperscan.results import read_synchrony

#: Bytes that a bomb claims, of which a reader would use twice as much or more.
CLAIMED = 480_000_000


def packed(path: Path, *, written: bool) -> None:
    """A SNIRF file whose data are one packed chunk of zeros many times, or chunks that were never written."""
    make.write_snirf(path, 1)
    shape = (CLAIMED // 8 // 50, 50)
    with h5py.File(path, "a") as file:
        block = file["nirs/data1"]
        del block["dataTimeSeries"], block["time"]
        series = block.create_dataset("dataTimeSeries", shape, "<f8", chunks=(10_000, 50), compression="gzip")
        if written:
            chunk = zlib.compress(bytes(8 * 10_000 * 50))
            for start in range(0, shape[0], 10_000):
                series.id.write_direct_chunk((start, 0), chunk)
        block["time"] = np.array([0.0, 0.1])


def matlab(path: Path) -> None:
    """An EEGLAB file with a packed variable of zeros that is much larger than it."""
    make.write_set(path, 1)
    inner = struct.pack("<II", 14, CLAIMED) + struct.pack("<IIII", 6, 8, 6, 0)
    packer = zlib.compressobj(1)
    content = packer.compress(inner) + b"".join(packer.compress(bytes(10**7)) for _ in range(CLAIMED // 10**7))
    content += packer.flush()
    path.write_bytes(path.read_bytes() + struct.pack("<II", 15, len(content)) + content)


def mixed_rates(path: Path) -> None:
    """An EDF or BDF file in which one channel has very many samples, to which the reader brings all others."""
    rng, seconds = np.random.default_rng(1), 10
    many = edfio.EdfSignal(rng.standard_normal(30_000 * seconds), 30_000, label="Oz", physical_dimension="uV")
    few = [
        edfio.EdfSignal(rng.standard_normal(seconds), 1, label=f"E{k}", physical_dimension="uV")
        for k in range(CLAIMED // (8 * 30_000 * seconds))
    ]
    edfio.Edf([many, *few], data_record_duration=1).write(path)


def skips(path: Path) -> None:
    """A FIF file that says how many buffers were left out between two."""
    make.write_fif(path, 1)
    content, at, met = path.read_bytes(), 0, 0
    while met < 1:
        kind, _, n_bytes, _ = struct.unpack_from(">iiii", content, at)
        at += 16 + n_bytes
        met += kind == FIFF.FIFF_DATA_BUFFER
    length = n_bytes // 4
    skip = struct.pack(">iiiii", FIFF.FIFF_DATA_SKIP, FIFF.FIFFT_INT, 4, 0, CLAIMED // 8 // length)
    path.write_bytes(content[:at] + skip + content[at:])


def pause(path: Path) -> None:
    """An XDF stream of a very high rate with a pause."""
    stamps = np.concatenate([np.arange(500) / 5000.0, 3000 + np.arange(500) / 5000.0])
    make.write_xdf(path, [make.xdf_person(1, "A", stamps, rate=5000.0)])


def cut_claim(path: Path) -> None:
    """An XDF file that ends within a chunk of samples, whose number is as large as can be."""
    make.write_xdf(path, [make.xdf_person(1, "A", np.arange(200) / 100.0)], footer=False)
    head = path.read_bytes()
    samples = struct.pack("<H", 3) + struct.pack("<I", 1) + b"\x08" + struct.pack("<Q", CLAIMED // 8)
    path.write_bytes(head + b"\x08" + struct.pack("<Q", 50 * CLAIMED) + samples)


def gap(path: Path) -> None:
    """A discontinuous EDF file whose last record was taken a month later."""
    make.write_edf(path, 1, annotations=[(1.0, "x")])
    content = bytearray(path.read_bytes())
    content[192:197] = b"EDF+D"
    last = content.rfind(b"+19\x14\x14")
    assert last > 0
    content[last : last + 10] = b"+999999\x14\x14\x00"
    path.write_bytes(content)


def saved(path: Path) -> None:
    """Results of a session as they should be."""
    xr.Dataset({"roi_z": ("roi_pair", [0.1])}, coords={"roi_pair": ["all-all"]}).to_netcdf(path, engine="netcdf4")


def results(path: Path) -> None:
    """A session's results that claim more than they hold."""
    saved(path)
    with h5py.File(path, "a") as file:
        file.create_dataset("value", (CLAIMED // 8,), "<f8", chunks=(10**6,), compression="gzip")


BOMBS: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "SNIRF, packed": ("t.snirf", "fnirs", lambda path: packed(path, written=True)),
    "SNIRF, never written": ("t.snirf", "fnirs", lambda path: packed(path, written=False)),
    "EEGLAB": ("t.set", "eeg", matlab),
    "EDF": ("t.edf", "eeg", mixed_rates),
    "EDF+D": ("t.edf", "eeg", gap),
    "FIF": ("t-raw.fif", "eeg", skips),
    "XDF, pause": ("t.xdf", "eeg", pause),
    "XDF, cut": ("t.xdf", "eeg", cut_claim),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_claims_much_is_refused_before_memory_is_used(tmp_path: Path, name: str) -> None:
    file, modality, write = BOMBS[name]
    write(tmp_path / file)
    assert (tmp_path / file).stat().st_size < CLAIMED / 100
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ReadError) as caught:
        read_person(tmp_path / file, None, modality=modality, name=file)
    make.check_message(caught.value, tmp_path, file, "GB")
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < CLAIMED / 4


def external(path: Path) -> None:
    """Results whose numbers are the bytes of a file elsewhere."""
    saved(path)
    (path.parent / "secret").write_bytes(bytes(80))
    with h5py.File(path, "a") as file:
        file.create_dataset("value", (10,), "<f8", external=[(str(path.parent / "secret"), 0, 80)])


def linked(path: Path) -> None:
    """Results with a part that is a link to another file."""
    saved(path)
    saved(path.with_name("elsewhere.nc"))
    with h5py.File(path, "a") as file:
        file["value"] = h5py.ExternalLink("elsewhere.nc", "/roi_z")


RESULTS: dict[str, Callable[[Path], object]] = {
    "more than 100 times as much": results,
    "in another file": external,
    "is a link": linked,
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "cannot be read as netCDF": lambda path: path.write_bytes(b"CDF\x01" + bytes(100)),
}


@pytest.mark.parametrize("words", RESULTS)
def test_results_of_others_neither_wait_nor_lead_elsewhere_nor_fill_the_memory(tmp_path: Path, words: str) -> None:
    RESULTS[words](tmp_path / "x.nc")
    with pytest.raises(ReadError) as caught:
        read_synchrony(tmp_path / "x.nc")
    make.check_message(caught.value, tmp_path, "x.nc", words)
