"""The examples of docs/programs.md against the same problems in cvxpy, through every realisation.

The page states them, and the tests run the page: what is compared is what is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pyomo.environ as pyo
import pytest

from rrp_pyomo import solve_program
from rrp_pyomo.errors import ModelError

pytestmark = pytest.mark.slow  # it runs the page

PAGE = Path(__file__).parents[1] / "docs" / "programs.md"
LONGEST = 12  # lines of an example's code

CONIC, KERNEL, BLOCK = "conic clarabel", "kernel clarabel", "block clarabel"
IPOPT, SCS = "block casadi_ipopt", "conic scs"
TOLERANCES = {"scs": 1e-4, "scip": 1e-5, "gurobi": 1e-5}


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names of the page after its code has run."""
    text = PAGE.read_text()
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], str(PAGE), "exec"), names)
    return names


class Peer:
    """The page's data as arrays, and each example as cvxpy states it."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.page = page
        self.R = page["R"].to_numpy()
        self.mu = page["mu"].to_numpy()
        self.n = self.mu.size
        self.root = np.linalg.cholesky(page["covariance"].operator @ np.eye(self.n)).T
        self.known: dict[str, float] = {}

    def kelly(self) -> cp.Problem:
        growth = cp.sum(cp.log(1 + self.R / 100 @ self.w))
        return cp.Problem(cp.Maximize(growth), self.fully_invested)

    def tail(self) -> cp.Problem:
        costs = 0.5 * cp.norm1(self.w - 1 / self.n)
        risk = cp.cvar(-self.R @ self.w, 0.95)
        return cp.Problem(cp.Minimize(risk + costs), self.fully_invested)

    def tracking(self) -> cp.Problem:
        error = cp.norm(self.root @ (self.w - 1 / self.n))
        return cp.Problem(cp.Minimize(error), [*self.fully_invested, self.w[15:] == 0])

    def diversified(self) -> cp.Problem:
        variance = cp.sum_squares(self.root @ self.w)
        utility = self.mu @ self.w - 0.02 * variance + 0.2 * cp.sum(cp.entr(self.w))
        return cp.Problem(cp.Maximize(utility), self.fully_invested)

    def parity(self) -> cp.Problem:
        # The largest geometric mean has the largest sum of logarithms.
        logs = cp.Maximize(cp.sum(cp.log(self.w)) / self.n)
        return cp.Problem(logs, [cp.norm(self.root @ self.w) <= 100])

    def few(self) -> cp.Problem:
        z = cp.Variable(self.n, boolean=True)
        limits = [self.w <= 0.4 * z, cp.sum(z) <= 5, self.mu @ self.w >= 1]
        variance = cp.sum_squares(self.root @ self.w)
        return cp.Problem(cp.Minimize(variance), self.fully_invested + limits)

    def worst(self) -> cp.Problem:
        C, margin, spread = (self.page[name] for name in ("C", "margin", "spread"))
        S = cp.Variable(C.shape, symmetric=True)
        box = [S >= C - margin, S <= C + margin, S >> 0]
        return cp.Problem(cp.Maximize(spread @ S @ spread), box)

    def optimum(self, name: str) -> float:
        if name not in self.known:
            self.w = cp.Variable(self.n, nonneg=True)
            self.fully_invested = [cp.sum(self.w) == 1]
            self.known[name] = self.solved(name)
        return self.known[name]

    def solved(self, name: str) -> float:
        problem = getattr(self, name)()
        if name == "few":
            return float(problem.solve(solver="GUROBI"))
        tight = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)
        optimum = float(problem.solve(solver="CLARABEL", **tight))
        return float(np.exp(optimum)) if name == "parity" else optimum


@pytest.fixture(scope="module")
def peer(page) -> Peer:
    return Peer(page)


def objective(program: Any, route: str) -> float:
    realisation, solver = route.split()
    if realisation in ("conic", "quadratic"):
        tight = {"eps_abs": 1e-8, "eps_rel": 1e-8} if solver == "scs" else {}
        return float(solve_program(program, solver, **tight).objective)
    block = getattr(program, realisation)()
    pyo.SolverFactory(solver).solve(block)
    return float(pyo.value(block.objective))


ROUTES = {
    "kelly": (CONIC, KERNEL, IPOPT),
    "tail": (CONIC, KERNEL, BLOCK, SCS, "quadratic casadi_ipopt", "block highs"),
    # In Lorentz form, t² ≥ v'v, Ipopt's absolute tolerance is one of t²: see the test below.
    "tracking": (CONIC, KERNEL, BLOCK, "quadratic casadi_ipopt"),
    "diversified": (CONIC, KERNEL, IPOPT),
    "parity": (CONIC, KERNEL, IPOPT, SCS),
    "worst": (CONIC, SCS),
}


@pytest.mark.parametrize(
    ("name", "route"), [(name, route) for name, routes in ROUTES.items() for route in routes]
)
def test_examples_agree_with_cvxpy(page, peer, name, route):
    tolerance = TOLERANCES.get(route.split()[1], 1e-6)
    assert objective(page[name], route) == pytest.approx(peer.optimum(name), rel=tolerance)


def test_ipopt_and_a_lorentz_form(page, peer):
    optimum = peer.optimum("tracking")
    assert objective(page["tracking"], IPOPT) == pytest.approx(optimum, rel=1e-5)


@pytest.mark.parametrize("solver", ["scip", "gurobi"])
def test_cardinality_agrees_with_cvxpy(page, peer, solver):
    few = solve_program(page["few"], solver)
    assert few.objective == pytest.approx(peer.optimum("few"), rel=TOLERANCES[solver])
    assert few.values["z"].sum() <= 5 + 1e-6
    assert (few.values["w"] > 1e-6).sum() <= 5


def test_highs_takes_integers_or_quadratics(page):
    with pytest.raises(ModelError, match="together"):
        solve_program(page["few"], "highs")


@pytest.mark.parametrize("realisation", ["kernel", "block"])
def test_blocks_refuse_linear_matrix_inequalities(page, realisation):
    with pytest.raises(ModelError, match="semidefinite"):
        getattr(page["worst"], realisation)()


def test_the_worst_covariance_is_one(page):
    S = solve_program(page["worst"]).arrays["S"].reshape(page["C"].shape)
    S = 0.5 * (S + S.T)
    assert np.linalg.eigvalsh(S)[0] > -1e-6 * np.trace(S)
    spread = page["spread"]
    assert spread @ S @ spread > spread @ page["C"] @ spread


def test_parity_is_parity(page):
    contributions = page["contributions"]
    assert np.allclose(contributions / contributions.mean(), 1, atol=1e-4)


def test_examples_are_short():
    section = PAGE.read_text().partition("## Examples")[2].partition("\n### ")[2]
    for code in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        assert len([line for line in code.splitlines() if line.strip()]) <= LONGEST


def test_the_printed_program_is_the_one_that_the_page_shows(capsys):
    text = PAGE.read_text()
    (first, *_) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (shown, *_) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    exec(first, {})
    assert capsys.readouterr().out == shown
