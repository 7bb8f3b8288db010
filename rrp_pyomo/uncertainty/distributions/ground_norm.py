"""What it costs to move a scenario: a norm on returns, and the dual one that charges weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.data import Covariance
from rrp_pyomo.data.validation import Labels
from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray, Named, Stack
from rrp_pyomo.modeling import Affine, InCone, norm
from rrp_pyomo.modeling.cones import SECOND_ORDER
from rrp_pyomo.modeling.expressions import repeated_rows
from rrp_pyomo.program import Program


@dataclass(frozen=True, eq=False)
class GroundNorm:
    """‖d‖ of a displacement d of returns: ℓ₁, ℓ₂, ℓ_∞, or Mahalanobis √(d'Σ⁻¹d).

    Weights are charged by the dual norm ‖w‖_*: ℓ_∞, ℓ₂, ℓ₁, or √(w'Σw).

    Parameters
    ----------
    kind : {1, 2, inf} or Covariance

    Raises
    ------
    InputError
        Something else.
    """

    kind: Any

    def __post_init__(self) -> None:
        if not isinstance(self.kind, Covariance) and self.kind not in (1, 2, np.inf):
            raise InputError(
                f"norm is {brief(self.kind)}; expected 1, 2 or inf, or a Covariance for the "
                "Mahalanobis norm"
            )

    @property
    def name(self) -> str:
        """In formulas."""
        if isinstance(self.kind, Covariance):
            return r"\Sigma^{-1}"
        return r"\infty" if self.kind == np.inf else str(int(self.kind))

    @property
    def _root(self) -> FloatArray:
        root = self.kind.root
        return root.toarray() if isinstance(root, Stack) else root

    def length(self, d: FloatArray) -> FloatArray:
        """‖d‖ of each row; infinite outside the range of a singular Σ."""
        if not isinstance(self.kind, Covariance):
            return np.asarray(np.linalg.norm(d, ord=self.kind, axis=-1))
        root = self._root
        z, *_ = np.linalg.lstsq(root.T, d.T, rcond=None)
        missed = np.abs(root.T @ z - d.T).max(axis=0)
        reached = missed <= 1e-9 * np.abs(root).max() * max(1.0, float(np.abs(z).max(initial=0.0)))
        return np.where(reached, np.linalg.norm(z, axis=0), np.inf)

    def dual(self, w: Any) -> Any:
        """‖w‖_* of numbers, or as a convex expression."""
        if not isinstance(w, Affine):
            return float(w @ self.against(w) * -1.0)
        if isinstance(self.kind, Covariance):
            return norm(Named("root", self.kind.root) @ w)
        return norm(w, p={1: np.inf, 2: 2, np.inf: 1}[self.kind])

    def against(self, w: FloatArray) -> FloatArray:
        """The displacement of length 1 that costs weights most: d with −w'd = ‖w‖_*."""
        if not w.any():
            return np.zeros_like(w)
        if isinstance(self.kind, Covariance):
            Sigma_w = self.kind.operator @ w
            return np.asarray(-Sigma_w / np.sqrt(w @ Sigma_w)) if w @ Sigma_w > 0 else 0.0 * w
        if self.kind == 2:
            return np.asarray(-w / np.linalg.norm(w))
        if self.kind == np.inf:
            return np.asarray(-np.sign(w))
        d = np.zeros_like(w)
        j = int(np.abs(w).argmax())
        d[j] = -np.sign(w[j])
        return d

    @property
    def labels(self) -> Labels | None:
        """The assets of a covariance."""
        return self.kind.labels if isinstance(self.kind, Covariance) else None

    def state_within(self, program: Program, d: Affine, length: float) -> None:
        """State ‖d‖ ≤ length for one displacement."""
        name = program.free_name("within")
        if isinstance(self.kind, Covariance):
            z = program.variable(program.free_name("direction"), len(self._root))
            program.subject_to(**{name: d == self._root.T @ z, f"{name}_length": norm(z) <= length})
        else:
            program.subject_to(**{name: norm(d, p=self.kind) <= length})

    def state_rows(self, program: Program, d: list[Affine], length: Affine) -> None:
        """State ‖d_i‖ ≤ length_i for many displacements, given asset by asset."""
        if isinstance(self.kind, Covariance):
            root, k = self._root, len(self._root)
            z = [program.variable(program.free_name("direction"), length.size) for _ in range(k)]
            for j, d_j in enumerate(d):
                moved = sum(root[r, j] * z[r] for r in range(k))
                program.subject_to(**{program.free_name("direction_definition"): d_j == moved})
            _state_norms(program, z, length, 2)
        else:
            _state_norms(program, d, length, self.kind)

    def state_dual_rows(self, program: Program, v: list[Affine], bound: Affine) -> None:
        """State ‖v_i‖_* ≤ bound for many vectors, given asset by asset."""
        length = repeated_rows(bound, v[0].size)
        if isinstance(self.kind, Covariance):
            rows = [sum(c * v_j for c, v_j in zip(row, v, strict=True)) for row in self._root]
            _state_norms(program, rows, length, 2)
        else:
            _state_norms(program, v, length, {1: np.inf, 2: 2, np.inf: 1}[self.kind])


def _state_norms(program: Program, v: Sequence[Affine], length: Affine, p: float) -> None:
    """‖v_i‖_p ≤ length_i, row by row."""
    name = program.free_name("norm")
    if p == 2:
        program.subject_to(**{name: InCone((length, *v), SECOND_ORDER)})
        return
    bounds = [length] * len(v)
    if p == 1:
        N = length.size
        sizes = [program.variable(program.free_name("size"), N, lower=0.0) for _ in v]
        program.subject_to(**{name: sum(sizes[1:], sizes[0]) <= length})
        bounds = list(sizes)
    for v_j, bound in zip(v, bounds, strict=True):
        program.subject_to(
            **{
                program.free_name("norm_above"): v_j <= bound,
                program.free_name("norm_below"): -v_j <= bound,
            }
        )
