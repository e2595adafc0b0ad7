"""What the sets of public curves share: where they are from, how they are brought here, and the digest of a run."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict

from cpt_dynamics import files
from cpt_dynamics.errors import UserError, shown

VARIABLE = "CPT_DYNAMICS_PUBLIC_CURVES"  # names a folder that holds a folder for each set
SECONDS = 15  # without an answer, after which a try to download ends
LARGEST = 1 << 20  # bytes of a file; the real ones have some ten or a hundred thousand
RUN_COLUMNS = ("run", "model", "params", "schedule", "peak_lr", "steps", "checked")


class Curves(NamedTuple):
    """A set as it is read: the two tables of `curves.table`, and a row a run with what its name says.

    runs : columns of RUN_COLUMNS, and further ones that the set states; `checked` says whether the run's rows have a
        recorded sha256, which they then have
    """

    curves: pd.DataFrame
    schedules: pd.DataFrame
    runs: pd.DataFrame


class Home(BaseModel):
    """Where a set is from; `address` is that of a file, with {revision} and {file} in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    repository: str
    revision: str
    address: str
    licence: str
    copyright: str
    credit: str = ""
    note: str = ""

    def url(self, file: str) -> str:
        """Where a file of the stated revision is."""
        return self.address.replace("{revision}", self.revision).replace("{file}", file)


def source_folder(source: str | Path | None) -> Path | None:
    """The folder to copy from: the given one, or what CPT_DYNAMICS_PUBLIC_CURVES names; None means to download."""
    given = source if source is not None else os.environ.get(VARIABLE)
    return Path(given) if given else None


def origin(home: Home, file: str, name: str, folder: Path | None) -> str:
    """Where a file is read from: a path in `folder`/`name`, or an address."""
    return str(folder / name / file) if folder else home.url(file)


def gather(
    home: Home, wanted: Mapping[str, str], name: str, folder: Path | None, largest: int | None = None
) -> dict[str, bytes]:
    """The content of files; `wanted` is the name it gets here -> its name at the origin.

    folder : one that holds the folder `name`, or None to download
    largest : bytes of a file, a larger one is refused; LARGEST unless stated
    """
    limit = LARGEST if largest is None else largest
    return {
        here: _bytes(origin(home, file, name, folder), folder is not None, name, limit) for here, file in wanted.items()
    }


def write(target: str | Path, home: Home, found: Mapping[str, bytes], urls: Mapping[str, str]) -> Path:
    """Write the files and source.json, which says where they are from, to `target`; returns the path of source.json."""
    target = Path(target)
    for file, raw in found.items():
        with files.atomic(target / file) as temporary:
            temporary.write_bytes(raw)
    licensed = f"The files are under the {home.licence} licence of that repository, whose LICENSE file has its text."
    record = {
        "source": home.source,
        "repository": home.repository,
        "revision": home.revision,
        "licence": home.licence,
        "copyright": home.copyright,
        **({"credit": home.credit} if home.credit else {}),
        "note": home.note or licensed,
        "files": [
            {"path": file, "url": shown(urls[file]), "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
            for file, raw in found.items()
        ],
    }
    files.write_json(target / "source.json", record)
    return target / "source.json"


def check_digest(raw: bytes, where: str, expected: str) -> None:
    """Raise `UserError` unless `raw`, which is from `where`, has the recorded sha256."""
    found = hashlib.sha256(raw).hexdigest()
    if found != expected:
        raise UserError(f"{where} has sha256 {found}, {expected} is recorded: fetch the public curves again")


def canonical_rows(steps: Iterable[object], losses: Iterable[object]) -> bytes:
    """The form of a run's rows that is hashed: lines `step,loss`, joined by newlines."""
    return "\n".join(f"{step},{loss}" for step, loss in zip(steps, losses, strict=True)).encode()


def _bytes(place: str, local: bool, name: str, largest: int) -> bytes:
    if not local:
        return _download(place, name, largest)
    try:
        return Path(place).read_bytes()
    except OSError as error:
        raise UserError(
            f"{place} cannot be read ({error.strerror}): {VARIABLE} (or the given source) must name"
            f" a folder that holds {name}/"
        ) from None


def _download(url: str, name: str, largest: int) -> bytes:
    from cpt_dynamics.corpora.download import download  # its library is slow to import, and few who read curves need it

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        try:
            download(url, path, lambda line: None, tries=2, timeout=SECONDS, largest=largest)
        except UserError as error:
            raise UserError(f"{error}, or set {VARIABLE} to a folder that holds {name}/") from None
        return path.read_bytes()
