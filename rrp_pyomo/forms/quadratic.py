"""The form that nonlinear solvers get: everything at most quadratic, as sparse triplets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.linalg import FloatArray

IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class QuadraticForm:
    """A problem whose functions are at most quadratic, convex or not.

        minimise    constant + c'x + Σ_k v_k x_{i_k} x_{j_k}               (k with row −1)
        subject to  row_lower ≤ A x + Σ_k v_k x_{i_k} x_{j_k} ≤ row_upper   (k with row r ≥ 0)
                    lower ≤ x ≤ upper

    Attributes
    ----------
    c, lower, upper : (n,) arrays
    constant : float
    A : (rows, n) csr_matrix
    row_lower, row_upper : (rows,) arrays
        Infinite where there is no bound.
    row, i, j, value : arrays of one length
        The quadratic terms; (i, j) in any order, repeated terms add up.
    units : (n,) array
        Typical magnitude of each variable: a solver may work in x / units.

    Examples
    --------
    What Ipopt gets: x'x ≤ t² as a quadratic row beside a linear one.

    >>> from rrp_pyomo import Program, norm
    >>> program = Program()
    >>> x = program.variable("x", 2, lower=0)
    >>> program.subject_to(total=x.sum() == 1)
    >>> program.minimize(norm(x))
    >>> form = program.quadratic()
    >>> form.A.shape, form.value.tolist()
    ((2, 3), [1.0, 1.0, -1.0])
    """

    c: FloatArray
    constant: float
    A: sp.csr_matrix
    row_lower: FloatArray
    row_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    row: IntArray
    i: IntArray
    j: IntArray
    value: FloatArray
    units: FloatArray
