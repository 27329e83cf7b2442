"""The order of a run: prepare every session, plan, compute, tables, growth, report, record."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import hyperscan
from hyperscan.config import StudyConfig
from hyperscan.errors import NothingToAnalyseError, OutputError
from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.pipeline.compute import compute_unit
from hyperscan.pipeline.lock import LOCK_NAME, output_lock
from hyperscan.pipeline.plan import Plan, make_plan
from hyperscan.pipeline.prepare import prepare_unit
from hyperscan.pipeline.tables import failed_rows, write_tables
from hyperscan.pipeline.units import (
    Unit,
    digest,
    input_hashes,
    is_current,
    prepare_digest,
    read_manifest,
    units_of,
)
from hyperscan.pipeline.workers import run_tasks
from hyperscan.report import build_report
from hyperscan.results import StudyResult
from hyperscan.storage import sha256, sweep, to_json, write_json, write_text
from hyperscan.study import Rejected, Session, SessionKey

logger = logging.getLogger(__name__)

#: Prepared signals live here while a run lasts.
WORK = "work"

#: What may differ between two equal runs, and so is in no record.
UNRECORDED = (LOCK_NAME, WORK, "logs", "run.json")

VERSIONED = ("mne", "numpy", "scipy", "pandas", "xarray", "numba", "mne-connectivity")


def run_study(
    sessions: Sequence[Session],
    config: StudyConfig | None = None,
    *,
    out: str | Path | None = None,
    n_jobs: int = 1,
    rejected: Sequence[Rejected] = (),
    progress: bool = False,
) -> StudyResult:
    """Analyse a study: every session, the chance level from re-paired dyads, growth, and the report.

    Parameters
    ----------
    sessions : sequence of Session
        From :func:`hyperscan.read_sessions`.
    config : StudyConfig or None
        None = the defaults.
    out : path-like or None
        Output folder; what is there and still valid is used again. None = nothing is kept but the tables.
    n_jobs : int
        Worker processes. Results do not depend on it.
    rejected : sequence of Rejected
        Rows that the table lost, to be reported.
    progress : bool
        Show progress bars on standard error.

    Returns
    -------
    StudyResult

    Raises
    ------
    NothingToAnalyseError
        If not one dyad-session can be used.
    OutputError
        If the output folder is not one of ours, is locked, or cannot be written.
    """
    config = config or StudyConfig()
    if out is None:
        with tempfile.TemporaryDirectory(prefix="hyperscan-") as folder:
            result = run_study(
                sessions,
                config,
                out=Path(folder) / "out",
                n_jobs=n_jobs,
                rejected=rejected,
                progress=progress,
            )
        return StudyResult(result.table, result.pseudo, result.guards, result.quality, result.plan)
    out = Path(out)
    _check_output(out, sessions)
    with output_lock(out):
        sweep(out)
        _Run(sessions, rejected, config, out, n_jobs, progress).go()
    return StudyResult.load(out)


def prepare_study(
    sessions: Sequence[Session],
    config: StudyConfig,
    *,
    out: str | Path,
    only: Collection[SessionKey],
    progress: bool = False,
) -> None:
    """Prepare some sessions and stop, so that cluster jobs stay independent; ``run_study`` finishes.

    Parameters
    ----------
    sessions : sequence of Session
        Of the whole study.
    config : StudyConfig
        The study's choices.
    out : path-like
        Output folder, shared by all jobs.
    only : collection of SessionKey
        Sessions to prepare.
    progress : bool
        Show progress bars on standard error.
    """
    out = Path(out)
    _check_output(out, sessions)
    write_json(out / "dataset_description.json", DATASET_DESCRIPTION)
    wanted = {(key.dyad, key.session) for key in only}
    chosen = [row for row in sessions if (row.dyad, row.session) in wanted]
    _Run(chosen, (), config, out, 1, progress).prepare()


class _Run:
    """One run's fixed facts, and its stages in their order."""

    def __init__(
        self,
        sessions: Sequence[Session],
        rejected: Sequence[Rejected],
        config: StudyConfig,
        out: Path,
        n_jobs: int,
        progress: bool,
    ) -> None:
        self.sessions, self.rejected, self.config, self.out = sessions, rejected, config, out
        self.n_jobs, self.progress = n_jobs, progress
        self.units = units_of(sessions)
        self.hashes = {unit.name: input_hashes(unit.rows) for unit in self.units}
        self.digests = {unit.name: prepare_digest(unit, self.hashes[unit.name], config) for unit in self.units}

    @property
    def work(self) -> Path:
        return self.out / WORK

    def go(self) -> None:
        """Do all stages; the record is written last and makes the run complete."""
        (self.out / "run.json").unlink(missing_ok=True)
        write_json(self.out / "dataset_description.json", DATASET_DESCRIPTION)
        write_text(self.out / "config.toml", self.config.to_toml())
        summaries = self.prepare()
        plan = make_plan(self.sessions, self.rejected, summaries, self.config, self.digests)
        analysed = self.compute(plan, summaries)
        plan["skipped"] += failed_rows(self.out, analysed)
        write_json(self.out / "plan.json", plan)
        write_tables(self.out, analysed, summaries)
        growth_of(self.out, self.config).save(self.out)
        build_report(self.out)
        shutil.rmtree(self.work, ignore_errors=True)
        self.record()

    def prepare(self) -> dict[SessionKey, Mapping[str, Any]]:
        """Prepare what is not prepared yet, and say of every row how it went."""
        self._prepare([unit for unit in self.units if self._known(unit) is None])
        rows = [row for unit in self.units for row in self._known(unit) or []]
        return {SessionKey(*row["key"]): row for row in rows}

    def compute(self, plan: Plan, summaries: Mapping[SessionKey, Mapping[str, Any]]) -> list[Unit]:
        """Compute what the plan asks for and is not there yet; remove what it does not ask for."""
        good = {SessionKey(*key) for key in plan["sessions"]}
        units = units_of([row for row in self.sessions if row.key in good])
        wanted = {
            unit.name: digest({"plan": plan, "config": self.config.to_dict(), "unit": unit.name}) for unit in units
        }
        stale = [unit for unit in units if not is_current(self.out / unit.name, wanted[unit.name])]
        if stale:
            needed = {unit.name for unit in units}
            self._prepare([unit for unit in self.units if unit.name in needed and not self._prepared(unit)])
        self._remove_others(units)
        tasks = []
        for unit in stale:
            carried = {
                "prepared": {
                    "digest": self.digests[unit.name],
                    "rows": [summaries[row.key] for row in self._rows(unit)],
                }
            }
            arguments = (unit, plan, self.config, self.work, wanted[unit.name], self.out / unit.name, carried)
            tasks.append((compute_unit, arguments))
        run_tasks(tasks, self.n_jobs, "synchrony", progress=self.progress)
        return units

    def record(self) -> None:
        """Write ``run.json``: what went in, what came out, and with what."""
        outputs = {
            path.relative_to(self.out).as_posix(): sha256(path)
            for path in sorted(self.out.rglob("*"))
            if path.is_file() and path.relative_to(self.out).parts[0] not in UNRECORDED
        }
        inputs = dict(
            sorted({name: value for hashes in self.hashes.values() for name, value in hashes.items()}.items())
        )
        write_json(
            self.out / "run.json",
            {
                "version": hyperscan.__version__,
                "config": self.config.to_dict(),
                "seed": self.config.seed,
                "versions": {
                    "python": platform.python_version(),
                    **{name: importlib.metadata.version(name) for name in VERSIONED},
                },
                "inputs": inputs,
                "outputs": outputs,
            },
        )

    def _prepare(self, units: Sequence[Unit]) -> None:
        tasks = [(prepare_unit, (unit, self.config, self.digests[unit.name], self.work / unit.name)) for unit in units]
        run_tasks(tasks, self.n_jobs, "preparation", progress=self.progress)

    def _prepared(self, unit: Unit) -> bool:
        return is_current(self.work / unit.name, self.digests[unit.name])

    def _known(self, unit: Unit) -> list[dict[str, Any]] | None:
        """Rows' summaries, from prepared signals or from results that were made of the same content."""
        if self._prepared(unit):
            return list((read_manifest(self.work / unit.name) or {})["rows"])
        carried = (read_manifest(self.out / unit.name) or {}).get("prepared", {})
        return carried["rows"] if carried.get("digest") == self.digests[unit.name] else None

    def _rows(self, unit: Unit) -> tuple[Session, ...]:
        return next(every.rows for every in self.units if every.name == unit.name)

    def _remove_others(self, units: Sequence[Unit]) -> None:
        kept = {unit.name for unit in units}
        for folder in self.out.glob("dyad-*/ses-*"):
            if folder.relative_to(self.out).as_posix() not in kept:
                shutil.rmtree(folder)


DATASET_DESCRIPTION = {
    "Name": "Inter-brain synchrony and its growth over sessions",
    "BIDSVersion": "1.10.0",
    "DatasetType": "derivative",
    "GeneratedBy": [{"Name": "hyperscan-mne", "Version": hyperscan.__version__}],
}


def growth_of(out: Path, config: StudyConfig) -> GrowthResult:
    """Fit growth from the tables that a run wrote, and from nothing else.

    Parameters
    ----------
    out : Path
        Folder of a run.
    config : StudyConfig
        Time axis, smallest slope of interest and seed.

    Returns
    -------
    GrowthResult
    """
    study = StudyResult.load(out)
    if study.table.empty:
        raise NothingToAnalyseError(f"{out.name}: synchrony.tsv has no rows, so there is nothing to fit.")
    primary = study.plan["primary"]
    names = {name: primary[name] for name in ("metric", "band", "roi", "task")}
    mine = (study.table["modality"] == primary["modality"]) & (study.table["signal"] == primary["signal"])
    return fit_growth(
        study.table[mine],
        primary=names,
        time=config.time,
        guards=_of_modality(study.guards, primary["modality"]),
        quality=_of_modality(study.quality, primary["modality"]),
        equivalence_slope=config.equivalence_slope,
        seed=config.seed,
    )


def _of_modality(frame: Any, modality: str) -> Any:
    return frame[frame["modality"] == modality]


def _check_output(out: Path, sessions: Sequence[Session]) -> None:
    here = out.resolve()
    for root in {row.root.resolve() for row in sessions}:
        inside = here.is_relative_to(root) and here.relative_to(root).parts[:1] != ("derivatives",)
        if inside or root.is_relative_to(here):
            raise OutputError(
                f"{out.name}: the output would lie in the study itself. "
                "Choose a folder outside it, or under its derivatives/."
            )
    if here.is_dir() and any(here.iterdir()) and not _is_ours(here):
        raise OutputError(f"{out.name}: is not empty and no folder of a run. Choose a new or empty folder.")


def _is_ours(folder: Path) -> bool:
    description = folder / "dataset_description.json"
    return (folder / LOCK_NAME).exists() or (
        description.is_file() and description.read_text("utf-8") == to_json(DATASET_DESCRIPTION)
    )
