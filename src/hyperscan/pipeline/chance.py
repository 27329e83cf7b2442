"""Chance as units of work: batches of pairs of people who did not meet, each batch filtering its people once.

A pair of people serves two dyads: the therapist's and the client's. It is computed once, in one batch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.pipeline.plan import Plan, recipe_for
from hyperscan.pipeline.prepare import attempt
from hyperscan.pipeline.regions import planned_signals
from hyperscan.pipeline.unit import read_manifest, signals_path, write_manifest
from hyperscan.schema import ROLES, SessionKey
from hyperscan.storage import MISSING, new_folder, write_table
from hyperscan.synchrony import (
    BYTES_FILTERING,
    BYTES_PER_SAMPLE,
    GuardValues,
    PairValues,
    Signals,
    chance_values,
)
from hyperscan.synchrony.pair import Lenders

#: Memory that a batch may take, in bytes: with the program itself a worker stays below 6 GB (our choice).
BATCH_BYTES = 5_000_000_000

#: Dyads on either side of a batch at most: more save little, and the last batch lets workers wait (our choice).
MAX_SIDE = 10

#: Name of the folder of batches among prepared signals.
PAIRS = "pairs"

_CELL = ("signal", "metric", "band", "roi_therapist", "roi_client")
_PEOPLE = ("therapist_of", "client_of")
_GUARDS = ("plv_squared", "matched_z", "control_z", "outband_z", "lag_robust_z")

Names = tuple[str, str]


@dataclass(frozen=True)
class Batch:
    """Pairs of people of one session number, task and run, who did not meet."""

    #: Of any of its sessions; its dyad means nothing
    key: SessionKey
    #: Among the batches of this session number, task and run
    number: int
    #: Dyads that lend the therapist and the client
    pairs: tuple[Names, ...]

    @property
    def name(self) -> str:
        """Folder among the prepared signals."""
        parts = [f"ses-{self.key.session:02d}", *self.key[2:], f"{self.number:03d}"]
        return f"{PAIRS}/{'_'.join(part for part in parts if part)}"

    @property
    def dyads(self) -> set[str]:
        """All who lend someone."""
        return {dyad for pair in self.pairs for dyad in pair}


def pair_of(entry: Mapping[str, Any]) -> Names:
    """Dyads that lend the therapist and the client of an entry of the plan."""
    names = entry["dyad"], entry["partner_dyad"]
    return names if entry["which"] == "client" else names[::-1]


def batches_of(plan: Plan, prepared: Path) -> list[Batch]:
    """Tile the pairs that a plan asks for, so that a batch's people fit into memory together."""
    groups: dict[tuple[Any, ...], set[Names]] = defaultdict(set)
    for entry in plan["pseudo_pairs"]:
        groups[tuple(entry[name] for name in SessionKey._fields[1:])].add(pair_of(entry))
    batches = []
    for rest, pairs in sorted(groups.items()):
        people = [
            (SessionKey(pair[i], *rest), role) for pair in pairs for i, role in enumerate(("therapist", "client"))
        ]
        sides = sides_for(max(signals_path(prepared, *person).stat().st_size for person in set(people)))
        rank = [{name: i for i, name in enumerate(sorted({pair[side] for pair in pairs}))} for side in (0, 1)]
        tiles: dict[tuple[int, ...], list[Names]] = defaultdict(list)
        for pair in sorted(pairs):
            tiles[tuple(rank[i][pair[i]] // sides[i] for i in (0, 1))].append(pair)
        key = SessionKey("", *rest)
        batches += [Batch(key, number, tuple(tile)) for number, (_, tile) in enumerate(sorted(tiles.items()))]
    return batches


def sides_for(n_bytes: int) -> tuple[int, int]:
    """Therapists and clients of a batch, whose prepared signals take so many bytes each (single precision)."""
    people = int((BATCH_BYTES / n_bytes - BYTES_FILTERING / 4) / (BYTES_PER_SAMPLE / 4)) if n_bytes else 2 * MAX_SIDE
    return min(max(people // 2, 1), MAX_SIDE), min(max(people - people // 2, 1), MAX_SIDE)


def compute_batch(batch: Batch, plan: Plan, config: StudyConfig, prepared: Path, wanted: str) -> None:
    """Compute a batch into a folder that appears whole."""
    with new_folder(prepared / batch.name) as temporary:
        done = attempt(batch.key, partial(_compute, batch, plan, config, prepared, temporary))
        write_manifest(temporary, wanted, {"rows": [done]})


def _compute(batch: Batch, plan: Plan, config: StudyConfig, prepared: Path, folder: Path) -> dict[str, Any]:
    sides: list[dict[str, Signals]] = [{}, {}]
    for i, role in enumerate(ROLES):
        for name in {pair[i] for pair in batch.pairs}:
            sides[i][name] = planned_signals(prepared, batch.key._replace(dyad=name), role, plan)
    values = chance_values(sides[0], sides[1], batch.pairs, recipe_for(batch.key, plan, config))
    _save(folder, values)
    return {}


def _save(folder: Path, values: Mapping[Lenders, PairValues]) -> None:
    rows = [
        (*pair, *cell, *rois, z)
        for pair, found in values.items()
        for cell, means in found.table.items()
        for rois, z in zip(found.roi_pairs, means, strict=True)
    ]
    guards = [(*pair, *_numbers(found.guards)) for pair, found in values.items() if found.guards is not None]
    write_table(folder / "values.tsv", pd.DataFrame(rows, columns=[*_PEOPLE, *_CELL, "z"]))
    write_table(folder / "guards.tsv", pd.DataFrame(guards, columns=[*_PEOPLE, *_GUARDS]))


def _numbers(values: GuardValues) -> list[float]:
    squared = values.plv_squared[np.isfinite(values.plv_squared)]
    return [float(squared.mean()) if squared.size else math.nan, *(getattr(values, name) for name in _GUARDS[1:])]


@dataclass(frozen=True)
class Chance:
    """What the pairs of one dyad-session say about chance.

    Parameters
    ----------
    values : DataFrame
        One row per pair, cell and ROI pair: its position among the plan's entries (``entry``), the cell and ``z``.
    guards : tuple of GuardValues
        Of the pairs, in the same order.
    fault : mapping or None
        Status and reason of a batch that failed.
    """

    values: pd.DataFrame
    guards: tuple[GuardValues, ...]
    fault: Mapping[str, Any] | None = None


def read_chance(entries: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> Chance:
    """Pick the pairs of one dyad-session out of the batches that hold them."""
    for folder in folders:
        (row,) = (read_manifest(folder) or {})["rows"]
        if row["status"] != "ok":
            return Chance(
                pd.DataFrame(), (), {name: row[name] for name in ("status", "reason", "traceback") if name in row}
            )
    where = {pair_of(entry): i for i, entry in enumerate(entries)}
    values, guards = (_read(folders, name, where) for name in ("values", "guards"))
    numbers = guards[list(_GUARDS)].to_numpy(float)
    return Chance(values, tuple(GuardValues(np.array(first), *rest) for first, *rest in numbers))


def _read(folders: Sequence[Path], name: str, where: Mapping[Names, int]) -> pd.DataFrame:
    frames = [pd.read_csv(folder / f"{name}.tsv", sep="\t", dtype=str, keep_default_na=False) for folder in folders]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*_PEOPLE, *_CELL, "z", *_GUARDS])
    entry = [where.get(pair, -1) for pair in zip(*(frame[column] for column in _PEOPLE), strict=True)]
    numbers = [column for column in ("z", *_GUARDS) if column in frame]
    frame = frame.assign(entry=entry, **{n: frame[n].replace(MISSING, "nan").astype(float) for n in numbers})
    return frame[frame["entry"] >= 0].sort_values("entry", kind="stable", ignore_index=True)
