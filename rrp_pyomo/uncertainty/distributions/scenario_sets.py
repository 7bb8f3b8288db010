"""Sets of probabilities on given scenarios: p ∈ P, returns R_1 … R_N as they are."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import Labels, Matrix, as_floats
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, Composite, cvar, maximum
from rrp_pyomo.modeling.composite import Term
from rrp_pyomo.modeling.constraints import Bounded
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operators import Expression
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty.base import sample_size
from rrp_pyomo.uncertainty.distribution_set import DistributionSet
from rrp_pyomo.uncertainty.distributions.distribution import Distribution, tail

# Losses this close to the quantile, relative to their range, may share its place in the tail.
_NEAR = 1e-3
# What weights of a solver may move a loss by, relative to the largest return.
_ROUGH = 1e-5


class ScenarioSet(DistributionSet):
    """Distributions that give given scenarios other probabilities, p ∈ P.

    The worst expectation of losses ℓ, a row for each scenario, is max of p'ℓ over P; CVaR is
    min over τ of it for ℓ = τ + (L − τ)₊/α (Rockafellar & Uryasev 2000; Zhu & Fukushima 2009).

    A subclass says which probabilities attain max p'ℓ, which cones bound it, and what makes
    probabilities members.

    Attributes
    ----------
    center : Distribution
        The scenarios with their nominal probabilities p̂.
    """

    center: Distribution

    @property
    def labels(self) -> Labels:  # type: ignore[override]
        """The assets."""
        return self.center.labels

    @property
    def nominal(self) -> Scenarios:
        """The scenarios with p̂."""
        return Scenarios(self.center)

    @property
    def scenarios(self) -> pd.DataFrame:
        """Returns by scenario and asset."""
        return self.center.scenarios

    @property
    def probabilities(self) -> pd.Series:
        """p̂ by scenario."""
        return self.center.probabilities

    @property
    def _is_point(self) -> bool:
        """Whether p̂ is the only member, so that no cone is needed."""
        return False

    # --- what a subclass says -------------------------------------------------------------------

    @abstractmethod
    def _worst_probabilities(self, losses: FloatArray) -> FloatArray:
        """p ∈ P with the largest p'ℓ."""

    @abstractmethod
    def _bounded(self, losses: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """The memberships that say max p'ℓ ≤ bound, as of :meth:`Term.epigraph`."""

    @abstractmethod
    def _state_probabilities(self, program: Program, p: Affine) -> None:
        """State p ∈ P for p ≥ 0 of sum 1."""

    @abstractmethod
    def _outside(self, p: FloatArray) -> float:
        """By how much probabilities of sum 1 are outside of P, at most 0 inside."""

    # --- expectations ---------------------------------------------------------------------------

    def worst_expectation(self, losses: Any) -> Any:
        """sup over P of E[ℓ] = max over p ∈ P of p'ℓ.

        Parameters
        ----------
        losses : Series, (N,) array, or an expression of N rows
            By scenario; affine, or a sum of convex terms such as ``-log(1 + R @ w)``.

        Returns
        -------
        float, or a convex expression
        """
        if isinstance(losses, Expression):
            return self._worst_expectation(losses)
        numbers = self._by_scenario(losses)
        return float(self._worst_probabilities(numbers) @ numbers)

    def worst_probabilities(self, losses: Any) -> pd.Series:
        """The probabilities that attain :meth:`worst_expectation` of losses by scenario."""
        p = self._worst_probabilities(self._by_scenario(losses))
        return pd.Series(p, index=self.center.index, name="probability")

    def _by_scenario(self, losses: Any) -> FloatArray:
        if isinstance(losses, pd.Series) and losses.index.is_unique:
            losses = losses.reindex(self.center.index)
        numbers = as_floats(losses, "losses", 1)
        if numbers.shape != self.center.p.shape or not np.isfinite(numbers).all():
            raise InputError(
                f"losses have shape {numbers.shape}; expected a finite number for each of the "
                f"{len(self.center.p)} scenarios"
            )
        return numbers

    def _worst_expectation(self, losses: Any) -> Any:
        if losses.size != len(self.center.p):
            raise InputError(
                f"{losses!r} has {losses.size} rows; expected one for each of the "
                f"{len(self.center.p)} scenarios"
            )
        if self._is_point:
            return self.center.p @ losses
        if isinstance(losses, Composite):
            program = next(e.program for e in losses.affine_parts() if e.program is not None)
            losses = bound_by(program, "loss", losses)
        return Composite.of(
            WorstExpectation(self, losses), joined("worst_expectation", losses.notation)
        )

    def _unit(self, w: Affine) -> float:
        return w.magnitude * float(np.abs(self.center.R).max()) or 1.0

    def _losses(self, w: Affine) -> Affine:
        """L = −Rw by scenario."""
        losses: Affine = -(Named("R", self.center.R) @ w)
        return losses

    def _piecewise(self, w: Affine, slopes: list[float], intercepts: list[Any]) -> Any:
        L = self._losses(w)
        pieces = [
            piece_of(L, slope, intercept)
            for slope, intercept in zip(slopes, intercepts, strict=True)
        ]
        return self._worst_expectation(maximum(*pieces) if len(pieces) > 1 else pieces[0])

    def _piecewise_value(self, w: FloatArray, slopes: FloatArray, intercepts: FloatArray) -> float:
        L = -(self.center.R @ w)
        losses = (L[:, None] * slopes + intercepts).max(axis=1)
        return float(self._worst_probabilities(losses) @ losses)

    # --- risk -----------------------------------------------------------------------------------

    def _risk_expression(self, w: Affine, alpha: float, mean_weight: float) -> Any:
        if not self._is_point:
            return super()._risk_expression(w, alpha, mean_weight)
        L = self._losses(w)
        risk = cvar(L, alpha, self.center.p)
        return risk + mean_weight * (self.center.p @ L) if mean_weight else risk

    def _worst(self, w: FloatArray, alpha: float, mean_weight: float) -> Distribution:
        return self._with(self._worst_of_risk(-(self.center.R @ w), alpha, mean_weight))

    def _with(self, p: FloatArray) -> Distribution:
        """The scenarios with other probabilities."""
        return Distribution(self.center.scenarios, p)

    def _worst_of_risk(self, L: FloatArray, alpha: float, mean_weight: float) -> FloatArray:
        """p of the largest mean_weight · p'L + CVaR_α: a program in p and the tail q ≤ p/α."""
        size = float(np.ptp(L))
        if self._is_point or size == 0.0 or alpha == 1.0:
            return self._worst_probabilities(L)
        program = Program("adversary")
        p, q = self._state_tail(program, alpha)
        program.maximize((mean_weight * p + q) @ ((L - L.min()) / size))
        return self._near(p.value(solve_program(program).x))

    def _near(self, p: FloatArray) -> FloatArray:
        """The member that a solver's probabilities miss by rounding."""
        p = p.clip(min=0.0)
        return np.asarray(p / p.sum())

    def _state_tail(self, program: Program, alpha: float) -> tuple[Affine, Affine]:
        """p ∈ P and 0 ≤ q ≤ p/α of sum 1 as variables."""
        N = len(self.center.p)
        p = self.state_member(program)
        q = program.variable("q", N, lower=0.0, unit=1.0 / N)
        program.subject_to(tail_total=q.sum() == 1.0, tail=alpha * q <= p)
        return p, q

    def state_member(self, program: Program) -> Affine:
        """Probabilities p ∈ P as a variable of a program."""
        N = len(self.center.p)
        p = program.variable("p", N, lower=0.0, unit=1.0 / N)
        program.subject_to(total=p.sum() == 1.0)
        self._state_probabilities(program, p)
        return p

    def _state_gradient(
        self, program: Program, w: FloatArray, alpha: float, mean_weight: float
    ) -> Affine:
        p, q = self._state_tail(program, alpha)
        gradient: Affine = -(self.center.R.T @ (mean_weight * p + q))
        return gradient

    # --- members --------------------------------------------------------------------------------

    def contains(self, element: Any, tolerance: float = 1e-9) -> bool:
        """Whether a distribution, or probabilities by scenario, is in the set.

        Raises
        ------
        InputError
            A distribution on other scenarios than these in this order, of which probabilities by
            scenario cannot be told.
        """
        if isinstance(element, Distribution):
            if element.R.shape != self.center.R.shape or not np.allclose(
                element.R, self.center.R, rtol=0.0, atol=tolerance
            ):
                raise InputError(
                    f"{element!r} is not on the {len(self.center.p)} scenarios of {self!r}; "
                    "expected the same scenarios in the same order"
                )
            element = element.p
        p = self._by_scenario(element)
        if p.min() < -tolerance or abs(p.sum() - 1.0) > tolerance:
            return False
        return self._outside(p) <= tolerance

    def sample(self, rng: np.random.Generator, size: int) -> list[Distribution]:
        """Members: the worst ones in random directions, drawn towards the centre."""
        sample_size(rng, size)
        members = []
        for reach in np.sqrt(rng.uniform(size=size)):
            border = self._worst_probabilities(rng.standard_normal(len(self.center.p)))
            members.append(self._with(self.center.p + reach * (border - self.center.p)))
        return members


class WorstExpectation(Term):
    """max over p ∈ P of p'ℓ."""

    name = "worst_expectation"
    curvature = 1

    def __init__(self, given: ScenarioSet, losses: Affine) -> None:
        self.set = given
        self.arguments = (losses,)

    def value(self, x: FloatArray) -> FloatArray:
        losses = self.arguments[0].value(x)
        return np.array([self.set._worst_probabilities(losses) @ losses])

    def epigraph(self, bound: Affine, new: Any) -> list[Bounded]:
        return self.set._bounded(self.arguments[0], bound, new)


def piece_of(loss: Affine, slope: float, intercept: Any) -> Any:
    """slope · loss + intercept, as it would be written."""
    if slope == 0.0:
        return intercept
    piece = loss if slope == 1.0 else slope * loss
    is_zero = isinstance(intercept, (int, float)) and intercept == 0.0
    return piece if is_zero else piece + intercept


def bound_by(program: Any, name: str, value: Any) -> Affine:
    """A variable above a convex expression, which a minimum pulls down to it; affine ones stay."""
    if not isinstance(value, Composite):
        affine: Affine = value
        return affine
    unit = max(e.magnitude for e in value.affine_parts())
    name = program.free_name(name)
    size = None if value.size == 1 else value.size
    bound: Affine = program.variable(name, size, unit=unit)
    program.subject_to(**{program.free_name(f"{name}_bound"): bound >= value})
    program.definitions.append((bound, value.value))
    return bound


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Scenarios(ScenarioSet):
    """Scenarios with known probabilities: the set of one distribution.

    Parameters
    ----------
    returns : (N, n) DataFrame or array, or Distribution
        By scenario and asset, per-period decimals.
    probabilities : Series, mapping or (N,) array, optional
        Nonnegative, summing to 1; equal by default.

    Raises
    ------
    InputError
        Returns that are missing or not finite, probabilities that are none.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import Scenarios
    >>> given = Scenarios([[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]])
    >>> round(given.expected_loss([0.5, 0.5]), 4), round(given.risk([0.5, 0.5], alpha=0.25), 4)
    (-0.01, 0.02)
    """

    center: Distribution

    def __init__(self, returns: Matrix | Distribution, probabilities: Any = None) -> None:
        if isinstance(returns, Distribution):
            returns, probabilities = returns.scenarios, returns.p
        vars(self).update(center=Distribution(returns, probabilities))

    @property
    def formula(self) -> str:
        return r"\{\hat P\}, \quad \hat P = \sum_i \hat p_i \delta_{R_i}"

    def _numbers(self) -> dict[str, float]:
        return {"scenarios": len(self.center.p)}

    @property
    def _is_point(self) -> bool:
        return True

    def _worst_probabilities(self, losses: FloatArray) -> FloatArray:
        return self.center.p

    def _bounded(self, losses: Affine, bound: Affine, new: Any) -> list[Bounded]:
        raise NotImplementedError("a known distribution has an expectation without cones")

    def _state_probabilities(self, program: Program, p: Affine) -> None:
        program.subject_to(known=p == self.center.p)

    def _state_gradient(
        self, program: Program, w: FloatArray, alpha: float, mean_weight: float
    ) -> Affine:
        """−R'(c p̂ + q): which part of their mass losses near the quantile have in the tail."""
        R, p = self.center.R, self.center.p
        L = -(R @ w)
        certain = tail(L, p, alpha)
        gap = L - L[certain > 0.0].min()
        near = np.abs(gap) <= max(_NEAR * float(np.ptp(L)), _ROUGH * float(np.abs(R).max()))
        certain = np.where(near, 0.0, certain)
        share = program.variable("q", int(near.sum()), lower=0.0, upper=p[near] / alpha)
        program.subject_to(tail_total=share.sum() == 1.0 - certain.sum())
        chosen: Any = -(R[near].T @ share)
        gradient: Affine = chosen - R.T @ (mean_weight * p + certain)
        return gradient

    def _outside(self, p: FloatArray) -> float:
        return float(np.abs(p - self.center.p).max())


def as_scenarios(scenarios: Any) -> Distribution:
    """The scenarios and nominal probabilities of what a set is made around."""
    if isinstance(scenarios, Scenarios):
        return scenarios.center
    return scenarios if isinstance(scenarios, Distribution) else Distribution(scenarios)


def as_distribution_set(distribution: Any) -> DistributionSet:
    """A set of distributions as it is, scenarios or a distribution as the set of one element.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import as_distribution_set
    >>> as_distribution_set([[0.04, 0.01], [-0.06, 0.02]])
    Scenarios(2 assets, scenarios=2)
    """
    return distribution if isinstance(distribution, DistributionSet) else Scenarios(distribution)
