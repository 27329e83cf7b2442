"""Results of one dyad-session: what is stored, and every figure of it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import hyperscan as hs
from hyperscan.errors import DataQualityWarning, InputError


@pytest.fixture(scope="module")
def study(small_run: Path) -> hs.StudyResult:
    return hs.StudyResult.load(small_run)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> hs.PairedRecording:
    """Five minutes, so that circular shifts fit."""
    folder = tmp_path_factory.mktemp("long") / "study"
    made = hs.simulate_study(folder, "constant", n_dyads=1, n_sessions=1, duration_s=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        return hs.preprocess_pair(hs.align_pair(hs.load_session(hs.read_sessions(made / "dyads.tsv")[0])))


@pytest.fixture(scope="module")
def shifted(pair: hs.PairedRecording) -> hs.SynchronyResult:
    return hs.compute_synchrony(pair, metrics=["plv", "pli"], bands={"alpha": (8, 12)}, null="lags", n_null=50)


@pytest.mark.parametrize("kind", ["matrix", "heads", "windows", "kept"])
def test_figures_of_a_stored_session(study: hs.StudyResult, kind: str) -> None:
    ax = study.session("D01", 1).plot("plv", "alpha", kind=kind).axes[0]
    assert ax.figure is not None


def test_what_a_run_does_not_keep_is_refused_with_the_remedy(study: hs.StudyResult) -> None:
    session = study.session("D01", 1)
    with pytest.raises(InputError, match="null='lags'"):
        session.plot(kind="surrogates")
    with pytest.raises(InputError, match="holds no coherence map"):
        session.plot(kind="coherence")
    with pytest.raises(InputError, match="Did you mean 'heads'"):
        session.plot(kind="head")
    assert "lag_null" not in session.dataset


def test_surrogates_of_a_session_are_its_shifts(shifted: hs.SynchronyResult, tmp_path: Path) -> None:
    row = shifted.to_data_frame().query("metric == 'plv' and roi_therapist == 'all' and roi_client == 'all'").iloc[0]
    null = shifted.dataset["lag_null"].sel(metric="plv", band="alpha", roi_pair="all-all", signal="eeg").to_numpy()
    assert null.shape == (50,)
    assert (1 + np.sum(null >= row["lag_estimate"])) / 51 == pytest.approx(row["lag_p"])
    again = hs.read_synchrony(shifted.save(tmp_path / "x.nc"))
    ax = again.plot("plv", "alpha", kind="surrogates").axes[0]
    assert sum(patch.get_height() for patch in ax.patches) == 50
    assert ax.lines[0].get_xdata()[0] == pytest.approx(row["lag_estimate"])
    with pytest.raises(InputError, match="pli, alpha has no lag null"):
        again.plot("pli", "alpha", kind="surrogates")


def test_other_windows_band_the_course(pair: hs.PairedRecording) -> None:
    from hyperscan.metrics import plv
    from hyperscan.transforms import analytic_signal

    result = hs.compute_synchrony(pair, metrics=["plv"], bands={"alpha": (8, 12)}, null="windows", n_null=5)
    data = result.dataset
    assert data["window_null"].shape[3:] == (5, 15, data.sizes["roi_pair"])
    rate = data.attrs["sfreq"]
    a, b = (
        analytic_signal(pair.raw(role).get_data().astype(np.float32), rate, (8, 12)) for role in ("therapist", "client")
    )
    starts, n = np.round(data["window_start"].to_numpy() * rate).astype(int), round(20 * rate)
    moved = 1  # the first shift: the therapist's window 4 meets the client's window 3
    direct = np.arctanh(plv(a[:, starts[4] : starts[4] + n], b[:, starts[3] : starts[3] + n])).mean()
    found = data["window_null"].sel(roi_pair="all-all").to_numpy()[0, 0, 0, moved - 1, 4]
    assert found == pytest.approx(direct, rel=1e-3)
    ax = result.plot("plv", "alpha", kind="windows").axes[0]
    assert ax.lines[0].get_ydata() == pytest.approx(data["roi_z"].sel(roi_pair="all-all").to_numpy().ravel())
    low, high = np.quantile(data["window_null"].sel(roi_pair="all-all").to_numpy()[0, 0, 0], [0.025, 0.975], axis=0)
    edge = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (edge.min(), edge.max()) == pytest.approx((low.min(), high.max()))


def test_one_window_has_no_other_to_meet(pair: hs.PairedRecording) -> None:
    with pytest.raises(InputError, match="this session is one window"):
        hs.compute_synchrony(pair, metrics=["plv"], config=hs.StudyConfig(window_s=250, min_windows=1), null="windows")


def test_kept_windows_are_those_clean_in_each_person(shifted: hs.SynchronyResult) -> None:
    clean = shifted.dataset["clean"].copy()
    clean[0, 3] = 0
    ax = hs.SynchronyResult(shifted.dataset.assign(clean=clean)).plot(kind="kept").axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["therapist\n280 s, 93 %", "client\n300 s, 100 %", "used\n300 s, 100 %"]


def test_people_have_colours_of_their_own(shifted: hs.SynchronyResult) -> None:
    ax = shifted.plot(kind="kept").axes[0]
    colours = {to_rgb(bars.get_facecolor()[0]) for bars in ax.collections[1::2]}
    assert len(colours) == 3
