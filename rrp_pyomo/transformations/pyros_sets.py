"""Sets of :mod:`pyomo.contrib.pyros` as sets of :mod:`rrp_pyomo.uncertainty`."""

from __future__ import annotations

from functools import reduce
from operator import add, and_
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from rrp_pyomo.data.validation import Labels, index_of
from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.uncertainty import (
    Box,
    Budgeted,
    Ellipsoid,
    MeanSet,
    Point,
    Polyhedron,
    Vertices,
)


def is_of_pyros(given: Any) -> bool:
    """Whether it is a set of PyROS, which need not be imported to know."""
    return any(c.__module__.startswith("pyomo.contrib.pyros.") for c in type(given).__mro__)


def from_pyros(given: Any, labels: Labels, name: str) -> MeanSet:
    """The same set with labels; of scenarios, their convex hull, whose worst point is one of them.

    Raises
    ------
    InputError
        A set of another dimension, or an empty one.
    ModelError
        A set without a conversion.
    """
    if given.dim != len(labels):
        raise InputError(
            f"the {type(given).__name__} of {name} has {given.dim} dimensions; expected one for "
            f"each of the {len(labels)} numbers, in the order of the Params"
        )
    for kind in type(given).__mro__:
        if kind.__name__ in _CONVERSIONS:
            found: MeanSet = _CONVERSIONS[kind.__name__](given, labels, name)
            return found
    raise ModelError(
        f"{name} is given a {type(given).__name__} of PyROS, whose support function is not known; "
        f"expected one of {', '.join(_CONVERSIONS)}, or a set of rrp_pyomo.uncertainty"
    )


def _box(given: Any, labels: Labels, name: str) -> MeanSet:
    lower, upper = np.array(given.bounds, float).T
    return Box(_series((lower + upper) / 2, labels), (upper - lower) / 2)


def _cardinality(given: Any, labels: Labels, name: str) -> MeanSet:
    """q₀ + d⁺∘ξ⁺ − d⁻∘ξ⁻, 0 ≤ ξ ≤ 1, Σ(ξ⁺ + ξ⁻) ≤ Γ."""
    n, gamma = len(labels), float(given.gamma)
    up = np.array(given.positive_deviation, float)
    down = np.array(given.negative_deviation, float)
    if np.array_equal(up, down):
        return Budgeted(_series(given.origin, labels), up, gamma)
    steps = np.hstack([np.diag(up), -np.diag(down)])
    A = np.vstack([np.eye(2 * n), -np.eye(2 * n), np.ones((1, 2 * n))])
    b = np.concatenate([np.ones(2 * n), np.zeros(2 * n), [gamma]])
    return _image(steps, Polyhedron(np.zeros(2 * n), A, b), given.origin, labels)


def _budget(given: Any, labels: Labels, name: str) -> MeanSet:
    n = len(labels)
    A = np.vstack([np.array(given.budget_membership_mat, float), -np.eye(n)])
    b = np.concatenate([np.array(given.budget_rhs_vec, float), np.zeros(n)])
    return Polyhedron(_series(given.origin, labels), A, b)


def _factor_model(given: Any, labels: Labels, name: str) -> MeanSet:
    """q₀ + Ψξ, −1 ≤ ξ ≤ 1, |Σξ| ≤ βF."""
    F, total = given.number_of_factors, float(given.beta) * given.number_of_factors
    one = np.ones((1, F))
    A = np.vstack([np.eye(F), -np.eye(F), one, -one])
    b = np.concatenate([np.ones(2 * F), [total, total]])
    steps = Box(np.zeros(F), np.ones(F)) if total >= F else Polyhedron(np.zeros(F), A, b)
    return _image(np.array(given.psi_mat, float), steps, given.origin, labels)


def _polyhedron(given: Any, labels: Labels, name: str) -> MeanSet:
    A, b = np.array(given.coefficients_mat, float), np.array(given.rhs_vec, float)
    center = _interior_point(A, b, name)
    return Polyhedron(_series(center, labels), A, np.maximum(b - A @ center, 0.0))


def _interior_point(A: FloatArray, b: FloatArray, name: str) -> FloatArray:
    """The centre of the largest ball inside of {Aq ≤ b}."""
    n = A.shape[1]
    sizes = np.linalg.norm(A, axis=1, keepdims=True)
    bounds = [(None, None)] * n + [(0, 1)]
    found = linprog(-np.eye(n + 1)[n], np.hstack([A, sizes]), b, bounds=bounds)
    if found.x is None:
        raise InputError(f"the PolyhedralSet of {name} is empty; correct its rows")
    center: FloatArray = found.x[:n]
    return center


def _aligned_ellipsoid(given: Any, labels: Labels, name: str) -> MeanSet:
    return Ellipsoid(
        _series(given.center, labels), root=np.diag(np.array(given.half_lengths, float))
    )


def _ellipsoid(given: Any, labels: Labels, name: str) -> MeanSet:
    shape = np.array(given.shape_matrix, float)
    return Ellipsoid(_series(given.center, labels), shape, float(np.sqrt(given.scale)))


def _scenarios(given: Any, labels: Labels, name: str) -> MeanSet:
    points = np.array(given.scenarios, float)
    return Vertices(pd.DataFrame(points, columns=index_of(labels)))


def _intersection(given: Any, labels: Labels, name: str) -> MeanSet:
    if any(part.geometry.name == "DISCRETE_SCENARIOS" for part in given.all_sets):
        return _scenarios(given, labels, name)
    return reduce(and_, (from_pyros(part, labels, name) for part in given.all_sets))


def _product(given: Any, labels: Labels, name: str) -> MeanSet:
    """The sum of the parts, each in its own coordinates."""
    sizes = [part.dim for part in given._all_sets]
    places = np.split(np.eye(len(labels)), np.cumsum(sizes)[:-1], axis=1)
    parts = (from_pyros(part, tuple(range(part.dim)), name) for part in given._all_sets)
    return reduce(
        add, (_image(P, part, None, labels) for P, part in zip(places, parts, strict=True))
    )


def _image(matrix: FloatArray, inner: MeanSet, origin: Any, labels: Labels) -> MeanSet:
    """origin + matrix · inner."""
    image: MeanSet = inner.through(pd.DataFrame(matrix, index_of(labels), list(inner.labels)))
    return image if origin is None else image + Point(_series(origin, labels))


def _series(values: Any, labels: Labels) -> pd.Series:
    return pd.Series(np.array(values, float), index_of(labels))


_CONVERSIONS = {
    "BoxSet": _box,
    "CardinalitySet": _cardinality,
    "BudgetSet": _budget,
    "FactorModelSet": _factor_model,
    "PolyhedralSet": _polyhedron,
    "AxisAlignedEllipsoidalSet": _aligned_ellipsoid,
    "EllipsoidalSet": _ellipsoid,
    "DiscreteScenarioSet": _scenarios,
    "IntersectionSet": _intersection,
    "CartesianProductSet": _product,
}
