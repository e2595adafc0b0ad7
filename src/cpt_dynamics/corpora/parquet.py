"""Parquet files of documents, read and written a piece at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cpt_dynamics.errors import UserError, one_line

# The field says of the kit's own files what `id` is, for those who would hash the texts again.
HASHED = {b"id": b"first 64 bits of the sha256 of the text"}
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())], metadata=HASHED)
ROWS = 256  # read at a time
GROUP = 1 << 24  # bytes of text in a row group


def opened(path: Path, *columns: str) -> pq.ParquetFile:
    """A parquet file for reading; `UserError` where it is none or lacks one of the columns."""
    try:
        table = pq.ParquetFile(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: build the corpus first") from None
    except (pa.ArrowInvalid, OSError) as error:
        line = one_line(error)
        raise UserError(f"{path} is not a readable parquet file ({line}): delete it and build it again") from None
    for column in columns:
        if column not in table.schema_arrow.names:
            raise UserError(
                f"{path} has no column {column!r}, it has {table.schema_arrow.names}: build the corpus again"
            )
    return table


def batches(table: pq.ParquetFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Batches of rows of a parquet file, in order.

    The library keeps what it has read until its reader ends, so each row group gets a reader of its own.
    """
    for group in range(table.num_row_groups):
        yield from table.iter_batches(ROWS, row_groups=[group], columns=columns)


def texts(path: str | Path) -> Iterator[str]:
    """The texts of a parquet file of documents, in order."""
    for batch in batches(opened(Path(path), "text"), ["text"]):
        yield from batch.column(0).to_pylist()


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
