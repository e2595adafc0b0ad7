"""Documents and their split: no text on two sides, none in two corpora, the same whatever the order."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics import files
from cpt_dynamics.config import Local, Rule, Split
from cpt_dynamics.corpora import documents, parquet
from cpt_dynamics.errors import UserError

WORDS = st.lists(st.text("abc", min_size=1, max_size=3), max_size=60)


def corpus(folder: Path, texts: list[str], licence: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": [str(i) for i in range(len(texts))], "text": texts}), folder / "documents.parquet")
    files.write_json(folder / "source.json", {"from": "here", **({"licence": "none"} if licence else {})})
    return folder


def parts(folder: Path) -> tuple[list[str], list[str]]:
    return list(parquet.texts(folder / "train.parquet")), list(parquet.texts(folder / "validation.parquet"))


def hashed(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    raw = [text.encode() for text in texts]
    first = [int.from_bytes(hashlib.sha256(text).digest()[:8]) for text in raw]
    return np.array(first, np.uint64), np.array([len(text) for text in raw], np.int64)


def divided(texts: list[str], earlier: list[str], split: Split) -> tuple[list[str], list[str]]:
    hashes, sizes = hashed(texts)
    division = documents.divide(hashes, sizes, hashed(earlier)[0], split)
    dropped = division.duplicates + division.elsewhere + division.beyond
    assert len(division.train) + len(division.validation) + dropped == len(texts)
    return [texts[row] for row in division.train], [texts[row] for row in division.validation]


@given(WORDS, WORDS, st.floats(0.1, 0.9), st.randoms(use_true_random=False))
def test_division_is_disjoint_and_blind_to_order(texts, earlier, share, random) -> None:  # type: ignore[no-untyped-def]
    split = Split(validation_share=share)
    train, validation = divided(texts, earlier, split)
    assert len({*train, *validation}) == len(train) + len(validation)
    assert {*train, *validation} == set(texts) - set(earlier)
    shuffled = [*texts, *texts]
    random.shuffle(shuffled)
    assert divided(shuffled, earlier, split) == (train, validation)


@given(WORDS, st.integers(1, 100))
def test_the_side_of_a_text_does_not_depend_on_the_others(texts: list[str], size: int) -> None:
    train, validation = divided(texts, [], Split(validation_share=0.5))
    small_train, small_validation = divided(texts, [], Split(validation_share=0.5, maximum_megabytes=size / 1e6))
    assert set(small_train) <= set(train)
    assert set(small_validation) <= set(validation)
    kept = [*small_train, *small_validation]
    assert sum(map(len, kept)) <= size


@given(st.lists(st.integers(0, 60), max_size=200))
def test_hashes_are_remembered_whatever_their_order(numbers: list[int]) -> None:
    seen, known = documents.Seen(), set[int]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "RECENT", 3)
        for number in numbers:
            assert seen.add(number + 2**63) == (number not in known)
            known.add(number)


def test_the_share_is_that_of_the_documents() -> None:
    _, validation = divided([f"document {i}" for i in range(20_000)], [], Split(validation_share=0.1))
    assert len(validation) == pytest.approx(2_000, abs=4 * np.sqrt(20_000 * 0.1 * 0.9))


def test_a_text_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of the kit's own documents are hashes; a rule may have written anything."""
    texts = [f"document {i}" for i in range(50)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    documents.write("a", Local(source="local", paths=[str(tmp_path / "a.jsonl")]), tmp_path / "own")
    ruled = corpus(tmp_path / "ruled", texts)
    documents.split("a", ruled, [], Split(validation_share=0.3), tmp_path / "one")
    monkeypatch.setattr("cpt_dynamics.corpora.documents.hashlib.sha256", None)
    documents.split("a", tmp_path / "own", [], Split(validation_share=0.3), tmp_path / "two")
    for part in ("train", "validation"):
        assert pq.read_table(tmp_path / f"one/{part}.parquet") == pq.read_table(tmp_path / f"two/{part}.parquet")
    with pytest.raises(TypeError):
        documents.split("a", ruled, [], Split(validation_share=0.3), tmp_path / "three")


@pytest.mark.parametrize("size", [5, 500])  # shorter and longer than a document
def test_files_of_a_split(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"document {i}" for i in range(300)]
    folder = corpus(tmp_path / "b", [*texts, *texts[:7]])
    earlier = corpus(tmp_path / "a", texts[:20])
    split = Split(validation_share=0.3)
    counts = documents.split("b", folder, [earlier], split, tmp_path / "one")
    train, validation = parts(tmp_path / "one")
    assert counts["dropped"] == {"duplicates": 7, "in_earlier_corpora": 20, "beyond_maximum_size": 0}
    assert (counts["train"]["documents"], counts["validation"]["documents"]) == (len(train), len(validation))
    assert counts["validation"]["bytes"] == sum(map(len, validation))
    assert set(train) | set(validation) == set(texts[20:])
    assert json.loads((tmp_path / "one/split.json").read_text()) == counts

    ids = pq.read_table(tmp_path / "one/train.parquet")["id"].to_pylist()
    assert ids == sorted(hashlib.sha256(text.encode()).hexdigest()[:16] for text in train)

    monkeypatch.setattr(documents, "PART", size)  # many parts give the same files
    monkeypatch.setattr(parquet, "ROWS", 7)
    documents.split("b", folder, [earlier], split, tmp_path / "two")
    for name in ("train.parquet", "validation.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_corpus_for_validation_only(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "a", ["one", "two"])
    documents.split("a", folder, [], Split(), tmp_path / "out", validation_only=True)
    train, validation = parts(tmp_path / "out")
    assert (train, sorted(validation)) == ([], ["one", "two"])


@pytest.mark.parametrize(
    ("texts", "earlier", "split", "missing"),
    [
        (["one"], [], Split(validation_share=0.0001), "validation"),
        (["one"], [], Split(validation_share=0.9999), "training"),
        (["one", "one"], ["one"], Split(validation_share=0.5), "validation"),
        (["one"], [], Split(maximum_megabytes=1e-6), "validation"),
    ],
)
def test_too_small_for_its_split(
    tmp_path: Path, texts: list[str], earlier: list[str], split: Split, missing: str
) -> None:
    folder, before = corpus(tmp_path / "b", texts), corpus(tmp_path / "a", earlier)
    with pytest.raises(UserError, match=f"corpus b is too small for its split: no document is left for {missing}"):
        documents.split("b", folder, [before], split, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_split_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"documents\.parquet does not exist: build the corpus first"):
        documents.split("a", tmp_path, [], Split(), tmp_path / "out")
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "documents.parquet")
    with pytest.raises(UserError, match=r"documents\.parquet has no column 'text'"):
        documents.split("a", tmp_path, [], Split(), tmp_path / "out")


@settings(max_examples=20)
@given(st.lists(st.text(max_size=8).map(lambda text: text.replace("\0", "")), min_size=1, max_size=20))
def test_writing_keeps_text_and_order(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    lines = [json.dumps({"text": text}) for text in texts if text.isprintable()] + ['{"text": "last"}']
    (folder / "a.jsonl").write_text("\n".join(lines))
    spec = Local(source="local", paths=[str(folder / "a.jsonl")])
    one = documents.write("a", spec, folder / "one")
    two = documents.write("a", spec, folder / "two")
    assert one == two
    found = list(parquet.texts(folder / "one/documents.parquet"))
    kept = [text for text in texts if text.isprintable() and text.strip()]
    assert found == list(dict.fromkeys([*kept, "last"]))


def test_a_pair_from_a_rule_of_ones_own(tmp_path: Path) -> None:
    folder = corpus(tmp_path, ["one"])
    assert documents.write("own", Rule(source="rule"), folder) == {"from": "here", "licence": "none"}


def test_faults_of_such_a_pair(tmp_path: Path) -> None:
    def fails(message: str) -> None:
        with pytest.raises(UserError, match=message):
            documents.check(tmp_path)

    path = tmp_path / "documents.parquet"
    fails(r"documents\.parquet does not exist")
    path.write_text("not parquet")
    fails(r"documents\.parquet is not a readable parquet file")
    pq.write_table(pa.table({"text": ["a"]}), path)
    fails(r"documents\.parquet has no column 'id', it has \['text'\]")
    pq.write_table(pa.table({"id": [1], "text": ["a"]}), path)
    fails(r"documents\.parquet: column 'id' is int64")
    pq.write_table(pa.table({"id": ["1"], "text": pa.array([None], pa.string())}), path)
    fails(r"documents\.parquet: column 'text' has nulls")
    pq.write_table(parquet.SCHEMA.empty_table(), path)
    fails(r"documents\.parquet has no document")
    pq.write_table(pa.table({"id": ["1"], "text": ["a"]}), path)
    fails(r"source\.json does not exist")
    (tmp_path / "source.json").write_text("[]")
    fails(r"source\.json: a mapping is expected")
    corpus(tmp_path, ["one"], licence=False)
    fails(r"source\.json: key 'licence' is missing")
