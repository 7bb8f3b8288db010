"""Answers as their judges read them: numbers and weights, whatever form they came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.exercises import WrongAnswer
from rrp_pyomo.errors import brief

#: What weights of a budget may miss it by, and shares of risk each other.
TOLERANCE = 1e-4


def number(answer: Any, what: str = "the answer") -> float:
    """A finite number."""
    try:
        value = float(np.asarray(answer, dtype=float).item())
    except (TypeError, ValueError):
        raise WrongAnswer(f"{what} should be one number; given: {brief(answer)}") from None
    if not np.isfinite(value):
        raise WrongAnswer(f"{what} should be finite; given: {value}")
    return value


def vector(answer: Any, labels: Iterable[Any], what: str = "weights") -> pd.Series:
    """A number for each label, from a Series, a mapping, an array or something with ``weights``."""
    labels = list(labels)
    answer = getattr(answer, "weights", answer)
    try:
        if isinstance(answer, Mapping | pd.Series):
            series = pd.Series(answer, dtype=float)
        else:
            series = pd.Series(np.asarray(answer, dtype=float).ravel(), labels[: np.size(answer)])
    except (TypeError, ValueError):
        raise WrongAnswer(
            f"{what} should be {len(labels)} numbers; given: {brief(answer)}"
        ) from None
    if missing := [label for label in labels if label not in series.index]:
        raise WrongAnswer(f"{what}: nothing for {missing[0]!r}; {len(labels)} are asked for")
    if len(series) != len(labels):
        other = next(label for label in series.index if label not in labels)
        raise WrongAnswer(f"{what}: {other!r} is none of the {len(labels)} that are asked for")
    series = series[labels]
    if not np.isfinite(series).all():
        raise WrongAnswer(
            f"{what} should be finite; {series.index[~np.isfinite(series)][0]!r} is not"
        )
    return series


def require_budget(weights: pd.Series, total: float = 1.0, so_far: str = "") -> None:
    """Weights sum to ``total``."""
    if abs(weights.sum() - total) > TOLERANCE:
        raise WrongAnswer(f"{so_far}weights sum to {weights.sum():.4g}, not to {total:g}")


def require_long_only(weights: pd.Series) -> None:
    if weights.min() < -TOLERANCE:
        raise WrongAnswer(f"{weights.idxmin()!r} is short: {weights.min():.4g}")


def require_close(
    given: float, right: float, what: str, hint: str = "", relative: float = 1e-3
) -> None:
    """A number is right to three digits; the hint says where to look, not what comes out."""
    if abs(given - right) > relative * max(abs(right), 1e-12):
        off = "too large" if given > right else "too small"
        raise WrongAnswer(f"{what} is {off}: {given:.6g}" + (f"; {hint}" if hint else ""))
