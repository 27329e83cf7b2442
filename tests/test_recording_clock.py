"""One clock: triggers, time stamps, offsets; against truth, and refused where nothing aligns."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ClockError, DataQualityWarning
from hyperscan.recording import PairedRecording, Segment, align_pair, load_session
from hyperscan.recording.clocks.triggers import NoFitError, match_events
from hyperscan.recording.resampling import interpolate, lower_rate
from hyperscan.recording.timeline import find_breaks, fit_stamps

SESSION_S = 2700.0


def events_of_two_devices(seed: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """100 triggers in 45 min; each device misses 20 %, adds 10 %, and jitters by 1 ms."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, SESSION_S, 100))
    offset, ppm = rng.uniform(-10, 10), rng.uniform(-100, 100)

    def seen(true: np.ndarray) -> np.ndarray:
        kept = true[rng.random(100) > 0.2]
        return np.sort(np.concatenate([kept + rng.normal(0, 1e-3, len(kept)), rng.uniform(0, SESSION_S, 10)]))

    return seen(times), seen((times - offset) * (1 + 1e-6 * ppm)), offset, ppm


@pytest.mark.parametrize("seed", range(20))
def test_triggers_within_a_millisecond_and_a_ppm(seed: int) -> None:
    a, b, offset, ppm = events_of_two_devices(seed)
    fit = match_events(a, b)
    grid = np.arange(0.0, SESSION_S)
    error = fit.pieces[0].to_own(grid) - (grid - offset) * (1 + 1e-6 * ppm)
    assert np.sqrt(np.mean(error**2)) < 1e-3
    assert abs(fit.ppm - ppm) < 1.0
    assert len(fit.pieces) == 1
    assert 45 <= len(fit.matched) <= 80


def test_bouncing_triggers_change_nothing() -> None:
    a, b, *_ = events_of_two_devices(3)
    bouncing = np.sort(np.concatenate([a, a + 0.004, a + 0.011]))
    first, second = match_events(a, b), match_events(bouncing, b)
    assert second.offset_s == pytest.approx(first.offset_s, abs=1e-4)
    assert len(second.matched) == len(first.matched)


def test_a_clock_that_was_set_anew_gives_two_pieces() -> None:
    rng = np.random.default_rng(1)
    times = np.sort(rng.uniform(0, SESSION_S, 100))
    client = times - 2.0 - 7.5 * (times > 1200)
    fit = match_events(times, np.sort(client))
    assert len(fit.pieces) == 2
    assert float(fit.pieces[0].to_own(np.array(500.0))) == pytest.approx(498.0, abs=1e-6)
    assert float(fit.pieces[1].to_own(np.array(2000.0))) == pytest.approx(1990.5, abs=1e-6)
    assert any("set anew" in note for note in fit.notes)


def test_a_drift_that_changes_is_followed() -> None:
    rng = np.random.default_rng(2)
    times = np.sort(rng.uniform(0, SESSION_S, 150))
    bend = 0.008 * ((times - 1350) / 1350) ** 2
    fit = match_events(times, times - 3.0 + bend + rng.normal(0, 2e-4, 150))
    error = fit.pieces[0].to_own(times) - (times - 3.0 + bend)
    assert np.sqrt(np.mean(error**2)) < 3e-4
    assert any("smooth curve" in note for note in fit.notes)


def test_regular_triggers_cannot_be_told_apart_unless_something_helps() -> None:
    times = np.arange(0, 1000, 10.0)
    with pytest.raises(NoFitError, match="repeat regularly"):
        match_events(times, times[5:60])
    assert match_events(times, times[5:60], expected_s=0.2).offset_s == pytest.approx(0.0)
    names = [str(k) for k in np.random.default_rng(0).integers(0, 5, 100)]
    fit = match_events(times, times[5:60] - 3.0, names=(names, names[5:60]))
    assert fit.offset_s == pytest.approx(3.0)


def test_unrelated_events_do_not_fit() -> None:
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.uniform(0, 2000, 60)), np.sort(rng.uniform(0, 2000, 60))
    with pytest.raises(NoFitError, match="only"):
        match_events(a, b)


# ---- interpolation


def test_interpolation_against_the_continuous_signal() -> None:
    sfreq, n = 250.0, 5000
    rng = np.random.default_rng(0)
    freqs, phases = rng.uniform(1, 40, 20), rng.uniform(0, 6, 20)

    def signal(t: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * freqs[:, None] * t + phases[:, None]).sum(axis=0)

    for step in (1 + 80e-6, 1.0, 0.93):
        positions = 40.3 + step * np.arange(4000)
        found = interpolate(signal(np.arange(n) / sfreq)[None], positions)[0]
        assert np.abs(found - signal(positions / sfreq)).max() < 3e-3


def test_lower_rate_is_anti_aliased() -> None:
    t = np.arange(10_240) / 512.0
    low, rate = lower_rate(np.sin(2 * np.pi * 200 * t)[None], 512.0, 128.0)
    assert rate == 128.0
    assert np.abs(low[:, 50:-50]).max() < 1e-2
    low, _ = lower_rate(np.sin(2 * np.pi * 20 * t)[None], 512.0, 128.0)
    np.testing.assert_allclose(low[0, 50:-50], np.sin(2 * np.pi * 20 * np.arange(2560) / 128.0)[50:-50], atol=5e-3)


# ---- signals


def rhythm(t: np.ndarray) -> np.ndarray:
    """A 10-Hz rhythm of slowly wandering phase in V, on true time."""
    return 1e-5 * np.sin(2 * np.pi * (10 * t + 2 * np.sin(0.05 * t)))


def device(seed: int, own: np.ndarray, sfreq: float, events: np.ndarray | None = None) -> mne.io.BaseRaw:
    """Return what a device records at true times ``own``, and its triggers in s of its own clock."""
    rng = np.random.default_rng(seed)
    data = rhythm(own)[None] + 1e-7 * rng.standard_normal((2, len(own)))
    raw = mne.io.RawArray(data, mne.create_info(["Pz", "Oz"], sfreq, "eeg"), verbose="ERROR")
    if events is not None:
        raw.set_annotations(mne.Annotations(events, 0.0, "S1"), verbose="ERROR")
    return raw


def pair_of(a: mne.io.BaseRaw, b: mne.io.BaseRaw, modality: str = "eeg", **changes) -> PairedRecording:
    root = Path("/study")
    row = make.session(root, "t.edf", "c.edf", modality, **changes)
    return PairedRecording(a, b, row, (Segment(0.0, a.n_times / a.info["sfreq"], ""),))


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


def test_without_correction_the_same_drift_would_show() -> None:
    own = np.arange(150_000) / 250.0
    a, b = device(1, own, 250.0), device(2, own * (1 + 60e-6), 250.0)
    with pytest.warns(DataQualityWarning, match="nothing aligns"):
        aligned = align_pair(pair_of(a, b))
    assert aligned.clock.source == "assumed"
    assert np.isnan(aligned.clock.ppm)
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    assert np.std(x - y) > 0.3 * np.std(x)


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


def test_almost_equal_rates_are_a_drift() -> None:
    a, b = device(1, np.arange(50_000) / 500.0, 500.0), device(2, np.arange(50_000) / 499.99, 499.99)
    aligned = align_pair(pair_of(a, b, clock="same_amplifier"))
    assert aligned.clock.ppm == pytest.approx(-20.0, abs=0.1)
    assert aligned.client.info["sfreq"] == 500.0
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    assert np.std((x - y)[50:-50]) < 0.03 * np.std(x)


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


# ---- refusals


def refused(pair: PairedRecording, *words: str) -> None:
    with pytest.raises(ClockError) as caught:
        align_pair(pair)
    make.check_message(caught.value, Path("/study"), *words)


def test_clocks_that_cannot_be_used() -> None:
    a, b = device(1, np.arange(5000) / 250.0, 250.0), device(2, np.arange(5000) / 250.0, 250.0)
    refused(pair_of(a, b, clock="none"), "t.edf", "'none'")
    refused(pair_of(a, b, clock="timestamps"), "no time stamps")
    refused(pair_of(a, b, clock="offset"), "therapist_offset_s")
    refused(pair_of(a, b, clock="triggers"), "no events", "sync_event")
    refused(pair_of(a, b, clock="trigers"), "Did you mean 'triggers'?")
    refused(pair_of(a, b, client_offset_s=3600.0), "3600 s", "time zone")
    refused(pair_of(a, b, client_offset_s=500.0), "shares no time")


def test_too_large_a_drift_and_a_wrong_event() -> None:
    rng = np.random.default_rng(0)
    pulses = np.sort(rng.uniform(5, 990, 60))
    true = np.arange(100_000) / 100.0
    a, b = device(1, true, 100.0, pulses), device(2, true, 100.0, pulses * (1 + 450e-6))
    refused(pair_of(a, b, clock="triggers"), "450 ppm", "200 ppm")
    refused(pair_of(a, b, clock="triggers", sync_event="TTL"), "'TTL'", "'S1' (60)")


def test_dates_prove_nothing_unless_they_are_real() -> None:
    def dated(year: int, day: int, hour: int, seed: int) -> mne.io.BaseRaw:
        raw = device(seed, np.arange(5000) / 250.0, 250.0)
        return raw.set_meas_date(datetime.datetime(year, 3, day, hour, 7, 9, tzinfo=datetime.UTC))

    refused(pair_of(dated(2024, 1, 10, 1), dated(2024, 4, 10, 2)), "never")
    refused(pair_of(dated(2024, 1, 10, 1), dated(2024, 1, 11, 2)), "3600 s")
    early = device(3, np.arange(5000) / 250.0, 250.0)
    early.set_meas_date(datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))
    with pytest.warns(DataQualityWarning, match="nothing aligns"):
        aligned = align_pair(pair_of(dated(2024, 1, 10, 1), early))
    assert aligned.client.info["meas_date"] is None
    declared = align_pair(pair_of(dated(2024, 1, 10, 1), dated(2024, 4, 10, 2), clock="same_amplifier"))
    assert declared.clock.residual_ms == 0.0


def test_segments_outside_the_common_time() -> None:
    a, b = device(1, np.arange(5000) / 250.0, 250.0), device(2, np.arange(5000) / 250.0, 250.0)
    pair = pair_of(a, b, client_offset_s=15.0).replace(segments=(Segment(0.0, 10.0),))
    refused(pair, "c.edf", "lie outside")


def test_few_triggers_warn() -> None:
    a, b = (
        device(1, np.arange(5000) / 250.0, 250.0, np.array([3.0])),
        device(2, 1 + np.arange(5000) / 250.0, 250.0, np.array([2.0])),
    )
    with pytest.warns(DataQualityWarning, match="only 1 shared"):
        aligned = align_pair(pair_of(a, b, clock="triggers"))
    assert aligned.clock.offset_s == pytest.approx(1.0)
    assert np.isnan(aligned.clock.ppm)


# ---- time stamps


def test_jitter_of_transport_is_no_gap() -> None:
    rng = np.random.default_rng(0)
    n = 30_000
    stamps = np.arange(n) / 500.0 + np.repeat(rng.exponential(0.01, n // 20), 20)
    assert find_breaks(stamps, 500.0).size == 0
    # 10 ms of jitter over one minute know no better
    assert abs(fit_stamps(stamps, 500.0).ppm) < 60


def test_jumps_and_gaps_are_found() -> None:
    rng = np.random.default_rng(0)
    stamps = np.arange(30_000) / 500.0 + rng.normal(0, 2e-4, 30_000)
    stamps[10_000:] += 15.0
    stamps[20_000:] += 0.02
    assert list(find_breaks(stamps, 500.0)) == [10_000, 20_000]


def test_xdf_gap_drift_and_offset(tmp_path: Path) -> None:
    a = 1000.0 + np.arange(15_000) / 250.0
    b = 1002.0 + np.arange(13_000) / (250.0 * (1 + 40e-6))
    b[6000:] += 3.0
    streams = []
    for seed, name, true in ((1, "A", a), (2, "B", b)):
        data = 1e6 * (rhythm(true - 1000)[None] + 1e-7 * np.random.default_rng(seed).standard_normal((4, len(true))))
        streams.append(
            {"name": name, "type": "EEG", "rate": 250, "data": data, "stamps": true, "labels": make.CHANNELS}
        )
    # the client's computer runs 123.456 s behind, as its clock offsets say
    streams[1] |= {"stamps": b - 123.456, "clock_offset": 123.456}
    make.write_xdf(tmp_path / "b.xdf", streams)
    row = make.session(tmp_path, "b.xdf", "b.xdf", therapist_channels="stream:A", client_channels="stream:B")
    aligned = align_pair(load_session(row))
    assert aligned.clock.source == "timestamps"
    assert aligned.clock.offset_s == pytest.approx(2.0, abs=1e-4)
    assert aligned.clock.ppm == pytest.approx(40.0, abs=2.0)
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    marks = aligned.client.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert (gap["onset"], gap["duration"]) == (pytest.approx(24.0, abs=0.02), pytest.approx(3.0, abs=0.02))
    good = np.ones(len(x), bool)
    good[int(gap["onset"] * 250) - 20 : int((gap["onset"] + gap["duration"]) * 250) + 20] = False
    assert np.std((x - y)[good][50:-50]) < 0.03 * np.std(x)


def test_derived_two_person_xdf_against_its_truth(shared: Path) -> None:
    folder = shared / "data" / "xdf"
    truth = json.loads((folder / "derived_two_person.truth.json").read_text())
    row = make.session(
        folder,
        "derived_two_person.xdf",
        "derived_two_person.xdf",
        therapist_channels="stream:EEG_A",
        client_channels="stream:EEG_B",
    )
    pair = load_session(row)
    aligned = align_pair(pair)
    assert 1e3 * abs(aligned.clock.offset_s - truth["true_start_B_minus_A_s"]) < 1.0
    assert aligned.clock.residual_ms < 1.0
    assert abs(aligned.clock.ppm) < 1.0
    for raw in (aligned.therapist, aligned.client):
        found = dict(zip(raw.annotations.description, raw.annotations.onset, strict=True))
        for name, onset in truth["markers"].items():
            assert found[name] == pytest.approx(onset, abs=1e-3)
    assert aligned.client.n_times == truth["n_B"]


# ---- pauses: time that was not recorded must not move what follows


def paused(names: tuple[str, ...], own: np.ndarray) -> np.ndarray:
    """Return the rhythm at true times, in microvolts."""
    noise = 4e-7 * np.random.default_rng(7).standard_normal((len(names), len(own)))
    return 1e6 * (rhythm(own)[None] + noise)


def placed(pair: PairedRecording, first: float, stop: float) -> float:
    """Return the difference of the two people's rhythms from a time to another, as a share of the rhythm."""
    x, y = (raw.get_data(tmin=first, tmax=stop)[0] for raw in (pair.therapist, pair.client))
    return float(np.std(x - y) / np.std(x))


def whole_partner(root: Path, seconds: float = 60.0) -> None:
    raw = device(1, np.arange(round(seconds * 250)) / 250.0, 250.0)
    raw.save(root / "t-raw.fif", overwrite=True, verbose="ERROR")


def own_times(lost: float) -> np.ndarray:
    """60 s at 250 Hz of which some after 20 s were not recorded."""
    true = np.arange(15_000) / 250.0
    return true[(true < 20.0) | (true >= 20.0 + lost)]


def write_paused_vhdr(root: Path, lost: float, second: str) -> None:
    own = own_times(lost)
    make.write_brainvision(root / "c.vhdr", sfreq=250.0, names=("Pz", "Oz"), data=paused(("Pz", "Oz"), own))
    marks = (root / "c.vmrk").read_text(encoding="utf-8").split("Mk2=")[0]
    marks = marks.replace("20240101120000000000", "20240101100000000000")
    marks += f"Mk2=New Segment,,5001,1,0{second}\r\nMk3=Stimulus,S  1,5251,1,0\r\n"
    (root / "c.vmrk").write_text(marks, encoding="utf-8")


def write_paused_set(root: Path, lost: float, duration: float) -> None:
    events = [("boundary", 5000.5, duration), ("S 1", 5251.0, 1.0)]
    data = paused(("Pz", "Oz"), own_times(lost))
    make.write_set(root / "c.set", sfreq=250.0, names=("Pz", "Oz"), data=data, events=events)


def write_paused_edf(root: Path, lost: float, digits: int) -> None:
    data = paused(("Pz", "Oz"), own_times(lost))
    data = data[:, : data.shape[1] // 250 * 250]
    # a long text makes room for decimals in the times of the records
    marks = [(3.0, "quite a long text"), (25.0, "S 1")]
    make.write_edf(root / "c.edf", sfreq=250.0, names=("Pz", "Oz"), data=data, annotations=marks, record_s=1.0)
    content = (root / "c.edf").read_bytes().replace(b"EDF+C", b"EDF+D", 1)
    for k in reversed(range(20, 60)):
        old, new = f"+{k}\x14\x14".encode(), f"+{k + lost:.{digits}f}\x14\x14".encode()
        # an annotation may stand behind the time of the record
        pattern = re.escape(old) + rb"((?:\x00\+[^\x00]+)?)" + re.escape(bytes(len(new) - len(old)))
        content = re.sub(pattern, lambda found, new=new: new + found[1], content)
    (root / "c.edf").write_bytes(content)


@pytest.mark.parametrize("lost", [4.0, 7.5])
@pytest.mark.parametrize("kind", ["vhdr", "set", "edf"])
def test_a_pause_of_known_length_is_put_back(tmp_path: Path, kind: str, lost: float) -> None:
    whole_partner(tmp_path)
    if kind == "vhdr":
        stamp = f"202401011000{20 + lost:09.6f}".replace(".", "")
        write_paused_vhdr(tmp_path, lost, f",{stamp}")
    elif kind == "set":
        write_paused_set(tmp_path, lost, lost * 250)
    else:
        write_paused_edf(tmp_path, lost, 3)
    row = make.session(tmp_path, "t-raw.fif", f"c.{kind}", clock="offset", client_offset_s=0.0)
    loaded = load_session(row)
    assert any("marked as bad" in note for note in loaded.history), loaded.history
    pair = align_pair(loaded)
    assert pair.client.n_times == pytest.approx(15_000, abs=250)
    marks = pair.client.annotations
    (at,) = np.flatnonzero(marks.description == "BAD_gap")
    assert (marks.onset[at], marks.duration[at]) == (pytest.approx(20.0, abs=0.005), pytest.approx(lost, abs=0.005))
    (event,) = [onset for onset, name in zip(marks.onset, marks.description, strict=True) if "S" in name]
    # EDF+ tells when it was, the others at which sample
    assert event == pytest.approx(25.0 if kind == "edf" else 21.0 + lost, abs=0.005)
    assert placed(pair, 1.0, 19.0) < 0.1
    assert placed(pair, 21.0 + lost, 58.0) < 0.1
    assert not [name for name in marks.description if name in ("BAD_boundary", "BAD_unplaced")]


def test_a_pause_longer_than_the_rest_of_the_file_is_put_back(tmp_path: Path) -> None:
    whole_partner(tmp_path, 300.0)
    write_paused_set(tmp_path, 4.0, 200.0 * 250)
    row = make.session(tmp_path, "t-raw.fif", "c.set", clock="offset", client_offset_s=0.0)
    assert load_session(row).client.n_times == 14_000 + 50_000


def test_what_was_cut_at_the_beginning_is_put_back(tmp_path: Path) -> None:
    whole_partner(tmp_path)
    own = np.arange(1250, 15_000) / 250.0
    events = [("boundary", 0.5, 1250.0)]
    make.write_set(tmp_path / "c.set", sfreq=250.0, names=("Pz", "Oz"), data=paused(("Pz", "Oz"), own), events=events)
    pair = align_pair(load_session(make.session(tmp_path, "t-raw.fif", "c.set", clock="offset", client_offset_s=0.0)))
    assert pair.client.annotations.duration[0] == pytest.approx(5.0)
    assert placed(pair, 6.0, 58.0) < 0.1


@pytest.mark.parametrize("kind", ["vhdr", "set"])
def test_a_pause_of_unknown_length_is_never_guessed(tmp_path: Path, kind: str) -> None:
    whole_partner(tmp_path)
    if kind == "vhdr":
        write_paused_vhdr(tmp_path, 4.0, "")
    else:
        write_paused_set(tmp_path, 4.0, float("nan"))
    changes = {"clock": "offset", "client_offset_s": 0.0}
    with pytest.warns(DataQualityWarning, match="cannot be placed") as heard:
        pair = align_pair(load_session(make.session(tmp_path, "t-raw.fif", f"c.{kind}", **changes)))
    make.check_message(heard[0].message, tmp_path, f"c.{kind}", "paused at 20.0 s", "36.0 s that follow", "stop_s")
    marks = pair.client.annotations
    (at,) = np.flatnonzero(marks.description == "BAD_unplaced")
    assert marks.onset[at] == pytest.approx(20.0, abs=0.01)
    assert marks.onset[at] + marks.duration[at] == pytest.approx(pair.client.n_times / 250.0, abs=0.01)
    assert "BAD_boundary" in marks.description
    assert any("cannot be placed" in note for note in pair.history)
    # the part before the pause is not touched by it: no warning
    before = align_pair(load_session(make.session(tmp_path, "t-raw.fif", f"c.{kind}", stop_s=18.0, **changes)))
    assert "BAD_unplaced" not in before.client.annotations.description


def test_events_place_what_follows_a_pause_of_unknown_length() -> None:
    true = np.arange(250_000) / 250.0
    rng = np.random.default_rng(0)
    pulses = np.sort(rng.uniform(5, 980, 80))
    own = true[(true < 500) | (true >= 504)]
    seen = np.array([p if p < 500 else p - 4 for p in pulses if not 499 < p < 505])
    mark = mne.Annotations(500.0 - 1 / 250, 2 / 250, "BAD_boundary")

    def aligned(events: np.ndarray) -> PairedRecording:
        b = device(2, own, 250.0, events)
        b.set_annotations(b.annotations + mark)
        return align_pair(pair_of(device(1, true, 250.0, pulses), b, clock="triggers"))

    pair = aligned(seen)
    assert "BAD_unplaced" not in pair.client.annotations.description
    assert placed(pair, 520.0, 900.0) < 0.1
    with pytest.warns(DataQualityWarning, match="cannot be placed"):
        pair = aligned(seen[seen < 500.0])
    assert "BAD_unplaced" in pair.client.annotations.description


def test_one_cut_in_both_people_moves_nothing() -> None:
    a, b = (device(k, np.arange(10_000) / 250.0, 250.0) for k in (1, 2))
    for raw in (a, b):
        raw.set_annotations(mne.Annotations(20.0 - 1 / 250, 2 / 250, "BAD_boundary"))
    pair = align_pair(pair_of(a, b, clock="same_amplifier"))
    assert "BAD_unplaced" not in pair.client.annotations.description


# ---- triggers that could be guessed wrongly


def reset_devices(seed: int, reset_s: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """As above, but the client's clock is set back in the middle."""
    rng = np.random.default_rng([1, seed])
    true = np.sort(rng.uniform(0, SESSION_S, 100))
    offset, ppm = rng.uniform(-10, 10), rng.uniform(-100, 100)
    own = (true - offset) * (1 + 1e-6 * ppm) - reset_s * (true > SESSION_S / 2)

    def seen(times: np.ndarray) -> np.ndarray:
        kept = times[rng.random(100) > 0.2]
        return np.sort(np.concatenate([kept + rng.normal(0, 1e-3, len(kept)), rng.uniform(0, SESSION_S, 10)]))

    return seen(true), seen(own), offset, ppm


@pytest.mark.parametrize("reset_s", [7.5, 0.3, 0.06])
@pytest.mark.parametrize("seed", range(4))
def test_a_reset_in_the_middle_is_followed(seed: int, reset_s: float) -> None:
    a, b, offset, ppm = reset_devices(seed, reset_s)
    fit = match_events(a, b)
    assert len(fit.pieces) == 2
    for piece, grid, shift in (
        (fit.pieces[0], np.arange(0.0, 1290.0), 0.0),
        (fit.pieces[1], np.arange(1410.0, SESSION_S), reset_s),
    ):
        error = piece.to_own(grid) - ((grid - offset) * (1 + 1e-6 * ppm) - shift)
        assert np.sqrt(np.mean(error**2)) < 1e-3


@pytest.mark.parametrize("period", [10.0, 27.0])
def test_regular_triggers_with_missing_ones_are_refused(period: float) -> None:
    rng = np.random.default_rng(0)
    times = 3.0 + period * np.arange(60)
    a, b = times[rng.random(60) > 0.2], times[rng.random(60) > 0.2] - 2.0
    with pytest.raises(NoFitError, match="repeat regularly"):
        match_events(a, b)


@pytest.mark.parametrize("seed", range(15))
def test_two_of_five_are_no_match(seed: int) -> None:
    """With the drift to move in, two of five unrelated events often fit by chance: never a wrong offset."""
    rng = np.random.default_rng(seed)
    true = np.sort(rng.uniform(0, SESSION_S, 5))
    a = np.sort(np.concatenate([true[:2], rng.uniform(0, SESSION_S, 3)]))
    b = np.sort(np.concatenate([true[:2] - 4.0, rng.uniform(0, SESSION_S, 3)]))
    with pytest.raises(NoFitError):
        match_events(a, b)
    fit = match_events(true, true - 4.0 + rng.normal(0, 1e-3, 5))
    assert fit.offset_s == pytest.approx(4.0, abs=0.01)
    assert len(fit.matched) == 5


def test_a_stretch_without_partners_is_left_out() -> None:
    rng = np.random.default_rng(5)
    a = np.sort(rng.uniform(0, SESSION_S, 100))
    b = np.sort(np.where(a > 1500, a - 3.0 + rng.uniform(-5, 5, 100), a - 3.0))
    fit = match_events(a, b)
    assert fit.pieces[-1].stop < 1500
    assert any("no event of either device has a partner" in note for note in fit.notes)


# ---- XDF beside a recording without time stamps


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
