"""Noise and rhythms with known spectra, and pairs of them with a known shared part."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError

Array = npt.NDArray[np.float64]

#: Fields of a truth that are shares of a whole, and the ends of the names of those that cannot be negative.
SHARES, AMOUNTS = ("coupled_fraction", "common_systemic"), ("_gain", "_per_min", "_seed", "bandwidth_hz")


@dataclass(frozen=True)
class Truth:
    """What one simulated session of either kind holds."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            share, amount = f.name in SHARES, f.name.endswith(AMOUNTS)
            low, high = 0.0 if share or amount else -np.inf, 1.0 if share else np.inf
            numbers = () if isinstance(value, str) else value if isinstance(value, tuple) else (value,)
            if not all(np.isfinite(number) and low <= number <= high for number in numbers):
                allowed = "from 0 to 1" if share else "from 0 on" if amount else "that is finite"
                raise InputError(f"{f.name} = {value!r}: expected a number {allowed}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without what is rarely turned on and is not."""
        told = [f for f in fields(self) if not f.metadata.get("rare") or getattr(self, f.name) != f.default]
        return {f.name: getattr(self, f.name) for f in told}


def rarely(default: Any) -> Any:
    """Give a field of a truth its default, at which :meth:`Truth.to_dict` leaves it out."""
    return field(default=default, metadata={"rare": True})


def power_law_noise(
    shape: tuple[int, ...],
    sfreq: float,
    exponent: float,
    rng: np.random.Generator,
    *,
    low_hz: float = 0.5,
    curvature: float = 0.0,
) -> Array:
    """Gaussian noise whose power falls as ``1 / f ** exponent`` from ``low_hz`` on, with unit variance.

    Below ``low_hz`` its power is that at ``low_hz``.

    Shapes: returns (..., n_times).

    Examples
    --------
    >>> noise = power_law_noise((2, 1000), 100.0, 1.0, np.random.default_rng(0))
    >>> noise.std(axis=-1).round(6)
    array([1., 1.])
    """
    freqs = np.fft.rfftfreq(shape[-1], 1 / sfreq)
    amplitude = np.maximum(freqs, low_hz) ** (-exponent / 2)
    if curvature:
        amplitude = amplitude * np.exp(-curvature / 2 * np.log(np.maximum(freqs, low_hz) / 10) ** 2)
    return _shaped_noise(shape, amplitude, rng)


def band_noise(shape: tuple[int, ...], sfreq: float, band: tuple[float, float], rng: np.random.Generator) -> Array:
    """Gaussian noise with a flat spectrum inside a band, and unit variance.

    Shapes: returns (..., n_times).
    """
    freqs = np.fft.rfftfreq(shape[-1], 1 / sfreq)
    return _shaped_noise(shape, ((freqs >= band[0]) & (freqs <= band[1])).astype(float), rng)


def delay(x: Array, sfreq: float, lag_s: float) -> Array:
    """Circularly delay a signal by any time, exactly.

    Shapes: ``x`` (..., n_times), returns (..., n_times).

    Examples
    --------
    >>> delay(np.array([1.0, 0.0, 0.0, 0.0]), 1.0, 1.0).round(12) + 0.0
    array([0., 1., 0., 0.])
    """
    freqs = np.fft.rfftfreq(x.shape[-1], 1 / sfreq)
    return np.fft.irfft(np.fft.rfft(x) * np.exp(-2j * np.pi * freqs * lag_s), n=x.shape[-1])


def coupled_pair(
    n_times: int,
    sfreq: float,
    band: tuple[float, float],
    fraction: float,
    rng: np.random.Generator,
    *,
    lag_s: float = 0.0,
) -> tuple[Array, Array]:
    """Two unit-variance rhythms that share a fraction of their power.

    ``x = sqrt(c) shared(t) + sqrt(1 - c) own``: power stays constant whatever the fraction, and the true correlation of
    the two people, at the lag, is ``c``.

    Shapes: ``therapist, client`` (n_times,).

    Examples
    --------
    >>> a, b = coupled_pair(100_000, 128.0, (8, 12), 0.5, np.random.default_rng(0))
    >>> bool(abs(np.corrcoef(a, b)[0, 1] - 0.5) < 0.05)
    True
    """
    shared, own_therapist, own_client = band_noise((3, n_times), sfreq, band, rng)
    therapist = np.sqrt(fraction) * shared + np.sqrt(1 - fraction) * own_therapist
    client = np.sqrt(fraction) * delay(shared, sfreq, lag_s) + np.sqrt(1 - fraction) * own_client
    return therapist, client


def _shaped_noise(shape: tuple[int, ...], amplitude: Array, rng: np.random.Generator) -> Array:
    spectrum = np.fft.rfft(rng.standard_normal(shape)) * amplitude
    spectrum[..., 0] = 0
    noise = np.fft.irfft(spectrum, n=shape[-1])
    return noise / noise.std(axis=-1, keepdims=True)
