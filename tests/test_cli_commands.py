"""What each command does: its exit code, what goes where, no traceback for a user's fault."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest

from hyperscan import cli
from hyperscan.cli.commands import _answers, _tell_skipped
from hyperscan.cli.options import QUESTIONS, option
from hyperscan.errors import NothingToAnalyseError
from hyperscan.report.run import ReportedRun
from hyperscan.results.plan import Skip
from hyperscan.schema import RELATIONS
from pipeline_fixtures import edit_table, tiny_study, tree
from report_fixtures import Fake, write_fake


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tiny_study(tmp_path / "study", n_sessions=1)


def call(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_check_says_what_would_run(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", study) == 0
    assert "2 dyad-sessions would be analysed, 0 skipped." in capsys.readouterr().out
    assert call("check", study.parent / "stduy") == 2
    assert "stduy is not there. Name the study's folder" in capsys.readouterr().err
    edit_table(study, "D02\t", "D 02\t")
    assert call("run", study, "-o", study.parent / "out", "--dry-run") == 3
    assert not (study.parent / "out").exists()
    edit_table(study, "eeg", "meg")
    assert call("check", study) == 4


def test_check_says_once_what_all_sessions_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tiny_study(tmp_path / "study", n_sessions=2)
    edit_table(study, "same_amplifier", "assumed")
    assert call("check", study) == 0
    said = capsys.readouterr().out
    assert said.count("they are assumed to start together") == 1
    assert "note  D01 ses-01 eeg and 3 more: [therapist_file] and [client_file]: nothing aligns" in said
    edit_table(study, "D02\t", "D 02\t")
    assert call("check", study) == 3
    said = capsys.readouterr().out
    assert said.count("\n      dyad-01/ses-0") == 2, "two sessions keep their own lines"


def test_run_shows_the_verdict_and_names_the_file(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperscan.pipeline.run.report_of", lambda *_, **__: None)
    therapist = next(study.glob("dyad-02/ses-01/therapist*"))
    therapist.write_bytes(therapist.read_bytes()[:50])
    out = study.parent / "out"
    assert call("run", study, "-o", out, "--private", "--seed", 3, "-q") == 3
    said = capsys.readouterr()
    assert said.out.startswith("verdict: cannot_tell\n")
    assert f"skipped D02 ses-01: {therapist.relative_to(study)}" in said.err
    assert "Traceback" not in said.err
    assert stat.S_IMODE((out / "synchrony.tsv").stat().st_mode) == 0o600
    assert stat.S_IMODE((out / "dyad-D01").stat().st_mode) == 0o700


def test_a_part_of_the_study_is_prepared_and_its_faults_are_said(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = study.parent / "out"
    assert call("run", study, "-o", out, "--dyad-label", "dyad-D01", "-q") == 0
    assert [path.name for path in (out / "work").iterdir()] == ["dyad-D01"]
    capsys.readouterr()
    assert call("run", study, "-o", out, "--dyad-label", "D01", "D77", "-q") == NothingToAnalyseError.exit_code
    assert "dyad 'D77' is not in the table." in (said := capsys.readouterr().err)
    assert "It holds: D01, D02. Check the labels." in said


@pytest.mark.parametrize("door", ["dyad", "people", "all"])
def test_a_refused_row_of_a_part_is_said_by_either_door(
    tmp_path: Path, door: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also that of a job among many: its exit code is all that a scheduler sees."""
    study, out = tiny_study(tmp_path / "study", n_sessions=2), tmp_path / "out"
    lines = (study / "dyads.tsv").read_text(encoding="utf-8").splitlines()
    broken = [line.replace("same_amplifier", "same_amplifer") if "ses-02" in line else line for line in lines]
    (study / "dyads.tsv").write_text("\n".join(broken) + "\n", encoding="utf-8")
    labels = {"dyad": ["--dyad-label", "D01"], "people": ["--participant-label", "C01"], "all": []}[door]
    if door == "dyad":
        assert call("run", study, "-o", out, *labels, "-q") == 3
    else:
        assert cli.bids_main([str(study), str(out), "participant", *labels, "-q"]) == 3
    said = capsys.readouterr().err
    assert [f"D0{k} ses-02" in said for k in (1, 2)] == [True, door == "all"]
    assert cli.bids_main([str(study), str(out), "participant", "--session-label", "01", "-q"]) == 0


def test_a_cluster_does_not_prepare_a_part(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = study.parent / "out"
    assert call("run", study, "-o", out, "--dyad-label", "D01", "--cluster", "tcp://127.0.0.1:9", "-q") == 2
    assert "--cluster has no use" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    [["run", "-o", "out", "-q"], ["run", "-o", "out", "-q", "--dyad-label", "D01"], ["multiverse", "-o", "out", "-q"],
     ["check"], ["run", "-o", "out", "--dry-run"], ["bids", "participant"], ["bids", "group"]],
)  # fmt: skip
def test_what_the_table_leaves_out_is_said_by_every_command(
    study: Path,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("run_study", "prepare_study", "run_multiverse"):
        monkeypatch.setattr(f"hyperscan.pipeline.{name}", mock.Mock(side_effect=NothingToAnalyseError("not asked")))
    rows = [line.split("\t") for line in (study / "dyads.tsv").read_text(encoding="utf-8").splitlines()]
    lines = ["\t".join([*row, "born" if i == 0 else f"1983-04-1{i}"]) for i, row in enumerate(rows)]
    (study / "dyads.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.chdir(study.parent)
    if words[0] == "bids":
        cli.bids_main([str(study), "out", words[1]])
    else:
        call(words[0], study, *words[1:])
    said = capsys.readouterr().out + caplog.text
    assert "born" in said
    assert "dates" in said


def test_the_bids_door_takes_labels_as_bids_writes_them(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = study.parent / "out"
    part = [str(study), str(out), "participant", "-q", "--participant-label"]
    assert cli.bids_main([*part, "sub-C02", "--session-label", "01"]) == 0
    assert [path.name for path in (out / "work").iterdir()] == ["dyad-D02"]
    assert cli.bids_main([*part, "C02", "C77"]) == NothingToAnalyseError.exit_code
    assert "sub 'C77' is not in the table." in capsys.readouterr().err


def test_the_terminal_shows_the_cells_that_the_records_leave_out(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperscan.pipeline.run.report_of", lambda *_, **__: None)
    edit_table(study, "same_amplifier", "same_amplifer")
    table = (study / "dyads.tsv").read_text(encoding="utf-8").splitlines()
    kept = [line.replace("same_amplifer", "same_amplifier") if line.startswith("D01") else line for line in table]
    (study / "dyads.tsv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    out = study.parent / "out"
    assert call("run", study, "-o", out, "-q") == 3
    said = capsys.readouterr().err
    assert said.count("skipped") == 1
    assert "skipped line 3 (D02 ses-01): clock = 'same_amplifer': allowed" in said
    assert "same_amplifer'" not in (out / "plan.json").read_text(encoding="utf-8")


def test_parts_prepared_by_either_door_are_finished_by_the_other(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperscan.pipeline.run.report_of", lambda *_, **__: None)
    out, whole = study.parent / "out", study.parent / "whole"
    assert call("run", study, "-o", out, "--dyad-label", "D01", "-q") == 0
    assert cli.bids_main([str(study), str(out), "participant", "--participant-label", "C02"]) == 0
    assert not (out / "run.json").exists()
    monkeypatch.setattr("hyperscan.pipeline.stages.prepare_unit", None)  # nothing is left to prepare
    assert cli.bids_main([str(study), str(out), "group"]) == 0
    monkeypatch.undo()
    monkeypatch.setattr("hyperscan.pipeline.run.report_of", lambda *_, **__: None)
    assert call("run", study, "-o", whole, "-q") == 0
    assert tree(out) == tree(whole)


def test_a_missing_study_and_a_broken_config_end_with_2(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("check", tmp_path / "nowhere") == 2
    (study / "study.toml").write_text("windows_s = 3\n")
    assert call("check", study) == 2
    assert "Did you mean 'window_s'?" in capsys.readouterr().err


def test_growth_of_a_table_that_is_not_there_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("growth", tmp_path / "none.tsv") == 2
    assert "none.tsv: there is no such table" in capsys.readouterr().err


GROWTH = "pair,meeting,coach,wtc,bdi\n" + "".join(
    f"{d},{s},{'AB'[d % 2]},{0.1 * s + 0.02 * (d % 3) * s},{20 - s}\n" for d in range(8) for s in range(1, 5)
)


def test_growth_of_a_table_from_elsewhere_names_every_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "other.csv"
    table.write_text(GROWTH)
    named = ("--dyad", "pair", "--session", "meeting", "--value", "wtc")
    assert call("growth", table, *named, "-o", tmp_path / "alone") == 0
    assert call("growth", table, *named, "--therapist", "coach", "--outcomes", "bdi", "-o", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "bdi          change        cannot_tell          Cannot tell (bdi, change): too few dyads, or no" in said
    alone, found = (json.loads((tmp_path / name / "growth.json").read_text()) for name in ("alone", "out"))
    assert (alone["therapist_level"]["known"], found["therapist_level"]["known"]) == (False, True)
    assert found["therapist_level"]["n_therapists"] == 2
    assert {row["name"] for row in found["outcomes"]} == {"bdi"}
    assert alone["primary"]["slope"] == pytest.approx(0.1175)


def test_labels_under_other_names_stay_text(tmp_path: Path) -> None:
    rows = [(d, s, 0.1 * s + 0.02 * len(d) * s) for d in ("1", "01", "1e0", "2", "02", "3") for s in (1, 2, 3)]
    table = tmp_path / "labels.csv"
    table.write_text("pair,session,excess_z\n" + "".join(f"{d},{s},{z}\n" for d, s, z in rows))
    assert call("growth", table, "--dyad", "pair", "-o", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "growth.json").read_text())["primary"]["n_dyads"] == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            (),
            (
                "other.csv: table has no column 'dyad', 'session', 'excess_z'; it has: pair,",
                "Name your columns: --dyad, --value and --session (--time for another axis",
            ),
        ),
        (("--dyad", "pair", "--value", "wtc", "--session", "meting"), ("Did you mean 'meeting'?",)),
        (("--dyad", "pair", "--value", "coach", "--session", "meeting"), ("other.csv: coach: row 1 holds 'A'",)),
    ],
)
def test_faults_of_a_table_are_told_in_options_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    table = tmp_path / "other.csv"
    table.write_text(GROWTH)
    assert call("growth", table, *options) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words)
    assert "value=" not in said


def test_an_outcome_left_open_is_asked_for_by_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "tasks.csv"
    table.write_text("dyad,session,task,excess_z\nA,1,rest,0.1\nA,1,talk,0.2\nB,1,rest,0.1\nB,1,talk,0.2\n")
    assert call("growth", table) == 2
    assert "One has to be named in advance: --task." in capsys.readouterr().err


def test_a_run_takes_no_options_of_a_table(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("growth", small_run, "--band", "theta") == 2
    assert "--band: for a table alone" in capsys.readouterr().err


def test_a_run_tells_of_each_person_alone(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("growth", small_run, "--within", "power/alpha/frontal") == 0
    said = capsys.readouterr().out
    assert "1/f-free power (power/alpha/frontal)" in said
    assert "therapist" in said
    assert call("growth", small_run, "--within", "pwer") == 2
    assert "Did you mean 'power'?" in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("dyad,session,excess_z\nA,1,0.1\n")
    assert call("growth", tmp_path / "table.csv", "--within", "power") == 2
    assert "of the folder of a run alone" in capsys.readouterr().err
    before = (small_run / "growth.json").read_bytes()
    assert call("growth", small_run, "--within", "power/alpha/frontal", "-o", small_run) == 2
    assert "its growth.json is the verdict on synchrony" in capsys.readouterr().err
    assert (small_run / "growth.json").read_bytes() == before


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_beside_an_index_of_each_person_is_dropped(
    small_run: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    value = "c=talk:1,rest:-1" if name == "contrasts" else "n_windows"
    assert call("growth", small_run, "--within", "power/alpha/frontal", option(name), value) == 2
    assert f"of the folder of a run alone, not with {option(name)}" in capsys.readouterr().err


def test_a_run_relates_its_covariates(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("growth", small_run, "--outcomes", "n_windows:after") == 0
    assert "n_windows    between" in capsys.readouterr().out
    assert call("growth", small_run, "--outcomes", "bdi") == 2
    assert "the table has no column 'bdi'" in capsys.readouterr().err


def test_a_run_relates_the_outcomes_of_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tiny_study(tmp_path / "study", n_sessions=3)
    table = pd.read_csv(study / "dyads.tsv", sep="\t")
    answers = ["yes" if row % 2 else "No" for row in range(len(table))]
    table.assign(bdi=range(len(table)), room="blue", rupture=answers).to_csv(study / "dyads.tsv", sep="\t", index=False)
    settings = 'metrics = ["plv"]\nbands = {alpha = [8, 12]}\nroi_pairs = ["all-all"]\noutcomes = '
    settings = 'window_s = 5\nprimary = {metric = "plv", band = "alpha", roi = "all"}\n' + settings
    (study / "study.toml").write_text(settings + '["room"]\n')
    assert call("run", study, "-o", tmp_path / "out", "-q") == 2
    said = capsys.readouterr().err
    assert "outcomes: 'room' holds text: in line 2 of dyads.tsv, 'blue'. Write a number" in said
    assert "columns of numbers: bdi, rupture." in said
    (study / "study.toml").write_text(settings + '["bdi", "rupture"]\n')
    assert call("run", study, "-o", tmp_path / "out", "-q") == 0
    found = json.loads((tmp_path / "out" / "growth.json").read_text())["outcomes"]
    assert [row["name"] for row in found] == [name for name in ("bdi", "rupture") for _ in RELATIONS]
    assert "Growth of the group was not tested" in (tmp_path / "out" / "methods.md").read_text()
    assert "Symptoms, alliance" in (tmp_path / "out" / "report.html").read_text()


def test_a_verdict_is_not_put_over_that_of_a_run(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (small_run / "growth.json").read_bytes()
    (tmp_path / "other.csv").write_text(GROWTH.replace("pair,meeting,coach,wtc", "dyad,session,therapist,excess_z"))
    assert call("growth", tmp_path / "other.csv", "-o", small_run) == 2
    assert "is the folder of a run" in capsys.readouterr().err
    assert (small_run / "growth.json").read_bytes() == before


def test_growth_of_a_folder_without_a_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("growth", tmp_path) == 2
    assert "holds no finished run" in capsys.readouterr().err


def test_power_leaves_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ("power", "--dyads", 8, 12, "--sessions", 4, "--slope", 0.05, "--simulations", 10)
    for name, start in (("power.svg", b"<?xml"), ("power.PNG", b"\x89PNG")):
        assert call(*size, "--figure", tmp_path / name) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert call(*size, "--figure", tmp_path / "power.doc") == 2
    assert "power.doc: the suffix of a figure is .png, .svg, .pdf." in capsys.readouterr().err


def test_power_depends_on_how_many_dyads_a_therapist_sees(capsys: pytest.CaptureFixture[str]) -> None:
    size = ("power", "--dyads", 12, "--sessions", 4, 8, "--slope", 0.05, "--simulations", 20, "--seed", 1)
    assert call(*size) == 0
    alone = capsys.readouterr().out
    assert call(*size, "--dyads-per-therapist", 6, "--residual-sd", 0.2, "--missing", 0.1, "--target", 0.9) == 0
    shared = capsys.readouterr().out
    assert "dyads_per_therapist 1," in alone
    assert "missing 0.1, dyads_per_therapist 6, intercept_sd 0.1, slope_sd 0.03, residual_sd 0.2" in shared
    assert "90% power with 4 sessions: more dyads than tried." in shared
    power = [float(line.split()[2]) for text in (alone, shared) for line in text.splitlines()[2:4]]
    assert power[:2] > power[2:]
    assert call(*size, "--residual-sd", -1) == 2


def test_init_says_a_command_that_works_from_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tiny_study(tmp_path / "a" / "study", n_sessions=1) / "dyads.tsv"
    table.unlink()
    assert call("init", table.parent) == 3
    assert f"hyperscan check {table.parent}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ('metrics = ["plvv"]', "Did you mean 'plv'?"),
        ('primary = {metric = "plv", band = "alpa", roi = "all"}', "Did you mean 'alpha'?"),
        ('primary = {metric = "plv", band = "alpha", roi = "posteror-posterior"}', "Did you mean 'posterior'?"),
        ('roi_pairs = ["frontl-all"]', "Did you mean 'frontal'?"),
        ('outcomes = ["bdi"]', "outcomes: 'bdi' is no further column of dyads.tsv; columns of numbers: none."),
    ],
)
def test_a_misspelt_setting_is_told_before_any_work(
    study: Path, setting: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "study.toml").write_text(setting + "\n")
    assert call("check", study) == 2
    assert call("run", study, "-o", study.parent / "out", "-q") == 2
    assert capsys.readouterr().err.count(hint) == 2
    assert not (study.parent / "out").exists()


def test_small_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("config", "--defaults") == 0
    assert "window_s" in capsys.readouterr().out
    assert call("metrics") == 0
    assert "ciplv" in capsys.readouterr().out
    assert call("simulate", tmp_path / "demo", "--dyads", 1, "--sessions", 1, "--scenario", "none") == 0
    said = capsys.readouterr().out
    assert f"wrote {tmp_path / 'demo/dyads.tsv'}" in said
    assert f"hyperscan check {tmp_path / 'demo'}" in said
    (tmp_path / "demo/dyads.tsv").unlink()
    assert call("init", tmp_path / "demo", "--therapist-id", "each") == 0
    assert (tmp_path / "demo/dyads.tsv").exists()


def test_init_ends_with_3_while_cells_are_empty_and_is_told_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for who in ("F", "M"):
        (tmp_path / "dyad-1" / "ses-1").mkdir(parents=True, exist_ok=True)
        (tmp_path / "dyad-1" / "ses-1" / f"{who}.edf").write_bytes(who.encode())
    assert call("init", tmp_path) == 3
    said = capsys.readouterr().out
    assert "empty       therapist in 1 row, client in 1 row" in said
    assert "fill in what is listed" in said
    (tmp_path / "dyads.tsv").unlink()
    assert call("init", tmp_path, "--therapist", "Q") == 2
    assert "Words that are: F, M" in capsys.readouterr().err
    assert not (tmp_path / "dyads.tsv").exists()
    assert call("init", tmp_path, "--therapist", "F", "--therapist-id", "T1", "--clock", "same_amplifier") == 0
    assert "look through it" in capsys.readouterr().out


def test_a_reason_that_many_sessions_share_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    from hyperscan.cli.commands import _tell_skipped
    from hyperscan.results.plan import Skip

    lost = [Skip("D01", session, "eeg", "", "", "too short.") for session in range(1, 8)]
    assert _tell_skipped([*lost, Skip("D02", 1, "eeg", "", "", "no clock.")], []) == 3
    assert capsys.readouterr().err.splitlines() == [
        "skipped D01 ses-01, D01 ses-02, D01 ses-03 and 4 more: too short.",
        "skipped D02 ses-01: no clock.",
    ]


@pytest.mark.parametrize("hidden", ["Therapist: '…' (28); client: none", "dyad = '…': only letters"])
def test_names_that_a_run_leaves_out_are_said_to_be_in_check(hidden: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _tell_skipped([Skip("D1", 1, "eeg", "", "", hidden)], []) == 3
    assert "stand as '…'; hyperscan check shows them" in capsys.readouterr().err
    _tell_skipped([Skip("D1", 1, "eeg", "", "", "3 windows, fewer than min_windows")], [])
    assert "…" not in capsys.readouterr().err


def test_the_terminal_tells_each_person_where_an_index_was_named(tmp_path: Path) -> None:
    write_fake(tmp_path, Fake(n_dyads=3, n_sessions=3))
    run = ReportedRun.of(tmp_path)
    assert run.alone is not None
    assert run.alone.sentence not in _answers(tmp_path)
    (tmp_path / "config.toml").write_text('within = "power/alpha/posterior"\n')
    assert f"each person, power/alpha/posterior: {run.alone.verdict}\n{run.alone.sentence}" in _answers(tmp_path)
