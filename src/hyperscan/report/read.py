"""The files of a run's folder, read tolerantly: what is absent is absent, never invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError

#: Columns that stay text: everything else becomes a number where every filled cell is one.
TEXT = [
    "dyad",
    "partner_dyad",
    "which",
    "therapist",
    "client",
    "modality",
    "task",
    "run",
    "signal",
    "metric",
    "band",
    "roi_therapist",
    "roi_client",
    "flags",
    "person",
    "clock_source",
    "grade",
    "reason",
]

#: Rows read at once from a table that may be far larger than what is kept of it.
_CHUNK = 200_000


@dataclass(frozen=True)
class Outcome:
    """Which rows of the tables are the primary outcome."""

    #: Labels; empty = not given, which matches everything
    modality: str = ""
    signal: str = ""
    metric: str = ""
    band: str = ""
    roi: str = ""
    task: str = ""

    def __str__(self) -> str:
        signal = "" if self.signal == self.modality else self.signal
        parts = [self.metric, signal, self.band, self.roi, self.task]
        return ", ".join(part for part in parts if part)

    def select(self, table: pd.DataFrame, *, any_roi: bool = False) -> pd.DataFrame:
        """Rows of this outcome; ``any_roi`` keeps every ROI pair."""
        wanted = {key: getattr(self, key) for key in ("modality", "signal", "metric", "band", "task")}
        if not any_roi:
            wanted["roi_therapist"], _, client = self.roi.partition("-")
            wanted["roi_client"] = client or wanted["roi_therapist"]
        keep = pd.Series(True, index=table.index)
        for column, label in wanted.items():
            if label and column in table:
                keep &= table[column].astype(str) == label
        return table[keep]


@dataclass(frozen=True)
class RunFolder:
    """All that a report is made from."""

    #: The tables; empty where the file is absent. ``pseudo`` holds the primary outcome only
    synchrony: pd.DataFrame
    pseudo: pd.DataFrame
    guards: pd.DataFrame
    quality: pd.DataFrame
    #: The JSON files; empty where absent
    growth: Mapping[str, Any]
    plan: Mapping[str, Any]
    description: Mapping[str, Any]
    info: Mapping[str, Any]
    #: Effective settings
    config: StudyConfig
    #: ``config.toml`` as it stands
    config_text: str
    #: The primary outcome
    outcome: Outcome
    #: Where it lies, for the full matrices, which are read when a dyad's page is drawn
    folder: Path

    @property
    def primary(self) -> pd.DataFrame:
        """Rows of the primary outcome."""
        return self.outcome.select(self.synchrony)

    @property
    def dyads(self) -> list[str]:
        """Every dyad that is named anywhere, in order."""
        names = {str(item.get("dyad", "")) for item in records(self.plan.get("skipped"))}
        for table in (self.synchrony, self.quality):
            if "dyad" in table:
                names |= set(table["dyad"].astype(str))
        return sorted(names - {""})


def read_folder(out: Path, info: Mapping[str, Any] | None = None) -> RunFolder:
    """Read what a run left."""
    if not any((out / name).is_file() for name in ("synchrony.tsv", "growth.json")):
        raise InputError(
            f"{out.name}: holds neither synchrony.tsv nor growth.json, so it is no output of a run.\n"
            "Give the folder that was named with -o to 'hyperscan run'."
        )
    growth, plan = _json(out / "growth.json"), _json(out / "plan.json")
    config_text = _text(out / "config.toml")
    config = StudyConfig.from_toml(out / "config.toml") if config_text else StudyConfig()
    synchrony = _checked(read_table(out / "synchrony.tsv"))
    outcome = _outcome(growth, plan, config, synchrony)
    return RunFolder(
        synchrony=synchrony,
        pseudo=read_table(out / "pseudo.tsv", outcome),
        guards=read_table(out / "guards.tsv"),
        quality=read_table(out / "quality.tsv"),
        growth=growth,
        plan=plan,
        description=_json(out / "dataset_description.json"),
        info=info or {},
        config=config,
        config_text=config_text,
        outcome=outcome,
        folder=out,
    )


def read_table(path: Path, outcome: Outcome | None = None) -> pd.DataFrame:
    """Read a TSV of a run, labels as text and the rest as numbers."""
    if not path.is_file():
        return pd.DataFrame()
    try:
        chunks = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, chunksize=_CHUNK, encoding="utf-8-sig")
        parts = [chunk if outcome is None else outcome.select(chunk) for chunk in chunks]
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{path.name}: cannot be read as a table ({reason}). Run the analysis again.") from None
    return _typed(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame()


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    columns = {}
    for column in table.columns:
        text = table[column].where(table[column] != "n/a", "")
        if column not in TEXT:
            numbers = pd.to_numeric(text.where(text != "", None), errors="coerce")
            text = numbers if bool((numbers.notna() | (text == "")).all()) else text
        columns[column] = text
    return pd.DataFrame(columns)


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    missing = [key for key in ("dyad", "session", "metric", "band") if key not in table]
    if len(table.columns) and missing:
        raise InputError(
            f"synchrony.tsv: lacks the columns {', '.join(missing)}, which every run writes. Run the analysis again."
        )
    return table


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _json(path: Path) -> Mapping[str, Any]:
    text = _text(path)
    try:
        value = json.loads(text) if text else {}
    except ValueError as error:
        raise InputError(f"{path.name}: not valid JSON ({error}). Run the analysis again.") from None
    return mapping(value)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def records(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list; anything else gives none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def strings(value: Any) -> list[str]:
    """Return the texts of a list; anything else gives none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _outcome(growth: Mapping[str, Any], plan: Mapping[str, Any], config: StudyConfig, table: pd.DataFrame) -> Outcome:
    planned = mapping(plan.get("primary"))
    fitted = {**mapping(growth.get("design")), **mapping(growth.get("primary"))}
    found = table["modality"].iloc[0] if "modality" in table and len(table) else "eeg"
    modality = str(fitted.get("modality") or planned.get("modality") or found)
    named = config.primary_of(modality) if modality in ("eeg", "fnirs") else None
    labels = {
        key: str(fitted.get(key) or planned.get(key) or getattr(named, key, "") or "")
        for key in ("metric", "band", "roi", "task")
    }
    default = {"fnirs": "hbo"}.get(modality, "")
    signal = str(fitted.get("signal") or planned.get("signal") or default)
    return Outcome(modality=modality, signal=signal, **labels)
