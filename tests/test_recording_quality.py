"""The quality report: its columns, that they follow what was put in, its grades, and real files."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import QualityError
from hyperscan.recording.cleaning.prepare import preprocess_pair
from hyperscan.recording.cleaning.quality import signal_fractions
from hyperscan.recording.records import BandQuality, PersonQuality, Segment
from hyperscan.schema import BANDWISE, CLOCK_COLUMNS, COLUMNS, KEYS, QUALITY_FACTS, TABLES
from hyperscan.storage import to_json
from prepare_fixtures import CAP, backwards, brain, clean_pair, eeg_raw, fnirs_pair, one_over_f, pair_of, rhythm

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


SHORT = StudyConfig(window_s=5.0)


CLOCK = ("triggers", 0.0, 0.0, 0.0, 16.0)


def test_the_record_has_the_columns_of_the_table():
    fields = [field.name for field in dataclasses.fields(PersonQuality)]
    assert set(fields) == {name for facts in QUALITY_FACTS.values() for name in facts}
    # the decisions are in the quality report, next to these rows
    assert set(fields) >= set(TABLES["quality"]) - {*KEYS, "person", "decisions"}
    assert [f"{field.name}_" for field in dataclasses.fields(BandQuality)] == list(BANDWISE)
    assert set(fields) - {"bands"} <= set(COLUMNS)


def test_columns_of_each_modality_and_their_way_through_json():
    eeg, fnirs = preprocess_pair(clean_pair(0), SHORT).quality, preprocess_pair(fnirs_pair(0)[0]).quality
    bands = {f"{prefix}{band}" for prefix in BANDWISE for band in ("theta", "alpha", "beta", "gamma")}
    assert set(eeg.therapist) == set(eeg.client) == set(QUALITY_FACTS["eeg"]) - {"bands"} | bands
    assert tuple(fnirs.therapist) == tuple(fnirs.client) == QUALITY_FACTS["fnirs"]
    for quality in (eeg, fnirs):
        for person in (quality.therapist, quality.client):
            assert tuple(person[name] for name in CLOCK_COLUMNS) == CLOCK
            stored = dataclasses.replace(person, clock_ppm=np.nan)
            found = PersonQuality.from_dict(json.loads(to_json(stored)))
            assert list(found) == list(stored)
            assert np.isnan(found.clock_ppm)
            assert found["grade"] == found.grade == person.grade
            assert found.bands.keys() == person.bands.keys()
    assert eeg.of("client") is eeg.client
    assert eeg.client["peak_hz_alpha"] == eeg.client.bands["alpha"].peak_hz
    with pytest.raises(KeyError):
        eeg.client["sci"]


def test_signal_fraction_follows_the_simulated_rhythm_over_20_db():
    names = [name for name in CAP if name[0] in "PO"]
    gains = 10 ** (np.linspace(-10, 10, 9) / 20)
    found = []
    for k, gain in enumerate(gains):
        rng = np.random.default_rng(100 + k)
        pair = pair_of(*(eeg_raw(brain(rng, names=names, alpha=0.6 * gain), names=names) for _ in range(2)))
        found.append(preprocess_pair(pair, SHORT).quality.therapist)
    ranks = np.arange(len(gains))
    for column in ("s2_line", "s2_quad", "snr_alpha"):
        order = np.argsort(np.argsort([values[column] for values in found]))
        assert np.corrcoef(order, ranks)[0, 1] >= 0.95, column
    assert found[-1]["peak_db_alpha"] > found[3]["peak_db_alpha"] + 6


@pytest.mark.parametrize("centre", [8.7, 10.0, 11.2])
def test_peak_frequency_is_found(centre):
    rng = np.random.default_rng(7)
    pair = pair_of(*(eeg_raw(brain(rng, 90.0, centre=centre)) for _ in range(2)))
    quality = preprocess_pair(pair, SHORT).quality
    for role in ("therapist", "client"):
        assert abs(quality.of(role)["peak_hz_alpha"] - centre) < 0.25


def test_each_person_is_judged_by_the_own_region_of_the_primary_outcome():
    def quality(roi):
        config = dataclasses.replace(SHORT, primary=dataclasses.replace(SHORT.primary_of("eeg"), roi=roi))
        found = preprocess_pair(clean_pair(0), config).quality
        return found.therapist.s2_line, found.client.s2_line

    mixed, frontal, posterior = map(quality, ("frontal-posterior", "frontal-frontal", "posterior-posterior"))
    assert mixed == (frontal[0], posterior[1])
    assert frontal[0] != posterior[0]
    assert frontal[1] != posterior[1]


def test_a_passband_without_the_background_tells_no_rhythm():
    config = StudyConfig(window_s=5.0, eeg_filter_hz=(1.0, 30.0), bands={"alpha": (8, 12)})
    person = preprocess_pair(clean_pair(0), config).quality.therapist
    assert all(np.isnan(person[name]) for name in ("s2_line", "s2_quad", "snr_alpha", "peak_hz_alpha"))
    assert np.isfinite(person.amplitude)


def test_fractions_per_channel():
    prepared = preprocess_pair(clean_pair(1), SHORT)
    line, curve = signal_fractions(prepared.therapist, (8.0, 12.0))
    assert len(line) == len(CAP)
    assert curve[CAP.index("Oz")] > 0.6 > curve[CAP.index("Fz")]
    rng = np.random.default_rng(0)
    n = 40_000
    x = np.stack([one_over_f((n,), 250.0, rng), one_over_f((n,), 250.0, rng) + 2 * rhythm(n, 250.0, rng)])
    dirty = eeg_raw(x, names=["Cz", "Oz"])
    dirty.set_annotations(mne.Annotations([0.0], [158.0], ["BAD_all"]))
    assert np.isnan(signal_fractions(dirty, (8.0, 12.0))).all()
    assert (signal_fractions(dirty, (8.0, 12.0), clean=np.ones(n, bool))[:, 1] > 0.8).all()


def test_line_noise_high_frequencies_and_drift_follow():
    plain = preprocess_pair(clean_pair(2), SHORT).quality.therapist
    pair = clean_pair(2)
    t = np.arange(pair.therapist.n_times) / 250.0
    rng = np.random.default_rng(0)
    pair.therapist._data += 1e-5 * np.sin(2 * np.pi * 50 * t)
    high = mne.filter.filter_data(rng.standard_normal(pair.therapist.get_data().shape), 250.0, 30, 40, verbose="error")
    pair.therapist._data += 4e-6 * high / high.std()
    noisy = preprocess_pair(pair, SHORT).quality.therapist
    assert noisy["line_noise_db"] > plain["line_noise_db"] + 10
    assert noisy["highfreq"] > 2 * plain["highfreq"]
    slow_pair = clean_pair(2)
    slow_pair.therapist._data += rng.uniform(-2e-5, 2e-5, (len(CAP), 1)) * np.sin(2 * np.pi * 1.5 * t)
    assert preprocess_pair(slow_pair, SHORT).quality.therapist["motion"] > plain["motion"] + 0.1


def test_mayer_share_and_band_power_follow():
    pair, _ = fnirs_pair(3)
    raws = []
    for role in ("therapist", "client"):
        raw = preprocess_pair(pair).raw(role).copy()
        t = np.arange(raw.n_times) / 2.0
        raw._data += 1e-6 * np.sin(2 * np.pi * 0.1 * t)
        raws.append(raw)
    quiet = preprocess_pair(pair).quality.therapist
    with pytest.warns(UserWarning, match="no short"):
        loud = preprocess_pair(pair_of(*raws, "fnirs")).quality.therapist
    assert loud["mayer_fraction"] > quiet["mayer_fraction"] + 0.2
    assert loud["band_sd"] > quiet["band_sd"]


def test_shares_and_levels_of_white_noise_are_those_of_theory():
    rng = np.random.default_rng(0)
    names = ["Fz", "Cz", "Pz", "O1", "O2", "P3"]
    noise = 1e-5 * rng.standard_normal((6, 30_000))
    mains = 3e-6 * np.sin(2 * np.pi * 50 * np.arange(30_000) / 250.0)
    pair = pair_of(eeg_raw(noise + mains, names=names), eeg_raw(noise[:, ::-1].copy(), names=names))
    therapist, client = (preprocess_pair(pair, SHORT).quality.of(role) for role in ("therapist", "client"))
    assert client["amplitude"] == pytest.approx(1e-5 * np.sqrt(39 / 125), rel=0.03)
    assert client["highfreq"] == pytest.approx(10 / 39, abs=0.02)
    assert client["motion"] == pytest.approx(1 / 39, abs=0.01)
    assert client["line_noise_db"] == pytest.approx(0, abs=0.5)
    density = 2 * 1e-10 / 250
    assert therapist["line_noise_db"] == pytest.approx(10 * np.log10(1 + 4.5e-12 / 1.25 / density), abs=0.5)


@pytest.mark.parametrize("gain", [0.3, 0.6, 2.0])
@pytest.mark.parametrize("width", [1.0, 2.0])
def test_signal_fraction_and_peak_are_those_put_in(gain, width):
    rng = np.random.default_rng(5)
    background = 1e-5 * one_over_f((4, 30_000), 250.0, rng)
    wave = 1e-5 * gain * rhythm(30_000, 250.0, rng, 10.0, width)
    in_band = [mne.filter.filter_data(x, 250.0, 8.0, 12.0, verbose="error").var(-1).mean() for x in (wave, background)]
    raw = eeg_raw(background + wave, names=["Pz", "O1", "O2", "P3"])
    values = preprocess_pair(pair_of(raw, backwards(raw)), SHORT).quality.client
    for column in ("s2_line", "s2_quad", "snr_alpha"):
        assert values[column] == pytest.approx(in_band[0] / sum(in_band), abs=0.03)
    assert values["peak_hz_alpha"] == pytest.approx(10.0, abs=0.25)
    assert values["peak_width_alpha"] == pytest.approx(width, abs=0.6)


@pytest.mark.parametrize("scalp_m", [0.0, 5e-7, 2e-6])
def test_fnirs_measures_are_those_put_in(scalp_m):
    pair, _ = fnirs_pair(3, 600.0, scalp_m=scalp_m)
    values = preprocess_pair(pair, StudyConfig(fnirs_tddr=False)).quality.therapist
    # brain HbO has an SD of 0.5 uM within 0.02-0.10 Hz, the scalp's adds to it
    assert values["short_r2"] == pytest.approx(scalp_m**2 / (scalp_m**2 + 2.5e-13), abs=0.05)
    assert values["band_sd"] == pytest.approx(5e-7, rel=0.05)
    assert values["mayer_fraction"] == pytest.approx(0.03 / 0.08, abs=0.1)
    assert values["instrument_noise"] == pytest.approx(2e-4 * np.sqrt(2 / 8.0), rel=0.05)
    assert values["sci"] > 0.99
    assert values["saturation"] == 0


@pytest.mark.parametrize("together", [True, False])
def test_overlap_of_motion_needs_both_people_at_once(together):
    pair, _ = fnirs_pair(4, 300.0)
    for role, shift in (("therapist", 0), ("client", 0 if together else 80)):
        for at in range(400 + shift, 2400, 400):
            pair.raw(role)._data[:, at : at + 8] *= np.exp(0.3)
    quality = preprocess_pair(pair, StudyConfig(fnirs_min_sci=0.0)).quality
    # five movements, each with a step up and one down in neighbouring seconds
    assert quality.therapist["motion"] == pytest.approx(10 / 300, abs=0.02)
    assert quality.client["motion_overlap"] == pytest.approx(10 / 300 if together else 0.0, abs=0.01)


def test_saturation_is_the_share_at_the_rail():
    pair = clean_pair(8)
    pair.client._data[3, 1000:4000] = 2e-4
    quality = preprocess_pair(pair, SHORT).quality
    assert quality.client["saturation"] == pytest.approx(3000 / 15_000 / len(CAP), rel=0.01)
    assert quality.therapist["saturation"] == 0
    light, _ = fnirs_pair(5)
    row = light.client._data[2]
    light.client._data[2] = np.minimum(row, np.quantile(row, 0.7))
    quality = preprocess_pair(light).quality
    assert quality.client["saturation"] == pytest.approx(0.3 / 12, rel=0.01)
    assert "saturated in 30%" in quality.dropped["client"]["S2_D2"]


def test_grades():
    assert preprocess_pair(clean_pair(4), SHORT).quality.therapist["grade"] == "good"
    for lost, grade in ((0.35, "fair"), (0.7, "poor")):
        pair = clean_pair(4)
        pair.client.set_annotations(mne.Annotations([0.0], [60.0 * lost], ["BAD_talk"]))
        quality = preprocess_pair(pair, SHORT).quality
        assert quality.client["grade"] == grade
        assert f"{1 - lost:.0%} of the time clean" in quality.client["reason"]
        assert quality.client["clean_seconds"] == pytest.approx(60 * (1 - lost), abs=0.1)
        assert quality.therapist["grade"] == "good"


def _real(name):
    if not (DATA / name).exists():
        pytest.skip("the recordings in ../shared/data are not here")
    return DATA / name


@pytest.mark.parametrize("person", range(6))
def test_real_eeg_passes_and_keeps_its_windows(person):
    folder = _real("eeg_backgrounds_eegmat")
    raws = [mne.io.read_raw_edf(folder / f"Subject0{person}_{block}.edf", verbose="error") for block in (1, 2)]
    stop = min(raw.times[-1] for raw in raws)
    raws = [raw.crop(tmax=stop) for raw in raws]
    prepared = preprocess_pair(pair_of(*raws), SHORT)
    for role in ("therapist", "client"):
        values = prepared.quality.of(role)
        assert values["channels_total"] == 19
        assert values["channels_kept"] >= 17
        assert values["n_windows"] >= 9  # of 12: an artefact or two are there
        assert {"ECG ECG", "EEG A2-A1"} <= set(prepared.quality.dropped[role])
        assert 0.05 <= values["s2_quad"] <= 1


def test_real_eeg_study_passes():
    folder = _real("eeg_study_growth")
    files = sorted(folder.rglob("*.edf"))[:4]
    pair = pair_of(*(mne.io.read_raw_edf(path, verbose="error") for path in files[:2]))
    assert preprocess_pair(pair, SHORT).quality.therapist["channels_kept"] >= 17


def test_real_epochs_pass():
    folder = _real("eeg_dyad_hypyp_epochs")
    raws = []
    for person in ("preproc_S1.fif", "preproc_S2.fif"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            epochs = mne.read_epochs(folder / person, verbose="error")[:25]
        x = epochs.get_data(copy=False)
        raw = mne.io.RawArray(x.transpose(1, 0, 2).reshape(x.shape[1], -1), epochs.info, verbose="error")
        seconds = x.shape[2] / raw.info["sfreq"]
        raws.append(raw.set_annotations(mne.Annotations(np.arange(1, 25) * seconds, 0.0, "EDGE boundary")))
    pair = pair_of(*raws).replace(segments=tuple(Segment(k * seconds, seconds) for k in range(25)))
    with pytest.warns(UserWarning, match="short windows"):
        prepared = preprocess_pair(pair, StudyConfig(window_s=1.0))
    assert prepared.quality.therapist["n_windows"] >= 20
    assert len(prepared.client.ch_names) >= 28


FNIRS = {
    "fnirs_dyad_FCS01_nirx": ("parent", "child", mne.io.read_raw_nirx),
    "fnirs_dyads_burns_snirf": ("DYAD132_1_convo.snirf", "DYAD132_2_convo.snirf", mne.io.read_raw_snirf),
}


@pytest.mark.parametrize("name", FNIRS)
def test_real_fnirs_passes(name):
    therapist, client, read = FNIRS[name]
    folder = _real(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raws = [read(folder / part, verbose="error") for part in (therapist, client)]
    stop = min(raw.times[-1] for raw in raws)
    raws = [raw.crop(tmax=stop) for raw in raws]
    config = StudyConfig(min_seconds=30)
    with pytest.warns(UserWarning, match="no short channels"):
        prepared = preprocess_pair(pair_of(*raws, "fnirs"), config)
    for role in ("therapist", "client"):
        values = prepared.quality.of(role)
        assert values["channels_kept"] >= 5
        assert np.isfinite(prepared.raw(role).get_data()).all()
        assert 1e-8 < values["band_sd"] < 1e-4
        assert np.isnan(values["short_r2"])


#: Figures of fNIRS that guards look at, all of what is compared.
OF_THE_STRETCH = ("motion", "motion_overlap", "short_r2", "band_sd", "mayer_fraction", "instrument_noise", "sci")


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_fnirs_figures_are_those_of_the_stretch_that_is_compared():
    config = StudyConfig(fnirs_min_sci=0.0, min_seconds=120.0)
    alone, _ = fnirs_pair(6, 600.0)
    restless = alone.replace(therapist=alone.therapist.copy(), client=alone.client.copy())
    for role in ("therapist", "client"):
        for raw, marked in ((alone.raw(role), False), (restless.raw(role), True)):
            raw.set_annotations(mne.Annotations([200.0], [10.0], ["BAD_pause"]))
            if marked:  # before the mark the caps move together, and the light is noisy
                noise = np.random.default_rng(1).normal(0, 0.02, (len(raw.ch_names), 1600))
                raw._data[:, :1600] *= np.exp(noise)
                for at in range(80, 1600, 80):
                    raw._data[:, at : at + 8] *= np.exp(0.5)
    found = [preprocess_pair(pair, config).quality.client for pair in (alone, restless)]
    for name in OF_THE_STRETCH:
        assert found[1][name] == pytest.approx(found[0][name], rel=0.1, abs=0.005), name
    assert set(OF_THE_STRETCH) <= set(QUALITY_FACTS["fnirs"])


def test_eeg_figures_are_those_of_the_segments():
    config = StudyConfig(window_s=5.0)
    whole = clean_pair(9)
    half = whole.therapist.n_times / whole.therapist.info["sfreq"] / 2
    cut = whole.replace(segments=(Segment(0.0, half, ""),))
    noisy = cut.replace(client=cut.client.copy())
    start = noisy.client.n_times // 2 + 500
    noisy.client._data[:, start:] += np.random.default_rng(2).normal(0, 2e-5, noisy.client._data[:, start:].shape)
    before, after = (preprocess_pair(pair, config).quality.client for pair in (cut, noisy))
    for name in ("s2_line", "s2_quad", "highfreq", "motion", "amplitude"):
        assert after[name] == pytest.approx(before[name], rel=0.1), name


@pytest.mark.parametrize("left_s", [0.0, 0.2, 1.0, 3.0, 5.0, 20.0])
@pytest.mark.parametrize("by", ["mark", "segment"])
@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_too_little_is_said_to_be_too_little(by: str, left_s: float):
    pair, _ = fnirs_pair(3, 140.0)
    seconds = pair.therapist.n_times / pair.therapist.info["sfreq"]
    if by == "segment" and left_s:
        pair = pair.replace(segments=(Segment(20.0, left_s, ""),))
    elif by == "mark":
        for role in ("therapist", "client"):
            pair.raw(role).set_annotations(mne.Annotations([left_s], [seconds - left_s], ["BAD_all"]))
    else:
        pytest.skip("a segment has a length")
    with pytest.raises(QualityError, match="fewer than min_seconds"):
        preprocess_pair(pair, StudyConfig(min_seconds=30.0))
