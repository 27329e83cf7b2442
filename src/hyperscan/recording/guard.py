"""Guard around readers of other libraries: their exceptions and warnings end here, and no header fills the memory."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hyperscan.errors import DataQualityWarning, HyperscanError, ReadError


class _Warning(NamedTuple):
    """A warning that readers give."""

    pattern: str
    #: Whether the number gets weaker
    is_weak: bool
    #: Our words, without header text; empty if it is of no concern
    words: str


#: What readers warn of; the first that fits counts.
_KNOWN: tuple[_Warning, ...] = (
    _Warning("naming conventions|categories.xml|single dat file|was expected in the specified path", False, ""),
    _Warning("only contains 2D location", False, "optode positions are two-dimensional"),
    _Warning("boundary", False, "holds discontinuities, kept as annotations"),
    _Warning("[Nn]umber of records", True, "its header announces another number of records than it holds"),
    _Warning("jitter", True, "its sampling intervals are uneven"),
    _Warning("Limited .*annotation", False, "annotations that reach beyond the data were cut"),
    _Warning("annotation.*(outside|expanding)", True, "annotations lie outside the data and were cut"),
    _Warning("not unique|duplicate", True, "channel names stood there twice and got running numbers"),
    _Warning("physical range|Physical range|scaling", True, "the physical range of a channel is not defined"),
    _Warning(
        "[Cc]utoff|highpass|lowpass|filter|software filter",
        False,
        "online filters differ between channels or are not stated",
    ),
    _Warning("[Ii]mpedance", False, "impedances could not be read"),
    _Warning(
        "[Cc]oordinate|position|[Mm]ontage|digitiz|landmark|[Ff]iducial", False, "sensor positions are incomplete"
    ),
    _Warning("meas_date|[Mm]easurement date|date", False, "its recording date cannot be used"),
    _Warning("subject|birth|sex|hand", False, ""),
    _Warning("stim channel|trigger|event", False, "its trigger channel holds unusual codes"),
    _Warning("unit|Unit", True, "the unit of a channel is not known"),
)
#: Warnings about code, not about data.
_ABOUT_CODE = (DeprecationWarning, FutureWarning, PendingDeprecationWarning, ResourceWarning)


@dataclass
class ReaderNotes:
    """What a reader warned of."""

    #: In our words, free of header text
    notes: list[str] = field(default_factory=list)
    #: Those notes that make numbers weaker
    weak: list[str] = field(default_factory=list)

    def add(self, item: warnings.WarningMessage) -> None:
        """Take up one warning."""
        text = str(item.message)
        if issubclass(item.category, DataQualityWarning):
            self.weak.append(text)
        elif not issubclass(item.category, _ABOUT_CODE):
            unknown = _Warning("", True, f"the reader warned of something ({item.category.__name__})")
            known = next((known for known in _KNOWN if re.search(known.pattern, text)), unknown)
            if known.words and known.words not in self.notes:
                self.notes.append(known.words)
                self.weak += [known.words] * known.is_weak

    def warn(self, name: str) -> None:
        """Issue the weak ones as warnings."""
        for note in self.weak:
            warnings.warn(f"{name}: {note}. Check the file or export it anew.", DataQualityWarning, stacklevel=2)


@contextlib.contextmanager
def guarded(name: str, what: str, remedy: str = "Copy it again, or export it anew.") -> Iterator[ReaderNotes]:
    """Turn any exception of a reader into one of ours, and keep its warnings as notes."""
    heard = ReaderNotes()
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
        except Exception as error:
            # MNE's way of saying that a package of its own is missing
            needed = re.search(r"the module (\w+)\S* is needed", str(error))
            lacking = (error.name or "?") if isinstance(error, ImportError) else needed and needed[1]
            if lacking:
                raise ReadError(
                    f"{name}: reading {what} needs the Python package {lacking!r}. Install it, or export the file as "
                    "FIF."
                ) from error
            raise ReadError(
                f"{name}: cannot be read as {what} ({type(error).__name__}): it is damaged or incomplete. {remedy}"
            ) from error
    for item in caught:
        heard.add(item)


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
