"""Semidefinite cones of conic forms, against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from rrp_pyomo.forms.conic import (
    EXPONENTIAL,
    NONNEGATIVE,
    POWER,
    SECOND_ORDER,
    SEMIDEFINITE,
    ZERO,
    Cone,
    ConicForm,
)
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
from rrp_pyomo.solvers.conic.scs import ScsBackend
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.conic.solution import Termination

SOLVERS = {
    "clarabel": (lambda: Session(ClarabelBackend), 1e-6),
    "scs": (lambda: Session(ScsBackend, eps_abs=1e-9, eps_rel=1e-9, max_iters=10**6), 1e-5),
}


@pytest.fixture(params=SOLVERS)
def solver(request: pytest.FixtureRequest) -> tuple[Session, float]:
    make, tolerance = SOLVERS[request.param]
    return make(), tolerance


def upper(matrix: np.ndarray) -> np.ndarray:
    """The upper triangle column by column, off-diagonal entries times √2."""
    d = len(matrix)
    return np.array(
        [matrix[i, j] * (1.0 if i == j else np.sqrt(2.0)) for j in range(d) for i in range(j + 1)]
    )


def full(triangle: np.ndarray) -> np.ndarray:
    """The symmetric matrix of an upper triangle."""
    d = int(np.sqrt(2 * triangle.size))
    matrix, entries = np.zeros((d, d)), iter(triangle)
    for j in range(d):
        for i in range(j + 1):
            matrix[i, j] = matrix[j, i] = next(entries) / (1.0 if i == j else np.sqrt(2.0))
    return matrix


def stated(A: Any, b: np.ndarray, q: np.ndarray, *cones: Cone) -> ConicForm:
    """minimise q'x subject to b − Ax in the cones, without any scaling."""
    k, n = A.shape
    ones = np.ones(k), np.ones(n)
    return ConicForm(None, q, sp.csc_matrix(A), b, cones, 0.0, ones[1], ones[0], 1.0, ())


def symmetric(d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    return root + root.T


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
def test_the_largest_eigenvalue(solver: tuple[Session, float], d: int) -> None:
    """min t with tI − C ⪰ 0: λ_max, and its eigenvectors' projector for a dual."""
    session, tolerance = solver
    for seed in range(3):
        C = symmetric(d, seed)
        values, vectors = np.linalg.eigh(C)
        form = stated(
            -upper(np.eye(d))[:, None],
            -upper(C),
            np.ones(1),
            Cone(SEMIDEFINITE, d * (d + 1) // 2),
        )
        answer = session.solve(form)
        assert answer.termination is Termination.SOLVED
        assert answer.updated == (seed > 0)
        assert answer.objective == pytest.approx(values[-1], abs=tolerance)
        assert answer.dual_objective == pytest.approx(values[-1], abs=tolerance)
        slack = values[-1] * np.eye(d) - C
        assert full(answer.s) == pytest.approx(slack, abs=10 * tolerance)
        projector = np.outer(vectors[:, -1], vectors[:, -1])
        assert full(answer.z) == pytest.approx(projector, abs=1e3 * tolerance)
        assert answer.errors.largest < tolerance


def test_the_nearest_semidefinite_matrix(solver: tuple[Session, float]) -> None:
    """min ‖X − C‖_F over X ⪰ 0: negative eigenvalues are cut off."""
    session, tolerance = solver
    C, size = symmetric(4, 5), 10
    values, vectors = np.linalg.eigh(C)
    positive = (vectors * np.maximum(values, 0.0)) @ vectors.T
    # x = (t, upper triangle of X); its scaling makes the Frobenius norm Euclidean.
    rows = np.vstack([-np.eye(1 + size), np.eye(1 + size)[1:] * -1.0])
    b = np.concatenate([[0.0], -upper(C), np.zeros(size)])
    cones = Cone(SECOND_ORDER, 1 + size), Cone(SEMIDEFINITE, size)
    answer = session.solve(stated(rows, b, np.eye(1 + size)[0], *cones))
    assert full(answer.x[1:]) == pytest.approx(positive, abs=1e-3)  # a norm is flat there
    assert answer.objective == pytest.approx(np.linalg.norm(positive - C), abs=tolerance)


def test_among_all_other_cones(solver: tuple[Session, float]) -> None:
    """Every kind at once, two triangles of one size and one of another; a unit for each."""
    session, tolerance = solver
    matrices = [symmetric(3, 1), symmetric(3, 2), symmetric(2, 3)]
    parts = [  # (cone, rows of what multiplies the part's own variable, constants, optimum)
        (Cone(ZERO, 1), [1.0], [-2.0], 2.0),  # t = 2
        (Cone(NONNEGATIVE, 2), [1.0, 1.0], [-1.0, -3.0], 3.0),  # t ≥ 1, t ≥ 3
        (Cone(SECOND_ORDER, 3), [1.0, 0.0, 0.0], [0.0, 3.0, 4.0], 5.0),  # t ≥ ‖(3, 4)‖
        *(
            (
                Cone(SEMIDEFINITE, len(upper(C))),
                upper(np.eye(len(C))),
                -upper(C),
                np.linalg.eigvalsh(C)[-1],
            )
            for C in matrices
        ),
        (Cone(EXPONENTIAL, 3), [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], np.e),  # t ≥ exp(1)
        (Cone(POWER, 3, alpha=0.5), [1.0, 0.0, 0.0], [0.0, 2.0, 4.0], 8.0),  # √(2t) ≥ 4
    ]
    n = len(parts)
    A = -sp.block_diag([np.reshape(rows, (-1, 1)) for _, rows, _, _ in parts])
    b = np.concatenate([constants for _, _, constants, _ in parts])
    cones = [cone for cone, *_ in parts]
    cones[3:5] = [Cone(SEMIDEFINITE, 6, count=2)]
    answer = session.solve(stated(A, b, np.ones(n), *cones))
    assert answer.termination is Termination.SOLVED
    assert answer.x == pytest.approx([best for *_, best in parts], abs=100 * tolerance)
    assert b - A @ answer.x == pytest.approx(answer.s, abs=100 * tolerance)
    assert A.T @ answer.z == pytest.approx(-np.ones(n), abs=100 * tolerance)


def test_numbers_change_in_a_sparse_matrix(solver: tuple[Session, float]) -> None:
    """Clarabel takes sparse triangles apart; it cannot update them then, and starts anew."""
    session, tolerance = solver
    d = 12
    for seed in range(3):
        rng = np.random.default_rng(seed)
        beside = np.diag(rng.normal(size=d - 1), 1)
        C = np.diag(rng.normal(size=d)) + beside + beside.T
        rows, b = -upper(np.eye(d))[:, None], -upper(C)
        answer = session.solve(stated(rows, b, np.ones(1), Cone(SEMIDEFINITE, b.size)))
        assert answer.termination is Termination.SOLVED
        assert answer.objective == pytest.approx(np.linalg.eigvalsh(C)[-1], abs=10 * tolerance)
