"""Chunks that are damaged, or of another run: named, set aside, and their trials run again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrp_pyomo.backtest.engine import Panel
from rrp_pyomo.errors import InputError, RiskParityWarning
from rrp_pyomo.paper.experiments import Experiment
from rrp_pyomo.paper.reproduce import reproduce, run_settings
from rrp_pyomo.paper.runner import RunFolder
from rrp_pyomo.paper.table1 import reproduce_table1

DESIGN = Experiment("tiny", (2, 3), (1.0,), start="2006-01-01", rebalance="1Y")
TRIALS, SEED = 4, 7
FIRST = "n003_00000-00001.parquet"


def run(
    panel: Panel, out: Path, seed: int = SEED, resume: bool = False, design: Experiment = DESIGN
) -> None:
    with ThreadPoolExecutor(1) as pool:
        reproduce(design, panel, out, TRIALS, seed, 1, pool, resume, chunk=2, figures=False)


@pytest.fixture(scope="module")
def panel(make_market) -> Panel:
    return make_market().panel


@pytest.fixture(scope="module")
def finished(panel, tmp_path_factory) -> Path:
    """A finished run, to be copied."""
    run(panel, out := tmp_path_factory.mktemp("finished") / "run")
    return out


@pytest.fixture(scope="module")
def strangers(panel, make_market, tmp_path_factory) -> dict[str, Path]:
    """Chunks of runs with another seed, other data, and another design."""
    folder = tmp_path_factory.mktemp("others")
    run(panel, folder / "seed", seed=8)
    run(make_market(seed=1).panel, folder / "data_fingerprint")
    run(panel, folder / "omegas", design=DESIGN.on(omegas=(0.5,)))
    return {out.name: out / "trials" / FIRST for out in folder.iterdir()}


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    shutil.copytree(finished, out := tmp_path / "run")
    return out


def replace_rows(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """A chunk with other rows, and the metadata that it had."""

    def damage(file: Path) -> None:
        pq.write_table(change(pq.read_table(file, partitioning=None)), file)

    return damage


def as_folder(file: Path) -> None:
    file.unlink()
    (file / "inside").mkdir(parents=True)


def flip(file: Path, part: float, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[int(part * len(content))] ^= 1 << bit
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "one byte": lambda file: file.write_bytes(b"P"),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "beheaded": lambda file: file.write_bytes(file.read_bytes()[10:]),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"PAR1"),
    "text": lambda file: file.write_text("n,trial\n3,0\n"),
    "folder": as_folder,
    "other schema": lambda file: pd.DataFrame({"a": [1.0]}).to_parquet(file),
    "fewer rows": replace_rows(lambda table: table.slice(1)),
    "no rows": replace_rows(lambda table: table.slice(0, 0)),
    "fewer columns": replace_rows(lambda table: table.drop_columns(["cv"])),
    "of an earlier version": replace_rows(lambda table: table.replace_schema_metadata()),
}


def warned(warnings: Iterator[object]) -> list[str]:
    return [str(w.message) for w in warnings if w.category is RiskParityWarning]


def resumed(panel: Panel, out: Path, expected: Path, names: list[str]) -> list[str]:
    """Resume a run of which these chunks are no good; what it says, a line for each of them."""
    with pytest.warns(RiskParityWarning, match="its trials are run again") as caught:
        run(panel, out, resume=True)
    said = warned(caught)
    assert len(said) == len(names)
    assert all(any(f"trials/{name} is not what" in line for line in said) for name in names)
    assert (out / "tables.csv").read_bytes() == (expected / "tables.csv").read_bytes()
    assert {f.name for f in (out / "trials").glob("n*")} == {
        f.name for f in (expected / "trials").glob("n*")
    }
    assert {f.name for f in (out / "trials").glob("_*")} == {f"_{name}" for name in names}
    assert not pd.read_parquet(out / "trials").duplicated(["n", "trial", "portfolio"]).any()
    return said


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_chunks_are_run_again(panel, finished, copy, name) -> None:
    DAMAGES[name](copy / "trials" / FIRST)
    resumed(panel, copy, finished, [FIRST])
    run(panel, copy, resume=True)  # without another word


def test_all_chunks_damaged_at_once(panel, finished, copy) -> None:
    files = sorted((copy / "trials").iterdir())
    damages = np.random.default_rng(0).permutation([*DAMAGES])[: len(files)]
    for file, name in zip(files, damages, strict=True):
        DAMAGES[name](file)
    resumed(panel, copy, finished, [file.name for file in files])


@pytest.mark.parametrize("name", ["seed", "data_fingerprint", "omegas"])
def test_chunks_of_other_runs_are_not_taken(panel, finished, copy, strangers, name) -> None:
    shutil.copy(strangers[name], copy / "trials" / FIRST)
    (line,) = resumed(panel, copy, finished, [FIRST])
    assert f"it has {name} = " in line


@pytest.mark.parametrize(
    ("source", "field"),
    [("n003_00002-00003.parquet", "first"), ("n002_00000-00001.parquet", "size")],
)
def test_chunks_of_the_run_in_each_others_place(panel, finished, copy, source, field) -> None:
    shutil.copy(copy / "trials" / source, copy / "trials" / FIRST)
    (line,) = resumed(panel, copy, finished, [FIRST])
    assert f"it has {field} = " in line


def test_a_second_copy_of_a_chunk(panel, finished, copy) -> None:
    shutil.copy(copy / "trials" / FIRST, copy / "trials" / "n3_0-1.parquet")
    resumed(panel, copy, finished, ["n3_0-1.parquet"])


def test_what_was_set_aside_is_kept(panel, copy) -> None:
    for content in (b"one", b"two", b"three"):
        (copy / "trials" / FIRST).write_bytes(content)
        with pytest.warns(RiskParityWarning, match="it is now called _n003"):
            run(panel, copy, resume=True)
    kept = {file.read_bytes() for file in (copy / "trials").glob("_*")}
    assert kept == {b"one", b"two", b"three"}


@given(part=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_is_noticed(panel, finished, tmp_path_factory, part, bit) -> None:
    out = tmp_path_factory.mktemp("flipped") / "run"
    folder = RunFolder(out, run_settings(DESIGN, panel, SEED))
    shutil.copy(finished / "trials" / FIRST, chunk := out / "trials" / FIRST)
    assert folder.done() == {3: {0, 1}}
    flip(chunk, part, bit)
    with pytest.warns(RiskParityWarning, match=f"{FIRST} is not what this run wrote"):
        assert folder.done() == {}


def test_a_flipped_bit_changes_nothing_in_the_end(panel, finished, copy) -> None:
    flip(copy / "trials" / FIRST, 0.4, 3)
    resumed(panel, copy, finished, [FIRST])


def test_chunks_say_what_they_were_made_from(panel, finished) -> None:
    text = pq.read_schema(finished / "trials" / FIRST).metadata[b"rrp_pyomo"].decode()
    for word in ('"seed": 7', '"size": 3', '"first": 0', '"last": 1', '"experiment": "tiny"'):
        assert word in text
    assert panel.fingerprint in text


def test_a_chunk_that_changes_during_the_run(panel, finished, copy) -> None:
    folder = RunFolder(copy, run_settings(DESIGN, panel, SEED), resume=True)
    folder.done()
    flip(copy / "trials" / FIRST, 0.5, 0)
    with pytest.raises(InputError, match=f"{FIRST} has changed .*go on with --resume"):
        folder.load(3, TRIALS)


def test_trials_without_settings(panel, make_market, finished, copy) -> None:
    """They are refused but for --resume, which takes those that fit."""
    for file in copy.iterdir():
        if file.is_file():
            file.unlink()
    before = sorted(copy.rglob("*"))
    with pytest.raises(InputError, match=r"holds trials, but no settings\.json; choose an empty"):
        run(make_market(seed=1).panel, copy)
    assert sorted(copy.rglob("*")) == before
    run(panel, copy, resume=True)
    assert (copy / "tables.csv").read_bytes() == (finished / "tables.csv").read_bytes()


def test_settings_lost_but_tables_left(panel, make_market, copy) -> None:
    (copy / "settings.json").unlink()
    for resume in (False, True):
        with pytest.raises(InputError, match=r"holds other files, such as tables\.csv"):
            run(make_market(seed=1).panel, copy, resume=resume)


def test_one_rebalance_has_no_turnover(panel, tmp_path) -> None:
    run(panel, tmp_path / "run", design=DESIGN.on(start="2007-01-01"))
    table = pd.read_csv(tmp_path / "run" / "tables.csv")
    assert table["turnover_pct"].isna().all()
    assert table["cv"].notna().all()


def test_a_users_own_files_in_a_run_are_left(panel, finished, copy) -> None:
    (copy / "thesis.part").write_text("mine")
    (copy / "trials" / "notes.txt.part").write_text("mine")
    run(panel, copy, resume=True)
    assert (copy / "thesis.part").read_text() == "mine"
    assert (copy / "trials" / "notes.txt.part").read_text() == "mine"


@pytest.mark.parametrize("damage", ["empty", "folder", "fewer rows", "gone"])
def test_table_1_is_run_again_where_it_is_damaged(tmp_path, damage) -> None:
    out = tmp_path / "out"
    reproduce_table1(out, trials=2, n=4)
    before = pd.read_csv(out / "runs.csv")
    chunk = out / "trials" / "n004_00001-00001.parquet"
    DAMAGES.get(damage, Path.unlink)(chunk)
    if damage == "gone":
        reproduce_table1(out, trials=2, n=4, resume=True)
    else:
        with pytest.warns(RiskParityWarning, match=f"{chunk.name} is not what this run wrote"):
            reproduce_table1(out, trials=2, n=4, resume=True)
    after = pd.read_csv(out / "runs.csv")
    pd.testing.assert_frame_equal(before[:2], after[:2])
    pd.testing.assert_frame_equal(before.drop(columns="runtime_s"), after.drop(columns="runtime_s"))


def test_table_1_of_an_earlier_version(tmp_path) -> None:
    out = tmp_path / "out"
    reproduce_table1(out, trials=1, n=4)
    before = (out / "runs.csv").read_bytes()
    shutil.rmtree(out / "trials")
    with pytest.warns(RiskParityWarning, match=r"runs\.csv is not what .*called _runs\.csv"):
        reproduce_table1(out, trials=1, n=4, resume=True)
    assert (out / "_runs.csv").read_bytes() == before
