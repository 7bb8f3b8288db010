"""What a backtest returns: labelled tables, statistics, Parquet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rrp_pyomo._extras import require_extra
from rrp_pyomo._files import (
    SETTINGS,
    as_kept,
    as_path,
    backtest_folder,
    read_parquet,
    read_settings,
    to_parquet,
    write_atomically,
)
from rrp_pyomo.backtest.comparison import Comparison, compare
from rrp_pyomo.backtest.schedule import periods_per_year
from rrp_pyomo.backtest.statistics import (
    Concentration,
    Mean,
    Performance,
    concentration,
    maximum_drawdown,
    performance,
    turnover_of,
    until_ruin,
    wealth_of,
)
from rrp_pyomo.data.validation import as_number, index_of, shown
from rrp_pyomo.errors import InputError, UnknownLabelError, brief, warn

if TYPE_CHECKING:
    from rrp_pyomo.backtest.engine import Panel, Simulation
    from rrp_pyomo.backtest.schedule import Window

REBALANCE = ["date", "strategy"]


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """Portfolios through time, by date and strategy.

    Attributes
    ----------
    returns : DataFrame
        Total return of each period (decimals) before costs, dates × strategies.
    risk_free : Series
        Risk-free rate of the same periods.
    weights : DataFrame
        Target weights, (rebalance date, strategy) × assets.
    risk_contributions : DataFrame
        Relative risk contributions of these under the window's nominal covariance, same shape.
    drifted : DataFrame
        Weights at the end of each window, before the next rebalance, same shape.
    solve_times : DataFrame
        Seconds of each decision, rebalance dates × strategies.
    events : DataFrame
        What did not go as planned: date, strategy, action (``cap``, ``hold``, ``nominal``,
        ``accept``, ``leave out``), omega, omega_max, used (the ω that was solved), reason.
    settings : dict
        What was run.

    Examples
    --------
    >>> from rrp_pyomo.backtest import Backtest, EqualWeight, RiskParity
    >>> from rrp_pyomo.data.datasets import french
    >>> data = french()
    >>> R, F = data.returns.iloc[-36:, :3], data.factors[-36:]
    >>> result = Backtest(R, F, [EqualWeight(), RiskParity()], estimation="2Y").run()
    >>> result.returns.shape, result.strategies
    ((13, 2), ['equal weight', 'nominal'])
    >>> result.turnover.iloc[-1].round(3).to_dict()
    {'equal weight': 0.0, 'nominal': 0.046}
    """

    returns: pd.DataFrame
    risk_free: pd.Series
    weights: pd.DataFrame
    risk_contributions: pd.DataFrame
    drifted: pd.DataFrame
    solve_times: pd.DataFrame
    events: pd.DataFrame
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        simulation: Simulation,
        panel: Panel,
        windows: list[Window],
        names: list[str],
        settings: dict[str, Any],
    ) -> BacktestResult:
        """Labels on the arrays of a simulation."""
        from rrp_pyomo.backtest.engine import Event

        held = panel.dates[windows[0].hold.start : windows[-1].hold.stop].rename("date")
        rebalances = pd.DatetimeIndex([w.date for w in windows], name="date")
        both = pd.MultiIndex.from_product([rebalances, names], names=REBALANCE)
        columns = pd.Index(names, name="strategy")
        assets = index_of(tuple(panel.labels), "asset")

        def by_asset(array: Any) -> pd.DataFrame:
            return pd.DataFrame(array.reshape(len(both), -1), both, assets)

        rate = panel.risk_free[windows[0].hold.start : windows[-1].hold.stop]
        return cls(
            pd.DataFrame(simulation.returns, held, columns),
            pd.Series(rate, held, name="risk_free"),
            by_asset(simulation.weights),
            by_asset(simulation.contributions),
            by_asset(simulation.drifted),
            pd.DataFrame(simulation.seconds, rebalances, columns),
            pd.DataFrame(simulation.events, columns=list(Event._fields)),
            settings,
        )

    # --- through time ---------------------------------------------------------------------------

    @property
    def strategies(self) -> list[str]:
        """Their names, in order."""
        return list(self.returns.columns)

    @property
    def left_out(self) -> pd.Series:
        """Why a strategy is not among them, by its name."""
        from rrp_pyomo.backtest.engine import LEFT_OUT

        out = self.events[self.events["action"] == LEFT_OUT]
        return pd.Series(out["reason"].to_list(), out["strategy"].to_list(), object, "left_out")

    @cached_property
    def periods_per_year(self) -> int:
        """252, 52, 26, 12, 4 or 1, from the dates."""
        return periods_per_year(self.returns.index)

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Σ_i |target − drifted weight| at each rebalance; the first one buys everything."""
        before = self._cube(self.drifted)
        held = np.concatenate([np.zeros_like(before[:1]), before[:-1]])
        return self._by_rebalance(np.abs(self._cube(self.weights) - held).sum(axis=-1))

    def net_returns(self, cost: float = 0.0) -> pd.DataFrame:
        """Returns after proportional transaction costs.

        At each rebalance wealth is multiplied by 1 − cost · trades, before the first period that is
        held earns its return; the portfolio is then bought with what is left.

        Parameters
        ----------
        cost : float
            Per unit of wealth traded, one way, such as 0.001 for ten basis points.

        Raises
        ------
        InputError
            A cost below 0 or from 0.5.
        """
        cost = require_cost(cost)
        net = 1.0 + self.returns.to_numpy()
        first = self.returns.index.searchsorted(self.rebalances)
        net[first] *= 1.0 - cost * self.trades.to_numpy()
        return pd.DataFrame(until_ruin(net - 1.0), self.returns.index, self.returns.columns)

    @property
    def excess_returns(self) -> pd.DataFrame:
        """Returns over the risk-free rate."""
        return self.returns.sub(self.risk_free, axis=0)

    @property
    def wealth(self) -> pd.DataFrame:
        """Wealth at the end of each period, from 1 at the beginning."""
        return pd.DataFrame(
            wealth_of(self.returns.to_numpy()), self.returns.index, self.returns.columns
        )

    @cached_property
    def ruined(self) -> pd.Series:
        """The date of the period in which a strategy lost everything, NaT where it never did."""
        return _dates_of_ruin(self.returns)

    # --- by rebalance ---------------------------------------------------------------------------

    @cached_property
    def rebalances(self) -> pd.DatetimeIndex:
        """The rebalance dates."""
        return pd.DatetimeIndex(self.solve_times.index)

    @cached_property
    def turnover(self) -> pd.DataFrame:
        """Σ_i of the absolute changes of target weights since the rebalance before."""
        change = turnover_of(self._cube(self.weights))
        return self._by_rebalance(change, self.rebalances[1:])

    @property
    def cv(self) -> pd.DataFrame:
        """Coefficient of variation of the risk contributions (5)."""
        return self._by_rebalance(self._concentration.cv)

    @property
    def highest_risk_contribution(self) -> pd.DataFrame:
        """The largest relative risk contribution (HRC)."""
        return self._by_rebalance(self._concentration.hrc)

    @property
    def herfindahl(self) -> pd.DataFrame:
        """Sum of the squared relative risk contributions."""
        return self._by_rebalance(self._concentration.herfindahl)

    @cached_property
    def _concentration(self) -> Concentration:
        return concentration(self._cube(self.risk_contributions))

    # --- statistics -----------------------------------------------------------------------------

    def statistics(self, mean: Mean = "geometric", cost: float = 0.0) -> pd.DataFrame:
        """One row for each strategy.

        Parameters
        ----------
        mean : {"geometric", "uncompounded", "arithmetic"}
            How excess returns are annualised: Π(1 + e_t)^{N/T} − 1, N·(Π(1 + e_t)^{1/T} − 1) or
            N·mean(e), for T periods, N a year.
        cost : float
            Proportional transaction costs, see :meth:`net_returns`.

        Returns
        -------
        DataFrame
            ``excess_return``, ``volatility``, ``sharpe`` (annualised), ``maximum_drawdown``,
            ``turnover`` (average per rebalance), ``cv``, ``hrc``, ``herfindahl`` (averages) and
            ``infeasible`` (number of windows).

        Warns
        -----
        RiskParityWarning
            A strategy lost everything, and when. Its return, volatility and Sharpe ratio are of the
            periods until then, its largest loss is 100 %; the rest is of all rebalances, as its
            decisions do not depend on its wealth.
        """
        returns = self.net_returns(cost)
        ruined = _dates_of_ruin(returns)
        for name, date in ruined.dropna().items():
            warn(
                f"strategy {name!r} lost everything at {shown(date)}: its return, volatility and "
                "Sharpe ratio are of the periods until then"
            )
        annual = self._annual(returns, ruined, mean)
        failed = self.events[self.events["action"] != "accept"]
        table = {
            "excess_return": annual.excess_return,
            "volatility": annual.volatility,
            "sharpe": annual.sharpe,
            "maximum_drawdown": maximum_drawdown(returns.to_numpy()),
            "turnover": self.turnover.mean().to_numpy(),
            "cv": self.cv.mean().to_numpy(),
            "hrc": self.highest_risk_contribution.mean().to_numpy(),
            "herfindahl": self.herfindahl.mean().to_numpy(),
            "infeasible": [int((failed["strategy"] == name).sum()) for name in self.strategies],
        }
        return pd.DataFrame(table, index=self.returns.columns)

    def comparison(
        self,
        reference: str = "equal weight",
        risk_aversion: float = 1.0,
        cost: float = 0.0,
        block: int | None = None,
        replications: int = 1999,
        seed: int = 0,
    ) -> Comparison:
        """All strategies against one of them, by default 1/n: who beats it, and is it chance?

        Parameters
        ----------
        reference : str
            A strategy by its name here or by the text that names it, such as ``"equal_weight"``.
        risk_aversion : float
            γ ≥ 0 of the certainty equivalent: mean − (γ/2) variance of excess returns.
        cost : float
            Proportional transaction costs, see :meth:`net_returns`.
        block : int, optional
            Length of the bootstrap's blocks in periods; by default the average optimal one
            (Politis & White 2004).
        replications, seed : int
            Of the bootstrap.

        Returns
        -------
        Comparison
            ``table``, ``better(measure)``, ``verdict()`` in sentences, ``how()`` it was judged.
            A strategy that lost everything is not in it, but in ``left_out``.

        Raises
        ------
        UnknownLabelError
            No strategy has that name.
        InputError
            Other arguments out of range, or the reference lost everything.

        References
        ----------
        DeMiguel, Garlappi & Uppal (2009), Optimal versus naive diversification, whose p-values are
        asymptotic ones; Ledoit & Wolf (2008), Robust performance hypothesis testing with the Sharpe
        ratio.
        """
        returns = self.net_returns(cost)
        name = self._named(reference)
        ruined = _dates_of_ruin(returns).dropna()
        if name in ruined.index:
            raise InputError(
                f"{name!r} lost everything at {shown(ruined[name])} and is nothing to compare with;"
                " choose another reference"
            )
        reasons = [f"lost everything at {shown(date)}" for date in ruined]
        left_out = pd.concat([self.left_out, pd.Series(reasons, ruined.index, object)])
        return compare(
            returns.drop(columns=ruined.index).sub(self.risk_free, axis=0),
            self.trades.iloc[1:].drop(columns=ruined.index),
            name, self.periods_per_year, risk_aversion, cost, block, replications, seed,
            left_out.rename("left_out"),
        )  # fmt: skip

    def select(self, strategies: Iterable[str]) -> BacktestResult:
        """The same backtest with some of its strategies only, in its own order.

        Raises
        ------
        UnknownLabelError
            A strategy that is not among them.
        """
        wanted = {self._named(name) for name in strategies}
        names = [name for name in self.strategies if name in wanted]
        rows = self.weights.index.get_level_values("strategy").isin(names)
        return replace(
            self,
            returns=self.returns[names],
            weights=self.weights[rows],
            risk_contributions=self.risk_contributions[rows],
            drifted=self.drifted[rows],
            solve_times=self.solve_times[names],
            events=self.events[self.events["strategy"].isin(names)],
            settings=self.settings | {"strategies": names},
        )

    def _named(self, text: str) -> str:
        """The strategy of this name, or that a backtest would make of the text."""
        from rrp_pyomo.backtest.strategies import parse_strategy

        if text in self.strategies:
            return text
        with contextlib.suppress(InputError):
            if (name := parse_strategy(text).name) in self.strategies:
                return name
        raise UnknownLabelError("strategy", text, self.strategies)

    def _annual(self, returns: pd.DataFrame, ruined: pd.Series, mean: Mean) -> Performance:
        """The performance of each strategy, as long as it had any wealth."""
        excess = returns.sub(self.risk_free, axis=0)
        if ruined.isna().all():
            return performance(excess.to_numpy(), self.periods_per_year, mean)
        alone = [
            performance(
                excess.loc[: None if pd.isna(date) else date, [name]].to_numpy(),
                self.periods_per_year,
                mean,
            )
            for name, date in ruined.items()
        ]
        return Performance(*map(np.concatenate, zip(*alone, strict=True)))

    # --- files ----------------------------------------------------------------------------------

    def to_parquet(self, folder: str | Path) -> None:
        """Write all tables into a folder, one Parquet file each, and the settings as JSON.

        Raises
        ------
        InputError
            The folder is not writable, or holds anything but the same backtest; labels of assets
            that are not the same once they are read again.
        """
        require_extra("pyarrow", "to_parquet")
        folder = as_path(folder, "folder")
        with backtest_folder(folder, self.settings):
            self.write(folder)

    def write(self, folder: Path) -> None:
        """What :meth:`to_parquet` does, in a folder that is already kept for this backtest."""
        for name, content in {name: self._as_parquet(name) for name in _tables()}.items():
            write_atomically(folder / f"{name}.parquet", content, "make room and write it again")

    def _as_parquet(self, name: str) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = getattr(self, name)
        frame = table.to_frame() if isinstance(table, pd.Series) else table
        try:
            content = to_parquet(pa.Table.from_pandas(frame), _origin(self.settings, name))
            kept = list(pq.read_table(pa.BufferReader(content)).to_pandas().columns)
        except (pa.ArrowException, ValueError, TypeError):  # labels that are equal as texts
            kept = []
        if lost := [label for label in frame.columns if label not in kept]:
            raise InputError(
                f"the labels of {name} cannot be kept in a Parquet file, where they are texts: "
                f"{lost[0]!r}; rename the assets before the backtest: returns.columns = [...]"
            )
        return content

    @classmethod
    def from_parquet(cls, folder: str | Path) -> BacktestResult:
        """Read what :meth:`to_parquet` wrote.

        Raises
        ------
        InputError
            The folder does not hold a backtest, or only a part of one; a table that is damaged or
            of another backtest.
        """
        folder = as_path(folder, "folder")
        require_extra("pyarrow", "from_parquet")
        missing = [f for f in (SETTINGS, *(f"{n}.parquet" for n in _tables()))
                   if not (folder / f).is_file()]  # fmt: skip
        if missing:
            raise InputError(
                f"{folder} holds no backtest: {missing[0]} is missing; expected a folder that "
                "BacktestResult.to_parquet wrote"
            )
        settings = read_settings(folder) or {}
        tables = {name: _read(folder / f"{name}.parquet", settings) for name in _tables()}
        try:
            tables["risk_free"] = tables["risk_free"]["risk_free"]
            return cls(**tables, settings=settings)
        except KeyError:
            raise _damaged(folder / "risk_free.parquet", "it has other columns") from None

    # --- shapes ---------------------------------------------------------------------------------

    def _cube(self, table: pd.DataFrame) -> Any:
        """(rebalance, strategy) × assets as an array of three dimensions."""
        return table.to_numpy().reshape(len(self.rebalances), len(self.strategies), -1)

    def _by_rebalance(self, array: Any, dates: pd.DatetimeIndex | None = None) -> pd.DataFrame:
        return pd.DataFrame(
            array, self.rebalances if dates is None else dates, self.returns.columns
        )


def _dates_of_ruin(returns: pd.DataFrame) -> pd.Series:
    lost = returns <= -1.0
    return lost.idxmax().where(lost.any()).astype(returns.index.dtype).rename("ruined")


def require_cost(cost: float) -> float:
    """The transaction costs as a float; below 0 or from 0.5 they are an error."""
    number = np.nan
    with contextlib.suppress(InputError):
        number = as_number(cost, "cost")
    if not 0.0 <= number < 0.5:
        raise InputError(
            f"cost is {brief(cost)}; expected 0 ≤ cost < 0.5 per unit of wealth traded"
        )
    return number


def _read(file: Path, settings: dict[str, Any]) -> Any:
    """A table of the backtest with these settings; those of earlier versions do not say."""
    try:
        table, origin = read_parquet(file, sealed=False)
        frame = table.to_pandas()
    except ValueError as reason:
        raise _damaged(file, str(reason)) from None
    if origin is not None and origin != _origin(settings, file.stem):
        raise _damaged(file, f"it is not of the backtest that {SETTINGS} is of, or another table")
    return frame


def _origin(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """What a table was made from: the backtest and which of its tables."""
    return {**as_kept(settings), "table": name}


def _damaged(file: Path, reason: str) -> InputError:
    return InputError(f"cannot read {file}: {reason}; run the backtest again, to another folder")


def _tables() -> list[str]:
    return [f.name for f in fields(BacktestResult) if f.name != "settings"]
