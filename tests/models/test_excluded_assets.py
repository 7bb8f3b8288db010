"""A block in which an asset can hold nothing is one of minimum variance, and says so."""

from __future__ import annotations

import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest

from rrp_pyomo import RiskBudgeting, RiskParityQCLP, RiskParitySOCP, RobustRiskParity, WeightSet
from rrp_pyomo.errors import RiskParityWarning

WORDS = "'A1' can hold nothing.*minimum variance.*select.*RiskBudgeting.*cardinality"


def weights(labels) -> pyo.Var:
    model = pyo.ConcreteModel()
    model.w = pyo.Var(labels, bounds=(0, 1))
    return model.w


@pytest.mark.parametrize("robust", [False, True])
def test_bounds_and_fixed_values_of_the_smallest_contribution(make_uncertainty, robust) -> None:
    uncertainty = make_uncertainty(5)
    data = (RobustRiskParity, uncertainty) if robust else (RiskParitySOCP, uncertainty.nominal)
    kind, given = data
    w = weights(given.labels)
    w["A1"].fix(0)
    with pytest.warns(RiskParityWarning, match=WORDS):
        kind(given).block(weights=w)
    w["A1"].unfix()
    kind(given).block(weights=w)
    w["A1"].setub(0)
    w["A3"].setub(0)
    with pytest.warns(RiskParityWarning, match="'A1' and 1 more can hold nothing"):
        kind(given).block(weights=w)
    X = WeightSet(upper={"A1": 0})
    with pytest.warns(RiskParityWarning, match=WORDS):
        kind(given, weight_set=X).block()
    with pytest.warns(RiskParityWarning, match=WORDS):
        kind(given, weight_set=X).kernel()
    v = pmo.variable_dict({a: pmo.variable(lb=0, ub=1) for a in given.labels})
    v["A1"].fix(0)
    with pytest.warns(RiskParityWarning, match=WORDS):
        kind(given).kernel(weights=v)


def test_remedies_are_silent(factor_covariance) -> None:
    covariance = factor_covariance(5)
    X = WeightSet(upper={"A1": 0})
    others = [a for a in covariance.labels if a != "A1"]
    RiskParitySOCP(covariance.select(others)).block(weights=weights(covariance.labels))
    RiskBudgeting(covariance, weight_set=X).block()
    RiskParitySOCP(covariance, weight_set=X, cardinality=3).block()
    RiskParityQCLP(covariance, weight_set=X).block()  # of which each contribution is a part


def test_budgeting_has_to_know_it(factor_covariance) -> None:
    """What only the model fixes is still in the product of RiskBudgeting's block."""
    covariance = factor_covariance(5)
    w = weights(covariance.labels)
    w["A1"].fix(0)
    with pytest.warns(RiskParityWarning, match="upper=0 for them in its weight set"):
        RiskBudgeting(covariance).block(weights=w)
    RiskBudgeting(covariance, weight_set=WeightSet(upper={"A1": 0})).block(weights=w)


def test_shorts_that_cannot_be_held(factor_covariance) -> None:
    covariance = factor_covariance(3)
    X = WeightSet(signs=[1, -1, 1], gross=1.0)
    model = pyo.ConcreteModel()
    model.w = pyo.Var(covariance.labels, bounds=(-1, 1))
    RiskParitySOCP(covariance, weight_set=X).block(weights=model.w)
    model.w["A1"].setlb(0)
    with pytest.warns(RiskParityWarning, match=WORDS):
        RiskParitySOCP(covariance, weight_set=X).block(weights=model.w)
