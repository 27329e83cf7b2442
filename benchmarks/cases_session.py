"""Memory of one whole session: 128 + 128 channels, 45 minutes at 250 Hz, 4 bands, 6 metrics, 1000 surrogates each.

Measured twice, from arrays and as a run from files, each in a process of its own whose peak resident memory is read at
the end. Started as a program, this file is that process: ``python cases_session.py {arrays,files} CHANNELS MINUTES``.
So are ``check`` and ``prepare``, which tell what `hyperscan check` takes per row and what preparation takes, at 500 Hz.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METRICS_USED = ("plv", "ccorr", "coh", "imcoh", "aec", "pec")
#: Peak in GB that is allowed: of the arrays beyond what was imported, and of the process that runs from files.
ARRAYS_GB, FILES_GB = 4.0, 6.0
SFREQ = 250.0


def run_children(small: bool) -> dict[str, dict[str, float]]:
    """Peak memory in GB and CPU seconds of the session, from arrays and from files."""
    size = ("32", "5") if small else ("128", "45")
    found = {}
    for source in ("arrays", "files"):
        done = subprocess.run(
            [sys.executable, Path(__file__).name, source, *size],
            cwd=Path(__file__).parent, env=dict(os.environ), check=True, capture_output=True, text=True,
        )  # fmt: skip
        found[source] = {key: float(value) for key, value in json.loads(done.stdout.splitlines()[-1]).items()}
    return found


def _peak_gb() -> float:
    """Peak of this program alone: what getrusage says begins with the peak of the process that started it."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def _from_arrays(n_channels: int, minutes: int) -> dict[str, float]:
    import numpy as np
    from cases_bands import BANDS

    from hyperscan.metrics import METRICS, evaluate_many
    from hyperscan.nulls import lags, p_value
    from hyperscan.transforms import analytic_bands

    imported = _peak_gb()
    rng = np.random.default_rng(0)
    x = np.empty((2 * n_channels, round(minutes * 60 * SFREQ)), dtype=np.float32)
    for row in x:
        rng.standard_normal(out=row, dtype=np.float32)
    for _, z in analytic_bands(x, SFREQ, BANDS):
        a, b = z[:n_channels], z[n_channels:]
        evaluate_many(METRICS_USED, a, b)
        for name in METRICS_USED:
            null = lags(a, b, METRICS[name].moment, n_null=1000, min_lag=500)
            p_value(null.estimate, null.surrogates)
        del z, a, b  # before the next band is made
    return {"peak": _peak_gb(), "imported": imported, "input": x.nbytes / 2**30}


def _from_files(n_channels: int, minutes: int) -> dict[str, float]:
    from cases_bands import BANDS

    from hyperscan.cli import main

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "study"
        folder.mkdir()
        for person in ("t", "c"):
            _write_person(folder / f"{person}_raw.fif", n_channels, minutes, seed=ord(person))
        columns = ("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file", "clock")
        row = ("D1", "T1", "C1", "1", "eeg", "t_raw.fif", "c_raw.fif", "assumed")
        (folder / "dyads.tsv").write_text("\t".join(columns) + "\n" + "\t".join(row) + "\n")
        bands = "".join(f"{band} = [{low}, {high}]\n" for band, (low, high) in BANDS.items())
        settings = f"eeg_filter_hz = [1.0, 45.0]\n[metrics]\neeg = {json.dumps(METRICS_USED)}\n"
        (folder / "study.toml").write_text(f"{settings}[bands]\n{bands}")
        code = main(["run", str(folder), "-o", str(folder.parent / "out"), "-q"])
        if code:
            raise RuntimeError(f"the run ended with code {code}")
    return {"peak": _peak_gb()}


#: Rate of the recordings that `check` and `prepare` measure, in Hz.
FAST = 500.0


def _check(n_channels: int, minutes: int) -> dict[str, float]:
    """Process time of `hyperscan check` for one row, by format; the clock is found from 90 shared triggers."""
    import mne
    import numpy as np

    from hyperscan.pipeline.study import check_study

    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for person in ("t", "c"):
            _write_person(folder / f"{person}_raw.fif", n_channels, minutes, seed=ord(person), sfreq=FAST)
            raw = mne.io.read_raw_fif(folder / f"{person}_raw.fif", verbose="error")
            onsets = np.sort(np.random.default_rng(0).uniform(1, 60 * minutes - 1, 90))
            raw.set_annotations(mne.Annotations(onsets, 0.0, "pulse"))
            raw.save(folder / f"{person}_pulses_raw.fif", verbose="error")
            raw.export(folder / f"{person}.edf", verbose="error")
        for kind in ("_pulses_raw.fif", ".edf"):
            heads = ("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file", "clock")
            row = ("D1", "T1", "C1", "1", "eeg", f"t{kind}", f"c{kind}", "triggers")
            (folder / "dyads.tsv").write_text("\t".join(heads) + "\n" + "\t".join(row) + "\n")
            spent = []
            for _ in range(4):  # the first imports
                before = time.process_time()
                check_study(folder)
                spent.append(time.process_time() - before)
            found[kind.rpartition(".")[2]] = sorted(spent[1:])[1]
    return found


def _prepare(n_channels: int, minutes: int) -> dict[str, float]:
    """Process time and peak of preparing one dyad-session from FIF files, beside what was imported."""
    from hyperscan.config import StudyConfig
    from hyperscan.pipeline.prepare import judge_row
    from hyperscan.pipeline.process import kept_memory
    from hyperscan.study import Session

    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / f"{person}_raw.fif" for person in ("t", "c")]
        for path in files:
            _write_person(path, n_channels, minutes, seed=ord(path.name[0]), sfreq=FAST)
        row = Session("D1", "T1", "C1", 1, "eeg", *files, Path(name), clock="same_amplifier")
        before = time.process_time()
        with kept_memory():
            judge_row(row, StudyConfig())
        return {"preparation": time.process_time() - before, "peak": _peak_gb()}


def _write_person(path: Path, n_channels: int, minutes: int, seed: int, sfreq: float = SFREQ) -> None:
    """Write noise with a weak part that all channels share, at places of the 10-05 system."""
    import mne
    import numpy as np

    montage = mne.channels.make_standard_montage("colin27_1005")
    sites = [name for name in montage.ch_names if name not in ("A1", "A2", "M1", "M2")]
    names = sites[:: len(sites) // n_channels][:n_channels]  # all over the head
    rng = np.random.default_rng(seed)
    x = 1e-6 * rng.standard_normal((1, round(minutes * 60 * sfreq))).repeat(n_channels, axis=0)
    for row in x:
        row += 1e-5 * rng.standard_normal(row.size)
    raw = mne.io.RawArray(x, mne.create_info(names, sfreq, "eeg"), copy="auto", verbose="error")
    raw.set_montage(montage).save(path, verbose="error")


if __name__ == "__main__":
    kind, *size = sys.argv[1:]
    start = time.process_time()
    programs = {"arrays": _from_arrays, "files": _from_files, "check": _check, "prepare": _prepare}
    facts = programs[kind](*(int(value) for value in size))
    facts |= {"seconds": time.process_time() - start, "channels": float(size[0]), "minutes": float(size[1])}
    sys.stdout.write("\n" + json.dumps(facts))
