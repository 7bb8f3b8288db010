"""Damaged and odd files, command lines, output paths and folders: one line, and nothing lost."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import json
import lzma
import os
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from damaged_text import LABELS, damage, restate
from judging import Outcome
from run_folders import check_backtest_folder, check_run_folder
from typer.testing import CliRunner

from rrp_pyomo.cli.main import app

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
STATUS = (0, 2, 3)

Files = dict[str, bytes]


def case(seed: int) -> Outcome:
    """One command, or a few in a row, in a folder of its own."""
    rng = np.random.default_rng(seed)
    outcome = Outcome()
    kinds = {
        "text": 0.25, "restated": 0.2, "archive": 0.1, "labels": 0.12, "options": 0.13,
        "outputs": 0.1, "backtest": 0.05, "run": 0.05,
    }  # fmt: skip
    kind = str(rng.choice(list(kinds), p=list(kinds.values())))
    outcome.counts[kind] += 1
    before = os.getcwd()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name).resolve()
        os.chdir(folder)
        try:
            if kind == "run":
                check_run_folder(folder, rng, outcome)
            else:
                KINDS[kind](Command(folder, rng, outcome))
        finally:
            os.chdir(before)
    return outcome


class Command:
    """The command line in a folder with returns, factors and budgets."""

    def __init__(self, folder: Path, rng: np.random.Generator, outcome: Outcome) -> None:
        self.folder, self.rng, self.outcome = folder, rng, outcome
        for name, content in data().items():
            (folder / name).write_bytes(content)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, items: Any) -> Any:
        items = list(items)
        return items[int(self.rng.integers(len(items)))]

    def solve(self, *more: str, returns: str = "R.csv", factors: str = "F.csv") -> Any:
        """``rrp solve`` of some model."""
        model = (
            [] if "--model" in more else ["--model", self.pick(["socp", "robust", "robust:0.5"])]
        )
        return self.run("solve", "--returns", returns, "--factors", factors, *model, *more)

    def run(self, *arguments: str, own: tuple[str, ...] = ()) -> Any:
        """Run a command; what was there before stays, but for its ``own`` files."""
        before = _snapshot(self.folder)
        result = RUNNER.invoke(app, list(arguments))
        after = _snapshot(self.folder)
        shown = " ".join(a if len(a) < 60 else a[:57] + "..." for a in arguments)
        for name, content in before.items():
            if after.get(name) != content and name not in own:
                self.outcome.found("lost", name, f"{shown}: {after.get(name, b'gone')[:40]!r}")
        leftover = [n for n in after if n.endswith(".part") and n not in before]
        if leftover:
            self.outcome.found("lost", "a part of a file is left behind", f"{shown}: {leftover}")
        error = result.exception
        if error is not None and not isinstance(error, SystemExit):
            self.outcome.found(
                "crash", f"{arguments[0]}: {type(error).__name__}", f"{shown}: {error}"
            )
        elif result.exit_code not in STATUS:
            self.outcome.found("crash", f"exit status {result.exit_code}", shown)
        elif result.exit_code:
            self._check_message(result.stderr, arguments, shown)
        return result

    def _check_message(self, said: str, arguments: tuple[str, ...], shown: str) -> None:
        lines = [line for line in said.splitlines() if "warning:" not in line]
        tidy = len(lines) == 1 and lines[0].startswith("rrp: ")
        named = [Path(a).name or str(Path(a)) for a in arguments]
        named += [a.lstrip("-") for a in arguments]
        named += ["asset", "factor", "returns", "budget", "option", "argument", "omega"]
        named += ["column", "window"]
        if not tidy or "Traceback" in said or not any(n and n in said for n in named):
            self.outcome.found("untidy", "message", f"{shown}: {said!r}")


@functools.cache
def data() -> Files:
    """Three years of monthly returns of five assets, three factors, budgets."""
    rng = np.random.default_rng(1)
    dates = pd.date_range("2001-01-31", periods=36, freq="ME", name="date").strftime("%Y-%m-%d")
    factors = rng.normal(0.004, 0.03, (36, 3))
    returns = factors @ rng.normal(0.5, 0.3, (3, 5)) + rng.normal(0, 0.02, (36, 5))
    R = pd.DataFrame(returns.round(6), dates, list("ABCDE"))
    F = pd.DataFrame(factors.round(6), dates, ["Mkt", "SMB", "HML"])
    F["RF"] = 0.0002
    return {
        "R.csv": R.to_csv().encode(),
        "F.csv": F.to_csv().encode(),
        "B.csv": b"asset,budget\nA,0.3\nB,0.3\nC,0.2\nD,0.1\nE,0.1\n",
    }


@functools.cache
def expected(model: str, with_budgets: bool = False) -> dict[str, Any]:
    """The portfolio of the undamaged files."""
    with tempfile.TemporaryDirectory() as name:
        for file, content in data().items():
            (Path(name) / file).write_bytes(content)
        budgets = ["--budgets", f"{name}/B.csv"] if with_budgets else []
        arguments = ["--returns", f"{name}/R.csv", "--factors", f"{name}/F.csv", *budgets]
        out = f"{name}/out.json"
        result = RUNNER.invoke(app, ["solve", *arguments, "--model", model, "--json", out])
        assert result.exit_code == 0, result.output
        return json.loads(Path(out).read_text())


def _snapshot(folder: Path) -> Files:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.is_symlink()
    }


# --- what may happen to files --------------------------------------------------------------------


def _text(command: Command) -> None:
    """A file whose content changes: any error that is tidy, or an answer."""
    file = command.pick(["R.csv", "F.csv", "B.csv"])
    path = command.folder / file
    path.write_bytes(damage(path.read_bytes(), command.rng))
    budgets = ["--budgets", "B.csv"] if file == "B.csv" or command.chance(0.2) else []
    command.solve(*budgets)


def _restated(command: Command) -> None:
    """A file that says the same otherwise: the same answer."""
    file = command.pick(["R.csv", "F.csv", "B.csv"])
    path = command.folder / file
    how, content = restate(path.read_bytes(), command.rng, is_budgets=file == "B.csv")
    path.write_bytes(content)
    model = command.pick(["socp", "robust:0.5"])
    budgets = ["--budgets", "B.csv"] if file == "B.csv" else []
    result = command.solve("--model", model, "--json", "out.json", *budgets)
    if result.exit_code == 0:
        _compare(command, f"{file}: {how}", expected(model, bool(budgets)))
    elif result.exit_code != 2:
        command.outcome.found("wrong", f"{file}: {how}", result.output)
    else:
        command.outcome.counts[f"refused: {how}"] += 1


def _compare(command: Command, what: str, right: dict[str, Any]) -> None:
    found = json.loads((command.folder / "out.json").read_text())["weights"]
    off = max(abs(found.get(a, -9.0) - x) for a, x in right["weights"].items())
    if len(found) != len(right["weights"]) or off > 1e-4:
        command.outcome.found("wrong", f"{what}: other weights", f"off by {off:.2g}: {found}")


def _archive(command: Command) -> None:
    """A compressed file, whole or damaged."""
    content = (command.folder / "R.csv").read_bytes()
    suffix, pack = command.pick(ARCHIVES.items())
    packed = pack(content)
    how = command.pick(["whole", "cut", "flipped", "other", "empty", "plain"])
    if how == "cut":
        packed = packed[: int(command.rng.integers(len(packed)))]
    elif how == "flipped":
        changed = bytearray(packed)
        for _ in range(int(command.rng.integers(1, 20))):
            changed[int(command.rng.integers(len(changed)))] ^= int(command.rng.integers(1, 256))
        packed = bytes(changed)
    elif how == "other":
        packed = command.pick(list(ARCHIVES.values()))(content)
    elif how in ("empty", "plain"):
        packed = b"" if how == "empty" else content
    name = f"R.csv{suffix}"
    (command.folder / name).write_bytes(packed)
    result = command.solve("--model", "socp", "--json", "out.json", returns=name)
    if result.exit_code == 0 and how == "whole":
        _compare(command, f"{name}, {how}", expected("socp"))
    elif how == "whole" and suffix != ".zst":
        command.outcome.found("wrong", f"{name}, whole, is refused", result.stderr)


def _zip(content: bytes, members: int = 1) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k in range(members):
            archive.writestr(f"R{k}.csv", content)
    return buffer.getvalue()


def _tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("R.csv")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVES: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": _zip,
    ".tar": _tar, ".zst": lambda content: b"\x28\xb5\x2f\xfd" + content,
}  # fmt: skip


def _labels(command: Command) -> None:
    """Names of assets with markup, TeX, quotes and new lines come out as they went in."""
    names = [command.pick(LABELS) if command.chance(0.5) else a for a in "ABCDE"]
    names = [a if names.index(a) == k else f"{a}{k}" for k, a in enumerate(names)]
    table = pd.read_csv(command.folder / "R.csv", index_col=0).set_axis(names, axis=1)
    table.to_csv(command.folder / "R.csv")
    more = ["--plot", command.pick(["p.png", "p.svg", "p.pdf"])] if command.chance(0.3) else []
    result = command.solve("--model", "socp", "--json", "out.json", *more)
    if result.exit_code:
        # Blanks around a label may be dropped, which makes some labels the same or empty.
        if not any(a.strip() != a or not a.strip() for a in names):
            command.outcome.found("wrong", "labels are refused", f"{names}: {result.output}")
        return
    right = dict(zip(names, expected("socp")["weights"].values(), strict=True))
    if any(a.strip() != a for a in names):
        return
    _compare(command, f"labels {names}", {"weights": right})
    for a in names:
        if a.isprintable() and len(a) < 40 and a not in result.stdout:
            command.outcome.found(
                "wrong", "a label is shown otherwise", f"{a!r}: {result.stdout[:800]}"
            )


def _options(command: Command) -> None:
    """Options that are wrong, twice, missing or of another command."""
    name = command.pick(["solve", "backtest", "reproduce", "solvers"])
    arguments = [name]
    if name in ("solve", "backtest") and command.chance(0.8):
        arguments += ["--returns", "R.csv", "--factors", "F.csv"]
    if name == "solve" and command.chance(0.8):
        arguments += ["--model", command.pick(["socp", "robust", "nlp", "qclp"])]
    for _ in range(int(command.rng.integers(1, 3))):
        option = command.pick(OPTIONS)
        arguments.append(option)
        if command.chance(0.9):
            arguments.append(command.pick(VALUES))
    if name == "reproduce":
        arguments += ["--trials", "-1"]  # nothing that takes long may begin
    own = tuple(a for o, a in pairwise(arguments) if o in ("--json", "--plot"))
    command.run(*arguments, own=own)


OPTIONS = [
    "--model", "--omega", "--solver", "--budgets", "--returns", "--factors", "--dataset", "--json",
    "--plot", "--estimation", "--rebalance", "--start", "--end", "--cost", "--strategies", "--mean",
    "--on-infeasible", "--seed", "--sizes", "--workers", "--experiment", "--worst-case",
    "--factors-in-percent", "--nonsense", "-x", "--resume", "--executor", "--scheduler",
]  # fmt: skip
VALUES = [
    "", " ", "0", "-1", "nan", "inf", "1e400", "abc", "robust:", "robust:x", "robust:-1",
    "robust:nan",
    "socp:1", "robust:1:2", "R.csv", "F.csv", "B.csv", "no/such/file.csv", ".", "/", "[/x]", "[b]a",
    "5Y", "0Y", "-1Y", "5", "2001-13-01", "1800-01-01", "2050-01-01", "nominal,,robust",
    "nominal,nominal",
    "minimum_variance", "french", "frensh", "1,2,x", "3,3", "0,5", "ä\nö", "newton", "gurobi",
    "highs",
    "clarabel", "2", "9" * 400, "out.png", "out.txt", "\x00", "cap", "geometric", "table1",
]  # fmt: skip


def _outputs(command: Command) -> None:
    """Output paths of every kind; the answer is printed before a write that fails."""
    folder = command.folder
    (folder / "full").mkdir()
    (folder / "full/mine.txt").write_text("the only copy")
    (folder / "old.json").write_text("old")
    (folder / "old.png").write_bytes(b"old")
    (folder / "link.json").symlink_to("old.json")
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "dangling.json").symlink_to("nowhere/at/all.json")
    option = command.pick(["--json", "--plot"])
    target = command.pick([
        "old.json", "link.json", "loop.json", "dangling.json", "full", "full/", "missing/x.json",
        "missing/x.png", "R.csv", "./R.csv", "F.csv/x.json", "/dev/full", "/dev/null", "", ".",
        "..",
        "a" * 300 + ".json", "a [b] c.json", "[/x].json", "old.png", "x.PNG", "x.gif", "x",
        "full/../R.csv",
        "new.svg", "-", "\x00.json", "x.json/",
    ])  # fmt: skip
    own = (target, "old.json") if target in ("old.json", "old.png", "link.json") else ()
    arguments = ["solve", "--returns", "R.csv", "--factors", "F.csv", "--model", "socp"]
    result = command.run(*arguments, option, target, own=own)
    if result.exit_code and (folder / "old.json").read_text() != "old":
        command.outcome.found("lost", "old.json, by a command that failed", target)
    if result.exit_code == 0 and option == "--json" and target not in ("/dev/null", "-"):
        content = json.loads((folder / target).read_text())
        off = max(abs(content["weights"][a] - x) for a, x in expected("socp")["weights"].items())
        if off > 1e-4:
            command.outcome.found("wrong", f"--json {target!r}", off)


def _backtest(command: Command) -> None:
    check_backtest_folder(command)


KINDS: dict[str, Callable[[Command], None]] = {
    "text": _text, "restated": _restated, "archive": _archive, "labels": _labels,
    "options": _options, "outputs": _outputs, "backtest": _backtest,
}  # fmt: skip
