"""Coupling inside one person: what its sets are, what its products give, and what chance leaves of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hyperscan.metrics import METRICS, get_metric
from hyperscan.schema import CORRECTED, Index
from hyperscan.simulate.signals import band_noise, delay
from hyperscan.synchrony import recipe_of, within_values
from hyperscan.synchrony.pair import BandSignals
from hyperscan.synchrony.within import CLOSED, channel_sets, coupling_values, metric_windows, mirrored, window_products
from hyperscan.transforms import analytic_signal
from within_fixtures import CONFIG, N_WINDOW, NAMES, SFREQ, cap, found, person


def test_chance_of_coupling_is_that_of_what_volume_conduction_leaves() -> None:
    """Without coupling at a lag the level is that of mismatched times, however much the channels share at lag 0."""
    for gain in (0.0, 0.5, 2.0):
        gaps = [found(cap(200, seed, gain))[Index("lagcoh", "alpha", "occipital")].value for seed in range(6)]
        assert abs(np.mean(gaps)) < 0.025, gain
    rng, n_times = np.random.default_rng(0), round(200 * SFREQ)
    data = cap(200, 9, 0.0)
    source = 12e-6 * band_noise((n_times,), SFREQ, (9.0, 11.0), rng)
    data[7] += source
    data[0] += delay(source, SFREQ, 0.01)
    values = found(data)
    assert values[Index("lagcoh", "alpha", "frontal-occipital")].value > 0.02
    assert values[Index(CORRECTED, "alpha", "frontal-occipital")].value > 0.01
    assert abs(values[Index("lagcoh", "alpha", "parietal")].value) < 0.05


@pytest.mark.parametrize("name", CLOSED)
def test_products_give_what_the_metric_gives_of_the_signals_they_stand_for(name: str) -> None:
    signals = BandSignals(analytic_signal(cap(60), SFREQ, (8.0, 12.0)), N_WINDOW)
    starts, apart = np.arange(6) * N_WINDOW, ~np.eye(9, dtype=bool)
    made = window_products(signals, starts, [2], 256)
    for shift, products in ((0, made.real), (2, made.mismatched[0])):
        direct, _ = metric_windows(get_metric(name), signals, starts, shift, {"sfreq": SFREQ, "band": (8.0, 12.0)})
        folded = CLOSED[name](*products)
        np.testing.assert_allclose(np.abs(folded[:, apart]), np.abs(direct[:, apart]), atol=1e-5)


def test_sets_of_channels_hold_each_pair_once_and_networks_what_lies_between_regions() -> None:
    config = dataclasses.replace(CONFIG, networks={"mine": ["frontal", "parietal", "occipital"]})
    signals, _ = person(cap(10))
    sets = channel_sets(signals, recipe_of(config, "eeg"))
    assert {name: len(pairs) for name, pairs in sets.items()} == {
        "all": 36, "frontal": 10, "parietal": 1, "occipital": 1, "frontal-parietal": 10, "frontal-occipital": 10,
        "parietal-occipital": 4, "mine": 24,
    }  # fmt: skip
    assert mirrored(signals, signals.rois["frontal"]) == [(0, 2), (3, 4)]


def test_every_blind_metric_can_be_asked_for() -> None:
    blind = [name for name, spec in METRICS.items() if spec.zero_lag_blind and spec.sets is None]
    signals, starts = person(cap(40)[:4], names=NAMES[:4])
    signals = dataclasses.replace(signals, rois={"all": range(4)})
    recipe = recipe_of(dataclasses.replace(CONFIG, within_metrics=blind), "eeg")
    values = {each.index: each.value for each in within_values(signals, starts, N_WINDOW, recipe)}
    for name in blind:
        assert abs(values[Index(name, "alpha", "all")]) < 0.15, name


@pytest.mark.parametrize("name", METRICS)
def test_coupling_that_mismatched_times_have_too_is_none(name: str) -> None:
    low, high = np.clip(METRICS[name].bounds, -0.9, 0.9)
    value = np.random.default_rng(0).uniform(low, high, (5, 3, 3))
    pair = (value, METRICS[name].link(value))
    (one,) = coupling_values(METRICS[name], "alpha", pair, [pair, pair], {"all": np.array([[0, 1], [0, 2]])})
    assert one.value == pytest.approx(0)


def test_windows_shorter_than_a_burst_have_no_evenness() -> None:
    signals, _ = person(cap(20))
    values = within_values(signals, np.arange(20) * 128, 128, recipe_of(CONFIG, "eeg"))
    assert all(np.isnan(one.value) for one in values if one.index.name == "evenness")
    assert all(np.isfinite(one.value) for one in values if one.index.name == "lagcoh")
