"""Members of sets of means by small conic programs, for sets that have no closed form."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.errors import InfeasibleError, InputError, SolverError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, norm
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

_ACCURACY: Any = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}


def nearest_member(given: Any, point: FloatArray) -> FloatArray:
    """The member of a set with the smallest distance to a point."""
    program = Program("nearest_member")
    z = program.variable("deviation", given.size)
    given.state_member(program, _at(given, z))
    program.minimize(norm(z - (point - given._center) / given._unit))
    return _solved(given, program)


def best_members(given: Any, directions: FloatArray) -> FloatArray:
    """The members of a set with the largest values in some directions, a row each."""
    program = Program("best_member")
    z = program.variable("deviation", given.size)
    given.state_member(program, _at(given, z))
    if len(directions) == 1:
        program.maximize(z @ _normalised(directions[0]))
        return _solved(given, program)[None, :]
    direction = program.parameter("direction", np.zeros(given.size), range(given.size))
    program.maximize(direction @ z)
    found = np.empty(directions.shape)
    for row, d in zip(found, directions, strict=True):
        program.set(direction=_normalised(d))
        row[:] = _solved(given, program)
    return found


def _normalised(direction: FloatArray) -> FloatArray:
    unit: FloatArray = direction / np.linalg.norm(direction)
    return unit


def common_member(parts: tuple[Any, ...]) -> tuple[FloatArray, float]:
    """The point that all sets have when each is inflated about its centre, and by how much.

    The smallest s with a u in every U_k^s = {μ_k + s(μ − μ_k) : μ ∈ U_k}: below 1 where the sets
    have an interior point in common, above 1 where they have no point in common.
    """
    program, first = Program("common_member"), parts[0]
    unit = max(part._unit for part in parts)
    z = program.variable("deviation", first.size)
    s = program.variable("inflation", lower=0.0)
    for part in parts:
        shift = (first._center - part._center) + s * part._center
        part.state_member(program, unit * z + shift, s)
    program.minimize(s)
    try:
        solution = solve_program(program, **_ACCURACY)
    except InfeasibleError:  # flat sets beside each other
        return first._center, np.inf
    return first._center + unit * solution.arrays["deviation"], float(solution.objective)


def _at(given: Any, z: Affine) -> Affine:
    around: Affine = given._unit * z + given._center
    return around


def _solved(given: Any, program: Program) -> FloatArray:
    try:
        solution = solve_program(program, **_ACCURACY)
    except SolverError as error:
        raise InputError(
            f"{given!r} has no {program.name.replace('_', ' ')} ({error}); check that the set is "
            "bounded and that its radii are of the size of its centre"
        ) from error
    found: FloatArray = given._center + given._unit * solution.arrays["deviation"]
    return found
