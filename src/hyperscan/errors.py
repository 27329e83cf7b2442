"""Everything the package raises or warns of on purpose.

::

    HyperscanError
    ├── InputError (also a ValueError)    an argument or array that cannot be used
    │   ├── ConfigError                   study.toml or StudyConfig
    │   └── TableError                    dyads.tsv or another table
    ├── SessionError                      one dyad-session cannot be used; the others go on
    │   ├── ReadError                     a file is missing, damaged or of an unknown format
    │   │   └── MachineError              the machine failed while it was read: tried again by the next run
    │   ├── ClockError                    two recordings cannot be put on one clock
    │   └── QualityError                  too little clean signal is left
    ├── ClusterError                      the scheduler ended, or a worker is not like this run
    ├── NothingToAnalyseError             no dyad-session at all can be used
    └── OutputError                       the output folder cannot be used as it is
        ├── OutputLockedError             another run is writing there
        └── OutputWriteError              disk full or permission denied

    DataQualityWarning (a UserWarning)    the number is weaker than it looks

A message says what argument or file, what was found, what is allowed and what to do, in at most three
lines. Files are named relative to the study folder.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping, Sequence


class HyperscanError(Exception):
    """Base class: anything wrong that the user can mend."""

    exit_code = 2


class InputError(HyperscanError, ValueError):
    """An argument or array that cannot be used."""


class ConfigError(InputError):
    """A key or value of the configuration that cannot be used."""


class TableError(InputError):
    """A table with the wrong columns or contents; ``problems`` lists every fault found."""

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class SessionError(HyperscanError):
    """One dyad-session cannot be used; the run skips it and goes on."""

    exit_code = 3


class ReadError(SessionError):
    """A recording is missing, damaged, or in a format that cannot be read."""


class MachineError(ReadError):
    """Disk, memory or network failed while a recording was read; the file may be sound."""


class ClockError(SessionError):
    """Two recordings cannot be put on one clock."""


class QualityError(SessionError):
    """Too little clean signal is left to compute a trustworthy number."""


class ClusterError(HyperscanError):
    """The scheduler ended, or a worker is not like this run."""


class NothingToAnalyseError(HyperscanError):
    """Not one dyad-session can be used."""

    exit_code = 4


class OutputError(HyperscanError):
    """The output folder cannot be used as it is."""


class OutputLockedError(OutputError):
    """Another run is writing to the output folder."""

    exit_code = 5


class OutputWriteError(OutputError):
    """The disk is full, or writing is not permitted."""

    exit_code = 6


class DataQualityWarning(UserWarning):
    """The number is computed, but weaker than it looks."""


#: What system errors say of the machine, whatever file was read, and what to do.
_FAULTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("the disk, or the folder of temporary files, is full", "Free some space and run again.", ("ENOSPC", "EDQUOT")),
    ("too many files are open", "Use fewer --jobs, or raise the limit (ulimit -n).", ("EMFILE", "ENFILE")),
    ("the disk or its connection failed", "Check the disk and run again.", ("EIO", "ENXIO", "ENODEV", "EREMOTEIO")),
    (
        "the network drive went away",
        "Connect it and run again.",
        ("ESTALE", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ECONNRESET", "ECONNABORTED"),
    ),
    ("memory ran out", "Use fewer --jobs, or a machine with more memory.", ("ENOMEM",)),
)
_BY_NUMBER = {
    getattr(errno, name): f"{what}. {remedy}"
    for what, remedy, names in _FAULTS
    for name in names
    if hasattr(errno, name)
}


def fault_of_machine(error: BaseException | None) -> str:
    """Say which fault of the machine an exception comes from, and what to do; empty if of none.

    Examples
    --------
    >>> fault_of_machine(OSError(errno.EMFILE, "Too many open files"))
    'too many files are open. Use fewer --jobs, or raise the limit (ulimit -n).'
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # HDF5 says it in its text
        told = re.search(r"\berrno\s*=?\s*(\d+)", str(error), re.IGNORECASE)
        number = getattr(error, "errno", None) or (int(told[1]) if told and isinstance(error, OSError) else None)
        if number in _BY_NUMBER:
            return _BY_NUMBER[number]
        error = error.__cause__ or error.__context__
    return ""


def count(n: int, noun: str, nouns: str = "") -> str:
    """Say how many there are, in words that agree with the number.

    Examples
    --------
    >>> count(1, "dyad"), count(8, "dyad"), count(2, "channel is", "channels are")
    ('1 dyad', '8 dyads', '2 channels are')
    """
    return f"{n} {noun if n == 1 else nouns or noun + 's'}"


def p_text(p: float | None) -> str:
    """Write a p-value as papers do.

    Examples
    --------
    >>> p_text(0.0312), p_text(1e-9), p_text(0.9996), p_text(None)
    ('p = .031', 'p < .001', 'p > .999', 'p not defined')
    """
    if p is None or p != p:
        return "p not defined"
    if p > 0.999:
        return "p > .999"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


#: What stands in the place of an interval, as of one dyad.
NO_INTERVAL = "no interval"


def interval_text(low: float, high: float) -> str:
    """Write a 95 % interval of a slope, or that there is none.

    Examples
    --------
    >>> interval_text(0.1, 0.25), interval_text(float("nan"), float("nan"))
    ('95 % CI +0.1 to +0.25', 'no interval')
    """
    return f"95 % CI {low:+.3g} to {high:+.3g}" if low == low and high == high else NO_INTERVAL


def signed(number: float) -> str:
    """Write a number of a sentence with its sign and three digits, and large ones in full, never as a power of ten.

    Examples
    --------
    >>> signed(0.15212), signed(-1380.0), signed(86.61)
    ('+0.152', '-1380', '+86.6')
    """
    return f"{number:+.0f}" if abs(number) >= 1000 else f"{number:+.3g}"


def name_some(names: Sequence[str], limit: int = 3) -> str:
    """Join names for a sentence: all, or, where two or more would be left, the first few and how many more.

    Examples
    --------
    >>> name_some(["D1", "D2"]), name_some(["D1", "D2", "D3", "D4", "D5"])
    ('D1, D2', 'D1, D2, D3 and 2 more')
    """
    return ", ".join(names) if len(names) <= limit + 1 else f"{', '.join(names[:limit])} and {len(names) - limit} more"


def tell_reasons(alike: Mapping[str, Sequence[str]]) -> list[str]:
    r"""Tell reasons (key) with the names that have them; a remedy on its own line that several share is told once.

    Examples
    --------
    >>> tell_reasons({"has 3 events.\nExport them.": ["D1"], "has 4 events.\nExport them.": ["D2"]})
    ['D1: has 3 events.', 'D2: has 4 events.\nAll 2: Export them.']
    """
    by_remedy: dict[str, list[str]] = {}
    for reason, names in alike.items():
        what, _, remedy = reason.partition("\n")
        by_remedy.setdefault(remedy, []).append(f"{name_some(names)}: {what}")
    for remedy, lines in by_remedy.items():
        if remedy:
            lines[-1] += f"\nAll {len(lines)}: {remedy}" if len(lines) > 1 else f"\n{remedy}"
    return [line for lines in by_remedy.values() for line in lines]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the closest known word, for the end of an error message.

    Examples
    --------
    >>> did_you_mean("alhpa", ["theta", "alpha"])
    " Did you mean 'alpha'?"
    """
    import difflib  # takes longer to import than all of the above, and few words are misspelt

    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
