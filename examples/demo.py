"""Five portfolios of 30 Fama-French portfolios, side by side: what `make demo` shows.

The last three years of monthly data leave much room for estimation error. The nominal portfolio
has equal risk contributions under the estimated covariance; the robust ones give some of that up
for less risk in the worst case, the more the larger ω is.

Usage: python examples/demo.py [folder for the plots]
"""

import sys
from pathlib import Path

import pandas as pd
from rich.console import Console

from rrp_pyomo import FactorModel, Portfolio, RiskParitySOCP, RobustRiskParity
from rrp_pyomo.cli.tables import measures_table
from rrp_pyomo.data import datasets, excess_returns
from rrp_pyomo.plots import plot_comparison

MONTHS = 36

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")
folder.mkdir(parents=True, exist_ok=True)

data = datasets.french()
returns = excess_returns(data.returns, data.risk_free).tail(MONTHS)
model = FactorModel.fit(returns, data.factors.tail(MONTHS))
uncertainty = model.covariance_uncertainty()
nominal, worst_case = uncertainty.nominal, uncertainty.worst_case

equal = pd.Series(1 / len(returns.columns), returns.columns)
portfolios = {
    "equal weight": Portfolio.of(equal, nominal, "equal weight"),
    "nominal": RiskParitySOCP(nominal).solve(),
    # As in the paper, all risk is measured under the nominal covariance.
    "worst case": RiskParitySOCP(worst_case).solve().under(nominal),
    "robust ω=1": RobustRiskParity(uncertainty, omega=1.0).solve(),
    "robust ω=2": RobustRiskParity(uncertainty, omega=2.0).solve(),
}

console = Console()
console.print(f"{len(equal)} assets, {returns.index[0]:%Y-%m} to {returns.index[-1]:%Y-%m}")
console.print(measures_table(portfolios))

plot_comparison(portfolios).savefig(folder / "comparison.png")
for name, portfolio in portfolios.items():
    file = name.replace(" ", "_").replace("ω=", "omega_") + ".png"
    portfolio.plot().savefig(folder / file)
console.print(f"Plots: {folder}/*.png")
