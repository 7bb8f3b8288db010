"""How good Ipopt's answer is, in the numbers of the statement: its own word is of its scaled ones.

Ipopt moves bounds and divides rows before it compares anything with its tolerances; 1e-8 of a bound
is much where a unit of it costs 1e8, and 1e-8 of the objective where that is a variance of 1e-5.
Nothing here changes where the objective or a row is multiplied by a number.
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

#: What Ipopt itself scales slopes down to. It does not scale up, and then stops at 1e-8 of an
#: objective that is itself no more.
LARGEST = 100.0
#: What the terms of a sum are known to.
ROUNDING = 1e-14
#: How far from a point slopes are looked for, too: an objective may have none at its minimum, and
#: a cone none at its apex.
AROUND = 0.1
#: A row whose gradient is less than this part of that around is taken to have so much.
FLATTEST = 5e-3
#: The least that an objective is taken to be, in multiples of what it gains around.
FAINT = 1e-4
#: A row that pulls at x by less than this part of the strongest one is not named.
PULLING = 0.1
#: What may be added to a divisor that may be 0.
TINY = float(np.finfo(float).tiny)
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
        The largest entry of ∇f + ∇g'λ + z, relative to ∇f there or around, or to its own terms.
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
    gradient_around : (n,) array
    slope_around : array of the length of ``slope``
        The derivatives somewhere near x.
    reach : (n,) array
        A unit of each variable.
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
    gradient_around: FloatArray
    slope_around: FloatArray
    reach: FloatArray
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
            gradient_around=self.gradient_around / (units * objective_scale),
            slope_around=self.slope_around / (row_scale[self.row] * units[self.col]),
            reach=self.reach * units,
        )

    @property
    def gain(self) -> float:
        """What a unit of a variable changes the objective by somewhere near x, as a rule.

        The median, as a penalty may be a million times what else is in the objective; 0 without
        an objective.
        """
        gains = np.abs(self.gradient_around) * self.reach
        return float(np.median(gains[gains > 0.0])) if gains.any() else 0.0

    @property
    def size(self) -> float:
        """That of the objective: it, or the largest change of it by a relative one of x.

        Where variables have units, no less than one of these gains. Never 0.
        """
        largest = float(np.abs(self.gradient * self.x).max(initial=0.0))
        least = self.gain * (1.0 if self.has_units else FAINT)
        return max(abs(self.objective), largest, least) or 1.0

    def steepest(self, part_around: float = 1.0) -> FloatArray:
        """What a unit of a variable changes each row by at most, there or around."""
        slopes = np.maximum(np.abs(self.slope), part_around * np.abs(self.slope_around))
        steepest = np.zeros(self.rows.size)
        np.maximum.at(steepest, self.row, slopes * self.reach[self.col])
        return np.where(steepest > 0.0, steepest, 1.0)

    @property
    def held_by(self) -> IntArray:
        """The rows that hold x where it is, by their multipliers; the strongest comes first."""
        pulls = np.zeros(self.rows.size)
        np.maximum.at(pulls, self.row, np.abs(self.row_multipliers[self.row] * self.slope))
        strongest: IntArray = np.argsort(-pulls, kind="stable")
        return strongest[: np.count_nonzero(pulls > PULLING * pulls.max(initial=0.0))]

    @property
    def has_units(self) -> bool:
        """Whether somebody has said what a unit of the variables is."""
        return bool((self.reach != 1.0).any())

    @property
    def scale(self) -> FloatArray | None:
        """Factors that make the objective and the slopes of rows about 1, (1 + rows,).

        None where units do that.
        """
        return None if self.has_units else 1.0 / np.r_[self.size, self.steepest()]

    def errors(self) -> Errors:
        """How far they are from holding."""
        rows, n, slopes = self.rows.size, self.x.size, np.abs(self.slope)
        terms = np.bincount(self.row, slopes * np.abs(self.x[self.col]), rows)
        terms = np.r_[terms, np.abs(self.x)]
        values = np.r_[self.rows, self.x]
        lower, upper = np.r_[self.row_lower, self.lower], np.r_[self.row_upper, self.upper]
        unit = np.r_[self.steepest(FLATTEST), np.ones_like(self.x)]
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
        aims = self.gain > 0.0 or self.gradient.any()  # else any multipliers will do
        steep = np.maximum(self.gain / self.reach, np.abs(self.gradient_around))
        steep = np.maximum(steep, np.abs(self.gradient).max(initial=0.0))
        dual = np.abs(residual) / (np.maximum(steep, own) + TINY)

        worth = active * (values - np.where(np.isfinite(side), side, 0.0))
        # Where f is next to the least it can be, no distance from a bound is worth more than that.
        above = max(0.0, self.objective - self.least) / self.size
        bought = float(np.maximum(worth, 0.0).max(initial=0.0)) / self.size
        worth[rows:] -= residual * self.x
        rounding = ROUNDING * float(np.abs(active) @ terms)
        gap = np.abs(worth)
        total = max(abs(float(worth.sum())), float(gap.max(initial=0.0))) - rounding
        return Errors(
            primal=_largest(primal),
            dual=min(_largest(dual), above) if aims else 0.0,
            gap=max(0.0, min(total / self.size, max(above, bought))) if aims else 0.0,
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
        return hidden > HIDDEN * self.size

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
