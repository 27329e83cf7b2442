"""A reviewer recomputes the report from the tables, by what docs/outputs.md says and with nothing of this package."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

LABELS = dict.fromkeys(("dyad", "therapist", "client", "partner_dyad", "task", "run"), str)


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.tsv", sep="\t", dtype=LABELS, na_values="n/a", keep_default_na=False)


@pytest.fixture(scope="module")
def growth(small_run: Path) -> dict[str, Any]:
    return json.loads((small_run / "growth.json").read_text("utf-8"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def primary(small_run: Path, growth: dict[str, Any]) -> pd.DataFrame:
    table, wanted = read(small_run, "synchrony"), growth["primary"]
    roi = wanted["roi"].split("-")
    named = {"metric": wanted["metric"], "band": wanted["band"], "roi_therapist": roi[0], "roi_client": roi[1]}
    rows = table[(table[list(named)] == pd.Series(named)).all(axis=1)]
    guards = read(small_run, "guards").drop(columns=["metric", "band", "roi", "modality", "task", "run"])
    return rows.assign(t=rows["session"] - 1.0).merge(guards, on=["dyad", "session"])


def slopes(rows: pd.DataFrame, values: pd.Series, weights: pd.Series | None = None) -> np.ndarray:
    """One slope per dyad."""
    found = []
    for _, part in rows.groupby("dyad"):
        w = np.ones(len(part)) if weights is None else weights[part.index]
        found.append(np.polyfit(part["t"], values[part.index], 1, w=np.sqrt(w))[0])
    return np.array(found)


def t_test(found: np.ndarray) -> tuple[float, float]:
    return float(found.mean()), float(stats.ttest_1samp(found, 0).pvalue)


def test_two_stage_and_sign_flip(primary: pd.DataFrame, growth: dict[str, Any]) -> None:
    found = slopes(primary, primary["excess_z"])
    assert t_test(found) == pytest.approx((growth["two_stage"]["slope"], growth["two_stage"]["p"]), rel=1e-6)
    flipped = [abs(np.mean(found * signs)) for signs in product((-1, 1), repeat=len(found))]
    assert np.mean(np.array(flipped) >= abs(found.mean()) - 1e-12) == pytest.approx(growth["sign_flip"]["p"])


def test_the_weighted_slope_that_decides(primary: pd.DataFrame, growth: dict[str, Any]) -> None:
    b, spread, left, n_sessions = slopes(primary, primary["excess_z"]), [], 0.0, len(primary)
    for slope, (_, part) in zip(b, primary.groupby("dyad"), strict=True):
        dt = part["t"] - part["t"].mean()
        spread.append(float((dt**2).sum()))
        left += float(((part["excess_z"] - part["excess_z"].mean() - slope * dt) ** 2).sum())
    v = left / (n_sessions - 2 * len(b)) / np.array(spread)

    def reml(tau2: float) -> float:
        w = 1 / (v + tau2)
        return float(np.log(v + tau2).sum() + np.log(w.sum()) + (w * (b - (w @ b) / w.sum()) ** 2).sum())

    tau2 = optimize.minimize_scalar(reml, bounds=(0, 10 * b.var()), method="bounded", options={"xatol": 1e-14}).x
    tau2 = 0.0 if reml(0.0) <= reml(tau2) else tau2
    w = 1 / (v + tau2)
    share = w / w.sum()
    estimate = float(share @ b)
    se = np.sqrt((share**2 * (b - estimate) ** 2 / (1 - share)).sum())
    assert estimate == pytest.approx(growth["weighted"]["slope"], rel=1e-4)
    assert se == pytest.approx(growth["weighted"]["se"], rel=1e-3)


def test_guards_follow_from_their_columns(primary: pd.DataFrame, growth: dict[str, Any]) -> None:
    guards = {guard["name"]: guard for guard in growth["guards"]}
    rows, sign = primary, np.sign(growth["two_stage"]["slope"])
    excess, out = rows["excess_z"], rows["outband_excess_z"]
    fits = [t_test(slopes(rows, rows[f"g1_{fit}"], rows[f"w_{fit}"])) for fit in ("line", "quad", "high")]
    assert guards["signal_to_noise"]["figure"] == pytest.approx(
        min((s for s, _ in fits), key=lambda s: s * sign), rel=1e-6
    )
    assert guards["signal_to_noise"]["passed"] == all(s * sign > 0 and p < 0.05 for s, p in fits)
    if guards["space"]["passed"] is not None:
        slope, p = t_test(slopes(rows, excess - rows["control_excess_z"]))
        assert (guards["space"]["figure"], guards["space"]["passed"]) == (
            pytest.approx(slope),
            slope * sign > 0 and p < 0.1,
        )
    slope, _ = t_test(slopes(rows, out))
    beyond, p = t_test(slopes(rows, out - 0.1 * excess))
    assert guards["band"]["passed"] == (not (slope * sign > 0 and beyond * sign > 0 and p < 0.1))
    vectors = rows[[f"imcoh_{i}" for i in range(1, 5)]].to_numpy()
    pattern = pd.Series(0.0, index=rows.index)
    for dyad in rows["dyad"].unique():
        mine = (rows["dyad"] == dyad).to_numpy()
        others = vectors[~mine].mean(axis=0)
        pattern[mine] = vectors[mine] @ (others / np.linalg.norm(others))
    tests = [t_test(slopes(rows, values)) for values in (rows["lag_robust_excess_z"], pattern)]
    assert guards["lag"]["passed"] == any(s * sign > 0 and p < 0.05 for s, p in tests)
    assert guards["lag"]["figure"] in [pytest.approx(s, rel=1e-6) for s, _ in tests]
    slope, p = t_test(slopes(rows, rows["phase_kept"]))
    assert (guards["phase"]["figure"], guards["phase"]["passed"]) == (
        pytest.approx(slope),
        slope * sign > 0 and p < 0.05,
    )
    slope, p = t_test(slopes(rows, rows["steadiness"]))
    assert guards["steadiness"]["figure"] == pytest.approx(slope, rel=1e-6)
    means = excess.groupby(rows["dyad"]).transform("mean")
    share = t_test(slopes(rows, rows["steadiness"] * means))[0] / t_test(slopes(rows, excess))[0]
    assert guards["steadiness"]["passed"] == (not (slope * sign > 0 and p < 0.05) and not share > 0.15)


def test_labels_survive_the_reading_that_the_page_gives(small_run: Path, tmp_path: Path) -> None:
    table = read(small_run, "synchrony").assign(dyad="01")
    table.to_csv(tmp_path / "synchrony.tsv", sep="\t", index=False, na_rep="n/a")
    assert set(read(tmp_path, "synchrony")["dyad"]) == {"01"}
