"""GDF: units of any size, events at a rate of their own, and what was cut off."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

import format_fixtures as rare
import recording_fixtures as make
from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording.files.gdf import read_gdf_events, read_gdf_header
from hyperscan.recording.read import read_person
from hyperscan.recording.records import PersonRecording

#: Codes of GDF 2, and how many of the unit a microvolt is.
UNITS = {"V": (4256, 1e-6), "mV": (4274, 1e-3), "uV": (4275, 1.0), "nV": (4276, 1e3)}


def read(path: Path) -> PersonRecording:
    return read_person(path, None, modality="eeg", name=path.name)


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_every_unit_of_volts_is_read(tmp_path: Path, unit: tuple[int, float]) -> None:
    path = rare.write_gdf(tmp_path / "t.gdf", 3, unit=unit)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataQualityWarning)
        found = read(path)
    np.testing.assert_allclose(found.data.get_data(), make.noise(3), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("code", [0, 512, 6048])
def test_a_unit_that_is_not_told_or_none_of_volts_is_warned_of(tmp_path: Path, code: int) -> None:
    path = rare.write_gdf(tmp_path / "t.gdf", 3, unit=(code, 1e-6))
    with pytest.warns(DataQualityWarning, match="unit of 4 channels"):
        read(path)


def write_first(path: Path, unit: bytes, per_microvolt: float) -> Path:
    """Write a GDF 1.25 file of 16-bit numbers, four channels, 100 Hz, one event."""
    data = per_microvolt * rare.microvolts(3)
    high, n = 500 * per_microvolt, len(data)
    head = b"GDF 1.25".ljust(168) + b"2024030110000000" + struct.pack("<q", 256 * (n + 1))
    head = head.ljust(236, b"\0") + struct.pack("<qIII", 20, 1, 1, n)
    head += b"".join(name.encode().ljust(16) for name in make.CHANNELS) + bytes(80 * n) + unit.ljust(8) * n
    head += struct.pack(f"<{2 * n}d", *[-high] * n, *[high] * n) + struct.pack(
        f"<{2 * n}q", *[-32768] * n, *[32767] * n
    )
    head += bytes(80 * n) + struct.pack(f"<{2 * n}I", *[100] * n, *[3] * n) + bytes(32 * n)
    assert len(head) == 256 * (n + 1)
    steps = np.rint((data + high) / (2 * high) * 65535 - 32768).astype("<i2")
    records = steps.reshape(n, 20, 100).transpose(1, 0, 2)
    table = b"\x01" + (100).to_bytes(3, "little") + struct.pack("<IIH", 1, 501, 769)
    path.write_bytes(head + records.tobytes() + table)
    return path


@pytest.mark.parametrize(
    ("unit", "per_microvolt"), [(b"uV", 1.0), ("\u00b5V".encode("latin-1"), 1.0), (b"mV", 1e-3), (b"V", 1e-6)]
)
def test_units_of_the_first_version_are_read(tmp_path: Path, unit: bytes, per_microvolt: float) -> None:
    found = read(write_first(tmp_path / "t.gdf", unit, per_microvolt)).data
    np.testing.assert_allclose(found.get_data(), make.noise(3), atol=1e-8)
    assert [(float(onset), str(text)) for onset, text in zip(found.annotations.onset, found.annotations.description,
                                                             strict=True)] == [(5.0, "769")]  # fmt: skip


def test_events_are_placed_by_the_rate_of_their_table(tmp_path: Path) -> None:
    # counted at 1000 Hz, the signal has 100
    path = rare.write_gdf(tmp_path / "t.gdf", 3, pulses=[5000, 12000], event_rate=1000.0)
    assert list(read(path).data.annotations.onset) == [5.0, 12.0]


def test_a_table_without_a_rate_counts_samples(tmp_path: Path) -> None:
    path = rare.write_gdf(tmp_path / "t.gdf", 3)
    content = bytearray(path.read_bytes())
    header = read_gdf_header(path, "t.gdf")
    content[header.table + 4 : header.table + 8] = bytes(4)
    path.write_bytes(bytes(content))
    assert list(read_gdf_events(path, header, "t.gdf").onset) == [5.0, 12.0]


@pytest.mark.parametrize("lost", [1, 9, 17])
def test_a_table_of_events_that_was_cut_off_is_refused(tmp_path: Path, lost: int) -> None:
    path = rare.write_gdf(tmp_path / "t.gdf", 3)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(ReadError) as caught:
        read(path)
    make.check_message(caught.value, tmp_path, "t.gdf", "its table of events holds")


def test_records_that_are_missing_are_told_in_seconds(tmp_path: Path) -> None:
    path = rare.write_gdf(tmp_path / "t.gdf", 3)
    header = read_gdf_header(path, "t.gdf")
    path.write_bytes(path.read_bytes()[: header.header_bytes + 5 * header.record_bytes + 7])
    with pytest.raises(ReadError) as caught:
        read(path)
    make.check_message(caught.value, tmp_path, "t.gdf", "holds 5.0 of 20.0 s")
