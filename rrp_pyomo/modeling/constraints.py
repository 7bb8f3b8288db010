"""What comparisons become: memberships in cones, and quadratics that are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.cones import CONES, NONNEGATIVE, ROTATED, ZERO, Cone
from rrp_pyomo.modeling.expressions import Affine, flattened, repeated_rows, stack
from rrp_pyomo.modeling.labels import common_rows
from rrp_pyomo.modeling.operators import Comparison


@dataclass(frozen=True, eq=False)
class InCone:
    """``(parts) ∈ cone``, for each row of the parts: every convex constraint is one of these.

    Parameters
    ----------
    parts : tuple of Affine
        As the cone's docstring has them.
    cone : Cone
    sign : float
        −1 where the statement says −part ≤ 0: blocks then write it so.

    Raises
    ------
    InputError
        Another number of parts, or parts of sizes that do not go together.

    Examples
    --------
    >>> from rrp_pyomo import Program, solve_program
    >>> from rrp_pyomo.modeling import InCone
    >>> from rrp_pyomo.modeling.cones import SECOND_ORDER
    >>> program = Program()
    >>> t, v = program.variable("t"), program.variable("v", 2, lower=[3.0, 4.0])
    >>> program.subject_to(length=InCone((t, v), SECOND_ORDER))
    >>> program.minimize(t)
    >>> round(solve_program(program).objective, 4)
    5.0
    """

    parts: tuple[Affine, ...]
    cone: Cone
    sign: float = 1.0

    def __post_init__(self) -> None:
        if type(self.cone) not in CONES:
            raise InputError(
                f"{self.cone!r} is no cone that rrp_pyomo.modeling.cones lists; expected one of "
                f"{', '.join(kind.__name__ for kind in CONES)}"
            )
        object.__setattr__(self, "parts", self.cone.shaped(flattened(self.parts)))

    def __bool__(self) -> bool:
        raise InputError(
            "a constraint has no truth value for `if` or `and`; give every constraint to "
            "Program.subject_to"
        )

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self.parts))}) in {self.cone.name}"

    @property
    def is_parametric(self) -> bool:
        """Whether a parameter is in it."""
        return any(part.is_parametric for part in self.parts)

    @property
    def bounded_body(self) -> tuple[Affine, float, float]:
        """Linear rows as they are written: the body, and what it lies between."""
        (part,) = self.parts
        if not self.cone.nonnegative:
            return part, 0.0, 0.0
        return (part, 0.0, np.inf) if self.sign > 0 else (-part, -np.inf, 0.0)


class Bounded(NamedTuple):
    """One of the memberships that say term ≤ bound.

    Attributes
    ----------
    suffix : str
        Of its name, "" for the main one.
    membership : InCone
    part : int or None
        Which part the bound is in, None where it is in none.
    coefficient : float
        What multiplies the bound there.
    """

    suffix: str
    membership: InCone
    part: int | None = 0
    coefficient: float = 1.0


@dataclass(frozen=True, eq=False)
class QuadraticBound:
    """``lower ≤ body ≤ upper`` row by row, for products that are no cone."""

    body: Composite
    lower: float
    upper: float

    @property
    def is_parametric(self) -> bool:
        """Whether a parameter is in it."""
        return self.body.is_parametric


#: What a statement holds: a comparison as it was written, or a membership.
Constraint: TypeAlias = Comparison | InCone
#: What realisations state.
Stated: TypeAlias = InCone | QuadraticBound


def membership(comparison: Comparison) -> InCone | None:
    """The cone that a comparison states by its form; None where it has terms that need lifting.

    Linear rows are in the zero or the nonnegative cone, ``a * b >= square(c)`` with a, b ≥ 0 meant
    in the rotated one. ``norm(e) <= 0`` and ``sum_squares(e) <= 0`` are the equations e = 0, unless
    these would be more than variables, which Ipopt refuses.
    """
    if isinstance(comparison.body, Affine):
        if comparison.sense == "==":
            return InCone((comparison.body,), ZERO)
        if comparison.sense == ">=":
            return InCone((comparison.body,), NONNEGATIVE)
        return InCone((-comparison.body,), NONNEGATIVE, -1.0)
    if vanishing := vanishing_parts(comparison):
        equations = stack(*vanishing)
        columns = sum(symbol.size for symbol in equations.terms if symbol.is_variable)
        return InCone((equations,), ZERO) if equations.size <= columns else None
    larger, smaller = comparison.left, comparison.right
    if comparison.sense == "<=":
        larger, smaller = smaller, larger
    if comparison.sense == "==" or not (_is_one_product(larger) and _is_one_product(smaller)):
        return None
    (product,), (squared,) = larger.terms, smaller.terms
    # x² ≥ c² holds for negative x too.
    if product.term.is_square or not squared.term.is_square or product.summed or squared.summed:
        return None
    if isinstance(product.weight, Affine) or isinstance(squared.weight, Affine):
        return None
    if np.any(np.asarray(product.weight) <= 0) or np.any(np.asarray(squared.weight) < 0):
        return None
    c = squared.term.a * np.sqrt(squared.weight / product.weight)
    size, _ = common_rows(larger.size, larger.labels, c.size, c.labels)
    a, b = (repeated_rows(e, size) for e in (product.term.a, product.term.b))
    return InCone((a, b, repeated_rows(c, size)), ROTATED)


def vanishing_parts(comparison: Comparison) -> list[Affine]:
    """What has to be 0 where norms and squares, and nothing beside them, are at most 0.

    Such a cone has no inner point, without which multipliers need not exist; and no slope in its
    bound, which cannot fall.
    """
    body, sign = comparison.body, comparison.sign
    if isinstance(body, Affine):
        return []
    affine, terms = body.affine, body.terms
    if comparison.sense == "==" or affine.terms or np.any(affine.constant):
        return []
    if any(isinstance(w.weight, Affine) or np.any(sign * np.asarray(w.weight) <= 0) for w in terms):
        return []
    if not all(w.term.is_length for w in terms):
        return []
    return list({id(e): e for w in terms for e in w.term.arguments}.values())


def _is_one_product(side: object) -> bool:
    """One product and nothing else, as in ``x * z``."""
    return (
        isinstance(side, Composite)
        and len(side.terms) == 1
        and side.terms[0].term.is_product
        and not side.affine.terms
        and not np.any(side.affine.constant)
    )
