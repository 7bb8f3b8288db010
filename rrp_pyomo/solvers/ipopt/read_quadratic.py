"""A Pyomo model whose functions are at most quadratic, as a quadratic form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import compress
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.repn.plugins.nl_writer import NLWriterInfo

from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.linalg import BoolArray, FloatArray
from rrp_pyomo.solvers.ipopt.embedded import NonlinearSolution
from rrp_pyomo.solvers.ipopt.problem import Run, Statement, start_values
from rrp_pyomo.solvers.ipopt.quadratic import balanced, solve_scaled
from rrp_pyomo.solvers.reading.checks import TRIVIAL
from rrp_pyomo.solvers.reading.standard_form import StandardForm, read_model


def read_quadratic(model: Any) -> Statement:
    """State a kernel or environ model as a quadratic form.

    Where variables have a ``scaling_factor``, Ipopt works in the scaled variables. Rows and
    objective are balanced accordingly.

    Raises
    ------
    NonlinearModelError
        A function is more than quadratic.
    IncompatibleModelError
        The model has discrete variables, several objectives, or numbers that are not finite.
    InfeasibleConstraintException
        A constraint without free variables is violated.
    """
    stated = read_model(model, cones=False)
    constraints = [*stated.linear.constraints, *(q.constraint for q in stated.quadratics)]
    form = as_quadratic_form(stated)
    stating = _nontrivial(form, constraints)
    form = _restricted(form, stating)
    values = start_values(stated.variables)

    def runner(form: QuadraticForm) -> Run:
        def run(
            options: Mapping[str, object],
            time_limit: float | None,
            tee: bool,
            start: FloatArray | None,
            scale: FloatArray | None,
        ) -> NonlinearSolution:
            begin = values if start is None else start
            if scale is None:
                scale = balanced(form)
            found = solve_scaled(form, scale, begin, options, time_limit, tee)
            multipliers = np.zeros(stating.size)
            multipliers[stating] = found.row_multipliers
            return dataclasses.replace(found, row_multipliers=multipliers)

        return run

    return Statement(
        NLWriterInfo(var=stated.variables, con=constraints),
        stated.sense if stated.has_objective else 0.0,
        rows=list(compress(constraints, stating)),
        run=runner(form),
        run_for_feasibility=runner(_without_objective(form)),
    )


def as_quadratic_form(stated: StandardForm) -> QuadraticForm:
    """The form that minimises sense times the objective; linear rows first, then quadratic ones."""
    n, sense = len(stated.variables), stated.sense
    linear, quadratics, cost = (
        stated.substituted(stated.linear.rows),
        stated.quadratics,
        stated.objective,
    )
    rows = linear.size + np.arange(len(quadratics))
    bodies = [(row, q.body) for row, q in zip(rows.tolist(), quadratics, strict=True)]
    row, col, val = _arrays([(r, i, v) for r, body in bodies for i, v in body.linear.items()], 3)
    A = sp.csr_matrix(
        (np.r_[linear.val, val], (np.r_[linear.row, row], np.r_[linear.col, col])),
        shape=(linear.size + len(quadratics), n),
    )
    bodies.append(
        (-1, cost._replace(quadratic={ij: sense * v for ij, v in cost.quadratic.items()}))
    )
    products = [(r, i, j, v) for r, body in bodies for (i, j), v in body.quadratic.items()]
    row, i, j, value = _arrays(products, 4)
    c = np.zeros(n)
    c[list(cost.linear)] = sense * np.array(list(cost.linear.values()))
    constant = np.r_[linear.constant, [q.body.constant for q in quadratics]]
    return QuadraticForm(
        c=c,
        constant=sense * cost.constant,
        A=A,
        row_lower=np.r_[stated.linear.lower, [q.lower for q in quadratics]] - constant,
        row_upper=np.r_[stated.linear.upper, [q.upper for q in quadratics]] - constant,
        lower=stated.lower,
        upper=stated.upper,
        row=row,
        i=i,
        j=j,
        value=value,
        units=stated.units,
    )


def _arrays(entries: list[tuple[Any, ...]], width: int) -> list[NDArray[Any]]:
    """Columns of triplets or quadruplets: indices, and values at the end."""
    columns = list(zip(*entries, strict=True)) or [()] * width
    return [*(np.array(c, np.intp) for c in columns[:-1]), np.array(columns[-1], float)]


def _nontrivial(form: QuadraticForm, constraints: list[Any]) -> BoolArray:
    """The rows that bound something; those without variables are checked here."""
    states = np.diff(form.A.indptr) > 0
    states[form.row[form.row >= 0]] = True
    violated = ~states & ((form.row_lower > TRIVIAL) | (form.row_upper < -TRIVIAL))
    if violated.any():
        at = int(np.argmax(violated))
        raise InfeasibleConstraintException(
            f"constraint {constraints[at].name!r} has no free variable and is violated by "
            f"{max(form.row_lower[at], -form.row_upper[at]):.3g}"
        )
    result: BoolArray = states & (np.isfinite(form.row_lower) | np.isfinite(form.row_upper))
    return result


def _without_objective(form: QuadraticForm) -> QuadraticForm:
    kept = form.row >= 0
    return dataclasses.replace(
        form,
        c=np.zeros_like(form.c),
        constant=0.0,
        row=form.row[kept],
        i=form.i[kept],
        j=form.j[kept],
        value=form.value[kept],
    )


def _restricted(form: QuadraticForm, rows: BoolArray) -> QuadraticForm:
    """The form with some of its rows only."""
    place = np.r_[np.cumsum(rows) - 1, -1]  # the objective's row -1 stays -1
    kept = np.r_[rows, True][form.row]
    return dataclasses.replace(
        form,
        A=form.A[rows],
        row_lower=form.row_lower[rows],
        row_upper=form.row_upper[rows],
        row=place[form.row[kept]],
        i=form.i[kept],
        j=form.j[kept],
        value=form.value[kept],
    )
