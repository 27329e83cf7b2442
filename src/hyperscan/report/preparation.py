"""How recordings were prepared in a run, as its methods tell it: what was asked for, where it was done."""

from __future__ import annotations

from collections.abc import Iterator

from hyperscan.report.references import Citations
from hyperscan.report.run import ReportedRun
from hyperscan.report.tables import is_finite, short
from hyperscan.schema import NO_SHARED


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
