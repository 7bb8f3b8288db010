"""Efficient frontiers, of the estimates and of the worst case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rrp_pyomo.data.validation import as_number, index_of
from rrp_pyomo.errors import (
    InfeasibleError,
    InputError,
    SolverError,
    brief,
    is_number,
    require_kind,
)
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.mean_variance import MeanVariance
from rrp_pyomo.models.robust_problem import RobustProblem
from rrp_pyomo.models.weights import state_weights
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty.covariance_set import CovarianceSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The numbers of problems that lead along a frontier.
_PARAMETERS = ("risk_aversion", "mean_weight")
# The highest return is asked for up to this part of the frontier's height: there may be several
# portfolios that have it, and the one of least risk among them belongs to the frontier.
_TOP = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Frontier:
    """Portfolios from the least risk to the highest return, each the best of its kind.

    Attributes
    ----------
    weights : (points, n) DataFrame
        By point and asset.
    values : (points, 4) DataFrame
        ``nominal_return``, ``nominal_risk``, ``worst_return``, ``worst_risk`` of each point, per
        period, before costs: at the sets' centres, and at the elements that are worst for it. Risk
        is volatility, or CVaR where the problem has distributions.
    nominal : Frontier or None
        That of the problem at the centres of its sets; None where it has only points.

    Examples
    --------
    Made by :func:`~rrp_pyomo.efficient_frontier`:

    >>> from rrp_pyomo import MeanVariance, efficient_frontier
    >>> problem = MeanVariance([0.06, 0.03], [[0.04, 0.0], [0.0, 0.01]])
    >>> frontier = efficient_frontier(problem, points=3)
    >>> frontier.weights.round(2).to_numpy().tolist()
    [[0.2, 0.8], [0.6, 0.4], [1.0, 0.0]]
    """

    weights: pd.DataFrame
    values: pd.DataFrame
    nominal: Frontier | None = None

    def __len__(self) -> int:
        return len(self.weights)

    def __repr__(self) -> str:
        beside = "" if self.nominal is None else ", with the nominal one beside it"
        return f"Frontier({len(self)} points of {self.weights.shape[1]} assets{beside})"

    def plot(self) -> Figure:
        """Return against risk, in per cent: what each frontier promises and what it is worth.

        Solid lines are values at the centres of the sets, broken ones at the worst elements.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.0, 4.0), dpi=150, layout="constrained")
        axes = figure.subplots()
        for name, style, colour, risk, mean in self.lines():
            axes.plot(100 * risk, 100 * mean, style, marker=".", color=colour, label=name)
        axes.set_xlabel("risk per period (%)")
        axes.set_ylabel("mean return per period (%)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", lw=0.6)
        axes.legend(frameon=False)
        return figure

    def lines(self) -> Iterator[tuple[str, str, str, pd.Series, pd.Series]]:
        """What a picture shows: name, style and colour of each line, its risks and its returns."""
        from rrp_pyomo.plots import BLUE, VERMILION

        drawn = [(self, BLUE, "robust" if self.nominal else "efficient")]
        if self.nominal is not None:
            drawn.append((self.nominal, VERMILION, "nominal"))
        for frontier, colour, name in drawn:
            for case, style in (("nominal", "-"), ("worst", "--")):
                if case == "worst" and self.nominal is None:
                    continue
                label = f"{name} portfolios" + (", worst case" if case == "worst" else "")
                risk, mean = (frontier.values[f"{case}_{axis}"] for axis in ("risk", "return"))
                yield label, style, colour, risk, mean


def efficient_frontier(
    problem: RobustProblem, points: int | Sequence[float] = 20, solver: str | None = None
) -> Frontier:
    """The efficient frontier of a problem, with the one at the centres of its sets beside it.

    For mean and variance, ``points`` portfolios of least worst-case variance among those whose
    worst mean return, less costs and penalties, reaches a level; the levels are even from that of
    the least risk to the highest. One program is solved for all of them, by a parameter.

    Parameters
    ----------
    problem : MeanVariance, or another robust problem with a ``risk_aversion`` or ``mean_weight``
        Its own value of that number does not matter.
    points : int or sequence of float
        How many, at least 2; or the values of that number, in whose order the points then are:
        for problems other than mean and variance, joint sets, and weights without bounds.
    solver : str, optional

    Raises
    ------
    InputError
        A problem without such a number or without a mean; a number of points where none is
        highest, because returns have no bound on X.

    Examples
    --------
    >>> from rrp_pyomo import MeanVariance, efficient_frontier
    >>> problem = MeanVariance([0.06, 0.03], [[0.04, 0.0], [0.0, 0.01]])
    >>> frontier = efficient_frontier(problem, points=3)
    >>> frontier.values[["nominal_return", "nominal_risk"]].round(4)
           nominal_return  nominal_risk
    point
    0               0.036        0.0894
    1               0.048        0.1265
    2               0.060        0.2000
    """
    require_kind(problem, RobustProblem, "problem", "such as MeanVariance(mean, covariance)")
    name = next((name for name in _PARAMETERS if hasattr(problem, name)), None)
    if name is None:
        raise InputError(
            f"{problem!r} has no number that trades return for risk; give a problem with a "
            f"{' or '.join(_PARAMETERS)}"
        )
    found = [_weights(case, points, name, solver) for case in _cases(problem)]
    frontiers = [_frontier(problem, weights) for weights in found]
    return Frontier(frontiers[0].weights, frontiers[0].values, *frontiers[1:])


def frontier_weights(problem: RobustProblem, points: int, solver: str | None = None) -> FloatArray:
    """The weights of evenly spaced points, least risk first, shape (points, n)."""
    if (
        not isinstance(problem, MeanVariance)
        or problem.mean_set is None
        or not isinstance(problem.covariance_set, CovarianceSet)
    ):
        raise InputError(
            f"{problem!r} has no evenly spaced returns: it has no mean, or one with its risk in a "
            "set; give points as values of its number, such as [1, 2, 5]"
        )
    low, high = (_optimum(problem, highest, solver) for highest in (False, True))
    bottom, top = (_value_of_return(problem, x) for x in (low, high))
    size = max(abs(bottom), abs(top))
    if top - bottom <= 1e-9 * size:
        return np.tile(low, (points, 1))
    program, x = _stated(problem)
    target = program.parameter("target", bottom / size)
    program.subject_to(enough=problem._net_return(program, x) * (1.0 / size) >= target)
    program.minimize(_scaled_variance(problem, x))
    rows = [low]
    for level in np.linspace(bottom, top - _TOP * (top - bottom), points)[1:]:
        program.set(target=level / size)
        solution = solve_program(program, problem._solver(solver))
        rows.append(solution.arrays["x"])
    return np.array(rows)


def _cases(problem: RobustProblem) -> Iterable[RobustProblem]:
    """The problem, and the one at the centres of its sets where there are any."""
    yield problem
    nominal = problem.nominal()
    x = problem._equal_weights()
    if problem.worst_value(x) != nominal.worst_value(x):
        yield nominal


def _weights(
    problem: RobustProblem, points: int | Sequence[float], name: str, solver: str | None
) -> tuple[pd.Index, FloatArray]:
    if is_number(points, Integral):
        count = int(points)  # type: ignore[arg-type]
        if count < 2:
            raise InputError(f"points is {count}; expected at least 2, or a list of {name}s")
        return pd.RangeIndex(count, name="point"), frontier_weights(problem, count, solver)
    try:
        values = [as_number(value, name, least=0.0) for value in points]  # type: ignore[union-attr]
    except TypeError:
        raise InputError(
            f"points is {brief(points)}; expected a whole number, or a list of {name}s"
        ) from None
    rows = [_with(problem, name, value).solve(solver).weights.to_numpy() for value in values]
    return pd.Index(values, name=name), np.array(rows).reshape(len(values), len(problem.labels))


def _with(problem: RobustProblem, name: str, value: float) -> RobustProblem:
    """The problem with another value of its number."""
    other = copy(problem)
    for stale in ("_program", "objective_unit"):
        vars(other).pop(stale, None)
    setattr(other, name, value)
    return other


def _frontier(problem: RobustProblem, found: tuple[pd.Index, FloatArray]) -> Frontier:
    """Weights with their returns and risks under a problem's sets, at the centres and at worst."""
    index, weights = found
    nominal = problem.nominal()
    rows = [(*_return_and_risk(nominal, x), *_return_and_risk(problem, x)) for x in weights]
    names = ["nominal_return", "nominal_risk", "worst_return", "worst_risk"]
    return Frontier(
        pd.DataFrame(weights, index, index_of(problem.labels)),
        pd.DataFrame(rows, index, names),
    )


def _return_and_risk(problem: RobustProblem, x: FloatArray) -> tuple[float, float]:
    """The mean return of weights and their risk, at the elements that are worst for them."""
    case = problem.worst_case(x)
    if case.distribution is not None:
        returns = case.distribution.scenarios.to_numpy() @ x
        chance = case.distribution.probabilities.to_numpy()
        return float(chance @ returns), _cvar(-returns, chance, problem.alpha)  # type: ignore[attr-defined]
    assert case.covariance is not None
    mean = np.nan if case.mean is None else float(case.mean.to_numpy() @ x)
    return mean, float(np.sqrt(case.covariance.variance(x)))


def _cvar(losses: FloatArray, chance: FloatArray, alpha: float) -> float:
    """The mean of the worst losses that have probability α together."""
    order = np.argsort(-losses)
    before = np.cumsum(chance[order]) - chance[order]
    tail = np.clip(alpha - before, 0.0, chance[order])
    return float(tail @ losses[order] / alpha)


def _stated(problem: MeanVariance) -> tuple[Program, Any]:
    program = Program("efficient_frontier")
    return program, state_weights(program, problem.weight_set)


def _scaled_variance(problem: MeanVariance, x: Any) -> Any:
    even = problem._equal_weights()
    return problem.covariance_set.variance(x) * (1.0 / problem.covariance_set.variance(even))  # type: ignore[union-attr]


def _value_of_return(problem: MeanVariance, x: FloatArray) -> float:
    """The worst mean return of weights, less costs and penalties."""
    assert problem.mean_set is not None
    size = float(np.linalg.norm(x))
    charges = problem.trading.cost(x) + problem.l2 * size + problem.l2_squared * size**2
    return -problem.mean_set._support(-x) - charges


def _optimum(problem: MeanVariance, highest: bool, solver: str | None) -> FloatArray:
    """The weights of least risk, or those of the highest return."""
    program, x = _stated(problem)
    worst = problem._net_return(program, x)
    if highest:
        program.maximize(worst * (1.0 / problem.objective_unit))
    else:
        program.minimize(_scaled_variance(problem, x))
    try:
        return solve_program(program, problem._solver(solver)).arrays["x"]
    except InfeasibleError:
        raise
    except SolverError as error:
        if not highest:
            raise
        raise InputError(
            f"the returns of {problem!r} have no highest ({error}); give bounds to the weights, or "
            "points as risk aversions, such as [1, 2, 5]"
        ) from error
