"""Ipopt on quadratic forms: derivatives, optimality conditions, risk parity, options, statuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import casadi
import numpy as np
import pytest
import scipy.sparse as sp
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import InputError, SolverError, UnknownLabelError
from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.solvers.ipopt.embedded import STATUS
from rrp_pyomo.solvers.ipopt.options import option_types, version
from rrp_pyomo.solvers.ipopt.quadratic import ScaledForm, solve_quadratic_form

SEEDS = range(5)


def random_form(seed: int, n: int = 6, rows: int = 4) -> QuadraticForm:
    """A strictly convex objective over convex quadratic rows and bounds, with x = 0 inside."""
    rng = np.random.default_rng(seed)
    row, i, j, value = [], [], [], []
    for k in range(-1, rows):
        L = rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.6)
        H = L @ L.T + (np.eye(n) if k < 0 else 0.0)
        places = np.nonzero(H)
        row.append(np.full(places[0].size, k))
        i.append(places[0])
        j.append(places[1])
        value.append(H[places])
    return QuadraticForm(
        c=5.0 * rng.normal(size=n),
        constant=3.0,
        A=sp.csr_matrix(rng.normal(size=(rows, n)) * (rng.random((rows, n)) < 0.7)),
        row_lower=np.full(rows, -np.inf),
        row_upper=rng.uniform(0.5, 1.0, rows),
        lower=rng.uniform(-1.0, -0.2, n),
        upper=rng.uniform(0.2, 1.0, n),
        row=np.concatenate(row),
        i=np.concatenate(i),
        j=np.concatenate(j),
        value=np.concatenate(value),
        units=10.0 ** rng.uniform(-3, 3, n),
    )


def products(form: QuadraticForm, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Objective and rows of a form, and their gradients, straight from the definition."""
    n, rows = x.size, form.row_lower.size
    values = np.concatenate([[form.constant + form.c @ x], form.A @ x])
    gradients = np.vstack([form.c, form.A.toarray()])
    for r, i, j, v in zip(form.row + 1, form.i, form.j, form.value, strict=True):
        values[r] += v * x[i] * x[j]
        gradients[r, i] += v * x[j]
        gradients[r, j] += v * x[i]
    assert values.shape == (1 + rows,)
    assert gradients.shape == (1 + rows, n)
    return values, gradients


@pytest.mark.parametrize("seed", SEEDS)
def test_derivatives_are_those_of_the_form(seed: int) -> None:
    """In scaled variables: values, gradients, and the Hessian as a difference of gradients."""
    form = random_form(seed)
    scaled = ScaledForm.of(form, None)
    problem, derivatives = scaled.functions()
    rng = np.random.default_rng(seed + 100)
    x, lam = rng.normal(size=form.c.size), rng.normal(size=1 + form.row_lower.size)
    at = casadi.Function("at", [problem["x"]], [problem["f"], problem["g"]])

    def stated(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradients = products(form, x * form.units)
        return scaled.scale * values, scaled.scale[:, None] * gradients * form.units

    values, gradients = stated(x)
    f, g = (np.array(part).ravel() for part in at(x))
    np.testing.assert_allclose(f, values[:1] - scaled.scale[0] * form.constant, rtol=1e-12)
    np.testing.assert_allclose(g, values[1:], rtol=1e-12)
    _, gradient = derivatives["grad_f"](x, [])
    np.testing.assert_allclose(np.array(gradient).ravel(), gradients[0], rtol=1e-12)
    _, jacobian = derivatives["jac_g"](x, [])
    np.testing.assert_allclose(np.array(jacobian.full()), gradients[1:], rtol=1e-12)

    triangle = np.array(derivatives["hess_lag"](x, [], lam[0], lam[1:]).full())
    assert not np.tril(triangle, -1).any()
    hessian = triangle + np.triu(triangle, 1).T
    step = np.eye(x.size)  # gradients are linear: a difference is exact at any step
    differences = [lam @ (stated(x + e)[1] - gradients) for e in step]
    np.testing.assert_allclose(hessian, differences, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_solution_meets_the_optimality_conditions(seed: int) -> None:
    """KKT from the form's definition, to Ipopt's tolerance relative to sizes at x = units."""
    form = random_form(seed)
    found = solve_quadratic_form(form, np.zeros(form.c.size))
    assert found.status == "Solve_Succeeded"
    x, lam, z = found.x, found.row_multipliers, found.bound_multipliers
    values, gradients = products(form, x)
    assert found.objective == pytest.approx(values[0], rel=1e-12)
    size, *sizes = 1.0 / ScaledForm.of(form, None).scale
    residual = gradients[0] + lam @ gradients[1:] + z
    assert np.abs(residual * form.units).max() <= 1e-10 * size
    slack = form.row_upper - values[1:]
    assert (slack / sizes).min() >= -1e-11
    assert lam.min() >= 0.0
    assert (lam * slack).max() <= 1e-11 * size
    assert (x >= form.lower).all()
    assert (x <= form.upper).all()
    assert (np.maximum(z, 0.0) * (form.upper - x)).max() <= 1e-11 * size
    assert (np.maximum(-z, 0.0) * (x - form.lower)).max() <= 1e-11 * size
    assert np.abs(np.r_[lam, z]).max() > 0.1  # something is active


def test_equality_constrained_quadratic_program_in_closed_form() -> None:
    """[H A'; A 0] (x, λ) = (−c, b)."""
    rng = np.random.default_rng(7)
    n, m = 8, 3
    L = rng.normal(size=(n, n))
    H, A, b, c = (
        L @ L.T + np.eye(n),
        rng.normal(size=(m, n)),
        rng.normal(size=m),
        rng.normal(size=n),
    )
    i, j = (index.ravel() for index in np.indices((n, n)))
    form = QuadraticForm(
        c=c, constant=0.0, A=sp.csr_matrix(A), row_lower=b, row_upper=b,
        lower=np.full(n, -np.inf), upper=np.full(n, np.inf),
        row=np.full(n * n, -1), i=i, j=j, value=0.5 * H.ravel(), units=np.ones(n),
    )  # fmt: skip
    found = solve_quadratic_form(form, np.zeros(n))
    KKT = np.block([[H, A.T], [A, np.zeros((m, m))]])
    exact = np.linalg.solve(KKT, np.concatenate([-c, b]))
    np.testing.assert_allclose(found.x, exact[:n], rtol=1e-9)
    np.testing.assert_allclose(found.row_multipliers, exact[n:], rtol=1e-9)
    assert not found.bound_multipliers.any()


def test_units_do_not_show_in_the_result() -> None:
    form = random_form(3)
    one = solve_quadratic_form(form, np.zeros(form.c.size))
    object.__setattr__(form, "units", np.ones(form.c.size))
    other = solve_quadratic_form(form, np.zeros(form.c.size))
    np.testing.assert_allclose(one.x, other.x, atol=1e-8)
    np.testing.assert_allclose(one.row_multipliers, other.row_multipliers, atol=1e-6)
    np.testing.assert_allclose(one.bound_multipliers, other.bound_multipliers, atol=1e-6)


def test_places_of_large_problems_do_not_overflow() -> None:
    """50,000 rows times 50,000 columns do not fit in the 32 bits of scipy's indices."""
    n, last = 50_000, np.array([0, 49_999], np.int32)
    A = sp.csr_matrix((np.ones(2), (last, last)), (n, n))
    free = np.full(n, np.inf)
    form = QuadraticForm(
        c=np.zeros(n), constant=0.0, A=A, row_lower=-free, row_upper=free, lower=-free, upper=free,
        row=last, i=last, j=last, value=np.ones(2), units=np.ones(n),
    )  # fmt: skip
    _, derivatives = ScaledForm.of(form, np.ones(1 + n)).functions()
    for name, output in (("jac_g", 1), ("hess_lag", 0)):
        places = derivatives[name].sparsity_out(output).get_triplet()
        assert list(zip(*places, strict=True)) == [(0, 0), (49_999, 49_999)]


# --- risk parity: every row of (4) is active and degenerate at the solution ---------------------


def risk_parity_form(Sigma: np.ndarray, problem: int) -> QuadraticForm:
    """(3) or (4) over (x, R, θ) or (x, R, θ, ζ) with R_i = x_i (Σx)_i."""
    n = len(Sigma)
    size = 2 * n + (2 if problem == 4 else 1)
    eye, zero, one = np.eye(n), np.zeros((n, n)), np.ones((n, 1))
    definition = np.hstack([zero, -eye, np.zeros((n, size - 2 * n))])
    budget = np.concatenate([np.ones(n), np.zeros(size - n)])
    unit = np.full(n, 1 / n) @ Sigma @ np.full(n, 1 / n) / n
    i, j = (index.ravel() for index in np.indices((n, n)))
    row, value, c = i, Sigma.ravel(), np.zeros(size)
    if problem == 4:
        c[-1] = 1.0
        last = [np.hstack([zero, s * eye, -s * one, one]) for s in (1, -1)]
        lower, upper = np.zeros(2 * n), np.full(2 * n, np.inf)
    else:
        last = [np.concatenate([np.zeros(n), np.full(n, 1 / n), [-1.0]])]
        lower = upper = np.zeros(1)
        R, theta = n + np.arange(n), 2 * n
        # 2n Σ (R_i − θ)²
        i, j = np.r_[i, R, R, theta], np.r_[j, R, np.full(n, theta), theta]
        value = np.r_[value, np.full(n, 2.0 * n), np.full(n, -4.0 * n), 2.0 * n * n]
        row = np.r_[row, np.full(2 * n + 1, -1)]
    return QuadraticForm(
        c=c,
        constant=0.0,
        A=sp.csr_matrix(np.vstack([definition, budget, *last])),
        row_lower=np.r_[np.zeros(n), 1.0, lower],
        row_upper=np.r_[np.zeros(n), 1.0, upper],
        lower=np.r_[np.zeros(n), np.full(n + 1, -np.inf), np.zeros(size - 2 * n - 1)],
        upper=np.full(size, np.inf),
        row=row,
        i=i,
        j=j,
        value=value,
        units=np.r_[np.full(n, 1 / n), np.full(size - n, unit)],
    )


def start_at(Sigma: np.ndarray, x: np.ndarray, problem: int) -> np.ndarray:
    R = x * (Sigma @ x)
    theta = R.mean()
    return np.r_[x, R, theta, np.abs(R - theta).max() if problem == 4 else []]


def random_covariance(kind: str, n: int, seed: int) -> np.ndarray:
    """Per-period covariances, about 1e-4; in ``hedging`` some assets' marginal risk is negative."""
    rng = np.random.default_rng(seed)
    if kind == "dense":
        returns = rng.normal(size=(2 * n, n)) * rng.uniform(0.005, 0.03, n)
        return np.cov(returns.T)
    beta = rng.normal(1.0, 0.5 if kind == "hedging" else 0.2, n)
    others = rng.normal(0.0, 0.5, (2, n))
    V = np.vstack([beta, others])
    return V.T @ np.diag([4e-4, 1e-4, 1e-4]) @ V + np.diag(rng.uniform(1e-4, 9e-4, n))


def parity_by_newton(Sigma: np.ndarray) -> np.ndarray:
    """The minimiser of ½y'Σy − mean(log y), scaled to sum to one."""
    n = len(Sigma)
    y = 1.0 / np.sqrt(np.diag(Sigma))
    y /= np.sqrt(y @ Sigma @ y)
    for _ in range(100):
        gradient = Sigma @ y - 1 / (n * y)
        step = np.linalg.solve(Sigma + np.diag(1 / (n * y**2)), -gradient)
        decrement = np.sqrt(max(-n * gradient @ step, 0.0))
        y = y + step / (1 + (decrement if decrement > 0.3 else 0.0))
    return y / y.sum()


def dispersion(Sigma: np.ndarray, x: np.ndarray) -> float:
    R = x * (Sigma @ x)
    return float(R.std(ddof=1) / R.mean())


ACCURACY = {3: 1e-8, 4: 1e-10}


@pytest.mark.parametrize("problem", [3, 4])
@pytest.mark.parametrize("kind", ["dense", "factored", "hedging"])
@pytest.mark.parametrize("n", [5, 20, 100])
def test_start_at_the_solution_stays_there(problem: int, kind: str, n: int) -> None:
    for seed in SEEDS:
        Sigma = random_covariance(kind, n, seed)
        form = risk_parity_form(Sigma, problem)
        found = solve_quadratic_form(form, start_at(Sigma, parity_by_newton(Sigma), problem))
        assert found.solution_status is SolutionStatus.optimal
        assert dispersion(Sigma, found.x[:n]) <= ACCURACY[problem], (seed, found.status)
        assert found.iterations <= 30


@pytest.mark.parametrize("problem", [3, 4])
def test_start_far_away_without_traps(problem: int) -> None:
    """Where no asset hedges, equal weights lead to risk parity too."""
    n = 60
    for seed in SEEDS:
        Sigma = random_covariance("factored", n, seed)
        form = risk_parity_form(Sigma, problem)
        found = solve_quadratic_form(form, start_at(Sigma, np.full(n, 1 / n), problem))
        assert dispersion(Sigma, found.x[:n]) <= ACCURACY[problem]
        assert found.iterations <= 50


@pytest.mark.parametrize("problem", [3, 4])
def test_uncorrelated_assets_are_weighted_by_inverse_volatility(problem: int) -> None:
    sigma = np.array([0.01, 0.02, 0.05, 0.03])
    form = risk_parity_form(np.diag(sigma**2), problem)
    found = solve_quadratic_form(form, start_at(np.diag(sigma**2), np.full(4, 0.25), problem))
    np.testing.assert_allclose(found.x[:4], (1 / sigma) / (1 / sigma).sum(), rtol=1e-8)


# --- options and statuses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_itr": 3}, UnknownLabelError, "did you mean 'max_iter'"),
        ({"tol": "small"}, InputError, "'tol' is 'small'; expected a value of type float"),
        ({"max_iter": 3.5}, InputError, "expected a value of type int"),
        ({"max_iter": True}, InputError, "expected a value of type int"),
        ({"mu_strategy": 1}, InputError, "expected one of 'monotone', 'adaptive'"),
        ({"tol": -1.0}, InputError, "'tol' is -1.0; expected a value of type float in (0, inf)"),
        ({"mu_strategy": "fast"}, InputError, "adaptive"),
    ],
)
def test_bad_options_are_named(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    form = random_form(0)
    with pytest.raises(error, match=re.escape(message)):
        solve_quadratic_form(form, np.zeros(form.c.size), options)


def test_every_default_is_an_option_and_can_be_overridden() -> None:
    form = random_form(0)
    limited = solve_quadratic_form(form, np.zeros(form.c.size), {"max_iter": 2, "tol": 1e-6})
    assert (limited.status, limited.iterations) == ("Maximum_Iterations_Exceeded", 2)
    assert limited.termination is TerminationCondition.iterationLimit
    assert option_types()["tol"].kind is float


def test_time_limit() -> None:
    Sigma = random_covariance("dense", 100, 0)
    form = risk_parity_form(Sigma, 4)
    start = start_at(Sigma, np.full(100, 0.01), 4)
    found = solve_quadratic_form(form, start, time_limit=0.001)
    assert found.termination is TerminationCondition.maxTimeLimit
    assert found.solution_status is SolutionStatus.unknown


def test_infeasible_problem_is_called_locally_infeasible() -> None:
    form = random_form(0)
    object.__setattr__(form, "row_upper", np.full(form.row_upper.size, -100.0))
    found = solve_quadratic_form(form, np.zeros(form.c.size))
    assert found.status == "Infeasible_Problem_Detected"
    assert found.termination is TerminationCondition.locallyInfeasible


def test_log_is_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    form = random_form(0)
    solve_quadratic_form(form, np.zeros(form.c.size))
    assert capsys.readouterr().out == ""
    solve_quadratic_form(form, np.zeros(form.c.size), tee=True)
    assert "Number of Iterations" in capsys.readouterr().out


@pytest.mark.parametrize("ask", [option_types, version])
def test_an_ipopt_that_prints_something_else_is_named(
    monkeypatch: pytest.MonkeyPatch, ask: Any
) -> None:
    """Not "unknown option", nor a failed assertion, when CasADi's output changes."""

    def other(name: str, *rest: Any) -> Any:
        print("Something new.")
        return lambda: None

    monkeypatch.setattr(casadi, "nlpsol", other)
    ask.cache_clear()
    try:
        with pytest.raises(SolverError, match=rf"casadi {casadi.__version__}.*'Something new.'"):
            ask()
    finally:
        ask.cache_clear()


def test_a_new_word_of_ipopt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(STATUS, "Solve_Succeeded")
    form = random_form(0)
    with pytest.raises(SolverError, match=r"Ipopt 3\.\d+\.\d+ ended with .* 'Solve_Succeeded'"):
        solve_quadratic_form(form, np.zeros(form.c.size))


def test_every_status_of_ipopt_has_a_meaning() -> None:
    """The statuses are those of the header that CasADi's wheel carries."""
    header = Path(casadi.__file__).parent / "include" / "coin-or" / "IpReturnCodes_inc.h"
    words = re.findall(r"^\s*(\w+)\s*=\s*-?\d+", header.read_text(), re.MULTILINE)
    statuses = words[: words.index("Internal_Error") + 1]
    assert len(statuses) >= 20
    assert set(statuses) <= set(STATUS)
    assert version() >= (3, 14)
