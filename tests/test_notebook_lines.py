"""The lines that people copy, run as they stand: the public surface, the README, the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
#: Two dyads are enough to run the lines, and few enough for the package to say so.
pytestmark = pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")

PUBLIC_SURFACE = """
import hyperscan as hs

sessions = hs.read_sessions("study/dyads.tsv")
pair = hs.preprocess_pair(hs.align_pair(hs.load_session(sessions[0])))
sync = hs.compute_synchrony(pair, metrics=["plv", "ciplv"], bands={"alpha": (8, 12)}, null="lags", n_null=1000, seed=0)
sync.to_data_frame(); sync.plot()

study = hs.run_study(sessions, hs.StudyConfig(), n_jobs=2)
growth = hs.fit_growth(study.table, guards=study.guards, quality=study.quality)
print(growth.summary()); growth.plot()

from hyperscan.metrics import plv, wtc
plv(a, b)
"""


def python_blocks(path: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the names in those lines exist."""
    from hyperscan import simulate_study

    folder = tmp_path_factory.mktemp("lines")
    # 100 s are enough for three windows of 20 s, and for lags beyond two
    study = simulate_study(folder / "study", "growth", seed=6, n_dyads=2, n_sessions=2, duration_s=100)
    (study / "study.toml").unlink()
    for name in ("my_study", "sample_data/eeg_growth"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(study, target_is_directory=True)
    return folder


@pytest.fixture
def names(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Analytic arrays called ``a`` and ``b``, a folder to stand in, and no windows on a screen."""
    monkeypatch.chdir(place)
    mpl.use("Agg")
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(3, n, 200)) + 1j * rng.normal(size=(3, n, 200)) for n in (2, 4))
    return {"__name__": "__main__", "a": a, "b": b}


def test_public_surface_runs(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(PUBLIC_SURFACE, "public surface", "exec"), names)
    frame = names["sync"].to_data_frame()
    assert set(frame["metric"]) == {"plv", "ciplv"}
    assert frame["lag_p"].between(0, 1).all()
    assert names["growth"].verdict == "cannot_tell"
    assert capsys.readouterr().out.startswith(f"verdict: {names['growth'].verdict}")
    assert names["growth"].primary["slope"] > 0.2
    assert names["plv"](names["a"], names["b"]).shape == (3, 2, 4)
    plt.close("all")


def test_readme_runs_as_it_stands(names: dict[str, Any]) -> None:
    code = python_blocks(ROOT / "README.md")
    assert "run_study" in code
    # the study itself was run above; here the lines around it
    code = code.replace(
        "study = hs.run_study(sessions, hs.StudyConfig(), n_jobs=2)", "study = hs.run_study(sessions[:2])"
    )
    exec(compile(code, "README.md", "exec"), names)
    assert names["study"].table["dyad"].nunique() == 1
    assert names["growth"].verdict == "cannot_tell"
    plt.close("all")


def test_lines_on_choosing_run_as_they_stand(names: dict[str, Any], place: Path, small_run: Path) -> None:
    (place / "results").symlink_to(small_run, target_is_directory=True)
    exec(compile(python_blocks(ROOT / "docs" / "choosing.md"), "choosing.md", "exec"), names)
    assert names["whole"].shape == names["coherence"].shape == (3, 4)
    assert names["windows"].shape == (6, 3, 4)
    np.testing.assert_allclose(names["p"], 1 / 200)
    lead, asymmetry = names["lead"], names["asymmetry"]
    assert lead.asymmetry.n == asymmetry.primary.n_dyads == 6
    assert lead.p < 0.05
    assert lead.sentence.startswith("The mean excess over chance is highest at a lag of ")
    assert "the lead asymmetry (excess where the therapist leads minus" in asymmetry.sentence
    plt.close("all")


def test_lines_for_mne_objects_run_as_they_stand(names: dict[str, Any]) -> None:
    """Objects as other toolboxes take them, and what mne-connectivity computes of them beside ours."""
    from test_recording_memory import epochs, raws

    names["raw_therapist"], names["raw_client"] = raws(1, 70)
    names["other_therapist"], names["other_client"] = raws(2, 70)
    names["epochs_therapist"], names["epochs_client"] = epochs(equal=True)
    rng = np.random.default_rng(0)
    names["signal"] = np.exp(1j * rng.normal(size=(2, 3, 4, 1, 50)))
    exec(compile(python_blocks(ROOT / "docs" / "coming_from.md"), "coming_from.md", "exec"), names)
    theirs, ours = names["theirs"].get_data().ravel(), names["ours"].to_matrix("plv", "alpha").to_numpy().ravel()
    assert np.corrcoef(theirs, ours)[0, 1] > 0.7
    assert names["study"].table["dyad"].nunique() == 2


def test_tutorial_and_new_metric_run_as_they_stand(names: dict[str, Any]) -> None:
    tutorial, _, rest = python_blocks(ROOT / "docs" / "tutorial.md").partition("study = hs.StudyResult.load")
    assert rest
    exec(compile(tutorial, "tutorial.md", "exec"), names)
    exec(compile(python_blocks(ROOT / "docs" / "adding_a_metric.md"), "adding_a_metric.md", "exec"), names)
    frame = names["sync"].to_data_frame().set_index(["metric", "roi_therapist"])["estimate"]
    # their metric is PLV written out
    np.testing.assert_allclose(frame["phase_stability"], frame["plv"], rtol=1e-5)
    spec = names["hs"].compute_synchrony(names["pair"], metrics=[names["spec"]])
    assert spec.metrics == ("stability",)
    plt.close("all")


def test_what_the_tutorial_does_with_a_run_runs(names: dict[str, Any], place: Path, small_run: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "demo_eeg_growth").symlink_to(small_run, target_is_directory=True)
    code = python_blocks(ROOT / "docs" / "tutorial.md")
    lines = code[code.index("study = hs.StudyResult.load") : code.index("import pandas")]
    assert "study.session(" in lines
    exec(compile("import hyperscan as hs\n" + lines, "tutorial.md", "exec"), names)
    assert names["study"].table["dyad"].nunique() == 6
