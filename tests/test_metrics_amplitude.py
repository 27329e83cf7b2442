"""Envelope correlations against mne-connectivity."""

from __future__ import annotations

import numpy as np
import pytest

import hyperscan.metrics as metrics


def test_oaec_agrees_with_mne_connectivity():
    mne_connectivity = pytest.importorskip("mne_connectivity")
    rng = np.random.default_rng(2)
    z = rng.standard_normal((3, 400)) + 1j * rng.standard_normal((3, 400))
    z[1] += 0.8j * z[0]
    theirs = mne_connectivity.envelope_correlation(z[np.newaxis], orthogonalize="pairwise", absolute=False)
    full = theirs.get_data(output="dense")[0, :, :, 0]
    np.testing.assert_allclose(metrics.oaec(z[:1], z[1:])[0], full[1:, 0], rtol=0, atol=1e-10)
