"""A fake output folder with every table of a run, for tests of the report and for looking at it.

Numbers come from a small seeded model, not from recordings: they have the right columns, sizes and moods.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperscan.config import StudyConfig

GROWTH = {
    "grows": 0.030,
    "grows_unchecked": 0.030,
    "grows_lag_unresolved": 0.030,
    "confounded": 0.030,
    "declines": -0.030,
    "no_change": 0.0,
    "no_clear_change": 0.004,
    "cannot_tell": 0.01,
}
EEG_GUARDS = ("signal_to_noise", "space", "band", "lag", "clock")
FNIRS_GUARDS = ["short_channels", "in_band_sd", "mayer", "motion", "instrument", "length", "chance", "clock"]
ROIS = ("all", "frontal", "central", "temporal", "posterior")
EEG_COLUMNS = [
    "g1_line",
    "g1_quad",
    "w_line",
    "w_quad",
    "matched_excess_z",
    "control_excess_z",
    "outband_excess_z",
    "lag_robust_excess_z",
    "imcoh_1",
    "imcoh_2",
    "imcoh_3",
    "imcoh_4",
]
FNIRS_COLUMNS = ["short_r2", "band_sd", "mayer_fraction", "motion_overlap", "instrument_noise", "sci"]


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
    matrices: int = 0
    matrix_dyads: int | None = None

    @property
    def primary(self) -> dict[str, str]:
        if self.modality == "eeg":
            return {"modality": "eeg", "metric": "plv", "band": "alpha", "roi": "posterior-posterior"}
        return {"modality": "fnirs", "metric": "wtc", "band": "slow", "roi": "all-all"}

    @property
    def signals(self) -> tuple[str, ...]:
        return ("eeg",) if self.modality == "eeg" else ("hbo", "hbr", "hbo_nosc")

    def dyad(self, i: int) -> str:
        return f"D{i + 1:02d}{self.evil if i == 0 else ''}"


def write_fake(out: Path, fake: Fake = Fake()) -> Path:
    """Write a fake OUT folder and return it."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(fake.seed)
    keys, skipped = _keys(fake, rng)
    synchrony = _synchrony(fake, keys, rng)
    _tsv(out / "synchrony.tsv", synchrony)
    _tsv(out / "pseudo.tsv", _pseudo(fake, synchrony, rng))
    _tsv(out / "guards.tsv", _guards(fake, keys, rng))
    _tsv(out / "quality.tsv", _quality(fake, keys, rng))
    if fake.matrices:
        _matrices(out, fake, keys, rng)
    growth = _growth(fake, synchrony) if fake.n_dyads > 1 else _one_dyad(fake, synchrony)
    _json(out / "growth.json", growth)
    _tsv(out / "growth.tsv", pd.DataFrame(growth["exploratory"]))
    _json(out / "plan.json", _plan(fake, keys, skipped))
    (out / "config.toml").write_text(StudyConfig().to_toml(), encoding="utf-8")
    version = {"Name": "hyperscan", "Version": "0.1.0"}
    _json(
        out / "dataset_description.json",
        {"Name": "fake", "BIDSVersion": "1.10.0", "GeneratedBy": [version]},
    )
    return out


def _tsv(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, sep="\t", index=False, na_rep="n/a", float_format="%.10g", lineterminator="\n")


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _keys(fake: Fake, rng: np.random.Generator) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    rows, skipped = [], []
    for i in range(fake.n_dyads):
        for session in range(1, fake.n_sessions + 1):
            key = {"dyad": fake.dyad(i), "session": session, "modality": fake.modality, "task": "", "run": ""}
            if rng.random() < 0.06:
                reason = (
                    "client: 2 clean windows of 20 s, at least 3 are needed"
                    if fake.modality == "eeg"
                    else "common time 95 s, at least 120 s are needed"
                ) + fake.evil
                skipped.append({**key, "reason": reason})
                continue
            people = {"therapist": f"T{i // 2 + 1:02d}", "client": f"C{i + 1:02d}"}
            rows.append({**key, **people, "days": 7.0 * (session - 1) + float(rng.integers(0, 3))})
    return pd.DataFrame(rows), skipped


def _combinations(fake: Fake) -> list[tuple[str, str, str, str]]:
    config = StudyConfig()
    bands = [band for band in config.bands_of(fake.modality) if band != "theta" or fake.modality == "eeg"]
    rois = ROIS if fake.modality == "eeg" else ("all", "prefrontal", "temporoparietal")
    metrics = config.metrics[fake.modality]
    return [(s, m, b, r) for s in fake.signals for m in metrics for b in bands for r in rois]


def _synchrony(fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    slope, base = GROWTH[fake.verdict], 0.13 if fake.modality == "eeg" else 0.42
    personal = {dyad: rng.normal(0, 0.025) for dyad in keys["dyad"].unique()}
    level = {dyad: rng.normal(0.02, 0.02) for dyad in keys["dyad"].unique()}
    frames = []
    for signal, metric, band, roi in _combinations(fake):
        n = len(keys)
        weight = 1.0 if band == fake.primary["band"] and metric == fake.primary["metric"] else 0.3
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
        frame["excess_z"] = excess
        frame["lag_estimate"] = frame["estimate"] * 0.4
        frame["lag_p"] = np.clip(rng.beta(0.5, 1 + 20 * np.clip(excess, 0, None)), 1 / 1001, 1)
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    table["n_windows"], table["window_s"] = (12, 20.0) if fake.modality == "eeg" else (np.nan, np.nan)
    table["seconds"] = 240.0 if fake.modality == "eeg" else 720.0
    table["flags"] = np.where(rng.random(len(table)) < 0.02, "weak_chance", "")
    table["alliance"] = np.round(4 + 0.2 * table["session"] + rng.normal(0, 0.3, len(table)), 2)
    order = (
        "dyad therapist client session days modality task run signal metric band roi_therapist roi_client"
        " estimate z pseudo_mean_z pseudo_sd_z n_pseudo excess_z lag_estimate lag_p n_windows window_s"
        " seconds flags alliance"
    )
    return table[order.split()]


def _pseudo(fake: Fake, table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    if not fake.full_pseudo:
        roi = fake.primary["roi"].partition("-")[0]
        table = table[
            (table["metric"] == fake.primary["metric"])
            & (table["band"] == fake.primary["band"])
            & (table["roi_therapist"] == roi)
        ]
    n = min(4, fake.n_dyads - 1)
    frames = []
    for step in range(1, n + 1):
        partner = {fake.dyad(i): fake.dyad((i + step) % fake.n_dyads) for i in range(fake.n_dyads)}
        for which in ("client", "therapist"):
            frame = table.drop(columns=["alliance", "lag_estimate", "lag_p", "excess_z", "flags"]).copy()
            frame["z"] = frame["pseudo_mean_z"] + rng.normal(0, 1, len(frame)) * frame["pseudo_sd_z"]
            frame["estimate"] = np.tanh(frame["z"])
            frame.insert(1, "partner_dyad", frame["dyad"].map(partner))
            frame.insert(2, "which", which)
            frames.append(frame.drop(columns=["pseudo_mean_z", "pseudo_sd_z", "n_pseudo"]))
    return pd.concat(frames, ignore_index=True) if frames else table.head(0)


def _guards(fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    frame = keys[["dyad", "session", "modality", "task", "run"]].copy()
    t = frame["session"].to_numpy() - 1.0
    confounded = fake.verdict == "confounded"
    for column in EEG_COLUMNS if fake.modality == "eeg" else ():
        rises = column.startswith(("g1", "matched", "lag")) and not confounded
        rises |= column.startswith(("control", "outband")) and confounded
        frame[column] = 0.03 + (0.02 if rises else 0.0) * t + rng.normal(0, 0.02, len(frame))
    return frame


def _quality(fake: Fake, keys: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    frames = []
    n_channels = 64 if fake.modality == "eeg" else 22
    for person in ("therapist", "client"):
        frame = keys[["dyad", "session", "modality", "task", "run"]].copy()
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
        pair = fake.primary["roi"]
        data = {
            "value": ((*dims, "therapist", "client"), value),
            "z": ((*dims, "therapist", "client"), np.arctanh(value)),
            "roi_value": ((*dims, "window", "roi_pair"), rng.uniform(0.1, 0.3, (1, 1, 1, k, 1))),
            "roi_z": ((*dims, "window", "roi_pair"), rng.uniform(0.1, 0.3, (1, 1, 1, k, 1))),
            "band_hz": (("band", "edge"), np.array([[8.0, 12.0]])),
            "window_start": ("window", 20.0 * np.arange(k)),
            "therapist_xyz": (("therapist", "axis"), xyz),
            "client_xyz": (("client", "axis"), xyz),
            **(_wtc(rng) if fake.modality == "fnirs" else {}),
        }
        coords = {
            "signal": [fake.signals[0]], "metric": [fake.primary["metric"]], "band": [fake.primary["band"]],
            "therapist": names, "client": names, "roi_pair": [pair], "edge": ["low", "high"], "axis": ["x", "y", "z"],
        }  # fmt: skip
        attrs = {**row, "window_s": 20.0, "n_windows": k, "seconds": 20.0 * k}
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


def _slopes(table: pd.DataFrame, fake: Fake, column: str) -> np.ndarray:
    roi = fake.primary["roi"].partition("-")[0]
    rows = table[
        (table["metric"] == fake.primary["metric"])
        & (table["band"] == fake.primary["band"])
        & (table["roi_therapist"] == roi)
        & (table["signal"] == fake.signals[0])
    ]
    return np.array(
        [np.polyfit(group["session"], group[column], 1)[0] for _, group in rows.groupby("dyad") if len(group) > 1]
    )


def _growth(fake: Fake, table: pd.DataFrame) -> dict[str, Any]:
    from scipy import stats

    slopes = _slopes(table, fake, "excess_z")
    g = len(slopes)
    mean, se = float(slopes.mean()), float(slopes.std(ddof=1) / np.sqrt(g))
    t, half = mean / se, float(stats.t.ppf(0.975, g - 1)) * se
    p = float(2 * stats.t.sf(abs(t), g - 1))
    primary = {
        **{key: value for key, value in fake.primary.items() if key != "modality"},
        "task": "",
        "slope": mean,
        "se": se,
        "df_satterthwaite": g - 0.7,
        "p_satterthwaite": p * 0.98,
        "df": g - 1.0,
        "t": t,
        "p": p,
        "ci_low": mean - half,
        "ci_high": mean + half,
        "singular": False,
        "n_dyads": g,
        "n_sessions": len(table.drop_duplicates(["dyad", "session"])),
    }
    sentence = (
        f"Excess {primary['metric']} ({primary['band']}, {primary['roi']}) changed by b = {mean:.4f} Fisher"
        " z per"
        f" session (95 % CI {mean - half:.4f} to {mean + half:.4f}; t({g - 1}) = {t:.2f}, p = {p:.4f};"
        f" {g} dyads, {primary['n_sessions']} sessions); pseudo slope 0.0040."
    )
    return {
        "verdict": fake.verdict,
        "sentence": sentence,
        "primary": primary,
        "two_stage": {"slope": mean, "se": se, "t": t, "df": g - 1, "p": p, "n_dyads": g},
        "sign_flip": {"p": max(p, 2 / 2**g), "smallest_p": 2 / 2**g, "n_flips": 2**g, "exact": True},
        "real_slope": _plain_slope(table, fake, "z"),
        "pseudo_slope": _plain_slope(table, fake, "pseudo_mean_z"),
        "therapist_level": {"n_therapists": (g + 1) // 2, "slope": mean, "p": 0.021, "t": 3.2, "df": 3},
        "guards": _guard_list(fake),
        "exploratory": _exploratory(fake, table),
        "equivalence": None,
        "bayes_factor": {"bf01": 0.12, "detail": "from maximum likelihood"},
        "one_dyad": None,
        "outcomes": [{"name": "alliance", "relation": "within", "n": 30, "slope": 0.2, "p": 0.2, "p_holm": 0.4}],
        "figures": {
            "trends": [
                {
                    "topic": "artefact",
                    "name": "motion",
                    "person": "client",
                    "slope": 1e-3,
                    "t": 0.4,
                    "p": 0.7,
                    "n": g,
                }
            ],
            "leave_one_out": {
                "same_sign": True,
                "slope_min": mean / 2,
                "slope_max": mean,
                "p_max": p,
                "dyad": "D02",
            },
        },
        "design": {
            "modality": fake.modality,
            "signal": fake.signals[0],
            "time": "session",
            "unit": "session",
        },
    }


def _one_dyad(fake: Fake, table: pd.DataFrame) -> dict[str, Any]:
    slope = float(_slopes(table, fake, "excess_z")[0])
    return {
        "verdict": "cannot_tell",
        "sentence": "One dyad cannot show growth of a group; its own course is described below.",
        "primary": {**fake.primary, "task": "", "slope": None, "p": None, "n_dyads": 1, "n_sessions": 5},
        "guards": [],
        "exploratory": [],
        "one_dyad": {
            "slope": slope,
            "ci_low": None,
            "ci_high": None,
            "p": None,
            "n_sessions": fake.n_sessions,
            "tested": False,
            "text": "One dyad, fewer than 8 sessions: described, not tested.",
        },
    }


def _plain_slope(table: pd.DataFrame, fake: Fake, column: str) -> dict[str, float]:
    slopes = _slopes(table, fake, column)
    half = 2.36 * slopes.std(ddof=1) / np.sqrt(len(slopes))
    mean = float(slopes.mean())
    return {"slope": mean, "ci_low": mean - half, "ci_high": mean + half, "p": 0.03}


def _guard_list(fake: Fake) -> list[dict[str, Any]]:
    names = EEG_GUARDS if fake.modality == "eeg" else FNIRS_GUARDS
    passed: dict[str, bool | None] = dict.fromkeys(names, True)
    if fake.verdict == "confounded":
        passed[names[1]] = False
    if fake.verdict.endswith("unchecked"):
        passed["clock"] = None
    if fake.verdict.endswith("lag_unresolved"):
        passed["lag"] = False
    detail = {
        True: "slope {:.4f}, as it should be",
        False: "slope {:.4f} explains the growth",
        None: "not assessable",
    }
    return [
        {
            "name": name,
            "passed": passed[name],
            "figure": 0.0123 + 0.001 * i,
            "detail": detail[passed[name]].format(0.01),
        }
        for i, name in enumerate(names)
    ]


def _exploratory(fake: Fake, table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for key, group in table.groupby(["signal", "metric", "band", "roi_therapist"], sort=False):
        signal, metric, band, roi = key
        slope = float(np.polyfit(group["session"], group["excess_z"], 1)[0])
        p = min(1.0, 0.3 / (1 + 900 * abs(slope)))
        row = {
            "metric": metric,
            "band": band,
            "roi": f"{roi}-{roi}",
            "signal": signal,
            "task": "",
            "slope": slope,
        }
        row |= {"se": 0.006, "t": slope / 0.006, "p": p, "p_max_t": min(1.0, 3 * p), "q_bh": min(1.0, 2 * p)}
        rows.append({**row, "n_dyads": fake.n_dyads, "primary": False})
    return rows


def _plan(fake: Fake, keys: pd.DataFrame, skipped: list[dict[str, Any]]) -> dict[str, Any]:
    eeg = fake.modality == "eeg"
    return {
        "schema": 1,
        "groups": [
            {
                "modality": fake.modality,
                "task": "",
                "n_windows": 12 if eeg else None,
                "seconds": 240.0 if eeg else 720.0,
                "limited_by": f"{fake.dyad(2)} ses-03 {fake.modality}",
                "control_channels": ["F7", "F8", "T7" + fake.evil] if eeg else [],
                "control_note": "they carry 0.31 of the ROI's signal fraction",
            }
        ],
        "primary": {**fake.primary, "task": "", "signal": fake.signals[0]},
        "skipped": skipped,
        "pseudo_pairs": [
            {"dyad": row.dyad, "session": int(row.session), "partner_dyad": fake.dyad(1), "which": "client"}
            for row in keys.itertuples()
        ],
        "notes": ["The primary outcome was named in the configuration before the data were seen."],
    }


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
