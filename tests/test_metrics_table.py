"""The table of metrics: what is found by name, by function, and computed together."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

import hyperscan.metrics as metrics
from hyperscan.errors import InputError
from hyperscan.metrics import METRICS, MetricSpec, evaluate_many, get_metric, get_metrics
from hyperscan.metrics.table import growth_scale, index_scale
from metrics_fixtures import CONTEXT, SFREQ, SPECS, by_name, one, pair


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
def test_the_scale_is_that_of_the_values_where_growth_is_tested(spec):
    value = np.array([0.5])
    put_on = spec.z_func is not None or bool(np.isclose(spec.link(value), np.arctanh(value)))
    assert spec.scale == ("Fisher z" if put_on else spec.name)
    assert put_on or spec.link(value) == value
    assert growth_scale(spec.name) == growth_scale(spec.name, spec.name) == spec.scale
    assert growth_scale("not_ours") == growth_scale("") == growth_scale() == growth_scale("mne:none") == "Fisher z"
    assert index_scale(spec.name) == spec.scale


@by_name
def test_shared_products_give_the_same_values(spec):
    a, b = pair(spec, lead=(2,))
    names = [other.name for other in SPECS if other.domain == spec.domain]
    together = evaluate_many(names, a, b, **CONTEXT)
    value, z = spec.evaluate(a, b, **CONTEXT)
    np.testing.assert_allclose(together[spec.name][0], value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(together[spec.name][1], z, rtol=0, atol=1e-9)
    assert list(together) == names


def test_unknown_name_suggests_and_lists():
    with pytest.raises(InputError, match=r"(?s)'plvv' is unknown\. Did you mean 'plv'\?.*Known: plv, ciplv"):
        get_metric("plvv")


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


def test_options_are_set_by_partial():
    spec = get_metric(functools.partial(metrics.xcorr, max_lag_s=0.1))
    assert spec.name == "xcorr"
    assert spec.domain == "real"
    x = np.random.default_rng(0).standard_normal((1, 400))
    late = np.roll(x, 20, axis=-1)
    assert abs(spec.evaluate(x, late, sfreq=SFREQ)[0]) < 0.5 < METRICS["xcorr"].evaluate(x, late, sfreq=SFREQ)[0]
