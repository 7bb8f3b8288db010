"""Table 1 of the paper: (3) and (4) through Ipopt on random matrices, run-time and CV."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rrp_pyomo._extras import require_extra
from rrp_pyomo._files import KEPT, to_csv, write_atomically
from rrp_pyomo._processes import require_at_least
from rrp_pyomo._progress import progress_bar
from rrp_pyomo._version import __version__
from rrp_pyomo.backtest.page import NEEDED, WORDS, Head, Page
from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.models import RiskParityNLP, RiskParityQCLP
from rrp_pyomo.paper.experiments import Chunk, chunks_of
from rrp_pyomo.paper.runner import RunFolder, run_chunks

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["random_covariance", "reproduce_table1"]

PROBLEMS = {"nlp_3": RiskParityNLP, "qclp_4": RiskParityQCLP}
PAPER = pd.DataFrame(
    {"nlp_3_paper": [65.59, 6.74e-12], "qclp_4_paper": [1.81, 8.17e-14]}, ["runtime_s", "cv"]
)


_TABLE = {
    "nlp_3": Head("Problem (3)", "median", "{:.3g}"),
    "qclp_4": Head("Problem (4)", "median", "{:.3g}"),
    "nlp_3_paper": Head("Problem (3)", "the paper's mean", "{:.3g}"),
    "qclp_4_paper": Head("Problem (4)", "the paper's mean", "{:.3g}"),
}
_MEASURES = {"runtime_s": "run-time in seconds", "cv": "CV of risk contributions"}


def random_covariance(n: int, seed: int, trial: int) -> DenseCovariance:
    """A random symmetric positive definite matrix, GG'/2n with G n × 2n standard normal.

    Examples
    --------
    >>> from rrp_pyomo.paper.table1 import random_covariance
    >>> random_covariance(3, seed=0, trial=0).volatilities().round(3).tolist()
    [0.872, 0.783, 0.767]
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(n, trial)))
    G = rng.standard_normal((n, 2 * n))
    return DenseCovariance(G @ G.T / (2 * n))


def reproduce_table1(
    out: str | Path,
    trials: int = 100,
    seed: int = 0,
    n: int = 200,
    resume: bool = False,
    progress: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """Solve (3) and (4) through Ipopt for random matrices.

    By default they run one after the other in this process, for their times are what is asked for.
    Wherever they run, weights and CV are the same, and each matrix has one BLAS thread.

    Parameters
    ----------
    out : str or Path
        A new folder, or with ``resume`` that of an earlier run with the same seed and n.
    trials, seed, n : int
        Number of matrices, the seed of their draws, their size.
    resume, progress : bool
    workers : int, optional
        Processes that solve at the same time, and for the same cores.
    executor : concurrent.futures.Executor, optional
        Where to run instead, with ``workers`` places.

    Returns
    -------
    DataFrame
        ``runtime_s`` and ``cv``: ``nlp_3``, ``qclp_4`` (medians), ``nlp_3_paper``,
        ``qclp_4_paper`` (the paper's averages). ``runs.csv`` has every run.

    Raises
    ------
    InputError
        No trials, a seed below 0, or a folder that cannot be used.

    Examples
    --------
    Median coefficients of variation of (3) and (4) for two matrices of five assets:

    >>> from rrp_pyomo.paper.table1 import reproduce_table1
    >>> table = reproduce_table1("table1", trials=2, n=5)
    >>> (table.loc["cv", ["nlp_3", "qclp_4"]] < 1e-5).tolist()
    [True, True]
    """
    for module in ("pyarrow", "threadpoolctl", *NEEDED):
        require_extra(module, "table 1")
    require_at_least(1, trials, "trials")
    require_at_least(0, seed, "seed")
    settings = {"experiment": "table 1", "n": n, "seed": seed, "version": __version__}
    folder = RunFolder(out, settings, resume)
    kept, done = folder.path / "runs.csv", folder.done()
    if kept.exists() and not done:
        folder.set_aside(kept, ValueError("its trials are missing, or of an earlier version"))
    left, job = list(chunks_of([n], trials, done, 1)), Matrices(seed)
    with progress_bar("table 1", "matrices", trials, trials - len(left), progress) as report:
        if workers is None and executor is None:
            for chunk in left:
                folder.save(chunk, job(chunk))
                report(1)
        else:
            run_chunks(job, left, folder, executor, workers, report)
    runs: pd.DataFrame = folder.load(n, trials).to_pandas()
    write_atomically(kept, to_csv(runs), KEPT)
    medians = runs.groupby("problem")[["runtime_s", "cv"]].median().T
    table = medians.join(PAPER).rename_axis(index="measure", columns=None)
    write_atomically(folder.path / "tables.csv", to_csv(table.reset_index()), KEPT)
    page = Page(f"Table 1: {trials} random {n} × {n} matrices")
    page.text("Medians of (3) and (4) through Ipopt; the paper's columns are averages at n = 200.")
    rows = table.set_axis([_MEASURES[name] for name in table.index])
    page.table(rows, _TABLE, Head("Measure", WORDS))
    page.text(f"Solver: {runs['solver'].iloc[0]}.")
    page.write(folder.path / "report.html")
    return table


@dataclass(frozen=True)
class Matrices:
    """What a worker needs to solve (3) and (4) for the matrices of any chunk."""

    seed: int

    def __call__(self, chunk: Chunk) -> pa.Table:
        """A row for each matrix and problem."""
        import pyarrow as pa
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            solved = [
                _solve(random_covariance(chunk.size, self.seed, trial)).assign(trial=trial)
                for trial in range(chunk.first, chunk.last)
            ]
        return pa.Table.from_pandas(pd.concat(solved, ignore_index=True)).replace_schema_metadata()


def _solve(covariance: DenseCovariance) -> pd.DataFrame:
    rows = []
    for name, problem in PROBLEMS.items():
        start = time.perf_counter()
        portfolio = problem(covariance).solve()
        seconds = time.perf_counter() - start
        rows.append((name, seconds, portfolio.cv, portfolio.status, portfolio.solver))
    return pd.DataFrame(rows, columns=["problem", "runtime_s", "cv", "status", "solver"])
