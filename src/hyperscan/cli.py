"""The command line: parse, call one public function, give an exit code. No science.

Standard output holds the result, standard error the log and the progress.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import hyperscan
from hyperscan.errors import (
    ConfigError,
    HyperscanError,
    InputError,
    NothingToAnalyseError,
    OutputWriteError,
    TableError,
    did_you_mean,
)

logger = logging.getLogger("hyperscan")

#: What the exit codes mean; the first line of every help page names them.
EXIT_CODES = """exit codes: 0 ok; 1 bug; 2 usage or configuration; 3 finished, some sessions were skipped;
4 nothing analysable; 5 output locked; 6 disk or permission; 130 or 143 interrupted"""

OK, BUG, SOME_SKIPPED = 0, 1, 3


class _Parser(argparse.ArgumentParser):
    """An argument parser that suggests what a misspelt option or command may have been."""

    def error(self, message: str) -> NoReturn:
        unknown = message.partition("unrecognized arguments: ")[2].split()
        hint = did_you_mean(unknown[0].split("=")[0], self._option_string_actions) if unknown else ""
        if "invalid choice: " in message:
            word, _, known = message.partition("invalid choice: ")[2].partition(" (choose from ")
            hint = did_you_mean(word.strip("'\""), re.findall(r"[\w-]+", known))
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: error: {message}.{hint}\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown option of a subcommand is told by that subcommand's parser."""
        found, extra = self.parse_known_args(args, namespace)
        if extra:
            getattr(found, "parser", self).error(f"unrecognized arguments: {' '.join(extra)}")
        return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``hyperscan`` command.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None = those of the process.

    Returns
    -------
    int
        Exit code.
    """
    return _call(_parser(), argv)


def bids_main(argv: Sequence[str] | None = None) -> int:
    """Run the ``hyperscan-bids`` command: the same job behind the usual door of a BIDS App.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None = those of the process.

    Returns
    -------
    int
        Exit code.
    """
    return _call(_bids_parser(), argv)


def _call(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    arguments = parser.parse_args(argv)
    _start_log(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        return int(arguments.action(arguments))
    except HyperscanError as error:
        _say(f"hyperscan: {error}")
        return error.exit_code
    except MemoryError:
        _say("hyperscan: memory ran out. Use fewer --jobs, or a machine with more memory.")
        return BUG
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (PermissionError, OSError) as error:
        name = Path(str(error.filename)).name if error.filename else "a file"
        _say(f"hyperscan: {name}: {error.strerror or type(error).__name__}. Check the disk and its permissions.")
        return OutputWriteError.exit_code
    except _Stopped as stopped:
        _say("hyperscan: interrupted; finished sessions are kept, the same command goes on from there.")
        return 128 + stopped.number


class _Stopped(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # once is enough: a second one must not cut the tidying short
        signal.signal(each, signal.SIG_IGN)
    raise _Stopped(number)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _show(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _start_log(arguments: argparse.Namespace) -> None:
    level = logging.WARNING if arguments.quiet else logging.INFO - 10 * min(arguments.verbose, 1)
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    logging.captureWarnings(True)
    warnings.showwarning = lambda message, *_, **__: logger.warning("warning: %s", message)
    logger.setLevel(level)


def _init(arguments: argparse.Namespace) -> int:
    from hyperscan.recording import channel_names
    from hyperscan.study import draft_dyads, write_draft

    draft = draft_dyads(arguments.folder, peek=channel_names)
    path = write_draft(draft, arguments.folder / "dyads.tsv")
    _show(f"{draft}\nwrote {path.name}: look through it, then: hyperscan check {arguments.folder}")
    return OK


def _check(arguments: argparse.Namespace) -> int:
    from hyperscan.pipeline import check_study

    report = check_study(arguments.study, config=arguments.config, privacy=getattr(arguments, "privacy", False))
    _show(str(report))
    if not report.usable:
        return NothingToAnalyseError.exit_code
    return SOME_SKIPPED if report.skipped else OK


def _run(arguments: argparse.Namespace) -> int:
    from hyperscan.pipeline import load_study, prepare_study, run_study

    if arguments.private:
        os.umask(0o077)
    table, config = load_study(arguments.study, config=arguments.config, seed=arguments.seed)
    if arguments.dry_run:
        return _check(arguments)
    for note in table.notes:
        logger.warning("note: %s", note)
    common = {"out": arguments.output, "n_jobs": arguments.jobs, "progress": not arguments.quiet}
    if arguments.dyad_label:
        labels = {label.removeprefix("dyad-") for label in arguments.dyad_label}
        chosen = [row.key for row in table.sessions if row.dyad in labels]
        return _told(prepare_study(table.sessions, config, only=chosen, **common), table.sessions)
    started = time.monotonic()
    result = run_study(table.sessions, config, cluster=arguments.cluster, rejected=table.rejected, **common)
    code = _told(result.skipped, table.sessions)
    _show(_verdict(arguments.output))
    _show(f"report: {arguments.output / 'report.html'}")
    logger.info("took %.0f s", time.monotonic() - started)
    return code


def _told(skipped: Sequence[Any], sessions: Sequence[Any]) -> int:
    """Say what was skipped, with the names of files that the records leave out; return the exit code."""
    from hyperscan.pipeline import revealed

    rows = {(row.dyad, row.session, row.modality, row.task, row.run): row for row in sessions}
    for entry in skipped:
        row = rows.get((entry["dyad"], entry["session"], entry["modality"], entry["task"], entry["run"]))
        reason = entry["reason"] if row is None else revealed(entry["reason"], row)
        session = f" ses-{entry['session']:02d}" if isinstance(entry["session"], int) else ""
        _say(f"skipped {entry['dyad']}{session}: {reason}")
    return SOME_SKIPPED if skipped else OK


def _growth(arguments: argparse.Namespace) -> int:
    from hyperscan.config import StudyConfig
    from hyperscan.pipeline import growth_of

    given = {name: getattr(arguments, name) for name in _TABLE_OPTIONS if getattr(arguments, name) is not None}
    if not arguments.table.is_dir():
        result = _growth_of_table(arguments.table, given)
    elif given:
        options = ", ".join(map(_option, given))
        raise ConfigError(
            f"{arguments.table.name}: is the folder of a run, whose tables and settings are known; {options}: for a "
            "table alone.\nLeave them out, or name the table."
        )
    else:
        result = growth_of(arguments.table, StudyConfig.from_toml(arguments.table / "config.toml"))
    _show(result.summary())
    if arguments.output is not None:
        result.save(arguments.output)
    return OK


def _growth_of_table(path: Path, given: dict[str, Any]) -> Any:
    from hyperscan.growth import fit_growth
    from hyperscan.storage import read_table

    primary = {name: given.pop(name) for name in ("metric", "band", "roi", "task") if name in given}
    tables = {name: read_table(given.pop(name)) for name in ("guards", "quality") if name in given}
    table = read_table(path)
    try:
        return fit_growth(table, primary=primary or None, **tables, **given)
    except InputError as error:  # the function speaks of its arguments; here they are options
        said = re.sub(r"primary=\{'(\w+)': \.\.\.\}|\b(\w+)=(?=[,.;\s]|$)", lambda m: _option(m[1] or m[2]), str(error))
        raise TableError(f"{path.name}: {said}") from None


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _config(arguments: argparse.Namespace) -> int:
    from hyperscan.config import StudyConfig

    _show(StudyConfig().to_toml(comments=arguments.defaults))
    return OK


def _power(arguments: argparse.Namespace) -> int:
    from hyperscan.growth import Scatter, plan_power

    given = {name: getattr(arguments, name) for name in _SCATTER if getattr(arguments, name) is not None}
    result = plan_power(
        arguments.dyads,
        arguments.sessions,
        arguments.slope,
        missing=arguments.missing,
        dyads_per_therapist=arguments.dyads_per_therapist,
        scatter=Scatter(**given),
        target=arguments.target,
        n_sim=arguments.simulations,
        seed=arguments.seed,
    )
    _show(result.summary())
    return OK


def _report(arguments: argparse.Namespace) -> int:
    from hyperscan.report import build_report

    _show(str(build_report(arguments.output)))
    return OK


def _metrics(_: argparse.Namespace) -> int:
    from hyperscan.metrics import describe_metrics

    _show(describe_metrics())
    return OK


def _completion(arguments: argparse.Namespace) -> int:
    from hyperscan.completion import completion

    _show(completion(_parser(), arguments.shell))
    return OK


def _simulate(arguments: argparse.Namespace) -> int:
    from hyperscan.simulate import simulate_study

    changes = {"n_dyads": arguments.dyads, "n_sessions": arguments.sessions}
    given = {name: value for name, value in changes.items() if value is not None}
    path = simulate_study(arguments.dest, arguments.scenario, modality=arguments.modality, seed=arguments.seed, **given)
    _show(str(path / "dyads.tsv"))
    return OK


def _verdict(out: Path) -> str:
    import json

    growth = json.loads((out / "growth.json").read_text(encoding="utf-8"))
    return f"verdict: {growth['verdict']}\n{growth['sentence']}"


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hyperscan",
        description="Does inter-brain synchrony grow over the sessions of a therapy?",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hyperscan-mne {hyperscan.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name, (action, text, example, fill) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(action=action, parser=command)
        _add_verbosity(command)
        fill(command)
    return parser


def _add_verbosity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="warnings and errors only, no progress")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more")


def _study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder with dyads.tsv, or the table itself")
    parser.add_argument(
        "--config", type=Path, metavar="TOML", help="settings; default: STUDY/study.toml if it is there"
    )


def _fill_check(parser: argparse.ArgumentParser) -> None:
    _study(parser)
    parser.add_argument("--privacy", action="store_true", help="list what the inputs hold about people, and where")


def _fill_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with recordings, BIDS or not")


def _fill_run(parser: argparse.ArgumentParser) -> None:
    _study(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--jobs", type=_count, default=1, metavar="N", help="worker processes (default 1)")
    parser.add_argument("--seed", type=_seed, help="seed of every random draw (default: as configured, 0)")
    parser.add_argument("--cluster", metavar="ADDRESS", help="Dask scheduler that does the work instead of --jobs")
    parser.add_argument("--private", action="store_true", help="results readable by their owner only (umask 077)")
    parser.add_argument("--dyad-label", nargs="+", metavar="D", help="prepare these dyads only, then stop")
    parser.add_argument("--dry-run", action="store_true", help="check only: say what would run, compute nothing")


#: Options of ``growth`` that say what a table holds: a run's folder knows it.
_TABLE_OPTIONS = {
    "value": ("COLUMN", "column of the outcome; default excess_z"),
    "time": ("COLUMN", "session, weeks or a numeric column; default session"),
    "dyad": ("COLUMN", "column of the dyad; default dyad"),
    "therapist": ("COLUMN", "column of the therapist, where one sees several dyads; default therapist if it is there"),
    "session": ("COLUMN", "column of the session number; default session"),
    "days": ("COLUMN", "column of the days since the first session, for --time weeks; default days"),
    "metric": ("NAME", "metric of the primary outcome, where the table holds several"),
    "band": ("NAME", "its band"),
    "roi": ("NAME", "its pair of regions, therapist's first, as all-all"),
    "task": ("NAME", "its task"),
    "modality": ("NAME", "eeg or fnirs, where the table holds both"),
    "signal": ("NAME", "hbo, hbr ..., where the table holds several"),
    "equivalence_slope": ("B", "smallest slope of interest, named in advance; default none"),
    "outcomes": ("COLUMN", "columns to relate to synchrony, as symptoms or alliance"),
    "guards": ("TSV", "guards.tsv, without which growth is at most unchecked"),
    "quality": ("TSV", "quality.tsv, likewise"),
    "seed": ("SEED", "seed of the random sign flips; default 0"),
}

_TABLE_TYPES: dict[str, Callable[[str], Any]] = {
    "seed": _seed,
    "equivalence_slope": float,
    "guards": Path,
    "quality": Path,
}


def _fill_growth(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=Path, metavar="OUT|TABLE", help="folder of a run, or any tidy TSV or CSV table")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder for growth.json and growth.tsv")
    group = parser.add_argument_group("what a table holds (a run's folder knows its own)")
    for name, (metavar, text) in _TABLE_OPTIONS.items():
        group.add_argument(
            _option(name), type=_TABLE_TYPES.get(name, str), nargs="+" if name == "outcomes" else None,
            metavar=metavar, help=text,
        )  # fmt: skip


def _fill_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--defaults", action="store_true", help="with a comment on every key")


#: How much synchrony is assumed to vary, in Fisher z; better taken from a pilot.
_SCATTER = {
    "intercept_sd": "SD between dyads at the first session (default 0.10)",
    "slope_sd": "SD between dyads' slopes (default 0.03)",
    "residual_sd": "SD within a dyad, from session to session (default 0.08)",
    "therapist_slope_sd": "SD between therapists' slopes (default 0)",
}


def _fill_power(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dyads", type=_count, nargs="+", required=True, metavar="N", help="number of dyads, one or several"
    )
    parser.add_argument(
        "--sessions", type=_count, nargs="+", required=True, metavar="N", help="sessions per dyad, one or several"
    )
    parser.add_argument("--slope", type=float, required=True, metavar="B", help="growth per session in Fisher z")
    parser.add_argument(
        "--dyads-per-therapist", type=_count, default=1, metavar="N",
        help="dyads that one therapist sees (default 1); above 1, growth has to hold over therapists, too",
    )  # fmt: skip
    parser.add_argument("--missing", type=float, default=0.0, metavar="SHARE", help="sessions missing (default 0)")
    for name, text in _SCATTER.items():
        parser.add_argument(_option(name), type=float, metavar="SD", help=text)
    parser.add_argument("--target", type=float, default=0.8, metavar="P", help="power wanted (default 0.8)")
    parser.add_argument("--simulations", type=_count, default=500, metavar="N", help="simulated studies (default 500)")
    parser.add_argument("--seed", type=_seed, default=0, help="seed (default 0)")


def _fill_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of a run")


def _fill_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), help="which shell")


def _fill_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to make")
    parser.add_argument(
        "--scenario", default="growth", help="growth, none, constant, snr_constant ... (default growth)"
    )
    parser.add_argument("--modality", choices=("eeg", "fnirs"), default="eeg")
    parser.add_argument("--dyads", type=_count, metavar="N", help="number of dyads (default 8)")
    parser.add_argument("--sessions", type=_count, metavar="N", help="sessions per dyad (default 5 EEG, 4 fNIRS)")
    parser.add_argument("--seed", type=_seed, default=0, help="seed (default 0)")


def _nothing_to_add(_: argparse.ArgumentParser) -> None:
    """Leave a command without arguments of its own."""


Fill = Callable[[argparse.ArgumentParser], None]

_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str, str, Fill]] = {
    "init": (_init, "draft dyads.tsv from what is in a folder", "hyperscan init my_study", _fill_init),
    "check": (
        _check,
        "say what would run and what not, without analysis",
        "hyperscan check my_study",
        _fill_check,
    ),
    "run": (_run, "analyse a study", "hyperscan run my_study -o results --jobs 2", _fill_run),
    "growth": (
        _growth,
        "the verdict of a run, or of any tidy table",
        "hyperscan growth results\n  hyperscan growth alliance.csv --dyad pair --value wai --therapist coach",
        _fill_growth,
    ),
    "config": (
        _config,
        "print the settings as study.toml",
        "hyperscan config --defaults > study.toml",
        _fill_config,
    ),
    "power": (
        _power,
        "how likely a study is to find growth",
        "hyperscan power --dyads 8 12 20 --sessions 8 --slope 0.03",
        _fill_power,
    ),
    "report": (_report, "build the report of a run again", "hyperscan report results", _fill_report),
    "metrics": (_metrics, "list every metric", "hyperscan metrics", _nothing_to_add),
    "simulate": (
        _simulate,
        "write a study with known truth",
        "hyperscan simulate demo --scenario growth",
        _fill_simulate,
    ),
    "completion": (
        _completion,
        "print a script that completes this command in a shell",
        "hyperscan completion bash > ~/.local/share/bash-completion/completions/hyperscan",
        _fill_completion,
    ),
}


def _bids_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hyperscan-bids",
        description="hyperscan as a BIDS App",
        epilog=f"example:\n  hyperscan-bids my_bids results participant --participant-label 01 02\n"
        f"  hyperscan-bids my_bids results group\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bids_dir", type=Path, help="BIDS dataset with a dyads.tsv at its root")
    parser.add_argument("output", type=Path, metavar="output_dir", help="folder for the results")
    parser.add_argument("level", choices=("participant", "group"), help="prepare sessions, or finish the study")
    parser.add_argument("--participant-label", nargs="+", metavar="LABEL", help="people whose sessions to prepare")
    parser.add_argument("--session-label", nargs="+", metavar="LABEL", help="sessions to prepare")
    parser.set_defaults(action=_bids)
    _add_verbosity(parser)
    return parser


def _bids(arguments: argparse.Namespace) -> int:
    from hyperscan.pipeline import load_study, prepare_study, run_study

    table, config = load_study(arguments.bids_dir, config=None, seed=None)
    if arguments.level == "participant":
        people = {label.removeprefix("sub-") for label in arguments.participant_label or ()}
        numbers = {label.removeprefix("ses-") for label in arguments.session_label or ()}
        rows = [
            row
            for row in table.sessions
            if (not people or people & {row.therapist, row.client}) and (not numbers or str(row.session) in numbers)
        ]
        skipped = prepare_study(table.sessions, config, out=arguments.output, only=[row.key for row in rows])
        return _told(skipped, table.sessions)
    result = run_study(table.sessions, config, out=arguments.output, rejected=table.rejected)
    code = _told(result.skipped, table.sessions)
    _show(_verdict(arguments.output))
    return code
