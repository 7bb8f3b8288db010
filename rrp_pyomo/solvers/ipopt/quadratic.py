"""Ipopt on problems whose functions are at most quadratic, as matrix operations.

In the scaled variables x̂ = x / units, with p_k = x̂_{i_k} x̂_{j_k} the distinct products of all rows,

    f = c'x̂ + w'p,    g = A x̂ + S p,    nonzeros of ∇g = a + M x̂,    nonzeros of ∇²L = T (λ_f, λ_g)

with c, w, A, S, a, M and T constant and sparse: every derivative is exact, costs one sparse
product, and nothing is differentiated when the problem is set up.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.ipopt.deferred import casadi
from rrp_pyomo.solvers.ipopt.embedded import NonlinearProblem, NonlinearSolution
from rrp_pyomo.solvers.ipopt.verdict import AROUND, LARGEST

DEFAULTS: dict[str, object] = {
    # The problems that are stated in scaled form are well conditioned: ask for what they can give.
    "tol": 1e-12,
    # Rows that are all active at the solution must not keep 1e-8 of slack.
    "bound_relax_factor": 0.0,
    # A start at the solution must stay there: little push from the bounds, a small barrier, and
    # multipliers that fit it. Much smaller values lose the way from starts that are far off.
    "bound_push": 1e-3,
    "bound_frac": 1e-3,
    "slack_bound_push": 1e-3,
    "slack_bound_frac": 1e-3,
    "mu_init": 1e-4,
    "bound_mult_init_method": "mu-based",
}
"""Ipopt's options for problems with known units and, as a rule, a start near the solution."""


def solve_quadratic_form(
    form: QuadraticForm,
    start: FloatArray,
    options: Mapping[str, object] | None = None,
    time_limit: float | None = None,
    tee: bool = False,
) -> NonlinearSolution:
    """A local minimum of a quadratic form, by Ipopt from ``start``.

    Variables are scaled by their units, the objective and each row by its magnitude at
    x = units; the result is in the form's own units.

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

    Raises
    ------
    UnknownLabelError
        No option of Ipopt has that name.
    InputError
        The option takes a value of another type or range.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo import Program, norm
    >>> from rrp_pyomo.solvers.ipopt import solve_quadratic_form
    >>> program = Program()
    >>> x = program.variable("x", 2, lower=0)
    >>> program.subject_to(total=x.sum() == 1)
    >>> program.minimize(norm(x))
    >>> found = solve_quadratic_form(program.quadratic(), start=np.array([0.5, 0.5, 1.0]))
    >>> round(found.objective, 4), found.status
    (0.7071, 'Solve_Succeeded')
    """
    return solve_scaled(form, None, start, {**DEFAULTS, **(options or {})}, time_limit, tee)


def solve_scaled(
    form: QuadraticForm,
    scale: FloatArray | None,
    start: FloatArray,
    options: Mapping[str, object],
    time_limit: float | None = None,
    tee: bool = False,
) -> NonlinearSolution:
    """As :func:`solve_quadratic_form`, with no options but those given.

    Parameters
    ----------
    scale : (1 + rows,) array or None
        What the objective and each row are multiplied by; None for one over their magnitude.
    """
    began = time.perf_counter()
    scaled = ScaledForm.of(form, scale)
    objective_scale, row_scale = scaled.scale[0], scaled.scale[1:]
    functions, derivatives = scaled.functions()
    problem = NonlinearProblem(
        functions,
        lower=form.lower / form.units,
        upper=form.upper / form.units,
        row_lower=form.row_lower * row_scale,
        row_upper=form.row_upper * row_scale,
        derivatives=derivatives,
    )
    found = problem.solve(start / form.units, options, time_limit, tee)
    x = found.x * form.units
    return dataclasses.replace(
        found,
        x=x,
        row_multipliers=found.row_multipliers * row_scale / objective_scale,
        bound_multipliers=found.bound_multipliers / (form.units * objective_scale),
        objective=objective(form, x),
        evaluate=lambda: found.conditions.unscaled(
            form.units, row_scale, objective_scale
        ).with_objective(objective(form, x), least(form)),
        setup_time=time.perf_counter() - began - found.solve_time,
    )


def balanced(form: QuadraticForm) -> FloatArray:
    """Factors by which the largest coefficients of the objective and of rows are :data:`LARGEST`.

    Unlike slopes at a start, coefficients say something at 0, too. An objective's squares count by
    what they are some way off, for weights are much less than 1.
    """
    largest = np.zeros(1 + form.row_lower.size)
    A = form.A.tocoo()
    row = np.r_[A.row + 1, form.row + 1, np.zeros(form.c.size, np.intp)]
    value = np.where(form.row < 0, AROUND, 1.0) * form.value
    value = value * form.units[form.i] * form.units[form.j]
    value = np.r_[A.data * form.units[A.col], value, form.c * form.units]
    np.maximum.at(largest, row, np.abs(value))
    return np.divide(LARGEST, largest, out=np.ones_like(largest), where=largest > 0.0)


def objective(form: QuadraticForm, x: FloatArray) -> float:
    """The objective of a quadratic form at x."""
    own = form.row < 0
    products = x[form.i[own]] * x[form.j[own]]
    return float(form.constant + form.c @ x + form.value[own] @ products)


def least(form: QuadraticForm) -> float:
    """What an objective of squares cannot be below; −∞ for any other."""
    own = form.row < 0
    squares = (form.i[own] == form.j[own]).all() and (form.value[own] >= 0.0).all()
    return form.constant if squares and not form.c.any() else -np.inf


@dataclass(frozen=True, eq=False)
class ScaledForm:
    """A quadratic form in x̂; row 0 of ``A`` and ``S`` is the objective.

    Attributes
    ----------
    A : (1 + rows, n) csr_matrix
    S : (1 + rows, K) csr_matrix
        The coefficients of the products p_k = x̂_{i_k} x̂_{j_k}.
    i, j : (K,) arrays
        i_k ≤ j_k, each pair once, sorted by j and then i.
    scale : (1 + rows,) array
        What the objective and each row have been multiplied by.
    """

    A: sp.csr_matrix
    S: sp.csr_matrix
    i: IntArray
    j: IntArray
    scale: FloatArray

    @classmethod
    def of(cls, form: QuadraticForm, scale: FloatArray | None) -> ScaledForm:
        """Substitute x = units * x̂ and multiply the rows by their scale."""
        n, rows = form.c.size, form.row_lower.size
        first, last = np.minimum(form.i, form.j), np.maximum(form.i, form.j)
        pair, place = np.unique(last.astype(np.intp) * n + first, return_inverse=True)
        j, i = np.divmod(pair, n)
        value = form.value * (form.units[i] * form.units[j])[place]
        A = sp.vstack([sp.csr_matrix(form.c), form.A]) @ sp.diags_array(form.units)
        S = sp.csr_matrix((value, (form.row + 1, place)), shape=(1 + rows, pair.size))
        if scale is None:
            size = np.asarray(abs(A).sum(axis=1) + abs(S).sum(axis=1)).ravel()
            scale = np.divide(1.0, size, out=np.ones(1 + rows), where=size > 0)
        by_scale = sp.diags_array(scale)
        return cls(sp.csr_matrix(by_scale @ A), sp.csr_matrix(by_scale @ S), i, j, scale)

    def functions(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The problem and its derivatives, as ``casadi.nlpsol`` takes them."""
        rows, n = self.A.shape[0] - 1, self.A.shape[1]
        x, parameters = casadi.MX.sym("x", n), casadi.MX.sym("p", 0)
        lam_f, lam_g = casadi.MX.sym("lam_f"), casadi.MX.sym("lam_g", rows)
        products = x[self.i.tolist(), 0] * x[self.j.tolist(), 0]
        objective, constraints = slice(0, 1), slice(1, None)
        f, g = (
            _times(self.A[part], x) + _times(self.S[part], products)
            for part in (objective, constraints)
        )
        gradient = casadi.densify(self._jacobian(objective, x).T)
        jacobian = self._jacobian(constraints, x)
        hessian = self._hessian(casadi.vertcat(lam_f, lam_g))
        return {"x": x, "f": f, "g": g}, {
            "grad_f": casadi.Function("grad_f", [x, parameters], [f, gradient]),
            "jac_g": casadi.Function("jac_g", [x, parameters], [g, jacobian]),
            "hess_lag": casadi.Function("hess_lag", [x, parameters, lam_f, lam_g], [hessian]),
        }

    def _jacobian(self, part: slice, x: Any) -> Any:
        """The Jacobian of some rows, whose nonzeros are a + M x̂.

        A product v x̂_i x̂_j adds v x̂_j to column i and v x̂_i to column j.
        """
        A, S = self.A[part].tocoo(), self.S[part].tocoo()
        rows, n = A.shape
        i, j = self.i[S.col], self.j[S.col]
        col, row = np.concatenate([A.col, i, j]), np.concatenate([A.row, S.row, S.row])
        pattern, place = _pattern(row, col, (rows, n))
        a = np.bincount(place[: A.nnz], A.data, pattern.nnz())
        M = sp.csc_matrix(
            (np.tile(S.data, 2), (place[A.nnz :], np.concatenate([j, i]))), (pattern.nnz(), n)
        )
        return casadi.MX(pattern, casadi.DM(a.tolist()) + _times(M, x))

    def _hessian(self, multipliers: Any) -> Any:
        """The upper triangle of the Lagrangian's Hessian; x̂_i x̂_j adds 1 to it, x̂_i² adds 2."""
        n = self.A.shape[1]
        pattern, _ = _pattern(self.i, self.j, (n, n))
        T = sp.diags_array(np.where(self.i == self.j, 2.0, 1.0)) @ self.S.T
        return casadi.MX(pattern, _times(T, multipliers))


def _pattern(row: IntArray, col: IntArray, shape: tuple[int, int]) -> tuple[Any, IntArray]:
    """A sparsity pattern and each entry's place among its nonzeros, column by column."""
    key, place = np.unique(col.astype(np.intp) * shape[0] + row, return_inverse=True)
    col, row = np.divmod(key, max(shape[0], 1))
    starts = np.searchsorted(col, np.arange(shape[1] + 1))
    # CasADi takes lists ten times faster than arrays.
    return casadi.Sparsity(*shape, starts.tolist(), row.tolist()), place


def _times(matrix: sp.spmatrix, x: Any) -> Any:
    """The product of a constant sparse matrix with a CasADi vector, dense."""
    csc = sp.csc_matrix(matrix)
    csc.sort_indices()
    pattern = casadi.Sparsity(*csc.shape, csc.indptr.tolist(), csc.indices.tolist())
    constant = casadi.DM(pattern, csc.data.tolist())
    return casadi.densify(casadi.mtimes(constant, x))
