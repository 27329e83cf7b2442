"""Compiled loops over the samples of channels, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.metrics.engine import kernels

LEAST = {np.float64: 1e-200, np.float32: np.float32(1e-30)}


@pytest.fixture(params=[np.complex128, np.complex64])
def z(request):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3, 2500)) + 1j * rng.standard_normal((3, 2500)) + 0.4).astype(request.param)


def close(found, expected):
    tolerance = 1e-12 if (found.dtype.itemsize == 8 and found.dtype.kind == "f") or found.dtype == complex else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_phasors_and_scaled_samples_lie_above_each_other(z):
    least = LEAST[z.real.dtype.type]
    rows = np.empty((6, z.shape[1]), z.real.dtype)
    kernels.phase_rows(z, least, rows)
    close(rows[:3] + 1j * rows[3:], z / abs(z))
    scale = np.array([1, 2, 3], z.real.dtype)
    kernels.scaled_rows(z, scale, rows)
    close(rows[:3] + 1j * rows[3:], z * scale[:, None])
    assert kernels.power_scores(z, least, rows)
    close(rows[:3] + 1j * rows[3:], z / np.sqrt(np.mean(abs(z) ** 2, axis=1, keepdims=True)))
    assert not kernels.power_scores(z * np.array([[1], [np.nan], [1]]).astype(z.real.dtype), least, rows)


def test_sums_of_a_channel(z):
    squares, phasors = np.empty(3), np.empty(3, complex)
    kernels.sum_of_squares(z, squares)
    np.testing.assert_allclose(squares, (abs(z.astype(complex)) ** 2).sum(axis=1), rtol=1e-12)
    kernels.phasor_sums(z, LEAST[z.real.dtype.type], phasors)
    np.testing.assert_allclose(phasors, (z / abs(z)).sum(axis=1), rtol=1e-4)


def test_sines_of_deviations(z):
    least, turn = LEAST[z.real.dtype.type], np.exp(-0.3j) * np.ones(3)
    cosine, sine = (part.astype(z.real.dtype) for part in (turn.real, turn.imag))
    rows, squares = np.empty(z.shape, z.real.dtype), np.empty(3)
    kernels.sine_rows(z, least, cosine, sine, rows)
    close(rows, np.sin(np.angle(z) - 0.3))
    kernels.sine_squares(z, least, cosine, sine, squares)
    np.testing.assert_allclose(squares, (np.sin(np.angle(z) - 0.3) ** 2).sum(axis=1), rtol=1e-4)


def test_squares_of_rows_keep_their_phase(z):
    rows, out = np.concatenate([z.real, z.imag]), np.empty(3, complex)
    kernels.square_sums(rows, out)
    np.testing.assert_allclose(out, (z.astype(complex) ** 2).sum(axis=1), rtol=1e-3)
