"""Simulated recordings hold what their truth says."""

from __future__ import annotations

import json
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from hyperscan.errors import InputError, OutputError
from hyperscan.simulate import (
    EEG_SCENARIOS,
    FNIRS_SCENARIOS,
    EegTruth,
    FnirsTruth,
    Optodes,
    simulate_eeg,
    simulate_fnirs,
    simulate_study,
)
from hyperscan.simulate.signals import band_noise, coupled_pair, delay, power_law_noise
from hyperscan.transforms import analytic_signal
from hyperscan.transforms.spectrum import welch_psd

SITES = ("Fz", "Pz", "O1")
SAMPLES = Path(__file__).parents[1] / "sample_data"


def eeg(seed: int = 0, seconds: float = 200.0, **truth: object) -> tuple[np.ndarray, np.ndarray]:
    return simulate_eeg(EegTruth(**truth), SITES, 128.0, seconds, np.random.default_rng(seed))


def test_samples_are_what_the_simulator_makes(tmp_path: Path) -> None:
    made = simulate_study(tmp_path / "eeg_growth", "growth", modality="eeg", seed=1)
    theirs = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    assert theirs == sorted(
        path.relative_to(SAMPLES / "eeg_growth") for path in (SAMPLES / "eeg_growth").rglob("*") if path.is_file()
    )
    for path in theirs:
        assert (made / path).read_bytes() == (SAMPLES / "eeg_growth" / path).read_bytes(), path


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.8])
def test_coupled_pair_has_its_correlation_and_constant_power(fraction: float) -> None:
    a, b = coupled_pair(200_000, 128.0, (8.0, 12.0), fraction, np.random.default_rng(1), lag_s=0.025)
    assert np.corrcoef(a, delay(b, 128.0, -0.025))[0, 1] == pytest.approx(fraction, abs=0.03)
    np.testing.assert_allclose([a.var(), b.var()], 1, atol=0.04)


@pytest.mark.parametrize(("lag_s", "degrees"), [(0.0, 0.0), (0.025, 90.0), (-0.025, -90.0)])
def test_therapist_leads_by_a_positive_lag(lag_s: float, degrees: float) -> None:
    a, b = eeg(coupled_fraction=1.0, lag_s=lag_s, rhythm_gain=(3.0, 3.0))
    u, v = (analytic_signal(x[2:], 128.0, (9.0, 11.0)) for x in (a, b))
    assert np.degrees(np.angle(np.vdot(v, u))) == pytest.approx(degrees, abs=3)


@pytest.mark.parametrize(("exponent", "curvature"), [(1.0, 0.0), (2.0, 0.0), (1.0, 0.3)])
def test_background_has_its_spectrum(exponent: float, curvature: float) -> None:
    x = power_law_noise((20, 40_000), 128.0, exponent, np.random.default_rng(0), curvature=curvature)
    freqs, psd = welch_psd(x, 128.0, 4.0)
    used = (freqs >= 2) & (freqs <= 40)
    u = np.log(freqs[used] / 10)
    fitted = np.polynomial.polynomial.polyfit(u, np.log(psd.mean(0)[used]), 2)
    np.testing.assert_allclose(fitted[1:], [-exponent, -curvature], atol=0.04)


def test_gains_act_on_one_person_each() -> None:
    quiet, loud = eeg(rhythm_gain=(0.0, 2.0), background_gain=(1.0, 1e-6))
    assert quiet[2].std() == pytest.approx(10e-6, rel=0.01)
    assert loud[2].std() == pytest.approx(24e-6, rel=0.03)


@pytest.mark.parametrize(("kind", "frontal"), [("broadband", 1.0), ("narrowband", 1.0), ("topography", 0.08)])
def test_artefact_is_common_and_has_its_topography(kind: str, frontal: float) -> None:
    without, with_it = eeg(), eeg(artefact=kind, artefact_gain=5.0)
    added = [person[0] - bare[0] for person, bare in zip(with_it, without, strict=True)]
    occipital = with_it[0][2] - without[0][2]
    # the artefact is drawn before the backgrounds, so these differ between the two runs
    corr = np.corrcoef(with_it[0][2], with_it[1][2])[0, 1]
    assert corr > 0.8
    assert added[0].std() / occipital.std() == pytest.approx(max(frontal, 0.2), abs=0.25)


def test_task_is_shared_by_sessions_of_one_seed_only() -> None:
    kwargs = {"task_gain": 3.0, "rhythm_gain": (2.0, 2.0)}
    (a, _), (other, _), (elsewhere, _) = (
        eeg(seed, task_seed=task, **kwargs) for seed, task in ((0, 7), (1, 7), (2, 8))
    )
    assert np.corrcoef(a[2], other[2])[0, 1] > 0.7
    assert abs(np.corrcoef(a[2], elsewhere[2])[0, 1]) < 0.15


def test_clock_runs_fast() -> None:
    seconds, ppm = 100.0, 100.0
    same, fast = (eeg(seconds=seconds, clock_ppm=p)[1][2] for p in (0.0, ppm))
    last = slice(-1280, None)
    shifts = np.arange(-2, 3) / 128
    late = delay(same, 128.0, seconds * ppm * 1e-6)
    assert np.corrcoef(late[last][100:-100], fast[last][100:-100])[0, 1] > 0.99
    assert np.corrcoef(same[last][100:-100], fast[last][100:-100])[0, 1] < 0.95
    assert len(shifts) == 5


def fnirs(seed: int = 0, **truth: object) -> tuple[np.ndarray, np.ndarray]:
    return simulate_fnirs(FnirsTruth(**truth), Optodes(), 4.0, 600.0, np.random.default_rng(seed))


def test_haemoglobin_comes_back_from_light() -> None:
    """The light of a channel, turned back, is the coupled signal with noise of the scalp."""
    a, b = fnirs(coupled_fraction=1.0, lag_s=0.0, systemic_gain=0.0, noise_gain=0.0)
    density = [-np.log(person[:2] / person[:2].mean(-1, keepdims=True)) for person in (a, b)]
    extinction = np.array([[134.96, 356.62], [243.66, 159.21]]) * 30 * 6
    hbo, hbr = np.moveaxis([np.linalg.solve(extinction, d) for d in density], 1, 0)
    # 1 / (1 + .3**2) of the power is shared, apart from the heart beat
    slow = [np.convolve(x, np.ones(8) / 8, "valid") for x in hbo]
    assert np.corrcoef(*slow)[0, 1] > 0.8
    assert np.corrcoef(hbo[0], hbr[0])[0, 1] < -0.3


def test_instrument_noise_and_motion_and_task() -> None:
    calm, noisy = fnirs()[0], fnirs(noise_gain=1000.0)[0]
    assert np.diff(noisy).std() > 5 * np.diff(calm).std()
    a, b = (np.abs(np.diff(np.log(person), axis=-1)).max(0) for person in fnirs(motion_per_min=2.0))
    jumps = [set(np.flatnonzero(x > 0.05)) for x in (a, b)]
    assert len(jumps[0] & jumps[1]) > 10
    tasks = [np.log(fnirs(seed, task_gain=20.0, task_seed=3, systemic_gain=0.0)[0][0]) for seed in (0, 1)]
    assert np.corrcoef(*tasks)[0, 1] > 0.8


def test_record_leaves_out_what_is_rarely_on() -> None:
    assert "task_gain" not in EegTruth().to_dict()
    assert EegTruth(task_gain=1.0).to_dict()["task_gain"] == 1.0
    assert FnirsTruth().to_dict() == {
        "coupled_fraction": 0.0, "lag_s": 2.0, "systemic_gain": 1.0, "common_systemic": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("scenario", sorted(EEG_SCENARIOS))
def test_every_eeg_scenario_is_written(scenario: str, tmp_path: Path) -> None:
    study = simulate_study(tmp_path / "s", scenario, n_dyads=2, n_sessions=4, duration_s=4.0)
    table = pd.read_csv(study / "dyads.tsv", sep="\t")
    assert (table.groupby("dyad").size() >= 2).all()
    assert len(table) == 8 or scenario == "missing"
    truth = json.loads((study / "truth.json").read_text())["sessions"]
    assert [(t["dyad"], t["session"]) for t in truth] == list(zip(table["dyad"], table["session"], strict=True))
    lengths = [mne.io.read_raw_edf(study / f, verbose="error").times[-1] for f in table["client_file"]]
    expected = [4 * (1 + (s - 1) / 3) if scenario == "longer" else 4 for s in table["session"]]
    np.testing.assert_allclose(lengths, expected, atol=1.1)


@pytest.mark.parametrize("scenario", sorted(FNIRS_SCENARIOS))
def test_every_fnirs_scenario_is_written(scenario: str, tmp_path: Path) -> None:
    study = simulate_study(tmp_path / "s", scenario, modality="fnirs", n_dyads=1, n_sessions=3, duration_s=60.0)
    files = pd.read_csv(study / "dyads.tsv", sep="\t")["therapist_file"]
    assert all(np.isfinite(mne.io.read_raw_snirf(study / f, verbose="error").get_data()).all() for f in files)


def test_dyads_draw_their_own_lag_and_miss_their_own_sessions(tmp_path: Path) -> None:
    given = {"n_dyads": 12, "n_sessions": 4, "duration_s": 2.0}
    lags = json.loads((simulate_study(tmp_path / "l", "growth_random_lag", **given) / "truth.json").read_text())
    frame = pd.DataFrame(lags["sessions"])
    assert (frame.groupby("dyad")["lag_s"].nunique() == 1).all()
    assert frame["lag_s"].nunique() == 12
    assert frame["lag_s"].between(0, 0.1).all()
    missing = pd.read_csv(simulate_study(tmp_path / "m", "missing", **given) / "dyads.tsv", sep="\t")
    assert 24 <= len(missing) < 46
    assert missing["session"].nunique() == 4


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'growth'"):
        simulate_study(tmp_path / "a", "grwoth")
    with pytest.raises(InputError, match="modality"):
        simulate_study(tmp_path / "a", modality="meg")
    with pytest.raises(OutputError, match="exists already"):
        simulate_study(tmp_path)


def test_band_noise_stays_in_its_band() -> None:
    freqs, psd = welch_psd(band_noise((5, 20_000), 128.0, (8.0, 12.0), np.random.default_rng(0)), 128.0)
    power = psd.mean(0)
    assert power[(freqs > 7.5) & (freqs < 12.5)].sum() > 0.999 * power.sum()
