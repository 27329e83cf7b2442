"""A study so small that whole runs of it are cheap, and what tests of runs share."""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hyperscan.errors import DataQualityWarning
from hyperscan.pipeline import CheckReport, check_study, load_study, run_study
from hyperscan.pipeline.lock import LOCK_NAME
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.results import StudyResult
from hyperscan.schema import SessionKey
from hyperscan.simulate import simulate_study
from hyperscan.storage import sha256
from made_once import made_once

#: Processes that start fast, with what they need imported.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["hyperscan.pipeline", "hyperscan.growth", "pipeline_fixtures"])

#: One metric and one band: the machinery is what is tested.
CHEAP = """window_s = 10.0
n_null = 20
[metrics]
eeg = ["plv"]
[bands]
alpha = [8.0, 12.0]
"""


def tiny_study(dest: Path, n_dyads: int = 2, n_sessions: int = 2, duration_s: float = 40) -> Path:
    """Write short sessions of uncoupled dyads."""
    study = simulate_study(dest, "none", n_dyads=n_dyads, n_sessions=n_sessions, duration_s=duration_s)
    (study / "study.toml").write_text(CHEAP)
    return study


def run(
    study: Path,
    out: Path,
    n_jobs: int = 1,
    *,
    cluster: str | None = None,
    report: bool = False,
    private: bool = False,
    **changes: Any,
) -> StudyResult:
    """Run a study as the command does; the report takes most of the time and is left out unless asked for."""
    table, config = load_study(study)
    config = dataclasses.replace(config, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)  # two dyads are few
        common = {"n_jobs": n_jobs, "cluster": cluster, "rejected": table.rejected, "private": private}
        return run_study(table.sessions, config, out=out, report=report, **common)


def check_prepared(study: Path, **changes: Any) -> CheckReport:
    """Check a study with its preparation, which is kept nowhere."""
    return check_study(study, prepare=True, **changes)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dyads in two sessions."""
    return made_once(tmp_path_factory, "tiny/study", tiny_study)


@pytest.fixture(scope="session")
def tiny_run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of an undisturbed run of it, without the report."""
    return made_once(tmp_path_factory, "tiny_run/out", partial(run, tiny))


@pytest.fixture
def my_study(tiny: Path, tmp_path: Path) -> Path:
    """Return a copy of the study that a test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / "study"))


@pytest.fixture
def my_run(tiny_run: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run that a test may damage."""
    return Path(shutil.copytree(tiny_run, tmp_path / "out"))


@pytest.fixture(scope="session")
def four_dyads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four dyads in one session."""
    return made_once(tmp_path_factory, "four_dyads/study", partial(tiny_study, n_dyads=4, n_sessions=1))


@pytest.fixture
def slow_study(tiny: Path, tmp_path: Path) -> Path:
    """Return a study that takes long enough to be interrupted."""
    slow = Path(shutil.copytree(tiny, tmp_path / "slow"))
    settings = slow / "study.toml"
    settings.write_text(settings.read_text().replace("n_null = 20", "n_null = 20000"))
    return slow


def command(*arguments: object) -> list[str]:
    """Words that start the command in a process of its own."""
    return [sys.executable, "-c", "import sys; from hyperscan.cli import main; sys.exit(main())", *map(str, arguments)]


def wait_for_units(out: Path) -> None:
    """Wait until a run has prepared its first unit."""
    until = time.monotonic() + 60
    while not list(out.glob("work/dyad-*/ses-*/unit.json")) and time.monotonic() < until:
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def left_overs(out: Path) -> list[str]:
    """List hidden files that a run should not leave."""
    return [path.name for path in out.rglob(".*") if path.name not in (LOCK_NAME, ".bidsignore")]


def tree(folder: Path) -> dict[str, str]:
    """Hash everything that equal runs must have in common."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: sha256(path) for name, path in named.items() if not name.startswith("logs/")}


#: Channels of the people of :func:`summaries_without`.
CAP = ["Fz", "Pz", "O1", "O2", "Oz", "P3"]


def summaries_without(*lost: set[str]) -> list[Summary]:
    """Make sessions of one dyad whose client lacks some channels in each, and whose therapist has all."""

    def person(label: str, gone: set[str]) -> PersonSummary:
        kept = tuple(name for name in CAP if name not in gone)
        rois = {"all": kept, "posterior": tuple(name for name in kept if name != "Fz")}
        return PersonSummary(label, kept, rois, s2=(0.5,) * len(kept), s2_roi=0.5)

    return [
        Summary(
            SessionKey("D1", number, "eeg", "", ""),
            people={"therapist": person("T1", set()), "client": person("C1", gone)},
        )
        for number, gone in enumerate(lost, start=1)
    ]


def edit_table(study: Path, old: str, new: str) -> None:
    """Replace text in ``dyads.tsv``."""
    path = study / "dyads.tsv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
