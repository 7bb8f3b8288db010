"""Answers as their judges read them, and what typical wrong ones are.

Readers (:func:`number`, :func:`vector`, :func:`matrix`) take an answer in whatever form it came and
say what is missing. The ``require_…`` compare it with what the data imply: where it is something
else that they recognise, another unit, another order, one of the ``mistakes`` of the exercise, they
say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.exercises import WrongAnswer
from rrp_pyomo.data import Covariance
from rrp_pyomo.data.validation import by_label
from rrp_pyomo.errors import SolverError, brief
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.models.newton import newton

#: What weights of a budget may miss it by, and shares of risk each other.
TOLERANCE = 1e-4

# What is a little too large or too small.
_NEAR = 0.02

#: What typical mistakes give, and what to say of them.
Mistakes = Iterable[tuple[Any, str]]

#: What to say of numbers in the wrong order, and of rounded ones.
ANOTHER_ORDER = "the right numbers in another order; keep the labels, or the order of the data"
UNROUNDED = "hand in what was computed, with all its digits"

_YEAR = "means and variances of a year are 12 times those of a month, volatilities √12 times"
_FACTORS = (
    (100.0, "a hundred times too large: decimals are asked for, 0.01 is 1 %"),
    (0.01, "a hundred times too small: what is given is in decimals already, 0.01 is 1 %"),
    (1e4, "10,000 times too large: a variance in per cent squared, where decimals are asked for"),
    (12.0, f"12 times too large; {_YEAR}"),
    (1 / 12, f"12 times too small; {_YEAR}"),
    (np.sqrt(12), f"√12 times too large; {_YEAR}"),
    (1 / np.sqrt(12), f"√12 times too small; {_YEAR}"),
    (144.0, f"144 times too large; {_YEAR}"),
    (-1.0, "the sign is wrong"),
    (0.5, "half of what it should be: is there a factor of 2 too few?"),
    (2.0, "twice what it should be: is there a factor of 2 too many?"),
)


def number(answer: Any, what: str = "the answer") -> float:
    """A finite number."""
    try:
        value = float(reals(answer).item())
    except (TypeError, ValueError, OverflowError):
        raise WrongAnswer(f"{what} should be one number; given: {brief(answer)}") from None
    if not np.isfinite(value):
        raise WrongAnswer(f"{what} should be finite; given: {value}")
    return value


def vector(answer: Any, labels: Iterable[Any], what: str = "weights") -> pd.Series:
    """A number for each label, from a Series, a mapping, an array or something with ``weights``.

    What has no labels of its own, or only 0, 1, … or 1, 2, …, is in the order of ``labels``.
    """
    labels = list(labels)
    answer = getattr(answer, "weights", answer)
    if isinstance(answer, pd.DataFrame) and answer.shape[1] == 1:
        answer = answer.iloc[:, 0]
    try:
        if isinstance(answer, Mapping | pd.Series) and not _is_unlabelled(answer, labels):
            series = pd.Series(answer).astype(float)
        else:
            numbers = reals(
                list(answer.values()) if isinstance(answer, Mapping) else answer
            ).ravel()
            if numbers.size != len(labels):
                raise WrongAnswer(f"{what} should be {len(labels)} numbers; given: {numbers.size}")
            series = pd.Series(numbers, labels)
    except (TypeError, ValueError, OverflowError):
        raise WrongAnswer(
            f"{what} should be {len(labels)} numbers; given: {brief(answer)}"
        ) from None
    names = list(series.index)
    if missing := [label for label in labels if label not in names]:
        given = ", ".join(repr(label) for label in names[:3])
        raise WrongAnswer(
            f"{what}: nothing for {missing[0]!r}; {len(labels)} are asked for, and {len(series)} "
            f"given: {given}{', …' if len(series) > 3 else ''}"
        )
    if others := [label for label in names if label not in labels]:
        raise WrongAnswer(f"{what}: {others[0]!r} is none of the {len(labels)} that are asked for")
    if not series.index.is_unique:
        twice = series.index[series.index.duplicated()][0]
        raise WrongAnswer(f"{what}: {twice!r} is there more than once")
    series = series[labels]
    if not np.isfinite(series).all():
        raise WrongAnswer(
            f"{what} should be finite; {series.index[~np.isfinite(series)][0]!r} is not"
        )
    return series


def matrix(
    answer: Any,
    labels: Iterable[Any],
    what: str = "the matrix",
    columns: Iterable[Any] | None = None,
) -> pd.DataFrame:
    """A number for each row and column, from a table, an array or a ``Covariance``.

    The columns have the labels of the rows, unless there are others.
    """
    rows = list(labels)
    columns = rows if columns is None else list(columns)
    answer = answer.matrix() if isinstance(answer, Covariance) else answer
    size = f"{len(rows)} × {len(columns)}"
    try:
        if isinstance(answer, Mapping):
            answer = pd.DataFrame(answer)
        table = answer if isinstance(answer, pd.DataFrame) else pd.DataFrame(reals(answer))
        table = table.astype(float)
    except (TypeError, ValueError, OverflowError):
        raise WrongAnswer(f"{what} should be {size} numbers; given: {brief(answer)}") from None
    if table.shape != (len(rows), len(columns)):
        raise WrongAnswer(f"{what} should be {size}; given: {' × '.join(map(str, table.shape))}")
    if all(isinstance(axis, pd.RangeIndex) for axis in table.axes):
        table = pd.DataFrame(table.to_numpy(), rows, columns)
    if set(table.index) != set(rows) or set(table.columns) != set(columns):
        names = ", ".join(map(repr, rows))
        others = "" if rows == columns else f" and {', '.join(map(repr, columns))}"
        raise WrongAnswer(f"{what} should have {names}{others} as rows and columns")
    if not np.isfinite(table.to_numpy()).all():
        raise WrongAnswer(f"{what} should be finite; some entries are not")
    return table.loc[rows, columns]


def require_budget(weights: pd.Series, total: float = 1.0, so_far: str = "") -> None:
    """Weights sum to ``total``.

    ``so_far`` says of which data, or what is right whatever the sum, ``"…, but "``.
    """
    if abs(weights.sum() - 100 * total) <= 100 * TOLERANCE:
        raise WrongAnswer(f"{so_far}weights sum to 100: they are per cent, not decimals")
    if abs(weights.sum() - total) > TOLERANCE:
        told = f"{so_far}weights sum to {weights.sum():.4g}, not to {total:g}"
        if abs(weights.sum() - total) < 0.03 and is_rounded(weights):
            raise WrongAnswer(f"{told}: they look rounded, {UNROUNDED}")
        raise WrongAnswer(f"{told}: divide by their sum" if so_far.endswith("but ") else told)


def require_long_only(weights: pd.Series) -> None:
    if weights.min() < -TOLERANCE:
        raise WrongAnswer(f"{weights.idxmin()!r} is short: {weights.min():.4g}")


def require_close(
    given: float,
    right: float,
    what: str,
    hint: str = "",
    relative: float = 1e-3,
    mistakes: Mistakes = (),
) -> None:
    """A number is right to a tenth of a per cent; the hint says where to look, not what comes out.

    ``mistakes`` are pairs of what a typical mistake gives and what to say then.
    """
    if abs(given - right) > relative * max(abs(right), 1e-12):
        if told := _recognised(given, right, relative, mistakes):
            raise WrongAnswer(f"{what} is not {given:.6g}: {told}")
        off = "too large" if given > right else "too small"
        off = f"a little {off}" if abs(given - right) < _NEAR * abs(right) else off
        raise WrongAnswer(f"{what} is {off}: {given:.6g}" + (f"; {hint}" if hint else ""))


def require_all_close(
    given: pd.Series | pd.DataFrame,
    right: pd.Series | pd.DataFrame,
    what: str,
    hint: str = "",
    relative: float = 1e-3,
    mistakes: Mistakes = (),
) -> None:
    """As :func:`require_close` for all numbers at once, relative to the largest of them."""
    a, b = given.to_numpy(dtype=float), right.to_numpy(dtype=float)
    off = np.abs(a - b)
    if off.max() <= relative * np.abs(b).max():
        return
    if told := _recognised(a, b, relative, mistakes):
        raise WrongAnswer(f"{what}: {told}")
    at = np.unravel_index(off.argmax(), off.shape)
    label = ", ".join(repr(axis[k]) for axis, k in zip(right.axes, at, strict=True))
    size = "too large" if a[at] > b[at] else "too small"
    size = f"a little {size}" if off.max() < _NEAR * np.abs(b).max() else size
    raise WrongAnswer(f"{what}: {label} is {size}, {a[at]:.6g}" + (f"; {hint}" if hint else ""))


def require_contributions(
    weights: pd.Series, covariance: Covariance, budgets: pd.Series, so_far: str = ""
) -> float:
    """Relative risk contributions are the budgets; the largest deviation.

    Where they are not, the asset that is furthest off is named, and the portfolio where it is a
    known one.
    """
    contributions = weights * covariance.marginal_risk(weights)
    if contributions.sum() <= 0:
        raise WrongAnswer(f"{so_far}weights have no risk to contribute to")
    shares = (contributions / contributions.sum())[budgets.index]
    if (largest := float((shares - budgets).abs().max())) > TOLERANCE:
        k = int((shares - budgets).abs().argmax())
        right = _budgeted(covariance, budgets) if weights.min() > 0 else np.empty(0)
        if is_permuted(weights, right):
            raise WrongAnswer(f"{so_far}{ANOTHER_ORDER}")
        name = known_portfolio(weights, covariance)
        told = f"these are {name}: " if name else so_far
        off = np.abs(weights - right).max() if right.size else np.inf
        near = not name and is_rounded(weights) and (largest < 0.05 or off < 1e-3)
        raise WrongAnswer(
            f"{told}the contribution of {budgets.index[k]!r} is {shares.iloc[k]:.4f} of the "
            f"variance, not {budgets.iloc[k]:.4f}"
            + (f"; the weights look rounded, {UNROUNDED}" if near else "")
        )
    return largest


def known_portfolio(weights: pd.Series, covariance: Covariance) -> str:
    """What weights are, where they are a portfolio with a name: for hints; empty if unknown."""
    sigma, n = covariance.volatilities(), covariance.size
    matrix = covariance.matrix()
    least = pd.Series(np.linalg.lstsq(matrix.to_numpy(), np.ones(n))[0], matrix.index)
    known = {
        "equal weights": pd.Series(1.0, sigma.index),
        "weights proportional to 1/volatility, which ignore correlations": 1 / sigma,
        "weights proportional to 1/variance": 1 / sigma**2,
        "weights proportional to the volatilities": sigma,
        "the weights of least variance": least,
    }
    total = weights.sum()
    for name, other in known.items():
        if total and np.abs(weights / total - other / other.sum()).max() < TOLERANCE:
            return name
    return ""


def is_rounded(numbers: Any) -> bool:
    """Whether numbers have six decimals at most."""
    values = np.asarray(numbers, dtype=float)
    return bool(np.abs(values - values.round(6)).max() < 1e-12)


def is_permuted(given: Any, right: Any) -> bool:
    """Whether numbers are the right ones in another order, and not nearly so in the same."""
    a, b = np.ravel(given), np.ravel(right)
    if a.size != b.size:
        return False
    near = TOLERANCE * np.abs(b).max()
    in_order = np.abs(a - b).max() <= 2 * near
    return not in_order and bool(np.abs(np.sort(a) - np.sort(b)).max() <= near)


def reals(answer: Any) -> FloatArray:
    """An array of floats; None is no number, nor are complex ones, even where they could be cut."""
    if answer is None or np.iscomplexobj(answer):
        raise TypeError("no real numbers")
    return np.asarray(answer, dtype=float)


def _is_unlabelled(answer: Any, labels: list[Any]) -> bool:
    """Whether what has labels has only places: 0, 1, … or, as from a RangeSet, 1, 2, …."""
    if isinstance(answer, pd.Series) and isinstance(answer.index, pd.RangeIndex):
        return True
    given, n = list(answer.keys()), len(answer)
    places = given in (list(range(n)), list(range(1, n + 1)))
    return places and not set(labels) & set(given)


def _budgeted(covariance: Covariance, budgets: pd.Series) -> FloatArray:
    """The long-only weights with contributions as budgeted; empty where some have no risk."""
    try:
        return newton(covariance, by_label(budgets, covariance.labels, "budgets")).weights
    except SolverError:
        return np.empty(0)


def _is_rounding(a: FloatArray, b: FloatArray, least: int) -> bool:
    """Whether ``a`` is ``b`` to so many decimals, at the least."""
    if a.shape != b.shape or np.abs(a - b).max() >= 0.03 * np.abs(b).max():
        return False
    return any(np.abs(a - b.round(k)).max() < 1e-12 for k in range(least, 8))


def _recognised(given: Any, right: Any, relative: float, mistakes: Mistakes) -> str:
    """What a wrong answer is, where it is something that can be told."""
    a, b = np.asarray(given, dtype=float), np.asarray(right, dtype=float)

    def distance(other: Any) -> float:
        c = np.asarray(other, dtype=float)
        if c.shape != a.shape:
            return np.inf
        off = float(np.abs(a - c).max() / max(np.abs(c).max(), 1e-12))
        return off if np.isfinite(off) else np.inf

    def is_like(other: Any) -> bool:
        return distance(other) <= relative

    # Some mistakes give nearly the same: the nearest is told.
    mistakes = list(mistakes)
    known = [(distance(wrong), told) for wrong, told in mistakes]
    if known and min(known)[0] <= relative:
        return min(known)[1]
    if _is_rounding(a, b, 2):
        return f"the right number, rounded: {UNROUNDED}"
    for wrong, told in mistakes:
        if _is_rounding(a, np.asarray(wrong, dtype=float), 3):
            return told
    for factor, told in _FACTORS:
        if is_like(factor * b):
            return told
    if is_like(b**2):
        return "that is the square of what is asked for"
    if (b >= 0).all() and is_like(np.sqrt(b)):
        return "that is the square root of what is asked for"
    if b.ndim and is_like(b.T):
        return "rows and columns are interchanged"
    if b.ndim and is_permuted(a, b):
        return ANOTHER_ORDER
    return ""
