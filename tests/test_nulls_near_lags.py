"""Short lags from windows, against products written out."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.metrics import METRICS
from hyperscan.nulls.near_lags import lag_peak, lead_asymmetry, near_lags, strongest_p


@pytest.mark.parametrize("name", ["plv", "coh", "aec", "corr"])
def test_every_lag_is_the_mean_of_the_products_inside_the_windows(name: str) -> None:
    rng, spec = np.random.default_rng(0), METRICS[name]
    a, b = (rng.standard_normal((4, n, 90)) + 1j * rng.standard_normal((4, n, 90)) for n in (3, 2))
    b[..., 4:] += a[:, :2, :-4]
    a, b = (a.real, b.real) if spec.domain == "real" else (a, b)
    assert spec.moment is not None
    found = near_lags(a, b, spec.moment, n_steps=6)
    facts = [spec.moment.measure(np.concatenate(list(x), axis=-1)) for x in (a, b)]
    for lag in range(-6, 7):
        sums = np.zeros((3, 2), dtype=complex)
        for x, y in zip(a, b, strict=True):
            u, v = spec.moment.prepare(x, facts[0]), spec.moment.prepare(y, facts[1])
            # at a positive lag the client repeats what the therapist did before
            u, v = (u[:, : 90 - lag], v[:, lag:]) if lag >= 0 else (u[:, -lag:], v[:, : 90 + lag])
            sums += u @ v.conj().T
        mean = sums / (4 * (90 - abs(lag)))
        mean = mean.real if spec.domain == "real" or name == "aec" else mean
        np.testing.assert_allclose(found[lag + 6], spec.moment.finalise(mean), atol=1e-9)
    assert found[:, 0, 0].argmax() == 6 + 4


def test_a_channel_that_cannot_be_used_leaves_the_others_alone() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 2, 3, 50)) + 1j * rng.standard_normal((2, 2, 3, 50))
    clean = near_lags(a, b, METRICS["plv"].moment, n_steps=2)
    a[1, 2, 7] = np.nan
    found = near_lags(a, b, METRICS["plv"].moment, n_steps=2)
    assert np.isnan(found[:, 2]).all()
    np.testing.assert_allclose(found[:, :2], clean[:, :2])


def test_lags_that_a_window_does_not_hold_are_refused() -> None:
    with pytest.raises(InputError, match="n_steps = 50 does not fit into windows of 50 samples"):
        near_lags(np.ones((1, 1, 50)) + 0j, np.ones((1, 1, 50)) + 0j, METRICS["plv"].moment, n_steps=50)


def test_peak_between_two_steps_is_that_of_a_parabola() -> None:
    lags_s = np.arange(-4, 5) / 4
    assert lag_peak(lags_s, 1 - (lags_s - 0.3) ** 2) == pytest.approx(0.3)
    # nothing above 0, and neighbours below half of the top: the two neighbours enter all the same
    assert lag_peak(lags_s, -1 - (lags_s - 0.3) ** 2) == pytest.approx(0.3)
    assert lag_peak(np.arange(-3.0, 4), np.array([0, 0, 0, 1, 0.4, 0, 0])) == pytest.approx(0.125)
    assert lag_peak(lags_s, lags_s) == 1
    assert np.isnan(lag_peak(lags_s, np.full(9, np.nan)))


def test_a_broad_peak_is_found_from_all_of_it_that_is_above_half() -> None:
    lags_s, rng = np.arange(-20.0, 21), np.random.default_rng(0)
    curves = np.exp(-(((lags_s - 2) / 6) ** 2)) + rng.normal(0, 0.02, (200, len(lags_s)))
    found = np.array([lag_peak(lags_s, curve) for curve in curves])
    before, top, after = (curves[:, 20 + k] for k in (1, 2, 3))
    alone = 2 + 0.5 * (before - after) / (before - 2 * top + after)
    assert found.mean() == pytest.approx(2, abs=0.05)
    assert found.std() < 0.5 * alone.std()


def test_asymmetry_turns_its_sign_with_the_profile() -> None:
    lags_s, curve = np.arange(-3.0, 4), np.random.default_rng(0).random((5, 7))
    np.testing.assert_allclose(lead_asymmetry(lags_s, curve[:, ::-1]), -lead_asymmetry(lags_s, curve))


def test_the_highest_of_all_lags_is_like_that_of_any_pseudo_pair_under_chance() -> None:
    rng = np.random.default_rng(2)
    p = np.array([strongest_p(x[0], x[1:]) for x in rng.standard_normal((400, 20, 33))])
    assert abs((p <= 0.05).mean() - 0.05) < 0.03
    assert np.isnan(strongest_p(np.ones(3), np.empty((0, 3))))
