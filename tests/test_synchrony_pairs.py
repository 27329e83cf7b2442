"""Any two people through metrics: windows, ROI means, labels, the lag null, fNIRS."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest

from hyperscan import compute_synchrony
from hyperscan.config import StudyConfig
from hyperscan.errors import InputError, QualityError
from hyperscan.metrics import get_metric
from hyperscan.recording import PairedRecording, align_pair, preprocess_pair
from hyperscan.simulate import EegTruth, FnirsTruth, Optodes, simulate_eeg, simulate_fnirs
from hyperscan.simulate.fnirs import write_snirf
from hyperscan.study import Session
from hyperscan.synchrony import Signals, lag_tests, recipe_of, roi_table, shared_windows, signals_of
from hyperscan.synchrony.pair import roi_means

CH_NAMES = ("Fz", "F3", "Pz", "O1")
SFREQ = 128.0
CONFIG = StudyConfig(
    metrics={"eeg": ["plv", "coh", "aec", "corr"]}, bands={"theta": (4, 6), "alpha": (8, 12)}, window_s=10.0
)
HERE = Path("study")


def eeg_pair(seconds: float = 60.0, seed: int = 0, **truth: object) -> PairedRecording:
    data = simulate_eeg(EegTruth(**truth), CH_NAMES, SFREQ, seconds, np.random.default_rng(seed))
    raws = [mne.io.RawArray(x, mne.create_info(list(CH_NAMES), SFREQ, "eeg"), verbose="error") for x in data]
    row = Session("D1", "T1", "C1", 3, "eeg", HERE, HERE, HERE, days=14.0, clock="same_amplifier")
    return align_pair(PairedRecording(*raws, row))


def eeg(pair: PairedRecording, config: StudyConfig = CONFIG) -> tuple[Signals, Signals]:
    prepared = preprocess_pair(pair, config)
    return signals_of(prepared, "therapist", config), signals_of(prepared, "client", config)


@pytest.fixture(scope="module")
def coupled() -> PairedRecording:
    return preprocess_pair(eeg_pair(coupled_fraction=0.8, lag_s=0.02), CONFIG)


def test_result_is_labelled_and_holds_the_metrics_own_values(coupled: PairedRecording) -> None:
    result = compute_synchrony(coupled, config=CONFIG).dataset
    assert result["value"].dims == ("signal", "metric", "band", "window", "therapist", "client")
    assert list(result["metric"].values) == ["plv", "coh", "aec", "corr"]
    assert list(result["therapist"].values) == list(CH_NAMES)
    assert result["value"].sizes["window"] == 6
    np.testing.assert_allclose(result["window_start"], np.arange(6) * 10.0)
    assert {name: result.attrs[name] for name in ("dyad", "session", "days", "n_windows", "seconds")} == {
        "dyad": "D1", "session": 3, "days": 14.0, "n_windows": 6, "seconds": 60.0,
    }  # fmt: skip
    alpha = result["value"].sel(signal="eeg", metric="plv", band="alpha", therapist="O1", client="O1")
    # PLV of a correlation of .8 between nearly noiseless rhythms, from theory .70
    assert float(alpha.mean()) == pytest.approx(0.7, abs=0.12)
    theta = result["value"].sel(signal="eeg", metric="plv", band="theta", therapist="O1", client="O1")
    assert float(theta.mean()) < 0.35


def test_roi_rows_are_means_of_channel_pairs_on_the_growth_scale(coupled: PairedRecording) -> None:
    result = compute_synchrony(coupled, config=CONFIG)
    data = result.dataset.sel(signal="eeg", metric="plv", band="alpha")
    posterior = data["value"].sel(therapist=["Pz", "O1"], client=["Pz", "O1"])
    pair = data.sel(roi_pair="posterior-posterior")
    assert float(pair["roi_value"].mean()) == pytest.approx(float(posterior.mean()), rel=1e-5)
    assert float(pair["roi_z"].mean()) == pytest.approx(float(np.arctanh(posterior).mean()), rel=1e-5)
    frame = result.to_data_frame()
    row = frame[(frame["metric"] == "plv") & (frame["band"] == "alpha") & (frame["roi_therapist"] == "posterior")]
    assert row["z"].item() == pytest.approx(float(np.arctanh(posterior).mean()), rel=1e-5)


def test_roi_means_leave_missing_channel_pairs_out(coupled: PairedRecording) -> None:
    a, b = (signals_of(coupled, role, CONFIG) for role in ("therapist", "client"))
    values = np.arange(32.0).reshape(2, 4, 4)
    values[0, 2, 2] = np.nan
    found = roi_means(values, a, b, [("posterior", "posterior"), ("all", "frontal")])
    expected = [[np.nanmean(w[2:, 2:]), np.nanmean(w[:, :2])] for w in values]
    np.testing.assert_allclose(found, expected)
    values[0, 2:, 2:] = np.nan
    assert np.isnan(roi_means(values, a, b, [("posterior", "posterior")])[0, 0])


def test_pairs_of_rois_and_the_primary_one(coupled: PairedRecording) -> None:
    a, b = (signals_of(coupled, role, CONFIG) for role in ("therapist", "client"))
    listed = dataclasses.replace(CONFIG, roi_pairs=["frontal-posterior"])
    assert set(recipe_of(listed, "eeg").pairs_of(a.rois, b.rois)) == {
        ("all", "all"), ("frontal", "posterior"), ("posterior", "posterior"),
    }  # fmt: skip
    every = dataclasses.replace(CONFIG, roi_pairs="all")
    assert len(recipe_of(every, "eeg").pairs_of(a.rois, b.rois)) == len(a.rois) ** 2


def test_windows_are_those_clean_in_both_evenly_spaced_and_paired_by_time(coupled: PairedRecording) -> None:
    recipe = recipe_of(CONFIG, "eeg")
    a, b = (signals_of(coupled, role, CONFIG) for role in ("therapist", "client"))
    a = dataclasses.replace(a, clean=np.array([1, 1, 0, 1, 1, 1], bool))
    # the partner's part of the session starts 5 s into a longer recording
    late = dataclasses.replace(b, spans=b.spans + 640, clean=np.array([0, 1, 1, 1, 1, 1], bool))
    shared = shared_windows(a, late, recipe)
    np.testing.assert_array_equal(shared.therapist, np.array([1, 3, 4, 5]) * 1280)
    np.testing.assert_array_equal(shared.client, shared.therapist + 640)
    few = shared_windows(a, late, dataclasses.replace(recipe, n_windows=2))
    np.testing.assert_array_equal(few.therapist, np.array([1, 4]) * 1280)
    b = dataclasses.replace(b, clean=np.array([1, 1, 1, 0, 0, 0], bool))
    with pytest.raises(QualityError, match=r"2 windows of 10 s are clean in both people, min_windows = 3"):
        shared_windows(a, b, recipe)


def test_swapping_people_transposes_a_symmetric_metric(coupled: PairedRecording) -> None:
    a, b = (signals_of(coupled, role, CONFIG) for role in ("therapist", "client"))
    recipe = dataclasses.replace(recipe_of(CONFIG, "eeg"), roi_pairs="all")
    there, back = roi_table(a, b, recipe), roi_table(b, a, recipe)
    pairs = recipe.pairs_of(a.rois, b.rois)
    turned = [pairs.index((y, x)) for x, y in pairs]
    for key in there:
        np.testing.assert_allclose(there[key], back[key][turned], atol=1e-5)


def test_saved_signals_come_back(coupled: PairedRecording, tmp_path: Path) -> None:
    a, b = (signals_of(coupled, role, CONFIG) for role in ("therapist", "client"))
    a.save(tmp_path / "a.npz")
    again = Signals.load(tmp_path / "a.npz")
    recipe = recipe_of(CONFIG, "eeg")
    for key, z in roi_table(a, b, recipe).items():
        np.testing.assert_array_equal(roi_table(again, b, recipe)[key], z)
    assert again.key == a.key
    assert again.rois == a.rois


@pytest.mark.parametrize(("fraction", "shown"), [(0.6, True), (0.0, False)])
def test_lag_null_finds_live_coupling_only(fraction: float, shown: bool) -> None:
    pairs = [preprocess_pair(eeg_pair(120.0, seed, coupled_fraction=fraction), CONFIG) for seed in range(3)]
    p = [
        float(compute_synchrony(pair, ["plv"], {"alpha": (8, 12)}, config=CONFIG, null="lags", n_null=199, seed=1)
              .dataset["lag_p"].sel(roi_pair="posterior-posterior").item())
        for pair in pairs
    ]  # fmt: skip
    assert (max(p) <= 0.01) if shown else (min(p) > 0.01)


def test_lag_estimate_is_the_whole_sessions_statistic(coupled: PairedRecording) -> None:
    a, b = (signals_of(coupled, role, CONFIG) for role in ("therapist", "client"))
    recipe = recipe_of(CONFIG, "eeg")
    windows = shared_windows(a, b, recipe)
    tests = lag_tests(a, b, recipe, windows, n_null=50, rng=np.random.default_rng(0))
    test = tests["eeg", "plv", "alpha"]
    assert test.estimate.shape == (len(recipe.pairs_of(a.rois, b.rois)),)
    assert (test.estimate > test.chance)[recipe.pairs_of(a.rois, b.rois).index(("posterior", "posterior"))]
    assert ((test.p > 0) & (test.p <= 1)).all()


def test_metrics_shifted_together_are_what_each_is_alone(coupled: PairedRecording) -> None:
    a, b = (signals_of(coupled, role, CONFIG) for role in ("therapist", "client"))
    found = {}
    for names in (["plv"], ["ciplv"], ["accorr"], ["plv", "imcoh", "ciplv", "accorr"]):
        recipe = recipe_of(dataclasses.replace(CONFIG, metrics={"eeg": names, "fnirs": ["corr"]}), "eeg")
        windows = shared_windows(a, b, recipe)
        tests = lag_tests(a, b, recipe, windows, n_null=50, rng=np.random.default_rng(0))
        found[tuple(names)] = {key: test for key, test in tests.items() if key[2] == "theta"}
    together = found["plv", "imcoh", "ciplv", "accorr"]
    assert len(together) == 4
    for name in ("plv", "ciplv", "accorr"):  # the first group of the first band draws the same lags
        key = ("eeg", name, "theta")
        alone = found[name,][key]
        np.testing.assert_allclose(together[key].surrogates, alone.surrogates, atol=1e-6)
        np.testing.assert_allclose(together[key].estimate, alone.estimate, atol=1e-6)


def test_wrong_requests_are_refused(coupled: PairedRecording) -> None:
    with pytest.raises(InputError, match="not prepared"):
        compute_synchrony(eeg_pair(), config=CONFIG)
    with pytest.raises(InputError, match="null = 'phases'"):
        compute_synchrony(coupled, null="phases")
    with pytest.raises(InputError, match="Did you mean 'plv'"):
        compute_synchrony(coupled, ["plw"])


@pytest.fixture(scope="module")
def fnirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[PairedRecording, StudyConfig]:
    folder = tmp_path_factory.mktemp("fnirs")
    config = StudyConfig(metrics={"fnirs": ["wtc", "corr"]}, min_seconds=120.0)
    light = simulate_fnirs(FnirsTruth(0.9, 1.0), Optodes(3, 1), 4.0, 300.0, np.random.default_rng(3))
    raws = []
    for role, data in zip(("t", "c"), light, strict=True):
        write_snirf(folder / f"{role}.snirf", data, Optodes(3, 1), 4.0)
        raws.append(mne.io.read_raw_snirf(folder / f"{role}.snirf", verbose="error").load_data())
    row = Session("D1", "T1", "C1", 1, "fnirs", HERE, HERE, HERE, clock="same_amplifier")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return preprocess_pair(align_pair(PairedRecording(*raws, row)), config), config


def test_fnirs_averages_pair_coherences_of_every_chromophore(fnirs: tuple[PairedRecording, StudyConfig]) -> None:
    pair, config = fnirs
    a, b = (signals_of(pair, role, config) for role in ("therapist", "client"))
    recipe = recipe_of(config, "fnirs")
    windows = shared_windows(a, b, recipe)
    assert len(windows.therapist) == 1
    table = roi_table(a, b, recipe, windows)
    assert {key[0] for key in table} == {"hbo", "hbr", "hbt"}
    np.testing.assert_allclose(a.data["hbt"], a.data["hbo"] + a.data["hbr"])
    spec = get_metric("wtc")
    x, y = (p.data["hbo"][:, : windows.n_window] for p in (a, b))
    _, z = spec.evaluate(x, y, sfreq=a.sfreq, band=(0.02, 0.1))
    which = recipe.pairs_of(a.rois, b.rois).index(("all", "all"))
    assert table["hbo", "wtc", "slow"][which] == pytest.approx(z.mean(), rel=1e-6)
    result = compute_synchrony(pair, config=config).dataset
    named = result["roi_z"].sel(signal="hbo", metric="wtc", band="slow", roi_pair="all-all")
    assert float(named.mean()) == pytest.approx(z.mean(), rel=1e-6)


def test_fnirs_lengths_are_cut_to_the_common_one(fnirs: tuple[PairedRecording, StudyConfig]) -> None:
    pair, config = fnirs
    a, b = (signals_of(pair, role, config) for role in ("therapist", "client"))
    recipe = dataclasses.replace(recipe_of(config, "fnirs"), seconds=100.0)
    assert shared_windows(a, b, recipe).n_window == 200
    short = dataclasses.replace(b, spans=np.array([[10, 110]]))
    windows = shared_windows(a, short, recipe)
    assert (windows.n_window, windows.therapist[0], windows.client[0]) == (100, 0, 10)


def test_a_value_that_is_missing_has_no_lag_p(coupled: PairedRecording) -> None:
    a, b = eeg(coupled)
    roi, (channel,) = next((name, where) for name, where in a.rois.items() if len(where) == 1)
    flat = a.data["eeg"].copy()
    flat[channel] = 0
    dead = dataclasses.replace(a, data={"eeg": flat})
    recipe = recipe_of(CONFIG, "eeg")
    tests = lag_tests(dead, b, recipe, shared_windows(dead, b, recipe), n_null=50, rng=np.random.default_rng(0))
    rois = [pair[0] for pair in recipe.pairs_of(a.rois, b.rois)]
    test = tests["eeg", "plv", "alpha"]
    assert np.isnan(test.estimate[rois.index(roi)])
    assert np.isnan(test.p[rois.index(roi)])
    assert np.isfinite(test.p[rois.index("all")])
