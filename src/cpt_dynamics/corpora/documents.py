"""Documents of a corpus: `data/corpora/<name>/{documents.parquet,source.json}` and their split."""

import hashlib
import logging
import math
import struct
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

import numpy as np
from pyarrow import compute
from pydantic import BaseModel

from cpt_dynamics import files
from cpt_dynamics.config import Corpus, Git, Http, HuggingFace, Installed, Local, Rule, Split
from cpt_dynamics.corpora import git, http, installed, local, parquet
from cpt_dynamics.corpora.parquet import HASHED, SCHEMA
from cpt_dynamics.errors import UserError, printable

log = logging.getLogger(__name__)

HEAD = struct.Struct("<qq")  # place and size of a text in a temporary file
PART = 1 << 26  # bytes of text held in memory while a split is written ...
RECENT = 1 << 16  # hashes held in a set before they are sorted into an array
PARTS = 256  # ... unless that would open more files than this at once


def write(name: str, spec: Corpus, folder: str | Path) -> dict[str, Any]:
    """Build `documents.parquet` and `source.json` of the corpus `name` in `folder`; returns the latter.

    Columns are `id` (first 16 hexadecimal digits of the sha256 of the text) and `text` (as it was found, but
    with LF for CRLF). Empty texts and exact duplicates are dropped. The order is that of the source.
    For a `rule` source nothing is built, the pair is checked. What is wrong with the source raises
    `UserError`; another version or another digest than the recorded one is a warning, in the log and in
    `source.json`.
    """
    folder = Path(folder)
    if isinstance(spec, Rule):
        return check(folder)
    spec = local.chosen(spec) if isinstance(spec, Local) else spec
    record: dict[str, Any] = {}
    found = _read(spec, record)
    counts = {"documents": 0, "bytes": 0, "duplicates": 0, "empty": 0}
    if isinstance(spec, (Local, Git)) and spec.validation:
        counts["held_out"] = 0
    digest = hashlib.sha256()

    def distinct() -> Iterator[tuple[str, str]]:
        seen = Seen()
        for text in found:
            text = text.replace("\r\n", "\n")
            if not text.strip():
                counts["empty"] += 1
                continue
            raw = text.encode()
            key = hashlib.sha256(raw)
            if not seen.add(int.from_bytes(key.digest()[:8])):
                counts["duplicates"] += 1
                continue
            digest.update(key.digest())
            counts["documents"] += 1
            counts["bytes"] += len(raw)
            if "holding_out" in record:
                counts["held_out"] += record["holding_out"]
            yield key.hexdigest()[:16], text

    with files.atomic(folder / "documents.parquet") as temporary:
        parquet.write(temporary, distinct())
        if not counts["documents"]:
            raise UserError(f"corpus {name}: no document was found in its source")
    expected = spec.sha256 if isinstance(spec, Installed) else None
    warnings = record["warnings"]
    if expected not in (None, digest.hexdigest()):
        warnings.append(
            f"the digest of all documents is {digest.hexdigest()}, {expected} is recorded: "
            "results will differ from published ones"
        )
    for warning in warnings:
        log.warning("corpus %s: %s", name, printable(warning))
    source = {
        "corpus": name,
        "source": spec.source,
        **_how(spec),
        "description": spec.description,
        "licence": spec.licence or record.pop("licence", "not stated"),
        **{key: value for key, value in record.items() if key not in ("warnings", "files", "holding_out")},
        **counts,
        "sha256": digest.hexdigest(),
        "parquet_sha256": files.sha256(folder / "documents.parquet"),
        "expected_sha256": expected,
        "matches": None if expected is None else expected == digest.hexdigest(),
        "warnings": warnings,
        "files": record["files"],
    }
    files.write_json(folder / "source.json", source)
    return source


def _how(spec: Installed | Local | HuggingFace | Http | Git) -> dict[str, Any]:
    """How documents are taken out of a source, for source.json."""
    match spec:
        case Installed():
            return {"kind": spec.kind}
        case Git():
            return {"reader": spec.reader.model_dump(), "paths": spec.paths}
        case _:
            return {"text": spec.text}


class Source(BaseModel):
    """What a split reads of source.json; that of a rule need not state it."""

    held_out: int | None = None
    parquet_sha256: str | None = None  # of documents.parquet; `sha256` is that of the texts, in whatever format of file


class Counts(BaseModel):
    """What is read of split.json, which states no digest where an earlier version wrote it."""

    sha256: str | None = None


class Seen:
    """The hashes (64 bits) of all documents so far, in 8 to 16 bytes each where a set of Python's takes about 70."""

    def __init__(self) -> None:
        self.recent: set[int] = set()
        self.sorted: list[np.ndarray] = []  # each at least twice as long as the next

    def add(self, number: int) -> bool:
        """Whether a hash is new; it is remembered."""
        if number in self.recent or any(_holds(array, number) for array in self.sorted):
            return False
        self.recent.add(number)
        if len(self.recent) >= RECENT:
            self.sorted.append(np.sort(np.fromiter(self.recent, np.uint64, len(self.recent))))
            self.recent = set()
            while len(self.sorted) > 1 and len(self.sorted[-2]) < 2 * len(self.sorted[-1]):
                self.sorted[-2:] = [np.sort(np.concatenate(self.sorted[-2:]), kind="stable")]
        return True


def _holds(array: np.ndarray, number: int) -> bool:
    place = int(np.searchsorted(array, np.uint64(number)))
    return place < len(array) and int(array[place]) == number


def _read(spec: Installed | Local | HuggingFace | Http | Git, record: dict[str, Any]) -> Iterator[str]:
    """The texts of a source, in its order.

    `record` receives `from`, `files` and `warnings`, and what else the source knows of itself, such as `licence` or
    `revision`, for source.json. It is complete once the last text is read. `holding_out` says whether the text just
    read is one to hold out, where the source knows that; such texts come first.
    """
    match spec:
        case Installed():
            return installed.read(spec, record)
        case Local():
            return local.read(spec, record)
        case HuggingFace():
            from cpt_dynamics.corpora import huggingface  # its library takes seconds to import

            return huggingface.read(spec, record)
        case Http():
            return http.read(spec, record)
        case Git():
            return git.read(spec, record)


def check(folder: str | Path) -> dict[str, Any]:
    """Check a pair that a rule of the user's own made; returns `source.json`. A fault raises `UserError`."""
    folder = Path(folder)
    path = folder / "documents.parquet"
    table = parquet.opened(path, *SCHEMA.names)
    if table.metadata.num_rows == 0:
        raise UserError(f"{path} has no document")
    for batch in parquet.batches(table, SCHEMA.names, path):
        for column in SCHEMA.names:
            if batch.column(column).null_count:
                raise UserError(f"{path}: column {column!r} has nulls, a string in every row is expected")
    source = files.read_json(folder / "source.json")
    if not isinstance(source, dict):
        raise UserError(f"{folder / 'source.json'}: a mapping is expected")
    for key in ("from", "licence"):
        if key not in source:
            raise UserError(f"{folder / 'source.json'}: key {key!r} is missing: state it, the report shows it")
    return source


def part(folder: Path, name: str) -> Path:
    """The documents of a split for `train` or `validation`, whose bytes must be those that split.json states."""
    stated = folder / "split.json"
    counts = files.fitting(dict[str, Any], files.read_json(stated), stated)
    path = folder / f"{name}.parquet"
    parquet.opened(path, "text")
    return parquet.intact(path, files.fitting(Counts, counts.get(name, {}), stated).sha256)


class Division(NamedTuple):
    """Numbers of documents (rows of the corpus) by what becomes of them."""

    train: np.ndarray
    validation: np.ndarray
    duplicates: int
    elsewhere: int
    beyond: int


def divide(
    hashes: np.ndarray,
    sizes: np.ndarray,
    earlier: np.ndarray,
    split: Split,
    validation_only: bool = False,
    first: int | None = None,
) -> Division:
    """Which documents are for training and which for validation: a function of the texts, not of their order.

    Parameters
    ----------
    hashes : uint64 array, first 64 bits of the sha256 of each text
    sizes : integer array, bytes of each text
    earlier : uint64 array, hashes of the texts of earlier corpora, which are left out
    split : its share of validation and the size beyond which documents are left out
    validation_only : everything is held out
    first : number of texts, from the first, that are held out, instead of a share; of duplicates the first is kept

    Returns
    -------
    Division
        Row numbers in order of hash, and how many rows are duplicates, in an earlier corpus, beyond the size.
    """
    distinct, rows = np.unique(hashes, return_index=True)
    duplicates = len(hashes) - len(rows)
    own = ~np.isin(distinct, earlier)
    distinct, rows = distinct[own], rows[own]
    elsewhere = int((~own).sum())
    within = np.cumsum(sizes[rows], dtype=np.int64) <= split.maximum_megabytes * 1e6
    beyond = int((~within).sum())
    distinct, rows = distinct[within], rows[within]
    # order is by the upper bits, so the lower ones are free to tell training from validation
    lower = distinct & np.uint64(0xFFFFFFFF)
    held_out = lower < np.uint64(round(split.validation_share * 2**32))
    if first is not None:
        held_out = rows < first
    if validation_only:
        held_out[:] = True
    return Division(rows[~held_out], rows[held_out], duplicates, elsewhere, beyond)


def split(
    name: str,
    folder: str | Path,
    earlier: list[str | Path],
    split: Split,
    out: str | Path,
    validation_only: bool = False,
) -> dict[str, Any]:
    """Split the corpus in `folder` into `train.parquet`, `validation.parquet` and `split.json` in `out`.

    Documents are in order of their hash, so any stretch of a file is a random sample of the corpus. Where source.json
    has `held_out`, so many documents, from the first, are those for validation. Texts of the corpora in the folders
    `earlier` are left out, so that no text is in two corpora. With `validation_only` every document is for validation
    and `train.parquet` is empty. A corpus without a document for either raises `UserError`, and so does a file of
    documents that is not as it was written.
    """
    out, folder = Path(out), Path(folder)
    hashes, sizes = _hashes(folder)
    others = [_hashes(Path(other))[0] for other in earlier]
    elsewhere = np.concatenate(others) if others else hashes[:0]
    division = divide(hashes, sizes, elsewhere, split, validation_only, _stated(folder).held_out)
    if not len(division.validation) or not (len(division.train) or validation_only):
        part = "training" if len(division.validation) else "validation"
        raise UserError(
            f"corpus {name} is too small for its split: no document is left for {part} of {len(hashes)} "
            f"({division.duplicates} duplicates, {division.elsewhere} in an earlier corpus, "
            f"{division.beyond} beyond split.maximum_megabytes): add documents (.txt is one) or change split"
        )
    counts: dict[str, Any] = {
        "corpus": name,
        "validation_only": validation_only,
        "documents": len(hashes),
        "bytes": int(sizes.sum()),
        "dropped": {
            "duplicates": division.duplicates,
            "in_earlier_corpora": division.elsewhere,
            "beyond_maximum_size": division.beyond,
        },
    }
    for part, rows in (("train", division.train), ("validation", division.validation)):
        with files.atomic(out / f"{part}.parquet") as temporary:
            parquet.write(temporary, _select(folder / "documents.parquet", rows, hashes, sizes, temporary.parent))
        counts[part] = {
            "documents": len(rows),
            "bytes": int(sizes[rows].sum()),
            "sha256": files.sha256(out / f"{part}.parquet"),
        }
    files.write_json(out / "split.json", counts)
    return counts


def _id(text: str) -> str:
    """The first 64 bits of the sha256 of a text, as 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stated(folder: Path) -> Source:
    path = folder / "source.json"
    return files.fitting(Source, files.read_json(path), path)


def _hashes(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """First 64 bits of the sha256, and bytes, of every text of a corpus.

    Where the kit has written documents.parquet they are its column `id`, and source.json states its digest, which is
    compared. That of a rule may have anything as `id`, and need not state a digest.
    """
    hashes, sizes = array("Q"), array("q")
    path = folder / "documents.parquet"
    table = parquet.opened(path, "text")
    parquet.intact(path, _stated(folder).parquet_sha256)
    hashed = HASHED.items() <= (table.schema_arrow.metadata or {}).items()
    for batch in parquet.batches(table, ["text", *(["id"] if hashed else [])], path):
        texts = batch.column("text")
        sizes.extend(compute.binary_length(texts).to_pylist())
        ids = batch.column("id").to_pylist() if hashed else list(map(_id, texts.to_pylist()))
        with files.reading(path, "a file of documents", "build the corpus again"):
            hashes.extend(int(key, 16) for key in ids)
    return np.array(hashes, np.uint64), np.array(sizes, np.int64)


def _select(
    path: Path, rows: np.ndarray, hashes: np.ndarray, sizes: np.ndarray, folder: Path
) -> Iterator[tuple[str, str]]:
    """Rows of a parquet file in the order given: (id, text).

    The texts are first distributed over files in `folder`, each with a stretch of that order and small enough to be
    sorted in memory: so the corpus is read once whatever its size.
    """
    before = np.cumsum(sizes[rows]) - sizes[rows]
    size = max(PART, math.ceil(int(sizes[rows].sum()) / PARTS))
    # A document may be longer than a part, so parts are numbered anew.
    part_of = np.unique(before // size, return_inverse=True)[1]
    place = np.full(len(sizes), -1)
    place[rows] = np.arange(len(rows))
    with ExitStack() as stack:
        parts = [stack.enter_context(TemporaryFile(dir=folder)) for _ in range(part_of.max(initial=-1) + 1)]
        for at, text in zip(place, parquet.texts(path), strict=True):
            if at >= 0:
                raw = text.encode()
                parts[part_of[at]].write(HEAD.pack(at, len(raw)) + raw)
        for part in parts:
            part.seek(0)
            for at, raw in sorted(_held(part)):
                yield f"{hashes[rows[at]]:016x}", raw.decode()
            part.close()


def _held(part: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """(place in the order, text) of what was distributed to a file."""
    while head := part.read(HEAD.size):
        at, size = HEAD.unpack(head)
        yield at, part.read(size)
