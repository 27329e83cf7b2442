"""What a metric sees and what it does not, in numbers: the small figures of the page of metric functions.

Two people share one rhythm, the client's copy of it comes later, and each has a background of their own. The signals
are made here, without anything that measures them. One person's windows against the other's of another time give the
level without coupling. ``python docs/blindness.py`` writes docs/validation/blindness.md.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hyperscan.metrics import METRICS, MetricSpec, evaluate_many
from hyperscan.metrics.arrays import into_domain
from hyperscan.metrics.table import BLIND

OUT = Path(__file__).parent / "validation" / "blindness.md"
N_WINDOWS = 12


@dataclass(frozen=True)
class Scene:
    """Recordings of one kind, and what is varied of them."""

    modality: str
    sfreq: float
    band: tuple[float, float]
    #: Frequency of the rhythm and its standard deviation, in Hz
    peak_hz: float
    width_hz: float
    window_s: float
    max_lag_s: float
    lags_s: tuple[float, ...]
    distances_hz: tuple[float, ...]
    lengths_s: tuple[float, ...]
    shares: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)

    @property
    def quarter_s(self) -> float:
        """A quarter cycle of the rhythm."""
        return 0.25 / self.peak_hz


#: 500 ms of EEG; fNIRS has slower answers and longer windows.
SCENES = {
    "eeg": Scene(
        "eeg", 128.0, (8.0, 12.0), 10.0, 1.0, 20.0, 1.0,
        (0, 0.0125, 0.025, 0.05, 0.07, 0.1, 0.2, 0.3, 0.4, 0.5), (0, 0.5, 1, 1.5, 2), (2, 5, 10, 20, 40),
    ),
    "fnirs": Scene(
        "fnirs", 2.0, (0.02, 0.10), 0.05, 0.015, 600.0, 20.0,
        (0, 1, 2, 3, 5, 6, 8, 10, 12, 16, 20), (0, 0.01, 0.02, 0.03, 0.04), (200, 300, 600, 1200),
    ),
}  # fmt: skip

PANELS = ("lag", "signal", "peaks", "window")


@dataclass(frozen=True)
class Seen:
    """A metric's mean value over what was varied, and its level without coupling."""

    x: tuple[float, ...]
    value: np.ndarray
    level: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """Size of the value beyond the level without coupling."""
        return np.abs(self.value) - np.abs(self.level)


def rhythm(rng: np.random.Generator, n: int, scene: Scene, shift_hz: float = 0.0) -> np.ndarray:
    """Noise with a Gaussian peak in its spectrum, of unit variance."""
    freqs = np.fft.rfftfreq(n, 1 / scene.sfreq)
    shape = np.exp(-0.25 * ((freqs - scene.peak_hz - shift_hz) / scene.width_hz) ** 2)
    x = np.fft.irfft(shape * np.fft.rfft(rng.standard_normal(n)), n)
    return x / x.std()


def later(x: np.ndarray, lag_s: float, sfreq: float) -> np.ndarray:
    """Return the same signal after a lag, around the circle."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(x), 1 / sfreq) * lag_s)
    return np.fft.irfft(np.fft.rfft(x) * turn, len(x))


def two_people(
    scene: Scene,
    *,
    lag_s: float = 0.0,
    share: float = 0.7,
    window_s: float = 0.0,
    apart_hz: float | None = None,
    narrow: float = 1.0,
) -> list[np.ndarray]:
    """Windows of both people, (n_windows, 1, n_window) each; with ``apart_hz`` each has a rhythm of their own.

    ``share`` is the rhythm's share of the power of its band in a person; the background is white. ``narrow`` divides
    the width of its peak.
    """
    rng = np.random.default_rng(0)  # the same noise for every point of a curve
    n_window = round((window_s or scene.window_s) * scene.sfreq)
    n = n_window * max(6, round(N_WINDOWS * scene.window_s * scene.sfreq / n_window))
    scene = replace(scene, width_hz=scene.width_hz / narrow)
    source, other = rhythm(rng, n, scene), rhythm(rng, n, scene, apart_hz or 0.0)
    rhythms = (source, other if apart_hz is not None else later(source, lag_s, scene.sfreq))
    inside = (scene.band[1] - scene.band[0]) / (scene.sfreq / 2)  # of white noise
    noise = rng.standard_normal((2, n)) / np.sqrt(inside)
    people = [np.sqrt(share) * mine + np.sqrt(1 - share) * own for mine, own in zip(rhythms, noise, strict=True)]
    return [person.reshape(-1, 1, n_window) for person in people]


def seen(
    scene: Scene, specs: Sequence[MetricSpec], points: Sequence[dict[str, Any]], x: Sequence[float]
) -> dict[str, Seen]:
    """Compute metrics at some points: name -> values along them."""
    found: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        for name, pair in _values(scene, specs, two_people(scene, **point), growth="apart_hz" in point):
            found.setdefault(name, []).append(pair)
    return {name: Seen(tuple(x), *np.array(pairs).T) for name, pairs in found.items()}


def _values(
    scene: Scene, specs: Sequence[MetricSpec], people: Sequence[np.ndarray], *, growth: bool
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Metrics with the client's windows of the same time, and with those of another; on the growth scale if asked."""
    facts = {"sfreq": scene.sfreq, "band": scene.band, "max_lag_s": scene.max_lag_s}
    by_domain: dict[str, list[MetricSpec]] = {}
    for spec in specs:
        by_domain.setdefault(spec.domain, []).append(spec)
    whole = [np.ascontiguousarray(person.reshape(1, -1)) for person in people]
    for domain, some in by_domain.items():
        # filtered whole, so that windows have no edges; wavelets are of each window
        if domain == "wavelet":
            a, b = (into_domain(person, domain, scene.sfreq, scene.band) for person in people)
            c = into_domain(np.roll(people[1], 1, axis=0), domain, scene.sfreq, scene.band)
        else:
            a, b = (
                into_domain(x, domain, scene.sfreq, scene.band).reshape(person.shape)
                for x, person in zip(whole, people, strict=True)
            )
            c = np.roll(b, 1, axis=0)
        together, apart = (evaluate_many(some, a, client, **facts) for client in (b, c))
        for spec in some:
            yield spec.name, tuple(float(np.mean(each[spec.name][growth])) for each in (together, apart))


def scene_of(spec: MetricSpec) -> Scene:
    """EEG, but for metrics of slow signals."""
    return SCENES["fnirs" if spec.domain == "wavelet" or "eeg" not in spec.modalities else "eeg"]


@cache
def everything() -> dict[str, dict[str, Seen]]:
    """Metric to panel to what it sees there. A metric that is blind to lag 0 is shown a quarter cycle."""
    found: dict[str, dict[str, Seen]] = {name: {} for name in METRICS}
    for scene in SCENES.values():
        every = [spec for spec in METRICS.values() if scene_of(spec) == scene]
        for panel, specs, points, x in _curves(scene, every):
            for name, curve in seen(scene, specs, points, x).items():
                found[name][panel] = curve
    return found


def _curves(
    scene: Scene, every: Sequence[MetricSpec]
) -> Iterator[tuple[str, list[MetricSpec], list[dict[str, Any]], tuple[float, ...]]]:
    """Yield what is varied for each panel, and for which metrics."""
    yield "lag", list(every), [{"lag_s": lag} for lag in scene.lags_s], scene.lags_s
    # a sharp and strong peak, as relaxed people with closed eyes have it
    sharp = [{"apart_hz": distance, "share": 0.9, "narrow": 3.0} for distance in scene.distances_hz]
    yield "peaks", list(every), sharp, scene.distances_hz
    for blind in (False, True):
        specs = [spec for spec in every if spec.zero_lag_blind == blind]
        at = {"lag_s": scene.quarter_s if blind else 0.0}
        yield "signal", specs, [{"share": share, **at} for share in scene.shares], scene.shares
        yield "window", specs, [{"window_s": length, **at} for length in scene.lengths_s], scene.lengths_s


def at_lag(name: str, lag_s: float) -> float:
    """Excess of a metric at a lag that the panel has."""
    curve = everything()[name]["lag"]
    return float(curve.excess[curve.x.index(lag_s)])


AXES = {
    "lag": "Lag of the client ({})",
    "signal": "Rhythm's share of the band",
    "peaks": "Distance of peaks (Hz),\nno coupling (growth scale)",
    "window": "Window (s)",
}


def figure(name: str) -> list[Any]:
    """Draw the four panels of a metric; return their Axes."""
    from hyperscan.plots.style import palette, panel_grid

    axes = panel_grid(len(PANELS), columns=4, size=(2.4, 2.2))
    scene, colours = scene_of(METRICS[name]), palette()
    for ax, panel in zip(axes, PANELS, strict=True):
        curve = everything()[name][panel]
        in_ms = panel == "lag" and scene.modality == "eeg"
        x = np.array(curve.x) * (1000 if in_ms else 1)
        ax.plot(x, curve.level, color=colours.chance, ls=(0, (5, 3)), lw=1.2)
        ax.plot(x, curve.value, color=colours.real, marker="o", ms=3, lw=1.2)
        ax.set_xlabel(AXES[panel].format("ms" if in_ms else "s"))
    axes[0].set_ylabel(name)
    return axes


def told(name: str) -> str:
    """Say in a sentence what a metric is blind to."""
    blind = [BLIND[each] for each in METRICS[name].blind_to]
    return f"Blind to: {'; '.join(blind)}." if blind else "Blind to none of these."


def table() -> str:
    """Values of every metric at some lags; on the growth scale what two equal peaks alone give."""
    rows: list[str] = []
    for kind, scene in SCENES.items():
        lags = (0, scene.quarter_s, *((0.07, 0.3) if kind == "eeg" else (6, 12)))
        heads = [f"{lag * 1000:g} ms" if kind == "eeg" else f"{lag:g} s" for lag in lags]
        rows += ["", f"| {kind} | {' | '.join(heads)} | another time | peaks equal | peaks apart | blind to |"]
        rows += ["|---" * (len(lags) + 5) + "|"]
        for name, spec in METRICS.items():
            if scene_of(spec) != scene:
                continue
            panels = everything()[name]
            curve, peaks = panels["lag"], panels["peaks"]
            values = [curve.value[curve.x.index(lag)] for lag in lags]
            values += [curve.level[0], peaks.value[0], peaks.value[-1]]
            cells = [f"{value:.2f}" for value in values]
            rows.append(f"| `{name}` | {' | '.join(cells)} | {', '.join(spec.blind_to) or '-'} |")
    return "\n".join(rows[1:])


PAGE = """# What metrics are blind to

Written by `python docs/blindness.py` on {date}, with {n} windows of {eeg:g} s (EEG, 8-12 Hz, rhythm at 10 Hz) or
{fnirs:g} s (fNIRS, 0.02-0.1 Hz, rhythm at 0.05 Hz), one channel each; the rhythm has 0.7 of the band's power. Mean over
the windows of the metric's value: coupled at a lag of the client, and with windows of another time. On the growth
scale: two people without coupling whose sharp peaks (a third as wide, 0.9 of the power) are equal, or {eeg_hz:g} Hz
(fNIRS: {fnirs_hz:g} Hz) apart. The figures of [every metric](../api_metrics.md) are of the same signals, and
`tests/test_docs_blindness.py` computes them again.

{table}
"""


def main() -> None:
    """Write the page."""
    eeg, fnirs = SCENES["eeg"], SCENES["fnirs"]
    text = PAGE.format(
        date=datetime.datetime.now(tz=datetime.UTC).date(), n=N_WINDOWS, eeg=eeg.window_s, fnirs=fnirs.window_s,
        eeg_hz=eeg.distances_hz[-1], fnirs_hz=fnirs.distances_hz[-1], table=table(),
    )  # fmt: skip
    OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
