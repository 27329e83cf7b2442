"""How often an index of one person is said to change, in studies of known truth; writes docs/validation/persons.md.

The signals are made in the time domain by recursive filters and event trains, with no code of the indices or of
``hyperscan.simulate``: a resonator for every rhythm, a sum of leaky integrators for the background.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import lfilter
from scipy.stats import binomtest

from hyperscan.config import StudyConfig
from hyperscan.growth import fit_within
from hyperscan.schema import ROLES, Index, SessionKey
from hyperscan.storage import write_text
from hyperscan.synchrony import Recipe, Signals, WithinValue, recipe_of
from hyperscan.synchrony.pair import person_bands
from hyperscan.synchrony.within import PersonView

Array = npt.NDArray[np.float32]

PAGE = Path(__file__).parents[1] / "docs" / "validation" / "persons.md"

SFREQ = 128.0
WINDOW_S = 10.0
#: Sites by region, how strongly each has the posterior alpha rhythm, and the frontal theta rhythm.
SITES = {
    "frontal": ("F3", "Fz", "F4", "F7", "F8"),
    "temporal_left": ("T7", "TP7"),
    "temporal_right": ("T8", "TP8"),
    "posterior": ("P3", "Pz", "O1", "O2"),
}
NAMES = tuple(name for names in SITES.values() for name in names)
ALPHA_SHARE = dict(zip(NAMES, (0.15, 0.15, 0.2, 0.1, 0.1, 0.2, 0.25, 0.2, 0.25, 0.7, 0.8, 1.0, 1.0), strict=True))
THETA = dict(zip(NAMES, (0.6, 1.0, 0.6, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.1, 0.1), strict=True))
#: Networks of the user's, each of two regions.
NETWORKS = {
    "first": ("frontal", "temporal_left"),
    "second": ("frontal", "temporal_right"),
    "third": ("frontal", "posterior"),
}
CONFIG = StudyConfig(bands={"theta": (4, 8), "alpha": (8, 12)}, window_s=WINDOW_S, networks=NETWORKS)
POWER = Index("power", "alpha", "posterior")


@dataclass(frozen=True)
class Session:
    """What one person's session holds; gains are of amplitudes, 1 = as usual."""

    alpha: float = 1.0
    theta: float = 1.0
    background: float = 1.0
    #: White noise of electrodes and muscle (steep above 20 Hz), in µV
    noise_uv: float = 1.0
    muscle_uv: float = 1.0
    #: Of everything, as a cap that sits worse
    gain: float = 1.0
    #: Movement: slow waves below 2 Hz, in µV
    movement_uv: float = 1.0
    #: Shared source of a network at its two regions, 10 ms apart: name and size
    coupled: tuple[str, float] = ("first", 0.0)


#: A course: what client and therapist hold at u = 0 (first session) to 1 (last).
Course = Callable[[float], tuple[Session, Session]]


def alike(now: Session) -> tuple[Session, Session]:
    """Both people hold the same."""
    return now, now


COUPLING = {name: Index("lagcoh", "alpha", name) for name in NETWORKS}

#: Scenario to its course, and to the verdict that is wanted of every index that is named (empty: no claim at all).
SCENARIOS: dict[str, tuple[Course, dict[Index, str]]] = {
    "nothing": (lambda _: alike(Session()), {POWER: "", COUPLING["third"]: ""}),
    "client: alpha power falls by half": (
        lambda u: (Session(alpha=0.5 ** (u / 2)), Session()),
        {POWER: "changes_down", COUPLING["third"]: ""},
    ),
    "both people: alpha power falls by half": (lambda u: alike(Session(alpha=0.5 ** (u / 2))), {POWER: ""}),
    "client: noise and background fall (signal-to-noise rises)": (
        lambda u: (Session(noise_uv=5 - 4 * u, background=1.3 - 0.3 * u), Session()),
        {POWER: "", COUPLING["third"]: ""},
    ),
    "client: muscle activity grows": (
        lambda u: (Session(muscle_uv=1 + 7 * u), Session()),
        {POWER: "", COUPLING["third"]: ""},
    ),
    "client: contact falls (size, noise, movement)": (
        lambda u: (Session(gain=1 - 0.4 * u, noise_uv=1 + 4 * u, movement_uv=1 + 9 * u), Session()),
        {POWER: ""},
    ),
    "client: everything gets smaller": (lambda u: (Session(gain=1 - 0.3 * u), Session()), {POWER: ""}),
    "client: drowsiness (alpha falls, theta rises)": (
        lambda u: (Session(alpha=1 - 0.3 * u, theta=1 + 0.6 * u), Session()),
        {POWER: "", COUPLING["third"]: ""},
    ),
    "client: the first network couples more, at 10 ms": (
        lambda u: (Session(coupled=("first", 0.9 * u)), Session()),
        {COUPLING["first"]: "changes_up", COUPLING["second"]: "", COUPLING["third"]: ""},
    ),
}


def white(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """White noise of unit variance."""
    return rng.standard_normal(shape, dtype=np.float32)


def filtered(above: list[float], below: list[float], x: Array) -> Array:
    """Run a recursive filter."""
    return np.asarray(lfilter(np.float32(above), np.float32(below), x, axis=-1))


def resonator(freq: float, width: float, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Rhythm of unit variance: a second-order recursive filter of white noise."""
    radius = np.exp(-np.pi * width / SFREQ)
    warm = round(5 * SFREQ)
    noise = white((*shape[:-1], shape[-1] + warm), rng)
    x = filtered([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * freq / SFREQ), radius**2], noise)[..., warm:]
    return np.asarray(x / x.std(axis=-1, keepdims=True))


def background(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """About 1/f: leaky integrators of white noise two octaves apart, unit variance."""
    total = np.zeros(shape, np.float32)
    for cut in 0.5 * 4.0 ** np.arange(4):
        leak = np.exp(-2 * np.pi * cut / SFREQ)
        total += filtered([np.sqrt(1 - leak**2)], [1.0, -leak], white(shape, rng))
    return np.asarray(total / total.std(axis=-1, keepdims=True))


def record(now: Session, n_times: int, person: Mapping[str, float], rng: np.random.Generator) -> Array:
    """Make one person's session in V, (n_channels, n_times); a person keeps frequency and size of the rhythms."""
    shape = (len(NAMES), n_times)
    weight = np.array([[ALPHA_SHARE[name]] for name in NAMES], np.float32) * person["alpha"] * rng.lognormal(0, 0.08)
    theta = np.array([[THETA[name]] for name in NAMES], np.float32) * person["theta"] * rng.lognormal(0, 0.08)
    level = 8 * person["background"] * rng.lognormal(0, 0.05)
    x = now.background * level * background(shape, rng)
    x += now.alpha * 12 * weight * resonator(person["peak"], 1.0, (1, n_times), rng)
    # every site has a rhythm of its own, too
    x += now.alpha * 4 * resonator(person["peak"], 1.5, shape, rng)
    x += now.theta * 5 * theta * resonator(6.0, 1.5, (1, n_times), rng)
    name, size = now.coupled
    if size:
        source = resonator(person["peak"], 1.5, (n_times + 8,), rng)
        here, there = ([NAMES.index(site) for site in SITES[region]] for region in NETWORKS[name])
        late = np.interp(np.arange(n_times) + 8 - 0.010 * SFREQ, np.arange(n_times + 8), source)
        x[here] += 6 * size * source[8:]
        x[there] += 6 * size * late.astype(np.float32)
    burst = white(shape, rng)
    x += now.muscle_uv * (burst - filtered([0.6], [1, -0.4], burst))
    x += now.noise_uv * white(shape, rng)
    slow = filtered([0.06], [1, -0.94], white((1, n_times), rng))
    x += now.movement_uv * slow / slow.std() * rng.uniform(0.5, 1.5, (len(NAMES), 1)).astype(np.float32)
    return np.asarray(1e-6 * now.gain * x, np.float32)


def signals_of(data: Array, label: str, key: SessionKey) -> Signals:
    """Make a prepared person of arrays."""
    n_window = round(WINDOW_S * SFREQ)
    starts = np.arange(data.shape[-1] // n_window) * n_window
    rois = {"all": tuple(range(len(NAMES)))}
    rois |= {region: tuple(NAMES.index(name) for name in names) for region, names in SITES.items()}
    nothing = np.full(len(NAMES), np.nan)
    return Signals(
        person=label,
        key=key,
        sfreq=SFREQ,
        ch_names=NAMES,
        rois=rois,
        data={"eeg": data},
        spans=np.array([[0, data.shape[-1]]]),
        windows=np.stack([np.zeros(len(starts), int), starts], axis=1),
        clean=np.ones(len(starts), bool),
        s2_line=nothing,
        s2_quad=nothing,
        xyz=np.full((len(NAMES), 3), np.nan),
    )


@dataclass(frozen=True, eq=False)
class Design:
    """How large a study is, and what is computed of every recording."""

    n_dyads: int
    n_sessions: int
    seconds: float
    recipe: Recipe


@cache
def indices_of(now: Session, seed: int, dyad: int, role: str, session: int, design: Design) -> tuple[WithinValue, ...]:
    """Compute the indices of one recording; scenarios of one seed share those that hold the same."""
    own = np.random.default_rng([seed, dyad, ROLES.index(role)])
    person = {
        "alpha": own.lognormal(0, 0.3),
        "theta": own.lognormal(0, 0.3),
        "background": own.lognormal(0, 0.2),
        "peak": own.normal(10, 0.5),
    }
    n_times, n_window = round(design.seconds * SFREQ), round(WINDOW_S * SFREQ)
    rng = np.random.default_rng([seed, dyad, ROLES.index(role), session])
    key = SessionKey(f"D{dyad:02d}", session + 1, "eeg", "", "")
    signals = signals_of(record(now, n_times, person, rng), f"{role}{dyad}", key)
    view = PersonView.of(signals, np.arange(n_times // n_window) * n_window, n_window, design.recipe)
    alpha = {"alpha": design.recipe.bands["alpha"]}  # of theta spectra are asked alone
    bands = person_bands(signals, "eeg", alpha, n_window)
    return (*view.spectral_values(), *(value for band, held in bands for value in view.band_values(band, held)))


def study(course: Course, design: Design, seed: int) -> pd.DataFrame:
    """Make a study and compute within.tsv of it."""
    rows = []
    for dyad in range(design.n_dyads):
        for session in range(design.n_sessions):
            client, therapist = course(session / (design.n_sessions - 1))
            for role, now in (("therapist", therapist), ("client", client)):
                labels = {
                    **SessionKey(f"D{dyad:02d}", session + 1, "eeg", "", "")._asdict(), "therapist": f"T{dyad}",
                    "client": f"C{dyad}", "days": 7.0 * session, "person": role, "signal": "eeg",
                }  # fmt: skip
                for found in indices_of(now, seed, dyad, role, session, design):
                    rows.append({**labels, **found.index._asdict(), "value": found.value})
    return pd.DataFrame(rows).rename(columns={"name": "index"})


def quality_of(within: pd.DataFrame) -> pd.DataFrame:
    """Quality table of recordings that keep all their channels."""
    keys = ["dyad", "session", "modality", "task", "run", "person"]
    return within[keys].drop_duplicates().assign(channels_kept=len(NAMES))


def interval(hits: int, n: int) -> str:
    """Share with its exact 95 % interval."""
    low, high = binomtest(hits, n).proportion_ci()
    return f"{hits}/{n} ({low:.2f}-{high:.2f})"


def answers(chosen: list[str], design: Design, asked_for: argparse.Namespace) -> tuple[list[str], int]:
    """Ask every study of every scenario; lines of the table, and the number of studies."""
    asked = [(name, index) for name in chosen for index in SCENARIOS[name][1]]
    words: dict[tuple[str, Index], Counter[str]] = {each: Counter() for each in asked}
    failed: dict[tuple[str, Index], Counter[str]] = {each: Counter() for each in asked}
    done = 0
    while done < asked_for.studies and time.process_time() < 60 * asked_for.minutes:
        indices_of.cache_clear()
        for name in chosen:
            course, questions = SCENARIOS[name]
            within = study(course, design, 1000 * asked_for.seed + done)
            for index in questions:
                result = fit_within(within, index, quality_of(within), n_flips=999)
                words[name, index][result.verdict] += 1
                if result.verdict == "confounded":
                    failed[name, index].update(guard.name for guard in result.guards if guard.passed is False)
        done += 1
        print(f"study {done}: {time.process_time():.0f} s of processor time", flush=True)
    lines = []
    for name, index in asked:
        wanted, found = SCENARIOS[name][1][index], words[name, index]
        claims = sum(n for word, n in found.items() if word.startswith("changes"))
        share = interval(found[wanted] if wanted else claims, done)
        told, stopped = (
            ", ".join(f"{word} {n}" for word, n in counts.most_common()) for counts in (found, failed[name, index])
        )
        lines.append(f"| {name} | `{index}` | {wanted or 'no claim'} | {share} | {told} | {stopped} |")
        print(lines[-1], flush=True)
    return lines, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20, help="studies per scenario")
    parser.add_argument("--minutes", type=float, default=1e3, help="of processor time, after which no study begins")
    parser.add_argument("--dyads", type=int, default=12)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="beginnings of scenarios' names")
    parser.add_argument("--small", action="store_true", help="one small study per scenario, nothing is written")
    asked = parser.parse_args()
    if asked.small:
        asked.studies, asked.dyads, asked.sessions, asked.seconds = 1, 6, 3, 30.0
    design = Design(asked.dyads, asked.sessions, asked.seconds, recipe_of(CONFIG, "eeg"))
    chosen = [name for name in SCENARIOS if not asked.only or any(name.startswith(start) for start in asked.only)]
    began = time.process_time()
    lines, n_studies = answers(chosen, design, asked)
    if asked.small or asked.only:
        return
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
    made += f"Python {platform.python_version()}"
    command = f"python scripts/validate_persons.py {' '.join(sys.argv[1:])}".rstrip()
    head = f"""# Each person alone: claims and false claims

{n_studies} studies per line of {asked.dyads} dyads with {asked.sessions} sessions of {asked.seconds:g} s,
{len(NAMES)} channels at {SFREQ:g} Hz. A claim is any verdict that begins with `changes`; where one is wanted the share
is that of exactly this verdict, else that of all claims. Shares with exact 95 % intervals; guards that failed are those
of studies that were called confounded. Signals are made in the time domain by recursive filters, without code of the
indices or of `hyperscan.simulate`. Studies of one line are independent of each other; lines share the recordings that
hold the same, as the therapists' of most.

Made by `{command}` on {made}, {time.process_time() - began:.0f} s of processor time.

| what changes over the sessions | index named | wanted | share | verdicts | guards that failed |
|---|---|---|---|---|---|
"""
    write_text(PAGE, head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
