"""What a session alone cannot know: the study-wide decisions, made once all sessions are prepared."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hyperscan
from hyperscan.config import Primary, StudyConfig
from hyperscan.errors import ConfigError, NothingToAnalyseError, count, did_you_mean
from hyperscan.pipeline.privacy import public_rejected
from hyperscan.pipeline.regions import comparable_rois, roi_findings
from hyperscan.schema import SessionKey
from hyperscan.study import Finding, Rejected, Session, find_duplicates, find_swaps, study_findings
from hyperscan.study.pairing import pseudo_pairs
from hyperscan.synchrony import Recipe, recipe_of

#: Control channels: the quarter outside the primary ROI with least of the rhythm, at least two (our choice).
CONTROL_SHARE, MIN_CONTROL = 4, 2

#: Control channels that carry this much of the ROI's signal fraction are no control (found by simulation).
MAX_CONTROL_RATIO = 0.5

Plan = dict[str, Any]
Summaries = Mapping[SessionKey, Mapping[str, Any]]


def make_plan(
    sessions: Sequence[Session],
    rejected: Sequence[Rejected],
    summaries: Summaries,
    config: StudyConfig,
    digests: Mapping[str, str],
) -> Plan:
    """Decide what needs all sessions: counts, control channels, partners, and who is left out."""
    good = [row for row in sorted(sessions, key=lambda row: row.key) if summaries[row.key]["status"] == "ok"]
    skipped = [*map(public_rejected, rejected), *skips_of(sessions, summaries)]
    if not good:
        raise NothingToAnalyseError(nothing(skipped))
    groups = _grouped(good)
    plans = [_plan_group(rows, summaries, config) for rows in groups.values()]
    modality, task = _primary_group(groups, config)
    primary = dataclasses.asdict(config.primary_of(modality))
    _check_primary_rois(config.primary_of(modality), groups[modality, task], summaries)
    compatible = {row.key: _comparable(row, summaries[row.key]) for row in good}
    pairs = pseudo_pairs(
        good,
        max_partners=config.max_partners,
        min_pseudo=config.min_pseudo,
        seed=config.seed,
        compatible=compatible,
    )
    return {
        "schema": 1,
        "version": hyperscan.__version__,
        "primary": {
            "modality": modality,
            **primary,
            "task": task,
            "signal": recipe_of(config, modality).signals[0],
        },
        "groups": plans,
        "roi_channels": comparable_rois(good, summaries),
        "matched_s2": _matched(good, summaries),
        "sessions": [list(row.key) for row in good],
        "skipped": skipped,
        "pseudo_pairs": [
            {
                **pair.key._asdict(),
                "partner_dyad": pair.partner.dyad,
                "which": pair.which,
                "shared_therapist": pair.shared_therapist,
            }
            for pair in pairs
        ],
        "units": dict(sorted(digests.items())),
    }


def check_settings(sessions: Sequence[Session], config: StudyConfig) -> None:
    """Refuse settings that name a metric, band, region or outcome that there is not, before any work."""
    for modality in sorted({row.modality for row in sessions}):
        recipe_of(config, modality)
    _check_outcomes(sessions, config)


def _check_outcomes(sessions: Sequence[Session], config: StudyConfig) -> None:
    found: dict[str, bool] = {}
    for row in sessions:
        for name, value in row.covariates.items():
            found[name] = found.get(name, True) and (value is None or isinstance(value, int | float))
    numbers = [name for name, is_number in found.items() if is_number]
    for name in config.outcomes:
        if name not in numbers:
            what = "holds text" if name in found else "is no further column of dyads.tsv"
            raise ConfigError(
                f"outcomes: {name!r} {what}; columns of numbers: {', '.join(numbers) or 'none'}."
                f"{did_you_mean(name, numbers)}"
            )


def recipe_for(row: Session | SessionKey, plan: Plan, config: StudyConfig) -> Recipe:
    """Fill in what the plan decided for a row's group."""
    group = next(g for g in plan["groups"] if (g["modality"], g["task"]) == (row.modality, row.task))
    matched = {
        entry["person"]: entry["s2"]
        for entry in plan["matched_s2"]
        if (entry["modality"], entry["task"]) == (row.modality, row.task) and entry["s2"] is not None
    }
    return dataclasses.replace(
        recipe_of(config, row.modality),
        n_windows=group["n_windows"],
        seconds=group["seconds"],
        control=tuple(group["control_channels"]),
        matched_s2=matched,
    )


def _grouped(rows: Sequence[Session]) -> dict[tuple[str, str], list[Session]]:
    groups: dict[tuple[str, str], list[Session]] = defaultdict(list)
    for row in rows:
        groups[row.modality, row.task].append(row)
    return dict(sorted(groups.items()))


def _primary_group(groups: Mapping[tuple[str, str], Sequence[Session]], config: StudyConfig) -> tuple[str, str]:
    """Choose what the verdict is about: as named, else EEG first and the task with most sessions."""
    named = config.primary
    fitting = [
        (modality, task)
        for modality, task in groups
        if named is None or (named.band in config.bands_of(modality) and named.task in ("", task))
    ]
    if not fitting:
        assert named is not None  # without a named primary everything fits
        present = ", ".join(sorted({f"{modality} {task!r}" for modality, task in groups}))
        raise ConfigError(
            f"primary = {named.metric}, {named.band}, task {named.task!r}: no session that can be used has it; "
            f"there are: {present}. Name another primary before looking at the data."
        )
    return max(fitting, key=lambda key: (key[0] == "eeg", len(groups[key]), [-ord(c) for c in key[1]]))


def _check_primary_rois(primary: Primary, rows: Sequence[Session], summaries: Summaries) -> None:
    """Refuse a primary ROI pair that no session has, before anything is computed."""
    for which, roi in enumerate(primary.rois):
        there = {name for row in rows for name in list(summaries[row.key]["people"].values())[which]["rois"]}
        if roi not in there:
            raise ConfigError(
                f"primary.roi = {primary.roi!r}: no session has channels of {roi!r}; "
                f"there are: {', '.join(sorted(there))}."
                f"{did_you_mean(roi, there)} Name one of them, or define it under [rois]."
            )


def shortest_of(summaries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the session that limits how much of every other one is used: fewest windows, or seconds (fNIRS)."""
    return min(summaries, key=lambda summary: summary["n_windows" if summary["key"][2] == "eeg" else "seconds"])


def _plan_group(rows: Sequence[Session], summaries: Summaries, config: StudyConfig) -> Plan:
    modality, task = rows[0].modality, rows[0].task
    shortest = shortest_of([summaries[row.key] for row in rows])
    eeg = modality == "eeg"
    control, note = _control(rows, summaries, config) if eeg else ([], "fNIRS has no control channels")
    return {
        "modality": modality,
        "task": task,
        "n_sessions": len(rows),
        "n_windows": shortest["n_windows"] if eeg else None,
        "seconds": None if eeg else shortest["seconds"],
        "limited_by": str(SessionKey(*shortest["key"])),
        "control_channels": control,
        "control_note": note,
    }


def _control(rows: Sequence[Session], summaries: Summaries, config: StudyConfig) -> tuple[list[str], str]:
    """Choose channels outside the primary ROI that everyone has and that carry least of the rhythm."""
    roi = config.primary_of("eeg").rois
    people = [
        (person, person["rois"].get(roi[i], []))
        for row in rows
        for i, person in enumerate(summaries[row.key]["people"].values())
    ]
    common = set.intersection(*(set(person["channels"]) for person, _ in people))
    outside = sorted(common - {name for _, inside in people for name in inside})
    if len(outside) < MIN_CONTROL:
        return (
            [],
            f"{len(outside)} channels outside the primary ROI are there in every session; {MIN_CONTROL} are needed",
        )
    carried = {name: _mean_fraction(people, [name]) for name in outside}
    if not all(math.isfinite(value) for value in carried.values()):
        return [], "the in-band signal fraction cannot be assessed"
    count = max(MIN_CONTROL, round(len(outside) / CONTROL_SHARE))
    chosen = sorted(sorted(outside, key=lambda name: (carried[name], name))[:count])
    inside = float(np.mean([_mean_fraction([entry], entry[1]) for entry in people if entry[1]] or [math.nan]))
    ratio = _mean_fraction(people, chosen) / inside
    if not ratio < MAX_CONTROL_RATIO:
        return (
            [],
            f"the quietest channels carry {ratio:.2f} of the ROI's signal fraction; {MAX_CONTROL_RATIO} is too much",
        )
    return chosen, f"they carry {ratio:.2f} of the ROI's signal fraction"


def _mean_fraction(people: Sequence[tuple[Mapping[str, Any], Any]], names: Sequence[str]) -> float:
    values = [person["s2"][person["channels"].index(name)] for person, _ in people for name in names]
    return float(np.mean([math.nan if value is None else value for value in values]))


def _matched(rows: Sequence[Session], summaries: Summaries) -> list[Plan]:
    """Find every person's lowest signal fraction, which noise matching brings all sessions down to."""
    lowest: dict[tuple[str, str, str], float] = {}
    for row in rows:
        for person in summaries[row.key]["people"].values():
            key, value = (row.modality, row.task, person["person"]), person["s2_roi"]
            if value is not None and math.isfinite(value):
                lowest[key] = min(value, lowest.get(key, math.inf))
    return [
        {"modality": modality, "task": task, "person": person, "s2": value}
        for (modality, task, person), value in sorted(lowest.items())
    ]


def _comparable(row: Session, summary: Mapping[str, Any]) -> tuple[Any, ...]:
    rois = tuple(tuple(sorted(person["rois"])) for person in summary["people"].values())
    return (round(summary["sfreq"], 6), *rois)


def skips_of(sessions: Sequence[Session], summaries: Summaries) -> list[Plan]:
    """List the rows that preparation could not use, with their reasons."""
    return [
        {**row.key._asdict(), "reason": summaries[row.key]["reason"]}
        for row in sorted(sessions, key=lambda row: row.key)
        if summaries[row.key]["status"] != "ok"
    ]


def findings_of(sessions: Sequence[Session], summaries: Summaries) -> list[Finding]:
    """Find what the table tells about the design, exchanged people, and channels that not every session has."""
    people = {key: summary["quality"] for key, summary in summaries.items() if summary["status"] == "ok"}
    good = [row for row in sorted(sessions, key=lambda row: row.key) if row.key in people]
    return [*study_findings(sessions), *find_swaps(people), *roi_findings(comparable_rois(good, summaries))]


def recorded(findings: Sequence[Finding]) -> list[Plan]:
    """Return findings as ``plan.json`` holds them: ``kind``, ``severity`` and ``message``."""
    return [{"kind": item.kind, "severity": item.severity, "message": item.message} for item in findings]


def duplicates_of(sessions: Sequence[Session]) -> dict[SessionKey, str]:
    """Find sessions whose recordings are there twice under two names."""
    there = [row for row in sessions if all(_readable(p) for p in (row.therapist_file, row.client_file))]
    reasons: dict[SessionKey, str] = {}
    for finding in find_duplicates(there):
        names = ", ".join(str(key) for key in finding.keys)
        for key in finding.keys:
            reasons[key] = (
                f"one recording is there under two names, used in {names}. "
                "Correct the table, or replace the wrong copy."
            )
    return reasons


def _readable(path: Path) -> bool:
    return path.exists() and os.access(path, os.R_OK)


def nothing(skipped: Sequence[Plan]) -> str:
    """Say why not one dyad-session is left."""
    reasons = list(dict.fromkeys(str(entry["reason"]) for entry in skipped))
    more = f" (and {count(len(reasons) - 1, 'other reason')})" if len(reasons) > 1 else ""
    first = reasons[0] if reasons else "the table has no rows"
    return f"Not one of {count(len(skipped), 'dyad-session')} can be analysed. First reason{more}: {first}"
