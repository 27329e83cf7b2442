"""The methods paragraph tells the settings that were in force, and cites what it rests on."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from growth_fixtures import designs_table
from hyperscan.config import StudyConfig
from hyperscan.growth import fit_growth
from hyperscan.metrics import METRICS
from hyperscan.metrics.mne_methods import MNE_METHODS
from hyperscan.report.methods import Methods, methods_of
from hyperscan.report.references import REFERENCES
from hyperscan.report.run import ReportedRun
from hyperscan.results.plan import Plan
from hyperscan.storage import load_table, write_json, write_table
from report_fixtures import Fake, growth_of_fake, write_fake

SMALL = Fake(n_dyads=3, n_sessions=3)


def keys(methods: Methods) -> set[str]:
    return {entry.key for entry in methods.references}


@pytest.mark.parametrize("modality", ["eeg", "fnirs"])
def test_methods_tell_the_settings_that_were_in_force(tmp_path: Path, modality: str) -> None:
    write_fake(tmp_path, replace(SMALL, modality=modality))
    (tmp_path / "config.toml").write_text("window_s = 7.5\nfnirs_min_sci = 0.66\nn_null = 333\nseed = 42\n")
    methods = methods_of(ReportedRun.of(tmp_path))
    text = methods.to_markdown()
    assert ("1000 circular" if modality == "eeg" else "39 circular shifts (333 were asked for)") in text
    assert "seed 42" in text
    assert ("windows of 7.5 s" in text) == (modality == "eeg")
    assert ("below 0.66" in text) == (modality == "fnirs")
    assert ("lachaux1999" in keys(methods)) == (modality == "eeg")
    assert ("grinsted2004" in keys(methods)) == (modality == "fnirs")
    assert "partner-specific statistical dependence" in text


def test_a_primary_named_in_the_config_is_said_to_be_named(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    assert "is the default of the package" in methods_of(ReportedRun.of(tmp_path)).to_markdown()
    (tmp_path / "config.toml").write_text('primary = {metric = "plv", band = "alpha", roi = "posterior-posterior"}\n')
    assert "was named in the configuration" in methods_of(ReportedRun.of(tmp_path)).to_markdown()


@pytest.mark.parametrize(
    ("second", "words"),
    [(720.0, "an equally long beginning (720 s) of its longest stretch"), (300.0, "(720 s in no task, 300 s in talk)")],
)
def test_methods_tell_how_much_of_every_task_entered(tmp_path: Path, second: float, words: str) -> None:
    write_fake(tmp_path, Fake(modality="fnirs", n_dyads=3, n_sessions=3))
    plan = Plan.load(tmp_path / "plan.json")
    groups = (*plan.groups, *(replace(group, task="talk", seconds=second) for group in plan.groups))
    write_json(tmp_path / "plan.json", replace(plan, groups=groups).to_dict())
    assert words in methods_of(ReportedRun.of(tmp_path)).to_markdown()


def test_one_dyad_has_no_model(tmp_path: Path) -> None:
    methods = methods_of(ReportedRun.of(write_fake(tmp_path, Fake("cannot_tell", n_dyads=1))))
    text = methods.to_markdown()
    assert "No model of growth was fitted" in text
    assert "single dyad was described by the Theil-Sen slope (Sen, 1968)." in text
    assert "Satterthwaite" not in text
    assert "kuznetsova2017" not in keys(methods)


@pytest.mark.parametrize("needed", [True, False])
def test_methods_tell_whether_therapists_had_to_agree(tmp_path: Path, needed: bool) -> None:
    write_fake(tmp_path, Fake(full_pseudo=False))
    growth = growth_of_fake(tmp_path)
    replace(growth, therapist_level=replace(growth.therapist_level, needed=needed)).save(tmp_path)
    text = methods_of(ReportedRun.of(tmp_path)).to_markdown()
    assert ("a test over the therapists' mean slopes had to agree" in text) == needed


@pytest.mark.parametrize("whose", ["growth.json", "persons.json"])
def test_methods_tell_the_bound_of_no_change_where_it_was_tested(tmp_path: Path, whose: str) -> None:
    write_fake(tmp_path, Fake(full_pseudo=False))
    before = methods_of(ReportedRun.of(tmp_path)).to_markdown()
    content = json.loads((tmp_path / whose).read_text())
    write_json(tmp_path / whose, content | {"equivalence": content["equivalence"] | {"bound": 0.01}})
    text = methods_of(ReportedRun.of(tmp_path)).to_markdown()
    said = "Equivalence was tested (Schuirmann, 1987) against a slope of 0.01, named in advance."
    assert (said in before, said in text) == (False, True)
    assert ("change the same way. " + said in text) == (whose == "persons.json")


def every_methods(tmp_path: Path) -> list[Methods]:
    """Methods of runs that between them use every metric and every setting that a paper stands behind."""
    made = []
    for modality, long in itertools.product(("eeg", "fnirs"), (False, True)):
        folder = write_fake(tmp_path / f"{modality}-{long}", Fake(modality=modality, full_pseudo=False))
        mne = tuple(f"mne:{name}" for name in MNE_METHODS) if long else ()
        config = StudyConfig(
            metrics={modality: (*METRICS, *mne)},
            eeg_interpolate=long,
            eeg_ica="ocular+muscle" if long else "none",
            fnirs_ppf="age" if long else 6.0,
            fnirs_tasks=("talk",) if long else (),
        )
        (folder / "config.toml").write_text(config.to_toml())
        if long:
            growth = growth_of_fake(folder)
            assert growth.equivalence is not None
            replace(growth, equivalence=replace(growth.equivalence, bound=0.01, p=0.5, holds=False)).save(folder)
        made.append(methods_of(ReportedRun.of(folder)))
    for tested in (False, True):
        folder = write_fake(tmp_path / f"one-{tested}", Fake("cannot_tell", n_dyads=1, n_sessions=10 if tested else 5))
        made.append(methods_of(ReportedRun.of(folder)))
    return made


def test_a_text_lists_what_it_cites_and_nothing_else(tmp_path: Path) -> None:
    for methods in every_methods(tmp_path):
        text = " ".join(methods.paragraphs)
        for entry in REFERENCES.values():
            assert (f"{entry.short}" in text) == (entry in methods.references), entry.key
        assert not re.search(r"doi:(?!10\.)", methods.to_markdown())


def test_the_bibliography_holds_nothing_that_no_text_cites(tmp_path: Path) -> None:
    cited = {entry.doi for methods in every_methods(tmp_path) for entry in methods.references}
    assert cited == set(REFERENCES)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (("same_amplifier",), "Clocks: one amplifier's, as declared or as one file (9 sessions)."),
        (("triggers", "assumed"), "assumed to start together, not aligned ("),
        ((), "is not known"),
    ],
)
def test_methods_tell_how_clocks_came_together_in_this_run(tmp_path: Path, sources: tuple[str, ...], said: str) -> None:
    write_fake(tmp_path, SMALL)
    quality = load_table(tmp_path / "quality.tsv").drop(columns="clock_source")
    if sources:
        names = [sources[int(session == 1) * (len(sources) - 1)] for session in quality["session"]]
        quality = quality.assign(clock_source=names)
    write_table(tmp_path / "quality.tsv", quality)
    text = methods_of(ReportedRun.of(tmp_path)).to_markdown()
    assert said.replace("9 sessions", f"{len(quality) // 2} sessions") in text
    assert ("offset and drift are unknown" in text) == ("assumed" in sources)


@pytest.mark.parametrize("pairs", [0, 3, 6])
def test_methods_tell_what_chance_was_in_this_run(tmp_path: Path, pairs: int) -> None:
    write_fake(tmp_path, SMALL)
    table = load_table(tmp_path / "synchrony.tsv")
    table["n_pseudo"] = pairs
    if not pairs:
        table[["pseudo_mean_z", "pseudo_sd_z", "own_mean_z"]] = float("nan")
    write_table(tmp_path / "synchrony.tsv", table)
    text = methods_of(ReportedRun.of(tmp_path)).to_markdown()
    assert ("pseudo-dyads" in text) == (pairs > 0)
    assert ("In this run no other dyad could be re-paired" in text) == (pairs == 0)
    assert ("fewer than 4 pseudo pairs" in text) == (pairs == 3)
    assert ("A second chance level" in text) == (pairs > 0)


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ((81, 81), "with 81 circular shifts (1000 were asked for) of"),
        ((81, 120), "with 81 to 120 circular shifts (1000 were asked for) of"),
        ((1000, 1000), "with 1000 circular shifts of"),
        (None, "with at most 1000 circular shifts of"),
    ],
)
def test_methods_tell_how_many_shifts_were_used(tmp_path: Path, used: tuple[int, int] | None, said: str) -> None:
    write_fake(tmp_path, SMALL)
    table = load_table(tmp_path / "synchrony.tsv").drop(columns="lag_n")
    if used:
        table["lag_n"] = used[0]
        table.loc[table["session"] == 1, "lag_n"] = used[1]
    write_table(tmp_path / "synchrony.tsv", table)
    assert said in methods_of(ReportedRun.of(tmp_path)).to_markdown()


def test_methods_tell_every_comparison_that_was_asked_for(tmp_path: Path) -> None:
    write_fake(tmp_path, Fake(full_pseudo=False))  # enough dyads for tests
    asked = {
        "contrasts": {"talk_minus_rest": {"talk": 1, "rest": -1}},
        "group": "arm",
        "reference": "control",
        "moderators": ["motivation"],
    }
    table = designs_table().rename(columns={"age": "motivation"})
    found = fit_growth(table, primary={"task": "talk"}, n_flips=99, **asked)
    replace(growth_of_fake(tmp_path), differences=found.differences, groups=found.groups).save(tmp_path)
    (tmp_path / "config.toml").write_text(StudyConfig(**asked).to_toml())
    rows = load_table(tmp_path / "synchrony.tsv")
    both = [rows.assign(task=task) for task in ("talk", "rest", "talk_minus_rest")]
    write_table(tmp_path / "synchrony.tsv", pd.concat(both))
    text = methods_of(ReportedRun.of(tmp_path)).to_markdown()
    for said in (
        "analysed apart: talk, rest. ",
        "(talk_minus_rest: talk minus rest): the level",
        "(column arm: active with control)",
        "Whether growth went with motivation was tested",
        "corrected after Holm within each kind of question",
    ):
        assert said in text, said
    assert "were compared" not in methods_of(ReportedRun.of(write_fake(tmp_path / "plain", SMALL))).to_markdown()
