"""Options that are described once and used twice: in the help, and where a command reads them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hyperscan.config import FurtherOutcome
from hyperscan.schema import MEASURED


def option(name: str) -> str:
    """Spell an argument as an option."""
    return "--" + name.replace("_", "-")


def read_count(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def read_seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def read_outcome(text: str) -> FurtherOutcome:
    """Read the name of a column, with or without when it was measured."""
    name, _, measured = text.rpartition(":")
    return FurtherOutcome(name, measured) if name and measured in MEASURED else FurtherOutcome(text)


def read_contrast(text: str) -> tuple[str, dict[str, float]]:
    """Read ``name=task:weight,task:weight``.

    Examples
    --------
    >>> read_contrast("talk_minus_rest=talk:1,rest:-1")
    ('talk_minus_rest', {'talk': 1.0, 'rest': -1.0})
    """
    name, _, rest = text.partition("=")
    parts = [part.rpartition(":") for part in rest.split(",")]
    try:
        return name, {task: float(share) for task, _, share in parts if task or share}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=TASK:WEIGHT,..., as x=talk:1,rest:-1") from None


#: Options of ``growth`` that say what a table holds: a run's folder knows it.
TABLE_OPTIONS = {
    "value": ("COLUMN", "column of the outcome; default excess_z"),
    "time": ("COLUMN", "session, weeks or a numeric column; default session"),
    "dyad": ("COLUMN", "column of the dyad; default dyad"),
    "therapist": ("COLUMN", "column of the therapist, where one sees several dyads; default therapist if it is there"),
    "session": ("COLUMN", "column of the session number; default session"),
    "days": ("COLUMN", "column of the days since the first session, for --time weeks; default days"),
    "metric": ("NAME", "metric of the primary outcome, where the table holds several"),
    "band": ("NAME", "its band"),
    "roi": ("NAME", "its pair of regions, therapist's first, as all-all"),
    "task": ("NAME", "its task"),
    "modality": ("NAME", "eeg or fnirs, where the table holds both"),
    "signal": ("NAME", "hbo, hbr ..., where the table holds several"),
    "equivalence_slope": ("B", "smallest slope of interest, named in advance; default none"),
    "outcomes": (
        "COLUMN",
        "columns to relate to synchrony, as symptoms or alliance; of a run's folder, too; NAME:before or NAME:after "
        "tells when it was measured in a session",
    ),
    "contrasts": ("NAME", "differences of tasks, as talk_minus_rest=talk:1,rest:-1; of a run's folder, too"),
    "group": ("COLUMN", "column by which dyads are compared, as an arm; of a run's folder, too"),
    "reference": ("NAME", "group that the others are compared with; of a run's folder, too"),
    "moderators": ("COLUMN", "columns of numbers, one per dyad, with which growth may go; of a run's folder, too"),
    "guards": ("TSV", "guards.tsv, without which growth is at most unchecked"),
    "quality": ("TSV", "quality.tsv, likewise"),
    "seed": ("SEED", "seed of the random sign flips; default 0"),
}

#: Those of them that ask for more than growth, of a run's folder too; and which take several values.
QUESTIONS = ("outcomes", "contrasts", "group", "reference", "moderators")
SEVERAL = ("outcomes", "contrasts", "moderators")

#: How their values are read, where not as text.
TABLE_TYPES: dict[str, Callable[[str], Any]] = {
    "contrasts": read_contrast,
    "seed": read_seed,
    "outcomes": read_outcome,
    "equivalence_slope": float,
    "guards": Path,
    "quality": Path,
}

#: How much synchrony is assumed to vary, in Fisher z; better taken from a pilot.
SCATTER = {
    "intercept_sd": "SD between dyads at the first session (default 0.10)",
    "slope_sd": "SD between dyads' slopes (default 0.03)",
    "residual_sd": "SD within a dyad, from session to session (default 0.08)",
    "therapist_slope_sd": "SD between therapists' slopes (default 0)",
}
