"""What each command does: call one public function, show the result, give an exit code."""

from __future__ import annotations

import argparse
import logging
import re
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperscan.cli.options import QUESTIONS, SCATTER, TABLE_OPTIONS, option
from hyperscan.cli.terminal import say, show
from hyperscan.errors import ConfigError, InputError, NothingToAnalyseError, TableError, did_you_mean, tell_reasons

if TYPE_CHECKING:
    from hyperscan.config import StudyConfig
    from hyperscan.growth import GrowthResult
    from hyperscan.results.plan import Skip
    from hyperscan.study import Rejected, Session, StudyTable

logger = logging.getLogger("hyperscan")

OK, SOME_SKIPPED = 0, 3


def init(arguments: argparse.Namespace) -> int:
    """Draft ``dyads.tsv``."""
    from hyperscan.recording import channel_names
    from hyperscan.study import Told, draft_dyads, write_draft

    given = {name: getattr(arguments, name) for name in ("therapist_id", "clock", "modality")}
    told = Told(tuple(arguments.therapist), tuple(arguments.client), **given)
    draft = draft_dyads(arguments.folder, peek=channel_names, told=told)
    path = write_draft(draft, arguments.folder / "dyads.tsv")
    todo = "look through it" if draft.complete else "fill in what is listed"
    show(f"{draft}\nwrote {path.name}: {todo}, then: hyperscan check {arguments.folder}")
    return OK if draft.complete else SOME_SKIPPED


def check(arguments: argparse.Namespace) -> int:
    """Say what would run."""
    from hyperscan.pipeline import check_study

    asked = {"n_jobs": arguments.jobs}
    if "prepare" in arguments:  # a dry run writes nothing
        if arguments.quick and arguments.prepare:
            raise ConfigError("check: --quick prepares nothing, so --prepare has no use. Leave one of them out.")
        asked |= {name: getattr(arguments, name) for name in ("privacy", "prepare", "private")}
    report = check_study(arguments.study, config=arguments.config, progress=not arguments.quiet, **asked)
    show(str(report))
    if not report.usable:
        return NothingToAnalyseError.exit_code
    if report.refusal:
        return ConfigError.exit_code
    return SOME_SKIPPED if report.skipped else OK


def run(arguments: argparse.Namespace) -> int:
    """Analyse a study."""
    from hyperscan.pipeline import prepare_study, run_study

    if arguments.dry_run:
        return check(arguments)
    if arguments.dyad_label and arguments.cluster:
        raise ConfigError(
            "run: --dyad-label prepares on this machine, so --cluster has no use. Leave one of them out; "
            "--cluster takes all sessions at once."
        )
    table, config = _loaded(arguments.study, arguments.config, arguments.seed)
    common = {
        "out": arguments.output,
        "n_jobs": arguments.jobs,
        "progress": not arguments.quiet,
        "private": arguments.private,
    }
    if arguments.dyad_label:
        known = {row.dyad for row in table.sessions} | {row.dyad for row in table.rejected}
        labels = _in_table(arguments.dyad_label, "dyad-", known)
        chosen = [row.key for row in table.sessions if row.dyad in labels]
        refused = [row for row in table.rejected if row.dyad in labels]
        return _tell_skipped(prepare_study(table.sessions, config, only=chosen, **common), table.sessions, refused)
    started = time.monotonic()
    result = run_study(table.sessions, config, cluster=arguments.cluster, rejected=table.rejected, **common)
    code = _tell_skipped(result.skipped, table.sessions, table.rejected)
    show(_answers(arguments.output))
    show(f"report: {arguments.output / 'report.html'}")
    logger.info("took %.0f s", time.monotonic() - started)
    return code


def multiverse(arguments: argparse.Namespace) -> int:
    """Run every analysis that the settings declare."""
    from hyperscan.pipeline import run_multiverse
    from hyperscan.results.folder import MULTIVERSE_PAGE
    from hyperscan.study import said_once

    table, config = _loaded(arguments.study, arguments.config, arguments.seed)
    found = run_multiverse(
        table.sessions,
        config,
        out=arguments.output,
        n_jobs=arguments.jobs,
        cluster=arguments.cluster,
        rejected=table.rejected,
        progress=not arguments.quiet,
        private=arguments.private,
    )
    for told in said_once(table.rejected):
        say(f"skipped {told}")
    fewer = [one for one in found.universes if one.n_skipped]
    if fewer:
        numbers = sorted({one.n_skipped for one in fewer})
        told = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
        where = f"{len(fewer)} of {len(found.universes)} analyses"
        say(f"skipped {told} dyad-sessions in {where}; universes/u001.json and others say why")
    show(f"{found.summary()}\nreport: {arguments.output / MULTIVERSE_PAGE}")
    return SOME_SKIPPED if fewer else OK


def _loaded(study: Path, config: Path | None = None, seed: int | None = None) -> tuple[StudyTable, StudyConfig]:
    """Read a study, and say what its table leaves out."""
    from hyperscan.pipeline import load_study

    table, settings = load_study(study, config=config, seed=seed)
    for note in table.notes:
        logger.warning("note: %s", note)
    return table, settings


def _in_table(asked: Sequence[str], prefix: str, known: Collection[str]) -> set[str]:
    """Labels without their BIDS prefix; one that the table does not hold is a mistake, not an empty choice."""
    labels = {label.removeprefix(prefix) for label in asked}
    unknown = sorted(labels - set(known))
    if unknown:
        raise NothingToAnalyseError(
            f"{prefix.rstrip('-')} {', '.join(map(repr, unknown))} is not in the table."
            f"{did_you_mean(unknown[0], known)} It holds: {', '.join(sorted(known))}. Check the labels."
        )
    return labels


def _tell_skipped(skipped: Sequence[Skip], sessions: Sequence[Session], rejected: Sequence[Rejected] = ()) -> int:
    """Say what was skipped, with the names and cells that the records leave out; return the exit code."""
    from hyperscan.pipeline import public_rejected, revealed
    from hyperscan.study import said_once

    for told in said_once(rejected):
        say(f"skipped {told}")
    lost = [public_rejected(refused) for refused in rejected]
    rows: dict[tuple[object, ...], Session] = {row.key: row for row in sessions}
    alike: dict[str, list[str]] = {}
    for entry in (entry for entry in skipped if entry not in lost):
        row = rows.get((entry.dyad, entry.session, entry.modality, entry.task, entry.run))
        reason = entry.reason if row is None else revealed(entry.reason, row)
        session = f" ses-{entry.session:02d}" if entry.session is not None else ""
        # most reasons begin with the names of their session, which its line tells
        key = "" if row is None else f"{row.key}"
        name = f"{entry.dyad}{session}"
        alike.setdefault(reason.removeprefix(f"{key}: ").removeprefix(f"{key}, "), []).append(name)
    for told in tell_reasons(alike):
        say(f"skipped {told}")
    if any("'…'" in reason for reason in alike):
        say("names of yours that results leave out stand as '…'; hyperscan check shows them")
    return SOME_SKIPPED if skipped or rejected else OK


def growth(arguments: argparse.Namespace) -> int:
    """Give the verdict of a run or a table."""
    from hyperscan.pipeline import growth_of, within_of

    source, output = arguments.table, arguments.output
    if output is not None and (output / "synchrony.tsv").exists() and output.resolve() != source.resolve():
        # the tables and the report there would no longer be those of its verdict
        raise ConfigError(f"-o {output.name}: is the folder of a run, whose verdict is its own. Name another folder.")
    if arguments.within and output is not None and output.resolve() == source.resolve():
        raise ConfigError(
            f"-o {output.name}: its growth.json is the verdict on synchrony, which that on an index of each person "
            "would replace. Name another folder."
        )
    given = [name for name in TABLE_OPTIONS if name not in QUESTIONS and getattr(arguments, name) is not None]
    asked = {name: getattr(arguments, name) for name in QUESTIONS if getattr(arguments, name) is not None}
    asked |= {"contrasts": dict(asked["contrasts"])} if "contrasts" in asked else {}
    if arguments.within and (not source.is_dir() or asked):
        what = ", ".join(map(option, asked)) if source.is_dir() else "a table"
        raise ConfigError(
            f"--within {arguments.within}: of the folder of a run alone, not with {what}; outcomes are those of its "
            "settings.\nName the folder, without it."
        )
    if not source.is_dir():
        result = _growth_of_table(arguments, given, asked)
    elif given:
        options = ", ".join(map(option, given))
        raise ConfigError(
            f"{source.name}: is the folder of a run, whose tables and settings are known; {options}: for a "
            "table alone.\nLeave them out, or name the table."
        )
    elif arguments.within:
        alone = within_of(source, index=arguments.within)
        assert alone is not None  # None is for what nobody named
        result = alone
    else:
        result = growth_of(source, **asked)
    show(result.summary())
    if output is not None:
        result.save(output)
    return OK


def _growth_of_table(arguments: argparse.Namespace, given: Sequence[str], asked: Mapping[str, Any]) -> GrowthResult:
    """Fit a table from elsewhere by the options that were given."""
    from hyperscan.growth import fit_growth
    from hyperscan.storage import load_table

    path, named = arguments.table, {name: getattr(arguments, name) for name in given}
    primary = {name: named.pop(name) for name in ("metric", "band", "roi", "task") if name in named}
    tables = {name: load_table(named.pop(name)) for name in ("guards", "quality") if name in named}
    table = load_table(path, *(named[name] for name in ("dyad", "therapist") if name in named))
    try:
        return fit_growth(table, primary=primary or None, **asked, **tables, **named)
    except InputError as error:  # the function speaks of its arguments; here they are options
        said = re.sub(r"primary=\{'(\w+)': \.\.\.\}|\b(\w+)=(?=[,.;\s]|$)", lambda m: option(m[1] or m[2]), str(error))
        raise TableError(f"{path.name}: {said}") from None


def config(arguments: argparse.Namespace) -> int:
    """Print settings as ``study.toml``."""
    from hyperscan.config import StudyConfig

    show(StudyConfig().to_toml(comments=arguments.defaults))
    return OK


def power(arguments: argparse.Namespace) -> int:
    """Say how likely a study is to find growth."""
    from hyperscan.growth import Scatter, plan_power
    from hyperscan.growth.power import figure_path

    figure = None if arguments.figure is None else figure_path(arguments.figure)
    given = {name: getattr(arguments, name) for name in SCATTER if getattr(arguments, name) is not None}
    result = plan_power(
        arguments.dyads,
        arguments.sessions,
        arguments.slope,
        groups=arguments.groups,
        missing=arguments.missing,
        dyads_per_therapist=arguments.dyads_per_therapist,
        relation=arguments.relation,
        scatter=Scatter(**given),
        target=arguments.target,
        n_sim=arguments.simulations,
        seed=arguments.seed,
    )
    show(result.summary())
    if figure is not None:
        result.save(figure)
    return OK


def report(arguments: argparse.Namespace) -> int:
    """Build a run's report again."""
    from hyperscan.pipeline import among_writers, report_of
    from hyperscan.report.run import ReportedRun

    with among_writers(arguments.output):
        ReportedRun.of(arguments.output).check_whole()
        show(str(report_of(arguments.output, n_jobs=arguments.jobs)))
    return OK


def view(arguments: argparse.Namespace) -> int:
    """Write the page to look around in a run's results."""
    from hyperscan.pipeline import among_writers
    from hyperscan.report import build_view

    with among_writers(arguments.output):
        show(str(build_view(arguments.output)))
    return OK


def metrics(_: argparse.Namespace) -> int:
    """List every metric."""
    from hyperscan.metrics import describe_metrics

    show(describe_metrics())
    return OK


def completion(arguments: argparse.Namespace) -> int:
    """Print what a shell needs to complete a command."""
    import shtab

    parsers = [arguments.parsers[arguments.program]()]
    for parser in parsers:  # grows by the commands of a command
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            elif action.type is Path:
                action.complete = shtab.FILE
    show(shtab.complete(parsers[0], arguments.shell))
    return OK


def simulate(arguments: argparse.Namespace) -> int:
    """Write a study with known truth."""
    from hyperscan.simulate import simulate_study

    changes = {"n_dyads": arguments.dyads, "n_sessions": arguments.sessions}
    given = {name: value for name, value in changes.items() if value is not None}
    path = simulate_study(arguments.dest, arguments.scenario, modality=arguments.modality, seed=arguments.seed, **given)
    show(f"wrote {path / 'dyads.tsv'}, and the truth in {path / 'truth.json'}; then: hyperscan check {path}")
    return OK


def _answers(out: Path) -> str:
    """Say the verdict, and what came of every further question that the settings ask."""
    from hyperscan.report.run import ReportedRun

    run = ReportedRun.of(out)
    told = [] if run.growth is None else [run.growth.answers()]
    if run.alone is not None and run.config.within:
        told.append(f"each person, {run.config.within}: {run.alone.verdict}\n{run.alone.sentence}")
    return "\n\n".join(told)


def bids(arguments: argparse.Namespace) -> int:
    """Do what a BIDS App does at its two levels."""
    from hyperscan.pipeline import prepare_study, run_study

    table, config = _loaded(arguments.bids_dir)
    if arguments.level == "participant":
        known = {label for row in table.sessions for label in (row.therapist, row.client)}
        people = _in_table(arguments.participant_label or (), "sub-", known)
        asked = [label.removeprefix("ses-").lstrip("0") for label in arguments.session_label or ()]
        numbers = _in_table(asked, "ses-", {str(row.session) for row in table.sessions})
        rows = [
            row
            for row in table.sessions
            if (not people or people & {row.therapist, row.client}) and (not numbers or str(row.session) in numbers)
        ]
        dyads = {row.dyad for row in rows} if people else {row.dyad for row in table.rejected}
        refused = [  # which people such a row names is not known: those of its dyad
            row for row in table.rejected if row.dyad in dyads and (not numbers or str(row.session) in numbers)
        ]
        skipped = prepare_study(table.sessions, config, out=arguments.output, only=[row.key for row in rows])
        return _tell_skipped(skipped, table.sessions, refused)
    result = run_study(table.sessions, config, out=arguments.output, rejected=table.rejected)
    code = _tell_skipped(result.skipped, table.sessions, table.rejected)
    show(_answers(arguments.output))
    return code


#: Commands that go on where they were interrupted.
GOING_ON = (run, multiverse, bids)
