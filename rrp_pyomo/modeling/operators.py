"""What all expressions share: operators, and the comparisons that they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.labels import Labels
from rrp_pyomo.modeling.notation import Notation, joined, latex, text
from rrp_pyomo.modeling.numpy_protocol import NumpyProtocol
from rrp_pyomo.modeling.operands import as_numbers, notation_of, numbers

#: What stands beside an expression: another one, numbers, or a Series.
Operand: TypeAlias = Any


@dataclass(frozen=True, eq=False)
class Comparison:
    """``left <= right``, ``left >= right`` or ``left == right``, row by row.

    Attributes
    ----------
    left, right : expressions or numbers
        As they were written.
    sense : str
    body : expression
        left − right.
    """

    left: Any
    sense: str
    right: Any
    body: Any

    @property
    def sign(self) -> float:
        """1 where body ≤ 0 is meant, −1 where body ≥ 0 is."""
        return -1.0 if self.sense == ">=" else 1.0

    @property
    def is_parametric(self) -> bool:
        """Whether a parameter is in it."""
        return bool(self.body.is_parametric)

    def __bool__(self) -> bool:
        raise InputError(
            "a constraint has no truth value; state `a <= b <= c` as two constraints, "
            "and give every constraint to Program.subject_to"
        )

    def __repr__(self) -> str:
        return f"{text(notation_of(self.left))} {self.sense} {text(notation_of(self.right))}"


class Expression(NumpyProtocol):
    """What affine and composite expressions share: comparisons, and half of the arithmetic."""

    #: What an expression and itself are multiplied to.
    square: ClassVar[Any]
    __hash__ = object.__hash__
    size: int
    labels: Labels
    notation: Notation

    def __le__(self, other: Operand) -> Comparison:
        return Comparison(self, "<=", other, self - other)

    def __ge__(self, other: Operand) -> Comparison:
        return Comparison(self, ">=", other, self - other)

    def __eq__(self, other: Operand) -> Comparison:  # type: ignore[override]
        return Comparison(self, "==", other, self - other)

    def __lt__(self, other: Operand) -> Comparison:
        raise InputError(
            "strict comparisons have no optimum to offer; state <= or >=, and take maximum(a, b) "
            "for the larger of two expressions"
        )

    __gt__ = __lt__

    @property
    def index(self) -> tuple[Any, ...] | range | None:
        """Labels, else places; None for a scalar."""
        return self.labels or (range(self.size) if self.size > 1 else None)

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return text(self.notation) if self.notation is not None else self._anonymous()

    def _repr_latex_(self) -> str:
        written = self.notation if self.notation is not None else self._anonymous()
        return f"${latex(written)}$"

    def _anonymous(self) -> str:
        names = dict.fromkeys(name for e in self.affine_parts() for name in e.names())
        rows = "" if self.size == 1 else f", {self.size} rows"
        return f"f({', '.join(names)}{rows})"

    # Everything else follows from what the subclasses define.

    def __sub__(self, other: Operand) -> Any:
        result = self + (-other if hasattr(other, "__neg__") else -as_numbers(other))
        result.notation = joined("-", self.notation, notation_of(other))
        return result

    def __rsub__(self, other: Operand) -> Any:
        result = (-self) + other
        result.notation = joined("-", notation_of(other), self.notation)
        return result

    def __truediv__(self, divisor: float | FloatArray) -> Any:
        number, _ = numbers(divisor, self)
        result = self * np.divide(1.0, number)
        result.notation = joined("/", self.notation, notation_of(divisor))
        return result

    def __rtruediv__(self, dividend: Operand) -> Any:
        raise InputError(
            f"{dividend!r} / {self!r} is not affine; a square over an expression is stated "
            "quad_over_lin(e, y)"
        )

    def __pow__(self, power: float) -> Any:
        if power != 2:
            raise InputError(
                f"an expression to the power {power} is not convex calculus; only 2: power(e, p) "
                "is the term for others, norm(root @ x) that for a volatility"
            )
        return self.square(self)

    def __neg__(self) -> Any:
        result = self * -1.0
        result.notation = joined("neg", self.notation)
        return result

    def __add__(self, other: Operand) -> Any:
        raise NotImplementedError

    def __mul__(self, other: Operand) -> Any:
        raise NotImplementedError

    def affine_parts(self) -> Iterator[Any]:
        raise NotImplementedError
