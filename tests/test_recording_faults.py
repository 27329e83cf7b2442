"""Known faults are found, truth is recovered, and artefacts leave no synchrony behind."""

from __future__ import annotations

import mne
import numpy as np
import pytest
from scipy.signal import hilbert

from hyperscan.config import StudyConfig
from hyperscan.recording.cleaning.faults import artefact_spans
from hyperscan.recording.cleaning.prepare import preprocess_pair
from hyperscan.recording.windows import clean_mask, window_grid
from prepare_fixtures import (
    CAP,
    POSTERIOR,
    clean_pair,
    correlation_with_truth,
    passband_of,
)

SHORT = StudyConfig(window_s=5.0)


SFREQ = 250.0


FAULTS = {
    "flat": (lambda x, rng: np.zeros_like(x), "flat"),
    "missing": (lambda x, rng: np.where(np.arange(x.size) < 5000, np.nan, x), "no value"),
    "noisy": (lambda x, rng: x + 3e-4 * rng.standard_normal(x.size), "noisy"),
    "uncorrelated": (lambda x, rng: 1e-5 * np.cumsum(rng.standard_normal(x.size)) / 10, "uncorrelated"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_channel_is_found_alone(fault):
    make, reason = FAULTS[fault]
    rng = np.random.default_rng(5)
    pair = clean_pair(4)
    row = CAP.index("C3")
    pair.client._data[row] = make(pair.client.get_data()[row], rng)
    prepared = preprocess_pair(pair, SHORT)
    assert list(prepared.quality.dropped["client"]) == ["C3"]
    assert reason in prepared.quality.dropped["client"]["C3"]
    assert prepared.quality.dropped["therapist"] == {}
    assert prepared.quality.client["channels_kept"] == len(CAP) - 1
    assert prepared.quality.client["channels_total"] == len(CAP)
    assert any("C3" in line and line.startswith("client: ") for line in prepared.history)


def test_bridged_electrodes_keep_one():
    pair = clean_pair(6)
    pair.therapist._data[CAP.index("P4")] = pair.therapist._data[CAP.index("P3")]
    dropped = preprocess_pair(pair, SHORT).quality.dropped["therapist"]
    assert dropped == {"P4": "bridged with P3"}


def test_saturation_and_dropouts_are_marked():
    pair = clean_pair(13)
    x = pair.therapist._data
    x[4] = np.clip(x[4] + 2e-3 * (np.arange(x.shape[1]) // 2500 == 3), -1e-4, 1e-4)  # at the rail for 10 s
    x[:, 12000:12300] = x[:, [12000]]
    prepared = preprocess_pair(pair, SHORT)
    mask = clean_mask(prepared.therapist)
    assert not mask[7510:9990].any()
    assert not mask[12000:12300].any()
    assert mask.mean() > 0.75
    assert prepared.quality.therapist["lost"] == pytest.approx((2500 + 300) / 15000, abs=0.01)


def test_artefact_spans_by_range_and_by_step():
    rng = np.random.default_rng(0)
    slow = mne.filter.filter_data(rng.standard_normal((8, 20_000)), SFREQ, 1.0, 12.0, verbose="error")
    assert artefact_spans(slow, SFREQ) == []
    fast = slow.copy()
    fast[:3, 5010:5060] += 2.5 * slow.std() * rng.choice([-1, 1], (3, 50))  # no larger, but far steeper
    assert artefact_spans(fast, SFREQ) == [(19.75, 20.75)]
    wide = slow.copy()
    wide[2] += 150 * slow.std() * np.exp(-(((np.arange(20_000) - 10_000) / 60) ** 2))
    ((start, stop),) = artefact_spans(wide, SFREQ)
    assert 37 < start < 40 < stop < 43
    joint = slow.copy()
    joint[:, 5060:] += 100 * slow.std()
    assert artefact_spans(joint, SFREQ, cuts=[5060]) == []
    assert artefact_spans(joint, SFREQ) == [(19.75, 20.75)]


def _spoil(pair, kind, rng):
    """The same fault at the same moments in both people."""
    n = pair.therapist.n_times
    at = np.arange(1500, n - 2000, 5000)
    t = np.arange(n) / SFREQ
    for raw in (pair.therapist, pair.client):
        gain = rng.uniform(0.7, 1.3, (len(CAP), 1))
        course = np.zeros(n)
        for start in at:
            if kind == "jump":
                course[start : start + 1000] += 2e-3
            elif kind == "spike":
                course[start : start + 5] += 3e-3
            elif kind == "movement":
                course[start : start + 500] += 2e-3 * np.sin(2 * np.pi * 10 * t[:500]) * np.hanning(500)
            elif kind == "muscle":
                course[start : start + 500] += 0
        if kind == "muscle":
            for start in at:
                burst = rng.standard_normal((len(CAP), 500)) * 6e-4
                raw._data[:, start : start + 500] += burst
        if kind == "dropout":
            for start in at:
                raw._data[:, start : start + 750] = 0
        if kind == "mains":
            course = 5e-5 * np.sin(2 * np.pi * 50 * t)
        raw._data += gain * course
    return pair


@pytest.mark.parametrize("kind", ["jump", "spike", "movement", "muscle", "dropout", "mains"])
def test_truth_is_recovered(kind):
    pair = clean_pair(14, 120.0)
    truth = passband_of(pair.therapist.get_data())
    spoilt = _spoil(pair, kind, np.random.default_rng(0))
    before = correlation_with_truth(spoilt.therapist.get_data(), truth, slice(None))
    prepared = preprocess_pair(spoilt, SHORT)
    after = correlation_with_truth(prepared.therapist.get_data(), truth, clean_mask(prepared.therapist))
    assert after > 0.95
    assert after > before
    assert clean_mask(prepared.therapist).mean() > 0.5
    assert prepared.quality.dropped["therapist"] == {}


def _plv(pair, window_s=5.0, names=POSTERIOR, use_all=False):
    """Mean phase locking in 8-12 Hz over posterior pairs and windows, by its definition."""
    grid = window_grid(pair, window_s)
    starts = grid.starts if use_all else grid.starts[grid.clean]
    phases = []
    for raw in (pair.therapist, pair.client):
        picks = [name for name in names if name in raw.ch_names]
        x = mne.filter.filter_data(raw.get_data(picks=picks), raw.info["sfreq"], 8.0, 12.0, verbose="error")
        phases.append(np.exp(1j * np.angle(hilbert(x))))
    values = [
        np.abs(phases[0][:, s : s + grid.n_window] @ phases[1][:, s : s + grid.n_window].conj().T).mean()
        / grid.n_window
        for s in starts
    ]
    return float(np.mean(values))


@pytest.fixture(scope="module")
def chance():
    """Phase locking of six pairs of people who have nothing in common."""
    return [_plv(preprocess_pair(clean_pair(seed, 120.0), SHORT)) for seed in range(20, 26)]


@pytest.mark.parametrize("kind", ["jump", "spike", "movement"])
def test_synchrony_of_an_artefact_falls_to_chance(kind, chance):
    spoilt = _spoil(clean_pair(15, 120.0), kind, np.random.default_rng(0))
    prepared = preprocess_pair(spoilt, SHORT)
    limit = np.mean(chance) + 3 * np.std(chance, ddof=1)
    assert _plv(prepared) < limit
    if kind == "movement":
        assert _plv(prepared, use_all=True) > limit
