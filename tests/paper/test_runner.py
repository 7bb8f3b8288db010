"""The answer does not depend on who computes it, in which pieces, and with which interruptions."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from jobs import KilledOnce

from rrp_pyomo import _files as folders
from rrp_pyomo.backtest import Backtest
from rrp_pyomo.backtest.engine import Panel
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.paper.experiments import Chunk, Experiment, Job, chunks_of
from rrp_pyomo.paper.reproduce import reproduce as reproduce_with_figures
from rrp_pyomo.paper.reproduce import run_settings
from rrp_pyomo.paper.runner import RunFolder, dask_workers, run_chunks

reproduce = partial(reproduce_with_figures, figures=False)
SMALL = Experiment("small", (3, 5), (1.0, 40.0), start="2005-01-01", rebalance="1Y")
TRIALS, SEED = 6, 7


@pytest.fixture
def panel(market) -> Panel:
    return market.panel


@pytest.fixture(scope="module")
def expected(tmp_path_factory, make_market) -> bytes:
    """The tables of a run in this process, in one chunk for each size."""
    out = tmp_path_factory.mktemp("expected") / "run"
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, make_market().panel, out, TRIALS, SEED, 1, pool, chunk=TRIALS)
    return tables(out)


def tables(out: Path) -> bytes:
    return (out / "tables.csv").read_bytes()


# --- same bytes ----------------------------------------------------------------------------------


def test_workers_and_chunks_do_not_matter(panel, tmp_path, expected) -> None:
    reproduce(SMALL, panel, tmp_path / "processes", TRIALS, SEED, 2, chunk=1)
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, panel, tmp_path / "threads", TRIALS, SEED, 1, pool, chunk=4)
    assert tables(tmp_path / "processes") == tables(tmp_path / "threads") == expected


def test_trials_are_those_of_a_longer_run(panel, tmp_path, expected) -> None:
    out = tmp_path / "run"
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, panel, out, 4, SEED, 1, pool, chunk=3)
        assert tables(out) != expected
        reproduce(SMALL, panel, out, TRIALS, SEED, 1, pool, resume=True, chunk=2)
    assert tables(out) == expected


def test_dask_loses_a_worker(panel, tmp_path, expected) -> None:
    out = tmp_path / "run"
    folder = RunFolder(out, run_settings(SMALL, panel, SEED))
    job = KilledOnce(Job(SMALL, panel, SEED), tmp_path / "killed")
    with dask_workers(None, 2) as (pool, workers):
        assert workers == 2
        run_chunks(job, chunks_of(SMALL.sizes, TRIALS, {}, 1), folder, pool, workers)
        assert job.flag.exists()
        reproduce(SMALL, panel, out, TRIALS, SEED, workers, pool, resume=True)
    assert tables(out) == expected


def test_a_local_worker_dies(panel, tmp_path, expected) -> None:
    out = tmp_path / "run"
    folder = RunFolder(out, run_settings(SMALL, panel, SEED))
    job = KilledOnce(Job(SMALL, panel, SEED), tmp_path / "killed")
    with pytest.raises(SolverError, match=r"a worker process died.*go on with --resume"):
        run_chunks(job, chunks_of(SMALL.sizes, TRIALS, {}, 1), folder, workers=1)
    assert 0 < sum(map(len, folder.done().values())) < 2 * TRIALS
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, panel, out, TRIALS, SEED, 1, pool, resume=True)
    assert tables(out) == expected


_SCRIPT = """
if __name__ == "__main__":
    import pickle, sys
    from pathlib import Path
    from jobs import HeldBack
    from rrp_pyomo.paper.experiments import Job, chunks_of
    from rrp_pyomo.paper.reproduce import run_settings
    from rrp_pyomo.paper.runner import RunFolder, run_chunks

    experiment, panel, trials, seed, parts = pickle.loads(Path(sys.argv[1]).read_bytes())
    folder = RunFolder(parts["run"], run_settings(experiment, panel, seed))
    job = HeldBack(Job(experiment, panel, seed), parts["begun"], parts["gate"], free=3)
    run_chunks(job, chunks_of(experiment.sizes, trials, {}, 1), folder, workers=2)
"""


@pytest.fixture
def interrupt(panel, tmp_path):
    """Send a run in another process a signal, when three chunks are kept and two under way.

    These end a little later. Gives what is kept, how the process ended and what it said.
    """

    def run(how: signal.Signals) -> tuple[dict[str, bytes], int, str]:
        parts = {name: tmp_path / name for name in ("run", "begun", "gate")}
        parts["begun"].mkdir()
        arguments, script = tmp_path / "arguments", tmp_path / "script.py"
        arguments.write_bytes(pickle.dumps((SMALL, panel, TRIALS, SEED, parts)))
        script.write_text(_SCRIPT)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, str(script), str(arguments)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 200  # of a machine with other work
        while len(finished(parts["run"])) < 3 or len(list(parts["begun"].iterdir())) < 5:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(how)
        time.sleep(0.3)
        parts["gate"].touch()
        _, log = process.communicate(timeout=200)
        return finished(parts["run"]), process.returncode, log.decode()

    return run


def finished(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in out.glob("trials/*.parquet")}


def resume(panel, out: Path, kept: dict[str, bytes], expected: bytes) -> None:
    """Go on with a run; what was kept of it is not done again."""
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, panel, out, TRIALS, SEED, 1, pool, resume=True, chunk=4)
    assert tables(out) == expected
    assert all((out / "trials" / name).read_bytes() == content for name, content in kept.items())
    assert not list(out.rglob("*.part"))


def test_a_killed_run_goes_on_where_it_was(panel, tmp_path, expected, interrupt) -> None:
    kept, status, _ = interrupt(signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert len(kept) == 3
    resume(panel, tmp_path / "run", kept, expected)


def test_ctrl_c_keeps_what_is_under_way(panel, tmp_path, expected, interrupt) -> None:
    """The chunks that workers have begun are finished and kept, others are not begun."""
    kept, status, log = interrupt(signal.SIGINT)
    assert status != 0
    assert log.rstrip().endswith("KeyboardInterrupt")
    begun = {tuple(map(int, file.name.split())) for file in (tmp_path / "begun").iterdir()}
    done = RunFolder(tmp_path / "run", run_settings(SMALL, panel, SEED), resume=True).done()
    assert {(size, trial) for size, trials in done.items() for trial in trials} == begun
    assert 5 <= len(kept) < 2 * TRIALS
    resume(panel, tmp_path / "run", kept, expected)


# --- the folder ----------------------------------------------------------------------------------


def test_chunks_cover_what_is_left() -> None:
    left = list(chunks_of((3, 5), 7, {5: {0, 1, 4}}, 2))
    threes = [Chunk(3, first, min(first + 2, 7)) for first in (0, 2, 4, 6)]
    assert left == [Chunk(5, 2, 4), Chunk(5, 5, 7), *threes]


def test_raw_trials_are_kept(panel, tmp_path) -> None:
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, panel, tmp_path / "run", 2, SEED, 1, pool)
    table = pq.read_table(tmp_path / "run" / "trials", filters=[("n", "=", 3)]).to_pandas()
    assert list(table["portfolio"]) == ["nominal", "worst_case", "robust", "robust"] * 2
    assert set(map(len, table["assets"])) == {3}
    held = panel.dates[panel.dates >= SMALL.start]
    assert set(map(len, table["returns"])) == {len(held)}
    capped = table["omega_used"][3]
    assert (capped < 40.0).all()
    assert (table["omega_used"][2] == 1.0).all()


def test_a_folder_of_another_run_is_refused(panel, market, tmp_path) -> None:
    settings = run_settings(SMALL, panel, SEED)
    RunFolder(tmp_path / "run", settings)
    with pytest.raises(InputError, match="holds a run; go on with it by --resume"):
        RunFolder(tmp_path / "run", settings)
    with pytest.raises(InputError, match="has seed = 7, not 8"):
        RunFolder(tmp_path / "run", run_settings(SMALL, panel, 8), resume=True)
    market.returns.iloc[-1, -1] += 1e-12
    with pytest.raises(InputError, match="has data_fingerprint = "):
        RunFolder(tmp_path / "run", run_settings(SMALL, market.panel, SEED), resume=True)
    assert RunFolder(tmp_path / "run", settings, resume=True).done() == {}


def test_a_refused_run_leaves_a_folder_as_it_was(panel, market, tmp_path) -> None:
    Backtest(market.returns, market.factors, ["nominal"]).run().to_parquet(tmp_path / "backtest")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    settings = run_settings(SMALL, panel, SEED)
    before = sorted(tmp_path.rglob("*"))
    for resume in (False, True):
        with pytest.raises(InputError, match="holds a backtest, not small"):
            RunFolder(tmp_path / "backtest", settings, resume)
        with pytest.raises(InputError, match="holds other files"):
            RunFolder(tmp_path / "other", settings, resume)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_settings_that_cannot_be_read(tmp_path, content) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(InputError, match=r"settings\.json does not hold the settings of a run"):
        RunFolder(tmp_path, {}, resume=True)


def test_two_runs_at_once_are_noticed(panel, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run", run_settings(SMALL, panel, SEED))
    job = Job(SMALL, panel, SEED)
    for chunk in (Chunk(3, 0, 2), Chunk(3, 1, 3)):
        folder.save(chunk, job(chunk))
    with pytest.raises(InputError, match="lacks trials of 3 assets or has some twice"):
        folder.load(3, 3)
    assert folder.load(3, 1)["trial"].to_pylist() == [0] * 4


def test_a_folder_with_other_files_is_refused(tmp_path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds other files, such as thesis\.tex"):
        RunFolder(tmp_path, {})


def test_a_folder_that_cannot_be_made(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write .*file/run"):
        RunFolder(tmp_path / "file" / "run", {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_loses_nothing(panel, tmp_path, expected, monkeypatch) -> None:
    """After two chunks the disk is full: what was written stays, and a later run goes on."""
    out, opened, written = tmp_path / "run", os.fdopen, []

    def full_after_two(handle: int, mode: str):
        written.append(handle)
        if len(written) <= 3:  # settings and two chunks
            return opened(handle, mode)
        os.close(handle)
        return open("/dev/full", mode)

    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(folders.os, "fdopen", full_after_two)
        with pytest.raises(InputError, match="No space left on device; what was finished before"):
            reproduce(SMALL, panel, out, TRIALS, SEED, 1, pool, chunk=1)
    assert len(list(out.glob("trials/*.parquet"))) == 2
    assert not list(out.rglob("*.part"))
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, panel, out, TRIALS, SEED, 1, pool, resume=True)
    assert tables(out) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trials": 1}, r"^trials is 1; expected at least 2$"),
        ({"seed": -1}, "seed is -1; expected at least 0"),
        ({"workers": 0}, "workers is 0"),
        ({"experiment": SMALL.on(sizes=(3, 7))}, "portfolios of 7 assets cannot be drawn from 6"),
        ({"experiment": SMALL.on(start="2004-01-01")}, "does not fit the history"),
    ],
)
def test_refusals(panel, tmp_path, arguments, message) -> None:
    arguments = {"experiment": SMALL, "panel": panel, "out": tmp_path / "run"} | arguments
    with pytest.raises(InputError, match=message):
        reproduce(**arguments)


def test_nobody_answers_at_the_scheduler(monkeypatch) -> None:
    import distributed

    def unreachable(*args, **options):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(distributed, "Client", unreachable)
    refused = pytest.raises(InputError, match="no Dask scheduler answers at 'tcp://nowhere:8786'")
    with refused, dask_workers("tcp://nowhere:8786", None):
        pass


def test_trials_do_not_depend_on_those_before(panel) -> None:
    job = Job(SMALL, panel, SEED)
    alone, after = job(Chunk(5, 3, 4)), job(Chunk(5, 2, 4))
    pd.testing.assert_frame_equal(
        alone.to_pandas(), after.slice(alone.num_rows).to_pandas(), check_exact=True
    )


def test_assets_are_drawn_without_replacement_by_trial_alone() -> None:
    from rrp_pyomo.paper.experiments import draw

    draws = np.array([draw(250, 25, 1, trial) for trial in range(300)])
    assert (np.diff(draws, axis=1) > 0).all()
    assert len({tuple(row) for row in draws}) == 300
    # 7,500 draws of 250 assets: about 30 ± 5.2 of each.
    counts = np.bincount(draws.ravel(), minlength=250)
    assert counts.min() > 30 - 5 * 5.2
    assert counts.max() < 30 + 5 * 5.2
