"""Tables of growth analyses, with known slopes."""

from __future__ import annotations

import numpy as np
import pandas as pd


def table(slope=0.05, n=8, sessions=6, sd=0.05, seed=0, slope_sd=0.01, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    steps = rng.normal(slope, slope_sd, n)
    rows = [(f"D{d:02d}", s, steps[d] * s + rng.normal(0, sd)) for d in range(n) for s in range(1, sessions + 1)]
    frame = pd.DataFrame(rows, columns=["dyad", "session", "excess_z"])
    return frame.assign(own_excess_z=frame["excess_z"]).assign(**columns)


def many(metrics=("plv", "ciplv"), bands=("theta", "alpha"), rois=("posterior", "all"), seed=0, **more) -> pd.DataFrame:
    parts = []
    for k, (m, b, r) in enumerate((m, b, r) for m in metrics for b in bands for r in rois):
        part = table(0.05 if (m, b, r) == ("plv", "alpha", "posterior") else 0.0, seed=seed + k, **more)
        parts.append(
            part.assign(modality="eeg", task="", run="", signal="eeg", metric=m, band=b, roi_therapist=r, roi_client=r)
        )
    return pd.concat(parts, ignore_index=True)


def dense(y, x, blocks, theta, reml):
    """Deviance, fixed effects, their unit covariance and residual variance, from the full matrix."""
    v = np.eye(len(y))
    used = 0
    for groups, z in blocks:
        q = z.shape[1]
        lower = np.zeros((q, q))
        for c in range(q):
            for r in range(c, q):
                lower[r, c] = theta[used]
                used += 1
        same = groups[:, None] == groups[None, :]
        v += same * (z @ lower @ lower.T @ z.T)
    inverse = np.linalg.inv(v)
    c = np.linalg.inv(x.T @ inverse @ x)
    beta = c @ x.T @ inverse @ y
    e = y - x @ beta
    dof = len(y) - (x.shape[1] if reml else 0)
    sigma2 = e @ inverse @ e / dof
    dev = np.linalg.slogdet(v)[1] + dof * (1 + np.log(2 * np.pi * sigma2))
    return dev - (np.linalg.slogdet(c)[1] if reml else 0), beta, c, sigma2


def numerical_hessian(f, at, h=1e-4):
    n = len(at)
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            step = [np.array(at), np.array(at), np.array(at), np.array(at)]
            for k, (a, b) in enumerate([(1, 1), (1, -1), (-1, 1), (-1, -1)]):
                step[k][i] += a * h
                step[k][j] += b * h
            out[i, j] = (f(step[0]) - f(step[1]) - f(step[2]) + f(step[3])) / (4 * h * h)
    return out


def study(seed, n=8, sessions=6, kept=1.0, su=0.1, ss=0.03, se=0.08, therapists=None):
    rng = np.random.default_rng(seed)
    dyad = np.repeat(np.arange(n), sessions)
    t = np.tile(np.arange(sessions, dtype=float), n)
    y = 0.1 + 0.03 * t + rng.normal(0, su, n)[dyad] + rng.normal(0, ss, n)[dyad] * t
    if therapists is not None:
        y += rng.normal(0, 0.05, therapists)[dyad % therapists] * t
    y += rng.normal(0, se, len(t))
    rows = rng.random(len(t)) < kept
    return y[rows], t[rows], dyad[rows]


def designs_table() -> pd.DataFrame:
    """Two tasks, two arms and an age, made by a formula so that any program can make them again."""
    rows = []
    for d in range(16):
        for s in range(6):
            if (7 * d + 3 * s) % 11 == 0:
                continue

            def wave(a: float, k: int = 6 * d + s) -> float:
                return float(np.modf(np.sin(12.9898 * (k + 1) + 78.233 * a) * 43758.5453)[0])

            def own(a: float, d: int = d) -> float:
                return float(np.modf(np.sin(12.9898 * (d + 1) + 37.719 * a) * 43758.5453)[0])

            base = 0.2 * own(1) + (0.02 + 0.05 * own(2) + 0.03 * (d % 2)) * s
            talk = base + 0.12 + 0.15 * own(4) + (0.02 + 0.06 * own(3)) * s + 0.15 * wave(1)
            values = {"talk": round(talk, 6), "rest": round(base + 0.15 * wave(2), 6)}
            arm, age = ("control", "active")[d % 2], round(40 + 15 * own(5), 1)
            rows += [(f"D{d:02d}", s + 1, arm, age, task, value) for task, value in values.items()]
    return pd.DataFrame(rows, columns=["dyad", "session", "arm", "age", "task", "excess_z"])
