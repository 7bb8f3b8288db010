"""Some of the assets: what is selected is what the whole says of them, and stays factored."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo import RiskParitySOCP, RobustRiskParity, largest_omega
from rrp_pyomo.data import CovarianceUncertainty, DenseCovariance, FactorCovariance, FactorModel
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.linalg import LinearMap

quick = settings(deadline=None, derandomize=True, max_examples=30)
picks = st.permutations([f"A{i}" for i in range(6)]).flatmap(
    lambda order: st.integers(1, 6).map(lambda k: order[:k])
)


class Selectable(Protocol):
    def select(self, labels: Iterable[Hashable]) -> Any: ...


@quick
@given(st.integers(0, 10**6), picks)
def test_a_covariance_is_restricted(
    make_covariance: Callable[..., FactorCovariance], seed: int, pick: list[str]
) -> None:
    whole = make_covariance(seed)
    expected = whole.matrix().loc[pick, pick]
    part = whole.select(pick)
    assert isinstance(part.operator, LinearMap)
    pd.testing.assert_frame_equal(part.matrix(), expected, rtol=1e-12)
    assert part.frobenius_norm == pytest.approx(np.linalg.norm(expected))
    dense = DenseCovariance(whole.matrix()).select(pick)
    pd.testing.assert_frame_equal(dense.matrix(), expected)
    root = dense.root
    assert isinstance(root, np.ndarray)
    np.testing.assert_allclose(root.T @ root, expected, rtol=1e-10, atol=1e-12)


@quick
@given(st.integers(0, 10**6), picks)
def test_an_uncertainty_set_is_restricted(
    make_covariance: Callable[..., FactorCovariance], seed: int, pick: list[str]
) -> None:
    nominal = make_covariance(seed)
    errors = np.random.default_rng(seed).uniform(0.01, 0.5, nominal.V.shape)
    factored = CovarianceUncertainty.from_loading_errors(nominal, errors)
    floor = factored.nominal.matrix() - np.eye(6)
    bounds = CovarianceUncertainty.from_bounds(
        DenseCovariance(nominal.matrix()),
        DenseCovariance(nominal.matrix() + np.diag(np.linspace(0.1, 0.3, 6))),
        floor,
    )
    x = np.random.default_rng(seed).normal(size=len(pick))
    for whole in (factored, bounds):
        part = whole.select(pick)
        expected = whole.perturbation.matrix().loc[pick, pick]
        scale = np.abs(expected).to_numpy().max()
        pd.testing.assert_frame_equal(part.perturbation.matrix(), expected, atol=1e-12 * scale)
        difference = part.worst_case.matrix() - part.nominal.matrix()
        np.testing.assert_allclose(difference, expected, atol=1e-12 * max(scale, 1.0))
        norm = np.linalg.norm(expected @ x)
        assert np.linalg.norm(part.perturbation.norm_map @ x) == pytest.approx(norm)
        assert part.perturbation.frobenius_norm == pytest.approx(np.linalg.norm(expected))
        assert part.contains(part.nominal)
        assert part.contains(part.worst_case)
        assert part.relative_size == pytest.approx(
            np.linalg.norm(expected) / np.linalg.norm(whole.nominal.matrix().loc[pick, pick])
        )
    for mine, of_all in zip(
        factored.select(pick).loading_bounds or (), factored.loading_bounds or (), strict=True
    ):
        pd.testing.assert_frame_equal(mine, of_all[pick])
    assert isinstance(factored.select(pick).perturbation.operator, LinearMap)
    bound = bounds.select(pick).lower
    assert bound is not None
    np.testing.assert_allclose(bound, floor.loc[pick, pick], rtol=1e-12, atol=1e-12)


def test_a_selected_model_is_one_fitted_to_the_selected_returns(
    sample: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    returns, factors = sample
    pick = ["A4", "A0", "A2"]
    part, fitted = (
        FactorModel.fit(returns, factors).select(pick),
        FactorModel.fit(returns[pick], factors),
    )
    for name in ("loadings", "residuals", "loading_standard_errors"):
        pd.testing.assert_frame_equal(getattr(part, name), getattr(fitted, name))
    for name in ("alpha", "residual_variance", "expected_returns"):
        pd.testing.assert_series_equal(getattr(part, name), getattr(fitted, name))
    worst = part.covariance_uncertainty().worst_case.matrix()
    pd.testing.assert_frame_equal(worst, fitted.covariance_uncertainty().worst_case.matrix())


def test_problems_are_about_the_selected_assets(
    sample: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    whole = FactorModel.fit(*sample).covariance_uncertainty()
    pick = ["A5", "A1", "A3"]
    part = whole.select(pick)
    solved = RiskParitySOCP(part.nominal).solve()
    other = RiskParitySOCP(DenseCovariance(whole.nominal.matrix().loc[pick, pick])).solve()
    assert list(solved.weights.index) == pick
    pd.testing.assert_series_equal(solved.weights, other.weights, atol=1e-7)
    limit = largest_omega(part)
    assert limit != pytest.approx(largest_omega(whole), rel=0.1)
    dense = CovarianceUncertainty.from_bounds(
        DenseCovariance(part.nominal.matrix()), DenseCovariance(part.worst_case.matrix())
    )
    omega = 0.5 * limit
    factored = RobustRiskParity(part, omega).solve().objective
    assert factored == pytest.approx(RobustRiskParity(dense, omega).solve().objective, rel=1e-5)


def test_what_cannot_be_selected(sample: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    model = FactorModel.fit(*sample)
    uncertainty = model.covariance_uncertainty()
    dense = DenseCovariance(uncertainty.nominal.matrix())
    wholes: list[Selectable] = [model, uncertainty, uncertainty.nominal, dense]
    for whole in wholes:
        with pytest.raises(UnknownLabelError, match="unknown asset 'A9'; did you mean"):
            whole.select(["A1", "A9"])
        with pytest.raises(InputError, match="'A1' occurs 2 times"):
            whole.select(["A1", "A2", "A1"])
        with pytest.raises(
            InputError, match=r"the selection is \[\]; expected a list of at least one"
        ):
            whole.select([])
        with pytest.raises(InputError, match="the selection is 'A1'; expected a list"):
            whole.select("A1")


def test_repairs_are_remembered() -> None:
    matrix = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.9], [0.1, 0.9, 1.0]])
    whole = DenseCovariance(matrix, ["a", "b", "c"], repair="clip")
    assert whole.repaired
    assert whole.select(["c", "a"]).repaired == whole.repaired
