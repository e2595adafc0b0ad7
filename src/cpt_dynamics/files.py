"""Whole-or-absent files, digests and canonical JSON."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import AfterValidator, TypeAdapter, ValidationError

from cpt_dynamics.errors import UserError, is_name, one_line

try:
    import fcntl
except ImportError:  # a system without such locks: go on without them
    fcntl = None  # type: ignore[assignment]

HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]  # of folders that are in use on this machine
IN_USE = re.compile(r"\.(?P<name>.+?)\.[a-z0-9_]{8}(\.(?P<host>[0-9a-f]{8}))?")  # without a host: of older kits
DAY = 86400.0  # seconds
M = TypeVar("M")
MOST_CELLS = 240_000_000  # of a table: 20 million rows of a curve table, which may be a file of a few kilobytes
DEEPEST = 100  # levels of JSON; no file of the kit has twenty
HALF = re.compile(r"\\u[dD][89a-fA-F]")  # how JSON spells a half of a character
SEAL = "seal"  # key of a JSON file's own digest


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success sync it and rename it to `path`.

    The temporary name may become a file or a folder. After an exception nothing is left under
    either name (a former `path` stays as it was). A full disk raises `UserError`, and so does a `path` that is neither
    file nor folder, such as a device, which a rename would replace. Where `path` is a link, its target is written.
    """
    stream = os.path.abspath(path).startswith(("/dev/fd/", "/dev/std", "/proc/"))  # whatever it is a link to
    path = Path(os.path.realpath(path)) if os.path.islink(path) and not stream else Path(path)
    if stream or (os.path.lexists(path) and not path.is_file() and not path.is_dir()):
        raise UserError(f"{path} is a device or pipe, which would be replaced: name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    with passing(path.parent, path.name) as holder, room_for(path):
        temporary = holder / path.name
        yield temporary
        _sync(temporary)
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
        sync_folder(path.parent)


# --- folders and locks that last as long as a process ------------------------------------------------------------


@contextlib.contextmanager
def passing(folder: Path, name: str) -> Iterator[Path]:
    """A new hidden folder in `folder`, named after `name` and this machine, that is gone after the block.

    A process that is killed leaves it behind. The first use of `folder` by a later process removes it, see `sweep`.
    """
    sweep(Path(os.path.abspath(folder)))
    while True:
        made = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=f".{HOST}", dir=folder))
        with contextlib.suppress(BlockingIOError):  # another process took it for one that was left behind, and sweeps
            held = _locked(made, os.O_RDONLY)
            if made.exists():
                break
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        _unlock(held)


@cache
def sweep(folder: Path) -> None:
    """Remove, once a process, what processes that were killed left of `passing` in a folder.

    Of those of this machine the system's lock, which ends with a process, says whose they are. Those of other machines
    and of older kits, which did not lock them, are left alone until nothing in them has changed for a day.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if entry.name[0] == "." and entry.is_dir(follow_symlinks=False)]:
            if match := IN_USE.fullmatch(name):
                with contextlib.suppress(OSError):  # it is in use, gone or another user's
                    _sweep(folder / name, match["name"], match["host"] == HOST)


def _sweep(left: Path, name: str, here: bool) -> None:
    held = _locked(left, os.O_RDONLY) if here else None
    inside = [left, *left.rglob("*")]
    alone = [path.name for path in left.iterdir()] == [name]
    if held is not None or (alone and max(path.lstat().st_mtime for path in inside) < time.time() - DAY):
        shutil.rmtree(left, ignore_errors=True)
    _unlock(held)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[str | None]:
    """Hold the file `path`, which one process at a time can; yields None, or who holds it if another process does.

    The system ends the lock with its process, and the file is gone after the block. On file systems without locks
    every process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with room_for(path):
            held = _locked(path, os.O_RDWR | os.O_CREAT)
    except BlockingIOError:
        yield _holder(path)
        return
    if held is not None and not _is_at(held, path):  # its former holder has just removed it
        _unlock(held)
        with lock(path) as other:
            yield other
        return
    try:
        if held is not None:
            with contextlib.suppress(OSError):  # the disk may be full
                os.truncate(held, 0)
                os.write(held, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield None
    finally:
        path.unlink(missing_ok=True)
        _unlock(held)


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except (OSError, UnicodeDecodeError):  # it gives it up at this very moment
        return "another process"


def _locked(path: Path, how: int) -> int | None:
    """Descriptor of a file or folder that this process has locked; None where there are no locks.

    Raises `BlockingIOError` while another process has it.
    """
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, how, 0o666)
    except FileNotFoundError:  # a folder that was swept
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


# --- what may go wrong -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def room_for(what: object, remedy: str = "free some disk space and run again") -> Iterator[None]:
    """Raise `UserError` where the disk is too full for what is written."""
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise UserError(f"no space left for {what}: {remedy}") from error
        raise


def is_full_disk(error: Exception) -> bool:
    """Libraries that write files themselves raise errors of their own kinds, with the system's words."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error)


@contextlib.contextmanager
def reading(path: object, what: str = "a readable file", remedy: str = "make it again") -> Iterator[None]:
    """Turn whatever a library says against the file `path` into `UserError`: `<path> is not <what> (...): <remedy>`.

    For the call of a parser and nothing else: libraries raise errors of many kinds, and a mistake of the kit's own
    must not be taken for one of the file's. `what` may be "valid JSON" or the like.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of libraries in Rust
            raise
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path} cannot be read ({error.strerror}): name a file that can be read") from error
        raise UserError(f"{path} is not {what} ({one_line(error, 300)}): {remedy}") from error


def _sync(path: Path) -> None:
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def canonical(value: Any) -> str:
    """JSON of `value` with sorted keys and no spaces, the form that is hashed and compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """sha256 (hexadecimal) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def sha256(path: str | Path) -> str:
    """sha256 (hexadecimal) of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_once(path: str | Path) -> str:
    """The same, read once a process unless the file has changed."""
    state = os.stat(path)
    return _sha256_of(str(path), state.st_size, state.st_mtime_ns)


@cache
def _sha256_of(path: str, size: int, modified: int) -> str:
    return sha256(path)


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """A mapping with its own digest, for a file of JSON that must not be read if it has changed."""
    return {**value, SEAL: digest({key: one for key, one in value.items() if key != SEAL})}


def is_sealed(value: Any) -> bool:
    """Whether what was read is as it was sealed; what an older kit did not seal is taken as it is."""
    return not isinstance(value, dict) or SEAL not in value or sealed(value) == value


def plain(value: Any) -> Any:
    """`value` with numpy types as Python's and with null in place of NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. NaN and infinity are refused."""
    with atomic(path) as temporary:
        text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | Path, remedy: str = "delete it and make it again", nan: bool = False) -> Any:
    """Read a JSON file; a missing or damaged one raises `UserError` naming it.

    nan: whether NaN and infinity, which JSON has no word for, are read as Python writes them, or refused. Halves of
    characters (surrogates), which no text can hold, are refused, and so is deep nesting.
    """
    with reading(path, "valid JSON", remedy):
        return _json(Path(path).read_bytes(), nan)


def json_of(raw: bytes, origin: object, remedy: str) -> Any:
    """The same of bytes that are from `origin`, a path or an address."""
    with reading(origin, "valid JSON", remedy):
        return _json(raw, False)


def _json(raw: bytes, nan: bool) -> Any:
    text = raw.decode("utf-8-sig")
    found = json.loads(text, parse_constant=None if nan else _no_number)
    _check_depth(found)
    if HALF.search(text):
        canonical(found).encode()
    return found


def _check_depth(value: Any) -> None:
    """Raise `ValueError` for what is nested so deep that going through it would fail."""
    inside = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        of = (one.values() if isinstance(one, dict) else one for one in inside)
        inside = [value for values in of for value in values if isinstance(value, (dict, list))]
    if inside:
        raise ValueError(f"it is nested more than {DEEPEST} deep")


def read_model(kind: type[M], path: str | Path, remedy: str) -> M:
    """Read a JSON file of the shape `kind`, see `fitting`."""
    return fitting(kind, read_json(path, remedy), path, remedy)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def fitting(kind: type[M], value: Any, path: object, remedy: str = "make it again") -> M:
    """What was read from `path` as a pydantic model or another type; `UserError` names the file and the key."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ").partition(" or instance of ")[0]
        raise UserError(": ".join(filter(None, [str(path), key, reason, remedy]))) from None


def inside(name: str) -> str:
    """The path of a file inside a folder, as a package, a release or a server states it; others raise `ValueError`."""
    path = PurePosixPath(name)
    out = path.is_absolute() or ".." in path.parts or not path.parts or name[1:2] == ":"
    if out or "\\" in name or not name.isprintable():
        raise ValueError(f"{name!r} is no path inside the folder")
    return name


Inside = Annotated[str, AfterValidator(inside)]


def _printed(name: str) -> str:
    if not is_name(name):
        raise ValueError("no name that can be printed")
    return name


Printed = Annotated[str, AfterValidator(_printed)]  # a name that commands print


def _pyarrow(path: str | Path) -> tuple[Any, Any]:
    """pyarrow and its parquet, which are large and not installed with the core."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path} is parquet, which needs pyarrow: pip install 'cpt-dynamics[parquet]'") from None
    return pyarrow, pyarrow.parquet


def write_table(path: str | Path, table: pd.DataFrame, schema: str) -> None:
    """Write a parquet table with the name and version of its schema, whole or not at all."""
    pa, pq = _pyarrow(path)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), b"schema": schema.encode()})
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary)


def read_table(path: str | Path, schema: str) -> pd.DataFrame:
    """Read a parquet table written with `schema`; anything else raises `UserError`."""
    _, pq = _pyarrow(path)
    with reading(path, "a readable parquet file"):
        size = pq.read_metadata(path)
        if size.num_rows * size.num_columns > MOST_CELLS:
            rows = f"{size.num_rows:,} rows of {size.num_columns:,}"
            raise UserError(f"{path} has {rows}: keep every tenth row, or fewer columns")
        arrow = pq.read_table(path)
        arrow.validate(full=True)  # text is UTF-8, too
        metadata = arrow.schema.metadata or {}
        found = metadata.get(b"schema", b"none").decode(errors="backslashreplace")
        table = arrow.to_pandas()
    if found != schema:
        raise UserError(f"{path} holds schema {found!r}, expected {schema!r}: make it again")
    return table
