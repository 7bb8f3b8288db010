"""Wasserstein balls of order 1 on a polyhedron: returns that cannot be anywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from rrp_pyomo.data.validation import agreed_labels, index_of, shown
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, Variable, maximum, stack
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.uncertainty.distributions.distribution import Distribution
from rrp_pyomo.uncertainty.distributions.ground_norm import GroundNorm

# Parts of a scenario with less of its mass than this are nothing that a solver moved on purpose.
_NOTHING = 1e-9


class Plan(NamedTuple):
    """How scenarios are split into a part for each piece of the loss, and where the parts move.

    Attributes
    ----------
    masses : list of Variable
        By piece, (N,): what scenario i has in it.
    moves : list of Variable or None
        By piece, (n · N,), asset by asset: mass times displacement; None where the loss is flat.
    gradient : Affine
        Of the expected loss in the weights.
    """

    masses: list[Variable]
    moves: list[Variable | None]
    gradient: Affine


class Supported:
    """Scenarios ξ̂_i in {ξ : Cξ ≤ d}, for losses max_k (a_k L + b_k) with L = −w'ξ.

    Parameters
    ----------
    center : Distribution
    support : Polyhedron

    Raises
    ------
    InputError
        Other assets, or a scenario outside.
    """

    def __init__(self, center: Distribution, support: Any) -> None:
        if not hasattr(support, "A") or not hasattr(support, "b"):
            raise InputError(
                f"support is a {type(support).__name__}; expected a Polyhedron, such as "
                "Polyhedron(center, A, b) for A (ξ − center) <= b"
            )
        n = len(center.labels)
        agreed_labels("asset", n, scenarios=center.labels, support=support.labels)
        self.center = center
        self.C = support.A
        self.slack = support.b - (center.R - support._center) @ self.C.T  # d − Cξ̂_i by scenario
        size = 1.0 + np.abs(self.C).sum(axis=1) * float(np.abs(center.R).max())
        if (self.slack < -1e-9 * size).any():
            i, k = np.argwhere(self.slack < -1e-9 * size)[0]
            raise InputError(
                f"scenario {shown(center.index[i])} is outside of the support, by "
                f"{-self.slack[i, k]:.6g} in row {k}; leave it out, or choose a larger support"
            )
        self.slack = self.slack.clip(min=0.0)
        self._origin = support._center, support.b

    def holds(self, R: FloatArray, tolerance: float) -> bool:
        """Whether all scenarios of a distribution are in the support."""
        middle, b = self._origin
        return bool(((R - middle) @ self.C.T <= b + tolerance * (1.0 + np.abs(b))).all())

    # --- the investor's side --------------------------------------------------------------------

    def piecewise(
        self, w: Affine, radius: float, ground: GroundNorm, slopes: Any, intercepts: Any
    ) -> Any:
        """min λε + Σ p_i max_k (b_k − a_k w'ξ̂_i + γ_ik'(d − Cξ̂_i)), ‖C'γ_ik + a_k w‖_* ≤ λ."""
        program, N = w.program, len(self.center.p)
        k, n = self.C.shape
        price = program.variable(program.free_name("price"), lower=0.0)
        each_row = sp.csr_array(
            (self.slack.ravel(), np.arange(N * k), np.arange(0, N * k + 1, k)), (N, N * k)
        )
        by_asset = [sp.csr_array(sp.kron(sp.identity(N), self.C[:, [j]].T)) for j in range(n)]
        pieces: list[Any] = []
        for slope, intercept in zip(slopes, intercepts, strict=True):
            if slope == 0.0:
                pieces.append(intercept)
                continue
            gamma = program.variable(program.free_name("support"), N * k, lower=0.0)
            rates = [by_asset[j] @ gamma + slope * _entry(w, j) for j in range(n)]
            ground.state_dual_rows(program, rates, price)
            loss = -slope * (Named("R", self.center.R) @ w) + each_row @ gamma + intercept
            pieces.append(loss)
        if len(pieces) == 1:
            return radius * price + self.center.p @ pieces[0]
        return radius * price + self.center.p @ maximum(*pieces)

    # --- the adversary's side -------------------------------------------------------------------

    def state(self, program: Program, radius: float, ground: GroundNorm, slopes: Any) -> Plan:
        """The plans that cost at most ε and stay in the support."""
        N, n = self.center.R.shape
        masses: list[Variable] = []
        moves: list[Variable | None] = []
        lengths: list[Affine] = []
        gradient: Any = np.zeros(n)
        for slope in map(float, slopes):
            mass = program.variable(program.free_name("mass"), N, lower=0.0, unit=1.0 / N)
            masses.append(mass)
            if slope == 0.0:
                moves.append(None)
                continue
            gradient = gradient + (-slope * self.center.R.T) @ mass
            move = program.variable(program.free_name("move"), n * N, unit=radius)
            moves.append(move)
            by_asset = [move[j * N : (j + 1) * N] for j in range(n)]
            length = program.variable(program.free_name("length"), N, lower=0.0, unit=radius)
            lengths.append(length)
            ground.state_rows(program, by_asset, length)
            for row, room in zip(self.C, self.slack.T, strict=True):
                used = sum(c * by_asset[j] for j, c in enumerate(row) if c)
                program.subject_to(**{program.free_name("inside"): used <= room * mass})
            total = sp.csr_array(sp.kron(sp.identity(n), np.ones((1, N))))
            gradient = gradient - slope * (total @ move)
        scenario = sum(masses[1:], masses[0]) == self.center.p
        program.subject_to(scenario=scenario, cost=stack(*lengths).sum() <= radius)
        return Plan(masses, moves, gradient)

    def worst(
        self, w: FloatArray, radius: float, ground: GroundNorm, slopes: Any, alpha: float
    ) -> Distribution:
        """The distribution of the largest risk, its second piece being the tail of mass α."""
        program = Program("adversary")
        plan = self.state(program, radius, ground, slopes)
        program.subject_to(tail_mass=plan.masses[1].sum() == alpha)
        program.maximize(plan.gradient @ w * (1.0 / self._size(w, slopes)))
        return self._read(plan, solve_program(program).arrays, radius, ground)

    def value(
        self, w: FloatArray, radius: float, ground: GroundNorm, slopes: Any, intercepts: Any
    ) -> float:
        """sup E[max_k (a_k L + b_k)]."""
        program = Program("adversary")
        plan = self.state(program, radius, ground, slopes)
        total = plan.gradient @ w
        for mass, b in zip(plan.masses, intercepts, strict=True):
            total = total + float(b) * mass.sum()
        program.maximize(total * (1.0 / self._size(w, slopes)))
        found = self._read(plan, solve_program(program).arrays, radius, ground)
        losses = np.outer(-(found.R @ w), slopes) + intercepts
        return float(found.p @ losses.max(axis=1))

    def _size(self, w: FloatArray, slopes: Any) -> float:
        return float(np.abs(self.center.R @ w).max() * max(slopes)) or 1.0

    def _read(self, plan: Plan, arrays: Any, radius: float, ground: GroundNorm) -> Distribution:
        """The scenarios of a solved plan, at a cost of at most ε.

        Where parts are next to nothing, the other takes them.
        """
        N, n = self.center.R.shape
        p = self.center.p
        shares = np.array([arrays[m.name].clip(min=0.0) for m in plan.masses])
        shares = np.where(shares < _NOTHING * p, 0.0, shares)
        shares *= p / np.maximum(shares.sum(axis=0), 1e-300)
        i, held, moved = [], [], []
        for share, move in zip(shares, plan.moves, strict=True):
            at = np.flatnonzero(share)
            d = np.zeros((at.size, n))
            if move is not None:
                d = arrays[move.name].reshape(n, N).T[at] / share[at][:, None]
            i.append(at)
            held.append(share[at])
            moved.append(self._inside(d, self.slack[at]))
        at, masses, d = np.concatenate(i), np.concatenate(held), np.vstack(moved)
        cost = float(masses @ ground.length(d))
        R = self.center.R[at] + d * min(1.0, radius / cost if cost > 0.0 else 1.0)
        table = pd.DataFrame(R, self.center.index[at], index_of(self.center.labels))
        return Distribution(table, masses)

    def _inside(self, d: FloatArray, slack: FloatArray) -> FloatArray:
        """Displacements shortened to where they stay in the support."""
        used = d @ self.C.T
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(used > slack, slack / used, 1.0).min(axis=1, initial=1.0)
        return np.asarray(d * reach[:, None])


def _entry(w: Affine, j: int) -> Affine:
    entry: Affine = w[w.labels[j]] if w.labels is not None else w[j]
    return entry
