"""Two heads with the strongest 5 % of the links; the same function draws fNIRS optodes."""

from example import pair

import hyperscan as hs

session = hs.compute_synchrony(pair, metrics=["plv"])
figure = session.plot("plv", "alpha", kind="heads")
