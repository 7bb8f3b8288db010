"""Markowitz portfolios, and robust ones: a point or a set in the place of mean and covariance."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rrp_pyomo.data import Covariance, WeightSet
from rrp_pyomo.data.validation import agreed_labels, as_number
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable, norm, sum_squares
from rrp_pyomo.models.best_response import Curvature
from rrp_pyomo.models.judging import Adversary, Worst
from rrp_pyomo.models.robust_problem import RobustProblem
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.uncertainty.covariance_set import CovarianceSet
from rrp_pyomo.uncertainty.covariances.point import CovariancePoint, as_covariance_set
from rrp_pyomo.uncertainty.joint_set import JointSet
from rrp_pyomo.uncertainty.mean_set import MeanSet
from rrp_pyomo.uncertainty.means.point import Point, as_mean_set
from rrp_pyomo.uncertainty.worst_case import WorstCase

if TYPE_CHECKING:
    from rrp_pyomo.models.equivalences import Equivalent


# For so many assets the choice among all elements costs little, and helps where ties are near.
_FEW = 200
# Weights below this are none: the direction of their norm is anybody's guess.
_NOTHING = 1e-6


class MeanVariance(RobustProblem):
    """The best utility at the worst mean and the worst covariance of two sets.

        maximise over x ∈ X   min over μ ∈ U_μ of x'μ − (λ/2) max over Σ ∈ U_Σ of x'Σx
                              − Σ c_i|x_i − x⁰_i| − a‖x‖₂ − b‖x‖₂² − d‖x‖_∞

    With known mean and covariance it is Markowitz's problem; with an :class:`Ellipsoid` of means
    and :class:`LoadingEllipsoids` it is Goldfarb & Iyengar's. Utility is a return per period.

    Parameters
    ----------
    mean : Series, (n,) array, MeanSet or None
        μ or U_μ; None leaves the mean out, which is minimum risk. Beside a joint set, what is added
        to its mean.
    covariance : Covariance, (n, n) DataFrame or array, CovarianceSet or JointSet
        Σ or U_Σ.
    risk_aversion : float
        λ ≥ 0.
    l1 : float, Series, mapping or (n,) array
        c ≥ 0, the costs of trading around ``previous``; around 0 a lasso penalty.
    l2, l2_squared, linf : float
        a, b, d ≥ 0; ``l2_squared`` is the ridge penalty.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.
    previous : Series, mapping or (n,) array, optional
        x⁰, 0 by default.
    turnover : float, optional
        The most that Σ|x_i − x⁰_i| may be.

    Raises
    ------
    InputError
        Numbers below 0, labels that do not agree, nothing to optimise.

    References
    ----------
    Markowitz (1952); Goldfarb & Iyengar (2003); Tütüncü & Koenig (2004).

    Examples
    --------
    With known moments and λ = 2 the weights maximise x'μ − x'Σx on the simplex:

    >>> from rrp_pyomo import MeanVariance
    >>> from rrp_pyomo.uncertainty import Box
    >>> mean, covariance = [0.06, 0.03], [[0.04, 0.0], [0.0, 0.01]]
    >>> MeanVariance(mean, covariance, risk_aversion=2.0).solve().weights.round(3).tolist()
    [0.5, 0.5]

    With means that may be off by 0.02 and 0.005, at their worst:

    >>> robust = MeanVariance(Box(mean, [0.02, 0.005]), covariance, risk_aversion=2.0).solve()
    >>> robust.weights.round(3).tolist(), robust.worst_case.mean.round(3).tolist()
    ([0.35, 0.65], [0.04, 0.025])
    """

    maximising: ClassVar[bool] = True

    def __init__(
        self,
        mean: Any,
        covariance: Any,
        risk_aversion: float = 1.0,
        l1: Any = 0,
        l2: float = 0,
        l2_squared: float = 0,
        linf: float = 0,
        weight_set: WeightSet | None = None,
        *,
        previous: Any = None,
        turnover: float | None = None,
    ) -> None:
        self.mean_set: MeanSet | None = None if mean is None else as_mean_set(mean)
        self.covariance_set: CovarianceSet | JointSet = (
            covariance if isinstance(covariance, JointSet) else as_covariance_set(covariance)
        )
        labels = self.covariance_set.labels
        if self.mean_set is not None:
            n = len(labels)
            agreed_labels("asset", n, covariance=labels, mean=self.mean_set.labels)
        super().__init__(labels, weight_set, l1=l1, previous=previous, turnover=turnover, linf=linf)
        self._risk_aversion = as_number(risk_aversion, "risk_aversion", least=0.0)
        self.l2 = as_number(l2, "l2", least=0.0)
        self.l2_squared = as_number(l2_squared, "l2_squared", least=0.0)
        if mean is None and not (self._risk_aversion or self.l2 or self.l2_squared):
            raise InputError(
                f"MeanVariance without a mean and with risk_aversion={risk_aversion!r} has nothing "
                "to optimise; give a mean or a positive risk_aversion"
            )
        if isinstance(self.covariance_set, CovarianceSet):
            self.covariance = self.covariance_set.center
        else:
            self.covariance = self.covariance_set.nominal[1]

    @property
    def risk_aversion(self) -> float:
        """λ; where it is positive, a parameter: another value keeps what was compiled.

        Raises
        ------
        InputError
            Set to a negative number, or one that is not finite.
        """
        return self._risk_aversion

    @risk_aversion.setter
    def risk_aversion(self, risk_aversion: float) -> None:
        given = as_number(risk_aversion, "risk_aversion", least=0.0)
        if given == 0.0 or not self._is_parametric:
            vars(self).pop("_program", None)
        self._risk_aversion = given
        if "_program" in vars(self):
            self._program.set(risk_aversion=given)

    @property
    def _is_parametric(self) -> bool:
        return self._risk_aversion > 0.0 and isinstance(self.covariance_set, CovarianceSet)

    def _numbers(self) -> Mapping[str, float]:
        given = {"l2": self.l2, "l2_squared": self.l2_squared, "linf": self.trading.largest}
        return {"risk_aversion": self.risk_aversion} | {k: v for k, v in given.items() if v}

    # --- the statement --------------------------------------------------------------------------

    @cached_property
    def objective_unit(self) -> float:
        """The size of the terms of utility at equal weights."""
        x = self._equal_weights()
        variance = float(x @ (self._nominal_covariance.operator @ x))
        sizes = [self.risk_aversion / 2 * variance, self.trading.cost(x), self.l2 / np.sqrt(x.size)]
        if self.mean_set is not None:
            center = self.mean_set._center
            sizes += [abs(float(center @ x)), float(np.abs(center).mean())]
            sizes.append(self.mean_set._support(-x) + float(center @ x))
        return max(sizes) or 1.0

    @property
    def _nominal_covariance(self) -> Covariance:
        assert self.covariance is not None
        return self.covariance

    def _net_return(self, program: Program, x: Variable) -> Any:
        """The worst mean return less costs and penalties, concave, with the limits on trading."""
        worst: Any = 0.0
        if self.mean_set is not None:
            worst = worst - self.mean_set.support(-x)
        charges = self.trading.state(program, x)
        if self.l2:
            charges = charges + self.l2 * norm(x)
        if self.l2_squared:
            charges = charges + self.l2_squared * sum_squares(x)
        return worst - charges

    def _state(self, program: Program, x: Variable) -> None:
        utility = self._net_return(program, x)
        if isinstance(self.covariance_set, JointSet):
            utility = utility - self.covariance_set.loss(x, self.risk_aversion)
        elif self.risk_aversion:
            aversion = program.parameter("risk_aversion", self.risk_aversion)
            utility = utility - (0.5 * aversion) * self.covariance_set.variance(x)
        program.maximize(utility * (1.0 / self.objective_unit))

    # --- the worst case -------------------------------------------------------------------------

    def _worst(self, x: FloatArray) -> Worst:
        mean = None if self.mean_set is None else self.mean_set._worst(-x)
        return self._loss_at(x, mean)

    def _gradient(self, x: FloatArray) -> FloatArray:
        if isinstance(self.covariance_set, JointSet):
            return super()._gradient(x)
        size = float(np.linalg.norm(x)) or 1.0
        gradient = self.risk_aversion * self.covariance_set._marginal_risk(x)
        if self.mean_set is not None:
            gradient = gradient - self.mean_set._worst(-x)
        return gradient + (self.l2 / size + 2.0 * self.l2_squared) * x

    def _gradient_changes(self, x: FloatArray, directions: FloatArray) -> FloatArray:
        if isinstance(self.covariance_set, JointSet):
            return super()._gradient_changes(x, directions)
        total = self.risk_aversion * self.covariance_set._marginal_changes(x, directions)
        if self.mean_set is not None:
            total = total + self.mean_set._worst_changes(-x, directions)
        size = float(np.linalg.norm(x)) or 1.0
        along = np.outer(x / size, (x / size) @ directions)
        return total + self.l2 / size * (directions - along) + 2.0 * self.l2_squared * directions

    def _loss_at(self, x: FloatArray, mean: FloatArray | None) -> Worst:
        """The loss at a mean and at the worst covariance, with its gradient."""
        total, covariance, loadings = mean, None, None
        half = self.risk_aversion / 2.0
        if isinstance(self.covariance_set, JointSet):
            found = self.covariance_set.worst(x, self.risk_aversion)
            covariance, loadings = found.covariance, found.loadings
            if found.mean is not None:
                own = found.mean.to_numpy()
                total = own if total is None else total + own
        else:
            covariance = self.covariance_set._worst(x)
            loadings = getattr(self.covariance_set, "worst_loadings", lambda w: None)(x)
        assert covariance is not None
        Sigma_x = covariance.operator @ x
        value, gradient = half * float(x @ Sigma_x), 2.0 * half * Sigma_x
        if total is not None:
            value, gradient = value - float(total @ x), gradient - total
        size = float(np.linalg.norm(x))
        value += self.l2 * size + self.l2_squared * size**2
        gradient = gradient + (self.l2 / (size or 1.0) + 2.0 * self.l2_squared) * x
        labelled = None if total is None else self._by_asset(total, "mean")
        return Worst(value, gradient, WorstCase(labelled, covariance, loadings))

    def _adversary(self, program: Program, x: FloatArray) -> Adversary | None:
        risk = joint = None
        if isinstance(self.covariance_set, JointSet):
            joint = self.covariance_set._state_worst_jointly(program, x, self.risk_aversion)
        elif self.risk_aversion:
            risk = self.covariance_set._state_worst(program, x)
        tied = self.mean_set is not None and self.mean_set._has_ties(-x)
        tied = tied or (self.l2 > 0.0 and float(np.abs(x).max()) < _NOTHING)
        nothing_to_choose = self.mean_set is None and not self.l2
        settled = risk is None and joint is None
        if settled and (nothing_to_choose or (x.size > _FEW and not tied)):
            return None
        rest = self._loss_at(x, None)
        size = float(np.linalg.norm(x))
        gradient: Any = rest.gradient - (self.l2 / (size or 1.0)) * x
        loss: Any = rest.value - self.l2 * size
        assert rest.elements.covariance is not None
        marginal_risk = rest.elements.covariance.operator @ x
        if risk is not None:
            change = self.risk_aversion * (risk.marginal_risk - marginal_risk)
            gradient, loss = gradient + change, loss + 0.5 * (change @ x)
        if joint is not None:
            gradient, loss = gradient + joint.gradient, loss + joint.loss
        if self.mean_set is not None:
            mean = program.variable("mean", x.size, unit=self.mean_set._unit)
            self.mean_set.state_member(program, mean)
            gradient, loss = gradient - mean, loss - mean @ x
        if self.l2:  # a‖x‖ = max of a s'x over ‖s‖ ≤ 1
            s = program.variable("direction", x.size)
            program.subject_to(unit_ball=norm(s) <= 1.0)
            gradient, loss = gradient + self.l2 * s, loss + self.l2 * (s @ x)

        def read(solution: ProgramSolution) -> Worst:
            at: FloatArray | None = None
            if self.mean_set is not None:
                at = self.mean_set._pulled_inside(solution.arrays["mean"])
            chosen = self._loss_at(x, at)
            if risk is not None:
                covariance, marginal = risk.read(solution)
                change = self.risk_aversion * (marginal - marginal_risk)
                chosen = chosen.moved(change, 0.5 * float(change @ x), covariance)
            if joint is not None:
                member, change, value = joint.read(solution)
                mean_at = member.mean if at is None or member.mean is None else member.mean + at
                elements = replace(
                    member, mean=chosen.elements.mean if mean_at is None else mean_at
                )
                chosen = chosen.moved(change, value)._replace(elements=elements)
            if not self.l2:
                return chosen
            direction = solution.arrays["direction"]
            direction = direction / max(1.0, float(np.linalg.norm(direction)))
            change = self.l2 * (direction - x / (size or 1.0))
            return chosen.moved(change, float(change @ x))

        return Adversary(gradient, loss, read)

    def _curvature(self, x: FloatArray, worst: Worst) -> Curvature | None:
        covariance = worst.elements.covariance
        if covariance is None or not self.risk_aversion:
            return None
        return Curvature(covariance.root, self.risk_aversion / 2.0)

    def nominal(self) -> MeanVariance:
        """The same problem at the centres of its sets."""
        mean: FloatArray | None = None
        if self.mean_set is not None:
            mean = self.mean_set.center.to_numpy()
        if isinstance(self.covariance_set, JointSet):
            own, covariance = self.covariance_set.nominal
            mean = own if mean is None else mean + own
        else:
            covariance = self.covariance_set.center
        return self._varied(
            mean_set=None if mean is None else Point(self._by_asset(mean, "mean")),
            covariance_set=CovariancePoint(covariance),
        )

    # --- what else has the same weights ---------------------------------------------------------

    def equivalent(self, portfolio: Portfolio | None = None) -> tuple[Equivalent, ...]:
        """Other problems that have the same weights: ridge, lasso, shrinkage, larger λ, ….

        Parameters
        ----------
        portfolio : Portfolio, optional
            The answer: then also those whose numbers depend on it, among them Markowitz's problem
            for the worst mean and covariance.

        Returns
        -------
        tuple of Equivalent
            Each with a ``name``, the ``problem``, and ``because``.
        """
        from rrp_pyomo.models.equivalences import equivalents, equivalents_at

        found = list(equivalents(self))
        if portfolio is not None:
            x = self._aligned(portfolio.weights)
            found += equivalents_at(self, x, portfolio.worst_case or self.worst_case(x))
        return tuple(found)

    def _varied(self, **changes: Any) -> MeanVariance:
        """The problem with some of its parts changed."""
        problem = copy(self)
        for name in ("_program", "objective_unit"):
            vars(problem).pop(name, None)
        for name, value in changes.items():
            setattr(problem, "_risk_aversion" if name == "risk_aversion" else name, value)
        if not isinstance(problem.covariance_set, JointSet):
            problem.covariance = problem.covariance_set.center
        return problem
