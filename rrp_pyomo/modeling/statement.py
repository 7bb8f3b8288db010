"""A problem stated in arrays: variables, parameters, an objective and named constraints."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo.errors import InputError, ModelError, UnknownLabelError, brief
from rrp_pyomo.linalg import Factor, FloatArray
from rrp_pyomo.modeling.checks import (
    distinct_labels,
    has_parametric_weight,
    ordered_bounds,
    parameter_numbers,
    require_convex,
    require_named,
    require_terms,
)
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.constraints import Constraint, InCone, membership
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.notation import joined
from rrp_pyomo.modeling.operands import as_numbers
from rrp_pyomo.modeling.operators import Comparison
from rrp_pyomo.modeling.printing import latex_lines, text_lines
from rrp_pyomo.modeling.symbols import Domain, Parameter, Variable, require_domain
from rrp_pyomo.modeling.terms.worst_case import opposed
from rrp_pyomo.modeling.uncertain import Uncertain, UncertainCovariance, uncertain_symbol


class Intermediate(NamedTuple):
    """A product ``right @ x`` that statements share."""

    right: FloatArray
    x: Affine
    variable: Variable


class Statement:
    """Named variables, parameters, an objective and named constraints.

    What a :class:`~rrp_pyomo.Program` holds, apart from the ways in which it is realised.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> from rrp_pyomo import Program
    >>> from rrp_pyomo.modeling import Statement
    >>> program = Program("two")
    >>> x = program.variable("x", ["a", "b"], lower=0)
    >>> program.minimize(x.sum())
    >>> isinstance(program, Statement), program.units.tolist()
    (True, [1.0, 1.0])
    """

    def __init__(self, name: str = "program") -> None:
        self.name = name
        self.variables: dict[str, Variable] = {}
        self.parameters: dict[str, Parameter] = {}
        self.uncertain_data: dict[str, Uncertain | UncertainCovariance] = {}
        self.constraints: dict[str, Constraint] = {}
        self.expressions: dict[str, Affine | Composite] = {}
        self.ranges: list[tuple[Variable, Affine]] = []
        self.objective: Affine | Composite = Affine(1, {}, notation=0.0)
        self.maximizing = False
        self.definitions: list[tuple[Variable, Callable[[FloatArray], FloatArray]]] = []
        self._columns = 0
        self._intermediates: list[Intermediate] = []
        self._changes = 0
        self._weighted: tuple[int, list[tuple[str, Any]]] = (-1, [])

    # --- stating --------------------------------------------------------------------------------

    def variable(
        self,
        name: str,
        labels: Iterable[Hashable] | int | None = None,
        lower: float | FloatArray | pd.Series = -np.inf,
        upper: float | FloatArray | pd.Series = np.inf,
        unit: float = 1.0,
        domain: Domain = "continuous",
    ) -> Variable:
        """Declare a vector of variables, one for each label, or a scalar without labels.

        Parameters
        ----------
        name : str
        labels : iterable of hashables or int, optional
            The index set, which rows of expressions carry; a number for so many rows without
            labels.
        lower, upper : float, array of shape (size,) or Series by label
            Infinite by default; 0 and 1 for binary variables.
        unit : float
            Typical magnitude of the entries. Solvers then work in multiples of it, which makes
            their absolute tolerances mean the same for weights and for weekly variances.
        domain : {"continuous", "binary", "integer"}

        Raises
        ------
        InputError
            The name is taken, labels are missing or repeated, bounds that are not numbers, of
            another shape or contradictory, a unit that is not positive, an unknown domain.
        """
        self._check_name(name)
        require_domain(name, domain)
        index: tuple[Hashable, ...] | int | None
        if labels is None or isinstance(labels, int):
            index = labels
        else:
            index = distinct_labels(name, labels)
        low, high = ordered_bounds(name, index, lower, upper)
        if domain == "binary":
            low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
            low, high = (b.item() if np.ndim(b) == 0 else b for b in (low, high))
        if not 0 < unit < np.inf:
            raise InputError(f"the unit of {name!r} is {unit}; expected a positive number")
        variable = Variable(self, name, index, low, high, unit, self._columns, domain)
        self._columns += variable.size
        self.variables[name] = variable
        self._changes += 1
        return variable

    def parameter(
        self, name: str, value: Any, labels: Iterable[Hashable] | None = None
    ) -> Parameter:
        """Declare numbers that may change between solves: a scalar, or one for each label.

        Statements are affine in parameters: ``aversion * sum_squares(root @ w)``, ``mu @ w``,
        ``w <= limit``. New values, by :meth:`set`, keep what was compiled; blocks carry a mutable
        ``Param`` of that name.

        Parameters
        ----------
        name : str
        value : float, Series, mapping or (size,) array
        labels : iterable of hashables, optional
            Those of a Series are taken from it.

        Raises
        ------
        InputError
            The name is taken, or the value does not fit the labels or is not finite.
        """
        self._check_name(name)
        if labels is None and hasattr(value, "index") and hasattr(value, "to_numpy"):
            labels = tuple(value.index)
        index = None if labels is None else distinct_labels(name, labels)
        parameter = Parameter(self, name, index, parameter_numbers(name, index, value))
        self.parameters[name] = parameter
        self._changes += 1
        return parameter

    def uncertain(self, name: str, members: Any) -> Any:
        """Declare data of which a set is known: means, a covariance or the returns of assets.

        They stand inside ``worst_case`` only: ``worst_case(mu @ w)`` with a set of means,
        ``worst_case(variance(w, Sigma))`` with a set of covariances, ``worst_case(cvar(-(R @ w),
        0.05))`` with a set of distributions. Solutions say by this name which element they are
        robust against.

        Parameters
        ----------
        name : str
        members : set of rrp_pyomo.uncertainty
            The data are labelled as it is.

        Raises
        ------
        InputError
            The name is taken, or what is given is no set.
        """
        self._check_name(name)
        symbol = uncertain_symbol(self, name, members)
        self.uncertain_data[name] = symbol
        self._changes += 1
        return symbol

    def set(self, **values: Any) -> None:
        """Give parameters new values, all of them or, if one does not fit, none.

        Raises
        ------
        UnknownLabelError
            The program has no parameter of that name.
        InputError
            A value of another shape, that is not finite, or with which a term has the wrong sign.
        """
        for name in values:
            if name not in self.parameters:
                raise UnknownLabelError("parameter", name, self.parameters)
        new = {
            name: parameter_numbers(name, self.parameters[name].labels, value)
            for name, value in values.items()
        }
        old = {name: self.parameters[name].numbers for name in values}
        self._assign(new)
        try:
            for what, stated in self._with_parametric_weights():
                require_convex(what, stated, self.maximizing)
        except InputError:
            self._assign(old)
            raise

    def _with_parametric_weights(self) -> list[tuple[str, Any]]:
        """What may lose its convexity with another value of a parameter."""
        changes, found = self._weighted
        if changes != self._changes:
            stated: dict[str, Any] = {f"constraint {n!r}": c for n, c in self.constraints.items()}
            stated["the objective"] = self.objective
            found = [(what, c) for what, c in stated.items() if has_parametric_weight(c)]
            self._weighted = self._changes, found
        return found

    @contextlib.contextmanager
    def with_numbers(self, values: Mapping[str, FloatArray]) -> Iterator[None]:
        """A context in which parameters have these numbers, such as those of an earlier solve."""
        old = {name: self.parameters[name].numbers for name in values}
        self._assign(values)
        try:
            yield
        finally:
            self._assign(old)

    @property
    def numbers(self) -> dict[str, FloatArray]:
        """The parameters' values of now."""
        return {name: parameter.numbers for name, parameter in self.parameters.items()}

    def _assign(self, values: Mapping[str, FloatArray]) -> None:
        for name, numbers in values.items():
            self.parameters[name].numbers = numbers

    def expression(self, name: str, expression: Affine | Composite) -> None:
        """Name an expression that solutions and blocks have beside the variables.

        It adds nothing to what is solved: ``program.expression("volatility", 0.02 * p)`` is read as
        ``solution.values["volatility"]``, and blocks carry a ``pyo.Expression``
        (``pmo.expression``) of that name, with the labels of its rows.

        Parameters
        ----------
        name : str
        expression : affine, or a sum of products

        Raises
        ------
        InputError
            The name is taken, it is no expression, has coefficients that are NaN or infinite, or is
            about another program's variables.
        ModelError
            A term other than a product, such as a norm: bound it by a variable and name that.
        """
        self._check_name(name)
        require_named(self, name, expression)
        self.expressions[name] = expression
        self._changes += 1

    def minimize(self, objective: Affine | Composite) -> None:
        """State the objective, a scalar expression."""
        self._set_objective(objective, maximizing=False)

    def maximize(self, objective: Affine | Composite) -> None:
        """State the objective, a scalar expression."""
        self._set_objective(objective, maximizing=True)

    def subject_to(self, *unnamed: object, **constraints: Constraint) -> None:
        """Add named constraints: ``program.subject_to(fully_invested=x.sum() == 1)``.

        Raises
        ------
        InputError
            There is no name, or it is taken; the constraint is none, has coefficients that are NaN
            or infinite, or is about another program's variables. Then none of them is added.
        ModelError
            A term on the side where it is not convex; the message has the term and the remedy.
        """
        if unnamed:
            raise InputError(
                f"constraint {brief(unnamed[0])} has no name; give it one by which duals and "
                "certificates mention it: subject_to(name=…)"
            )
        for name, constraint in constraints.items():
            self._check_name(name)
            if not isinstance(constraint, (Comparison, InCone)):
                raise InputError(
                    f"constraint {name!r} is {constraint!r}; expected a comparison "
                    "of expressions, such as `A @ x <= b`"
                )
            constraint = constraints[name] = opposed(constraint)
            require_terms(self, f"constraint {name!r}", constraint)
            require_convex(f"constraint {name!r}", constraint)
        self.constraints.update(constraints)
        self._changes += 1

    def stays_between(self, variable: Variable, expression: Affine) -> None:
        """Say that nothing is lost if a variable stays among the values of an expression's rows.

        It is no constraint: only the bounds of blocks know of it.
        """
        self.ranges.append((variable, expression))

    def intermediate(self, factor: Factor, x: Affine) -> Variable:
        """The variable ``right @ x`` of a factored matrix, introduced once and then reused."""
        for known in self._intermediates:
            if known.x is x and known.right is factor.right:
                return known.variable
        for known in self._intermediates:
            if known.x is x and np.array_equal(known.right, factor.right):
                return known.variable
        units = [getattr(symbol, "unit", 1.0) for symbol in x.terms]
        magnitude = float((np.abs(factor.right).sum(axis=1) * max(units)).max())
        product = x._times_array(factor.right)
        product.notation = joined("@", f"{factor.name}_loadings", x.notation)
        variable = self.define(
            self.free_name(factor.name), product, factor.labels, unit=magnitude or 1.0
        )
        self._intermediates.append(Intermediate(factor.right, x, variable))
        return variable

    def define(
        self,
        name: str,
        expression: Affine,
        labels: Iterable[Hashable] | int | None,
        lower: float = -np.inf,
        unit: float = 1.0,
    ) -> Variable:
        """A variable that equals an expression, by the constraint ``<name>_definition``."""
        if expression.is_uncertain:
            raise ModelError(
                f"{name!r} cannot equal {expression!r}, which is uncertain; bound it by its worst "
                f"case, such as `{name} <= worst_case(…)`"
            )
        variable = self.variable(name, labels, lower=lower, unit=unit)
        body = variable + -expression
        self.constraints[f"{name}_definition"] = Comparison(variable, "==", expression, body)
        self.definitions.append((variable, expression.value))
        return variable

    def free_name(self, name: str) -> str:
        """The name, with the first number behind it that makes it and its definition's free."""
        names = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(2)))
        return next(n for n in names if not (self._has(n) or self._has(f"{n}_definition")))

    def _set_objective(self, objective: Affine | Composite, maximizing: bool) -> None:
        if not isinstance(objective, (Affine, Composite)):
            raise InputError(
                f"the objective is a {type(objective).__name__}; expected a scalar expression of "
                "the program's variables"
            )
        if objective.size != 1:
            raise InputError(
                f"the objective has {objective.size} rows; expected a scalar, such as its .sum()"
            )
        objective = opposed(objective, maximizing)
        require_terms(self, "the objective", objective)
        require_convex("the objective", objective, maximizing)
        self.objective = objective
        self.maximizing = maximizing
        self._changes += 1

    def _check_name(self, name: str) -> None:
        if self._has(name):
            raise InputError(f"the name {name!r} is taken in program {self.name!r}")

    def _has(self, name: str) -> bool:
        return (
            name in self.variables
            or name in self.parameters
            or name in self.uncertain_data
            or name in self.constraints
            or name in self.expressions
        )

    # --- reading --------------------------------------------------------------------------------

    def __str__(self) -> str:
        return text_lines(self)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}: {self.columns} variables, "
            f"{len(self.constraints)} constraints)"
        )

    def _repr_latex_(self) -> str:
        return latex_lines(self)

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

    # --- points ---------------------------------------------------------------------------------

    def values(self, x: FloatArray) -> dict[str, FloatArray]:
        """A point split by variable name."""
        return {v.name: x[v.offset : v.offset + v.size] for v in self.variables.values()}

    def named_values(self, x: FloatArray) -> dict[str, FloatArray]:
        """The named expressions at a point, for the parameters' values of now."""
        return {name: expression.value(x) for name, expression in self.expressions.items()}

    def point(self, values: Mapping[str, Any]) -> FloatArray:
        """A point from values by variable name; defined variables follow from the others.

        Named expressions among them are passed over, so that a solution's arrays make a point.

        Raises
        ------
        UnknownLabelError
            The program has no variable of that name.
        InputError
            Values that are not numbers, or of another shape.
        """
        x = np.zeros(self._columns)
        for name, value in values.items():
            if name in self.expressions:
                continue
            if name not in self.variables:
                raise UnknownLabelError("variable", name, self.variables)
            v = self.variables[name]
            given = as_numbers(value.to_numpy() if hasattr(value, "to_numpy") else value)
            if np.size(given) not in (1, v.size):
                raise InputError(
                    f"{np.size(given)} values were given for {name!r}; expected {v.size}"
                )
            x[v.offset : v.offset + v.size] = given
        for v, function in self.definitions:
            x[v.offset : v.offset + v.size] = function(x)
        return x

    def residuals(self, x: FloatArray) -> dict[str, float]:
        """By how much each constraint is violated at a point, and the bounds of each variable.

        Cones are measured as their docstrings say, such as ‖v‖ − t; comparisons by the difference
        of their sides. 0 where a constraint holds.
        """
        bounds = {
            name: _worst(v.lower - value, value - v.upper)
            for (name, v), value in zip(
                self.variables.items(), self.values(x).values(), strict=True
            )
        }
        return bounds | {name: violation(c, x) for name, c in self.constraints.items()}


def violation(constraint: Any, x: FloatArray) -> float:
    """By how much a constraint is violated at a point, at least 0."""
    cone = constraint if isinstance(constraint, InCone) else membership(constraint)
    if cone is not None:
        return _worst(cone.cone.violation(*(part.value(x) for part in cone.parts)))
    gap = constraint.body.value(x)
    return _worst(np.abs(gap) if constraint.sense == "==" else gap * constraint.sign)


def _worst(*gaps: FloatArray) -> float:
    return max(0.0, *(float(np.max(gap)) for gap in gaps))
