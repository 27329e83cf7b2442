"""Time, memory and disk that a study will need."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hyperscan.pipeline import load_study, prepare_study, resources
from hyperscan.pipeline.summary import Summary
from hyperscan.pipeline.unit import read_manifest, units_of
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
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, process.returncode, used = os.wait4(process.pid, 0)
    assert process.returncode == 0
    assert 0.5 < resources.worker_bytes(units) / (1024 * used.ru_maxrss) < 2
