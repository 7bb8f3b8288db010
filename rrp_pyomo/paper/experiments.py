"""The two experiments of section 5: many trials, each a backtest of assets drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from rrp_pyomo.backtest.engine import Panel, Simulation, simulate
from rrp_pyomo.backtest.schedule import Window, periods_per_year, rolling_windows
from rrp_pyomo.backtest.statistics import (
    Mean,
    concentration,
    paired_t,
    performance,
    turnover_of,
    wealth_of,
)
from rrp_pyomo.backtest.strategies import RiskParity, Robust, Strategy
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InputError, brief, is_number, require_kind
from rrp_pyomo.linalg import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Experiment"]

# By rebalance; turnover from the second one on.
MEASURES = ("turnover", "cv", "hrc", "herfindahl")


@dataclass(frozen=True)
class Experiment:
    """A design of section 5: sizes n, aversions ω, and the windows.

    Each trial draws n assets without replacement and holds on to them; a trial's draw depends on
    the seed, n and the trial's number only, so that experiments with the same n share trials.

    Raises
    ------
    InputError
        Sizes that are no whole numbers, ω below 0, none of them, a name that is no text.

    Examples
    --------
    >>> from rrp_pyomo.paper.experiments import Experiment
    >>> design = Experiment("small", sizes=(5, 10), omegas=(1.0, 2.0), start="2010-01-01")
    >>> design.portfolios
    [('nominal', nan), ('worst_case', nan), ('robust', 1.0), ('robust', 2.0)]
    """

    name: str
    sizes: tuple[int, ...]
    omegas: tuple[float, ...]
    start: str = "2000-01-01"
    end: str | None = None
    estimation: str = "5Y"
    rebalance: str = "6M"

    def __post_init__(self) -> None:
        require_kind(self.name, str, "name", "such as 'experiment 1'")
        for name in ("sizes", "omegas"):
            given = getattr(self, name)
            if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not given:
                raise InputError(f"{name} are {brief(given)}; expected numbers, such as (1, 2)")
        if not all(is_number(n, Integral) for n in self.sizes):
            raise InputError(f"sizes are {brief(self.sizes)}; expected whole numbers")
        object.__setattr__(self, "sizes", tuple(map(int, self.sizes)))
        omegas = tuple(as_number(omega, "omega", least=0.0) for omega in self.omegas)
        object.__setattr__(self, "omegas", omegas)

    @cached_property
    def strategies(self) -> list[Strategy]:
        """Nominal, worst case, and robust for each ω."""
        robust = [Robust(omega) for omega in self.omegas]
        return [RiskParity(), RiskParity(worst_case=True), *robust]

    @property
    def portfolios(self) -> list[tuple[str, float]]:
        """Kind and ω (NaN where there is none) of each strategy, as in the paper's tables."""
        robust = [("robust", omega) for omega in self.omegas]
        return [("nominal", np.nan), ("worst_case", np.nan), *robust]

    def windows(self, panel: Panel) -> list[Window]:
        """The rebalances; checks the data that they use.

        Raises
        ------
        InputError
            A size beyond the universe or given twice, and what :func:`rolling_windows` refuses.
        """
        universe = len(panel.labels)
        if too_large := [n for n in self.sizes if not 2 <= n <= universe]:
            raise InputError(
                f"portfolios of {too_large[0]} assets cannot be drawn from {universe}; choose "
                f"sizes from 2 to {universe}"
            )
        if len(set(self.sizes)) < len(self.sizes):
            raise InputError(f"sizes are {self.sizes}; give each of them once")
        windows = rolling_windows(
            panel.dates, self.estimation, self.rebalance, self.start, self.end
        )
        panel.require_complete(windows)
        return windows

    def on(self, **changes: Any) -> Experiment:
        """The same design with other sizes or dates."""
        return replace(self, **changes)


EXPERIMENTS = {
    "1": Experiment("experiment 1", (25,), (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)),
    "2": Experiment("experiment 2", (15, 25, 50, 75, 100), (1.0, 2.0)),
}


class Chunk(NamedTuple):
    """Trials ``first`` to before ``last`` with portfolios of ``size`` assets."""

    size: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Job:
    """What a worker needs to run any chunk."""

    experiment: Experiment
    panel: Panel
    seed: int

    def __call__(self, chunk: Chunk) -> pa.Table:
        """Run the trials of a chunk; see :func:`trial_table` for the rows."""
        import pyarrow as pa
        from threadpoolctl import threadpool_limits

        windows = self.experiment.windows(self.panel)
        # Several BLAS threads add up in another order, and they would fight for the cores.
        with threadpool_limits(1):
            return pa.concat_tables(
                self._trial(windows, chunk.size, trial) for trial in range(chunk.first, chunk.last)
            )

    def _trial(self, windows: list[Window], size: int, trial: int) -> pa.Table:
        columns = draw(len(self.panel.labels), size, self.seed, trial)
        panel = self.panel.select(columns)
        # New solvers for each trial: its numbers must not depend on the trials before it.
        simulation = simulate(panel, windows, self.experiment.strategies)
        return trial_table(self.experiment, panel, simulation, windows, size, trial)


def draw(universe: int, size: int, seed: int, trial: int) -> FloatArray:
    """The positions of a trial's assets, without replacement."""
    sequence = np.random.SeedSequence(seed, spawn_key=(size, trial))
    return np.sort(np.random.default_rng(sequence).choice(universe, size, replace=False))


def trial_table(
    experiment: Experiment,
    panel: Panel,
    simulation: Simulation,
    windows: list[Window],
    size: int,
    trial: int,
) -> pa.Table:
    """The raw result of a trial, one row for each portfolio.

    Columns: ``n``, ``trial``, ``portfolio``, ``omega``, ``assets``; ``returns`` (total return of
    each period); ``turnover`` (of each rebalance but the first), ``cv``, ``hrc``, ``herfindahl``
    (of each rebalance); ``omega_used`` (ω of each rebalance, below ``omega`` where it was capped).
    """
    import pyarrow as pa

    portfolios = experiment.portfolios
    measured = concentration(simulation.contributions)
    by_row = {
        "returns": simulation.returns.T,
        "turnover": turnover_of(simulation.weights).T,
        "cv": measured.cv.T,
        "hrc": measured.hrc.T,
        "herfindahl": measured.herfindahl.T,
        "omega_used": _omega_used(experiment, simulation, windows),
    }
    rows = len(portfolios)
    columns: dict[str, Any] = {
        "n": np.full(rows, size),
        "trial": np.full(rows, trial),
        "portfolio": [kind for kind, _ in portfolios],
        "omega": pa.array([omega for _, omega in portfolios], from_pandas=True),
        "assets": [[str(label) for label in panel.labels]] * rows,
    }
    return pa.table(columns | {name: _lists(array) for name, array in by_row.items()})


def _omega_used(
    experiment: Experiment, simulation: Simulation, windows: list[Window]
) -> FloatArray:
    used = np.repeat([[omega] for _, omega in experiment.portfolios], len(windows), axis=1)
    row = {strategy.name: s for s, strategy in enumerate(experiment.strategies)}
    place = {window.date: k for k, window in enumerate(windows)}
    for event in simulation.events:
        used[row[event.strategy], place[event.date]] = event.used
    return used


def _lists(array: FloatArray) -> Any:
    """The rows of an array as a column of lists."""
    import pyarrow as pa

    rows, length = array.shape
    offsets = length * np.arange(rows + 1, dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(array).ravel())


# --- what the trials say together ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trials:
    """All trials of one size in arrays: N trials, S portfolios, T periods, K rebalances.

    Attributes
    ----------
    returns : (N, S, T) array
    measures : dict of (N, S, K) arrays (turnover: K − 1)
    capped : (S,) array
        In how many windows of all trials ω was capped.
    """

    size: int
    portfolios: list[tuple[str, float]]
    dates: pd.DatetimeIndex
    risk_free: FloatArray
    returns: FloatArray
    measures: dict[str, FloatArray]
    capped: FloatArray

    @classmethod
    def of(cls, table: pa.Table, experiment: Experiment, panel: Panel) -> Trials:
        """From the rows of :func:`trial_table`, in the order of trials."""
        windows, S = experiment.windows(panel), len(experiment.portfolios)
        held = slice(windows[0].hold.start, windows[-1].hold.stop)

        def cube(name: str) -> FloatArray:
            rows = table.num_rows // S
            flat: FloatArray = table[name].combine_chunks().flatten().to_numpy()
            return flat.reshape(rows, S, flat.size // (rows * S))

        used = cube("omega_used")
        omegas = np.array([omega for _, omega in experiment.portfolios])
        return cls(
            int(table["n"][0].as_py()),
            experiment.portfolios,
            pd.DatetimeIndex(panel.dates[held]),
            panel.risk_free[held],
            cube("returns"),
            {name: cube(name) for name in MEASURES},
            (used < omegas[:, None]).sum(axis=(0, 2)),
        )

    def wealth_paths(self) -> WealthPaths:
        """The average way of wealth."""
        wealth = wealth_of(np.moveaxis(self.returns, 2, 0))
        return WealthPaths(
            self.size,
            len(self.returns),
            self.portfolios,
            self.dates,
            wealth.mean(axis=1),
            wealth.std(axis=1, ddof=1),
            (wealth / wealth[:, :, :1]).mean(axis=1) - 1.0,
        )

    def capped_table(self) -> pd.DataFrame:
        """For each ω, in how many windows of all trials (12) had no solution and ω was capped."""
        windows = self.measures["cv"].shape[0] * self.measures["cv"].shape[2]
        table = pd.DataFrame(self.portfolios, columns=["portfolio", "omega"])
        table.insert(0, "n", self.size)
        table = table.assign(windows=windows, capped=self.capped, share=self.capped / windows)
        return table[table["portfolio"] == "robust"]

    def table(self, mean: Mean = "geometric") -> pd.DataFrame:
        """Means and standard deviations over trials: the columns of Tables 3 to 8.

        Percentages are in per cent. Turnover and concentration are averaged, and their standard
        deviations taken, over trials and rebalances. ``t_statistic`` is that of a paired t-test
        of the Sharpe ratios per period (a week) against those of the nominal portfolio.
        """
        per_year = periods_per_year(self.dates)
        excess = np.moveaxis(self.returns, 2, 0) - self.risk_free[:, None, None]
        annual, single = (performance(excess, periods, mean) for periods in (per_year, 1))
        rows = []
        for s, (kind, omega) in enumerate(self.portfolios):
            row: dict[str, Any] = {"n": self.size, "portfolio": kind, "omega": omega}
            names = ("return", "volatility", "sharpe")
            labels = ("ann_excess_return_pct", "ann_volatility_pct", "sharpe_pct")
            for name, label, values in zip(names, labels, annual, strict=True):
                row[label] = 100.0 * values[:, s].mean()
                row[f"sd_{name}_pct"] = 100.0 * values[:, s].std(ddof=1)
            change = self.measures["turnover"][:, s]
            some = change.size > 0  # none where there is one rebalance
            row["turnover_pct"] = 100.0 * change.mean() if some else np.nan
            row["sd_turnover_pct"] = 100.0 * change.std(ddof=1) if some else np.nan
            above = annual.sharpe[:, s] > annual.sharpe[:, 0]
            row["trials_sharpe_above_nominal"] = int(above.sum()) if s else None
            row["t_statistic"] = paired_t(single.sharpe[:, s], single.sharpe[:, 0]) if s else np.nan
            for name in MEASURES[1:]:
                row[name] = self.measures[name][:, s].mean()
                row[f"sd_{name}"] = self.measures[name][:, s].std(ddof=1)
            rows.append(row)
        table = pd.DataFrame(rows)
        return table.astype({"trials_sharpe_above_nominal": "Int64"})


@dataclass(frozen=True, eq=False)
class WealthPaths:
    """Wealth through time over the trials of one size, S portfolios: what Figures 1 to 4 show.

    Attributes
    ----------
    mean, spread : (T, S) arrays
        Mean and standard deviation over trials of the wealth at the end of each period.
    relative : (T, S) array
        Mean over trials of W / W_nominal − 1.
    """

    size: int
    trials: int
    portfolios: list[tuple[str, float]]
    dates: pd.DatetimeIndex
    mean: FloatArray
    spread: FloatArray
    relative: FloatArray


def chunks_of(
    sizes: Sequence[int], trials: int, done: dict[int, set[int]], length: int
) -> Iterator[Chunk]:
    """What is left to do, in runs of at most ``length`` trials; the largest portfolios first."""
    for size in sorted(sizes, reverse=True):
        left = [trial for trial in range(trials) if trial not in done.get(size, ())]
        while left:
            stop = 1
            while stop < min(length, len(left)) and left[stop] == left[0] + stop:
                stop += 1
            yield Chunk(size, left[0], left[0] + stop)
            left = left[stop:]
