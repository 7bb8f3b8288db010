"""Expected utility of wealth, over a distribution or the worst of a set of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.data import ResolvedWeightSet, WeightSet
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import ModelError, SolverError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, Variable
from rrp_pyomo.models.judging import Adversary, Worst
from rrp_pyomo.models.robust_problem import RobustProblem
from rrp_pyomo.models.utility import KinkedUtility, Utility, as_utility
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.uncertainty.distribution_set import DistributionSet
from rrp_pyomo.uncertainty.distributions.distribution import Distribution
from rrp_pyomo.uncertainty.distributions.pieces import state_pieces, worst_of_pieces
from rrp_pyomo.uncertainty.distributions.scenario_sets import ScenarioSet, as_distribution_set
from rrp_pyomo.uncertainty.worst_case import WorstCase

# Weights beyond are no answer: some of them gain in every scenario.
_LARGEST_GROSS = 1e6


class ExpectedUtility(RobustProblem):
    """The portfolio with the best expected utility under the worst distribution of a set.

        maximise over x ∈ X   min over P ∈ U of E_P[u(W)] − Σ c_i|x_i − x⁰_i|,
        W = 1 + r_f + x'(R − r_f)

    What is not invested earns r_f; with 1'x = 1 the wealth is 1 + x'R. The utility is log W, the
    growth rate (Kelly 1956); W^{1−γ}/(1−γ), of constant relative risk aversion γ; or the return
    x − b (k − x)₊, x = W − 1, to which a shortfall below k counts 1 + b times.

    Over scenarios these are exponential cones, power cones and linear rows. The worst expectation
    over probabilities of given scenarios adds the cones of the set. The last utility is piecewise
    linear, so that it has a worst case under sets of distributions of other returns, too: with
    means and covariances alone it is Scarf's,

        E[u] ≥ m − (b/2) (√(v + (k − m)²) + k − m)

    for m the worst mean and v the worst variance of x, attained on two points, k ± √(v + (k − m)²);
    in a Wasserstein ball of order 1 and radius ε it is E[u] − ε (1 + b) ‖x‖_*.

    Guarantee: convex; for all distributions of the set the expected utility is at least
    ``worst_value``, and no other admissible weights have a better worst case. Under logarithmic and
    power utility wealth is positive in every scenario.

    Parameters
    ----------
    distribution : DataFrame of returns by scenario, or set of distributions
        A point or a set U; returns per period, decimals.
    utility : "log", PowerUtility or KinkedUtility
        u.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.
    risk_free : float
        r_f per period.
    l1 : float, Series, mapping or (n,) array
        c ≥ 0, the costs of trading around ``previous``.
    previous : Series, mapping or (n,) array, optional
        x⁰, 0 by default.
    turnover : float, optional
        The most that Σ|x_i − x⁰_i| may be.

    Raises
    ------
    InputError
        Another utility, no distribution, numbers that are not finite.
    ModelError
        A set that has returns beyond the scenarios, and a utility that falls faster than linearly:
        logarithmic and power utility have the worst case −∞ in every Wasserstein ball with
        unbounded support, and under given moments; with a support polytope there is no exact convex
        counterpart.

    References
    ----------
    Kelly (1956), A new interpretation of information rate; Scarf (1958), A min-max solution of an
    inventory problem; Hu & Hong (2013); Mohajerin Esfahani & Kuhn (2018).

    Examples
    --------
    Kelly's bet at even odds, won three times in five: 2p − 1 = 0.2 of wealth, the rest in cash.

    >>> from rrp_pyomo import ExpectedUtility, WeightSet
    >>> from rrp_pyomo.uncertainty import Scenarios
    >>> bet = Scenarios([[1.0], [-1.0]], [0.6, 0.4])
    >>> kelly = ExpectedUtility(bet, "log", WeightSet(fully_invested=False)).solve()
    >>> kelly.weights.round(4).tolist()
    [0.2]
    """

    maximising: ClassVar[bool] = True

    def __init__(
        self,
        distribution: Any,
        utility: Any = "log",
        weight_set: WeightSet | None = None,
        risk_free: float = 0.0,
        *,
        l1: Any = 0.0,
        previous: Any = None,
        turnover: float | None = None,
    ) -> None:
        self.distribution: DistributionSet = as_distribution_set(distribution)
        self.utility: Utility = as_utility(utility)
        self.risk_free = as_number(risk_free, "risk_free")
        if not isinstance(self.distribution, ScenarioSet) and not self.utility.has_bounded_slope:
            raise ModelError(
                f"{type(self.utility).__name__} falls faster than linearly, and "
                f"{self.distribution!r} has returns beyond the scenarios: its worst case is −∞, or "
                "has no exact convex counterpart; use KinkedUtility(b, k), or a set of "
                "probabilities of scenarios, such as KullbackLeibler"
            )
        super().__init__(
            self.distribution.labels, weight_set, l1=l1, previous=previous, turnover=turnover
        )

    def _numbers(self) -> Mapping[str, float]:
        given = {"risk_free": self.risk_free} if self.risk_free else {}
        return {name: float(value) for name, value in vars(self.utility).items()} | given

    # --- the statement --------------------------------------------------------------------------

    @cached_property
    def objective_unit(self) -> float:
        """The size of returns at equal weights."""
        x, center = self._equal_weights(), getattr(self.distribution, "center", None)
        if center is None:
            size = abs(self._worst(x).value)
        else:
            size = float(center.p @ np.abs(center.R @ x))
        return max(size, self.trading.cost(x)) or 1.0

    def _state(self, program: Program, x: Variable) -> None:
        loss = self._loss_expression(x) + self.trading.state(program, x)
        program.maximize(-loss * (1.0 / self.objective_unit))

    def _loss_expression(self, x: Affine) -> Any:
        """sup over P of E[−u(W)]."""
        if isinstance(self.utility, KinkedUtility):
            slopes, intercepts = self._pieces(x.sum())
            return self.distribution.worst_piecewise(x, slopes, intercepts)
        wealth = self.growth @ x + (1.0 + self.risk_free)
        return self._scenarios.worst_expectation(-self.utility.of(wealth))

    @property
    def _scenarios(self) -> ScenarioSet:
        if not isinstance(self.distribution, ScenarioSet):
            raise ModelError(
                f"{self.distribution!r} has no scenarios of its own; look at what is worst for "
                "weights, worst_case(weights).distribution"
            )
        return self.distribution

    @cached_property
    def growth(self) -> Named:
        """R − r_f, scenarios × assets."""
        return Named("R", self._scenarios.center.R - self.risk_free)

    def _pieces(self, invested: Any) -> tuple[list[float], list[Any]]:
        """−u(W) = max of a L + c over two pieces, with L = −x'R and x = r_f (1 − 1'x) − L."""
        assert isinstance(self.utility, KinkedUtility)
        b, k = self.utility.b, self.utility.k
        cash = self.risk_free * (1.0 - invested) if self.risk_free else 0.0
        slopes, intercepts = [1.0, 1.0 + b], [-cash, b * k - (1.0 + b) * cash]
        return (slopes, intercepts) if b else (slopes[:1], intercepts[:1])

    # --- the worst case -------------------------------------------------------------------------

    def wealth(self, weights: Any) -> FloatArray:
        """What a unit of wealth becomes in the scenarios, (N,).

        Raises
        ------
        ModelError
            The set has no scenarios of its own.
        """
        return self._wealth(self._aligned(weights), self._scenarios.center.R)

    def _wealth(self, x: FloatArray, R: FloatArray) -> FloatArray:
        return 1.0 + self.risk_free + (R - self.risk_free) @ x

    def certainty_equivalent(self, weights: Any) -> float:
        """The return that is as good as the worst distribution's, costs apart: u⁻¹(E[u]) − 1."""
        return self.utility.inverse(-self._worst(self._aligned(weights)).value) - 1.0

    def _worst(self, x: FloatArray) -> Worst:
        if isinstance(self.distribution, ScenarioSet):
            u = self.utility.value(self._wealth(x, self.distribution.center.R))
            if not np.isfinite(u).all():  # wealth is lost in a scenario that has a probability
                return Worst(np.inf, np.full(x.size, np.nan), WorstCase())
            worst = self.distribution._worst_probabilities(-u)
            return self._loss_under(x, Distribution(self.distribution.scenarios, worst))
        slopes, intercepts = map(np.array, self._pieces(float(x.sum())))
        value = float(self.distribution._piecewise_value(x, slopes, intercepts))
        found = self._loss_under(x, worst_of_pieces(self.distribution, x, slopes, intercepts))
        return found._replace(value=value)

    def _loss_under(self, x: FloatArray, worst: Distribution) -> Worst:
        """The loss under a distribution, with its gradient."""
        wealth = self._wealth(x, worst.R)
        loss = -float(worst.p @ self.utility.value(wealth))
        gradient = -(worst.R - self.risk_free).T @ (worst.p * self.utility.slope(wealth))
        return Worst(loss, gradient, WorstCase(distribution=worst))

    @cached_property
    def _reachable(self) -> ResolvedWeightSet:
        """X, and wealth of at least 0 in every scenario where X is unbounded and u asks for it."""
        X = self.weight_set
        bounded = X.gross is not None or (X.fully_invested and X.long_only)
        bounded = bounded or bool(np.isfinite(X.lower).all() and np.isfinite(X.upper).all())
        if bounded or self.utility.has_bounded_slope:
            return X
        R = np.unique(self._scenarios.center.R - self.risk_free, axis=0)
        rows = sp.csr_matrix(R) if X.matrix is None else sp.vstack([X.matrix, R], format="csr")
        return replace(
            X,
            matrix=rows,
            row_lower=np.append(X.row_lower, np.full(len(R), -1.0 - self.risk_free)),
            row_upper=np.append(X.row_upper, np.full(len(R), np.inf)),
            row_names=(*X.row_names, *(f"wealth {i + 1}" for i in range(len(R)))),
            is_orthant=False,
        )

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        require_bounded(solution.arrays["x"])
        return super()._portfolio(solution)

    def _adversary(self, program: Program, x: FloatArray) -> Adversary | None:
        if isinstance(self.utility, KinkedUtility):
            return self._adversary_of_pieces(program, x)
        given = self._scenarios
        R = given.center.R
        wealth = self._wealth(x, R)
        u, slope = self.utility.value(wealth), self.utility.slope(wealth)
        if not np.isfinite(u).all():
            return None
        p = given.state_member(program)

        def read(solution: ProgramSolution) -> Worst:
            shares = solution.arrays["p"].clip(min=0.0)
            return self._loss_under(x, Distribution(given.scenarios, shares / shares.sum()))

        gradient: Any = -((R - self.risk_free).T @ (slope * p))
        loss: Any = -(u @ p)
        return Adversary(gradient, loss, read)

    def _adversary_of_pieces(self, program: Program, x: FloatArray) -> Adversary | None:
        slopes, intercepts = map(np.array, self._pieces(float(x.sum())))
        stated = state_pieces(self.distribution, program, x, slopes, intercepts)
        if stated is None:
            return None
        # The intercepts move with the cash 1 − 1'x, which earns r_f.
        gradient: Any = stated.gradient
        loss: Any = stated.gradient @ x
        for a, b, mass in zip(slopes, intercepts, stated.masses, strict=True):
            loss = loss + b * mass
            gradient = gradient + _times(self.risk_free * a * np.ones(x.size), mass)

        def read(solution: ProgramSolution) -> Worst:
            value, g = (e.value(solution.x) for e in (loss, gradient))
            return Worst(float(value[0]), g, self._worst(x).elements)

        return Adversary(gradient, loss, read)

    def nominal(self) -> ExpectedUtility:
        """The same problem for the nominal distribution: scenarios, or known moments."""
        problem = ExpectedUtility(self.distribution.nominal, self.utility, risk_free=self.risk_free)
        problem.weight_set, problem.trading = self.weight_set, self.trading
        return problem


def require_bounded(amounts: FloatArray) -> None:
    """Raise where a solver stopped on its way to infinity.

    Raises
    ------
    SolverError
        Amounts of more than a million times the wealth.
    """
    gross = float(np.abs(amounts).sum(axis=-1).max())
    if not gross <= _LARGEST_GROSS:
        raise SolverError(
            f"the best weights are unbounded, a gross of {gross:.3g} was reached: some gain in "
            "every scenario; give the weight set bounds, such as WeightSet(lower=-1, upper=1)"
        )


def _times(numbers: FloatArray, mass: Any) -> Any:
    """Numbers times a scalar expression, or a number."""
    return numbers[:, None] @ mass if isinstance(mass, Affine) else numbers * mass
