"""Growth: every dyad, the chance level and the group's slope with its confidence interval."""

from example import alpha

import hyperscan as hs

growth = hs.fit_growth(alpha)
ax = growth.plot()
