"""The download cache: whole, verified files by their sha256, and what each was downloaded for.

    blobs/<first two digits>/<sha256>   a file; it stands there only after its bytes had that digest
    requests/<digest>.json              what a request gave: {"request": ..., "record": {"sha256": ..., ...}}
    partial/<digest>/                   work in progress, which a later run goes on with; nothing reads it as finished

The folder is self-contained: copied to a machine without a network, it stands in for the network there.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic import BaseModel, model_validator

from cpt_dynamics import files
from cpt_dynamics.errors import UserError

log = logging.getLogger(__name__)

VARIABLE = "CPT_DYNAMICS_CACHE"  # names the folder
OFFLINE = ("CPT_DYNAMICS_OFFLINE", "HF_HUB_OFFLINE")  # either set to 1, on, true or yes forbids downloads of corpora
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # of file systems mounted without locks


class Entry(NamedTuple):
    """A file of the cache, its size in bytes and the requests that it answers."""

    sha256: str
    bytes: int
    requests: list[dict[str, Any]]


def root() -> Path:
    """The folder of the cache: `CPT_DYNAMICS_CACHE`, or `cpt-dynamics` in the user's cache folder."""
    there = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    given = os.environ.get(VARIABLE) or f"{there}/cpt-dynamics"
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError:
        raise UserError(f"{given} is in a home folder that there is not: set {VARIABLE} to another folder") from None


def offline() -> str | None:
    """The variable that forbids downloads, as `NAME=value`; None where nothing does."""
    for name in OFFLINE:
        if os.environ.get(name, "").lower() in ("1", "on", "true", "yes"):
            return f"{name}={os.environ[name]}"
    return None


def absent(what: str) -> UserError:
    """The error for something that is not in the cache while `offline()`."""
    return UserError(
        f"{what} is not in the cache {root()}, and {offline()} forbids downloads: run `cpt-dynamics corpora fetch`"
        f" where there is a network, and copy its cache here ({VARIABLE} names the folder)"
    )


def blob(sha256: str) -> Path:
    """Where the file with this digest is, or would be."""
    return root() / "blobs" / sha256[:2] / sha256


def has(sha256: str) -> bool:
    """Whether the file with this digest is in the cache."""
    return blob(sha256).is_file()


def intact(sha256: str) -> Path:
    """The file with this digest, which is read again; one that was damaged since, or copied in part, is `UserError`."""
    path = blob(sha256)
    if files.sha256(path) != sha256:
        raise UserError(f"{path} is damaged: `cpt-dynamics corpora verify` deletes it, then fetch it again")
    return path


def adopt(path: str | Path, sha256: str | None = None, name: str | None = None) -> Path:
    """Move a finished file into the cache and return its place there.

    path : a file on the file system of the cache, such as one in a `partial` folder
    sha256 : its expected digest; a file with another one is deleted and raises `UserError` with both
    name : what the error calls the file (default: its path)
    """
    path = Path(path)
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
    found = files.sha256(path)
    if sha256 not in (None, found):
        path.unlink()
        raise UserError(
            f"{name or path} has sha256 {found}, {sha256} is expected, and was deleted: fetch it again, or correct the"
            " digest if it is stale"
        )
    place = blob(found)
    place.parent.mkdir(parents=True, exist_ok=True)
    path.chmod(0o444)
    os.replace(path, place)
    files.sync_folder(place.parent)
    return place


@contextlib.contextmanager
def partial(key: str, name: str | None = None) -> Iterator[Path]:
    """The folder for work in progress on `key`, which no other process has meanwhile (it waits and says so).

    name : what messages call it (default: `key`)

    The folder and its files survive an exception and a crash, for the next one to go on with. A block that ends without
    an exception is done: the folder is deleted, so adopt what is to be kept before. A full disk raises `UserError`.
    A block must not open the same key again.
    """
    folder = root() / "partial" / files.digest(key)
    room = files.room_for(f"the cache {root()}", f"free some, or set {VARIABLE} to a folder on a larger disk")
    with room, locked(folder.with_suffix(".lock"), name or key):
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder)


@contextlib.contextmanager
def locked(path: Path, key: str) -> Iterator[None]:
    """Keep other processes out while something is fetched; the file at `path` is there as long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _lock(path, key)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is released, see `_lock`
        handle.close()


def _lock(path: Path, key: str) -> IO[bytes]:
    while True:
        handle = open(path, "ab")  # noqa: SIM115 (closing it releases the lock)
        try:
            _flock(handle, key)
        except BaseException:
            handle.close()
            raise
        # the process that held the lock has deleted its file: the lock of a deleted file keeps nobody out
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                return handle
        handle.close()


def _flock(handle: IO[bytes], key: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning("another process is fetching %s: waiting for it", key)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s is on a file system without locks: let one process at a time fetch corpora", root())


def find(request: dict[str, Any]) -> dict[str, Any] | None:
    """What was remembered of a request; None if nothing was, or if its file is no longer in the cache."""
    path = _place(request)
    if not path.is_file():
        return None
    record = _kept(path).record
    return record if has(record["sha256"]) else None


class _Kept(BaseModel):
    """A file of requests/."""

    request: dict[str, Any]
    record: dict[str, Any]

    @model_validator(mode="after")
    def _digest(self) -> "_Kept":
        if not re.fullmatch("[0-9a-f]{64}", str(self.record.get("sha256"))):  # it becomes the name of a file
            raise ValueError("the record has no sha256")
        return self


def _kept(path: Path) -> _Kept:
    return files.fitting(_Kept, files.read_json(path), path, "delete it and fetch again")


def remember(request: dict[str, Any], record: dict[str, Any]) -> None:
    """Keep what a request gave; `record["sha256"]` is the digest of a file in the cache."""
    files.write_json(_place(request), {"request": request, "record": record})


def _place(request: dict[str, Any]) -> Path:
    return root() / "requests" / f"{files.digest(request)}.json"


def entries() -> list[Entry]:
    """The files of the cache, in order of digest."""
    asked: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((root() / "requests").glob("*.json")):
        kept = _kept(path)
        asked.setdefault(kept.record["sha256"], []).append(kept.request)
    blobs = sorted((root() / "blobs").glob("??/*"))
    return [Entry(path.name, path.stat().st_size, asked.get(path.name, [])) for path in blobs]


def verify() -> list[Entry]:
    """Read every file of the cache again; those with another digest than their name are deleted and returned."""
    damaged = [entry for entry in entries() if files.sha256(blob(entry.sha256)) != entry.sha256]
    for entry in damaged:
        blob(entry.sha256).unlink()
    return damaged
