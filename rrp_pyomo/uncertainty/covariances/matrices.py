"""Matrices that sets of covariances are made of: given, judged, kept positive semidefinite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data import Covariance, DenseCovariance, FactorCovariance
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.data.definite import symmetric
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    agreed_labels,
    as_floats,
    labels_of,
    require_shape,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.uncertainty.base import sample_size


def as_covariance(value: Covariance | Matrix, name: str = "center") -> Covariance:
    """A covariance as it is, a matrix as a dense one."""
    if isinstance(value, Covariance):
        return value
    try:
        return DenseCovariance(value)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def as_symmetric(value: Covariance | Matrix, labels: Labels, name: str) -> FloatArray:
    """A symmetric matrix over these assets, which need not be positive semidefinite."""
    matrix = value.matrix() if isinstance(value, Covariance) else value
    array, n = as_floats(matrix, name, 2), len(labels)
    require_shape(array, (n, n), name, f"{n} assets")
    rows, columns = labels_of(matrix), labels_of(matrix, 1)
    agreed_labels("asset", n, center=labels, **{name: rows, f"{name}_columns": columns})
    return symmetric(array, labels, name)


def entries_of(element: Covariance | Matrix, labels: Labels) -> FloatArray:
    """The entries of a covariance or matrix, in the order of these labels."""
    if isinstance(element, Covariance):
        if element.labels != labels and set(element.labels) == set(labels):
            element = element.select(labels)
        agreed_labels("asset", len(labels), set=labels, element=element.labels)
        return multiplied_out(element.operator)
    if isinstance(element, pd.DataFrame) and set(element.index) == set(labels):
        element = element.loc[list(labels), list(labels)]
    return as_symmetric(element, labels, "element")


def correlated(matrix: FloatArray) -> FloatArray:
    """The matrix on the scale of correlations, where rounding errors have one size."""
    deviations = np.sqrt(np.abs(matrix.diagonal()))
    deviations = np.where(deviations > 0.0, deviations, deviations.max() or 1.0)
    scaled: FloatArray = matrix / deviations / deviations[:, None]
    return scaled


def is_semidefinite(matrix: FloatArray, tolerance: float = 1e-12) -> bool:
    """Whether a symmetric matrix is positive semidefinite, to a tolerance as correlations."""
    values = np.linalg.eigvalsh(correlated(matrix))
    return bool(values[0] >= -tolerance * max(1.0, values[-1]))


def is_definite(matrix: FloatArray) -> bool:
    """Whether a symmetric matrix is positive definite by more than rounding."""
    return bool(np.linalg.eigvalsh(correlated(matrix))[0] > 1e-9)


def reach(center: FloatArray, deviation: FloatArray) -> float:
    """The largest t ≤ 1 for which center + t · deviation is positive semidefinite."""
    if is_semidefinite(center + deviation, 0.0):
        return 1.0
    if not is_definite(center):  # which few directions do not leave
        shares = 0.5 ** np.arange(40)
        return next((t for t in shares if is_semidefinite(center + t * deviation)), 0.0)
    L = np.linalg.cholesky(center)
    inner = np.linalg.solve(L, np.linalg.solve(L, deviation).T)
    least = float(np.linalg.eigvalsh(0.5 * (inner + inner.T))[0])
    return min(1.0, (1.0 - 1e-12) / -least) if least < 0.0 else 1.0


def plus_outer(center: Covariance, g: FloatArray, scale: float) -> Covariance:
    """Σ + scale · gg'; a factored covariance gets one factor more."""
    if scale == 0.0 or not g.any():
        return center
    if not isinstance(center, FactorCovariance):
        return DenseCovariance(
            multiplied_out(center.operator) + scale * np.outer(g, g), center.labels
        )
    m = len(center.F)
    F = np.zeros((m + 1, m + 1))
    F[:m, :m], F[m, m] = center.F, scale
    taken, name = set(map(str, center.factor_labels)), "worst_direction"
    while name in taken:
        name += "_"
    return FactorCovariance(
        np.vstack([center.V, g]), F, center.D, center.labels, (*center.factor_labels, name)
    )


def plus_diagonal(center: Covariance, increase: float) -> Covariance:
    """Σ + increase · I."""
    if increase == 0.0:
        return center
    if isinstance(center, FactorCovariance):
        return with_parts(center, D=center.D + increase)
    matrix = multiplied_out(center.operator) + increase * np.eye(center.size)
    return DenseCovariance(matrix, center.labels)


def with_parts(center: FactorCovariance, **parts: Any) -> FactorCovariance:
    """A factored covariance with another V, F or D."""
    given = {"V": center.V, "F": center.F, "D": center.D} | parts
    return FactorCovariance(given["V"], given["F"], given["D"], center.labels, center.factor_labels)


def unit_matrix(rng: np.random.Generator, n: int) -> FloatArray:
    """A random symmetric matrix of Frobenius norm 1; every second one is psd and of low rank."""
    if rng.uniform() < 0.5:
        matrix = rng.standard_normal((n, n))
        matrix = matrix + matrix.T
    else:
        g = rng.standard_normal((n, rng.integers(1, 3)))
        matrix = g @ g.T
    unit: FloatArray = matrix / np.linalg.norm(matrix)
    return unit


def sampled(
    center: Covariance, rng: np.random.Generator, size: int, deviation: Callable[[], FloatArray]
) -> list[Covariance]:
    """Members of a set that deviations span: as far as they are psd, and between."""
    nominal = multiplied_out(center.operator)
    members: list[Covariance] = []
    for _ in range(sample_size(rng, size)):
        change = deviation()
        step = reach(nominal, change) * np.sqrt(rng.uniform())
        members.append(DenseCovariance(nominal + step * change, center.labels))
    return members
