"""Metrics of whole regions: what they see, what their rank does, and what is found that a mean over pairs does not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.metrics import METRICS, cacoh, get_metric, mic, mim
from hyperscan.metrics.sets import whitening

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import validate_sets as script

NAMES = [name for name, spec in METRICS.items() if spec.sets is not None]


def people(seed: int = 0, n_channels: int = 4, n_times: int = 800) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = script.noise(rng, n_channels, n_times), script.noise(rng, n_channels, n_times)
    b[0] += 0.8j * a[1]
    return a, b


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_matter_how_sources_mix_into_channels(name: str) -> None:
    (a, b), rng = people(), np.random.default_rng(1)
    mixed = rng.standard_normal((4, 4)) @ a, rng.standard_normal((4, 4)) @ b
    np.testing.assert_allclose(METRICS[name].func(*mixed), METRICS[name].func(a, b), rtol=0, atol=1e-9)


def test_many_common_sources_at_lag_0_are_seen_by_canonical_coherence_alone() -> None:
    rng = np.random.default_rng(0)
    common, *own = (script.noise(rng, 3, 20_000) for _ in range(3))
    a, b = (rng.standard_normal((3, 3)) @ common + 0.3 * noise for noise in own)
    assert cacoh(a, b) > 0.8
    assert mic(a, b) < 0.03
    assert mim(a, b) < 0.002
    assert mic(a, 1j * b) > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_that_cannot_be_used_is_left_out_of_its_window(name: str) -> None:
    a, b = (np.stack([x, x]) for x in people())
    spoilt = a.copy()
    spoilt[0, 3], spoilt[1, 3, 5] = 0, np.nan
    value = METRICS[name].func(spoilt, b, 3)
    np.testing.assert_allclose(value, METRICS[name].func(a[:, :3], b, 3), rtol=0, atol=1e-9)
    assert np.isnan(METRICS[name].func(spoilt, b, 4)).all()
    assert np.isfinite(METRICS[name].func(a, b, 4)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_rank_that_the_data_lack_gives_no_value(name: str) -> None:
    a, b = people()
    referenced = a - a.mean(axis=0)
    assert np.isnan(METRICS[name].func(referenced, b)).all()
    assert np.isfinite(METRICS[name].func(referenced, b, 3)).all()
    with pytest.raises(InputError, match=r"rank = 5: this set has 4 channels\. Give 1 to 4"):
        METRICS[name].func(a, b, 5)


@pytest.mark.parametrize("name", NAMES)
def test_more_components_give_more_by_chance(name: str) -> None:
    rng = np.random.default_rng(0)
    a, b = script.noise(rng, 30, 6, 80), script.noise(rng, 30, 6, 80)
    levels = [float(METRICS[name].func(a, b, rank).mean()) for rank in (1, 3, 6)]
    assert levels == sorted(levels)
    assert levels[2] > 2 * levels[0]


def test_fewer_components_are_the_strongest_ones() -> None:
    a, _ = people()
    a[2] += a[0]
    unit = a / np.sqrt(np.mean(np.abs(a) ** 2, axis=1, keepdims=True))
    values, vectors = np.linalg.eigh((unit @ unit.conj().T).real / a.shape[1])
    strongest = (vectors / np.sqrt(values)).T[::-1] @ unit
    alike = (whitening(a, 2) @ a @ strongest.conj().T).real / a.shape[1]
    np.testing.assert_allclose(np.abs(alike), np.eye(4)[:2], rtol=0, atol=1e-9)


def test_a_component_spread_over_six_channels_is_found_where_the_mean_of_pairs_does_not() -> None:
    shares = script.found(np.random.default_rng(0), script.SNR, 3, 8)
    assert min(shares[name] for name in NAMES) >= 7 / 8
    assert shares["ciplv"] <= 0.5


@pytest.mark.parametrize("n_windows", [3, 15])
def test_unrelated_people_have_no_excess_whatever_the_number_of_windows(n_windows: int) -> None:
    value, beyond, error = script.excess(np.random.default_rng(n_windows), "mic", 6, n_windows, 80, 25)
    assert value > 0.3
    assert abs(beyond) < 3 * error < 0.05


@pytest.mark.parametrize("name", ["mic", "mim"])
def test_mne_s_pairs_of_single_channels_are_no_sets(name: str) -> None:
    with pytest.raises(InputError, match=f"'mne:{name}' compares whole regions, not pairs of channels. Write '{name}'"):
        get_metric(f"mne:{name}")
