"""Regression of a slow signal whose noise has a memory and outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

Array = npt.NDArray[Any]

#: Residuals beyond this many robust SD count nothing (Tukey's bisquare, 95 % efficient for Gaussian noise).
BISQUARE = 4.685
#: A fit is done when its coefficients move by less than this share of the noise, or after so many rounds (our choice).
TOLERANCE, MAX_ROUNDS = 1e-4, 30
#: Share of the data's size below which what is left is rounding.
EXACT = 1e-12


def ar_irls(y: Array, design: Array, max_order: int) -> Array:
    """Fit a linear model by autoregressive prewhitening and robust weights, in turns until both stand still.

    Barker et al. 2013, https://doi.org/10.1364/BOE.4.001366: the memory of the noise (a model of an order by BIC)
    is filtered out of data and regressors; what jumps, as movement does, then stands out and is weighted down.

    Shapes: ``y`` (n_times,), ``design`` (n_regressors, n_times), returns (n_regressors,). A constant is added.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.repeat(np.tile([0.0, 1.0], 10), 30)
    >>> noise = scipy.signal.lfilter([1.0], [1.0, -0.9], rng.normal(size=600))
    >>> noise[::100] += 50
    >>> ar_irls(5 * x + noise, x[None], 8).round(1).tolist()
    [4.9]
    """
    scale = design.std(axis=-1)
    columns = np.vstack([design / scale[:, None], np.ones(design.shape[-1])]).T
    coefficients = np.linalg.lstsq(columns, y, rcond=None)[0]
    for _ in range(MAX_ROUNDS):
        residual = y - columns @ coefficients
        whitener = ar_whitener(residual, max_order)
        flat = scipy.signal.lfilter(whitener, 1.0, np.column_stack([columns, y]), axis=0)[len(whitener) - 1 :]
        left, right = flat[:, :-1], flat[:, -1]
        noise = right - left @ coefficients
        spread = np.median(np.abs(noise - np.median(noise))) / 0.6745
        if not spread > EXACT * y.std():
            break
        root = np.clip(1 - (noise / (BISQUARE * spread)) ** 2, 0, None)
        before = coefficients
        coefficients = np.linalg.lstsq(left * root[:, None], right * root, rcond=None)[0]
        if np.abs(coefficients - before).max() < TOLERANCE * residual.std():
            break
    return np.asarray(coefficients[:-1] / scale)


def ar_whitener(x: Array, max_order: int) -> Array:
    """Filter that takes the memory out of a signal: that of the autoregressive model with the lowest BIC.

    Yule-Walker equations by Levinson's recursion, all orders at once.

    Shapes: ``x`` (n_times,), returns (order + 1,).

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=4000)
    >>> ar_whitener(scipy.signal.lfilter([1.0], [1.0, -0.8], noise), 6).round(1).tolist()
    [1.0, -0.8]
    """
    n, centred = len(x), x - x.mean()
    moments = np.array([centred[: n - lag] @ centred[lag:] for lag in range(max_order + 1)]) / n
    found = chosen = np.ones(1)
    error = moments[0]
    lowest = n * np.log(error) if error > 0 else -np.inf
    for order in range(1, max_order + 1):
        if not error > 0:
            break
        reflection = -(found @ moments[order:0:-1]) / error
        found = np.append(found, 0.0) + reflection * np.append(0.0, found[::-1])
        error *= 1 - reflection**2
        bic = n * np.log(error) + order * np.log(n) if error > 0 else np.inf
        if bic < lowest:
            lowest, chosen = bic, found
    return chosen
