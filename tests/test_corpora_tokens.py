"""Tokenizer and token files: every byte of the text is accounted for."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics import config
from cpt_dynamics.corpora import tokenizer, tokens
from cpt_dynamics.errors import UserError

TEXTS = [
    *(f"def function_{i}(argument): return argument * {i}  # the {i}th" for i in range(200)),
    "Grüße, 世界 🎉 and the words <|endoftext|> as text",
]


def write_documents(path: Path, texts: list[str]) -> Path:
    pq.write_table(pa.table({"id": [str(i) for i in range(len(texts))], "text": pa.array(texts, pa.string())}), path)
    return path


def train(folder: Path, vocabulary: int = 300) -> Path:
    source = write_documents(folder / "train.parquet", TEXTS)
    section = config.Tokenizer(vocabulary=vocabulary, shares={"general": 0.5, "strong": 0.5})
    tokenizer.train(section, {"general": source, "strong": source}, folder / "tokenizer.json")
    return folder / "tokenizer.json"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("tokenizer"))


def test_vocabulary_begins_with_the_separator_and_the_bytes(trained: Path) -> None:
    loaded = tokenizer.load(trained)
    assert loaded.get_vocab_size() == 300
    assert tokenizer.separator(loaded, trained) == loaded.token_to_id("<|endoftext|>") == 0
    assert tokens.token_bytes(trained)[:257].tolist() == [0] + [1] * 256


def test_training_is_the_same_in_another_process(trained: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "import test_corpora_tokens as t; t.train(Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)],
        check=True,
        env={"TOKENIZERS_PARALLELISM": "false", "PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert (tmp_path / "tokenizer.json").read_bytes() == trained.read_bytes()


def test_files_hold_the_text(trained: Path, tmp_path: Path) -> None:
    source = write_documents(tmp_path / "a.parquet", TEXTS)
    index = tokens.write(source, trained, tmp_path / "a.bin")
    opened = tokens.open(tmp_path / "a.bin")
    assert opened.index == index
    assert opened.ids.dtype == np.dtype("<u2")
    assert index.documents == len(TEXTS) == int((opened.ids == 0).sum())
    assert index.bytes == index.token_bytes == sum(len(text.encode()) for text in TEXTS)
    pieces = np.split(np.asarray(opened.ids), np.flatnonzero(opened.ids == 0))[1:]
    loaded = tokenizer.load(trained)
    assert [loaded.decode(piece[1:].tolist()) for piece in pieces] == TEXTS
    tokens.write(source, trained, tmp_path / "b.bin")
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_bytes_of_tokens_are_those_of_the_text(trained: Path, texts: list[str]) -> None:
    lengths = tokens.token_bytes(trained)
    for text in texts:
        ids = tokenizer.load(trained).encode(text, add_special_tokens=False).ids
        assert int(lengths[ids].sum()) == len(text.encode())


def test_no_document_gives_an_empty_file(trained: Path, tmp_path: Path) -> None:
    tokens.write(write_documents(tmp_path / "a.parquet", []), trained, tmp_path / "a.bin")
    opened = tokens.open(tmp_path / "a.bin")
    assert (len(opened.ids), opened.sequences(8), opened.spread(4, 8).tolist()) == (0, 0, [])


@given(st.integers(0, 500), st.integers(1, 20), st.integers(0, 40))
def test_sequences_lie_within_the_file(size: int, length: int, count: int) -> None:
    stream = tokens.Tokens.in_memory(np.arange(size))
    there = stream.sequences(length)
    assert there * length + 1 <= max(size, 1) < (there + 1) * length + 1 or size == 0
    chosen = stream.spread(count, length)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, there)
    assert ((chosen >= 0) & (chosen < there)).all()


def test_faults_of_token_files(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(UserError, match=r"a\.json does not exist"):
        tokens.open(path)
    tokens.write(write_documents(tmp_path / "a.parquet", TEXTS), trained, path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"a\.bin has \d+ bytes, its index says \d+"):
        tokens.open(path)
    path.unlink()
    with pytest.raises(UserError, match=r"a\.bin does not exist"):
        tokens.open(path)
    (tmp_path / "a.json").write_text(json.dumps({"version": 99, "dtype": "<u2", "count": 1}))
    with pytest.raises(UserError, match=r"a\.json: version: Input should be 1: make it again"):
        tokens.open(path)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(UserError, match=r"a\.json: Input should be a valid dictionary: make it again"):
        tokens.open(path)


def test_shares_must_make_sense(tmp_path: Path) -> None:
    source = write_documents(tmp_path / "a.parquet", TEXTS)
    for shares, message in (
        ({"weak": 1.0}, r"no corpus for \['weak'\]"),
        ({"general": 0.0}, "must be positive"),
    ):
        with pytest.raises(UserError, match=message):
            tokenizer.train(config.Tokenizer(shares=shares), {"general": source}, tmp_path / "tokenizer.json")


def test_too_little_text_for_the_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.vocabulary: the text gives only \d+ entries of 60000"):
        train(tmp_path, 60000)
    assert not (tmp_path / "tokenizer.json").exists()


def test_a_pretrained_tokenizer_from_a_folder(trained: Path, tmp_path: Path) -> None:
    tokenizer.train(config.Tokenizer(pretrained=str(trained.parent)), {}, tmp_path / "copy.json")
    assert tokenizer.load(tmp_path / "copy.json").get_vocab() == tokenizer.load(trained).get_vocab()
    with pytest.raises(UserError, match=r"tokenizer\.json does not exist"):
        tokenizer.pretrained(str(tmp_path))


def test_a_pretrained_tokenizer_with_byte_fallback(tmp_path: Path) -> None:
    vocabulary = {
        "<unk>": 0,
        "</s>": 1,
        **{f"<0x{i:02X}>": i + 2 for i in range(256)},
        "▁": 258,
        "▁a": 259,
        "é": 260,
    }
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    made.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
        ]
    )
    made.add_special_tokens(["<unk>", "</s>"])
    made.save(str(tmp_path / "tokenizer.json"))
    lengths = tokens.token_bytes(tmp_path / "tokenizer.json")
    assert lengths[[0, 1, 2, 257, 258, 259, 260]].tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert tokenizer.separator(tokenizer.load(tmp_path / "tokenizer.json"), "x") == 1


def test_faults_of_a_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json is not a tokenizer"):
        tokenizer.load(path)
    tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(path))
    with pytest.raises(UserError, match=r"tokenizer\.json has no end-of-text token"):
        tokenizer.pretrained(str(tmp_path))
    with pytest.raises(UserError, match=r"neither byte-level nor with byte fallback"):
        tokens.token_bytes(path)
