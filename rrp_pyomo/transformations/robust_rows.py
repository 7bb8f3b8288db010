"""The adversary of one constraint or objective: a program, its block, and the worst elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import scipy.sparse as sp
from pyomo.contrib.fbbt.fbbt import compute_bounds_on_expr
from pyomo.core.base.var import VarData
from pyomo.core.expr.numvalue import native_numeric_types
from pyomo.repn import generate_standard_repn

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine
from rrp_pyomo.program import Program
from rrp_pyomo.transformations.parameter_terms import Coefficients
from rrp_pyomo.transformations.uncertain_params import UncertainParams
from rrp_pyomo.uncertainty import MeanSet


class Direction(NamedTuple):
    """What multiplies the Params of one set.

    Attributes
    ----------
    uncertain : UncertainParams
    entries : dict of int to expression or number
        b_j(x) by the place of its label in the set; what is missing is 0.
    """

    uncertain: UncertainParams
    entries: dict[int, Any]

    @classmethod
    def of(
        cls, uncertain: UncertainParams, places: dict[int, int], coefficients: Coefficients
    ) -> Direction:
        """From what multiplies each Param, and the places of the set's Params, both by id."""
        found = {
            places[j]: b
            for j, b in coefficients.items()
            if j in places and (b.__class__ not in native_numeric_types or b != 0)
        }
        return cls(uncertain, dict(sorted(found.items())))

    @property
    def is_known(self) -> bool:
        """Whether it is made of numbers alone."""
        return all(b.__class__ in native_numeric_types for b in self.entries.values())

    @property
    def value(self) -> FloatArray:
        """The numbers at the values that variables have now, one for each label of the set."""
        numbers = np.zeros(len(self.uncertain.params))
        numbers[list(self.entries)] = [pyo.value(b) for b in self.entries.values()]
        return numbers

    def shadow(self) -> MeanSet:
        """The set on the axes of the entries, where it has one that is not larger to state."""
        set_ = self.uncertain.set
        if len(self.entries) == len(set_.labels) or type(set_).select is MeanSet.select:
            return set_
        return set_.select([set_.labels[place] for place in self.entries])


@dataclass
class RobustRow:
    """A constraint body or objective a(x) + max_p Σ_j p_j b_j(x).

    Attributes
    ----------
    name : str
    rest : expression
        a(x).
    directions : list of Direction
        One for each set.
    sign : float
        −1 for an objective that is maximised, whose negative this is, and for a lower bound.
    """

    name: str
    rest: Any
    directions: list[Direction]
    sign: float

    def worst_value(self) -> float:
        """The worst value over the sets of what stood in the model, from the sets themselves."""
        worst = sum(d.uncertain.set.support(d.value) for d in self.directions)
        return self.sign * float(pyo.value(self.rest) + worst)

    def worst_case(self) -> dict[str, pd.Series | float]:
        """The elements that attain it, by Param."""
        found: dict[str, pd.Series | float] = {}
        for direction in self.directions:
            worst = direction.uncertain.set.worst(direction.value)
            found |= direction.uncertain.by_param(worst.to_numpy())
        return found


def state_adversary(block: Any, row: RobustRow) -> Any:
    """Σ_k σ_k(b_k(x)) by a block: a number, or a variable that is at least that.

    Coefficients that are variables, or linear in them with numbers, go into the program as they
    are. Others get a variable, ``block.coefficient``, that equals them: or, where the set leaves
    the Param one sign and they are not linear, bounds them on the side that counts, so that what
    was convex stays so.
    """
    total: Any = sum(d.uncertain.set.support(d.value) for d in row.directions if d.is_known)
    directions = [d for d in row.directions if not d.is_known]
    if not directions:
        return total
    rows = [_Rows(direction, direction.shadow()) for direction in directions]
    _define_coefficients(block, rows)
    variables = list({id(v): v for r in rows for v in r.variables}.values())
    place = {id(v): k for k, v in enumerate(variables)}
    program = Program(row.name)
    x, worst = program.variable("x", len(variables)), program.variable("worst")
    for r in rows:
        columns = [place[id(v)] for v in r.variables]
        n = r.set.size
        matrix = sp.csr_array((r.coefficients, (r.rows, columns)), shape=(n, len(variables)))
        d = Affine(n, {x: matrix}, r.constant, r.set.labels, r.direction.uncertain.name)
        total = total + r.set.support(d)
    program.subject_to(adversary=total <= worst)
    values = [v.value for v in variables]
    start = None
    if None not in values:
        support = sum(d.uncertain.set.support(d.value) for d in row.directions)
        start = {"x": np.array(values, float), "worst": support}
    block.adversary = program.block({"x": variables}, False, start, False)
    return block.adversary.worst


def bound_adversary(worst: Any, row: RobustRow) -> None:
    """Bounds that lose nothing, from those of variables: a big-M for rows of Disjuncts needs them.

    Each p_j b_j(x) lies between the products of the ends of two intervals.
    """
    if not isinstance(worst, VarData):
        return
    low = high = 0.0
    for direction in row.directions:
        set_ = direction.uncertain.set
        for place, b in direction.entries.items():
            unit = unit_vector(place, len(direction.uncertain.params))
            params = -set_.support(-unit), set_.support(unit)
            ends = [e if e is not None else np.nan for e in compute_bounds_on_expr(b)]
            products = [p * end if p else 0.0 for p in params for end in ends]
            low, high = low + np.min(products), high + np.max(products)
    worst.setlb(low if np.isfinite(low) else None)
    worst.setub(high if np.isfinite(high) else None)


@dataclass
class _Rows:
    """b(x) as rows over variables, one for each label of a set; what is not linear is kept."""

    direction: Direction
    set: MeanSet
    rows: list[int] = field(default_factory=list)
    coefficients: list[float] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)
    others: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        entries = self.direction.entries
        self.constant = np.zeros(self.set.size)
        whole = self.set is self.direction.uncertain.set
        for row, (place, entry) in enumerate(entries.items()):
            row = place if whole else row
            linear = _as_linear(entry)
            if linear is None:
                self.others[place] = row
                continue
            self.constant[row], terms = linear
            for coefficient, variable in terms:
                self.append(row, coefficient, variable)

    def append(self, row: int, coefficient: float, variable: Any) -> None:
        self.rows.append(row)
        self.coefficients.append(coefficient)
        self.variables.append(variable)


def _as_linear(entry: Any) -> tuple[float, list[tuple[float, Any]]] | None:
    """A constant and coefficients before variables, all of them numbers; None for the rest."""
    if entry.__class__ in native_numeric_types:
        return float(entry), []
    if isinstance(entry, VarData):
        return 0.0, [(1.0, entry)]
    # Fixed variables and Params, whose values may change, stay expressions here.
    linear = generate_standard_repn(entry, compute_values=False, quadratic=False)
    numbers = (linear.constant, *linear.linear_coefs)
    if linear.nonlinear_vars or any(c.__class__ not in native_numeric_types for c in numbers):
        return None
    pairs = zip(linear.linear_coefs, linear.linear_vars, strict=True)
    return float(linear.constant), [(float(c), v) for c, v in pairs]


def _define_coefficients(block: Any, rows: list[_Rows]) -> None:
    """``block.coefficient`` by the name of its Param, for what is not linear with numbers."""
    others = {r.direction.uncertain.params[p].name: (r, p) for r in rows for p in r.others}
    if not others:
        return
    block.coefficient = pyo.Var(list(others))
    stated = {}
    for name, (r, place) in others.items():
        b, variable = r.direction.entries[place], block.coefficient[name]
        variable.value = pyo.value(b, exception=False)
        stated[name] = _link(variable, b, r.direction.uncertain, place)
        r.append(r.others[place], 1.0, variable)
    block.coefficient_definition = pyo.Constraint(list(stated), rule=stated)


def _link(variable: Any, b: Any, uncertain: UncertainParams, place: int) -> Any:
    """variable = b, or one of its sides where b is not linear and p·b grows with it, or falls."""
    if b.polynomial_degree() not in (0, 1):
        unit = unit_vector(place, len(uncertain.params))
        if uncertain.set.support(-unit) <= 0.0:  # p_j ≥ 0
            return variable >= b
        if uncertain.set.support(unit) <= 0.0:
            return variable <= b
    return variable == b


def unit_vector(place: int, size: int) -> FloatArray:
    unit = np.zeros(size)
    unit[place] = 1.0
    return unit
