"""Validation documents that stand almost word by word in the training text: found, stated, and left out if asked."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from worlds.tiny import EXPERIMENTS, TINY, write_texts

from cpt_dynamics import cli
from cpt_dynamics.config import Split
from cpt_dynamics.corpora import near_duplicates, parquet
from cpt_dynamics.corpora.near_duplicates import jaccard, sequences
from cpt_dynamics.errors import UserError

RANDOM = random.Random(3)
WORDS = [f"word{number}" for number in range(3000)]


def text(length: int = 200) -> str:
    return " ".join(RANDOM.choices(WORDS, k=length))


def changed(original: str, every: int) -> str:
    """The text with one word in `every` replaced."""
    words = original.split()
    words[::every] = ["other"] * len(words[::every])
    return " ".join(words)


def parquet_of(path: Path, texts: list[str]) -> Path:
    parquet.write(path, ((f"{number:016x}", one) for number, one in enumerate(texts)))
    return path


def exact(one: str, other: str) -> float:
    """Jaccard similarity of the sets of five-word sequences, without hashes."""
    sets = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (one.split(), other.split())]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_near_duplicates_are_found_with_their_similarity(tmp_path: Path) -> None:
    held = [text() for _ in range(6)]
    near, half, far = changed(held[1], 100), changed(held[3], 20), changed(held[4], 6)
    training = parquet_of(tmp_path / "train.parquet", [*(text() for _ in range(50)), near, half, far, held[5].upper()])
    other = parquet_of(tmp_path / "other.parquet", [changed(held[1], 30)])
    validation = parquet_of(tmp_path / "validation.parquet", held)
    found = near_duplicates.find({"prose": validation}, {"prose": training, "lists": other})["prose"]
    assert found["documents"] == 6
    assert found["matches"] == [
        [1, round(exact(held[1], near), 4), "prose"],
        [3, round(exact(held[3], half), 4), "prose"],
        [5, 1.0, "prose"],
    ]
    assert exact(held[1], near) > 0.75 > exact(held[3], half) > 0.5 > exact(held[4], far)
    assert found["share"] == {"0.5": 3 / 6, "0.75": 2 / 6}


def test_hashed_sequences_have_the_similarity_of_the_sequences() -> None:
    for every in (5, 10, 40, 200):
        one = text()
        other = changed(one, every)
        assert jaccard(sequences(one), sequences(other)) == pytest.approx(exact(one, other))


@pytest.mark.parametrize("short", ["", "one", "one two three four"])
def test_short_texts_are_one_sequence(short: str) -> None:
    assert len(sequences(short)) == 1
    assert jaccard(sequences(short), sequences(short)) == 1


def test_no_pair_of_the_lower_level_is_missed() -> None:
    """Of 200 pairs between .5 and .6 similar, hashing proposes at least 195."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=near_duplicates.PROPOSED, num_perm=near_duplicates.PERMUTATIONS)
    pairs = [(one, changed(one, 17)) for one in (text(400) for _ in range(200))]
    assert all(0.5 < exact(*pair) < 0.6 for pair in pairs)
    for number, (one, _) in enumerate(pairs):
        index.insert(number, near_duplicates._sketch(sequences(one)))
    found = [
        number in index.query(near_duplicates._sketch(sequences(other))) for number, (_, other) in enumerate(pairs)
    ]
    assert sum(found) >= 195


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes the smallest scale up to its tokens, with one near-duplicate."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    write_texts(tmp_path / "text")
    lines = Path("text/prose.jsonl").read_text(encoding="utf-8").splitlines()
    copies = [json.dumps({"text": changed(json.loads(line)["text"], 50)}) for line in lines[:40]]
    Path("text/prose.jsonl").write_text("\n".join([*lines, *copies]) + "\n", encoding="utf-8")
    Path("config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS), encoding="utf-8")

    def make(**split: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        Path("config/config.yaml").write_text(yaml.safe_dump({**TINY, "split": split}), encoding="utf-8")
        for command in ("documents", "split"):
            for name in TINY["corpora"]:
                assert cli.main([command, name]) == 0
        assert cli.main(["near-duplicates"]) == 0
        assert cli.main(["tokenizer"]) == 0
        assert cli.main(["tokens", "prose"]) == 0
        root = Path("results/tiny")
        stated = json.loads((root / "text/prose/near_duplicates.json").read_text(encoding="utf-8"))
        return stated, json.loads((root / "tokens/prose.validation.json").read_text(encoding="utf-8"))

    return make


@pytest.mark.parametrize(
    "raw", ["null", "{}", '{"matches": null}', '{"matches": [[1]]}', '{"matches": [["a", 1, "b"]]}']
)
def test_what_was_found_may_be_damaged(raw: str, tmp_path: Path) -> None:
    path = tmp_path / "near_duplicates.json"
    path.write_text(raw, encoding="utf-8")
    with pytest.raises(UserError, match=r"near_duplicates\.json: .*: delete it and make it again"):
        near_duplicates.left_out(path, Split(near_duplicates=0.5))


def test_they_are_not_looked_for_in_text_that_was_changed(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    world(validation_share=0.2)
    root = Path("results/tiny/text")
    shutil.copy(root / "prose/train.parquet", root / "rules/train.parquet")
    assert cli.main(["near-duplicates"]) == 2
    assert "rules/train.parquet was changed since it was written" in capsys.readouterr().err


def test_they_are_left_out_where_the_configuration_says_so(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stated, index = world(validation_share=0.2)
    near = [row for row, similarity, _ in stated["matches"] if similarity >= 0.75]
    assert near
    assert index["documents"] == stated["documents"]
    assert "validation documents" in capsys.readouterr().out
    again, fewer = world(validation_share=0.2, near_duplicates=0.75)
    assert again == stated
    assert fewer["documents"] == stated["documents"] - len(near)
    assert fewer["count"] < index["count"]


def test_sequences_are_sorted_and_distinct() -> None:
    found = sequences("a b c d e f a b c d e f")
    assert (np.diff(found.astype(np.int64)) > 0).all()
