"""The stages of a run: which units are open, what they are made of, and what became of them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hyperscan.config import StudyConfig
from hyperscan.pipeline.chance import Batch, batches_of, compute_batch
from hyperscan.pipeline.compute import compute_unit
from hyperscan.pipeline.decisions import unaligned_of
from hyperscan.pipeline.output import FRESH, LOGS, WORK, RunLog, computed_rows, earlier_dyads
from hyperscan.pipeline.plan import duplicates_of, session_remarks
from hyperscan.pipeline.prepare import prepare_unit
from hyperscan.pipeline.resources import fitting_jobs
from hyperscan.pipeline.summary import Attempt, Summary
from hyperscan.pipeline.together import PAIRS, PREPARATION, SYNCHRONY, Step, Steps
from hyperscan.pipeline.unit import (
    Basis,
    Prepared,
    Unit,
    UnitInputs,
    all_versions,
    digest,
    is_current,
    own_files,
    read_manifest,
    remove_unit,
    stays_current,
    unit_name,
    units_of,
)
from hyperscan.pipeline.workers import Place, Task
from hyperscan.recall import remembered
from hyperscan.results.plan import OF_SESSIONS, Plan, PlannedPair, Remark, Skip
from hyperscan.schema import SessionKey
from hyperscan.storage import remove_files, replace_folder
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
        log: RunLog,
        *,
        prepared: Path | None = None,
    ) -> None:
        self.sessions, self.config, self.out, self.log = sessions, config, out, log
        #: Folder of prepared signals, which runs whose settings are equal so far may share
        self.prepared = prepared or self.work
        # the line of a row enters nothing
        self.units = units_of([replace(row, line=0) for row in sessions])
        self.versions = all_versions()
        self.made_from = {unit.name: UnitInputs.of(unit, config, self.versions) for unit in self.units}
        self.lost: dict[str, str] = {}
        #: What preparation said of every unit, before anything is compared over units
        self.found: dict[str, tuple[Summary, ...]] = {}
        #: Units whose results are not taken over
        self.again = self._not_to_be_trusted()

    @property
    def work(self) -> Path:
        """Folder of what the run needs while it lasts: prepared signals that are its own, and batches of pairs."""
        return self.out / WORK

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every input of the run."""
        return {name: value for made_from in self.made_from.values() for name, value in made_from.hashes.items()}

    @property
    def digests(self) -> dict[str, str]:
        """Say of every unit what its prepared signals were made from, undeclared files among it."""
        found = {}
        for unit in self.units:
            further = [summary.undeclared for summary in self.found[unit.name]]
            mine = self.made_from[unit.name].digest
            found[unit.name] = digest(made_from=mine, further=further) if any(further) else mine
        return found

    def prepare(self) -> Steps[dict[SessionKey, Summary]]:
        """Prepare what is not prepared yet, and say of every row how it went."""
        twice = remembered("duplicates", tuple(self.sessions), partial(duplicates_of, self.sessions))
        yield from self._prepare([unit for unit in self.units if self._known(unit) is None])
        summaries = {}
        for unit in self.units:
            known = self._known(unit)
            if known is None:
                known = tuple(Summary(row.key, "failed", self.lost[unit.name]) for row in unit.rows)
            self.found[unit.name] = known
            for summary in known:
                reason = twice.get(summary.key)
                summaries[summary.key] = summary if reason is None else summary.refuse(reason)
        for key, reason in unaligned_of(self.sessions, summaries).items():
            summaries[key] = summaries[key].refuse(reason)
        self.log.attempts(summaries.values())
        self._warn_of(summaries.values())
        return summaries

    def tell(self, findings: Sequence[Remark]) -> None:
        """Say what was found about the study as a whole; the log has all of it, the terminal some of every kind."""
        shown: dict[str, int] = defaultdict(int)
        for finding in (finding for finding in findings if finding.kind != OF_SESSIONS):
            word = "note" if finding.severity == "info" else finding.severity
            self.log.say(f"{word}: {finding.message}")
            shown[finding.kind] += 1
            if shown[finding.kind] <= MAX_NOTES:
                level = logging.INFO if finding.severity == "info" else logging.WARNING
                self.log.show(f"{word}: {finding.message}", level)
        for kind, number in shown.items():
            if number > MAX_NOTES:
                self.log.show(f"warning: {number - MAX_NOTES} more of this kind ({kind}) are in {LOGS}/")

    def basis(self, plan: Plan) -> Basis:
        """Join what all units of the run are computed from."""
        return Basis.of(plan, self.config, self.versions)

    def planned(self, plan: Plan) -> list[Unit]:
        """List the units that a plan has sessions of, without the rows that it leaves out."""
        good = set(plan.sessions)
        return units_of([row for unit in self.units for row in unit.rows if row.key in good])

    def stale(self, basis: Basis) -> list[Unit]:
        """List the units whose results are not there, or were made from something else."""
        return [
            unit
            for unit in self.planned(basis.plan)
            if unit.name in self.again or not is_current(self.out / unit.name, basis.digest_of(unit))
        ]

    def compute(self, basis: Basis) -> Steps[None]:
        """Compute what is stale and not computed yet, next to the results that are there."""
        units = self.planned(basis.plan)
        stale = [unit for unit in self.stale(basis) if not is_current(self._fresh(unit), basis.digest_of(unit))]
        if not stale:
            return
        needed = {unit.name for unit in units}
        yield from self._prepare([unit for unit in self.units if unit.name in needed and not self._is_prepared(unit)])
        pairs: dict[str, list[PlannedPair]] = defaultdict(list)
        for pair in basis.plan.pseudo_pairs:
            pairs[unit_name(pair.dyad, pair.session)].append(pair)
        batches = yield from self._pairs(basis, stale)
        tasks = [self._task(unit, basis.for_unit(pairs[unit.name]), batches) for unit in stale]
        yield from self._do(tasks, SYNCHRONY)

    def publish(self, basis: Basis) -> list[Unit]:
        """Put computed units into the place of those before, remove what is no part of the run, and list the units."""
        units = [unit for unit in self.planned(basis.plan) if unit.name not in self.lost]
        self._remove_others(units)
        for unit in units:
            if is_current(self._fresh(unit), basis.digest_of(unit)):
                replace_folder(self._fresh(unit), self.out / unit.name, own_files)
        return units

    def _fresh(self, unit: Unit) -> Path:
        return self.work / FRESH / unit.name

    def _not_to_be_trusted(self) -> set[str]:
        """Name units to be made again whatever they were made from, and remove what is prepared of them.

        A failure of a machine or of ours is tried again, while what is wrong with a recording stays known; what a
        reader opened undeclared may have changed.
        """
        found = set()
        for unit in self.units:
            for folder in (self.out / unit.name, self.prepared / unit.name, self._fresh(unit)):
                if _must_be_made_again(folder):
                    found.add(unit.name)
                    if folder != self.out / unit.name:
                        remove_unit(folder, folder.parents[1])
        for folder in self.work.glob(f"{PAIRS}/*"):
            if _must_be_made_again(folder):
                remove_unit(folder, self.out)
        return found

    def tell_computed(self, units: Sequence[Unit]) -> list[Skip]:
        """Say what computation found of published units, and list the rows that it could not do."""
        rows = computed_rows(self.out, units)
        self.log.attempts(rows)
        self._warn_of(rows)
        return [Skip.of(row.key, row.reason) for row in rows if not row.ok]

    def lost_rows(self, plan: Plan) -> list[Skip]:
        """Rows that were prepared and whose worker died later."""
        names = {key: unit_name(key.dyad, key.session) for key in plan.sessions}
        return [Skip.of(key, self.lost[name]) for key, name in names.items() if name in self.lost]

    def _prepare(self, units: Sequence[Unit]) -> Steps[None]:
        tasks = []
        for unit in units:
            folder = self.prepared / unit.name
            tasks.append(Task(unit.name, partial(prepare_unit, self.made_from[unit.name], folder=folder), folder))
        yield from self._do(tasks, PREPARATION)

    def _pairs(self, basis: Basis, stale: Sequence[Unit]) -> Steps[list[Batch]]:
        """Compute the batches of pairs that stale units need; a lost one costs the units that need it."""
        names = {(unit.dyad, unit.session) for unit in stale}
        batches = [
            batch
            for batch in batches_of(basis.plan, self.prepared)
            if any((dyad, batch.key.session) in names for dyad in batch.dyads)
        ]
        shared, tasks = basis.for_unit(), []
        for batch in batches:
            folder = self.work / batch.name
            if not is_current(folder, basis.digest_of(batch)):
                work = partial(compute_batch, batch, basis=shared, prepared=self.prepared, folder=folder)
                tasks.append(Task(batch.name, work, folder))
        yield from self._do(tasks, PAIRS)
        for batch in batches:
            for dyad in sorted(batch.dyads) if batch.name in self.lost else ():
                self.lost[unit_name(dyad, batch.key.session)] = self.lost[batch.name]
        return batches

    def _task(self, unit: Unit, basis: Basis, batches: Sequence[Batch]) -> Task:
        """Gather what the computation of a unit needs; rows that preparation skipped are carried as well."""
        work = partial(
            compute_unit,
            unit,
            basis=basis,
            batches={
                self.work / batch.name: batch
                for batch in batches
                if batch.key.session == unit.session and unit.dyad in batch.dyads
            },
            found=Prepared(self.made_from[unit.name].digest, self.found[unit.name]),
            prepared=self.prepared,
            folder=self._fresh(unit),
        )
        return Task(unit.name, work, self._fresh(unit))

    def _do(self, tasks: Sequence[Task], stage: str) -> Steps[None]:
        tasks = [task for task in tasks if task.name not in self.lost]
        if tasks:
            self.log.open()
        for name in sorted((yield Step(stage, tasks, self.log.say))):
            self.lost[name] = LOST.format(stage=stage)

    def _is_prepared(self, unit: Unit) -> bool:
        return stays_current(self.prepared / unit.name, self.made_from[unit.name].digest)

    def _known(self, unit: Unit) -> tuple[Summary, ...] | None:
        """Rows' summaries, from prepared signals or from results that were made of the same content."""
        if self._is_prepared(unit):
            made = read_manifest(self.prepared / unit.name, Summary)
            return None if made is None else made.rows
        for folder in (self._fresh(unit), *([] if unit.name in self.again else [self.out / unit.name])):
            done = read_manifest(folder, Attempt)
            carried = None if done is None else done.prepared
            if carried is not None and carried.digest == self.made_from[unit.name].digest:
                return carried.rows
        return None

    def _warn_of(self, rows: Collection[Attempt]) -> None:
        """Say every warning once, with the sessions that it is about."""
        told = session_remarks(rows)
        for remark in told[:MAX_NOTES]:
            self.log.show(f"warning: {remark.message}")
        if len(told) > MAX_NOTES:
            self.log.show(f"warning: {len(told) - MAX_NOTES} more are in {LOGS}/")

    def _remove_others(self, units: Collection[Unit]) -> None:
        """Remove earlier results of other units, and pages of other dyads; what is not ours stays."""
        kept, dyads = {unit.name for unit in units}, {unit.dyad for unit in units}
        for dyad in earlier_dyads(self.out) - dyads:
            remove_files(self.out / f"dyad-{dyad}", ["report.html"], self.out)
        for folder in self.out.glob("dyad-*/ses-*"):
            if folder.relative_to(self.out).as_posix() not in kept:
                remove_unit(folder, self.out)


def _must_be_made_again(folder: Path) -> bool:
    # a summary has all that is asked for, in prepared signals as in what results carry
    manifest = read_manifest(folder, Summary)
    if manifest is None:
        return False
    rows = (*manifest.rows, *(manifest.prepared.rows if manifest.prepared else ()))
    return any(row.status == "failed" or row.undeclared for row in rows)


def limit_place(place: Place, sessions: Sequence[Session]) -> Place:
    """Use fewer worker processes than asked for where their memory would not fit."""
    if place.cluster is not None or place.n_jobs == 1:
        return place
    n_jobs = fitting_jobs(units_of(sessions), place.n_jobs)
    if n_jobs < place.n_jobs:
        logger.warning("%d workers of %d: more would not fit into memory", n_jobs, place.n_jobs)
    return replace(place, n_jobs=n_jobs)
