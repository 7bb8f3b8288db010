"""The contributions of factors to the risk of weights that another model chooses."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.data import FactorCovariance, FactorModel
from rrp_pyomo.errors import require_kind
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Variable, sum_squares
from rrp_pyomo.models.contributions import RiskDecomposition
from rrp_pyomo.program import Program


class FactorRiskContributions(RiskDecomposition):
    """Contributions of factors to the risk of given weights, as a part of a Pyomo model.

    With Σ = V'FV + D and the exposures y = Vx,

        contribution_k = y_k (F y)_k,    residual = x'Dx,
        Σ_k contribution_k + residual = variance = x'Σx = volatility²

    for weights x of any sign and any sum, in units of the data: variances per period, and a
    standard deviation; ``exposure`` is in those of the loadings. Contributions may be negative. How
    to bound them, and which solvers take that, see :class:`RiskContributions`.

    Roncalli & Weisang attribute A⁺Dx, A = V', to the factors as well, which here is a part of the
    residual.

    Parameters
    ----------
    covariance : FactorCovariance or FactorModel
        Σ; of a factor model, its covariance.

    Raises
    ------
    InputError
        A covariance without factors.

    References
    ----------
    Meucci (2007), Risk contributions from generic user-defined factors; Roncalli & Weisang (2016),
    Risk parity portfolios with risk factors.

    Examples
    --------
    >>> from rrp_pyomo import FactorCovariance, FactorRiskContributions
    >>> loadings, factors = [[1.0, 0.5], [0.0, 1.0]], [[0.04, 0.0], [0.0, 0.01]]
    >>> covariance = FactorCovariance(loadings, factors, residual_variance=[0.001, 0.002])
    >>> parts = FactorRiskContributions(covariance).at([0.5, 0.5])
    >>> parts["contribution"].round(5).to_dict(), round(parts["residual"], 5)
    ({0: 0.0225, 1: 0.0025}, 0.00075)
    """

    covariance: FactorCovariance

    def __init__(self, covariance: FactorCovariance | FactorModel) -> None:
        super().__init__(factored(covariance))

    def _described(self) -> str:
        return f", {self.count} factor{'s' if self.count > 1 else ''}"

    @property
    def count(self) -> int:
        """The number of factors."""
        return len(self.covariance.factor_labels)

    def _state(self, program: Program, x: Variable) -> None:
        Sigma, unit = self.covariance, self.risk_unit
        exposures = np.abs(Sigma.V).sum(axis=1) / x.size
        y = program.variable("exposure", Sigma.factor_labels, unit=float(exposures.max()) or 1.0)
        z = program.variable("z", Sigma.factor_labels, unit=self.count / y.unit)
        R = program.variable("R", Sigma.factor_labels)
        r = program.variable("r", lower=0, unit=self.count)
        program.subject_to(
            factor_exposure=y == Named("V", Sigma.V) @ x,
            marginal_risk=z == Named("F", Sigma.F / unit) @ y,
            risk_contribution=R == y * z,
            residual_risk=r == sum_squares(np.sqrt(Sigma.D / unit) * x),
        )
        self._state_total(program, x)
        program.expression("contribution", unit * R)
        program.expression("residual", unit * r)

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        y = self.covariance.V @ x
        z = self.covariance.F @ y / self.risk_unit
        r = x @ (self.covariance.D * x) / self.risk_unit
        return {"x": x, "exposure": y, "z": z, "R": y * z, "r": r, **self._total_at(x)}


def factored(covariance: object) -> FactorCovariance:
    """The covariance of a factor model, or one that has factors already.

    Raises
    ------
    InputError
        It is neither.
    """
    if isinstance(covariance, FactorModel):
        return covariance.covariance
    require_kind(
        covariance,
        FactorCovariance,
        "covariance",
        "such as FactorModel.fit(returns, factors).covariance: others have no factors",
    )
    assert isinstance(covariance, FactorCovariance)
    return covariance
