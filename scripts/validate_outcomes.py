"""Validate relations of outcomes to synchrony on simulated tables, and write docs/validation/outcomes.md.

    python scripts/validate_outcomes.py --small        a few studies per cell; exit code 1 if false relations abound
    python scripts/validate_outcomes.py --reps 1000    every cell, resumable; stop and start as you like
    python scripts/validate_outcomes.py --events       outcomes of yes and no: docs/validation/outcomes_events.md

The generator below shares no code with the package, nor with plan_power.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from hyperscan.config import FurtherOutcome
from hyperscan.growth import plan_power
from hyperscan.growth.evidence import Evidence
from hyperscan.growth.flips import holm
from hyperscan.growth.outcomes import Series
from hyperscan.growth.outcomes_slopes import LAGS
from hyperscan.schema import MIN_DYADS, RELATIONS, Outcome

ROOT = Path(__file__).resolve().parent.parent

#: Not used for any choice of the package.
FRESH_SEED = 1_128_2026

ALPHA = 0.05


@dataclass(frozen=True)
class Truth:
    """Who is seen how often, and what is true of synchrony and symptoms."""

    dyads: int
    sessions: int
    #: What is planted, and its size in standard deviations of both
    relation: str = ""
    size: float = 0.0
    autocorrelation: float = 0.0
    curved: bool = False  # symptoms fall and synchrony rises in every dyad, fast and then slowly
    informative: bool = (
        False  # sessions of high symptoms are missed half of the time; therapy ends once symptoms are low
    )
    uneven: bool = False  # some dyads are noisier, in both
    shortest: int = 0  # courses of this many sessions up to all of them
    per_therapist: int = 1
    therapist_sd: float = 0.0  # every therapist's dyads have a relation of their own, zero on average
    share: float = 0.0  # of all values, the highest are yes and the others no; 0 = the outcome is a number

    @property
    def design(self) -> str:
        return f"{self.dyads} x {self.sessions}" + (
            f", {self.dyads // self.per_therapist} therapists" * (self.per_therapist > 1)
        )


#: What is true of outcomes of yes and no, for their page.
EVENT_LINES = (
    "",
    "Here the outcome is yes where symptoms are among the highest of a study (the share that is named), else no, and",
    "is taken as a number. As symptoms fall in all dyads, yes becomes rarer in all of them. Power predicted by",
    "`plan_power` is that of a number of the same relation, which yes and no tell less of.",
)

CONDITIONS = {
    "independent": {},
    "AR(1) .5": {"autocorrelation": 0.5},
    "both courses bend, in all": {"curved": True},
    "missing not at random": {"informative": True},
}


def cells() -> dict[str, Truth]:
    """Every cell by its name."""
    out: dict[str, Truth] = {}
    for dyads, sessions in ((8, 8), (20, 8), (20, 16)):
        for name, told in CONDITIONS.items():
            out[f"{dyads} x {sessions} | {name}"] = Truth(dyads, sessions, **told)
    out["12 x 8 | courses of 3 to 8, noise differs"] = Truth(12, 8, shortest=3, uneven=True)
    for per in (2, 4):
        truth = Truth(20, 8, per_therapist=per, therapist_sd=0.4)
        out[f"{truth.design} | therapists' own relations"] = truth
    for dyads, sizes in ((8, (0.5, 0.8)), (20, (0.3, 0.6))):
        for relation in RELATIONS:
            size = sizes[0] if relation in LAGS else sizes[1]
            out[f"{dyads} x 8 | {relation} {size:g}"] = Truth(dyads, 8, relation, size)
    return out


def event_cells() -> dict[str, Truth]:
    """Every cell of outcomes of yes and no by its name."""
    out: dict[str, Truth] = {}
    for dyads in (8, 20):
        for share in (0.5, 0.15):
            for name in ("independent", "AR(1) .5", "both courses bend, in all"):
                out[f"{dyads} x 8 | yes {share:g}: {name}"] = Truth(dyads, 8, share=share, **CONDITIONS[name])
    for dyads, sizes in ((8, (0.6, 0.9)), (20, (0.4, 0.7))):
        for relation in RELATIONS:
            size = sizes[0] if relation in LAGS else sizes[1]
            out[f"{dyads} x 8 | {relation} {size:g}, yes 0.5"] = Truth(dyads, 8, relation, size, share=0.5)
    return out


def series_of(shape: tuple[int, int], phi: float, rng: np.random.Generator) -> np.ndarray:
    """Unit noise along sessions, each like the one before by phi."""
    out = rng.normal(size=shape)
    for s in range(1, shape[1]):
        out[:, s] = phi * out[:, s - 1] + np.sqrt(1 - phi**2) * out[:, s]
    return out


def simulate(truth: Truth, rng: np.random.Generator) -> pd.DataFrame:
    """One study: ``dyad therapist session value outcome``."""
    n, k = truth.dyads, truth.sessions
    x, y = series_of((n, k), truth.autocorrelation, rng), series_of((n, k), truth.autocorrelation, rng)
    own, t = np.sqrt(1 - truth.size**2), np.arange(k)
    therapist = np.arange(n) // truth.per_therapist
    if truth.relation == "same_session":
        y = truth.size * x + own * y
    elif truth.relation == "next_session":
        y[:, 1:] = truth.size * x[:, :-1] + own * y[:, 1:]
    elif truth.relation == "reverse":
        x[:, 1:] = truth.size * y[:, :-1] + own * x[:, 1:]
    y = y + rng.normal(0, truth.therapist_sd, n // truth.per_therapist)[therapist][:, None] * x
    scale = np.exp(rng.normal(0, 0.5, (n, 1))) if truth.uneven else 1.0
    level, trend = rng.normal(size=(2, n, 1))
    x = 0.08 * scale * x + 0.10 * level + 0.03 * trend * t
    y = 4 * scale * y + 20 - t + rng.normal(0, 6, (n, 1)) + rng.normal(0, 1, (n, 1)) * t
    if truth.relation in ("between", "change"):
        mean = (0.10 * level + 0.03 * t.mean() * trend) / np.sqrt(0.10**2 + (0.03 * t.mean()) ** 2)
        about = mean if truth.relation == "between" else trend
        y = np.tile(20 + 6 * (truth.size * about + own * rng.normal(size=(n, 1))), (1, k))
    if truth.curved:
        x, y = x + 0.3 * (1 - np.exp(-t / 2)), y + 15 * np.exp(-t / 2)
    if truth.share:
        y = (y > np.quantile(y, 1 - truth.share)).astype(float)
    kept = np.ones((n, k), bool)
    if truth.shortest:
        kept = t < rng.integers(truth.shortest, k + 1, n)[:, None]
    if truth.informative:
        now = y - y.mean(1, keepdims=True) + t
        ended = np.maximum.accumulate((now < -5) & (t >= 3), axis=1)
        kept = ~((now > 4) & (rng.random((n, k)) < 0.5)) & ~np.hstack([np.zeros((n, 1), bool), ended[:, :-1]])
    dyad, session = np.meshgrid(np.arange(n), t, indexing="ij")
    columns = {"dyad": dyad, "therapist": therapist[dyad], "session": session + 1, "value": x, "outcome": y}
    frame = pd.DataFrame({name: values[kept] for name, values in columns.items()})
    return frame.astype({"dyad": str, "therapist": str})


def plain_test(frame: pd.DataFrame, relation: str) -> tuple[float, float]:
    """The best test where nothing but lines and the planted relation is true: estimate and p, written out here."""
    if relation in ("between", "change"):
        parts = [part for _, part in frame.groupby("dyad")]
        y = [part["outcome"].mean() for part in parts]
        x = [p["value"].mean() if relation == "between" else np.polyfit(p["session"], p["value"], 1)[0] for p in parts]
        fit = stats.linregress(x, y)
        return float(fit.slope), float(fit.pvalue)
    slopes = []
    for _, part in frame.groupby("dyad"):
        x, y = part["value"].to_numpy(), part["outcome"].to_numpy()
        if relation == "next_session":
            x, y = x[:-1], y[1:]
        elif relation == "reverse":
            x, y = y[:-1], x[1:]
        columns = np.column_stack([x, np.ones(len(x)), np.arange(len(x))])
        slopes.append(np.linalg.lstsq(columns, y, rcond=None)[0][0])
    return float(np.mean(slopes)), float(stats.ttest_1samp(slopes, 0).pvalue)


def answer(series: Series, relation: str) -> dict:
    """What the package finds: p, sign, df, dyads, and whether it would be claimed (recordings in order)."""
    if relation not in LAGS:
        found = series.compare_dyads(relation)[0]
        estimate, level, open_ = found.estimate, found.therapist_level, True
        if estimate is None:
            return {}
        holds = found.second.p < 0.20
    else:
        lag = LAGS[relation]
        _, within = lag.within(series.courses, lag.kept)
        if not within.testable:
            return {}
        estimate, level = within.test(), series.over_therapists(within.labels, within.test)
        guard = series.ask_other_sessions(lag, estimate) if estimate.p < ALPHA else None
        holds, open_ = guard is None or guard.passed is not False, True
    p = estimate.p if level.test is None else max(estimate.p, level.test.p)
    same = level.test is None or level.test.slope * estimate.slope > 0
    return {
        "p_dyads": estimate.p, "p": p, "sign": float(np.sign(estimate.slope)), "df": estimate.df, "n": estimate.n,
        "holds": bool(holds and same and open_ and estimate.n >= MIN_DYADS),
    }  # fmt: skip


def replicate(truth: Truth, seed: np.random.SeedSequence) -> dict:
    """Simulate one study and ask every relation."""
    frame = simulate(truth, np.random.default_rng(seed))
    rows = frame.assign(t=frame["session"] - 1.0)
    rows = rows if truth.per_therapist > 1 else rows.drop(columns="therapist")
    told = rows[["dyad", "session", "t", "outcome"]]
    series = Series.of(FurtherOutcome("outcome"), told, Evidence(rows, Outcome()), "eeg")
    if truth.relation in ("between", "change"):
        found = {truth.relation: answer(series, truth.relation)}
    else:
        found = {relation: answer(series, relation) for relation in RELATIONS}
    found = {relation: said for relation, said in found.items() if said}
    corrected = dict(zip(found, holm([said["p"] for said in found.values()]), strict=True))
    out = {"found": found, "claims": [name for name, p in corrected.items() if p < ALPHA and found[name]["holds"]]}
    if truth.relation:
        out["plain"] = plain_test(frame, truth.relation)
    return out


def run(options: argparse.Namespace) -> int:
    """Replicate every cell, a few at a time so that a stopped run is balanced, and write the table."""
    state = Path(options.state)
    state.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, list[dict]] = defaultdict(list)
    for line in state.read_text(encoding="utf-8").splitlines() if state.is_file() else ():
        row = json.loads(line)
        done[row.pop("cell")].append(row)
    step, started = (5 if options.small else 50), time.monotonic()
    with state.open("a", encoding="utf-8") as stream:
        for target in range(step, options.reps + step, step):
            for number, (name, truth) in enumerate(options.cells.items()):
                for rep in range(len(done[name]), min(target, options.reps)):
                    if options.minutes and time.monotonic() > started + 60 * options.minutes:
                        break
                    row = replicate(truth, np.random.SeedSequence([FRESH_SEED, number, rep]))
                    done[name].append(row)
                    stream.write(json.dumps({"cell": name, **row}) + "\n")
                stream.flush()
    bad = report({name: done[name] for name in options.cells if done[name]}, options)
    print(f"{sum(map(len, done.values()))} studies; too many false relations in: {bad or 'no cell'}")
    return 1 if bad else 0


def shares(rows: list[dict], relation: str) -> tuple[int, int, int, int]:
    """How often a relation could be tested, had p < .05, was claimed if named alone, and had df above dyads - 1."""
    said = [row["found"][relation] for row in rows if relation in row["found"]]
    high = [one for one in said if one["p"] < ALPHA]
    return len(said), len(high), sum(one["holds"] for one in high), sum(one["df"] > one["n"] - 1 + 1e-9 for one in said)


def too_many(hits: int, n: int) -> bool:
    """Whether so many would come by chance in one of a thousand tests of size .05."""
    return n > 0 and stats.binomtest(hits, n, ALPHA, alternative="greater").pvalue < 0.001


def share_text(hits: int, n: int) -> str:
    """A share, or a dash."""
    return f"{hits / n:.3f}".removeprefix("0") if n else "-"


def report(done: dict[str, list[dict]], options: argparse.Namespace) -> list[str]:
    """Write the markdown tables; return the cells with too many false relations."""
    truths, bad = options.cells, []
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    n_sim = options.planned
    fewest, most = min(map(len, done.values())), max(map(len, done.values()))
    lines = [
        "# Outcomes of yes and no on simulated tables" if options.events else "# Outcomes on simulated tables",
        "",
        f"Written by `scripts/validate_outcomes.py{' --events' * options.events}"
        f"{' --small' if options.small else f' --reps {options.reps}'}` on "
        f"{today} ({platform.machine()}, {os.cpu_count()} cores, one used; seed {FRESH_SEED}, used for no choice),",
        f"with {fewest} to {most} studies per cell: a share of .05 has a Monte Carlo error of "
        f"{np.sqrt(0.05 * 0.95 / fewest):.3f}.",
        "",
        "Every dyad has its own level and line in both series (synchrony in Fisher z: between dyads .10, slopes .03,",
        "within .08; symptoms: 6, 1 and 4 points, falling by one point a session). The generator shares no code with",
        "the package.",
        *EVENT_LINES * options.events,
        "",
        "## Nulls: share of p < .05, two-sided",
        "",
        "`any claim`: at least one of the five relations is claimed when all are asked for (Holm, and the guard of",
        "other sessions; guards of recordings cannot be asked of tables). Bold: more than .05 beyond chance (one in a",
        "thousand).",
        "",
        "| design | condition | n | " + " | ".join(RELATIONS) + " | any claim |",
        "|" + "---|" * (len(RELATIONS) + 4),
    ]
    for name, rows in done.items():
        if truths[name].relation:
            continue
        texts = []
        for relation in RELATIONS:
            n, high, _, above = shares(rows, relation)
            wrong = too_many(high, n) or above > 0
            bad += [f"{name}: {relation}"] if wrong else []
            texts.append(f"**{share_text(high, n)}**" if wrong else share_text(high, n))
        claims = sum(bool(row["claims"]) for row in rows)
        bad += [f"{name}: any claim"] if too_many(claims, len(rows)) else []
        design, condition = name.split(" | ")
        cell = [design, condition, str(len(rows)), *texts, share_text(claims, len(rows))]
        lines.append("| " + " | ".join(cell) + " |")
    lines += [
        "",
        "## Planted relations",
        "",
        "`plain test`: share found (right sign, p < .05) by the t test of the dyads' plain slopes, or the regression",
        "over dyads, which know that nothing else is true; `found`: by the test of the package; `claimed`: with the",
        "relation named alone, the guard of other sessions (inside dyads) or the other standard error (between)",
        f"passed; `predicted`: by `plan_power(..., relation=...)`, {n_sim} simulations; `others`: largest share of",
        "claims for another relation inside dyads when named alone.",
        "",
        "| design | planted | n | plain test | found | of plain | claimed | predicted | others |",
        "|" + "---|" * 9,
    ]
    for name, rows in done.items():
        truth = truths[name]
        if not truth.relation:
            continue
        n, design = len(rows), name.split(" | ")[0]
        hits = [row["found"].get(truth.relation, {"p": 1.0, "sign": 0, "holds": False}) for row in rows]
        found = [one["p"] < ALPHA and one["sign"] > 0 for one in hits]
        claimed = sum(one["holds"] and ok for one, ok in zip(hits, found, strict=True))
        plain = sum(row["plain"][1] < ALPHA and row["plain"][0] > 0 for row in rows)
        others = [shares(rows, relation) for relation in LAGS if relation != truth.relation]
        worst = max((claims / m for m, _, claims, _ in others if m), default=0.0)
        bad += [f"{name}: another relation"] if any(too_many(claims, m) for m, _, claims, _ in others) else []
        planned = plan_power(truth.dyads, truth.sessions, truth.size, relation=truth.relation, n_sim=n_sim, seed=1)
        ratio = f"{sum(found) / plain:.0%}" if plain else "-"
        cell = [design, name.split(" | ")[1], str(n), share_text(plain, n), share_text(sum(found), n), ratio]
        cell += [share_text(claimed, n), f"{planned.table['power'].iloc[0]:.3f}".removeprefix("0")]
        text = f"{worst:.3f}".removeprefix("0") if truth.relation in LAGS else "-"
        cell.append(f"**{text}**" if bad and bad[-1] == f"{name}: another relation" else text)
        lines.append("| " + " | ".join(cell) + " |")
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    Path(options.out).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return bad


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a few studies, for continuous integration")
    parser.add_argument("--events", action="store_true", help="outcomes of yes and no")
    parser.add_argument("--reps", type=int, default=1000, help="studies per cell (default 1000)")
    parser.add_argument("--planned", type=int, default=500, help="simulations of plan_power per cell (default 500)")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long; 0 = when all is done")
    parser.add_argument("--state", help="file of finished studies, read again on the next start")
    parser.add_argument("--out", help="markdown file to write")
    options = parser.parse_args(arguments)
    options.cells = event_cells() if options.events else cells()
    stem = "outcomes" + "_events" * options.events + "_small" * options.small
    if options.small:
        options.reps, options.planned = min(options.reps, 5), 10
    if options.small and not options.state:  # of the code as it is now, so nothing is read again
        (ROOT / "build" / f"{stem}.jsonl").unlink(missing_ok=True)
    options.state = options.state or str(ROOT / "build" / f"{stem}.jsonl")
    folder = ROOT / "build" if options.small else ROOT / "docs" / "validation"
    options.out = options.out or str(folder / f"{stem}.md")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
