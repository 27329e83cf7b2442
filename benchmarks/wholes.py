"""What a user waits for, as a whole: sessions, a study, its report, its growth, many analyses, the first call.

    python wholes.py eeg 45              a dyad-session of 64 + 64 channels at 500 Hz, from FIF to the run's folder
    python wholes.py fnirs 45            a dyad-session of 20 + 20 channels at 8 Hz, from SNIRF
    python wholes.py study 50 20         report, and growth, of a run's folder of 50 dyads x 20 sessions
    python wholes.py multiverse 8 5      72 analyses of the sample study beside one run of it
    python wholes.py first               the first use of run_study and of fit_growth

Processor time (user and system, children included) and the peak of resident memory, each in a process of its own; what
makes the input is not counted. Prints a line of Markdown per figure, with the load of the machine before it began.
``--small`` takes small sizes, for CI.
"""

from __future__ import annotations

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

SAMPLE = Path(__file__).parents[1] / "sample_data" / "eeg_growth"

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


def told(what: str, work: Callable[[], object]) -> str:
    """Do something, and say what it took."""
    before = spent()
    work()
    return f"| {what} | {spent() - before:.1f} | {_peak_gb():.2f} |"


def _table(folder: Path, modality: str, files: tuple[str, str]) -> None:
    heads = ("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file", "clock")
    row = ("D1", "T1", "C1", "1", modality, *files, "same_amplifier")
    (folder / "dyads.tsv").write_text("\t".join(heads) + "\n" + "\t".join(row) + "\n")


def _run(study: Path, out: Path) -> None:
    from hyperscan.cli import main

    if main(["run", str(study), "-o", str(out), "-q"]) not in (0, 3):
        raise RuntimeError("the run ended with a code of failure")


def write_eeg(folder: Path, minutes: int, n_channels: int = 64) -> None:
    """Write one dyad-session of noise."""
    for person in ("t", "c"):
        _write_person(folder / f"{person}_raw.fif", n_channels, minutes, seed=ord(person), sfreq=500.0)
    _table(folder, "eeg", ("t_raw.fif", "c_raw.fif"))


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
    what = f"{len(found.universes)} analyses of {len(dyads)} dyads x {n_sessions} sessions of 70 s"
    print(f"| {what} | {many:.1f} | {_peak_gb():.2f} |")
    print(f"| one run of them, without and with its report | {took[0]:.1f}, {took[1]:.1f} | |")
    print(f"| analyses in runs, without and with its report | {many / took[0]:.1f}, {many / took[1]:.1f} | |")


def child(*arguments: str) -> None:
    """Measure in a process of its own, because a peak stays for as long as its process."""
    done = subprocess.run(
        [sys.executable, Path(__file__).name, "-", *arguments],
        cwd=Path(__file__).parent, env=dict(os.environ), check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    # what the command itself says is not wanted
    print(*(line for line in done.stdout.splitlines() if line.startswith("| `hyperscan")), sep="\n", flush=True)


def measured(what: str, place: Path) -> None:
    """Print the line of one figure."""
    warnings.simplefilter("ignore")
    if what == "run":
        print(told(f"`hyperscan run` of {place.name.replace('-', ', ')}", lambda: _run(place, place.parent / "out")))
    elif what == "report":
        from hyperscan.pipeline import report_of

        print(told("`hyperscan report`", lambda: report_of(place)))
    elif what == "growth":
        from hyperscan.cli import main

        print(told("`hyperscan growth`", lambda: main(["growth", str(place)])))


def main() -> None:
    """Measure what is asked for."""
    what, *sizes = [argument for argument in sys.argv[1:] if argument != "--small"]
    if what == "-":
        measured(sizes[0], Path(sizes[1]))
        return
    small = "--small" in sys.argv
    numbers = [int(size) for size in sizes]
    print(f"load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}", file=sys.stderr)
    if what == "multiverse":
        multiverse(*((2, 1) if small else numbers))
    elif what == "first":
        for name in ("run_study", "fit_growth"):
            code = f"from hyperscan import {name}; import time; print(time.process_time())"
            done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
            print(f"| first use of {name} | {float(done.stdout):.2f} | |")
    else:
        with tempfile.TemporaryDirectory() as name:
            if what == "study":
                write_study(Path(name), *((8, 3) if small else numbers))
                child("growth", f"{name}/out")
                child("report", f"{name}/out")
                return
            minutes = 3 if small else numbers[0]
            study = Path(name) / (f"eeg-{minutes} min" if what == "eeg" else f"fnirs-{minutes} min")
            study.mkdir()
            write_eeg(study, minutes, 8 if small else 64) if what == "eeg" else write_fnirs(study, minutes)
            child("run", str(study))


if __name__ == "__main__":
    main()
