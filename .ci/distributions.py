"""Build wheel and sdist, check them, install each into an empty environment and run the demo.

Usage: python .ci/distributions.py [folder for both, and for the demo's plots]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOOK = """
import pathlib, sys
import rrp_pyomo
assert pathlib.Path(rrp_pyomo.__file__).is_relative_to(sys.prefix), rrp_pyomo.__file__
"""


def run(*command: object, cwd: Path = ROOT) -> None:
    """Run a command, and end with it where it fails."""
    print("$", *command, flush=True)
    if code := subprocess.run([str(part) for part in command], cwd=cwd, check=False).returncode:
        sys.exit(code)


def files(folder: str) -> set[str]:
    """What is in a folder of the project, apart from what Python leaves there."""
    found = (p.relative_to(ROOT) for p in (ROOT / folder).rglob("*") if p.is_file())
    return {p.as_posix() for p in found if not {"__pycache__", ".ipynb_checkpoints"} & {*p.parts}}


def require(file: Path, held: Iterable[str], wanted: set[str]) -> None:
    """End where a distribution lacks files."""
    if missing := sorted(wanted - set(held)):
        sys.exit(f"{file.name} lacks {len(missing)} files: {', '.join(missing[:10])}")


def check_contents(wheel: Path, sdist: Path) -> None:
    """All of the package is in both, data and templates too; the sdist has tests and docs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    wanted = {"pyproject.toml", "README.md", "LICENSE"}
    for name in included:
        wanted |= files(name) if (ROOT / name).is_dir() else {name}
    with zipfile.ZipFile(wheel) as archive:
        require(wheel, archive.namelist(), files("rrp_pyomo"))
    with tarfile.open(sdist) as archive:
        require(sdist, (name.partition("/")[2] for name in archive.getnames()), wanted)


def try_out(file: Path, demo: Path, out: Path) -> None:
    """Install into an empty environment, and run the demo there."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "env", with_pip=True)
        scripts = home / "env" / ("Scripts" if sys.platform == "win32" else "bin")
        run(
            scripts / "python",
            "-m",
            "pip",
            "install",
            "-q",
            "--no-compile",
            f"{file}[data]",
            cwd=home,
        )
        run(scripts / "python", "-c", LOOK, cwd=home)
        run(scripts / "rrp", "--version", cwd=home)
        run(scripts / "python", demo, out, cwd=home)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/dist").absolute()
    shutil.rmtree(out, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    check_contents(wheel, sdist)
    try_out(wheel, ROOT / "examples" / "demo.py", out / "demo-wheel")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
        (demo,) = Path(folder).glob("*/examples/demo.py")
        try_out(sdist, demo, out / "demo-sdist")


if __name__ == "__main__":
    main()
