"""What every metric asks of its two arrays."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError

#: What a metric takes: analytic or real signals of a band, or wavelet coefficients.
Domain = Literal["analytic", "real", "wavelet"]


def into_domain(signals: NDArray[Any], domain: Domain, sfreq: float, band: tuple[float, float]) -> Any:
    """Bring signals into a metric's domain: whole real ones, or analytic ones, which are of the band already.

    Shapes: ``signals`` (..., n_channels, n_times), returns the same, or a WaveletTransform of them.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((2, 500))
    >>> analytic = into_domain(x, "analytic", 50.0, (8, 12))
    >>> bool(np.all(into_domain(analytic, "real", 50.0, (8, 12)) == analytic.real))
    True
    >>> into_domain(analytic, "wavelet", 50.0, (8, 12)).shape
    (2, 500)
    """
    # the transforms load scipy.fft, which the metrics themselves do not need
    from hyperscan.transforms import analytic_signal, wavelet_transform

    if domain == "wavelet":
        return wavelet_transform(signals.real, sfreq, band)
    analytic = signals if signals.dtype.kind == "c" else analytic_signal(signals, sfreq, band)
    return analytic if domain == "analytic" else analytic.real


def analytic_pair(a: Any, b: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check two arrays of analytic signals, and bring them to one complex precision.

    Shapes: ``a, b`` (..., n_a, n_times).

    Examples
    --------
    >>> import numpy as np
    >>> a, b = analytic_pair(np.ones((2, 5), np.complex64), np.ones((3, 5), np.complex128))
    >>> a.dtype
    dtype('complex128')
    """
    first, second = _as_array(a, "a"), _as_array(b, "b")
    for name, x in (("a", first), ("b", second)):
        if x.dtype.kind != "c":
            raise InputError(
                f"{name} must be complex (analytic signals), got {x.dtype}.\n"
                "Take hyperscan.transforms.analytic_signal of a recording, exp(1j * theta) of a phase series."
            )
    return _one_type(first, second, np.complex64)


def real_pair(a: Any, b: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check two arrays of real signals, and bring them to one precision.

    Shapes: ``a, b`` (..., n_a, n_times).

    Examples
    --------
    >>> import numpy as np
    >>> a, b = real_pair(np.ones((2, 5), np.float32), np.ones((3, 5), np.float32))
    >>> a.dtype
    dtype('float32')
    """
    first, second = _as_array(a, "a"), _as_array(b, "b")
    for name, x in (("a", first), ("b", second)):
        if x.dtype.kind not in "fiub":
            raise InputError(f"{name} must be real signals, got {x.dtype}; take the real part or the envelope.")
    return _one_type(first, second, np.float32)


def in_samples(name: str, seconds: float, sfreq: float) -> int:
    """Turn a length in seconds into whole samples; a length or a rate that is none is refused.

    Examples
    --------
    >>> in_samples("max_lag_s", 0.5, 128.0)
    64
    """
    for what, value, unit in (("sfreq", sfreq, "Hz"), (name, seconds, "seconds")):
        if not 0 < value < np.inf:
            raise InputError(f"{what} must be a positive number of {unit}, got {value}.")
    return round(seconds * sfreq)


def _as_array(given: Any, name: str) -> NDArray[Any]:
    """Make an array of what is one; two people's Epochs of MNE would be paired by their order, which proves nothing."""
    if hasattr(given, "drop_log"):
        raise InputError(
            f"{name} = {type(given).__name__}: expected an array, as their order does not tell which epochs of two "
            "people belong together.\nhyperscan.compute_synchrony(epochs_therapist, epochs_client) pairs them; or give "
            "get_data() of epochs that you paired."
        )
    return np.asarray(given)


def leading_shape(a: NDArray[Any], b: NDArray[Any]) -> tuple[int, ...]:
    """Broadcast shape of the leading dims (windows) of a checked pair.

    Shapes: ``a, b`` (..., n_a, n_times).

    Examples
    --------
    >>> import numpy as np
    >>> leading_shape(np.ones((4, 1, 2, 5)), np.ones((3, 6, 5)))
    (4, 3)
    """
    return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])


def _one_type(
    a: NDArray[Any], b: NDArray[Any], single: type[np.complex64] | type[np.float32]
) -> tuple[NDArray[Any], NDArray[Any]]:
    _check_shapes(a, b)
    double = np.result_type(single, np.float64)
    dtype = single if a.dtype == b.dtype == single else double
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


def _check_shapes(a: NDArray[Any], b: NDArray[Any]) -> None:
    for name, x in (("a", a), ("b", b)):
        if x.ndim < 2:
            raise InputError(f"{name} must have shape (..., n_channels, n_times), got {x.shape}.")
    if a.shape[-1] != b.shape[-1]:
        raise InputError(
            f"a and b must have the same n_times, got {a.shape[-1]} and {b.shape[-1]} samples; "
            "align the recordings first."
        )
    if a.shape[-1] < 2:
        raise InputError(f"a and b must hold two samples or more, got {a.shape[-1]}.")
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise InputError(
            f"Leading dims of a and b must broadcast, got {a.shape[:-2]} and {b.shape[:-2]} "
            f"(of shapes {a.shape} and {b.shape})."
        ) from None
