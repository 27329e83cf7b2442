"""What is computed alike for every pair of a study: metrics, bands, ROI pairs, window count."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from hyperscan.config import MAX_LAG_S, Primary, StudyConfig
from hyperscan.errors import ConfigError, InputError, did_you_mean
from hyperscan.metrics import METRICS, MetricSpec, get_metric
from hyperscan.metrics.sets import SAMPLES_PER_COMPONENT
from hyperscan.recording.cleaning.channels import known_rois
from hyperscan.schema import INDICES, ROLES, SIGNALS, Index, RoiPair, index_facts

Array = npt.NDArray[Any]

#: Longest step of a lag profile in s, however narrow the band (our choice).
MAX_LAG_STEP_S = 1.0

#: Parts of the primary band whose imaginary coherency makes up a dyad's lag pattern.
N_SUB_BANDS = 4


class MetricFacts(TypedDict):
    """What a metric may be told, by the names of its arguments."""

    #: Sampling rate in Hz
    sfreq: float
    #: Edges in Hz
    band: tuple[float, float]
    #: Largest lag in s
    max_lag_s: float
    #: Components of a region, for a metric of whole regions
    rank: NotRequired[int]


@dataclass(frozen=True)
class LagGrid:
    """Lags of a profile: a number of steps to each side."""

    #: Samples per step
    every: int
    n_steps: int
    #: Sampling rate in Hz
    sfreq: float

    @property
    def step_s(self) -> float:
        """Length of a step in s."""
        return self.every / self.sfreq

    @property
    def lags_s(self) -> Array:
        """All lags in s, shape (2 * n_steps + 1,); positive = the therapist leads."""
        return np.arange(-self.n_steps, self.n_steps + 1) * self.step_s


@dataclass(frozen=True)
class Recipe:
    """Everything that a pair of people needs to be compared, whoever they are."""

    #: one of {'eeg', 'fnirs'}: Kind of recording
    modality: str
    #: What to compute
    metrics: tuple[MetricSpec, ...]
    #: Edges in Hz
    bands: Mapping[str, tuple[float, float]]
    #: The outcome named in advance
    primary: Primary
    #: Role to the edges in Hz of bands that are others in that person
    own_bands: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    #: Largest lag of cross-correlations in s; None = that of the modality
    max_lag_s: float | None = None
    #: ``'matching'``, ``'all'`` or a list of pairs
    roi_pairs: str | tuple[str, ...] = "matching"
    #: Window length in s (EEG)
    window_s: float = 20.0
    #: Windows per session; None = all that are clean
    n_windows: int | None = None
    #: Common length in s (fNIRS); None = all there is
    seconds: float | None = None
    #: A pair with fewer common clean windows gives no value
    min_windows: int = 3
    #: Channels that carry little of the rhythm
    control: tuple[str, ...] = ()
    #: How far the offset of two clocks may be off in any session, in ms
    clock_uncertainty_ms: float = 0.0
    #: Person to the in-band signal fraction that the noise-matched check brings every session down to
    matched_s2: Mapping[str, float] = field(default_factory=dict)
    #: Of coupling inside one person
    within: tuple[MetricSpec, ...] = ()
    #: Regions of every network
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Components that every person has in every session, by region; metrics of sets need them
    ranks: Mapping[str, int] = field(default_factory=dict)
    #: Edges in Hz of what preparation left
    passband: tuple[float, float] = (0.0, math.inf)
    #: Whether only what growth of an outcome asks for is computed: its signal, and no lag profile. Every metric is one
    #: outcome then, with guards of its own
    outcome_only: bool = False

    @property
    def signals(self) -> tuple[str, ...]:
        """Signal names, the primary one first."""
        return SIGNALS[self.modality][: 1 if self.outcome_only else None]

    @property
    def but_metrics(self) -> Recipe:
        """The same without what is to be computed, for what depends on everything else alone."""
        return replace(self, metrics=(), primary=replace(self.primary, metric=""))

    @property
    def primary_metric(self) -> MetricSpec:
        """The metric of the primary outcome."""
        return get_metric(self.primary.metric)

    @property
    def guarded(self) -> tuple[MetricSpec, ...]:
        """Metrics whose growth is guarded."""
        return self.metrics if self.outcome_only else (self.primary_metric,)

    @property
    def set_metrics(self) -> tuple[MetricSpec, ...]:
        """Metrics of whole regions."""
        return tuple(spec for spec in self.metrics if spec.sets is not None)

    @property
    def primary_band(self) -> tuple[float, float]:
        """Edges of the primary band in Hz."""
        return self.bands[self.primary.band]

    @property
    def one_band(self) -> bool:
        """Whether the primary band is the same in both people."""
        return all(self.of(role).primary_band == self.primary_band for role in ROLES)

    def of(self, role: str) -> Recipe:
        """Return the same with the edges that one person's bands have."""
        own = self.own_bands.get(role)
        return replace(self, bands={**self.bands, **own}) if own else self

    def lag_grid(self, sfreq: float, n_window: int) -> LagGrid:
        """Choose the steps of the lag profile: a quarter of one over the bandwidth, over which it changes little."""
        low, high = self.primary_band
        every = max(1, round(sfreq * min(MAX_LAG_STEP_S, 0.25 / (high - low))))
        longest = self.facts(sfreq, self.primary.band)["max_lag_s"]
        # half a window at most: beyond that little of it would be left
        return LagGrid(every, min(round(longest * sfreq / every), n_window // every // 2), sfreq)

    def profiled(self, grid: LagGrid) -> tuple[MetricSpec, ...]:
        """Metrics that have a lag profile: a mean of products that a part of a cycle neither hides nor turns."""
        slow = 4 * grid.step_s * self.primary_band[1] < 1  # every part of a cycle is looked at
        return tuple(
            spec
            for spec in self.metrics
            if grid.n_steps
            and not self.outcome_only
            and spec.moment is not None
            and not spec.moment.needs_plus
            and not spec.zero_lag_blind
            and (slow or not {"quarter cycle", "even phases"} & set(spec.blind))
        )

    def facts(self, sfreq: float, band: str) -> MetricFacts:
        """Gather what a metric may be told of a band."""
        longest = MAX_LAG_S[self.modality] if self.max_lag_s is None else self.max_lag_s
        return {"sfreq": sfreq, "band": self.bands[band], "max_lag_s": longest}

    def rank_of(self, rois: RoiPair, band: str, length_s: float) -> int:
        """Choose how many components of two regions are compared: what all have, and what a window can tell apart.

        It is one number for both, and for all people and sessions: chance grows with it. Without a study behind it,
        fNIRS goes by the length that is compared.
        """
        low, high = self.bands[band]
        window_s = self.window_s if self.modality == "eeg" else self.seconds or length_s
        told_apart = int(window_s * (high - low) / SAMPLES_PER_COMPONENT + 1e-9)
        if told_apart < 1:
            raise InputError(
                f"band {band!r}: windows of {window_s:g} s tell no component of a region apart; metrics of whole "
                f"regions need {SAMPLES_PER_COMPONENT / (high - low):g} s. Use longer windows or other metrics."
            )
        return min(*(self.ranks[roi] for roi in rois), told_apart)

    @property
    def sub_bands(self) -> list[tuple[float, float]]:
        """Equal parts of the primary band in Hz."""
        low, high = self.primary_band
        step = (high - low) / N_SUB_BANDS
        return [(low + i * step, low + (i + 1) * step) for i in range(N_SUB_BANDS)]

    def pairs_of(self, rois_a: Collection[str], rois_b: Collection[str]) -> list[RoiPair]:
        """ROI pairs that both people can form, therapist first."""
        if self.roi_pairs == "matching":
            asked = [RoiPair(name, name) for name in rois_a]
        elif self.roi_pairs == "all":
            asked = [RoiPair(a, b) for a in rois_a for b in rois_b]
        else:
            asked = [RoiPair.parse(pair) for pair in ("all", *self.roi_pairs)]
        asked = list(dict.fromkeys([*asked, self.primary.rois]))
        return [pair for pair in asked if pair.therapist in rois_a and pair.client in rois_b]


def recipe_of(config: StudyConfig, modality: str) -> Recipe:
    """Take from the configuration what one modality needs."""
    primary, recipe = config.primary_of(modality), windows_recipe(config, modality)
    _check_rate(modality, config)
    _check_rois("primary.roi", [primary.rois], known_rois(modality, config))
    if not isinstance(config.roi_pairs, str):
        # one list serves both modalities of a study
        known = {name: None for kind in SIGNALS for name in known_rois(kind, config)}
        _check_rois("roi_pairs", map(RoiPair.parse, config.roi_pairs), tuple(known))
    names = config.metrics[modality]
    if primary.metric not in names:
        names = (primary.metric, *names)
    metrics = tuple(get_metric(name) for name in names)
    for spec in metrics:
        key = "primary.metric" if spec.name == primary.metric else f"metrics.{modality}"
        _check_applies(spec, modality, config, key)
    recipe = replace(
        recipe,
        metrics=metrics,
        roi_pairs=config.roi_pairs,
        max_lag_s=config.max_lag_s[modality],
        within=_within_metrics(modality, config),
        networks=config.networks,
    )
    for spec in metrics:
        check_bands(spec, recipe)
    return recipe


def windows_recipe(config: StudyConfig, modality: str) -> Recipe:
    """Take from the configuration what preparation needs: bands, regions and windows, but nothing to compute."""
    primary, bands = config.primary_of(modality), config.bands_of(modality)
    if primary.band not in bands:
        raise ConfigError(
            f"primary.band = {primary.band!r} is no band of {modality}; known: {', '.join(bands) or 'none'}. "
            f"Add it to bands or name another primary.{did_you_mean(primary.band, bands)}"
        )
    return Recipe(
        modality=modality,
        metrics=(),
        bands=bands,
        primary=primary,
        window_s=config.window_s,
        min_windows=config.min_windows,
        own_bands={role: config.own_bands(role) for role in ROLES} if modality == "eeg" else {},
        passband=config.passband(modality),
    )


def check_bands(spec: MetricSpec, recipe: Recipe) -> None:
    """Refuse a metric whose two people are filtered to bands that it does not compare."""
    ours, theirs = (recipe.of(role).bands for role in ROLES)
    for band, (low, high) in ours.items():
        if "band" in spec.params and theirs[band] != (low, high):
            raise ConfigError(
                f"metrics: {spec.name!r} takes one band of both people, and {band!r} has edges of its own in one of "
                "them. Leave it out of metrics, or the edges out of bands_therapist and bands_client."
            )
        if spec.cycles is None:
            continue
        n, m = spec.cycles
        wanted = low * n / m, high * n / m
        if not wanted[0] <= sum(theirs[band]) / 2 <= wanted[1]:
            raise ConfigError(
                f"metrics: {spec.name!r} compares {low:g}-{high:g} Hz of the therapist with {wanted[0]:g}-"
                f"{wanted[1]:g} Hz of the client; {band!r} is {theirs[band][0]:g}-{theirs[band][1]:g} Hz there. Set "
                f"bands_client = {{{band} = [{wanted[0]:g}, {wanted[1]:g}]}}, or leave out the band or the metric."
            )


def check_index(config: StudyConfig, modality: str) -> None:
    """Refuse an index of each person alone that a modality does not have."""
    index = Index.parse(config.within)
    names = [name for name, facts in INDICES.items() if facts.modality == modality]
    known = (*names, *config.within_metrics[modality])
    band = ("band", index.band, tuple(config.bands_of(modality)))
    if index_facts(index.name).of_task:
        band = ("task in fnirs_tasks", index.band, config.fnirs_tasks)
    for what, name, there in (("index", index.name, known), band):
        if name and name not in there:
            raise ConfigError(
                f"within = {config.within!r}: {name!r} is no {what} of {modality}, which the primary outcome is of; "
                f"known: {', '.join(there) or 'none'}. Write INDEX/{'TASK' if band[0] != 'band' else 'BAND'}/REGION."
                f"{did_you_mean(name, there)}"
            )


def _within_metrics(modality: str, config: StudyConfig) -> tuple[MetricSpec, ...]:
    """Take the metrics of coupling inside one person; refuse those that one source seen by two channels makes."""
    specs = tuple(get_metric(name) for name in config.within_metrics[modality])
    for spec in specs:
        _check_applies(spec, modality, config, f"within_metrics.{modality}")
        if spec.sets is not None:
            raise ConfigError(
                f"within_metrics.{modality}: {spec.name!r} compares whole regions, and inside one person the mean is "
                "over pairs of channels. Name a metric of pairs."
            )
        if modality == "eeg" and not spec.zero_lag_blind:
            blind = ", ".join(name for name, known in METRICS.items() if known.zero_lag_blind and known.sets is None)
            raise ConfigError(
                f"within_metrics.eeg: {spec.name!r} sees lag 0, where one source reaches two channels of one head "
                f"(volume conduction). Name metrics that are blind to it: {blind}."
            )
    known = tuple(dict.fromkeys(name for kind in SIGNALS for name in known_rois(kind, config)))
    for name, regions in config.networks.items():
        _check_rois(f"networks.{name}", [RoiPair(region, region) for region in regions], known)
    return specs


def _check_applies(spec: MetricSpec, modality: str, config: StudyConfig, key: str) -> None:
    """Refuse a metric that is not meant for a modality, or needs more than the shortest window that may come."""
    if modality in spec.not_for:
        raise ConfigError(f"{key}: {spec.name!r} does not apply to {modality}: {spec.not_for[modality]}. Name another.")
    length = "window_s" if modality == "eeg" else "min_seconds"
    if "max_lag_s" in spec.params and getattr(config, length) <= config.max_lag_s[modality]:
        raise ConfigError(
            f"{key}: {spec.name!r} needs more than max_lag_s.{modality} = {config.max_lag_s[modality]:g} s, and "
            f"{length} = {getattr(config, length):g}. Raise {length}, lower max_lag_s, or name another metric."
        )
    if spec.shortest_s is None:
        return
    for band, edges in config.bands_of(modality).items():
        if spec.shortest_s(edges) > getattr(config, length):
            raise ConfigError(
                f"{key}: {spec.name!r} needs {spec.shortest_s(edges):g} s in band {band!r}, and {length} = "
                f"{getattr(config, length):g}. Raise {length}, leave out the band, or name another metric."
            )


def _check_rate(modality: str, config: StudyConfig) -> None:
    """Refuse a sampling rate that is set too low for one of the bands."""
    key = "eeg_max_sfreq" if modality == "eeg" else "fnirs_sfreq"
    rate = getattr(config, key) or math.inf
    edges = [item for role in ROLES for item in config.bands_of(modality, role).items()]
    for band, (low, high) in edges:
        if high >= rate / 2:
            raise ConfigError(
                f"{key} = {rate:g}: at that rate nothing above {rate / 2:g} Hz is left, so band {band!r} "
                f"({low:g}-{high:g} Hz) cannot be computed. Raise it, or leave the band out of bands."
            )


def _check_rois(key: str, pairs: Iterable[RoiPair], known: tuple[str, ...]) -> None:
    unknown = [name for pair in pairs for name in pair if name not in known]
    if unknown:
        raise ConfigError(
            f"{key}: {unknown[0]!r} is no region; known: {', '.join(known)}."
            f" Name its channels in rois, or correct it.{did_you_mean(unknown[0], known)}"
        )
