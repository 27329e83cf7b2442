"""What a session alone cannot know: the study-wide decisions, made once all sessions are prepared.

One of them is which channels a region holds: the same ones in every session of a dyad, or growth would compare
different places. Each person is looked at alone: the two people of a dyad are never reduced to what both have. A
therapist is looked at once per dyad, because growth is a change within dyads.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

import hyperscan
from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, InputError, NothingToAnalyseError, count, did_you_mean, name_some
from hyperscan.pipeline.decisions import (
    Alike,
    common_ranks,
    comparability_findings,
    decision_findings,
    decisions_of,
    outcome_findings,
    roi_findings,
)
from hyperscan.pipeline.privacy import public_reason, public_rejected
from hyperscan.pipeline.summary import Attempt, PersonSummary, Summary
from hyperscan.pipeline.unit import signals_path
from hyperscan.recall import remembered
from hyperscan.recording.cleaning.eeg import is_averaged
from hyperscan.results.plan import OF_SESSIONS, Group, MatchedFraction, Plan, PlannedPair, RegionChannels, Remark, Skip
from hyperscan.schema import ROLES, Index, Outcome, RoiPair, SessionKey
from hyperscan.study import Finding, Rejected, Session, find_swaps, study_findings
from hyperscan.study.findings import comparison_findings, copied_recordings
from hyperscan.study.pairing import pseudo_pairs
from hyperscan.study.rows import holds_number, is_number_or_yes_no, quote
from hyperscan.synchrony import Recipe, Signals, recipe_of
from hyperscan.synchrony.recipe import check_index
from hyperscan.synchrony.within import MIDLINE

#: Control channels: the quarter outside the primary ROI with least of the rhythm, at least two (our choice).
CONTROL_SHARE, MIN_CONTROL = 4, 2

#: Control channels that carry this much of the ROI's signal fraction are no control (found by simulation).
MAX_CONTROL_RATIO = 0.5

#: A session with a smaller share of a person's region does not decide what all sessions use, and a region that
#: would shrink below it is left as it was recorded (our choice).
MIN_COMMON = 0.5

Summaries = Mapping[SessionKey, Summary]


def make_plan(
    sessions: Sequence[Session],
    rejected: Sequence[Rejected],
    summaries: Summaries,
    config: StudyConfig,
    digests: Mapping[str, str],
) -> Plan:
    """Decide what needs all sessions: counts, control channels, partners, and who is left out."""
    good = [row for row in sorted(sessions, key=lambda row: row.key) if summaries[row.key].ok]
    skipped = (*map(public_rejected, rejected), *skips_of(sessions, summaries))
    if not good:
        raise NothingToAnalyseError(explain_nothing(skipped))
    groups: dict[tuple[str, str], list[Session]] = defaultdict(list)
    for row in sorted(good, key=lambda row: (row.modality, row.task)):
        groups[row.modality, row.task].append(row)
    roi_channels = comparable_rois([summaries[row.key] for row in good], config.eeg_reference, config.pools)
    plans = tuple(_plan_group(rows, good, summaries, config, roi_channels) for rows in groups.values())
    primary = choose_primary([summaries[row.key] for row in good], config)
    check_regions([summaries[row.key] for row in good], config)
    pairs = pseudo_pairs(
        good,
        max_partners=config.max_partners,
        min_pseudo=config.min_pseudo,
        seed=config.seed,
        compatible={row.key: Alike.of(row, summaries[row.key], config) for row in good},
    )
    decided = decisions_of([summaries[row.key] for row in good])
    findings = [*findings_of(sessions, summaries, config), *decision_findings(decided)]
    findings += [*comparability_findings(good, summaries, config), *outcome_findings(good, config)]
    asked, told = ([row for row in rows if row.modality == primary.modality] for rows in (sessions, good))
    findings += comparison_findings(asked, told, config)
    return Plan(
        version=hyperscan.__version__,
        primary=primary,
        groups=plans,
        roi_channels=roi_channels,
        matched_s2=_matched([summaries[row.key] for row in good]),
        sessions=tuple(row.key for row in good),
        skipped=skipped,
        pseudo_pairs=tuple(
            PlannedPair(*pair.key, pair.partner.dyad, pair.which, pair.shared_therapist) for pair in pairs
        ),
        units=dict(sorted(digests.items())),
        findings=(
            *(Remark(found.kind, found.severity, found.message) for found in findings),
            *session_remarks(summaries[row.key] for row in good),
        ),
        decisions=decided,
    )


def session_remarks(rows: Iterable[Attempt]) -> tuple[Remark, ...]:
    """Say every warning of sessions that are used once, with those that it is about."""
    about: dict[str, list[SessionKey]] = defaultdict(list)
    for row in rows:
        for note in row.notes if row.ok else ():
            about[note.removeprefix(f"{row.key}: ")].append(row.key)
    more = {note: f" and {len(keys) - 1} more" if len(keys) > 1 else "" for note, keys in about.items()}
    return tuple(Remark(OF_SESSIONS, "warning", f"{keys[0]}{more[note]}: {note}") for note, keys in about.items())


def check_settings(sessions: Sequence[Session], config: StudyConfig) -> None:
    """Refuse sessions under one name, and settings that name what there is not, before any work.

    Of a table without a row that can be read, the rows say what is wrong.
    """
    if not sessions:
        return
    names = Counter(str(row.key).casefold() for row in sessions)
    twice = next((row for row in sessions if names[str(row.key).casefold()] > 1), None)
    if twice is not None:
        raise InputError(
            f"sessions: {twice.key} is there twice (case apart), so one would replace the other. Give each its own "
            "labels, for example in run."
        )
    for modality in sorted({row.modality for row in sessions}):
        recipe_of(config, modality)
    check_comparisons(sessions, config)
    modality, _ = primary_group(Counter((row.modality, row.task) for row in sessions), config)
    check_index(config, modality)
    tasks = sorted({row.task for row in sessions if row.modality == modality})
    if tasks[0] == "" and len(tasks) > 1 and not (config.primary and config.primary.task):
        raise InputError(
            f"task: empty in some rows of {modality}, {', '.join(map(repr, tasks[1:]))} in others, so an empty one "
            "could not be told from all. Fill it in in every row, or name one in primary.task."
        )
    check_outcomes(sessions, config)


def check_outcomes(sessions: Sequence[Session], config: StudyConfig) -> None:
    """Refuse outcomes that the table of a study does not hold as numbers."""
    found: dict[str, bool] = {}
    for row in sessions:
        for name, value in row.covariates.items():
            found[name] = found.get(name, True) and is_number_or_yes_no(value)
    numbers = [name for name, is_number in found.items() if is_number]
    for name in (outcome.name for outcome in config.outcomes):
        if name not in numbers:
            what = tell_text(sessions, name) if name in found else "is no further column of dyads.tsv"
            raise ConfigError(
                f"outcomes: {name!r} {what}; columns of numbers: {', '.join(numbers) or 'none'}."
                f"{did_you_mean(name, numbers)}"
            )


def tell_text(sessions: Sequence[Session], column: str) -> str:
    """Say which cell of a column is text, and what to write."""
    cells = [(row.line, value) for row in sessions if isinstance(value := row.covariates.get(column), str)]
    texts = [(line, text) for line, text in cells if not holds_number(text)]
    line, text = ([cell for cell in texts if not is_number_or_yes_no(cell[1])] or texts or cells)[0]
    n = len({text for _, text in texts})
    more = f" (and {count(n - 1, 'other text')})" if n > 1 else ""
    at = f"in line {line} of dyads.tsv, " if line else ""
    told = quote(text.removeprefix("'"))  # the sign that keeps a spreadsheet from running it
    allowed = "a number with a decimal point (or yes and no alone), or n/a where there is none"
    return f"holds text: {at}{told}{more}. Write {allowed}"


def check_comparisons(sessions: Sequence[Session], config: StudyConfig) -> None:
    """Refuse contrasts, groups and moderators that the table of a study cannot give, before any work."""
    tasks = sorted({row.task for row in sessions})
    for name, contrast in config.contrasts.items():
        unknown = [task for task in contrast if task not in tasks]
        if unknown:
            raise ConfigError(
                f"contrasts.{name}: no row of dyads.tsv has task {unknown[0]!r}; there are: "
                f"{', '.join(map(repr, tasks))}.{did_you_mean(unknown[0], tasks)}"
            )
        if name in tasks:
            raise ConfigError(f"contrasts.{name}: has the name of a task. Give it another.")
    for key, column in (
        *([("group", config.group)] if config.group else ()),
        *(("moderators", m) for m in config.moderators),
    ):
        known = sorted({name for row in sessions for name in row.covariates})
        if column not in known:
            raise ConfigError(
                f"{key}: {column!r} is no further column of dyads.tsv; there are: {', '.join(known) or 'none'}."
                f"{did_you_mean(column, known)}"
            )
        values: dict[str, set[object]] = defaultdict(set)
        for row in sessions:
            values[row.dyad].add(row.covariates[column])
        for dyad, held in values.items():
            if len(held) > 1 or (key == "group" and None in held):
                told = ", ".join("nothing" if value is None else str(value) for value in sorted(held, key=str))
                raise ConfigError(
                    f"{key}: {column!r} is {told} in dyad {dyad}; it needs one value per dyad. Correct the table."
                )
            if key == "moderators" and not all(is_number_or_yes_no(value) for value in held):
                told = tell_text([row for row in sessions if row.dyad == dyad], column)
                raise ConfigError(f"moderators: {column!r} {told}. A column of labels is a group.")
        groups = sorted({str(value) for held in values.values() for value in held})
        if key == "group" and config.reference not in groups:
            raise ConfigError(
                f"reference = {config.reference!r}: column {column!r} holds {', '.join(map(repr, groups))}. Name one."
                f"{did_you_mean(config.reference, groups)}"
            )


def recipe_for(row: Session | SessionKey, plan: Plan, config: StudyConfig) -> Recipe:
    """Fill in what the plan decided for a row's group."""
    group = plan.group_of(row.modality, row.task)
    matched = [one for one in plan.matched_s2 if (one.modality, one.task) == (row.modality, row.task)]
    return dataclasses.replace(
        recipe_of(config, row.modality),
        n_windows=group.n_windows,
        seconds=group.seconds,
        control=group.control_channels,
        matched_s2={one.person: one.s2 for one in matched},
        clock_uncertainty_ms=group.clock_uncertainty_ms,
        ranks=group.ranks,
    )


def choose_primary(good: Sequence[Summary], config: StudyConfig) -> Outcome:
    """Choose what the verdict is about among sessions that can be used; refuse one that they cannot give."""
    modality, task = primary_group(Counter((one.key.modality, one.key.task) for one in good), config)
    primary = config.primary_of(modality)
    rows = [one for one in good if (one.key.modality, one.key.task) == (modality, task)]
    for role, roi in zip(ROLES, primary.rois, strict=True):
        there = {name for one in rows for name in one.people[role].rois}
        if roi not in there:
            raise ConfigError(
                f"primary.roi = {primary.roi!r}: no session has channels of {roi!r}; "
                f"there are: {', '.join(sorted(there))}."
                f"{did_you_mean(roi, there)} Name one of them, or define it under [rois]."
            )
    signal = recipe_of(config, modality).signals[0]
    return Outcome(primary.metric, primary.band, primary.roi, task, signal, modality)


def check_regions(good: Sequence[Summary], config: StudyConfig) -> None:
    """Refuse regions and pairs of them that not one session has a channel of: they would be left out silently."""
    there = {role: {roi for one in good for roi in one.people[role].rois} for role in ROLES}
    channels = sorted({name for one in good for person in one.people.values() for name in person.channels})
    for name, asked in config.rois.items():
        if not any(name in found for found in there.values()):
            raise ConfigError(
                f"rois.{name} = {list(asked)}: no session has one of these channels; there are: "
                f"{', '.join(channels[:40])}{' ...' if len(channels) > 40 else ''}. "
                f"Correct the names, or leave the region out.{did_you_mean(asked[0], channels)}"
            )
    region = Index.parse(config.within).region
    for name in (*config.networks.get(region, region.split("-")), *itertools.chain(*config.networks.values())):
        if name and name not in (*there["client"], MIDLINE):
            raise ConfigError(
                f"within, networks: no session has channels of {name!r} in the client; there are: "
                f"{', '.join(sorted(there['client']))}. Name others, or define the region under [rois]."
            )
    for text in () if isinstance(config.roi_pairs, str) else config.roi_pairs:
        for role, roi in zip(ROLES, RoiPair.parse(text), strict=True):
            if roi not in there[role]:
                raise ConfigError(
                    f"roi_pairs: {text!r}: no session has channels of {roi!r} in the {role}; there are: "
                    f"{', '.join(sorted(there[role]))}. Leave the pair out, or define the region under [rois]."
                )


def primary_group(n_sessions: Mapping[tuple[str, str], int], config: StudyConfig) -> tuple[str, str]:
    """Choose a modality and task: as named, else EEG first and the task with most sessions."""
    named = config.primary
    fitting = [
        (modality, task)
        for modality, task in sorted(n_sessions)
        if named is None or (named.band in config.bands_of(modality) and named.task in ("", task))
    ]
    if not fitting:
        assert named is not None  # without a named primary everything fits
        present = ", ".join(f"{modality} {task!r}" for modality, task in sorted(n_sessions))
        raise ConfigError(
            f"primary = {named.metric}, {named.band}, task {named.task!r}: no session that can be used has it; "
            f"there are: {present}. Name another primary before looking at the data."
        )
    modality = "eeg" if any(modality == "eeg" for modality, _ in fitting) else "fnirs"
    tasks = [task for kind, task in fitting if kind == modality]
    return modality, max(tasks, key=lambda task: (n_sessions[modality, task], [-ord(letter) for letter in task]))


def shortest_of(summaries: Sequence[Summary]) -> Summary:
    """Return the session that limits how much of every other one is used: fewest windows, or seconds (fNIRS)."""
    return min(summaries, key=lambda one: one.n_windows if one.key.modality == "eeg" else one.seconds)


def _plan_group(
    rows: Sequence[Session],
    good: Sequence[Session],
    summaries: Summaries,
    config: StudyConfig,
    roi_channels: Sequence[RegionChannels],
) -> Group:
    """Decide for one modality and task; tasks that a contrast joins are decided for together."""
    modality, task, n_sessions = rows[0].modality, rows[0].task, len(rows)
    pool = next((pool for pool in config.pools if task in pool), {task})
    rows = [row for row in good if row.modality == modality and row.task in pool]
    used = [summaries[row.key] for row in rows]
    shortest = shortest_of(used)
    eeg = modality == "eeg"
    people = [
        (person, person.rois.get(roi, ()))
        for row in rows
        for person, roi in zip(summaries[row.key].people.values(), config.primary_of(modality).rois, strict=True)
    ]
    control, note = _control(people) if eeg else ((), "fNIRS has no control channels")
    return Group(
        modality,
        task,
        n_sessions=n_sessions,
        n_windows=shortest.n_windows if eeg else None,
        seconds=None if eeg else shortest.seconds,
        limited_by=str(shortest.key),
        control_channels=control,
        control_note=note,
        clock_uncertainty_ms=_clock_uncertainty(used, config),
        ranks=common_ranks(used, roi_channels) if recipe_of(config, modality).set_metrics else {},
    )


def _clock_uncertainty(summaries: Sequence[Summary], config: StudyConfig) -> float:
    """Find the largest error that an offset may have in any session, in ms: one for all, or it would make a trend."""
    known = [found.clock_uncertainty_ms for one in summaries for found in one.quality.values()]
    return max((config.clock_uncertainty_ms if math.isnan(value) else value for value in known), default=0.0)


def _control(people: Sequence[tuple[PersonSummary, Sequence[str]]]) -> tuple[tuple[str, ...], str]:
    """Choose channels outside the primary ROI that everyone has and that carry least of the rhythm, and say why."""
    common = set.intersection(*(set(person.channels) for person, _ in people))
    outside = sorted(common - {name for _, inside in people for name in inside})
    if len(outside) < MIN_CONTROL:
        return (
            (),
            f"{len(outside)} channels outside the primary ROI are there in every session; {MIN_CONTROL} are needed",
        )
    everyone = [person for person, _ in people]
    carried = {name: _mean_fraction(everyone, [name]) for name in outside}
    if not all(math.isfinite(value) for value in carried.values()):
        return (), "the in-band signal fraction cannot be assessed"
    n_control = max(MIN_CONTROL, round(len(outside) / CONTROL_SHARE))
    chosen = sorted(sorted(outside, key=lambda name: (carried[name], name))[:n_control])
    inside = [_mean_fraction([person], names) for person, names in people if names]
    ratio = _mean_fraction(everyone, chosen) / float(np.mean(inside or [math.nan]))
    if not ratio < MAX_CONTROL_RATIO:
        return (
            (),
            f"the quietest channels carry {ratio:.2f} of the ROI's signal fraction; {MAX_CONTROL_RATIO} is too much",
        )
    return tuple(chosen), f"they carry {ratio:.2f} of the ROI's signal fraction"


def _mean_fraction(people: Sequence[PersonSummary], names: Sequence[str]) -> float:
    return float(np.mean([person.s2[person.channels.index(name)] for person in people for name in names]))


def _matched(good: Sequence[Summary]) -> tuple[MatchedFraction, ...]:
    """Find every person's lowest signal fraction, which noise matching brings all sessions down to."""
    lowest: dict[tuple[str, str, str], float] = {}
    for summary in good:
        for person in summary.people.values():
            whose = (summary.key.modality, summary.key.task, person.person)
            if math.isfinite(person.s2_roi):
                lowest[whose] = min(person.s2_roi, lowest.get(whose, math.inf))
    return tuple(MatchedFraction(*whose, s2) for whose, s2 in sorted(lowest.items()))


def comparable_rois(
    good: Sequence[Summary], eeg_reference: str = "recorded", pools: Sequence[frozenset[str]] = ()
) -> tuple[RegionChannels, ...]:
    """Decide which channels of each person's regions, and of an average reference, all of a dyad's sessions use.

    Tasks that are compared (``pools``) use the same ones.

    An average over other channels in one session than in the next is another reference, and a change of it reads as
    one of synchrony.
    """
    first = {task: min(pool) for pool in pools for task in pool}
    tasks: dict[str, set[str]] = defaultdict(set)
    for summary in good:
        tasks[first.get(summary.key.task, summary.key.task)].add(summary.key.task)
    averaged = {
        (modality, first.get(task, task), dyad, name)
        for summary in good
        for modality, task, dyad, name in averaged_people(summary, eeg_reference)
    }
    found: dict[tuple[str, str, str, str], dict[str, dict[SessionKey, Sequence[str]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for summary in good:
        key = summary.key
        for person in summary.people.values():
            for roi, channels in person.rois.items():
                found[key.modality, first.get(key.task, key.task), key.dyad, person.person][roi][key] = channels
    decided = []
    for whose, rois in sorted(found.items()):
        for roi, held in rois.items():
            union = list(dict.fromkeys(name for names in held.values() for name in names))
            lacking = {name: tuple(str(key) for key, names in held.items() if name not in names) for name in union}
            if any(lacking.values()):
                deciding = [names for names in held.values() if len(names) >= MIN_COMMON * len(union)]
                used = tuple(name for name in union if deciding and all(name in names for names in deciding))
                enough = used if len(used) >= MIN_COMMON * len(union) else None
                lost = {name: keys for name, keys in lacking.items() if keys}
                again = roi == "all" and enough is not None and whose in averaged
                modality, shared, dyad, name = whose
                decided += [
                    RegionChannels(modality, task, dyad, name, roi, enough, lost, again)
                    for task in sorted(tasks[shared])
                ]
    return tuple(decided)


def planned_signals(prepared: Path, key: SessionKey, role: str, plan: Plan) -> Signals:
    """Read one person of one dyad-session, regions reduced to the channels of the plan."""
    path, decided = signals_path(prepared, key, role), plan.roi_channels
    return remembered(("signals", key, role), (path, decided), lambda: _planned(Signals.load(path), key, plan))


def _planned(signals: Signals, key: SessionKey, plan: Plan) -> Signals:
    whose = (key.modality, key.task, key.dyad, signals.person)
    mine = [one for one in plan.roi_channels if (one.modality, one.task, one.dyad, one.person) == whose]
    data = dict(signals.data)
    for common in (one.used for one in mine if one.rereferenced):
        # what the own average took off is the same in all channels, and goes with the common one's
        data = {name: x - x[signals.indices(common or ())].mean(axis=0) for name, x in data.items()}
    return dataclasses.replace(signals, data=data, rois=used_rois(signals.rois, signals.ch_names, mine))


def averaged_people(summary: Summary, eeg_reference: str) -> list[tuple[str, str, str, str]]:
    """List who of a session was brought to an average reference, as the plan names people."""
    key = summary.key
    return [
        (key.modality, key.task, key.dyad, person.person)
        for role, person in summary.people.items()
        if key.modality == "eeg"
        and eeg_reference != "recorded"
        and is_averaged(eeg_reference, summary.quality[role].channels_total)
    ]


def used_rois(
    rois: Mapping[str, Sequence[int]], ch_names: Sequence[str], decided: Sequence[RegionChannels]
) -> dict[str, tuple[int, ...]]:
    """Reduce one person's regions in one session to the channels that were decided for this person."""
    used = {one.roi: set(one.used) for one in decided if one.used is not None}
    reduced = {
        roi: tuple(at for at in where if roi not in used or ch_names[at] in used[roi]) for roi, where in rois.items()
    }
    return {roi: where for roi, where in reduced.items() if where}


def skips_of(sessions: Sequence[Session], summaries: Summaries) -> list[Skip]:
    """List the rows that preparation could not use, with their reasons."""
    keys = sorted(row.key for row in sessions)
    return [Skip.of(key, summaries[key].reason) for key in keys if not summaries[key].ok]


def findings_of(sessions: Sequence[Session], summaries: Summaries, config: StudyConfig) -> list[Finding]:
    """Find what the table tells about the design, exchanged people, and channels that not every session has."""
    good = [summaries[key] for key in sorted(row.key for row in sessions) if summaries[key].ok]
    swaps = find_swaps({summary.key: summary.quality for summary in good})
    decided = comparable_rois(good, config.eeg_reference, config.pools)
    return [*study_findings(sessions, config.time), *swaps, *roi_findings(decided)]


def duplicates_of(sessions: Sequence[Session]) -> dict[SessionKey, str]:
    """Find sessions whose recordings are there twice under two names; names of files are left out of the reasons."""
    files = {row.key: (row.therapist_file, row.client_file) for row in sessions}
    there = [row for row in sessions if all(path.exists() and os.access(path, os.R_OK) for path in files[row.key])]
    reasons: dict[SessionKey, str] = {}
    for uses in copied_recordings(there):
        for row in {row.key: row for row, _ in uses}.values():
            # both people of a row may be in one file
            mine = {row.files[role]: f"[{role}_file]" for one, role in reversed(uses) if one is row}
            others = [f"the {role}_file of {one.key}" for one, role in uses if one.files[role] not in mine]
            names = list(mine.values())[::-1]
            if len(names) > 1:
                said = (
                    f"{' and '.join(names)} hold the same bytes: one recording is there under two names. If it holds "
                    "both people, name it in both cells, with each person's channels (therapist_channels, "
                    "client_channels); else replace the wrong copy."
                )
            else:
                said = (
                    f"{names[0]} holds the same bytes as {name_some(others)}: one recording is there under two names. "
                    "Correct the table, or replace the wrong copy."
                )
            reasons[row.key] = f"{row.key}: {said}"
    return reasons


def explain_nothing(skipped: Sequence[Skip]) -> str:
    """Say why not one dyad-session is left."""
    first = skipped[0].reason if skipped else "the table has no rows"
    kinds = len({_kind(one) for one in skipped})
    more = f" (and {count(kinds - 1, 'other reason')})" if kinds > 1 else ""
    which = f"The reason of all {len(skipped)}" if kinds == 1 and len(skipped) > 1 else f"First reason{more}"
    return f"Not one of {count(len(skipped), 'dyad-session')} can be analysed. {which}: {first}"


def _kind(skip: Skip) -> str:
    """Say what a reason says of any row: without the row's own labels, quoted names and numbers."""
    text = public_reason(skip.reason)
    for label in sorted(filter(None, (skip.dyad, skip.task, skip.run)), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(label)}(?!\w)", "", text)
    return re.sub(r"[0-9]+(\.[0-9]+)?", "#", text)
