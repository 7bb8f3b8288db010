"""Many chunks of work on many processes or machines, kept on disk as they finish."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rrp_pyomo._files import (
    KEPT,
    SETTINGS,
    as_kept,
    as_path,
    begin_settings,
    entries,
    kind_of,
    read_parquet,
    read_settings,
    remove_parts,
    require_no_strangers,
    to_parquet,
    write_atomically,
    writing,
)
from rrp_pyomo._processes import local_processes, number_of_workers
from rrp_pyomo.errors import InputError, SolverError, warn
from rrp_pyomo.paper.experiments import Chunk

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[int], None]

_TRIALS = "trials"
_CHUNK = re.compile(r"n(\d+)_(\d+)-(\d+)\.parquet")


class RunFolder:
    """An output folder that holds the finished chunks of one run.

    A chunk is written to a temporary file, flushed to the disk and then renamed, so that a file is
    either whole or not there, whatever kills the process. It carries what it was made from (all
    settings but the sizes, and its own size and trials) and a digest: what is of another run, or
    damaged afterwards, is not taken.

    Parameters
    ----------
    path : str or Path
        A new or an empty folder, or with ``resume`` that of a run with the same settings.
    settings : mapping
        What determines the answer; plain numbers and strings.
    resume : bool

    Raises
    ------
    InputError
        The folder cannot be written to, holds something else, or holds another run.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], resume: bool = False) -> None:
        self.path = as_path(path, "out")
        self._origin = {k: v for k, v in as_kept(settings).items() if k != "sizes"}
        kept = read_settings(self.path)
        with writing(self.path):
            if kept is not None:
                self._require_same(kept, as_kept(settings), resume)
            elif self.path.is_dir():
                self._require_empty(resume)
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
        if kept is None:
            begin_settings(self.path, settings)
        with writing(self.path):
            (self.path / _TRIALS).mkdir(exist_ok=True)
        remove_parts(self.path)

    def done(self) -> dict[int, set[int]]:
        """The finished trials by size.

        What is no chunk of this run, or none any more, is set aside with a warning that names it.
        """
        trials: dict[int, set[int]] = {}
        for chunk, file in self._chunks():
            try:
                self._read(chunk, file)
            except ValueError as reason:
                self.set_aside(file, reason)
            else:
                trials.setdefault(chunk.size, set()).update(range(chunk.first, chunk.last))
        return trials

    def save(self, chunk: Chunk, table: pa.Table) -> None:
        """Keep the result of a chunk."""
        content = to_parquet(table, self._origin_of(chunk))
        write_atomically(self.path / _TRIALS / _name_of(chunk), content, KEPT)

    def load(self, size: int, trials: int) -> pa.Table:
        """The rows of all trials below ``trials`` with portfolios of this size, in their order.

        Raises
        ------
        InputError
            Some are missing or damaged, or there twice, because two runs wrote at the same time.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        tables = []
        for chunk, file in self._chunks():
            if chunk.size == size and chunk.first < trials:
                try:
                    tables.append(self._read(chunk, file))
                except ValueError as reason:
                    raise InputError(
                        f"{file} has changed during the run: {reason}; go on with --resume"
                    ) from None
        table = pa.concat_tables(tables).filter(pc.field("trial") < trials) if tables else None
        kept = np.array([]) if table is None else table["trial"].to_numpy()
        rows = len(kept) // trials
        if not rows or not np.array_equal(kept, np.repeat(np.arange(trials), rows)):
            raise InputError(
                f"the folder {self.path} lacks trials of {size} assets or has some twice, as when "
                "two runs write to it at the same time; choose another folder"
            )
        return table

    def _origin_of(self, chunk: Chunk) -> dict[str, Any]:
        return self._origin | {"size": chunk.size, "first": chunk.first, "last": chunk.last - 1}

    def _read(self, chunk: Chunk, file: Path) -> pa.Table:
        """The rows of a chunk; ValueError with the reason where the file is not that chunk."""
        if file.name != _name_of(chunk):
            raise ValueError(f"its name should be {_name_of(chunk)}")
        table, origin = read_parquet(file)
        expected = self._origin_of(chunk)
        if origin != expected:
            found = origin or {}
            name = next(k for k in expected | found if found.get(k) != expected.get(k))
            raise ValueError(f"it has {name} = {found.get(name)!r}, not {expected.get(name)!r}")
        return table

    def set_aside(self, file: Path, reason: ValueError) -> None:
        """Readers of the folder of trials pass over names that begin with an underscore."""
        aside = next(
            free
            for k in count()
            if not (free := file.with_name(f"_{file.name}" + (f".{k}" if k else ""))).exists()
        )
        with writing(file):
            file.rename(aside)
        warn(
            f"{file} is not what this run wrote: {reason}; it is now called {aside.name}, and its "
            "trials are run again"
        )

    def _chunks(self) -> list[tuple[Chunk, Path]]:
        found = []
        for file in (self.path / _TRIALS).iterdir():
            if match := _CHUNK.fullmatch(file.name):
                size, first, last = map(int, match.groups())
                found.append((Chunk(size, first, last + 1), file))
        return sorted(found)

    def _require_empty(self, resume: bool) -> None:
        """Nothing, or trials whose settings were lost: each of them says what it is of."""
        require_no_strangers(self.path, {_TRIALS})
        trials = self.path / _TRIALS
        if not resume and trials.is_dir() and entries(trials):
            raise InputError(
                f"the folder {self.path} holds trials, but no {SETTINGS}; choose an empty or a new "
                "one, or take those that fit by --resume (resume=True)"
            )

    def _require_same(self, kept: dict[str, Any], settings: dict[str, Any], resume: bool) -> None:
        if "experiment" not in kept and "experiment" in settings:
            raise InputError(
                f"the folder {self.path} holds {kind_of(kept)}, not {kind_of(settings)}; choose "
                "an empty or a new one"
            )
        if not resume:
            raise InputError(
                f"the folder {self.path} holds a run; go on with it by --resume (resume=True) or "
                "choose another folder"
            )
        for name in sorted(kept.keys() | settings.keys()):
            if kept.get(name) != settings.get(name):
                raise InputError(
                    f"the run in {self.path} has {name} = {kept.get(name)!r}, not "
                    f"{settings.get(name)!r}; resume it with its own settings or choose another "
                    "folder"
                )


def _name_of(chunk: Chunk) -> str:
    return f"n{chunk.size:03d}_{chunk.first:05d}-{chunk.last - 1:05d}.parquet"


# --- running -------------------------------------------------------------------------------------


def run_chunks(
    job: Callable[[Chunk], pa.Table],
    chunks: Iterable[Chunk],
    folder: RunFolder,
    executor: Executor | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> None:
    """Run chunks wherever there is room and keep each as soon as it is finished.

    Parameters
    ----------
    job : function of a Chunk
        Such as :class:`~rrp_pyomo.paper.experiments.Job`; other processes are given it, too.
    chunks : iterable of Chunk
    folder : RunFolder
    executor : concurrent.futures.Executor, optional
        By default processes on this machine, ended with this call.
    workers : int, optional
        How many processes, or for another executor how many it has; default the number of cores.
    report : callable, optional
        Told the number of trials of each finished chunk.

    Raises
    ------
    KeyboardInterrupt
        Once the chunks under way are kept.
    SolverError
        A worker process died.
    """
    workers = number_of_workers(workers)
    queue = iter(chunks)
    with contextlib.ExitStack() as stack:
        if executor is None:
            executor = stack.enter_context(local_processes(workers))
        running: dict[Future[Any], Chunk] = {}
        try:
            while True:
                # One chunk in reserve for each worker: enough to keep them busy.
                for chunk in islice(queue, 2 * workers - len(running)):
                    running[executor.submit(job, chunk)] = chunk
                if not running:
                    return
                _keep(wait(running, return_when=FIRST_COMPLETED).done, running, folder, report)
        except BrokenProcessPool as error:
            raise SolverError(
                "a worker process died, perhaps for want of memory; the finished chunks are kept: "
                "go on with --resume, perhaps with fewer workers"
            ) from error
        finally:
            # After an error or Ctrl-C: drop what has not begun, keep what has.
            begun = {future: chunk for future, chunk in running.items() if not future.cancel()}
            for future in wait(begun).done:
                if future.exception() is None:
                    folder.save(begun[future], future.result())


def _keep(
    finished: Iterable[Future[Any]],
    running: dict[Future[Any], Chunk],
    folder: RunFolder,
    report: Report | None,
) -> None:
    for future in finished:
        chunk = running[future]
        table = future.result()
        folder.save(chunk, table)
        del running[future]
        if report is not None:
            report(chunk.last - chunk.first)


@contextlib.contextmanager
def dask_workers(scheduler: str | None, workers: int | None) -> Iterator[tuple[Executor, int]]:
    """The workers of a Dask cluster as an executor, and their number.

    Parameters
    ----------
    scheduler : str or None
        Address of a running scheduler; None starts a local cluster of processes.
    workers : int, optional
        Processes of the local cluster; default the number of cores.

    Raises
    ------
    InputError
        Dask is not installed, nobody answers at the address, or the cluster has no workers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError(
            'Dask is not installed; run: pip install "rrp-pyomo[dask]", or use --executor local'
        ) from None
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            cluster = LocalCluster(
                n_workers=number_of_workers(workers),
                threads_per_worker=1,
                dashboard_address=None,
            )
            stack.enter_context(cluster)
            client = Client(cluster)
        else:
            try:
                client = Client(scheduler, timeout="10s")
            except (OSError, ValueError, TimeoutError) as error:
                raise InputError(
                    f"no Dask scheduler answers at {scheduler!r} ({error}); start one with "
                    "'dask scheduler' and give its address, such as tcp://host:8786"
                ) from None
        stack.enter_context(client)
        count = sum(client.nthreads().values())
        if not count:
            raise InputError(
                f"the Dask scheduler at {scheduler!r} has no workers; start some: "
                f"dask worker {scheduler} --nthreads 1"
            )
        # A chunk whose worker died is run again elsewhere; the same seed gives the same numbers.
        yield client.get_executor(retries=3), count
