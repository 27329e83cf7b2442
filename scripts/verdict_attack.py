"""Attack the verdict with a generator of its own, of numpy alone: synchrony seems to change though coupling does not.

    python scripts/verdict_attack.py --small              under 20 s
    python scripts/verdict_attack.py --reps 20            every attack; stop and start as you like

Recordings go through the package's preparation, metrics, chance levels, guards and growth (verdict_studies.py says
how); nothing of what makes them is shared with the package's simulator or with verdict_traps.py.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import mne
import numpy as np
from scipy import stats

import verdict_studies
from hyperscan.study import Session

ROOT = Path(__file__).resolve().parent.parent

#: Not used for any choice of the package; the attacks were found on others.
FRESH_SEED = 20_261_207

SFREQ, DYADS, SESSIONS, SECONDS = 128.0, 8, 6, 121.0

#: How much of the rhythm, and of a blink, each of the eight sites sees: Fz F3 F4 T7 T8 Pz O1 O2.
RHYTHM = np.array([0.15, 0.12, 0.12, 0.1, 0.1, 0.75, 1.0, 1.0])
BLINK = np.array([1.0, 0.9, 0.9, 0.3, 0.3, 0.15, 0.08, 0.08])

Array = np.ndarray
Gain = Callable[[Array], Array]
#: Something of both people over time, from its length and a generator
Maker = Callable[[int, np.random.Generator], Sequence[Array]]


def shaped(n: int, gain: Gain, rng: np.random.Generator, rows: int = 1) -> Array:
    """Rows of Gaussian noise of an amplitude spectrum, of unit variance."""
    freqs = np.fft.rfftfreq(n, 1 / SFREQ)
    spectrum = rng.standard_normal((rows, freqs.size)) + 1j * rng.standard_normal((rows, freqs.size))
    found = np.fft.irfft(spectrum * gain(freqs), n)
    return found / found.std(-1, keepdims=True)


def power_law(exponent: float) -> Gain:
    return lambda freqs: np.where(freqs < 0.8, 0.0, np.maximum(freqs, 0.8) ** (-exponent / 2))


def peak(middle: float, width: float) -> Gain:
    return lambda freqs: np.exp(-0.5 * ((freqs - middle) / (width / 2.355)) ** 2)


def slow(n: int, seconds: float, rng: np.random.Generator, common: float) -> list[Array]:
    """Two people's slow courses of unit variance, ``common`` of it shared."""
    shared, *own = (shaped(n, lambda freqs: np.exp(-0.5 * (freqs * seconds) ** 2), rng)[0] for _ in range(3))
    return [np.sqrt(common) * shared + np.sqrt(1 - common) * each for each in own]


def even_power(strengths: Sequence[Array]) -> list[Array]:
    return [each / np.sqrt((each**2).mean()) for each in strengths]


def spells(common: float = 0.0) -> Maker:
    return lambda n, rng: even_power([np.exp(0.5 * each) for each in slow(n, 5.0, rng, common)])


def ramps(size: float) -> Maker:
    """Rhythms that get louder over a session."""
    return lambda n, rng: even_power(
        [np.exp(size * np.linspace(-0.5, 0.5, n) + 0.5 * each) for each in slow(n, 5.0, rng, 0.0)]
    )


def gates(share: float, common: float) -> Maker:
    """Rhythms that are there where eyes are closed: a share of the time, together or not."""
    limit = stats.norm.isf(share)
    return lambda n, rng: [0.25 + 0.75 * (each > limit) for each in slow(n, 8.0, rng, common)]


def wander(common: float) -> Maker:
    """Frequencies in Hz that wander by some 1 Hz within a session."""
    return lambda n, rng: [10.0 + 1.2 * np.tanh(each) for each in slow(n, 16.0, rng, common)]


def bursts(common: float, gain: Gain) -> Maker:
    """Noise of each person's own that comes in bursts, together or not."""

    def make(n: int, rng: np.random.Generator) -> list[Array]:
        there = [each > stats.norm.isf(0.3) for each in slow(n, 3.0, rng, common)]
        return [1.5 * each * shaped(n, gain, rng, len(RHYTHM)) for each in there]

    return make


def blinks(common: float) -> Maker:
    def make(n: int, rng: np.random.Generator) -> list[Array]:
        shape = np.sin(np.pi * np.arange(round(0.4 * SFREQ)) / (0.4 * SFREQ)) ** 2
        both, out = rng.random(n) < 0.25 / SFREQ, []
        for _ in range(2):
            at = np.flatnonzero(np.where(rng.random(n) < common, both, rng.random(n) < 0.25 / SFREQ))
            at = np.clip(at + rng.normal(0, 0.02 * SFREQ, at.size).astype(int), 0, n - 1)
            out.append(8.0 * BLINK[:, None] * np.convolve(np.bincount(at, minlength=n), shape)[:n])
        return out

    return make


def tone(size: float, sites: Array) -> Maker:
    """The same narrow line at 12.6 Hz, near the band's edge, in both."""
    return lambda n, rng: [size * shaped(n, peak(12.6, 0.15), rng) * sites[:, None]] * 2


@dataclass(frozen=True)
class Scene:
    """One session of two people."""

    coupling: float = 0.25
    lag_s: float = 0.025
    rhythm: float = 0.8
    middle: float = 10.0
    width: float = 2.0
    background: float = 1.0
    white: float = 0.15
    theta: float = 0.0
    beta: float = 0.0
    reference: float = 0.0
    #: Share of a slower one of two rhythms (8.8 and 11.2 Hz) in either person
    slower: tuple[float, float] | None = None
    strengths: Maker = field(default_factory=spells)
    frequencies: Maker | None = None
    artefact: Maker | None = None


CONSTANT = Scene()
NONE = replace(CONSTANT, coupling=0.0)
NARROW = replace(NONE, width=0.8, rhythm=1.2)


@dataclass(frozen=True)
class Attack:
    """What a study does from its first session (u = 0) to its last (u = 1)."""

    title: str
    scene: Callable[[float], Scene]
    grows: bool = False


ATTACKS = (
    Attack("nothing, no coupling", lambda _: NONE),
    Attack("nothing, constant coupling", lambda _: CONSTANT),
    Attack("frequencies come to wander together, no coupling", lambda u: replace(NARROW, frequencies=wander(0.95 * u))),
    Attack("weights of two peaks converge, no coupling", lambda u: replace(NARROW, slower=(1 - u / 2, u / 2))),
    Attack("signal to noise rises with theta", lambda u: replace(CONSTANT, rhythm=0.55 + 0.5 * u, theta=0.9 * u)),
    Attack("signal to noise rises with beta", lambda u: replace(CONSTANT, rhythm=0.55 + 0.5 * u, beta=0.5 * u)),
    Attack(
        "1/f falls, muscle rises", lambda u: replace(CONSTANT, background=1.5 - 0.8 * u, white=0.1 + 0.35 * u)
    ),
    Attack("noise of the reference falls", lambda u: replace(CONSTANT, reference=1.2 * (1 - u), background=0.7)),
    Attack("rhythms wax less over a session", lambda u: replace(CONSTANT, strengths=ramps(2 * (1 - u)))),
    Attack("rhythms wax more over a session", lambda u: replace(CONSTANT, strengths=ramps(2 * u))),
    Attack("eyes come to close together", lambda u: replace(CONSTANT, rhythm=1.4, strengths=gates(0.5, 0.95 * u))),
    Attack("eyes close more often", lambda u: replace(CONSTANT, rhythm=1.0, strengths=gates(0.3 + 0.5 * u, 0.0))),
    Attack(
        "movements come to coincide", lambda u: replace(CONSTANT, artefact=bursts(0.95 * u, power_law(1.0)))
    ),
    Attack(
        "muscle (laughing) comes to coincide",
        lambda u: replace(CONSTANT, artefact=bursts(0.95 * u, lambda f: np.where(f > 5, np.minimum(f / 40, 1), 0))),
    ),
    Attack("blinks come to coincide, no coupling", lambda u: replace(NONE, artefact=blinks(0.8 * u))),
    Attack("both peaks drift into the band", lambda u: replace(CONSTANT, middle=7.3 + 2.7 * u, width=1.6)),
    Attack("a common line at the band's edge grows", lambda u: replace(NONE, artefact=tone(0.8 * u, np.ones(8)))),
    Attack("the same, posterior alone", lambda u: replace(NONE, artefact=tone(0.8 * u, 1 - BLINK))),
    Attack("growth, 25 ms", lambda u: replace(CONSTANT, coupling=0.2 + 0.2 * u), grows=True),
    Attack("growth, 10 ms", lambda u: replace(CONSTANT, coupling=0.2 + 0.2 * u, lag_s=0.010), grows=True),
    Attack("small growth, 25 ms", lambda u: replace(CONSTANT, coupling=0.15 + 0.12 * u), grows=True),
)  # fmt: skip


def later(x: Array, seconds: float) -> Array:
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(x.size, 1 / SFREQ) * seconds)
    return np.fft.irfft(np.fft.rfft(x) * turn, x.size)


def own_rhythm(scene: Scene, person: int, n: int, course: Array | None, rng: np.random.Generator) -> Array:
    if course is not None:
        real, imaginary = shaped(n, peak(0.0, scene.width), rng, 2)
        phase = 2 * np.pi * np.cumsum(course) / SFREQ
        found = real * np.cos(phase) - imaginary * np.sin(phase)
        return found / found.std()
    if scene.slower is not None:
        share = scene.slower[person]
        parts = [shaped(n, peak(middle, scene.width), rng)[0] for middle in (8.8, 11.2)]
        return np.sqrt(share) * parts[0] + np.sqrt(1 - share) * parts[1]
    return shaped(n, peak(scene.middle, scene.width), rng)[0]


def people_of(scene: Scene, sizes: Array, rng: np.random.Generator) -> list[Array]:
    """Both people's EEG in V, shape (n_channels, n_times) each."""
    n, count = round(SECONDS * SFREQ), len(RHYTHM)
    common = shaped(n, peak(scene.middle, scene.width), rng)[0]
    strengths = scene.strengths(n, rng)
    courses = scene.frequencies(n, rng) if scene.frequencies else (None, None)
    artefacts = scene.artefact(n, rng) if scene.artefact else (0.0, 0.0)
    out = []
    for person in (0, 1):
        followed = later(common, scene.lag_s * person)
        rhythm = np.sqrt(scene.coupling) * followed
        rhythm = rhythm + np.sqrt(1 - scene.coupling) * own_rhythm(scene, person, n, courses[person], rng)
        noise = scene.background * shaped(n, power_law(1.1), rng, count) + scene.white * rng.standard_normal((count, n))
        theta = peak(4.6, 2.2)
        noise = noise + scene.theta * (0.8 * shaped(n, theta, rng) + 0.6 * shaped(n, theta, rng, count))
        noise = noise + scene.beta * shaped(n, peak(18.0, 6.0), rng, count)
        noise = noise + scene.reference * shaped(n, power_law(1.0), rng)
        seen = RHYTHM[:, None] * scene.rhythm * sizes[person] * strengths[person] * rhythm
        out.append(1e-5 * (noise + seen + artefacts[person]))
    return out


def simulated(attack: Attack, sessions: int, seed: Sequence[int]) -> Iterator[tuple[Session, Any, Any, float]]:
    """Every session of a study, as verdict_conditions.simulate yields them."""
    first, here = np.random.default_rng([*seed, 1]), Path("study")
    own, sizes = first.normal(0, 0.05, DYADS), np.exp(first.normal(0, 0.2, (DYADS, 2)))
    for s, d in itertools.product(range(sessions), range(DYADS)):
        rng, scene = np.random.default_rng([*seed, 2, s, d]), attack.scene(s / (sessions - 1))
        if scene.coupling:
            scene = replace(scene, coupling=float(np.clip(scene.coupling + own[d] + rng.normal(0, 0.04), 0, 0.9)))
        row = Session(
            f"D{d:02d}", f"T{d:02d}", f"C{d:02d}", s + 1, "eeg", here / "t", here / "c", here, days=7.0 * s,
            clock="same_amplifier",
        )  # fmt: skip
        yield row, scene, people_of(scene, sizes[d] * np.exp(rng.normal(0, 0.1, 2)), rng), 0.0


def one(attack: Attack, sessions: int, seed: Sequence[int]) -> dict[str, Any]:
    """Verdict of one study, what its slope alone says, and the guards that failed."""
    mne.set_log_level("ERROR")
    made = mock.patch.object(verdict_studies, "simulate", return_value=simulated(attack, sessions, seed))
    with warnings.catch_warnings(), made:
        warnings.simplefilter("ignore")
        found = verdict_studies.judge(verdict_studies.study_tables(attack, None, seed))  # type: ignore[arg-type]
    claimed = found.weighted.p < 0.05 and found.two_stage.in_direction(found.weighted.slope, 0.20)
    failed = [guard.name for guard in found.guards if guard.passed is False]
    return {"verdict": found.verdict, "claimed": int(np.sign(found.weighted.slope)) * claimed, "failed": failed}


INTRODUCTION = """# Attacks on the verdict

Written by `scripts/verdict_attack.py` on {today} ({cores} cores, shared with other work, one used; seed {seed}, on which
nothing was chosen). 8 dyads x 6 sessions x 120 s, one amplifier; coupling .25 at 25 ms where it is constant. What changes
is in the title; the script says by how much. `tests alone` is the share of studies in which the slopes change, up or down,
before any guard was asked; `any claim` is `grows` or `declines`, unchecked and lag unresolved included, with the exact
95 % interval of `any claim`.

| what changes | grows in truth | n | tests alone | **grows** | any claim | 95 % | confounded | guards that failed, of those claimed |
|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501 - a table


def page(found: Mapping[str, Sequence[Mapping[str, Any]]], seed: int) -> str:
    """Write the table."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    lines = []
    for attack in ATTACKS:
        reps = found.get(attack.title, ())
        if not reps:
            continue
        n, verdicts = len(reps), Counter(rep["verdict"] for rep in reps)
        alone = [rep for rep in reps if rep["claimed"]]
        claims = sum(count for word, count in verdicts.items() if word.startswith(("grows", "declines")))
        low, high = stats.binomtest(claims, n).proportion_ci()
        failed = Counter(name for rep in alone for name in rep["failed"])
        told = ", ".join(f"{name} {count}" for name, count in failed.most_common()) or "-"
        lines.append(
            f"| {attack.title} | {'yes' if attack.grows else 'no'} | {n} | {len(alone)} | **{verdicts['grows']}** "
            f"| {claims} | {low:.2f}-{high:.2f} | {verdicts['confounded']} | {told} |"
        )
    null = [rep for attack in ATTACKS if not attack.grows for rep in found.get(attack.title, ())]
    grown = sum(rep["verdict"] == "grows" for rep in null)
    top = stats.binomtest(grown, len(null), alternative="less").proportion_ci().high if null else 1.0
    end = f"\nWithout growth together: {grown} `grows` in {len(null)} studies (95 % upper bound {top:.3f}).\n"
    return INTRODUCTION.format(today=today, cores=os.cpu_count(), seed=seed) + "\n".join(lines) + "\n" + end


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--small", action="store_true", help="one study of two sessions")
    parser.add_argument("--reps", type=int, default=20, help="studies per attack")
    parser.add_argument("--minutes", type=float, default=np.inf, help="stop after so long")
    parser.add_argument("--only", default="", help="attacks whose title holds this")
    parser.add_argument("--seed", type=int, default=FRESH_SEED)
    parser.add_argument("--work", type=Path, default=ROOT / "work", help="where finished studies are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/validation/verdict_attack.md")
    options = parser.parse_args()
    if options.small:
        print(one(ATTACKS[2], 3, [options.seed])["verdict"])
        return
    store = options.work / f"attack_seed{options.seed}.json"
    kept: dict[str, Any] = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else {}
    store.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * options.minutes
    for rep, attack in itertools.product(range(options.reps), ATTACKS):
        key = f"{attack.title}|{rep}"
        if key not in kept and options.only in attack.title and time.monotonic() < end:
            kept[key] = one(attack, SESSIONS, [options.seed, sum(map(ord, attack.title)), rep])
            store.write_text(json.dumps(kept), encoding="utf-8")
    found = {attack.title: [kept[key] for key in kept if key.startswith(f"{attack.title}|")] for attack in ATTACKS}
    options.out.write_text(page(found, options.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
