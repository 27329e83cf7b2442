"""Methods of mne-connectivity between two people."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.metrics import evaluate_many, get_metric
from hyperscan.metrics.mne_methods import MNE_METHODS

pytest.importorskip("mne_connectivity")

SFREQ, BAND = 100.0, (8.0, 12.0)


def people(seed=0, n_times=1000):
    """Two therapist and three client channels; client 0 repeats therapist 0 at 20 ms."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, n_times)), rng.standard_normal((3, n_times))
    b[0] += 1.5 * np.concatenate([np.zeros(2), a[0, :-2]])
    return a, b


@pytest.mark.parametrize("method", [name for name in MNE_METHODS if name != "gc_tr"])
def test_every_method_gives_every_inter_brain_pair(method):
    a, b = people()
    spec = get_metric(f"mne:{method}")
    value, z = spec.evaluate(a, b, sfreq=SFREQ, band=BAND)
    assert value.shape == z.shape == (2, 3)
    assert np.isfinite(value).all()
    assert value.min() >= spec.bounds[0]
    assert value.max() <= spec.bounds[1]
    if method == "gc_tr":  # the time-reversed control of gc is meant to be small where gc is large
        return
    others = np.abs(np.delete(value.ravel(), 0) - np.median(value))
    assert abs(value[0, 0] - np.median(value)) > others.max(), "the coupled pair stands out"


@pytest.mark.parametrize(("method", "neutral"), [("imcoh", 0), ("psi", 0), ("dpli", 0.5)])
def test_direction_is_ours(method, neutral):
    a, b = people()
    spec = get_metric(f"mne:{method}")
    assert spec.evaluate(a, b, sfreq=SFREQ, band=BAND)[0][0, 0] > neutral
    assert spec.evaluate(b, a, sfreq=SFREQ, band=BAND)[0][0, 0] < neutral


def test_granger_causality_goes_from_therapist_to_client():
    a, b = people(n_times=4000)
    spec = get_metric("mne:gc")
    forth = spec.evaluate(a, b, sfreq=SFREQ, band=BAND)[0][0, 0]
    back = spec.evaluate(b, a, sfreq=SFREQ, band=BAND)[0][0, 0]
    assert forth > 3 * abs(back)


def test_windows_and_bad_channels():
    a, b = (np.stack([x, x[:, ::-1]]) for x in people())
    a[0, 1, 5] = np.nan
    b[1, 2] = 4.0
    value = evaluate_many(["mne:coh"], a, b, sfreq=SFREQ, band=BAND)["mne:coh"][0]
    expected = np.zeros((2, 2, 3), dtype=bool)
    expected[0, 1, :] = expected[1, :, 2] = True
    np.testing.assert_array_equal(np.isnan(value), expected)


def test_short_windows_are_refused():
    a, b = people(n_times=500)
    with pytest.raises(InputError, match=r"mne:coh needs 3 epochs of 2 s in a window, which has 5 s"):
        get_metric("mne:coh").evaluate(a, b, sfreq=SFREQ, band=BAND)


def test_unknown_method_suggests():
    with pytest.raises(InputError, match=r"(?s)'mne:wpli3'.*Did you mean 'wpli'\?.*mne:wpli2_debiased"):
        get_metric("mne:wpli3")
