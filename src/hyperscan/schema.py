"""The vocabulary of the package: roles, keys, regions and outcomes, and what every column of a run's tables is.

Nothing here reads, writes or computes. Whoever needs a list of columns, a head or an axis label takes it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


#: What a cell of a table holds; what is missing is None or NaN.
Scalar = str | int | float | None

#: The two people of a dyad, always in this order.
ROLES = ("therapist", "client")

#: ``speaks:WHO`` in the place of an annotation's name asks for the time in which these speak (therapist, client) and
#: nobody else does; and how annotations of who speaks are called.
SPEAKS = "speaks:"
SPEAKING: Mapping[str, tuple[bool, bool]] = MappingProxyType(
    {"therapist": (True, False), "client": (False, True), "both": (True, True), "nobody": (False, False)}
)
SPOKEN: Mapping[str, str] = MappingProxyType({role: f"{role}_speaks" for role in ROLES})

#: Kinds of recording.
MODALITIES = ("eeg", "fnirs")

#: The primary signal without what follows the signal that ``shared_file`` names, by modality.
NO_SHARED: Mapping[str, str] = MappingProxyType({"eeg": "eeg_noshared", "fnirs": "hbo_noshared"})

#: Signals of a modality; the first is the primary one. ``hbo_nosc`` is HbO without short-channel regression.
SIGNALS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"eeg": ("eeg", NO_SHARED["eeg"]), "fnirs": ("hbo", "hbr", "hbt", "hbo_nosc", NO_SHARED["fnirs"])}
)

#: What two recordings may share as a clock; the last is refused.
CLOCKS = ("same_amplifier", "triggers", "timestamps", "offset", "assumed", "none")


class SessionKey(NamedTuple):
    """What tells one dyad-session from all others."""

    dyad: str
    session: int
    modality: str
    task: str
    run: str

    def __str__(self) -> str:
        parts = [self.dyad, f"ses-{self.session:02d}", self.modality]
        parts += [f"task-{self.task}"] * bool(self.task) + [f"run-{self.run}"] * bool(self.run)
        return " ".join(parts)


#: Columns that tell one dyad-session of a table from all others.
KEYS = SessionKey._fields


class RoiPair(NamedTuple):
    """The therapist's region and the client's."""

    therapist: str
    client: str

    @classmethod
    def parse(cls, text: str) -> RoiPair:
        """Read ``frontal-occipital``; one name alone stands for the same region in both people.

        Examples
        --------
        >>> RoiPair.parse("frontal-occipital").client
        'occipital'
        >>> str(RoiPair.parse("all"))
        'all-all'
        """
        therapist, _, client = text.partition("-")
        return cls(therapist, client or therapist)

    def __str__(self) -> str:
        return f"{self.therapist}-{self.client}"


class Cell(NamedTuple):
    """One signal, metric and band: the key of what is computed for a pair of people."""

    signal: str
    metric: str
    band: str


class Index(NamedTuple):
    """What is measured of one person alone, in which band and region; an empty part is left open."""

    name: str
    band: str = ""
    #: A region, two of them joined by a hyphen, or a network
    region: str = ""

    @classmethod
    def parse(cls, text: str) -> Index:
        """Read ``power/alpha/posterior``; parts from the end may be left out.

        Examples
        --------
        >>> Index.parse("power/alpha")
        Index(name='power', band='alpha', region='')
        """
        name, _, rest = text.partition("/")
        band, _, region = rest.partition("/")
        return cls(name, band, region)

    def __str__(self) -> str:
        return "/".join(self).rstrip("/")


#: Columns of within.tsv that an index is named by, in its order.
INDEX_COLUMNS = ("index", "band", "region")


@dataclass(frozen=True)
class IndexFacts:
    """What is known of an index of one person."""

    #: Words for a sentence
    label: str
    meaning: str
    #: Unit of ``estimate``, and of ``level`` and ``value``; empty = the growth scale of the metric of that name
    unit: str
    scale: str
    #: The index that noise, or gain, moves the other way or not at all: a true change shows in both
    twin: str = ""
    #: Of :data:`MODALITIES`
    modality: str = "eeg"
    #: Share of its change that the twin has at least, where a true change has all of it there, too
    twin_share: float = 0.0
    #: Whether it is of a task, whose name stands in the place of a band
    of_task: bool = False


def _of_task(label: str, meaning: str, twin: str = "", *, unit: str = "µM") -> IndexFacts:
    return IndexFacts(label, meaning, unit, unit, twin, "fnirs", of_task=True)


#: Indices of one person, by name; every other one is a metric of coupling inside the person.
INDICES: Mapping[str, IndexFacts] = MappingProxyType(
    {
        "band_power": IndexFacts("power of the band", "power of the band, mean of the channels", "µV²", "dB", "power"),
        "relative_power": IndexFacts(
            "relative power", "share of the power of the passband that is in the band", "1", "dB", "power"
        ),
        "power": IndexFacts(
            "1/f-free power",
            "power of the band above the 1/f background (curved fit)",
            "µV²",
            "dB",
            "power_over_background",
            twin_share=0.5,
        ),
        "power_over_background": IndexFacts(
            "power over the background",
            "1/f-free power over the power of the 1/f background",
            "1",
            "dB",
            "power",
            twin_share=0.5,
        ),
        "asymmetry": IndexFacts(
            "frontal asymmetry",
            "ln of right minus ln of left power, mean of the mirrored channels",
            "ln",
            "dB",
            "rhythm_asymmetry",
        ),
        "rhythm_asymmetry": IndexFacts(
            "1/f-free frontal asymmetry", "as asymmetry, of 1/f-free power", "ln", "dB", "asymmetry"
        ),
        "peak_hz": IndexFacts("peak frequency", "frequency of the peak above the background", "Hz", "Hz"),
        "aperiodic_slope": IndexFacts(
            "aperiodic slope", "exponent of the 1/f background, 2-5 and 15-40 Hz (straight fit)", "1", "1"
        ),
        "high_frequency": IndexFacts("power at 30-40 Hz", "power at 30-40 Hz: muscle and noise", "µV²", "dB"),
        "drift": IndexFacts("power at 1-2 Hz", "power at 1-2 Hz: drift, movement and sweat", "µV²", "dB"),
        "evenness": IndexFacts("evenness", "how evenly in time the band's power is there; 0 = evenly", "1", "dB"),
        "imcoh_corrected": IndexFacts(
            "noise-corrected coupling",
            "squared imaginary coherency beyond mismatched times, over both channels' signal fractions",
            "1",
            "1",
        ),
        "amplitude": IndexFacts(
            "amplitude", "standard deviation in the band, mean of the channels", "µM", "dB", modality="fnirs"
        ),
        "response": _of_task("task response", "height of HbO that a long event would end at", "response_hbr"),
        "response_hbr": _of_task(
            "task response of HbR (fall = up)", "as response, of HbR, its sign turned", "response"
        ),
        "laterality": _of_task("laterality", "response of the left region minus the right one's", "laterality_hbr"),
        "laterality_hbr": _of_task("laterality of HbR (fall = up)", "as laterality, of response_hbr", "laterality"),
        "task_events": _of_task("number of events", "events that the response rests on", unit="1"),
        "task_seconds": _of_task("length of the events", "mean length of these events", unit="s"),
    }
)

#: Those that ask what a task evokes.
RESPONSES = tuple(name for name, facts in INDICES.items() if facts.of_task and facts.twin)

#: Coupling that is corrected for noise, the twin of every other coupling of EEG.
CORRECTED = "imcoh_corrected"


def index_facts(name: str) -> IndexFacts:
    """Look up an index; one that is not listed is coupling inside the person by the metric of that name.

    Examples
    --------
    >>> index_facts("power").scale, index_facts("lagcoh").twin
    ('dB', 'imcoh_corrected')
    """
    meaning = f"{name} inside the person, mean over channel pairs; value = beyond the person's own mismatched times"
    return INDICES.get(name) or IndexFacts("coupling", meaning, "1", "", CORRECTED)


#: Labels by which the primary outcome is named in advance.
NAMED = ("metric", "band", "roi", "task")

#: Flag of rows of synchrony.tsv that are a difference of tasks.
CONTRAST = "contrast"

#: What a study's table says of its primary outcome, among the attributes of the frame: labels by name.
STUDY = "primary_outcome"

#: What it says of its bands, likewise: edges in Hz by name.
STUDY_BANDS = "bands"

#: Where a table of guards keeps why there are no control channels, by task.
NO_CONTROL = "no_control_channels"

#: Labels that tell two outcomes of a table apart, in the order in which tables are sorted by them.
OUTCOME_LABELS = ("modality", "task", "signal", "metric", "band", "roi")

#: Fewer dyads with two or more sessions than this give no verdict (with 5, no sign-flip p can reach .05).
MIN_DYADS = 6


#: A side of a comparison of dyads with fewer of them is not compared: with 3 and 3, no permutation p can reach .05.
MIN_GROUP = 4

#: How a table says yes and no, in any case.
YES_NO: Mapping[str, bool] = MappingProxyType(
    {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
)

#: How symptoms, alliance and other columns may go with synchrony.
RELATIONS = ("same_session", "next_session", "reverse", "between", "change")

#: Those of them that dyads are compared by; the others are inside dyads, from session to session.
OF_DYADS = ("between", "change")

#: When such a column was measured, where its order within a session is known.
MEASURED = ("before", "after")


@dataclass(frozen=True)
class Outcome:
    """What a growth analysis is about. An empty label is one that is not given, and matches everything."""

    metric: str = ""
    band: str = ""
    roi: str = ""
    task: str = ""
    signal: str = ""
    modality: str = ""

    def __str__(self) -> str:
        signal = "" if self.signal == self.modality else self.signal
        return ", ".join(part for part in (self.metric, signal, self.band, self.roi, self.task) if part)

    @property
    def rois(self) -> RoiPair:
        """Regions of therapist and client."""
        return RoiPair.parse(self.roi)

    @property
    def named(self) -> dict[str, str]:
        """Labels that a study names in advance."""
        return {name: getattr(self, name) for name in NAMED}

    def select(self, table: pd.DataFrame, *, any_roi: bool = False) -> pd.DataFrame:
        """Rows of a run's table that are of this outcome; ``any_roi`` keeps every ROI pair."""
        wanted = {name: getattr(self, name) for name in ("modality", "signal", "metric", "band", "task")}
        if not any_roi and self.roi:
            wanted |= {"roi_therapist": self.rois.therapist, "roi_client": self.rois.client}
        keep = table.index == table.index
        for column, label in wanted.items():
            if label and column in table:
                keep &= (table[column].astype(str) == label).to_numpy()
        return table[keep]


def other_chance(table: pd.DataFrame) -> pd.Series:
    """Rows whose excess is over the lag null where others of the same outcome have pseudo pairs.

    Excess over the lag null is that of another statistic (the whole session's, not its windows'), and of the same
    coupling it is larger: a study whose late sessions lack partners would seem to grow. So growth, and every picture
    and mean of the excess, leaves them out.
    """
    n_pairs = table["n_pseudo"].astype(float) if "n_pseudo" in table else table.assign(n=1.0)["n"]
    keys = [table[name] for name in dict.fromkeys((*OUTCOME_LABELS, *CELL_COLUMNS)) if name in table]
    most = n_pairs.groupby(keys, dropna=False).transform("max") if keys else n_pairs.max()
    return (n_pairs == 0) & (most > 0)


#: What every metric is on where growth is tested: Fisher z, or the metric as it is.
GROWTH_SCALE = "growth scale"


@dataclass(frozen=True)
class Column:
    """One column: its head in a table, its label on an axis (empty = its head), and what it means.

    Head and label of a column on the growth scale have a place for the name of that ``{scale}``.
    """

    name: str
    head: str
    axis: str = ""
    meaning: str = ""
    units: str = ""
    text: bool = False
    p_value: bool = False

    @property
    def axis_label(self) -> str:
        """Words for an axis, in two lines where one would be too long."""
        return self.axis or self.head

    @property
    def label(self) -> str:
        """Words for an axis, or for a sentence, in one line."""
        return self.axis_label.replace("\n", " ")


def _columns(*columns: Column) -> Mapping[str, Column]:
    return MappingProxyType({column.name: column for column in columns})


#: Every column of a run's tables, by name.
COLUMNS: Mapping[str, Column] = _columns(
    # keys and labels
    Column("dyad", "Dyad", meaning="label of the dyad", text=True),
    Column("session", "Session", meaning="session number, from 1 on"),
    Column("modality", "Modality", meaning="eeg or fnirs", text=True),
    Column(
        "task",
        "Task",
        meaning="task label, or the name of a contrast of tasks; empty where there is one task",
        text=True,
    ),
    Column("run", "Run", meaning="run label; empty where there is one run", text=True),
    Column("therapist", "Therapist", meaning="label of the therapist", text=True),
    Column("client", "Client", meaning="label of the client", text=True),
    Column("person", "Person", meaning="therapist or client", text=True),
    Column("partner_dyad", "Partner dyad", meaning="dyad that lends one person", text=True),
    Column("which", "Lent", meaning="whom the partner dyad lends: client or therapist", text=True),
    Column("days", "Day", meaning="days since the dyad's first session", units="d"),
    Column(
        "signal",
        "Signal",
        meaning="eeg, or hbo, hbr, hbt, hbo_nosc (HbO without short-channel regression); eeg_noshared, hbo_noshared:"
        " the same without what follows the signal of shared_file",
        text=True,
    ),
    Column("metric", "Metric", meaning="name of the metric", text=True),
    Column("band", "Band", meaning="name of the band", text=True),
    Column("roi", "ROI pair", meaning="pair of regions, therapist first", text=True),
    Column("roi_therapist", "ROI, therapist", meaning="the therapist's region", text=True),
    Column("roi_client", "ROI, client", meaning="the client's region", text=True),
    # synchrony and chance
    Column(
        "estimate",
        "Estimate",
        "Synchrony (metric's own scale)",
        "mean of the metric over windows and channel pairs; over windows alone for a metric of whole regions",
    ),
    Column(
        "z",
        "Synchrony ({scale})",
        meaning="mean over windows and channel pairs (whole regions: over windows) on the growth scale: Fisher z,"
        " or the metric as it is where that is none (ppc, dwpli, mim, gcmi, gcte, xcorr_lag, shares by wavelet phase)",
    ),
    Column(
        "pseudo_mean_z",
        "Chance, mean ({scale})",
        meaning="mean z of re-paired dyads of the same session number: the chance level",
    ),
    Column("pseudo_sd_z", "Chance, SD ({scale})", meaning="standard deviation of z among the re-paired dyads"),
    Column("n_pseudo", "Pseudo pairs (n)", meaning="re-paired dyads"),
    Column(
        "excess_z",
        "Excess ({scale})",
        "Excess over chance ({scale})",
        "z - pseudo_mean_z; flagged chance_from_lags: lag_estimate - its mean under shifts",
    ),
    Column(
        "own_mean_z",
        "Own chance, mean ({scale})",
        meaning="mean z of the same two people at times that do not match: what their spectra alone give",
    ),
    Column("n_own", "Mismatched windows (n)", meaning="windows (EEG) or shifts (fNIRS) that own_mean_z is the mean of"),
    Column(
        "own_excess_z",
        "Excess over own chance ({scale})",
        meaning="z - own_mean_z; fNIRS: of the primary signal",
    ),
    Column(
        "halves_z",
        "Odd minus even windows ({scale})",
        meaning="mean z of the odd windows minus that of the even ones, which tells how well z repeats; empty where "
        "there is one window (fNIRS)",
    ),
    Column(
        "lag_estimate",
        "Whole-session estimate",
        meaning="whole-session statistic on the growth scale, mean over channel pairs unless of whole regions",
    ),
    Column(
        "lag_peak_s",
        "Lag of the highest excess (s)",
        meaning="lag of the profile's highest excess over pseudo pairs, primary band; positive = the therapist leads",
        units="s",
    ),
    Column(
        "lag_peak_p",
        "p, highest of all lags",
        meaning="one-sided p of the highest excess over all lags, against the highest of every pseudo pair",
        p_value=True,
    ),
    Column(
        "lead_asymmetry_excess",
        "Lead of the therapist ({scale})",
        "Excess where the therapist leads\nminus where the client leads ({scale})",
        "mean excess over pseudo pairs at lags where the therapist leads minus at those where the client leads; signed",
    ),
    Column("lag_s", "Lag (s)", "Lag (s), positive = the therapist leads", "lag of the client", units="s"),
    Column("profile_z", "Synchrony at the lag ({scale})", meaning="statistic over all windows at the lag"),
    Column("profile_pseudo_z", "Chance at the lag ({scale})", meaning="mean of the pseudo pairs at the lag"),
    Column("profile_pseudo_sd_z", "Chance, SD ({scale})", meaning="standard deviation among the pseudo pairs"),
    Column(
        "profile_excess_z",
        "Excess at the lag ({scale})",
        meaning="profile_z - profile_pseudo_z; without pseudo pairs empty",
    ),
    Column("lag_p", "p, lag null", meaning="one-sided p of lag_estimate under circular shifts", p_value=True),
    Column("lag_n", "Shifts (n)", meaning="circular shifts that lag_p rests on; p cannot fall below 1 / (lag_n + 1)"),
    Column(
        "n_windows",
        "Windows (n)",
        "Clean windows (n)",
        "windows analysed, the same number in every session; in quality.tsv those clean in this person",
    ),
    Column("window_s", "Window (s)", meaning="window length", units="s"),
    Column("seconds", "Data used (s)", meaning="time analysed", units="s"),
    Column(
        "flags",
        "Flags",
        meaning="no_value, no_chance, weak_chance, chance_from_lags, shared_therapist, contrast; joined by ;",
        text=True,
    ),
    # one person alone
    Column("index", "Index", meaning="what is measured of the person alone", text=True),
    Column("region", "Region", meaning="region, two regions joined by a hyphen, or a network", text=True),
    Column(
        "level",
        "Level",
        meaning="the index on the scale of its course: dB of powers, the growth scale of coupling, else as it is",
    ),
    Column(
        "own_level",
        "Own chance",
        meaning="coupling: level of the same person's channels at times that do not match; n/a for other indices",
    ),
    Column("value", "Value", meaning="what change is asked of: level, minus own_level where there is one"),
    Column("client_value", "Client", meaning="an index of the client"),
    Column("therapist_value", "Therapist", meaning="the same of the therapist"),
    Column("difference_value", "Client − therapist", meaning="client minus therapist"),
    # guards
    Column(
        "g1_line",
        "Coupling, noise-corrected, straight 1/f (a.u.)",
        "Coupling, noise-corrected,\nstraight 1/f (a.u.)",
        "squared coupling corrected for both people's signal fraction, with a straight 1/f background",
    ),
    Column(
        "g1_quad",
        "Coupling, noise-corrected, curved 1/f (a.u.)",
        "Coupling, noise-corrected,\ncurved 1/f (a.u.)",
        "as g1_line, with a curved background",
    ),
    Column(
        "g1_high",
        "Coupling, noise-corrected, 1/f from above (a.u.)",
        "Coupling, noise-corrected,\n1/f from above (a.u.)",
        "as g1_line, with a background fitted above the rhythm alone, which theta does not reach",
    ),
    Column("w_line", "Weight, straight 1/f (0-1)", meaning="weight of g1_line"),
    Column("w_quad", "Weight, curved 1/f (0-1)", meaning="weight of g1_quad"),
    Column("w_high", "Weight, 1/f from above (0-1)", meaning="weight of g1_high"),
    Column(
        "matched_excess_z",
        "Excess, noise-matched ({scale})",
        "Excess, noise-matched\n({scale})",
        "excess after noise was matched over sessions, a sensitivity check",
    ),
    Column("control_channels", "Control channels", meaning="channels of control_excess_z, joined by +", text=True),
    Column(
        "control_excess_z",
        "Excess, control channels ({scale})",
        "Excess, control channels\n({scale})",
        "excess in channels that carry least of the rhythm",
    ),
    Column(
        "outband_excess_z",
        "Excess, outside the band ({scale})",
        "Excess, outside the band\n({scale})",
        "excess in the same regions outside the band",
    ),
    Column(
        "lag_robust_excess_z",
        "Excess, blind to zero lag (Fisher z)",
        "Excess, blind to zero lag\n(Fisher z)",
        "excess of ciplv",
    ),
    *(
        Column(
            f"imcoh_{i}",
            f"Imaginary coherency, part {i} of the band",
            meaning=f"signed imaginary coherency of the regions' means, part {i} of 4 of the band",
        )
        for i in (1, 2, 3, 4)
    ),
    Column(
        "lag_beyond",
        "Coherency beyond the clocks' uncertainty (coherency)",
        "Beyond the clocks'\nuncertainty (coherency)",
        "coherency at a lag that no offset within clock_uncertainty_ms gives to what has none; negative where one may",
    ),
    Column(
        "steadiness",
        "Steadiness of both rhythms",
        "Steadiness of both rhythms\n(log share)",
        "how evenly in time both rhythms are there at once: log of what their unevenness leaves of phase locking",
    ),
    Column(
        "phase_kept",
        "Squared coherency at a phase that is kept",
        "At a phase that is kept\n(squared coherency)",
        "squared coherency of the regions that has one phase in all windows; 0 on average without coupling",
    ),
    # quality
    Column("channels_kept", "Channels kept", "Channels kept (n)", "channels that were analysed"),
    Column("channels_total", "Channels recorded", meaning="channels that the recording has of this person"),
    Column("clean_seconds", "Clean (s)", "Clean time (s)", "time free of artefacts", "s"),
    Column(
        "s2_line",
        "Signal fraction s²",
        "Signal fraction s² (0-1)",
        "signal fraction of the primary band, with a straight 1/f background",
    ),
    Column("s2_quad", "s², curved fit", "Signal fraction s², curved (0-1)", "as s2_line, with a curved background"),
    Column(
        "highfreq",
        "High-frequency power",
        "Power at 30-40 Hz (share)",
        "EEG: share of the power of 1-40 Hz at 30-40 Hz (muscle)",
    ),
    Column(
        "motion",
        "Motion (share)",
        meaning="EEG: share of the power of 1-40 Hz at 1-2 Hz (drift); fNIRS: share of seconds in which the whole cap"
        " moves (global variance of the derivative)",
    ),
    Column("clock_source", "Clock", meaning=f"how the two clocks were aligned: {', '.join(CLOCKS[:-1])}", text=True),
    Column(
        "clock_offset_s",
        "Offset (s)",
        "Clock offset (s)",
        "start of the client's recording on the therapist's clock",
        "s",
    ),
    Column(
        "clock_ppm",
        "Drift removed (ppm)",
        "Clock drift removed (ppm)",
        "drift of the client's clock that was removed",
        "ppm",
    ),
    Column("clock_residual_ms", "Residual (ms)", "Clock residual (ms)", "what was left after drift was removed", "ms"),
    Column(
        "clock_uncertainty_ms",
        "Offset known to ± (ms)",
        meaning="how far the offset may be off: 0 with one amplifier, at least the setting clock_uncertainty_ms else;"
        " n/a where the clock was assumed",
        units="ms",
    ),
    Column(
        "short_r2",
        "Short-channel r²",
        "Short-channel r² (0-1)",
        "fNIRS: share of HbO in the analysis band that short channels explain",
    ),
    Column(
        "shared_r2",
        "Shared-signal r²",
        "Shared-signal r² (0-1)",
        "share of the power in the primary band that follows the signal of shared_file, beyond what as many lags"
        " explain by chance; n/a without one",
    ),
    Column("band_sd", "In-band SD", "In-band SD (M)", "fNIRS: standard deviation in the analysis band", "M"),
    Column(
        "mayer_fraction",
        "Mayer fraction",
        "Mayer fraction (0-1)",
        "fNIRS: power at 0.07-0.13 over 0.02-0.2 Hz",
    ),
    Column(
        "motion_overlap",
        "Joint motion",
        "Motion in both at once (0-1)",
        "fNIRS: share of seconds in which both people move",
    ),
    Column(
        "instrument_noise", "Instrument noise", "Instrument noise (a.u.)", "fNIRS: noise floor of the optical density"
    ),
    Column("sci", "Scalp coupling", "Scalp coupling index (0-1)", "fNIRS: scalp coupling index, mean over channels"),
    Column("amplitude", "Amplitude (V)", meaning="EEG: size of the signal", units="V"),
    Column(
        "line_noise_db",
        "Mains over its surroundings (dB)",
        meaning="EEG: mains over its surroundings, before filtering",
        units="dB",
    ),
    Column("lost", "Lost (share)", meaning="EEG: share of the time without values or at a rail"),
    Column(
        "saturation",
        "At a rail or at rest (share)",
        meaning="share of samples at a rail or another value that does not move, bad channels included",
    ),
    Column("grade", "Grade", meaning="good, fair or poor", text=True),
    Column("reason", "Reason", meaning="why the grade is what it is", text=True),
    Column("decisions", "Decisions", meaning="what preparation decided from this person's data", text=True),
    # rows of growth.json
    Column("name", "Column", meaning="what the row is about", text=True),
    Column("slope", "Slope ({scale} per unit of time)", meaning="change per session or week"),
    Column("se", "SE", meaning="standard error of the slope"),
    Column("df", "df", meaning="degrees of freedom"),
    Column("t", "t", meaning="slope / se"),
    Column("p", "p", meaning="two-sided p", p_value=True),
    Column("p_satterthwaite", "p, Satterthwaite", meaning="p with df not capped", p_value=True),
    Column("smallest_p", "smallest p", meaning="smallest p that the test could have given", p_value=True),
    Column("ci_low", "95 % CI, low", meaning="lower end of the 95 % interval of the slope"),
    Column("ci_high", "95 % CI, high", meaning="upper end of the 95 % interval of the slope"),
    Column("p_max_t", "p, max-T corrected", meaning="p corrected for all outcomes", p_value=True),
    Column("q_bh", "q, FDR (BH)", meaning="p adjusted for the false discovery rate", p_value=True),
    Column(
        "p_holm",
        "p, Holm corrected",
        meaning="p corrected for all relations, or for all differences of a kind",
        p_value=True,
    ),
    Column("n_dyads", "Dyads (n)", meaning="dyads that entered"),
    Column("primary", "Primary", meaning="whether it is the outcome named in advance"),
    Column(
        "leaks_from",
        "May leak from",
        meaning="band that changes more and that this band's filter reaches into: phase locking sees little of it",
        text=True,
    ),
)

#: Columns of ``quality.tsv`` that end in the name of a band, by what stands before it.
BANDWISE: Mapping[str, Column] = _columns(
    Column(
        "snr_", "Signal fraction, {}", "Signal fraction, {} (0-1)", "share of the band's power above the background"
    ),
    Column("peak_hz_", "Peak (Hz), {}", "Peak frequency, {} (Hz)", "frequency of the band's peak", "Hz"),
    Column("peak_width_", "Peak width (Hz), {}", "Peak width, {} (Hz)", meaning="width of the peak", units="Hz"),
    Column(
        "peak_db_",
        "Peak (dB over the background), {}",
        "Peak over the background, {} (dB)",
        "height of the peak over the background",
        "dB",
    ),
)

#: Columns by which a table names the outcome that it was made for.
OUTCOME_COLUMNS = ("metric", "band", "roi")

#: Columns that tell the values of one dyad-session apart.
CELL_COLUMNS = (*Cell._fields, "roi_therapist", "roi_client")

#: What guards take their slopes of (EEG), one number per dyad-session.
GUARD_COLUMNS = (
    "g1_line",
    "g1_quad",
    "g1_high",
    "w_line",
    "w_quad",
    "w_high",
    "matched_excess_z",
    "control_excess_z",
    "outband_excess_z",
    "lag_robust_excess_z",
    "imcoh_1",
    "imcoh_2",
    "imcoh_3",
    "imcoh_4",
    "lag_beyond",
    "steadiness",
    "phase_kept",
)

#: How a clock was aligned, per dyad-session.
CLOCK_COLUMNS = ("clock_source", "clock_offset_s", "clock_ppm", "clock_residual_ms", "clock_uncertainty_ms")

#: Those of them that fall where two clocks come to agree, which raises synchrony by itself.
CLOCK_ERRORS = ("clock_ppm", "clock_residual_ms")

#: Band of the band guard in Hz: no coupling is expected here, but muscle is (found by simulation).
OUT_BAND = (26.0, 34.0)


@dataclass(frozen=True)
class Choice:
    """Something that preparation decides from the data of one person in one session."""

    name: str
    #: What it is called in a sentence and a table
    label: str
    #: Whether all sessions of a person should have it alike: a run warns where they have not
    alike: bool
    #: What makes it, or its effect, common to a person's sessions, or why it need not be
    how: str
    #: Settings that can make it alike; empty where only recordings can
    setting: str = ""


#: Every decision that preparation takes from data, in the order in which tables list them.
DECISIONS: Mapping[str, Choice] = MappingProxyType(
    {
        choice.name: choice
        for choice in (
            Choice("clock_source", "what aligns the clocks", True, "by session; the lag guard takes the worst"),
            Choice("level", "kind of the light data", True, "by session, as the file is"),
            Choice("signals", "haemoglobins that could be computed", True, "by session, as the wavelengths are"),
            Choice("sfreq", "sampling rate", True, "by session, at most eeg_max_sfreq", "eeg_max_sfreq"),
            Choice(
                "passband_hz",
                "passband",
                True,
                "by session, where the recording ends below the settings",
                "eeg_filter_hz or fnirs_filter_hz",
            ),
            Choice("filtered", "whether it was filtered", True, "by session; stretches may be too short"),
            Choice("montage", "channels as recorded", False, "regions hold what all sessions have"),
            Choice("positional", "whether channels are called after connectors", True, "by session, as they are named"),
            Choice("distances", "source-detector distances", True, "by session, as the file states them"),
            Choice("coupling_judged", "whether scalp coupling was judged", True, "by session, as the rate allows"),
            Choice("bad", "channels left out as bad", False, "regions hold what all sessions have"),
            Choice("interpolated", "channels that were interpolated", True, "by session", "eeg_interpolate"),
            Choice(
                "reference", "reference", True, "by the cap as recorded, common to a person's sessions", "eeg_reference"
            ),
            Choice("n_reference", "channels of the reference", False, "an average rests on what all sessions have"),
            Choice("rank", "independent channels", False, "follows from bad channels and the reference"),
            Choice(
                "detector", "what found artefact components", True, "by session, as installed and positioned", "eeg_ica"
            ),
            Choice("components", "components removed", False, "by session"),
            Choice("n_short", "short channels", False, "by session"),
            Choice(
                "short_regressed",
                "whether short channels were regressed out",
                True,
                "by session, where there are",
                "fnirs_short_regression",
            ),
            Choice("events", "kinds of events regressed out", True, "by session, as annotated", "fnirs_regress_events"),
            Choice(
                "pathlength", "pathlength factors", True, "by session; of a person one age should count", "fnirs_ppf"
            ),
        )
    }
)

#: Outcomes whose sign tells who leads: above 0 there is more excess where the therapist does.
SIGNED_OUTCOMES = ("lead_asymmetry_excess",)

#: Columns of every table of a run, in their order; covariates and columns of single bands follow.
TABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "synchrony": (
            *("dyad", "therapist", "client", "session", "days", "modality", "task", "run"),
            *CELL_COLUMNS,
            *("estimate", "z", "pseudo_mean_z", "pseudo_sd_z", "n_pseudo", "excess_z"),
            *("own_mean_z", "n_own", "own_excess_z", "halves_z"),
            *("lag_peak_s", "lag_peak_p", "lead_asymmetry_excess", "lag_estimate", "lag_p", "lag_n"),
            *("n_windows", "window_s", "seconds", "flags"),
        ),
        "pseudo": (
            *("dyad", "partner_dyad", "which", "session", "modality", "task", "run"),
            *(*CELL_COLUMNS, "z"),
        ),
        "lags": (
            *(*KEYS, *CELL_COLUMNS, "lag_s"),
            *("profile_z", "profile_pseudo_z", "profile_pseudo_sd_z", "profile_excess_z"),
        ),
        "guards": (*KEYS, *OUTCOME_COLUMNS, "control_channels", *GUARD_COLUMNS),
        "within": (
            *("dyad", "therapist", "client", "session", "days", "modality", "task", "run"),
            *("person", "signal", *INDEX_COLUMNS, "estimate", "level", "own_level", "value"),
        ),
        "quality": (
            *KEYS,
            "person",
            *("channels_kept", "channels_total", "clean_seconds", "n_windows", "s2_line", "s2_quad"),
            *("highfreq", "motion", *CLOCK_COLUMNS),
            *(
                "shared_r2",
                "short_r2",
                "band_sd",
                "mayer_fraction",
                "motion_overlap",
                "instrument_noise",
                "sci",
                "grade",
                "reason",
            ),
            "decisions",
        ),
    }
)

#: What is known of the quality of one person, by modality, as a unit's manifest lists it; ``bands`` = the columns of
#: :data:`BANDWISE` for every band.
QUALITY_FACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "eeg": (
            *("channels_kept", "channels_total", "clean_seconds", "n_windows", "bands", "s2_line", "s2_quad"),
            *("highfreq", "motion", "amplitude", "line_noise_db", "lost", "saturation"),
            *(*CLOCK_COLUMNS, "shared_r2", "grade", "reason"),
        ),
        "fnirs": (
            *("channels_kept", "channels_total", "clean_seconds", "n_windows", "band_sd", "mayer_fraction"),
            *("sci", "instrument_noise", "saturation", "motion", "short_r2"),
            *(*CLOCK_COLUMNS, "shared_r2", "motion_overlap", "grade", "reason"),
        ),
    }
)

#: Columns that stay text when a table is read.
TEXT_COLUMNS = tuple(column.name for column in COLUMNS.values() if column.text)


def column_of(name: str, scale: str = GROWTH_SCALE) -> Column:
    """Return what is known of a column; an unknown one is called by its name, with blanks.

    ``scale`` names the growth scale of the metrics that the column is of.

    Examples
    --------
    >>> column_of("z").head, column_of("z", "ppc").head
    ('Synchrony (growth scale)', 'Synchrony (ppc)')
    >>> column_of("snr_alpha").axis
    'Signal fraction, alpha (0-1)'
    >>> column_of("bdi_total").head
    'bdi total'
    """
    if name in COLUMNS:
        column = COLUMNS[name]
        return replace(column, head=column.head.format(scale=scale), axis=column.axis.format(scale=scale))
    for prefix, column in BANDWISE.items():
        if name.startswith(prefix):
            band = name.removeprefix(prefix)
            return replace(column, name=name, head=column.head.format(band), axis=column.axis.format(band))
    return Column(name, name.replace("_", " "), name)
