"""Therapist by client channels of one session."""

from example import session

ax = session.plot("plv", "alpha")
