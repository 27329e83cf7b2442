"""BrainVision recordings: parts, lengths, units, text forms and V-Amp."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import DataQualityWarning
from hyperscan.recording.files.brainvision import check_brainvision, read_brainvision_header
from hyperscan.recording.files.eeg import NO_LENGTH
from hyperscan.recording.read import read_person


def test_brainvision_parts(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1)
    (good / "t.vmrk").unlink()
    make.refused(good, "t.vhdr", "c-raw.fif", "marker file", ".vmrk")
    make.write_brainvision(good / "t.vhdr", 1)
    (good / "t.eeg").unlink()
    make.refused(good, "t.vhdr", "c-raw.fif", "data file", ".eeg")
    make.write_brainvision(good / "t.vhdr", 1)
    header = (good / "t.vhdr").read_text(encoding="utf-8")
    first, second = re.findall(r"^Ch[0-9]+=([^,]+),", header, re.MULTILINE)[:2]
    same_place = "\n[Coordinates]\nCh1=1,90,45\nCh2=1,90,45\n"
    (good / "t.vhdr").write_text(header + same_place, encoding="utf-8")
    header_read = read_brainvision_header(good / "t.vhdr", "t.vhdr")
    assert check_brainvision(header_read, "t.vhdr") == (f"t.vhdr: {NO_LENGTH}",), "places are no names"
    (good / "t.vhdr").write_text(header.replace(f"Ch2={second},", f"Ch2={first},"), encoding="utf-8")
    make.refused(
        good, "t.vhdr", "c-raw.fif", f"1 channel name stands there twice ('{first}')", "Give each its own name"
    )
    make.write_brainvision(good / "other.vhdr", 1)
    shutil.copy(good / "other.vhdr", good / "t.vhdr")
    make.refused(good, "t.vhdr", "c-raw.fif", "another name", "renamed copy")


def test_brainvision_cut_at_a_frame(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1)
    text = (good / "t.vhdr").read_text(encoding="utf-8")
    (good / "t.vhdr").write_text(
        text.replace("NumberOfChannels=4", "NumberOfChannels=4\r\nDataPoints=2000"), encoding="utf-8"
    )
    (good / "t.eeg").write_bytes((good / "t.eeg").read_bytes()[: 1000 * 16])
    make.refused(good, "t.vhdr", "c-raw.fif", "t.vhdr", "10.0 of 20.0 s", "Copy it again")


def brainvision(path: Path, units: list[str], *, encoding: str = "utf-8") -> Path:
    """Write a BrainVision recording with these units."""
    make.write_brainvision(path, 1)
    text = path.read_text(encoding="utf-8")
    for k, unit in enumerate(units):
        text = text.replace(f"={make.CHANNELS[k]},,1,\u00b5V", f"={make.CHANNELS[k]},,1,{unit}")
    path.write_text(text.replace("Codepage=UTF-8\n", "Codepage=UTF-8\n" * (encoding == "utf-8")), encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("units", "factors"),
    [
        (["\u03bcV"] * 4, [1.0] * 4),
        (["\u03bcV", "\u00b5V", "uV", ""], [1.0] * 4),
        (["mV", "\u03bcV", "microvolts", "UV"], [1e3, 1.0, 1.0, 1.0]),
        (["nV", "V", "\u00b5V", "\u03bcV"], [1e-3, 1e6, 1.0, 1.0]),
    ],
)
def test_units_of_brainvision(tmp_path: Path, units: list[str], factors: list[float]) -> None:
    plain = read_person(make.write_brainvision(tmp_path / "p.vhdr", 1), None, modality="eeg", name="p.vhdr").data
    found = read_person(brainvision(tmp_path / "t.vhdr", units), None, modality="eeg", name="t.vhdr").data
    assert set(found.get_channel_types()) == {"eeg"}
    np.testing.assert_allclose(found.get_data(), plain.get_data() * np.array(factors)[:, None], rtol=1e-6)


@pytest.mark.parametrize("unit", ["counts", "n/a", "C"])
def test_a_unit_of_brainvision_that_is_not_known_is_named(tmp_path: Path, unit: str) -> None:
    file = brainvision(tmp_path / "t.vhdr", ["uV", unit, unit])
    with pytest.warns(DataQualityWarning, match="the unit of 2 channels"):
        read_person(file, None, modality="eeg", name="t.vhdr")


def test_text_data_of_brainvision(tmp_path: Path) -> None:
    plain = read_person(make.write_brainvision(tmp_path / "p.vhdr", 1), None, modality="eeg", name="p.vhdr").data
    file = make.write_brainvision(tmp_path / "t.vhdr", 1)
    text = file.read_text(encoding="utf-8").replace("DataFormat=BINARY", "DataFormat=ASCII")
    text = text.replace("[Binary Infos]", "[ASCII Infos]").replace(
        "BinaryFormat=IEEE_FLOAT_32", "DecimalSymbol=.\nSkipLines=1\nSkipColumns=0"
    )
    file.write_text(text, encoding="utf-8")
    rows = [" ".join(make.CHANNELS)] + [" ".join(f"{value:.6f}" for value in row) for row in 1e6 * plain.get_data().T]
    file.with_suffix(".eeg").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = read_person(file, None, modality="eeg", name="t.vhdr").data
    np.testing.assert_allclose(found.get_data(), plain.get_data(), atol=1e-11)


def test_text_data_in_rows_of_channels_is_not_called_damaged(good: Path) -> None:
    file = make.write_brainvision(good / "t.vhdr", 1)
    text = file.read_text(encoding="utf-8").replace("DataFormat=BINARY", "DataFormat=ASCII")
    file.write_text(text.replace("MULTIPLEXED", "VECTORIZED").replace("[Binary Infos]", "[ASCII Infos]"))
    make.refused(good, "t.vhdr", "c-raw.fif", "not supported: ", "channels in rows")


@pytest.mark.parametrize(
    "title",
    ["BrainVision V-Amp Data Header File Version 1.0", "Brain Vision V-Amp Data Header File, Version 1.0"],
)
def test_v_amp(good: Path, title: str) -> None:
    data = 1e6 * make.noise(3, 5)
    file = make.write_brainvision(good / "p.vhdr", 3, names=(*make.CHANNELS, "extra"), data=data)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[0] = title
    text = "\n".join(line for line in lines if "extra" not in line).replace("NumberOfChannels=5", "NumberOfChannels=4")
    (good / "t.ahdr").write_text(text.replace("p.vmrk", "t.amrk").replace("p.eeg", "t.eeg"), encoding="utf-8")
    marks = (good / "p.vmrk").read_text(encoding="utf-8").splitlines()
    marks[0] = title.replace("Header", "Marker")
    (good / "t.amrk").write_text("\n".join(marks).replace("p.eeg", "t.eeg"), encoding="utf-8")
    (good / "p.eeg").rename(good / "t.eeg")
    found = read_person(good / "t.ahdr", None, modality="eeg", name="t.ahdr").data
    assert found.ch_names == list(make.CHANNELS)
    np.testing.assert_allclose(found.get_data(), 1e-6 * data[:4], rtol=1e-5)
    assert "Stimulus/S  1" in found.annotations.description
    make.refused(good, "t.eeg", "c-raw.fif", ".ahdr")
    make.refused(good, "t.amrk", "c-raw.fif", ".ahdr")


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ("UseBigEndianOrder=YES", "big-endian"),
        ("DataType=FREQUENCYDOMAIN", "spectra"),
        ("DataType=TIMEFREQUENCYDOMAIN", "spectra over time"),
        ("Averaged=YES", "average"),
    ],
)
def test_what_is_no_course_over_time_or_of_another_byte_order_is_refused(good: Path, entry: str, word: str) -> None:
    # the reader takes both for little-endian samples over time
    make.write_brainvision(good / "t.vhdr", 1)
    text = (good / "t.vhdr").read_text(encoding="utf-8")
    (good / "t.vhdr").write_text(text.replace("NumberOfChannels", f"{entry}\nNumberOfChannels", 1), encoding="utf-8")
    make.refused(good, "t.vhdr", "c-raw.fif", "not supported", word, entry)
