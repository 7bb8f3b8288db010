"""A problem stated once, in arrays, to be realised in several ways."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.forms.conic import ConicForm, ScaledRows
from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.linalg import Factor
from rrp_pyomo.modeling.checks import distinct_labels, ordered_bounds, require_terms
from rrp_pyomo.modeling.constraints import (
    Constraint,
    Linear,
    NormBound,
    ProductBound,
    QuadraticBound,
)
from rrp_pyomo.modeling.expressions import Affine, Quadratic, Variable, as_numbers

if TYPE_CHECKING:
    import pyomo.environ as pyo
    import pyomo.kernel as pmo

FloatArray = NDArray[np.float64]


class Program:
    """Named variables, an objective and named constraints, stated in arrays.

    The statement is written once and realised as a Pyomo kernel block (:meth:`kernel`), a Pyomo
    block for ConcreteModels (:meth:`block`), sparse matrices with cones (:meth:`conic`), or
    matrices with quadratic functions for nonlinear solvers (:meth:`quadratic`).

    Parameters
    ----------
    name : str

    Examples
    --------
    The smallest variance of a long-only portfolio, ``root.T @ root`` being the covariance matrix:

    >>> program = Program("minimum_variance")
    >>> x = program.variable("x", ["bonds", "stocks"], lower=0)
    >>> root = np.array([[0.1, 0.0], [0.0, 0.2]])
    >>> program.minimize(sum_squares(root @ x))
    >>> program.subject_to(fully_invested=x.sum() == 1)
    """

    def __init__(self, name: str = "program") -> None:
        self.name = name
        self.variables: dict[str, Variable] = {}
        self.constraints: dict[str, Constraint] = {}
        self.objective: Affine | Quadratic = Affine(1, {})
        self.maximizing = False
        self._columns = 0
        self._intermediates: dict[tuple[int, int], tuple[Factor, Affine, Variable]] = {}
        self._definitions: list[tuple[Variable, Affine]] = []
        self._compiled: WeakKeyDictionary[Constraint, ScaledRows] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        # What was compiled can be compiled again, and weak references are not for pickling.
        return vars(self) | {"_compiled": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _compiled=WeakKeyDictionary())

    # --- stating --------------------------------------------------------------------------------

    def variable(
        self,
        name: str,
        labels: Iterable[Hashable] | None = None,
        lower: float | FloatArray = -np.inf,
        upper: float | FloatArray = np.inf,
        unit: float = 1.0,
    ) -> Variable:
        """Declare a vector of variables, one for each label, or a scalar without labels.

        Parameters
        ----------
        name : str
        labels : iterable of hashables, optional
        lower, upper : float or array of shape (size,)
            Infinite by default.
        unit : float
            Typical magnitude of the entries. Solvers then work in multiples of it, which makes
            their absolute tolerances mean the same for weights and for weekly variances.

        Raises
        ------
        InputError
            The name is taken, labels are missing or repeated, bounds that are not numbers, of
            another shape or contradictory, or a unit that is not positive.
        """
        self._check_name(name)
        index = None if labels is None else distinct_labels(name, labels)
        lower, upper = ordered_bounds(name, index, lower, upper)
        if not 0 < unit < np.inf:
            raise InputError(f"the unit of {name!r} is {unit}; expected a positive number")
        variable = Variable(self, name, index, lower, upper, unit, self._columns)
        self._columns += variable.size
        self.variables[name] = variable
        return variable

    def minimize(self, objective: Affine | Quadratic) -> None:
        """State the objective, a scalar expression."""
        self._set_objective(objective, maximizing=False)

    def maximize(self, objective: Affine | Quadratic) -> None:
        """State the objective, a scalar expression."""
        self._set_objective(objective, maximizing=True)

    def subject_to(self, **constraints: Constraint) -> None:
        """Add named constraints: ``program.subject_to(fully_invested=x.sum() == 1)``.

        Raises
        ------
        InputError
            The name is taken, the constraint is none, has coefficients that are NaN or infinite, or
            is about another program's variables.
        """
        for name, constraint in constraints.items():
            self._check_name(name)
            self._check_constraint(name, constraint)
            self.constraints[name] = constraint

    def restated(self, **constraints: Constraint) -> Program:
        """The same program but for the constraints of these names, to be realised, not added to.

        Shares its variables and, once one of the two was compiled, the rows of all that is the
        same: cheap where a problem is solved for one number after the other.

        Raises
        ------
        UnknownLabelError
            The program has no constraint of that name.
        InputError
            What :meth:`subject_to` refuses.
        """
        for name, constraint in constraints.items():
            if name not in self.constraints:
                raise UnknownLabelError("constraint", name, self.constraints)
            self._check_constraint(name, constraint)
        other = copy.copy(self)
        other._compiled = self._compiled
        other.constraints = self.constraints | constraints
        return other

    def intermediate(self, factor: Factor, x: Affine) -> Variable:
        """The variable ``right @ x`` of a factored matrix, introduced once and then reused."""
        key = id(factor.right), id(x)
        if key not in self._intermediates:
            magnitude = np.abs(factor.right).sum(axis=1) * max(v.unit for v in x.terms)
            name = self.free_name(factor.name)
            unit = float(magnitude.max()) or 1.0
            variable = self.define(name, x.__rmatmul__(factor.right), factor.labels, unit=unit)
            self._intermediates[key] = factor, x, variable
        return self._intermediates[key][2]

    def define(
        self,
        name: str,
        expression: Affine,
        labels: Iterable[Hashable] | None,
        lower: float = -np.inf,
        unit: float = 1.0,
    ) -> Variable:
        """A variable that equals an expression, by the constraint ``<name>_definition``."""
        variable = self.variable(name, labels, lower=lower, unit=unit)
        self.constraints[f"{name}_definition"] = Linear(variable - expression, 0.0, 0.0)
        self._definitions.append((variable, expression))
        return variable

    def _set_objective(self, objective: Affine | Quadratic, maximizing: bool) -> None:
        if not isinstance(objective, (Affine, Quadratic)):
            raise InputError(
                f"the objective is a {type(objective).__name__}; expected a scalar expression of "
                "the program's variables (a norm is first bounded by a variable)"
            )
        if objective.size != 1:
            raise InputError(
                f"the objective has {objective.size} rows; expected a scalar, such as its .sum()"
            )
        require_terms(self, "the objective", objective)
        self.objective = objective
        self.maximizing = maximizing

    def _check_constraint(self, name: str, constraint: Constraint) -> None:
        if not isinstance(constraint, (Linear, NormBound, ProductBound, QuadraticBound)):
            raise InputError(
                f"constraint {name!r} is a {type(constraint).__name__}; expected a comparison "
                "of expressions, such as `A @ x <= b`"
            )
        require_terms(self, f"constraint {name!r}", constraint)

    def _check_name(self, name: str) -> None:
        if name in self.variables or name in self.constraints:
            raise InputError(f"the name {name!r} is taken in program {self.name!r}")

    def free_name(self, name: str) -> str:
        """The name, with the first number behind it that makes it and its definition's free."""
        taken = self.variables.keys() | self.constraints.keys()
        names = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(2)))
        return next(n for n in names if n not in taken and f"{n}_definition" not in taken)

    def row_labels(self, expression: Affine | Quadratic) -> Sequence[Hashable]:
        """Labels of the rows: those of the first labelled variable of that size, else 0, 1, …"""
        parts = [expression] if isinstance(expression, Affine) else [expression.affine]
        if isinstance(expression, Quadratic):
            parts += [e for p in expression.products for e in (p.a, p.b)]
        for part in parts:
            for variable in part.terms:
                if variable.labels is not None and variable.size == expression.size:
                    return variable.labels
        return range(expression.size)

    # --- realising ------------------------------------------------------------------------------

    def conic(self) -> ConicForm:
        """Sparse matrices and cones: ½x'Px + q'x over b − Ax ∈ K.

        Raises
        ------
        ModelError
            A constraint or the objective is not convex, by the form in which it is stated.
        """
        from rrp_pyomo.realise.conic import conic_form

        return conic_form(self, self._compiled)

    def quadratic(self) -> QuadraticForm:
        """Matrices with linear and quadratic functions, for nonlinear solvers."""
        from rrp_pyomo.realise.quadratic import quadratic_form

        return quadratic_form(self)

    def kernel(self, bind: Mapping[str, Any] | None = None, objective: bool = True) -> pmo.block:
        """A ``pyomo.kernel`` block: ``matrix_constraint`` rows and ``conic`` objects.

        Parameters
        ----------
        bind : mapping, optional
            From the name of a variable to existing Pyomo variables that take its place: a
            container with the variable's labels as keys, or a sequence in their order.
        objective : bool
            Whether the block has an active objective. The expression ``objective_expression`` is
            there in any case.
        """
        from rrp_pyomo.realise.kernel import kernel_block

        return kernel_block(self, bind or {}, objective)

    def block(self, bind: Mapping[str, Any] | None = None, objective: bool = True) -> pyo.Block:
        """A ``pyomo.environ`` block for ConcreteModels; cones as Lorentz-form quadratics.

        Parameters are those of :meth:`kernel`.
        """
        from rrp_pyomo.realise.environ import environ_block

        return environ_block(self, bind or {}, objective)

    # --- points ---------------------------------------------------------------------------------

    @property
    def columns(self) -> int:
        """The number of scalar variables."""
        return self._columns

    @property
    def units(self) -> FloatArray:
        """Typical magnitude of each scalar variable."""
        units = np.empty(self._columns)
        for v in self.variables.values():
            units[v.offset : v.offset + v.size] = v.unit
        return units

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of each scalar variable."""
        lower, upper = np.empty(self._columns), np.empty(self._columns)
        for v in self.variables.values():
            lower[v.offset : v.offset + v.size] = v.lower
            upper[v.offset : v.offset + v.size] = v.upper
        return lower, upper

    def values(self, x: FloatArray) -> dict[str, FloatArray]:
        """A point split by variable name."""
        return {v.name: x[v.offset : v.offset + v.size] for v in self.variables.values()}

    def point(self, values: Mapping[str, Any]) -> FloatArray:
        """A point from values by variable name; defined variables follow from the others.

        Raises
        ------
        UnknownLabelError
            The program has no variable of that name.
        InputError
            Values that are not numbers, or of another shape.
        """
        x = np.zeros(self._columns)
        for name, value in values.items():
            if name not in self.variables:
                raise UnknownLabelError("variable", name, self.variables)
            v, numbers = self.variables[name], as_numbers(value)
            if np.size(numbers) not in (1, v.size):
                raise InputError(
                    f"{np.size(numbers)} values were given for {name!r}; expected {v.size}"
                )
            x[v.offset : v.offset + v.size] = numbers
        for v, expression in self._definitions:
            x[v.offset : v.offset + v.size] = expression.value(x)
        return x

    def residuals(self, x: FloatArray) -> dict[str, float]:
        """By how much each constraint is violated at a point, and the bounds of each variable.

        Norms and products are measured as ‖e‖ − bound and |c| − √(a b), everything else as it is
        stated. 0 where a constraint holds.
        """
        bounds = {
            name: _worst(v.lower - value, value - v.upper)
            for (name, v), value in zip(
                self.variables.items(), self.values(x).values(), strict=True
            )
        }
        return bounds | {name: _violation(c, x) for name, c in self.constraints.items()}


def _violation(constraint: Constraint, x: FloatArray) -> float:
    match constraint:
        case NormBound(parts, bound):
            return _worst(
                np.linalg.norm(np.concatenate([e.value(x) for e in parts])) - bound.value(x)
            )
        case ProductBound(a, b, c):
            left, right = a.value(x), b.value(x)
            product = np.sqrt(np.maximum(left, 0.0) * np.maximum(right, 0.0))
            return _worst(np.abs(c.value(x)) - product, -left, -right)
        case Linear(body, lower, upper) | QuadraticBound(body, lower, upper):
            return _worst(lower - body.value(x), body.value(x) - upper)


def _worst(*gaps: FloatArray) -> float:
    return max(0.0, *(float(gap.max()) for gap in gaps))
