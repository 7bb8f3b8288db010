"""Sample means and covariances drawn towards a target, by their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo._extras import require_extra
from rrp_pyomo.data.covariance import Covariance, DenseCovariance, multiplied_out
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    Vector,
    agreed_labels,
    as_floats,
    as_number,
    by_label,
    index_of,
    labels_of,
    require_finite,
)
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.linalg import FloatArray

Target = Vector | float | None


@dataclass(frozen=True, eq=False)
class ShrunkMean:
    """μ̃ = (1 − a) μ̂ + a μ₀.

    Attributes
    ----------
    mean : Series
        μ̃, decimals per period.
    intensity : float
        a.
    target : Series
        μ₀.
    sample_mean : Series
        μ̂.
    covariance : Covariance or None
        Of the next period's returns, where the estimator gives one: :func:`bayes_stein`'s.

    Examples
    --------
    As :func:`~rrp_pyomo.james_stein` and its relatives give it:

    >>> import numpy as np
    >>> from rrp_pyomo import james_stein
    >>> returns = np.random.default_rng(0).normal([0.01, 0.02, 0.03, 0.04], 0.05, (24, 4))
    >>> shrunk = james_stein(returns)
    >>> shrunk.sample_mean.round(4).tolist()
    [0.0003, 0.0242, 0.0408, 0.0582]
    >>> shrunk.mean.round(4).tolist(), round(shrunk.intensity, 3)
    ([0.0019, 0.0246, 0.0403, 0.0568], 0.052)
    """

    mean: pd.Series
    intensity: float
    target: pd.Series
    sample_mean: pd.Series
    covariance: Covariance | None = None

    def __repr__(self) -> str:
        return f"ShrunkMean({self.mean.size} assets, intensity {self.intensity:.4g})"


@dataclass(frozen=True, eq=False)
class ShrunkCovariance:
    """Σ̃ = (1 − a) S + a m I.

    Attributes
    ----------
    covariance : DenseCovariance
        Σ̃, per-period variances.
    intensity : float
        a.
    target : float
        m, the mean of the variances.

    Examples
    --------
    As :func:`~rrp_pyomo.ledoit_wolf` gives it:

    >>> import numpy as np
    >>> from rrp_pyomo import ledoit_wolf
    >>> returns = np.random.default_rng(0).normal(0.0, [0.05, 0.02], (24, 2))
    >>> shrunk = ledoit_wolf(returns)
    >>> round(shrunk.intensity, 3), round(shrunk.target, 5)
    (0.185, 0.00116)
    """

    covariance: DenseCovariance
    intensity: float
    target: float

    def __repr__(self) -> str:
        return f"ShrunkCovariance({self.covariance.size} assets, intensity {self.intensity:.4g})"


def james_stein(
    returns: Matrix,
    target: Target = None,
    *,
    covariance: Covariance | None = None,
    positive_part: bool = True,
) -> ShrunkMean:
    """The mean by James & Stein: smaller expected squared error than μ̂, whatever μ is.

        a = (n − 2) v̄ / ‖μ̂ − μ₀‖²,   v̄ the mean of the variances s_i²/T of the μ̂_i

    and with a covariance a = (n − 2) / (T (μ̂ − μ₀)'Σ⁻¹(μ̂ − μ₀)). A target that is estimated costs
    one: n − 3.

    Parameters
    ----------
    returns : (T, n) DataFrame or array
        Decimals per period.
    target : number, Series or (n,) array, optional
        μ₀. By default the mean of the μ̂_i, and with a covariance that of the minimum-variance
        portfolio, 1'Σ⁻¹μ̂ / 1'Σ⁻¹1.
    covariance : Covariance, optional
        Σ of the returns, positive definite. Without it the μ̂_i count as independent and equally
        exact: that is for what the theorem holds.
    positive_part : bool
        Whether a is 1 at most, which is better for every μ (Baranchik 1964).

    Raises
    ------
    InputError
        Fewer than 3 assets (4 without a target), for which μ̂ cannot be improved on; fewer than 2
        periods; a singular covariance.

    References
    ----------
    James & Stein (1961), Estimation with quadratic loss. For estimated targets: Efron & Morris
    (1973), Stein's estimation rule and its competitors.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo import james_stein
    >>> returns = np.random.default_rng(0).normal([0.01, 0.02, 0.03, 0.04], 0.05, (24, 4))
    >>> shrunk = james_stein(returns, target=0.0)
    >>> shrunk.sample_mean.round(4).tolist()
    [0.0003, 0.0242, 0.0408, 0.0582]
    >>> shrunk.mean.round(4).tolist(), round(shrunk.intensity, 3)
    ([0.0003, 0.0234, 0.0394, 0.0562], 0.034)
    """
    sample = _sample(returns)
    n = len(sample.labels)
    degrees = n - (3 if target is None else 2)
    if degrees < 1:
        raise InputError(
            f"James and Stein's mean of {n} assets is no better than the sample mean; it takes at "
            f"least {n - degrees + 1} {'without a target' if target is None else 'with a target'}"
        )
    if covariance is None:
        goal = _target(target, sample.mean.mean(), sample.labels)
        distance = float(((sample.mean - goal) ** 2).sum()) / float(sample.errors.mean())
    else:
        inverse = _inverse(covariance, sample.labels)
        goal = _target(target, _minimum_variance_mean(inverse, sample.mean), sample.labels)
        distance = _squared_distance(inverse, sample, goal)
    a = degrees / distance if distance > 0.0 else np.inf
    if positive_part or not np.isfinite(a):
        a = min(a, 1.0)
    return _shrunk(sample, goal, a)


def bayes_stein(returns: Matrix) -> ShrunkMean:
    """The mean by Jorion: an empirical Bayes estimator whose prior is centred on one mean for all.

        a = (n + 2) / ((n + 2) + T d'Σ⁻¹d),   d = μ̂ − μ₀ 1,   μ₀ = 1'Σ⁻¹μ̂ / 1'Σ⁻¹1

    with Σ = S (T − 1)/(T − n − 2). The covariance of the next period's returns that goes with it is
    Σ (1 + 1/(T + k)) + k / (T (T + 1 + k)) 11' / (1'Σ⁻¹1) for k = (n + 2) / (d'Σ⁻¹d).

    Parameters
    ----------
    returns : (T, n) DataFrame or array
        Decimals per period.

    Raises
    ------
    InputError
        T ≤ n + 2 periods, a singular sample covariance.

    References
    ----------
    Jorion (1986), Bayes–Stein estimation for portfolio analysis, equations (14)-(17).

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo import bayes_stein
    >>> returns = np.random.default_rng(0).normal([0.01, 0.02, 0.03, 0.04], 0.05, (24, 4))
    >>> shrunk = bayes_stein(returns)
    >>> shrunk.mean.round(4).tolist(), round(shrunk.intensity, 3)
    ([0.0088, 0.0246, 0.0356, 0.0471], 0.339)
    """
    sample = _sample(returns)
    n, T = len(sample.labels), sample.periods
    if T <= n + 2:
        raise InputError(
            f"{T} periods are too few for {n} assets; Jorion's mean needs at least {n + 3}"
        )
    sigma = sample.covariance * ((T - 1) / (T - n - 2))
    inverse = _inverse(DenseCovariance(sigma, sample.labels), sample.labels)
    goal = _target(_minimum_variance_mean(inverse, sample.mean), 0.0, sample.labels)
    distance = _squared_distance(inverse, sample, goal)
    a = (n + 2) / (n + 2 + distance)
    # k = T a / (1 − a), which is infinite where all sample means are equal.
    spread = sigma * (1.0 + (1.0 - a) / T) + a / (T + 1 - a) / float(inverse.sum())
    return _shrunk(sample, goal, a, DenseCovariance(spread, sample.labels))


def baranchik(returns: Matrix, target: Target = None) -> ShrunkMean:
    """The mean by one of Baranchik's estimators: never all the way to the target.

        a = Σ_i v_i / (‖μ̂ − μ₀‖² + Σ_i v_i),   v_i = s_i²/T

    It is minimax for n ≥ 4 assets with equal v_i and a target that is given. The optimal intensity
    is something else: it has the true mean in the place of μ̂, whose distance from μ₀ contains Σ v_i
    already; where the target is right, this one stops near ½.

    Parameters
    ----------
    returns : (T, n) DataFrame or array
        Decimals per period.
    target : number, Series or (n,) array, optional
        μ₀; by default the mean of the μ̂_i.

    Raises
    ------
    InputError
        Fewer than 2 periods; a target that does not fit.

    References
    ----------
    Baranchik (1970), A family of minimax estimators of the mean of a multivariate normal
    distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo import baranchik
    >>> returns = np.random.default_rng(0).normal([0.01, 0.02, 0.03, 0.04], 0.05, (24, 4))
    >>> shrunk = baranchik(returns, target=0.0)
    >>> shrunk.mean.round(4).tolist(), round(shrunk.intensity, 3)
    ([0.0003, 0.0227, 0.0382, 0.0545], 0.063)
    """
    sample = _sample(returns)
    goal = _target(target, sample.mean.mean(), sample.labels)
    noise = float(sample.errors.sum())
    return _shrunk(sample, goal, noise / (float(((sample.mean - goal) ** 2).sum()) + noise))


def ledoit_wolf(returns: Matrix) -> ShrunkCovariance:
    """The covariance by Ledoit & Wolf: (1 − a) S + a m I with the a of least expected error.

    S has the divisor T and m is the mean of its variances. As a term of a mean–variance problem it
    is ridge: risk aversion λ (1 − a) and the penalty λ a m/2 · ‖w‖².

    Parameters
    ----------
    returns : (T, n) DataFrame or array
        Decimals per period.

    Raises
    ------
    InputError
        scikit-learn is not installed; fewer than 2 periods.

    References
    ----------
    Ledoit & Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices;
    the intensity is scikit-learn's.

    Examples
    --------
    >>> import numpy as np
    >>> from rrp_pyomo import ledoit_wolf
    >>> returns = np.random.default_rng(0).normal(0.0, [0.05, 0.02], (24, 2))
    >>> shrunk = ledoit_wolf(returns)
    >>> shrunk.covariance.volatilities().round(4).tolist(), round(shrunk.intensity, 3)
    ([0.0437, 0.0204], 0.185)
    """
    require_extra("sklearn", "ledoit_wolf()")
    from sklearn.covariance import ledoit_wolf as fitted

    sample = _sample(returns)
    matrix, a = fitted(sample.returns)
    T = sample.periods
    m = float(sample.covariance.diagonal().mean()) * (T - 1) / T
    return ShrunkCovariance(DenseCovariance(matrix, sample.labels), float(a), m)


class _Sample(NamedTuple):
    """Returns with their mean, the variances of that mean's entries, and S (ddof = 1)."""

    returns: FloatArray
    labels: Labels
    mean: FloatArray
    errors: FloatArray
    covariance: FloatArray

    @property
    def periods(self) -> int:
        """T."""
        return len(self.returns)


def _sample(returns: Matrix) -> _Sample:
    array = as_floats(returns, "returns", 2)
    T, n = array.shape
    labels = agreed_labels("asset", n, returns=labels_of(returns, 1))
    if T < 2:
        raise InputError(f"returns have {T} period(s); at least 2 are needed for their variance")
    dates = labels_of(returns)
    require_finite(array, "the return", range(T) if dates is None else dates, labels)
    S = np.atleast_2d(np.cov(array, rowvar=False))
    return _Sample(array, labels, array.mean(axis=0), S.diagonal() / T, S)


def _target(target: Target, default: float, labels: Labels) -> FloatArray:
    """μ₀ as an array: one number for all assets, or one for each."""
    if target is None:
        target = default
    if np.ndim(target) == 0:
        return np.full(len(labels), as_number(target, "target"))
    return by_label(target, labels, "target")


def _inverse(covariance: Covariance, labels: Labels) -> FloatArray:
    """Σ⁻¹ in the order of the assets."""
    require_kind(covariance, Covariance, "covariance", "such as DenseCovariance(matrix)")
    sigma = multiplied_out(covariance.select(labels).operator)
    size = np.sqrt(np.outer(sigma.diagonal(), sigma.diagonal()))
    if np.linalg.cond(sigma / size) > 1e12:
        raise InputError(
            f"the covariance of {len(labels)} assets is singular; leave out assets that others "
            "replicate, or use more periods than assets"
        )
    inverse: FloatArray = np.linalg.inv(sigma / size) / size
    return inverse


def _minimum_variance_mean(inverse: FloatArray, mean: FloatArray) -> float:
    """1'Σ⁻¹μ / 1'Σ⁻¹1."""
    ray = inverse.sum(axis=0)
    return float(ray @ mean / ray.sum())


def _squared_distance(inverse: FloatArray, sample: _Sample, goal: FloatArray) -> float:
    """T (μ̂ − μ₀)'Σ⁻¹(μ̂ − μ₀)."""
    d = sample.mean - goal
    return float(sample.periods * (d @ inverse @ d))


def _shrunk(
    sample: _Sample, goal: FloatArray, a: float, covariance: Covariance | None = None
) -> ShrunkMean:
    index = index_of(sample.labels)
    return ShrunkMean(
        pd.Series((1.0 - a) * sample.mean + a * goal, index, name="mean"),
        float(a),
        pd.Series(goal, index, name="target"),
        pd.Series(sample.mean, index, name="sample_mean"),
        covariance,
    )
