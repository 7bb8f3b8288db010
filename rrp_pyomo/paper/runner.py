"""Many chunks of work on many processes or machines, kept on disk as they finish."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rrp_pyomo._files import (
    as_kept,
    kind_of,
    read_settings,
    write_atomically,
    write_settings,
    writing,
)
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.paper.experiments import Chunk, Job

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[int], None]

_TRIALS = "trials"
_CHUNK = re.compile(r"n(\d+)_(\d+)-(\d+)\.parquet")


class RunFolder:
    """An output folder that holds the finished chunks of one run.

    A chunk is written to a temporary file, flushed to the disk and then renamed, so that a file is
    either whole or not there, whatever kills the process.

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
        self.path = Path(path)
        with writing(self.path):
            kept = read_settings(self.path)
            if kept is not None:
                self._require_same(kept, as_kept(settings), resume)
            elif self.path.is_dir():
                self._require_empty()
            (self.path / _TRIALS).mkdir(parents=True, exist_ok=True)
        if kept is None:
            write_settings(self.path, settings)
        for leftover in self.path.rglob("*.part"):
            leftover.unlink()

    def done(self) -> dict[int, set[int]]:
        """The finished trials by size."""
        trials: dict[int, set[int]] = {}
        for chunk, _ in self._chunks():
            trials.setdefault(chunk.size, set()).update(range(chunk.first, chunk.last))
        return trials

    def save(self, chunk: Chunk, table: pa.Table) -> None:
        """Keep the result of a chunk."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        name = f"n{chunk.size:03d}_{chunk.first:05d}-{chunk.last - 1:05d}.parquet"
        write_atomically(self.path / _TRIALS / name, buffer.getvalue().to_pybytes())

    def load(self, size: int, trials: int) -> pa.Table:
        """The rows of all trials below ``trials`` with portfolios of this size, in their order.

        Raises
        ------
        InputError
            Some are missing or there twice, because two runs wrote at the same time.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        files = [file for chunk, file in self._chunks() if chunk.size == size]
        wanted = pc.field("trial") < trials
        table = pa.concat_tables(
            pq.read_table(file, partitioning=None, filters=wanted) for file in files
        )
        kept = table["trial"].to_numpy()
        if not np.array_equal(kept, np.repeat(np.arange(trials), len(kept) // trials)):
            raise InputError(
                f"the folder {self.path} lacks trials of {size} assets or has some twice, as when "
                "two runs write to it at the same time; choose another folder"
            )
        return table

    def _chunks(self) -> Iterator[tuple[Chunk, Path]]:
        for file in sorted((self.path / _TRIALS).iterdir()):
            if match := _CHUNK.fullmatch(file.name):
                size, first, last = map(int, match.groups())
                yield Chunk(size, first, last + 1), file

    def _require_empty(self) -> None:
        if stranger := next((p for p in self.path.iterdir() if p.name != _TRIALS), None):
            raise InputError(
                f"the folder {self.path} holds other files, such as {stranger.name}; choose an "
                "empty or a new one"
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


# --- running -------------------------------------------------------------------------------------


def run_chunks(
    job: Job,
    chunks: Iterable[Chunk],
    folder: RunFolder,
    executor: Executor | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> None:
    """Run chunks wherever there is room and keep each as soon as it is finished.

    Parameters
    ----------
    job : Job
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


def number_of_workers(workers: int | None) -> int:
    """The number of cores where none is given; at least 1."""
    if workers is None:
        return os.cpu_count() or 1
    return require_at_least(1, workers, "workers")


def require_at_least(least: int, value: int, name: str) -> int:
    """The value; one that is too small is an error."""
    if value < least:
        raise InputError(f"{name} is {value}; expected at least {least}")
    return value


def local_processes(workers: int) -> ProcessPoolExecutor:
    """Processes on this machine that leave Ctrl-C to their parent and end when it does."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_worker)


def _begin_worker() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
