"""Mean and tail risk of a distribution, or of the worst one of a set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, Variable
from rrp_pyomo.models.judging import Adversary, Worst
from rrp_pyomo.models.robust_problem import RobustProblem
from rrp_pyomo.program import Program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.uncertainty.distribution_set import DistributionSet
from rrp_pyomo.uncertainty.distributions.distribution import checked_alpha
from rrp_pyomo.uncertainty.distributions.entropy import KullbackLeibler
from rrp_pyomo.uncertainty.distributions.moments import MomentSet
from rrp_pyomo.uncertainty.distributions.scenario_sets import Scenarios, as_distribution_set
from rrp_pyomo.uncertainty.worst_case import WorstCase

if TYPE_CHECKING:
    from rrp_pyomo.models.estimates import Estimates


class MeanCVaR(RobustProblem):
    """The least mean loss and tail risk, at the worst distribution of a set.

        minimise over x ∈ X   max over P of c E_P[−x'R] + CVaR_α^P(−x'R) + Σ γ_i|x_i − x⁰_i|

    For known scenarios it is Rockafellar & Uryasev's linear program. The objective is a loss per
    period, in decimals.

    Parameters
    ----------
    distribution : DistributionSet, or (N, n) DataFrame or array of scenarios
        Such as ``Wasserstein(returns, radius)`` or ``Moments(mean, covariance)``.
    alpha : float
        The tail probability, 0 < α ≤ 1: 0.05 is the worst 5 %.
    mean_weight : float
        c ≥ 0.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.
    l1 : float, Series, mapping or (n,) array
        γ ≥ 0, the cost of a unit traded.
    previous : Series, mapping or (n,) array, optional
        x⁰, 0 by default.
    turnover : float, optional
        The most that Σ|x_i − x⁰_i| may be.

    Raises
    ------
    InputError
        Numbers out of range, weights or a set that do not fit the assets.

    References
    ----------
    Rockafellar & Uryasev (2000), Optimization of conditional value-at-risk; the sets' own.

    Examples
    --------
    Of five scenarios, the worst fifth is the worst one:

    >>> from rrp_pyomo import MeanCVaR
    >>> returns = [[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01], [0.02, 0.01]]
    >>> portfolio = MeanCVaR(returns, alpha=0.2).solve()
    >>> portfolio.weights.round(4).tolist(), round(portfolio.objective, 5)
    ([0.2143, 0.7857], -0.00286)
    """

    def __init__(
        self,
        distribution: Any,
        alpha: float = 0.05,
        mean_weight: float = 0.0,
        weight_set: WeightSet | None = None,
        *,
        l1: Any = 0.0,
        previous: Any = None,
        turnover: float | None = None,
    ) -> None:
        self.distribution: DistributionSet = as_distribution_set(distribution)
        labels = self.distribution.labels
        super().__init__(labels, weight_set, l1=l1, previous=previous, turnover=turnover)
        self.alpha = checked_alpha(alpha)
        self.mean_weight = as_number(mean_weight, "mean_weight", least=0.0)
        # Newton's method has nothing to find where the risk has kinks, as that of scenarios has.
        self._polishes = isinstance(self.distribution, MomentSet)

    @classmethod
    def from_estimates(
        cls, estimates: Estimates, number: float | None = None, weight_set: WeightSet | None = None
    ) -> Self:
        """For the scenarios of a market's returns; the number is α."""
        return cls(estimates.returns, 0.05 if number is None else number, weight_set=weight_set)

    def _numbers(self) -> Mapping[str, float]:
        weight = {"mean_weight": self.mean_weight} if self.mean_weight else {}
        return {"alpha": self.alpha} | weight

    @cached_property
    def objective_unit(self) -> float:
        """The size of the objective at equal weights."""
        x = self._equal_weights()
        return max(abs(self._value(x)), abs(self._value(-x)), self.trading.cost(x)) or 1.0

    def _state(self, program: Program, x: Variable) -> None:
        risk, costs = self._risk(x), self.trading.state(program, x)
        if not self.trading.is_free:
            risk = risk + costs
        program.minimize((1.0 / self.objective_unit) * risk)

    # --- what a measure of risk says ------------------------------------------------------------

    def _risk(self, x: Affine) -> Any:
        """The worst risk as an expression."""
        return self.distribution.risk(x, self.alpha, self.mean_weight)

    def _value(self, x: FloatArray) -> float:
        """The worst risk in numbers."""
        return self.distribution._risk(x, self.alpha, self.mean_weight)

    def _worst(self, x: FloatArray) -> Worst:
        found = self.distribution._worst(x, self.alpha, self.mean_weight)
        return Worst(self._value(x), self._gradient(x), WorstCase(distribution=found))

    def _gradient(self, x: FloatArray) -> FloatArray:
        return self.distribution._gradient(x, self.alpha, self.mean_weight)

    def _adversary(self, program: Program, x: FloatArray) -> Adversary | None:
        gradient = self.distribution._state_gradient(program, x, self.alpha, self.mean_weight)

        def read(solution: ProgramSolution) -> Worst:
            g = gradient.value(solution.x)
            return Worst(float(g @ x), g, self._worst(x).elements)

        return Adversary(gradient, gradient @ x, read)

    def nominal(self) -> MeanCVaR:
        """The same problem at the centre of its set."""
        problem = MeanCVaR(self.distribution.nominal, self.alpha, self.mean_weight)
        problem.weight_set, problem.trading = self.weight_set, self.trading
        return problem


class MeanEVaR(MeanCVaR):
    """The least mean loss and entropic value at risk.

        minimise over x ∈ X   c E[−x'R] + EVaR_α(−x'R) + Σ γ_i|x_i − x⁰_i|

    EVaR_α is the largest E_P[−x'R] over the P within a relative entropy of −log α of the scenarios:
    at least CVaR_α, and the worst loss for α ≤ 1/N.

    Parameters
    ----------
    distribution : Scenarios, KullbackLeibler, or (N, n) DataFrame or array of scenarios
        The radius of a KullbackLeibler takes the place of −log α; the mean is that of its centre.
    alpha, mean_weight, weight_set, l1, previous, turnover
        As of :class:`MeanCVaR`.

    Raises
    ------
    InputError
        Another set; as for :class:`MeanCVaR`.

    References
    ----------
    Ahmadi-Javid (2012), Entropic value-at-risk.

    Examples
    --------
    >>> from rrp_pyomo import MeanCVaR, MeanEVaR
    >>> returns = [[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01], [0.02, 0.01]]
    >>> tail = MeanCVaR(returns, alpha=0.4).solve()
    >>> entropic = MeanEVaR(returns, alpha=0.4).solve()
    >>> round(tail.objective, 4), round(entropic.objective, 4)
    (-0.0032, -0.0029)
    """

    def __init__(
        self,
        distribution: Any,
        alpha: float = 0.05,
        mean_weight: float = 0.0,
        weight_set: WeightSet | None = None,
        *,
        l1: Any = 0.0,
        previous: Any = None,
        turnover: float | None = None,
    ) -> None:
        given = as_distribution_set(distribution)
        if isinstance(given, Scenarios):
            given = KullbackLeibler(given, -np.log(checked_alpha(alpha)))
        if not isinstance(given, KullbackLeibler):
            raise InputError(
                f"distribution of MeanEVaR is {given!r}; expected Scenarios, or a KullbackLeibler "
                "that gives the radius"
            )
        super().__init__(
            given, alpha, mean_weight, weight_set, l1=l1, previous=previous, turnover=turnover
        )
        self._polishes = True

    @property
    def _scenarios(self) -> KullbackLeibler:
        assert isinstance(self.distribution, KullbackLeibler)
        return self.distribution

    def _risk(self, x: Affine) -> Any:
        risk, c = self.distribution.expected_loss(x), self.mean_weight
        return risk + c * self._scenarios.nominal.expected_loss(x) if c else risk

    def _value(self, x: FloatArray) -> float:
        return self._worst(x).value

    def _worst(self, x: FloatArray) -> Worst:
        gradient = self._gradient(x)
        p = self._scenarios._worst_probabilities(-(self._scenarios.center.R @ x))
        worst_case = WorstCase(distribution=self._scenarios._with(p))
        return Worst(float(gradient @ x), gradient, worst_case)

    def _gradient(self, x: FloatArray) -> FloatArray:
        center = self._scenarios.center
        p = self._scenarios._worst_probabilities(-(center.R @ x))
        return np.asarray(-(center.R.T @ (self.mean_weight * center.p + p)))

    def _adversary(self, program: Program, x: FloatArray) -> Adversary | None:
        center = self._scenarios.center
        p = self._scenarios.state_member(program)
        gradient: Any = -(center.R.T @ (self.mean_weight * center.p + p))

        def read(solution: ProgramSolution) -> Worst:
            g = gradient.value(solution.x)
            return Worst(float(g @ x), g, self._worst(x).elements)

        return Adversary(gradient, gradient @ x, read)

    def nominal(self) -> MeanCVaR:
        """The expected loss of the scenarios, (1 + c) times."""
        problem = MeanCVaR(self._scenarios.nominal, 1.0, self.mean_weight)
        problem.weight_set, problem.trading = self.weight_set, self.trading
        return problem
