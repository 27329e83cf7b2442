"""What became of a dyad-session: the records that preparation, plan, computation and tables hand on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from hyperscan.recording.records import ClockReport, PersonQuality
from hyperscan.schema import SessionKey
from hyperscan.storage import record_of

if TYPE_CHECKING:
    from hyperscan.synchrony import Signals


@dataclass(frozen=True)
class Attempt:
    """How the work on one dyad-session went."""

    #: The dyad-session
    key: SessionKey
    #: ``ok``; ``skipped``: its recording cannot be used; ``failed``: machine or program failed, so it is tried again
    status: str = "ok"
    #: Why it is not ok, in a sentence
    reason: str = ""
    #: What makes its numbers weaker than they look
    notes: tuple[str, ...] = ()
    #: Frames of a fault of the program
    traceback: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether its result can be used."""
        return self.status == "ok"

    def refuse(self, reason: str) -> Self:
        """Return a copy that is skipped for a reason."""
        return replace(self, status="skipped", reason=reason)

    def to_dict(self) -> dict[str, Any]:
        """Content of a row of ``unit.json``."""
        common = {"key": self.key, "status": self.status, "reason": self.reason, "notes": self.notes}
        return {**common, "traceback": self.traceback} if self.traceback else common

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a row of ``unit.json``; what belongs to another kind of row is left."""
        return record_of(cls, content, whole=False)


@dataclass(frozen=True)
class PersonSummary:
    """What the plan needs of one person: channels, regions, and how much of the rhythm each channel carries."""

    #: Label of the person
    person: str
    channels: tuple[str, ...]
    #: Channels of every region
    rois: Mapping[str, tuple[str, ...]]
    #: In-band signal fraction of every channel, shape (n_channels,); NaN where it cannot be assessed
    s2: tuple[float, ...]
    #: Mean of the primary region
    s2_roi: float
    #: Components that a region has fewer than channels; a region that lacks none is not named
    lacking: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, signals: Signals, roi: str) -> PersonSummary:
        """Describe a prepared person, whose primary region is ``roi``."""
        fractions = np.mean([signals.s2_line, signals.s2_quad], axis=0)
        inside = list(signals.rois.get(roi, ()))
        return cls(
            person=signals.person,
            channels=tuple(signals.ch_names),
            rois={name: tuple(signals.ch_names[i] for i in where) for name, where in signals.rois.items()},
            s2=tuple(float(value) for value in fractions),
            s2_roi=float(np.mean(signals.s2_line[inside])) if inside else math.nan,
            lacking=signals.lacking(),
        )


@dataclass(frozen=True)
class Summary(Attempt):
    """A dyad-session after preparation. Where it could not be prepared, it has no people."""

    #: Common sampling rate in Hz
    sfreq: float = math.nan
    #: Windows that are clean in both people (EEG)
    n_windows: int = 0
    #: Time in common, in s
    seconds: float = math.nan
    #: By role
    quality: Mapping[str, PersonQuality] = field(default_factory=dict)
    #: By role: every channel that was left out, and why
    dropped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clock: ClockReport | None = None
    #: By role: what the person's data decided, as text by the names of :data:`hyperscan.schema.DECISIONS`
    decisions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: Every step that changed data
    history: tuple[str, ...] = ()
    #: By role, the therapist first
    people: Mapping[str, PersonSummary] = field(default_factory=dict)
    #: SHA-256 of files that were read and that no format declares: such a row is never taken over by a later run
    undeclared: str = ""
    #: Channels as the recordings name them, to be found in texts; they are in no file
    ch_names: tuple[str, ...] = field(default=(), compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Content of a row of ``unit.json``."""
        content = super().to_dict() | ({"undeclared": self.undeclared} if self.undeclared else {})
        if self.clock is not None:
            content |= {
                "sfreq": self.sfreq,
                "n_windows": self.n_windows,
                "seconds": self.seconds,
                "quality": {role: quality.to_row() for role, quality in self.quality.items()},
                "dropped": self.dropped,
                "clock": asdict(self.clock),
                "decisions": self.decisions,
                "history": self.history,
                "people": {role: asdict(person) for role, person in self.people.items()},
            }
        return content


@dataclass(frozen=True)
class Computed(Attempt):
    """A dyad-session after computation."""

    #: Its rows of every table of the run, by name; they are in files of their own
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict, compare=False, repr=False)
