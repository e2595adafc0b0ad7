"""Give a reader many inputs; each must come to a result or to one line, in time and in little memory."""

import contextlib
import hashlib
import io
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from unittest import mock

import hypothesis
from hypothesis import strategies as st

from cpt_dynamics.cli import main
from cpt_dynamics.errors import LONGEST, UserError, of_system
from fuzz.inputs import made_from
from fuzz.readers import Reader, found

SECONDS = 20  # for one input
MEMORY = 400 << 20  # bytes that the process may grow by for one input
LINE = LONGEST + 100  # characters of a line
FORK = multiprocessing.get_context("fork")  # so that a process has the libraries already
FINE = "\n\t\r"  # control characters that are printed


class Hang(BaseException):
    """An input took too long."""


@dataclass
class Found:
    """What came of the inputs of a reader: how many there were, and the smallest input for each failure."""

    inputs: int = 0
    refused: int = 0
    failures: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # kind -> what went wrong, with which input

    def add(self, raw: bytes, what: str) -> None:
        kind = what.partition(": ")[0]
        if kind not in self.failures or len(raw) < len(self.failures[kind][1]):
            self.failures[kind] = what, raw


def fuzz(reader: Reader, world: Path, inputs: int, seed: int, here: Path) -> Found:
    """Try inputs in `here`, a copy of a world that is made and put back after each; a seed gives the same inputs again.

    The input that is tried lies in `<here>.now`, should it end the process.
    """
    seen, now = Found(), here.with_suffix(".now")
    shutil.copytree(world, here, symlinks=True)
    kept = _Kept(here, world)
    with contextlib.chdir(here), mock.patch("os.fsync"):  # no power is cut here, and disks are slow
        valid = found(reader.seed or reader.file).read_bytes()

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=inputs,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],  # the smallest of those that fail is near enough
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(made_from(valid, reader.file), st.booleans() if reader.stated else st.just(False))
        def attempt(raw: bytes, stated: bool) -> None:
            now.write_bytes(raw)
            what = outcome(reader, raw, stated)
            kept.put_back()
            seen.inputs += 1
            seen.refused += what == ""
            if what:
                seen.add(raw, what + (" (with its digest stated)" if stated else ""))

        attempt()
    return seen


def outcome(reader: Reader, raw: bytes, stated: bool = False) -> str | None:
    """None for a result, nothing for a line that refuses, else what is wrong."""
    found(reader.file).write_bytes(raw)
    if stated and reader.stated:
        with contextlib.suppress(Exception):  # the input is no longer what a digest can be stated of
            reader.stated()
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors, write_through=True) for errors in ("strict", "backslashreplace")
    )
    before = _peak()
    try:
        with _in_time(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(reader.call)) if isinstance(reader.call, tuple) else reader.call()
    except UserError:  # of a function; the command line prints it by `printable`
        code = None
        line: str | None = ""
    except OSError as error:
        line = "" if of_system(error) else _where(error)
    except (Exception, Hang, SystemExit) as error:
        line = _where(error)
    else:
        line = _printed(code, out, err)
    if _peak() - before > MEMORY:
        return f"the process grew by {(_peak() - before) >> 20} MiB"
    return line


def _printed(code: object, out: io.TextIOWrapper, err: io.TextIOWrapper) -> str | None:
    """What is wrong with what a command printed."""
    said, refused = (file.buffer.getvalue().decode() for file in (out, err))  # type: ignore[attr-defined]
    if bad := [one for one in said + refused if unicodedata.category(one) == "Cc" and one not in FINE]:
        return f"prints the control character {bad[0]!r}"
    if not isinstance(code, int) or code in (0, 1):
        return None
    lines = [line for line in refused.splitlines() if line.startswith("error: ")]
    if code != 2 or len(lines) != 1 or not refused.splitlines()[-1].startswith("error: "):
        return f"exit {code} with {len(lines)} lines of errors: {refused[-200:]!r}"
    return "" if len(lines[0]) <= LINE else f"a line of {len(lines[0]):,} characters"


def _where(error: BaseException) -> str:
    """The error, and where in the kit it was."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "cpt_dynamics" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    text = " ".join(ascii(str(error)).split())[:120]
    return f"{type(error).__name__} at {place}: {text}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# --- the world is put back -------------------------------------------------------------------------------------------


class _Kept:
    """The files of a folder, which are compared by size and time and put back where they differ."""

    def __init__(self, folder: Path, copy: Path) -> None:
        self.folder, self.copy = folder, copy
        self.known = self._stats()

    def _stats(self) -> dict[str, tuple[int, int]]:
        found, folders = {}, [str(self.folder)]
        while folders:
            for entry in os.scandir(folders.pop()):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                stat = entry.stat(follow_symlinks=False)
                found[entry.path] = (-1, 0) if entry.is_dir(follow_symlinks=False) else (stat.st_size, stat.st_mtime_ns)
        return found

    def put_back(self) -> None:
        now = self._stats()
        for path in sorted(now.keys() - self.known.keys()):
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else Path(path).unlink(
                missing_ok=True
            )
        for path in sorted(path for path, stat in self.known.items() if now.get(path) != stat):
            source = self.copy / Path(path).relative_to(self.folder)
            if source.is_dir():
                Path(path).mkdir(exist_ok=True)
            else:
                shutil.copy2(source, path)


def apart(reader: Reader, world: Path, inputs: int, seed: int) -> Found:
    """The same in a process of its own, which an input may end, or keep busy where no signal reaches it."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "world"
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=lambda: theirs.send(fuzz(reader, world, inputs, seed, here)))
        process.start()
        theirs.close()
        now = here.with_suffix(".now")
        while not ours.poll(SECONDS):
            if now.exists() and time.time() - now.stat().st_mtime > 2 * SECONDS:
                process.kill()
        with contextlib.suppress(EOFError):
            return ours.recv()
        process.join()
        ended = f"the process ended with {process.exitcode}, and no further input was tried"
        return Found(1, 0, {ended: (ended, now.read_bytes() if now.exists() else b"")})


def save(reader: Reader, raw: bytes, folder: Path) -> Path:
    """Keep an input that failed."""
    path = folder / f"{reader.name}-{hashlib.sha256(raw).hexdigest()[:10]}{Path(reader.file).suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path
