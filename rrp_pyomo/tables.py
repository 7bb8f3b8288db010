"""What goes with what, found by asking each: problems and solvers, sets and cones, realisations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rrp_pyomo import uncertainty
from rrp_pyomo.data import FactorCovariance, FactorModel
from rrp_pyomo.errors import InputError
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.modeling.cones import CONES
from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.models.registry import PROBLEMS
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import needs
from rrp_pyomo.solve.table import SOLVERS, Solver
from rrp_pyomo.uncertainty import CovarianceSet, MeanSet

if TYPE_CHECKING:
    from rrp_pyomo.models.problem import PortfolioProblem

__all__ = ["problems_by_realisation", "problems_by_solver", "sets_by_cones"]

_ASSETS, _PERIODS = 3, 24


def problems_by_solver() -> pd.DataFrame:
    """Which solver takes which problem, and what its answer is.

    A cell is ``"global"`` where no admissible weights are better than the answer, ``"local"``
    where none nearby are, and empty where the solver does not take the problem's statement. It is
    of the statement over long-only weights; integers need a solver that branches.

    Returns
    -------
    DataFrame
        By the problem's name in :data:`~rrp_pyomo.models.registry.PROBLEMS` and the solver's in
        :data:`~rrp_pyomo.SOLVERS`, installed or not.

    Examples
    --------
    >>> from rrp_pyomo.tables import problems_by_solver
    >>> table = problems_by_solver()
    >>> table.loc[["qclp", "socp", "evar"], ["clarabel", "ipopt", "scip", "highs"]]
         clarabel   ipopt    scip highs
    qclp            local  global
    socp   global  global  global
    evar   global  global  global
    """
    table = {
        name: {solver: _answer(problem, SOLVERS[solver]) for solver in SOLVERS}
        for name, problem in _problems()
    }
    return pd.DataFrame.from_dict(table, orient="index")


def problems_by_realisation() -> pd.DataFrame:
    """In which forms each problem can be had: ``"yes"``, or empty where the form refuses it.

    Returns
    -------
    DataFrame
        By the problem's name and by ``kernel`` (block), ``environ`` (block), ``conic`` (matrices
        with cones) and ``quadratic`` (matrices with quadratic functions).

    Examples
    --------
    >>> from rrp_pyomo.tables import problems_by_realisation
    >>> problems_by_realisation().loc[["qclp", "socp", "evar"]]
         kernel environ conic quadratic
    qclp    yes     yes             yes
    socp    yes     yes   yes       yes
    evar    yes     yes   yes
    """
    forms: dict[str, Callable[[Any], Any]] = {
        "kernel": lambda program: program.kernel(),
        "environ": lambda program: program.block(),
        "conic": lambda program: program.conic(),
        "quadratic": lambda program: program.quadratic(),
    }
    table = {
        name: {form: "yes" if _makes(make, problem) else "" for form, make in forms.items()}
        for name, problem in _problems()
    }
    return pd.DataFrame.from_dict(table, orient="index")


def sets_by_cones() -> pd.DataFrame:
    """How many cones of each kind each uncertainty set brings, for weights of any sign.

    That is of the worst mean return, the worst variance or the worst CVaR of three assets, over
    four scenarios where the set has scenarios; for ``zero`` and ``nonnegative`` it is rows.

    Returns
    -------
    DataFrame
        By the set's name in :mod:`rrp_pyomo.uncertainty`, with its arguments where these decide,
        and the cone's; ``solvers take`` is what a solver must take beside linear rows.

    Examples
    --------
    >>> from rrp_pyomo.tables import sets_by_cones
    >>> table = sets_by_cones()
    >>> table.loc[["Box", "Ellipsoid"], ["nonnegative", "second-order"]].to_numpy().tolist()
    [[6, 0], [0, 1]]
    """
    table = {name: _counts(given) for name, given in _sets()}
    return pd.DataFrame.from_dict(table, orient="index")


# --- problems ------------------------------------------------------------------------------------


def _problems() -> Iterator[tuple[str, Any]]:
    """Each problem of the registry, of a small market."""
    rng = np.random.default_rng(0)
    factors = rng.normal(0.01, 0.04, (_PERIODS, 1))
    returns = factors * [1.0, 0.5, 0.8] + rng.normal(0.0, 0.02, (_PERIODS, _ASSETS))
    model = FactorModel.from_arrays(returns, factors)
    estimates = SimpleNamespace(
        model=model,
        covariance=model.covariance,
        uncertainty=model.covariance_uncertainty(),
        returns=pd.DataFrame(returns),
    )
    for name, entry in PROBLEMS.items():
        problem: Any = entry.make(estimates)
        # What averages the answers of another problem is stated by that one.
        yield name, problem if hasattr(problem, "statement") else problem.problem


def _answer(problem: PortfolioProblem, solver: Solver) -> str:
    if solver.own:
        return "global" if _makes(lambda _: problem.solve(solver.name), problem) else ""
    needed = needs(problem.statement)
    if not solver.can(needed):
        return ""
    # Who branches on integers branches on products, too, and proves what it finds.
    is_local = Takes.NONCONVEX in needed and Takes.INTEGER not in solver.takes
    return "local" if is_local else "global"


def _makes(make: Callable[[Any], Any], problem: PortfolioProblem) -> bool:
    with suppress(InputError):
        make(problem.program())
        return True
    return False


# --- sets ----------------------------------------------------------------------------------------


def _sets() -> Iterator[tuple[str, Any]]:
    """A small one of each kind, by name."""
    u = uncertainty
    mean, root = np.array([0.03, 0.05, 0.04]), np.diag([0.1, 0.2, 0.15])
    covariance = root @ (0.5 + 0.5 * np.eye(_ASSETS)) @ root
    loadings, factors = np.array([[1.0, 0.5, 0.8]]), np.array([[0.03]])
    residuals, errors = np.full(_ASSETS, 0.004), 0.1 * np.abs(covariance)
    returns = np.array([[3.0, 1, 2], [-6, 2, 0], [3, 0, -4], [5, -1, 2]]) / 100
    yield "Point", u.Point(mean)
    yield "Box", u.Box(mean, 0.01)
    yield "Ball, norm 1", u.Ball(mean, 0.01, 1)
    yield "Ball", u.Ball(mean, 0.01)
    yield "Ellipsoid", u.Ellipsoid(mean, covariance / 60)
    yield "Budgeted", u.Budgeted(mean, 0.01, 1.5)
    yield "Vertices", u.Vertices(returns)
    yield "Polyhedron", u.Polyhedron(mean, np.vstack([np.eye(_ASSETS), -np.ones(_ASSETS)]), 0.01)
    yield "CovariancePoint", u.as_covariance_set(covariance)
    yield "CovarianceBox", u.CovarianceBox(covariance - errors, covariance + errors)
    yield "CovarianceEllipsoid", u.CovarianceEllipsoid(covariance, np.eye(_ASSETS**2), 0.001)
    yield "ElementwiseError", u.ElementwiseError.from_observations(covariance, 60, 1.0)
    yield "FrobeniusBall", u.FrobeniusBall(covariance, 0.001)
    yield "SamplingError", u.SamplingError(covariance, 60, 1.0)
    yield "LoadingEllipsoids", u.LoadingEllipsoids(loadings, factors, [[1.0]], 0.1, residuals)
    yield "LoadingsBall", u.LoadingsBall(loadings, factors, residuals, 0.1)
    model = FactorCovariance(loadings, factors, residuals)
    yield "FactorCovarianceBall", u.FactorCovarianceBall(model, 0.1)
    yield "Scenarios", u.Scenarios(returns)
    yield "Moments", u.Moments(mean, covariance)
    yield "DelageYe", u.DelageYe(mean, covariance, 0.1, 1.2)
    yield "Wasserstein, norm 1", u.Wasserstein(returns, 0.001, norm=1)
    yield "Wasserstein", u.Wasserstein(returns, 0.001)
    support = u.Polyhedron(mean, np.vstack([np.eye(_ASSETS), -np.eye(_ASSETS)]), 0.2)
    yield "Wasserstein, support", u.Wasserstein(returns, 0.001, support=support)
    yield "KullbackLeibler", u.KullbackLeibler(returns, 0.1)
    yield "ScenarioProbabilities.box", u.ScenarioProbabilities.box(returns, 0.1, 0.4)
    directions = 0.02 * np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    yield "ScenarioProbabilities.ellipsoid", u.ScenarioProbabilities.ellipsoid(returns, directions)
    parts = [u.Distribution(returns, p) for p in ([0.4, 0.2, 0.2, 0.2], [0.1, 0.3, 0.3, 0.3])]
    yield "ScenarioProbabilities.mixture", u.ScenarioProbabilities.mixture(parts)


def _counts(given: Any) -> dict[str, Any]:
    """The cones of its worst case by name, and what a solver must take."""
    program = Program()
    w = program.variable("w", _ASSETS, lower=-1.0, upper=1.0)
    if isinstance(given, MeanSet):
        program.maximize(-given.support(-w))
    elif isinstance(given, CovarianceSet):
        program.minimize(given.variance(w))
    else:
        program.minimize(given.risk(w, 0.25))
    counts: dict[str, Any] = {cone.name: 0 for cone in CONES}
    for constraint in program.lowered().stated.values():
        if isinstance(constraint, InCone):
            counts[constraint.cone.name] += constraint.cone.count(constraint.parts)
    takes = needs(program) - {Takes.LINEAR}
    return counts | {"solvers take": ", ".join(sorted(takes))}
