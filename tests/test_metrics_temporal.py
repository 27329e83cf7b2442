"""Correlation of what is new, and leads."""

from __future__ import annotations

import numpy as np
import pytest

import hyperscan.metrics as metrics
from hyperscan.metrics import METRICS


@pytest.mark.parametrize("name", ["imcoh", "xcorr_lag"])
def test_positive_means_the_therapist_leads(name):
    t = np.arange(400) / 50
    therapist, client = np.exp(2j * np.pi * 5 * t)[None], np.exp(2j * np.pi * 5 * (t - 0.02))[None]
    spec = METRICS[name]
    if spec.domain == "real":
        therapist, client = therapist.real * np.hanning(400), client.real * np.hanning(400)
    assert spec.evaluate(therapist, client, sfreq=50.0)[0] > 0.01


class TestArCorr:
    def test_finds_correlated_news_of_slow_signals(self):
        rng = np.random.default_rng(5)
        news = rng.standard_normal((2, 4000))
        news[1] = 0.5 * news[0] + np.sqrt(0.75) * news[1]
        x = np.cumsum(news, axis=-1)
        assert metrics.ar_corr(x[:1], x[1:], 10.0)[0, 0] == pytest.approx(0.5, abs=0.04)

    def test_unrelated_slow_signals_are_far_less_correlated_than_by_pearson(self):
        rng = np.random.default_rng(6)
        x = np.cumsum(rng.standard_normal((2, 20, 1500)), axis=-1)
        whitened, plain = metrics.ar_corr(x[0], x[1], 10.0), metrics.corr(x[0], x[1])
        assert np.std(whitened) == pytest.approx(1 / np.sqrt(1500), rel=0.25)
        assert np.std(plain) > 10 * np.std(whitened)

    def test_one_shared_artefact_does_not_make_a_correlation(self):
        rng = np.random.default_rng(7)
        x = rng.standard_normal((2, 1, 2000))
        x[..., 1000] += 60
        assert abs(metrics.corr(x[0], x[1])[0, 0]) > 0.5
        assert abs(metrics.ar_corr(x[0], x[1], 10.0)[0, 0]) < 0.08

    def test_innovations_are_those_of_a_least_squares_fit(self):
        from hyperscan.metrics.temporal import innovations

        rng = np.random.default_rng(8)
        x = np.zeros(5000)
        for t in range(2, 5000):
            x[t] = 1.2 * x[t - 1] - 0.6 * x[t - 2] + rng.standard_normal()
        past = np.stack([x[1:-1], x[:-2]])
        residual = x[2:] - np.linalg.lstsq(past.T, x[2:], rcond=None)[0] @ past
        ours = innovations(x[np.newaxis], 2)[0]
        assert np.corrcoef(ours, residual)[0, 1] > 0.9999

    def test_white_noise_is_left_as_it_is(self):
        from hyperscan.metrics.temporal import innovations

        x = np.random.default_rng(9).standard_normal((20, 2000))
        kept = [np.corrcoef(e, y[30:])[0, 1] for e, y in zip(innovations(x, 30), x, strict=True)]
        assert np.min(kept) > 1 - 1e-12  # order 0 for every channel: a larger one would fit the noise
