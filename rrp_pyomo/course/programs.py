"""Statements as their judges read them: a Program or a Pyomo model, solved, and its weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo

from rrp_pyomo.course.answers import vector
from rrp_pyomo.course.exercises import WrongAnswer
from rrp_pyomo.course.models import made, require_one_objective
from rrp_pyomo.errors import brief
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
    """The variables of this name, by label, after the model has been solved by Clarabel."""
    if isinstance(model, pyo.ConcreteModel):
        require_one_objective(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(model, Program):
                found = solve_program(model, "clarabel").values[name]
            else:
                pyo.assert_optimal_termination(pyo.SolverFactory("clarabel").solve(model))
                part = getattr(model, name)
                found = (
                    {label: pyo.value(v) for label, v in part.items()}
                    if hasattr(part, "items")
                    else [pyo.value(v) for v in part]  # a list of the kernel, in order
                )
    except (KeyError, AttributeError):
        raise WrongAnswer(f"the model should have variables named {name!r}, by asset") from None
    except Exception as error:  # of the reader's expressions, of Pyomo or of the solver
        raise WrongAnswer(
            f"no solution of your model was found, and there is one of what is asked for: {error}"
            + (f"; {hint}" if hint else "")
        ) from None
    return vector(found, labels)
