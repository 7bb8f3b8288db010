"""Robust risk parity portfolios as declarative Pyomo blocks.

The way from data to a portfolio:

>>> model = FactorModel.fit(returns, factors)  # doctest: +SKIP
>>> uncertainty = model.covariance_uncertainty()  # doctest: +SKIP
>>> portfolio = RobustRiskParity(uncertainty, omega=1.0).solve()  # doctest: +SKIP

Importing the package registers its solvers with Pyomo. Everything else is imported when it is first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rrp_pyomo import solvers as solvers  # registers them

if TYPE_CHECKING:
    from rrp_pyomo.data import CovarianceUncertainty as CovarianceUncertainty
    from rrp_pyomo.data import DenseCovariance as DenseCovariance
    from rrp_pyomo.data import FactorCovariance as FactorCovariance
    from rrp_pyomo.data import FactorModel as FactorModel
    from rrp_pyomo.data import WeightSet as WeightSet
    from rrp_pyomo.modeling import Program as Program
    from rrp_pyomo.modeling import norm as norm
    from rrp_pyomo.modeling import square as square
    from rrp_pyomo.modeling import sum_squares as sum_squares
    from rrp_pyomo.models import RiskParityNLP as RiskParityNLP
    from rrp_pyomo.models import RiskParityQCLP as RiskParityQCLP
    from rrp_pyomo.models import RiskParitySOCP as RiskParitySOCP
    from rrp_pyomo.models import RobustRiskParity as RobustRiskParity
    from rrp_pyomo.models.largest_omega import largest_omega as largest_omega
    from rrp_pyomo.portfolio import Portfolio as Portfolio
    from rrp_pyomo.solvers.programs import solve_program as solve_program

__version__ = "0.1.0"

_HOMES = {
    "data": (
        "CovarianceUncertainty",
        "DenseCovariance",
        "FactorCovariance",
        "FactorModel",
        "WeightSet",
    ),
    "modeling": ("Program", "norm", "square", "sum_squares"),
    "models": (
        "RiskParityNLP",
        "RiskParityQCLP",
        "RiskParitySOCP",
        "RobustRiskParity",
        "largest_omega",
    ),
    "portfolio": ("Portfolio",),
    "solvers.programs": ("solve_program",),
}
_HOME = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _HOMES or name == "errors":
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
