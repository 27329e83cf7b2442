"""Readers: every format is recognised by its content, and every bad file is refused with a clear message."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import struct
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest
import scipy.io

import recording_fixtures as make
from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording import load_session
from hyperscan.recording.files.eeg import check_brainvision, read_brainvision_header
from hyperscan.study.formats import recognise


def load(root: Path, therapist: str = "t.fif", client: str = "c.fif", modality: str = "eeg", **changes):
    return load_session(make.session(root, therapist, client, modality, **changes))


def refused(root: Path, bad: str, good: str, *words: str, modality: str = "eeg", **changes) -> None:
    with pytest.raises(ReadError) as caught:
        load(root, bad, good, modality, **changes)
    make.check_message(caught.value, root, bad, *words)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A study folder whose client is in order."""
    make.write_fif(tmp_path / "c-raw.fif", 99)
    make.write_snirf(tmp_path / "c.snirf", 99)
    return tmp_path


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
    pair = load(good, file, "c-raw.fif")
    n = min(pair.therapist.n_times, 2000)
    assert n >= 1999
    assert tuple(pair.therapist.ch_names) == make.CHANNELS
    assert pair.therapist.info["sfreq"] == 100.0
    np.testing.assert_allclose(pair.therapist.get_data()[:, :n], make.noise(3)[:, :n], atol=2e-9)
    assert pair.clock is None
    assert pair.segments[0].duration_s == pytest.approx(20.0, abs=0.02)


def test_set_with_fdt(good: Path) -> None:
    make.write_set(good / "t.set", 3, fdt=True)
    np.testing.assert_allclose(load(good, "t.set", "c-raw.fif").therapist.get_data(), make.noise(3), atol=1e-9)


def test_snirf_and_homer(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, stimuli=(10.0, 30.0))
    pair = load(good, "t.snirf", "c.snirf", "fnirs")
    assert pair.therapist.ch_names[:2] == ["S1_D1 760", "S1_D1 850"]
    assert pair.therapist.info["sfreq"] == pytest.approx(10.0)
    assert list(pair.therapist.annotations.onset) == [10.0, 30.0]
    make.write_nirs(good / "t.nirs", 1)
    homer = load(good, "t.nirs", "c.snirf", "fnirs").therapist
    assert homer.ch_names == pair.therapist.ch_names
    assert list(homer.annotations.onset) == [10.0]
    np.testing.assert_allclose(homer.info["chs"][2]["loc"][3:6], [0.04, 0.0, 0.0])
    assert homer.info["chs"][1]["loc"][9] == 850.0


def test_homer_survives_optical_density(good: Path) -> None:
    make.write_nirs(good / "t.nirs", 1)
    homer = load(good, "t.nirs", "c.snirf", "fnirs").therapist
    density = mne.preprocessing.nirs.optical_density(homer, verbose="ERROR")
    blood = mne.preprocessing.nirs.beer_lambert_law(density, ppf=6.0)
    assert set(blood.get_channel_types()) == {"hbo", "hbr"}


@pytest.mark.parametrize("file", ["t.csv", "t.tsv", "t.mat"])
def test_plain_tables_with_a_sidecar(good: Path, file: str) -> None:
    data = 1e6 * make.noise(4)
    if file == "t.mat":
        scipy.io.savemat(good / file, {"eeg": data, "note": "x"})
    else:
        np.savetxt(good / file, data.T, delimiter={"t.csv": ",", "t.tsv": "\t"}[file], header="a,b,c,d", comments="")
        if file == "t.tsv":
            np.savetxt(good / file, data.T, delimiter="\t")
    sidecar = {"SamplingFrequency": 100, "ChannelNames": list(make.CHANNELS), "Unit": "uV"}
    (good / "t_sidecar.json").write_text(json.dumps(sidecar))
    pair = load(good, file, "c-raw.fif")
    np.testing.assert_allclose(pair.therapist.get_data(), make.noise(4), rtol=1e-12)


def test_haemoglobin_table(good: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("t", "d"):
        scipy.io.savemat(good / f"{name}.mat", {"oxyData": rng.standard_normal((500, 2))})
        sidecar = {"SamplingFrequency": 8.333, "ChannelNames": ["CH1 hbo", "CH2 hbo"], "Unit": "uM"}
        (good / f"{name}_sidecar.json").write_text(json.dumps(sidecar))
    pair = load(good, "t.mat", "d.mat", "fnirs")
    assert set(pair.client.get_channel_types()) == {"hbo"}
    assert any("hbo only" in note for note in pair.history)


def test_table_without_or_with_a_wrong_sidecar(good: Path) -> None:
    (good / "t.csv").write_text("1,2\n3,4\n5,6\n")
    refused(good, "t.csv", "c-raw.fif", "t_sidecar.json", "SamplingFrequency")
    for text in (
        '{"SamplingFrequency": 100, "SamplingFrequency": 200}',
        '{"SamplingFrequency": NaN}',
        "{",
        "[1]",
        '{"SamplingFrequency": -5}',
    ):
        (good / "t_sidecar.json").write_text(text)
        refused(good, "t.csv", "c-raw.fif", "sidecar")
    (good / "t_sidecar.json").write_text('{"SamplingFrequency": 100, "ChannelNames": ["Fz"], "Unit": "uV"}')
    refused(good, "t.csv", "c-raw.fif", "3 x 2", "1 channels")
    (good / "t.csv").write_text("1,2\n3,x\n5,6\n")
    refused(good, "t.csv", "c-raw.fif", "row 2")


# ---- content, not name


@pytest.mark.parametrize(
    "suffix",
    [".fif", ".edf", ".bdf", ".vhdr", ".set", ".gdf", ".cnt", ".xdf", ".snirf", ".nirs", ".mat", ".csv"],
)
def test_empty_file(good: Path, suffix: str) -> None:
    (good / f"t{suffix}").write_bytes(b"")
    refused(good, f"t{suffix}", "c-raw.fif", "empty (0 bytes)")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n", "not downloaded"),
        (b"/annex/objects/MD5E-s12--aa.edf\n", "not downloaded"),
        (b"<!DOCTYPE html><html><body>404 JaneDoe</body></html>", "web page"),
        (pickle.dumps({"a": 1}), "pickle"),
        (b"PK\3\4aaaa", "archive"),
        (b"\x1f\x8b\x08aaaa", "archive"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (b"garbage" * 200, "first bytes"),
    ],
)
def test_impostors(good: Path, content: bytes, word: str) -> None:
    (good / "t.edf").write_bytes(content)
    refused(good, "t.edf", "c-raw.fif", word)


def test_missing_file_and_dangling_link(good: Path) -> None:
    refused(good, "gone.edf", "c-raw.fif", "not there")
    (good / "t.edf").symlink_to(good / ".git" / "annex" / "objects" / "aa")
    refused(good, "t.edf", "c-raw.fif", "not downloaded")


def test_wrong_extension(good: Path) -> None:
    make.write_edf(good / "t.bdf", 1)
    shutil.copy(good / "t.bdf", good / "u.edf")
    refused(good, "u.edf", "c-raw.fif", "'.edf'", "BDF", ".bdf")
    shutil.copy(good / "c-raw.fif", good / "x.edf")
    refused(good, "x.edf", "c.snirf", "FIF")


def test_parts_of_recordings_are_pointed_to_their_header(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1)
    make.write_set(good / "s.set", 1, fdt=True)
    refused(good, "t.eeg", "c-raw.fif", ".vhdr")
    refused(good, "t.vmrk", "c-raw.fif", ".vhdr")
    refused(good, "s.fdt", "c-raw.fif", ".set")


def test_folder_that_is_no_recording(good: Path) -> None:
    (good / "t").mkdir()
    refused(good, "t", "c-raw.fif", "folder without a recording")


def test_unreadable_object_matlab(good: Path) -> None:
    scipy.io.savemat(good / "t.mat", {"cells": np.array([[1, "a"]], dtype=object)})
    (good / "t_sidecar.json").write_text('{"SamplingFrequency": 100, "ChannelNames": ["Fz"], "Unit": "uV"}')
    refused(good, "t.mat", "c-raw.fif", "cannot tell which matrix")


@pytest.mark.parametrize("file", WRITERS)
def test_recognised(tmp_path: Path, file: str) -> None:
    WRITERS[file](tmp_path / file, 0)
    expected = {"fif": "FIF", "edf": "EDF", "bdf": "BDF", "vhdr": "BrainVision", "set": "EEGLAB"}
    assert recognise(tmp_path / file, file).name == expected[file.rpartition(".")[2]]


# ---- damage


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("file", [*WRITERS, "t.snirf", "t.nirs"])
def test_truncated_files_are_never_read_in_silence(good: Path, file: str, share: float) -> None:
    writer = {**WRITERS, "t.snirf": make.write_snirf, "t.nirs": make.write_nirs}[file]
    writer(good / file, 2)
    cut = good / file if file != "t.vhdr" else good / "t.eeg"
    content = cut.read_bytes()
    n = int(len(content) * share)
    # not at the end of a frame, and at one
    for size in (n - n % 16, n - n % 16 + 3):
        cut.write_bytes(content[:size])
        if file == "t.vhdr":
            (good / "t.vmrk").write_text((good / "t.vmrk").read_text().replace(",500,", ",1999,"))
        modality, partner = ("fnirs", "c.snirf") if file in ("t.snirf", "t.nirs") else ("eeg", "c-raw.fif")
        with pytest.raises(ReadError) as caught:
            load(good, file, partner, modality)
        make.check_message(caught.value, good, file)


def test_up_to_one_percent_may_be_missing(good: Path) -> None:
    make.write_edf(good / "t.edf", 2, seconds=200)
    content = (good / "t.edf").read_bytes()
    (good / "t.edf").write_bytes(content[: -1 * 400 * 2 // 2 - 10])
    with pytest.warns(DataQualityWarning, match="another number of records"):
        pair = load(good, "t.edf", "c-raw.fif")
    assert 198.0 <= pair.therapist.n_times / 100.0 < 200.0
    assert any("are missing" in note for note in pair.history)


def test_brainvision_parts(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1)
    (good / "t.vmrk").unlink()
    refused(good, "t.vhdr", "c-raw.fif", "marker file", ".vmrk")
    make.write_brainvision(good / "t.vhdr", 1)
    (good / "t.eeg").unlink()
    refused(good, "t.vhdr", "c-raw.fif", "data file", ".eeg")
    make.write_brainvision(good / "t.vhdr", 1)
    header = (good / "t.vhdr").read_text(encoding="utf-8")
    first, second = re.findall(r"^Ch[0-9]+=([^,]+),", header, re.MULTILINE)[:2]
    same_place = "\n[Coordinates]\nCh1=1,90,45\nCh2=1,90,45\n"
    (good / "t.vhdr").write_text(header + same_place, encoding="utf-8")
    header_read = read_brainvision_header(good / "t.vhdr", "t.vhdr")
    assert check_brainvision(header_read, "t.vhdr") == (), "places are no names"
    (good / "t.vhdr").write_text(header.replace(f"Ch2={second},", f"Ch2={first},"), encoding="utf-8")
    refused(good, "t.vhdr", "c-raw.fif", f"1 channel name stands there twice ('{first}')", "Give each its own name")
    make.write_brainvision(good / "other.vhdr", 1)
    shutil.copy(good / "other.vhdr", good / "t.vhdr")
    refused(good, "t.vhdr", "c-raw.fif", "another name", "renamed copy")


def test_set_without_fdt(good: Path) -> None:
    make.write_set(good / "t.set", 1, fdt=True)
    content = (good / "t.fdt").read_bytes()
    (good / "t.fdt").write_bytes(content[:-400])
    refused(good, "t.set", "c-raw.fif", ".fdt", "cut off")
    (good / "t.fdt").unlink()
    refused(good, "t.set", "c-raw.fif", ".fdt", "not there")


def test_missing_part_of_a_split_fif(good: Path) -> None:
    raw = make.eeg_raw(1, sfreq=1000.0, seconds=400.0)
    raw.save(good / "t-raw.fif", split_size="3MB", overwrite=True, verbose="ERROR")
    parts = sorted(good.glob("t-raw-*.fif"))
    assert parts
    whole = load(good, "t-raw.fif", "c-raw.fif").therapist
    assert whole.n_times == 400_000
    parts[0].unlink()
    refused(good, "t-raw.fif", "c-raw.fif", "one of several parts", "(t-raw-1.fif)", "Copy all parts")


def test_evoked_is_refused(good: Path) -> None:
    raw = make.eeg_raw(1)
    mne.EvokedArray(raw.get_data(), raw.info, verbose="ERROR").save(good / "t-ave.fif", verbose="ERROR")
    refused(good, "t-ave.fif", "c-raw.fif", "evoked")


def test_a_wrong_size_within_a_matlab_variable_is_damage(good: Path) -> None:
    """It ends the process when scipy's reader meets it."""
    make.write_set(good / "t.set", 1)
    content = bytearray((good / "t.set").read_bytes())
    at = content.index(struct.pack("<6I", 5, 8, 1, 1, 1, 0)) + 20  # the name of a number in a struct has no letters
    content[at] ^= 16
    (good / "t.set").write_bytes(content)
    refused(good, "t.set", "c-raw.fif", "a variable is damaged")


def test_a_zero_byte_in_a_channel_name_is_damage(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    content = bytearray((good / "t.edf").read_bytes())
    content[content.index(b"Cz  ") + 5] = 0  # one bit of a blank
    (good / "t.edf").write_bytes(content)
    refused(good, "t.edf", "c-raw.fif", "channel 2", "zero byte")


def test_header_that_claims_more_than_memory(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    content = bytearray((good / "t.edf").read_bytes())
    content[236:244] = b"99999999"
    content[244:252] = b"1       "
    (good / "t.edf").write_bytes(content)
    refused(good, "t.edf", "c-raw.fif")
    with h5py.File(good / "t.snirf", "w") as file:
        file["formatVersion"] = "1.1"
        make.snirf_group(file.create_group("nirs"), 1)
        del file["nirs/data1/dataTimeSeries"]
        file["nirs/data1"].create_dataset("dataTimeSeries", (10**12, 6), "f8", chunks=(1000, 6))
    refused(good, "t.snirf", "c.snirf", "memory", modality="fnirs")


def _what_it_says(root: Path) -> Exception | None:
    try:
        load(root, "t.edf", "c-raw.fif")
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


# ---- SNIRF


def test_snirf_links_are_not_followed(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        del file["nirs/data1/dataTimeSeries"]
        file["nirs/data1/dataTimeSeries"] = h5py.ExternalLink("c.snirf", "/nirs/data1/dataTimeSeries")
    refused(good, "t.snirf", "c.snirf", "link", modality="fnirs")
    make.write_snirf(good / "u.snirf", 1)
    with h5py.File(good / "u.snirf", "a") as file:
        file["nirs2"] = h5py.SoftLink("/nirs")
    refused(good, "u.snirf", "c.snirf", "link", modality="fnirs", therapist_channels="/nirs")


def test_snirf_gap_is_opened_and_marked(good: Path) -> None:
    times = np.arange(600) / 10.0
    times[300:] += 3.0
    make.write_snirf(good / "t.snirf", 1, times=times, stimuli=(50.0,))
    pair = load(good, "t.snirf", "c.snirf", "fnirs")
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
    refused(good, "t.snirf", "c.snirf", "jumps back", modality="fnirs")


def test_snirf_orphan_wavelength_goes_with_a_warning(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, only=2)
    with pytest.warns(DataQualityWarning, match="other wavelength"):
        pair = load(good, "t.snirf", "c.snirf", "fnirs")
    assert [name for name in pair.therapist.ch_names if name.startswith("S2")] == []
    assert len(pair.therapist.ch_names) == 4


def test_snirf_with_two_data_blocks_or_none(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        file.copy("nirs/data1", "nirs/data2")
    refused(good, "t.snirf", "c.snirf", "2 data blocks", modality="fnirs")
    with h5py.File(good / "u.snirf", "w") as file:
        file["x"] = 1
    refused(good, "u.snirf", "c.snirf", "no SNIRF", modality="fnirs")


# ---- two people


def test_modalities(good: Path) -> None:
    refused(good, "c.snirf", "c-raw.fif", "modality 'eeg'", "fNIRS")
    make.write_snirf(good / "t.snirf", 1, blood=True)
    with pytest.raises(ReadError, match="raw intensity") as caught:
        load(good, "t.snirf", "c.snirf", "fnirs")
    make.check_message(caught.value, good, "c.snirf", "haemoglobin")


def test_units(good: Path) -> None:
    raw = make.eeg_raw(5)
    for factor in (1e6, 1e-6):
        scaled = mne.io.RawArray(raw.get_data() * factor, raw.info, verbose="ERROR")
        scaled.save(good / "t-raw.fif", overwrite=True, verbose="ERROR")
        refused(good, "t-raw.fif", "c-raw.fif", "unit")
    scaled = mne.io.RawArray(raw.get_data() * 150, raw.info, verbose="ERROR")
    scaled.save(good / "t-raw.fif", overwrite=True, verbose="ERROR")
    with pytest.raises(ReadError, match=r"1[0-9][0-9]-fold"):
        load(good, "t-raw.fif", "c-raw.fif")


def test_slow_drifts_are_no_wrong_unit(good: Path) -> None:
    raw = make.eeg_raw(5)
    drifting = mne.io.RawArray(raw.get_data() + 2e-2 * np.linspace(0, 1, raw.n_times), raw.info, verbose="ERROR")
    drifting.save(good / "t-raw.fif", verbose="ERROR")
    assert load(good, "t-raw.fif", "c-raw.fif").therapist.n_times == 2000


def test_same_file_for_both(good: Path) -> None:
    refused(good, "c-raw.fif", "c-raw.fif", "same data")
    (good / "link-raw.fif").symlink_to(good / "c-raw.fif")
    refused(good, "link-raw.fif", "c-raw.fif", "same data")
    (good / "hard-raw.fif").hardlink_to(good / "c-raw.fif")
    refused(good, "hard-raw.fif", "c-raw.fif", "same data")
    shutil.copy(good / "c-raw.fif", good / "copy-raw.fif")
    refused(good, "copy-raw.fif", "c-raw.fif", "same data")


def test_same_data_exported_again(good: Path) -> None:
    raw = make.eeg_raw(99)
    again = mne.io.RawArray(1.5 * raw.get_data() + 1e-5, raw.info, verbose="ERROR")
    again.save(good / "t-raw.fif", verbose="ERROR")
    refused(good, "t-raw.fif", "c-raw.fif", "same samples")


def test_one_shared_channel_is_a_warning(good: Path) -> None:
    raw = make.eeg_raw(5)
    data = raw.get_data()
    data[0] = make.noise(99)[2]
    mne.io.RawArray(data, raw.info, verbose="ERROR").save(good / "t-raw.fif", verbose="ERROR")
    with pytest.warns(DataQualityWarning, match="1 channel is the same"):
        load(good, "t-raw.fif", "c-raw.fif")


def test_no_name_and_no_date_of_birth_stay_in_the_info(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    pair = load(good, "t.edf", "c-raw.fif")
    for raw in (pair.therapist, pair.client):
        assert make.CANARY not in repr({key: raw.info[key] for key in raw.info if key != "chs"})
    assert make.CANARY not in " ".join(pair.history)


# ---- epochs


def test_epochs_are_paired_by_event_sample(tmp_path: Path) -> None:
    make.save_epochs(tmp_path / "t-epo.fif", 1, [0, 2, 3, 5, 9])
    make.save_epochs(tmp_path / "c-epo.fif", 2, [1, 2, 5, 8, 9])
    pair = load(tmp_path, "t-epo.fif", "c-epo.fif")
    assert len(pair.segments) == 3
    assert [part.onset_s for part in pair.segments] == [0.0, 1.0, 2.0]
    for raw in (pair.therapist, pair.client):
        np.testing.assert_allclose(raw.get_data()[0, 10::100], [2e-6, 5e-6, 9e-6], atol=1e-12)


def test_epochs_are_paired_by_their_number_where_samples_differ(tmp_path: Path) -> None:
    make.save_epochs(tmp_path / "t-epo.fif", 1, [0, 2, 3, 5, 9])
    make.save_epochs(tmp_path / "c-epo.fif", 2, [1, 2, 5, 8], first=77_003)
    pair = load(tmp_path, "t-epo.fif", "c-epo.fif")
    np.testing.assert_allclose(pair.client.get_data()[0, 10::100], [2e-6, 5e-6], atol=1e-12)


def test_epochs_and_continuous_do_not_mix(good: Path) -> None:
    make.save_epochs(good / "t-epo.fif", 1, [0, 1])
    refused(good, "t-epo.fif", "c-raw.fif", "epochs")
    make.save_epochs(good / "u-epo.fif", 2, [0, 1], seconds=2.0)
    with pytest.raises(ReadError, match="Cut both alike"):
        load(good, "t-epo.fif", "u-epo.fif")


def test_eeglab_epochs(tmp_path: Path) -> None:
    make.write_set(tmp_path / "t.set", 1, trials=10)
    make.write_set(tmp_path / "c.set", 2, trials=10)
    pair = load(tmp_path, "t.set", "c.set")
    assert len(pair.segments) == 10
    assert pair.segments[3].duration_s == pytest.approx(2.0)


# ---- parts of a session


def test_start_stop_and_segment_event(good: Path) -> None:
    make.write_edf(good / "t.edf", 1, annotations=[(2.0, "talk"), (8.0, "rest"), (12.0, "talk"), (15.0, "end")])
    pair = load(good, "t.edf", "c-raw.fif", start_s=5.0, stop_s=14.0, task="x")
    assert [(part.onset_s, part.duration_s, part.task) for part in pair.segments] == [(5.0, 9.0, "x")]
    pair = load(good, "t.edf", "c-raw.fif", segment_event="talk")
    assert [(part.onset_s, part.duration_s) for part in pair.segments] == [(2.0, 6.0), (12.0, 3.0)]
    refused(good, "t.edf", "c-raw.fif", "'tlak'", "'talk' (2)", segment_event="tlak")
    refused(good, "t.edf", "c-raw.fif", "leave nothing", start_s=50.0)


def test_boundaries_become_bad(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1, markers=[("New Segment", "", 1001), ("Stimulus", "S  1", 1500)])
    marks = load(good, "t.vhdr", "c-raw.fif").therapist.annotations
    bad = marks[np.flatnonzero(marks.description == "BAD_boundary")[0]]
    assert bad["onset"] <= 10.0 <= bad["onset"] + bad["duration"]


def test_edf_plus_d_gaps_are_opened(good: Path) -> None:
    make.write_edf(good / "t.edf", 1, annotations=[(0.5, "a"), (14.5, "b")])
    content = (good / "t.edf").read_bytes().replace(b"EDF+C", b"EDF+D", 1)
    # the records from 10 s on begin 4 s later
    for k in reversed(range(10, 20)):
        content = content.replace(f"+{k}\x14\x14".encode(), f"+{k + 4}\x14\x14".encode())
    (good / "t.edf").write_bytes(content)
    raw = load(good, "t.edf", "c-raw.fif").therapist
    assert raw.n_times == 2400
    marks = raw.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert (gap["onset"], gap["duration"]) == (pytest.approx(10.0), pytest.approx(4.0))
    np.testing.assert_allclose(raw.get_data()[:, 1400:], make.noise(1)[:, 1000:], atol=2e-9)


# ---- real files


def test_hypyp_epochs_pair_exactly_25(shared: Path) -> None:
    folder = shared / "data" / "eeg_dyad_hypyp_epochs"
    pair = load(folder, "preproc_S1.fif", "preproc_S2.fif")
    assert len(pair.segments) == 25
    assert pair.therapist.n_times == pair.client.n_times == 25 * 501


_READ = {
    "test_reduced.edf": 138,
    "chtypes_edf.edf": 42,
    "test_utf8_annotations.edf": 11,
    "test_bdf_stim_channel.bdf": 3,
    "brainvision/test_NO.vhdr": 65,
    "eeglab/test_raw_2021.set": 3,
    "eeglab/test_raw_chanloc.set": 61,
    "multiple_annotation_chans.bdf": 18,
    "nirx_15_2_short": 26,
    "nirx_15_3": 26,
    "hitachi/sample_MES_Probe1.csv": 44,
    "boxy/boxy_0_40_notriggers_unparsed.txt": 240,
    "snirf/2021-05-05_001.snirf": 40,
    "snirf/Simple_Probe.snirf": 8,
    "snirf/neuro_run01.snirf": 18,
    "snirf/hb.snirf": 360,
}


@pytest.mark.parametrize("file", _READ)
def test_real_readers(shared: Path, file: str) -> None:
    from hyperscan.recording.files.load import read_person

    fnirs = file.startswith(("nirx", "hitachi", "boxy", "snirf"))
    found = read_person(shared / "data" / "readers" / file, None, modality="fnirs" if fnirs else "eeg", name=file)
    kinds = found.data.get_channel_types()
    assert len([kind for kind in kinds if kind != "stim"]) == _READ[file]


def test_real_files_that_are_refused(shared: Path) -> None:
    data = shared / "data"
    partner = "fnirs_dyads_burns_snirf/DYAD130_2_rest.snirf"
    refused(data, "fnirs_burns_nirx142_raw/DYAD130_1_rest", partner, "NIRStar 14.2", modality="fnirs")
    refused(data, "readers/snirf/minimum_example.snirf", partner, "dataTimeSeries", modality="fnirs")
