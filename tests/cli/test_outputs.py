"""What commands write: only where they may, whole or not at all, and after the answer is shown."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rrp_pyomo.cli.main import app

RUNNER = CliRunner(env={"COLUMNS": "200"})
COMMAND = [sys.executable, "-c", "from rrp_pyomo.cli.main import app; app()"]
SOLVE = ["solve", "--model", "nlp", "--solver", "newton"]
BACKTEST = ["backtest", "--estimation", "5Y", "--strategies"]


def invoke(*arguments: object):
    return RUNNER.invoke(app, [str(a) for a in arguments])


def refused(*arguments: object) -> str:
    """The one line of a command that fails before it has shown anything."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def files(market, tmp_path: Path) -> list[str]:
    market.returns.to_csv(tmp_path / "returns.csv")
    market.factors.assign(RF=market.risk_free).to_csv(tmp_path / "factors.csv")
    return ["--returns", f"{tmp_path}/returns.csv", "--factors", f"{tmp_path}/factors.csv"]


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


# --- folders of others ---------------------------------------------------------------------------

STRANGERS = [
    "returns.parquet", "weights.parquet", "report.html", "wealth.png", "notes.txt", ".hidden",
    "trials/n015_00000-00007.parquet", "sub/folder/file", "settings.json",
]  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("command", [BACKTEST, ["reproduce", "--experiment", "1", "--sizes"]])
def test_folders_of_others_are_left_alone(files, tmp_path, name, command) -> None:
    file = tmp_path / "own" / name
    file.parent.mkdir(parents=True)
    file.write_text('{"editor": "the only copy"}')
    before = snapshot(tmp_path)
    last = "nominal" if command is BACKTEST else "3"
    if command is not BACKTEST:
        files = ["--dataset", "french"]
    line = refused(*command, last, *files, "--out", tmp_path / "own")
    assert "choose a" in line
    assert str(tmp_path / "own") in line
    assert snapshot(tmp_path) == before


def test_a_folder_of_inputs_is_no_folder_for_outputs(files, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    assert "holds other files, such as factors.csv" in refused(
        *BACKTEST, "nominal", *files, "--out", "."
    )
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("existed", [True, False])
def test_a_backtest_that_fails_leaves_no_folder_behind(files, tmp_path, existed) -> None:
    """Nothing was written: the same folder will do for another try."""
    out = tmp_path / "out"
    if existed:
        out.mkdir()
    options = [*files, "--rebalance", "1Y", "--out", out]
    failed = invoke(*BACKTEST, "robust:1000", "--on-infeasible", "raise", *options)
    assert failed.exit_code == 3
    assert out.exists() == existed
    assert invoke(*BACKTEST, "equal_weight", *options).exit_code == 0


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--json p.json", "--plot p.png", "--plot p.svg"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("missing/", "No such file or directory"),
        ("returns.csv/", "Not a directory"),
        ("folder/", "Is a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_files_that_cannot_be_written_are_refused_first(
    files, tmp_path, option, place, reason
) -> None:
    option, name = option.split()
    (tmp_path / "folder" / name).mkdir(parents=True)
    line = refused(*SOLVE, *files, option, f"{tmp_path}/{place}{name}")
    assert "cannot write" in line
    assert name in line
    assert reason in line


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_link_to_itself_leads_nowhere_and_is_replaced(files, tmp_path, option) -> None:
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    assert invoke(*SOLVE, *files, option, loop).exit_code == 0
    assert loop.read_bytes()


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_inputs_are_not_written_over(files, tmp_path, option) -> None:
    picture = tmp_path / "returns.png"
    (tmp_path / "returns.csv").rename(picture)
    data = ["--returns", picture, *files[2:]]
    before = snapshot(tmp_path)
    assert "has another use in the same command" in refused(*SOLVE, *data, option, picture)
    both = refused(*SOLVE, *data, "--json", tmp_path / "a.png", "--plot", tmp_path / "a.png")
    assert "has another use" in both
    assert snapshot(tmp_path) == before


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """No file may grow beyond this size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 300])
@pytest.mark.parametrize(("option", "name"), [("--json", "p.json"), ("--plot", "p.png")])
def test_a_full_disk_spares_the_older_file_and_the_answer(
    files, tmp_path, option, name, size
) -> None:
    (tmp_path / name).write_bytes(b"the older one")
    before = snapshot(tmp_path)
    with limited(size):
        done = invoke(*SOLVE, *files, option, tmp_path / name)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rrp: cannot write {tmp_path / name}: File too large; make room")
    assert "asset 5" in done.stdout
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_a_backtest_on_a_full_disk_is_shown_and_never_taken_for_whole(
    files, tmp_path, size
) -> None:
    out = tmp_path / "out"
    command = [*BACKTEST, "equal_weight", *files, "--out", str(out)]
    with limited(size):
        done = invoke(*command)
    assert done.exit_code == 2
    assert f"cannot write {out}" in done.stderr
    assert "File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    # The settings are on the disk before the work begins, or it does not begin.
    assert ("6 assets" in done.stdout) == (size > 500)
    assert not list(tmp_path.rglob("*.part"))
    assert not (out / "report.html").exists()
    assert invoke(*command).exit_code == 0


def test_files_keep_their_mode_and_their_links(files, tmp_path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert invoke(*SOLVE, *files, "--json", link).exit_code == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())["model"]
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_devices_stay_devices(files) -> None:
    assert invoke(*SOLVE, *files, "--json", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()
    full = invoke(*SOLVE, *files, "--json", "/dev/full")
    assert full.exit_code == 2
    assert "cannot write /dev/full: No space left on device" in full.stderr
    assert Path("/dev/full").is_char_device()


def test_standard_output_is_a_file_too(files, tmp_path) -> None:
    command = [*COMMAND, *SOLVE, *files, "--json", "/dev/stdout"]
    with open(tmp_path / "log", "w") as log:
        assert subprocess.run(command, stdout=log).returncode == 0
    text = (tmp_path / "log").read_text()
    assert '"weights"' in text
    assert "asset 5" in text


# --- labels are texts ----------------------------------------------------------------------------

LABELS = ["[/x]", "gold [usd]", ":smile:", "$x_{$", "[bold]b", "_under", "a\\b", "#1 %", "<i>&"]


@pytest.fixture
def labelled(files, market, tmp_path) -> list[str]:
    rng = np.random.default_rng(0)
    data = np.hstack([market.returns, 0.03 * rng.normal(size=(96, len(LABELS) - 6))])
    pd.DataFrame(data, market.returns.index, LABELS).to_csv(tmp_path / "returns.csv")
    return files


def test_labels_are_printed_and_drawn_as_they_are(labelled, tmp_path) -> None:
    result = invoke(*SOLVE, *labelled, "--plot", tmp_path / "p.png", "--json", tmp_path / "p.json")
    assert result.exit_code == 0, result.output
    rows = [line.strip() for line in result.stdout.splitlines()]
    assert all(any(row.startswith(f"{label} ") for row in rows) for label in LABELS)
    assert list(json.loads((tmp_path / "p.json").read_text())["weights"]) == LABELS


@pytest.mark.parametrize("name", ["out[/x]", "a [b] :smile: $x_{$"])
def test_paths_are_printed_as_they_are(labelled, tmp_path, name) -> None:
    out = tmp_path / name
    result = invoke(*BACKTEST, "equal_weight", *labelled, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"Report: {out}{os.sep}report.html" in result.stdout
