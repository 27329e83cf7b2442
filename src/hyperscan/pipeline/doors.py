"""Ways into a run: read a study with its settings, draft its table, check it, prepare a part of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hyperscan.config import StudyConfig
from hyperscan.pipeline.prepare import attempt, judge_row
from hyperscan.study import Rejected, Session, StudyTable, read_table


def load_study(
    study: str | Path, *, config: str | Path | None = None, seed: int | None = None
) -> tuple[StudyTable, StudyConfig]:
    """Read a study's table and the settings beside it.

    Parameters
    ----------
    study : path-like
        Folder with ``dyads.tsv``, or the table.
    config : path-like or None
        TOML file; None = ``study.toml`` beside the table where it exists, else the defaults.
    seed : int or None
        Overrides the seed of the settings.

    Returns
    -------
    table : StudyTable
    config : StudyConfig
    """
    table = read_table(study)
    beside = table.root / "study.toml"
    path = Path(config) if config is not None else beside if beside.is_file() else None
    settings = StudyConfig() if path is None else StudyConfig.from_toml(path)
    return table, settings if seed is None else dataclasses.replace(settings, seed=seed)


@dataclass(frozen=True)
class CheckReport:
    """What a run would do, as lines of text.

    Parameters
    ----------
    rows : tuple of dict
        Summary of every row, as preparation gives it.
    rejected : tuple of Rejected
        Rows that the table lost.
    notes : tuple of str
        Findings about the study as a whole.
    """

    rows: tuple[dict[str, Any], ...]
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def skipped(self) -> int:
        """Rows that a run would skip."""
        return len(self.rejected) + len([row for row in self.rows if row["status"] != "ok"])

    def __str__(self) -> str:
        lines = [_line(row) for row in self.rows]
        lines += [f"skip  {entry}" for entry in self.rejected]
        lines += [f"note  {note}" for note in self.notes]
        usable = len(self.rows) + len(self.rejected) - self.skipped
        return "\n".join([*lines, "", f"{usable} dyad-sessions would be analysed, {self.skipped} skipped."])


def check_study(study: str | Path, *, config: str | Path | None = None) -> CheckReport:
    """Read, align and judge every session of a study; analyse and write nothing.

    Parameters
    ----------
    study : path-like
        Folder with ``dyads.tsv``, or the table.
    config : path-like or None
        TOML file; None = ``study.toml`` beside the table where it exists.

    Returns
    -------
    CheckReport
    """
    table, settings = load_study(study, config=config)
    rows = [attempt(row, partial(_judge, row, settings)) for row in table.sessions]
    return CheckReport(tuple(rows), table.rejected, table.notes)


def _judge(row: Session, config: StudyConfig) -> dict[str, Any]:
    summary, _ = judge_row(row, config)
    return summary


def _line(row: dict[str, Any]) -> str:
    dyad, session, modality, task, run = row["key"]
    name = " ".join(filter(None, [dyad, f"ses-{session:02d}", modality, task, run]))
    if row["status"] != "ok":
        return f"skip  {name}: {row['reason']}"
    clock, quality = row["clock"], row["quality"]
    kept = ", ".join(
        f"{role} {quality[role]['channels_kept']}/{quality[role]['channels_total']} channels" for role in quality
    )
    grades = "/".join(str(quality[role]["grade"]) for role in quality)
    amount = f"{row['n_windows']} windows, {row['seconds']:.0f} s" if modality == "eeg" else f"{row['seconds']:.0f} s"
    facts = f"{row['sfreq']:g} Hz, {amount}, {kept}, clock {clock['source']}, quality {grades}"
    return "\n".join([f"ok    {name}: {facts}", *(f"      {note}" for note in row["notes"])])
