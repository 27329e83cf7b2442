"""Guards: what else could make excess synchrony grow, and whether it did."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hyperscan.errors import count, p_text, signed
from hyperscan.growth.evidence import UNMEASURED, Evidence, Slopes, dyad_label, of_tasks
from hyperscan.growth.records import Guard, SlopeTest
from hyperscan.schema import CLOCK_ERRORS, GUARD_COLUMNS, OUT_BAND, ROLES
from hyperscan.words import (
    AS_DIFFERENCE,
    BACKGROUND_FITS,
    BAND_SHARE,
    CHANCE_SHARE,
    DIFFERENCE_GUARDS,
    GUARDS,
    NOT_ASKED,
    STEADINESS_SHARE,
    GuardWords,
    Measure,
    share_text,
)

Array = NDArray[np.float64]

#: p at which growth has to remain after correction by the background from above the rhythm, which rests on few
#: frequencies: it has to follow as the plain mean of slopes does. Where the other two come to take more for background,
#: something near the rhythm has changed, and it has to show growth at .05 as they do (our choice).
FOLLOWING_FIT = 0.20

#: Columns of guards.tsv: unit vectors of imaginary coherency in four sub-bands.
LAG_PATTERN = tuple(name for name in GUARDS["lag"].columns if name.startswith("imcoh_"))


def ask_differences(evidence: Evidence, modality: str, estimate: float) -> tuple[Guard, ...]:
    """Answer of every guard on a difference, in words of differences."""
    sign = -1.0 if estimate < 0 else 1.0
    guards = [*ask_guards(evidence, modality, sign), *ask_guards(evidence, modality, sign, DIFFERENCE_GUARDS)]

    def said(detail: str) -> str:
        for change, difference in AS_DIFFERENCE:
            detail = detail.replace(change, difference)
        return detail

    return tuple(replace(guard, detail=said(guard.detail)) for guard in guards)


def ask_guards(
    evidence: Evidence, modality: str, sign: float, guards: Mapping[str, GuardWords] | None = None
) -> tuple[Guard, ...]:
    """Answer of every guard of a modality; ``sign`` is -1 where a fall is claimed, else 1."""
    out = []
    for name, words in (GUARDS if guards is None else guards).items():
        beside = evidence.neighbours or evidence.unknown_bands
        if modality not in words.modalities or (name == "leak" and not beside):
            continue
        lack = evidence.lacks(words)
        if lack:
            out.append(not_assessable(name, lack))
        elif name in OWN_GUARDS:
            out.append(OWN_GUARDS[name](evidence, sign))
        elif not words.measures:
            out.append(ask_peaks(evidence, sign))
        else:
            out.append(ask_trend(words, evidence, sign))
    return tuple(out)


def not_assessable(name: str, why: str) -> Guard:
    """Guard that nothing can be said of."""
    return Guard(name, None, None, f"Not assessable: {why}.")


def not_asked(guards: Iterable[Guard], claim: str, *, tested: bool = True) -> tuple[Guard, ...]:
    """Return guards as they are where nothing is claimed: neither passed nor failed, with figures of what is tested."""
    out = []
    for guard in guards:
        figures = _FIGURES.search(guard.detail) if tested else None
        detail = f"{NOT_ASKED.format(claim=claim)}{figures[0] if figures else '.'}"
        out.append(guard if guard.passed is None else replace(guard, passed=None, detail=detail, asked=False))
    return tuple(out)


#: What stands in brackets at the end of a guard's sentence, and may hold brackets.
_FIGURES = re.compile(r" \((?:[^()]|\([^()]*\))*\)\.$")


def way(sign: float) -> str:
    """Name the direction that is claimed."""
    return "rise" if sign > 0 else "fall"


def moves(sign: float, shown: bool) -> str:
    """Say whether something shows a rise (a fall, of sign -1)."""
    return f"{way(sign)}s" if shown else f"does not clearly {way(sign)}"


def figure_text(test: SlopeTest) -> str:
    """Slope, t and p of a test, for a sentence."""
    return f"slope {test.slope:+.4g}, t({test.df:.3g}) = {test.t:.2f}, {p_text(test.p)}, {count(test.n, 'dyad')}"


def ask_trend(words: GuardWords, evidence: Evidence, sign: float) -> Guard:
    """Ask whether a measure of the recordings changes in the direction that would make synchrony change."""
    inside = set(words.columns) & set(GUARD_COLUMNS)
    slopes = evidence.of_guards if inside else evidence.of_quality
    known: list[tuple[Measure, SlopeTest]] = []
    failed: list[tuple[Measure, SlopeTest]] = []
    lacks: list[str] = []
    for measure in words.measures:
        test = slopes.test(slopes.column(measure.column))
        lack = slopes.lacks(f"{measure.label} ({measure.column})", test)
        # recordings without it were prepared in another way than those with it
        part = "" if lack or inside else evidence.part_without(measure.column)
        lacks.append(lack or (part and f"{part} have no {measure.label} ({measure.column}) in one person or both"))
        if not lacks[-1]:
            known.append((measure, test))
            either = measure.direction == 0 and test.p < 0.05
            if either or test.in_direction(measure.direction * sign, 0.05):
                failed.append((measure, test))
    # a measure that is not there cannot be passed
    if not failed and any(lacks):
        return not_assessable(words.name, next(filter(None, lacks)))
    measure, test = (failed or known)[0]
    towards = measure.direction * sign or test.slope
    verb = moves(towards, bool(failed)) if failed or measure.direction else "shows no clear change"
    verb += f", which by itself may make synchrony {way(sign)}" if failed else ""
    weak = "" if failed else f"; a trend of {missed_trend(test.n):.2g} SD over dyads is missed one time in five"
    label = measure.label[0].upper() + measure.label[1:]
    return Guard(words.name, not failed, test.slope, f"{label} {verb} ({figure_text(test)}{weak}).")


@functools.cache
def missed_trend(n: int, power: float = 0.8) -> float:
    """Find the mean slope, in SD of the dyads' slopes, that a two-sided t test at .05 of n dyads sees so often.

    Examples
    --------
    >>> round(missed_trend(8), 2), round(missed_trend(20), 2)
    (1.16, 0.66)
    """
    limit = float(special.stdtrit(n - 1, 0.975))
    return float(special.nctdtrinc(n - 1, 1 - power, limit)) / math.sqrt(n)


def ask_signal_to_noise(evidence: Evidence, sign: float) -> Guard:
    """Ask whether growth remains once squared synchrony is divided by both people's signal fractions."""
    name, slopes = "signal_to_noise", evidence.of_guards
    values, weights = ({fit: slopes.column(f"{kind}_{fit}") for fit in BACKGROUND_FITS} for kind in ("g1", "w"))
    tests = {fit: slopes.test(values[fit], weights[fit]) for fit in BACKGROUND_FITS}
    what = "a spectral fit of signal and background (it takes recordings that hold 2-40 Hz)"
    lack = slopes.lacks(what, *tests.values())
    if lack:
        return not_assessable(name, lack)
    apart = [slopes.test(values[fit] - values["high"], weights["high"]) for fit in ("line", "quad")]
    part = [test for test in apart if test.in_direction(sign, 0.05)]
    levels = {"high": 0.05 if part else FOLLOWING_FIT}
    passed = all(test.in_direction(sign, levels.get(fit, 0.05)) for fit, test in tests.items())
    detail = "; ".join(f"{label}: {figure_text(tests[fit])}" for fit, label in BACKGROUND_FITS.items())
    if part:
        clearest = min(part, key=lambda test: test.p)
        detail += f"; the first two come to take more for background than the third: {figure_text(clearest)}"
    verb = "remains after" if passed else "does not stand up to"
    weakest = min(tests.values(), key=lambda test: sign * test.slope)
    return Guard(name, passed, weakest.slope, f"The {way(sign)} {verb} correction for signal-to-noise ({detail}).")


def ask_space(evidence: Evidence, sign: float) -> Guard:
    """Ask whether the region changes more than channels that carry little of the rhythm."""
    slopes = evidence.of_guards
    test = slopes.test(slopes.column("excess_z") - slopes.column("control_excess_z"))
    lack = slopes.lacks(
        "control channels (two outside the region or more, in every session, with less than half of its rhythm)",
        test,
        why=evidence.no_control,
    )
    if lack:
        return not_assessable("space", lack)
    passed = test.in_direction(sign, 0.10)
    verb = "exceeds" if passed else "is not clearly larger than"
    assert evidence.guards is not None
    named = evidence.guards["control_channels"].dropna() if "control_channels" in evidence.guards else pd.Series()
    which = ", ".join(" and ".join(str(names).split("+")) for names in dict.fromkeys(named[named != ""]))
    text = f"The {way(sign)} {verb} that of control channels{f' {which}' if which else ''} ({figure_text(test)})."
    return Guard("space", passed, test.slope, text)


def ask_band(evidence: Evidence, sign: float) -> Guard:
    """Ask whether an out-of-band control changes the same way, by clearly more than a share of the change."""
    slopes = evidence.of_guards
    control = slopes.column("outband_excess_z")
    test, beyond = slopes.test(control), slopes.test(control - BAND_SHARE * slopes.column("excess_z"))
    takes = "one band for both people, and recordings that hold 2-40 Hz"
    lack = slopes.lacks(f"a control at {OUT_BAND[0]:g}-{OUT_BAND[1]:g} Hz (it takes {takes})", beyond)
    if lack:
        return not_assessable("band", lack)
    passed = not (test.slope * sign > 0 and beyond.in_direction(sign, 0.10))
    verb = f"does not {way(sign)} by clearly" if passed else moves(sign, True) + " by"
    # a p of a slope the other way would speak of something else
    larger, part = beyond.slope * sign > 0, share_text(BAND_SHARE)
    share = f"beyond a {part} share: {p_text(beyond.p)}" if larger else f"less than a {part} share"
    where = f"{OUT_BAND[0]:g}-{OUT_BAND[1]:g} Hz"
    verb += f" more than {share_text(BAND_SHARE)} of the {way(sign)} of synchrony"
    detail = f"Synchrony outside the band, at {where}, {verb} ({figure_text(test)}; {share})."
    return Guard("band", passed, test.slope, detail)


def ask_steadiness(evidence: Evidence, sign: float) -> Guard:
    """Ask whether rhythms become steadier, clearly or by what makes a share of the change with constant coupling."""
    guard, slopes = ask_trend(GUARDS["steadiness"], evidence, sign), evidence.of_guards
    change, trend = (slopes.test(slopes.column(name)) for name in ("excess_z", "steadiness"))
    if not guard.passed or not change.slope * sign > 0:
        return guard
    share = made_by_steadiness(evidence).slope / change.slope
    if not share > STEADINESS_SHARE:
        return guard
    detail = (
        f"Steadiness of both rhythms would make {share_text(round(share, 2))} of the change with constant coupling, "
        f"more than {share_text(STEADINESS_SHARE)} ({figure_text(trend)})."
    )
    return Guard("steadiness", False, trend.slope, detail)


def made_by_steadiness(evidence: Evidence) -> SlopeTest:
    """Test what constant coupling would show by steadiness alone: a dyad's mean outcome times its steadiness.

    Steadiness is a logarithm, so its change is the relative change of what coupling shows. Each task of a difference
    has a mean of its own: where both get steadier alike, the one with more coupling shows more of it.
    """
    assert evidence.guards is not None
    sides = evidence.sides or {evidence.outcome.task: evidence.sessions}
    means = [frame.groupby("dyad", as_index=False)["value"].mean().assign(task=task) for task, frame in sides.items()]
    rows = of_tasks(evidence.guards, evidence.tasks)
    told = pd.DataFrame({"dyad": rows["dyad"].map(dyad_label), "session": pd.to_numeric(rows["session"], "coerce")})
    told["task"] = rows["task"].astype(str) if evidence.sides else evidence.outcome.task
    told["steadiness"] = pd.to_numeric(rows["steadiness"], "coerce").astype(float)
    told = told.merge(evidence.sessions[["dyad", "session"]]).merge(pd.concat(means), on=["dyad", "task"])
    told["steadiness"] = told["value"] * (told["steadiness"] - told["steadiness"].mean())
    slopes = Slopes.of(told.drop(columns="value"), evidence.sessions, evidence.tasks, evidence.question)
    return slopes.test(slopes.column("steadiness"))


def ask_lag(evidence: Evidence, sign: float) -> Guard:
    """Ask whether synchrony that zero-lag mixing cannot make changes the same way.

    On one clock in one of two measures; where two clocks were put together, beyond what they may be wrong by.
    """
    slopes, off_ms = evidence.of_guards, evidence.clock_uncertainty_ms
    if off_ms > 0:
        return _ask_lag_beyond(slopes, sign, off_ms, assumed=evidence.clock_assumed)
    robust = slopes.test(slopes.column("lag_robust_excess_z"))
    pattern = slopes.test(pattern_projection(slopes))
    lacks = [slopes.lacks("lag-robust synchrony", test) for test in (robust, pattern)]
    tests = [test for test, lack in zip((robust, pattern), lacks, strict=True) if not lack]
    if not tests:
        return not_assessable("lag", lacks[0])
    passed = any(test.in_direction(sign, 0.05) for test in tests)
    if not passed and len(tests) < 2:
        return not_assessable("lag", "one of its two measures is missing and the other shows no change")
    best = min(tests, key=lambda test: test.p if test.slope * sign > 0 else 2 - test.p)
    detail = f"lag-robust synchrony: {figure_text(robust)}; lag pattern: {figure_text(pattern)}"
    return Guard("lag", passed, best.slope, f"Synchrony at a lag {moves(sign, passed)} ({detail}).")


def _ask_lag_beyond(slopes: Slopes, sign: float, off_ms: float, *, assumed: bool) -> Guard:
    """Ask whether coherency changes at a lag that no offset within the clocks' uncertainty gives to what has none."""
    test = slopes.test(slopes.column("lag_beyond"))
    lack = slopes.lacks("coherency at a lag", test)
    if lack:
        return not_assessable("lag", lack)
    passed = test.in_direction(sign, 0.05)
    if passed and assumed:
        return not_assessable("lag", "an assumed clock may be wrong by any lag")
    beyond = f"beyond the ± {off_ms:.3g} ms that the clocks' offset may be off"
    return Guard("lag", passed, test.slope, f"Coherency at a lag {beyond} {moves(sign, passed)} ({figure_text(test)}).")


def pattern_projection(slopes: Slopes) -> Array:
    """Each session's lag pattern, projected on the mean pattern of the other dyads.

    Shapes: returns (n_rows,).
    """
    vectors = np.column_stack([slopes.column(name) for name in LAG_PATTERN])
    known = np.isfinite(vectors).all(1)
    codes = slopes.frame["code"].to_numpy()
    out = np.full(len(vectors), np.nan)
    total, n_known = vectors[known].sum(0), int(known.sum())
    for code in range(slopes.n_dyads):
        own = known & (codes == code)
        others = n_known - int(own.sum())
        mean = (total - vectors[own].sum(0)) / max(others, 1)
        norm = float(np.linalg.norm(mean))
        if others and norm > 0:
            out[own] = vectors[own] @ (mean / norm)
    return out


def ask_phase(evidence: Evidence, sign: float) -> Guard:
    """Ask whether coherency changes that has one phase in all windows: what locks within a window alone has none."""
    slopes = evidence.of_guards
    test = slopes.test(slopes.column("phase_kept"))
    lack = slopes.lacks("coherency over two windows or more", test)
    return ask_following("phase", "Coherency at a phase that all windows share", test, lack, sign)


def ask_mismatched_times(evidence: Evidence, sign: float) -> Guard:
    """Ask whether synchrony also changes beyond what the same two people reach at times that do not match."""
    name = "mismatched_times"
    if "own_excess_z" not in evidence.sessions:
        return not_assessable(name, GUARDS[name].unknown)
    slopes = evidence.of_sessions
    test = slopes.weighted(slopes.column("own_excess_z"))
    lack = slopes.lacks("a level of the same two people at other times", test)
    return ask_following(name, "The excess over the pair's own mismatched times", test, lack, sign)


def ask_following(name: str, what: str, test: SlopeTest, lack: str, sign: float) -> Guard:
    """Ask whether another measure of coupling changes the same way."""
    if lack:
        return not_assessable(name, lack)
    passed = test.in_direction(sign, 0.05)
    return Guard(name, passed, test.slope, f"{what} {moves(sign, passed)} ({figure_text(test)}).")


def ask_leak(evidence: Evidence, sign: float) -> Guard:
    """Ask whether a band that the outcome's filter reaches into changes more: a little of it is enough to show here."""

    def course(rows: pd.DataFrame, tasks: Mapping[str, float]) -> SlopeTest:
        columns = [name for name in ("dyad", "session", "task", "value") if name in rows]
        part = rows[columns].rename(columns={"value": "excess_z"})
        slopes = Slopes.of(part, evidence.sessions, tasks, evidence.question)
        return slopes.test(slopes.column("excess_z"))

    if evidence.unknown_bands:
        unknown = ", ".join(evidence.unknown_bands)
        return not_assessable("leak", f"nothing says which frequencies the bands {unknown} have")
    own = course(evidence.sessions, {"": 1.0})
    found = [(band, course(rows, evidence.tasks)) for band, rows in evidence.neighbours.items()]
    lack = evidence.of_sessions.lacks("every band that the outcome's filter reaches into", own, *dict(found).values())
    if lack:
        return not_assessable("leak", lack)
    mine = abs(own.slope)
    larger = [(band, test) for band, test in found if abs(test.slope) > mine and test.in_direction(sign, 0.05)]
    band, test = max(larger or found, key=lambda each: abs(each[1].slope))
    verb = "exceeds it" if larger else "does not explain it"
    said = f"The band {band}, into which the outcome's filter reaches, {verb} ({figure_text(test)})."
    return Guard("leak", not larger, test.slope, said)


def ask_chance(evidence: Evidence, sign: float) -> Guard:
    """Ask whether the excess changes because the chance level moves the other way."""
    if "pseudo_mean_z" not in evidence.sessions:
        return not_assessable("chance", "the table holds no pseudo-dyad level")
    slopes = evidence.of_sessions
    test, change = (slopes.test(slopes.column(name)) for name in ("pseudo_mean_z", "excess_z"))
    lack = slopes.lacks("a pseudo-dyad level", test, change)
    if lack:
        return not_assessable("chance", lack)
    shown, limit = test.in_direction(-sign, 0.05), CHANCE_SHARE * max(sign * change.slope, 0.0)
    failed = shown and -sign * test.slope > limit
    verb = moves(-sign, shown)
    if shown:
        verb += f", by {'more than' if failed else 'no more than'} {share_text(CHANCE_SHARE)} of the change"
    return Guard("chance", not failed, test.slope, f"The chance level {verb} ({figure_text(test)}).")


def ask_clock(evidence: Evidence, sign: float) -> Guard:
    """Ask whether clock drift or residual falls over the sessions, which would raise the excess.

    One amplifier for both people passes; an assumed clock is not assessable.
    """
    assert evidence.quality is not None
    source, figures = "clock_source", list(CLOCK_ERRORS)
    missing = [column for column in (source, *figures) if column not in evidence.quality]
    if missing:
        return not_assessable("clock", f"the quality table has no column {missing[0]}")
    rows = evidence.clock_rows
    if rows.empty:
        return not_assessable("clock", "the quality table has no row of these sessions")
    if set(rows[source]) & UNMEASURED:
        return not_assessable("clock", "in some sessions the two recordings' clock was assumed, not measured")
    same = rows[source] == "same_amplifier"
    measured = rows.assign(**{name: rows[name].abs().where(~(same & rows[name].isna()), 0.0) for name in figures})
    # the two people's rows speak of one clock relation; where only one has a number, that one counts
    keys = ["dyad", "session", "task"] if "task" in measured else ["dyad", "session"]
    worst = measured.groupby(keys, as_index=False)[figures].max()
    slopes = Slopes.of(worst, evidence.sessions, evidence.tasks, evidence.question)
    tests = {name: slopes.test(slopes.column(name)) for name in figures}
    lack = slopes.lacks("a measured drift and residual", *tests.values())
    if lack:
        return not_assessable("clock", lack)
    if evidence.signed:
        return ask_lead_clock(evidence)
    failed = [name for name, test in tests.items() if test.in_direction(-sign, 0.05)]
    shown = failed[0] if failed else figures[0]
    detail = "; ".join(f"{name.removeprefix('clock_')}: {figure_text(test)}" for name, test in tests.items())
    verb = "improves over the sessions" if sign > 0 else "worsens over the sessions"
    text = f"The clock {verb}" if failed else "The clock does not explain the change"
    if same.all() and not failed:
        text += ": both people count as recorded by one amplifier, so what its clock does within a session is not seen"
    return Guard("clock", not failed, tests[shown].slope, f"{text} ({detail}).")


def ask_lead_clock(evidence: Evidence) -> Guard:
    """Ask whether the lag lies beyond what the clocks may be apart: an offset within that makes a lead of its own."""
    # of a difference of tasks the lag of each counts: that of two lags is none
    sides = list(evidence.sides.values()) or [evidence.sessions]
    medians = [side.get("lag_peak_s", pd.Series(dtype=float)).median() for side in sides]
    if np.isnan(medians).any():
        return not_assessable("clock", "the table holds no lag of the highest excess (lag_peak_s)")
    lag_ms, off_ms = 1e3 * float(min(medians, key=abs)), evidence.clock_uncertainty_ms
    passed = abs(lag_ms) > off_ms
    verb = "lies beyond" if passed else "may be"
    detail = (
        f"The lag of the highest excess ({signed(lag_ms)} ms, median over sessions) {verb} an offset of the two clocks"
    )
    return Guard("clock", passed, lag_ms, f"{detail} (known to {off_ms:.3g} ms).")


def ask_peaks(evidence: Evidence, sign: float) -> Guard:
    """Ask whether the two people's peak frequencies are closer where synchrony is higher."""
    assert evidence.quality is not None
    name, column = "peaks", f"peak_hz_{evidence.outcome.band}"
    if column not in evidence.quality or "person" not in evidence.quality:
        return not_assessable(name, f"the quality table has no column {column} for each person")
    rows = evidence.quality.assign(**{column: pd.to_numeric(evidence.quality[column], errors="coerce")})
    keys = [key for key in ("dyad", "session", "task", "run") if key in rows]
    wide = rows.pivot_table(index=keys, columns="person", values=column).reset_index()
    if not set(ROLES) <= set(wide):
        return not_assessable(name, "no session has both people's peak frequencies")
    far = wide[keys].assign(far=(wide[ROLES[0]] - wide[ROLES[1]]).abs())
    slopes = Slopes.of(far, evidence.sessions, evidence.tasks, evidence.question)
    test = slopes.test(slopes.column("far"))
    lack = slopes.lacks("both people's peak frequencies", test)
    if lack:
        return not_assessable(name, lack)
    passed = not test.in_direction(-sign, 0.05)
    verb = "are not clearly closer" if passed else "are closer"
    return Guard(
        name,
        passed,
        test.slope,
        f"The two peaks {verb} where synchrony is higher (distance in Hz: {figure_text(test)}).",
    )


#: Guards that look at more than the trend of a measure.
OWN_GUARDS: Mapping[str, Callable[[Evidence, float], Guard]] = MappingProxyType(
    {
        "signal_to_noise": ask_signal_to_noise,
        "space": ask_space,
        "band": ask_band,
        "steadiness": ask_steadiness,
        "lag": ask_lag,
        "phase": ask_phase,
        "mismatched_times": ask_mismatched_times,
        "leak": ask_leak,
        "chance": ask_chance,
        "clock": ask_clock,
    }
)


def find_hiding(evidence: Evidence, modality: str) -> list[str]:
    """Name what may hide a change, up or down: recordings that changed, or one that is left after correction."""
    found = []
    for up, down in zip(*(ask_guards(evidence, modality, sign) for sign in (1.0, -1.0)), strict=True):
        moved = GUARDS[up.name].measures and False in (up.passed, down.passed)
        if moved or (up.name == "signal_to_noise" and True in (up.passed, down.passed)):
            found.append(up.spoken)
    return found


def summarise(guards: Sequence[Guard]) -> dict[str, list[str]]:
    """Names of the guards that failed, and of those not assessable."""
    return {
        "failed": [guard.name for guard in guards if guard.passed is False],
        "open": [guard.name for guard in guards if guard.passed is None and guard.asked],
    }
