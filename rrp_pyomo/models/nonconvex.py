"""What (3) and (4) share: where a nonlinear solver starts."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.models.formulation import FloatArray
from rrp_pyomo.models.nominal import NominalRiskParity
from rrp_pyomo.models.socp import RiskParitySOCP
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.solvers.newton import newton

STARTS = ("convex", "inverse_volatility", "equal")


class NonconvexRiskParity(NominalRiskParity):
    """A nominal problem whose answer depends on where the solver starts."""

    default_solver: ClassVar[str] = "ipopt"

    def solve(
        self, solver: str | None = None, start: str | pd.Series = "convex", **options: Any
    ) -> Portfolio:
        """Solve the problem; see :meth:`Formulation.solve` for what is not said here.

        Parameters
        ----------
        start : {"convex", "inverse_volatility", "equal"} or Series
            Where a nonlinear solver starts. ``"convex"`` is the solution of the convex log form by
            Newton's method (of (11) where X has more constraints). From elsewhere, assets that
            hedge are traps in which a solver may stop and call it optimal.

        Raises
        ------
        UnknownLabelError
            No start has that name.
        """
        if solver == "newton":
            return super().solve(solver, **options)
        near = isinstance(start, str) and start == "convex"
        return self._solve(solver, lambda: self._start(start), options, near)

    def contributions(self, x: FloatArray) -> FloatArray:
        """x_i (Σx)_i / (n b_i) in multiples of :attr:`risk_unit`, shape (n,)."""
        R: FloatArray = x * (self.covariance.operator @ x) / self.risk_unit
        return R / (x.size * self.budgets)

    def _start(self, start: str | pd.Series) -> FloatArray:
        if isinstance(start, pd.Series):
            x: FloatArray = start.reindex(list(self.covariance.labels)).to_numpy(dtype=float)
            if not np.isfinite(x).all():
                asset = self._label(int(np.flatnonzero(~np.isfinite(x))[0]))
                raise InputError(
                    f"the start has no finite weight for {asset!r}; expected one for each asset"
                )
            return x
        if start == "equal":
            return self._equal_weights()
        if start == "inverse_volatility":
            inverse = 1.0 / np.sqrt(self.covariance.variances)
            return np.asarray(inverse / inverse.sum())
        if start != "convex":
            raise UnknownLabelError("start", start, STARTS)
        if self.weight_set.is_simplex or not self.weight_set.long_only:
            return newton(self.covariance, self.budgets).weights
        socp = RiskParitySOCP(self.covariance, self.budgets)
        socp.weight_set = self.weight_set
        return socp.solve().weights.to_numpy()
