"""Surrogates of one session with the observed line."""

from example import pair

import hyperscan as hs

session = hs.compute_synchrony(pair, metrics=["plv"], null="lags", n_null=500)
figure = session.plot("plv", "alpha", kind="surrogates", roi="posterior-posterior")
