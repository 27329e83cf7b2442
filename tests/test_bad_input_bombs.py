"""Small files that claim much: refused before memory is used, in every format that can hold such a claim."""

from __future__ import annotations

import json
import os
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import edfio
import h5py
import numpy as np
import pytest
import xarray as xr
from mne.io.constants import FIFF

import format_fixtures as formats
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


# ---- claims of headers: sizes, rates and names that cannot be


def header(old: str, new: str, *more: tuple[str, str], markers: str = "") -> Callable[[Path], None]:
    """A BrainVision recording with other words in its header, and a further marker."""

    def write(path: Path) -> None:
        make.write_brainvision(path, 1)
        text = path.read_text(encoding="utf-8")
        for before, after in ((old, new), *more):
            assert before in text
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
        beside = path.with_suffix(".vmrk")
        beside.write_text(f"{beside.read_text(encoding='utf-8')}{markers}\r\n", encoding="utf-8")

    return write


def table(line: str = "", **facts: object) -> Callable[[Path], None]:
    """A table of numbers with a further first line, and other facts in its sidecar."""

    def write(path: Path) -> None:
        formats.write_numbers(path, 1)
        path.write_text(line + path.read_text())
        beside = path.with_name("t_sidecar.json")
        beside.write_text(json.dumps(json.loads(beside.read_text()) | facts))

    return write


def field(at: int, text: str) -> Callable[[Path], None]:
    """An EDF file with another text in a field of 8 bytes."""

    def write(path: Path) -> None:
        make.write_edf(path, 1)
        content = bytearray(path.read_bytes())
        content[at : at + 8] = text.encode().ljust(8)
        path.write_bytes(content)

    return write


def fif_rate(rate: float) -> Callable[[Path], None]:
    """A FIF file of another sampling rate."""

    def write(path: Path) -> None:
        make.write_fif(path, 1)
        content = bytearray(path.read_bytes())
        at = content.find(struct.pack(">iii", FIFF.FIFF_SFREQ, FIFF.FIFFT_FLOAT, 4))
        content[at + 16 : at + 20] = struct.pack(">f", rate)
        path.write_bytes(content)

    return write


def xdf_of(rate: float, label: str = "Fz") -> Callable[[Path], None]:
    """An XDF file of another rate, or with another name of its first channel."""
    stamps = 100 + np.arange(200) / rate
    person = make.xdf_person(1, "A", stamps, rate=rate, labels=(label, *make.CHANNELS[1:]))
    return lambda path: make.write_xdf(path, [person]) and None


def eeglab_rate(rate: float) -> Callable[[Path], None]:
    return lambda path: make.write_set(path, 1, sfreq=rate, data=1e6 * make.noise(1)) and None


def snirf_step(seconds: float) -> Callable[[Path], None]:
    return lambda path: make.write_snirf(path, 1, times=seconds * np.arange(600)) and None


def homer_step(seconds: float) -> Callable[[Path], None]:
    return lambda path: make.write_nirs(path, 1, times=seconds * np.arange(600)) and None


def nicolet_rate(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        formats.write_nicolet(path, 1)
        beside = path.with_suffix(".head")
        beside.write_text(beside.read_text().replace("sample_freq=100", f"sample_freq={text}"))

    return write


_CHANNELS, _INTERVAL, _TEXT = "NumberOfChannels=4", "SamplingInterval=10000", ("DataFormat=BINARY", "DataFormat=ASCII")
_SKIP = "[ASCII Infos]\r\nDecimalSymbol=.\r\nSkipColumns=0\r\nSkipLines="
_RATE = "sampling rate of"

#: Name, how it is written, and what is said of it.
CLAIMS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "channels": ("t.vhdr", header(_CHANNELS, "NumberOfChannels=1000000000"), "1000000000 channels"),
    "channels, text": ("t.vhdr", header(_CHANNELS, "NumberOfChannels=1000000000", _TEXT), "1000000000 channels"),
    "no channels": ("t.vhdr", header(_CHANNELS, "NumberOfChannels=0"), "0 channels"),
    "channels below 0": ("t.vhdr", header(_CHANNELS, "NumberOfChannels=-4"), "-4 channels"),
    "lines": ("t.vhdr", header("[Binary Infos]", f"{_SKIP}99999999999\r\n[Binary Infos]", _TEXT), "lines to skip"),
    "points": ("t.vhdr", header(_CHANNELS, f"{_CHANNELS}\r\nDataPoints=9000000000"), "is cut off"),
    "points without end": ("t.vhdr", header(_CHANNELS, f"{_CHANNELS}\r\nDataPoints={'9' * 40}"), "is cut off"),
    "marker": ("t.vhdr", header("", "", markers="Mk3=Stimulus,S  1,9000000000,1,0"), "is cut off"),
    "marker of 5000 digits": ("t.vhdr", header("", "", markers=f"Mk3=Stimulus,S  1,{'9' * 5000},1,0"), "BrainVision"),
    "marker that lasts": ("t.vhdr", header("", "", markers=f"Mk3=Stimulus,S  1,700,{10**15},0"), "BrainVision"),
    "pause": ("t.vhdr", header("", "", markers="Mk3=New Segment,,1000,1,0,20250301100000000000"), "would unpack to"),
    "short interval": ("t.vhdr", header(_INTERVAL, "SamplingInterval=1e-300"), _RATE),
    "long interval": ("t.vhdr", header(_INTERVAL, "SamplingInterval=1e12"), _RATE),
    "name": ("t.vhdr", header("Ch1=Fz", f"Ch1={'F' * 1_000_000}"), "1000000 characters"),
    "wide": ("t.csv", table(f"{'0,' * 1_000_000}0\n"), "is not 1000001 numbers"),
    "names": ("t.csv", table(ChannelNames=[f"c{k}" for k in range(100_000)]), "names 100000 channels"),
    "name of a table": ("t.csv", table(ChannelNames=["F" * 1_000_000, *make.CHANNELS[1:]]), "1000000 characters"),
    "fast": ("t.csv", table(SamplingFrequency=1e7), "SamplingFrequency"),
    "slow": ("t.csv", table(SamplingFrequency=1e-9), _RATE),
    "EDF, records": ("t.edf", field(236, "99999999"), "is cut off"),
    "EDF, samples": ("t.edf", field(256 + 216 * 4, "99999999"), "holds no data record"),
    "EDF, short": ("t.edf", field(244, "1e-300"), _RATE),
    "EDF, long": ("t.edf", field(244, "1e300"), _RATE),
    "FIF, fast": ("t-raw.fif", fif_rate(1e30), _RATE),
    "FIF, slow": ("t-raw.fif", fif_rate(1e-30), _RATE),
    "EEGLAB, fast": ("t.set", eeglab_rate(1e300), _RATE),
    "EEGLAB, slow": ("t.set", eeglab_rate(1e-3), _RATE),
    "XDF, fast": ("t.xdf", xdf_of(1e9), _RATE),
    "XDF, slow": ("t.xdf", xdf_of(1e-2), _RATE),
    "XDF, name": ("t.xdf", xdf_of(100.0, "F" * 1_000_000), "1000000 characters"),
    "SNIRF, slow": ("t.snirf", snirf_step(1e6), "samples per s"),
    "SNIRF, fast": ("t.snirf", snirf_step(1e-9), "samples per s"),
    "Homer, slow": ("t.nirs", homer_step(1e6), _RATE),
    "Homer, fast": ("t.nirs", homer_step(1e-9), _RATE),
    "Nicolet, fast": ("t.data", nicolet_rate("1e300"), _RATE),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_cannot_be_is_the_files_fault_and_costs_nothing(tmp_path: Path, name: str) -> None:
    file, write, words = CLAIMS[name]
    modality = "fnirs" if file in ("t.snirf", "t.nirs") else "eeg"
    write(tmp_path / file)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ReadError) as caught:
        read_person(tmp_path / file, None, modality=modality, name=file)
    make.check_message(caught.value, tmp_path, file, words)
    assert type(caught.value) is ReadError  # a larger machine would not help
    assert time.process_time() - began < 5
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
