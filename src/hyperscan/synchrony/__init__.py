"""Prepared recordings in, labelled synchrony out: the only translator between raws and metrics.

One path serves real pairs and pseudo-pairs alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError
from hyperscan.recording import PairedRecording, align_pair, preprocess_pair
from hyperscan.recording.memory import is_signal, pair_in_memory
from hyperscan.results import SynchronyResult
from hyperscan.schema import ROLES
from hyperscan.synchrony.chance import (
    BYTES_PER_SAMPLE,
    OwnChance,
    PairValues,
    chance_values,
    own_chance,
    with_other_windows,
)
from hyperscan.synchrony.guard_measures import GuardRow, GuardValues, guard_row, guard_values
from hyperscan.synchrony.lag_null import LagTest, lag_tests
from hyperscan.synchrony.pair import shared_windows
from hyperscan.synchrony.person import Signals, WithinValue, session_ranks, signals_of
from hyperscan.synchrony.recipe import Recipe, check_bands, recipe_of
from hyperscan.synchrony.session import roi_table, session_attrs, session_result, with_lag_tests
from hyperscan.synchrony.values import SessionValues, outcome_values, session_values
from hyperscan.synchrony.within import within_values

if TYPE_CHECKING:
    from hyperscan.metrics import MetricSpec

__all__ = [
    "BYTES_PER_SAMPLE",
    "GuardRow",
    "GuardValues",
    "LagTest",
    "OwnChance",
    "PairValues",
    "Recipe",
    "SessionValues",
    "Signals",
    "WithinValue",
    "chance_values",
    "compute_synchrony",
    "guard_row",
    "guard_values",
    "lag_tests",
    "outcome_values",
    "own_chance",
    "recipe_of",
    "roi_table",
    "session_attrs",
    "session_ranks",
    "session_result",
    "session_values",
    "shared_windows",
    "signals_of",
    "with_lag_tests",
    "within_values",
]


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
