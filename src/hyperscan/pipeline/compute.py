"""Second half of a unit: synchrony of the real pair, its chance level, and the guards' numbers."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.pipeline.chance import Batch, read_chance
from hyperscan.pipeline.plan import Plan, recipe_for
from hyperscan.pipeline.prepare import attempt
from hyperscan.pipeline.privacy import scrubbed
from hyperscan.pipeline.regions import planned_signals
from hyperscan.pipeline.unit import Unit, row_label, write_manifest
from hyperscan.schema import KEYS, ROLES, TABLES, Cell, RoiPair, SessionKey
from hyperscan.storage import new_folder, write_dataset, write_table
from hyperscan.study import Session
from hyperscan.synchrony import (
    LagTest,
    guard_row,
    guard_values,
    lag_tests,
    session_attrs,
    session_result,
    shared_windows,
    with_lag_tests,
)

Array = npt.NDArray[Any]

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


def compute_unit(
    unit: Unit,
    plan: Plan,
    batches: Sequence[Batch],
    config: StudyConfig,
    prepared: Path,
    wanted: str,
    folder: Path,
    carried: Mapping[str, Any],
) -> None:
    """Compute every usable row of a dyad-session into a folder that appears whole."""
    with new_folder(folder) as temporary:
        tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
        rows = []
        for row in unit.rows:
            mine = [batch for batch in batches if batch.key[1:] == row.key[1:]]
            done = attempt(row.key, partial(_compute_row, row, plan, mine, config, prepared, temporary))
            done["reason"] = scrubbed(done["reason"], row, {})
            for name, frame in done.pop("tables", {}).items():
                tables[name].append(frame)
            rows.append(done)
        for name, frames in tables.items():
            write_table(temporary / f"{name}.tsv", pd.concat(frames, ignore_index=True))
        write_manifest(temporary, wanted, {"rows": rows, **carried})


def _compute_row(
    row: Session, plan: Plan, batches: Sequence[Batch], config: StudyConfig, prepared: Path, folder: Path
) -> dict[str, Any]:
    entries = [entry for entry in plan["pseudo_pairs"] if SessionKey(*(entry[name] for name in KEYS)) == row.key]
    chance = read_chance(entries, [prepared / batch.name for batch in batches])
    if chance.fault is not None:
        return dict(chance.fault)
    recipe = recipe_for(row, plan, config)
    a, b = (planned_signals(prepared, row.key, role, plan) for role in ROLES)
    windows = shared_windows(a, b, recipe)
    result = session_result(a, b, recipe, windows, session_attrs(row, a, windows, config.seed))
    rng = np.random.default_rng([config.seed, zlib.crc32(str(row.key).encode())])
    lag = lag_tests(a, b, recipe, windows, n_null=config.n_null, rng=rng)
    result = with_lag_tests(result, lag)
    write_dataset(folder / f"{row_label(row)}_synchrony.nc", result.averaged().dataset)
    pairs = recipe.pairs_of(a.rois, b.rois)
    used = [entries[i] for i in chance.values["entry"].unique()]
    real = guard_values(a, b, recipe, windows)
    guards = guard_row(a, b, recipe, windows, real, chance.guards)
    primary = recipe.primary
    outcome = {"metric": primary.metric, "band": primary.band, "roi": "-".join(primary.rois)}
    return {
        "n_pseudo": len(used),
        "tables": {
            "synchrony": _with_chance(result.to_data_frame(), chance.values, used, lag, pairs, config).assign(
                **row.covariates
            ),
            "pseudo": _pseudo_table(row, entries, chance.values),
            "guards": pd.DataFrame([row.key._asdict() | outcome | asdict(guards)]),
        },
    }


def _pseudo_table(row: Session, entries: Sequence[Mapping[str, Any]], values: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``pseudo.tsv``."""
    lent = {name: [entries[i][name] for i in values["entry"]] for name in ("partner_dyad", "which")}
    return values.assign(**row.key._asdict(), **lent)[list(PSEUDO_COLUMNS)]


def _with_chance(
    frame: pd.DataFrame,
    values: pd.DataFrame,
    used: Sequence[Mapping[str, Any]],
    lag: Mapping[Cell, LagTest],
    pairs: Sequence[RoiPair],
    config: StudyConfig,
) -> pd.DataFrame:
    cells = dict(list(values.groupby(["signal", "metric", "band", "roi_therapist", "roi_client"])["z"]))
    shared = any(entry["shared_therapist"] for entry in used)
    rows = []
    for row in frame.itertuples(index=False):
        cell, pair = Cell(row.signal, row.metric, row.band), RoiPair(row.roi_therapist, row.roi_client)
        z = np.array(cells.get((*cell, *pair), ()), dtype=float)
        test = (lag[cell].estimate[pairs.index(pair)], lag[cell].chance[pairs.index(pair)]) if cell in lag else None
        rows.append(_chance_of(row.z, np.compress(np.isfinite(z), z), test, shared, config))
    return pd.concat([frame, pd.DataFrame(rows)], axis=1)[list(TABLES["synchrony"])]


def _chance_of(
    z: float, values: Array, lag: tuple[float, float] | None, shared: bool, config: StudyConfig
) -> dict[str, Any]:
    """Chance level of one row, from its pseudo pairs' values and the lag null's estimate and chance."""
    mean = float(values.mean()) if len(values) else np.nan
    flags = []
    excess = z - mean
    if len(values) == 0 and lag is not None and np.isfinite(lag[1]):
        # without other dyads the lag null is all there is: a whole-session statistic against its own shifts
        excess = float(lag[0] - lag[1])
        flags.append("chance_from_lags")
    elif len(values) < config.min_pseudo:
        flags.append("weak_chance" if len(values) else "no_chance")
    if shared:
        flags.append("shared_therapist")
    if not np.isfinite(z):
        flags.append("no_value")
    return {
        "pseudo_mean_z": mean,
        "pseudo_sd_z": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
        "n_pseudo": len(values),
        "excess_z": excess,
        "flags": ";".join(flags),
    }
