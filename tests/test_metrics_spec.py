"""A metric's record: parameters, and what a function of one's own may return."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.metrics import METRICS, MetricSpec, get_metric
from hyperscan.transforms import wavelet_transform
from metrics_fixtures import BAND, SFREQ, one, pair


def test_missing_parameter_is_named():
    x = np.zeros((1, 600))
    with pytest.raises(InputError, match=r"'xcorr' needs sfreq; pass sfreq=\.\.\."):
        METRICS["xcorr"].evaluate(x, x)


def test_a_users_function_of_wrong_shape_is_refused():
    a, b = pair(METRICS["plv"])
    spec = get_metric(lambda a, b: np.zeros(3))
    with pytest.raises(InputError, match=r"returned shape \(3,\), expected \(3, 2\)"):
        spec.evaluate(a, b)


def complex_product(a, b):
    return a @ b.T.conj()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (MetricSpec("mine", one, bounds=(0, 1)), r"'mine' returned 1.2, outside its bounds 0 to 1"),
        (MetricSpec("mine", one, bounds=(2, 3)), r"outside its bounds 2 to 3. Correct the function, or the bounds"),
        (get_metric(complex_product), r"'complex_product' returned complex128 values, expected real ones"),
    ],
)
def test_a_users_function_of_wrong_values_is_refused(spec, said):
    with pytest.raises(InputError, match=said):
        spec.evaluate(*pair(METRICS["plv"]))


def test_rounding_and_missing_values_are_within_bounds():
    def barely(a, b):
        return np.array([[1 + 1e-9, np.nan]])

    value, _ = MetricSpec("mine", barely, bounds=(0, 1)).evaluate(np.ones((1, 5)), np.ones((2, 5)))
    np.testing.assert_array_equal(value, [[1 + 1e-9, np.nan]])


def test_a_users_function_cannot_change_what_the_next_metric_sees():
    def careless(a, b):
        a *= 0
        return one(a, b)

    a, b = pair(METRICS["plv"])
    before = a.copy()
    with pytest.raises(ValueError, match="read-only"):
        get_metric(careless).evaluate(a, b)
    np.testing.assert_array_equal(a, before)
    assert a.flags.writeable


def test_a_users_record_of_real_signals_works():
    spec = MetricSpec("dot", lambda a, b: a @ b.T, domain="real")
    x = np.eye(3)
    np.testing.assert_array_equal(spec.evaluate(x, x)[0], np.eye(3))


def test_a_metric_of_wavelets_of_ones_own():
    def power(a, b):
        return a.blocks[0].power.mean(axis=(-3, -1))[..., :, None] * b.blocks[0].power.mean(axis=(-3, -1))[..., None, :]

    spec = MetricSpec("power", power, domain="wavelet")
    a, b = (wavelet_transform(np.random.default_rng(n).standard_normal((n, 500)), SFREQ, BAND) for n in (2, 3))
    value, z = spec.evaluate(a, b)
    assert value.shape == (2, 3)
    np.testing.assert_array_equal(value, z)
    assert spec.check(a, b) == (a, b)
    with pytest.raises(InputError, match=r"returned shape \(\), expected \(2, 3\)"):
        MetricSpec("none", lambda a, b: 0.0, domain="wavelet").evaluate(a, b)


def test_a_metric_applies_where_nothing_speaks_against_it():
    assert METRICS["plv"].modalities == ("eeg", "fnirs")
    assert METRICS["ar_corr"].modalities == ("fnirs",)


def test_a_fact_with_a_default_of_its_own_may_be_left_out():
    x = np.random.default_rng(0).standard_normal((1, 400))
    late = np.roll(x, 30, axis=-1)
    assert METRICS["xcorr_lag"].evaluate(x, late, sfreq=10.0)[0] != 3
    assert METRICS["xcorr_lag"].evaluate(x, late, sfreq=10.0, max_lag_s=5)[0] == 3
