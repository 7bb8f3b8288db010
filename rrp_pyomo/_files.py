"""Output folders: whose they are, and files that are either whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrp_pyomo.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

SETTINGS = "settings.json"

_KEPT = (
    "what was finished before is kept: make room or choose another folder, and go on with --resume"
)


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What was run in a folder; None where nothing was.

    Raises
    ------
    InputError
        There are settings, but they cannot be read.
    """
    file = folder / SETTINGS
    if not file.is_file():
        return None
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError(f"found a {type(settings).__name__}")
    except ValueError as error:
        raise InputError(
            f"{file} does not hold the settings of a run ({error}); choose another folder"
        ) from None
    return settings


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Say what was run in a folder."""
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    write_atomically(folder / SETTINGS, text.encode())


def kind_of(settings: Mapping[str, Any]) -> str:
    """What these are the settings of: the name of an experiment, or ``"a backtest"``."""
    return str(settings.get("experiment", "a backtest"))


def as_kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file."""
    kept: dict[str, Any] = json.loads(json.dumps(settings))
    return kept


def prepare_backtest_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make a folder for a backtest, or raise where it is not writable or holds another run.

    Raises
    ------
    InputError
        See above.
    """
    kept = read_settings(folder)
    if kept is not None and kept != as_kept(settings):
        kind = kind_of(kept).replace("a backtest", "another backtest")
        raise InputError(f"the folder {folder} holds {kind}; choose another folder")
    with writing(folder, "choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there.

    Raises
    ------
    InputError
        The disk is full or the folder not writable.
    """
    with writing(path):
        handle, part = tempfile.mkstemp(suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(part, 0o644)
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise


def to_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV with ten digits."""
    return table.to_csv(index=False, float_format="%.10g").encode()


@contextlib.contextmanager
def writing(path: Path, remedy: str = _KEPT) -> Iterator[None]:
    """What goes wrong with a file or folder as an :class:`InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; {remedy}") from error
