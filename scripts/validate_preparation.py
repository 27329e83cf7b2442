"""Measure what preparation does to recordings with known faults; writes docs/validation/preparation.md.

Run from the project's root: ``python scripts/validate_preparation.py``; ``--small`` prints a table from two
pairs per row, fails if preparation makes a faulty recording worse, and writes nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
from scipy.signal import hilbert

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import prepare_fixtures as fixtures  # noqa: E402
from hyperscan.config import StudyConfig  # noqa: E402
from hyperscan.recording.cleaning.prepare import preprocess_pair  # noqa: E402
from hyperscan.recording.records import PairedRecording  # noqa: E402
from hyperscan.recording.windows import clean_mask, window_grid  # noqa: E402

SFREQ, SECONDS, N_SEEDS = 250.0, 120.0, 5
EEG = StudyConfig(window_s=5.0)
FNIRS = StudyConfig()
ROLES = ("therapist", "client")

Spoil = Callable[[PairedRecording, np.random.Generator], None]


def at_events(shape: Callable[[np.ndarray], np.ndarray], length: int, every: int = 5000) -> Spoil:
    """A course at the same moments in both people, of slightly different size in every channel."""

    def spoil(pair: PairedRecording, rng: np.random.Generator) -> None:
        for role in ROLES:
            data = pair.raw(role)._data
            gain = rng.uniform(0.7, 1.3, (len(data), 1))
            for start in range(1500, data.shape[1] - length, every):
                data[:, start : start + length] += gain * shape(np.arange(length) / SFREQ)

    return spoil


def blinks(pair: PairedRecording, rng: np.random.Generator) -> None:
    weight = {"Fp": 1.0, "AF": 0.6, "F": 0.3}
    front = np.array([weight.get(name.rstrip("z0123456789"), 0.05) for name in fixtures.CAP])
    moments = rng.integers(500, pair.therapist.n_times - 500, 40)
    for role in ROLES:
        for start in moments:  # both blink together, the worst case
            pair.raw(role)._data[:, start : start + 75] += 2.5e-4 * np.outer(front, np.hanning(75))


def mains(pair: PairedRecording, rng: np.random.Generator) -> None:
    for role in ROLES:
        raw = pair.raw(role)
        raw._data += 5e-5 * np.sin(2 * np.pi * 50 * np.arange(raw.n_times) / SFREQ) * rng.uniform(0.5, 1.5, (32, 1))


def dropouts(pair: PairedRecording, rng: np.random.Generator) -> None:
    for role in ROLES:
        for start in range(1500, pair.therapist.n_times - 750, 5000):
            pair.raw(role)._data[:, start : start + 750] = 0


def broken_channels(pair: PairedRecording, rng: np.random.Generator) -> None:
    for role in ROLES:
        data = pair.raw(role)._data
        data[5] = 0
        data[12] += 4e-4 * rng.standard_normal(data.shape[1])
        data[20] = 1e-6 * np.cumsum(rng.standard_normal(data.shape[1]))


EEG_FAULTS: dict[str, tuple[Spoil, StudyConfig]] = {
    "nothing (clean)": (lambda pair, rng: None, EEG),
    "jumps of 2 mV": (at_events(lambda t: np.full(t.size, 2e-3), 1000), EEG),
    "spikes of 3 mV": (at_events(lambda t: np.full(t.size, 3e-3), 5), EEG),
    "shaking at 10 Hz, 2 mV": (at_events(lambda t: 2e-3 * np.sin(62.8 * t) * np.hanning(t.size), 500), EEG),
    "mains, 50 µV": (mains, EEG),
    "drop-outs of 3 s": (dropouts, EEG),
    "three broken channels": (broken_channels, EEG),
    "joint blinks, no ICA": (blinks, EEG),
    "joint blinks, eeg_ica = ocular": (blinks, dataclasses.replace(EEG, eeg_ica="ocular")),
}


def plv(pair: PairedRecording, *, use_all: bool = False) -> float:
    """Phase locking in 8-12 Hz by its definition: mean over posterior pairs and clean windows."""
    grid = window_grid(pair, 5.0)
    unit = []
    for role in ROLES:
        raw = pair.raw(role)
        names = [name for name in fixtures.POSTERIOR if name in raw.ch_names]
        x = mne.filter.filter_data(raw.get_data(picks=names), SFREQ, 8.0, 12.0, verbose="error")
        unit.append(np.exp(1j * np.angle(hilbert(x))))
    starts = grid.starts if use_all else grid.starts[grid.clean]
    spans = [slice(start, start + grid.n_window) for start in starts]
    return float(np.mean([np.abs(unit[0][:, s] @ unit[1][:, s].conj().T).mean() / grid.n_window for s in spans]))


def only_filtered(pair: PairedRecording) -> PairedRecording:
    """The recording as it would be used without preparation: band-pass and average reference."""
    changed = {}
    for role in ROLES:
        raw = pair.raw(role).copy().filter(1.0, 40.0, verbose="error")
        raw._data -= raw._data.mean(0)
        changed[role] = raw
    return pair.replace(**changed)


def similarity(raw: mne.io.BaseRaw, truth: np.ndarray, *, clean: bool) -> float:
    rows = [fixtures.CAP.index(name) for name in raw.ch_names]
    mask = clean_mask(raw) if clean else np.ones(raw.n_times, bool)
    return float(np.corrcoef(raw.get_data()[:, mask].ravel(), truth[rows][:, mask].ravel())[0, 1])


def eeg_row(spoil: Spoil, config: StudyConfig, *, n_seeds: int) -> list[float]:
    rows = []
    for seed in range(n_seeds):
        pair = fixtures.clean_pair(seed, SECONDS)
        truth = only_filtered(pair).therapist.get_data()
        spoil(pair, np.random.default_rng(100 + seed))
        before = only_filtered(pair)
        after = preprocess_pair(pair, config, enforce=False)
        rows.append(
            [
                similarity(before.therapist, truth, clean=False),
                similarity(after.therapist, truth, clean=True),
                plv(before, use_all=True),
                plv(after),
                float(window_grid(after, 5.0).clean.mean()),
            ]
        )
    return list(np.mean(rows, axis=0))


def nothing(pair: PairedRecording, rng: np.random.Generator) -> None:
    """Leave the recording alone."""


def optical_jumps(pair: PairedRecording, rng: np.random.Generator) -> None:
    for role in ROLES:
        for at in range(600, pair.therapist.n_times - 100, 700):
            pair.raw(role)._data[:, at:] *= np.exp(0.15 * rng.choice([-1, 1]))


def optical_spikes(pair: PairedRecording, rng: np.random.Generator) -> None:
    for role in ROLES:
        for at in range(600, pair.therapist.n_times - 100, 400):
            pair.raw(role)._data[:, at : at + 6] *= np.exp(0.3)


FNIRS_FAULTS: dict[str, tuple[float, float, Spoil, dict[str, object]]] = {
    "nothing (clean)": (0.0, 0.0, nothing, {}),
    "own scalp waves": (0.0, 1e-6, nothing, {}),
    "scalp waves common to both people": (1.0, 1e-6, nothing, {}),
    "the same, strong": (1.0, 3e-6, nothing, {}),
    "the same, fnirs_short_regression = false": (1.0, 1e-6, nothing, {"fnirs_short_regression": False}),
    "joint jumps of 0.15 OD": (0.0, 0.0, optical_jumps, {"fnirs_min_sci": 0.0}),
    "joint spikes of 0.3 OD": (0.0, 0.0, optical_spikes, {"fnirs_min_sci": 0.0}),
}


def fnirs_row(common: float, scalp_m: float, spoil: Spoil, settings: dict[str, object], *, n_seeds: int) -> list[float]:
    rows = []
    plain = StudyConfig(fnirs_short_regression=False, fnirs_tddr=False, fnirs_min_sci=0.0)
    for seed in range(n_seeds):
        pair, truth = fixtures.fnirs_pair(seed, 600.0, common=common, scalp_m=scalp_m)
        spoil(pair, np.random.default_rng(100 + seed))
        row = []
        for config in (plain, dataclasses.replace(FNIRS, **settings)):
            prepared = preprocess_pair(pair, config)
            people = [band(prepared.raw(role)) for role in ROLES]
            row += [
                np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(people[0], truth_of(truth[0]), strict=True)]),
                np.mean([abs(np.corrcoef(x, y)[0, 1]) for x in people[0] for y in people[1]]),
            ]
        rows.append([row[0], row[2], row[1], row[3]])
    return list(np.mean(rows, axis=0))


def band(raw: mne.io.BaseRaw) -> np.ndarray:
    names = [name for name in raw.ch_names if name.endswith("hbo")]
    return fixtures.band_limited(raw.get_data(picks=names), 2.0, (0.02, 0.10))[:, 60:-60]


def truth_of(hbo: np.ndarray) -> np.ndarray:
    return fixtures.band_limited(hbo[:, ::4], 2.0, (0.02, 0.10))[:, 60:-60]


TEXT = """# What preparation does to known faults

Generated by `scripts/validate_preparation.py`: simulated pairs without any coupling, means over {n_seeds}
pairs per row. Faults hit both people at the same moments, so synchrony above that of the first row is their
making.
"Before" is the same recording with band-pass and reference (EEG), or Beer-Lambert law and band-pass (fNIRS).

## EEG

32 channels, {seconds:g} s, 250 Hz, windows of 5 s. r: correlation of all channels with the recording before
the fault was added, 1-40 Hz, after preparation over clean samples. PLV: 8-12 Hz, posterior channel pairs.

| fault | r before | r after | PLV before | PLV after | windows kept |
|---|---|---|---|---|---|
{eeg}

Blinks are no reason to drop a window: they would leave none. They reach the posterior channels weakly, and
`eeg_ica = "ocular"` removes them where frontal channels matter.

## fNIRS

4 long and 2 short channels, 600 s, 8 Hz. r: correlation of HbO with the simulated brain signal in
0.02-0.10 Hz. Between people: mean absolute correlation over channel pairs in that band.

| fault | r before | r after | between people before | after |
|---|---|---|---|---|
{fnirs}
"""


def as_row(name: str, values: list[float]) -> str:
    return f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="two pairs per row, for continuous integration")
    small = parser.parse_args().small
    warnings.simplefilter("ignore")
    n_seeds = 2 if small else N_SEEDS
    found = [(name, eeg_row(*case, n_seeds=n_seeds)) for name, case in EEG_FAULTS.items()]
    found_fnirs = [(name, fnirs_row(*case, n_seeds=n_seeds)) for name, case in FNIRS_FAULTS.items()]
    eeg, fnirs = ([as_row(*row) for row in rows] for rows in (found, found_fnirs))
    if small:
        print("\n".join([*eeg, *fnirs]))
        worse = [name for name, (before, after, *_) in [*found, *found_fnirs] if after < before - 0.05]
        sys.exit(f"preparation made worse: {', '.join(worse)}" if worse else 0)
    path = ROOT / "docs" / "validation" / "preparation.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = TEXT.format(n_seeds=N_SEEDS, seconds=SECONDS, eeg="\n".join(eeg), fnirs="\n".join(fnirs))
    path.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
