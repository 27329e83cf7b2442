"""What several tests need: the folder of real recordings, and one small study that was run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from made_once import changed, made_once
from pipeline_fixtures import four_dyads, my_run, my_study, slow_study, tiny, tiny_run  # noqa: F401  fixtures of runs
from plots_fixtures import plots_primary, plots_quality, plots_table  # noqa: F401  fixtures of the tests of plots
from stale_fixtures import done, mine, two_modalities  # noqa: F401  fixtures of reruns

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

#: Longer than this no test takes, also where several share a processor, in s.
LONGEST_S = 600

#: Files that take longest, longest first: a worker that starts with one of them at the end leaves the others idle.
LONGEST = (
    "test_pipeline_stages_settings.py",
    "test_end_to_end.py",
    "test_pipeline_multiverse.py",
    "test_docs.py",
    "test_pipeline_run.py",
    "test_bad_input_pipes.py",
    "test_pipeline_stages_options.py",
    "test_scripts.py",
    "test_pipeline_stages_versions.py",
    "test_study_findings_comparisons.py",
    "test_pipeline_workers.py",
    "test_metrics_as_primary.py",
    "test_pipeline_stages_columns.py",
    "test_pipeline_stages_companions.py",
    "test_report_build.py",
    "test_cli_terminal.py",
    "test_pipeline_lock.py",
    "test_public.py",
    "test_notebook_lines.py",
    "test_growth_guards.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest (``--no-loadscope-reorder`` keeps the order when workers share it)."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """No test loses its power, and a small run waits for the disk a third of its time: faults are put in by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail if a test changed what others read."""
    yield
    assert changed(tmp_path_factory) == []


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """Fail a test that waits for ever, so that the others run and its name is known."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: object) -> None:
        raise AssertionError(f"a test waits for more than {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close the figures that a test drew: pyplot keeps them, and warns of too many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real recordings and reference values; they are no part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with real recordings and reference values is not here")
    return SHARED


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Make a folder in which the client's files are in order."""
    import recording_fixtures as make

    make.write_fif(tmp_path / "c-raw.fif", 99)
    make.write_snirf(tmp_path / "c.snirf", 99)
    return tmp_path


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six dyads, three sessions of growing coupling."""
    from hyperscan.simulate import simulate_study

    make = partial(simulate_study, scenario="growth", seed=5, n_dyads=6, n_sessions=3)
    return made_once(tmp_path_factory, "small_study/growth", make)


@pytest.fixture(scope="session")
def small_run(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of that study, without the report."""
    from pipeline_fixtures import run

    return made_once(tmp_path_factory, "small_run/out", partial(run, small_study))
