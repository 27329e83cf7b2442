"""Wavelet transform coherence: how much two signals share in a band, followed over time.

All functions take real signals, or the records of `hyperscan.transforms.wavelet_transform`, in which
everything that concerns one channel alone is already done; pass records where a channel meets many partners.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperscan.errors import DataQualityWarning, InputError
from hyperscan.transforms.morlet import ScaleBlock, cross_spectra
from hyperscan.transforms.wavelet import (
    WaveletTransform,
    cone_of_influence,
    period_grid,
    transform_periods,
    wavelet_transform,
)

MIN_VALID_FRACTION = 0.5  # our choice: below it the band mean describes only the recording's middle
HIGHEST_R = 1 - 1e-12  # keeps atanh of identical signals finite; float32 stops at its largest value below 1
IN_PHASE = np.pi / 4  # our choice: within an eighth of a cycle of zero, and of half a cycle for anti-phase

Waves = ArrayLike | WaveletTransform


@dataclass(frozen=True)
class WaveletMap:
    """Coherence of one pair over time and period.

    Attributes
    ----------
    r2 : ndarray, shape (n_periods, n_times)
        Squared coherence, 0 to 1.
    phase : ndarray, shape (n_periods, n_times)
        Of the smoothed cross-spectrum in rad, positive where the therapist leads.
    period : ndarray, shape (n_periods,)
        In seconds.
    coi : ndarray, shape (n_times,)
        Longest trustworthy period in seconds at each sample.
    """

    r2: NDArray[Any]
    phase: NDArray[Any]
    period: NDArray[np.float64]
    coi: NDArray[np.float64]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Cells inside the cone of influence, shape (n_periods, n_times)."""
        return np.asarray(self.period[:, None] <= self.coi)


@dataclass(frozen=True)
class PhaseFractions:
    """Fractions of the time spent in each phase relation; the four sum to 1.

    Attributes
    ----------
    in_phase, therapist_leads, client_leads, anti_phase : ndarray, shape (..., n_a, n_b)
        0 to 1; NaN where no cell counts.
    """

    in_phase: NDArray[Any]
    therapist_leads: NDArray[Any]
    client_leads: NDArray[Any]
    anti_phase: NDArray[Any]


def wtc(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Mean squared wavelet coherence of a band.

    ``R2 = |S(Wa conj(Wb) / s)|^2 / (S(|Wa|^2 / s) S(|Wb|^2 / s))`` with the complex Morlet wavelet
    (``w0 = 6``, twelve scales per octave) and Grinsted's smoothing ``S``, averaged over the cells inside the
    cone of influence.

    Range 0 to 1; 1 means one signal is a filtered copy of the other, and unrelated signals do not give 0 but
    about 0.32 (smoothing over few cycles), slightly more in short recordings: compare with pseudo-dyads of
    the same length, and never with another toolbox's level.

    The smoothing over scales continues past both edges of the band, as in the middle of a wider map. A map that
    ends at an edge of the band is smoothed over fewer scales there, and its band mean differs by some 1e-3:
    `wtc_map` with the same ``periods`` gives that one.

    Parameters
    ----------
    a : array_like, shape (..., n_a, n_times), or WaveletTransform
        Real signals of the therapist in any unit.
    b : array_like, shape (..., n_b, n_times), or WaveletTransform
        Real signals of the client.
    sfreq : float
        Sampling frequency in Hz.
    band : tuple of float
        Low and high edge in Hz.

    Returns
    -------
    ndarray, shape (..., n_a, n_b)
        In the input's precision. NaN for a channel that is constant or holds a value that is not finite, and
        for every pair if less than half of the band's cells are inside the cone of influence.

    Raises
    ------
    InputError
        If lengths differ, the band does not fit the sampling frequency, or a record was made for another
        band, sampling frequency, length or rate.

    Warns
    -----
    DataQualityWarning
        If less than half of the cells are inside the cone.

    References
    ----------
    Grinsted et al. 2004, https://doi.org/10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((1, 1200))
    >>> b = np.concatenate([np.roll(x, 2), rng.standard_normal((1, 1200))])
    >>> wtc(x, b, sfreq=2.0, band=(0.02, 0.1)).round(2)
    array([[1.  , 0.36]])
    """
    return _band_mean(a, b, sfreq, band, with_z=False)[0]


def wtc_evaluate(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean squared coherence of a band, and its value on the scale where growth is measured.

    Parameters
    ----------
    a, b, sfreq, band
        As for `wtc`.

    Returns
    -------
    r2 : ndarray, shape (..., n_a, n_b)
        As `wtc` returns it.
    z : ndarray, shape (..., n_a, n_b)
        Mean of ``atanh(R)`` over the same cells, R at most 1 - 1e-12 (float32: 1 - 6e-8); 0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((2, 1200))
    >>> r2, z = wtc_evaluate(x[:1], x[1:], sfreq=2.0, band=(0.02, 0.1))
    >>> r2.round(2), z.round(2)
    (array([[0.36]]), array([[0.69]]))
    """
    r2, z = _band_mean(a, b, sfreq, band, with_z=True)
    return r2, z


def wtc_map(x: ArrayLike, y: ArrayLike, sfreq: float, periods: ArrayLike | None = None) -> WaveletMap:
    """Squared coherence and phase of one pair over time and period, at full rate.

    Parameters
    ----------
    x : array_like, shape (n_times,)
        Real signal of the therapist.
    y : array_like, shape (n_times,)
        Real signal of the client.
    sfreq : float
        Sampling frequency in Hz.
    periods : array_like, optional
        The shortest and the longest period in seconds, or all of them (twelve per octave). The default
        reaches from four samples to the longest period inside the cone. As in Grinsted's ``wtc.m`` the
        smoothing over periods ends at the first and last one, which raises the outermost four rows on each
        side.

    Returns
    -------
    WaveletMap
        ``r2``, ``phase`` (rad, positive where the therapist leads), ``period`` (s), ``coi`` (s). All NaN if
        a signal is constant or holds a value that is not finite.

    Raises
    ------
    InputError
        If shapes differ or the periods are not twelve per octave.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(600) / 2.0
    >>> rng = np.random.default_rng(0)
    >>> x, y = np.sin(2 * np.pi * 0.05 * time), np.sin(2 * np.pi * 0.05 * (time - 2.5))
    >>> noise = 0.1 * rng.standard_normal((2, 600))
    >>> found = wtc_map(x + noise[0], y + noise[1], 2.0, periods=(16, 24))
    >>> float(found.phase[3, 300].round(1)), float(found.r2[3, 300].round(1))
    (0.8, 1.0)
    """
    first, second = np.asarray(x), np.asarray(y)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(f"x and y must be one signal each of the same length; got {first.shape} and {second.shape}")
    coi = cone_of_influence(len(first), sfreq)
    limits = (4 / sfreq, coi.max()) if periods is None else periods
    period = period_grid(np.asarray(limits, dtype=float), sfreq)
    one, other = transform_periods(first, sfreq, period), transform_periods(second, sfreq, period)
    ((_, _, cross),) = cross_spectra(one.blocks[0], other.blocks[0])
    power = one.blocks[0].power[:, 0] * other.blocks[0].power[:, 0]
    cross = np.where(np.isnan(power), np.nan, cross[..., 0, 0])
    r2 = np.minimum((np.square(cross.real) + np.square(cross.imag)) / power, 1)
    return WaveletMap(r2, np.angle(cross.conj()), period, coi)


def wtc_mean_map(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> WaveletMap:
    """Coherence of a band over time and period, averaged over all pairs of channels.

    The cells are those that `wtc` averages, so their mean inside the cone is the mean of `wtc` over the pairs.

    Parameters
    ----------
    a : array_like, shape (n_a, n_times)
        Real signals of the therapist.
    b : array_like, shape (n_b, n_times)
        Real signals of the client.
    sfreq : float
        Sampling frequency in Hz.
    band : tuple of float
        Low and high edge in Hz.

    Returns
    -------
    WaveletMap
        ``r2`` averaged over the pairs that have a value; ``phase`` of the sum of their cross-spectra, each
        scaled to the length R. Computed on a coarser grid, whose values are repeated to the full rate.

    Raises
    ------
    InputError
        As for `wtc`.

    References
    ----------
    Grinsted et al. 2004, https://doi.org/10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((2, 1200))
    >>> wtc_mean_map(x, x[:1], sfreq=2.0, band=(0.02, 0.1)).r2.shape
    (28, 1200)
    """
    first, second = _matching(a, b, sfreq, band)
    pieces: dict[tuple[int, int], list[NDArray[Any]]] = {}
    for r2, cross, _, _, scales in _cells(first, second):
        with np.errstate(invalid="ignore"):
            aligned = cross.conj() * (np.sqrt(r2) / np.abs(cross))
            means = np.stack([_over_pairs(r2), _over_pairs(aligned)])
        pieces.setdefault((scales.start, scales.stop), []).append(means)
    whole = np.empty((2, len(first.scales), first.n_times), dtype=complex)
    for (start, stop), parts in pieces.items():
        means = np.concatenate(parts, axis=-1)
        whole[:, start:stop] = means[..., np.arange(first.n_times) * means.shape[-1] // first.n_times]
    return WaveletMap(np.minimum(whole[0].real, 1), np.angle(whole[1]), first.periods, first.coi)


def wtc_phase(
    a: Waves,
    b: Waves,
    sfreq: float,
    band: tuple[float, float],
    *,
    floor: ArrayLike = 0.0,
) -> PhaseFractions:
    """Time fractions in phase, with either person leading, and in anti-phase.

    A cell of the coherence map is in phase within 45 degrees of zero, in anti-phase within 45 degrees of
    half a cycle, and else led by the therapist (positive phase) or the client. A lag of a whole cycle looks
    like in phase, and in a narrow band leading by more than half a cycle looks like following: the classes
    describe, they do not establish who drives whom.

    Parameters
    ----------
    a, b, sfreq, band
        As for `wtc`.
    floor : array_like, shape () or (n_scales,)
        Only cells with at least this squared coherence count, such as each scale's 95th percentile among
        pseudo-dyads (`wtc_floor`). The default counts all cells inside the cone.

    Returns
    -------
    PhaseFractions
        Four arrays of shape (..., n_a, n_b) that sum to 1; NaN where no cell counts.

    References
    ----------
    Grinsted et al. 2004, https://doi.org/10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1200))
    >>> wtc_phase(x, -x, sfreq=2.0, band=(0.02, 0.1)).anti_phase
    array([[1.]])
    """
    first, second = _matching(a, b, sfreq, band)
    limits = np.broadcast_to(np.asarray(floor, dtype=float), first.scales.shape)
    totals = np.zeros((4, *_pair_shape(first, second)))
    for r2, cross, weights, rows, scales in _cells(first, second):
        phase = np.angle(cross.conj())
        size = np.abs(phase)
        counted = (r2 >= limits[scales, None, None, None]) & np.isfinite(r2)
        lagged = counted & (size > IN_PHASE) & (size < np.pi - IN_PHASE)
        classes = (
            counted & (size <= IN_PHASE),
            lagged & (phase > 0),
            lagged & (phase < 0),
            counted & (size >= np.pi - IN_PHASE),
        )
        for total, cells in zip(totals, classes, strict=True):
            total[..., rows, :] += _weighted(weights, cells)
    with np.errstate(invalid="ignore"):
        return PhaseFractions(*(totals / totals.sum(axis=0)))


def wtc_in_phase(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Share of the time in which the two are in phase: within 45 degrees of equal phases.

    One of the four classes of :func:`wtc_phase`, over all cells of the band inside the cone.

    Parameters
    ----------
    a, b, sfreq, band
        As for :func:`wtc`.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1; about a quarter for unrelated signals. NaN where a channel holds a NaN or is flat.

    References
    ----------
    Grinsted et al. 2004, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1200))
    >>> wtc_in_phase(x, x, sfreq=2.0, band=(0.02, 0.1))
    array([[1.]])
    """
    return _share(a, b, sfreq, band, "in_phase")


def wtc_therapist_leads(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Share of the time in which the therapist leads: by 45 to 135 degrees of the cycle.

    One of the four classes of :func:`wtc_phase`, over all cells of the band inside the cone.

    Parameters
    ----------
    a, b, sfreq, band
        As for :func:`wtc`.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1; about a quarter for unrelated signals. NaN where a channel holds a NaN or is flat.

    References
    ----------
    Grinsted et al. 2004, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1200))
    >>> wtc_therapist_leads(x, -x, sfreq=2.0, band=(0.02, 0.1))
    array([[0.]])
    """
    return _share(a, b, sfreq, band, "therapist_leads")


def wtc_client_leads(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Share of the time in which the client leads: by 45 to 135 degrees of the cycle.

    One of the four classes of :func:`wtc_phase`, over all cells of the band inside the cone.

    Parameters
    ----------
    a, b, sfreq, band
        As for :func:`wtc`.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1; about a quarter for unrelated signals. NaN where a channel holds a NaN or is flat.

    References
    ----------
    Grinsted et al. 2004, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1200))
    >>> wtc_client_leads(x, x, sfreq=2.0, band=(0.02, 0.1))
    array([[0.]])
    """
    return _share(a, b, sfreq, band, "client_leads")


def wtc_anti_phase(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> NDArray[Any]:
    """Share of the time in which the two are in anti-phase: within 45 degrees of half a cycle.

    One of the four classes of :func:`wtc_phase`, over all cells of the band inside the cone.

    Parameters
    ----------
    a, b, sfreq, band
        As for :func:`wtc`.

    Returns
    -------
    array, shape (..., n_a, n_b)
        From 0 to 1; about a quarter for unrelated signals. NaN where a channel holds a NaN or is flat.

    References
    ----------
    Grinsted et al. 2004, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 1200))
    >>> wtc_anti_phase(x, -x, sfreq=2.0, band=(0.02, 0.1))
    array([[1.]])
    """
    return _share(a, b, sfreq, band, "anti_phase")


def _share(a: Waves, b: Waves, sfreq: float, band: tuple[float, float], name: str) -> NDArray[Any]:
    """Share of one phase class in the precision of the signals, (..., n_a, n_b)."""
    first, second = _matching(a, b, sfreq, band)
    kind = np.result_type(first.blocks[0].power, second.blocks[0].power)
    if _too_short(first):
        return np.full(_pair_shape(first, second), np.nan, dtype=kind)
    # weights of thinned times are a little below 0 here and there
    return np.asarray(np.clip(getattr(wtc_phase(first, second, sfreq, band), name), 0, 1), dtype=kind)


def wtc_floor(a: Waves, b: Waves, sfreq: float, band: tuple[float, float], *, quantile: float = 0.95) -> NDArray[Any]:
    """Per-scale quantile of the squared coherence over cells and pairs, as a floor for `wtc_phase`.

    Shapes: returns (n_scales,).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((6, 1200))
    >>> floor = wtc_floor(x[:3], x[3:], sfreq=2.0, band=(0.05, 0.1))
    >>> bool(floor.min() > 0.5)
    True
    """
    if not 0 < quantile < 1:
        raise InputError(f"quantile={quantile} must lie between 0 and 1")
    first, second = _matching(a, b, sfreq, band)
    found: list[list[NDArray[Any]]] = [[] for _ in first.scales]
    for r2, _, weights, _, scales in _cells(first, second):
        for row, scale in enumerate(range(scales.start, scales.stop)):
            values = r2[..., row, weights[row] > 0, :, :]
            found[scale].append(values[np.isfinite(values)])
    pooled = [np.concatenate(values) for values in found]
    return np.array([np.quantile(values, quantile) if values.size else np.nan for values in pooled])


def _band_mean(
    a: Waves, b: Waves, sfreq: float, band: tuple[float, float], *, with_z: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = _matching(a, b, sfreq, band)
    kind = np.result_type(first.blocks[0].power, second.blocks[0].power)
    shape = _pair_shape(first, second)
    if _too_short(first):
        return np.full(shape, np.nan, dtype=kind), np.full(shape, np.nan, dtype=kind)
    highest = kind.type(min(HIGHEST_R, 1 - np.finfo(kind).epsneg))
    r2_sum, z_sum = np.zeros(shape), np.zeros(shape)
    for r2, _, weights, rows, _ in _cells(first, second):
        r2_sum[..., rows, :] += _weighted(weights, r2)
        if with_z:
            magnitude = np.sqrt(r2, out=r2)
            z_sum[..., rows, :] += _weighted(weights, np.arctanh(np.minimum(magnitude, highest, out=r2), out=r2))
    total = sum(float(block.weights.sum(dtype=float)) for block in first.blocks)
    return np.minimum(r2_sum / total, 1).astype(kind), (z_sum / total).astype(kind)


def _cells(
    first: WaveletTransform, second: WaveletTransform
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any], slice, slice]]:
    """Map of all pairs in pieces: r2 and cross (..., scales, times, n_a, n_b), weights, rows of a, scales."""
    start = 0
    for one, other in zip(first.blocks, second.blocks, strict=True):
        scales = slice(start, start + len(one.weights))
        start = scales.stop
        power_a, power_b = _times_first(one), _times_first(other)
        for rows, times, cross in cross_spectra(one, other):
            r2 = np.square(cross.real)
            r2 += np.square(cross.imag)
            r2 /= power_a[..., times, rows, None] * power_b[..., times, None, :]
            yield r2, cross, one.weights[:, times], rows, scales


def _over_pairs(values: NDArray[Any]) -> NDArray[Any]:
    """Mean over the pairs that have a value, (..., n_a, n_b) -> (...)."""
    usable = np.isfinite(values)
    return np.asarray(np.where(usable, values, 0).sum(axis=(-2, -1)) / usable.sum(axis=(-2, -1)))


def _times_first(block: ScaleBlock) -> NDArray[Any]:
    return np.swapaxes(block.power, -1, -2)


def _weighted(weights: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Sum over scales and times of (..., n_scales, n_times, n_a, n_b)."""
    flat = values.reshape(*values.shape[:-4], weights.size, -1)
    sums = np.matmul(weights.reshape(-1), flat)
    return np.asarray(sums.reshape(*values.shape[:-4], *values.shape[-2:]))


def _pair_shape(first: WaveletTransform, second: WaveletTransform) -> tuple[int, ...]:
    lead = np.broadcast_shapes(first.blocks[0].power.shape[:-3], second.blocks[0].power.shape[:-3])
    return (*lead, first.n_channels, second.n_channels)


def _matching(a: Waves, b: Waves, sfreq: float, band: tuple[float, float]) -> tuple[WaveletTransform, WaveletTransform]:
    """Both as records of the same rate, band, length and sampling frequency."""
    given = next((x for x in (a, b) if isinstance(x, WaveletTransform)), None)
    rate = given.oversampling if given is not None else 2.0
    first, second = (
        x if isinstance(x, WaveletTransform) else wavelet_transform(x, sfreq, band, oversampling=rate) for x in (a, b)
    )
    wanted = (float(sfreq), (float(band[0]), float(band[1])), second.n_times, second.oversampling)
    for name, record in (("a", first), ("b", second)):
        found = (record.sfreq, record.band, record.n_times, record.oversampling)
        if found != wanted:
            raise InputError(
                f"{name} holds sfreq, band, n_times, oversampling = {found}, but {wanted} is needed; "
                "transform both people with the same arguments over the same samples"
            )
    return first, second


def _too_short(transform: WaveletTransform) -> bool:
    fraction = transform.valid_fraction
    if fraction >= MIN_VALID_FRACTION:
        return False
    warnings.warn(
        f"only {fraction:.0%} of the band {transform.band} Hz is inside the cone of influence in "
        f"{transform.n_times / transform.sfreq:.0f} s; at least {MIN_VALID_FRACTION:.0%} is needed, so wtc "
        "is NaN. Use a longer recording or a faster band",
        DataQualityWarning,
        stacklevel=4,
    )
    return True
