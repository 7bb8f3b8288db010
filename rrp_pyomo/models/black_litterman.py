"""Black & Litterman's posterior: what the market implies, updated by views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from rrp_pyomo.data import Covariance, DenseCovariance, WeightSet
from rrp_pyomo.data.updated_covariance import UpdatedCovariance
from rrp_pyomo.data.validation import Labels, Matrix, Vector, as_number, by_label, index_of
from rrp_pyomo.data.views import Views, ViewsLike, by_view, view_covariance
from rrp_pyomo.errors import InputError, brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.mean_variance import MeanVariance
from rrp_pyomo.uncertainty import Ellipsoid

# What rounding leaves of an eigenvalue of PτΣP' + Ω, as correlations, and of a contradiction.
_RANK_TOLERANCE = 1e-12
_AGREEMENT = 1e-8


@dataclass(frozen=True, init=False, repr=False, eq=False)
class BlackLitterman:
    """The distribution of expected returns that market weights and views give.

    The market's weights are optimal for π = λΣw, so that μ ~ N(π, τΣ) before, and a view says that
    Pμ = q up to an error ~ N(0, Ω). In Kalman's form, which needs no inverse of Ω,

        mean         π + τΣP'S⁻¹(q − Pπ),   S = PτΣP' + Ω
        covariance   M = τΣ − τΣP'S⁻¹PτΣ

    so that Ω = 0 and correlated views need nothing special.

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
        Σ of the returns, per period. A factored one stays factored, in M and in Σ + M, too.
    market_weights : Series, mapping or (n,) array, optional
        w, summing to 1, or to less with cash; 1/n by default.
    risk_aversion : float
        λ > 0 of the market, in w'μ − (λ/2) w'Σw.
    tau : float
        τ > 0; 1/T where Σ comes from T observations.
    views : text, sequence of texts, or pair (P, q)
        Such as ``"A - B = 2 %"``; see :meth:`Views.of`. None by default.
    omega : float, mapping, Series, (k,) or (k, k) array or DataFrame, optional
        Ω: one variance for all views, one for each, or their covariance. By default He &
        Litterman's diag(PτΣP'), with which the mean is free of τ.
    confidence : float, mapping, Series or (k,) array, optional
        Idzorek's, in the place of ``omega``: 0 < c ≤ 1 for each view, Ω_k = (1/c_k − 1)(PτΣP')_kk.
        One view alone moves the mean by c times what certainty would; ½ is He & Litterman's.

    Attributes
    ----------
    equilibrium : Series
        π.
    mean : Series
        The posterior mean, decimals per period.
    covariance : Covariance
        M, of the mean.
    predictive_covariance : Covariance
        Σ + M, of the next period's returns.
    returns_covariance : Covariance
        Σ.
    views : Views
    omega : (k, k) DataFrame
        Ω.

    Raises
    ------
    UnknownLabelError
        A view on an asset that the covariance does not know.
    InputError
        Views that cannot be read, that contradict each other where they are certain, Ω that is not
        positive semidefinite, a confidence outside 0 < c ≤ 1, both Ω and confidences, market
        weights that do not sum to between 0 and 1.

    References
    ----------
    Black & Litterman (1992), Global portfolio optimization; He & Litterman (1999), The intuition
    behind Black–Litterman model portfolios; Idzorek (2007), A step-by-step guide to the
    Black–Litterman model.

    Examples
    --------
    The market implies its means; a view moves them half of the way that certainty would:

    >>> from rrp_pyomo import BlackLitterman, DenseCovariance
    >>> covariance = DenseCovariance([[0.04, 0.01], [0.01, 0.02]], ["A", "B"])
    >>> market = BlackLitterman(covariance, {"A": 0.6, "B": 0.4})
    >>> market.equilibrium.round(4).to_dict()
    {'A': 0.07, 'B': 0.035}
    >>> viewed = BlackLitterman(covariance, {"A": 0.6, "B": 0.4}, views="B - A = 1 %")
    >>> viewed.mean.round(4).to_dict()
    {'A': 0.0531, 'B': 0.0406}
    """

    returns_covariance: Covariance
    market_weights: pd.Series
    risk_aversion: float
    tau: float
    views: Views
    omega: pd.DataFrame
    equilibrium: pd.Series
    mean: pd.Series
    _update: _Update

    def __init__(
        self,
        covariance: Covariance | Matrix,
        market_weights: Mapping[Any, float] | Vector | None = None,
        risk_aversion: float = 2.5,
        tau: float = 0.05,
        views: ViewsLike = (),
        *,
        omega: Any = None,
        confidence: Any = None,
    ) -> None:
        sigma = covariance if isinstance(covariance, Covariance) else DenseCovariance(covariance)
        labels, index = sigma.labels, index_of(sigma.labels)
        weights = _market_weights(market_weights, labels)
        risk_aversion = _positive(risk_aversion, "risk_aversion")
        tau = _positive(tau, "tau")
        stated = Views.of(views, labels)
        P, q = stated.P.to_numpy(), stated.q.to_numpy()
        spread = tau * (sigma.operator @ P.T)
        omega = _omega(stated, (P * spread.T).sum(axis=1), omega, confidence)
        pi = risk_aversion * (sigma.operator @ weights)
        S, surprise = P @ spread + omega, q - P @ pi
        update = _updated(S, spread, np.sqrt(tau) * (sigma.root @ P.T), tau)
        _require_agreement(S @ (update.inverse @ surprise) - surprise, surprise, stated)
        names = index_of(stated.names)
        vars(self).update(
            returns_covariance=sigma,
            market_weights=pd.Series(weights, index, name="market_weight"),
            risk_aversion=risk_aversion,
            tau=tau,
            views=stated,
            omega=pd.DataFrame(omega, names, names),
            equilibrium=pd.Series(pi, index, name="equilibrium"),
            mean=pd.Series(pi + spread @ (update.inverse @ surprise), index, name="mean"),
            _update=update,
        )

    @property
    def labels(self) -> Labels:
        """The assets, in order."""
        return self.returns_covariance.labels

    @cached_property
    def covariance(self) -> Covariance:
        """M, the covariance of the mean."""
        return self._less_what_is_known(self.tau)

    @cached_property
    def predictive_covariance(self) -> Covariance:
        """Σ + M, the covariance of the next period's returns."""
        return self._less_what_is_known(1.0 + self.tau)

    def _less_what_is_known(self, scale: float) -> UpdatedCovariance:
        known = self._update
        return UpdatedCovariance(
            self.returns_covariance,
            scale,
            known.directions,
            known.products,
            self.tau * known.shares,
        )

    @cached_property
    def view_weights(self) -> pd.Series:
        """Λ by view: optimal free weights under Σ + M are (w + P'Λ)/(1 + τ).

        Λ solves (Ω/τ + PΣP'/(1 + τ)) Λ = q/λ − PΣw/(1 + τ): each view is one portfolio, held in the
        size of its surprise, beside the market (He & Litterman 1999).
        """
        P, tau = self.views.P.to_numpy(), self.tau
        sigma = P @ (self.returns_covariance.operator @ P.T)
        seen = P @ self.equilibrium.to_numpy() / self.risk_aversion
        right = self.views.q.to_numpy() / self.risk_aversion - seen / (1.0 + tau)
        inverse, _ = _pseudo_inverse(self.omega.to_numpy() / tau + sigma / (1.0 + tau))
        return pd.Series(inverse @ right, self.views.q.index, name="view_weight")

    def problem(
        self,
        weight_set: WeightSet | None = None,
        *,
        predictive: bool = False,
        **arguments: Any,
    ) -> MeanVariance:
        """The portfolio of the posterior mean, with the market's risk aversion.

        Parameters
        ----------
        weight_set : WeightSet, optional
        predictive : bool
            Under Σ + M instead of Σ. Free weights without views are then w/(1 + τ), not w.
        **arguments
            What else :class:`MeanVariance` takes.
        """
        covariance = self.predictive_covariance if predictive else self.returns_covariance
        given = {"risk_aversion": self.risk_aversion, "weight_set": weight_set, **arguments}
        return MeanVariance(self.mean, covariance, **given)

    def ellipsoid(self, level: float = 0.95) -> Ellipsoid:
        """The set of means that holds the true one with this posterior probability.

        Its radius is the root of the quantile of χ² with as many degrees of freedom as there are
        directions that are not known for certain.

        Parameters
        ----------
        level : float
            0 < level < 1.
        """
        if not 0.0 < as_number(level, "level") < 1.0:
            raise InputError(f"level is {level:g}; expected a probability between 0 and 1")
        certain = int((self._update.shares == 1.0).sum())
        degrees = len(self.labels) - certain
        radius = float(np.sqrt(chi2.ppf(level, degrees))) if degrees else 0.0
        return Ellipsoid(self.mean, root=self.covariance.root, radius=radius)

    def __repr__(self) -> str:
        return (
            f"BlackLitterman({len(self.labels)} assets, {len(self.views)} views, "
            f"risk_aversion={self.risk_aversion:g}, tau={self.tau:g})"
        )


class _Update(NamedTuple):
    """What the views tell: S⁻¹, and the part of τΣ that they explain.

    √τ R P' S^(−½) has the left singular vectors ``directions`` and the squared singular values
    ``shares``, and ``products`` are directions'R.
    """

    inverse: FloatArray
    directions: FloatArray
    products: FloatArray
    shares: FloatArray


def _updated(S: FloatArray, spread: FloatArray, G: FloatArray, tau: float) -> _Update:
    inverse, root = _pseudo_inverse(S)
    E, sizes, _ = np.linalg.svd(G @ root, full_matrices=False)
    seen = sizes > np.sqrt(_RANK_TOLERANCE)
    E, sizes = E[:, seen], np.minimum(sizes[seen], 1.0)
    shares = np.where(1.0 - sizes**2 < 1e-13, 1.0, sizes**2)
    # E = G S^(−½) V / sizes, so that E'R = V' S^(−½) √τ PΣ / sizes.
    V = root.T @ (G.T @ E) / sizes
    products = (V / sizes).T @ (root.T @ spread.T) / np.sqrt(tau)
    return _Update(inverse, E, products, shares)


def _pseudo_inverse(S: FloatArray) -> tuple[FloatArray, FloatArray]:
    """S⁺ and H with HH' = S⁺, H having full column rank; S is positive semidefinite."""
    size = np.sqrt(S.diagonal())
    size[size == 0.0] = 1.0
    values, vectors = np.linalg.eigh(S / size / size[:, None])
    kept = values > _RANK_TOLERANCE * max(1, len(S))
    H: FloatArray = vectors[:, kept] / np.sqrt(values[kept]) / size[:, None]
    return H @ H.T, H


def _require_agreement(missed: FloatArray, surprise: FloatArray, views: Views) -> None:
    """Raise where certain views contradict each other: SΛ = q − Pπ has no solution."""
    scale = np.abs(views.q.to_numpy()).max(initial=0.0) + np.abs(surprise).max(initial=0.0)
    if np.abs(missed).max(initial=0.0) > _AGREEMENT * scale:
        name = views.names[int(np.abs(missed).argmax())]
        raise InputError(
            f"view {str(name)!r} contradicts the others or the market, and nothing about them is "
            "uncertain; leave one out, or give omega or confidence"
        )


def _omega(views: Views, spread: FloatArray, omega: Any, confidence: Any) -> FloatArray:
    """Ω from what is given, ``spread`` being the diagonal of PτΣP'."""
    if confidence is None:
        return np.diag(spread) if omega is None else view_covariance(omega, views.names)
    if omega is not None:
        raise InputError(
            f"both omega = {brief(omega)} and confidence = {brief(confidence)} are given; give one"
        )
    if np.ndim(confidence) == 0 and not isinstance(confidence, Mapping):
        confidence = np.full(len(views), as_number(confidence, "confidence"))
    c = by_view(confidence, views.names, "confidence")
    for name, value in zip(views.names, c, strict=True):
        if not 0.0 < value <= 1.0:
            raise InputError(
                f"confidence in view {str(name)!r} is {value:g}; expected a number above 0, which "
                "is none, and at most 1, which is certainty"
            )
    return np.diag((1.0 / c - 1.0) * spread)


def _market_weights(given: Mapping[Any, float] | Vector | None, labels: Labels) -> FloatArray:
    if given is None:
        return np.full(len(labels), 1.0 / len(labels))
    weights = by_label(given, labels, "market_weights")
    if not 0.0 < (total := float(weights.sum())) <= 1.0 + 1e-6:
        raise InputError(
            f"market_weights sum to {total:.6g}; expected more than 0 and at most 1, what is "
            "missing being cash: divide capitalisations by their sum"
        )
    return weights


def _positive(value: float, name: str) -> float:
    number = as_number(value, name, least=0.0)
    if number == 0.0:
        raise InputError(f"{name} is {brief(value)}; expected a finite number above 0")
    return number
