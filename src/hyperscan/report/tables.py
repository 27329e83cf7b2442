"""Numbers as text, tables as plain records that a template can walk, and their heads in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hyperscan.report.wording import without_paths
from hyperscan.schema import column_of

#: Longest text of a cell; longer ones are cut, so that one bad file cannot blow up the page (our choice).
_LONGEST = 400

_P_COLUMNS = (
    "p",
    "p_max_t",
    "p_maxt",
    "p_bh",
    "p_fdr",
    "p_satterthwaite",
    "lag_p",
    "smallest_p",
    "q_bh",
    "p_holm",
)


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    #: What is shown
    text: str
    #: The number in full, empty for text
    value: str = ""
    #: Address inside the report, empty for none
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page: caption, column heads, rows; the first cell of a row names it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers, and stand to the right."""
        return tuple(any(row[i].value for row in self.rows) for i in range(len(self.columns)))


def is_number(value: object) -> bool:
    """Whether a value is a finite number (booleans are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def short(value: object) -> str:
    """Write a number with four significant digits at most, a true or false in words, other things as text.

    Examples
    --------
    >>> short(0.028312), short(5.0), short(None), short(12345.6)
    ('0.02831', '5', '–', '12346')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)) or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not is_number(value):
        return label(value)
    number = float(value)  # type: ignore[arg-type]
    if abs(number) >= 1000 or number == int(number):
        return f"{number:.0f}".replace("-", "−")
    return f"{number:.4g}".replace("-", "−")


def p_value(value: object) -> str:
    """Write a p-value; never as zero.

    Examples
    --------
    >>> p_value(0.00002), p_value(0.0312), p_value(None)
    ('< .0001', '.0312', '–')
    """
    if not is_number(value):
        return "–"
    number = float(value)  # type: ignore[arg-type]
    if number < 1e-4:
        return "< .0001"
    return f"{number:.4f}".removeprefix("0")


def label(text: object, longest: int = _LONGEST) -> str:
    """Make any text fit for a page: one line, no control character, no absolute path, not endless."""
    line = "".join(c if c.isprintable() else " " for c in without_paths(text))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def cell(value: object, column: str = "") -> Cell:
    """Make a cell of any value, by the kind of column it stands in."""
    if isinstance(value, Mapping):
        return Cell("; ".join(f"{label(key)} {short(item)}" for key, item in value.items()) or "–")
    if isinstance(value, list | tuple):
        return Cell(", ".join(short(item) for item in value) or "–")
    text = p_value(value) if column in _P_COLUMNS else short(value)
    # repr of a float gives the number back exactly
    return Cell(text, repr(value) if is_number(value) else "")


def table_of(
    rows: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    caption: str,
    *,
    links: Mapping[str, str] | None = None,
) -> Table:
    """Lay out records as a table."""
    rows = list(rows)
    first = next(iter(columns))
    used = [key for key in columns if key == first or any(not _empty(row.get(key)) for row in rows)]
    made = []
    for row in rows:
        cells = [cell(row.get(key), key) for key in used]
        address = (links or {}).get(cells[0].text, "")
        made.append((Cell(cells[0].text, cells[0].value, address), *cells[1:]))
    return Table(caption, tuple(columns[key] for key in used), tuple(made))


def _empty(value: object) -> bool:
    return value is None or value == "" or value in ([], {}) or (isinstance(value, float) and math.isnan(value))


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as plain Python values, not-a-number as None."""
    plain = table.astype(object).where(table.notna(), None)
    return [
        {str(key): getattr(value, "item", lambda v=value: v)() for key, value in row.items()}
        for row in plain.to_dict("records")
    ]


def heads(keys: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Column heads for keys: known words, else the key with spaces."""
    return {key: known.get(key, key.replace("_", " ")) for key in keys}


#: Key of a table or of ``growth.json`` to the head of its column.
WORDS = {
    "dyad": "Dyad",
    "session": "Session",
    "modality": "Modality",
    "task": "Task",
    "run": "Run",
    "person": "Person",
    "therapist": "Therapist",
    "client": "Client",
    "signal": "Signal",
    "metric": "Metric",
    "band": "Band",
    "roi": "ROI pair",
    "roi_therapist": "ROI, therapist",
    "roi_client": "ROI, client",
    "slope": "Slope (Fisher z per unit of time)",
    "se": "SE",
    "p": "p",
    "p_max_t": "p, max-T corrected",
    "p_maxt": "p, max-T corrected",
    "p_bh": "p, FDR (BH)",
    "q_bh": "q, FDR (BH)",
    "p_holm": "p, Holm corrected",
    "n_dyads": "Dyads (n)",
    "primary": "Primary",
    "name": "Column",
    "ci_low": "95 % CI, low",
    "ci_high": "95 % CI, high",
    "excess_z": "Excess (Fisher z)",
    "z": "Synchrony (Fisher z)",
    "estimate": "Estimate",
    "pseudo_mean_z": "Chance, mean (Fisher z)",
    "pseudo_sd_z": "Chance, SD (Fisher z)",
    "n_pseudo": "Pseudo pairs (n)",
    "lag_estimate": "Whole-session estimate",
    "lag_p": "p, lag null",
    "n_windows": "Windows (n)",
    "window_s": "Window (s)",
    "seconds": "Data used (s)",
    "days": "Day",
    "flags": "Flags",
    "reason": "Reason",
    "grade": "Grade",
    "clean_seconds": "Clean (s)",
    "channels_kept": "Channels kept",
    "channels_total": "of",
    "motion": "Motion (share)",
    "highfreq": "High-frequency power",
    "s2_line": "Signal fraction s²",
    "s2_quad": "s², curved fit",
    "clock_source": "Clock",
    "clock_offset_s": "Offset (s)",
    "clock_ppm": "Drift removed (ppm)",
    "clock_residual_ms": "Residual (ms)",
    "short_r2": "Short-channel r²",
    "band_sd": "In-band SD",
    "mayer_fraction": "Mayer fraction",
    "motion_overlap": "Joint motion",
    "instrument_noise": "Instrument noise",
    "sci": "Scalp coupling",
}

#: The same for columns that end in the name of a band.
_BANDWISE = {
    "snr_": "Signal fraction, ",
    "peak_hz_": "Peak (Hz), ",
    "peak_db_": "Peak (dB over the background), ",
    "peak_width_": "Peak width (Hz), ",
}


def quality_words(keys: list[str]) -> dict[str, str]:
    """Return :data:`WORDS` with the columns of each band added."""
    words = dict(WORDS)
    for key in keys:
        for prefix, text in _BANDWISE.items():
            if key.startswith(prefix):
                words[key] = text + key.removeprefix(prefix)
    return words


def measure(column: str) -> str:
    """Say what a column measures, with its unit."""
    return WORDS.get(column) or column_of(column).label
