"""Simulated studies are written as their scenario says."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from hyperscan.errors import ConfigError, InputError, OutputError
from hyperscan.simulate import (
    EEG_SCENARIOS,
    FNIRS_SCENARIOS,
    EegTruth,
    FnirsTruth,
    Optodes,
    StudyDesign,
    simulate_study,
)

SAMPLES = Path(__file__).parents[1] / "sample_data"


def test_samples_are_what_the_simulator_makes(tmp_path: Path) -> None:
    made = simulate_study(tmp_path / "eeg_growth", "growth", modality="eeg", seed=1)
    theirs = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    assert theirs == sorted(
        path.relative_to(SAMPLES / "eeg_growth") for path in (SAMPLES / "eeg_growth").rglob("*") if path.is_file()
    )
    for path in theirs:
        assert (made / path).read_bytes() == (SAMPLES / "eeg_growth" / path).read_bytes(), path


@pytest.mark.parametrize("scenario", sorted(EEG_SCENARIOS))
def test_every_eeg_scenario_is_written(scenario: str, tmp_path: Path) -> None:
    study = simulate_study(tmp_path / "s", scenario, n_dyads=2, n_sessions=4, duration_s=4.0)
    table = pd.read_csv(study / "dyads.tsv", sep="\t")
    assert (table.groupby("dyad").size() >= 2).all()
    assert len(table) == 8 or scenario == "missing"
    truth = json.loads((study / "truth.json").read_text())["sessions"]
    assert [(t["dyad"], t["session"]) for t in truth] == list(zip(table["dyad"], table["session"], strict=True))
    lengths = [mne.io.read_raw_edf(study / f, verbose="error").times[-1] for f in table["client_file"]]
    expected = [4 * (1 + (s - 1) / 3) if scenario == "longer" else 4 for s in table["session"]]
    np.testing.assert_allclose(lengths, expected, atol=1.1)


@pytest.mark.parametrize("scenario", sorted(FNIRS_SCENARIOS))
def test_every_fnirs_scenario_is_written(scenario: str, tmp_path: Path) -> None:
    study = simulate_study(tmp_path / "s", scenario, modality="fnirs", n_dyads=1, n_sessions=3, duration_s=60.0)
    files = pd.read_csv(study / "dyads.tsv", sep="\t")["therapist_file"]
    assert all(np.isfinite(mne.io.read_raw_snirf(study / f, verbose="error").get_data()).all() for f in files)


def test_dyads_draw_their_own_lag_and_miss_their_own_sessions(tmp_path: Path) -> None:
    given = {"n_dyads": 12, "n_sessions": 4, "duration_s": 2.0}
    lags = json.loads((simulate_study(tmp_path / "l", "growth_random_lag", **given) / "truth.json").read_text())
    frame = pd.DataFrame(lags["sessions"])
    assert (frame.groupby("dyad")["lag_s"].nunique() == 1).all()
    assert frame["lag_s"].nunique() == 12
    assert frame["lag_s"].between(0, 0.1).all()
    missing = pd.read_csv(simulate_study(tmp_path / "m", "missing", **given) / "dyads.tsv", sep="\t")
    assert 24 <= len(missing) < 46
    assert missing["session"].nunique() == 4


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'growth'"):
        simulate_study(tmp_path / "a", "grwoth")
    with pytest.raises(InputError, match="modality"):
        simulate_study(tmp_path / "a", modality="meg")
    with pytest.raises(OutputError, match="exists already"):
        simulate_study(tmp_path)


IMPOSSIBLE = {
    "n_dyads": (0, -1, 1.5), "n_sessions": (0,), "duration_s": (0, -3, 10.5, np.inf), "sfreq": (0, 20, np.nan),
    "ch_names": ((), ("Cz", "XX"), ("Cz", "Cz")), "lag_s": (100.0, np.nan), "config": ({"window_s": -1}, {"bands": {}}),
    "seed": (-1, 0.5), "n_dyad": (3,),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in IMPOSSIBLE.items() for value in values])
def test_what_no_study_can_have_is_refused_by_name(name: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"window_s = -1" if value == {"window_s": -1} else name) as refused:
        simulate_study(tmp_path / "a", **{"n_dyads": 1, "n_sessions": 1, "duration_s": 10, name: value})
    assert isinstance(refused.value, InputError | ConfigError)
    assert not list(tmp_path.iterdir())


def test_every_field_of_a_design_is_checked() -> None:
    # modality and optodes have tests of their own
    assert {f.name for f in fields(StudyDesign)} <= {*IMPOSSIBLE, "modality", "optodes"}


@pytest.mark.parametrize("truth", [EegTruth, FnirsTruth])
def test_every_number_of_a_truth_is_checked(truth: type[EegTruth | FnirsTruth]) -> None:
    for f in fields(truth):
        if isinstance(f.default, str):
            continue
        for wrong in (np.nan, -1.0, 2.0):
            value = (wrong, 1.0) if isinstance(f.default, tuple) else wrong
            allowed = f.name in ("lag_s", "exponent", "clock_ppm", "curvature") or wrong == 2.0
            if np.isfinite(wrong) and allowed and f.name not in ("coupled_fraction", "common_systemic"):
                truth(**{f.name: value})
                continue
            with pytest.raises(InputError, match=f.name):
                truth(**{f.name: value})


def test_a_misspelt_artefact_is_no_other_one() -> None:
    with pytest.raises(InputError, match="Did you mean 'topography'"):
        EegTruth(artefact="topografy")


@pytest.mark.parametrize("probe", [(0, 0), (2, 3), (2, -1)])
def test_a_short_channel_needs_a_source(probe: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="n_short"):
        Optodes(*probe)
