"""From raw samples to filtered ones: flat passband, joints, rates, mains and what stands still."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, QualityError
from hyperscan.recording.cleaning.eeg_filter import fill_missing, filter_eeg, held_spans, mains_db
from hyperscan.recording.cleaning.prepare import preprocess_pair
from hyperscan.recording.records import Segment
from hyperscan.recording.windows import window_grid
from prepare_fixtures import (
    backwards,
    brain,
    clean_pair,
    eeg_raw,
    pair_of,
    passband_of,
)

SHORT = StudyConfig(window_s=5.0)


SFREQ = 250.0


def test_clean_data_is_its_own_passband():
    pair = clean_pair(1)
    prepared = preprocess_pair(pair, SHORT)
    truth = passband_of(pair.therapist.get_data())
    found = prepared.therapist.get_data()
    inside = slice(500, -500)
    np.testing.assert_allclose(found[:, inside], truth[:, inside], atol=1e-3 * truth.std())


def test_passband_is_flat_to_both_edges():
    n = round(120 * SFREQ)
    t = np.arange(n) / SFREQ
    freqs = (1.0, 2.0, 20.0, 40.0)
    tones = 1e-5 * np.stack([np.sin(2 * np.pi * f * t) for f in freqs] + [np.sin(2 * np.pi * 60 * t)])
    raw = eeg_raw(tones, names=("Fz", "Cz", "Pz", "Oz", "O1"))
    found = preprocess_pair(pair_of(raw, backwards(raw, by=77)), SHORT).therapist
    for at, name in enumerate(("Fz", "Cz", "Pz", "Oz")):
        gain = found.get_data(picks=[name])[0, 2500:-2500].std() / tones[at, 2500:-2500].std()
        assert gain == pytest.approx(1.0, abs=0.01), name
    assert "O1" not in found.ch_names or found.get_data(picks=["O1"]).std() < 1e-7


def test_resampling_keeps_the_signal():
    pair = clean_pair(3)
    low = preprocess_pair(pair, StudyConfig(window_s=5.0, eeg_max_sfreq=125)).therapist.get_data()
    full = preprocess_pair(pair, SHORT).therapist.get_data()[:, ::2]
    inside = slice(300, -300)
    assert np.corrcoef(low[:, inside].ravel(), full[:, inside].ravel())[0, 1] > 0.9999


def test_interruptions_are_not_filtered_across():
    pair = clean_pair(17)
    for raw in (pair.therapist, pair.client):
        raw._data[:, 7500:] += 5e-3
        raw.set_annotations(mne.Annotations([30.0, 30.0], [0.0, 0.0], ["BAD boundary", "EDGE boundary"]))
    prepared = preprocess_pair(pair, SHORT)
    assert np.abs(prepared.therapist.get_data()).max() < 2e-4
    assert window_grid(prepared, 7.0).clean_client.tolist() == [True] * 4 + [False] + [True] * 3


def test_epochs_stay_as_they_are():
    pair = clean_pair(18, 40.0)
    joints = mne.Annotations(np.arange(1.0, 40.0), 0.0, "EDGE boundary")
    for raw in (pair.therapist, pair.client):
        raw.set_annotations(joints)
    pair = pair.replace(segments=tuple(Segment(float(k), 1.0) for k in range(40)))
    with pytest.warns(DataQualityWarning, match="short windows"):
        prepared = preprocess_pair(pair, StudyConfig(window_s=1.0))
    expected = pair.therapist.get_data() - pair.therapist.get_data().mean(0)
    np.testing.assert_allclose(prepared.therapist.get_data(), expected)
    assert any("not filtered" in line for line in prepared.history)
    assert prepared.quality.client["n_windows"] == 40
    with pytest.raises(QualityError, match="window_s = 20 s is longer than every segment"):
        preprocess_pair(pair)


def test_low_sampling_rate_has_no_upper_edge_and_no_signal_fraction():
    rng = np.random.default_rng(0)
    pair = pair_of(*(eeg_raw(brain(rng, 60, 64.0), 64.0) for _ in range(2)))
    prepared = preprocess_pair(pair, SHORT)
    assert np.isnan(prepared.quality.therapist["s2_line"])
    assert any("sampling rate sets the upper edge" in line for line in prepared.history)


def test_what_stands_still_is_held_and_what_moves_is_not():
    row = np.random.default_rng(0).standard_normal(1000)
    row[200:260] = row[200]
    row[500:510] = row[500]  # too short to be a rail
    assert held_spans(row, 100.0) == [(2.0, 2.59)]
    assert held_spans(1e6 + 3 * row, 100.0) == [(2.0, 2.59)]
    assert held_spans(np.zeros(500), 100.0) == [(0.0, 4.99)]


def test_mains_stand_over_their_surroundings_by_what_was_put_in():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 60_000))
    noise[1] += 0.5 * np.sin(2 * np.pi * 60 * np.arange(60_000) / 250.0)
    quiet, loud = mains_db(noise, 250.0)
    assert quiet == pytest.approx(0, abs=0.6)
    # a tone of power a^2 / 2 over a density of 2 / sfreq in the band of 1.25 Hz that its peak fills
    assert loud == pytest.approx(10 * np.log10(1 + 0.125 / 1.25 / (2 / 250.0)), abs=0.5)
    assert np.isnan(mains_db(noise[:, :500], 250.0)).all()
    assert np.isnan(mains_db(noise, 100.0)).all()


def test_missing_values_are_bridged_in_place_and_named():
    block = np.arange(20.0).reshape(2, 10).copy()
    block[1, 3:6] = np.nan
    assert fill_missing(block, 10.0) == [[], [(0.3, 0.6)]]
    np.testing.assert_allclose(block, np.arange(20.0).reshape(2, 10))
    empty = np.full((1, 4), np.nan)
    assert fill_missing(empty, 1.0) == [[(0.0, 4.0)]]
    assert (empty == 0).all()


def test_notes_tell_the_steps_that_were_taken():
    raw = clean_pair(0, 20.0).therapist
    found = filter_eeg(raw, ["Cz", "Pz"], StudyConfig(eeg_max_sfreq=125, eeg_line_hz=50))
    assert found.data.shape == (2, 2500)
    assert [note.split(" ")[0] for note in found.notes] == ["mains", "resampled", "band-pass"]
    assert (found.recorded_sfreq, found.sfreq, found.notched_hz) == (250.0, 125.0, 50)


def test_stretches_that_no_filter_fits_into_are_left_as_they_are_by_notch_filters_too() -> None:
    raw = eeg_raw(brain(np.random.default_rng(0), 20.0))
    raw.set_annotations(mne.Annotations(np.arange(1.0, 20.0), 0.0, "EDGE boundary"))
    found = filter_eeg(raw, raw.ch_names[:2], StudyConfig(eeg_line_hz=50.0))
    assert found.epoched
    assert found.notched_hz == 0
    np.testing.assert_array_equal(found.data, raw.get_data(picks=raw.ch_names[:2]))
