"""Synchrony between two people: arrays in, arrays out.

Every metric is a function of the therapist's signals ``a`` (..., n_a, n_times) and the client's ``b``
(..., n_b, n_times) that returns (..., n_a, n_b); leading dims (windows) broadcast and are kept, and
arithmetic is in the precision of the input. A metric of whole sets of channels returns one value in place of
theirs, (..., 1, 1). The facts about each (range, chance level, what it is blind to, where it was defined) are
in one table, :data:`METRICS`.

Missing and flat channels are treated alike everywhere: a sample that is NaN or infinite makes all pairs of its
channel NaN in that window, a flat channel makes its pairs NaN, and neither touches other pairs. To leave out
masked samples, cut windows around them; a metric never skips samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hyperscan.metrics import amplitude, information, lagged, phase, sets, spectral, temporal
from hyperscan.metrics.amplitude import *
from hyperscan.metrics.engine.products import CrossMoment, JointMoment
from hyperscan.metrics.information import *
from hyperscan.metrics.lagged import *
from hyperscan.metrics.phase import *
from hyperscan.metrics.sets import *
from hyperscan.metrics.spec import MetricSpec
from hyperscan.metrics.spectral import *
from hyperscan.metrics.table import METRICS, describe_metrics, evaluate_many, get_metric, get_metrics
from hyperscan.metrics.temporal import *

if TYPE_CHECKING:
    from hyperscan.metrics.wavelet import (
        PhaseFractions,
        WaveletMap,
        wtc,
        wtc_anti_phase,
        wtc_client_leads,
        wtc_evaluate,
        wtc_in_phase,
        wtc_map,
        wtc_mean_map,
        wtc_phase,
        wtc_therapist_leads,
    )

_WAVELET = frozenset(
    {
        *("PhaseFractions", "WaveletMap", "wtc", "wtc_evaluate", "wtc_map", "wtc_mean_map", "wtc_phase"),
        *("wtc_in_phase", "wtc_therapist_leads", "wtc_client_leads", "wtc_anti_phase"),
    }
)

__all__ = [
    "METRICS",
    "CrossMoment",
    "JointMoment",
    "MetricSpec",
    "PhaseFractions",
    "WaveletMap",
    "describe_metrics",
    "evaluate_many",
    "get_metric",
    "get_metrics",
    "wtc",
    "wtc_anti_phase",
    "wtc_client_leads",
    "wtc_evaluate",
    "wtc_in_phase",
    "wtc_map",
    "wtc_mean_map",
    "wtc_phase",
    "wtc_therapist_leads",
]
__all__ += amplitude.__all__
__all__ += information.__all__
__all__ += lagged.__all__
__all__ += phase.__all__
__all__ += sets.__all__
__all__ += spectral.__all__
__all__ += temporal.__all__


def __getattr__(name: str) -> Any:
    if name not in _WAVELET:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hyperscan.metrics import wavelet  # loads scipy.fft, which the others do not need

    return getattr(wavelet, name)
