"""The harness of `make records`: what it counts, prints and refuses; not the speeds themselves."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
HARNESS = ROOT / "benchmarks" / "records"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The modules record and page, as `python benchmarks/records` sees them."""
    monkeypatch.syspath_prepend(str(HARNESS))
    names = ("record", "page")
    yield [importlib.import_module(name) for name in names]
    for name in names:
        sys.modules.pop(name, None)


def test_a_limit_is_of_the_ratio_where_there_is_a_peer_and_of_the_time_where_there_is_none(
    harness: Any,
) -> None:
    record, _ = harness
    alone = record.Record("work", ours=3.0, limit=2.0, certificate="")
    beside = record.Record("work", 3.0, 2.0, "", peer="other", theirs=6.0, ratio=0.5)
    assert not alone.reached
    assert beside.reached


def test_pairs_drop_the_warm_up_check_every_answer_and_alternate(harness: Any) -> None:
    record, _ = harness
    order: list[str] = []
    checked: list[tuple[str, str]] = []

    def ours(given: int) -> str:
        order.append("ours")
        return f"ours {given}"

    def theirs(given: int) -> str:
        order.append("theirs")
        return f"theirs {given}"

    measured = record.pairs(
        ours, theirs, [(1, 10), (2, 20), (3, 30)], lambda a, b: checked.append((a, b))
    )
    assert checked == [(f"ours {i}", f"theirs {10 * i}") for i in (1, 2, 3)]
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert min(measured) > 0.0
    with pytest.raises(record.statistics.StatisticsError):
        record.pairs(ours, theirs, [(1, 10)], lambda a, b: None)


def test_a_wrong_answer_ends_the_measurement(harness: Any) -> None:
    record, _ = harness

    def check(a: int, b: int) -> None:
        if a != b:
            raise AssertionError(f"{a} is not {b}")

    with pytest.raises(AssertionError, match="4 is not 5"):
        record.pairs(lambda x: x, lambda x: x, [(1, 1), (4, 5)], check)


def test_the_page_says_what_was_missed(harness: Any) -> None:
    record, page = harness
    rows = [
        record.Record("fast", 0.25, 0.5, "gap 1e-9", "peer", 1.0, 0.25),
        record.Record("slow", 200.0, 135.0, "same numbers", note="two cores"),
    ]
    text = page.page(rows, 60.0)
    assert "| fast | 250 ms | peer | 1 s | 0.25 × | 0.5 × | gap 1e-9 |" in text
    assert "| slow | 3 min 20 s | none |  |  | 2 min 15 s **missed** | same numbers |" in text
    assert "- slow: two cores" in text
    assert "pyomo 6." in text


def test_the_committed_page_is_one_that_the_harness_wrote(harness: Any) -> None:
    _, page = harness
    committed = (ROOT / "docs" / "records.md").read_text("utf-8")
    assert committed.startswith(page.HEAD)
    rows = [r for r in committed.removeprefix(page.HEAD).splitlines() if r.startswith("| ")]
    assert all(row.count(" | ") == 6 for row in rows)
    assert len(rows) >= 14
