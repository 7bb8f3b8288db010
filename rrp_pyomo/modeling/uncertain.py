"""Uncertain data: symbols that stand for any element of a set.

A set is known by what it can say, whatever its class: a set of means has ``support(direction)``, a
set of covariances ``variance(w)``, a set of distributions ``risk(w, alpha, mean_weight)``; each has
``worst``, the element that attains it, and ``labels``. Of affine expressions they give expressions,
of numbers a number.
"""

from __future__ import annotations

from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np

from rrp_pyomo.errors import InputError, ModelError, brief
from rrp_pyomo.modeling.coefficients import stacked_blocks
from rrp_pyomo.modeling.expressions import Affine, Scaled, Symbol
from rrp_pyomo.modeling.numpy_protocol import NumpyProtocol

Kind: TypeAlias = Literal["mean", "covariance", "distribution"]


def kind_of(given: Any) -> Kind | None:
    """What the elements of a set are; None for what is no set."""
    if hasattr(given, "risk"):
        return "distribution"
    if not hasattr(given, "worst"):
        return None
    return "covariance" if hasattr(given, "variance") else "mean"


class Uncertain(Affine, Symbol):
    """A vector of which a set is known: means, or returns whose distribution is uncertain.

    It is multiplied by variables as a parameter is, and stands inside ``worst_case`` only.

    Parameters
    ----------
    program : Program
    name : str
    members : set of means or of distributions
    """

    is_variable = False
    is_data = True
    is_uncertain = True

    def __init__(self, program: Any, name: str, members: Any) -> None:
        labels = tuple(members.labels)
        super().__init__(len(labels), {}, 0.0, labels, name)
        self.terms[self] = 1.0
        self._program = program
        self.name = name
        self.members = members

    @property
    def program(self) -> Any:
        return self._program

    def evaluated(self) -> NoReturn:
        raise ModelError(
            f"{self.name!r} is uncertain and has no value outside worst_case(…); give a number in "
            "its place, such as the centre of its set"
        )

    @property
    def numbers(self) -> NoReturn:
        """There are none."""
        self.evaluated()

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def __repr__(self) -> str:
        return f"{self.name}[{self.size}]"


class UncertainCovariance(NumpyProtocol):
    """A covariance matrix of which a set is known; it stands in ``variance(w, Sigma)`` only.

    Parameters
    ----------
    program : Program or None
        None for a set that a statement holds without a name.
    name : str
    members : set of covariances
    """

    size = 1

    def __init__(self, program: Any, name: str, members: Any) -> None:
        self.program = program
        self.name = name
        self.members = members
        self.labels = tuple(members.labels)
        self.notation = name if program is not None else repr(members)

    def _refused(self, other: Any) -> NoReturn:
        raise ModelError(
            f"{self.name!r} is an uncertain covariance; its worst case is known of variances "
            "only: write worst_case(variance(w, covariance))"
        )

    __matmul__ = __rmatmul__ = __mul__ = __rmul__ = __add__ = __radd__ = _refused

    def names(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    def __repr__(self) -> str:
        return f"{self.name}[{len(self.labels)}×{len(self.labels)}]"


def uncertain_symbol(program: Any, name: str, members: Any) -> Uncertain | UncertainCovariance:
    """The symbol that stands for the elements of a set.

    Raises
    ------
    InputError
        What is given is no set.
    """
    kind = kind_of(members)
    if kind is None:
        raise InputError(
            f"the set of {name!r} is {brief(members)}; expected one of rrp_pyomo.uncertainty, such "
            "as Box(mean, half_width), or for data that are known a parameter in its place"
        )
    return (UncertainCovariance if kind == "covariance" else Uncertain)(program, name, members)


def split(expression: Affine) -> tuple[Affine, dict[Uncertain, Affine]]:
    """A scalar as certain + Σ u'direction, by uncertain symbol u."""
    certain = Affine(1, {}, expression.constant, expression.labels)
    directions: dict[Uncertain, Affine] = {}

    def charge(symbol: Uncertain, direction: Affine) -> None:
        known = directions.get(symbol)
        directions[symbol] = direction if known is None else known + direction

    for symbol, block in expression.terms.items():
        if not symbol.is_uncertain:
            certain = certain + Affine(1, {symbol: block})
            continue
        if isinstance(symbol, Uncertain):
            row = _matrix(block, 1, symbol.size)[0]
            charge(symbol, Affine(symbol.size, {}, row, symbol.labels))
            continue
        assert isinstance(symbol, Scaled)
        inner = _row_by_row(symbol.inner, _matrix(block, 1, symbol.size)[0])
        factor = symbol.factor
        for data, coefficient in factor.terms.items():
            if isinstance(data, Uncertain):
                charge(data, _transposed(coefficient, factor.size, data, inner))
            else:
                part = Affine(factor.size, {data: coefficient}, 0.0, factor.labels)
                certain = certain + (part * inner).sum()
        if np.any(factor.constant):
            certain = certain + (inner * factor.constant).sum()
    return certain, directions


def _matrix(block: Any, rows: int, columns: int) -> Any:
    matrix = stacked_blocks([block], [rows], columns)
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


def _row_by_row(inner: Affine, weights: Any) -> Affine:
    """The rows in multiples; the expression itself where all are 1, so that it stays known."""
    if np.all(weights == weights[0]):
        weights = float(weights[0])
    result: Affine = inner if np.ndim(weights) == 0 and weights == 1.0 else inner * weights
    return result


def _transposed(block: Any, rows: int, data: Uncertain, inner: Affine) -> Affine:
    """F'v for the block F of uncertain data, labelled as these are."""
    if np.ndim(block) == 0 and rows == data.size:
        result: Affine = inner if block == 1.0 else inner * float(block)
        return result
    direction = inner._times_array(stacked_blocks([block], [rows], data.size).T)
    direction.labels = data.labels
    return direction
