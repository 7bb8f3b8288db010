"""Programs are read the way they were written: as text, as LaTeX, and one line for each part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import RobustRiskParity
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.modeling import InCone, exp, geometric_mean, norm, square, sum_squares
from rrp_pyomo.modeling import abs as abs_
from rrp_pyomo.modeling.cones import EXPONENTIAL, SECOND_ORDER
from rrp_pyomo.program import Program

# The paper's (12), for four assets and three factors.
ROBUST = """\
minimise                    p - t
fully_invested              x.sum()         == 1
exposure_change_definition  exposure_change == exposure_change_loadings @ x
exposure_definition         exposure        == exposure_loadings @ x
perturbation                norm(Delta @ x) <= 2 * y
marginal_risk               Omega * y       <= Sigma @ x - z
hyperbolic                  x * z           >= square(t * [4])
portfolio_risk              norm(root @ x)  <= 2 * p
expressions                 worst_case_volatility = 0.0248352 * p; slack = 0.0248352 * (p - t)
variables                   x[4] >= 0; z[4] >= 0; p >= 0; t >= 0; y >= 0; exposure_change[3]; \
exposure[3]
parameters                  omega = 1"""

# What stands between the ampersands, row by row.
ROBUST_LATEX = {
    "": r"p - t",
    "fully invested": r"\mathbf{1}^\top x = 1",
    "exposure change definition": (
        r"\mathrm{exposure\_change} = \mathrm{exposure\_change\_loadings} x"
    ),
    "exposure definition": r"\mathrm{exposure} = \mathrm{exposure\_loadings} x",
    "perturbation": r"\lVert \Delta x \rVert_2 \le 2 \, y",
    "marginal risk": r"\Omega \, y \le \Sigma x - z",
    "hyperbolic": r"x \, z \ge \left(t \, [4]\right)^2",
    "portfolio risk": r"\lVert \mathrm{root} x \rVert_2 \le 2 \, p",
    "worst_case_volatility": r"0.0248352 \, p",
    "slack": r"0.0248352 \, \left(p - t\right)",
}

EVERYTHING_LATEX = {
    "": (r"\mu x - \lambda_{\mathrm{risk}} \, \lVert [2 \times 2] x \rVert_2^2 - 2 \, y"),
    "nested": r"\mathbf{1}^\top x - 3 \, \left(y - x_{\mathrm{a}}\right) \le 1",
    "cone": r"\left(y,\ x\right) \in \mathcal{K}_\text{second-order}",
    "term": r"\frac{\lVert x - \mu \rVert_1}{2} \le \lambda_{\mathrm{risk}}",
    "minus": r"-x \ge -\left(x + 1\right)",
    "whole": r"\mathbf{1}^\top i + \mathrm{on} = 2",
    "mean": r"u \le \operatorname{geometric\_mean}\left(x\right)",
    "small": r"1 \cdot 10^{-5} \, \exp\left(x_{\mathrm{1:}}\right) \le 1",
}


def equations(program: Program) -> dict[str, str]:
    """By name, what an aligned block of equations has."""
    first, *rows, last = program._repr_latex_().splitlines()
    assert (first, last) == (r"$$\begin{aligned}", r"\end{aligned}$$")
    assert all(row.endswith(r" \\") for row in rows[:-1])
    verb = r"\text{maximise}\quad " if program.maximizing else r"\text{minimise}\quad "
    assert rows[0].startswith(verb)
    assert rows[1].startswith(r"\text{subject to}\quad & ")
    found = {}
    for row in rows:
        _, body, name = row.removesuffix(r" \\").replace("&&", "&").split("&")
        if body.startswith(r" \mathrm") and not name.strip() and found:  # a named expression
            name, body = body.replace(r"\_", "_").removeprefix(r" \mathrm{").split("} = ")
        found[name.strip().removeprefix(r"\text{").removesuffix("}")] = body.strip()
    return found


def test_the_papers_robust_program(make_uncertainty):
    program = RobustRiskParity(make_uncertainty(4), omega=1.0).program()
    assert str(program) == ROBUST


def test_the_papers_robust_program_in_latex(make_uncertainty):
    program = RobustRiskParity(make_uncertainty(4), omega=1.0).program()
    assert equations(program) == ROBUST_LATEX


def everything() -> Program:
    p = Program("everything")
    x = p.variable("x", ["a", "b"], lower=0, upper=[1, 2])
    y, u = p.variable("y"), p.variable("u", None, -1, 1)
    i, on = p.variable("i", 3, lower=0, domain="integer"), p.variable("on", domain="binary")
    mu, risk = p.parameter("mu", [1.0, 2.0], ["a", "b"]), p.parameter("lambda_risk", 3.0)
    p.maximize(mu @ x - risk * sum_squares(np.eye(2) @ x) - 2 * y)
    p.subject_to(
        nested=x.sum() - 3 * (y - x["a"]) <= 1,
        cone=InCone((y, x), SECOND_ORDER),
        term=norm(x - mu, 1) / 2 <= risk,
        minus=-x >= -(x + 1),
        whole=i.sum() + on == 2,
        mean=u <= geometric_mean(x),
        small=1e-5 * exp(x[1:]) <= 1,
    )
    return p


def test_a_program_as_text():
    assert (
        str(everything())
        == """\
maximise    mu @ x - lambda_risk * sum_squares([2×2] @ x) - 2 * y
nested      x.sum() - 3 * (y - x[a]) <= 1
cone        (y, x)                   in second-order cone
term        norm1(x - mu) / 2        <= lambda_risk
minus       -x                       >= -(x + 1)
whole       i.sum() + on             == 2
mean        u                        <= geometric_mean(x)
small       1e-05 * exp(x[1:])       <= 1
variables   0 <= x[2] <= [1 … 2]; y; -1 <= u <= 1; i[3] >= 0 integer; on binary
parameters  mu[2]; lambda_risk = 3"""
    )


def test_a_program_as_latex():
    assert equations(everything()) == EVERYTHING_LATEX


def test_labels_with_characters_that_tex_reads():
    x = Program().variable("x", ["S&P_500", "10%"])
    assert x["S&P_500"]._repr_latex_() == r"$x_{\mathrm{S\&P\_500}}$"
    assert x["10%"]._repr_latex_() == r"$x_{\mathrm{10\%}}$"


REPRS = {
    "a program": (lambda p, x: p, "Program('mine': 4 variables, 2 constraints)"),
    "a variable": (lambda p, x: x, "x[3]"),
    "a scalar variable": (lambda p, x: p.variables["t"], "t"),
    "a parameter": (lambda p, x: p.parameters["mu"], "mu[3]"),
    "a comparison": (lambda p, x: p.constraints["sums"], "x.sum() == 1"),
    "a membership": (lambda p, x: p.constraints["cone"], "(t, x[3]) in second-order"),
    "an expression": (lambda p, x: 2 * x[["a", "b"]] - 1, "2 * x[a, b] - 1"),
    "a sum of terms": (lambda p, x: square(x).sum() + 3 * norm(x), "square(x).sum() + 3 * norm(x)"),
    "a frame": (lambda p, x: pd.DataFrame(np.eye(3), list("rst"), list("abc")) @ x, "[3×3] @ x"),
    "a Series": (lambda p, x: pd.Series([1.0, 2, 3], list("abc"), name="mean") @ x, "mean @ x"),
    "a covariance": (lambda p, x: DenseCovariance(np.eye(3), list("abc")) @ x, "[3×3] @ x"),
    "numbers": (lambda p, x: np.float64(2.5) * x - np.int64(2), "2.5 * x - 2"),
    "signs": (lambda p, x: x - (-1.0) * x, "x - (-1) * x"),
    "products of sums": (lambda p, x: (x + 1) * (x["a"] - 2), "(x + 1) * (x[a] - 2)"),
    "more than a line": (lambda p, x: sum((x * k for k in range(20)), x), "f(x, 3 rows)"),
    "rows of an absolute value": (lambda p, x: abs_(x - 1) / 2, "abs(x - 1) / 2"),
    "a power cone": (lambda p, x: EXPONENTIAL, "Exponential()"),
}


@pytest.mark.parametrize("case", REPRS)
def test_one_readable_line_for_everything(case):
    program = Program("mine")
    x, t = program.variable("x", ["a", "b", "c"]), program.variable("t")
    program.parameter("mu", [1.0, 2.0, 3.0], ["a", "b", "c"])
    program.subject_to(sums=x.sum() == 1, cone=InCone((t, x), SECOND_ORDER))
    make, written = REPRS[case]
    assert repr(make(program, x)) == written
