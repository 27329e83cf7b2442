"""What preparation decided from the data of every person, whether it holds for all sessions, and what all share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from hyperscan.errors import count
from hyperscan.pipeline.summary import Summary
from hyperscan.results.plan import Decided, RegionChannels
from hyperscan.schema import DECISIONS, SessionKey
from hyperscan.study import Finding, Session

#: What a session is told by, for a person: modality, task, dyad and label.
Whose = tuple[str, str, str, str]


def decisions_of(good: Sequence[Summary]) -> tuple[Decided, ...]:
    """List what preparation decided from data, for each person of a dyad, with the sessions of each value."""
    found: dict[Whose, dict[str, dict[str, list[str]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for summary in good:
        key = summary.key
        for role, person in summary.people.items():
            session = f"{key.session}{f' run {key.run}' if key.run else ''}"
            for name, value in told_of(summary, role).items():
                found[key.modality, key.task, key.dyad, person.person][name][value].append(session)
    return tuple(
        Decided(*whose, name, {value: tuple(sessions) for value, sessions in names[name].items()})
        for whose, names in sorted(found.items())
        for name in DECISIONS
        if name in names
    )


def told_of(summary: Summary, role: str) -> dict[str, str]:
    """Return one person's decisions in one session as text, by name; the clock's among them."""
    clock = {} if summary.clock is None else {"clock_source": summary.clock.source.replace("_", " ")}
    return {**summary.decisions.get(role, {}), **clock}


def decision_findings(decided: Sequence[Decided]) -> Iterator[Finding]:
    """Warn where what should hold for all sessions of a person differs between them."""
    for one in decided:
        choice = DECISIONS[one.name]
        if not choice.alike or one.alike:
            continue
        values = "; ".join(f"{value} in session {', '.join(sessions)}" for value, sessions in one.values.items())
        who = f"{one.person} ({', '.join(filter(None, [one.dyad, one.modality, one.task]))})"
        yield Finding(
            "decisions",
            "warning",
            f"{who}: {choice.label} differs over the sessions: {values}. A change of preparation can read as a change "
            "of synchrony. Record and name alike, set it in study.toml, or leave sessions out (include = no).",
        )


def unaligned_of(sessions: Sequence[Session], summaries: Mapping[SessionKey, Summary]) -> dict[SessionKey, str]:
    """Find sessions that nothing aligns in a study whose others align by triggers, as where a cable has failed."""
    reasons: dict[SessionKey, str] = {}
    usable = {row.key: one for row in sessions if (one := summaries[row.key]).ok and one.clock is not None}
    for row in sessions:
        clock = usable[row.key].clock if row.key in usable else None
        if clock is None or clock.source != "assumed" or row.clock is not None:
            continue
        others = [
            one.clock.offset_s
            for key, one in usable.items()
            if one.clock is not None and one.clock.source == "triggers" and key.modality == row.modality
        ]
        if others:
            events = next((f" ({note})" for note in clock.notes if note.startswith("events: ")), "")
            reasons[row.key] = (
                f"nothing aligns its two recordings{events}, while {count(len(others), 'session')} of this study "
                f"{'aligns' if len(others) == 1 else 'align'} by shared triggers, at offsets of {min(others):.2f} to "
                f"{max(others):.2f} s: at an assumed 0 s its synchrony would be another. Repair its triggers, give "
                "therapist_offset_s or client_offset_s, or declare clock = assumed if both really began together."
            )
    return reasons


def common_ranks(summaries: Sequence[Summary], roi_channels: Sequence[RegionChannels]) -> dict[str, int]:
    """Find the components that every person has in every session, by region, among the channels that are used.

    A metric of whole regions is larger by chance the more there are, so one number holds for all: of a dyad's sessions,
    or a rank that rises would read as growth, and of everyone that they are re-paired with.
    """
    used = {(one.modality, one.task, one.dyad, one.person, one.roi): one.used for one in roi_channels}
    ranks: dict[str, int] = {}
    for summary in summaries:
        key = summary.key
        for person in summary.people.values():
            for roi, names in person.rois.items():
                decided = used.get((key.modality, key.task, key.dyad, person.person, roi))
                kept = [name for name in names if decided is None or name in decided]
                if kept:  # a region without a channel in a session has no value there
                    rank = max(len(kept) - person.lacking.get(roi, 0), 1)
                    ranks[roi] = min(rank, ranks.get(roi, rank))
    return dict(sorted(ranks.items()))
