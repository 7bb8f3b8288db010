"""Several periods planned at once: amounts, costs, and sets of means with a structure in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.validation import agreed_labels, as_number, by_label, index_of
from rrp_pyomo.data.weight_set import resolved_weight_set
from rrp_pyomo.errors import InputError, SolverError, UnknownLabelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable, abs, norm
from rrp_pyomo.models.best_response import (
    Curvature,
    least_over,
    least_with_curvature,
    state_least_over,
)
from rrp_pyomo.models.time_structure import STRUCTURES, Forecasts
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.models.weights import described, state_weights, violation
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty import CovariancePoint, CovarianceSet, as_covariance_set

if TYPE_CHECKING:
    import pyomo.environ as pyo
    import pyomo.kernel as pmo

# A gap above this part of the plan's worth is looked at once more, with the risk as it is.
_TIGHT = 1e-7


class MultiPeriod:
    """A plan of amounts over H periods, with costs of trading and sets of means and covariances.

        maximise    Σ_h [ μ̂_h'w_h − (λ/2) v_h(w_h) − Σ_i c_i|w_hi − w_{h−1,i}| ] − Π(w_1, …, w_H)
        subject to  w_h ∈ X,    Σ_i |w_hi − w_{h−1,i}| ≤ turnover

    for h = 1, …, H, with v_h(w) the largest variance w'Σw over a set of covariances and Π the most
    that errors d_h = μ_h − μ̂_h of the means take away, Π = max −Σ_h d_h'w_h. With penalties
    π_h(w) = max over d ∈ S_h of −d'w, what is known of the errors of different periods says which:

    - ``"rectangular"``: every period has an error of its own in S_h, Π = Σ_h π_h(w_h);
    - ``"common"``: the error is the same one in S in all periods, Π = π(Σ_h w_h);
    - ``"joint"``: d_h = t_h s_h with s_h ∈ S_h and ‖t‖₂ ≤ 1, Π = √(Σ_h π_h(w_h)²): for ellipsoids,
      one ellipsoid for all periods together.

    The first is at least as large as each of the others. Amounts add up over periods and are not
    compounded: w_h is in multiples of today's wealth. The plan is fixed, not adapted to what is
    learned; applied a period at a time and made anew, it is model predictive control, whose
    sequence of portfolios is not itself robust.

    Guarantee: for all means and covariances of the sets the plan is worth at least ``worst_value``,
    and no other one has a better worst case. With c = 0 and no limit on turnover every period has
    the portfolio of :class:`~rrp_pyomo.MeanVariance` under a rectangular set; with a large c
    nothing is traded.

    Parameters
    ----------
    mean : (H, n) DataFrame, sequence of H means, or one of them for all periods
        Each a Series, an array or a set of means; its centre is μ̂_h, and S_h what is around it.
    covariance : Covariance or set of covariances, or a sequence of H of them
    risk_aversion : float
        λ ≥ 0.
    periods : int, optional
        H, where one mean is given for all periods; 1 by default.
    uncertainty : {"rectangular", "common", "joint"}
    weight_set : WeightSet, optional
        X, for every period; long-only and fully invested by default.
    errors : set of means, or sequence of H of them, optional
        The sets of errors S_h around their centres, where ``mean`` says the μ̂_h alone.
    l1 : float, Series, mapping or (n,) array
        c ≥ 0, the cost of a unit traded.
    previous : Series, mapping or (n,) array, optional
        w_0, what is held before; without it the first amounts cost nothing.
    turnover : float, optional
        The most that is traded in a period.

    Raises
    ------
    InputError
        Means, sets, costs or weights that do not fit the assets or the number of periods, an
        unknown structure, a common error where several sets are given.

    References
    ----------
    Ben-Tal, Margalit & Nemirovski (2000), Robust modeling of multi-stage portfolio problems;
    Bertsimas & Pachamanova (2008), Robust multiperiod portfolio management in the presence of
    transaction costs; Boyd et al. (2017), Multi-period trading via convex optimization.

    Examples
    --------
    From bonds alone, where trading costs a part of what it brings:

    >>> from rrp_pyomo import MultiPeriod
    >>> mean, covariance = [0.06, 0.03], [[0.04, 0.0], [0.0, 0.01]]
    >>> for cost in (0.0, 0.02, 0.2):
    ...     problem = MultiPeriod(mean, covariance, 2.0, periods=2, l1=cost, previous=[0.0, 1.0])
    ...     print(cost, problem.solve().weights.round(3).to_numpy().tolist())
    0.0 [[0.5, 0.5], [0.5, 0.5]]
    0.02 [[0.3, 0.7], [0.3, 0.7]]
    0.2 [[0.0, 1.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        mean: Any,
        covariance: Any,
        risk_aversion: float = 1.0,
        periods: int | None = None,
        uncertainty: str = "rectangular",
        weight_set: WeightSet | None = None,
        *,
        errors: Any = None,
        l1: Any = 0.0,
        previous: Any = None,
        turnover: float | None = None,
    ) -> None:
        if not isinstance(uncertainty, str) or uncertainty not in STRUCTURES:
            raise UnknownLabelError("structure of the uncertainty in time", uncertainty, STRUCTURES)
        several = isinstance(covariance, list | tuple) and any(np.ndim(c) != 1 for c in covariance)
        sets = [as_covariance_set(one) for one in (covariance if several else [covariance])]
        self.labels = sets[0].labels
        self.forecasts = Forecasts.of(mean, errors, periods, self.labels)
        self.periods = self.forecasts.periods
        self.uncertainty = uncertainty
        self.structure = STRUCTURES[uncertainty](self.forecasts)
        self.covariances = self._by_period_of(sets)
        self.risk_aversion = as_number(risk_aversion, "risk_aversion", least=0.0)
        self.weight_set = resolved_weight_set(weight_set, self.labels)
        held = np.zeros(len(self.labels)) if previous is None else previous
        self.trading = Trading.of(self.labels, l1, held, turnover)
        self.has_start = previous is not None

    def _by_period_of(self, sets: list[CovarianceSet]) -> tuple[CovarianceSet, ...]:
        H, n = len(self.periods), len(self.labels)
        if len(sets) not in (1, H):
            raise InputError(
                f"{len(sets)} covariances are given for {H} periods; give one for each, or one for "
                "all"
            )
        for one in sets:
            agreed_labels("asset", n, first=self.labels, covariance=one.labels)
        return tuple(sets * H if len(sets) == 1 else sets)

    def __repr__(self) -> str:
        n, H = len(self.labels), len(self.periods)
        return (
            f"MultiPeriod({n} asset{'s' if n > 1 else ''}, {H} period{'s' if H > 1 else ''}, "
            f"{self.uncertainty}, X: {described(self.weight_set)})"
        )

    def _repr_latex_(self) -> str:
        return self.statement._repr_latex_()

    def nominal(self) -> MultiPeriod:
        """The same plan for the centres of the sets."""
        return self._at(
            self.forecasts.centers, [CovariancePoint(one.center) for one in self.covariances]
        )

    def _at(self, means: FloatArray, covariances: list[CovarianceSet]) -> MultiPeriod:
        """The same plan for known means and other covariances."""
        plan = object.__new__(MultiPeriod)
        vars(plan).update(
            {name: value for name, value in vars(self).items() if name != "statement"},
            forecasts=self.forecasts.known(means),
            covariances=tuple(covariances),
        )
        plan.structure = STRUCTURES["rectangular"](plan.forecasts)
        return plan

    # --- the statement --------------------------------------------------------------------------

    def program(self) -> Program:
        """The plan as a new :class:`~rrp_pyomo.Program`, with variables ``x_1``, …, ``x_H``."""
        program = Program("MultiPeriod")
        w = [state_weights(program, self.weight_set, f"_{h + 1}") for h in range(self._count)]
        worth = reduce(add, (mean @ x for mean, x in zip(self.forecasts.centers, w, strict=True)))
        worth = worth - self.structure.state(program, w)
        for x, covariance in zip(w, self.covariances, strict=True):
            if self.risk_aversion:
                worth = worth - 0.5 * self.risk_aversion * covariance.variance(x)
        worth = worth - self._state_trades(program, w)
        program.maximize(worth * (1.0 / self.objective_unit))
        return program

    def _state_trades(self, program: Program, w: list[Variable]) -> Any:
        """The costs of all trades; limits on them are constraints."""
        costs, limit, total = self.trading.costs, self.trading.turnover, 0.0
        before: list[Any] = [self.trading.previous if self.has_start else None, *w[:-1]]
        for h, (x, held) in enumerate(zip(w, before, strict=True)):
            if held is None:
                continue
            if costs.any():
                total = total + costs @ abs(x - held)
            if limit is not None:
                program.subject_to(**{f"turnover_{h + 1}": norm(x - held, 1) <= limit})
        return total

    @property
    def _count(self) -> int:
        return len(self.periods)

    @cached_property
    def objective_unit(self) -> float:
        """What 1 of the statement's objective is in the units of the data."""
        sizes = [np.abs(self.forecasts.centers).max(), self.trading.costs.max()]
        sizes += [self.risk_aversion * one.center.variances.mean() for one in self.covariances]
        return float(max(sizes)) or 1.0

    @cached_property
    def statement(self) -> Program:
        """The program that :meth:`solve` solves, always the same one: add to :meth:`program`'s."""
        return self.program()

    def block(self, weights: Any = None, objective: bool | None = None) -> pyo.Block:
        """The plan as a ``pyomo.environ`` block.

        Parameters
        ----------
        weights : mapping from period to container of variables, optional
            Existing variables that become the weights of a period.
        objective : bool, optional
            Whether the block brings its objective: by default only without ``weights``.
        """
        return self.statement.block(self._bound(weights), self._brings(weights, objective))

    def kernel(self, weights: Any = None, objective: bool | None = None) -> pmo.block:
        """The same as a ``pyomo.kernel`` block; see :meth:`block`."""
        return self.statement.kernel(self._bound(weights), self._brings(weights, objective))

    def _brings(self, weights: Any, objective: bool | None) -> bool:
        return weights is None if objective is None else objective

    def _bound(self, weights: Mapping[Any, Any] | None) -> dict[str, Any]:
        place = {period: f"x_{h + 1}" for h, period in enumerate(self.periods)}
        for period in weights or {}:
            if period not in place:
                raise UnknownLabelError("period", period, place)
        return {place[period]: given for period, given in (weights or {}).items()}

    # --- solving --------------------------------------------------------------------------------

    def solve(self, solver: str = "clarabel", **options: Any) -> Plan:
        """Solve for the plan; see :func:`~rrp_pyomo.solve_program` for options and errors."""
        solution = solve_program(self.statement, solver, **options)
        w = np.array([solution.arrays[f"x_{h + 1}"] for h in range(self._count)])
        return Plan(self, self._labelled(w), solution.status, solution.solver)

    def worst_value(self, weights: Any) -> float:
        """What a plan is worth at the worst elements of the sets, from the data.

        Parameters
        ----------
        weights : (H, n) DataFrame or array
        """
        w = self._aligned(weights)
        worth = (self.worst_means(w).to_numpy() * w).sum() - self.cost(w).sum()
        risks = sum(one.variance(x) for one, x in zip(self.covariances, w, strict=True))
        return float(worth - 0.5 * self.risk_aversion * risks)

    def worst_means(self, weights: Any) -> pd.DataFrame:
        """The means of all periods that are worst for a plan, periods × assets."""
        return self._labelled(self.forecasts.centers + self.structure.worst(self._aligned(weights)))

    def turnover(self, weights: Any) -> pd.Series:
        """Σ_i |w_hi − w_{h−1,i}| by period; 0 in the first one where nothing is known before it."""
        return self._by_period(np.abs(self._trades(weights)).sum(axis=1), "turnover")

    def cost(self, weights: Any) -> pd.Series:
        """Σ_i c_i |w_hi − w_{h−1,i}| by period."""
        return self._by_period(np.abs(self._trades(weights)) @ self.trading.costs, "cost")

    def _trades(self, weights: Any) -> FloatArray:
        w = self._aligned(weights)
        return np.diff(w, axis=0, prepend=self.trading.previous[None] if self.has_start else w[:1])

    def _aligned(self, weights: Any) -> FloatArray:
        if isinstance(weights, pd.DataFrame):
            weights = [by_label(row, self.labels, "weights") for _, row in weights.iterrows()]
        rows = np.asarray(weights)
        if rows.shape != (self._count, len(self.labels)):
            raise InputError(
                f"weights have shape {rows.shape}; expected {self._count} periods × "
                f"{len(self.labels)} assets"
            )
        return cast("FloatArray", rows)

    def _labelled(self, rows: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(rows, index=self._index, columns=index_of(self.labels))

    def _by_period(self, values: FloatArray, name: str) -> pd.Series:
        return pd.Series(values, index=self._index, name=name)

    @property
    def _index(self) -> pd.Index:
        return pd.Index(self.periods, name="period")

    # --- how good it is -------------------------------------------------------------------------

    def gap(self, weights: Any) -> float:
        """By how much any other plan's worst case could be better, from the data.

        At means and covariances of the sets and with prices |s_h| ≤ c + θ_h of trades, θ ≥ 0, no
        plan is worth more than

            Σ_h [ max over v ∈ X of (g_h − s_h + s_{h+1})'v + (λ/2) w_h'Σ_h w_h + θ_h turnover ]
            + s_1'w_0,    g_h = μ_h − λ Σ_h w_h,

        whatever means and prices are put in; a small program chooses them. Where X is unbounded, or
        the bound is loose, the risk (λ/2) v'Σ_h v takes the place of its tangent at w_h.
        """
        w = self._aligned(weights)
        worst = [one.worst(x) for one, x in zip(self.covariances, w, strict=True)]
        marginal = np.array([S.operator @ x for S, x in zip(worst, w, strict=True)])
        risk = 0.5 * self.risk_aversion * float((w * marginal).sum())
        own, tangent = self.worst_value(w), -self.risk_aversion * marginal
        gap = self._most(w, tangent, None) + risk - own
        if gap > _TIGHT * max(abs(own), risk) and self.risk_aversion:
            half = 0.5 * self.risk_aversion / self.objective_unit
            curved = [Curvature(S.root, half) for S in worst]
            gap = min(gap, self._most(w, tangent, curved) + risk - own)
        return max(0.0, gap)

    def _most(
        self, w: FloatArray, tangent: FloatArray, curvatures: list[Curvature] | None
    ) -> float:
        """A bound on Σ_h (μ_h + tangent_h)'v_h less costs, by means and prices that are chosen.

        Less what the risk grows beside its tangent, where curvatures say that.
        """
        X, free, unit = self.weight_set, _without_costs(self.trading), self.objective_unit
        program = Program("prices")
        means, prices = self.structure.state_members(program), self._state_prices(program, unit)
        growth: list[Curvature | None] = [None] * self._count
        if curvatures is not None:
            growth = [*curvatures]
        slopes = [(mean + tangent[h]) * (1.0 / unit) + prices.of(h) for h, mean in enumerate(means)]
        bound: Any = prices.fixed
        for slope, x, curvature in zip(slopes, w, growth, strict=True):
            bound = bound - state_least_over(program, X, free, -slope, x, curvature)
        program.minimize(bound)
        try:
            point = solve_program(program).x
            most = 0.0 if np.isscalar(prices.fixed) else float(prices.fixed.value(point)[0])
            for slope, x, curvature in zip(slopes, w, growth, strict=True):
                g = -slope.value(point)
                if curvature is None:
                    most -= least_over(X, free, g)
                else:
                    most -= least_with_curvature(X, free, g, x, curvature)
        except SolverError:
            return np.inf
        return float(unit * most)

    def _state_prices(self, program: Program, unit: float) -> _Prices:
        costs, limit, n = self.trading.costs / unit, self.trading.turnover, len(self.labels)
        prices: list[Any] = [None] * (self._count + 1)
        fixed: Any = 0.0
        if not costs.any() and limit is None:
            return _Prices(prices, fixed)
        for h in range(0 if self.has_start else 1, self._count):
            s = prices[h] = program.variable(f"price_{h + 1}", n)
            most: Any = costs
            if limit is not None:
                theta = program.variable(f"theta_{h + 1}", lower=0.0)
                most, fixed = np.ones((n, 1)) @ theta + costs, fixed + limit * theta
            program.subject_to(**{f"above_{h + 1}": s <= most, f"below_{h + 1}": -s <= most})
        if prices[0] is not None:
            fixed = fixed + self.trading.previous @ prices[0]
        return _Prices(prices, fixed)


@dataclass(frozen=True)
class _Prices:
    """Prices of trades by period, and what the bound has of them beside the best responses."""

    by_period: list[Any]
    fixed: Any

    def of(self, h: int) -> Any:
        """s_{h+1} − s_h, what they add to the slope of period h."""
        before, after = self.by_period[h], self.by_period[h + 1]
        return (0.0 if after is None else after) - (0.0 if before is None else before)


def _without_costs(trading: Trading) -> Trading:
    return Trading(0.0 * trading.costs, trading.previous)


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """Amounts by period, with the means that are worst for them.

    Attributes
    ----------
    problem : MultiPeriod
    weights : (H, n) DataFrame
        By period and asset.
    status, solver : str
        The solver's own words, and which one it was.
    """

    problem: MultiPeriod
    weights: pd.DataFrame
    status: str = ""
    solver: str = ""
    _optimum: list[float] = field(default_factory=list, repr=False)

    def __repr__(self) -> str:
        H, n = self.weights.shape
        return (
            f"Plan({H} period{'s' if H > 1 else ''}, {n} asset{'s' if n > 1 else ''}, worth at "
            f"least {self.worst_value:.6g}, turnover {self.turnover.sum():.4g})"
        )

    @property
    def first(self) -> pd.Series:
        """The weights of the first period: what model predictive control applies."""
        return self.weights.iloc[0].rename("weights")

    @cached_property
    def worst_means(self) -> pd.DataFrame:
        """The means that are worst for the plan, by period and asset."""
        return self.problem.worst_means(self.weights)

    @cached_property
    def worst_value(self) -> float:
        """What the plan is worth at the worst elements of the sets: at least this for all."""
        return self.problem.worst_value(self.weights)

    @cached_property
    def nominal_value(self) -> float:
        """What the plan is worth at the centres of the sets."""
        return self.problem.nominal().worst_value(self.weights)

    @cached_property
    def price_of_robustness(self) -> float:
        """What the plan gives up at the centres against the best plan there."""
        return max(0.0, self.problem.nominal().solve().worst_value - self.nominal_value)

    @cached_property
    def gap(self) -> float:
        """By how much any other plan's worst case could be better; see :meth:`MultiPeriod.gap`."""
        return self.problem.gap(self.weights)

    @property
    def infeasibility(self) -> float:
        """By how much the plan violates X or the limit on turnover."""
        missed = max(violation(self.problem.weight_set, x) for x in self.weights.to_numpy())
        limit = self.problem.trading.turnover
        over = 0.0 if limit is None else float(self.turnover.max()) - limit
        return max(0.0, missed, over)

    @property
    def turnover(self) -> pd.Series:
        """Σ_i |w_hi − w_{h−1,i}| by period."""
        return self.problem.turnover(self.weights)

    @property
    def cost(self) -> pd.Series:
        """What trading costs, by period."""
        return self.problem.cost(self.weights)
