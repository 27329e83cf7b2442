"""From raw EEG samples to filtered ones: missing values, mains, sampling rate, passband.

Works on arrays, one block of channels at a time, so that a long recording is never in memory twice
before it is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import mne
import numpy as np
import scipy
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.config import StudyConfig
from hyperscan.errors import QualityError
from hyperscan.recording.annotations import Spans
from hyperscan.recording.windows import break_samples
from hyperscan.transforms.spectrum import band_power, welch_psd

#: Channels read and filtered at a time: more only take memory.
BLOCK = 8

#: A signal held at one value for this long (s) is a drop-out or saturation, not EEG (our choice).
HELD_S = 0.1

#: What a notch filter needs beside its frequency, in Hz: MNE's transition bands.
NOTCH_SIDE_HZ = 1.0

Array = NDArray[np.floating]


@dataclass(frozen=True)
class FilteredEeg:
    """Filtered EEG of one person, with what was found on the way."""

    #: shape (n_channels, n_times): In V
    data: Array
    #: Rate in Hz, and that of the recording
    sfreq: float
    recorded_sfreq: float
    #: Edges in Hz; no upper one where the recording ends below it
    passband_hz: tuple[float, float | None]
    #: Per channel: spans in s without a finite value, and spans in which the value did not move
    missing: list[Spans]
    held: list[Spans]
    #: Mains (50 or 60 Hz, the stronger) over its surroundings in dB, before filtering; NaN if not visible
    line_db: float
    #: Spans in s that are too short to be filtered
    unfiltered: Spans
    #: Every stretch is shorter than the filter: neither filtered nor resampled
    epoched: bool
    #: Frequency of the mains that notch filters removed, in Hz; 0 = none
    notched_hz: float

    @property
    def notes(self) -> tuple[str, ...]:
        """Steps taken, for the history."""
        if self.epoched:
            return ("not filtered and not resampled: every uninterrupted stretch is shorter than the filter",)
        low, high = self.passband_hz
        notes = []
        if self.notched_hz:
            notes.append(f"mains removed by notch filters at {self.notched_hz:g} Hz and its harmonics")
        if self.sfreq != self.recorded_sfreq:
            notes.append(
                f"resampled from {self.recorded_sfreq:g} to {self.sfreq:g} Hz with an anti-aliasing polyphase filter"
            )
        upper = f"{low:g}-{high:g} Hz" if high else f"above {low:g} Hz (the sampling rate sets the upper edge)"
        return (*notes, f"band-pass {upper}, zero-phase FIR (Hamming window)")


def filter_eeg(raw: BaseRaw, names: Sequence[str], config: StudyConfig, who: str = "recording") -> FilteredEeg:
    """Read, repair, resample and filter the scalp channels of one person.

    The passband is made by a zero-phase FIR filter (Hamming, MNE's transition bands), whose -6 dB points lie outside
    the passband: it is flat from edge to edge. See Widmann et al. 2015, https://doi.org/10.1016/j.jneumeth.2014.08.002.
    """
    sfreq = float(raw.info["sfreq"])
    cuts = break_samples(raw)
    up, down = resampling(sfreq, config.eeg_max_sfreq)
    passband = usable_passband(config.eeg_filter_hz, sfreq * up / down)
    epoched = int(np.diff([0, *cuts, raw.n_times]).max()) <= filter_length(passband, sfreq)
    if epoched:
        up, down = 1, 1
    new_sfreq = sfreq * up / down
    # a notch filter is longer still than the stretches that no filter fits into
    line_hz = config.eeg_line_hz if config.eeg_line_hz < sfreq / 2 and not epoched else 0.0
    if line_hz >= sfreq / 2 - NOTCH_SIDE_HZ:
        raise QualityError(
            f"{who}: eeg_line_hz = {line_hz:g} lies within {NOTCH_SIDE_HZ:g} Hz of half its sampling rate "
            f"({sfreq:g} Hz), where no notch filter can be designed.\n"
            "Set eeg_line_hz to the mains of the recording (50 or 60), or to 0."
        )
    data = np.empty((len(names), -(-raw.n_times * up // down)))
    missing: list[Spans] = []
    held: list[Spans] = []
    line: list[Array] = []
    unfiltered: Spans = []
    for first in range(0, len(names), BLOCK):
        block = raw.get_data(picks=list(names[first : first + BLOCK]))
        missing += fill_missing(block, sfreq)
        held += [held_spans(row, sfreq) for row in block]
        line.append(mains_db(block, sfreq))
        if line_hz:
            harmonics = np.arange(line_hz, sfreq / 2 - NOTCH_SIDE_HZ, line_hz)
            block = mne.filter.notch_filter(block, sfreq, harmonics, verbose="error")
        if (up, down) != (1, 1):
            block = scipy.signal.resample_poly(block, up, down, axis=-1, padtype="line")
        if not epoched:
            stretches = [round(cut * up / down) for cut in cuts]
            unfiltered = filter_stretches(block, new_sfreq, stretches, passband)
        data[first : first + BLOCK] = block
    levels = np.concatenate(line)
    levels = levels[np.isfinite(levels)]
    line_db = float(np.median(levels)) if levels.size else np.nan
    return FilteredEeg(data, new_sfreq, sfreq, passband, missing, held, line_db, unfiltered, epoched, line_hz)


def usable_passband(edges: tuple[float, float], sfreq: float) -> tuple[float, float | None]:
    """Choose the passband that a sampling rate allows; None = no upper edge, the recording ends below it.

    Examples
    --------
    >>> usable_passband((1.0, 40.0), 250.0), usable_passband((1.0, 40.0), 64.0)
    ((1.0, 40.0), (1.0, None))
    """
    low, high = edges
    return low, high if high < 0.45 * sfreq else None


def filter_length(passband: tuple[float, float | None], sfreq: float) -> int:
    """Count the samples of the zero-phase FIR filter of a passband."""
    return int(mne.filter.create_filter(None, sfreq, *passband, fir_design="firwin", verbose="error").size)


def resampling(sfreq: float, max_sfreq: float) -> tuple[int, int]:
    """Find the factors up and down of a rational change to the highest rate allowed; (1, 1) = none is needed.

    Examples
    --------
    >>> resampling(500.0, 200.0), resampling(128.0, 200.0)
    ((2, 5), (1, 1))
    """
    if not max_sfreq or sfreq <= max_sfreq * (1 + 1e-6):
        return 1, 1
    ratio = Fraction(max_sfreq / sfreq).limit_denominator(1000)
    return ratio.numerator, ratio.denominator


def fill_missing(block: Array, sfreq: float) -> list[Spans]:
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

    Shapes: ``mask`` (n_times,).

    Examples
    --------
    >>> mask_spans(np.array([False, True, True, False]), 2.0)
    [(0.5, 1.5)]
    """
    at = np.flatnonzero(mask)
    if not at.size:
        return []
    starts, stops = at[np.diff(at, prepend=-2) > 1], at[np.diff(at, append=mask.size + 1) > 1] + 1
    long = stops - starts >= min_samples
    return [(float(a / sfreq), float(b / sfreq)) for a, b in zip(starts[long], stops[long], strict=True)]


def held_spans(row: Array, sfreq: float) -> Spans:
    """Find the spans in which a channel does not move.

    Shapes: ``row`` (n_times,).
    """
    step = np.abs(np.diff(row))
    min_samples = max(5, round(HELD_S * sfreq))
    # no median is above twice the mean (Markov's inequality), and means are quick
    if not mask_spans(step <= 2.01e-3 * step.mean(), sfreq, min_samples):
        return []
    # relative to the usual step, so that a resampled or offset copy of a held value is still one
    usual = np.median(step)
    still = step <= 1e-3 * usual if usual > 0 else step == 0
    return mask_spans(still, sfreq, min_samples)


def mains_db(block: Array, sfreq: float) -> Array:
    """Measure mains over its surroundings in dB, from at most the first 5 min; NaN where no spectrum holds it.

    Shapes: ``block`` (n_channels, n_times), returns (n_channels,).
    """
    part = block[:, : round(300 * sfreq)]
    levels = [np.full(len(block), np.nan)]
    if part.shape[-1] >= 4 * sfreq:
        freqs, psd = welch_psd(part, sfreq, 4.0)
        for mains in (50.0, 60.0):
            if freqs[-1] >= mains + 5:
                centre = band_power(freqs, psd, (mains - 0.5, mains + 0.5)) / 5
                low, high = ((mains + side, mains + side + 2) for side in (-4, 2))
                around = band_power(freqs, psd, low) + band_power(freqs, psd, high)
                with np.errstate(divide="ignore", invalid="ignore"):
                    levels.append(10 * np.log10(centre / (around / 18)))
    return np.asarray(np.max(levels[1:] or levels, axis=0))


def filter_stretches(block: Array, sfreq: float, cuts: Sequence[int], passband: tuple[float, float | None]) -> Spans:
    """Band-pass in place, each uninterrupted stretch on its own; list the spans in s that were too short.

    Shapes: ``block`` (n_channels, n_times).
    """
    n_filter = filter_length(passband, sfreq)
    short: Spans = []
    for start, stop in pairwise([0, *cuts, block.shape[-1]]):
        if stop - start <= n_filter:
            short += [(start / sfreq, stop / sfreq)] * (stop > start)
            block[:, start:stop] = 0
        else:
            block[:, start:stop] = mne.filter.filter_data(
                block[:, start:stop], sfreq, *passband, fir_design="firwin", verbose="error"
            )
    return short
