"""Phase surrogates and re-paired windows: what they keep, what they destroy, and their error rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from hyperscan.errors import InputError
from hyperscan.metrics import METRICS
from hyperscan.nulls import p_value, phases, windows
from hyperscan.transforms import analytic_signal


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(23)


@pytest.mark.parametrize("n_times", [400, 401])
@pytest.mark.parametrize("common", [True, False])
def test_fourier_keeps_the_spectrum(rng, n_times, common):
    x = rng.standard_normal((3, n_times)).cumsum(axis=1)
    for surrogate in phases(x, rng, n_null=3, common=common):
        np.testing.assert_allclose(np.abs(np.fft.rfft(surrogate)), np.abs(np.fft.rfft(x)), atol=1e-9)
        assert abs(np.corrcoef(surrogate[0], x[0])[0, 1]) < 0.95


def test_common_phases_keep_the_relation_between_channels(rng):
    x = rng.standard_normal((2, 500))
    x[1] += x[0]
    before = np.corrcoef(x)[0, 1]
    kept, lost = (next(phases(x, rng, common=common)) for common in (True, False))
    assert np.corrcoef(kept)[0, 1] == pytest.approx(before, abs=1e-10)
    assert abs(np.corrcoef(lost)[0, 1]) < before / 2


def test_iaaft_keeps_values_exactly_and_the_spectrum_nearly(rng):
    x = np.exp(lfilter([1], [1, -0.9], rng.standard_normal((2, 1000))) / 2)
    surrogate = next(phases(x, rng, method="iaaft"))
    np.testing.assert_array_equal(np.sort(surrogate), np.sort(x))
    wanted, found = (np.abs(np.fft.rfft(s - s.mean(axis=-1, keepdims=True))) for s in (x, surrogate))
    assert np.linalg.norm(found - wanted) < 0.12 * np.linalg.norm(wanted)
    fourier = next(phases(x, rng))
    assert stats.skew(fourier[0]) < stats.skew(x[0]) / 2


def test_precision_seed_and_count(rng):
    x = rng.standard_normal((1, 64)).astype(np.float32)
    first = list(phases(x, np.random.default_rng(1), n_null=4))
    second = list(phases(x, np.random.default_rng(1), n_null=4))
    assert len(first) == 4
    assert first[0].dtype == np.float32
    np.testing.assert_array_equal(first, second)
    assert next(phases(x, rng, method="iaaft")).dtype == np.float32


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.ones(64), {"method": "forier"}, "method='forier' is unknown.*Did you mean 'fourier'"),
        (np.ones(64, dtype=complex), {}, "must be real"),
        (np.ones(15), {}, "at least 16 samples"),
        (np.full(64, np.nan), {}, "not finite"),
    ],
)
def test_errors_come_before_the_first_draw(rng, x, options, message):
    with pytest.raises(InputError, match=message):
        phases(x, rng, **options)


def test_phase_surrogates_give_uniform_p(rng):
    p = []
    for _ in range(60):
        x, y = lfilter([1], [1, -0.8], rng.standard_normal((2, 600)))
        null = [abs(np.corrcoef(surrogate, y)[0, 1]) for surrogate in phases(x, rng, n_null=99)]
        p.append(p_value(abs(np.corrcoef(x, y)[0, 1]), null).item())
    assert stats.kstest(p, "uniform").pvalue > 0.01


def plain_plv(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(np.einsum("wit,wjt->wij", a / np.abs(a), (b / np.abs(b)).conj())) / a.shape[-1]


def cut(rng: np.random.Generator, coupling: float, n_windows: int = 30) -> tuple[np.ndarray, np.ndarray]:
    noise = rng.standard_normal((3, n_windows * 200 + 400))
    noise[1] += coupling * noise[0]
    band = analytic_signal(noise, 100.0, (8.0, 12.0))[:, 200:-200]
    cutout = band.reshape(3, n_windows, 200).swapaxes(0, 1)
    return cutout[:, :1], cutout[:, 1:]


def test_re_paired_windows_equal_a_loop(rng):
    a, b = cut(rng, 0.5, n_windows=12)
    found = windows(a, b, METRICS["plv"].func, n_null=20, min_gap=2, rng=rng)
    np.testing.assert_allclose(found.estimate, plain_plv(a, b).mean(axis=0), atol=1e-12)
    for order, surrogate in zip(found.orders, found.surrogates, strict=True):
        np.testing.assert_allclose(surrogate, plain_plv(a, b[order]).mean(axis=0), atol=1e-12)
        assert sorted(order) == list(range(12))
        assert (np.abs(order - np.arange(12)) >= 2).all()


def test_re_paired_windows_find_coupling_and_nothing_else(rng):
    found = windows(*cut(rng, 1.0), METRICS["plv"].func, n_null=199, rng=rng)
    p = p_value(found.estimate, found.surrogates)
    assert p[0, 0] == pytest.approx(0.005)
    assert p[0, 1] > 0.02


def test_re_paired_windows_give_uniform_p(rng):
    p = []
    for _ in range(60):
        found = windows(*cut(rng, 0.0), METRICS["plv"].func, n_null=99, rng=rng)
        p.extend(p_value(found.estimate, found.surrogates).ravel())
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.07)
    assert stats.kstest(p, "uniform").pvalue > 0.005


@pytest.mark.parametrize(
    ("shape_a", "shape_b", "options", "message"),
    [
        ((5, 1, 50), (5, 1, 50), {}, "5 windows are too few to re-pair with min_gap=0; at least 6"),
        ((10, 1, 50), (10, 1, 50), {"min_gap": 3}, "at least 12"),
        ((10, 1, 50), (9, 1, 50), {}, r"b \(9, 1, 50\)"),
        ((10, 50), (10, 50), {}, "n_windows, n_channels, n_times"),
        ((10, 1, 50), (10, 1, 50), {"min_gap": -1}, "min_gap=-1"),
    ],
)
def test_windows_say_what_was_given(rng, shape_a, shape_b, options, message):
    with pytest.raises(InputError, match=message):
        windows(np.ones(shape_a), np.ones(shape_b), plain_plv, rng=rng, **options)
