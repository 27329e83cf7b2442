"""view.html: one page to look around in a run's results, with its data inside and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperscan.metrics.table import growth_scale
from hyperscan.plots.panels import QUALITY_SHOWN, filled
from hyperscan.report.build import render
from hyperscan.report.run import ReportedRun
from hyperscan.report.sections import dyad_links
from hyperscan.report.tables import brief, one_line
from hyperscan.results import SynchronyResult
from hyperscan.results.folder import VIEW
from hyperscan.schema import CELL_COLUMNS, KEYS, ROLES, column_of

#: Columns of ``synchrony.tsv`` that the page shows, as the file has them.
SHOWN = ("estimate", "z", "pseudo_mean_z", "pseudo_sd_z", "n_pseudo", "excess_z", "own_excess_z", "lag_p", "flags")
#: Columns that choose a row.
CHOOSE = (*KEYS, *CELL_COLUMNS)
#: Most bytes of channel matrices on the page; the primary metric and band come first (our choice: a page of 15 MB
#: still opens at once).
MATRIX_BYTES = 7_500_000
#: What a stored matrix value counts in: values are shown with three digits.
STEPS = 65_534


def write_view(out: Path) -> Path:
    """Write the page of a run's folder. The same files give the same bytes."""
    from hyperscan.storage import write_text

    run = ReportedRun.of(out)
    run.check_whole()
    templates = files("hyperscan.report") / "templates"
    script, style = ((templates / name).read_text("utf-8") for name in ("view.js", "style.css"))
    style += (templates / "view.css").read_text("utf-8")
    # "<" would let a label end the block that holds the data
    data = json.dumps(view_data(run), ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = render(
        "view.html.j2", data=data, script=script, style=style, script_hash=_hash(script), style_hash=_hash(style)
    )
    return write_text(run.path / VIEW, page)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def view_data(run: ReportedRun) -> dict[str, Any]:
    """Gather what the page shows."""
    rows, quality = run.table, run.quality
    outcome = run.outcome
    levels = {name: sorted(map(str, rows[name].unique())) for name in CHOOSE if name != "session" and name in rows}
    codes: dict[str, list[int]] = {
        name: pd.Categorical(rows[name].astype(str), categories=known).codes.tolist() for name, known in levels.items()
    }
    codes["session"] = rows["session"].astype(int).tolist()
    return {
        "levels": levels,
        "rows": codes,
        "values": {name: [_plain(value) for value in rows[name]] for name in SHOWN if name in rows},
        "heads": {name: column_of(name, "{scale}").head for name in SHOWN},
        "scales": {name: growth_scale(name) for name in levels["metric"]},
        "primary": {**asdict(outcome), "roi_therapist": outcome.rois.therapist, "roi_client": outcome.rois.client},
        "judged": _quality(quality),
        "lost": [[one_line(text) for text in row] for row in _lost(run)],
        "pages": dyad_links(run),
        "recordings": list(_sessions(run)),
    }


def _lost(run: ReportedRun) -> Iterator[tuple[str, str, str]]:
    """Dyad, recording and reason of what was not analysed, or left out of growth."""
    for skip in run.plan.skipped:
        yield skip.dyad, _place(skip.session, skip.task, skip.run), skip.reason
    for row in run.left_out:
        yield row.dyad, _place(row.session, run.outcome.task, row.run), f"left out of growth: {row.reason}"


def _place(session: float | None, task: str, run: str) -> str:
    """Say which recording of a dyad is meant."""
    number = "?" if session is None else f"{session:g}"
    return ", ".join([number, *filter(None, (task, run and f"run {run}"))])


def _plain(value: object) -> object:
    if isinstance(value, str):
        return one_line(value)
    number = float(value)  # type: ignore[arg-type]
    # as the table has it: ten significant digits
    return float(f"{number:.10g}") if math.isfinite(number) else None


def _quality(quality: pd.DataFrame) -> list[list[object]]:
    """Say of every person of every session how good the recording is: key, person, grade, reason, facts in words."""
    if quality.empty:
        return []
    told = filled(quality, QUALITY_SHOWN)
    found: list[list[object]] = []
    for row in quality.to_dict("records"):
        key = [str(row["dyad"]), int(row["session"]), *(_text(row[name]) for name in KEYS[2:])]
        facts = [f"{column_of(name).head}: {brief(row[name])}" for name in told if pd.notna(row[name])]
        found.append([*key, str(row["person"]), _text(row["grade"]), _text(row["reason"]), "; ".join(facts)])
    return found


def _text(value: object) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else one_line(value)


def _sessions(run: ReportedRun) -> Iterator[dict[str, Any]]:
    """Pack channels, windows and matrices of every session, the primary outcome first, as many as the page may hold."""
    names = [(dyad, result) for dyad in dyad_links(run) for result in run.sessions_of(dyad)]
    left = MATRIX_BYTES - sum(_matrix_bytes(result) for _, result in names)
    wanted = run.outcome
    for _, result in names:
        data = result.dataset
        cells = [
            (str(signal), metric, band)
            for signal in data["signal"].values for metric in result.metrics for band in result.bands
        ]  # fmt: skip
        first = (wanted.signal, wanted.metric, wanted.band)
        cells.sort(key=lambda cell: cell != first)
        matrices = {}
        for cell in cells:
            if not result.between_channels(cell[1]):
                continue
            if cell != first:
                left -= _matrix_bytes(result)
                if left < 0:
                    break
            matrices["|".join(cell)] = _packed(result, cell)
        yield {
            "key": [str(data.attrs["dyad"]), int(data.attrs["session"]), *(str(data.attrs[k]) for k in KEYS[2:])],
            "channels": {role: [one_line(name, 24) for name in data[role].values] for role in ROLES},
            "places": {role: _places(result, role) for role in ROLES},
            "start": [float(f"{at:.6g}") for at in data["window_start"].to_numpy()],
            "lasts": float(f"{data.attrs['length_s']:.6g}"),
            "window": float(f"{data.attrs['window_s']:.6g}"),
            "clean": {
                str(role): data["clean"].sel(person=role).to_numpy().tolist() for role in data["person"].values
            } if "clean" in data else {},
            "grid": [float(f"{at:.6g}") for at in data["grid_start"].to_numpy()] if "grid_start" in data else [],
            "windows": _windows(result, cells, str(wanted.rois)),
            "matrices": matrices,
        }  # fmt: skip


def _windows(result: SynchronyResult, cells: list[tuple[str, str, str]], pair: str) -> dict[str, list[float | None]]:
    """Course over the windows of the primary region, by cell."""
    data = result.dataset
    if pair not in data["roi_pair"].values or data.sizes["window"] < 2:
        return {}
    chosen = data["roi_z"].sel(roi_pair=pair)
    return {
        "|".join(cell): [
            float(f"{z:.5g}") if math.isfinite(z) else None
            for z in chosen.sel(signal=cell[0], metric=cell[1], band=cell[2]).to_numpy().tolist()
        ]
        for cell in cells
    }


def _matrix_bytes(result: SynchronyResult) -> int:
    """Bytes that a matrix takes as text: two per value, four letters for three bytes."""
    return 8 * result.dataset.sizes["therapist"] * result.dataset.sizes["client"] // 3


def _packed(result: SynchronyResult, cell: tuple[str, str, str]) -> list[object]:
    """Lowest value, highest value, and the matrix in steps between them (the last step: no value)."""
    values = result.to_matrix(cell[1], cell[2], signal=cell[0]).to_numpy()
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    steps = np.full(values.shape, STEPS + 1, dtype="<u2")
    scaled = (values - low) / (high - low or 1.0) * STEPS
    steps[np.isfinite(values)] = np.round(scaled[np.isfinite(values)]).astype("<u2")
    return [float(f"{low:.6g}"), float(f"{high:.6g}"), base64.b64encode(steps.tobytes()).decode("ascii")]


def _places(result: SynchronyResult, role: str) -> list[list[float] | None]:
    from hyperscan.plots.topographies import flat_positions

    flat = flat_positions(result.positions(role).to_numpy())
    return [[round(float(x), 3), round(float(y), 3)] if math.isfinite(x) else None for x, y in flat]
