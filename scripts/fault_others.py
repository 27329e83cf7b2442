"""What others put into folders: results of strangers, files of users, pipes, people in columns (scripts/faults.py)."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mne.io.constants import FIFF

from fault_inputs import FORMATS, Test, Trial, _read
from fault_machine import end
from fault_runs import FORK, Bench, call, tree
from hyperscan.recording.files.fif import read_tags
from hyperscan.study.personal import find_personal

#: Codes that a command may end with; 1 is a fault of ours.
_CODES = (0, 2, 3, 4, 6)

#: A command on a small folder takes no longer, in s, and no more memory, in bytes, than this.
_LONG_S, _MUCH = 120, 1_500_000_000


def _watched(words: tuple[object, ...], sent: Any, report: bool) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (8 * _MUCH, 8 * _MUCH))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = call(*words, report=report)
    sent.put((code, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))


def watched(*words: object, report: bool = False) -> dict[str, float]:
    """Run a command in a process of its own; count a hang, a fault of ours, and much memory."""
    sent = FORK.Queue()
    process = FORK.Process(target=_watched, args=(words, sent, report))
    process.start()
    ended = end(process, _LONG_S)
    code, memory = sent.get() if ended == 0 and not sent.empty() else (1, 0)
    return {
        "hangs": ended is None,
        "faults of ours": ended is not None and code not in _CODES,
        "memory": memory > _MUCH,
    }


# ---- a folder of results that a stranger made


def _flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    at = draw.randrange(len(content))
    content[at] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _cut(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


def _value(path: Path, draw: random.Random) -> None:
    """Put something odd in the place of a value of a table or of JSON."""
    odd: list[Any] = [
        None,
        [],
        {},
        -1,
        1e308,
        float("nan"),
        "x" * 5000,
        "<script>alert(1)</script>",
        True,
        10**400,
        "\0",
    ]
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        here: Any = content
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            key = draw.choice(keys)
            if not isinstance(here[key], dict | list) or not here[key] or draw.random() < 0.2:
                break
            here = here[key]
        here[key] = draw.choice(odd)
        path.write_text(json.dumps(content))
    elif path.suffix == ".tsv":
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        row = draw.choice(rows)
        row[draw.randrange(len(row))] = str(draw.choice(odd))
        path.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    else:
        _flip(path, draw)


def _deep(path: Path, draw: random.Random) -> None:
    path.write_text("[" * 200_000 if draw.random() < 0.5 else '{"a":' * 100_000)


def _odd(path: Path, draw: random.Random) -> None:
    path.unlink()
    make_odd(path, draw.choice(ODD))


def _bomb(path: Path, draw: random.Random) -> None:
    """Claim 80 GB, of which nothing is stored."""
    if path.suffix != ".nc":
        _deep(path, draw)
        return
    with h5py.File(path, "a") as file:
        name = draw.choice([key for key in file if isinstance(file[key], h5py.Dataset)])
        del file[name]
        file.create_dataset(name, (10_000, 1_000_000), "<f8", chunks=(10, 1_000_000), compression="gzip")


def _link(path: Path, draw: random.Random) -> None:
    """Lead elsewhere: a file by a link, netCDF by one of HDF5 or by data that are kept in another file."""
    if path.suffix != ".nc":
        path.unlink()
        path.symlink_to(draw.choice(["/etc/passwd", "/nowhere", path.name]))
        return
    with h5py.File(path, "a") as file:
        name = draw.choice([key for key in file if isinstance(file[key], h5py.Dataset)])
        shape = file[name].shape or (1,)
        del file[name]
        if draw.random() < 0.5:
            file[name] = h5py.ExternalLink("/etc/passwd", "/x")
        else:
            size = 8 * int(np.prod(shape))
            file.create_dataset(name, shape, "<f8", external=[("/etc/passwd", 0, size)])


_ATTACKS: tuple[Callable[[Path, random.Random], None], ...] = (_flip, _cut, _value, _value, _deep, _odd, _bomb, _link)


def strangers(bench: Bench) -> Trial:
    """Change one file of a folder of results in a random way, and let growth and report read it."""

    def trial(number: int) -> dict[str, float]:
        draw = random.Random(number)
        out = Path(shutil.copytree(bench.done, bench.folder / f"stranger{number}"))
        files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.parent.name != "logs"]
        path, attack = draw.choice(files), draw.choice(_ATTACKS)
        attack(path, draw)
        counts = watched("growth", out)
        for name, value in watched("report", out, report=True).items():
            counts[name] += value
        if any(counts.values()):
            print("stranger", number, path.relative_to(out), attack.__name__, counts, flush=True)
        shutil.rmtree(out)
        return {**counts, "wrong": sum(counts.values())}

    return trial


# ---- files of users


def theirs(bench: Bench) -> Trial:
    """Put files, folders and links of a user into a folder of results, run with other settings, and look for them."""

    def trial(number: int) -> dict[str, float]:
        draw = random.Random(number)
        out = Path(shutil.copytree(bench.done, bench.folder / f"theirs{number}"))
        outside = bench.folder / f"outside{number}"
        shutil.copytree(bench.done / "dyad-D01", outside)
        made: dict[Path, bytes] = {}
        for k in range(6):
            folder = draw.choice(["", "dyad-figures", "dyad-D01", "dyad-D01/ses-01", "dyad-X/ses-01", "logs", "my"])
            name = draw.choice(["notes.txt", "dyad-notes.txt", "plot.png", "my.tsv", "unit.json.bak", "ses-99"])
            path = out / folder / f"{k}-{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"theirs")
            made[path] = b"theirs"
        (out / "dyad-elsewhere").symlink_to(outside)
        before = tree(outside)
        code = call("run", bench.study, "-o", out, "-q", "--seed", 5)
        lost = sum(not path.is_file() or path.read_bytes() != content for path, content in made.items())
        listed = set(json.loads((out / "run.json").read_text())["outputs"]) if (out / "run.json").exists() else set()
        named = sum(path.relative_to(out).as_posix() in listed for path in made)
        counts = {
            "files of theirs": len(made),
            "lost or changed": lost,
            "called outputs": named,
            "changed behind a link": tree(outside) != before,
            "other codes than 0": code != 0,
        }
        shutil.rmtree(out)
        shutil.rmtree(outside)
        return {**counts, "wrong": sum(counts.values()) - len(made)}

    return trial


# ---- what is no file

ODD = ("pipe", "socket", "device", "folder", "link to nothing")


def make_odd(path: Path, kind: str) -> None:
    """Put something into the place of a file that is none."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # its name may have 100 bytes
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "/nowhere")


def odd_files(bench: Bench) -> Trial:
    """Put a pipe, socket, device, folder or dead link into the place of a file of a study, and check and run it."""

    def trial(number: int) -> dict[str, float]:
        draw = random.Random(number)
        study = Path(shutil.copytree(bench.study, bench.folder / f"odd{number}"))
        path = draw.choice([path for path in sorted(study.rglob("*")) if path.is_file()])
        path.unlink()
        make_odd(path, draw.choice(ODD))
        counts = watched("check", study, "--privacy")
        for name, value in watched("run", study, "-o", bench.folder / f"of-odd{number}", "-q").items():
            counts[name] += value
        if any(counts.values()):
            print("odd", number, path.relative_to(study), counts, flush=True)
        shutil.rmtree(study)
        shutil.rmtree(bench.folder / f"of-odd{number}", ignore_errors=True)
        return {**counts, "wrong": sum(counts.values())}

    return trial


# ---- one bit of a buffer's tag


def buffer_tags(folder: Path) -> Trial:
    """Flip one bit of the head of a buffer of a FIF file, and compare what is read with the whole file."""
    import recording_fixtures as make

    folder.mkdir(exist_ok=True)
    file, write = FORMATS["FIF"]
    write(folder / file, 1)
    make.write_fif(folder / "c-raw.fif", 2)
    row = make.session(folder, file, "c-raw.fif", "eeg", clock="assumed")
    content, whole = (folder / file).read_bytes(), _read(row)[1]
    heads = [tag.at for tag in read_tags(folder / file, file) if tag.kind == FIFF.FIFF_DATA_BUFFER]
    bits = [(at, bit) for at in heads for bit in range(128)]
    random.Random(0).shuffle(bits)

    def trial(number: int) -> dict[str, float]:
        at, bit = bits[number % len(bits)]
        damaged = bytearray(content)
        damaged[at + bit // 8] ^= 1 << bit % 8
        (folder / file).write_bytes(damaged)
        done, n_times = _read(row)
        silent = done.ok and n_times != whole and not done.notes
        counts = {"read short or long without a word": silent, "internal errors": done.status in ("failed", "hang")}
        return {"read in full": done.ok and n_times == whole, **counts, "wrong": sum(counts.values())}

    return trial


# ---- people in columns, and amounts that are none


def personal_columns(folder: Path) -> Trial:
    """Make columns of what identifies people, a hundred at a time, and count those that pass."""

    def trial(number: int) -> dict[str, float]:
        rng, passed = np.random.default_rng(number), 0
        for _ in range(100):
            made = _PERSONAL[rng.integers(len(_PERSONAL))]
            cells = {line: made(rng) for line in range(2, 2 + int(rng.integers(4, 30)))}
            passed += find_personal("x", cells, {line: f"D{line // 2}" for line in cells}) is None
        return {"columns": 100, "passed": passed, "wrong": passed}

    return trial


def _day(rng: np.random.Generator, form: str) -> str:
    import datetime

    first = datetime.date(1940, 1, 1)
    return (first + datetime.timedelta(days=int(rng.integers(0, 25_000)))).strftime(form)


_PERSONAL: tuple[Callable[[np.random.Generator], str], ...] = (
    *(
        partial(_day, form=form)
        for form in ("%d.%m.%Y", "%Y-%m-%d", "%m/%d/%y", "%Y%m%d", "%d%m%Y", "%d%m%y", "%d %b %Y")
    ),
    lambda rng: str(rng.integers(14_500, 41_000)),
    lambda rng: str(rng.integers(1_000_000_000, 1_900_000_000)),
    lambda rng: f"0{rng.integers(151, 179)}{rng.integers(1_000_000, 99_999_999)}",
    lambda rng: f"+49 {rng.integers(151, 179)} {rng.integers(1_000_000, 99_999_999)}",
    lambda rng: str(rng.integers(1_000_000_000, 9_999_999_999)),
    lambda rng: f"p{rng.integers(1000)}@example.org",
)


def amounts(folder: Path) -> Trial:
    """Make columns of what studies measure, a hundred at a time, and count those that are left out."""

    def trial(number: int) -> dict[str, float]:
        rng, refused, words = np.random.default_rng(number), 0, 0
        for _ in range(100):
            name, made = _MEASURED[rng.integers(len(_MEASURED))]
            cells = {line: made(rng) for line in range(2, 2 + int(rng.integers(6, 40)))}
            found = find_personal(name, cells, {line: f"D{line // 2}" for line in cells})
            # three dyads with an arm of their own each cannot be told from three names
            words += found is not None and found[1].startswith("a word of its own")
            refused += found is not None and not found[1].startswith("a word of its own")
        return {"columns": 100, "left out": refused, "words of their own, left out": words, "wrong": refused}

    return trial


def _rounded(rng: np.random.Generator, middle: float, to: int) -> str:
    return str(round(middle * float(rng.lognormal(0, 0.5)) / to) * to)


_MEASURED: tuple[tuple[str, Callable[[np.random.Generator], str]], ...] = (
    ("x", partial(_rounded, middle=32_000, to=500)),
    ("x", partial(_rounded, middle=4_000_000, to=100_000)),
    ("income_eur", lambda rng: str(rng.integers(15_000, 59_000))),
    ("income", lambda rng: str(rng.integers(1_200_000, 9_000_000))),
    ("cell_count", lambda rng: str(rng.integers(1_000_000, 9_000_000))),
    ("bdi", lambda rng: str(rng.integers(0, 63))),
    ("wai", lambda rng: f"{rng.uniform(1, 7):.2f}"),
    ("client_age", lambda rng: str(rng.integers(18, 80))),
    ("arm", lambda rng: str(rng.choice(["CBT", "EFT", "waiting list"]))),
    ("cortisol_nmol", lambda rng: f"{rng.lognormal(2, 1):.3f}"),
)


def tests(folder: Path, small: bool) -> Iterator[Test]:
    """List the tests of this file."""
    bench = Bench(folder / "others", *((2, 1) if small else (2, 2)))
    bench.folder.mkdir(exist_ok=True)
    short = Bench(folder / "others-short", 2, 1)  # one file of each kind is there
    short.folder.mkdir(exist_ok=True)

    def test(name: str, wanted: int, few: int, target: str, make: Callable[..., Trial], *more: Any) -> Test:
        return Test(name, few if small else wanted, target, partial(make, *more))

    target = "no hang, no traceback, at most 1.5 GB"
    yield test("a file of a results folder is changed by a stranger", 400, 3, target, strangers, bench)
    yield test("files of a user in a results folder", 40, 1, "0 lost, 0 called outputs", theirs, bench)
    yield test("a pipe, socket, device, folder or dead link in a study", 100, 2, target, odd_files, short)
    target = "never short without a word"
    yield test("one bit flipped, head of a FIF buffer", 600, 3, target, buffer_tags, folder / "tags")
    yield test("columns of what identifies people", 100, 2, "0 pass (batches of 100)", personal_columns, folder)
    yield test("columns of what studies measure", 100, 2, "0 left out (batches of 100)", amounts, folder)
