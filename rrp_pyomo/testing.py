"""Conformance tests for those who extend the language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pyomo.contrib.solver.common.factory import SolverFactory

from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones import Cone
from rrp_pyomo.modeling.constraints import InCone
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.terms import sum_squares
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import needs, solve_program
from rrp_pyomo.solve.table import SOLVERS

__all__ = ["check_cone"]

# Points are of order 1; errors of a point are about the square root of an objective's.
_CLOSE = 1e-4
_CLOSE_BY_SCS = 1e-2
_AWAY = 0.1


def check_cone(cone: Cone, seed: int = 0) -> None:
    """Check everything that the language asks of a cone.

    A new cone's author calls it in a test, once the cone is listed in
    :mod:`rrp_pyomo.modeling.cones`. For each of the cone's ``shapes``, random points are projected
    onto the cone, for parts that are slices of a variable and for parts that are affine images of
    it. The check is that

    * another number of parts is refused;
    * ``violation`` is positive at the points, not at their projections and the sums of these, and
      homogeneous; ``relative_violation`` does not depend on the unit;
    * the multipliers w of the membership are those of a projection: they come from the objective's
      gradient, w'x = 0, and w'y ≥ 0 for every member y;
    * every realisation that takes the cone gives the same projection: the conic form, the kernel
      block, the environ block, the quadratic form;
    * every realisation that does not take it says so, by a ModelError with the cone's name.

    Parameters
    ----------
    cone : Cone
    seed : int
        Of the random points.

    Raises
    ------
    AssertionError
        Something does not hold; the message says what, and for which sizes of the parts.

    Examples
    --------
    Nothing is said where all holds:

    >>> from rrp_pyomo.modeling.cones import SecondOrder
    >>> from rrp_pyomo.testing import check_cone
    >>> check_cone(SecondOrder())
    """
    rng = np.random.default_rng(seed)
    _hold(bool(cone.shapes), f"{cone!r} has no shapes to try")
    for shape in cone.shapes:
        n = sum(shape)
        plain = _Projection(cone, shape)
        _check_structure(plain)
        points = rng.normal(size=(8, n))
        members = [plain.solve(p)[0] for p in points]
        _check_values(plain, points, members, rng)
        _check_multipliers(plain, members, plain.point_outside(rng))
        _check_realisations(plain, rng)
        A = np.eye(n) + 0.4 * rng.uniform(-1.0, 1.0, (n, n)) / np.sqrt(n)
        image = _Projection(cone, shape, A, 0.2 * rng.normal(size=n))
        _check_multipliers(image, members, image.point_outside(rng))
        _check_realisations(image, rng)


@dataclass
class _Projection:
    """min ‖x − p‖² with Ax + c, cut into parts, in the cone; p is a parameter."""

    cone: Cone
    shape: tuple[int, ...]
    A: Any = None
    c: FloatArray | float = 0.0

    def __post_init__(self) -> None:
        n = sum(self.shape)
        self.program = Program(f"projection onto {self.cone!r}")
        self.x = self.program.variable("x", n)
        p = self.program.parameter("p", np.zeros(n), range(n))
        self.program.minimize(sum_squares(self.x - p))
        image: Affine = self.x
        if self.A is not None:
            image = self.A @ self.x + self.c
        self.parts = tuple(image[start:end] for start, end in self.cuts)
        self.program.subject_to(member=InCone(self.parts, self.cone))

    @property
    def cuts(self) -> list[tuple[int, int]]:
        ends = np.cumsum(self.shape).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))

    @property
    def what(self) -> str:
        image = "" if self.A is None else " of an affine image"
        return f"{self.cone!r} with parts{image} of {', '.join(map(str, self.shape))} rows"

    def split(self, s: FloatArray) -> list[FloatArray]:
        return [s[start:end] for start, end in self.cuts]

    def image(self, x: FloatArray) -> FloatArray:
        """The rows of all the parts at a point."""
        return x if self.A is None else self.A @ x + self.c

    def violation(self, s: FloatArray) -> FloatArray:
        return np.atleast_1d(self.cone.violation(*self.split(s)))

    def solve(self, p: FloatArray, solver: str = "clarabel") -> tuple[FloatArray, Any]:
        """The projection of a point by the conic form, and the multipliers by part."""
        self.program.set(p=p)
        solution = solve_program(self.program, solver)
        assert solution.duals is not None
        return solution.arrays["x"], solution.duals["member"]

    def point_outside(self, rng: np.random.Generator) -> FloatArray:
        """A point outside whose projection has heads away from 0, where the cone is smooth."""
        for _ in range(200):
            p = rng.normal(size=sum(self.shape))
            if np.max(self.violation(self.image(p))) < _AWAY:
                continue
            if self.cone.is_linear:
                return p
            heads = self.split(self.image(self.solve(p)[0]))
            if all(heads[k].min() > _AWAY for k in self.cone.nonnegative):
                return p
        raise AssertionError(f"{self.what}: no random point lies outside and projects inside")


def _check_structure(plain: _Projection) -> None:
    cone, parts = plain.cone, plain.parts
    least = len(cone.part_names)
    _hold(bool(cone.name), f"{cone!r} has no name")
    _hold(
        0 <= cone.heads <= least <= cone.heads + 1,
        f"{cone!r} has {cone.heads} heads and the parts {cone.part_names}; expected the heads' "
        "names, and one more for a vector",
    )
    wrong = [parts[: least - 1]]
    if cone.heads in (0, least):
        wrong.append((*parts, parts[-1]))
    for given in wrong:
        refused = _refusal(partial(InCone, given, cone), InputError)
        _hold(refused is not None, f"{cone!r} takes {len(given)} parts")
    violation = plain.violation(np.ones(sum(plain.shape)))
    _hold(
        violation.shape == (cone.count(parts),),
        f"{plain.what}: violation() has shape {violation.shape} for {cone.count(parts)} cones",
    )


def _check_values(
    plain: _Projection,
    points: FloatArray,
    members: Sequence[FloatArray],
    rng: np.random.Generator,
) -> None:
    cone, what = plain.cone, plain.what
    for p, member in zip(points, members, strict=True):
        _hold(
            bool(np.max(plain.violation(member)) <= _CLOSE),
            f"{what}: the member {member} of the conic form's cone has the violation "
            f"{plain.violation(member)}",
        )
        far = float(np.abs(p - member).max())
        _hold(
            bool(far <= _AWAY or np.max(plain.violation(p)) > 0.0),
            f"{what}: {p} is {far:.2g} away from the cone, but has the violation "
            f"{plain.violation(p)}",
        )
    outside = plain.point_outside(rng)
    projection, _ = plain.solve(outside)
    together = np.sum(members, axis=0)
    _hold(
        bool(np.max(plain.violation(together)) <= _CLOSE),
        f"{what}: a sum of members is outside by {plain.violation(together)}",
    )
    for s in (outside, together, projection):
        # Homogeneous, but for the rounding of numbers that should be 0.
        np.testing.assert_allclose(
            plain.violation(1000.0 * s),
            1000.0 * plain.violation(s),
            rtol=1e-9,
            atol=1e-9 * 1000.0,
            err_msg=f"{what}: violation() is not homogeneous",
        )
    sizes = [np.abs(part) for part in plain.split(outside)]
    relative, larger = (
        cone.relative_violation(plain.split(k * outside), [k * size for size in sizes])
        for k in (1.0, 1000.0)
    )
    _hold(
        relative > 0.0 and bool(np.isclose(relative, larger)),
        f"{what}: relative_violation() is {relative} outside, {larger} in another unit",
    )


def _check_multipliers(
    projection: _Projection, members: Sequence[FloatArray], p: FloatArray
) -> None:
    """2 (x − p) = A'w with w'(Ax + c) = 0 and w'y ≥ 0 for members y."""
    cone, what = projection.cone, projection.what
    x, by_part = projection.solve(p)
    names = list(cone.part_names)
    _hold(
        len(by_part) == len(projection.parts) and list(by_part)[: len(names)] == names,
        f"{what}: the multipliers are of the parts {list(by_part)}",
    )
    w = np.concatenate([np.atleast_1d(np.asarray(numbers)) for numbers in by_part.values()])
    gradient = w if projection.A is None else projection.A.T @ w
    np.testing.assert_allclose(
        gradient,
        2.0 * (x - p),
        atol=_CLOSE,
        err_msg=f"{what}: the multipliers are not the gradient of ‖x − p‖²",
    )
    _hold(
        bool(abs(w @ projection.image(x)) <= _CLOSE),
        f"{what}: the multipliers are not orthogonal to the projection",
    )
    _hold(
        min(float(w @ member) for member in members) >= -_CLOSE,
        f"{what}: the multipliers are outside of the dual cone",
    )


def _check_realisations(projection: _Projection, rng: np.random.Generator) -> None:
    cone, what, program = projection.cone, projection.what, projection.program
    p = projection.point_outside(rng)
    x, _ = projection.solve(p)
    _hold(cone.takes in needs(program), f"{what}: the program does not need {cone.takes}")
    if SOLVERS["scs"].locate() is not None:
        _same(projection.solve(p, "scs")[0], x, f"{what}: the conic form by scs", _CLOSE_BY_SCS)
    for realisation, (takes, solvers) in _realisations(projection).items():
        make = getattr(program, realisation)
        if not takes:
            said = _refusal(make, ModelError)
            _hold(
                said is not None and cone.name in said,
                f"{what}: {realisation}() should refuse it by a ModelError with its name; {said}",
            )
            continue
        for solver in solvers:
            named = f"{what}: {realisation}() by {solver}"
            try:
                found = _point(program, realisation, solver, x + 0.05)
            except Exception as error:
                raise AssertionError(f"{named} fails: {error}") from error
            _same(found, x, named, 10.0 * _CLOSE)


def _point(program: Program, realisation: str, solver: str, start: FloatArray) -> FloatArray:
    """The solution by one realisation, from a start near it."""
    if realisation == "quadratic":
        return solve_program(program, solver, start={"x": start}).arrays["x"]
    block = getattr(program, realisation)()
    for variable, value in zip(block.x.values(), start.tolist(), strict=True):
        variable.value = value
    SolverFactory(solver).solve(block)
    return np.array([variable.value for variable in block.x.values()])


def _realisations(projection: _Projection) -> dict[str, tuple[bool, list[str]]]:
    """Whether each realisation takes the cone, and which solvers then read it."""
    cone = projection.cone
    quadratic = cone.is_linear or cone.quadratic(*projection.parts) is not None
    smooth = quadratic or type(cone).smooth is not Cone.smooth
    kernel = cone.is_linear or _refusal(projection.program.kernel, ModelError) is None
    by_ipopt = ["casadi_ipopt"]
    return {
        "kernel": (kernel, ["clarabel"]),
        "block": (smooth, ["clarabel", *by_ipopt] if quadratic else by_ipopt),
        "quadratic": (quadratic, by_ipopt),
    }


def _same(found: FloatArray, expected: FloatArray, what: str, close: float) -> None:
    np.testing.assert_allclose(
        found, expected, rtol=0.0, atol=close, err_msg=f"{what} gives another projection"
    )


def _refusal(make: Callable[[], Any], kind: type[Exception]) -> str | None:
    """What an exception of that kind says, None where there is none."""
    try:
        make()
    except kind as error:
        return str(error)
    return None


def _hold(holds: bool, message: str) -> None:
    # Not `assert`, which Python leaves out under -O.
    if not holds:
        raise AssertionError(message)
