"""Break runs and their inputs on purpose; writes docs/reliability/RESULTS.md.

Every trial is seeded by its number and counted in a file, so the script can be stopped at any time and goes on where
it was: what it reports is the number of trials that were made, on which day.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import fault_inputs
import fault_machine
import fault_others
import fault_runs
import hyperscan
from hyperscan.storage import write_json, write_text

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "reliability" / "RESULTS.md"

#: Where trials are.
MODULES = (fault_runs, fault_machine, fault_others, fault_inputs)

#: Counts that are a largest value rather than a sum.
LARGEST = ("slowest_s",)

Tally = dict[str, Any]


def add(tally: Tally, counts: dict[str, float]) -> None:
    """Add a trial's counts to those of the trials before it."""
    for name, value in counts.items():
        value, before = float(value), tally["counts"].get(name, 0)
        tally["counts"][name] = max(before, value) if name in LARGEST else before + value
    tally["n"] += 1


def spend(tests: list[fault_inputs.Test], state: Path, seconds: float) -> dict[str, Tally]:
    """Make trials of every test in turn until all are made or the time is up, and keep count."""
    tallies = json.loads(state.read_text()) if state.exists() else {}
    ends, saved = time.monotonic() + seconds, time.monotonic()
    for test in tests:
        tally = tallies.setdefault(test.name, {"n": 0, "counts": {}})
        tally |= {"target": test.target, "version": hyperscan.__version__}
        trial = test.make() if tally["n"] < tally.get("wanted", test.wanted) else None
        if trial is not None:
            tally["wanted"] = min(test.wanted, getattr(trial, "most", test.wanted))
        while trial is not None and tally["n"] < tally["wanted"] and time.monotonic() < ends:
            add(tally, trial(tally["n"]))
            tally["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
            if time.monotonic() - saved > 5:
                write_json(state, tallies)
                saved = time.monotonic()
        print(test.name, json.dumps(tally), flush=True)
        write_json(state, tallies)
    return tallies


def _found(tally: Tally) -> str:
    counts = tally["counts"]
    said = [f"{value:g} {name}" for name, value in counts.items() if name not in ("wrong", *LARGEST)]
    slowest = [f"slowest {counts['slowest_s']:.1f} s"] if "slowest_s" in counts else []
    return "; ".join([*said, *slowest]) or f"{counts.get('wrong', 0):g} wrong"


def write_results(tallies: dict[str, Tally]) -> None:
    """Write the table; a fault that was not counted this time keeps its row, and what stands below the table stays."""
    where = (
        f"{platform.system()} with {os.cpu_count()} cores (shared with other work), Python {platform.python_version()}"
    )
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    for name, tally in tallies.items():
        met = "yes" if not tally["counts"].get("wrong") else "**no**"
        enough = "" if tally["n"] >= tally["wanted"] else f" of {tally['wanted']}: **short**"
        date = tally.get("date", "")
        if tally["n"]:
            rows[name] = f"| {name} | {tally['n']}{enough} | {_found(tally)} | {tally['target']} | {met} | {date} |"
    below = text.rpartition("\n|")[2].partition("\n")[2] if rows and text else BELOW
    write_text(RESULTS, TEXT.format(where=where, rows="\n".join(rows.values())) + below)


TEXT = """# Faults on purpose

Made by `bash scripts/faults.sh` on {where}, at nice 19. N is the number of trials made; where it is short, the
target is not shown to be met. Runs are of a study of 3 x 6 sessions of 30 s with 2 channels, one metric and one
band, and without the report (but for the lines that name it): the machinery is tested, not the science. Rows on other
settings, mounts, workers, inputs that change, strangers and users are of 2 x 2 sessions, those on name spaces and on
pipes of 2 x 1. A disk fails at every write, fsync and rename of a run of 2 x 2, and from there on. A fit of growth is
made once for the same tables and settings.

| fault | N | found | target | as wanted at this N | date |
|---|---|---|---|---|---|
{rows}
"""

#: What stands below the table of a first time.
BELOW = """
In the test suite as well (`tests/test_pipeline_*.py`, `tests/test_bad_input_*.py`, `tests/test_storage.py`): dead
workers, clusters that end, locks of all kinds, SIGINT and SIGTERM, changed inputs and configurations, 12 canaries, HTML
and formula payloads, small files that claim much memory, pipes and links in results, the cases of bad input.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few trials of everything, for CI; writes no table")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time; the next call goes on")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="tests whose name matches, as 'flip*'")
    parser.add_argument("--state", type=Path, default=ROOT / "build" / "faults.json", help="where trials are counted")
    parser.add_argument("--write", action="store_true", help="write the table of what was counted, and stop")
    arguments = parser.parse_args()
    if arguments.write:
        write_results(json.loads(arguments.state.read_text()))
        return 0
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        state = Path(name) / "small.json" if arguments.small else arguments.state
        made = chain(*(module.tests(Path(name), arguments.small) for module in MODULES))
        tests = [test for test in made if fnmatch.fnmatch(test.name, arguments.only)]
        tallies = spend(tests, state, arguments.seconds)
    if not arguments.small and arguments.only == "*":
        write_results(tallies)
    bad = [name for name, tally in tallies.items() if tally["counts"].get("wrong")]
    print(f"{len(tallies) - len(bad)} of {len(tallies)} as wanted", *bad, sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
