"""What each verdict means, in plain words, and what it cannot say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """Words for one verdict."""

    #: Headline
    label: str
    #: one of {'yes', 'caution', 'no', 'unknown'}: Decides the look; the headline says the same without colour
    mood: str
    #: What was found
    meaning: str
    #: What it cannot say
    limits: str


_NOT_CAUSE = (
    "It does not say why: speech, shared attention, a warmer relation or a better fit of the caps in ways"
    " that "
    "the guards do not see remain possible, and nothing here shows an effect of therapy."
)

_GROWS = Verdict(
    "Grows",
    "yes",
    "Over the sessions there was an increase in partner-specific statistical dependence: each real pair"
    " moved away "
    "from the level that the same people reach with strangers, by the mixed model and by the two-stage test "
    "alike, and no guard explains it by the recording.",
    _NOT_CAUSE,
)
_UNCHECKED = Verdict(
    "Grows, unchecked",
    "caution",
    "Synchrony above chance increased over the sessions, but at least one guard could not be assessed, so "
    "a change of the recordings has not been ruled out as the reason.",
    "It cannot tell growing dependence between the two people from a recording that changed in the way "
    "the missing guard would have looked for. Read the guards that are not assessable as open questions.",
)
_LAG = Verdict(
    "Grows, lag unresolved",
    "caution",
    "Synchrony above chance increased over the sessions and the recording does not explain it, except that "
    "the increase sits at zero lag (or half a cycle), where dependence between two people and an artefact "
    "common to both look the same.",
    "It cannot tell the two apart. Shared sound, light, mains or movement that grew over the sessions would "
    "look like this.",
)
_CONFOUNDED = Verdict(
    "Confounded",
    "no",
    "Synchrony above chance changed over the sessions, but so did something about the recordings that "
    "produces such a change by itself. The failed guard below names it.",
    "It is not evidence of a change between the two people, nor of its absence: true growth may hide behind "
    "the confound. A new recording that holds the named quantity constant would be needed.",
)
_NO_CHANGE = Verdict(
    "No change",
    "no",
    "The slope is smaller than the smallest slope of interest that was named before the data were seen "
    "(equivalence test).",
    "It speaks of the slope over this span of sessions only, and of the bound that was named: smaller "
    "changes are not ruled out.",
)
_NO_CLEAR = Verdict(
    "No clear change",
    "unknown",
    "The data show neither growth nor a fall that both tests agree on.",
    "This is not evidence that synchrony stays the same: with few dyads or sessions a true change is easily "
    "missed. The confidence interval shows which slopes remain possible.",
)
_CANNOT = Verdict(
    "Cannot tell",
    "unknown",
    "There are fewer than six dyads with two or more usable sessions, too few to speak of change in a group. "
    "What was measured is described below without a test of the group.",
    "Neither growth in a group nor its absence can be read from these curves.",
)


def _falling(verdict: Verdict, label: str) -> Verdict:
    turned = verdict.meaning
    for rise, fall in (
        ("increased", "decreased"),
        ("an increase", "a decrease"),
        ("the increase", "the decrease"),
    ):
        turned = turned.replace(rise, fall)
    turned = turned.replace("moved away from the level", "moved towards or below the level")
    limits = verdict.limits.replace(
        "a warmer relation or a better fit of the caps", "fatigue or a worse fit of the caps"
    )
    limits = limits.replace("growing dependence", "falling dependence").replace("that grew", "that fell")
    return Verdict(label, verdict.mood, turned, limits)


VERDICTS: Mapping[str, Verdict] = {
    "grows": _GROWS,
    "grows_unchecked": _UNCHECKED,
    "grows_lag_unresolved": _LAG,
    "confounded": _CONFOUNDED,
    "no_change": _NO_CHANGE,
    "no_clear_change": _NO_CLEAR,
    "cannot_tell": _CANNOT,
    "declines": _falling(_GROWS, "Declines"),
    "declines_unchecked": _falling(_UNCHECKED, "Declines, unchecked"),
    "declines_lag_unresolved": _falling(_LAG, "Declines, lag unresolved"),
}

_NONE = Verdict(
    "No verdict",
    "unknown",
    "This folder holds no verdict on growth that this report knows.",
    "The tables and curves below are a description only.",
)


def verdict_of(growth: Mapping[str, Any]) -> Verdict:
    """Words for the verdict of ``growth.json``; an unknown or absent one is called no verdict.

    Examples
    --------
    >>> verdict_of({"verdict": "grows_lag_unresolved"}).label
    'Grows, lag unresolved'
    >>> verdict_of({}).mood
    'unknown'
    """
    return VERDICTS.get(str(growth.get("verdict", "")), _NONE)


#: What a guard asks, by the first word of its name.
_GUARDS: Mapping[str, str] = {
    "clock": "Did the two clocks drift less over the sessions?",
    "signal": "Does growth remain once in-band signal-to-noise is divided out?",
    "snr": "Does growth remain once in-band signal-to-noise is divided out?",
    "space": "Does it grow more in the region of interest than in control channels?",
    "band": "Is growth absent from a band outside the rhythm?",
    "lag": "Does it grow at a lag that a common artefact cannot have?",
    "chance": "Did the chance level move the other way?",
    "in": "Did the in-band standard deviation change?",
    "systemic": "Did systemic physiology change?",
    "short": "Did the share of scalp signal (short channels) change?",
    "mayer": "Did Mayer waves change?",
    "motion": "Did joint motion change?",
    "instrument": "Did instrument noise or scalp coupling change?",
    "sci": "Did scalp coupling change?",
    "length": "Did the amount of data change?",
}


def guard_question(name: str) -> str:
    """Say what a guard asks, or nothing for an unknown one.

    Examples
    --------
    >>> guard_question("lag")
    'Does it grow at a lag that a common artefact cannot have?'
    """
    return _GUARDS.get(re.split(r"[^a-z0-9]", name.lower())[0], "")


_PATH = re.compile(r"""(?<![\w.<])(?:[A-Za-z]:[\\/]|\\\\|~?/)(?:[^\s"'<>|:*?]+[\\/])+[^\s"'<>|:*?]*""")


def without_paths(text: object) -> str:
    """Replace absolute paths, which may hold people's names, by their last part.

    Examples
    --------
    >>> without_paths("hyperscan run /home/jane/study/dyads.tsv -o out")
    'hyperscan run …/dyads.tsv -o out'
    """
    return _PATH.sub(lambda m: "…/" + re.split(r"[\\/]", m[0].rstrip("\\/"))[-1], str(text))
