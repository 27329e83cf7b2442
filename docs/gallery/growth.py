"""Growth: every dyad, the chance band and the group's slope with its confidence interval."""

from example import study

import hyperscan as hs

growth = hs.fit_growth(study.table)
figure = growth.plot()
