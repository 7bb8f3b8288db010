"""Models as their judges read them: made by the reader's function, solved, and looked into."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pandas as pd
import pyomo.environ as pyo
from pyomo.contrib.solver.common.util import NoFeasibleSolutionError

from rrp_pyomo.course.answers import vector
from rrp_pyomo.course.exercises import WrongAnswer
from rrp_pyomo.errors import brief

_ABSOLUTE = "abs("


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


@contextmanager
def on_other_data() -> Iterator[None]:
    """What is wrong in here is so on data that the reader has not seen."""
    try:
        yield
    except WrongAnswer as wrong:
        raise WrongAnswer(
            "right on the given data, but not on others: does the function use its arguments, all "
            f"of them and nothing else? There {wrong}"
        ) from None


def solved(model: Any) -> pyo.ConcreteModel:
    """A ConcreteModel with its solution, or why there is none."""
    if not isinstance(model, pyo.ConcreteModel):
        raise WrongAnswer(f"the answer should be a pyo.ConcreteModel; given: {brief(model)}")
    require_one_objective(model)
    with no_solution_is_wrong():
        optimise(model)
    return model


def optimise(model: Any) -> None:
    """The solution of a Pyomo model by Clarabel, or by Ipopt where its form is not conic."""
    try:
        _solve(model, "clarabel")
    except NoFeasibleSolutionError:
        raise
    except Exception as error:
        if _ABSOLUTE in str(error):  # not smooth: where Ipopt stops means nothing
            raise
        with suppress(Exception):  # Clarabel's reason is the one to be told
            return _solve(model, "casadi_ipopt")
        raise


def _solve(model: Any, solver: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        pyo.assert_optimal_termination(pyo.SolverFactory(solver).solve(model))


@contextmanager
def no_solution_is_wrong(hint: str = "") -> Iterator[None]:
    """What the reader's expressions, Pyomo or a solver raise is the answer's fault.

    The hint is for models that no values satisfy.
    """
    try:
        yield
    except Exception as error:
        told = str(error)
        if _ABSOLUTE in told:
            told = told.partition("; this solver")[0]
            hint = "|x| is stated by a variable u with u ≥ x and u ≥ −x"
        elif "not convex" in told:
            hint = "is the objective's sense right, and that of each row?"
        elif "PrimalInfeasible" not in told:
            hint = ""
        raise WrongAnswer(
            f"no solution of your model was found, and there is one of what is asked for: {told}"
            + (f"; {hint}" if hint else "")
        ) from None


def require_one_objective(model: Any) -> None:
    """Pyomo's solvers take models without an objective, and then leave variables as they are."""
    goals = len(list(model.component_data_objects(pyo.Objective, active=True)))
    if goals != 1:
        raise WrongAnswer(f"the model should have one active objective; it has {goals}")


def values(model: Any, name: str = "w") -> dict[Any, float | None]:
    """The values of the model's variables of this name, by index; None for those without one."""
    part: Any = getattr(model, name, None)
    try:
        items = part.items() if hasattr(part, "items") else enumerate(part)  # a kernel's list
        return {label: pyo.value(variable, exception=False) for label, variable in items}
    except TypeError:
        raise WrongAnswer(f"the model should have variables named {name!r}, by asset") from None


def by_label(found: dict[Any, float | None], labels: Iterable[Any], name: str = "w") -> pd.Series:
    """Values by label."""
    if missing := [label for label, value in found.items() if value is None]:
        raise WrongAnswer(f"{name}[{missing[0]!r}] has no value: is it in any constraint?")
    return vector(found, labels, name)
