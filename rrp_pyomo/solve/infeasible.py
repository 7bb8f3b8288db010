"""Which constraints of a program exclude each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rrp_pyomo.errors import require_kind
from rrp_pyomo.forms.conic import NONNEGATIVE, ZERO, Cone, ConicForm, RowGroup
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.program import Program
from rrp_pyomo.realise.conic import CompiledStatement
from rrp_pyomo.solve.solution import without_solution
from rrp_pyomo.solve.table import find_solver
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.conic.solution import ConicSolution, Termination

_Parts = dict[str, IntArray]


def contradiction(program: Program) -> tuple[str, ...]:
    """Constraints and bounds that exclude each other, while any all but one of them can be met.

    There may be other such sets; this one is found by leaving out what the others do without, and
    each of its steps is a solve by Clarabel, some hundreds of them for hundreds of rows.

    Parameters
    ----------
    program : Program
        With continuous variables; that of a problem is ``problem.program()``.

    Returns
    -------
    tuple of str
        Rows and bounds as one would write them; empty where the program has a solution.

    Raises
    ------
    ModelError
        The program is not convex, or has integers.
    SolverError
        Neither a solution nor a proof that there is none was found.

    Examples
    --------
    Two floors and a cap on their sum; the third floor has nothing to do with it:

    >>> from rrp_pyomo import Program, contradiction
    >>> program = Program()
    >>> x = program.variable("x", ["a", "b", "c"], lower=0)
    >>> program.minimize(x.sum())
    >>> program.subject_to(floor=x >= 0.4, few=x["a"] + x["b"] <= 0.7)
    >>> contradiction(program)
    ("floor['a']", "floor['b']", 'few')
    """
    require_kind(program, Program, "program", "that of a problem is problem.program()")
    compiled = program.compiled()
    form = replace(compiled.form, P=None, q=np.zeros_like(compiled.form.q))
    rows, bounds, always = _parts(program, compiled)
    answer = _solved(form, [*rows.values(), *bounds.values(), always])
    if answer.termination in (Termination.SOLVED, Termination.ALMOST_SOLVED):
        return ()
    if answer.termination is not Termination.INFEASIBLE:
        raise without_solution(f"clarabel ended with status {answer.status!r} on {program.name}")
    # Constraints first: a floor that a bound can stand in for is not what matters.
    rows = _needed(form, rows, [*bounds.values(), always])
    bounds = _needed(form, bounds, [*rows.values(), always])
    return *rows, *bounds


def _needed(form: ConicForm, parts: _Parts, beside: Sequence[IntArray]) -> _Parts:
    """The parts without which there is a solution, others being left out, many at a time."""
    names = list(parts)
    size = len(names)
    while size:
        start = 0
        while start < len(names):
            fewer = names[:start] + names[start + size :]
            answer = _solved(form, [*(parts[name] for name in fewer), *beside])
            if answer.termination is Termination.INFEASIBLE:
                names = fewer
            else:
                start += size
        size //= 2
    return {name: parts[name] for name in names}


def _solved(form: ConicForm, parts: Sequence[IntArray]) -> ConicSolution:
    """What Clarabel says of these rows of a form."""
    rows = np.sort(np.concatenate(parts))
    cones: list[Cone] = []
    for cone, own in form.blocks():
        kept = int(((rows >= own.start) & (rows < own.stop)).sum())
        if kept and cone.kind in (ZERO, NONNEGATIVE):
            cones.append(replace(cone, dimension=kept))
        elif kept:
            cones.append(replace(cone, count=kept // cone.dimension))
    part = replace(
        form,
        A=form.A[rows],
        b=form.b[rows],
        row_scale=form.row_scale[rows],
        cones=tuple(cones),
        groups=(),
    )
    backend = find_solver("clarabel").backend()
    return Session(backend, **backend.for_programs).solve(part)


def _parts(program: Program, compiled: CompiledStatement) -> tuple[_Parts, _Parts, IntArray]:
    """The rows of the form by constraint, by bound, and those that say what terms are."""
    bounds: _Parts = {}
    always = [np.zeros(0, np.intp)]
    groups = iter(compiled.form.groups)
    for bound, relation in zip(compiled.source.bounds(), (">=", "<="), strict=True):
        finite = np.flatnonzero(np.isfinite(bound))
        rows = np.full(bound.size, -1)
        rows[finite] = _rows(next(groups)) if finite.size else 0
        stated = np.zeros(bound.size, bool)
        for variable in program.variables.values():
            for place in range(variable.size):
                k = variable.offset + place
                stated[k] = True
                if rows[k] >= 0:
                    name = _row_name(variable.name, variable.labels, place, variable.size)
                    bounds[f"{name} {relation} {bound[k]:.6g}"] = rows[[k]]
        always.append(rows[~stated & (rows >= 0)])

    parts: _Parts = {}
    members: dict[str | None, list[str]] = {}
    for member in compiled.groups:
        members.setdefault(_constraint(program, member), []).append(member)
    for constraint, own in members.items():
        of_members = [_rows(compiled.form.groups[compiled.groups[member]]) for member in own]
        if constraint is None:
            always += of_members
            continue
        # A constraint with terms is one part; of others each row, or each cone, is.
        cone: Any = compiled.source.stated[own[0]]
        count = len(of_members[0]) if cone.cone.is_linear else cone.cone.count(cone.parts)
        count = count if own == [constraint] else 1
        labels = cone.cone.labels(cone.parts) if own == [constraint] else None
        for place, rows in enumerate(np.split(np.concatenate(of_members), count)):
            parts[_row_name(constraint, labels, place, count)] = rows
    return parts, bounds, np.concatenate(always)


def _rows(group: RowGroup) -> IntArray:
    return np.arange(group.rows.start, group.rows.stop)


def _constraint(program: Program, member: str) -> str | None:
    """The constraint of which a membership is a part: what bounds its terms is named after it."""
    names = (c for c in program.constraints if member == c or member.startswith(f"{c}_"))
    return max(names, key=len, default=None)


def _row_name(name: str, labels: Any, place: int, count: int) -> str:
    if labels is None and count == 1:
        return name
    return f"{name}[{place if labels is None else labels[place]!r}]"
