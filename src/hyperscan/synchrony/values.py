"""Everything that a dyad-session is compared by, from one filtering of its two people."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError
from hyperscan.recall import remembered
from hyperscan.recording import PairedRecording, align_pair, preprocess_pair
from hyperscan.recording.memory import is_signal, pair_in_memory
from hyperscan.results import SynchronyResult
from hyperscan.schema import ROLES, Cell
from hyperscan.synchrony.chance import OwnChance, band_own_chance, own_chance, with_other_windows
from hyperscan.synchrony.guard_measures import GuardValues, band_guard_values
from hyperscan.synchrony.lag_null import LagTest, band_lag_tests, lag_tests
from hyperscan.synchrony.pair import CellValues, WindowPair, band_cells, cells, pair_bands, shared_windows
from hyperscan.synchrony.person import Signals, WithinValue, same, session_ranks, signals_of
from hyperscan.synchrony.recipe import Recipe, check_bands, recipe_of
from hyperscan.synchrony.session import session_attrs, session_result, with_lag_tests
from hyperscan.synchrony.within import PersonView, within_values

if TYPE_CHECKING:
    from hyperscan.metrics import MetricSpec


@dataclass(frozen=True)
class SessionValues:
    """What one pair of partners has in every signal, metric and band."""

    cells: tuple[CellValues, ...]
    lag: Mapping[Cell, LagTest] = field(default_factory=dict)
    own: Mapping[Cell, OwnChance] = field(default_factory=dict)
    #: Its part in the guards (EEG) by metric, the primary one first
    guards_of: Mapping[str, GuardValues] = field(default_factory=dict)
    #: Role to the indices of that person alone
    within: Mapping[str, Sequence[WithinValue]] = field(default_factory=dict)

    @property
    def guards(self) -> GuardValues | None:
        """Its part in the guards of the primary outcome."""
        return next(iter(self.guards_of.values()), None)


def outcome_values(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, *, n_null: int, rng: np.random.Generator, null: bool
) -> SessionValues:
    """Compute of all this what growth of the primary outcome and its guards are taken of.

    ``null``: with the lag null, which is the chance level of a pair that has no other.
    """
    if recipe.modality == "fnirs":  # whose shifts are the own chance level too
        lag = lag_tests(a, b, recipe, windows, n_null=n_null, rng=rng)
        return SessionValues(tuple(cells(a, b, recipe, windows)), lag, own_chance(a, b, recipe, windows, lag))
    (both,) = pair_bands(a, b, recipe, windows)
    return SessionValues(
        tuple(band_cells(both, a.sfreq, recipe, windows)),
        band_lag_tests(both, a, b, recipe, n_null=n_null, rng=rng) if null else {},
        band_own_chance(both, a.sfreq, recipe, windows),
        band_guard_values(both, a, b, recipe, windows),
    )


def session_values(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, *, n_null: int, rng: np.random.Generator
) -> SessionValues:
    """Compute values, lag null, own chance level and guards of the pair, and each person alone, band by band."""
    sides = zip(ROLES, (a, b), (windows.therapist, windows.client), strict=True)
    if recipe.modality == "fnirs":
        lag = lag_tests(a, b, recipe, windows, n_null=n_null, rng=rng)
        within = {role: within_values(person, starts, windows.n_window, recipe) for role, person, starts in sides}
        chance = own_chance(a, b, recipe, windows, lag)
        return SessionValues(tuple(cells(a, b, recipe, windows)), lag, chance, within=within)
    # each person alone has no metric of the pair
    alone_recipe = recipe.but_metrics
    views = {
        role: remembered(
            ("view", a.key, role),
            (*same(a, b), alone_recipe),
            partial(PersonView.of, person, starts, windows.n_window, alone_recipe.of(role)),
        )
        for role, person, starts in sides
    }
    alone = {
        role: list(remembered(("spectral", a.key, role), (*same(a, b), alone_recipe), view.spectral_values))
        for role, view in views.items()
    }
    found: list[CellValues] = []
    tests: dict[Cell, LagTest] = {}
    own: dict[Cell, OwnChance] = {}
    guards: Mapping[str, GuardValues] = {}
    for both in pair_bands(a, b, recipe, windows):
        found += band_cells(both, a.sfreq, recipe, windows)
        tests |= band_lag_tests(both, a, b, recipe, n_null=n_null, rng=rng)
        own |= band_own_chance(both, a.sfreq, recipe, windows)
        if both.signal == recipe.signals[0]:  # guards and each person alone are of the primary signal
            if both.band == recipe.primary.band:
                guards = band_guard_values(both, a, b, recipe, windows)
            for role, signals in zip(ROLES, (both.a, both.b), strict=True):
                compute = partial(views[role].band_values, both.band, signals)
                alone[role] += remembered(("alone", a.key, role), (*same(a, b), alone_recipe, both.band), compute)
            del signals, compute
        del both  # before the next band is filtered
    return SessionValues(tuple(found), tests, own, guards, alone)


def compute_synchrony(
    pair: PairedRecording | BaseRaw | BaseEpochs,
    client: BaseRaw | BaseEpochs | None = None,
    *,
    metrics: Sequence[str | Callable[..., Any] | MetricSpec] | None = None,
    bands: Mapping[str, tuple[float, float]] | None = None,
    config: StudyConfig | None = None,
    null: str | None = None,
    n_null: int | None = None,
    seed: int | None = None,
) -> SynchronyResult:
    """Compute the synchrony of one dyad-session.

    Parameters
    ----------
    pair : PairedRecording, mne.io.BaseRaw or mne.BaseEpochs
        From :func:`hyperscan.preprocess_pair`. What is not aligned yet is aligned and prepared as
        :func:`hyperscan.align_pair` and :func:`hyperscan.preprocess_pair` do by themselves; so are the therapist's Raw
        or Epochs, paired with the client's as :meth:`PairedRecording.from_raws` does.
    client : mne.io.BaseRaw, mne.BaseEpochs or None
        The client's, where ``pair`` is the therapist's.
    metrics : sequence of str, callable or MetricSpec, or None
        Names, functions ``f(a, b) -> (..., n_a, n_b)`` of analytic signals, or records of
        :class:`hyperscan.metrics.MetricSpec`; None = those of the configuration.
    bands : mapping of str to tuple of float, or None
        Edges in Hz; None = those of the configuration.
    config : StudyConfig or None
        Windows, ROIs and everything else; None = the defaults, and a window per epoch where Epochs are given.
    null : {None, 'lags', 'windows'}
        ``lags`` adds the whole-session statistic, its p-value under circular shifts, and those surrogates; with
        EEG only for the metrics that follow from averaged products (``MetricSpec.moment``), NaN for others.
        ``windows`` adds what every window reaches with the client's windows of other times, for the course over
        the session; it takes a session's work once per shift, and needs several windows (EEG).
    n_null : int or None
        Shifts; None = as configured for ``lags``, at most 40 for ``windows``.
    seed : int or None
        Seed of the null; None = as configured.

    Returns
    -------
    SynchronyResult

    Raises
    ------
    InputError
        If the pair is not prepared, a name is unknown or means two metrics, or a function of one's own
        returns something else than it should.
    QualityError
        If too few windows are clean in both people.

    Examples
    --------
    >>> import mne
    >>> from pathlib import Path
    >>> import hyperscan as hs
    >>> here, rng = Path("study"), np.random.default_rng(0)
    >>> row = hs.Session("D1", "T1", "C1", 1, "eeg", here / "t.edf", here / "c.edf", here, clock="same_amplifier")
    >>> info = mne.create_info(["Fz", "Pz", "O1", "O2"], 125.0, "eeg")
    >>> raws = [mne.io.RawArray(1e-5 * rng.normal(size=(4, 25000)), info, verbose="error") for _ in range(2)]
    >>> pair = hs.preprocess_pair(hs.align_pair(hs.PairedRecording(*raws, row)))
    >>> sync = compute_synchrony(pair, metrics=["plv"], bands={"alpha": (8, 12)}, null="lags", n_null=99)
    >>> sync
    <SynchronyResult | D1 1 eeg | metrics: plv | bands: alpha | 10 windows, 4 x 4 channels>
    >>> bool(sync.to_data_frame()["lag_p"].min() > 0.01)
    True
    """
    if null not in (None, "lags", "windows"):
        raise InputError(f"null = {null!r}: expected None, 'lags' or 'windows'. Pseudo-dyads need a study: run_study.")
    if n_null is not None and n_null < 1:
        raise InputError(f"n_null = {n_null}: expected 1 or more shifts, or None for the usual number.")
    # one name where several are expected would be taken letter by letter
    if isinstance(metrics, str):
        raise InputError(f"metrics = {metrics!r}: expected a list of names or functions, as [{metrics!r}].")
    if bands is not None and not isinstance(bands, Mapping):
        raise InputError(f"bands = {bands!r}: expected a mapping of names to edges in Hz, as {{'alpha': (8, 12)}}.")
    if not isinstance(pair, PairedRecording) or client is not None or pair.clock is None:
        pair, config = _prepared(pair, client, bands, config)
    config = config or StudyConfig()
    modality = pair.session.modality
    if bands is not None:
        # the primary outcome stays if its band is there; else its band is the first one given
        primary = config.primary_of(modality)
        if primary.band not in bands:
            primary = dataclasses.replace(primary, band=next(iter(bands), ""))
        config = dataclasses.replace(config, bands=dict(bands), primary=primary)
    recipe = recipe_of(config, modality)
    if metrics is not None:
        from hyperscan.metrics import get_metrics

        recipe = dataclasses.replace(recipe, metrics=get_metrics(metrics))
        for spec in recipe.metrics:
            check_bands(spec, recipe)
    a, b = (signals_of(pair, role, config) for role in ROLES)
    if recipe.set_metrics:
        recipe = dataclasses.replace(recipe, ranks=session_ranks([a, b]))
    windows = shared_windows(a, b, recipe)
    seed = config.seed if seed is None else seed
    result = session_result(a, b, recipe, windows, session_attrs(pair.session, a, windows, seed))
    if null is None:
        return result
    if null == "windows":
        return with_other_windows(result, a, b, recipe, windows, n_null)
    rng = np.random.default_rng(seed)
    tests = lag_tests(a, b, recipe, windows, n_null=config.n_null if n_null is None else n_null, rng=rng)
    return with_lag_tests(result, tests)


def _prepared(
    therapist: Any, client: Any, bands: Mapping[str, tuple[float, float]] | None, config: StudyConfig | None
) -> tuple[PairedRecording, StudyConfig]:
    """Pair, align and prepare two people in memory; epochs are a window each unless the settings say otherwise."""
    if any(isinstance(given, Sequence) and any(map(is_signal, given)) for given in (therapist, client)):
        raise InputError(
            "compute_synchrony takes one session: one Raw or Epochs of each person, as in compute_synchrony(raw_t, "
            "raw_c).\nGive several to run_study: {'D01': [(raw_t, raw_c), ...], ...}, or in a loop."
        )
    if isinstance(client, Sequence | str):
        raise InputError(f"client = {client!r}: expected a Raw or Epochs. Metrics go by name: metrics=['plv'].")
    alone = isinstance(therapist, PairedRecording)
    if alone != (client is None):
        needed = "the client too" if client is None else "two Raw, two Epochs, or one PairedRecording"
        raise InputError(f"compute_synchrony: expected {needed}, as in compute_synchrony(raw_therapist, raw_client).")
    pair = therapist if alone else pair_in_memory(therapist, client)
    if config is None:
        length = {"window_s": pair.segments[0].duration_s} if pair.epoched else {}
        config = StudyConfig(**length)  # type: ignore[arg-type]
    prepared = config if bands is None else dataclasses.replace(config, bands=dict(bands))
    return preprocess_pair(align_pair(pair), prepared), config
