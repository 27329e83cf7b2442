"""What a session alone cannot know: the study-wide decisions of a run, as ``plan.json`` holds them.

The pipeline writes a :class:`Plan`, everyone else reads one: a key that is not a field here does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hyperscan.errors import InputError
from hyperscan.schema import KEYS, Outcome, SessionKey
from hyperscan.storage import check_types, read_json, record_of

#: Layout of the file; a later one is refused by name.
SCHEMA = 1


@dataclass(frozen=True)
class Group:
    """What sessions of one modality and task have in common: windows (EEG) or seconds (fNIRS), channels, components."""

    modality: str
    task: str
    n_sessions: int
    n_windows: int | None
    seconds: float | None
    limited_by: str
    control_channels: tuple[str, ...] = ()
    control_note: str = ""
    #: How far the offset of two clocks may be off in any session, in ms
    clock_uncertainty_ms: float = 0.0
    #: Components that every person has in every session, by region; empty without a metric of whole regions
    ranks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RegionChannels:
    """Channels of one person's region that all sessions of a dyad have; ``used`` None: every session keeps its own.

    ``lost`` names every other channel, and the sessions that lack it.
    """

    modality: str
    task: str
    dyad: str
    person: str
    roi: str
    used: tuple[str, ...] | None
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: The average reference rests on these channels alone, in every session (EEG, of the region ``all``)
    rereferenced: bool = False


@dataclass(frozen=True)
class MatchedFraction:
    """A person's lowest in-band signal fraction, which noise matching brings all sessions down to."""

    modality: str
    task: str
    person: str
    s2: float


@dataclass(frozen=True)
class Skip:
    """A row of the table that was left out, and why. Labels are empty, and the session None, where none was read."""

    dyad: str
    session: int | None
    modality: str
    task: str
    run: str
    reason: str

    @classmethod
    def of(cls, key: SessionKey, reason: str) -> Skip:
        """Say of a dyad-session why it was left out."""
        return cls(*key, reason)


@dataclass(frozen=True)
class PlannedPair:
    """A dyad-session re-paired with another dyad's person: ``which`` is lent by ``partner_dyad``."""

    dyad: str
    session: int
    modality: str
    task: str
    run: str
    partner_dyad: str
    which: str
    shared_therapist: bool

    @property
    def key(self) -> SessionKey:
        """The dyad-session that the pair is the chance level of."""
        return SessionKey(self.dyad, self.session, self.modality, self.task, self.run)

    @property
    def dyads(self) -> tuple[str, str]:
        """Dyads that lend the therapist and the client."""
        if self.which == "client":
            return self.dyad, self.partner_dyad
        return self.partner_dyad, self.dyad


#: Kind of a remark on single sessions, which a run says when it has prepared them.
OF_SESSIONS = "sessions"


@dataclass(frozen=True)
class Remark:
    """Something about the study that a reader should know: its kind, ``info`` or ``warning``, and the sentence."""

    kind: str
    severity: str
    message: str


@dataclass(frozen=True)
class Decided:
    """One decision that preparation took from the data of one person, with the sessions that have each value."""

    modality: str
    task: str
    dyad: str
    person: str
    #: A name of :data:`hyperscan.schema.DECISIONS`
    name: str
    values: Mapping[str, tuple[str, ...]]

    @property
    def alike(self) -> bool:
        """Whether all sessions have one value."""
        return len(self.values) < 2


@dataclass(frozen=True)
class Plan:
    """The decisions of a run that need all its sessions.

    ``units`` holds the digest of every prepared dyad-session by the name of its folder.
    """

    version: str
    primary: Outcome
    groups: tuple[Group, ...] = ()
    roi_channels: tuple[RegionChannels, ...] = ()
    matched_s2: tuple[MatchedFraction, ...] = ()
    sessions: tuple[SessionKey, ...] = ()
    skipped: tuple[Skip, ...] = ()
    pseudo_pairs: tuple[PlannedPair, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Remark, ...] = ()
    decisions: tuple[Decided, ...] = ()

    def group_of(self, modality: str, task: str) -> Group:
        """Return the group of a modality and task."""
        return next(group for group in self.groups if (group.modality, group.task) == (modality, task))

    @property
    def no_control(self) -> dict[str, str]:
        """Why there are no control channels, by task of EEG that has none."""
        groups = [one for one in self.groups if one.modality == "eeg" and not one.control_channels]
        return {one.task: one.control_note for one in groups if one.control_note}

    def for_unit(self, pairs: Iterable[PlannedPair] = ()) -> Plan:
        """Keep what a worker needs: a large study's plan is long, and has many units."""
        return replace(self, sessions=(), skipped=(), units={}, findings=(), decisions=(), pseudo_pairs=tuple(pairs))

    def to_dict(self) -> dict[str, Any]:
        """Content of ``plan.json``."""
        content = asdict(self)
        order = ("modality", "metric", "band", "roi", "task", "signal")
        content["primary"] = {name: content["primary"][name] for name in order}
        return {"schema": SCHEMA, **content}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Plan:
        """Read the content of ``plan.json``; what an older or damaged one lacks is refused."""
        try:
            if content["schema"] != SCHEMA:
                raise ValueError(f"its schema is {content['schema']}, known is {SCHEMA}")
            plan = record_of(cls, content)
            check_types(plan)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"plan.json: is not the plan of a run of this version ({error}). Run the analysis again."
            ) from None
        return plan

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read ``plan.json``."""
        return cls.from_dict(read_json(path))


assert tuple(item.name for item in fields(Skip))[: len(KEYS)] == KEYS  # Skip.of relies on it
