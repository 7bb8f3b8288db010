"""Boxes, ellipsoids and mixtures of scenario probabilities, as Zhu & Fukushima (2009) have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from rrp_pyomo.data.validation import Matrix, agreed_labels, as_floats, by_label, frozen
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, norm
from rrp_pyomo.modeling.cones import NONNEGATIVE, SECOND_ORDER
from rrp_pyomo.modeling.constraints import Bounded, InCone
from rrp_pyomo.modeling.expressions import repeated_rows
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty.distributions.distribution import Distribution
from rrp_pyomo.uncertainty.distributions.scenario_sets import ScenarioSet, as_scenarios


class ScenarioProbabilities(ScenarioSet):
    """Scenarios with probabilities in a box, an ellipsoid, or the hull of several ones.

    The worst CVaR is min over τ of τ + max p'(L − τ)₊/α (Zhu & Fukushima 2009), the maximum inside:
    CVaR is concave in the probabilities, so that the worst mixture can exceed its worst part.

    References
    ----------
    Zhu & Fukushima (2009), Worst-case conditional value-at-risk with application to robust
    portfolio management.

    Examples
    --------
    Each of four scenarios has a probability between 0.2 and 0.3:

    >>> from rrp_pyomo.uncertainty import ScenarioProbabilities
    >>> returns = [[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]]
    >>> given = ScenarioProbabilities.box(returns, 0.2, 0.3)
    >>> round(given.expected_loss([0.5, 0.5]), 4)
    -0.0075
    >>> given.worst([0.5, 0.5], 1.0).probabilities.round(3).tolist()
    [0.2, 0.3, 0.3, 0.2]
    """

    @staticmethod
    def box(scenarios: Any, lower: Any, upper: Any) -> ScenarioProbabilities:
        """{p : lower ≤ p ≤ upper, 1'p = 1}: linear programs.

        Parameters
        ----------
        scenarios : Scenarios, or (N, n) DataFrame or array of returns
        lower, upper : float, Series or (N,) array
            By scenario.

        Raises
        ------
        InputError
            Bounds that are not in order, or that no probabilities keep to.
        """
        return ProbabilityBox(scenarios, lower, upper)

    @staticmethod
    def ellipsoid(scenarios: Any, A: Matrix) -> ScenarioProbabilities:
        """{p̂ + Az ≥ 0 : ‖z‖₂ ≤ 1, 1'Az = 0}: a second-order cone.

        Parameters
        ----------
        scenarios : Scenarios, or (N, n) DataFrame or array of returns
            With p̂.
        A : (N, k) array

        Raises
        ------
        InputError
            A of another shape, or entries that are not finite.
        """
        return ProbabilityEllipsoid(scenarios, A)

    @staticmethod
    def mixture(parts: Iterable[Any]) -> ScenarioProbabilities:
        """{Σ λ_k P_k : λ ≥ 0, 1'λ = 1}, the centre having equal λ: linear programs.

        Parameters
        ----------
        parts : iterable of Scenarios, Distribution, DataFrames or arrays of returns
            P_k, on the same scenarios or each on its own.

        Raises
        ------
        InputError
            No parts, or parts of different assets.
        """
        return ProbabilityMixture(parts)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ProbabilityBox(ScenarioProbabilities):
    """{p : lower ≤ p ≤ upper, 1'p = 1}; see :meth:`ScenarioProbabilities.box`."""

    center: Distribution
    lower: FloatArray
    upper: FloatArray

    def __init__(self, scenarios: Any, lower: Any, upper: Any) -> None:
        center = as_scenarios(scenarios)
        low, high = (
            _by_scenario(bound, center.index, name)
            for bound, name in ((lower, "lower"), (upper, "upper"))
        )
        low, high = low.clip(min=0.0), high.clip(max=1.0)
        if (low > high).any():
            i = int((low > high).argmax())
            raise InputError(
                f"the probability of scenario {i} has the bounds {low[i]:.6g} and {high[i]:.6g}; "
                "expected lower <= upper, between 0 and 1"
            )
        if low.sum() > 1.0 + 1e-9 or high.sum() < 1.0 - 1e-9:
            raise InputError(
                f"lower bounds sum to {low.sum():.6g} and upper ones to {high.sum():.6g}; expected "
                "at most and at least 1: relax them"
            )
        p = center.p
        if (p < low - 1e-12).any() or (p > high + 1e-12).any():
            # p̂ is none of the members: the centre is between the bounds, where the sum is 1.
            width = high.sum() - low.sum()
            share = (1.0 - low.sum()) / width if width > 0.0 else 0.0
            center = Distribution(center.scenarios, low + share * (high - low))
        vars(self).update(center=center, lower=frozen(low), upper=frozen(high))

    @property
    def formula(self) -> str:
        return r"\{p : \underline{p} \le p \le \overline{p},\; \mathbf{1}^\top p = 1\}"

    def _numbers(self) -> dict[str, float]:
        return {"scenarios": len(self.center.p)}

    @property
    def _is_point(self) -> bool:
        room = np.minimum(self.upper - self.center.p, 1.0).clip(min=0.0).sum()
        return bool(room <= 1e-12 or (self.center.p - self.lower).clip(min=0.0).sum() <= 1e-12)

    def _worst_probabilities(self, losses: FloatArray) -> FloatArray:
        order = np.argsort(-losses, kind="stable")
        room = np.cumsum((self.upper - self.lower)[order]).clip(max=1.0 - self.lower.sum())
        p = self.lower.copy()
        p[order] += np.diff(room, prepend=0.0)
        return p

    def _bounded(self, losses: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """ν + lower'(ℓ − ν) + (upper − lower)'(ℓ − ν)₊ ≤ bound, the multiplier ν of 1'p = 1."""
        width = self.upper - self.lower

        def level(x: FloatArray) -> FloatArray:
            values = losses.value(x)
            raised = self._worst_probabilities(values) > self.lower
            return np.array([values[raised].min() if raised.any() else values.max()])

        def excess(x: FloatArray) -> FloatArray:
            return np.asarray(np.maximum(losses.value(x) - nu.value(x), 0.0))

        nu = new("level", None, level, -np.inf)
        s = new("excess", losses.size, excess, 0.0)
        total = (1.0 - self.lower.sum()) * nu + self.lower @ losses + width @ s
        return [
            Bounded("", InCone((bound - total,), NONNEGATIVE)),
            Bounded("above", InCone((s - losses + nu,), NONNEGATIVE), None),
        ]

    def _state_probabilities(self, program: Program, p: Affine) -> None:
        program.subject_to(p_lower=p >= self.lower, p_upper=p <= self.upper)

    def _outside(self, p: FloatArray) -> float:
        return float(max((self.lower - p).max(), (p - self.upper).max()))


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ProbabilityEllipsoid(ScenarioProbabilities):
    """{p̂ + Az ≥ 0 : ‖z‖ ≤ 1, 1'Az = 0}; see :meth:`ScenarioProbabilities.ellipsoid`.

    Attributes
    ----------
    A : (N, k) array
        With what 1'Az = 0 rules out taken away, so that 1'A = 0 and no multiplier stands for it.
    """

    center: Distribution
    A: FloatArray

    def __init__(self, scenarios: Any, A: Matrix) -> None:
        center = as_scenarios(scenarios)
        N, matrix = len(center.p), as_floats(A, "A", 2)
        if matrix.shape[0] != N or not np.isfinite(matrix).all():
            raise InputError(
                f"A has shape {matrix.shape}; expected finite numbers in a row for each of the {N} "
                "scenarios"
            )
        total = matrix.sum(axis=0)
        if (length := float(total @ total)) > (1e-12 * np.abs(matrix).sum()) ** 2:
            matrix = matrix - np.outer(matrix @ total, total) / length
        matrix = matrix - matrix.mean(axis=0)
        if np.abs(matrix).max() <= 1e-12 * np.abs(as_floats(A, "A", 2)).max():
            matrix = np.zeros_like(matrix)  # what is left is rounding
        vars(self).update(center=center, A=frozen(matrix))

    @property
    def formula(self) -> str:
        return r"\{\hat p + Az \ge 0 : \lVert z \rVert_2 \le 1,\; \mathbf{1}^\top A z = 0\}"

    def _numbers(self) -> dict[str, float]:
        return {"scenarios": len(self.center.p), "directions": self.A.shape[1]}

    @property
    def _is_point(self) -> bool:
        return not self.A.any()

    @property
    def _can_vanish(self) -> NDArray[np.intp]:
        """The scenarios whose probability p̂_i + A_i z could be negative."""
        return np.flatnonzero(np.linalg.norm(self.A, axis=1) > self.center.p)

    def _worst_probabilities(self, losses: FloatArray) -> FloatArray:
        if self._is_point:
            return self.center.p
        slope = self.A.T @ losses
        size = float(np.linalg.norm(slope))
        if size <= 1e-14 * float(np.abs(losses).max()) * np.abs(self.A).sum():
            return self.center.p
        p = self.center.p + self.A @ (slope / size)
        if p.min() >= 0.0:
            return np.asarray(p)
        program = Program("adversary")
        along: Any = (losses / size) @ self.state_member(program)
        program.maximize(along)
        return self._inside(solve_program(program).arrays["z"])

    def _near(self, p: FloatArray) -> FloatArray:
        z = np.linalg.lstsq(self.A, p - self.center.p, rcond=None)[0]
        return self._inside(z.astype(float))

    def _inside(self, z: FloatArray) -> FloatArray:
        """p̂ + Az, z shortened to where it is a member."""
        step = self.A @ (z / max(1.0, float(np.linalg.norm(z))))
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(step < 0.0, self.center.p / -step, 1.0).min()
        return np.asarray((self.center.p + min(reach, 1.0) * step).clip(min=0.0))

    def _bounded(self, losses: Affine, bound: Affine, new: Any) -> list[Bounded]:
        """p̂'(ℓ + y) + ‖A'(ℓ + y)‖₂ ≤ bound with y ≥ 0 for p ≥ 0 where it can bind."""
        at = self._can_vanish
        raised = losses
        if at.size:
            y = new("floor", int(at.size), lambda x: np.zeros(at.size), 0.0)
            spread = np.zeros((losses.size, at.size))
            spread[at, np.arange(at.size)] = 1.0
            raised = losses + spread @ y
        length = bound - self.center.p @ raised
        vector: Any = self.A.T @ raised
        return [Bounded("", InCone((length, vector), SECOND_ORDER))]

    def state_member(self, program: Program) -> Affine:
        """p̂ + Az for a variable z of length at most 1."""
        z = program.variable("z", self.A.shape[1])
        program.subject_to(length=norm(z) <= 1.0)
        step: Any = self.A @ z
        p: Affine = self.center.p + step
        if (at := self._can_vanish).size:
            program.subject_to(nonnegative=p[list(at)] >= 0.0)
        return p

    def _state_probabilities(self, program: Program, p: Affine) -> None:
        program.subject_to(ellipsoid=p == self.state_member(program))

    def _outside(self, p: FloatArray) -> float:
        step = p - self.center.p
        z, *_ = np.linalg.lstsq(self.A, step, rcond=None)
        missed = float(np.abs(self.A @ z - step).max())
        return max(missed, float(np.linalg.norm(z)) - 1.0, float(-p.min()))


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ProbabilityMixture(ScenarioProbabilities):
    """{Σ λ_k P_k}; see :meth:`ScenarioProbabilities.mixture`.

    Attributes
    ----------
    parts : (K, N) array
        The probabilities of each part.
    """

    center: Distribution
    parts: FloatArray

    def __init__(self, parts: Iterable[Any]) -> None:
        given = [as_scenarios(part) for part in parts]
        if not given:
            raise InputError(f"parts are {given!r}; expected at least one set of scenarios")
        first = given[0]
        for k, part in enumerate(given[1:], 2):
            n = len(first.labels)
            agreed_labels("asset", n, **{"part 1": first.labels, f"part {k}": part.labels})
        if all(part.R.shape == first.R.shape and np.array_equal(part.R, first.R) for part in given):
            scenarios, P = first.scenarios, np.array([part.p for part in given])
        else:
            scenarios = pd.concat([part.scenarios for part in given])
            P = np.zeros((len(given), len(scenarios)))
            starts = np.cumsum([0] + [len(part.p) for part in given])
            for k, part in enumerate(given):
                P[k, starts[k] : starts[k + 1]] = part.p
        center = Distribution(scenarios, P.mean(axis=0))
        vars(self).update(center=center, parts=frozen(P))

    @property
    def formula(self) -> str:
        return r"\{\textstyle\sum_k \lambda_k P_k : \lambda \ge 0,\; \mathbf{1}^\top \lambda = 1\}"

    def _numbers(self) -> dict[str, float]:
        return {"scenarios": len(self.center.p), "parts": len(self.parts)}

    @property
    def _is_point(self) -> bool:
        return bool((self.parts == self.parts[0]).all())

    def _worst_probabilities(self, losses: FloatArray) -> FloatArray:
        return np.asarray(self.parts[int((self.parts @ losses).argmax())])

    def _bounded(self, losses: Affine, bound: Affine, new: Any) -> list[Bounded]:
        rows = repeated_rows(bound, len(self.parts)) - self.parts @ losses
        return [Bounded("", InCone((rows,), NONNEGATIVE))]

    def _state_probabilities(self, program: Program, p: Affine) -> None:
        share = program.variable("share", len(self.parts), lower=0.0)
        program.subject_to(mixture=p == self.parts.T @ share, shares=share.sum() == 1.0)

    def _outside(self, p: FloatArray) -> float:
        rows = np.vstack([self.parts.T, np.ones(len(self.parts))])
        return float(nnls(rows, np.append(p, 1.0))[1])


def _by_scenario(bound: Any, index: pd.Index, name: str) -> FloatArray:
    if np.ndim(bound) == 0:
        bound = np.full(len(index), float(as_floats(bound, name, 0)))
    if isinstance(bound, pd.Series):
        bound = by_label(bound, tuple(index), name)
    numbers = as_floats(bound, name, 1)
    if numbers.shape != (len(index),) or not np.isfinite(numbers).all():
        raise InputError(
            f"{name} has shape {numbers.shape}; expected a finite number, or one for each of the "
            f"{len(index)} scenarios"
        )
    return numbers
