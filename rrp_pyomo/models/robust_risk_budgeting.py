"""Robust risk budgeting: (12) with the mean of the contributions in place of the smallest."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rrp_pyomo.data import CovarianceUncertainty, WeightSet
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, Variable, geometric_mean, square
from rrp_pyomo.modeling.constraints import Constraint
from rrp_pyomo.models.penalised import PenalisedRiskParity
from rrp_pyomo.models.risk_budgeting import cones_for, shared_budgets
from rrp_pyomo.models.risk_parity import Budgets
from rrp_pyomo.models.weights import signed
from rrp_pyomo.program import Program


class RobustRiskBudgeting(PenalisedRiskParity):
    """Robust risk budgeting that degrades well: a variant of (12) that is this package's own.

        minimise    p − g
        subject to  g ≤ Π_i t_i^{b_i}
                    ‖Σ^Δ x‖₂ ≤ √n y                                              (12b)
                    Ω y ≤ (Σ⁰x)_i − z_i,    i = 1, …, n                          (12c)
                    x_i z_i ≥ n b_i t_i²,   i = 1, …, n                          (12d')
                    ‖(Σ⁰ + Σ^Δ)^{1/2} x‖₂ ≤ √n p                                 (12e)
                    z, p, g, t, y ≥ 0                                            (12f)
                    x ∈ X                                                        (12g)

    Where (12) rewards the smallest of the penalised contributions x_i z_i, this rewards their
    geometric mean, weighted by the budgets: a contribution that a constraint holds down leaves the
    others their reward. With Σ^Δ = 0 it is p = √(x'Σ⁰x/n) against the geometric mean of the
    contributions x_i z_i, and 0 exactly at risk parity; no constant is needed as in
    :class:`~rrp_pyomo.RiskBudgeting`. Without constraints it is another portfolio than that of
    (12): the x_i z_i are not equal, but what is won by equalising them is weighed against the
    worst-case risk.

    Blocks have √n (p − g) as ``parity_gap`` and √n p as ``worst_case_volatility``, per period in
    units of the data; the portfolio's ``objective`` is the former. An asset whose upper bound is 0
    is left out of the product, and its budget is shared by the others. Budgets in the ratio of
    whole numbers, such as equal ones or percentages, need second-order cones only; others
    exponential ones.

    Guarantee: convex; feasible for ω ≤ ω_max = :func:`~rrp_pyomo.largest_omega`, as (12) is.

    Parameters
    ----------
    uncertainty : CovarianceUncertainty
        Σ⁰ and Σ^Δ.
    omega : float
        ω ≥ 0, the aversion to estimation error, with Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F.
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X ⊆ {x ≥ 0}, or of given signs; long-only and fully invested by default.

    Raises
    ------
    InputError
        A negative ω, budgets or a weight set that do not fit the assets, or positions of any sign.

    References
    ----------
    After Costa & Kwon (2020), equation (12).

    Examples
    --------
    >>> from rrp_pyomo import RobustRiskBudgeting
    >>> from rrp_pyomo.data import CovarianceUncertainty
    >>> nominal = [[0.04, 0.01, 0.0], [0.01, 0.02, 0.0], [0.0, 0.0, 0.01]]
    >>> upper = [[0.06, 0.01, 0.0], [0.01, 0.02, 0.0], [0.0, 0.0, 0.01]]
    >>> uncertainty = CovarianceUncertainty.from_bounds(nominal, upper)
    >>> RobustRiskBudgeting(uncertainty, omega=1.0).solve().weights.round(3).tolist()
    [0.147, 0.333, 0.52]
    """

    _gap: ClassVar[str] = "parity_gap"

    def __init__(
        self,
        uncertainty: CovarianceUncertainty,
        omega: float = 1.0,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
    ) -> None:
        super().__init__(uncertainty, omega, budgets, weight_set)
        # The budgets of assets that may be held, as parts of their sum.
        self._shared: FloatArray = shared_budgets(self.budgets, self.weight_set)

    @property
    def _row_budgets(self) -> FloatArray:
        b: FloatArray = self.budgets / self.budgets[self._shared > 0].sum()
        return b

    def _state_contributions(
        self, program: Program, x: Variable, z: Variable
    ) -> tuple[Affine, Constraint]:
        held, b = self._shared > 0, self._shared
        t = program.variable("t", x.labels, lower=0)
        g = program.variable("g", lower=0)
        program.subject_to(spread=geometric_mean(t[held], b[held], cones_for(b[held])) >= g)
        u = signed(self.weight_set, x)
        return g, u * z >= square(t * np.sqrt(x.size * self._row_budgets))  # (12d')

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        values = super()._values_at(x)
        R = signed(self.weight_set, x) * values["z"] / (x.size * self._row_budgets)
        t = np.sqrt(np.maximum(R, 0.0))
        held = self._shared > 0
        with np.errstate(divide="ignore"):
            g = np.exp(self._shared[held] @ np.log(t[held]))
        return values | {"t": t, "g": g}

    @property
    def objective_unit(self) -> float:
        """The objective is the gap in volatility; p is a volatility over √n."""
        return float(np.sqrt(self.covariance.size * self.risk_unit))
