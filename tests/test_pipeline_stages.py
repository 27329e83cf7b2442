"""Nothing stale is used, nothing is done twice, and a lost unit is left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hyperscan.pipeline.workers import Place, Task, run_tasks
from pipeline_fixtures import (
    run,
    tree,
)


def test_a_finished_run_is_not_computed_again(tiny: Path, my_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("hyperscan.pipeline.stages.prepare_unit", refuse)
    monkeypatch.setattr("hyperscan.pipeline.stages.compute_unit", refuse)
    before = tree(my_run)
    run(tiny, my_run)
    assert tree(my_run) == before


def test_a_changed_byte_of_an_input_is_found(my_study: Path, my_run: Path, tmp_path: Path) -> None:
    path = next(my_study.glob("dyad-01/ses-01/*therapist*.edf"))
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    before = tree(my_run)
    run(my_study, my_run)
    assert tree(my_run)["run.json"] != before["run.json"]
    run(my_study, tmp_path / "fresh")
    assert tree(my_run) == tree(tmp_path / "fresh")


def test_results_of_two_configurations_never_mix(my_study: Path, my_run: Path, tmp_path: Path) -> None:
    settings = my_study / "study.toml"
    settings.write_text(settings.read_text().replace("n_null = 20", "n_null = 21"))
    run(my_study, my_run)
    run(my_study, tmp_path / "fresh")
    assert tree(my_run) == tree(tmp_path / "fresh")


def test_what_left_the_table_leaves_the_output(my_study: Path, my_run: Path, tmp_path: Path) -> None:
    rows = (my_study / "dyads.tsv").read_text().splitlines()
    (my_study / "dyads.tsv").write_text("\n".join(row for row in rows if "D02" not in row) + "\n")
    run(my_study, my_run)
    run(my_study, tmp_path / "fresh")
    assert tree(my_run) == tree(tmp_path / "fresh")
    assert not (my_run / "dyad-D02").exists()


@pytest.mark.parametrize("name", ["synchrony.tsv", "unit.json", "eeg_synchrony.nc"])
def test_a_damaged_unit_is_made_again(tiny: Path, tiny_run: Path, my_run: Path, name: str) -> None:
    path = my_run / "dyad-D01/ses-01" / name
    path.write_bytes(path.read_bytes()[:-20])
    run(tiny, my_run)
    assert tree(my_run) == tree(tiny_run)


def test_a_version_makes_everything_new(tiny: Path, my_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.loads((my_run / "dyad-D01/ses-01/unit.json").read_text())["digest"]
    monkeypatch.setattr("hyperscan.__version__", "0.1.0.test")
    run(tiny, my_run)
    assert json.loads((my_run / "dyad-D01/ses-01/unit.json").read_text())["digest"] != before


def test_the_seed_changes_the_record(tiny: Path, my_run: Path) -> None:
    before = tree(my_run)
    run(tiny, my_run, seed=7)
    assert tree(my_run)["dyad-D01/ses-01/unit.json"] != before["dyad-D01/ses-01/unit.json"]


@pytest.mark.parametrize("stage", ["prepare_unit", "compute_unit"])
def test_a_unit_that_kills_its_worker_is_left_out(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def lose(tasks: list[Task], place: Place, label: str, **_: Any) -> list[str]:
        kept = [task for task in tasks if task.work.func.__name__ != stage or task.name != "dyad-D02/ses-01"]
        run_tasks(kept, place, label, progress=False)
        return [task.name for task in tasks if task not in kept]

    monkeypatch.setattr("hyperscan.pipeline.together.run_tasks", lose)
    result = run(tiny, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D02", 1)]
    assert "memory" in result.skipped[0].reason
    assert not (tmp_path / "out/dyad-D02/ses-01").exists()
    assert set(result.table["dyad"]) == {"D01", "D02"}


def theirs_in(folder: Path) -> dict[str, str]:
    """Put a user's own files and folders wherever a results folder has room, and hash them."""
    names = "dyad-notes.txt dyad-figures/ses-1/a.svg dyad-D02/ses-01/a.txt dyad-D02/mine/a.svg dyad-D02/ses-99/a.txt"
    for name in [*names.split(), "work/mine.txt", "logs/mine.txt", "figures/a.svg", "work/pairs/b.txt"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"of a user: {name}")
    return {name: made for name, made in tree(folder).items() if "of a user" in (folder / name).read_text("latin-1")}


@pytest.mark.parametrize("change", ["nothing", "a row less", "settings", "damaged record", "interrupted"])
def test_what_is_a_users_stays(my_study: Path, my_run: Path, tmp_path: Path, change: str) -> None:
    outside = tmp_path / "outside"
    (outside / "ses-01").mkdir(parents=True)
    shutil.copy(my_run / "dyad-D01/ses-01/unit.json", outside / "ses-01")
    (outside / "ses-01" / "eeg_synchrony.nc").write_text("another study's")
    (my_run / "dyad-X").symlink_to(outside)
    theirs = theirs_in(my_run) | {"dyad-X": "link"}
    there = tree(outside)
    if change == "a row less":
        rows = (my_study / "dyads.tsv").read_text().splitlines()
        (my_study / "dyads.tsv").write_text("\n".join(row for row in rows if "D02" not in row) + "\n")
    elif change == "damaged record":
        (my_run / "dyad-D02/ses-01/unit.json").write_text("{")
    elif change == "interrupted":
        (my_run / "dyad-D02/ses-01/unit.json").unlink()
        (my_run / "run.json").unlink()
    run(my_study, my_run, **({"seed": 7} if change == "settings" else {}))
    assert tree(outside) == there
    assert (my_run / "dyad-X").is_symlink()
    (my_run / "dyad-X").unlink()
    assert {name: made for name, made in tree(my_run).items() if name in theirs} | {"dyad-X": "link"} == theirs
    if change == "a row less":
        assert [name for name in tree(my_run) if name.startswith("dyad-D02") and name not in theirs] == []
