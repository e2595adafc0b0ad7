"""A bundle of work in compressed parts below a size, which travel one after the other."""

import itertools
import lzma
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Literal

from pydantic import BaseModel

from cpt_dynamics.config import Name
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import Inside, atomic, digest, fitting, read_json, reading, room_for, sha256, write_json
from cpt_dynamics.slots.archive import write_tar
from cpt_dynamics.training.work import CONTENTS, Contents, Member, Stated

INDEX = "index.json"
SLOT = Path(__file__).with_name("slot.py")
# Tokens are numbers of two bytes, which LZMA can make use of: a sixth less than zstd at level 9, 6 % less than at 19.
# It is part of Python, so that the other machine needs no package for it.
XZ = [{"id": lzma.FILTER_LZMA2, "preset": 4, "dict_size": 1 << 24, "lp": 1, "pb": 1}]
WHEELS = "wheels"
Archive = Literal["code", "text"]  # what changes with the kit and the configuration, and what does not
ARCHIVES: tuple[Archive, ...] = ("code", "text")


class Part(Stated):
    """A file that travels."""

    name: Inside

    def is_in(self, folder: Path) -> bool:
        return self.fits(folder / self.name)


class Index(BaseModel):
    """`index.json`: the parts of each archive, in their order, and packages, which are installed first.

    contents: archive -> digest of what it was made from.
    """

    version: Literal[2] = 2
    scale: Name
    archives: dict[Archive, list[Part]]
    contents: dict[str, str]
    wheels: list[Part]

    @property
    def parts(self) -> list[Part]:
        return [part for archive in self.archives.values() for part in archive]

    @classmethod
    def read(cls, path: Path) -> "Index":
        return fitting(cls, read_json(path), path, "it is damaged or of another version of the kit, send it again")


# --- at home -----------------------------------------------------------------------------------------------------


def write(folder: Path, limit: int, contents: Contents, files: Mapping[str, Path]) -> Index:
    """Write a bundle of work as parts of at most `limit` bytes, `index.json` and `slot.py` into a folder.

    Parts that are there already with the same content stay as they are; those of a former index are removed. The same
    content gives the same parts.
    """
    former = Index.read(folder / INDEX) if (folder / INDEX).exists() else None
    if former is None and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something else than the parts of a campaign: give another folder")
    members: dict[str, list[Member]] = {kind: [] for kind in (WHEELS, *ARCHIVES)}
    for member in contents.members:
        members[_kind(member.path)].append(member)
    wheels = [_wheel(member, files[member.path], folder, limit) for member in members[WHEELS]]
    digests, archives = {}, {}
    for kind in ARCHIVES:
        stated = contents.model_dump() if kind == "code" else None  # bundle.json is part of it
        digests[kind] = digest([[member.model_dump() for member in members[kind]], stated, limit, XZ])
        known = former.archives[kind] if former and former.contents.get(kind) == digests[kind] else []
        if not known or not all(part.is_in(folder) for part in known):
            known = list(
                _cut(kind, folder, limit, contents, {member.path: files[member.path] for member in members[kind]})
            )
        archives[kind] = known
    index = Index(scale=contents.scale, archives=archives, contents=digests, wheels=wheels)
    names = {part.name for part in [*index.parts, *index.wheels]}
    for part in [*former.parts, *former.wheels] if former else []:
        if part.name not in names:
            (folder / part.name).unlink(missing_ok=True)
    _put(SLOT.read_bytes(), SLOT.name, folder)
    write_json(folder / INDEX, index.model_dump())
    return index


def _kind(path: str) -> str:
    """The archive that a file of the bundle belongs to."""
    parts = PurePath(path).parts
    if parts[0] == WHEELS:
        return WHEELS
    small = len(parts) == 1 or parts[0] == "config" or {"campaign", "recommended"} & {*parts}
    return "code" if small else "text"


def _wheel(member: Member, file: Path, folder: Path, limit: int) -> Part:
    """A package as a file of its own: it is compressed already, and needed before parts can be put together."""
    if member.size > limit:
        raise UserError(
            f"{member.path} has {member.size:,} bytes, which is more than the limit: leave it out of the wheels"
        )
    return _put(file.read_bytes(), member.path, folder)


def _put(data: bytes, name: str, folder: Path) -> Part:
    with atomic(folder / name) as temporary:
        temporary.write_bytes(data)
    return Part(name=name, size=len(data), sha256=sha256(folder / name))


def _cut(kind: str, folder: Path, limit: int, contents: Contents, files: Mapping[str, Path]) -> Iterator[Part]:
    """Files of the bundle, archived, compressed and cut."""
    with tempfile.TemporaryFile(dir=folder) as whole:
        with lzma.open(whole, "wb", filters=XZ) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
            write_tar(tar, f"{contents.scale}-bundle", contents, files, first=kind == "code")
        whole.seek(0)
        for number in itertools.count(1):
            if not (data := whole.read(limit)):
                return
            yield _put(data, f"{contents.scale}-{kind}-{number:02d}.part", folder)


# --- there -------------------------------------------------------------------------------------------------------


def receive(folder: Path, work: Path) -> list[str]:
    """Take the parts that are in a folder into the working folder `work`; returns the names of those still missing.

    When none is, they are unpacked into `<work>/<scale>-bundle` and checked. A part that is there already is not taken
    again. Where parts are damaged, the others are taken, and `UserError` names them.
    """
    if (folder / INDEX).exists():
        write_json(work / INDEX, Index.read(folder / INDEX).model_dump())
    elif not (work / INDEX).exists():
        raise UserError(f"{folder} has no {INDEX}: send it with the first part")
    index, held = Index.read(work / INDEX), work / "parts"
    held.mkdir(exist_ok=True)
    for path in held.iterdir():
        if path.name not in {part.name for part in index.parts}:
            path.unlink()
    missing = []
    for part in index.parts:
        if part.is_in(held):
            continue
        if part.is_in(folder):
            with atomic(held / part.name) as temporary:
                shutil.copyfile(folder / part.name, temporary)
        else:
            missing.append(part.name)
    if damaged := [name for name in missing if (folder / name).exists()]:
        raise UserError(f"{', '.join(damaged)} came over damaged: send it again (missing: {', '.join(missing)})")
    if not missing:
        _unpack(index, work)
    return missing


def unpacked(work: Path) -> Path:
    """The folder of the bundle in a working folder; `UserError` where it is not complete."""
    if not (work / INDEX).exists():
        raise UserError(f"{work} has no {INDEX}: `cpt-dynamics campaign receive` puts the parts together")
    index = Index.read(work / INDEX)
    folder = work / f"{index.scale}-bundle"
    if not _is_whole(index, work):
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
    with room_for(folder):
        for parts in index.archives.values():
            _extract([work / "parts" / part.name for part in parts], work)
    if wrong := _damaged(folder):
        raise UserError(f"{wrong} is not as it was packed: pack the parts again")
    write_json(work / "unpacked.json", [part.sha256 for part in index.parts])


def _extract(parts: list[Path], work: Path) -> None:
    with tempfile.TemporaryFile(dir=work) as joined:
        for part in parts:
            joined.write(part.read_bytes())
        joined.seek(0)
        with (
            reading(work / "parts", "a set of parts that can be unpacked", "pack them again"),
            room_for(work),
            lzma.open(joined) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            tar.extractall(work, filter="data")


def _damaged(folder: Path) -> Path | None:
    """The first file that the bundle states and that is not so."""
    if not (folder / CONTENTS).exists():
        return folder / CONTENTS
    members = Contents.parse((folder / CONTENTS).read_bytes(), str(folder)).members
    unlike = (member for member in members if _kind(member.path) != WHEELS and not member.fits(folder / member.path))
    return next((folder / member.path for member in unlike), None)
