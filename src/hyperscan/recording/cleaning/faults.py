"""Channels that do not measure the scalp, and spans in which something other than the brain dominates."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from hyperscan.recording.annotations import Spans, joined_spans
from hyperscan.recording.cleaning.eeg_filter import mask_spans

#: Largest share of a recording that a channel may miss or stand still.
MAX_LOST_SHARE = 0.2
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

Array = NDArray[np.floating]


def find_bad_channels(
    data: Array,
    sfreq: float,
    names: Sequence[str],
    missing: Sequence[Spans],
    held: Sequence[Spans],
    references: Collection[str] = (),
) -> dict[str, str]:
    """Find channels to leave out, with the reason.

    Shapes: ``data`` (n_channels, n_times).
    """
    seconds = data.shape[-1] / sfreq
    bad: dict[str, str] = {}
    for name, gaps, stills in zip(names, missing, held, strict=True):
        lost, still = (sum(stop - start for start, stop in spans) / seconds for spans in (gaps, stills))
        if lost > MAX_LOST_SHARE:
            bad[name] = f"no value in {lost:.0%} of the recording"
        elif still > MAX_LOST_SHARE:
            bad[name] = f"flat in {still:.0%} of the recording"
    bad |= _wrong_amplitude(data, sfreq, names, bad)
    bad |= _uncorrelated(data, sfreq, names, {*bad, *references})
    return bad | _bridged(data, sfreq, names, {*bad, *references})


def block_amplitudes(data: Array, n_block: int) -> Array:
    """Compute standard deviations in blocks.

    Shapes: ``data`` (n_channels, n_times), returns (n_channels, n_blocks).
    """
    n_blocks = max(1, data.shape[-1] // n_block)
    return np.stack([row[: n_blocks * n_block].reshape(n_blocks, -1).std(-1) for row in data])


def _wrong_amplitude(data: Array, sfreq: float, names: Sequence[str], bad: dict[str, str]) -> dict[str, str]:
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


def _is_outlier(values: Array, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    centre = np.median(logs[good])
    spread = 1.4826 * np.median(np.abs(logs[good] - centre))
    return np.asarray((logs - centre > NOISY_Z * spread) & (logs - centre > np.log(NOISY_RATIO)))


def _uncorrelated(data: Array, sfreq: float, names: Sequence[str], bad: Collection[str]) -> dict[str, str]:
    good = [index for index, name in enumerate(names) if name not in bad]
    n_block = round(4 * sfreq)
    if len(good) < MIN_CORRELATED or data.shape[-1] < 3 * n_block:
        return {}
    # largest absolute correlation with any other channel, median over blocks
    largest = []
    for start in range(0, data.shape[-1] - n_block + 1, n_block):
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.abs(np.nan_to_num(np.corrcoef(data[good, start : start + n_block])))
        np.fill_diagonal(r, 0)
        largest.append(r.max(axis=-1))
    best = np.median(largest, axis=0)
    apart = np.flatnonzero(best < UNCORRELATED_R)
    if np.median(best) < CAP_R or apart.size > MAX_UNCORRELATED * len(good):
        return {}
    return {names[good[at]]: f"uncorrelated with every other channel (r = {best[at]:.2f})" for at in apart}


def _bridged(data: Array, sfreq: float, names: Sequence[str], bad: Collection[str]) -> dict[str, str]:
    good = [index for index, name in enumerate(names) if name not in bad]
    n_block = round(2 * sfreq)
    if len(good) < 2 or data.shape[-1] < n_block:
        return {}
    # half a minute spread over the recording; the median over blocks, as a shared artefact bridges nothing
    starts = np.linspace(0, data.shape[-1] - n_block, 15).astype(int)
    ratios = []
    for start in starts:
        covariance = np.cov(data[good, start : start + n_block])
        power = np.diag(covariance)
        # power of the difference of two channels over their mean power
        own = (power[:, None] + power[None, :]) / 2
        ratios.append(np.divide(2 * (own - covariance), own, out=np.full_like(own, np.inf), where=own > 0))
    close = np.triu(np.median(ratios, axis=0) <= BRIDGE_RATIO, k=1)
    found: dict[str, str] = {}
    for first, second in zip(*np.nonzero(close), strict=True):
        if names[good[first]] not in found:
            found[names[good[second]]] = f"bridged with {names[good[first]]}"
    return found


#: Length in s of the blocks that are judged.
BLOCK_S = 0.5
#: Times a channel's median block: one channel jumping, or part of the cap moving together.
ONE_CHANNEL_RATIO, MANY_CHANNELS_RATIO, MANY_CHANNELS = 12.0, 6.0, 0.25
#: The same for sample-to-sample steps: spikes, pops and muscle bursts.
ONE_STEP_RATIO, MANY_STEPS_RATIO = 10.0, 5.0
#: In s, kept free around anything marked.
MARGIN_S = 0.25


def artefact_spans(data: Array, sfreq: float, cuts: Sequence[int] = ()) -> Spans:
    """Find spans of excessive amplitude or gradient.

    Shapes: ``data`` (n_channels, n_times).
    """
    n_block = max(2, round(BLOCK_S * sfreq))
    n_blocks = data.shape[-1] // n_block
    if n_blocks < 4 or not len(data):
        return []
    joints = np.array([cut - 1 for cut in cuts], np.intp)
    ratios = np.array([_ratios(row, n_block, joints) for row in data])
    marked = _excessive(ratios[:, 0], ONE_CHANNEL_RATIO, MANY_CHANNELS_RATIO)
    marked |= _excessive(ratios[:, 1], ONE_STEP_RATIO, MANY_STEPS_RATIO)
    return merge_spans(mask_spans(marked, sfreq / n_block), data.shape[-1] / sfreq)


def _ratios(row: Array, n_block: int, joints: NDArray[np.intp]) -> Array:
    """Range and largest step of each block over the channel's median block, shape (2, n_blocks)."""
    n_blocks = row.size // n_block
    change = np.diff(row, append=row[-1])
    if joints.size:
        change[joints] = 0
        # the same course without its jumps at interruptions
        row = np.cumsum(change)
    step = np.abs(change)
    values = np.stack(
        [
            np.ptp(row[: n_blocks * n_block].reshape(n_blocks, n_block), axis=-1),
            step[: n_blocks * n_block].reshape(n_blocks, n_block).max(-1),
        ]
    )
    usual = np.median(values, axis=-1, keepdims=True)
    return np.divide(values, usual, out=np.zeros_like(values), where=usual > 0)


def _excessive(ratio: Array, one: float, many: float) -> NDArray[np.bool_]:
    """Blocks in which one channel exceeds a high limit or many exceed a lower one."""
    n_many = max(2, int(np.ceil(MANY_CHANNELS * len(ratio))))
    return np.asarray((ratio > one).any(0) | ((ratio > many).sum(0) >= n_many))


def merge_spans(spans: Sequence[tuple[float, float]], end_s: float, margin_s: float = MARGIN_S) -> Spans:
    """Widen spans by a margin and join those that touch.

    Examples
    --------
    >>> merge_spans([(1.0, 2.0), (2.25, 3.0), (9.5, 10.0)], end_s=10.0)
    [(0.75, 3.25), (9.25, 10.0)]
    """
    return joined_spans((max(0.0, start - margin_s), min(end_s, stop + margin_s)) for start, stop in spans)
