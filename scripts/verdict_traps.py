"""Ways to be fooled that the simulator of the package does not make: a generator of its own, of numpy alone.

fNIRS: waves of the scalp (blood pressure near 0.1 Hz, breathing near 0.25 Hz, heart beats near 1.2 Hz) on top of what
the simulator of the package makes: their peaks meet, they lock, or they come and go less.

Two people's EEG of eight or sixteen sites: pink background, and a rhythm near 10 Hz whose strength comes and goes in
spells. What changes over the sessions is how steady the rhythms are, whether the spells coincide, how far apart the
peaks lie, how much of the client's rhythm follows the therapist's, an artefact seen through two amplifiers, or which
channels of the caps are flat.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Sites of two caps and how much of the rhythm each one sees; from 16 on the package takes the average reference.
CAPS = {
    8: dict(
        zip(("Fz", "F3", "F4", "T7", "T8", "Pz", "O1", "O2"), (0.15, 0.15, 0.15, 0.1, 0.1, 0.8, 1, 1), strict=True)
    ),
    16: dict(
        zip(
            ("Fz", "F3", "F4", "T7", "T8", "Pz", "O1", "O2", "Fp1", "Fp2", "Cz", "C3", "C4", "P3", "P4", "Oz"),
            (0.15, 0.15, 0.15, 0.1, 0.1, 0.8, 1, 1, 0.1, 0.1, 0.3, 0.25, 0.25, 0.75, 0.75, 1),
            strict=True,
        )
    ),
}

#: Size of background and rhythm in V.
BACKGROUND_V, RHYTHM_V = 8e-6, 6e-6


@dataclass(frozen=True)
class Scene:
    """One session of two people."""

    #: Share of the client's rhythm that follows the therapist's, ``lag_s`` later
    coupling: float = 0.0
    lag_s: float = 0.025
    #: SD of the log strength of the rhythm over its spells, and whether both people have the same ones (0 to 1)
    burstiness: float = 0.6
    common_spells: float = 0.0
    #: Peaks of therapist and client, and width of the rhythm, in Hz
    peaks: tuple[float, float] = (10.0, 10.0)
    width: float = 2.0
    #: Strength of what is not coupled in each rhythm
    uncoupled: float = 1.0
    #: Common artefact with the rhythm's topography, and how much later the client's amplifier shows it
    artefact: float = 0.0
    artefact_lag_s: float = 0.0
    #: Number of sites, and which ones of therapist and client are flat
    cap: int = 8
    failed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


@dataclass(frozen=True)
class Trap:
    """What a study does from its first session (u = 0) to its last (u = 1)."""

    title: str
    scene: Callable[[float], Scene]
    grows: bool = False
    longer: bool = False
    clock: str = "same_amplifier"
    reference: str = "-"
    #: Whether coherence grows because what is not coupled falls, which the sentence has to say
    said: bool = False
    #: Whether it is made through files and whole runs alone, as what changes is how recordings are prepared
    prepared: bool = False

    @property
    def slug(self) -> str:
        return "trap_" + re.sub(r"[^a-z0-9]+", "_", self.title.lower()).strip("_")


TRAPS = (
    Trap("nothing changes, no coupling", lambda _: Scene()),
    Trap("nothing changes, constant coupling", lambda _: Scene(coupling=0.25)),
    Trap("steadier rhythms, constant coupling", lambda u: Scene(coupling=0.25, burstiness=1.2 - 1.1 * u)),
    Trap(
        "steadier rhythms, common spells",
        lambda u: Scene(coupling=0.25, burstiness=1.2 - 1.1 * u, common_spells=1.0),
    ),
    Trap("burstier rhythms, constant coupling", lambda u: Scene(coupling=0.25, burstiness=0.1 + 1.1 * u)),
    Trap("spells come to coincide, constant coupling", lambda u: Scene(coupling=0.25, burstiness=1.0, common_spells=u)),
    Trap(
        "peaks converge, no coupling", lambda u: Scene(peaks=(10.0 + 0.75 * (1 - u), 10.0 - 0.75 * (1 - u)), width=1.0)
    ),
    Trap(
        "artefact through two amplifiers",
        lambda u: Scene(artefact=0.6 * u, artefact_lag_s=0.012),
        clock="offset",
    ),
    Trap("uncoupled rhythm falls", lambda u: Scene(coupling=0.25, uncoupled=1.3 - 0.7 * u), said=True),
    *(
        Trap(
            f"channels of {who} fail, constant coupling",
            lambda u, lost=lost: Scene(coupling=0.25, cap=16, failed=tuple(each if u > 0.3 else () for each in lost)),
            prepared=True,
        )
        for who, lost in (
            ("one person", ((), ("O2", "F3"))),
            ("both people", (("Oz", "P3", "C4"), ("O1", "Fp1", "T8"))),
        )
    ),
    Trap("growth, 25 ms", lambda u: Scene(coupling=0.2 + 0.2 * u), grows=True),
    Trap("growth, 25 ms, two clocks", lambda u: Scene(coupling=0.2 + 0.2 * u), grows=True, clock="offset"),
)


def noise(
    shape: tuple[int, ...], sfreq: float, gain: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Gaussian noise of a given amplitude spectrum, unit variance."""
    spectrum = np.fft.rfft(rng.normal(size=shape))
    freqs = np.fft.rfftfreq(shape[-1], 1 / sfreq)
    found = np.fft.irfft(spectrum * gain(freqs), shape[-1])
    return found / found.std()


def pink(freqs: np.ndarray) -> np.ndarray:
    return np.where(freqs < 0.5, 0.0, np.maximum(freqs, 0.5) ** -0.5)


def bump(peak: float, width: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda freqs: np.exp(-0.5 * ((freqs - peak) / (width / 2.355)) ** 2)


def spells(n_times: int, sfreq: float, scene: Scene, rng: np.random.Generator) -> list[np.ndarray]:
    """Strength of each person's rhythm over time: log-normal, changing within some 5 s, mean power 1."""
    slow = lambda freqs: np.exp(-0.5 * (freqs / 0.08) ** 2)  # noqa: E731 - a shape like the two above
    shared, *own = (noise((n_times,), sfreq, slow, rng) for _ in range(3))
    mixed = [np.sqrt(scene.common_spells) * shared + np.sqrt(1 - scene.common_spells) * each for each in own]
    strength = [np.exp(scene.burstiness * each) for each in mixed]
    return [each / np.sqrt((each**2).mean()) for each in strength]


def simulate_scene(
    scene: Scene, sfreq: float, seconds: float, gains: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Both people's EEG in V, shape (n_channels, n_times) each."""
    n_times, pad = round(seconds * sfreq), round(0.5 * sfreq)
    whole = n_times + 2 * pad
    lag, artefact_lag = round(scene.lag_s * sfreq), round(scene.artefact_lag_s * sfreq)
    common = noise((whole,), sfreq, bump(scene.peaks[0], scene.width), rng)
    own = [noise((whole,), sfreq, bump(peak, scene.width), rng) for peak in scene.peaks]
    artefact = noise((whole,), sfreq, bump(10.0, 3.0), rng)
    people = []
    for person, strength in enumerate(spells(n_times, sfreq, scene, rng)):
        start = pad - person * lag
        rhythm = np.sqrt(scene.coupling) * common[start : start + n_times]
        rhythm = rhythm + scene.uncoupled * np.sqrt(1 - scene.coupling) * own[person][pad : pad + n_times]
        shown = pad - person * artefact_lag
        source = gains[person] * strength * rhythm + scene.artefact * artefact[shown : shown + n_times]
        sites = CAPS[scene.cap]
        background = noise((len(sites), n_times), sfreq, pink, rng)
        cap = BACKGROUND_V * background + RHYTHM_V * np.array(list(sites.values()))[:, None] * source
        cap[[list(sites).index(name) for name in scene.failed[person]]] = 0.0
        people.append(cap)
    return people[0], people[1]


# -- fNIRS --------------------------------------------------------------------------------------------------------

#: Size of a wave in optical density per mm of distance, and its width as a share of its frequency.
WAVE_OD_PER_MM, WAVE_WIDTH = 2e-4, 0.15


@dataclass(frozen=True)
class Waves:
    """Waves of two people's scalps in one session: frequencies of therapist and client, and what they share."""

    mayer_hz: tuple[float, float] = (0.1, 0.1)
    breath_hz: tuple[float, float] = (0.25, 0.25)
    heart_hz: tuple[float, float] = (1.2, 1.2)
    #: Share of the waves of blood pressure that follows the other person
    locked: float = 0.0
    #: SD of the log strength of all waves over their spells
    burstiness: float = 0.0


def apart(middle: float, share: float, u: float) -> tuple[float, float]:
    """Frequencies that come together: a share of the middle apart at u = 0."""
    return middle * (1 + share / 2 * (1 - u)), middle * (1 - share / 2 * (1 - u))


#: What the waves do from the first session to the last, by title; neural coupling is constant or absent.
WAVES: dict[str, tuple[Callable[[float], Waves], float]] = {
    "heart, breathing and pressure waves converge, no coupling": (
        lambda u: Waves(apart(0.1, 0.6, u), apart(0.25, 0.6, u), apart(1.2, 0.3, u)), 0.0
    ),
    "pressure waves converge, constant": (lambda u: Waves(apart(0.08, 0.6, u)), 0.5),
    "pressure waves lock, no coupling": (lambda u: Waves(locked=0.8 * u), 0.0),
    "steadier waves, constant": (lambda u: Waves(burstiness=1.2 - 1.1 * u), 0.5),
}  # fmt: skip


def add_waves(
    people: tuple[np.ndarray, np.ndarray],
    waves: Waves,
    distances_mm: np.ndarray,
    sfreq: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Put waves on two people's light, shape (n_channels, n_times) each; a channel sees them by its distance."""
    n_times = people[0].shape[-1]
    shared = noise((n_times,), sfreq, bump(waves.mayer_hz[0], WAVE_WIDTH * waves.mayer_hz[0]), rng)
    strengths = spells(n_times, sfreq, Scene(burstiness=waves.burstiness), rng)
    out = []
    for person, (light, strength) in enumerate(zip(people, strengths, strict=True)):
        total = np.zeros(n_times)
        for peak, locked in ((waves.mayer_hz, waves.locked), (waves.breath_hz, 0.0), (waves.heart_hz, 0.0)):
            own = noise((n_times,), sfreq, bump(peak[person], WAVE_WIDTH * peak[person]), rng)
            total += np.sqrt(locked) * shared + np.sqrt(1 - locked) * own
        out.append(light * np.exp(-WAVE_OD_PER_MM * distances_mm[:, None] * strength * total))
    return out[0], out[1]
