"""What (3) and (4) share: the risk contributions, and where a nonlinear solver starts."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import numpy as np

from rrp_pyomo.data.validation import by_label
from rrp_pyomo.errors import InfeasibleError, InputError, SolverError, UnknownLabelError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Variable
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.nominal import NominalRiskParity
from rrp_pyomo.models.problem import Weights
from rrp_pyomo.models.socp import RiskParitySOCP
from rrp_pyomo.models.weights import normalised, violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.table import is_own

STARTS = ("convex", "inverse_volatility", "equal")


class NonconvexRiskParity(NominalRiskParity):
    """A nominal problem whose answer depends on where the solver starts."""

    default_solver: ClassVar[str] = "ipopt"
    _remedy: ClassVar[str] = (
        "start from the convex solution (start='convex') or solve RiskParitySOCP"
    )

    def solve(
        self, solver: str | None = None, start: str | Weights = "convex", **options: Any
    ) -> Portfolio:
        """Solve the problem; see :meth:`PortfolioProblem.solve` for what is not said here.

        Parameters
        ----------
        start : {"convex", "inverse_volatility", "equal"}, Series, mapping or (n,) array
            Where a nonlinear solver starts. ``"convex"`` is the solution of the convex log form by
            Newton's method (of (11) where X has more constraints). From elsewhere, assets that
            hedge are traps in which a solver may stop and call it optimal.

        Raises
        ------
        UnknownLabelError
            No start has that name, or it names unknown assets.
        InputError
            It lacks an asset or holds something else than finite numbers.
        """
        if is_own(solver):
            return super().solve(solver, **options)
        near = isinstance(start, str) and start == "convex"
        return self._solve(solver, lambda: self._start(start), options, near)

    def _state_contributions(self, program: Program, x: Variable) -> Variable:
        """R_i = x_i (Σx)_i / (n b_i), stated once."""
        Sigma = Named("Sigma", self.covariance.operator / self.risk_unit)
        R = program.variable("R", x.labels)
        program.subject_to(risk_contribution=R == x * (Sigma @ x) / (x.size * self.budgets))
        contribution = R * (x.size * self.budgets * self.risk_unit)
        program.expression("contribution", contribution)
        program.expression("variance", contribution.sum())
        return R

    def contributions(self, x: FloatArray) -> FloatArray:
        """R at given weights, shape (n,)."""
        return self._contributions(x, self.covariance.operator @ x)

    def _contributions(self, x: FloatArray, marginal_risk: FloatArray) -> FloatArray:
        R: FloatArray = x * marginal_risk / self.risk_unit
        return R / (x.size * self.budgets)

    def _initial_weights(self) -> FloatArray:
        """The convex solution, its direction where X says nothing of its size."""
        with contextlib.suppress(SolverError, InputError):  # InputError: see `normalised`
            if violation(self.weight_set, np.zeros(len(self.labels))) > 0.0:
                return self._start("convex")
            return newton(self.covariance, self.budgets, signs=self.weight_set.signs).weights
        return self._equal_weights()

    def _start(self, start: str | Weights) -> FloatArray:
        if not isinstance(start, str):
            return by_label(start, self.covariance.labels, "start weights")
        if start == "equal":
            return self._equal_weights()
        if start == "inverse_volatility":
            inverse = self._equal_weights() / np.sqrt(self.covariance.variances)
            size = (self.weight_set.gross or 1.0) / np.abs(inverse).sum()
            return np.asarray(inverse * size)
        if start != "convex":
            raise UnknownLabelError("start", start, STARTS)
        X = self.weight_set
        if X.signs is not None and not X.is_orthant:
            socp = RiskParitySOCP(self.covariance, self.budgets)
            socp.weight_set = X
            # Where X makes a marginal risk negative, (11) has no solution; (3) and (4) have.
            with contextlib.suppress(InfeasibleError):
                return solve_program(socp.program()).arrays["x"]
        ray = newton(self.covariance, self.budgets, signs=X.signs).weights
        return normalised(X, ray) if X.is_orthant else ray
