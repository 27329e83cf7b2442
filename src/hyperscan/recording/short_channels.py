"""What the scalp adds to fNIRS: found in the short channels of the same person, and regressed out.

Channels of another person never enter: each raw holds one person, and a short channel is matched by its
wavelength (or chromophore), never by position across caps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

#: Between the limit for short channels and this many times it, a channel sees scalp and brain mixed and is
#: not used (our choice).
MIXED_UP_TO = 1.5

Floats = NDArray[np.floating]


def source_detector_mm(raw: BaseRaw) -> Floats:
    """Source-detector distance of every channel.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        fNIRS of one person.

    Returns
    -------
    ndarray, shape (n_channels,)
        In mm, recordings that store mm for m corrected; NaN where the file holds no positions.
    """
    places = np.array([ch["loc"][3:9] for ch in raw.info["chs"]], float)
    distance = np.linalg.norm(places[:, 3:] - places[:, :3], axis=1)
    distance[~(np.isfinite(distance) & (distance > 0))] = np.nan
    if np.isnan(distance).all():
        return distance
    # no probe is wider than a metre: then the unit is mm already
    return distance if np.nanmedian(distance) > 1 else distance * 1000


def regress_out(targets: Floats, regressors: Floats) -> tuple[Floats, Floats]:
    """Remove what regressors explain, by least squares on demeaned signals.

    Parameters
    ----------
    targets : ndarray, shape (n_targets, n_times)
        Signals to clean.
    regressors : ndarray, shape (n_regressors, n_times)
        Signals to remove; collinear ones are no problem.

    Returns
    -------
    cleaned : ndarray, shape (n_targets, n_times)
        Targets without the explained part; their means are kept.
    fitted : ndarray, shape (n_targets, n_times)
        The explained part, of zero mean.

    References
    ----------
    Scholkmann et al. 2014, https://doi.org/10.1088/0967-3334/35/4/717 (regression on short channels)

    Examples
    --------
    >>> scalp = np.array([[1.0, -1.0, 1.0, -1.0]])
    >>> regress_out(2 * scalp + 5, scalp)[0].tolist()
    [[5.0, 5.0, 5.0, 5.0]]
    """
    centred = regressors - regressors.mean(-1, keepdims=True)
    scale = centred.std(-1, keepdims=True)
    design = (centred / np.where(scale > 0, scale, 1)).T
    weights, *_ = np.linalg.lstsq(design, (targets - targets.mean(-1, keepdims=True)).T, rcond=1e-8)
    fitted = (design @ weights).T
    return targets - fitted, fitted


def scalp_part(data: Floats, kinds: Sequence[str | float], short: NDArray[np.bool_]) -> Floats:
    """Part of each long channel that the short channels of the same kind explain.

    Parameters
    ----------
    data : ndarray, shape (n_channels, n_times)
        One person; optical density or haemoglobin.
    kinds : sequence, length n_channels
        Wavelength or chromophore of each channel.
    short : ndarray of bool, shape (n_channels,)
        Which channels are short.

    Returns
    -------
    ndarray, shape (n_channels, n_times)
        0 for short channels, and for kinds without a short channel.
    """
    part = np.zeros_like(data)
    for kind in dict.fromkeys(kinds):
        same = np.array([other == kind for other in kinds])
        long = same & ~short
        if long.any() and (same & short).any():
            part[long] = regress_out(data[long], data[same & short])[1]
    return part
