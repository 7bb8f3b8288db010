"""Sums of terms beside an affine expression: products, norms, logarithms and so on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.expressions import (
    Affine,
    not_affine_in_parameters,
    repeated_rows,
)
from rrp_pyomo.modeling.labels import Labels
from rrp_pyomo.modeling.notation import Notation, joined, of_numbers
from rrp_pyomo.modeling.operands import notation_of, numbers
from rrp_pyomo.modeling.operators import Expression, Operand


class Term(ABC):
    """A function of affine expressions that is not affine: ``size`` rows.

    A subclass says its value and, in :meth:`epigraph`, which cones it takes to bound it; that is
    all there is to a new one.

    Attributes
    ----------
    name : str
        What statements call it.
    curvature : int
        1 for convex terms, −1 for concave ones, 0 for neither.
    lower : float
        What the values are never below.
    arguments : tuple of Affine
    """

    name: ClassVar[str]
    curvature: int
    lower: ClassVar[float] = -np.inf
    is_product: ClassVar[bool] = False
    is_uncertain: ClassVar[bool] = False
    #: Whether it is 0 where its arguments are, and positive elsewhere.
    is_length: bool = False
    #: The uncertain data of a worst case.
    data: Any = None
    size: int = 1
    labels: Labels = None
    arguments: tuple[Affine, ...]

    @abstractmethod
    def value(self, x: FloatArray) -> FloatArray:
        """The rows at a point of all the program's variables."""

    def magnitude(self, *arguments: float) -> float:
        """The typical size of the rows for arguments of these sizes."""
        return max(arguments)

    def epigraph(self, bound: Affine, new: Any) -> list[Any]:
        """The memberships that say term ≤ bound (≥ for concave terms), as :class:`Bounded`.

        Parameters
        ----------
        bound : Affine
            Of as many rows as the term.
        new : callable
            ``new(suffix, labels, value, lower)`` introduces an auxiliary variable; ``value`` is the
            function of a point that gives its best values there.
        """
        raise NotImplementedError(f"{self.name} has no epigraph")


class Product(Term):
    """``a ∘ b`` row by row; a square where the two are one."""

    name = "product"
    is_product = True

    def __init__(self, a: Affine, b: Affine) -> None:
        self.a = a
        self.b = b
        self.size = a.size
        self.labels = a.labels
        self.curvature = 1 if a is b else 0
        self.is_length = a is b
        self.arguments = (a,) if a is b else (a, b)

    @property
    def is_square(self) -> bool:
        return self.a is self.b

    def value(self, x: FloatArray) -> FloatArray:
        return self.a.value(x) * self.b.value(x)

    def magnitude(self, *arguments: float) -> float:
        return arguments[0] * arguments[-1]


class Weighted(NamedTuple):
    """``weight ∘ term``, or the sum of these rows where ``summed``.

    The weight is a number, an array of a number for each row, or affine in parameters.
    """

    term: Any
    weight: Any = 1.0
    summed: bool = False

    @property
    def numbers(self) -> Any:
        """The weight, a parameter's by its value."""
        if not isinstance(self.weight, Affine):
            return self.weight
        return self.weight.number

    @property
    def is_alone(self) -> bool:
        """Whether nothing multiplies the term."""
        return isinstance(self.weight, float) and self.weight == 1.0

    @property
    def size(self) -> int:
        return 1 if self.summed else int(self.term.size)


class Composite(Expression):
    """An affine expression plus Σ weight · term.

    Examples
    --------
    What a term such as :func:`~rrp_pyomo.norm` makes, and sums and multiples of these:

    >>> from rrp_pyomo import Program, norm
    >>> from rrp_pyomo.modeling import Composite
    >>> x = Program().variable("x", ["a", "b"])
    >>> expression = 2 * norm(x) + x.sum()
    >>> isinstance(expression, Composite), expression
    (True, 2 * norm(x) + x.sum())
    """

    def __init__(self, affine: Affine, terms: tuple[Weighted, ...], notation: Notation = None):
        self.size = affine.size
        self.affine = affine
        self.terms = terms
        self.notation = notation

    @classmethod
    def of(cls, term: Term, notation: Notation = None, summed: bool = False) -> Composite:
        """A term alone."""
        size, labels = (1, None) if summed else (term.size, term.labels)
        return cls(Affine(size, {}, labels=labels), (Weighted(term, 1.0, summed),), notation)

    @property
    def labels(self) -> Labels:  # type: ignore[override]
        return self.affine.labels

    @property
    def is_parametric(self) -> bool:
        """Whether a parameter is in it."""
        return any(isinstance(w.weight, Affine) for w in self.terms) or any(
            e.is_parametric for e in self.affine_parts()
        )

    def __add__(self, other: Operand) -> Composite:
        if isinstance(other, Composite):
            affine, terms = self.affine + other.affine, self.terms + other.terms
        else:
            affine, terms = self.affine + other, self.terms
        stretched = tuple(_stretched(w, affine.size) for w in terms)
        return Composite(affine, stretched, joined("+", self.notation, notation_of(other)))

    def __radd__(self, other: Operand) -> Composite:
        result: Composite = self + other
        result.notation = joined("+", notation_of(other), self.notation)
        return result

    def __mul__(self, factor: Operand) -> Composite:
        if type(factor) is float:  # the common case, without the checks
            terms = tuple(Weighted(w.term, w.weight * factor, w.summed) for w in self.terms)
            notation = joined("*", notation_of(factor), self.notation)
            return Composite(self.affine * factor, terms, notation)
        if isinstance(factor, Affine):
            if factor.is_data:
                return self._times_parameter(factor)
            raise InputError(
                f"{self!r} times {factor!r} is a product of more than two factors; products have "
                "two factors at most, and terms are multiplied by numbers and parameters only: "
                "bind one of them to a variable"
            )
        value, _ = numbers(factor, self)
        affine = self.affine * value
        stretched = (_stretched(w, affine.size) for w in self.terms)
        terms = tuple(w._replace(weight=w.weight * value) for w in stretched)
        return Composite(affine, terms, joined("*", notation_of(factor), self.notation))

    __rmul__ = __mul__

    def _times_parameter(self, factor: Affine) -> Composite:
        if any(isinstance(w.weight, Affine) for w in self.terms):
            raise not_affine_in_parameters(factor, self)
        if factor.is_uncertain:
            raise not_affine_in_parameters(self, factor)
        affine = self.affine if not self.affine.terms and not np.any(self.affine.constant) else None
        affine = factor * self.affine if affine is None else affine
        size = max(affine.size, factor.size)
        terms = tuple(
            w._replace(weight=factor * w.weight) for w in (_stretched(w, size) for w in self.terms)
        )
        if affine.size != size:
            affine = Affine(size, {}, labels=factor.labels)
        return Composite(affine, terms, joined("*", factor.notation, self.notation))

    def __rmatmul__(self, left: Any) -> Composite:
        """``c @ terms`` is Σ c_i · term_i."""
        if np.ndim(left) != 1:
            raise InputError(
                f"{self!r} is not affine: only a vector of weights can stand left of it, not a "
                f"matrix of shape {np.shape(left)}; take its rows one by one"
            )
        result: Composite = (self * left).sum()
        result.notation = joined("@", of_numbers(left), self.notation)
        return result

    def __matmul__(self, right: Any) -> Composite:
        return self.__rmatmul__(right)

    def sum(self) -> Composite:
        """The sum of the rows, a scalar."""
        terms = tuple(w if w.term.size == 1 else w._replace(summed=True) for w in self.terms)
        return Composite(self.affine.sum(), terms, joined("sum", self.notation))

    def __getitem__(self, key: Any) -> Any:
        raise InputError(
            f"rows of {self!r} cannot be picked; pick them inside, such as abs(x[['a', 'b']])"
        )

    def __iter__(self) -> Any:
        return self[0]

    def value(self, x: FloatArray) -> FloatArray:
        """The rows at a point ``x`` of all the program's variables."""
        total = self.affine.value(x)
        for weighted in self.terms:
            rows = weighted.numbers * weighted.term.value(x)
            total = total + (np.sum(rows) if weighted.summed else rows)
        return total

    def affine_parts(self) -> Iterator[Affine]:
        yield self.affine
        for weighted in self.terms:
            yield from weighted.term.arguments
            if isinstance(weighted.weight, Affine):
                yield weighted.weight


def square(expression: Affine) -> Composite:
    """The squares of the rows.

    Examples
    --------
    >>> from rrp_pyomo import Program, solve_program, square
    >>> program = Program("valley")
    >>> x = program.variable("x", 2)
    >>> program.minimize(square(x - [1.0, 2.0]).sum() + x.sum())
    >>> solve_program(program).values["x"].round(4).tolist()
    [0.5, 1.5]
    """
    if not isinstance(expression, Affine):
        raise InputError(
            f"the square of {expression!r}, which is not affine, is not convex; square a variable "
            "that bounds it"
        )
    result = Composite.of(Product(expression, expression))
    result.notation = joined("square", expression.notation)
    return result


def _stretched(weighted: Weighted, size: int) -> Weighted:
    """A scalar product repeated over ``size`` rows."""
    if weighted.size == size:
        return weighted
    if weighted.summed or not weighted.term.is_product:
        raise InputError(
            f"a scalar {weighted.term.name if not weighted.summed else 'sum'} cannot be repeated "
            f"over {size} rows; bind it to a variable"
        )
    product = weighted.term
    a = repeated_rows(product.a, size)
    b = a if product.is_square else repeated_rows(product.b, size)
    return weighted._replace(term=Product(a, b))


def as_composite(body: Affine | Composite) -> Composite:
    """An expression as one with terms, of which it may have none."""
    return body if isinstance(body, Composite) else Composite(body, ())


def product(a: Affine, b: Affine, labels: Labels) -> Composite:
    """``a ∘ b`` row by row, of expressions of one size."""
    result = Product(a, b)
    result.labels = labels
    return Composite.of(result)


# Expressions are multiplied before there are products: what they make of it is said here.
Affine.product = staticmethod(product)
Expression.square = staticmethod(square)
