"""Persyst and Nicolet: what their headers tell, in any order and spelling, and nothing that they need not tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import format_fixtures as rare
import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording.read import read_person
from hyperscan.recording.records import PersonRecording

NAMES = ["FZ", "CZ", "PZ", "OZ"]


def read(path: Path) -> PersonRecording:
    return read_person(path, None, modality="eeg", name=path.name)


def changed(path: Path, old: str, new: str, encoding: str = "utf-8") -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_bytes(text.replace(old, new).encode(encoding))


def persyst(root: Path, old: str = "", new: str = "", encoding: str = "utf-8") -> Path:
    path = rare.write_persyst(root / "t.lay", 3)
    changed(path, old, new, encoding)
    return path


def nicolet(root: Path, old: str = "", new: str = "") -> Path:
    path = rare.write_nicolet(root / "t.data", 3)
    changed(path.with_suffix(".head"), old, new)
    return path


def check(found: PersonRecording, names: list[str]) -> None:
    raw = found.data
    assert raw.ch_names == names
    assert raw.info["sfreq"] == 100.0
    np.testing.assert_allclose(raw.get_data(), make.noise(3), atol=6e-9)


#: A person whom nobody may know, in every way that an export may leave out.
NOBODY = {
    "no birth date": ("BirthDate=01-01-90\n", ""),
    "no sex": ("Sex=F\n", ""),
    "an empty sex": ("Sex=F", "Sex="),
    "no hand": ("Hand=R\n", ""),
    "a date of another form": ("BirthDate=01-01-90", "BirthDate=1990.01.01"),
}


@pytest.mark.parametrize(("old", "new"), NOBODY.values(), ids=NOBODY)
def test_persyst_need_not_tell_who_it_was(tmp_path: Path, old: str, new: str) -> None:
    found = read(persyst(tmp_path, old, new))
    check(found, NAMES)
    assert found.data.info["meas_date"].isoformat() == "2024-03-01T10:00:00+00:00"


@pytest.mark.parametrize("written", ["", "TestDate=\nTestTime=", "TestDate=soon\nTestTime=10:00:00"])
def test_persyst_need_not_tell_when_it_was(tmp_path: Path, written: str) -> None:
    found = read(persyst(tmp_path, "TestDate=01-03-2024\nTestTime=10:00:00", written))
    check(found, NAMES)
    assert found.data.info["meas_date"] is None


def test_persyst_channels_are_those_of_their_numbers(tmp_path: Path) -> None:
    # the lines stand in another order than the values
    check(read(persyst(tmp_path, "Fz-Ref=1\nCz-Ref=2", "Cz-Ref=2\nFz-Ref=1")), NAMES)


@pytest.mark.parametrize("number", ["1", "5", "x"])
def test_persyst_channels_without_a_place_are_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(ReadError) as caught:
        read(persyst(tmp_path, "Cz-Ref=2", f"Cz-Ref={number}"))
    make.check_message(caught.value, tmp_path, "t.lay", "[ChannelMap]")


def test_persyst_values_begin_behind_the_header(tmp_path: Path) -> None:
    path = persyst(tmp_path, "HeaderLength=0", "HeaderLength=80")
    data = path.with_suffix(".dat")
    data.write_bytes(bytes(80) + data.read_bytes())
    check(read(path), NAMES)


def test_persyst_names_and_paths_of_windows(tmp_path: Path) -> None:
    path = persyst(tmp_path, "File=t.dat", r"File=C:\recordings\t.dat")
    check(read(path.rename(tmp_path / "T.LAY")), NAMES)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_persyst_comments_are_events(tmp_path: Path, encoding: str) -> None:
    comments = "[Comments]\n2.5,0.0,0,100,M\u00fcller = da\n4.0,1.5,0,100,eins, zwei\n"
    marks = read(persyst(tmp_path, "[Comments]\n", comments, encoding)).data.annotations
    assert list(marks.onset) == [2.5, 4.0]
    assert list(marks.duration) == [0.0, 1.5]
    assert list(marks.description) == ["M\u00fcller = da", "eins, zwei"]


@pytest.mark.parametrize(
    ("write", "lost"), [(rare.write_persyst, "t.dat"), (rare.write_nicolet, "t.head")], ids=["Persyst", "Nicolet"]
)
def test_a_missing_part_is_named(tmp_path: Path, write: Callable[..., Path], lost: str) -> None:
    path = write(tmp_path / ("t.lay" if lost == "t.dat" else "t.data"), 3)
    (tmp_path / lost).unlink()
    with pytest.raises(ReadError) as caught:
        read(path)
    make.check_message(caught.value, tmp_path, path.name, Path(lost).suffix, "is not there")


#: Headers of Nicolet that tell the same in another way.
ALIKE = {
    "names last, without a line break": ("elec_names=[Fz,Cz,Pz,Oz]\npat_id=1\nadm_id=1\nrec_id=1\n",
                                         "pat_id=1\nadm_id=1\nrec_id=1\nelec_names=[Fz,Cz,Pz,Oz]"),
    "blanks behind commas": ("[Fz,Cz,Pz,Oz]", "[Fz, Cz, Pz, Oz]"),
    "a blank line": ("pat_id", "\npat_id"),
    "no fraction of a second": ("10:00:00.000", "10:00:00"),
    "spaces": ("num_samples=", "num_samples = "),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), ALIKE.values(), ids=ALIKE)
def test_nicolet_headers_that_tell_the_same_are_read_alike(tmp_path: Path, old: str, new: str) -> None:
    found = read(nicolet(tmp_path, old, new))
    check(found, list(make.CHANNELS))
    assert found.data.info["meas_date"].isoformat() == "2024-03-01T10:00:00+00:00"


def test_nicolet_need_not_tell_when_it_was_and_may_be_in_capitals(tmp_path: Path) -> None:
    path = nicolet(tmp_path, "start_ts=2024-03-01 10:00:00.000\n", "")
    for ending in (".head", ".data"):
        (tmp_path / f"t{ending}").rename(tmp_path / f"T{ending.upper()}")
    found = read(path.with_name("T.DATA"))
    check(found, list(make.CHANNELS))
    assert found.data.info["meas_date"] is None


def test_a_part_of_the_channels_and_of_the_time_is_that_part(tmp_path: Path) -> None:
    raw = read_person(nicolet(tmp_path), "2-3", modality="eeg", name="t.data").data
    np.testing.assert_allclose(raw.get_data(start=70, stop=90), make.noise(3)[1:3, 70:90], atol=6e-9)
