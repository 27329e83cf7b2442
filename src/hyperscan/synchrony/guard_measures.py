"""What the guards of the verdict take their slopes of, computed while the channels are at hand.

Pseudo-dyads remove what everyone shares. They do not remove constant coupling seen through rising in-band
signal-to-noise, nor a growing artefact common to two people; these columns are what tells them apart.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from hyperscan.metrics import MetricSpec, evaluate_many
from hyperscan.metrics.arrays import into_domain
from hyperscan.recall import remembered
from hyperscan.schema import OUT_BAND, ROLES
from hyperscan.synchrony.pair import BandSignals, PairBand, WindowPair, pair_bands, person_bands
from hyperscan.synchrony.person import Signals, same
from hyperscan.synchrony.recipe import MetricFacts, Recipe
from hyperscan.transforms import analytic_signal
from hyperscan.transforms.filters import band_response
from hyperscan.transforms.spectrum import signal_fraction, welch_psd

Array = npt.NDArray[Any]

#: Stretch over which a rhythm counts as there or not, in s: shorter than its spells, long enough for a band of 4 Hz.
BURST_S = 2.0

#: Background above theta, alpha and beta, whose rise the fits over 2-5 and 15-40 Hz take for noise, in Hz (our choice).
ABOVE_HZ = (25.0, 40.0)

#: Versions with random phases that say how uneven a steady rhythm looks by chance (our choice).
STEADY = 4


@dataclass(frozen=True)
class GuardRow:
    """A dyad-session's row of ``guards.tsv`` without its keys; the table of columns says what each means."""

    g1_line: float = math.nan
    g1_quad: float = math.nan
    g1_high: float = math.nan
    w_line: float = math.nan
    w_quad: float = math.nan
    w_high: float = math.nan
    matched_excess_z: float = math.nan
    control_excess_z: float = math.nan
    outband_excess_z: float = math.nan
    lag_robust_excess_z: float = math.nan
    imcoh_1: float = math.nan
    imcoh_2: float = math.nan
    imcoh_3: float = math.nan
    imcoh_4: float = math.nan
    lag_beyond: float = math.nan
    steadiness: float = math.nan
    phase_kept: float = math.nan


@dataclass(frozen=True)
class GuardValues:
    """What one pair of people, partners or not, contributes; a mean z becomes a column ``..._excess_z``."""

    #: shape (n_a, n_b), or their mean: mean over windows of the squared PLV between the primary ROI's channels
    plv_squared: Array
    #: Mean z of the primary ROI pair after noise matching, of the control channels, outside the band, and of the
    #: corrected imaginary PLV; NaN where it cannot be computed
    matched_z: float
    control_z: float
    outband_z: float
    lag_robust_z: float


@dataclass(frozen=True)
class GuardView:
    """One person's part in the guards, computed once however many partners the person meets."""

    #: Label of the person
    person: str
    #: Of the noise that the noise-matched check adds
    seed: int
    #: Sampling rate in Hz, and edges of the person's primary band in Hz
    sfreq: float
    band: tuple[float, float]
    #: Mean in-band signal fraction of the primary ROI
    fraction: float
    #: shape (n_inside,), (n_control,): Places of the primary ROI's channels, and of all control channels or none
    inside: Array
    control: Array
    #: All channels in the primary band
    in_band: BandSignals
    #: Channels of the primary ROI outside of it; None where that cannot be assessed
    out_band: BandSignals | None
    _noise: dict[int, BandSignals] = field(default_factory=dict, repr=False, compare=False)

    def noise(self, n_windows: int) -> BandSignals:
        """In-band noise of the person's own, window after window; kept for the next partner."""
        if n_windows not in self._noise:
            n_window, shape = self.in_band.n_window, (len(self.inside), n_windows * self.in_band.n_window)
            self._noise.clear()
            made = remembered(
                ("noise", self.seed), (shape, self.sfreq, self.band), partial(self._filtered_noise, shape)
            )
            self._noise[n_windows] = BandSignals(made, n_window)
        return self._noise[n_windows]

    def _filtered_noise(self, shape: tuple[int, int]) -> Array:
        white = np.random.default_rng(self.seed).standard_normal(shape, dtype=np.float32)
        return analytic_signal(white, self.sfreq, self.band)


def guard_view(signals: Signals, recipe: Recipe, role: str, in_band: BandSignals) -> GuardView | None:
    """Gather what the guards need of one person, who is filtered in the primary band already."""
    roi = getattr(recipe.primary.rois, role)
    if roi not in signals.rois:
        return None
    inside, control = np.array(signals.rois[roi], dtype=int), signals.indices(recipe.control)
    # a control of the band is one where the fit of the background is: both need a band apart, and 2-40 Hz; people who
    # differ in their bands have no band outside in common
    assessable = recipe.one_band and 2 * OUT_BAND[1] < signals.sfreq and bool(np.isfinite(signals.s2_line).any())
    some = replace(signals, data={"eeg": signals.data["eeg"][inside]}) if assessable else None
    out_band = None if some is None else next(person_bands(some, "eeg", {"out": OUT_BAND}, in_band.n_window))[1]
    return GuardView(
        person=signals.person,
        seed=zlib.crc32(f"{signals.person} {signals.key}".encode()),
        sfreq=signals.sfreq,
        band=recipe.of(role).primary_band,
        fraction=float(np.mean(signals.s2_line[inside])),
        inside=inside,
        control=control if len(control) == len(recipe.control) else control[:0],
        in_band=in_band,
        out_band=out_band,
    )


def guard_values(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> GuardValues | None:
    """Compute a pair's contribution to the guards."""
    if recipe.modality != "eeg":
        return None
    own = {role: {recipe.primary.band: recipe.of(role).primary_band} for role in ROLES}
    narrow = replace(recipe, bands={recipe.primary.band: recipe.primary_band}, own_bands=own)
    both = next(pair_bands(a, b, narrow, windows))
    return band_guard_values(both, a, b, recipe, windows).get(recipe.primary.metric)


def band_guard_values(
    both: PairBand, a: Signals, b: Signals, recipe: Recipe, windows: WindowPair
) -> dict[str, GuardValues]:
    """Compute a pair's contribution to the guards by metric, when both are filtered in the primary band."""
    sides = zip((a, b), ROLES, (both.a, both.b), strict=True)
    views = [guard_view(person, recipe, role, in_band) for person, role, in_band in sides]
    return guard_values_of(views[0], views[1], recipe, windows)


def guard_values_of(
    a: GuardView | None, b: GuardView | None, recipe: Recipe, windows: WindowPair
) -> dict[str, GuardValues]:
    """Compute a pair's contribution to the guards of every metric from what was filtered already.

    Some windows at a time, which all metrics share. Nothing where a person lacks the region.
    """
    if a is None or b is None:
        return {}
    metrics, facts = recipe.guarded, recipe.facts(a.sfreq, recipe.primary.band)
    if any(metric.sets is not None for metric in metrics):
        facts["rank"] = recipe.rank_of(recipe.primary.rois, recipe.primary.band, windows.n_window / a.sfreq)
    sides = (a, windows.therapist), (b, windows.client)
    matched = all(view.person in recipe.matched_s2 for view in (a, b))
    beyond = a.out_band is not None and b.out_band is not None
    noises = [matching_noise(view, starts, recipe, windows) for view, starts in sides] if matched else []
    squared: list[Array] = []
    robust: list[Array] = []
    z: dict[tuple[str, str], list[Array]] = defaultdict(list)

    def add(name: str, cut: Sequence[Array], facts: MetricFacts = facts) -> None:
        for metric, found in _on_growth_scale(metrics, cut, facts).items():
            z[name, metric].append(found)

    for some in windows.parts(len(a.inside) + len(b.inside)):
        inside = [view.in_band.cut(starts, some, channels=view.inside) for view, starts in sides]
        locked = evaluate_many(("plv", "ciplv"), *inside)
        squared.append(locked["plv"][0] ** 2)
        robust.append(locked["ciplv"][1])
        if len(a.control) and len(b.control):
            outside = [view.in_band.cut(starts, some, channels=view.control) for view, starts in sides]
            add("control", outside)
        if beyond:
            apart = [view.out_band.cut(starts, some) for view, starts in sides if view.out_band is not None]
            add("outband", apart, facts | {"band": OUT_BAND})
        if matched:
            pairs = zip(inside, noises, strict=True)
            noisy = [cut if noise is None else noise.added_to(cut, some) for cut, noise in pairs]
            add("matched", noisy)
    means = {name: _mean_z(np.concatenate(parts)) for name, parts in z.items()}
    alike, lag_robust = np.concatenate(squared).mean(axis=0), _mean_z(np.concatenate(robust))
    return {
        metric.name: GuardValues(
            plv_squared=alike,
            matched_z=means.get(("matched", metric.name), math.nan),
            control_z=means.get(("control", metric.name), math.nan),
            outband_z=means.get(("outband", metric.name), math.nan),
            lag_robust_z=lag_robust,
        )
        for metric in metrics
    }


def guard_row(
    a: Signals,
    b: Signals,
    recipe: Recipe,
    windows: WindowPair,
    real: GuardValues | None,
    pseudo: Sequence[GuardValues],
) -> GuardRow:
    """Put real and re-paired values together to one row of ``guards.tsv``; NaN where nothing can be said."""
    if real is None:
        return GuardRow()
    # these do not ask which metric
    known = (*same(a, b), recipe.but_metrics)
    pattern = remembered(("lag pattern", a.key), known, partial(lag_pattern, a, b, recipe, windows))
    row = {f"imcoh_{i}": value for i, value in enumerate(pattern.imag.tolist(), start=1)}
    row["lag_beyond"] = lag_beyond(pattern, recipe)
    row["steadiness"] = remembered(("steadiness", a.key), known, partial(steadiness, a, b, recipe, windows))
    row["phase_kept"] = remembered(("phase kept", a.key), known, partial(phase_kept, a, b, recipe, windows))
    if not pseudo:
        return GuardRow(**row)
    # squared coupling beyond chance over what the signal fractions leave of it, and its weight
    floor = _finite_mean([_finite_mean(values.plv_squared) for values in pseudo])
    squared, rois = (real.plv_squared - floor) / (1 - floor), recipe.primary.rois
    inside = list(a.rois[rois.therapist]), list(b.rois[rois.client])
    high = partial(high_fraction, n_window=windows.n_window)
    fits = {
        "line": (a.s2_line[inside[0]], b.s2_line[inside[1]]),
        "quad": (a.s2_quad[inside[0]], b.s2_quad[inside[1]]),
        "high": (
            high(a, inside[0], windows.therapist, recipe.of("therapist").primary_band),
            high(b, inside[1], windows.client, recipe.of("client").primary_band),
        ),
    }
    for fit, (ours, theirs) in fits.items():
        weight = np.outer(ours, theirs)
        row |= {f"g1_{fit}": float(np.mean(squared / weight)), f"w_{fit}": float(np.mean(weight))}
    for name in (item.name.removesuffix("_z") for item in fields(GuardValues) if item.name.endswith("_z")):
        chance = _finite_mean([getattr(values, f"{name}_z") for values in pseudo])
        row[f"{name}_excess_z"] = float(getattr(real, f"{name}_z") - chance)
    return GuardRow(**row)


def high_fraction(
    person: Signals, channels: Sequence[int], starts: Array, band: tuple[float, float], n_window: int
) -> Array:
    """Signal fraction of channels over a background that is fitted above the rhythm alone, shape (n_channels,).

    Theta that rises counts as background of the two other fits, which then miss a part of rising signal-to-noise.
    """
    if not np.isfinite(person.s2_line).any():
        return np.full(len(channels), math.nan)
    cut = person.data["eeg"][channels][:, starts[:, None] + np.arange(n_window)]
    freqs, psd = welch_psd(cut, person.sfreq)
    return signal_fraction(freqs, psd.mean(axis=1), band_response(freqs, band, person.sfreq), 1, [ABOVE_HZ])


def steadiness(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> float:
    """Tell how evenly in time both rhythms are there at once, by what their unevenness takes from phase locking.

    Phase locking weighs every moment alike, and a moment counts as far as both people's signal rises above their
    background then. The log of that, minus the same of rhythms with equal spectra and random phases, which come and go
    by chance alone: 0 is as steady as noise of that band, and signal-to-noise as such does not move it. NaN where a
    window is shorter than a moment.
    """
    if windows.n_window < round(BURST_S * a.sfreq):
        return math.nan
    sides = zip((a, b), (windows.therapist, windows.client), recipe.primary.rois, strict=True)
    people = [
        _moments(person, starts, roi, recipe.of(role), windows.n_window)
        for role, (person, starts, roi) in zip(ROLES, sides, strict=True)
    ]
    counted = np.sqrt(people[0] * people[1]).mean(axis=-1)
    return float(np.log(counted[0]) - np.log(counted[1:]).mean()) if (counted > 0).all() else math.nan


def _moments(person: Signals, starts: Array, roi: str, recipe: Recipe, n_window: int) -> Array:
    """Signal fraction of one person's ROI from moment to moment, shape (1 + :data:`STEADY`, n_moments).

    The first row is as recorded, the others have random phases and the same power in every window.
    """
    channels, n_bin = list(person.rois[roi]), round(BURST_S * person.sfreq)
    cut = person.data["eeg"][channels][:, starts[:, None] + np.arange(n_window)]
    spectra = fft.rfft(cut)
    rng = np.random.default_rng(zlib.crc32(f"{person.person} {person.key} steady".encode()))
    low, high = recipe.primary_band
    freqs, taper = np.fft.rfftfreq(n_bin, 1 / person.sfreq), np.hanning(n_bin + 2)[1:-1].astype(cut.dtype)
    inside = (freqs >= low) & (freqs <= high)
    # a course over the session is no chance either
    all_freqs = np.fft.rfftfreq(n_window, 1 / person.sfreq)
    whole = (np.abs(spectra[..., (all_freqs >= low) & (all_freqs <= high)]) ** 2).sum(axis=-1, keepdims=True)
    mean = np.broadcast_to(whole.mean(axis=1, keepdims=True), whole.shape)
    even = np.sqrt(np.divide(mean, whole, out=np.zeros_like(whole), where=whole > 0)).astype(cut.dtype)
    fraction, out = float(np.mean(person.s2_line[channels])), []
    for k in range(1 + STEADY):
        # channels turn together, as volume conduction wants it
        turn = np.exp(2j * np.pi * rng.random(spectra.shape[1:])).astype(spectra.dtype)
        version = cut if k == 0 else fft.irfft(spectra * turn * even, n_window)
        bins = version[..., : n_window // n_bin * n_bin].reshape(len(channels), -1, n_bin)
        power = (np.abs(fft.rfft(bins * taper)[..., inside]) ** 2).sum(axis=-1)
        relative = (power / power.mean(axis=1, keepdims=True)).mean(axis=0)
        out.append(np.clip(1 - (1 - fraction) / relative, 0, 1))
    return np.array(out)


class MatchingNoise(NamedTuple):
    """Noise that brings a person's ROI to the signal fraction of the noisiest session."""

    noise: BandSignals
    #: shape (n_channels, 1)
    scale: Array

    def added_to(self, cut: Array, some: slice) -> Array:
        """Add it to some of the windows, shape (n_windows, n_channels, n_window)."""
        n_window = self.noise.n_window
        starts = np.arange(0, self.noise.analytic.shape[-1], n_window)
        return np.asarray(cut + self.noise.cut(starts, some) * self.scale)


def matching_noise(view: GuardView, starts: Array, recipe: Recipe, windows: WindowPair) -> MatchingNoise | None:
    """Make the noise that a person needs in the windows with these starts; None where it is none."""
    excess = max(view.fraction / recipe.matched_s2[view.person] - 1, 0.0)
    if excess == 0:
        return None
    noise, parts = view.noise(len(starts)), windows.parts(len(view.inside))
    power = np.sum([_power(view.in_band.cut(starts, some, channels=view.inside)) for some in parts], axis=0)
    return MatchingNoise(noise, np.sqrt(excess * power / _power(noise.analytic[None])).astype(np.float32)[:, None])


def lag_beyond(pattern: Array, recipe: Recipe) -> float:
    """Tell how much of the coherency lies at a lag that no error of the clocks gives to what has none.

    What has no lag, seen through clocks that are wrong by less than their uncertainty, has a phase of less than psi
    (or of that beyond half a cycle, where it is inverted). ``|Im| cos psi - |Re| sin psi`` falls when such a thing
    grows, and rises with coupling at any other phase.

    Shapes: ``pattern`` (n_sub_bands,).
    """
    psi = min(2 * math.pi * float(np.mean(recipe.primary_band)) * 1e-3 * recipe.clock_uncertainty_ms, math.pi / 2)
    mean = complex(pattern.mean())
    return abs(mean.imag) * math.cos(psi) - abs(mean.real) * math.sin(psi)


def lag_pattern(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> Array:
    """Signed coherency of the primary ROI pair in equal parts of the primary band; NaN where one is empty.

    Shapes: returns (n_sub_bands,).
    """
    freqs, (x, y) = roi_spectra(a, b, recipe, windows, np.hanning(windows.n_window + 2)[1:-1])
    values = []
    for low, high in recipe.sub_bands:
        inside = (freqs >= low) & (freqs < high)
        if not inside.any() or not recipe.one_band:
            return np.full(len(recipe.sub_bands), complex(math.nan, math.nan))
        u, v = (spectrum[..., inside].reshape(len(spectrum), -1) for spectrum in (x, y))
        cross = u @ v.conj().T
        norm = np.sqrt(np.outer((np.abs(u) ** 2).sum(-1), (np.abs(v) ** 2).sum(-1)))
        values.append(complex(np.mean(cross / norm)))
    return np.array(values)


def _on_growth_scale(metrics: Sequence[MetricSpec], cut: Sequence[Array], facts: MetricFacts) -> dict[str, Array]:
    """Compute metrics of analytic signals, each in its own domain.

    Shapes: ``cut`` two of (n_windows, n_channels, n_window), returns (n_windows, n_a, n_b) by metric.
    """
    if "rank" in facts:  # control channels are fewer than those of a region, the same ones in every session
        facts = {**facts, "rank": min(facts["rank"], *(each.shape[-2] for each in cut))}
    found: dict[str, Array] = {}
    for domain in dict.fromkeys(metric.domain for metric in metrics):
        x, y = (into_domain(each, domain, facts["sfreq"], facts["band"]) for each in cut)
        mine = [metric for metric in metrics if metric.domain == domain]
        found |= {name: z for name, (_, z) in evaluate_many(mine, x, y, **facts).items()}
    return found


def _mean_z(z: Array) -> float:
    """Mean over windows of the mean over channel pairs, shape (n_windows, n_a, n_b)."""
    return math.nan if np.isnan(z).all() else float(np.mean(np.nanmean(z, axis=(-2, -1))))


def _finite_mean(values: npt.ArrayLike) -> float:
    """Mean without what could not be computed: one partner's gap must not cost the chance level."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else math.nan


def _power(cut: Array) -> Array:
    """Sum of squares over windows and samples, shape (n_channels,)."""
    return np.sum([np.einsum("ct,ct->c", window, window.conj()).real for window in cut], axis=0, dtype=float)


def roi_spectra(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, taper: Array
) -> tuple[Array, tuple[Array, Array]]:
    """Fourier transform of every window of the primary ROI pair, and its frequencies in Hz.

    Shapes: ``taper`` (n_window,), returns (n_freqs,) and (n_channels, n_windows, n_freqs) of either person.
    """
    sides = zip((a, b), (windows.therapist, windows.client), recipe.primary.rois, strict=True)
    x, y = (
        np.fft.rfft(
            person.data["eeg"][list(person.rois[roi])][:, starts[:, None] + np.arange(windows.n_window)].astype(float)
            * taper
        )
        for person, starts, roi in sides
    )
    return np.fft.rfftfreq(windows.n_window, 1 / a.sfreq), (x, y)


def phase_kept(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> float:
    """Tell how much of squared coherency has the same phase in all windows: the mean over pairs of different windows.

    What locks within a window by chance has another phase in the next one, so this is 0 on average without coupling,
    whatever the two spectra share and however they wander together. NaN of one window, or without a band in common.
    """
    count = len(windows.therapist)
    freqs, spectra = roi_spectra(a, b, recipe, windows, np.ones(windows.n_window))
    bands = [recipe.of(role).primary_band for role in ROLES]
    inside = np.logical_and.reduce([(freqs >= low) & (freqs <= high) for low, high in bands])
    if count < 2 or not inside.any():
        return math.nan
    x, y = (each[..., inside].swapaxes(0, 1) for each in spectra)
    norm = np.sqrt((np.abs(x) ** 2).sum(-1)[:, :, None] * (np.abs(y) ** 2).sum(-1)[:, None, :])
    coherency = x @ y.conj().swapaxes(-1, -2) / norm
    together, alone = np.abs(coherency.sum(0)) ** 2, (np.abs(coherency) ** 2).sum(0)
    return float(np.mean((together - alone) / (count * (count - 1))))
