"""The EEG chain: known faults found, truth recovered, artefactual synchrony gone, clean data left alone."""

from __future__ import annotations

import re

import mne
import numpy as np
import pytest
from scipy.signal import hilbert

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, DataQualityWarning, InputError, QualityError
from hyperscan.recording.cleaning.eeg import clean_eeg
from hyperscan.recording.cleaning.faults import artefact_spans
from hyperscan.recording.cleaning.prepare import preprocess_pair
from hyperscan.recording.records import Segment
from hyperscan.recording.windows import annotated_spans, clean_mask, window_grid
from prepare_fixtures import (
    CAP,
    POSTERIOR,
    backwards,
    brain,
    clean_pair,
    eeg_raw,
    fingerprint,
    pair_of,
    positions,
    session_of,
)

SHORT = StudyConfig(window_s=5.0)
SFREQ = 250.0


def _passband(data, names=CAP):
    """The truth as the chain sees it: the same passband, average reference."""
    filtered = mne.filter.filter_data(data, SFREQ, 1.0, 40.0, verbose="error")
    return filtered - filtered.mean(0) if len(names) >= 16 else filtered


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


def test_clean_data_is_its_own_passband():
    pair = clean_pair(1)
    prepared = preprocess_pair(pair, SHORT)
    truth = _passband(pair.therapist.get_data())
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


def test_inputs_are_not_changed():
    pair = clean_pair(2)
    pair.therapist.info["bads"] = ["Fz"]
    pair.client._data[3, 100:400] = np.nan
    before = fingerprint(pair)
    result = preprocess_pair(pair, StudyConfig(window_s=5.0, eeg_max_sfreq=128, eeg_line_hz=50))
    assert fingerprint(pair) == before
    assert result.quality.dropped["therapist"] == {"Fz": "marked as bad in the recording"}
    assert result.therapist.info["sfreq"] == result.client.info["sfreq"] == 128
    assert result.therapist.n_times == result.client.n_times


def test_resampling_keeps_the_signal():
    pair = clean_pair(3)
    low = preprocess_pair(pair, StudyConfig(window_s=5.0, eeg_max_sfreq=125)).therapist.get_data()
    full = preprocess_pair(pair, SHORT).therapist.get_data()[:, ::2]
    inside = slice(300, -300)
    assert np.corrcoef(low[:, inside].ravel(), full[:, inside].ravel())[0, 1] > 0.9999


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


def test_interpolation_on_request_restores_the_channel():
    pair = clean_pair(7)
    row = CAP.index("Pz")
    truth = _passband(pair.therapist.get_data())[row]
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


def _correlation_with_truth(raw, truth, mask):
    return float(np.corrcoef(raw[:, mask].ravel(), truth[:, mask].ravel())[0, 1])


@pytest.mark.parametrize("kind", ["jump", "spike", "movement", "muscle", "dropout", "mains"])
def test_truth_is_recovered(kind):
    pair = clean_pair(14, 120.0)
    truth = _passband(pair.therapist.get_data())
    spoilt = _spoil(pair, kind, np.random.default_rng(0))
    before = _correlation_with_truth(spoilt.therapist.get_data(), truth, slice(None))
    prepared = preprocess_pair(spoilt, SHORT)
    after = _correlation_with_truth(prepared.therapist.get_data(), truth, clean_mask(prepared.therapist))
    assert after > 0.95
    assert after > before
    assert clean_mask(prepared.therapist).mean() > 0.5
    assert prepared.quality.dropped["therapist"] == {}


@pytest.mark.parametrize("kind", ["jump", "spike", "movement"])
def test_synchrony_of_an_artefact_falls_to_chance(kind):
    chance = [_plv(preprocess_pair(clean_pair(seed, 120.0), SHORT)) for seed in range(20, 26)]
    spoilt = _spoil(clean_pair(15, 120.0), kind, np.random.default_rng(0))
    prepared = preprocess_pair(spoilt, SHORT)
    limit = np.mean(chance) + 3 * np.std(chance, ddof=1)
    assert _plv(prepared) < limit
    if kind == "movement":
        assert _plv(prepared, use_all=True) > limit


def test_components_of_blinks_are_removed_on_request():
    pair = clean_pair(16, 60.0)
    truth = _passband(pair.therapist.get_data())
    rng = np.random.default_rng(1)
    front = np.array(
        [1.0 if n in ("Fp1", "Fp2") else 0.6 if n[:2] == "AF" else 0.3 if n[0] == "F" else 0.05 for n in CAP]
    )
    for raw in (pair.therapist, pair.client):
        for start in rng.integers(500, raw.n_times - 500, 20):
            raw._data[:, start : start + 75] += 2.5e-4 * np.outer(front, np.hanning(75))
    plain = preprocess_pair(pair, SHORT)
    assert plain.quality.therapist["n_windows"] >= 10  # blinks cost no windows
    cleaned = preprocess_pair(pair, StudyConfig(window_s=5.0, eeg_ica="ocular"))
    row = [CAP.index("Fp1"), CAP.index("Fp2")]
    r = [_correlation_with_truth(p.therapist.get_data()[row], truth[row], slice(500, -500)) for p in (plain, cleaned)]
    assert r[1] > r[0] + 0.2
    assert r[1] > 0.8
    assert any("removed 1 ocular" in line or "removed 2 ocular" in line for line in cleaned.history)
    assert any("found by mne-icalabel" in line or "mne-icalabel is not installed" in line for line in cleaned.history)
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
    truth = _passband(raw.get_data())
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


def test_all_bad_and_no_eeg_are_refused():
    pair = clean_pair(21)
    pair.client._data[:] = 0
    with pytest.raises(QualityError, match="client: all 32 EEG channels are bad"):
        preprocess_pair(pair)
    ecg = eeg_raw(np.random.default_rng(0).standard_normal((1, 9000)), names=["ECG"])
    with pytest.raises(QualityError, match="no EEG channel among 1"):
        preprocess_pair(pair_of(ecg, backwards(ecg)))


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


def test_low_sampling_rate_has_no_upper_edge_and_no_signal_fraction():
    rng = np.random.default_rng(0)
    pair = pair_of(*(eeg_raw(brain(rng, 60, 64.0), 64.0) for _ in range(2)))
    prepared = preprocess_pair(pair, SHORT)
    assert np.isnan(prepared.quality.therapist["s2_line"])
    assert any("sampling rate sets the upper edge" in line for line in prepared.history)


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
