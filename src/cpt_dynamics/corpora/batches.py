"""The batch of a step, as a pure function of the seed, the corpus, the step and the slot.

Nothing here remembers what was read before: a branch, a resumed run and a run from scratch see the same
tokens, and continual pre-training with 100 % replay sees those of a pre-training that goes on.
"""

import hashlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import floor

import numpy as np

from cpt_dynamics.corpora.tokens import Tokens
from cpt_dynamics.errors import UserError


def batch(
    streams: Mapping[str, Tokens],
    mixture: Mapping[str, float],
    step: int,
    sequences: int,
    length: int,
    seed: int,
) -> np.ndarray:
    """The sequences of global step `step` (from 1).

    Slot k of step i reads place (i - 1) * sequences + k of the walk over its corpus. A walk is one random
    permutation of the corpus' sequences after another, so nothing comes twice before all places of an epoch
    have passed. The first corpus of the mixture takes the first slots, the next the following ones.

    Parameters
    ----------
    streams : corpus -> its training tokens
    mixture : corpus -> share of the sequences, in [0, 1]; shares sum to 1. Anything else raises `UserError`
    step, sequences, length, seed : step from 1, sequences a step, tokens a sequence, seed of the data order

    Returns
    -------
    int64 array [sequences, length + 1]
        Inputs are all columns but the last, targets all but the first.
    """
    rows = np.empty((sequences, length + 1), np.int64)
    span = np.arange(length + 1)
    slot = 0
    for name, numbers in chosen(streams, mixture, step, sequences, length, seed):
        rows[slot : slot + len(numbers)] = streams[name].ids[numbers[:, None] * length + span]
        slot += len(numbers)
    return rows


def chosen(
    streams: Mapping[str, Tokens],
    mixture: Mapping[str, float],
    step: int,
    sequences: int,
    length: int,
    seed: int,
) -> Iterator[tuple[str, np.ndarray]]:
    """(corpus, numbers of its sequences as int64) in the order of the slots of `batch`, for corpora that have any."""
    slot = (step - 1) * sequences
    for name, count in counts(_shares(tuple(mixture.items())), step, sequences).items():
        if count:
            yield name, walk(name, _sequences(streams, name, length), range(slot, slot + count), length, seed)
        slot += count


def counts(shares: Mapping[str, Fraction], step: int, sequences: int) -> dict[str, int]:
    """How many sequences of each corpus step `step` has; they sum to `sequences`.

    After i steps the first corpus has given floor(i * share * sequences). The next takes its part of what
    the first left, and so on, so a count is never negative, is exact wherever the shares allow it, and of two
    corpora neither is ever a whole sequence off.
    """
    now, before = _given(shares, step * sequences), _given(shares, (step - 1) * sequences)
    return {name: now[name] - before[name] for name in shares}


def _given(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    given = {}
    left, share_left = total, Fraction(1)
    for name, share in shares.items():
        given[name] = floor(left * share / share_left) if share else 0
        left -= given[name]
        share_left -= share
    return given


@lru_cache(maxsize=256)
def _shares(mixture: tuple[tuple[str, float], ...]) -> dict[str, Fraction]:
    """Exact shares of a mixture, from the decimal numbers as written."""
    for name, share in mixture:
        if not 0 <= share <= 1:
            raise UserError(f"mixture: the share of {name} is {share}, it must lie between 0 and 1")
    # 1 - 0.9 is meant as 0.1
    shares = {name: Fraction(str(round(float(share), 12))) for name, share in mixture}
    total = sum(shares.values(), Fraction(0))
    if abs(total - 1) > Fraction(1, 10**9):
        raise UserError(f"mixture: the shares {dict(mixture)} sum to {float(total)}, not to 1")
    return {name: share / total for name, share in shares.items()}


def _sequences(streams: Mapping[str, Tokens], name: str, length: int) -> int:
    if name not in streams:
        raise UserError(f"mixture: there are no tokens of {name}, only of {', '.join(streams) or 'nothing'}")
    there = streams[name].sequences(length)
    if there < 1:
        raise UserError(f"corpus {name} has no training sequence of {length} tokens: add text or lower batch.length")
    return there


def walk(name: str, sequences: int, places: range, length: int, seed: int) -> np.ndarray:
    """The sequence (of `sequences`) at each of the `places` of the walk over a corpus, int64 [places]."""
    at = np.arange(places.start, places.stop)
    epochs, offsets = np.divmod(at, sequences)
    chosen = np.empty(len(at), np.int64)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
        inside = epochs == epoch
        chosen[inside] = _permutation(name, sequences, length, epoch, seed)[offsets[inside]]
    return chosen


@lru_cache(maxsize=16)
def _permutation(name: str, sequences: int, length: int, epoch: int, seed: int) -> np.ndarray:
    # raw output of a bit generator is the same in every version of numpy, Generator.permutation need not be
    entropy = hashlib.sha256(f"{seed}/{name}/{length}/{epoch}".encode()).digest()
    generator = np.random.PCG64(np.random.SeedSequence(int.from_bytes(entropy)))
    return np.argsort(generator.random_raw(sequences), kind="stable")


def epochs(
    streams: Mapping[str, Tokens],
    mixture: Mapping[str, float],
    first: int,
    last: int,
    sequences: int,
    length: int,
) -> dict[str, float]:
    """Epochs of each corpus in steps `first` to `last`, both included: sequences read over all there are."""
    shares = _shares(tuple(mixture.items()))
    now, before = _given(shares, last * sequences), _given(shares, (first - 1) * sequences)
    return {name: (now[name] - before[name]) / _sequences(streams, name, length) for name in shares if shares[name]}
