"""Programs: sweeps over a parameter against bare Clarabel, and factored variances as written.

python benchmarks/programs.py [--quick]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import clarabel
import numpy as np
import scipy.sparse as sp
from _figures import Figure, run

from rrp_pyomo import (
    CovarianceUncertainty,
    FactorCovariance,
    Program,
    RobustRiskParity,
    solve_program,
    sum_squares,
)
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend, clarabel_cones, clarabel_settings

VALUES = 40


def robust() -> Program:
    """(12) with ω as its parameter, n = 25 and three factors."""
    rng = np.random.default_rng(25)
    V = np.vstack([rng.normal(1.0, 0.25, 25), rng.normal(0.0, 0.4, (2, 25))])
    nominal = FactorCovariance(V, np.diag([5e-4, 1e-4, 1e-4]), rng.uniform(2e-4, 2e-3, 25))
    errors = rng.uniform(0.03, 0.12, V.shape)
    uncertainty = CovarianceUncertainty.from_loading_errors(nominal, errors)
    return RobustRiskParity(uncertainty, 1.0).program()


def mean_variance() -> Program:
    """Mean–variance with its risk aversion as a parameter, n = 25."""
    rng = np.random.default_rng(25)
    root, mu = rng.normal(size=(25, 25)) / 5, rng.normal(size=25)
    program = Program("mean_variance")
    w = program.variable("w", range(25), lower=0, unit=1 / 25)
    aversion = program.parameter("aversion", 1.0)
    program.maximize(mu @ w - aversion / 2 * sum_squares(root @ w))
    program.subject_to(fully_invested=w.sum() == 1)
    return program


def sweep(program: Program, name: str, values: list[float], repeats: int) -> tuple[float, float]:
    """Median seconds a value: ours, and Clarabel's update and solve on forms that are ready."""
    forms = []
    for value in values:
        program.set(**{name: value})
        solve_program(program)
        forms.append(program.conic())
    first = forms[0]
    settings = clarabel_settings(ClarabelBackend.for_programs)
    P = sp.csc_matrix((first.A.shape[1],) * 2) if first.P is None else first.P
    solver = clarabel.DefaultSolver(P, first.q, first.A, first.b, clarabel_cones(first), settings)

    def by_hand(form: Any) -> None:
        squares = {} if form.P is None else {"P": form.P.data}
        solver.update(q=form.q, b=form.b, A=form.A.data, **squares)
        solver.solve()

    def ours(value: float) -> None:
        program.set(**{name: value})
        solve_program(program)

    pairs = [(taken(ours, v), taken(by_hand, f)) for v, f in zip(values, forms, strict=True)]
    for _ in range(repeats - 1):
        again = [(taken(ours, v), taken(by_hand, f)) for v, f in zip(values, forms, strict=True)]
        pairs = [(min(a, c), min(b, d)) for (a, b), (c, d) in zip(pairs, again, strict=True)]
    a, b = zip(*pairs, strict=True)
    return statistics.median(a), statistics.median(b)


def taken(call: Callable[[Any], object], argument: Any) -> float:
    began = time.perf_counter()
    call(argument)
    return time.perf_counter() - began


def factored(as_written: bool) -> Program:
    """Mean–variance of 3,000 assets and 50 factors, the exposures by hand or not."""
    n, k = 3000, 50
    rng = np.random.default_rng(0)
    V, d, mu = rng.normal(size=(k, n)) / np.sqrt(n), rng.uniform(0.1, 1.0, n), rng.normal(size=n)
    program = Program("factored")
    w = program.variable("w", range(n), lower=0, unit=1 / n)
    exposure = V @ w
    if not as_written:
        y = program.variable("y", range(k), unit=1 / n)
        program.subject_to(exposures=y == exposure)
        exposure = y
    program.maximize(0.1 * mu @ w - sum_squares(exposure) - sum_squares(d * w))
    program.subject_to(fully_invested=w.sum() == 1)
    return program


def figures(quick: bool) -> Iterator[Figure]:
    repeats = 2 if quick else 7
    for name, program, values in (
        ("omega", robust(), np.linspace(0.1, 8.0, VALUES)),
        ("aversion", mean_variance(), np.logspace(-1.0, 2.0, VALUES)),
    ):
        ours, bare = sweep(program, name, values.tolist(), repeats)
        limit = 1.3 * bare + 6e-4
        yield Figure(f"a value of {name}, n = 25", 1e3 * ours, 1e3 * limit, "ms")
        yield Figure("  Clarabel alone", 1e3 * bare, 1e3 * bare, "ms")
    ratios = []
    for _ in range(3 if quick else 9):
        seconds = [taken(lambda b: solve_program(factored(b)), b) for b in (True, False)]
        ratios.append(seconds[0] / seconds[1])
    yield Figure(
        "mean–variance, n = 3,000, k = 50, as written, times by hand",
        statistics.median(ratios),
        1.2,
        "",
    )


if __name__ == "__main__":
    run(__doc__ or "", figures)
