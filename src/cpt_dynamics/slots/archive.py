"""Tar files of one folder, whose first file is `bundle.json`; the same content gives the same file."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from cpt_dynamics.training.work import CONTENTS, Contents

DATE = 315619200  # of every member, 2 January 1980: the zip files that wheels are begin in that year


def write_tar(
    tar: tarfile.TarFile, folder: str, contents: Contents, files: Mapping[str, Path], first: bool = True
) -> None:
    """Add `bundle.json`, unless it is not wanted `first`, and those members that are in `files` to a tar file."""
    text = contents.text()
    if first:
        _add(tar, f"{folder}/{CONTENTS}", len(text), io.BytesIO(text))
    for member in contents.members:
        if member.path in files:
            with files[member.path].open("rb") as file:
                _add(tar, f"{folder}/{member.path}", member.size, file)


def _add(tar: tarfile.TarFile, name: str, size: int, file: BinaryIO) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, DATE
    tar.addfile(member, file)
