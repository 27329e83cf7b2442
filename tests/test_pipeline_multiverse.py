"""Many analyses of one study: what is declared, what is refused before work, and what a run leaves."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hyperscan import StudyConfig, cli, fit_growth, read_sessions, run_multiverse, run_study, simulate_study
from hyperscan.cli.terminal import Stopped
from hyperscan.config import _BESIDE_PRIMARY, Primary
from hyperscan.errors import ConfigError
from hyperscan.growth.multiverse import Universe
from hyperscan.pipeline.fits import fit_run
from hyperscan.pipeline.multiverse import MAX_UNIVERSES, Declared, Fitted, _beside_other_bands, declare_universes
from hyperscan.pipeline.unit import read_manifest
from hyperscan.pipeline.universes import LEFT_OUT, Found
from hyperscan.recording.cleaning import prepare as cleaning
from hyperscan.recording.cleaning.eeg import clean_eeg
from hyperscan.results.plan import Plan
from hyperscan.schema import Outcome
from stale_fixtures import OTHER, change_version

pytestmark = pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multiverse") / "study"
    return simulate_study(folder, "growth", seed=3, n_dyads=3, n_sessions=2, duration_s=100)


QUICK = StudyConfig(
    n_null=19, metrics={"eeg": ("plv",)}, bands={"alpha": (8.0, 12.0)}, roi_pairs=("posterior-posterior",)
)
CHOICES = {"window_s": (10.0, 20.0), "metrics": ("plv", "ciplv")}


@pytest.fixture(scope="module")
def done(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("multiverse") / "out"
    (study / "study.toml").write_text('n_null = 19\n[multiverse]\nwindow_s = [10, 20]\nmetrics = ["plv", "ciplv"]\n')
    assert cli.main(["multiverse", str(study), "-o", str(out), "-q"]) == 0
    return out


def test_a_private_multiverse_is_closed(study: Path, done: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    assert cli.main(["multiverse", str(study), "-o", str(out), "--private", "-q"]) == 0
    assert {path.stat().st_mode & 0o077 for path in (out, *out.rglob("*"))} == {0}


def test_every_combination_is_declared_once_and_one_is_primary() -> None:
    config = StudyConfig(
        multiverse={**CHOICES, "bands": ("alpha", "theta"), "rois": ("all-all", "posterior-posterior")}
    )
    found = declare_universes(config, "eeg")
    assert len(found) == len({tuple(one.settings.values()) for one in found}) == 16
    (primary,) = (one for one in found if one.primary)
    assert primary.config.primary_of("eeg") == config.primary_of("eeg")
    for one in found:
        named = one.config.primary_of("eeg")
        told = {"metrics": named.metric, "bands": named.band, "rois": named.roi, "window_s": repr(one.config.window_s)}
        assert dict(one.settings) == told
        # nothing else is computed
        assert one.config.metrics["eeg"] == (named.metric,)
        assert list(one.config.bands) == [named.band]
        assert not one.config.multiverse


@pytest.mark.parametrize("key", sorted({field.name for field in dataclasses.fields(StudyConfig)} - {"multiverse"}))
def test_every_setting_may_be_a_choice_or_is_refused_by_name(key: str) -> None:
    if key == "primary":
        with pytest.raises(ConfigError, match=r"multiverse.primary: is no setting"):
            StudyConfig(multiverse={key: (1, 2)})
        return
    if key in _BESIDE_PRIMARY:
        with pytest.raises(ConfigError, match=rf"multiverse.{key}: leaves the primary outcome as it is"):
            StudyConfig(multiverse={key: (1, 2)})
        return
    config = StudyConfig(multiverse={key: ("one", "two")})
    with pytest.raises(ConfigError, match=rf"multiverse.{key} = .*which is not among them"):
        declare_universes(config, "eeg")


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ({"window": [1, 2]}, "Did you mean 'window_s'"),
        ({"window_s": [20]}, "two or more levels"),
        ({"window_s": "20"}, "two or more levels"),
        ({"window_s": [20, 20]}, "stands there twice"),
        ({"window_s": [10, 20, 20.0]}, "stands there twice"),
    ],
)
def test_what_is_no_choice_is_refused_when_settings_are_read(levels: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        StudyConfig(multiverse=levels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ({"window_s": (5, 10)}, "Add it, or change the setting itself"),
        ({"window_s": (20, -1)}, r"multiverse \(window_s = -1\): window_s = -1"),
        ({"metrics": ("plv", "plw")}, "plw"),
        ({"bands": ("alpha", "slow")}, "no band of eeg"),
        ({"seed": tuple(range(MAX_UNIVERSES + 1))}, f"{MAX_UNIVERSES} are the most"),
    ],
)
def test_what_cannot_be_is_refused_before_work(
    study: Path, tmp_path: Path, levels: dict[str, tuple[object, ...]], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        run_multiverse(read_sessions(study), StudyConfig(multiverse=levels), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_survive_their_file(tmp_path: Path) -> None:
    config = StudyConfig(multiverse={**CHOICES, "eeg_filter_hz": ((1.0, 40.0), (0.5, 45.0))})
    (tmp_path / "study.toml").write_text(config.to_toml())
    assert StudyConfig.from_toml(tmp_path / "study.toml") == config


def test_each_analysis_is_the_run_of_its_settings(study: Path, done: Path) -> None:
    table = pd.read_csv(done / "multiverse.tsv", sep="\t")
    assert table["universe"].tolist() == ["u001", "u002", "u003", "u004"]
    assert table.loc[table["primary"], ["window_s", "metrics"]].to_numpy().tolist() == [[20, "plv"]]
    # the whole study computes the same for the primary outcome
    whole = run_study(read_sessions(study), StudyConfig(n_null=19), out=done.parent / "whole", report=False)
    primary = fit_growth(whole.table, guards=whole.guards, quality=whole.quality)
    assert table.loc[table["primary"], "slope"].item() == pytest.approx(primary.weighted.slope, rel=1e-9)
    ours = run_study(
        read_sessions(study), StudyConfig(n_null=19, window_s=10.0, metrics={"eeg": ("ciplv",)}), report=False
    )
    other = fit_growth(ours.table, primary={"metric": "ciplv", "band": "alpha", "roi": "posterior-posterior"})
    assert table["slope"].iloc[1] == pytest.approx(other.weighted.slope, rel=1e-9)
    assert not (done.parent / "whole" / "report.html").exists()


def test_the_page_and_the_record_say_the_same(done: Path) -> None:
    sentence = json.loads((done / "multiverse.json").read_text())["sentence"]
    page = (done / "multiverse.html").read_text()
    assert sentence.replace("<", "&lt;") in page
    assert page.count("<tr>") == 2 + 4 + 2  # two heads, four analyses, two choices
    assert "Of 4 defensible analyses 4 are too small to tell" in sentence


def test_a_second_time_nothing_is_computed(study: Path, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in sorted(done.rglob("*.*")) if path.is_file()}
    monkeypatch.setattr("hyperscan.pipeline.prepare.judge_row", None)
    assert cli.main(["multiverse", str(study), "-o", str(done), "-q"]) == 0
    assert {path: path.read_bytes() for path in sorted(done.rglob("*.*")) if path.is_file()} == before


def test_choices_of_a_study_are_no_part_of_its_run(study: Path, tmp_path: Path) -> None:
    sessions, config = read_sessions(study), QUICK
    run_study(sessions, config, out=tmp_path / "out")
    record = (tmp_path / "out" / "run.json").read_bytes()
    run_study(sessions, dataclasses.replace(config, multiverse=CHOICES), out=tmp_path / "out")
    assert (tmp_path / "out" / "run.json").read_bytes() == record


def test_a_report_that_is_not_wanted_does_not_stay_stale(study: Path, tmp_path: Path) -> None:
    sessions, config = read_sessions(study), QUICK
    out = tmp_path / "out"
    run_study(sessions, config, out=out)
    assert (out / "report.html").is_file()
    run_study(sessions, dataclasses.replace(config, seed=1), out=out, report=False)
    assert not list(out.rglob("*.html"))
    run_study(sessions, dataclasses.replace(config, seed=1), out=out)
    assert len(list(out.rglob("*.html"))) == 4


@pytest.mark.parametrize("key", sorted(OTHER.keys() - {"primary", "multiverse", *_BESIDE_PRIMARY}))
def test_two_levels_of_a_choice_are_two_analyses(key: str) -> None:
    named = {"metrics": ("plv", "ciplv"), "bands": ("alpha", "theta"), "rois": ("all-all", "posterior-posterior")}
    # a group needs its reference
    base = StudyConfig(group="branch", reference="A", pseudo_within_group=False, min_windows=2)
    levels = named.get(key, (getattr(base, key), OTHER[key]))
    declared = declare_universes(dataclasses.replace(base, multiverse={key: levels}), "eeg")
    first, second = (one.config for one in declared)
    # what makes them two is not taken away again
    assert getattr(first, key) != getattr(second, key) or first.primary != second.primary


def test_bands_of_other_outcomes_need_not_fit_a_level() -> None:
    config = StudyConfig(within="power/theta/all", multiverse={"eeg_filter_hz": ((1, 40), (1, 35))})
    found = declare_universes(config, "eeg")
    assert [one.config.eeg_filter_hz for one in found] == [(1, 40), (1, 35)]
    # gamma does not fit, and theta is not computed
    assert [dict(one.config.bands) for one in found] == 2 * [{"alpha": (8, 12)}]
    assert not any(one.config.within for one in found)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_no_longer_declared_is_removed_and_a_users_file_stays(study: Path, done: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    gone = json.loads((out / "universes/u001.json").read_text())["tables"]
    (out / f"universes/{gone}/my notes.txt").write_text("mine")
    fewer = StudyConfig(n_null=19, multiverse={"metrics": ("plv", "ciplv")})
    run_multiverse(read_sessions(study), fewer, out=out)
    assert files(out / f"universes/{gone}") == ["my notes.txt"]
    assert not list(out.glob("universes/u003.*"))
    run_multiverse(read_sessions(study), fewer, out=tmp_path / "fresh")
    known = [name for name in files(tmp_path / "fresh") if not name.startswith("logs/")]
    assert [name for name in files(out) if not name.startswith("logs/") and "notes" not in name] == known
    assert all((out / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes() for name in known)


def results(folder: Path) -> dict[str, bytes]:
    """Bytes of all that a folder holds but its logs."""
    return {name: (folder / name).read_bytes() for name in files(folder) if "logs/" not in name}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study of two dyads that met once."""
    folder = tmp_path_factory.mktemp("multiverse") / "small"
    return simulate_study(folder, "growth", seed=3, n_dyads=2, n_sessions=1, duration_s=70)


def text_of(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def check_same(mine: Path, universe: str, own: Path, signal: str = "eeg") -> None:
    """Hold every cell that an analysis keeps, and its growth, to a run of its own."""
    content = json.loads((mine / f"{universe}.json").read_text())
    growth = json.loads((own / "growth.json").read_text())
    rows = text_of(own / "synchrony.tsv").drop(columns=list(LEFT_OUT))
    for name, whole in (("synchrony", rows[rows["signal"] == signal]), ("guards", text_of(own / "guards.tsv"))):
        kept = text_of(mine / content["tables"] / f"{name}.tsv")
        kept = kept[kept["universe"] == universe].drop(columns="universe").reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, whole.reset_index(drop=True))
    assert (mine / content["tables"] / "quality.tsv").read_bytes() == (own / "quality.tsv").read_bytes()
    assert (mine / f"{universe}.toml").read_bytes() == (own / "config.toml").read_bytes()
    for found in (content["growth"], growth):
        found.get("per_session", {}).pop("lag_peak_s", None)
    assert content["growth"] == growth


def a_byte(study: Path) -> None:
    path = next(study.glob("dyad-01/ses-01/*therapist*.edf"))
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def a_column(study: Path) -> None:
    lines = (study / "dyads.tsv").read_text().splitlines()
    (study / "dyads.tsv").write_text("".join(f"{line}\t{'bdi' if i == 0 else i}\n" for i, line in enumerate(lines)))


TWO = StudyConfig(n_null=19, multiverse={"metrics": ("plv", "ciplv")})


@pytest.fixture(scope="module")
def two_analyses(small: Path) -> Path:
    """Folder of two analyses of the small study."""
    run_multiverse(read_sessions(small), TWO, out=small.parent / "two")
    return small.parent / "two"


@pytest.mark.slow
@pytest.mark.parametrize("change", [a_byte, a_column, None, "version"])
def test_in_place_as_in_a_new_folder(
    small: Path,
    two_analyses: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None] | str | None,
) -> None:
    """An input, the table, a setting and a version change under the analyses that are there."""
    study, config = Path(shutil.copytree(small, tmp_path / "study")), TWO
    before = results(Path(shutil.copytree(two_analyses, tmp_path / "out")))
    if callable(change):
        change(study)
    elif change == "version":
        change_version(monkeypatch, "scipy")
    else:
        config = dataclasses.replace(config, n_null=20)
    run_multiverse(read_sessions(study), config, out=tmp_path / "out")
    run_multiverse(read_sessions(study), config, out=tmp_path / "fresh")
    assert results(tmp_path / "out") == results(tmp_path / "fresh") != before


@pytest.mark.parametrize(
    "choices",
    [
        # of cleaning, of the outcome's regions and metric, of growth alone
        {
            "eeg_reference": ("auto", "average"),
            "rois": ("posterior-posterior", "all-all"),
            "time": ("session", "weeks"),
        },
        # metrics whose products are shared, of others, and of whole regions
        {"metrics": ("plv", "ciplv", "accorr", "wpli", "coh", "mic"), "bands": ("alpha", "theta")},
        {"window_s": (20.0, 10.0), "max_partners": (20, 1)},
    ],
)
def test_every_number_of_an_analysis_is_that_of_a_run_of_its_own(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choices: dict[str, tuple[object, ...]]
) -> None:
    sessions, config = read_sessions(small), StudyConfig(n_null=19, multiverse=choices)
    cleaned: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(cleaning, "clean_eeg", lambda *given: cleaned.append(given[2]) or clean_eeg(*given))
        run_multiverse(sessions, config, out=tmp_path / "out")
    # each person of each session once for every reference
    assert len(cleaned) == 2 * len(sessions) * len(choices.get("eeg_reference", ("auto",)))
    for one in declare_universes(config, "eeg"):
        run_study(sessions, one.config, out=tmp_path / one.name, report=False)
        check_same(tmp_path / "out/universes", one.name, tmp_path / one.name)
    assert not (tmp_path / "out/work").exists()


def test_haemoglobin_has_the_numbers_of_a_run_of_its_own(tmp_path: Path) -> None:
    study = simulate_study(
        tmp_path / "study", "growth", modality="fnirs", seed=3, n_dyads=2, n_sessions=1, duration_s=300
    )
    sessions = read_sessions(study)
    config = StudyConfig(n_null=19, multiverse={"fnirs_short_regression": (True, False)}, roi_pairs=("all-all",))
    run_multiverse(sessions, config, out=tmp_path / "out")
    for one in declare_universes(config, "fnirs"):
        run_study(sessions, one.config, out=tmp_path / one.name, report=False)
        check_same(tmp_path / "out/universes", one.name, tmp_path / one.name, "hbo")


@pytest.fixture(scope="module")
def never_interrupted(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (small / "study.toml").write_text('n_null = 19\n[multiverse]\nwindow_s = [10, 20]\nmetrics = ["plv", "ciplv"]\n')
    out = tmp_path_factory.mktemp("multiverse") / "fresh"
    assert cli.main(["multiverse", str(small), "-o", str(out), "-q"]) == 0
    return out


@pytest.mark.parametrize("stage", ["prepare_unit", "find_chance", "find_outcomes", "fit_run"])
def test_an_interrupted_multiverse_goes_on_and_says_nothing_of_the_one_before(
    small: Path, never_interrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str
) -> None:
    other = tmp_path / "other.toml"
    other.write_text((small / "study.toml").read_text().replace("n_null = 19", "n_null = 20"))
    out = Path(shutil.copytree(never_interrupted, tmp_path / "out"))
    room = {"prepare_unit": "stages", "fit_run": "multiverse"}.get(stage, "universes")
    real = getattr(importlib.import_module(f"hyperscan.pipeline.{room}"), stage)
    calls: list[object] = []

    def stop(*given: object, **named: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise Stopped(15)
        return real(*given, **named)

    command = ["multiverse", str(small), "-o", str(out), "-q"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"hyperscan.pipeline.{room}.{stage}", stop)
        assert cli.main([*command, "--config", str(other)]) == 128 + 15
    assert "the same command goes on from there" in capsys.readouterr().err
    assert not list(out.glob("multiverse.*"))
    assert "multiverse.html" in (out / "README").read_text()
    # and then leaves what was never interrupted leaves
    assert cli.main(command) == 0
    assert results(out) == results(never_interrupted)


def test_signals_that_were_prepared_for_other_choices_alone_are_removed(
    study: Path, done: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    ours = out / "work/0123456789ab/dyad-01/ses-01"
    shutil.copytree(next(out.glob("universes/*/dyad-D01/ses-01")), ours)
    (out / "work/0123456789ab/mine.txt").write_text("mine")
    # and what check --prepare left, which a multiverse does not use
    shutil.copytree(ours, out / "work/dyad-D01/ses-01")
    (out / "multiverse.json").unlink()
    assert cli.main(["multiverse", str(study), "-o", str(out), "-q"]) == 0
    assert files(out / "work") == ["0123456789ab/mine.txt"]


def test_an_analysis_without_sessions_keeps_no_results_of_other_settings(
    study: Path, done: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(done, tmp_path / "out"))
    config = StudyConfig(n_null=19, multiverse={"min_windows": (3, 1000), "metrics": ("plv", "ciplv")})
    found = run_multiverse(read_sessions(study), config, out=out)
    assert found.table["verdict"].tolist() == ["cannot_tell", "cannot_tell", "", ""]
    assert sorted(path.name for path in out.glob("universes/*.json")) == ["u001.json", "u002.json"]
    told = [StudyConfig.from_toml(path).min_windows for path in sorted(out.glob("universes/*.toml"))]
    assert told == [3, 3, 1000, 1000], "the settings of every analysis"


def test_a_run_and_a_multiverse_have_folders_of_their_own(
    study: Path, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(done)
    assert cli.main(["run", str(study), "-o", str(done), "-q"]) == 2
    assert "is the folder of a multiverse" in capsys.readouterr().err
    assert files(done) == before
    for word in ("growth", "report", "view"):
        assert cli.main([word, str(done)]) == 2
        assert "universes/u001.toml" in capsys.readouterr().err
    # the settings of an analysis make a run of their own
    settings, run = done / "universes/u002.toml", done.parent / "run"
    assert cli.main(["run", str(study), "-o", str(run), "--config", str(settings), "-q"]) == 0
    check_same(done / "universes", "u002", run)
    assert cli.main(["multiverse", str(study), "-o", str(run), "-q"]) == 2
    assert "is the folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: {}, "is not as a multiverse writes it"),
        (lambda held: {**held, "synchrony": ["<script>"]}, "is not as a multiverse writes it"),
        (lambda held: {**held, "guards": []}, "is not as a multiverse writes it"),
        (lambda held: {**held, "synchrony": [{**held["synchrony"][0], "z": "<script>"}]}, "z is not a number"),
        (lambda held: {**held, "synchrony": [{**held["synchrony"][0], "session": 1.5}]}, "session is not a whole"),
    ],
    ids=["nothing", "no row", "no guards", "no number", "no session"],
)
def test_units_that_a_stranger_made_are_named(
    small: Path,
    never_interrupted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Any], object],
    said: str,
) -> None:
    """Somebody who can seal a record: no traceback, and no number that is none."""
    out = Path(shutil.copytree(never_interrupted, tmp_path / "out"))
    folder = next(out.glob("universes/*/dyad-*/ses-*"))
    made = read_manifest(folder, Found)
    assert made is not None
    content = json.loads((folder / "found.json").read_text())
    (folder / "found.json").write_text(json.dumps({name: change(held) for name, held in content.items()}))
    (folder / "unit.json").unlink()
    made.save(folder)
    assert cli.main(["multiverse", str(small), "-o", str(out), "-q"]) == 2
    assert said in capsys.readouterr().err
    assert not list(out.glob("multiverse.*"))


def fitted_band(band: str, slope: float, folder: Path, window: str = "20") -> Fitted:
    rng = np.random.default_rng(1 if band == "alpha" else 2)
    rows = [(f"D{d}", s, slope * s + rng.normal(0, 0.02)) for d in range(8) for s in range(1, 6)]
    labels = {"modality": "eeg", "signal": "eeg", "metric": "plv", "band": band, "task": "", "run": ""}
    roi = {"roi_therapist": "all", "roi_client": "all"}
    table = pd.DataFrame(rows, columns=["dyad", "session", "excess_z"]).assign(**labels, **roi)
    bands = {"alpha": (8.0, 12.0), "theta": (4.0, 8.0)}
    config = StudyConfig(primary=Primary("plv", band, "all-all"), bands={band: bands[band]})
    outcome = Outcome("plv", band, "all-all", "", "eeg", "eeg")
    people = table[["dyad", "session"]].assign(person="client")
    growth = fit_run(table, people, people, outcome, config)
    settings = {"bands": band, "window_s": window}
    one = Declared(f"u{len(list(folder.iterdir())):03d}", settings, band == "alpha", config)
    (folder / f"{one.name}.json").write_text("{}")
    tables = {"synchrony": table, "guards": people, "quality": people}
    return Fitted(Universe(one.name, settings, one.primary, growth), one, Plan("0", outcome), tables)


def test_an_analysis_that_shows_the_skirt_of_another_ones_band_is_no_claim(tmp_path: Path) -> None:
    found = [fitted_band("alpha", 0.1, tmp_path), fitted_band("theta", 0.03, tmp_path)]
    found.append(fitted_band("theta", 0.03, tmp_path, window="10"))  # nothing of its own beside it
    assert {one.universe.verdict for one in found} == {"grows_unchecked"}
    universes = [_beside_other_bands(one, found, tmp_path / "prepared") for one in found]
    assert [one.verdict for one in universes] == ["grows_unchecked", "confounded", "grows_unchecked"]
    assert "Failed guard leak: The band alpha" in universes[1].growth.sentence
    assert universes[1].growth.weighted == found[1].universe.growth.weighted
    assert json.loads((tmp_path / f"{universes[1].name}.json").read_text())["growth"]["verdict"] == "confounded"
    assert [one.growth is each.universe.growth for one, each in zip(universes, found, strict=True)] == [1, 0, 1]
