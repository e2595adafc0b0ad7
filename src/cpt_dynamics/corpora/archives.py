"""Text in archives (.zip, .tar, .tar.gz, .tgz, .tar.zst) and in compressed files (.gz, .zst) of unknown origin.

Nothing in an archive decides where a file is written: one member at a time stands under a name of our own in a
temporary folder. Sizes are counted as bytes come out, whatever the headers claim.
"""

import contextlib
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, cast

from cpt_dynamics import files
from cpt_dynamics.config import Reader
from cpt_dynamics.corpora import local, readers
from cpt_dynamics.errors import UserError, one_line, printable

TARS = {".tar": "", ".tar.gz": ".gz", ".tgz": ".gz", ".tar.zst": ".zst"}  # how the tar itself is compressed
KINDS = (".txt", ".jsonl", ".parquet")
COMPRESSED = (".gz", ".zst")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks the others in pieces without a limit
CHUNK = 1 << 17
TMPDIR = "set TMPDIR to a folder on a larger disk"

T = TypeVar("T")
Member = tuple[str, Iterable[bytes]]  # name and content


class _Budget:
    """Counts what comes out of an archive, which errors call `archive`, up to `maximum` bytes."""

    def __init__(self, archive: str, maximum: float) -> None:
        self.archive, self.maximum, self.spent = archive, maximum, 0
        self.member = "the beginning"

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.spent += len(chunk)
            if self.spent > self.maximum:
                raise UserError(
                    f"{self.archive} unpacks to more than {self.maximum / 1e9:g} GB (at {self.member}):"
                    " raise `maximum_gigabytes` of the corpus if you trust it"
                )
            yield chunk


def texts(
    path: Path, kind: str, name: str, members: list[str], maximum: float, key: str, reader: Reader | None = None
) -> Iterator[str]:
    """The documents of one downloaded file, in its order.

    path : the file, whatever it is called
    kind : a file name that says by its endings what the file is
    name : what errors call the file
    members : globs of the members that are read from an archive; `**` stands for any number of folders
    maximum : bytes that may come out of the file
    key : key or column that holds the text of a document
    reader : how documents are taken out of members of any kind; None: members are files as `local` reads them

    `UserError` names the archive and the member for what is damaged, encrypted, too large, of no known kind or no
    plain file, and for a path that leads out of the archive.
    """
    budget = _Budget(name, maximum)
    tar = next((packed for ending, packed in TARS.items() if kind.lower().endswith(ending)), None)
    with tempfile.TemporaryDirectory() as folder, files.room_for(f"{name} in {folder}", TMPDIR):
        if kind.lower().endswith(".zip"):
            found = _sound(_zip(path, members, budget), budget)
        elif tar is not None:
            found = _sound(_tar(_linked(path, Path(folder) / f"archive{tar}"), members, budget), budget)
        else:
            yield from _file(_linked(path, Path(folder) / f"file{_ending(kind, name)}"), name, budget, key)
            return
        read = 0
        for member, content in found:
            where = f"{name}: {printable(member)}"
            read += 1
            if reader is not None:
                yield from readers.documents(b"".join(_sound(content, budget)), reader, where)
                continue
            target = Path(folder) / f"member{_ending(member, where)}"
            _write(target, _sound(content, budget))
            yield from _file(target, where, budget, key)
            target.unlink()
        if not read:
            raise UserError(f"{name} has no member that matches {members}: correct `members` of the corpus")


def _linked(path: Path, link: Path) -> Path:
    """The file under a name with an ending, by which readers go."""
    link.symlink_to(path)
    return link


def _ending(name: str, where: str) -> str:
    """Such as `.jsonl.gz`."""
    *_, first, last = ["", "", *PurePosixPath(name.lower()).suffixes]
    kind, packed = (first, last) if last in COMPRESSED else (last, "")
    if kind not in KINDS:
        raise UserError(f"{where} is of no known kind: use .txt, .jsonl or .parquet, plain or with .gz or .zst")
    return kind + packed


def _file(path: Path, where: str, budget: _Budget, key: str) -> Iterator[str]:
    """The documents of one file, which errors call `where`."""
    plain = path.with_suffix("") if path.suffix in COMPRESSED else path
    if plain != path:
        _write(plain, budget.counted(_chunks(path, where)))
    with _named(plain, where):
        yield from local.texts(plain, key)
    if plain != path:
        plain.unlink()


def _write(path: Path, content: Iterable[bytes]) -> None:
    with open(path, "wb") as handle:
        handle.writelines(content)


def _chunks(path: Path, where: str) -> Iterator[bytes]:
    with _named(path, where):
        yield from local.chunks(path)


@contextlib.contextmanager
def _named(path: Path, where: str) -> Iterator[None]:
    """Errors call the file `where` instead of its temporary path."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(path), where)) from None


def _tar(path: Path, patterns: list[str], budget: _Budget) -> Iterator[Member]:
    stream = _Stream(budget.counted(_chunks(path, budget.archive)))
    with tarfile.open(fileobj=cast(Any, stream), mode="r|", bufsize=CHUNK) as archive:
        for member in archive:
            cast(Any, archive).members = []  # it would keep millions
            if _is_wanted(member.name, patterns, budget) and not member.isdir():
                if not member.isreg() or member.issparse():
                    raise _refusal(budget, "is no plain file but a link, a device or the like")
                content = cast(Any, archive.extractfile(member))
                yield member.name, iter(partial(content.read, CHUNK), b"")


class _Stream:
    """A file to read once, from pieces."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.rest = chunks, b""

    def read(self, size: int) -> bytes:
        while len(self.rest) < size and (chunk := next(self.chunks, None)) is not None:
            self.rest += chunk
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


def _zip(path: Path, patterns: list[str], budget: _Budget) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if _is_wanted(member.filename, patterns, budget) and not member.is_dir():
                if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                    raise _refusal(budget, "is no plain file but a link, a device or the like")
                if member.flag_bits & 1:
                    raise _refusal(budget, "is encrypted")
                if member.compress_type not in PACKED:
                    raise _refusal(budget, "is compressed in another way than deflate")
                with archive.open(member) as content:
                    yield member.filename, budget.counted(iter(partial(content.read, CHUNK), b""))


def _is_wanted(member: str, patterns: list[str], budget: _Budget) -> bool:
    """Whether a member is to be read; a path that leads out of the archive raises `UserError`."""
    budget.member = f"member {printable(repr(member))}"
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise _refusal(budget, "leads out of the archive")
    return any(matches(path.parts, PurePosixPath(pattern).parts) for pattern in patterns)


def matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether the parts of a path match those of a glob; `**` stands for any number of folders."""
    places = _beyond({0}, pattern)  # of the pattern, which what was read so far may have come to
    for part in parts:
        here = [place for place in places if place < len(pattern)]
        stay = {place for place in here if pattern[place] == "**"}
        places = _beyond(stay | {place + 1 for place in here if fnmatchcase(part, pattern[place])}, pattern)
    return len(pattern) in places


def _beyond(places: set[int], pattern: tuple[str, ...]) -> set[int]:
    """These places and those after a `**`, which may stand for no folder."""
    for place, part in enumerate(pattern):
        if part == "**" and place in places:
            places.add(place + 1)
    return places


def _refusal(budget: _Budget, why: str) -> UserError:
    return UserError(f"{budget.archive}: {budget.member} {why}: pack the archive anew, or leave it out by `members`")


def _sound(read: Iterable[T], budget: _Budget) -> Iterator[T]:
    """What a library reads of an archive; whatever it says against it becomes `UserError`."""
    try:
        yield from read
    except UserError:
        raise
    except Exception as error:
        line = one_line(error, 300)
        raise UserError(f"{budget.archive} is damaged at {budget.member} ({line}): fetch or pack it again") from error
