"""The exceptions and warnings of the package: one small tree, rooted in standard types."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from numbers import Real

__all__ = [
    "InfeasibleError",
    "InputError",
    "ModelError",
    "RiskParityError",
    "RiskParityWarning",
    "SolverError",
    "SolverUnavailableError",
    "UnknownLabelError",
]


class RiskParityError(Exception):
    """Base of every exception that this package raises on purpose.

    Examples
    --------
    Catches all that the package raises on purpose:

    >>> from rrp_pyomo import WeightSet
    >>> from rrp_pyomo.errors import RiskParityError
    >>> try:
    ...     WeightSet(lower=0.6).resolve(["stocks", "bonds"])
    ... except RiskParityError as error:
    ...     print(error)
    lower bounds sum to 1.2, above the 1 of a fully invested set; reduce them
    """


class InputError(RiskParityError, ValueError):
    """Data or arguments that cannot be used; the message says what was expected and the remedy.

    Examples
    --------
    >>> from rrp_pyomo import RobustRiskParity
    >>> from rrp_pyomo.data import CovarianceUncertainty
    >>> from rrp_pyomo.errors import InputError
    >>> uncertainty = CovarianceUncertainty.from_bounds([[0.04]], [[0.05]])
    >>> try:
    ...     RobustRiskParity(uncertainty, omega=-1.0)
    ... except InputError as error:
    ...     print(error)
    omega is -1.0; expected a finite number of at least 0
    """


class UnknownLabelError(InputError):
    """A label (asset, factor, group, solver, option) that nobody knows; suggests the nearest.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, RiskParitySOCP
    >>> from rrp_pyomo.errors import UnknownLabelError
    >>> try:
    ...     RiskParitySOCP(DenseCovariance([[0.04]])).solve(solver="clarable")
    ... except UnknownLabelError as error:
    ...     print(error)
    unknown solver 'clarable'; did you mean 'clarabel'?
    """

    def __init__(self, kind: str, label: object, known: Iterable[object]) -> None:
        names = [str(k) for k in known]
        near = difflib.get_close_matches(str(label), names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {_shortened(names)}"
        super().__init__(f"unknown {kind} {brief(str(label), most=200)}; {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        """As processes send it to each other."""
        return _said, (type(self), str(self))


class ModelError(InputError):
    """A model that the chosen realisation or solver cannot represent.

    Examples
    --------
    >>> from rrp_pyomo import DenseCovariance, RiskParityNLP
    >>> from rrp_pyomo.errors import ModelError
    >>> try:
    ...     RiskParityNLP(DenseCovariance([[0.04, 0.0], [0.0, 0.01]])).solve(solver="clarabel")
    ... except ModelError as error:
    ...     for part in str(error).split("; "):
    ...         print(part)
    solver 'clarabel' does not take nonconvex problems such as 'RiskParityNLP'
    use one that does: ipopt, casadi_ipopt, gurobi, scip
    """


class SolverError(RiskParityError, RuntimeError):
    """A solver that failed to solve what it was given.

    Examples
    --------
    Such as where a limit ends the search:

    >>> from rrp_pyomo import DenseCovariance, RiskParitySOCP
    >>> from rrp_pyomo.errors import SolverError
    >>> try:
    ...     RiskParitySOCP(DenseCovariance([[0.04, 0.0], [0.0, 0.01]])).solve(max_iter=1)
    ... except SolverError as error:
    ...     print(str(error).partition(" on ")[2])
    RiskParitySOCP: no solution was found; try another solver, and see its log by tee=True
    """


class SolverUnavailableError(SolverError):
    """A solver that is not installed here; the message says how to install it.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from rrp_pyomo import SOLVERS
    >>> from rrp_pyomo.errors import SolverUnavailableError
    >>> missing = replace(SOLVERS["mosek"], locate=lambda: None)
    >>> try:
    ...     missing.require()
    ... except SolverUnavailableError as error:
    ...     for part in str(error).split("; "):
    ...         print(part)
    solver 'mosek' is not installed here
    to install it: pip install "rrp-pyomo[mosek]", and a licence
    """


class InfeasibleError(SolverError):
    """A problem without a solution; the message says why where it is known.

    Examples
    --------
    >>> from rrp_pyomo import Program, solve_program
    >>> from rrp_pyomo.errors import InfeasibleError
    >>> program = Program()
    >>> x = program.variable("x", lower=0, upper=1)
    >>> program.subject_to(much=x >= 2)
    >>> program.minimize(x)
    >>> try:
    ...     solve_program(program)
    ... except InfeasibleError as error:
    ...     print(str(error).partition(": ")[2].partition(": ")[0])
    it has no solution; relax its constraints
    """


class RiskParityWarning(UserWarning):
    """A result that its user should look at before trusting it.

    Examples
    --------
    >>> import warnings
    >>> from rrp_pyomo import DenseCovariance, RiskParitySOCP, WeightSet
    >>> from rrp_pyomo.errors import RiskParityWarning
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> half = WeightSet(upper={"bonds": 0.5})
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     portfolio = RiskParitySOCP(covariance, weight_set=half).solve()
    >>> caught[0].category.__name__, str(caught[0].message).partition(",")[0]
    ('RiskParityWarning', "RiskParitySOCP: beside upper bound of 'bonds'")
    """


def warn(message: str) -> None:
    """Issue a :class:`RiskParityWarning` that points to the caller's line, not to one in here."""
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").startswith(f"{__package__}."):
        level += 1
    warnings.warn(message, RiskParityWarning, stacklevel=level + 1)


def _said(kind: type[RiskParityError], message: str) -> RiskParityError:
    """An exception that says this, whatever its class is made from."""
    error = kind.__new__(kind)
    error.args = (message,)
    return error


def _shortened(items: list[str], most: int = 12) -> str:
    more = f", … ({len(items)} in all)" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def brief(value: object, most: int = 60) -> str:
    """A value as messages show it."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # such as for an int of more than 4300 digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}… (a {type(value).__name__})"


def require_kind(value: object, kind: type, name: str, remedy: str) -> None:
    """Raise where an argument is of another type."""
    if isinstance(value, kind):
        return
    given = "None" if value is None else _with_article(type(value).__name__)
    if isinstance(value, type):
        given = f"the class {value.__name__} itself"
    raise InputError(f"{name} is {given}; expected {_with_article(kind.__name__)}, {remedy}")


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouAEIOU' or name == 'ndarray' else 'a'} {name}"


def is_number(value: object, kind: type = Real) -> bool:
    """Whether a value is a number: no bool, and no span of time, which is one to NumPy."""
    other = isinstance(value, bool) or type(value).__name__ == "timedelta64"
    return isinstance(value, kind) and not other
