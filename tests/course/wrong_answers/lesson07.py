"""Typical wrong answers to the exercises of lesson 7."""

import numpy as np

from rrp_pyomo import Program, norm, square

WRONG = [
    ("7.1", lambda e: e["loadings"], "without any error"),
    ("7.1", lambda e: e["loadings"] + e["standard_errors"], "negatively correlated"),
    ("7.1", lambda e: e["loadings"] + 2 * e["standard_errors"], "2 standard errors away"),
    (
        "7.1",
        lambda e: e["loadings"] + np.sign(e["loadings"]) * e["standard_errors"],
        "the same sign",
    ),
    ("7.1", lambda e: e["loadings"] + np.array([[0.1, 0.05, 0], [-0.2, -0.1, 0]]), "at a corner"),
    ("7.1", lambda e: e["loadings"] + np.array([[0.1, -0.05, 0.1]] * 2), "the same sign"),
    ("7.1", lambda e: e["loadings"].T, "should be 2 × 3"),
    ("7.1", lambda e: e["loadings"] - e["standard_errors"], "try all signs"),
    ("7.2", lambda e: _row(e, -(3**-0.5)), "‖u‖ = 0.5774, and its marginal risk"),
    ("7.2", lambda e: e["nominal"].loc["B"], "u = 0"),
    ("7.2", lambda e: e["nominal"].loc["B"] - e["perturbation"].loc["B"], "corner of the box"),
    ("7.2", lambda e: _row(e, 1.0), "largest marginal risk"),
    ("7.2", lambda e: _row(e, -np.sqrt(3)), "√n times too far"),
    ("7.2", lambda e: _row(e, -0.5), "can be had"),
    ("7.2", lambda e: e["nominal"].loc["B"] - 5 * e["weights"], "which is more than 1"),
    ("7.3", lambda e: 2.529822, "that is Ω_max"),
    ("7.3", lambda e: 5.175292 / np.sqrt(2), "√n is missing"),
    ("7.3", lambda e: 1.236645, "do not multiply"),
    ("7.3", lambda e: 4, "on one side of some x"),
    ("7.4", lambda e: 0, "kink"),
    ("7.4", lambda e: 2 + np.sqrt(5), "1 + k"),
    ("7.4", lambda e: 2, "1/n is missing"),
    ("7.4", lambda e: 1, "begins to move"),
    ("7.4", lambda e: -2, "not positive"),
    ("7.5", lambda e: _model(charge=lambda U, omega: 0.0), "right for ω = 0"),
    ("7.5", lambda e: _model(charge=lambda U, omega: omega), "not ω itself"),
    ("7.5", lambda e: _model(root_n=lambda n: 1.0), "√n is missing in (12b)"),
    ("7.5", lambda e: _model(risk=lambda U: U.nominal), "volatility under Σ⁰"),
    ("7.5", lambda e: _model(root_n=lambda n: n), "once too often in (12b)"),
    ("7.5", lambda e: _model(z=lambda U: U.worst_case), "the place of Σ⁰ in (12c)"),
    ("7.5", lambda e: _model(moved=lambda U: U.worst_case), "the place of Σ^Δ in (12b)"),
    ("7.5", lambda e: _model(charge=lambda U, omega: 1.01 * omega * U.relative_size), "by one"),
    ("7.5", lambda e: _model(charge=lambda U, omega: omega / U.relative_size), "more than Ωy"),
    ("7.5", lambda e: _model(root=np.linalg.cholesky), "that is ‖L'x‖₂"),
    ("7.5", lambda e: _model(budget=False), "weights sum to"),
    ("7.5", lambda e: _model(name="w"), "variables named 'x'"),
    ("7.5", lambda e: lambda uncertainty, omega: None, "return model"),
]


def _model(
    charge=lambda U, omega: omega * U.relative_size,
    root_n=lambda n: n**0.5,
    risk=lambda U: U.worst_case,
    z=lambda U: U.nominal,
    budget=True,
    name="x",
    root=lambda C: np.linalg.cholesky(C).T,
    moved=lambda U: U.perturbation,
):
    def state(uncertainty, omega):
        n, labels = len(uncertainty.labels), uncertainty.labels
        program = Program("robust")
        x = program.variable(name, labels, lower=0)
        p, t, y = (program.variable(other, lower=0) for other in "pty")
        zs = program.variable("z", labels, lower=0)
        program.minimize(p - t)
        program.subject_to(
            perturbation=norm(moved(uncertainty).matrix() @ x) <= root_n(n) * y,
            marginal=charge(uncertainty, omega) * y * np.ones(n) + zs <= z(uncertainty) @ x,
            hyperbolic=x * zs >= square(t * np.ones(n)),
            risk=norm(root(risk(uncertainty).matrix()) @ x) <= n**0.5 * p,
        )
        if budget:
            program.subject_to(budget=x.sum() == 1)
        return program

    return state


def _row(e, times):
    change = e["perturbation"] @ e["weights"]
    u = times * change / np.linalg.norm(change)
    return e["nominal"].loc[e["asset"]] + e["Omega"] / np.sqrt(3) * e["perturbation"] @ u
