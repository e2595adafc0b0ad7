"""Documents of validation sets that stand almost word by word in the training text.

Exact duplicates are dropped by the split. What remains is compared by the Jaccard similarity of the sets of five-word
sequences: MinHash with locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman, chapter 3) proposes
pairs, whose similarity is then computed exactly. A validation loss that falls since its text was read says nothing of a
law.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from cpt_dynamics import files
from cpt_dynamics.config import Split
from cpt_dynamics.corpora import parquet

WORDS = 5  # of a sequence
PERMUTATIONS = 128
PROPOSED = 0.3  # similarity from which on most pairs are proposed; of those at .5, at .4, a sixteenth were missed
LEVELS = (0.5, 0.75)
WORD = re.compile(r"\w+")

Sequences = NDArray[np.uint32]  # hashes of the distinct five-word sequences of a text, sorted


class Match(NamedTuple):
    """The nearest training document of a validation document."""

    row: int  # of the validation file
    similarity: float
    corpus: str


class Found(BaseModel):
    """What is read of the file of a validation set."""

    matches: list[Match]


def find(validation: Mapping[str, Path], training: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Near-duplicates of every validation set among the training documents of all corpora.

    validation, training : corpus -> parquet file of documents

    Returns, by validation set, `documents`, `share` (similarity as text -> share of its documents that have a training
    document as similar as that) and `matches` ([row, similarity, training corpus] of those at the lowest level).
    """
    from datasketch import MinHashLSH  # only here: it brings scipy's statistics

    index = MinHashLSH(threshold=PROPOSED, num_perm=PERMUTATIONS)
    held: dict[tuple[str, int], Sequences] = {}
    counts = dict.fromkeys(validation, 0)
    for name, path in validation.items():
        for row, text in enumerate(parquet.texts(path)):
            counts[name] += 1
            held[name, row] = sequences(text)
            index.insert((name, row), _sketch(held[name, row]))
    nearest: dict[tuple[str, int], Match] = {}
    for corpus, path in training.items():
        for text in parquet.texts(path):
            own = sequences(text)
            for key in index.query(_sketch(own)):
                similarity = jaccard(own, held[key])
                if key not in nearest or similarity > nearest[key].similarity:
                    nearest[key] = Match(key[1], similarity, corpus)
    return {name: _stated(counts[name], _of(name, nearest)) for name in validation}


def left_out(path: Path, split: Split) -> set[int]:
    """Rows of a validation file that the configuration leaves out, from what `find` has found."""
    if split.near_duplicates is None:
        return set()
    found = files.read_model(Found, path, "delete it and make it again")
    return {match.row for match in found.matches if match.similarity >= split.near_duplicates}


def _of(name: str, nearest: Mapping[tuple[str, int], Match]) -> Iterator[Match]:
    yield from (nearest[key] for key in sorted(key for key in nearest if key[0] == name))


def _stated(documents: int, matches: Iterator[Match]) -> dict[str, Any]:
    near = [match for match in matches if match.similarity >= min(LEVELS)]
    share = {f"{level:g}": sum(one.similarity >= level for one in near) / max(documents, 1) for level in LEVELS}
    rows = [[one.row, round(one.similarity, 4), one.corpus] for one in near]
    return {"documents": documents, "words": WORDS, "share": share, "matches": rows}


def sequences(text: str) -> Sequences:
    """Hashes of the distinct five-word sequences of a text, in lower case; of one with fewer words, of all of them."""
    words = WORD.findall(text.lower())
    parts = (" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1)))
    return np.unique(np.fromiter((zlib.crc32(part.encode()) for part in parts), np.uint32))


def jaccard(one: Sequences, other: Sequences) -> float:
    """Size of the intersection of two sets over that of their union."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)


def _sketch(found: Sequences) -> Any:
    from datasketch import MinHash

    sketch = MinHash(PERMUTATIONS, seed=1, hashfunc=int)
    sketch.update_batch(found)
    return sketch
