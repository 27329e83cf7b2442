"""The same channels of a person's region in every session, or growth would compare different places.

Each person is looked at alone: the two people of a dyad are never reduced to what both have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from hyperscan.study import Finding, Session, SessionKey

#: A session with a smaller share of a person's region does not decide what all sessions use, and a region that
#: would shrink below it is left as it was recorded (our choice).
MIN_SHARE = 0.5

Entry = dict[str, Any]


def comparable_rois(sessions: Sequence[Session], summaries: Mapping[SessionKey, Mapping[str, Any]]) -> list[Entry]:
    """Decide which channels of each person's regions are used in all of the person's sessions.

    Parameters
    ----------
    sessions : sequence of Session
        Rows that can be used.
    summaries : mapping of SessionKey to mapping
        What preparation found.

    Returns
    -------
    list of dict
        Only regions whose channels differ between sessions: ``modality``, ``task``, ``person``, ``roi``, ``used``
        (channels; None = too few are common, every session keeps its own), and ``lost`` (channel to the sessions
        that lack it).
    """
    found: dict[tuple[str, str, str], dict[str, dict[SessionKey, Sequence[str]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in sessions:
        for person in summaries[row.key]["people"].values():
            for roi, channels in person["rois"].items():
                found[row.modality, row.task, person["person"]][roi][row.key] = channels
    return [
        {"modality": modality, "task": task, "person": person, "roi": roi, **decision}
        for (modality, task, person), rois in sorted(found.items())
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
    whose: tuple[str, str, str],
) -> dict[str, tuple[int, ...]]:
    """Reduce one person's regions in one session to the channels of the plan.

    Parameters
    ----------
    rois : mapping of str to sequence of int
        Positions of each region's channels.
    ch_names : sequence of str
        Channels of the session.
    entries : sequence of mapping
        From :func:`comparable_rois`.
    whose : (str, str, str)
        Modality, task and person.

    Returns
    -------
    dict of str to tuple of int
        A region of which nothing is left is gone.
    """
    used = {
        entry["roi"]: set(entry["used"])
        for entry in entries
        if entry["used"] is not None and (entry["modality"], entry["task"], entry["person"]) == whose
    }
    reduced = {
        roi: tuple(at for at in where if roi not in used or ch_names[at] in used[roi]) for roi, where in rois.items()
    }
    return {roi: where for roi, where in reduced.items() if where}


def roi_findings(entries: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Say what each person loses, once for all channels and not for every region again.

    Parameters
    ----------
    entries : sequence of mapping
        From :func:`comparable_rois`.

    Returns
    -------
    list of Finding
    """
    return [
        Finding("roi_channels", "info" if entry["used"] is not None else "warning", _sentence(entry))
        for entry in entries
        if entry["roi"] == "all"
    ]


def _sentence(entry: Mapping[str, Any]) -> str:
    lost = "; ".join(f"{name} (not in {', '.join(where)})" for name, where in list(entry["lost"].items())[:6])
    more = f" and {len(entry['lost']) - 6} more" if len(entry["lost"]) > 6 else ""
    start = f"{entry['person']} ({', '.join(filter(None, [entry['modality'], entry['task']]))})"
    if entry["used"] is None:
        return (
            f"{start}: too few channels are usable in all sessions, so regions hold different channels from session "
            f"to session: {lost}{more}. Check optodes or electrodes, or leave the worst sessions out (include = no)."
        )
    return f"{start}: to keep regions comparable, channels that some session lacks are used in none: {lost}{more}."
