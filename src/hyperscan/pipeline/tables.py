"""From the folders of all units to the tables of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hyperscan.pipeline.compute import PSEUDO_COLUMNS
from hyperscan.pipeline.units import Unit, read_manifest
from hyperscan.recording.records import ROLES
from hyperscan.results import KEYS, SYNCHRONY_COLUMNS
from hyperscan.storage import read_table, write_json, write_table
from hyperscan.study import SessionKey
from hyperscan.synchrony import GUARD_COLUMNS

#: Columns of ``quality.tsv`` that every modality has, in front of the bands' own.
QUALITY_COLUMNS = (
    "channels_kept",
    "channels_total",
    "clean_seconds",
    "n_windows",
    "s2_line",
    "s2_quad",
    "highfreq",
    "motion",
    "clock_source",
    "clock_offset_s",
    "clock_ppm",
    "clock_residual_ms",
    "short_r2",
    "band_sd",
    "mayer_fraction",
    "motion_overlap",
    "instrument_noise",
    "sci",
    "grade",
    "reason",
)


def write_tables(out: Path, units: Sequence[Unit], summaries: Mapping[SessionKey, Mapping[str, Any]]) -> None:
    """Join the units' tables in the order of their keys and write them with their descriptions.

    Parameters
    ----------
    out : Path
        Output folder.
    units : sequence of Unit
        Analysed dyad-sessions.
    summaries : mapping of SessionKey to mapping
        What preparation found, for ``quality.tsv``.
    """
    empty = {
        "synchrony": SYNCHRONY_COLUMNS,
        "pseudo": PSEUDO_COLUMNS,
        "guards": (*KEYS, "metric", "band", "roi", *GUARD_COLUMNS),
    }
    for name, columns in empty.items():
        frames = [
            read_table(out / unit.name / f"{name}.tsv") for unit in units if (out / unit.name / f"{name}.tsv").exists()
        ]
        frames = [frame for frame in frames if len(frame)]
        table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))
        write_table(out / f"{name}.tsv", table)
    write_table(out / "quality.tsv", quality_table(summaries))
    write_json(out / "synchrony.json", COLUMN_DESCRIPTIONS)


def failed_rows(out: Path, units: Sequence[Unit]) -> list[dict[str, Any]]:
    """Rows that were prepared but could not be computed."""
    rows = [row for unit in units for row in (read_manifest(out / unit.name) or {}).get("rows", [])]
    return [{**SessionKey(*row["key"])._asdict(), "reason": row["reason"]} for row in rows if row["status"] != "ok"]


def quality_table(summaries: Mapping[SessionKey, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per dyad-session and person, as ``quality.tsv`` has it.

    Parameters
    ----------
    summaries : mapping of SessionKey to mapping
        What preparation found; sessions without a report are left out.

    Returns
    -------
    DataFrame
    """
    rows = []
    for key in sorted(summaries):
        summary = summaries[key]
        for role in ROLES if "quality" in summary else ():
            clock = {f"clock_{name}": summary["clock"][name] for name in ("source", "offset_s", "ppm", "residual_ms")}
            rows.append({**key._asdict(), "person": role, **clock, **summary["quality"][role]})
    frame = pd.DataFrame(rows)
    if frame.empty:
        return pd.DataFrame(columns=[*KEYS, "person", *QUALITY_COLUMNS])
    first = [*KEYS, "person", *(name for name in QUALITY_COLUMNS if name in frame)]
    return frame[first + [name for name in frame if name not in first]]


#: What the columns of ``synchrony.tsv`` mean, as BIDS sidecars say it.
COLUMN_DESCRIPTIONS = {
    "dyad": {"Description": "label of the dyad"},
    "session": {"Description": "session number, from 1 on"},
    "days": {"Description": "days since the dyad's first session", "Units": "d"},
    "signal": {"Description": "eeg, or hbo, hbr, hbt, hbo_nosc (HbO without short-channel regression)"},
    "estimate": {"Description": "mean of the metric over windows and channel pairs"},
    "z": {"Description": "mean over windows and channel pairs on the growth scale (Fisher z)"},
    "pseudo_mean_z": {"Description": "mean z of re-paired dyads of the same session number: the chance level"},
    "pseudo_sd_z": {"Description": "standard deviation of z among the re-paired dyads"},
    "n_pseudo": {"Description": "re-paired dyads"},
    "excess_z": {"Description": "z - pseudo_mean_z; flagged chance_from_lags: lag_estimate - its mean under shifts"},
    "lag_estimate": {"Description": "whole-session statistic on the growth scale, mean over channel pairs"},
    "lag_p": {"Description": "one-sided p of lag_estimate under circular shifts"},
    "n_windows": {"Description": "windows analysed, the same number in every session"},
    "window_s": {"Description": "window length", "Units": "s"},
    "seconds": {"Description": "time analysed", "Units": "s"},
    "flags": {"Description": "no_value, no_chance, weak_chance, chance_from_lags, shared_therapist; joined by ;"},
}
