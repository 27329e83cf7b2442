"""Guard around readers of other libraries: their exceptions and warnings end here, and no header fills the memory."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hyperscan.errors import DataQualityWarning, HyperscanError, MachineError, ReadError, fault_of_machine
from hyperscan.hdf5 import check_unpacked, gigabytes


class _Warning(NamedTuple):
    """A warning that readers give."""

    pattern: str
    #: Whether the number gets weaker
    is_weak: bool
    #: Our words, without header text; empty if it is of no concern
    words: str


#: What readers warn of; the first that fits counts, and what fits none is passed on in the reader's own words.
_KNOWN: tuple[_Warning, ...] = (
    # of no concern: names of files, whose head it was, what is looked at elsewhere
    _Warning("naming conventions|categories.xml|single dat file was expected", False, ""),
    _Warning(r"[Ii]nvalid patient|subject information|\b(birthday|birthdate|sex|handedness)\b", False, ""),
    _Warning("preload=False will result in edge|Reading digitizer points|Found (PNT|LOG) file", False, ""),
    _Warning("stim_channel='auto'", False, ""),
    # when samples were taken
    _Warning("incorrect for record length", True, "its header gives no length of its data records; 1 s was taken"),
    _Warning("mixed sampling frequencies|multiple sample rates", True, "its channels have several sampling rates"),
    _Warning("jitter", True, "its sampling intervals are uneven"),
    _Warning("(extract|Unable).*sampl(e|ing) rate", True, "its sampling rate is not told"),
    _Warning("[Ss]ample distance.*do not match|sfreq.*does not match", True, "it gives two sampling rates that differ"),
    _Warning("[Nn]umber of records", True, "its header announces another number of records than it holds"),
    _Warning(
        "Incorrect number of samples|sample count from header|not evenly divisible|DataPoints",
        True,
        "its header and its data differ in how many samples there are",
    ),
    _Warning("Could not define the number of bytes", True, "its header does not tell how many bits samples have"),
    _Warning("PSG sample bug|Acquisition skips", True, "samples are missing within it"),
    _Warning("only .*first .*(dataset|recording)|multiple recordings", True, "of several recordings one was read"),
    # what values mean
    _Warning("[Pp]hysical range|[Ss]caling factor", True, "the physical range of a channel is not defined"),
    _Warning("physical dimension|[Uu]nit .*not recognized|not scaling", True, "the unit of a channel is not known"),
    _Warning("not referenced to the same electrode", True, "channels were recorded against several references"),
    _Warning("Channel Infos", True, "its header describes more channels than it announces"),
    _Warning("not unique|duplicate", True, "channel names stood there twice and got running numbers"),
    _Warning("[Dd]efault channel names", True, "its channel names cannot be read and were numbered"),
    _Warning(
        "[Cc]utoff|(different|software|hardware).* filter|filter setting",
        False,
        "online filters differ between channels or are not stated",
    ),
    _Warning("[Ii]mpedance", False, "impedances could not be read"),
    # events
    _Warning("Limited .*annotation", False, "annotations that reach beyond the data were cut"),
    _Warning("annotation.*(outside|expanding)", True, "annotations lie outside the data and were cut"),
    _Warning("MarkerFile|No LOG file|no event annotations|any event code", True, "its events are missing"),
    _Warning("[Ee]vent (table|log)|event information", True, "its table of events contradicts its header"),
    _Warning("boundary", False, "holds discontinuities, kept as annotations"),
    _Warning("stim channel|trigger channel", False, "its trigger channel holds unusual codes"),
    # where and when
    _Warning("only contains 2D location", False, "optode positions are two-dimensional"),
    _Warning("head circumference", False, "its head circumference is not the usual one, so positions may be off"),
    _Warning(
        "[Cc]oordinate|channel locations|position information|[Mm]ontage|digitiz|landmark|[Ff]iducial"
        "|not have position|location omitted",
        False,
        "sensor positions are incomplete",
    ),
    _Warning("meas(urement)?[_ ]date", False, "its recording date cannot be used"),
    _Warning(
        "not been tested|thoroughly tested|not officially supported|unsupported, use with caution",
        False,
        "was written by a device or version that its reader was not tested with",
    ),
    _Warning("[Mm]etadata will be blank", False, "the file of what was recorded with it is missing"),
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
            known = next((known for known in _KNOWN if re.search(known.pattern, text)), None)
            known = known or _Warning("", True, f"the reader warned: {public_text(text) or item.category.__name__}")
            if known.words and known.words not in self.notes:
                self.notes.append(known.words)
                self.weak += [known.words] * known.is_weak

    def warn(self, name: str) -> None:
        """Issue the weak ones as warnings."""
        for note in self.weak:
            # a warning of our own reader is whole
            said = note if note.startswith(f"{name}: ") else f"{name}: {note}. Check the file or export it anew."
            warnings.warn(said, DataQualityWarning, stacklevel=2)


#: Where readers are, in folders of installed packages; their own texts hold no one's name.
_READERS = ("mne/io", "mne/_fiff", "mne/annotations.py", "mne/epochs.py", "antio", "mffpy", "curryreader", "pyxdf")
#: Longest text of a reader that is passed on, in characters (our choice).
_LONGEST = 160


@functools.cache
def reader_words() -> frozenset[str]:
    """Collect the words of all texts in the source of the installed readers, in lower case."""
    words: set[str] = set()
    for reader in _READERS:
        package, _, rest = reader.partition("/")
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found else ():
            root = Path(folder) / rest
            for path in [root] if root.is_file() else root.rglob("*.py"):
                if "tests" in path.parts:
                    continue
                quoted = re.findall(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', path.read_text(encoding="utf-8"))
                words.update(word.lower() for text in quoted for word in re.findall("[A-Za-z]+", text))
    return frozenset(words)


def public_text(text: str) -> str:
    """Keep of a reader's text what is its own, and nothing that a header may have put in.

    Words that no reader has in its source, texts in quotation marks, paths, long numbers and dates become dots.

    Examples
    --------
    >>> public_text("Channel 3 of 'Doe' recorded 1990-01-02 by JaneDoe is not supported")
    'Channel 3 of ... recorded ... by ... is not supported'
    """
    text = re.sub(r"'[^']*'|\"[^\"]*\"|https?://\S+", "\u2026", " ".join(text.split()))
    shown = []
    for token in text.split(" "):
        bare = token.strip(".,;:!?()[]")
        is_number = re.fullmatch(r"[+-]?\d{1,4}(\.\d+)?%?", bare) is not None
        parts = [part.lower() for part in re.findall("[A-Za-z]+", bare)]
        is_plain = re.fullmatch(r"[A-Za-z]+(?:[-/_][A-Za-z]+)*", bare) is not None
        known = is_number or (is_plain and all(part in reader_words() for part in parts))
        shown.append(token if known else "...")
    said = re.sub(r"(?:\.\.\. ?)+", "... ", " ".join(shown)).strip()
    return (
        ""
        if not re.search("[A-Za-z]", said)
        else said[:_LONGEST].rstrip(". ") + (" ..." if len(said) > _LONGEST else "")
    )


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
            raise MachineError(
                f"{name}: does not fit into memory. Use a machine with more, or export it in parts."
            ) from error
        except Exception as error:
            fault = fault_of_machine(error)
            if fault:
                raise MachineError(f"{name}: could not be read, because {fault}") from error
            # MNE's way of saying that a package of its own is missing
            needed = re.search(r"the module (\w+)\S* is needed", str(error))
            lacking = (error.name or "?") if isinstance(error, ImportError) else needed and needed[1]
            if lacking:
                raise ReadError(
                    f"{name}: reading {what} needs the Python package {lacking!r}. Install it, or export the file as "
                    "FIF."
                ) from error
            # some of MNE's errors hold a traceback
            text = "" if re.search(r"Traceback|File \"", str(error)) else public_text(str(error))
            told = f"{type(error).__name__}: {text}" if text else type(error).__name__
            if isinstance(error, NotImplementedError):
                raise ReadError(
                    f"{name}: not supported: {what} of this form ({told}). Export it in another form, or as EDF, FIF "
                    "or SNIRF."
                ) from error
            raise ReadError(
                f"{name}: cannot be read as {what} ({told}). It is incomplete, or of a form that is not supported. "
                f"{remedy}"
            ) from error
    for item in caught:
        heard.add(item)


#: No recording of a session is larger, in bytes (our choice): 256 channels at 20 kHz for 24 h take 3.5e12.
_MOST_BYTES = 4_000_000_000_000


def check_memory(n_values: int, name: str, stored: int | None = None) -> None:
    """Refuse what cannot be held, or is far larger than the bytes that are stored, before memory is asked for."""
    need, have = 8 * n_values, _available_bytes()
    if stored is not None:  # first: what is not in the file, no larger machine can hold
        check_unpacked(need, stored, name)
    if n_values < 0 or need > have:
        # a machine that holds it is to be had, or there is none
        kind = MachineError if 0 <= need < _MOST_BYTES else ReadError
        raise kind(
            f"{name}: its header announces {gigabytes(need)} of samples, but {have / 1e9:.1f} GB of memory "
            "are free. "
            "The header is damaged, or a larger machine is needed: check the file, or export it in parts."
        )


#: No channel has a longer name, in characters (our choice): each is held as often as there are channels.
_LONGEST_NAME = 200


def check_names(channels: Iterable[str], name: str) -> None:
    """Refuse names of channels that would fill the memory, or show damage."""
    for number, each in enumerate(channels, start=1):
        if len(each) > _LONGEST_NAME:
            raise ReadError(
                f"{name}: the name of channel {number} has {len(each)} characters; {_LONGEST_NAME} are the most. "
                "Correct the names of its channels, or export it anew."
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
