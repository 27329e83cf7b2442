"""The verdict, and the one sentence that says what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from hyperscan.errors import count, interval_text, name_some, p_text
from hyperscan.growth.guards import summarise
from hyperscan.growth.records import CappedSlope, Findings, Guard, LeftOut, SlopeTest, TherapistLevel, WeightedSlope
from hyperscan.schema import MIN_DYADS, NO_SHARED, SIGNED_OUTCOMES
from hyperscan.words import (
    BEYOND_SHARED,
    LEAD,
    NO_SHIFT,
    NOT_ASKED,
    SHARED_LIMITS,
    UNSEEN,
    VERDICTS,
    YES_NO_SAID,
    YES_NO_SHARE,
    clocks_text,
)

#: Level of every test that a claim rests on, where no other is named.
ALPHA = 0.05

#: The plain mean of the slopes has to follow at this level: a weighted mean alone would claim what the longest courses
#: show (chosen by simulation: docs/validation/growth_tables.md).
ALPHA_PLAIN = 0.20

#: The same where dyads are compared: courses of unequal length fool a comparison only where they differ between what
#: is compared (chosen by simulation, seed 7 of scripts/validate_designs.py).
ALPHA_COMPARED = 0.50

#: Slopes that go with the number of sessions at this level let the two means answer different questions: then the plain
#: one has to follow at :data:`ALPHA` (chosen by simulation, likewise).
ALPHA_LENGTH = 0.20

#: Columns of excess and synchrony on the growth scale.
ON_GROWTH_SCALE = ("excess_z", "z", "own_excess_z")

#: From so many therapists on, a result is not called one of them alone (our choice).
FEW_THERAPISTS = 5


def plain_level(weighted: WeightedSlope, usual: float = ALPHA_PLAIN) -> float:
    """Level at which the plain mean of the slopes has to follow the weighted one."""
    return ALPHA if weighted.p_length < ALPHA_LENGTH else usual


def claimed_sign(
    weighted: WeightedSlope, two_stage: SlopeTest, therapists: TherapistLevel, usual: float = ALPHA_PLAIN
) -> int:
    """Direction that all needed tests agree on: 1 growth, -1 fall, 0 none."""
    needed = [(weighted, ALPHA), (two_stage, plain_level(weighted, usual))]
    needed += [(therapists.test, ALPHA)] if therapists.needed and therapists.test else []
    for sign in (1, -1):
        if all(test.in_direction(sign, alpha) for test, alpha in needed):
            return sign
    return 0


#: Verdicts that claim no change.
UNCLAIMED = ("cannot_tell", "no_change", "no_clear_change")


def decide(*, n_dyads: int, claimed: int, equivalent: bool | None, guards: Sequence[Guard]) -> str:
    """Choose the verdict: the first line that matches.

    Examples
    --------
    >>> decide(n_dyads=8, claimed=1, equivalent=None, guards=[])
    'grows_unchecked'
    """
    if n_dyads < MIN_DYADS:
        return "cannot_tell"
    if claimed == 0:
        return "no_change" if equivalent else "no_clear_change"
    found = summarise(guards)
    if set(found["failed"]) - {"lag"}:
        return "confounded"
    stem = "grows" if claimed > 0 else "declines"
    if found["open"] or not guards:
        return f"{stem}_unchecked"
    return f"{stem}_lag_unresolved" if found["failed"] else stem


def tell_test(test: SlopeTest) -> str:
    """Interval, t and p of a slope, for the brackets behind it; of a slope that is only described, its interval."""
    interval = interval_text(test.ci_low, test.ci_high)
    return interval if math.isnan(test.p) else f"{interval}; t({test.df:.3g}) = {test.t:.2f}, {p_text(test.p)}"


def sentence(verdict: str, found: Findings, min_pseudo: int) -> str:
    """Write one honest paragraph for a verdict; fewer pseudo pairs than ``min_pseudo`` are called weak."""
    named = ", ".join(label for label in found.primary.outcome.named.values() if label)
    what = subject(found) + (f" ({named})" if named else "")
    bound = found.equivalence.bound if found.equivalence else None
    opening = VERDICTS[verdict].opening.format(
        direction=direction(found),
        what=what,
        bound=f"{bound:g}{scale_told(found)} per {found.design.unit}" if bound else "",
    )
    parts = [
        opening,
        tell_estimate(found),
        tell_reason(verdict, found),
        tell_guards(found.guards),
        clocks_text(found.recordings.clocks),
        tell_limits(verdict, found, min_pseudo),
    ]
    return " ".join(part for part in parts if part)


def direction(found: Findings) -> str:
    """Name which way it changes."""
    return "Increase" if found.weighted.slope > 0 else "Decrease"


def subject(found: Findings) -> str:
    """Name what is said to change; dependence is partner-specific where other partners were compared."""
    if found.design.value in SIGNED_OUTCOMES:
        return LEAD
    if found.design.value != "excess_z":
        if found.design.value == "z":
            return "synchrony as it is, not compared with chance,"
        return f"{found.design.value!r} (not compared with chance here)"
    alone = found.design.n_lag_chance and found.design.n_lag_chance == found.primary.n_sessions
    text = "statistical dependence beyond the lag null" if alone else "partner-specific statistical dependence"
    return text + BEYOND_SHARED if found.primary.outcome.signal in NO_SHARED.values() else text


def scale_of(value: str, metric: str) -> str:
    """Name the scale of an outcome of a metric; nothing of a column that is not ours."""
    from hyperscan.metrics.table import growth_scale

    return growth_scale(metric) if value in (*ON_GROWTH_SCALE, *SIGNED_OUTCOMES) else ""


def scale_told(found: Findings) -> str:
    """Name the scale of a slope behind its number; nothing of a column that is not ours."""
    return f" {scale_of(found.design.value, found.primary.outcome.metric)}".rstrip()


def tell_estimate(found: Findings) -> str:
    """Say the slope with its interval, every test of it, and the slopes of real pairs and chance."""
    primary, fit = found.primary, found.primary.fit
    if fit is None:
        return ""
    signed, test = found.design.value in SIGNED_OUTCOMES, found.weighted
    text = (
        f"b = {test.slope:+.3g}{scale_told(found)} per {found.design.unit} ({tell_test(test)}; "
        f"{primary.n_dyads} dyads, {primary.n_sessions} sessions){tell_others(found, fit)}"
    )
    for name, companion in () if signed else (("real", found.real_slope), ("pseudo", found.pseudo_slope)):
        text += f"; {name} slope {companion.fit.slope:+.3g}" if companion else f"; {name} slope not in the table"
    return text + "."


def tell_others(found: Findings, fit: CappedSlope) -> str:
    """Say p of the other tests of a slope, behind it; nothing where too few dyads were tested."""
    others = {"two-stage": found.two_stage.p, "mixed model": fit.p}
    others |= {"sign-flip": found.sign_flip.p} if found.sign_flip.tells else {}
    told = [f"{name} {p_text(p)}" for name, p in others.items() if not math.isnan(found.weighted.p)]
    return f"; {', '.join(told)}" if told else ""


def tell_reason(verdict: str, found: Findings) -> str:
    """Say why it is this verdict."""
    if verdict == "cannot_tell":
        flips = found.sign_flip
        if found.one_dyad is not None:
            return found.one_dyad.text
        smallest = f"; with {flips.n}, no exact sign-flip p can fall below {flips.smallest_p:.3g}" if flips.n else ""
        return f"{count(flips.n, 'dyad has', 'dyads have')} two or more sessions and {MIN_DYADS} are needed{smallest}."
    if verdict in ("no_clear_change", "no_change"):
        return tell_disagreement(found)
    text = NO_SHIFT if found.design.value in SIGNED_OUTCOMES else tell_background(found)
    if verdict.endswith("_lag_unresolved"):
        text += (
            " True change at zero lag (or half a cycle) and an artefact of the same topography cannot be told apart."
        )
    if verdict in ("grows", "declines"):
        text += f" Every guard was passed. {UNSEEN}"
    return text.strip()


def tell_background(found: Findings) -> str:
    """Say so where the rest of the rhythm changed against the claim, which changes coherence by itself."""
    rest = found.recordings.signal_fraction
    if rest is None or not rest.in_direction(-found.weighted.slope, ALPHA):
        return ""
    went, grew = ("fell", "weaker") if rest.slope < 0 else ("rose", "stronger")
    return (
        f"Meanwhile the rhythm's share of both people's signal {went} (s2: {rest.slope:+.3g} per {found.design.unit}, "
        f"{p_text(rest.p)}): where what is not coupled gets {grew}, coherence changes like this without a change of "
        "what is coupled."
    )


def tell_guards(guards: Sequence[Guard]) -> str:
    """List every guard that failed and every one that could not be assessed; where nothing is claimed, say so."""
    text = [f"Failed guard {guard.spoken}: {guard.detail}" for guard in guards if guard.passed is False]
    if not all(guard.asked for guard in guards):
        text.append(f"{NOT_ASKED.format(claim='change').replace('Not', 'Guards were not')}.")
    text.append(tell_open(guards) if guards else "Not assessable: every guard.")
    return " ".join(filter(None, text))


def tell_open(guards: Sequence[Guard]) -> str:
    """List the guards that could not be assessed, by the reason why; nothing where all could."""
    open_ = ((guard.reason.rstrip("."), guard.spoken) for guard in guards if guard.passed is None and guard.asked)
    listed = "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason(open_).items())
    return f"Not assessable: {listed}." if listed else ""


def by_reason(told: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Gather names by the reason that they share, as reasons come."""
    reasons: dict[str, list[str]] = {}
    for why, name in told:
        reasons.setdefault(why, []).append(name)
    return reasons


def is_masked(guards: Sequence[Guard]) -> bool:
    """Whether a change shows once signal to noise is divided out; asked where none is claimed."""
    return any(guard.name == "signal_to_noise" and guard.passed for guard in guards)


def tell_disagreement(found: Findings) -> str:
    """Say which test did not follow where one alone shows a change, and what may hide one."""
    weighted, two_stage, level = found.weighted, found.two_stage, found.therapist_level
    text, shown = "", weighted.p < ALPHA
    if shown and not two_stage.in_direction(weighted.slope, plain_level(weighted)):
        text = (
            "The slopes weighted by precision change, but their plain mean does not follow "
            f"(two-stage {p_text(two_stage.p)}; p < {plain_level(weighted):.2f} of the same sign is asked), "
            "so nothing is claimed."
        )
    elif not shown and two_stage.p < ALPHA:
        text = "The plain mean of the slopes changes, but weighted by precision it does not, so nothing is claimed."
    elif shown and level.needed and level.test:
        at = f"{level.n_therapists} therapists, {p_text(level.test.p)}"
        text = f"It does not hold at therapist level ({at}), so nothing is claimed."
    if not shown and found.recordings.masked:
        text += " It may be masked by falling signal-to-noise: after correction for it a change remains."
    if found.equivalence and found.equivalence.hidden_by:
        text += (
            f" The slope is smaller than the bound named in advance, but the recordings may hide one "
            f"({found.equivalence.hidden_by}), so that no change is not claimed."
        )
    return text.strip()


def tell_limits(verdict: str, found: Findings, min_pseudo: int) -> str:
    """Say how far the result reaches, and what is weak about it."""
    design, text = found.design, []
    if verdict != "cannot_tell":
        text.append(tell_reach(found.therapist_level))
    if found.primary.outcome.signal in NO_SHARED.values():
        text.append(SHARED_LIMITS)
    if design.yes_no:
        text.append(f"{YES_NO_SAID.format(name=design.value)} {YES_NO_SHARE}")
    if found.primary.fit and found.primary.fit.singular:
        text.append("The mixed model's random-effects covariance is singular (kept, flagged).")
    n_lag = design.n_lag_chance or 0
    n_weak = (design.n_weak_chance or 0) - n_lag
    if n_weak:
        text.append(
            f"In {count(n_weak, 'session')} fewer than {count(min_pseudo, 'pseudo pair')} make the chance level."
        )
    if n_lag:
        text.append(
            f"In {count(n_lag, 'session')} no other dyad could be re-paired: "
            "the chance level is the lag null, a weaker one."
        )
    text.append(tell_left_out(design.left_out))
    if design.value == "z" and found.one_dyad is not None:
        text.append(
            "No chance level is known (other dyads, or at least a lag null, would give one); synchrony as it is also "
            "rises with signal quality and with what everybody shares."
        )
    return " ".join(filter(None, text))


def tell_left_out(rows: Sequence[LeftOut]) -> str:
    """Name the rows that did not enter, by the reason why; nothing where all did."""
    reasons = by_reason((row.reason, row.name) for row in rows)
    listed = "; ".join(f"{count(len(names), 'row')}, {name_some(names)} ({why})" for why, names in reasons.items())
    return f"Left out of the fit: {listed}." if listed else ""


def tell_reach(level: TherapistLevel) -> str:
    """Say where therapists are too few to speak of any others."""
    n = level.n_therapists
    if n is None or n >= FEW_THERAPISTS:
        return ""
    return f"With {count(n, 'therapist')} this does not reach beyond them."
