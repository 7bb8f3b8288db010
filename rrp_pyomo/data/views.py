"""Views on expected returns, P μ = q: texts with the assets' own labels, or arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from rrp_pyomo.data.definite import psd_root, symmetric
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    Vector,
    as_floats,
    as_number,
    index_of,
    positions,
    require_finite,
    require_shape,
    unique_labels,
)
from rrp_pyomo.errors import InputError, UnknownLabelError, brief
from rrp_pyomo.linalg import FloatArray

_MINUS = "-−–—"
_SIGNS = rf"[+{re.escape(_MINUS)}]"
_SIGN = re.compile(rf"\s*({_SIGNS})\s*")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:\s*%)?")
_TIMES = re.compile(r"\s*[*·×]\s*|\s+|(?=[^\W\d])|(?=[\"'])")

_FORM = "such as 'A - B = 2 %', '0.5 A + 0.5 B - C = 0.015' or 'A = 5 %'"

ViewsLike: TypeAlias = "Views | str | Sequence[str] | tuple[Matrix, Vector]"


@dataclass(frozen=True, eq=False, repr=False)
class Views:
    """k statements about portfolios' expected returns: P μ = q.

    Attributes
    ----------
    P : (k, n) DataFrame
        A row for each view, by view and asset.
    q : (k,) Series
        What each is expected to return, decimals per period.

    Examples
    --------
    >>> from rrp_pyomo import Views
    >>> views = Views.of(["A - B = 2 %", "C = 1 %"], ("A", "B", "C"))
    >>> views.P.to_numpy().tolist(), views.q.tolist()
    ([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], [0.02, 0.01])
    """

    P: pd.DataFrame
    q: pd.Series

    @classmethod
    def of(cls, given: ViewsLike, labels: Labels) -> Views:
        """The views that texts or arrays state, for these assets.

        Parameters
        ----------
        given : Views, text, sequence of texts, or pair (P, q)
            A text is a sum of assets, each with a coefficient where it is not 1, equal to a number
            of decimals, or per cent with its sign: ``"A - B = 2 %"``. A label that can be read in
            two ways goes in quotes: ``"'A-B' - C = 2 %"``. P is a DataFrame with assets as columns,
            a missing one being 0, or an array in label order; q is a Series by view, or an array.
        labels : tuple
            The assets.

        Raises
        ------
        UnknownLabelError
            An asset that nobody knows.
        InputError
            A text that has no reading or two, a view about nothing, P and q that do not fit.
        """
        if isinstance(given, Views):
            given = (given.P, given.q)
        texts = [given] if isinstance(given, str) else _listed(given)
        if all(isinstance(text, str) for text in texts):
            return cls._of_texts(texts, labels)
        if len(texts) != 2:
            raise InputError(f"views are {brief(given)}; expected texts {_FORM}, or a pair (P, q)")
        return cls._of_arrays(texts[0], texts[1], labels)

    @classmethod
    def _of_texts(cls, texts: Sequence[str], labels: Labels) -> Views:
        names = unique_labels((" ".join(text.split()) for text in texts), "view")
        rows = [_parsed(text, labels) for text in texts]
        P = np.array([row for row, _ in rows]).reshape(len(texts), len(labels))
        return cls._labelled(P, np.array([value for _, value in rows]), names, labels)

    @classmethod
    def _of_arrays(cls, P: Any, q: Any, labels: Labels) -> Views:
        numbers = as_floats(P, "P of the views", 2)
        k = len(numbers)
        if isinstance(P, pd.DataFrame):
            names = unique_labels(P.index, "view")
            at = positions(P.columns, labels)
            full = np.zeros((k, len(labels)))
            full[:, at] = numbers
        else:
            index = q.index if isinstance(q, pd.Series) else range(1, k + 1)
            names = unique_labels(index, "view")
            require_shape(numbers, (k, len(labels)), "P of the views", f"{len(labels)} assets")
            full = numbers
        require_finite(full, "P", names, labels)
        return cls._labelled(full, by_view(q, names, "q of the views"), names, labels)

    @classmethod
    def _labelled(cls, P: FloatArray, q: FloatArray, names: Labels, labels: Labels) -> Views:
        for name, row in zip(names, P, strict=True):
            if not row.any():
                raise InputError(f"view {str(name)!r} holds no asset; give it at least one")
        rows = index_of(names)
        return cls(pd.DataFrame(P, rows, index_of(labels)), pd.Series(q, rows, name="view"))

    @property
    def names(self) -> Labels:
        """The views, by their texts where they are texts."""
        return tuple(self.q.index)

    def __len__(self) -> int:
        return len(self.q)

    def __repr__(self) -> str:
        k, n = self.P.shape
        return f"Views({k} on {n} assets)"


def by_view(values: Any, names: Labels, what: str) -> FloatArray:
    """One finite number for each view: a Series or mapping by view, an array in their order."""
    if isinstance(values, Mapping):
        values = pd.Series(values, dtype=object)
    if isinstance(values, pd.Series):
        known = set(names)
        for name in unique_labels(values.index, "view"):
            if name not in known:
                raise UnknownLabelError("view", name, names)
        if missing := [name for name in names if name not in values.index]:
            raise InputError(f"{what} lack view {str(missing[0])!r}; give one number for each view")
        values = values.reindex(list(names))
    array = as_floats(values, what, 1)
    require_shape(array, (len(names),), what, f"{len(names)} views")
    require_finite(array, what, names)
    return array


def view_covariance(values: Any, names: Labels) -> FloatArray:
    """Ω as a (k, k) array: a variance for all views, one for each, or the matrix.

    Raises
    ------
    InputError
        A negative variance, a matrix that is not symmetric or not positive semidefinite.
    """
    k = len(names)
    if isinstance(values, pd.DataFrame):
        values = _by_views(values, names)
    if np.ndim(values) == 2:
        omega = as_floats(values, "omega", 2)
        require_shape(omega, (k, k), "omega", f"{k} views")
        omega = symmetric(omega, names, "omega")
        if k:
            psd_root(omega, "omega")
        return omega
    if np.ndim(values) == 0 and not isinstance(values, Mapping):
        return as_number(values, "omega", least=0.0) * np.eye(k)
    variances = by_view(values, names, "omega")
    for name, variance in zip(names, variances, strict=True):
        as_number(variance, f"omega of view {str(name)!r}", least=0.0)
    return np.diag(variances)


def _by_views(omega: pd.DataFrame, names: Labels) -> pd.DataFrame:
    for axis in omega.axes:
        if set(axis) != set(names) or len(axis) != len(names):
            raise InputError(
                f"omega has the views {brief(list(axis))}; expected {brief(list(names))} as rows "
                "and columns, or an array"
            )
    return omega.loc[list(names), list(names)]


def _listed(given: Any) -> list[Any]:
    if isinstance(given, Iterable) and not isinstance(given, Mapping | pd.DataFrame | pd.Series):
        return list(given)
    raise InputError(f"views are {brief(given)}; expected texts {_FORM}, or a pair (P, q)")


# --- texts --------------------------------------------------------------------------------------


def _parsed(text: str, labels: Labels) -> tuple[FloatArray, float]:
    """The row of P and the entry of q that a text states."""
    left, equals, right = text.rpartition("=")
    if not equals:
        raise InputError(f"view {brief(text)} has no '='; expected a text {_FORM}")
    value = _value(right, text)
    known = {str(label): i for i, label in enumerate(labels)}
    by_size = sorted(known, key=len, reverse=True)
    readings: dict[tuple[float, ...], None] = {}
    for terms in _readings(left.strip(), 0, by_size):
        row = np.zeros(len(labels))
        for coefficient, label in terms:
            row[known[label]] += coefficient
        readings[tuple(row)] = None
        if len(readings) > 1:
            one, other = (_written(row, labels) for row in readings)
            raise InputError(
                f"view {brief(text)} can be read as {one} and as {other}; write labels in quotes, "
                "such as '\"A-B\" = 2 %', or spaces around signs, or give P and q"
            )
    if not readings:
        raise _unreadable(text, left, by_size)
    return np.array(next(iter(readings))), value


def _value(right: str, text: str) -> float:
    """The right side, as decimals."""
    sign = _SIGN.match(right)
    number = right[sign.end() if sign else 0 :].strip()
    if not _NUMBER.fullmatch(number):
        raise InputError(
            f"view {brief(text)} ends with {brief(right.strip())}; expected a number such as 0.02 "
            "or 2 % after the '='"
        )
    value = _as_decimal(number)
    return -value if sign and sign[1] in _MINUS else value


def _as_decimal(number: str) -> float:
    digits = number.rstrip("% \t\n")
    return float(digits) / (100.0 if number.endswith("%") else 1.0)


def _readings(text: str, at: int, labels: list[str]) -> Iterator[list[tuple[float, str]]]:
    """Every way to read the text from here as signed multiples of labels."""
    sign = _SIGN.match(text, at)
    if sign is None and at > 0:
        return
    factor = -1.0 if sign and sign[1] in _MINUS else 1.0
    start = sign.end() if sign else at
    for coefficient, begin in _coefficients(text, start):
        for label, end in _labels_at(text, begin, labels):
            term = (factor * coefficient, label)
            if not text[end:].strip():
                yield [term]
            else:
                yield from ([term, *rest] for rest in _readings(text, end, labels))


def _coefficients(text: str, at: int) -> Iterator[tuple[float, int]]:
    """The coefficients that may stand here, 1 among them, and where each label then begins."""
    yield 1.0, at
    number = _NUMBER.match(text, at)
    times = number and _TIMES.match(text, number.end())
    if number and times:
        yield _as_decimal(number[0]), times.end()


def _labels_at(text: str, at: int, labels: list[str]) -> Iterator[tuple[str, int]]:
    """The labels that may stand here, bare or in quotes, and where each ends."""
    for label in labels:
        for written in (label, f'"{label}"', f"'{label}'"):
            if text.startswith(written, at):
                yield label, at + len(written)


def _written(row: tuple[float, ...], labels: Labels) -> str:
    return " ".join(
        f"{value:+g}·{str(label)!r}" for value, label in zip(row, labels, strict=True) if value
    )


def _unreadable(text: str, left: str, labels: list[str]) -> InputError:
    """Which part of a text is no label: what is between signs."""
    for part in re.split(rf"\s{_SIGNS}\s|\+", left):
        number = _NUMBER.match(part.strip())
        times = number and _TIMES.match(part.strip(), number.end())
        name = part.strip()[times.end() :] if times else part.strip().lstrip(_MINUS).strip()
        if name and name.strip("\"'") not in labels:
            return UnknownLabelError(f"asset in the view {brief(text)}:", name, labels)
    return InputError(f"view {brief(text)} cannot be read; expected a text {_FORM}")
