"""Growth from the tables of a run's folder alone: no recording is read, and nothing that reads them is imported."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, NothingToAnalyseError
from hyperscan.growth import GrowthResult, choose_index, fit_growth, fit_within
from hyperscan.growth.groups import labels_of
from hyperscan.pipeline.process import one_thread
from hyperscan.results import Plan, RunFolder
from hyperscan.schema import INDEX_COLUMNS, Index, Outcome
from hyperscan.study.findings import with_both_sides

if TYPE_CHECKING:
    import pandas as pd


def growth_of(out: Path, config: StudyConfig | None = None, **changes: Any) -> GrowthResult:
    """Fit growth from the tables that a run wrote, and from nothing else; ``changes`` ask for more than it did."""
    study = RunFolder(out)
    study.check_there()
    if config is None:
        study.check_whole(("synchrony", "guards", "quality"))
        config = StudyConfig.from_toml(out / "config.toml")
        for told in unprepared(config, **changes):
            warnings.warn(told, DataQualityWarning, stacklevel=2)
    # else the run that writes them asks, and is not finished yet
    if study.table.empty:
        raise NothingToAnalyseError(f"{out.name}: synchrony.tsv has no rows, so there is nothing to fit.")
    primary = Plan.load(out / "plan.json").primary
    with one_thread():
        return fit_run(study.table, study.guards, study.quality, primary, config, **changes)


def unprepared(
    config: StudyConfig, group: str = "", contrasts: Mapping[str, Mapping[str, float]] | None = None, **_: Any
) -> Iterator[str]:
    """Say of comparisons what a run with these settings did not do for them: it was not asked for them."""
    then = "Name it in study.toml and run again, with the same -o, to have that."
    if group and group != config.group and config.pseudo_within_group:
        yield (
            f"group = {group!r}: this run did not re-pair people inside these groups, so their chance levels are those "
            f"of people of other groups, too. {then}"
        )
    for name, contrast in (contrasts or {}).items():
        if not any(pool.issuperset(contrast) for pool in config.pools):
            yield (
                f"contrasts.{name}: this run did not decide for {' and '.join(map(repr, contrast))} together, so "
                f"they may hold other channels and other amounts of data. {then}"
            )


def fit_run(
    table: pd.DataFrame,
    guards: pd.DataFrame,
    quality: pd.DataFrame,
    primary: Outcome,
    config: StudyConfig,
    **changes: Any,
) -> GrowthResult:
    """Fit growth of the primary outcome as the settings of a run ask for it."""
    names = {"metric": primary.metric, "band": primary.band, "roi": primary.roi, "task": primary.task}
    mine = table[(table["modality"] == primary.modality) & (table["signal"] == primary.signal)]
    # a comparison of the run that lost a side, as its findings say, ends no run; one that is asked for now does
    groups = set(labels_of(mine, "dyad", config.group).values()) if config.group else ()
    config = with_both_sides(config, set(mine["task"]), groups)
    config = replace(config, **changes)
    return fit_growth(
        mine,
        primary=names,
        time=config.time,
        guards=guards,
        quality=quality,
        equivalence_slope=config.equivalence_slope,
        min_pseudo=config.min_pseudo,
        outcomes=config.outcomes,
        contrasts=config.contrasts,
        group=config.group,
        reference=config.reference,
        moderators=config.moderators,
        bands=config.bands,
        seed=config.seed,
    )


def within_of(out: Path, config: StudyConfig | None = None, index: str = "") -> GrowthResult | None:
    """Fit an index of the client alone from the tables that a run wrote; None if none is named and none is usual.

    The usual one is that of the primary outcome's band in the client's region: power, or coupling of haemoglobin.
    """
    study = RunFolder(out)
    study.check_there()
    if config is None:
        study.check_whole(("synchrony", "within", "quality"))
        config = StudyConfig.from_toml(out / "config.toml")
    # else as above
    primary, asked = Plan.load(out / "plan.json").primary, index or config.within
    rows = study.within[(study.within["modality"] == primary.modality) & (study.within["task"] == primary.task)]
    name = "power" if primary.modality == "eeg" else config.within_metrics["fnirs"][0]
    usual = Index(name, primary.band, primary.rois.client)
    if not asked and not (rows[list(INDEX_COLUMNS)].fillna("") == list(usual)).all(axis=1).any():
        return None
    with one_thread():
        return fit_within(
            rows,
            choose_index(rows, asked, usual),
            study.quality,
            primary.select(study.table),
            time=config.time,
            # it is in the scale of the index that the settings name, and of no other
            equivalence_slope=config.within_equivalence_slope if index in ("", config.within or str(usual)) else 0.0,
            outcomes=config.outcomes,
            seed=config.seed,
        )
