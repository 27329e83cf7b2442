"""A study is read and checked before any work."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mne.io.edf.edf import RawEDF

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, DataQualityWarning, HyperscanError
from hyperscan.pipeline import CheckReport, check_study, load_study
from hyperscan.pipeline import study as study_module
from hyperscan.recording import PairedRecording
from hyperscan.results import StudyResult
from hyperscan.simulate import simulate_study
from pipeline_fixtures import check_prepared, run


def test_check_says_what_a_run_needs(tiny: Path) -> None:
    report = check_prepared(tiny)
    text = str(report)
    assert report.usable == 4
    assert "that goes on from here takes about" in text
    assert "GB of memory per worker" in text
    assert "limited by D01 ses-01 eeg" in text


def test_settings_beside_the_table_are_read(my_study: Path, tmp_path: Path) -> None:
    table, config = load_study(my_study)
    assert (len(table.sessions), config.window_s, config.seed) == (4, 10.0, 0)
    assert load_study(my_study / "dyads.tsv", seed=5)[1].seed == 5
    (tmp_path / "other.toml").write_text("window_s = 8.0\n")
    assert load_study(my_study, config=tmp_path / "other.toml")[1].window_s == 8.0
    (my_study / "study.toml").unlink()
    assert load_study(my_study)[1] == StudyConfig()


def test_a_line_of_check_names_what_would_run(tiny: Path) -> None:
    lines = str(check_prepared(tiny)).splitlines()
    assert lines[0] == (
        "ok    D01 ses-01 eeg: 128 Hz, 4 windows, 40 s, therapist 8/8 channels, client 8/8 channels, "
        "clock same_amplifier, quality good/good"
    )
    assert "4 dyad-sessions would be analysed, 0 skipped." in lines
    assert study_module.UNTOLD not in lines


def test_check_reads_no_samples_and_says_what_it_cannot_tell(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    read = RawEDF._read_segment_file

    def reading(raw: RawEDF, *more: Any, **options: Any) -> Any:
        loaded.append(repr(raw))
        return read(raw, *more, **options)

    monkeypatch.setattr(RawEDF, "_read_segment_file", reading)
    lines = str(check_study(tiny)).splitlines()
    assert loaded == []
    assert lines[0] == "ok    D01 ses-01 eeg: 128 Hz, at most 4 windows, 40 s, clock same_amplifier"
    assert "4 dyad-sessions would be analysed, 0 skipped." in lines
    assert study_module.UNTOLD in lines
    assert lines[-1].startswith("A run needs 0.")
    assert str(check_study(tiny, n_jobs=2)).splitlines() == lines
    check_prepared(tiny)
    assert loaded, "what counts the reading works"


def test_check_finds_what_headers_tell(my_study: Path) -> None:
    (my_study / "study.toml").write_text("window_s = 15.0\n")
    assert (
        check_study(my_study)
        .rows[0]
        .reason.startswith("D01 ses-01 eeg: 40 s hold 2 windows of 15 s, fewer than min_windows = 3")
    )
    bands = "bands = {alpha = [8, 12], high = [60, 80]}\n"
    (my_study / "study.toml").write_text(f"window_s = 10.0\neeg_filter_hz = [1, 100]\n{bands}")
    assert "at 128 Hz nothing above 64 Hz is held, so band 'high'" in check_study(my_study).rows[0].reason
    next(my_study.glob("dyad-01/*/*")).unlink()
    assert check_study(my_study).skipped == 4


def test_what_check_prepares_is_kept_for_a_run(my_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = check_study(my_study, prepare=tmp_path / "out")
    assert kept.usable == 4
    monkeypatch.setattr("hyperscan.pipeline.stages.prepare_unit", None)  # is not called again
    assert not run(my_study, tmp_path / "out").skipped


def test_what_many_sessions_say_is_said_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    align = study_module.align_pair

    def align_and_warn(pair: PairedRecording) -> PairedRecording:
        name = pair.session.relative(pair.session.client_file)
        warnings.warn(f"{name}: hums", DataQualityWarning, stacklevel=2)
        return align(pair)

    monkeypatch.setattr(study_module, "align_pair", align_and_warn)
    report = check_study(tiny)
    assert "D01 ses-01 eeg and 3 more: [client_file]: hums" in report.notes
    assert all(row.notes == () for row in report.rows)


# ---- settings are found, or missed aloud


def _link(path: Path) -> None:
    path.symlink_to(".git/annex/objects/aa")


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "dangling link": (_link, "is a link to a file that is not there. Fetch it"),
    "link loop": (lambda path: path.symlink_to(path.name), "is a link to a file that is not there"),
    "folder": (Path.mkdir, "is a folder"),
    "pipe": (os.mkfifo, "is no file (a pipe"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is no file (a pipe"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beside", [True, False], ids=["beside", "named"])
def test_settings_that_are_no_file_are_refused_at_once(my_study: Path, kind: str, beside: bool) -> None:
    make, words = KINDS[kind]
    path = my_study / ("study.toml" if beside else "mine.toml")
    if beside:
        path.unlink()
    make(path)
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load_study(my_study, config=None if beside else path)
    assert time.monotonic() - began < 2
    assert f"{path.name}: {words}" in str(caught.value)


@pytest.mark.parametrize("name", ["Study.toml", "STUDY.TOML", "study.TOML"])
@pytest.mark.parametrize("both", [True, False])
def test_settings_under_another_case_are_refused(my_study: Path, name: str, both: bool) -> None:
    (my_study / name).write_text("seed = 3\n")
    if not both:
        (my_study / "study.toml").unlink()
    with pytest.raises(ConfigError, match=f"{name}: settings are read from study.toml"):
        load_study(my_study)


def test_without_settings_the_defaults_are_used(my_study: Path) -> None:
    (my_study / "study.toml").unlink()
    assert load_study(my_study)[1] == StudyConfig()


# ---- check refuses what a run would refuse

#: What check has to refuse, and words of its message.
REFUSED = {
    "primary = {metric = 'plv', band = 'alpha', roi = 'all-all', task = 'rest'}": "task 'rest': no session",
    "primary = {metric = 'plv', band = 'alpha', roi = 'x-x'}\nrois = {x = ['Nope']}": "primary.roi = 'x-x': no session",
    "roi_pairs = []": "roi_pairs = []: names nothing",
    "roi_pairs = ['frontal']": "'frontal' is no pair",
    "roi_pairs = ['PFC-PFC']": "no session has channels of 'PFC' in the therapist",
    "roi_pairs = ['x-all']\nrois = {x = ['Nope']}": "rois.x = ['Nope']: no session",
    "rois = {x = []}": "rois.x = []: names nothing",
    "rois = {x = ['Nope']}": "rois.x = ['Nope']: no session",
    "eeg_max_sfreq = 5": "nothing above 2.5 Hz is left",
    "eeg_max_sfreq = 24": "nothing above 12 Hz is left",
    "eeg_line_hz = 0.1": "expected 0 (none), or 10 to 1000",
    "eeg_line_hz = 63.9": "no notch filter can be designed",
    "fnirs_filter_hz = [1e-9, 0.5]": "with 0.0001 <= low < high",
    "eeg_filter_hz = [1, 63.9]\nbands = {alpha = [8, 12], high = [50, 63.95]}": "lies in neither passband",
    "eeg_filter_hz = [1, 64.5]\nbands = {alpha = [8, 12], high = [50, 64]}": "nothing above 64 Hz is held",
}


def outcome_of(work: Callable[[], object]) -> str:
    """Say how something ended: the first line of its refusal, or nothing."""
    try:
        work()
    except HyperscanError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("text", REFUSED)
def test_check_refuses_what_a_run_refuses(four_dyads: Path, tmp_path: Path, text: str) -> None:
    mine = Path(shutil.copytree(four_dyads, tmp_path / "study"))
    base = "window_s = 10.0\nn_null = 20\nmetrics = {eeg = ['plv'], fnirs = ['corr']}\n"
    (mine / "study.toml").write_text(base + ("" if "bands" in text else "bands = {alpha = [8, 12]}\n") + text)
    checked: list[CheckReport] = []
    said = outcome_of(lambda: checked.append(check_prepared(mine)))
    if checked:
        assert checked[0].refusal or not checked[0].usable
        said = checked[0].refusal or checked[0].rows[0].reason
    ran = outcome_of(lambda: run(mine, tmp_path / "out"))
    assert REFUSED[text] in said
    assert REFUSED[text] in ran
    assert "internal error" not in said + ran


#: The ends of every range of settings that filters and windows are made from.
ENDS = [
    f"{item.name} = {end}"
    for item in dataclasses.fields(StudyConfig)
    if item.metadata["bounds"] and item.name not in ("n_null", "fnirs_sfreq")
    for end in item.metadata["bounds"]
]


@pytest.mark.slow
@pytest.mark.parametrize("text", [*ENDS, "eeg_max_sfreq = 24.5", "eeg_line_hz = 62.9", "eeg_filter_hz = [1, 63.9]"])
def test_check_and_run_agree_at_the_ends_of_every_range(four_dyads: Path, tmp_path: Path, text: str) -> None:
    mine = Path(shutil.copytree(four_dyads, tmp_path / "study"))
    name = text.partition(" =")[0]
    base = {"window_s": "10.0", "n_null": "20", "metrics": "{eeg = ['plv']}", "bands": "{alpha = [8, 12]}"}
    lines = [f"{key} = {value}" for key, value in base.items() if key != name]
    (mine / "study.toml").write_text("\n".join([*lines, text]) + "\n")
    checked: list[CheckReport] = []
    said = outcome_of(lambda: checked.append(check_prepared(mine)))
    usable = checked[0].usable if checked and not checked[0].refusal else 0
    ran: list[StudyResult] = []
    why = outcome_of(lambda: ran.append(run(mine, tmp_path / "out")))
    assert (len(ran[0].table.groupby("dyad")) if ran else 0) == usable, (said, why)
    assert "internal error" not in said + why + "".join(row.reason for row in (checked[0].rows if checked else ()))


def test_check_refuses_a_grid_of_fnirs_that_is_too_coarse(tmp_path: Path) -> None:
    study = simulate_study(tmp_path / "study", "none", modality="fnirs", n_dyads=1, n_sessions=1, duration_s=60)
    (study / "study.toml").write_text("fnirs_sfreq = 0.2\n")
    with pytest.raises(ConfigError, match=r"fnirs_sfreq = 0\.2: at that rate nothing above 0\.1 Hz is left"):
        check_study(study)


def test_check_tells_what_a_clock_was_fitted_by() -> None:
    from hyperscan.pipeline.study import _clock
    from hyperscan.recording import ClockReport

    fitted = ClockReport("triggers", 1.25, 12.3, 0.456, 40)
    assert _clock(fitted) == "triggers (offset 1.250 s, drift 12.3 ppm, residual 0.46 ms, 40 matched)"
    assert _clock(ClockReport("same_amplifier")) == "same_amplifier"
    assert _clock(ClockReport("assumed", 0.0, float("nan"), float("nan"))) == "assumed"


def test_equal_reasons_share_a_line(my_study: Path) -> None:
    (my_study / "study.toml").write_text("window_s = 15.0\n")
    table = my_study / "dyads.tsv"
    head, *rows = table.read_text().splitlines()
    told = str(check_study(my_study)).splitlines()
    assert [line for line in told if line.startswith("skip")] == [
        "skip  D01 ses-01 eeg, D01 ses-02 eeg, D02 ses-01 eeg, D02 ses-02 eeg: 40 s hold 2 windows of 15 s, fewer than "
        "min_windows = 3. Shorten window_s, or leave the session out (include = no)."
    ]
    at = head.split("\t").index("therapist")
    empty = ["\t".join("" if k == at else cell for k, cell in enumerate(row.split("\t"))) for row in rows]
    table.write_text("\n".join([head, *empty]) + "\n")
    told = str(check_study(my_study))
    assert told.count("therapist is empty") == 1
    assert "dyads have two or more" not in told
