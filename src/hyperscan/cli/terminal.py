"""What the command says, and how it is stopped."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

from hyperscan.pipeline.process import kept_memory

logger = logging.getLogger("hyperscan")


#: Signals that end a command in good order.
STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def stop(number: int, _: FrameType | None) -> None:
    """Handle a signal: tidy up, once."""
    for each in STOPPING:
        if signal.getsignal(each) is stop:  # once is enough: a second one must not cut the tidying short
            signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


#: What a terminal takes for an order, by which text is shown in another order than it has, or what is no character.
_ORDERS = re.compile(r"[^\n\t -~\xa0-\U0010ffff]|[\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def inert(text: str) -> str:
    r"""Show characters that would steer the terminal: names come from files that others may have made.

    Examples
    --------
    >>> print(inert("band \x1b]0;alpha\x07, naïve"))
    band \x1b]0;alpha\x07, naïve
    """
    return _ORDERS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class _Inert(logging.Formatter):
    """Lines of the log as :func:`inert` shows them."""

    def format(self, record: logging.LogRecord) -> str:
        """Make one line."""
        return inert(super().format(record))


def say(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(inert(text) + "\n")


def show(text: str) -> None:
    """Write a result to standard output."""
    sys.stdout.write(inert(text if text.endswith("\n") else text + "\n"))


def discard_output() -> None:
    """Throw away what standard output still holds for a reader that has gone."""
    number = sys.stdout.fileno()
    pipe = os.dup(number)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no file
            os.dup2(nowhere.fileno(), number)
        sys.stdout.flush()
    finally:
        os.dup2(pipe, number)
        os.close(pipe)


@contextlib.contextmanager
def own_process(arguments: argparse.Namespace) -> Iterator[None]:
    """Set signals, log, warnings, file mask and memory for one command, and put back the caller's own."""
    logs = (logging.getLogger(), logger)
    levels = [log.level for log in logs]
    handlers: list[logging.Handler] = []
    former: dict[signal.Signals, Any] = {}
    with warnings.catch_warnings(), kept_memory():
        mask = os.umask(0o077) if getattr(arguments, "private", False) else None
        try:
            if threading.current_thread() is threading.main_thread():  # nowhere else can signals be handled
                for each in STOPPING:
                    if signal.getsignal(each) is not None:  # else Python did not set it, and could not put it back
                        former[each] = signal.getsignal(each)
                        signal.signal(each, stop)
            if not logs[0].handlers:
                # libraries stay at warnings: what they debug (fonts, locators) says nothing about a study
                handlers = [logging.StreamHandler(sys.stderr)]
                handlers[0].setFormatter(_Inert())
                logs[0].addHandler(handlers[0])
                logs[0].setLevel(logging.WARNING)
            logger.setLevel(
                logging.WARNING if arguments.quiet else logging.DEBUG if arguments.verbose else logging.INFO
            )
            warnings.showwarning = lambda message, *_, **__: logger.warning("warning: %s", message)
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)
            for added in handlers:
                logs[0].removeHandler(added)
            if mask is not None:
                os.umask(mask)
