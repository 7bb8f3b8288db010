"""Which assets share the risk: exactly k of them, chosen by binary variables."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from rrp_pyomo.data import Covariance, ResolvedWeightSet
from rrp_pyomo.data.covariance import multiplied_out
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InputError, brief, is_number
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Variable, geometric_mean, norm, square
from rrp_pyomo.models.weights import signed
from rrp_pyomo.program import Program

# Up to this relative gap the bounds on weights are tight; beyond it they give way.
_NEAR_PARITY = 0.01


@dataclass(frozen=True)
class Selection:
    """That exactly k assets are held, and how much of each at least.

    Attributes
    ----------
    cardinality : int
    minimum_weight : float
        Of |x_i|, for those that are held.
    """

    cardinality: int
    minimum_weight: float

    @classmethod
    def of(
        cls,
        cardinality: int | None,
        minimum_weight: float | None,
        budgets: Any,
        X: ResolvedWeightSet,
    ) -> Selection | None:
        """What a problem's arguments say; None where all assets share the risk.

        Raises
        ------
        InputError
            Numbers that no selection has, or budgets beside it.
        """
        if cardinality is None:
            if minimum_weight is not None:
                raise InputError(
                    f"minimum_weight={brief(minimum_weight)} is of the assets that are selected; "
                    "give cardinality=k, how many that are: a contribution of 1/k is only known "
                    "then"
                )
            return None
        n = len(X.labels)
        if not (is_number(cardinality, Integral) and 1 <= cardinality <= n):
            raise InputError(
                f"cardinality is {brief(cardinality)}; expected a whole number from 1 to {n}"
            )
        if budgets is not None:
            raise InputError(
                f"budgets were given beside cardinality={cardinality}; leave them out: the assets "
                "that are selected share the risk equally, 1/k each"
            )
        k = int(cardinality)
        least = 0.0 if minimum_weight is None else as_number(minimum_weight, "minimum_weight")
        room = np.sort(largest_weights(X))[-k:]
        most = min(float(room[0]), total_weight(X) / k)
        if not 0 <= least <= most:
            raise InputError(
                f"minimum_weight is {least:.6g}; expected at least 0 and at most {most:.6g} for "
                f"{k} assets of this weight set"
            )
        if not np.isfinite(room).all():
            raise InputError(
                f"cardinality={k} needs a largest weight for every asset; give upper= in the "
                "weight set, which is neither long-only and fully invested nor has a gross"
            )
        return cls(k, least)


def largest_weights(X: ResolvedWeightSet) -> FloatArray:
    """The largest |x_i| that bounds and normalisation allow; infinite where nothing does."""
    signs = np.ones(len(X.labels)) if X.signs is None else X.signs
    return np.minimum(np.where(signs > 0, X.upper, -X.lower), _normalisation(X))


def total_weight(X: ResolvedWeightSet) -> float:
    """The largest Σ|x_i|."""
    return min(_normalisation(X), float(largest_weights(X).sum()))


def _normalisation(X: ResolvedWeightSet) -> float:
    if X.gross is not None:
        return X.gross
    return 1.0 if X.fully_invested and X.long_only else np.inf


def state_selection(
    program: Program, X: ResolvedWeightSet, x: Variable, selection: Selection
) -> Variable:
    """The binaries s with 1's = k, and weights |x_i| between minimum_weight · s_i and u_i s_i."""
    most, k = largest_weights(X), selection.cardinality
    selected = program.variable(
        "selected", x.labels, upper=np.where(most > 0, 1.0, 0.0), domain="binary"
    )
    program.subject_to(
        cardinality=selected.sum() == float(k),
        largest_weight=signed(X, x) <= most * selected,
    )
    if selection.minimum_weight:
        program.subject_to(smallest_weight=signed(X, x) >= selection.minimum_weight * selected)
    return selected


class Shared(NamedTuple):
    """What every statement about contributions of selected assets has.

    Attributes
    ----------
    selected : Variable
        s, binaries by asset.
    p : Variable
        √(x'Σx / n).
    t_selected : Variable
        t_i with x_i z_i ≥ t_i², 0 where s_i = 0.
    largest : float
        The largest t_i.
    sigma, correlation : arrays
        Of s_i x_i, in multiples of the unit.
    """

    selected: Variable
    p: Variable
    t_selected: Variable
    largest: float
    sigma: FloatArray
    correlation: FloatArray


def _state_contributions(
    program: Program,
    x: Variable,
    X: ResolvedWeightSet,
    covariance: Covariance,
    unit: float,
    selection: Selection,
) -> Shared:
    """The roots t_i of contributions at most x_i (Σx)_i, 0 where an asset is not selected.

        z_i ≤ (Σx)_i + M_i (1 − s_i),   x_i z_i ≥ t_i²,   ‖Σ^{1/2} x‖₂ ≤ √n p,   t_i ≤ T s_i

    M_i > 0 lets the marginal risk of an asset that is not selected be negative.
    """
    n, k = x.size, selection.cardinality
    Sigma = Named("Sigma", covariance.operator / unit)
    root = Named("root", covariance.root / np.sqrt(unit))
    sigma = np.sqrt(covariance.variances / unit)
    signs = np.ones(n) if X.signs is None else X.signs
    matrix = multiplied_out(covariance.operator) / unit * np.outer(signs, signs)
    total, most = total_weight(X), largest_weights(X)
    # The largest √(x'Σx), and the largest t by t² Σ_S 1/σ_i ≤ Σ_S x_i √(x'Σx).
    risk = min(total * sigma.max(), float(np.sort(most * sigma)[-k:].sum()))
    T = min(np.sqrt(risk * total / np.sort(1 / sigma)[:k].sum()), risk / np.sqrt(k))
    M = total * np.maximum(-matrix.min(axis=1), 0.0)

    u, s = signed(X, x), state_selection(program, X, x, selection)
    z = program.variable("z", x.labels, lower=0, upper=sigma * risk + M, unit=n)
    p = program.variable("p", lower=0, upper=risk / np.sqrt(n))
    t_selected = program.variable("t_selected", x.labels, lower=0, upper=T)
    program.subject_to(
        marginal_risk=z <= signed(X, Sigma @ x) + M * (1 - s),
        hyperbolic=u * z >= square(t_selected),
        portfolio_risk=norm(root @ x) <= np.sqrt(n) * p,
        no_contribution=t_selected <= T * s,
    )
    program.expression("volatility", np.sqrt(n * unit) * p)
    return Shared(s, p, t_selected, T, sigma, matrix / np.outer(sigma, sigma))


def state_parity_of_selected(
    program: Program,
    x: Variable,
    X: ResolvedWeightSet,
    covariance: Covariance,
    unit: float,
    selection: Selection,
) -> None:
    """Problem (11) over the selected assets S, |S| = k, for weights that are 0 elsewhere.

        minimise    √(n/k) p − t
        subject to  z_i ≤ (Σx)_i + M_i (1 − s_i),    x_i z_i ≥ t_i²,    ‖Σ^{1/2} x‖₂ ≤ √n p,
                    t_i = t s_i,   s ∈ {0, 1}ⁿ,   1's = k,   x_i ≤ u_i s_i

    As Σ_S t_i² ≤ Σ_S x_i z_i ≤ x'Σx ≤ n p², the objective is never negative, and 0 exactly where
    the k assets contribute the same. The product t s_i is linear by its envelope, with 1's = k
    multiplied by t as its strongest row; the rows ``lower_ratio`` and ``upper_ratio`` are implied,
    see :func:`parity_bounds`, and what makes branch and bound fast.
    """
    n, k = x.size, selection.cardinality
    s, p, t_selected, T, sigma, correlation = _state_contributions(
        program, x, X, covariance, unit, selection
    )
    t = program.variable("t", lower=0, upper=T)
    gap = np.sqrt(n / k) * p - t

    program.minimize(gap)
    program.subject_to(
        equal_contributions=t_selected >= t - T * (1 - s),
        largest_contribution=t_selected <= t,
        contributions=t_selected.sum() == k * t,
        nonnegative_gap=gap >= 0,
    )
    bounds = parity_bounds(correlation, k)
    if bounds is not None:
        lower, upper, lower_slope, upper_slope = bounds
        scaled = (np.sqrt(k) * sigma) * signed(X, x)
        program.subject_to(
            lower_ratio=scaled >= lower * t_selected - lower_slope * gap,
            upper_ratio=scaled <= upper * t_selected + (upper + upper_slope) * gap,
        )
    program.expression("slack", np.sqrt(k * unit) * gap)


def state_gap_of_selected(
    program: Program,
    x: Variable,
    X: ResolvedWeightSet,
    covariance: Covariance,
    unit: float,
    selection: Selection,
) -> None:
    """The gap between volatility and the geometric mean of the selected assets' contributions.

        minimise    √(n/k) p − g
        subject to  z_i ≤ (Σx)_i + M_i (1 − s_i),    x_i z_i ≥ t_i²,    ‖Σ^{1/2} x‖₂ ≤ √n p,
                    gⁿ ≤ Π_i r_i,   r_i ≤ t_i + T (1 − s_i),   r_i ≤ g + T s_i,
                    s ∈ {0, 1}ⁿ,   1's = k,   x_i ≤ u_i s_i

    An asset that is not selected has r_i ≤ g, so that g^k ≤ Π_S t_i remains; by the inequality of
    the means k g ≤ Σ_S t_i ≤ √k √n p, the first of which is a row and the second says that the
    objective is never negative, and 0 exactly where the k assets contribute the same.
    """
    n, k = x.size, selection.cardinality
    s, p, t_selected, T, *_ = _state_contributions(program, x, X, covariance, unit, selection)
    g = program.variable("g", lower=0, upper=T)
    r = program.variable("r", x.labels, lower=0, upper=T)
    gap = np.sqrt(n / k) * p - g

    program.minimize(gap)
    program.subject_to(
        contribution=r <= t_selected + T * (1 - s),
        no_part=r <= g + T * s,
        spread=geometric_mean(r, cones="second_order") >= g,
        contributions=t_selected.sum() >= k * g,
        nonnegative_gap=gap >= 0,
    )
    program.expression("parity_gap", np.sqrt(k * unit) * gap)


def parity_bounds(
    correlation: FloatArray, k: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray] | None:
    """Bounds on weights times volatilities that hold for every choice of k assets at parity.

    With v_i = k σ_i x_i / √(x'Σx), contributions of the k assets are equal where v_i (Cv)_i = k on
    S, C being the correlations, or v_i² + v_i r_i = k with r_i = Σ_{j ∈ S, j ≠ i} C_ij v_j. Bounds
    on v bound each r_i by its k − 1 smallest and largest terms, which bound v in turn. Where the
    smallest contribution is (1 − δ)² / k of x'Σx, the others are at most (1 + (k − 1) δ)² / k of
    it, which stands in for k on the right: the bounds are for δ ≤ 0.01, beyond which slopes make
    them true.

    Returns
    -------
    lower, upper, lower_slope, upper_slope : (n,) arrays, or None where C is singular
        lower − lower_slope δ ≤ v ≤ upper + upper_slope δ for selected assets.
    """
    n = len(correlation)
    eigenvalue = float(np.linalg.eigvalsh(correlation)[0])
    if (correlation >= 0).all():
        largest = float(k)  # v_i² ≤ v'Cv = k²
    elif eigenvalue > 1e-6:
        largest = k / np.sqrt(eigenvalue)
    else:
        return None
    delta = _NEAR_PARITY
    least, most = k * (1 - delta) ** 2, k * (1 + (k - 1) * delta) ** 2
    lower, upper = np.full(n, least / k), np.full(n, largest)
    others = ~np.eye(n, dtype=bool)
    for _ in range(30):
        ends = correlation * lower, correlation * upper
        low = np.sort(np.minimum(*ends)[others].reshape(n, n - 1))[:, : k - 1].sum(axis=1)
        high = np.sort(np.maximum(*ends)[others].reshape(n, n - 1))[:, n - k :].sum(axis=1)
        upper = np.minimum(upper, (np.sqrt(low**2 + 4 * most) - low) / 2)
        lower = np.maximum(lower, (np.sqrt(high**2 + 4 * least) - high) / 2)
    return lower, upper, lower / delta, (largest - upper) / delta


def selected_of(x: FloatArray, k: int) -> FloatArray:
    """1 for the k largest weights in size, 0 for the others."""
    selected = np.zeros(x.size)
    selected[np.argsort(-np.abs(x), kind="stable")[:k]] = 1.0
    return selected


def selected_values(
    x: FloatArray, X: ResolvedWeightSet, covariance: Covariance, unit: float, k: int
) -> dict[str, Any]:
    """The best values of the variables that are shared, for given weights."""
    selected = selected_of(x, k)
    u, marginal = signed(X, x), signed(X, covariance.operator @ x) / unit
    z = np.maximum(marginal, 0.0)
    return {
        "x": x,
        "selected": selected,
        "z": z,
        "p": np.sqrt(np.maximum(u @ marginal, 0.0) / x.size),
        "t_selected": np.sqrt(np.maximum(u * z, 0.0)) * selected,
    }
