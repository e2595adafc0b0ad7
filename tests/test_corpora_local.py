"""Local files as a corpus: every kind is read, every fault is one line that names the file."""

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from cpt_dynamics.config import Local, Split
from cpt_dynamics.corpora import documents, local, parquet
from cpt_dynamics.errors import UserError

TEXTS = ["first\ndocument", "second – document", "third"]


def read(*paths: Path | str, key: str = "text") -> list[str]:
    return list(local.read(Local(source="local", paths=[str(path) for path in paths], text=key), {}))


def packed(raw: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(raw)
    return zstandard.compress(raw) if suffix == ".zst" else raw


def table(path: Path, **columns: list[str | None]) -> bytes:
    pq.write_table(pa.table(columns), path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".parquet"])
def test_every_kind_plain_and_compressed(tmp_path: Path, kind: str, suffix: str) -> None:
    raw = {
        ".txt": TEXTS[1].encode(),
        ".jsonl": "\n".join(json.dumps({"text": text}) for text in TEXTS).encode(),
        ".parquet": table(tmp_path / "made", text=[*TEXTS]),
    }[kind]
    path = tmp_path / f"file{kind}{suffix}"
    path.write_bytes(packed(raw, suffix))
    assert read(path) == (TEXTS[1:2] if kind == ".txt" else TEXTS)


def test_globs_are_sorted_and_files_read_once(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(name)
    assert read(tmp_path / "c.txt", tmp_path / "*.txt") == ["c", "a", "b"]


def test_a_name_that_looks_like_a_glob_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "part[1].txt").write_text("found")
    assert read(tmp_path / "part[1].txt") == ["found"]


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfText")
    assert read(tmp_path / "a.txt") == ["Text"]


def test_frames_one_after_another_and_long_windows(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28)  # --long=28: over the default
    block = os.urandom(1 << 16)
    lines = json.dumps({"text": block.hex() * 4}).encode() + b"\n"
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with open(tmp_path / "a.jsonl.zst", "wb") as handle:
        for _ in range(2):
            with compressor.stream_writer(handle, closefd=False) as writer:
                writer.write(lines)
    assert read(tmp_path / "a.jsonl.zst") == [block.hex() * 4] * 2


def test_lines_longer_than_a_chunk(tmp_path: Path) -> None:
    text = "x" * (3 * local.CHUNK)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"{text}{i}"}) + "\n" for i in range(3)))
    assert read(tmp_path / "a.jsonl") == [f"{text}{i}" for i in range(3)]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.txt does not exist"):
        read(tmp_path / "absent.txt")


def test_glob_without_match(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\*\.txt matches no file"):
        read(tmp_path / "*.txt")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder: write .*/\*\.jsonl"):
        read(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(UserError, match=r"a\.txt is empty"):
        read(tmp_path / "a.txt")


def test_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"x")
    with pytest.raises(UserError, match=r"a\.csv\.gz is of no known kind"):
        read(tmp_path / "a.csv.gz")


def test_binary_and_undecodable_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"abc\0def")
    with pytest.raises(UserError, match=r"a\.txt is binary \(a zero byte at offset 3\)"):
        read(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_bytes("caf\xe9 noir".encode("latin-1"))
    with pytest.raises(UserError, match=r"b\.txt is not UTF-8 \(byte offset 3\)"):
        read(tmp_path / "b.txt")
    (tmp_path / "c.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\xe9"}\n')
    with pytest.raises(UserError, match=r"c\.jsonl line 2 is not UTF-8 \(byte offset 10\)"):
        read(tmp_path / "c.jsonl")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated(tmp_path: Path, suffix: str, kept: float) -> None:
    whole = packed(json.dumps({"text": os.urandom(100_000).hex()}).encode(), suffix)
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(UserError, match=rf"a\.jsonl{suffix} is truncated: fetch or compress it again"):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(b"this was never compressed, whatever its name says")
    with pytest.raises(UserError, match=rf"a\.txt{suffix} is damaged"):
        read(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', r"line 3 is not JSON"),
        ('{"body": "a"}', r"line 3 has no key 'text'"),
        ('"text"', r"line 3 has no key 'text'"),
        ('{"text": 5}', r"line 3: 'text' is int, a string is expected"),
        ('{"text": null}', r"line 3: 'text' is NoneType, a string is expected"),
        (r'{"text": "ab\ud800"}', r"line 3: 'text' holds half of a surrogate pair at character 2"),
    ],
)
def test_bad_lines(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "first"}\n\n' + line + "\n")
    with pytest.raises(UserError, match=r"a\.jsonl " + message):
        read(tmp_path / "a.jsonl")


def test_bad_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table(path, body=["a"])
    with pytest.raises(UserError, match=r"a\.parquet has no column 'text', it has \['body'\]"):
        read(path)
    table(path, text=["a", None])
    with pytest.raises(UserError, match=r"a\.parquet row 1: column 'text' is null"):
        read(path)
    pq.write_table(pa.table({"text": [1, 2]}), path)
    with pytest.raises(UserError, match=r"a\.parquet: column 'text' is int64"):
        read(path)
    path.write_bytes(table(path, text=["a"])[:-3])
    with pytest.raises(UserError, match=r"a\.parquet is not a readable parquet file"):
        read(path)


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "first"}\n{"text": 1}\n')
    with pytest.raises(UserError):
        documents.write("example", Local(source="local", paths=[str(tmp_path / "*.jsonl")]), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_source_says_where_from(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one\\r\\ntwo"}\n{"body": "one\\ntwo"}\n{"body": "  "}\n')
    spec = Local(source="local", paths=[str(tmp_path / "*.jsonl")], text="body", licence="CC0-1.0")
    source = documents.write("example", spec, tmp_path / "out")
    assert list(parquet.texts(tmp_path / "out/documents.parquet")) == ["one\ntwo"]
    assert (source["documents"], source["bytes"], source["duplicates"], source["empty"]) == (1, 7, 1, 1)
    assert source["from"] == spec.paths
    assert source["licence"] == "CC0-1.0"
    assert source["files"][0]["path"] == str(tmp_path / "a.jsonl")


def test_files_to_hold_out_and_environment_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, numbers in {"train": range(40), "val": range(30, 45)}.items():  # ten texts are in both
        lines = "".join(json.dumps({"text": f"Text number {n}."}) + "\n" for n in numbers)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    spec = Local(source="local", paths=["${TEXTS}/train.jsonl"], validation=["$TEXTS/val.jsonl"])
    monkeypatch.delenv("TEXTS", raising=False)
    with pytest.raises(UserError, match=r"\$TEXTS/val.jsonl: the environment variable TEXTS is not set"):
        documents.write("own", spec, tmp_path / "own")
    monkeypatch.setenv("TEXTS", str(tmp_path))
    source = documents.write("own", spec, tmp_path / "own")
    assert (source["documents"], source["held_out"], source["duplicates"]) == (45, 15, 10)
    documents.split("own", tmp_path / "own", [], Split(validation_share=0.5), tmp_path / "text")
    held_out = set(parquet.texts(tmp_path / "text/validation.parquet"))
    assert held_out == {f"Text number {n}." for n in range(30, 45)}
    assert set(parquet.texts(tmp_path / "text/train.parquet")) == {f"Text number {n}." for n in range(30)}
