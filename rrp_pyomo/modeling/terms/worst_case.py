"""Worst cases over uncertainty sets, and variances.

Inside ``worst_case(…)`` stand *uncertain terms*: u'd with u in a set of means, w'Σw with Σ in a set
of covariances, CVaR_α(−w'R) with R of a set of distributions. The data of different symbols vary
independently, so that the worst case of their sum is the sum of their worst cases, each of which is
the support function of its set (Ben-Tal, den Hertog & Vial 2015, Deriving robust counterparts of
nonlinear uncertain inequalities).
"""

from __future__ import annotations

import copy
import itertools
from abc import abstractmethod
from collections import Counter
from typing import Any

import numpy as np

from rrp_pyomo.data.covariance import Covariance, DenseCovariance
from rrp_pyomo.data.uncertainty import CovarianceUncertainty
from rrp_pyomo.errors import InputError, ModelError, brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Term, Weighted
from rrp_pyomo.modeling.expressions import Affine, flattened
from rrp_pyomo.modeling.notation import joined, of_numbers
from rrp_pyomo.modeling.operators import Comparison, Expression
from rrp_pyomo.modeling.terms.squares import sum_squares
from rrp_pyomo.modeling.uncertain import Uncertain, UncertainCovariance, kind_of, split


class UncertainTerm(Term):
    """A function of a symbol of uncertain data in a direction that variables choose.

    Attributes
    ----------
    symbol : Uncertain or UncertainCovariance
    direction : Affine
        Without uncertain data.
    """

    is_uncertain = True
    symbol: Any

    @property
    def direction(self) -> Affine:
        return self.arguments[0]

    def towards(self, direction: Affine) -> Any:
        """The same function in another direction."""
        result = copy.copy(self)
        result.arguments = (direction,)
        return result

    @abstractmethod
    def largest(self, sign: float) -> Any:
        """The largest value over the set as an expression; for sign −1 the smallest one."""

    @abstractmethod
    def at(self, element: Any) -> Any:
        """The expression for one element of the set."""

    @abstractmethod
    def largest_at(self, direction: FloatArray, sign: float) -> float:
        """The same in numbers."""

    @abstractmethod
    def worst(self, direction: FloatArray, sign: float) -> Any:
        """The element that attains it."""

    @abstractmethod
    def gradient(self, element: Any, direction: FloatArray) -> FloatArray:
        """The gradient in the direction where an element is fixed."""

    @abstractmethod
    def mixture(self, weights: FloatArray, elements: list[Any]) -> Any:
        """Σ weight · element, for weights that sum to 1."""

    def beside(self, other: UncertainTerm, ratio: float) -> UncertainTerm | None:
        """self + ratio · other as one term; None where the two have no worst case together."""
        return None

    def value(self, x: FloatArray) -> FloatArray:
        raise ModelError(
            f"{self.name}(…) of uncertain data has no value outside worst_case(…); write "
            f"worst_case({self.name}(…))"
        )


class UncertainMean(UncertainTerm):
    """u'd with u in a set of means."""

    name = "uncertain mean"
    curvature = 0

    def __init__(self, symbol: Uncertain, direction: Affine) -> None:
        self.symbol = symbol
        self.arguments = (direction,)

    def largest(self, sign: float) -> Any:
        support = self.symbol.members.support
        return support(self.direction) if sign > 0.0 else -support(-self.direction)

    def at(self, element: Any) -> Any:
        return element.to_numpy() @ self.direction

    def largest_at(self, direction: FloatArray, sign: float) -> float:
        return float(sign * self.symbol.members.support(sign * direction))

    def worst(self, direction: FloatArray, sign: float) -> Any:
        return self.symbol.members.worst(sign * direction)

    def gradient(self, element: Any, direction: FloatArray) -> FloatArray:
        return np.asarray(element, float)

    def mixture(self, weights: FloatArray, elements: list[Any]) -> Any:
        return sum(weight * element for weight, element in zip(weights, elements, strict=True))


class UncertainVariance(UncertainTerm):
    """d'Σd with Σ in a set of covariances."""

    name = "variance"
    curvature = 1

    def __init__(self, symbol: UncertainCovariance, direction: Affine) -> None:
        self.symbol = symbol
        self.arguments = (direction,)

    def largest(self, sign: float) -> Any:
        return self.symbol.members.variance(self.direction)

    def at(self, element: Any) -> Any:
        return variance(self.direction, element)

    def largest_at(self, direction: FloatArray, sign: float) -> float:
        return float(self.symbol.members.variance(direction))

    def worst(self, direction: FloatArray, sign: float) -> Any:
        return self.symbol.members.worst(direction)

    def gradient(self, element: Any, direction: FloatArray) -> FloatArray:
        return np.asarray(2.0 * (element.operator @ direction))

    def mixture(self, weights: FloatArray, elements: list[Any]) -> Any:
        parts = zip(weights, elements, strict=True)
        return DenseCovariance(sum(weight * element.matrix() for weight, element in parts))


class WorstCase(Term):
    """The largest value of an uncertain term, or the smallest: whichever hurts where it stands.

    Attributes
    ----------
    of : UncertainTerm
    side : float
        1 for the largest, −1 for the smallest, 0 as long as it stands nowhere.
    written : tuple
        The notation of the worst case that it is the whole of; None where it is a part.
    """

    name = "worst_case"

    def __init__(self, of: UncertainTerm, side: float = 0.0, written: Any = None) -> None:
        self.of = of
        self.side = side
        self.written = written
        self.data = of.symbol
        self.arguments = of.arguments
        self.curvature = int(side) if of.curvature == 0 else of.curvature

    def value(self, x: FloatArray) -> FloatArray:
        if self.side == 0.0:
            raise ModelError(
                "worst_case(…) is a largest or a smallest value by where it stands; state it in an "
                "objective or a constraint of a program first"
            )
        return np.array([self.of.largest_at(self.of.direction.value(x), self.side)])

    def worst(self, x: FloatArray) -> Any:
        """The element that attains it at a point."""
        return self.of.worst(self.of.direction.value(x), self.side)


def worst_case(expression: Any) -> Any:
    """The worst value of an expression over the sets of its uncertain data, a scalar.

    The adversary opposes: in an objective that is maximised, and on the large side of ``>=``, it is
    the smallest value, elsewhere the largest. Expressions without uncertain data are their own
    worst case.

    Parameters
    ----------
    expression : scalar expression
        Affine in the means that are uncertain, ``worst_case(mu @ w - costs @ w)``, and multiples of
        ``variance(w, set)`` and ``cvar(-(R @ w), alpha)``, with an expected loss ``cvar(-(R @ w),
        1)`` beside it. Data of different symbols vary independently of each other.

    Raises
    ------
    InputError
        Several rows.
    ModelError
        Uncertain data inside another term, or the same ones in two terms: these have no exact
        convex counterpart.

    References
    ----------
    Ben-Tal, den Hertog & Vial (2015), Deriving robust counterparts of nonlinear uncertain
    inequalities.

    Examples
    --------
    The best of the worst means, where the first asset's mean is less well known:

    >>> from rrp_pyomo import Program, solve_program, worst_case
    >>> from rrp_pyomo.uncertainty import Box
    >>> program = Program("maximin")
    >>> w = program.variable("w", 2, lower=0)
    >>> mu = program.uncertain("mu", Box([0.05, 0.04], [0.02, 0.005]))
    >>> program.subject_to(invested=w.sum() == 1)
    >>> program.maximize(worst_case(mu @ w))
    >>> solution = solve_program(program)
    >>> solution.values["w"].round(4).tolist(), round(solution.objective, 4)
    ([0.0, 1.0], 0.035)
    """
    if not isinstance(expression, Expression):
        raise InputError(
            f"worst_case() was given {brief(expression)}; expected an expression of variables and "
            "uncertain data, such as mu @ w"
        )
    if expression.size != 1:
        raise InputError(
            f"worst_case() was given {expression.size} rows, {expression!r}; expected a scalar, "
            "such as its .sum(): each worst case is one of its own"
        )
    terms = expression.terms if isinstance(expression, Composite) else ()
    affine = expression.affine if isinstance(expression, Composite) else expression
    assert isinstance(affine, Affine)
    certain, directions = split(affine)
    found: list[Weighted] = [
        Weighted(WorstCase(_mean(symbol, direction))) for symbol, direction in directions.items()
    ]
    for weighted in terms:
        term = weighted.term
        if getattr(term, "is_uncertain", False):
            found.append(weighted._replace(term=WorstCase(term)))
            continue
        _require_certain_term(term, expression)
        found.append(weighted)
    found = _with_expectations(found)
    worst = [w.term for w in found if isinstance(w.term, WorstCase)]
    if not worst:
        return expression
    _require_each_once(worst)
    written = joined("worst_case", expression.notation)
    if len(found) == 1 and not certain.terms and not np.any(certain.constant):
        found[0].term.written = written if found[0].is_alone else None
    certain.notation = None
    return Composite(certain, tuple(found), written)


def _mean(symbol: Uncertain, direction: Affine) -> UncertainMean:
    if kind_of(symbol.members) == "distribution":
        raise ModelError(
            f"{symbol.name!r} is a return whose distribution is uncertain, and a return has no "
            f"worst case; take the risk of it, cvar(-({symbol.name} @ w), alpha), which at "
            "alpha = 1 is the expected loss"
        )
    return UncertainMean(symbol, direction)


def _require_certain_term(term: Term, expression: Any) -> None:
    if isinstance(term, WorstCase):
        raise ModelError(
            "worst_case(…) stands inside worst_case(…); write worst_case(a) + worst_case(b)"
        )
    uncertain = [argument for argument in term.arguments if argument.is_uncertain]
    if uncertain:
        raise ModelError(
            f"worst_case({expression!r}) holds {term.name}(…) of {uncertain[0]!r}: uncertain data "
            "in such a term have no exact convex counterpart; give the adversary affine functions, "
            "variance(w, set) or cvar(-(R @ w), alpha)"
        )


def _with_expectations(found: list[Weighted]) -> list[Weighted]:
    """Terms of one symbol as one term, where two of them have a worst case together."""
    for a, b in itertools.permutations(found, 2):
        both = (a.term, a.weight, b.term, b.weight)
        match both:
            case WorstCase(), float(), WorstCase(), float() if a.weight > 0.0 <= b.weight:
                together = a.term.of.beside(b.term.of, b.weight / a.weight)
                if together is not None:
                    rest = [w for w in found if w is not a and w is not b]
                    return [*rest, Weighted(WorstCase(together), a.weight)]
    return found


def _require_each_once(worst: list[WorstCase]) -> None:
    """Raise where a worst case has uncertain data in two terms, which it cannot choose apart."""
    counts = Counter(id(term.data.members) for term in worst)
    for term in worst:
        if counts[id(term.data.members)] > 1:
            raise ModelError(
                f"{term.data.name!r} stands in two terms of one worst_case(…), whose largest "
                "values go with different elements; write worst_case(a) + worst_case(b), which is "
                "at least as large"
            )


def variance(w: Affine, covariance: Any) -> Composite:
    """w'Σw, the variance of a portfolio, a scalar: convex.

    Parameters
    ----------
    w : Affine
        A row for each asset.
    covariance : Covariance, DataFrame, array, set of covariances, or uncertain covariance
        Of a point it is ``sum_squares(covariance.root @ w)``, and a factored one stays factored. Of
        a set, with or without a name, it is uncertain and stands inside ``worst_case``.

    Raises
    ------
    InputError
        Other labels than those of w, or what is no covariance.

    Examples
    --------
    >>> from rrp_pyomo import Program, solve_program, variance
    >>> program = Program("minimum_variance")
    >>> w = program.variable("w", 2, lower=0)
    >>> program.subject_to(invested=w.sum() == 1)
    >>> program.minimize(variance(w, [[0.04, 0.0], [0.0, 0.01]]))
    >>> solution = solve_program(program)
    >>> solution.values["w"].round(4).tolist(), round(solution.objective, 4)
    ([0.2, 0.8], 0.008)
    """
    (w,) = flattened((w,))
    if w.is_uncertain:
        raise ModelError(
            f"{w!r} is uncertain; a variance takes weights that are certain: leave "
            f"{', '.join(map(repr, w.names()))} out of them"
        )
    if isinstance(covariance, UncertainCovariance):
        return _uncertain_variance(w, covariance)
    if isinstance(covariance, Covariance):
        return _certain_variance(w, covariance)
    if kind_of(covariance) == "covariance":
        return _uncertain_variance(w, UncertainCovariance(None, "covariance", covariance))
    if kind_of(covariance) is not None or isinstance(covariance, Expression):
        raise InputError(
            f"variance() was given {brief(covariance)}; expected a covariance or a set of them"
        )
    if isinstance(covariance, CovarianceUncertainty):
        raise InputError(
            "variance() was given a CovarianceUncertainty; expected a covariance or a set of them, "
            "such as CovarianceBox.of_uncertainty(uncertainty)"
        )
    labels = None if hasattr(covariance, "index") else w.labels or tuple(range(w.size))
    return _certain_variance(w, DenseCovariance(covariance, labels))


def _certain_variance(w: Affine, covariance: Covariance) -> Composite:
    result = sum_squares(w._in_order(covariance.labels).__rmatmul__(covariance.root))
    result.notation = joined("variance", w.notation, of_numbers(covariance))
    return result


def _uncertain_variance(w: Affine, symbol: UncertainCovariance) -> Composite:
    term = UncertainVariance(symbol, w._in_order(symbol.labels))
    return Composite.of(term, joined("variance", w.notation, symbol.notation))


def has_worst_case(stated: Any) -> bool:
    """Whether a worst case is among the terms of an expression or a comparison."""
    body = stated.body if isinstance(stated, Comparison) else stated
    return isinstance(body, Composite) and any(isinstance(w.term, WorstCase) for w in body.terms)


def opposed(stated: Any, maximizing: bool = False) -> Any:
    """A comparison or an objective whose worst cases are those of an adversary who opposes it."""
    if not has_worst_case(stated):
        return stated
    if not isinstance(stated, Comparison):
        return _opposed(stated, -1.0 if maximizing else 1.0)
    if stated.sense == "==":
        raise ModelError(
            f"{stated!r} holds a worst case, and an equation has no side from which an adversary "
            "could oppose; state it as <= or >="
        )
    left, right = _opposed(stated.left, stated.sign), _opposed(stated.right, -stated.sign)
    return Comparison(left, stated.sense, right, left - right)


def _opposed(side: Any, sign: float) -> Any:
    """Terms that are kept small where sign · weight is positive are largest values."""
    if not has_worst_case(side):
        return side
    terms = tuple(
        w._replace(term=WorstCase(w.term.of, np.copysign(1.0, sign * _sign(w)), w.term.written))
        if isinstance(w.term, WorstCase)
        else w
        for w in side.terms
    )
    return Composite(side.affine, terms, side.notation)


def _sign(weighted: Weighted) -> float:
    """The sign of a weight; of one that is 0 now, the one that positive parameters give it."""
    number = float(np.ravel(weighted.numbers)[0])
    if number == 0.0 and isinstance(weighted.weight, Affine):
        number = float(sum(np.sum(block) for block in weighted.weight.terms.values()))
    return -1.0 if number < 0.0 else 1.0
