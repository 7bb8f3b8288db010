"""What an answer to a program with uncertain data is robust against, and whether it is a saddle.

A robust objective is convex in the variables and affine in the data, and the sets are convex and
compact: the smallest worst case is the worst smallest value, and the robust optimum is the optimum
of the program in which the worst elements are fixed (Halldórsson & Tütüncü 2003, An interior-point
method for a class of saddle-point problems). Where several elements are worst, such as those of a
box at a weight of 0, only some of them make the point optimal: those of which the multipliers of
the directions speak.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.optimize

from rrp_pyomo.data import Covariance
from rrp_pyomo.errors import InputError, ModelError, RiskParityError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite
from rrp_pyomo.modeling.counterpart import OBJECTIVE, Place, places, rewritten
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.modeling.terms import norm
from rrp_pyomo.modeling.terms.worst_case import UncertainMean, WorstCase
from rrp_pyomo.program import Program
from rrp_pyomo.solve.conic import solve_conic
from rrp_pyomo.solve.solution import ProgramSolution, UnknownNameError
from rrp_pyomo.solve.table import find_solver

# Directions that differ by this much, relative to their size, may be one to a solver.
_NEAR = 3e-5
# By how much directions are turned to find other worst elements: no more than needed.
_TURNED = 1e-6
# How much of a set's width two worst elements differ by where there are several.
_JUMP = 1e-3
# When a gradient is that of the multipliers, relative to its size, and after how many elements not.
_MATCHED, _MOST_MIXED = 1e-8, 200
# How much the sum of weights counts beside the coordinates of a target.
_SUM_WEIGHT = 1e3
# Multipliers below this part of the largest one are those of rows that do not bind.
_BINDING = 1e-6


class WorstElements(Mapping[Any, Any]):
    """The elements that an answer is robust against, by name of the uncertain data.

    Where one name stands in several worst cases, each has the key ``(name, constraint)``, or
    ``(name, "objective")``, too; with a number behind it where there are several in one place.

    Parameters
    ----------
    places : list of (str, str)
        The name of each worst case's data, and where it stands.
    elements : list
        The element that attains each of them.
    """

    def __init__(self, places: list[tuple[str, str]], elements: list[Any]) -> None:
        self.elements = elements
        self._by_key: dict[Any, Any] = {}
        self._ambiguous: dict[str, list[Any]] = {}
        for name in dict.fromkeys(name for name, _ in places):
            at = [k for k, (own, _) in enumerate(places) if own == name]
            own = [elements[k] for k in at]
            same = all(_same(own[0], other) for other in own[1:])
            if same:
                self._by_key[name] = own[0]
            if len(own) > 1:
                keys = [_key(places, k) for k in at]
                self._by_key |= dict(zip(keys, own, strict=True))
                if not same:
                    self._ambiguous[name] = keys

    def __getitem__(self, key: Any) -> Any:
        if key in self._by_key:
            return self._by_key[key]
        if key in self._ambiguous:
            raise InputError(
                f"{key!r} stands in several worst cases, whose elements differ; pass one of "
                f"{', '.join(map(repr, self._ambiguous[key]))}"
            )
        raise UnknownNameError("worst case", key, self._by_key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    def __repr__(self) -> str:
        return f"WorstElements({', '.join(map(str, self._by_key))})"


def _key(places: list[tuple[str, str]], k: int) -> tuple[Any, ...]:
    place = places[k]
    if places.count(place) == 1:
        return place
    return *place, places[: k + 1].count(place)


def _same(a: Any, b: Any) -> bool:
    """Whether two elements are one to as many digits as solvers have."""
    one, other = (_numbers(element) for element in (a, b))
    return a is b or (
        one is not None and other is not None and np.allclose(one, other, rtol=1e-7, atol=0.0)
    )


def _numbers(element: Any) -> FloatArray | None:
    """The numbers of a mean or a covariance; None for a distribution."""
    if isinstance(element, pd.Series):
        return element.to_numpy()
    return element.matrix().to_numpy() if isinstance(element, Covariance) else None


def worst_elements(statement: Program, x: FloatArray) -> WorstElements:
    """The elements that a point of a program is robust against, computed from the sets.

    Where several are worst, the one, or the mixture, that the multipliers say.
    """
    found = places(statement)
    elements = [place.term.worst(x) for place in found]
    tied = [k for k, place in enumerate(found) if not _is_only_one(place.term, x, elements[k])]
    targets = _of_multipliers(statement, found) if tied else {}
    for k in tied:
        # A row that does not bind says nothing: the element of another place may attain it, too.
        same = (j for j in targets if found[j].term.data is found[k].term.data)
        j = k if k in targets else next(same, None)
        if j is not None:
            matching = _nearest if isinstance(found[k].term.of, UncertainMean) else _mixture
            elements[k] = matching(found[k].term, x, elements[k], targets[j])
    names = [(place.term.data.name, place.where) for place in found]
    return WorstElements(names, elements)


def _is_only_one(term: WorstCase, x: FloatArray, element: Any) -> bool:
    """Whether the worst element moves no more than smoothly when its direction turns a little.

    Ten times less of a turn moves it ten times less then; what jumps moves as far, or not at all.
    """
    of, direction = term.of, term.of.direction.value(x)
    turn = np.random.default_rng(0).standard_normal(direction.size)
    near = _NEAR * _size(direction) * turn

    def moved(a: FloatArray, b: Any) -> float:
        difference = of.gradient(of.worst(a, term.side), a) - b
        return float(np.abs(difference).max())

    known = of.gradient(element, direction)
    far = max(moved(direction + near, known), moved(direction - near, known))
    if far <= _JUMP * moved(turn, known):
        return True
    less = max(moved(direction + 0.1 * near, known), moved(direction - 0.1 * near, known))
    return 0.02 * far < less < 0.5 * far


def _size(direction: FloatArray) -> float:
    return float(np.abs(direction).max()) or 1.0


def _of_multipliers(statement: Program, found: list[Place]) -> dict[int, FloatArray]:
    """The worst means by the multipliers of their directions, each a variable of its own.

    A shift s of the direction d of c · worst_case(u'd) changes the optimum by c u's times the
    multiplier of the row, which is 1 for the objective.
    """
    definitions: list[str | None] = []

    def over_variables(term: WorstCase) -> Any:
        direction = term.of.direction
        program = direction.program
        if program is None:
            definitions.append(None)
            return term.of.largest(term.side)
        labels = direction.labels or direction.size
        unit = direction.magnitude
        v = program.define(program.free_name("direction"), direction, labels, unit=unit)
        definitions.append(f"{v.name}_definition")
        return term.of.towards(v).largest(term.side)

    try:
        duals = _solved(rewritten(statement, over_variables)).duals or {}
    except RiskParityError:
        return {}
    charged = [
        float(np.ravel(place.weighted.numbers)[0])
        * (1.0 if place.where == OBJECTIVE else -duals.get(place.where, 0.0))
        for place in found
    ]
    binding = _BINDING * max(map(abs, charged))
    return {
        k: np.ravel(duals[name]) / by
        for k, (by, name) in enumerate(zip(charged, definitions, strict=True))
        if name is not None and abs(by) > binding
    }


def _nearest(term: WorstCase, x: FloatArray, known: pd.Series, target: FloatArray) -> pd.Series:
    """The mean nearest to a target among those that attain a worst case."""
    members = term.data.members
    direction = term.side * term.of.direction.value(x)
    width = float(np.abs(known - members.worst(-direction)).max())
    if not (width > 0.0 and np.isfinite(target).all()):
        return known
    program = Program("worst_element")
    u = program.variable("u", members.labels, unit=width)
    members.state_member(program, u)
    # At a solver's point elements miss a little of the worst case that attain it at the optimum.
    missed = program.variable("missed", lower=0.0)
    program.minimize(norm((u - target) / width) + missed)
    size = width * float(np.abs(direction).sum())
    attained = (direction / size) @ u + missed * _NEAR
    program.subject_to(attains=attained >= (direction @ known.to_numpy()) / size)
    try:
        found: pd.Series = _solved(program).values["u"]
    except RiskParityError:
        return known
    return found.rename(str(known.name))


def _mixture(term: WorstCase, x: FloatArray, known: Any, target: FloatArray) -> Any:
    """The mixture of worst elements whose gradient is nearest to that of the multipliers.

    Wolfe's (1976) algorithm for the nearest point in a polytope of gradients: the worst element of
    a direction turned towards what is missing is the one that has most of it.
    """
    of, direction = term.of, term.of.direction.value(x)
    elements, gradients = [known], [of.gradient(known, direction)]
    size = float(np.abs(target).max()) or 1.0
    weights = np.ones(1)
    for _ in range(_MOST_MIXED):
        missing = target - weights @ np.array(gradients)
        largest = float(np.abs(missing).max())
        if largest <= _MATCHED * size:
            break
        turned = direction + _TURNED * _size(direction) * (missing / largest)
        other = of.worst(turned, term.side)
        gradient = of.gradient(other, turned)
        if missing @ gradient <= np.max(np.array(gradients) @ missing) + _MATCHED * size * largest:
            break
        elements.append(other)
        gradients.append(gradient)
        weights = _simplex_weights(np.array(gradients).T / size, target / size)
    kept = np.flatnonzero(weights > 0.0)
    if kept.size == 1:
        return elements[kept[0]]
    return of.mixture(weights[kept], [elements[k] for k in kept])


def _simplex_weights(points: FloatArray, target: FloatArray) -> FloatArray:
    """The weights of the columns whose mean is nearest to a target."""
    weights, _ = scipy.optimize.nnls(
        np.vstack([points, np.full((1, points.shape[1]), _SUM_WEIGHT)]),
        np.append(target, _SUM_WEIGHT),
    )
    return np.asarray(weights / weights.sum())


def saddle_gap(statement: Program, x: FloatArray, worst: WorstElements) -> float:
    """How far a point is from a saddle point, relative to the size of the objective.

    The difference of the robust objective there and the optimum of the program in which the worst
    elements are fixed, both computed from the data: 0 at the optimum, positive elsewhere; infinite
    where the fixed program has no optimum. Fixed elements make constraints weaker, too, so that
    this optimum is never worse than the robust one.

    Raises
    ------
    ModelError
        The program has integers: their best values against fixed elements may be others.
    """
    if any(v.domain != "continuous" for v in statement.variables.values()):
        raise ModelError(
            f"{statement.name!r} has integers, and no saddle point proves them: look at "
            "objective_bound"
        )
    elements = iter(worst.elements)
    fixed = rewritten(statement, lambda term: term.of.at(next(elements)))
    robust = float(statement.objective.value(x)[0])
    try:
        best = _solved(fixed).objective
    except InputError:
        raise
    except RiskParityError:
        return np.inf
    scale = max(abs(robust), abs(best), *_sizes(statement, x)) or 1.0
    return (best - robust if statement.maximizing else robust - best) / scale


def _sizes(statement: Statement, x: FloatArray) -> list[float]:
    """The sizes of the terms of an objective at a point."""
    body = statement.objective
    terms = body.terms if isinstance(body, Composite) else ()
    return [float(np.sum(np.abs(w.numbers * w.term.value(x)))) for w in terms]


def _solved(program: Program) -> ProgramSolution:
    entry = find_solver("clarabel")
    found = entry.require()
    return solve_conic(program, entry, f"clarabel {found.version}", 1e-6, None, False, {})
