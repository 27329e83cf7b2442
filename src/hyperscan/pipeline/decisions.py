"""What preparation decided from the data of every person, whether it holds for all sessions, and what all share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hyperscan.config import StudyConfig
from hyperscan.errors import count, name_some
from hyperscan.pipeline.summary import Summary
from hyperscan.recording.cleaning.eeg_filter import resampling
from hyperscan.results.plan import Decided, RegionChannels
from hyperscan.schema import DECISIONS, SessionKey
from hyperscan.study import Finding, Session

#: What a session is told by, for a person: modality, task, dyad and label.
Whose = tuple[str, str, str, str]

#: Length in s under which fNIRS sessions are called short (our choice: 12 waves of 0.02 Hz).
SHORT_FNIRS_S = 600.0


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
    """Warn where what should hold for all sessions of a person differs between them; people who are alike share one."""
    rates = [float(text.split()[0]) for one in decided if one.name == "sfreq" for text in one.values]
    people: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in decided:
        if not DECISIONS[one.name].alike or one.alike:
            continue
        values = "; ".join(f"{value} in session {', '.join(sessions)}" for value, sessions in one.values.items())
        who = f"{one.person} ({', '.join(filter(None, [one.dyad, one.modality, one.task]))})"
        setting = common_rate(rates) if one.name == "sfreq" else DECISIONS[one.name].setting
        people[DECISIONS[one.name].label, values, setting].append(who)
    for (label, values, setting), named in people.items():
        remedy = f" set {setting} in study.toml," if setting else ""
        yield Finding(
            "decisions",
            "warning",
            f"{', '.join(named)}: {label} differs over the sessions: {values}. A change of preparation can read as a "
            f"change of synchrony. Record and name alike,{remedy} or leave sessions out (include = no).",
        )


def roi_findings(decided: Sequence[RegionChannels]) -> Iterator[Finding]:
    """Say what each person loses, once for all channels, and which regions are not the same place in every session."""
    people: dict[Whose, list[RegionChannels]] = defaultdict(list)
    for one in decided:
        people[one.modality, one.task, one.dyad, one.person].append(one)
    for (modality, task, dyad, person), regions in people.items():
        start = f"{person} ({', '.join(filter(None, [dyad, modality, task]))})"
        whole = next((one for one in regions if one.roi == "all"), None)
        if whole is not None and whole.used is None:
            yield Finding(
                "roi_channels",
                "warning",
                f"{start}: too few channels are usable in all sessions, so regions hold different channels from "
                f"session to session: {_lost_channels(whole.lost)}. Check optodes or electrodes, or leave the worst "
                "sessions out (include = no).",
            )
            continue
        used = () if whole is None else whole.used or ()
        unused = {} if whole is None else {name: where for name, where in whole.lost.items() if name not in used}
        if unused:
            yield Finding(
                "roi_channels",
                "info",
                f"{start}: to keep regions comparable, channels that some session lacks are used in none: "
                f"{_lost_channels(unused)}. Where that costs too much, leave the session out (include = no).",
            )
        uneven = [f"{one.roi} ({lacking})" for one in regions if (lacking := _lacking(one))]
        if uneven:
            yield Finding(
                "roi_channels",
                "warning",
                f"{start}: where a session lost too much of a region, the others are not reduced to what it has left, "
                f"so the region is another place there, which can read as a change of synchrony: {name_some(uneven)}. "
                "Check optodes or electrodes, or leave those sessions out (include = no).",
            )


def _lost_channels(lost: Mapping[str, Sequence[str]]) -> str:
    """Name channels with the sessions that lack them, the first few."""
    told = "; ".join(f"{name} (not in {', '.join(where)})" for name, where in list(lost.items())[:6])
    return f"{told} and {len(lost) - 6} more" if len(lost) > 6 else told


def _lacking(region: RegionChannels) -> str:
    """Name the sessions that lack channels which others use of a region; empty where it is the same in all."""
    sessions: dict[str, list[str]] = defaultdict(list)
    for name, where in region.lost.items():
        for session in where if region.used is None or name in region.used else ():
            sessions[session].append(name)
    return name_some([f"{session} lacks {name_some(names)}" for session, names in sessions.items()])


class Alike(NamedTuple):
    """What two dyad-sessions must share to be re-paired, besides session number, modality, task and run."""

    #: Where only dyads of one group are re-paired; else empty
    group: str
    #: Sampling rate of the analysis in Hz
    sfreq: float
    #: Regions of each person
    therapist: tuple[str, ...]
    client: tuple[str, ...]

    @classmethod
    def of(cls, row: Session, summary: Summary, config: StudyConfig) -> Alike:
        """Read it off a session, prepared or not."""
        group = str(row.covariates.get(config.group, "")) if config.pseudo_within_group else ""
        fnirs = row.modality == "fnirs"
        sfreq = config.fnirs_sfreq if fnirs else _resampled(summary.sfreq, config.eeg_max_sfreq)
        return cls(group, round(sfreq, 6), *(tuple(sorted(person.rois)) for person in summary.people.values()))

    def differs(self, usual: Alike) -> str:
        """Say in what a session differs from the usual one of its session number; empty where it does not."""
        if self.sfreq != usual.sfreq:
            return f"{self.sfreq:g} Hz, the others of its session number {usual.sfreq:g} Hz"
        for role, mine, theirs in (
            ("therapist", self.therapist, usual.therapist),
            ("client", self.client, usual.client),
        ):
            lacks, has = (sorted(set(a) - set(b)) for a, b in ((theirs, mine), (mine, theirs)))
            told = [f"{word} {', '.join(names)}" for word, names in (("lacks", lacks), ("also has", has)) if names]
            if told:
                return f"the {role} {' and '.join(told)}"
        return ""


def _resampled(sfreq: float, max_sfreq: float) -> float:
    up, down = resampling(sfreq, max_sfreq)
    return sfreq * up / down


def common_rate(rates: Iterable[float]) -> str:
    """Name the setting, with its value, that brings EEG of different rates to one; empty where none does.

    Examples
    --------
    >>> common_rate([125.0, 200.0]), common_rate([512.0, 500.123456])
    ('eeg_max_sfreq = 125', '')
    """
    rates = set(rates)
    lowest = f"{min(rates, default=0.0):.10g}"
    same = len({round(_resampled(rate, float(lowest)), 6) for rate in rates}) == 1
    return f"eeg_max_sfreq = {lowest}" if same else ""


def outcome_findings(sessions: Sequence[Session], config: StudyConfig) -> list[Finding]:
    """Tell of every outcome in how many sessions it is there, and whether it can be asked of sessions at all."""
    found = []
    for outcome in config.outcomes:
        values: dict[str, set[object]] = defaultdict(set)
        cells = [(row, value) for row in sessions if (value := row.covariates.get(outcome.name)) is not None]
        for row, value in cells:
            values[row.dyad].add(value)
        there, planned = {(row.dyad, row.session) for row, _ in cells}, {(row.dyad, row.session) for row in sessions}
        text = f"outcomes: {outcome.name} is there in {len(there)} of {count(len(planned), 'session')}"
        if cells and all(len(held) == 1 for held in values.values()):
            text += ", one value per dyad: relations between dyads alone can be told (between, change)"
        found.append(Finding("outcomes", "info", f"{text}.", tuple(row.key for row, _ in cells)))
    return found


def comparability_findings(
    good: Sequence[Session], summaries: Mapping[SessionKey, Summary], config: StudyConfig
) -> list[Finding]:
    """Warn of what makes usable sessions hard to compare: too few partners, and little that is analysed."""
    used = [summaries[row.key] for row in good]
    return [*_partner_findings(good, summaries, config), *_length_findings(used, config)]


def _partner_findings(
    good: Sequence[Session], summaries: Mapping[SessionKey, Summary], config: StudyConfig
) -> Iterator[Finding]:
    """Warn of sessions that lose those they would be re-paired with, because of their rate or their regions."""
    alike = {row.key: Alike.of(row, summaries[row.key], config) for row in good}
    groups: dict[tuple[object, ...], list[SessionKey]] = defaultdict(list)
    for key, mine in sorted(alike.items()):
        groups[(*key[1:], mine.group)].append(key)
    odd: dict[str, list[SessionKey]] = defaultdict(list)
    told: dict[SessionKey, str] = {}
    for keys in groups.values():
        counts = Counter(alike[key] for key in keys)
        # of rates that are as frequent, the lowest is the one that all can have
        usual = min(counts, key=lambda one: (-counts[one], one))
        for key in (key for key in keys if alike[key] != usual):
            mine = alike[key]
            odd["rate" if mine.sfreq != usual.sfreq else "regions"].append(key)
            told[key] = f"{key} ({mine.differs(usual)}; {counts[mine] - 1} of {len(keys) - 1} other dyads left)"
    setting = common_rate(mine.sfreq for key, mine in alike.items() if key.modality == "eeg")
    bring = f"Set {setting} in study.toml, which brings all to one rate" if setting else "Record at one rate"
    remedies = {"rate": bring, "regions": "Name channels alike, or define the region under [rois] for all"}
    for what, keys in odd.items():
        yield Finding(
            "partners",
            "warning",
            f"only sessions of one rate and the same regions are re-paired: {name_some([told[key] for key in keys])}. "
            "The others lose these as partners too, and a session without a partner has no chance level of pseudo "
            f"pairs, so growth leaves it out. {remedies[what]}, or leave such sessions out (include = no).",
            tuple(keys),
        )


def _length_findings(good: Iterable[Summary], config: StudyConfig) -> Iterator[Finding]:
    """Warn of fNIRS of which little is analysed: every session enters with as much as the shortest one has."""
    groups: dict[frozenset[str], list[Summary]] = defaultdict(list)
    for one in good:
        if one.key.modality == "fnirs":
            task = one.key.task
            groups[next((pool for pool in config.pools if task in pool), frozenset([task]))].append(one)
    for tasks, group in groups.items():
        shortest = min(group, key=lambda one: one.seconds)
        # the length of whole samples is a little under the one that was recorded
        if shortest.seconds > SHORT_FNIRS_S - 1:
            continue
        band = config.primary_of("fnirs").band
        low = config.bands_of("fnirs")[band][0]
        name = " ".join(filter(None, ["fnirs", " and ".join(sorted(tasks))]))
        yield Finding(
            "short",
            "warning",
            f"{name}: {shortest.seconds:.0f} s of every session are analysed, as long as the shortest is "
            f"({shortest.key}): {shortest.seconds * low:.0f} waves of {low:g} Hz, where band {band!r} begins. Under "
            f"{SHORT_FNIRS_S:.0f} s coherence and its chance level scatter widely. Record longer, or leave out what is "
            "short (include = no).",
            (shortest.key,),
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
