"""Chance as units of work: batches of pairs of people who did not meet, each batch filtering its people once.

A pair of people serves two dyads: the therapist's and the client's. It is computed once, in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.pipeline.plan import planned_signals, recipe_for
from hyperscan.pipeline.prepare import attempt
from hyperscan.pipeline.summary import Attempt
from hyperscan.pipeline.together import PAIRS
from hyperscan.pipeline.unit import BATCH_TABLES, Basis, Manifest, own_files, read_manifest, row_label, signals_path
from hyperscan.recall import remembered
from hyperscan.results.plan import Plan, PlannedPair
from hyperscan.schema import CELL_COLUMNS, ROLES, SessionKey
from hyperscan.storage import load_table, new_folder, write_table
from hyperscan.synchrony import (
    BYTES_PER_SAMPLE,
    GuardValues,
    PairValues,
    Recipe,
    Signals,
    chance_values,
)
from hyperscan.synchrony.pair import Lenders
from hyperscan.synchrony.person import same

Array = NDArray[np.float64]

#: Memory that a batch may take, in bytes: with the program itself a worker stays below 6 GB (our choice).
BATCH_BYTES = 5_000_000_000

#: Dyads on either side of a batch at most: more save little, and the last batch lets workers wait (our choice).
MAX_SIDE = 10

#: Dyads that lend the therapist and the client, in the tables of a batch.
_LENDERS = ("therapist_of", "client_of")

#: What a pair contributes to the guards; arrays are stored as their mean.
_GUARDS = tuple(item.name for item in fields(GuardValues))


@dataclass(frozen=True)
class Batch:
    """Pairs of people of one session number, task and run, who did not meet."""

    #: Of any of its sessions; its dyad means nothing
    key: SessionKey
    #: Among the batches of this session number, task and run
    number: int
    #: Dyads that lend the therapist and the client
    pairs: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Folder among what a run needs while it lasts."""
        return f"{PAIRS}/ses-{self.key.session:02d}_{row_label(self.key)}_{self.number:03d}"

    @property
    def dyads(self) -> set[str]:
        """All who lend someone."""
        return {dyad for pair in self.pairs for dyad in pair}


def batches_of(plan: Plan, prepared: Path) -> list[Batch]:
    """Tile the pairs that a plan asks for, so that a batch's people fit into memory together."""
    groups: dict[SessionKey, set[tuple[str, str]]] = defaultdict(set)
    for entry in plan.pseudo_pairs:
        groups[entry.key._replace(dyad="")].add(entry.dyads)
    batches = []
    for key, pairs in sorted(groups.items()):
        people = {(key._replace(dyad=dyad), role) for pair in pairs for dyad, role in zip(pair, ROLES, strict=True)}
        sides = sides_for(max(signals_path(prepared, *person).stat().st_size for person in people))
        ranks = [{name: i for i, name in enumerate(sorted(set(side)))} for side in zip(*pairs, strict=True)]
        tiles: dict[tuple[int, ...], list[tuple[str, str]]] = defaultdict(list)
        for pair in sorted(pairs):
            place = zip(pair, ranks, sides, strict=True)
            tiles[tuple(rank[dyad] // size for dyad, rank, size in place)].append(pair)
        batches += [Batch(key, number, tuple(tile)) for number, (_, tile) in enumerate(sorted(tiles.items()))]
    return batches


def sides_for(n_bytes: int) -> tuple[int, int]:
    """Therapists and clients of a batch, whose prepared signals take so many bytes each (single precision)."""
    people = int(BATCH_BYTES / n_bytes / (BYTES_PER_SAMPLE / 4)) if n_bytes else 2 * MAX_SIDE
    return min(max(people // 2, 1), MAX_SIDE), min(max(people - people // 2, 1), MAX_SIDE)


def compute_batch(batch: Batch, *, basis: Basis, prepared: Path, folder: Path) -> None:
    """Compute a batch into a folder that appears whole."""
    with new_folder(folder, own_files) as temporary:
        done = attempt(batch.key, partial(_compute, batch, basis, prepared, temporary), Attempt)
        Manifest(basis.digest_of(batch), (done,)).save(temporary)


def _compute(batch: Batch, basis: Basis, prepared: Path, folder: Path) -> Attempt:
    _save(folder, pair_values(batch, basis, prepared, recipe_for(batch.key, basis.plan, basis.config)))
    return Attempt(batch.key)


def pair_values(batch: Batch, basis: Basis, prepared: Path, recipe: Recipe) -> dict[Lenders, PairValues]:
    """Compute the pairs of a batch from prepared signals."""
    sides: list[dict[str, Signals]] = []
    for dyads, role in zip(zip(*batch.pairs, strict=True), ROLES, strict=True):
        keys = [batch.key._replace(dyad=dyad) for dyad in sorted(set(dyads))]
        sides.append({key.dyad: planned_signals(prepared, key, role, basis.plan) for key in keys})
    therapists, clients = sides
    compute = partial(chance_values, therapists, clients, batch.pairs, recipe)
    people = same(*therapists.values(), *clients.values())
    return remembered(("chance", batch.name), (batch.pairs, people, recipe), compute)


def _save(folder: Path, values: Mapping[Lenders, PairValues]) -> None:
    rows = [
        (*pair, *cell, *rois, z)
        for pair, found in values.items()
        for cell, means in found.table.items()
        for rois, z in zip(found.roi_pairs, means, strict=True)
    ]
    profiles = [
        (*pair, *cell, *rois, " ".join(f"{z:.6g}" for z in curve))
        for pair, found in values.items()
        for cell, curves in found.profiles.items()
        for rois, curve in zip(found.roi_pairs, curves.T, strict=True)
    ]
    guards = []
    for pair, found in values.items():
        if found.guards is not None:
            guards.append((*pair, *guard_means(found.guards)))
    write_table(folder / "values.tsv", pd.DataFrame(rows, columns=[*_LENDERS, *CELL_COLUMNS, "z"]))
    write_table(folder / "profiles.tsv", pd.DataFrame(profiles, columns=[*_LENDERS, *CELL_COLUMNS, "profile"]))
    write_table(folder / "guards.tsv", pd.DataFrame(guards, columns=[*_LENDERS, *_GUARDS]))


def guard_means(guards: GuardValues) -> list[float]:
    """Bring what a pair contributes to the guards to one number each, in the order of the fields."""
    contributed = [np.atleast_1d(getattr(guards, name)).ravel() for name in _GUARDS]
    known = [each[np.isfinite(each)] for each in contributed]
    return [float(each.mean()) if each.size else np.nan for each in known]


@dataclass(frozen=True)
class Chance:
    """What the pairs of one dyad-session say about chance."""

    #: One row per pair, cell and ROI pair: ``partner_dyad``, ``which``, the cell's columns and ``z``
    values: pd.DataFrame
    #: Pairs that have values
    pairs: tuple[PlannedPair, ...] = ()
    #: Of the pairs, in the same order
    guards: tuple[GuardValues, ...] = ()
    #: By the columns of a cell and ROI pair: z at every lag of the profile, of each pair
    profiles: Mapping[Hashable, Sequence[Array]] = field(default_factory=dict)
    #: A batch that failed, instead of all others
    fault: Attempt | None = None


def read_chance(planned: Sequence[PlannedPair], folders: Sequence[Path]) -> Chance:
    """Pick the pairs of one dyad-session out of the batches that hold them."""
    for folder in folders:
        manifest = read_manifest(folder, Attempt)
        assert manifest is not None  # computed before whatever reads it
        fault = next((row for row in manifest.rows if not row.ok), None)
        if fault is not None:
            return Chance(pd.DataFrame(), fault=fault)
    values, profiles, guards = (_read(folders, name, planned) for name in BATCH_TABLES)
    used = [planned[i] for i in values["entry"]]
    by_cell: dict[Hashable, list[Array]] = defaultdict(list)
    for *cell, text in profiles[[*CELL_COLUMNS, "profile"]].itertuples(index=False, name=None):
        by_cell[tuple(cell)].append(np.array(text.split(), dtype=float))
    return Chance(
        values.assign(partner_dyad=[pair.partner_dyad for pair in used], which=[pair.which for pair in used]),
        tuple(dict.fromkeys(used)),
        tuple(GuardValues(**numbers) for numbers in guards[list(_GUARDS)].to_dict("records")),
        by_cell,
    )


def _read(folders: Sequence[Path], name: str, planned: Sequence[PlannedPair]) -> pd.DataFrame:
    """Join a table of some batches and keep the rows of planned pairs, in the plan's order (``entry``)."""
    frames = [load_table(folder / f"{name}.tsv", *_LENDERS, *CELL_COLUMNS, "profile") for folder in folders]
    columns = [*_LENDERS, *CELL_COLUMNS, "z", "profile", *_GUARDS]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    where = {pair.dyads: i for i, pair in enumerate(planned)}
    entry = [where.get(lenders, -1) for lenders in zip(*(frame[column] for column in _LENDERS), strict=True)]
    numbers = [column for column in ("z", *_GUARDS) if column in frame]
    frame = frame.astype(dict.fromkeys(numbers, float)).assign(entry=entry)
    return frame[frame["entry"] >= 0].sort_values("entry", kind="stable", ignore_index=True)
