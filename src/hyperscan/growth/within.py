"""Change of one person alone over the sessions: the client's course, with the therapist's as control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.config import FurtherOutcome, StudyConfig
from hyperscan.errors import InputError, did_you_mean, p_text
from hyperscan.growth.evidence import Slopes
from hyperscan.growth.few import without_tests
from hyperscan.growth.fit import fit_growth
from hyperscan.growth.flips import max_t
from hyperscan.growth.guards import not_asked
from hyperscan.growth.outcomes import called
from hyperscan.growth.records import Findings, SlopeTest
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
from hyperscan.growth.within_guards import PersonEvidence, index_rows
from hyperscan.schema import INDEX_COLUMNS, KEYS, MIN_DYADS, ROLES, Index, index_facts
from hyperscan.words import PERSON_GUARDS, PERSON_VERDICTS

Array = NDArray[np.float64]

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
    facts, test, unit = index_facts(index.name), result.weighted, result.design.unit
    found = Findings(**{item.name: getattr(result, item.name) for item in fields(Findings)})
    bound = found.equivalence.bound if found.equivalence else None
    opening = PERSON_VERDICTS[verdict].opening.format(
        what=f"{facts.label} ({index})", bound=f"{bound:g} per {unit}" if bound else ""
    )
    parts = [opening]
    if found.primary.fit is not None:
        scale = "" if facts.scale == "1" else f" {facts.scale}"
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
