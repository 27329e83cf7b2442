"""Which stretches of a session were kept, for each person and for both."""

from hyperscan import plots

kept = {
    "therapist": [(0, 180), (220, 380)],
    "client": [(20, 280), (360, 240)],
    "both": [(20, 160), (220, 80), (360, 240)],
}
ax = plots.data_kept_timeline(kept, 600)
