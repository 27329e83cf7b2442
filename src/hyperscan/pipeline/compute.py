"""Second half of a unit: synchrony of the real pair, its chance level, and the guards' numbers."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.nulls.near_lags import lag_peak, lead_asymmetry, strongest_p
from hyperscan.pipeline.chance import Batch, Chance, read_chance
from hyperscan.pipeline.plan import planned_signals, recipe_for
from hyperscan.pipeline.prepare import attempt
from hyperscan.pipeline.privacy import scrub
from hyperscan.pipeline.summary import Computed
from hyperscan.pipeline.unit import Basis, Manifest, Prepared, Unit, own_files, row_label
from hyperscan.recall import remembered
from hyperscan.results import SynchronyResult
from hyperscan.schema import CELL_COLUMNS, INDEX_COLUMNS, ROLES, TABLES, Cell, RoiPair, Scalar
from hyperscan.storage import new_folder, write_dataset, write_table
from hyperscan.study import Session
from hyperscan.synchrony import (
    GuardRow,
    LagTest,
    OwnChance,
    Recipe,
    WithinValue,
    guard_row,
    session_attrs,
    session_result,
    session_values,
    shared_windows,
    with_lag_tests,
)
from hyperscan.synchrony.person import same

Array = npt.NDArray[Any]


def compute_unit(
    unit: Unit, *, basis: Basis, batches: Mapping[Path, Batch], found: Prepared, prepared: Path, folder: Path
) -> None:
    """Compute every usable row of a dyad-session into a folder that appears whole.

    ``batches``: folders of the pairs that it needs; ``prepared``: folder of prepared signals, and what was ``found``.
    """
    with new_folder(folder, own_files) as temporary:
        tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
        rows = []
        for row in unit.rows:
            mine = [where for where, batch in batches.items() if batch.key == row.key._replace(dyad=batch.key.dyad)]
            done = attempt(row.key, partial(_compute_row, row, basis, mine, prepared, temporary), Computed)
            for name, frame in done.tables.items():
                tables[name].append(frame)
            rows.append(replace(done, reason=scrub(done.reason, row, {}), tables={}))
        for name, frames in tables.items():
            write_table(temporary / f"{name}.tsv", pd.concat(frames, ignore_index=True))
        Manifest(basis.digest_of(unit), tuple(rows), found).save(temporary)


def _compute_row(row: Session, basis: Basis, batches: Sequence[Path], prepared: Path, folder: Path) -> Computed:
    plan, config = basis.plan, basis.config
    planned = [pair for pair in plan.pseudo_pairs if pair.key == row.key]
    chance = read_chance(planned, batches)
    if chance.fault is not None:
        return Computed(row.key, chance.fault.status, chance.fault.reason, traceback=chance.fault.traceback)
    recipe = recipe_for(row, plan, config)
    a, b = (planned_signals(prepared, row.key, role, plan) for role in ROLES)
    windows = shared_windows(a, b, recipe)
    rng = np.random.default_rng([config.seed, zlib.crc32(str(row.key).encode())])
    compute = partial(session_values, a, b, recipe, windows, n_null=config.n_null, rng=rng)
    values = remembered(("values", row.key), (*same(a, b), recipe, config.n_null, config.seed), compute)
    result = session_result(a, b, recipe, windows, session_attrs(row, a, windows, config.seed), values.cells)
    result = with_lag_tests(result, values.lag)
    write_dataset(folder / f"{row_label(row)}_synchrony.nc", result.averaged().dataset)
    pairs = recipe.pairs_of(a.rois, b.rois)
    frame = _with_chance(result.to_data_frame(), chance, values.lag, values.own, pairs, config)
    lags = profile_rows(result, chance)
    synchrony = _with_leads(frame, lags, chance).assign(**row.covariates)
    pseudo = chance.values.assign(**row.key._asdict())[list(TABLES["pseudo"])]
    guards = guard_row(a, b, recipe, windows, values.guards, chance.guards)
    guarded = pd.DataFrame([guard_columns(row, recipe, guards)])
    return Computed(
        row.key,
        tables={
            "synchrony": synchrony,
            "pseudo": pseudo,
            "lags": _of_primary(lags, recipe).assign(**row.key._asdict())[list(TABLES["lags"])],
            "guards": guarded[list(TABLES["guards"])],
            "within": _within(row, values.within, next(name for name in recipe.signals if name in a.data)),
        },
    )


def guard_columns(row: Session, recipe: Recipe, guards: GuardRow) -> dict[str, Scalar]:
    """Row of ``guards.tsv``."""
    primary = recipe.primary
    outcome = {"metric": primary.metric, "band": primary.band, "roi": "-".join(primary.rois)}
    return {**row.key._asdict(), **outcome, "control_channels": "+".join(recipe.control), **asdict(guards)}


def _within(row: Session, within: Mapping[str, Sequence[WithinValue]], signal: str) -> pd.DataFrame:
    """List every index of each person alone."""
    labels = row.key._asdict() | {"therapist": row.therapist, "client": row.client, "signal": signal}
    labels["days"] = np.nan if row.days is None else row.days
    rows = [
        {
            **labels,
            "person": role,
            **dict(zip(INDEX_COLUMNS, found.index, strict=True)),
            "estimate": found.estimate,
            "level": found.level,
            "own_level": np.nan if found.own_level is None else found.own_level,
            "value": found.value,
        }
        for role, values in within.items()
        for found in values
    ]
    return pd.DataFrame(rows, columns=list(TABLES["within"]))


def profile_rows(result: SynchronyResult, chance: Chance) -> pd.DataFrame:
    """List the lag profiles of a dyad-session beside those of its pseudo pairs, one row per cell, ROI pair and lag."""
    columns = [*CELL_COLUMNS, *(name for name in TABLES["lags"] if name.startswith(("lag_s", "profile_")))]
    if "lag_profile" not in result.dataset:
        return pd.DataFrame(columns=columns)
    flat = result.dataset["lag_profile"].to_dataframe().reset_index().dropna(subset="lag_profile")
    rois = flat["roi_pair"].str.split("-", n=1, expand=True)
    flat = flat.assign(roi_therapist=rois[0], roi_client=rois[1]).rename(columns={"lag_profile": "profile_z"})
    parts = []
    for cell, part in flat.groupby(list(CELL_COLUMNS), sort=False):
        pseudo = _pseudo_profiles(chance, cell, len(part))
        mean = pseudo.mean(axis=0) if len(pseudo) else np.full(len(part), np.nan)
        spread = pseudo.std(axis=0, ddof=1) if len(pseudo) > 1 else np.full(len(part), np.nan)
        excess = part["profile_z"] - mean
        parts.append(part.assign(profile_pseudo_z=mean, profile_pseudo_sd_z=spread, profile_excess_z=excess))
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _pseudo_profiles(chance: Chance, cell: Hashable, n_lags: int) -> Array:
    """Profiles of the pseudo pairs that have all lags, shape (n_pseudo, n_lags)."""
    rows = [row for row in chance.profiles.get(cell, ()) if len(row) == n_lags and np.isfinite(row).all()]
    return np.array(rows).reshape(-1, n_lags)


def _with_leads(synchrony: pd.DataFrame, lags: pd.DataFrame, chance: Chance) -> pd.DataFrame:
    """Add to every row that has a lag profile who leads, and at what lag the excess is highest."""
    found = {}
    for cell, part in lags.groupby(list(CELL_COLUMNS), sort=False):
        lags_s, excess = part["lag_s"].to_numpy(), part["profile_excess_z"].to_numpy()
        p = strongest_p(part["profile_z"].to_numpy(), _pseudo_profiles(chance, cell, len(part)))
        found[cell] = (lag_peak(lags_s, excess), p, float(lead_asymmetry(lags_s, excess)))
    nothing = (np.nan, np.nan, np.nan)
    leads = [found.get(cell, nothing) for cell in synchrony[list(CELL_COLUMNS)].itertuples(index=False, name=None)]
    columns = ["lag_peak_s", "lag_peak_p", "lead_asymmetry_excess"]
    return synchrony.assign(**dict(zip(columns, np.array(leads).T, strict=True)))[list(TABLES["synchrony"])]


def _of_primary(lags: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Keep the ROI pair of the primary outcome."""
    rois = recipe.primary.rois
    return lags[(lags["roi_therapist"] == rois.therapist) & (lags["roi_client"] == rois.client)]


def _with_chance(
    frame: pd.DataFrame,
    chance: Chance,
    lag: Mapping[Cell, LagTest],
    own: Mapping[Cell, OwnChance],
    pairs: Sequence[RoiPair],
    config: StudyConfig,
) -> pd.DataFrame:
    """Add to every row of a dyad-session its chance levels: pseudo pairs (else the lag null), and the pair's own."""
    values = dict(list(chance.values.groupby(list(CELL_COLUMNS))["z"]))
    shared = any(pair.shared_therapist for pair in chance.pairs)
    rows = []
    for row in frame.itertuples(index=False):
        cell, pair = Cell(row.signal, row.metric, row.band), RoiPair(row.roi_therapist, row.roi_client)
        at, z = pairs.index(pair), np.array(values.get((*cell, *pair), ()), dtype=float)
        rows.append(chance_columns(row.z, z, lag.get(cell), own.get(cell), at, shared=shared, config=config))
    whole = pd.concat([frame, pd.DataFrame(rows)], axis=1)
    return whole.reindex(columns=list(TABLES["synchrony"]))


def chance_columns(
    z: float,
    pseudo: Array,
    lag: LagTest | None,
    own: OwnChance | None,
    at: int,
    *,
    shared: bool,
    config: StudyConfig,
) -> dict[str, Scalar]:
    """Compare one value of the pair with ``pseudo``, that of its pseudo pairs; ``at``: place of its ROI pair."""
    pseudo = pseudo[np.isfinite(pseudo)]
    mean = float(pseudo.mean()) if len(pseudo) else np.nan
    excess, flags = z - mean, []
    shifted = np.nan if lag is None else float(lag.chance[at])
    if lag is not None and len(pseudo) == 0 and np.isfinite(shifted):
        # without other dyads the lag null is all there is: a whole-session statistic against its own shifts
        excess = float(lag.estimate[at] - shifted)
        flags.append("chance_from_lags")
    elif len(pseudo) < config.min_pseudo:
        flags.append("weak_chance" if len(pseudo) else "no_chance")
    flags += ["shared_therapist"] * shared + ["no_value"] * (not np.isfinite(z))
    level, n_own = (np.nan, 0) if own is None else (float(own.mean_z[at]), own.n)
    return {
        "pseudo_mean_z": mean,
        "pseudo_sd_z": float(pseudo.std(ddof=1)) if len(pseudo) > 1 else np.nan,
        "n_pseudo": len(pseudo),
        "excess_z": excess,
        "own_mean_z": level,
        "n_own": n_own,
        "own_excess_z": z - level,
        "flags": ";".join(flags),
    }
