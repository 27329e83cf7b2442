"""What every metric asks of its two arrays, and the way into its domain."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.metrics.arrays import analytic_pair, into_domain, leading_shape, real_pair
from hyperscan.transforms import analytic_signal, wavelet_transform
from metrics_fixtures import BAND, CONTEXT, SFREQ, by_name, pair


@by_name
def test_wrong_domain_is_refused_with_the_remedy(spec):
    a, b = pair(spec)
    if spec.domain == "analytic":
        with pytest.raises(InputError, match=r"(?s)a must be complex .* got float64.*analytic_signal"):
            spec.func(a.real, b, **{name: CONTEXT[name] for name in spec.params if name in CONTEXT})
    elif spec.domain == "real":
        with pytest.raises(InputError, match=r"b must be real signals, got complex128"):
            spec.func(a, b + 0j, **{name: CONTEXT[name] for name in spec.params if name in CONTEXT})


@by_name
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a, b: (a[0], b), r"a must have shape \(\.\.\., n_channels, n_times\), got \(600,\)"),
        (lambda a, b: (a[:, :-1], b), r"same n_times, got 599 and 600"),
        (lambda a, b: (np.stack([a, a]), np.stack([b, b, b])), r"must broadcast, got \(2,\) and \(3,\)"),
    ],
)
def test_wrong_shapes_are_refused(spec, change, text):
    if spec.domain == "wavelet":
        pytest.skip("tested with the wavelets")
    a, b = change(*pair(spec))
    with pytest.raises(InputError, match=text):
        spec.func(a, b, **{name: CONTEXT[name] for name in spec.params if name in CONTEXT})


@pytest.mark.parametrize("domain", ["analytic", "real", "wavelet"])
def test_whole_and_filtered_signals_meet_in_the_domain(domain):
    x = np.random.default_rng(0).standard_normal((2, 600))
    filtered = analytic_signal(x, SFREQ, BAND)
    whole, cut = (into_domain(each, domain, SFREQ, BAND) for each in (x, filtered))
    assert whole.shape == cut.shape == (2, 600)
    if domain == "wavelet":
        assert whole.band == cut.band == BAND
        expected = wavelet_transform(filtered.real, SFREQ, BAND)
        np.testing.assert_array_equal(cut.blocks[0].coefficients, expected.blocks[0].coefficients)
        np.testing.assert_array_equal(whole.blocks[0].power, wavelet_transform(x, SFREQ, BAND).blocks[0].power)
    else:
        np.testing.assert_array_equal(whole, cut)
        np.testing.assert_array_equal(cut, filtered if domain == "analytic" else filtered.real)


@pytest.mark.parametrize("ask", [analytic_pair, real_pair])
def test_epochs_of_two_people_are_not_paired_by_their_order(ask):
    epochs = type("EpochsArray", (), {"drop_log": ()})()
    with pytest.raises(InputError, match=r"EpochsArray: expected an array"):
        ask(np.ones((2, 3, 5)), epochs)


def test_pairs_are_brought_to_one_precision():
    a, b = np.ones((2, 5), np.float32), np.ones((3, 5))
    assert [x.dtype for x in real_pair(a, b)] == [np.float64] * 2
    assert [x.dtype for x in real_pair(a, a)] == [np.float32] * 2
    assert [x.dtype for x in analytic_pair(a + 0j, b + 0j)] == [np.complex128] * 2
    assert leading_shape(np.ones((4, 1, 2, 5)), np.ones((3, 6, 5))) == (4, 3)
