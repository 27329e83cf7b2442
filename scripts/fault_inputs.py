"""Damaged recordings, generated tables and settings, and payloads in a browser, for scripts/faults.py."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hyperscan.config import StudyConfig
from hyperscan.errors import HyperscanError
from hyperscan.pipeline.output import check_output
from hyperscan.pipeline.prepare import attempt
from hyperscan.pipeline.summary import Attempt, Summary
from hyperscan.pipeline.unit import read_manifest, units_of
from hyperscan.recording import align_pair, load_session, preprocess_pair
from hyperscan.study import Session, read_table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import recording_fixtures as make
from report_fixtures import Fake, growth_of_fake, write_fake

#: A trial takes its number, which seeds it, and returns counts to add up; ``wrong`` and ``slowest_s`` are among them.
Trial = Callable[[int], dict[str, float]]


class Test(NamedTuple):
    """A fault, how many trials are wanted, what should come out, and what makes the trial."""

    name: str
    wanted: int
    target: str
    make: Callable[[], Trial]


#: Longer than this is a hang.
HANG_S = 30

EEG = StudyConfig(window_s=5.0)
FNIRS = StudyConfig(min_seconds=20.0, fnirs_min_sci=0.0)

#: Name of the damaged file, and how it is written.
FORMATS: dict[str, tuple[str, Callable[..., Any]]] = {
    "FIF": ("t-raw.fif", make.write_fif),
    "EDF": ("t.edf", make.write_edf),
    "BDF": ("t.bdf", make.write_edf),
    "BrainVision": ("t.vhdr", make.write_brainvision),
    "EEGLAB": ("t.set", make.write_set),
    "SNIRF": ("t.snirf", make.write_snirf),
    "XDF": ("t.xdf", lambda path, seed: make.write_xdf(path, [make.xdf_person(seed, "A", np.arange(2000) / 100)])),
}


class Hang(BaseException):
    """A reader that does not come back; no ``except Exception`` may swallow it."""


def damaged(folder: Path, kind: str, name: str) -> Trial:
    """Return a trial that flips one bit of a recording, or cuts it short, and reads it as a run does."""
    file, write = FORMATS[name]
    folder.mkdir(exist_ok=True)
    write(folder / file, 1)
    modality = "fnirs" if name == "SNIRF" else "eeg"
    partner = (make.write_snirf if modality == "fnirs" else make.write_fif)(
        folder / ("c.snirf" if modality == "fnirs" else "c-raw.fif"), 2
    )
    row = make.session(folder, file, partner.name, modality, clock="assumed")
    row = dataclasses.replace(row, therapist_channels="stream:A") if name == "XDF" else row
    whole, sides = _read(row)[1], [path for path in folder.glob("t*") if path.is_file()]
    assert whole, f"{name}: the undamaged file is not read"
    contents = {side: side.read_bytes() for side in sides}

    def trial(number: int) -> dict[str, float]:
        dice = random.Random(f"{kind} {name} {number}")
        side = dice.choice(sorted(sides))
        side.write_bytes(_damage(contents[side], kind, dice))
        began = time.monotonic()
        try:
            done, n_times = _read(row)
        finally:
            side.write_bytes(contents[side])
        took = time.monotonic() - began
        counts = {
            "internal errors": done.status == "failed",
            "hangs": done.status == "hang",
            "messages without the file or its session": done.status == "skipped"
            and not any(name in done.reason for name in (str(row.key), *(side.name for side in sides))),
            "short reads without a word": kind == "cut" and 0 < n_times < whole and not done.notes,
        }
        if any(counts.values()):
            print(name, kind, number, side.name, done.status, done.reason, done.traceback, flush=True)
        return {**counts, "wrong": sum(counts.values()), "slowest_s": took}

    return trial


def _damage(content: bytes, kind: str, dice: random.Random) -> bytes:
    if kind == "cut":
        return content[: dice.randrange(len(content))]
    data = bytearray(content)
    data[dice.randrange(min(4096, len(data))) if dice.random() < 0.5 else dice.randrange(len(data))] ^= (
        1 << dice.randrange(8)
    )
    return bytes(data)


def _read(row: Session) -> tuple[Attempt, int]:
    read = [0]

    def work() -> Attempt:
        pair = load_session(row)
        read[0] = pair.therapist.n_times
        preprocess_pair(align_pair(pair), FNIRS if row.modality == "fnirs" else EEG)
        return Attempt(row.key)

    def hang(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, hang)
    signal.alarm(HANG_S)
    try:
        return attempt(row.key, work, Attempt), read[0]
    except Hang:
        return Attempt(row.key, "hang"), 0
    finally:
        signal.alarm(0)


# ---- tables, settings and records that hypothesis makes up


def generated(folder: Path, kind: str, n_examples: int) -> Trial:
    """Return a trial that reads ``n_examples`` made-up files of one kind."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    folder.mkdir(exist_ok=True)
    for name in ("a.edf", "b.edf"):
        (folder / name).write_bytes(b"0")
    out = folder.parent / f"{folder.name}-out"
    strategy, read = {
        "tables": (_tables(st), _read_table),
        "TOML": (_tomls(st), _read_toml),
        "JSON": (_jsons(st), _read_json),
    }[kind]
    options: dict[str, Any] = {
        "max_examples": n_examples, "database": None, "deadline": None, "phases": [Phase.generate],
        "suppress_health_check": list(HealthCheck),
    }  # fmt: skip

    def trial(number: int) -> dict[str, float]:
        counts = {"files": 0, "uncaught exceptions": 0, "paths outside": 0}

        @seed(number)
        @settings(**options)
        @given(strategy)
        def each(text: str) -> None:
            counts["files"] += 1
            try:
                counts["paths outside"] += read(folder, out, text)
            except HyperscanError:
                pass
            except Exception as error:
                counts["uncaught exceptions"] += 1
                print(kind, number, type(error).__name__, error, repr(text)[:400], flush=True)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            each()
        return {**counts, "wrong": counts["uncaught exceptions"] + counts["paths outside"]}

    return trial


def _read_table(folder: Path, out: Path, text: str) -> int:
    (folder / "dyads.tsv").write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    table = read_table(folder)
    files = [path for row in table.sessions for path in (row.therapist_file, row.client_file)]
    outside = [path for path in files if not path.resolve().is_relative_to(folder.resolve())]
    outside += [unit for unit in units_of(table.sessions) if (out / unit.name).resolve().parents[1] != out.resolve()]
    return len(outside)


def _read_toml(folder: Path, out: Path, text: str) -> int:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    config = StudyConfig.from_toml(path)
    path.write_text(config.to_toml())
    StudyConfig.from_toml(path)
    return 0


def _read_json(folder: Path, out: Path, text: str) -> int:
    """Put made-up JSON where a run reads what an earlier one left."""
    out.mkdir(exist_ok=True)
    for name in ("unit.json", "dataset_description.json"):
        (out / name).write_text(text, encoding="utf-8", errors="surrogatepass")
    read_manifest(out, Summary)
    with contextlib.suppress(HyperscanError):
        check_output(out, [])
    return 0


def _tables(st: Any) -> Any:
    known = ["dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file"]
    extra = ["days", "date", "task", "run", "start_s", "stop_s", "clock", "sync_event", "include", "mood", "", "Dyad"]
    good = {
        "dyad": ["D1", "D2"], "therapist": ["T1", "T2"], "client": ["C1", "C2"], "session": ["1", "2", "01"],
        "modality": ["eeg", "fnirs"], "therapist_file": ["a.edf"], "client_file": ["b.edf"],
    }  # fmt: skip
    odd = [
        "",
        "n/a",
        "-1",
        "1e9",
        "../../x",
        "/etc/passwd",
        "..",
        "=1+1",
        "a\0b",
        "é",
        "١",
        "nan",
        "9" * 400,
        "a b",
        '"',
        "x/y",
    ]

    def cell(column: str) -> Any:
        usual = st.sampled_from(good.get(column, ["1", "2"]))
        return st.one_of(usual, usual, usual, st.sampled_from(odd), st.text(max_size=12))

    @st.composite
    def table(draw: Any) -> str:
        columns = draw(st.one_of(st.just(known), st.just(known), st.lists(st.sampled_from(known + extra), max_size=9)))
        columns = [*columns, *draw(st.lists(st.sampled_from(extra), max_size=3))]
        rows = [[draw(cell(name)) for name in columns] for _ in range(draw(st.integers(0, 4)))]
        lines = ["\t".join(row) for row in [columns, *rows]]
        return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))

    return table()


def _tomls(st: Any) -> Any:
    names = [field.name for field in dataclasses.fields(StudyConfig)]
    scalar = st.one_of(
        st.booleans(), st.integers(), st.floats(), st.text(max_size=10),
        st.sampled_from(["plv", "alpha", "posterior-posterior", "days", "all", "../x"]),
    )  # fmt: skip
    value = st.recursive(
        scalar, lambda inner: st.one_of(st.lists(inner, max_size=3), _mapping(st, inner)), max_leaves=6
    )

    def text(settings: dict[str, Any]) -> str:
        return "\n".join(f"{_key(name)} = {_toml(item)}" for name, item in settings.items())

    usual = st.dictionaries(st.one_of(st.sampled_from(names), st.text(max_size=6)), value, max_size=4).map(text)
    return st.one_of(usual, usual, usual, st.text(max_size=60))


def _mapping(st: Any, inner: Any) -> Any:
    keys = st.sampled_from(["eeg", "fnirs", "alpha", "metric", "band", "roi", "task", "frontal", "a b"])
    return st.dictionaries(st.one_of(keys, st.text(max_size=4)), inner, max_size=3)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value) if isinstance(value, str | bool) else str(value)


def _jsons(st: Any) -> Any:
    scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
    keys = st.one_of(
        st.sampled_from(["digest", "files", "rows", "prepared", "key", "GeneratedBy", "Name"]), st.text(max_size=5)
    )
    value = st.recursive(
        scalar,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=12,
    )
    return st.one_of(value.map(json.dumps), value.map(json.dumps), st.text(max_size=40))


# ---- payloads in a browser

_MARK = "document.documentElement.setAttribute('pwned-{n}','1')"
_PATTERNS = (
    "<script>{js}</script>", '"><img src=x onerror="{js}">', "'><img src=x onerror=\"{js}\">", "<svg onload={js}>",
    "</style><script>{js}</script>", "</title><script>{js}</script>", "</textarea><script>{js}</script>",
    "--><script>{js}</script>", "]]><script>{js}</script>", "<body onload={js}>", "<details open ontoggle={js}>",
    "<video><source onerror={js}></video>", "<input autofocus onfocus={js}>",
    "<iframe srcdoc='<script>parent.{js}</script>'>",
    "<iframe src=\"javascript:parent.{js}\">", '" autofocus onfocus="{js}', "' onmouseover='{js}", "x');{js};('",
    "<a href=\"javascript:{js}\">x</a>", "<object data=\"javascript:{js}\">", "<embed src=\"javascript:{js}\">",
    "<math><mi xlink:href=\"javascript:{js}\">x", "<form action=\"javascript:{js}\"><button>x",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=\"0;url=javascript:{js}\">",
    "<link rel=stylesheet href=//evil.example/{n}.css>",
    "{{{{ {js} }}}}", "{{% raw %}}<script>{js}</script>", "\\u003cscript>{js}</script>", "<scr\tipt>{js}</script>",
)  # fmt: skip


def payloads(folder: Path) -> Trial:
    """Return a trial that opens a report full of payloads, and, as a control, a page that does not escape them."""
    from hyperscan.growth.records import OutcomeRelation
    from hyperscan.report import build_report
    from hyperscan.results.plan import Plan, Remark, Skip
    from hyperscan.storage import write_json

    folder.mkdir(exist_ok=True)
    all_of_them = [pattern.format(js=_MARK.format(n=n), n=n) for n, pattern in enumerate(_PATTERNS)]

    def trial(number: int) -> dict[str, float]:
        text = " ".join(all_of_them)
        lost = tuple(Skip(p, 1, "eeg", p, p, p) for p in all_of_them)
        out = write_fake(folder / "report", Fake(n_dyads=3, n_sessions=3))
        growth, plan = growth_of_fake(out), Plan.load(out / "plan.json")
        guards = [
            dataclasses.replace(guard, name=payload, detail=payload, figure=payload)
            for guard, payload in zip(growth.guards, all_of_them, strict=False)
        ]
        outcomes = [OutcomeRelation(payload, payload, payload, payload) for payload in all_of_them]
        dataclasses.replace(growth, sentence=text, guards=tuple(guards), outcomes=outcomes).save(out)
        findings = tuple(Remark(payload, payload, payload) for payload in all_of_them)
        write_json(out / "plan.json", dataclasses.replace(plan, skipped=lost, findings=findings).to_dict())
        (out / "config.toml").write_text("# " + text + "\n")
        made_by = [{"Name": payload, "Version": payload} for payload in all_of_them]
        write_json(out / "dataset_description.json", {"GeneratedBy": made_by})
        build_report(out)
        bare = folder / "control.html"
        bare.write_text("<title>x</title>" + "\n".join(f"<p>{payload}</p>" for payload in all_of_them[:4]))
        active, control = _active(out / "report.html"), _active(bare)
        assert control, "the browser does not run what it should: the test shows nothing"
        shutil.rmtree(out)
        return {
            "payloads": len(all_of_them),
            "active": len(active),
            "active in the control": len(control),
            "wrong": len(active),
        }

    return trial


def _active(page: Path) -> set[str]:
    """Markers that ran in the browser, and event attributes that would run on a click."""
    with tempfile.TemporaryDirectory() as profile:
        dom = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             "--virtual-time-budget=3000", "--dump-dom", page.as_uri()],
            capture_output=True, text=True, timeout=300, check=True,
        ).stdout  # fmt: skip
    assert "</html>" in dom
    return set(re.findall(r"pwned-\d+", dom.partition(">")[0] + (re.search(r"<html[^>]*>", dom) or [""])[0])) | {
        tag
        for tag in re.findall(r"<[a-z]+(?:\s[^<>]*)?\son[a-z]+=[^<>]*>", dom)
        if "pwned" in tag and "&lt;" not in tag
    }


def tests(folder: Path, small: bool) -> Iterator[Test]:
    """List the tests of this file."""
    for name in FORMATS:
        target = "no hang, no traceback; file named"
        yield Test(
            f"one bit flipped, {name}", 2 if small else 1000, target, partial(damaged, folder / name, "flip", name)
        )
        target += "; no silent short read"
        yield Test(f"cut short, {name}", 2 if small else 50, target, partial(damaged, folder / name, "cut", name))
    for kind, batches in (("tables", 50), ("TOML", 30), ("JSON", 20)):
        make_it = partial(generated, folder / kind, kind, 20 if small else 100)
        target = "no uncaught exception, no path outside (batches of 100)"
        yield Test(f"generated {kind}", 1 if small else batches, target, make_it)
    if shutil.which("chromium"):
        yield Test("payloads in Chromium", 1, "none active", partial(payloads, folder / "page"))
