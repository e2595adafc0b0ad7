"""Text in files on this machine: .txt, .jsonl and .parquet, each plain or with .gz or .zst."""

import glob
import gzip
import json
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from cpt_dynamics import files
from cpt_dynamics.config import Git, Http, Local
from cpt_dynamics.corpora import parquet
from cpt_dynamics.errors import UserError

UNSET = re.compile(r"\$\{?(\w+)")  # what is left of a variable that is not set
CHUNK = 1 << 17
PIECE = 1 << 10  # of a .zst file, read at a time: it may hold 32 MiB of the same byte
LONGEST_WINDOW = 2**31  # what `zstd --long=31` writes; the library's own limit is 128 MiB
LONGEST = 2**30  # bytes of a document, which is held in memory
JSON = json.JSONDecoder(parse_int=lambda digits: int(digits[:20]))  # no number is used, and some have 5,000 digits


def read(spec: Local, record: dict[str, Any]) -> Iterator[str]:
    """Yield the documents of `spec`, those to hold out first, file by file in order of name.

    `record` receives `from` (the paths as given), `files` (path, bytes and sha256 of every file) and
    `warnings`. A missing, empty, truncated or undecodable file raises `UserError`.
    """
    record.update({"from": [*spec.validation, *spec.paths], "files": [], "warnings": []})
    held_out = find(spec.validation)
    for path in find([*spec.validation, *spec.paths]):
        if held_out:
            record["holding_out"] = path in held_out
        size = path.stat().st_size
        if size == 0:
            raise UserError(f"{path} is empty: remove it from the paths of the corpus")
        yield from texts(path, spec.text)
        record["files"].append({"path": str(path), "bytes": size, "sha256": files.sha256(path)})


def chosen(spec: Local) -> Local | Git | Http:
    """`spec`, or what it names `otherwise` where an environment variable in its paths is not set."""
    unset = any(UNSET.search(os.path.expandvars(path)) for path in [*spec.validation, *spec.paths])
    if not unset or spec.otherwise is None:
        return spec
    return spec.otherwise.model_copy(update={"licence": spec.licence, "description": spec.description})


def find(paths: list[str]) -> list[Path]:
    """The files that paths and globs name, each once; those of one glob in order of name."""
    found: dict[Path, None] = {}
    for stated in paths:
        given = os.path.expandvars(stated)
        if unset := UNSET.search(given):
            raise UserError(f"{stated}: the environment variable {unset[1]} is not set: set it, or correct the path")
        path = Path(os.path.expanduser(given))  # Path's raises where there is no such user
        if path.is_dir():
            raise UserError(f"{given} is a folder: write {given.rstrip('/')}/*.jsonl or the like")
        if path.is_file():
            found[path] = None
            continue
        if not glob.has_magic(given):
            raise UserError(f"{given} does not exist: correct the path in the corpus")
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        matches = [match for match in matches if match.is_file()]
        if not matches:
            raise UserError(f"{given} matches no file: correct the pattern in the corpus")
        found.update(dict.fromkeys(matches))
    return list(found)


def texts(path: Path, key: str) -> Iterator[str]:
    """The documents of one file; `key` is the key (.jsonl) or column (.parquet) that holds the text."""
    kind = path.with_suffix("").suffix if path.suffix in (".gz", ".zst") else path.suffix
    if kind == ".txt":
        return iter([_decode(_whole(path), str(path))])
    if kind == ".jsonl":
        return _jsonl(path, key)
    if kind == ".parquet":
        return _parquet(path, key)
    raise UserError(f"{path} is of no known kind: use .txt, .jsonl or .parquet, plain or with .gz or .zst")


def chunks(path: Path) -> Iterator[bytes]:
    """The decompressed bytes of a file. A truncated or damaged one raises `UserError`."""
    with open(path, "rb") as handle:
        try:
            if path.suffix == ".zst":
                yield from _zst(handle, path)
            elif path.suffix == ".gz":
                with gzip.open(handle) as unzipped:
                    while chunk := unzipped.read(CHUNK):
                        yield chunk
            else:
                while chunk := handle.read(CHUNK):
                    yield chunk
        except EOFError:
            raise UserError(f"{path} is truncated: fetch or compress it again") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is damaged ({error}): fetch or compress it again")


def _zst(handle: IO[bytes], path: Path) -> Iterator[bytes]:
    import zstandard  # only here: machines that train from tokens alone may lack it

    # the library's stream reader takes the end of a truncated file for the end of its data
    decompressor = zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW)
    frame = None
    while chunk := handle.read(PIECE):
        while chunk:
            frame = frame or decompressor.decompressobj()
            try:
                yield frame.decompress(chunk)
            except zstandard.ZstdError as error:
                raise _damaged(path, error) from None
            chunk = b""
            if frame.eof:
                chunk, frame = frame.unused_data, None
    if frame is not None:
        raise EOFError(path)


def _decode(raw: bytes, where: str) -> str:
    if (zero := raw.find(b"\0")) >= 0:
        raise UserError(f"{where} is binary (a zero byte at offset {zero}): text in UTF-8 is expected")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is not UTF-8 (byte offset {error.start}): convert it with iconv") from None


def _whole(path: Path) -> bytes:
    """The decompressed bytes of a file that is one document."""
    pieces: list[bytes] = []
    size = 0
    for piece in chunks(path):
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise too_long(str(path))
    return b"".join(pieces)


def too_long(where: str) -> UserError:
    """The error for a document that memory may not hold."""
    return UserError(f"{where} is longer than {LONGEST:,} bytes: cut the text into documents")


def _jsonl(path: Path, key: str) -> Iterator[str]:
    for number, raw in enumerate(_lines(path), start=1):
        where = f"{path} line {number}"
        line = _decode(raw, where)
        if not line.strip():
            continue
        with files.reading(where, "JSON", "one object a line is expected"):
            record = JSON.decode(line)
        if not isinstance(record, dict) or key not in record:
            raise UserError(f"{where} has no key {key!r}: set `text` of the corpus to the key that holds the text")
        text = record[key]
        if not isinstance(text, str):
            raise UserError(f"{where}: {key!r} is {type(text).__name__}, a string is expected")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{where}: {key!r} holds half of a surrogate pair at character {error.start}") from None
        yield text


def _lines(path: Path) -> Iterator[bytes]:
    rest: list[bytes] = []
    size, number = 0, 1
    for chunk in chunks(path):
        *whole, last = chunk.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line])
            rest, size, number = [], 0, number + 1
        rest.append(last)
        size += len(last)
        if size > LONGEST:
            raise too_long(f"{path} line {number}")
    if line := b"".join(rest):
        yield line


def _parquet(path: Path, column: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        plain = path
        if path.suffix in (".gz", ".zst"):  # parquet is read from its end
            plain = Path(folder) / "plain.parquet"
            with open(plain, "wb") as handle:
                handle.writelines(chunks(path))
        remedy = "fetch or make it again, or set `text` of the corpus to the column that holds the text"
        with parquet.opened(plain, column, name=path, remedy=remedy) as table:
            row = 0
            for batch in parquet.batches(table, [column], path, remedy):
                for text in batch.column(0).to_pylist():
                    if text is None:
                        raise UserError(f"{path} row {row}: column {column!r} is null, a string is expected")
                    yield text
                    row += 1
