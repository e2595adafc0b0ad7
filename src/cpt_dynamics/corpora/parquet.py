"""Parquet files of documents, read and written a piece at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cpt_dynamics import files
from cpt_dynamics.errors import UserError

# The field says of the kit's own files what `id` is, for those who would hash the texts again.
HASHED = {b"id": b"first 64 bits of the sha256 of the text"}
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())], metadata=HASHED)
REMEDY = "build the corpus again"
ROWS = 256  # read at a time
GROUP = 1 << 24  # bytes of text in a row group


def opened(path: Path, *columns: str, name: object = None, remedy: str = REMEDY) -> pq.ParquetFile:
    """A parquet file for reading; `UserError` where it is none, or has not each of the columns once, of strings.

    name : what errors call the file (default: its path)
    """
    name = name or path
    if not path.exists():
        raise UserError(f"{name} does not exist: build the corpus first")
    with files.reading(name, "a readable parquet file", remedy):
        table = pq.ParquetFile(path)
        names = table.schema_arrow.names
    for column in columns:
        if names.count(column) != 1:
            number = "two columns" if column in names else "no column"
            raise UserError(f"{name} has {number} {column!r}, it has {names}: {remedy}")
        kind = table.schema_arrow.field(column).type
        if kind not in (pa.string(), pa.large_string()) and table.metadata.num_rows:
            raise UserError(f"{name}: column {column!r} is {kind}, a string is expected: {remedy}")
    return table


def batches(table: pq.ParquetFile, columns: list[str], name: object, remedy: str = REMEDY) -> Iterator[pa.RecordBatch]:
    """Batches of rows of a parquet file, in order; what is damaged, or is no text in UTF-8, raises `UserError`.

    The library keeps what it has read until its reader ends, so each row group gets a reader of its own.
    """
    with files.reading(name, "a readable parquet file", remedy):
        for group in range(table.num_row_groups):
            for batch in table.iter_batches(ROWS, row_groups=[group], columns=columns):
                batch.validate(full=True)
                yield batch


def texts(path: str | Path) -> Iterator[str]:
    """The texts of a parquet file of documents, in order."""
    for batch in batches(opened(Path(path), "text"), ["text"], path):
        yield from batch.column(0).to_pylist()


def intact(path: Path, stated: str | None) -> Path:
    """The file, whose sha256 must be the one that is stated; None: it was written before any was stated."""
    if stated not in (None, files.sha256(path)):
        raise UserError(f"{path} was changed since it was written: delete it and build it again")
    return path


def write(path: Path, documents: Iterable[tuple[str, str]]) -> None:
    """Write documents (id, text), of which `id` is the beginning of the sha256."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        group: list[tuple[str, str]] = []
        size = 0
        for document in documents:
            group.append(document)
            size += len(document[1])
            if size >= GROUP:
                writer.write_table(_table(group))
                group, size = [], 0
        if group:
            writer.write_table(_table(group))


def _table(documents: list[tuple[str, str]]) -> pa.Table:
    return pa.table([list(column) for column in zip(*documents, strict=True)], schema=SCHEMA)
