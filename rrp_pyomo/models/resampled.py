"""Portfolios averaged over samples of the estimates that they are made from."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo._processes import local_processes, number_of_workers, require_at_least
from rrp_pyomo._progress import progress_bar
from rrp_pyomo.data import Covariance, DenseCovariance
from rrp_pyomo.data.validation import (
    Labels,
    agreed_labels,
    as_floats,
    index_of,
    labels_of,
    positions,
    require_finite,
    require_shape,
)
from rrp_pyomo.errors import InputError, SolverError, brief, require_kind
from rrp_pyomo.linalg import FloatArray, Stack
from rrp_pyomo.models.frontier import frontier_weights
from rrp_pyomo.models.mean_variance import MeanVariance
from rrp_pyomo.models.robust_problem import RobustProblem
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.uncertainty.covariances.point import CovariancePoint
from rrp_pyomo.uncertainty.means.point import Point

Make = Callable[[pd.Series, Covariance], RobustProblem]

# What one process works on before it is given more.
_CHUNK = 10


@dataclass(frozen=True, eq=False)
class ResampledDetails:
    """How a resampled portfolio was averaged.

    Attributes
    ----------
    method, average : str
        As :class:`Resampled` takes them.
    draws : int
    spread : Series
        The standard deviation of each asset's weight over the draws.
    draw_weights : (draws, n) DataFrame
        The weights that were averaged.
    rank : int or None
        Which of the points of the frontier it is, 0 being that of least risk.
    frontier : (points, n) DataFrame or None
        The averages of all ranks.
    """

    method: str
    average: str
    draws: int
    spread: pd.Series
    draw_weights: pd.DataFrame
    rank: int | None = None
    frontier: pd.DataFrame | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return {
            "method": self.method,
            "average": self.average,
            "draws": self.draws,
            "rank": self.rank,
            "spread": {str(label): float(value) for label, value in self.spread.items()},
        }


class Resampled:
    """The average of the portfolios that samples of the estimates lead to.

    A draw takes T returns, estimates mean and covariance and solves the problem for these. Michaud
    averages by rank: each draw has a frontier of evenly spaced points, the k-th points of all draws
    are averaged, and of these averages the one with the best objective under the original estimates
    is the answer. Averaged by risk aversion are the answers of the problem itself. X is convex, so
    that averages are admissible.

    Averages hold more assets and change less than what is averaged; their objective under the
    original estimates is never better than the optimum, by concavity. With free weights and both
    moments drawn, the average by risk aversion is (T − 1)/(T − n − 2) times the optimum: more of
    it, not less.

    Parameters
    ----------
    problem : MeanVariance, or a function from (mean, covariance) to a problem
        One of a known mean and covariance. A function, such as of ``Ellipsoid`` and
        ``MeanVariance``, takes a Series and a Covariance; for several workers it must be one that
        another process can import.
    draws : int
    method : {"normal", "bootstrap"}
        Draws from N(μ̂, Σ̂), as Michaud has it, or of the returns' rows, with replacement.
    average : {"rank", "risk_aversion"}
        By rank needs a MeanVariance, or a function that makes some, and bounded weights.
    returns : (T, n) DataFrame or array, optional
        The returns, decimals per period: for the bootstrap, and where the problem is a function.
    observations : int, optional
        T; by default that of the returns.
    points : int
        Of each frontier, where averages are by rank.
    fixed_covariance : bool
        Whether only the mean is drawn.
    seed : int
        With a draw's number it determines the draw, whatever the number of workers.

    Raises
    ------
    InputError
        Sets in the problem, no returns where they are needed, none that says T.

    References
    ----------
    Michaud (1998), Efficient asset management; Scherer (2002), Portfolio resampling: review and
    critique.

    Examples
    --------
    Averages of long-only portfolios hold more of what a single estimate would leave out:

    >>> from rrp_pyomo import MeanVariance, Resampled
    >>> problem = MeanVariance([0.06, 0.02], [[0.04, 0.0], [0.0, 0.01]], risk_aversion=1.0)
    >>> problem.solve().weights.round(2).tolist()
    [1.0, 0.0]
    >>> resampled = Resampled(problem, draws=100, average="risk_aversion", observations=24, seed=1)
    >>> resampled.solve().weights.round(1).tolist()
    [0.7, 0.3]
    """

    default_solver: ClassVar[str] = "clarabel"

    def __init__(
        self,
        problem: MeanVariance | Make,
        draws: int = 500,
        method: str = "normal",
        average: str = "rank",
        *,
        returns: pd.DataFrame | FloatArray | None = None,
        observations: int | None = None,
        points: int = 20,
        fixed_covariance: bool = False,
        seed: int = 0,
    ) -> None:
        for name, value, kinds in (
            ("method", method, ("normal", "bootstrap")),
            ("average", average, ("rank", "risk_aversion")),
        ):
            if value not in kinds:
                raise InputError(f"{name} is {brief(value)}; expected {kinds[0]!r} or {kinds[1]!r}")
        self.draws = require_at_least(2, draws, "draws")
        self.method, self.average = method, average
        self.points = require_at_least(2, points, "points")
        self.seed = require_at_least(0, seed, "seed")
        known = _known(problem, returns)
        self.problem, rows = known.problem, known.returns
        if method == "bootstrap" and rows is None:
            raise InputError(
                f"method {method!r} draws from returns, and none are given; give returns="
            )
        if observations is None:
            if rows is None:
                raise InputError(
                    f"observations is {observations} and no returns are given; give the "
                    "number that the estimates come from as observations="
                )
            observations = len(rows)
        self.observations = require_at_least(2, observations, "observations")
        self._job = _Job(
            make=known.make,
            mean=known.mean,
            covariance=known.covariance,
            returns=rows if method == "bootstrap" else None,
            observations=self.observations,
            fixed_covariance=fixed_covariance,
            points=self.points if average == "rank" else None,
            seed=self.seed,
        )

    @property
    def labels(self) -> Labels:
        """The assets, in order."""
        return self.problem.labels

    def __repr__(self) -> str:
        return (
            f"Resampled({self.problem!r}, draws={self.draws}, method={self.method!r}, "
            f"average={self.average!r})"
        )

    def solve(
        self, solver: str | None = None, *, workers: int | None = 1, progress: bool = False
    ) -> Portfolio:
        """Solve the problem of every draw and average.

        Parameters
        ----------
        solver : str, optional
        workers : int or None
            Processes; None is one for each core. The numbers do not depend on it.
        progress : bool
            Whether a bar is shown on stderr.

        Returns
        -------
        Portfolio
            Measured under the original estimates; its certificate says what the average loses
            there against the optimum, its details what was averaged.

        Raises
        ------
        SolverError
            A draw's problem has no solution; the draw is named.
        """
        drawn = np.array(list(self._all(solver, number_of_workers(workers), progress)))
        averages = drawn.mean(axis=0)
        rank = None
        if self.average == "rank":
            value = [self.problem.worst_value(x) for x in averages]
            rank = int(np.argmax(value) if self.problem.maximising else np.argmin(value))
            chosen, drawn_weights = averages[rank], drawn[:, rank]
        else:
            chosen, drawn_weights = averages, drawn
        assets = index_of(self.labels)
        ended = f"average of {self.draws} draws"
        solution = self.problem._solution_at(chosen, ended, solver or self.default_solver)
        details = ResampledDetails(
            self.method,
            self.average,
            self.draws,
            pd.Series(drawn_weights.std(axis=0, ddof=1), assets, name="spread"),
            pd.DataFrame(drawn_weights, columns=assets),
            rank,
            None if rank is None else pd.DataFrame(averages, columns=assets),
        )
        portfolio = self.problem._portfolio(solution)
        return replace(portfolio, model=f"Resampled {portfolio.model}", details=details)

    def _all(self, solver: str | None, workers: int, progress: bool) -> Iterator[FloatArray]:
        """The weights of every draw, in order."""
        chunks = [range(k, min(k + _CHUNK, self.draws)) for k in range(0, self.draws, _CHUNK)]
        with progress_bar("resampling", "draws", self.draws, 0, progress) as report:
            if workers == 1:
                for draw in range(self.draws):
                    yield from self._job([draw], solver)
                    report(1)
                return
            self._require_portable(workers)
            done: dict[int, list[FloatArray]] = {}
            with ExitStack() as stack:
                pool = stack.enter_context(local_processes(min(workers, len(chunks))))
                stack.callback(pool.shutdown, cancel_futures=True)
                futures = {pool.submit(self._job, c, solver): k for k, c in enumerate(chunks)}
                try:
                    for future in as_completed(futures):
                        done[futures[future]] = future.result()
                        report(len(chunks[futures[future]]))
                except BrokenProcessPool as error:
                    raise SolverError(
                        f"one of {workers} worker processes died, perhaps for want of memory; use "
                        "fewer workers"
                    ) from error
            for k in range(len(chunks)):
                yield from done[k]

    def _require_portable(self, workers: int) -> None:
        """Raise where other processes cannot have the problem; a pool would wait for ever."""
        try:
            pickle.dumps(self._job)
        except (AttributeError, pickle.PicklingError, TypeError) as error:
            raise InputError(
                f"the problem cannot be sent to {workers} processes ({error}); give a function of "
                "a module, not one defined inside another, or workers=1"
            ) from None


@dataclass(frozen=True, eq=False)
class _Job:
    """What turns the numbers of draws into weights, here or in another process."""

    make: Make
    mean: pd.Series
    covariance: Covariance
    returns: FloatArray | None
    observations: int
    fixed_covariance: bool
    points: int | None
    seed: int

    def __call__(self, draws: Iterable[int], solver: str | None) -> list[FloatArray]:
        return [self._weights(draw, solver) for draw in draws]

    def _weights(self, draw: int, solver: str | None) -> FloatArray:
        remedy = "bound the weights, or use more observations"
        try:
            problem = self.make(*self._moments(draw))
            if self.points is None:
                return problem.solve(solver).weights.to_numpy()
            if isinstance(problem, MeanVariance):
                return frontier_weights(problem, self.points, solver)
        except InputError as error:
            raise InputError(f"draw {draw}: {error}; {remedy}") from error
        except SolverError as error:
            raise SolverError(f"draw {draw}: {error}; {remedy}") from error
        raise InputError(
            f"averages by rank are of frontiers of MeanVariance, not of {problem!r}; use "
            "average='risk_aversion'"
        )

    def _moments(self, draw: int) -> tuple[pd.Series, Covariance]:
        """The moments of one sample."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(draw,)))
        T = self.observations
        if self.returns is not None:
            sample = self.returns[rng.integers(len(self.returns), size=T)]
        else:
            root = self.covariance.root
            R = root.toarray() if isinstance(root, Stack) else root
            sample = self.mean.to_numpy() + rng.standard_normal((T, len(R))) @ R
        mean = pd.Series(sample.mean(axis=0), self.mean.index, name="mean")
        if self.fixed_covariance:
            return mean, self.covariance
        matrix = np.atleast_2d(np.cov(sample, rowvar=False))
        return mean, DenseCovariance(matrix, self.covariance.labels)


@dataclass(frozen=True, eq=False)
class _Same:
    """The same problem of another mean and covariance."""

    problem: MeanVariance

    def __call__(self, mean: pd.Series, covariance: Covariance) -> MeanVariance:
        return self.problem._varied(
            mean_set=Point(mean), covariance_set=CovariancePoint(covariance)
        )


class _Known(NamedTuple):
    """The problem of the original estimates, what makes others like it, and the estimates."""

    problem: RobustProblem
    make: Make
    mean: pd.Series
    covariance: Covariance
    returns: FloatArray | None


def _known(problem: Any, returns: Any) -> _Known:
    if isinstance(problem, MeanVariance):
        mean, covariance = problem.mean_set, problem.covariance_set
        if not (isinstance(mean, Point) and isinstance(covariance, CovariancePoint)):
            raise InputError(
                f"{problem!r} has a set, or no mean, where estimates are resampled; give a "
                "function from (mean, covariance) to the problem"
            )
        rows = None if returns is None else _rows(returns, problem.labels)
        return _Known(problem, _Same(problem), mean.center, covariance.center, rows)
    if not callable(problem) or isinstance(problem, type):
        raise InputError(
            f"problem is {brief(problem)}; expected a MeanVariance, or a function from (mean, "
            "covariance) to a problem"
        )
    if returns is None:
        raise InputError(
            f"the problem is made by {brief(problem)}, and no returns are given to estimate its "
            "mean and covariance from; give returns="
        )
    array = as_floats(returns, "returns", 2)
    labels = agreed_labels("asset", array.shape[1], returns=labels_of(returns, 1))
    rows = _rows(returns, labels)
    mean_of = pd.Series(rows.mean(axis=0), index_of(labels), name="mean")
    sigma = DenseCovariance(np.atleast_2d(np.cov(rows, rowvar=False)), labels)
    made = problem(mean_of, sigma)
    require_kind(made, RobustProblem, "what the function makes", "such as MeanVariance(…)")
    return _Known(made, problem, mean_of, sigma, rows)


def _rows(returns: Any, labels: Labels) -> FloatArray:
    """The returns in the order of the assets."""
    array = as_floats(returns, "returns", 2)
    require_shape(array, (len(array), len(labels)), "returns", f"{len(labels)} assets")
    dates = labels_of(returns)
    require_finite(array, "the return", range(len(array)) if dates is None else dates, labels)
    columns = labels_of(returns, 1)
    if columns is None:
        return array
    place = positions(columns, labels)
    ordered = np.empty_like(array)
    ordered[:, place] = array
    return ordered
