"""How good Ipopt's answer is, in the numbers of the statement: its own word is of its scaled ones.

Ipopt moves bounds and divides rows before it compares anything with its tolerances; 1e-8 of a bound
is much where a unit of it costs 1e8.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import lsqr

from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray

#: What the terms of a sum are known to.
ROUNDING = 1e-14
#: A row whose gradient is smaller is taken to have this one: the apex of a cone has none.
FLATTEST = 1e-3
#: Multipliers of which rounding alone hides more of the objective say nothing.
HIDDEN = 1e-6


class Errors(NamedTuple):
    """By how much a point and its multipliers miss the conditions of a local optimum.

    Attributes
    ----------
    primal : float
        The largest violation of a row or bound, relative to its terms, or to what a unit of a
        variable changes, if that is more.
    dual : float
        The largest entry of ∇f + ∇g'λ + z, relative to ∇f or to its own terms.
    gap : float
        What violations, and distances from bounds with multipliers, are worth: their sum, or the
        largest, relative to the objective.
    primal_at, dual_at, gap_at : int
        Where: rows first, then variables.
    """

    primal: float
    dual: float
    gap: float
    primal_at: int
    dual_at: int
    gap_at: int

    @property
    def largest(self) -> float:
        """Of the three; infinite where a number is missing."""
        worst = float(np.max([self.primal, self.dual, self.gap]))
        return worst if np.isfinite(worst) else np.inf


@dataclass(frozen=True, eq=False)
class Conditions:
    """The numbers in the first-order conditions of minimising f(x) between bounds of g(x) and x.

    Attributes
    ----------
    x, gradient, bound_multipliers, lower, upper : (n,) arrays
    rows, row_multipliers, row_lower, row_upper : (rows,) arrays
    objective : float
    least : float
        What the objective cannot be below, wherever x is.
    row, col, slope : arrays of one length
        The derivatives of the rows.
    """

    x: FloatArray
    objective: float
    gradient: FloatArray
    rows: FloatArray
    row: IntArray
    col: IntArray
    slope: FloatArray
    row_multipliers: FloatArray
    bound_multipliers: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    least: float = -np.inf

    def unscaled(
        self, units: FloatArray, row_scale: FloatArray, objective_scale: float
    ) -> Conditions:
        """The same for variables times their units, rows and objective over their scales."""
        return Conditions(
            x=self.x * units,
            objective=self.objective / objective_scale,
            gradient=self.gradient / (units * objective_scale),
            rows=self.rows / row_scale,
            row=self.row,
            col=self.col,
            slope=self.slope / (row_scale[self.row] * units[self.col]),
            row_multipliers=self.row_multipliers * row_scale / objective_scale,
            bound_multipliers=self.bound_multipliers / (units * objective_scale),
            lower=self.lower * units,
            upper=self.upper * units,
            row_lower=self.row_lower / row_scale,
            row_upper=self.row_upper / row_scale,
        )

    @property
    def size(self) -> float:
        """That of the objective: it, or the largest change of it by a relative one of x."""
        return max(abs(self.objective), float(np.abs(self.gradient * self.x).max(initial=0.0)))

    def errors(self) -> Errors:
        """How far they are from holding."""
        rows, n, slopes = self.rows.size, self.x.size, np.abs(self.slope)
        terms = np.bincount(self.row, slopes * np.abs(self.x[self.col]), rows)
        terms = np.r_[terms, np.abs(self.x)]
        values = np.r_[self.rows, self.x]
        lower, upper = np.r_[self.row_lower, self.lower], np.r_[self.row_upper, self.upper]
        steepest = np.zeros(rows)
        np.maximum.at(steepest, self.row, slopes)
        unit = np.r_[np.clip(steepest, FLATTEST, 1.0), np.ones_like(self.x)]
        violated = np.maximum(lower - values, values - upper)
        bound = np.where(lower - values > values - upper, lower, upper)
        primal = violated / np.maximum(unit, np.abs(np.where(np.isfinite(bound), bound, 0.0)))
        primal = np.minimum(primal, violated / np.maximum(unit, terms))

        multipliers = np.r_[self.row_multipliers, self.bound_multipliers]
        side = np.where(multipliers > 0.0, upper, lower)
        active = np.where(np.isfinite(side), multipliers, 0.0)
        pulls = active[self.row] * self.slope
        residual = self.gradient + np.bincount(self.col, pulls, n) + active[rows:]
        own = np.abs(self.gradient) + np.bincount(self.col, np.abs(pulls), n)
        steep = max(1.0, float(np.abs(self.gradient).max(initial=0.0)))
        dual = np.abs(residual) / np.maximum(steep, own)

        worth = active * (values - np.where(np.isfinite(side), side, 0.0))
        # Where f is next to the least it can be, no distance from a bound is worth more than that.
        above = max(0.0, self.objective - self.least) / max(1.0, self.size)
        bought = float(np.maximum(worth, 0.0).max(initial=0.0)) / max(1.0, self.size)
        worth[rows:] -= residual * self.x
        rounding = ROUNDING * float(np.abs(active) @ terms)
        gap = np.abs(worth)
        total = max(abs(float(worth.sum())), float(gap.max(initial=0.0))) - rounding
        return Errors(
            primal=_largest(primal),
            dual=min(_largest(dual), above),
            gap=max(0.0, min(total / max(1.0, self.size), max(above, bought))),
            primal_at=_where(primal),
            dual_at=rows + _where(dual),
            gap_at=_where(gap),
        )

    @property
    def are_ambiguous(self) -> bool:
        """Whether multipliers are so large that they can only cancel.

        Where equations say the same, only the sum of their multipliers is determined, and Ipopt's
        may grow without limit. A residual is then small beside them wherever the point is.
        """
        terms = np.bincount(self.row, np.abs(self.slope * self.x[self.col]), self.rows.size)
        hidden = ROUNDING * float(np.abs(self.row_multipliers) @ terms)
        return hidden > HIDDEN * max(1.0, self.size)

    def with_least_multipliers(self) -> Conditions:
        """The same with the smallest multipliers of equations that come nearest to stationarity."""
        rows, n = self.rows.size, self.x.size
        equal = self.row_lower == self.row_upper
        entries = equal[self.row]
        others = np.where(equal, 0.0, self.row_multipliers)
        pull = np.bincount(self.col, others[self.row] * self.slope, n)
        transposed = sp.csr_matrix(
            (self.slope[entries], (self.col[entries], self.row[entries])), shape=(n, rows)
        )
        target = -(self.gradient + pull + self.bound_multipliers)
        found = lsqr(transposed, target, atol=1e-15, btol=1e-15, iter_lim=4 * (n + rows))
        return dataclasses.replace(self, row_multipliers=others + found[0])

    def with_objective(self, value: float, least: float) -> Conditions:
        """The same with what the functions leave out, a constant, and what is known of it."""
        return dataclasses.replace(self, objective=value, least=least)


def _largest(errors: FloatArray) -> float:
    return float(errors.max(initial=0.0))


def _where(errors: FloatArray) -> int:
    return int(np.argmax(errors)) if errors.size else -1
