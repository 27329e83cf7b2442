"""The order of a run: prepare every session, plan, compute, tables, growth, report, record."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import hyperscan
from hyperscan.config import StudyConfig
from hyperscan.errors import NothingToAnalyseError
from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.pipeline.compute import compute_unit
from hyperscan.pipeline.lock import LOCK_NAME, check_unlocked, output_lock, sweep_locks
from hyperscan.pipeline.logs import LOGS, RunLog
from hyperscan.pipeline.output import check_output, describe_output, versions
from hyperscan.pipeline.plan import (
    Plan,
    check_settings,
    duplicates_of,
    findings_of,
    make_plan,
    nothing,
    recorded,
    skips_of,
)
from hyperscan.pipeline.prepare import prepare_unit
from hyperscan.pipeline.public import public_rejected
from hyperscan.pipeline.resources import fitting_jobs
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
from hyperscan.pipeline.workers import Place, Task, run_tasks
from hyperscan.report import build_report
from hyperscan.results import StudyResult
from hyperscan.storage import sha256, sweep, write_json, write_text
from hyperscan.study import Rejected, Session, SessionKey

logger = logging.getLogger(__name__)

#: Warnings shown at the terminal; all of them are in the log.
MAX_NOTES = 10

#: The command in the log, without its paths, which may name people.
COMMAND = " ".join("PATH" if os.sep in word or Path(word).exists() else word for word in sys.argv)

LOST = (
    "its worker process died twice during {stage}, most often because memory ran out. "
    "Run again with fewer --jobs or on a machine with more memory."
)

#: Prepared signals live here while a run lasts.
WORK = "work"

#: What may differ between two equal runs, and so is in no record.
UNRECORDED = (LOCK_NAME, WORK, LOGS, "run.json")


def run_study(
    sessions: Sequence[Session],
    config: StudyConfig | None = None,
    *,
    out: str | Path | None = None,
    n_jobs: int = 1,
    cluster: str | None = None,
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
        Worker processes; fewer are used if their memory would not fit. Results do not depend on it.
    cluster : str or None
        Address of a Dask scheduler that does the units instead; it must see the study and the output under the
        same paths.
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
    if not sessions:
        raise NothingToAnalyseError(nothing(list(map(public_rejected, rejected))))
    if out is None:
        with tempfile.TemporaryDirectory(prefix="hyperscan-") as folder:
            result = run_study(
                sessions,
                config,
                out=Path(folder) / "out",
                n_jobs=n_jobs,
                cluster=cluster,
                rejected=rejected,
                progress=progress,
            )
        return StudyResult(result.table, result.pseudo, result.guards, result.quality, result.plan)
    check_settings(sessions, config)
    out = Path(out).resolve()  # workers of a cluster have another current folder
    check_output(out, sessions)
    with output_lock(out):
        sweep(out)
        sweep_locks(out)
        describe_output(out)
        _Run(sessions, rejected, config, out, Place(n_jobs, cluster), progress).go()
    return StudyResult.load(out)


def prepare_study(
    sessions: Sequence[Session],
    config: StudyConfig,
    *,
    out: str | Path,
    only: Collection[SessionKey],
    n_jobs: int = 1,
    progress: bool = False,
) -> list[dict[str, Any]]:
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
    n_jobs : int
        Worker processes.
    progress : bool
        Show progress bars on standard error.

    Returns
    -------
    list of dict
        Rows among them that cannot be used, with their reasons.

    Raises
    ------
    NothingToAnalyseError
        If ``only`` names no session of the study.
    OutputError
        If the output folder is not one of ours, is held by a run that finishes, or cannot be written.
    """
    check_settings(sessions, config)
    out = Path(out).resolve()
    check_output(out, sessions)
    check_unlocked(out)
    wanted = {(key.dyad, key.session) for key in only}
    chosen = [row for row in sessions if (row.dyad, row.session) in wanted]
    if not chosen:
        raise NothingToAnalyseError("None of the sessions asked for is in the table. Check the labels.")
    describe_output(out)
    summaries = _Run(chosen, (), config, out, Place(n_jobs), progress).prepare()
    return skips_of(chosen, summaries)


class _Run:
    """One run's fixed facts, and its stages in their order."""

    def __init__(
        self,
        sessions: Sequence[Session],
        rejected: Sequence[Rejected],
        config: StudyConfig,
        out: Path,
        place: Place,
        progress: bool,
    ) -> None:
        self.sessions, self.rejected, self.config, self.out = sessions, rejected, config, out
        self.progress = progress
        self.units = units_of(sessions)
        self.place = self._fitting(place)
        self.hashes = {unit.name: input_hashes(unit.rows) for unit in self.units}
        self.digests = {unit.name: prepare_digest(unit, self.hashes[unit.name], config) for unit in self.units}
        self.lost: dict[str, str] = {}
        facts = {"command": COMMAND, "workers": self.place.n_jobs, "cluster": self.place.cluster, "seed": config.seed}
        self.log = RunLog(out, facts)

    @property
    def work(self) -> Path:
        return self.out / WORK

    def go(self) -> None:
        """Do all stages; the record is written last and makes the run complete."""
        (self.out / "run.json").unlink(missing_ok=True)
        write_text(self.out / "config.toml", self.config.to_toml())
        self._forget_failures()
        summaries = self.prepare()
        plan = make_plan(self.sessions, self.rejected, summaries, self.config, self.digests)
        plan["findings"] = recorded(findings_of(self.sessions, summaries))
        analysed = self.compute(plan, summaries)
        plan["skipped"] += [*failed_rows(self.out, analysed), *self._lost_rows(plan)]
        write_json(self.out / "plan.json", plan)
        write_tables(self.out, analysed, summaries)
        self.log.say("growth")
        growth_of(self.out, self.config).save(self.out)
        self.log.say("report")
        build_report(self.out)
        shutil.rmtree(self.work, ignore_errors=True)
        self.record()
        self.log.say("complete")

    def prepare(self) -> dict[SessionKey, Mapping[str, Any]]:
        """Prepare what is not prepared yet, and say of every row how it went."""
        twice = duplicates_of(self.sessions)
        open_units = [unit for unit in self.units if self._known(unit) is None]
        self._prepare(open_units)
        rows = [row for unit in self.units for row in self._known(unit) or self._lost_summaries(unit)]
        summaries: dict[SessionKey, Mapping[str, Any]] = {SessionKey(*row["key"]): row for row in rows}
        for key, reason in twice.items():
            summaries[key] = {**summaries[key], "status": "skipped", "reason": reason}
        self.log.summaries(summaries)
        _warn_of(summaries)
        return summaries

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
            tasks.append(Task(unit.name, compute_unit, arguments))
        self._do(tasks, "synchrony")
        self._remove_others([unit for unit in units if unit.name not in self.lost])
        return [unit for unit in units if unit.name not in self.lost]

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
                "versions": {"python": platform.python_version(), **versions()},
                "inputs": inputs,
                "outputs": outputs,
            },
        )

    def _prepare(self, units: Sequence[Unit]) -> None:
        self._do(
            [
                Task(
                    unit.name,
                    prepare_unit,
                    (unit, self.config, self.hashes[unit.name], self.digests[unit.name], self.work / unit.name),
                )
                for unit in units
            ],
            "preparation",
        )

    def _do(self, tasks: Sequence[Task], label: str) -> None:
        self.log.say(f"{label}: {len(tasks)} dyad-sessions")
        for name in run_tasks(tasks, self.place, label, progress=self.progress, tell=self.log.say):
            self.lost[name] = LOST.format(stage=label)

    def _fitting(self, place: Place) -> Place:
        if place.cluster is not None or place.n_jobs == 1:
            return place
        n_jobs = fitting_jobs(self.units, place.n_jobs)
        if n_jobs < place.n_jobs:
            logger.warning("%d workers of %d: more would not fit into memory", n_jobs, place.n_jobs)
        return Place(n_jobs)

    def _forget_failures(self) -> None:
        """Failures of a machine or of ours are tried again; what is wrong with a recording stays known."""
        for unit in self.units:
            for folder in (self.work / unit.name, self.out / unit.name):
                manifest = read_manifest(folder) or {}
                rows = [*manifest.get("rows", []), *manifest.get("prepared", {}).get("rows", [])]
                if any(row.get("status") == "failed" for row in rows):
                    shutil.rmtree(folder)

    def _lost_summaries(self, unit: Unit) -> list[dict[str, Any]]:
        reason = self.lost[unit.name]
        return [{"key": list(row.key), "status": "failed", "reason": reason, "notes": []} for row in unit.rows]

    def _lost_rows(self, plan: Plan) -> list[dict[str, Any]]:
        """Rows that were prepared and whose worker died later."""
        good = [SessionKey(*key) for key in plan["sessions"]]
        names = {key: f"dyad-{key.dyad}/ses-{key.session:02d}" for key in good}
        return [{**key._asdict(), "reason": self.lost[names[key]]} for key in good if names[key] in self.lost]

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
        dyads = {name.partition("/")[0] for name in kept}
        for folder in self.out.glob("dyad-*"):
            if folder.name not in dyads:
                shutil.rmtree(folder)


def _warn_of(summaries: Mapping[SessionKey, Mapping[str, Any]]) -> None:
    notes = [note for row in summaries.values() for note in row.get("notes", ()) if row["status"] == "ok"]
    for note in notes[:MAX_NOTES]:
        logger.warning("warning: %s", note)
    if len(notes) > MAX_NOTES:
        logger.warning("warning: %d more are in %s/", len(notes) - MAX_NOTES, LOGS)


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
