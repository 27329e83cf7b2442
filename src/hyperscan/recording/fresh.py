"""A raw of one's own: starts at 0 s, holds only what analysis needs, no personal data."""

from __future__ import annotations

import mne
import numpy as np
from mne.io import BaseRaw

#: Fields of an Info that say whose or when, and that no step needs.
_PERSONAL = (
    "subject_info",
    "experimenter",
    "description",
    "device_info",
    "helium_info",
    "proj_id",
    "proj_name",
)


def fresh_raw(
    raw: BaseRaw,
    data: np.ndarray | None = None,
    *,
    sfreq: float | None = None,
    annotations: mne.Annotations | None = None,
    keep_date: bool = True,
) -> BaseRaw:
    """Build a new raw with the channels of another.

    Parameters
    ----------
    raw : BaseRaw
        Where channels, positions and filters come from. Not changed.
    data : ndarray, shape (n_channels, n_times), optional
        Samples in SI units; those of ``raw`` if absent.
    sfreq : float, optional
        Sampling rate in Hz; that of ``raw`` if absent.
    annotations : mne.Annotations, optional
        Onsets in s from the first sample, ``orig_time`` None; those of ``raw`` if absent.
    keep_date : bool
        Keep the recording date.

    Returns
    -------
    BaseRaw
        Preloaded, first sample 0, without names, dates of birth, comments and device numbers.

    Examples
    --------
    >>> import mne, numpy as np
    >>> info = mne.create_info(["Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 100)), info, first_samp=50, verbose=False)
    >>> fresh_raw(raw).first_samp
    0
    """
    if annotations is None:
        annotations = own_annotations(raw)
    info = raw.info.copy()
    with info._unlock():
        for key in _PERSONAL:
            info[key] = None
        for key in ("file_id", "meas_id", "utc_offset"):
            info[key] = None
        info["proc_history"] = []
        info["hpi_meas"], info["hpi_results"], info["events"] = [], [], []
        info["sfreq"] = float(raw.info["sfreq"] if sfreq is None else sfreq)
        info["lowpass"] = min(info["lowpass"], info["sfreq"] / 2)
        if not keep_date:
            info["meas_date"] = None
    made = mne.io.RawArray(raw.get_data() if data is None else data, info, verbose="WARNING")
    return made.set_annotations(annotations, verbose="WARNING")


def own_annotations(raw: BaseRaw) -> mne.Annotations:
    """Annotations with onsets in s from the first sample.

    Parameters
    ----------
    raw : BaseRaw
        A recording.

    Returns
    -------
    mne.Annotations
        ``orig_time`` is None.
    """
    kept = raw.annotations
    return mne.Annotations(kept.onset - raw.first_time, kept.duration, list(kept.description), orig_time=None)
