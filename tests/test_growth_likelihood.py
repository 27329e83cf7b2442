"""The deviance of a mixed model, its derivatives, and how terms are laid out."""

from __future__ import annotations

import numpy as np
import pytest

from growth_fixtures import dense, numerical_hessian, study
from hyperscan.errors import InputError
from hyperscan.growth.likelihood import Problem, RandomTerm, TermLayout, derivatives, evaluate, rotate


@pytest.mark.parametrize("reml", [True, False])
def test_derivatives_are_those_of_the_deviance(reml: bool) -> None:
    y, t, dyad = study(5, kept=0.8)
    x = np.column_stack([np.ones_like(t), t])
    layout = TermLayout.of([RandomTerm(dyad, x)])
    z, xs, ys = layout.stack([RandomTerm(dyad, x)], x, y)
    problem = rotate(z, xs, ys, layout.patterns, n=len(y), reml=reml)
    theta = np.array([0.8, 0.2, 0.4])
    d = derivatives(problem, evaluate(problem, theta))
    h = 1e-6
    numerical = [
        (evaluate(problem, theta + h * e).deviance - evaluate(problem, theta - h * e).deviance) / (2 * h)
        for e in np.eye(3)
    ]
    np.testing.assert_allclose(d.gradient, numerical, rtol=1e-5)
    profiled = numerical_hessian(lambda v: evaluate(problem, v).deviance, theta, 1e-4)
    np.testing.assert_allclose(d.profiled(), profiled, rtol=1e-4, atol=1e-4)


def problem_of(y, x, terms, reml: bool) -> Problem:
    layout = TermLayout.of(terms)
    return rotate(*layout.stack(terms, x, y), layout.patterns, n=len(y), reml=reml)


@pytest.mark.parametrize("reml", [True, False])
def test_the_deviance_is_that_of_the_dense_covariance(reml: bool) -> None:
    y, t, dyad = study(7, kept=0.7)
    x = np.column_stack([np.ones_like(t), t])
    term = RandomTerm(dyad, x)
    # parameters count per root mean square of their column
    size = np.sqrt((x**2).mean(0))
    theta = np.array([0.9, 0.1, 0.5])
    found = evaluate(problem_of(y, x, [term], reml), theta)
    dev, beta, _, sigma2 = dense(y, x, [(dyad, x / size)], theta, reml)
    assert found.deviance == pytest.approx(dev, rel=1e-10)
    assert found.beta == pytest.approx(beta)
    assert found.sigma2 == pytest.approx(sigma2)


def test_dyads_lie_inside_their_therapists() -> None:
    y, t, dyad = study(8, n=6, sessions=3)
    x = np.column_stack([np.ones_like(t), t])
    layout = TermLayout.of([RandomTerm(dyad % 2, x), RandomTerm(dyad, x)])
    assert layout.n_slots == (1, 3)
    assert layout.patterns.shape == (6, 8, 8)
    z, xs, ys = layout.stack([RandomTerm(dyad % 2, x), RandomTerm(dyad, x)], x, y)
    assert (z.shape, xs.shape, ys.shape) == ((2, 9, 8), (2, 9, 2), (2, 9))
    assert np.sort(ys.ravel()) == pytest.approx(np.sort(y))
    with pytest.raises(InputError, match="lies in several groups of the first term"):
        TermLayout.of([RandomTerm(np.arange(18) % 2, x), RandomTerm(dyad, x)])
