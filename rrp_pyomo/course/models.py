"""Models as their judges read them: made by the reader's function, solved, and looked into."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pyomo.environ as pyo

from rrp_pyomo.course.answers import vector
from rrp_pyomo.course.exercises import WrongAnswer
from rrp_pyomo.errors import brief


def made(answer: Any, *given: Any) -> Any:
    """A model as it was handed in, or what a function that was handed in makes of ``given``."""
    if not callable(answer) or isinstance(answer, pyo.Block):
        return answer
    try:
        model = answer(*given)
    except Exception as error:  # whatever the reader's own code raises is the answer's fault
        raise WrongAnswer(f"your function failed: {type(error).__name__}: {error}") from None
    if model is None:
        raise WrongAnswer("your function returns nothing: it should end with return model")
    return model


def solved(model: Any, solver: str = "clarabel") -> pyo.ConcreteModel:
    """A ConcreteModel, solved by one of Pyomo's solvers; what that says where it cannot."""
    if not isinstance(model, pyo.ConcreteModel):
        raise WrongAnswer(f"the answer should be a pyo.ConcreteModel; given: {brief(model)}")
    require_one_objective(model)
    try:
        with warnings.catch_warnings(action="ignore"):
            results = pyo.SolverFactory(solver).solve(model)
        pyo.assert_optimal_termination(results)
    except Exception as error:  # of the reader's expressions, of Pyomo or of the solver
        raise WrongAnswer(f"{solver} has no solution of the model: {error}") from None
    return model


def require_one_objective(model: pyo.ConcreteModel) -> None:
    """Pyomo's solvers take models without an objective, and then leave variables as they are."""
    goals = len(list(model.component_data_objects(pyo.Objective, active=True)))
    if goals != 1:
        raise WrongAnswer(f"the model should have one active objective; it has {goals}")


def values(model: pyo.ConcreteModel, name: str, labels: Iterable[Any]) -> pd.Series:
    """The values of the model's variables of this name, by label."""
    part = model.component(name)
    if part is None or not hasattr(part, "extract_values"):
        raise WrongAnswer(f"the model should have variables named {name!r}; it has none")
    found = part.extract_values()
    if missing := [label for label, value in found.items() if value is None]:
        raise WrongAnswer(f"{name}[{missing[0]!r}] has no value: is it in any constraint?")
    return vector(found, labels, name)
