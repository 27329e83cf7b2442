"""What a user waits for, as a whole: sessions, a study, its report, its growth, many analyses, the first call.

    python wholes.py eeg 45              a dyad-session of 64 + 64 channels at 500 Hz, from FIF to the run's folder
    python wholes.py fnirs 45            a dyad-session of 20 + 20 channels at 8 Hz, from SNIRF
    python wholes.py workers 10          four dyads with two such sessions of EEG: one worker, two, and two runs at once
    python wholes.py study 50 20         growth, and the report, of a run's folder of 50 dyads x 20 sessions
    python wholes.py multiverse 8 5      72 analyses of the sample study beside one run of it
    python wholes.py first               the first use of run_study and of fit_growth

Processor time (user and system, children included) and the peak of resident memory, each in a process of its own; what
makes the input is not counted. Prints a line per figure; those of full size are kept in ``wholes.json``, from which
``run.py --table`` makes the table of RESULTS.md. ``--small`` takes small sizes, for CI, and keeps nothing.
"""

from __future__ import annotations

import compileall
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cases_session import _peak_gb, _write_person
from whole_rows import keep

SAMPLE = Path(__file__).parents[1] / "sample_data" / "eeg_growth"

#: Threads that wait for each other would count as work.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

#: 3 x 3 x 2 x 2 x 2 choices of the sample study.
CHOICES: dict[str, tuple[Any, ...]] = {
    "metrics": ("plv", "ciplv", "accorr"),
    "window_s": (10.0, 15.0, 20.0),
    "eeg_reference": ("auto", "average"),
    "bands": ("alpha", "theta"),
    "rois": ("posterior-posterior", "all-all"),
}


def spent() -> float:
    """Processor time of this process and its children so far, in s."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def taken(work: Callable[[], object]) -> dict[str, float]:
    """Do something; return processor time, the part of it in the system and time on the clock in s, and peak in GiB."""
    before, system, clock = spent(), spent_in_system(), time.perf_counter()
    work()
    return {
        "cpu": spent() - before,
        "system": spent_in_system() - system,
        "clock": time.perf_counter() - clock,
        "peak": _peak_gb(),
    }


def spent_in_system() -> float:
    """Processor time of this process and its children in the system so far, in s."""
    return sum(resource.getrusage(who).ru_stime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _table(folder: Path, modality: str, *files: tuple[str, str], n_sessions: int = 1) -> None:
    """Write the table of dyads, each with as many sessions."""
    rows = [("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file", "clock")]
    for i, pair in enumerate(files):
        dyad, session = 1 + i // n_sessions, 1 + i % n_sessions
        rows.append((f"D{dyad}", f"T{dyad}", f"C{dyad}", f"{session}", modality, *pair, "same_amplifier"))
    (folder / "dyads.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))


def _run(study: Path, out: Path, jobs: int = 1) -> None:
    from hyperscan.cli import main

    if main(["run", str(study), "-o", str(out), "-q", "--jobs", str(jobs)]) not in (0, 3):
        raise RuntimeError("the run ended with a code of failure")


def write_eeg(folder: Path, minutes: int, n_channels: int = 64, n_dyads: int = 1, n_sessions: int = 1) -> None:
    """Write sessions of noise for each dyad."""
    pairs = [(f"t{i}_raw.fif", f"c{i}_raw.fif") for i in range(n_dyads * n_sessions)]
    for seed, name in enumerate(name for pair in pairs for name in pair):
        _write_person(folder / name, n_channels, minutes, seed=seed, sfreq=500.0)
    _table(folder, "eeg", *pairs, n_sessions=n_sessions)


def write_fnirs(folder: Path, minutes: int) -> None:
    """Write one dyad-session of simulated light."""
    import numpy as np

    from hyperscan.simulate import FnirsTruth, Optodes, simulate_fnirs
    from hyperscan.simulate.fnirs import write_snirf

    optodes = Optodes(20, 4)
    light = simulate_fnirs(FnirsTruth(0.5, 1.0), optodes, 8.0, 60.0 * minutes, np.random.default_rng(0))
    for person, data in zip("tc", light, strict=True):
        write_snirf(folder / f"{person}.snirf", data, optodes, 8.0)
    _table(folder, "fnirs", ("t.snirf", "c.snirf"))


def write_study(folder: Path, n_dyads: int, n_sessions: int) -> None:
    """Write the folder of a run whose tables have the size of a large study: those of a small run, again and again."""
    import pandas as pd

    import hyperscan as hs

    few = hs.simulate_study(folder / "few", "growth", n_dyads=4, n_sessions=1, duration_s=70)
    out = folder / "out"
    hs.run_study(hs.read_sessions(few), hs.StudyConfig(n_null=19), out=out, report=False)
    grow_run(pd, out, n_dyads, n_sessions)


def grow_run(pd: Any, out: Path, n_dyads: int, n_sessions: int) -> None:
    """Repeat the rows of a run's tables for more dyads and sessions, with other numbers, and its maps with them."""
    import numpy as np

    from hyperscan.storage import load_table, sha256, to_json, write_table

    rng, first = np.random.default_rng(0), "D01"
    labels = [f"D{i:02d}" for i in range(1, n_dyads + 1)]
    for name in ("synchrony", "pseudo", "lags", "guards", "within", "quality"):
        table = load_table(out / f"{name}.tsv")
        mine = table[table["dyad"] == first]
        parts = []
        for dyad in labels:
            for session in range(1, n_sessions + 1):
                part = mine.assign(dyad=dyad, session=session)
                people = {role: f"{role[0].upper()}{dyad}" for role in ("therapist", "client") if role in part}
                part = part.assign(**people)
                for column in part.select_dtypes("float"):
                    part[column] += 0.02 * rng.standard_normal(len(part))
                parts.append(part)
        write_table(out / f"{name}.tsv", pd.concat(parts, ignore_index=True))
    (found,) = out.glob(f"dyad-{first}/ses-01/*.nc")
    maps = found.read_bytes()
    for dyad in labels:
        for session in range(1, n_sessions + 1):
            place = out / f"dyad-{dyad}" / f"ses-{session:02d}" / found.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(maps)
    record = json.loads((out / "run.json").read_text())
    record["outputs"] = {name: sha256(out / name) for name in record["outputs"] if (out / name).is_file()}
    (out / "run.json").write_text(to_json(record))


def multiverse(n_dyads: int, n_sessions: int) -> None:
    """Print what 72 analyses of some of the sample study take, beside one run of it."""
    import hyperscan as hs
    from hyperscan.pipeline import load_study

    table, config = load_study(SAMPLE)
    dyads = sorted({row.dyad for row in table.sessions})[:n_dyads]
    rows = [row for row in table.sessions if row.dyad in dyads and row.session <= n_sessions]
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        hs.run_study(rows[:2], config, out=out / "first", report=False)  # compiles and imports
        took = []
        for report in (False, True):
            before = spent()
            hs.run_study(rows, config, out=out / f"run{report}", report=report)
            took.append(spent() - before)
        before = spent()
        found = hs.run_multiverse(rows, replace(config, multiverse=CHOICES), out=out / "many")
        many = spent() - before
    if (n_dyads, n_sessions) == (8, 5):
        keep("multiverse", many / took[0])
    what = f"{len(found.universes)} analyses of {len(dyads)} dyads x {n_sessions} sessions of 70 s"
    print(f"| {what} | {many:.1f} | {_peak_gb():.2f} |")
    print(f"| one run of them, without and with its report | {took[0]:.1f}, {took[1]:.1f} | |")
    print(f"| analyses in runs, without and with its report | {many / took[0]:.1f}, {many / took[1]:.1f} | |")


def begin(*arguments: str) -> subprocess.Popen[str]:
    """Begin to measure in a process of its own, because a peak stays for as long as its process."""
    return subprocess.Popen(
        [sys.executable, Path(__file__).name, "-", *arguments],
        cwd=Path(__file__).parent, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def child(*arguments: str) -> dict[str, float]:
    """Measure in a process of its own, and print what it took."""
    return ended(begin(*arguments), *arguments)


def ended(process: subprocess.Popen[str], *arguments: str) -> dict[str, float]:
    """Wait for a process that measures, and print what it took."""
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed")
    took: dict[str, float] = json.loads(said.splitlines()[-1])  # the command itself may say something before
    told = ", ".join(f"{name} {value:.2f}" for name, value in took.items())
    print(f"{' '.join((arguments[0], *arguments[2:]))}: {told}", flush=True)
    return took


def measured(what: str, place: Path, jobs: int) -> dict[str, float]:
    """Do a whole, and return what it took."""
    warnings.simplefilter("ignore")
    if what == "run":
        return taken(lambda: _run(place, place.parent / f"out{os.getpid()}", jobs))
    if what == "report":
        from hyperscan.pipeline import report_of

        return taken(lambda: report_of(place, n_jobs=jobs))
    from hyperscan.cli import main

    return taken(lambda: main(["growth", str(place)]))


def study_figures(folder: Path, *size: int) -> dict[str, float]:
    """Measure growth and the report of a large run."""
    write_study(folder, *size)
    growth, report = child("growth", f"{folder}/out"), child("report", f"{folder}/out", "2")
    return {"growth": growth["cpu"], "growth-peak": growth["peak"], "report": report["clock"]}


def worker_figures(folder: Path, minutes: int, n_channels: int) -> dict[str, float]:
    """Measure what two workers make of eight sessions, and what two runs do that know nothing of each other."""
    write_eeg(folder, minutes, n_channels, n_dyads=4, n_sessions=2)
    one, two = (child("run", str(folder), jobs) for jobs in ("1", "2"))
    both = [begin("run", str(folder), "1") for _ in range(2)]
    apart = max(ended(process, "run", str(folder), "beside another")["clock"] for process in both)
    return {
        "workers-system": 100 * two["system"] / two["cpu"],
        "workers-gain": one["clock"] / two["clock"],
        "workers-apart": 2 * one["clock"] / apart,
    }


def session_figures(folder: Path, modality: str, minutes: int, n_channels: int) -> dict[str, float]:
    """Measure the run of one session."""
    if modality == "eeg":
        write_eeg(folder, minutes, n_channels)
    else:
        write_fnirs(folder, minutes)
    took = child("run", str(folder))
    name = f"{modality}-{minutes}"
    return {name: took["cpu"]} | ({f"{name}-peak": took["peak"]} if name == "eeg-45" else {})


def first_figures() -> dict[str, float]:
    """Measure processes that import one function."""
    found = {}
    for name in ("run_study", "fit_growth"):
        code = f"from hyperscan import {name}; import time; print(time.process_time())"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        found[f"first-{name}"] = float(done.stdout)
    return found


def main() -> None:
    """Measure what is asked for."""
    what, *sizes = [argument for argument in sys.argv[1:] if argument != "--small"]
    if what == "-":
        took = measured(sizes[0], Path(sizes[1]), int(sizes[2]) if len(sizes) > 2 else 1)
        print("\n" + json.dumps(took))
        return
    small = "--small" in sys.argv
    numbers = [int(size) for size in sizes]
    import hyperscan

    # a package from an index is compiled when it is installed
    compileall.compile_dir(Path(hyperscan.__file__).parent, quiet=2)
    if what == "multiverse":
        multiverse(*((2, 1) if small else numbers))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "study"
        folder.mkdir()
        if what == "first":
            figures = first_figures()
        elif what == "study":
            figures = study_figures(folder, *((8, 3) if small else numbers))
        elif what == "workers":
            figures = worker_figures(folder, *((1, 8) if small else (numbers[0], 64)))
        else:
            figures = session_figures(folder, what, *((3, 8) if small else (numbers[0], 64)))
    for name, value in figures.items():
        print(f"{name}: {value:.3g}")
        if not small:
            keep(name, value)


if __name__ == "__main__":
    main()
