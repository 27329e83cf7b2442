"""Averaged products: metrics from moments, chunks, samples left out."""

from __future__ import annotations

import numpy as np
import pytest

from metrics_fixtures import N_TIMES, SPECS, by_name, pair, value_of


@by_name
def test_long_recording_equals_its_own_chunks(spec):
    if spec.moment is None and spec.name not in ("pli", "wpli", "dwpli", "oaec"):
        pytest.skip("computed in one piece")
    a, b = pair(spec, n_a=40, n_b=30, n_times=16_000)  # 9 MB of rows and more: cut
    np.testing.assert_allclose(value_of(spec, a, b)[7:9, 3:5], value_of(spec, a[7:9], b[3:5]), rtol=0, atol=1e-12)


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
