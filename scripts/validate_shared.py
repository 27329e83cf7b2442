"""Check what is left of synchrony once a shared signal is taken out, by a generator that shares nothing with that step.

python scripts/validate_shared.py --small         a quarter of a minute; exit code 1 if one signal leaves synchrony
python scripts/validate_shared.py --studies 3     writes docs/validation/shared.md
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray

import hyperscan as hs
from hyperscan.recording.records import SharedSignal
from hyperscan.schema import NO_SHARED, ROLES
from hyperscan.synchrony import recipe_of, roi_table, signals_of

ROOT = Path(__file__).resolve().parent.parent
SEED = 31_415_927
N_DYADS = 6
HERE = Path("study")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """Recordings of one kind: how they are made and analysed."""

    names: tuple[str, ...]
    sfreq: float
    seconds: float
    #: After how many s therapist and client follow the shared signal, and a second echo of opposite sign after these
    delays_s: tuple[float, float]
    echo_s: float
    #: How far two coupled people are apart, in s, and the width in s of the noise that a signal is smoothed to
    lag_s: float
    #: Metrics: of phase or linear, and of amplitude where there is one
    metrics: tuple[str, ...]
    config: hs.StudyConfig


KINDS = {
    "eeg": Kind(
        ("Pz", "O1"), 64.0, 120.0, (0.15, 0.25), 0.07, 0.03, ("plv", "aec"),
        hs.StudyConfig(
            metrics={"eeg": ["plv", "aec"]}, bands={"alpha": (8, 12)}, eeg_filter_hz=(1, 25), window_s=10.0,
            primary={"metric": "plv", "band": "alpha", "roi": "all-all"},
        ),
    ),
    "fnirs": Kind(
        ("S1_D1 hbo", "S2_D1 hbo"), 2.0, 900.0, (4.0, 7.0), 10.0, 2.0, ("corr",),
        hs.StudyConfig(
            metrics={"fnirs": ["corr"]}, bands={"slow": (0.02, 0.1)}, min_seconds=300.0,
            primary={"metric": "corr", "band": "slow", "roi": "all-all"},
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What makes two people dependent, and what of it is measured."""

    name: str
    #: Size of what follows the shared signal, and of what is common to the two people alone, in SD of their own noise
    drive: float = 0.0
    coupling: float = 0.0
    #: Noise of the measurement, in SD of the signal, and how many ppm its clock runs fast
    noise: float = 0.0
    ppm: float = 0.0
    #: The loudness of each person's own rhythm follows the signal, and nothing else does
    loudness: bool = False
    #: The people, who have nothing in common, make the signal: ``both`` one together, ``each`` one of their own
    made_by: str = ""
    kinds: tuple[str, ...] = ("eeg", "fnirs")


CASES = (
    Case("nothing in common"),
    Case("one signal drives both", drive=1.0),
    Case("one signal drives both, and they are coupled", drive=1.0, coupling=0.5),
    Case("coupled, the signal drives nobody", coupling=0.5),
    Case("one signal drives both, measured with as much noise", drive=1.0, noise=1.0),
    Case("one signal drives both, its clock is 200 ppm fast", drive=1.0, ppm=200.0, kinds=("eeg",)),
    Case("the loudness of both follows the signal", loudness=True, kinds=("eeg",)),
    Case("both make the signal, nothing in common (collider)", made_by="both"),
    Case("each makes a signal, nothing in common", made_by="each", kinds=("eeg",)),
)


def pink(rng: np.random.Generator, n_rows: int, n: int, kind: Kind) -> Array:
    """Noise with the spectrum of a recording, of unit variance."""
    spectrum, freqs = np.fft.rfft(rng.standard_normal((n_rows, n))), np.fft.rfftfreq(n, 1 / kind.sfreq)
    spectrum *= np.maximum(freqs, 0.01 * kind.sfreq) ** -0.5
    x = np.fft.irfft(spectrum, n)
    return np.asarray(x / x.std(axis=-1, keepdims=True))


def later(x: Array, delay_s: float, kind: Kind) -> Array:
    """Delay a signal, zeros before."""
    steps = round(delay_s * kind.sfreq)
    return np.concatenate([np.zeros(steps), x[: len(x) - steps]])


def dyad(rng: np.random.Generator, number: int, case: Case, modality: str) -> hs.PairedRecording:
    """Simulate one dyad-session with its shared signal, and prepare it."""
    kind = KINDS[modality]
    n = int(kind.seconds * kind.sfreq)
    signal, common = pink(rng, 2, n, kind)
    slow = np.interp(
        np.arange(n), np.arange(0, n, int(2 * kind.sfreq)), rng.uniform(0, 2, -(-n // int(2 * kind.sfreq)))
    )
    people = []
    for delay_s, late_s in zip(kind.delays_s, (0.0, kind.lag_s), strict=True):
        x = pink(rng, len(kind.names), n, kind)
        x = x * slow if case.loudness else x
        followed = later(signal, delay_s, kind) - 0.6 * later(signal, delay_s + kind.echo_s, kind)
        people.append(x + case.drive * followed + case.coupling * later(common, late_s, kind))
    measured = signal + case.noise * pink(rng, 1, n, kind)
    if case.loudness:
        measured = slow[None]
    elif case.made_by:
        measured = np.array([x.mean(axis=0) for x in people])
        measured = measured if case.made_by == "each" else measured.sum(axis=0, keepdims=True)
    measured = np.array([np.interp(np.arange(n) * (1 + 1e-6 * case.ppm), np.arange(n), row) for row in measured])
    types, scale = ("eeg", 1e-5) if modality == "eeg" else ("hbo", 1e-6)
    raws = [
        mne.io.RawArray(scale * x, mne.create_info(list(kind.names), kind.sfreq, types), verbose="error")
        for x in people
    ]
    if modality == "fnirs":
        for raw in raws:
            for place, channel in enumerate(raw.info["chs"]):  # 30 mm between source and detector
                channel["loc"][:9] = [0.1 * place, 0.015, 0, 0.1 * place, 0, 0, 0.1 * place, 0.03, 0]
    names = [f"shared {number}" for number in range(len(measured))]
    shared = mne.io.RawArray(measured, mne.create_info(names, kind.sfreq, "misc"), verbose="error")
    row = hs.Session(f"D{number}", f"T{number}", f"C{number}", 1, modality, HERE, HERE, HERE, clock="same_amplifier")
    pair = hs.PairedRecording(*raws, row, shared=SharedSignal(shared, kind.sfreq))
    return hs.preprocess_pair(hs.align_pair(pair), kind.config)


def excess_of(rng: np.random.Generator, case: Case, modality: str) -> tuple[dict[tuple[str, str], Array], float]:
    """Simulate a study: excess of every dyad by signal and metric, and the mean share of power that follows."""
    config = KINDS[modality].config
    recipe = replace(recipe_of(config, modality), max_lag_s=0.0)  # no lag profiles
    pairs = [dyad(rng, number, case, modality) for number in range(N_DYADS)]
    people = [[signals_of(pair, role, config) for role in ROLES] for pair in pairs]
    z: dict[tuple[str, str], Array] = {}
    for i, (therapist, _) in enumerate(people):
        for j, (_, client) in enumerate(people):
            for cell, values in roi_table(therapist, client, recipe).items():
                z.setdefault((cell.signal, cell.metric), np.full((N_DYADS, N_DYADS), np.nan))[i, j] = values[0]
    followed = float(np.mean([pair.quality.of(role).shared_r2 for pair in pairs if pair.quality for role in ROLES]))
    return {cell: _beyond_chance(values) for cell, values in z.items()}, followed


def _beyond_chance(z: Array) -> Array:
    """Real pairs minus the mean of the pseudo pairs that lend their therapist or their client."""
    real = np.diag(z)
    return np.asarray(real - (z.sum(axis=0) + z.sum(axis=1) - 2 * real) / (2 * (len(z) - 1)))


def rows_of(
    modality: str, cases: Sequence[Case], n_studies: int, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    """Rows of the table of one modality."""
    kind = KINDS[modality]
    for case in (case for case in cases if modality in case.kinds):
        studies = [excess_of(rng, case, modality) for _ in range(n_studies)]
        for metric in kind.metrics:
            row: dict[str, object] = {"case": case.name, "metric": metric}
            row["r2"] = f"{np.mean([followed for _, followed in studies]):.3f}"
            for signal in (modality if modality == "eeg" else "hbo", NO_SHARED[modality]):
                found = np.concatenate([excess[signal, metric] for excess, _ in studies])
                row[f"{signal} excess"] = f"{found.mean():+.4f} ({found.std(ddof=1) / np.sqrt(len(found)):.4f})"
            print(modality, *row.values(), file=sys.stderr)
            yield row


PAGE = """# What is left beyond a shared signal

Written by `python scripts/validate_shared.py --studies {n}` on {date} ({machine}, seed {seed}): {total} dyads per row,
one session each, in studies of {dyads} that lend each other their people. Every person is pink noise of their own plus
what the case says. A signal drives the two with different delays and an echo; coupling is a part that only the two
have in common. EEG: {eeg_s:g} s, 8-12 Hz, lags of 1 s to each side. fNIRS: {fnirs_s:g} s of HbO, 0.02-0.1 Hz,
lags of 20 s, which take {share:.1%} of a session, close to the most that is allowed. "r²" is `shared_r2`; excess is
over pseudo pairs, in Fisher z, with its standard error over dyads. How often a claim would be false was not simulated:
for that these are too few.
{tables}

The first two cases are the null: one signal that is measured well leaves nothing. Coupling beside it is found again.
Then comes what the step cannot do: noise and a drifting clock of the measurement leave a part of the signal in both
people, loudness is no linear part, and a signal that both people make creates dependence that was not there. One signal
for each person, made by that person alone, does not.
"""


def page(cases: Sequence[Case], n_studies: int, rng: np.random.Generator) -> tuple[str, list[dict[str, object]]]:
    """Run everything; return the page and its rows."""
    tables, rows = [], []
    for modality in KINDS:
        found = list(rows_of(modality, cases, n_studies, rng))
        heads = "| " + " | ".join([modality, *list(found[0])[1:]]).replace("r2", "r²") + " |"
        lines = [
            " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row.values())
            for row in found
        ]
        tables.append("\n".join(["", heads, "|---" * len(found[0]) + "|", *(f"| {line} |" for line in lines)]))
        rows += found
    text = PAGE.format(
        n=n_studies, date=datetime.datetime.now(tz=datetime.UTC).date(), machine=platform.machine(), seed=SEED,
        total=n_studies * N_DYADS,
        dyads=N_DYADS, eeg_s=KINDS["eeg"].seconds, fnirs_s=KINDS["fnirs"].seconds, share=40 / KINDS["fnirs"].seconds,
        tables="\n".join(tables),
    )  # fmt: skip
    return text, rows


def main() -> int:
    """Write the page, or check a few studies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--studies", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "validation" / "shared.md")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    cases, n_studies = (CASES[:4], 2) if chosen.small else (CASES, chosen.studies)
    text, rows = page(cases, n_studies, np.random.default_rng(SEED))
    if not chosen.small:
        chosen.out.write_text(text, encoding="utf-8")
        return 0
    print(text)
    driven = [row for row in rows if row["case"] == "one signal drives both" and row["metric"] != "aec"]
    left = [float(str(value).split()[0]) for row in driven for name, value in row.items() if "noshared excess" in name]
    return int(max(map(abs, left)) > 0.02)


if __name__ == "__main__":
    sys.exit(main())
