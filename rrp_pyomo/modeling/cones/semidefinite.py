"""The cone of positive semidefinite matrices: linear matrix inequalities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.forms.conic import ConicBuilder
from rrp_pyomo.forms.problem_classes import Takes
from rrp_pyomo.forms.rows import Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones.base import Cone
from rrp_pyomo.modeling.expressions import Affine


class Semidefinite(Cone):
    """{x'Sx ≥ 0 for all x}, the d² rows being the entries of a d × d matrix S, row after row.

    The symmetric part ½(S + S') is meant, which has the same x'Sx. The cone is its own dual.

    Examples
    --------
    The matrix with ones on and twos off the diagonal has the eigenvalue −1:

    >>> import numpy as np
    >>> from rrp_pyomo.modeling.cones import Semidefinite
    >>> Semidefinite().violation(np.array([1.0, 2.0, 2.0, 1.0])).round(4).tolist()
    [1.0]
    """

    name = "semidefinite"
    part_names = ("S",)
    heads = 0
    takes = Takes.SEMIDEFINITE
    shapes = ((1,), (9,))

    def shaped(self, parts: tuple[Affine, ...]) -> tuple[Affine, ...]:
        if len(parts) != 1 or _side(parts[0].size) ** 2 != parts[0].size:
            raise InputError(
                f"a semidefinite cone was given {', '.join(str(p.size) for p in parts)} rows; "
                "expected d² of them, the entries of a d × d matrix, such as C.ravel() + A @ x"
            )
        return parts

    def count(self, parts: Sequence[Affine]) -> int:
        return 1

    def rows(self, builder: ConicBuilder, parts: Sequence[Rows]) -> int:
        return builder.semidefinite(parts[0], _side(parts[0].size))

    def split(self, members: FloatArray, parts: Sequence[Affine]) -> list[FloatArray]:
        return [members.ravel()]

    def violation(self, *parts: FloatArray) -> FloatArray:
        d = _side(parts[0].size)
        matrix = parts[0].reshape(d, d)
        smallest: FloatArray = np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[:1].astype(float)
        return -smallest


def _side(entries: int) -> int:
    return round(float(np.sqrt(entries)))
