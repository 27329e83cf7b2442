"""Which part of a file is one person: ``1-32``, ``prefix:T_``, ``sources:1-8``, ``stream:NAME`` ...

A channel can be chosen before any processing, so two people in one file never meet in a common reference
or a common bad-channel vote.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hyperscan.errors import InputError, did_you_mean

#: Kinds of selector with the form that each is written in.
FORMS = {
    "positions": "1-32 or 1-16,33-48",
    "prefix": "prefix:T_",
    "suffix": "suffix:-0",
    "sources": "sources:1-8",
    "stream": "stream:NAME",
    "group": "/nirs1",
}
#: How two people's parts of a file may be told apart by a kind of selector, for messages.
TWO_PARTS = {
    "positions": "1-32 and 33-64",
    "prefix": "prefix:T_ and prefix:C_",
    "suffix": "suffix:-0 and suffix:-1",
    "sources": "sources:1-8 and sources:9-16",
    "stream": "stream:NAME_1 and stream:NAME_2, or stream:NAME@HOST or the stream's uid where names are alike",
    "group": "/nirs1 and /nirs2",
}

_ALLOWED = "allowed: " + ", ".join(FORMS.values())
_RANGE = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")
_GROUP = re.compile(r"/nirs[0-9]{0,4}")
# the names MNE gives fNIRS channels: S3_D5 760, S3_D5 hbo
_SOURCE = re.compile(r"S([0-9]+)[_-]D[0-9]+")
#: More positions than any amplifier has channels (our choice); tells a slip of the keyboard.
_MAX_NUMBER = 65_536


@dataclass(frozen=True)
class Selector:
    """Which part of a file is one person.

    Examples
    --------
    >>> parse_selector("1-2,4").pick(["Fz", "Cz", "Pz", "Oz"])
    ['Fz', 'Cz', 'Oz']
    """

    #: one of {'positions', 'prefix', 'suffix', 'sources', 'stream', 'group'}: How the part is named
    kind: str
    #: First and last of each run of channel positions or source numbers, from 1 on, ascending; empty for other kinds
    runs: tuple[tuple[int, int], ...] = ()
    #: Prefix, suffix, stream name or SNIRF group; empty for other kinds
    text: str = ""

    def __str__(self) -> str:
        if self.kind == "positions":
            return _ranges(self.runs)
        if self.kind == "sources":
            return f"sources:{_ranges(self.runs)}"
        return self.text if self.kind == "group" else f"{self.kind}:{self.text}"

    @property
    def picks_channels(self) -> bool:
        """Whether it chooses channels; a stream or a group is chosen while reading."""
        return self.kind not in ("stream", "group")

    def pick(self, ch_names: Sequence[str]) -> list[str]:
        """Channels of this person, in the order of the file.

        Examples
        --------
        >>> parse_selector("sources:2").pick(["S1_D1 760", "S2_D1 760"])
        ['S2_D1 760']
        """
        if not self.picks_channels:
            raise InputError(f"{str(self)!r} names a {self.kind}, not channels. Select it while reading the file.")
        if self.kind == "positions":
            return self._pick_positions(ch_names)
        chosen = [name for name in ch_names if self._fits(name)]
        if not chosen:
            raise InputError(
                f"{str(self)!r} fits none of the {len(ch_names)} channels.{self._in_other_case(ch_names)} "
                f"Compare it with the channel names of the file; {_ALLOWED}."
            )
        return chosen

    def _in_other_case(self, ch_names: Sequence[str]) -> str:
        """Name the rule that fits once capitals are written as the file has them; empty if there is not one."""
        if self.kind not in ("prefix", "suffix"):
            return ""
        n = len(self.text)
        signs = [name[:n] if self.kind == "prefix" else name[-n:] for name in ch_names]
        like = [sign for sign in signs if sign.casefold() == self.text.casefold()]
        return f" Written '{self.kind}:{like[0]}' it fits {len(like)}." if len(set(like)) == 1 else ""

    def strip(self, name: str) -> str:
        """Channel name without this person's prefix or suffix: ``T_Fz`` -> ``Fz``."""
        bare = name
        if self.kind == "prefix":
            bare = name.removeprefix(self.text)
        elif self.kind == "suffix":
            bare = name.removesuffix(self.text)
        return bare.strip() or name

    def _fits(self, name: str) -> bool:
        if self.kind == "prefix":
            return name.startswith(self.text)
        if self.kind == "suffix":
            return name.endswith(self.text)
        match = _SOURCE.match(name)
        return match is not None and any(low <= int(match[1]) <= high for low, high in self.runs)

    def _pick_positions(self, ch_names: Sequence[str]) -> list[str]:
        last = self.runs[-1][1]
        if last > len(ch_names):
            raise InputError(
                f"{str(self)!r} asks for position {last}, but the file has {len(ch_names)} "
                f"channels. Positions count from 1 to {len(ch_names)}."
            )
        return [name for low, high in self.runs for name in ch_names[low - 1 : high]]


def parse_selector(text: str) -> Selector:
    """Read a selector as ``dyads.tsv`` writes it.

    Examples
    --------
    >>> parse_selector("prefix:T_")
    Selector(kind='prefix', runs=(), text='T_')
    """
    text = text.strip()
    if text.startswith("/"):
        return _group(text)
    kind, colon, value = text.partition(":")
    if not colon:
        return Selector("positions", _runs(text, text))
    if kind == "sources":
        return Selector("sources", _runs(value, text))
    if kind not in ("prefix", "suffix", "stream"):
        raise InputError(f"{text[:60]!r} is not a channel rule; {_ALLOWED}.{did_you_mean(kind, FORMS)}")
    if not value or not value.isprintable():
        raise InputError(f"{text[:60]!r} has no printable text after the colon; {_ALLOWED}.")
    return Selector(kind, text=value)


def disjoint(a: Selector, b: Selector, names: Sequence[str] | None = None) -> bool:
    """Whether two selectors can never choose the same part of one file.

    Examples
    --------
    >>> disjoint(parse_selector("1-32"), parse_selector("33-64"))
    True
    >>> disjoint(parse_selector("prefix:T"), parse_selector("prefix:T_"))
    False
    """
    if names is not None and a.picks_channels and b.picks_channels:
        return not set(a.pick(names)) & set(b.pick(names))
    if a.kind != b.kind:
        return False
    if a.kind in ("positions", "sources"):
        both = sorted((*a.runs, *b.runs))
        return all(last < first for (_, last), (first, _) in itertools.pairwise(both))
    if a.kind == "prefix":
        return not (a.text.startswith(b.text) or b.text.startswith(a.text))
    if a.kind == "suffix":
        return not (a.text.endswith(b.text) or b.text.endswith(a.text))
    return a.text != b.text


def _group(text: str) -> Selector:
    if not _GROUP.fullmatch(text):
        raise InputError(f"{text[:60]!r} is not a SNIRF group. Write /nirs, /nirs1, /nirs2 ...")
    return Selector("group", text=text)


def _runs(listing: str, text: str) -> tuple[tuple[int, int], ...]:
    """Read ranges of numbers; those that touch become one."""
    found = []
    for part in listing.split(","):
        match = _RANGE.fullmatch(part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if not 1 <= first <= last <= _MAX_NUMBER:
            raise InputError(
                f"{text[:60]!r} is not a channel rule: {part.strip()[:20]!r} is no range of whole "
                f"numbers from 1 on; {_ALLOWED}."
            )
        found.append((first, last))
    runs: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = runs[-1][0], max(last, runs[-1][1])
        else:
            runs.append((first, last))
    return tuple(runs)


def _ranges(runs: Sequence[tuple[int, int]]) -> str:
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
