"""Kills, failing and full disks, runs at once, and a larger study on a cluster, for scripts/faults.py."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

import hyperscan.pipeline.fits as fits_module
import hyperscan.report.build  # noqa: F401 - forks that write a report need not import it
from fault_inputs import Test, Trial
from hyperscan import cli, storage
from hyperscan.pipeline.summary import Attempt
from hyperscan.pipeline.unit import read_manifest
from hyperscan.simulate import simulate_study
from hyperscan.storage import sha256

#: One metric and one band: the machinery is what is tested.
SETTINGS = 'window_s = 5.0\nn_null = 20\n[metrics]\neeg = ["plv"]\n[bands]\nalpha = [8.0, 12.0]\n'

#: Longer than this no trial waits for anything, in s.
LONG_S = 600

FORK = multiprocessing.get_context("fork")


def tree(folder: Path) -> dict[str, str]:
    """Hash everything that equal runs must have in common."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: sha256(path) for name, path in sorted(files.items()) if not name.startswith("logs/")}


#: Fits by what went in: runs that find the same tables need not fit again, and no fault here is one of a fit.
_FITTED: dict[tuple[str, ...], Any] = {}


def _fitted_once(name: str) -> Any:
    """Let a fit of runs be made once for the same tables and settings, in this process and its later forks."""
    real = getattr(fits_module, name)

    def told(value: Any) -> str:
        return f"{value.to_csv()} {value.attrs}" if isinstance(value, pd.DataFrame) else repr(value)

    def fit(*given: Any, **named: Any) -> Any:
        key = (name, *map(told, given), *(f"{each}={told(value)}" for each, value in named.items()))
        if key not in _FITTED:
            _FITTED[key] = real(*given, **named)
        return _FITTED[key]

    return mock.patch.object(fits_module, name, fit)


def call(*arguments: object, report: bool = False) -> int:
    """Run the command in this process, silent; the report takes most of the time and is left out."""
    empty = mock.patch("hyperscan.pipeline.run.report_of", lambda out, **_: (out / "report.html").touch())
    patch = contextlib.nullcontext() if report else empty
    with (
        patch,
        _fitted_once("fit_growth"),
        _fitted_once("fit_within"),
        Path(os.devnull).open("w") as sink,
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        code = cli.main([str(argument) for argument in arguments])
    if code in (130, 143):  # whoever stopped this script stopped the run, too: no outcome of a trial
        raise SystemExit(code)
    return code


def _child(arguments: tuple[object, ...]) -> None:
    os._exit(call(*arguments))


def start(*arguments: object) -> Any:
    """Start a run in a fork of this process, where everything is imported and compiled already."""
    process = FORK.Process(target=_child, args=(arguments,))
    process.start()
    return process


def _end(processes: Iterable[Any]) -> None:
    """Kill what is still there: a trial that hangs is one that went wrong."""
    for process in processes:
        process.kill()
        process.join()


def used_s(pid: int) -> float:
    """Processor time of a process so far, in s; 0 once it is gone. The clock would tell the load of the machine."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A small study, what an undisturbed run makes of it, and how much processor time that takes."""

    def __init__(self, folder: Path, n_dyads: int, n_sessions: int) -> None:
        self.folder, self.shape = folder, (n_dyads, n_sessions)

    @cached_property
    def study(self) -> Path:
        """The study."""
        study = small_study(self.folder / "study", *self.shape)
        self.before = tree(study)
        return study

    @cached_property
    def done(self) -> Path:
        """Output of an undisturbed run."""
        out = self.folder / "done"
        assert call("run", self.study, "-o", out, "-q") == 0
        process = start("run", self.study, "-o", self.folder / "timed", "-q")
        self.span_s = 0.0
        while process.is_alive():
            self.span_s = max(self.span_s, used_s(process.pid))
            time.sleep(0.005)
        return out

    def unlike(self, out: Path) -> bool:
        """Whether a finished output differs."""
        return tree(out) != tree(self.done)

    def wrong_files(self, out: Path) -> int:
        """Files under a final name that an undisturbed run does not leave, or not so."""
        wanted = tree(self.done)
        names = {name: value for name, value in tree(out).items() if "/." not in f"/{name}"} if out.exists() else {}
        return len([name for name, value in names.items() if name[:5] != "work/" and wanted.get(name) != value])


def small_study(folder: Path, n_dyads: int, n_sessions: int) -> Path:
    """Write a study of 30-s sessions with 2 channels."""
    from dataclasses import replace

    from hyperscan.simulate import study as simulated

    design = replace(simulated.DESIGNS["eeg"], ch_names=("Fz", "Pz"), sfreq=100.0)
    with mock.patch.dict(simulated.DESIGNS, {"eeg": design}):
        study = simulate_study(folder, "none", duration_s=30, n_dyads=n_dyads, n_sessions=n_sessions)
    (study / "study.toml").write_text(SETTINGS)
    return study


def kills(bench: Bench) -> Trial:
    """SIGKILL at a random moment, then a resumed run."""

    def trial(number: int) -> dict[str, float]:
        out, done = bench.folder / f"kill{number}", bench.done
        process = start("run", bench.study, "-o", out, "-q")
        moment = random.Random(number).uniform(0.0, 1.0) * bench.span_s
        while process.is_alive() and used_s(process.pid) < moment:
            time.sleep(0.002)
        process.kill()
        process.join()
        finished = (out / "run.json").exists()
        wrong, made = bench.wrong_files(out), _units(out)
        unlike = call("run", bench.study, "-o", out, "-q") != 0 or bench.unlike(out)
        again = len(made.items() - _units(out).items())
        shutil.rmtree(out, ignore_errors=True)
        del done
        counts = {
            "partial or wrong files": wrong,
            "resumed trees that differ": unlike,
            "finished units made again": again,
            "kills after the end": finished,
        }
        return {**counts, "wrong": wrong + unlike + again}

    return trial


def _units(out: Path) -> dict[str, int]:
    """When each computed unit that is there, in its place or waiting for all others, was finished."""
    found = [*out.glob("work/units/dyad-*/ses-*/unit.json"), *out.glob("dyad-*/ses-*/unit.json")]
    return {"/".join(path.parts[-3:]): path.stat().st_mtime_ns for path in found}


def rerun_kills(bench: Bench) -> Trial:
    """Change a setting, run into the same folder, SIGKILL at a random moment: old results, or none that are read."""
    other = bench.folder / "other"
    assert call("run", bench.study, "-o", other, "--seed", 5, "-q") == 0

    def trial(number: int) -> dict[str, float]:
        out = Path(shutil.copytree(bench.done, bench.folder / f"rerun{number}"))
        process = start("run", bench.study, "-o", out, "--seed", 5, "-q")
        moment = random.Random(number).uniform(0.0, 1.0) * bench.span_s
        while process.is_alive() and used_s(process.pid) < moment:
            time.sleep(0.002)
        process.kill()
        process.join()
        whole = (out / "run.json").exists()
        kept = {name: made for name, made in tree(out).items() if name[:5] not in ("work/", ".hype")}
        old, new = kept == tree(bench.done), kept == tree(other)
        codes = {call(word, out, "-q") for word in ("growth", "report")}
        mixed = not (old or new) if whole else codes != {2}
        shutil.rmtree(out, ignore_errors=True)
        return {
            "old results": whole and old,
            "new results": whole and new,
            "folders that growth and report refuse": not whole,
            "mixed or read unfinished": mixed,
            "wrong": mixed,
        }

    return trial


def flipped_records(bench: Bench) -> Trial:
    """Flip a hundred single bits, one at a time, in the records of units."""
    records = [path.read_bytes() for path in sorted(bench.done.glob("dyad-*/ses-*/unit.json"))]
    folder = bench.folder / "record"
    folder.mkdir()

    def trial(number: int) -> dict[str, float]:
        draw, accepted = random.Random(number), 0
        for _ in range(100):
            content = bytearray(draw.choice(records))
            bit = draw.randrange(8 * len(content))
            content[bit // 8] ^= 1 << bit % 8
            (folder / "unit.json").write_bytes(content)
            accepted += read_manifest(folder, Attempt) is not None
        return {"flips": 100, "accepted": accepted, "wrong": accepted}

    return trial


def injected(folder: Path, n_sessions: int) -> Trial:
    """Let the disk fail from a given write, fsync or rename on; one trial is one point, all of them are all points."""
    bench = Bench(folder / "injected", 2, n_sessions)
    steps: list[tuple[Any, str]] = [(os, "fsync"), (Path, "replace")]
    steps += [(storage, name) for name in ("_dump", "_dump_arrays", "_dump_dataset")]
    points = []
    for owner, name in steps:
        n = _failing(owner, name, 10**9, bench, bench.folder / f"count-{name}")[1]
        points += [(owner, name, at) for at in range(n)]
    random.Random(0).shuffle(points)

    def trial(number: int) -> dict[str, float]:
        (owner, name, at), out = points[number], bench.folder / f"inject{number}"
        code, calls = _failing(owner, name, at, bench, out)
        if code != (6 if calls > at else 0):
            print(name, at, "of", calls, "code", code, flush=True)
        wrong = bench.wrong_files(out)
        resumed = call("run", bench.study, "-o", out, "-q") != 0 or bench.unlike(out)
        shutil.rmtree(out, ignore_errors=True)
        counts = {
            "mixed or wrong files": wrong,
            "other codes than 6": code != (6 if calls > at else 0),
            "resumed trees that differ": resumed,
        }
        return {**counts, "wrong": sum(counts.values()), "points that this run did not reach": calls <= at}

    trial.most = len(points)  # type: ignore[attr-defined]
    return trial


def _failing(owner: Any, name: str, at: int, bench: Bench, out: Path) -> tuple[int, int]:
    real, calls = getattr(owner, name), [0]

    def fail(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] <= at:
            return real(*arguments)
        if owner is storage:  # half of the file is on the disk when it is full
            real(*arguments)
            os.truncate(arguments[0], arguments[0].stat().st_size // 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with mock.patch.object(owner, name, fail):
        return call("run", bench.study, "-o", out, "-q"), calls[0]


def full_disk(bench: Bench) -> Trial:
    """Fill a small file system; its size in kB stands for 4, 16 and 64 MB of a larger study."""

    def trial(number: int) -> dict[str, float]:
        mount = bench.folder / f"disk{number}"
        mount.mkdir()
        size = f"size={(64, 256, 512)[number % 3]}k"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", mount], check=True)
        try:
            out = mount / "out"
            code = call("run", bench.study, "-o", out, "-q")
            wrong = bench.wrong_files(out)
            subprocess.run(["mount", "-o", "remount,size=64m", mount], check=True)
            resumed = call("run", bench.study, "-o", out, "-q") != 0 or bench.unlike(out)
        finally:
            subprocess.run(["umount", "-l", mount], check=False)
        counts = {"partial files": wrong, "other codes than 6": code != 6, "resumed trees that differ": resumed}
        return {**counts, "wrong": sum(counts.values())}

    return trial


def at_once(bench: Bench, many: int) -> Trial:
    """Start several runs on one output in the same moment."""

    def trial(number: int) -> dict[str, float]:
        out, done = bench.folder / f"race{many}-{number}", bench.done
        began = time.monotonic()
        running = [start("run", bench.study, "-o", out, "-q") for _ in range(many)]
        codes, slowest = [], 0.0
        while running:
            if time.monotonic() - began > LONG_S:
                _end(running)
            for process in [process for process in running if not process.is_alive()]:
                codes.append(process.exitcode)
                slowest = max(slowest, time.monotonic() - began) if process.exitcode == 5 else slowest
                running.remove(process)
            time.sleep(0.01)
        mixed = tree(out) != tree(done)
        shutil.rmtree(out)
        counts = {"not one winner and the rest code 5": sorted(codes) != [0] + [5] * (many - 1), "mixed outputs": mixed}
        return {**counts, "wrong": sum(counts.values()), "slowest_s": slowest}

    return trial


def no_network(bench: Bench) -> Trial:
    """Run where every connection is refused and counted."""

    def trial(number: int) -> dict[str, float]:
        opened: list[object] = []

        class Refused(socket.socket):
            def connect(self, address: Any) -> None:
                opened.append(address)
                raise OSError("no network in this test")

        out = bench.folder / f"offline{number}"
        with mock.patch.object(socket, "socket", Refused):
            code = call("run", bench.study, "-o", out, "-q")
        return {"connections": len(opened), "wrong": len(opened) + (code != 0) + bench.unlike(out)}

    return trial


def determinism(bench: Bench) -> Trial:
    """Whole runs with their reports: 1, 2 and 4 workers, and two numerical threads."""
    jobs = (("1", "1"), ("2", "1"), ("4", "1"), ("1", "2"))
    first = bench.folder / "whole"

    def trial(number: int) -> dict[str, float]:
        workers, threads = jobs[number]
        out = first if number == 0 else bench.folder / f"workers{workers}-threads{threads}"
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        program = [sys.executable, "-c", "import sys; from hyperscan.cli import main; sys.exit(main())"]
        if not first.exists() and number:
            trial(0)
        command = [*program, "run", str(bench.study), "-o", str(out), "-q", "--jobs", workers]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=LONG_S)
        unlike = done.returncode != 0 or tree(out) != tree(first)
        return {"outputs that differ (TSV, JSON, netCDF, HTML)": unlike, "wrong": unlike}

    return trial


def large_study(folder: Path, n_dyads: int, n_sessions: int) -> Trial:
    """Run a study on 2 workers and on a Dask cluster of 3 processes, of which one is killed in the middle."""
    study = small_study(folder / "large", n_dyads, n_sessions)

    def trial(number: int) -> dict[str, float]:
        with on_cluster(3) as (address, workers):
            killer = threading.Thread(target=_kill_one, args=(folder / "dask", workers, n_dyads * n_sessions // 3))
            killer.start()
            code = call("run", study, "-o", folder / "dask", "-q", "--cluster", address)
            killer.join()
            killed = sum(worker.poll() == -signal.SIGKILL for worker in workers)
        codes = [code, call("run", study, "-o", folder / "jobs", "-q", "--jobs", 2)]
        trees = [set(tree(folder / name).items()) for name in ("dask", "jobs")]
        unlike = codes != [0, 0] or trees[0] != trees[1]
        if unlike:
            print("codes", codes, "differ", sorted(trees[0] ^ trees[1]), flush=True)
        counts = {"dyad-sessions": n_dyads * n_sessions, "workers killed": killed, "outputs that differ": unlike}
        return {**counts, "wrong": unlike + (killed != 1)}

    return trial


@contextlib.contextmanager
def on_cluster(n_workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Run a scheduler and its workers as processes of their own, on this machine's loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    paths = os.pathsep.join([str(Path(__file__).parents[1] / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}  # tasks of the tests go by name
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    dask = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet
    )
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0"]
    workers = [subprocess.Popen(worker, **quiet) for _ in range(n_workers)]
    try:
        code = (
            f"from distributed import Client; c = Client({address!r}, timeout=120); "
            f"c.wait_for_workers({n_workers}, timeout=300)"
        )
        # in a process of its own: a fork of one that has asked a scheduler would wait for its dead threads
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=LONG_S)
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()  # one that is asked to end may wait for another one
            process.wait()


def _kill_one(out: Path, workers: list[subprocess.Popen[bytes]], after: int) -> None:
    until = time.monotonic() + LONG_S
    while len(list(out.glob("work/dyad-*/ses-*/unit.json"))) < after and time.monotonic() < until:
        time.sleep(0.02)
    workers[0].kill()


def unchanged(bench: Bench) -> Trial:
    """Compare the inputs with what they were before all of this."""

    def trial(number: int) -> dict[str, float]:
        changed = tree(bench.study) != bench.before
        return {"files": len(bench.before), "changed": changed, "wrong": changed}

    return trial


def tests(folder: Path, small: bool) -> Iterator[Test]:
    """List the tests of this file."""
    bench = Bench(folder, *((2, 1) if small else (3, 6)))

    def test(name: str, wanted: int, few: int, target: str, make: Callable[..., Trial], *more: Any) -> Test:
        return Test(name, few if small else wanted, target, partial(make, bench, *more))

    yield test(
        "SIGKILL at a random moment, then resume",
        200,
        10,
        "0 wrong files, 0 trees that differ, no finished unit again",
        kills,
    )
    smaller = Bench(folder / "smaller", *((2, 1) if small else (2, 2)))
    smaller.folder.mkdir()
    name = "SIGKILL while other settings are run into the same folder"
    yield Test(name, 4 if small else 100, "old or new, or refused", partial(rerun_kills, smaller))
    yield test("one bit flipped, record of a unit", 50, 2, "never accepted (batches of 100)", flipped_records)
    yield Test(
        "disk fails from a given write, fsync or rename on",
        4 if small else 10**6,
        "old or new, never mixed; code 6",
        partial(injected, folder, 1 if small else 2),
    )
    if os.geteuid() == 0:
        yield test("disk full (64, 256, 512 kB)", 3, 1, "code 6, no partials, resumes", full_disk)
    for many in (2, 8):
        yield test(f"{many} runs at once on one output", 50, 1, "one winner, the rest code 5 in 2 s", at_once, many)
    yield test("connections opened in a run", 1, 1, "0", no_network)
    yield test("1, 2, 4 workers; 2 threads; with report", 4, 2, "same bytes", determinism)
    with contextlib.suppress(ImportError):
        import distributed  # noqa: F401

        shape = (2, 2) if small else (30, 12)
        name = f"{shape[0]} x {shape[1]} on 2 workers and on Dask, one of 3 killed"
        yield Test(name, 1, "same bytes", partial(large_study, folder, *shape))
    yield test("inputs after all of this", 1, 1, "unchanged", unchanged)
