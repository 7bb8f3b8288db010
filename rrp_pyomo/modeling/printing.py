"""Statements as they are read: text for terminals, LaTeX for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.modeling.notation import escaped, latex, of_numbers, text
from rrp_pyomo.modeling.operators import Expression

_SENSES = {"<=": r"\le", ">=": r"\ge", "==": "="}


def text_lines(statement: Any) -> str:
    """The objective, the constraints in columns, and what the variables and parameters are."""
    verb = "maximise" if statement.maximizing else "minimise"
    rows = [(verb, repr(statement.objective), "", "")]
    rows += [(name, *_written(c)) for name, c in statement.constraints.items()]
    names, lefts, senses = (max(len(row[k]) for row in rows) for k in range(3))
    kinds = [k for k in ("variables", "parameters", "expressions") if vars(statement)[k]]
    kinds += ["uncertain"] if statement.uncertain_data else []
    names = max(names, *map(len, kinds), 0)
    lefts = max((len(row[1]) for row in rows if row[2]), default=lefts)
    lines = [
        f"{name:{names}}  {left:{lefts}} {sense:{senses}} {right}".rstrip()
        for name, left, sense, right in rows
    ]
    if statement.expressions:
        expressions = "; ".join(f"{n} = {_side(e)}" for n, e in statement.expressions.items())
        lines.append(f"{'expressions':{names}}  {expressions}")
    if statement.variables:
        variables = "; ".join(_variable(v) for v in statement.variables.values())
        lines.append(f"{'variables':{names}}  {variables}")
    if statement.uncertain_data:
        uncertain = "; ".join(f"{n} in {u.members!r}" for n, u in statement.uncertain_data.items())
        lines.append(f"{'uncertain':{names}}  {uncertain}")
    if statement.parameters:
        parameters = "; ".join(_parameter(p) for p in statement.parameters.values())
        lines.append(f"{'parameters':{names}}  {parameters}")
    return "\n".join(lines)


def latex_lines(statement: Any) -> str:
    """The same as an aligned block of equations."""
    verb = r"\text{maximise}" if statement.maximizing else r"\text{minimise}"
    rows = [rf"{verb}\quad & {_latex(statement.objective)} &&"]
    for k, (name, constraint) in enumerate(statement.constraints.items()):
        before = r"\text{subject to}\quad " if k == 0 else ""
        label = escaped(name.replace("_", " "))
        rows.append(rf"{before}& {_latex_constraint(constraint)} && \text{{{label}}}")
    for k, (name, expression) in enumerate(statement.expressions.items()):
        before = r"\text{where}\quad " if k == 0 else ""
        rows.append(rf"{before}& {latex(name)} = {_latex(expression)} &&")
    for k, (name, data) in enumerate(statement.uncertain_data.items()):
        before = r"\text{uncertain}\quad " if k == 0 else ""
        rows.append(rf"{before}& {latex(name)} \in {data.members.formula} &&")
    return "$$\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}$$"


def _written(constraint: Any) -> tuple[str, str, str]:
    if isinstance(constraint, InCone):
        parts = ", ".join(map(_side, constraint.parts))
        return f"({parts})", "in", f"{constraint.cone.name} cone"
    return _side(constraint.left), constraint.sense, _side(constraint.right)


def _side(side: Any) -> str:
    if isinstance(side, Expression):
        return text(side.notation) if side.notation is not None else repr(side)
    return text(of_numbers(side))


def _latex_constraint(constraint: Any) -> str:
    if isinstance(constraint, InCone):
        parts = r",\ ".join(_latex(part) for part in constraint.parts)
        return rf"\left({parts}\right) \in \mathcal{{K}}_\text{{{constraint.cone.name}}}"
    left, right = (_latex(side) for side in (constraint.left, constraint.right))
    return f"{left} {_SENSES[constraint.sense]} {right}"


def _latex(side: Any) -> str:
    if isinstance(side, Expression):
        return latex(side.notation) if side.notation is not None else rf"\text{{{side!r}}}"
    return latex(of_numbers(side))


def _variable(v: Any) -> str:
    size = "" if v.index is None else f"[{v.size}]"
    if v.domain == "binary":
        return f"{v.name}{size} binary"
    low, high = _bound(v.lower), _bound(v.upper)
    left = "" if low == "-inf" else f"{low} <= "
    right = "" if high == "inf" else f" <= {high}"
    if left and not right:
        left, right = "", f" >= {low}"
    return f"{left}{v.name}{size}{right}" + (" integer" if v.domain == "integer" else "")


def _bound(bound: Any) -> str:
    least, most = float(np.min(bound)), float(np.max(bound))
    return f"{least:g}" if least == most else f"[{least:g} … {most:g}]"


def _parameter(p: Any) -> str:
    return f"{p.name} = {p.numbers[0]:g}" if p.labels is None else f"{p.name}[{p.size}]"
