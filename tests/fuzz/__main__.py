"""Random cases against independent oracles: ``python tests/fuzz --suite models --cases 1000``."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, none installed

SUITES = {
    "models": "pyomo_models",
    "portfolios": "portfolios",
    "files": "files",
    "compositions": "compositions",
}


def main() -> int:
    """Run cases, print what they find and how to see it again; 1 where there is something."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("--suite", choices=[*SUITES, "all"], default="all")
    parser.add_argument("--cases", type=int, default=1000, help="how many, of each suite")
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--case", type=int, help="this one only, with all that it found")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--verbose", action="store_true", help="counts of everything")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    names = list(SUITES) if given.suite == "all" else [given.suite]
    return max([_run(name, given) for name in names])


def _run(suite: str, given: argparse.Namespace) -> int:
    from runner import run

    case = importlib.import_module(SUITES[suite]).case
    if given.case is not None:
        outcome = case(given.case)
        for verdict, kind, detail in outcome.findings:
            print(f"{verdict}: {kind}: {detail}")
        return bool(outcome.findings)
    seeds = list(range(given.seed, given.seed + given.cases))
    began, counts, kinds, bad = time.perf_counter(), Counter(), Counter(), 0
    verdicts: Counter[str] = Counter()
    for seed, outcome in run(case, seeds, given.workers):
        counts += outcome.counts
        bad += bool(outcome.findings)
        for verdict, kind, detail in outcome.findings:
            verdicts[verdict] += 1
            kinds[f"{verdict}: {kind}"] += 1
            short = " ".join(detail.split())[:160]
            print(
                f"{verdict}: {kind}: {short}\n    python tests/fuzz --suite {suite} --case {seed}"
            )
    spent = time.perf_counter() - began
    print(f"{suite}: cases {given.seed} to {seeds[-1]}, {bad} with findings, {spent:.0f} s")
    for what, count in verdicts.most_common():
        print(f"{count:7d}  {what}")
    for what, count in kinds.most_common():
        print(f"{count:7d}    {what}")
    if given.verbose:
        for what, count in sorted(counts.items()):
            print(f"{count:7d}      {what}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
