"""What the package offers at its top, and how little it costs to import."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import hyperscan
import hyperscan.errors

NAMES = [
    "align_pair",
    "compute_synchrony",
    "fit_growth",
    "fit_multiverse",
    "load_session",
    "metrics",
    "nulls",
    "plan_power",
    "preprocess_pair",
    "read_sessions",
    "read_synchrony",
    "run_multiverse",
    "run_study",
    "simulate_study",
    "StudyConfig",
    "Session",
    "PairedRecording",
    "SynchronyResult",
    "StudyResult",
    "GrowthResult",
    "MultiverseResult",
]


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_there_and_documented(name: str) -> None:
    assert name in hyperscan.__all__
    assert getattr(hyperscan, name).__doc__.strip()


#: Rooms whose functions a user calls; the top's records are shown at work as well.
ROOMS = ("hyperscan", "hyperscan.metrics", "hyperscan.nulls", "hyperscan.plots", "hyperscan.growth")
DOORS = ["hyperscan.pipeline.check_study", "hyperscan.pipeline.load_study", "hyperscan.pipeline.prepare_study"]


def _called_by_users() -> list[str]:
    names = []
    for room in ROOMS:
        module = importlib.import_module(room)
        found = {name: getattr(module, name) for name in module.__all__}
        names += [
            f"{room}.{name}"
            for name, value in found.items()
            if inspect.isfunction(value) or (inspect.isclass(value) and room == "hyperscan")
        ]
    return names


@pytest.mark.parametrize("name", [*_called_by_users(), *DOORS])
def test_every_public_function_shows_an_example_that_runs(name: str) -> None:
    room, _, last = name.rpartition(".")
    told = inspect.getdoc(getattr(importlib.import_module(room), last)) or ""
    _, heading, example = told.partition("Examples\n--------\n")
    assert heading, f"{name} has no section Examples"
    assert ">>> " in example
    assert "+SKIP" not in example


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
        ("from hyperscan.pipeline import growth_of", {"mne", "joblib", "scipy.stats", "matplotlib"}),
        ("from hyperscan.cli.parsers import parser_of_all; parser_of_all().format_help()", {"mne", "numpy", "pandas"}),
    ],
)
def test_import_brings_no_more_than_it_needs(statement: str, absent: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PATHSPEC = "import pathspec; print(pathspec.GitIgnoreSpec.from_lines(['*.fif']).match_file('a/b.fif'))"


def test_who_looks_for_the_regex_engine_of_our_name_is_told_that_it_is_not_there(tmp_path: Path) -> None:
    module = tmp_path / "pathspec" / "_backends" / "hyperscan.py"
    module.parent.mkdir(parents=True)
    for package in (module.parent.parent, module.parent):
        (package / "__init__.py").touch()
    module.write_text("try:\n    import hyperscan\nexcept ModuleNotFoundError as e:\n    error = e\n")
    code = "from pathspec._backends.hyperscan import error; import hyperscan; print(error.name, hyperscan.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"hyperscan {hyperscan.__version__}\n"


@pytest.mark.slow
def test_tools_built_on_pathspec_work_in_an_environment_with_ours(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / "bin"
    install = [programs / "python", "-m", "pip", "install", "-q", "-c", root / "requirements.lock"]
    for what in (["pathspec>=1", "mypy", "mkdocs"], ["--no-deps", root]):
        done = subprocess.run([*install, *what], capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.skip(f"pip cannot install here: {done.stderr.strip().splitlines()[-1]}")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Start\n")
    (tmp_path / "docs" / "left_out.md").write_text("# Left out\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: study\nexclude_docs: left_*.md\n")
    (tmp_path / "study.py").write_text("n: int = 1\n")

    def said(*command: object) -> str:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said(programs / "python", "-c", PATHSPEC) == "True\n"
    assert said(programs / "python", "-c", "import pathspec, hyperscan; print(hyperscan.StudyConfig().seed)") == "0\n"
    assert "no issues found" in said(programs / "mypy", "study.py")
    said(programs / "mkdocs", "build", "-q", "-d", tmp_path / "site")
    assert (tmp_path / "site" / "index.html").exists()
    assert not (tmp_path / "site" / "left_out").exists()


def _session(**changes: object) -> hyperscan.Session:
    root = Path("/home/someone/study")
    return hyperscan.Session("D1", "T1", "C1", 2, "eeg", root / "t.edf", root / "c.edf", root, **changes)


def _pair(session: hyperscan.Session) -> hyperscan.PairedRecording:
    import mne
    import numpy as np

    info = mne.create_info(["Fz", "Pz", "O1", "O2"], 125.0, "eeg")
    rng = np.random.default_rng(0)
    raws = [mne.io.RawArray(1e-5 * rng.normal(size=(4, 9000)), info, verbose="error") for _ in range(2)]
    return hyperscan.PairedRecording(*raws, session)


def test_records_say_what_they_are_in_one_short_line_without_paths() -> None:
    pair = _pair(_session(clock="same_amplifier"))
    assert repr(pair.session) == "<Session | D1 ses-02 eeg | T1, C1 | t.edf, c.edf>"
    assert repr(pair) == (
        "<PairedRecording | D1 ses-02 eeg | therapist 4 channels 125 Hz 72.0 s, client 4 channels 125 Hz 72.0 s"
        " | not aligned | not prepared>"
    )
    assert "quality good/good" in repr(hyperscan.preprocess_pair(hyperscan.align_pair(pair)))


def test_a_growth_result_says_its_verdict_in_one_line() -> None:
    import pandas as pd

    rows = [(dyad, session, 0.1 * session + 0.01 * dyad * session) for dyad in range(8) for session in (1, 2, 3, 4)]
    growth = hyperscan.fit_growth(pd.DataFrame(rows, columns=["dyad", "session", "wai"]), value="wai")
    assert repr(growth).startswith("<GrowthResult | grows_unchecked | wai | slope +0.135, p < .001 | 8 dyads")
    assert repr(growth).endswith(" | 8 dyads, 32 sessions>")


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [({"metrics": "plv"}, r"as \['plv'\]"), ({"bands": ["alpha"]}, "'alpha': \\(8, 12\\)")],
)
def test_one_name_is_not_taken_letter_by_letter(arguments: dict[str, object], fact: str) -> None:
    with pytest.raises(hyperscan.errors.InputError, match=fact):
        hyperscan.compute_synchrony(_pair(_session()), **arguments)
