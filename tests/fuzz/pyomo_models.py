"""Random Pyomo models through the package's solvers, against solutions known otherwise."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
from chains import chain
from judging import ACCURACY, APEX, Answer, Outcome, judge
from natural import draw_natural
from odd_models import draw_odd
from planted import Plant, infeasible, unbounded
from pyomo.common.errors import PyomoException
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.util import NoDualsError
from rendering import Rendering
from statement import Statement

from rrp_pyomo.errors import RiskParityError

SOLVERS = ("clarabel", "scs", "casadi_ipopt")
#: What Pyomo's older interface raises where there is nothing to load.
UNSOLVED = ("NoFeasibleSolutionError", "NoSolutionError", "NoDualsError")
VERDICTS = {
    TerminationCondition.provenInfeasible: "infeasible",
    TerminationCondition.unbounded: "unbounded",
    TerminationCondition.infeasibleOrUnbounded: "infeasibleOrUnbounded",
}


def case(seed: int) -> Outcome:
    """One model, or one after the other, by one of the solvers."""
    rng = np.random.default_rng(seed)
    outcome = Outcome()
    kind = rng.choice(["one", "chain", "odd"], p=[0.7, 0.2, 0.1])
    solver = str(rng.choice(SOLVERS, p=[0.55, 0.2, 0.25]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        {"one": _one, "chain": _chain, "odd": _odd}[str(kind)](rng, solver, outcome)
    return outcome


def _one(rng: np.random.Generator, solver: str, outcome: Outcome) -> None:
    kernel = bool(rng.random() < 0.45)
    stated: Statement | None
    if rng.random() < 0.65:
        plant = Plant(rng)
        stated = plant.draw(kernel)
        chance = rng.random()
        if chance < 0.1:
            stated = infeasible(plant, stated)
        elif chance < 0.2:
            stated = unbounded(plant, stated)
    else:
        stated = draw_natural(rng)
    if stated is None:
        outcome.counts["skipped: the reference is not sure"] += 1
        return
    rendered = Rendering(stated, rng, kernel)
    answer = ask(rendered, solver, rng.random() < 0.25, outcome)
    if answer is not None:
        judge(stated, answer, solver, outcome, lorentz=not kernel or solver == "casadi_ipopt")


def _chain(rng: np.random.Generator, solver: str, outcome: Outcome) -> None:
    kernel = bool(rng.random() < 0.45)
    made, rendered = SolverFactory(solver), None
    for stated in chain(rng, kernel, int(rng.integers(2, 7))):
        if stated is None:
            outcome.counts["skipped: the reference is not sure"] += 1
            continue
        if rendered is None:
            rendered = Rendering(stated, rng, kernel)
        else:
            rendered.update(stated)
        answer = ask(rendered, solver, False, outcome, made)
        if answer is not None:
            judge(stated, answer, solver, outcome, lorentz=not kernel or solver == "casadi_ipopt")


def _odd(rng: np.random.Generator, solver: str, outcome: Outcome) -> None:
    name, odd = draw_odd(rng)
    name = f"{solver}: {name}"
    outcome.counts[f"odd {name}"] += 1
    try:
        results = SolverFactory(solver).solve(
            odd.model, raise_exception_on_nonoptimal_result=False, load_solutions=False
        )
    except (RiskParityError, PyomoException) as error:
        missing = [n for n in odd.names if n not in str(error)]
        if solver not in odd.refused_by:
            outcome.found("refused", name, f"{type(error).__name__}: {error}")
        elif missing:
            outcome.found("crash", f"{name}: the message does not name {missing}", error)
        return
    except Exception as error:
        outcome.found("crash", name, f"{type(error).__name__}: {error}")
        return
    condition = results.termination_condition
    verdict = VERDICTS.get(condition, condition.name)
    optimal = results.solution_status is SolutionStatus.optimal
    if solver in odd.refused_by:
        outcome.found("wrong", f"{name} is taken", f"{verdict} {results.incumbent_objective}")
    elif isinstance(odd.truth, str):
        if optimal != (odd.truth == "feasible") and (optimal or verdict in VERDICTS.values()):
            outcome.found(
                "wrong", f"{name}: {verdict} for {odd.truth}", results.incumbent_objective
            )
        elif odd.truth != "feasible" and odd.truth not in verdict.lower():
            outcome.counts[f"{solver} undecided: {name}: {verdict}"] += 1
    elif odd.truth is not None:
        if verdict in VERDICTS.values():
            outcome.found("wrong", f"{name}: {verdict}, but it has an optimum", odd.truth)
        elif not optimal:
            outcome.counts[f"{solver} undecided: {name}: {verdict}"] += 1
        else:
            terms = 10 + 2 * abs(odd.truth) + (odd.terms if solver == "scs" else 0)
            allowed = ACCURACY[solver].value * terms
            if odd.is_apex and solver == "casadi_ipopt":
                allowed = max(allowed, APEX)
            if not abs(results.incumbent_objective - odd.truth) <= allowed:
                outcome.found("wrong", name, f"{results.incumbent_objective} for {odd.truth}")


def ask(
    rendered: Rendering, solver: str, legacy: bool, outcome: Outcome, made: Any = None
) -> Answer | None:
    """The answer of a solver; what it raises is a finding."""
    try:
        return (
            _by_legacy(rendered, solver)
            if legacy
            else _by_new(rendered, made or SolverFactory(solver))
        )
    except RiskParityError as error:
        outcome.found("refused", f"{solver}: {type(error).__name__}", error)
    except PyomoException as error:
        outcome.found("refused", f"{solver}: {type(error).__name__}", error)
    except Exception as error:
        outcome.found("crash", f"{solver}: {type(error).__name__}", error)
    return None


def _by_new(rendered: Rendering, solver: Any) -> Answer:
    model = rendered.model
    results = solver.solve(model, raise_exception_on_nonoptimal_result=False, load_solutions=False)
    status, condition = results.solution_status, results.termination_condition
    words = str(getattr(results.extra_info, "status", condition.name))
    if status not in (SolutionStatus.optimal, SolutionStatus.feasible):
        return Answer(VERDICTS.get(condition, condition.name), words)
    loader = results.solution_loader
    values = loader.get_vars()
    answer = Answer(
        status.name, words, [values.get(v) for v in rendered.x],
        results.incumbent_objective, results.objective_bound,
    )  # fmt: skip
    if status is SolutionStatus.optimal:
        duals, costs = loader.get_duals(), loader.get_reduced_costs()
        answer.duals = [duals.get(c) for c in rendered.rows]
        answer.cone_duals = [duals.get(c) for c in rendered.cones]
        answer.costs = [costs.get(v) for v in rendered.x]
        loader.load_vars()
        for v, value in zip(rendered.x, answer.x, strict=True):
            if value is not None and v.value != value and not np.isnan(value):
                raise AssertionError(f"{v.name} was loaded as {v.value}, not {value}")
    return answer


def _by_legacy(rendered: Rendering, solver: str) -> Answer:
    model = rendered.model
    suffix = pmo.suffix if rendered.kernel else pyo.Suffix
    model.dual, model.rc = (suffix(direction=suffix.IMPORT) for _ in range(2))
    try:
        results = pyo.SolverFactory(solver).solve(model)
    except PyomoException as error:
        if type(error).__name__ not in UNSOLVED:
            raise
        try:
            results = pyo.SolverFactory(solver).solve(model, load_solutions=False)
        except NoDualsError:  # of a point that is feasible only
            return Answer("undecided", "a point without duals")
        return Answer(
            str(results.solver.termination_condition), str(results.solver.termination_message)
        )
    condition = str(results.solver.termination_condition)
    problem = results.problem
    objective, bound = problem.upper_bound, problem.lower_bound
    if rendered.stated.maximise:
        objective, bound = bound, objective
    return Answer(
        "optimal" if condition == "optimal" else "feasible", condition,
        [v.value for v in rendered.x], objective, bound,
        [model.dual.get(c) for c in rendered.rows],
        [model.dual.get(c) for c in rendered.cones],
        [model.rc.get(v) for v in rendered.x],
    )  # fmt: skip
