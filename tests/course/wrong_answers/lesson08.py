"""Typical wrong answers to the exercises of lesson 8."""

import numpy as np
import pandas as pd
import pyomo.environ as pyo

from rrp_pyomo import Program, norm, sum_squares


def _model(square=False, budget=False, least=-np.inf, risk=0.5, times=1.0):
    def state(mean, covariance, delta, risk_aversion):
        program = Program("robust")
        w = program.variable("w", mean.index, lower=least)
        root = pd.DataFrame(np.linalg.cholesky(covariance).T, mean.index, mean.index)
        charge = sum_squares(w) if square else norm(w)
        program.maximize(
            mean @ w - times * delta * charge - risk * risk_aversion * sum_squares(root @ w)
        )
        if budget:
            program.subject_to(budget=w.sum() == 1)
        return program

    return state


def _bounded(mean, covariance, delta, risk_aversion):
    program = _model(least=-1.0)(mean, covariance, delta, risk_aversion)
    program.subject_to(at_most=program.variables["w"] <= 1)
    return program


def _named_otherwise(mean, covariance, delta, risk_aversion):
    program = Program("robust")
    x = program.variable("x", mean.index)
    program.minimize(norm(x))
    return program


def _without_objective(mean, covariance, delta, risk_aversion):
    m = pyo.ConcreteModel()
    m.w = pyo.Var(list(mean.index))
    return m


def _nonlinear(mean, covariance, delta, risk_aversion):
    m = pyo.ConcreteModel()
    m.w = pyo.Var(list(mean.index), initialize=0.1)
    m.goal = pyo.Objective(expr=delta * pyo.sqrt(sum(m.w[a] ** 2 for a in m.w)))
    return m


def _charges(e, **changes):
    a, d = e["weights"].abs(), e["delta"]
    right = {"norm 1": d * a.max(), "norm 2": d * (a**2).sum() ** 0.5, "norm inf": d * a.sum()}
    return right | {"both": 0.0} | changes


WRONG = [
    ("8.1", lambda e: [0.6, 0.4], "divided by their sum"),
    ("8.1", lambda e: [6 / 11, 5 / 11], "right for κ = 0"),
    ("8.1", lambda e: [0.038826, 0.025884], "held in cash"),
    ("8.1", lambda e: [8 / 11, 3 / 11], "least variance"),
    ("8.1", lambda e: [0.7, 0.3], "at the optimum it is 0"),
    ("8.1", lambda e: [0.6511, 0.3], "sum to 0.9511"),
    ("8.2", lambda e: [6 / 7, 4 / 7], "right for δ = 0"),
    ("8.2", lambda e: [0.064676, 0.412886], "is that of the answer itself"),
    ("8.2", lambda e: [0.4669, 0.5331], "the rest is cash"),
    ("8.2", lambda e: [0.381797, 0.254531], "multiple of I"),
    ("8.2", lambda e: [0.5306, 0.6058], "not (λ/2) Σw"),
    ("8.2", lambda e: [-0.057143, 0.228571], "as in a box"),
    ("8.2", lambda e: [0.2, 0.3], "should be 0 at your own w"),
    ("8.2", lambda e: [0.0, 0.0], "a little of μ̂ gains"),
    ("8.3", lambda e: _model(budget=True), "sum to 1"),
    ("8.3", lambda e: _model(least=0.0), "no weight is short"),
    ("8.3", lambda e: _bounded, "leave out such bounds"),
    ("8.3", lambda e: _model(square=True), "ridge"),
    ("8.3", lambda e: _model(risk=1.0), "counts twice"),
    ("8.3", lambda e: _model(times=0.0), "Markowitz's"),
    ("8.3", lambda e: _model()(*[e[k] for k in e.data]), "a function that makes the model"),
    ("8.3", lambda e: lambda mean, S, delta, lam: _model()(mean, S, 0.02, 2.0), "arguments"),
    ("8.3", lambda e: lambda mean, S, delta, lam: _model()(mean, S, delta, 2.0), "for λ = 2:"),
    ("8.3", lambda e: _named_otherwise, "variables named 'w'"),
    ("8.3", lambda e: lambda mean: None, "your function failed"),
    ("8.3", lambda e: lambda *given: None, "return model"),
    ("8.3", lambda e: _without_objective, "one active objective"),
    ("8.3", lambda e: _nonlinear, "has the nonlinear term"),
    ("8.4", lambda e: _charges(e, **{"norm 1": 0.028}), "dual norm"),
    ("8.4", lambda e: _charges(e, **{"norm inf": 0.01}), "dual norm"),
    ("8.4", lambda e: _charges(e, **{"norm 2": 0.0108}), "squared"),
    ("8.4", lambda e: _charges(e, both=0.014697), "outside the box"),
    ("8.4", lambda e: _charges(e, both=0.0154), "outside the ball"),
    ("8.4", lambda e: _charges(e, both=0.0154 + 0.014697), "add up for a *sum* of sets"),
    ("8.4", lambda e: {"norm 1": 0.01}, "nothing for 'norm 2'"),
    ("8.5", lambda e: [0.6 / 1.1, 0.5 / 1.1], "divided by their sum"),
    ("8.5", lambda e: [0.545, 0.455], "divided by their sum"),
    ("8.5", lambda e: [0.6, 0.5], "without a budget"),
    ("8.5", lambda e: [0.6, 0.4], "the view is missing"),
    ("8.5", lambda e: [0.527601, 0.472399], "predictive"),
    ("8.5", lambda e: [0.4, 0.6], "posterior mean is"),
]
