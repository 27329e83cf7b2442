"""Any method of mne-connectivity as a metric between two people.

mne-connectivity takes seconds to import and estimates over epochs, so each window is cut into short ones.
Only pairs of a therapist's and a client's channel are computed; multivariate methods get one channel each.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError, did_you_mean
from hyperscan.metrics.arrays import leading_shape, real_pair
from hyperscan.metrics.spec import MetricSpec, fisher, identity

PREFIX = "mne:"

_EPOCH_S = 2.0  # our choice; longer where the band's low edge needs it
_MIN_CYCLES = 5  # below it mne-connectivity calls an estimate unreliable
_MIN_EPOCHS = 3  # fewer make any coherence look perfect (our choice)

_DOI = "10.5281/zenodo.10278399"  # mne-connectivity

# Of the methods with one real number per pair: bounds, whether a z transform applies, direction.
_Facts = tuple[tuple[float, float], bool, Literal["none", "sign", "a_to_b"]]
_UNSIGNED: _Facts = ((0, 1), True, "none")
_FREE: _Facts = ((-np.inf, np.inf), False, "none")
_METHODS: dict[str, _Facts] = {
    "coh": _UNSIGNED,
    "imcoh": ((-1, 1), True, "sign"),
    "plv": _UNSIGNED,
    "ciplv": _UNSIGNED,
    "ppc": ((-1, 1), False, "none"),
    "pli": _UNSIGNED,
    "pli2_unbiased": ((-1, 1), False, "none"),
    "dpli": ((0, 1), False, "a_to_b"),
    "wpli": _UNSIGNED,
    "wpli2_debiased": ((-1, 1), False, "none"),
    "mic": ((-1, 1), True, "none"),
    "mim": ((0, np.inf), False, "none"),
    "gc": ((-np.inf, np.inf), False, "a_to_b"),
    "gc_tr": ((-np.inf, np.inf), False, "a_to_b"),
    "psi": ((-np.inf, np.inf), False, "sign"),
}
_GRANGER = ("gc", "gc_tr")
_GRANGER_LAGS = 40  # mne-connectivity's default
_MULTIVARIATE = ("mic", "mim", "gc", "gc_tr")


def adapt(name: str) -> MetricSpec:
    """Make a metric of a method of mne-connectivity.

    Examples
    --------
    >>> adapt("mne:wpli2_debiased").params
    ('sfreq', 'band')
    """
    method = name.removeprefix(PREFIX)
    if method not in _METHODS:
        raise InputError(
            f"metric {name!r} is no method of mne-connectivity with one real value per pair."
            f"{did_you_mean(method, _METHODS)}\nKnown: {', '.join(PREFIX + known for known in _METHODS)}."
        )
    bounds, correlation_like, direction = _METHODS[method]
    return MetricSpec(
        PREFIX + method,
        partial(_between, method),
        domain="real",
        bounds=bounds,
        link=fisher if correlation_like else identity,
        symmetric=direction == "none",
        direction=direction,
        chance="see mne-connectivity",
        citation=_DOI,
        summary=f"{method} of mne-connectivity, over {_EPOCH_S:g}-s epochs of each window",
        params=("sfreq", "band"),
        shortest_s=shortest_window,
    )


def shortest_window(band: tuple[float, float]) -> float:
    """Return the seconds that the fewest epochs of a band take.

    Examples
    --------
    >>> shortest_window((8, 12)), shortest_window((1, 4))
    (6.0, 15.0)
    """
    return _MIN_EPOCHS * max(_EPOCH_S, _MIN_CYCLES / band[0])


def _between(method: str, a: NDArray[Any], b: NDArray[Any], sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    first, second = real_pair(a, b)
    n_epoch = round(shortest_window(band) / _MIN_EPOCHS * sfreq)
    n_epochs = first.shape[-1] // n_epoch
    if n_epochs < _MIN_EPOCHS:
        raise InputError(
            f"{PREFIX}{method} needs {_MIN_EPOCHS} epochs of {n_epoch / sfreq:g} s in a window, which has "
            f"{first.shape[-1] / sfreq:g} s; use longer windows or a metric of hyperscan."
        )
    lead = leading_shape(first, second)
    whole = [np.broadcast_to(x, (*lead, *x.shape[-2:]))[..., : n_epochs * n_epoch] for x in (first, second)]
    out = np.full((*lead, first.shape[-2], second.shape[-2]), np.nan)
    for where in np.ndindex(*lead):
        people = [x[where].astype(np.float64) for x in whole]
        good = [np.flatnonzero(np.isfinite(x).all(axis=-1) & (np.ptp(x, axis=-1) > 0)) for x in people]
        if good[0].size and good[1].size:
            rows = np.concatenate([people[0][good[0]], people[1][good[1]]])
            epochs = rows.reshape(len(rows), n_epochs, n_epoch).swapaxes(0, 1)
            values = _estimate(method, epochs, good[0].size, sfreq, band)
            out[where][np.ix_(good[0], good[1])] = values
    return out.astype(first.dtype)


def _estimate(method: str, epochs: NDArray[Any], n_a: int, sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Values of all pairs of the first ``n_a`` channels with the others, (n_a, n_b)."""
    from mne_connectivity import phase_slope_index, spectral_connectivity_epochs

    n_b = epochs.shape[1] - n_a
    seeds, targets = (index.ravel() for index in np.indices((n_a, n_b)))
    targets = targets + n_a
    common: dict[str, Any] = {"sfreq": sfreq, "verbose": "ERROR"}
    edges = {"fmin": band[0], "fmax": band[1]}
    if method == "psi":
        result = phase_slope_index(epochs, indices=(seeds, targets), **edges, **common)
        return np.asarray(result.get_data()).reshape(n_a, n_b)
    pairs = (seeds[:, np.newaxis], targets[:, np.newaxis]) if method in _MULTIVARIATE else (seeds, targets)
    if method in _GRANGER:
        # The autoregressive model needs the whole spectrum; the band is averaged afterwards.
        common["gc_n_lags"] = min(_GRANGER_LAGS, epochs.shape[-1] // 2 - 1)
        edges = {"fmin": 0.0, "fmax": np.inf}
    with np.errstate(divide="ignore"):  # it divides by the lower edge to count cycles
        result = spectral_connectivity_epochs(epochs, method=method, indices=pairs, **edges, **common)
    freqs = np.asarray(result.freqs)
    inside = (freqs >= band[0]) & (freqs <= band[1])
    values: NDArray[Any] = np.asarray(result.get_data())[:, inside].mean(axis=-1)
    return values.reshape(n_a, n_b)
