"""A fake output folder with every table of a run, for tests of the report and for looking at it.

Numbers come from a small seeded model, not from recordings: they have the right columns, sizes and moods.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from hyperscan.config import StudyConfig
from hyperscan.growth import GrowthResult, fit_growth, fit_within
from hyperscan.pipeline.output import describe_output
from hyperscan.report import build
from hyperscan.report.run import ReportedRun
from hyperscan.results.plan import Group, Plan, PlannedPair, Remark, Skip
from hyperscan.schema import (
    GUARD_COLUMNS,
    INDEX_COLUMNS,
    KEYS,
    NO_SHARED,
    ROLES,
    SIGNALS,
    TABLES,
    Index,
    Outcome,
    SessionKey,
)
from hyperscan.storage import write_json, write_table, write_text

#: Slope of the excess that a verdict comes with.
SLOPES = {
    "grows": 0.030,
    "grows_unchecked": 0.030,
    "grows_lag_unresolved": 0.030,
    "confounded": 0.030,
    "declines": -0.030,
    "no_change": 0.0,
    "no_clear_change": 0.004,
    "cannot_tell": 0.01,
}
ROIS = ("all", "frontal", "central", "temporal", "posterior")
FNIRS_COLUMNS = ("short_r2", "band_sd", "mayer_fraction", "motion_overlap", "instrument_noise", "sci")


@dataclass(frozen=True)
class Fake:
    """What to pretend.

    Sizes, modality, verdict, pseudo rows of the primary outcome only, and full results: their channels, and how many
    dyads have them (all).
    """

    verdict: str = "grows"
    modality: str = "eeg"
    n_dyads: int = 8
    n_sessions: int = 5
    seed: int = 7
    full_pseudo: bool = True
    evil: str = ""
    findings: tuple[Remark, ...] = ()
    matrices: int = 0
    matrix_dyads: int | None = None

    @property
    def primary(self) -> Outcome:
        if self.modality == "eeg":
            return Outcome("plv", "alpha", "posterior-posterior", signal="eeg", modality="eeg")
        return Outcome("wtc", "slow", "all-all", signal="hbo", modality="fnirs")

    @property
    def signals(self) -> tuple[str, ...]:
        return tuple(name for name in SIGNALS[self.modality] if name not in ("hbt", NO_SHARED[self.modality]))

    def __post_init__(self) -> None:
        assert self.verdict in SLOPES

    def dyad(self, i: int) -> str:
        return f"D{i + 1:02d}{self.evil if i == 0 else ''}"


def write_fake(out: Path, fake: Fake = Fake()) -> Path:
    """Write a fake OUT folder and return it; made once for all tests of a process."""
    shutil.copytree(_made(fake), out, dirs_exist_ok=True)
    return out


@functools.cache
def _made(fake: Fake) -> Path:
    out = Path(tempfile.mkdtemp(prefix="fake-run-"))
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    rng = np.random.default_rng(fake.seed)
    keys, skipped = _keys(fake, rng)
    synchrony = _synchrony(fake, keys, rng)
    tables = {
        "synchrony": synchrony,
        "pseudo": _pseudo(fake, synchrony, rng),
        "lags": _lags(fake, keys, np.random.default_rng(fake.seed)),
        "guards": _guards(fake, keys, rng),
        "quality": _quality(fake, keys, rng),
        "within": _within(fake, keys),
    }
    for name, table in tables.items():
        write_table(out / f"{name}.tsv", table)
    if fake.matrices:
        _matrices(out, fake, keys, rng)
    _growth(fake, tables).save(out)
    usual = Index("power" if fake.modality == "eeg" else "wtc", fake.primary.band, fake.primary.rois.client)
    alone = fit_within(tables["within"], usual, tables["quality"], n_flips=99)
    write_json(out / "persons.json", alone.to_dict())
    write_json(out / "plan.json", _plan(fake, keys, skipped).to_dict())
    write_text(out / "config.toml", StudyConfig().to_toml())
    describe_output(out)
    return out


def growth_of_fake(folder: Path) -> GrowthResult:
    """Read back what growth found."""
    return GrowthResult.from_dict(json.loads((folder / "growth.json").read_text()))


class Page(HTMLParser):
    """Tags with their attributes, and the text, of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


def first_page(folder: Path) -> Page:
    """Make the first page of a folder without its pictures, which take the time."""
    with mock.patch.object(build, "STUDY_PICTURES", dict.fromkeys(build.STUDY_PICTURES, lambda run: None)):
        return Page(build.study_page(ReportedRun.of(folder)))


def _within(fake: Fake, keys: pd.DataFrame) -> pd.DataFrame:
    """Indices of each person that do not change."""
    rng, band, region = np.random.default_rng(fake.seed), fake.primary.band, fake.primary.rois.client
    indices = [("power", band, region), ("power_over_background", band, region), ("drift", "", region)]
    named = indices if fake.modality == "eeg" else [("wtc", band, region), ("amplitude", band, region)]
    parts = [
        keys.assign(
            **dict(zip(INDEX_COLUMNS, index, strict=True)),
            person=role,
            signal=fake.primary.signal,
            estimate=1.0,
            level=rng.normal(0, 1, len(keys)),
            own_level=np.nan,
        )
        for role in ROLES
        for index in named
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(value=table["level"]).reindex(columns=list(TABLES["within"]))


def _keys(fake: Fake, rng: np.random.Generator) -> tuple[pd.DataFrame, list[Skip]]:
    rows, skipped = [], []
    for i in range(fake.n_dyads):
        for session in range(1, fake.n_sessions + 1):
            key = SessionKey(fake.dyad(i), session, fake.modality, "", "")
            if rng.random() < 0.06:
                reason = (
                    "client: 2 clean windows of 20 s, at least 3 are needed"
                    if fake.modality == "eeg"
                    else "common time 95 s, at least 120 s are needed"
                ) + fake.evil
                skipped.append(Skip.of(key, reason))
                continue
            people = {"therapist": f"T{i // 2 + 1:02d}", "client": f"C{i + 1:02d}"}
            days = 7.0 * (session - 1) + float(rng.integers(0, 3))
            rows.append({**key._asdict(), **people, "days": days})
    return pd.DataFrame(rows), skipped


def _combinations(fake: Fake) -> list[tuple[str, str, str, str]]:
    config = StudyConfig()
    bands = [band for band in config.bands_of(fake.modality) if band != "theta" or fake.modality == "eeg"]
    rois = ROIS if fake.modality == "eeg" else ("all", "prefrontal", "temporoparietal")
    metrics = config.metrics[fake.modality]
    return [(s, m, b, r) for s in fake.signals for m in metrics for b in bands for r in rois]


def _lags(fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    lags_s = np.linspace(-1, 1, 33) if fake.modality == "eeg" else np.arange(-20.0, 21)
    rois = dict(zip(("roi_therapist", "roi_client"), fake.primary.rois, strict=True))
    cell = {"signal": fake.signals[0], "metric": fake.primary.metric, "band": fake.primary.band, **rois}
    table = keys.merge(pd.DataFrame({"lag_s": lags_s}), how="cross").assign(**cell)
    excess = 0.03 * table["session"] * np.exp(-((8 * table["lag_s"] / lags_s[-1] - 0.5) ** 2))
    table["profile_excess_z"] = excess + rng.normal(0, 0.01, len(table))
    table["profile_pseudo_z"], table["profile_pseudo_sd_z"] = 0.05, 0.01
    table["profile_z"] = table["profile_pseudo_z"] + table["profile_excess_z"]
    return table[list(TABLES["lags"])]


def _synchrony(fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    slope, base = SLOPES[fake.verdict], 0.13 if fake.modality == "eeg" else 0.42
    personal = {dyad: rng.normal(0, 0.025) for dyad in keys["dyad"].unique()}
    level = {dyad: rng.normal(0.02, 0.02) for dyad in keys["dyad"].unique()}
    frames = []
    for signal, metric, band, roi in _combinations(fake):
        n = len(keys)
        weight = 1.0 if (band, metric) == (fake.primary.band, fake.primary.metric) else 0.3
        weight *= {"all": 0.7, "posterior": 1.0}.get(roi, 0.4) if fake.modality == "eeg" else 1.0
        t = keys["session"].to_numpy() - 1.0
        own = np.array([(slope + personal[d]) for d in keys["dyad"]]) * t
        start = np.array([level[d] for d in keys["dyad"]])
        pseudo = base + 0.004 * t + rng.normal(0, 0.004, n)
        excess = weight * (own + start) + rng.normal(0, 0.02, n)
        frame = keys.assign(
            signal=signal, metric=metric, band=band, roi_therapist=roi, roi_client=roi, z=pseudo + excess
        )
        frame["estimate"] = np.tanh(frame["z"])
        frame["pseudo_mean_z"], frame["pseudo_sd_z"] = pseudo, 0.02 + 0.004 * rng.random(n)
        frame["n_pseudo"] = 2 * min(20, fake.n_dyads - 1)
        frame["own_mean_z"], frame["n_own"] = frame["pseudo_mean_z"], 60
        frame["own_excess_z"] = frame["z"] - frame["own_mean_z"]
        frame["excess_z"] = excess
        frame["halves_z"] = 0.02 * np.cos(7.0 * np.arange(n)) if fake.modality == "eeg" else np.nan
        frame["lag_peak_s"], frame["lag_peak_p"] = 0.07 + 0.03 * np.sin(7.0 * np.arange(n)), 0.05
        frame["lead_asymmetry_excess"] = 0.01 + 0.01 * np.sin(5.0 * np.arange(n))
        frame["lag_estimate"] = frame["estimate"] * 0.4
        frame["lag_p"] = np.clip(rng.beta(0.5, 1 + 20 * np.clip(excess, 0, None)), 1 / 1001, 1)
        frame["lag_n"] = 1000 if fake.modality == "eeg" else 39
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    table["n_windows"], table["window_s"] = (12, 20.0) if fake.modality == "eeg" else (np.nan, np.nan)
    table["seconds"] = 240.0 if fake.modality == "eeg" else 720.0
    table["flags"] = np.where(rng.random(len(table)) < 0.02, "weak_chance", "")
    table["alliance"] = np.round(4 + 0.2 * table["session"] + rng.normal(0, 0.3, len(table)), 2)
    return table[[*TABLES["synchrony"], "alliance"]]


def _pseudo(fake: Fake, table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    if not fake.full_pseudo:
        table = replace(fake.primary, signal="").select(table)
    n = min(4, fake.n_dyads - 1)
    frames = []
    for step in range(1, n + 1):
        partner = {fake.dyad(i): fake.dyad((i + step) % fake.n_dyads) for i in range(fake.n_dyads)}
        for which in ("client", "therapist"):
            frame = table.drop(columns=["alliance", "lag_estimate", "lag_p", "lag_n", "excess_z", "flags"]).copy()
            frame["z"] = frame["pseudo_mean_z"] + rng.normal(0, 1, len(frame)) * frame["pseudo_sd_z"]
            frame["estimate"] = np.tanh(frame["z"])
            frame.insert(1, "partner_dyad", frame["dyad"].map(partner))
            frame.insert(2, "which", which)
            frames.append(frame.drop(columns=["pseudo_mean_z", "pseudo_sd_z", "n_pseudo"]))
    # of one dyad nobody can be re-paired: the columns alone
    none = pd.DataFrame(columns=list(TABLES["pseudo"]))
    return pd.concat(frames, ignore_index=True) if frames else none


def _guards(fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    frame = keys[list(KEYS)].copy()
    frame[["metric", "band", "roi"]] = fake.primary.metric, fake.primary.band, fake.primary.roi
    t = frame["session"].to_numpy() - 1.0
    confounded = fake.verdict == "confounded"
    for column in GUARD_COLUMNS if fake.modality == "eeg" else ():
        rises = column.startswith(("g1", "matched", "lag")) and not confounded
        rises |= column.startswith(("control", "outband")) and confounded
        frame[column] = 0.03 + (0.02 if rises else 0.0) * t + rng.normal(0, 0.02, len(frame))
    return frame


def _quality(fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    frames = []
    n_channels = 64 if fake.modality == "eeg" else 22
    for person in ("therapist", "client"):
        frame = keys[list(KEYS)].copy()
        n, t = len(frame), keys["session"].to_numpy() - 1.0
        frame["person"] = person
        frame["channels_kept"] = n_channels - rng.integers(0, 5, n)
        frame["channels_total"] = n_channels
        frame["clean_seconds"] = np.round(240 + 600 * rng.random(n), 1)
        frame["n_windows"] = (frame["clean_seconds"] // 20).astype(int)
        if fake.modality == "eeg":
            rise = 0.9 if fake.verdict == "confounded" else 0.05
            for band, level in (("theta", 2.0), ("alpha", 7.0), ("beta", 1.5), ("gamma", 0.2)):
                frame[f"snr_{band}"] = level + rise * t + rng.normal(0, 0.8, n)
                frame[f"peak_hz_{band}"] = {"theta": 6, "alpha": 10, "beta": 20, "gamma": 35}[band] + rng.normal(
                    0, 0.2, n
                )
                frame[f"peak_width_{band}"] = 1.5 + 0.2 * rng.random(n)
            frame["s2_line"] = np.clip(0.6 + rise * 0.05 * t + rng.normal(0, 0.04, n), 0.05, 1)
            frame["s2_quad"] = frame["s2_line"] - 0.04
            frame["highfreq"] = 0.1 + 0.02 * rng.random(n)
        else:
            for column, level in zip(FNIRS_COLUMNS, (0.3, 0.8, 0.25, 0.04, 0.1, 0.9), strict=True):
                frame[column] = level * (1 + rng.normal(0, 0.08, n))
        frame["motion"] = np.round(0.02 + 0.03 * rng.random(n), 4)
        frame["clock_source"] = "triggers" if fake.modality == "eeg" else "timestamps"
        frame["clock_offset_s"] = np.round(rng.normal(0, 2, n), 4)
        frame["clock_ppm"] = np.round(12 + rng.normal(0, 1.5, n), 3)
        frame["clock_residual_ms"] = np.round(0.4 + 0.2 * rng.random(n), 3)
        frame["grade"] = np.where(rng.random(n) < 0.8, "good", "fair")
        frame["reason"] = np.where(frame["grade"] == "fair", "4 channels interpolated", "")
        frames.append(frame)
    return pd.concat(frames, ignore_index=True).sort_values(["dyad", "session", "person"])


def _matrices(out: Path, fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> None:
    """Write the full results of every session, as a run leaves them, with ``fake.matrices`` channels each."""
    import xarray as xr

    from hyperscan.results import SynchronyResult

    n, k = fake.matrices, 1 if fake.modality == "fnirs" else 6
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    xyz = 0.09 * np.column_stack([0.7 * np.sin(angle), 0.7 * np.cos(angle), np.full(n, 0.7)])
    dims = ("signal", "metric", "band")
    dyads = sorted(keys["dyad"].unique())[: fake.matrix_dyads]
    for row in keys.to_dict("records"):
        if row["dyad"] not in dyads or not row["dyad"].isalnum():
            continue
        value = rng.uniform(0.05, 0.3, (1, 1, 1, n, n)) + 0.02 * row["session"]
        names = [f"{fake.evil}C{i}" for i in range(n)]
        pair = fake.primary.roi
        data = {
            "value": ((*dims, "therapist", "client"), value),
            "z": ((*dims, "therapist", "client"), np.arctanh(value)),
            "roi_value": ((*dims, "window", "roi_pair"), rng.uniform(0.1, 0.3, (1, 1, 1, k, 1))),
            "roi_z": ((*dims, "window", "roi_pair"), rng.uniform(0.1, 0.3, (1, 1, 1, k, 1))),
            "band_hz": (("band", "edge"), np.array([[8.0, 12.0]])),
            "window_start": ("window", 20.0 * np.arange(k)),
            "grid_start": ("grid", 20.0 * np.arange(k)),
            "clean": (("person", "grid"), np.ones((2, k), np.int8)),
            "therapist_xyz": (("therapist", "axis"), xyz),
            "client_xyz": (("client", "axis"), xyz),
            **(_wtc(rng) if fake.modality == "fnirs" else {}),
        }
        coords = {
            "signal": [fake.signals[0]], "metric": [fake.primary.metric], "band": [fake.primary.band],
            "therapist": names, "client": names, "roi_pair": [pair], "edge": ["low", "high"], "axis": ["x", "y", "z"],
            "person": ["therapist", "client"],
        }  # fmt: skip
        attrs = {**row, "window_s": 20.0, "n_windows": k, "seconds": 20.0 * k, "length_s": 20.0 * k}
        folder = out / f"dyad-{row['dyad']}" / f"ses-{row['session']:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        SynchronyResult(xr.Dataset(data, coords, attrs)).save(folder / f"{fake.modality}_synchrony.nc")


def _wtc(rng: np.random.Generator) -> dict[str, Any]:
    period, time = 10 * 2 ** (np.arange(28) / 12), np.arange(0, 600, 2.5)
    return {
        "wtc_period": ("wtc_period", period),
        "wtc_time": ("wtc_time", time),
        "wtc_r2": (("wtc_period", "wtc_time"), rng.uniform(0, 1, (28, 240)).astype(np.float32)),
        "wtc_phase": (("wtc_period", "wtc_time"), rng.uniform(-3, 3, (28, 240)).astype(np.float32)),
        "wtc_coi": ("wtc_time", np.minimum(time, 600 - time) * 0.73 + 0.1),
        "wtc_floor": ("wtc_period", np.full(28, 0.95)),
    }


def _growth(fake: Fake, tables: dict[str, pd.DataFrame]) -> GrowthResult:
    """What growth finds in the tables; verdict and guards are those that were asked for."""
    rows = tables["synchrony"]
    found = fit_growth(
        rows[rows["signal"] == fake.primary.signal],
        primary=fake.primary.named,
        guards=tables["guards"],
        quality=tables["quality"],
        outcomes=("alliance",) if fake.n_dyads > 1 else (),
        n_flips=200,
    )
    if found.one_dyad is not None:
        return found
    wrong = {"confounded": False, "grows_unchecked": None, "grows_lag_unresolved": False}
    which = {"confounded": 1, "grows_unchecked": -1, "grows_lag_unresolved": -2}
    guards = [replace(guard, passed=True, figure=0.0123 + 0.001 * i) for i, guard in enumerate(found.guards)]
    if fake.verdict in wrong:
        at = which[fake.verdict]
        guards[at] = replace(guards[at], passed=wrong[fake.verdict])
    return replace(found, verdict=fake.verdict, guards=tuple(guards))


def _plan(fake: Fake, keys: pd.DataFrame, skipped: list[Skip]) -> Plan:
    eeg = fake.modality == "eeg"
    group = Group(
        fake.modality,
        "",
        n_sessions=len(keys),
        n_windows=12 if eeg else None,
        seconds=240.0 if eeg else 720.0,
        limited_by=f"{fake.dyad(2)} ses-03 {fake.modality}",
        control_channels=("F7", "F8", "T7" + fake.evil) if eeg else (),
        control_note="they carry 0.31 of the ROI's signal fraction",
    )
    sessions = [SessionKey(row.dyad, int(row.session), row.modality, row.task, row.run) for row in keys.itertuples()]
    return Plan(
        "0.1.0",
        fake.primary,
        groups=(group,),
        sessions=tuple(sessions),
        skipped=tuple(skipped),
        pseudo_pairs=tuple(PlannedPair(*key, fake.dyad(1), "client", shared_therapist=False) for key in sessions),
        findings=fake.findings,
    )


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
