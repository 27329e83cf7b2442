"""Wavelet coherence against its plain definition, Grinsted's own values, and known truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

import plain_definitions
from hyperscan.errors import DataQualityWarning, InputError
from hyperscan.metrics.wavelet import wtc, wtc_evaluate, wtc_floor, wtc_map, wtc_mean_map, wtc_phase
from hyperscan.transforms.wavelet import band_periods, wavelet_transform
from plain_definitions import cells_of_band, coherence_map

SFREQ, BAND, N_TIMES = 2.0, (0.02, 0.1), 1200
REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "wtc_ar1_independent.npz"


def red_noise(rng: np.random.Generator, n_channels: int, n_times: int = N_TIMES, ar: float = 0.8) -> np.ndarray:
    return lfilter([1], [1, -ar], rng.standard_normal((n_channels, n_times)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def pair(rng) -> tuple[np.ndarray, np.ndarray]:
    a, b = red_noise(rng, 3), red_noise(rng, 2)
    b[0] += 2 * np.roll(a[1], 4)
    return a, b


@pytest.fixture(scope="module")
def reference():
    if not REFERENCE.exists():
        pytest.skip(f"reference values are not here: {REFERENCE.name}")
    arrays = np.load(REFERENCE)
    return arrays, json.loads(REFERENCE.with_suffix(".json").read_text(encoding="utf-8"))


def test_full_rate_equals_the_definition(pair):
    a, b = (wavelet_transform(x, SFREQ, BAND, oversampling=None) for x in pair)
    r2, z = wtc_evaluate(a, b, SFREQ, BAND)
    for i, j in np.ndindex(3, 2):
        cells = cells_of_band(pair[0][i], pair[1][j], SFREQ, BAND)[0]
        expected = cells.mean(), np.arctanh(np.sqrt(np.minimum(cells, 1 - 1e-12))).mean()
        assert (r2[i, j], z[i, j]) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(
    ("n_times", "sfreq", "band"),
    [(9360, 7.8, (0.01, 0.1)), (9360, 7.8, (0.02, 0.1)), (1201, 2.0, (0.02, 0.1)), (2400, 10.0, (0.1, 0.4))],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_decimation_costs_less_than_1e4(rng, n_times, sfreq, band, dtype):
    a, b = red_noise(rng, 4, n_times, 0.95), red_noise(rng, 3, n_times, 0.9)
    b[0] += 2 * a[0]
    full = wtc_evaluate(*(wavelet_transform(x, sfreq, band, oversampling=None) for x in (a, b)), sfreq, band)
    fast = wtc_evaluate(a.astype(dtype), b.astype(dtype), sfreq, band)
    assert fast[0].dtype == dtype
    np.testing.assert_allclose(fast[0], full[0], atol=1e-4)
    np.testing.assert_allclose(fast[1], full[1], atol=1e-3)


def test_more_oversampling_comes_closer(rng):
    a, b = red_noise(rng, 4), red_noise(rng, 4)
    full, coarse, fine = (
        wtc(*(wavelet_transform(x, SFREQ, BAND, oversampling=rate) for x in (a, b)), SFREQ, BAND)
        for rate in (None, 1.0, 4.0)
    )
    assert np.abs(fine - full).max() < np.abs(coarse - full).max()


@pytest.mark.parametrize("band", ["0.01-0.1", "0.04-0.06"])
def test_band_means_agree_with_grinsted(reference, band):
    arrays, table = reference
    edges = tuple(map(float, band.split("-")))
    r2, z = wtc_evaluate(arrays["x"], arrays["y"], float(arrays["fs"]), edges)
    assert r2.item() == pytest.approx(table[band]["octave_grinsted"]["R2"], abs=1e-4)
    assert r2.item() == pytest.approx(table[band]["ref_grinsted"]["R2"], abs=1e-4)
    assert z.item() == pytest.approx(table[band]["ref_grinsted"]["z"], abs=1e-3)


@pytest.mark.parametrize("band", ["0.01-0.1", "0.02-0.2", "0.04-0.06"])
def test_map_agrees_with_grinsted(reference, band):
    arrays, table = reference
    found = wtc_map(arrays["x"], arrays["y"], float(arrays["fs"]), periods=arrays["period"])
    inside = found.valid[:, ::10]
    difference = (found.r2[:, ::10] - arrays["R2_grinsted"])[inside]
    assert np.sqrt(np.mean(difference**2)) < 2e-4
    low, high = map(float, band.split("-"))
    rows = (found.period >= 1 / high - 1e-9) & (found.period <= 1 / low + 1e-9)
    mean = found.r2[rows][found.valid[rows]].mean()
    assert mean == pytest.approx(table[band]["octave_grinsted"]["R2"], abs=1e-4)


def test_guard_scales_matter_at_the_edge_of_a_map(reference):
    # Grinsted's map ends at 5 s, so its 0.02-0.2 Hz mean lacks the periods just below; ours has them
    arrays, table = reference
    found = wtc(arrays["x"], arrays["y"], float(arrays["fs"]), (0.02, 0.2)).item()
    assert found == pytest.approx(table["0.02-0.2"]["octave_grinsted"]["R2"], abs=4e-3)
    assert found == pytest.approx(plain_definitions.wtc(arrays["x"], arrays["y"], 5.0, (0.02, 0.2)), abs=1e-4)


def test_map_equals_the_definition(pair):
    x, y = pair[0][1], pair[1][0]
    found = wtc_map(x, y, SFREQ, periods=(8.0, 60.0))
    r2, phase = coherence_map(x, y, SFREQ, found.period)
    np.testing.assert_allclose(found.r2, r2, atol=1e-10)
    turn = np.angle(np.exp(1j * (found.phase - phase)))
    assert np.abs(turn[r2 > 0.01]).max() < 1e-7


def test_map_chooses_its_periods(pair):
    found = wtc_map(pair[0][0], pair[1][0], SFREQ)
    assert found.period[0] == 2.0
    assert found.period[-1] <= found.coi.max() < found.period[-1] * 2 ** (1 / 12)
    assert found.r2.shape == (len(found.period), N_TIMES)


def test_unrelated_signals_give_the_known_level(rng):
    a, b = red_noise(rng, 20, 1200, 0.7), red_noise(rng, 20, 1200, 0.7)
    found = wtc(a, b, 1.0, BAND)
    # .320 +- .025 over 400 pairs in science/fnirs.md
    assert found.mean() == pytest.approx(0.320, abs=0.008)
    assert found.std() == pytest.approx(0.025, abs=0.008)


def test_planted_coupling_is_found(pair):
    r2 = wtc(*pair, SFREQ, BAND)
    others = np.delete(r2.ravel(), 2)
    assert r2[1, 0] > 0.6 > others.max()


def test_identity_gain_and_swap(pair):
    a, b = pair
    own = wtc_evaluate(a, a, SFREQ, BAND)
    np.testing.assert_allclose(np.diag(own[0]), 1, atol=1e-12)
    assert (np.diag(own[1]) > 10).all()
    r2 = wtc(a, b, SFREQ, BAND)
    np.testing.assert_allclose(wtc(b, a, SFREQ, BAND), r2.T, atol=1e-12)
    np.testing.assert_allclose(wtc(-5e-6 * a + 1, 3 * b, SFREQ, BAND), r2, atol=1e-9)
    assert ((r2 >= 0) & (r2 <= 1)).all()


def test_identical_float32_signals_have_finite_z(pair):
    a = pair[0].astype(np.float32)
    r2, z = wtc_evaluate(a, a, SFREQ, BAND)
    assert np.isfinite(z).all()
    assert r2.max() <= 1
    assert (np.diag(z) > 6).all()


def test_records_and_arrays_agree(pair):
    a, b = (wavelet_transform(x, SFREQ, BAND) for x in pair)
    expected = wtc(*pair, SFREQ, BAND)
    np.testing.assert_array_equal(wtc(a, b, SFREQ, BAND), expected)
    np.testing.assert_array_equal(wtc(pair[0], b, SFREQ, BAND), expected)
    np.testing.assert_allclose(wtc(a.pick([2]), b.pick([1, 0]), SFREQ, BAND), expected[[2]][:, [1, 0]], atol=1e-12)


def test_small_slabs_give_the_same(pair, monkeypatch):
    from hyperscan.metrics import wavelet
    from hyperscan.transforms.morlet import cross_spectra

    expected = wtc_evaluate(*pair, SFREQ, BAND)
    monkeypatch.setattr(wavelet, "cross_spectra", lambda a, b: cross_spectra(a, b, slab=5000))
    found = wtc_evaluate(*pair, SFREQ, BAND)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_leading_windows_broadcast(rng):
    a, b = rng.standard_normal((2, 3, 2, 700)), rng.standard_normal((3, 1, 700))
    r2, z = wtc_evaluate(a, b, SFREQ, BAND)
    assert r2.shape == z.shape == (2, 3, 2, 1)
    np.testing.assert_allclose(r2[1, 2], wtc(a[1, 2], b[2], SFREQ, BAND), atol=1e-12)


def test_unusable_channels_give_nan_for_their_pairs_only(pair):
    a, b = pair[0].copy(), pair[1]
    a[0, 3], a[2] = np.nan, 1.0
    r2, z = wtc_evaluate(a, b, SFREQ, BAND)
    assert np.isnan(r2[[0, 2]]).all()
    assert np.isnan(z[[0, 2]]).all()
    np.testing.assert_allclose(r2[1], wtc(pair[0], b, SFREQ, BAND)[1], atol=1e-12)
    with np.errstate(invalid="raise", divide="raise"):
        assert np.isnan(wtc_map(a[0], b[0], SFREQ, periods=(10, 20)).r2).all()


def test_too_short_is_nan_with_a_reason(rng):
    a, b = rng.standard_normal((2, 160)), rng.standard_normal((1, 160))
    with pytest.warns(DataQualityWarning, match=r"only \d+% of the band \(0.02, 0.1\) Hz .* 80 s; at least 50%"):
        r2, z = wtc_evaluate(a, b, SFREQ, BAND)
    assert r2.shape == (2, 1)
    assert np.isnan(r2).all()
    assert np.isnan(z).all()


def test_mismatched_records_are_refused(pair):
    record = wavelet_transform(pair[0], SFREQ, BAND)
    with pytest.raises(InputError, match="transform both people with the same arguments"):
        wtc(record, pair[1][:, :-1], SFREQ, BAND)
    with pytest.raises(InputError, match="n_times, oversampling"):
        wtc(record, wavelet_transform(pair[1], SFREQ, BAND, oversampling=None), SFREQ, BAND)
    with pytest.raises(InputError, match=r"\(0.05, 0.1\)"):
        wtc(record, record, SFREQ, (0.05, 0.1))
    with pytest.raises(InputError, match="one signal each"):
        wtc_map(pair[0], pair[1], SFREQ)


def test_inputs_are_left_alone(pair):
    before = [x.copy() for x in pair]
    wtc_evaluate(*pair, SFREQ, BAND)
    for x, old in zip(pair, before, strict=True):
        np.testing.assert_array_equal(x, old)


def sines(lead_s: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(N_TIMES) / SFREQ
    therapist = np.sin(2 * np.pi * 0.05 * time)
    client = np.sin(2 * np.pi * 0.05 * (time - lead_s))
    return therapist[None] + 0.05 * rng.standard_normal((1, N_TIMES)), client[None] + 0.05 * rng.standard_normal(
        (1, N_TIMES)
    )


@pytest.mark.parametrize("lead_s", [2.5, -2.5])
def test_positive_phase_means_the_therapist_leads(rng, lead_s):
    x, y = sines(lead_s, rng)
    found = wtc_map(x[0], y[0], SFREQ, periods=(16, 25))
    middle = found.phase[3:5, 400:800]
    np.testing.assert_allclose(middle, 2 * np.pi * 0.05 * lead_s, atol=0.1)


@pytest.mark.parametrize(
    ("lead_s", "expected"),
    [(0.0, "in_phase"), (5.0, "therapist_leads"), (-5.0, "client_leads"), (10.0, "anti_phase")],
)
def test_phase_classes_follow_the_lag(rng, lead_s, expected):
    found = wtc_phase(*sines(lead_s, rng), SFREQ, (0.045, 0.055))
    assert getattr(found, expected).item() > 0.99
    total = found.in_phase + found.therapist_leads + found.client_leads + found.anti_phase
    assert total.item() == pytest.approx(1)


def test_phase_fractions_of_unrelated_signals_sum_to_one(rng):
    a, b = red_noise(rng, 3), red_noise(rng, 2)
    floor = wtc_floor(red_noise(rng, 5), red_noise(rng, 5), SFREQ, BAND)
    found = wtc_phase(a, b, SFREQ, BAND, floor=floor)
    total = found.in_phase + found.therapist_leads + found.client_leads + found.anti_phase
    np.testing.assert_allclose(total, 1)
    everything = wtc_phase(a, b, SFREQ, BAND)
    assert everything.therapist_leads.shape == (3, 2)
    swapped = wtc_phase(b, a, SFREQ, BAND)
    np.testing.assert_allclose(swapped.client_leads, everything.therapist_leads.T)


def test_no_cell_above_the_floor_gives_nan(pair):
    assert np.isnan(wtc_phase(*pair, SFREQ, BAND, floor=2.0).in_phase).all()


def test_floor_is_the_quantile_of_each_scale(rng):
    a, b = red_noise(rng, 6), red_noise(rng, 6)
    floor = wtc_floor(a, b, SFREQ, BAND, quantile=0.9)
    assert floor.shape == band_periods(BAND).shape
    found = wtc_map(a[0], b[0], SFREQ, periods=(5, 70))
    share = (found.r2[12] > floor[0])[found.valid[12]].mean()
    assert 0.02 < share < 0.25
    with pytest.raises(InputError, match="quantile=1"):
        wtc_floor(a, b, SFREQ, BAND, quantile=1)


def test_mean_map_averages_to_the_mean_of_wtc_over_the_pairs() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((3, 1200)), rng.standard_normal((2, 1200))
    y[0] += np.roll(x[0], 10)
    found = wtc_mean_map(x, y, 2.0, (0.02, 0.1))
    # cells near the cone count in part for wtc, and wholly or not at all here
    assert found.r2[found.valid].mean() == pytest.approx(wtc(x, y, 2.0, (0.02, 0.1)).mean(), abs=2e-3)
    lead = wtc_mean_map(x[:1], np.roll(x[:1], 6, axis=-1), 2.0, (0.06, 0.1))
    # 3 s behind: a positive phase of 2 pi 3 s / period
    inside = lead.phase[:, 300:900].mean(axis=1)
    assert inside == pytest.approx(2 * np.pi * 3 / lead.period, abs=0.2)  # a wavelet's frequency wanders with noise


def test_mean_map_leaves_out_pairs_without_a_value() -> None:
    x = np.random.default_rng(4).standard_normal((2, 600))
    gone = np.concatenate([x, np.full((1, 600), np.nan)])
    assert np.array_equal(wtc_mean_map(gone, x, 2.0, (0.05, 0.1)).r2, wtc_mean_map(x, x, 2.0, (0.05, 0.1)).r2)
    assert np.isnan(wtc_mean_map(gone[2:], x, 2.0, (0.05, 0.1)).r2).all()
