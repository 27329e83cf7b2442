"""What every metric of the table must do, whatever it measures."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

import hyperscan.metrics as metrics
from hyperscan.errors import InputError
from hyperscan.metrics import METRICS, MetricSpec, evaluate_many, get_metric, get_metrics

SFREQ, BAND, N_TIMES = 50.0, (4.0, 8.0), 600
CONTEXT = {"sfreq": SFREQ, "band": BAND}
SPECS = list(METRICS.values())
by_name = pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])

# What a channel has with itself: nothing at lag 0 to find, or everything.
IDENTITY = {
    "imcoh": 0, "ciplv": 0, "pli": 0, "wpli": 0, "dwpli": 0, "lagcoh": 0, "oaec": 0, "xcorr_lag": 0,
    "nmplv": None, "gcte": 0, "gcmi": 23.253,
}  # fmt: skip


def signals(spec, shape, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    smooth = np.cumsum(x, axis=-1)
    smooth = smooth - np.concatenate([np.zeros((*shape[:-1], 5)), smooth[..., :-5]], axis=-1)
    if spec.domain != "analytic":
        return smooth.astype(dtype)
    y = rng.standard_normal(shape)
    return (smooth + 1j * (y + np.roll(smooth, 2, axis=-1))).astype(np.result_type(dtype, np.complex64))


def pair(spec, lead=(), n_a=3, n_b=2, seed=0, dtype=np.float64, n_times=N_TIMES):
    a = signals(spec, (*lead, n_a, n_times), seed, dtype)
    b = signals(spec, (*lead, n_b, n_times), seed + 1, dtype)
    b[..., 0, :] += a[..., 0, :] * (0.7j if spec.domain == "analytic" else 0.7)
    return a, b


def value_of(spec, a, b):
    return spec.evaluate(a, b, **CONTEXT)[0]


@by_name
def test_shape_bounds_and_growth_scale(spec):
    a, b = pair(spec, lead=(4,))
    value, z = spec.evaluate(a, b, **CONTEXT)
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
    value, z = spec.evaluate(*single, **CONTEXT)
    assert value.dtype == np.float32
    assert z.dtype == np.float32
    exact = value_of(spec, a, b)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(value, exact, rtol=0, atol=2e-3 if spec.name in ("pli", "xcorr_lag") else 2e-5)


@by_name
def test_long_recording_equals_its_own_chunks(spec):
    if spec.moment is None and spec.name not in ("pli", "wpli", "dwpli", "oaec"):
        pytest.skip("computed in one piece")
    a, b = pair(spec, n_a=40, n_b=30, n_times=8000)  # 4.5 MB of rows: cut
    np.testing.assert_allclose(value_of(spec, a, b)[7:9, 3:5], value_of(spec, a[7:9], b[3:5]), rtol=0, atol=1e-12)


@by_name
def test_wrong_domain_is_refused_with_the_remedy(spec):
    a, b = pair(spec)
    if spec.domain == "analytic":
        with pytest.raises(InputError, match=r"(?s)a must be complex .* got float64.*analytic_signal"):
            spec.func(a.real, b, **{name: CONTEXT[name] for name in spec.params})
    elif spec.domain == "real":
        with pytest.raises(InputError, match=r"b must be real signals, got complex128"):
            spec.func(a, b + 0j, **{name: CONTEXT[name] for name in spec.params})


@by_name
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a, b: (a[0], b), r"a must have shape \(\.\.\., n_channels, n_times\), got \(600,\)"),
        (lambda a, b: (a[:, :-1], b), r"same n_times, got 599 and 600"),
        (lambda a, b: (np.stack([a, a]), np.stack([b, b, b])), r"must broadcast, got \(2,\) and \(3,\)"),
    ],
)
def test_wrong_shapes_are_refused(spec, change, text):
    if spec.domain == "wavelet":
        pytest.skip("tested with the wavelets")
    a, b = change(*pair(spec))
    with pytest.raises(InputError, match=text):
        spec.func(a, b, **{name: CONTEXT[name] for name in spec.params})


@by_name
def test_facts_are_complete(spec):
    assert METRICS[spec.name] is spec
    assert get_metric(spec.name) is spec
    assert get_metric(spec) is spec
    assert get_metric(getattr(metrics, spec.name)) is spec
    assert re.fullmatch(r"10\.\d{4,}/\S+", spec.citation)
    assert spec.summary
    assert spec.chance
    assert spec.bounds[0] < spec.bounds[1]
    assert spec.name in metrics.__all__
    text = getattr(metrics, spec.name).__doc__
    assert spec.citation in text
    assert "shape (..., n_a, n_b)" in text


@by_name
def test_shared_products_give_the_same_values(spec):
    a, b = pair(spec, lead=(2,))
    names = [other.name for other in SPECS if other.domain == spec.domain]
    together = evaluate_many(names, a, b, **CONTEXT)
    value, z = spec.evaluate(a, b, **CONTEXT)
    np.testing.assert_allclose(together[spec.name][0], value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(together[spec.name][1], z, rtol=0, atol=1e-9)
    assert list(together) == names


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.moment is not None], ids=lambda spec: spec.name)
def test_moment_gives_the_metric_from_averaged_products(spec):
    a, b = pair(spec)
    moment = spec.moment
    u, v = (moment.prepare(x, moment.measure(x)) for x in (a, b))
    minus = u @ v.conj().T / N_TIMES
    plus = u @ v.T / N_TIMES if moment.needs_plus else None
    squares = [np.mean(np.square(w), axis=-1) if moment.needs_plus else None for w in (u, v)]
    value = moment.finalise(minus, plus, *squares, n_times=N_TIMES)
    np.testing.assert_allclose(value, value_of(spec, a, b), rtol=0, atol=1e-12)
    # A circular shift of one person changes neither the prepared samples nor their squares.
    rolled = np.roll(b, 77, axis=-1)
    np.testing.assert_allclose(moment.prepare(rolled, moment.measure(rolled)), np.roll(v, 77, axis=-1), atol=1e-12)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.moment is not None], ids=lambda spec: spec.name)
def test_prepare_leaves_marked_samples_out_of_the_scale(spec):
    a, _ = pair(spec)
    kept = np.ones(N_TIMES, dtype=bool)
    kept[100:180] = False
    marked = np.where(kept, a, np.nan)
    facts = spec.moment.measure(marked)
    prepared = spec.moment.prepare(marked, facts)
    assert np.isnan(prepared[:, ~kept]).all()
    np.testing.assert_allclose(
        prepared[:, kept], spec.moment.prepare(a[:, kept], spec.moment.measure(a[:, kept])), rtol=0, atol=1e-12
    )
    flat = spec.moment.prepare(np.zeros_like(a), spec.moment.measure(np.zeros_like(a)))
    assert np.isnan(flat).all()


def test_unknown_name_suggests_and_lists():
    with pytest.raises(InputError, match=r"(?s)'plvv' is unknown\. Did you mean 'plv'\?.*Known: plv, ciplv"):
        get_metric("plvv")


def test_missing_parameter_is_named():
    x = np.zeros((1, 600))
    with pytest.raises(InputError, match=r"'xcorr' needs sfreq; pass sfreq=\.\.\."):
        METRICS["xcorr"].evaluate(x, x)


def test_a_users_function_works_where_a_name_does():
    def mean_cosine(a, b, sfreq):
        assert sfreq == SFREQ
        unit = [x / np.abs(x) for x in (a, b)]
        return (unit[0] @ np.swapaxes(unit[1].conj(), -1, -2)).real / a.shape[-1]

    a, b = pair(METRICS["plv"], lead=(2,))
    spec = get_metric(mean_cosine)
    assert (spec.name, spec.params) == ("mean_cosine", ("sfreq",))
    results = evaluate_many(["plv", mean_cosine], a, b, **CONTEXT)
    assert list(results) == ["plv", "mean_cosine"]
    assert (np.abs(results["mean_cosine"][0]) <= results["plv"][0] + 1e-12).all()


def test_a_users_function_of_wrong_shape_is_refused():
    a, b = pair(METRICS["plv"])
    spec = get_metric(lambda a, b: np.zeros(3))
    with pytest.raises(InputError, match=r"returned shape \(3,\), expected \(3, 2\)"):
        spec.evaluate(a, b)


def one(a, b):
    return np.full((a.shape[0], b.shape[0]), 1.2)


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


def test_a_name_stands_for_one_metric():
    def plv(a, b):
        return one(a, b)

    for metric in (plv, MetricSpec("plv", one)):
        with pytest.raises(InputError, match=r"metric 'plv': a function of yours has the name of one of ours"):
            get_metric(metric)
    with pytest.raises(InputError, match="two metrics are called 'lambda'"):
        get_metrics([lambda a, b: one(a, b), lambda a, b: one(a, b)])
    with pytest.raises(InputError, match="two metrics are called 'xcorr'"):
        get_metrics(["xcorr", functools.partial(metrics.xcorr, max_lag_s=0.1)])
    assert [spec.name for spec in get_metrics(["plv", metrics.plv])] == ["plv", "plv"]


def test_a_users_record_of_real_signals_works():
    spec = MetricSpec("dot", lambda a, b: a @ b.T, domain="real")
    x = np.eye(3)
    np.testing.assert_array_equal(spec.evaluate(x, x)[0], np.eye(3))


def test_options_are_set_by_partial():
    spec = get_metric(functools.partial(metrics.xcorr, max_lag_s=0.1))
    assert spec.name == "xcorr"
    assert spec.domain == "real"
    x = np.random.default_rng(0).standard_normal((1, 400))
    late = np.roll(x, 20, axis=-1)
    assert abs(spec.evaluate(x, late, sfreq=SFREQ)[0]) < 0.5 < METRICS["xcorr"].evaluate(x, late, sfreq=SFREQ)[0]
