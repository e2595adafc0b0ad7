"""Text in a git repository at one commit: git itself fetches it, and its names of files are digests of their bytes.

A repository lies in the cache as git/<digest of its address>, without files that no corpus has asked for. What came
stays when a fetch is broken off, and is not fetched again.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from cpt_dynamics import files
from cpt_dynamics.config import Git
from cpt_dynamics.corpora import archives, cache, local, readers
from cpt_dynamics.corpora.download import Say, tell
from cpt_dynamics.errors import UserError, one_line, printable, shown

BATCH = 2000  # files fetched at a time: what came of them is kept
REGULAR = ("100644", "100755")  # modes of files; links and submodules are passed over
POINTER = b"version https://git-lfs.github.com/spec/"  # how a file begins that stands for one that git does not hold
ALONE = {
    "GIT_TERMINAL_PROMPT": "0",  # no question for a password
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1000",  # bytes a second ...
    "GIT_HTTP_LOW_SPEED_TIME": "60",  # ... for so many seconds end a fetch
}
# What is read is what is there: a reading never fetches.
READING = ("-c", "protocol.allow=never")
FETCHING = ("-c", "fetch.negotiationAlgorithm=noop", "-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null")


class Blob(NamedTuple):
    """A file of a commit: its path there, and git's name of its content."""

    path: str
    name: str


def read(spec: Git, record: dict[str, Any]) -> Iterator[str]:
    """Yield the documents of `spec`, those to hold out first, file by file in order of path.

    `record` receives `from`, `revision`, `files` (their number, bytes and one digest of paths and contents) and
    `warnings`. What `fetch` refuses raises `UserError`, and so does a file that was damaged in the cache.
    """
    record.update({"from": shown(spec.repository), "revision": spec.commit, "files": [], "warnings": []})
    fetch(spec)
    held_out, others = _wanted(spec)
    digest, size = hashlib.sha256(), 0
    for blob, raw in _contents(spec, [*held_out, *others]):
        if spec.validation:
            record["holding_out"] = blob in held_out
        where = f"{spec.repository}: {blob.path}"
        if raw.startswith(POINTER):
            raise UserError(f"{where} is a pointer of Git LFS, not the text: leave it out by the paths of the corpus")
        yield from readers.documents(raw, spec.reader, where)
        digest.update(f"{blob.name} {blob.path}\0".encode(errors="surrogateescape"))
        size += len(raw)
    number = len(held_out) + len(others)
    record["files"].append({"number": number, "bytes": size, "sha256": digest.hexdigest()})


def fetch(spec: Git, say: Say = tell) -> None:
    """Bring what `spec` reads into the cache. What cannot be fetched raises `UserError`; what came is kept."""
    if missing(spec) == []:
        return
    if cache.offline():
        raise cache.absent(f"{spec.repository} at {spec.commit[:12]}")
    folder = place(spec)
    with cache.locked(folder.with_suffix(".lock"), spec.repository):
        for left in folder.glob("*.lock"):  # of a git that was killed
            left.unlink(missing_ok=True)
        _run(spec, "init", "--quiet", "--bare")
        for key, value in (("url", spec.repository), ("promisor", "true"), ("partialclonefilter", "blob:none")):
            _run(spec, "config", f"remote.origin.{key}", value)
        if not _has(spec):
            say(f"{spec.repository}: fetching the list of files at {spec.commit[:12]}")
            _fetch(spec, "--depth=1", "origin", spec.commit)
        lacking = [blob.name for blob in missing(spec) or ()]
        for start in range(0, len(lacking), BATCH):
            say(f"{spec.repository}: {start:,} of {len(lacking):,} files came")
            _fetch(spec, "--no-write-fetch-head", "--stdin", "origin", wanted=lacking[start : start + BATCH])
        if still := missing(spec):
            raise UserError(f"{spec.repository} does not give {still[0].path} of {spec.commit[:12]}: fetch it again")


def place(spec: Git) -> Path:
    """Where the repository is in the cache, or would be."""
    return cache.root() / "git" / files.digest(spec.repository)[:32]


def count(spec: Git) -> int:
    """How many files the corpus has; their list must be in the cache."""
    return sum(map(len, _wanted(spec)))


def missing(spec: Git) -> list[Blob] | None:
    """The files of the corpus that are not in the cache; None where their list is not there either."""
    if not _has(spec):
        return None
    lines = _run(spec, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    here = {line.decode() for line in lines}
    held_out, others = _wanted(spec)
    return [blob for blob in [*held_out, *others] if blob.name not in here]


def _has(spec: Git) -> bool:
    """Whether the commit and its list of files are in the cache."""
    if not (place(spec) / "HEAD").is_file():
        return False
    return _start(spec, *READING, "ls-tree", "-r", "--name-only", spec.commit).returncode == 0


def _wanted(spec: Git) -> tuple[list[Blob], list[Blob]]:
    """The files to hold out, and the others, in order of path. A pattern that no file matches raises `UserError`."""
    listed = _run(spec, *READING, "ls-tree", "-r", "-z", "--full-tree", spec.commit).decode(errors="surrogateescape")
    blobs = []
    for entry in filter(None, listed.split("\0")):
        (mode, _, name), path = entry.partition("\t")[0].split(), entry.partition("\t")[2]
        if mode in REGULAR:
            blobs.append(Blob(path, name))
    held_out, others = _matching(blobs, spec.validation, spec), _matching(blobs, spec.paths, spec)
    return sorted(held_out), sorted(others - held_out)


def _matching(blobs: list[Blob], patterns: list[str], spec: Git) -> set[Blob]:
    found: set[Blob] = set()
    for pattern in patterns:
        parts = PurePosixPath(pattern).parts
        matches = [blob for blob in blobs if archives.matches(PurePosixPath(blob.path).parts, parts)]
        if not matches:
            raise UserError(f"{spec.repository} at {spec.commit[:12]}: {pattern} matches no file: correct the pattern")
        found.update(matches)
    return found


def _contents(spec: Git, blobs: list[Blob]) -> Iterator[tuple[Blob, bytes]]:
    """The files with their bytes, whose digest is compared with git's name of them."""
    command = _command(spec, *READING, "cat-file", "--batch")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for blob in blobs:
            process.stdin.write(f"{blob.name}\n".encode())
            process.stdin.flush()
            _, _, size = process.stdout.readline().decode().rpartition(" ")
            if size.strip().isdigit() and int(size) > local.LONGEST:
                process.kill()
                raise local.too_long(f"{shown(spec.repository)}: {printable(blob.path)}")
            raw = process.stdout.read(int(size)) if size.strip().isdigit() else b""
            process.stdout.read(1)
            if hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest() != blob.name:
                raise UserError(f"{place(spec)}: {blob.path} is damaged: delete this folder and fetch it again")
            yield blob, raw
        process.stdin.close()


def _fetch(spec: Git, *arguments: str, wanted: Iterable[str] = ()) -> None:
    options = ("--quiet", "--no-tags", "--recurse-submodules=no", "--no-auto-gc", "--filter=blob:none")
    done = _start(spec, *FETCHING, "fetch", *options, *arguments, stdin="\n".join(wanted))
    if done.returncode:
        said = one_line(Exception(done.stderr.decode(errors="replace").strip().rpartition("\n")[2]), 200)
        raise UserError(
            f"{spec.repository} at {spec.commit[:12]} cannot be fetched ({said}): look at address, commit and network,"
            " and run again; what came is kept"
        )


def _run(spec: Git, *arguments: str) -> bytes:
    done = _start(spec, *arguments)
    if done.returncode:
        said = one_line(Exception(done.stderr.decode(errors="replace")), 200)
        raise UserError(f"{place(spec)} cannot be used ({said}): delete this folder and fetch it again")
    return done.stdout


def _start(spec: Git, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[bytes]":
    place(spec).parent.mkdir(parents=True, exist_ok=True)
    command = _command(spec, *arguments)
    try:
        return subprocess.run(command, input=stdin.encode(), capture_output=True, check=False, env=_environment())
    except FileNotFoundError:
        raise UserError("git is not installed, which a corpus with `source: git` needs: install it") from None
    except ValueError:  # a zero byte
        raise UserError(f"{spec.repository!r} is no address: correct `repository` of the corpus") from None


def _command(spec: Git, *arguments: str) -> list[str]:
    return ["git", f"--git-dir={place(spec)}", *arguments]


def _environment() -> dict[str, str]:
    """The caller's, proxies and certificates among it, without what would send git to another repository."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith("GIT_SSL")}
    return {**kept, **ALONE}
