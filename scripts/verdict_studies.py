"""From a simulated study to the tables of a run, and to its verdict: in memory, or through files.

Every study goes through the package's own preparation, plan, metrics, nulls, guards and growth. Two things are done
for all recordings of a session number at once instead of one by one, as they cost most of the time: band-pass,
screening and signal fractions, and the metrics of all pairs of people. The package's whole chain prepares one session
of every study, and its result must be that of the shortcut; recordings that screening could object to, clocks that
must be aligned, and fNIRS go through the chain one by one. tests/test_validate_verdict.py compares both ways.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import itertools
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import mne
import numpy as np
import pandas as pd
from scipy import fft

from hyperscan import read_sessions, run_study
from hyperscan.config import StudyConfig
from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.metrics import evaluate_many, get_metric
from hyperscan.pipeline import prepare
from hyperscan.pipeline.fits import growth_of
from hyperscan.pipeline.output import quality_rows
from hyperscan.pipeline.plan import make_plan, recipe_for
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.recording import PairedRecording
from hyperscan.recording.cleaning import channels as electrodes
from hyperscan.recording.records import PersonQuality
from hyperscan.schema import CLOCK_COLUMNS, OUT_BAND, Cell
from hyperscan.simulate import Optodes
from hyperscan.simulate.fnirs import write_snirf
from hyperscan.simulate.study import CH_NAMES, write_edf
from hyperscan.storage import write_table
from hyperscan.study import Session
from hyperscan.synchrony import (
    GuardValues,
    Recipe,
    Signals,
    guard_row,
    lag_tests,
    own_chance,
    recipe_of,
    roi_table,
    shared_windows,
)
from hyperscan.synchrony.pair import WindowPair
from hyperscan.transforms import analytic_bands, cut_windows
from hyperscan.transforms.filters import band_response
from hyperscan.transforms.spectrum import background_spans, signal_fraction
from verdict_conditions import SFREQ, SFREQ_FNIRS, Design, FnirsCondition, simulate
from verdict_traps import CAPS

EEG = StudyConfig(metrics={"eeg": ["plv", "ciplv"]}, bands={"alpha": (8, 12)}, roi_pairs=["posterior-posterior"])
FNIRS = StudyConfig(metrics={"fnirs": ["wtc"]}, min_seconds=240.0)

#: A recording of which nothing comes near these is not screened further: the package leaves channels out from 5 times
#: the median amplitude (or under .02 of it), from a difference of .001 of their power, or where a cap correlates by
#: more than .6, and marks spans from 6 times the usual range.
USUAL_RATIO, USUAL_R, USUAL_PEAK = 3.0, 0.55, 8.0

#: Name of the control channels among a person's ROIs.
CONTROL = "control"

Array = np.ndarray
Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

#: Columns of the quality table that are alike in all sessions of one length.
SHARED = ("channels_kept", "channels_total", "clean_seconds", "n_windows", *CLOCK_COLUMNS)


def keep(path: Path, tables: Tables) -> None:
    """Write the tables of a study, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [frame.to_json(orient="split", index=False, double_precision=15) for frame in tables]
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(gzip.compress(json.dumps([json.loads(text) for text in texts]).encode()))
    partial.replace(path)


def kept(path: Path) -> Tables:
    """Read what `keep` wrote."""
    parts = json.loads(gzip.decompress(path.read_bytes()))
    frames = [pd.DataFrame(part["data"], columns=part["columns"]).replace({None: np.nan}) for part in parts]
    return frames[0], frames[1], frames[2]


def recording(row: Session, people: Any, ppm: float) -> PairedRecording:
    raws = []
    for number, data in enumerate(people):
        raw = mne.io.RawArray(data, mne.create_info(list(CH_NAMES), SFREQ, "eeg"), verbose="error")
        if row.clock == "triggers":
            # irregular, so that the two recordings can be matched
            times = np.cumsum(3 + 4 * np.modf(0.618 * np.arange(1, 200))[0])
            times = times[times < raw.times[-1] - 1] * (1 + number * ppm * 1e-6)
            raw.set_annotations(mne.Annotations(times, 0.0, "sync"))
        raws.append(raw)
    return PairedRecording(*raws, row)


def fnirs_recording(row: Session, people: Any, folder: Path) -> PairedRecording:
    raws = []
    for role, data in zip(("t", "c"), people, strict=True):
        write_snirf(folder / f"{role}.snirf", data, Optodes(), SFREQ_FNIRS)
        raws.append(mne.io.read_raw_snirf(folder / f"{role}.snirf", verbose="error").load_data())
    return PairedRecording(*raws, row)


# -- from signals to the tables of a run --------------------------------------------------------------------------


def study_tables(condition: Any, design: Design, seed: Sequence[int]) -> Tables:
    """Synchrony, guards and quality of a simulated study."""
    config = FNIRS if isinstance(condition, FnirsCondition) else EEG
    rows: dict[Any, Session] = {}
    people: dict[Any, dict[str, Signals]] = {}
    summaries: dict[Any, Summary] = {}
    made: dict[int, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _, group in itertools.groupby(simulate(condition, design, seed), lambda entry: entry[0].session):
            entries = [(row, data, ppm) for row, _, data, ppm in group]
            rows |= {row.key: row for row, _, _ in entries}
            unmoved = entries[0][0].clock in ("same_amplifier", "offset") and entries[0][0].modality == "eeg"
            at_once = entries if unmoved else []
            summaries |= _judged_at_once(at_once, config, people, made)
            for row, data, ppm in entries:
                if row.key not in summaries:
                    summaries[row.key] = _judged(row, _paired(row, data, ppm, Path(folder)), config, people)
    plan = make_plan(list(rows.values()), [], summaries, config, {})
    recipe = recipe_for(row, plan, config)
    partners: dict[Any, list[Any]] = defaultdict(list)
    for pair in plan.pseudo_pairs:
        partners[pair.dyad, pair.session].append((pair.partner_dyad, pair.which))
    compare = _compare_fnirs if row.modality == "fnirs" else _compare_eeg
    frames, guards = [], []
    for number in sorted({key.session for key in people}):
        here = {key.dyad: both for key, both in people.items() if key.session == number}
        for dyad, out, guard in compare(here, {d: partners[d, number] for d in here}, recipe):
            key = here[dyad]["therapist"].key._asdict()
            frames.append({**key, "therapist": f"T{dyad[1:]}", "days": 7.0 * (number - 1), **out})
            guards.append({**key, **guard})
    return pd.DataFrame(frames), pd.DataFrame(guards), quality_rows(summaries)


def _paired(row: Session, data: Any, ppm: float, folder: Path) -> PairedRecording:
    return fnirs_recording(row, data, folder) if row.modality == "fnirs" else recording(row, data, ppm)


def _judged_at_once(
    entries: Sequence[Any], config: StudyConfig, people: dict[Any, Any], made: dict[int, Any]
) -> dict[Any, Summary]:
    """Prepare recordings of one length as the package prepared one of them; what screening may object to is left."""
    if not entries:
        return {}
    data = _band_passed(np.array([both for _, both, _ in entries], np.float32), config)
    usual = _is_usual(data)
    n_times = data.shape[-1]
    summaries: dict[Any, Summary] = {}
    for row, both, ppm in entries:
        if n_times in made:
            break
        summaries[row.key] = _judged(row, recording(row, both, ppm), config, people)
        if summaries[row.key].ok:
            made[n_times] = summaries[row.key], people[row.key]
    if n_times not in made:
        return summaries
    fractions = _fractions(data, config)
    summary, signals = made[n_times]
    for (row, _, _), values, (line, quad), as_usual in zip(
        entries, data, zip(*fractions, strict=True), usual, strict=True
    ):
        both = {
            role: dataclasses.replace(
                signals[role],
                person=getattr(row, role),
                key=row.key,
                data={"eeg": values[i]},
                s2_line=line[i],
                s2_quad=quad[i],
            )
            for i, role in enumerate(signals)
        }
        if row.key in summaries:
            if summaries[row.key].ok:
                _check_same(both, people[row.key], as_usual)
        elif as_usual:
            people[row.key], summaries[row.key] = both, _summary_of(row, both, summary, config)
    return summaries


def _summary_of(row: Session, people: Mapping[str, Signals], first: Summary, config: StudyConfig) -> Summary:
    """What the plan and the quality table need of a session; what is alike in all of them is taken from the first."""
    rois = recipe_of(config, "eeg").primary.rois
    quality, described = {}, {}
    for (role, person), roi in zip(people.items(), rois, strict=True):
        inside = list(person.rois[rois[0]])
        shared = {name: getattr(first.quality[role], name) for name in SHARED}
        quality[role] = PersonQuality(
            **shared,
            s2_line=float(person.s2_line[inside].mean()),
            s2_quad=float(person.s2_quad[inside].mean()),
        )
        described[role] = PersonSummary.of(person, roi)
    return dataclasses.replace(first, key=row.key, quality=quality, people=described)


def _check_same(mine: Mapping[str, Signals], chain: Mapping[str, Signals], as_usual: bool) -> None:
    """The shortcut must give what the package's whole chain gives."""
    for role in mine if as_usual else ():
        a, b = mine[role], chain[role]
        size = float(np.abs(b.data["eeg"]).max())
        if a.ch_names != b.ch_names or not b.clean.all() or np.abs(a.data["eeg"] - b.data["eeg"]).max() > 1e-5 * size:
            raise RuntimeError(f"{a.key}: the shortcut does not prepare it as the package does")
        np.testing.assert_allclose([a.s2_line, a.s2_quad], [b.s2_line, b.s2_quad], atol=1e-4)


def _band_passed(data: Array, config: StudyConfig) -> Array:
    """The chain's zero-phase FIR of the passband, ends continued by their point reflection, shape as data."""
    taps = mne.filter.create_filter(None, SFREQ, *config.eeg_filter_hz, fir_design="firwin", verbose="error")
    n, pad = data.shape[-1], taps.size - 1
    ends = 2 * data[..., :1] - data[..., pad:0:-1], 2 * data[..., -1:] - data[..., -2 : -pad - 2 : -1]
    whole = np.concatenate([ends[0], data, ends[1]], axis=-1)
    n_fft = fft.next_fast_len(n + 2 * pad + taps.size, real=True)
    spectrum = fft.rfft(whole, n_fft) * fft.rfft(taps, n_fft).astype(np.complex64)
    first = pad + taps.size // 2
    return np.ascontiguousarray(fft.irfft(spectrum, n_fft)[..., first : first + n])


def _is_usual(data: Array) -> Array:
    """Recordings that nothing of the screening can object to in either person, shape (n,)."""
    size = data.std(-1)
    ratio = size / np.median(size, axis=-1, keepdims=True)
    scaled = data / size[..., None]
    alike = np.abs(scaled @ scaled.swapaxes(-1, -2)) / data.shape[-1] - np.eye(data.shape[-2])
    steps = np.diff(scaled)
    peak = np.maximum(np.abs(scaled).max(-1), np.abs(steps).max(-1) / steps.std(-1))
    fine = (ratio < USUAL_RATIO) & (ratio > 1 / USUAL_RATIO) & (alike.max(-1) < USUAL_R) & (peak < USUAL_PEAK)
    return fine.all((1, 2))


def _fractions(data: Array, config: StudyConfig) -> list[Array]:
    """In-band signal fractions by both background fits, shape (n, 2, n_channels) each."""
    band = config.bands_of("eeg")[config.primary_of("eeg").band]
    n_segment = round(4 * SFREQ)
    segments = np.lib.stride_tricks.sliding_window_view(data, n_segment, axis=-1)[..., :: n_segment // 2, :]
    centred = (segments - segments.mean(-1, keepdims=True)) * np.hanning(n_segment + 1)[:-1].astype(np.float32)
    spectra = fft.rfft(centred)
    psd = (spectra.real**2 + spectra.imag**2).mean(-2)
    freqs = np.fft.rfftfreq(n_segment, 1 / SFREQ)
    response = band_response(freqs, band, SFREQ)
    return [signal_fraction(freqs, psd, response, degree, background_spans(band)) for degree in (1, 2)]


@functools.cache
def _montage() -> mne.channels.DigMontage:
    """The template's positions of these few sites: reading all of them anew takes a quarter of the time."""
    at = mne.channels.make_standard_montage(electrodes.standard_montage()).get_positions()
    ch_pos = {name: at["ch_pos"][name] for name in CH_NAMES}
    frame = {name: at[name] for name in ("nasion", "lpa", "rpa", "coord_frame")}
    return mne.channels.make_dig_montage(ch_pos, **frame)


def _judged(row: Session, pair: PairedRecording, config: StudyConfig, people: dict[Any, Any]) -> Summary:
    def work() -> Summary:
        # the first step of a unit, with a recording from memory in place of one from a file
        with (
            mock.patch.object(prepare, "load_session", return_value=pair),
            mock.patch("hyperscan.recording.cleaning.eeg.standard_montage", _montage),
        ):
            summary, both = prepare.judge_row(row, config)
        people[row.key] = both
        return summary

    summary = prepare.attempt(row.key, work, Summary)
    if summary.status == "failed":
        raise RuntimeError(summary.traceback)
    return summary


def _compare_eeg(
    here: Mapping[str, Mapping[str, Signals]], partners: Mapping[str, Any], recipe: Recipe
) -> Iterator[tuple[str, dict[str, Any], dict[str, float]]]:
    """All pairs of one session number at once: (therapist, client) blocks of one big matrix per measure."""
    dyads, shared = list(here), _SharedWindows(recipe)
    blocks = _Blocks([here[d]["therapist"] for d in dyads], [here[d]["client"] for d in dyads], recipe)
    for i, dyad in enumerate(dyads):
        a, b = here[dyad]["therapist"], here[dyad]["client"]
        windows = shared(a, b)
        z, real = blocks.pair(i, i, windows)
        chance, pseudo = [], []
        for partner, which in partners[dyad]:
            j = dyads.index(partner)
            t, c = (i, j) if which == "client" else (j, i)
            other = shared(here[dyads[t]]["therapist"], here[dyads[c]]["client"])
            value, values = blocks.pair(t, c, other)
            chance.append(value)
            pseudo.append(values)
        out = _outcome("eeg", recipe, z, chance, _own_level(a, b, recipe, windows, {}))
        yield dyad, out, dataclasses.asdict(guard_row(a, b, recipe, windows, real, pseudo))


def _own_level(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, lag: Mapping[Any, Any]) -> float:
    """What the pair itself reaches at times that do not match, in the primary outcome."""
    primary = recipe.primary
    narrow = dataclasses.replace(
        recipe,
        metrics=(get_metric(primary.metric),),
        bands={primary.band: recipe.primary_band},
        roi_pairs=(str(primary.rois),),
    )
    # only the channels that the outcome is made of
    a, b = (
        dataclasses.replace(
            person,
            data={name: data[list(person.rois[roi])] for name, data in person.data.items()},
            rois={roi: tuple(range(len(person.rois[roi])))},
        )
        for person, roi in zip((a, b), primary.rois, strict=True)
    )
    level = own_chance(a, b, narrow, windows, lag)[Cell(recipe.signals[0], primary.metric, primary.band)]
    return float(level.mean_z[narrow.pairs_of(a.rois, b.rois).index(primary.rois)])


def _outcome(signal: str, recipe: Recipe, z: float, chance: Sequence[float], own: float) -> dict[str, Any]:
    mean = float(np.mean(chance))
    rois = dict(zip(("roi_therapist", "roi_client"), recipe.primary.rois, strict=True))
    named = {"signal": signal, "metric": recipe.primary.metric, "band": recipe.primary.band, **rois}
    return {
        **named,
        "z": z,
        "pseudo_mean_z": mean,
        "n_pseudo": len(chance),
        "excess_z": z - mean,
        "own_excess_z": z - own,
    }


class _Blocks:
    """PLV and its relatives of all therapists with all clients, per window of the common grid."""

    def __init__(self, therapists: Sequence[Signals], clients: Sequence[Signals], recipe: Recipe) -> None:
        self.n_window = round(recipe.window_s * therapists[0].sfreq)
        self.starts = np.unique(np.concatenate([p.windows[:, 1] for p in (*therapists, *clients)]))
        self.given = {"sfreq": therapists[0].sfreq, "band": recipe.primary_band}
        self.sizes = [
            [len(p.rois[r]) for p in side] for side, r in zip((therapists, clients), recipe.primary.rois, strict=True)
        ]
        bands = {"in": recipe.primary_band, "out": OUT_BAND}
        roi = [self._cut(side, r, bands) for side, r in zip((therapists, clients), recipe.primary.rois, strict=True)]
        found = evaluate_many(["plv", "ciplv"], roi[0]["in"], roi[1]["in"], **self.given)
        self.squared = found["plv"][0] ** 2
        self.z, self.robust = (self._split(found[name][1], self.sizes) for name in ("plv", "ciplv"))
        outside = get_metric("plv").evaluate(roi[0]["out"], roi[1]["out"], sfreq=therapists[0].sfreq, band=OUT_BAND)
        self.outside = self._split(outside[1], self.sizes)
        self.edges = [np.cumsum([0, *side]).tolist() for side in self.sizes]
        self.means: dict[tuple[int, ...], tuple[Array, Array]] = {}
        self.control = np.full_like(self.z, np.nan)
        if recipe.control:
            sides = [
                [dataclasses.replace(p, rois={CONTROL: tuple(p.indices(recipe.control))}) for p in side]
                for side in (therapists, clients)
            ]
            cut = [self._cut(side, CONTROL, {"in": recipe.primary_band})["in"] for side in sides]
            _, z = get_metric("plv").evaluate(*cut, **self.given)
            self.control = self._split(z, [[len(recipe.control)] * len(side) for side in sides])

    def _cut(self, people: Sequence[Signals], roi: str, bands: Mapping[str, tuple[float, float]]) -> dict[str, Array]:
        joined = np.concatenate([p.data["eeg"][list(p.rois[roi])] for p in people])
        streams = analytic_bands(joined, people[0].sfreq, bands)
        return {name: cut_windows(z, self.starts, self.n_window) for name, z in streams}

    @staticmethod
    def _split(z: Array, sizes: Sequence[Sequence[int]]) -> Array:
        """Means of every pair of people, shape (n_windows, n_therapists, n_clients)."""
        at = [np.cumsum([0, *side])[:-1] for side in sizes]
        sums = np.add.reduceat(np.add.reduceat(z, at[0], axis=1), at[1], axis=2)
        return sums / np.outer(*sizes)

    def pair(self, t: int, c: int, windows: WindowPair) -> tuple[float, GuardValues]:
        at = tuple(np.searchsorted(self.starts, windows.therapist).tolist())
        if at not in self.means:
            named = {"z": self.z, "control": self.control, "outside": self.outside, "robust": self.robust}
            values = np.stack([x[list(at)].mean(axis=0) for x in named.values()])
            self.means[at] = values, self.squared[list(at)].mean(axis=0)
        values, squared = self.means[at]
        rows, columns = (slice(edge[k], edge[k + 1]) for edge, k in zip(self.edges, (t, c), strict=True))
        z, *others = values[:, t, c].tolist()
        return z, GuardValues(squared[rows, columns], float("nan"), *others)


class _SharedWindows:
    """Windows that two people share; people whose windows are the same objects share the same ones."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.known: dict[tuple[int, int], WindowPair] = {}

    def __call__(self, a: Signals, b: Signals) -> WindowPair:
        key = id(a.clean), id(b.clean)
        if key not in self.known:
            self.known[key] = shared_windows(a, b, self.recipe)
        return self.known[key]


def _compare_fnirs(
    here: Mapping[str, Mapping[str, Signals]], partners: Mapping[str, Any], recipe: Recipe
) -> Iterator[tuple[str, dict[str, Any], dict[str, float]]]:
    dyads = list(here)
    here = {
        d: {role: dataclasses.replace(p, data={"hbo": p.data["hbo"]}) for role, p in both.items()}  # the primary's work
        for d, both in here.items()
    }
    sides = [[here[d][role] for d in dyads] for role in ("therapist", "client")]
    joined = []
    for people in sides:
        at = np.cumsum([0, *(len(p.ch_names) for p in people)])
        rois = {d: tuple(range(at[k], at[k + 1])) for k, d in enumerate(dyads)}
        data = {"hbo": np.concatenate([p.data["hbo"] for p in people])}
        joined.append(dataclasses.replace(people[0], data=data, rois=rois))
    pairs = [f"{t}-{c}" for t in dyads for c in dyads]
    everyone = dataclasses.replace(recipe, roi_pairs="all")
    (values,) = roi_table(*joined, everyone).values()
    z = dict(zip(pairs, values, strict=True))
    for dyad in dyads:
        chance = [z[f"{dyad}-{p}" if which == "client" else f"{p}-{dyad}"] for p, which in partners[dyad]]
        a, b = here[dyad]["therapist"], here[dyad]["client"]
        windows = shared_windows(a, b, recipe)
        lag = lag_tests(a, b, recipe, windows, n_null=19, rng=np.random.default_rng(0))
        own = _own_level(a, b, recipe, windows, lag)
        yield dyad, _outcome("hbo", recipe, float(z[f"{dyad}-{dyad}"]), chance, own), {}


def judge(tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> GrowthResult:
    table, guards, quality = tables
    return fit_growth(table, guards=guards, quality=quality, n_flips=500, modality=str(table["modality"].iloc[0]))


def through_files(condition: Any, design: Design, seed: Sequence[int]) -> Tables:
    """Write the study as a lab has it, run the pipeline, and read its tables."""
    config = dataclasses.replace(FNIRS if isinstance(condition, FnirsCondition) else EEG, n_null=19)
    with tempfile.TemporaryDirectory() as folder:
        study, out = Path(folder) / "study", Path(folder) / "out"
        rows = []
        for row, _, people, _ in simulate(condition, design, seed):
            place = f"{row.dyad}/{row.session}"
            (study / place).mkdir(parents=True)
            for role, data in zip(("therapist", "client"), people, strict=True):
                if row.modality == "eeg":
                    write_edf(study / place / f"{role}.edf", data, tuple(CAPS[len(data)]), SFREQ)
                else:
                    write_snirf(study / place / f"{role}.snirf", data, Optodes(), SFREQ_FNIRS)
            suffix = "edf" if row.modality == "eeg" else "snirf"
            named = {
                name: getattr(row, name) for name in ("dyad", "therapist", "client", "session", "modality", "days")
            }
            files = {f"{role}_file": f"{place}/{role}.{suffix}" for role in ("therapist", "client")}
            rows.append({**named, **files, "clock": row.clock})
        write_table(study / "dyads.tsv", pd.DataFrame(rows))
        done = run_study(read_sessions(study / "dyads.tsv"), config, out=out)
        tables = done.plan.primary.select(done.table), done.guards, done.quality
        verdict = growth_of(out, config).verdict
    if judge(tables).verdict != verdict:
        raise RuntimeError(f"the run's verdict is {verdict}, that of its primary rows {judge(tables).verdict}")
    return tables
