"""What of two people follows a signal that both were exposed to: taken out by least squares over lags.

The signal and so many of its past and future values explain what they can of every channel; what is left is kept beside
the whole. All of it is linear: power that follows the loudness of speech, say, is still there. Like every regression
on a signal that both people may have made, it can also make them dependent (a collider).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import pinvh

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, QualityError
from hyperscan.recording.cleaning.light import FILTER_ORDER, zero_phase
from hyperscan.recording.records import PairedRecording
from hyperscan.recording.windows import clean_mask, whole_segments
from hyperscan.schema import ROLES

#: Share of a person's freedom that the lags may take (our choice). What they take is the same in both people, so chance
#: rises with it in the real pair and not in re-paired people, by about this share of squared chance.
MAX_SHARE = 0.05

#: Lags per period of the highest frequency: two hold it, a little more is for the slope of the filter (our choice).
PER_PERIOD = 2.5

#: Seconds of what is used that the signal may lack, as when one was started a little later (our choice).
MAX_LACKING_S = 1.0

#: Least eigenvalue, of the largest, that is inverted: below lies what the signal does not hold.
_FLAT = 1e-10

#: Samples whose lags are laid side by side at once: that many take some MB.
_BLOCK = 8192

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Lags:
    """Lags at which a shared signal is looked at."""

    #: Samples from one to the next, and steps to each side
    every: int
    n_steps: int

    @property
    def samples(self) -> NDArray[np.intp]:
        """All lags in samples; positive: the person follows the signal."""
        return np.arange(-self.n_steps, self.n_steps + 1) * self.every


def without_shared(pair: PairedRecording, config: StudyConfig) -> PairedRecording:
    """Add what is left of both people's primary signal, and what share followed, where a row names a shared signal."""
    if pair.shared is None:
        return pair
    modality, key, sfreq = pair.session.modality, pair.session.key, float(pair.therapist.info["sfreq"])
    lag_s = config.max_lag_s[modality]
    usable = {role: _usable(pair, role) for role in ROLES}
    shared = _prepared(pair, config, usable["therapist"] & usable["client"])
    high = min(config.passband(modality)[1], 0.45 * sfreq)
    every = max(1, int(sfreq / (PER_PERIOD * high)))
    lags = Lags(every, round(lag_s * sfreq / every))
    seconds = min(float(mask.sum()) / sfreq for mask in usable.values())
    share = len(shared) * 2 * lag_s / max(seconds, 1 / sfreq)
    if share > MAX_SHARE:
        warnings.warn(
            f"{key}: what follows the shared signal was not taken out: lags of {lag_s:g} s to each side are "
            f"{share:.0%} of the {seconds:.0f} s, more than {MAX_SHARE:.0%}. Set max_lag_s.{modality} to "
            f"{MAX_SHARE * seconds / (2 * len(shared)):.2g} or less, or record longer.",
            DataQualityWarning,
            stacklevel=3,
        )
        return pair
    left, r2 = {}, {}
    for role in ROLES:
        data = _primary(pair, role)
        if data is not None:
            left[role] = data - explained(data, shared, usable[role], lags)
            band = config.bands_of(modality, role)[config.primary_of(modality).band]
            r2[role] = _share_of_power(data, left[role], usable[role], band, sfreq, share)
    return _with_shared(pair, left, r2, lag_s)


def _with_shared(
    pair: PairedRecording, left: Mapping[str, Array], r2: Mapping[str, float], lag_s: float
) -> PairedRecording:
    assert pair.quality is not None
    found = pair.quality
    therapist, client = (dataclasses.replace(found.of(role), shared_r2=r2.get(role, float("nan"))) for role in ROLES)
    said = " and ".join(f"{value:.1%} of the {role}'s" for role, value in r2.items())
    note = (
        f"what follows the shared signal within {lag_s:g} s to each side ({said} power in the primary band) was taken "
        "out of a copy of the primary signal, by least squares"
    )
    quality = dataclasses.replace(found, therapist=therapist, client=client)
    return pair.replace(quality=quality, unshared=left, history=(*pair.history, note) if r2 else pair.history)


def _usable(pair: PairedRecording, role: str) -> NDArray[np.bool_]:
    """Mark the samples of a person that lie in a segment and under no ``BAD`` annotation."""
    raw = pair.raw(role)
    inside = np.zeros(raw.n_times, bool)
    for segment in whole_segments(pair):
        first, stop = (round(t * raw.info["sfreq"]) for t in (segment.onset_s, segment.onset_s + segment.duration_s))
        inside[first:stop] = True
    return inside & clean_mask(raw)


def _primary(pair: PairedRecording, role: str) -> Array | None:
    """Primary signal of a person, (n_channels, n_times); None where it could not be computed."""
    raw = pair.raw(role)
    if pair.session.modality == "eeg":
        return np.asarray(raw.get_data())
    names = [name for name in raw.ch_names if name.endswith(" hbo")]
    return np.asarray(raw.get_data(picks=names)) if names else None


def _prepared(pair: PairedRecording, config: StudyConfig, used: NDArray[np.bool_]) -> Array:
    """Bring the shared signal to the samples and the passband of both people, in SD; refuse one that cannot be used.

    Shapes: ``used`` (n_times,), returns (n_signals, n_times).
    """
    from scipy.interpolate import CubicSpline

    assert pair.shared is not None
    raw, modality, key = pair.shared.raw, pair.session.modality, pair.session.key
    bands = [edges for role in ROLES for edges in config.bands_of(modality, role).values()]
    needed = PER_PERIOD * max(high for _, high in bands)
    if pair.shared.sfreq < needed:
        raise QualityError(
            f"{key}: shared_file holds {pair.shared.sfreq:g} values per s; bands up to {needed / PER_PERIOD:g} Hz need "
            f"{needed:g}.\nExport it at a higher rate, or leave the higher bands out of bands."
        )
    rate, (low, high) = float(raw.info["sfreq"]), config.passband(modality)
    times = np.arange(len(used)) / pair.therapist.info["sfreq"]
    there = clean_mask(raw)[np.minimum(np.round(times * rate).astype(int), raw.n_times - 1)]
    lacking = float((used & ~there).sum() / pair.therapist.info["sfreq"])
    if lacking > MAX_LACKING_S:
        raise QualityError(
            f"{key}: shared_file has no values for {lacking:.1f} s of the {times[-1]:.0f} s that both people have.\n"
            "Correct StartTime in its sidecar, set start_s and stop_s to the time that it covers, or leave it empty."
        )
    data = raw.get_data()
    filtered = zero_phase(data - data.mean(-1, keepdims=True), rate, low, min(high, 0.45 * rate))
    found = CubicSpline(np.arange(raw.n_times) / rate, filtered, axis=-1)(times)
    size = found[:, used].std(axis=-1) if used.any() else np.zeros(len(found))
    if not (size > 1e-9 * np.abs(data).max(axis=-1)).all():
        raise QualityError(
            f"{key}: shared_file does not change in the time that both people have, so nothing can follow it.\n"
            "Check the file and its StartTime, or leave the cell empty."
        )
    return np.asarray(found / size[:, None])


def explained(data: Array, shared: Array, usable: NDArray[np.bool_], lags: Lags) -> Array:
    """Find the part of every channel that some signals and their lags explain best over the usable samples.

    Shapes: ``data`` (n_channels, n_times), ``shared`` (n_signals, n_times), ``usable`` (n_times,), returns
    (n_channels, n_times).
    """
    n_times, reach = data.shape[-1], lags.n_steps * lags.every
    padded = np.pad(shared, ((0, 0), (reach, reach)))

    def beside(rows: NDArray[np.intp]) -> Array:
        """Lay the signals' values at all lags side by side, (n_rows, n_signals * n_lags)."""
        found = padded[:, rows[:, None] + reach - lags.samples]
        return np.asarray(found.transpose(1, 0, 2).reshape(len(rows), -1))

    # between these samples the passband leaves nothing new
    taken = np.arange(0, n_times, lags.every)[usable[:: lags.every]]
    n_columns = len(shared) * len(lags.samples)
    gram, cross = np.zeros((n_columns, n_columns)), np.zeros((n_columns, len(data)))
    for first in range(0, len(taken), _BLOCK):
        rows = taken[first : first + _BLOCK]
        columns = beside(rows)
        gram += columns.T @ columns
        cross += columns.T @ data[:, rows].T
    weights = pinvh(gram, rtol=_FLAT) @ cross
    out = np.empty(data.shape)
    for first in range(0, n_times, _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, n_times))
        out[:, rows] = (beside(rows) @ weights).T
    return out


def _share_of_power(
    data: Array, left: Array, usable: NDArray[np.bool_], band: tuple[float, float], sfreq: float, share: float
) -> float:
    """Share of the power in a band that is gone, mean over channels, beyond what as many lags take by chance."""
    from scipy.signal import butter, sosfiltfilt

    sos = butter(FILTER_ORDER, band, "bandpass", fs=sfreq, output="sos")
    whole, rest = (sosfiltfilt(sos, x, axis=-1)[:, usable].var(axis=-1) for x in (data, left))
    gone = 1 - rest / np.where(whole > 0, whole, 1)
    return float(np.mean(1 - (1 - gone) / (1 - share)))
