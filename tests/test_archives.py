"""Archives of unknown origin: what is read from them, and what is refused."""

import gzip
import io
import json
import random
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from cpt_dynamics.config import Http
from cpt_dynamics.corpora import archives
from cpt_dynamics.errors import UserError

MEMBERS = Http.model_fields["members"].default
LINK, DEVICE = tarfile.SYMTYPE, tarfile.CHRTYPE
URL = "https://example.org/archive"


def jsonl(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def tar(members: dict[str, bytes], **changes: object) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(raw))
    return packed.getvalue()


def zipped(members: dict[str, bytes], mode: int = 0, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, raw in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = compression
            archive.writestr(info, raw)
    return packed.getvalue()


PACK: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    ".zip": zipped,
    ".tar": tar,
    ".tar.gz": lambda members: gzip.compress(tar(members)),
    ".tgz": lambda members: gzip.compress(tar(members)),
    ".tar.zst": lambda members: zstandard.compress(tar(members)),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where archives are unpacked; nothing may be left there, nor appear beside it."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_is_left(folder: Path) -> Iterator[None]:
    yield
    assert sorted(path.name for path in folder.rglob("*")) in (["blob", "temporary"], ["temporary"])


def read(
    folder: Path, raw: bytes, suffix: str, members: list[str] = MEMBERS, maximum: float = 1e6, key: str = "text"
) -> list[str]:
    (folder / "blob").write_bytes(raw)
    found = archives.texts(folder / "blob", f"archive{suffix}", f"{URL}{suffix}", members, maximum, key)
    return list(found)


def refusal(folder: Path, raw: bytes, suffix: str, members: list[str] = MEMBERS, maximum: float = 1e6) -> str:
    """The one line of an error, which names the archive and no temporary file."""
    with pytest.raises(UserError) as error:
        read(folder, raw, suffix, members, maximum)
    message = str(error.value)
    assert "\n" not in message
    assert f"{URL}{suffix}" in message
    assert str(folder) not in message
    return message


# What is read


@pytest.mark.parametrize("suffix", PACK)
def test_members_that_match_are_read_in_the_archives_order(suffix: str, folder: Path) -> None:
    table = folder / "table"
    pq.write_table(pa.table({"text": ["five", "six"]}), table)
    members = {
        "z/b.jsonl": jsonl("one", "two"),
        "a.txt": b"three",
        "z/notes.md": b"not read",
        "z/deep/er/c.jsonl.zst": zstandard.compress(jsonl("four")),
        "t.parquet": table.read_bytes(),
        "y.jsonl.gz": gzip.compress(jsonl("seven")) + gzip.compress(jsonl("eight")),
    }
    table.unlink()
    raw = PACK[suffix](members)
    assert read(folder, raw, suffix) == ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    assert read(folder, raw, suffix.upper(), ["z/*.jsonl", "*.txt"]) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("**/*.txt", ["a.txt", "d/b.txt", "d/e/c.txt"]),
        ("*.txt", ["a.txt"]),
        ("d/*.txt", ["d/b.txt"]),
        ("d/**", ["d/b.txt", "d/e/c.txt"]),
        ("**/e/*", ["d/e/c.txt"]),
        ("d/**/*.txt", ["d/b.txt", "d/e/c.txt"]),
        ("?.txt", ["a.txt"]),
    ],
)
def test_globs(pattern: str, matching: list[str], folder: Path) -> None:
    raw = tar({f"./{name}": name.encode() for name in ("a.txt", "d/b.txt", "d/e/c.txt")})
    assert read(folder, raw, ".tar", [pattern]) == matching


def test_folders_and_links_that_do_not_match_are_passed_over(folder: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind in (("d", tarfile.DIRTYPE), ("d/link.md", LINK)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("d/a.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"text"))
    assert read(folder, packed.getvalue(), ".tar", ["**/*.txt", "d"]) == ["text"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_single_files(suffix: str, folder: Path) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}
    pack = packs[suffix]
    assert read(folder, pack(jsonl("one", "two")), f".jsonl{suffix}") == ["one", "two"]
    assert read(folder, pack(b"whole"), f".v2.txt{suffix}") == ["whole"]


def test_many_members_are_unpacked_one_at_a_time(folder: Path) -> None:
    raw = tar({f"{number}.txt": bytes([65 + number]) * 1000 for number in range(20)})
    (folder / "blob").write_bytes(raw)
    most = 0
    for _ in archives.texts(folder / "blob", "a.tar", URL, MEMBERS, 1e6, "text"):
        most = max(most, sum(path.name.startswith("member") for path in folder.rglob("*")))
    assert most == 1


# What is refused


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.zst"])
@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_paths_that_lead_out_of_the_archive(name: str, suffix: str, folder: Path) -> None:
    message = refusal(folder, PACK[suffix]({"good.txt": b"text", name: b"evil"}), suffix)
    assert "leads out of the archive" in message
    assert "evil.txt" in message


def test_such_a_path_is_refused_even_where_it_is_not_read(folder: Path) -> None:
    assert "'../evil.md' leads out" in refusal(folder, tar({"../evil.md": b"evil", "a.txt": b"text"}), ".tar")


@pytest.mark.parametrize("kind", [LINK, tarfile.LNKTYPE, DEVICE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(kind: bytes, folder: Path) -> None:
    raw = tar({"a.txt": b""}, type=kind, linkname="/etc/passwd")
    assert "member 'a.txt' is no plain file but a link" in refusal(folder, raw, ".tar")


def test_sparse_files_in_a_tar(folder: Path) -> None:
    header = tarfile.TarInfo("a.txt")
    header.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"77777777777\0"  # its real size: 8 GB of nothing
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert "is no plain file" in refusal(folder, bytes(block) + bytes(1024), ".tar")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip(mode: int, folder: Path) -> None:
    raw = zipped({"a.txt": b"/etc/passwd"}, mode=mode | 0o777)
    assert "member 'a.txt' is no plain file but a link" in refusal(folder, raw, ".zip")
    assert read(folder, zipped({"a.txt": b"text"}, mode=stat.S_IFREG | 0o644), ".zip") == ["text"]


def test_encrypted_members_of_a_zip(folder: Path) -> None:
    raw = bytearray(zipped({"a.txt": b"text"}))
    raw[6] |= 1  # in the member's own header
    raw[raw.index(b"PK\1\2") + 8] |= 1  # in the list of members
    assert "member 'a.txt' is encrypted" in refusal(folder, bytes(raw), ".zip")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_are_not_unpacked_piece_by_piece(compression: int, folder: Path) -> None:
    raw = zipped({"a.txt": b"text"}, compression=compression)
    assert "compressed in another way than deflate" in refusal(folder, raw, ".zip")


ZEROS = bytes(3_000_000)


@pytest.mark.parametrize(
    ("suffix", "raw"),
    [
        (".zip", zipped({"a.txt": ZEROS})),
        (".zip", zipped({"a.jsonl.gz": gzip.compress(ZEROS)})),
        (".zip", zipped({f"{number}.jsonl": jsonl("x" * 100_000) for number in range(20)})),
        (".tar.gz", gzip.compress(tar({"a.txt": ZEROS}))),
        (".tar.gz", gzip.compress(tar({"skipped.bin": ZEROS, "a.txt": b"text"}))),
        (".tar.zst", zstandard.compress(tar({"a.txt": ZEROS}))),
        (".tar", tar({"a.jsonl.zst": zstandard.compress(ZEROS)})),
        (".txt.gz", gzip.compress(ZEROS)),
        (".txt.zst", zstandard.compress(ZEROS)),
        (".parquet.gz", gzip.compress(ZEROS)),
    ],
)
def test_bombs(suffix: str, raw: bytes, folder: Path) -> None:
    message = refusal(folder, raw, suffix)
    assert "unpacks to more than 0.001 GB" in message
    assert "raise `maximum_gigabytes`" in message


def test_a_size_that_a_zip_claims_too_small(folder: Path) -> None:
    raw = zipped({"a.txt": ZEROS})
    claimed = (3_000_000).to_bytes(4, "little")
    assert raw.count(claimed) == 2
    message = refusal(folder, raw.replace(claimed, (10).to_bytes(4, "little")), ".zip")
    assert "is damaged at member 'a.txt'" in message


@pytest.mark.parametrize("suffix", [".tar.zst", ".txt.zst", ".txt.gz", ".zip"])
def test_a_bomb_does_not_fill_the_memory(suffix: str, folder: Path) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {
        ".tar.zst": lambda raw: zstandard.compress(tar({"a.txt": raw})),
        ".txt.zst": zstandard.compress,
        ".txt.gz": lambda raw: gzip.compress(raw, 1),
        ".zip": lambda raw: zipped({"a.txt": raw}),
    }
    packed = pack[suffix](bytes(200_000_000))
    tracemalloc.start()
    try:
        refusal(folder, packed, suffix)
        assert tracemalloc.get_traced_memory()[1] < 80e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kept", [0.3, 0.9])
@pytest.mark.parametrize("suffix", PACK)
def test_archives_cut_short(suffix: str, kept: float, folder: Path) -> None:
    noise = bytes(random.Random(0).choices(range(33, 127), k=50_000))
    raw = PACK[suffix]({"a.txt": noise, "b.txt": noise[::-1]})
    message = refusal(folder, raw[: int(len(raw) * kept)], suffix)
    assert "is damaged" in message or "is truncated" in message


@pytest.mark.parametrize("suffix", [*PACK, ".txt.gz", ".txt.zst"])
def test_what_is_no_archive_whatever_its_name(suffix: str, folder: Path) -> None:
    assert "is damaged" in refusal(folder, b"this was never packed" * 100, suffix)


def test_no_member_that_matches(folder: Path) -> None:
    assert "has no member that matches ['*.csv']" in refusal(folder, tar({"a.txt": b"text"}), ".tar", ["*.csv"])


@pytest.mark.parametrize("suffix", [".csv", "", ".tar.xz", ".gz", ".7z", ".jsonl.bz2"])
def test_unknown_kinds(suffix: str, folder: Path) -> None:
    assert "is of no known kind" in refusal(folder, b"text", suffix)


def test_an_unknown_kind_among_the_members_is_named(folder: Path) -> None:
    message = refusal(folder, tar({"d/a.jsonl.bz2": b"x"}), ".tar")
    assert message.startswith(f"{URL}.tar: d/a.jsonl.bz2 is of no known kind")


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_errors_in_a_text_name_its_member(packed: str, folder: Path) -> None:
    raw = jsonl("one") + b"{}\n"
    member = {"": raw, ".gz": gzip.compress(raw), ".zst": zstandard.compress(raw)}[packed]
    message = refusal(folder, tar({f"d/a.jsonl{packed}": member}), ".tar")
    assert message.startswith(f"{URL}.tar: d/a.jsonl{packed} line 2 has no key 'text'")


def test_a_member_whose_compression_is_cut(folder: Path) -> None:
    message = refusal(folder, tar({"a.jsonl.zst": zstandard.compress(jsonl("one" * 100))[:-3]}), ".tar")
    assert message == f"{URL}.tar: a.jsonl.zst is truncated: fetch or compress it again"


def test_no_space_to_unpack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives, "_write", full)
    (folder / "blob").write_bytes(tar({"a.txt": b"text"}))
    with pytest.raises(UserError, match=f"no space left for .* in {folder}/temporary.* set TMPDIR"):
        list(archives.texts(folder / "blob", "a.tar", URL, MEMBERS, 1e6, "text"))
