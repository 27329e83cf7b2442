"""Spans of an EEG in which something other than the brain dominates.

Only gross artefacts are marked: a window that is dropped is dropped for both people, and blinks or bursts of
alpha are part of every clean recording. All thresholds are relative to the same channel's usual values and
are ours, set so that clean recordings lose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hyperscan.recording.eeg_signals import mask_spans
from hyperscan.recording.windows import Spans

#: Length in s of the blocks that are judged.
BLOCK_S = 0.5
#: Times a channel's median block: one channel jumping, or part of the cap moving together.
ONE_CHANNEL_RATIO, MANY_CHANNELS_RATIO, MANY_CHANNELS = 12.0, 6.0, 0.25
#: The same for sample-to-sample steps: spikes, pops and muscle bursts.
ONE_STEP_RATIO, MANY_STEPS_RATIO = 10.0, 5.0
#: In s, kept free around anything marked.
MARGIN_S = 0.25

Floats = NDArray[np.floating]


def artefact_spans(data: Floats, sfreq: float, cuts: Sequence[int] = ()) -> Spans:
    """Find spans of excessive amplitude or gradient.

    Parameters
    ----------
    data : ndarray, shape (n_channels, n_times)
        Filtered EEG of the kept channels, in V.
    sfreq : float
        In Hz.
    cuts : sequence of int
        Samples at which the recording was interrupted: the step there is no artefact.

    Returns
    -------
    list of (float, float)
        In s, widened by a margin and merged.
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


def _ratios(row: Floats, n_block: int, joints: NDArray[np.intp]) -> Floats:
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


def _excessive(ratio: Floats, one: float, many: float) -> NDArray[np.bool_]:
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
    merged: Spans = []
    for start, stop in sorted(spans):
        start, stop = max(0.0, start - margin_s), min(end_s, stop + margin_s)
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged
