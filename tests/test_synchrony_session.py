"""Labelled synchrony of one dyad-session: dimensions, ROI means, maps, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan import compute_synchrony
from hyperscan.errors import InputError
from hyperscan.metrics import get_metric
from hyperscan.synchrony import recipe_of, roi_table, shared_windows
from synchrony_fixtures import CH_NAMES, CONFIG, both, coupled, eeg_pair, fnirs


def test_result_is_labelled_and_holds_the_metrics_own_values() -> None:
    result = compute_synchrony(coupled(), config=CONFIG).dataset
    assert result["value"].dims == ("signal", "metric", "band", "window", "therapist", "client")
    assert list(result["metric"].values) == ["plv", "coh", "aec", "corr"]
    assert list(result["therapist"].values) == list(CH_NAMES)
    assert result["value"].sizes["window"] == 6
    np.testing.assert_allclose(result["window_start"], np.arange(6) * 10.0)
    assert {name: result.attrs[name] for name in ("dyad", "session", "days", "n_windows", "seconds")} == {
        "dyad": "D0", "session": 3, "days": 14.0, "n_windows": 6, "seconds": 60.0,
    }  # fmt: skip
    alpha = result["value"].sel(signal="eeg", metric="plv", band="alpha", therapist="O1", client="O1")
    # PLV of a correlation of .8 between nearly noiseless rhythms, from theory .70
    assert float(alpha.mean()) == pytest.approx(0.7, abs=0.12)
    theta = result["value"].sel(signal="eeg", metric="plv", band="theta", therapist="O1", client="O1")
    assert float(theta.mean()) < 0.35


def test_roi_rows_are_means_of_channel_pairs_on_the_growth_scale() -> None:
    result = compute_synchrony(coupled(), config=CONFIG)
    data = result.dataset.sel(signal="eeg", metric="plv", band="alpha")
    posterior = data["value"].sel(therapist=["Pz", "O1"], client=["Pz", "O1"])
    pair = data.sel(roi_pair="posterior-posterior")
    assert float(pair["roi_value"].mean()) == pytest.approx(float(posterior.mean()), rel=1e-5)
    assert float(pair["roi_z"].mean()) == pytest.approx(float(np.arctanh(posterior).mean()), rel=1e-5)
    frame = result.to_data_frame()
    row = frame[(frame["metric"] == "plv") & (frame["band"] == "alpha") & (frame["roi_therapist"] == "posterior")]
    assert row["z"].item() == pytest.approx(float(np.arctanh(posterior).mean()), rel=1e-5)


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(InputError, match="not prepared"):
        compute_synchrony(eeg_pair(CH_NAMES), config=CONFIG)
    with pytest.raises(InputError, match="null = 'phases'"):
        compute_synchrony(coupled(), null="phases")
    with pytest.raises(InputError, match="Did you mean 'plv'"):
        compute_synchrony(coupled(), metrics=["plw"])


def test_fnirs_averages_pair_coherences_of_every_chromophore() -> None:
    pair, config = fnirs()
    a, b = both(pair, config)
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
