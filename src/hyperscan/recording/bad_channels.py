"""EEG channels that do not measure the scalp: flat, missing, noisy, uncorrelated, bridged.

Every threshold is relative to the other channels of the same person and is ours, set so that clean
recordings lose no channel; the kinds of fault are those of Bigdely-Shamlo et al. 2015,
https://doi.org/10.3389/fninf.2015.00016, and bridges those of Alschuler et al. 2014,
https://doi.org/10.1016/j.clinph.2013.08.024.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from hyperscan.recording.windows import Spans

#: Largest share of a recording that a channel may miss or stand still.
MAX_LOST = 0.2
#: Amplitude under this part of the median channel's is flat.
FLAT_RATIO = 0.02
#: Amplitude over this many times the median channel's, and this many robust SD away, is noise.
NOISY_RATIO, NOISY_Z = 5.0, 5.0
#: Amplitude in V that no scalp EEG has (some twice that of deep sleep): there, this many times the median are enough.
LOUD_V, LOUD_RATIO = 2e-4, 3.0
#: Channels whose best correlation with another stays below this, while the cap's median is above the second.
UNCORRELATED_R, CAP_R = 0.25, 0.6
#: From so many channels on, correlation between neighbours means something.
MIN_CORRELATED = 8
#: No more than this part of a cap can be "unlike the others".
MAX_UNCORRELATED = 0.2
#: Power of the difference of two channels over their own power below which they share one gel bridge.
BRIDGE_RATIO = 1e-3

Floats = NDArray[np.floating]


def find_bad_channels(
    data: Floats,
    sfreq: float,
    names: Sequence[str],
    missing: Sequence[Spans],
    held: Sequence[Spans],
    references: Collection[str] = (),
) -> dict[str, str]:
    """Find channels to leave out, with the reason.

    Parameters
    ----------
    data : ndarray, shape (n_channels, n_times)
        Filtered EEG in V, not re-referenced.
    sfreq : float
        In Hz.
    names : sequence of str
        Channel names.
    missing, held : sequence of list of (float, float)
        Per channel, spans in s without values and spans at one value.
    references : collection of str
        Electrodes off the scalp, which need not be like the others.

    Returns
    -------
    dict of str to str
    """
    seconds = data.shape[-1] / sfreq
    bad = _lost(names, missing, held, seconds)
    bad |= _wrong_amplitude(data, sfreq, names, bad)
    bad |= _uncorrelated(data, sfreq, names, {*bad, *references})
    return bad | _bridged(data, sfreq, names, {*bad, *references})


def _lost(names: Sequence[str], missing: Sequence[Spans], held: Sequence[Spans], seconds: float) -> dict[str, str]:
    bad: dict[str, str] = {}
    for name, gaps, stills in zip(names, missing, held, strict=True):
        lost, still = (sum(stop - start for start, stop in spans) / seconds for spans in (gaps, stills))
        if lost > MAX_LOST:
            bad[name] = f"no value in {lost:.0%} of the recording"
        elif still > MAX_LOST:
            bad[name] = f"flat in {still:.0%} of the recording"
    return bad


def block_amplitudes(data: Floats, n_block: int) -> Floats:
    """Compute standard deviations in blocks, shape (n_channels, n_blocks)."""
    n_blocks = max(1, data.shape[-1] // n_block)
    return np.stack([row[: n_blocks * n_block].reshape(n_blocks, -1).std(-1) for row in data])


def _wrong_amplitude(data: Floats, sfreq: float, names: Sequence[str], bad: dict[str, str]) -> dict[str, str]:
    amplitude = np.median(block_amplitudes(data, round(sfreq)), axis=-1)
    steps = np.array([np.median(block_amplitudes(np.diff(row)[None], round(sfreq))) for row in data])
    good = np.array([name not in bad for name in names])
    found: dict[str, str] = {}
    if not good.any():
        return found
    middle = np.median(amplitude[good])
    loud, fast = _is_outlier(amplitude, good), _is_outlier(steps, good)
    for index in np.flatnonzero(good).tolist():
        if amplitude[index] <= FLAT_RATIO * middle:
            found[names[index]] = "flat"
        elif loud[index] or amplitude[index] > max(LOUD_V, LOUD_RATIO * middle):
            found[names[index]] = (
                f"noisy: {amplitude[index] / middle:.0f} times the median amplitude ({amplitude[index] * 1e6:.0f} µV)"
            )
        elif fast[index]:
            found[names[index]] = "noisy: high frequencies"
    return found


def _is_outlier(values: Floats, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    centre = np.median(logs[good])
    spread = 1.4826 * np.median(np.abs(logs[good] - centre))
    return np.asarray((logs - centre > NOISY_Z * spread) & (logs - centre > np.log(NOISY_RATIO)))


def _block_correlations(data: Floats, n_block: int) -> Floats:
    """Largest absolute correlation with any other channel: median over blocks, shape (n_channels,)."""
    n_blocks = data.shape[-1] // n_block
    best = np.empty((n_blocks, len(data)))
    for number in range(n_blocks):
        block = data[:, number * n_block : (number + 1) * n_block]
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.abs(np.nan_to_num(np.corrcoef(block)))
        np.fill_diagonal(r, 0)
        best[number] = r.max(axis=-1)
    return np.median(best, axis=0)


def _uncorrelated(data: Floats, sfreq: float, names: Sequence[str], bad: Collection[str]) -> dict[str, str]:
    good = [index for index, name in enumerate(names) if name not in bad]
    n_block = round(4 * sfreq)
    if len(good) < MIN_CORRELATED or data.shape[-1] < 3 * n_block:
        return {}
    best = _block_correlations(data[good], n_block)
    apart = np.flatnonzero(best < UNCORRELATED_R)
    if np.median(best) < CAP_R or apart.size > MAX_UNCORRELATED * len(good):
        return {}
    return {names[good[at]]: f"uncorrelated with every other channel (r = {best[at]:.2f})" for at in apart}


def _bridged(data: Floats, sfreq: float, names: Sequence[str], bad: Collection[str]) -> dict[str, str]:
    good = [index for index, name in enumerate(names) if name not in bad]
    n_block = round(2 * sfreq)
    if len(good) < 2 or data.shape[-1] < n_block:
        return {}
    # half a minute spread over the recording; the median over blocks, as a shared artefact bridges nothing
    starts = np.linspace(0, data.shape[-1] - n_block, 15).astype(int)
    ratio = np.median([_difference_ratio(data[good, start : start + n_block]) for start in starts], axis=0)
    close = np.triu(ratio <= BRIDGE_RATIO, k=1)
    found: dict[str, str] = {}
    for first, second in zip(*np.nonzero(close), strict=True):
        if names[good[first]] not in found:
            found[names[good[second]]] = f"bridged with {names[good[first]]}"
    return found


def _difference_ratio(block: Floats) -> Floats:
    """Compare the power of each channel difference with the channels' own, shape (n_channels, n_channels)."""
    covariance = np.cov(block)
    power = np.diag(covariance)
    own = (power[:, None] + power[None, :]) / 2
    return np.divide(2 * (own - covariance), own, out=np.full_like(own, np.inf), where=own > 0)
