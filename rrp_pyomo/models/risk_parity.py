"""What the risk parity problems share: covariance, budgets, and the unit of risk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rrp_pyomo.data import Covariance, WeightSet, resolve_budgets
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.models.weights import violation
from rrp_pyomo.portfolio import Portfolio

Budgets = pd.Series | Mapping[Any, float] | ArrayLike | None


class RiskParityProblem(PortfolioProblem):
    """A portfolio problem about the risk contributions x_i (Σx)_i and their budgets.

    Every statement measures covariances in multiples of :attr:`risk_unit`, so that the equally
    weighted portfolio has p = 1 and its risk contributions are about 1: solvers with absolute
    tolerances then work the same for daily decimals and for yearly percentages. Weights are not
    affected; ``Portfolio.objective`` is in the units of the data.

    Parameters
    ----------
    covariance : Covariance
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.

    Raises
    ------
    InputError
        Budgets or a weight set that do not fit the covariance's assets.
    """

    covariance: Covariance
    budgets: FloatArray

    def __init__(
        self, covariance: Covariance, budgets: Budgets, weight_set: WeightSet | None
    ) -> None:
        require_kind(covariance, Covariance, "covariance", "such as DenseCovariance(matrix)")
        super().__init__(covariance.labels, weight_set)
        self.covariance = covariance
        self.budgets = resolve_budgets(budgets, covariance.labels)

    @cached_property
    def risk_unit(self) -> float:
        """Variance per unit of the statement's: σ²/n at equal weights (at least from D alone)."""
        n = self.covariance.size
        diversified = float(self.covariance.variances.sum()) / n**2
        return max(self.covariance.mean_row_sum / n, diversified) / n

    def _solve(
        self,
        solver: str | None,
        start: Callable[[], FloatArray],
        options: dict[str, Any],
        near: bool = False,
    ) -> Portfolio:
        if violation(self.weight_set, np.zeros(self.covariance.size)) == 0.0:
            raise InputError(
                "the weight set has x = 0 in it, which is then the answer; use one that is fully "
                "invested, or block() as a part of a model that says how much to invest"
            )
        return super()._solve(solver, start, options, near)

    def _require_long_only(self) -> None:
        lower = self.weight_set.lower
        if not (lower >= 0).all():
            i = int(lower.argmin())
            raise InputError(
                f"{type(self).__name__} needs weights x ≥ 0, but {self.labels[i]!r} may go down "
                f"to {lower[i]:.4g}; use long_only=True, or RiskParityQCLP for short positions"
            )
