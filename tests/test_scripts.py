"""Every example script, run once as a user would run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hyperscan import StudyConfig, read_sessions, run_study, simulate_study

ROOT = Path(__file__).parents[1]
SCRIPTS = ("batch_folders", "compare_metrics", "reanalyse_table", "export_connectivity")
#: Two dyads are enough to run a script, and few enough for the package to say so.
pytestmark = pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
SETTINGS = """
window_s = 5.0
n_null = 19
roi_pairs = ["posterior-posterior"]
primary = {metric = "plv", band = "alpha", roi = "posterior-posterior"}
[metrics]
eeg = ["plv"]
[bands]
alpha = [8.0, 12.0]
"""


def run_script(name: str, *arguments: object) -> str:
    command = [sys.executable, ROOT / "scripts" / f"{name}.py", *arguments]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dyads, two sessions of growing coupling."""
    folder = tmp_path_factory.mktemp("scripts") / "tiny"
    simulate_study(folder, "growth", seed=4, n_dyads=2, n_sessions=2, duration_s=40)
    (folder / "study.toml").write_text(SETTINGS)
    return folder


@pytest.fixture(scope="module")
def out(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run of the same study with both halves of every session as tasks of their own."""
    two = tmp_path_factory.mktemp("scripts") / "two"
    shutil.copytree(study, two)
    table = pd.read_csv(two / "dyads.tsv", sep="\t")
    parts = [table.assign(task=task, start_s=start, stop_s=start + 20) for task, start in (("rest", 0), ("talk", 20))]
    pd.concat(parts).to_csv(two / "dyads.tsv", sep="\t", index=False)
    (two / "study.toml").write_text(SETTINGS.replace('posterior"}', 'posterior", task = "talk"}'))
    folder = two.with_name("out")
    run_study(read_sessions(two), StudyConfig.from_toml(two / "study.toml"), out=folder)
    return folder


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_short(name: str) -> None:
    assert len((ROOT / "scripts" / f"{name}.py").read_text().splitlines()) < 60


def test_batch_folders_lists_a_verdict_per_study_and_goes_on_after_a_bad_one(study: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    shown = run_script("batch_folders", empty, study, "-o", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "verdicts.tsv", sep="\t")
    assert list(table["study"]) == ["empty", "tiny"]
    assert table["verdict"][0].startswith("not analysed: dyads.tsv is missing")
    assert table["verdict"][1] in shown
    assert table["n_dyads"][1] == 2
    assert table["slope"][1] > 0.2


def test_compare_metrics_gives_a_row_per_metric(study: Path, tmp_path: Path) -> None:
    run_script("compare_metrics", study, "-o", tmp_path / "out", "--metrics", "ciplv")
    table = pd.read_csv(tmp_path / "out_metrics.tsv", sep="\t", index_col="metric")
    assert list(table.index) == ["plv", "ciplv"]
    assert list(table["sees_lag_0"]) == ["yes", "no"]
    assert (table["slope"] > 0.1).all()


def test_reanalyse_table_reads_commas_and_saves(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [(d, s, 0.1 * s + 0.01 * ((d * 7 + s * 3) % 5), (d * s) % 3) for d in range(8) for s in range(1, 6)],
        columns=["pair", "visit", "up", "flat"],
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    columns = ("--dyad", "pair", "--session", "visit", "-o", tmp_path / "out")
    shown = run_script("reanalyse_table", tmp_path / "table.csv", "--value", "up", "flat", *columns)
    assert "up: verdict: grows_unchecked" in shown
    assert "flat: verdict: no_clear_change" in shown
    assert json.loads((tmp_path / "out" / "up" / "growth.json").read_text())["verdict"] == "grows_unchecked"


def test_export_connectivity_keeps_the_values(out: Path, tmp_path: Path) -> None:
    shown = run_script("export_connectivity", out, tmp_path / "dest")
    files = sorted((tmp_path / "dest").rglob("*_plv.tsv"))
    assert shown.startswith("8 files")  # two dyads, two sessions, two tasks
    assert len(files) == 8
    frame = pd.read_csv(files[-1], sep="\t")
    assert len(frame) == 8 * 8
    assert frame["alpha"].between(0, 1).all()
    assert frame["therapist"][0].startswith("therapist ")
    assert frame["client"][0].startswith("client ")


def test_slurm_array_prepares_one_dyad_per_task_and_finishes(study: Path, tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    step = ["bash", ROOT / "scripts" / "slurm_array.sh", study, tmp_path / "out"]
    environment = {**os.environ, "PATH": path, "SLURM_ARRAY_TASK_ID": "2"}
    subprocess.run(list(map(str, step)), env=environment, capture_output=True, check=True)
    prepared = {entry.name for entry in (tmp_path / "out" / "work").iterdir()}
    assert "dyad-D02" in prepared
    assert "dyad-D01" not in prepared
    done = subprocess.run([*map(str, step), "finish"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("verdict: ")
