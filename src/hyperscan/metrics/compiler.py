"""How inner loops are compiled. Import this module inside functions only: it loads numba.

All arrays are C-contiguous and of one precision (float32 with complex64, float64 with complex128). Reductions
may be reordered so that they use vector registers, in blocks short enough for that precision. Products are
contracted (fused with an addition) only where a threshold decides what is zero; elsewhere a difference of two
equal products must be exactly zero. Compiled code is kept on disk where that is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])
_REORDER = frozenset({"reassoc", "nsz"})


def compiled(func: _Function, fastmath: frozenset[str] = _REORDER) -> _Function:
    """Compile a loop whose sums may be reordered."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    try:
        made: _Function = njit(cache=True, **options)(func)
    except RuntimeError:  # numba finds no folder that it may write compiled code to
        made = njit(**options)(func)
    return made


def contracted(func: _Function) -> _Function:
    """Compile a loop whose products may be fused with additions as well."""
    return compiled(func, _REORDER | {"contract"})
