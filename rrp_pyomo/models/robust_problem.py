"""Problems against the worst case of their sets: what all of them report and how it is proved."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance, FactorCovariance, ResolvedWeightSet, WeightSet
from rrp_pyomo.data.validation import by_label, index_of
from rrp_pyomo.errors import SolverError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.models.best_response import (
    Curvature,
    least_over,
    least_with_curvature,
    state_least_over,
)
from rrp_pyomo.models.polishing import polished
from rrp_pyomo.models.problem import PortfolioProblem
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.models.weights import violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.uncertainty.base import differences
from rrp_pyomo.uncertainty.worst_case import WorstCase

# A gap above this part of the loss's size is asked once more, with worst elements that are chosen.
_TIED = 1e-7
# Where X is unbounded and the loss need not grow, weights of so many times the gross are looked at.
_REACH = 10.0
# By what polished weights may miss X.
_ROUNDING = 1e-12
# What bounds by a solver may differ by, relative to the size of the loss.
_NOISE = 1e-9


class Worst(NamedTuple):
    """The loss of weights at the worst elements of the sets, computed from the data.

    Attributes
    ----------
    value : float
        The loss, without costs of trading.
    gradient : (n,) array
        A subgradient of it.
    elements : WorstCase
    """

    value: float
    gradient: FloatArray
    elements: WorstCase

    def moved(
        self, gradient: FloatArray, value: float, covariance: Covariance | None = None
    ) -> Worst:
        """With changes of gradient and value, and another worst covariance."""
        elements = self.elements
        if covariance is not None:
            elements = replace(elements, covariance=covariance)
            if elements.loadings is not None and isinstance(covariance, FactorCovariance):
                elements = replace(elements, loadings=covariance.loadings)
        return Worst(self.value + value, self.gradient + gradient, elements)


class Adversary(NamedTuple):
    """The choice among the elements of the sets, stated on a program.

    Attributes
    ----------
    gradient : Affine
        Of the loss at the element, at the weights.
    loss : Affine
        Of the weights at the element.
    read : callable
        From the solved program to the :class:`Worst`.
    """

    gradient: Affine
    loss: Affine
    read: Callable[[ProgramSolution], Worst]


@dataclass(frozen=True, eq=False)
class WorstCaseCertificate:
    """How much better than the answer any admissible weights could be, from the data.

    Attributes
    ----------
    status : str
        The solver's status, in its own words.
    gap : float
        No weights in X have a worst case that is better by more than this; units of the objective.
        With a subgradient g of the loss at the worst element, g'x − min of g'v over v ∈ X.
    relative_gap : float
        Relative to the size of the objective's terms, at the answer or at equal weights.
    infeasibility : float
        By how much the weights violate X.
    within : float or None
        Where X is unbounded: the gross Σ|v_i| up to which the gap holds.
    """

    status: str
    gap: float
    relative_gap: float
    infeasibility: float
    within: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return dict(vars(self))

    def summary(self) -> str:
        """One line for a terminal."""
        of = "" if self.within is None else f" of a gross of at most {self.within:.3g}"
        return (
            f"no admissible weights{of} have a worst case better by more than {self.gap:.2g} "
            f"({self.relative_gap:.1g} of its size)"
        )


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
        judged = _Judged(self, x, solution.status)
        if solution.duality_gap is not None:  # a solver's answer, not weights from elsewhere
            judged = judged.polished()
            x = judged.x
            portfolio = replace(portfolio, weights=self._by_asset(x, "weights"))
        outcome = RobustOutcome(
            judged.worst_value, self.maximising, judged.worst_case, self.nominal, x
        )
        return replace(portfolio, details=outcome, certify=judged.certificate)

    def _certificate(self, solution: ProgramSolution) -> WorstCaseCertificate:
        return _Judged(self, solution.arrays["x"], solution.status).certificate()


class _Judged:
    """Weights with the worst elements that prove most of them."""

    def __init__(self, problem: RobustProblem, x: FloatArray, status: str) -> None:
        self.problem, self.x, self.status = problem, x, status

    def polished(self) -> _Judged:
        """Weights near these that prove more of themselves, where there are any."""
        problem = self.problem
        if not problem._polishes:
            return self
        point = polished(
            problem._gradient,
            problem._gradient_changes,
            problem.weight_set,
            problem.trading,
            self.x,
        )
        if point is None:
            return self
        better = _Judged(problem, point, self.status)
        size = self._size(self._plain[0])
        if better._missed > _ROUNDING or better._plain[1] > self._plain[1] + _NOISE * size:
            return self
        # At a kink a smaller bound may go with a larger loss.
        return self if better._loss > self._loss + _ROUNDING * size else better

    @cached_property
    def _plain(self) -> tuple[Worst, float, float | None]:
        worst = self.problem._worst(self.x)
        return worst, *self._gap(worst)

    @property
    def _loss(self) -> float:
        return self._plain[0].value + self.problem.trading.cost(self.x)

    @property
    def worst_value(self) -> float:
        return self.problem._objective_of(self._loss)

    @cached_property
    def _missed(self) -> float:
        missed = violation(self.problem.weight_set, self.x)
        return max(missed, self.problem.trading.violation(self.x))

    @cached_property
    def _found(self) -> tuple[Worst, float, float | None]:
        """The worst elements, the gap that they prove and the gross up to which it holds."""
        worst, gap, within = self._plain
        if gap > _TIED * self._size(worst):
            chosen = self._chosen()
            if chosen is not None:
                least, reach = self._gap(chosen)
                # The loss at an element that is not quite the worst one falls short of it.
                least += max(0.0, worst.value - chosen.value)
                if least < gap:
                    return chosen, least, reach
        return worst, gap, within

    def _size(self, worst: Worst) -> float:
        terms = float(np.abs(worst.gradient * self.x).sum())
        return max(
            abs(worst.value),
            terms,
            self.problem.trading.cost(self.x),
            self.problem.objective_unit,
        )

    def _gap(self, worst: Worst) -> tuple[float, float | None]:
        problem, x, g = self.problem, self.x, worst.gradient
        X, trading = problem._reachable, problem.trading
        own, within = float(g @ x) + trading.cost(x), None
        least = least_over(X, trading, g)
        if least == -np.inf:
            curvature = problem._curvature(x, worst)
            if curvature is not None:
                least = least_with_curvature(X, trading, g, x, curvature)
            else:
                within = _REACH * max(1.0, float(np.abs(x).sum()))
                least = least_over(X, trading, g, within)
        return max(0.0, own - least), within

    def _chosen(self) -> Worst | None:
        """The elements whose subgradient proves most, by the dual of the best response."""
        problem, x = self.problem, self.x
        program = Program("adversary")
        adversary = problem._adversary(program, x)
        if adversary is None:
            return None
        X, trading, curvature = problem._reachable, problem.trading, None
        if least_over(X, trading, self._plain[0].gradient) == -np.inf:
            curvature = problem._curvature(x, self._plain[0])
        least = state_least_over(program, X, trading, adversary.gradient, x, curvature)
        unit = 1.0 / problem.objective_unit
        program.minimize((adversary.gradient @ x - least - adversary.loss) * unit)
        try:
            return adversary.read(solve_program(program))
        except SolverError:  # the plain worst elements prove what they prove
            return None

    def worst_case(self) -> WorstCase:
        return self._found[0].elements

    def certificate(self) -> WorstCaseCertificate:
        worst, gap, within = self._found
        return WorstCaseCertificate(self.status, gap, gap / self._size(worst), self._missed, within)
