"""The command line: parse, call one public function, give an exit code. No science.

Standard output holds the result, standard error the log and the progress.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hyperscan.cli import commands
from hyperscan.cli.commands import OK
from hyperscan.cli.parsers import parser_of_all, parser_of_bids
from hyperscan.cli.terminal import Stopped, discard_output, own_process, say
from hyperscan.errors import HyperscanError, OutputWriteError

__all__ = ["bids_main", "main"]

BUG = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``hyperscan`` command."""
    return _call(parser_of_all(), argv)


def bids_main(argv: Sequence[str] | None = None) -> int:
    """Run the ``hyperscan-bids`` command: the same job behind the usual door of a BIDS App."""
    return _call(parser_of_bids(), argv)


def _call(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    arguments = parser.parse_args(argv)
    try:
        with own_process(arguments):
            code = int(arguments.action(arguments))
            sys.stdout.flush()
        return code
    except HyperscanError as error:
        say(f"hyperscan: {error}")
        return error.exit_code
    except MemoryError:
        say("hyperscan: memory ran out. Use fewer --jobs, or a machine with more memory.")
        return BUG
    except BrokenPipeError:
        discard_output()
        return OK
    except (PermissionError, OSError) as error:
        name = Path(str(error.filename)).name if error.filename else "a file"
        say(f"hyperscan: {name}: {error.strerror or type(error).__name__}. Check the disk and its permissions.")
        return OutputWriteError.exit_code
    except Stopped as stopped:
        going_on = arguments.action in commands.GOING_ON
        kept = "; finished sessions are kept, the same command goes on from there" if going_on else ""
        say(f"hyperscan: interrupted{kept}.")
        return 128 + stopped.number
