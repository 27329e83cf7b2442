"""What the command says, and how it is stopped."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import warnings
from types import FrameType

logger = logging.getLogger("hyperscan")


class Stopped(BaseException):
    """A signal asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def stop(number: int, _: FrameType | None) -> None:
    """Handle a signal: tidy up, once."""
    for each in (signal.SIGINT, signal.SIGTERM):  # once is enough: a second one must not cut the tidying short
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


def say(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")


def show(text: str) -> None:
    """Write a result to standard output."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def start_log(arguments: argparse.Namespace) -> None:
    """Send log and warnings to standard error, as much as was asked for."""
    level = logging.WARNING if arguments.quiet else logging.DEBUG if arguments.verbose else logging.INFO
    # libraries stay at warnings: what they debug (fonts, locators) says nothing about a study
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.captureWarnings(True)
    warnings.showwarning = lambda message, *_, **__: logger.warning("warning: %s", message)
    logger.setLevel(level)
