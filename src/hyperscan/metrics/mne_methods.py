"""Any method of mne-connectivity as a metric between two people.

mne-connectivity takes seconds to import and estimates over epochs, so each window is cut into short ones.
Only pairs of a therapist's and a client's channel are computed; Granger causality gets one channel each.
"""

from __future__ import annotations

from dataclasses import dataclass
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

SOFTWARE = "10.5281/zenodo.10278399"  # mne-connectivity


@dataclass(frozen=True)
class Method:
    """What is known of a method of mne-connectivity with one real number per pair."""

    #: DOI of the paper that defines it
    citation: str
    bounds: tuple[float, float] = (0, 1)
    #: Whether the Fisher transform applies
    correlation_like: bool = True
    direction: Literal["none", "sign", "a_to_b"] = "none"


_VINCK = "10.1016/j.neuroimage.2011.01.055"
_BARNETT = "10.1103/PhysRevE.91.040101"
_ANY = (-np.inf, np.inf)

MNE_METHODS = {
    "coh": Method("10.1016/S0013-4694(97)00066-7"),
    "imcoh": Method("10.1016/j.clinph.2004.04.029", (-1, 1), direction="sign"),
    "plv": Method("10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C"),
    "ciplv": Method("10.1088/1741-2552/aacfe4"),
    "ppc": Method("10.1016/j.neuroimage.2010.01.073", (-1, 1), correlation_like=False),
    "pli": Method("10.1002/hbm.20346"),
    "pli2_unbiased": Method(_VINCK, (-1, 1), correlation_like=False),
    "dpli": Method("10.1016/j.neuroimage.2012.05.050", correlation_like=False, direction="a_to_b"),
    "wpli": Method(_VINCK),
    "wpli2_debiased": Method(_VINCK, (-1, 1), correlation_like=False),
    "gc": Method(_BARNETT, _ANY, correlation_like=False, direction="a_to_b"),
    "gc_tr": Method("10.1109/TSP.2016.2531628", _ANY, correlation_like=False, direction="a_to_b"),
    "psi": Method("10.1103/PhysRevLett.100.234101", _ANY, correlation_like=False, direction="sign"),
}
_GRANGER = ("gc", "gc_tr")
_GRANGER_LAGS = 40  # mne-connectivity's default


def adapt(name: str) -> MetricSpec:
    """Make a metric of a method of mne-connectivity.

    Examples
    --------
    >>> adapt("mne:wpli2_debiased").params
    ('sfreq', 'band')
    """
    method = name.removeprefix(PREFIX)
    if method not in MNE_METHODS:
        raise InputError(
            f"metric {name!r} is no method of mne-connectivity with one real value per pair."
            f"{did_you_mean(method, MNE_METHODS)}\nKnown: {', '.join(PREFIX + each for each in MNE_METHODS)}."
        )
    known = MNE_METHODS[method]
    return MetricSpec(
        PREFIX + method,
        partial(_between, method),
        domain="real",
        bounds=known.bounds,
        link=fisher if known.correlation_like else identity,
        symmetric=known.direction == "none",
        direction=known.direction,
        chance="see mne-connectivity",
        citation=known.citation,
        software=SOFTWARE,
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
    edges = {"fmin": band[0], "fmax": band[1]}
    if method == "psi":
        result = phase_slope_index(epochs, indices=(seeds, targets), sfreq=sfreq, **edges, verbose="ERROR")
        return np.asarray(result.get_data()).reshape(n_a, n_b)
    pairs = (seeds[:, np.newaxis], targets[:, np.newaxis]) if method in _GRANGER else (seeds, targets)
    estimate = partial(spectral_connectivity_epochs, epochs, method=method, indices=pairs, sfreq=sfreq, verbose="ERROR")
    if method in _GRANGER:
        # The autoregressive model needs the whole spectrum; the band is averaged afterwards.
        estimate = partial(estimate, gc_n_lags=min(_GRANGER_LAGS, epochs.shape[-1] // 2 - 1))
        edges = {"fmin": 0.0, "fmax": np.inf}
    with np.errstate(divide="ignore"):  # it divides by the lower edge to count cycles
        result = estimate(**edges)
    freqs = np.asarray(result.freqs)
    inside = (freqs >= band[0]) & (freqs <= band[1])
    values: NDArray[Any] = np.asarray(result.get_data())[:, inside].mean(axis=-1)
    return values.reshape(n_a, n_b)
