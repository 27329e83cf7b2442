"""How often a task response is said to change, in studies of known truth; writes docs/validation/responses.md.

Light is made in the time domain, with no code of the estimate or of ``hyperscan.simulate``: leaky integrators for the
response and the drift, resonators for breathing, Mayer waves and the heart beat.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import mne
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import lfilter
from scipy.stats import binomtest

from hyperscan.config import StudyConfig
from hyperscan.growth import fit_within
from hyperscan.recording import PairedRecording, align_pair, preprocess_pair
from hyperscan.schema import ROLES, Index, SessionKey
from hyperscan.simulate import Optodes
from hyperscan.simulate.fnirs import write_snirf
from hyperscan.storage import write_text
from hyperscan.study import Session
from hyperscan.synchrony import WithinValue, recipe_of, signals_of, within_values

Array = npt.NDArray[np.float64]

PAGE = Path(__file__).parents[1] / "docs" / "validation" / "responses.md"

SFREQ = 5.0
PROBE = Optodes(n_long=8, n_short=2)
REGIONS = {
    "lPFC": ("S1_D1", "S2_D2"),
    "rPFC": ("S3_D3", "S4_D4"),
    "lTPJ": ("S5_D5", "S6_D6"),
    "rTPJ": ("S7_D7", "S8_D8"),
}
CONFIG = StudyConfig(
    metrics={"fnirs": ["corr"]},
    within_metrics={"fnirs": ["corr"]},
    primary={"metric": "corr", "band": "slow", "roi": "lPFC-lPFC"},
    rois=REGIONS,
    fnirs_tasks=["talk"],
)
#: Length of an event in s, and shortest and longest pause.
EVENT_S, PAUSE_S = 12.0, (14.0, 24.0)


@dataclass(frozen=True)
class Truth:
    """What one person's session holds."""

    #: Height of the response of HbO in µM, in all regions, and beyond that in the first one
    height_um: float = 0.4
    more_um: float = 0.0
    #: Waves of the scalp, and noise of the instrument, 1 = as usual
    waves: float = 1.0
    noise: float = 1.0
    #: Movements in a session
    jumps: int = 2
    #: How much of the task's course the scalp follows, in µM
    scalp_um: float = 0.2


#: A course: what client and therapist hold at u = 0 (first session) to 1 (last).
Course = Callable[[float], tuple[Truth, Truth]]

#: Scenario to its course, and to the verdict that is wanted of every index that is named (empty: no claim at all).
SCENARIOS: dict[str, tuple[Course, dict[Index, str]]] = {
    "nothing": (lambda _: (Truth(), Truth()), {Index("response", "talk", "lPFC"): ""}),
    "client: the response grows in lPFC": (
        lambda u: (Truth(more_um=0.8 * u), Truth()),
        {
            Index("response", "talk", "lPFC"): "changes_up",
            Index("laterality", "talk", "lPFC-rPFC"): "changes_up",
            Index("response", "talk", "rPFC"): "",
            Index("response", "talk", "lTPJ"): "",
            Index("laterality", "talk", "lTPJ-rTPJ"): "",
        },
    ),
    "both people: the response grows in lPFC": (
        lambda u: (Truth(more_um=0.8 * u), Truth(more_um=0.8 * u)),
        {Index("response", "talk", "lPFC"): ""},
    ),
    "client: waves, noise and movements grow": (
        lambda u: (Truth(waves=1 + u, noise=1 + 3 * u, jumps=2 + round(8 * u)), Truth()),
        {Index("response", "talk", "lPFC"): "", Index("laterality", "talk", "lPFC-rPFC"): ""},
    ),
    "client: the scalp comes to follow the task": (
        lambda u: (Truth(scalp_um=0.2 + 1.2 * u), Truth()),
        {Index("response", "talk", "lPFC"): ""},
    ),
}


def resonator(freq: float, width: float, n_times: int, rng: np.random.Generator) -> Array:
    """Wave of unit variance: a second-order recursive filter of white noise."""
    radius, warm = np.exp(-np.pi * width / SFREQ), round(60 * SFREQ)
    below = [1.0, -2 * radius * np.cos(2 * np.pi * freq / SFREQ), radius**2]
    x = lfilter([1.0], below, rng.standard_normal(n_times + warm))[warm:]
    return np.asarray(x / x.std())


def response(course: Array) -> Array:
    """Answer of the vessels: three leaky integrators of 1.8 s, less a slow one; 1 for a long event."""

    def leaky(x: Array, seconds: float) -> Array:
        leak = np.exp(-1 / (seconds * SFREQ))
        return np.asarray(lfilter([1 - leak], [1.0, -leak], x))

    fast = leaky(leaky(leaky(course, 1.8), 1.8), 1.8)
    return np.asarray(1.15 * fast - 0.15 * leaky(fast, 8.0))


def light(truth: Truth, course: Array, person: Array, rng: np.random.Generator) -> Array:
    """Make one person's light, (n_channels * 2, n_times); ``person`` holds the size of the response per channel."""
    n_times = len(course)
    answer = response(course)
    mayer, breath, beat = (resonator(*of, n_times, rng) for of in ((0.1, 0.02), (0.25, 0.05), (1.1, 0.1)))
    drift = lfilter([1.0], [1.0, -0.9995], rng.standard_normal(n_times))
    scalp = truth.waves * (0.5 * mayer + 0.25 * breath + 0.3 * beat + 0.4 * drift / drift.std())
    scalp = scalp + truth.scalp_um * answer
    extinction = np.array([[134.96, 356.62], [243.66, 159.21]])  # 1/(M mm) of HbO and HbR at 760 and 850 nm
    rows, jumps = [], rng.integers(0, n_times, truth.jumps)
    for number, (_, _, distance) in enumerate(PROBE.channels):
        own = 0.15 * resonator(0.04, 0.05, n_times, rng)
        if number < PROBE.n_long:
            own = own + (truth.height_um + truth.more_um * (number < 2)) * person[number] * answer
        blood = 1e-6 * np.stack([own + scalp, -0.35 * own + 0.15 * scalp])
        density = distance * 6.0 * extinction @ blood
        density += truth.noise * 2e-4 * rng.standard_normal(density.shape)
        for at in jumps:
            density[:, at:] += 0.05 * rng.standard_normal()
            density[:, at : at + 3] += 0.3 * rng.standard_normal()
        rows.append(np.exp(-density))
    return np.concatenate(rows)


@cache
def probe_info() -> mne.Info:
    """Channels and optodes of the probe."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "probe.snirf"
        write_snirf(path, np.ones((2 * len(PROBE.channels), 10)), PROBE, SFREQ)
        return mne.io.read_raw_snirf(path, verbose="error").info


#: Values and facts of quality of one recording.
Found = tuple[Sequence[WithinValue], dict[str, object]]


def prepared(
    recordings: Sequence[tuple[str, Truth]], people: Mapping[str, Array], seed: Sequence[int], seconds: float
) -> dict[tuple[str, Truth], Found]:
    """Make what a session's scenarios hold of each person, prepare it two by two as a run does, and compute indices."""
    info, recipe, here, rng = probe_info(), recipe_of(CONFIG, "fnirs"), Path("study"), np.random.default_rng(seed)
    starts = [15.0]
    while starts[-1] + 2 * EVENT_S + PAUSE_S[1] + 15 < seconds:
        starts.append(starts[-1] + EVENT_S + rng.uniform(*PAUSE_S))
    times = np.arange(round(seconds * SFREQ)) / SFREQ
    events = sum(((times >= start) & (times < start + EVENT_S)).astype(float) for start in starts)
    found = {}
    for two in zip(recordings[::2], recordings[1::2], strict=True):
        raws = []
        for role, now in two:
            own = np.random.default_rng([*seed, ROLES.index(role)])
            raw = mne.io.RawArray(light(now, np.asarray(events), people[role], own), info, verbose="error")
            raws.append(raw.set_annotations(mne.Annotations(starts, EVENT_S, "talk"), verbose="error"))
        row = Session("D", "T", "C", 1, "fnirs", here, here, here, clock="same_amplifier")
        pair = preprocess_pair(align_pair(PairedRecording(*raws, row)), CONFIG)
        assert pair.quality is not None
        for place, each in zip(ROLES, two, strict=True):
            signals = signals_of(pair, place, CONFIG)
            values = within_values(signals, np.zeros(1, int), signals.data["hbo"].shape[-1], recipe)
            found[each] = values, vars(pair.quality.of(place))
    return found


def studies(asked: argparse.Namespace, seed: int) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Make within.tsv and quality.tsv of one study of every scenario; they share the recordings that hold the same."""
    rows: dict[str, tuple[list[dict[str, object]], list[dict[str, object]]]] = {name: ([], []) for name in SCENARIOS}
    for dyad in range(asked.dyads):
        rng = np.random.default_rng([seed, dyad])
        people = {role: rng.lognormal(0, 0.25, PROBE.n_long) for role in ROLES}
        for session in range(asked.sessions):
            held = {name: course(session / (asked.sessions - 1)) for name, (course, _) in SCENARIOS.items()}
            needed = [each for two in held.values() for each in zip(ROLES, two[::-1], strict=True)]
            found = prepared(list(dict.fromkeys(needed)), people, (seed, dyad, session), asked.seconds)
            key = SessionKey(f"D{dyad:02d}", session + 1, "fnirs", "", "")._asdict()
            labels = {**key, "therapist": f"T{dyad}", "client": f"C{dyad}", "days": 7.0 * session, "signal": "hbo"}
            for name, (client, therapist) in held.items():
                for role, now in zip(ROLES, (therapist, client), strict=True):
                    values, quality = found[role, now]
                    rows[name][0].extend(
                        {**labels, "person": role, **each.index._asdict(), "value": each.value} for each in values
                    )
                    rows[name][1].append({**key, "person": role, **quality})
    return {
        name: (pd.DataFrame(within).rename(columns={"name": "index"}), pd.DataFrame(quality))
        for name, (within, quality) in rows.items()
    }


def interval(hits: int, n: int) -> str:
    """Share with its exact 95 % interval."""
    low, high = binomtest(hits, n).proportion_ci()
    return f"{hits}/{n} ({low:.2f}-{high:.2f})"


def answers(asked: argparse.Namespace) -> tuple[list[str], int]:
    """Ask every study of every scenario; lines of the table, and the number of studies."""
    questions = [(name, index) for name, (_, asked_of) in SCENARIOS.items() for index in asked_of]
    done = [json.loads(line) for line in asked.state.read_text().splitlines()] if asked.state.is_file() else []
    while len(done) < asked.studies and time.process_time() < 60 * asked.minutes:
        made = studies(asked, 1000 * asked.seed + len(done))
        results = [fit_within(made[name][0], index, made[name][1], n_flips=999) for name, index in questions]
        done.append(
            [
                (
                    result.verdict,
                    result.weighted.slope * (asked.sessions - 1),
                    [guard.name for guard in result.guards if guard.passed is False],
                )
                for result in results
            ]
        )
        asked.state.parent.mkdir(parents=True, exist_ok=True)
        with asked.state.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(done[-1]) + "\n")
        print(f"study {len(done)}: {time.process_time():.0f} s of processor time", flush=True)
    lines = []
    for number, (name, index) in enumerate(questions):
        found = [study[number] for study in done]
        words = Counter(word for word, _, _ in found)
        failed = Counter(guard for word, _, guards in found if word == "confounded" for guard in guards)
        wanted = SCENARIOS[name][1][index]
        claims = sum(n for word, n in words.items() if word.startswith("changes"))
        share = interval(words[wanted] if wanted else claims, len(done))
        told, stopped = (", ".join(f"{word} {n}" for word, n in count.most_common()) for count in (words, failed))
        mean = f"{np.mean([slope for _, slope, _ in found]):+.2f}"
        lines.append(f"| {name} | `{index}` | {mean} | {wanted or 'no claim'} | {share} | {told} | {stopped} |")
        print(lines[-1], flush=True)
    return lines, len(done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20, help="studies per scenario")
    parser.add_argument("--minutes", type=float, default=1e3, help="of processor time, after which no study begins")
    parser.add_argument("--dyads", type=int, default=10)
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--state", type=Path, default=PAGE.parents[2] / "build" / "responses.jsonl", help="studies done"
    )
    parser.add_argument("--small", action="store_true", help="one small study per scenario, nothing is written")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.small:
        asked.studies, asked.dyads, asked.sessions, asked.seconds = 1, 6, 2, 150.0
        with TemporaryDirectory() as folder:
            asked.state = Path(folder) / "responses.jsonl"
            answers(asked)
        return
    lines, n_studies = answers(asked)
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
    made += f"Python {platform.python_version()}"
    told = f"--studies {n_studies} --dyads {asked.dyads} --sessions {asked.sessions} --seconds {asked.seconds:g}"
    command = f"python scripts/validate_responses.py {told} --seed {asked.seed}"
    head = f"""# Task responses of each person: claims and false claims

{n_studies} studies per line of {asked.dyads} dyads with {asked.sessions} sessions of {asked.seconds:g} s, two long
channels per region and two short ones, {EVENT_S:g}-s events. A response is 0.4 µM of HbO and as -0.35 of HbR; one that
grows does so by 0.8 µM. Change is the mean slope times {asked.sessions - 1}, in µM. A claim is any verdict that begins
with `changes`; where one is wanted the share is that of exactly this verdict, else that of all claims. Shares with
exact 95 % intervals. Light is made without code of the estimate or of `hyperscan.simulate` and prepared as in a run.
Studies of one line are independent of each other; lines share the recordings that hold the same.

Made by `{command}` on {made}.

| what changes over the sessions | index named | change | wanted | share | verdicts | guards that failed |
|---|---|---|---|---|---|---|
"""
    write_text(PAGE, head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
