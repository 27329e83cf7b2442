"""Windows paired with windows of other times."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hyperscan.errors import InputError
from hyperscan.metrics import METRICS
from hyperscan.nulls import p_value, windows
from hyperscan.transforms import analytic_signal


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(23)


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
