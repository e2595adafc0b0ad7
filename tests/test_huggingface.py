"""The `huggingface` source and `corpora pin`: the real client libraries against a Hub on the loopback interface."""

import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers
import yaml
import zstandard
from tokenizers import models, pre_tokenizers
from worlds import REPOSITORY
from worlds.commands import small_file_system
from worlds.hub_server import Hub, Repository, running

from cpt_dynamics import files

NUMBERS = count()
SOURCE = {"source": "huggingface", "maximum_megabytes": 1.0}
PART = 4000  # bytes of text in a part here


class Client:
    """A process with the client libraries, see worlds/hub_client.py."""

    def __init__(self, hub: Hub, home: Path) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "PYTHONWARNINGS": "ignore"}
        environment["USE_TORCH"] = "0"  # `datasets` would import it in every call
        self.process = subprocess.Popen(
            [sys.executable, str(REPOSITORY / "tests/worlds/hub_client.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, do: str, **options: Any) -> Any:
        (answer,) = self.calls(do, **options)
        return answer

    def calls(self, do: str, **options: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"do": do, "part": PART, **options}), file=self.process.stdin, flush=True)
        answers = json.loads(self.process.stdout.readline())
        print(answers)  # pytest shows it if the test fails
        return answers


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with running() as hub:
        yield hub


@pytest.fixture(scope="module")
def client(server: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    started = Client(server, tmp_path_factory.mktemp("home"))
    yield started
    started.process.communicate("")


@pytest.fixture
def hub(server: Hub) -> Iterator[Hub]:
    server.log.clear()
    yield server
    server.busy, server.down = 0, False
    server.claims.clear()
    server.cuts.clear()
    server.corrupted.clear()
    server.tokens.clear()


@pytest.fixture
def name(hub: Hub) -> str:
    """A data set that no other test has."""
    return f"owner/set{next(NUMBERS)}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"CPT_DYNAMICS_CACHE": str(tmp_path / "cache")}


def texts(shard: int, number: int = 300) -> list[str]:
    return [f"shard {shard} document {i} " + "väl " * (i % 9) for i in range(number)]


def parquet(values: list[Any], column: str = "text") -> bytes:
    held = io.BytesIO()
    pq.write_table(pa.table({"number": range(len(values)), column: values}), held, row_group_size=70)
    return held.getvalue()


def no_rows() -> bytes:
    held = io.BytesIO()
    pq.ParquetWriter(held, pa.schema([("text", pa.string())])).close()
    return held.getvalue()


def jsonl(values: list[str]) -> bytes:
    return b"".join(json.dumps({"number": i, "text": text}).encode() + b"\n" for i, text in enumerate(values))


def three_shards(hub: Hub, name: str) -> tuple[Repository, dict[str, Any]]:
    repository = hub.dataset(name)
    held = {f"data/train-{i:05}-of-00003.parquet": parquet(texts(i)) for i in range(3)}
    card = b"---\nlicense: odc-by\n---\n"
    commit = repository.commit({"README.md": card, **held})
    repository.card = {"license": "odc-by", "pretty_name": "A set"}
    return repository, {**SOURCE, "repository": name, "revision": commit}


def size(values: list[str]) -> int:
    return sum(len(text.encode()) for text in values)


def test_shards_are_read_in_order_up_to_the_budget(
    hub: Hub, client: Client, name: str, environment: dict[str, str]
) -> None:
    _, spec = three_shards(hub, name)
    expected = texts(0) + texts(1)[:100]
    # one byte less than the next document needs
    spec["maximum_megabytes"] = (size(expected) + size(texts(1)[100:101]) - 1) / 1e6
    found, record = client.call("read", spec=spec, environment=environment)["result"]
    assert found == expected
    assert record["from"] == {"repository": name, "configuration": None, "split": "train"}
    assert (record["revision"], record["licence"], record["warnings"]) == (spec["revision"], "odc-by", [])
    assert record["card"] == {"title": "A set", "url": f"{hub.url}/datasets/{name}"}
    assert [shard["path"] for shard in record["files"]] == [f"data/train-{i:05}-of-00003.parquet" for i in range(2)]
    assert len(hub.downloads("data/train-00000")) == len(hub.downloads("data/train-00001")) == 1
    assert not hub.downloads("data/train-00002")

    hub.log.clear()
    spec["maximum_megabytes"] = (size(expected) + size(texts(1)[100:101])) / 1e6
    assert client.call("read", spec=spec, environment=environment)["result"][0] == expected + texts(1)[100:101]
    hub.log.clear()
    again = client.call("read", spec={**spec, "licence": "mine"}, environment=environment)["result"][1]
    assert again["licence"] == "mine"
    assert not hub.log, "what is in the cache is not asked for again"


def test_budget_of_tokens(hub: Hub, client: Client, name: str, environment: dict[str, str], tmp_path: Path) -> None:
    _, spec = three_shards(hub, name)
    words = {word: i for i, word in enumerate(["<|endoftext|>", "[UNK]"])}
    encoder = tokenizers.Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    encoder.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    encoder.add_special_tokens(["<|endoftext|>"])
    encoder.save(str(tmp_path / "tokenizer.json"))
    expected = texts(0)[:250]
    number = sum(len(text.split()) for text in expected)
    del spec["maximum_megabytes"]
    spec |= {"maximum_tokens": number, "tokenizer": str(tmp_path)}
    path = client.call("fetch", spec=spec, environment=environment)["result"]
    assert pq.read_table(path)["text"].to_pylist() == expected
    (kept,) = (tmp_path / "cache/requests").glob("*.json")
    record = json.loads(kept.read_text())["record"]
    assert (record["tokens"], record["documents"], record["bytes"]) == (number, 250, size(expected))
    assert record["sha256"] == Path(path).name == files.sha256(path)


def test_formats_and_files(hub: Hub, client: Client, name: str, environment: dict[str, str]) -> None:
    repository = hub.dataset(name)
    plain = jsonl(texts(4))
    rows = "text,number\n" + "".join(f"{text},{i}\n" for i, text in enumerate(texts(4)))
    held = {
        "a/x[1].jsonl": plain,
        "a/x.jsonl.gz": gzip.compress(plain),
        "a/x.jsonl.zst": zstandard.compress(plain),
        "a/x.jsonl.xz": lzma.compress(plain),
        "a/x.csv": rows.encode(),
        "a/x.parquet": parquet(texts(4)),
        "b/1.jsonl": jsonl(texts(1)),
        "b/0.jsonl": jsonl(texts(0)),
        f"{name.split('/')[1]}.py": b"raise SystemExit",
    }
    spec = {**SOURCE, "repository": name, "revision": repository.commit(held)}
    for path in list(held)[:6]:
        found, record = client.call("read", spec={**spec, "files": [path]}, environment=environment)["result"]
        assert found == texts(4)
        assert record["warnings"] == [
            f"the data set ended before its budget, with {size(texts(4)) / 1e6:.1f} MB of text"
        ]
    found, _ = client.call("read", spec={**spec, "files": ["b/*.jsonl"]}, environment=environment)["result"]
    assert found == texts(0) + texts(1)
    wrong = client.call("fetch", spec={**spec, "files": ["c/*"]}, environment=environment)["error"]
    assert "no file that matches 'c/*'" in wrong


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_killed_runs_go_on_and_give_the_same_file(
    hub: Hub, client: Client, name: str, tmp_path: Path, kind: str
) -> None:
    make = {"parquet": parquet, "jsonl": jsonl}[kind]
    commit = hub.dataset(name).commit({f"train-{i}.{kind}": make(texts(i)) for i in range(3)})
    spec = {**SOURCE, "repository": name, "revision": commit}
    spec["maximum_megabytes"] = size(texts(0) + texts(1) + texts(2)[:120]) / 1e6
    uncut = {"CPT_DYNAMICS_CACHE": str(tmp_path / "uncut")}
    expected = Path(client.call("fetch", spec=spec, environment=uncut)["result"])
    assert pq.read_table(expected)["text"].to_pylist() == texts(0) + texts(1) + texts(2)[:120]
    assert pq.ParquetFile(expected).num_row_groups == 8

    cut = {"CPT_DYNAMICS_CACHE": str(tmp_path / "cut")}
    hub.log.clear()
    for writes in (1, 2, 3):  # each run gets so many parts further and is killed
        assert client.call("fetch", spec=spec, environment=cut, die_after=writes) == {"exit": -9}
        assert not list((tmp_path / "cut/blobs").glob("*/*"))
        assert not (tmp_path / "cut/requests").exists()
    found = Path(client.call("fetch", spec=spec, environment=cut)["result"])
    assert found.name == expected.name
    for i in range(3):
        assert len(hub.downloads(f"train-{i}.{kind}")) == 1, "no shard is downloaded twice"
    assert not list((tmp_path / "cut/partial").iterdir())


def test_cut_downloads_go_on(hub: Hub, client: Client, name: str, environment: dict[str, str], tmp_path: Path) -> None:
    repository, spec = three_shards(hub, name)
    second = "data/train-00001-of-00003.parquet"
    length = len(repository.commits[spec["revision"]][second])
    hub.cuts[second] = [0, 1, length // 2, 0, 0]
    error = client.call("fetch", spec=spec, environment=environment)["error"]
    assert "300 documents are kept, the next run goes on after them" in error
    assert "\n" not in error
    assert not (tmp_path / "cache/requests").exists()
    hub.log.clear()
    hub.cuts.clear()
    path = client.call("fetch", spec=spec, environment=environment)["result"]
    assert pq.read_table(path)["text"].to_pylist() == texts(0) + texts(1) + texts(2)
    assert not hub.downloads("data/train-00000")
    (continued,) = hub.downloads("data/train-00001")
    done = int(continued.rpartition("bytes=")[2].removesuffix("-"))
    assert done == 1 + length // 2


def test_wrong_checksums(hub: Hub, client: Client, name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Of a large file, whose sha256 the Hub states, and of a small one, of which it states git's digest."""
    held = {"large.parquet": parquet(texts(0)), "small.jsonl": jsonl(texts(0))}
    spec = {**SOURCE, "repository": name, "revision": hub.dataset(name).commit(held)}
    for path in held:
        hub.corrupted[path] = 2
        error = client.call("fetch", spec={**spec, "files": [path]}, environment=environment)["error"]
        assert f"{path} of the data set {name} came twice with another digest than the Hub states" in error
        assert not list((tmp_path / "cache").glob("blobs/*/*"))
        hub.corrupted[path] = 1
        found, _ = client.call("read", spec={**spec, "files": [path]}, environment=environment)["result"]
        assert found == texts(0)
        shutil.rmtree(tmp_path / "cache")


def test_the_commit_cannot_move(hub: Hub, client: Client, name: str, environment: dict[str, str]) -> None:
    repository, spec = three_shards(hub, name)
    # main moves on, the pinned commit does not
    other = repository.commit({"README.md": b"", "data/train.parquet": parquet(texts(9))})
    assert client.call("read", spec=spec, environment=environment)["result"][0][:300] == texts(0)
    spec["maximum_megabytes"] = 0.9
    for place, keys in [("api", {}), ("resolve", {}), ("resolve", {"files": ["data/*"]})]:
        hub.claims[place] = other
        error = client.call("fetch", spec={**spec, **keys}, environment=environment)["error"]
        assert f"answers for commit {other} where {spec['revision']} is asked for" in error
        hub.claims.clear()
    del repository.commits[spec["revision"]]
    error = client.call("fetch", spec=spec, environment=environment)["error"]
    assert "no such revision" in error
    assert "corpora pin --again" in error


def test_busy_hub(hub: Hub, client: Client, name: str, environment: dict[str, str]) -> None:
    _, spec = three_shards(hub, name)
    hub.busy, hub.retry_after = 3, "37"
    answer = client.call("fetch", spec=spec, environment=environment)
    assert "result" in answer
    assert answer["slept"][:3] == [37, 37, 37]
    hub.busy, hub.retry_after = 1000, "0"
    error = client.call("fetch", spec={**spec, "maximum_megabytes": 0.5}, environment=environment)["error"]
    assert "limits the rate of requests (429)" in error
    hub.busy, hub.down = 0, True
    error = client.call("fetch", spec={**spec, "maximum_megabytes": 0.5}, environment=environment)["error"]
    assert f"the data set {name} cannot be reached" in error
    assert "\n" not in error


def test_access(hub: Hub, client: Client, name: str, environment: dict[str, str]) -> None:
    repository, spec = three_shards(hub, name)
    repository.gated = True
    hub.tokens.update({"stranger": False, "friend": True})

    def error(**variables: str) -> str:
        return str(client.call("fetch", spec=spec, environment={**environment, **variables})["error"])

    assert f"is gated and no token was sent: ask for access at {hub.url}/datasets/{name}" in error()
    assert f"the account of HF_TOKEN has no access: ask for it at {hub.url}" in error(HF_TOKEN="stranger")
    assert "does not accept the token: set HF_TOKEN" in error(HF_TOKEN="invented")
    answer = client.call("fetch", spec=spec, environment={**environment, "HF_TOKEN": "friend"})
    assert "result" in answer  # the server fails if the token goes on to another host
    spec["repository"] = "owner/nothing"
    assert "owner/nothing is unknown to" in error()


def test_what_is_wrong_with_a_data_set(hub: Hub, client: Client, name: str, environment: dict[str, str]) -> None:
    repository = hub.dataset(name)
    card = {"configs": [{"config_name": part, "data_files": f"{part}/*.parquet"} for part in ("en", "sv")]}
    held = {"en/1.parquet": parquet(texts(0)), "sv/1.parquet": parquet(list(range(5)))}
    readme = f"---\n{yaml.safe_dump(card)}---\n".encode()
    spec = {**SOURCE, "repository": name, "revision": repository.commit({"README.md": readme, **held})}

    def error(**keys: Any) -> str:
        answer = client.call("fetch", spec={**spec, **keys}, environment=environment)
        assert "\n" not in answer["error"]
        return str(answer["error"])

    assert error(revision=None).endswith("pin it first with `cpt-dynamics corpora pin`")
    assert "needs a configuration, it has en, sv" in error()
    assert "has no configuration 'de', it has en, sv" in error(configuration="de")
    assert "has no split 'test', it has train" in error(configuration="en", split="test")
    assert "has no column 'body', it has number, text" in error(configuration="en", text="body")
    assert "column 'text' holds int, a string is expected" in error(configuration="sv")
    assert "its first document is larger than the budget" in error(configuration="en", maximum_megabytes=1e-6)
    spec["revision"] = repository.commit({"data.parquet": no_rows()})
    assert "gave no document: it has none" in error()
    spec["revision"] = repository.commit({"data.bin": b"0"})
    assert "no files that `datasets` knows how to read" in error()
    spec["revision"] = repository.commit({"data.parquet": b"PAR1 and nothing more"})
    assert "data.parquet of the data set" in error()
    spec["revision"] = repository.commit({f"{name.split('/')[1]}.py": b"raise SystemExit", "data.txt": b"text"})
    assert "is a script, which `datasets` no longer runs: name its text files with `files`" in error()
    converted = repository.commit({"default/train/0000.parquet": parquet(texts(0))}, "refs/convert/parquet")
    assert f"set its revision to {converted}" in error()
    found, _ = client.call(
        "read", spec={**spec, "revision": converted, "files": ["default/train/*.parquet"]}, environment=environment
    )["result"]
    assert found == texts(0)
    offline = client.call("fetch", spec=spec, environment={**environment, "HF_HUB_OFFLINE": "1"})["error"]
    assert offline.startswith(f"the data set {name} is not in the cache")


def test_nulls_are_empty_documents(hub: Hub, client: Client, name: str, environment: dict[str, str]) -> None:
    commit = hub.dataset(name).commit({"x.parquet": parquet(["a", None, "b"])})
    spec = {**SOURCE, "repository": name, "revision": commit}
    assert client.call("read", spec=spec, environment=environment)["result"][0] == ["a", "", "b"]


def test_two_processes_download_once(
    hub: Hub, client: Client, name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    _, spec = three_shards(hub, name)
    one, other = client.calls("fetch", spec=spec, environment=environment, copies=2)
    assert one["result"] == other["result"]
    assert len(hub.downloads("data/train-00000")) == 1
    assert len(list(tmp_path.glob("cache/blobs/*/*"))) == 1


def test_a_full_disk_is_said(hub: Hub, client: Client, name: str, tmp_path: Path) -> None:
    with small_file_system(tmp_path / "disk", "256k") as disk:
        commit = hub.dataset(name).commit({"x.jsonl": jsonl(texts(0, 9000))})
        spec = {**SOURCE, "repository": name, "revision": commit}
        environment = {"CPT_DYNAMICS_CACHE": str(disk / "cache")}
        error = client.call("fetch", spec=spec, environment=environment)["error"]
        assert "no space left for" in error
        assert not list(disk.glob("cache/requests/*"))
        assert subprocess.run(["mount", "-o", "remount,size=64m", str(disk)]).returncode == 0
        path = client.call("fetch", spec=spec, environment=environment)["result"]
        assert pq.read_table(path)["text"].to_pylist() == texts(0, 9000)


CONFIGURATION = """\
# a scale — with comments
corpora:
  web:                # the general one
    source: huggingface
    revision: null  # not yet
    repository: owner/web
    maximum_megabytes: 1
  law: &law {source: huggingface, repository: owner/law, maximum_megabytes: 1}   # one line
  law_again: *law
  empty:
    source: huggingface
    repository: "owner/web"   # quoted
    revision:
    maximum_tokens: 5
    tokenizer: owner/model
  missing:
    source: huggingface
    repository: owner/web # kept here
    maximum_megabytes: 1
  pinned:
    source: huggingface
    repository: owner/law
    revision: '0123456789012345678901234567890123456789'
    maximum_megabytes: 1
  gone: {source: huggingface, repository: owner/gone, maximum_megabytes: 1}
tokenizer: {pretrained: 'owner/model'}
models:
  small: {pretrained: owner/model@0123456789012345678901234567890123456789}
  tag: {pretrained: owner/model@v1}
  large:
    pretrained: "owner/model"    # the end"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_pin_writes_commits_and_nothing_else(hub: Hub, client: Client, tmp_path: Path, newline: str) -> None:
    web = hub.dataset("owner/web").commit({"a.txt": b"1"})
    law = hub.dataset("owner/law").commit({"a.txt": b"law"})
    model = hub.model("owner/model").commit({"config.json": b"{}"})
    old = "0123456789" * 4
    path = tmp_path / "scale.yaml"
    path.write_bytes(CONFIGURATION.replace("\n", newline).encode())
    path.chmod(0o640)
    from worlds.tiny import TINY

    loaded = yaml.safe_load(CONFIGURATION)
    merged = {**TINY, **loaded, "corpora": {**TINY["corpora"], **loaded["corpora"]}}
    lines = client.call("pin", path=str(path), config=merged)["result"]
    expected = (
        CONFIGURATION.replace("revision: null  #", f"revision: {web}  #")
        .replace("repository: owner/law, max", f"repository: owner/law, revision: {law}, max")
        .replace("revision:\n    maximum_tokens", f"revision: {web}\n    maximum_tokens")
        .replace("tokenizer: owner/model", f"tokenizer: owner/model@{model}")
        .replace("owner/web # kept here", f"owner/web # kept here\n    revision: {web}")
        .replace("'owner/model'", f"'owner/model@{model}'")
        .replace('"owner/model"', f'"owner/model@{model}"')
    )
    assert path.read_bytes().decode() == expected.replace("\n", newline)
    assert path.stat().st_mode & 0o777 == 0o640
    assert f"corpora.web: owner/web pinned to {web}" in lines
    assert any(line.startswith("corpora.gone: not pinned: the data set owner/gone is unknown") for line in lines)
    assert not any("pinned" in line and "corpora.pinned" in line for line in lines)

    before = path.read_bytes()
    moved = hub.dataset("owner/web").commit({"a.txt": b"2"})
    assert len(client.call("pin", path=str(path), config=merged)["result"]) == 1, "only the one that is gone"
    assert path.read_bytes() == before
    lines = client.call("pin", path=str(path), config=merged, again=True)["result"]
    assert f"corpora.web: owner/web moved from {web} to {moved}" in lines
    assert f"corpora.pinned: owner/law moved from {old} to {law}" in lines
    assert f"corpora.law: owner/law is still at {law}" in lines
    assert path.read_bytes().decode() == expected.replace(web, moved).replace(f"'{old}'", law).replace(
        f"@{old}", f"@{model}"
    ).replace("\n", newline)
    hub.repositories.pop("datasets/owner/web")
