"""Any model that the .nl format can state: Pyomo writes it, CasADi reads and differentiates it."""

from __future__ import annotations

import dataclasses
import io
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pyomo.common.errors import InfeasibleConstraintException, PyomoException
from pyomo.common.numeric_types import native_numeric_types
from pyomo.core.expr.numeric_expr import (
    Expr_ifExpression,
    ExternalFunctionExpression,
    UnaryFunctionExpression,
)
from pyomo.core.kernel.base import ICategorizedObject
from pyomo.core.kernel.constraint import IConstraint
from pyomo.environ import Constraint, Objective, SOSConstraint, maximize, value
from pyomo.repn.plugins.nl_writer import NLWriter, NLWriterInfo

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.ipopt.deferred import casadi
from rrp_pyomo.solvers.ipopt.embedded import NonlinearProblem, NonlinearSolution
from rrp_pyomo.solvers.ipopt.problem import Run, Statement, start_values
from rrp_pyomo.solvers.reading.checks import (
    bounds,
    integer_columns,
    refuse_foreign_components,
    refuse_integers,
    shown,
)
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError

#: Functions of Pyomo that CasADi's reader does not know.
UNREADABLE = ("asinh", "acosh", "atanh")

_CONSTRAINTS = (Constraint, IConstraint)


def read_nl(model: Any, config: Any) -> Statement:
    """State a kernel or environ model through its .nl file.

    Parameters
    ----------
    model : block
    config : CasadiIpoptConfig
        Its ``writer_config`` is that of Pyomo's writer; in ``working_dir`` the file is kept.

    Raises
    ------
    IncompatibleModelError
        The model has discrete variables, several objectives, numbers that are not finite, or an
        operation that CasADi's reader does not know; the message names the component.
    InfeasibleConstraintException
        Pyomo's presolve has proved that there is no feasible point.
    """
    if not isinstance(model, ICategorizedObject):
        for block in model.block_data_objects(active=True):
            refuse_foreign_components(block)
    for sos in model.component_data_objects(SOSConstraint, active=True):
        raise IncompatibleModelError(f"{sos.name!r} is an SOS constraint; Ipopt takes none")
    text, info = _written(model, config)
    if len(info.objectives) > 1:
        names = ", ".join(repr(o.name) for o in info.objectives)
        raise IncompatibleModelError(
            f"the model has {len(info.objectives)} active objectives ({names}); Ipopt takes one: "
            "deactivate the others"
        )
    variables = [*info.variables, *(variable for variable, _ in info.eliminated_vars)]
    refuse_integers(variables, integer_columns(variables))
    bounds(variables)
    start_values(info.variables)
    problem, start = _problem(text, model, config.working_dir)
    sense = 0.0
    if info.objectives:
        sense = -1.0 if info.objectives[0].sense == maximize else 1.0
    aimless = dataclasses.replace(problem, functions={**problem.functions, "f": casadi.MX(0)})
    return Statement(
        info,
        sense,
        rows=info.constraints,
        run=_runner(problem, start, info.scaling),
        run_for_feasibility=_runner(aimless, start, info.scaling),
    )


def _runner(problem: NonlinearProblem, values: FloatArray, scaling: Any) -> Run:
    def run(
        options: Mapping[str, object],
        time_limit: float | None,
        tee: bool,
        start: FloatArray | None,
        scale: FloatArray | None,
    ) -> NonlinearSolution:
        begin = values if start is None else start
        if scaling is None:
            return problem.solve(begin, options, time_limit, tee, scale)
        units = 1.0 / np.array(scaling.variables, float)
        rows = np.array(scaling.constraints, float)
        cost = float(scaling.objectives[0]) if len(scaling.objectives) else 1.0
        if scale is not None:
            scale = scale / np.r_[cost, rows]
        found = problem.solve(begin, options, time_limit, tee, scale)
        return dataclasses.replace(
            found, evaluate=lambda: found.conditions.unscaled(units, rows, cost)
        )

    return run


def _written(model: Any, config: Any) -> tuple[str, NLWriterInfo]:
    file = io.StringIO()
    try:
        info = NLWriter().write(model, file, config=config.writer_config)
    except InfeasibleConstraintException:
        raise
    except (PyomoException, ValueError) as error:
        raise IncompatibleModelError(f"the model cannot be written as .nl: {error}") from error
    return _without_suffixes(file.getvalue()), info


def _without_suffixes(text: str) -> str:
    """The file without its S segments, ``S<kind> <count> <name>`` and count lines after it.

    Exported suffixes are advice to a solver; CasADi's reader stops at them.
    """
    lines = iter(text.splitlines(keepends=True))
    kept = []
    for line in lines:
        if line.startswith("S"):
            for _ in range(int(line.split()[1])):
                next(lines)
        else:
            kept.append(line)
    return "".join(kept)


def _problem(text: str, model: Any, folder: Any) -> tuple[NonlinearProblem, Any]:
    read = casadi.NlpBuilder()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(folder or temporary) / "model.nl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        try:
            read.import_nl(str(path))
        except RuntimeError as error:
            raise IncompatibleModelError(_why_unreadable(model)) from error
    f = read.f if read.f.is_scalar() else casadi.MX(0)  # empty where there is no objective
    g = casadi.vertcat(*read.g)
    p = casadi.MX.sym("p", 1 + g.numel())
    by, rows_by = casadi.vertsplit(p, [0, 1, p.numel()])
    functions = {"x": casadi.vertcat(*read.x), "p": p, "f": by * f, "g": rows_by * g}
    lower, upper, row_lower, row_upper, start = (
        np.array(numbers, float)
        for numbers in (read.x_lb, read.x_ub, read.g_lb, read.g_ub, read.x_init)
    )
    return NonlinearProblem(functions, lower, upper, row_lower, row_upper), start


def _why_unreadable(model: Any) -> str:
    """Names the first component with something that CasADi's reader does not know."""
    for component in model.component_data_objects((Objective, Constraint), active=True):
        body = component.body if component.ctype in _CONSTRAINTS else component.expr
        for node in _nodes(body):
            if reason := _unreadable(node):
                return (
                    f"{component.name!r} has {reason}, which the embedded Ipopt cannot read; "
                    "reformulate it, or use the 'ipopt' executable"
                )
    return "the embedded Ipopt cannot read the model's .nl file; use the 'ipopt' executable"


def _unreadable(node: Any) -> str:
    if isinstance(node, (Expr_ifExpression, ExternalFunctionExpression)):
        return f"the expression {shown(node)}"
    if isinstance(node, UnaryFunctionExpression) and node.name in UNREADABLE:
        return f"the function {node.name}"
    if node.__class__ in native_numeric_types or not node.is_potentially_variable():
        number = value(node, exception=False)
        if number is None or not math.isfinite(number):
            return f"the number {node}"
    return ""


def _nodes(expression: Any) -> Iterator[Any]:
    """An expression and everything in it."""
    stack = [expression]
    while stack:
        node = stack.pop()
        yield node
        if node.__class__ not in native_numeric_types and node.is_expression_type():
            stack.extend(node.args)
