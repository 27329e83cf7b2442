"""Cutting windows."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.transforms import cut_windows, sliding_starts, window_starts

X = np.arange(2 * 3 * 20).reshape(2, 3, 20)


@pytest.mark.parametrize("starts", [[0, 5, 10], [3], [0, 1, 2, 3], [15, 0, 7], [4, 4]])
def test_windows_are_the_slices(starts):
    windows = cut_windows(X, starts, 5)
    assert windows.shape == (len(starts), 2, 3, 5)
    for window, start in zip(windows, starts, strict=True):
        np.testing.assert_array_equal(window, X[..., start : start + 5])


def test_equally_spaced_windows_are_not_copied():
    assert np.shares_memory(cut_windows(X, np.arange(0, 16, 2), 5), X)


def test_starts():
    np.testing.assert_array_equal(window_starts(20, 6, onset=7), [7, 13, 19])
    np.testing.assert_array_equal(sliding_starts(20, 6, 4), [0, 4, 8, 12])
    assert window_starts(5, 6).size == 0


@pytest.mark.parametrize(
    ("starts", "n_window", "text"),
    [
        ([0, 16], 5, r"5 samples from sample 16 leaves the recording of 20 samples\.\n.* 0 to 15"),
        ([-1], 5, r"from sample -1 leaves"),
        ([0], 21, r"n_window must be 1 to 20 samples, the length of x, got 21"),
        ([0], 0, r"n_window must be 1 to 20"),
        ([0.5], 5, r"sample numbers \(integers\), got float64"),
        ([], 5, r"non-empty sequence"),
    ],
)
def test_windows_outside_are_refused(starts, n_window, text):
    with pytest.raises(InputError, match=text):
        cut_windows(X, starts, n_window)


@pytest.mark.parametrize(("n_window", "n_step", "name"), [(0, 1, "n_window"), (5, 0, "n_step")])
def test_empty_steps_are_refused(n_window, n_step, name):
    with pytest.raises(InputError, match=f"{name} must be a positive number of samples, got 0"):
        sliding_starts(20, n_window, n_step)
