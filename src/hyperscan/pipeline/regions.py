"""The same channels of a person's region in every session of a dyad, or growth would compare different places.

Each person is looked at alone: the two people of a dyad are never reduced to what both have. A therapist is looked
at once per dyad, because growth is a change within dyads.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperscan.pipeline.unit import signals_path
from hyperscan.schema import SessionKey
from hyperscan.study import Finding, Session
from hyperscan.synchrony import Signals

#: A session with a smaller share of a person's region does not decide what all sessions use, and a region that
#: would shrink below it is left as it was recorded (our choice).
MIN_SHARE = 0.5

#: What an entry of the plan belongs to.
WHOSE = ("modality", "task", "dyad", "person")

Entry = dict[str, Any]


def comparable_rois(sessions: Sequence[Session], summaries: Mapping[SessionKey, Mapping[str, Any]]) -> list[Entry]:
    """Decide which channels of each person's regions are used in all of a dyad's sessions."""
    found: dict[tuple[str, ...], dict[str, dict[SessionKey, Sequence[str]]]] = defaultdict(lambda: defaultdict(dict))
    for row in sessions:
        for person in summaries[row.key]["people"].values():
            for roi, channels in person["rois"].items():
                found[row.modality, row.task, row.dyad, person["person"]][roi][row.key] = channels
    return [
        {**dict(zip(WHOSE, whose, strict=True)), "roi": roi, **decision}
        for whose, rois in sorted(found.items())
        for roi, channels in rois.items()
        if (decision := _decide(channels))
    ]


def _decide(channels: Mapping[SessionKey, Sequence[str]]) -> Entry:
    union = list(dict.fromkeys(name for names in channels.values() for name in names))
    if all(set(names) == set(union) for names in channels.values()):
        return {}
    deciding = [set(names) for names in channels.values() if len(names) >= MIN_SHARE * len(union)]
    used = [name for name in union if deciding and all(name in names for names in deciding)]
    lost = {
        name: [str(key) for key, names in channels.items() if name not in names]
        for name in union
        if any(name not in names for names in channels.values())
    }
    return {"used": used if len(used) >= MIN_SHARE * len(union) else None, "lost": lost}


def used_rois(
    rois: Mapping[str, Sequence[int]],
    ch_names: Sequence[str],
    entries: Sequence[Mapping[str, Any]],
    whose: tuple[str, ...],
) -> dict[str, tuple[int, ...]]:
    """Reduce one person's regions in one session to the channels of the plan."""
    used = {
        entry["roi"]: set(entry["used"])
        for entry in entries
        if entry["used"] is not None and tuple(entry[name] for name in WHOSE) == whose
    }
    reduced = {
        roi: tuple(at for at in where if roi not in used or ch_names[at] in used[roi]) for roi, where in rois.items()
    }
    return {roi: where for roi, where in reduced.items() if where}


def planned_signals(prepared: Path, key: SessionKey, role: str, plan: Mapping[str, Any]) -> Signals:
    """Read one person of one dyad-session, regions reduced to the channels of the plan."""
    signals = Signals.load(signals_path(prepared, key, role))
    whose = (key.modality, key.task, key.dyad, signals.person)
    return dataclasses.replace(signals, rois=used_rois(signals.rois, signals.ch_names, plan["roi_channels"], whose))


def roi_findings(entries: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Say what each person loses, once for all channels and not for every region again."""
    return [
        Finding("roi_channels", "info" if entry["used"] is not None else "warning", _sentence(entry))
        for entry in entries
        if entry["roi"] == "all"
    ]


def _sentence(entry: Mapping[str, Any]) -> str:
    lost = "; ".join(f"{name} (not in {', '.join(where)})" for name, where in list(entry["lost"].items())[:6])
    more = f" and {len(entry['lost']) - 6} more" if len(entry["lost"]) > 6 else ""
    start = f"{entry['person']} ({', '.join(filter(None, [entry['dyad'], entry['modality'], entry['task']]))})"
    if entry["used"] is None:
        return (
            f"{start}: too few channels are usable in all sessions, so regions hold different channels from session "
            f"to session: {lost}{more}. Check optodes or electrodes, or leave the worst sessions out (include = no)."
        )
    return (
        f"{start}: to keep regions comparable, channels that some session lacks are used in none: {lost}{more}. "
        "Where that costs too much, leave the session out (include = no)."
    )
