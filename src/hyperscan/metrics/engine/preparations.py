"""The forms in which samples enter a product: phases, scaled samples, deviations of circular and real series.

A preparation works sample by sample, up to facts of the whole channel (a scale, a mean). Those facts skip
samples marked NaN, and the samples stay NaN. A channel with nothing in it (flat) becomes NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A deviation below this many roundings of the mean is none: the channel is flat (our choice).
_FLAT_ROUNDINGS = 16.0

# Below this resultant length the mean direction is rounding noise (our choice).
_NO_DIRECTION = 1e-8

_SMALL = 2**14  # samples per channel up to which a non-contiguous window is copied rather than read by rows


class _InTwoSteps:
    """A preparation whose whole channels are measured and then filled."""

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Facts of whole channels."""
        raise NotImplementedError

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write prepared samples."""
        raise NotImplementedError

    def whole(self, x: NDArray[Any], out: NDArray[Any]) -> None:
        """Write whole channels."""
        self.fill(x, self.measure(x), out)


@dataclass(frozen=True)
class PhasePreparation(_InTwoSteps):
    """Unit phasors, raised to a power for n:m locking: cosines above sines."""

    #: 1, or a factor of n:m phase locking
    power: int = 1
    n_rows: int = 2

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Nothing is needed."""
        return np.empty((x.shape[0], 0))

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write cosines above sines."""
        from hyperscan.metrics.engine.kernels import phase_rows

        phase_rows(x if self.power == 1 else (x / np.abs(x)) ** self.power, _least(x), out)


@dataclass(frozen=True)
class PowerPreparation(_InTwoSteps):
    """Analytic samples over their root mean square: real above imaginary parts."""

    n_rows: int = 2

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Inverse root mean square, NaN for a flat channel."""
        return _inverse_rms(x)[:, np.newaxis]

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write real above imaginary parts."""
        from hyperscan.metrics.engine.kernels import scaled_rows

        scaled_rows(x, _factor(facts, 0, out), out)

    def whole(self, x: NDArray[Any], out: NDArray[Any]) -> None:
        """Write real above imaginary parts in one go, where the unit allows it."""
        from hyperscan.metrics.engine.kernels import power_scores

        if not power_scores(x, _least(x), out):
            super().whole(x, out)


@dataclass(frozen=True)
class OrthogonalPreparation(_InTwoSteps):
    """Phases and amplitudes apart: cosines, sines, and amplitudes over their root mean square."""

    n_rows: int = 3

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Inverse root mean square, NaN for a flat channel."""
        return _inverse_rms(x)[:, np.newaxis]

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write cosines, sines and amplitudes."""
        from hyperscan.metrics.engine.kernels import envelope_rows, phase_rows

        n = x.shape[0]
        phase_rows(x, _least(x), out[: 2 * n])
        unit = _factor(facts, 0, out)
        envelope_rows(x, False, unit, np.zeros_like(unit), np.ones_like(unit), out[2 * n :])


@dataclass(frozen=True)
class SinePreparation(_InTwoSteps):
    """Sines of the deviation from the circular mean, over their root mean square."""

    n_rows: int = 1

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Conjugate mean direction over the root mean square of the sines, as cosine and sine."""
        from hyperscan.metrics.engine.kernels import phasor_sums, sine_squares

        n, n_times = x.shape
        least = _least(x)
        totals = np.empty(n, np.complex128)
        for rows, block in _rows_of(x):
            phasor_sums(block, least, totals[rows])
        for row in np.flatnonzero(~(np.abs(totals) > _NO_DIRECTION * n_times)):
            totals[row] = _plain_phasor_sum(x[row])
        direction = np.exp(-1j * np.angle(totals))
        real = x.real.dtype
        turn = (direction.real.astype(real), direction.imag.astype(real))
        squares = np.empty(n)
        for rows, block in _rows_of(x):
            sine_squares(block, least, turn[0][rows], turn[1][rows], squares[rows])
        squares /= n_times
        for row in np.flatnonzero(np.isnan(squares)):
            good = x[row][~np.isnan(x[row])]
            squares[row] = np.square((good / np.abs(good) * direction[row]).imag).mean() if good.size else np.nan
        squares[squares <= (_FLAT_ROUNDINGS * np.finfo(real).eps) ** 2] = np.nan
        scaled = direction / np.sqrt(squares)
        return np.stack([scaled.real, scaled.imag], axis=-1)

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write scaled sines."""
        from hyperscan.metrics.engine.kernels import sine_rows

        sine_rows(x, _least(x), _factor(facts, 0, out), _factor(facts, 1, out), out)

    def whole(self, x: NDArray[Any], out: NDArray[Any]) -> None:
        """Write scaled sines in one go, where the mean direction is clear."""
        from hyperscan.metrics.engine.kernels import sine_scores

        flat = float(_FLAT_ROUNDINGS * np.finfo(out.dtype).eps)
        # In single precision a short resultant is rounding sooner than for the sums of `measure`.
        if not sine_scores(x, _least(x), max(_NO_DIRECTION, float(np.sqrt(np.finfo(out.dtype).eps))), flat, out):
            super().whole(x, out)


@dataclass(frozen=True)
class EnvelopePreparation(_InTwoSteps):
    """Standard scores of amplitude, or of power."""

    #: Whether power is meant
    squared: bool = False
    n_rows: int = 1

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Inverse root mean square, and mean and inverse standard deviation of the series so scaled."""
        from hyperscan.metrics.engine.kernels import envelope_sums

        unit = _inverse_rms(x)
        sums = np.empty((x.shape[0], 3))
        for rows, block in _rows_of(x):
            envelope_sums(block, self.squared, unit[rows].astype(x.real.dtype), sums[rows])
        sums /= (1, x.shape[1], x.shape[1])
        for row in np.flatnonzero(np.isnan(sums).any(axis=1)):
            good = np.abs(x[row][~np.isnan(x[row])] * unit[row])
            good = np.square(good) if self.squared else good
            sums[row] = (good.mean(), 0.0, good.var()) if good.size else np.nan
        mean = sums[:, 0] + sums[:, 1]
        return np.column_stack([unit, _standard(mean, sums[:, 2] - np.square(sums[:, 1]), x.real.dtype)])

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write standard scores."""
        from hyperscan.metrics.engine.kernels import envelope_rows

        unit, mean, scale = (_factor(facts, column, out) for column in range(3))
        envelope_rows(x, self.squared, unit, mean, scale, out)

    def whole(self, x: NDArray[Any], out: NDArray[Any]) -> None:
        """Write standard scores in one go, where the unit allows it."""
        from hyperscan.metrics.engine.kernels import envelope_scores

        flat = float(_FLAT_ROUNDINGS * np.finfo(out.dtype).eps)
        if not envelope_scores(x, self.squared, flat, _least(x), out):
            super().whole(x, out)


@dataclass(frozen=True)
class SeriesPreparation(_InTwoSteps):
    """Standard scores of real signals."""

    n_rows: int = 1

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Mean and inverse standard deviation."""
        from hyperscan.metrics.engine.kernels import series_sums

        sums = np.empty((x.shape[0], 2))
        for rows, block in _rows_of(x):
            series_sums(block, sums[rows])
        sums /= x.shape[1]
        mean, variance = x[:, 0] + sums[:, 0], sums[:, 1] - np.square(sums[:, 0])
        for row in np.flatnonzero(np.isnan(mean)):
            good = x[row][~np.isnan(x[row])].astype(np.float64)
            mean[row], variance[row] = (good.mean(), good.var()) if good.size else (np.nan, np.nan)
        return _standard(mean, variance, x.dtype)

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write standard scores."""
        np.subtract(x, facts[:, :1], out=out, casting="same_kind")
        np.multiply(out, facts[:, 1:], out=out, casting="same_kind")


PHASE = PhasePreparation()
POWER = PowerPreparation()
SINE = SinePreparation()
ENVELOPE = EnvelopePreparation()
ENVELOPE_POWER = EnvelopePreparation(squared=True)
SERIES = SeriesPreparation()
ORTHOGONAL = OrthogonalPreparation()


def _rows_of(x: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """C-contiguous blocks of channels, without copying a long recording at once."""
    if x.flags.c_contiguous or x.shape[1] <= _SMALL:
        yield slice(None), np.ascontiguousarray(x)
        return
    for row in range(x.shape[0]):
        yield slice(row, row + 1), np.ascontiguousarray(x[row : row + 1])


def _least(x: NDArray[Any]) -> Any:
    """Smallest squared magnitude that has full precision."""
    return _least_of(x.dtype)


@cache  # asked for every window
def _least_of(dtype: np.dtype[Any]) -> Any:
    info = np.finfo(dtype)
    return info.dtype.type(float(info.tiny) / float(info.eps))


def _factor(facts: NDArray[Any], column: int, out: NDArray[Any]) -> NDArray[Any]:
    return facts[:, column].astype(out.dtype)


def _inverse_rms(x: NDArray[Any]) -> NDArray[Any]:
    """Inverse root mean square per channel, safe for very small and large units."""
    from hyperscan.metrics.engine.kernels import sum_of_squares

    mean = np.empty(x.shape[0])
    for rows, block in _rows_of(x):
        sum_of_squares(block, mean[rows])
    mean /= x.shape[1]
    for row in np.flatnonzero(np.isnan(mean)):
        mean[row] = _mean(np.square(np.abs(x[row : row + 1]).astype(np.float64)))[0]
    usable = (mean > 0) & (mean < np.inf)
    return np.where(usable, 1 / np.sqrt(np.where(usable, mean, np.nan)), np.nan)


def _mean(x: NDArray[Any]) -> NDArray[Any]:
    """Mean over the samples that are not NaN, in double precision: (n, n_times) -> (n,)."""
    total = x.mean(axis=-1, dtype=np.float64)
    for row in np.flatnonzero(np.isnan(total)):
        good = x[row][~np.isnan(x[row])]
        total[row] = good.mean(dtype=np.float64) if good.size else np.nan
    return np.asarray(total)


def _standard(mean: NDArray[Any], variance: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    limit = np.square(_FLAT_ROUNDINGS * np.finfo(dtype).eps * mean)
    spread = np.sqrt(np.where(variance > limit, variance, np.nan))
    return np.stack([mean, 1 / spread], axis=-1)


def _plain_phasor_sum(row: NDArray[Any]) -> Any:
    """Sum of a channel's phasors as they are, where a rounding decides on the direction."""
    good = row[~np.isnan(row)]
    size = np.abs(good)
    if np.all(np.abs(size - 1) <= _FLAT_ROUNDINGS * np.finfo(size.dtype).eps):
        return good.sum()
    return (good / size).sum()
