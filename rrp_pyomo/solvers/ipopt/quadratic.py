"""Ipopt on problems whose functions are at most quadratic, as matrix operations.

In the scaled variables x̂ = x / units, with p_k = x̂_{i_k} x̂_{j_k} the distinct products of all rows,

    f = c'x̂ + w'p,    g = A x̂ + S p,    nonzeros of ∇g = a + M x̂,    nonzeros of ∇²L = T (λ_f, λ_g)

with c, w, A, S, a, M and T constant and sparse: every derivative is exact, costs one sparse product,
and nothing is differentiated when the problem is set up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import casadi
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.modeling.quadratic import QuadraticForm

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class NonlinearSolution:
    """Where Ipopt stopped, in the units of the problem as it was stated.

    Attributes
    ----------
    x : (n,) array
    row_multipliers : (rows,) array
    bound_multipliers : (n,) array
        λ and z of the stationarity condition ∇f(x) + ∇g(x)'λ + z = 0; positive where an upper bound
        is active, negative where a lower one is.
    objective : float
    status : str
        Ipopt's own word, such as ``"Solve_Succeeded"``.
    iterations : int
    setup_time, solve_time : float
        Seconds before and inside Ipopt.
    """

    x: FloatArray
    row_multipliers: FloatArray
    bound_multipliers: FloatArray
    objective: float
    status: str
    iterations: int
    setup_time: float
    solve_time: float


DEFAULTS: dict[str, object] = {
    "tol": 1e-10,
}


def solve_quadratic_form(
    form: QuadraticForm,
    start: FloatArray,
    options: Mapping[str, object] | None = None,
    time_limit: float | None = None,
    tee: bool = False,
) -> NonlinearSolution:
    """Minimise with Ipopt from ``start``.

    Parameters
    ----------
    form : QuadraticForm
    start : (n,) array
    options : mapping, optional
        Ipopt's options by name; they take precedence over :data:`DEFAULTS`.
    time_limit : float, optional
        Seconds of wall-clock time.
    tee : bool
        Print Ipopt's log.
    """
    began = time.perf_counter()
    scaled = _ScaledForm.of(form)
    problem, derivatives = scaled.functions()
    ipopt = {**DEFAULTS, **(options or {})}
    if time_limit is not None:
        ipopt["max_wall_time"] = time_limit
    solver = nlpsol(problem, ipopt, tee, derivatives)
    built = time.perf_counter()
    row_scale = scaled.scale[1:]
    with np.errstate(invalid="ignore"):
        point = solver(
            x0=start / form.units,
            lbx=form.lower / form.units,
            ubx=form.upper / form.units,
            lbg=form.row_lower * row_scale,
            ubg=form.row_upper * row_scale,
        )
    stats = solver.stats()
    x = np.array(point["x"]).ravel() * form.units
    return NonlinearSolution(
        x=x,
        row_multipliers=np.array(point["lam_g"]).ravel() * row_scale / scaled.scale[0],
        bound_multipliers=np.array(point["lam_x"]).ravel() / (form.units * scaled.scale[0]),
        objective=objective(form, x),
        status=stats["return_status"],
        iterations=stats["iter_count"],
        setup_time=built - began,
        solve_time=time.perf_counter() - built,
    )


def objective(form: QuadraticForm, x: FloatArray) -> float:
    """The objective at x, unscaled."""
    mine = form.row < 0
    products = x[form.i[mine]] * x[form.j[mine]]
    return float(form.constant + form.c @ x + form.value[mine] @ products)


def nlpsol(
    problem: Mapping[str, object],
    ipopt: Mapping[str, object],
    tee: bool,
    derivatives: Mapping[str, casadi.Function] | None = None,
) -> casadi.Function:
    """CasADi's Ipopt for a problem, silent unless asked."""
    settings = {"print_level": 5 if tee else 0, "sb": "yes", **ipopt}
    return casadi.nlpsol(
        "ipopt",
        "ipopt",
        problem,
        {
            "ipopt": settings,
            "print_time": False,
            "show_eval_warnings": False,
            # Without these CasADi differentiates the problem itself, for the multipliers' sake.
            "no_nlp_grad": derivatives is not None,
            **(derivatives or {}),
        },
    )


@dataclass(frozen=True, eq=False)
class _ScaledForm:
    """A quadratic form in x̂; row 0 of ``A`` and ``S`` is the objective.

    Attributes
    ----------
    A : (1 + rows, n) csr_matrix
    S : (1 + rows, K) csc_matrix
        The coefficients of the products p_k = x̂_{i_k} x̂_{j_k}.
    i, j : (K,) arrays
        i_k ≤ j_k, each pair once, in the order of a column-major upper triangle.
    scale : (1 + rows,) array
        What the objective and each row have been multiplied by.
    """

    A: sp.csr_matrix
    S: sp.csc_matrix
    i: IntArray
    j: IntArray
    scale: FloatArray

    @classmethod
    def of(cls, form: QuadraticForm) -> _ScaledForm:
        """Substitute x = units * x̂ and divide every row by its magnitude at x̂ = 1."""
        n, rows = form.c.size, form.row_lower.size
        first, last = np.minimum(form.i, form.j), np.maximum(form.i, form.j)
        pair, place = np.unique(last * n + first, return_inverse=True)
        j, i = np.divmod(pair, n)
        value = form.value * (form.units[i] * form.units[j])[place]
        A = sp.vstack([sp.csr_matrix(form.c), form.A]) @ sp.diags(form.units)
        S = sp.csc_matrix((value, (form.row + 1, place)), shape=(1 + rows, pair.size))
        size = np.asarray(abs(A).sum(axis=1) + abs(S).sum(axis=1)).ravel()
        scale = np.divide(1.0, size, out=np.ones(1 + rows), where=size > 0)
        return cls(sp.diags(scale) @ A, (sp.diags(scale) @ S).tocsc(), i, j, scale)

    def functions(self) -> tuple[dict[str, casadi.MX], dict[str, casadi.Function]]:
        """The problem, and its exact derivatives for ``casadi.nlpsol``."""
        rows, n = self.A.shape[0] - 1, self.A.shape[1]
        x, p = casadi.MX.sym("x", n), casadi.MX.sym("p", 0)
        lam_f, lam_g = casadi.MX.sym("lam_f"), casadi.MX.sym("lam_g", rows)
        products = x[self.i.tolist()] * x[self.j.tolist()]
        f = _times(self.A[:1], x) + _times(self.S[:1], products)
        g = _times(self.A[1:], x) + _times(self.S[1:], products)

        gradient, a, M = self._jacobian(slice(0, 1))
        gradient_f = casadi.densify(casadi.MX(gradient, a + _times(M, x)).T)
        pattern, a, M = self._jacobian(slice(1, None))
        jacobian = casadi.MX(pattern, a + _times(M, x))

        T = sp.diags(np.where(self.i == self.j, 2.0, 1.0)) @ self.S.T
        pattern = _sparsity(sp.csc_matrix((np.ones(self.i.size), (self.i, self.j)), shape=(n, n)))
        hessian = casadi.MX(pattern, _times(T, casadi.vertcat(lam_f, lam_g)))
        return {"x": x, "f": f, "g": g}, {
            "grad_f": casadi.Function("grad_f", [x, p], [f, gradient_f]),
            "jac_g": casadi.Function("jac_g", [x, p], [g, jacobian]),
            "hess_lag": casadi.Function("hess_lag", [x, p, lam_f, lam_g], [hessian]),
        }

    def _jacobian(self, part: slice) -> tuple[casadi.Sparsity, casadi.DM, sp.csc_matrix]:
        """Pattern, a and M of the Jacobian of some rows: its nonzeros are a + M x̂.

        A product v x̂_i x̂_j adds v x̂_j to column i and v x̂_i to column j.
        """
        A, S = self.A[part].tocoo(), self.S[part].tocoo()
        rows, n = A.shape
        i, j = self.i[S.col], self.j[S.col]
        key = np.concatenate([A.col * rows + A.row, i * rows + S.row, j * rows + S.row])
        key, place = np.unique(key, return_inverse=True)
        of_A, of_S = place[: A.nnz], place[A.nnz :]
        a = np.zeros(key.size)
        np.add.at(a, of_A, A.data)
        M = sp.csc_matrix((np.tile(S.data, 2), (of_S, np.concatenate([j, i]))), shape=(key.size, n))
        col, row = np.divmod(key, max(rows, 1))
        pattern = sp.csc_matrix((np.ones(key.size), (row, col)), shape=(rows, n))
        return _sparsity(pattern), casadi.DM(a.tolist()), M


def _sparsity(matrix: sp.csc_matrix) -> casadi.Sparsity:
    """A matrix's pattern; lists, since CasADi takes them ten times faster than arrays."""
    return casadi.Sparsity(*matrix.shape, matrix.indptr.tolist(), matrix.indices.tolist())


def _times(matrix: sp.spmatrix, x: casadi.MX) -> casadi.MX:
    """The product of a constant sparse matrix with a vector, dense."""
    matrix = sp.csc_matrix(matrix)
    matrix.sort_indices()
    constant = casadi.DM(_sparsity(matrix), matrix.data.tolist())
    return casadi.densify(casadi.mtimes(constant, x))
