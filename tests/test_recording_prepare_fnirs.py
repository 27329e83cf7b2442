"""The fNIRS chain: short channels stay with their person, truth recovered, shared scalp waves gone."""

from __future__ import annotations

import dataclasses

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import ClockError, ConfigError, DataQualityWarning, QualityError
from hyperscan.recording.cleaning.events import event_regressors, haemodynamic_response
from hyperscan.recording.cleaning.fnirs import differential_pathlength
from hyperscan.recording.cleaning.light import motion_seconds, noise_floor, regress_out, scalp_part, source_detector_mm
from hyperscan.recording.cleaning.prepare import preprocess_pair
from prepare_fixtures import (
    EXTINCTION,
    PPF,
    Probe,
    band_limited,
    fingerprint,
    fnirs_pair,
    fnirs_raw,
    one_over_f,
    optical,
    pair_of,
    session_of,
    slow,
)

CONFIG = StudyConfig()
WITHOUT = dataclasses.replace(CONFIG, fnirs_short_regression=False)
BAND = (0.02, 0.10)


def _hbo(raw):
    return raw.get_data(picks=[name for name in raw.ch_names if name.endswith("hbo")])


def _correlation(a, b):
    return float(np.mean([abs(np.corrcoef(x, y)[0, 1]) for x in a for y in b]))


def _to_truth(raw, truth, sfreq=8.0):
    expected = band_limited(truth[:, :: round(sfreq / 2)], 2.0, BAND)
    found = band_limited(_hbo(raw), 2.0, BAND)[:, : expected.shape[1]]
    inside = slice(60, -60)
    return float(np.mean([np.corrcoef(x[inside], y[inside])[0, 1] for x, y in zip(found, expected, strict=True)]))


def test_truth_is_recovered_and_in_molar():
    pair, truth = fnirs_pair(0, scalp_m=0.0)
    prepared = preprocess_pair(pair, WITHOUT)
    assert prepared.therapist.ch_names[:2] == ["S1_D1 hbo", "S1_D1 hbr"]
    assert prepared.therapist.info["sfreq"] == prepared.client.info["sfreq"] == 2.0
    assert prepared.therapist.n_times == prepared.client.n_times == 600
    for role, own in zip(("therapist", "client"), truth, strict=True):
        assert _to_truth(prepared.raw(role), own) > 0.95
        exact = preprocess_pair(pair, dataclasses.replace(WITHOUT, fnirs_tddr=False)).raw(role)
        assert _hbo(exact).std() == pytest.approx(own.std(), rel=0.05)
        # motion correction shrinks large slopes somewhat
        assert 0.7 < _hbo(prepared.raw(role)).std() / own.std() < 1.05
    hbr = prepared.therapist.get_data(picks=["S1_D1 hbr"])[0]
    assert np.corrcoef(_hbo(prepared.therapist)[0], hbr)[0, 1] < -0.8


def test_scalp_waves_of_both_people_are_removed_with_their_synchrony():
    pair, truth = fnirs_pair(1, 600.0, common=1.0)
    before, after = preprocess_pair(pair, WITHOUT), preprocess_pair(pair, CONFIG)
    assert _to_truth(before.therapist, truth[0]) < 0.6
    assert _to_truth(after.therapist, truth[0]) > 0.9
    shared = [
        _correlation(*(band_limited(_hbo(p.raw(role)), 2.0, BAND) for role in ("therapist", "client")))
        for p in (before, after)
    ]
    chance = []
    for seed in range(40, 44):
        other = preprocess_pair(fnirs_pair(seed, 600.0)[0], CONFIG)
        chance.append(_correlation(*(band_limited(_hbo(other.raw(r)), 2.0, BAND) for r in ("therapist", "client"))))
    assert shared[0] > 0.6
    assert shared[1] < np.mean(chance) + 3 * np.std(chance, ddof=1)
    assert before.therapist.ch_names == after.therapist.ch_names
    assert after.quality.therapist["short_r2"] > 0.7
    assert before.quality.therapist["short_r2"] == pytest.approx(after.quality.therapist["short_r2"])
    assert any("2 short channels of the same person" in line for line in after.history)
    assert any("not regressed out" in line for line in before.history)


def test_other_persons_scalp_never_enters():
    """Two people in one raw, same montage: a wave of the therapist must not show up in the client."""
    rng = np.random.default_rng(2)
    n, sfreq = 4800, 8.0
    people = (Probe(first=1), Probe(first=101))
    wave = 5e-6 * np.sin(2 * np.pi * 0.05 * np.arange(n) / sfreq)
    own = [wave, 1e-6 * slow(n, sfreq, rng)]
    halves = [
        fnirs_raw(
            optical(0.3e-6 * np.array([slow(n, sfreq, rng) for _ in range(4)]), scalp, probe, sfreq, rng),
            probe,
        )
        for scalp, probe in zip(own, people, strict=True)
    ]
    both = halves[0].copy().add_channels([halves[1].copy()], force_update_info=True)
    client = both.copy().pick([name for name in both.ch_names if name.startswith("S10")])
    therapist = both.copy().pick([name for name in both.ch_names if not name.startswith("S10")])
    prepared = preprocess_pair(pair_of(therapist, client, "fnirs"))
    plain = preprocess_pair(pair_of(therapist, client, "fnirs"), WITHOUT)

    def amplitude(raw):
        x = _hbo(raw)[:, 60:-60]
        t = np.arange(x.shape[1]) / 2.0
        return float(np.abs(x @ np.exp(-2j * np.pi * 0.05 * t)).mean() * 2 / x.shape[1])

    assert amplitude(plain.therapist) > 3e-6
    assert amplitude(prepared.therapist) < 0.1 * amplitude(plain.therapist)
    assert amplitude(prepared.client) < 1.2 * amplitude(plain.client)
    alone = preprocess_pair(pair_of(halves[0], halves[1], "fnirs"))
    np.testing.assert_allclose(_hbo(prepared.client), _hbo(alone.client), atol=1e-12)


def test_short_channels_match_by_wavelength():
    rng = np.random.default_rng(3)
    waves = rng.standard_normal((2, 1000))
    data = np.stack([2 * waves[0], 3 * waves[1], waves[0] + 5, waves[1] - 5])
    part = scalp_part(data, ["760", "850", "760", "850"], np.array([False, False, True, True]))
    np.testing.assert_allclose(part[:2], data[:2] - data[:2].mean(1, keepdims=True), atol=1e-10)
    np.testing.assert_array_equal(part[2:], 0)
    only = scalp_part(data[:3], ["760", "850", "760"], np.array([False, False, True]))
    np.testing.assert_array_equal(only[1], 0)


def test_regression_is_ordinary_least_squares():
    rng = np.random.default_rng(4)
    y, x = rng.standard_normal((3, 500)), rng.standard_normal((2, 500))
    design = np.stack([np.ones(500), *x], -1)
    expected = y - (design @ np.linalg.solve(design.T @ design, design.T @ y.T)).T
    np.testing.assert_allclose(regress_out(y, x)[0], expected + y.mean(-1, keepdims=True), atol=1e-10)
    twice = regress_out(y, np.concatenate([x, x]))[0]
    np.testing.assert_allclose(twice, regress_out(y, x)[0], atol=1e-8)


def test_inputs_are_not_changed():
    pair, _ = fnirs_pair(5)
    pair.therapist._data[0, :50] = np.nan
    for ch in pair.client.info["chs"]:
        ch["loc"][:9] *= 1000
    before = fingerprint(pair)
    places = [ch["loc"].copy() for ch in pair.client.info["chs"]]
    preprocess_pair(pair)
    assert fingerprint(pair) == before
    for ch, place in zip(pair.client.info["chs"], places, strict=True):
        np.testing.assert_array_equal(ch["loc"], place)


def test_jumps_are_corrected():
    pair, truth = fnirs_pair(6, scalp_m=0.0)
    clean = _to_truth(preprocess_pair(pair, WITHOUT).therapist, truth[0])
    rng = np.random.default_rng(0)
    for raw in (pair.therapist, pair.client):
        for at in (600, 1100, 1700):
            raw._data[:, at:] *= np.exp(0.15 * rng.choice([-1, 1]))
    kept = StudyConfig(fnirs_min_sci=0.0, fnirs_short_regression=False)
    plain = _to_truth(preprocess_pair(pair, dataclasses.replace(kept, fnirs_tddr=False)).therapist, truth[0])
    corrected = preprocess_pair(pair, kept)
    assert plain < 0.9 * clean
    assert _to_truth(corrected.therapist, truth[0]) > 0.97 * clean
    assert corrected.quality.therapist["motion"] == pytest.approx(3 / 300, abs=0.02)
    assert corrected.quality.therapist["motion_overlap"] > 0.005


def test_poor_contact_falls_with_both_wavelengths():
    pair, _ = fnirs_pair(7)
    rng = np.random.default_rng(0)
    pair.client._data[3] = np.exp(0.01 * rng.standard_normal(pair.client.n_times))
    prepared = preprocess_pair(pair)
    assert "scalp coupling index" in prepared.quality.dropped["client"]["S2_D2"]
    assert [name for name in prepared.client.ch_names if name.startswith("S2_D2")] == []
    assert prepared.quality.client["channels_kept"] == 3
    assert prepared.quality.client["channels_total"] == 4
    assert len(prepared.therapist.ch_names) == 8


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda x: np.where(np.arange(x.size) == 900, -1.0, x), "zero or negative"),
        (lambda x: np.where(np.arange(x.size) % 3 == 0, np.nan, x), "no value"),
        (np.ones_like, "flat"),
        (lambda x: np.minimum(x, np.quantile(x, 0.5)), "saturated"),
    ],
)
def test_unusable_intensity_is_left_out(spoil, reason):
    pair, _ = fnirs_pair(8)
    pair.therapist._data[1] = spoil(pair.therapist.get_data()[1])
    dropped = preprocess_pair(pair).quality.dropped["therapist"]
    assert list(dropped) == ["S1_D1"]
    assert reason in dropped["S1_D1"]


def test_short_gaps_are_bridged_and_marked():
    pair, _ = fnirs_pair(9)
    pair.therapist._data[:, 800:840] = np.nan
    prepared = preprocess_pair(pair)
    assert prepared.quality.therapist["channels_kept"] == 4
    assert np.isfinite(prepared.therapist.get_data()).all()
    marks = [(a["onset"], a["duration"]) for a in prepared.therapist.annotations if a["description"] == "BAD_missing"]
    assert marks == [(100.0, 5.0)]
    assert prepared.quality.therapist["clean_seconds"] == pytest.approx(295.0)


def test_one_wavelength_missing():
    pair, _ = fnirs_pair(10)
    pair.client.drop_channels(["S3_D3 850"])
    prepared = preprocess_pair(pair)
    assert "wavelengths 760 nm" in prepared.quality.dropped["client"]["S3_D3"]
    lone = fnirs_pair(10)[0]
    lone.client.pick([name for name in lone.client.ch_names if name.endswith("760")])
    with pytest.raises(QualityError, match="only one wavelength"):
        preprocess_pair(lone)


def test_no_short_channels_is_loud():
    pair, _ = fnirs_pair(11, probe=Probe(n_short=0))
    with pytest.warns(DataQualityWarning, match="no short channels in therapist and client"):
        prepared = preprocess_pair(pair)
    assert np.isnan(prepared.quality.therapist["short_r2"])
    assert any("no short channels" in line for line in prepared.history)


def test_distance_in_mm_zero_or_absent():
    pair, _ = fnirs_pair(12)
    expected = preprocess_pair(pair)
    in_mm, _ = fnirs_pair(12)
    for raw in (in_mm.therapist, in_mm.client):
        for ch in raw.info["chs"]:
            ch["loc"][:9] *= 1000
    np.testing.assert_allclose(source_detector_mm(in_mm.client)[:2], 30.0)
    found = preprocess_pair(in_mm)
    np.testing.assert_allclose(_hbo(found.client), _hbo(expected.client), rtol=1e-6, atol=1e-12)
    assert any("stored in mm" in line for line in found.history)
    for value in (0.0, np.nan):
        nowhere, _ = fnirs_pair(12)
        for raw in (nowhere.therapist, nowhere.client):
            for ch in raw.info["chs"]:
                ch["loc"][:9] = value
        with pytest.warns(DataQualityWarning, match="no optode positions|no short channels"):
            blind = preprocess_pair(nowhere)
        assert blind.quality.therapist["channels_kept"] == 6
        assert _hbo(blind.therapist).std() > 0


def _as_haemoglobin(pair, kinds=("hbo", "hbr")):
    raws = []
    for raw in (pair.therapist, pair.client):
        density = mne.preprocessing.nirs.optical_density(raw, verbose="error")
        raws.append(mne.preprocessing.nirs.beer_lambert_law(density, PPF).pick(list(kinds), verbose="error"))
    return pair_of(*raws, "fnirs")


def test_haemoglobin_input_skips_and_says_so():
    pair, _ = fnirs_pair(13, scalp_m=0.0, probe=Probe(n_short=0))
    config = dataclasses.replace(WITHOUT, fnirs_tddr=False)
    found = []
    for given in (pair, _as_haemoglobin(pair), _as_haemoglobin(pair, ("hbo",))):
        with pytest.warns(DataQualityWarning, match="no short channels"):
            found.append(preprocess_pair(given, config))
    light, blood, only = found
    np.testing.assert_allclose(_hbo(blood.client), _hbo(light.client), atol=1e-10)
    assert any(line.startswith("haemoglobin as recorded") for line in blood.history)
    assert np.isnan(blood.quality.client["sci"])
    assert set(only.therapist.get_channel_types()) == {"hbo"}
    assert any("HbO only" in line for line in only.history)


def test_pathlength_by_age():
    # adult heads: 5.9 at 807 nm, Duncan et al. 1996, https://doi.org/10.1203/00006450-199605000-00025
    assert differential_pathlength(807.0, 26.0) == pytest.approx(4.99 + 0.067 * 26**0.814, abs=0.1)
    pair, _ = fnirs_pair(17)
    by_age = dataclasses.replace(CONFIG, fnirs_ppf="age")
    with pytest.raises(QualityError, match=r"client's age in years .column client_age of dyads.tsv.*found None"):
        preprocess_pair(pair.replace(session=session_of("fnirs", covariates={"therapist_age": 50})), by_age)
    with pytest.raises(QualityError, match="found 1984"):
        preprocess_pair(
            pair.replace(session=session_of("fnirs", covariates={"therapist_age": 50, "client_age": 1984})), by_age
        )
    ages = {"therapist_age": 50.0, "client_age": 7}
    found = preprocess_pair(pair.replace(session=session_of("fnirs", covariates=ages)), by_age)
    plain = preprocess_pair(pair, CONFIG)
    for role in ("therapist", "client"):
        factors = differential_pathlength([760.0, 850.0], ages[f"{role}_age"])
        # density = extinction times concentration times path, so concentrations of one factor become those of two
        blood = [plain.raw(role).get_data(picks=[f"S1_D1 {kind}"])[0] for kind in ("hbo", "hbr")]
        density = EXTINCTION @ blood * PPF
        expected = np.linalg.solve(EXTINCTION * factors[:, None], density)
        np.testing.assert_allclose(
            found.raw(role).get_data(picks=["S1_D1 hbo"])[0], expected[0], atol=2e-3 * expected.std()
        )
    assert any("client: haemoglobin" in line and "by age" in line for line in found.history)
    with pytest.raises(ConfigError, match=r"expected a number from 0\.01 to 100, or 'age'"):
        StudyConfig(fnirs_ppf="ages")
    assert StudyConfig.from_mapping(by_age.to_dict()) == by_age


def test_mixed_levels_are_refused():
    pair, _ = fnirs_pair(14)
    blood = _as_haemoglobin(pair)
    with pytest.raises(QualityError, match="therapist's file holds intensity, the client's haemoglobin"):
        preprocess_pair(pair.replace(client=blood.client))
    with pytest.raises(QualityError, match="found no fNIRS channel"):
        preprocess_pair(
            pair.replace(client=mne.io.RawArray(np.zeros((1, 2400)), mne.create_info(1, 8.0, "eeg"), verbose="error"))
        )


def test_two_rates_come_to_one_grid():
    rng = np.random.default_rng(15)
    probe = Probe()
    fine = 40.0
    n = round(300 * fine)
    hbo = 0.5e-6 * np.array([slow(n, fine, rng) for _ in range(4)])
    density = optical(hbo, 1e-7 * slow(n, fine, rng), probe, fine, rng)
    raws = [fnirs_raw(density[:, ::step], probe, fine / step) for step in (4, 5)]
    prepared = preprocess_pair(pair_of(*raws, "fnirs"))
    a, b = _hbo(prepared.therapist), _hbo(prepared.client)
    assert a.shape == b.shape == (4, 600)
    assert min(np.corrcoef(x[20:-20], y[20:-20])[0, 1] for x, y in zip(a, b, strict=True)) > 0.98


def test_clock_error_of_more_than_a_sample_is_refused():
    pair, _ = fnirs_pair(16)
    late = pair.replace(clock=dataclasses.replace(pair.clock, residual_ms=600.0))
    with pytest.raises(ClockError, match="600 ms after alignment"):
        preprocess_pair(late)
    preprocess_pair(pair.replace(clock=dataclasses.replace(pair.clock, residual_ms=400.0)))


def test_events_are_regressed_out_of_both():
    pair, _ = fnirs_pair(17, 600.0, scalp_m=0.0)
    onsets = np.array([40.0, 110.0, 190.0, 260.0, 350.0, 420.0, 500.0])
    density = event_regressors({"turn": [(t, 20.0) for t in onsets]}, pair.therapist.n_times, 8.0)[0]
    evoked = 3e-6 * density / density.max()
    for raw in (pair.therapist, pair.client):
        for row in range(8):
            raw._data[row] *= np.exp(-EXTINCTION[row % 2] @ np.array([evoked, -evoked / 3]) * 30 * PPF)
    pair.therapist.set_annotations(mne.Annotations([*onsets, 5.0], [*[20.0] * 7, 3.0], [*["turn"] * 7, "BAD_x"]))
    cleaned = preprocess_pair(pair, WITHOUT)
    left = preprocess_pair(pair, dataclasses.replace(WITHOUT, fnirs_regress_events=False))
    together = [_correlation(_hbo(p.therapist), _hbo(p.client)) for p in (left, cleaned)]
    assert together[0] > 0.6
    assert together[1] < 0.2
    assert any("'turn' (7)" in line and "BAD" not in line for line in cleaned.history)
    ignoring = preprocess_pair(pair.replace(session=dataclasses.replace(pair.session, segment_event="turn")), WITHOUT)
    assert any("no annotated events" in line for line in ignoring.history)


def test_response_to_events_has_its_known_shape():
    times = np.arange(0, 40, 0.1)
    response = haemodynamic_response(times)
    assert times[response.argmax()] == pytest.approx(5.0, abs=0.11)
    assert response.max() == 1.0
    assert -0.12 < response.min() < -0.05
    assert 14 < times[response.argmin()] < 17
    assert event_regressors({}, 100, 2.0).shape == (0, 100)


def test_motion_and_noise_measures():
    rng = np.random.default_rng(18)
    x = 1e-3 * rng.standard_normal((6, 8000))
    assert motion_seconds(x, 8.0).mean() < 0.01
    x[:, 4000:] += 0.1
    assert np.flatnonzero(motion_seconds(x, 8.0)).tolist() == [499] or motion_seconds(x, 8.0)[498:501].any()
    expected = 1e-3 * np.sqrt(2 / 8.0)
    assert noise_floor(1e-3 * rng.standard_normal((6, 8000)), 8.0) == pytest.approx(expected, rel=0.05)
    drift = 0.01 * one_over_f((6, 8000), 8.0, rng, 8.0) + 1e-3 * rng.standard_normal((6, 8000))
    assert noise_floor(drift, 8.0) == pytest.approx(expected, rel=0.1)


def test_too_short_a_session_says_the_number():
    pair, _ = fnirs_pair(19, 100.0)
    with pytest.raises(QualityError, match="100 s usable, fewer than min_seconds = 120"):
        preprocess_pair(pair)
    assert preprocess_pair(pair, enforce=False).quality.client["grade"] == "reject"
