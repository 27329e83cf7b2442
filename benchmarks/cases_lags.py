"""1000 lag surrogates of a whole-session statistic: against one estimate, and against a loop over a peer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from cases_epochs import _peer as hypyp
from numpy.typing import NDArray
from signals import noise
from timing import Case, Job

from hyperscan.metrics import METRICS
from hyperscan.nulls import lags

MIN_LAG = 500
#: channels per person and samples: 64 at 500 Hz for 10 minutes; 32 and 128 for 45 minutes at 250 Hz
SIZES = {"64 + 64 ch, 10 min at 500 Hz": (64, 300_000), "32 + 32 ch, 45 min at 250 Hz": (32, 675_000),
         "128 + 128 ch, 45 min at 250 Hz": (128, 675_000)}  # fmt: skip


def _signals(n_channels: int, n_times: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x = noise(2 * n_channels, 2 * n_times, 11, "float32").view("complex64")
    return x[:n_channels], x[n_channels:]


def _null(a: NDArray[Any], b: NDArray[Any], name: str, n_null: int, masks: dict[str, NDArray[Any]]) -> NDArray[Any]:
    return lags(a, b, METRICS[name].moment, n_null=n_null, min_lag=MIN_LAG, **masks).estimate


def _masks(n_times: int) -> dict[str, NDArray[Any]]:
    """Windows of 20 s, of which one in ten is not clean, by chance in each person, as a run passes them."""
    rng, n_window = np.random.default_rng(3), n_times // 30
    clean = [np.repeat(rng.random(-(-n_times // n_window)) < 0.9, n_window)[:n_times] for _ in "ab"]
    return {"valid_a": clean[0], "valid_b": clean[1]}


def _job(small: bool, size: str, name: str, masked: bool = False) -> Job:
    n_channels, n_times = SIZES[size]
    if small:
        n_channels, n_times = 16, 60_000
    a, b = _signals(n_channels, n_times)
    METRICS[name].func(a[:, :1000], b[:, :1000])
    masks = _masks(n_times) if masked else {}
    both = masks["valid_a"] & masks["valid_b"] if masked else np.ones(n_times, dtype=bool)
    x, y = (np.ascontiguousarray(each[:, both]) for each in (a, b)) if masked else (a, b)
    return Job(
        ours=partial(_null, a, b, name, 1000, masks),
        peer=partial(METRICS[name].func, x, y),
        difference=lambda null, one: float(np.abs(null - one).max()),
        # the null leaves out the last samples that do not fill its grid
        tolerance=2e-3,
        repeats=3,
        note="complex64, lag 0 of the null compared" + (f"; small: {n_channels} channels" if small else ""),
    )


def _loop(small: bool) -> Job:
    n_channels, n_times = (8, 30_000) if small else (64, 300_000)
    a, b = _signals(n_channels, n_times)
    both = np.concatenate([a, b])[None, None]
    hypyp("plv", "numba", both[..., :100])
    n_null, moment = 1000, METRICS["plv"].moment
    null = lags(a, b, moment, n_null=n_null, min_lag=MIN_LAG)
    used = n_times - n_times % int(abs(null.lags[1] - null.lags[0]))
    a, b = a[:, :used], b[:, :used]  # both on the samples of the lag grid

    def one_lag() -> NDArray[Any]:
        rolled = np.concatenate([a, np.roll(b, int(null.lags[0]), axis=-1)])[None, None]
        return hypyp("plv", "numba", rolled)[0, 0, :n_channels, n_channels:]

    def all_lags() -> NDArray[Any]:
        return lags(a, b, moment, n_null=n_null, min_lag=MIN_LAG).surrogates

    def difference(ours: NDArray[Any], peer: NDArray[Any]) -> float:
        return float(np.abs(ours[0] - peer).max())

    return Job(all_lags, one_lag, difference, 1e-5, scale=n_null, repeats=2, measure_memory=False,
               note="the peer ran one lag, its time x 1000")  # fmt: skip


TOPIC = "1000 lag surrogates / single estimate"
CASES = (
    *(
        Case(TOPIC, f"{name}, {size}", "one estimate of ours", None, partial(_job, size=size, name=name), sense="cost")
        for size in SIZES
        for name in (("plv", "coh", "accorr") if size.startswith("64") else ("plv",))
    ),
    *(
        Case(
            TOPIC,
            f"{name}, {size}, with masks",
            "one estimate of ours",
            target,
            partial(_job, size=size, name=name, masked=True),
            sense="cost",
        )
        for size in list(SIZES)[:1]
        for name, target in (("plv", 3.5), ("accorr", 5.0))
    ),
    Case(TOPIC, "PLV, 64 + 64 ch, 10 min at 500 Hz", "HyPyP in a loop over lags", None, _loop),
)
