"""Data, weight sets and budgets for random portfolio problems."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo import FactorModel, WeightSet
from rrp_pyomo.data import Group, LinearRow


class Market:
    """Returns of a few assets and factors, of some magnitude, with labels of some kind."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.n, self.m = int(rng.integers(2, 8)), int(rng.integers(1, 4))
        self.p = self.m + 2 + int(rng.choice([0, 3, 20, 60]))
        self.unit = float(10.0 ** rng.uniform(-6, 0)) if rng.random() < 0.4 else 0.02
        factors = rng.normal(0.2, 1.0, (self.p, self.m)) * rng.uniform(0.3, 2, self.m)
        loadings = rng.normal(0.4, 0.6, (self.m, self.n))
        own = rng.normal(size=(self.p, self.n)) * 10.0 ** rng.uniform(-1, 0.5, self.n)
        self.labels = _labels(rng, self.n)
        dates = pd.date_range("2001-01-31", periods=self.p, freq="ME")
        columns = pd.Index(list(self.labels), tupleize_cols=False)
        returns = self.unit * (factors @ loadings + own)
        returns = np.where(returns < -0.9, -0.9 + 0.05 * np.tanh(returns + 0.9), returns)
        self.R = pd.DataFrame(returns, dates, columns)
        names = [f"f{k}" for k in range(self.m)]
        self.F = pd.DataFrame(self.unit * factors, dates, names)
        self.scale = float(rng.choice([1.0, 0.5, 0.1, 1e-2, 1e-3, 2.0]))

    def __repr__(self) -> str:
        return f"n={self.n} m={self.m} p={self.p} unit={self.unit:.3g} scale={self.scale:g}"

    def model(self) -> FactorModel:
        return FactorModel.fit(self.R, self.F)


def _labels(rng: np.random.Generator, n: int) -> list[Any]:
    kinds: list[list[Any]] = [
        [f"A{i}" for i in range(n)],
        list(range(n)),
        list(rng.permutation(100)[:n].tolist()),
        [f"[b]Ä{i}$x_{{" for i in range(n)],
        [("EU", i) for i in range(n)],
        list(pd.date_range("2020-01-01", periods=n)),
        [f"line\n{i}" for i in range(n)],
        [str(i) if i % 2 else i for i in range(n)],
    ]
    return kinds[int(rng.integers(len(kinds)))]


def draw_weight_set(market: Market, rng: np.random.Generator) -> tuple[WeightSet | None, list[Any]]:
    """A weight set that has the equal weights in it, and its rows as (a, lower, upper)."""
    if rng.random() < 0.5:
        return None, []
    n, labels = market.n, market.labels
    given: dict[str, Any] = {}
    rows: list[tuple[np.ndarray, float, float]] = []
    eye = np.eye(n)
    if rng.random() < 0.6:
        upper = round(1 / n + float(rng.uniform(0.01, 0.3)), 3)
        given["upper"] = upper
        rows += [(e, -math.inf, upper) for e in eye]
    if rng.random() < 0.4:
        lower = {
            labels[i]: round(float(rng.uniform(0, 1 / n)), 3)
            for i in range(n)
            if rng.random() < 0.5
        }
        if lower:
            given["lower"] = lower
            rows += [(eye[labels.index(a)], v, math.inf) for a, v in lower.items()]
    if rng.random() < 0.5:
        members = [i for i in range(n) if rng.random() < 0.5] or [0]
        cap = round(len(members) / n + float(rng.uniform(0.0, 0.2)) + 1e-3, 3)
        given["groups"] = {"some": Group([labels[i] for i in members], upper=cap)}
        rows.append((eye[members].sum(axis=0), -math.inf, cap))
    if rng.random() < 0.3:
        a = np.round(rng.normal(size=n), 2)
        a[0] = a[0] or 1.0
        low = round(float(a.mean()) - 0.05, 3)
        given["rows"] = [LinearRow("tilt", dict(zip(labels, a.tolist(), strict=True)), lower=low)]
        rows.append((a, low, math.inf))
    return WeightSet(**given), rows


def draw_budgets(market: Market, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    n = market.n
    if rng.random() < 0.6:
        return None, np.full(n, 1 / n)
    b = rng.uniform(0.1, 1.0, n)
    if rng.random() < 0.2:
        b[0] *= 1e-4
    b /= b.sum()
    order = rng.permutation(n)
    by_label = {market.labels[i]: float(b[i]) for i in order}
    series = pd.Series(b[order], pd.Index([market.labels[i] for i in order], tupleize_cols=False))
    return [by_label, series, b.tolist(), b][int(rng.integers(4))], b
