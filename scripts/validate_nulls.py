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

SFREQ, BAND = 64.0, (8.0, 12.0)  # of analytic signals
SLOW_SFREQ, WTC_BAND = 16.0, (0.5, 2.0)  # of real signals: every fourth sample, near the rate of fNIRS
DOMAIN_SFREQ = {"analytic": SFREQ, "real": SLOW_SFREQ, "wavelet": SLOW_SFREQ}
AR = 0.9  # coefficient at the higher rate; .66 from one sample to the next at the lower one
EDGE = 2 * int(SFREQ)  # cut off at both ends after filtering: half the filter is 1.7 s
LENGTH_S = 16.0  # of a recording, by default
N_CHANNELS = 2  # per person: 4 pairs of independent signals per run
N_NULL = 19  # the fewest that reach .05, exactly: (0 + 1) / (19 + 1)
MIN_LAG_S = 1.0  # the band's autocorrelation time is about .2 s
WINDOW_S = 2.0
TURN_KEPT, TURNS_LONGER = 0.2, 4  # share of the seconds of own turns that are kept; such recordings are longer
N_DYADS, N_SESSIONS = 12, 11  # 22 pseudo-dyads, 20 other sessions
ALPHA = 0.05

Forms = dict[str, NDArray[Any]]
Found = Iterator[tuple[str, NDArray[Any]]]  # metric and p values

#: Combinations that the package refuses or that its docstrings call invalid.
INVALID = {
    ("wtc", "windows"): "windows are short against its wavelets",
    **{(name, "lags, turns"): "it takes samples in a row" for name in ("wtc", "xcorr", "xcorr_lag", "ar_corr", "gcte")},
}


def _broadband(rng: np.random.Generator, length_s: float, n_channels: int = N_CHANNELS) -> NDArray[Any]:
    """Independent AR(1) signals, the colour of background EEG."""
    white = rng.standard_normal((n_channels, int(length_s * SFREQ) + 2 * EDGE + 200))
    return lfilter([1.0], [1.0, -AR], white, axis=-1)[:, 200:]


def _forms(x: NDArray[Any]) -> Forms:
    """What metrics of each domain take, filter edges cut off; wavelets are made of the real signals."""
    inner = slice(EDGE, -EDGE)
    slow = x[..., inner][..., :: int(SFREQ / SLOW_SFREQ)].copy()
    return {"real": slow, "wavelet": slow, "analytic": analytic_signal(x, SFREQ, BAND)[..., inner].copy()}


def _size(spec: MetricSpec, value: NDArray[Any]) -> NDArray[Any]:
    """Values that grow with the strength of a relation: signed metrics by magnitude."""
    return np.asarray(value if spec.link is identity and spec.name != "xcorr_lag" else np.abs(value))


def _evaluate(spec: MetricSpec, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    facts = {"sfreq": DOMAIN_SFREQ[spec.domain], "band": WTC_BAND}
    return _size(spec, spec.func(a, b, **{name: facts[name] for name in spec.params}))


def _by_lags(rng: np.random.Generator, specs: list[MetricSpec], length_s: float) -> Found:
    a, b = _forms(_broadband(rng, length_s)), _forms(_broadband(rng, length_s))
    for spec in specs:
        statistic: Any = spec.moment or (lambda u, v, spec=spec: _evaluate(spec, u, v))
        min_lag = int(MIN_LAG_S * DOMAIN_SFREQ[spec.domain])
        null = lags(a[spec.domain], b[spec.domain], statistic, n_null=N_NULL, min_lag=min_lag, rng=rng)
        yield spec.name, p_value(_size(spec, null.estimate), _size(spec, null.surrogates))


def _turns(rng: np.random.Generator, n_times: int, sfreq: float) -> list[NDArray[Any]]:
    """Masks that alternate: each person's samples are lost in most seconds of the own turns of 2 to 4 s."""
    edges = np.cumsum(rng.uniform(2.0, 4.0, n_times))
    seconds = np.arange(n_times) / sfreq
    mine = np.searchsorted(edges, seconds) % 2 == 0
    kept = rng.random((2, int(seconds[-1]) + 1)) < TURN_KEPT
    return [~own | good[seconds.astype(int)] for own, good in zip((mine, ~mine), kept, strict=True)]


def _by_masked_lags(rng: np.random.Generator, specs: list[MetricSpec], length_s: float) -> Found:
    """As lags, of recordings in which two people take turns: few samples are good in both at once, many at a shift."""
    length_s *= TURNS_LONGER
    a, b = _forms(_broadband(rng, length_s)), _forms(_broadband(rng, length_s))
    seed = int(rng.integers(2**31))
    for spec in specs:
        statistic: Any = spec.moment or (lambda u, v, spec=spec: _evaluate(spec, u, v))
        sfreq, x, y = DOMAIN_SFREQ[spec.domain], a[spec.domain], b[spec.domain]
        good = _turns(np.random.default_rng(seed), x.shape[-1], sfreq)
        null = lags(
            x, y, statistic, n_null=N_NULL, min_lag=int(MIN_LAG_S * sfreq), valid_a=good[0], valid_b=good[1], rng=rng
        )
        yield spec.name, p_value(_size(spec, null.estimate), _size(spec, null.surrogates))


def _ranked(spec: MetricSpec, a: Forms, b: Forms) -> NDArray[Any]:
    """Rank the first of many pairs of recordings, given as leading dim, among the others."""
    values = _evaluate(spec, a[spec.domain], b[spec.domain])
    return p_value(values[0], values[1:])


def _by_phases(
    rng: np.random.Generator,
    specs: list[MetricSpec],
    length_s: float,
    method: Any = "fourier",
    n_clients: int = N_CHANNELS,
) -> Found:
    a, raw = _forms(_broadband(rng, length_s)), _broadband(rng, length_s, n_clients)
    b = _forms(np.stack([raw, *phases(raw, rng, n_null=N_NULL, method=method, common=False)]))
    return ((spec.name, _ranked(spec, a, b)) for spec in specs)


def _by_iaaft(rng: np.random.Generator, specs: list[MetricSpec], length_s: float) -> Found:
    return _by_phases(rng, specs, length_s, "iaaft", 1)


def _by_windows(rng: np.random.Generator, specs: list[MetricSpec], length_s: float) -> Found:
    a, b = _forms(_broadband(rng, length_s)), _forms(_broadband(rng, length_s))
    for spec in specs:
        length = int(WINDOW_S * DOMAIN_SFREQ[spec.domain])
        starts = np.arange(0, a[spec.domain].shape[-1] - length + 1, length)
        cut = [cut_windows(x[spec.domain], starts, length) for x in (a, b)]
        null = windows(*cut, lambda u, v, spec=spec: _evaluate(spec, u, v), n_null=N_NULL, rng=rng)
        yield spec.name, p_value(null.estimate, null.surrogates)


def _crossed(
    rng: np.random.Generator, specs: list[MetricSpec], length_s: float, count: int, pairs: list[tuple[int, int]]
) -> Found:
    """Therapist i with client j: the pair (0, 0) against the given others."""
    people = [[_forms(_broadband(rng, length_s, 1)) for _ in range(count)] for _ in range(2)]
    chosen = zip(*[(0, 0), *pairs], strict=True)
    a, b = (
        {domain: np.stack([side[i][domain] for i in index]) for domain in DOMAIN_SFREQ}
        for side, index in zip(people, chosen, strict=True)
    )
    return ((spec.name, _ranked(spec, a, b)) for spec in specs)


def _by_partners(rng: np.random.Generator, specs: list[MetricSpec], length_s: float) -> Found:
    labels = [[f"{who}{dyad}" for dyad in range(N_DYADS)] for who in "DTC"]
    drawn = [pair for pair in partners(*labels, rng=rng) if pair.dyad == 0]
    pairs = [(0, pair.partner) if pair.which == "client" else (pair.partner, 0) for pair in drawn]
    return _crossed(rng, specs, length_s, N_DYADS, pairs)


def _by_sessions(rng: np.random.Generator, specs: list[MetricSpec], length_s: float) -> Found:
    pairs = [pair for pair in sessions(range(N_SESSIONS)) if 0 in pair]
    return _crossed(rng, specs, length_s, N_SESSIONS, pairs)


Null = Callable[[np.random.Generator, list[MetricSpec], float], Found]

#: How each null is applied, and how many surrogates a p value ranks among.
NULLS: dict[str, tuple[Null, int]] = {
    "lags": (_by_lags, N_NULL),
    "lags, turns": (_by_masked_lags, N_NULL),
    "phases": (_by_phases, N_NULL),
    "phases, IAAFT": (_by_iaaft, N_NULL),
    "windows": (_by_windows, N_NULL),
    "partners": (_by_partners, 2 * (N_DYADS - 1)),
    "sessions": (_by_sessions, 2 * (N_SESSIONS - 1)),
}

#: Slow ones, left out of the quick check for some nulls.
SMALL_METRICS = ("plv", "accorr", "imcoh", "wpli", "aec", "corr", "gcmi")


Keep = Callable[[dict[tuple[str, str], list[NDArray[Any]]]], object]


def nominal(n_surrogates: int) -> float:
    """Largest rate of p <= .05 that so many surrogates can give under the null."""
    return float(np.floor(ALPHA * (n_surrogates + 1)) / (n_surrogates + 1))


def simulate(
    seed: int, names: list[str], nulls: list[str], runs: int, seconds: float, keep: Keep, length_s: float
) -> dict[tuple[str, str], list[NDArray[Any]]]:
    """p values by metric and null, one array per run; stops at whichever limit comes first, keeps what is there."""
    start = time.monotonic()
    found: dict[tuple[str, str], list[NDArray[Any]]] = defaultdict(list)
    for run in range(runs):
        if run and run % 50 == 0:
            print(f"{run} runs, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            keep(found)
        for number, null in enumerate(nulls):
            specs = [METRICS[name] for name in names if (name, null) not in INVALID]
            rng = np.random.default_rng((seed, run, number))
            for name, p in NULLS[null][0](rng, specs, length_s):
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


def report(found: dict[tuple[str, str], list[NDArray[Any]]], seed: int, length_s: float) -> str:
    """The page of docs/validation."""
    nulls = [null for null in NULLS if any(key[1] == null for key in found)]
    runs = {null: max(len(p) for key, p in found.items() if key[1] == null) for null in nulls}
    sizes = {null: max(sum(x.size for x in p) for key, p in found.items() if key[1] == null) for null in nulls}
    lines = [
        f"# p values of metrics and nulls on independent signals of {length_s:g} s\n",
        f"Written by `scripts/validate_nulls.py` on {datetime.date.today()} (seed {seed}, not used for any choice).\n",
        f"Two people's independent AR(1) signals (coefficient {AR:g}), {N_CHANNELS} channels each (the client one with "
        f"IAAFT), {length_s:g} s at {SFREQ:g} Hz; analytic metrics in {BAND[0]:g}-{BAND[1]:g} Hz; metrics of real "
        f"signals take every {SFREQ / SLOW_SFREQ:g}th sample, `wtc` in {WTC_BAND[0]:g}-{WTC_BAND[1]:g} Hz; lags of at "
        f"least {MIN_LAG_S:g} s (turns: each person's samples are lost in {1 - TURN_KEPT:.0%} of the seconds of own "
        f"turns of 2-4 s, recordings {TURNS_LONGER} times as long); windows of {WINDOW_S:g} s; {N_NULL} surrogates, so "
        "that p = .05 is reached exactly; "
        f"{N_DYADS} dyads and {N_SESSIONS} sessions with one channel per person. Signed metrics are tested by "
        "magnitude. Each cell is the share of p <= .05 and its Monte Carlo error (standard error over runs; pairs of a "
        "run share signals). `partners` and `sessions` rank one dyad among few others, so the share they can give at "
        "most is below .05: see the second row.\n",
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
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=None, help="10 unless --runs is given")
    parser.add_argument("--seed", type=int, default=FRESH_SEED)
    parser.add_argument("--length-s", type=float, default=LENGTH_S, help="of every recording, in s")
    parser.add_argument("--metrics", nargs="+", choices=tuple(METRICS), metavar="NAME", help="only these")
    parser.add_argument("--nulls", nargs="+", choices=tuple(NULLS), metavar="NAME", help="only these")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "validation" / "nulls.md")
    args = parser.parse_args(arguments)
    warnings.simplefilter("ignore", DataQualityWarning)
    names = args.metrics or list(SMALL_METRICS if args.small else METRICS)
    kinds = args.nulls or [null for null in NULLS if not (args.small and null == "phases, IAAFT")]
    minutes = args.minutes or (np.inf if args.runs else 10.0)

    def keep(found: dict[tuple[str, str], list[NDArray[Any]]]) -> None:
        if not args.small:
            args.out.write_text(report(found, args.seed, args.length_s))

    seconds = 20.0 if args.small else 60 * minutes
    found = simulate(args.seed, names, kinds, args.runs or 100_000, seconds, keep, args.length_s)
    wrong = clearly_wrong(found, margin=0.03 if args.small else 0.01)
    runs = max(len(p) for p in found.values())
    print(f"{len(found)} combinations, up to {runs} runs each, {len(wrong)} clearly wrong")
    print("\n".join(wrong))
    keep(found)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
