"""Annotated events as regressors, and regressed out of both people."""

from __future__ import annotations

import dataclasses

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.recording.cleaning.events import (
    SessionEvent,
    event_regressors,
    haemodynamic_response,
    regress_events,
    session_events,
)
from hyperscan.recording.cleaning.prepare import preprocess_pair
from prepare_fixtures import (
    EXTINCTION,
    PPF,
    fnirs_pair,
    hbo_of,
    mean_correlation,
)

WITHOUT = StudyConfig(fnirs_short_regression=False)


def test_events_are_regressed_out_of_both():
    pair, _ = fnirs_pair(17, 600.0, scalp_m=0.0)
    onsets = np.array([40.0, 110.0, 190.0, 260.0, 350.0, 420.0, 500.0])
    density = event_regressors({"turn": [SessionEvent(t, 20.0) for t in onsets]}, pair.therapist.n_times, 8.0)[0]
    evoked = 3e-6 * density / density.max()
    for raw in (pair.therapist, pair.client):
        for row in range(8):
            raw._data[row] *= np.exp(-EXTINCTION[row % 2] @ np.array([evoked, -evoked / 3]) * 30 * PPF)
    pair.therapist.set_annotations(mne.Annotations([*onsets, 5.0], [*[20.0] * 7, 3.0], [*["turn"] * 7, "BAD_x"]))
    cleaned = preprocess_pair(pair, WITHOUT)
    left = preprocess_pair(pair, dataclasses.replace(WITHOUT, fnirs_regress_events=False))
    together = [mean_correlation(hbo_of(p.therapist), hbo_of(p.client)) for p in (left, cleaned)]
    assert together[0] > 0.6
    assert together[1] < 0.2
    assert any("'turn' (7)" in line and "BAD" not in line for line in cleaned.history)
    ignoring = preprocess_pair(pair.replace(session=dataclasses.replace(pair.session, segment_event="turn")), WITHOUT)
    assert any("no annotated events" in line for line in ignoring.history)


def test_response_to_events_has_its_known_shape():
    times = np.arange(0, 40, 0.1)
    response = haemodynamic_response(times)
    assert times[response.argmax()] == pytest.approx(5.0, abs=0.11)
    assert response.max() == 1.0
    assert -0.12 < response.min() < -0.05
    assert 14 < times[response.argmin()] < 17
    assert event_regressors({}, 100, 2.0).shape == (0, 100)


def test_events_of_both_recordings_are_one_list():
    raws = [mne.io.RawArray(np.zeros((1, 1000)), mne.create_info(1, 10.0, "eeg"), verbose="error") for _ in range(2)]
    raws[0].set_annotations(mne.Annotations([10.0, 40.0, 0.0], [2.0, 2.0, 99.0], ["turn", "turn", "whole"]))
    raws[1].set_annotations(mne.Annotations([10.3, 70.0, 20.0], [2.0, 2.0, 1.0], ["turn", "turn", "BAD_x"]))
    events = session_events(raws, ignore=["sync"])
    assert events == {"turn": [SessionEvent(10.0, 2.0), SessionEvent(40.0, 2.0), SessionEvent(70.0, 2.0)]}
    assert session_events(raws, ignore=["turn"]) == {}
    raws[1].set_annotations(mne.Annotations(np.arange(13.0), 0.5, [f"code {k}" for k in range(13)]))
    assert list(session_events(raws)) == ["any event"]


def test_too_many_kinds_are_not_regressed_out():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2, 600))
    few = {"turn": [SessionEvent(20.0, 5.0), SessionEvent(120.0, 5.0)]}
    cleaned = regress_events(data, few, 2.0, (0.02, 0.5))
    assert cleaned.shape == data.shape
    assert (cleaned.var(-1) < data.var(-1)).all()
    many = {f"code {k}": [SessionEvent(2.0 * k, 1.0)] for k in range(31)}
    assert regress_events(data, many, 2.0, (0.02, 0.5)) is None
