"""EEG files: what was written comes out, at its time, and damage is refused."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest

import format_fixtures as rare
import recording_fixtures as make
from hyperscan.errors import (
    DataQualityWarning,
    ReadError,
)
from hyperscan.recording import PairedRecording, align_pair, load_session
from hyperscan.recording.files.eeg import NO_LENGTH, check_brainvision, read_brainvision_header
from hyperscan.study.formats import recognise

WRITERS = {
    "t-raw.fif": make.write_fif,
    "t.edf": make.write_edf,
    "t.bdf": make.write_edf,
    "t.vhdr": make.write_brainvision,
    "t.set": make.write_set,
}


@pytest.mark.parametrize("file", WRITERS)
def test_eeg_formats_give_the_samples_that_were_written(good: Path, file: str) -> None:
    WRITERS[file](good / file, 3)
    pair = make.load(good, file, "c-raw.fif")
    n = min(pair.therapist.n_times, 2000)
    assert n >= 1999
    assert tuple(pair.therapist.ch_names) == make.CHANNELS
    assert pair.therapist.info["sfreq"] == 100.0
    np.testing.assert_allclose(pair.therapist.get_data()[:, :n], make.noise(3)[:, :n], atol=2e-9)
    assert pair.clock is None
    assert pair.segments[0].duration_s == pytest.approx(20.0, abs=0.02)


def test_set_with_fdt(good: Path) -> None:
    make.write_set(good / "t.set", 3, fdt=True)
    np.testing.assert_allclose(make.load(good, "t.set", "c-raw.fif").therapist.get_data(), make.noise(3), atol=1e-9)


def test_up_to_one_percent_may_be_missing(good: Path) -> None:
    make.write_edf(good / "t.edf", 2, seconds=200)
    content = (good / "t.edf").read_bytes()
    (good / "t.edf").write_bytes(content[: -1 * 400 * 2 // 2 - 10])
    with pytest.warns(DataQualityWarning, match="another number of records"):
        pair = make.load(good, "t.edf", "c-raw.fif")
    assert 198.0 <= pair.therapist.n_times / 100.0 < 200.0
    assert any("are missing" in note for note in pair.history)


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


def test_set_without_fdt(good: Path) -> None:
    make.write_set(good / "t.set", 1, fdt=True)
    content = (good / "t.fdt").read_bytes()
    (good / "t.fdt").write_bytes(content[:-400])
    make.refused(good, "t.set", "c-raw.fif", ".fdt", "cut off")
    (good / "t.fdt").unlink()
    make.refused(good, "t.set", "c-raw.fif", ".fdt", "not there")


def test_missing_part_of_a_split_fif(good: Path) -> None:
    raw = make.eeg_raw(1, sfreq=1000.0, seconds=400.0)
    raw.save(good / "t-raw.fif", split_size="3MB", overwrite=True, verbose="ERROR")
    parts = sorted(good.glob("t-raw-*.fif"))
    assert parts
    whole = make.load(good, "t-raw.fif", "c-raw.fif").therapist
    assert whole.n_times == 400_000
    parts[0].unlink()
    make.refused(good, "t-raw.fif", "c-raw.fif", "one of several parts", "(t-raw-1.fif)", "Copy all parts")


def test_evoked_is_refused(good: Path) -> None:
    raw = make.eeg_raw(1)
    mne.EvokedArray(raw.get_data(), raw.info, verbose="ERROR").save(good / "t-ave.fif", verbose="ERROR")
    make.refused(good, "t-ave.fif", "c-raw.fif", "evoked")


def test_a_zero_byte_in_a_channel_name_is_damage(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    content = bytearray((good / "t.edf").read_bytes())
    content[content.index(b"Cz  ") + 5] = 0  # one bit of a blank
    (good / "t.edf").write_bytes(content)
    make.refused(good, "t.edf", "c-raw.fif", "channel 2", "zero byte")


def _what_it_says(root: Path) -> Exception | None:
    try:
        make.load(root, "t.edf", "c-raw.fif")
    except (ReadError, DataQualityWarning) as said:
        return said
    return None


def test_damaged_header_bytes_never_end_in_a_traceback(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    content = (good / "t.edf").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        flipped = bytearray(content)
        flipped[int(rng.integers(8, 1500))] ^= 1 << int(rng.integers(8))
        (good / "t.edf").write_bytes(flipped)
        said = _what_it_says(good)
        assert said is None or "t.edf" in str(said)
        if isinstance(said, ReadError):
            make.check_message(said, good, "t.edf")


def test_edf_plus_d_gaps_are_opened(good: Path) -> None:
    make.write_edf(good / "t.edf", 1, annotations=[(0.5, "a"), (14.5, "b")])
    content = (good / "t.edf").read_bytes().replace(b"EDF+C", b"EDF+D", 1)
    # the records from 10 s on begin 4 s later
    for k in reversed(range(10, 20)):
        content = content.replace(f"+{k}\x14\x14".encode(), f"+{k + 4}\x14\x14".encode())
    (good / "t.edf").write_bytes(content)
    raw = make.load(good, "t.edf", "c-raw.fif").therapist
    assert raw.n_times == 2400
    marks = raw.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert (gap["onset"], gap["duration"]) == (pytest.approx(10.0), pytest.approx(4.0))
    np.testing.assert_allclose(raw.get_data()[:, 1400:], make.noise(1)[:, 1000:], atol=2e-9)


RARE: dict[str, Callable[..., Path]] = {"t.raw": rare.write_egi, "t.gdf": rare.write_gdf, "t.cnt": rare.write_cnt}


EVENTS = {"t.raw": "DIN1", "t.gdf": "769", "t.cnt": "7"}


def read_alone(root: Path, file: str, **changes: object) -> PairedRecording:
    make.write_fif(root / "c-raw.fif", 99)
    return load_session(make.session(root, file, "c-raw.fif", **changes))


def refused_alone(root: Path, file: str, *words: str) -> None:
    with pytest.raises(ReadError) as caught:
        read_alone(root, file)
    make.check_message(caught.value, root, file, *words)


@pytest.mark.parametrize("file", RARE)
def test_samples_names_and_events_come_out(tmp_path: Path, file: str) -> None:
    RARE[file](tmp_path / file, 3)
    raw = read_alone(tmp_path, file).therapist
    assert raw.info["sfreq"] == 100.0
    assert raw.ch_names == (["E1", "E2", "E3", "E4"] if file == "t.raw" else list(make.CHANNELS))
    np.testing.assert_allclose(raw.get_data(), make.noise(3), atol=6e-9 if file == "t.cnt" else 1e-11)
    assert list(raw.annotations.onset) == [5.0, 12.0]
    assert set(raw.annotations.description) == {EVENTS[file]}
    assert make.CANARY not in repr({key: raw.info[key] for key in raw.info if key != "chs"})


@pytest.mark.parametrize("file", RARE)
def test_they_are_told_by_content(tmp_path: Path, file: str) -> None:
    RARE[file](tmp_path / file)
    assert recognise(tmp_path / file, file).name == {"t.raw": "EGI", "t.gdf": "GDF", "t.cnt": "CNT"}[file]
    (tmp_path / file).rename(tmp_path / "t.edf")
    refused_alone(tmp_path, "t.edf", "its name ends in '.edf'", "Rename")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("file", RARE)
def test_cut_off_files_are_refused(tmp_path: Path, file: str, share: float) -> None:
    RARE[file](tmp_path / file, 3)
    content = (tmp_path / file).read_bytes()
    for more in range(5):
        (tmp_path / file).write_bytes(content[: int(len(content) * share) + more])
        refused_alone(tmp_path, file, "damaged or incomplete", "Copy it again")


def test_triggers_of_three_formats_align(tmp_path: Path) -> None:
    pulses = [120, 331, 500, 743, 901, 1200, 1427, 1555]
    RARE["t.raw"](tmp_path / "t.raw", 1, pulses=pulses)
    for seed, file in enumerate(("t.gdf", "t.cnt"), start=2):
        RARE[file](tmp_path / file, seed, pulses=[each - 40 for each in pulses])
        clock = align_pair(load_session(make.session(tmp_path, "t.raw", file))).clock
        assert (clock.source, clock.n_matched) == ("triggers", 8)
        assert clock.offset_s == pytest.approx(0.4, abs=1e-6)


def test_a_new_segment_of_gdf_is_a_pause(tmp_path: Path) -> None:
    rare.write_gdf(tmp_path / "t.gdf", 1, pulses=[1000], code=32766)
    marks = read_alone(tmp_path, "t.gdf").therapist.annotations
    assert "BAD_boundary" in marks.description


def test_segmented_egi_is_refused(tmp_path: Path) -> None:
    rare.write_egi(tmp_path / "t.raw")
    content = bytearray((tmp_path / "t.raw").read_bytes())
    content[3] = 5
    (tmp_path / "t.raw").write_bytes(content)
    refused_alone(tmp_path, "t.raw", "segmented", "Export the continuous recording")


def test_mff_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rare.write_mff(tmp_path / "t.mff", 1)
    monkeypatch.setitem(sys.modules, "mffpy", None)
    refused_alone(tmp_path, "t.mff", "needs the Python package 'mffpy'", "Install it")


@pytest.mark.parametrize("gap_s", [0.0, 4.0])
def test_mff(tmp_path: Path, gap_s: float) -> None:
    pytest.importorskip("mffpy", reason="EGI MFF is read by the package mffpy, which is not installed")
    rare.write_mff(tmp_path / "t.mff", 3, gap_s=gap_s)
    raw = read_alone(tmp_path, "t.mff").therapist
    assert raw.ch_names == list(make.CHANNELS)
    late = round(gap_s * 100)
    assert raw.n_times == 2000 + late
    np.testing.assert_allclose(raw.get_data()[:, :1000], make.noise(3)[:, :1000], atol=1e-11)
    np.testing.assert_allclose(raw.get_data()[:, 1000 + late :], make.noise(3)[:, 1000:], atol=1e-11)
    assert list(raw.annotations.description) == (["BAD_ACQ_SKIP"] if gap_s else [])


def test_brainvision_cut_at_a_frame(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1)
    text = (good / "t.vhdr").read_text(encoding="utf-8")
    (good / "t.vhdr").write_text(
        text.replace("NumberOfChannels=4", "NumberOfChannels=4\r\nDataPoints=2000"), encoding="utf-8"
    )
    (good / "t.eeg").write_bytes((good / "t.eeg").read_bytes()[: 1000 * 16])
    make.refused(good, "t.vhdr", "c-raw.fif", "t.vhdr", "10.0 of 20.0 s", "Copy it again")
