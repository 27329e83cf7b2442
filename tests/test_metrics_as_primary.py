"""Every metric of the table as the primary outcome of a small study, or refused before any work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hyperscan.config import Primary, StudyConfig
from hyperscan.errors import ConfigError
from hyperscan.metrics import METRICS, MetricSpec, get_metric
from hyperscan.pipeline import check_study
from hyperscan.recording import preprocess_pair
from hyperscan.results.plan import Plan
from hyperscan.schema import GUARD_COLUMNS, MODALITIES, Cell
from hyperscan.storage import load_table
from hyperscan.synchrony import (
    Signals,
    chance_values,
    guard_row,
    guard_values,
    lag_tests,
    recipe_of,
    session_attrs,
    session_ranks,
    session_result,
    shared_windows,
    with_lag_tests,
)
from pipeline_fixtures import run, tiny_study
from synchrony_fixtures import both, eeg_pair, fnirs_pair

CH_NAMES = ("Fz", "F3", "F4", "Pz", "O1", "O2")
CONFIG = {
    "eeg": StudyConfig(bands={"alpha": (8, 12)}, metrics={"eeg": ["plv"]}, window_s=10.0, roi_pairs=["all-all"]),
    "fnirs": StudyConfig(metrics={"fnirs": ["corr"]}, roi_pairs=["all-all"]),
}
PRIMARY = {"eeg": Primary("", "alpha", "posterior-posterior"), "fnirs": Primary("", "slow", "all-all")}
SESSION = eeg_pair(CH_NAMES, 5.0).session
NAMES = [*METRICS, "mne:coh", "mne:psi"]

Dyads = list[tuple[Signals, Signals]]


def config_of(modality: str, metric: str) -> StudyConfig:
    return dataclasses.replace(CONFIG[modality], primary=dataclasses.replace(PRIMARY[modality], metric=metric))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Dyads]]:
    """Two dyads in two sessions of EEG, and in one of fNIRS: sessions of dyads, by modality."""
    config, folder = CONFIG["eeg"], tmp_path_factory.mktemp("fnirs")
    truth = {"coupled_fraction": 0.7, "lag_s": 0.025, "rhythm_gain": (0.8, 0.7)}
    return {
        "eeg": [
            [
                both(preprocess_pair(eeg_pair(CH_NAMES, 41.0, dyad, session=session, **truth), config), config)
                for dyad in (0, 1)
            ]
            for session in (1, 2)
        ],
        "fnirs": [[both(fnirs_pair(folder, CONFIG["fnirs"], 200.0, dyad), CONFIG["fnirs"]) for dyad in (3, 4)]],
    }


def applies(spec: MetricSpec, config: StudyConfig, modality: str) -> bool:
    shortest = config.window_s if modality == "eeg" else config.min_seconds
    edges = config.bands_of(modality)[PRIMARY[modality].band]
    long = spec.shortest_s(edges) if spec.shortest_s else config.max_lag_s[modality] * ("max_lag_s" in spec.params)
    return modality in spec.modalities and long <= shortest and spec.cycles in (None, (1, 1))


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", NAMES)
def test_any_metric_may_be_primary_or_is_refused_before_work(study, name: str, modality: str) -> None:
    config, spec = config_of(modality, name), get_metric(name)
    if not applies(spec, config, modality):
        with pytest.raises(ConfigError, match=rf"metrics?: '{name}' (does not apply to|needs \d+ s in band|compares)"):
            recipe_of(config, modality)
        return
    recipe = recipe_of(config, modality)
    cell, rois = Cell(recipe.signals[0], name, recipe.primary.band), recipe.primary.rois
    for dyads in study[modality]:
        if modality == "eeg":
            lowest = {p.person: 0.9 * float(np.mean(p.s2_line[list(p.rois["posterior"])])) for d in dyads for p in d}
            recipe = dataclasses.replace(recipe, control=("F3", "F4"), matched_s2=lowest)
        recipe = dataclasses.replace(recipe, ranks=session_ranks([person for pair in dyads for person in pair]))
        therapists, clients = ({a.key.dyad: a for a, _ in dyads}, {b.key.dyad: b for _, b in dyads})
        first, second = therapists
        lent = chance_values(therapists, clients, [(first, second), (second, first)], recipe)
        assert len(lent) == 2
        for a, b in dyads:
            windows = shared_windows(a, b, recipe)
            label = session_attrs(SESSION, a, windows, 0)
            pairs = recipe.pairs_of(a.rois, b.rois)
            tests = lag_tests(a, b, recipe, windows, n_null=20, rng=np.random.default_rng(0))
            result = with_lag_tests(session_result(a, b, recipe, windows, label), tests)
            data = result.dataset.sel(**cell._asdict(), roi_pair=str(rois))
            assert np.isfinite(data["roi_z"]).all()
            for values in lent.values():
                assert np.isfinite(values.table[cell][values.roi_pairs.index(rois)])
            if spec.moment is not None or spec.sets is not None or (spec.domain, modality) == ("wavelet", "fnirs"):
                assert np.isfinite(tests[cell].estimate[pairs.index(rois)])
            real = guard_values(a, b, recipe, windows)
            if modality == "fnirs":
                assert real is None
                continue
            row = guard_row(a, b, recipe, windows, real, [values.guards for values in lent.values()])
            assert [column for column in GUARD_COLUMNS if not np.isfinite(getattr(row, column))] == []


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_study(tmp_path_factory.mktemp("tiny") / "study")


@pytest.mark.parametrize(
    ("metric", "window_s", "said"),
    [
        ("ar_corr", 10, "'ar_corr' does not apply to eeg: it compares equal samples"),
        ("mne:coh", 5, r"'mne:coh' needs 6 s in band 'alpha', and window_s = 5\. Raise window_s"),
        ("mic", 2, r"'mic' needs 2\.5 s in band 'alpha', and window_s = 2\. Raise window_s"),
        ("xcorr", 1, r"'xcorr' needs more than max_lag_s\.eeg = 1 s, and window_s = 1\. Raise window_s"),
    ],
)
def test_what_does_not_apply_is_refused_by_check(
    tiny: Path, tmp_path: Path, metric: str, window_s: int, said: str
) -> None:
    for key, text in [
        ("primary.metric", f'primary = {{metric = "{metric}", band = "alpha", roi = "all-all"}}'),
        ("metrics.eeg", f'metrics = {{eeg = ["{metric}"]}}'),
    ]:
        (settings := tmp_path / "study.toml").write_text(
            f"window_s = {window_s}\nbands = {{alpha = [8, 12]}}\n{text}\n"
        )
        with pytest.raises(ConfigError, match=f"{key}: {said}"):
            check_study(tiny, config=settings)


@pytest.mark.parametrize("metric", ["corr", "mic"])
def test_a_run_with_another_primary_metric_ends_with_values_and_guards(tiny: Path, tmp_path: Path, metric: str) -> None:
    run(tiny, tmp_path / "out", primary=dataclasses.replace(PRIMARY["eeg"], metric=metric))
    synchrony, guards = (load_table(tmp_path / "out" / f"{name}.tsv") for name in ("synchrony", "guards"))
    rows = synchrony[(synchrony["metric"] == metric) & (synchrony["roi_therapist"] == "posterior")]
    assert len(rows) == len(guards) == 4
    assert np.isfinite(rows[["z", "excess_z", "own_excess_z", "lag_estimate"]].to_numpy(float)).all()
    assert set(guards["metric"]) == {metric}
    assert np.isfinite(guards[list(GUARD_COLUMNS)].to_numpy(float)).all()
    # one number of components for every session and everyone, where a metric goes by it
    (group,) = Plan.load(tmp_path / "out" / "plan.json").groups
    assert bool(group.ranks) == (metric == "mic")
