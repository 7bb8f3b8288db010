"""The robust problem (12) through every solver that is installed: change one word.

`solver=` names a solver of the table that `rrp solvers` shows. Conic solvers get matrices and
cones; the others get a Pyomo block, on which any Pyomo solver would do.
"""

import time

from rrp_pyomo import FactorModel, RobustRiskParity
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.errors import ModelError, SolverError
from rrp_pyomo.solve.table import SOLVERS

ASSETS, MONTHS = 12, 60  # twelve industries: small enough for the solvers' free licences

data = datasets.french()
returns = excess_returns(data.returns, data.risk_free).tail(MONTHS).iloc[:, :ASSETS]
model = FactorModel.fit(returns, data.factors.tail(MONTHS))
problem = RobustRiskParity(model.covariance_uncertainty(), omega=1.0)
reference = problem.solve("clarabel")

for name in SOLVERS:
    begin = time.perf_counter()
    try:
        portfolio = problem.solve(name)
    except (ModelError, SolverError) as error:
        print(f"{name:13s} {error}")
        continue
    seconds = time.perf_counter() - begin
    difference = ASSETS * (portfolio.weights - reference.weights).abs().max()
    print(
        f"{name:13s} objective {portfolio.objective:.8f}, n max|Δx| {difference:.0e}, "
        f"{seconds:.2f} s, {portfolio.solver}"
    )
