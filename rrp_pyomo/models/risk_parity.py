"""What the risk parity problems share: covariance, budgets, and the unit of risk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rrp_pyomo.data import Covariance, WeightSet, resolve_budgets
from rrp_pyomo.data.covariance import CovarianceLike, as_covariance
from rrp_pyomo.errors import (
    InputError,
    ModelError,
    SolverError,
    UnknownLabelError,
    warn,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.newton import NEWTON_OPTIONS, newton
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.models.weights import binding, normalised, violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.realise.points import bounds_on
from rrp_pyomo.solve.solution import ProgramSolution

Budgets = pd.Series | Mapping[Any, float] | ArrayLike | None

# How far from its budget a contribution may be, as a part of it, before a binding constraint that
# explains it is worth a warning.
_OFF_PARITY = 0.05


def shares(contributions: FloatArray, budgets: FloatArray) -> tuple[float, float]:
    """The smallest and the largest of R_i / (b_i ΣR) over the assets with a budget."""
    budgeted = budgets > 0
    share = contributions[budgeted] / budgets[budgeted] / contributions.sum()
    return float(share.min()), float(share.max())


def unit_of_risk(covariance: Covariance, signs: FloatArray | None = None) -> float:
    """σ²/n at equal weights of these signs, at least from the variances alone.

    Risk contributions are about 1 in it.
    """
    n, mean_row_sum = covariance.size, covariance.mean_row_sum
    if signs is not None:
        mean_row_sum = float(signs @ (covariance.as_given @ signs)) / n
    diversified = float(covariance.variances.sum()) / n**2
    return max(mean_row_sum / n, diversified) / n


@dataclass(frozen=True, eq=False)
class _Found:
    """What a portfolio needs of a solution, where no program was solved for it."""

    arrays: Mapping[str, FloatArray]
    objective: float
    status: str
    solver: str


class RiskParityProblem(PortfolioProblem):
    """A portfolio problem about the risk contributions x_i (Σx)_i and their budgets.

    Every statement measures covariances in multiples of :attr:`risk_unit`, so that the equally
    weighted portfolio has p = 1 and its risk contributions are about 1: solvers with absolute
    tolerances then work the same for daily decimals and for yearly percentages. Weights are not
    affected; ``Portfolio.objective`` is in the units of the data. Blocks have the unit as a number,
    ``block.unit``, and named expressions in units of the data beside the statement's variables.

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
        No covariance; budgets or a weight set that do not fit its assets.
    """

    covariance: Covariance
    budgets: FloatArray
    # Whether assets may have a budget of 0.
    _zero_budgets: ClassVar[bool] = False

    def __init__(
        self, covariance: CovarianceLike, budgets: Budgets, weight_set: WeightSet | None
    ) -> None:
        self.covariance = as_covariance(covariance)
        super().__init__(self.covariance.labels, weight_set)
        self.budgets = resolve_budgets(budgets, self.labels, self._zero_budgets)

    @cached_property
    def risk_unit(self) -> float:
        """Variance per unit of the statement's: σ²/n at equal weights (at least from D alone).

        The weights have the signs of X.
        """
        X = self.weight_set
        return unit_of_risk(self.covariance, None if X.long_only else X.signs)

    def _solve(
        self,
        solver: str | None,
        start: Callable[[], FloatArray],
        options: dict[str, Any],
        near: bool = False,
    ) -> Portfolio:
        self._require_risk()
        self._require_reachable()
        return super()._solve(solver, start, options, near)

    def _noted(self, block: Any) -> Any:
        block.unit = self.risk_unit
        X, (lower, upper) = self.weight_set, bounds_on(block, "x", self.labels)
        excluded = (np.maximum(X.lower, lower) >= 0.0) & (np.minimum(X.upper, upper) <= 0.0)
        spoilt = np.flatnonzero(excluded & self._has_to_contribute)
        if spoilt.size:
            more = f" and {spoilt.size - 1} more" if spoilt.size > 1 else ""
            warn(
                f"{str(self.labels[spoilt[0]])!r}{more} can hold nothing, as its bounds or a fixed "
                f"value say, and so cannot contribute: what this block of {type(self).__name__} "
                "compares with the volatility is then 0, and the block is one of minimum variance; "
                "leave such assets out by select(labels) of the data, or use RiskBudgeting with "
                "upper=0 for them in its weight set, or cardinality= for a choice among all"
            )
        return super()._noted(block)

    @property
    def _has_to_contribute(self) -> NDArray[np.bool_]:
        """The assets without whose contribution a block says nothing of the others'."""
        return np.zeros(len(self.labels), bool)

    def _by_newton(self, options: Mapping[str, Any]) -> Portfolio:
        """Risk parity by Newton's method, where no further constraint is in X."""
        X = self.weight_set
        if not X.is_orthant:
            raise ModelError(
                "solver 'newton' takes weights that are just long-only or of given signs, and "
                "fully invested or of a given gross; this weight set has more constraints, or "
                "fewer: use 'clarabel' with RiskParitySOCP or RiskBudgeting, or 'ipopt'"
            )
        for option in options:
            if option not in NEWTON_OPTIONS:
                raise UnknownLabelError("Newton option", option, NEWTON_OPTIONS)
        signs = None if X.long_only else X.signs
        result = newton(self.covariance, self.budgets, signs=signs, **options)
        x = normalised(X, result.weights)
        marginal_risk = np.abs(x).sum() * result.marginal_risk
        found = _Found(
            {"x": x, "marginal_risk": marginal_risk},
            self._objective_at(x, marginal_risk),
            result.status,
            "newton",
        )
        return self._portfolio(cast(ProgramSolution, found))

    def _objective_at(self, x: FloatArray, marginal_risk: FloatArray) -> float:
        """The statement's objective at given weights and Σx, its other variables at their best.

        Where it follows from these, nothing has to be stated.
        """
        return self._solution_at(x, "", "").objective

    def _require_risk(self) -> None:
        if violation(self.weight_set, np.zeros(self.covariance.size)) == 0.0:
            raise InputError(
                "the weight set has x = 0 in it, which is then the answer; use one with a gross "
                "or fully invested, or block() as a part of a model that says how much to invest"
            )

    def _require_reachable(self) -> None:
        """Raise where no multiple of a long–short parity portfolio has 1'x = 1."""
        X = self.weight_set
        if X.signs is not None and not X.long_only and X.gross is None:
            with contextlib.suppress(SolverError):
                normalised(X, self._unconstrained())

    def _unconstrained(self) -> FloatArray:
        """The risk parity portfolio of the signs of X, whatever else X asks for; Σ|x_i| = 1."""
        return newton(self.covariance, self.budgets, signs=self.weight_set.signs).weights

    def _warn_off_parity(
        self,
        x: FloatArray,
        contributions: FloatArray,
        equation: str,
        remedy: str,
        unconstrained: Callable[[], tuple[float, float]] = lambda: (1.0, 1.0),
    ) -> None:
        """Say which constraints keep contributions far from their budgets.

        What looks at the smallest contribution only has nothing left to equalise once a constraint
        holds that one, and goes for the least variance. The smallest and largest shares of the
        unconstrained portfolio are asked for where there is something to say.
        """
        names = binding(self.weight_set, x)
        if not names or not contributions.sum() > 0.0:
            return
        smallest, largest = shares(contributions, self.budgets)
        if smallest >= 1.0 - _OFF_PARITY and largest <= 1.0 + _OFF_PARITY:
            return
        least, most = unconstrained()
        if smallest >= least - _OFF_PARITY and largest <= most + _OFF_PARITY:
            return
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        warn(
            f"{type(self).__name__}: beside {', '.join(names[:3])}{more}, contributions are "
            f"{smallest:.3g} to {largest:.3g} of their budgets. {equation} looks at the smallest "
            f"of them only, and beyond it for the least risk; {remedy}"
        )

    def _require_signs(self) -> None:
        """Raise where X leaves the sign of a weight open: the problem is convex in orthants."""
        X = self.weight_set
        if X.signs is None:
            i = int(((X.lower < 0) & (X.upper > 0)).argmax())
            raise InputError(
                f"{type(self).__name__} needs weights x ≥ 0, or weights of given signs, but "
                f"{self.labels[i]!r} may go down to {X.lower[i]:.4g} and up to {X.upper[i]:.4g}; "
                "use long_only=True, or WeightSet(signs={asset: 1 or -1}, gross=1) for short "
                "positions; RiskParityQCLP takes weights of any sign, without a guarantee"
            )
