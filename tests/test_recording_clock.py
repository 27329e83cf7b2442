"""One clock: triggers, time stamps, offsets; against truth, and refused where nothing aligns."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ClockError, DataQualityWarning
from hyperscan.recording import PairedRecording, Segment, align_pair, load_session
from hyperscan.recording.resample import interpolate, lower_rate
from hyperscan.recording.stamps import find_breaks, fit_stamps
from hyperscan.recording.triggers import NoFitError, match_events

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
