"""A pair through preparation: clean data keep everything, inputs stay, and refusals say why."""

from __future__ import annotations

import dataclasses
import weakref

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import ClockError, DataQualityWarning, InputError, QualityError
from hyperscan.recording.cleaning.prepare import preprocess_pair
from hyperscan.recording.windows import annotated_spans
from hyperscan.schema import ROLES
from prepare_fixtures import (
    CAP,
    brain,
    clean_pair,
    eeg_raw,
    fingerprint,
    fnirs_pair,
    pair_of,
    session_of,
)

SHORT = StudyConfig(window_s=5.0)


def test_clean_data_loses_nothing():
    for seed in range(3):
        pair = preprocess_pair(clean_pair(seed), SHORT)
        for role in ("therapist", "client"):
            raw = pair.raw(role)
            assert raw.ch_names == CAP
            assert annotated_spans(raw, ["bad"]) == []
            assert pair.quality.of(role)["grade"] == "good"
            assert pair.quality.of(role)["n_windows"] == 12
            assert pair.quality.dropped[role] == {}


def test_inputs_of_eeg_are_not_changed():
    pair = clean_pair(2)
    pair.therapist.info["bads"] = ["Fz"]
    pair.client._data[3, 100:400] = np.nan
    before = fingerprint(pair)
    result = preprocess_pair(pair, StudyConfig(window_s=5.0, eeg_max_sfreq=128, eeg_line_hz=50))
    assert fingerprint(pair) == before
    assert result.quality.dropped["therapist"] == {"Fz": "marked as bad in the recording"}
    assert result.therapist.info["sfreq"] == result.client.info["sfreq"] == 128
    assert result.therapist.n_times == result.client.n_times


def test_samples_are_given_up_only_where_that_is_asked_for():
    pair, config = clean_pair(2), StudyConfig(window_s=5.0)
    kept = preprocess_pair(pair, config)
    freed = [weakref.ref(pair.raw(role)._data.base) for role in ROLES if pair.raw(role)._data.base is not None]
    given_up = preprocess_pair(pair, config, keep=False)
    assert fingerprint(given_up) == fingerprint(kept)
    assert repr(given_up.quality) == repr(kept.quality)  # holds NaN
    assert pair.therapist.n_times == clean_pair(2).therapist.n_times
    assert not pair.therapist.get_data().any()
    assert not any(array() is not None for array in freed)


def test_windows_of_too_few_cycles_are_refused():
    with pytest.raises(QualityError, match=r"2\.0 cycles of theta"):
        preprocess_pair(clean_pair(0, 10.0), StudyConfig(window_s=0.5))


def test_floor_says_the_number_and_can_be_lifted():
    pair = clean_pair(19, 45.0)
    with pytest.raises(
        QualityError, match=r"2 clean windows of 20 s \(45 s clean\), fewer than min_windows = 3"
    ) as caught:
        preprocess_pair(pair)
    assert str(caught.value).count("\n") <= 2
    kept = preprocess_pair(pair, enforce=False)
    assert kept.quality.therapist["grade"] == "reject"
    assert "2 clean windows" in kept.quality.therapist["reason"]
    assert preprocess_pair(pair, StudyConfig(min_windows=2)).quality.client["grade"] == "good"


def test_windows_must_be_clean_in_both_together():
    pair = clean_pair(20, 120.0)
    for raw, onset in ((pair.therapist, 0.0), (pair.client, 60.0)):
        raw.set_annotations(mne.Annotations([onset], [59.0], ["BAD_talk"]))
    with pytest.raises(QualityError, match=r"0 clean windows of 20 s.*\(both people together\)"):
        preprocess_pair(pair)


def test_units():
    pair = clean_pair(22)
    pair.client._data *= 1e6
    with pytest.raises(QualityError, match="one file is in another unit"):
        preprocess_pair(pair, SHORT)
    pair.therapist._data *= 1e6
    with pytest.warns(DataQualityWarning, match="is no EEG's"):
        preprocess_pair(pair, SHORT)


def test_unaligned_pair_is_refused():
    rng = np.random.default_rng(0)
    pair = pair_of(eeg_raw(brain(rng, 20)), eeg_raw(brain(rng, 30)))
    with pytest.raises(InputError, match="align_pair first"):
        preprocess_pair(pair, SHORT)


def test_session_is_named_in_errors():
    pair = clean_pair(0, 10.0).replace(session=session_of("eeg", task="talk"))
    with pytest.raises(QualityError, match="D01 ses-01 eeg task-talk"):
        preprocess_pair(pair)


def test_online_filter_that_cuts_the_primary_band_is_refused():
    pair = clean_pair(23)
    with pair.client.info._unlock():
        pair.client.info["highpass"] = 0.5
    history = preprocess_pair(pair, SHORT).history
    assert any("different online filters: 0-125 Hz (therapist) and 0.5-125 Hz (client)" in s for s in history)
    with pair.therapist.info._unlock():
        pair.therapist.info["highpass"] = 0.1
    with pytest.warns(DataQualityWarning, match=r"D01 ses-01 eeg: recorded with different online filters.* check"):
        preprocess_pair(pair, SHORT)
    with pair.client.info._unlock():
        pair.client.info["highpass"] = 10.0
    with pytest.raises(QualityError, match=r"client: recorded or exported with 10-125 Hz, which cuts into alpha"):
        preprocess_pair(pair, SHORT)


def test_clock_error_of_more_than_a_sample_is_refused():
    pair, _ = fnirs_pair(16)
    late = pair.replace(clock=dataclasses.replace(pair.clock, residual_ms=600.0))
    with pytest.raises(ClockError, match="600 ms after alignment"):
        preprocess_pair(late)
    preprocess_pair(pair.replace(clock=dataclasses.replace(pair.clock, residual_ms=400.0)))


def test_too_short_a_session_says_the_number():
    pair, _ = fnirs_pair(19, 100.0)
    with pytest.raises(QualityError, match="100 s usable, fewer than min_seconds = 120"):
        preprocess_pair(pair)
    assert preprocess_pair(pair, enforce=False).quality.client["grade"] == "reject"


def test_haemoglobin_before_short_channels_is_what_is_prepared_without_them():
    pair, _ = fnirs_pair(5, common=0.5)
    pair.therapist.set_annotations(mne.Annotations([20.0, 80.0, 150.0], 5.0, "task"))
    for config in (StudyConfig(), StudyConfig(fnirs_regress_events=False)):
        plain = preprocess_pair(pair, dataclasses.replace(config, fnirs_short_regression=False))
        regressed = preprocess_pair(pair, config)
        for role in ROLES:
            np.testing.assert_array_equal(regressed.unregressed[role], plain.raw(role).get_data())
            assert (regressed.raw(role).get_data() != plain.raw(role).get_data()).any()
        assert plain.unregressed == {}


def test_inputs_of_fnirs_are_not_changed():
    pair, _ = fnirs_pair(5)
    pair.therapist._data[0, :50] = np.nan
    for ch in pair.client.info["chs"]:
        ch["loc"][:9] *= 1000
    before = fingerprint(pair)
    places = [ch["loc"].copy() for ch in pair.client.info["chs"]]
    preprocess_pair(pair)
    assert fingerprint(pair) == before
    for ch, place in zip(pair.client.info["chs"], places, strict=True):
        np.testing.assert_array_equal(ch["loc"], place)


def test_history_reads_as_sentences_without_repeats():
    history = preprocess_pair(clean_pair(7).replace(history=("read",)), SHORT).history
    assert history[0] == "read"
    assert len(set(history)) == len(history)
    assert any("1-40 Hz" in line for line in history)
