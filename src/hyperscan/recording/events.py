"""Triggers and markers: from channels or annotations to plain lists of times."""

from __future__ import annotations

from collections import Counter

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.recording.fresh import fresh_raw, own_annotations

#: Annotations that mark damage or joints, not moments that two devices share.
_NO_EVENT = ("bad", "edge", "boundary", "new segment", "sync status")


def with_events(raw: BaseRaw) -> BaseRaw:
    """Turn trigger channels into annotations.

    Parameters
    ----------
    raw : BaseRaw
        Starts at sample 0.

    Returns
    -------
    BaseRaw
        Without stimulus channels; each rising code is an annotation of its number, unless one stands there.
    """
    stims = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    if not stims:
        return raw
    onset, code = _channel_events(raw, stims)
    known = own_annotations(raw)
    dt = 1.0 / raw.info["sfreq"]
    new = [k for k in range(len(onset)) if not np.any(np.abs(known.onset - onset[k]) < 1.5 * dt)]
    added = mne.Annotations(onset[new], 0.0, [str(code[k]) for k in new], orig_time=None)
    bare = raw.copy().drop_channels(stims) if len(stims) < len(raw.ch_names) else raw
    return fresh_raw(bare, annotations=known + added)


def _channel_events(raw: BaseRaw, stims: list[str]) -> tuple[np.ndarray, np.ndarray]:
    samples = np.zeros(0, int)
    codes = np.zeros(0, int)
    for stim in stims:
        values = np.rint(raw.get_data(picks=[stim])[0]).astype(np.int64)
        # a constant or ever-changing channel holds no triggers
        changes = np.flatnonzero(np.diff(values) != 0) + 1
        rising = changes[(values[changes] != 0) & (values[changes] != values[0])]
        if len(rising) > max(10, raw.n_times // 20):
            continue
        samples = np.concatenate([samples, rising])
        codes = np.concatenate([codes, values[rising]])
    order = np.argsort(samples, kind="stable")
    return samples[order] / raw.info["sfreq"], codes[order]


def is_technical(description: str) -> bool:
    """Whether an annotation marks damage or a joint, and no moment that two devices share.

    Parameters
    ----------
    description : str
        Of an annotation.

    Returns
    -------
    bool
    """
    return description.lower().startswith(_NO_EVENT)


def event_times(raw: BaseRaw, only: str | None = None) -> tuple[np.ndarray, list[str]]:
    """List times and names of the events of a recording.

    Parameters
    ----------
    raw : BaseRaw
        A recording.
    only : str, optional
        Name of the events to keep.

    Returns
    -------
    times : ndarray, shape (n_events,)
        In s from the first sample, ascending.
    names : list of str, length n_events
        What they are called.
    """
    kept = own_annotations(raw)
    rows = sorted(
        (float(onset), str(name))
        for onset, name in zip(kept.onset, kept.description, strict=True)
        if not is_technical(str(name)) and (only is None or is_called(str(name), only))
    )
    return np.array([row[0] for row in rows]), [row[1] for row in rows]


def is_called(name: str, wanted: str) -> bool:
    """Whether an event is the one that a table names.

    Parameters
    ----------
    name : str
        As the recording has it, such as ``Stimulus/S  1`` (BrainVision: type, then a padded code).
    wanted : str
        As the table has it: blanks count once, and the type may be left out.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_called("Stimulus/S  1", "S 1"), is_called("Stimulus/S  1", "S 11")
    (True, False)
    """
    held, sought = " ".join(name.split()), " ".join(wanted.split())
    return sought in (held, held.partition("/")[2])


def listed_events(raw: BaseRaw) -> str:
    """List the names of the events with their counts, for messages.

    Parameters
    ----------
    raw : BaseRaw
        A recording.

    Returns
    -------
    str
        ``'1' (100), '2' (3)`` or ``none``. Long names are cut: annotations may hold free text.
    """
    counts = Counter(name for name in event_times(raw)[1])
    return ", ".join(f"{name[:20]!r} ({n})" for name, n in counts.most_common(8)) or "none"
