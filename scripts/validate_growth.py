"""Validate the verdict on simulated synchrony tables, and write docs/validation/growth_tables.md.

    python scripts/validate_growth.py --small        about a minute; exit code 1 if false claims abound
    python scripts/validate_growth.py --reps 1000    every cell, resumable; stop and start as you like
    python scripts/validate_growth.py --minutes 20   as many replications as fit

validate_verdict.py does the same from recordings on, through preparation, metrics, nulls and guards.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from hyperscan.errors import DataQualityWarning
from hyperscan.growth import fit_growth

ROOT = Path(__file__).resolve().parent.parent

#: Not used for any choice of the package.
FRESH_SEED = 28_112_026

ALPHA = 0.05


@dataclass(frozen=True)
class Design:
    """Who is seen when: dyads, sessions, rows kept (or share missing), therapists."""

    dyads: int
    sessions: tuple[int, ...]
    rows: int | None = None
    missing: float = 0.0
    per_therapist: int = 1
    shortest: int = 0  # courses of this many sessions up to all of them, each as likely; 0: all are whole


@dataclass(frozen=True)
class Condition:
    """What is true, in Fisher z per session."""

    growth: float = 0.0
    slope_sd: float = 0.03
    drift: float = 0.0
    autocorrelation: float = 0.0
    therapist_slope_sd: float = 0.0
    heavy: bool = False  # residuals of t with three degrees of freedom
    uneven: bool = False  # residual SD differs between dyads (log-normal, .5)
    skewed: bool = False  # slopes are exponential to the left: most dyads rise, a few fall steeply
    length: float = 0.0  # correlation of slopes with the length of courses
    stops: bool = False  # therapy ends after the first session above .12 beyond the second
    outlier: bool = False  # one dyad falls by six SD of slopes

    @property
    def null(self) -> bool:
        return self.growth == 0


DESIGNS = {
    "8 x {1,3,5}, 18 of 24 rows": Design(8, (1, 3, 5), rows=18),
    "8 x 6, 18 of 48 rows": Design(8, tuple(range(1, 7)), rows=18),
    "8 x 6": Design(8, tuple(range(1, 7))),
    "20 x 8": Design(20, tuple(range(1, 9))),
    "20 x 8, 25 % missing": Design(20, tuple(range(1, 9)), missing=0.25),
}

#: Courses of therapy differ in length, as they do.
COURSES = {
    "12, courses of 2 to 6": Design(12, tuple(range(1, 7)), shortest=2),
    "20, courses of 2 to 8": Design(20, tuple(range(1, 9)), shortest=2),
}

CONDITIONS = {
    "null, equal slopes": Condition(slope_sd=0.0),
    "null, varying slopes": Condition(),
    "null, common drift": Condition(drift=0.03),
    "null, AR(1) sessions": Condition(autocorrelation=0.5),
    "growth": Condition(growth=0.03),
    "growth and drift": Condition(growth=0.03, drift=0.03),
}

THERAPISTS = {
    "8 x {1,3,5}, 18 of 24 rows, 4 therapists": Design(8, (1, 3, 5), rows=18, per_therapist=2),
    "8 x 6, 4 therapists": Design(8, tuple(range(1, 7)), per_therapist=2),
    "20 x 8, 5 therapists": Design(20, tuple(range(1, 9)), per_therapist=4),
    "20 x 8, 10 therapists": Design(20, tuple(range(1, 9)), per_therapist=2),
}

THERAPIST_CONDITIONS = {
    "null, therapists' own slopes": Condition(therapist_slope_sd=0.03),
    "growth, therapists' own slopes": Condition(growth=0.03, therapist_slope_sd=0.03),
    "growth": Condition(growth=0.03),
}

#: What else may fool a test of the mean slope.
HARD_CONDITIONS = {
    "null, heavy tails": Condition(heavy=True),
    "null, unequal noise": Condition(uneven=True),
    "null, left-skewed slopes": Condition(skewed=True),
    "null, slopes go with length": Condition(length=1.0),
    "null, slopes go half with length": Condition(length=0.5),
    "null, therapy stops after high sessions": Condition(stops=True),
    "growth, unequal noise": Condition(growth=0.03, uneven=True),
    "growth, equal slopes": Condition(growth=0.03, slope_sd=0.0),
    "growth, one dyad far out": Condition(growth=0.03, outlier=True),
}

#: Spread of Fisher z: between dyads, within a dyad, a person's quality and drift per session.
INTERCEPT_SD, RESIDUAL_SD, QUALITY_SD, PERSON_DRIFT_SD = 0.10, 0.08, 0.03, 0.01


def table_cells() -> dict[str, tuple[Design, Condition]]:
    cells = {f"{d} | {c}": (design, cond) for d, design in DESIGNS.items() for c, cond in CONDITIONS.items()}
    cells |= {
        f"{d} | {c}": (design, cond) for d, design in THERAPISTS.items() for c, cond in THERAPIST_CONDITIONS.items()
    }
    plain = {c: CONDITIONS[c] for c in ("null, equal slopes", "null, varying slopes", "null, AR(1) sessions", "growth")}
    for d, design in COURSES.items():
        cells |= {f"{d} | {c}": (design, cond) for c, cond in (plain | HARD_CONDITIONS).items()}
    for d in ("8 x 6", "20 x 8"):
        hard = {c: cond for c, cond in HARD_CONDITIONS.items() if not cond.length}
        cells |= {f"{d} | {c}": (DESIGNS[d], cond) for c, cond in hard.items()}
    return cells


def kept_rows(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Sessions that took place: (dyads, sessions); with few rows every dyad keeps two or more."""
    shape = (design.dyads, len(design.sessions))
    if design.shortest:
        ends = rng.integers(design.shortest, len(design.sessions) + 1, design.dyads)
        return np.arange(len(design.sessions)) < ends[:, None]
    if design.rows is None:
        return rng.random(shape) >= design.missing
    while True:
        kept = np.zeros(shape, bool)
        kept.ravel()[rng.permutation(kept.size)[: design.rows]] = True
        if (kept.sum(1) >= 2).all():
            return kept


def simulate(design: Design, condition: Condition, rng: np.random.Generator) -> pd.DataFrame:
    """One study: real pairs and all pseudo-pairs of a session, sharing the persons' quality and drift."""
    n, t = design.dyads, np.array(design.sessions) - 1.0
    therapist = np.arange(n) // design.per_therapist
    kept = kept_rows(design, rng)
    slope = condition.growth + condition.slope_sd * (
        1 - rng.exponential(1, n) if condition.skewed else rng.normal(size=n)
    )
    if condition.length:
        length = kept.sum(1) - kept.sum(1).mean()
        share = condition.length * condition.slope_sd * length / max(length.std(), 1e-9)
        slope = share + np.sqrt(1 - condition.length**2) * slope
    slope[0] -= 6 * condition.slope_sd * condition.outlier
    slope += rng.normal(0, condition.therapist_slope_sd, n)[therapist]
    person = rng.normal(0, QUALITY_SD, (2, n, len(t))) + rng.normal(0, PERSON_DRIFT_SD, (2, n, 1)) * t
    common = 0.2 + condition.drift * t
    real = common + person.sum(0) + rng.normal(0, INTERCEPT_SD, (n, 1)) + slope[:, None] * t
    real += noise(n, len(t), condition, rng)
    pseudo = common + person[0][:, None] + person[1][None] + rng.normal(0, RESIDUAL_SD, (n, n, len(t)))
    if condition.stops:
        high = np.maximum.accumulate((real - common > 0.12) & (np.arange(len(t)) > 0), axis=1)
        kept = kept & ~np.hstack([np.zeros((n, 1), bool), high[:, :-1]])
    rows = []
    for i in range(n):
        for s in np.flatnonzero(kept[i]):
            others = [j for j in np.flatnonzero(kept[:, s]) if j != i]
            if not others:
                continue
            chance = np.concatenate([pseudo[i, others, s], pseudo[others, i, s]])
            rows.append((i, therapist[i], design.sessions[s], real[i, s], chance.mean(), len(chance)))
    columns = ["dyad", "therapist", "session", "z", "pseudo_mean_z", "n_pseudo"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(excess_z=table["z"] - table["pseudo_mean_z"])


def noise(n: int, sessions: int, condition: Condition, rng: np.random.Generator) -> np.ndarray:
    phi = condition.autocorrelation
    out = RESIDUAL_SD * (
        rng.standard_t(3, (n, sessions)) / np.sqrt(3) if condition.heavy else rng.normal(size=(n, sessions))
    )
    out *= np.exp(rng.normal(0, 0.5, (n, 1))) if condition.uneven else 1.0
    for s in range(1, sessions):
        out[:, s] = phi * out[:, s - 1] + np.sqrt(1 - phi**2) * out[:, s]
    return out


def replicate(design: Design, condition: Condition, seed: np.random.SeedSequence) -> dict:
    rng = np.random.default_rng(seed)
    # real and pseudo slopes stand beside the verdict and have no say in it
    table = simulate(design, condition, rng).drop(columns=["z", "pseudo_mean_z"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        result = fit_growth(table, n_flips=2000, seed=rng)
    primary, level = result.primary, result.therapist_level
    return {
        "verdict": result.verdict,
        "slope": primary["slope"],
        "p_satterthwaite": primary["p_satterthwaite"],
        "p": primary["p"],
        "singular": primary["singular"],
        "weighted": [result.weighted["slope"], result.weighted["p"]],
        "two_stage": [result.two_stage["slope"], result.two_stage["p"]],
        "sign_flip": result.sign_flip["p"],
        "therapist": [level["slope"], level["p"]] if level["needed"] else None,
    }


def run_tables(options: argparse.Namespace) -> int:
    """Replicate every cell, a few at a time so that a stopped run is balanced, and write the table."""
    cells = table_cells()
    state = Path(options.state)
    state.parent.mkdir(parents=True, exist_ok=True)
    done = read_state(state)
    wanted = 10 if options.small else options.reps
    deadline = time.monotonic() + 60 * options.minutes if options.minutes else np.inf
    with state.open("a", encoding="utf-8") as stream:
        for target in range(5, wanted + 5, 5):
            for number, (name, (design, condition)) in enumerate(cells.items()):
                if not re.search(options.cells, name):
                    continue
                for rep in range(len(done[name]), min(target, wanted)):
                    if time.monotonic() > deadline:
                        break
                    seed = np.random.SeedSequence([FRESH_SEED, number, rep])
                    row = replicate(design, condition, seed)
                    done[name].append(row)
                    stream.write(json.dumps({"cell": name, "rep": rep, **row}) + "\n")
                stream.flush()
    rows = [summarise(name, done[name], *cells[name]) for name in cells if done[name]]
    report(rows, Path(options.out), small=options.small)
    bad = [row["cell"] for row in rows if row["too_high"]]
    print(f"{sum(row['n'] for row in rows)} replications; too many false claims in: {bad or 'no cell'}")
    return 1 if bad else 0


def read_state(path: Path) -> dict[str, list[dict]]:
    done: dict[str, list[dict]] = defaultdict(list)
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            done[row.pop("cell")].append(row)
    return done


def summarise(name: str, reps: list[dict], design: Design, condition: Condition) -> dict:
    n = len(reps)
    grows = sum(r["verdict"].startswith("grows") for r in reps)
    declines = sum(r["verdict"].startswith("declines") for r in reps)

    def share(test: Callable[[dict], bool]) -> float:
        return sum(map(test, reps)) / n

    up = {
        "plain": share(lambda r: r["p_satterthwaite"] < ALPHA and r["slope"] > 0),
        "capped": share(lambda r: r["p"] < ALPHA and r["slope"] > 0),
        "two_stage": share(lambda r: r["two_stage"][1] < ALPHA and r["two_stage"][0] > 0),
        "sign_flip": share(lambda r: r["sign_flip"] < ALPHA and r["two_stage"][0] > 0),
    }
    if design.per_therapist > 1:
        up["therapist"] = share(lambda r: r["therapist"][1] < ALPHA and r["therapist"][0] > 0)
    up["weighted"] = share(lambda r: r["weighted"][1] < ALPHA and r["weighted"][0] > 0)
    up["reference"] = share(lambda r: stages_agree(r))
    up["both"] = share(lambda r: stages_agree(r) and r["p"] < ALPHA and r["slope"] > 0)
    # too high: so many claims would come by chance in one of a thousand runs of a test of size .05
    p_high = stats.binomtest(grows, n, ALPHA, alternative="greater").pvalue
    return {
        "cell": name, "n": n, "null": condition.null, "grows": grows / n, "declines": declines / n,
        "se": float(np.sqrt(max(grows, 1) / n * (1 - min(grows, n - 1) / n) / n)), **up,
        "singular": share(lambda r: bool(r["singular"])), "too_high": condition.null and p_high < 0.001,
    }  # fmt: skip


def stages_agree(row: dict) -> bool:
    """Whether the two-stage test, and the therapists' where it is needed, shows an increase."""
    tests = [row["two_stage"], *([row["therapist"]] if row["therapist"] else [])]
    return all(slope > 0 and p < ALPHA for slope, p in tests)


def report(rows: list[dict], out: Path, *, small: bool) -> None:
    """Write the markdown table."""
    out.parent.mkdir(parents=True, exist_ok=True)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    lines = [
        "# The verdict on simulated synchrony tables",
        "",
        f"Written by `scripts/validate_growth.py{' --small' if small else ''}` on {today} "
        f"({os.cpu_count()} cores, one used; seed {FRESH_SEED}, not used for any choice).",
        "",
        "Fisher z: between dyads .10, within .08, a person's quality .03 and drift .01 per session, dyads'",
        "slopes .03 per session (0 under equal slopes); growth .03; drift common to real and pseudo pairs",
        ".03; AR(1) .5; therapists' slopes .03. Tables carry no guard measures, so a claimed growth reads",
        "`grows_unchecked`. All columns are shares of replications that claim an *increase* at two-sided",
        "p < .05 (nominal .025 in a null), except `falls` and `singular`. Target: `grows` at most .05 within",
        "Monte Carlo error in every null; power at least 90 % of the two-stage test's (together with the",
        "therapists' test where they see several dyads). The verdict asks for the weighted slopes at p < .05",
        "and for their plain mean (two-stage) at p < .20, or at p < .05 where slopes go with the length of",
        "courses; `mixed and two-stage` is what asking both of these for p < .05 would give: it is not used.",
        "",
    ]
    for null, title in ((True, "Nulls: false claims of growth"), (False, "Growth: power")):
        lines += [f"## {title}", "", *table_lines([row for row in rows if row["null"] == null], null), ""]
    lines += [missed(rows), ""]
    out.write_text("\n".join(lines), encoding="utf-8")


def missed(rows: list[dict]) -> str:
    """Where power stays below the target, and why, in plain words."""
    below: dict[str, list[float]] = {}
    for row in rows:
        if not row["null"] and row["reference"] and row["grows"] < 0.9 * row["reference"]:
            below.setdefault(row["cell"].split(" | ")[0], []).append(row["grows"] / row["reference"])
    if not below:
        return "The target for power is met in every design."
    named = "; ".join(f"{name}: {min(r):.0%} to {max(r):.0%}" for name, r in below.items())
    return f"**The target for power is missed** in {named}."


def table_lines(rows: list[dict], null: bool) -> list[str]:
    last = "target met" if null else "of two-stage"
    heads = ["design", "condition", "n", "**grows**", "MC SE", "falls", "mixed, plain df", "mixed, capped df"]
    heads += ["weighted", "two-stage", "sign-flip", "therapists", "mixed and two-stage", "singular", last]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        design, condition = row["cell"].split(" | ")
        numbers = [row["grows"], row["se"], row["declines"], row["plain"], row["capped"]]
        numbers += [row["weighted"], row["two_stage"]]
        numbers += [row["sign_flip"], row.get("therapist"), row["both"], row["singular"]]
        cells = ["-" if x is None else f"{x:.3f}".removeprefix("0") for x in numbers]
        cells[0] = f"**{cells[0]}**"
        lines.append(f"| {design} | {condition} | {row['n']} | " + " | ".join([*cells, verdict_on(row)]) + " |")
    return lines


def verdict_on(row: dict) -> str:
    if row["null"]:
        return "yes" if row["grows"] <= ALPHA else ("within error" if not row["too_high"] else "**no**")
    ratio = row["grows"] / row["reference"] if row["reference"] else float("nan")
    return f"{ratio:.0%}" if ratio >= 0.9 else f"**{ratio:.0%}**"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a few replications, for continuous integration")
    parser.add_argument("--reps", type=int, default=1000, help="replications per cell (default 1000)")
    parser.add_argument("--cells", default="", help="replicate only cells whose name matches a regular expression")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long; 0 = when all is done")
    parser.add_argument("--state", help="file of finished replications, read again on the next start")
    parser.add_argument("--out", help="markdown file to write")
    options = parser.parse_args(arguments)
    stem = "growth_tables" + ("_small" if options.small else "")
    if options.small and not options.state:  # of the code as it is now, so nothing is read again
        (ROOT / "build" / f"{stem}.jsonl").unlink(missing_ok=True)
    options.state = options.state or str(ROOT / "build" / f"{stem}.jsonl")
    default = ROOT / "build" / f"{stem}.md" if options.small else ROOT / "docs" / "validation" / f"{stem}.md"
    options.out = options.out or str(default)
    return run_tables(options)


if __name__ == "__main__":
    sys.exit(main())
