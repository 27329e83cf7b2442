"""Measure what a study costs as it grows, and what large recordings need; writes docs/reliability/cost.md.

Processor time, not time on the clock: the machine may have other work. The small sessions show what does not depend on
their size; recordings of real size are white noise as preparation leaves it, so that no file has to be read.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import multiprocessing
import os
import platform
import resource
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import fault_runs
import hyperscan
from hyperscan.config import StudyConfig
from hyperscan.pipeline import load_study
from hyperscan.pipeline.output import RunLog
from hyperscan.pipeline.plan import make_plan
from hyperscan.pipeline.resources import session_seconds
from hyperscan.pipeline.stages import Stages
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.pipeline.together import STAGES, Steps
from hyperscan.pipeline.workers import Place, run_tasks
from hyperscan.results import Plan
from hyperscan.schema import ROLES, SessionKey
from hyperscan.storage import write_text
from hyperscan.study import Session
from hyperscan.synchrony import (
    Signals,
    chance_values,
    recipe_of,
    session_attrs,
    session_result,
    session_values,
    shared_windows,
)
from hyperscan.synchrony.lag_null import band_lag_tests
from hyperscan.synchrony.pair import band_profiles, pair_bands

PAGE = Path(__file__).parents[1] / "docs" / "reliability" / "cost.md"

DYADS = (6, 12, 24, 48)

#: Channels per person, minutes, dyads that lend the therapists and the clients; all at 250 Hz with the defaults.
SIZES = ((32, 5, 4, 4), (64, 5, 4, 4), (128, 45, 1, 2))


def planned(stages: Stages) -> Steps[Plan]:
    """Prepare, plan and compute."""
    summaries = yield from stages.prepare()
    plan = make_plan(stages.sessions, [], summaries, stages.config, stages.digests)
    yield from stages.compute(stages.basis(plan))
    return plan


def timed(steps: Steps[Plan], spent: dict[str, float]) -> Plan:
    """Do steps in this process, and add up the processor time of every stage."""
    step = next(steps)
    while True:
        began = time.process_time()
        lost = run_tasks(step.tasks, Place(), step.stage, progress=False)
        spent[step.stage] += time.process_time() - began
        try:
            step = steps.send(lost)
        except StopIteration as ended:
            plan: Plan = ended.value
            return plan


def growing(folder: Path, dyads: Sequence[int] = DYADS) -> list[str]:
    """Rows of the table of small studies: processor time per dyad-session by stage."""
    rows = []
    for n in dyads:
        table, config = load_study(fault_runs.small_study(folder / f"study{n}", n, 1))
        stages = Stages(table.sessions, config, folder / f"out{n}", RunLog(folder / f"out{n}"))
        spent = dict.fromkeys(STAGES, 0.0)
        plan = timed(planned(stages), spent)
        each = [spent[label] / n for label in STAGES]
        rows.append(
            f"| {n} | {len(plan.pseudo_pairs) / n:.0f} | " + " | ".join(f"{s:.2f}" for s in (*each, sum(each))) + " |"
        )
    return rows


def person(number: int, role: str, n_channels: int, seconds: float, sfreq: float = 250.0) -> Signals:
    """White noise as preparation leaves it, with 90 % of its windows clean."""
    rng = np.random.default_rng([number, role == "client"])
    data = rng.standard_normal((n_channels, round(sfreq * seconds)), dtype=np.float32) * np.float32(1e-5)
    n_windows = int(seconds // 20)
    windows = np.stack([np.zeros(n_windows, int), np.arange(n_windows) * round(20 * sfreq)], axis=1)
    edges = [0, n_channels // 3, n_channels // 2, n_channels * 5 // 8, n_channels]
    rois = {"all": tuple(range(n_channels))} | {
        name: tuple(range(*edges[i : i + 2])) for i, name in enumerate(("frontal", "central", "temporal", "posterior"))
    }
    half = np.full(n_channels, 0.5)
    return Signals(
        person=f"{role}{number}",
        key=SessionKey(f"D{number}", 1, "eeg", "", ""),
        sfreq=sfreq,
        ch_names=tuple(f"c{k}" for k in range(n_channels)),
        rois=rois,
        data={"eeg": data},
        spans=np.array([[0, data.shape[1]]]),
        windows=windows,
        clean=rng.random(n_windows) < 0.9,
        s2_line=half,
        s2_quad=half,
        xyz=np.full((n_channels, 3), np.nan),
    )


def large(n_channels: int, minutes: float, n_therapists: int, n_clients: int) -> str:
    """Row of the table of sizes: a batch of pairs, and (for small ones) one session with its lag null."""
    config, seconds = StudyConfig(), 60.0 * minutes
    therapists = {f"D{i}": person(i, "therapist", n_channels, seconds) for i in range(n_therapists)}
    clients = {f"D{i}": person(i, "client", n_channels, seconds) for i in range(1, n_clients + 1)}
    people = [p.person for side in (therapists, clients) for p in side.values()]
    recipe = dataclasses.replace(
        recipe_of(config, "eeg"),
        n_windows=int(0.75 * seconds // 20),
        control=tuple(f"c{k}" for k in range(n_channels // 6)),
        matched_s2=dict.fromkeys(people, 0.4),
    )
    pairs = [(t, c) for t in therapists for c in clients if t != c]
    began = time.process_time()
    chance_values(therapists, clients, pairs, recipe)
    each = (time.process_time() - began) / len(pairs)
    own = estimated = "not measured"
    if n_therapists > 1:
        a, b = therapists["D0"], clients["D1"]
        windows, began = shared_windows(a, b, recipe), time.process_time()
        session = Session("D0", "T", "C", 1, "eeg", Path(), Path(), Path())
        values = session_values(a, b, recipe, windows, n_null=config.n_null, rng=np.random.default_rng(0))
        session_result(a, b, recipe, windows, session_attrs(session, a, windows, config.seed), values.cells)
        alone = time.process_time() - began
        people = {role: PersonSummary.of(one, "all") for role, one in zip(ROLES, (a, b), strict=True)}
        row = Summary(a.key, sfreq=a.sfreq, seconds=20.0 * len(windows.therapist), people=people)
        own = f"{alone:.1f}"
        estimated = f"{alone + (n_clients - 1) * each:.1f} ({session_seconds(row, config, n_clients - 1):.1f})"
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
    return (
        f"| {n_channels} | {minutes:g} | {n_therapists} x {n_clients} | {each:.2f} | {own} | {estimated} | {peak:.1f} |"
    )


def profile_cost(n_channels: int = 32, minutes: float = 5.0, repeats: int = 20) -> str:
    """Say what the lag profile of a pair costs beside the lag null of a session."""
    config, sfreq, null = StudyConfig(), 250.0, 0.0
    a, b = (person(number, "therapist", n_channels, 60 * minutes) for number in (0, 1))
    a, b = (dataclasses.replace(one, clean=np.ones(len(one.clean), bool)) for one in (a, b))
    recipe = dataclasses.replace(recipe_of(config, "eeg"), n_windows=len(a.clean))
    windows = shared_windows(a, b, recipe)
    # the first call loads compiled code
    band_lag_tests(next(pair_bands(a, b, recipe, windows)), a, b, recipe, n_null=99, rng=np.random.default_rng(0))
    for both in pair_bands(a, b, recipe, windows):
        began = time.process_time()
        band_lag_tests(both, a, b, recipe, n_null=config.n_null, rng=np.random.default_rng(0))
        null += time.process_time() - began
        if both.band == recipe.primary.band:
            began = time.process_time()
            for _ in range(repeats):
                band_profiles(both, sfreq, recipe, windows)
            profiles = time.process_time() - began
    each = profiles / repeats
    # a pair of people serves two dyads, and a dyad is re-paired with at most 20 others
    return (
        f"{n_channels} channels, {minutes:g} min: {each:.3f} s for each pair of people, {each / null:.1%} of the "
        f"{null:.2f} s that the lag null of a session takes; with the pseudo pairs of 8 dyads {8 * each / null:.0%}, "
        f"with those of 21 dyads or more {21 * each / null:.0%}"
    )


#: What grows: a session of so many channels per person, minutes, bands and metrics, and each of them doubled in turn.
BASE = {"channels": 16, "minutes": 5.0, "bands": 2, "metrics": 2}


def session_cost(channels: int, minutes: float, bands: int, metrics: int) -> float:
    """Processor time of one dyad-session after preparation, in s: values, lag null, own chance and guards."""
    config = StudyConfig()
    chosen = {name: config.bands_of("eeg")[name] for name in ("alpha", "beta", "theta", "gamma")[:bands]}
    # plv and imcoh rest on other products; accorr and ciplv on those of plv
    names = ("plv", "imcoh", "accorr", "ciplv")[:metrics]
    recipe = recipe_of(dataclasses.replace(config, bands=chosen, metrics={"eeg": names}), "eeg")
    a, b = (person(1, role, channels, 60 * minutes) for role in ROLES)
    recipe = dataclasses.replace(recipe, matched_s2=dict.fromkeys((a.person, b.person), 0.4))
    windows = shared_windows(a, b, recipe)
    began = time.process_time()
    session_values(a, b, recipe, windows, n_null=config.n_null, rng=np.random.default_rng(0))
    return time.process_time() - began


def exponents(base: Mapping[str, float]) -> list[str]:
    """Rows of the table of what doubles: time before and after, and the exponent that this means."""
    session_cost(4, 2.0, 1, 4)  # compiles
    before, rows = session_cost(**base), []  # type: ignore[arg-type]
    for name, value in base.items():
        after = session_cost(**{**base, name: 2 * value})  # type: ignore[arg-type]
        cells = (
            name,
            f"{value:g}",
            f"{2 * value:g}",
            f"{before:.2f}",
            f"{after:.2f}",
            f"{math.log2(after / before):.1f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _alone(size: tuple[int, int, int, int], rows: Any) -> None:
    warnings.simplefilter("ignore")
    rows.put(large(*size))


def in_a_process(size: tuple[int, int, int, int]) -> str:
    """Measure a size in a process of its own: a peak stays for as long as its process."""
    context = multiprocessing.get_context("spawn")
    rows = context.Queue()
    process = context.Process(target=_alone, args=(size, rows))
    process.start()
    row = rows.get()
    process.join()
    return str(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one small study and size, for CI; writes no page")
    parser.add_argument("--profile", action="store_true", help="say what the lag profile costs, and stop")
    asked = parser.parse_args()
    if asked.profile:
        print(profile_cost())
        return
    few = asked.small
    with tempfile.TemporaryDirectory() as name:
        small = growing(Path(name), DYADS[:1] if few else DYADS)
    grown = exponents({**BASE, "channels": 4, "minutes": 2.0} if few else BASE)
    sizes = [in_a_process(size) for size in ([(8, 2, 2, 2)] if few else SIZES)]
    if few:
        print(*small, *grown, *sizes, sep="\n")
        return
    people = {role: PersonSummary.of(person(1, role, 64, 60.0), "all") for role in ROLES}
    session = Summary(SessionKey("D", 1, "eeg", "", ""), sfreq=250.0, seconds=0.85 * 45 * 60, people=people)
    hours = 1000 * session_seconds(session, StudyConfig(), 20) / 3600
    where = f"{platform.system()}, {os.cpu_count()} cores shared with other work, Python {platform.python_version()}"
    page = TEXT.format(
        when=f"{datetime.now(UTC):%Y-%m-%d}, version {hyperscan.__version__}",
        where=where,
        small="\n".join(small),
        sizes="\n".join(sizes),
        grown="\n".join(grown),
        profile=profile_cost(),
        hours=hours,
    )
    write_text(PAGE, page)


TEXT = """# What a study costs

```
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python scripts/measure_cost.py
```

{when}; {where}. Processor time in s, one thread.

**As a study grows.** One session number, 30-s sessions with 2 channels: what remains per dyad-session when recordings
are small. A dyad is re-paired with at most 20 others, so the cost stays flat from there on.

| dyads | pairs per dyad-session | preparation | pairs | synchrony | together |
|---|---|---|---|---|---|
{small}

**As recordings grow.** 250 Hz, 4 bands, the default metrics, 1000 surrogates. A pair of people serves two dyads and is
computed once; everyone in a batch is filtered once. The last size is the largest batch that fits: a worker takes at
most 5 GB for a batch, and smaller recordings meet in larger batches (up to 10 x 10), where a pair costs less.

| channels | minutes | batch | per pair | own session, lag null | dyad-session (estimate of `check`) | peak, GB |
|---|---|---|---|---|---|---|
{sizes}

**What doubling costs.** A dyad-session after preparation, each of its sizes doubled in turn; 1 means twice the time,
2 four times. Sessions are independent of each other, so twice as many cost twice as much.

| what | from | to | s | s, doubled | exponent |
|---|---|---|---|---|---|
{grown}

**The lag profile** of the primary band (`--profile`): {profile}.

By the formula of the estimate, not measured: 50 dyads x 20 sessions of 45 min with 64 channels take about {hours:.0f} h
of one core after preparation. `hyperscan check --prepare OUT` says it for a study at hand.
"""


if __name__ == "__main__":
    main()
