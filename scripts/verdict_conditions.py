"""What the validation of the verdict simulates: designs, conditions, and the signals of every session."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import fft

from hyperscan.simulate import EegTruth, FnirsTruth, Optodes, simulate_eeg, simulate_fnirs
from hyperscan.simulate.study import CH_NAMES
from hyperscan.study import Session
from verdict_traps import TRAPS, WAVES, Trap, Waves, add_waves, simulate_scene

SFREQ, SFREQ_FNIRS = 128.0, 4.0

#: Between dyads, between sessions of a dyad, and between dyads' slopes: SD of the coupled fraction (our choice).
COUPLING_SD, COUPLING_JITTER, COUPLING_SLOPE_SD = 0.05, 0.04, 0.03

#: Between people, and between sessions of a person: SD of the log amplitude of the rhythm (our choice). The mean
#: amplitude puts the signal fraction over the posterior sites at about .6.
GAIN, GAIN_SD, GAIN_JITTER = 0.3, 0.2, 0.12


@dataclass(frozen=True)
class Design:
    """Dyads, sessions, seconds per session."""

    dyads: int
    sessions: int
    seconds: float


A, B = Design(8, 6, 120.0), Design(20, 8, 60.0)
SMALL = Design(8, 6, 60.0)
F = Design(8, 6, 600.0)


@dataclass(frozen=True)
class Condition:
    """What changes from the first session (u = 0) to the last (u = 1): pairs are (first, last)."""

    title: str
    coupling: tuple[float, float] = (0.0, 0.0)
    lag_s: float | None = 0.025  # None: each dyad its own, 0 to 100 ms
    gain: tuple[float, float] = (1.0, 1.0)
    one_person: bool = False
    background: tuple[float, float] = (1.0, 1.0)
    bandwidth: tuple[float, float] = (4.0, 4.0)
    curvature: float = 0.0
    artefact: str = ""
    artefact_gain: float = 0.0
    ppm: float = 0.0
    clock: str = "same_amplifier"
    longer: bool = False
    task_gain: float = 0.0
    missing: float = 0.0
    grows: bool = False
    reference: str = "-"  # rates of `grows` where the guards were chosen, 8 x 6 / 20 x 8

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "_", self.title.lower()).strip("_")


CONSTANT, GROWTH = (0.2, 0.2), (0.15, 0.25)
MILD, MID, STRONG = (1.0, 1.35), (0.75, 1.35), (0.5, 1.5)

EEG_CONDITIONS = (
    Condition("no coupling", reference="-"),
    Condition("no coupling, strong SNR rise", gain=STRONG, reference=".00/.00"),
    Condition("constant coupling", CONSTANT, reference=".00/.00"),
    Condition("constant, mild SNR rise", CONSTANT, gain=MILD, reference=".00/.00"),
    Condition("constant, mid SNR rise", CONSTANT, gain=MID, reference=".05/.04"),
    Condition("constant, strong SNR rise", CONSTANT, gain=STRONG, reference=".02/.01"),
    Condition("constant at 0 ms, strong SNR rise", CONSTANT, 0.0, gain=STRONG, reference=".02/.01"),
    Condition("constant, strong SNR rise, concave 1/f", CONSTANT, gain=STRONG, curvature=0.3),
    Condition("constant, strong SNR rise in one person", CONSTANT, gain=STRONG, one_person=True),
    Condition("constant, background falls", CONSTANT, background=(1.6, 0.7)),
    Condition("rhythmicity drift, no coupling", bandwidth=(4.0, 1.5), reference=".02/.00"),
    Condition("growing artefact, broadband", artefact="broadband", artefact_gain=0.6, reference="0/0"),
    Condition("growing artefact, narrowband", artefact="narrowband", artefact_gain=0.2, reference="0/0"),
    Condition("growing artefact, topography", artefact="topography", artefact_gain=0.15, reference=".02/.06"),
    Condition("clock drift falls, triggers", CONSTANT, ppm=100.0, clock="triggers"),
    Condition("clock drift falls, clock assumed", CONSTANT, ppm=100.0, clock="assumed"),
    Condition("constant, longer recordings", CONSTANT, longer=True),
    Condition("shared task timing, growing", task_gain=0.8),
    Condition("missing 25 %, constant, strong SNR rise", CONSTANT, gain=STRONG, missing=0.25),
    Condition("growth, 0 ms", GROWTH, 0.0, grows=True, reference=".08/.03 (+ .45/.81)"),
    Condition("growth, 10 ms", GROWTH, 0.010, grows=True, reference=".40/.84"),
    Condition("growth, 25 ms", GROWTH, grows=True, reference=".48/.94"),
    Condition("growth, 50 ms", GROWTH, 0.050, grows=True, reference=".27/.16 (+ .27/.75)"),
    Condition("growth, random lag", GROWTH, None, grows=True, reference=".32/.72"),
    Condition("growth, 25 ms, mild SNR rise", GROWTH, gain=MILD, grows=True, reference="-/.69"),
    Condition("growth, 25 ms, mid SNR rise", GROWTH, gain=MID, grows=True, reference="-/.75"),
    Condition("growth, 25 ms, strong SNR rise", GROWTH, gain=STRONG, grows=True, reference="-/.53"),
    Condition("growth, 25 ms, missing 25 %", GROWTH, missing=0.25, grows=True),
)


@dataclass(frozen=True)
class FnirsCondition:
    """The same for fNIRS: what the truth holds at u from 0 to 1."""

    title: str
    course: Callable[[float], Mapping[str, Any]]
    grows: bool = False
    longer: bool = False
    reference: str = "-"
    waves: Callable[[float], Waves] | None = None

    @property
    def slug(self) -> str:
        return "fnirs_" + re.sub(r"[^a-z0-9]+", "_", self.title.lower()).strip("_")


FNIRS_CONDITIONS = (
    FnirsCondition("none", lambda _: {}, reference=".04"),
    FnirsCondition("constant", lambda _: {"coupled_fraction": 0.5}, reference=".03"),
    FnirsCondition("growing", lambda u: {"coupled_fraction": 0.05 + 0.84 * u}, grows=True, reference=".84"),
    FnirsCondition(
        "systemic noise falls, constant",
        lambda u: {"coupled_fraction": 0.5, "systemic_gain": 1.6 - 1.2 * u},
        reference=".03",
    ),
    FnirsCondition(
        "instrument noise falls, constant",
        lambda u: {"coupled_fraction": 0.5, "noise_gain": 100.0 - 90.0 * u},
        reference=".33",
    ),
    FnirsCondition("joint motion, growing", lambda u: {"motion_per_min": 4.0 * u}, reference=".02"),
    FnirsCondition("shared systemic wave, growing", lambda u: {"common_systemic": 0.9 * u}, reference=".03"),
    FnirsCondition("shared task timing, growing", lambda u: {"task_gain": u}, reference=".02"),
    FnirsCondition("length rises, constant", lambda _: {"coupled_fraction": 0.5}, longer=True, reference=".04"),
    *(
        FnirsCondition(f"trap {title}", lambda _, coupled=coupled: {"coupled_fraction": coupled}, waves=waves)
        for title, (waves, coupled) in WAVES.items()
    ),
)


def cells() -> dict[str, tuple[Any, Design]]:
    out: dict[str, tuple[Any, Design]] = {}
    for name, design in (("8x6", A), ("20x8", B)):
        out |= {f"{name}:{c.slug}": (c, design) for c in EEG_CONDITIONS}
    for name, design in (("8x6", A), ("20x8", B)):
        out |= {f"{name}:{trap.slug}": (trap, design) for trap in TRAPS}
    return out | {f"8x6:{c.slug}": (c, F) for c in FNIRS_CONDITIONS}


# -- signals ------------------------------------------------------------------------------------------------------


def simulate(condition: Any, design: Design, seed: Sequence[int]) -> Iterator[tuple[Session, Any, Any, float]]:
    """Every session of a study: its row, its truth, both people's data, and the client's clock drift."""
    make = {FnirsCondition: _fnirs_session, Trap: _trap_session}.get(type(condition), _eeg_session)
    dyads, held = [], []
    for d in range(design.dyads):
        rng = np.random.default_rng([*seed, d])
        dyads.append(
            {
                "coupling": rng.normal(0, COUPLING_SD),
                "slope": rng.normal(0, COUPLING_SLOPE_SD),
                "gain": rng.normal(0, GAIN_SD, 2),
                "lag": rng.uniform(0, 0.1),
            }
        )
        held.append(rng.random(design.sessions) >= getattr(condition, "missing", 0.0))
        held[d][np.argsort(rng.random(design.sessions))[:2]] = True
    for s, d in itertools.product(range(design.sessions), range(design.dyads)):
        if held[d][s]:
            yield make(condition, design, d, s, dyads[d], np.random.default_rng([*seed, d, s]), seed)


def _row(condition: Any, d: int, s: int, modality: str) -> Session:
    here = Path("study")
    return Session(
        f"D{d:02d}", f"T{d:02d}", f"C{d:02d}", s + 1, modality, here / "t", here / "c", here, days=7.0 * s,
        clock=getattr(condition, "clock", "same_amplifier"),
        client_offset_s=0.0 if getattr(condition, "clock", "") == "offset" else None,
        sync_event="sync" if getattr(condition, "clock", "") == "triggers" else None,
    )  # fmt: skip


def _eeg_session(
    c: Condition, design: Design, d: int, s: int, dyad: Mapping[str, Any], rng: np.random.Generator, seed: Sequence[int]
) -> tuple[Session, Any, Any, float]:
    u = s / (design.sessions - 1)

    def between(pair: tuple[float, float]) -> float:
        return pair[0] + (pair[1] - pair[0]) * u

    coupling = 0.0
    if max(c.coupling) > 0:
        # dyads' slopes differ where coupling grows; where it is constant it only varies
        own = dyad["slope"] * u if c.grows else 0.0
        coupling = between(c.coupling) + dyad["coupling"] + own + rng.normal(0, COUPLING_JITTER)
    gains = GAIN * np.exp(dyad["gain"] + rng.normal(0, GAIN_JITTER, 2)) * between(c.gain)
    if c.one_person:
        gains[1] /= between(c.gain)
    ppm = c.ppm * (1 - u)
    truth = EegTruth(
        coupled_fraction=float(np.clip(coupling, 0, 0.9)),
        lag_s=float(dyad["lag"]) if c.lag_s is None else c.lag_s,
        rhythm_gain=(float(gains[0]), float(gains[1])),
        bandwidth_hz=between(c.bandwidth),
        artefact=c.artefact,
        artefact_gain=c.artefact_gain * u,
        clock_ppm=ppm,
        background_gain=(between(c.background),) * 2,
        curvature=c.curvature,
        task_gain=c.task_gain * u,
        task_seed=int(sum(seed)) * 100 + s,
    )
    seconds = _recorded_seconds(design.seconds * (1 + u * c.longer))
    return _row(c, d, s, "eeg"), truth, simulate_eeg(truth, CH_NAMES, SFREQ, seconds, rng), ppm


def _trap_session(
    trap: Trap, design: Design, d: int, s: int, dyad: Any, rng: np.random.Generator, seed: Sequence[int]
) -> tuple[Session, Any, Any, float]:
    u = s / (design.sessions - 1)
    scene = trap.scene(u)
    if scene.coupling:
        own = dyad["slope"] * u if trap.grows else 0.0
        coupling = scene.coupling + dyad["coupling"] + own + rng.normal(0, COUPLING_JITTER)
        scene = replace(scene, coupling=float(np.clip(coupling, 0, 0.9)))
    gains = np.exp(dyad["gain"] + rng.normal(0, GAIN_JITTER, 2))
    return _row(trap, d, s, "eeg"), scene, simulate_scene(scene, SFREQ, design.seconds, gains, rng), 0.0


def _recorded_seconds(seconds: float) -> float:
    """A little more than a design's seconds, so that putting two clocks together does not cost a window.

    Whole, as EDF wants it, and without a prime factor above 5, for which Fourier transforms are fast.
    """
    return float(fft.next_fast_len(round(seconds) + 1, real=True))


def _fnirs_session(
    c: FnirsCondition, design: Design, d: int, s: int, dyad: Any, rng: np.random.Generator, seed: Sequence[int]
) -> tuple[Session, Any, Any, float]:
    u = s / (design.sessions - 1)
    values = dict(c.course(u))
    if values.get("coupled_fraction"):
        values["coupled_fraction"] = float(
            np.clip(values["coupled_fraction"] + dyad["coupling"] + rng.normal(0, COUPLING_JITTER), 0, 0.95)
        )
    truth = FnirsTruth(**values, task_seed=int(sum(seed)) * 100 + s)
    seconds = design.seconds * (1 + u * c.longer)
    people = simulate_fnirs(truth, Optodes(), SFREQ_FNIRS, seconds, rng)
    if c.waves is not None:
        distances = np.repeat([distance for *_, distance in Optodes().channels], 2)
        people = add_waves(people, c.waves(u), distances, SFREQ_FNIRS, rng)
    return _row(c, d, s, "fnirs"), truth, people, 0.0
