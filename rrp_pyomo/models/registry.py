"""The table of problems: what the command line, backtests and the documentation know of them.

A new problem is its own file in this package and an entry in :data:`PROBLEMS`. Several entries may
have one class: what each of them makes it from is then a recipe in :mod:`rrp_pyomo.models.recipes`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from rrp_pyomo.errors import InputError, brief, require_kind

if TYPE_CHECKING:
    from rrp_pyomo.data import WeightSet
    from rrp_pyomo.models.estimates import Estimates
    from rrp_pyomo.models.problem import PortfolioProblem
    from rrp_pyomo.models.risk_parity import Budgets

__all__ = ["PROBLEMS", "Data", "Entry", "Number", "find_problem", "problem_table"]

COSTA_KWON = "Costa & Kwon (2020)"


class Data(StrEnum):
    """What a problem is about; the names are those of ``Estimates``, ``ESTIMATES`` all of it.

    A class that takes the latter is made by its ``from_estimates(estimates, number, weight_set)``,
    or by a recipe with these arguments.

    Examples
    --------
    >>> from rrp_pyomo.models.registry import PROBLEMS, Data
    >>> [name for name, entry in PROBLEMS.items() if entry.data is Data.UNCERTAINTY]
    ['robust', 'robust_budgeting']
    """

    COVARIANCE = "covariance"
    UNCERTAINTY = "uncertainty"
    RETURNS = "returns"
    ESTIMATES = "estimates"


class Number(NamedTuple):
    """The number that a problem's user chooses, an argument of its class or of its recipe.

    Examples
    --------
    >>> from rrp_pyomo.models.registry import PROBLEMS
    >>> PROBLEMS["robust"].number
    Number(name='omega', default=1.0, meaning='aversion to estimation error')
    """

    name: str
    default: float
    meaning: str


@dataclass(frozen=True)
class Entry:
    """A problem in the table.

    Parameters
    ----------
    module, class_name : str
        Where its class is, imported when it is first used; the command line starts without.
    equation, source : str
        Where it is printed.
    kind : str
        Of optimisation problem.
    data : Data
        What the class takes first.
    number : Number, optional
    budgets : bool
        Whether it takes risk budgets.
    arguments : str
        What it is made from, as the documentation writes it; by default the data and the number.
    recipe : str
        The function in :mod:`rrp_pyomo.models.recipes` that makes it from estimates; without one
        its class does.

    Examples
    --------
    >>> from rrp_pyomo.models.registry import PROBLEMS
    >>> entry = PROBLEMS["socp"]
    >>> entry.equation, entry.source, entry.written
    ('(11)', 'Costa & Kwon (2020)', 'RiskParitySOCP(covariance)')
    """

    module: str
    class_name: str
    equation: str
    source: str
    kind: str
    data: Data
    number: Number | None = None
    budgets: bool = True
    arguments: str = ""
    recipe: str = ""

    @property
    def problem(self) -> type[PortfolioProblem]:
        """The class."""
        found: type[PortfolioProblem] = getattr(
            import_module(f"rrp_pyomo.models.{self.module}"), self.class_name
        )
        return found

    @property
    def has_worst_case(self) -> bool:
        """Whether the worst-case covariance may take the place of the estimated one."""
        return self.data is Data.COVARIANCE

    def make(
        self,
        estimates: Estimates,
        number: float | None = None,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
        worst_case: bool = False,
    ) -> PortfolioProblem:
        """The problem for these estimates.

        Parameters
        ----------
        estimates : Estimates
        number : float, optional
            See :attr:`number`; its default if there is none.
        budgets, weight_set : optional
            As the class takes them.
        worst_case : bool
            For the worst-case covariance.

        Raises
        ------
        InputError
            What the problem does not take, and what its class refuses.
        """
        arguments: dict[str, Any] = {"weight_set": weight_set}
        if self.budgets:
            arguments["budgets"] = budgets
        elif budgets is not None:
            raise InputError(f"{self.class_name} takes no budgets; leave them out")
        if self.number is not None:
            argument = "number" if self.data is Data.ESTIMATES else self.number.name
            arguments[argument] = self.number.default if number is None else number
        elif number is not None:
            raise InputError(f"{self.class_name} takes no number; leave {number!r} out")
        if worst_case and not self.has_worst_case:
            raise InputError(
                f"{self.class_name} takes no worst-case covariance, but the {self.data}; leave "
                "worst_case out"
            )
        if self.data is Data.ESTIMATES:
            return self.construct(estimates, **arguments)
        given = estimates.uncertainty.worst_case if worst_case else getattr(estimates, self.data)
        return self.construct(given, **arguments)

    @property
    def construct(self) -> Callable[..., PortfolioProblem]:
        """What makes the problem: its class, that one's ``from_estimates``, or a recipe."""
        made: Any = self.problem
        if self.recipe:
            made = getattr(import_module("rrp_pyomo.models.recipes"), self.recipe)
        elif self.data is Data.ESTIMATES:
            made = made.from_estimates
        construct: Callable[..., PortfolioProblem] = made
        return construct

    @property
    def written(self) -> str:
        """The class and what it is made from, as one would write it."""
        number = f", {self.number.name}={self.number.default}" if self.number else ""
        return f"{self.class_name}({self.arguments or self.data + number})"


# Kinds and numbers that several have.
QUADRATIC, SOCP = "quadratic objective", "second-order cones"
EXPONENTIAL = "exponential cones"
RISK_AVERSION = Number("risk_aversion", 1.0, "risk aversion λ")
TAIL = Number("alpha", 0.05, "tail probability α")
LEVEL = Number("level", 0.95, "confidence that the set holds the truth")

_made_of_estimates = partial(Entry, data=Data.ESTIMATES, budgets=False)

PROBLEMS: dict[str, Entry] = {
    "nlp": Entry(
        "nlp", "RiskParityNLP", "(3)", COSTA_KWON, "nonconvex, products of products",
        Data.COVARIANCE,
    ),
    "qclp": Entry(
        "qclp", "RiskParityQCLP", "(4)", COSTA_KWON, "nonconvex quadratic constraints",
        Data.COVARIANCE,
    ),
    "socp": Entry(
        "socp", "RiskParitySOCP", "(11)", COSTA_KWON, "second-order cones", Data.COVARIANCE
    ),
    "robust": Entry(
        "robust", "RobustRiskParity", "(12)", COSTA_KWON, "second-order cones", Data.UNCERTAINTY,
        Number("omega", 1.0, "aversion to estimation error"),
    ),
    "budgeting": Entry(
        "risk_budgeting", "RiskBudgeting", "constrained risk budgeting",
        "Richard & Roncalli (2019)", "second-order cones, or exponential ones", Data.COVARIANCE,
    ),
    "robust_budgeting": Entry(
        "robust_risk_budgeting", "RobustRiskBudgeting", "a variant of (12)", "this package",
        "second-order cones, or exponential ones", Data.UNCERTAINTY,
        Number("omega", 1.0, "aversion to estimation error"),
    ),
    "factor_parity": Entry(
        "factor_parity", "FactorRiskParity", "parity of factor contributions",
        "Roncalli & Weisang (2016)", "nonconvex quadratic constraints", Data.COVARIANCE,
    ),
    "mean_variance": _made_of_estimates(
        "mean_variance", "MeanVariance", "mean and variance", "Markowitz (1952)", QUADRATIC,
        number=RISK_AVERSION, recipe="mean_variance",
        arguments="mean, covariance, risk_aversion=1.0",
    ),
    "minimum_variance": _made_of_estimates(
        "mean_variance", "MeanVariance", "least variance", "Markowitz (1952)", QUADRATIC,
        recipe="minimum_variance", arguments="None, covariance",
    ),
    "ledoit_wolf": _made_of_estimates(
        "mean_variance", "MeanVariance", "least variance, covariance shrunk towards one variance",
        "Ledoit & Wolf (2004)", QUADRATIC, recipe="ledoit_wolf",
        arguments="None, ledoit_wolf(returns).covariance",
    ),
    "bayes_stein": _made_of_estimates(
        "mean_variance", "MeanVariance", "means shrunk towards that of least variance",
        "Jorion (1986)", QUADRATIC, number=RISK_AVERSION, recipe="bayes_stein",
        arguments="(b := bayes_stein(returns)).mean, b.covariance, risk_aversion=1.0",
    ),
    "black_litterman": _made_of_estimates(
        "mean_variance", "MeanVariance", "what 1/n implies, with sample means as views",
        "Black & Litterman (1992)", QUADRATIC, number=RISK_AVERSION._replace(default=2.5),
        recipe="black_litterman", arguments="(b := BlackLitterman(covariance, …)).mean, "
        "b.predictive_covariance, risk_aversion=2.5",
    ),
    "resampled": _made_of_estimates(
        "resampled", "Resampled", "Markowitz's portfolios of samples, averaged", "Michaud (1998)",
        QUADRATIC, number=RISK_AVERSION, recipe="resampled",
        arguments="MeanVariance(mean, covariance, 1.0), 50, average='risk_aversion', "
        "observations=T",
    ),
    "ridge": _made_of_estimates(
        "mean_variance", "MeanVariance", "ridge penalty γ‖x‖₂²", "DeMiguel, Garlappi, Nogales & "
        "Uppal (2009)", QUADRATIC, number=Number("gamma", 0.01, "weight γ of the ridge penalty"),
        recipe="ridge", arguments="mean, covariance, l2_squared=0.01",
    ),
    "robust_mean_variance": _made_of_estimates(
        "mean_variance", "MeanVariance", "means in an ellipsoid", "Ceria & Stubbs (2006)", SOCP,
        number=LEVEL, recipe="robust_mean_variance",
        arguments="Ellipsoid.of_mean(returns, 0.95, covariance), covariance",
    ),
    "box_mean_variance": _made_of_estimates(
        "mean_variance", "MeanVariance", "means in a box", "Tütüncü & Koenig (2004)", QUADRATIC,
        number=LEVEL, recipe="box_mean_variance",
        arguments="Box.of_mean(returns, 0.95, joint=False), covariance",
    ),
    "robust_minimum_variance": _made_of_estimates(
        "mean_variance", "MeanVariance", "least variance, entries of the covariance uncertain",
        "Lobo & Boyd (2000)", SOCP, number=Number("radius", 2.0, "standard errors in all"),
        recipe="robust_minimum_variance",
        arguments="None, ElementwiseError.from_observations(covariance, T, 2.0)",
    ),
    "goldfarb_iyengar": _made_of_estimates(
        "mean_variance", "MeanVariance", "means in a box, loadings in ellipsoids",
        "Goldfarb & Iyengar (2003)", SOCP, number=LEVEL, recipe="goldfarb_iyengar",
        arguments="*LoadingEllipsoids.from_regression(model, 0.95)",
    ),
    "robust_loadings": _made_of_estimates(
        "mean_variance", "MeanVariance", "loadings in a ball, for risk and return together",
        "El Ghaoui & Lebret (1997)", SOCP, number=Number("radius", 1.0, "radius of the ball"),
        recipe="robust_loadings", arguments="alpha, LoadingsBall(loadings, …, 1.0, factor_mean)",
    ),
    "mean_cvar": _made_of_estimates(
        "mean_cvar", "MeanCVaR", "mean and CVaR of scenarios", "Rockafellar & Uryasev (2000)",
        "linear", number=TAIL, arguments="scenarios, alpha=0.05",
    ),
    "moment_cvar": _made_of_estimates(
        "mean_cvar", "MeanCVaR", "worst CVaR of known moments",
        "El Ghaoui, Oks & Oustry (2003)", SOCP, number=TAIL, recipe="moment_cvar",
        arguments="Moments(mean, covariance), alpha=0.05",
    ),
    "wasserstein_cvar": _made_of_estimates(
        "mean_cvar", "MeanCVaR", "worst CVaR of a Wasserstein ball",
        "Mohajerin Esfahani & Kuhn (2018)", SOCP, recipe="wasserstein_cvar",
        number=Number("radius", 0.001, "radius of the ball, in units of returns"),
        arguments="Wasserstein(scenarios, radius), alpha=0.05",
    ),
    "evar": _made_of_estimates(
        "mean_cvar", "MeanEVaR", "mean and entropic value at risk", "Ahmadi-Javid (2012)",
        "exponential cones", number=TAIL, arguments="scenarios, alpha=0.05",
    ),
    "log_utility": _made_of_estimates(
        "expected_utility", "ExpectedUtility", "expected logarithm of wealth", "Kelly (1956)",
        EXPONENTIAL, recipe="log_utility", arguments="scenarios, 'log'",
    ),
    "power_utility": _made_of_estimates(
        "expected_utility", "ExpectedUtility", "constant relative risk aversion γ",
        "Mossin (1968)", "power cones", number=Number("gamma", 5.0, "relative risk aversion γ"),
        recipe="power_utility", arguments="scenarios, PowerUtility(5.0)",
    ),
    "robust_log_utility": _made_of_estimates(
        "expected_utility", "ExpectedUtility", "worst expected logarithm within an entropy",
        "Hu & Hong (2013)", EXPONENTIAL, number=LEVEL, recipe="robust_log_utility",
        arguments="KullbackLeibler(scenarios, …), 'log'",
    ),
    "moment_shortfall": _made_of_estimates(
        "expected_utility", "ExpectedUtility", "worst mean less shortfall of known moments",
        "Scarf (1958)", SOCP, number=Number("b", 5.0, "cost of a shortfall below 0"),
        recipe="moment_shortfall", arguments="Moments(mean, covariance), KinkedUtility(5.0)",
    ),
}  # fmt: skip
"""By the names that ``rrp solve --model`` and the strategies of backtests have for them."""


def find_problem(name: str) -> Entry:
    """The entry of a name.

    Raises
    ------
    InputError
        No problem has it.

    Examples
    --------
    >>> from rrp_pyomo.models.registry import find_problem
    >>> find_problem("evar").problem.__name__
    'MeanEVaR'
    """
    if not isinstance(name, str) or name not in PROBLEMS:
        raise InputError(f"unknown model {brief(name)}; expected {names_of(lambda entry: True)}")
    return PROBLEMS[name]


def name_and_number(text: str, what: str = "model") -> tuple[str, float | None]:
    """A name and the number after its colon, such as ``"socp"`` or ``"robust:1.5"``.

    Raises
    ------
    InputError
        What follows the colon is no number, or the name is not that of a problem with one; the
        message says ``what`` the text is.
    """
    require_kind(text, str, what, "such as 'robust:1.5'")
    name, _, number = text.strip().partition(":")
    if not number:
        return name, None
    takers = {taker: entry for taker, entry in PROBLEMS.items() if entry.number is not None}
    if name in takers:
        with contextlib.suppress(ValueError):
            return name, float(number)
    raise InputError(
        f"{what} {text!r} is not understood; a number goes with {_listed(list(takers), 'and')} "
        f"only, as in '{next(iter(takers))}:1.5'"
    )


def names_of(wanted: Callable[[Entry], bool]) -> str:
    """The problems that are wanted, in words: ``nlp, qclp or socp``."""
    return _listed([name for name, entry in PROBLEMS.items() if wanted(entry)], "or")


def problem_table() -> str:
    """The table of ``docs/problems.md`` in Markdown: a row for each problem.

    Examples
    --------
    >>> from rrp_pyomo.models.registry import problem_table
    >>> print(problem_table().splitlines()[0])
    | class | problem | kind | default solver | `--model`, strategy |
    """
    rows = [["class", "problem", "kind", "default solver", "`--model`, strategy"]]
    rows.append(["---"] * len(rows[0]))
    for name, entry in PROBLEMS.items():
        number = entry.number
        rows.append(
            [
                f"`{entry.written}`",
                f"{entry.equation}, {entry.source}",
                entry.kind,
                f"`{entry.problem.default_solver}`",
                f"`{name}`" + (f", `{name}:{number.default:g}`" if number else ""),
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _listed(names: list[str], word: str) -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last
