"""Strategies against a reference, usually 1/n: three measures, and which differences are chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo._extras import require_extra
from rrp_pyomo._processes import require_at_least
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

# What a difference is tested at, two-sided.
LEVEL = 0.05

# Series that nowhere differ by more are of one portfolio, found by different solvers.
_SAME = 1e-6

# What is better when it is larger, and what when it is smaller, in the words of a report.
MEASURES = {
    "sharpe": "Sharpe ratio",
    "certainty_equivalent": "certainty equivalent",
    "drifted_turnover": "turnover",
}
_LESS_IS_BETTER = {"drifted_turnover"}


class PValues(NamedTuple):
    """(K, S) p-values: of each difference on its own, and of all columns' together.

    A joint one is the probability of so large a difference among all columns where none differs,
    so that any is below 5 % by chance in 5 % of cases only (Romano & Wolf 2005, one step).
    """

    single: FloatArray
    joint: FloatArray


class Statistic(NamedTuple):
    """A statistic of each column of a (T, S) sample, and its influence function at each row.

    The influence of row t is the derivative of the statistic by that row's weight in the sample; to
    first order the statistic's sampling error is that of the influences' mean (the delta method).
    """

    value: FloatArray  # (S,)
    influence: FloatArray  # (T, S), of mean 0


Functional = Callable[[FloatArray], Statistic]


def mean_of(sample: FloatArray) -> Statistic:
    """The mean m; a row's influence is y − m."""
    m = sample.mean(axis=0)
    return Statistic(m, sample - m)


def sharpe_of(sample: FloatArray) -> Statistic:
    """m/s per period; with z = (y − m)/s a row's influence is z − (m/s)(z² − 1)/2."""
    m, s = sample.mean(axis=0), sample.std(axis=0)
    z, ratio = (sample - m) / s, m / s
    return Statistic(ratio, z - 0.5 * ratio * (z * z - 1.0))


def certainty_equivalent_of(sample: FloatArray, risk_aversion: float = 1.0) -> Statistic:
    """m − (γ/2) s² per period; a row's influence is y − m − (γ/2)((y − m)² − s²)."""
    m = sample.mean(axis=0)
    deviation = sample - m
    squares = deviation * deviation
    variance, half = squares.mean(axis=0), 0.5 * risk_aversion
    return Statistic(m - half * variance, deviation - half * (squares - variance))


def p_values(
    sample: FloatArray,
    reference: int,
    functionals: Sequence[Functional],
    block: int,
    replications: int,
    seed: int = 0,
) -> PValues:
    """Two-sided p-values of the differences of statistics from those of a reference column.

    The circular block bootstrap of Politis & Romano (1992), studentised (Götze & Künsch 1996; for
    Sharpe ratios Ledoit & Wolf 2008): p = (1 + #{|Δ* − Δ| / s* ≥ |Δ| / s}) / (1 + replications).
    The standard error s is that of the differences' influences by circular blocks of the same
    length, all of them, which is a Bartlett kernel (Ledoit & Wolf take another one); s* that of the
    blocks drawn. All columns see the same draws.

    Parameters
    ----------
    sample : (T, S) array
    reference : int
        Its column; NaN for itself, 1 for columns that are the same to within 1e-6.
    functionals : sequence of K functions from a sample to a Statistic
    block : int
        Periods.
    replications, seed : int

    Returns
    -------
    PValues
    """
    from arch.bootstrap import CircularBlockBootstrap

    T, S = sample.shape
    whole = T // block * block
    same = np.abs(sample - sample[:, [reference]]).max(axis=0) <= _SAME
    tested = np.append(np.flatnonzero(~same), reference)
    sample = sample[:, tested]
    differences = [_difference(functional(sample)) for functional in functionals]
    found = np.array([d.value for d in differences])
    errors = np.array([_circular_error(d.influence, block) for d in differences])
    exceeded, all_exceeded = np.zeros(found.shape), np.zeros(found.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(found) / errors

    def spread(count: FloatArray) -> FloatArray:
        table = np.ones((len(functionals), S))
        table[:, tested[:-1]] = np.where(
            np.isnan(found), np.nan, (1.0 + count) / (1.0 + replications)
        )
        table[:, reference] = np.nan
        return table

    draws = CircularBlockBootstrap(block, sample, seed=np.random.default_rng(seed))
    for (drawn,), _ in draws.bootstrap(replications):
        for k, functional in enumerate(functionals):
            star = _difference(functional(np.asarray(drawn)))
            sums = star.influence[:whole].reshape(-1, block, len(tested) - 1).sum(axis=1)
            error = np.sqrt((sums * sums).sum(axis=0)) / whole
            with np.errstate(divide="ignore", invalid="ignore"):
                drawn_size = np.abs(star.value - found[k]) / error
            exceeded[k] += drawn_size >= size[k]
            all_exceeded[k] += np.nanmax(drawn_size, initial=0.0) >= size[k]
    return PValues(*(spread(count) for count in (exceeded, all_exceeded)))


def _difference(statistic: Statistic) -> Statistic:
    """From the last column, of the others."""
    value, influence = statistic
    return Statistic(value[:-1] - value[-1], influence[:, :-1] - influence[:, -1:])


def _circular_error(influence: FloatArray, block: int) -> FloatArray:
    """√(mean over all circular blocks of (their sum)² / (block · T)), by column."""
    T = len(influence)
    total = np.cumsum(np.vstack([influence, influence[:block]]), axis=0)
    sums = total[block:] - total[:T]
    error: FloatArray = np.sqrt((sums * sums).mean(axis=0) / (block * T))
    return error


def block_length(series: FloatArray) -> int:
    """The mean of the lengths that are optimal for the columns' means, rounded up.

    Those of the circular block bootstrap by Politis & White (2004); at most a tenth of the sample.
    """
    from arch.bootstrap import optimal_block_length

    moving = series[:, series.std(axis=0) > 0.0]
    if not moving.shape[1] or len(moving) < 30:
        return 1
    best = float(np.nanmean(optimal_block_length(moving)["circular"]))
    return int(np.clip(np.ceil(best), 1, len(moving) // 10))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Strategies against a reference, as DeMiguel, Garlappi & Uppal (2009) compare them with 1/n.

    Attributes
    ----------
    table : DataFrame
        By strategy: ``sharpe`` and ``certainty_equivalent`` (annualised), ``drifted_turnover``
        (average trade at a rebalance), each followed by the p-value ``…_p`` of its difference from
        the reference and by ``…_joint_p``, which allows for the number of strategies; and
        ``return_loss`` (annualised).
    reference : str
    risk_aversion, cost : float
    block, trade_block : int
        Lengths of the bootstrap's blocks, in periods and in rebalances.
    replications, seed : int
    level : float
        Below which a p-value is called significant.
    left_out : Series
        Why a strategy is not here, by its name.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-60:, :3], data.factors[-60:]
    >>> result = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y").run()
    >>> comparison = result.comparison("equal weight", replications=99)
    >>> comparison.table["sharpe"].round(2).to_dict(), comparison.reference
    ({'equal weight': 0.75, 'nominal': 0.81}, 'equal weight')
    """

    table: pd.DataFrame
    reference: str
    risk_aversion: float
    cost: float
    block: int
    trade_block: int
    replications: int
    seed: int
    left_out: pd.Series
    level: float = LEVEL

    def better(self, measure: str, significant: bool | Literal["joint"] = False) -> list[str]:
        """The strategies that are better than the reference in a measure.

        Parameters
        ----------
        measure : {"sharpe", "certainty_equivalent", "drifted_turnover"}
            Of turnover less is better.
        significant : bool or "joint"
            Only those whose difference is significant, on its own or allowing for the number of
            strategies.

        Raises
        ------
        InputError
            Another measure.
        """
        return self._beyond(measure, significant, -1.0 if measure in _LESS_IS_BETTER else 1.0)

    def worse(self, measure: str, significant: bool | Literal["joint"] = False) -> list[str]:
        """The strategies that are worse than the reference in a measure; see :meth:`better`."""
        return self._beyond(measure, significant, 1.0 if measure in _LESS_IS_BETTER else -1.0)

    def _beyond(self, measure: str, significant: bool | Literal["joint"], sign: float) -> list[str]:
        if measure not in MEASURES:
            raise InputError(f"measure is {measure!r}; expected one of {', '.join(MEASURES)}")
        tested = f"{measure}_joint_p" if significant == "joint" else f"{measure}_p"
        value, p = (self.table[name].to_numpy() for name in (measure, tested))
        beyond = sign * (value - self._reference_value(measure)) > 0.0
        return list(self.table.index[beyond & (p < (self.level if significant else 1.0))])

    def _reference_value(self, measure: str) -> float:
        return float(self.table[measure].to_numpy()[self.table.index.get_loc(self.reference)])

    def verdict(self) -> list[str]:
        """In sentences: which are better than the reference in each measure, and in all three."""
        others = len(self.table) - 1
        sentences = []
        for measure, words in MEASURES.items():
            value = self._reference_value(measure)
            written = f"{value:.3f}" if measure == "sharpe" else f"{value:.2%}"
            better = self.better(measure)
            known = self.better(measure, significant=True)
            worse = self.worse(measure, significant=True)
            sentences.append(
                f"{words[0].upper()}{words[1:]}: {len(better)} of {others} beat {self.reference} "
                f"({written}){': ' if better else ''}{', '.join(better)}. Significantly: "
                f"{_names(known)}; allowing for {others} comparisons: "
                f"{_names(self.better(measure, 'joint'))}. Significantly worse: {_names(worse)}."
            )
        ways: dict[bool, str] = {False: "", True: " significantly"}
        for significant, how in ways.items():
            in_each = [set(self.better(measure, significant)) for measure in MEASURES]
            in_all = [name for name in self.table.index if all(name in each for each in in_each)]
            sentences.append(f"Beat {self.reference} in all three{how}: {_names(in_all)}.")
        return sentences

    def how(self) -> str:
        """How it was judged, in words."""
        return (
            f"Sharpe ratios and certainty equivalents (mean − {self.risk_aversion / 2:g} · "
            "variance) are of excess returns per period, annualised"
            f"{f', after costs of {self.cost:.2%} of what is traded' if self.cost else ''}; "
            "turnover is the average at a rebalance of what is traded, from the weights as they "
            "have drifted, the first purchase left out. A p-value is two-sided, of the difference "
            f"from {self.reference}, by the studentised circular block bootstrap (Ledoit & Wolf "
            f"2008): {self.replications:,} draws with seed {self.seed} of blocks of {self.block} "
            f"period(s), for turnover of {self.trade_block} rebalance(s). Significant means p < "
            f"{self.level:g}; of {len(self.table) - 1} comparisons "
            f"{self.level * (len(self.table) - 1):.2g} would be so by chance alone, unless their "
            "number is allowed for (the largest of all differences in each draw, Romano & Wolf "
            "2005)."
        )

    def __repr__(self) -> str:
        return f"Comparison({len(self.table) - 1} strategies with {self.reference!r})"

    def __str__(self) -> str:
        return "\n".join([self.table.to_string(), *self.verdict(), self.how()])


def compare(
    excess: pd.DataFrame,
    trades: pd.DataFrame,
    reference: str,
    per_year: int,
    risk_aversion: float = 1.0,
    cost: float = 0.0,
    block: int | None = None,
    replications: int = 1999,
    seed: int = 0,
    left_out: pd.Series | None = None,
) -> Comparison:
    """The comparison of excess returns (T × strategies) and of trades (rebalances × strategies)."""
    require_extra("arch", "a comparison")
    gamma = as_number(risk_aversion, "risk_aversion", least=0.0)
    require_at_least(1, replications, "replications")
    require_at_least(0, seed, "seed")
    e, names = excess.to_numpy(), excess.columns
    at = list(names).index(reference)
    if block is not None and require_at_least(1, block, "block") > len(e):
        raise InputError(f"block is {block}; expected at most the {len(e)} periods there are")

    def certainty_equivalent(sample: FloatArray) -> Statistic:
        return certainty_equivalent_of(sample, gamma)

    functionals: list[Functional] = [sharpe_of, certainty_equivalent]
    sharpe, equivalent = (functional(e) for functional in functionals)
    if block is None:
        influences = [each.influence - each.influence[:, [at]] for each in (sharpe, equivalent)]
        block = block_length(np.hstack(influences))
    p = p_values(e, at, functionals, block, replications, seed)
    traded = trades.to_numpy()
    turnover, trade_block = np.full(len(names), np.nan), 1
    p_turnover = PValues(*np.full((2, 1, len(names)), np.nan))
    if len(traded) > 1:
        turnover = traded.mean(axis=0)
        trade_block = block_length(traded - traded[:, [at]])
        p_turnover = p_values(traded, at, [mean_of], trade_block, replications, seed)
    mean, deviation = e.mean(axis=0), e.std(axis=0)
    columns: dict[str, Any] = {
        "sharpe": sharpe.value * np.sqrt(per_year),
        "sharpe_p": p.single[0],
        "sharpe_joint_p": p.joint[0],
        "certainty_equivalent": equivalent.value * per_year,
        "certainty_equivalent_p": p.single[1],
        "certainty_equivalent_joint_p": p.joint[1],
        "drifted_turnover": turnover,
        "drifted_turnover_p": p_turnover.single[0],
        "drifted_turnover_joint_p": p_turnover.joint[0],
        "return_loss": (mean[at] / deviation[at] * deviation - mean) * per_year,
    }
    return Comparison(
        pd.DataFrame(columns, names), reference, gamma, cost, block, trade_block,
        replications, seed, pd.Series(dtype=object) if left_out is None else left_out,
    )  # fmt: skip


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"
