"""What puts two recordings on one clock: one amplifier, triggers, time stamps, an offset or trust."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass, field

import numpy as np

from hyperscan.errors import ClockError, DataQualityWarning, count
from hyperscan.recording.annotations import event_times, is_called, listed_events
from hyperscan.recording.clocks.triggers import ClockFit, NoFitError, match_events
from hyperscan.recording.files.epochs import fix_moments
from hyperscan.recording.files.pairs import one_file
from hyperscan.recording.pauses import paused_at
from hyperscan.recording.records import ClockReport, PairedRecording
from hyperscan.recording.resampling import SAME_RATE
from hyperscan.recording.start_times import compare_starts, hour_hint
from hyperscan.recording.timeline import MAX_PPM, Piece, fit_stamps, straight
from hyperscan.schema import ROLES

#: Root mean square distance of matched events from the fit, in ms, above which two clocks are not taken for
#: aligned; one sample of the slower device is allowed on top (our choice).
MAX_RESIDUAL_MS = 10.0
#: Matched events from which on triggers are believed without being named (our choice).
_ENOUGH = 5
#: Where a clock is declared.
_WHERE = "(column clock of dyads.tsv; in memory PairedRecording.from_raws or from_epochs with clock=...)"
#: Difference of two start times that is named, in s (our choice: below it lies the start of two programs by hand).
_NAMED_S = 0.1


@dataclass(frozen=True)
class Clocks:
    """Where the samples of two people lie on the therapist's clock, which is 0 at the therapist's first sample."""

    #: From s of each recording to s of the therapist's clock
    therapist: tuple[Piece, ...]
    client: tuple[Piece, ...]
    report: ClockReport
    #: shape (n_matched,): Moments that both recorded, in s on the therapist's clock; empty without matched events
    anchors: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def of(self, role: str) -> tuple[Piece, ...]:
        """Return the clock of one person."""
        return self.therapist if role == "therapist" else self.client


def find_clocks(pair: PairedRecording) -> Clocks:
    """Decide what aligns a pair, and fit it."""
    session, declared = pair.session, pair.session.clock
    if declared == "none":
        raise ClockError(
            f"{_files(pair)}: the row declares clock 'none'. Without a common clock synchrony means nothing: "
            "declare triggers, timestamps, offset or, if both started together, assumed."
        )
    if declared is not None:
        return _DECLARED[declared](pair)
    if one_file(session):
        return _timestamps(pair) if pair.stamps is not None else _same_amplifier(pair)
    if session.therapist_offset_s is not None or session.client_offset_s is not None:
        return _offset(pair)
    if session.sync_event is not None:
        return _triggers(pair)
    # triggers that nobody named, if they leave no doubt
    with contextlib.suppress(NoFitError):
        fit = _fit_events(pair)
        n_events = min(len(event_times(pair.raw(role))[0]) for role in ROLES)
        if len(fit.matched) >= max(_ENOUGH, 0.5 * n_events):
            return _from_events(pair, fit)
    _check_starts(pair)
    return _assumed(pair)


def _same_amplifier(pair: PairedRecording) -> Clocks:
    if pair.stamps is not None and one_file(pair.session):
        return _timestamps(pair)
    ppm, notes = _rate_drift(pair)
    against = "" if one_file(pair.session) else _contradiction(pair)
    if against:
        warnings.warn(
            f"{_files(pair)}: the row declares clock 'same_amplifier', which lets both begin together, but {against}. "
            "Correct the files, or declare triggers, timestamps or an offset.",
            DataQualityWarning,
            stacklevel=2,
        )
        notes = (*notes, f"taken to begin together, though {against}")
    report = ClockReport("same_amplifier", 0.0, ppm, 0.0, 0, notes)
    return Clocks((straight(0.0),), (straight(0.0),), report)


def _rate_drift(pair: PairedRecording) -> tuple[float, tuple[str, ...]]:
    """Drift that two almost equal rates in the headers stand for, in ppm."""
    a, b = pair.therapist.info["sfreq"], pair.client.info["sfreq"]
    ratio = a / b - 1.0
    if abs(ratio) < 1e-7 or abs(ratio) > SAME_RATE:
        return 0.0, ()
    # the rates in the headers are taken at their word: s of each recording are then true s
    return -1e6 * ratio, (f"{_files(pair)}: rates of {a:g} and {b:g} Hz were taken for one setting on two clocks",)


def _assumed(pair: PairedRecording) -> Clocks:
    against = _contradiction(pair)
    though = f", though {against}" if against else ""
    warnings.warn(
        f"{_files(pair)}: nothing aligns the two recordings; they are assumed to start together{though}. "
        f"Declare triggers, timestamps or an offset {_WHERE} if there is one: drift and offset are unknown.",
        DataQualityWarning,
        stacklevel=2,
    )
    _, notes = _rate_drift(pair)
    said = f"both recordings are assumed to start together{though}"
    there = [len(event_times(pair.raw(role))[0]) for role in ROLES]
    events = (f"events: {there[0]} of the therapist, {there[1]} of the client",) if any(there) else ()
    report = ClockReport("assumed", 0.0, np.nan, np.nan, 0, (said, *events, *notes))
    return Clocks((straight(0.0),), (straight(0.0),), report)


def clock_of_epochs(pair: PairedRecording) -> ClockReport:
    """Say what puts epochs that were paired when they were read on one clock: what the row declares, or their times.

    Uneven intervals that both recordings have are shared triggers. Even ones are those of any two recordings.
    """
    declared, times, said = pair.session.clock, pair.epoch_times, "epochs were paired when they were read"
    n = len(pair.segments)
    if declared in ("offset", "timestamps"):
        raise ClockError(
            f"{_files(pair)}: the row declares clock {declared!r}, and epochs cannot be moved any more. Name "
            "continuous files, or declare triggers or same_amplifier."
        )
    if declared == "same_amplifier" and times is not None:
        apart = float(np.abs(times[1] - times[0]).max())
        if apart > 2e-3 * MAX_RESIDUAL_MS:
            raise ClockError(
                f"{_files(pair)}: the row declares clock 'same_amplifier', but epochs that belong together were cut up "
                f"to {apart:.3f} s apart. Declare triggers, or cut both at the samples of one recording."
            )
    if declared == "assumed" or (declared is None and (times is None or not fix_moments(times[0]))):
        why = "the files do not say when they were cut" if times is None else "an even grid lies in any two recordings"
        warnings.warn(
            f"{_files(pair)}: nothing shows that paired epochs are of the same moments: {why}. They are assumed to be. "
            f"Declare what puts both on one clock {_WHERE}: same_amplifier, or triggers that both recorded.",
            DataQualityWarning,
            stacklevel=2,
        )
        return ClockReport("assumed", 0.0, np.nan, np.nan, 0, (said, "they are assumed to be of the same moments"))
    if declared == "same_amplifier":
        return ClockReport(declared, 0.0, 0.0, 0.0, n, (said,))
    if times is None:
        return ClockReport("triggers", 0.0, np.nan, np.nan, n, (said,))
    therapist, client = times
    slope, start = np.polyfit(client, therapist, 1) if n > 2 else (1.0, float(np.mean(therapist - client)))
    residual_ms = 1e3 * float(np.sqrt(np.mean(np.square(therapist - start - slope * client))))
    return ClockReport("triggers", float(start), np.nan, residual_ms, n, (said,))


def _offset(pair: PairedRecording) -> Clocks:
    offset = declared_offset(pair)
    if offset is None:
        raise ClockError(
            f"{_files(pair)}: the row declares clock 'offset', but neither therapist_offset_s nor "
            "client_offset_s is given. "
            "Write the time of each recording's first sample on a common clock, in s."
        )
    _, notes = _rate_drift(pair)
    return Clocks((straight(0.0),), (straight(offset),), ClockReport("offset", offset, np.nan, np.nan, 0, notes))


def declared_offset(pair: PairedRecording) -> float | None:
    """Client's start on the therapist's clock as the row gives it, in s; None if it does not."""
    a, b = pair.session.therapist_offset_s, pair.session.client_offset_s
    return None if a is None and b is None else (b or 0.0) - (a or 0.0)


def _timestamps(pair: PairedRecording) -> Clocks:
    if pair.stamps is None:
        return _start_times(pair)
    therapist, client = (
        fit_stamps(stamps, pair.raw(role).info["sfreq"]) for role, stamps in zip(ROLES, pair.stamps, strict=True)
    )
    zero = float(therapist.pieces[0].common[0])
    tracks = [
        tuple(Piece(p.own, p.common - zero, p.start - zero, p.stop - zero) for p in fit.pieces)
        for fit in (therapist, client)
    ]
    first = tracks[1][0]
    notes = [f"{role}: {note}" for role, fit in zip(ROLES, (therapist, client), strict=True) for note in fit.notes]
    report = ClockReport(
        source="timestamps",
        offset_s=float(first.common[0] - first.own[0]),
        ppm=1e6 * ((1 + 1e-6 * client.ppm) / (1 + 1e-6 * therapist.ppm) - 1),
        residual_ms=float(np.hypot(therapist.residual_ms, client.residual_ms)),
        n_matched=min(len(stamps) for stamps in pair.stamps),
        notes=tuple(notes),
    )
    return Clocks(tracks[0], tracks[1], report)


def _start_times(pair: PairedRecording) -> Clocks:
    """Take the start times of two files at their word."""
    starts = compare_starts(pair)
    # one file has one start time, which says nothing of two clocks
    if starts is None or one_file(pair.session):
        raise ClockError(
            f"{_files(pair)}: the row declares clock 'timestamps', but the files have no time stamps (only XDF has) "
            "and no start times of both in their headers or scans.tsv that can be compared.\n"
            "Declare triggers, offset, same_amplifier or assumed."
        )
    _check_starts(pair)
    exact = "exact to a second" if starts.exact_s else "which are as exact as the two devices' clocks"
    warnings.warn(
        f"{_files(pair)}: by their start times, {exact}, {starts.describe()}; the drift is unknown. "
        "Record shared triggers, which place two recordings to a millisecond.",
        DataQualityWarning,
        stacklevel=2,
    )
    _, notes = _rate_drift(pair)
    said = f"start times of headers or scans.tsv, {exact}"
    # the times of two devices, each rounded down
    uncertainty_ms = 1e3 * starts.exact_s or np.nan
    report = ClockReport("timestamps", starts.apart_s, np.nan, np.nan, 0, (said, *notes), uncertainty_ms)
    return Clocks((straight(0.0),), (straight(starts.apart_s),), report)


def _triggers(pair: PairedRecording) -> Clocks:
    try:
        fit = _fit_events(pair)
    except NoFitError as error:
        raise ClockError(
            f"{_files(pair)}: the triggers cannot be matched: {error}. Therapist: "
            f"{listed_events(pair.therapist)}; client: "
            f"{listed_events(pair.client)}.\n{_remedy(pair, error)}"
        ) from None
    return _from_events(pair, fit)


def _remedy(pair: PairedRecording, error: NoFitError) -> str:
    """Say what helps against triggers that cannot be matched, by what the two recordings hold."""
    names = {role: event_times(pair.raw(role))[1] for role in ROLES}
    empty = [f"the {role}'s" for role in ROLES if not names[role]]
    offset = "declare clock offset (client_offset_s) if you noted it"
    if empty:
        return (
            f"Look for the triggers of {' and '.join(empty)} recording (a channel called TRIG or the like, a marker "
            f"file) and export it with them, {offset}, or declare assumed if both began together."
        )
    only, kinds = pair.session.sync_event, set().union(*names.values())
    if only is not None and not any(is_called(name, only) for name in kinds):
        return f"Correct sync_event to one of these names, or {offset}."
    if error.regular:
        irregular = "Name an irregular one in sync_event, or give" if _names_can_tell(pair) else "Give"
        return (
            f"{irregular} client_offset_s beside them as well as you noted it (within half of their interval): the "
            "triggers then tell the rest. Pulses at irregular intervals need no note."
        )
    if _names_can_tell(pair):
        return f"Name the shared one in sync_event, or {offset}."
    return f"No name tells more of them: check that both devices recorded the same pulses in this session, or {offset}."


def _names_can_tell(pair: PairedRecording) -> bool:
    """Whether a name in ``sync_event`` can choose among the events: none is given, and one has several kinds."""
    kinds = [len(set(event_times(pair.raw(role))[1])) for role in ROLES]
    return pair.session.sync_event is None and max(kinds) > 1


def _fit_events(pair: PairedRecording) -> ClockFit:
    only = pair.session.sync_event
    times: dict[str, np.ndarray] = {}
    names: dict[str, list[str]] = {}
    found = False
    for role in ROLES:
        times[role], names[role] = event_times(pair.raw(role), only)
        found = found or (only is not None and len(times[role]) > 0)
        if only is not None and not len(times[role]):
            # devices name one pulse differently, so the name may be known to one of them only
            times[role], names[role] = event_times(pair.raw(role))
    if only is not None and not found:
        raise NoFitError(f"no event of either recording is called {only!r}")
    slower = min(pair.raw(role).info["sfreq"] for role in ROLES)
    return match_events(
        times["therapist"],
        times["client"],
        names=(names["therapist"], names["client"]),
        tolerance_s=max(0.005, 0.75 / slower),
        expected_s=declared_offset(pair),
    )


def _from_events(pair: PairedRecording, fit: ClockFit) -> Clocks:
    slower = min(pair.raw(role).info["sfreq"] for role in ROLES)
    limit = MAX_RESIDUAL_MS + 1e3 / slower
    if fit.ppm == fit.ppm and abs(fit.ppm) > MAX_PPM:
        raise ClockError(
            f"{_files(pair)}: {len(fit.matched)} shared triggers give a drift of {fit.ppm:.0f} ppm; at most "
            f"{MAX_PPM:.0f} ppm is "
            "plausible. Check the sampling rates in the headers, or the triggers."
        )
    if fit.residual_ms > limit:
        raise ClockError(
            f"{_files(pair)}: {len(fit.matched)} shared triggers leave {fit.residual_ms:.1f} ms rms; at most "
            f"{limit:.1f} ms is "
            f"allowed. Check the triggers{', or name the shared one in sync_event' * _names_can_tell(pair)}."
        )
    if np.isnan(fit.ppm) or len(fit.matched) < _ENOUGH:
        warnings.warn(
            f"{_files(pair)}: only {count(len(fit.matched), 'shared trigger')}: the drift is not known well. "
            "Record triggers throughout the session.",
            DataQualityWarning,
            stacklevel=2,
        )
    else:
        _warn_of_uncovered(pair, fit)
    report = ClockReport("triggers", fit.offset_s, fit.ppm, fit.residual_ms, len(fit.matched), fit.notes)
    return Clocks((straight(0.0),), fit.pieces, report, fit.anchors)


#: Share of the time in common that may lie before the first or after the last shared trigger without a word
#: (our choice).
_UNCOVERED = 0.3
#: How far off a clock may be where it is extended, without a word (our choice: 4 degrees at 10 Hz).
_EXTENDED_MS = 1.0


def _warn_of_uncovered(pair: PairedRecording, fit: ClockFit) -> None:
    """Warn where shared triggers cover a part of the session only, as when a cable came off."""
    if any(paused_at(pair.raw(role)).size for role in ROLES):
        return  # the clock is not extended beyond a pause: what follows the last event there is unplaced, and is told
    ends = [pair.raw(role).n_times / pair.raw(role).info["sfreq"] for role in ROLES]
    first, last = float(fit.anchors[0]), float(fit.anchors[-1])
    start, stop = max(0.0, fit.offset_s), min(ends[0], float(fit.pieces[-1].to_common(np.array(ends[1:]))[0]))
    beyond = max(first - start, stop - last)
    if beyond <= _UNCOVERED * (stop - start):
        return
    # the standard error of a line's prediction, at the end that is farther from its events
    far = stop if stop - last >= first - start else start
    lever = (far - fit.anchors.mean()) ** 2 / np.sum(np.square(fit.anchors - fit.anchors.mean()))
    off_ms = 2 * fit.residual_ms * float(np.sqrt(1 / len(fit.anchors) + lever))
    off = "" if np.isnan(off_ms) else f", where it may be off by {off_ms:.1f} ms"
    held = [len(event_times(pair.raw(role))[0]) for role in ROLES]
    # exact triggers that both devices have in one part only are no loss
    if off_ms <= _EXTENDED_MS and max(held) <= (1 + _UNCOVERED) * len(fit.matched):
        return
    warnings.warn(
        f"{_files(pair)}: shared triggers lie between {first:.0f} and {last:.0f} s only, of {start:.0f} to {stop:.0f} s"
        f" ({held[0]} of the therapist, {held[1]} of the client, {len(fit.matched)} shared). The clock is extended to "
        f"the rest{off}. Look why they stop, or leave the rest out (start_s, stop_s).",
        DataQualityWarning,
        stacklevel=2,
    )


def _check_starts(pair: PairedRecording) -> None:
    """Refuse recordings whose dates, where believable, say that they never overlapped or are whole hours apart."""
    starts = compare_starts(pair)
    if starts is None or starts.shifted:
        return
    hours = hour_hint(starts.apart_s)
    if starts.overlap and not hours:
        return
    fault = "though nothing else aligns them." if starts.overlap else "so they never overlapped."
    raise ClockError(
        f"{_files(pair)}: by their recording dates the client started {starts.apart_s:.0f} s after the therapist, "
        f"{fault}{hours}\n"
        "Correct the files, or declare the clock (offset, triggers; assumed if both started together)."
    )


def _contradiction(pair: PairedRecording) -> str:
    """Say by how much start times disagree with two recordings that are taken to start together; else empty."""
    starts = compare_starts(pair)
    if starts is None or abs(starts.apart_s) < _NAMED_S:
        return ""
    return f"their start times (headers or scans.tsv) say that {starts.describe()}"


def _files(pair: PairedRecording) -> str:
    names = [pair.session.relative(path) for path in (pair.session.therapist_file, pair.session.client_file)]
    return " and ".join(dict.fromkeys(names))


_DECLARED = {
    "same_amplifier": _same_amplifier,
    "triggers": _triggers,
    "timestamps": _timestamps,
    "offset": _offset,
    "assumed": _assumed,
}
