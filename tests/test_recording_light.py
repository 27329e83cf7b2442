"""fNIRS channels before they are haemoglobin: usable or not, lengths, motion, noise, scalp."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import DataQualityWarning, QualityError
from hyperscan.recording.cleaning.light import (
    channel_lengths,
    motion_seconds,
    noise_floor,
    place_optodes,
    regress_out,
    scalp_part,
    source_detector_mm,
)
from hyperscan.recording.cleaning.prepare import preprocess_pair
from prepare_fixtures import (
    Probe,
    fnirs_pair,
    fnirs_raw,
    hbo_of,
    one_over_f,
)


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
    pair.therapist._data[:, 800:832] = np.nan
    prepared = preprocess_pair(pair)
    assert prepared.quality.therapist["channels_kept"] == 4
    assert np.isfinite(prepared.therapist.get_data()).all()
    marks = [(a["onset"], a["duration"]) for a in prepared.therapist.annotations if a["description"] == "BAD_missing"]
    assert marks == [(100.0, 4.0)]
    assert prepared.quality.therapist["clean_seconds"] == pytest.approx(296.0)
    longer, _ = fnirs_pair(9)
    longer.therapist._data[:, 800:840] = np.nan
    with pytest.warns(DataQualityWarning, match="no mark of 5 s or more is 195 s from 105 s on, and 105 s beside it"):
        preprocess_pair(longer)


def test_one_wavelength_missing():
    pair, _ = fnirs_pair(10)
    pair.client.drop_channels(["S3_D3 850"])
    prepared = preprocess_pair(pair)
    assert "wavelengths 760 nm" in prepared.quality.dropped["client"]["S3_D3"]
    lone = fnirs_pair(10)[0]
    lone.client.pick([name for name in lone.client.ch_names if name.endswith("760")])
    with pytest.raises(QualityError, match="only one wavelength"):
        preprocess_pair(lone)


def test_distance_in_mm_zero_or_absent():
    pair, _ = fnirs_pair(12)
    expected = preprocess_pair(pair)
    in_mm, _ = fnirs_pair(12)
    for raw in (in_mm.therapist, in_mm.client):
        for ch in raw.info["chs"]:
            ch["loc"][:9] *= 1000
    np.testing.assert_allclose(source_detector_mm(in_mm.client)[:2], 30.0)
    found = preprocess_pair(in_mm)
    np.testing.assert_allclose(hbo_of(found.client), hbo_of(expected.client), rtol=1e-6, atol=1e-12)
    assert any("stored in mm" in line for line in found.history)
    for value in (0.0, np.nan):
        nowhere, _ = fnirs_pair(12)
        for raw in (nowhere.therapist, nowhere.client):
            for ch in raw.info["chs"]:
                ch["loc"][:9] = value
        with pytest.warns(DataQualityWarning, match="no optode positions|no short channels"):
            blind = preprocess_pair(nowhere)
        assert blind.quality.therapist["channels_kept"] == 6
        assert hbo_of(blind.therapist).std() > 0


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


def test_channels_are_told_by_their_length():
    raw = fnirs_raw(np.zeros((12, 10)), Probe())
    for row, mm in enumerate((8.0, 8.0, 12.0, 12.0, 30.0, 30.0, 120.0, 120.0, np.nan, np.nan, 10.0, 10.0)):
        raw.info["chs"][row]["loc"][6:9] = raw.info["chs"][row]["loc"][3:6] + np.array([0, mm / 1000, 0])
    lengths = channel_lengths(raw, 10.0)
    assert list(lengths.values()) == ["short", "mixed", "long", "far", "nowhere", "short"]


def test_places_are_kept_scaled_or_assumed():
    raw = fnirs_raw(np.zeros((12, 10)), Probe())
    same, origin = place_optodes(raw, "D01")
    assert (same, origin) == (raw, "in m")
    for ch in raw.info["chs"]:
        ch["loc"][:9] *= 1000
    scaled, origin = place_optodes(raw, "D01")
    assert origin == "in mm"
    np.testing.assert_allclose(source_detector_mm(scaled), [30.0] * 8 + [8.0] * 4)
    assert np.linalg.norm(raw.info["chs"][0]["loc"][3:6] - raw.info["chs"][0]["loc"][6:9]) == pytest.approx(30.0)
    for ch in raw.info["chs"]:
        ch["loc"][:9] = np.nan
    with pytest.warns(DataQualityWarning, match="D01: 12 channels have no optode positions; 30 mm are assumed"):
        assumed, origin = place_optodes(raw, "D01")
    assert origin == "assumed"
    np.testing.assert_allclose(source_detector_mm(assumed), 30.0)
