"""Check that independent signals give uniform p values, for every metric and every null valid for it.

python scripts/validate_nulls.py --small         under half a minute; exit code 1 if a null is clearly wrong
python scripts/validate_nulls.py --minutes 10    as many runs as fit; writes docs/validation/nulls.md
python scripts/validate_nulls.py --runs 1000     that many
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from hyperscan.errors import DataQualityWarning
from hyperscan.metrics import METRICS, MetricSpec
from hyperscan.metrics.spec import identity
from hyperscan.nulls import lags, p_value, partners, phases, sessions, windows
from hyperscan.transforms import analytic_signal, cut_windows

ROOT = Path(__file__).resolve().parent.parent
FRESH_SEED = 48_151_623  # not used for any choice of the package

SFREQ, BAND, WTC_BAND = 64.0, (8.0, 12.0), (0.5, 4.0)
EDGE = 2 * int(SFREQ)  # cut off at both ends after filtering: half the filter is 1.7 s
N_TIMES = 2560 + 2 * EDGE  # 40 s are left
N_CHANNELS = 3  # per person: 9 pairs of independent signals per run
N_NULL = 99
MIN_LAG = int(SFREQ)  # 1 s; the band's autocorrelation time is about .2 s
N_WINDOW = 2 * int(SFREQ)
N_DYADS, N_SESSIONS = 12, 11  # 22 pseudo-dyads, 20 other sessions
ALPHA = 0.05

Values = dict[str, NDArray[Any]]

#: Combinations that the package refuses or that its docstrings call invalid.
INVALID = {("wtc", "windows"): "windows are short against its wavelets"}


def _broadband(rng: np.random.Generator, n_channels: int = N_CHANNELS) -> NDArray[Any]:
    """Independent AR(1) signals, the colour of background EEG."""
    white = rng.standard_normal((n_channels, N_TIMES + 200))
    return lfilter([1.0], [1.0, -0.7], white, axis=-1)[:, 200:]


def _forms(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What metrics of either domain take, filter edges cut off."""
    inner = slice(EDGE, -EDGE)
    return {"real": x[:, inner].copy(), "analytic": analytic_signal(x, SFREQ, BAND)[:, inner].copy()}


def _size(spec: MetricSpec, value: NDArray[Any]) -> NDArray[Any]:
    """Values that grow with the strength of a relation: signed metrics by magnitude."""
    return np.asarray(value if spec.link is identity and spec.name != "xcorr_lag" else np.abs(value))


def _evaluate(spec: MetricSpec, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    facts = {"sfreq": SFREQ, "band": WTC_BAND}
    return _size(spec, spec.func(a, b, **{name: facts[name] for name in spec.params}))


def _all_metrics(specs: list[MetricSpec], a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> Values:
    return {spec.name: _evaluate(spec, a[spec.domain], b[spec.domain]) for spec in specs}


def _by_lags(rng: np.random.Generator, specs: list[MetricSpec]) -> Iterator[tuple[str, NDArray[Any]]]:
    a, b = _forms(_broadband(rng)), _forms(_broadband(rng))
    for spec in specs:
        statistic: Any = spec.moment or (lambda u, v, spec=spec: _evaluate(spec, u, v))
        null = lags(a[spec.domain], b[spec.domain], statistic, n_null=N_NULL, min_lag=MIN_LAG, rng=rng)
        yield spec.name, p_value(_size(spec, null.estimate), _size(spec, null.surrogates))


def _by_phases(
    rng: np.random.Generator, specs: list[MetricSpec], method: Any = "fourier"
) -> Iterator[tuple[str, NDArray[Any]]]:
    a, raw = _forms(_broadband(rng)), _broadband(rng)
    observed = _all_metrics(specs, a, _forms(raw))
    drawn = phases(raw, rng, n_null=N_NULL, method=method, common=False)
    null = [_all_metrics(specs, a, _forms(surrogate)) for surrogate in drawn]
    for spec in specs:
        yield spec.name, p_value(observed[spec.name], np.stack([values[spec.name] for values in null]))


def _by_iaaft(rng: np.random.Generator, specs: list[MetricSpec]) -> Iterator[tuple[str, NDArray[Any]]]:
    return _by_phases(rng, specs, "iaaft")


def _by_windows(rng: np.random.Generator, specs: list[MetricSpec]) -> Iterator[tuple[str, NDArray[Any]]]:
    a, b = _forms(_broadband(rng)), _forms(_broadband(rng))
    for spec in specs:
        starts = np.arange(0, a["real"].shape[-1] - N_WINDOW + 1, N_WINDOW)
        cut = [cut_windows(x[spec.domain], starts, N_WINDOW) for x in (a, b)]
        null = windows(*cut, lambda u, v, spec=spec: _evaluate(spec, u, v), n_null=N_NULL, min_gap=1, rng=rng)
        yield spec.name, p_value(null.estimate, null.surrogates)


def _crossed(
    rng: np.random.Generator, specs: list[MetricSpec], count: int, pairs: list[tuple[int, int]]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Therapist i with client j: the pair (0, 0) against the given others."""
    people = [[_forms(_broadband(rng, 1)) for _ in range(count)] for _ in range(2)]
    for spec in specs:
        therapists, clients = (np.stack([forms[spec.domain] for forms in side]) for side in people)
        observed, *null = (_evaluate(spec, therapists[i], clients[j]) for i, j in [(0, 0), *pairs])
        yield spec.name, p_value(observed, np.stack(null))


def _by_partners(rng: np.random.Generator, specs: list[MetricSpec]) -> Iterator[tuple[str, NDArray[Any]]]:
    labels = [[f"{who}{dyad}" for dyad in range(N_DYADS)] for who in "DTC"]
    drawn = [pair for pair in partners(*labels, rng=rng) if pair.dyad == 0]
    pairs = [(0, pair.partner) if pair.which == "client" else (pair.partner, 0) for pair in drawn]
    return _crossed(rng, specs, N_DYADS, pairs)


def _by_sessions(rng: np.random.Generator, specs: list[MetricSpec]) -> Iterator[tuple[str, NDArray[Any]]]:
    pairs = [pair for pair in sessions(range(N_SESSIONS)) if 0 in pair]
    return _crossed(rng, specs, N_SESSIONS, pairs)


Null = Callable[[np.random.Generator, list[MetricSpec]], Iterator[tuple[str, NDArray[Any]]]]

#: How each null is applied, and how many surrogates a p value ranks among.
NULLS: dict[str, tuple[Null, int]] = {
    "lags": (_by_lags, N_NULL),
    "phases": (_by_phases, N_NULL),
    "phases, IAAFT": (_by_iaaft, N_NULL),
    "windows": (_by_windows, N_NULL),
    "partners": (_by_partners, 2 * (N_DYADS - 1)),
    "sessions": (_by_sessions, 2 * (N_SESSIONS - 1)),
}

#: Slow ones, left out of the quick check for some nulls.
SMALL_METRICS = ("plv", "accorr", "imcoh", "wpli", "aec", "corr", "gcmi")


def nominal(n_surrogates: int) -> float:
    """Largest rate of p <= .05 that so many surrogates can give under the null."""
    return float(np.floor(ALPHA * (n_surrogates + 1)) / (n_surrogates + 1))


def simulate(
    seed: int, names: list[str], nulls: list[str], runs: int, seconds: float
) -> dict[tuple[str, str], list[NDArray[Any]]]:
    """p values by metric and null, one array per run; stops at whichever limit comes first."""
    start = time.monotonic()
    found: dict[tuple[str, str], list[NDArray[Any]]] = defaultdict(list)
    for run in range(runs):
        for number, null in enumerate(nulls):
            specs = [METRICS[name] for name in names if (name, null) not in INVALID]
            rng = np.random.default_rng((seed, run, number))
            for name, p in NULLS[null][0](rng, specs):
                found[name, null].append(np.asarray(p).ravel())
            if time.monotonic() - start > seconds:
                return found
    return found


def rate(p: list[NDArray[Any]]) -> tuple[float, float]:
    """Rate of p <= .05 and its Monte Carlo error; pairs of one run share signals, so runs are the units."""
    hits = np.array([(values <= ALPHA).mean() for values in p])
    pairs = sum(values.size for values in p)
    mean = float(hits.mean())
    floor = np.sqrt(max(mean, ALPHA) * (1 - ALPHA) / pairs)  # a handful of runs may agree by chance
    return mean, float(max(hits.std(ddof=1) / np.sqrt(hits.size), floor) if hits.size > 1 else 2 * floor)


def clearly_wrong(found: dict[tuple[str, str], list[NDArray[Any]]], margin: float) -> list[str]:
    """Combinations whose rate is off by more than four Monte Carlo errors and a margin."""
    wrong = []
    for (name, null), p in found.items():
        value, error = rate(p)
        if abs(value - nominal(NULLS[null][1])) > 4 * error + margin:
            wrong.append(f"{name} x {null}: rate of p <= .05 is {value:.3f} (MC error {error:.3f})")
    return wrong


def report(found: dict[tuple[str, str], list[NDArray[Any]]], seed: int) -> str:
    """The page of docs/validation."""
    nulls = [null for null in NULLS if any(key[1] == null for key in found)]
    runs = {null: max(len(p) for key, p in found.items() if key[1] == null) for null in nulls}
    sizes = {null: max(sum(x.size for x in p) for key, p in found.items() if key[1] == null) for null in nulls}
    lines = [
        "# p values of every metric and null on independent signals\n",
        f"Written by `scripts/validate_nulls.py` on {datetime.date.today()} (seed {seed}, not used for any choice).\n",
        f"Two people's independent AR(1) signals (coefficient .7), {N_CHANNELS} channels each, 40 s at {SFREQ:g} Hz; "
        f"analytic metrics in {BAND[0]:g}-{BAND[1]:g} Hz, `wtc` in {WTC_BAND[0]:g}-{WTC_BAND[1]:g} Hz; lags of at "
        f"least 1 s; windows of 2 s; {N_DYADS} dyads and {N_SESSIONS} sessions with one channel per person. Signed "
        "metrics are tested by magnitude. Each cell is the share of p <= .05 and its Monte Carlo "
        "error (standard error over runs; "
        "pairs of a run share signals). `partners` and `sessions` rank one dyad among few others, so the share "
        "they can give at most is below .05: see the second row.\n",
        "| | " + " | ".join(nulls) + " |",
        "|---|" + "---|" * len(nulls),
        "| nominal | " + " | ".join(f"{nominal(NULLS[null][1]):.3f}" for null in nulls) + " |",
        "| runs (p values) | " + " | ".join(f"{runs[null]} ({sizes[null]})" for null in nulls) + " |",
    ]
    for name in dict.fromkeys(key[0] for key in found):
        cells = [_cell(found, name, null) for null in nulls]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    lines += ["", *_summary(found, nulls)]
    invalid = "; ".join(f"`{name}` x {null}: {why}" for (name, null), why in INVALID.items())
    lines += ["", f"Left out as invalid: {invalid}. Methods of mne-connectivity (`mne:...`) are not in this table."]
    return "\n".join(lines) + "\n"


def _cell(found: dict[tuple[str, str], list[NDArray[Any]]], name: str, null: str) -> str:
    if (name, null) in INVALID:
        return "invalid"
    if (name, null) not in found:
        return "-"
    value, error = rate(found[name, null])
    off = abs(value - nominal(NULLS[null][1])) > 3 * error
    return f"**{value:.3f}** ({error:.3f})" if off else f"{value:.3f} ({error:.3f})"


def _summary(found: dict[tuple[str, str], list[NDArray[Any]]], nulls: list[str]) -> list[str]:
    """How the deviations in units of their errors are spread over metrics: should be about standard normal."""
    lines = ["| null | mean share | cells off by > 2 errors | by > 3 errors (bold) | cells |", "|---|---|---|---|---|"]
    for null in nulls:
        cells = [rate(p) for (_, of), p in found.items() if of == null]
        scores = np.array([(value - nominal(NULLS[null][1])) / error for value, error in cells])
        mean = np.mean([value for value, _ in cells])
        far = [(np.abs(scores) > limit).sum() for limit in (2, 3)]
        lines.append(f"| {null} | {mean:.3f} | {far[0]} | {far[1]} | {len(cells)} |")
    return [*lines, "", "Metrics of a column saw the same signals, so neighbouring cells deviate together."]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=FRESH_SEED)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "validation" / "nulls.md")
    args = parser.parse_args(arguments)
    warnings.simplefilter("ignore", DataQualityWarning)
    names = list(SMALL_METRICS if args.small else METRICS)
    kinds = [null for null in NULLS if not (args.small and null == "phases, IAAFT")]
    seconds = 20.0 if args.small else 60 * args.minutes
    found = simulate(args.seed, names, kinds, args.runs, seconds)
    wrong = clearly_wrong(found, margin=0.03 if args.small else 0.01)
    runs = max(len(p) for p in found.values())
    print(f"{len(found)} combinations, up to {runs} runs each, {len(wrong)} clearly wrong")
    print("\n".join(wrong))
    if not args.small:
        args.out.write_text(report(found, args.seed))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
