"""Statements as their judges read them: a Program or a Pyomo model, solved, and its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo

from rrp_pyomo.course.answers import vector
from rrp_pyomo.course.exercises import WrongAnswer
from rrp_pyomo.course.models import (
    by_label,
    made,
    no_solution_is_wrong,
    optimise,
    require_one_objective,
    values,
)
from rrp_pyomo.errors import brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

_KINDS = (Program, pyo.ConcreteModel, pmo.block)


def stated(answer: Any, *given: Any) -> Any:
    """The model that the reader's function makes of ``given``: a Program, environ or kernel."""
    if not callable(answer) or isinstance(answer, _KINDS):
        raise WrongAnswer(
            f"a function that makes the model of its data is asked for; given: {brief(answer)}"
        )
    model = made(answer, *given)
    if not isinstance(model, _KINDS):
        raise WrongAnswer(
            "your function should return a Program, a ConcreteModel or a kernel block; it returns "
            f"{brief(model)}"
        )
    return model


def weights_of(model: Any, labels: Iterable[Any], name: str = "w", hint: str = "") -> pd.Series:
    """The variables of this name, by label, after the model has been solved."""
    return optimum_of(model, labels, name, hint)[0]


def optimum_of(
    model: Any, labels: Iterable[Any], name: str = "w", hint: str = ""
) -> tuple[pd.Series, float]:
    """As :func:`weights_of`, and the objective's value."""
    if isinstance(model, Program):
        with no_solution_is_wrong(hint):
            solution = solve_program(model, "clarabel")
        if name not in solution.values:
            raise WrongAnswer(f"the model should have variables named {name!r}, by asset")
        return vector(solution.values[name], labels), solution.objective
    require_one_objective(model)
    with no_solution_is_wrong(hint):
        optimise(model)
    (goal,) = model.component_data_objects(pyo.Objective, active=True)
    return by_label(values(model, name), labels, name), float(pyo.value(goal))


def transposed(C: FloatArray, risks: Mapping[str, FloatArray], limits: Mapping[str, float]) -> str:
    """A hint where limits on volatilities hold, and one is reached, with L for L', Σ = LL'."""
    L = np.linalg.cholesky(C)
    sizes = {name: np.linalg.norm(L @ x) / limits[name] for name, x in risks.items()}
    if abs(max(sizes.values()) - 1) > 1e-4:
        return ""
    return "; NumPy's Cholesky factor L has Σ = LL', so that the volatility is ‖L'w‖"
