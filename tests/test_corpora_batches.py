"""The batch of a step is a pure function; mixtures hold exactly; no sequence twice within an epoch."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpt_dynamics.corpora import batches
from cpt_dynamics.corpora.tokens import Tokens
from cpt_dynamics.errors import UserError


def stream(sequences: int, length: int, first: int = 0) -> Tokens:
    """Tokens whose values tell the corpus and the position."""
    return Tokens.in_memory(first + np.arange(sequences * length + 1))


STREAMS = {"a": stream(50, 8), "b": stream(30, 8, 1_000_000), "c": stream(20, 8, 2_000_000)}
percent = st.integers(0, 100).map(lambda n: n / 100)


def get(mixture: dict[str, float], step: int, sequences: int = 6, seed: int = 1) -> np.ndarray:
    return batches.batch(STREAMS, mixture, step, sequences, 8, seed)


@given(percent, st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
def test_a_batch_does_not_depend_on_what_was_read_before(share: float, step: int, size: int, seed: int) -> None:
    mixture = {"a": share, "b": 1 - share}
    expected = get(mixture, step, size, seed)
    assert expected.shape == (size, 9)
    assert expected.dtype == np.int64
    batches._permutation.cache_clear()
    for other in range(step + 2, 0, -1):
        get(mixture, other, size, seed)
    np.testing.assert_array_equal(get(mixture, step, size, seed), expected)


def test_rows_are_stretches_of_a_corpus_with_one_token_more() -> None:
    rows = get({"a": 0.5, "b": 0.5}, 3)
    np.testing.assert_array_equal(np.diff(rows, axis=1), 1)
    starts = rows[:, 0] % 1_000_000
    assert (starts % 8 == 0).all()
    assert (rows[:, -1] % 1_000_000 <= np.where(rows[:, 0] < 1_000_000, 50, 30) * 8).all()


@given(percent, st.integers(1, 200), st.integers(1, 64))
def test_the_ratio_holds_exactly(share: float, step: int, sequences: int) -> None:
    mixture = {"a": share, "b": 1 - share}
    shares = {"a": Fraction(str(share)), "b": 1 - Fraction(str(share))}
    counts = batches.counts(batches._shares(tuple(mixture.items())), step, sequences)
    assert sum(counts.values()) == sequences
    assert abs(counts["a"] - shares["a"] * sequences) < 1
    given_ = [batches.counts(shares, i, sequences)["a"] for i in range(1, step + 1)]
    assert sum(given_) == (step * shares["a"] * sequences).__floor__()
    period = shares["a"].denominator
    within = [batches.counts(shares, i, sequences)["a"] for i in range(step, step + period)]
    assert sum(within) == period * shares["a"] * sequences


@given(st.lists(st.integers(0, 10), min_size=1, max_size=5).filter(any), st.integers(1, 50), st.integers(1, 40))
def test_mixtures_of_many_corpora(weights: list[int], step: int, sequences: int) -> None:
    shares = {str(i): Fraction(weight, sum(weights)) for i, weight in enumerate(weights)}
    total = dict.fromkeys(shares, 0)
    for i in range(1, step + 1):
        counts = batches.counts(shares, i, sequences)
        assert sum(counts.values()) == sequences
        assert min(counts.values()) >= 0
        total = {name: total[name] + counts[name] for name in shares}
    for name, share in shares.items():
        assert abs(total[name] - share * step * sequences) < len(shares)
        assert share or not total[name]
    exact = step * sequences % sum(weights) == 0
    assert not exact or all(total[name] == share * step * sequences for name, share in shares.items())


def test_full_replay_is_pre_training_that_goes_on() -> None:
    for step in (1, 9, 30):
        np.testing.assert_array_equal(get({"a": 1.0, "b": 0.0}, step), get({"a": 1.0}, step))
        np.testing.assert_array_equal(get({"b": 0.0, "a": 1.0}, step), get({"a": 1.0}, step))


def test_a_slot_keeps_its_sequence_whatever_the_mixture() -> None:
    mixed, whole_a, whole_b = get({"a": 0.5, "b": 0.5}, 4), get({"a": 1.0}, 4), get({"b": 1.0}, 4)
    np.testing.assert_array_equal(mixed[:3], whole_a[:3])
    np.testing.assert_array_equal(mixed[3:], whole_b[3:])


@given(st.integers(1, 13), st.integers(0, 5))
def test_no_sequence_twice_within_an_epoch(sequences: int, seed: int) -> None:
    steps = -(-150 // sequences)  # three epochs of 50
    read = np.concatenate([get({"a": 1.0}, i, sequences, seed)[:, 0] for i in range(1, steps + 1)])
    epochs = [read[start : start + 50] for start in (0, 50, 100)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(0, 400, 8))
    assert not (epochs[0] == epochs[1]).all()


def test_order_depends_on_seed_corpus_and_length() -> None:
    def order(name: str = "a", length: int = 8, seed: int = 1) -> list[int]:
        return batches.walk(name, 50, range(50), length, seed).tolist()

    orders = [order(), order(name="b"), order(length=16), order(seed=2)]
    assert all(orders[i] != orders[j] for i in range(4) for j in range(i))


def test_order_is_the_same_in_every_version() -> None:
    assert batches.walk("a", 10, range(20), 8, 1).tolist() == [
        7,
        9,
        5,
        1,
        0,
        3,
        6,
        8,
        4,
        2,
        9,
        3,
        4,
        8,
        6,
        2,
        5,
        1,
        7,
        0,
    ]


def test_epochs_read() -> None:
    read = batches.epochs(STREAMS, {"a": 0.5, "b": 0.5, "c": 0.0}, 11, 20, 10, 8)
    assert read == {"a": 1.0, "b": 50 / 30}


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ({"a": 0.5, "b": 0.4}, r"sum to 0\.9, not to 1"),
        ({"a": 0.5, "b": 0.6}, r"sum to 1\.1, not to 1"),
        ({"a": -0.5, "b": 1.5}, r"share of a is -0\.5"),
        ({"a": 1.5}, r"share of a is 1\.5"),
        ({"a": float("nan"), "b": 1.0}, r"share of a is nan"),
        ({}, r"sum to 0\.0, not to 1"),
        ({"a": 0.5, "d": 0.5}, r"no tokens of d, only of a, b, c"),
    ],
)
def test_bad_mixtures(mixture: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        get(mixture, 1)


def test_a_corpus_without_a_sequence() -> None:
    with pytest.raises(UserError, match="corpus a has no training sequence of 8 tokens"):
        batches.batch({"a": Tokens.in_memory(np.arange(8))}, {"a": 1.0}, 1, 4, 8, 1)
