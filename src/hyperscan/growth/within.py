"""Change of one person alone over the sessions: the client's course, with the therapist's as control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.config import FurtherOutcome, StudyConfig
from hyperscan.errors import InputError, count, did_you_mean, p_text
from hyperscan.growth.evidence import Slopes
from hyperscan.growth.few import without_tests
from hyperscan.growth.fit import fit_growth
from hyperscan.growth.flips import max_t
from hyperscan.growth.guards import figure_text, moves, not_asked, not_assessable, way
from hyperscan.growth.outcomes import called
from hyperscan.growth.records import Findings, Guard, SlopeTest
from hyperscan.growth.result import GrowthResult
from hyperscan.growth.slopes import slope_test
from hyperscan.growth.verdict import (
    UNCLAIMED,
    claimed_sign,
    decide,
    tell_guards,
    tell_limits,
    tell_others,
    tell_reason,
    tell_test,
)
from hyperscan.schema import INDEX_COLUMNS, INDICES, KEYS, MIN_DYADS, ROLES, Index, index_facts
from hyperscan.words import BAND_SHARE, ON_REQUEST, PERSON_GUARDS, PERSON_VERDICTS, GuardWords

Array = NDArray[np.float64]


#: A change of power over the whole course that is taken for one of the recording beside an index that is not in dB
#: (our choice: a quarter more, or less).
MATERIAL_DB = 1.0


def index_rows(within: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Rows of some indices, with text where a band is left open."""
    rows = within[within["index"].isin(names)]
    return rows.assign(band=rows["band"].fillna("").astype(str))


@dataclass(frozen=True)
class PersonEvidence:
    """What the guards of an index look at: one row per dyad and session."""

    index: Index
    modality: str
    #: ``client_value``, ``therapist_value``, ``difference``, ``twin``, and the measures of guards
    slopes: Slopes

    @classmethod
    def of(
        cls,
        within: pd.DataFrame,
        index: Index,
        sessions: pd.DataFrame,
        quality: pd.DataFrame | None,
        synchrony: pd.DataFrame | None,
    ) -> PersonEvidence:
        """Gather what is known of the sessions of an index."""
        modality = str(within["modality"].iloc[0])
        own = _course(within, index, "client")
        # a pair of regions, or a network, has no power of its own; theta is taken where the flank of alpha is lowest
        places = {
            "high_frequency": ("", index.region),
            "drift": ("", index.region),
            "evenness": (index.band, index.region),
            "theta": ("theta", "frontal"),
            "alpha": ("alpha", index.region),
            "beta": ("beta", index.region),
            "task_events": (index.band, "all"),
            "task_seconds": (index.band, "all"),
        }
        measured = {
            "client_value": own,
            "therapist_value": _course(within, index, "therapist"),
            "twin": _course(within, index._replace(name=index_facts(index.name).twin), "client"),
        }
        for measure, (band, region) in places.items():
            name = measure if measure in INDICES else "band_power"
            courses = (_course(within, Index(name, band, place), "client") for place in (region, "all"))
            measured[measure] = next((course for course in courses if not course.empty), own[:0])
        known = {name: course for name, course in measured.items() if not course.empty}
        # where nothing could be measured there is still a table, of no sessions
        frame = pd.DataFrame(known) if known else pd.DataFrame(index=own.index)
        frame["difference"] = own - measured["therapist_value"]
        keys = ["dyad", "session"]
        columns = {measure.column for words in PERSON_GUARDS.values() for measure in words.measures}
        for beside in (None if quality is None else quality[quality["person"] == "client"], synchrony):
            further = [name for name in columns if beside is not None and name in beside and name not in frame]
            if beside is not None and further:
                rows = beside[(beside["modality"] == modality) & beside["task"].isin(within["task"].unique())]
                numbers = rows[further].apply(pd.to_numeric, errors="coerce")
                frame = frame.join(numbers.groupby([rows[key] for key in keys]).mean())
        rows = frame.reset_index()
        return cls(index, modality, Slopes.of(rows, sessions, {"": 1.0}))

    @cached_property
    def in_decibel(self) -> bool:
        """Whether measures of power and the index have one scale."""
        return index_facts(self.index.name).scale == "dB"

    def limit(self, sign: float) -> Array:
        """Change of a power in dB that does not matter yet: a share of the index's, or :data:`MATERIAL_DB` in all.

        Shapes: returns (n_rows,).
        """
        if self.in_decibel:
            return np.asarray(BAND_SHARE * sign * self.slopes.column("client_value"))
        t = self.slopes.frame["t"].to_numpy(float)
        return np.asarray(MATERIAL_DB * t / max(float(np.ptp(t)), np.finfo(float).tiny))

    def part_without(self, column: str) -> str:
        """Say in how many sessions of the index the client has no value of a measure; empty where all have one."""
        there = np.isfinite(self.slopes.column("client_value"))
        gone = there & ~np.isfinite(self.slopes.column(column))
        return f"{int(gone.sum())} of {count(int(there.sum()), 'session')}" if gone.any() else ""

    def ask(self, sign: float) -> tuple[Guard, ...]:
        """Answer of every guard that is asked of such an index."""
        out = []
        for name, words in PERSON_GUARDS.items():
            lacking = not any(column in self.slopes.frame for column in words.columns)
            coupling = not index_facts(self.index.name).scale
            if self.modality not in words.modalities or (lacking and name in ON_REQUEST):
                continue
            if words.metrics and self.index.name not in words.metrics:
                continue
            if (name == "even_rhythm" and not coupling) or (name == "twin" and not index_facts(self.index.name).twin):
                continue
            out.append(_OWN.get(name, ask_measures)(words, self, sign))
        return tuple(out)


def _course(within: pd.DataFrame, index: Index, person: str) -> pd.Series:
    """Values of an index by dyad and session, runs averaged; empty where the table has none."""
    rows = index_rows(within, index.name)
    rows = rows[(rows["person"] == person) & (rows["band"] == index.band) & (rows["region"] == index.region)]
    return rows.groupby(["dyad", "session"])["value"].mean().dropna()


def ask_therapist(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether the client changes by more than the therapist."""
    slopes = evidence.slopes
    test, control = (slopes.test(slopes.column(name)) for name in ("difference", "therapist_value"))
    lack = slopes.lacks("the index in both people", test)
    if lack:
        return not_assessable(words.name, lack)
    passed = test.in_direction(sign, 0.05)
    detail = f"Client minus therapist {moves(sign, passed)} ({figure_text(test)}; therapist: {figure_text(control)})."
    return Guard(words.name, passed, test.slope, detail)


def ask_twin(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether the other version of the index changes the same way."""
    slopes, facts = evidence.slopes, index_facts(evidence.index.name)
    test = slopes.test(slopes.column("twin"))
    lack = slopes.lacks(facts.twin, test)
    if lack:
        return not_assessable(words.name, lack)
    changes = test.in_direction(sign, 0.05)
    beyond = slopes.column("twin") - facts.twin_share * slopes.column("client_value")
    passed = changes and (not facts.twin_share or slopes.test(beyond).in_direction(sign, 0.05))
    weak = ", but not clearly by more than half as much" if changes and not passed else ""
    label = index_facts(facts.twin).label
    detail = f"{label[0].upper()}{label[1:]} {moves(sign, changes)}{weak} ({figure_text(test)})."
    return Guard(words.name, passed, test.slope, detail)


def ask_measures(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether a measure of the client's recordings changes, beyond a share of the index where they compare."""
    slopes, known, failed, lacks = evidence.slopes, [], [], []
    for measure in words.measures:
        column = slopes.column(measure.column)
        # power matters by how much it changes, other measures by whether they do
        limit = evidence.limit(sign) if words.name.endswith("_frequencies") else None
        test, moved = material(slopes, column, 0, limit)
        name = f"{measure.label} ({measure.column})"
        # recordings without it were prepared in another way than those with it; of a column of the study half is enough
        part = "" if words.name in ON_REQUEST else evidence.part_without(measure.column)
        lack = slopes.lacks(name, test) or (part and f"{part} have no {name}")
        lacks += [lack] if lack else []
        known += [] if lack else [(measure, test)]
        failed += [(measure, test)] if moved and not lack else []
    if lacks and not failed:
        return not_assessable(words.name, lacks[0])
    measure, test = (failed or known)[0]
    small = words.name.endswith("_frequencies")
    verb = "does not clearly change by enough to matter" if small else "shows no clear change"
    verb = f"{moves(test.slope, True)}, too" if failed else verb
    label = measure.label[0].upper() + measure.label[1:]
    return Guard(words.name, not failed, test.slope, f"{label} {verb} ({figure_text(test)}).")


def material(slopes: Slopes, measure: Array, direction: float, limit: Array | None) -> tuple[SlopeTest, bool]:
    """Test a measure's slope, and say whether it is large enough to matter; direction 0 = either.

    With a limit the measure has to change by more than that does; without one any clear change counts.

    Shapes: ``measure, limit`` (n_rows,).
    """
    test = slopes.test(measure)
    towards = direction or (1.0 if test.slope >= 0 else -1.0)
    if limit is None:
        return test, test.in_direction(towards, 0.05)
    beyond = slopes.test(towards * measure - limit)
    return test, test.slope * towards > 0 and beyond.in_direction(1, 0.10)


def ask_drowsiness(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether theta and alpha move against each other."""
    slopes, band = evidence.slopes, evidence.index.band
    theta, alpha = slopes.column("theta"), slopes.column("alpha")
    others = {"alpha": theta, "theta": alpha}
    if evidence.in_decibel and band in others:
        name = "theta" if band == "alpha" else "alpha"
        test, moved = material(slopes, others[band], -sign, evidence.limit(sign))
        asked = [test]
    else:
        name, test, beside = "theta", slopes.test(theta), slopes.test(alpha)
        # both have to move, against each other
        moved = test.in_direction(-beside.slope, 0.05) and beside.in_direction(beside.slope, 0.05)
        asked = [test, beside]
    lack = slopes.lacks("power of theta and of alpha", *asked)
    if lack:
        return not_assessable(words.name, lack)
    verb = "moves as it does in drowsiness, or in waking from it" if moved else "does not move as it does in drowsiness"
    detail = f"Power of {name} {verb} ({figure_text(test)})."
    return Guard(words.name, not moved, test.slope, detail)


def ask_beta(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether beta moves against the index: the background below a rhythm is fitted through it."""
    slopes = evidence.slopes
    test, moved = material(slopes, slopes.column("beta"), -sign, evidence.limit(sign))
    lack = slopes.lacks("power of beta", test)
    if lack:
        return not_assessable(words.name, lack)
    verb = "moves against it, which bends the background" if moved else "does not move against it"
    return Guard(words.name, not moved, test.slope, f"Power of beta {verb} ({figure_text(test)}).")


def ask_evenness(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether the rhythm becomes steadier where coupling rises."""
    slopes = evidence.slopes
    test, moved = material(slopes, slopes.column("evenness"), sign, None)
    lack = slopes.lacks("evenness of the rhythm", test)
    if lack:
        return not_assessable(words.name, lack)
    verb = moves(sign, moved) + f", which by itself may make coupling {way(sign)}" * moved
    return Guard(words.name, not moved, test.slope, f"Evenness of the rhythm {verb} ({figure_text(test)}).")


#: Guards that look at more than whether measures change.
_OWN: Mapping[str, Callable[[GuardWords, PersonEvidence, float], Guard]] = MappingProxyType(
    {
        "therapist": ask_therapist,
        "twin": ask_twin,
        "haemoglobins": ask_twin,
        "drowsiness": ask_drowsiness,
        "beta": ask_beta,
        "even_rhythm": ask_evenness,
    }
)


#: The synchrony of the pair, as a column beside an index of one person.
SYNCHRONY = "synchrony"


#: What is said where a response is asked for that the table does not hold.
_NO_RESPONSE = (
    " A response, INDEX/TASK/REGION, needs annotations of that name in the recordings, and the name in fnirs_tasks."
)


def choose_index(within: pd.DataFrame, asked: str, default: Index) -> Index:
    """Find the index that is meant: what was not named is what the table has one of, else the default's.

    Examples
    --------
    >>> table = pd.DataFrame({"index": ["power"] * 2, "band": ["alpha", "beta"], "region": "all"})
    >>> str(choose_index(table, "power", Index("power", "alpha", "posterior")))
    'power/alpha/all'
    """
    wanted = Index.parse(asked) if asked else default
    rows = within
    found: list[str] = []
    for column, label, usual in zip(INDEX_COLUMNS, wanted, default, strict=True):
        known = sorted(set(rows[column].fillna("").astype(str)))
        chosen = label or (known[0] if len(known) == 1 else usual)
        if chosen not in known:
            before = "/".join(found)
            raise InputError(
                f"within = {str(wanted)!r}: there is no {column} {chosen!r}{f' of {before}' if before else ''}; "
                f"there are: {', '.join(filter(None, known)) or 'none'}.{did_you_mean(chosen, known)} "
                f"Write INDEX/BAND/REGION.{_NO_RESPONSE if index_facts(wanted.name).of_task else ''}"
            )
        rows, found = rows[rows[column].fillna("").astype(str) == chosen], [*found, chosen]
    return Index(*found)


def fit_within(
    within: pd.DataFrame,
    index: Index,
    quality: pd.DataFrame | None = None,
    synchrony: pd.DataFrame | None = None,
    *,
    time: str = "session",
    equivalence_slope: float = StudyConfig.equivalence_slope,
    outcomes: Sequence[str | FurtherOutcome] = (),
    n_flips: int = 100_000,
    seed: int | np.random.Generator = 0,
) -> GrowthResult:
    """Ask whether an index of the client alone changes over the sessions, by more than the therapist's and the caps.

    Parameters
    ----------
    within : DataFrame, shape (n_rows, n_columns)
        within.tsv of one modality and task.
    index : Index
        The index that was named in advance; ``exploratory`` holds its other bands and regions.
    quality : DataFrame, optional
        quality.tsv, shape (2 * n_sessions, n_columns).
    synchrony : DataFrame, optional
        Rows of the primary outcome of synchrony.tsv, shape (n_sessions, n_columns): with them the index is related
        to the synchrony of the pair (``synchrony``) and to `outcomes`.
    time : {'session', 'weeks'}
        Time axis.
    equivalence_slope : float
        Smallest slope of interest in the index's scale, named in advance; 0 = none.
    outcomes : sequence of str or FurtherOutcome, shape (n_outcomes,)
        Columns of `synchrony` to relate the index to.
    n_flips, seed
        As for :func:`fit_growth`.

    Returns
    -------
    GrowthResult
        Its verdict is a word of :data:`hyperscan.words.PERSON_VERDICTS`; the unit is the dyad's client.

    Raises
    ------
    InputError
        If the table holds no such index.

    Examples
    --------
    >>> who = "client"
    >>> rows = [
    ...     (f"D{d}", f"T{d}", f"C{d}", s, "eeg", person, "eeg", "power", "alpha", "frontal", d * s * (person == who))
    ...     for d in range(8) for s in (1, 2, 3) for person in ("therapist", who)
    ... ]
    >>> columns = ["dyad", "therapist", "client", "session", "modality", "person", "signal"]
    >>> table = pd.DataFrame(rows, columns=[*columns, "index", "band", "region", "value"]).assign(task="", run="")
    >>> found = fit_within(table, Index("power", "alpha", "frontal"), n_flips=19)
    >>> round(found.weighted.slope, 1)
    3.5
    """
    chosen = index_rows(within, index.name)
    client = chosen[chosen["person"] == "client"]
    if client.empty:
        raise InputError(f"within = {str(index)!r}: the table has no such index of a client. Look into within.tsv.")
    table = client.rename(columns={"index": "metric", "region": "roi"})
    asked: tuple[FurtherOutcome, ...] = ()
    if synchrony is not None:
        beside = synchrony.rename(columns={"excess_z": SYNCHRONY})
        known = (FurtherOutcome(SYNCHRONY), *FurtherOutcome.parse_all(outcomes))
        asked = tuple(each for each in known if each.name in beside)
        joined = beside[[*KEYS, *(each.name for each in asked)]].drop_duplicates(list(KEYS))
        table = table.merge(joined, on=list(KEYS), how="left")
    result = fit_growth(
        table,
        "value",
        time,
        {"metric": index.name, "band": index.band, "roi": index.region},
        equivalence_slope=equivalence_slope,
        outcomes=asked,
        n_flips=n_flips,
        seed=seed,
    )
    evidence = PersonEvidence.of(within, index, result.per_session, quality, synchrony)
    claimed = claimed_sign(result.weighted, result.two_stage, result.therapist_level)
    result = replace(result, guards=evidence.ask(claimed or 1))
    # what changes an index either way may hide a change as well
    hidden = [g.spoken for g in result.guards if g.passed is False and PERSON_GUARDS[g.name].measures and not claimed]
    if result.equivalence:
        result = replace(result, equivalence=replace(result.equivalence, hidden_by=", ".join(hidden)))
    word = decide(
        n_dyads=result.two_stage.n,
        claimed=claimed,
        equivalent=result.equivalence.holds and not hidden if result.equivalence else None,
        guards=result.guards,
    )
    if word in UNCLAIMED:
        result = replace(result, guards=not_asked(result.guards, "change", tested=word != "cannot_tell"))
    verdict = word.replace("grows", "changes_up").replace("declines", "changes_down")
    name = f"the client's {index_facts(index.name).label} ({index})"
    told = tuple(replace(each, sentence=each.sentence.replace(called("value"), name)) for each in result.outcomes)
    return replace(result, verdict=verdict, sentence=_sentence(verdict, index, result, evidence), outcomes=told)


def _sentence(verdict: str, index: Index, result: GrowthResult, evidence: PersonEvidence) -> str:
    """Write one honest paragraph for a verdict on a person."""
    from hyperscan.metrics.table import index_scale

    facts, test, unit = index_facts(index.name), result.weighted, result.design.unit
    found = Findings(**{item.name: getattr(result, item.name) for item in fields(Findings)})
    bound = found.equivalence.bound if found.equivalence else None
    scale = f" {index_scale(index.name)}".removesuffix(" 1")
    opening = PERSON_VERDICTS[verdict].opening.format(
        what=f"{facts.label} ({index})", bound=f"{bound:g}{scale} per {unit}" if bound else ""
    )
    parts = [opening]
    if found.primary.fit is not None:
        slopes = evidence.slopes
        others = [(name, slopes.test(slopes.column(name))) for name in _SAID]
        told = [
            f"{_SAID[name]} {test.slope:+.3g}" + (f", {p_text(test.p)}" if test.n >= MIN_DYADS else "")
            for name, test in others
            if test.n > 1
        ]
        parts.append(
            f"b = {test.slope:+.3g}{scale} per {unit} ({tell_test(test)}; {found.primary.n_dyads} clients, "
            f"{found.primary.n_sessions} sessions){tell_others(found, found.primary.fit)}"
            + "".join(f"; {text}" for text in told)
            + "."
        )
    if verdict in ("changes_up", "changes_down"):
        parts.append("Every guard was passed. It is a measure at the scalp; nothing here shows what brought it about.")
    elif verdict in ("no_clear_change", "no_change", "cannot_tell"):
        parts.append(tell_reason(verdict, found))
    if verdict != "cannot_tell":
        parts.append(tell_guards(found.guards))
    parts.append(tell_limits(verdict, found, StudyConfig.min_pseudo))
    return " ".join(part for part in parts if part)


#: Courses that a sentence tells beside the client's.
_SAID = {"therapist_value": "the therapists' slope", "difference": "client minus therapist"}


@dataclass(frozen=True)
class PersonSlopes:
    """Slopes of one index: client, therapist, and client minus therapist."""

    index: Index
    client: SlopeTest
    therapist: SlopeTest
    difference: SlopeTest
    #: Of client minus therapist, corrected for all indices by the maximum statistic; NaN with too few dyads
    p_max_t: float


def slopes_of_people(
    within: pd.DataFrame, time: str = "session", *, n_flips: int = 10_000, seed: int = 0
) -> list[PersonSlopes]:
    """Slopes of every index of one modality and task, which describe and decide nothing.

    Examples
    --------
    >>> rows = [("D%d" % d, s, p, "power", "alpha", "all", d + (p == "client") * s * (1 + d / 10), 7 * s)
    ...         for d in range(6) for s in range(1, 4) for p in ("therapist", "client")]
    >>> columns = ["dyad", "session", "person", "index", "band", "region", "value", "days"]
    >>> (found,) = slopes_of_people(pd.DataFrame(rows, columns=columns))
    >>> round(found.client.slope, 2), found.therapist.slope
    (1.25, 0.0)
    """
    rows = within.assign(band=within["band"].fillna("").astype(str))
    t = rows["days"] / 7 if time == "weeks" else rows["session"] - 1.0
    mean = rows.assign(t=t).groupby([*INDEX_COLUMNS, "dyad", "session", "person"], sort=False)[["t", "value"]].mean()
    wide = mean["value"].unstack("person").reindex(columns=list(ROLES))
    wide["difference"] = wide["client"] - wide["therapist"]
    wide["t"] = mean["t"].groupby(level=[*INDEX_COLUMNS, "dyad", "session"], sort=False).mean()
    table = wide.reset_index()
    dyads = np.unique(table["dyad"].to_numpy(str))
    frame = table.assign(code=np.searchsorted(dyads, table["dyad"].to_numpy(str)))
    found, columns = [], []
    for key, part in frame.groupby(list(INDEX_COLUMNS), sort=False):
        slopes = Slopes(part, len(dyads))
        tests = {name: slopes.per_dyad(part[name].to_numpy(float)) for name in (*ROLES, "difference")}
        tested = {name: slope_test(each) for name, each in tests.items()}
        found.append((Index(*map(str, key)), {name: without_tests(test, test.n) for name, test in tested.items()}))
        columns.append(tests["difference"])
    p_max = np.full(len(found), np.nan)
    enough = np.array([tests["difference"].n >= MIN_DYADS for _, tests in found], bool)
    if enough.any():
        matrix = np.column_stack([column for column, keep in zip(columns, enough, strict=True) if keep])
        p_max[enough] = max_t(matrix, np.random.default_rng(seed), n_flips)
    return [
        PersonSlopes(index, tests["client"], tests["therapist"], tests["difference"], float(p))
        for (index, tests), p in zip(found, p_max, strict=True)
    ]
