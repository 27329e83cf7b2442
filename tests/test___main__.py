"""``python -m hyperscan``."""

from __future__ import annotations

import subprocess
import sys


def test_the_package_runs_as_a_module() -> None:
    found = subprocess.run([sys.executable, "-m", "hyperscan", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("hyperscan")
