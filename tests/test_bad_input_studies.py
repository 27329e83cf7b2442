"""Bad input of a whole study: its table, its settings, its surroundings."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest

import recording_fixtures as make
from hyperscan.cli import main
from hyperscan.config import StudyConfig
from hyperscan.errors import (
    ConfigError,
)
from hyperscan.pipeline import check_study
from hyperscan.recording import align_pair, load_session
from hyperscan.study import read_table
from pipeline_fixtures import check_prepared


def a_study(root: Path, n_dyads: int = 1, n_sessions: int = 2, seconds: float = 70.0) -> list[dict[str, str]]:
    rows = []
    for dyad in range(1, n_dyads + 1):
        for number in range(1, n_sessions + 1):
            names = [f"d{dyad}s{number}{role}.edf" for role in "tc"]
            for k, name in enumerate(names):
                make.write_edf(root / name, 100 * dyad + 10 * number + k, seconds=seconds)
            rows.append(make.row_of(dyad, number, *names))
    return rows


def test_check_lists_what_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = a_study(tmp_path)
    (tmp_path / "empty.edf").write_bytes(b"")
    rows += [
        make.row_of(2, 1, rows[0]["therapist_file"], "gone.edf"),
        make.row_of(3, 1, "empty.edf", rows[1]["client_file"]),
    ]
    rows[3]["start_s"] = "0"
    rows[1] |= {"clock": "none"}
    make.write_rows(tmp_path, rows[:3])
    assert main(["check", "-q", str(tmp_path)]) == 3
    shown = capsys.readouterr().out
    assert "ok    D1 ses-01" in shown
    assert "line 3 (D1 ses-02): clock = 'none'" in shown
    assert "line 4 (D2 ses-01): client_file = 'gone.edf': is not there" in shown
    assert "1 dyad-session would be analysed, 2 skipped" in shown
    make.write_rows(tmp_path, [rows[0], rows[3] | {"client_file": "d1s2c.edf"}])
    report = check_study(tmp_path)
    (bad,) = [row for row in report.rows if not row.ok]
    make.check_message(bad.reason, tmp_path, "empty.edf", "0 bytes", "again")


def test_one_recording_under_two_names(tmp_path: Path) -> None:
    rows = a_study(tmp_path, 2, 2)
    (tmp_path / "d2s2c.edf").write_bytes((tmp_path / "d1s1c.edf").read_bytes())
    report = check_study(make.write_rows(tmp_path, rows))
    reasons = [row.reason for row in report.rows if not row.ok]
    reasons += [entry.reason for entry in report.rejected]
    assert report.skipped == len(reasons) == 2
    for reason in reasons:
        make.check_message(reason, tmp_path, "D1 ses-01", "D2 ses-02", "under two names", "Correct")


def test_a_design_as_therapies_are(tmp_path: Path) -> None:
    rows = a_study(tmp_path, 3, 2)
    days = {"D1": ("0", "7"), "D2": ("0", "30"), "D3": ("0", "14")}
    for row in rows:
        row["therapist"] = "T1"
        row["days"] = days[row["dyad"]][int(row["session"]) - 1]
        row["session"] = {"1": "1", "2": "3"}[row["session"]]
    extra = [f"extra{role}.edf" for role in "tc"]
    for k, name in enumerate(extra):
        make.write_edf(tmp_path / name, 900 + k, seconds=70.0)
    rows.append(make.row_of(2, 4, *extra, therapist="T1", days="35"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_table(make.write_rows(tmp_path, rows))
    assert not table.rejected
    assert [row.session for row in table.sessions if row.dyad == "D2"] == [1, 3, 4]
    notes = "\n".join(check_study(tmp_path).notes)
    assert "therapist T1 has 3 clients (D1, D2, D3)" in notes
    assert "D1, D2, D3: session 2 is missing. The numbers are kept" in notes
    assert "D2: 5 to 15 days lie between sessions" in notes
    exchanged = [
        row | {"therapist": row["client"], "client": row["therapist"]} if row is rows[2] else row for row in rows
    ]
    (swapped, *_) = read_table(make.write_rows(tmp_path, exchanged)).rejected
    assert "are exchanged in other rows" in str(swapped)


def test_a_broken_table_ends_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dyads.tsv").write_bytes("dyad\ttherapist\nD1\tJürgen\n".encode("latin-1"))
    for command in (["check", str(tmp_path)], ["run", str(tmp_path), "-o", str(tmp_path.parent / "out")]):
        assert main(command) == 2
        make.check_message(capsys.readouterr().err.strip(), tmp_path, "dyads.tsv line 2", "UTF-8", "Save")


def test_a_person_with_herself(tmp_path: Path) -> None:
    rows = a_study(tmp_path, 1, 1)
    rows[0]["client"] = "T1"
    (entry,) = read_table(make.write_rows(tmp_path, rows)).rejected
    make.check_message(str(entry), tmp_path, "line 2", "both 'T1'", "Give the two people two ids")


def test_a_band_beyond_nyquist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        StudyConfig(bands={"alpha": (8.0, 8000.0)})
    make.check_message(str(caught.value), tmp_path, "alpha", "8000")


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['touch pwned']", "a: &a [x]\nb: [*a, *a]\n"])
def test_yaml_is_no_configuration(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    make.write_rows(tmp_path, a_study(tmp_path, 1, 1))
    (tmp_path / "study.toml").write_text(text)
    assert main(["check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "study.toml: not valid TOML" in said
    assert "line 1" in said
    assert not list(tmp_path.rglob("pwned"))


ODD_NAMES = ["with space", "Ünï", unicodedata.normalize("NFD", "é"), "🧠", 'it\'s "q"', "-rf", "a" * 240, "50%_{x}"]


@pytest.mark.parametrize("stem", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_recordings_of_odd_names_are_read(tmp_path: Path, stem: str) -> None:
    folder = tmp_path / "s ü"
    folder.mkdir()
    make.write_edf(folder / f"{stem}.edf", 1)
    make.write_brainvision(folder / f"{stem}2.vhdr", 2)
    pair = align_pair(make.load(folder, f"{stem}.edf", f"{stem}2.vhdr", clock="same_amplifier"))
    assert pair.client.n_times == 2000


def test_a_study_that_cannot_be_written_to(tmp_path: Path) -> None:
    make.write_rows(tmp_path, a_study(tmp_path, 1, 1))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert check_study(tmp_path).skipped == 0
    finally:
        tmp_path.chmod(0o755)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_checking_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.write_rows(tmp_path, a_study(tmp_path, 1, 1))
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    assert check_study(tmp_path).skipped == 0


def test_other_locales_and_no_home(tmp_path: Path) -> None:
    make.write_rows(tmp_path, a_study(tmp_path, 1, 1))
    bare = {
        name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LANG", "PYTHONUTF8", "DISPLAY")
    }
    texts = []
    for settings in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "HOME": str(tmp_path / "dyads.tsv")},
        {"LANG": "tr_TR.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"},
    ):
        command = [sys.executable, "-m", "hyperscan.cli", "check", "-q", str(tmp_path)]
        code = "import sys; from hyperscan.cli import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run(
            [command[0], "-c", code, *command[3:]], env={**bare, **settings}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        texts.append([line for line in done.stdout.decode("utf-8").splitlines() if line.startswith("ok")])
    assert texts[0] == texts[1]
    assert "100 Hz" in texts[0][0]


def _epochs_study(shared: Path, root: Path, window_s: float) -> Path:
    folder = shared / "data" / "eeg_dyad_hypyp_epochs"
    for name in ("preproc_S1.fif", "preproc_S2.fif"):
        shutil.copy(folder / name, root / name)
    make.write_rows(root, [make.row_of(1, 1, "preproc_S1.fif", "preproc_S2.fif", clock="same_amplifier")])
    (root / "study.toml").write_text(f"window_s = {window_s}\n[bands]\nalpha = [8.0, 12.0]\n")
    return root


def test_real_epochs_through_the_table(shared: Path, tmp_path: Path) -> None:
    (row,) = read_table(_epochs_study(shared, tmp_path, 5.0)).sessions
    pair = align_pair(load_session(row))
    assert len(pair.segments) == 25
    (long,) = check_prepared(tmp_path).rows
    assert long.status == "skipped"
    make.check_message(
        long.reason, tmp_path, "window_s = 5 s", "the longest of 25 lasts 1", "Set window_s to 1 or less"
    )
    (short,) = check_prepared(_epochs_study(shared, tmp_path, 1.0)).rows
    assert (short.status, short.n_windows) == ("ok", 25)
    assert any("short windows" in note for note in short.notes), short.notes
