"""Indices of one person alone: known answers, the libraries' values, and chance of coupling inside a head."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError
from hyperscan.schema import CORRECTED, INDICES, Index, index_facts
from hyperscan.synchrony import recipe_of, shared_windows, within_values
from hyperscan.synchrony.within import window_spectra
from synchrony_fixtures import both, fnirs
from within_fixtures import CONFIG, N_WINDOW, NAMES, ROIS, SFREQ, cap, found, person


def test_half_the_rhythm_is_three_decibels_less_and_leaves_the_rest_alone() -> None:
    full, half = found(cap()), found(cap(gain=math.sqrt(0.5)))
    at = Index("power", "alpha", "occipital")
    assert half[at].level - full[at].level == pytest.approx(-3.0, abs=0.2)
    assert full[at].estimate == pytest.approx(144, rel=0.1)
    for name in ("aperiodic_slope", "high_frequency", "drift"):
        other = Index(name, "", "occipital")
        assert half[other].level == pytest.approx(full[other].level, abs=0.05)
    assert full[Index("aperiodic_slope", "", "all")].level == pytest.approx(1.0, abs=0.05)
    assert full[Index("peak_hz", "alpha", "occipital")].level == pytest.approx(10.0, abs=0.1)
    assert full[Index("asymmetry", "alpha", "frontal")].estimate > 0.2
    assert full[Index("power", "theta", "frontal_midline")].index.region == "frontal_midline"


def test_power_and_asymmetry_agree_with_mne() -> None:
    signals, starts = person(cap(seed=3))
    recipe = recipe_of(CONFIG, "eeg")
    values = {each.index: each for each in within_values(signals, starts, N_WINDOW, recipe)}
    psd, freqs = mne.time_frequency.psd_array_welch(
        signals.data["eeg"].astype(float), SFREQ, 1.0, 40.0, n_fft=512, n_overlap=256, window="hann", verbose="error"
    )
    alpha = psd[:, (freqs >= 8) & (freqs <= 12)].sum(1) * 0.25 * 1e12
    whole = psd.sum(1) * 0.25 * 1e12
    back = list(ROIS["occipital"])
    assert values[Index("band_power", "alpha", "occipital")].estimate == pytest.approx(alpha[back].mean(), rel=1e-3)
    relative = alpha[back].mean() / whole[back].mean()
    assert values[Index("relative_power", "alpha", "occipital")].estimate == pytest.approx(relative, rel=1e-3)
    expected = np.mean([np.log(alpha[2] / alpha[0]), np.log(alpha[4] / alpha[3])])
    assert values[Index("asymmetry", "alpha", "frontal")].estimate == pytest.approx(expected, abs=1e-3)


#: Exponent of the background and frequency of the alpha peak of the posterior mean spectrum by specparam 2.0.0rc7
#: (``SpectralModel(aperiodic_mode="fixed", peak_width_limits=[1, 12], min_peak_height=0.05)``, 2 to 39.75 Hz).
SPECPARAM = {"Subject00_1": (1.787, 11.23), "Subject03_1": (1.775, 9.70)}


@pytest.mark.parametrize("who", SPECPARAM)
def test_real_recordings_agree_with_mne_and_are_near_specparam(shared: Path, who: str) -> None:
    raw = mne.io.read_raw_edf(shared / "data" / "eeg_backgrounds_eegmat" / f"{who}.edf", preload=True, verbose="error")
    raw.rename_channels({name: name.removeprefix("EEG ") for name in raw.ch_names})
    raw.pick([name for name in NAMES if name in raw.ch_names]).filter(1.0, 40.0, verbose="error").crop(0, 59.99)
    names, sfreq = tuple(raw.ch_names), raw.info["sfreq"]
    signals, starts = person(raw.get_data(), sfreq, names)
    regions = {"all": names, "frontal": ("F3", "F4", "F7", "F8"), "posterior": ("P3", "Pz", "O1", "O2")}
    rois = {region: tuple(names.index(name) for name in held) for region, held in regions.items()}
    signals = dataclasses.replace(signals, rois=rois)
    theirs = raw.crop(0, (len(starts) * N_WINDOW - 1) / sfreq).compute_psd(
        "welch", 1.0, 40.0, n_fft=round(4 * sfreq), n_overlap=round(2 * sfreq), window="hann", verbose="error"
    )
    psd, at = theirs.get_data(return_freqs=True)
    freqs, ours = window_spectra(signals, starts, N_WINDOW)
    np.testing.assert_allclose(ours[:, np.isin(freqs, at)], psd * 1e12, rtol=1e-3)
    values = {each.index: each for each in within_values(signals, starts, N_WINDOW, recipe_of(CONFIG, "eeg"))}
    alpha, whole = psd[:, (at >= 8) & (at <= 12)].sum(1), psd.sum(1)
    for region, where in ((region, list(where)) for region, where in rois.items()):
        power, share = alpha[where].mean() * (at[1] - at[0]) * 1e12, alpha[where].mean() / whole[where].mean()
        assert values[Index("band_power", "alpha", region)].estimate == pytest.approx(power, rel=1e-3)
        assert values[Index("relative_power", "alpha", region)].estimate == pytest.approx(share, rel=1e-3)
    level = dict(zip(names, np.log(alpha), strict=True))
    expected = (level["F4"] - level["F3"] + level["F8"] - level["F7"]) / 2
    assert values[Index("asymmetry", "alpha", "frontal")].estimate == pytest.approx(expected, abs=1e-3)
    # another estimate of the same: it fits the rhythms along, where ours leaves their frequencies out
    exponent, peak = SPECPARAM[who]
    assert values[Index("aperiodic_slope", "", "posterior")].estimate == pytest.approx(exponent, abs=0.1)
    assert values[Index("peak_hz", "alpha", "posterior")].estimate == pytest.approx(peak, abs=0.25)


def test_what_cannot_be_told_is_nan_and_not_a_number() -> None:
    values = found(cap(10))
    assert math.isnan(values[Index("lagcoh", "alpha", "all")].value)  # one window has no other one
    narrow = found(cap(30), dataclasses.replace(CONFIG, eeg_filter_hz=(3.0, 30.0)))
    for name in ("power", "power_over_background", "peak_hz"):
        assert math.isnan(narrow[Index(name, "alpha", "all")].value)
    assert math.isnan(narrow[Index("rhythm_asymmetry", "alpha", "frontal")].value)
    assert not {"aperiodic_slope", CORRECTED} & {index.name for index in narrow}
    assert Index("high_frequency", "", "all") not in narrow
    assert math.isfinite(narrow[Index("band_power", "alpha", "all")].value)


def test_metrics_and_networks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"within_metrics\.eeg: 'plv' sees lag 0"):
        recipe_of(dataclasses.replace(CONFIG, within_metrics=["plv"]), "eeg")
    with pytest.raises(ConfigError, match=r"networks\.mine: 'frontl' is no region"):
        recipe_of(dataclasses.replace(CONFIG, networks={"mine": ["frontl", "occipital"]}), "eeg")
    with pytest.raises(ConfigError, match="Name two or more"):
        StudyConfig(networks={"mine": ["frontal"]})
    with pytest.raises(ConfigError, match="has this name"):
        StudyConfig(networks={"mine": ["a", "b"]}, rois={"mine": ["Fz"]})


def test_haemoglobin_has_amplitude_and_coupling() -> None:
    pair, config = fnirs()
    a, b = both(pair, config)
    recipe = recipe_of(config, "fnirs")
    windows = shared_windows(a, b, recipe)
    values = {each.index: each for each in within_values(a, windows.therapist, windows.n_window, recipe)}
    assert {index.name for index in values} == {"amplitude", "wtc"}
    coupling = values[Index("wtc", "slow", "all")]
    assert 0 < coupling.estimate < 1
    assert math.isfinite(coupling.value)
    assert values[Index("amplitude", "slow", "all")].estimate > 0


def test_every_index_is_told_and_twins_are_indices() -> None:
    for facts in INDICES.values():
        assert facts.label
        assert not facts.twin or facts.twin in INDICES
    assert index_facts("ciplv").twin == CORRECTED
    assert str(Index.parse("power/alpha")) == "power/alpha"
