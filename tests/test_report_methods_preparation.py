"""The methods tell how recordings were prepared: steps that were asked for, where they were done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hyperscan.report.methods import methods_of
from hyperscan.report.run import ReportedRun
from hyperscan.results.plan import Decided, Plan
from hyperscan.storage import write_json
from report_fixtures import Fake, write_fake

SMALL = Fake(n_dyads=3, n_sessions=3)


@pytest.mark.parametrize(
    ("references", "said"),
    [
        (("average",), "re-referenced to the average, as all caps have 16 channels or more"),
        (("recorded",), "left in the recorded reference, as all caps have fewer than 16 channels"),
        (("average", "recorded"), "re-referenced to the average from 16 channels on and left as recorded otherwise"),
    ],
)
def test_methods_tell_the_reference_of_this_run(tmp_path: Path, references: tuple[str, ...], said: str) -> None:
    write_fake(tmp_path, SMALL)
    plan = Plan.load(tmp_path / "plan.json")
    decided = tuple(Decided("eeg", "", "D01", name, "reference", {name: ("1",)}) for name in references)
    write_json(tmp_path / "plan.json", replace(plan, decisions=decided).to_dict())
    assert said in methods_of(ReportedRun.of(tmp_path)).to_markdown()


#: Steps that are asked for and may find nothing to do: a decision, its values in a run, and what is told of the step.
ASKED = 'eeg_interpolate = true\neeg_ica = "ocular"\n'
STEPS = [
    ("eeg", "interpolated", ("none",), (), ("were interpolated", "Perrin")),
    ("eeg", "interpolated", ("none", "Cz"), ("were interpolated by spherical splines where positions are known",), ()),
    ("eeg", "components", ("none",), ("were looked for, and none was found, by ICLabel",), ("were removed",)),
    ("eeg", "components", ("none", "2 ocular"), ("artefacts were removed, found by ICLabel",), ()),
    ("eeg", "filtered", ("yes", "no"), ("were not filtered, notched or resampled",), ()),
    ("eeg", "filtered", ("yes",), ("EEG was band-pass filtered",), ("not filtered",)),
    (
        *("fnirs", "level", ("haemoglobin",), ("In fNIRS, haemoglobin was taken as recorded, without scalp coupling",)),
        ("below 0.75 were left out", "derivative distribution", "optical density", "pathlength factor", "Delpy"),
    ),
    (
        *("fnirs", "level", ("haemoglobin", "intensity")),
        (
            "below 0.75 were left out",
            "optical density was converted",
            "recordings of haemoglobin were taken as they are",
        ),
        (),
    ),
    ("fnirs", "level", ("intensity",), ("optical density was converted",), ("as recorded",)),
    ("fnirs", "coupling_judged", ("no",), ("optical density",), ("scalp coupling", "Pollonini")),
    ("fnirs", "coupling_judged", ("yes", "no"), ("left out where the sampling rate holds the heart beat",), ()),
    ("fnirs", "short_regressed", ("no",), (), ("short channels", "Saager")),
    ("fnirs", "short_regressed", ("yes", "no"), ("short channels, where present, were regressed out",), ()),
    ("fnirs", "events", ("0",), (), ("annotated events",)),
    ("fnirs", "events", ("0", "2"), ("annotated events were regressed out",), ()),
]


@pytest.mark.parametrize(("modality", "name", "values", "there", "absent"), STEPS)
def test_methods_tell_no_step_that_was_not_done(
    tmp_path: Path, modality: str, name: str, values: tuple[str, ...], there: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    write_fake(tmp_path, replace(SMALL, modality=modality))
    (tmp_path / "config.toml").write_text(ASKED)
    plan = Plan.load(tmp_path / "plan.json")
    other = Decided({"eeg": "fnirs", "fnirs": "eeg"}[modality], "", "D01", "T01", name, {"x": ("1",)})
    decided = (other, *(Decided(modality, "", "D01", value, name, {value: ("1",)}) for value in values))
    write_json(tmp_path / "plan.json", replace(plan, decisions=decided).to_dict())
    text = methods_of(ReportedRun.of(tmp_path)).to_markdown()
    assert [words for words in there if words not in text] == []
    assert [words for words in absent if words in text] == []
