"""The EEG of one person: reference, interpolation, components, and what was decided."""

from __future__ import annotations

import re

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, QualityError
from hyperscan.recording.cleaning.eeg import clean_eeg
from hyperscan.recording.cleaning.prepare import preprocess_pair
from hyperscan.recording.windows import clean_mask, window_grid
from prepare_fixtures import (
    CAP,
    backwards,
    brain,
    clean_pair,
    correlation_with_truth,
    eeg_raw,
    pair_of,
    passband_of,
    positions,
)

SHORT = StudyConfig(window_s=5.0)


SFREQ = 250.0


def test_interpolation_on_request_restores_the_channel():
    pair = clean_pair(7)
    row = CAP.index("Pz")
    truth = passband_of(pair.therapist.get_data())[row]
    pair.therapist._data[row] = 0
    prepared = preprocess_pair(pair, StudyConfig(window_s=5.0, eeg_interpolate=True))
    assert set(prepared.therapist.ch_names) == set(CAP)
    found = prepared.therapist.get_data(picks=["Pz"])[0]
    assert np.corrcoef(found[500:-500], truth[500:-500])[0, 1] > 0.85
    assert any("interpolated" in line for line in prepared.history)


@pytest.mark.parametrize(("names", "expected"), [(CAP[:15], "as recorded"), (CAP[:16], "average reference")])
def test_reference_follows_the_size_of_the_cap(names, expected):
    rng = np.random.default_rng(8)
    pair = pair_of(*(eeg_raw(brain(rng, names=names), names=names) for _ in range(2)))
    prepared = preprocess_pair(pair, SHORT)
    assert any(expected in line for line in prepared.history)
    total = np.abs(prepared.therapist.get_data().mean(0)).max()
    assert (total < 1e-15) == (len(names) >= 16)
    rank = np.linalg.matrix_rank(prepared.therapist.get_data()[:, 1000:9000], tol=1e-9)
    assert rank == len(names) - (len(names) >= 16)


def test_reference_by_name():
    rng = np.random.default_rng(9)
    names = [*CAP, "M1", "M2"]
    data = brain(rng, names=CAP)
    ears = 1e-5 * rng.standard_normal((2, data.shape[1]))
    raw = eeg_raw(np.concatenate([data, ears]), names=names)
    prepared = preprocess_pair(pair_of(raw, backwards(raw)), StudyConfig(window_s=5.0, eeg_reference="M1+M2"))
    assert prepared.therapist.ch_names == CAP
    both = mne.filter.filter_data(np.concatenate([data, ears]), SFREQ, 1.0, 40.0, verbose="error")
    expected = both[0] - both[-2:].mean(0)
    np.testing.assert_allclose(prepared.therapist.get_data()[0, 500:-500], expected[500:-500], atol=1e-8)
    with pytest.raises(QualityError, match="'TP9' of eeg_reference is not in the recording"):
        preprocess_pair(pair_of(raw, backwards(raw)), StudyConfig(eeg_reference="TP9"))


def test_names_aliases_and_order_are_reported():
    rng = np.random.default_rng(10)
    data = brain(rng)
    odd = ["EEG " + name.upper() for name in CAP]
    odd[CAP.index("T7")] = "T3"
    other = list(reversed(range(len(CAP))))
    client = eeg_raw(brain(rng)[other], names=[f"{k}_{CAP[at]}" for k, at in enumerate(other)])
    prepared = preprocess_pair(pair_of(eeg_raw(data, names=odd), client), SHORT)
    assert prepared.therapist.ch_names == CAP
    assert prepared.client.ch_names == CAP[::-1]
    assert any("T3 -> T7" in line for line in prepared.history)


def test_different_channel_sets_are_never_intersected():
    rng = np.random.default_rng(11)
    pair = pair_of(eeg_raw(brain(rng)), eeg_raw(brain(rng, names=CAP[:18]), names=CAP[:18]))
    prepared = preprocess_pair(pair, SHORT)
    assert len(prepared.therapist.ch_names) == len(CAP)
    assert len(prepared.client.ch_names) == 18


def test_missing_samples_are_marked_for_that_person_only():
    pair = clean_pair(12)
    pair.client._data[:, 2500:3000] = np.nan
    prepared = preprocess_pair(pair, SHORT)
    assert np.isfinite(prepared.client.get_data()).all()
    assert not clean_mask(prepared.client)[2500:3000].any()
    assert clean_mask(prepared.therapist).all()
    grid = window_grid(prepared, 5.0)
    assert list(np.flatnonzero(~grid.clean_client)) == [1, 2]
    assert grid.clean_therapist.all()
    assert grid.clean.sum() == 10


@pytest.mark.slow
def test_components_of_blinks_are_removed_on_request():
    raw = clean_pair(16, 60.0).therapist
    truth = passband_of(raw.get_data())
    rng = np.random.default_rng(1)
    front = np.array(
        [1.0 if n in ("Fp1", "Fp2") else 0.6 if n[:2] == "AF" else 0.3 if n[0] == "F" else 0.05 for n in CAP]
    )
    for start in rng.integers(500, raw.n_times - 500, 20):
        raw._data[:, start : start + 75] += 2.5e-4 * np.outer(front, np.hanning(75))
    plain, cleaned = (clean_eeg(raw, StudyConfig(eeg_ica=kind)) for kind in ("none", "ocular"))
    assert clean_mask(plain.raw).mean() > 0.8  # blinks cost no windows
    row = [CAP.index("Fp1"), CAP.index("Fp2")]
    r = [correlation_with_truth(p.raw.get_data()[row], truth[row], slice(500, -500)) for p in (plain, cleaned)]
    assert r[1] > r[0] + 0.2
    assert r[1] > 0.8
    (note,) = [note for note in cleaned.notes if "ICA" in note]
    assert "removed 1 ocular" in note or "removed 2 ocular" in note
    assert "found by mne-icalabel" in note or "mne-icalabel is not installed" in note
    assert cleaned.decisions.detector in note
    assert cleaned.decisions.components["ocular"] in (1, 2)
    assert plain.decisions.components == {}
    with pytest.raises(ConfigError, match="Did you mean 'ocular'"):
        StudyConfig(eeg_ica="occular")


def _blinks_and_muscle(raw, rng):
    """Blinks at the front and bursts of muscle at the left temple, in place."""
    places = positions()
    near = {name: np.linalg.norm(places - places[CAP.index(name)], axis=1) for name in ("Fp1", "Fp2", "T7")}
    front = np.exp(-((np.minimum(near["Fp1"], near["Fp2"]) / 0.04) ** 2))
    for start in rng.integers(500, raw.n_times - 500, 20):
        raw._data[:, start : start + 75] += 2.5e-4 * np.outer(front, np.hanning(75))
    burst = mne.filter.filter_data(rng.standard_normal(raw.n_times), SFREQ, 20.0, None, verbose="error")
    on = np.sin(0.8 * np.arange(raw.n_times) / SFREQ) > 0
    raw._data += np.outer(np.exp(-((near["T7"] / 0.03) ** 2)), 2e-5 * burst * on)


def test_components_by_icalabel_where_it_is_installed():
    pytest.importorskip("mne_icalabel", reason="mne-icalabel is optional")
    raw = clean_pair(16, 60.0).therapist
    truth = passband_of(raw.get_data())
    _blinks_and_muscle(raw, np.random.default_rng(1))
    cleaned = clean_eeg(raw, StudyConfig(window_s=5.0, eeg_ica="ocular+muscle"))
    (note,) = [note for note in cleaned.notes if "ICA" in note]
    assert re.search(r"found by mne-icalabel [\d.]+: removed [1-3] ocular, [1-3] muscle", note)
    plain = clean_eeg(raw, SHORT)
    row = CAP.index("Fp1")
    r = [np.corrcoef(person.raw.get_data()[row], truth[row])[0, 1] for person in (plain, cleaned)]
    assert r[1] > r[0] + 0.2


def test_icalabel_without_positions_gives_way_and_says_so(monkeypatch):
    monkeypatch.setattr("hyperscan.recording.cleaning.eeg.importlib.util.find_spec", lambda name: object())
    names = [f"A{k}" for k in range(1, 11)]
    raw = eeg_raw(brain(np.random.default_rng(0), 20.0, names=CAP[:10]), names=names)
    (note,) = [note for note in clean_eeg(raw, StudyConfig(eeg_ica="muscle")).notes if "ICA" in note]
    assert "found by MNE's detectors (mne-icalabel needs positions of all channels)" in note


def test_all_bad_and_no_eeg_are_refused():
    pair = clean_pair(21)
    pair.client._data[:] = 0
    with pytest.raises(QualityError, match="client: all 32 EEG channels are bad"):
        preprocess_pair(pair)
    ecg = eeg_raw(np.random.default_rng(0).standard_normal((1, 9000)), names=["ECG"])
    with pytest.raises(QualityError, match="no EEG channel among 1"):
        preprocess_pair(pair_of(ecg, backwards(ecg)))


@pytest.mark.parametrize(
    ("setting", "n_channels", "reference", "n_reference", "rank"),
    [
        ("auto", 15, "recorded", 0, 15),
        ("auto", 16, "average", 16, 15),
        ("average", 8, "average", 8, 7),
        ("recorded", 32, "recorded", 0, 32),
        ("Cz", 32, "Cz", 1, 31),
        ("P3+P4", 32, "P3+P4", 2, 31),
    ],
)
def test_what_was_decided_is_kept_with_the_rank_of_the_data(setting, n_channels, reference, n_reference, rank):
    names = CAP[:n_channels]
    raw = eeg_raw(brain(np.random.default_rng(0), names=names), names=names)
    person = clean_eeg(raw, StudyConfig(eeg_reference=setting, eeg_max_sfreq=125))
    decided = person.decisions
    assert (decided.reference, decided.n_reference, decided.rank) == (reference, n_reference, rank)
    assert decided.rank == np.linalg.matrix_rank(person.raw.get_data()[:, 500:5000], tol=1e-9)
    assert decided.montage == tuple(names)
    assert (decided.bad, decided.interpolated, decided.positional, decided.filtered) == ((), (), False, True)
    assert (decided.sfreq, decided.passband_hz) == (125.0, (1.0, 40.0))


@pytest.mark.parametrize("bad", [0, 1, 5])
@pytest.mark.parametrize("n", [15, 16])
def test_auto_counts_the_channels_of_the_cap_not_those_that_are_left(n: int, bad: int) -> None:
    """A cap whose bad channels decided would change its reference from session to session."""
    raw = eeg_raw(brain(np.random.default_rng(0), names=CAP[:n]), names=CAP[:n])
    raw._data[3 : 3 + bad] = 0
    left, filled = (clean_eeg(raw, StudyConfig(eeg_interpolate=on)) for on in (False, True))
    averaged = n == 16
    wanted = "average" if averaged else "recorded"
    assert (left.decisions.reference, filled.decisions.reference) == (wanted, wanted)
    assert left.decisions.n_reference == (n - bad if averaged else 0)
    assert filled.decisions.n_reference == (n if averaged else 0)
    assert len(left.decisions.bad) == len(filled.decisions.interpolated) == bad
    assert left.decisions.rank == n - bad - averaged
    assert filled.decisions.rank == n - bad - averaged
    if bad:
        assert np.linalg.matrix_rank(filled.raw.get_data()[:, 1000:9000], tol=1e-9) == n - bad - averaged
