"""From raw EEG samples to filtered ones: missing values, mains, sampling rate, passband.

Works on arrays, one block of channels at a time, so that a long recording never stands in memory twice
before it is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray
from scipy.signal import resample_poly

from hyperscan.config import StudyConfig
from hyperscan.recording.windows import Spans, break_samples
from hyperscan.transforms.spectrum import band_power, welch_psd

#: Channels read and filtered at a time.
BLOCK = 16

#: A signal held at one value for this long (s) is a drop-out or saturation, not EEG (our choice).
HELD_S = 0.1

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Signals:
    """Filtered EEG of one person, with what was found on the way.

    Parameters
    ----------
    data : ndarray, shape (n_channels, n_times)
        In V.
    sfreq : float
        In Hz.
    missing, held : list of list of (float, float)
        Per channel: spans in s without a finite value, and spans in which the value did not move.
    line_db : float
        Mains (50 or 60 Hz, the stronger) over its surroundings in dB, before filtering; NaN if not visible.
    notes : tuple of str
        Steps taken, for the history.
    unfiltered : list of (float, float)
        Spans in s that are too short to be filtered.
    """

    data: Floats
    sfreq: float
    missing: list[Spans]
    held: list[Spans]
    line_db: float
    notes: tuple[str, ...]
    unfiltered: Spans


def read_signals(raw: BaseRaw, names: Sequence[str], config: StudyConfig) -> Signals:
    """Read, repair, resample and filter the scalp channels of one person.

    The passband is made by a zero-phase FIR filter (Hamming, MNE's transition bands), whose -6 dB points lie outside
    the passband: it is flat from edge to edge. See Widmann et al. 2015, https://doi.org/10.1016/j.jneumeth.2014.08.002.
    """
    sfreq = float(raw.info["sfreq"])
    cuts = break_samples(raw)
    passband = usable_passband(config.eeg_filter_hz, sfreq)
    epoched = _longest(cuts, raw.n_times) <= filter_length(passband, sfreq)
    up, down = (1, 1) if epoched else resampling(sfreq, config.eeg_max_sfreq)
    new_sfreq = sfreq * up / down
    n_out = -(-raw.n_times * up // down)
    data = np.empty((len(names), n_out))
    missing: list[Spans] = []
    held: list[Spans] = []
    line: list[float] = []
    unfiltered: Spans = []
    for first in range(0, len(names), BLOCK):
        block = raw.get_data(picks=list(names[first : first + BLOCK]))
        missing += fill_missing(block, sfreq)
        held += [_held_spans(row, sfreq) for row in block]
        line += list(_line_db(block, sfreq))
        if config.eeg_line_hz and config.eeg_line_hz < sfreq / 2:
            block = _notch(block, sfreq, config.eeg_line_hz)
        if (up, down) != (1, 1):
            block = resample_poly(block, up, down, axis=-1, padtype="line")
        if not epoched:
            stretches = [round(cut * up / down) for cut in cuts]
            unfiltered = filter_stretches(block, new_sfreq, stretches, passband)
        data[first : first + BLOCK] = block
    notes = _notes(config, sfreq, new_sfreq, passband, epoched=epoched)
    return Signals(data, new_sfreq, missing, held, _finite_median(line), notes, unfiltered)


def usable_passband(edges: tuple[float, float], sfreq: float) -> tuple[float, float | None]:
    """Passband that a sampling rate allows; None = no upper edge, the recording ends below it."""
    low, high = edges
    return low, high if high < 0.45 * sfreq else None


def filter_length(passband: tuple[float, float | None], sfreq: float) -> int:
    """Count the samples of the zero-phase FIR filter of a passband."""
    return int(_design(passband, sfreq).size)


def _design(passband: tuple[float, float | None], sfreq: float) -> Floats:
    return mne.filter.create_filter(None, sfreq, *passband, fir_design="firwin", verbose="error")


def resampling(sfreq: float, max_sfreq: float) -> tuple[int, int]:
    """Factors up and down of a rational change to the highest rate allowed; (1, 1) = none is needed."""
    if not max_sfreq or sfreq <= max_sfreq * (1 + 1e-6):
        return 1, 1
    ratio = Fraction(max_sfreq / sfreq).limit_denominator(1000)
    return ratio.numerator, ratio.denominator


def _longest(cuts: list[int], n_times: int) -> int:
    return int(np.diff([0, *cuts, n_times]).max())


def fill_missing(block: Floats, sfreq: float) -> list[Spans]:
    """Bridge non-finite samples linearly, in place, so that filters stay defined.

    Shapes: ``block`` (n_channels, n_times).
    """
    spans: list[Spans] = []
    for row in block:
        finite = np.isfinite(row)
        if finite.all():
            spans.append([])
            continue
        at = np.flatnonzero(finite)
        row[~finite] = np.interp(np.flatnonzero(~finite), at, row[at]) if at.size else 0.0
        spans.append(mask_spans(~finite, sfreq))
    return spans


def mask_spans(mask: NDArray[np.bool_], sfreq: float, min_samples: int = 1) -> Spans:
    """Turn runs of True into spans in s.

    Examples
    --------
    >>> mask_spans(np.array([False, True, True, False]), 2.0)
    [(0.5, 1.5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]]))).reshape(-1, 2)
    return [(float(a / sfreq), float(b / sfreq)) for a, b in edges if b - a >= min_samples]


def _held_spans(row: Floats, sfreq: float) -> Spans:
    step = np.abs(np.diff(row))
    # relative to the usual step, so that a resampled or offset copy of a held value is still one
    usual = np.median(step)
    still = step <= 1e-3 * usual if usual > 0 else step == 0
    n_held = max(5, round(HELD_S * sfreq))
    return mask_spans(still, sfreq, n_held)


def _line_db(block: Floats, sfreq: float) -> Floats:
    """Mains over its surroundings, from at most the first 5 min."""
    part = block[:, : round(300 * sfreq)]
    freqs, psd = welch_psd(part, sfreq, 4.0) if part.shape[-1] >= 4 * sfreq else (np.zeros(2), part[:, :2])
    levels = [_over_surroundings(freqs, psd, mains) for mains in (50.0, 60.0) if freqs[-1] >= mains + 5]
    return np.max(levels, axis=0) if levels else np.full(len(block), np.nan)


def _finite_median(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else np.nan


def _over_surroundings(freqs: Floats, psd: Floats, mains: float) -> Floats:
    centre = band_power(freqs, psd, (mains - 0.5, mains + 0.5)) / 5
    beside = band_power(freqs, psd, (mains - 4, mains - 2)) + band_power(freqs, psd, (mains + 2, mains + 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(centre / (beside / 18))


def _notch(block: Floats, sfreq: float, line_hz: float) -> Floats:
    harmonics = np.arange(line_hz, sfreq / 2 - 1, line_hz)
    return mne.filter.notch_filter(block, sfreq, harmonics, verbose="error")


def filter_stretches(block: Floats, sfreq: float, cuts: Sequence[int], passband: tuple[float, float | None]) -> Spans:
    """Band-pass in place, each uninterrupted stretch on its own.

    Shapes: ``block`` (n_channels, n_times).
    """
    n_times = block.shape[-1]
    n_filter = filter_length(passband, sfreq)
    short: Spans = []
    for start, stop in zip([0, *cuts], [*cuts, n_times], strict=True):
        if stop - start <= n_filter:
            short += [(start / sfreq, stop / sfreq)] * (stop > start)
            block[:, start:stop] = 0
        else:
            block[:, start:stop] = mne.filter.filter_data(
                block[:, start:stop], sfreq, *passband, fir_design="firwin", verbose="error"
            )
    return short


def _notes(
    config: StudyConfig, sfreq: float, new: float, passband: tuple[float, float | None], *, epoched: bool
) -> tuple[str, ...]:
    if epoched:
        return ("not filtered and not resampled: every uninterrupted stretch is shorter than the filter",)
    low, high = passband
    notes = []
    if config.eeg_line_hz and config.eeg_line_hz < sfreq / 2:
        notes.append(f"mains removed by notch filters at {config.eeg_line_hz:g} Hz and its harmonics")
    if new != sfreq:
        notes.append(f"resampled from {sfreq:g} to {new:g} Hz with an anti-aliasing polyphase filter")
    upper = f"{low:g}-{high:g} Hz" if high else f"above {low:g} Hz (the sampling rate sets the upper edge)"
    return (*notes, f"band-pass {upper}, zero-phase FIR (Hamming window)")
