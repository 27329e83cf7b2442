"""Wavelet coherence with cone of influence, phase arrows and significance outline."""

import numpy as np

from hyperscan import plots
from hyperscan.metrics import wtc_map

rng = np.random.default_rng(0)
time = np.arange(0, 600, 0.5)
drift = rng.standard_normal(len(time)).cumsum() / 6
rhythm = np.sin(2 * np.pi * 0.05 * time + drift) * (time > 200)
therapist = rhythm + 0.7 * rng.standard_normal(len(time))
client = np.roll(rhythm, 10) + 0.7 * rng.standard_normal(len(time))  # 5 s behind: a quarter of a cycle

shown = {"sfreq": 2.0, "periods": (8, 64)}
found = wtc_map(therapist, client, **shown)
shifted = [wtc_map(therapist, np.roll(client, shift), **shown).r2 for shift in (300, 600, 900)]
floor = np.quantile(np.concatenate(shifted, axis=1), 0.95, axis=1)
outlined = found.r2 > floor[:, None]
ax = plots.coherence_chart(found.r2, found.phase, found.period, found.coi, 2.0, significant=outlined)
