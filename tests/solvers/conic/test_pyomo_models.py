"""The models with which Pyomo tests its own solver interfaces, kernel and environ."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.results import SolutionStatus
from pyomo.core.kernel.base import ICategorizedObject
from pyomo.opt import TerminationCondition as LegacyCondition
from pyomo.solvers.tests.checks import test_MOSEKDirect
from pyomo.solvers.tests.models.base import all_models

from rrp_pyomo.errors import ModelError
from rrp_pyomo.solvers.conic import Clarabel

CONTINUOUS = sorted(n for n in all_models() if n.split("_")[0] in ("LP", "QP", "QCP"))
DISCRETE = sorted(set(all_models()) - set(CONTINUOUS))

#: What Clarabel cannot take, and why.
REFUSED = {
    "LP_piecewise": "states its pieces with an SOS constraint",
    "LP_piecewise_nosuffixes": "states its pieces with an SOS constraint",
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_models(tools: Any, name: str) -> None:
    """The legacy interface ends as Pyomo expects; the new one meets the optimality conditions."""
    if name in REFUSED:
        pytest.skip(REFUSED[name])
    stated = all_models(name)()
    stated.generate_model(import_suffixes=["dual", "rc"])
    stated.warmstart_model()
    model = stated.model
    results = pyo.SolverFactory("clarabel").solve(
        model, load_solutions=not stated.solve_should_fail
    )
    if not name.startswith("LP_trivial_constraints"):  # which looks into a file writer's symbols
        stated.post_solve_test_validation(None, results)
    if stated.solve_should_fail:
        assert results.solver.termination_condition in (
            LegacyCondition.infeasible,
            LegacyCondition.unbounded,
        )
        return
    results = Clarabel().solve(model)
    assert results.solution_status is SolutionStatus.optimal
    errors = tools.optimality(model, results)
    assert max(errors.values()) < 1e-4, errors  # multipliers of quadratics: √(duality gap)
    if stated.test_suffixes:
        duals = results.solution_loader.get_duals()
        assert {id(c) for c in duals} <= {id(c) for c in model.dual}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_models(name: str) -> None:
    stated = all_models(name)()
    stated.generate_model()
    with pytest.raises(ModelError):
        Clarabel().solve(stated.model)


def test_both_kinds_are_there() -> None:
    kernel = [all_models(name)() for name in CONTINUOUS]
    for stated in kernel:
        stated.generate_model()
    found = [isinstance(stated.model, ICategorizedObject) for stated in kernel]
    assert 10 <= sum(found) <= len(found) - 10


def test_conic_duals() -> None:
    """The duals that Pyomo's tests of MOSEK expect of a conic constraint, with their signs."""
    model = test_MOSEKDirect.MOSEKDirectTests._test_model(None)
    duals = Clarabel().solve(model).solution_loader.get_duals()
    assert duals[model.quad.q] == pytest.approx([-1.94296808, -0.303030303, -1.91919191], abs=1e-5)
