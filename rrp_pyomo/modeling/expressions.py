"""Array expressions: affine maps of a program's variables, products of them, and norms.

An :class:`Affine` expression is a small map from variable to coefficient block
(:mod:`~rrp_pyomo.modeling.coefficients`), plus a constant.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias, Union, overload

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.errors import InputError
from rrp_pyomo.forms.conic import Rows
from rrp_pyomo.linalg import LinearMap, Stack
from rrp_pyomo.modeling.coefficients import Block, added, repeated, row_scaled, times, triplets

if TYPE_CHECKING:
    from rrp_pyomo.modeling.constraints import Constraint
    from rrp_pyomo.modeling.program import Program

FloatArray = NDArray[np.float64]
Operand: TypeAlias = Union["Expression", float, FloatArray]


class Expression:
    """What affine expressions, products and norms share: comparison and arithmetic operators."""

    # numpy must hand `array * expression` to the expression instead of looping over its entries,
    # and pandas too.
    __array_ufunc__ = None
    __pandas_priority__ = 5000
    __hash__ = object.__hash__
    size: int

    def __le__(self, other: Operand) -> Constraint:
        return _compare(self, other, "<=")

    def __ge__(self, other: Operand) -> Constraint:
        return _compare(self, other, ">=")

    def __eq__(self, other: Operand) -> Constraint:  # type: ignore[override]
        return _compare(self, other, "==")


class Affine(Expression):
    """``sum_v block_v v + constant``, a vector of ``size`` rows (1 for a scalar)."""

    __slots__ = ("constant", "size", "terms")

    def __init__(self, size: int, terms: dict[Variable, Block], constant: Block = 0.0) -> None:
        self.size = size
        self.terms = terms
        self.constant = constant

    # --- arithmetic -----------------------------------------------------------------------------

    def __neg__(self) -> Affine:
        return self._scaled(-1.0)

    def __add__(self, other: Operand) -> Any:
        if isinstance(other, Affine):
            return _sum(self, other)
        if isinstance(other, Expression):
            return NotImplemented
        constant = as_numbers(other)
        size = common_size(self.size, np.size(constant))
        return Affine(size, _broadcast(self, size), self.constant + constant)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Any:
        return self + _negative(other)

    def __rsub__(self, other: Operand) -> Any:
        return (-self) + other

    def __mul__(self, other: Operand) -> Any:
        if isinstance(other, Affine):
            return Quadratic.product(self, other)
        if isinstance(other, Expression):
            return NotImplemented
        return self._scaled(as_numbers(other))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float | FloatArray) -> Affine:
        return self._scaled(1.0 / as_numbers(divisor))

    @overload
    def __rmatmul__(self, left: Stack) -> tuple[Affine, ...]: ...

    @overload
    def __rmatmul__(self, left: LinearMap | FloatArray) -> Affine: ...

    def __rmatmul__(self, left: Any) -> Any:
        """``matrix @ expression`` for arrays, sparse matrices, linear maps and stacks of maps."""
        if isinstance(left, Stack):
            return tuple(part @ self for part in left.parts)
        if isinstance(left, LinearMap):
            return self._mapped(left)
        # Sums of sparse matrices and arrays would be of numpy's matrix type, with its own product.
        matrix = sp.csr_array(left) if sp.issparse(left) else np.asarray(left, dtype=float)
        if matrix.ndim == 1:
            matrix = matrix[None, :]
        if matrix.ndim != 2 or matrix.shape[1] != self.size:
            raise InputError(
                f"cannot multiply a matrix of shape {matrix.shape} and an expression of "
                f"{self.size} rows; expected shape (·, {self.size})"
            )
        terms = {v: times(matrix, block, v.size, self.size) for v, block in self.terms.items()}
        constant = matrix @ np.broadcast_to(self.constant, (self.size,))
        return Affine(matrix.shape[0], terms, constant)

    def sum(self) -> Affine:
        """The sum of the rows, a scalar."""
        return self.__rmatmul__(np.ones((1, self.size)))

    def _scaled(self, factor: Any) -> Affine:
        size = common_size(self.size, np.size(factor))
        terms = {v: row_scaled(b, factor) for v, b in _broadcast(self, size).items()}
        return Affine(size, terms, self.constant * factor)

    def _mapped(self, left: LinearMap) -> Affine:
        if not self.terms:
            return Affine(left.shape[0], {}, left @ np.full(self.size, self.constant))
        program = next(iter(self.terms)).program
        terms = [] if left.diagonal is None else [self._scaled(left.diagonal)]
        for factor in left.factors:
            terms.append(program.intermediate(factor, self).__rmatmul__(factor.left))
        return reduce(_sum, terms)

    # --- triplets and numbers -------------------------------------------------------------------

    def rows(self) -> Rows:
        """The expression as triplets over the program's columns."""
        row, col, val = [], [], []
        for variable, block in self.terms.items():
            r, c, v = triplets(block, self.size, variable.size, variable.offset)
            row.append(r)
            col.append(c)
            val.append(v)
        constant = np.full(self.size, self.constant, dtype=float)
        if not row:
            none = np.zeros(0, np.intp)
            return Rows(none, none, np.zeros(0), constant)
        return Rows(np.concatenate(row), np.concatenate(col), np.concatenate(val), constant)

    def value(self, x: FloatArray) -> FloatArray:
        """The rows at a point ``x`` of all the program's variables, shape (size,)."""
        row, col, val, constant = self.rows()
        return constant + np.bincount(row, weights=val * x[col], minlength=self.size)


class Variable(Affine):
    """A vector of decision variables, or a scalar one where ``labels`` is None.

    Parameters
    ----------
    name : str
    labels : tuple, optional
    lower, upper : float or array of shape (size,)
    unit : float
        Typical magnitude; solvers work in multiples of it.
    """

    __slots__ = ("labels", "lower", "name", "offset", "program", "unit", "upper")

    def __init__(
        self,
        program: Program,
        name: str,
        labels: tuple[Hashable, ...] | None,
        lower: float | FloatArray,
        upper: float | FloatArray,
        unit: float,
        offset: int,
    ) -> None:
        super().__init__(1 if labels is None else len(labels), {})
        self.terms[self] = 1.0
        self.program = program
        self.name = name
        self.labels = labels
        self.lower = lower
        self.upper = upper
        self.unit = unit
        self.offset = offset

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, size={self.size})"

    @property
    def is_nonnegative(self) -> bool:
        """Whether the lower bounds say so."""
        return bool(np.all(np.asarray(self.lower) >= 0))


@dataclass(frozen=True, eq=False)
class Product:
    """``weight ∘ a ∘ b`` row by row, or the sum of these rows where ``summed``."""

    a: Affine
    b: Affine
    weight: Any = 1.0
    summed: bool = False

    @property
    def is_square(self) -> bool:
        return self.a is self.b


class Quadratic(Expression):
    """An affine expression plus products of affine expressions."""

    __slots__ = ("affine", "products", "size")

    def __init__(self, size: int, affine: Affine, products: tuple[Product, ...]) -> None:
        self.size = size
        self.affine = affine
        self.products = products

    @classmethod
    def product(cls, a: Affine, b: Affine) -> Quadratic:
        """``a ∘ b``, row by row; a scalar factor goes with every row."""
        size = common_size(a.size, b.size)
        if a is b:
            return cls(size, Affine(size, {}), (Product(a, a),))
        a, b = repeated_rows(a, size), repeated_rows(b, size)
        return cls(size, Affine(size, {}), (Product(a, b),))

    @property
    def is_pure(self) -> bool:
        """One product and nothing else, as in ``x * z``."""
        affine_is_zero = not self.affine.terms and not np.any(self.affine.constant)
        return len(self.products) == 1 and affine_is_zero

    def __neg__(self) -> Quadratic:
        return self * -1.0

    def __add__(self, other: Operand) -> Quadratic:
        if isinstance(other, Quadratic):
            affine, products = self.affine + other.affine, self.products + other.products
        else:
            affine, products = self.affine + other, self.products
        size: int = affine.size
        return Quadratic(size, affine, tuple(_stretched(p, size) for p in products))

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Quadratic:
        return self.__add__(_negative(other))

    def __rsub__(self, other: Operand) -> Quadratic:
        return (-self) + other

    def __mul__(self, factor: float | FloatArray) -> Quadratic:
        factor = as_numbers(factor)
        size = common_size(self.size, np.size(factor))
        stretched = (_stretched(p, size) for p in self.products)
        products = (Product(p.a, p.b, p.weight * factor, p.summed) for p in stretched)
        return Quadratic(size, self.affine * factor, tuple(products))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float | FloatArray) -> Quadratic:
        return self.__mul__(1.0 / as_numbers(divisor))

    def value(self, x: FloatArray) -> FloatArray:
        """The rows at a point ``x`` of all the program's variables."""
        total = self.affine.value(x)
        for p in self.products:
            rows = p.weight * p.a.value(x) * p.b.value(x)
            total = total + (rows.sum() if p.summed else rows)
        return total


class Norm(Expression):
    """``factor · ‖parts‖₂``, the parts being stacked."""

    __slots__ = ("factor", "parts", "size")

    def __init__(self, parts: tuple[Affine, ...], factor: float = 1.0) -> None:
        self.size = 1
        self.parts = parts
        self.factor = factor

    def __mul__(self, factor: float) -> Norm:
        factor = as_numbers(factor)
        if not (isinstance(factor, float) and factor >= 0):
            raise InputError(f"a norm times {factor} is not convex; expected a number ≥ 0")
        return Norm(self.parts, self.factor * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Norm:
        return self * (1.0 / divisor)

    def _not_affine(self, other: object = None) -> Any:
        raise InputError(
            "a norm is no part of sums and objectives; bound it by a variable, `norm(e) <= s`, and "
            "use s in its place"
        )

    __neg__ = __add__ = __radd__ = __sub__ = __rsub__ = _not_affine


def norm(*parts: Affine | tuple[Affine, ...]) -> Norm:
    """The Euclidean norm of affine expressions, stacked: ``norm(root @ x) <= bound``."""
    flat: list[Affine] = []
    for part in parts:
        flat.extend(part if isinstance(part, tuple) else (part,))
    return Norm(tuple(flat))


def square(expression: Affine) -> Quadratic:
    """The squares of the rows."""
    return Quadratic.product(expression, expression)


def sum_squares(*parts: Affine | tuple[Affine, ...]) -> Quadratic:
    """‖parts‖₂², a scalar: ``sum_squares(root @ x)`` is the variance x'Σx."""
    products = tuple(Product(e, e, summed=True) for e in norm(*parts).parts)
    return Quadratic(1, Affine(1, {}), products)


# --- sizes and numbers --------------------------------------------------------------------------


def as_numbers(value: Any) -> Any:
    """A float for a single number, a 1-d array for several."""
    if isinstance(value, Expression):
        raise InputError(
            f"a {type(value).__name__} stands where numbers are expected; products have two "
            "factors at most, and norms, products and divisors are multiplied by numbers only"
        )
    try:
        if hasattr(value, "index") and hasattr(value, "to_numpy"):
            raise TypeError("its labels would not be looked at: pass .to_numpy(), in their order")
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a {type(value).__name__} cannot be combined with an expression ({error}); expected "
            "numbers or an array"
        ) from None
    if sum(length > 1 for length in array.shape) > 1:
        raise InputError(
            f"an array of shape {array.shape} cannot be combined row by row with an expression; "
            "expected a number or a vector, or `@` for a product with a matrix"
        )
    return array.item() if array.size == 1 else array.ravel()


def _compare(left: Expression, right: Any, sense: str) -> Constraint:
    # Constraints are made of expressions, so that their module imports this one.
    from rrp_pyomo.modeling.constraints import compare

    return compare(left, right, sense)


def _negative(value: Any) -> Any:
    operand: Any = value if isinstance(value, Expression) else as_numbers(value)
    return -operand


def common_size(a: int, b: int) -> int:
    if a != b and 1 not in (a, b):
        raise InputError(
            f"expressions of {a} and {b} rows do not go together; expected the same number, or one"
        )
    return max(a, b)


def repeated_rows(expression: Affine, size: int) -> Affine:
    """A scalar expression repeated over ``size`` rows."""
    if expression.size == size:
        return expression
    return Affine(size, _broadcast(expression, size), expression.constant)


def _broadcast(expression: Affine, size: int) -> dict[Variable, Block]:
    """The terms of a scalar expression repeated over ``size`` rows."""
    if expression.size == size:
        return expression.terms
    return {v: repeated(b, v.size, size) for v, b in expression.terms.items()}


def _stretched(product: Product, size: int) -> Product:
    """A scalar product repeated over ``size`` rows."""
    if (1 if product.summed else product.a.size) == size:
        return product
    if product.summed:
        raise InputError(
            f"a sum of squares cannot be repeated over {size} rows; bind it to a variable"
        )
    a = repeated_rows(product.a, size)
    b = a if product.is_square else repeated_rows(product.b, size)
    return Product(a, b, product.weight)


def _sum(a: Affine, b: Affine) -> Affine:
    size = common_size(a.size, b.size)
    terms = dict(_broadcast(a, size))
    for variable, block in _broadcast(b, size).items():
        terms[variable] = (
            added(terms[variable], block, size, variable.size) if variable in terms else block
        )
    return Affine(size, terms, a.constant + b.constant)
