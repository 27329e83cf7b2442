"""Gaps in a recording become stretches of their true length, marked as bad; boundaries become marks."""

from __future__ import annotations

from itertools import pairwise

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.recording.fresh import fresh_raw, own_annotations

#: What readers call a place where samples were cut out or recording was paused.
_BOUNDARIES = ("boundary", "new segment", "bad boundary")
#: Our mark at a place where an unknown time was lost, and over what cannot be placed for that reason.
PAUSED, UNPLACED = "BAD_boundary", "BAD_unplaced"
#: Our mark over time that was not recorded and is bridged.
GAP = "BAD_gap"


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
    first_at, last_at = kept.onset * raw.info["sfreq"], (kept.onset + kept.duration) * raw.info["sfreq"]
    onset = (first_at + shift[np.searchsorted(after, np.rint(first_at), side="right")]) / rate
    end = (last_at + shift[np.searchsorted(after, np.rint(last_at), side="left")]) / rate
    annotations = mne.Annotations(onset, np.maximum(end - onset, 0.0), list(kept.description), orig_time=None)
    for k, (place, n) in enumerate(zip(after, missing, strict=True)):
        first = int(place + shift[k])
        share = np.arange(1, n + 1) / (n + 1)
        before = data[:, [max(place - 1, 0)]]
        out[:, first : first + n] = before + (data[:, [place]] - before) * share
        annotations.append(first / rate, n / rate, GAP)
    return fresh_raw(raw, out, sfreq=rate, annotations=annotations)


def is_boundary(description: str) -> bool:
    """Whether an annotation is a place where samples were cut out or recording was paused.

    Parameters
    ----------
    description : str
        Of an annotation.

    Returns
    -------
    bool
    """
    return description.lower().rstrip("/").startswith(_BOUNDARIES)


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
        if within and is_boundary(str(name))
    ]
    if not at:
        return raw, 0
    marks = mne.Annotations(np.array(at) - 1 / sfreq, 2 / sfreq, PAUSED, orig_time=None)
    return fresh_raw(raw, annotations=kept + marks), len(at)


def paused_at(raw: BaseRaw) -> np.ndarray:
    """List the places where an unknown time was lost.

    Parameters
    ----------
    raw : BaseRaw
        After :func:`mark_boundaries`.

    Returns
    -------
    ndarray, shape (n_places,)
        In s from the first sample, ascending.
    """
    kept = own_annotations(raw)
    return np.sort(kept.onset[kept.description == PAUSED] + 1.0 / raw.info["sfreq"])


def recorded(raw: BaseRaw) -> np.ndarray:
    """Tell samples that were recorded from those that bridge a gap.

    Parameters
    ----------
    raw : BaseRaw
        A recording.

    Returns
    -------
    ndarray of bool, shape (n_times,)
    """
    mask = np.ones(raw.n_times, bool)
    kept, sfreq = own_annotations(raw), raw.info["sfreq"]
    for onset, length, name in zip(kept.onset, kept.duration, kept.description, strict=True):
        if name == GAP:
            mask[max(round(onset * sfreq), 0) : round((onset + length) * sfreq)] = False
    return mask
