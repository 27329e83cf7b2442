"""Compiled loops over pairs of channels, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.metrics.engine import pair_kernels


def rows(n, seed):
    z = np.random.default_rng(seed).standard_normal((2, n, 700))
    z = z[0] + 1j * z[1]
    return z, np.concatenate([z.real, z.imag])


@pytest.fixture
def people():
    """Three therapist and two client channels, as they are and as rows of real above imaginary parts."""
    return rows(3, 0), rows(2, 1)


def test_sums_of_the_imaginary_part(people):
    (a, rows_a), (b, rows_b) = people
    imaginary = (a[:, None] * b.conj()).imag
    sums, squares = np.empty((2, 3, 2)), np.empty((3, 3, 2))
    pair_kernels.lag_sums(rows_a, rows_b, sums)
    np.testing.assert_allclose(sums, [imaginary.sum(-1), abs(imaginary).sum(-1)], atol=1e-10)
    pair_kernels.lag_squares(rows_a, rows_b, squares)
    np.testing.assert_allclose(squares, [*sums, (imaginary**2).sum(-1)], atol=1e-10)


def test_signs_count_leads_and_leave_small_sines_out(people):
    (a, _), (b, _) = people
    a, b = a / abs(a), b / abs(b)
    sine = (a[:, None] * b.conj()).imag
    sine[abs(sine) <= 0.2] = 0
    out = np.empty((3, 2), np.int64)
    stacked = [np.concatenate([x.real, x.imag]) for x in (a, b)]
    pair_kernels.lag_signs(*stacked, 0.2, out)
    np.testing.assert_array_equal(out, np.sign(sine).sum(-1))


def test_envelopes_after_orthogonalisation(people):
    (a, _), (b, _) = people
    stacked = [np.concatenate([(x / abs(x)).real, (x / abs(x)).imag, abs(x)]) for x in (a, b)]
    out = np.empty((5, 3, 2))
    pair_kernels.orthogonal_sums(*stacked, out)
    s, e, f = abs(np.sin(np.angle(a)[:, None] - np.angle(b))), abs(a)[:, None], abs(b)[None]
    expected = [(f * s), (f * s) ** 2, (e * s), (e * s) ** 2, e * f * s]
    np.testing.assert_allclose(out, [each.sum(-1) for each in expected], rtol=1e-10)


def test_robust_correlation_stands_one_artefact():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, 5000))
    y = 0.6 * x + 0.8 * rng.standard_normal((1, 5000))
    out, spoiled = np.empty((1, 1)), np.empty((1, 1))
    pair_kernels.robust_correlation(x, y, 4.685, out)
    assert out.item() == pytest.approx(0.6, abs=0.02)
    x[0, 7], y[0, 7] = 1e3, -1e3
    pair_kernels.robust_correlation(x, y, 4.685, spoiled)
    assert spoiled.item() == pytest.approx(out.item(), abs=1e-3)
