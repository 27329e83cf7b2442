"""The course within a session, window by window, with the band that re-paired windows reach."""

import numpy as np

from hyperscan import plots
from hyperscan.metrics import plv
from hyperscan.transforms import analytic_signal, cut_windows

rng = np.random.default_rng(0)
time = np.arange(0, 300, 1 / 128)
rhythm = np.sin(2 * np.pi * 10 * time + rng.standard_normal(len(time)).cumsum() / 6) * (time > 150)
people = rng.standard_normal((2, 1, len(time))) + 0.8 * rhythm
starts = np.arange(0, 300, 10) * 128
therapist, client = (cut_windows(analytic_signal(x, 128, (8, 12)), starts, 1280) for x in people)

observed = np.arctanh(plv(therapist, client))[:, 0, 0]
null = [np.arctanh(plv(therapist, np.roll(client, step, axis=0)))[:, 0, 0] for step in range(2, 29)]
ax = plots.time_course(starts / 128 + 5, observed, np.array(null), label="plv, alpha (Fisher z)")
