"""Where the readers of other libraries are called: their exceptions and warnings end here."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hyperscan.errors import DataQualityWarning, HyperscanError, ReadError

#: What readers warn of, in words without header text: pattern, whether the number gets weaker, our words (''
#: = of no
#: concern). The first that fits counts.
_KNOWN: tuple[tuple[str, bool, str], ...] = (
    ("naming conventions|categories.xml|single dat file|was expected in the specified path", False, ""),
    ("only contains 2D location", False, "optode positions are two-dimensional"),
    ("boundary", False, "holds discontinuities, kept as annotations"),
    ("[Nn]umber of records", True, "its header announces another number of records than it holds"),
    ("jitter", True, "its sampling intervals are uneven"),
    ("Limited .*annotation", False, "annotations that reach beyond the data were cut"),
    ("annotation.*(outside|expanding)", True, "annotations lie outside the data and were cut"),
    ("not unique|duplicate", True, "channel names stood there twice and got running numbers"),
    ("physical range|Physical range|scaling", True, "the physical range of a channel is not defined"),
    (
        "[Cc]utoff|highpass|lowpass|filter|software filter",
        False,
        "online filters differ between channels or are not stated",
    ),
    ("[Ii]mpedance", False, "impedances could not be read"),
    ("[Cc]oordinate|position|[Mm]ontage|digitiz|landmark|[Ff]iducial", False, "sensor positions are incomplete"),
    ("meas_date|[Mm]easurement date|date", False, "its recording date cannot be used"),
    ("subject|birth|sex|hand", False, ""),
    ("stim channel|trigger|event", False, "its trigger channel holds unusual codes"),
    ("unit|Unit", True, "the unit of a channel is not known"),
)


@dataclass
class Heard:
    """What a reader warned of."""

    #: In our words, free of header text
    notes: list[str] = field(default_factory=list)
    #: Those notes that make numbers weaker
    weak: list[str] = field(default_factory=list)

    def warn(self, name: str) -> None:
        """Issue the weak ones as warnings."""
        for note in self.weak:
            warnings.warn(f"{name}: {note}. Check the file or export it anew.", DataQualityWarning, stacklevel=2)


@contextlib.contextmanager
def library(name: str, what: str, remedy: str = "Copy it again, or export it anew.") -> Iterator[Heard]:
    """Call a reader of another library: any exception becomes one of ours, warnings are kept as notes."""
    heard = Heard()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield heard
        except HyperscanError:
            raise
        except MemoryError as error:
            raise ReadError(
                f"{name}: does not fit into memory. Use a machine with more, or export it in parts."
            ) from error
        except ImportError as error:
            raise ReadError(_needs_package(name, what, error.name or "?")) from error
        except Exception as error:
            # MNE's way of saying that a package of its own is missing
            lacking = re.search(r"the module (\w+)\S* is needed", str(error))
            if lacking:
                raise ReadError(_needs_package(name, what, lacking[1])) from error
            raise ReadError(
                f"{name}: cannot be read as {what} ({type(error).__name__}): it is damaged or incomplete. {remedy}"
            ) from error
    for item in caught:
        _sort(item, heard)


def _needs_package(name: str, what: str, package: str) -> str:
    return f"{name}: reading {what} needs the Python package {package!r}. Install it, or export the file as FIF."


def _sort(item: warnings.WarningMessage, heard: Heard) -> None:
    if issubclass(item.category, DataQualityWarning):
        heard.weak.append(str(item.message))
        return
    # about code, not about data
    if issubclass(item.category, DeprecationWarning | FutureWarning | PendingDeprecationWarning | ResourceWarning):
        return
    text = str(item.message)
    unknown = (True, f"the reader warned of something ({item.category.__name__})")
    weak, words = next((known[1:] for known in _KNOWN if re.search(known[0], text)), unknown)
    if words and words not in heard.notes:
        heard.notes.append(words)
        if weak:
            heard.weak.append(words)


def check_memory(n_values: int, name: str) -> None:
    """Refuse what cannot be held, before memory is asked for."""
    need, have = 8 * n_values, _available_bytes()
    if n_values < 0 or need > have:
        raise ReadError(
            f"{name}: its header announces {need / 1e9:.1f} GB of samples, but {have / 1e9:.1f} GB of memory "
            "are free. "
            "The header is damaged, or a larger machine is needed: check the file, or export it in parts."
        )


def _available_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 64 * 2**30  # Windows tells neither way; our choice
