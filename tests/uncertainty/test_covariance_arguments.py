"""What sets of covariances refuse, how they read, and what they keep of labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo import FactorCovariance, FactorModel, MeanVariance, Program
from rrp_pyomo.data import datasets
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.uncertainty import (
    CovarianceBox,
    CovarianceEllipsoid,
    ElementwiseError,
    FactorCovarianceBall,
    FrobeniusBall,
    LoadingEllipsoids,
    LoadingsBall,
    SamplingError,
    as_covariance_set,
)

ABC, FG = list("ABC"), list("fg")
SIGMA = pd.DataFrame([[0.04, 0.01, 0], [0.01, 0.09, 0.02], [0, 0.02, 0.06]], ABC, ABC)
V = pd.DataFrame([[1.0, 0.8, 1.2], [0.3, -0.5, 0.1]], FG, ABC)
F = pd.DataFrame([[4e-4, 1e-4], [1e-4, 2e-4]], FG, FG)
D = pd.Series([1e-4, 2e-4, 3e-4], ABC)
G = pd.DataFrame(np.eye(2), FG, FG)
W = pd.Series([0.2, 0.5, 0.3], ABC)
SETS = [
    FrobeniusBall(SIGMA, 0.01),
    SamplingError(SIGMA, 60, 2.0),
    ElementwiseError(SIGMA, 0.01 * (1 + SIGMA * 0), 1.0),
    CovarianceEllipsoid(SIGMA, 1e-4 * np.eye(9), 1.0),
    CovarianceBox(SIGMA - 0.001, SIGMA + 0.001),
    LoadingEllipsoids(V, F, G, {"A": 0.1, "B": 0.2, "C": 0.3}, D),
    LoadingsBall(V, F, D, 0.2, pd.Series([0.01, 0.002], FG)),
    FactorCovarianceBall(FactorCovariance(V, F, D), 0.2),
]
each_set = pytest.mark.parametrize("given", SETS, ids=lambda given: type(given).__name__)


@each_set
def test_labels_are_kept_and_aligned(given):
    shuffled = W[["C", "A", "B"]]
    assert given.labels == tuple(ABC)
    assert given.variance(shuffled) == given.variance(W) == given.variance(W.to_numpy())
    assert list(given.worst(W).matrix().columns) == ABC
    assert given.contains(given.worst(W).select(["C", "A", "B"]))
    with pytest.raises(UnknownLabelError, match="did you mean"):
        given.variance(W.rename({"A": "Aa"}))
    w = Program("w").variable("w", ABC)
    with pytest.raises(InputError, match="affine weights"):
        given.variance(w * w)


@each_set
def test_a_selection_is_the_set_of_the_others(given):
    part = given.select(["C", "A"])
    assert part.labels == ("C", "A")
    x = pd.Series({"C": 0.6, "A": 0.4})
    assert part.variance(x) == pytest.approx(
        given.variance(x.reindex(ABC, fill_value=0.0)), rel=1e-7
    )
    with pytest.raises(UnknownLabelError):
        given.select(["X"])


@each_set
def test_sets_read_as_mathematics_and_are_frozen(given):
    assert repr(given).startswith(f"{type(given).__name__}(3 assets")
    assert given._repr_latex_().startswith("$\\{")
    assert given._repr_latex_().count("{") == given._repr_latex_().count("}")
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.center = None
    assert given.plot(weights=W).axes[0].get_legend() is not None
    with pytest.raises(InputError, match="takes two assets"):
        given.plot(["A"])


@pytest.mark.parametrize("given", [g for g in SETS if hasattr(g, "scaled")], ids=repr)
def test_scaled_sets_grow_about_their_centre(given):
    half, same = given.scaled(0.5), given.scaled(1.0)
    nominal = given.center.variance(W)
    assert nominal < half.variance(W) < given.variance(W)
    assert same.variance(W) == pytest.approx(given.variance(W), rel=1e-12)
    assert given.contains(half.worst(W))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrobeniusBall(SIGMA, -1.0), "radius is -1.0"),
        (lambda: FrobeniusBall(-SIGMA, 1.0), "center: asset 'B' has variance"),
        (lambda: SamplingError(SIGMA, 1, 1.0), "observations is 1"),
        (lambda: SamplingError(SIGMA, 60, np.nan), "radius is nan"),
        (lambda: ElementwiseError(SIGMA, -SIGMA, 1.0), "an error of scale is"),
        (lambda: ElementwiseError(SIGMA, np.eye(2), 1.0), "scale has shape"),
        (lambda: ElementwiseError(SIGMA, SIGMA.rename(index={"A": "X"}), 1.0), "asset 1 is 'A'"),
        (lambda: CovarianceEllipsoid(SIGMA, np.eye(3), 1.0), "shape has shape"),
        (lambda: CovarianceEllipsoid(SIGMA, -np.eye(9), 1.0), "shape is not positive semidefinite"),
        (
            lambda: CovarianceEllipsoid(SIGMA, np.triu(np.ones((9, 9))), 1.0),
            "shape is not symmetric",
        ),
        (lambda: CovarianceEllipsoid(SIGMA, np.full((9, 9), np.inf), 1.0), "finite numbers"),
        (lambda: CovarianceBox(SIGMA, -SIGMA), "lower bounds of at most the upper ones"),
        (lambda: LoadingEllipsoids(V, F, -G, 0.1, D), "shape is not positive definite"),
        (lambda: LoadingEllipsoids(V, F, np.eye(3), 0.1, D), "shape has shape"),
        (lambda: LoadingEllipsoids(V, F, G, -0.1, D), "radii of 'A' is -0.1"),
        (lambda: LoadingEllipsoids(V, F, G, {"A": 0.1}, D), "radii lack 2 of 3 assets"),
        (lambda: LoadingEllipsoids.from_regression(SIGMA, 0.9), "model is a DataFrame"),
        (lambda: LoadingsBall(V, F, D, np.inf), "radius is inf"),
        (lambda: LoadingsBall(V, F, D, 1.0, [0.1]), "factor_mean has shape"),
        (lambda: FactorCovarianceBall(SIGMA, 0.1), "model is a DataFrame"),
        (lambda: FactorCovarianceBall(SETS[5].center, -0.1), "eta is -0.1"),
        (
            lambda: FactorCovarianceBall(FactorCovariance(V, F * 0 + 1e-4, D), 0.1),
            "factor covariance is singular",
        ),
        (lambda: SETS[5].contains(SETS[0].center), "element is a DenseCovariance"),
        (lambda: SETS[6].loss(W, -1.0), "risk_aversion is -1.0"),
    ],
)
def test_what_is_refused_and_why(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_factor_model_is_taken_and_stays_factored():
    data = datasets.french()
    model = FactorModel.fit(data.returns.tail(90), data.factors.tail(90))
    x = MeanVariance(None, model.covariance).solve().weights
    for given in (
        FactorCovarianceBall(model, 0.1),
        FrobeniusBall(model.covariance, 1e-4),
        SamplingError(model.covariance, 90, 2.0),
        LoadingEllipsoids.from_regression(model, 0.9).covariance,
    ):
        worst = given.worst(x)
        assert isinstance(worst, FactorCovariance)
        assert given.contains(worst)
        assert len(worst.F) <= len(model.factor_labels) + 1


def test_a_matrix_is_the_set_of_one_element():
    given = as_covariance_set(SIGMA)
    assert given.variance(W) == pytest.approx(float(W @ SIGMA @ W))
    assert as_covariance_set(SETS[0]) is SETS[0]
