"""Check what metrics of whole regions find, and that chance takes their bias, on simulated sessions.

python scripts/validate_sets.py --small          some seconds; exit code 1 if they fail to find what they should
python scripts/validate_sets.py --sessions 100   writes docs/validation/sets.md
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperscan.metrics import METRICS
from hyperscan.nulls import p_value, windows

ROOT = Path(__file__).resolve().parent.parent
SEED = 20_260_128
#: Six channels; windows of 20 s of 8-12 Hz hold 80 independent samples, and 5 min hold 15 windows.
N_CHANNELS, N_SAMPLES, N_WINDOWS, N_NULL = 6, 80, 15, 199
NAMES = ("ciplv", "coh", "mic", "mim", "cacoh")
SNR = 0.2

Array = NDArray[np.complex128]


def noise(rng: np.random.Generator, *shape: int) -> Array:
    """Independent samples of analytic signals, of unit power."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def person(rng: np.random.Generator, component: Array, snr: float, n_sources: int) -> Array:
    """Windows of one person: a component spread over all channels, with either sign, and the rest of unit power.

    The rest is ``n_sources`` sources of the person's own, spread over the same channels, with a tenth of the power as
    noise of each channel; without sources it is noise alone.
    """
    n_windows, n_samples = component.shape
    rest = noise(rng, n_windows, N_CHANNELS, n_samples)
    if n_sources:
        spread = rng.standard_normal((N_CHANNELS, n_sources))
        sources = spread / np.linalg.norm(spread, axis=1, keepdims=True) @ noise(rng, n_windows, n_sources, n_samples)
        rest = np.sqrt(0.9) * sources + np.sqrt(0.1) * rest
    return np.asarray(rest + snr * rng.choice([-1.0, 1.0], N_CHANNELS)[:, None] * component[:, None])


def session(
    rng: np.random.Generator, snr: float, n_sources: int, n_windows: int = N_WINDOWS, n_samples: int = N_SAMPLES
) -> tuple[Array, Array]:
    """Both people, whose components are one another's at a quarter cycle."""
    component = noise(rng, n_windows, n_samples)
    return person(rng, component, snr, n_sources), person(rng, 1j * component, snr, n_sources)


def on_region(name: str, rank: int = N_CHANNELS) -> Callable[[Array, Array], NDArray[np.float64]]:
    """Make a metric of the region on the growth scale: the mean over its pairs of channels, or that of the sets."""
    facts = {"rank": rank} if METRICS[name].sets is not None else {}
    return lambda a, b: METRICS[name].evaluate(a, b, **facts)[1].mean(axis=(-2, -1), keepdims=True)


def found(rng: np.random.Generator, snr: float, n_sources: int, n_sessions: int) -> dict[str, float]:
    """Share of sessions in which a metric is above that of re-paired windows, p <= .05."""
    hits = dict.fromkeys(NAMES, 0)
    for _ in range(n_sessions):
        a, b = session(rng, snr, n_sources)
        for name in NAMES:
            null = windows(a, b, on_region(name), n_null=N_NULL, rng=rng)
            hits[name] += bool(p_value(null.estimate, null.surrogates) <= 0.05)
    return {name: hit / n_sessions for name, hit in hits.items()}


def excess(
    rng: np.random.Generator, name: str, rank: int, n_windows: int, n_samples: int, n_sessions: int
) -> tuple[float, float, float]:
    """Value of unrelated people, and its mean excess over their windows of other times with the standard error."""
    values, beyond = [], []
    for _ in range(n_sessions):
        a, b = session(rng, 0.0, 3, n_windows, n_samples)
        metric = on_region(name, rank)
        values.append(float(metric(a, b).mean()))
        beyond.append(values[-1] - np.mean([metric(a, np.roll(b, k, axis=0)).mean() for k in range(1, n_windows)]))
    return float(np.mean(values)), float(np.mean(beyond)), float(np.std(beyond) / np.sqrt(n_sessions))


def detection(rng: np.random.Generator, n_sessions: int) -> Iterator[tuple[int, float, Mapping[str, float]]]:
    """Rows of the table of what is found."""
    for n_sources in (3, 0):
        for snr in (0.0, 0.1, SNR, 0.3):
            yield n_sources, snr, found(rng, snr, n_sources, n_sessions)


CHANCE = [(6, 15, 80), (6, 3, 80), (6, 30, 80), (6, 15, 40), (6, 15, 160), (2, 15, 80)]

PAGE = """# Metrics of whole regions

Written by `python scripts/validate_sets.py --sessions {n}` on {date} ({machine}, seed {seed}):
{n} sessions per row of 5 min, 15 windows of 20 s of 8-12 Hz, which hold 80 independent samples each. Two people have
six channels in a region. One component is spread over all of a person's channels with either sign, and the client has
the therapist's at a quarter cycle. SNR is its amplitude by that of the rest in each channel. The rest is three sources
of each person's own, spread over the same channels, with a tenth of the power as noise of each channel; or noise of
each channel alone. The generator shares no code with the metrics.

## What is found

Share of sessions whose mean over the windows is above that of re-paired windows (p <= .05 of {null}), on the growth
scale: `ciplv` and `coh` averaged over the 36 pairs of channels, the others of the two regions with six components. At
SNR 0 it should be .05.

| rest | SNR | {heads} |
{rows}

## Chance

Unrelated people: the value rises with the number of components and falls with the length of a window. Its excess over
the same two people's windows of other times (mean, standard error) is about 0 for any number of windows.

| metric | components | windows | samples per window | value | excess | SE |
|---|---|---|---|---|---|---|
{chance}
"""


def main() -> int:
    """Write the page, or check a few sessions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "validation" / "sets.md")
    chosen = parser.parse_args()
    rng = np.random.default_rng(SEED)
    if chosen.small:
        shares = found(rng, SNR, 3, 10)
        print(shares)
        return int(min(shares[name] for name in ("mic", "mim", "cacoh")) < 0.9)
    rows = ["|---" * (2 + len(NAMES)) + "|"]
    for n_sources, snr, shares in detection(rng, chosen.sessions):
        kind = "sources" if n_sources else "noise"
        rows.append(f"| {kind} | {snr:g} | {' | '.join(f'{shares[name]:.2f}' for name in NAMES)} |")
    chance = []
    for name in NAMES[2:]:
        for rank, n_windows, n_samples in CHANCE:
            value, beyond, error = excess(rng, name, rank, n_windows, n_samples, chosen.sessions)
            cells = f"{rank} | {n_windows} | {n_samples} | {value:.3f} | {beyond:+.4f} | {error:.4f}"
            chance.append(f"| `{name}` | {cells} |")
    text = PAGE.format(
        n=chosen.sessions, date=datetime.datetime.now(tz=datetime.UTC).date(), machine=platform.machine(), seed=SEED,
        null=N_NULL, heads=" | ".join(f"`{name}`" for name in NAMES), rows="\n".join(rows), chance="\n".join(chance),
    )  # fmt: skip
    chosen.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
