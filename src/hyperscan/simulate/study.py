"""Whole studies with known truth, written as a lab would have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError, OutputError, did_you_mean
from hyperscan.schema import MODALITIES
from hyperscan.simulate.eeg import EegTruth, simulate_eeg
from hyperscan.simulate.fnirs import FnirsTruth, Optodes, simulate_fnirs, write_snirf
from hyperscan.simulate.signals import record
from hyperscan.storage import new_folder, write_json, write_table, write_text

Array = npt.NDArray[np.float64]

#: Five frontal and temporal sites that carry little of the posterior rhythm, and three that carry it.
CH_NAMES = ("Fz", "F3", "F4", "T7", "T8", "Pz", "O1", "O2")

#: From 0 in the first session to 1 in the last: fields of the truth, and three of the study: ``lag_s`` as a range
#: (each dyad draws its own), ``duration_gain``, and ``missing`` (share of the sessions that did not take place).
Course = Callable[[float], Mapping[str, Any]]

#: What changes over the sessions, by scenario; the argument runs from 0 (first session) to 1 (last).
EEG_SCENARIOS: dict[str, Course] = {
    "none": lambda _: {},
    "constant": lambda _: {"coupled_fraction": 0.5},
    "growth": lambda u: {"coupled_fraction": 0.05 + 0.75 * u},
    "snr_none": lambda u: {"rhythm_gain": (0.5 + u, 0.5 + u)},
    "snr_constant": lambda u: {"coupled_fraction": 0.5, "rhythm_gain": (0.5 + u, 0.5 + u)},
    "growth_snr": lambda u: {"coupled_fraction": 0.05 + 0.75 * u, "rhythm_gain": (0.7 + 0.6 * u,) * 2},
    "rhythmicity": lambda u: {"bandwidth_hz": 4.0 - 3.0 * u},
    "artefact_broadband": lambda u: {"artefact": "broadband", "artefact_gain": u},
    "artefact_narrowband": lambda u: {"artefact": "narrowband", "artefact_gain": u},
    "artefact_topography": lambda u: {"artefact": "topography", "artefact_gain": u},
    "clock_drift": lambda u: {"coupled_fraction": 0.7, "clock_ppm": 100.0 * (1 - u)},
    "growth_random_lag": lambda u: {"coupled_fraction": 0.05 + 0.75 * u, "lag_s": (0.0, 0.1)},
    "snr_concave": lambda u: {"coupled_fraction": 0.5, "rhythm_gain": (0.5 + u,) * 2, "curvature": 0.3},
    "snr_one_person": lambda u: {"coupled_fraction": 0.5, "rhythm_gain": (0.5 + u, 1.0)},
    "snr_background": lambda u: {"coupled_fraction": 0.5, "background_gain": (2.0 - u, 2.0 - u)},
    "longer": lambda u: {"coupled_fraction": 0.5, "duration_gain": 1.0 + u},
    "shared_task": lambda u: {"task_gain": u},
    "missing": lambda u: {"coupled_fraction": 0.05 + 0.75 * u, "missing": 0.25},
}

FNIRS_SCENARIOS: dict[str, Course] = {
    "none": lambda _: {},
    "constant": lambda _: {"coupled_fraction": 0.5},
    "growth": lambda u: {"coupled_fraction": 0.05 + 0.85 * u},
    "systemic_falls": lambda u: {"coupled_fraction": 0.5, "systemic_gain": 1.6 - 1.2 * u},
    "common_systemic": lambda u: {"common_systemic": 0.9 * u},
    "noise_falls": lambda u: {"coupled_fraction": 0.5, "noise_gain": 100.0 - 90.0 * u},
    "joint_motion": lambda u: {"motion_per_min": 4.0 * u},
    "shared_task": lambda u: {"task_gain": u},
    "longer": lambda u: {"coupled_fraction": 0.5, "duration_gain": 1.0 + u},
    "missing": lambda u: {"coupled_fraction": 0.05 + 0.85 * u, "missing": 0.25},
}

#: Smallest number of sessions that a dyad keeps where sessions are missing.
MIN_SESSIONS = 2


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
    #: Written beside the table as ``study.toml``
    config: Mapping[str, Any] = field(default_factory=lambda: {"window_s": 10.0})


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
        The folder.

    Raises
    ------
    InputError
        If the scenario or the modality is unknown.
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
    design, course = _design(scenario, modality, changes)
    if dest.exists():
        raise OutputError(f"{dest.name} exists already. Name a folder that does not exist yet.")
    rows, truths = [], []
    with new_folder(dest) as folder:
        for dyad in range(1, design.n_dyads + 1):
            for session, now in _sessions(design, course, dyad, seed):
                row, truth = _write_session(folder, design, dyad, session, now, seed)
                rows.append(row)
                truths.append(truth)
        write_table(folder / "dyads.tsv", pd.DataFrame(rows))
        write_text(folder / "study.toml", _study_toml(design))
        write_json(folder / "truth.json", {"scenario": scenario, "seed": seed, "sessions": truths})
    return dest


def _design(scenario: str, modality: str, changes: Mapping[str, Any]) -> tuple[StudyDesign, Course]:
    if modality not in MODALITIES:
        raise InputError(f"modality = {modality!r}: expected 'eeg' or 'fnirs'.{did_you_mean(modality, MODALITIES)}")
    scenarios = EEG_SCENARIOS if modality == "eeg" else FNIRS_SCENARIOS
    if scenario not in scenarios:
        raise InputError(
            f"scenario = {scenario!r} is unknown for {modality}; known: {', '.join(scenarios)}."
            f"{did_you_mean(scenario, scenarios)}"
        )
    return dataclasses.replace(DESIGNS[modality], **changes), scenarios[scenario]


def _sessions(design: StudyDesign, course: Course, dyad: int, seed: int) -> list[tuple[int, dict[str, Any]]]:
    """Sessions of one dyad that took place, and what they hold."""
    rng = np.random.default_rng([seed, dyad])
    times = [(session, (session - 1) / max(design.n_sessions - 1, 1)) for session in range(1, design.n_sessions + 1)]
    courses = [(session, dict(course(u))) for session, u in times]
    draws, share = rng.random(len(courses)), rng.random()
    for session, now in courses:
        if isinstance(now.get("lag_s"), tuple):
            low, high = now["lag_s"]
            now["lag_s"] = float(low + share * (high - low))
        if now.get("task_gain"):
            now["task_seed"] = 1000 * (seed + 1) + session
    # those with the highest draws stay, so that enough are left whatever the share
    kept = np.argsort(draws)[::-1][: max(MIN_SESSIONS, int(np.sum(draws >= courses[0][1].get("missing", 0.0))))]
    return [entry for i, entry in enumerate(courses) if i in kept]


def _study_toml(design: StudyDesign) -> str:
    lines = [f"{key} = {value}" for key, value in design.config.items()]
    StudyConfig.from_mapping(design.config)
    return "\n".join(["# what the length of these recordings asks for", *lines]) + "\n"


def _write_session(
    folder: Path, design: StudyDesign, dyad: int, session: int, course: Mapping[str, Any], seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng([seed, dyad, session])
    course = {name: value for name, value in course.items() if name != "missing"}
    gain = course.pop("duration_gain", 1.0)
    if gain != 1:  # EDF holds whole seconds
        design = dataclasses.replace(design, duration_s=float(round(design.duration_s * gain)))
    place = f"dyad-{dyad:02d}/ses-{session:02d}"
    (folder / place).mkdir(parents=True)
    write = _write_eeg if design.modality == "eeg" else _write_fnirs
    suffix, truth = write(folder / place, design, course, rng)
    row = {
        "dyad": f"D{dyad:02d}",
        "therapist": f"T{dyad:02d}",
        "client": f"C{dyad:02d}",
        "session": session,
        "days": 7 * (session - 1),
        "modality": design.modality,
        "therapist_file": f"{place}/therapist{suffix}",
        "client_file": f"{place}/client{suffix}",
        "clock": "same_amplifier",
    }
    return row, {"dyad": row["dyad"], "session": session, **record(truth)}


def _write_eeg(
    folder: Path, design: StudyDesign, course: Mapping[str, Any], rng: np.random.Generator
) -> tuple[str, EegTruth]:
    truth = EegTruth(**{"lag_s": design.lag_s, **course})
    people = simulate_eeg(truth, design.ch_names, design.sfreq, design.duration_s, rng)
    for role, data in zip(("therapist", "client"), people, strict=True):
        write_edf(folder / f"{role}.edf", data, design.ch_names, design.sfreq)
    return ".edf", truth


def _write_fnirs(
    folder: Path, design: StudyDesign, course: Mapping[str, Any], rng: np.random.Generator
) -> tuple[str, FnirsTruth]:
    truth = FnirsTruth(**{"lag_s": design.lag_s, **course})
    people = simulate_fnirs(truth, design.optodes, design.sfreq, design.duration_s, rng)
    for role, data in zip(("therapist", "client"), people, strict=True):
        write_snirf(folder / f"{role}.snirf", data, design.optodes, design.sfreq)
    return ".snirf", truth


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
