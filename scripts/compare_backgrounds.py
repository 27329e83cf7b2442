"""Compare the fit of the spectrum's background with specparam's, on spectra of known truth.

pip install specparam==2.0.0rc7                   used by this script alone
python scripts/compare_backgrounds.py --small     five spectra per case
python scripts/compare_backgrounds.py             writes docs/validation/backgrounds.md
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperscan.synchrony.within import CURVED
from hyperscan.transforms.spectrum import BACKGROUND_HZ, band_power, fit_background, spectral_peak

ROOT = Path(__file__).resolve().parent.parent
SEED = 52_390_114
ALPHA_HZ, SFREQ, SECONDS = (8.0, 12.0), 128.0, 60

Array = NDArray[np.float64]

#: Peaks by case: frequency and width (SD) in Hz and height above the background in log10 units; and, in the last case,
#: muscle, a broad hill.
CASES: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "no rhythm": (),
    "alpha": ((10, 1.0, 0.8),),
    "weak alpha": ((10, 1.0, 0.2),),
    "slow alpha with a flank": ((8.5, 0.8, 0.7), (10.5, 1.2, 0.4)),
    "alpha and beta": ((10, 1.0, 0.8), (20, 2.5, 0.4)),
    "theta, alpha and beta": ((6, 0.8, 0.5), (10, 1.0, 0.8), (20, 2.5, 0.4)),
    "alpha and muscle": ((10, 1.0, 0.8), (45, 12.0, 0.6)),
    "alpha on a bent background": ((10, 1.0, 0.8),),
}

#: Below this frequency the bent background levels off (Hz).
KNEE_HZ = 4.0

#: Columns of the table, and the size of an error that is told: of the exponent, of the power above the background by
#: what is true of it, of the peak in Hz.
HEADS = ("exponent", "alpha power above the background (%)", "alpha peak (Hz)")


def truth_of(freqs: Array, exponent: float, case: str) -> tuple[Array, Array]:
    """Power of the background and of all."""
    knee = KNEE_HZ**exponent if "bent" in case else 0.0
    background = 1 / (knee + np.maximum(freqs, 0.25) ** exponent)
    hills = (size * np.exp(-((freqs - at) ** 2) / (2 * width**2)) for at, width, size in CASES[case])
    height = sum(hills, 0.0 * freqs)
    return background, background * 10**height


def spectrum_of(rng: np.random.Generator, exponent: float, case: str) -> tuple[Array, Array]:
    """Frequencies and spectrum of 4-s pieces, half over each other, of Gaussian noise with the true spectrum."""
    n = int(SECONDS * SFREQ)
    freqs = np.fft.rfftfreq(n, 1 / SFREQ)
    size = np.sqrt(truth_of(freqs, exponent, case)[1])
    x = np.fft.irfft(size * (rng.normal(size=len(freqs)) + 1j * rng.normal(size=len(freqs))), n)
    width = int(4 * SFREQ)
    pieces = np.lib.stride_tricks.sliding_window_view(x, width)[:: width // 2] * np.hanning(width)
    psd = (np.abs(np.fft.rfft(pieces, axis=-1)) ** 2).mean(axis=0)
    at = np.fft.rfftfreq(width, 1 / SFREQ)
    use = (at >= 2) & (at <= 40)
    return at[use], psd[use]


def ours(freqs: Array, psd: Array) -> tuple[float, float, float]:
    """Exponent, power above the background in 8-12 Hz, and peak, as ``within.tsv`` has them."""
    fit = fit_background(freqs, psd[None], 1, BACKGROUND_HZ)[0]
    at = np.searchsorted(freqs, (5.0, 20.0))
    exponent = -np.diff(np.log(fit[at]))[0] / np.diff(np.log(freqs[at]))[0]
    curved = fit_background(freqs, psd[None], CURVED, BACKGROUND_HZ)
    power = band_power(freqs, psd[None], ALPHA_HZ) - band_power(freqs, curved, ALPHA_HZ)
    return float(exponent), float(power[0]), float(spectral_peak(freqs, psd[None], ALPHA_HZ).frequency[0])


def theirs(freqs: Array, psd: Array) -> tuple[float, float, float]:
    """Find the same by specparam: rhythms fitted along with the background."""
    from specparam import SpectralModel

    model = SpectralModel(aperiodic_mode="fixed", peak_width_limits=[1, 12], min_peak_height=0.05, verbose=False)
    model.fit(freqs, psd)
    offset, exponent = model.get_params("aperiodic")
    background = 10 ** (offset - exponent * np.log10(freqs))
    power = band_power(freqs, (psd - background)[None], ALPHA_HZ)[0]
    peaks = np.atleast_2d(model.get_params("peak"))
    inside = peaks[(peaks[:, 0] >= ALPHA_HZ[0]) & (peaks[:, 0] <= ALPHA_HZ[1])]
    return float(exponent), float(power), float(inside[inside[:, 1].argmax(), 0]) if len(inside) else float("nan")


def errors(rng: np.random.Generator, case: str, n: int) -> tuple[Array, Array]:
    """Errors of both fits, (n, 3) each."""
    found: tuple[list[Array], list[Array]] = ([], [])
    fine = np.arange(*ALPHA_HZ, 0.01)
    for _ in range(n):
        exponent = float(rng.uniform(0.8, 2.0))
        freqs, psd = spectrum_of(rng, exponent, case)
        background, whole = truth_of(freqs, exponent, case)
        # on the scale of the spectrum that was estimated
        scale = float((psd / whole).mean())
        power = float(band_power(freqs, (whole - background)[None], ALPHA_HZ)[0]) * scale
        peak = float(fine[np.divide(*truth_of(fine, exponent, case)[::-1]).argmax()]) if power else np.nan
        for rows, estimate in zip(found, (ours, theirs), strict=True):
            one = np.array(estimate(freqs, psd)) - (exponent, power, peak)
            one[1] *= 100 / power if power else 100 / (scale * float(band_power(freqs, background[None], ALPHA_HZ)[0]))
            rows.append(one)
    return np.array(found[0]), np.array(found[1])


def cell(x: Array) -> str:
    """Mean error and its spread; a dash where there is nothing to find."""
    known = x[np.isfinite(x)]
    lost = f", {len(x) - len(known)} not found" if len(known) < len(x) else ""
    return f"{known.mean():+.3g} ({known.std():.2g}{lost})" if len(known) else "-"


PAGE = """# Backgrounds of spectra: two fits

Written by `python scripts/compare_backgrounds.py --spectra {n}` on {date} ({machine}, seed {seed}, used for no
choice): {n} spectra per case of 60 s of Gaussian noise with a known spectrum (exponent drawn from 0.8 to 2, Gaussian
hills in decadic logarithm), 2 to 40 Hz. Every cell is the mean error and, in brackets, its standard deviation. "Ours":
a line in log-log through 2-5 and 15-40 Hz gives the exponent, a curve of second degree there the background below
alpha. "specparam": 2.0.0rc7, `aperiodic_mode="fixed"`, peaks of 1 to 12 Hz, at least 0.05 high, fitted along.

The errors of power are shares of the true power above the background in 8-12 Hz; without a rhythm, of the background
there.

{table}

{said}
"""

SAID = """Neither is the better one throughout. Without a hill of beta ours errs less: specparam gives a recording
without a rhythm some power of one, and a weak rhythm too much. With a hill of beta (2.5 times the background at 20
Hz) our curve bends through it and finds a third too little alpha, where specparam is right; so the guard `beta` asks
whether beta moved against the index. Muscle and a background that levels off take both exponents astray, ours more;
the power of alpha stays right within 11 % in both. As neither is better, and specparam would be one more dependency,
the fit of the guards is kept. The two are different estimates of one thing: they agree to some hundredths of the
exponent where both are right, never to three digits."""


def main() -> int:
    """Write the page, or look at a few spectra."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--spectra", type=int, default=200)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "validation" / "backgrounds.md")
    chosen = parser.parse_args()
    n, rng = 5 if chosen.small else chosen.spectra, np.random.default_rng(SEED)
    lines = ["| case | fit | " + " | ".join(HEADS) + " |", "|---" * 5 + "|"]
    for case in CASES:
        for name, found in zip(("ours", "specparam"), errors(rng, case, n), strict=True):
            lines.append(f"| {case} | {name} | " + " | ".join(cell(column) for column in found.T) + " |")
    text = PAGE.format(
        date=datetime.datetime.now(tz=datetime.UTC).date(), machine=platform.machine(), seed=SEED, n=n,
        table="\n".join(lines), said=SAID,
    )  # fmt: skip
    if chosen.small:
        print(text)
    else:
        chosen.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
