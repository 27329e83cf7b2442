"""Comparisons in whole runs: one that lost a side is told of, and ends no run."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from hyperscan import StudyConfig, StudyResult, cli
from hyperscan.pipeline.fits import growth_of, unprepared
from hyperscan.schema import ROLES
from hyperscan.simulate import simulate_study
from hyperscan.storage import to_json
from pipeline_fixtures import CHEAP, run, tree
from stale_fixtures import read_rows, write_table

pytestmark = pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")  # three dyads are few

#: What is asked: a contrast of two tasks, and three groups of dyads.
ASKED = (
    CHEAP
    + """
[contrasts.talk_minus_rest]
talk = 1
rest = -1
"""
)
GROUPS = {"D01": "1", "D02": "2", "D03": "3"}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dyads, each a group, in two sessions with two tasks."""
    top = tmp_path_factory.mktemp("compared")
    study = simulate_study(top / "study", "none", n_dyads=3, n_sessions=2, duration_s=40)
    simulate_study(study / "rest", "none", n_dyads=3, n_sessions=2, duration_s=40, seed=1)
    rows = [row | {"task": "talk"} for row in read_rows(study)]
    for row in read_rows(study / "rest"):
        rows.append(row | {"task": "rest"} | {f"{role}_file": f"rest/{row[f'{role}_file']}" for role in ROLES})
    write_table(study, [row | {"branch": GROUPS[row["dyad"]]} for row in rows])
    settings = ASKED.replace("window_s", 'group = "branch"\nreference = "1"\npseudo_within_group = false\nwindow_s')
    (study / "study.toml").write_text(settings)
    return study


@pytest.fixture(scope="module")
def whole(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run of it."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert not run(compared, out).skipped
    return out


def damage(study: Path, **lost: str) -> None:
    """Make the recordings of some rows unreadable."""
    for row in read_rows(study):
        if all(row[column] == value for column, value in lost.items()):
            (study / row["client_file"]).write_bytes(b"damaged")


def test_a_run_tells_all_comparisons(whole: Path) -> None:
    study = StudyResult.load(whole)
    asked = {(one.name, one.question) for one in growth_of(whole).differences}
    assert asked == {
        ("talk_minus_rest", "level"),
        ("talk_minus_rest", "growth"),
        ("2 - 1", "group"),
        ("3 - 1", "group"),
    }
    assert "comparison" not in {found.kind for found in study.plan.findings}
    written = json.loads((whole / "growth.json").read_text())
    assert json.loads(to_json(growth_of(whole).to_dict())) == written


@pytest.mark.parametrize(
    ("lost", "left", "told"),
    [
        ({"task": "rest"}, {"2 - 1", "3 - 1"}, "no session of task 'rest' can be used, so the contrast is not told"),
        ({"branch": "1"}, {"talk_minus_rest"}, "no session of '1' can be used, so groups are not compared"),
        ({"branch": "3"}, {"talk_minus_rest", "2 - 1"}, "no session of '3' can be used, so the others are compared"),
    ],
)
def test_a_comparison_that_lost_a_side_is_told_of_and_ends_no_run(
    compared: Path, tmp_path: Path, lost: dict[str, str], left: set[str], told: str
) -> None:
    study = Path(shutil.copytree(compared, tmp_path / "study"))
    run(study, tmp_path / "out")
    damage(study, **lost)
    assert cli.main(["run", str(study), "-o", str(tmp_path / "out"), "-q"]) == 3
    result = StudyResult.load(tmp_path / "out")
    assert {one.name for one in growth_of(tmp_path / "out").differences} == left
    (found,) = [found for found in result.plan.findings if found.kind == "comparison"]
    assert told in found.message
    assert told in (tmp_path / "out" / "report.html").read_text().replace("&#x27;", "'").replace("&#39;", "'")
    run(study, tmp_path / "fresh", report=True)
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--group", "branc", "--reference", "1"], "no column 'branc'"),
        (["--group", "branch", "--reference", "9"], "reference = '9'"),
        (["--contrasts", "talk_minus_rest=talk:1,resst:-1"], "resst"),
    ],
)
def test_a_comparison_that_is_asked_for_in_the_wrong_words_is_an_error(
    whole: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert cli.main(["growth", str(whole), *options]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "asked", "told"),
    [
        ("", {"group": "branch", "reference": "1"}, ["group = 'branch': this run did not re-pair people inside"]),
        ('group = "other"\nreference = "1"', {"group": "branch", "reference": "1"}, ["group = 'branch'"]),
        ('group = "branch"\nreference = "2"', {"group": "branch", "reference": "1"}, []),
        ("pseudo_within_group = false", {"group": "branch", "reference": "1"}, []),
        ("", {"contrasts": {"x": {"talk": 1, "rest": -1}}}, ["contrasts.x: this run did not decide for 'talk' and"]),
        ("[contrasts.y]\nrest = 1\ntalk = -1", {"contrasts": {"x": {"talk": 1, "rest": -1}}}, []),
        ("[contrasts.y]\nrest = 1\nplay = -1", {"contrasts": {"x": {"talk": 1, "rest": -1}}}, ["contrasts.x"]),
        ("", {"moderators": ("age",)}, []),
        ("", {}, []),
    ],
)
def test_what_a_run_did_not_do_for_a_later_comparison_is_said(
    tmp_path: Path, settings: str, asked: dict[str, Any], told: list[str]
) -> None:
    """The page on comparisons promises chance inside groups, and the same channels and windows for both tasks."""
    (tmp_path / "study.toml").write_text(settings)
    found = list(unprepared(StudyConfig.from_toml(tmp_path / "study.toml"), **asked))
    assert len(found) == len(told)
    assert all(start in text and "run again" in text for start, text in zip(told, found, strict=True))


def test_a_comparison_that_is_asked_for_later_warns_at_the_terminal(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    words = ["growth", str(out), "--group", "branch", "--reference", "1"]
    warnings.simplefilter("always")  # put back by pytest
    assert cli.main(words) == 0
    assert "did not re-pair" not in caplog.text
    text = (out / "config.toml").read_text().replace('group = "branch"', 'group = ""').replace('= "1"', '= ""')
    (out / "config.toml").write_text(text.replace("pseudo_within_group = false", "pseudo_within_group = true"))
    assert cli.main(words) == 0
    assert "did not re-pair people inside these groups" in caplog.text
