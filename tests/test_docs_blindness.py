"""What the page of metric functions says a metric is blind to, against the numbers of its figures."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hyperscan.metrics import METRICS
from hyperscan.metrics.table import BLIND
from metrics_fixtures import by_name, pair, value_of

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def blindness() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        return importlib.import_module("blindness")


@by_name
def test_what_is_said_of_lags_is_what_the_figures_show(spec, blindness) -> None:
    scene, panels = blindness.scene_of(spec), blindness.everything()[spec.name]
    lag, strongest = panels["lag"], float(panels["lag"].excess.max())
    at_0, at_quarter, far = (blindness.at_lag(spec.name, x) for x in (0, scene.quarter_s, scene.lags_s[-1]))
    if spec.name == "xcorr_lag":  # a lag itself
        np.testing.assert_allclose(lag.value, lag.x, atol=0.03)
        return
    if "one rhythm" in spec.blind:
        assert strongest < 0.02
        return
    if spec.name != "wtc_anti_phase":  # what it counts at lag 0 is the inverted signal
        assert (at_0 < 0.06 * strongest) == spec.zero_lag_blind
    assert (at_0 > 0.5 * strongest and at_quarter < 0.1 * at_0) == ("quarter cycle" in spec.blind)
    assert (far < 0.25 * strongest) == ("lag" in spec.blind)


@by_name
def test_what_is_said_of_peaks_is_what_the_figures_show(spec, blindness) -> None:
    equal, apart = blindness.everything()[spec.name]["peaks"].value[[0, -1]]
    if not {"one rhythm"} & set(spec.blind) and spec.name != "xcorr_lag":
        assert (equal > 1.35 * apart) == ("shared peaks" in spec.blind)


@by_name
def test_amplitude_and_phase_count_or_not_as_is_said(spec) -> None:
    if spec.domain != "analytic":
        assert not {"amplitude", "phase"} & set(spec.blind)
        return
    a, b = pair(spec)
    unit = value_of(spec, a / abs(a), b / abs(b)) if "phase" not in spec.blind else np.zeros(1)
    turned = value_of(spec, abs(a) + 0j, abs(b) * np.exp(0.3j)) if "amplitude" not in spec.blind else np.zeros(1)
    value = value_of(spec, a, b)
    assert bool(np.allclose(unit, value, atol=1e-9)) == ("amplitude" in spec.blind)
    assert bool(np.allclose(turned, value, atol=1e-9)) == ("phase" in spec.blind)


def test_even_phases_hide_coupling_from_the_metric_that_says_so(blindness) -> None:
    assert blindness.at_lag("ccorr", 0) < 0.3 * blindness.at_lag("accorr", 0)
    assert [name for name, spec in METRICS.items() if "even phases" in spec.blind] == ["ccorr"]


def test_mutual_information_keeps_its_value_at_a_quarter_cycle(blindness) -> None:
    assert blindness.at_lag("gcmi", 0.025) >= 0.9 * blindness.at_lag("gcmi", 0)


def test_the_page_holds_the_numbers_that_are_computed(blindness) -> None:
    written = (DOCS / "validation" / "blindness.md").read_text(encoding="utf-8")
    rows = [re.split(r" \| ", line.strip("| ")) for line in written.splitlines() if line.startswith("| `")]
    again = [re.split(r" \| ", line.strip("| ")) for line in blindness.table().splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [row[0] for row in again]
    assert {row[0].strip("`") for row in rows} == set(METRICS)
    for old, new in zip(rows, again, strict=True):
        assert old[-1] == new[-1], old[0]
        np.testing.assert_allclose([float(x) for x in old[1:-1]], [float(x) for x in new[1:-1]], atol=0.02)


def test_every_blindness_has_words_and_every_metric_its_figure(blindness) -> None:
    assert {name for spec in METRICS.values() for name in spec.blind_to} == set(BLIND)
    for name in METRICS:
        assert set(blindness.everything()[name]) == set(blindness.PANELS)
    assert len(blindness.figure("plv")) == 4
    assert "lag 0" in blindness.told("ciplv")
