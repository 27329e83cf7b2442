"""Bad input of every kind meets its decision and a message that names file, fault and remedy."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import unicodedata
import warnings
import zlib
from functools import cache
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest
import scipy.io

import format_fixtures as rare
import recording_fixtures as make
from bad_input_cases import read_cases
from hyperscan.cli import main
from hyperscan.config import StudyConfig
from hyperscan.errors import (
    ClockError,
    ConfigError,
    DataQualityWarning,
    HyperscanError,
    InputError,
    QualityError,
    ReadError,
)
from hyperscan.metrics import get_metric
from hyperscan.pipeline import check_study
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from hyperscan.schema import SessionKey
from hyperscan.study import find_swaps, read_table
from hyperscan.transforms import analytic_signal
from prepare_fixtures import clean_pair, fnirs_pair, pair_of

TESTS = Path(__file__).parent

CASES = {case.number: case for case in read_cases()}


@cache
def names_in(module: str) -> frozenset[str]:
    tree = ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_all_cases_are_listed() -> None:
    assert list(CASES) == list(range(1, 87))
    for case in CASES.values():
        assert case.what, case.number
        assert set(case.decision.split("/")) <= {"R", "S", "C", "A", "ok", "resume", "rerun"}, case.number


@pytest.mark.parametrize("number", CASES)
def test_each_case_has_its_tests(number: int) -> None:
    assert CASES[number].tests
    for name in CASES[number].tests:
        module, _, test = name.partition("::")
        assert test in names_in(module), name


# ---- how a message is judged

good_message = make.check_message


def load(root: Path, therapist: str, client: str, modality: str = "eeg", **changes: object) -> PairedRecording:
    return load_session(make.session(root, therapist, client, modality, **changes))


def refused(root: Path, therapist: str, client: str, *words: str, modality: str = "eeg", **changes: object) -> None:
    """Assert that a pair is refused at reading or aligning, with a good message."""
    with pytest.raises((ReadError, ClockError)) as caught:
        align_pair(load(root, therapist, client, modality, **changes))
    good_message(str(caught.value), root, *words)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    make.write_fif(tmp_path / "c-raw.fif", 99)
    make.write_snirf(tmp_path / "c.snirf", 99)
    return tmp_path


def write_rows(root: Path, rows: list[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(columns)] + ["\t".join(row.get(name, "n/a") for name in columns) for row in rows]
    (root / "dyads.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def row_of(dyad: int, session: int, therapist: str, client: str, /, **changes: str) -> dict[str, str]:
    base = {"dyad": f"D{dyad}", "therapist": f"T{dyad}", "client": f"C{dyad}", "session": str(session)}
    return {
        **base,
        "modality": "eeg",
        "therapist_file": therapist,
        "client_file": client,
        "clock": "assumed",
        **changes,
    }


# ---- files


def test_brainvision_cut_at_a_frame(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1)
    text = (good / "t.vhdr").read_text(encoding="utf-8")
    (good / "t.vhdr").write_text(
        text.replace("NumberOfChannels=4", "NumberOfChannels=4\r\nDataPoints=2000"), encoding="utf-8"
    )
    (good / "t.eeg").write_bytes((good / "t.eeg").read_bytes()[: 1000 * 16])
    refused(good, "t.vhdr", "c-raw.fif", "t.vhdr", "10.0 of 20.0 s", "Copy it again")


def test_three_streams_are_listed(good: Path) -> None:
    stamps = 100.0 + np.arange(2000) / 100.0
    make.write_xdf(good / "b.xdf", [make.xdf_person(k, name, stamps) for k, name in enumerate("ABC")])
    rules = {"therapist_channels": "1-4", "client_channels": "5-8"}
    refused(good, "b.xdf", "b.xdf", "3 streams fit", "'A'", "'C'", "stream:NAME", **rules)


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
        refused(good, "t.fif", "u.fif", "t.fif and u.fif", "same samples", f"{abs(lag_s):.1f} s apart", "Correct")


def test_one_recording_in_both_groups_is_read_but_never_analysed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "b.snirf", "w") as file:
        file["formatVersion"] = "1.1"
        for group in ("nirs1", "nirs2"):
            make.snirf_group(file.create_group(group), 7, seconds=150.0)
    rules = {"therapist_channels": "/nirs1", "client_channels": "/nirs2"}
    write_rows(tmp_path, [row_of(1, 1, "b.snirf", "b.snirf", clock="same_amplifier", modality="fnirs", **rules)])
    (row,) = read_table(tmp_path).sessions
    with pytest.warns(DataQualityWarning) as heard:
        pair = align_pair(load_session(row))
    good_message(heard[0].message, tmp_path, "b.snirf", "6 channels are the same in both people", "Leave out")
    assert len(pair.therapist.ch_names) == len(pair.client.ch_names) == 6
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair)
    words = ("D1 ses-01 fnirs", "b.snirf", "6 channels hold the same samples", "Correct the files")
    good_message(caught.value, tmp_path, *words)
    (said,) = check_study(tmp_path).rows
    assert said["status"] == "skipped"
    good_message(said["reason"], tmp_path, *words)


def test_one_stream_under_two_names_is_never_analysed(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(7000) / 100.0
    make.write_xdf(tmp_path / "b.xdf", [make.xdf_person(1, name, stamps) for name in "AB"])
    with pytest.warns(DataQualityWarning, match="4 channels are the same"):
        pair = align_pair(load(tmp_path, "b.xdf", "b.xdf", **XDF_RULES))
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair)
    good_message(caught.value, tmp_path, "b.xdf", "4 channels hold the same samples", "Correct the files")


def test_raws_of_one_person_are_never_analysed() -> None:
    """The records can be made without a file; what they hold is looked at all the same."""
    pair = clean_pair(0, 60.0)
    louder = pair.therapist.copy().apply_function(lambda x: 2 * x + 1e-6)
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair.replace(client=louder))
    good_message(caught.value, TESTS, "D01 ses-01", "t.edf and c.edf", "32 channels hold the same samples", "Correct")


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
    assert load(good, "t-raw.fif", "u-raw.fif").therapist.n_times == 30_000


# ---- clocks


def test_an_hour_apart_although_the_recordings_overlap(tmp_path: Path) -> None:
    for seed, (name, hour) in enumerate((("t-raw.fif", 9), ("c-raw.fif", 10))):
        raw = make.eeg_raw(seed, sfreq=20.0, seconds=4000.0)
        raw.set_meas_date(datetime.datetime(2025, 3, 3, hour, 4, 5, tzinfo=datetime.UTC))
        raw.save(tmp_path / name, verbose="ERROR")
    refused(tmp_path, "t-raw.fif", "c-raw.fif", "3600 s", "time zone", "declare the clock")
    declared = align_pair(load(tmp_path, "t-raw.fif", "c-raw.fif", clock="same_amplifier"))
    assert declared.therapist.n_times == 80_000


def test_codes_of_two_devices_differ(tmp_path: Path) -> None:
    at = np.cumsum(np.random.default_rng(3).uniform(0.7, 1.9, 25)).round(2)
    markers = [("Stimulus", "S  1", round(t * 100) + 1) for t in at]
    make.write_brainvision(tmp_path / "t.vhdr", 1, seconds=60, markers=markers)
    raw = make.eeg_raw(2, seconds=60.0)
    stim = np.zeros((1, raw.n_times))
    for t in at - 0.5:
        stim[0, round(t * 100) : round(t * 100) + 2] = 32769
    added = mne.io.RawArray(stim, mne.create_info(["STI"], 100.0, "stim"), verbose="ERROR")
    raw.add_channels([added], force_update_info=True).save(tmp_path / "c-raw.fif", verbose="ERROR")
    make.write_edf(tmp_path / "u.edf", 3, seconds=60, annotations=[(t - 0.5, "1") for t in at])
    for client in ("c-raw.fif", "u.edf"):
        clock = align_pair(load(tmp_path, "t.vhdr", client)).clock
        assert (clock.source, clock.n_matched) == ("triggers", 25)
        assert clock.offset_s == pytest.approx(0.5, abs=0.006)


@pytest.mark.parametrize(
    "changes", [{}, {"client_offset_s": 2.0}, *({"clock": name} for name in ("none", "assumed", "triggers"))]
)
def test_nothing_is_prepared_on_no_clock(tmp_path: Path, changes: dict[str, object]) -> None:
    """Equal lengths prove nothing: only align_pair decides what the two clocks are."""
    for seed, name in enumerate("tc"):
        make.write_edf(tmp_path / f"{name}.edf", seed, seconds=70.0)
    with pytest.raises(InputError) as caught:
        preprocess_pair(load(tmp_path, "t.edf", "c.edf", **changes))
    good_message(caught.value, tmp_path, "D1 ses-01", "nothing says", "Call align_pair")


def test_two_files_without_a_clock_run_with_a_warning(tmp_path: Path) -> None:
    for seed, name in enumerate("tc"):
        make.write_edf(tmp_path / f"{name}.edf", seed, seconds=70.0)
    with pytest.warns(DataQualityWarning) as heard:
        pair = align_pair(load(tmp_path, "t.edf", "c.edf"))
    good_message(heard[0].message, tmp_path, "t.edf and c.edf", "nothing aligns", "Declare triggers")
    assert preprocess_pair(pair).quality.client["clock_source"] == "assumed"
    write_rows(tmp_path, [row_of(1, 1, "t.edf", "c.edf", clock="n/a")])
    (said,) = check_study(tmp_path).rows
    assert said["status"] == "ok"
    good_message(said["notes"][0], tmp_path, "t.edf and c.edf", "nothing aligns", "Declare triggers")
    (row,) = read_table(write_rows(tmp_path, [row_of(1, 1, "t.edf", "c.edf", clock="n/a")])).sessions
    with pytest.raises(ClockError) as caught:
        align_pair(load_session(dataclasses.replace(row, clock="none")))
    good_message(caught.value, tmp_path, "t.edf and c.edf", "declares clock 'none'", "declare triggers")


def two_streams(path: Path) -> bytes:
    stamps = 100.0 + np.arange(2000) / 100.0
    return make.write_xdf(path, [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", stamps)]).read_bytes()


XDF_RULES = {"therapist_channels": "stream:A", "client_channels": "stream:B"}


def test_xdf_is_used_to_where_it_was_cut(tmp_path: Path) -> None:
    content = two_streams(tmp_path / "b.xdf")
    (tmp_path / "b.xdf").write_bytes(content[:-40])
    pair = load(tmp_path, "b.xdf", "b.xdf", **XDF_RULES)
    assert pair.client.n_times == 2000
    assert any("cut off" in note for note in pair.history)


@pytest.mark.parametrize("what", ["length", "tag", "samples", "entities", "no header"])
def test_xdf_chunks_that_cannot_be(tmp_path: Path, what: str) -> None:
    content = bytearray(two_streams(tmp_path / "b.xdf"))
    header = content.index(b"\x02\x00\x01\x00\x00\x00<?xml")
    samples = content.index(b"\x03\x00\x01\x00\x00\x00\x04")
    if what == "length":
        content[header - 4 : header] = struct.pack("<I", 1)
    elif what == "tag":
        content[header : header + 2] = b"\x63\x00"
    elif what == "samples":
        content[samples + 7 : samples + 11] = struct.pack("<I", 2**32 - 1)
    elif what == "entities":
        content = content.replace(b"<source_id>id-A</source_id>", b"<!ENTITY a 'aaaaaaaaaaaa'>a")
    else:
        content[samples + 2 : samples + 6] = struct.pack("<I", 77)
    (tmp_path / "b.xdf").write_bytes(content)
    refused(tmp_path, "b.xdf", "b.xdf", "b.xdf", "damaged at byte", "Copy it again", **XDF_RULES)


# ---- signals


def test_marks_that_cover_everything(tmp_path: Path) -> None:
    for seed, name in enumerate(("t-raw.fif", "c-raw.fif")):
        raw = make.eeg_raw(seed, seconds=90.0)
        if seed:
            raw.set_annotations(mne.Annotations(0.0, 85.0, "BAD_all"))
        raw.save(tmp_path / name, verbose="ERROR")
    pair = align_pair(load(tmp_path, "t-raw.fif", "c-raw.fif", clock="same_amplifier"))
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair)
    good_message(str(caught.value), tmp_path, "D1 ses-01", "client", "s clean", "min_windows = 3")


def test_hbo_only_runs_with_a_note(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("t", "c"):
        data = np.cumsum(rng.standard_normal((2400, 3)), axis=0) * 0.01
        np.savetxt(tmp_path / f"{name}.csv", data, delimiter=",")
        facts = {"SamplingFrequency": 8, "ChannelNames": [f"S{k}_D{k} hbo" for k in (1, 2, 3)], "Unit": "uM"}
        (tmp_path / f"{name}_sidecar.json").write_text(json.dumps(facts))
    pair = align_pair(load(tmp_path, "t.csv", "c.csv", "fnirs", clock="same_amplifier"))
    with pytest.warns(DataQualityWarning) as heard:
        prepared = preprocess_pair(pair)
    assert all("D1 ses-01 fnirs" in str(item.message) for item in heard)
    assert set(prepared.client.get_channel_types()) == {"hbo"}
    assert any("HbO only" in note or "hbo only" in note for note in prepared.history)


def rewrite(path: Path, place: str, value: object) -> None:
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = value


@pytest.mark.parametrize("waves", [(760.0, 770.0), (76.0, 85.0), (600.0, 850.0)])
def test_wavelengths_that_cannot_be(good: Path, waves: tuple[float, float]) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array(waves))
    refused(good, "t.snirf", "c.snirf", "t.snirf", "wavelengths", "650-1000 nm", modality="fnirs")


def test_swapped_wavelengths_are_refused(tmp_path: Path) -> None:
    raw = fnirs_pair(1, seconds=20.0)[0].therapist
    for ch in raw.info["chs"]:
        ch["loc"][9] = 1610.0 - ch["loc"][9]
    raw.save(tmp_path / "t-raw.fif", verbose="ERROR")
    fnirs_pair(2, seconds=20.0)[0].client.save(tmp_path / "c-raw.fif", verbose="ERROR")
    refused(tmp_path, "t-raw.fif", "c-raw.fif", "t-raw.fif", "swapped", "Correct", modality="fnirs")


@pytest.mark.parametrize("waves", [(785.0, 830.0), (690.0, 850.0)])
def test_people_of_different_light_are_refused(good: Path, waves: tuple[float, float]) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array(waves))
    shown = f"{waves[0]:.0f}, {waves[1]:.0f} nm (therapist) and 760, 850 nm (client)"
    refused(
        good, "t.snirf", "c.snirf", "t.snirf and c.snirf", "different wavelengths", shown, "Correct", modality="fnirs"
    )


def test_lasers_of_one_nominal_wavelength_are_one_light(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array([758.0, 853.0]))
    assert len(load(good, "t.snirf", "c.snirf", "fnirs").therapist.ch_names) == 6


def test_wavelengths_in_another_order_are_refused(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array([850.0, 760.0]))
    words = ("c.snirf", "two orders", "850, 760 nm (therapist) and 760, 850 nm (client)", "Correct")
    refused(good, "t.snirf", "c.snirf", *words, modality="fnirs")
    make.write_nirs(good / "h.nirs", 3)
    refused(good, "t.snirf", "h.nirs", "h.nirs", "two orders", modality="fnirs")


def test_one_wavelength_for_one_person_is_refused(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, n_sources=1, only=1)
    refused(good, "t.snirf", "c.snirf", "t.snirf", "two wavelengths", "Export all wavelengths", modality="fnirs")


def test_a_channel_without_length_is_left_out() -> None:
    pair, _ = fnirs_pair(3)
    for ch in pair.client.info["chs"][:2]:
        ch["loc"][6:9] = ch["loc"][3:6]
    with pytest.warns(DataQualityWarning, match="client: 2 channels without a source-detector distance left out"):
        prepared = preprocess_pair(pair)
    assert prepared.quality.dropped["client"] == {"S1_D1": "no source-detector distance"}
    assert not [name for name in prepared.client.ch_names if name.startswith("S1_")]
    assert "S1_D1 hbo" in prepared.therapist.ch_names


def test_names_twice_in_a_file(good: Path) -> None:
    make.write_edf(good / "t.edf", 1, names=("Fz", "Fz", "T3", "FP1"))
    with pytest.warns(DataQualityWarning) as heard:
        pair = load(good, "t.edf", "c-raw.fif", clock="same_amplifier")
    good_message(str(heard[0].message), good, "t.edf", "channel names stood there twice")
    prepared = preprocess_pair(align_pair(pair), StudyConfig(window_s=5.0))
    assert prepared.therapist.ch_names == ["Fz", "T7", "Fp1"]
    assert any("T3 -> T7" in note for note in prepared.history)
    assert "same position" in " ".join(prepared.quality.dropped["therapist"].values())


def test_average_reference_lacks_a_rank() -> None:
    pair = preprocess_pair(clean_pair(0, 60.0), StudyConfig(window_s=5.0))
    assert any("rank 31" in note for note in pair.history)
    a, b = (raw.get_data()[:, :5000] for raw in (pair.therapist, pair.client))
    assert np.linalg.matrix_rank(a) == len(a) - 1
    value, z = get_metric("plv").evaluate(*(analytic_signal(x, 250.0, (8.0, 12.0)) for x in (a, b)))
    assert np.isfinite(value).all()
    assert np.isfinite(z).all()


# ---- bombs and links


def _matlab_element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content


def test_matlab_that_unpacks_to_more_than_memory(good: Path) -> None:
    scipy.io.savemat(good / "t.mat", {"x": np.zeros((3000, 4))}, do_compression=True)
    (good / "t_sidecar.json").write_text(
        json.dumps({"SamplingFrequency": 100, "ChannelNames": ["Fz", "Cz", "Pz", "Oz"], "Unit": "uV"})
    )
    head = (good / "t.mat").read_bytes()[:128]
    bomb = zlib.compress(struct.pack("<II", 14, 2**32 - 16) + bytes(1000))
    (good / "t.mat").write_bytes(head + _matlab_element(15, bomb))
    refused(good, "t.mat", "c-raw.fif", "t.mat", "claims to unpack to 4.3 GB", "export it anew")
    (good / "t.mat").write_bytes(head + _matlab_element(15, b"no zlib"))
    refused(good, "t.mat", "c-raw.fif", "t.mat", "cannot be unpacked")
    scipy.io.savemat(good / "t.mat", {"x": 1e6 * make.noise(1).T}, do_compression=True)
    assert load(good, "t.mat", "c-raw.fif").therapist.n_times == 2000


@pytest.mark.parametrize("place", ["nirs/data1/dataTimeSeries", "nirs/stim1/data", "nirs/aux1/dataTimeSeries"])
def test_hdf5_that_claims_more_than_memory(good: Path, place: str) -> None:
    make.write_snirf(good / "t.snirf", 1, stimuli=(3.0,))
    with h5py.File(good / "t.snirf", "a") as file:
        if place in file:
            del file[place]
        file.create_dataset(place, (10**12, 3), "f8", chunks=(1000, 3), compression="gzip")
    assert (good / "t.snirf").stat().st_size < 1e6
    refused(good, "t.snirf", "c.snirf", "t.snirf", "GB of samples", "memory", modality="fnirs")


def test_hdf5_loops_and_data_elsewhere(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        file["nirs/again"] = file["nirs"]
        file["nirs/probe/back"] = file["/"]
    assert load(good, "t.snirf", "c.snirf", "fnirs").therapist.n_times == 600
    (good / "secret.bin").write_bytes(bytes(8000))
    with h5py.File(good / "t.snirf", "a") as file:
        del file["nirs/data1/time"]
        file["nirs/data1"].create_dataset("time", (600,), "f8", external=[(str(good / "secret.bin"), 0, 4800)])
    refused(good, "t.snirf", "c.snirf", "t.snirf", "another file", "its own data", modality="fnirs")


def test_hdf5_heap_that_leads_in_a_circle(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    content = bytearray((good / "t.snirf").read_bytes())
    start = content.index(b"GCOL")
    content[start + 24 : start + 32] = struct.pack("<Q", 2**64 - 16)
    (good / "t.snirf").write_bytes(content)
    refused(good, "t.snirf", "c.snirf", "t.snirf", "damaged", "Copy it again", modality="fnirs")


@pytest.mark.parametrize("file", ["t-raw.fif", "t.bdf", "t.vhdr", "t.set", "t.snirf", "t.nirs", "t.xdf"])
def test_damaged_bytes_never_end_in_a_traceback(good: Path, file: str) -> None:
    writers = {
        "t-raw.fif": make.write_fif,
        "t.bdf": make.write_edf,
        "t.vhdr": make.write_brainvision,
        "t.set": make.write_set,
        "t.snirf": make.write_snirf,
        "t.nirs": make.write_nirs,
        "t.xdf": lambda path, _: two_streams(path),
    }
    writers[file](good / file, 1)
    content = (good / file).read_bytes()
    modality, partner = ("fnirs", "c.snirf") if file in ("t.snirf", "t.nirs") else ("eeg", "c-raw.fif")
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(25):
            flipped = bytearray(content)
            flipped[int(rng.integers(4, min(len(content), 3000)))] ^= 1 << int(rng.integers(8))
            (good / file).write_bytes(flipped)
            try:
                load(good, file, partner, modality, therapist_channels="stream:A" if file == "t.xdf" else None)
            except HyperscanError as said:
                good_message(str(said), good, file)


# ---- the table and its study


def a_study(root: Path, n_dyads: int = 1, n_sessions: int = 2, seconds: float = 70.0) -> list[dict[str, str]]:
    rows = []
    for dyad in range(1, n_dyads + 1):
        for number in range(1, n_sessions + 1):
            names = [f"d{dyad}s{number}{role}.edf" for role in "tc"]
            for k, name in enumerate(names):
                make.write_edf(root / name, 100 * dyad + 10 * number + k, seconds=seconds)
            rows.append(row_of(dyad, number, *names))
    return rows


def test_check_lists_what_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = a_study(tmp_path)
    (tmp_path / "empty.edf").write_bytes(b"")
    rows += [row_of(2, 1, rows[0]["therapist_file"], "gone.edf"), row_of(3, 1, "empty.edf", rows[1]["client_file"])]
    rows[3]["start_s"] = "0"
    rows[1] |= {"clock": "none"}
    write_rows(tmp_path, rows[:3])
    assert main(["check", "-q", str(tmp_path)]) == 3
    shown = capsys.readouterr().out
    assert "ok    D1 ses-01" in shown
    assert "line 3 (D1 ses-02): clock = 'none'" in shown
    assert "line 4 (D2 ses-01): client_file = 'gone.edf': is not there" in shown
    assert "1 dyad-session would be analysed, 2 skipped" in shown
    write_rows(tmp_path, [rows[0], rows[3] | {"client_file": "d1s2c.edf"}])
    report = check_study(tmp_path)
    (bad,) = [row for row in report.rows if row["status"] != "ok"]
    good_message(bad["reason"], tmp_path, "empty.edf", "0 bytes", "again")


def test_one_recording_under_two_names(tmp_path: Path) -> None:
    rows = a_study(tmp_path, 2, 2)
    (tmp_path / "d2s2c.edf").write_bytes((tmp_path / "d1s1c.edf").read_bytes())
    report = check_study(write_rows(tmp_path, rows))
    reasons = [row["reason"] for row in report.rows if row["status"] != "ok"]
    reasons += [entry.reason for entry in report.rejected]
    assert report.skipped == len(reasons) == 2
    for reason in reasons:
        good_message(reason, tmp_path, "D1 ses-01", "D2 ses-02", "under two names", "Correct")


def test_a_design_as_therapies_are(tmp_path: Path) -> None:
    rows = a_study(tmp_path, 3, 2)
    days = {"D1": ("0", "7"), "D2": ("0", "30"), "D3": ("0", "14")}
    for row in rows:
        row["therapist"] = "T1"
        row["days"] = days[row["dyad"]][int(row["session"]) - 1]
        row["session"] = {"1": "1", "2": "3"}[row["session"]]
    extra = [f"extra{role}.edf" for role in "tc"]
    for k, name in enumerate(extra):
        make.write_edf(tmp_path / name, 900 + k, seconds=70.0)
    rows.append(row_of(2, 4, *extra, therapist="T1", days="35"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_table(write_rows(tmp_path, rows))
    assert not table.rejected
    assert [row.session for row in table.sessions if row.dyad == "D2"] == [1, 3, 4]
    notes = "\n".join(check_study(tmp_path).notes)
    assert "therapist T1 has 3 clients (D1, D2, D3)" in notes
    assert "D1: session 2 is missing. The numbers are kept" in notes
    assert "D2: 5 to 15 days lie between sessions" in notes
    exchanged = [
        row | {"therapist": row["client"], "client": row["therapist"]} if row is rows[2] else row for row in rows
    ]
    (swapped, *_) = read_table(write_rows(tmp_path, exchanged)).rejected
    assert "are exchanged in other rows" in str(swapped)


def _facts(rng: np.random.Generator, peak: float, width: float) -> dict[str, object]:
    return {
        "peak_hz_alpha": peak + 0.15 * rng.standard_normal(),
        "peak_width_alpha": width + 0.1 * rng.standard_normal(),
        "amplitude": 1e-5 * np.exp(0.2 * rng.standard_normal()),
        "highfreq": np.nan,
        "grade": "good",
    }


@pytest.mark.parametrize("seed", range(10))
def test_an_exchanged_session_is_found_by_its_fingerprint(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = {}
    for dyad in range(8):
        peaks = rng.permutation([9.0, 10.5]) + 0.2 * rng.standard_normal(2)
        for number in range(1, 6):
            pair = [_facts(rng, peaks[0], 2.0), _facts(rng, peaks[1], 1.5)]
            people[SessionKey(f"D{dyad}", number, "eeg", "", "")] = dict(
                zip(("therapist", "client"), pair, strict=True)
            )
    assert find_swaps(people) == []
    key = SessionKey("D3", 4, "eeg", "", "")
    people[key] = {"therapist": people[key]["client"], "client": people[key]["therapist"]}
    (finding,) = find_swaps(people)
    assert finding.keys == (key,)
    good_message(str(finding), TESTS, "D3 ses-04", "nothing was exchanged", "Check the two files")
    alike = {k: {"therapist": _facts(rng, 10.0, 2.0), "client": _facts(rng, 10.0, 2.0)} for k in people}
    assert find_swaps(alike) == []


def test_an_exchanged_session_is_found_in_recordings() -> None:
    people = {}
    for number in range(1, 5):
        a, b = (clean_pair(10 * number + k, 60.0, centre=centre) for k, centre in enumerate((9.0, 11.0)))
        raws = (a.therapist, b.client) if number != 3 else (b.client, a.therapist)
        quality = preprocess_pair(pair_of(*raws)).quality
        people[SessionKey("D1", number, "eeg", "", "")] = {"therapist": quality.therapist, "client": quality.client}
    assert [finding.keys[0].session for finding in find_swaps(people)] == [3]


def test_a_broken_table_ends_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dyads.tsv").write_bytes("dyad\ttherapist\nD1\tJürgen\n".encode("latin-1"))
    for command in (["check", str(tmp_path)], ["run", str(tmp_path), "-o", str(tmp_path.parent / "out")]):
        assert main(command) == 2
        good_message(capsys.readouterr().err.strip(), tmp_path, "dyads.tsv line 2", "UTF-8", "Save")


def test_a_person_with_herself(tmp_path: Path) -> None:
    rows = a_study(tmp_path, 1, 1)
    rows[0]["client"] = "T1"
    (entry,) = read_table(write_rows(tmp_path, rows)).rejected
    good_message(str(entry), tmp_path, "line 2", "both 'T1'", "Give the two people two ids")


def test_a_band_beyond_nyquist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        StudyConfig(bands={"alpha": (8.0, 8000.0)})
    good_message(str(caught.value), tmp_path, "alpha", "8000")


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['touch pwned']", "a: &a [x]\nb: [*a, *a]\n"])
def test_yaml_is_no_configuration(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path, a_study(tmp_path, 1, 1))
    (tmp_path / "study.toml").write_text(text)
    assert main(["check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "study.toml: not valid TOML" in said
    assert "line 1" in said
    assert not list(tmp_path.rglob("pwned"))


ODD_NAMES = ["with space", "Ünï", unicodedata.normalize("NFD", "é"), "🧠", 'it\'s "q"', "-rf", "a" * 240, "50%_{x}"]


@pytest.mark.parametrize("stem", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_recordings_of_odd_names_are_read(tmp_path: Path, stem: str) -> None:
    folder = tmp_path / "s ü"
    folder.mkdir()
    make.write_edf(folder / f"{stem}.edf", 1)
    make.write_brainvision(folder / f"{stem}2.vhdr", 2)
    pair = align_pair(load(folder, f"{stem}.edf", f"{stem}2.vhdr", clock="same_amplifier"))
    assert pair.client.n_times == 2000


# ---- surroundings


def test_a_study_that_cannot_be_written_to(tmp_path: Path) -> None:
    write_rows(tmp_path, a_study(tmp_path, 1, 1))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert check_study(tmp_path).skipped == 0
    finally:
        tmp_path.chmod(0o755)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_checking_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path, a_study(tmp_path, 1, 1))
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    assert check_study(tmp_path).skipped == 0


def test_other_locales_and_no_home(tmp_path: Path) -> None:
    write_rows(tmp_path, a_study(tmp_path, 1, 1))
    bare = {
        name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LANG", "PYTHONUTF8", "DISPLAY")
    }
    texts = []
    for settings in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "HOME": str(tmp_path / "dyads.tsv")},
        {"LANG": "tr_TR.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"},
    ):
        command = [sys.executable, "-m", "hyperscan.cli", "check", "-q", str(tmp_path)]
        code = "import sys; from hyperscan.cli import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run(
            [command[0], "-c", code, *command[3:]], env={**bare, **settings}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        texts.append([line for line in done.stdout.decode("utf-8").splitlines() if line.startswith("ok")])
    assert texts[0] == texts[1]
    assert "100 Hz" in texts[0][0]


# ---- what must pass in silence


def _write_fif(path: Path, seed: int) -> Path:
    return make.write_fif(path.with_name(path.name + "-raw.fif"), seed, seconds=70.0)


def _write_edf(path: Path, seed: int) -> Path:
    return make.write_edf(path.with_name(path.name + ".edf"), seed, seconds=70.0)


def _write_bdf(path: Path, seed: int) -> Path:
    return make.write_edf(path.with_name(path.name + ".bdf"), seed, seconds=70.0)


def _write_vhdr(path: Path, seed: int) -> Path:
    return make.write_brainvision(path.with_name(path.name + ".vhdr"), seed, seconds=70.0)


def _write_set(path: Path, seed: int) -> Path:
    return make.write_set(path.with_name(path.name + ".set"), seed, seconds=70.0)


def _single_edf(root: Path, seed: int) -> dict[str, str]:
    names = [f"{person}_{name}" for person in "TC" for name in make.CHANNELS]
    make.write_edf(root / f"both{seed}.edf", seed, seconds=70.0, names=names)
    return {"therapist_channels": "prefix:T_", "client_channels": "prefix:C_", "file": f"both{seed}.edf"}


def _single_xdf(root: Path, seed: int) -> dict[str, str]:
    stamps = 100.0 + np.arange(7000) / 100.0
    make.write_xdf(root / f"both{seed}.xdf", [make.xdf_person(seed + k, n, stamps) for k, n in enumerate("AB")])
    return {"therapist_channels": "stream:A", "client_channels": "stream:B", "file": f"both{seed}.xdf"}


def _single_snirf(root: Path, seed: int) -> dict[str, str]:
    make.write_snirf(root / f"both{seed}.snirf", seed, groups=("nirs1", "nirs2"), seconds=150.0)
    return {"therapist_channels": "/nirs1", "client_channels": "/nirs2", "file": f"both{seed}.snirf"}


def _write_gdf(path: Path, seed: int) -> Path:
    return rare.write_gdf(path.with_name(path.name + ".gdf"), seed, n_times=7000)


def _write_cnt(path: Path, seed: int) -> Path:
    return rare.write_cnt(path.with_name(path.name + ".cnt"), seed, n_times=7000)


def _write_table(path: Path, seed: int) -> Path:
    facts = {"SamplingFrequency": 100, "ChannelNames": list(make.CHANNELS), "Unit": "uV"}
    path.with_name(path.name + "_sidecar.json").write_text(json.dumps(facts))
    file = path.with_name(path.name + ".csv")
    np.savetxt(file, 1e6 * make.noise(seed, 4, 7000).T, delimiter=",")
    return file


TWO_FILES = (_write_fif, _write_edf, _write_bdf, _write_vhdr, _write_set, _write_gdf, _write_cnt, _write_table)
ONE_FILE = (_single_edf, _single_xdf, _single_snirf)


@pytest.mark.parametrize("number", range(20))
def test_clean_studies_pass_in_silence(tmp_path: Path, number: int) -> None:
    rows = []
    for session in (1, 2):
        seed = 1000 * number + 10 * session
        if number % 2:
            made = ONE_FILE[number // 2 % 3](tmp_path, seed)
            file = made.pop("file")
            row = row_of(1, session, file, file, clock="same_amplifier", **made)
            rows.append(row | {"modality": "fnirs"} if file.endswith(".snirf") else row)
        else:
            writers = [TWO_FILES[(number // 2 + 3 * k) % len(TWO_FILES)] for k in range(2)]
            names = [writer(tmp_path / f"s{session}{k}", seed + k).name for k, writer in enumerate(writers)]
            rows.append(row_of(1, session, *names, clock="same_amplifier", days=str(7 * session - 7)))
    write_rows(tmp_path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_table(tmp_path)
        assert not table.rejected
        for row in table.sessions:
            aligned = align_pair(load_session(row))
            if row.modality == "eeg":
                assert preprocess_pair(aligned).quality.client["grade"] == "good"
            assert aligned.clock.residual_ms < 1.0


# ---- real epochs through the table


def _epochs_study(shared: Path, root: Path, window_s: float) -> Path:
    folder = shared / "data" / "eeg_dyad_hypyp_epochs"
    for name in ("preproc_S1.fif", "preproc_S2.fif"):
        shutil.copy(folder / name, root / name)
    write_rows(root, [row_of(1, 1, "preproc_S1.fif", "preproc_S2.fif", clock="same_amplifier")])
    (root / "study.toml").write_text(f"window_s = {window_s}\n[bands]\nalpha = [8.0, 12.0]\n")
    return root


def test_real_epochs_through_the_table(shared: Path, tmp_path: Path) -> None:
    (row,) = read_table(_epochs_study(shared, tmp_path, 5.0)).sessions
    pair = align_pair(load_session(row))
    assert len(pair.segments) == 25
    (long,) = check_study(tmp_path).rows
    assert long["status"] == "skipped"
    good_message(long["reason"], tmp_path, "window_s = 5 s", "the longest of 25 lasts 1", "Set window_s to 1 or less")
    (short,) = check_study(_epochs_study(shared, tmp_path, 1.0)).rows
    assert (short["status"], short["n_windows"]) == ("ok", 25)
    assert any("short windows" in note for note in short["notes"]), short["notes"]


@pytest.mark.parametrize("at", [3.6e6, 1e100])
def test_time_stamps_that_leave_hours_empty_are_refused(tmp_path: Path, at: float) -> None:
    stamps = np.arange(2000) / 100
    stamps[-1] = at
    make.write_xdf(
        tmp_path / "b.xdf", [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", np.arange(2000) / 100)]
    )
    people = {"therapist_channels": "stream:A", "client_channels": "stream:B"}
    words = ("b.xdf", "2000 samples", "h without any", "allowed are 3 h", "export each anew")
    refused(tmp_path, "b.xdf", "b.xdf", *words, **people)


@pytest.mark.parametrize("at", [0, -1])
def test_a_time_stamp_that_stands_alone_is_left_out_with_a_note(tmp_path: Path, at: int) -> None:
    stamps = 5000.0 + np.arange(2000) / 100
    stamps[at] += 3600.0 if at == 0 else -3600.0
    make.write_xdf(tmp_path / "t.xdf", [make.xdf_person(1, "A", stamps)])
    make.write_xdf(tmp_path / "c.xdf", [make.xdf_person(2, "B", 5000.0 + np.arange(2000) / 100)])
    people = {"therapist_channels": "stream:A", "client_channels": "stream:B"}
    pair = load(tmp_path, "t.xdf", "c.xdf", **people)
    assert pair.therapist.n_times == 1999
    make.check_note(pair.history, tmp_path, "t.xdf", "1 sample left out", "stands alone")


def test_time_stamps_that_do_not_rise_are_refused(tmp_path: Path) -> None:
    make.write_xdf(
        tmp_path / "b.xdf",
        [make.xdf_person(1, "A", np.full(2000, 7.0)), make.xdf_person(2, "B", np.arange(2000) / 100)],
    )
    people = {"therapist_channels": "stream:A", "client_channels": "stream:B"}
    refused(tmp_path, "b.xdf", "b.xdf", "b.xdf", "no usable sampling rate", "time stamps", **people)
