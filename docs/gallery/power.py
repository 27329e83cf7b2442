"""Power of a study to come, by its size, with the error of the simulation."""

import hyperscan as hs

planned = hs.plan_power([8, 16, 24], [6, 10], slope=0.03, n_sim=20)
figure = planned.plot()
