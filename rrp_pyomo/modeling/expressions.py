"""Array expressions: affine maps of variables and parameters, and sums of terms beside them.

An :class:`Affine` expression is a small map from symbol (a variable, a parameter, or the product of
the two) to coefficient block (:mod:`~rrp_pyomo.modeling.coefficients`), plus a constant. A
:class:`Composite` is one of these plus Σ weight · term, the terms being products, norms, logarithms
and whatever else :mod:`~rrp_pyomo.modeling.terms` has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import reduce
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray, LinearMap, Named, Stack
from rrp_pyomo.modeling.coefficients import (
    Block,
    added,
    applied,
    repeated,
    row_scaled,
    stacked_blocks,
    times,
    triplets,
)
from rrp_pyomo.modeling.labels import Labels, aligned, common_rows, positions
from rrp_pyomo.modeling.notation import Notation, joined, of_numbers, text
from rrp_pyomo.modeling.operands import notation_of, numbers, written_key
from rrp_pyomo.modeling.operators import Expression, Operand


class Symbol(ABC):
    """What an affine expression is a sum over: variables, parameters and products of the two."""

    size: int
    is_variable: ClassVar[bool] = False
    is_uncertain: bool = False

    @abstractmethod
    def evaluated(self) -> Affine:
        """With parameters replaced by their values."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of the variables and parameters in it."""


class Affine(Expression):
    """``sum_s block_s s + constant`` over symbols s, a vector of ``size`` rows (1 for a scalar).

    Examples
    --------
    Sums and multiples of variables, and matrices times them:

    >>> import numpy as np
    >>> from rrp_pyomo import Program
    >>> from rrp_pyomo.modeling import Affine
    >>> x = Program().variable("x", ["a", "b"])
    >>> expression = np.ones((3, 2)) @ x + 1
    >>> isinstance(expression, Affine), expression.size, 2 * x["a"] - x.sum()
    (True, 3, 2 * x[a] - x.sum())
    """

    #: What two expressions in variables are multiplied to; see `composite`.
    product: ClassVar[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Affine:
        # Python asks the right operand first where its class is a subclass of the left one's, and
        # `a @ x <= x` would turn to `x >= a @ x`: what is no symbol has a class beside theirs.
        return super().__new__(_Map if cls is Affine else cls)

    def __init__(
        self,
        size: int,
        terms: dict[Any, Block],
        constant: Block = 0.0,
        labels: Labels = None,
        notation: Notation = None,
    ) -> None:
        self.size = size
        self.terms = terms
        self.constant = constant
        self.labels = labels
        self.notation = notation

    # --- arithmetic -----------------------------------------------------------------------------

    def __add__(self, other: Operand) -> Any:
        if isinstance(other, Affine):
            return _sum(self, other)
        if isinstance(other, Expression):
            return NotImplemented
        constant, labels = numbers(other, self)
        size, labels = common_rows(self.size, self.labels, np.size(constant), labels)
        notation = joined("+", self.notation, notation_of(other))
        return Affine(size, _broadcast(self, size), self.constant + constant, labels, notation)

    def __radd__(self, other: Operand) -> Any:
        result = self + other
        result.notation = joined("+", notation_of(other), self.notation)
        return result

    def __neg__(self) -> Affine:
        terms = {s: -block for s, block in self.terms.items()}
        return Affine(self.size, terms, -self.constant, self.labels, joined("neg", self.notation))

    def __sub__(self, other: Operand) -> Any:
        if not isinstance(other, Affine):
            return super().__sub__(other)
        result = _sum(self, other, -1.0)
        result.notation = joined("-", self.notation, other.notation)
        return result

    def __mul__(self, other: Operand) -> Any:
        if isinstance(other, Affine):
            result = _product(self, other)
        elif isinstance(other, Expression):
            return NotImplemented
        else:
            result = self._scaled(*numbers(other, self))
        result.notation = joined("*", self.notation, notation_of(other))
        return result

    def __rmul__(self, other: Operand) -> Any:
        result = self._scaled(*numbers(other, self))
        result.notation = joined("*", notation_of(other), self.notation)
        return result

    def __matmul__(self, right: Operand) -> Any:
        """``x @ c`` is Σ x_i c_i, for numbers, a parameter or another expression."""
        if isinstance(right, Expression) or np.ndim(right) == 1:
            result = (self * right).sum()
        else:
            raise InputError(
                f"an expression stands left of a matrix of shape {np.shape(right)}; write "
                "`matrix.T @ x`, and `variance(x, matrix)` for x'Σx"
            )
        result.notation = joined("@", self.notation, notation_of(right))
        return result

    def __rmatmul__(self, left: Any) -> Any:
        """``matrix @ expression``; labels of DataFrames, Series and covariances are looked at."""
        written = joined("@", of_numbers(left), self.notation)
        matrix = left.matrix if isinstance(left, Named) else left
        parts = matrix.parts if isinstance(matrix, Stack) else (matrix,)
        results = tuple(self._multiplied(part) for part in parts)
        for result in results:
            result.notation = written
        return results if isinstance(matrix, Stack) else results[0]

    def _multiplied(self, left: Any) -> Affine:
        """The product with an array, a linear map, or something that has labels."""
        if isinstance(left, LinearMap):
            return self._mapped(left)
        if hasattr(left, "operator"):  # a covariance
            return self._in_order(left.labels)._multiplied(left.operator)._relabelled(left.labels)
        if hasattr(left, "axes"):  # a Series or a DataFrame
            if self.labels is None:
                raise InputError(
                    f"a {type(left).__name__} multiplies an expression whose rows have no labels, "
                    "so that its own would not be looked at; pass .to_numpy()"
                )
            matrix = aligned(left, self.labels, f"the {type(left).__name__}", left.ndim - 1)
            result = self._multiplied(matrix)
            return result if left.ndim == 1 else result._relabelled(tuple(left.index))
        return self._times_array(left)

    def _times_array(self, left: Any) -> Affine:
        # Sums of sparse matrices and arrays would be of numpy's matrix type, with its own product.
        if not (isinstance(left, np.ndarray) and left.dtype == float):
            left = sp.csr_array(left) if sp.issparse(left) else np.asarray(left, dtype=float)
        matrix = left
        if matrix.ndim == 1:
            matrix = matrix[None, :]
        if matrix.ndim != 2 or matrix.shape[1] != self.size:
            raise InputError(
                f"cannot multiply a matrix of shape {matrix.shape} and an expression of "
                f"{self.size} rows; expected shape (·, {self.size})"
            )
        terms = {v: times(matrix, block, v.size, self.size) for v, block in self.terms.items()}
        constant = self.constant
        if not isinstance(constant, float) or constant != 0.0:
            constant = matrix @ np.broadcast_to(constant, (self.size,))
        return Affine(matrix.shape[0], terms, constant)

    def sum(self) -> Affine:
        """The sum of the rows, a scalar."""
        result = self._times_array(np.ones((1, self.size)))
        result.notation = joined("sum", self.notation)
        return result

    def _scaled(self, factor: Any, labels: Labels = None) -> Affine:
        if type(factor) is float:
            terms = {s: block * factor for s, block in self.terms.items()}
            return Affine(self.size, terms, self.constant * factor, self.labels)
        size, labels = common_rows(self.size, self.labels, np.size(factor), labels)
        terms = {v: row_scaled(b, factor) for v, b in _broadcast(self, size).items()}
        return Affine(size, terms, self.constant * factor, labels)

    def _mapped(self, left: LinearMap) -> Affine:
        program = self.program
        if program is None:
            return Affine(left.shape[0], {}, left @ np.full(self.size, self.constant))
        if self.is_uncertain:  # no variable equals what the adversary chooses
            return self._times_array(left.toarray())
        terms = [] if left.diagonal is None else [self._scaled(left.diagonal)]
        for factor in left.factors:
            terms.append(program.intermediate(factor, self)._times_array(factor.left))
        return reduce(_sum, terms)

    # --- rows -----------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Affine:
        """Rows by label, list of labels, mask, or slice of places: ``x["a"]``, ``x[["a", "b"]]``.

        A single label gives a scalar, everything else keeps the labels.

        Raises
        ------
        UnknownLabelError
            No row has that label.
        """
        what = text(self.notation) if isinstance(self.notation, str) else "the expression"
        at, single = positions(key, self.size, self.labels, what)
        pick = sp.csr_array(
            (np.ones(at.size), (np.arange(at.size), at)), shape=(at.size, self.size)
        )
        result = self._times_array(pick)
        if not single and self.labels is not None:
            result.labels = tuple(self.labels[i] for i in at)
        result.notation = joined("[]", self.notation, written_key(key))
        return result

    def __iter__(self) -> Iterator[Affine]:
        """The rows, each a scalar."""
        return (self[label] for label in (self.labels or range(self.size)))

    def _relabelled(self, labels: Labels) -> Affine:
        self.labels = labels
        return self

    def _in_order(self, labels: tuple[Any, ...]) -> Affine:
        """The rows in the order of these labels, which must be the same ones."""
        if self.labels is not None and self.labels != labels and set(self.labels) == set(labels):
            return self[list(labels)]
        common_rows(self.size, self.labels, len(labels), labels)
        return self

    def named(self, name: str) -> Affine:
        """The same expression, written by this name."""
        self.notation = name
        return self

    # --- parameters -----------------------------------------------------------------------------

    @property
    def is_parametric(self) -> bool:
        """Whether a parameter is in it."""
        return any(not symbol.is_variable for symbol in self.terms)

    @property
    def is_data(self) -> bool:
        """Whether it is made of numbers and parameters only."""
        return all(symbol.is_data for symbol in self.terms)

    @property
    def is_uncertain(self) -> bool:
        """Whether uncertain data are in it."""
        return any(symbol.is_uncertain for symbol in self.terms)

    @property
    def program(self) -> Any:
        """The program of its first symbol, None for numbers."""
        return next((symbol.program for symbol in self.terms), None)

    def evaluated(self) -> Affine:
        """The expression with parameters replaced by their values."""
        if not self.is_parametric:
            return self
        terms = {s: b for s, b in self.terms.items() if s.is_variable}
        result = Affine(self.size, terms, self.constant, self.labels, self.notation)
        for symbol, block in self.terms.items():
            if not symbol.is_variable:
                result = _sum(result, _premultiplied(block, symbol.evaluated(), self.size))
        result.labels, result.notation = self.labels, self.notation
        return result

    @property
    def magnitude(self) -> float:
        """The largest coefficient in the variables' units, or constant, else 1."""
        largest = 0.0
        for symbol, block in self.terms.items():
            data = block.data if sp.issparse(block) else block
            unit: float = getattr(symbol, "unit", 0.0)
            largest = max(largest, unit * float(np.max(np.abs(data), initial=0.0)))
        return max(largest, float(np.max(np.abs(self.constant), initial=0.0))) or 1.0

    @property
    def number(self) -> Any:
        """The value of an expression in parameters: a float, or an array of several."""
        total = self.constant
        for parameter, block in self.terms.items():
            if self.size == 1 and type(block) is float:  # such as 0.5 * aversion, asked for often
                total = total + block * float(parameter.numbers[0])
            else:
                total = total + applied(block, parameter.numbers, self.size)
        return total if np.size(total) > 1 else float(np.ravel(total)[0])

    def names(self) -> tuple[str, ...]:
        """The names of the variables and parameters in it."""
        return tuple(dict.fromkeys(name for symbol in self.terms for name in symbol.names()))

    # --- triplets and numbers -------------------------------------------------------------------

    def rows(self) -> Rows:
        """The expression as triplets over the program's columns."""
        constant = np.empty(self.size)
        constant[:] = self.constant
        parts: list[Any] = []
        for symbol, block in self.terms.items():
            if symbol.is_variable:
                parts.append(triplets(block, self.size, symbol.size, symbol.offset))
            else:
                *entries, shift = _premultiplied(block, symbol.evaluated(), self.size).rows()
                parts.append(tuple(entries))
                constant = constant + shift
        if len(parts) == 1:
            row, col, val = parts[0]
            return Rows(row, col, val, constant)
        if not parts:
            none = np.zeros(0, np.intp)
            return Rows(none, none, np.zeros(0), constant)
        row, col, val = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        return Rows(row, col, val, constant)

    def value(self, x: FloatArray) -> FloatArray:
        """The rows at a point ``x`` of all the program's variables, shape (size,)."""
        return self.rows().value(x)

    def affine_parts(self) -> Iterator[Affine]:
        yield self


class _Map(Affine):
    """What operators make."""


class Scaled(Symbol):
    """``factor ∘ inner``: an expression in data times one in variables, row by row.

    The data are parameters, or uncertain.
    """

    is_data = False

    def __init__(self, factor: Affine, inner: Affine) -> None:
        self.factor = factor
        self.inner = inner
        self.size = inner.size
        self.program = inner.program
        self.is_uncertain = factor.is_uncertain

    @property
    def unit(self) -> float:
        """Typical magnitude of the rows."""
        return self.evaluated().magnitude

    def evaluated(self) -> Affine:
        return self.inner._scaled(self.factor.number)

    def names(self) -> tuple[str, ...]:
        return self.factor.names() + self.inner.names()


def stack(*expressions: Affine | tuple[Affine, ...]) -> Affine:
    """Affine expressions on top of each other; labels stay where all have them and none repeats.

    Examples
    --------
    >>> from rrp_pyomo import Program, norm, stack
    >>> program = Program("stacked")
    >>> x, y = program.variable("x", ["a", "b"]), program.variable("y", ["c"])
    >>> stack(x, 2 * y).size
    3
    >>> program.minimize(norm(stack(x, 2 * y)))
    >>> print(program)
    minimise   norm(stack(x, 2 * y))
    variables  x[2]; y[1]
    """
    parts = flattened(expressions)
    size = sum(part.size for part in parts)
    symbols = dict.fromkeys(symbol for part in parts for symbol in part.terms)
    sizes = [part.size for part in parts]
    terms = {
        s: stacked_blocks([part.terms.get(s) for part in parts], sizes, s.size) for s in symbols
    }
    constant = np.concatenate([np.broadcast_to(part.constant, (part.size,)) for part in parts])
    labels = [label for part in parts for label in part.labels or ()]
    known = len(labels) == size and len(set(labels)) == size
    notation = joined("stack", *(part.notation for part in parts))
    return Affine(size, terms, constant, tuple(labels) if known else None, notation)


def flattened(parts: Any) -> tuple[Affine, ...]:
    """The affine expressions of a sequence, in which a stacked map's products are tuples."""
    given: tuple[Any, ...] = tuple(parts)
    if all(isinstance(part, Affine) for part in given):
        return given
    flat: list[Affine] = []
    for part in given:
        for e in part if isinstance(part, tuple) else (part,):
            if not isinstance(e, Affine):
                raise InputError(
                    f"{e!r} ({type(e).__name__}) stands where an affine expression of variables "
                    "is expected; terms are not nested: bind it to a variable first"
                )
            flat.append(e)
    return tuple(flat)


def repeated_rows(expression: Affine, size: int) -> Affine:
    """A scalar expression repeated over ``size`` rows."""
    if expression.size == size:
        return expression
    return Affine(
        size, _broadcast(expression, size), expression.constant, notation=expression.notation
    )


def _product(a: Affine, b: Affine) -> Any:
    """``a ∘ b``, row by row; a scalar factor goes with every row."""
    for constant, other in ((a, b), (b, a)):
        if not constant.terms:
            return other._scaled(constant.constant, constant.labels)
    size, labels = common_rows(a.size, a.labels, b.size, b.labels)
    if a.is_data or b.is_data:
        factor, inner = (a, b) if a.is_data else (b, a)
        if factor.is_uncertain:
            _require_certain(factor, inner)
        elif inner.is_parametric:
            raise not_affine_in_parameters(factor, inner)
        return Affine(size, {Scaled(factor, repeated_rows(inner, size)): 1.0}, 0.0, labels)
    left = repeated_rows(a, size)
    return Affine.product(left, left if a is b else repeated_rows(b, size), labels)


def _require_certain(uncertain: Affine, other: Affine) -> None:
    """Raise unless uncertain data are multiplied by variables."""
    if other.is_uncertain:
        raise ModelError(
            f"{uncertain!r} times {other!r} is a product of two uncertain factors, which has no "
            "exact convex counterpart; leave one of them certain, or give the set of the product"
        )
    if other.is_data:
        raise not_affine_in_parameters(uncertain, other)


def not_affine_in_parameters(a: Expression, b: Expression) -> ModelError:
    if any(getattr(e, "is_uncertain", False) for e in (a, b)):
        return ModelError(
            f"{a!r} times {b!r}: uncertain data are multiplied by affine functions of variables "
            "only; multiply the variables by a parameter first, as in `mu @ (k * w)`, or the worst "
            "case, as in `k * worst_case(mu @ w)`"
        )
    return ModelError(
        f"{a!r} times {b!r} is not affine in the parameters; declare another parameter for the "
        "product of two, and set its value"
    )


def _premultiplied(block: Block, inner: Affine, size: int) -> Affine:
    """``block @ inner``, the block being what multiplied a symbol of inner's size."""
    if inner.terms:
        if np.ndim(block) < 2:
            return repeated_rows(inner, size)._scaled(block)
        return inner._times_array(block)
    return Affine(size, {}, applied(block, np.broadcast_to(inner.constant, (inner.size,)), size))


def _broadcast(expression: Affine, size: int) -> dict[Any, Block]:
    """The terms of a scalar expression repeated over ``size`` rows."""
    if expression.size == size:
        return expression.terms
    return {v: repeated(b, v.size, size) for v, b in expression.terms.items()}


def _sum(a: Affine, b: Affine, sign: float = 1.0) -> Affine:
    """a + b, or a − b."""
    size, labels = common_rows(a.size, a.labels, b.size, b.labels)
    terms = dict(_broadcast(a, size))
    for symbol, block in _broadcast(b, size).items():
        block = block if sign > 0.0 else -block
        known = terms.get(symbol)
        terms[symbol] = block if known is None else added(known, block, size, symbol.size)
    constant = a.constant + b.constant if sign > 0.0 else a.constant - b.constant
    return Affine(size, terms, constant, labels, joined("+", a.notation, b.notation))
