"""How verdicts and guards are said: one table of each, for the sentence, the report, the site and the terminal.

What a verdict means and what a guard asks is told here once. A guard without a function of its own in
``growth.guards`` is a trend guard: its measures say which change of the recordings would raise the excess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from hyperscan.errors import count
from hyperscan.schema import CLOCK_ERRORS, MODALITIES, OUT_BAND, RESPONSES


@dataclass(frozen=True)
class Verdict:
    """Words for one verdict."""

    #: As ``growth.json`` names it
    word: str
    #: Headline
    label: str
    #: one of {'yes', 'caution', 'no', 'unknown'}: Decides the look; the headline says the same without colour
    mood: str
    #: First line of the sentence, with places for ``direction``, ``what`` changed and the ``bound`` of equivalence
    opening: str
    #: What was found
    meaning: str
    #: What it cannot say
    limits: str


_GROWS = Verdict(
    "grows",
    "Grows",
    "yes",
    "{direction} in {what}.",
    "Over the sessions there was an increase in partner-specific statistical dependence: in the mean over dyads, "
    "weighted by precision and plain alike, real pairs moved away from the level that the same people reach with "
    "strangers and at times that do not match, and no guard explains it by the recording.",
    "It does not say why: speech, sounds and other stimuli that only this pair shared, shared attention, a warmer "
    "relation or a better fit of the caps in ways that the guards do not see remain possible, and nothing here shows "
    "an effect of therapy.",
)
_UNCHECKED = Verdict(
    "grows_unchecked",
    "Grows, unchecked",
    "caution",
    "{direction} in {what}, unchecked.",
    "Synchrony above chance increased over the sessions, but at least one guard could not be assessed, so "
    "a change of the recordings has not been ruled out as the reason.",
    "It cannot tell growing dependence between the two people from a recording that changed in the way "
    "the missing guard would have looked for. Read the guards that are not assessable as open questions.",
)
_LAG = Verdict(
    "grows_lag_unresolved",
    "Grows, lag unresolved",
    "caution",
    "{direction} in {what}, lag unresolved.",
    "Synchrony above chance increased over the sessions and the recording does not explain it, except that "
    "the increase sits at zero lag (or half a cycle), where dependence between two people and an artefact "
    "common to both look the same.",
    "It cannot tell the two apart. Shared sound, light, mains or movement that grew over the sessions would "
    "look like this.",
)
_CONFOUNDED = Verdict(
    "confounded",
    "Confounded",
    "no",
    "{direction} in {what}, but the recordings changed too: it is not attributed to coupling.",
    "Synchrony above chance changed over the sessions, but so did something about the recordings that "
    "produces such a change by itself. The failed guard below names it.",
    "It is not evidence of a change between the two people, nor of its absence: true growth may hide behind "
    "the confound. A new recording that holds the named quantity constant would be needed.",
)
_NO_CHANGE = Verdict(
    "no_change",
    "No change",
    "no",
    "No change in {what}: its slope is smaller than the {bound} named in advance.",
    "The slope is smaller than the smallest slope of interest that was named before the data were seen "
    "(equivalence test).",
    "It speaks of the slope over this span of sessions only, and of the bound that was named: smaller "
    "changes are not ruled out.",
)
_NO_CLEAR = Verdict(
    "no_clear_change",
    "No clear change",
    "unknown",
    "No clear change in {what} was shown; that is not evidence of no change.",
    "The data show neither growth nor a fall that weighted and plain mean agree on.",
    "This is not evidence that synchrony stays the same: with few dyads or sessions a true change is easily "
    "missed. The confidence interval shows which slopes remain possible.",
)
_CANNOT = Verdict(
    "cannot_tell",
    "Cannot tell",
    "unknown",
    "Cannot tell whether {what} changed over sessions.",
    "There are fewer than six dyads with two or more usable sessions, too few to speak of change in a group. "
    "What was measured is described below without a test of the group, and no claim rests on it.",
    "Neither growth in a group nor its absence can be read from these curves.",
)


def _turned(verdict: Verdict, *pairs: tuple[str, str]) -> Verdict:
    """Turn the words for a rise into those for a fall."""
    said = {item.name: str(getattr(verdict, item.name)) for item in fields(Verdict)}
    for rise, fall in pairs:
        said = {name: text.replace(rise, fall) for name, text in said.items()}
    return Verdict(**said)


#: Words for growth, and those for a fall.
_FALL = (
    ("grows", "declines"),
    ("Grows", "Declines"),
    ("increased", "decreased"),
    ("an increase", "a decrease"),
    ("the increase", "the decrease"),
    ("moved away from the level", "moved towards or below the level"),
    ("a warmer relation or a better fit of the caps", "fatigue or a worse fit of the caps"),
    ("growing dependence", "falling dependence"),
    ("that grew", "that fell"),
)

#: Every verdict by its word.
VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        verdict.word: verdict
        for verdict in (
            *(_GROWS, _LAG, _UNCHECKED),
            *(_turned(verdict, *_FALL) for verdict in (_GROWS, _LAG, _UNCHECKED)),
            *(_CONFOUNDED, _NO_CHANGE, _NO_CLEAR, _CANNOT),
        )
    }
)

#: What grows where the sign of an outcome tells who leads, and what that does not say: the same lead shows more where
#: coupling grows.
LEAD = "the lead asymmetry (excess where the therapist leads minus that where the client does)"
NO_SHIFT = "Coupling that grows at a constant lead does this, too: that the lead shifted is not shown."

#: What remains where every guard was passed.
UNSEEN = (
    "No guard sees what only these two people shared at that moment: speech, sounds and other stimuli of their"
    " room. This is statistical dependence; nothing here shows what brought it about."
)

#: What is said of a guard where nothing is claimed that it could explain.
NOT_ASKED = "Not asked: no {claim} is claimed"

#: What is left where a signal that both people were exposed to was taken out, what that does not show, and what the
#: guards then do not speak of.
BEYOND_SHARED = " beyond what follows the measured shared signal (linearly, within the lags looked at)"
SHARED_LIMITS = (
    "What follows it in another way, or follows what was not measured of it, is still there; and a signal that both"
    " people make can bring such dependence about once it is taken out."
)
GUARDS_OF_WHOLE = "the guard measures are those of the signal before what follows the shared one was taken out"

#: What a guard of synchrony cannot say of who leads.
NOT_OF_LEAD = "it speaks of how much synchrony there is, and the outcome is who leads"

#: What a difference of conditions, groups or by a moderator comes to; openings have places for what was ``asked`` and
#: what was ``found``.
DIFFERENCES: Mapping[str, Verdict] = MappingProxyType(
    {
        verdict.word: verdict
        for verdict in (
            Verdict(
                "differs",
                "Differs",
                "yes",
                "There was {found}.",
                "The difference is larger than chance gives, weighted and plain estimate agree, and no guard explains"
                " it by the recordings.",
                "It does not say why.",
            ),
            Verdict(
                "differs_unchecked",
                "Differs, unchecked",
                "caution",
                "There was {found}, unchecked.",
                "The difference is larger than chance gives, but a guard could not be assessed, or shows that it sits"
                " at zero lag, where an artefact common to both people looks the same.",
                "It cannot tell a difference between people from one of the recordings that the open guard looks for.",
            ),
            Verdict(
                "confounded",
                "Confounded",
                "no",
                "There was {found}, but the recordings differ too: it is not attributed to coupling.",
                "The difference is larger than chance gives, but so is one of the recordings that would make it.",
                "It is evidence neither of a difference between the people nor of its absence.",
            ),
            Verdict(
                "no_clear_difference",
                "No clear difference",
                "unknown",
                "No clear difference of {asked} was shown; that is not evidence of none.",
                "The data show no difference that weighted and plain estimate agree on.",
                "With few dyads a true difference is easily missed; the interval shows what remains possible.",
            ),
            Verdict(
                "cannot_tell",
                "Cannot tell",
                "unknown",
                "Cannot tell of a difference of {asked}.",
                "There is too little to test, or what is compared cannot be told apart from something else.",
                "Neither a difference nor its absence can be read from these data.",
            ),
        )
    }
)

#: What is said of a column of yes and no, and of synchrony that is one.
YES_NO_SAID = "{name} is yes (1) or no (0), taken as a number."
YES_NO_SHARE = "Slopes are changes of the share of yes."

#: Why a row of the outcome does not enter growth.
LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "other_chance": "no other dyad could be re-paired, and the lag null is another chance level",
        "no_value": "no value, or no time",
    }
)

#: What a difference of each kind cannot say.
LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "conditions": "Tasks also differ in speech, movement and stimuli, which guards see only in part.",
        "groups": "Unless dyads were assigned at random, this is no effect of what was done in the groups.",
        "moderators": "What goes with growth need not be its cause.",
    }
)

#: How a guard's sentence reads where a difference was asked instead of a change.
AS_DIFFERENCE: tuple[tuple[str, str], ...] = (
    *(
        pair
        for way, far in (("rise", "higher"), ("fall", "lower"))
        for pair in (
            (f"The {way} ", "The difference "),
            (f"of the {way} of synchrony", "of the difference of synchrony"),
            (f"make synchrony {way}", f"make synchrony {far}"),
            (f"does not clearly {way}", f"is not clearly {far}, and does not clearly {way} more"),
            (f"does not {way} by clearly", "does not differ by clearly"),
            (f" {way}s", f" is {far}, or {way}s more"),
        )
    ),
    ("no clear change", "no clear difference"),
    ("explain the change", "explain the difference"),
    ("of the change with constant coupling", "of the difference with constant coupling"),
    ("improves over the sessions", "differs the other way"),
    ("worsens over the sessions", "differs the same way"),
    ("slope ", "difference "),
)

#: Words where a folder holds no verdict, or one of another version.
NO_VERDICT = Verdict(
    "",
    "No verdict",
    "unknown",
    "",
    "This folder holds no verdict on growth that this report knows.",
    "The tables and curves below are a description only.",
)


#: How two recordings came on one clock, by its source.
CLOCK_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "same_amplifier": "one amplifier's, as declared or as one file",
        "triggers": "aligned by shared triggers",
        "timestamps": "aligned by time stamps",
        "offset": "aligned by an offset that was given",
        "assumed": "assumed to start together, not aligned",
    }
)


def size_text(recordings: Collection[tuple[str, float]]) -> str:
    """Say how many dyad-sessions there are, and recordings where tasks or runs make several; a dyad and session each.

    Examples
    --------
    >>> size_text([("D01", 1), ("D01", 2)]), size_text([("D01", 1), ("D01", 1)])
    ('2 dyad-sessions', '2 recordings of 1 dyad-session')
    """
    sessions = count(len(set(recordings)), "dyad-session")
    one_each = len(set(recordings)) == len(recordings)
    return sessions if one_each else f"{count(len(recordings), 'recording')} of {sessions}"


def clocks_text(sessions: Mapping[str, int]) -> str:
    """Say how the recordings of how many sessions came on one clock; empty where nothing is known.

    Examples
    --------
    >>> clocks_text({"triggers": 11, "assumed": 1})
    'Clocks: aligned by shared triggers (11 sessions), assumed to start together, not aligned (1 session).'
    """
    told = [f"{CLOCK_WORDS.get(source, 'not said')} ({count(n, 'session')})" for source, n in sessions.items()]
    return f"Clocks: {', '.join(told)}." if told else ""


@dataclass(frozen=True)
class VerdictGroup:
    """What several verdicts have in common, where many analyses are counted."""

    verdicts: tuple[str, ...]
    #: What one analysis does, and what several do
    one: str
    many: str


#: Groups that the verdicts of a multiverse are counted in; the empty verdict is that of an analysis without a result.
VERDICT_GROUPS: tuple[VerdictGroup, ...] = (
    VerdictGroup(("grows", "grows_lag_unresolved", "grows_unchecked"), "rises", "rise"),
    VerdictGroup(("declines", "declines_lag_unresolved", "declines_unchecked"), "falls", "fall"),
    VerdictGroup(("confounded",), "is confounded", "are confounded"),
    VerdictGroup(("no_change", "no_clear_change"), "shows no clear change", "show no clear change"),
    VerdictGroup(("cannot_tell",), "is too small to tell", "are too small to tell"),
    VerdictGroup(("",), "could not be computed", "could not be computed"),
)


@dataclass(frozen=True)
class Measure:
    """A column that a trend guard takes slopes of, and the change of it that would raise the excess."""

    column: str
    #: -1: a fall raises the excess; +1: a rise does; 0: either may
    direction: int
    #: What it is called in a sentence
    label: str


@dataclass(frozen=True)
class GuardWords:
    """What a guard asks, of which figures, and what fails it."""

    name: str
    question: str
    fails: str
    modalities: tuple[str, ...] = MODALITIES
    #: Of a trend guard
    measures: tuple[Measure, ...] = ()
    #: Columns that a guard with a function of its own takes slopes of
    figures: tuple[str, ...] = ()
    #: What is said where nothing holds its columns; empty = that there are no guard (or quality) measures
    unknown: str = ""
    #: Whether it speaks of who leads, too
    of_lead: bool = False
    #: Metrics whose own value it corrects or looks at; empty = any. Of another primary metric it is not asked
    metrics: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that its answer rests on."""
        return self.figures or tuple(measure.column for measure in self.measures)


#: The band guard asks for an out-of-band change beyond this share of the change itself. Its control varies so little
#: that it fails true growth by chance where any change counts; a broadband artefact changes it by more than the
#: outcome (chosen by simulation, seed 7 of scripts/validate_verdict.py).
BAND_SHARE = 0.1

#: The steadiness guard asks, too, what share of the change constant coupling would make by the mean change of
#: steadiness, however unsure: few dyads let large ones pass at p < .05. Above it lay all claims in 23 studies whose
#: spells came to coincide, below it (up to .10) all 33 that grew (seeds 20261125, -28 and -29 of
#: scripts/validate_verdict.py, on which it was chosen; on seed 20261201 it failed none of 14 that grew, and none of 14
#: whose spells came to coincide read grows). Of differences, 22 of each with studies of these seeds as the two tasks or
#: arms: without it 6 of 44 were claimed where the spells of one side came to coincide and the other was not coupled,
#: with it none, and 85 of 88 where one side grew either way.
STEADINESS_SHARE = 0.15

#: The chance guard lets the chance level make this share of the change. Dyads of a session number share their
#: strangers, so that their levels move together and the smallest move shows: of 8 studies that grew (fNIRS, seed
#: 20261228 of scripts/validate_verdict.py, on which it was chosen) 2 failed by 3 and 4 % of the change.
CHANCE_SHARE = 0.1


def share_text(share: float) -> str:
    """Share as sentences have it.

    Examples
    --------
    >>> share_text(0.15)
    '15 %'
    """
    return f"{100 * share:.3g} %"


#: Fits of the background that signal-to-noise is divided by, as columns and sentences name them.
BACKGROUND_FITS: Mapping[str, str] = MappingProxyType(
    {"line": "straight background", "quad": "curved background", "high": "background from above the rhythm"}
)

_EEG, _FNIRS = ("eeg",), ("fnirs",)

#: Metrics that a steady phase between two signals raises.
_OF_PHASE = ("plv", "ciplv", "ppc", "coh", "imcoh", "lagcoh", "pli", "wpli", "dwpli")
_OUTSIDE = f"{OUT_BAND[0]:g}-{OUT_BAND[1]:g} Hz"

# fNIRS: a fall of noise, or a rise of what both share, shows constant coupling better. In-band SD counts both ways (our
# choice): it falls with noise and rises with the signal itself.
_GUARDS = (
    GuardWords(
        "signal_to_noise",
        "Does growth remain once in-band signal-to-noise is divided out?",
        "corrected for both people's signal fraction, the change does not show with p < .05 by both fits of the "
        "background around the rhythm, and with p < .20 by the one from above it (.05 where the two come to take more "
        "for background than it does)",
        _EEG,
        figures=tuple(f"{kind}_{fit}" for kind in ("g1", "w") for fit in BACKGROUND_FITS),
        metrics=("plv",),
    ),
    GuardWords(
        "space",
        "Does it grow more in the region of interest than in control channels?",
        "the region does not change more than channels that carry little of the rhythm (p < .10)",
        _EEG,
        figures=("excess_z", "control_excess_z"),
    ),
    GuardWords(
        "band",
        f"Is growth absent from a band outside the rhythm ({_OUTSIDE})?",
        f"synchrony at {_OUTSIDE} changes the same way by more than {share_text(BAND_SHARE)} of the change (p < .10)",
        _EEG,
        figures=("excess_z", "outband_excess_z"),
    ),
    GuardWords(
        "lag",
        "Does it grow at a lag that a common artefact cannot have?",
        "neither synchrony that is blind to zero lag nor the lag pattern changes the same way (p < .05); where two "
        "clocks were put together: coherency beyond what an error of their offset makes does not",
        _EEG,
        figures=("lag_robust_excess_z", "imcoh_1", "imcoh_2", "imcoh_3", "imcoh_4", "lag_beyond"),
        metrics=_OF_PHASE,
    ),
    GuardWords(
        "steadiness",
        "Did both rhythms become steadier, or their spells come to coincide?",
        "the rhythms come and go less, or more often together (p < .05, or by so much that constant coupling would "
        f"make {share_text(STEADINESS_SHARE)} of the change): constant coupling then shows more often",
        _EEG,
        (Measure("steadiness", 1, "steadiness of both rhythms"),),
        figures=("excess_z", "steadiness"),
    ),
    GuardWords(
        "phase",
        "Does it grow at a phase that stays the same from window to window?",
        "squared coherency that has one phase in all windows does not change the same way (p < .05): rhythms that "
        "wander together, or whose spectra come to agree, lock within a window at any phase",
        _EEG,
        figures=("phase_kept",),
        metrics=_OF_PHASE,
    ),
    GuardWords(
        "mismatched_times",
        "Does it grow beyond what the same two people reach at times that do not match?",
        "the excess over the same two people's own mismatched times does not change the same way (p < .05): what the "
        "two spectra share by then is enough",
        figures=("own_excess_z",),
        unknown="the table holds no level of the same two people at other times",
    ),
    GuardWords(
        "leak",
        "Does the band grow more than those beside it that its filter reaches into?",
        "a band of the same metric and regions, of which the filter lets through more than a hundredth of the power, "
        "changes more and the same way (p < .05; asked where the table holds one): phase locking does not know how "
        "strong a signal is",
        _EEG,
        figures=("excess_z",),
    ),
    GuardWords(
        "short_channels",
        "Did the share of scalp signal (short channels) change?",
        "the share of short-channel signal falls over the sessions (p < .05)",
        _FNIRS,
        (Measure("short_r2", -1, "share of short-channel (systemic) signal"),),
    ),
    GuardWords(
        "in_band_sd",
        "Did the in-band standard deviation change?",
        "the standard deviation inside the band changes either way (p < .05)",
        _FNIRS,
        (Measure("band_sd", 0, "in-band standard deviation"),),
    ),
    GuardWords(
        "mayer",
        "Did Mayer waves change?",
        "the fraction of Mayer waves falls (p < .05)",
        _FNIRS,
        (Measure("mayer_fraction", -1, "Mayer-wave fraction"),),
    ),
    GuardWords(
        "motion",
        "Did joint motion change?",
        "motion in both people at once rises (p < .05)",
        _FNIRS,
        (Measure("motion_overlap", 1, "overlap of motion in both people"),),
    ),
    GuardWords(
        "instrument",
        "Did instrument noise or scalp coupling change?",
        "instrument noise falls, or scalp coupling rises (p < .05)",
        _FNIRS,
        (Measure("instrument_noise", -1, "instrument noise"), Measure("sci", 1, "scalp coupling")),
    ),
    GuardWords(
        "length",
        "Did the amount of data change?",
        "the clean time rises (p < .05)",
        _FNIRS,
        (Measure("clean_seconds", 1, "clean time"),),
    ),
    GuardWords(
        "chance",
        "Did the chance level move the other way?",
        "the chance level falls while the excess rises (p < .05), "
        f"by more than {share_text(CHANCE_SHARE)} of the change",
        _FNIRS,
        figures=("excess_z", "pseudo_mean_z"),
    ),
    GuardWords(
        "clock",
        "Did the two clocks drift less over the sessions?",
        "drift or residual of the clocks falls (p < .05); of who leads: the lag may be an offset of the clocks",
        figures=("clock_source", *CLOCK_ERRORS),
        of_lead=True,
        unknown="the table alone says nothing about the recordings' clocks",
    ),
)

#: Every guard by its name, in the order in which a result lists those of a modality. For a fall all signs are turned.
GUARDS: Mapping[str, GuardWords] = MappingProxyType({guard.name: guard for guard in _GUARDS})


@dataclass(frozen=True)
class RelationWords:
    """What a relation of an outcome to synchrony asks, and how either sign of it is said.

    Sentences have places for ``outcome`` and ``what`` (synchrony).
    """

    name: str
    question: str
    more: str
    less: str
    #: What comes first, and what is kept constant
    order: str
    #: For an outcome of one number per dyad, where that is said in another way
    constant: tuple[str, str] | None = None


_RELATIONS = (
    RelationWords(
        "same_session",
        "Is the outcome higher in sessions of more synchrony than the dyad's own line?",
        "{outcome} was higher in sessions with more {what} than on the dyad's own line.",
        "{outcome} was lower in sessions with more {what} than on the dyad's own line.",
        "",
    ),
    RelationWords(
        "next_session",
        "Is the outcome higher at the session after one of more synchrony?",
        "{outcome} was higher at the session after one with more {what} than on the dyad's own line.",
        "{outcome} was lower at the session after one with more {what} than on the dyad's own line.",
        "Synchrony comes first, and that of the later session is kept constant.",
    ),
    RelationWords(
        "reverse",
        "Is synchrony higher at the session after one of a higher outcome?",
        "There was more {what} at the session after one with higher {outcome} than on the dyad's own line.",
        "There was less {what} at the session after one with higher {outcome} than on the dyad's own line.",
        "The outcome comes first, and that of the later session is kept constant.",
    ),
    RelationWords(
        "between",
        "Do dyads of more synchrony have a higher outcome?",
        "Dyads with more {what} on average had higher {outcome}.",
        "Dyads with more {what} on average had lower {outcome}.",
        "This compares dyads, and says nothing of change.",
    ),
    RelationWords(
        "change",
        "Does the growth of synchrony go with the change of the outcome?",
        "The more {what} grew in a dyad, the more its {outcome} rose (or the less it fell).",
        "The more {what} grew in a dyad, the more its {outcome} fell (or the less it rose).",
        "This compares dyads over the same span of time, so nothing comes first.",
        (
            "The more {what} grew in a dyad, the higher was its {outcome}.",
            "The more {what} grew in a dyad, the lower was its {outcome}.",
        ),
    ),
)

#: Every relation by its name, in the order in which they are listed.
RELATION_WORDS: Mapping[str, RelationWords] = MappingProxyType({words.name: words for words in _RELATIONS})


@dataclass(frozen=True)
class RelationAnswer:
    """Words for one answer on a relation."""

    #: As ``growth.json`` names it
    word: str
    label: str
    meaning: str


_ANSWERS = (
    RelationAnswer(
        "goes_with",
        "Goes with",
        "The two go with each other (p < .05 after Holm's correction, over therapists too from five on), and no guard "
        "explains it. It is an association: neither is shown to bring about the other.",
    ),
    RelationAnswer(
        "goes_with_unchecked",
        "Goes with, unchecked",
        "The two go with each other, but at least one guard could not be asked, or the relation sits at zero lag: the "
        "recordings may stand behind it.",
    ),
    RelationAnswer(
        "confounded",
        "Confounded",
        "The two go with each other, and a guard failed: the recordings, or another session, explain it as well.",
    ),
    RelationAnswer(
        "no_clear_relation",
        "No clear relation",
        "The data show no relation of this kind. That is not evidence that there is none: the interval shows which "
        "slopes remain possible.",
    ),
    RelationAnswer(
        "cannot_tell",
        "Cannot tell",
        "There are fewer than six dyads, or (between dyads) fewer than four with one of two values, or nothing is left "
        "once time is taken out.",
    ),
)

#: Answers on a relation by their word, the clearest first.
RELATION_ANSWERS: Mapping[str, RelationAnswer] = MappingProxyType({answer.word: answer for answer in _ANSWERS})

#: Guards of relations beside those of the recordings: question, and what fails it.
RELATION_GUARDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "other_sessions": (
            "Does it hold with the sessions before and after in the model?",
            "with them, the slope does not have the same sign at p < .20: taking lines out of short courses makes a "
            "true relation at one distance look like its opposite at another",
        ),
        "common_course": (
            "Was what all dyads share at a session number taken out of both?",
            "it is never failed; where too few dyads share a session number it is not assessable, and courses that "
            "bend alike in all dyads may look like a relation",
        ),
        "therapists": (
            "Does it hold over therapists?",
            "it is never failed: from five therapists on the test over them decides; with two to four who see several "
            "dyads it is not assessable",
        ),
    }
)


_UP = Verdict(
    "changes_up",
    "Rises in the client",
    "yes",
    "Increase in the client's {what}.",
    "Over the sessions the index rose in the clients, in the mean over clients weighted by precision and in their "
    "plain mean alike, by more than in their therapists in the same sessions, and no guard explains it by the "
    "recording.",
    "It says that a measure at the scalp rose, not which part of the brain it comes from, why, or whether that is "
    "good for anybody: wakefulness, closed eyes, speech, medication and habit can each do it. It shows no effect of "
    "therapy.",
)
_UP_UNCHECKED = Verdict(
    "changes_up_unchecked",
    "Rises in the client, unchecked",
    "caution",
    "Increase in the client's {what}, unchecked.",
    "The index rose in the clients over the sessions, but at least one guard could not be assessed, so a change of the "
    "recordings, or one that therapists share, has not been ruled out as the reason.",
    "It cannot tell a change of the client from what the missing guard would have looked for. Read the guards that are "
    "not assessable as open questions.",
)


#: Words for a rise of an index, and those for a fall.
_SINK = (("_up", "_down"), ("Rises", "Falls"), ("Increase", "Decrease"), ("rose", "fell"))

#: Verdicts on an index of each person alone, by their words.
PERSON_VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        verdict.word: verdict
        for verdict in (
            *(_UP, _UP_UNCHECKED),
            *(_turned(verdict, *_SINK) for verdict in (_UP, _UP_UNCHECKED)),
            Verdict(
                "confounded",
                "Confounded",
                "no",
                "The client's {what} changes, but so does something that changes it by itself: it is not called "
                "the client's change.",
                "The index changed in the clients over the sessions, but so did the recordings, or the therapists in "
                "the same way. The failed guard below names it.",
                "It is not evidence of a change in the client, nor of its absence: a true change may hide behind it.",
            ),
            Verdict(
                "no_change",
                "No change",
                "no",
                "No change in the client's {what}: its slope is smaller than the {bound} named in advance.",
                _NO_CHANGE.meaning,
                _NO_CHANGE.limits,
            ),
            Verdict(
                "no_clear_change",
                "No clear change",
                "unknown",
                "No clear change in the client's {what} was shown; that is not evidence of no change.",
                "The data show neither a rise nor a fall that weighted and plain mean over clients agree on.",
                "This is not evidence that the index stays the same: with few clients or sessions a true change is "
                "easily missed. The confidence interval shows which slopes remain possible.",
            ),
            Verdict(
                "cannot_tell",
                "Cannot tell",
                "unknown",
                "Cannot tell whether the client's {what} changed over sessions.",
                "There are fewer than six clients with two or more usable sessions, too few to speak of change in a "
                "group. What was measured is described below without a test of the group.",
                "Neither a change in a group nor its absence can be read from these courses.",
            ),
        )
    }
)

#: Guards of an index of one person, in the order in which they are told. Direction 0: a change either way may bring a
#: change of the index about; it is asked of the client's own recordings.
_PERSON_GUARDS = (
    GuardWords(
        "therapist",
        "Does the client change by more than the therapist in the same sessions?",
        "client minus therapist does not change the same way (p < .05): both share caps, room and hour",
        figures=("difference",),
    ),
    GuardWords(
        "twin",
        "Does it remain in the version of the index that noise or gain moves the other way?",
        "the other version (coupling corrected for noise; power above the background and over it, each by more than "
        "half as much) does not change the same way (p < .05)",
        _EEG,
        figures=("twin",),
    ),
    GuardWords(
        "haemoglobins",
        "Does HbR move against HbO, as it does in a response, and not with it, as blood pressure and movement have it?",
        "the other haemoglobin's response does not change the opposite way (p < .05)",
        _FNIRS,
        figures=("twin",),
        metrics=RESPONSES,
    ),
    GuardWords(
        "task",
        "Did the number, or the length, of the task's events change?",
        "one of them changes either way (p < .05): later events evoke less, and others something else",
        _FNIRS,
        (Measure("task_events", 0, "number of events"), Measure("task_seconds", 0, "length of the events")),
        metrics=RESPONSES,
    ),
    GuardWords(
        "high_frequencies",
        "Did power at 30-40 Hz change (muscle, noise of electrodes)?",
        "it changes either way, by more than a tenth of an index in dB, or by 1 dB in all beside others (p < .10)",
        _EEG,
        (Measure("high_frequency", 0, "power at 30-40 Hz"),),
    ),
    GuardWords(
        "low_frequencies",
        "Did power at 1-2 Hz change (movement, sweat, loose electrodes)?",
        "it changes either way, by more than a tenth of an index in dB, or by 1 dB in all beside others (p < .10)",
        _EEG,
        (Measure("drift", 0, "power at 1-2 Hz"),),
    ),
    GuardWords(
        "drowsiness",
        "Did theta move against alpha, as it does when people get drowsy?",
        "power of alpha: theta changes the other way by more than a tenth of it (p < .10); power of theta: alpha does; "
        "others: both change, against each other (p < .05)",
        _EEG,
        figures=("theta", "alpha"),
    ),
    GuardWords(
        "beta",
        "Did beta move against it, and bend the background that is fitted below a rhythm (asked if beta is a band)?",
        "power of beta changes the other way by more than a tenth of the index (p < .10)",
        _EEG,
        figures=("beta",),
        metrics=("power", "power_over_background"),
    ),
    GuardWords(
        "even_rhythm",
        "Did the rhythm become more even in time, which shows constant coupling more often?",
        "coupling: the band's power becomes more even in time (p < .05; a fall: less even)",
        _EEG,
        figures=("evenness",),
    ),
    GuardWords(
        "channels",
        "Did the number of usable channels change?",
        "it changes either way (p < .05)",
        measures=(Measure("channels_kept", 0, "number of usable channels"),),
    ),
    GuardWords(
        "scalp",
        "Did the share of scalp signal (short channels) change?",
        "it changes either way (p < .05)",
        _FNIRS,
        (Measure("short_r2", 0, "share of short-channel (systemic) signal"),),
    ),
    GuardWords(
        "slow_waves",
        "Did Mayer waves, or the size of the signal in the band, change?",
        "one of them changes either way (p < .05)",
        _FNIRS,
        (
            Measure("mayer_fraction", 0, "Mayer-wave fraction"),
            Measure("band_sd", 0, "in-band standard deviation"),
        ),
    ),
    GuardWords(
        "movement",
        "Did the client move more, or less?",
        "the share of seconds with motion changes either way (p < .05)",
        _FNIRS,
        (Measure("motion", 0, "share of seconds with motion"),),
    ),
    GuardWords(
        "optodes",
        "Did instrument noise or scalp coupling change?",
        "one of them changes either way (p < .05)",
        _FNIRS,
        (Measure("instrument_noise", 0, "instrument noise"), Measure("sci", 0, "scalp coupling")),
    ),
    GuardWords(
        "impedance",
        "Did the client's impedance change (column client_impedance of dyads.tsv)?",
        "it changes either way (p < .05)",
        measures=(Measure("client_impedance", 0, "impedance"),),
    ),
    GuardWords(
        "time_of_day",
        "Did the time of day of the sessions change (column hour of dyads.tsv)?",
        "it changes either way (p < .05)",
        measures=(Measure("hour", 0, "hour of the day"),),
    ),
)

#: Every guard of an index of one person, by its name.
PERSON_GUARDS: Mapping[str, GuardWords] = MappingProxyType({guard.name: guard for guard in _PERSON_GUARDS})

#: Of them those that are asked only where the tables hold what they rest on: a column of the study, a band.
ON_REQUEST = ("beta", "impedance", "time_of_day")

_OF_DIFFERENCES = (
    GuardWords(
        "movement",
        "Is there more movement or muscle where synchrony is higher?",
        "drift or muscle takes more of the power where synchrony is higher, or grows more (p < .05)",
        _EEG,
        (
            Measure("motion", 1, "share of power at 1-2 Hz (movement)"),
            Measure("highfreq", 1, "share of power at 30-40 Hz (muscle)"),
        ),
    ),
    GuardWords(
        "peaks",
        "Are the two peak frequencies closer where synchrony is higher?",
        "therapist's and client's peaks are closer where synchrony is higher, or converge more (p < .05)",
        _EEG,
        figures=("peak_hz_",),
        unknown="the table alone says nothing about peak frequencies",
    ),
)

#: Guards that are asked of differences between conditions or groups beside all others, by name.
DIFFERENCE_GUARDS: Mapping[str, GuardWords] = MappingProxyType({guard.name: guard for guard in _OF_DIFFERENCES})
