"""The stages of a run: which units are open, what they are made of, and what became of them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperscan.config import StudyConfig
from hyperscan.pipeline.chance import Batch, batches_of, compute_batch
from hyperscan.pipeline.compute import compute_unit
from hyperscan.pipeline.output import LOGS, RunLog
from hyperscan.pipeline.plan import Plan, duplicates_of
from hyperscan.pipeline.prepare import prepare_unit
from hyperscan.pipeline.resources import fitting_jobs
from hyperscan.pipeline.unit import (
    Unit,
    digest,
    input_hashes,
    is_current,
    prepare_digest,
    read_manifest,
    unit_name,
    units_of,
)
from hyperscan.pipeline.workers import Place, Task, run_tasks
from hyperscan.schema import SessionKey
from hyperscan.study import Session

logger = logging.getLogger(__name__)

#: Warnings shown at the terminal; all of them are in the log.
MAX_NOTES = 10

#: Prepared signals and batches of pairs live here while a run lasts.
WORK = "work"

LOST = (
    "its worker process died twice during {stage}, most often because memory ran out. "
    "Run again with fewer --jobs or on a machine with more memory."
)

#: What a unit needs of a plan, beside its own pseudo pairs: a large study's plan is long, and has many units.
SHARED = ("groups", "matched_s2", "roi_channels")


class Stages:
    """One run's fixed facts, and its two stages of units."""

    def __init__(
        self,
        sessions: Sequence[Session],
        config: StudyConfig,
        out: Path,
        place: Place,
        log: RunLog,
        *,
        progress: bool,
    ) -> None:
        self.sessions, self.config, self.out, self.log = sessions, config, out, log
        self.place, self.progress = place, progress
        self.units = units_of(sessions)
        self.hashes = {unit.name: input_hashes(unit.rows) for unit in self.units}
        self.digests = {unit.name: prepare_digest(unit, self.hashes[unit.name], config) for unit in self.units}
        self.lost: dict[str, str] = {}

    @property
    def work(self) -> Path:
        """Folder of prepared signals and batches."""
        return self.out / WORK

    def prepare(self) -> dict[SessionKey, Mapping[str, Any]]:
        """Prepare what is not prepared yet, and say of every row how it went."""
        twice = duplicates_of(self.sessions)
        self._prepare([unit for unit in self.units if self._known(unit) is None])
        rows = [row for unit in self.units for row in self._known(unit) or self._lost_summaries(unit)]
        summaries: dict[SessionKey, Mapping[str, Any]] = {SessionKey(*row["key"]): row for row in rows}
        for key, reason in twice.items():
            summaries[key] = {**summaries[key], "status": "skipped", "reason": reason}
        self.log.summaries(summaries)
        _warn_of(summaries)
        return summaries

    def compute(self, plan: Plan, summaries: Mapping[SessionKey, Mapping[str, Any]]) -> list[Unit]:
        """Compute what the plan asks for and is not there yet; remove what it does not ask for.

        Parameters
        ----------
        plan : dict
            From :func:`hyperscan.pipeline.plan.make_plan`.
        summaries : mapping
            From :meth:`prepare`.

        Returns
        -------
        list of Unit
            Whose results are there.
        """
        good = {SessionKey(*key) for key in plan["sessions"]}
        units = units_of([row for row in self.sessions if row.key in good])
        basis = digest({"plan": plan, "config": self.config.to_dict()})
        wanted = {unit.name: digest({"basis": basis, "unit": unit.name}) for unit in units}
        stale = [unit for unit in units if not is_current(self.out / unit.name, wanted[unit.name])]
        self._remove_others(units)
        if stale:
            needed = {unit.name for unit in units}
            self._prepare([unit for unit in self.units if unit.name in needed and not self._prepared(unit)])
            pairs = _by_unit(plan["pseudo_pairs"])
            batches = self._pairs(plan, basis, stale)
            self._do([self._task(unit, plan, pairs, batches, wanted, summaries) for unit in stale], "synchrony")
        kept = [unit for unit in units if unit.name not in self.lost]
        self._remove_others(kept)
        return kept

    def forget_failures(self) -> None:
        """Failures of a machine or of ours are tried again; what is wrong with a recording stays known."""
        folders = [top / unit.name for unit in self.units for top in (self.work, self.out)]
        for folder in [*folders, *self.work.glob("pairs/*")]:
            manifest = read_manifest(folder) or {}
            rows = [*manifest.get("rows", []), *manifest.get("prepared", {}).get("rows", [])]
            if any(row.get("status") == "failed" for row in rows):
                shutil.rmtree(folder)

    def lost_rows(self, plan: Plan) -> list[dict[str, Any]]:
        """Rows that were prepared and whose worker died later."""
        good = [SessionKey(*key) for key in plan["sessions"]]
        names = {key: unit_name(key.dyad, key.session) for key in good}
        return [{**key._asdict(), "reason": self.lost[names[key]]} for key in good if names[key] in self.lost]

    def _prepare(self, units: Sequence[Unit]) -> None:
        tasks = []
        for unit in units:
            hashes, wanted = self.hashes[unit.name], self.digests[unit.name]
            tasks.append(Task(unit.name, prepare_unit, (unit, self.config, hashes, wanted, self.work / unit.name)))
        self._do(tasks, "preparation")

    def _pairs(self, plan: Plan, basis: str, stale: Sequence[Unit]) -> list[Batch]:
        """Compute the batches of pairs that stale units need; a lost one costs the units that need it."""
        names = {(unit.dyad, unit.session) for unit in stale}
        batches = [
            batch
            for batch in batches_of(plan, self.work)
            if any((dyad, batch.key.session) in names for dyad in batch.dyads)
        ]
        wanted = {batch.name: digest({"basis": basis, "batch": batch.pairs}) for batch in batches}
        shared = {name: plan[name] for name in SHARED}
        tasks = [
            Task(batch.name, compute_batch, (batch, shared, self.config, self.work, wanted[batch.name]))
            for batch in batches
            if not is_current(self.work / batch.name, wanted[batch.name])
        ]
        self._do(tasks, "pairs")
        for batch in batches:
            for dyad in sorted(batch.dyads) if batch.name in self.lost else ():
                self.lost[unit_name(dyad, batch.key.session)] = self.lost[batch.name]
        return batches

    def _task(
        self,
        unit: Unit,
        plan: Plan,
        pairs: Mapping[str, list[dict[str, Any]]],
        batches: Sequence[Batch],
        wanted: Mapping[str, str],
        summaries: Mapping[SessionKey, Mapping[str, Any]],
    ) -> Task:
        rows = next(every.rows for every in self.units if every.name == unit.name)
        prepared = {"digest": self.digests[unit.name], "rows": [summaries[row.key] for row in rows]}
        own = {name: plan[name] for name in SHARED} | {"pseudo_pairs": pairs.get(unit.name, [])}
        mine = [batch for batch in batches if batch.key.session == unit.session and unit.dyad in batch.dyads]
        arguments = (
            unit,
            own,
            mine,
            self.config,
            self.work,
            wanted[unit.name],
            self.out / unit.name,
            {"prepared": prepared},
        )
        return Task(unit.name, compute_unit, arguments)

    def _do(self, tasks: Sequence[Task], label: str) -> None:
        tasks = [task for task in tasks if task.name not in self.lost]
        for name in run_tasks(tasks, self.place, label, progress=self.progress, tell=self.log.say):
            self.lost[name] = LOST.format(stage=label)

    def _lost_summaries(self, unit: Unit) -> list[dict[str, Any]]:
        reason = self.lost[unit.name]
        return [{"key": list(row.key), "status": "failed", "reason": reason, "notes": []} for row in unit.rows]

    def _prepared(self, unit: Unit) -> bool:
        return is_current(self.work / unit.name, self.digests[unit.name])

    def _known(self, unit: Unit) -> list[dict[str, Any]] | None:
        """Rows' summaries, from prepared signals or from results that were made of the same content."""
        if self._prepared(unit):
            return list((read_manifest(self.work / unit.name) or {})["rows"])
        carried = (read_manifest(self.out / unit.name) or {}).get("prepared", {})
        return carried["rows"] if carried.get("digest") == self.digests[unit.name] else None

    def _remove_others(self, units: Collection[Unit]) -> None:
        kept, dyads = {unit.name for unit in units}, {f"dyad-{unit.dyad}" for unit in units}
        for folder in [*self.out.glob("dyad-*/ses-*"), *self.out.glob("dyad-*")]:
            if folder.relative_to(self.out).as_posix() not in kept | dyads:
                shutil.rmtree(folder)


def _by_unit(entries: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault(unit_name(entry["dyad"], entry["session"]), []).append(entry)
    return found


def fitting(place: Place, sessions: Sequence[Session]) -> Place:
    """Use fewer worker processes than asked for where their memory would not fit."""
    if place.cluster is not None or place.n_jobs == 1:
        return place
    n_jobs = fitting_jobs(units_of(sessions), place.n_jobs)
    if n_jobs < place.n_jobs:
        logger.warning("%d workers of %d: more would not fit into memory", n_jobs, place.n_jobs)
    return Place(n_jobs)


def _warn_of(summaries: Mapping[SessionKey, Mapping[str, Any]]) -> None:
    """Say every warning once, with the sessions that it is about."""
    about: dict[str, list[str]] = {}
    for key, row in summaries.items():
        for note in row.get("notes", ()) if row["status"] == "ok" else ():
            about.setdefault(note.removeprefix(f"{key}: "), []).append(str(key))
    for note, keys in list(about.items())[:MAX_NOTES]:
        others = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        logger.warning("warning: %s%s: %s", keys[0], others, note)
    if len(about) > MAX_NOTES:
        logger.warning("warning: %d more are in %s/", len(about) - MAX_NOTES, LOGS)
