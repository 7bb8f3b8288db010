"""A robust risk parity block as one part of somebody's own allocation model.

An investor with equal weights wants more expected return, but trades at most 40 % of the wealth and
holds at most half of it in the 12 industries. How far must the portfolio leave robust risk parity
for how much return?

All of it is plain Pyomo but for one line: `m.parity` brings robust risk budgeting, and 1'x = 1, on
the model's own weights. Its gap between the worst-case volatility and the mean of the risk
contributions is an expression here, with a price, in volatility per month. Problem (12) itself
would not do: beside caps that bind it looks at the smallest contribution only.
"""

import pandas as pd
import pyomo.environ as pyo

from rrp_pyomo import FactorModel, Portfolio, RobustRiskBudgeting
from rrp_pyomo.data import datasets, excess_returns

MONTHS = 60
data = datasets.french()
returns = excess_returns(data.returns, data.risk_free).tail(MONTHS)
model = FactorModel.fit(returns, data.factors.tail(MONTHS))
uncertainty = model.covariance_uncertainty()
assets = list(returns.columns)
industries = assets[:12]

m = pyo.ConcreteModel()
m.assets = pyo.Set(initialize=assets, ordered=True)
m.held = pyo.Param(m.assets, initialize=1 / len(assets))
m.expected_return = pyo.Param(m.assets, initialize=model.expected_returns.to_dict())

m.w = pyo.Var(m.assets, bounds=(0, 0.15))
m.buy = pyo.Var(m.assets, domain=pyo.NonNegativeReals)
m.sell = pyo.Var(m.assets, domain=pyo.NonNegativeReals)


@m.Constraint(m.assets)
def trade(m, a):
    return m.w[a] == m.held[a] + m.buy[a] - m.sell[a]


m.turnover = pyo.Constraint(expr=sum(m.buy[a] + m.sell[a] for a in assets) <= 0.4)
m.sector_cap = pyo.Constraint(expr=sum(m.w[a] for a in industries) <= 0.5)

# One part of the model: robust risk budgeting of these weights, with its gap p − g.
m.parity = RobustRiskBudgeting(uncertainty, omega=1.0).block(weights=m.w)

m.mean = pyo.Expression(expr=sum(m.expected_return[a] * m.w[a] for a in assets))
m.price = pyo.Param(mutable=True, initialize=0.0)
m.goal = pyo.Objective(expr=m.mean - m.price * m.parity.parity_gap, sense=pyo.maximize)

solver = pyo.SolverFactory("clarabel")
print("price of gap    gap %   mean %/month   volatility %      CV   largest share   turnover %")
for price in (100.0, 10.0, 3.0, 1.0, 0.3, 0.1):
    m.price.set_value(price)
    solver.solve(m)
    weights = {a: pyo.value(m.w[a]) for a in assets}
    turnover = sum(abs(weights[a] - m.held[a]) for a in assets)
    p = Portfolio.of(pd.Series(weights), uncertainty.nominal)
    print(
        f"{price:12g}  {100 * pyo.value(m.parity.parity_gap):7.4f}  "
        f"{100 * pyo.value(m.mean):13.4f}  "
        f"{100 * p.volatility:13.3f}  {p.cv:6.3f}  {30 * p.highest_risk_contribution:14.2f}  "
        f"{100 * turnover:11.2f}"
    )
