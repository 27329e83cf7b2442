"""The verdict, and the one sentence that says what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hyperscan.errors import count
from hyperscan.growth.guards import Guard, summarise
from hyperscan.words import VERDICTS

#: Fewer dyads with two or more sessions than this give no verdict (with 5, no sign-flip p can reach .05).
MIN_DYADS = 6


def claimed_sign(
    mixed: Mapping[str, Any] | None,
    two_stage: Mapping[str, Any],
    therapists: Mapping[str, Any],
    alpha: float = 0.05,
) -> int:
    """Direction that all needed tests agree on: 1 growth, -1 fall, 0 none."""
    if mixed is None:
        return 0
    needed = [mixed, two_stage, *([therapists] if therapists["needed"] else [])]
    if not all(test["p"] < alpha for test in needed):
        return 0
    if all(test["slope"] > 0 for test in needed):
        return 1
    return -1 if all(test["slope"] < 0 for test in needed) else 0


def decide(*, n_dyads: int, claimed: int, equivalent: bool | None, guards: Sequence[Guard]) -> str:
    """Verdict: the first line of the design's list that matches.

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


def number(value: float) -> str:
    """Signed number with three digits, for a sentence."""
    return f"{value:+.3g}"


def p_text(p: float | None) -> str:
    """``p = .012`` or ``p < .001``."""
    if p is None or p != p:
        return "p not defined"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def sentence(verdict: str, facts: Mapping[str, Any]) -> str:
    """One honest paragraph for a verdict.

    Parameters
    ----------
    verdict : str
        A key of :data:`hyperscan.words.VERDICTS`.
    facts : mapping
        ``primary two_stage sign_flip real_slope pseudo_slope therapist_level guards equivalence one_dyad
        value unit n_dropped n_unpaired n_weak_chance n_lag_chance`` of the result.

    Returns
    -------
    str
    """
    parts = [_opening(verdict, facts), _estimate(facts), _reason(verdict, facts), _limits(verdict, facts)]
    return " ".join(part for part in parts if part)


def subject(facts: Mapping[str, Any]) -> str:
    """Name what is said to change; dependence is partner-specific where other partners were compared."""
    if facts["value"] != "excess_z":
        return f"{facts['value']!r} (not compared with chance here)"
    alone = facts["n_lag_chance"] and facts["n_lag_chance"] == facts["primary"]["n_sessions"]
    return "statistical dependence beyond the lag null" if alone else "partner-specific statistical dependence"


def _opening(verdict: str, facts: Mapping[str, Any]) -> str:
    bound = f"{facts['equivalence']['bound']:g} per {facts['unit']}" if verdict == "no_change" else ""
    direction = "Increase" if (facts["primary"]["slope"] or 0) > 0 else "Decrease"
    what = f"{subject(facts)}{_cell(facts['primary'])}"
    return VERDICTS[verdict].opening.format(direction=direction, what=what, bound=bound)


def _cell(primary: Mapping[str, Any]) -> str:
    named = [str(primary[name]) for name in ("metric", "band", "roi", "task") if primary[name]]
    return f" ({', '.join(named)})" if named else ""


def _estimate(facts: Mapping[str, Any]) -> str:
    primary, two_stage = facts["primary"], facts["two_stage"]
    if primary["slope"] is None or primary["se"] is None:
        return ""
    unit = " Fisher z" if facts["value"] in ("excess_z", "z") else ""
    text = (
        f"b = {number(primary['slope'])}{unit} per {facts['unit']} (95 % CI {number(primary['ci_low'])} to "
        f"{number(primary['ci_high'])}; t({primary['df']:.3g}) = {primary['t']:.2f}, {p_text(primary['p'])}; "
        f"{primary['n_dyads']} dyads, {primary['n_sessions']} sessions); two-stage {p_text(two_stage['p'])}, "
        f"sign-flip {p_text(facts['sign_flip']['p'])}"
    )
    for name in ("real", "pseudo"):
        slope = facts[f"{name}_slope"]
        text += f"; {name} slope {number(slope['slope'])}" if slope else f"; {name} slope not in the table"
    return text + "."


def _reason(verdict: str, facts: Mapping[str, Any]) -> str:
    guards: Sequence[Guard] = facts["guards"]
    if verdict == "cannot_tell":
        return _too_few(facts)
    if verdict == "confounded":
        return " ".join(guard.detail for guard in guards if guard.passed is False and guard.name != "lag")
    if verdict.endswith("_unchecked"):
        return f"Not assessable: {_open(guards)}."
    if verdict.endswith("_lag_unresolved"):
        return "True change at zero lag (or half a cycle) and an artefact of the same topography cannot be told apart."
    if verdict in ("no_clear_change", "no_change"):
        return _unshown(facts)
    return "Every guard was passed. This is statistical dependence; nothing here shows what brought it about."


def _open(guards: Sequence[Guard]) -> str:
    """Guards that could not be assessed, those of one reason together."""
    reasons: dict[str, list[str]] = {}
    for guard in guards:
        if guard.passed is None:
            reasons.setdefault(guard.reason.rstrip("."), []).append(guard.name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items()) or "every guard"


def _too_few(facts: Mapping[str, Any]) -> str:
    n = facts["sign_flip"]["n"]
    if facts["one_dyad"] is not None:
        return str(facts["one_dyad"]["text"])
    smallest = f"; with {n}, no exact sign-flip p can fall below {facts['sign_flip']['smallest_p']:.3g}" if n else ""
    return f"{count(n, 'dyad has', 'dyads have')} two or more sessions and {MIN_DYADS} are needed{smallest}."


def _unshown(facts: Mapping[str, Any]) -> str:
    primary, two_stage = facts["primary"], facts["two_stage"]
    text, shown = "", primary["p"] < 0.05
    if shown != (two_stage["p"] < 0.05) or (shown and primary["slope"] * two_stage["slope"] < 0):
        text = "Mixed model and two-stage test disagree, so nothing is claimed."
    elif shown and facts["therapist_level"]["needed"]:
        level = facts["therapist_level"]
        level_text = f"{level['n_therapists']} therapists, {p_text(level['p'])}"
        text = f"It does not hold at therapist level ({level_text}), so nothing is claimed."
    masked = next((g for g in facts["guards"] if g.name == "signal_to_noise"), None)
    if masked is not None and masked.passed and primary["p"] >= 0.05:
        text += " It may be masked by falling signal-to-noise: after correction for it a change remains."
    return text.strip()


def _limits(verdict: str, facts: Mapping[str, Any]) -> str:
    level, text = facts["therapist_level"], []
    n_therapists = level["n_therapists"]
    if level["known"] and n_therapists is not None and n_therapists < 5 and verdict != "cannot_tell":
        who = "therapist" if n_therapists == 1 else "therapists"
        text.append(f"With {n_therapists} {who} this does not reach beyond them.")
    if facts["primary"]["singular"]:
        text.append("The mixed model's random-effects covariance is singular (kept, flagged).")
    n_lag = facts["n_lag_chance"] or 0
    n_weak = (facts["n_weak_chance"] or 0) - n_lag
    if n_weak:
        text.append(f"In {count(n_weak, 'session')} fewer than four pseudo pairs make the chance level.")
    if n_lag:
        text.append(
            f"In {count(n_lag, 'session')} no other dyad could be re-paired: "
            "the chance level is the lag null, a weaker one."
        )
    if facts["n_unpaired"]:
        lack = count(facts["n_unpaired"], "row was", "rows were")
        text.append(f"{lack} left out: no other dyad could be re-paired, and the lag null is another chance level.")
    if facts["value"] == "z" and facts["one_dyad"] is not None:
        text.append("Without other dyads the only chance level is each session's lag null, a weaker one.")
    if facts["n_dropped"]:
        lack = count(facts["n_dropped"], "row lacks", "rows lack")
        text.append(f"{lack} a value or a time and {'was' if facts['n_dropped'] == 1 else 'were'} left out.")
    return " ".join(text)
