"""Time, memory and disk that a study will need."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import psutil
import pytest

from hyperscan.config import StudyConfig
from hyperscan.pipeline import load_study, prepare_study, resources
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.pipeline.unit import read_manifest, units_of
from hyperscan.schema import SessionKey
from pipeline_fixtures import (
    run,
)


@pytest.mark.slow
def test_estimates_are_near_what_a_run_takes(four_dyads: Path, tmp_path: Path) -> None:
    """Disk and memory within a factor of 2; time, which depends on the machine and its other work, of 4."""
    table, config = load_study(four_dyads)
    units = units_of(table.sessions)
    prepare_study(table.sessions, config, out=tmp_path / "out", only=[row.key for row in table.sessions])
    disk = sum(path.stat().st_size for path in (tmp_path / "out/work").rglob("*.npz"))
    assert 0.5 < resources.work_bytes(units) / disk < 2
    rows = [read_manifest(tmp_path / "out/work" / unit.name, Summary).rows[0] for unit in units]
    run(four_dyads, tmp_path / "compiled")
    began = time.process_time()
    run(four_dyads, tmp_path / "out")
    took = time.process_time() - began
    assert 0.25 < sum(resources.session_seconds(row, config, 3) for row in rows) / took < 4
    program = "import sys; from hyperscan.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "run", str(four_dyads), "-o", str(tmp_path / "alone"), "-q"]
    # a process starts with the peak of the one that made it, so a small one stands between the tests and the run
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    found = subprocess.run(
        [sys.executable, "-c", measure, *command], check=True, capture_output=True, text=True, timeout=300
    )
    assert 0.5 < resources.worker_bytes(units) / (1024 * int(found.stdout)) < 2


def test_workers_fit_into_the_memory_that_is_free(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = units_of(load_study(tiny)[0].sessions)
    each = resources.worker_bytes(units)
    monkeypatch.setattr(resources, "free_bytes", lambda: 10 * each)
    assert [resources.fitting_jobs(units, wanted) for wanted in (1, 3, 100)] == [1, 3, 8]  # 80 % of 10
    monkeypatch.setattr(resources, "free_bytes", lambda: 0)
    assert resources.fitting_jobs(units, 4) == 1


def test_free_memory_is_part_of_what_the_machine_has() -> None:
    assert 0 <= resources.free_bytes() <= psutil.virtual_memory().total


#: Where the limit of a job stands: the list of groups that it is in, the folder with the limit, and its two files.
GROUPS = {
    "container": ("0::/", ".", "memory.max", "memory.current"),
    "job": ("0::/slurm/job_7/step_0", "slurm/job_7", "memory.max", "memory.current"),
    "own": ("1:name=systemd:/\n0::/a:b/c", "a:b/c", "memory.max", "memory.current"),
    "first version": (
        *("4:cpu,memory:/slurm/job_7/step_0\n0::/", "memory/slurm/job_7"),
        *("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ),
    "container of the first version": (
        *("4:memory:/docker/0123", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ),
}


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize(
    ("limit", "free"), [("max", 5_000), ("4000", 3_000), ("500", 0), ("99999", 5_000), (f"{2**63 - 4096}", 5_000)]
)
def test_free_memory_is_that_of_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, limit: str, free: int
) -> None:
    membership, place, most, used = GROUPS[kind]
    (tmp_path / "membership").write_text(f"{membership}\n")
    group = tmp_path / "cgroup" / place
    group.mkdir(parents=True)
    (group / most).write_text(f"{limit}\n")
    (group / used).write_text("1000\n")
    monkeypatch.setattr(resources, "CONTROL_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(resources, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: mock.Mock(available=5_000))
    assert resources.free_bytes() == free
    # recordings that were read stay in memory until somebody needs it
    (group / "memory.stat").write_text("cache 900\ntotal_inactive_file 600\ninactive_file 600\n")
    assert resources.free_bytes() == (3_600 if limit == "4000" else 100 if limit == "500" else free)


def test_more_partners_channels_and_time_take_longer() -> None:
    def seconds(n_channels: int, length_s: float, partners: int, modality: str = "eeg") -> float:
        names = tuple(f"c{k}" for k in range(n_channels))
        one = PersonSummary("P", names, {"all": names}, (0.5,) * n_channels, 0.5)
        key = SessionKey("D1", 1, modality, "", "")
        summary = Summary(key, sfreq=100.0, seconds=length_s, people={"therapist": one, "client": one})
        return resources.session_seconds(summary, StudyConfig(), partners)

    for modality in ("eeg", "fnirs"):
        small = seconds(8, 300, 4, modality)
        assert small < seconds(16, 300, 4, modality) < seconds(16, 600, 4, modality) < seconds(16, 600, 9, modality)
