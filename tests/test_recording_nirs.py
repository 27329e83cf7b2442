"""SNIRF, Homer and NIRx: people by group or source, gaps and stimuli in their place, damage refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording import align_pair, load_session


def test_snirf_and_homer(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, stimuli=(10.0, 30.0))
    pair = make.load(good, "t.snirf", "c.snirf", "fnirs")
    assert pair.therapist.ch_names[:2] == ["S1_D1 760", "S1_D1 850"]
    assert pair.therapist.info["sfreq"] == pytest.approx(10.0)
    assert list(pair.therapist.annotations.onset) == [10.0, 30.0]
    make.write_nirs(good / "t.nirs", 1)
    homer = make.load(good, "t.nirs", "c.snirf", "fnirs").therapist
    assert homer.ch_names == pair.therapist.ch_names
    assert list(homer.annotations.onset) == [10.0]
    np.testing.assert_allclose(homer.info["chs"][2]["loc"][3:6], [0.04, 0.0, 0.0])
    assert homer.info["chs"][1]["loc"][9] == 850.0


def test_homer_survives_optical_density(good: Path) -> None:
    make.write_nirs(good / "t.nirs", 1)
    homer = make.load(good, "t.nirs", "c.snirf", "fnirs").therapist
    density = mne.preprocessing.nirs.optical_density(homer, verbose="ERROR")
    blood = mne.preprocessing.nirs.beer_lambert_law(density, ppf=6.0)
    assert set(blood.get_channel_types()) == {"hbo", "hbr"}


def test_snirf_links_are_not_followed(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        del file["nirs/data1/dataTimeSeries"]
        file["nirs/data1/dataTimeSeries"] = h5py.ExternalLink("c.snirf", "/nirs/data1/dataTimeSeries")
    make.refused(good, "t.snirf", "c.snirf", "link", modality="fnirs")
    make.write_snirf(good / "u.snirf", 1)
    with h5py.File(good / "u.snirf", "a") as file:
        file["nirs2"] = h5py.SoftLink("/nirs")
    make.refused(good, "u.snirf", "c.snirf", "link", modality="fnirs", therapist_channels="/nirs")


def test_snirf_gap_is_opened_and_marked(good: Path) -> None:
    times = np.arange(600) / 10.0
    times[300:] += 3.0
    make.write_snirf(good / "t.snirf", 1, times=times, stimuli=(50.0,))
    pair = make.load(good, "t.snirf", "c.snirf", "fnirs")
    assert pair.therapist.info["sfreq"] == pytest.approx(10.0)
    assert pair.therapist.n_times == 630
    marks = pair.therapist.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert (gap["onset"], gap["duration"]) == (pytest.approx(30.0), pytest.approx(3.0))
    assert marks.onset[np.flatnonzero(marks.description == "talk")[0]] == pytest.approx(50.0)


def test_snirf_time_that_jumps_back(good: Path) -> None:
    times = np.arange(600) / 10.0
    times[300:] -= 3.0
    make.write_snirf(good / "t.snirf", 1, times=times)
    make.refused(good, "t.snirf", "c.snirf", "jumps back", modality="fnirs")


def test_snirf_orphan_wavelength_goes_with_a_warning(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, only=2)
    with pytest.warns(DataQualityWarning, match="other wavelength"):
        pair = make.load(good, "t.snirf", "c.snirf", "fnirs")
    assert [name for name in pair.therapist.ch_names if name.startswith("S2")] == []
    assert len(pair.therapist.ch_names) == 4


def test_snirf_with_two_data_blocks_or_none(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        file.copy("nirs/data1", "nirs/data2")
    make.refused(good, "t.snirf", "c.snirf", "2 data blocks", modality="fnirs")
    with h5py.File(good / "u.snirf", "w") as file:
        file["x"] = 1
    make.refused(good, "u.snirf", "c.snirf", "no SNIRF", modality="fnirs")


@pytest.mark.parametrize(("first", "second"), [("nirs1", "nirs2"), ("nirs", "nirs2")])
def test_snirf_groups(tmp_path: Path, first: str, second: str) -> None:
    make.write_snirf(tmp_path / "b.snirf", 7, groups=(first, second))
    pair = make.load_parts(tmp_path, "b.snirf", f"/{first}", f"/{second}", "fnirs")
    assert pair.therapist.ch_names == pair.client.ch_names
    rng = np.random.default_rng(8)
    expected = 0.02 * rng.standard_normal((600, 6)) + 1.0
    np.testing.assert_allclose(pair.client.get_data(), expected.T)
    with pytest.raises(ReadError) as caught:
        load_session(make.session(tmp_path, "b.snirf", "other.snirf", "fnirs"))
    make.check_message(caught.value, tmp_path, "b.snirf", f"/{first}, /{second}")
    with pytest.raises(ReadError, match="no group '/nirs7'"):
        make.load_parts(tmp_path, "b.snirf", f"/{first}", "/nirs7", "fnirs")


def test_snirf_sources(tmp_path: Path) -> None:
    make.write_snirf(tmp_path / "b.snirf", 7, n_sources=6)
    pair = make.load_parts(tmp_path, "b.snirf", "sources:1-3", "sources:4-6", "fnirs")
    assert pair.therapist.ch_names[0] == "S1_D1 760"
    assert pair.client.ch_names[0] == "S4_D4 760"
    assert len(pair.client.ch_names) == 6
    density = mne.preprocessing.nirs.optical_density(pair.client, verbose="ERROR")
    assert set(density.get_channel_types()) == {"fnirs_od"}


@pytest.mark.parametrize(
    ("file", "rules", "n"),
    [
        ("two_subjects_one_file", ("sources:1-8", "sources:9-16"), 20),
        ("hb_two_subjects", ("sources:1-8", "sources:9-16"), 20),
        ("nirs1_nirs2", ("/nirs1", "/nirs2"), 40),
        ("nirs_nirs2", ("/nirs", "/nirs2"), 40),
    ],
)
@pytest.mark.filterwarnings("ignore:.*channels are the same in both people")
def test_real_two_person_snirf(shared: Path, file: str, rules: tuple[str, str], n: int) -> None:
    # the two groups of the last two files hold one and the same synthetic recording
    pair = make.load_parts(shared / "data" / "fnirs_two_person_snirf", f"{file}.snirf", *rules, "fnirs")
    assert len(pair.therapist.ch_names) == len(pair.client.ch_names) == n
    sources = {name.split("_")[0] for name in pair.client.ch_names}
    expected = range(9, 17) if n == 20 else range(1, 17)
    assert sources == {f"S{k}" for k in expected}
    assert align_pair(pair).client.n_times == 2340


def _snirf_with_a_gap(path: Path, times: np.ndarray) -> None:
    make.write_snirf(path, 1, times=times, stimuli=(10.0, 50.0))


def _homer_with_a_gap(path: Path, times: np.ndarray) -> None:
    make.write_nirs(path, 1, times=times)


@pytest.mark.parametrize("gap_s", [0.0, 3.0])
@pytest.mark.parametrize(
    ("file", "write", "at"),
    [
        ("t.snirf", _snirf_with_a_gap, [10.0, 50.0]),
        ("t.nirs", _homer_with_a_gap, [10.0]),
    ],
)
def test_each_stimulus_appears_once_whether_time_has_a_gap_or_not(
    good: Path, file: str, write: Callable[[Path, np.ndarray], None], at: list[float], gap_s: float
) -> None:
    times = np.arange(600) / 10.0
    times[300:] += gap_s
    write(good / file, times)
    pair = make.load(good, file, "c.snirf", "fnirs")
    marks = pair.therapist.annotations
    events = [onset for onset, name in zip(marks.onset, marks.description, strict=True) if name != "BAD_gap"]
    np.testing.assert_allclose(events, at, atol=1e-6)
    assert pair.therapist.n_times == 600 + round(10 * gap_s)
    assert ("1 gap in the time vector" in " ".join(pair.history)) == (gap_s > 0)
