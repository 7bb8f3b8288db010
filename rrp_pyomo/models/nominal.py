"""What the nominal problems (3), (4) and (11) share: Newton's method and the certificate."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance, WeightSet
from rrp_pyomo.errors import ModelError, UnknownLabelError, warn
from rrp_pyomo.models.formulation import Budgets, FloatArray, Formulation
from rrp_pyomo.models.newton import NEWTON_OPTIONS, newton
from rrp_pyomo.models.weights import binds
from rrp_pyomo.portfolio import NominalCertificate, Portfolio
from rrp_pyomo.solve.solution import ProgramSolution


class NominalRiskParity(Formulation):
    """A risk parity problem for one covariance matrix.

    Parameters
    ----------
    covariance : Covariance
        Σ; the worst case Σ̄ of an uncertainty set makes it the paper's worst-case problem.
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.

    Raises
    ------
    InputError
        Budgets or a weight set that do not fit the covariance's assets.
    """

    # The objective is a variance (R, ζ) to this power.
    _objective_power: ClassVar[float] = 1.0
    _remedy: ClassVar[str] = "use solver='newton', or tighter tolerances"

    def __init__(
        self,
        covariance: Covariance,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
    ) -> None:
        super().__init__(covariance, budgets, weight_set)

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem; see :meth:`Formulation.solve`.

        ``solver="newton"`` is Newton's method on the convex log form, for weights that are just
        long-only and fully invested; its options are ``max_iter`` and ``tol``.
        """
        if solver != "newton":
            return super().solve(solver, **options)
        if not self.weight_set.is_simplex:
            raise ModelError(
                "solver 'newton' takes weights that are just long-only and fully invested; this "
                "weight set has more constraints: use 'clarabel' with RiskParitySOCP or 'ipopt'"
            )
        for option in options:
            if option not in NEWTON_OPTIONS:
                raise UnknownLabelError("Newton option", option, NEWTON_OPTIONS)
        result = newton(self.covariance, self.budgets, **options)
        point = self._program.point(self._values_at(result.weights))
        (objective,) = self._program.objective.value(point)
        return self._certified(result.weights, objective, result.status, solver)

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        x = solution.values["x"]
        return self._certified(x, solution.objective, solution.status, solution.solver)

    def _certified(self, x: FloatArray, objective: float, status: str, solver: str) -> Portfolio:
        R = x * (self.covariance.operator @ x)
        deviation = float(np.abs(R / R.sum() - self.budgets).max())
        certificate = NominalCertificate(status, deviation)
        if not certificate.is_risk_parity and not binds(self.weight_set, x):
            warn(
                f"{type(self).__name__} by {solver} ended with status {status!r} at a portfolio "
                f"that is not risk parity: a relative risk contribution is {deviation:.3g} away "
                "from its budget, and no constraint explains it; "
                f"{self._remedy}"
            )
        return Portfolio(
            weights=pd.Series(x, index=list(self.covariance.labels), name="weights"),
            covariance=self.covariance,
            budgets=self.budgets,
            model=type(self).__name__,
            objective=float(objective * self.risk_unit**self._objective_power),
            status=status,
            solver=solver,
            certify=certificate,
        )
