"""Values: against plain definitions, mne-connectivity, reference values of other software and theory."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import hyp2f1

import hyperscan.metrics as metrics
import plain_definitions
from hyperscan.metrics import METRICS
from hyperscan.metrics.engine import preparations

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"


#: Rounding, where nothing else is said: the fast transform gives up some digits, the robust weights end at 1e-6.
TOLERANCES = {"wtc": 2e-4, "ar_corr": 1e-5}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.complex128, 1e-10), (np.complex64, 3e-6)])
def test_agrees_with_the_plain_definition(name, dtype, tolerance):
    rng = np.random.default_rng(3)
    n = 500
    a = rng.standard_normal((3, n)) + 1j * rng.standard_normal((3, n)) + 0.3
    b = rng.standard_normal((4, n)) + 1j * rng.standard_normal((4, n))
    b[:3] += 0.8 * np.exp(0.9j) * np.roll(a, 2, axis=-1) * abs(a) + 0.2j
    b[3] = a[0] * np.exp(1j * 0.3 * rng.standard_normal(n))
    a, b = a.astype(dtype), b.astype(dtype)
    spec, context = METRICS[name], {"sfreq": 50.0, "band": (4.0, 8.0)}
    if spec.domain != "analytic":
        a, b = a.real, b.real
    value = spec.evaluate(a, b, **context)[0]
    wide = np.complex128 if spec.domain == "analytic" else np.float64
    plain = functools.partial(getattr(plain_definitions, name), **{key: context[key] for key in spec.params})
    expected = [[plain(x, y) for y in b.astype(wide)] for x in a.astype(wide)]
    np.testing.assert_allclose(value, expected, rtol=0, atol=TOLERANCES.get(name, tolerance))


@pytest.mark.parametrize("name", ["plv", "coh", "accorr", "ccorr", "aec", "wpli"])
def test_whole_session_in_single_precision_loses_no_digits(name):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2, 200_000)) + 1j * rng.standard_normal((2, 2, 200_000))
    b += 0.05j * a
    exact = METRICS[name].func(a, b)
    single = METRICS[name].func(a.astype(np.complex64), b.astype(np.complex64))
    np.testing.assert_allclose(single, exact, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("ours", "method"),
    [
        ("plv", "plv"), ("ciplv", "ciplv"), ("ppc", "ppc"), ("pli", "pli"), ("wpli", "wpli"),
        ("dwpli", "wpli2_debiased"), ("coh", "coh"), ("imcoh", "imcoh"),
    ],
)  # fmt: skip
def test_agrees_with_mne_connectivity(ours, method):
    # Both average over something: theirs over epochs at one frequency. Their Fourier coefficients are our samples.
    mne_connectivity = pytest.importorskip("mne_connectivity")
    rng = np.random.default_rng(1)
    sfreq, n_epochs, n_times, n_a, n_b = 100.0, 40, 200, 3, 4
    data = rng.standard_normal((n_epochs, n_a + n_b, n_times))
    data[:, n_a:] += 0.5 * np.roll(data[:, :1], 3, axis=-1)
    indices = tuple(index.ravel() for index in np.indices((n_a, n_b)))
    con = mne_connectivity.spectral_connectivity_epochs(
        data, method=method, mode="fourier", sfreq=sfreq, fmin=5, fmax=20,
        indices=(indices[0], indices[1] + n_a), verbose="ERROR",
    )  # fmt: skip
    window = np.hanning(n_times)
    spectrum = np.fft.rfft((data - data.mean(-1, keepdims=True)) * window, axis=-1)
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    samples = np.moveaxis(spectrum[..., np.isin(freqs.round(6), np.round(con.freqs, 6))], (0, 2), (2, 0))
    value = METRICS[ours].func(samples[:, :n_a], samples[:, n_a:])
    theirs = np.moveaxis(con.get_data().reshape(n_a, n_b, -1), -1, 0)
    np.testing.assert_allclose(value, theirs, rtol=0, atol=1e-7)


def test_oaec_agrees_with_mne_connectivity():
    mne_connectivity = pytest.importorskip("mne_connectivity")
    rng = np.random.default_rng(2)
    z = rng.standard_normal((3, 400)) + 1j * rng.standard_normal((3, 400))
    z[1] += 0.8j * z[0]
    theirs = mne_connectivity.envelope_correlation(z[np.newaxis], orthogonalize="pairwise", absolute=False)
    full = theirs.get_data(output="dense")[0, :, :, 0]
    np.testing.assert_allclose(metrics.oaec(z[:1], z[1:])[0], full[1:, 0], rtol=0, atol=1e-10)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the folder of reference values is not there")
@pytest.mark.parametrize("name", ["plv", "ppc", "ccorr", "accorr"])
def test_agrees_with_reference_values(name):
    inputs = np.load(REFERENCE / "phase_inputs.npz")
    cases = json.loads((REFERENCE / "phase_truth.json").read_text())
    assert len(cases) >= 7
    for case in cases:
        a, b = (np.exp(1j * inputs[f"{person}{case['i']}"])[np.newaxis] for person in "ab")
        assert METRICS[name].func(a, b)[0, 0] == pytest.approx(case[name], rel=0, abs=1e-9), case["name"]


@pytest.mark.parametrize("rho", [0.0, 0.2, 0.5, 0.8, 0.95])
def test_plv_and_power_correlation_of_gaussian_pairs_follow_theory(rho):
    rng = np.random.default_rng(round(rho * 100))
    n = 400_000
    x, y = rng.standard_normal((2, 1, n)) + 1j * rng.standard_normal((2, 1, n))
    y = rho * np.exp(0.7j) * x + np.sqrt(1 - rho**2) * y
    expected = np.pi / 4 * rho * hyp2f1(0.5, 0.5, 2, rho**2)
    assert metrics.plv(x, y)[0, 0] == pytest.approx(expected, abs=4e-3)
    assert metrics.coh(x, y)[0, 0] == pytest.approx(rho, abs=4e-3)
    assert metrics.pec(x, y)[0, 0] == pytest.approx(rho**2, abs=1e-2)


@pytest.mark.parametrize("name", ["imcoh", "xcorr_lag"])
def test_positive_means_the_therapist_leads(name):
    t = np.arange(400) / 50
    therapist, client = np.exp(2j * np.pi * 5 * t)[None], np.exp(2j * np.pi * 5 * (t - 0.02))[None]
    spec = METRICS[name]
    if spec.domain == "real":
        therapist, client = therapist.real * np.hanning(400), client.real * np.hanning(400)
    assert spec.evaluate(therapist, client, sfreq=50.0)[0] > 0.01


def test_transfer_entropy_goes_from_therapist_to_client():
    rng = np.random.default_rng(0)
    therapist = rng.standard_normal((1, 3000))
    client = 0.6 * np.roll(therapist, 5, axis=-1) + rng.standard_normal((1, 3000))
    assert metrics.gcte(therapist, client, 50.0)[0, 0] == pytest.approx(0.5 * np.log2(1.36), abs=0.03)
    assert metrics.gcte(client, therapist, 50.0)[0, 0] < 0.002


def test_ties_in_ranks_are_no_information():
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 2, (2, 4000)).astype(float)
    assert metrics.gcmi(steps[:1], steps[1:])[0, 0] < 0.002


class TestArCorr:
    def test_finds_correlated_news_of_slow_signals(self):
        rng = np.random.default_rng(5)
        news = rng.standard_normal((2, 4000))
        news[1] = 0.5 * news[0] + np.sqrt(0.75) * news[1]
        x = np.cumsum(news, axis=-1)
        assert metrics.ar_corr(x[:1], x[1:], 10.0)[0, 0] == pytest.approx(0.5, abs=0.04)

    def test_unrelated_slow_signals_are_far_less_correlated_than_by_pearson(self):
        rng = np.random.default_rng(6)
        x = np.cumsum(rng.standard_normal((2, 20, 1500)), axis=-1)
        whitened, plain = metrics.ar_corr(x[0], x[1], 10.0), metrics.corr(x[0], x[1])
        assert np.std(whitened) == pytest.approx(1 / np.sqrt(1500), rel=0.25)
        assert np.std(plain) > 10 * np.std(whitened)

    def test_one_shared_artefact_does_not_make_a_correlation(self):
        rng = np.random.default_rng(7)
        x = rng.standard_normal((2, 1, 2000))
        x[..., 1000] += 60
        assert abs(metrics.corr(x[0], x[1])[0, 0]) > 0.5
        assert abs(metrics.ar_corr(x[0], x[1], 10.0)[0, 0]) < 0.08

    def test_innovations_are_those_of_a_least_squares_fit(self):
        from hyperscan.metrics.temporal import innovations

        rng = np.random.default_rng(8)
        x = np.zeros(5000)
        for t in range(2, 5000):
            x[t] = 1.2 * x[t - 1] - 0.6 * x[t - 2] + rng.standard_normal()
        past = np.stack([x[1:-1], x[:-2]])
        residual = x[2:] - np.linalg.lstsq(past.T, x[2:], rcond=None)[0] @ past
        ours = innovations(x[np.newaxis], 2)[0]
        assert np.corrcoef(ours, residual)[0, 1] > 0.9999

    def test_white_noise_is_left_as_it_is(self):
        from hyperscan.metrics.temporal import innovations

        x = np.random.default_rng(9).standard_normal((20, 2000))
        kept = [np.corrcoef(e, y[30:])[0, 1] for e, y in zip(innovations(x, 30), x, strict=True)]
        assert np.min(kept) > 1 - 1e-12  # order 0 for every channel: a larger one would fit the noise


@pytest.mark.parametrize("name", ["plv", "ccorr", "accorr", "pli"])
def test_samples_below_single_precision_are_nan_not_a_number(name):
    rng = np.random.default_rng(0)
    z = (1e-21 * (rng.standard_normal((2, 1, 500)) + 1j * rng.standard_normal((2, 1, 500)))).astype(np.complex64)
    assert np.isnan(METRICS[name].func(z[0], z[1])).all()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("unit", [1e-18, 1.0, 1e18])
@pytest.mark.parametrize("name", ["POWER", "SINE", "ENVELOPE", "ENVELOPE_POWER"])
def test_one_pass_equals_measuring_and_filling(name, unit, dtype):
    # units of 1e-18 and 1e18 leave the range where single precision can be measured in one pass
    rng = np.random.default_rng(1)
    z = (unit * (rng.standard_normal((3, 2500)) + 1j * rng.standard_normal((3, 2500)) + 1)).astype(dtype)
    preparation = getattr(preparations, name)
    one, two = (np.empty((preparation.n_rows * 3, 2500), dtype=z.real.dtype) for _ in range(2))
    preparation.whole(z, one)
    preparation.fill(z, preparation.measure(z), two)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-12 if dtype == np.complex128 else 5e-6)
    if name != "SINE" or dtype == np.complex128:
        np.testing.assert_allclose(np.square(one).mean() * preparation.n_rows, 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_phase_lag_index_counts_the_sign_of_every_sample(dtype):
    rng = np.random.default_rng(2)
    a, b = ((rng.standard_normal((n, 999)) + 1j * rng.standard_normal((n, 999))).astype(dtype) for n in (5, 3))
    sines = (a[:, None] * b.conj()).imag / np.abs(a[:, None] * b)
    sines[np.abs(sines) <= 16 * np.finfo(sines.dtype).eps] = 0
    np.testing.assert_array_equal(
        np.round(METRICS["pli"].func(a, b) * 999).astype(int), np.abs(np.sign(sines).sum(axis=-1)).astype(int)
    )
