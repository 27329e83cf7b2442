"""One person's signal drawn again with the same spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from hyperscan.errors import InputError
from hyperscan.nulls import p_value, phases


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
