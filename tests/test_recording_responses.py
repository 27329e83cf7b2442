"""Responses to annotated tasks: where they are, where they are not, and why there may be none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, DataQualityWarning
from hyperscan.recording import PairedRecording, align_pair, preprocess_pair
from hyperscan.recording.cleaning.events import SessionEvent, estimate_responses, task_events
from hyperscan.schema import ROLES, Index
from hyperscan.simulate import FnirsTruth, Optodes, simulate_fnirs
from hyperscan.simulate.fnirs import write_snirf
from hyperscan.study import Session
from hyperscan.synchrony import Signals, recipe_of, signals_of, within_values
from hyperscan.synchrony.within import mirrored_regions

SFREQ, N = 2.0, 1200
EVENTS = [SessionEvent(20.0 + 33.0 * i + i % 3, 12.0) for i in range(16)]


def course(events: list[SessionEvent]) -> np.ndarray:
    """Answer of a leaky vessel, which is no gamma function."""
    times, answer = np.arange(N) / SFREQ, np.zeros(N)
    for onset, duration in events:
        answer += (times >= onset) & (times < onset + duration)
    for _ in range(3):
        answer = np.convolve(answer, np.exp(-np.arange(0, 20, 1 / SFREQ) / 1.8))[:N]
    return answer / answer.max()


def blood(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    hbo = 1e-7 * rng.normal(size=(4, N))
    hbo[:2] += 5e-7 * course(EVENTS)
    return {"hbo": hbo, "hbr": -0.3 * hbo}


def test_a_response_is_found_where_it_is_and_nowhere_else() -> None:
    (found,), lacking = estimate_responses(blood(), np.empty((0, N)), {"talk": EVENTS}, SFREQ, 0.01)
    assert (found.task, found.n_events, found.seconds, lacking) == ("talk", 16, 12.0, {})
    assert (found.height["hbo"][:2] > 3.3e-7).all()
    assert np.abs(found.height["hbo"][2:]).max() < 0.5e-7
    np.testing.assert_allclose(found.height["hbr"], -0.3 * found.height["hbo"], rtol=1e-6)


def test_a_scalp_that_follows_the_task_is_no_response() -> None:
    rng = np.random.default_rng(1)
    wave = 1e-6 * np.convolve(rng.normal(size=N), np.ones(10) / 10, mode="same")
    scalp = wave + 4e-7 * course(EVENTS) + 2e-8 * rng.normal(size=(2, N))
    seen = {"hbo": blood()["hbo"] + wave + 4e-7 * course(EVENTS)}
    (without,), _ = estimate_responses(seen, np.empty((0, N)), {"talk": EVENTS}, SFREQ, 0.01)
    (found,), _ = estimate_responses(seen, scalp, {"talk": EVENTS}, SFREQ, 0.01)
    assert without.height["hbo"][2:].mean() > 2e-7
    assert abs(found.height["hbo"][2:].mean()) < 0.6e-7
    assert found.height["hbo"][:2].mean() > 3e-7


def test_what_cannot_be_told_has_no_response_and_says_why() -> None:
    tasks = {
        "few": EVENTS[:2],
        "one": EVENTS,
        "again": EVENTS,
        "late": [SessionEvent(601.0 + i, 1.0) for i in range(9)],
    }
    found, lacking = estimate_responses(blood(), np.empty((0, N)), tasks, SFREQ, 0.01)
    assert found == ()
    assert set(lacking) == {"few", "one", "again", "late"}
    assert "2 events, and a response needs 3" in lacking["few"]
    assert "that of other tasks" in lacking["again"]


def test_tasks_are_found_by_name_whatever_their_kind() -> None:
    info = mne.create_info(["S1_D1 hbo"], SFREQ, "hbo")
    raws = [mne.io.RawArray(np.zeros((1, N)), info, verbose="error") for _ in range(2)]
    raws[0].set_annotations(mne.Annotations([50, 10], [5, 5], ["Stimulus/talk", "talk"]))
    raws[1].set_annotations(mne.Annotations([10.2, 90, 30], [5, 5, 5], ["talk", "talk", "BAD_talk"]))
    found = task_events(raws, ["talk", "rest"])
    assert [event.onset_s for event in found["talk"]] == [10, 50, 90]
    assert found["rest"] == []


def test_names_of_tasks_that_no_annotation_could_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="Write what stands behind the /"):
        StudyConfig(fnirs_tasks=["Stimulus/talk"])


def test_left_and_right_are_told_by_names() -> None:
    assert mirrored_regions(["left_hand", "right_hand", "lx", "rx", "left"]) == [("left_hand", "right_hand")]


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> PairedRecording:
    """Five minutes of light with the annotation ``talk`` and without a response."""
    light = simulate_fnirs(FnirsTruth(0.3), Optodes(4, 1), 4.0, 300.0, np.random.default_rng(0))
    raws = []
    for role, data in zip(ROLES, light, strict=True):
        path = tmp_path_factory.mktemp("light") / f"{role}.snirf"
        write_snirf(path, data, Optodes(4, 1), 4.0)
        raw = mne.io.read_raw_snirf(path, verbose="error").load_data(verbose="error")
        raws.append(raw.set_annotations(mne.Annotations(20.0 + 30 * np.arange(9), 10.0, "talk")))
    here = Path("study")
    return align_pair(
        PairedRecording(*raws, Session("D1", "T1", "C1", 1, "fnirs", here, here, here, clock="same_amplifier"))
    )


CONFIG = StudyConfig(
    rois={"lA": ["S1_D1", "S2_D2"], "rA": ["S3_D3", "S4_D4"]},
    metrics={"fnirs": ["corr"]},
    within_metrics={"fnirs": ["corr"]},
    fnirs_tasks=["talk"],
)


@pytest.mark.filterwarnings("ignore:.*under 600 s")
def test_a_person_has_a_row_per_region_and_side(annotated: PairedRecording, tmp_path: Path) -> None:
    pair = preprocess_pair(annotated, CONFIG)
    assert any(step.startswith("responses to tasks estimated") and "'talk' (9)" in step for step in pair.history)
    signals = signals_of(pair, "client", CONFIG)
    signals.save(tmp_path / "client.npz")
    stored = Signals.load(tmp_path / "client.npz")
    recipe, n_times = recipe_of(CONFIG, "fnirs"), signals.data["hbo"].shape[-1]
    values, again = (
        {each.index: each for each in within_values(one, np.zeros(1, int), n_times, recipe)}
        for one in (signals, stored)
    )
    assert values == again
    responses = {index: each.value for index, each in values.items() if index.band == "talk"}
    assert len(responses) == 2 * (3 + 1) + 2
    assert responses[Index("task_events", "talk", "all")] == 9
    left, right = (responses[Index("response", "talk", name)] for name in ("lA", "rA"))
    assert responses[Index("laterality", "talk", "lA-rA")] == pytest.approx(left - right)
    assert abs(left) < 0.3  # µM


@pytest.mark.filterwarnings("ignore:.*under 600 s")
def test_a_session_without_the_annotation_says_so(annotated: PairedRecording) -> None:
    with pytest.warns(DataQualityWarning, match="'rest' has no response here: no annotation is called so"):
        pair = preprocess_pair(annotated, dataclasses.replace(CONFIG, fnirs_tasks=["rest", "talk"]))
    assert [one.task for one in pair.responses["client"]] == ["talk"]
