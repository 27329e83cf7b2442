"""Whether two recordings are two people, measured alike: not one file twice, one unit, one kind of signal."""

from __future__ import annotations

import filecmp
import warnings
from pathlib import Path

import numpy as np
from mne.io import BaseRaw
from scipy.fft import irfft, next_fast_len, rfft

from hyperscan.errors import DataQualityWarning, QualityError, ReadError, count
from hyperscan.recording.files.wavelengths import check_same_light
from hyperscan.recording.pauses import recorded_mask
from hyperscan.recording.records import PairedRecording, PersonRecording
from hyperscan.schema import ROLES
from hyperscan.study.formats import sample_files
from hyperscan.study.session import Session

#: Channel types that make a recording one of this modality.
SIGNAL_TYPES = {
    "eeg": ("eeg",),
    "fnirs": ("fnirs_cw_amplitude", "fnirs_od", "hbo", "hbr", "fnirs_fd_ac_amplitude"),
}
#: Two channels that correlate more than this hold the same samples (BAD_INPUT practice; our choice).
SAME_R = 0.999
#: The steps from sample to sample must agree too, to at least this r (our choice: unrelated ones are near 0, rounding
#: leaves more): a jump that two amplifiers took together makes whole recordings alike, but not their steps.
_STEPS_R = 0.5
#: Steps beyond this many median absolute deviations are cut to it (our choice).
_STEP_MADS = 5.0
_LOOK_S = 60.0
#: Time that two shifted copies must share to be recognised, in s (our choice).
_SHARED_S = 10.0
#: A peak of the whitened cross-correlation this many standard deviations high is looked at; it is the samples that
#: decide then (our choice: of a million lags of unrelated noise the highest reaches five).
_PEAK_SD = 6.0

Picks = dict[str, list[int]]


def check_copies(pair: PairedRecording) -> None:
    """Refuse one person's data in both places when a pair is read.

    Parts of one file that its writer told apart (groups, streams) are named on purpose and may be read;
    :func:`check_two_people` keeps them from being analysed.
    """
    picks = _signal_channels(pair)
    same, most = _same_at_once(pair, picks)
    if not same:
        _check_shifted(pair, picks)
        return
    declared = len(_names(pair)) == 1 and (pair.session.therapist_channels or "").startswith(("/", "stream:"))
    if most and not declared:
        raise ReadError(_twice(pair, same, "at lag 0"))
    warnings.warn(
        f"{' and '.join(_names(pair))}: {count(same, 'channel is', 'channels are')} the same in both people "
        f"(|r| > {SAME_R} at lag 0). "
        "Leave out channels that record one signal for both.",
        DataQualityWarning,
        stacklevel=3,
    )


def check_two_people(pair: PairedRecording) -> None:
    """Refuse to prepare a pair in which both people have the same samples."""
    same, most = _same_at_once(pair, _signal_channels(pair))
    if most:
        raise QualityError(f"{pair.session.key}, {_twice(pair, same, 'at lag 0')}")


def _signal_channels(pair: PairedRecording) -> Picks:
    types = set().union(*SIGNAL_TYPES.values())
    return {role: [k for k, kind in enumerate(pair.raw(role).get_channel_types()) if kind in types] for role in ROLES}


def _same_at_once(pair: PairedRecording, picks: Picks) -> tuple[int, bool]:
    """Count channels with the same samples at lag 0, and say whether they are at least half."""
    rates = {role: pair.raw(role).info["sfreq"] for role in picks}
    # from where both recorded: the bridges over two gaps are two straight lines
    first_s = max(float(np.argmax(recorded_mask(pair.raw(role)))) / rate for role, rate in rates.items())
    n_s = min(_LOOK_S, *(pair.raw(role).n_times / rate - first_s for role, rate in rates.items()))
    low = min(rates.values())
    grid = np.arange(int(n_s * low)) / low
    looks = []
    for role, rate in rates.items():
        raw = pair.raw(role)
        first = round(first_s * rate)
        data = raw.get_data(picks=picks[role], start=first, stop=min(raw.n_times, first + int(n_s * rate) + 1))
        if rate != low:
            data = np.array([np.interp(grid, np.arange(data.shape[1]) / rate, row) for row in data])
        looks.append(data[:, : len(grid)])
    n = min(look.shape[1] for look in looks)
    if n < 10:
        return 0, False
    same = count_same(looks[0][:, :n], looks[1][:, :n])
    return same, same >= max(1, min(map(len, looks)) / 2)


def _names(pair: PairedRecording) -> list[str]:
    files = (pair.session.therapist_file, pair.session.client_file)
    return list(dict.fromkeys(pair.session.relative(path) for path in files))


def _twice(pair: PairedRecording, same: int, when: str) -> str:
    return (
        f"{' and '.join(_names(pair))}: {count(same, 'channel holds', 'channels hold')} the same samples "
        f"(|r| > {SAME_R} {when}): one person's data stand there twice. "
        "Correct the files or the channel rules in dyads.tsv."
    )


def count_same(a: np.ndarray, b: np.ndarray) -> int:
    """Count channels of two people that hold the same samples.

    Shapes: ``a`` (n_a, n_times), ``b`` (n_b, n_times).

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((3, 500))
    >>> count_same(x, np.array([2 * x[0] + 1, x[1][::-1]]))
    1
    """
    same = np.abs(_correlation(a, b)) > SAME_R
    if same.any():
        steps = []
        for x in (a, b):
            step = np.diff(np.where(np.isfinite(x), x, 0.0), axis=1)
            size = _STEP_MADS * np.median(np.abs(step), axis=1, keepdims=True)
            steps.append(np.where(size > 0, np.clip(step, -size, size), step))
        same &= np.abs(_correlation(*steps)) > _STEPS_R
    return int(min(same.any(axis=1).sum(), same.any(axis=0).sum()))


def _check_shifted(pair: PairedRecording, picks: Picks) -> None:
    """Look for a copy that starts at another moment: an export of another stretch of the same recording."""
    a, b = pair.therapist, pair.client
    sfreq = a.info["sfreq"]
    if sfreq != b.info["sfreq"] or min(a.n_times, b.n_times) < 2 * _SHARED_S * sfreq or pair.epoched:
        return
    lag = best_lag(_one_channel(a, b, picks["therapist"]), _one_channel(b, a, picks["client"]))
    if lag is None:
        return
    first, second = max(lag, 0), max(-lag, 0)
    n = min(a.n_times - first, b.n_times - second)
    if n < _SHARED_S * sfreq:
        return
    skip, n = (0, n) if n <= _LOOK_S * sfreq else (int((n - _LOOK_S * sfreq) // 2), int(_LOOK_S * sfreq))
    looks = [
        raw.get_data(picks=chosen, start=start + skip, stop=start + skip + n)
        for raw, chosen, start in ((a, picks["therapist"], first), (b, picks["client"], second))
    ]
    same = count_same(*looks)
    if same >= max(1, min(len(look) for look in looks) / 2):
        raise ReadError(_twice(pair, same, f"{abs(lag) / sfreq:.1f} s apart"))


def _one_channel(raw: BaseRaw, other: BaseRaw, picks: list[int]) -> np.ndarray:
    """Take a living channel that both recordings name alike, else the first living one; empty if all are flat."""
    named = [k for k in picks if raw.ch_names[k] in other.ch_names]
    for k in [*sorted(named, key=lambda k: raw.ch_names[k]), *picks][:8]:
        data = np.nan_to_num(raw.get_data(picks=[k])[0], posinf=0.0, neginf=0.0)
        if np.ptp(data) > 0:
            # steps, or the slow drift from one end to the other would leak into every frequency
            return np.diff(data)
    return np.zeros(0)


def best_lag(x: np.ndarray, y: np.ndarray) -> int | None:
    """Find the shift at which y would repeat x, in samples; None if no shift stands out.

    Every frequency counts alike, so that neither drifts nor mains, which two recordings do share, decide.

    Shapes: ``x`` (n_x,), ``y`` (n_y,).

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(1000)
    >>> best_lag(x, x[70:]), best_lag(x[70:], x)
    (70, -70)
    """
    if not x.size or not y.size:
        return None
    n = next_fast_len(len(x) + len(y), real=True)
    spectrum = rfft(x, n) * np.conj(rfft(y, n))
    size = np.abs(spectrum)
    spectrum = np.divide(spectrum, size, out=np.zeros_like(spectrum), where=size > 1e-12 * size.max())
    peaks = irfft(spectrum, n)
    at = int(np.argmax(peaks))
    if peaks[at] < _PEAK_SD * peaks.std():
        return None
    return at if at < len(x) else at - n


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    scaled = []
    for x in (a, b):
        x = np.where(np.isfinite(x), x, 0.0)
        x = x - x.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        scaled.append(np.divide(x, norm, out=np.zeros_like(x), where=norm > 0))
    return scaled[0] @ scaled[1].T


#: Two people's amplitudes differ by less than this unless a unit is wrong (our choice; people differ up to
#: ten-fold).
MAX_FOLD = 100.0
#: Standard deviation in V within a second that EEG may have, as the median over seconds and channels: from
#: amplifier noise
#: to beyond any artefact (our choice, wide). Volts read as microvolts are a million off.
EEG_RANGE = (5e-8, 5e-3)
#: The same within twenty seconds for haemoglobin changes in mol/l.
HB_RANGE = (1e-10, 1e-2)
_BLOCK_S = {"EEG": 1.0, "haemoglobin": 20.0}


def check_same_file(session: Session) -> None:
    """Refuse one file for both people without a rule that tells them apart."""
    a, b = session.therapist_file, session.client_file
    if session.therapist_channels is not None and session.client_channels is not None:
        return
    if not (a.exists() and b.exists()):
        return
    # the headers of two recordings may be equal, their data not
    mine, theirs = (sample_files(path) for path in (a, b))
    may_be_copy = not (a.is_dir() or b.is_dir()) and len(mine) == len(theirs)
    if one_file(session) or (may_be_copy and all(map(_same_bytes, mine, theirs))):
        raise ReadError(
            f"{session.relative(a)}: therapist_file and client_file are the same data "
            f"({session.relative(b)}). "
            "Name two files, or say in therapist_channels and client_channels which part is whose (1-32, "
            "prefix:T_ ...)."
        )


def _same_bytes(a: Path, b: Path) -> bool:
    """Whether two files hold the same, and anything; reading ends at the first difference."""
    return a.stat().st_size > 0 and filecmp.cmp(a, b, shallow=False)


def one_file(session: Session) -> bool:
    """Whether both people are in one file: one path, or two links to it."""
    a, b = session.therapist_file, session.client_file
    return a == b or (a.exists() and b.exists() and a.samefile(b))


def compare_people(pair: PairedRecording, therapist: PersonRecording, client: PersonRecording) -> PairedRecording:
    """Refuse a pair unless it is two people measured alike, as far as what was read tells."""
    _check_overlap(pair, therapist.channels, client.channels)
    a, b = _kind(pair.therapist), _kind(pair.client)
    if a != b:
        raise ReadError(
            f"{pair.session.relative(pair.session.client_file)}: holds {b}, the therapist's file holds {a}. "
            "Export both people in the same form (best: raw intensity)."
        )
    if pair.samples:
        _check_units(pair)
    _tell_projectors(pair)
    people = {role: pair.raw(role) for role in ROLES}
    check_same_light(pair.session, people, {"therapist": therapist.light, "client": client.light})
    if pair.samples:
        check_copies(pair)
    return pair


def _check_overlap(pair: PairedRecording, a: tuple[str, ...], b: tuple[str, ...]) -> None:
    session = pair.session
    if not one_file(session):
        return
    rules = (session.therapist_channels, session.client_channels)
    if any(rule and rule.startswith(("stream:", "/")) for rule in rules):
        both = [rules[0]] if rules[0] == rules[1] else []
    else:
        both = [name for name in a if name in set(b)]
    if both:
        raise ReadError(
            f"{session.relative(session.therapist_file)}: therapist and client share {count(len(both), 'part')} of "
            "the file "
            f"(rules {rules[0]!r} and {rules[1]!r}). Make the two rules name different channels."
        )


def _tell_projectors(pair: PairedRecording) -> None:
    """Say which projectors come with samples that they were not applied to: here they stay so."""
    idle: dict[str, list[str]] = {}
    for role in ROLES:
        raw, file = pair.raw(role), pair.session.relative(getattr(pair.session, f"{role}_file"))
        touches = [one for one in raw.info["projs"] if set(one["data"]["col_names"]) & set(raw.ch_names)]
        idle[file] = [one["desc"] for one in touches if not one["active"]]
    for file, names in idle.items():
        if names:
            warnings.warn(
                f"{file}: holds projectors that were not applied to its samples ({', '.join(names)}), which are "
                "analysed as they are. Apply them before (apply_proj), or delete them (del_proj).",
                DataQualityWarning,
                stacklevel=3,
            )


def _kind(raw: BaseRaw) -> str:
    types = set(raw.get_channel_types())
    for kind, members in KINDS.items():
        if types & members:
            return kind
    return "none"


KINDS = {
    "haemoglobin": {"hbo", "hbr"},
    "optical density": {"fnirs_od"},
    "raw intensity": {"fnirs_cw_amplitude", "fnirs_fd_ac_amplitude"},
    "EEG": {"eeg"},
}


def usual_deviation(raw: BaseRaw, types: set[str], block_s: float) -> float:
    """Take the median standard deviation within blocks of the middle minute, which slow drifts do not swell.

    Only channels of the given types and samples that were recorded count; 0 if nothing varies.
    """
    picks = [k for k, kind in enumerate(raw.get_channel_types()) if kind in types]
    rows = np.flatnonzero(recorded_mask(raw))
    n = min(rows.size, round(_LOOK_S * raw.info["sfreq"]))
    rows = rows[(rows.size - n) // 2 :][:n]
    if not rows.size or not picks:
        return 0.0
    data = raw.get_data(picks=picks, start=int(rows[0]), stop=int(rows[-1]) + 1)[:, rows - rows[0]]
    n_block = max(round(block_s * raw.info["sfreq"]), 2)
    n = data.shape[1] // n_block
    if n == 0:
        return float(np.median(np.nan_to_num(data.std(axis=1))))
    blocks = data[:, : n * n_block].reshape(data.shape[0], n, -1)
    deviation = np.where(np.isfinite(blocks).all(axis=2), blocks.std(axis=2), 0.0)
    alive = deviation[deviation > 0]
    return float(np.median(alive)) if alive.size else 0.0


def _check_units(pair: PairedRecording) -> None:
    kind = _kind(pair.therapist)
    if kind not in ("EEG", "haemoglobin"):
        return
    low, high = EEG_RANGE if kind == "EEG" else HB_RANGE
    unit = "V" if kind == "EEG" else "mol/l"
    usual = "uV stored as V, or V as uV" if kind == "EEG" else "uM or arbitrary units stored as M, or M as uM"
    session = pair.session
    size = {role: usual_deviation(pair.raw(role), KINDS[kind], _BLOCK_S[kind]) for role in ROLES}
    for role, rms in size.items():
        if rms and not low <= rms <= high:
            raise ReadError(
                f"{session.relative(getattr(session, f'{role}_file'))}: the median standard deviation of its "
                f"{kind} channels is "
                f"{rms:.2g} {unit}; expected {low:g} to {high:g}. A unit is wrong ({usual}?): "
                "export it anew with its unit."
            )
    smaller, larger = sorted(size.values())
    if smaller and larger / smaller > MAX_FOLD:
        worse = min(size, key=lambda role: size[role])
        raise ReadError(
            f"{session.relative(getattr(session, f'{worse}_file'))}: the amplitudes of the two people differ "
            f"{larger / smaller:.0f}-fold "
            f"(therapist {size['therapist']:.2g}, client {size['client']:.2g} {unit}); at most "
            f"{MAX_FOLD:.0f}-fold is plausible. "
            "Check the unit of both exports."
        )
