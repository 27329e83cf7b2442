"""Chance by shifting one person's whole recording in time against the other's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.fft import next_fast_len

from hyperscan.errors import DataQualityWarning, InputError
from hyperscan.nulls.inference import FEWEST_SURROGATES

CHUNK_BYTES = 2**27  # our choice: samples held at once; fewer remainders at a time make the products slower

Prepare = Callable[[NDArray[Any]], NDArray[Any]]


class LaggedProducts(NamedTuple):
    """Sums over time of products of two people's series, at every lag of a grid.

    Attributes
    ----------
    minus : ndarray, shape (n_grid, n_a, n_b)
        ``sum_t u(t) conj(v(t - lag))`` for lags 0, step, 2 step ... (v rolled forward by the lag).
    plus : ndarray of the same shape, or None
        ``sum_t u(t) v(t - lag)``.
    squares_u, squares_v : ndarray, shape (n_grid, n_a) and (n_grid, n_b), or None
        ``sum_t u(t)**2`` and ``sum_t v(t - lag)**2`` over the samples that are valid in both.
    """

    minus: NDArray[Any]
    plus: NDArray[Any] | None
    squares_u: NDArray[Any] | None
    squares_v: NDArray[Any] | None


def as_they_are(x: NDArray[Any]) -> NDArray[Any]:
    """Copy samples unprepared.

    Shapes: ``x`` (n_channels, ...), returns (n_channels, ...).

    Examples
    --------
    >>> as_they_are(np.ones((1, 2)))
    array([[1., 1.]])
    """
    return np.array(x, order="C")


def lagged_products(
    u: NDArray[Any],
    v: NDArray[Any],
    step: int,
    *,
    prepare: tuple[Prepare, Prepare] = (as_they_are, as_they_are),
    valid: tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None] = (None, None),
    with_plus: bool = False,
) -> LaggedProducts:
    """Sum the products of all pairs at every lag of a grid, around the circle.

    Shapes: ``u`` (n_a, n_times), ``v`` (n_b, n_times), ``valid`` (n_times,).

    Examples
    --------
    >>> u, v = np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 0, 0, 0]])
    >>> lagged_products(u, v, 1).minus.ravel().round(6).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    n_grid = u.shape[-1] // step
    width = min(step, max(1, CHUNK_BYTES // ((len(u) + len(v)) * n_grid * u.itemsize)))
    chunks = [_chunks(x, n_grid, step, width, f, kept) for x, f, kept in zip((u, v), prepare, valid, strict=True)]
    minus: Any = None
    plus: Any = None
    squares: list[Any] = [0.0, 0.0]
    counted = [_teeth(np.ones(u.shape[-1], bool) if mask is None else mask, n_grid, step) for mask in valid[::-1]]
    for start, pair in zip(range(0, step, width), zip(*chunks, strict=True), strict=True):
        real = not any(np.iscomplexobj(x) for x in pair)
        if with_plus:
            found = (_counted_squares(x, each[:, start : start + width]) for x, each in zip(pair, counted, strict=True))
            squares = [total + one for total, one in zip(squares, found, strict=True)]
        # channels by bins by remainders -> bins by channels by remainders, as views
        spectra = (fft.rfft(x, axis=1) if real else fft.fft(x, axis=1, overwrite_x=True) for x in pair)
        ours, theirs = (each.transpose(1, 0, 2) for each in spectra)
        if minus is None:
            product = np.empty((len(ours), len(u), len(v)), dtype=np.result_type(ours, theirs))
            minus, plus = np.zeros_like(product), np.zeros_like(product) if with_plus and not real else None
        if plus is not None:  # bin k of one series meets bin -k of the other
            np.matmul(ours[:1], _turned(theirs[:1]), out=product[:1])
            np.matmul(ours[1:], _turned(theirs[:0:-1]), out=product[1:])
            plus += product
        minus += np.matmul(ours, _turned(np.conjugate(theirs, out=theirs)), out=product)
    if real:
        minus = fft.irfft(minus, n=n_grid, axis=0)
        plus = minus if with_plus else None
    else:
        minus = fft.ifft(minus, axis=0, overwrite_x=True)
        plus = None if plus is None else fft.ifft(plus, axis=0, overwrite_x=True)
    if not with_plus:
        return LaggedProducts(minus, plus, None, None)
    ours, theirs = (fft.ifft(total, axis=0) for total in squares)
    # the client's samples move under the therapist's mask: the same as the mask at the opposite lags
    ours, theirs = (each.real if real else each for each in (ours, theirs[-np.arange(n_grid)]))
    return LaggedProducts(minus, plus, ours.astype(minus.dtype), theirs.astype(minus.dtype))


def _teeth(x: NDArray[Any], n_grid: int, step: int) -> NDArray[Any]:
    """Put samples in rows of one step each, shape (..., n_grid, step); the last few that fill none are left out."""
    return x[..., : n_grid * step].reshape(*x.shape[:-1], n_grid, step)


def _counted_squares(x: NDArray[Any], counted: NDArray[np.bool_]) -> NDArray[Any]:
    """Correlate every channel's squares with the samples at which the other person's count, as transforms.

    Shapes: ``x`` (n_channels, n_grid, n_remainders), ``counted`` (n_grid, n_remainders), returns (n_grid, n_channels).
    """
    # remainders next to each other that count at the same places are summed first
    first = np.concatenate([[0], 1 + np.flatnonzero((counted[:, 1:] != counted[:, :-1]).any(axis=0))])
    pattern = np.conjugate(fft.fft(counted[:, first].astype(float), axis=0))
    sums = (np.add.reduceat(np.square(channel), first, axis=-1).astype(complex) for channel in x)
    return np.stack([(fft.fft(each, axis=0) * pattern).sum(axis=-1) for each in sums], axis=-1)


def _chunks(
    x: NDArray[Any], n_grid: int, step: int, width: int, prepare: Prepare, valid: NDArray[np.bool_] | None
) -> Iterator[NDArray[Any]]:
    """Yield prepared samples of a few remainders at once, shape (n_channels, n_grid, n_remainders)."""
    teeth = _teeth(x, n_grid, step)
    out = None if valid is None else ~_teeth(valid, n_grid, step)
    for start in range(0, step, width):
        with np.errstate(invalid="ignore"):  # samples that do not count may hold anything
            prepared = prepare(teeth[..., start : start + width])  # new ones: the transform may overwrite them
        if out is not None:
            np.copyto(prepared, 0, where=out[:, start : start + width])
        yield prepared


def _turned(x: NDArray[Any]) -> NDArray[Any]:
    return np.swapaxes(x, -1, -2)


FEWEST_SHARED = 0.5  # our choice: a lag that leaves under half of lag 0's jointly valid samples is not comparable
THIN_STEP = 1.15  # our choice: lags that share up to so many times more samples than lag 0 are thinned alike
THIN_STRETCHES = (8, 50)  # our choice: fewest and most stretches that are left, else one per shortest lag
GOLDEN = (5**0.5 - 1) / 2
FINISHED_LAGS = 32  # our choice: lags whose products become values at once, which takes several copies of them

#: Samples to use of therapist and client; None = all
Masks = tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]


@runtime_checkable
class Foldable(Protocol):
    """A statistic that follows from time-averaged cross products."""

    @property
    def needs_plus(self) -> bool:
        """Whether the products without conjugation are needed too."""

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Facts of whole channels that `prepare` scales by: (n_channels, n_times) -> (n_channels, n_facts)."""

    def prepare(self, x: NDArray[Any], facts: NDArray[Any]) -> NDArray[Any]:
        """Turn samples (n_channels, ...) into those to multiply, each sample by itself, in a new array."""

    def finalise(
        self, minus: NDArray[Any], plus: NDArray[Any] | None, a: NDArray[Any] | None, b: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Turn mean products (..., n_a, n_b) into the statistic."""


@dataclass(frozen=True)
class Stacked:
    """A statistic that takes several shifted recordings in one call, which saves the cost of the calls.

    Attributes
    ----------
    compute : callable
        ``compute(a, stack) -> (n_stack, n_a, n_b)`` for ``stack`` of shape (n_stack, n_b, n_times).
    most : int
        Largest stack.
    prepare : callable
        What is done to ``a`` once for all lags: ``compute`` takes what it returns.
    """

    compute: Callable[[Any, NDArray[Any]], NDArray[Any]]
    most: int
    prepare: Callable[[NDArray[Any]], Any] = as_they_are

    def __call__(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Compute the statistic of one recording, shape (n_a, n_b)."""
        return np.asarray(self.compute(self.prepare(a), b[None])[0])

    def at_lags(self, a: NDArray[Any], b: NDArray[Any], lags: NDArray[np.intp]) -> NDArray[Any]:
        """Compute the statistic with ``b`` rolled by every lag, shape (n_lags, n_a, n_b)."""
        prepared = self.prepare(a)
        parts = [lags[start : start + self.most] for start in range(0, len(lags), self.most)]
        stacks = (np.stack([np.roll(b, int(lag), axis=-1) for lag in part]) for part in parts)
        return np.concatenate([self.compute(prepared, stack) for stack in stacks])


Statistic = Foldable | Stacked | Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class LagNull:
    """A statistic, and its values with the second person shifted in time.

    Attributes
    ----------
    estimate : ndarray, shape (n_a, n_b)
        The statistic of the whole recording, unshifted.
    surrogates : ndarray, shape (n_lags, n_a, n_b)
        The same statistic with ``b`` rolled by each lag.
    lags : ndarray, shape (n_lags,)
        In samples, negative for the second half of the circle.
    """

    estimate: NDArray[Any]
    surrogates: NDArray[Any] = field(repr=False)
    lags: NDArray[np.intp] = field(repr=False)


def lags(
    a: ArrayLike,
    b: ArrayLike,
    statistic: Statistic,
    *,
    n_null: int = 1000,
    min_lag: int,
    valid_a: ArrayLike | None = None,
    valid_b: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> LagNull:
    """Shift ``b`` around the circle and compute the whole-session statistic again.

    Tests that the two recordings have no time-locked relation. Destroys the alignment of one person with the
    other and keeps everything within each person (spectrum, amplitude distribution, drifts). Invalid when
    both follow a common schedule (task blocks, a shared stimulus, trends over the session): the shifted
    recordings then lack what the real ones share, and p is far too small. A periodic signal coheres at every
    lag. Where the ends differ in level, the seam of the circle adds a transient: crop filter edges first.
    Amplitude metrics fail where both amplitudes rise or fall over a session (drowsiness): that is a common schedule.
    Neighbouring lags are not independent: the recording holds about ``n_times / min_lag`` independent shifts.

    Parameters
    ----------
    a : array_like, shape (n_a, n_times)
        Signals of the therapist as the statistic takes them.
    b : array_like, shape (n_b, n_times)
        Signals of the client.
    statistic : Foldable, Stacked or callable
        Either ``statistic(a, b) -> (n_a, n_b)``, called once per lag; or :class:`Stacked`, called for several lags
        at once; or a :class:`Foldable`, for which all lags come from one pass.
    n_null : int
        Number of lags wanted; if fewer are admissible all of them are used, with a warning.
    min_lag : int
        Shortest shift in samples, kept on both sides of the circle: at least the autocorrelation time
        (`autocorrelation_time`), else a shifted recording is still partly aligned.
    valid_a, valid_b : array_like of bool, shape (n_times,), optional
        Samples to use. A product counts where both are valid; a callable gets those samples strung together.
        A folded statistic is prepared on each person's own valid samples. Where a shift leaves clearly more joint
        samples than there are unshifted (masks that alternate between people, as in turn taking), it uses about as
        many: most statistics are larger by chance in fewer samples.
    rng : numpy.random.Generator, optional
        Draws which lags to use where the grid holds more than ``n_null``; None spaces them evenly.

    Returns
    -------
    LagNull
        The estimate, the surrogates and their lags. The last few samples that do not fill the lag grid
        (fewer than ``n_times / n_null``) enter neither.

    Raises
    ------
    InputError
        If shapes do not fit, or fewer than 19 lags are admissible (p could not reach .05).

    Examples
    --------
    >>> import numpy as np
    >>> def product(a, b):
    ...     return a @ b.T / a.shape[-1]
    >>> x = np.random.default_rng(0).standard_normal((2, 500))
    >>> null = lags(x, x, product, n_null=99, min_lag=20)
    >>> null.surrogates.shape, bool(null.estimate[0, 0] > null.surrogates[:, 0, 0].max())
    ((99, 2, 2), True)
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 2 or second.ndim != 2 or first.shape[-1] != second.shape[-1]:
        raise InputError(
            f"a has shape {first.shape} and b {second.shape}; allowed are (n_a, n_times) and (n_b, n_times) "
            "with the same n_times"
        )
    n_times = first.shape[-1]
    masks = (_checked_mask(valid_a, n_times, "valid_a"), _checked_mask(valid_b, n_times, "valid_b"))
    step, grid = _lag_grid(n_times, n_null, min_lag)
    used = n_times // step * step
    first, second = first[:, :used], second[:, :used]
    shared = _shared_samples(masks, used, step)
    if not shared[0]:
        raise InputError("valid_a and valid_b have no sample in common; leave this pair out")
    grid = grid[shared[grid // step] >= max(FEWEST_SHARED * shared[0], 1)]
    chosen = _chosen_lags(grid, n_null, n_times, min_lag, rng)
    every, values = np.concatenate([[0], chosen]), None
    for where, part in _thinned(masks, shared, every // step, used, min_lag):
        if isinstance(statistic, Foldable):
            counts = shared if part is masks else _shared_samples(part, used, step)
            found = _folded(first, second, statistic, step, every[where] // step, masks, part, counts)
        elif isinstance(statistic, Stacked) and all(mask is None for mask in part):
            found = statistic.at_lags(first, second, every[where])
        else:
            found = np.stack([_rolled(first, second, statistic, int(lag), part) for lag in every[where]])
        values = np.empty((len(every), *found.shape[1:]), found.dtype) if values is None else values
        values[where] = found
    assert values is not None  # lag 0 is always among them
    return LagNull(values[0], values[1:], np.where(chosen > used // 2, chosen - used, chosen))


def autocorrelation_time(x: ArrayLike) -> NDArray[np.float64]:
    """Count the samples over which a signal resembles itself: the integral of its squared autocorrelation.

    This is the spacing at which samples are as good as independent for a product of two such signals
    (Bartlett's formula). Magnitude is used for complex input.

    Parameters
    ----------
    x : array_like, shape (..., n_times)
        Signals in the band of the analysis.

    Returns
    -------
    ndarray, shape (...)
        In samples, at least 1; NaN for a constant signal.

    Raises
    ------
    InputError
        If fewer than 4 samples are given.

    References
    ----------
    Bartlett 1946, https://doi.org/10.2307/2983611

    Examples
    --------
    >>> import numpy as np
    >>> white = np.random.default_rng(0).standard_normal(10_000)
    >>> float(autocorrelation_time(white).round(1))
    1.0
    """
    data = np.asarray(x)
    n_times = data.shape[-1] if data.ndim else 0
    if n_times < 4:
        raise InputError(f"x has {n_times} samples; an autocorrelation needs at least 4")
    data = data - data.mean(axis=-1, keepdims=True)
    spectrum = np.fft.fft(data, n=2 * n_times, axis=-1)
    raw = np.fft.ifft(np.square(np.abs(spectrum)), axis=-1)[..., : n_times // 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        squared = np.square(np.abs(raw / raw[..., :1]))
    # beyond the first long stretch of noise the sum only collects estimation error
    noise = squared < 4.0 / n_times
    first = np.where(noise.any(axis=-1), noise.argmax(axis=-1), n_times // 2)
    kept = np.arange(n_times // 2) < first[..., None]
    return np.asarray(np.maximum(2 * np.where(kept, squared, 0).sum(axis=-1) - 1, 1) + 0 * squared[..., 0])


def _checked_mask(valid: ArrayLike | None, n_times: int, name: str) -> NDArray[np.bool_] | None:
    if valid is None:
        return None
    mask = np.asarray(valid)
    if mask.dtype != bool or mask.shape != (n_times,):
        raise InputError(f"{name} must be bool of shape ({n_times},); got {mask.dtype} of shape {mask.shape}")
    if not mask.any():
        raise InputError(f"{name} marks no sample as valid; leave this recording out")
    return mask


def _lag_grid(n_times: int, n_null: int, min_lag: int) -> tuple[int, NDArray[np.intp]]:
    """Spacing of the grid and its admissible lags; the coarsest grid that still holds ``n_null``."""
    if min_lag < 1 or n_null < 1:
        raise InputError(f"min_lag={min_lag} and n_null={n_null} must both be at least 1")
    start = max(1, (n_times - 2 * min_lag + 1) // n_null)
    # of the spacings just below the widest: lags that a Fourier transform likes, then fewest samples left over
    order = sorted(
        range(max(1, int(0.9 * start)), start + 1),
        key=lambda step: (next_fast_len(n_times // step) != n_times // step, n_times % step, -step),
    )
    for step in (*order, *range(max(1, int(0.9 * start)), 0, -1)):
        used = n_times // step * step
        grid = np.arange(0, used, step)
        grid = grid[(grid >= min_lag) & (grid <= used - min_lag)]
        if len(grid) >= n_null or step == 1:
            break
    return step, grid


def _chosen_lags(
    grid: NDArray[np.intp], n_null: int, n_times: int, min_lag: int, rng: np.random.Generator | None
) -> NDArray[np.intp]:
    """Choose among the admissible lags; too few for p = .05 are refused, fewer than asked for are said."""
    found = len(grid)
    if found < min(FEWEST_SURROGATES, n_null):
        raise InputError(
            f"{n_times} samples with min_lag={min_lag} leave {found} admissible lags; at least {FEWEST_SURROGATES} "
            "are needed to reach p = .05. Use a longer recording or another null"
        )
    if found < n_null:
        warnings.warn(
            f"only {found} of the {n_null} shifts asked for are admissible ({n_times} samples, shifts of at least "
            f"{min_lag}): all {found} are used, and p of the lag null cannot fall below {1 / (found + 1):.2g}. "
            "Growth does not rest on it. A longer recording admits more; n_null asks for fewer.",
            DataQualityWarning,
            stacklevel=3,
        )
    if found <= n_null:
        return grid
    if rng is None:
        return grid[np.linspace(0, found - 1, n_null).round().astype(np.intp)]
    return np.sort(rng.choice(grid, size=n_null, replace=False))


def _shared_samples(masks: Masks, used: int, step: int) -> NDArray[Any]:
    """Jointly valid samples at each lag of the grid, shape (n_grid,)."""
    if masks[0] is None and masks[1] is None:
        return np.full(used // step, float(used))
    ones = [np.ones(used) if mask is None else mask[:used].astype(float) for mask in masks]
    counts = lagged_products(ones[0][None], ones[1][None], step).minus
    return np.asarray(counts[:, 0, 0].round())


def _thinned(
    masks: Masks, shared: NDArray[Any], wanted: NDArray[np.intp], used: int, min_lag: int
) -> Iterator[tuple[Any, Masks]]:
    """Group grid lags by how many more samples they share than lag 0, with masks that leave about as many.

    What is left out of the therapist's samples are whole stretches, as single ones would be told by their neighbours.
    Each begins elsewhere in its part of the recording (by the golden ratio), so that none keep step with regular turns.
    """
    level = np.round(np.log(np.maximum(shared[wanted] / shared[0], 1.0)) / np.log(THIN_STEP)).astype(int)
    yield level == 0, masks
    place = np.arange(used) * (int(np.clip(used // min_lag, *THIN_STRETCHES)) / used)
    turned = (place - np.floor(place) * GOLDEN) % 1.0
    for each in np.unique(level[level > 0]):
        where = level == each
        share = shared[0] / shared[wanted[where]].mean()
        kept = turned < share
        yield where, (kept if masks[0] is None else masks[0][:used] & kept, masks[1])


def _rolled(
    a: NDArray[Any],
    b: NDArray[Any],
    statistic: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    lag: int,
    masks: Masks,
) -> NDArray[Any]:
    shifted = np.roll(b, lag, axis=-1)
    if masks[0] is None and masks[1] is None:
        return np.asarray(statistic(a, shifted))
    n_times = a.shape[-1]
    both = np.ones(n_times, dtype=bool) if masks[0] is None else masks[0][:n_times].copy()
    if masks[1] is not None:
        both &= np.roll(masks[1][:n_times], lag)
    return np.asarray(statistic(a[:, both], shifted[:, both]))


def _folded(
    a: NDArray[Any],
    b: NDArray[Any],
    statistic: Foldable,
    step: int,
    wanted: NDArray[np.intp],
    prepared_on: Masks,
    masks: Masks,
    shared: NDArray[Any],
) -> NDArray[Any]:
    facts = [_facts(statistic, x, mask) for x, mask in zip((a, b), prepared_on, strict=True)]
    first, second = (partial(statistic.prepare, facts=each) for each in facts)
    sums = lagged_products(a, b, step, prepare=(first, second), valid=masks, with_plus=statistic.needs_plus)
    counts = shared[:, None, None].astype(sums.minus.real.dtype)
    found = []
    for some in (slice(start, start + FINISHED_LAGS) for start in range(0, max(len(wanted), 1), FINISHED_LAGS)):
        at = wanted[some]
        plus = None if sums.plus is None else sums.plus[at] / counts[at]
        squares = (None if x is None else x[at] / counts[at, 0] for x in (sums.squares_u, sums.squares_v))
        found.append(np.asarray(statistic.finalise(sums.minus[at] / counts[at], plus, *squares)))
    return np.concatenate(found)


def _facts(statistic: Foldable, x: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Measure the valid samples a channel at a time, without a copy of the recording."""
    if valid is None:
        return np.asarray(statistic.measure(x))
    edges = np.flatnonzero(np.diff(valid[: x.shape[-1]], prepend=False, append=False))
    runs = [slice(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    return np.concatenate([statistic.measure(np.concatenate([row[run] for run in runs])[None]) for row in x])
