"""Gaps in a recording become stretches of their true length, marked as bad; boundaries become marks."""

from __future__ import annotations

from itertools import pairwise

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.recording.fresh import fresh_raw, own_annotations

#: What readers call a place where samples were cut out or recording was paused.
_BOUNDARIES = ("boundary", "new segment", "bad boundary")


def open_gaps(raw: BaseRaw, after: np.ndarray, missing: np.ndarray, *, sfreq: float | None = None) -> BaseRaw:
    """Give missing samples their time back.

    The stretch is a straight line, so that filters do not ring, and is annotated ``BAD_gap``.

    Parameters
    ----------
    raw : BaseRaw
        Samples without the gaps; annotations count from its first sample, gaps left out.
    after : ndarray of int, shape (n_gaps,)
        First sample after each gap, ascending.
    missing : ndarray of int, shape (n_gaps,)
        Samples missing there.
    sfreq : float, optional
        Sampling rate in Hz, where the raw's own was taken over the gaps.

    Returns
    -------
    BaseRaw

    Examples
    --------
    >>> raw = mne.io.RawArray(np.ones((1, 100)), mne.create_info(["Cz"], 100.0, "eeg"), verbose=False)
    >>> opened = open_gaps(raw, np.array([40]), np.array([25]))
    >>> int(opened.n_times), str(opened.annotations.description[0]), float(opened.annotations.onset[0])
    (125, 'BAD_gap', 0.4)
    """
    rate = float(raw.info["sfreq"] if sfreq is None else sfreq)
    data = raw.get_data()
    shift = np.concatenate([[0], np.cumsum(missing)])
    out = np.empty((data.shape[0], data.shape[1] + int(shift[-1])))
    edges = np.concatenate([[0], after, [data.shape[1]]]).astype(int)
    for k, (first, last) in enumerate(pairwise(edges)):
        out[:, first + shift[k] : last + shift[k]] = data[:, first:last]
    kept = own_annotations(raw)
    samples = np.rint(kept.onset * raw.info["sfreq"])
    onset = kept.onset * raw.info["sfreq"] / rate + shift[np.searchsorted(after, samples, side="right")] / rate
    annotations = mne.Annotations(onset, kept.duration, list(kept.description), orig_time=None)
    for k, (place, n) in enumerate(zip(after, missing, strict=True)):
        first = int(place + shift[k])
        share = np.arange(1, n + 1) / (n + 1)
        out[:, first : first + n] = data[:, [place - 1]] + (data[:, [place]] - data[:, [place - 1]]) * share
        annotations.append(first / rate, n / rate, "BAD_gap")
    return fresh_raw(raw, out, sfreq=rate, annotations=annotations)


def mark_boundaries(raw: BaseRaw) -> tuple[BaseRaw, int]:
    """Annotate places where the recording was cut or paused as ``BAD_boundary``.

    Parameters
    ----------
    raw : BaseRaw
        A recording.

    Returns
    -------
    raw : BaseRaw
        The same with marks two samples long, or unchanged.
    n_marked : int
    """
    kept = own_annotations(raw)
    sfreq = raw.info["sfreq"]
    inside = (kept.onset > 1.5 / sfreq) & (kept.onset < (raw.n_times - 1.5) / sfreq)
    at = [
        float(onset)
        for onset, name, within in zip(kept.onset, kept.description, inside, strict=True)
        if within and str(name).lower().rstrip("/").startswith(_BOUNDARIES)
    ]
    if not at:
        return raw, 0
    marks = mne.Annotations(np.array(at) - 1 / sfreq, 2 / sfreq, "BAD_boundary", orig_time=None)
    return fresh_raw(raw, annotations=kept + marks), len(at)
