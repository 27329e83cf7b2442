"""Two people on one clock: the records that recordings travel in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mne.io import BaseRaw

from hyperscan.schema import ROLES
from hyperscan.study.session import Session


@dataclass(frozen=True)
class Segment:
    """A stretch of the common time that windows may not leave.

    Parameters
    ----------
    onset_s, duration_s : float
        In s from the first sample of both recordings.
    task : str
        Label of the part of the session.
    """

    onset_s: float
    duration_s: float
    task: str = ""


@dataclass(frozen=True)
class ClockReport:
    """How two recordings were put on one clock."""

    #: ``same_amplifier``, ``triggers``, ``timestamps``, ``offset`` or ``assumed``
    source: str
    #: Client's start on the therapist's clock, in s
    offset_s: float = 0.0
    #: Drift of the client's clock that was removed, in parts per million; NaN if it cannot be known
    ppm: float = 0.0
    #: Root mean square of what is left, in ms; NaN if it cannot be known
    residual_ms: float = 0.0
    #: Events or time stamps that the fit rests on
    n_matched: int = 0
    #: What was found on the way: missing triggers, jumps, resets
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class QualityReport:
    """What preparation found, one mapping per person with the columns of ``quality.tsv``."""

    #: Values by column name; absent = not applicable to the modality
    therapist: Mapping[str, Any]
    client: Mapping[str, Any]
    #: Role, then channel, to the reason why the channel went
    dropped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, role: str) -> Mapping[str, Any]:
        """Return the values of one person."""
        return self.therapist if role == "therapist" else self.client


@dataclass(frozen=True)
class PairedRecording:
    """Therapist and client, as two raws that are never merged.

    Functions return new records; nothing changes in place.

    Parameters
    ----------
    therapist, client : mne.io.BaseRaw
        One person each. After :func:`hyperscan.align_pair` both start together, have one sampling rate and
        one length.
    session : Session
        The row they come from.
    segments : tuple of Segment
        Parts to analyse, on the common time axis.
    clock : ClockReport or None
        None until aligned.
    quality : QualityReport or None
        None until prepared.
    history : tuple of str
        Every step that changed data, in words fit for a methods section.
    stamps : tuple of two ndarray of shape (n_times,), or None
        Time of each sample of therapist and client in s on the shared clock of their file (XDF); None where
        the
        files have none, and after alignment.
    epoched : bool
        Joined epochs, already paired in time.

    Examples
    --------
    >>> import mne
    >>> from pathlib import Path
    >>> here = Path("study")
    >>> row = Session("D1", "T1", "C1", 1, "eeg", here / "t.edf", here / "c.edf", here)
    >>> raw = mne.io.RawArray(np.zeros((2, 500)), mne.create_info(["Pz", "Oz"], 100.0, "eeg"), verbose="error")
    >>> pair = PairedRecording(raw, raw.copy(), row)
    >>> pair.raw("client").ch_names
    ['Pz', 'Oz']
    """

    therapist: BaseRaw
    client: BaseRaw
    session: Session
    segments: tuple[Segment, ...] = ()
    clock: ClockReport | None = None
    quality: QualityReport | None = None
    history: tuple[str, ...] = ()
    stamps: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False, repr=False)
    epoched: bool = False

    def __repr__(self) -> str:
        people = ", ".join(
            f"{role} {len(raw.ch_names)} channels {raw.info['sfreq']:g} Hz {raw.n_times / raw.info['sfreq']:.1f} s"
            for role, raw in (("therapist", self.therapist), ("client", self.client))
        )
        clock = f"clock {self.clock.source}" if self.clock else "not aligned"
        grades = "/".join(str(self.quality.of(role)["grade"]) for role in ROLES) if self.quality else ""
        quality = f"quality {grades}" if grades else "not prepared"
        return f"<PairedRecording | {self.session.key} | {people} | {clock} | {quality}>"

    def raw(self, role: str) -> BaseRaw:
        """Return the raw of one person."""
        return self.therapist if role == "therapist" else self.client

    def replace(self, **changes: Any) -> PairedRecording:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)
