"""The figures of a dyad's page that need its full matrices: channels, links, windows, coherence maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hyperscan.errors import count
from hyperscan.plots.frames import window_table
from hyperscan.report.figures import Picture, picture
from hyperscan.report.read import RunFolder
from hyperscan.report.tables import short
from hyperscan.results import SynchronyResult, read_synchrony

#: Links drawn: the strongest 5 %, and on large caps no more than this many per session on average (our choice).
STRONGEST, MOST_LINKS = 0.05, 40


def results_of(run: RunFolder, dyad: str) -> dict[str, SynchronyResult]:
    """Full results of a dyad's sessions that hold the primary outcome, by title, in order of session."""
    wanted = run.outcome
    found = {}
    for path in sorted(run.folder.glob(f"dyad-{dyad}/ses-*/*_synchrony.nc")):
        result = read_synchrony(path)
        told = result.dataset.attrs
        same = told.get("modality") == wanted.modality and (not wanted.task or told.get("task") == wanted.task)
        if same and wanted.metric in result.metrics and wanted.band in result.bands:
            run_label = f", run {told['run']}" if told.get("run") else ""
            found[f"Session {told['session']}{run_label}"] = result
    return found


def dyad_pictures(run: RunFolder, dyad: str) -> dict[str, Picture | None]:
    """Figures of a dyad's page that need the full results; None where there is nothing to draw."""
    results = results_of(run, dyad)
    matrices = {title: _matrix(run, result) for title, result in results.items()}
    matrices = {title: matrix for title, matrix in matrices.items() if np.isfinite(matrix.to_numpy()).any()}
    return {
        "matrix_picture": _matrix_picture(run, matrices),
        "heads_picture": _heads_picture(run, results, matrices),
        "course_picture": _course_picture(run, dyad, results),
        "map_picture": _map_picture(run, results),
    }


def _matrix(run: RunFolder, result: SynchronyResult) -> pd.DataFrame:
    wanted = run.outcome
    return result.to_matrix(wanted.metric, wanted.band, signal=wanted.signal or None)


def _matrix_picture(run: RunFolder, matrices: Mapping[str, pd.DataFrame]) -> Picture | None:
    from hyperscan.plots.dyad import matrix_panels

    if not matrices:
        return None
    tops = [f"{title}: {'-'.join(map(str, matrix.stack().idxmax()))}" for title, matrix in matrices.items()]
    alt = (
        f"Heat maps, one for each of {count(len(matrices), 'session')}, of synchrony between the therapist's and the"
        f" client's channels. Strongest pair: {'; '.join(tops)}."
    )
    outcome = f"{run.outcome.metric}, {run.outcome.band}"
    caption = (
        f"{outcome}, on the metric's own scale, mean over windows; rows are the therapist's channels, columns the"
        " client's. Chance is not subtracted, and no single channel pair is tested."
    )
    return picture(matrix_panels(matrices, label=outcome), alt, caption)


def _heads_picture(
    run: RunFolder, results: Mapping[str, SynchronyResult], matrices: Mapping[str, pd.DataFrame]
) -> Picture | None:
    from hyperscan.plots.dyad import head_panels

    places = [pd.concat([result.positions(role) for result in results.values()]) for role in _ROLES if results]
    places = [xyz[~xyz.index.duplicated()].dropna() for xyz in places]
    if not matrices or any(xyz.empty for xyz in places):
        return None
    values = np.concatenate([matrix.to_numpy().ravel() for matrix in matrices.values()])
    values = values[np.isfinite(values)]
    share = min(STRONGEST, MOST_LINKS * len(matrices) / len(values))
    threshold = float(np.quantile(values, 1 - share))
    counts = [f"{title} {int((matrix >= threshold).sum().sum())}" for title, matrix in matrices.items()]
    alt = (
        f"Two heads for each of {count(len(matrices), 'session')}, therapist left and client right, with lines between"
        f" the most synchronous channels. Number of lines: {', '.join(counts)}."
    )
    caption = (
        f"The strongest {100 * share:.2g} % of the channel pairs of all sessions together"
        f" ({run.outcome.metric} ≥ {short(threshold)}), so that sessions can be compared; therapist left (circles),"
        " client right (squares), noses up; wider = stronger. A description: chance is not subtracted."
    )
    return picture(head_panels(matrices, places[0], places[1], threshold), alt, caption)


def _course_picture(run: RunFolder, dyad: str, results: Mapping[str, SynchronyResult]) -> Picture | None:
    from hyperscan.plots.dyad import course_chart

    wanted = run.outcome
    pair = wanted.roi if "-" in wanted.roi else f"{wanted.roi}-{wanted.roi}"
    tables = [
        window_table(result.dataset, wanted.metric, wanted.band, pair, wanted.signal)
        for result in results.values()
        if pair in result.dataset["roi_pair"].values and result.dataset.sizes["window"] > 1
    ]
    if not tables:
        return None
    rows = run.primary
    levels = (
        rows[rows["dyad"] == dyad].groupby("session")["pseudo_mean_z"].mean()
        if "pseudo_mean_z" in rows
        else pd.Series(dtype=float)
    )
    table = pd.concat(tables, ignore_index=True)
    table["pseudo_mean_z"] = table["session"].map(levels)
    above = int((table["z"] > table["pseudo_mean_z"]).sum())
    alt = (
        f"Line chart of synchrony over the windows of {count(table['session'].nunique(), 'session')}, one after the"
        " other:"
        f" {above} of {len(table)} windows lie above the chance level of their session."
    )
    caption = f"{wanted}, every analysed window; time since the start of the first segment."
    return picture(course_chart(table), alt, caption)


def _map_picture(run: RunFolder, results: Mapping[str, SynchronyResult]) -> Picture | None:
    from hyperscan.plots.dyad import map_panels

    maps = {title: result.coherence_map() for title, result in results.items() if "wtc_r2" in result.dataset}
    if not maps:
        return None
    shares = [
        f"{title} {np.mean(arrays['significant'][arrays['period'][:, None] <= arrays['coi']]):.0%}"
        for title, arrays in maps.items()
    ]
    alt = (
        f"Wavelet coherence maps over time and period, one for each of {count(len(maps), 'session')}. Share of the"
        f" cells free of edge effects that is outlined: {', '.join(shares)}."
    )
    caption = (
        f"{run.outcome}: mean over its channel pairs. White outline: above the 95th percentile of the same period"
        " when the client's signals are shifted in time, so about 5 % of the cells are outlined by chance alone."
    )
    return picture(map_panels(maps), alt, caption)


_ROLES = ("therapist", "client")
