"""Where a run may write, and how its folder describes itself."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import hyperscan
from hyperscan.errors import (
    OutputError,
)
from hyperscan.pipeline.output import RunLog, describe_output, quality_rows, remove_work, status_rows
from hyperscan.pipeline.summary import Attempt, Summary
from hyperscan.report import build_view
from hyperscan.results.plan import Skip
from hyperscan.schema import ROLES, TABLES, SessionKey
from hyperscan.storage import load_table
from pipeline_fixtures import (
    run,
    tree,
)


@pytest.mark.parametrize("where", [".", "..", "results", "dyad-01", "derivatives/../new"])
def test_output_in_or_around_the_study_is_refused(my_study: Path, where: str) -> None:
    with pytest.raises(OutputError, match="would lie in the study"):
        run(my_study, my_study / where)


def test_output_under_derivatives_is_fine_and_links_are_followed(
    my_study: Path, tiny_run: Path, tmp_path: Path
) -> None:
    run(my_study, my_study / "derivatives" / "hyperscan")
    assert tree(my_study / "derivatives" / "hyperscan") == tree(tiny_run)
    (tmp_path / "link").symlink_to(my_study)
    with pytest.raises(OutputError, match="would lie in the study"):
        run(my_study, tmp_path / "link" / "x")


def test_a_folder_of_others_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match="no folder of a run"):
        run(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(OutputError, match="is a file"):
        run(tiny, tmp_path / "holiday.jpg")
    (tmp_path / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(OutputError, match="no folder of a run"):
        run(tiny, tmp_path)


def test_the_output_describes_itself_as_a_bids_derivative(tmp_path: Path) -> None:
    # what BIDS 1.10 requires of a derivative (dataset description), and that its own file is in force
    describe_output(tmp_path)
    told = json.loads((tmp_path / "dataset_description.json").read_text())
    assert told["Name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["BIDSVersion"])
    assert told["DatasetType"] == "derivative"
    assert [told["GeneratedBy"][0][key] for key in ("Name", "Version")] == ["hyperscan-mne", hyperscan.__version__]
    assert all(entry["Name"] and entry["Version"] for entry in told["GeneratedBy"])
    ignored = (tmp_path / ".bidsignore").read_text().split()
    assert {"dyad-*", "*.html", "*.tsv"} <= set(ignored)
    assert (tmp_path / "README").stat().st_size > 150  # BIDS asks for a description, not a title


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_every_table_is_described(tiny_run: Path, table: str) -> None:
    described = json.loads((tiny_run / f"{table}.json").read_text())
    assert list(described) == list(load_table(tiny_run / f"{table}.tsv"))
    assert all(facts["Description"] for facts in described.values())
    assert described.get("days", {"Units": "d"})["Units"] == "d"
    assert f"{table}.json" in (tiny_run / ".bidsignore").read_text().split()


def test_covariates_come_out_as_they_were_read(my_study: Path, tmp_path: Path) -> None:
    """Codes keep their zeros also where one session has nothing else, and numbers all their digits."""
    path = my_study / "dyads.tsv"
    header, *rows = path.read_text().splitlines()
    further = [("code", "big_count", "grade"), ("007", "12345678901", "1.50"), ("A2", "n/a", "b"), ("1e3", "3", "True")]
    further.append(("0", "4", "x"))
    lines = [f"{line}\t" + "\t".join(more) for line, more in zip([header, *rows], further, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    run(my_study, tmp_path / "out")
    head, *written = [line.split("\t") for line in (tmp_path / "out/synchrony.tsv").read_text().splitlines()]
    assert head[-3:] == ["code", "big_count", "grade"]
    assert list(dict.fromkeys(tuple(line[-3:]) for line in written)) == further[1:]
    described = json.loads((tmp_path / "out/synchrony.json").read_text())
    assert described["grade"] == {"Description": "as in dyads.tsv"}


def test_the_quality_table_has_a_row_per_person(tiny_run: Path) -> None:
    quality = load_table(tiny_run / "quality.tsv")
    assert list(quality["person"]) == [*ROLES] * 4
    assert set(quality["channels_kept"]) == {8}
    first = [name for name in TABLES["quality"] if name in quality]
    assert list(quality)[: len(first)] == first
    assert tuple(quality_rows({})) == TABLES["quality"]


def test_the_log_names_facts_warnings_and_frames(tmp_path: Path) -> None:
    log = RunLog(tmp_path, seed=3)
    key = SessionKey("D1", 1, "eeg", "", "")
    fault = Attempt(key, "failed", "internal error", ("short",), ("prepare.py:3 f",))
    log.attempts([fault])
    assert not log.path.exists()  # nothing was done yet
    log.open()
    log.say("growth")
    text = log.path.read_text()
    assert text.endswith("Z growth\n")
    assert "# seed: 3\n" in text
    for line in ("warning: short", "failed: internal error", "  at prepare.py:3 f"):
        assert f"D1 ses-01 eeg: {line}\n" in text


@pytest.mark.parametrize("name", ["dyad-D01", "dyad-D01/ses-01", "work", "logs", "work/dyad-D02"])
def test_a_link_where_a_folder_of_ours_goes_is_refused(tiny: Path, my_run: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (outside / "ses-01").mkdir(parents=True)
    (outside / "ses-01" / "unit.json").write_text("{}")
    shutil.rmtree(my_run / name, ignore_errors=True)
    (my_run / name).parent.mkdir(exist_ok=True)
    (my_run / name).symlink_to(outside)
    with pytest.raises(OutputError, match="is a link"):
        run(tiny, my_run)
    assert list(tree(outside)) == ["ses-01/unit.json"]


def test_the_status_table_tells_every_step_of_every_session() -> None:
    keys = [SessionKey("D01", session, "eeg", "", "") for session in (1, 2, 3)]
    summaries = {key: Summary(key) for key in keys[:2]} | {keys[2]: Summary(keys[2], "skipped", "too short")}
    lost = [Skip.of(keys[1], "its worker died"), Skip.of(keys[2], "too short")]
    rows = status_rows(summaries, lost)
    told = dict(zip(zip(rows["session"], rows["pipeline_step"], strict=True), rows["status"], strict=True))
    assert [told[session, "preparation"] for session in (1, 2, 3)] == ["SUCCESS", "SUCCESS", "FAIL"]
    assert [told[session, "synchrony"] for session in (1, 2, 3)] == ["SUCCESS", "FAIL", "UNAVAILABLE"]
    assert set(rows["pipeline_name"]) == {"hyperscan-mne"}


def test_a_run_leaves_its_status(tiny_run: Path) -> None:
    assert set(load_table(tiny_run / "status.tsv")["status"]) == {"SUCCESS"}


def test_every_file_at_the_top_of_a_run_has_a_line_on_its_page(tiny: Path, my_run: Path) -> None:
    run(tiny, my_run, report=True)
    build_view(my_run)
    page = (Path(__file__).parents[1] / "docs" / "outputs.md").read_text(encoding="utf-8")
    names = {path.name for path in my_run.iterdir() if path.is_file()}
    assert {"run.json", "view.html", "synchrony.tsv"} < names
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_what_a_dead_worker_left_half_written_goes_when_the_work_does(tmp_path: Path) -> None:
    for place in ("work/dyad-D01/.partial-0123456789ab/.partial-0123456789ab.npz", "dyad-D01/.partial-0123456789ab/a"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("half", encoding="utf-8")
    (tmp_path / "dyad-D01" / "report.html").write_text("whole", encoding="utf-8")
    remove_work(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["report.html"]
