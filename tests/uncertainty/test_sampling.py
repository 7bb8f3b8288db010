"""Members are drawn by generators, so many as are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from rrp_pyomo import FactorCovariance
from rrp_pyomo.errors import InputError
from rrp_pyomo.uncertainty import (
    Ball,
    CovariancePoint,
    DelageYe,
    FrobeniusBall,
    KullbackLeibler,
    LoadingEllipsoids,
    Moments,
    SamplingError,
    Wasserstein,
)

V, F, D = np.array([[1.0, 0.8, 1.2]]), np.array([[4e-4]]), np.full(3, 1e-4)
COVARIANCE = FactorCovariance(V, F, D)
MEAN = np.array([0.001, 0.002, 0.003])
RETURNS = np.random.default_rng(0).normal(0.001, 0.02, (12, 3))
SETS = [
    Ball(MEAN, 0.01),
    CovariancePoint(COVARIANCE),
    FrobeniusBall(COVARIANCE, 1e-4),
    SamplingError(COVARIANCE, 60, 1.0),
    LoadingEllipsoids(V, F, F, 1e-3, D),
    Moments(Ball(MEAN, 0.01), COVARIANCE),
    DelageYe(MEAN, COVARIANCE, 0.1, 1.2),
    Wasserstein(RETURNS, 0.01),
    KullbackLeibler(RETURNS, 0.1),
]


@pytest.mark.parametrize("given", SETS, ids=lambda given: type(given).__name__)
def test_a_generator_draws_as_many_as_asked_for(given) -> None:
    assert len(given.sample(np.random.default_rng(0), 3)) == 3
    assert len(given.sample(np.random.default_rng(0), 0)) == 0
    with pytest.raises(InputError, match="rng is an int; expected a Generator"):
        given.sample(1, 3)
    with pytest.raises(InputError, match="size is -1"):
        given.sample(np.random.default_rng(0), -1)


def test_a_shape_without_extent_leaves_loadings_unbounded() -> None:
    with pytest.raises(InputError, match="shape is not positive definite"):
        LoadingEllipsoids(np.ones((2, 3)), np.eye(2), np.zeros((2, 2)), 0.1, np.ones(3))
