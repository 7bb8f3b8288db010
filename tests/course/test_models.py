"""Models are judged by their solution, whatever form they are stated in."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from rrp_pyomo.course import check


def tail(returns, epsilon, alpha, names=None):
    """The rows of CVaR, with weights of these names, without the charge."""
    m, N = pyo.ConcreteModel(), len(returns)
    m.w = pyo.Var(list(returns.columns) if names is None else names, bounds=(0, 1))
    m.tau, m.s = pyo.Var(), pyo.Var(range(N), bounds=(0, None))
    losses = -(returns.to_numpy() @ np.array(list(m.w.values())))
    m.beyond = pyo.Constraint(range(N), rule=lambda m, i: m.s[i] >= losses[i] - m.tau)
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    m.cvar = pyo.Expression(expr=m.tau + sum(m.s.values()) / (alpha * N))
    return m


def by_root(returns, epsilon, alpha):
    m = tail(returns, epsilon, alpha)
    length = pyo.sqrt(sum(w**2 for w in m.w.values()))
    m.goal = pyo.Objective(expr=m.cvar + epsilon / alpha * length)
    return m


def by_equation(returns, epsilon, alpha):
    m = tail(returns, epsilon, alpha)
    m.length = pyo.Var(bounds=(0, None))
    m.norm = pyo.Constraint(expr=sum(w**2 for w in m.w.values()) == m.length**2)
    m.goal = pyo.Objective(expr=m.cvar + epsilon / alpha * m.length)
    return m


def numbered(first):
    def state(returns, epsilon, alpha):
        n = returns.shape[1]
        m = tail(returns, epsilon, alpha, range(first, first + n))
        m.length = pyo.Var(bounds=(0, None))
        m.norm = pyo.Constraint(expr=sum(w**2 for w in m.w.values()) <= m.length**2)
        m.goal = pyo.Objective(expr=-m.cvar - epsilon / alpha * m.length, sense=pyo.maximize)
        return m

    return state


@pytest.mark.parametrize(
    "answer",
    [by_root, by_equation, numbered(0), numbered(1)],
    ids=["root", "equation", "from 0", "from 1"],
)
def test_a_charge_in_other_forms(answer):
    assert check("9.4", answer)


def test_weights_that_are_numbered_wrongly_are_not_guessed():
    assert "nothing for 'A'" in check("9.4", numbered(2)).message


def by_equal_contributions(mean, covariance, sleeves, ceiling):
    """Not convex: contributions of a sleeve are one unknown number."""
    m, S = pyo.ConcreteModel(), 1e4 * covariance.matrix()
    A = list(S.index)
    m.w = pyo.Var(A, bounds=(0, 1), initialize=1 / len(A))
    m.t, m.equal = pyo.Var(list(sleeves), bounds=(0, None)), pyo.ConstraintList()
    for name, own in sleeves.items():
        for a in own:
            m.equal.add(m.w[a] * sum(S.loc[a, b] * m.w[b] for b in own) == m.t[name])
    m.invested = pyo.Constraint(expr=sum(m.w.values()) == 1)
    variance = sum(S.loc[a, b] * m.w[a] * m.w[b] for a in A for b in A)
    m.calm = pyo.Constraint(expr=variance <= 1e4 * ceiling**2)
    m.goal = pyo.Objective(expr=pyo.sum_product(mean, m.w), sense=pyo.maximize)
    return m


def test_parity_in_sleeves_by_equations():
    assert check("10.4", by_equal_contributions)


def test_absolute_values_are_told_how_to_be_stated():
    def build(mean, covariance, risk_aversion, cost, held):
        m = pyo.ConcreteModel()
        m.w = pyo.Var(list(mean.index), list(mean.columns), bounds=(0, 1))
        m.goal = pyo.Objective(expr=sum(abs(w - 0.2) for w in m.w.values()))
        return m

    assert "u ≥ x and u ≥ −x" in check("12.4", build).message
