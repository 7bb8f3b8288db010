"""a(x) + Σ_j p_j b_j(x) is the expression that it was collected from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from rrp_pyomo.transformations.parameter_terms import NotAffineError, mentions, parameter_terms

EXPRESSIONS: dict[str, Callable[[Any], Any]] = {
    "quotient": lambda m: (m.x * m.p[1] + 3) / (1 + m.y**2) - m.p[2] / 4,
    "product": lambda m: (2 - m.p[1] * m.x) * (m.y - pyo.exp(m.x)) * m.q,
    "named": lambda m: 3 * m.e - m.e * m.y + m.p[1],
    "negated": lambda m: -(m.p[1] - (m.p[2] - m.x)),
    "branches": lambda m: pyo.Expr_if(m.x >= 0, m.x, m.y) * m.p[1],
    "alone": lambda m: m.p[2],
    "with numbers": lambda m: 2 * m.p[1] * m.q + 5,
    "to the first": lambda m: m.p[1] * m.x**1 + pyo.sin(m.q * m.x),
    "sum": lambda m: sum((m.p[1 + k % 2] * m.x**k for k in range(1, 9)), m.y),
    "without": lambda m: m.q * m.x + pyo.log(m.y),
}


def model() -> Any:
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(initialize=0.7), pyo.Var(initialize=1.3)
    m.p = pyo.Param([1, 2], initialize={1: 0.4, 2: -1.1}, mutable=True)
    m.q = pyo.Param(initialize=0.9, mutable=True)
    m.e = pyo.Expression(expr=m.p[2] * m.x - 2 * m.y)
    return m


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_parts_make_the_whole(name: str) -> None:
    m = model()
    expression = EXPRESSIONS[name](m)
    ids = {id(p): p for p in m.p.values()}
    terms = parameter_terms(expression, ids)
    parts = [terms.rest, *terms.coefficients.values()]
    assert not any(mentions(part, ids) for part in parts)
    assert mentions(expression, ids) == (name != "without")
    total = terms.rest + sum(ids[j] * b for j, b in terms.coefficients.items())
    rng = np.random.default_rng(2)
    for _ in range(5):
        m.x.value, m.y.value = rng.uniform(-2, 2), rng.uniform(0.1, 2)
        m.p[1].value, m.p[2].value, m.q.value = rng.normal(size=3)
        assert pyo.value(total) == pytest.approx(pyo.value(expression), rel=1e-12, abs=1e-12)


def test_what_is_certain_is_kept_as_it_is() -> None:
    m = model()
    certain = m.q * pyo.exp(m.x)
    terms = parameter_terms(certain + m.p[1] * m.y, {id(m.p[1])})
    assert terms.rest is certain
    assert terms.coefficients[id(m.p[1])] is m.y


def test_deep_expressions_are_no_recursion() -> None:
    m = model()
    expression = m.p[1] * m.x
    for _ in range(5000):
        expression = -(expression + m.y)
    terms = parameter_terms(expression, {id(m.p[1])})
    assert pyo.value(terms.coefficients[id(m.p[1])]) == pytest.approx(m.x.value)


def test_the_place_is_named() -> None:
    m = model()
    with pytest.raises(NotAffineError, match=r"divides by an uncertain Param in .*p\[1\]"):
        parameter_terms(m.x / m.p[1] + m.y, {id(m.p[1])})
