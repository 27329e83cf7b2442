"""Band-limited analytic signals: against MNE, at edges, gaps and flat channels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from hyperscan.errors import DataQualityWarning, InputError
from hyperscan.transforms import analytic_bands, analytic_signal, band_response, design_band_pass

BANDS = {"theta": (4.0, 8.0), "alpha": (8.0, 12.0), "beta": (13.0, 30.0), "gamma": (30.0, 40.0)}
SFREQ = 250.0


def pink(shape, seed=0):
    """Noise with a 1/f spectrum above 1 Hz, as a recording after its high-pass."""
    n = shape[-1]
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(shape))
    freqs = np.fft.rfftfreq(n, 1 / SFREQ)
    return np.fft.irfft(spectrum * np.where(freqs > 1, 1 / np.sqrt(np.maximum(freqs, 1)), 0), n)


@pytest.mark.parametrize(
    ("band", "sfreq"),
    [((8, 12), 250.0), ((4, 8), 500.0), ((1, 4), 128.0), ((30, 40), 92.0), ((0.02, 0.1), 7.8), ((13, 30), 256.0)],
)
def test_design_is_mnes_default(band, sfreq):
    mne = pytest.importorskip("mne")
    theirs = mne.filter.create_filter(None, sfreq, *band, verbose="ERROR")
    ours = design_band_pass(band, sfreq)
    extra = theirs.size - ours.size
    assert 0 <= extra <= 2
    np.testing.assert_allclose(np.pad(ours, extra // 2), theirs, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_interior_agrees_with_mnes_filter_and_hilbert(dtype):
    mne = pytest.importorskip("mne")
    from scipy.signal import hilbert

    x = pink((2, 300 * 250))
    inner = slice(30 * 250, -30 * 250)
    for name, z in analytic_bands(x.astype(dtype), SFREQ, BANDS):
        filtered = mne.filter.filter_data(x, SFREQ, *BANDS[name], verbose="ERROR")
        theirs = hilbert(filtered, axis=-1)
        size = np.sqrt(np.mean(np.abs(theirs[:, inner]) ** 2))
        assert np.sqrt(np.mean(np.abs(z - theirs)[:, inner] ** 2)) / size <= 5e-4
        if dtype is np.float64:
            # The filters are equal to rounding; what remains is the Hilbert transform's reach from the edges.
            assert np.abs(z.real - filtered)[:, inner].max() / size < 1e-5
        assert z.dtype == np.result_type(dtype, np.complex64)


def test_edges_follow_the_signal():
    t = np.arange(2000) / SFREQ
    for phase in np.linspace(0, np.pi, 5):
        z = analytic_signal(np.cos(2 * np.pi * 10 * t + phase), SFREQ, (8, 12))
        truth = np.exp(1j * (2 * np.pi * 10 * t + phase))
        assert np.abs(z - truth)[500:-500].max() < 5e-3
        assert np.abs(z - truth).max() < 1.1  # the point reflection at a crest is the worst case


def test_response_is_that_of_the_filter_applied():
    freqs = np.array([3.0, 6.0, 7.0, 8.0, 10.0, 12.0, 13.5, 15.0, 30.0])
    t = np.arange(20_000) / SFREQ
    z = analytic_signal(np.cos(2 * np.pi * freqs[:, None] * t), SFREQ, (8, 12))
    power = np.mean(np.abs(z[:, 5000:-5000]) ** 2, axis=-1)
    response = band_response(freqs, (8, 12), SFREQ)
    np.testing.assert_allclose(power, response, rtol=0, atol=2e-4)
    assert response[4] == pytest.approx(1, abs=0.01)
    assert response[[0, -1]].max() < 1e-4


def test_decimated_output_is_the_full_rate_output_at_fewer_samples():
    x = pink((3, 5003))
    (_, full), (_, few) = (next(iter(analytic_bands(x, SFREQ, {"alpha": (8, 12)}, decim=decim))) for decim in (1, 7))
    assert few.shape == (3, 715)
    np.testing.assert_allclose(few[:, 100:-100], full[:, ::7][:, 100:-100], rtol=0, atol=2e-6)
    np.testing.assert_allclose(few, full[:, ::7], rtol=0, atol=2e-4)  # the padded lengths differ


def test_bands_are_those_computed_alone():
    x = pink((2, 3, 4000))
    for name, z in analytic_bands(x, SFREQ, BANDS):
        np.testing.assert_array_equal(z, analytic_signal(x, SFREQ, BANDS[name]))
        assert z.shape == x.shape


@pytest.mark.parametrize(("dtype", "most"), [(np.float64, 1e-4), (np.float32, 1e-4)])
def test_blocks_differ_from_one_transform_of_all_by_less_than_the_filters_leakage(monkeypatch, dtype, most):
    x = pink((2, 60_000))
    found = dict(analytic_bands(x.astype(dtype), SFREQ, BANDS))
    monkeypatch.setattr("hyperscan.transforms.filters._BLOCK_SAMPLES", 10**6)
    for name, whole in analytic_bands(x, SFREQ, BANDS):
        size = np.sqrt(np.mean(np.abs(whole) ** 2))
        assert np.abs(found[name] - whole).max() / size < most
        if dtype is np.float64:  # the filter itself is exact; what is cut off is the reach of its Hilbert transform
            assert np.abs(found[name].real - whole.real).max() / size < 1e-12


def test_blocks_transformed_at_once_change_nothing(monkeypatch):
    x = pink((2, 60_000))
    whole = analytic_signal(x, SFREQ, (8, 12))
    monkeypatch.setattr("hyperscan.transforms.filters._GROUP_BYTES", 1)
    np.testing.assert_array_equal(analytic_signal(x, SFREQ, (8, 12)), whole)


def test_a_long_recording_is_decimated_by_blocks():
    x = pink((1, 60_000))
    ((_, few),) = analytic_bands(x, SFREQ, {"alpha": (8, 12)}, decim=5)
    np.testing.assert_allclose(few, analytic_signal(x, SFREQ, (8, 12))[:, ::5], rtol=0, atol=1e-5)


def test_a_gap_is_nan_as_far_as_the_filter_reaches_and_no_further():
    x = pink((2, 5000))
    clean = analytic_signal(x, SFREQ, (8, 12))
    x[0, 2000:2010] = np.nan
    z = analytic_signal(x, SFREQ, (8, 12))
    half = design_band_pass((8, 12), SFREQ).size // 2
    bad = np.flatnonzero(np.isnan(z[0]))
    assert (bad[0], bad[-1], bad.size) == (2000 - half, 2009 + half, 10 + 2 * half)
    np.testing.assert_array_equal(z[1], clean[1])
    far = np.r_[600:1000, 3500:4400]
    assert np.abs(z[0, far] - clean[0, far]).max() < 2e-3 * np.abs(clean[0]).max()


@pytest.mark.parametrize("level", [0.0, 0.1, 1e6])
def test_a_flat_channel_is_exactly_zero(level):
    x = np.full((1, 3000), level)
    assert not analytic_signal(x, SFREQ, (8, 12)).any()
    assert np.isnan(analytic_signal(x * np.nan, SFREQ, (8, 12))).all()


def test_a_large_offset_changes_nothing():
    x = pink((1, 5000))
    np.testing.assert_allclose(
        analytic_signal(x + 1e6, SFREQ, (8, 12)), analytic_signal(x, SFREQ, (8, 12)), rtol=0, atol=1e-8
    )


def test_one_wrong_first_sample_does_not_leak_into_the_rest():
    x = pink((1, 5000))
    clean = analytic_signal(x, SFREQ, (8, 12))[:, 1000:-1000]
    x[0, 0] += 1e4 * x.std()
    broken = analytic_signal(x, SFREQ, (8, 12))[:, 1000:-1000]
    assert np.abs(broken - clean).max() < 0.5 * np.abs(clean).std()


def test_input_is_left_unchanged():
    x = pink((2, 3000))
    before = x.copy()
    analytic_signal(x, SFREQ, (8, 12))
    np.testing.assert_array_equal(x, before)


def test_a_signal_shorter_than_the_filter_is_computed_with_a_warning():
    with pytest.warns(DataQualityWarning, match=r"needs 413 samples \(1\.7 s\), the signal has 300"):
        z = analytic_signal(pink((1, 300)), SFREQ, (8, 12))
    assert np.isfinite(z).all()


@pytest.mark.parametrize(
    ("x", "band", "sfreq", "text"),
    [
        (np.ones(500), (12, 8), 250.0, r"band \(12, 8\) Hz does not fit: .* 125 Hz"),
        (np.ones(500), (8, 125), 250.0, r"0 < low < high < 125 Hz"),
        (np.ones(500), (0, 4), 250.0, r"band \(0, 4\) Hz does not fit"),
        (np.ones(500), (8, 12), -1.0, r"sfreq must be positive, in Hz, got -1"),
        (np.ones(500) + 0j, (8, 12), 250.0, r"x must be real numbers, got complex128"),
        (np.ones(1), (8, 12), 250.0, r"two samples or more, got \(1,\)"),
    ],
)
def test_what_cannot_be_filtered_is_refused(x, band, sfreq, text):
    with warnings.catch_warnings(), pytest.raises(InputError, match=text):
        analytic_signal(x, sfreq, band)


def test_refused_before_the_first_band_is_computed():
    with pytest.raises(InputError, match="does not fit"):
        analytic_bands(np.ones(5000), SFREQ, {"alpha": (8, 12), "odd": (200, 300)})
    with pytest.raises(InputError, match="decim must be a positive integer, got 0"):
        analytic_bands(np.ones(5000), SFREQ, {"alpha": (8, 12)}, decim=0)


def test_no_bands_give_nothing():
    assert list(analytic_bands(np.ones(5000), SFREQ, {})) == []
