"""Therapist by client channels of one session."""

from example import pair

import hyperscan as hs

session = hs.compute_synchrony(pair, metrics=["plv"])
figure = session.plot("plv", "alpha")
