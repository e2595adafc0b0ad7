"""Token files: a flat little-endian array (`*.bin`) with an index (`*.json`), read through a memory map."""

import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cpt_dynamics import files
from cpt_dynamics.corpora import index as indices
from cpt_dynamics.corpora import parquet
from cpt_dynamics.corpora import tokenizer as tokenizers_
from cpt_dynamics.errors import UserError

BATCH = 512  # documents encoded at a time ...
BATCH_BYTES = 1 << 22  # ... or fewer, where they are long
CHUNK = 1 << 22  # tokens compared with the index at a time


@dataclass(frozen=True)
class Tokens:
    """A token file: `ids` (one memory-mapped dimension) and its `index`."""

    ids: np.ndarray
    index: indices.Index

    @classmethod
    def in_memory(cls, ids: np.ndarray, vocabulary: int = 2**16) -> "Tokens":
        """Tokens that lie in no file, to try something with."""
        index = indices.Index(
            version=1,
            dtype="<u4",
            count=len(ids),
            documents=0,
            bytes=0,
            token_bytes=0,
            vocabulary=vocabulary,
            separator=0,
            sha256="",
            tokenizer_sha256="",
        )
        return cls(ids, index)

    def sequences(self, length: int) -> int:
        """Number of sequences; j covers ids[j * length : (j + 1) * length + 1], the last as target only."""
        return max(0, (len(self.ids) - 1) // length)

    def spread(self, count: int, length: int) -> np.ndarray:
        """Numbers of `count` sequences (or of all there are) evenly spaced over the file, int64 [count].

        A fixed sample for validation: where documents are long, the first sequences are of few documents.
        """
        there = self.sequences(length)
        count = min(count, there)
        return np.arange(count) * there // max(count, 1)


def write(
    documents_file: str | Path, tokenizer: str | Path, out: str | Path, left_out: Container[int] = ()
) -> indices.Index:
    """Encode a parquet file of documents as `out` (`*.bin`) and the index beside it (`*.json`), which is returned.

    Every document is preceded by the separator of the tokenizer; rows that are `left_out` are not encoded.
    The library encodes the documents of a batch with as many threads as RAYON_NUM_THREADS says, and gives them back
    in order: the file is the same for any number.
    """
    out = Path(out)
    encoder = tokenizers_.load(tokenizer)
    end = tokenizers_.separator(encoder, tokenizer)
    lengths = token_bytes(tokenizer)
    vocabulary = len(lengths)
    dtype: Literal["<u2", "<u4"] = "<u2" if vocabulary <= 2**16 else "<u4"
    count = number = size = covered = 0
    digest = hashlib.sha256()
    with files.atomic(out) as temporary, temporary.open("wb") as handle:
        kept = (text for row, text in enumerate(parquet.texts(documents_file)) if row not in left_out)
        for texts in _batches(kept):
            parts: list[int] = []
            for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False):
                parts.append(end)
                parts.extend(encoding.ids)
            ids = np.array(parts, dtype)
            raw = ids.tobytes()
            handle.write(raw)
            digest.update(raw)
            count += len(ids)
            number += len(texts)
            size += sum(len(text.encode()) for text in texts)
            covered += int(lengths[ids].sum())
    index = indices.Index(
        version=1,
        dtype=dtype,
        count=count,
        documents=number,
        bytes=size,
        token_bytes=covered,
        vocabulary=vocabulary,
        separator=end,
        sha256=digest.hexdigest(),
        tokenizer_sha256=files.sha256(tokenizer),
    )
    files.write_json(out.with_suffix(".json"), files.sealed(index.model_dump()))
    return index


def open(path: str | Path, tokenizer: str | Path | None = None, check: bool = True) -> Tokens:
    """Open a token file. One that is not what its index says raises `UserError`, or is of another `tokenizer`.

    check: compare all of it with its index, which takes about a second a gigabyte, once a process.
    """
    path = Path(path)
    index = indices.read(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist: make it again")
    size, expected = path.stat().st_size, index.count * np.dtype(index.dtype).itemsize
    if size != expected:
        raise UserError(f"{path} has {size} bytes, its index says {expected}: delete both, make them again")
    if tokenizer is not None and files.sha256_once(tokenizer) != index.tokenizer_sha256:
        raise UserError(f"{path} was made with another tokenizer than {tokenizer}: delete it and make it again")
    # an empty file cannot be mapped
    ids = np.memmap(path, index.dtype, mode="r", shape=(index.count,)) if index.count else np.empty(0, index.dtype)
    if check:
        _compare(str(path), path.stat().st_mtime_ns, index.model_dump_json())
    return Tokens(ids, index)


@cache
def _compare(path: str, modified: int, stated: str) -> None:
    """Raise `UserError` unless a token file has the digest of its index, and no token beyond the vocabulary."""
    index = indices.Index.model_validate_json(stated)
    digest, largest = hashlib.sha256(), -1
    ids = np.memmap(path, index.dtype, mode="r") if index.count else np.empty(0, index.dtype)
    for start in range(0, index.count, CHUNK):
        part = ids[start : start + CHUNK]
        digest.update(part.data)
        largest = max(largest, int(part.max()))
    if digest.hexdigest() != index.sha256:
        raise UserError(f"{path} is damaged (its sha256 is not that of its index): delete both, make them again")
    if largest >= index.vocabulary:
        raise UserError(
            f"{path} has the token {largest}, beyond the vocabulary of {index.vocabulary} entries: delete both, make"
            " them again"
        )


def token_bytes(tokenizer: str | Path) -> np.ndarray:
    """Bytes of text (UTF-8) that each entry of the vocabulary stands for, int64, special tokens 0.

    Exact for byte-level tokenizers. For those with byte fallback (SentencePiece) a leading "▁" is one blank.
    """
    spec = files.read_json(tokenizer)
    encoder = tokenizers_.load(tokenizer)
    vocabulary = encoder.get_vocab(with_added_tokens=True)
    lengths = np.zeros(max(vocabulary.values()) + 1, np.int64)
    kinds = set(_types(spec.get("decoder")))
    for token, number in vocabulary.items():
        if "ByteLevel" in kinds:  # one character stands for each byte
            lengths[number] = len(token)
        elif "ByteFallback" in kinds:
            byte = len(token) == 6 and token.startswith("<0x")
            lengths[number] = 1 if byte else len(token.replace("▁", " ").encode())
        else:
            raise UserError(f"{tokenizer} is neither byte-level nor with byte fallback: bytes cannot be counted")
    for number, added in encoder.get_added_tokens_decoder().items():
        lengths[number] = 0 if added.special else len(added.content.encode())
    return lengths


def _types(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield str(node.get("type"))
        for part in node.get("decoders", ()):
            yield from _types(part)


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
