"""Two recordings are two people measured alike: no copies, one unit, one kind of signal."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.config import StudyConfig
from hyperscan.errors import (
    DataQualityWarning,
    QualityError,
    ReadError,
)
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from hyperscan.study import read_table
from pipeline_fixtures import check_prepared
from prepare_fixtures import clean_pair


def test_units(good: Path) -> None:
    raw = make.eeg_raw(5)
    for factor in (1e6, 1e-6):
        scaled = mne.io.RawArray(raw.get_data() * factor, raw.info, verbose="ERROR")
        scaled.save(good / "t-raw.fif", overwrite=True, verbose="ERROR")
        make.refused(good, "t-raw.fif", "c-raw.fif", "unit")
    scaled = mne.io.RawArray(raw.get_data() * 150, raw.info, verbose="ERROR")
    scaled.save(good / "t-raw.fif", overwrite=True, verbose="ERROR")
    with pytest.raises(ReadError, match=r"1[0-9][0-9]-fold"):
        make.load(good, "t-raw.fif", "c-raw.fif")


def test_slow_drifts_are_no_wrong_unit(good: Path) -> None:
    raw = make.eeg_raw(5)
    drifting = mne.io.RawArray(raw.get_data() + 2e-2 * np.linspace(0, 1, raw.n_times), raw.info, verbose="ERROR")
    drifting.save(good / "t-raw.fif", verbose="ERROR")
    assert make.load(good, "t-raw.fif", "c-raw.fif").therapist.n_times == 2000


def test_same_file_for_both(good: Path) -> None:
    make.refused(good, "c-raw.fif", "c-raw.fif", "same data")
    (good / "link-raw.fif").symlink_to(good / "c-raw.fif")
    make.refused(good, "link-raw.fif", "c-raw.fif", "same data")
    (good / "hard-raw.fif").hardlink_to(good / "c-raw.fif")
    make.refused(good, "hard-raw.fif", "c-raw.fif", "same data")
    shutil.copy(good / "c-raw.fif", good / "copy-raw.fif")
    make.refused(good, "copy-raw.fif", "c-raw.fif", "same data")


def test_same_data_exported_again(good: Path) -> None:
    raw = make.eeg_raw(99)
    again = mne.io.RawArray(1.5 * raw.get_data() + 1e-5, raw.info, verbose="ERROR")
    again.save(good / "t-raw.fif", verbose="ERROR")
    make.refused(good, "t-raw.fif", "c-raw.fif", "same samples")


def test_one_shared_channel_is_a_warning(good: Path) -> None:
    raw = make.eeg_raw(5)
    data = raw.get_data()
    data[0] = make.noise(99)[2]
    mne.io.RawArray(data, raw.info, verbose="ERROR").save(good / "t-raw.fif", verbose="ERROR")
    with pytest.warns(DataQualityWarning, match="1 channel is the same"):
        make.load(good, "t-raw.fif", "c-raw.fif")


TESTS = Path(__file__).parent


@pytest.mark.parametrize("lag_s", [7.3, -7.3, 0.07])
def test_copies_shifted_in_time(good: Path, lag_s: float) -> None:
    whole = make.noise(5, 4, 8000)
    n = round(abs(lag_s) * 100)
    early, late = whole[:, :6000], 1.7 * whole[:, n : n + 6000] + 2e-6
    info = mne.create_info(list(make.CHANNELS), 100.0, "eeg")
    for name, data in zip(("t.fif", "u.fif"), (early, late) if lag_s > 0 else (late, early), strict=True):
        mne.io.RawArray(data, info, verbose="ERROR").save(good / name, verbose="ERROR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make.refused(good, "t.fif", "u.fif", "t.fif and u.fif", "same samples", f"{abs(lag_s):.1f} s apart", "Correct")


def test_one_recording_in_both_groups_is_read_but_never_analysed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "b.snirf", "w") as file:
        file["formatVersion"] = "1.1"
        for group in ("nirs1", "nirs2"):
            make.snirf_group(file.create_group(group), 7, seconds=150.0)
    rules = {"therapist_channels": "/nirs1", "client_channels": "/nirs2"}
    make.write_rows(
        tmp_path, [make.row_of(1, 1, "b.snirf", "b.snirf", clock="same_amplifier", modality="fnirs", **rules)]
    )
    (row,) = read_table(tmp_path).sessions
    with pytest.warns(DataQualityWarning) as heard:
        pair = align_pair(load_session(row))
    make.check_message(heard[0].message, tmp_path, "b.snirf", "6 channels are the same in both people", "Leave out")
    assert len(pair.therapist.ch_names) == len(pair.client.ch_names) == 6
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair)
    words = ("D1 ses-01 fnirs", "b.snirf", "6 channels hold the same samples", "Correct the files")
    make.check_message(caught.value, tmp_path, *words)
    (said,) = check_prepared(tmp_path).rows
    assert said.status == "skipped"
    make.check_message(said.reason, tmp_path, *words)


def test_one_stream_under_two_names_is_never_analysed(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(7000) / 100.0
    make.write_xdf(tmp_path / "b.xdf", [make.xdf_person(1, name, stamps) for name in "AB"])
    with pytest.warns(DataQualityWarning, match="4 channels are the same"):
        pair = align_pair(make.load(tmp_path, "b.xdf", "b.xdf", **make.XDF_RULES))
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair)
    make.check_message(caught.value, tmp_path, "b.xdf", "4 channels hold the same samples", "Correct the files")


def test_raws_of_one_person_are_never_analysed() -> None:
    """The records can be made without a file; what they hold is looked at all the same."""
    pair = clean_pair(0, 60.0)
    louder = pair.therapist.copy().apply_function(lambda x: 2 * x + 1e-6)
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair.replace(client=louder))
    make.check_message(
        caught.value, TESTS, "D01 ses-01", "t.edf and c.edf", "32 channels hold the same samples", "Correct"
    )


def test_a_jump_of_both_amplifiers_is_no_copy() -> None:
    pair = clean_pair(1, 60.0)
    jump = 1e-2 * (np.arange(pair.therapist.n_times) > 7000)
    for raw in (pair.therapist, pair.client):
        raw._data += jump
    r = np.corrcoef(pair.therapist.get_data()[0], pair.client.get_data()[0])[0, 1]
    assert r > 0.999
    assert preprocess_pair(pair, StudyConfig(window_s=5.0)).quality.client["n_windows"] > 6


def test_mains_of_two_people_are_no_copy(good: Path) -> None:
    hum = 8e-5 * np.sin(2 * np.pi * 50 * np.arange(30_000) / 500.0)
    info = mne.create_info(list(make.CHANNELS), 500.0, "eeg")
    for seed, name in enumerate(("t-raw.fif", "u-raw.fif")):
        data = make.noise(seed, 4, 30_000) + hum
        mne.io.RawArray(data, info, verbose="ERROR").save(good / name, verbose="ERROR")
    assert make.load(good, "t-raw.fif", "u-raw.fif").therapist.n_times == 30_000


@pytest.mark.parametrize("road", ["file", "epochs", "memory"])
@pytest.mark.parametrize("applied", [False, True])
def test_projectors_that_were_not_applied_are_told(good: Path, road: str, applied: bool) -> None:
    raw = make.eeg_raw(5).set_eeg_reference("average", projection=True, verbose="ERROR")
    raw = raw.apply_proj(verbose="ERROR") if applied else raw
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataQualityWarning)
        if road == "file":
            raw.save(good / "t-raw.fif", verbose="ERROR")
            pair = make.load(good, "t-raw.fif", "c-raw.fif", clock="same_amplifier")
        elif road == "epochs":
            cut = [
                mne.make_fixed_length_epochs(one, 2, proj=applied, verbose="ERROR") for one in (raw, make.eeg_raw(6))
            ]
            pair = PairedRecording.from_epochs(*cut, key=(range(10), range(10)))
        else:
            pair = PairedRecording.from_raws(raw, make.eeg_raw(6), clock="same_amplifier")
    told = [str(one.message) for one in caught if "projectors" in str(one.message)]
    assert len(told) == (not applied)
    if told:
        assert told[0].startswith("t-raw.fif" if road == "file" else "therapist")
        assert "(Average EEG reference)" in told[0]
        assert not pair.raw("therapist").info["projs"][0]["active"]
