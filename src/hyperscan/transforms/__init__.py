"""Arrays to windows, band-limited analytic signals and wavelet coefficients.

Names are imported on first use, so that importing the room stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperscan.transforms.filters import analytic_bands, analytic_signal, band_response, design_band_pass
    from hyperscan.transforms.spectrum import fourier_coefficients, signal_fraction, spectral_peak, welch_psd
    from hyperscan.transforms.wavelet import WaveletTransform, wavelet_transform
    from hyperscan.transforms.windows import cut_windows, sliding_starts, window_starts

_HOMES = {
    "analytic_bands": "filters",
    "analytic_signal": "filters",
    "band_response": "filters",
    "design_band_pass": "filters",
    "cut_windows": "windows",
    "sliding_starts": "windows",
    "window_starts": "windows",
    "WaveletTransform": "wavelet",
    "wavelet_transform": "wavelet",
    "fourier_coefficients": "spectrum",
    "signal_fraction": "spectrum",
    "spectral_peak": "spectrum",
    "welch_psd": "spectrum",
}

__all__ = [
    "WaveletTransform",
    "analytic_bands",
    "analytic_signal",
    "band_response",
    "cut_windows",
    "design_band_pass",
    "fourier_coefficients",
    "signal_fraction",
    "sliding_starts",
    "spectral_peak",
    "wavelet_transform",
    "welch_psd",
    "window_starts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
