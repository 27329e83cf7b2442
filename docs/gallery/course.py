"""The course within a session, window by window, with what the therapist reaches with other windows of the client."""

from example import pair

import hyperscan as hs

session = hs.compute_synchrony(pair, metrics=["plv"], null="windows")
figure = session.plot("plv", "alpha", kind="windows", roi="posterior-posterior")
