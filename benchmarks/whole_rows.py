"""What a user waits for: what was asked for, what was reached, and where the rest goes, as a table.

``wholes.py`` keeps each figure in ``wholes.json``, with its day and the machine's load; this makes a table of them.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_name("wholes.json")


@dataclass(frozen=True)
class Row:
    """One promise: how it is said, what was before, what is wanted, and where the rest goes."""

    what: str
    before: str
    #: Largest or, with ``least``, smallest figure that keeps the promise; None: no promise, a figure to compare with
    target: float | None
    unit: str
    command: str
    rest: str = ""
    least: bool = False


ROWS = {
    "eeg-45": Row(
        "`hyperscan run`, EEG, 64 + 64 channels, 500 Hz, 45 min", "170 s", 60, "s", "wholes.py eeg 45",
        "values and own chance level about 27 %, lag null 23 %, preparation 13 %, each person alone 11 %, report 9 %, "
        "filters 6 %, imports 5 %",
    ),
    "eeg-45-peak": Row(
        "the same, peak", "3.6 GB", 2, "GB (GiB)", "the same",
        "preparation holds two recordings of 0.7 GB and the first one cleaned",
    ),
    "eeg-10": Row(
        "the same, 10 min", "37 s", 15, "s", "wholes.py eeg 10",
        "values, own chance level and lag null about half, at the rate of the machine's products (87 %); preparation "
        "20 %, imports and report 20 %"
    ),
    "fnirs-45": Row(
        "`hyperscan run`, fNIRS, 20 + 20 channels, 8 Hz, 45 min", "45-53 s", 10, "s", "wholes.py fnirs 45",
        "lag null 31 %, preparation 18 %, report 13 %, maps of the page 14 %, imports 11 %",
    ),
    "workers-system": Row(
        "two workers: share of busy time in the system", "31 %", 8, "%", "wholes.py workers 10"
    ),
    "workers-gain": Row(
        "two workers: throughput of one (needs two quiet cores)", "-", 1.9, "x", "the same",
        "start and imports of the workers, growth and report on one core, and the last unit of every stage",
        least=True,
    ),
    "workers-apart": Row(
        "two runs of one worker at once: throughput of one, which two workers cannot exceed",
        "-", None, "x", "the same",
    ),
    "report": Row(
        "`hyperscan report --jobs 2`, 50 dyads x 20 sessions, on the clock (needs two quiet cores)", "295 s", 40, "s",
        "wholes.py study 50 20",
        "50 pages, of which a third reads 20 netCDF files, and a first page, made by one process",
    ),
    "growth": Row("`hyperscan growth` of 50 dyads x 20 sessions", "8 s", 2, "s", "the same", "imports, a third"),
    "growth-peak": Row(
        "the same, peak", "1.2 GB", 0.3, "GB (GiB)", "the same",
        "taken in the environment of the tests: beside the peers pandas finds pyarrow, and its import makes it 0.33",
    ),
    "first-run_study": Row("first use of `run_study`", "3 s", 1.5, "s", "wholes.py first"),
    "first-fit_growth": Row("first use of `fit_growth`", "3 s", 1.5, "s", "wholes.py first"),
    "check-500": Row(
        "`hyperscan check`, 500 rows: 500 times one row, of 10 min", "4.7 h", 120, "s", "cases_session.py check 64 10"
    ),
    "multiverse": Row(
        "72 analyses of 8 dyads x 5 sessions, in runs without a report", "19", 6, "runs", "wholes.py multiverse 8 5"
    ),
}  # fmt: skip


def keep(name: str, value: float) -> None:
    """Keep a figure with its day and the load of the machine."""
    figures = figures_kept()
    figures[name] = {"value": value, "day": time.strftime("%Y-%m-%d"), "load": round(os.getloadavg()[0], 1)}
    FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n")


def figures_kept() -> dict[str, dict[str, Any]]:
    """Figures of all rows that were measured."""
    found: dict[str, dict[str, Any]] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    return found


def _kept(target: float, value: float, *, least: bool) -> bool:
    return value >= target if least else value <= target


def table() -> str:
    """Return the table, with what was measured when and beside what."""
    figures = figures_kept()
    lines = [
        "## Wholes\n",
        "What a user waits for: processor time, user and system, of a process of its own with one numerical thread, "
        "imports and the report included; what is in the system, and throughput, as named. The load is that of the "
        "machine of two cores when the figure was taken: beside other work the same work takes more processor time.\n",
        "| what | before | target | reached | met | day, load | where the rest goes | command, in `benchmarks` |",
        "|" + "---|" * 8,
    ]
    for name, row in ROWS.items():
        sign, figure = ">=" if row.least else "<=", figures.get(name)
        if figure is None:
            reached, met, when = "not measured", "-", "-"
        else:
            value = figure["value"]
            reached, when = f"{value:.3g} {row.unit}", f"{figure['day']}, {figure['load']}"
            met = "-" if row.target is None else "yes" if _kept(row.target, value, least=row.least) else "**no**"
        target = "-" if row.target is None else f"{sign} {row.target:g} {row.unit}"
        lines.append(
            f"| {row.what} | {row.before} | {target} | {reached} | {met} | {when} | {row.rest} | `{row.command}` |"
        )
    return "\n".join(lines)
