"""Lag null: folded equals rolled, lags keep their distance, p is uniform, coupling is found."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from scipy.fft import next_fast_len
from scipy.signal import lfilter

from hyperscan.errors import DataQualityWarning, InputError
from hyperscan.metrics import METRICS
from hyperscan.nulls import LagNull, Stacked, autocorrelation_time, lags, p_value
from hyperscan.nulls.lags import lagged_products
from hyperscan.transforms import analytic_signal

lags_module = importlib.import_module("hyperscan.nulls.lags")  # the function hides the module's name
FOLDABLE = sorted(name for name, spec in METRICS.items() if spec.moment is not None)


@dataclass(frozen=True)
class Locking:
    """Phase locking as a folded statistic, spelled out."""

    needs_plus: bool = False

    def measure(self, x):
        return np.empty((len(x), 0))

    def prepare(self, x, facts):
        return x / np.abs(x)

    def finalise(self, minus, plus, a, b):
        return np.abs(minus)


def plain_locking(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out = np.empty((len(a), len(b)))
    for i, j in np.ndindex(out.shape):
        out[i, j] = np.abs(np.mean(np.exp(1j * (np.angle(a[i]) - np.angle(b[j])))))
    return out


def analytic(rng: np.random.Generator, n_channels: int, n_times: int) -> np.ndarray:
    noise = rng.standard_normal((n_channels, n_times)) + 1j * rng.standard_normal((n_channels, n_times))
    return lfilter([1], [1, -0.9 * np.exp(0.6j)], noise)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture
def pair(rng) -> tuple[np.ndarray, np.ndarray]:
    return analytic(rng, 3, 2003), analytic(rng, 2, 2003)


@pytest.mark.parametrize("name", FOLDABLE)
def test_folded_equals_rolled_for_every_metric(rng, pair, name):
    spec = METRICS[name]
    a, b = (x if spec.domain == "analytic" else x.real.copy() for x in pair)
    a[0] += 0.5 * b[0]
    found = lags(a, b, spec.moment, n_null=60, min_lag=50)
    params = {key: {"sfreq": 100.0, "band": (8.0, 12.0)}[key] for key in spec.params}
    direct = lags(a, b, lambda one, other: spec.func(one, other, **params), n_null=60, min_lag=50)
    np.testing.assert_array_equal(found.lags, direct.lags)
    # a finite-sample correction (ppc) is of the order of one over the number of samples
    tolerance = 1e-6 if name != "ppc" else 1e-3
    np.testing.assert_allclose(found.estimate, direct.estimate, atol=tolerance)
    np.testing.assert_allclose(found.surrogates, direct.surrogates, atol=tolerance)


def test_estimate_and_surrogates_equal_the_plain_definition(pair):
    a, b = pair
    found = lags(a, b, Locking(), n_null=40, min_lag=100)
    n_times = len(a[0]) // 45 * 45
    np.testing.assert_allclose(found.estimate, plain_locking(a[:, :n_times], b[:, :n_times]), atol=0.02)
    assert found.surrogates.shape == (40, 3, 2)
    used = next(n for n in range(2003, 1900, -1) if _matches(a, b, found, n))
    assert 2003 - used < 2003 / 40


def _matches(a: np.ndarray, b: np.ndarray, found: LagNull, used: int) -> bool:
    rolled = plain_locking(a[:, :used], np.roll(b[:, :used], found.lags[7], axis=-1))
    return np.allclose(found.surrogates[7], rolled, atol=1e-10)


@pytest.mark.parametrize("whose", ["a", "b", "both"])
def test_masked_samples_do_not_enter(rng, pair, whose):
    a, b = (x.copy() for x in pair)
    valid_a, valid_b = rng.random(2003) > 0.2, rng.random(2003) > 0.3
    masks = {"valid_a": valid_a if whose != "b" else None, "valid_b": valid_b if whose != "a" else None}
    clean = [lags(a, b, statistic, n_null=60, min_lag=50, **masks) for statistic in (Locking(), plain_locking)]
    np.testing.assert_allclose(clean[0].surrogates, clean[1].surrogates, atol=1e-10)
    np.testing.assert_allclose(clean[0].estimate, clean[1].estimate, atol=1e-10)
    for x, mask in ((a, masks["valid_a"]), (b, masks["valid_b"])):
        if mask is not None:
            x[:, ~mask] = np.nan
    spoilt = lags(a, b, Locking(), n_null=60, min_lag=50, **masks)
    np.testing.assert_allclose(spoilt.surrogates, clean[0].surrogates, atol=1e-12)


@pytest.mark.parametrize("name", ["accorr", "coh"])
def test_masks_work_with_every_kind_of_moment(rng, pair, name):
    spec, (a, b) = METRICS[name], pair
    masks = {"valid_a": rng.random(2003) > 0.2, "valid_b": np.abs(np.arange(2003) - 900) > 300}
    folded = lags(a, b, spec.moment, n_null=60, min_lag=50, **masks)
    direct = lags(a, b, spec.func, n_null=60, min_lag=50, **masks)
    # coherence scales each channel on its own valid samples, the direct call on the shared ones
    np.testing.assert_allclose(folded.surrogates, direct.surrogates, atol=1e-9 if name == "accorr" else 0.02)


def test_lags_with_little_in_common_are_left_out(rng, pair):
    half = np.arange(2003) < 900
    with pytest.warns(DataQualityWarning, match="are admissible .* Growth does not rest on it"):
        found = lags(*pair, Locking(), n_null=500, min_lag=5, valid_a=half, valid_b=half)
    assert np.abs(found.lags).max() < 0.55 * 900


@pytest.mark.parametrize("n_times", [1000, 1001, 2003, 5000])
@pytest.mark.parametrize("n_null", [19, 100, 400])
def test_lags_keep_their_distance_on_both_sides(rng, n_times, n_null):
    a = analytic(rng, 1, n_times)
    found = lags(a, a, Locking(), n_null=n_null, min_lag=100)
    assert len(found.lags) == len(np.unique(found.lags)) == n_null
    assert np.abs(found.lags).min() >= 100
    assert np.abs(found.lags).max() <= n_times / 2
    assert (found.lags < 0).any()
    assert (found.lags > 0).any()
    assert found.surrogates.max() < found.estimate


def test_generator_draws_among_the_lags(rng, pair):
    drawn = [lags(*pair, Locking(), n_null=50, min_lag=700, rng=np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0].lags, drawn[1].lags)
    assert len(np.unique(drawn[2].lags)) == 50


def test_too_few_lags_are_all_used_with_a_warning(rng):
    x = analytic(rng, 1, 300)
    with pytest.warns(DataQualityWarning, match=r"only 101 of the 1000 .* below 0.0098"):
        found = lags(x, x, Locking(), min_lag=100)
    assert len(found.lags) == 101


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_lag": 1000}, "leave 4 admissible lags; at least 19"),
        ({"min_lag": 5000}, "leave 0 admissible"),
        ({"min_lag": 0}, "min_lag=0 and n_null=1000"),
        ({"n_null": 0}, "n_null=0"),
        ({"b": np.ones((2, 7))}, r"b \(2, 7\)"),
        ({"valid_a": np.ones(7, dtype=bool)}, r"valid_a must be bool of shape \(2003,\)"),
        ({"valid_b": np.ones(2003)}, "valid_b must be bool"),
        ({"valid_b": np.zeros(2003, dtype=bool)}, "valid_b marks no sample"),
    ],
)
def test_errors_say_what_was_given(pair, changes, message):
    given = {"a": pair[0], "b": pair[1], "statistic": Locking(), "min_lag": 50, **changes}
    with pytest.raises(InputError, match=message):
        lags(**given)


@pytest.mark.parametrize("name", ["plv", "accorr", "aec"])
def test_stretches_of_samples_do_not_change_the_result(pair, monkeypatch, name):
    moment = METRICS[name].moment
    expected = lags(*pair, moment, n_null=60, min_lag=50)
    monkeypatch.setattr(lags_module, "CHUNK_BYTES", 1)
    found = lags(*pair, moment, n_null=60, min_lag=50)
    np.testing.assert_allclose(found.surrogates, expected.surrogates, atol=1e-12)


def test_lags_are_as_many_as_a_transform_likes():
    # 1000 lags of 45 minutes at 250 Hz, less a little: the widest spacing that fits would give a prime number
    step, grid = lags_module._lag_grid(674 * 1009, 1000, 500)
    assert 674 * 1009 // step == next_fast_len(674 * 1009 // step)
    assert len(grid) >= 1000


def test_single_precision_stays_single(pair):
    found = lags(*(x.astype(np.complex64) for x in pair), METRICS["plv"].moment, n_null=60, min_lag=50)
    double = lags(*pair, METRICS["plv"].moment, n_null=60, min_lag=50)
    assert found.surrogates.dtype == np.float32
    np.testing.assert_allclose(found.surrogates, double.surrogates, atol=1e-5)


def test_a_nan_channel_spoils_only_its_pairs(pair):
    a = pair[0].copy()
    a[1, 5] = np.nan
    found = lags(a, pair[1], METRICS["plv"].moment, n_null=60, min_lag=50)
    assert np.isnan(found.surrogates[:, 1]).all()
    assert np.isfinite(found.surrogates[:, [0, 2]]).all()


def test_products_equal_a_loop(rng):
    u, v = rng.standard_normal((2, 24)), rng.standard_normal((3, 24)) + 1j * rng.standard_normal((3, 24))
    minus, plus, *squares = lagged_products(u, v, 4, with_plus=True)
    for k in range(6):
        rolled = np.roll(v, 4 * k, axis=-1)
        np.testing.assert_allclose(minus[k], u @ rolled.conj().T, atol=1e-12)
        np.testing.assert_allclose(plus[k], u @ rolled.T, atol=1e-12)
    for found, x in zip(squares, (u, v), strict=True):
        np.testing.assert_allclose(found, np.tile(np.square(x).sum(axis=-1), (6, 1)), atol=1e-12)
    real, same, *_ = lagged_products(u, v.real, 4, with_plus=True)
    np.testing.assert_allclose(real, minus.real, atol=1e-12)
    assert same is real


def test_squares_of_every_lag_are_those_that_both_masks_leave(rng):
    u, v = rng.standard_normal((2, 3, 27)) + 1j * rng.standard_normal((2, 3, 27))
    valid = rng.random((2, 27)) < 0.6
    *_, ours, theirs = lagged_products(u, v, 4, valid=tuple(valid), with_plus=True)
    for k in range(6):
        both = valid[0, :24] & np.roll(valid[1, :24], 4 * k)
        np.testing.assert_allclose(ours[k], np.square(u[:, :24]) @ both, atol=1e-12)
        np.testing.assert_allclose(theirs[k], np.square(np.roll(v[:, :24], 4 * k, axis=-1)) @ both, atol=1e-12)


@pytest.mark.parametrize("name", ["plv", "accorr", "imcoh"])
def test_independent_signals_give_uniform_p(name):
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((2, 60, 4000))
    band = analytic_signal(noise, 100.0, (8.0, 12.0))[..., 200:-200]
    moment = METRICS[name].moment
    p = []
    for a, b in zip(band[0], band[1], strict=True):
        null = lags(a[None], b[None], moment, n_null=99, min_lag=100)
        p.append(p_value(np.abs(null.estimate), np.abs(null.surrogates)).item())
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) < 0.15


@pytest.mark.parametrize("name", ["plv", "coh", "accorr", "aec"])
def test_planted_coupling_is_found(rng, name):
    noise = rng.standard_normal((2, 6000))
    noise[1] += 1.0 * np.roll(noise[0], 2)
    band = analytic_signal(noise, 100.0, (8.0, 12.0))[:, 200:-200]
    null = lags(band[:1], band[1:], METRICS[name].moment, n_null=199, min_lag=100)
    assert p_value(null.estimate, null.surrogates).item() == pytest.approx(1 / 200)


def test_shared_schedule_makes_the_null_invalid_as_documented():
    rng = np.random.default_rng(3)
    blocks = 1.5 * np.repeat(np.tile([0.0, 1.0], 10), 100)
    rejected = 0
    for _ in range(40):
        a, b = lfilter([1], [1, -0.9], rng.standard_normal((2, 2000))) + 3 * blocks
        null = lags(a[None], b[None], METRICS["corr"].moment, n_null=99, min_lag=30)
        rejected += p_value(null.estimate, null.surrogates).item() <= 0.05
    assert rejected > 12


def test_autocorrelation_time_of_a_known_process(rng):
    # sum of squared autocorrelations of AR(1): (1 + r^2) / (1 - r^2)
    for r in (0.0, 0.5, 0.9):
        x = lfilter([1], [1, -r], rng.standard_normal((40, 20_000)))
        assert autocorrelation_time(x).mean() == pytest.approx((1 + r**2) / (1 - r**2), rel=0.1)


def test_autocorrelation_time_of_a_band(rng):
    x = rng.standard_normal(60_000)
    narrow, wide = (autocorrelation_time(analytic_signal(x, 100.0, band)) for band in ((9.0, 11.0), (5.0, 15.0)))
    assert narrow > 2.5 * wide
    assert np.isnan(autocorrelation_time(np.ones(100)))
    with pytest.raises(InputError, match="3 samples"):
        autocorrelation_time(np.ones(3))


@pytest.mark.parametrize("most", [1, 7, 500])
def test_stacked_shifts_give_what_single_ones_give(most: int) -> None:
    x, y = np.random.default_rng(5).standard_normal((2, 3, 800))

    def single(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a @ b.T

    def several(a: np.ndarray, stack: np.ndarray) -> np.ndarray:
        assert len(stack) <= most
        return np.matmul(a, np.swapaxes(stack, -1, -2))

    alone = lags(x, y, single, n_null=40, min_lag=20)
    together = lags(x, y, Stacked(several, most), n_null=40, min_lag=20)
    assert together.estimate == pytest.approx(alone.estimate)
    assert together.surrogates == pytest.approx(alone.surrogates)
    assert together.lags.tolist() == alone.lags.tolist()
    valid = np.arange(800) > 100  # the joint samples of two lags differ in number, so they cannot be stacked
    masked = lags(x, y, Stacked(several, most), n_null=40, min_lag=20, valid_a=valid)
    assert masked.surrogates == pytest.approx(lags(x, y, single, n_null=40, min_lag=20, valid_a=valid).surrogates)


@pytest.mark.parametrize("kind", ["folded", "callable"])
def test_masks_that_alternate_leave_lag_0_and_shifts_the_same_chance_level(kind: str) -> None:
    """Turn taking: few samples are good in both people at once, and locking by chance is larger in few."""
    rng = np.random.default_rng(3)
    a, b = np.exp(2j * np.pi * rng.random((2, 8, 3000)))
    turn = np.arange(3000) // 100 % 2 == 0
    good_a, good_b = turn | (rng.random(3000) < 0.15), ~turn | (rng.random(3000) < 0.15)
    assert (good_a & good_b).mean() < 0.2
    statistic = Locking() if kind == "folded" else plain_locking
    found = lags(a, b, statistic, n_null=60, min_lag=20, valid_a=good_a, valid_b=good_b)
    squared = [float((np.abs(values) ** 2).mean()) for values in (found.estimate, found.surrogates)]
    assert squared[1] == pytest.approx(squared[0], rel=0.25)  # 64 pairs: 12 % of sampling error
    counts = {lag: (good_a & np.roll(good_b, lag)).sum() for lag in found.lags.tolist()}
    assert max(counts.values()) > 3 * (good_a & good_b).sum()


@pytest.mark.parametrize("turn", range(100, 1600, 100))
def test_shifts_use_about_as_many_samples_as_lag_0_however_long_the_turns_are(turn: int) -> None:
    def count(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.full((1, 1), float(a.shape[-1]))

    x, at = np.ones((1, 6000)), np.arange(6000)
    first = at // turn % 2 == 0
    second = ~first | (at % turn < turn // 8)
    found = lags(x, x, count, n_null=100, min_lag=60, valid_a=first, valid_b=second)
    used = found.surrogates / found.estimate
    assert 0.6 < used.min() <= used.max() < 1.5


def test_masks_without_a_common_sample_are_refused() -> None:
    first = np.arange(800) < 400
    with pytest.raises(InputError, match="no sample in common"):
        lags(np.ones((1, 800)), np.ones((1, 800)), Locking(), n_null=40, min_lag=20, valid_a=first, valid_b=~first)
