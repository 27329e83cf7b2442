"""Second half of a unit: synchrony of the real pair, its chance level, and the guards' numbers."""

from __future__ import annotations

import dataclasses
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.errors import QualityError
from hyperscan.pipeline.comparable import used_rois
from hyperscan.pipeline.plan import Plan, recipe_for
from hyperscan.pipeline.prepare import attempt
from hyperscan.pipeline.public import scrubbed
from hyperscan.pipeline.units import Unit, row_label, write_manifest
from hyperscan.results import SYNCHRONY_COLUMNS
from hyperscan.storage import new_folder, write_dataset, write_table
from hyperscan.study import Session, SessionKey
from hyperscan.synchrony import (
    GUARD_COLUMNS,
    GuardValues,
    LagTest,
    Recipe,
    Signals,
    guard_row,
    guard_values,
    lag_tests,
    roi_table,
    session_attrs,
    session_result,
    shared_windows,
    with_lag_tests,
)

Array = npt.NDArray[Any]
CellKey = tuple[str, str, str]

#: One row per re-paired dyad, ROI pair and cell.
PSEUDO_COLUMNS = (
    "dyad",
    "partner_dyad",
    "which",
    "session",
    "modality",
    "task",
    "run",
    "signal",
    "metric",
    "band",
    "roi_therapist",
    "roi_client",
    "z",
)


class Prepared:
    """Prepared signals by dyad-session and role, read when they are needed.

    Parameters
    ----------
    folder : Path
        Where preparation left them.
    plan : dict
        Says which channels of each person's regions all sessions have.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan

    def load(self, key: SessionKey, role: str) -> Signals:
        """Read one person of one dyad-session."""
        parts = [key.modality] + [f"task-{key.task}"] * bool(key.task) + [f"run-{key.run}"] * bool(key.run)
        stored = self.folder / f"dyad-{key.dyad}/ses-{key.session:02d}" / f"{'_'.join(parts)}_{role}.npz"
        signals = Signals.load(stored)
        whose = (key.modality, key.task, signals.person)
        rois = used_rois(signals.rois, signals.ch_names, self.plan["roi_channels"], whose)
        return dataclasses.replace(signals, rois=rois)


def compute_unit(
    unit: Unit,
    plan: Plan,
    config: StudyConfig,
    prepared: Path,
    wanted: str,
    folder: Path,
    carried: Mapping[str, Any],
) -> None:
    """Compute every usable row of a dyad-session into a folder that appears whole.

    Parameters
    ----------
    unit : Unit
        The dyad-session, usable rows only.
    plan : dict
        From :func:`hyperscan.pipeline.plan.make_plan`.
    config : StudyConfig
        The study's choices.
    prepared : Path
        Folder of prepared signals.
    wanted : str
        Digest to record.
    folder : Path
        Final folder.
    carried : mapping
        What preparation recorded of this unit, kept beside the results.
    """
    signals = Prepared(prepared, plan)
    with new_folder(folder) as temporary:
        tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
        rows = []
        for row in unit.rows:
            done = attempt(row, partial(_compute_row, row, plan, config, signals, temporary))
            done["reason"] = scrubbed(done["reason"], row, {})
            for name, frame in done.pop("tables", {}).items():
                tables[name].append(frame)
            rows.append(done)
        for name, frames in tables.items():
            write_table(temporary / f"{name}.tsv", pd.concat(frames, ignore_index=True))
        write_manifest(temporary, wanted, {"rows": rows, **carried})


def _compute_row(row: Session, plan: Plan, config: StudyConfig, signals: Prepared, folder: Path) -> dict[str, Any]:
    recipe = recipe_for(row, plan, config)
    a, b = (signals.load(row.key, role) for role in ("therapist", "client"))
    windows = shared_windows(a, b, recipe)
    result = session_result(a, b, recipe, windows, session_attrs(row, a, windows, config.seed))
    rng = np.random.default_rng([config.seed, zlib.crc32(str(row.key).encode())])
    lag = lag_tests(a, b, recipe, windows, n_null=config.n_null, rng=rng)
    result = with_lag_tests(result, lag)
    write_dataset(folder / f"{row_label(row)}_synchrony.nc", result.averaged().dataset)
    pairs = recipe.pairs_of(a.rois, b.rois)
    chance = _Chance(row, a, b, plan, recipe, signals)
    frame = _with_chance(result.to_data_frame(), chance, lag, pairs, config)
    real = guard_values(a, b, recipe, windows)
    guards = {} if real is None else guard_row(a, b, recipe, windows, real, chance.guards)
    return {
        "n_pseudo": chance.count,
        "tables": {
            "synchrony": frame.assign(**row.covariates),
            "pseudo": chance.frame(),
            "guards": pd.DataFrame([{**row.key._asdict(), **dict.fromkeys(GUARD_COLUMNS, np.nan), **guards}]),
        },
    }


class _Chance:
    """The re-pairings of one dyad-session: same session number, other therapist and other client."""

    def __init__(self, row: Session, a: Signals, b: Signals, plan: Plan, recipe: Recipe, signals: Prepared) -> None:
        self.row, self.recipe = row, recipe
        self.shared = False
        self.entries: list[tuple[Mapping[str, Any], list[tuple[str, str]], dict[CellKey, Array]]] = []
        self.guards: list[GuardValues] = []
        for entry in _entries(row, plan):
            partner = row.key._replace(dyad=entry["partner_dyad"])
            other = signals.load(partner, entry["which"])
            self._add(entry, *((a, other) if entry["which"] == "client" else (other, b)))

    @property
    def count(self) -> int:
        """Pseudo pairs that gave a value."""
        return len(self.entries)

    def _add(self, entry: Mapping[str, Any], a: Signals, b: Signals) -> None:
        try:
            windows = shared_windows(a, b, self.recipe)
        except QualityError:  # too few windows are clean in both: n_pseudo counts what is left
            return
        values = roi_table(a, b, self.recipe, windows)
        self.entries.append((entry, self.recipe.pairs_of(a.rois, b.rois), values))
        self.shared = self.shared or entry["shared_therapist"]
        guards = guard_values(a, b, self.recipe, windows)
        if guards is not None:
            self.guards.append(guards)

    def values(self, cell: CellKey, pair: tuple[str, str]) -> Array:
        """Mean z of every pseudo pair for one cell and ROI pair, shape (n_pseudo,)."""
        found = [table[cell][pairs.index(pair)] for _, pairs, table in self.entries if cell in table and pair in pairs]
        values: Array = np.array(found, dtype=float)
        return np.compress(np.isfinite(values), values)

    def frame(self) -> pd.DataFrame:
        """Rows of ``pseudo.tsv``."""
        keys = self.row.key._asdict()
        rows = [
            (
                keys["dyad"],
                entry["partner_dyad"],
                entry["which"],
                *list(keys.values())[1:],
                *cell,
                *pair,
                float(z),
            )
            for entry, pairs, table in self.entries
            for cell, values in table.items()
            for pair, z in zip(pairs, values, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(PSEUDO_COLUMNS))


def _entries(row: Session, plan: Plan) -> list[Mapping[str, Any]]:
    wanted = row.key._asdict()
    return [entry for entry in plan["pseudo_pairs"] if all(entry[name] == value for name, value in wanted.items())]


def _with_chance(
    frame: pd.DataFrame,
    chance: _Chance,
    lag: Mapping[CellKey, LagTest],
    pairs: Sequence[tuple[str, str]],
    config: StudyConfig,
) -> pd.DataFrame:
    added = [_chance_of(row, chance, lag, pairs, config) for row in frame.itertuples(index=False)]
    full = pd.concat([frame, pd.DataFrame(added)], axis=1)
    return full[list(SYNCHRONY_COLUMNS)]


def _chance_of(
    row: Any,
    chance: _Chance,
    lag: Mapping[CellKey, LagTest],
    pairs: Sequence[tuple[str, str]],
    config: StudyConfig,
) -> dict[str, Any]:
    cell, pair = (row.signal, row.metric, row.band), (row.roi_therapist, row.roi_client)
    values = chance.values(cell, pair)
    mean = float(values.mean()) if len(values) else np.nan
    flags = []
    excess = row.z - mean
    which = list(pairs).index(pair)
    if len(values) == 0 and cell in lag and np.isfinite(lag[cell].chance[which]):
        # without other dyads the lag null is all there is: a whole-session statistic against its own shifts
        excess = float(lag[cell].estimate[which] - lag[cell].chance[which])
        flags.append("chance_from_lags")
    elif len(values) < config.min_pseudo:
        flags.append("weak_chance" if len(values) else "no_chance")
    if chance.shared:
        flags.append("shared_therapist")
    if not np.isfinite(row.z):
        flags.append("no_value")
    return {
        "pseudo_mean_z": mean,
        "pseudo_sd_z": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
        "n_pseudo": len(values),
        "excess_z": excess,
        "flags": ";".join(flags),
    }
