"""The four problems of Costa & Kwon (2020) on real data, with their equation numbers.

All nominal problems, (3), (4) and (11), have the same answer; the first two are nonconvex and need
a good start, the third is convex. (12) trades equal contributions off against the risk that
estimation errors of the factor loadings may hide.
"""

from rich.console import Console

from rrp_pyomo import (
    FactorModel,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    largest_omega,
)
from rrp_pyomo.cli.tables import measures_table
from rrp_pyomo.data import datasets, excess_returns

MONTHS = 36
console = Console()

# (8), (9): the factor model by least squares, Σ⁰ = V'FV + D.
data = datasets.french()
returns = excess_returns(data.returns, data.risk_free).tail(MONTHS)
model = FactorModel.fit(returns, data.factors.tail(MONTHS))

# (10): loadings within their standard errors, and the worst of them for the equal-weight portfolio.
uncertainty = model.covariance_uncertainty()
nominal, worst_case = uncertainty.nominal, uncertainty.worst_case
console.print(f"‖Σ^Δ‖_F / ‖Σ⁰‖_F = {uncertainty.relative_size:.4f}")

portfolios = {
    "(3) NLP": RiskParityNLP(nominal).solve(),
    "(4) QCLP": RiskParityQCLP(nominal).solve(),
    "(11) SOCP": RiskParitySOCP(nominal).solve(),
    "(11) on Σ̄": RiskParitySOCP(worst_case).solve().under(nominal),
    "(12) ω=1": RobustRiskParity(uncertainty, omega=1.0).solve(),
}
console.print(measures_table(portfolios))

reference = portfolios["(11) SOCP"].weights
for name in ("(3) NLP", "(4) QCLP"):
    difference = len(reference) * (portfolios[name].weights - reference).abs().max()
    console.print(f"{name} against (11): n max|Δx| = {difference:.1e}")

# (12) has a solution up to ω_max, which one more cone program finds.
console.print(f"ω_max = {largest_omega(uncertainty):.3f}")
