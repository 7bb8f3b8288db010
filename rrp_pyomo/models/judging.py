"""Weights judged by the worst elements that prove most of them, whatever found the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from rrp_pyomo.data import Covariance, FactorCovariance, ResolvedWeightSet
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
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.models.weights import violation
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution
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


class Judgeable(Protocol):
    """What weights are judged by: a problem against the worst case, as its own methods say it."""

    weight_set: ResolvedWeightSet
    trading: Trading

    @property
    def _polishes(self) -> bool: ...

    @property
    def _reachable(self) -> ResolvedWeightSet: ...

    @property
    def objective_unit(self) -> float: ...

    def _objective_of(self, loss: float) -> float: ...

    def _worst(self, x: FloatArray) -> Worst: ...

    def _gradient(self, x: FloatArray) -> FloatArray: ...

    def _gradient_changes(self, x: FloatArray, directions: FloatArray) -> FloatArray: ...

    def _adversary(self, program: Program, x: FloatArray) -> Adversary | None: ...

    def _curvature(self, x: FloatArray, worst: Worst) -> Curvature | None: ...


class Judged:
    """Weights with the worst elements that prove most of them."""

    def __init__(self, problem: Judgeable, x: FloatArray, status: str) -> None:
        self.problem, self.x, self.status = problem, x, status

    def polished(self) -> Judged:
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
        better = Judged(problem, point, self.status)
        if better._missed > _ROUNDING:
            return self
        worst, gap, _ = better._plain
        if gap <= _NOISE * better._size(worst):  # as good as can be said
            return better
        size = self._size(self._plain[0])
        if gap > self._plain[1] + _NOISE * size:
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
