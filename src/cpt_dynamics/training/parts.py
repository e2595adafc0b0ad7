"""A bundle of work in compressed parts below a size, which travel one after the other."""

import hashlib
import itertools
import lzma
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import IO, Literal

from pydantic import BaseModel, ValidationError

from cpt_dynamics.errors import UserError
from cpt_dynamics.files import atomic, digest, is_full_disk, read_json, sha256, write_json
from cpt_dynamics.training.work import CONTENTS, Contents

INDEX = "index.json"
SLOT = Path(__file__).with_name("slot.py")
# Tokens are numbers of two bytes, which LZMA can make use of: a sixth less than zstd at level 9, 6 % less than at 19.
# It is part of Python, so that the other machine needs no package for it.
XZ = [{"id": lzma.FILTER_LZMA2, "preset": 4, "dict_size": 1 << 24, "lp": 1, "pb": 1}]
WHEELS = "wheels"
ARCHIVES = ("code", "text")  # what changes with the kit and the configuration, and what does not


class Part(BaseModel):
    """A file that travels."""

    name: str
    size: int
    sha256: str


class Index(BaseModel):
    """`index.json`: the parts of each archive, in their order, and packages, which are installed first.

    contents: archive -> digest of what it was made from.
    """

    version: Literal[2] = 2
    scale: str
    archives: dict[str, list[Part]]
    contents: dict[str, str]
    wheels: list[Part]

    @property
    def parts(self) -> list[Part]:
        return [part for archive in self.archives.values() for part in archive]

    @classmethod
    def read(cls, path: Path) -> "Index":
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise UserError(f"{path} is damaged or of another version of the kit ({reason}): send it again") from None


# --- at home -----------------------------------------------------------------------------------------------------


def write(bundle: Path, folder: Path, scale: str, limit: int) -> Index:
    """Write a bundle of work as parts of at most `limit` bytes, `index.json` and `slot.py` into a folder.

    Parts that are there already with the same content stay as they are; those of a former index are removed. The same
    content gives the same parts.
    """
    former = Index.read(folder / INDEX) if (folder / INDEX).exists() else None
    if former is None and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something else than the parts of a campaign: give another folder")
    with tarfile.open(bundle, "r:") as tar:
        wheels = [_loose(tar, member, folder, limit) for member in tar if _kind(member) == WHEELS]
    contents = {kind: _content(bundle, kind, limit) for kind in ARCHIVES}
    archives = {}
    for kind, content in contents.items():
        if former and former.contents.get(kind) == content and all(_is(part, folder) for part in former.archives[kind]):
            archives[kind] = former.archives[kind]
        else:
            archives[kind] = list(_cut(bundle, kind, folder, f"{scale}-{kind}", limit))
    index = Index(scale=scale, archives=archives, contents=contents, wheels=wheels)
    for part in [*former.parts, *former.wheels] if former else []:
        if part.name not in {one.name for one in [*index.parts, *index.wheels]}:
            (folder / part.name).unlink(missing_ok=True)
    _put(SLOT.read_bytes(), SLOT.name, folder)
    write_json(folder / INDEX, index.model_dump())
    return index


def _kind(member: tarfile.TarInfo) -> str:
    """The archive that a file of the bundle belongs to."""
    inside = PurePath(member.name.partition("/")[2])
    if inside.parts[0] == WHEELS:
        return WHEELS
    small = len(inside.parts) == 1 or inside.parts[0] == "config" or {"campaign", "recommended"} & {*inside.parts}
    return "code" if small else "text"


def _loose(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, limit: int) -> Part:
    """A package as a file of its own: it is compressed already, and needed before parts can be put together."""
    name = f"{WHEELS}/{Path(member.name).name}"
    if member.size > limit:
        raise UserError(f"{name} has {member.size:,} bytes, which is more than the limit: leave it out of the wheels")
    return _put(_open(tar, member).read(), name, folder)


def _put(data: bytes, name: str, folder: Path) -> Part:
    path = folder / name
    with atomic(path) as temporary:
        temporary.write_bytes(data)
    return Part(name=name, size=len(data), sha256=sha256(path))


def _content(bundle: Path, kind: str, limit: int) -> str:
    """Digest of all that decides the parts of an archive."""
    with tarfile.open(bundle, "r:") as tar:
        members = {
            member.name: hashlib.file_digest(_open(tar, member), "sha256").hexdigest()  # type: ignore[arg-type]
            for member in tar
            if _kind(member) == kind
        }
    return digest([members, limit, XZ])


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(member)
    assert source is not None  # a bundle holds files alone
    return source


def _cut(bundle: Path, kind: str, folder: Path, stem: str, limit: int) -> Iterator[Part]:
    """The members of one kind, archived, compressed and cut."""
    with tempfile.TemporaryFile(dir=folder) as whole:
        with (
            lzma.open(whole, "wb", filters=XZ) as packed,
            tarfile.open(bundle, "r:") as tar,
            tarfile.open(fileobj=packed, mode="w|") as chosen,
        ):
            for member in tar:
                if _kind(member) == kind:
                    chosen.addfile(member, tar.extractfile(member))
        whole.seek(0)
        for number in itertools.count(1):
            if not (data := whole.read(limit)):
                return
            yield _put(data, f"{stem}-{number:02d}.part", folder)


# --- there -------------------------------------------------------------------------------------------------------


def receive(folder: Path, work: Path) -> list[str]:
    """Take the parts that are in a folder into the working folder `work`; returns the names of those still missing.

    When none is, they are unpacked into `<work>/<scale>-bundle` and checked. A part that is there already is not taken
    again. Where parts are damaged, the others are taken, and `UserError` names them.
    """
    if (folder / INDEX).exists():
        index = Index.read(folder / INDEX)
        write_json(work / INDEX, index.model_dump())
    elif not (work / INDEX).exists():
        raise UserError(f"{folder} has no {INDEX}: send it with the first part")
    index = Index.read(work / INDEX)
    held = work / "parts"
    held.mkdir(exist_ok=True)
    for path in held.iterdir():
        if path.name not in {part.name for part in index.parts}:
            path.unlink()
    damaged, missing = [], []
    for part in index.parts:
        if _is(part, held):
            continue
        if _is(part, folder):
            with atomic(held / part.name) as temporary:
                shutil.copyfile(folder / part.name, temporary)
            continue
        missing.append(part.name)
        if (folder / part.name).exists():
            damaged.append(part.name)
    if damaged:
        raise UserError(f"{', '.join(damaged)} came over damaged: send it again (missing: {', '.join(missing)})")
    if not missing:
        _unpack(index, work)
    return missing


def _is(part: Part, folder: Path) -> bool:
    path = folder / part.name
    return path.is_file() and path.stat().st_size == part.size and sha256(path) == part.sha256


def unpacked(work: Path) -> Path:
    """The folder of the bundle in a working folder; `UserError` where it is not complete."""
    if not (work / INDEX).exists():
        raise UserError(f"{work} has no {INDEX}: `cpt-dynamics campaign receive` puts the parts together")
    folder = work / f"{Index.read(work / INDEX).scale}-bundle"
    if not _is_whole(Index.read(work / INDEX), work):
        raise UserError(f"{folder} is not unpacked: give `cpt-dynamics campaign receive` the parts that are missing")
    return folder


def _is_whole(index: Index, work: Path) -> bool:
    marker = work / "unpacked.json"
    return marker.exists() and read_json(marker) == [part.sha256 for part in index.parts]


def _unpack(index: Index, work: Path) -> None:
    """Unpack the archives; losses, checkpoints and compiled code of earlier work stay where they are."""
    folder = work / f"{index.scale}-bundle"
    if _is_whole(index, work) and not _damaged(folder):
        return
    try:
        for parts in index.archives.values():
            with tempfile.TemporaryFile(dir=work) as joined:
                for part in parts:
                    joined.write((work / "parts" / part.name).read_bytes())
                joined.seek(0)
                with lzma.open(joined) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
                    tar.extractall(work, filter="data")
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise UserError(f"the parts in {work} cannot be unpacked ({error}): pack them again") from None
    except OSError as error:
        if is_full_disk(error):
            raise UserError(f"no space left for {folder}: free some disk space and run again") from error
        raise
    if wrong := _damaged(folder):
        raise UserError(f"{wrong} is not as it was packed: pack the parts again")
    write_json(work / "unpacked.json", [part.sha256 for part in index.parts])


def _damaged(folder: Path) -> Path | None:
    """The first file that the bundle states and that is not so."""
    if not (folder / CONTENTS).exists():
        return folder / CONTENTS
    contents = Contents.parse((folder / CONTENTS).read_bytes(), str(folder))
    for member in contents.members:
        path = folder / member.path
        if Path(member.path).parts[0] == WHEELS:
            continue
        if not path.is_file() or path.stat().st_size != member.size or sha256(path) != member.sha256:
            return path
    return None
