"""Memory of one whole session: 128 + 128 channels, 45 minutes at 250 Hz, 4 bands, 6 metrics, 1000 surrogates each.

Runs in a process of its own, whose peak resident memory is read at the end. Started as a program, this file is that
process: ``python cases_session.py CHANNELS MINUTES BANDS``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

METRICS_USED = ("plv", "ccorr", "coh", "imcoh", "aec", "pec")
LIMIT_GB = 4.0


def run_child(small: bool) -> dict[str, float]:
    """Peak memory in GB and CPU seconds of the session."""
    size = ("32", "5", "1") if small else ("128", "45", "4")
    done = subprocess.run(
        [sys.executable, Path(__file__).name, *size],
        cwd=Path(__file__).parent, env=dict(os.environ), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {key: float(value) for key, value in json.loads(done.stdout).items()}


def _peak_gb() -> float:
    """Peak of this program alone: what getrusage says begins with the peak of the process that started it."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def _main() -> None:
    import numpy as np
    from cases_bands import BANDS

    from hyperscan.metrics import METRICS, evaluate_many
    from hyperscan.nulls import lags, p_value
    from hyperscan.transforms import analytic_bands

    n_channels, minutes, n_bands = (int(value) for value in sys.argv[1:])
    imported = _peak_gb()
    n_times = minutes * 60 * 250
    rng = np.random.default_rng(0)
    x = np.empty((2 * n_channels, n_times), dtype=np.float32)
    for row in x:
        rng.standard_normal(out=row, dtype=np.float32)
    start = time.process_time()
    for _, z in analytic_bands(x, 250.0, dict(list(BANDS.items())[:n_bands])):
        a, b = z[:n_channels], z[n_channels:]
        evaluate_many(METRICS_USED, a, b)
        for name in METRICS_USED:
            null = lags(a, b, METRICS[name].moment, n_null=1000, min_lag=500)
            p_value(null.estimate, null.surrogates)
        del z, a, b  # before the next band is made
    facts = {"peak": _peak_gb(), "imported": imported, "seconds": time.process_time() - start}
    sys.stdout.write(json.dumps({**facts, "input": x.nbytes / 2**30, "channels": n_channels, "bands": n_bands}))


if __name__ == "__main__":
    _main()
