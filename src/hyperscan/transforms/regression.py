"""Regression of a slow signal whose noise has a memory and outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Residuals beyond this many robust SD count nothing: bisquare weights, 95 % efficient for Gaussian noise (Holland and
#: Welsch 1977).
BISQUARE = 4.685
#: A fit is done when its coefficients move by less than this share of the noise, or after so many rounds (our choice).
TOLERANCE, MAX_ROUNDS = 1e-4, 30
#: From this round on each signal keeps its model of the noise: BIC may choose between two orders for ever (our choice).
SETTLED = 8
#: Share of the data's size below which what is left is rounding.
EXACT = 1e-12
#: Variance, relative to the mean square, below which nothing is left to predict (our choice).
FLAT = 1e-12


def ar_irls(y: Array, design: Array, max_order: int) -> Array:
    """Fit a linear model by autoregressive prewhitening and robust weights, in turns until both stand still.

    Barker et al. 2013, https://doi.org/10.1364/BOE.4.001366: the memory of the noise (a model of an order by BIC)
    is filtered out of data and regressors; what jumps, as movement does, then stands out and is weighted down. Each
    signal has a model and weights of its own.

    Shapes: ``y`` (n_signals, n_times), ``design`` (n_regressors, n_times), returns (n_signals, n_regressors). A
    constant is added.

    Examples
    --------
    >>> from scipy.signal import lfilter
    >>> rng = np.random.default_rng(0)
    >>> x = np.repeat(np.tile([0.0, 1.0], 10), 30)
    >>> noise = lfilter([1.0], [1.0, -0.9], rng.normal(size=600))
    >>> noise[::100] += 50
    >>> ar_irls([5 * x + noise], x[None], 8).round(1).tolist()
    [[4.9]]
    """
    y, scale = np.asarray(y, float), design.std(axis=-1)
    columns = np.vstack([design / scale[:, None], np.ones(design.shape[-1])])
    coefficients = np.linalg.lstsq(columns.T, y.T)[0].T
    least, todo = EXACT * y.std(axis=-1), np.arange(len(y))
    # with what was before it, each sample of every regressor: a whitener is then a product
    before = np.lib.stride_tricks.sliding_window_view(columns, max_order + 1, axis=-1)
    whiteners = np.zeros((len(y), max_order + 1))
    for number in range(MAX_ROUNDS):
        residual = y[todo] - coefficients[todo] @ columns
        noisy = residual.std(axis=-1) > least[todo]
        todo, residual = todo[noisy], residual[noisy]
        if number < SETTLED:
            whiteners[todo] = ar_whitener(residual, max_order)[:, ::-1]
        whitener = whiteners[todo]
        left = np.tensordot(whitener, before, axes=(1, 2))
        noise = np.einsum(
            "cto,co->ct", np.lib.stride_tricks.sliding_window_view(residual, max_order + 1, axis=-1), whitener
        )
        spread = np.median(np.abs(noise - np.median(noise, axis=-1, keepdims=True)), axis=-1) / 0.6745
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.clip(1 - (noise / (BISQUARE * spread[:, None])) ** 2, 0, None) ** 2
        known = spread > least[todo]
        todo, left, noise, weight = todo[known], left[known], noise[known], weight[known]
        weighted = left * weight[:, None, :]
        step = np.linalg.pinv(weighted @ left.swapaxes(1, 2), hermitian=True) @ (weighted @ noise[..., None])
        coefficients[todo] += step[..., 0]
        moving = np.abs(step[..., 0]).max(axis=-1, initial=0.0) >= TOLERANCE * residual[known].std(axis=-1)
        todo = todo[moving]
        if not len(todo):
            break
    return np.asarray(coefficients[:, :-1] / scale)


def ar_whitener(x: Array, max_order: int) -> Array:
    """Find filters that take the memory out of signals, to leave prediction errors of the model with the lowest BIC.

    Autoregressive models by Burg's recursion, each signal with an order of its own. NaN for one in which nothing is
    left to predict.

    Shapes: ``x`` (..., n_times), returns (..., max_order + 1), 0 beyond the order.

    Examples
    --------
    >>> from scipy.signal import lfilter
    >>> noise = np.random.default_rng(1).normal(size=4000)
    >>> (ar_whitener(lfilter([1.0], [1.0, -0.8], noise), 6).round(1) + 0.0).tolist()
    [1.0, -0.8, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    n, centred = x.shape[-1], x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1)
    found = np.zeros((*x.shape[:-1], max_order + 1))
    found[..., 0] = 1.0
    found[variance <= FLAT * np.square(x).mean(axis=-1)] = np.nan
    chosen, forward, backward = found, centred[..., 1:], centred[..., :-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        lowest = n * np.log(variance)
        for order in range(1, max_order + 1):
            power = (np.square(forward) + np.square(backward)).sum(axis=-1)
            reflection = 2 * (forward * backward).sum(axis=-1) / power
            turn = reflection[..., np.newaxis]
            forward, backward = (forward - turn * backward)[..., 1:], (backward - turn * forward)[..., :-1]
            found = found - turn * np.roll(found[..., ::-1], order - max_order, axis=-1)
            variance = variance * (1 - np.square(reflection))
            criterion = n * np.log(variance) + order * np.log(n)
            better = criterion < lowest
            chosen = np.where(better[..., np.newaxis], found, chosen)
            lowest = np.where(better, criterion, lowest)
    return np.asarray(chosen)
