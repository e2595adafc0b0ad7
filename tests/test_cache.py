"""The download cache: only whole, verified files are in it, whatever happens while they are made."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from worlds.commands import small_file_system

from cpt_dynamics.corpora import cache
from cpt_dynamics.errors import UserError

HOLD = """
import sys, time
from cpt_dynamics.corpora import cache
with cache.partial("key") as folder:
    (folder / "begun").write_text("half")
    print("held", flush=True)
    start = time.time()
    sys.stdin.read()
    print(start, time.time())
"""


def hold() -> subprocess.Popen[str]:
    """A process that holds the key `key` until its input ends."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", HOLD], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small_disk(root: Path) -> Iterator[Path]:
    """The cache on a file system of 1 MiB."""
    with small_file_system(root, "1m") as folder:
        yield folder


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def put(raw: bytes, sha256: str | None = None) -> str:
    """A file of the cache with these bytes; returns its digest."""
    with cache.partial(digest(raw)) as folder:
        (folder / "file").write_bytes(raw)
        return cache.adopt(folder / "file", sha256, "the file of this test").name


def test_the_folder_is_named_by_the_environment(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.root() == root
    monkeypatch.setenv(cache.VARIABLE, "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache.root() == tmp_path / "xdg/cpt-dynamics"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.root() == tmp_path / ".cache/cpt-dynamics"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache.root() == tmp_path / "Library/Caches/cpt-dynamics"


def test_a_relative_folder_does_not_follow_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cache.VARIABLE, "here")
    assert cache.root() == tmp_path / "here"


def test_adopted_files_lie_under_their_digest(root: Path) -> None:
    sha256 = put(b"text")
    assert sha256 == digest(b"text")
    assert cache.has(sha256)
    assert cache.blob(sha256) == root / "blobs" / sha256[:2] / sha256
    assert cache.blob(sha256).read_bytes() == b"text"
    assert not cache.has(digest(b"other"))


def test_the_same_file_twice_is_one(root: Path) -> None:
    assert put(b"text") == put(b"text")
    assert [entry.bytes for entry in cache.entries()] == [4]


def test_another_digest_is_refused_and_nothing_is_left(root: Path) -> None:
    with pytest.raises(UserError) as error:
        put(b"wrong", digest(b"right"))
    message = str(error.value)
    assert "\n" not in message
    assert "the file of this test" in message
    assert digest(b"wrong") in message
    assert digest(b"right") in message
    assert cache.entries() == []
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_work_in_progress_outlives_an_error_and_ends_with_success(root: Path) -> None:
    def fail() -> None:
        with cache.partial("key") as folder:
            (folder / "begun").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with cache.partial("key") as folder:
        assert (folder / "begun").read_text() == "half"
    assert list((root / "partial").iterdir()) == []


def test_work_in_progress_is_kept_apart_by_key() -> None:
    with cache.partial("one") as one, cache.partial("two") as two:
        assert one != two


def test_a_killed_process_leaves_its_work_and_no_lock() -> None:
    process = hold()
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with cache.partial("key") as folder:
        assert (folder / "begun").read_text() == "half"


def test_a_second_process_waits_and_says_so(root: Path) -> None:
    first = hold()
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    second = hold()
    assert second.stderr is not None
    assert second.stderr.readline() == "another process is fetching key: waiting for it\n"
    earlier, later = (process.communicate("")[0].split()[-2:] for process in (first, second))
    assert float(later[0]) > float(earlier[1])
    assert list((root / "partial").iterdir()) == []


def test_only_one_at_a_time_of_many() -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(20):
            with cache.partial("key") as folder:
                inside.append(folder)
                most.append(len(inside))
                time.sleep(0.001)
                assert folder.is_dir()
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80


def test_without_locks_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, root: Path
) -> None:
    def unsupported(handle: object, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unsupported)
    assert put(b"text") == digest(b"text")
    assert f"{root} is on a file system without locks" in caplog.text


def test_a_full_disk_is_one_line_and_leaves_nothing_finished(small_disk: Path) -> None:
    with pytest.raises(UserError, match=f"no space left for the cache {small_disk}") as error:
        put(bytes(2 << 20))
    assert cache.VARIABLE in str(error.value)
    assert cache.entries() == []


def test_requests_are_remembered_while_their_file_is_there() -> None:
    sha256 = put(b"text")
    request = {"repository": "owner/name", "split": "train"}
    assert cache.find(request) is None
    cache.remember(request, {"sha256": sha256, "documents": 1})
    assert cache.find(dict(reversed(request.items()))) == {"sha256": sha256, "documents": 1}
    assert cache.find({**request, "split": "test"}) is None
    assert cache.entries() == [cache.Entry(sha256, 4, [request])]
    cache.blob(sha256).unlink()
    assert cache.find(request) is None


def test_a_damaged_record_is_named(root: Path) -> None:
    cache.remember({"a": 1}, {"sha256": put(b"text")})
    (path,) = (root / "requests").iterdir()
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UserError, match=f"{path} is not valid JSON"):
        cache.find({"a": 1})


def test_verify_finds_and_deletes_what_is_damaged() -> None:
    good, bad, short = put(b"good"), put(b"to be damaged"), put(b"to be shortened")
    cache.remember({"url": "https://example.org"}, {"sha256": bad})
    assert cache.verify() == []
    for sha256, raw in ((bad, b"To be damaged"), (short, b"to be short")):
        os.chmod(cache.blob(sha256), 0o644)
        cache.blob(sha256).write_bytes(raw)
    damaged = cache.verify()
    assert {entry.sha256 for entry in damaged} == {bad, short}
    assert [entry.requests for entry in damaged if entry.sha256 == bad] == [[{"url": "https://example.org"}]]
    assert [cache.has(sha256) for sha256 in (good, bad, short)] == [True, False, False]
    assert cache.find({"url": "https://example.org"}) is None
    assert cache.verify() == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"HF_HUB_OFFLINE": "0"}, None),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE=1"),
        ({"HF_HUB_OFFLINE": "TRUE"}, "HF_HUB_OFFLINE=TRUE"),
        ({"CPT_DYNAMICS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}, "CPT_DYNAMICS_OFFLINE=1"),
    ],
)
def test_what_forbids_downloads(values: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cache.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert cache.offline() == expected


def test_records_are_plain_json(root: Path) -> None:
    cache.remember({"url": "https://example.org"}, {"sha256": put(b"text"), "bytes": 4})
    (path,) = (root / "requests").iterdir()
    kept = json.loads(path.read_text())
    assert kept == {"request": {"url": "https://example.org"}, "record": {"sha256": digest(b"text"), "bytes": 4}}
