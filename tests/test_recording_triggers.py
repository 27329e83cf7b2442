"""Two lists of event times: matched against truth, followed through resets, refused where chance would do."""

from __future__ import annotations

import numpy as np
import pytest

from clock_fixtures import SESSION_S, events_of_two_devices
from hyperscan.recording.clocks.triggers import Match, NoFitError, match_events


@pytest.mark.parametrize("seed", range(20))
def test_triggers_within_a_millisecond_and_a_ppm(seed: int) -> None:
    a, b, offset, ppm = events_of_two_devices(seed)
    fit = match_events(a, b)
    grid = np.arange(0.0, SESSION_S)
    error = fit.pieces[0].to_own(grid) - (grid - offset) * (1 + 1e-6 * ppm)
    assert np.sqrt(np.mean(error**2)) < 1e-3
    assert abs(fit.ppm - ppm) < 1.0
    assert len(fit.pieces) == 1
    assert 45 <= len(fit.matched) <= 80


def test_bouncing_triggers_change_nothing() -> None:
    a, b, *_ = events_of_two_devices(3)
    bouncing = np.sort(np.concatenate([a, a + 0.004, a + 0.011]))
    first, second = match_events(a, b), match_events(bouncing, b)
    assert second.offset_s == pytest.approx(first.offset_s, abs=1e-4)
    assert len(second.matched) == len(first.matched)


def test_a_clock_that_was_set_anew_gives_two_pieces() -> None:
    rng = np.random.default_rng(1)
    times = np.sort(rng.uniform(0, SESSION_S, 100))
    client = times - 2.0 - 7.5 * (times > 1200)
    fit = match_events(times, np.sort(client))
    assert len(fit.pieces) == 2
    assert float(fit.pieces[0].to_own(np.array(500.0))) == pytest.approx(498.0, abs=1e-6)
    assert float(fit.pieces[1].to_own(np.array(2000.0))) == pytest.approx(1990.5, abs=1e-6)
    assert any("set anew" in note for note in fit.notes)


def test_a_drift_that_changes_is_followed() -> None:
    rng = np.random.default_rng(2)
    times = np.sort(rng.uniform(0, SESSION_S, 150))
    bend = 0.008 * ((times - 1350) / 1350) ** 2
    fit = match_events(times, times - 3.0 + bend + rng.normal(0, 2e-4, 150))
    error = fit.pieces[0].to_own(times) - (times - 3.0 + bend)
    assert np.sqrt(np.mean(error**2)) < 3e-4
    assert any("smooth curve" in note for note in fit.notes)


def test_regular_triggers_cannot_be_told_apart_unless_something_helps() -> None:
    times = np.arange(0, 1000, 10.0)
    with pytest.raises(NoFitError, match="repeat regularly"):
        match_events(times, times[5:60])
    assert match_events(times, times[5:60], expected_s=0.2).offset_s == pytest.approx(0.0)
    names = [str(k) for k in np.random.default_rng(0).integers(0, 5, 100)]
    fit = match_events(times, times[5:60] - 3.0, names=(names, names[5:60]))
    assert fit.offset_s == pytest.approx(3.0)


def test_unrelated_events_do_not_fit() -> None:
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.uniform(0, 2000, 60)), np.sort(rng.uniform(0, 2000, 60))
    with pytest.raises(NoFitError, match="only"):
        match_events(a, b)


def reset_devices(seed: int, reset_s: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """As above, but the client's clock is set back in the middle."""
    rng = np.random.default_rng([1, seed])
    true = np.sort(rng.uniform(0, SESSION_S, 100))
    offset, ppm = rng.uniform(-10, 10), rng.uniform(-100, 100)
    own = (true - offset) * (1 + 1e-6 * ppm) - reset_s * (true > SESSION_S / 2)

    def seen(times: np.ndarray) -> np.ndarray:
        kept = times[rng.random(100) > 0.2]
        return np.sort(np.concatenate([kept + rng.normal(0, 1e-3, len(kept)), rng.uniform(0, SESSION_S, 10)]))

    return seen(true), seen(own), offset, ppm


@pytest.mark.parametrize("reset_s", [7.5, 0.3, 0.06])
@pytest.mark.parametrize("seed", range(4))
def test_a_reset_in_the_middle_is_followed(seed: int, reset_s: float) -> None:
    a, b, offset, ppm = reset_devices(seed, reset_s)
    fit = match_events(a, b)
    assert len(fit.pieces) == 2
    for piece, grid, shift in (
        (fit.pieces[0], np.arange(0.0, 1290.0), 0.0),
        (fit.pieces[1], np.arange(1410.0, SESSION_S), reset_s),
    ):
        error = piece.to_own(grid) - ((grid - offset) * (1 + 1e-6 * ppm) - shift)
        assert np.sqrt(np.mean(error**2)) < 1e-3


@pytest.mark.parametrize("period", [10.0, 27.0])
def test_regular_triggers_with_missing_ones_are_refused(period: float) -> None:
    rng = np.random.default_rng(0)
    times = 3.0 + period * np.arange(60)
    a, b = times[rng.random(60) > 0.2], times[rng.random(60) > 0.2] - 2.0
    with pytest.raises(NoFitError, match="repeat regularly"):
        match_events(a, b)


@pytest.mark.parametrize("seed", range(15))
def test_two_of_five_are_no_match(seed: int) -> None:
    """With the drift to move in, two of five unrelated events often fit by chance: never a wrong offset."""
    rng = np.random.default_rng(seed)
    true = np.sort(rng.uniform(0, SESSION_S, 5))
    a = np.sort(np.concatenate([true[:2], rng.uniform(0, SESSION_S, 3)]))
    b = np.sort(np.concatenate([true[:2] - 4.0, rng.uniform(0, SESSION_S, 3)]))
    with pytest.raises(NoFitError):
        match_events(a, b)
    fit = match_events(true, true - 4.0 + rng.normal(0, 1e-3, 5))
    assert fit.offset_s == pytest.approx(4.0, abs=0.01)
    assert len(fit.matched) == 5


def test_a_stretch_without_partners_is_left_out() -> None:
    rng = np.random.default_rng(5)
    a = np.sort(rng.uniform(0, SESSION_S, 100))
    b = np.sort(np.where(a > 1500, a - 3.0 + rng.uniform(-5, 5, 100), a - 3.0))
    fit = match_events(a, b)
    assert fit.pieces[-1].stop < 1500
    assert any("no event of either device has a partner" in note for note in fit.notes)


def rows_match(*pairs: tuple[int, int]) -> Match:
    return Match(np.array(pairs), 1.0, 0.0, 0.0)


def test_matches_conflict_where_they_claim_the_same_events() -> None:
    first = rows_match((0, 0), (1, 1), (2, 2))
    assert rows_match((0, 1), (1, 2), (2, 3)).conflicts(first)
    assert not rows_match((0, 0), (1, 1), (3, 3)).conflicts(first)
    assert not rows_match((5, 5), (6, 6), (7, 7)).conflicts(first)


def test_matches_are_parted_in_time_whichever_comes_first() -> None:
    early, late = rows_match((0, 0), (1, 1), (6, 6)), rows_match((3, 2), (4, 3), (5, 4))
    for one, other in ((early, late), (late, early)):
        left, right = one.part(other)
        kept = {id(early): left if one is early else right, id(late): right if one is early else left}
        assert kept[id(early)].rows[:, 0].tolist() == [0, 1]
        assert kept[id(late)].rows[:, 0].tolist() == [3, 4, 5]


def test_a_line_is_fitted_to_the_pairs_it_is_given() -> None:
    b = np.array([0.0, 100.0, 200.0, 300.0])
    a = 5.0 + b * (1 - 50e-6)
    fit = rows_match((0, 0), (1, 1)).refit(a, b, np.array([[0, 0], [1, 1], [2, 2], [3, 3]]))
    assert fit.rate == pytest.approx(1 - 50e-6, abs=1e-12)
    np.testing.assert_allclose(fit.predict(b), a)
    # two events cannot tell the rate
    assert rows_match((0, 0)).refit(a, b, np.array([[0, 0], [3, 3]])).rate == 1.0


def test_one_shared_event_gives_an_offset_and_no_drift() -> None:
    fit = match_events(np.array([12.0]), np.array([2.0]))
    assert fit.offset_s == 10.0
    assert np.isnan(fit.ppm)
    assert fit.matched.tolist() == [[0, 0]]
    with pytest.raises(NoFitError, match="no events"):
        match_events(np.array([]), np.array([2.0]))
