"""What the package offers at its top, and how little it costs to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hyperscan

NAMES = [
    "align_pair",
    "compute_synchrony",
    "fit_growth",
    "load_session",
    "metrics",
    "nulls",
    "plan_power",
    "preprocess_pair",
    "read_sessions",
    "read_synchrony",
    "run_study",
    "simulate_study",
    "StudyConfig",
    "Session",
    "PairedRecording",
    "SynchronyResult",
    "StudyResult",
    "GrowthResult",
]


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_there_and_documented(name: str) -> None:
    assert name in hyperscan.__all__
    assert getattr(hyperscan, name).__doc__.strip()


def test_public_names_are_complete_and_sorted() -> None:
    assert set(hyperscan.__all__) == {*NAMES, "__version__"}
    assert hyperscan.__all__ == sorted(hyperscan.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plot_everything'"):
        _ = hyperscan.plot_everything


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import hyperscan", {"mne", "numpy", "pandas", "scipy", "matplotlib"}),
        ("from hyperscan.metrics import plv", {"mne", "pandas", "xarray", "matplotlib", "mne_connectivity"}),
        ("import hyperscan.nulls", {"mne", "pandas", "xarray", "matplotlib"}),
        ("import hyperscan.cli; hyperscan.cli._parser().format_help()", {"mne", "numpy", "pandas"}),
    ],
)
def test_import_brings_no_more_than_it_needs(statement: str, absent: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
