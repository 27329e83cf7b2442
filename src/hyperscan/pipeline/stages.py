"""The stages of a run: which units are open, what they are made of, and what became of them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from hyperscan.config import StudyConfig
from hyperscan.pipeline.chance import PAIRS, Batch, batches_of, compute_batch
from hyperscan.pipeline.compute import compute_unit
from hyperscan.pipeline.output import LOGS, WORK, RunLog, earlier_dyads
from hyperscan.pipeline.plan import Summaries, duplicates_of
from hyperscan.pipeline.prepare import prepare_unit
from hyperscan.pipeline.resources import fitting_jobs
from hyperscan.pipeline.summary import Attempt, Summary
from hyperscan.pipeline.unit import (
    Prepared,
    Unit,
    digest,
    input_hashes,
    is_current,
    prepare_digest,
    read_manifest,
    remove_unit,
    unit_name,
    units_of,
)
from hyperscan.pipeline.workers import Place, Task, run_tasks
from hyperscan.results.plan import Plan, PlannedPair, Remark, Skip
from hyperscan.schema import SessionKey
from hyperscan.storage import remove_files
from hyperscan.study import Session

logger = logging.getLogger(__name__)

#: Warnings about recordings, and findings of one kind, shown at the terminal; all of them are in the log.
MAX_NOTES = 10

LOST = (
    "its worker process died twice during {stage}, most often because memory ran out. "
    "Run again with fewer --jobs or on a machine with more memory."
)


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

    def prepare(self) -> dict[SessionKey, Summary]:
        """Prepare what is not prepared yet, and say of every row how it went."""
        twice = duplicates_of(self.sessions)
        self._prepare([unit for unit in self.units if self._known(unit) is None])
        summaries = {}
        for unit in self.units:
            known = self._known(unit)
            if known is None:
                known = tuple(Summary(row.key, "failed", self.lost[unit.name]) for row in unit.rows)
            for summary in known:
                reason = twice.get(summary.key)
                summaries[summary.key] = summary if reason is None else summary.refuse(reason)
        self.log.summaries(summaries.values())
        _warn_of(summaries.values())
        return summaries

    def tell(self, findings: Sequence[Remark]) -> None:
        """Say what was found about the study as a whole; the log has all of it, the terminal some of every kind."""
        shown: dict[str, int] = defaultdict(int)
        for finding in findings:
            word = "note" if finding.severity == "info" else finding.severity
            self.log.say(f"{word}: {finding.message}")
            shown[finding.kind] += 1
            if shown[finding.kind] <= MAX_NOTES:
                level = logging.INFO if finding.severity == "info" else logging.WARNING
                logger.log(level, "%s: %s", word, finding.message)
        for kind, number in shown.items():
            if number > MAX_NOTES:
                logger.warning("warning: %d more of this kind (%s) are in %s/", number - MAX_NOTES, kind, LOGS)

    def compute(self, plan: Plan, summaries: Summaries) -> list[Unit]:
        """Compute what the plan asks for and is not there yet, remove the rest, and list units with results."""
        good = set(plan.sessions)
        units = units_of([row for row in self.sessions if row.key in good])
        basis = digest(plan=plan.to_dict(), config=self.config.to_dict())
        wanted = {unit.name: digest(basis=basis, unit=unit.name) for unit in units}
        stale = [unit for unit in units if not is_current(self.out / unit.name, wanted[unit.name])]
        self._remove_others(units)
        if stale:
            needed = {unit.name for unit in units}
            self._prepare([unit for unit in self.units if unit.name in needed and not self._prepared(unit)])
            pairs: dict[str, list[PlannedPair]] = defaultdict(list)
            for pair in plan.pseudo_pairs:
                pairs[unit_name(pair.dyad, pair.session)].append(pair)
            batches = self._pairs(plan, basis, stale)
            tasks = []
            for unit in stale:
                own = plan.for_unit(pairs[unit.name])
                tasks.append(self._task(unit, own, batches, wanted[unit.name], summaries))
            self._do(tasks, "synchrony")
        kept = [unit for unit in units if unit.name not in self.lost]
        self._remove_others(kept)
        return kept

    def forget_failures(self) -> None:
        """Failures of a machine or of ours are tried again; what is wrong with a recording stays known."""
        folders = [top / unit.name for unit in self.units for top in (self.work, self.out)]
        for folder in [*folders, *self.work.glob("pairs/*")]:
            manifest = read_manifest(folder, Attempt)
            if manifest is not None:
                rows = [*manifest.rows, *(manifest.prepared.rows if manifest.prepared else ())]
                if any(row.status == "failed" for row in rows):
                    remove_unit(folder, self.out)

    def remove_work(self) -> None:
        """Remove prepared signals and batches, which results do not need."""
        for folder in [*self.work.glob("dyad-*/ses-*"), *self.work.glob(f"{PAIRS}/*")]:
            remove_unit(folder, self.out)

    def lost_rows(self, plan: Plan) -> list[Skip]:
        """Rows that were prepared and whose worker died later."""
        names = {key: unit_name(key.dyad, key.session) for key in plan.sessions}
        return [Skip.of(key, self.lost[name]) for key, name in names.items() if name in self.lost]

    def _prepare(self, units: Sequence[Unit]) -> None:
        tasks = []
        for unit in units:
            work = partial(
                prepare_unit,
                unit,
                config=self.config,
                hashes=self.hashes[unit.name],
                wanted=self.digests[unit.name],
                folder=self.work / unit.name,
            )
            tasks.append(Task(unit.name, work))
        self._do(tasks, "preparation")

    def _pairs(self, plan: Plan, basis: str, stale: Sequence[Unit]) -> list[Batch]:
        """Compute the batches of pairs that stale units need; a lost one costs the units that need it."""
        names = {(unit.dyad, unit.session) for unit in stale}
        batches = [
            batch
            for batch in batches_of(plan, self.work)
            if any((dyad, batch.key.session) in names for dyad in batch.dyads)
        ]
        tasks = []
        for batch in batches:
            wanted = digest(basis=basis, batch=batch.pairs)
            if not is_current(self.work / batch.name, wanted):
                work = partial(
                    compute_batch, batch, plan=plan.for_unit(), config=self.config, work=self.work, wanted=wanted
                )
                tasks.append(Task(batch.name, work))
        self._do(tasks, "pairs")
        for batch in batches:
            for dyad in sorted(batch.dyads) if batch.name in self.lost else ():
                self.lost[unit_name(dyad, batch.key.session)] = self.lost[batch.name]
        return batches

    def _task(self, unit: Unit, plan: Plan, batches: Sequence[Batch], wanted: str, summaries: Summaries) -> Task:
        """Gather what the computation of a unit needs; rows that preparation skipped are carried as well."""
        rows = next(every.rows for every in self.units if every.name == unit.name)
        work = partial(
            compute_unit,
            unit,
            plan=plan,
            batches=[batch for batch in batches if batch.key.session == unit.session and unit.dyad in batch.dyads],
            config=self.config,
            work=self.work,
            wanted=wanted,
            folder=self.out / unit.name,
            prepared=Prepared(self.digests[unit.name], tuple(summaries[row.key] for row in rows)),
        )
        return Task(unit.name, work)

    def _do(self, tasks: Sequence[Task], label: str) -> None:
        tasks = [task for task in tasks if task.name not in self.lost]
        for name in run_tasks(tasks, self.place, label, progress=self.progress, tell=self.log.say):
            self.lost[name] = LOST.format(stage=label)

    def _prepared(self, unit: Unit) -> bool:
        return is_current(self.work / unit.name, self.digests[unit.name])

    def _known(self, unit: Unit) -> tuple[Summary, ...] | None:
        """Rows' summaries, from prepared signals or from results that were made of the same content."""
        if self._prepared(unit):
            made = read_manifest(self.work / unit.name, Summary)
            return None if made is None else made.rows
        done = read_manifest(self.out / unit.name, Attempt)
        carried = None if done is None else done.prepared
        return carried.rows if carried is not None and carried.digest == self.digests[unit.name] else None

    def _remove_others(self, units: Collection[Unit]) -> None:
        """Remove earlier results of other units, and pages of other dyads; what is not ours stays."""
        kept, dyads = {unit.name for unit in units}, {unit.dyad for unit in units}
        for dyad in earlier_dyads(self.out) - dyads:
            remove_files(self.out / f"dyad-{dyad}", ["report.html"], self.out)
        for folder in self.out.glob("dyad-*/ses-*"):
            if folder.relative_to(self.out).as_posix() not in kept:
                remove_unit(folder, self.out)


def limit_place(place: Place, sessions: Sequence[Session]) -> Place:
    """Use fewer worker processes than asked for where their memory would not fit."""
    if place.cluster is not None or place.n_jobs == 1:
        return place
    n_jobs = fitting_jobs(units_of(sessions), place.n_jobs)
    if n_jobs < place.n_jobs:
        logger.warning("%d workers of %d: more would not fit into memory", n_jobs, place.n_jobs)
    return Place(n_jobs=n_jobs)


def _warn_of(summaries: Collection[Summary]) -> None:
    """Say every warning once, with the sessions that it is about."""
    about: dict[str, list[SessionKey]] = defaultdict(list)
    for summary in summaries:
        for note in summary.notes if summary.ok else ():
            about[note.removeprefix(f"{summary.key}: ")].append(summary.key)
    for note, keys in list(about.items())[:MAX_NOTES]:
        others = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        logger.warning("warning: %s%s: %s", keys[0], others, note)
    if len(about) > MAX_NOTES:
        logger.warning("warning: %d more are in %s/", len(about) - MAX_NOTES, LOGS)
