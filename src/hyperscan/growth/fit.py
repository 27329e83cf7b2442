"""Fit growth: from a tidy table to the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.config import BANDS, FurtherOutcome, Primary, StudyConfig, check_contrasts
from hyperscan.errors import InputError
from hyperscan.growth.contrasts import ORDER, Contrast, compare_conditions
from hyperscan.growth.differences import Asking, Difference
from hyperscan.growth.evidence import Evidence, recording_table, recording_trends
from hyperscan.growth.few import findings_without_tests, without_tests
from hyperscan.growth.flips import benjamini_hochberg, flip_test, max_t
from hyperscan.growth.groups import Groups, compare_groups, labels_of, numbers_of, relate_moderators
from hyperscan.growth.guards import ask_guards, find_hiding, not_asked
from hyperscan.growth.model import Design, bayes_factor, equivalence, slope_of, therapist_level
from hyperscan.growth.outcomes import relate_outcomes
from hyperscan.growth.records import Analysis, ExploratorySlope, Figures, Findings, PrimarySlope, Recordings, SlopeTest
from hyperscan.growth.result import GrowthResult
from hyperscan.growth.shape import describe_shape
from hyperscan.growth.slopes import (
    describe_dyad,
    dyad_slopes,
    estimates_of,
    for_lent_people,
    leave_one_out,
    level_for_lent_people,
    slope_test,
)
from hyperscan.growth.table import (
    Names,
    Sessions,
    choose,
    holds_yes_no,
    label_column,
    missing_sessions,
    number_column,
    regions_once,
    sessions_of,
    text_column,
    tidy,
)
from hyperscan.growth.verdict import UNCLAIMED, claimed_sign, decide, is_masked, scale_of, sentence, subject
from hyperscan.schema import (
    MIN_DYADS,
    MODALITIES,
    OUTCOME_COLUMNS,
    OUTCOME_LABELS,
    SIGNALS,
    SIGNED_OUTCOMES,
    STUDY,
    STUDY_BANDS,
    Outcome,
)
from hyperscan.transforms.filters import reaches_into

Array = NDArray[np.float64]

#: Lower and upper edge of a band in Hz
Edges = tuple[float, float]

#: With n random flips the smallest p is 1 / (n + 1).
MIN_FLIPS = 19


def fit_growth(
    table: pd.DataFrame,
    value: str = "excess_z",
    time: str = "session",
    primary: Primary | Mapping[str, str] | None = None,
    guards: pd.DataFrame | None = None,
    quality: pd.DataFrame | None = None,
    *,
    dyad: str = "dyad",
    therapist: str = "therapist",
    session: str = "session",
    days: str = "days",
    modality: str | None = None,
    signal: str | None = None,
    equivalence_slope: float = StudyConfig.equivalence_slope,
    min_pseudo: int = StudyConfig.min_pseudo,
    outcomes: Sequence[str | Mapping[str, str | Sequence[str]] | FurtherOutcome] = (),
    bands: Mapping[str, Edges] = MappingProxyType({}),
    contrasts: Mapping[str, Contrast] = MappingProxyType({}),
    group: str = StudyConfig.group,
    reference: str = StudyConfig.reference,
    moderators: Sequence[str] = StudyConfig.moderators,
    n_flips: int = 100_000,
    seed: int | np.random.Generator = 0,
) -> GrowthResult:
    """Ask whether synchrony grows over the sessions, by more than chance and the recordings did.

    Parameters
    ----------
    table : DataFrame, shape (n_rows, n_columns)
        One row per dyad and session (and outcome): synchrony.tsv of a run, or any table
        with a dyad, a time and a value. Rows without a value are left out and counted.
    value : str
        Column of the outcome; ``excess_z`` is synchrony on its growth scale above the re-paired dyads' mean. Of
        ``lead_asymmetry_excess`` growth says that there is more excess where the therapist leads than there was, above
        that where the client does, which coupling that grows at a constant lead makes, too; guards of how much
        synchrony there is say nothing of it, so it is at most ``grows_unchecked``.
    time : str
        ``session`` (0 at session 1), ``weeks`` (days / 7), or any numeric column.
    primary : Primary or mapping, optional
        The outcome named in advance: ``metric band roi task``; what it leaves out is, of a study's table, as the study
        named it (``{"task": "rest"}`` asks for another task), else what the table has one of, else that of
        :data:`hyperscan.config.PRIMARY`. All others are exploratory.
    guards, quality : DataFrame, optional
        Guard and quality tables of the run, one row per dyad and session (and person). Without them a change is at
        most ``grows_unchecked``.
    dyad, therapist, session, days : str
        What the table's columns are called; only dyad, time and value have to be there.
    modality : {'eeg', 'fnirs'}, optional
        Which rows and which guards, where the table does not say or holds both.
    signal : str, optional
        ``hbo`` ... where the table holds several.
    equivalence_slope : float
        Smallest slope of interest, named in advance, per unit of time; 0 = none.
    min_pseudo : int
        Fewer pseudo pairs than this make a weak chance level, which the sentence says.
    outcomes : sequence of str, mapping or FurtherOutcome, shape (n_outcomes,)
        Columns (symptoms, alliance) to relate to synchrony, corrected for all that is asked: a name, or
        ``{"name": "wai", "measured": "after", "relations": ["next_session"]}``.
    bands : mapping, optional
        Edges in Hz by name: a band whose filter reaches into one that changes more is said to leak. What it leaves out
        are those of the study for a study's table, else those of :data:`hyperscan.config.BANDS`.
    contrasts : mapping
        Differences of tasks within dyad and session: ``{"talk_minus_rest": {"talk": 1, "rest": -1}}``. Weights above
        0 sum to 1, those below to -1.
    group : str
        Column that is constant per dyad (an arm): growth of every group is compared with that of ``reference``.
    reference : str
        Group that the others are compared with.
    moderators : sequence of str, shape (n_moderators,)
        Columns of numbers that are constant per dyad, with which growth may go.
    n_flips : int
        Random sign flips above 14 dyads, 19 or more; up to 14 all are enumerated.
    seed : int or numpy.random.Generator
        Source of the flips.

    Returns
    -------
    GrowthResult
        Verdict, sentence and every estimate behind them.

    Raises
    ------
    TableError
        If a column is missing or holds something else than it should, rows repeat, or the outcome is not
        there.
    InputError
        If an argument cannot be used.

    Notes
    -----
    A least-squares slope per dyad, weighted by how precisely its course tells it; CR2 standard error with Bell and
    McCaffrey's degrees of freedom (doi:10.1080/07350015.2016.1247004). A change is claimed where that test has
    p < .05, the plain mean of the slopes has the same sign at p < .20 (at p < .05 where slopes go with the number of
    sessions, p < .20) and, where therapists see several dyads, the test over therapists has p < .05 too. Next to it:
    ``value ~ t + (1 + t | dyad)`` by REML with Satterthwaite degrees of freedom (doi:10.18637/jss.v082.i13) capped at
    dyads - 1, the two-stage t test and exact sign flips. Several runs of a session are averaged first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame([(d, s, 0.1 * s + rng.normal(0, 0.05)) for d in range(8) for s in range(1, 7)],
    ...                      columns=["dyad", "session", "excess_z"])
    >>> fit_growth(table).verdict
    'grows_unchecked'
    """
    _check(equivalence_slope, modality, n_flips, min_pseudo)
    asked = FurtherOutcome.parse_all(outcomes)
    rng = np.random.default_rng(seed)
    names = Names(value, time, dyad, therapist, session, days)
    frame = tidy(table, names)
    bands = {**table.attrs.get(STUDY_BANDS, BANDS), **bands}
    outcome = choose(frame, primary, modality, signal, table.attrs.get(STUDY, {}))
    frame, names, sessions = choose_sessions(frame, names, outcome)
    kind = modality or outcome.modality or ("fnirs" if (outcome.signal or signal) in SIGNALS["fnirs"] else "eeg")
    recordings = recording_table(guards, "guards", kind), recording_table(quality, "quality", kind)
    evidence = gather_evidence(frame, sessions, outcome, bands, recordings, signed=value in SIGNED_OUTCOMES)
    rows, design = sessions.frame, Design.of(sessions.frame)
    y = rows["value"].to_numpy(float)
    # the only outcome of a table need not have been named before its data were seen
    named = primary is not None or STUDY in table.attrs or any(frame[name].nunique() > 1 for name in OUTCOME_COLUMNS)
    analysis = describe_analysis(sessions, names, kind, min_pseudo, n_flips, named)
    found = estimate_levels(design, y, evidence, analysis, float(equivalence_slope), rng)
    verdict, found = conclude(found, evidence, kind)
    asking = Asking(evidence, kind, sessions.unit, scale_of(names.value, outcome.metric), subject(found), rng, n_flips)
    slopes, explored = design.slopes(y), explore(frame, outcome, rng, n_flips, bands, evidence.n_lent)
    compared, differences = compare(table, frame, names, asking, contrasts, group, reference, moderators)
    return GrowthResult(
        verdict=verdict,
        sentence=sentence(verdict, found, min_pseudo),
        **vars(found),
        bayes_factor=bayes_factor(design, y) if found.two_stage.n >= MIN_DYADS else None,
        exploratory=explored,
        outcomes=relate_outcomes(asked, table, frame, evidence, analysis),
        figures=find_figures(design, y, evidence, table, names),
        per_dyad=describe_dyads(rows, design, slopes, design.weights(y)),
        per_session=rows,
        differences=differences,
        groups=compared,
        shape=describe_shape(rows, rng, n_flips, evidence.n_lent),
    )


def gather_evidence(
    frame: pd.DataFrame,
    sessions: Sessions,
    outcome: Outcome,
    bands: Mapping[str, Edges],
    recordings: tuple[pd.DataFrame | None, pd.DataFrame | None],
    *,
    signed: bool,
) -> Evidence:
    """Join what the guards look at: the sessions, the tables of guards and quality, and the bands beside."""
    return Evidence(
        *(sessions.frame, outcome, *recordings),
        neighbours=neighbours_of(frame, outcome, bands),
        unknown_bands=unknown_bands(frame, outcome, bands),
        signed=signed,
    )


def find_figures(design: Design, y: Array, evidence: Evidence, table: pd.DataFrame, names: Names) -> Figures:
    """Find what stands beside the guards: trends of the recordings, what one dyad decides, and what is missing."""
    estimates = estimates_of(y, design.t, design.codes, len(design.labels))
    return Figures(
        recording_trends(evidence, table, names),
        leave_one_out(estimates, design.labels, evidence.n_lent),
        missing_sessions(evidence.sessions, names.session in table),
    )


def conclude(found: Findings, evidence: Evidence, kind: str) -> tuple[str, Findings]:
    """Decide the verdict: what the tests claim is asked of the guards."""
    claimed = claimed_sign(found.weighted, found.two_stage, found.therapist_level)
    found = replace(found, guards=ask_guards(evidence, kind, float(claimed or 1)))
    if not claimed and found.equivalence and found.equivalence.holds:
        found = replace(found, equivalence=replace(found.equivalence, hidden_by=", ".join(find_hiding(evidence, kind))))
    told = decide(n_dyads=found.two_stage.n, claimed=claimed, equivalent=found.equivalent, guards=found.guards)
    if told in UNCLAIMED:
        recordings = replace(found.recordings, masked=not claimed and is_masked(found.guards))
        guards = not_asked(found.guards, "change", tested=told != "cannot_tell")
        found = replace(found, guards=guards, recordings=recordings)
    return told, findings_without_tests(found)


def choose_sessions(frame: pd.DataFrame, names: Names, outcome: Outcome) -> tuple[pd.DataFrame, Names, Sessions]:
    """Take the sessions of the outcome: of one dyad without an excess, those of its raw synchrony."""
    unit = {"session": "session", "weeks": "week"}.get(names.time, names.time)
    sessions = sessions_of(frame, outcome, unit)
    if sessions.frame.empty and names.value == "excess_z" and "z" in frame and frame["dyad"].nunique() == 1:
        # one dyad has no re-paired others, so no excess: its raw synchrony is described instead
        frame, names = frame.assign(value=frame["z"]), replace(names, value="z")
        sessions = sessions_of(frame, outcome, unit)
    return frame, names, sessions


def _check(equivalence_slope: float, modality: str | None, n_flips: int, min_pseudo: int) -> None:
    """Refuse arguments that cannot be used."""
    number = isinstance(equivalence_slope, int | float) and not isinstance(equivalence_slope, bool)
    if not (number and 0 <= equivalence_slope < np.inf):
        raise InputError(f"equivalence_slope = {equivalence_slope!r}: expected 0 (none) or a positive slope.")
    if modality is not None and modality not in MODALITIES:
        raise InputError(f"modality = {modality!r}: expected 'eeg' or 'fnirs', which have guards of their own.")
    if not isinstance(n_flips, int | np.integer) or n_flips < MIN_FLIPS:
        raise InputError(f"n_flips = {n_flips!r}: expected a whole number from {MIN_FLIPS} on; fewer reach no p = .05.")
    if not isinstance(min_pseudo, int | np.integer) or isinstance(min_pseudo, bool) or min_pseudo < 1:
        raise InputError(f"min_pseudo = {min_pseudo!r}: expected a whole number from 1 on.")


def compare(
    table: pd.DataFrame,
    frame: pd.DataFrame,
    names: Names,
    asking: Asking,
    contrasts: Mapping[str, Contrast],
    group: str,
    reference: str,
    moderators: Sequence[str],
) -> tuple[Groups | None, tuple[Difference, ...]]:
    """Compare conditions within dyads, and growth between dyads: groups, and numbers that go with it."""
    contrasts = check_contrasts(contrasts)
    if isinstance(moderators, str):
        raise InputError(f"moderators = {moderators!r}: expected a list of columns, such as [{moderators!r}].")
    order: pd.DataFrame | None = None
    found: list[Difference] = []
    if contrasts and {ORDER, "task", names.session} <= set(table):
        columns = {"dyad": label_column(table, names.dyad), "session": number_column(table, names.session)}
        columns |= {"task": text_column(table, "task"), "order": number_column(table, ORDER)}
        order = pd.DataFrame(columns).drop_duplicates()
    found += compare_conditions(frame, contrasts, asking, order) if contrasts else []
    rows, groups = asking.evidence.sessions, None
    if group:
        groups, pairs = compare_groups(rows, labels_of(table, names.dyad, group), group, reference, asking)
        found += pairs
    found += relate_moderators(rows, {name: numbers_of(table, names.dyad, name) for name in moderators}, asking)
    return groups, tuple(found)


def describe_analysis(
    sessions: Sessions, names: Names, modality: str, min_pseudo: int, n_flips: int, named: bool
) -> Analysis:
    """Say what is analysed, what was left out, and in how many sessions the chance level is weak or the lag null."""
    paired = sessions.frame.get("n_pseudo") if names.value in ("excess_z", *SIGNED_OUTCOMES) else None
    return Analysis(
        value=names.value,
        time=names.time,
        unit=sessions.unit,
        modality=modality,
        signal=sessions.outcome.signal,
        n_dyads_with_slope=Design.of(sessions.frame).n_with_slope,
        left_out=sessions.left_out,
        n_averaged=sessions.n_averaged,
        n_weak_chance=None if paired is None else int((paired < min_pseudo).sum()),
        n_lag_chance=None if paired is None else int((paired < 1).sum()),
        n_flips=int(n_flips),
        yes_no=holds_yes_no(sessions.frame["value"]),
        named=named,
    )


def estimate_levels(
    design: Design, y: Array, evidence: Evidence, analysis: Analysis, bound: float, rng: np.random.Generator
) -> Findings:
    """Estimate and test the slope at every level.

    Shapes: ``y`` (n,).
    """
    slopes, lent = design.slopes(y), evidence.n_lent
    capped, weighted, two_stage = design.capped(y), design.weighted(y), slope_test(slopes)
    capped = capped and for_lent_people(capped, lent)
    weighted, two_stage = for_lent_people(weighted, lent), for_lent_people(two_stage, lent)
    level = level_for_lent_people(therapist_level(design, y, slopes), lent)
    alone = len(design.labels) == 1
    return Findings(
        primary=PrimarySlope(evidence.outcome, capped, len(design.labels), len(y)),
        weighted=weighted,
        two_stage=two_stage,
        sign_flip=flip_test(slopes, rng, analysis.n_flips),
        real_slope=slope_of(design, evidence.sessions, "z"),
        pseudo_slope=slope_of(design, evidence.sessions, "pseudo_mean_z"),
        therapist_level=level,
        equivalence=None if capped is None else equivalence(capped, [weighted, two_stage], level, bound),
        one_dyad=describe_dyad(design.t, y, rng, analysis.n_flips) if alone else None,
        design=analysis,
        recordings=Recordings(evidence.clocks, evidence.signal_fraction),
    )


def explore(
    frame: pd.DataFrame,
    primary: Outcome,
    rng: np.random.Generator,
    n_flips: int,
    bands: Mapping[str, Edges] = BANDS,
    n_lent: float = 0.0,
) -> tuple[ExploratorySlope, ...]:
    """Test every outcome of a tidy table, corrected for all of them; regions of the same channels count once."""
    found = regions_once(frame[frame["value"].notna() & frame["t"].notna()], "value", primary.roi)
    labels, codes = np.unique(found["dyad"].to_numpy(str), return_inverse=True)
    outcomes, slopes = [], []
    # runs of a session are averaged, as for the primary outcome
    keys = [*OUTCOME_LABELS, "code", "session"]
    means = found.assign(code=codes).groupby(keys, sort=True)[["t", "value"]].mean().reset_index()
    for key, rows in means.groupby(list(OUTCOME_LABELS), sort=True):
        outcomes.append(Outcome(**dict(zip(OUTCOME_LABELS, key, strict=True))))
        slopes.append(dyad_slopes(rows["value"], rows["t"], rows["code"], len(labels)))
    if not outcomes:
        return ()
    matrix = np.column_stack(slopes)
    tests = [for_lent_people(slope_test(column), n_lent) for column in matrix.T]
    tests = [without_tests(test, test.n) for test in tests]
    # t of two or three dyads is now and then immense: their maximum would hide every other outcome
    enough = np.array([test.n >= MIN_DYADS for test in tests])
    p_max = np.full(len(tests), np.nan)
    p_max[enough] = max_t(matrix[:, enough], rng, n_flips)
    q = benjamini_hochberg([test.p for test in tests])
    by_outcome = dict(zip(outcomes, tests, strict=True))
    return tuple(
        ExploratorySlope(
            outcome, test, float(p_max[i]), float(q[i]), outcome == primary, leak_of(outcome, by_outcome, bands)
        )
        for i, (outcome, test) in enumerate(by_outcome.items())
    )


def leak_of(outcome: Outcome, tests: Mapping[Outcome, SlopeTest], bands: Mapping[str, Edges]) -> str:
    """Name the band that an outcome may only show the skirt of: it changes more, and the filter reaches into it.

    Phase locking does not know how strong a signal is, so a little of a coupled rhythm is enough.
    """
    mine, found = tests[outcome], ("", 0.0)
    for band in bands_below_skirt(outcome.band, bands):
        other = tests.get(replace(outcome, band=band))
        if other is not None and abs(other.slope) > max(abs(mine.slope), found[1]):
            found = (band, abs(other.slope)) if other.in_direction(mine.slope, 0.05) else found
    return found[0]


def bands_below_skirt(band: str, bands: Mapping[str, Edges]) -> list[str]:
    """Name the bands beside one that its filter reaches into; what overlaps it is no other band."""
    if band not in bands:
        return []
    low, high = bands[band]
    beside = {name: edges for name, edges in bands.items() if edges[0] >= high or edges[1] <= low}
    return [name for name, edges in beside.items() if reaches_into((low, high), edges)]


def neighbours_of(frame: pd.DataFrame, outcome: Outcome, bands: Mapping[str, Edges]) -> dict[str, pd.DataFrame]:
    """Rows of a tidy table that may leak into an outcome, all tasks, by band; only bands that the table holds."""
    mine = all_bands(frame, outcome)
    rows = {band: mine[mine["band"] == band] for band in bands_below_skirt(outcome.band, bands)}
    return {
        band: part[["dyad", "session", "task", "value"]] for band, part in rows.items() if part["value"].notna().any()
    }


def all_bands(frame: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Rows of a tidy table that are the outcome in any band and task."""
    kept = [name for name in OUTCOME_LABELS if name not in ("band", "task")]
    return frame[np.logical_and.reduce([frame[name] == getattr(outcome, name) for name in kept])]


def unknown_bands(frame: pd.DataFrame, outcome: Outcome, bands: Mapping[str, Edges]) -> tuple[str, ...]:
    """Name the bands without known edges, of an outcome that the table holds in several."""
    mine = all_bands(frame, outcome)
    held = sorted(mine.loc[mine["value"].notna(), "band"].unique())
    return tuple(band for band in held if band not in bands) if len(held) > 1 else ()


def describe_dyads(rows: pd.DataFrame, design: Design, slopes: Array, weights: Array) -> pd.DataFrame:
    """Slope, its share in the weighted mean, number of sessions and mean of every dyad.

    Shapes: ``slopes, weights`` (n_dyads,).
    """
    grouped = rows.groupby("dyad")["value"]
    out = pd.DataFrame({"dyad": design.labels, "slope": slopes, "weight": weights})
    out["n_sessions"] = grouped.size().to_numpy()
    out["mean"] = grouped.mean().to_numpy()
    if design.therapists is not None:
        out.insert(1, "therapist", design.therapists)
    return out
