"""Whole studies with known truth, written as a lab would have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError, OutputError, did_you_mean
from hyperscan.schema import MODALITIES, ROLES
from hyperscan.simulate.eeg import EegTruth, simulate_eeg
from hyperscan.simulate.fnirs import FnirsTruth, Optodes, simulate_fnirs, write_snirf
from hyperscan.storage import new_folder, write_json, write_table, write_text

Array = npt.NDArray[np.float64]

#: Lowest sampling rates in Hz that hold what is simulated: alpha and its artefacts; respiration (our choice).
LEAST_SFREQ = {"eeg": 32.0, "fnirs": 1.0}

#: Five frontal and temporal sites that carry little of the posterior rhythm, and three that carry it.
CH_NAMES = ("Fz", "F3", "F4", "T7", "T8", "Pz", "O1", "O2")


@dataclass(frozen=True)
class SimulatedSession:
    """What a scenario puts into one session; the lag is the design's unless a range is named."""

    truth: EegTruth | FnirsTruth
    #: Every dyad draws its own lag from this range (s)
    lag_range_s: tuple[float, float] | None = None
    #: Length relative to the design's
    duration_gain: float = 1.0
    #: Share of the sessions that did not take place
    missing: float = 0.0


#: A session of a scenario, from 0 (first) to 1 (last).
Course = Callable[[float], SimulatedSession]

#: What changes over the sessions, by scenario; the argument runs from 0 (first session) to 1 (last).
EEG_SCENARIOS: dict[str, Course] = {
    "none": lambda _: SimulatedSession(EegTruth()),
    "constant": lambda _: SimulatedSession(EegTruth(coupled_fraction=0.5)),
    "growth": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.05 + 0.75 * u)),
    "snr_none": lambda u: SimulatedSession(EegTruth(rhythm_gain=(0.5 + u, 0.5 + u))),
    "snr_constant": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.5, rhythm_gain=(0.5 + u, 0.5 + u))),
    "growth_snr": lambda u: SimulatedSession(
        EegTruth(coupled_fraction=0.05 + 0.75 * u, rhythm_gain=(0.7 + 0.6 * u,) * 2)
    ),
    "rhythmicity": lambda u: SimulatedSession(EegTruth(bandwidth_hz=4.0 - 3.0 * u)),
    "artefact_broadband": lambda u: SimulatedSession(EegTruth(artefact="broadband", artefact_gain=u)),
    "artefact_narrowband": lambda u: SimulatedSession(EegTruth(artefact="narrowband", artefact_gain=u)),
    "artefact_topography": lambda u: SimulatedSession(EegTruth(artefact="topography", artefact_gain=u)),
    "clock_drift": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.7, clock_ppm=100.0 * (1 - u))),
    "growth_random_lag": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.05 + 0.75 * u), lag_range_s=(0.0, 0.1)),
    "snr_concave": lambda u: SimulatedSession(
        EegTruth(coupled_fraction=0.5, rhythm_gain=(0.5 + u,) * 2, curvature=0.3)
    ),
    "snr_one_person": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.5, rhythm_gain=(0.5 + u, 1.0))),
    "snr_background": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.5, background_gain=(2.0 - u, 2.0 - u))),
    "longer": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.5), duration_gain=1.0 + u),
    "shared_task": lambda u: SimulatedSession(EegTruth(task_gain=u)),
    "missing": lambda u: SimulatedSession(EegTruth(coupled_fraction=0.05 + 0.75 * u), missing=0.25),
}

FNIRS_SCENARIOS: dict[str, Course] = {
    "none": lambda _: SimulatedSession(FnirsTruth()),
    "constant": lambda _: SimulatedSession(FnirsTruth(coupled_fraction=0.5)),
    "growth": lambda u: SimulatedSession(FnirsTruth(coupled_fraction=0.05 + 0.85 * u)),
    "systemic_falls": lambda u: SimulatedSession(FnirsTruth(coupled_fraction=0.5, systemic_gain=1.6 - 1.2 * u)),
    "common_systemic": lambda u: SimulatedSession(FnirsTruth(common_systemic=0.9 * u)),
    "noise_falls": lambda u: SimulatedSession(FnirsTruth(coupled_fraction=0.5, noise_gain=100.0 - 90.0 * u)),
    "joint_motion": lambda u: SimulatedSession(FnirsTruth(motion_per_min=4.0 * u)),
    "shared_task": lambda u: SimulatedSession(FnirsTruth(task_gain=u)),
    "longer": lambda u: SimulatedSession(FnirsTruth(coupled_fraction=0.5), duration_gain=1.0 + u),
    "missing": lambda u: SimulatedSession(FnirsTruth(coupled_fraction=0.05 + 0.85 * u), missing=0.25),
}

#: Smallest number of sessions that a dyad keeps where sessions are missing.
FEWEST_SESSIONS = 2


def _check_modality(modality: str) -> None:
    if modality not in MODALITIES:
        raise InputError(f"modality = {modality!r}: expected 'eeg' or 'fnirs'.{did_you_mean(modality, MODALITIES)}")


@dataclass(frozen=True)
class StudyDesign:
    """Size and shape of a simulated study."""

    #: one of {'eeg', 'fnirs'}: Kind of recording
    modality: str
    #: Each dyad has a therapist of its own
    n_dyads: int = 8
    n_sessions: int = 5
    #: Length of a session in s
    duration_s: float = 60.0
    #: Sampling rate in Hz
    sfreq: float = 128.0
    #: EEG sites
    ch_names: tuple[str, ...] = CH_NAMES
    #: fNIRS probe
    optodes: Optodes = field(default_factory=Optodes)
    #: How much later the client is, in s
    lag_s: float = 0.025
    #: Written next to the table as ``study.toml``: settings that are numbers
    config: Mapping[str, float] = field(default_factory=lambda: {"window_s": 10.0})

    def __post_init__(self) -> None:
        _check_modality(self.modality)
        for name in ("n_dyads", "n_sessions"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} = {value!r}: expected a whole number from 1 on.")
        # EDF holds whole seconds
        if not 1 <= self.duration_s < np.inf or (self.modality == "eeg" and self.duration_s % 1):
            raise InputError(f"duration_s = {self.duration_s!r}: expected seconds from 1 on, whole ones of EEG.")
        if not LEAST_SFREQ[self.modality] <= self.sfreq < np.inf:
            raise InputError(
                f"sfreq = {self.sfreq!r}: expected {LEAST_SFREQ[self.modality]:g} Hz or more, which {self.modality}'s "
                "rhythms need."
            )
        if not np.isfinite(self.lag_s) or abs(self.lag_s) >= self.duration_s:
            raise InputError(f"lag_s = {self.lag_s!r}: expected less than the session's {self.duration_s:g} s.")
        told = [name for name, value in self.config.items() if not isinstance(value, int | float)]
        if told:
            raise InputError(f"config: {told[0]} = {self.config[told[0]]!r} is no number. Write it into study.toml.")
        StudyConfig.from_mapping(self.config)


DESIGNS: dict[str, StudyDesign] = {
    "eeg": StudyDesign("eeg"),
    "fnirs": StudyDesign("fnirs", 8, 4, 600.0, 4.0, lag_s=2.0, config={"min_seconds": 300.0}),
}


def simulate_study(
    dest: str | Path,
    scenario: str = "growth",
    *,
    modality: str = "eeg",
    seed: int = 0,
    **changes: Any,
) -> Path:
    """Write a study with known truth: recordings, ``dyads.tsv``, ``study.toml`` and ``truth.json``.

    Parameters
    ----------
    dest : path-like
        Folder to make; it must not exist yet.
    scenario : str
        A name among :data:`EEG_SCENARIOS` or :data:`FNIRS_SCENARIOS`.
    modality : {'eeg', 'fnirs'}
        Kind of recording: EDF or SNIRF files.
    seed : int
        Seed of every random draw.
    **changes
        Fields of :class:`StudyDesign` that differ from the small study of the documentation.

    Returns
    -------
    Path
        The folder, with the recordings of therapist and client, (n_channels, n_times) each, in one folder per session.

    Raises
    ------
    InputError
        If the scenario, the modality or a change is unknown, or a change has a value that no study can have.
    OutputError
        If the folder exists.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = simulate_study(folder + "/demo", "none", n_dyads=1, n_sessions=2, duration_s=10)
    ...     sorted(path.name for path in study.iterdir())
    ['dyad-01', 'dyads.tsv', 'study.toml', 'truth.json']
    """
    dest = Path(dest)
    _check_modality(modality)
    scenarios = EEG_SCENARIOS if modality == "eeg" else FNIRS_SCENARIOS
    if scenario not in scenarios:
        raise InputError(
            f"scenario = {scenario!r} is unknown for {modality}; known: {', '.join(scenarios)}."
            f"{did_you_mean(scenario, scenarios)}"
        )
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed = {seed!r}: expected a whole number from 0 on.")
    known = [f.name for f in fields(StudyDesign) if f.name != "modality"]
    for name in changes:
        if name not in known:
            told = f"{name} is no field of StudyDesign; there are: {', '.join(known)}."
            raise InputError(told + did_you_mean(name, known))
    design = replace(DESIGNS[modality], **changes)
    if dest.exists():
        raise OutputError(f"{dest.name} exists already. Name a folder that does not exist yet.")
    with new_folder(dest) as folder:
        took_place = []
        for dyad in range(1, design.n_dyads + 1):
            for session, now in sessions_of_dyad(design, scenarios[scenario], dyad, seed):
                _write_session(
                    folder / _place(dyad, session), design, now, np.random.default_rng([seed, dyad, session])
                )
                took_place.append((dyad, session, now.truth))
        truths = [{"dyad": f"D{dyad:02d}", "session": number, **truth.to_dict()} for dyad, number, truth in took_place]
        lines = ["# what the length of these recordings asks for"]
        lines += [f"{key} = {value}" for key, value in design.config.items()]
        write_table(folder / "dyads.tsv", dyads_table(design, [(dyad, session) for dyad, session, _ in took_place]))
        write_text(folder / "study.toml", "\n".join(lines) + "\n")
        write_json(folder / "truth.json", {"scenario": scenario, "seed": seed, "sessions": truths})
    return dest


def dyads_table(design: StudyDesign, sessions: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """Build ``dyads.tsv`` of sessions that took place, by dyad and number."""
    suffix = ".edf" if design.modality == "eeg" else ".snirf"
    rows = [
        {
            "dyad": f"D{dyad:02d}",
            "therapist": f"T{dyad:02d}",
            "client": f"C{dyad:02d}",
            "session": session,
            "days": 7 * (session - 1),
            "modality": design.modality,
            **{f"{role}_file": f"{_place(dyad, session)}/{role}{suffix}" for role in ROLES},
            "clock": "same_amplifier",
        }
        for dyad, session in sessions
    ]
    return pd.DataFrame(rows)


def _place(dyad: int, session: int) -> str:
    return f"dyad-{dyad:02d}/ses-{session:02d}"


def sessions_of_dyad(
    design: StudyDesign, course: Course, dyad: int, seed: int
) -> Iterator[tuple[int, SimulatedSession]]:
    """Draw which sessions of a dyad took place, by number, and what they hold."""
    rng = np.random.default_rng([seed, dyad])
    planned = [course(session / max(design.n_sessions - 1, 1)) for session in range(design.n_sessions)]
    draws, share = rng.random(len(planned)), rng.random()
    # those with the highest draws stay, so that enough are left whatever the share
    kept = np.argsort(draws)[::-1][: max(FEWEST_SESSIONS, int(np.sum(draws >= planned[0].missing)))]
    for i, now in enumerate(planned):
        if i in kept:
            low, high = now.lag_range_s or (design.lag_s, design.lag_s)
            truth = replace(now.truth, lag_s=float(low + share * (high - low)))
            if truth.task_gain:
                truth = replace(truth, task_seed=1000 * (seed + 1) + i + 1)
            yield i + 1, replace(now, truth=truth)


def _write_session(folder: Path, design: StudyDesign, now: SimulatedSession, rng: np.random.Generator) -> None:
    """Write the recordings of both people."""
    folder.mkdir(parents=True)
    # EDF holds whole seconds
    seconds = design.duration_s if now.duration_gain == 1 else float(round(design.duration_s * now.duration_gain))
    if isinstance(now.truth, EegTruth):
        eeg = simulate_eeg(now.truth, design.ch_names, design.sfreq, seconds, rng)
        for role, data in zip(ROLES, eeg, strict=True):
            write_edf(folder / f"{role}.edf", data, design.ch_names, design.sfreq)
    else:
        light = simulate_fnirs(now.truth, design.optodes, design.sfreq, seconds, rng)
        for role, data in zip(ROLES, light, strict=True):
            write_snirf(folder / f"{role}.snirf", data, design.optodes, design.sfreq)


def write_edf(path: Path, data: Array, ch_names: tuple[str, ...], sfreq: float) -> None:
    """Write EEG as an EDF file in microvolt.

    Shapes: ``data`` (n_channels, n_times).
    """
    import edfio

    microvolt = data * 1e6
    limit = float(np.ceil(np.abs(microvolt).max()))
    signals = [
        edfio.EdfSignal(
            row, sampling_frequency=sfreq, label=name, physical_dimension="uV", physical_range=(-limit, limit)
        )
        for row, name in zip(microvolt, ch_names, strict=True)
    ]
    edfio.Edf(signals).write(path)
