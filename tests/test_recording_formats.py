"""The rarer EEG formats: what was written comes out, at its time, and damage is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import format_fixtures as rare
import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording import PairedRecording, align_pair, load_session
from hyperscan.study.formats import recognise

WRITERS: dict[str, Callable[..., Path]] = {"t.raw": rare.write_egi, "t.gdf": rare.write_gdf, "t.cnt": rare.write_cnt}
EVENTS = {"t.raw": "DIN1", "t.gdf": "769", "t.cnt": "7"}


def load(root: Path, file: str, **changes: object) -> PairedRecording:
    make.write_fif(root / "c-raw.fif", 99)
    return load_session(make.session(root, file, "c-raw.fif", **changes))


def refused(root: Path, file: str, *words: str) -> None:
    with pytest.raises(ReadError) as caught:
        load(root, file)
    make.check_message(caught.value, root, file, *words)


@pytest.mark.parametrize("file", WRITERS)
def test_samples_names_and_events_come_out(tmp_path: Path, file: str) -> None:
    WRITERS[file](tmp_path / file, 3)
    raw = load(tmp_path, file).therapist
    assert raw.info["sfreq"] == 100.0
    assert raw.ch_names == (["E1", "E2", "E3", "E4"] if file == "t.raw" else list(make.CHANNELS))
    np.testing.assert_allclose(raw.get_data(), make.noise(3), atol=6e-9 if file == "t.cnt" else 1e-11)
    assert list(raw.annotations.onset) == [5.0, 12.0]
    assert set(raw.annotations.description) == {EVENTS[file]}
    assert make.CANARY not in repr({key: raw.info[key] for key in raw.info if key != "chs"})


@pytest.mark.parametrize("file", WRITERS)
def test_they_are_told_by_content(tmp_path: Path, file: str) -> None:
    WRITERS[file](tmp_path / file)
    assert recognise(tmp_path / file, file).name == {"t.raw": "EGI", "t.gdf": "GDF", "t.cnt": "CNT"}[file]
    (tmp_path / file).rename(tmp_path / "t.edf")
    refused(tmp_path, "t.edf", "its name ends in '.edf'", "Rename")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("file", WRITERS)
def test_cut_off_files_are_refused(tmp_path: Path, file: str, share: float) -> None:
    WRITERS[file](tmp_path / file, 3)
    content = (tmp_path / file).read_bytes()
    for more in range(5):
        (tmp_path / file).write_bytes(content[: int(len(content) * share) + more])
        refused(tmp_path, file, "damaged or incomplete", "Copy it again")


def test_triggers_of_three_formats_align(tmp_path: Path) -> None:
    pulses = [120, 331, 500, 743, 901, 1200, 1427, 1555]
    WRITERS["t.raw"](tmp_path / "t.raw", 1, pulses=pulses)
    for seed, file in enumerate(("t.gdf", "t.cnt"), start=2):
        WRITERS[file](tmp_path / file, seed, pulses=[each - 40 for each in pulses])
        clock = align_pair(load_session(make.session(tmp_path, "t.raw", file))).clock
        assert (clock.source, clock.n_matched) == ("triggers", 8)
        assert clock.offset_s == pytest.approx(0.4, abs=1e-6)


def test_a_new_segment_of_gdf_is_a_pause(tmp_path: Path) -> None:
    rare.write_gdf(tmp_path / "t.gdf", 1, pulses=[1000], code=32766)
    marks = load(tmp_path, "t.gdf").therapist.annotations
    assert "BAD_boundary" in marks.description


def test_segmented_egi_is_refused(tmp_path: Path) -> None:
    rare.write_egi(tmp_path / "t.raw")
    content = bytearray((tmp_path / "t.raw").read_bytes())
    content[3] = 5
    (tmp_path / "t.raw").write_bytes(content)
    refused(tmp_path, "t.raw", "segmented", "Export the continuous recording")


def test_mff_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rare.write_mff(tmp_path / "t.mff", 1)
    monkeypatch.setitem(sys.modules, "mffpy", None)
    refused(tmp_path, "t.mff", "needs the Python package 'mffpy'", "Install it")


@pytest.mark.parametrize("gap_s", [0.0, 4.0])
def test_mff(tmp_path: Path, gap_s: float) -> None:
    pytest.importorskip("mffpy", reason="EGI MFF is read by the package mffpy, which is not installed")
    rare.write_mff(tmp_path / "t.mff", 3, gap_s=gap_s)
    raw = load(tmp_path, "t.mff").therapist
    assert raw.ch_names == list(make.CHANNELS)
    late = round(gap_s * 100)
    assert raw.n_times == 2000 + late
    np.testing.assert_allclose(raw.get_data()[:, :1000], make.noise(3)[:, :1000], atol=1e-11)
    np.testing.assert_allclose(raw.get_data()[:, 1000 + late :], make.noise(3)[:, 1000:], atol=1e-11)
    assert list(raw.annotations.description) == (["BAD_ACQ_SKIP"] if gap_s else [])
