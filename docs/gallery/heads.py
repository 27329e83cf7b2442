"""Two heads with the strongest 5 % of the links; the same function draws fNIRS optodes."""

from example import session

ax = session.plot("plv", "alpha", kind="heads")
