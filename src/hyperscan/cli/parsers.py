"""Which commands there are, and their options."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hyperscan
from hyperscan.cli import commands
from hyperscan.cli.options import SCATTER, TABLE_OPTIONS, TABLE_TYPES, count, option, seed
from hyperscan.errors import did_you_mean

#: What the exit codes mean; the first line of every help page names them.
EXIT_CODES = """exit codes: 0 ok; 1 bug; 2 usage or configuration; 3 finished, some sessions were skipped;
4 nothing analysable; 5 output locked; 6 disk or permission; 130 or 143 interrupted"""


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


def parser_of_all() -> argparse.ArgumentParser:
    """Make the parser of ``hyperscan``."""
    parser = _Parser(
        prog="hyperscan",
        description="Does inter-brain synchrony grow over the sessions of a therapy?",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hyperscan-mne {hyperscan.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name, (action, text, example, fill) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(action=action, parser=command, root=parser)
        _add_verbosity(command)
        fill(command)
    return parser


def _add_verbosity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="warnings and errors only, no progress")
    parser.add_argument("-v", "--verbose", action="store_true", help="name every step as it is done")


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
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="worker processes (default 1)")
    parser.add_argument("--seed", type=seed, help="seed of every random draw (default: as configured, 0)")
    parser.add_argument("--cluster", metavar="ADDRESS", help="Dask scheduler that does the work instead of --jobs")
    parser.add_argument("--private", action="store_true", help="results readable by their owner only (umask 077)")
    parser.add_argument("--dyad-label", nargs="+", metavar="D", help="prepare these dyads only, then stop")
    parser.add_argument("--dry-run", action="store_true", help="check only: say what would run, compute nothing")


def _fill_growth(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=Path, metavar="OUT|TABLE", help="folder of a run, or any tidy TSV or CSV table")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder for growth.json and growth.tsv")
    group = parser.add_argument_group("what a table holds (a run's folder knows its own)")
    for name, (metavar, text) in TABLE_OPTIONS.items():
        group.add_argument(
            option(name), type=TABLE_TYPES.get(name, str), nargs="+" if name == "outcomes" else None,
            metavar=metavar, help=text,
        )  # fmt: skip


def _fill_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--defaults", action="store_true", help="with a comment on every key")


def _fill_power(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dyads", type=count, nargs="+", required=True, metavar="N", help="number of dyads, one or several"
    )
    parser.add_argument(
        "--sessions", type=count, nargs="+", required=True, metavar="N", help="sessions per dyad, one or several"
    )
    parser.add_argument(
        "--slope", type=float, required=True, metavar="B", help="growth per session in Fisher z, 0 or more"
    )
    parser.add_argument(
        "--dyads-per-therapist", type=count, default=1, metavar="N",
        help="dyads that one therapist sees (default 1); above 1, growth has to hold over therapists, too",
    )  # fmt: skip
    parser.add_argument("--missing", type=float, default=0.0, metavar="SHARE", help="sessions missing (default 0)")
    for name, text in SCATTER.items():
        parser.add_argument(option(name), type=float, metavar="SD", help=text)
    parser.add_argument("--target", type=float, default=0.8, metavar="P", help="power wanted (default 0.8)")
    parser.add_argument("--simulations", type=count, default=500, metavar="N", help="simulated studies (default 500)")
    parser.add_argument("--seed", type=seed, default=0, help="seed (default 0)")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw power over dyads: .png, .svg or .pdf")


def _fill_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of a run")


def _fill_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), help="which shell")


def _fill_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to make")
    parser.add_argument(
        "--scenario",
        default="growth",
        help="what changes over the sessions: growth, none, constant, missing, shared_task ...; a wrong name lists all "
        "(default growth)",
    )
    parser.add_argument("--modality", choices=("eeg", "fnirs"), default="eeg")
    parser.add_argument("--dyads", type=count, metavar="N", help="number of dyads (default 8)")
    parser.add_argument("--sessions", type=count, metavar="N", help="sessions per dyad (default 5 EEG, 4 fNIRS)")
    parser.add_argument("--seed", type=seed, default=0, help="seed (default 0)")


def _nothing_to_add(_: argparse.ArgumentParser) -> None:
    """Leave a command without arguments of its own."""


Fill = Callable[[argparse.ArgumentParser], None]

COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str, str, Fill]] = {
    "init": (commands.init, "draft dyads.tsv from what is in a folder", "hyperscan init my_study", _fill_init),
    "check": (
        commands.check,
        "say what would run and what not, without analysis",
        "hyperscan check my_study",
        _fill_check,
    ),
    "run": (commands.run, "analyse a study", "hyperscan run my_study -o results --jobs 2", _fill_run),
    "growth": (
        commands.growth,
        "the verdict of a run, or of any tidy table",
        "hyperscan growth results\n  hyperscan growth alliance.csv --dyad pair --value wai --therapist coach",
        _fill_growth,
    ),
    "config": (
        commands.config,
        "print the settings as study.toml",
        "hyperscan config --defaults > study.toml",
        _fill_config,
    ),
    "power": (
        commands.power,
        "how likely a study is to find growth",
        "hyperscan power --dyads 8 12 20 --sessions 8 --slope 0.03",
        _fill_power,
    ),
    "report": (commands.report, "build the report of a run again", "hyperscan report results", _fill_report),
    "metrics": (commands.metrics, "list every metric", "hyperscan metrics", _nothing_to_add),
    "simulate": (
        commands.simulate,
        "write a study with known truth",
        "hyperscan simulate demo --scenario growth",
        _fill_simulate,
    ),
    "completion": (
        commands.completion,
        "print a script that completes this command in a shell",
        "hyperscan completion bash > ~/.local/share/bash-completion/completions/hyperscan",
        _fill_completion,
    ),
}


def parser_of_bids() -> argparse.ArgumentParser:
    """Make the parser of ``hyperscan-bids``."""
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
    parser.set_defaults(action=commands.bids)
    _add_verbosity(parser)
    return parser
