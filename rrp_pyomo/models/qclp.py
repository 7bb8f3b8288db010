"""Problem (4): a linear objective under quadratic constraints."""

from __future__ import annotations

from typing import Any

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable
from rrp_pyomo.models.nonconvex import NonconvexRiskParity
from rrp_pyomo.program import Program


class RiskParityQCLP(NonconvexRiskParity):
    """Nominal risk parity as a quadratically constrained LP, problem (4) of Costa & Kwon (2020).

    With the risk contributions R_i = x_i (Σx)_i,

        minimise    ζ
        subject to  ζ ≥ θ − R_i,   i = 1, …, n
                    ζ ≥ R_i − θ,   i = 1, …, n
                    x ∈ X                                                        (4)

    With budgets, R_i is divided by n b_i.

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
    Costa & Kwon (2020), equation (4).

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, RiskParityQCLP
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> portfolio = RiskParityQCLP(covariance).solve()
    >>> portfolio.weights.round(4).to_dict()
    {'stocks': 0.3333, 'bonds': 0.6667}
    >>> f"{portfolio.certificate.largest_deviation:.3f}"
    '0.000'
    """

    def _state(self, program: Program, x: Variable) -> None:
        R = self._state_contributions(program, x)
        theta = program.variable("theta")
        zeta = program.variable("zeta")

        program.minimize(zeta)
        program.stays_between(theta, R)
        program.subject_to(
            not_below=zeta >= theta - R,
            not_above=zeta >= R - theta,
        )

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        R = self.contributions(x)
        theta = (R.max() + R.min()) / 2
        return {"x": x, "R": R, "theta": theta, "zeta": R.max() - theta}

    def _objective_at(self, x: FloatArray, marginal_risk: FloatArray) -> float:
        R = self._contributions(x, marginal_risk)
        return float((R.max() - R.min()) / 2)
