"""Analyses of a multiverse that share prepared signals, side by side: each gets what growth of its outcome needs.

A run keeps maps, profiles, nulls and indices to look at; an analysis among many keeps the rows that its verdict is
taken of, all analyses of a dyad-session in one file. The numbers are those of a run with its settings.
"""

from __future__ import annotations

import warnings
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError
from hyperscan.metrics import get_metrics
from hyperscan.pipeline.chance import Batch, batches_of, guard_means, pair_values
from hyperscan.pipeline.compute import chance_columns, guard_columns
from hyperscan.pipeline.plan import planned_signals, recipe_for
from hyperscan.pipeline.prepare import attempt
from hyperscan.pipeline.privacy import scrub
from hyperscan.pipeline.stages import Stages
from hyperscan.pipeline.summary import Attempt
from hyperscan.pipeline.together import PAIRS, SYNCHRONY, Steps
from hyperscan.pipeline.unit import (
    FOUND,
    Basis,
    Manifest,
    Prepared,
    Unit,
    digest,
    is_current,
    own_files,
    read_manifest,
    remove_unit,
    unit_name,
)
from hyperscan.pipeline.workers import Task
from hyperscan.recall import remembered
from hyperscan.results.plan import PlannedPair
from hyperscan.schema import ROLES, TABLES, Cell, RoiPair, Scalar, SessionKey
from hyperscan.storage import new_folder, read_json, write_json
from hyperscan.study import Session
from hyperscan.synchrony import (
    GuardValues,
    Recipe,
    SessionValues,
    Signals,
    guard_row,
    outcome_values,
    session_attrs,
    shared_windows,
)
from hyperscan.synchrony.pair import CellValues, WindowPair
from hyperscan.synchrony.person import same

Array = npt.NDArray[Any]

#: Columns of ``synchrony.tsv`` that a lag profile or null tells, of which growth of synchrony takes none.
LEFT_OUT = ("lag_peak_s", "lag_peak_p", "lead_asymmetry_excess", "lag_estimate", "lag_p", "lag_n")


@dataclass(frozen=True)
class Found(Attempt):
    """How one analysis fared in a dyad-session, or in a batch of pairs."""

    #: Name of the analysis
    analysis: str = ""
    #: What it found, as plain values; it is in a file of its own
    content: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Content of a row of ``unit.json``."""
        return {**super().to_dict(), "analysis": self.analysis}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a row of ``unit.json``."""
        return replace(super().from_dict(content), analysis=content["analysis"])


class Analyses(Stages):
    """Analyses whose preparation is the same one: what they share is done once, and each unit leaves one folder."""

    @property
    def work(self) -> Path:
        """Folder of what is needed while the multiverse lasts."""
        return self.prepared

    def find(self, bases: Mapping[str, Basis]) -> Steps[dict[str, list[Found]]]:
        """Compute what every analysis needs, and give it by analysis, dyad-sessions in their order."""
        planned: dict[str, dict[str, Unit]] = defaultdict(dict)
        for name, basis in bases.items():
            for unit in self.planned(basis.plan):
                planned[unit.name][name] = unit
        wanted = {
            unit: digest(parts={name: bases[name].digest_of(rows) for name, rows in parts.items()})
            for unit, parts in planned.items()
        }
        stale = [unit for unit in planned if unit in self.again or not is_current(self.out / unit, wanted[unit])]
        if stale:
            yield from self._prepare([one for one in self.units if one.name in planned and not self._is_prepared(one)])
            batches = yield from self._batches(bases, {(u.dyad, u.session) for s in stale for u in planned[s].values()})
            yield from self._do([self._finding(planned[s], bases, batches, wanted[s]) for s in stale], SYNCHRONY)
        for folder in self.out.glob("dyad-*/ses-*"):
            if folder.relative_to(self.out).as_posix() not in planned:
                remove_unit(folder, self.out)
        found: dict[str, list[Found]] = {name: [] for name in bases}
        for there in sorted(planned.keys() - self.lost.keys()):
            for each in _load(self.out / there):
                _check(each, there)
                found[each.analysis].append(each)
        return found

    def _batches(
        self, bases: Mapping[str, Basis], needed: Collection[tuple[str, int]]
    ) -> Steps[dict[str, dict[str, Batch]]]:
        """Compute the pairs that dyad-sessions need, batches of one name for all analyses at once."""
        batches: dict[str, dict[str, Batch]] = defaultdict(dict)
        for name, basis in bases.items():
            for batch in batches_of(basis.plan, self.prepared):
                if any((dyad, batch.key.session) in needed for dyad in batch.dyads):
                    batches[batch.name][name] = batch
        reduced, tasks = {name: basis.for_unit() for name, basis in bases.items()}, []
        for place, parts in batches.items():
            folder = self.work / place
            wanted = digest(parts={name: bases[name].digest_of(batch) for name, batch in parts.items()})
            if not is_current(folder, wanted):
                mine = {name: reduced[name] for name in parts}
                work = partial(find_chance, parts, bases=mine, prepared=self.prepared, folder=folder, wanted=wanted)
                tasks.append(Task(place, work, folder))
        yield from self._do(tasks, PAIRS)
        for place, parts in batches.items():
            for batch in parts.values() if place in self.lost else ():
                self.lost |= {unit_name(dyad, batch.key.session): self.lost[place] for dyad in batch.dyads}
        return batches

    def _finding(
        self,
        parts: Mapping[str, Unit],
        bases: Mapping[str, Basis],
        batches: Mapping[str, Mapping[str, Batch]],
        wanted: str,
    ) -> Task:
        """Gather what the analyses of one dyad-session need."""
        unit = next(iter(parts.values()))
        pairs = {
            name: [p for p in bases[name].plan.pseudo_pairs if (p.dyad, p.session) == (unit.dyad, unit.session)]
            for name in parts
        }
        folders = [
            self.work / place
            for place, each in batches.items()
            if any(b.key.session == unit.session and unit.dyad in b.dyads for b in each.values())
        ]
        work = partial(
            find_outcomes,
            parts,
            bases={name: bases[name].for_unit(pairs[name]) for name in parts},
            batches=folders,
            found=Prepared(self.made_from[unit.name].digest, self.found[unit.name]),
            prepared=self.prepared,
            folder=self.out / unit.name,
            wanted=wanted,
        )
        return Task(unit.name, work, self.out / unit.name)


def _load(folder: Path) -> list[Found]:
    """Read what analyses found, with how each row went."""
    manifest, content = read_manifest(folder, Found), read_json(folder / FOUND)
    assert manifest is not None  # computed, or seen to be current, before whatever reads it
    there = {name: held for name, held in content.items() if isinstance(held, dict)}
    return [replace(row, content=there.get(f"{row.analysis} {row.key}", {})) for row in manifest.rows]


def _check(found: Found, unit: str) -> None:
    """Refuse what no multiverse writes: the folder may come from somebody else."""
    rows, guards = found.content.get("synchrony"), found.content.get("guards")
    sound = isinstance(rows, list) and all(isinstance(row, dict) for row in rows) and isinstance(guards, dict)
    if found.ok and not sound:
        raise InputError(f"{unit}/{FOUND}: is not as a multiverse writes it. Delete that folder and run again.")


def _save(folder: Path, rows: Sequence[Found], wanted: str, prepared: Prepared | None = None) -> None:
    write_json(folder / FOUND, {f"{row.analysis} {row.key}": row.content for row in rows if row.ok})
    Manifest(wanted, tuple(rows), prepared).save(folder)


def find_chance(
    batches: Mapping[str, Batch], *, bases: Mapping[str, Basis], prepared: Path, folder: Path, wanted: str
) -> None:
    """Compute the pairs of a batch for every analysis, into a folder that appears whole."""
    with new_folder(folder, own_files) as temporary:
        rows = []
        for name, batch in batches.items():
            metrics = metrics_of(bases, batch.key.modality)
            done = attempt(batch.key, partial(_pairs, batch, bases[name], metrics, prepared), Found)
            rows.append(replace(done, analysis=name))
        _save(temporary, rows, wanted)


def metrics_of(bases: Mapping[str, Basis], modality: str) -> tuple[str, ...]:
    """Name the metrics of some analyses: those that differ in nothing else are computed in one go."""
    return tuple(dict.fromkeys(basis.config.primary_of(modality).metric for basis in bases.values()))


def outcome_recipe(row: Session | SessionKey, basis: Basis, metrics: Sequence[str]) -> Recipe:
    """Ask for the outcome of an analysis by all metrics, so that those that differ in metric alone ask the same."""
    recipe = recipe_for(row, basis.plan, basis.config)
    # metrics of regions need the plan of an analysis that has one
    specs = tuple(spec for spec in get_metrics(metrics) if spec.sets is None or recipe.ranks)
    return replace(recipe.but_metrics, metrics=specs, outcome_only=True)


def _pairs(batch: Batch, basis: Basis, metrics: Sequence[str], prepared: Path) -> Found:
    """Values and guards of every pair of a batch."""
    made = pair_values(batch, basis, prepared, outcome_recipe(batch.key, basis, metrics))
    metric = basis.config.primary_of(batch.key.modality).metric
    content = {
        " ".join(pair): {
            "z": [
                [*cell, *rois, z]
                for cell, means in found.table.items()
                for rois, z in zip(found.roi_pairs, means.tolist(), strict=True)
                if cell.metric == metric
            ],
            "guards": guard_means(found.guards_of[metric]) if found.guards_of else None,
        }
        for pair, found in made.items()
    }
    return Found(batch.key, content=content)


def find_outcomes(
    parts: Mapping[str, Unit],
    *,
    bases: Mapping[str, Basis],
    batches: Sequence[Path],
    found: Prepared,
    prepared: Path,
    folder: Path,
    wanted: str,
) -> None:
    """Compute the outcome of every analysis in a dyad-session, into a folder that appears whole."""
    lent = [each for batch in batches for each in _load(batch)]
    with new_folder(folder, own_files) as temporary:
        rows = []
        for name, unit in parts.items():
            for row in unit.rows:
                mine = [each for each in lent if each.analysis == name and each.key._replace(dyad=row.dyad) == row.key]
                metrics = metrics_of(bases, row.modality)
                done = attempt(row.key, partial(_outcome, row, bases[name], metrics, mine, prepared), Found)
                rows.append(replace(done, analysis=name, reason=scrub(done.reason, row, {})))
        _save(temporary, rows, wanted, found)


def _outcome(row: Session, basis: Basis, metrics: Sequence[str], lent: Sequence[Found], prepared: Path) -> Found:
    """Rows of synchrony and guards of one analysis."""
    fault = next((each for each in lent if not each.ok), None)
    if fault is not None:
        return Found(row.key, fault.status, fault.reason, traceback=fault.traceback)
    config, chance = basis.config, OutcomeChance.of([p for p in basis.plan.pseudo_pairs if p.key == row.key], lent)
    a, b = (planned_signals(prepared, row.key, role, basis.plan) for role in ROLES)
    recipe, metric = outcome_recipe(row, basis, metrics), config.primary_of(row.modality).metric
    windows, rois = shared_windows(a, b, recipe), recipe.pairs_of(a.rois, b.rois)
    null = not chance.covers(Cell(recipe.signals[0], metric, recipe.primary.band), rois)
    rng = np.random.default_rng([config.seed, zlib.crc32(str(row.key).encode())])
    if null or recipe.modality == "fnirs":  # shifts are drawn metric by metric
        recipe = replace(recipe, metrics=get_metrics([metric]))
    compute = partial(outcome_values, a, b, recipe, windows, n_null=config.n_null, rng=rng, null=null)
    values = remembered(("outcome", row.key), (*same(a, b), recipe, config.n_null, config.seed, null), compute)
    mine = replace(recipe, primary=replace(recipe.primary, metric=metric))
    guards = guard_row(a, b, mine, windows, values.guards_of.get(metric), chance.guards)
    content = {
        "synchrony": synchrony_rows(row, (a, b), mine, windows, values, chance, config),
        "guards": guard_columns(row, mine, guards),
    }
    return Found(row.key, content=content)


def synchrony_rows(
    row: Session,
    people: tuple[Signals, Signals],
    recipe: Recipe,
    windows: WindowPair,
    values: SessionValues,
    chance: OutcomeChance,
    config: StudyConfig,
) -> list[dict[str, Scalar]]:
    """Rows of ``synchrony.tsv`` of the primary signal, without what is :data:`LEFT_OUT`."""
    labels = {
        name: value
        for name, value in asdict(session_attrs(row, people[0], windows, config.seed)).items()
        if name in TABLES["synchrony"]
    }
    pairs, rows = recipe.pairs_of(people[0].rois, people[1].rois), []
    for found in (cell for cell in values.cells if cell.cell.metric == recipe.primary.metric):
        lag, own, means = values.lag.get(found.cell), values.own.get(found.cell), window_means(found)
        for at, pair in enumerate(pairs):
            mine, z = {name: float(mean[at]) for name, mean in means.items()}, chance.z.get((found.cell, pair))
            pseudo = np.empty(0) if z is None else z
            compared = chance_columns(mine["z"], pseudo, lag, own, at, shared=chance.shared, config=config)
            rois = {"roi_therapist": pair.therapist, "roi_client": pair.client}
            rows.append({**labels, **found.cell._asdict(), **rois, **mine, **compared, **row.covariates})
    return rows


def window_means(found: CellValues) -> dict[str, Array]:
    """Means over the windows of every ROI pair, shape (n_roi_pairs,) each: as ``SynchronyResult.to_data_frame``."""

    def mean(values: Array, start: int = 0, step: int = 1) -> Array:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            # windows last, as they lie in a result, so that sums are taken in one order
            return np.asarray(np.nanmean(values.T[..., start::step], axis=-1))

    means = {"estimate": mean(found.roi_value), "z": mean(found.roi_z)}
    if len(found.roi_z) > 1:
        means["halves_z"] = mean(found.roi_z, 0, 2) - mean(found.roi_z, 1, 2)
    return means


@dataclass(frozen=True)
class OutcomeChance:
    """What the pairs of one dyad-session say about chance, to one analysis."""

    #: By cell and ROI pair, in the order of the plan; shape (n_pairs,) each
    z: Mapping[tuple[Cell, RoiPair], Array]
    guards: tuple[GuardValues, ...] = ()
    #: Whether a pair has the dyad's own therapist
    shared: bool = False

    @classmethod
    def of(cls, planned: Sequence[PlannedPair], lent: Sequence[Found]) -> OutcomeChance:
        """Pick the pairs of one dyad-session out of the batches that hold them."""
        held = {pair: content for each in lent for pair, content in each.content.items()}
        z: dict[tuple[Cell, RoiPair], list[float]] = defaultdict(list)
        used, guards = [], []
        for pair in planned:
            content = held.get(" ".join(pair.dyads))
            if content is None:
                continue
            for signal, metric, band, therapist, client, value in content["z"]:
                cell = Cell(signal, metric, band), RoiPair(therapist, client)
                z[cell].append(np.nan if value is None else value)
            used += [pair] * bool(content["z"])
            if content["guards"] is not None:
                guards.append(GuardValues(*np.array(content["guards"], dtype=float)))
        arrays = {cell: np.array(values, dtype=float) for cell, values in z.items()}
        return cls(arrays, tuple(guards), any(pair.shared_therapist for pair in used))

    def covers(self, cell: Cell, pairs: Sequence[RoiPair]) -> bool:
        """Whether every value of the pair has a pair that did not meet beside it."""
        return all(np.isfinite(self.z.get((cell, pair), np.nan)).any() for pair in pairs)
