"""Problems against the worst case of their sets: what all of them report and how it is proved."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd

from rrp_pyomo.data import ResolvedWeightSet, WeightSet
from rrp_pyomo.data.validation import by_label, index_of
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.best_response import (
    Curvature,
)
from rrp_pyomo.models.judging import Adversary, Judged, Worst, WorstCaseCertificate
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.uncertainty.base import differences
from rrp_pyomo.uncertainty.worst_case import WorstCase


@dataclass(frozen=True, eq=False)
class RobustOutcome:
    """What a robust portfolio is robust against, and what that costs.

    Attributes
    ----------
    worst_value : float
        The objective at the worst elements: for every element of the sets the weights do at least
        as well.
    """

    worst_value: float
    maximising: bool
    find_worst_case: Callable[[], WorstCase] = field(repr=False)
    find_nominal: Callable[[], RobustProblem] = field(repr=False)
    weights: FloatArray = field(repr=False)

    def __getstate__(self) -> dict[str, Any]:
        # What is found when it is asked for is found before it travels.
        names = ("worst_case", "nominal_value", "nominal_optimum")
        found = {name: getattr(self, name) for name in names}
        return (
            vars(self) | found | {"find_worst_case": None, "find_nominal": None, "_nominal": None}
        )

    @cached_property
    def _nominal(self) -> RobustProblem:
        return self.find_nominal()

    @cached_property
    def nominal_value(self) -> float:
        """The objective at the sets' centres."""
        return self._nominal.worst_value(self.weights)

    @cached_property
    def worst_case(self) -> WorstCase:
        """The elements of the sets that the weights are robust against."""
        return self.find_worst_case()

    @cached_property
    def nominal_optimum(self) -> float:
        """The best objective at the sets' centres, by solving the nominal problem."""
        value: float = self._nominal.solve().worst_value  # type: ignore[assignment]
        return value

    @property
    def price_of_robustness(self) -> float:
        """What the nominal objective loses against the nominal optimum."""
        lost = self.nominal_optimum - self.nominal_value
        return max(0.0, lost if self.maximising else -lost)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return {
            "worst_value": self.worst_value,
            "nominal_value": self.nominal_value,
            "price_of_robustness": self.price_of_robustness,
            "worst_case": self.worst_case.to_dict(),
        }


class RobustProblem(PortfolioProblem):
    """A problem whose objective is taken at the worst elements of convex sets.

        minimise over x ∈ X   max over u ∈ U of f(x, u) + Σ c_i|x_i − x⁰_i|

    with a loss f that is convex in x; problems that maximise have −f as their objective. For every
    element of the sets the answer does at least as well as ``worst_value``, and no admissible
    weights have a better worst case (to the certificate's gap). If the sets hold the truth with
    probability p, so does the first half. It says nothing of Sharpe ratios out of sample.

    A subclass states the objective and says the worst elements for given weights, from the data.

    Parameters
    ----------
    labels : iterable of labels
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.
    l1 : float, Series, mapping or (n,) array
        c ≥ 0, the cost of a unit traded.
    previous : Series, mapping or (n,) array, optional
        x⁰, from which is traded; 0 by default.
    turnover : float, optional
        The most that Σ|x_i − x⁰_i| may be.
    """

    maximising: ClassVar[bool] = False
    # Whether Newton's method may look for the last digits of an answer.
    _polishes: bool = True

    def __init__(
        self,
        labels: Iterable[Hashable],
        weight_set: WeightSet | None = None,
        *,
        l1: Any = 0.0,
        previous: Any = None,
        turnover: float | None = None,
        linf: float = 0.0,
    ) -> None:
        super().__init__(labels, weight_set)
        self.trading = Trading.of(self.labels, l1, previous, turnover, linf)

    @property
    def _weight_unit(self) -> float:
        # Between equal weights and a single one: such answers hold few assets.
        return 1.0 / math.sqrt(len(self.labels))

    # --- what a problem says --------------------------------------------------------------------

    @abstractmethod
    def _worst(self, x: FloatArray) -> Worst:
        """The loss at the worst elements for weights, from the data, without costs of trading."""

    def _gradient(self, x: FloatArray) -> FloatArray:
        """The subgradient alone."""
        return self._worst(x).gradient

    def _gradient_changes(self, x: FloatArray, directions: FloatArray) -> FloatArray:
        """How the subgradient moves with the weights, along the columns of directions."""
        return differences(self._gradient, x, directions)

    @abstractmethod
    def nominal(self) -> RobustProblem:
        """The same problem at the centres of its sets."""

    def _adversary(self, program: Program, x: FloatArray) -> Adversary | None:
        """Where several elements are worst, or nearly: the choice among all of them."""
        return None

    @property
    def _reachable(self) -> ResolvedWeightSet:
        """The weights in X among which the best ones are, where the loss is finite."""
        return self.weight_set

    def _curvature(self, x: FloatArray, worst: Worst) -> Curvature | None:
        """By how much the loss at the worst elements grows beside its tangent."""
        return None

    # --- what comes out -------------------------------------------------------------------------

    def _objective_of(self, loss: float) -> float:
        return -loss if self.maximising else loss

    def worst_value(self, weights: Any) -> float:
        """The objective of weights at the worst elements of the sets, from the data."""
        x = self._aligned(weights)
        return self._objective_of(self._worst(x).value + self.trading.cost(x))

    def worst_case(self, weights: Any) -> WorstCase:
        """The elements of the sets that are worst for weights."""
        return self._worst(self._aligned(weights)).elements

    def _by_asset(self, values: FloatArray, name: str) -> pd.Series:
        return pd.Series(values, index=index_of(self.labels), name=name)

    def _aligned(self, weights: Any) -> FloatArray:
        return by_label(weights, self.labels, "weights")

    def _solution_at(self, weights: FloatArray, status: str, solver: str) -> ProgramSolution:
        solution = super()._solution_at(weights, status, solver)
        return replace(solution, objective=self.worst_value(weights) / self.objective_unit)

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        portfolio = super()._portfolio(solution)
        x = solution.arrays["x"]
        judged = Judged(self, x, solution.status)
        if solution.duality_gap is not None:  # a solver's answer, not weights from elsewhere
            judged = judged.polished()
            x = judged.x
            portfolio = replace(portfolio, weights=self._by_asset(x, "weights"))
        outcome = RobustOutcome(
            judged.worst_value, self.maximising, judged.worst_case, self.nominal, x
        )
        return replace(portfolio, details=outcome, certify=judged.certificate)

    def _certificate(self, solution: ProgramSolution) -> WorstCaseCertificate:
        return Judged(self, solution.arrays["x"], solution.status).certificate()
