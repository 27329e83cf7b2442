"""A study of two modalities, another value of everything that enters its results, and what tests of reruns share."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hyperscan
import recording_fixtures as make
from hyperscan.config import Primary, StudyConfig
from hyperscan.schema import ROLES
from hyperscan.simulate import simulate_study
from made_once import made_once
from pipeline_fixtures import run, tree

#: As cheap as two modalities can be; path lengths by age, so that two covariates enter preparation.
SETTINGS = StudyConfig(
    window_s=4.0,
    n_null=19,
    min_windows=2,
    min_seconds=60.0,
    fnirs_ppf="age",
    metrics={"eeg": ["plv"], "fnirs": ["corr"]},
    bands={"alpha": (8, 12), "slow": (0.02, 0.1)},
    group="branch",
    reference="A",
    pseudo_within_group=False,
)

#: Another value of every setting.
OTHER = {
    "primary": Primary("plv", "alpha", "all-all"),
    "metrics": {"eeg": ["ciplv"], "fnirs": ["corr"]},
    "bands": {"alpha": (8, 13), "slow": (0.02, 0.1)},
    "bands_therapist": {"alpha": (7, 12)},
    "bands_client": {"alpha": (7, 12)},
    "max_lag_s": {"eeg": 0.5, "fnirs": 20.0},
    "rois": {"mine": ["O1", "O2", "S1_D1"]},
    "roi_pairs": ["all-all"],
    "within": "power/alpha/all",
    "within_equivalence_slope": 0.5,
    "within_metrics": {"eeg": ["imcoh"], "fnirs": ["wtc"]},
    "networks": {"mine": ["posterior", "frontal"]},
    "fnirs_tasks": ["talk"],
    "window_s": 5.0,
    "min_windows": 3,
    "min_seconds": 50.0,
    "eeg_filter_hz": (2.0, 40.0),
    "eeg_line_hz": 50.0,
    "eeg_reference": "average",
    "eeg_max_sfreq": 100.0,
    "eeg_interpolate": True,
    "eeg_ica": "ocular",
    "fnirs_filter_hz": (0.01, 0.4),
    "fnirs_sfreq": 1.5,
    "fnirs_min_sci": 0.5,
    "fnirs_tddr": False,
    "fnirs_short_mm": 9.0,
    "fnirs_short_regression": False,
    "fnirs_regress_events": False,
    "fnirs_ppf": 5.0,
    "clock_uncertainty_ms": 5.0,
    "max_partners": 1,
    "min_pseudo": 1,
    "n_null": 20,
    "seed": 1,
    "time": "weeks",
    "equivalence_slope": 0.5,
    "outcomes": ["bdi"],
    "group": "place",
    "reference": "B",
    "moderators": ["severity"],
    "pseudo_within_group": True,
    "contrasts": {"talk_minus_rest": {"talk": 1, "rest": -1}},
    "multiverse": {"seed": [0, 1]},
}

#: A change of every column of the table: what to write instead of what, in the rows of the first dyad.
COLUMNS = {
    "dyad": ("D01\t", "D09\t"),
    "therapist": ("\tT01\t", "\tT09\t"),
    "client": ("\tC01\t", "\tC09\t"),
    "session": ("\tC01\t1\t", "\tC01\t2\t"),
    "modality": ("\teeg\tdyad-01/ses-01/therapist", "\tfnirs\tdyad-01/ses-01/therapist"),
    "therapist_file": ("dyad-01/ses-01/therapist.edf", "dyad-01/ses-01/spare.edf"),
    "client_file": ("dyad-01/ses-01/client.edf", "dyad-01/ses-01/spare.edf"),
    "days": ("\t1\t0\t", "\t1\t7\t"),
}

#: Value of an optional column, another one, and what must be there beside it.
FURTHER = {
    "date": ("2026-03-01", "2026-03-02", {}),
    "task": ("rest", "talk", {}),
    "run": ("1", "2", {}),
    "start_s": ("0", "6", {}),
    "stop_s": ("30", "20", {}),
    "segment_event": ("n/a", "talk", {}),
    "therapist_channels": ("1-8", "1-6", {}),
    "client_channels": ("1-8", "1-6", {}),
    "clock": ("same_amplifier", "assumed", {}),
    "therapist_offset_s": ("0", "3", {"clock": "offset", "client_offset_s": "0"}),
    "client_offset_s": ("0", "3", {"clock": "offset", "therapist_offset_s": "0"}),
    "sync_event": ("pulse", "flash", {}),
    "shared_file": ("n/a", "shared.csv", {}),
    "include": ("yes", "no", {}),
    "bdi": ("10", "30", {}),
    "arm": ("CBT", "EFT", {}),
    "therapist_age": ("40", "60", {}),
    "client_age": ("30", "50", {}),
}


def write_table(study: Path, rows: list[dict[str, str]]) -> None:
    """Write rows of text as ``dyads.tsv``."""
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    (study / "dyads.tsv").write_text("\n".join(lines) + "\n")


def read_rows(study: Path) -> list[dict[str, str]]:
    """Read ``dyads.tsv`` as text."""
    head, *rows = [line.split("\t") for line in (study / "dyads.tsv").read_text().splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="session")
def two_modalities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dyads in one session, each with EEG and fNIRS."""
    return made_once(tmp_path_factory, "two_modalities/study", _write_two_modalities)


def _write_two_modalities(folder: Path) -> None:
    study = simulate_study(folder, "none", n_dyads=2, n_sessions=1, duration_s=32)
    light = simulate_study(folder.with_name("light"), "none", modality="fnirs", n_dyads=2, n_sessions=1, duration_s=100)
    shutil.copytree(light, study / "light", ignore=shutil.ignore_patterns("*.toml", "*.tsv", "*.json"))
    rows = read_rows(study)
    for row in read_rows(light):
        rows.append(row | {f"{role}_file": f"light/{row[f'{role}_file']}" for role in ROLES})
    ages = {"therapist_age": "40", "client_age": "30"}
    facts = [
        # tests leave out the first dyad, and the reference has to stay
        {"branch": "B", "place": "A", "severity": "1"},
        {"branch": "A", "place": "B", "severity": "2"},
    ]
    write_table(study, [row | ages | {"bdi": str(10 + number)} | facts[number % 2] for number, row in enumerate(rows)])
    make.write_edf(study / "dyad-01/ses-01/spare.edf", 5)
    np.savetxt(study / "shared.csv", np.random.default_rng(0).normal(size=10_000))
    (study / "shared.json").write_text('{"SamplingFrequency": 100, "StartTime": 0}')
    (study / "study.toml").write_text(SETTINGS.to_toml())


@pytest.fixture(scope="session")
def done(two_modalities: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Output of a run of its rows of one modality, or of all where none is named."""

    def done_of(modality: str) -> Path:
        def make(out: Path) -> None:
            study = Path(shutil.copytree(two_modalities, out.with_name("study")))
            keep_modality(study, modality)
            assert not run(study, out).skipped

        return made_once(tmp_path_factory, f"done_{modality or 'both'}/out", make)

    return done_of


@pytest.fixture
def mine(two_modalities: Path, tmp_path: Path) -> Path:
    """Return a copy of the study that a test may change."""
    return Path(shutil.copytree(two_modalities, tmp_path / "study"))


def keep_modality(study: Path, modality: str) -> None:
    """Leave the rows of one modality in the table, which take half the time; all where none is named."""
    write_table(study, [row for row in read_rows(study) if row["modality"] == (modality or row["modality"])])


def assert_as_fresh(study: Path, out: Path, fresh: Path) -> None:
    """Assert that a run in place leaves what one in a new folder leaves, and that something changed."""
    before = tree(out)
    run(study, out)
    run(study, fresh)
    assert tree(out) == tree(fresh)
    assert tree(out) != before


def change_version(patch: pytest.MonkeyPatch, name: str) -> None:
    """Pretend that another version of something is installed."""
    real = importlib.metadata.version
    if name == "hyperscan":
        patch.setattr(hyperscan, "__version__", "0.0.0")
    elif name == "code":
        patch.setattr("hyperscan.pipeline.unit.code_digest", lambda: "other")
    elif name == "python":
        patch.setattr(platform, "python_version", lambda: "2.7.18")
    else:
        patch.setattr(importlib.metadata, "version", lambda asked: "0.0.0" if asked == name else real(asked))
