"""What others install, cite and check with: metadata, citation, workflow."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import rrp_pyomo

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text())
PYTHON = """#!/usr/bin/env bash
echo "$@" >> "$COMMANDS"
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""


def test_casadi_is_asked_for_wherever_there_is_a_wheel():
    requirements = map(Requirement, PROJECT["project"]["dependencies"])
    casadi = next(r for r in requirements if r.name == "casadi")
    assert casadi.marker is not None
    assert casadi.marker.evaluate({"sys_platform": "linux"})
    assert casadi.marker.evaluate({"sys_platform": "win32"})
    assert not casadi.marker.evaluate({"sys_platform": "emscripten"})


def test_the_version_is_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    path = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert f'"{rrp_pyomo.__version__}"' in path.read_text()


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["version"] == rrp_pyomo.__version__
    assert citation["license"] == PROJECT["project"]["license"]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Costa", "Kwon"]
    assert (paper["year"], paper["title"]) == (
        2020,
        "A robust framework for risk parity portfolios",
    )
    assert paper["title"] in " ".join((ROOT / "README.md").read_text().split())
    assert re.fullmatch(r"10\.\d{4,}/\S+", paper["doi"])


def commands(job: str) -> list[str]:
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def test_the_workflow_runs_what_is_here():
    assert commands("checks") == [".ci/run"]
    assert commands("pyomo-development") == [".ci/pyomo-development"]
    for job in WORKFLOW["jobs"]:
        for command in commands(job):
            assert os.access(ROOT / command, os.X_OK)
            subprocess.run(["bash", "-n", ROOT / command], check=True)


def test_only_the_job_that_says_so_may_fail():
    lenient = {
        job["name"] for job in WORKFLOW["jobs"].values() if job.get("continue-on-error", False)
    }
    assert lenient == {"Pyomo's development version (may fail)"}
    assert lenient == {j["name"] for j in WORKFLOW["jobs"].values() if "may fail" in j["name"]}


@pytest.mark.skipif(os.name == "nt", reason="a shell script, with a stand-in for Python")
def test_pyomos_development_version_goes_over_the_one_that_is_pinned(tmp_path):
    for name, text in {
        ".ci/pyomo-development": (ROOT / ".ci/pyomo-development").read_text(),
        "python": PYTHON,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    record = tmp_path / "commands.txt"
    environment = {**os.environ, "PYTHON": str(tmp_path / "python"), "COMMANDS": str(record)}
    script = str(tmp_path / ".ci/pyomo-development")
    subprocess.run([script], env=environment, check=True)
    subprocess.run([script, "pyomo==6.10.1", "tests/data"], env=environment, check=True)
    done = record.read_text().splitlines()
    made, ours, pyomo, _, tests = done[:5]
    assert made == "-m venv out/pyomo-development"
    assert ours.endswith("--editable .[dev]")
    assert "--no-deps" in pyomo
    assert pyomo.endswith("https://github.com/Pyomo/pyomo/archive/refs/heads/main.zip")
    assert tests.startswith("-m pytest")
    assert done[7].endswith(" pyomo==6.10.1")
    assert done[9].endswith(" tests/data")
