"""The tables say what is so: the solvers that are here are asked, and no set is forgotten."""

from __future__ import annotations

import inspect

import pytest

from rrp_pyomo import tables, uncertainty
from rrp_pyomo.errors import ModelError
from rrp_pyomo.models.registry import PROBLEMS
from rrp_pyomo.uncertainty import UncertaintySet

BASES = {"UncertaintySet", "MeanSet", "CovarianceSet", "DistributionSet", "JointSet"}
PROBLEMS_BY_NAME = dict(tables._problems())


@pytest.fixture(scope="module")
def by_solver():
    return tables.problems_by_solver()


def test_every_problem_has_a_row(by_solver):
    assert set(by_solver.index) == set(PROBLEMS) == set(tables.problems_by_realisation().index)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("solver", ["clarabel", "highs", "casadi_ipopt"])
def test_a_solver_takes_what_the_table_says(by_solver, name, solver):
    if (name, solver) == ("black_litterman", "highs"):
        pytest.xfail("HiGHS 1.15 takes it, calls its own answer infeasible and says so")
    problem = PROBLEMS_BY_NAME[name]
    if by_solver.loc[name, solver]:
        assert problem.solve(solver).certificate
    else:
        with pytest.raises(ModelError):
            problem.solve(solver)


def test_local_answers_are_those_of_nonconvex_problems(by_solver):
    local = by_solver.index[(by_solver == "local").any(axis=1)]
    assert set(local) == {name for name in PROBLEMS if "nonconvex" in PROBLEMS[name].kind}
    assert (by_solver.loc[local, ["gurobi", "scip"]] == "global").all(axis=None)


def test_every_set_has_a_row():
    kinds = {name: getattr(uncertainty, name) for name in uncertainty.__all__}
    sets = {name for name, kind in kinds.items() if inspect.isclass(kind)}
    sets = {name for name in sets if issubclass(kinds[name], UncertaintySet)} - BASES
    rows = {name.partition(",")[0].partition(".")[0] for name in tables.sets_by_cones().index}
    assert rows == sets


def test_only_conic_solvers_take_sets_with_matrix_inequalities():
    table = tables.sets_by_cones()
    assert set(table.index[table["semidefinite"] > 0]) == {"CovarianceBox", "CovarianceEllipsoid"}
