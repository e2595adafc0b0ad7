"""Token files: a flat little-endian array (`*.bin`) with an index (`*.json`), read through a memory map."""

import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cpt_dynamics import files
from cpt_dynamics.corpora import parquet
from cpt_dynamics.corpora import tokenizer as tokenizers_
from cpt_dynamics.errors import UserError

VERSION = 1
BATCH = 512  # documents encoded at a time ...
BATCH_BYTES = 1 << 22  # ... or fewer, where they are long


@dataclass(frozen=True)
class Tokens:
    """A token file: `ids` (one memory-mapped dimension) and its `index`."""

    ids: np.ndarray
    index: dict[str, Any]

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
) -> dict[str, Any]:
    """Encode a parquet file of documents as `out` (`*.bin`) and the index beside it (`*.json`).

    Rows that are `left_out` are not encoded. Every document is preceded by the separator of the tokenizer. Returns the
    index: `dtype`, `count` (of tokens), `documents`, `bytes` (of text, UTF-8), `token_bytes` (sum of the lengths of the
    tokens, the same unless the tokenizer changes the text), `vocabulary`, `separator`, `sha256` and `tokenizer_sha256`.
    The library encodes the documents of a batch with as many threads as RAYON_NUM_THREADS says, and gives them back
    in order: the file is the same for any number.
    """
    out = Path(out)
    encoder = tokenizers_.load(tokenizer)
    end = tokenizers_.separator(encoder, tokenizer)
    lengths = token_bytes(tokenizer)
    vocabulary = len(lengths)
    dtype = np.dtype("<u2" if vocabulary <= 2**16 else "<u4")
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
    index = {
        "version": VERSION,
        "dtype": dtype.str,
        "count": count,
        "documents": number,
        "bytes": size,
        "token_bytes": covered,
        "vocabulary": vocabulary,
        "separator": end,
        "sha256": digest.hexdigest(),
        "tokenizer_sha256": files.sha256(tokenizer),
    }
    files.write_json(out.with_suffix(".json"), index)
    return index


def open(path: str | Path) -> Tokens:
    """Open a token file. One whose size is not what its index says raises `UserError`."""
    path = Path(path)
    index = files.read_json(path.with_suffix(".json"))
    try:
        version, dtype, count = index["version"], np.dtype(index["dtype"]), int(index["count"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path.with_suffix('.json')} is not the index of a token file: make it again") from None
    if version != VERSION:
        raise UserError(f"{path.with_suffix('.json')} has version {version}, expected {VERSION}: make it again")
    if not path.is_file():
        raise UserError(f"{path} does not exist: make it again")
    size = path.stat().st_size
    if size != count * dtype.itemsize:
        raise UserError(
            f"{path} has {size} bytes, its index says {count * dtype.itemsize}: delete both, make them again"
        )
    # an empty file cannot be mapped
    ids = np.memmap(path, dtype, mode="r", shape=(count,)) if count else np.empty(0, dtype)
    return Tokens(ids, index)


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
