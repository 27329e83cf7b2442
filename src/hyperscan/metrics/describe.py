"""The table of metrics as text."""

from __future__ import annotations

from hyperscan.metrics.spec import MetricSpec
from hyperscan.metrics.table import METRICS

_HEADINGS = ("metric", "input", "range", "without coupling", "zero lag", "direction", "what it is", "DOI")

#: How the facts of a record read.
_DIRECTIONS = {"none": "-", "sign": "sign: + = therapist leads", "a_to_b": "therapist to client"}


def describe_metrics() -> str:
    """List every metric with its range, chance level, zero-lag behaviour and source.

    Returns
    -------
    str
        One line per metric under a line of headings, columns separated by two or more spaces.

    Examples
    --------
    >>> print(describe_metrics().splitlines()[1].split("  ")[0])
    plv
    """
    rows = [_HEADINGS, *(_row(spec) for spec in METRICS.values())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(spec: MetricSpec) -> tuple[str, ...]:
    low, high = spec.bounds
    return (
        spec.name,
        spec.domain,
        f"{low:g} to {high:g}",
        spec.chance,
        "blind" if spec.zero_lag_blind else "sees",
        _DIRECTIONS[spec.direction],
        spec.summary,
        spec.citation,
    )
