"""Kills of workers, on a cluster, in the report; containers, mounts, inputs that change, for scripts/faults.py."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import errno
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from fault_inputs import Test, Trial
from fault_runs import FORK, LONG_S, Bench, call, on_cluster, start, tree, used_s

#: Flag of unshare(2) for process ids of one's own (linux/sched.h).
_NEW_PIDS = 0x20000000


def end(process: Any, seconds: float = LONG_S) -> int | None:
    """Wait for a process, and kill one that hangs, whose code is None."""
    process.join(seconds)
    hangs = process.is_alive()
    process.kill()
    process.join()
    return None if hangs else process.exitcode


def kills_of_workers(bench: Bench) -> Trial:
    """SIGKILL of a run with two workers at a random moment, then a resumed run."""
    began = time.monotonic()
    assert end(start("run", bench.study, "-o", bench.folder / "two", "-q", "--jobs", 2)) == 0
    span = time.monotonic() - began

    def trial(number: int) -> dict[str, float]:
        out, done = bench.folder / f"killed-two{number}", bench.done
        process = start("run", bench.study, "-o", out, "-q", "--jobs", 2)
        process.join(random.Random(number).uniform(0.0, span))
        process.kill()
        process.join()
        wrong = bench.wrong_files(out)
        resumed = call("run", bench.study, "-o", out, "-q") != 0 or bench.unlike(out)
        time.sleep(0.5)  # workers end with their parent: nothing of theirs may land later
        late = tree(out) != tree(done)
        shutil.rmtree(out)
        return _sum(partial_files=wrong, resumed_trees_that_differ=resumed, trees_that_change_later=late)

    return trial


def kills_of_command(bench: Bench, command: str, on_dask: bool = False) -> Trial:
    """SIGKILL or SIGTERM of a multiverse, or of a check that prepares, on two workers; then the same again."""
    study = Path(shutil.copytree(bench.study, bench.folder / f"study-{command}-{on_dask}"))
    with (study / "study.toml").open("a") as settings:
        settings.write('[multiverse]\nmetrics = ["plv", "ciplv"]\n')
    whole, first = (bench.folder / f"{name}-{command}-{on_dask}" for name in ("whole", "first"))
    place: tuple[object, ...] = ("--jobs", 2)
    if on_dask:  # one cluster for all trials: what one leaves there the next one meets
        cluster = contextlib.ExitStack()
        atexit.register(cluster.close)
        place = ("--cluster", cluster.enter_context(on_cluster(2))[0])

    def words(out: Path, *place: object) -> tuple[object, ...]:
        made = ("check", study, "--prepare", out) if command == "check" else (command, study, "-o", out, "-q")
        return (*made, *place)

    def finish(out: Path, *place: object) -> int | None:
        code = end(start(*words(out, *place)))
        return code or (call("run", study, "-o", out, "-q") if command == "check" else 0)

    assert end(start(*words(first, *place))) == 0  # a cluster's workers are warm after it
    assert finish(whole) == 0
    shutil.rmtree(first)
    began = time.monotonic()
    assert end(start(*words(first, *place))) == 0
    span = time.monotonic() - began

    def trial(number: int) -> dict[str, float]:
        out, draw = bench.folder / f"stopped-{command}-{on_dask}-{number}", random.Random(number)
        process = start(*words(out, *place))
        process.join(draw.uniform(0.0, span))
        stopped, sent = process.is_alive(), draw.choice((signal.SIGKILL, signal.SIGTERM))
        if stopped:
            os.kill(process.pid, sent)
        code = end(process)
        told = code in (0, -signal.SIGKILL if sent == signal.SIGKILL else 143)
        # once the same again, once by this machine alone
        resumed = finish(out, *(place if draw.random() < 0.5 else ())) != 0 or tree(out) != tree(whole)
        time.sleep(0.5)  # workers end with their parent, or hear of its end: nothing of theirs may land later
        late = tree(out) != tree(whole)
        if not told or resumed or late:
            print(command, on_dask, number, sent.name, code, tree(out).items() ^ tree(whole).items(), flush=True)
        shutil.rmtree(out)
        counts = _sum(other_codes=not told, resumed_trees_that_differ=resumed, trees_that_change_later=late)
        return {"stopped before the end": stopped, **counts}

    return trial


def _sum(**counts: float) -> dict[str, float]:
    named = {name.replace("_", " "): float(value) for name, value in counts.items()}
    return {**named, "wrong": sum(named.values())}


def kills_on_dask(bench: Bench) -> Trial:
    """SIGKILL of a run on a cluster, whose workers go on, then a run here at once: theirs must not land in it."""

    def trial(number: int) -> dict[str, float]:
        out, draw = bench.folder / f"killed-dask{number}", random.Random(number)
        wrong, resumed, done = 0, 0, bench.done
        with on_cluster(2) as (address, _):
            for k in range(10):
                process = start("run", bench.study, "-o", out, "-q", "--cluster", address)
                until, share = time.monotonic() + 60, draw.random()
                wanted = int(share * 2 * len(list(done.glob("dyad-*/ses-*"))))
                while process.is_alive() and _n_units(out) < wanted and time.monotonic() < until:
                    time.sleep(0.005)
                process.kill()
                process.join()
                wrong += bench.wrong_files(out)
                resumed += call("run", bench.study, "-o", out, "-q") != 0 or bench.unlike(out)
                time.sleep(1.0)
                resumed += bench.unlike(out)
                if k < 9:
                    shutil.rmtree(out)
        shutil.rmtree(out)
        return {"kills": 10, **_sum(partial_files=wrong, resumed_trees_that_differ=resumed)}

    return trial


def _n_units(out: Path) -> int:
    return len([*out.glob("work/dyad-*/ses-*/unit.json"), *out.glob("work/units/dyad-*/ses-*/unit.json")])


def kills_in_report(bench: Bench) -> Trial:
    """SIGKILL while the report is written, then a resumed run, with the report."""
    whole = bench.folder / "with-report"
    assert call("run", bench.study, "-o", whole, "-q", report=True) == 0
    process, span = FORK.Process(target=_report, args=(whole,)), 0.0
    process.start()
    while process.is_alive():
        span = max(span, used_s(process.pid))
        time.sleep(0.005)

    def trial(number: int) -> dict[str, float]:
        out = Path(shutil.copytree(bench.done, bench.folder / f"killed-report{number}"))
        (out / "run.json").unlink()
        process = FORK.Process(target=_run_with_report, args=(bench.study, out))
        process.start()
        until = time.monotonic() + LONG_S
        while process.is_alive() and not (out / "growth.json").exists() and time.monotonic() < until:
            time.sleep(0.002)
        moment = used_s(process.pid) + random.Random(number).uniform(0.0, span)
        while process.is_alive() and used_s(process.pid) < moment:
            time.sleep(0.002)
        finished = not process.is_alive()
        process.kill()
        process.join()
        read = not finished and not (out / "run.json").exists() and call("report", out) != 2
        resumed = call("run", bench.study, "-o", out, "-q", report=True) != 0 or tree(out) != tree(whole)
        shutil.rmtree(out)
        counts = _sum(folders_that_report_does_not_refuse=read, resumed_trees_that_differ=resumed)
        return {**counts, "kills after the end": finished}

    return trial


def _report(out: Path) -> None:
    os._exit(call("report", out, report=True))


def _run_with_report(study: Path, out: Path) -> None:
    (out / "growth.json").unlink()
    os._exit(call("run", study, "-o", out, "-q", report=True))


def in_containers(bench: Bench, many: int) -> Trial:
    """Start several runs on one output at once, each the first process of a process-id name space of its own."""

    def trial(number: int) -> dict[str, float]:
        out, done = bench.folder / f"container{many}-{number}", bench.done
        running = [FORK.Process(target=_contained, args=(bench.study, out)) for _ in range(many)]
        for process in running:
            process.start()
        codes = sorted(end(process) or 0 for process in running)
        mixed = tree(out) != tree(done)
        shutil.rmtree(out)
        return _sum(not_one_winner_and_the_rest_code_5=codes != [0] + [5] * (many - 1), mixed_outputs=mixed)

    return trial


def _contained(study: Path, out: Path) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_PIDS):
        os._exit(99)
    child = os.fork()
    if child == 0:
        os._exit(99 if os.getpid() != 1 else call("run", study, "-o", out, "-q"))
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def read_only(bench: Bench) -> Trial:
    """Run from a read-only study, then into a read-only folder of results: again, anew, growth and report."""

    def trial(number: int) -> dict[str, float]:
        done, counts = bench.done, {"other codes than wanted": 0, "trees that change": 0}
        with small_disk(bench.folder / f"read-only{number}", "size=64m") as disk:
            study, out = Path(shutil.copytree(bench.study, disk / "study")), disk / "out"
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            elsewhere = bench.folder / f"from-read-only{number}"
            counts["other codes than wanted"] += call("run", study, "-o", elsewhere, "-q") != 0
            counts["trees that change"] += tree(elsewhere) != tree(done)
            counts["other codes than wanted"] += call("run", study, "-o", out, "-q") != 6
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
            shutil.copytree(done, out)
            before = tree(out)
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            for words in (("run", study, "-o", out, "-q"), ("run", study, "-o", out, "-q", "--seed", number + 9)):
                counts["other codes than wanted"] += call(*words) != 6
            counts["other codes than wanted"] += call("growth", out) != 0
            counts["other codes than wanted"] += call("report", out, report=True) != 6
            counts["trees that change"] += tree(out) != before
        shutil.rmtree(elsewhere)
        return {"commands": 6, **counts, "wrong": sum(counts.values())}

    return trial


def small_disks(bench: Bench) -> Trial:
    """Fill a file system of a random size at a random moment of a run, then give it room again."""

    def trial(number: int) -> dict[str, float]:
        size = random.Random(number).randrange(16, 700)
        with small_disk(bench.folder / f"small{number}", f"size={size}k") as disk:
            out = disk / "out"
            code = call("run", bench.study, "-o", out, "-q")
            wrong = bench.wrong_files(out)
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            resumed = call("run", bench.study, "-o", out, "-q") != 0 or bench.unlike(out)
        counts = _sum(partial_files=wrong, other_codes_than_6=code not in (0, 6), resumed_trees_that_differ=resumed)
        return {**counts, "disks that were large enough": code == 0}

    return trial


def changing_inputs(bench: Bench) -> Trial:
    """Exchange a recording for another one at a random moment of a run."""
    changed = Path(shutil.copytree(bench.study, bench.folder / "changed"))
    first, other = sorted(changed.rglob("*therapist*.edf"))[:2]
    shutil.copy(other, bench.folder / "exchange.edf")
    other.unlink()
    shutil.copy(first, other)
    shutil.copy(bench.folder / "exchange.edf", first)
    new = bench.folder / "of-changed"
    assert call("run", changed, "-o", new, "-q") in (0, 3)

    def trial(number: int) -> dict[str, float]:
        draw, done = random.Random(number), bench.done
        study, out = bench.folder / f"changing{number}", bench.folder / f"of-changing{number}"
        shutil.copytree(bench.study, study)
        process = start("run", study, "-o", out, "-q")
        moment = draw.uniform(0.0, 0.8) * bench.span_s
        while process.is_alive() and used_s(process.pid) < moment:
            time.sleep(0.002)
        for path in (first, other):
            _exchange(path, study / path.relative_to(changed), whole=draw.random() < 0.5)
        code, found = end(process), tree(out)
        skipped = json.loads((out / "plan.json").read_text())["skipped"] if (out / "plan.json").exists() else []
        told = code in (3, 4) and (code == 4 or len(skipped) > 0)
        mixed = not told and found not in (tree(done), tree(new))
        again = call("run", study, "-o", out, "-q") not in (0, 3) or tree(out) != tree(new)
        shutil.rmtree(study)
        shutil.rmtree(out)
        counts = _sum(runs_of_a_mixture=mixed, next_runs_that_differ_from_a_fresh_one=again)
        return {"runs of what was there before": found == tree(done), "runs that leave rows out": told, **counts}

    return trial


def _exchange(source: Path, path: Path, *, whole: bool) -> None:
    if whole:
        shutil.copy(source, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)
    else:  # as a copy that is under way
        path.write_bytes(source.read_bytes()[:5000])
        time.sleep(0.05)
        path.write_bytes(source.read_bytes())


#: Faults of a machine that a reader may meet.
_FAULTS = (errno.EMFILE, errno.EIO, errno.ESTALE, errno.ENOSPC, errno.ENFILE, errno.ETIMEDOUT)


def machine_faults(bench: Bench) -> Trial:
    """Let opening recordings fail from a random call on, as a machine does, then run again."""

    def trial(number: int) -> dict[str, float]:
        draw, out = random.Random(number), bench.folder / f"faulty{number}"
        number_of_fault, left, done = draw.choice(_FAULTS), [draw.randrange(60)], bench.done

        def failing(real: Callable[..., Any]) -> Callable[..., Any]:
            def opened(path: Any, *arguments: Any, **options: Any) -> Any:
                if isinstance(path, str | os.PathLike) and str(path).endswith(".edf"):
                    left[0] -= 1
                    if left[0] < 0:
                        raise OSError(number_of_fault, os.strerror(number_of_fault), str(path))
                return real(path, *arguments, **options)

            return opened

        with (
            mock.patch.object(io, "open", failing(io.open)),
            mock.patch.object(builtins, "open", failing(builtins.open)),
        ):
            code = call("run", bench.study, "-o", out, "-q")
        logs = "".join(path.read_text() for path in out.glob("logs/*"))
        blamed = "damaged" in logs or "Copy it again" in logs
        resumed = call("run", bench.study, "-o", out, "-q") != 0 or tree(out) != tree(done)
        shutil.rmtree(out)
        return _sum(files_called_damaged=blamed, internal_errors=code == 1, next_runs_that_differ=resumed)

    return trial


def nothing_to_do(bench: Bench, limit_s: float) -> Trial:
    """Run again with nothing to do, as a command of its own."""

    def trial(number: int) -> dict[str, float]:
        before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in bench.done.rglob("*")}
        code = "import sys; from hyperscan.cli import main; sys.exit(main())"
        words = [sys.executable, "-c", code, "run", str(bench.study), "-o", str(bench.done), "-q"]
        spans = []
        for _ in range(2):  # the shorter one: what else the machine does takes time, too
            began = os.times()
            subprocess.run(words, check=True, timeout=LONG_S, capture_output=True)
            ended = os.times()
            spans.append(ended.children_user + ended.children_system - began.children_user - began.children_system)
        after = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in bench.done.rglob("*")}
        own = {path for path in before if path.is_file()}
        touched = len([path for path in own if before[path] != after.get(path)]) + len(after.keys() - before.keys())
        return {"files written": touched, "slowest_s": min(spans), "wrong": touched + (min(spans) > limit_s)}

    return trial


def tests(folder: Path, small: bool) -> Iterator[Test]:
    """List the tests of this file."""
    bench = Bench(folder / "machine", *((2, 1) if small else (2, 2)))
    bench.folder.mkdir(exist_ok=True)
    short = Bench(folder / "short", 2, 1)  # for who holds a folder it does not matter what is run
    short.folder.mkdir(exist_ok=True)

    def test(name: str, wanted: int, few: int, target: str, make: Callable[..., Trial], *more: Any) -> Test:
        return Test(name, few if small else wanted, target, partial(make, bench, *more))

    yield test("SIGKILL of a run on 2 workers, then resume", 50, 1, "0 partial, 0 trees that differ", kills_of_workers)
    for command in ("multiverse", "check"):
        name = "check --prepare, then run" if command == "check" else command
        target = "0 trees that differ"
        yield test(f"SIGKILL or SIGTERM of {name}, on 2 workers, then again", 30, 1, target, kills_of_command, command)
    with contextlib.suppress(ImportError):
        import distributed  # noqa: F401

        target = "0 partial, 0 trees that differ, nothing lands later (batches of 10)"
        if not small:
            yield test("SIGKILL of a run on Dask, then a run here", 3, 0, target, kills_on_dask)
            name, target = "SIGKILL or SIGTERM of multiverse, on Dask, then again", "143 or killed; 0 trees that differ"
            yield test(name, 30, 0, target, kills_of_command, "multiverse", True)
    yield test("SIGKILL during the report, then resume", 20, 1, "refused until resumed; same bytes", kills_in_report)
    if os.geteuid() == 0:
        for many in (2, 8):
            name = f"{many} runs at once in process-id name spaces of their own"
            yield Test(name, 1 if small else 25, "one winner, the rest code 5", partial(in_containers, short, many))
        yield test("read-only study, read-only results", 5, 1, "codes 0 and 6, nothing changes", read_only)
        yield test("disk of 16 to 700 kB that fills up", 40, 2, "code 6, no partials, resumes", small_disks)
    yield test("a recording is exchanged during a run", 50, 2, "old, or left out and told; then new", changing_inputs)
    name = "recordings cannot be opened from a random call on (EMFILE, ENFILE, EIO, ESTALE, ENOSPC, ETIMEDOUT)"
    yield test(name, 100, 2, "never called damage, never remembered", machine_faults)
    # in CI the tests run beside it, and processor time grows with what shares the processor
    target = "at most 2 s of processor, no file written"
    yield test("a run with nothing to do", 5, 1, target, nothing_to_do, 10.0 if small else 2.0)
