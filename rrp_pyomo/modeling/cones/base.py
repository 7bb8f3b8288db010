"""What a cone knows: its rows, its object in Pyomo, its smooth form, its violation at a point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows, stacked
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.expressions import Affine, repeated_rows
from rrp_pyomo.modeling.labels import rows_together

#: A body, and what it lies between.
Quadratic: TypeAlias = tuple[Composite, float, float]


class Cone(ABC):
    """A kind of convex cone, whose members are affine expressions: the parts of a constraint.

    The first parts are the cone's *heads*, of as many rows as there are cones. Where a cone has a
    vector too, all further parts are its pieces: of any length for a single cone, of a row for each
    cone where there are several.

    A new cone is a subclass in a file of its own, and a line in
    :mod:`~rrp_pyomo.modeling.cones`.

    Attributes
    ----------
    name : str
    part_names : tuple of str
        What the heads are called, and after them the vector if there is one.
    heads : int
    nonnegative : tuple of int
        The heads that are nonnegative in the cone.
    takes : Takes
        What a solver must take. A cone that is linear or second-order has a quadratic form.
    shapes : tuple of tuple of int
        Sizes of parts that go together, for whoever tries the cone out.

    Examples
    --------
    By how much points are outside, here of {‖v‖₂ ≤ t}:

    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import Cone, SecondOrder
    >>> isinstance(SecondOrder(), Cone), SecondOrder().part_names
    (True, ('t', 'v'))
    >>> SecondOrder().violation(np.array([4.0]), np.array([3.0, 4.0])).tolist()
    [1.0]
    """

    name: ClassVar[str]
    part_names: ClassVar[tuple[str, ...]]
    heads: ClassVar[int]
    nonnegative: ClassVar[tuple[int, ...]] = ()
    takes: ClassVar[Takes]
    shapes: ClassVar[tuple[tuple[int, ...], ...]]

    # --- what a cone has to say -----------------------------------------------------------------

    @abstractmethod
    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        """Hand the parts to a builder; the number of their group.

        Multipliers come back through :meth:`split`, as the builder's method has its rows.
        """

    @abstractmethod
    def violation(self, *parts: FloatArray) -> FloatArray:
        """By how much each cone is missed by values of its parts; at most 0 where it is not."""

    def relative_violation(self, parts: Sequence[FloatArray], sizes: Sequence[FloatArray]) -> float:
        """The largest violation of a cone, each relative to the sizes of the terms in its rows."""
        missed = self.violation(*parts)
        return float(np.max(missed / or_one(largest_by_cone(missed.size, sizes))))

    def quadratic(self, *parts: Affine) -> Quadratic | None:
        """A quadratic and its bounds: they hold in the cone, and only there if heads are signed."""
        return None

    def smooth(self, *entries: Any) -> list[Any] | None:
        """Pyomo expressions of one cone's members that are at least 0 in it, and only there."""
        return None

    def signed(self, parts: tuple[Affine, ...]) -> tuple[int, ...]:
        """The heads whose sign the smooth form does not see."""
        return self.nonnegative

    def kernel_parts(self, parts: tuple[Affine, ...]) -> tuple[Affine, ...]:
        """The parts in the scale of :meth:`kernel`'s cone."""
        return parts

    def kernel(self, *entries: Any) -> Any:
        """The object of ``pyomo.kernel.conic`` for one cone over variables; the vector is a list.

        Raises
        ------
        ModelError
            It has none.
        """
        raise ModelError(
            f"pyomo has no {self.name} cone: no block can state it; solve the program by its "
            "conic form, with 'clarabel' or 'scs'"
        )

    # --- what they share ------------------------------------------------------------------------

    @property
    def is_linear(self) -> bool:
        """Whether it is a matter of linear rows."""
        return self.takes is Takes.LINEAR and len(self.part_names) == 1

    def shaped(self, parts: tuple[Affine, ...]) -> tuple[Affine, ...]:
        """The parts, scalar ones repeated where there are several cones.

        Raises
        ------
        InputError
            Another number of parts, or sizes or index sets that do not go together.
        """
        if self.is_linear and len(parts) == 1:
            return parts
        has_vector = len(self.part_names) > self.heads
        if len(parts) < len(self.part_names) or (len(parts) > self.heads and not has_vector):
            raise InputError(
                f"a {self.name} cone has the parts {', '.join(self.part_names)}; "
                f"{len(parts)} were given"
            )
        count = max(part.size for part in parts[: self.heads])
        if count == 1:
            return parts
        sizes = {part.size for part in parts}
        if sizes <= {1, count}:
            # Row by row, as expressions are added.
            rows_together(parts)
            return tuple(repeated_rows(part, count) for part in parts)
        raise InputError(
            f"the parts of a {self.name} cone have {', '.join(str(p.size) for p in parts)} rows; "
            "expected one row for each cone, or a single cone"
        )

    def count(self, parts: Sequence[Affine]) -> int:
        """The number of cones."""
        return parts[0].size

    def labels(self, parts: Sequence[Affine]) -> Any:
        """Labels of the cones; places where no part has any."""
        count = self.count(parts)
        known = (part.labels for part in parts if part.size == count and part.labels is not None)
        return next(known, None)

    def split(self, members: FloatArray, parts: Sequence[Affine]) -> list[FloatArray]:
        """An array with a row for each cone, by part."""
        count = self.count(parts)
        widths = [part.size // count for part in parts]
        ends = np.cumsum(widths)
        return [
            members[:, end - width : end].ravel() for end, width in zip(ends, widths, strict=True)
        ]

    def entries(self, parts: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """Members of each cone, from those by part: its heads and, as a list, its vector."""
        heads, pieces = parts[: self.heads], parts[self.heads :]
        if not heads:
            return [[e for piece in pieces for e in piece]]
        if len(heads[0]) == 1:
            vectors = [[e for piece in pieces for e in piece]]
        else:
            vectors = [list(row) for row in zip(*pieces, strict=True)] or [[] for _ in heads[0]]
        rows = [
            [*row, vector] for row, vector in zip(zip(*heads, strict=True), vectors, strict=True)
        ]
        return rows if len(self.part_names) > self.heads else [row[:-1] for row in rows]

    def __repr__(self) -> str:
        return type(self).__name__ + "()"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self).items())))


def largest_by_cone(count: int, sizes: Sequence[FloatArray]) -> FloatArray:
    """The largest size among the rows of each cone; what a single cone has is all its own."""
    largest = np.zeros(count)
    for size in sizes:
        largest = np.maximum(largest, size if size.size == count else size.max(initial=0.0))
    return largest


def or_one(sizes: FloatArray) -> FloatArray:
    """What to divide by: 1 where there is nothing to be relative to."""
    return np.where(sizes > 0.0, sizes, 1.0)


def interleaved(count: int, pieces: Sequence[Rows]) -> Rows:
    """The pieces of vectors as rows, cone by cone."""
    if count == 1 or len(pieces) == 1:
        return stacked(pieces)
    k = len(pieces)  # row r of piece p becomes row r·k + p
    return Rows(
        np.concatenate([piece.row * k + p for p, piece in enumerate(pieces)]),
        np.concatenate([piece.col for piece in pieces]),
        np.concatenate([piece.val for piece in pieces]),
        np.column_stack([piece.constant for piece in pieces]).ravel(),
    )


def lengths(pieces: Sequence[FloatArray], count: int) -> FloatArray:
    """‖vector‖ of each cone."""
    if count == 1:
        return np.array([np.linalg.norm(np.concatenate(pieces))]) if pieces else np.zeros(1)
    return np.linalg.norm(np.column_stack(pieces), axis=1) if pieces else np.zeros(count)
