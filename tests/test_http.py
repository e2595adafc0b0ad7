"""Corpora at fixed addresses: downloads that are cut, refused, changed or killed, and what is read from them."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from worlds.commands import small_file_system
from worlds.site import SMALL, TEXTS, Answer, Site, serving

from cpt_dynamics.cli import main
from cpt_dynamics.config import Config, Http
from cpt_dynamics.corpora import cache, download, http, parquet, pins
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import read_json

LARGE = bytes(i % 251 for i in range(3_000_000))


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as made:
        yield made


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and leave to download."""
    for name in cache.OFFLINE:
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NETRC", os.devnull)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been waited for between tries."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def quiet(line: str) -> None:
    pass


def fetched(site: Site, **changes: Any) -> bytes:
    (path,) = http.fetch(site.spec(**changes), quiet)
    return path.read_bytes()


def refusal(action: Callable[[], object]) -> str:
    """The one line of an error."""
    with pytest.raises(UserError) as error:
        action()
    assert "\n" not in str(error.value)
    return str(error.value)


def left(root: Path) -> list[str]:
    """Names of the files under partial/, but for the note on a download's version."""
    return [path.name for path in (root / "partial").rglob("*") if path.is_file() and path.suffix != ".json"]


# Downloads that go well, or go on


def test_a_file_is_downloaded_once(site: Site, root: Path) -> None:
    lines: list[str] = []
    (path,) = http.fetch(site.spec(), lines.append)
    assert path == cache.blob(site.sha256)
    assert path.read_bytes() == SMALL
    assert lines[0] == f"{site.url()}: downloading 0.0 MB"
    assert left(root) == []
    assert cache.entries() == [cache.Entry(site.sha256, len(SMALL), [{"url": site.url(), "sha256": site.sha256}])]
    http.fetch(site.spec(), lines.append)
    assert site.ranges_asked() == [None]


@pytest.mark.parametrize("length", [True, False])
def test_a_download_cut_at_any_byte_goes_on_there(length: bool, site: Site, tmp_path: Path, waits: list[float]) -> None:
    # without a stated length a cut looks like the end of the file, which only the digest tells
    site.length = length
    for cut in range(len(SMALL)):
        site.asked.clear()
        site.answers = [Answer(cut=cut)]
        path = tmp_path / f"cut{cut}"
        download.download(site.url(), path, quiet)
        if length:
            assert site.ranges_asked() == [None, f"bytes={cut}-" if cut else None]
            assert path.read_bytes() == SMALL
        else:
            assert path.read_bytes() == SMALL[:cut]


def test_a_run_cut_at_any_byte_leaves_nothing_finished_and_the_next_goes_on(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "download", partial(download.download, tries=1))
    for cut in range(len(SMALL)):
        site.answers = [Answer(cut=cut)]
        assert "dropped" in refusal(lambda: fetched(site))
        assert cache.entries() == []
        site.asked.clear()
        assert fetched(site) == SMALL
        assert site.ranges_asked() == [f"bytes={cut}-" if cut else None]
        assert left(root) == []
        cache.blob(site.sha256).unlink()


def test_a_digest_tells_a_cut_that_looks_like_the_end(site: Site, waits: list[float]) -> None:
    site.length = False
    site.answers = [Answer(cut=20)]
    assert f"{site.sha256} is expected" in refusal(lambda: fetched(site))
    assert fetched(site) == SMALL


def test_a_download_in_many_pieces(site: Site, waits: list[float]) -> None:
    site.content = LARGE
    site.answers = [Answer(cut=150_000)] * 19  # more than the tries, but each brings new bytes
    assert fetched(site) == LARGE
    assert site.ranges_asked() == [None, *(f"bytes={150_000 * i}-" for i in range(1, 20))]
    assert set(waits) == {0}


def test_a_server_without_ranges_starts_over(site: Site, waits: list[float]) -> None:
    site.ranges = False
    site.answers = [Answer(cut=20), Answer(cut=30)]
    assert fetched(site) == SMALL
    assert site.ranges_asked() == [None, "bytes=20-", "bytes=30-"]


@pytest.mark.parametrize("conditions", [True, False])
def test_a_file_that_changed_between_tries_is_taken_whole(
    conditions: bool, site: Site, root: Path, waits: list[float]
) -> None:
    site.conditions = conditions
    site.answers = [Answer(cut=20)]
    former, site.content, site.etag = site.content, LARGE[:500], '"2"'
    new = site.spec()
    site.content, site.etag = former, '"1"'

    def change(line: str) -> None:
        site.content, site.etag = LARGE[:500], '"2"'

    (path,) = http.fetch(new, change)
    assert path.read_bytes() == LARGE[:500]
    assert site.asked[1]["if-range"] == '"1"'


def test_a_weak_etag_does_not_go_into_if_range(site: Site, waits: list[float]) -> None:
    site.etag = 'W/"1"'
    site.answers = [Answer(cut=20, headers={"Last-Modified": "Sat, 01 Nov 2025 00:00:00 GMT"})]
    site.conditions = False
    assert fetched(site) == SMALL
    assert site.asked[1]["if-range"] == "Sat, 01 Nov 2025 00:00:00 GMT"


def test_what_an_earlier_run_left_of_another_file_is_given_up(site: Site, root: Path, waits: list[float]) -> None:
    site.etag = None  # nothing tells the versions apart but the digest
    site.answers = [Answer(cut=20)] + [Answer(status=503)] * download.TRIES
    refusal(lambda: fetched(site))
    site.answers = []
    site.content = b"?" * len(SMALL)
    site.asked.clear()
    assert fetched(site) == site.content
    assert site.ranges_asked() == ["bytes=20-", None]


def test_a_file_that_became_shorter_is_taken_whole(site: Site, waits: list[float]) -> None:
    site.etag = None
    site.answers = [Answer(cut=40)] + [Answer(status=503)] * download.TRIES
    refusal(lambda: fetched(site))
    site.answers, site.content = [], SMALL[:30]
    assert fetched(site) == SMALL[:30]


def test_a_run_killed_between_the_last_byte_and_the_check(site: Site, root: Path) -> None:
    with cache.partial(site.url()) as folder:
        download.download(site.url(), folder / "file", quiet)
        kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.mkdir()
    for name, raw in kept.items():
        (folder / name).write_bytes(raw)
    site.asked.clear()
    assert fetched(site) == SMALL
    assert site.asked == []
    assert left(root) == []


def test_a_whole_file_without_a_known_length_is_recognised(site: Site) -> None:
    site.length = False
    with cache.partial(site.url()) as folder:
        pass
    folder.mkdir()
    (folder / "file").write_bytes(SMALL)
    assert fetched(site) == SMALL
    assert site.ranges_asked() == [f"bytes={len(SMALL)}-"]


# Servers that are busy, and those that refuse


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_when_it_says(status: int, site: Site, waits: list[float]) -> None:
    site.answers = [Answer(status=status, headers={"Retry-After": "7"})]
    assert fetched(site) == SMALL
    assert waits == [7]


def test_waits_may_be_dates_and_have_a_limit(site: Site, waits: list[float]) -> None:
    later = formatdate(time.time() + 100, usegmt=True)
    site.answers = [Answer(status=429, headers={"Retry-After": value}) for value in (later, "86400", "soon")]
    assert fetched(site) == SMALL
    assert waits[0] == pytest.approx(100, abs=10)
    assert waits[1] == download.LONGEST_WAIT
    assert waits[2] <= 5


def test_waits_double_and_tries_end(site: Site, waits: list[float], root: Path) -> None:
    site.answers = [Answer(status=503)] * 20
    assert "503 Service Unavailable" in refusal(lambda: fetched(site))
    assert len(site.asked) == download.TRIES
    assert len(waits) == download.TRIES - 1
    assert waits[0] == 0
    for number, wait in enumerate(waits[1:], start=1):
        assert min(2**number, 60) <= wait <= min(2**number + 1, 60)
    assert cache.entries() == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, r"404 Not Found\): correct the address"),
        (410, r"410 Gone\): correct the address"),
        (401, r"401 Unauthorized\): put the credentials"),
        (403, r"403 Forbidden\): put the credentials .* ask its keeper"),
    ],
)
def test_a_refusal_is_one_line_and_not_repeated(status: int, words: str, site: Site, waits: list[float]) -> None:
    site.answers = [Answer(status=status)] * 2
    message = refusal(lambda: fetched(site))
    assert re.search(words, message)
    assert site.url() in message
    assert len(site.asked) == 1


def test_a_body_shorter_than_stated_is_not_taken(site: Site, waits: list[float], root: Path) -> None:
    site.ranges = False
    site.answers = [Answer(cut=30)] * 20
    assert "the connection was dropped" in refusal(lambda: fetched(site))
    assert len(site.asked) == download.TRIES
    assert cache.entries() == []


def test_a_server_that_stalls_is_given_up(site: Site, tmp_path: Path, waits: list[float]) -> None:
    hold = threading.Event()
    site.answers = [Answer(cut=30, hold=hold)]
    lines: list[str] = []
    download.download(site.url(), tmp_path / "file", lines.append, timeout=0.2)
    hold.set()
    assert (tmp_path / "file").read_bytes() == SMALL
    assert f"{site.url()}: it timed out after 0.2 s; trying again in 0 s" in lines
    assert site.ranges_asked() == [None, "bytes=30-"]


def test_a_closed_port_is_one_line(tmp_path: Path, waits: list[float]) -> None:
    with socket.socket() as taken:  # bound, but nothing listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a.txt"
        message = refusal(lambda: download.download(url, tmp_path / "file", quiet))
    assert message == f"{url} cannot be downloaded (connection refused): check the network"
    assert len(waits) == download.TRIES - 1


def test_an_unknown_host_is_one_line_at_once(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*arguments: Any, **options: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    message = refusal(lambda: download.download("http://nowhere.invalid/a.txt", tmp_path / "file", quiet))
    assert message == (
        "http://nowhere.invalid/a.txt cannot be downloaded (its host is unknown, or there is no network):"
        " check the address and the network"
    )
    assert waits == []


def test_a_larger_file_than_allowed_is_refused(site: Site, tmp_path: Path) -> None:
    for site.length in (True, False):
        message = refusal(lambda: download.download(site.url(), tmp_path / "file", quiet, largest=30))
        assert "larger than 30 bytes" in message


@pytest.mark.parametrize("variable", cache.OFFLINE)
def test_offline_only_the_cache_is_read(variable: str, site: Site, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    message = refusal(lambda: fetched(site))
    for words in (site.url(), str(root), f"{variable}=1", "cpt-dynamics corpora fetch", cache.VARIABLE):
        assert words in message
    monkeypatch.setenv(variable, "0")
    fetched(site)
    monkeypatch.setenv(variable, "1")
    assert fetched(site) == SMALL
    assert len(site.asked) == 1


def test_a_wrong_digest_is_refused_and_nothing_is_left(site: Site, root: Path) -> None:
    spec = site.spec()
    site.content = b"other"
    message = refusal(lambda: http.fetch(spec, quiet))
    assert message.startswith(f"{site.url()} has sha256 {site.sha256}, {spec.files[0].sha256} is expected")
    assert cache.entries() == []
    assert left(root) == []
    assert len(site.asked) == 1


# Machines that fail


@pytest.fixture
def small_disk(root: Path) -> Iterator[Path]:
    """The cache on a file system of 1 MiB."""
    with small_file_system(root, "1m") as folder:
        yield folder


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(site: Site, small_disk: Path) -> None:
    site.content = LARGE
    message = refusal(lambda: fetched(site))
    assert f"no space left for the cache {small_disk}" in message
    assert cache.entries() == []
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert fetched(site) == LARGE
    (start,) = re.findall(r"\d+", str(site.ranges_asked()[1]))
    assert 0 < int(start) < 1 << 20


def run(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "cpt_dynamics", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def add_corpus(world: Path, spec: Http, name: str = "distant") -> None:
    path = world / "config/config.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["corpora"][name] = spec.model_dump(mode="json")
    path.write_text(yaml.safe_dump(raw, sort_keys=False))


def until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_download_goes_on_in_the_next_run(site: Site, root: Path, world: Path) -> None:
    site.content = LARGE
    hold = threading.Event()
    site.answers = [Answer(cut=1_234_567, hold=hold)]
    add_corpus(world, site.spec())
    process = run("corpora", "fetch")
    until(lambda: any(path.stat().st_size == 1_234_567 for path in (root / "partial").glob("*/file")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hold.set()
    assert cache.entries() == []
    assert fetched(site) == LARGE
    assert site.ranges_asked() == [None, "bytes=1234567-"]
    assert site.asked[1]["if-range"] == '"1"'


def test_two_processes_download_once(site: Site, world: Path) -> None:
    site.content = LARGE
    hold = threading.Event()
    site.answers = [Answer(cut=len(LARGE) - 1, hold=hold)]
    add_corpus(world, site.spec())
    both = [run("corpora", "fetch", "distant") for _ in range(2)]
    until(lambda: len(site.asked) == 1)
    time.sleep(1.5)  # for the other one to come as far
    hold.set()
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(errors) == ["", f"another process is fetching {site.url()}: waiting for it\n"]
    assert site.ranges_asked() == [None, f"bytes={len(LARGE) - 1}-"]
    assert cache.blob(site.sha256).read_bytes() == LARGE


# Reading


def test_texts_and_their_record(site: Site, tmp_path: Path) -> None:
    record: dict[str, Any] = {}
    assert list(http.read(site.spec(), record)) == TEXTS
    assert record == {
        "from": [site.url()],
        "files": [{"url": site.url(), "bytes": len(SMALL), "sha256": site.sha256}],
        "warnings": [],
    }


@pytest.mark.parametrize("name", ["texts.jsonl.gz?download=1", "files/17#texts.jsonl.gz", "My%20texts.JSONL.GZ"])
def test_the_kind_is_read_from_the_address(name: str, site: Site) -> None:
    assert list(http.read(site.spec(name), {})) == TEXTS


def test_an_address_that_does_not_tell_the_kind(site: Site) -> None:
    assert f"{site.url('17')} is of no known kind" in refusal(lambda: list(http.read(site.spec("17"), {})))


def test_errors_in_a_text_name_the_address(site: Site) -> None:
    site.content = b'{"text": "a"}\n{"text": 1}\n'
    assert refusal(lambda: list(http.read(site.spec("a.jsonl"), {}))).startswith(
        f"{site.url('a.jsonl')} line 2: 'text'"
    )


def test_a_blob_that_was_copied_in_part_is_not_read(site: Site) -> None:
    fetched(site)
    os.truncate(cache.blob(site.sha256), 10)
    message = refusal(lambda: list(http.read(site.spec(), {})))
    assert "is damaged: `cpt-dynamics corpora verify` deletes it" in message


def tarball(**members: list[str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, texts in members.items():
            raw = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
            info = tarfile.TarInfo(f"corpus/{name}.jsonl")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return packed.getvalue()


def test_documents_of_an_archive_through_the_commands(
    site: Site, world: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site.content = tarball(one=["a", "b"], two=["c", "a"])
    add_corpus(world, site.spec("corpus.tar.gz", licence="CC0-1.0"))
    site.answers = [Answer(cut=100)]
    assert main(["documents", "distant"]) == 0
    folder = world / "data/corpora/distant"
    assert list(parquet.texts(folder / "documents.parquet")) == ["a", "b", "c"]
    source = read_json(folder / "source.json")
    assert (source["source"], source["licence"], source["documents"]) == ("http", "CC0-1.0", 3)
    assert source["from"] == [site.url("corpus.tar.gz")]
    assert source["files"] == [{"url": site.url("corpus.tar.gz"), "bytes": len(site.content), "sha256": site.sha256}]
    out, error = capfd.readouterr()
    assert out.splitlines()[-1].startswith("distant: 3 documents")
    assert "the connection was dropped; trying again in 0 s" in error


# Commands


def test_fetch_says_what_was_there(site: Site, world: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_corpus(world, site.spec())
    assert main(["corpora", "fetch"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "distant: in the cache before: no"
    assert main(["corpora", "fetch"]) == 0
    assert capsys.readouterr().out.splitlines() == ["distant: in the cache before: yes", f"cache: {root}"]
    assert main(["corpora", "fetch", "prose", "distant"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "prose: source `local` downloads nothing"
    assert main(["corpora", "fetch", "absent"]) == 2
    assert "there is no corpus 'absent'" in capsys.readouterr().err
    assert len(site.asked) == 1


def test_verify_names_what_is_missing_or_damaged(site: Site, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_corpus(world, site.spec())
    assert main(["corpora", "verify"]) == 1
    assert "distant: in the cache: no; `cpt-dynamics corpora fetch distant` brings it" in capsys.readouterr().out
    main(["corpora", "fetch"])
    capsys.readouterr()
    assert main(["corpora", "verify"]) == 0
    assert "1 intact files" in capsys.readouterr().out
    os.truncate(cache.blob(site.sha256), 10)
    assert main(["corpora", "verify"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"damaged and deleted: {site.sha256} ({site.url()})"
    assert lines[1].startswith("distant: in the cache: no")
    assert main(["corpora", "fetch"]) == 0
    assert main(["corpora", "verify"]) == 0


def test_list_shows_every_corpus(site: Site, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_corpus(world, site.spec(licence="CC0-1.0"))
    main(["corpora", "fetch"])
    capsys.readouterr()
    assert main(["corpora", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["corpus", "prose", "lists", "rules", "distant"]
    assert lines[4].split() == ["distant", "http", "yes", "0.0", "CC0-1.0", site.url()]
    assert main(["corpora", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["cached"] is None
    assert (rows[3]["corpus"], rows[3]["cached"], rows[3]["bytes"]) == ("distant", "yes", len(SMALL))


def test_pin_names_the_file_and_says_what_failed(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["corpora", "pin"]) == 2
    assert "HF_HUB_OFFLINE=1 forbids" in capsys.readouterr().err
    calls: list[tuple[Path, bool]] = []

    def pinned(path: Path, config: Config, again: bool) -> list[str]:
        calls.append((path, again))
        return [f"corpora.a.revision{pins.FAILED}the Hub is down" if again else "corpora.a.revision: pinned"]

    monkeypatch.setattr(pins, "pin", pinned)
    (world / "own.yaml").write_text("seed: 4\n")
    assert main(["corpora", "pin"]) == 0
    assert main(["corpora", "pin", "own.yaml", "--again"]) == 1
    assert calls == [(Path("config/config.yaml"), False), (Path("own.yaml"), True)]
    assert capsys.readouterr().out.splitlines()[0] == "corpora.a.revision: pinned"
