"""Run the table of cases and write RESULTS.md.

python run.py                 everything, full size
python run.py --small         small arrays, under two minutes: shows that it works, not how fast we are
python run.py --resume      go on where a stopped run ended
python run.py --only plv wtc  cases whose topic or name holds one of the words; prints, writes nothing
python run.py --resume --only plv wtc   the same, and writes RESULTS.md with what was measured before
python run.py --table       measure nothing: write RESULTS.md of what was measured before
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import cases_bands
import cases_epochs
import cases_fourier
import cases_lags
import cases_session
import cases_wavelet
import cases_whole
import limits
import whole_rows
from timing import Case, Result, measure

HERE = Path(__file__).resolve().parent
#: What was measured last, from which the report can be written again.
KEPT, SESSION, LIMITS = HERE / "measured.txt", HERE / "session.json", HERE / "limits.json"
CASES: tuple[Case, ...] = (
    *cases_lags.CASES,
    *cases_bands.CASES,
    *cases_wavelet.CASES,
    *cases_fourier.CASES,
    *cases_epochs.CASES,
    *cases_whole.CASES,
)
GEMM_LIMIT, BAND_LIMIT = 2.0, 1.2
PACKAGES = ("hyperscan-mne", "numpy", "scipy", "numba", "mne", "mne-connectivity", "hypyp", "pycwt")
SMALL = {  # one or two of each kind
    "plv, complex64", "coh, complex128", "accorr, complex64", "wpli, complex64", "pli, complex64",
    "float64, exact mode", "float32, every 5th sample", "plv, 64 + 64 ch, 10 min at 500 Hz", "PLV, 64 + "
    "64 ch, 10 min at 500 Hz",
    "float32, one band at a time", "EEG, plv, imcoh and accorr in 4 bands",
    "wtc, float64", "plv, complex128", "ccorr, complex64", "aec, complex64",
}  # fmt: skip


def main() -> int:
    """Measure, print as it goes, write the report; 1 if a value disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--resume", action="store_true", help="keep what an earlier, stopped run has measured")
    parser.add_argument("--table", action="store_true", help="write what was measured before, and measure nothing")
    parser.add_argument("--repeats", type=int, default=None, help="timed pairs per case; by default it depends")
    parser.add_argument("--out", type=Path, default=None, help="report file; RESULTS.md unless --small or --only")
    args = parser.parse_args()
    args.resume |= args.table
    chosen = [case for case in CASES if _wanted(case, args.small, args.only)]
    rows = _read_rows() if args.resume and not args.small else {}
    session = json.loads(SESSION.read_text()) if args.resume and SESSION.exists() else None
    if args.table:
        (args.out or HERE / "RESULTS.md").write_text(_report(rows, session, False, 0.0))
        return 0
    out = args.out or (None if args.only and not args.resume else HERE / f"RESULTS{'.small' * args.small}.md")
    start, wrong = time.perf_counter(), []
    steps = [*chosen, None] if not args.only or "session" in args.only else chosen
    for number, case in enumerate(steps, 1):
        name = "session, memory" if case is None else f"{case.name} / {case.peer}"
        print(f"[{number}/{len(steps)}, {time.perf_counter() - start:.0f} s] {name}", flush=True)
        if case is None and session is None:
            session = cases_session.run_children(args.small)
            print(f"session: {session}", flush=True)
            if out and not args.small:
                SESSION.write_text(json.dumps(session) + "\n")
        elif case is not None and (args.only or _key(case) not in rows):
            result = measure(case, args.small, args.repeats)
            rows[_key(case)] = _cells(result)
            wrong += [case.name] if result.agrees is False else []
            print(" | ".join(rows[_key(case)]), flush=True)
            if out and not args.small:
                KEPT.write_text("".join(" | ".join(row) + "\n" for row in rows.values()))
        if out:  # after every case, so that a run that is stopped leaves what it has measured
            out.write_text(_report(rows, session, args.small, time.perf_counter() - start))
    if out and not args.small:
        LIMITS.write_text(json.dumps(limits.table(), indent=1) + "\n")
        out.write_text(_report(rows, session, args.small, time.perf_counter() - start))
    if wrong:
        print(f"values disagree: {', '.join(wrong)}", file=sys.stderr)
    return bool(wrong)


def _key(case: Case) -> tuple[str, str]:
    return case.name, case.peer


def _read_rows() -> dict[tuple[str, str], list[str]]:
    """Rows of an earlier run."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    cells = [line.split(" | ") for line in lines]
    return {(row[0], row[1]): row for row in cells}


def _wanted(case: Case, small: bool, only: list[str]) -> bool:
    if only:
        return any(word in f"{case.topic} {case.name} {case.peer}" for word in only)
    return not small or case.name in SMALL


def _cells(result: Result) -> list[str]:
    case = result.case
    spread = f"{_short(result.ratio)} [{_short(min(result.ratios))}-{_short(max(result.ratios))}]"
    sign = ">=" if case.sense == "faster" else "<="
    target = "-" if case.target is None else f"{sign} {case.target:g}"
    met = {None: "-", True: "yes", False: "**no**"}[result.met]
    if result.agrees is None:
        agree = "not comparable"
    else:
        agree = f"{result.difference:.1e} (<= {result.tolerance:.0e})" + ("" if result.agrees else " **NO**")
    memory = " / ".join(
        "-" if size is None else f"{size / 2**20:.0f}" for size in (result.ours_bytes, result.peer_bytes)
    )
    limit = "-" if result.limit_ratio is None else f"{result.limit_ratio:.1f}"
    seconds = f"{_short(result.ours)} / {_short(result.peer)}"
    return [case.name, case.peer, spread, target, met, agree, seconds, memory, limit, result.note]


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


HEADER = (
    "| case | peer | ratio, median [range] | target | met | largest difference | CPU s, ours / peer "
    "| peak MB, ours / peer | ours / limit | notes |\n|" + "---|" * 10
)


def _report(
    rows: dict[tuple[str, str], list[str]], session: dict[str, dict[str, float]] | None, small: bool, seconds: float
) -> str:
    wanted = [case for case in CASES if not small or _key(case) in rows]
    parts = [_preamble(small, seconds), _targets_text(wanted, rows, session, small)]
    for topic in dict.fromkeys(case.topic for case in wanted):
        cells = [rows.get(_key(case)) or _unmeasured(case) for case in wanted if case.topic == topic]
        parts.append("\n".join([f"## {topic}\n", HEADER, *(f"| {' | '.join(row)} |" for row in cells)]))
    parts.append(_session_text(session, small))
    parts.append(whole_rows.table())
    parts.append(_limits_text())
    notes = HERE / "NOTES.md"
    if notes.exists():
        parts.append(notes.read_text().strip())
    return "\n\n".join(parts) + "\n"


def _targets_text(
    cases: list[Case], rows: dict[tuple[str, str], list[str]], session: dict[str, dict[str, float]] | None, small: bool
) -> str:
    """One line per promise: what was reached in single and in double precision."""
    lines = ["## Targets\n", "| what | target | single precision | double precision |", "|---|---|---|---|"]
    grouped: dict[tuple[str, ...], dict[str, str]] = {}
    for case in cases:
        if case.target is None:
            continue
        what, single = _precision(case.name)
        target = f"{'>=' if case.sense == 'faster' else '<='} {case.target:g}"
        row = rows.get(_key(case))
        reached = (
            "not measured" if row is None else f"{row[2].split(' ')[0]} {'met' if row[4] == 'yes' else '**missed**'}"
        )
        if row is not None and "**NO**" in row[5]:
            reached += " (values disagree)"
        grouped.setdefault((case.topic, what, case.peer, target), {})["single" if single else "double"] = reached
    for (topic, what, peer, target), reached in grouped.items():
        cells = [reached.get(kind, "-") for kind in ("single", "double")]
        lines.append(f"| {topic}: {what} / {peer} | {target} | {' | '.join(cells)} |")
    for label, target, kinds in (
        ("GEMM metrics / limit of their products", GEMM_LIMIT, ("complex64", "complex128")),
        ("band extraction / limit of its transforms", BAND_LIMIT, ("float32", "float64")),
    ):
        topic_cases = cases_bands.CASES if label.startswith("band") else cases_epochs.CASES
        cells = [_limit_cell([c for c in topic_cases if kind in c.name], rows, target) for kind in kinds]
        lines.append(f"| {label}, range over cases | <= {target:g} | {' | '.join(cells)} |")
    if session is not None and not small:
        for what, peak, limit in _peaks(session):
            met = "met" if peak <= limit else "**missed**"
            lines.append(f"| session of 128 + 128 channels, peak GB {what} | <= {limit:g} | {peak:.2f} {met} | - |")
    return "\n".join(lines)


def _precision(name: str) -> tuple[str, bool]:
    """Name of a case without its precision, and whether that is single (as where none is named)."""
    for kind in ("complex64", "complex128", "float32", "float64"):
        if kind in name:
            return name.replace(kind, "").strip(", ").replace(", ,", ","), kind in ("complex64", "float32")
    return name, True


def _limit_cell(cases: list[Case], rows: dict[tuple[str, str], list[str]], target: float) -> str:
    values = [float(rows[_key(case)][8]) for case in cases if _key(case) in rows and rows[_key(case)][8] != "-"]
    if not values:
        return "not measured"
    met = "met" if max(values) <= target else "**missed**"
    return f"{min(values):.1f}-{max(values):.1f} (median {median(values):.1f}) {met}"


def _unmeasured(case: Case) -> list[str]:
    target = "-" if case.target is None else f"{'>=' if case.sense == 'faster' else '<='} {case.target:g}"
    reason = case.skip or "the run was stopped before this case"
    return [case.name, case.peer, "not measured", target, "-", "-", "-", "-", "-", reason]


def _preamble(small: bool, seconds: float) -> str:
    resumed = {"--resume", "--table"} & set(sys.argv)
    cpu = _cpu_model()
    pieces = f" in {seconds / 60:.0f} minutes" if not resumed else " in pieces (--resume)"
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    size = "\n\n**Small arrays: shows that the benchmark works, not how fast anything is.**" if small else ""
    return (
        "# Speed, side by side\n\n"
        f"Written by `bash scripts/bench.sh` on {datetime.date.today()}{pieces}. {cpu}, "
        f"{os.cpu_count()} cores, one thread used; Python {platform.python_version()}; {versions}.{size}\n\n"
        "Ratios are medians of pairs of runs that alternate in one process on the same arrays, in CPU time: peer / "
        "ours, and for targets with `<=` ours / peer. Differences are the largest between the values of "
        "that very run. Peak "
        "memory is what numpy and Python allocated beyond the inputs (buffers inside compiled FFT code are not seen). "
        "A row whose note names a day was measured then. "
        "The last number is ours over the time that the measured limit of this machine (below) allows for the same "
        "arithmetic."
    )


def _peaks(session: dict[str, dict[str, float]]) -> list[tuple[str, float, float]]:
    """What was measured, its peak and what is allowed, in GB."""
    arrays, files = session["arrays"], session["files"]
    return [
        ("of the arrays", arrays["peak"] - arrays["imported"], cases_session.ARRAYS_GB),
        ("of a whole run from files", files["peak"], cases_session.FILES_GB),
    ]


def _session_text(session: dict[str, dict[str, float]] | None, small: bool) -> str:
    if session is None:
        return "## Memory of a session\n\nNot measured: the run was stopped before this case."
    n, minutes = (int(session["arrays"][key]) for key in ("channels", "minutes"))
    metrics = cases_session.METRICS_USED
    lines = [
        f"## Memory of a session\n\n{n} + {n} channels, {minutes} min at 250 Hz, 4 bands, {len(metrics)} metrics "
        f"({', '.join(metrics)}), 1000 lags each; {session['arrays']['input']:.2f} GB of input in single precision.\n",
        "| what | peak GB | CPU s | target | met |\n|---|---|---|---|---|",
    ]
    for (what, peak, limit), facts in zip(_peaks(session), session.values(), strict=True):
        met = "-" if small else ("yes" if peak <= limit else "**no**")
        lines.append(f"| {what} | {peak:.2f} | {facts['seconds']:.0f} | <= {limit:g} | {met} |")
    return "\n".join(lines)


def _limits_text() -> str:
    kept = json.loads(LIMITS.read_text()) if LIMITS.exists() else []
    rates = [f"| {name} | {value} |" for name, value in kept]
    text = ["## Limits of this machine, one thread\n", "| what | rate |\n|---|---|", *rates]
    return "\n".join(text)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if names:
        flags = next((line for line in lines if line.startswith("flags")), "")
        return names[0] + (" with AVX-512" if "avx512f" in flags else "")
    if sys.platform == "darwin":
        done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
        return done.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    sys.exit(main())
