"""What the report's sections hold, as plain records for the template.

A section is a function here, its entry in ``STUDY_SECTIONS`` or ``DYAD_SECTIONS``, and its place in the template.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from hyperscan.errors import NO_INTERVAL, TableError, count, name_some, p_text
from hyperscan.growth import GrowthResult, find_lead, slopes_of_people
from hyperscan.growth.differences import Difference
from hyperscan.growth.few import without_tests
from hyperscan.growth.records import DyadTrend, FlipTest, OutcomeRelation, Record, SlopeTest
from hyperscan.growth.result import told_p
from hyperscan.growth.slopes import weighted_test
from hyperscan.growth.verdict import tell_left_out
from hyperscan.metrics.table import index_scale
from hyperscan.report.methods import methods_of
from hyperscan.report.run import ReportedRun
from hyperscan.report.tables import (
    Table,
    TableCell,
    Values,
    brief_all,
    cell,
    heads_of,
    is_empty,
    lay_out,
    measure,
    one_line,
    rows_of,
    short,
)
from hyperscan.results.plan import OF_SESSIONS
from hyperscan.schema import BANDWISE, CLOCK_COLUMNS, DECISIONS, INDEX_COLUMNS, KEYS, MIN_DYADS, ROLES
from hyperscan.words import (
    DIFFERENCES,
    GUARDS,
    NO_VERDICT,
    PERSON_GUARDS,
    PERSON_VERDICTS,
    RELATION_ANSWERS,
    UNSEEN,
    VERDICTS,
    GuardWords,
    Verdict,
)

#: A dyad gets a page of its own only under a name that is one harmless folder name.
_SAFE = re.compile(r"[A-Za-z0-9]{1,64}")


def dyad_links(run: ReportedRun) -> dict[str, str]:
    """Dyads with a page of their own, and its address."""
    return {dyad: f"dyad-{dyad}/report.html" for dyad in run.dyads if _SAFE.fullmatch(dyad)}


def verdict(run: ReportedRun) -> Verdict:
    """Words for the verdict; an unknown or absent one is called no verdict."""
    return NO_VERDICT if run.growth is None else VERDICTS.get(run.growth.verdict, NO_VERDICT)


@dataclass(frozen=True)
class Account:
    """The sentence of ``growth.json``, told apart for who reads a story and for who reads statistics."""

    story: str
    numbers: str


#: Marks of a sentence that only statistics is said in.
_STATISTICS = re.compile(r"\bb = |\bt\(|\bp [=<>] |random-effects covariance")


def growth_in_words(run: ReportedRun) -> Account:
    """Return what growth says in words, and in numbers."""
    told = "" if run.growth is None else run.growth.sentence
    found = account_of(told.replace(f" {UNSEEN}", ""))
    # what no guard sees is said in the story by "What this cannot say"
    return replace(found, numbers=f"{found.numbers} {UNSEEN}") if UNSEEN in told else found


def account_of(text: str) -> Account:
    """Tell a sentence's words and numbers apart."""
    said = re.split(r"(?<=[.)])\s+(?=[A-Z]|b = )", one_line(text, longest=4000))
    numbers = [sentence for sentence in said if _STATISTICS.search(sentence)]
    # a guard that failed belongs to the story, too
    story = [_without_numbers(sentence) if sentence.startswith("Failed guard") else sentence for sentence in said]
    return Account(" ".join(sentence for sentence in story if sentence not in numbers), " ".join(numbers))


def _without_numbers(text: str) -> str:
    """Take out what stands in brackets, which may hold brackets, around a slope."""
    return re.sub(r" \((?:[^()]|\([^()]*\))*\bslope(?:[^()]|\([^()]*\))*\)", "", text)


@dataclass(frozen=True)
class GuardLine:
    """One guard in words."""

    name: str
    question: str
    #: ``passed``, ``failed``, ``open`` or ``unasked``, and the same as a word and a sign
    state: str
    word: str
    sign: str
    figure: TableCell
    #: What was found, with its numbers and without
    detail: str
    finding: str


def guard_lines(run: ReportedRun) -> list[GuardLine]:
    """Tell what every guard asked and found."""
    return told_guards(run.growth, GUARDS)


#: State, word and sign of a guard that was not asked.
UNASKED = ("unasked", "Not asked", "·")


def told_guards(result: GrowthResult | None, words: Mapping[str, GuardWords]) -> list[GuardLine]:
    """Tell what the guards of a result asked and found."""
    states = {
        True: ("passed", "Passed", "✓"),
        False: ("failed", "Failed", "✗"),
        None: ("open", "Not assessable", "–"),
    }
    lines = []
    for guard in result.guards if result else ():
        question = words[guard.name].question if guard.name in words else ""
        state = states[guard.passed if isinstance(guard.passed, bool) else None] if guard.asked else UNASKED
        shown = one_line(guard.spoken) or "unnamed"
        detail = one_line(guard.detail)
        figure = cell(guard.figure, "figure")
        lines.append(GuardLine(shown, question, *state, figure, detail, _without_numbers(detail)))
    return lines


def guard_table(run: ReportedRun) -> Table | None:
    """List the guards with every number."""
    guards = run.growth.guards if run.growth else ()
    if len(guards) > 1 and len({(guard.passed, guard.figure, guard.detail) for guard in guards}) == 1:
        return None  # all say the same, which stands beside the verdict
    rows = [{"guard": g.spoken, "figure": g.figure, "detail": g.detail} for g in guards]
    heads = {"guard": "Guard", "figure": "Figure", "detail": "In numbers"}
    return lay_out(rows, heads, "The guards in numbers") if rows else None


#: Parts of a :class:`~hyperscan.growth.GrowthResult` that hold an estimate, in words.
SLOPES = MappingProxyType(
    {
        "weighted": "Excess, slopes weighted by precision",
        "primary": "Excess, mixed model",
        "two_stage": "Excess, two-stage (slope per dyad, then t)",
        "sign_flip": "Excess, sign-flip of the dyads' slopes",
        "therapist_level": "Excess, mean slope per therapist",
        "real_slope": "Real pairs",
        "pseudo_slope": "Pseudo pairs (the chance level itself)",
        "equivalence": "Equivalence test",
        "bayes_factor": "Likelihood-ratio test; Bayes factor (BIC, rough)",
        "one_dyad": "This dyad alone (Theil-Sen)",
    }
)

#: Numbers of them that have a column.
SLOPE_COLUMNS = MappingProxyType(
    {"slope": "Slope", "se": "SE", "ci_low": "CI low", "ci_high": "CI high", "t": "t", "df": "df", "p": "p"}
)

#: What else a test may say, in words; anything that a number needs is in ``growth.json``.
SLOPE_NOTES = MappingProxyType(
    {
        "df_satterthwaite": "Satterthwaite df {}",
        "p_satterthwaite": "p with those df {}",
        "n_sessions": "{} sessions",
        "smallest_p": "smallest p that can be reached {}",
        "n_flips": "{} flips",
        "bound": "bound ± {}",
        "holds": "holds: {}",
        "bf01": "BF01 {}",
        "needed": "needed for the verdict: {}",
        "text": "{}",
    }
)

#: How many of what an estimate rests on: the first of these that it has.
SLOPE_SIZES = ("n_dyads", "n_therapists", "n")


def slope_table(run: ReportedRun) -> Table | None:
    """List every slope that the verdict rests on."""
    rows = []
    for name, words in SLOPES.items():
        part: Record | None = getattr(run.growth, name, None)
        # the slope of one dyad is that of the dyad alone
        if part is None or all(is_empty(part.get(number)) for number in ("se", "p", "bound", "text")):
            continue
        if isinstance(part, FlipTest) and not part.tells:
            continue
        words += " (decides)" * (name == "weighted" and not is_empty(part["p"]))
        notes = [
            form.format(cell(part[key], key).text) for key, form in SLOPE_NOTES.items() if not is_empty(part.get(key))
        ]
        notes += ["singular fit, kept"] * (part.get("singular") is True)
        numbers = {key: part.get(key) for key in SLOPE_COLUMNS}
        size = next((part[key] for key in SLOPE_SIZES if key in part), None)
        rows.append({"what": words, **numbers, "n": size, "note": "; ".join(notes)})
    heads = {"what": "Estimate", **SLOPE_COLUMNS, "n": "n", "note": "Note"}
    caption = f"Slopes of the primary outcome in {run.scale} per {run.unit}, with 95 % confidence intervals"
    return lay_out(rows, heads, caption) if rows else None


def trend_table(run: ReportedRun) -> Table | None:
    """List the trends of the recordings, which inform next to the guards."""
    trends = run.growth.figures.trends if run.growth else ()
    heads = {
        "topic": "About",
        "name": "Measure",
        "person": "Person",
        "slope": f"Slope per {run.unit}",
        "t": "t",
        "p": "p",
        "n": "Dyads (n)",
    }
    rows = [{**trend, "name": measure(trend.name, run.scale)} for trend in trends]
    caption = "Trends of the recordings over the sessions; they inform and decide nothing"
    return lay_out(rows, heads, caption) if rows else None


def influence(run: ReportedRun) -> list[str]:
    """Say what leaving one dyad out changes, and who is missing."""
    if run.growth is None:
        return []
    said, one_out, missing = [], run.growth.figures.leave_one_out, run.growth.figures.missing
    if one_out.same_sign is not None:
        kept = "keeps its sign" if one_out.same_sign else "changes its sign for at least one"
        lowest, highest = brief_all(one_out.slope_min, one_out.slope_max)
        said.append(
            f"Leaving out one dyad at a time, the weighted mean slope {kept}: {lowest} to"
            f" {highest}{'' if one_out.p_max is None else f', {p_text(one_out.p_max)} at most'}."
            f" It depends most on {one_line(one_out.dyad)}."
        )
    if missing.n_planned is not None:
        fewest, most = short(missing.fewest), short(missing.most)
        each = fewest if fewest == most else f"{fewest} to {most}"
        stopped = ""
        if missing.n_stopped_early:
            stopped = (
                f"; dyads that stopped before the others: {short(missing.n_stopped_early)} (their last value minus the"
                f" mean of all dyads then: {short(missing.last_value_before_stop)})"
            )
        observed = f"{short(missing.n_observed)} of {short(missing.n_planned)} dyad-sessions entered growth"
        observed += " (dyads times session numbers)"
        said.append(f"{observed}, {each} per dyad{stopped}.")
    return said


#: Remarks on single sessions that a page shows; plan.json has all (our choice).
MOST_REMARKS = 20


def remarks(run: ReportedRun) -> list[tuple[str, str]]:
    """Tell what was found about the study and what makes single sessions weaker, with its severity in a word."""
    words = {"error": "Error", "warning": "Warning", "info": "Note"}
    single = [remark for remark in run.remarks if remark.kind == OF_SESSIONS]
    shown = [remark for remark in run.remarks if remark not in single[MOST_REMARKS:]]
    told = [(words.get(remark.severity, "Note"), one_line(remark.message)) for remark in shown]
    if len(single) > MOST_REMARKS:
        told.append(("Note", f"{len(single) - MOST_REMARKS} more on single sessions are in plan.json (findings)."))
    return told


@dataclass(frozen=True)
class RelationLine:
    """One relation of an outcome to synchrony, in words."""

    name: str
    word: str
    label: str
    sentence: str
    #: Something is said of it, be it that the recordings may explain it
    told: bool


def relation_lines(run: ReportedRun) -> list[RelationLine]:
    """Tell every relation of a further outcome that could be tested, those that are claimed first."""
    rows = run.growth.outcomes if run.growth else ()
    order = list(RELATION_ANSWERS)
    lines = []
    for row in sorted(rows, key=lambda row: order.index(row.word) if row.word in order else len(order)):
        label = RELATION_ANSWERS[row.word].label if row.word in RELATION_ANSWERS else one_line(row.word)
        told = row.word.startswith(("goes_with", "confounded"))
        sentence = one_line(row.sentence, longest=4000)
        lines.append(RelationLine(relation_name(row), one_line(row.word), label, sentence, told))
    return lines


@dataclass(frozen=True)
class DifferenceLine:
    """One difference of conditions, groups or by a moderator, in words."""

    asked: str
    label: str
    figures: str
    sentence: str


def difference_name(one: Difference) -> str:
    """Say what a difference is about."""
    asked = {"level": "level", "growth": "growth", "group": "growth", "moderator": "growth with it"}[one.question]
    return one_line(f"{one.spoken}, {asked}")


def difference_lines(run: ReportedRun) -> list[DifferenceLine]:
    """Tell every difference that was asked for: its word, its figures and its sentence."""
    lines = []
    for one in run.growth.differences if run.growth else ():
        test, label = one.estimate, DIFFERENCES[one.word].label if one.word in DIFFERENCES else one_line(one.word)
        slope, low, high = brief_all(test.slope, test.ci_low, test.ci_high)
        interval = NO_INTERVAL if is_empty(test.ci_low) else f"95 % CI {low} to {high}"
        numbers = ", ".join([interval, *told_p(test.p), count(test.n, "dyad")])
        figures = f"no estimate, {count(test.n, 'dyad')}" if is_empty(test.slope) else f"{slope} {one.unit} ({numbers})"
        lines.append(DifferenceLine(difference_name(one), label, figures, one_line(one.sentence, longest=4000)))
    return lines


def difference_guards(run: ReportedRun) -> Table | None:
    """List what every guard found on every difference."""
    words = {True: "passed", False: "failed", None: "not assessable"}
    rows: list[Values] = [
        {"asked": difference_name(one), "guard": guard.spoken, "detail": one_line(guard.detail)}
        | {"result": words[guard.passed] if guard.asked else "not asked"}
        for one in (run.growth.differences if run.growth else ())
        for guard in one.guards
    ]
    heads = {"asked": "Difference", "guard": "Guard", "result": "Result", "detail": "Detail"}
    return lay_out(rows, heads, "Guards, asked of each difference") if rows else None


def shape_table(run: ReportedRun) -> Table | None:
    """List whether the course departs from a line."""
    rows: list[Values] = [
        {"name": one.name.replace("_", " "), **{key: one.test[key] for key in SLOPE_COLUMNS}}
        | {"p_max_t": one.p_max_t, "n": one.test.n, "text": one.text}
        for one in (run.growth.shape if run.growth else ())
    ]
    heads = {
        "name": "Shape",
        **SLOPE_COLUMNS,
        "slope": f"Estimate ({run.scale})",
        "p_max_t": "p, max-T corrected",
    }
    heads |= {"n": "Dyads (n)", "text": "What the estimate says"}
    return lay_out(rows, heads, "Shape of the course, exploratory, p corrected for its questions") if rows else None


def relation_name(row: OutcomeRelation) -> str:
    """Name an outcome and its relation."""
    return one_line(f"{row.name}, {row.spoken}")


def relation_table(run: ReportedRun) -> Table | None:
    """List the numbers of every relation to the study table's own columns (symptoms, alliance ...)."""
    rows: list[Values] = [
        {
            "name": relation_name(row),
            **dict.fromkeys(SLOPE_COLUMNS),
            **{key: value for key, value in (row.estimate or {}).items() if key in SLOPE_COLUMNS},
            **{key: row[key] for key in ("standardised", "p_holm", "reliability", "n_dyads", "n_sessions")},
            "p_mixed": row.mixed.p if row.mixed else None,
            "p_therapists": row.therapist_level.test.p if row.therapist_level.test else None,
        }
        for row in (run.growth.outcomes if run.growth else ())
    ]
    heads = {"name": "Relation", **SLOPE_COLUMNS, "standardised": "SD per SD", "p_holm": "p, Holm corrected"}
    heads |= {"p_mixed": "p, mixed model", "p_therapists": "p, therapists", "reliability": "Reliability"}
    heads |= {"n_dyads": "Dyads (n)", "n_sessions": "Sessions (n)"}
    caption = "Relations to the study table's own columns, p corrected for all that were asked for"
    return lay_out(rows, heads, caption) if rows else None


def skipped_table(run: ReportedRun, dyad: str = "") -> Table | None:
    """List what was left out of the study, or of one dyad, and why: not analysed, or left out of growth."""
    rows: list[Values] = [asdict(skip) for skip in run.plan.skipped]
    caption = "Left out, and why" if dyad else f"{run.n_skipped} not analysed"
    labels = {name: getattr(run.outcome, name) for name in ("modality", "task")}
    rows += [{**labels, **one, "reason": f"left out of growth: {one.reason}"} for one in run.left_out]
    if dyad:
        rows = [row for row in rows if row["dyad"] == dyad]
    elif run.left_out:
        caption += f", {count(len(run.left_out), 'row')} left out of growth"
    keys = [key for key in KEYS if not dyad or key != "dyad"]
    return lay_out(rows, heads_of([*keys, "reason"]), caption, links={} if dyad else dyad_links(run)) if rows else None


def plan_table(run: ReportedRun) -> Table | None:
    """List what was decided for the whole study."""
    rows = [
        asdict(group) | {"components": ", ".join(f"{roi} {rank}" for roi, rank in group.ranks.items())}
        for group in run.plan.groups
    ]
    heads = {
        "modality": "Modality",
        "task": "Task",
        "n_windows": "Windows per session (K)",
        "seconds": "Data per session (s)",
        "limited_by": "Limited by",
        "control_channels": "Control channels",
        "control_note": "About control channels",
        "n_sessions": "Recordings (n)",
        "components": "Components per region",
    }
    return lay_out(rows, heads, "Decisions that hold for every session of a modality and task") if rows else None


def decision_table(run: ReportedRun) -> Table | None:
    """List what preparation decided from data, how it is made, and where it differs over a person's sessions."""
    rows: list[Values] = []
    for name, choice in DECISIONS.items():
        for modality in sorted({one.modality for one in run.plan.decisions}):
            found = [one for one in run.plan.decisions if one.name == name and one.modality == modality]
            values = Counter({value: 0 for one in found for value in one.values})
            for one in found:
                values.update({value: len(sessions) for value, sessions in one.values.items()})
            told = ", ".join(f"{value} ({n})" for value, n in values.most_common(4))
            more = f" and {len(values) - 4} more" if len(values) > 4 else ""
            apart = [f"{one.dyad} {one.person}" for one in found if not one.alike]
            if found:
                rows.append(
                    {
                        "what": choice.label,
                        "modality": modality,
                        "how": choice.how,
                        "values": one_line(told + more),
                        "apart": one_line(", ".join(dict.fromkeys(apart)) or "nobody"),
                        "warns": "yes" if choice.alike else "no",
                    }
                )
    heads = {
        "what": "Decision",
        "modality": "Modality",
        "how": "How it is made",
        "values": "Found (recordings of each person)",
        "apart": "Differs over the sessions of",
        "warns": "Should be alike",
    }
    return lay_out(rows, heads, "Decisions that preparation took from the data of each person") if rows else None


#: What tells rows of recordings apart; a modality that all have is told once.
_WHERE = tuple(key for key in KEYS if key != "modality")


def clock_table(run: ReportedRun, dyad: str = "") -> Table | None:
    """List how each pair of recordings came on one clock, one row per dyad-session."""
    keys = [key for key in CLOCK_COLUMNS if key in run.quality]
    if not keys:
        return None
    where = [key for key in KEYS if key in run.quality]
    table = run.quality.drop_duplicates(where) if where else run.quality
    if dyad and "dyad" in table:
        table, where = table[table["dyad"] == dyad], where[1:]
    links = {} if dyad else dyad_links(run)
    rows, heads = rows_of(table), heads_of([*where, *keys])
    return lay_out(rows, heads, "Clock of each pair of recordings", links=links, keys=_WHERE) if rows else None


def quality_section(run: ReportedRun, dyad: str = "") -> Table | None:
    """List the quality of each recording, one row per dyad-session and person."""
    table = run.quality
    table = table[table["dyad"] == dyad] if dyad and "dyad" in table else table
    if table.empty:
        return None
    left_out = ("clock_", "decisions", BANDWISE["peak_width_"].name, *(("dyad",) if dyad else ()))
    keys = [*_WHERE, "person"]
    # the judgement before the numbers that it was made of
    order = dict.fromkeys(name for name in (*keys, "grade", "reason", *table.columns) if name in table.columns)
    heads, links = heads_of(key for key in order if not key.startswith(left_out)), {} if dyad else dyad_links(run)
    return lay_out(rows_of(table), heads, "Quality of each recording", links=links, keys=keys)


def signal_table(run: ReportedRun) -> Table | None:
    """List the primary outcome in every signal: what short channels took out, and the other haemoglobins."""
    if "signal" not in run.table or "excess_z" not in run.table:
        return None
    rows: list[Values] = []
    for signal in run.table["signal"].unique():
        part = replace(run.outcome, signal=str(signal)).select(run.compared)
        time = part["session"] if run.config.time == "session" else part["days"] / 7
        part = part.assign(time=time).dropna(subset=["excess_z", "time"])
        if part.empty:
            continue
        # runs of a session are averaged, as in the verdict
        part = part.groupby(["dyad", "session"])[["excess_z", "time"]].mean().reset_index()
        dyads, codes = np.unique(part["dyad"].astype(str), return_inverse=True)
        found = weighted_test(part["excess_z"], part["time"], codes, len(dyads))
        found = without_tests(found, found.n)
        words = {"signal": SIGNAL_WORDS.get(str(signal), str(signal)), "level": float(part["excess_z"].mean())}
        rows.append({**words, **{key: getattr(found, key) for key in ("slope", "ci_low", "ci_high", "p", "n")}})
    heads = {"signal": "Signal", "level": "Excess, mean", "slope": f"Slope per {run.unit}", "ci_low": "CI low"}
    heads |= {"ci_high": "CI high", "p": "p", "n": "Dyads (n)"}
    caption = f"{replace(run.outcome, signal='')}, excess in {run.scale}; the first signal is the primary one"
    return lay_out(rows, heads, caption) if len(rows) > 1 else None


#: Signals in words.
SIGNAL_WORDS = MappingProxyType(
    {
        "hbo": "HbO (oxygenated haemoglobin)",
        "hbr": "HbR (deoxygenated haemoglobin)",
        "hbt": "HbT (total haemoglobin)",
        "hbo_nosc": "HbO without short-channel regression",
        "hbo_noshared": "HbO without what follows the shared signal",
        "eeg": "EEG",
        "eeg_noshared": "EEG without what follows the shared signal",
    }
)


def exploratory_table(run: ReportedRun) -> Table | None:
    """List all metrics, bands and ROI pairs that were tried."""
    rows = run.growth.exploratory if run.growth else ()
    if not rows:
        return None
    columns = dict.fromkeys(("metric", "signal", "band", "roi", *rows[0]))
    caption = f"{len(rows)} exploratory slopes; none of them decides the verdict"
    heads = heads_of(columns) | {"slope": f"Slope per {run.unit}, on the metric's growth scale"}
    return lay_out(rows, heads, caption)


def nulls_table(run: ReportedRun) -> Table | None:
    """How strong the chance level of the primary outcome is, by session."""
    rows = run.entered
    if rows.empty or "session" not in rows:
        return None
    levels = ("z", "pseudo_mean_z", "pseudo_sd_z", "excess_z")
    made: list[Values] = [
        {
            "session": session,
            "dyads": part["dyad"].nunique(),
            # runs of a session are averaged first
            **{key: float(part.groupby("dyad")[key].mean().mean()) if key in part else None for key in levels},
            "n_pseudo": float(part["n_pseudo"].min()) if "n_pseudo" in part else None,
            "lag_n": int((part["lag_p"] < 0.05).sum()) if "lag_p" in part and part["lag_p"].notna().any() else None,
        }
        for session, part in rows.groupby("session", sort=True)
    ]
    heads = heads_of(["session", "dyads", *levels], run.scale)
    heads |= {
        "dyads": "Dyads (n)",
        "n_pseudo": "Pseudo pairs (fewest)",
        "lag_n": "Recordings with lag-null p < .05",
    }
    caption = f"Real and chance level of {run.outcome}" + ": means over dyads" * (rows["dyad"].nunique() > 1)
    return lay_out(made, heads, caption, keys=["session"])


#: Columns of a dyad's own table.
_SESSION_COLUMNS = (
    *("session", "days", "task", "run", "estimate", "z", "pseudo_mean_z", "pseudo_sd_z", "n_pseudo", "excess_z"),
    *("lag_estimate", "lag_p", "lag_n", "n_windows", "seconds", "flags"),
)


def session_table(run: ReportedRun, dyad: str) -> Table | None:
    """Primary outcome of one dyad, one row per session."""
    rows = run.primary
    rows = rows[rows["dyad"] == dyad] if "dyad" in rows else rows
    keys = [key for key in _SESSION_COLUMNS if key in rows]
    if rows.empty:
        return None
    return lay_out(rows_of(rows[keys]), heads_of(keys, run.scale), f"{run.outcome}: every session of this dyad")


def people(run: ReportedRun, dyad: str) -> list[tuple[str, str]]:
    """Who this dyad is, as the study table labels them."""
    rows = run.table[run.table["dyad"] == dyad] if "dyad" in run.table else run.table
    roles = [role for role in ROLES if role in rows and len(rows)]
    return [(role.capitalize(), ", ".join(one_line(name) for name in rows[role].unique())) for role in roles]


def all_outcomes_table(run: ReportedRun, dyad: str) -> Table | None:
    """Mean excess of one dyad for every metric, band and ROI pair, by session; none over another chance level."""
    rows = run.compared
    rows = rows[rows["dyad"] == dyad] if "dyad" in rows else rows
    keys = [key for key in ("metric", "signal", "band", "roi_therapist", "roi_client", "task") if key in rows]
    if rows.empty or "excess_z" not in rows or "metric" not in keys:
        return None
    wide = rows.pivot_table(index=keys, columns="session", values="excess_z", aggfunc="mean", sort=False)
    wide.columns = pd.Index([f"s{short(session)}" for session in wide.columns])
    heads = heads_of(keys) | {key: f"Session {key[1:]}" for key in wide.columns}
    return lay_out(
        rows_of(wide.reset_index()), heads, "Excess over chance of every outcome, each on the scale of its growth"
    )


@dataclass(frozen=True)
class PersonPart:
    """What is said of an index of each person alone."""

    verdict: Verdict
    sentence: Account
    guards: list[GuardLine]


def person_part(run: ReportedRun) -> PersonPart | None:
    """Tell the verdict on the index of each person that was named, with its guards."""
    found = run.alone
    if found is None or found.verdict not in PERSON_VERDICTS:
        return None
    guards = told_guards(found, PERSON_GUARDS)
    return PersonPart(PERSON_VERDICTS[found.verdict], account_of(found.sentence), guards)


def person_table(run: ReportedRun) -> Table | None:
    """List slopes of every index: client, therapist, and their difference."""
    within = run.primary_within
    needed = ("dyad", "session", "person", "value", *INDEX_COLUMNS)
    if within.empty or not all(name in within for name in needed) or within["session"].nunique() < 2:
        return None
    rows: list[Values] = []
    for found in slopes_of_people(within, run.config.time):
        people = {"client": found.client, "therapist": found.therapist, "difference": found.difference}
        slopes = {name: test.slope for name, test in people.items()}
        numbers = {f"p_{name}": test.p for name, test in people.items()}
        numbers |= {f"n_{name}": test.n for name, test in people.items()}
        unit = index_scale(found.index.name)
        labels = dict(zip(INDEX_COLUMNS, found.index, strict=True))
        rows.append({**labels, "unit": unit, **slopes, **numbers, "p_max_t": found.p_max_t})
    rows = [row for row in rows if row["n_difference"] > 0]
    heads = {
        **heads_of(INDEX_COLUMNS),
        "unit": "Scale",
        "client": "Client",
        "p_client": "p, client",
        "therapist": "Therapist",
        "p_therapist": "p, therapist",
        "difference": "Client − therapist",
        "p_difference": "p, difference",
        "p_max_t": "p, difference, max-T corrected",
        "n_client": "Dyads (n), client",
        "n_therapist": "Dyads (n), therapist",
        "n_difference": "Dyads (n), difference",
    }
    caption = f"Slopes per {run.unit} of {len(rows)} indices of each person alone; none of them decides anything"
    return lay_out(rows, heads, caption) if rows else None


def lead_in_words(run: ReportedRun) -> str:
    """Say who leads and at what lag; empty where neither the primary metric nor another has a lag profile."""
    rows, metric = run.primary_lags, run.lag_outcome.metric
    other = f"{run.outcome.metric} has no lag profile; this is of {metric}. " if metric != run.outcome.metric else ""
    if rows.empty:
        alone = len(run.lags) and len(run.lag_outcome.select(run.lags))
        return "Not assessed: the lag profile (lags.tsv) needs pairs of people who never met." if alone else ""
    try:
        return other + find_lead(rows, run.quality if len(run.quality) else None).sentence
    except TableError as error:
        return str(error)


def key_facts(run: ReportedRun) -> list[tuple[str, str]]:
    """Sizes that belong next to the verdict."""
    facts = []
    fit = None if run.growth is None else run.growth.group_slope or run.growth.one_dyad
    if fit is not None and not is_empty(fit.slope):
        facts.append(("Slope", _slope_in_brief(fit, f"{run.scale} per {run.unit}")))
    guards: dict[str, list[str]] = {}
    for guard in guard_lines(run):
        guards.setdefault(guard.state, []).append(guard.name)
    if guards:
        told = {"passed": "passed", "failed": "failed", "open": "not assessable"}
        told |= {"unasked": "not asked, as no change is claimed"}
        counts = [
            f"{len(guards[state])} {word}" + (f" ({', '.join(guards[state])})" if _few(state, guards) else "")
            for state, word in told.items()
            if state in guards
        ]
        facts.append(("Guards", ", ".join(counts)))
    lines = relation_lines(run)
    if lines:
        named = "; ".join(f"{line.name}: {line.label}" for line in lines if line.told)
        asked = ", ".join(dict.fromkeys(one_line(row.name) for row in (run.growth.outcomes if run.growth else ())))
        facts.append((f"Relation to {asked}", named or f"none of {count(len(lines), 'relation')} is clear"))
    facts += [(line.asked, f"{line.label}; {line.figures}") for line in difference_lines(run)]
    facts.append(("Primary outcome", str(run.outcome)))
    if run.growth is not None:
        facts.append(("Dyads", short(run.growth.primary.n_dyads)))
        facts.append(("Dyad-sessions in growth", short(run.growth.primary.n_sessions)))
    if run.left_out:
        facts.append(("Left out of growth", one_line(tell_left_out(run.left_out).split(": ", 1)[1].rstrip("."))))
    names = [" session ".join(map(str, filter(None, (one.dyad, one.session)))) for one in run.plan.skipped]
    lost = name_some(list(dict.fromkeys(filter(None, names))))
    facts.append(("Not analysed", one_line(f"{run.n_skipped}: {lost}" if lost else run.n_skipped)))
    return facts


def _slope_in_brief(fit: SlopeTest | DyadTrend, unit: str) -> str:
    """Write a slope with its interval; where too little was there for a test, that it is a description."""
    slope, low, high = brief_all(fit.slope, fit.ci_low, fit.ci_high)
    text = f"{slope} {unit}"
    interval = "" if is_empty(fit.ci_low) else f" (95 % CI {low} to {high})"
    if isinstance(fit, DyadTrend):
        # an interval that leaves out zero would be the test that so few sessions do not give
        return f"{text}{interval}, of this dyad" if fit.tested else f"{text}, of this dyad; described, not tested"
    text += interval
    return text if fit.n >= MIN_DYADS else f"{text}, of these {count(fit.n, 'dyad')}; described, not tested"


def _few(state: str, guards: Mapping[str, list[str]]) -> bool:
    """Whether the guards of a state are named beside the verdict: those that did not pass, unless all are alike."""
    return state not in ("passed", "unasked") and len(guards) > 1


def made_with(run: ReportedRun) -> list[tuple[str, str]]:
    """Names and versions of what made the results, as the run recorded them."""
    return sorted((one_line(name), one_line(version)) for name, version in run.versions.items())


#: Sections of the first page, by the name that its template uses.
STUDY_SECTIONS: Mapping[str, Callable[[ReportedRun], Any]] = MappingProxyType(
    {
        "verdict": verdict,
        "sentence": growth_in_words,
        "facts": key_facts,
        "guards": guard_lines,
        "guard_numbers": guard_table,
        "signals": signal_table,
        "slopes": slope_table,
        "influence": influence,
        "remarks": remarks,
        "links": dyad_links,
        "skipped": skipped_table,
        "plan": plan_table,
        "decisions": decision_table,
        "clocks": clock_table,
        "trends": trend_table,
        "quality": quality_section,
        "lead": lead_in_words,
        "exploratory": exploratory_table,
        "differences": difference_lines,
        "difference_guards": difference_guards,
        "shapes": shape_table,
        "relations": relation_lines,
        "relation_numbers": relation_table,
        "nulls": nulls_table,
        "each_person": person_part,
        "person_slopes": person_table,
        "methods": methods_of,
        "versions": made_with,
    }
)

#: Sections of a dyad's page.
DYAD_SECTIONS: Mapping[str, Callable[[ReportedRun, str], Any]] = MappingProxyType(
    {
        "people": people,
        "sessions": session_table,
        "lost_sessions": skipped_table,
        "clocks": clock_table,
        "quality": quality_section,
        "outcomes": all_outcomes_table,
    }
)
