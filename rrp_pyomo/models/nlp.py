"""Problem (3): the least squares formulation."""

from __future__ import annotations

from typing import Any, ClassVar

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable, sum_squares
from rrp_pyomo.models.nonconvex import NonconvexRiskParity
from rrp_pyomo.program import Program


class RiskParityNLP(NonconvexRiskParity):
    """Nominal risk parity as a nonlinear program, problem (3) of Costa & Kwon (2020).

    With the risk contributions R_i = x_i (Σx)_i,

        minimise    Σ_i Σ_j (R_i − R_j)²
        subject to  x ∈ X                                                        (3)

    stated as 2n Σ_i (R_i − θ)² with θ the mean of the R_i, which is the same number. With budgets,
    R_i is divided by n b_i.

    Blocks carry ``contribution``, the x_i (Σx)_i by asset, and their sum ``variance``, per period
    and in units of the data.

    Guarantee: at an optimal value of 0 the portfolio is risk parity. The problem is not convex: a
    solver may stop elsewhere, which the portfolio's certificate says.

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.

    Raises
    ------
    InputError
        Budgets or a weight set that do not fit the covariance's assets.

    References
    ----------
    Costa & Kwon (2020), equation (3), after Maillard, Roncalli & Teïletche (2010).

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, RiskParityNLP
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> RiskParityNLP(covariance).solve().weights.round(4).to_dict()
    {'stocks': 0.3333, 'bonds': 0.6667}
    """

    _objective_power: ClassVar[float] = 2.0

    def _state(self, program: Program, x: Variable) -> None:
        n = x.size
        R = self._state_contributions(program, x)
        theta = program.variable("theta")

        program.minimize(2 * n * sum_squares(R - theta))
        program.subject_to(mean_contribution=theta == R.sum() / n)

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        R = self.contributions(x)
        return {"x": x, "R": R, "theta": R.mean()}

    def _objective_at(self, x: FloatArray, marginal_risk: FloatArray) -> float:
        R = self._contributions(x, marginal_risk)
        return float(2 * x.size * ((R - R.mean()) ** 2).sum())
