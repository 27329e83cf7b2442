"""A study so small that whole runs of it are cheap, and what tests of runs share."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

from hyperscan.errors import DataQualityWarning
from hyperscan.pipeline import load_study, run_study
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.results import StudyResult
from hyperscan.schema import SessionKey
from hyperscan.simulate import simulate_study
from hyperscan.storage import sha256

#: One metric and one band: the machinery is what is tested.
CHEAP = """window_s = 10.0
n_null = 20
[metrics]
eeg = ["plv"]
[bands]
alpha = [8.0, 12.0]
"""


def tiny_study(dest: Path, n_dyads: int = 2, n_sessions: int = 2) -> Path:
    """Write 40-s sessions of uncoupled dyads."""
    study = simulate_study(dest, "none", n_dyads=n_dyads, n_sessions=n_sessions, duration_s=40)
    (study / "study.toml").write_text(CHEAP)
    return study


def run(
    study: Path, out: Path, n_jobs: int = 1, *, cluster: str | None = None, report: bool = False, **changes: Any
) -> StudyResult:
    """Run a study as the command does; the report takes most of the time and is left out unless asked for."""
    table, config = load_study(study)
    config = dataclasses.replace(config, **changes)
    with warnings.catch_warnings(), contextlib.ExitStack() as patches:
        warnings.simplefilter("ignore", DataQualityWarning)  # two dyads are few
        if not report:
            patches.enter_context(mock.patch("hyperscan.pipeline.run.build_report"))
        return run_study(table.sessions, config, out=out, n_jobs=n_jobs, cluster=cluster, rejected=table.rejected)


def tree(folder: Path) -> dict[str, str]:
    """Hash everything that equal runs must have in common."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: sha256(path) for name, path in named.items() if not name.startswith("logs/")}


#: Channels of the people of :func:`summaries_without`.
CAP = ["Fz", "Pz", "O1", "O2", "Oz", "P3"]


def summaries_without(*lost: set[str]) -> list[Summary]:
    """Make sessions of one dyad whose client lacks some channels in each, and whose therapist has all."""

    def person(label: str, gone: set[str]) -> PersonSummary:
        kept = tuple(name for name in CAP if name not in gone)
        rois = {"all": kept, "posterior": tuple(name for name in kept if name != "Fz")}
        return PersonSummary(label, kept, rois, s2=(0.5,) * len(kept), s2_roi=0.5)

    return [
        Summary(
            SessionKey("D1", number, "eeg", "", ""),
            people={"therapist": person("T1", set()), "client": person("C1", gone)},
        )
        for number, gone in enumerate(lost, start=1)
    ]


def edit_table(study: Path, old: str, new: str) -> None:
    """Replace text in ``dyads.tsv``."""
    path = study / "dyads.tsv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
