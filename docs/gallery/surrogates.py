"""Surrogates of one session with the observed line."""

import numpy as np

from hyperscan import nulls, plots
from hyperscan.metrics import plv
from hyperscan.transforms import analytic_signal

rng = np.random.default_rng(0)
shared = rng.standard_normal(60 * 128)
therapist, client = (analytic_signal(shared + rng.standard_normal((1, 60 * 128)), 128, (8, 12)) for _ in range(2))

observed = plv(therapist, client)[0, 0]
shifts = rng.integers(10 * 128, 50 * 128, 500)
surrogates = np.array([plv(therapist, np.roll(client, shift, axis=-1))[0, 0] for shift in shifts])
p = nulls.p_value(observed, surrogates)
ax = plots.surrogate_histogram(observed, surrogates, p=float(p), label="plv, alpha", what="circular shifts")
