"""The methods paragraph, written from the settings that were in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hyperscan.errors import count
from hyperscan.report.read import RunFolder, mapping, records
from hyperscan.report.references import METRIC_REFERENCES, REFERENCES, in_words
from hyperscan.report.tables import is_number, short


@dataclass(frozen=True)
class Methods:
    """Paragraphs and the references that they cite.

    Parameters
    ----------
    paragraphs : tuple of str
        Plain text.
    references : tuple of str
        Keys, in order of first mention.
    """

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """References as lines of text."""
        return tuple(in_words(key) for key in self.references)

    def to_markdown(self) -> str:
        """Return the content of ``methods.md``."""
        listed = "\n".join(f"- {line}" for line in self.lines)
        return "# Methods\n\n" + "\n\n".join(self.paragraphs) + f"\n\n## References\n\n{listed}\n"


def methods_of(run: RunFolder) -> Methods:
    """Write the methods of a run from its configuration and plan, with the references cited."""
    modalities = _modalities(run)
    cited = ["mne"]
    paragraphs = [_recordings(run, modalities)]
    if "eeg" in modalities:
        paragraphs.append(_eeg(run))
    if "fnirs" in modalities:
        paragraphs.append(_fnirs(run, cited))
    paragraphs += [_synchrony(run, modalities, cited), _chance(run), _growth(run, cited)]
    return Methods(tuple(paragraphs), tuple(dict.fromkeys(cited)))


def _modalities(run: RunFolder) -> list[str]:
    found = run.synchrony["modality"].unique().tolist() if "modality" in run.synchrony else []
    return sorted({str(item) for item in found} or {run.outcome.modality})


def _recordings(run: RunFolder, modalities: list[str]) -> str:
    version = next(
        (str(item.get("Version")) for item in records(run.description.get("GeneratedBy")) if item.get("Version")),
        "",
    )
    names = " and ".join({"eeg": "EEG", "fnirs": "fNIRS"}.get(item, item) for item in modalities)
    rows = run.primary
    size = ""
    if "dyad" in rows and "session" in rows:
        sessions = len(rows.drop_duplicates(["dyad", "session"]))
        size = f" {count(rows['dyad'].nunique(), 'dyad')} with {count(sessions, 'dyad-session')} were analysed;"
    tool = f"hyperscan {version}".strip()
    n_out = len(records(run.plan.get("skipped")))
    left_out = f"{n_out} were left out for the reasons listed in the report" if n_out else "none was left out"
    return (
        f"Paired {names} recordings of therapist and client were analysed with {tool}, which builds on"
        f" MNE-Python ({_cite('mne')}).{size} {left_out}. Both recordings of a dyad were put on one clock before any"
        " other step."
    )


def _eeg(run: RunFolder) -> str:
    config = run.config
    low, high = config.eeg_filter_hz
    reference = {
        "auto": "re-referenced to the average from 16 channels on and left as recorded otherwise",
        "average": "re-referenced to the average",
        "recorded": "left in the recorded reference",
    }.get(config.eeg_reference, f"re-referenced to {config.eeg_reference}")
    rate = f", resampled to at most {short(config.eeg_max_sfreq)} Hz" if config.eeg_max_sfreq else ""
    notch = f" A notch removed {short(config.eeg_line_hz)} Hz." if config.eeg_line_hz else ""
    windows = _amounts(run, "eeg", "n_windows")
    number = f" Every session entered with the same number of windows ({windows})." if windows else ""
    return (
        f"EEG was band-pass filtered from {short(low)} to {short(high)} Hz (zero-phase FIR){rate} and"
        f" {reference}.{notch}"
        f" It was cut into non-overlapping windows of {short(config.window_s)} s that were clean in both"
        " people;"
        f" sessions with fewer than {config.min_windows} windows were left out.{number}"
    )


def _fnirs(run: RunFolder, cited: list[str]) -> str:
    config = run.config
    low, high = config.fnirs_filter_hz
    steps = [f"channels with a scalp coupling index below {short(config.fnirs_min_sci)} were left out"]
    if config.fnirs_tddr:
        cited.append("fishburn2019")
        steps.append(f"motion was corrected by temporal derivative distribution repair ({_cite('fishburn2019')})")
    steps.append(
        "optical density was converted to haemoglobin concentration (modified Beer-Lambert law, pathlength factor"
        f" {'by age and wavelength' if config.fnirs_ppf == 'age' else short(float(config.fnirs_ppf))})"
    )
    if config.fnirs_short_regression:
        steps.append("each person's own short channels, where present, were regressed out")
    if config.fnirs_regress_events:
        steps.append("annotated events were regressed out")
    seconds = _amounts(run, "fnirs", "seconds")
    length = f" Every session entered with the same first stretch ({seconds})." if seconds else ""
    return (
        f"In fNIRS, {'; '.join(steps)}. Signals were filtered from {short(low)} to {short(high)} Hz and put"
        " on a common"
        f" grid of {short(config.fnirs_sfreq)} Hz. Sessions with less than {short(config.min_seconds)} s in"
        " common were left"
        f" out.{length}"
    )


def _amounts(run: RunFolder, modality: str, amount: str) -> str:
    """How much of every session entered; of every task where it differs between them."""
    unit = " s" if amount == "seconds" else ""
    found = {
        str(group.get("task") or "no task"): f"{short(group[amount])}{unit}"
        for group in records(run.plan.get("groups"))
        if group.get("modality") == modality and is_number(group.get(amount))
    }
    if len(set(found.values())) < 2:
        return next(iter(found.values()), "")
    return ", ".join(f"{value} in {task}" for task, value in found.items())


def _synchrony(run: RunFolder, modalities: list[str], cited: list[str]) -> str:
    metrics = [name for item in modalities for name in run.config.metrics.get(item, ())]
    named = []
    for name in dict.fromkeys(metrics):
        keys = METRIC_REFERENCES.get(name, ())
        cited.extend(keys)
        named.append(name + (f" ({'; '.join(_cite(key) for key in keys)})" if keys else ""))
    bands = {name: edges for item in modalities for name, edges in _bands(run, item).items()}
    listed = ", ".join(f"{name} {short(low)}-{short(high)} Hz" for name, (low, high) in bands.items())
    advance = (
        "was named in the configuration before the data were seen"
        if run.config.primary is not None
        else "is the default of the package, fixed before the data were seen"
    )
    return (
        f"Synchrony was computed between every channel of the therapist and every channel of the client as"
        f" {', '.join(named)}, in the bands {listed}, put on the Fisher z scale and averaged over windows"
        " and over the"
        f" channel pairs of each ROI pair. The primary outcome ({run.outcome}) {advance}; everything else is"
        " exploratory."
    )


def _bands(run: RunFolder, modality: str) -> dict[str, tuple[float, float]]:
    return run.config.bands_of(modality) if modality in ("eeg", "fnirs") else {}


def _chance(run: RunFolder) -> str:
    config = run.config
    return (
        "Chance was taken from pseudo-dyads: each person was re-paired with the other person of up to"
        f" {config.max_partners} other dyads at the same session number, and the mean of these pairs"
        " (Fisher z) was"
        f" subtracted, which gives the excess. Fewer than {config.min_pseudo} pseudo pairs were flagged as"
        " a weak"
        f" chance level. Within sessions, the estimate was compared with {config.n_null} circular shifts of"
        " one signal"
        f" against the other (seed {config.seed}); this null says nothing about growth."
    )


def _growth(run: RunFolder, cited: list[str]) -> str:
    if run.growth and mapping(run.growth.get("primary")).get("slope") is None:
        return _no_model(mapping(run.growth.get("one_dyad")))
    cited.append("kuznetsova2017")
    unit = {"session": "session number", "weeks": "weeks since the first session"}.get(run.config.time, run.config.time)
    return (
        f"Growth was tested as the slope of the excess over {unit} in a linear mixed model with a random intercept"
        " and slope per dyad, fitted by REML, with Satterthwaite degrees of freedom"
        f" ({_cite('kuznetsova2017')}) capped at the number of dyads minus one, and by a two-stage test (a slope per"
        f" dyad, then a t-test over dyads); both had to agree at p < .05, two-sided.{''.join(_further(run))} A slope"
        " above zero is an increase in partner-specific statistical dependence; it does not show what brought it about."
    )


def _no_model(alone: Mapping[str, Any]) -> str:
    text = "No model of growth was fitted: fewer than two dyads had two sessions."
    if alone.get("slope") is None:
        return text
    tested = " and tested by the Mann-Kendall test" if alone.get("tested") else ""
    return f"{text} The course of the single dyad was described by the Theil-Sen slope{tested}."


def _further(run: RunFolder) -> Iterator[str]:
    """Sentences on growth that only some runs need, each after a space."""
    growth = run.growth
    if mapping(growth.get("therapist_level")).get("needed") is True:
        yield " As therapists saw several dyads, a test over the therapists' mean slopes had to agree as well."
    if mapping(growth.get("primary")).get("singular") is True:
        yield " The fit was singular and was kept."
    if run.config.equivalence_slope:
        yield f" Equivalence was tested against a slope of {short(run.config.equivalence_slope)}, named in advance."
    guards = ", ".join(str(item.get("name", "")).replace("_", " ") for item in records(growth.get("guards")))
    if guards:
        yield f" Guards against changes of the recording were assessed: {guards}."
    names = ", ".join(dict.fromkeys(str(item.get("name", "")) for item in records(growth.get("outcomes"))))
    if names:
        yield (
            f" Further outcomes ({names}) were related to the excess of the session before within dyads, with time in"
            " the model, to the dyads' mean excess, and in their slopes to those of the excess; p corrected after Holm."
        )


def _cite(key: str) -> str:
    return REFERENCES[key].short.replace(" (", ", ").rstrip(")")
