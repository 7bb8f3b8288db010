"""Costs of trading and limits on it, as parts of any problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.data.validation import Labels, as_number, by_label, nonnegative
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable, abs, norm
from rrp_pyomo.program import Program


@dataclass(frozen=True, eq=False)
class Trading:
    """Costs Σ c_i |x_i − x⁰_i| + d max|x_i|, and a limit on Σ|x_i − x⁰_i|.

    Parameters
    ----------
    costs : (n,) array
        c ≥ 0.
    previous : (n,) array
        x⁰, from which is traded; 0 where nothing was held.
    turnover : float or None
        The most that may be traded.
    largest : float
        d ≥ 0.
    """

    costs: FloatArray
    previous: FloatArray
    turnover: float | None = None
    largest: float = 0.0

    @classmethod
    def of(
        cls, labels: Labels, costs: Any, previous: Any, turnover: Any, largest: Any = 0.0
    ) -> Trading:
        """From what a user gives: numbers for all assets, or Series by asset.

        Raises
        ------
        InputError
            Costs that are negative, weights that do not fit the assets, a negative limit.
        """
        c = nonnegative(costs, labels, "l1")
        x0 = np.zeros(len(labels)) if previous is None else by_label(previous, labels, "previous")
        limit = None if turnover is None else as_number(turnover, "turnover", least=0.0)
        if limit is not None and previous is None:
            raise InputError(
                f"turnover={limit:g} limits what is traded, but from which weights is not said; "
                "give previous="
            )
        return cls(c, x0, limit, as_number(largest, "linf", least=0.0))

    @property
    def is_free(self) -> bool:
        """Whether there is nothing to pay and nothing to keep to."""
        return not self.costs.any() and self.turnover is None and self.largest == 0.0

    def state(self, program: Program, x: Variable) -> Any:
        """The costs as an expression, or 0.0; the limit as a constraint ``turnover``."""
        total: Any = 0.0
        change = x - self.previous if self.previous.any() else x
        if self.costs.any():
            one = bool((self.costs == self.costs[0]).all())
            total = total + (self.costs[0] * norm(change, 1) if one else self.costs @ abs(change))
        if self.turnover is not None:
            program.subject_to(turnover=norm(change, 1) <= self.turnover)
        if self.largest:
            total = total + self.largest * norm(x, np.inf)
        return total

    def cost(self, x: FloatArray) -> float:
        """The costs of weights."""
        traded = float(self.costs @ np.abs(x - self.previous))
        return traded + (self.largest * float(np.abs(x).max()) if self.largest else 0.0)

    def violation(self, x: FloatArray) -> float:
        """By how much weights miss the limit."""
        if self.turnover is None:
            return 0.0
        return max(0.0, float(np.abs(x - self.previous).sum()) - self.turnover)
