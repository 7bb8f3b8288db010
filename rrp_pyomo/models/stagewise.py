"""Constant relative risk aversion over independent stages: one-stage problems, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.validation import agreed_labels
from rrp_pyomo.errors import InputError, ModelError, brief
from rrp_pyomo.models.expected_utility import ExpectedUtility
from rrp_pyomo.models.utility import LogUtility, PowerUtility, Utility, as_utility
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.uncertainty.distribution_set import DistributionSet


class StagewiseUtility:
    """The best policy over T stages for log or power utility: T separate one-stage problems.

    The stages' returns are independent, and nature chooses from each stage's set by itself (a
    rectangular set). Then the value of wealth W at stage t is

        log:    V_t(W) = log W + Σ_{s ≥ t} v_s,    v_s = max over x ∈ X min over P ∈ U_s of E_P[log]
        power:  V_t(W) = W^{1−γ}/(1−γ) · Π_{s ≥ t} (1 − γ) v_s

    with v_s the value of :class:`~rrp_pyomo.ExpectedUtility` of stage s alone: weights depend
    neither on wealth nor on how many stages are left. It takes no costs, which tie the stages
    together: see :class:`~rrp_pyomo.TreeProgram`.

    Parameters
    ----------
    stages : sequence of sets of distributions
        As :class:`~rrp_pyomo.ExpectedUtility` takes them, the first stage first.
    utility : "log" or PowerUtility
    weight_set : WeightSet, optional
        X at every stage; long-only and fully invested by default.
    risk_free : float
        r_f per period.

    Raises
    ------
    InputError
        No stages, or stages of different assets.
    ModelError
        Another utility, to which wealth matters.

    References
    ----------
    Iyengar (2005), Robust dynamic programming; Mossin (1968), Optimal multiperiod portfolio
    policies.

    Examples
    --------
    Two independent stages are worth twice as much as one of them:

    >>> from rrp_pyomo import ExpectedUtility, StagewiseUtility, WeightSet
    >>> from rrp_pyomo.uncertainty import Scenarios
    >>> bet, free = Scenarios([[1.0], [-1.0]], [0.6, 0.4]), WeightSet(fully_invested=False)
    >>> policy = StagewiseUtility([bet, bet], "log", free).solve()
    >>> single = ExpectedUtility(bet, "log", free).solve()
    >>> round(policy.worst_value, 4), round(2 * single.worst_value, 4)
    (0.0403, 0.0403)
    """

    def __init__(
        self,
        stages: Sequence[Any],
        utility: Any = "log",
        weight_set: WeightSet | None = None,
        risk_free: float = 0.0,
    ) -> None:
        if isinstance(stages, pd.DataFrame | DistributionSet) or not len(stages):
            raise InputError(
                f"stages are {brief(stages)}; expected a list of sets of distributions, one for "
                "each stage"
            )
        self.utility: Utility = as_utility(utility)
        if not isinstance(self.utility, LogUtility | PowerUtility):
            raise ModelError(
                f"{self.utility!r} has no constant relative risk aversion, so that weights depend "
                "on wealth; use 'log', PowerUtility(gamma), or a TreeProgram"
            )
        made: dict[int, ExpectedUtility] = {}
        for stage in stages:
            if id(stage) not in made:
                made[id(stage)] = ExpectedUtility(stage, self.utility, weight_set, risk_free)
        self.problems = tuple(made[id(stage)] for stage in stages)
        self.labels = self.problems[0].labels
        for problem in self.problems:
            agreed_labels("asset", len(self.labels), first=self.labels, stage=problem.labels)

    def __repr__(self) -> str:
        n, T = len(self.labels), len(self.problems)
        return (
            f"StagewiseUtility({n} asset{'s' if n > 1 else ''}, {T} stage{'s' if T > 1 else ''}, "
            f"{self.utility!r})"
        )

    def solve(self, solver: str | None = None, **options: Any) -> StagewisePolicy:
        """Solve every stage; see :meth:`~rrp_pyomo.ExpectedUtility.solve`."""
        solved = {
            id(problem): problem.solve(solver, **options)
            for problem in dict.fromkeys(self.problems)
        }
        return StagewisePolicy(self, tuple(solved[id(problem)] for problem in self.problems))


@dataclass(frozen=True, eq=False, repr=False)
class StagewisePolicy:
    """The weights of every stage, and what they are worth together.

    Attributes
    ----------
    problem : StagewiseUtility
    portfolios : tuple of Portfolio
        By stage, each with its worst distribution and its certificate.
    """

    problem: StagewiseUtility
    portfolios: tuple[Portfolio, ...]

    def __repr__(self) -> str:
        return f"StagewisePolicy({len(self.portfolios)} stages, worth {self.worst_value:.6g})"

    @property
    def weights(self) -> pd.DataFrame:
        """By stage and asset."""
        rows = [portfolio.weights for portfolio in self.portfolios]
        return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="stage"))

    @property
    def stage_values(self) -> pd.Series:
        """v_s, the worst expected utility of a unit of wealth over each stage."""
        values = [portfolio.worst_value for portfolio in self.portfolios]
        return pd.Series(values, index=self.weights.index, name="value")

    @cached_property
    def worst_value(self) -> float:
        """V₀(1), the worst expected utility of what a unit of wealth becomes over all stages."""
        utility, values = self.problem.utility, self.stage_values.to_numpy()
        if isinstance(utility, PowerUtility):
            scale = 1.0 - utility.gamma
            return float(np.prod(scale * values) / scale)
        return float(values.sum())

    @property
    def certainty_equivalent(self) -> float:
        """The return over all stages that is as good for certain."""
        return self.problem.utility.inverse(self.worst_value) - 1.0
