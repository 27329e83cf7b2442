"""Which commands there are, and their options."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import hyperscan
from hyperscan.cli import commands
from hyperscan.cli.options import SCATTER, SEVERAL, TABLE_OPTIONS, TABLE_TYPES, option, read_count, read_seed
from hyperscan.errors import did_you_mean
from hyperscan.schema import CLOCKS, MODALITIES, RELATIONS, ROLES

#: What the exit codes mean; the first line of every help page names them.
EXIT_CODES = """exit codes: 0 ok; 1 bug; 2 usage or configuration; 3 finished, some sessions were skipped or (init)
cells are empty; 4 nothing analysable; 5 output locked; 6 disk or permission; 130 or 143 interrupted"""


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


class Argument:
    """One argument of a command, kept until there is a parser to add it to."""

    def __init__(self, *flags: str, group: str = "", **told: Any) -> None:
        self.flags, self.group, self.told = flags, group, told


class Command(NamedTuple):
    """One command: what it does, and what its help page says."""

    #: Does the work and gives the exit code
    action: Callable[[argparse.Namespace], int]
    #: Sentence of the help page
    summary: str
    #: Command lines that work
    example: str
    arguments: tuple[Argument, ...] = ()


STUDY_ARGUMENTS = (
    Argument("study", type=Path, metavar="STUDY", help="folder with dyads.tsv, or the table itself"),
    Argument("--config", type=Path, metavar="TOML", help="settings; default: STUDY/study.toml if it is there"),
)
SEED = Argument("--seed", type=read_seed, default=0, help="seed (default 0)")
PRIVATE = Argument("--private", action="store_true", help="results readable by their owner only (umask 077)")
RUNNING = (
    Argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results"),
    Argument("--jobs", type=read_count, default=1, metavar="N", help="worker processes (default 1)"),
    Argument("--seed", type=read_seed, help="seed of every random draw (default: as configured, 0)"),
    Argument("--cluster", metavar="ADDRESS", help="Dask scheduler that does the work instead of --jobs"),
    PRIVATE,
)
VERBOSITY = (
    Argument("-q", "--quiet", action="store_true", help="warnings and errors only, no progress"),
    Argument("-v", "--verbose", action="store_true", help="name every step as it is done"),
)

COMMANDS = {
    "init": Command(
        commands.init,
        "draft dyads.tsv from what is in a folder",
        "hyperscan init my_study\n  hyperscan init my_study --therapist F --therapist-id each --clock triggers",
        (
            Argument("folder", type=Path, metavar="FOLDER", help="folder with recordings, BIDS or not"),
            *(
                Argument(
                    f"--{role}",
                    nargs="+",
                    default=(),
                    metavar="WORD",
                    help=f"words of file names, sub- labels or channel names that are the {role}'s",
                )
                for role in ROLES
            ),
            Argument(
                "--therapist-id",
                default="",
                metavar="ID",
                help="the one therapist of all dyads; 'each': another one in every dyad (T01 in dyad 01)",
            ),
            Argument("--clock", choices=CLOCKS[:-1], default="", help="how the two recordings of a dyad share a clock"),
            Argument("--modality", choices=MODALITIES, default="", help="where the file names do not tell"),
        ),
    ),
    "check": Command(
        commands.check,
        "say what would run and what not, without analysis",
        "hyperscan check my_study\n  hyperscan check my_study --prepare results --jobs 2",
        (
            *STUDY_ARGUMENTS,
            Argument("--quick", action="store_true", help="table, settings, headers and clocks alone (the default)"),
            Argument(
                "--prepare",
                nargs="?",
                const=True,
                type=Path,
                metavar="OUT",
                help="filter and judge every session too, and keep that for run -o OUT where it is named",
            ),
            Argument("--jobs", type=read_count, default=1, metavar="N", help="worker processes (default 1)"),
            PRIVATE,
            Argument("--privacy", action="store_true", help="list what the inputs hold about people, and where"),
        ),
    ),
    "run": Command(
        commands.run,
        "analyse a study",
        "hyperscan run my_study -o results --jobs 2",
        (
            *STUDY_ARGUMENTS,
            *RUNNING,
            Argument("--dyad-label", nargs="+", metavar="D", help="prepare these dyads only, then stop"),
            Argument("--dry-run", action="store_true", help="check only: say what would run, compute nothing"),
        ),
    ),
    "multiverse": Command(
        commands.multiverse,
        "whether growth survives every defensible choice",
        "hyperscan multiverse my_study -o choices --jobs 2",
        (*STUDY_ARGUMENTS, *RUNNING),
    ),
    "growth": Command(
        commands.growth,
        "the verdict of a run, or of any tidy table",
        "hyperscan growth results\n  hyperscan growth alliance.csv --dyad pair --value wai --therapist coach",
        (
            Argument("table", type=Path, metavar="OUT|TABLE", help="folder of a run, or any tidy TSV or CSV table"),
            Argument("-o", "--output", type=Path, metavar="OUT", help="folder for growth.json and growth.tsv"),
            Argument(
                "--within",
                metavar="INDEX",
                help="of a run's folder: an index of each person alone instead, as power/alpha/frontal (within.tsv)",
            ),
            *(
                Argument(
                    option(name),
                    group="what a table holds (a run's folder knows its own)",
                    type=TABLE_TYPES.get(name, str),
                    nargs="+" if name in SEVERAL else None,
                    metavar=metavar,
                    help=text,
                )
                for name, (metavar, text) in TABLE_OPTIONS.items()
            ),
        ),
    ),
    "config": Command(
        commands.config,
        "print the settings as study.toml",
        "hyperscan config --defaults > study.toml",
        (Argument("--defaults", action="store_true", help="with a comment on every key"),),
    ),
    "power": Command(
        commands.power,
        "how likely a study is to find growth",
        "hyperscan power --dyads 8 12 20 --sessions 8 --slope 0.03",
        (
            Argument(
                "--dyads",
                type=read_count,
                nargs="+",
                required=True,
                metavar="N",
                help="number of dyads, one or several",
            ),
            Argument(
                "--sessions",
                type=read_count,
                nargs="+",
                required=True,
                metavar="N",
                help="sessions per dyad, one or several",
            ),
            Argument(
                "--slope",
                type=float,
                required=True,
                metavar="B",
                help="growth per session in Fisher z, 0 or more; with --relation in standard deviations, below 1",
            ),
            Argument(
                "--relation",
                choices=RELATIONS,
                default="",
                help="power to show that an outcome (symptoms, alliance) goes with synchrony, instead of growth",
            ),
            Argument(
                "--dyads-per-therapist",
                type=read_count,
                default=1,
                metavar="N",
                help="dyads that one therapist sees (default 1); above 1, growth has to hold over therapists, too",
            ),
            Argument(
                "--groups",
                type=read_count,
                default=1,
                metavar="N",
                help="2: power for a difference of growth (--slope) between two groups of dyads, half of them each",
            ),
            Argument("--missing", type=float, default=0.0, metavar="SHARE", help="sessions missing (default 0)"),
            *(Argument(option(name), type=float, metavar="SD", help=text) for name, text in SCATTER.items()),
            Argument("--target", type=float, default=0.8, metavar="P", help="power wanted (default 0.8)"),
            Argument(
                "--simulations", type=read_count, default=500, metavar="N", help="simulated studies (default 500)"
            ),
            SEED,
            Argument("--figure", type=Path, metavar="FILE", help="draw power over dyads: .png, .svg or .pdf"),
        ),
    ),
    "report": Command(
        commands.report,
        "build the report of a run again",
        "hyperscan report results --jobs 2",
        (
            Argument("output", type=Path, metavar="OUT", help="folder of a run"),
            Argument("--jobs", type=read_count, default=1, metavar="N", help="workers that draw (default 1)"),
        ),
    ),
    "view": Command(
        commands.view,
        "write one page to look around in a run's results",
        "hyperscan view results",
        (Argument("output", type=Path, metavar="OUT", help="folder that run wrote; the page is OUT/view.html"),),
    ),
    "metrics": Command(commands.metrics, "list every metric", "hyperscan metrics"),
    "simulate": Command(
        commands.simulate,
        "write a study with known truth",
        "hyperscan simulate demo --scenario growth",
        (
            Argument("dest", type=Path, metavar="DEST", help="folder to make"),
            Argument(
                "--scenario",
                default="growth",
                help="what changes over the sessions: growth, none, constant, missing, shared_task ...; a wrong name "
                "lists all (default growth)",
            ),
            Argument("--modality", choices=("eeg", "fnirs"), default="eeg"),
            Argument("--dyads", type=read_count, metavar="N", help="number of dyads (default 8)"),
            Argument("--sessions", type=read_count, metavar="N", help="sessions per dyad (default 5 EEG, 4 fNIRS)"),
            SEED,
        ),
    ),
    "completion": Command(
        commands.completion,
        "print a script that completes this command in a shell",
        "hyperscan completion bash > ~/.local/share/bash-completion/completions/hyperscan",
        (
            Argument("shell", choices=("bash", "zsh"), help="which shell"),
            Argument(
                "--program",
                choices=("hyperscan", "hyperscan-bids"),
                default="hyperscan",
                help="which program (default hyperscan)",
            ),
        ),
    ),
}

BIDS_ARGUMENTS = (
    Argument("bids_dir", type=Path, help="BIDS dataset with a dyads.tsv at its root"),
    Argument("output", type=Path, metavar="output_dir", help="folder for the results"),
    Argument("level", choices=("participant", "group"), help="prepare sessions, or finish the study"),
    Argument("--participant-label", nargs="+", metavar="LABEL", help="people whose sessions to prepare"),
    Argument("--session-label", nargs="+", metavar="LABEL", help="sessions to prepare"),
)


def add_arguments(parser: argparse.ArgumentParser, arguments: Sequence[Argument]) -> None:
    """Add arguments to a parser, each to the group that it names."""
    groups = {"": parser, **{title: parser.add_argument_group(title) for title in {a.group for a in arguments} - {""}}}
    for argument in arguments:
        groups[argument.group].add_argument(*argument.flags, **argument.told)


def parser_of_all() -> argparse.ArgumentParser:
    """Make the parser of ``hyperscan``."""
    parser = _Parser(
        prog="hyperscan",
        description="Does inter-brain synchrony grow over the sessions of a therapy?",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hyperscan-mne {hyperscan.__version__}")
    each = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name, command in COMMANDS.items():
        page = each.add_parser(
            name,
            help=command.summary,
            description=command.summary,
            epilog=f"example:\n  {command.example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        page.set_defaults(action=command.action, parser=page, parsers=PROGRAMS)
        add_arguments(page, (*VERBOSITY, *command.arguments))
    return parser


def parser_of_bids() -> argparse.ArgumentParser:
    """Make the parser of ``hyperscan-bids``."""
    parser = _Parser(
        prog="hyperscan-bids",
        description="hyperscan as a BIDS App",
        epilog=f"example:\n  hyperscan-bids my_bids results participant --participant-label 01 02\n"
        f"  hyperscan-bids my_bids results group\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(action=commands.bids)
    add_arguments(parser, (*BIDS_ARGUMENTS, *VERBOSITY))
    return parser


#: The parser of each program.
PROGRAMS = {"hyperscan": parser_of_all, "hyperscan-bids": parser_of_bids}
