"""Folders of backtests and experiments: others' files stay, damaged ones are not believed."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from judging import Outcome

from rrp_pyomo.backtest import Backtest, BacktestResult, EqualWeight, RiskParity
from rrp_pyomo.backtest.engine import Panel
from rrp_pyomo.data import read_factors, read_returns
from rrp_pyomo.errors import RiskParityError
from rrp_pyomo.paper.experiments import Experiment
from rrp_pyomo.paper.reproduce import reproduce

SMALL = Experiment("small", (3, 4), (1.0,), start="2003-01-01", estimation="2Y", rebalance="1Y")
TRIALS = 4


def check_backtest_folder(command: Any) -> None:
    """``rrp backtest --out`` into folders of every kind, and its tables read again."""
    folder, rng, outcome = command.folder, command.rng, command.outcome
    out = folder / "out"
    # Those that are taken draw figures, which takes seconds.
    kinds = dict.fromkeys(("foreign file", "foreign returns", "foreign settings", "a file"), 0.1)
    kinds |= {"another backtest": 0.1, "here": 0.05, "link": 0.05, "damaged": 0.32}
    kinds |= dict.fromkeys(("new", "empty", "again", "missing parent"), 0.02)
    kind = str(rng.choice(list(kinds), p=list(kinds.values())))
    arguments = [
        "backtest", "--returns", "R.csv", "--factors", "F.csv", "--estimation", "1Y",
        "--rebalance", "1Y", "--strategies", "equal_weight,nominal", "--out",
    ]  # fmt: skip
    if kind in ("empty", "foreign file", "foreign returns", "foreign settings"):
        out.mkdir()
    if kind.startswith("foreign"):
        name = {"foreign file": "x.txt", "foreign returns": "returns.parquet"}.get(
            kind, "settings.json"
        )
        contents = [b"the only copy", b"{}", b'{"a": 1}', b"", b"[1]", b"PAR1"]
        (out / name).write_bytes(contents[int(rng.integers(len(contents)))])
    if kind == "a file":
        out.write_text("the only copy")
    if kind == "link":
        (folder / "elsewhere").mkdir()
        (folder / "elsewhere/mine.txt").write_text("mine")
        out.symlink_to("elsewhere")
    target = {"here": ".", "missing parent": "a/b/out"}.get(kind, "out")
    if kind in ("again", "another backtest", "damaged"):
        shutil.copytree(_finished_backtest(), out)
    if kind in ("again", "damaged"):
        if kind == "damaged":
            _check_reading(out, rng, outcome)
            return
        own = tuple(str(p.relative_to(folder)) for p in out.rglob("*"))
        result = command.run(*arguments, "out", own=own)
    else:
        if kind == "another backtest":
            arguments[arguments.index("--rebalance") + 1] = "6M"
        result = command.run(*arguments, target)
    taken = kind in ("new", "empty", "missing parent", "again")
    if (result.exit_code == 0) != taken:
        outcome.found("wrong", f"a backtest into a folder: {kind}", result.output[-300:])
    if result.exit_code == 0:
        found = BacktestResult.from_parquet(folder / target).returns
        right = BacktestResult.from_parquet(_finished_backtest()).returns
        if not np.allclose(found, right, atol=1e-9):
            outcome.found("wrong", f"returns of a backtest into a folder: {kind}")


@functools.cache
def _finished_backtest() -> Path:
    """The backtest above of the undamaged data, kept as long as the process."""
    from files import data

    folder = Path(tempfile.mkdtemp(prefix="rrp-fuzz-"))
    for name, content in data().items():
        (folder / name).write_bytes(content)
    given = read_factors(folder / "F.csv")
    plan = Backtest(
        read_returns(folder / "R.csv"), given.factors, [EqualWeight(), RiskParity()], "1Y", "1Y",
        risk_free=given.risk_free,
    )  # fmt: skip
    plan.run().to_parquet(folder / "out")
    return folder / "out"


def _check_reading(out: Path, rng: np.random.Generator, outcome: Outcome) -> None:
    """A folder with one damaged file is refused, or read as it was."""
    right = BacktestResult.from_parquet(out)
    files = sorted(p for p in out.iterdir() if p.suffix in (".parquet", ".json"))
    file = files[int(rng.integers(len(files)))]
    how = damage_file(file, rng, files)
    try:
        found = BacktestResult.from_parquet(out)
    except RiskParityError as error:
        if file.name not in str(error) and str(out) not in str(error):
            outcome.found("untidy", f"a backtest with {file.name} {how}", error)
        return
    except Exception as error:
        outcome.found("crash", f"a backtest with {file.name} {how}: {type(error).__name__}", error)
        return
    same = all(
        getattr(found, name).equals(getattr(right, name))
        for name in ("returns", "weights", "risk_free")
    )
    if not same or file.suffix == ".parquet":
        outcome.found("wrong", f"a backtest with {file.name} {how} is read")


def damage_file(file: Path, rng: np.random.Generator, others: list[Path]) -> str:
    """Damage a file in place; says how."""
    content = bytearray(file.read_bytes())
    how = str(
        rng.choice(["flipped", "cut", "empty", "text", "another", "a folder", "gone", "twice"])
    )
    if how == "flipped":
        for _ in range(int(rng.integers(1, 4))):
            content[int(rng.integers(len(content)))] ^= int(rng.integers(1, 256))
    elif how == "cut":
        content = content[: int(rng.integers(len(content)))]
    elif how == "empty":
        content = bytearray()
    elif how == "text":
        content = bytearray(b"not what it seems")
    elif how == "twice":
        content = content * 2
    elif how == "another":
        choice = [p for p in others if p != file and p.suffix == file.suffix]
        if choice:
            content = bytearray(choice[int(rng.integers(len(choice)))].read_bytes())
        else:
            content, how = bytearray(b"{}"), "an empty object"
    file.unlink()
    if how == "a folder":
        file.mkdir()
    elif how != "gone":
        file.write_bytes(content)
    return how


# --- experiments ---------------------------------------------------------------------------------


@functools.cache
def _panel(seed: int = 0) -> Panel:
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2000-01-07", "2005-12-30", freq="W-FRI")
    factors = rng.normal(0.001, 0.02, (len(dates), 2))
    own = rng.normal(0, 0.02, (len(dates), 6))
    returns = factors @ rng.normal(0.6, 0.3, (2, 6)) + own
    return Panel.of(
        pd.DataFrame(returns, dates, list("ABCDEF")), pd.DataFrame(factors, dates, ["f", "g"]), None
    )


def _run(out: Path, panel: Panel, seed: int = 0, resume: bool = False) -> bytes:
    with ThreadPoolExecutor(1) as pool:
        reproduce(SMALL, panel, out, TRIALS, seed, 1, pool, resume, chunk=2, figures=False)
    return (out / "tables.csv").read_bytes()


@functools.cache
def _finished_run(data: int = 0, seed: int = 0) -> tuple[Path, bytes]:
    folder = Path(tempfile.mkdtemp(prefix="rrp-fuzz-")) / "run"
    return folder, _run(folder, _panel(data), seed)


def check_run_folder(folder: Path, rng: np.random.Generator, outcome: Outcome) -> None:
    """A run goes on from damaged or others' files with the same tables, or says what is wrong."""
    run, right = folder / "run", _finished_run()[1]
    shutil.copytree(_finished_run()[0], run)
    chunks = sorted((run / "trials").iterdir())
    kind = str(rng.choice([
        "chunk", "chunk", "chunk", "settings", "no settings", "other data", "other seed",
        "stranger", "renamed", "as it was",
    ]))  # fmt: skip
    resume = True
    if kind == "chunk":
        victim = chunks[int(rng.integers(len(chunks)))]
        kind = f"chunk {damage_file(victim, rng, chunks)}"
    elif kind == "settings":
        kind = f"settings {damage_file(run / 'settings.json', rng, [])}"
    elif kind == "no settings":
        (run / "settings.json").unlink()
        resume = bool(rng.random() < 0.5)
    elif kind in ("other data", "other seed"):
        other = _finished_run(1, 0) if kind == "other data" else _finished_run(0, 1)
        shutil.copy(other[0] / "trials" / chunks[0].name, chunks[0])
    elif kind == "stranger":
        (run / "trials" / "n003_00000-00099.parquet").write_bytes(b"mine")
    elif kind == "renamed":
        chunks[0].rename(run / "trials" / chunks[-1].name)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    try:
        found = _run(run, _panel(), resume=resume)
    except RiskParityError as error:
        if not any(str(p.name) in str(error) for p in (run, *run.rglob("*"))):
            outcome.found("untidy", f"a run with {kind}", error)
        changed = [
            p.name for p, content in before.items() if not p.is_file() or p.read_bytes() != content
        ]
        if changed:
            outcome.found("lost", f"a run with {kind}", changed)
        return
    except Exception as error:
        outcome.found("crash", f"a run with {kind}: {type(error).__name__}", error)
        return
    if found != right:
        outcome.found("wrong", f"a run with {kind}: other tables", "")
    if json.loads((run / "settings.json").read_text())["seed"] != 0:
        outcome.found("wrong", f"a run with {kind}: other settings", "")
