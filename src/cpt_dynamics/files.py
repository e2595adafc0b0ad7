"""Whole-or-absent files, digests and canonical JSON."""

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.errors import UserError


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success sync it and rename it to `path`.

    The temporary name may become a file or a folder. After an exception nothing is left under
    either name (a former `path` stays as it was). A full disk raises `UserError`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = holder / path.name
    try:
        with room_for(path):
            yield temporary
            _sync(temporary)
            if temporary.is_dir() and path.is_dir():
                shutil.rmtree(path)
            os.replace(temporary, path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


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
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing or damaged one raises `UserError` naming it."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): delete it and make it again") from None


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
    pa, pq = _pyarrow(path)
    try:
        arrow = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a readable parquet file ({error}): make it again") from None
    found = (arrow.schema.metadata or {}).get(b"schema", b"none").decode()
    if found != schema:
        raise UserError(f"{path} holds schema {found!r}, expected {schema!r}: make it again")
    return arrow.to_pandas()
