"""One session from within."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hyperscan import plots
from hyperscan.errors import InputError
from report_fixtures import Fake, write_fake


def test_a_coherence_chart_arrow_points_up_where_the_therapist_leads() -> None:
    period, coi = 2.0 ** np.arange(1, 5, 0.25), np.full(200, 100.0)
    r2 = np.full((len(period), 200), 0.8)
    ax = plots.coherence_chart(r2, np.full_like(r2, np.pi / 2), period, coi, 2.0, significant=r2 > 0.5)
    arrows = next(c for c in ax.collections if type(c).__name__ == "Quiver")
    assert pytest.approx(np.ones_like(arrows.V)) == arrows.V
    assert ax.get_ylim() == (period[-1], period[0])
    assert ax.get_xlim()[1] == pytest.approx(99.5)


def test_a_coherence_chart_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="do not fit"):
        plots.coherence_chart(np.zeros((3, 10)), np.zeros((3, 9)), np.arange(1, 4), np.zeros(10), 2.0)


def test_time_course_band_is_the_middle_95_percent() -> None:
    null = np.tile(np.linspace(0, 1, 1001)[:, None], (1, 3))
    label = "plv, alpha, posterior-posterior (Fisher z)"
    ax = plots.time_course(np.array([10.0, 30.0, 50.0]), np.array([0.1, 0.2, 0.3]), null, label=label)
    ax.figure.canvas.draw()
    box = ax.yaxis.label.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= ax.figure.bbox.height, "the label is not cut off"
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.025, 0.975))


def test_histogram_counts_every_surrogate_and_marks_the_observed() -> None:
    ax = plots.surrogate_histogram(0.3, np.append(np.linspace(0, 0.2, 99), np.nan), p=0.01)
    assert sum(patch.get_height() for patch in ax.patches) == 99
    assert ax.lines[0].get_xdata()[0] == 0.3
    assert ax.get_legend().get_texts()[1].get_text() == "observed 0.3, p = .010"


def read_eeg(tmp_path: Any) -> Any:
    import hyperscan as hs

    folder = write_fake(tmp_path / "eeg", Fake(n_dyads=1, n_sessions=2, matrices=4))
    return hs.read_synchrony(next(folder.glob("dyad-*/ses-*/*.nc")))


def test_a_session_draws_itself_in_every_kind(tmp_path: Any) -> None:
    import hyperscan as hs

    folder = write_fake(tmp_path, Fake(modality="fnirs", n_dyads=1, n_sessions=2, matrices=4))
    result = hs.read_synchrony(next(folder.glob("dyad-*/ses-*/*.nc")))
    matrix = result.to_matrix("wtc", "slow")
    assert matrix.to_numpy() == pytest.approx(result.get_data("wtc", "slow")[0])
    drawn = result.plot(kind="matrix").axes[0].images[0].get_array()
    assert np.asarray(drawn) == pytest.approx(matrix.to_numpy())
    heads = result.plot(kind="heads", threshold=float(matrix.to_numpy().max())).axes[0]
    assert heads.get_title(loc="left").startswith("D01, session 1: 1 of 16 links: wtc, slow")
    with pytest.raises(InputError, match=r"one window, which has no course\. kind='coherence'"):
        result.plot(kind="windows")
    assert result.plot(kind="coherence").axes[0].get_ylabel() == "Period (s)"
    with pytest.raises(InputError, match="Did you mean 'heads'"):
        result.plot(kind="head")
    with pytest.raises(InputError, match="roi = 'all-al' is not in this result"):
        read_eeg(tmp_path).plot(kind="windows", roi="all-al")
    with pytest.raises(InputError, match="expected 'therapist' or 'client'"):
        result.positions("patient")


def test_windows_are_drawn_from_zero_on() -> None:
    low, high = plots.time_course(np.array([10.0, 30.0]), np.array([0.60, 0.61])).get_ylim()
    assert low <= 0 < 0.61 <= high
