"""Values: against plain definitions, mne-connectivity, reference values of other software and theory."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import plain_definitions
from hyperscan.metrics import METRICS

#: Rounding, where nothing else is said: the fast transform gives up some digits, the robust weights end at 1e-6.
# cells at the edge of a class change sides with rounding
CLASSES = [name for name in METRICS if name.startswith("wtc_")]
TOLERANCES = {"wtc": 2e-4, "ar_corr": 1e-5, "cacoh": 1e-5} | dict.fromkeys(CLASSES, 1e-2)


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
    spec, context = METRICS[name], {"sfreq": 50.0, "band": (4.0, 8.0), "max_lag_s": 0.8}
    if spec.domain != "analytic":
        a, b = a.real, b.real
    value = spec.evaluate(a, b, **context)[0]
    wide = np.complex128 if spec.domain == "analytic" else np.float64
    told = {key: context[key] for key in spec.params if key in context}
    plain = functools.partial(getattr(plain_definitions, name), **told)
    first, second = (a[None], b[None]) if spec.sets is not None else (a, b)  # whole sets, or each pair of channels
    expected = [[plain(x, y) for y in second.astype(wide)] for x in first.astype(wide)]
    np.testing.assert_allclose(value, expected, rtol=0, atol=TOLERANCES.get(name, tolerance))


@pytest.mark.parametrize("name", ["plv", "coh", "accorr", "ccorr", "aec", "wpli"])
def test_whole_session_in_single_precision_loses_no_digits(name):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2, 200_000)) + 1j * rng.standard_normal((2, 2, 200_000))
    b += 0.05j * a
    exact = METRICS[name].func(a, b)
    single = METRICS[name].func(a.astype(np.complex64), b.astype(np.complex64))
    np.testing.assert_allclose(single, exact, rtol=0, atol=2e-6)


def mne_samples(method, indices, n_channels):
    """Values of mne-connectivity (..., n_freqs), and the Fourier coefficients that it averages over epochs.

    Both average over something: theirs over epochs at one frequency. Their coefficients are our samples.
    """
    mne_connectivity = pytest.importorskip("mne_connectivity")
    rng = np.random.default_rng(1)
    sfreq, n_epochs, n_times = 100.0, 40, 200
    data = rng.standard_normal((n_epochs, n_channels, n_times))
    data[:, 3:] += 0.5 * np.roll(data[:, :1], 3, axis=-1)
    con = mne_connectivity.spectral_connectivity_epochs(
        data, method=method, mode="fourier", sfreq=sfreq, fmin=5, fmax=20, indices=indices, verbose="ERROR",
    )  # fmt: skip
    spectrum = np.fft.rfft((data - data.mean(-1, keepdims=True)) * np.hanning(n_times), axis=-1)
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    samples = np.moveaxis(spectrum[..., np.isin(freqs.round(6), np.round(con.freqs, 6))], (0, 2), (2, 0))
    return con.get_data(), samples


@pytest.mark.parametrize("name", ["mic", "mim", "cacoh"])
def test_sets_agree_with_mne_connectivity(name):
    theirs, samples = mne_samples(name, ([[0, 1, 2]], [[3, 4, 5, 6]]), 7)
    value = METRICS[name].func(samples[:, :3], samples[:, 3:])[:, 0, 0]
    np.testing.assert_allclose(value, np.abs(theirs[0]), rtol=0, atol=1e-5 if name == "cacoh" else 1e-7)


@pytest.mark.parametrize(
    ("ours", "method"),
    [
        ("plv", "plv"), ("ciplv", "ciplv"), ("ppc", "ppc"), ("pli", "pli"), ("wpli", "wpli"),
        ("dwpli", "wpli2_debiased"), ("coh", "coh"), ("imcoh", "imcoh"),
    ],
)  # fmt: skip
def test_agrees_with_mne_connectivity(ours, method):
    n_a, n_b = 3, 4
    seeds, targets = (index.ravel() for index in np.indices((n_a, n_b)))
    theirs, samples = mne_samples(method, (seeds, targets + n_a), n_a + n_b)
    value = METRICS[ours].func(samples[:, :n_a], samples[:, n_a:])
    np.testing.assert_allclose(value, np.moveaxis(theirs.reshape(n_a, n_b, -1), -1, 0), rtol=0, atol=1e-7)
