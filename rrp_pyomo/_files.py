"""Output folders: whose they are, and files that are either whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rrp_pyomo.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SETTINGS = "settings.json"

# Beginnings of files, of this version and of those before it.
_PARTS = (".rrp-*.part", "tmp????????.part")

_STAMP = b"rrp_pyomo"

KEPT = (
    "what was finished before is kept: make room or choose another folder, and go on with --resume"
)
_OTHER_FOLDER = "make room or choose another folder"
_OTHER_FILE = "make room or choose another file"


def as_path(value: str | Path, name: str) -> Path:
    """A path; anything else than a text or a path is an error."""
    if not isinstance(value, str | Path):
        raise InputError(f"{name} is {value!r}; expected the path of a file or folder, as text")
    return Path(value)


@contextlib.contextmanager
def writing(path: Path, remedy: str = KEPT) -> Iterator[None]:
    """What goes wrong with a file or folder as an :class:`InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason_of(error)}; {remedy}") from error


def reason_of(error: Exception) -> str:
    """Why something failed, in one line; not every OSError of a library has a ``strerror``."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


# --- files ---------------------------------------------------------------------------------------


def require_writable(path: Path) -> None:
    """Raise where a file could not be written, before the work for it begins.

    Raises
    ------
    InputError
        No such folder, or file or folder are not writable.
    """
    with writing(path, "choose another file"):
        if _is_stream(path):
            return
        if path.exists():
            open(path, "r+b").close()
        tempfile.TemporaryFile(dir=_target(path).parent).close()


def write_atomically(path: Path, content: bytes, remedy: str = _OTHER_FILE) -> None:
    """Write a file that is either whole or as it was before.

    Raises
    ------
    InputError
        The disk is full, or file or folder are not writable.
    """
    with writing(path, remedy):
        if _is_stream(path):
            path.write_bytes(content)
            return
        target = _target(path)
        with _part(target.parent, content) as part:
            if target.exists():
                open(target, "r+b").close()  # to be replaced, a file need not be writable
                os.chmod(part, stat.S_IMODE(target.stat().st_mode))
            os.replace(part, target)


def _target(path: Path) -> Path:
    """Where a path leads: a link stays one."""
    return Path(os.path.realpath(path))


def _is_stream(path: Path) -> bool:
    """A device or a pipe, or what this process prints to: it cannot be replaced by a file."""
    if not path.exists() or path.is_dir():
        return False
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return True
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(found, os.fstat(number)):
                return True
    return False


@contextlib.contextmanager
def _part(folder: Path, content: bytes) -> Iterator[Path]:
    """A new file with this content, on the disk; it is gone afterwards unless it was renamed."""
    part = folder / f".rrp-{secrets.token_hex(8)}.part"
    # Who may read it is for the user's umask to say, which tempfile.mkstemp does not ask.
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(part, new, 0o666), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def remove_parts(folder: Path) -> None:
    """Remove what a killed process left behind in a folder that is its own."""
    for pattern in _PARTS:
        for leftover in folder.rglob(pattern):
            with contextlib.suppress(OSError):
                leftover.unlink()


def to_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV with ten digits."""
    return table.to_csv(index=False, float_format="%.10g").encode()


# --- Parquet files that say what they were made from ---------------------------------------------


def to_parquet(table: pa.Table, origin: Mapping[str, Any]) -> bytes:
    """A table as a Parquet file with what it was made from, and with a seal.

    The origin is in the metadata of the schema, as JSON. The seal is a digest of every byte; it is
    just before the footer, where readers of Parquet do not look.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    stamp = {_STAMP: json.dumps(origin, ensure_ascii=False).encode()}
    buffer = pa.BufferOutputStream()
    stamped = table.replace_schema_metadata((table.schema.metadata or {}) | stamp)
    pq.write_table(stamped, buffer, compression="zstd")
    content: bytes = buffer.getvalue().to_pybytes()
    footer = _footer(content)
    return content[:footer] + hashlib.sha256(content).digest() + content[footer:]


def read_parquet(path: Path, sealed: bool = True) -> tuple[pa.Table, dict[str, Any] | None]:
    """A table, and what it was made from; None where the file does not say.

    Parameters
    ----------
    path : Path
    sealed : bool
        Whether files without a stamp, which earlier versions wrote, are refused.

    Raises
    ------
    ValueError
        The file cannot be read, or is not as it was written; the message is the reason alone.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = path.read_bytes()
        intact = _has_seal(content)
        if sealed and not intact:
            raise ValueError("it is damaged, or of an earlier version, or not by this program")
        # From memory: columns must not be inferred from the names of folders.
        table = pq.read_table(pa.BufferReader(content))
        stamp = (table.schema.metadata or {}).get(_STAMP)
        origin = None if stamp is None else json.loads(stamp)
    except Exception as error:  # a reader of damaged files fails in every way there is
        raise ValueError(reason_of(error)) from error
    if origin is not None and not intact:
        raise ValueError("it is damaged")
    return table, origin


def _has_seal(content: bytes) -> bool:
    footer = _footer(content)
    seal = footer - hashlib.sha256().digest_size
    if seal < 0:
        return False
    return content[seal:footer] == hashlib.sha256(content[:seal] + content[footer:]).digest()


def _footer(content: bytes) -> int:
    """Where the footer of a Parquet file begins; its length is in front of the last four bytes."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


# --- folders -------------------------------------------------------------------------------------


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What was run in a folder; None where nothing was.

    Raises
    ------
    InputError
        There are settings, but they cannot be read.
    """
    file = folder / SETTINGS
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError(f"found a {type(settings).__name__}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{file} does not hold the settings of a run ({reason_of(error)}); choose another "
            "folder"
        ) from None
    return settings


def begin_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Say what is run in a folder where nothing was.

    Raises
    ------
    InputError
        Another process was first, or the folder is not writable.
    """
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    with writing(folder / SETTINGS, _OTHER_FOLDER), _part(folder, text.encode()) as part:
        try:
            os.link(part, folder / SETTINGS)
        except FileExistsError:
            raise _in_use(folder) from None
        except OSError:  # a file system without hard links
            os.replace(part, folder / SETTINGS)


def kind_of(settings: Mapping[str, Any]) -> str:
    """What these are the settings of: the name of an experiment, or ``"a backtest"``."""
    return str(settings.get("experiment", "a backtest"))


def as_kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file."""
    kept: dict[str, Any] = json.loads(json.dumps(settings))
    return kept


def entries(folder: Path) -> set[str]:
    """The names of what is in a folder, but for beginnings of files."""
    return {p.name for p in folder.iterdir() if not any(map(p.match, _PARTS))}


def require_no_strangers(folder: Path, known: set[str]) -> None:
    """Raise where a folder holds anything that is not ours."""
    if strangers := entries(folder) - known:
        raise InputError(
            f"the folder {folder} holds other files, such as {min(strangers)}, and no "
            f"{SETTINGS} of this program; choose an empty or a new one"
        )


@contextlib.contextmanager
def backtest_folder(folder: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """Keep a folder for one backtest of this process, and for it alone.

    It is a new or an empty one, or that of a backtest with the same settings, which may have been
    killed. Where nothing comes to be written, it is left as it was.

    Raises
    ------
    InputError
        The folder holds anything else, is not writable, or another process writes to it.
    """
    existed = folder.exists()
    with writing(folder, _OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        found = entries(folder)
        if SETTINGS not in found:
            require_no_strangers(folder, set())
            begin_settings(folder, settings)
        file = open(folder / SETTINGS, "r+b")  # noqa: SIM115
    with contextlib.ExitStack() as stack:
        stack.callback(_leave_as_it_was, folder, SETTINGS in found, existed)
        stack.enter_context(file)
        if not _held(file, folder / SETTINGS):
            stack.pop_all()
            file.close()
            raise _in_use(folder)
        _require_same_backtest(folder, as_kept(settings), file)
        with writing(folder, _OTHER_FOLDER):
            remove_parts(folder)
            tempfile.TemporaryFile(dir=folder).close()
        yield


def _require_same_backtest(folder: Path, settings: dict[str, Any], file: IO[bytes]) -> None:
    kept = read_settings(folder)
    if kept == settings:
        return
    if kept is None or kept.keys() != settings.keys() or entries(folder) != {SETTINGS}:
        kind = kind_of(kept or {}).replace("a backtest", "another backtest")
        raise InputError(f"the folder {folder} holds {kind}; choose another folder")
    # A killed backtest said what it was going to do, and did nothing.
    with writing(folder, _OTHER_FOLDER):
        file.truncate(0)
        file.write(json.dumps(settings, indent=2, ensure_ascii=False).encode())
        file.flush()


def _leave_as_it_was(folder: Path, had_settings: bool, existed: bool) -> None:
    """Take back a folder into which nothing was written."""
    with contextlib.suppress(OSError):
        if not had_settings and entries(folder) == {SETTINGS}:
            (folder / SETTINGS).unlink()
            if not existed:
                folder.rmdir()


def _held(file: IO[bytes], path: Path) -> bool:
    """Whether this process alone has a file from now on, until it closes it or ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 30)  # others may read what comes before
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            with contextlib.suppress(OSError):  # a file system without locks
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _in_use(folder: Path) -> InputError:
    return InputError(
        f"another process writes to the folder {folder}; wait for it or choose another folder"
    )
