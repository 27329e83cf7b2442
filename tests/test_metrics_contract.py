"""What every metric of the table must do, whatever it measures."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest

from hyperscan import metrics
from hyperscan.errors import InputError
from hyperscan.metrics import METRICS
from metrics_fixtures import CONTEXT, N_TIMES, SPECS, by_name, evaluated, pair, value_of

# What a channel has with itself: nothing at lag 0 to find, or everything.
IDENTITY = {
    "imcoh": 0, "ciplv": 0, "pli": 0, "wpli": 0, "dwpli": 0, "lagcoh": 0, "oaec": 0, "xcorr_lag": 0,
    "nmplv": None, "gcte": 0, "gcmi": 23.253, "wtc_therapist_leads": 0, "wtc_client_leads": 0, "wtc_anti_phase": 0,
    "mic": 0, "mim": 0,
}  # fmt: skip


def counts(name: str) -> bool:
    """Whether a metric counts samples, of which rounding moves one now and then."""
    return name in ("pli", "xcorr_lag") or name.startswith("wtc_")


@by_name
def test_shape_bounds_and_growth_scale(spec):
    a, b = pair(spec, lead=(4,))
    value, z = evaluated(spec, a, b)
    assert value.shape == z.shape == (4, 3, 2)
    assert np.isfinite(value).all()
    assert np.isfinite(z).all()
    assert value.min() >= spec.bounds[0]
    assert value.max() <= spec.bounds[1]
    if spec.z_func is None:
        np.testing.assert_array_equal(z, spec.link(value))


@by_name
def test_input_is_left_unchanged(spec):
    a, b = pair(spec)
    before = a.copy(), b.copy()
    value_of(spec, a, b)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


@by_name
@pytest.mark.parametrize("gain", [1e-7, 1e6])
def test_gain_does_not_matter(spec, gain):
    a, b = pair(spec)
    np.testing.assert_allclose(value_of(spec, gain * a, b), value_of(spec, a, b), rtol=0, atol=1e-9)


@by_name
@pytest.mark.parametrize("gain", [1e-13, 1e9])
def test_gain_does_not_matter_in_single_precision(spec, gain):
    a, b = pair(spec, dtype=np.float32)
    scaled = (np.float32(gain) * a).astype(a.dtype)
    np.testing.assert_allclose(value_of(spec, scaled, b), value_of(spec, a, b), rtol=0, atol=5e-4)


@by_name
def test_swapping_the_people(spec):
    a, b = pair(spec)
    forth, back = value_of(spec, a, b), value_of(spec, b, a).T
    if spec.symmetric:
        np.testing.assert_allclose(back, forth, rtol=0, atol=1e-12)
    elif spec.direction == "sign":
        np.testing.assert_allclose(back, -forth, rtol=0, atol=1e-12)
    else:
        assert np.abs(back - forth).max() > 1e-3


@by_name
def test_a_channel_with_itself(spec):
    a, _ = pair(spec)
    expected = IDENTITY.get(spec.name, 1)
    own = np.diag(value_of(spec, a, a))
    if expected is not None:
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-3)
    if spec.zero_lag_blind:
        np.testing.assert_allclose(np.diag(value_of(spec, a, np.pi * a)), 0, atol=1e-6)
        np.testing.assert_allclose(np.diag(value_of(spec, a, -np.pi * a)), 0, atol=1e-6)


@by_name
def test_leading_dims_broadcast_and_stay(spec):
    a, b = pair(spec, lead=(2, 3))
    whole = value_of(spec, a, b)
    assert whole.shape == (2, 3, 3, 2)
    np.testing.assert_allclose(whole[1, 2], value_of(spec, a[1, 2], b[1, 2]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        value_of(spec, a[:, :1], b[0])[1, 2], value_of(spec, a[1, 0], b[0, 2]), rtol=0, atol=1e-12
    )


@by_name
def test_layout_in_memory_does_not_matter(spec):
    a, b = pair(spec, lead=(2,))
    wide = np.concatenate([a, a], axis=-1)[..., :N_TIMES]
    turned = np.asfortranarray(b)
    np.testing.assert_allclose(value_of(spec, wide, turned), value_of(spec, a, b), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        value_of(spec, a[..., ::2], b[..., ::2]),
        value_of(spec, a[..., ::2].copy(), b[..., ::2].copy()),
        rtol=0,
        atol=1e-12,
    )


@by_name
def test_one_nan_takes_its_channel_out_of_its_window_only(spec):
    a, b = pair(spec, lead=(2,))
    clean = value_of(spec, a, b)
    a[0, 1, 100] = np.nan
    b[1, 0, -1] = np.nan
    value = value_of(spec, a, b)
    expected = np.zeros(value.shape, dtype=bool)
    expected[0, 1, :] = True
    expected[1, :, 0] = True
    np.testing.assert_array_equal(np.isnan(value), expected)
    np.testing.assert_allclose(value[~expected], clean[~expected], rtol=0, atol=1e-12)


@by_name
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_infinite_sample_is_a_missing_one(spec, sign):
    a, b = pair(spec)
    clean = value_of(spec, a, b)
    a[1, 100] = sign * np.inf
    value = value_of(spec, a, b)
    assert np.isnan(value[1]).all()
    np.testing.assert_allclose(value[[0, 2]], clean[[0, 2]], rtol=0, atol=1e-12)


@by_name
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_no_number_can_square_is_nan_never_zero(spec):
    a, b = pair(spec)
    value = value_of(spec, 1e200 * a, b)
    expected = np.where(np.isnan(value), np.nan, value_of(spec, a, b))
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["ccorr", "accorr"])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_constant_phase_has_no_deviations_to_correlate(name, dtype):
    a, b = (x.astype(dtype) for x in pair(METRICS[name]))
    still = (np.abs(a) * np.exp(0.3j)).astype(dtype)
    assert np.isnan(value_of(METRICS[name], still, b)).all()
    assert np.isnan(value_of(METRICS[name], still, (np.abs(b) * np.exp(1.1j)).astype(dtype))).all()
    assert np.isfinite(value_of(METRICS[name], a, b)).all()


#: Arguments of metrics that are a rate or a length of time, by the name of the metric.
LENGTHS = [
    (spec.name, name)
    for spec in SPECS
    for name in signature(getattr(metrics, spec.name)).parameters
    if name == "sfreq" or name.endswith("_s")
]


@pytest.mark.parametrize(("metric", "argument"), LENGTHS)
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_rate_or_a_length_that_is_none_is_refused_by_name(metric, argument, value):
    spec = METRICS[metric]
    a, b = (np.real(x) for x in pair(spec))
    context = {name: known for name, known in CONTEXT.items() if name in spec.params}
    with pytest.raises(InputError, match=argument):
        getattr(metrics, metric)(a, b, **{**context, argument: value})


@by_name
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_a_flat_channel_is_nan_never_zero(spec, dtype, level):
    a, b = pair(spec, dtype=dtype)
    a[2] = 0.0 if spec.domain == "analytic" else level
    value = value_of(spec, a, b)
    assert np.isnan(value[2]).all()
    assert np.isfinite(value[:2]).all()


@by_name
def test_all_channels_bad(spec):
    a, b = pair(spec)
    assert np.isnan(value_of(spec, a * np.nan, b)).all()


@by_name
def test_single_precision_is_kept_and_close(spec):
    a, b = pair(spec)
    single = [x.astype(np.complex64 if spec.domain == "analytic" else np.float32) for x in (a, b)]
    value, z = evaluated(spec, *single)
    assert value.dtype == np.float32
    assert z.dtype == np.float32
    exact = value_of(spec, a, b)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(value, exact, rtol=0, atol=2e-3 if counts(spec.name) else 2e-5)
