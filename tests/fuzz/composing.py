"""Random models with risk parity blocks in them, as a user would write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
from market import Market

from rrp_pyomo import (
    FactorModel,
    RiskBudgeting,
    RiskParitySOCP,
    RobustRiskBudgeting,
    RobustRiskParity,
    WeightSet,
    largest_omega,
)


class Canvas:
    """Variables, rows and blocks in either of Pyomo's languages, named as they are drawn."""

    def __init__(self, kernel: bool) -> None:
        self.kernel = kernel
        self.model: Any = pmo.block() if kernel else pyo.ConcreteModel()
        self.count = 0

    def variables(self, name: str, labels: list[Any], lower: Any, upper: Any) -> Mapping[Any, Any]:
        bounds = {
            a: tuple(b.get(a) if isinstance(b, dict) else b for b in (lower, upper)) for a in labels
        }
        if self.kernel:
            made = pmo.variable_dict(
                {a: pmo.variable(lb=bounds[a][0], ub=bounds[a][1]) for a in labels}
            )
        else:
            made = pyo.Var(labels, bounds=lambda m, *a: bounds[a[0] if len(a) == 1 else a])
        setattr(self.model, name, made)
        return made

    def variable(self, name: str, lower: float | None = None, upper: float | None = None) -> Any:
        made = pmo.variable(lb=lower, ub=upper) if self.kernel else pyo.Var(bounds=(lower, upper))
        setattr(self.model, name, made)
        return made

    def row(self, lower: float | None, body: Any, upper: float | None) -> Any:
        if self.kernel:
            made = (
                pmo.constraint(body=body, rhs=lower)
                if lower == upper
                else pmo.constraint(lb=lower, body=body, ub=upper)
            )
        else:
            made = pyo.Constraint(expr=(lower, body, upper))
        return self._add("row", made)

    def part(self, problem: Any, weights: Any) -> Any:
        """The problem on existing weights, or on its own."""
        made = (problem.kernel if self.kernel else problem.block)(weights, objective=False)
        return self._add("part", made)

    def objective(self, expression: Any, maximise: bool) -> None:
        if self.kernel:
            self.model.goal = pmo.objective(expression, pmo.maximize if maximise else pmo.minimize)
        else:
            self.model.goal = pyo.Objective(
                expr=expression, sense=pyo.maximize if maximise else pyo.minimize
            )

    def _add(self, name: str, made: Any) -> Any:
        self.count += 1
        setattr(self.model, f"{name}{self.count}", made)
        return made

    def set_variables(self) -> list[Any]:
        """All of them, in the model's order."""
        if self.kernel:
            return list(self.model.components(ctype=pmo.variable._ctype))
        return list(self.model.component_data_objects(pyo.Var))

    def set_rows(self) -> list[Any]:
        """The active ones."""
        if self.kernel:
            return list(self.model.components(ctype=pmo.constraint._ctype, active=True))
        return list(self.model.component_data_objects(pyo.Constraint, active=True))


@dataclass
class Part:
    """A block, and what a composition has to know of it."""

    problem: Any
    block: Any
    labels: list[Any]

    @property
    def spread(self) -> str:
        """What is deducted from p: the smallest of the t, or a geometric mean."""
        return "g" if isinstance(self.problem, (RiskBudgeting, RobustRiskBudgeting)) else "t"

    @property
    def factor(self) -> float:
        """What it is deducted with."""
        size = np.sqrt(len(self.labels) * self.problem.risk_unit)
        budgeting = type(self.problem) is RiskBudgeting
        return float(self.problem.parity_ratio / size) if budgeting else 1.0

    @property
    def slack(self) -> list[Any]:
        """p and −t, or −c g: the terms of the objective, one by one."""
        return [self.block.p, -self.factor * getattr(self.block, self.spread)]


@dataclass
class Composition:
    """A model with the terms of its objective, and what it was made of."""

    canvas: Canvas
    maximise: bool
    terms: list[Any]
    parts: list[Part]
    price: float
    kind: list[str] = field(default_factory=list)

    @property
    def model(self) -> Any:
        return self.canvas.model


class Composer:
    """Draws one model; most have a feasible point near a portfolio that is drawn first."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.market = Market(rng)
        self.labels = self.market.labels
        self.kind: list[str] = []
        n = len(self.labels)
        self.base = dict(zip(self.labels, rng.dirichlet(np.full(n, 4.0)).tolist(), strict=True))
        self.mean = self.market.R.mean()
        if not self.chance(0.3):  # a user's own unit
            self.mean = self.mean / self.market.unit
        self.L = np.linalg.cholesky(self.market.model().covariance.matrix().to_numpy()).T
        self.L /= np.sqrt(np.trace(self.L.T @ self.L) / n)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def some(self, least: int = 1) -> list[Any]:
        """Some of the assets, in order."""
        n = len(self.labels)
        size = int(self.rng.integers(min(least, n), n + 1))
        chosen = sorted(self.rng.choice(n, size, replace=False).tolist())
        return [self.labels[i] for i in chosen]

    def near(self, value: float, spread: float = 0.3) -> float:
        """A limit that the base portfolio meets, just so, hardly, or not."""
        share = self.rng.choice(
            [0.0, 0.02, 0.1, 0.5, 2.0, -0.02, -0.1], p=[0.05, 0.1, 0.25, 0.3, 0.24, 0.03, 0.03]
        )
        return round(value + float(share) * spread, 6)

    def draw(self) -> Composition:
        kernel = self.chance(0.25)
        self.canvas = Canvas(kernel)
        self._weights()
        self.parts: list[Part] = []
        for _ in range(int(self.rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))):
            self._part()
        if len(self.parts) > 1 and not self.kind[-1].endswith("own)") and self.chance(0.15):
            self.kind.append("one deactivated")
            self.parts.pop().block.deactivate()
        self.terms: list[Any] = []
        self.maximise = self.chance(0.4)
        self._objective()
        for what, probability in (
            (self._caps, 0.4), (self._income, 0.25), (self._tracking, 0.3), (self._turnover, 0.35),
            (self._tail, 0.15), (self._geometric, 0.1), (self._squares, 0.25),
            (self._limits, 0.35), (self._fixed, 0.25), (self._deactivated, 0.2),
        ):  # fmt: skip
            if self.chance(probability):
                self.kind.append(what.__name__[1:])
                what()
        terms = [(-1 if self.maximise else 1) * t for t in self.terms]
        self.canvas.objective(sum(terms), self.maximise)
        return Composition(self.canvas, self.maximise, terms, self.parts, self.price, self.kind)

    # --- weights and blocks ---------------------------------------------------------------------

    def _weights(self) -> None:
        upper: Any = self.rng.choice([1.0, 0.6, 0.4])
        upper = None if self.chance(0.2) else max(float(upper), 1.5 * max(self.base.values()))
        if upper is not None and self.chance(0.3):
            upper = {
                a: self.near(v, 0.2) if self.chance(0.3) else upper for a, v in self.base.items()
            }
            upper = {a: max(v, 0.0) for a, v in upper.items()}
        lower: Any = None if self.chance(0.2) else 0.0
        if self.chance(0.15):
            lower = {a: 0.5 * v if self.chance(0.5) else 0.0 for a, v in self.base.items()}
        self.w = self.canvas.variables("w", self.labels, lower, upper)
        self.cash = self.short = None
        total = sum(self.w[a] for a in self.labels)
        if self.chance(0.3):
            self.kind.append("cash")
            self.cash = self.canvas.variable("cash", 0.0 if self.chance(0.7) else -0.5, 1.0)
            total = total + self.cash
        if self.chance(0.2):
            self.kind.append("shorts")
            self.short = self.canvas.variables("short", self.labels, 0.0, 0.2)
            total = total - sum(self.short[a] for a in self.labels)
        self.plain = self.cash is None and self.short is None
        if not self.plain or self.chance(0.5):
            self.canvas.row(1.0, total, 1.0)
            self.budget = True
        else:
            self.budget = False

    def net(self, a: Any) -> Any:
        return self.w[a] if self.short is None else self.w[a] - self.short[a]

    def _part(self) -> None:
        rng, R, F = self.rng, self.market.R, self.market.F
        labels = self.labels if self.chance(0.65) else self.some(2)
        if self.parts:  # another regime
            R = R * rng.uniform(0.5, 2.0, R.shape[1])
        own = self.chance(0.2)
        full = own or (labels is self.labels and self.plain)
        upper = (
            round(float(rng.uniform(1.2, 3) / len(labels)), 3)
            if full and self.chance(0.25)
            else None
        )
        if not self.budget and self.plain and not self.parts:
            full, own, labels = True, False, self.labels
        X = None if full and upper is None else WeightSet(fully_invested=full, upper=upper)
        if own and self.chance(0.3):
            signs = dict(zip(labels, rng.choice([-1, 1], len(labels)).tolist(), strict=True))
            X = WeightSet(long_only=False, signs=signs, gross=1.0, fully_invested=False)
        budgets = None
        kinds = [RiskParitySOCP, RobustRiskParity, RiskBudgeting, RobustRiskBudgeting]
        kind = kinds[int(rng.choice(4, p=[0.35, 0.35, 0.2, 0.1]))]
        if self.chance(0.3) and kind in kinds[:2]:  # others would not be quadratic
            index = pd.Index(labels, tupleize_cols=False)
            budgets = pd.Series(rng.dirichlet(np.full(len(labels), 5.0)), index)
        model = FactorModel.fit(R[labels], F)
        if kind in (RiskParitySOCP, RiskBudgeting):
            problem = kind(model.covariance, budgets, X)
        else:
            U = model.covariance_uncertainty(self.market.scale)
            omega = min(3.0, float(rng.choice([0.0, 0.3, 0.8])) * largest_omega(U, X))
            problem = kind(U, omega, budgets, X)
        block = self.canvas.part(problem, None if own else {a: self.w[a] for a in labels})
        self.parts.append(Part(problem, block, labels))
        self.kind.append(f"{type(problem).__name__}({len(labels)}{', own' if own else ''})")
        if own:
            share = float(rng.choice([1.0, 0.7, 0.4]))
            for a in labels:
                self.canvas.row(
                    0.0, self.w[a] - share * block.x[a], None if self.chance(0.7) else 0.1
                )

    # --- the objective --------------------------------------------------------------------------

    def _objective(self) -> None:
        kind = self.rng.choice(["sum", "worst", "income"], p=[0.4, 0.25, 0.35])
        price = self.price = float(self.rng.choice([1.0, 0.1, 10.0]))
        if kind == "worst":
            worst = self.canvas.variable("worst")
            for part in self.parts:
                self.canvas.row(None, sum(part.slack) - worst, 0.0)
            self.terms.append(price * worst)
            return
        for part in self.parts:
            self.terms += [price * term for term in part.slack]
        if kind == "income":
            self.terms += [-float(self.mean[a]) * self.net(a) for a in self.labels]
            if self.cash is not None:
                self.terms.append(-0.1 * float(np.abs(self.mean).mean()) * self.cash)

    # --- what else there is ---------------------------------------------------------------------

    def _caps(self) -> None:
        for _ in range(int(self.rng.integers(1, 3))):
            chosen = self.some()
            at = sum(self.base[a] for a in chosen)
            body = sum(self.net(a) for a in chosen)
            if self.chance(0.7):
                self.canvas.row(None, body, max(0.0, self.near(at)))
            else:
                self.canvas.row(max(0.0, -self.near(-at)), body, None)

    def _income(self) -> None:
        at = sum(float(self.mean[a]) * v for a, v in self.base.items())
        size = float(self.mean.abs().max())
        body = sum(float(self.mean[a]) / size * self.net(a) for a in self.labels)
        self.canvas.row(-self.near(-at / size, 0.2), body, None)

    def _tracking(self) -> None:
        """‖L(w − w0)‖ ≤ a number, or a variable with a price."""
        equal = 1 / len(self.labels)
        error = [
            sum(float(row[j]) * (self.net(a) - equal) for j, a in enumerate(self.labels))
            for row in self.L
        ]
        at = float(np.linalg.norm(self.L @ (np.array(list(self.base.values())) - equal)))
        if self.chance(0.5):
            self.canvas.row(None, sum(e**2 for e in error), self.near(at, 0.2) ** 2)
            return
        # Through variables, as in the field: v = L(w − w0), v'v ≤ r².
        v = self.canvas.variables("v", list(range(len(error))), None, None)
        for j, e in enumerate(error):
            self.canvas.row(0.0, v[j] - e, 0.0)
        r = self.canvas.variable("r", 0.0)
        self.canvas.row(None, sum(v[j] ** 2 for j in range(len(error))) - r**2, 0.0)
        self.terms.append(float(self.rng.choice([0.1, 1.0])) * r)

    def _turnover(self) -> None:
        buy = self.canvas.variables("buy", self.labels, 0.0, None)
        sell = self.canvas.variables("sell", self.labels, 0.0, None)
        equal = 1 / len(self.labels)
        for a in self.labels:
            self.canvas.row(equal, self.w[a] - buy[a] + sell[a], equal)
        total = sum(buy[a] + sell[a] for a in self.labels)
        if self.chance(0.6):
            at = sum(abs(v - equal) for v in self.base.values())
            self.canvas.row(None, total, max(0.0, self.near(at)))
        if self.chance(0.7):
            cost = float(self.rng.choice([0.003, 0.05, 0.5]))
            self.terms += [cost * (buy[a] + sell[a]) for a in self.labels]
        if self.chance(0.3):
            self.terms += [0.2 * (buy[a] + sell[a]) ** 2 for a in self.labels]

    def _tail(self) -> None:
        """CVaR by Rockafellar & Uryasev over some of the months."""
        months = self.market.R.to_numpy()[:12] / self.market.unit
        level = self.canvas.variable("level")
        beyond = self.canvas.variables("beyond", list(range(len(months))), 0.0, None)
        for k, row in enumerate(months):
            loss = -sum(float(r) * self.net(a) for r, a in zip(row, self.labels, strict=True))
            self.canvas.row(0.0, beyond[k] + level - loss, None)
        share = 1 / (0.25 * len(months))
        cvar = level + share * sum(beyond[k] for k in range(len(months)))
        if self.chance(0.5):
            self.terms.append(0.3 * cvar)
        else:
            at = np.sort(-months @ np.array(list(self.base.values())))[::-1]
            self.canvas.row(
                None, cvar, self.near(float(at[: max(1, len(months) // 4)].mean()), 0.3)
            )

    def _geometric(self) -> None:
        """w_a w_b ≥ g², g rewarded."""
        a, b = self.labels[0], self.labels[-1]
        if self.w[a].lb is None or self.w[b].lb is None:
            return  # then it is no cone
        g = self.canvas.variable("g", 0.0)
        self.canvas.row(0.0, self.w[a] * self.w[b] - g**2, None)
        self.terms.append(-0.2 * g)

    def _squares(self) -> None:
        price = float(self.rng.choice([0.05, 1.0]))
        self.terms += [price * self.net(a) ** 2 for a in self.some()]

    def _limits(self) -> None:
        for part in self.parts:
            # The base portfolio, as far as this block sees it.
            x = np.array([self.base[a] for a in part.labels])
            at = part.problem._values_at(x)
            if self.chance(0.5):
                self.canvas.row(None, part.block.p, max(0.0, self.near(float(at["p"]), 0.5)))
            if self.chance(0.4):
                slack = float(at["p"] - part.factor * at[part.spread])
                self.canvas.row(None, sum(part.slack), max(0.0, self.near(slack, 0.2)))

    def _fixed(self) -> None:
        what = self.rng.choice(["weight", "excluded", "t", "cash"], p=[0.5, 0.2, 0.15, 0.15])
        a = self.some()[0]
        if what == "weight":
            self.w[a].fix(round(self.base[a], 4))
        elif what == "excluded":
            self.w[a].fix(0.0)
        elif what == "t":
            part = self.parts[0]
            spread = getattr(part.block, part.spread)
            spread.fix(round(float(self.rng.uniform(0, 0.8)), 3))
        elif self.cash is not None:
            self.cash.fix(0.1)

    def _deactivated(self) -> None:
        part = self.parts[-1]
        rows = [r for r in ("hyperbolic", "marginal_risk") if hasattr(part.block, r)]
        what = str(self.rng.choice([*rows, "portfolio_risk"]))
        self.kind[-1] = f"without {what}"
        if what == "portfolio_risk":
            part.block.portfolio_risk.deactivate()
        else:
            rows = getattr(part.block, str(what))
            keys = list(rows.keys()) if hasattr(rows, "keys") else list(range(len(rows)))
            rows[keys[int(self.rng.integers(len(keys)))]].deactivate()
