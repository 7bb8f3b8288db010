"""Typical wrong answers of lesson 5: exercise, answer, a piece of the hint."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo

from rrp_pyomo import Program, norm, solve_program, square, sum_squares

ROTATED = np.array([[0, 0, 2], [1, -1, 0]])
SUM = np.array([1, 1, 0])


def root_of(covariance):
    return np.linalg.cholesky(covariance).T


def earned(e, as_variance=False, sign=1, lower=0, root_of=root_of):
    program = Program("income")
    w = program.variable("w", e["mean"].index, lower=lower)
    risk = root_of(e["covariance"]) @ w
    if sign > 0:
        program.maximize(e["mean"] @ w)
    else:
        program.minimize(-(e["mean"] @ w))
    cap = e["cap"]
    limit = sum_squares(risk) <= cap**2 if as_variance else norm(risk) <= cap
    program.subject_to(invested=w.sum() == 1, risk=limit)
    return solve_program(program)


def multipliers(e, place):
    nu = e["mean"].nlargest(place).iloc[-1]
    return nu, (e["mean"] - nu).clip(lower=0)


def tracked(
    *, root_of=root_of, total=True, lower=0.0, variance=False, active=True, budget=True,
    least=False, cash=False, limits=None,
):  # fmt: skip
    def state(mean, covariance, benchmark, cap, tracking):
        cap, tracking = limits or (cap, tracking)
        root = root_of(covariance)
        program = Program("tracked")
        w = program.variable("w", mean.index, lower=lower)
        if least:
            program.minimize(norm(root @ w))
        else:
            program.maximize(mean @ w)
        if cash:
            program.subject_to(invested=w.sum() <= 1)
        elif budget:
            program.subject_to(invested=w.sum() == 1)
        if total is None:
            program.subject_to(risk=sum_squares(root @ w) <= cap)
        elif total:
            program.subject_to(risk=norm(root @ w) <= cap)
        off = root @ (w - benchmark)
        if active:
            row = sum_squares(off) <= tracking if variance else norm(off) <= tracking
            program.subject_to(tracking=row)
        return program

    return state


def parity(*, factor=1.0, scale=1.0, budget=1.0, product=True):
    def state(covariance):
        C = covariance.to_numpy() * scale
        n = len(C)
        program = Program("parity")
        w = program.variable("w", covariance.index, lower=0)
        p, t = program.variable("p"), program.variable("t", lower=0)
        program.minimize(p - t)
        program.subject_to(invested=w.sum() == budget, risk=norm(root_of(C) @ w) <= factor * p)
        if product:
            program.subject_to(hyperbolic=w * (C @ w) >= n * square(t))
        else:
            program.subject_to(smallest=C @ w >= t)
        return program

    return state


def in_kernel(covariance):
    """Least variance, with a list of variables in the order of the assets."""
    m = pmo.block()
    m.w = pmo.variable_list([pmo.variable(lb=0) for _ in covariance])
    m.invested = pmo.constraint(sum(m.w) == 1)
    m.s = pmo.variable(lb=0)
    root = root_of(covariance.to_numpy())
    v = [sum(row[i] * m.w[i] for i in range(len(m.w))) for row in root]
    m.risk = pmo.conic.quadratic.as_domain(r=m.s, x=v)
    m.goal = pmo.objective(m.s)
    return m


def in_another_cone(covariance):
    """(11) with the kernel's rotated cone, 2ab ≥ t², for ab ≥ t²."""
    m, C = in_kernel(covariance), covariance.to_numpy()
    m.goal.deactivate()
    m.t = pmo.variable(lb=0)
    m.smallest = pmo.block_list(
        pmo.conic.rotated_quadratic.as_domain(
            r1=m.w[i], r2=sum(C[i, j] * m.w[j] for j in range(len(C))), x=[m.t]
        )
        for i in range(len(C))
    )
    m.difference = pmo.objective(m.s / len(C) ** 0.5 - m.t)
    return m


def without_weights(covariance):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(list(covariance.index), bounds=(0, 1))
    m.invested = pyo.Constraint(expr=sum(m.x.values()) == 1)
    m.goal = pyo.Objective(expr=sum(v**2 for v in m.x.values()))
    return m


WRONG = [
    ("5.1", lambda e: ([[0, 0, 1], [1, -1, 0]], SUM), "strictly inside"),
    ("5.1", lambda e: ([[0, 0, 4], [1, -1, 0]], SUM), "outside"),
    ("5.1", lambda e: (ROTATED, [1, -1, 0]), "x·z = t²"),
    ("5.1", lambda e: (ROTATED, -SUM), "the sign of c"),
    ("5.1", lambda e: (ROTATED, [1, 1]), "3 columns"),
    ("5.1", lambda e: (ROTATED.T, SUM), "3 columns"),
    ("5.1", lambda e: ROTATED, "a pair is asked for"),
    ("5.1", lambda e: (1j * ROTATED, SUM), "a pair is asked for"),
    ("5.2", lambda e: earned(e, sign=-1).duals["risk"], "the sign"),
    ("5.2", lambda e: earned(e, as_variance=True).duals["risk"], "unit of variance"),
    ("5.2", lambda e: earned(e, lower=-np.inf).duals["risk"], "long-only"),
    ("5.2", lambda e: earned(e, root_of=np.linalg.cholesky).duals["risk"], "Cholesky factor"),
    ("5.2", lambda e: earned(e).objective, "largest mean itself"),
    ("5.2", lambda e: earned(e).objective / e["cap"], "the average"),
    ("5.2", lambda e: earned(e).duals["invested"], "dual of the budget"),
    ("5.2", lambda e: 100 * earned(e).duals["risk"], "a price without a unit"),
    ("5.3", lambda e: multipliers(e, 12), "proves only"),
    ("5.3", lambda e: multipliers(e, 1), "proves only"),
    ("5.3", lambda e: (multipliers(e, 4)[0], pd.Series(0.0, e["mean"].index)), "does not hold"),
    ("5.3", lambda e: (e["mean"].mean(), e["mean"] - e["mean"].mean()), "turns the inequality"),
    ("5.3", lambda e: multipliers(e, 4)[0], "a pair is asked for"),
    ("5.4", lambda e: tracked(active=False), "tracking is 0.8"),
    ("5.4", lambda e: tracked(root_of=np.linalg.cholesky), "Cholesky factor"),
    ("5.4", lambda e: tracked(total=None), "below a volatility"),
    ("5.4", lambda e: tracked(variance=True), "compare volatilities"),
    ("5.4", lambda e: tracked(total=False), "cap is"),
    ("5.4", lambda e: tracked(lower=-np.inf), "is short"),
    ("5.4", lambda e: tracked(budget=False), "sum to"),
    ("5.4", lambda e: tracked(cash=True), "negative means: weights sum to"),
    ("5.4", lambda e: tracked(limits=(3.8, 0.8)), "cap is 3.7"),
    ("5.4", lambda e: tracked(least=True), "is possible and yours is"),
    ("5.4", lambda e: tracked()(*e.data.values()), "a function that makes the model"),
    ("5.4", lambda e: lambda mean, covariance: None, "your function failed"),
    ("5.4", lambda e: lambda *given: None, "return model"),
    ("5.4", lambda e: lambda *given: given[0], "it returns"),
    ("5.5", lambda e: parity(product=False), "of the variance, not"),
    ("5.5", lambda e: in_kernel, "of the variance, not"),
    ("5.5", lambda e: parity(budget=2.0), "sum to 2"),
    ("5.5", lambda e: in_another_cone, "(11) has the optimum 0 and your model -"),
    ("5.5", lambda e: without_weights, "named 'w'"),
    ("5.5", lambda e: parity()(e["covariance"]), "a function that makes the model"),
]
