"""Reading a Pyomo model, kernel or environ, into arrays: rows, cones, quadratics, objective.

Every variable gets a column: unfixed ones are numbered 0, 1, …, fixed ones −1, −2, …, so that
fixed values can be moved into the constants in one step at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, groupby, repeat
from numbers import Real
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from pyomo.common.errors import PyomoException
from pyomo.common.gc_manager import PauseGC
from pyomo.common.numeric_types import native_numeric_types
from pyomo.core.base.block import BlockData
from pyomo.core.base.enums import TraversalStrategy
from pyomo.core.expr.numvalue import value
from pyomo.core.kernel import conic
from pyomo.core.kernel.block import IBlock
from pyomo.core.kernel.constraint import IConstraint, linear_constraint
from pyomo.core.kernel.matrix_constraint import matrix_constraint
from pyomo.core.kernel.objective import IObjective
from pyomo.core.kernel.sos import ISOS
from pyomo.core.kernel.suffix import ISuffix
from pyomo.environ import Constraint, Objective, Suffix, maximize
from pyomo.repn.quadratic import QuadraticRepnVisitor

from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.reading.checks import (
    INFINITE,
    NONLINEAR,
    bounds,
    fixed_values,
    integer_columns,
    not_finite,
    refuse_foreign_components,
    refuse_integers,
    shown,
)
from rrp_pyomo.solvers.reading.columns import Columns
from rrp_pyomo.solvers.reading.errors import IncompatibleModelError, NonlinearModelError
from rrp_pyomo.solvers.reading.kernel_cones import KERNEL_CONES
from rrp_pyomo.solvers.reading.linear import LinearCollector, LinearRows, plain_sum

_KERNEL_BRANCHES = {IBlock, IConstraint, IObjective, ISuffix, ISOS}


@dataclass
class ConeGroup:
    """Conic constraints of one type, dimension and exponent, and the columns of their members."""

    type: type
    dimension: int
    alpha: float
    constraints: list[Any] = field(default_factory=list)
    columns: Any = field(default_factory=list)


class QuadraticBody(NamedTuple):
    """Σ quadratic[i, j] x_i x_j + Σ linear[i] x_i + constant, over unfixed columns."""

    quadratic: dict[tuple[int, int], float]
    linear: dict[int, float]
    constant: float

    def value(self, x: list[float]) -> float:
        """The value at a point."""
        linear = sum(v * x[i] for i, v in self.linear.items())
        return linear + sum(v * x[i] * x[j] for (i, j), v in self.quadratic.items()) + self.constant


class QuadraticConstraint(NamedTuple):
    """lower ≤ body ≤ upper."""

    constraint: Any
    body: QuadraticBody
    lower: float
    upper: float


@dataclass
class StandardForm:
    """What a Pyomo model states, in arrays over its unfixed variables.

    Attributes
    ----------
    variables : list
        The unfixed variables that the objective or a constraint mentions; they are the columns.
    lower, upper, units : (n,) arrays
        ``units`` are 1 / ``scaling_factor`` where the model has that suffix, else 1.
    fixed : array
        Values of the fixed variables, column −1 first.
    sense : float
        1 to minimise, −1 to maximise.
    objective : QuadraticBody
    has_objective : bool
    integers : array
        The columns of integer and binary variables, in units of 1.
    """

    variables: list[Any]
    lower: FloatArray
    upper: FloatArray
    units: FloatArray
    fixed: FloatArray
    linear: LinearRows
    cones: list[ConeGroup]
    quadratics: list[QuadraticConstraint]
    objective: QuadraticBody
    sense: float
    has_objective: bool
    integers: IntArray = field(default_factory=lambda: np.zeros(0, np.intp))

    @cached_property
    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Bounds by column: those of fixed variables are their values, counted from the end."""
        fixed = self.fixed[::-1]
        return np.concatenate([self.lower, fixed]), np.concatenate([self.upper, fixed])

    def substituted(self, rows: Rows) -> Rows:
        """The rows with fixed variables moved into the constants."""
        if not self.fixed.size or not (mine := rows.col < 0).any():
            return rows
        shift = rows.val[mine] * self.fixed[-1 - rows.col[mine]]
        constant = rows.constant + np.bincount(rows.row[mine], shift, minlength=rows.size)
        return Rows(rows.row[~mine], rows.col[~mine], rows.val[~mine], constant)


def read_model(model: Any, cones: bool = True, integers: bool = False) -> StandardForm:
    """Read a model.

    Parameters
    ----------
    model : pyomo.environ block or pyomo.kernel block
    cones : bool
        Whether conic constraints are kept as cones; otherwise they are read as what their bodies
        say, such as the quadratic ``x**2 + y**2 - r**2 <= 0``.
    integers : bool
        Whether variables may be integer.

    Raises
    ------
    IncompatibleModelError
        The model has something that is not linear, quadratic or conic, integers that may not be,
        or numbers that are NaN or infinite; the message names the component.
    """
    reader = _Reader(cones, integers)
    with PauseGC():
        if isinstance(model, IBlock):
            reader.kernel(model)
        elif isinstance(model, BlockData) and model.parent_component().is_constructed():
            reader.environ(model)
        else:
            raise IncompatibleModelError(
                f"cannot solve {type(model).__name__} {getattr(model, 'name', model)!r}; expected "
                "a block of pyomo.kernel, or a constructed one of pyomo.environ: a ConcreteModel, "
                "create_instance() of an AbstractModel, one member of an indexed Block"
            )
        return reader.finish()


class _Reader:
    def __init__(self, keep_cones: bool, take_integers: bool) -> None:
        self._keep_cones = keep_cones
        self._take_integers = take_integers
        self._columns = Columns()
        self._linear = LinearCollector()
        self._cones: dict[tuple[type, int, float], ConeGroup] = {}
        self._quadratics: list[QuadraticConstraint] = []
        self._objectives: list[Any] = []
        self._scaling: list[tuple[int, Any]] = []  # by depth in the model

    @cached_property
    def _walk(self) -> Callable[[Any], Any]:
        visitor = QuadraticRepnVisitor({}, var_recorder=self._columns)
        walk: Callable[[Any], Any] = visitor.walk_expression
        return walk

    # --- walking the two kinds of models --------------------------------------------------------

    def kernel(self, container: Any, depth: int = 0) -> None:
        """A kernel block or container and everything active below it."""
        for kind, run in groupby(container.children(), type):  # what is alike is read together
            children = [child for child in run if child.active]
            if not children or children[0].ctype not in _KERNEL_BRANCHES:
                continue
            if issubclass(kind, conic._ConicBase) and self._keep_cones:
                self._conic(kind, children)
            else:
                for child in children:
                    self._child(child, depth)

    def _child(self, child: Any, depth: int) -> None:
        """Whatever is active in a kernel container, but cones."""
        ctype = child.ctype
        if isinstance(child, matrix_constraint):
            self._matrix(child)
        elif child._is_container:
            self.kernel(child, depth + 1)
        elif isinstance(child, linear_constraint):
            self._terms(child)
        elif ctype is IConstraint:
            self._expression(child)
        elif ctype is IObjective:
            self._objectives.append(child)
        elif ctype is ISuffix:
            self._suffix(child, child.storage_key, depth)
        else:
            raise IncompatibleModelError(
                f"{child.name!r} is an SOS constraint, which this solver does not take; use "
                "pyo.SolverFactory('gurobi_direct'), or state it by binary variables"
            )

    def environ(self, model: Any) -> None:
        """An environ block and everything active below it."""
        for block in model.block_data_objects(active=True, descend_into=True):
            refuse_foreign_components(block)
        for constraint in model.component_data_objects(Constraint, active=True, descend_into=True):
            self._expression(constraint)
        self._objectives.extend(
            model.component_data_objects(Objective, active=True, descend_into=True)
        )
        for suffix in model.component_objects(
            Suffix, active=True, descent_order=TraversalStrategy.BreadthFirstSearch
        ):
            self._suffix(suffix, suffix.local_name, 0)  # in the order of depth

    # --- constraints ----------------------------------------------------------------------------

    def _matrix(self, block: matrix_constraint) -> None:
        if block.x is None:
            raise IncompatibleModelError(
                f"matrix_constraint {block.name!r} has no variables; assign its x"
            )
        self._linear.matrix(block, self._columns.of(block.x))

    def _terms(self, constraint: linear_constraint) -> None:
        variables, coefficients = constraint._variables, constraint._coefficients
        numbers = (c if c.__class__ in native_numeric_types else value(c) for c in coefficients)
        columns = self._columns.of(variables).tolist()
        self._linear.row(constraint, columns, numbers, 0.0, constraint.lb, constraint.ub)

    def _expression(self, constraint: Any) -> None:
        try:
            lower, body, upper = constraint.to_bounded_expression(evaluate_bounds=True)
        except ValueError as error:
            raise IncompatibleModelError(
                f"constraint {constraint.name!r} has a bound that is no number: {error}"
            ) from error
        if lower is None and upper is None:
            return
        repn = self._represented(body, "constraint", constraint)
        index = self._columns.index
        if repn.quadratic:
            body = self._quadratic(repn, constraint)
            low = -np.inf if lower is None or lower <= -INFINITE else lower
            high = np.inf if upper is None or upper >= INFINITE else upper
            if low == -np.inf and high == np.inf:
                return
            self._quadratics.append(QuadraticConstraint(constraint, body, low, high))
        else:
            columns = map(index.__getitem__, repn.linear)
            self._linear.row(constraint, columns, repn.linear.values(), repn.constant, lower, upper)

    def _conic(self, kind: type, constraints: list[Any]) -> None:
        """Conic constraints of one type."""
        if kind not in KERNEL_CONES:
            raise IncompatibleModelError(
                f"cone {constraints[0].name!r} is a conic.{kind.__name__}, which this solver does "
                f"not take; it takes {', '.join(known.__name__ for known in KERNEL_CONES)}"
            )
        members = list(map(KERNEL_CONES[kind].members, constraints))
        columns = self._columns.of(chain.from_iterable(members))
        alphas: Iterable[float] = repeat(0.0)
        if hasattr(constraints[0], "alpha"):
            alphas = [value(constraint.alpha) for constraint in constraints]
        start = 0
        shapes = zip(map(len, members), alphas, constraints, strict=False)
        for (dimension, alpha), alike in groupby(shapes, itemgetter(0, 1)):
            key = kind, dimension, alpha
            group = self._cones.setdefault(key, ConeGroup(*key))
            before = len(group.constraints)
            group.constraints.extend(map(itemgetter(2), alike))
            stop = start + dimension * (len(group.constraints) - before)
            group.columns.append(columns[start:stop])
            start = stop

    # --- expressions ----------------------------------------------------------------------------

    def _represented(self, expression: Any, kind: str, component: Any) -> Any:
        try:
            repn = plain_sum(expression, self._columns) or self._walk(expression)
            nonlinear = None if repn.nonlinear is None else shown(repn.nonlinear)
        except (PyomoException, ValueError, ArithmeticError) as error:
            raise IncompatibleModelError(
                f"{kind} {component.name!r} cannot be evaluated: {error}"
            ) from error
        if nonlinear is not None:
            raise NonlinearModelError(
                f"{kind} {component.name!r} has the nonlinear term {nonlinear}; this "
                "solver takes linear, convex quadratic and conic models. State it with a cone of "
                f"pyomo.kernel.conic, or {NONLINEAR}"
            )
        return repn

    def _quadratic(self, repn: Any, component: Any) -> QuadraticBody:
        index = self._columns.index
        try:
            body = QuadraticBody(
                {(index[i], index[j]): float(v) for (i, j), v in (repn.quadratic or {}).items()},
                {index[i]: float(v) for i, v in repn.linear.items()},
                float(repn.constant),
            )
        except (PyomoException, ValueError, TypeError) as error:
            raise not_finite("component", component) from error
        numbers = [*body.quadratic.values(), *body.linear.values(), body.constant]
        if not np.isfinite(numbers).all():
            raise not_finite("component", component)
        return body

    def _suffix(self, suffix: Any, name: str, depth: int) -> None:
        if name == "scaling_factor":  # of whatever direction, as in Pyomo's own scaling
            self._scaling.append((depth, suffix))

    # --- the end --------------------------------------------------------------------------------

    def finish(self) -> StandardForm:
        objective, sense = self._objective()
        columns = self._columns
        variables = list(columns.var_map.values())
        integers = integer_columns(variables)
        if not self._take_integers:
            refuse_integers(variables, integers)
        lower, upper = bounds(variables)
        units = self._units(len(variables))
        units[integers] = 1.0
        for group in self._cones.values():
            group.columns = np.concatenate(group.columns).reshape(-1, group.dimension)
        return StandardForm(
            variables=variables,
            lower=lower,
            upper=upper,
            units=units,
            fixed=fixed_values(columns.fixed),
            linear=self._linear.joined(),
            cones=list(self._cones.values()),
            quadratics=self._quadratics,
            objective=objective,
            sense=sense,
            has_objective=bool(self._objectives),
            integers=integers,
        )

    def _objective(self) -> tuple[QuadraticBody, float]:
        if not self._objectives:
            return QuadraticBody({}, {}, 0.0), 1.0
        if len(self._objectives) > 1:
            names = ", ".join(repr(o.name) for o in self._objectives)
            raise IncompatibleModelError(
                f"the model has {len(self._objectives)} active objectives ({names}); a solver "
                "takes one: deactivate the others"
            )
        (objective,) = self._objectives
        repn = self._represented(objective.expr, "objective", objective)
        body = self._quadratic(repn, objective)
        return body, -1.0 if objective.sense == maximize else 1.0

    def _units(self, n: int) -> FloatArray:
        index, units = self._columns.index, [1.0] * n
        outermost_first = sorted(self._scaling, key=itemgetter(0))
        for _, suffix in reversed(outermost_first):  # the outermost block has the last word
            for component, factor in suffix._dict.values():  # items() takes ten times as long
                column = index.get(id(component))
                if column is not None and factor.__class__ is float and 0.0 < factor < INFINITE:
                    if column >= 0:
                        units[column] = 1.0 / factor
                    continue
                columns = _member_columns(component, index) if column is None else (column,)
                for column in columns:
                    if column >= 0:
                        if not (isinstance(factor, Real) and 0.0 < float(factor) < INFINITE):
                            raise IncompatibleModelError(
                                f"scaling_factor of {component.name!r} is {factor!r}; expected a "
                                "positive number"
                            )
                        units[column] = 1.0 / float(factor)
        return np.array(units)


def _member_columns(component: Any, index: dict[int, int]) -> list[int]:
    """The columns of an indexed variable; none for what is no variable of the model."""
    if component is None or not hasattr(component, "is_indexed") or not component.is_indexed():
        return []
    return [index[id(v)] for v in component.values() if id(v) in index]
