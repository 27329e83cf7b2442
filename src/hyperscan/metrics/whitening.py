"""Autoregressive whitening of many channels at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAD_TO_SD = 1.4826  # of a Gaussian
_FLAT = 1e-12  # variance relative to the mean square below which nothing is left to predict (our choice)


def innovations(x: NDArray[np.float64], max_order: int) -> NDArray[np.float64]:
    """Prediction errors of each channel's best autoregressive model, in robust standard units.

    Burg's recursion, with the order of each channel that has the smallest Bayesian criterion. The first
    ``max_order`` samples are left out for all channels, so that the errors of two people stay paired.

    Parameters
    ----------
    x : array, shape (..., n_channels, n_times)
        Real signals.
    max_order : int
        Largest order tried, in samples; below ``n_times``.

    Returns
    -------
    array, shape (..., n_channels, n_times - max_order)
        Errors less their median, over the scaled median absolute deviation. NaN throughout where a channel
        holds a NaN or is flat.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.cumsum(np.random.default_rng(0).standard_normal((1, 1000)), axis=-1)
    >>> e = innovations(x, 5)
    >>> bool(abs(np.corrcoef(e[0, 1:], e[0, :-1])[0, 1]) < 0.1)
    True
    """
    n = x.shape[-1]
    centred = x - x.mean(axis=-1, keepdims=True)
    level = np.square(x).mean(axis=-1)
    best = centred[..., max_order:].copy()
    variance = np.square(centred).mean(axis=-1)
    lowest = np.where(variance <= _FLAT * level, np.nan, _criterion(variance, n, 0))
    best[np.isnan(lowest)] = np.nan
    forward, backward = centred[..., 1:], centred[..., :-1]
    for order in range(1, max_order + 1):
        power = (np.square(forward) + np.square(backward)).sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            reflection = 2 * (forward * backward).sum(axis=-1) / power
        turn = reflection[..., np.newaxis]
        ahead, behind = forward - turn * backward, backward - turn * forward
        variance = variance * (1 - np.square(reflection))
        criterion = _criterion(variance, n, order)
        better = criterion < lowest
        best[better] = ahead[better][..., max_order - order :]
        lowest = np.where(better, criterion, lowest)
        forward, backward = ahead[..., 1:], behind[..., :-1]
    return _robust_units(best)


def _criterion(variance: NDArray[Any], n: int, order: int) -> NDArray[Any]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(n * np.log(variance) + order * np.log(n))


def _robust_units(x: NDArray[Any]) -> NDArray[Any]:
    centred = x - np.median(x, axis=-1, keepdims=True)
    spread = _MAD_TO_SD * np.median(np.abs(centred), axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(centred / np.where(spread > 0, spread, np.nan))
