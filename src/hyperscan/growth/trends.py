"""Trends of the recordings that are reported beside the guards."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from hyperscan.growth.evidence import Evidence, Slopes
from hyperscan.growth.few import without_tests
from hyperscan.growth.records import Trend
from hyperscan.growth.table import Names, label_column, number_column

#: Columns of quality.tsv whose trend is reported for each person, by what they tell (prefixes match, too).
QUALITY_TRENDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "amount of data": ("clean_seconds", "n_windows", "channels_kept"),
        "signal fraction": ("s2_line", "s2_quad", "snr_"),
        "rhythmicity": ("peak_width_", "peak_hz_"),
        "artefact": ("highfreq", "motion"),
        "fNIRS": ("short_r2", "band_sd", "mayer_fraction", "motion_overlap", "instrument_noise", "sci"),
    }
)


def recording_trends(evidence: Evidence, table: pd.DataFrame, names: Names) -> tuple[Trend, ...]:
    """Trends of windows, seconds and speech of the outcome's table, of each person's quality, of the matched excess."""
    slopes, task = evidence.of_sessions, evidence.outcome.task
    found = [trend_of("amount of data", name, slopes) for name in ("n_windows", "seconds") if name in evidence.sessions]
    if "speech" in table and names.session in table:
        said = {"dyad": label_column(table, names.dyad), "speech": number_column(table, "speech")}
        said |= {"session": number_column(table, names.session)}
        tasks = {"task": table["task"].reset_index(drop=True)} if "task" in table else {}
        slopes = Slopes.of(pd.DataFrame(said | tasks), evidence.sessions, {task: 1.0})
        found.append(trend_of("artefact", "speech", slopes))
    if evidence.quality is not None:
        found += quality_trends(evidence.quality, evidence.sessions, task)
    if evidence.guards is not None and not evidence.made_for and "matched_excess_z" in evidence.guards:
        found.append(trend_of("sensitivity", "matched_excess_z", evidence.of_guards))
    return tuple(found)


def quality_trends(quality: pd.DataFrame, sessions: pd.DataFrame, task: str) -> list[Trend]:
    """Trend of every quality measure of each person."""
    out = []
    people = quality["person"].dropna().unique().tolist() if "person" in quality else [None]
    for person in people:
        rows = quality if person is None else quality[quality["person"] == person]
        slopes = Slopes.of(rows, sessions, {task: 1.0})
        for topic, wanted in QUALITY_TRENDS.items():
            for column in map(str, rows.columns):
                if any(column == name or (name.endswith("_") and column.startswith(name)) for name in wanted):
                    out.append(trend_of(topic, column, slopes, person))
    return out


def trend_of(topic: str, name: str, slopes: Slopes, person: str | None = None) -> Trend:
    """Trend of a column."""
    test = slopes.test(slopes.column(name))
    test = without_tests(test, test.n)
    return Trend(topic, name, person, test.slope, test.t, test.p, test.n)
