"""What a study computes for every pair of people, and what it refuses."""

from __future__ import annotations

import dataclasses

import mne
import numpy as np
import pytest

import hyperscan as hs
from hyperscan.config import Primary, StudyConfig
from hyperscan.errors import ConfigError
from hyperscan.recording import PairedRecording, align_pair, preprocess_pair
from hyperscan.schema import ROLES
from hyperscan.study import Session
from hyperscan.synchrony import compute_synchrony, recipe_of
from synchrony_fixtures import CH_NAMES, CONFIG, HERE, both, coupled


def of_alpha(metric: str, **settings: object) -> StudyConfig:
    return StudyConfig(
        bands={"alpha": (8, 12)}, metrics=[metric], primary=Primary(metric, "alpha", "all"), window_s=10, **settings
    )


def test_pairs_of_rois_and_the_primary_one() -> None:
    a, b = both(coupled(), CONFIG)
    listed = dataclasses.replace(CONFIG, roi_pairs=["frontal-posterior"])
    assert set(recipe_of(listed, "eeg").pairs_of(a.rois, b.rois)) == {
        ("all", "all"), ("frontal", "posterior"), ("posterior", "posterior"),
    }  # fmt: skip
    every = dataclasses.replace(CONFIG, roi_pairs="all")
    assert len(recipe_of(every, "eeg").pairs_of(a.rois, b.rois)) == len(a.rois) ** 2


def test_each_person_has_the_bands_named_for_them() -> None:
    config = dataclasses.replace(CONFIG, bands_client={"alpha": (7, 11)})
    recipe = recipe_of(config, "eeg")
    assert [recipe.of(role).bands for role in ROLES] == [
        {"theta": (4, 6), "alpha": (8, 12)},
        {"theta": (4, 6), "alpha": (7, 11)},
    ]
    assert not recipe.one_band
    assert recipe_of(CONFIG, "eeg").one_band
    assert recipe_of(dataclasses.replace(CONFIG, bands_client={"theta": (3, 5)}), "eeg").one_band


@pytest.mark.parametrize(
    ("metric", "client", "said"),
    [
        ("nmplv", {}, r"'nmplv' compares 8-12 Hz of the therapist with 4-6 Hz of the client; 'alpha' is 8-12 Hz there"),
        ("plv", {"alpha": (4, 6)}, r"'plv' compares 8-12 Hz of the therapist with 8-12 Hz"),
        ("mne:coh", {"alpha": (8, 11)}, r"'mne:coh' takes one band of both people, and 'alpha' has edges of its own"),
    ],
)
def test_a_metric_of_bands_that_it_does_not_compare_is_refused(metric: str, client: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        recipe_of(of_alpha(metric, bands_client=client), "eeg")


def locked_one_to_two(seed: int = 0) -> list[mne.io.RawArray]:
    """Make two people: the client's rhythm runs at half the therapist's, and nothing else connects them."""
    rng, seconds, sfreq = np.random.default_rng(seed), 60, 128.0
    drift = np.cumsum(rng.normal(0, 1 / np.sqrt(sfreq), seconds * int(sfreq)))
    phase = 2 * np.pi * 10 * np.arange(len(drift)) / sfreq + drift
    data = [1e-5 * (np.cos(phase * part) + 0.5 * rng.standard_normal((4, len(drift)))) for part in (1, 0.5)]
    return [mne.io.RawArray(x, mne.create_info(list(CH_NAMES), sfreq, "eeg"), verbose="error") for x in data]


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")  # three dyads of one session
def test_one_to_two_locking_is_found_in_a_run() -> None:
    study = {(f"D{dyad}", 1): tuple(locked_one_to_two(dyad)) for dyad in range(3)}
    table = hs.run_study(study, of_alpha("nmplv", bands_client={"alpha": (4, 6)})).table
    assert set(table["dyad"]) == {"D0", "D1", "D2"}
    assert table["estimate"].min() > 0.8
    assert table["excess_z"].min() > 0.5


def test_one_to_two_locking_is_found_between_bands_of_two_people() -> None:
    raws = locked_one_to_two()
    row = Session("D", "T", "C", 1, "eeg", HERE, HERE, HERE, clock="same_amplifier")
    config = of_alpha("nmplv", bands_client={"alpha": (4, 6)})
    pair = preprocess_pair(align_pair(PairedRecording(*raws, row)), config)
    sync = compute_synchrony(pair, config=config, null="windows")
    assert sync.get_data("nmplv", "alpha").min() > 0.8
    real, other_times = (float(sync.dataset[name].sel(metric="nmplv").mean()) for name in ("roi_z", "window_null"))
    assert real > 2 * other_times
    with pytest.raises(ConfigError, match="'nmplv' compares"):
        compute_synchrony(pair, metrics=["nmplv"], config=of_alpha("plv"))


def test_how_far_cross_correlation_looks_is_the_setting_of_the_modality() -> None:
    config = StudyConfig(max_lag_s={"eeg": 0.5}, metrics=["xcorr"])
    assert recipe_of(config, "eeg").facts(128.0, "alpha")["max_lag_s"] == 0.5
    assert recipe_of(config, "fnirs").facts(2.0, "slow")["max_lag_s"] == 20
    with pytest.raises(ConfigError, match=r"max_lag_s\.fnirs = 20 s, and min_seconds = 15"):
        recipe_of(dataclasses.replace(config, min_seconds=15), "fnirs")


def test_a_lag_profile_is_of_metrics_that_a_part_of_a_cycle_neither_hides_nor_turns() -> None:
    every = ["plv", "ciplv", "ppc", "ccorr", "accorr", "coh", "imcoh", "aec", "pec", "corr", "gcmi", "xcorr"]
    config = StudyConfig(metrics={"eeg": every, "fnirs": [*every, "wtc"]})
    eeg, fnirs = recipe_of(config, "eeg"), recipe_of(config, "fnirs")
    grid, slow = eeg.lag_grid(128.0, 2560), fnirs.lag_grid(2.0, 1200)
    assert (grid.every, grid.n_steps, slow.every, slow.n_steps) == (8, 16, 2, 20)
    assert grid.lags_s.tolist() == (np.arange(-16, 17) / 16).tolist()
    assert [spec.name for spec in eeg.profiled(grid)] == ["plv", "ppc", "coh", "aec", "pec"]
    assert [spec.name for spec in fnirs.profiled(slow)] == ["plv", "ppc", "ccorr", "coh", "aec", "pec", "corr"]
    assert eeg.lag_grid(128.0, 128).n_steps == 8  # half a window of a second
    none = recipe_of(dataclasses.replace(config, max_lag_s={"eeg": 0.02}), "eeg")
    assert none.profiled(none.lag_grid(128.0, 2560)) == ()
