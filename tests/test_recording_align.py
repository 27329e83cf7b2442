"""Two recordings on the therapist's clock: samples, lengths, gaps and segments against truth."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from clock_fixtures import device, own_times, pair_of, paused, placed, refused, whole_partner
from hyperscan.errors import ClockError, ReadError
from hyperscan.recording import PairedRecording, Segment, align_pair, load_session
from hyperscan.schema import ROLES


@pytest.mark.parametrize(("sfreq", "offset", "ppm"), [(250.0, 3.3, 60.0), (250.0, -7.1, -95.0), (256.0, 0.4, 12.2)])
def test_the_client_is_put_on_the_therapists_samples(sfreq: float, offset: float, ppm: float) -> None:
    length = 600.0
    true_a = np.arange(round(length * 250)) / 250.0
    own = np.arange(round(length * sfreq)) / sfreq
    true_b = offset + own / (1 + 1e-6 * ppm)
    rng = np.random.default_rng(0)
    pulses = np.sort(rng.uniform(12, 580, 60))
    a = device(1, true_a, 250.0, pulses[rng.random(60) > 0.2])
    seen = pulses[rng.random(60) > 0.2]
    b = device(2, true_b, sfreq, (seen - offset) * (1 + 1e-6 * ppm))
    aligned = align_pair(pair_of(a, b, clock="triggers"))
    report = aligned.clock
    assert report.source == "triggers"
    assert report.offset_s == pytest.approx(offset, abs=1e-3)
    assert report.ppm == pytest.approx(ppm, abs=1.0)
    assert aligned.therapist.info["sfreq"] == aligned.client.info["sfreq"] == 250.0
    assert aligned.therapist.n_times == aligned.client.n_times
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    difference = np.std((x - y)[200:-200])
    # 1 ms at 10 Hz would be 0.044 of the rhythm
    assert difference < 0.03 * np.std(x)
    assert aligned.segments[0].duration_s == pytest.approx(aligned.therapist.n_times / 250.0, abs=0.01)


def test_offset_and_length() -> None:
    a, b = device(1, np.arange(10_000) / 250.0, 250.0), device(2, 2.5 + np.arange(12_000) / 250.0, 250.0)
    pair = pair_of(a, b, therapist_offset_s=100.0, client_offset_s=102.5)
    aligned = align_pair(pair)
    assert aligned.clock.source == "offset"
    assert aligned.clock.offset_s == 2.5
    assert aligned.client.n_times == 10_000 - 625
    np.testing.assert_allclose(aligned.client.get_data(), b.get_data()[:, :9375])
    np.testing.assert_allclose(aligned.therapist.get_data(), a.get_data()[:, 625:])
    assert aligned.segments[0].onset_s == 0.0
    assert any("common time" in note for note in aligned.clock.notes)
    assert pair.therapist.n_times == 10_000


def test_different_rates_go_to_the_lower() -> None:
    a, b = device(1, np.arange(51_200) / 512.0, 512.0), device(2, np.arange(25_000) / 250.0, 250.0)
    aligned = align_pair(pair_of(a, b, clock="same_amplifier"))
    assert aligned.therapist.info["sfreq"] == aligned.client.info["sfreq"] == 250.0
    assert "t.edf: the therapist was resampled from 512 to 250 Hz" in " ".join(aligned.history)
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    assert np.std((x - y)[50:-50]) < 0.03 * np.std(x)


def test_a_reset_clock_leaves_a_marked_gap() -> None:
    true = np.arange(250_000) / 250.0
    rng = np.random.default_rng(0)
    pulses = np.sort(rng.uniform(5, 980, 80))
    # the client lost 4 s between 500 and 504 s
    own = np.concatenate([np.arange(0, 500, 0.004), np.arange(504, 1000, 0.004)])
    b = device(2, own, 250.0, np.array([p if p < 500 else p - 4 for p in pulses if not 499 < p < 505]))
    aligned = align_pair(pair_of(device(1, true, 250.0, pulses), b, clock="triggers"))
    marks = aligned.client.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert gap["onset"] <= 500.0
    assert gap["onset"] + gap["duration"] >= 504.0 - 0.01
    assert gap["duration"] < 60.0
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    good = np.ones(len(x), bool)
    good[int(gap["onset"] * 250) - 20 : int((gap["onset"] + gap["duration"]) * 250) + 20] = False
    assert np.std((x - y)[good][50:-50]) < 0.03 * np.std(x)


def test_fnirs_keeps_its_samples() -> None:
    rng = np.random.default_rng(0)
    pulses = np.sort(rng.uniform(15, 1480, 60))
    rate_b, offset, ppm = 10.0, 4.26, 80.0
    a = mne.io.RawArray(
        rng.standard_normal((2, 11_718)),
        mne.create_info(["S1_D1 hbo", "S1_D1 hbr"], 7.8125, ["hbo", "hbr"]),
        verbose="ERROR",
    )
    b = mne.io.RawArray(
        rng.standard_normal((2, 15_000)),
        mne.create_info(["S1_D1 hbo", "S1_D1 hbr"], rate_b, ["hbo", "hbr"]),
        verbose="ERROR",
    )
    a.set_annotations(mne.Annotations(np.floor(pulses * 7.8125) / 7.8125, 0.0, "x"))
    b.set_annotations(mne.Annotations(np.floor((pulses - offset) * (1 + 1e-6 * ppm) * 10) / 10, 0.0, "y"))
    aligned = align_pair(pair_of(a, b, "fnirs", clock="triggers"))
    assert aligned.therapist.info["sfreq"] == 7.8125
    assert aligned.client.info["sfreq"] == pytest.approx(10.0, rel=2e-4)
    data = aligned.client.get_data()
    start = int(np.flatnonzero(np.isclose(b.get_data()[0], data[0, 0]))[0])
    np.testing.assert_array_equal(data, b.get_data()[:, start : start + data.shape[1]])
    assert aligned.clock.offset_s == pytest.approx(offset, abs=0.05)


def test_segments_outside_the_common_time() -> None:
    a, b = device(1, np.arange(5000) / 250.0, 250.0), device(2, np.arange(5000) / 250.0, 250.0)
    pair = pair_of(a, b, client_offset_s=15.0).replace(segments=(Segment(0.0, 10.0),))
    refused(pair, "c.edf", "lie outside")


def test_gaps_of_an_xdf_are_opened_beside_another_format(tmp_path: Path) -> None:
    whole_partner(tmp_path)
    own = own_times(4.0)
    stamps = 500.0 + own
    stream = make.xdf_person(3, "A", stamps, rate=250.0, data=paused(("Pz", "Oz"), own), labels=("Pz", "Oz"))
    mark = {"name": "M", "type": "Markers", "format": "string", "data": ["x"], "stamps": [525.0]}
    make.write_xdf(tmp_path / "c.xdf", [stream, mark])
    row = make.session(tmp_path, "t-raw.fif", "c.xdf", clock="offset", client_offset_s=0.0)
    pair = align_pair(load_session(row))
    marks = {name: (onset, length) for onset, length, name in zip(*annotated(pair.client), strict=True)}
    assert marks["BAD_gap"] == (pytest.approx(20.0, abs=0.01), pytest.approx(4.0, abs=0.02))
    assert marks["x"][0] == pytest.approx(25.0, abs=0.005)
    assert placed(pair, 1.0, 19.0) < 0.1
    assert placed(pair, 25.0, 58.0) < 0.1


def annotated(raw: mne.io.BaseRaw) -> tuple[np.ndarray, np.ndarray, list[str]]:
    kept = raw.annotations
    return kept.onset, kept.duration, list(kept.description)


@pytest.mark.parametrize("asked", ["talk", "speaks:client"])
@pytest.mark.parametrize("whose", ROLES)
@pytest.mark.parametrize(("row", "wanted"), [({}, [(30.0, 60.0)]), ({"start_s": 70.0, "stop_s": 90.0}, [(40.0, 20.0)])])
def test_events_of_either_recording_tell_the_same_segments(asked: str, whose: str, row: dict, wanted: list) -> None:
    rng = np.random.default_rng(0)
    info = mne.create_info(["Pz", "Oz"], 100.0, "eeg")
    raws = {role: mne.io.RawArray(1e-5 * rng.standard_normal((2, 20000)), info, verbose="error") for role in ROLES}
    # the client's recording begins 30 s after the therapist's, whose clock says 60 to 120 s
    onset = 60.0 if whose == "therapist" else 30.0
    names = ["talk"] if asked == "talk" else ["client_speaks", "therapist_speaks"]
    raws[whose].set_annotations(mne.Annotations([onset, onset + 80][: len(names)], 60.0, names))
    pair = PairedRecording.from_raws(
        *raws.values(), clock="offset", therapist_offset_s=0.0, client_offset_s=30.0, segment_event=asked, **row
    )
    aligned = align_pair(pair)
    assert [(round(part.onset_s, 6), round(part.duration_s, 6)) for part in aligned.segments] == wanted
    late = pair.replace(session=dataclasses.replace(pair.session, start_s=190.0))
    if whose == "client":
        with pytest.raises(ClockError, match="lies outside start_s and stop_s on the therapist's clock"):
            align_pair(late)


def test_two_devices_that_annotate_one_speaker_each_are_refused() -> None:
    info = mne.create_info(["Pz"], 100.0, "eeg")
    data = 1e-5 * np.random.default_rng(0).standard_normal((2, 1, 9000))
    raws = [mne.io.RawArray(each, info, verbose="error") for each in data]
    for raw, onset, name in zip(raws, (10.0, 40.0), ("therapist_speaks", "client_speaks"), strict=True):
        raw.set_annotations(mne.Annotations([onset], 20.0, name))
    asked = {"segment_event": "speaks:client"}
    with pytest.raises(ReadError, match="each recording annotates one of the two only"):
        PairedRecording.from_raws(*raws, clock="offset", client_offset_s=3.0, **asked)
    same = PairedRecording.from_raws(*raws, clock="same_amplifier", **asked)
    assert same.segments == (Segment(40.0, 20.0),)


def test_segments_lie_where_their_events_do_behind_samples_that_were_lost() -> None:
    info, rng = mne.create_info(["Pz", "Oz"], 100.0, "eeg"), np.random.default_rng(0)
    raws = [mne.io.RawArray(1e-5 * rng.standard_normal((2, 20000)), info, verbose="error") for _ in ROLES]
    raws[0].set_annotations(mne.Annotations([70.0], [30.0], ["talk"]))
    pair = PairedRecording.from_raws(*raws, clock="timestamps", segment_event="talk")
    stamps = np.arange(20000) / 100.0
    # 50 s were lost in the therapist's stream before the talk
    aligned = align_pair(pair.replace(stamps=(stamps + 50.0 * (stamps >= 50.0) + 7.0, stamps + 7.0)))
    talk = aligned.therapist.annotations[aligned.therapist.annotations.description == "talk"]
    assert (talk.onset[0], talk.duration[0]) == pytest.approx((120.0, 30.0))
    assert [(part.onset_s, part.duration_s) for part in aligned.segments] == [pytest.approx((120.0, 30.0))]
