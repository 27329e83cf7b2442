"""Break runs on purpose: kills, full disks, two writers, damaged files. Writes docs/reliability/RESULTS.md."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import json
import multiprocessing
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import hyperscan
from hyperscan import cli
from hyperscan.errors import HyperscanError
from hyperscan.simulate import simulate_study
from hyperscan.storage import sha256

RESULTS = Path(__file__).parents[1] / "docs" / "reliability" / "RESULTS.md"

#: One metric and one band: the machinery is what is tested.
SETTINGS = 'window_s = 10.0\nn_null = 20\n[metrics]\neeg = ["plv"]\n[bands]\nalpha = [8.0, 12.0]\n'

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["hyperscan.pipeline.run", "hyperscan.pipeline.doors", "hyperscan.growth"])


@dataclass
class Row:
    """A line of the table."""

    test: str
    n: int
    found: str
    target: str
    met: bool


@dataclass
class Bench:
    """Where the tests work, and how long each of them may take."""

    folder: Path
    study: Path
    done: Path
    budget_s: float
    small: bool

    def until(self, share: float) -> Callable[[], bool]:
        """Return a function that says whether a test's share of the time is left."""
        end = time.monotonic() + share * self.budget_s
        return lambda: time.monotonic() < end


def tree(folder: Path) -> dict[str, str]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: sha256(path) for name, path in sorted(files.items()) if not name.startswith("logs/")}


def call(*arguments: object, report: bool = False) -> int:
    """Run the command in this process, silent; the report takes most of the time and is left out."""
    patch = contextlib.nullcontext() if report else mock.patch("hyperscan.pipeline.run.build_report")
    with (
        patch,
        Path(os.devnull).open("w") as sink,
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        return cli.main([str(argument) for argument in arguments])


def child(arguments: tuple[str, ...]) -> None:
    os._exit(call(*arguments))


def start(study: Path, out: Path, *more: str) -> Any:
    process = SERVER.Process(target=child, args=(("run", str(study), "-o", str(out), "-q", *more),))
    process.start()
    return process


def wrong_files(out: Path, done: Path) -> list[str]:
    wanted = tree(done)
    found = {
        name: value for name, value in tree(out).items() if not name.startswith("work/") and "/." not in f"/{name}"
    }
    return [
        name
        for name, value in found.items()
        if wanted.get(name) != value and not name.startswith("work/") and "/." not in f"/{name}"
    ]


def kills(bench: Bench) -> Row:
    dice, left, n, wrong, unlike = random.Random(0), bench.until(0.35), 0, 0, 0
    longest = bench.folder / "timed"
    began = time.monotonic()
    start(bench.study, longest).join()
    span = time.monotonic() - began
    while left() or n < 3:
        out = bench.folder / f"kill{n}"
        process = start(bench.study, out)
        process.join(dice.uniform(0.02, 0.98) * span)
        process.kill()
        process.join()
        wrong += len(wrong_files(out, bench.done)) if out.exists() else 0
        start(bench.study, out).join()
        unlike += tree(out) != tree(bench.done)
        shutil.rmtree(out)
        n += 1
        if n >= 200:
            break
    found = f"{wrong} partial or wrong files; {unlike} resumed trees differ from an undisturbed run"
    return Row("SIGKILL at a random moment, then resume", n, found, "200: 0 and 0", wrong + unlike == 0)


def injected(bench: Bench) -> Row:
    counts, left, bad, n = {}, bench.until(0.2), 0, 0
    owners: dict[str, Any] = {"fsync": os, "replace": Path}
    for name in owners:
        counts[name] = _failing(owners[name], name, 10**9, bench.study, bench.folder / f"count-{name}")[1]
    points = [(name, at) for name, count in counts.items() for at in range(count)]
    random.Random(0).shuffle(points)
    for name, at in points:
        if not left() and n >= 6:
            break
        out = bench.folder / f"inject{n}"
        code, _ = _failing(owners[name], name, at, bench.study, out)
        bad += code != 6 or bool(out.exists() and wrong_files(out, bench.done))
        if n % 5 == 0:
            bad += call("run", bench.study, "-o", out, "-q") != 0 or tree(out) != tree(bench.done)
        shutil.rmtree(out, ignore_errors=True)
        n += 1
    found = f"{bad} mixed or wrong; of {len(points)} points (fsync {counts['fsync']}, rename {counts['replace']})"
    return Row("the disk fails from a given fsync or rename on", n, found, "all points: old or new, code 6", bad == 0)


def _failing(owner: Any, name: str, at: int, study: Path, out: Path) -> tuple[int, int]:
    real, calls = getattr(owner, name), [0]

    def fail(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] > at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    with mock.patch.object(owner, name, fail):
        return call("run", study, "-o", out, "-q"), calls[0]


def disk_full(bench: Bench) -> Row:
    """Fill a small file system: its size in kB stands for 4, 16 and 64 MB of a larger study."""
    bad, n, how = 0, 0, "tmpfs"
    for kb in (64, 256, 512, 1024) if not bench.small else (256,):
        mount = bench.folder / f"disk{kb}"
        mount.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kb}k", "tmpfs", mount], capture_output=True
        ).returncode:
            return Row("disk full", 0, "not run: no right to mount a tmpfs here", "code 6, no partials, resumes", False)
        try:
            out = mount / "out"
            code = call("run", bench.study, "-o", out, "-q")
            bad += code != 6 or bool(wrong_files(out, bench.done))
            subprocess.run(["mount", "-o", "remount,size=64m", mount], check=True)
            bad += call("run", bench.study, "-o", out, "-q") != 0 or tree(out) != tree(bench.done)
            n += 1
        finally:
            subprocess.run(["umount", "-l", mount], check=False)
    found = f"{bad} wrong on a {how} of 64 to 1024 kB, enlarged afterwards"
    return Row("disk full", n, found, "code 6, no partials, resumes", bad == 0)


def concurrent(bench: Bench) -> Row:
    left, n, bad, slowest = bench.until(0.15), 0, 0, 0.0
    while left() or n < 1:
        many, out = (2, 8)[n % 2], bench.folder / f"race{n}"
        began = time.monotonic()
        processes = [start(bench.study, out) for _ in range(many)]
        codes = []
        while len(codes) < many:
            for process in list(processes):
                if not process.is_alive():
                    codes.append(process.exitcode)
                    slowest = max(slowest, time.monotonic() - began) if process.exitcode == 5 else slowest
                    processes.remove(process)
            time.sleep(0.01)
        bad += sorted(codes) != [0] + [5] * (many - 1) or tree(out) != tree(bench.done)
        shutil.rmtree(out)
        n += 1
        if n >= 50:
            break
    # a loser that starts after the winner has ended may itself win: that is no mixture, and is not counted here
    found = f"{bad} with another outcome than one winner and a whole tree; slowest loser after {slowest:.1f} s"
    return Row("2 or 8 runs at once on one output", n, found, "50: one winner, the others code 5 in 2 s", bad == 0)


def damaged(bench: Bench) -> list[Row]:
    """Flip bits and cut files of every format that can be written here, then read them as a run does."""
    import mne

    from hyperscan.pipeline.doors import load_study
    from hyperscan.pipeline.prepare import attempt, judge_row

    table, config = load_study(bench.study)
    row = table.sessions[0]
    raw = mne.io.read_raw(row.therapist_file, preload=True, verbose="error")
    raw.info["bads"] = []
    folder = bench.folder / "formats"
    folder.mkdir()
    files: dict[str, Path] = {"edf": Path(shutil.copy(row.therapist_file, folder / "a.edf"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw.save(folder / "a_raw.fif", verbose="error")
        files["fif"] = folder / "a_raw.fif"
        for name, suffix in (("bdf", "bdf"), ("brainvision", "vhdr"), ("eeglab", "set")):
            with contextlib.suppress(Exception):  # a writer that is not installed
                raw.export(folder / f"b.{suffix}", verbose="error")
                files[name] = folder / f"b.{suffix}"
    snirf = simulate_study(bench.folder / "fnirs", "none", modality="fnirs", n_dyads=1, n_sessions=1, duration_s=200)
    light, light_config = load_study(snirf)
    files["snirf"] = light.sessions[0].therapist_file
    outcomes = {"flip": [0, 0, 0, 0.0], "cut": [0, 0, 0, 0.0]}
    left, dice, silent = bench.until(0.25), random.Random(0), 0
    n = 0
    while left() or n < 12:
        kind, (name, path) = ("flip", "cut")[n % 2], list(files.items())[(n // 2) % len(files)]
        base, settings = (light.sessions[0], light_config) if name == "snirf" else (row, config)
        sides = [path, path.with_suffix(".eeg")] if name == "brainvision" else [path]
        target = dice.choice([side for side in sides if side.exists()])
        kept = target.read_bytes()
        data = bytearray(kept)
        if kind == "flip":
            where = dice.randrange(min(4096, len(data))) if dice.random() < 0.5 else dice.randrange(len(data))
            data[where] ^= 1 << dice.randrange(8)
        else:
            data = data[: dice.randrange(len(data))]
        target.write_bytes(data)
        changed = dataclasses.replace(base, therapist_file=path, root=path.parent)
        began = time.monotonic()
        done = attempt(changed, lambda changed=changed, settings=settings: judge_row(changed, settings)[0])
        took = time.monotonic() - began
        target.write_bytes(kept)
        counts = outcomes[kind]
        counts[0] += 1
        counts[1] += done["status"] == "failed"
        named = path.name in done["reason"] or path.stem in done["reason"] or str(changed.key) in done["reason"]
        counts[2] += done["status"] == "skipped" and not named
        counts[3] = max(counts[3], took)
        silent += kind == "cut" and done["status"] == "ok" and not done["notes"] and len(data) < 0.99 * len(kept)
        n += 1
        if n >= 2 * 1000 * len(files):
            break
    rows = []
    for kind, (count, failed, unnamed, slowest) in outcomes.items():
        found = f"{failed} internal errors, {unnamed} messages without the file; slowest {slowest:.1f} s"
        if kind == "cut":
            found += f"; {silent} short reads without a word"
        target = "1,000 x 7 formats" if kind == "flip" else "50 x 7 formats: no silent short read"
        label = f"{'one bit flipped' if kind == 'flip' else 'cut short'}: {', '.join(files)}"
        rows.append(Row(label, count, found, target, failed + unnamed + (silent if kind == "cut" else 0) == 0))
    return rows


def no_network(bench: Bench) -> Row:
    opened: list[object] = []

    class Refused(socket.socket):
        def connect(self, address: Any) -> None:
            opened.append(address)
            raise OSError("no network in this test")

    out = bench.folder / "offline"
    with mock.patch.object(socket, "socket", Refused):
        code = call("run", bench.study, "-o", out, "-q")
    good = code == 0 and not opened and tree(out) == tree(bench.done)
    return Row("connections opened in a run", 1, str(len(opened)), "0", good)


def determinism(bench: Bench) -> Row:
    jobs = ("1", "2") if bench.small else ("1", "2", "4")
    unlike = 0
    for number in jobs:
        out = bench.folder / f"jobs{number}"
        unlike += call("run", bench.study, "-o", out, "-q", "--jobs", number) != 0 or tree(out) != tree(bench.done)
    return Row(
        f"workers {', '.join(jobs)}: TSV, JSON, netCDF, HTML", len(jobs), f"{unlike} differ", "0 differ", not unlike
    )


def inputs_unchanged(bench: Bench, before: dict[str, str]) -> Row:
    return Row(
        "inputs after all of this",
        len(before),
        f"{tree(bench.study) == before}",
        "unchanged",
        tree(bench.study) == before,
    )


def write(rows: list[Row], seconds: float, shape: str) -> None:
    where = f"{platform.system()} with {os.cpu_count()} cores (shared), Python {platform.python_version()}"
    when = f"{datetime.now(UTC):%Y-%m-%d}, version {hyperscan.__version__}"
    lines = [
        "# Faults on purpose",
        "",
        f"Made by `bash scripts/faults.sh` on {when}, {where}, in {seconds:.0f} s",
        "at nice 19. N is what fitted into that time; where N is under the target's, the target is not",
        f"shown to be met. The study has {shape} sessions of 40 s, one metric and one band, and the report is left out",
        "(but for the last but one line): the machinery is tested, not the science.",
        "",
        "| fault | N | found | target | as wanted at this N |",
        "|---|---|---|---|---|",
        *(f"| {row.test} | {row.n} | {row.found} | {row.target} | {'yes' if row.met else 'NO'} |" for row in rows),
        "",
        "In the test suite instead (`tests/test_pipeline_*.py`): dead workers, locks of all kinds, SIGINT and SIGTERM,",
        "changed inputs and configurations, 12 canaries, HTML and formula payloads. Not done yet: 10,000 generated",
        "tables, the 30 x 12 study on a Dask cluster, payloads in a real browser.",
        "",
    ]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("\n".join(lines))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="under a minute, for CI; does not write RESULTS.md")
    parser.add_argument("--seconds", type=float, default=None, help="time to spend (default 600; small: 15)")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        seconds = arguments.seconds or (15 if arguments.small else 600)
        shape = (2, 1) if arguments.small else (3, 6) if seconds >= 300 else (2, 2)
        study = simulate_study(folder / "study", "none", duration_s=40, n_dyads=shape[0], n_sessions=shape[1])
        (study / "study.toml").write_text(SETTINGS)
        before = tree(study)
        bench = Bench(
            folder, study, folder / "done", arguments.seconds or (25 if arguments.small else 600), arguments.small
        )
        if call("run", study, "-o", bench.done, "-q") != 0:
            raise HyperscanError("the undisturbed run failed")
        rows: list[Row] = []
        for test in (kills, injected, disk_full, concurrent, damaged, no_network, determinism):
            made = test(bench)
            rows += made if isinstance(made, list) else [made]
            print(json.dumps(rows[-1].__dict__), flush=True)
        rows.append(inputs_unchanged(bench, before))
        if not arguments.small:
            write(rows, time.monotonic() - began, f"{shape[0]} x {shape[1]}")
    bad = [row.test for row in rows if not row.met]
    print(f"{len(rows) - len(bad)} of {len(rows)} as wanted, in {time.monotonic() - began:.0f} s", *bad, sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
