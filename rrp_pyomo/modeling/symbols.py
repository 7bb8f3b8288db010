"""Variables and parameters: the symbols that expressions are sums over."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.expressions import Affine, Symbol

Domain: TypeAlias = Literal["continuous", "binary", "integer"]
DOMAINS = get_args(Domain)


class Variable(Affine, Symbol):
    """A vector of decision variables, or a scalar one where ``labels`` is None.

    Parameters
    ----------
    program : Program
    name : str
    labels : tuple or int, optional
        A number for that many rows without labels.
    lower, upper : float or array of shape (size,)
    unit : float
        Typical magnitude; solvers work in multiples of it.
    offset : int
        The column of its first entry.
    domain : {"continuous", "binary", "integer"}

    Attributes
    ----------
    index : tuple, range or None
        Labels, else places; None for a scalar.

    Examples
    --------
    Made by :meth:`Program.variable`:

    >>> from rrp_pyomo import Program
    >>> x = Program().variable("x", ["a", "b"], lower=0, upper=[0.5, 1.0])
    >>> x.size, x.index, x["a"]
    (2, ('a', 'b'), x[a])
    """

    is_variable = True
    is_data = False
    is_uncertain = False

    def __init__(
        self,
        program: Any,
        name: str,
        labels: tuple[Hashable, ...] | int | None,
        lower: float | FloatArray,
        upper: float | FloatArray,
        unit: float,
        offset: int,
        domain: Domain = "continuous",
    ) -> None:
        self._index = range(labels) if isinstance(labels, int) else labels
        size = 1 if self._index is None else len(self._index)
        super().__init__(size, {}, 0.0, None if isinstance(labels, int) else labels, name)
        self.terms[self] = 1.0
        self._program = program
        self.name = name
        self.lower = lower
        self.upper = upper
        self.unit = unit
        self.offset = offset
        self.domain: Domain = domain

    @property
    def program(self) -> Any:
        return self._program

    @property
    def index(self) -> tuple[Any, ...] | range | None:
        return self._index

    @property
    def is_nonnegative(self) -> bool:
        """Whether the lower bounds say so."""
        return bool(np.all(np.asarray(self.lower) >= 0))

    def evaluated(self) -> Affine:
        return self

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def __repr__(self) -> str:
        return self.name if self.index is None else f"{self.name}[{self.size}]"


class Parameter(Affine, Symbol):
    """A number, or one for each label, that may change between solves.

    Statements are affine in parameters, whose values are set by :meth:`Program.set`.

    Parameters
    ----------
    program : Program
    name : str
    labels : tuple, optional
    value : float or (size,) array

    Examples
    --------
    Made by :meth:`Program.parameter`; new numbers are solved for without stating anything again:

    >>> from rrp_pyomo import Program, norm, solve_program
    >>> program = Program()
    >>> x, total = program.variable("x", 2), program.parameter("total", 1.0)
    >>> program.subject_to(invested=x.sum() == total)
    >>> program.minimize(norm(x))
    >>> round(solve_program(program).objective, 4)
    0.7071
    >>> program.set(total=2.0)
    >>> round(solve_program(program).objective, 4)
    1.4142
    """

    is_variable = False
    is_data = True
    is_uncertain = False

    def __init__(
        self, program: Any, name: str, labels: tuple[Hashable, ...] | None, numbers: FloatArray
    ) -> None:
        super().__init__(1 if labels is None else len(labels), {}, 0.0, labels, name)
        self.terms[self] = 1.0
        self._program = program
        self.name = name
        self.numbers = numbers

    @property
    def program(self) -> Any:
        return self._program

    def evaluated(self) -> Affine:
        value: Any = float(self.numbers[0]) if self.size == 1 else self.numbers
        return Affine(self.size, {}, value, self.labels)

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def __repr__(self) -> str:
        return self.name if self.labels is None else f"{self.name}[{self.size}]"


def require_domain(name: str, domain: str) -> None:
    """Raise for a domain that nobody knows."""
    if domain not in DOMAINS:
        raise InputError(
            f"the domain of {name!r} is {domain!r}; expected one of {', '.join(map(repr, DOMAINS))}"
        )
