"""From a table to the verdict: many outcomes at once, figures beside the guards, arguments."""

from __future__ import annotations

import ast
import inspect
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from growth_fixtures import many, table
from hyperscan.config import StudyConfig
from hyperscan.errors import InputError, TableError
from hyperscan.growth import GrowthResult, fit_growth

PACKAGE = Path(__file__).parents[1] / "src" / "hyperscan"


def test_exploratory_outcomes_are_corrected_together() -> None:
    result = fit_growth(many())
    rows = pd.DataFrame(result.exploratory)
    assert len(rows) == 8
    assert rows["primary"].sum() == 1
    assert (rows["p_max_t"] >= rows["p"] * 0.5).all()
    assert rows.loc[rows["primary"], "p_max_t"].item() < 0.05
    assert (rows["q_bh"] >= rows["p"]).all()
    assert rows.loc[rows["primary"], "slope"].item() == pytest.approx(result.two_stage["slope"])


def test_an_outcome_of_few_dyads_does_not_hide_the_others() -> None:
    few = table(0.0, seed=4, metric="ciplv").query("dyad in ['D00', 'D01']")
    rows = {
        row["metric"]: row
        for row in fit_growth(pd.concat([table(metric="plv"), few]), primary={"metric": "plv"}).exploratory
    }
    assert rows["plv"]["p_max_t"] == 2 / 2**8
    assert np.isnan(rows["ciplv"]["p_max_t"])
    assert rows["ciplv"]["n_dyads"] == 2
    assert np.isnan(rows["ciplv"]["q_bh"])


def test_figures_beside_the_guards() -> None:
    data = table(seconds=600.0)
    data = data[~((data["dyad"] == "D00") & (data["session"] > 3))]
    data.loc[data["dyad"] == "D03", "excess_z"] *= 4
    base = table()[["dyad", "session"]].assign(task="", run="")
    rows = [
        base.assign(person=p, highfreq=0.1 * base["session"] * (p == "client"), snr_alpha=1.0)
        for p in ("therapist", "client")
    ]
    figures = fit_growth(data, quality=pd.concat(rows)).figures
    trends = {(row["name"], row["person"]): row for row in figures["trends"]}
    assert trends["highfreq", "client"]["slope"] == pytest.approx(0.1)
    assert trends["highfreq", "therapist"]["slope"] == 0
    assert trends["seconds", None]["p"] == 1
    assert figures["leave_one_out"]["dyad"] == "D03"
    assert figures["leave_one_out"]["same_sign"]
    assert figures["missing"]["n_stopped_early"] == 1
    assert (figures["missing"]["n_planned"], figures["missing"]["n_observed"]) == (48, 45)


def test_speech_is_that_of_the_outcomes_task() -> None:
    data = pd.concat([table(task="rest", speech=1.0), table(task="talk").assign(speech=lambda d: d["session"] * 10.0)])
    for task, slope in (("rest", 0.0), ("talk", 10.0)):
        (found,) = fit_growth(data, primary={"task": task}).figures["trends"]
        assert (found["name"], found["slope"]) == ("speech", pytest.approx(slope))
    with pytest.raises(TableError, match="speech: row 1 holds 'lots'"):
        fit_growth(table(speech="lots"))


def test_a_verdict_on_64_outcomes_is_quick() -> None:
    rows = ("posterior", "frontal", "central", "all")
    data = many(("plv", "ciplv", "imcoh", "accorr"), ("theta", "alpha", "beta", "gamma"), rows, n=20, sessions=8)
    start = time.process_time()
    result = fit_growth(data)
    assert len(result.exploratory) == 64
    assert time.process_time() - start < 4


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"equivalence_slope": -1}, "equivalence_slope = -1"),
        ({"equivalence_slope": "x"}, "equivalence_slope = 'x'"),
        ({"equivalence_slope": True}, "equivalence_slope = True"),
        ({"modality": "meg"}, "modality = 'meg': expected 'eeg' or 'fnirs'"),
        ({"n_flips": 0}, "n_flips = 0: expected a whole number from 19"),
        ({"n_flips": 99.5}, "n_flips = 99.5"),
        ({"primary": {"roi_pair": "a"}}, "unknown key 'roi_pair'"),
        ({"primary": "plv"}, "expected a Primary"),
        ({"outcomes": "alliance"}, "expected a list"),
        ({"min_pseudo": 0}, "min_pseudo = 0: expected a whole number from 1"),
        ({"min_pseudo": 4.0}, "min_pseudo = 4.0"),
    ],
)
def test_argument_errors(given: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        fit_growth(table(), **given)


# --- settings ---

#: Numbers of a run's settings that growth uses, and what else a value of it changes.
SETTINGS = sorted(
    item.name
    for item in fields(StudyConfig)
    if item.name in inspect.signature(fit_growth).parameters and isinstance(item.default, int | float)
)


def test_the_settings_that_growth_uses_are_those_of_its_arguments() -> None:
    assert SETTINGS == ["equivalence_slope", "min_pseudo", "seed"]


@pytest.mark.parametrize("name", SETTINGS)
def test_an_argument_has_the_default_of_its_setting(name: str) -> None:
    assert inspect.signature(fit_growth).parameters[name].default == getattr(StudyConfig(), name)


@pytest.mark.parametrize(
    "path",
    [path for room in ("growth", "report") for path in sorted((PACKAGE / room).rglob("*.py"))],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_no_constant_and_no_default_repeats_a_setting(path: Path) -> None:
    settings = {item.name for item in fields(StudyConfig)}
    repeated = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign):
            names = [target.id.lower().lstrip("_") for target in node.targets if isinstance(target, ast.Name)]
            repeated += [name for name in names if name in settings and isinstance(node.value, ast.Constant)]
        elif isinstance(node, ast.FunctionDef):
            given = [*node.args.args, *node.args.kwonlyargs]
            defaults = [*node.args.defaults, *node.args.kw_defaults]
            pairs = zip(given[len(given) - len(defaults) :], defaults, strict=True)
            # of a seed and of a time axis 0 and "session" are what anyone would write
            repeated += [
                name.arg
                for name, value in pairs
                if name.arg in settings - {"seed", "time", "primary", "outcomes"} and isinstance(value, ast.Constant)
            ]
    assert repeated == []


def test_a_chance_level_is_weak_below_the_setting() -> None:
    data = table(n_pseudo=5)
    assert fit_growth(data).design.n_weak_chance == 0
    found = fit_growth(data, min_pseudo=6)
    assert found.design.n_weak_chance == 48
    assert "In 48 sessions fewer than 6 pseudo pairs make the chance level." in found.sentence


@pytest.mark.parametrize(
    ("slopes", "leaks"),
    [
        ({"theta": 0.02, "alpha": 0.06, "beta": 0.015, "gamma": 0.015}, {"theta": "alpha", "beta": "alpha"}),
        ({"theta": 0.06, "alpha": 0.0, "beta": 0.0, "gamma": 0.0}, {}),
        ({"theta": -0.02, "alpha": 0.06, "beta": 0.03, "gamma": 0.015}, {"beta": "alpha", "gamma": "beta"}),
    ],
)
def test_a_band_that_may_show_the_skirt_of_another_says_so(slopes: dict[str, float], leaks: dict[str, str]) -> None:
    parts = [
        table(slope, sd=0.005, slope_sd=0.001, seed=k).assign(metric="plv", band=band, roi="all-all")
        for k, (band, slope) in enumerate(slopes.items())
    ]
    growth = fit_growth(pd.concat(parts), primary={"band": "alpha"}, n_flips=99)
    found = {row.outcome.band: row.leaks_from for row in growth.exploratory if row.leaks_from}
    assert {band: found.get(band) for band in leaks} == leaks
    assert "alpha" not in found
    for band, source in leaks.items():
        assert f"plv {band} all-all" in growth.summary()
        assert f"(may leak from {source})" in growth.summary()
    again = GrowthResult.from_dict(growth.to_dict()).exploratory
    assert [row.leaks_from for row in again] == [row.leaks_from for row in growth.exploratory]
