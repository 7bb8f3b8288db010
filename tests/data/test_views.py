"""Views by text: one reading, or an error that says what to write."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rrp_pyomo.data import Views
from rrp_pyomo.errors import InputError, UnknownLabelError

LABELS = ("A", "B", "A-B", "3M", "M", "BRK B", "Consumer Staples", "Wal-Mart", "x=y", 5)


def row(text):
    views = Views.of(text, LABELS)
    return {label: float(p) for label, p in views.P.iloc[0].items() if p}, float(views.q.iloc[0])


@pytest.mark.parametrize(
    ("text", "row_of_P", "q"),
    [
        ("A - B = 2 %", {"A": 1, "B": -1}, 0.02),
        ("A − B = 2%", {"A": 1, "B": -1}, 0.02),
        ("-A+B=0.02", {"A": -1, "B": 1}, 0.02),
        ("'A'-'B' = 2 %", {"A": 1, "B": -1}, 0.02),
        ('"A-B" - "3M" = −2 %', {"A-B": 1, "3M": -1}, -0.02),
        ("3*M = 5 %", {"M": 3}, 0.05),
        ("3 M = 5 %", {"M": 3}, 0.05),
        ("2A = 1e-2", {"A": 2}, 0.01),
        ("Wal-Mart - BRK B = -1.5 %", {"Wal-Mart": 1, "BRK B": -1}, -0.015),
        ("0.5 Wal-Mart + .5 M - B = 1.5 %", {"Wal-Mart": 0.5, "M": 0.5, "B": -1}, 0.015),
        ("50 % A + 50 % B - 5 = 1 %", {"A": 0.5, "B": 0.5, 5: -1}, 0.01),
        ("x=y - Consumer Staples = 1 %", {"x=y": 1, "Consumer Staples": -1}, 0.01),
        ("A + A - B = 1 %", {"A": 2, "B": -1}, 0.01),
    ],
)
def test_texts(text, row_of_P, q):
    found, value = row(text)
    assert found == row_of_P
    assert value == pytest.approx(q, abs=1e-16)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("A-B = 2 %", InputError, "can be read as"),
        ("3M = 5 %", InputError, "in quotes"),
        ("Walmart = 2 %", UnknownLabelError, "did you mean 'Wal-Mart'"),
        ("A - Consumer Stapels = 2 %", UnknownLabelError, "'Consumer Staples'"),
        ("A B = 2 %", UnknownLabelError, "'A B'"),
        ("A - A = 1 %", InputError, "holds no asset"),
        ("A = two", InputError, "expected a number"),
        ("A = 1,5 %", InputError, "expected a number"),
        ("A outperforms B", InputError, "has no '='"),
        ("A + = 2", InputError, "cannot be read"),
        (5, InputError, "expected texts"),
        ({"A": 1.0}, InputError, "expected texts"),
        (["A = 1 %", "A = 1 %"], InputError, "occurs 2 times"),
        ((np.eye(10)[:1], [0.1, 0.2]), InputError, "1 views"),
        ((np.eye(9), np.zeros(9)), InputError, "10 assets"),
        ((pd.DataFrame([[1.0]], ["v"], ["Z"]), [0.1]), UnknownLabelError, "'Z'"),
        ((pd.DataFrame([[1.0]], ["v"], ["A"]), {"w": 0.1}), UnknownLabelError, "view 'w'"),
    ],
)
def test_what_is_refused(text, kind, message):
    with pytest.raises(kind, match=message):
        Views.of(text, LABELS)


def test_tables_are_aligned_by_label():
    P = pd.DataFrame([[1.0, -1.0], [0.0, 2.0]], ["u", "v"], ["M", "A"])
    views = Views.of((P, pd.Series({"v": 0.2, "u": 0.1})), LABELS)
    assert views.names == ("u", "v")
    assert views.P.loc["u", "M"] == 1.0
    assert views.P.loc["v", "A"] == 2.0
    assert views.q.tolist() == [0.1, 0.2]
    assert Views.of(views, LABELS).P.equals(views.P)
    assert len(Views.of((), LABELS)) == 0
