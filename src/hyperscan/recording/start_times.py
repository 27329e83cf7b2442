"""When two recordings began, by their headers or ``scans.tsv``, as far as those can be believed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from hyperscan.recording.records import PairedRecording
from hyperscan.schema import ROLES

#: A day in s.
DAY_S = 86_400.0

#: Days that devices and exports write when they do not know (MNE, anonymisation tools, empty clocks).
_PLACEHOLDERS = {
    (1970, 1, 1),
    (1985, 1, 1),
    (1980, 1, 1),
    (1900, 1, 1),
    (1904, 1, 1),
    (2000, 1, 1),
    (1925, 1, 1),
    (1960, 1, 1),
}
#: Recordings dated before this year bear shifted dates (BIDS shifts to before 1925), each person's by days of its own.
_SHIFTED = 1990


@dataclass(frozen=True)
class StartTimes:
    """How two recordings' start times lie to each other."""

    #: By how much the client began after the therapist, in s
    apart_s: float
    #: Whether both recorded at some moment, by these times
    overlap: bool
    #: Whether a date is shifted to hide it, so that whole days between the two say nothing
    shifted: bool
    #: What their difference is exact to, in s: 1 where one of them is whole seconds, 0 where both are finer
    exact_s: float

    def describe(self) -> str:
        """Say who began later, and by how much."""
        if self.apart_s == 0:
            return "both began at one moment"
        later, earlier = ("client", "therapist") if self.apart_s > 0 else ("therapist", "client")
        return f"the {later} began {abs(self.apart_s):.{1 if self.exact_s else 3}f} s after the {earlier}"


def is_told(date: datetime.datetime | None) -> bool:
    """Whether a start time is one, not what is written when nobody knows.

    Examples
    --------
    >>> is_told(datetime.datetime(1985, 1, 1, 10)), is_told(datetime.datetime(2024, 1, 2, 10))
    (False, True)
    """
    if date is None or (date.year, date.month, date.day) in _PLACEHOLDERS:
        return False
    # midnight to the second: a date without a time of day
    return (date.hour, date.minute, date.second) != (0, 0, 0)


def is_shifted(date: datetime.datetime) -> bool:
    """Whether a date is so early that it was shifted to hide it."""
    return date.year < _SHIFTED


def compare_starts(pair: PairedRecording) -> StartTimes | None:
    """Compare the start times of two people; None where one is not told or hidden."""
    dates = [pair.raw(role).info["meas_date"] for role in ROLES]
    if not all(map(is_told, dates)):
        return None
    apart = (dates[1] - dates[0]).total_seconds()
    length = {role: pair.raw(role).n_times / pair.raw(role).info["sfreq"] for role in ROLES}
    overlap = -length["client"] < apart < length["therapist"]
    shifted = any(map(is_shifted, dates))
    if shifted and not overlap:
        return None
    return StartTimes(apart, overlap, shifted, 0.0 if all(date.microsecond for date in dates) else 1.0)


def hour_hint(seconds: float) -> str:
    """Say so when a difference is whole hours, as time zones and daylight saving make it.

    Examples
    --------
    >>> hour_hint(3600.0)
    ' That is 3600 s to the second: a time zone or daylight saving?'
    """
    whole = 3600.0 * round(seconds / 3600.0)
    if whole == 0 or abs(seconds) > 14.5 * 3600 or abs(seconds - whole) > 2.0:
        return ""
    close = "to the second" if abs(seconds - whole) < 0.5 else "almost"
    return f" That is {whole:.0f} s {close}: a time zone or daylight saving?"
