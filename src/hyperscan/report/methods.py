"""The methods paragraph, written from the settings that were in force and what was done in preparation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hyperscan.errors import count
from hyperscan.growth import GrowthResult
from hyperscan.growth.records import DyadTrend, Guard
from hyperscan.growth.verdict import ALPHA_COMPARED, ALPHA_PLAIN, tell_left_out
from hyperscan.metrics import METRICS
from hyperscan.metrics.spec import CORRELATION_SCALE
from hyperscan.metrics.table import growth_scale
from hyperscan.report.references import Citations, Reference
from hyperscan.report.run import ReportedRun
from hyperscan.report.tables import is_finite, short
from hyperscan.schema import MIN_DYADS, MODALITIES, NO_SHARED, ROLES
from hyperscan.words import clocks_text


@dataclass(frozen=True)
class Methods:
    """Paragraphs of plain text, and the references that they cite in order of first mention."""

    paragraphs: tuple[str, ...]
    references: tuple[Reference, ...]

    def to_markdown(self) -> str:
        """Return the content of ``methods.md``."""
        listed = "\n".join(f"- {entry.line}" for entry in self.references)
        return "# Methods\n\n" + "\n\n".join(self.paragraphs) + f"\n\n## References\n\n{listed}\n"


def methods_of(run: ReportedRun) -> Methods:
    """Write the methods of a run from its configuration and plan, with the references cited."""
    found = run.table["modality"].unique().tolist() if "modality" in run.table else []
    modalities = sorted(set(map(str, found)) or {run.outcome.modality})
    cite = Citations()
    paragraphs = [_recordings(run, modalities, cite)]
    if "eeg" in modalities:
        paragraphs.append(eeg_prepared(run, cite))
    if "fnirs" in modalities:
        paragraphs.append(fnirs_prepared(run, cite))
    paragraphs += [_synchrony(run, modalities, cite), _chance(run), _growth(run, cite), *_alone(run, cite)]
    return Methods(tuple(paragraphs), cite.references)


def _recordings(run: ReportedRun, modalities: list[str], cite: Citations) -> str:
    version = next((version for version in run.versions.values() if version), "")
    names = " and ".join({"eeg": "EEG", "fnirs": "fNIRS"}.get(item, item) for item in modalities)
    size = ""
    if {"dyad", "session"} <= set(run.table):
        told = count(_n_sessions(run.table), "dyad-session was", "dyad-sessions were")
        size = f" Of {count(run.table['dyad'].nunique(), 'dyad')}, {told} analysed"
        lost = f"{run.n_skipped} {'was' if len(run.plan.skipped) == 1 else 'were'} left out"
        size += f"; {lost} for the reasons listed in the report." if run.plan.skipped else "; none was left out."
    if size and run.growth is not None and run.growth.primary.fit is not None:
        entered = count(run.growth.primary.n_sessions, "dyad-session", "dyad-sessions")
        size += f" {entered} of {count(run.growth.primary.n_dyads, 'dyad')} entered the test of growth."
        size += f" {tell_left_out(run.left_out)}" if run.left_out else ""
    tasks = [str(task) for task in run.table["task"].unique() if str(task)] if "task" in run.table else []
    tasks = [task for task in tasks if task not in run.config.contrasts]
    apart = f" Tasks (phases) of a session were analysed apart: {', '.join(tasks)}." if len(tasks) > 1 else ""
    tool = f"hyperscan {version}".strip()
    return (
        f"Paired {names} recordings of therapist and client were analysed with {tool}, which builds on MNE-Python"
        f" ({cite('mne')}).{size}{apart} {_clocks(run)}"
    )


def _size(some: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Say how many of the rows of an outcome are meant: dyad-sessions, or recordings where any session has several."""
    sessions = count(_n_sessions(some), "dyad-session")
    return sessions if len(rows) == _n_sessions(rows) else f"{count(len(some), 'recording')} of {sessions}"


def _n_sessions(rows: pd.DataFrame) -> int:
    return len(rows.drop_duplicates(["dyad", "session"]))


def _clocks(run: ReportedRun) -> str:
    """Say how the recordings came on one clock in this run, or that they were only assumed to share one."""
    table = run.quality
    if "clock_source" not in table:
        return "How the recordings of a dyad came on one clock is not known: the table of quality does not say."
    keys = [key for key in ("dyad", "session", "clock_source") if key in table]
    sources = table.drop_duplicates(keys)["clock_source"].fillna("").astype(str).value_counts(sort=False)
    told = clocks_text({str(name): int(n) for name, n in sources.items()})
    if "assumed" in sources:
        told += " Where a start was assumed, offset and drift are unknown and were not corrected."
    off = table["clock_uncertainty_ms"].max() if "clock_uncertainty_ms" in table else 0.0
    return told + (f" Offsets were taken to be known to ± {short(float(off))} ms." if off > 0 else "")


def _synchrony(run: ReportedRun, modalities: list[str], cite: Citations) -> str:
    known = [item for item in modalities if item in MODALITIES]
    named: dict[bool, list[str]] = {False: [], True: []}
    plain: list[str] = []
    asked = (name for item in known for name in run.config.metrics.get(item, ()))
    for name in dict.fromkeys((*asked, run.outcome.metric)):
        paper = cite.metric(name)
        of_sets = name in METRICS and METRICS[name].sets is not None
        named[of_sets].append(name + (f" ({paper})" if paper else ""))
        plain += [] if of_sets else [name]
    bands = {name: edges for item in known for name, edges in run.config.bands_of(item).items()}
    listed = ", ".join(f"{name} {short(low)}-{short(high)} Hz" for name, (low, high) in bands.items())
    listed += "".join(
        f" ({name} of the {role}: {short(low)}-{short(high)} Hz)"
        for role in ROLES
        for name, (low, high) in run.config.own_bands(role).items()
        if name in bands
    )
    advance = (
        "was named in the configuration before the data were seen"
        if run.config.primary is not None
        else "is the default of the package, fixed before the data were seen"
    )
    between = (
        "Synchrony was computed between every channel of the therapist and every channel of the client as"
        f" {', '.join(named[False])}, in the bands {listed}, {_put_on(plain)} averaged over windows and"
        " over the channel pairs of each ROI pair."
    )
    whole = (
        f"Between the regions of each ROI pair as a whole it was computed as {', '.join(named[True])}, in the bands"
        f" {listed}, from the same number of components of either in every session and person, and averaged over"
        " windows on the growth scale."
    )
    said = " ".join([between] * bool(named[False]) + [whole] * bool(named[True]))
    return f"{said} The primary outcome ({run.outcome}) {advance}; everything else is exploratory."


def _put_on(metrics: list[str]) -> str:
    """Say which metrics were put on the scale of Fisher z before they were averaged, and which stayed as they are."""
    as_they_are = [name for name in metrics if growth_scale(name) != CORRELATION_SCALE]
    if not as_they_are:
        return "put on the Fisher z scale and"
    if len(as_they_are) == len(metrics):
        return f"{'as they are' if len(metrics) > 1 else 'as it is'},"
    kept = "as it is" if len(as_they_are) == 1 else "as they are"
    return f"put on the Fisher z scale ({', '.join(as_they_are)} {kept}) and"


def _chance(run: ReportedRun) -> str:
    """Say what the chance levels of the primary outcome were in this run, and where there was none."""
    config, rows, said = run.config, run.primary, []
    pairs = rows["n_pseudo"].fillna(0) if "n_pseudo" in rows else rows.assign(n=0)["n"]
    found = rows["excess_z"].notna() if "excess_z" in rows else pairs < 0
    paired, shifted = int((pairs > 0).sum()), int((found & (pairs == 0)).sum())
    if paired:
        fewest, most = int(pairs[pairs > 0].min()), int(pairs.max())
        each = f"{most} pairs" if fewest == most else f"{fewest} to {most} pairs"
        said.append(
            "Chance was taken from pseudo-dyads: each person was re-paired with the other person of up to"
            f" {config.max_partners} other dyads at the same session number ({each} for each of"
            f" {_size(rows[pairs > 0], rows)}), and the mean of these pairs"
            f" ({run.scale}) was subtracted, which gives the excess."
        )
        weak = rows[(pairs > 0) & (pairs < config.min_pseudo)]
        if len(weak):
            have = f"{_size(weak, rows)} {'has' if len(weak) == 1 else 'have'}"
            said.append(f"{have} fewer than {config.min_pseudo} pseudo pairs, flagged as a weak chance level.")
    if shifted:
        which = f"In {_size(rows[found & (pairs == 0)], rows)}" if paired else "In this run"
        said.append(
            f"{which} no other dyad could be re-paired: chance was the mean of the whole-session statistic under"
            " circular shifts, a weaker level."
        )
    if not paired and not shifted:
        said.append("There is no chance level for the primary outcome: no other dyad could be re-paired.")
    if "own_mean_z" in rows and rows["own_mean_z"].notna().any():
        said.append(
            "A second chance level is that of the same two people at times that do not match (other windows of EEG,"
            f" shifts of fNIRS){'; growth had to show over both' * _tested(run)}."
        )
    if "lag_p" in rows and rows["lag_p"].notna().any():
        said.append(
            f"Within sessions, the estimate was compared with {_shifts(rows, config.n_null)} of one signal against the"
            f" other (seed {config.seed}); this null says nothing about growth."
        )
    return " ".join(said)


def _shifts(rows: pd.DataFrame, asked: int) -> str:
    """Say how many shifts the lag null of the primary outcome was made of."""
    used = rows["lag_n"].dropna() if "lag_n" in rows else pd.Series(dtype=float)
    if used.empty:
        return f"at most {asked} circular shifts"
    fewest, most = int(used.min()), int(used.max())
    number = f"{most}" if fewest == most else f"{fewest} to {most}"
    fewer = f" ({asked} were asked for)" if fewest < asked else ""
    return f"{number} circular shifts{fewer}"


def _growth(run: ReportedRun, cite: Citations) -> str:
    if run.growth is not None and run.growth.primary.fit is None:
        return _no_model(run.growth.one_dyad, cite)
    paired = "n_pseudo" in run.primary and bool((run.primary["n_pseudo"] > 0).any())
    unit = {"session": "session number", "weeks": "weeks since the first session"}.get(run.config.time, run.config.time)
    if not _tested(run):
        return f"{_described(run, unit, cite)} {_meaning(paired)}"
    return (
        f"Growth was tested as the slope of the excess over {unit}: a least-squares slope per dyad, averaged with"
        " weights of one over the variance between dyads (REML) plus that of the dyad's own slope, with a bias-reduced"
        f" sandwich standard error and the degrees of freedom of Bell and McCaffrey ({cite('pustejovsky2018')})."
        " A change had to reach p < .05, two-sided, and the plain mean of the slopes had to have the same sign at"
        " p < .20 (at p < .05 where slopes went with the number of sessions, p < .20). A linear mixed model with a"
        " random intercept and slope per dyad, fitted by REML, with Satterthwaite degrees of freedom"
        f" ({cite('kuznetsova2017')}) capped at the number of dyads minus one, is reported next to it."
        f"{''.join(_further(run, cite))}{''.join(_differences(run))} {_meaning(paired)}"
    )


def _meaning(paired: bool) -> str:
    """Say what a slope is."""
    return (
        f"A slope above zero is an increase in {'partner-specific ' * paired}statistical dependence; it does not show"
        " what brought it about."
    )


def _guards(guards: Sequence[Guard]) -> Iterator[str]:
    """Sentences on the guards that were assessed, not asked, or not to be assessed, each after a space."""
    asked = [guard.spoken for guard in guards if guard.passed is not None]
    open_ = [guard.spoken for guard in guards if guard.passed is None and guard.asked]
    if any(not guard.asked for guard in guards):
        yield " Guards against changes of the recording were not asked, as no change is claimed."
    if asked:
        yield f" Guards against changes of the recording were assessed: {', '.join(asked)}."
    if open_:
        yield f" Guards that could not be assessed: {', '.join(open_)}."


def _alone(run: ReportedRun, cite: Citations) -> Iterator[str]:
    """Paragraph on each person alone, where an index was asked about."""
    if run.alone is None:
        return
    named = run.alone.primary.outcome
    label = "/".join(filter(None, (named.metric, named.band, named.roi)))
    papers = {name: cite.metric(name) for name in run.config.within_metrics.get(run.outcome.modality, ())}
    metrics = ", ".join(name + (f" ({paper})" if paper else "") for name, paper in papers.items())
    spectra = (
        "spectra were estimated in half-overlapping Hann segments of 4 s, and their background was fitted in double"
        " logarithmic scale; " * (run.outcome.modality == "eeg")
    )
    tasks = ", ".join(run.config.fnirs_tasks) if run.outcome.modality == "fnirs" else ""
    responses = (
        f" Responses to {tasks} were estimated by a general linear model with autoregressive prewhitening and robust"
        f" weights ({cite('barker2013')})."
        if tasks
        else ""
    )
    advance = "named in the configuration" if run.config.within else "the default of the package"
    yield (
        f"Each person alone was described in the windows of the pair's synchrony: {spectra}coupling inside the person"
        f" was computed as {metrics} and compared with the same person's channels at times that do not"
        f" match.{responses} {_index(run.alone, f'{label} ({advance})', cite)}"
    )


def _index(alone: GrowthResult, named: str, cite: Citations) -> str:
    """Say what was done with the index that was named."""
    n = alone.two_stage.n
    if n < MIN_DYADS:
        few = f"{count(n, 'client has', 'clients have')} two or more sessions with it, and a group is tested from"
        return f"The index {named} is described as all others are: {few} {MIN_DYADS} on."
    return (
        f"The index {named} was tested in the clients as growth of synchrony was, and client minus therapist had to"
        f" change the same way.{_equivalence(alone, cite)}{''.join(_guards(alone.guards))} All other indices are"
        " described."
    )


def _equivalence(growth: GrowthResult, cite: Citations) -> str:
    """Say against which slope equivalence was tested; empty where none was named."""
    if growth.equivalence is None or not growth.equivalence.bound:
        return ""
    bound = short(growth.equivalence.bound)
    return f" Equivalence was tested ({cite('schuirmann1987')}) against a slope of {bound}, named in advance."


def _tested(run: ReportedRun) -> bool:
    """Whether growth of the group was tested: from so many dyads on."""
    return run.growth is None or run.growth.two_stage.n >= MIN_DYADS


def _described(run: ReportedRun, unit: str, cite: Citations) -> str:
    """Say what was done with fewer dyads than a test of the group takes."""
    assert run.growth is not None
    have = count(run.growth.two_stage.n, "dyad has", "dyads have")
    return (
        f"Growth of the group was not tested: {have} two or more sessions, and it is tested from {MIN_DYADS} on."
        f" Described is the slope of the excess over {unit}: a least-squares slope per dyad, averaged with weights of"
        " one over the variance between dyads (REML) plus that of the dyad's own slope, with an interval from a"
        " bias-reduced sandwich standard error and the degrees of freedom of Bell and McCaffrey"
        f" ({cite('pustejovsky2018')}). The slope of a linear mixed model with a random intercept and slope per dyad,"
        f" fitted by REML, with Satterthwaite degrees of freedom ({cite('kuznetsova2017')}) capped at the number of"
        " dyads minus one, is reported next to it. No guard was asked, and no claim of growth was made."
    )


def _no_model(alone: DyadTrend | None, cite: Citations) -> str:
    text = (
        "No model of growth was fitted: fewer than two dyads had two or more sessions, and growth of a group is tested"
        f" from {MIN_DYADS} on."
    )
    if alone is None or alone.slope is None:
        return text
    tested = f" and tested by the Mann-Kendall test ({cite('mann1945')})" if alone.tested else ""
    return f"{text} The course of the single dyad was described by the Theil-Sen slope ({cite('sen1968')}){tested}."


def _level(level: float) -> str:
    return f"p < {level:.2f}".replace("0.", ".")


def _differences(run: ReportedRun) -> Iterator[str]:
    """Sentences on the comparisons that were asked for, each after a space."""
    config, growth = run.config, run.growth
    asked = {one.question for one in growth.differences} if growth else set()
    test = "weighted by precision, with a robust standard error as that of growth"
    if "level" in asked:
        named = "; ".join(f"{name}: {_weights(weights)}" for name, weights in config.contrasts.items())
        yield (
            f" Tasks were compared within dyad and session ({named}): the level, which is the mean of the difference"
            f" over sessions, and its growth, which is the slope of the difference. Either was one number per dyad,"
            f" {test}; the plain mean over dyads had to have the same sign at {_level(ALPHA_PLAIN)}."
        )
    if growth is not None and growth.groups is not None:
        groups = growth.groups
        others = " and ".join(side.name for side in groups.sides if side.name != groups.reference)
        several = " and all groups together had to differ (Welch's F, p < .05)" if groups.omnibus is not None else ""
        partners = " People were re-paired inside their own group." if config.pseudo_within_group else ""
        yield (
            f" Growth was compared between groups of dyads (column {groups.column}: {others} with {groups.reference})"
            f" as the difference of the dyads' slopes, {test}; Welch's t of the unweighted slopes had to have the same"
            f" sign at {_level(ALPHA_COMPARED)}{several}.{partners}"
        )
    if "moderator" in asked:
        yield (
            f" Whether growth went with {' or '.join(config.moderators)} was tested by regression of the dyads' slopes,"
            f" {test}; the unweighted regression had to have the same sign at {_level(ALPHA_COMPARED)}."
        )
    if asked:
        yield (
            " A difference was claimed at p < .05, corrected after Holm within each kind of question, and over"
            " therapists where one saw several dyads. Permutations (sign flips) and mixed models are reported next to"
            " it, and the guards were asked of each difference."
        )


def _weights(contrast: Mapping[str, float]) -> str:
    """Say what a contrast is the difference of."""
    sides = [
        " + ".join(
            task if abs(share) == 1 else f"{abs(share):g} {task}" for task, share in contrast.items() if share * s > 0
        )
        for s in (1, -1)
    ]
    return " minus ".join(f"({side})" if "+" in side else side for side in sides)


def _further(run: ReportedRun, cite: Citations) -> Iterator[str]:
    """Sentences on growth that only some runs need, each after a space."""
    growth = run.growth
    if growth is None:
        return
    if growth.therapist_level.needed:
        yield " As therapists saw several dyads, a test over the therapists' mean slopes had to agree as well."
    if growth.primary.fit is not None and growth.primary.fit.singular:
        yield " The fit was singular and was kept."
    yield _equivalence(growth, cite)
    if growth.bayes_factor is not None:
        yield (
            " A rough Bayes factor for no growth came from the BIC of fits with and without a slope"
            f" ({cite('wagenmakers2007')})."
        )
    if len(growth.exploratory) > 1:
        yield (
            " The slopes of exploratory outcomes were corrected by their largest statistic over sign flips of the"
            f" dyads ({cite('nichols2002')}), and for the false discovery rate ({cite('benjamini1995')})."
        )
    if growth.guards:
        yield from _guards(growth.guards)
    names = ", ".join(dict.fromkeys(relation.name for relation in growth.outcomes))
    if names:
        yield (
            f" Further outcomes ({names}) were related to the excess. Inside dyads (same session, next session, and"
            " the outcome before synchrony) each dyad's own line in time and what all dyads share at a session number"
            " were taken out of both series, and in the relations to a later session the first series at that session"
            " was kept constant; slopes of dyads were weighted by precision and tested as those of growth, degrees of"
            " freedom at most the number of dyads minus one, with a mixed model next to them. Between dyads, means and"
            " slopes were regressed on those of the excess. p values were corrected after Holm for all relations that"
            " could be tested. None of this shows what brings about what."
        )


def eeg_prepared(run: ReportedRun, cite: Citations) -> str:
    """Say how EEG was prepared."""
    config = run.config
    low, high = config.eeg_filter_hz
    found = _decided(run, "eeg", "reference")
    by_cap = {
        frozenset({"average"}): "re-referenced to the average, as all caps have 16 channels or more",
        frozenset({"recorded"}): "left in the recorded reference, as all caps have fewer than 16 channels",
    }
    reference = {
        "auto": by_cap.get(found, "re-referenced to the average from 16 channels on and left as recorded otherwise"),
        "average": "re-referenced to the average",
        "recorded": "left in the recorded reference",
    }.get(config.eeg_reference, f"re-referenced to {config.eeg_reference}")
    rate = f", resampled to at most {short(config.eeg_max_sfreq)} Hz" if config.eeg_max_sfreq else ""
    notch = f" A notch removed {short(config.eeg_line_hz)} Hz." if config.eeg_line_hz else ""
    windows = _amounts(run, "eeg", "n_windows")
    number = f" Every session entered with the same number of windows ({windows})." if windows else ""
    unfiltered = (
        " Recordings of which every stretch is shorter than the filter were not filtered, notched or resampled."
        if "no" in _decided(run, "eeg", "filtered")
        else ""
    )
    return (
        f"EEG was band-pass filtered from {short(low)} to {short(high)} Hz (zero-phase FIR,"
        f" {cite('widmann2015')}){rate} and {reference}.{notch}{unfiltered}{''.join(_mended(run, cite))} It was cut"
        f" into non-overlapping windows of {short(config.window_s)} s that were clean in both people; sessions with"
        f" fewer than {config.min_windows} windows were left out.{number}{_shared(run, 'eeg')}"
    )


def _mended(run: ReportedRun, cite: Citations) -> Iterator[str]:
    """Sentences on what was done about bad channels and artefacts of EEG, each after a space."""
    config, nothing = run.config, {"none"}
    if config.eeg_interpolate and _decided(run, "eeg", "interpolated") != nothing:
        yield f" Bad channels were interpolated by spherical splines where positions are known ({cite('perrin1989')})."
    if config.eeg_ica != "none":
        own = "the detectors of MNE-Python" + (f" ({cite('dharmaprani2016')})" if "muscle" in config.eeg_ica else "")
        done = "looked for, and none was found," if _decided(run, "eeg", "components") == nothing else "removed, found"
        yield (
            f" Independent components (extended Infomax, {cite('lee1999')}) of {config.eeg_ica.replace('+', ' and ')}"
            f" artefacts were {done} by ICLabel ({cite('piontonachini2019')}) where it could be used and else"
            f" by {own}."
        )


def _shared(run: ReportedRun, modality: str) -> str:
    """One sentence on a shared signal that was taken out beside the analysis, after a space; empty without one."""
    signal = NO_SHARED[modality]
    if "signal" not in run.table or signal not in set(run.table["signal"]):
        return ""
    lag_s = short(run.config.max_lag_s[modality])
    return (
        f" Where a shared signal was recorded, what follows it at lags of up to {lag_s} s was taken out of a"
        f" copy of each person's signal by least squares ({signal}); chance is that of people of other dyads, each"
        " without what followed their own session's signal."
    )


def fnirs_prepared(run: ReportedRun, cite: Citations) -> str:
    """Say how fNIRS was prepared."""
    config = run.config
    low, high = config.fnirs_filter_hz
    levels = _decided(run, "fnirs", "level")
    steps = [] if levels == {"haemoglobin"} else list(_light(run, cite))
    if "haemoglobin" in levels:
        which = "haemoglobin was taken as recorded" if not steps else "recordings of haemoglobin were taken as they are"
        steps.append(f"{which}, without scalp coupling, motion correction and Beer-Lambert law")
    if config.fnirs_short_regression and _decided(run, "fnirs", "short_regressed") != {"no"}:
        steps.append(f"each person's own short channels, where present, were regressed out ({cite('saager2005')})")
    if config.fnirs_regress_events and _decided(run, "fnirs", "events") != {"0"}:
        steps.append("annotated events were regressed out")
    seconds = _amounts(run, "fnirs", "seconds")
    entered = f"an equally long beginning ({seconds}) of its longest stretch that neither person had marked as bad"
    length = f" Every session entered with {entered}." if seconds else ""
    return (
        f"In fNIRS, {'; '.join(steps)}. Signals were filtered from {short(low)} to {short(high)} Hz and put on a common"
        f" grid of {short(config.fnirs_sfreq)} Hz. Sessions with less than {short(config.min_seconds)} s in common were"
        f" left out.{length}{_shared(run, 'fnirs')}"
    )


def _light(run: ReportedRun, cite: Citations) -> Iterator[str]:
    """Say how light became haemoglobin, step by step."""
    config, judged = run.config, _decided(run, "fnirs", "coupling_judged")
    if judged != {"no"}:
        where = " where the sampling rate holds the heart beat" * ("no" in judged)
        yield (
            f"channels with a scalp coupling index ({cite('pollonini2014')}) below {short(config.fnirs_min_sci)} were"
            f" left out{where}"
        )
    if config.fnirs_tddr:
        yield f"motion was corrected by temporal derivative distribution repair ({cite('fishburn2019')})"
    by_age = config.fnirs_ppf == "age"
    factor = f"by age and wavelength, {cite('scholkmann2013')}" if by_age else short(float(config.fnirs_ppf))
    yield (
        f"optical density was converted to haemoglobin concentration (modified Beer-Lambert law, {cite('delpy1988')};"
        f" pathlength factor {factor})"
    )


def _decided(run: ReportedRun, modality: str, name: str) -> frozenset[str]:
    """Values that preparation decided on in this run; empty where that was not kept."""
    found = (one for one in run.plan.decisions if (one.modality, one.name) == (modality, name))
    return frozenset(value for one in found for value in one.values)


def _amounts(run: ReportedRun, modality: str, amount: str) -> str:
    """How much of every session entered; of every task where it differs between them."""
    unit = " s" if amount == "seconds" else ""
    found = {
        group.task or "no task": f"{short(getattr(group, amount))}{unit}"
        for group in run.plan.groups
        if group.modality == modality and is_finite(getattr(group, amount))
    }
    if len(set(found.values())) < 2:
        return next(iter(found.values()), "")
    return ", ".join(f"{value} in {task}" for task, value in found.items())
