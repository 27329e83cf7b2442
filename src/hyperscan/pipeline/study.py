"""Ways into a run: read a study with its settings, draft its table, check it, prepare a part of it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib import Parallel, cpu_count, delayed

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, QualityError, count, tell_reasons
from hyperscan.pipeline.decisions import (
    comparability_findings,
    decision_findings,
    decisions_of,
    outcome_findings,
    unaligned_of,
)
from hyperscan.pipeline.lock import TEMPORARY, output_lock, sweep_temporary
from hyperscan.pipeline.plan import (
    check_regions,
    check_settings,
    choose_primary,
    duplicates_of,
    findings_of,
    shortest_of,
)
from hyperscan.pipeline.prepare import attempt, check_rate
from hyperscan.pipeline.privacy import leaks_of, revealed, scrub
from hyperscan.pipeline.resources import START_S, fitting_jobs, session_seconds, work_bytes, worker_bytes
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.pipeline.unit import units_of
from hyperscan.pipeline.workers import follow
from hyperscan.recording import ClockReport, align_pair, load_heads
from hyperscan.recording.cleaning.channels import eeg_regions, roi_channels
from hyperscan.recording.windows import compared_stretches
from hyperscan.schema import ROLES, SessionKey
from hyperscan.study import Rejected, Session, StudyTable, read_table, said_once, study_findings
from hyperscan.synchrony import recipe_of
from hyperscan.words import size_text

if TYPE_CHECKING:
    from mne.io import BaseRaw

logger = logging.getLogger(__name__)

#: What a look at headers cannot tell.
UNTOLD = (
    "Samples were not judged: bad channels and windows, wrong units and copied signals show in check --prepare OUT, "
    "which keeps its work for run -o OUT."
)

#: File of the settings, beside the table.
SETTINGS = "study.toml"


def load_study(
    study: str | Path, *, config: str | Path | None = None, seed: int | None = None
) -> tuple[StudyTable, StudyConfig]:
    """Read a study's table and the settings next to it.

    Examples
    --------
    >>> import tempfile
    >>> from hyperscan.simulate import simulate_study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table, config = load_study(simulate_study(folder + "/study", "none", n_dyads=1, n_sessions=2), seed=3)
    >>> len(table.sessions), config.seed
    (2, 3)
    """
    table = read_table(study)
    path = Path(config) if config is not None else _settings_beside(table.root)
    settings = StudyConfig() if path is None else StudyConfig.from_toml(path)
    try:
        check_settings(table.sessions, settings)
    except ConfigError as error:
        if not table.rejected:
            raise
        refused = count(len(table.rejected), "row is", "rows are")
        raise ConfigError(f"{refused} refused, the first: {table.rejected[0]}\n{error}") from None
    return table, settings if seed is None else dataclasses.replace(settings, seed=seed)


def _settings_beside(root: Path) -> Path | None:
    """Find ``study.toml``, whatever it is; None where there is none, and no name that differs in case only."""
    named = [entry for entry in sorted(root.iterdir()) if entry.name.casefold() == SETTINGS]
    wrong = [entry.name for entry in named if entry.name != SETTINGS]
    if wrong:
        raise ConfigError(
            f"{wrong[0]}: settings are read from {SETTINGS}, in small letters. Rename the file, or remove it."
        )
    return named[0] if named else None


@dataclass(frozen=True)
class CheckReport:
    """What a run would do, as lines of text."""

    #: Every row as preparation finds it
    rows: tuple[Summary, ...]
    #: Rows that the table lost
    rejected: tuple[Rejected, ...] = ()
    #: Findings about the study as a whole
    notes: tuple[str, ...] = ()
    #: What the inputs hold about people, where that was asked for
    leaks: tuple[str, ...] = ()
    #: Why a run would stop although sessions can be used: they do not give the primary outcome
    refusal: str = ""
    #: Time, memory and disk that a run is estimated to take
    needs: str = ""
    #: Signals were filtered and judged; else numbers of windows are the most there can be
    prepared: bool = False

    @property
    def skipped(self) -> int:
        """Rows that a run would skip."""
        return len(self.rejected) + len([row for row in self.rows if not row.ok])

    @property
    def usable(self) -> int:
        """Rows that a run would analyse."""
        return len(self.rows) + len(self.rejected) - self.skipped

    def __str__(self) -> str:
        lines = [_line(row, "" if self.prepared else "at most ") for row in self.rows if row.ok]
        lines += [f"skip  {told}" for told in (*_lost(self.rows), *said_once(self.rejected))]
        lines += [f"note  {note}" for note in self.notes]
        lines += [f"leak  {leak}" for leak in self.leaks]
        lines += [f"stop  {self.refusal}"] * bool(self.refusal)
        usable = size_text([(row.key.dyad, row.key.session) for row in self.rows if row.ok])
        lines += ["", f"{usable} would be analysed, {self.skipped} skipped."]
        return "\n".join([*lines, *([] if self.prepared else [UNTOLD]), *([self.needs] if self.needs else [])])


def check_study(
    study: str | Path,
    *,
    config: str | Path | None = None,
    privacy: bool = False,
    prepare: str | Path | bool = False,
    private: bool = False,
    n_jobs: int = 1,
    progress: bool = False,
) -> CheckReport:
    """Say what a run would analyse and what not; write nothing but to a folder that ``prepare`` names.

    Table, settings, headers, events and clocks are looked at; samples are not judged. With ``prepare``
    every session is filtered and judged too, which takes most of a run's time; where it is the folder of a later run,
    that is kept there for it, with ``private`` readable by its owner only.

    Examples
    --------
    >>> import tempfile
    >>> from hyperscan.simulate import simulate_study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = check_study(simulate_study(folder + "/study", "growth", n_dyads=1, n_sessions=1))
    >>> report.usable, report.skipped
    (1, 0)
    """
    table, settings = load_study(study, config=config)
    if prepare and table.sessions:
        rows = _prepared(table.sessions, settings, prepare, private=private, n_jobs=n_jobs, progress=progress)
    else:
        rows = _looked_at(table.sessions, settings, n_jobs, progress)
    rows = [dataclasses.replace(row, notes=(*row.notes, *_steps(row))) for row in rows]
    rows, common = _said_once(rows, table.sessions)
    leaks, needs = tuple(leaks_of(table)) if privacy else (), _needs(table.sessions, rows, settings, bool(prepare))
    refusal, good = "", [row for row in rows if row.ok]
    try:
        if good:
            choose_primary(good, settings)
            check_regions(good, settings)
    except ConfigError as error:
        refusal = str(error)
    summaries = {row.key: row for row in rows}
    usable = [row for row in table.sessions if summaries[row.key].ok]
    compared = comparability_findings(usable, summaries, settings) + outcome_findings(usable, settings)
    if not prepare:
        notes = (*table.notes, *common, *map(str, [*study_findings(table.sessions, settings.time), *compared]))
        return CheckReport(tuple(rows), table.rejected, notes, leaks, refusal, needs)
    findings = [*findings_of(table.sessions, summaries, settings), *decision_findings(decisions_of(good)), *compared]
    notes = (*table.notes, *common, *map(str, findings), *_limits(rows))
    return CheckReport(tuple(rows), table.rejected, notes, leaks, refusal, needs, prepared=True)


def _prepared(
    sessions: Sequence[Session], config: StudyConfig, out: str | Path | bool, **options: Any
) -> list[Summary]:
    """Prepare as a run does, and keep it where a folder is named."""
    from hyperscan.pipeline.run import summaries_of

    with contextlib.ExitStack() as held:
        if isinstance(out, bool):
            sweep_temporary(Path(tempfile.gettempdir()))
            place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY))) / "out"
            held.enter_context(output_lock(place))  # by which it is known as left behind, if this process is killed
            out = place / "prepared"
        found = summaries_of(sessions, config, out=Path(out).resolve(), **options)
    rows = [(found[row.key], row) for row in sessions]
    return [dataclasses.replace(summary, reason=revealed(summary.reason, row)) for summary, row in rows]


def _looked_at(sessions: Sequence[Session], config: StudyConfig, n_jobs: int, progress: bool) -> list[Summary]:
    """Look at every row, and refuse recordings that are there twice and sessions that lost what aligns the others."""
    if progress:
        logger.info("check: reads the headers of %s", size_text([(row.dyad, row.session) for row in sessions]))
    tasks = (delayed(attempt)(row.key, partial(_look, row, config), Summary) for row in sessions)
    looks = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    rows = list(follow(looks, len(sessions), "check", progress=progress))
    twice = duplicates_of(sessions)
    told = {row.key: revealed(twice[row.key], row) for row in sessions if row.key in twice}
    rows = [row.refuse(told[row.key]) if row.key in told else row for row in rows]
    apart = unaligned_of(sessions, {row.key: row for row in rows})
    return [row.refuse(apart[row.key]) if row.key in apart else row for row in rows]


def _look(row: Session, config: StudyConfig) -> Summary:
    """Find the clock of one row without its samples, and count what its length allows at most."""
    heads = load_heads(row)
    pair = align_pair(heads.pair)
    sfreq = float(pair.therapist.info["sfreq"])
    check_rate(row.key, sfreq, recipe_of(config, row.modality))
    seconds = sum(segment.duration_s for segment in compared_stretches(pair, config))
    n_windows = sum(int(segment.duration_s / config.window_s + 1e-9) for segment in pair.segments)
    remedy = "or leave the session out (include = no)"
    if row.modality == "eeg" and n_windows < config.min_windows:
        raise QualityError(
            f"{row.key}: {seconds:.0f} s hold {count(n_windows, 'window')} of {config.window_s:g} s, fewer than "
            f"min_windows = {config.min_windows}. Shorten window_s, {remedy}."
        )
    if row.modality == "fnirs" and seconds < config.min_seconds:
        raise QualityError(
            f"{row.key}: {seconds:.0f} s in common, under min_seconds = {config.min_seconds:g}. Lower it, {remedy}."
        )
    people = {
        role: _headed(row, role, pair.raw(role), labels, config)
        for role, labels in zip(ROLES, heads.labels, strict=True)
    }
    return Summary(row.key, sfreq=sfreq, n_windows=n_windows, seconds=seconds, clock=pair.clock, people=people)


def _headed(row: Session, role: str, raw: BaseRaw, labels: Sequence[str], config: StudyConfig) -> PersonSummary:
    """Name one person's channels and regions as the header has them; preparation only leaves channels out."""
    rois = roi_channels(raw, config) if row.modality == "fnirs" else eeg_regions(labels, config)
    return PersonSummary(getattr(row, role), tuple(labels), rois, (), math.nan)


def _said_once(rows: Sequence[Summary], sessions: Sequence[Session]) -> tuple[list[Summary], tuple[str, ...]]:
    """Take out of the rows what three or more of them say but for their files' names, and say it once."""
    texts = [
        {note: scrub(note, session, {}) for note in row.notes if row.ok}
        for row, session in zip(rows, sessions, strict=True)
    ]
    holders: dict[str, list[SessionKey]] = defaultdict(list)
    for row, said in zip(rows, texts, strict=True):
        for text in dict.fromkeys(said.values()):
            holders[text].append(row.key)
    common = {text: keys for text, keys in holders.items() if len(keys) > 2}
    kept = [
        dataclasses.replace(row, notes=tuple(note for note in row.notes if said.get(note) not in common))
        for row, said in zip(rows, texts, strict=True)
    ]
    return kept, tuple(f"{keys[0]} and {len(keys) - 1} more: {text}" for text, keys in common.items())


def _limits(rows: Sequence[Summary]) -> list[str]:
    """Name the sessions that decide how much of every other one is used."""
    notes = []
    for modality, task in sorted({(row.key.modality, row.key.task) for row in rows}):
        group = [row for row in rows if row.ok and (row.key.modality, row.key.task) == (modality, task)]
        if len(group) > 1:
            least = shortest_of(group)
            amount = count(least.n_windows, "window") if modality == "eeg" else f"{least.seconds:.0f} s"
            name = " ".join(filter(None, [modality, task]))
            notes.append(f"{name}: every session enters with {amount}, limited by {least.key}.")
    return notes


def _needs(sessions: Sequence[Session], rows: Sequence[Summary], config: StudyConfig, prepared: bool) -> str:
    """Estimate what a run needs from the size of the recordings; its time only where it is known what was prepared."""
    units, good = units_of(sessions), [row for row in rows if row.ok]
    if not good:
        return ""
    takes = "needs"
    if prepared:
        partners = min(config.max_partners, max(len({row.dyad for row in sessions}) - 1, 0))
        total = sum(session_seconds(row, config, partners) for row in good) + START_S
        told = f"{total:.0f} s" if total < 100 else f"{total / 60:.0f} min" if total < 6000 else f"{total / 3600:.1f} h"
        takes = (
            f"that goes on from here takes about {told} with one worker (an estimate, good to a factor of 2; each "
            f"session with {partners} partners),"
        )
    return (
        f"A run {takes} {worker_bytes(units) / 1e9:.1f} GB of memory per worker, and {work_bytes(units) / 1e9:.2f} GB "
        f"of disk while it lasts. Workers that would fit here: {fitting_jobs(units, cpu_count())}."
    )


def _steps(row: Summary) -> list[str]:
    """List what a user would look up of a row's preparation: the reference, and what short channels were there for."""
    return [step for step in row.history if any(word in step for word in ("reference", "short channel"))]


def _clock(clock: ClockReport) -> str:
    """Name the source of a common clock, and what was found where there was something to find."""
    facts = [
        f"offset {clock.offset_s:.3f} s" if clock.offset_s else "",
        f"drift {clock.told_ppm} ppm" if (clock.n_matched or clock.ppm) and clock.told_ppm else "",
        f"residual {clock.residual_ms:.2f} ms" if clock.residual_ms and not math.isnan(clock.residual_ms) else "",
        f"{clock.n_matched} matched" if clock.n_matched else "",
    ]
    told = ", ".join(filter(None, facts))
    return f"{clock.source} ({told})" if told else clock.source


def _lost(rows: Sequence[Summary]) -> list[str]:
    """Name the rows that would be skipped; those with the same reason share a line."""
    alike: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if not row.ok:
            # most reasons begin with the names of their session, which the line tells
            name = str(row.key)
            alike[row.reason.removeprefix(f"{name}: ").removeprefix(f"{name}, ")].append(name)
    return tell_reasons(alike)


def _line(row: Summary, most: str) -> str:
    key = row.key
    kept = ", ".join(
        f"{role} {facts['channels_kept']}/{facts['channels_total']} channels" for role, facts in row.quality.items()
    )
    grades = "/".join(str(facts["grade"]) for facts in row.quality.values())
    windows = [most + count(row.n_windows, "window")] if key.modality == "eeg" else []
    clock = "" if row.clock is None else _clock(row.clock)
    amount = [f"{row.sfreq:g} Hz", *windows, f"{row.seconds:.0f} s"]
    judged = [f"quality {grades}"] if row.quality else []
    facts = ", ".join([*amount, *([kept] if kept else []), f"clock {clock}", *judged])
    return "\n".join([f"ok    {key}: {facts}", *(f"      {note}" for note in row.notes)])
