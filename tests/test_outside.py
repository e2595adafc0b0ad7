"""What comes from outside, through the command line: a corpus, an archive, a server, the Hub, a release or a campaign
gives what it holds, or one line."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import constants
from worlds.commands import refused
from worlds.hub_server import Hub, running
from worlds.released import release, sealed
from worlds.site import Answer, Site, serving
from worlds.tiny import EXPERIMENTS, TINY

from cpt_dynamics.cli import main
from cpt_dynamics.corpora import archives, cache, local
from cpt_dynamics.curves.released import CONTENTS, Release, seal
from cpt_dynamics.errors import UserError, shown
from cpt_dynamics.files import digest, inside, read_json, write_json
from cpt_dynamics.slots import parts

DEEP = "[" * 100_000 + "]" * 100_000
ESCAPE = "\x1b[2J\n"
SECRET = "hush"


def configured(world: Path, **corpus: Any) -> None:
    """Put a corpus into the place of `prose`."""
    settings = {**TINY, "corpora": {**TINY["corpora"], "prose": corpus}}
    (world / "config/config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


# --- corpora -----------------------------------------------------------------------------------------------------


def arrow(table: pa.Table) -> bytes:
    held = io.BytesIO()
    pq.write_table(table, held)
    return held.getvalue()


def not_utf8(**columns: list[str]) -> pa.Table:
    """A table with a column `text` whose one value is no UTF-8."""
    offsets = pa.py_buffer(b"\0\0\0\0\4\0\0\0")
    text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"caf\xe9")])
    return pa.table({**{name: pa.array(values) for name, values in columns.items()}, "text": text})


def flipped(raw: bytes, at: float) -> bytes:
    place = int(len(raw) * at)
    return raw[:place] + bytes([raw[place] ^ 0x55]) + raw[place + 1 :]


FILES: dict[str, tuple[str, bytes, str]] = {
    "nested deep": (
        "a.jsonl",
        b'{"text": "a"}\n{"text": "b", "n": %s}\n' % DEEP.encode(),
        "a.jsonl line 2 is not JSON",
    ),
    "a line too long": (
        "a.jsonl",
        b'{"text": "a"}\n{"text": "' + b"b" * 400_000 + b'"}',
        "a.jsonl line 2 is longer than 300,000 bytes: cut the text into documents",
    ),
    "a text too long": ("a.txt", b"b" * 400_000, "a.txt is longer than 300,000 bytes"),
    "no UTF-8 in parquet": ("a.parquet", arrow(not_utf8()), "a.parquet is not a readable parquet file"),
    "a column twice": (
        "a.parquet",
        arrow(pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])),
        "a.parquet has two columns 'text'",
    ),
    "a damaged page": (
        "a.parquet",
        flipped(arrow(pa.table({"text": ["abc"] * 9})), 0.02),
        "a.parquet is not a readable",
    ),
}


@pytest.mark.parametrize(("name", "raw", "line"), FILES.values(), ids=FILES)
def test_files_of_a_corpus(
    name: str, raw: bytes, line: str, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(local, "LONGEST", 300_000)
    (world / "text" / name).write_bytes(raw)
    configured(world, source="local", paths=[f"text/{name}"])
    assert line in refused(["documents", "prose"], capsys)
    assert not list((world / "data/corpora/prose").glob("*"))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("~nobody_of_this_name/a.txt", "~nobody_of_this_name/a.txt does not exist: correct the path"),
        (f"text/{'a' * 300}.txt", "cannot be used (File name too long)"),
        ("text/a\0.txt", "does not exist"),
    ],
)
def test_paths_of_a_corpus(path: str, line: str, world: Path, capsys: Any) -> None:
    configured(world, source="local", paths=[path])
    assert line in refused(["documents", "prose"], capsys)


@pytest.mark.parametrize("name", ["", "../numpy", f"numpy{ESCAPE}", "numpy/../x"])
def test_distributions_that_are_none(name: str, world: Path, capsys: Any) -> None:
    configured(world, source="installed", kind="code", distributions={name: "1"})
    said = refused(["documents", "prose"], capsys)
    assert "is not installed: install" in said
    assert said[:-1].isprintable()


def test_numbers_that_nobody_reads_may_be_long(world: Path) -> None:
    (world / "text/a.jsonl").write_text(f'{{"text": "a", "n": {"7" * 5000}}}\n')
    configured(world, source="local", paths=["text/a.jsonl"])
    assert main(["documents", "prose"]) == 0


RULES: dict[str, tuple[pa.Table, str]] = {
    "no UTF-8": (not_utf8(id=["1"]), "documents.parquet is not a readable parquet file"),
    "a column twice": (pa.table([pa.array(["1"])] * 3, names=["id", "text", "text"]), "has two columns 'text'"),
    "numbers": (pa.table({"id": ["1"], "text": [1]}), "column 'text' is int64, a string is expected"),
}


@pytest.mark.parametrize(("table", "line"), RULES.values(), ids=RULES)
def test_corpora_of_a_rule(table: pa.Table, line: str, world: Path, capsys: Any) -> None:
    configured(world, source="rule")
    folder = world / "data/corpora/prose"
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "documents.parquet")
    write_json(folder / "source.json", {"from": "a rule", "licence": "none"})
    assert line in refused(["split", "prose"], capsys)


def altered(path: Path) -> None:
    """Change a letter of the first text: the file stays readable."""
    table = pq.read_table(path)
    texts = table.column("text").to_pylist()
    changed = table.set_column(table.schema.get_field_index("text"), "text", [["#" + texts[0][1:], *texts[1:]]])
    pq.write_table(changed.cast(table.schema), path, compression="zstd")


def test_documents_are_those_that_were_written(world: Path, capsys: Any) -> None:
    text = Path("results/tiny/text/prose")
    for name in TINY["corpora"]:
        assert main(["documents", name]) == main(["split", name]) == 0
    assert main(["tokenizer"]) == 0
    documents = Path("data/corpora/prose/documents.parquet")
    for path, commands in {
        documents: (["split", "prose"], ["split", "lists"]),  # texts of earlier corpora are left out of later ones
        text / "train.parquet": (["tokenizer"], ["tokens", "prose"]),
        text / "validation.parquet": (["tokens", "prose"],),
    }.items():
        whole = path.read_bytes()
        altered(path)
        for command in commands:
            assert f"{path} was changed since it was written" in refused(command, capsys)
        path.write_bytes(whole)
    # Those that were written before a digest was stated are taken.
    altered(documents)
    source, counts = read_json(documents.with_name("source.json")), read_json(text / "split.json")
    del source["parquet_sha256"], counts["train"]["sha256"]
    write_json(documents.with_name("source.json"), source)
    assert main(["split", "prose"]) == 0
    altered(text / "train.parquet")
    write_json(text / "split.json", counts)
    assert main(["tokenizer"]) == 0
    write_json(text / "split.json", {"train": 3})
    assert "split.json: Input should be a valid dictionary" in refused(["tokenizer"], capsys)
    write_json(documents.with_name("source.json"), {**source, "held_out": "many"})
    assert "source.json: held_out: Input should be a valid integer" in refused(["split", "prose"], capsys)


# --- archives ----------------------------------------------------------------------------------------------------


def zipped(name: str, raw: bytes = b"text") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(name, raw)
    return held.getvalue()


def tarred(name: str, raw: bytes = b"text", headers: dict[str, str] | None = None) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size, member.pax_headers = len(raw), headers or {}
        archive.addfile(member, io.BytesIO(raw))
    return held.getvalue()


def of_version(raw: bytes, version: int) -> bytes:
    """A zip file whose member asks for a version of the format."""
    place = raw.index(b"PK\x01\x02") + 6
    return raw[:place] + bytes([version]) + raw[place + 1 :]


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.txt", "GNU.sparse.realsize": "9"}
NOT_UTF8 = zipped("caf\xe9.txt").replace("caf\xe9".encode(), b"caf\xff\xfe")
ARCHIVES: dict[str, tuple[str, bytes, str]] = {
    "a sparse tar": ("a.tar", tarred("b.txt", b"x\n" * 600, SPARSE), "a.tar is damaged at the beginning"),
    "zip of a later version": (
        "a.zip",
        of_version(zipped("a.txt"), 255),
        "a.zip is damaged at the beginning (zip file v",
    ),
    "a name that is no UTF-8": ("a.zip", NOT_UTF8, "a.zip is damaged at the beginning ('utf-8' codec"),
    "escape codes in a name": ("a.tar", tarred(f"a{ESCAPE}b.md"), r"a\x1b[2J b.md is of no known kind"),
    "escape codes in a path": ("a.tar", tarred(f"../{ESCAPE}b.txt"), "leads out of the archive"),
    "a tar that is none": ("a.tar", b"text", "a.tar is damaged"),
    "a bad parquet file": ("a.zip", zipped("b.parquet", arrow(not_utf8())), "a.zip: b.parquet is not a readable"),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server, an empty cache, and leave to download."""
    for name in cache.OFFLINE:
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    with serving(Site()) as made:
        yield made


@pytest.mark.parametrize(("name", "raw", "line"), ARCHIVES.values(), ids=ARCHIVES)
def test_archives(name: str, raw: bytes, line: str, world: Path, site: Site, capsys: Any) -> None:
    site.content = raw
    configured(world, source="http", files=[{"url": site.url(name), "sha256": site.sha256}], members=["**"])
    assert main(["corpora", "fetch", "prose"]) == 0
    said = refused(["documents", "prose"], capsys)
    assert line in said
    assert said[:-1].isprintable()


def test_patterns_take_no_time() -> None:
    began = time.monotonic()
    pattern, parts_ = ("**", "a") * 14, ("a",) * 60
    assert archives.matches(parts_, pattern)
    assert not archives.matches((*parts_, "b"), pattern)
    assert archives.matches((), ("**", "**"))
    assert not archives.matches((), ("*",))
    assert time.monotonic() - began < 1


# --- the cache ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("null", "Input should be a valid dictionary"),
        ('{"request": {}}', "record: Field required"),
        ('{"request": {}, "record": {"sha256": "../../x"}}', "the record has no sha256"),
        ('{"request": {}, "record": {"sha256": null}}', "the record has no sha256"),
        (DEEP, "is not valid JSON"),
    ],
    ids=["null", "no record", "a path", "no digest", "deep"],
)
def test_requests_in_the_cache(raw: str, line: str, world: Path, site: Site, capsys: Any) -> None:
    path = cache.root() / "requests/a.json"
    path.parent.mkdir(parents=True)
    path.write_text(raw)
    said = refused(["corpora", "verify"], capsys)
    assert str(path) in said
    assert line in said


@pytest.mark.parametrize("raw", ["[]", "null", '{"etag": [1]}', DEEP])
def test_what_a_cut_download_left_may_be_damaged(raw: str, world: Path, site: Site) -> None:
    site.content = (world / "text/prose.jsonl").read_bytes()
    file = {"url": site.url("prose.jsonl"), "sha256": site.sha256}
    configured(world, source="http", files=[file])
    folder = cache.root() / "partial" / digest(file["url"])
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"half")
    (folder / "file.json").write_text(raw)
    assert main(["documents", "prose"]) == 0


def test_a_cache_in_a_home_that_there_is_not(
    world: Path, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv(cache.VARIABLE, "~nobody_of_this_name/cache")
    assert "~nobody_of_this_name/cache is in a home folder that there is not" in refused(["corpora", "verify"], capsys)


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1/a.txt",
        "http://a..b/a.txt",
        f"http://{'a' * 300}.org/a.txt",
        "http://a.org:x/a.txt",
        "http://a:99999/",
    ],
)
@pytest.mark.parametrize("redirected", [False, True])
def test_addresses_that_are_none(
    redirected: bool, url: str, world: Path, site: Site, waits: list[float], capsys: Any
) -> None:
    site.answers = [Answer(status=302, headers={"Location": url})]
    given = site.url("a.txt") if redirected else url
    configured(world, source="http", files=[{"url": given, "sha256": "0" * 64}])
    said = refused(["documents", "prose"], capsys)
    assert f"{shown(given)} cannot be downloaded" in said
    assert said.endswith(": correct the address\n")
    assert not waits


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (Answer(headers={"Content-Length": "\xb2"}), "has sha256"),
        (Answer(headers={"Content-Length": "9" * 5000}), "has sha256"),
        (Answer(status=404), "404 Not Found): correct the address"),
    ],
)
def test_answers_of_a_server(
    answer: Answer, line: str, world: Path, site: Site, waits: list[float], capsys: Any
) -> None:
    site.length, site.answers = False, [answer]
    configured(world, source="http", files=[{"url": site.url("a.txt"), "sha256": "0" * 64}])
    assert main(["documents", "prose"]) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


def everything(folder: Path) -> str:
    return "\n".join(path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_secrets_in_addresses_are_not_shown(world: Path, site: Site, waits: list[float], capsys: Any) -> None:
    site.content = (world / "text/prose.jsonl").read_bytes()
    url = site.url(f"texts.jsonl?token={SECRET}#prose.jsonl").replace("http://", f"http://me:{SECRET}@")
    bare = site.url("texts.jsonl?...#prose.jsonl")
    wrong = {"url": url, "sha256": "0" * 64}
    configured(world, source="http", files=[wrong])
    elsewhere = Answer(status=302, headers={"Location": f"ftp://me:{SECRET}@a/b"})
    for answers in ([], [Answer(status=503)], [Answer(status=404)], [elsewhere]):
        site.answers = list(answers)
        assert main(["documents", "prose"]) == 2
    configured(world, source="http", files=[{**wrong, "sha256": site.sha256}])
    for command in (["corpora", "fetch"], ["documents", "prose"], ["corpora", "list"], ["corpora", "list", "--json"]):
        assert main(command) == 0
    cache.blob(site.sha256).chmod(0o644)
    cache.blob(site.sha256).write_bytes(b"x")
    assert main(["documents", "prose"]) == 2
    assert main(["corpora", "verify"]) == 1
    out, err = capsys.readouterr()
    assert bare in out
    assert bare in err
    assert SECRET not in out + err
    assert read_json("data/corpora/prose/source.json")["from"] == [bare]
    assert SECRET not in everything(world / "data") + everything(cache.root())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:hush@a.org:80/b/c.txt", "http://a.org:80/b/c.txt"),
        ("see https://a.org/b?sig=hush&x=1#c.gz, and go on", "see https://a.org/b?...#c.gz, and go on"),
        ("'HTTPS://hush@a.org'", "'https://a.org'"),
        ("http://me:hu/sh@a.org/", "http://..."),
        ("https://a.org/p@1.2/b: 404", "https://a.org/p@1.2/b: 404"),
        ("http://[hush", "http://..."),
    ],
)
def test_what_of_an_address_is_shown(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.usefixtures("quick")
def test_a_release_has_no_secrets(world: Path, site: Site) -> None:
    site.content = (world / "text/prose.jsonl").read_bytes()
    url = site.url(f"prose.jsonl?token={SECRET}").replace("http://", f"http://me:{SECRET}@")
    configured(world, source="http", files=[{"url": url, "sha256": site.sha256}])
    for name in TINY["corpora"]:
        assert main(["documents", name]) == main(["split", name]) == 0
    assert main(["tokenizer"]) == 0
    for name in TINY["corpora"]:
        assert main(["tokens", name]) == 0
    assert main(["train", "--plan"]) == main(["release"]) == 0
    released = everything(world / "data/released")
    assert SECRET not in released
    assert site.url("prose.jsonl?...") in released


# --- the Hub -----------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running() as hub:
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


COMMIT = "a" * 40
UNREADABLE = "gives an answer that cannot be read"


def answer(**said: Any) -> bytes:
    return json.dumps({"id": "owner/name", "sha": COMMIT, "siblings": [], **said}).encode()


ANSWERS: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"<html>", UNREADABLE),
    "nothing": (b"", UNREADABLE),
    "an empty mapping": (b"{}", UNREADABLE),
    "a list": (b"[1]", UNREADABLE),
    "nested deep": (DEEP.encode(), UNREADABLE),
    "siblings of anything": (answer(siblings=[[1], 2]), UNREADABLE),
}
COMMITS: dict[str, tuple[bytes, str]] = {
    "a path as commit": (answer(sha="../../../x"), "sha: String should match"),
    "a number as commit": (answer(sha=5), "sha: Input should be a valid string"),
    "a commit and a line": (answer(sha=f"{COMMIT}\n"), "sha: String should match"),
    "no commit": (answer(sha=None), "sha: Input should be a valid string"),
}
CARDS: dict[str, tuple[bytes, str]] = {
    "a commit of another": (answer(sha="b" * 40), "answers for commit"),
    "a card that is a list": (answer(cardData=[1]), UNREADABLE),
    "a title that is a mapping": (answer(cardData={"pretty_name": {"a": 1}}), "pretty_name: Input should be a valid"),
    "licences of anything": (answer(cardData={"license": [["mit"]]}), "license.0: Input should be a valid string"),
}


@pytest.mark.parametrize(("raw", "line"), (ANSWERS | COMMITS).values(), ids=ANSWERS | COMMITS)
def test_answers_of_the_hub_to_pin(raw: bytes, line: str, world: Path, hub: Hub, capsys: Any) -> None:
    hub.says = raw
    configured(world, source="huggingface", repository="owner/name", maximum_megabytes=1)
    before = Path("config/config.yaml").read_bytes()
    assert main(["corpora", "pin"]) == 1
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("corpora.prose: not pinned: ")
    assert line in said
    assert Path("config/config.yaml").read_bytes() == before


@pytest.mark.parametrize(("raw", "line"), (ANSWERS | CARDS).values(), ids=ANSWERS | CARDS)
def test_answers_of_the_hub_to_fetch(raw: bytes, line: str, world: Path, hub: Hub, capsys: Any) -> None:
    hub.says = raw
    configured(world, source="huggingface", repository="owner/name", maximum_megabytes=1, revision=COMMIT)
    assert line in refused(["corpora", "fetch", "prose"], capsys)


@pytest.mark.parametrize("claim", ["etag", "resolve"])
@pytest.mark.parametrize("path", ["../../../../../../evil", "/evil"])
def test_the_hub_names_no_file_outside_the_cache(
    claim: str, path: str, world: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The client library names files of its cache as the server says."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(world / "1/2/3/4/5/hub"))
    hub.model("owner/name").commit({"tokenizer.json": b"{}"})
    hub.claims[claim] = path if path.startswith("..") else str(world / "evil")
    settings = {**TINY, "tokenizer": {"pretrained": "owner/name"}}
    (world / "config/config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    assert "is no path inside the folder: look at HF_ENDPOINT" in refused(["tokenizer"], capsys)
    assert not list(world.rglob("evil*"))


# --- releases ----------------------------------------------------------------------------------------------------


@pytest.fixture
def released(world: Path) -> Path:
    """A folder of released curves of the scale, for files that are made up."""
    settings = {**TINY, "curves": "released"}
    (world / "config/config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return release(world / "data/released/tiny", None)


CONTENT: dict[str, tuple[dict[str, Any], str]] = {
    "no files": ({"files": None}, "release.json: files: Input should be a valid dictionary"),
    "a list of files": ({"files": []}, "release.json: files: Input should be a valid dictionary"),
    "a text for files": ({"files": "all"}, "release.json: files: Input should be a valid dictionary"),
    "files without digest": ({"files": {"curves.parquet": {"bytes": 1}}}, "release.json: files.curves.parquet.sha256"),
    "a name that is none": ({"name": 5}, "release.json: name: Input should be a valid string"),
    "a list besides": ({"more": [[1]]}, "release.json: more"),
    **{
        name: ({"files": {name: {"bytes": 1, "sha256": "0" * 64}}}, "is no path inside the folder")
        for name in ("../" * 9 + "etc/passwd", "/etc/passwd", "C:/x", "a\\..\\b", "a\x1b[2J", "", ".")
    },
}


@pytest.mark.parametrize(("changes", "line"), CONTENT.values(), ids=[ascii(name) for name in CONTENT])
def test_contents_of_a_release(changes: dict[str, Any], line: str, released: Path, capsys: Any) -> None:
    contents = {**read_json(released / CONTENTS), **changes}
    write_json(released / CONTENTS, {**contents, "sha256": seal(contents)})
    said = refused(["curves", "fig02"], capsys)
    assert line in said
    assert said.endswith(": fetch the released curves again\n")


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (DEEP, "release.json is not valid JSON"),
        ("null", "release.json has schema None"),
        ("[]", "release.json has schema None"),
        ("9" * 5000, "release.json is not valid JSON"),
    ],
    ids=["deep", "null", "list", "digits"],
)
def test_release_json_itself(raw: str, line: str, released: Path, capsys: Any) -> None:
    (released / CONTENTS).write_text(raw)
    assert line in refused(["curves", "fig02"], capsys)


RUN = {"model": "small", "seed": 1, "steps": 3, "identity": "x", "chain": [["a", 1]]}


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ("null", "plan.json: Input should be a valid dictionary"),
        ("{}", "plan.json: runs: Field required"),
        ('{"runs": ["trunk"]}', "plan.json: runs: Input should be a valid dictionary"),
        (json.dumps({"runs": {"trunk": {**RUN, "chain": "a"}}}), "plan.json: runs.trunk.chain"),
        (json.dumps({"runs": {"trunk": {**RUN, "identity": None}}}), "plan.json: runs.trunk.identity"),
        (DEEP, "plan.json is not valid JSON"),
    ],
)
def test_plans_of_a_release(plan: str, line: str, released: Path, capsys: Any) -> None:
    (released / "plan.json").write_text(plan)
    sealed(released)
    assert line in refused(["curves", "fig02"], capsys)


@pytest.mark.parametrize("name", ["manifests.json", "corpora.json"])
@pytest.mark.parametrize("raw", ["null", "[]", '{"a": 1}', DEEP])
def test_other_files_of_a_release(name: str, raw: str, released: Path) -> None:
    (released / name).write_text(raw)
    sealed(released)
    opened = Release.open(released)
    with pytest.raises(UserError, match=f"{name}"):
        _ = opened.manifests([], None) if name == "manifests.json" else opened.corpora()  # type: ignore[arg-type]


def test_the_name_of_a_release_is_printed_without_codes(released: Path, capsys: Any) -> None:
    (released / "plan.json").write_text('{"runs": {}}')
    sealed(released)
    contents = {**read_json(released / CONTENTS), "name": ESCAPE}
    write_json(released / CONTENTS, {**contents, "sha256": seal(contents)})
    assert main(["release", "--results"]) == 2
    assert "\x1b" not in "".join(capsys.readouterr())


# --- campaigns ---------------------------------------------------------------------------------------------------


TIMED = ("plan", "pack --out x", "status", "run --work w --out x")
MINUTES = [([*what.split(), "--minutes", value], f"--minutes is {value}") for what in TIMED for value in ("nan", "inf")]
SIZES = [(["pack", "--out", "x", "--limit-mib", value], "--limit-mib is ") for value in ("nan", "inf", "1e300", "1e-9")]


@pytest.mark.parametrize(("command", "line"), [*MINUTES, *SIZES])
def test_numbers_of_a_campaign(command: list[str], line: str, world: Path, capsys: Any) -> None:
    assert line in refused(["campaign", *command], capsys)
    assert not (world / "x").exists()
    assert not (world / "w").exists()


def index(**changes: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "version": 2,
        "scale": "tiny",
        "archives": {"code": [], "text": []},
        "contents": {},
        "wheels": [],
    }
    return {**empty, **changes}


EVIL = {"name": "../evil", "size": 1, "sha256": "0" * 64}
INDICES: dict[str, tuple[Any, str]] = {
    "a part outside": (
        index(archives={"code": [EVIL], "text": []}),
        "archives.code.0.name: '../evil' is no path inside",
    ),
    "a wheel outside": (index(wheels=[EVIL]), "wheels.0.name: '../evil' is no path inside"),
    "escape codes": (index(wheels=[{**EVIL, "name": ESCAPE}]), "wheels.0.name"),
    "a scale outside": (index(scale="../x"), "scale: String should match"),
    "an archive of another kind": (index(archives={"../x": []}), "archives"),
    "null": (None, "Input should be a valid dictionary"),
    "a list": ([], "Input should be a valid dictionary"),
}


@pytest.mark.parametrize(("content", "line"), INDICES.values(), ids=INDICES)
def test_indices_of_a_campaign(content: Any, line: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "in").mkdir()
    write_json(tmp_path / "in/index.json", content)
    said = refused(["campaign", "receive", str(tmp_path / "in"), "--to", str(tmp_path / "work")], capsys)
    assert line in said
    assert said.endswith("it is damaged or of another version of the kit, send it again\n")


def wheels(*names: str, sha256: Any = "0" * 64) -> str:
    return json.dumps({"wheels": [{"name": name, "sha256": sha256} for name in names]})


EVILS = ("../evil.whl", "wheels/../../evil.whl", "/evil.whl", "wheels/a/b.whl", f"wheels/{ESCAPE}", "-r", "wheels/-r")
SLOTS: dict[str, tuple[str, list[str], str]] = {
    **{name: (wheels(name), [], "index.json is damaged") for name in EVILS},
    "a digest that is none": (wheels("wheels/a.whl", sha256=5), [], "index.json is damaged"),
    "nested deep": (DEEP, [], "index.json is damaged"),
    "null": ("null", [], "index.json is damaged"),
    "no number": (wheels(), ["--minutes", "nan"], "--minutes is nan: give more than 0"),
    "infinite": (wheels(), ["--minutes", "inf"], "--minutes is inf: give more than 0"),
}


@pytest.mark.parametrize(("content", "options", "line"), SLOTS.values(), ids=[ascii(name) for name in SLOTS])
def test_what_a_slot_is_sent(content: str, options: list[str], line: str, tmp_path: Path) -> None:
    came = tmp_path / "came"
    (came / "wheels").mkdir(parents=True)
    (tmp_path / "evil.whl").write_bytes(b"evil")
    shutil.copy(parts.SLOT, came)
    (came / "index.json").write_text(content)
    command = [sys.executable, "-S", str(came / "slot.py"), "--work", str(tmp_path / "work"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr
    assert not (tmp_path / "work").exists()


STATE: dict[str, tuple[str, str, list[str], str]] = {
    "ledger": ("ledger.json", "null", ["status"], "ledger.json: Input should be a valid dictionary"),
    "rows": ("ledger.json", '{"branches": [5]}', ["status"], "ledger.json: branches.0"),
    "seconds": ("ledger.json", '{"branches": [{"branch": "a", "seconds": "long"}]}', ["status"], "branches.0.seconds"),
    "deep ledger": ("ledger.json", DEEP, ["status"], "ledger.json is not valid JSON"),
    "records": ("records.json", '{"a": {"device_seconds": "long"}}', ["status"], "records.json: a.device_seconds"),
    "stages": ("stages.json", "[]", ["plan"], "stages.json: Input should be a valid dictionary"),
    "a stage": ("stages.json", '{"stages": [{"number": 1}]}', ["plan"], "stages.json: stages.0.groups"),
    "a group's name": (
        "stages.json",
        '{"stages": [{"number": 1, "groups": ["\\u001b[31mred"], "branches": []}]}',
        ["status"],
        "stages.json: stages.0.groups.0: no name that can be printed",
    ),
}


@pytest.fixture(scope="module")
def tokenised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a campaign before its first stage."""
    from worlds.tiny import write_texts

    folder = tmp_path_factory.mktemp("campaign")
    write_texts(folder / "text")
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (folder / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in TINY["corpora"]:
            assert main(["documents", name]) == main(["split", name]) == 0
        assert main(["tokenizer"]) == 0
        for name in TINY["corpora"]:
            assert main(["tokens", name]) == 0
    return folder


@pytest.mark.parametrize(("name", "raw", "command", "line"), STATE.values(), ids=STATE)
def test_state_of_a_campaign(
    name: str, raw: str, command: list[str], line: str, tokenised: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tokenised)
    path = Path("results/tiny/campaign") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(raw)
    try:
        assert line in refused(["campaign", *command], capsys)
    finally:
        path.unlink()


def test_a_plan_of_trials_without_runs(tokenised: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tokenised)
    path = Path("results/tiny/recommended/plan.json")
    path.parent.mkdir()
    path.write_text('{"knobs": {"peak_lr": {"runs": {}}}}', encoding="utf-8")
    try:
        line = refused(["trial-runs", "--knob", "peak_lr"], capsys)
        assert "there is no run to put curves together of" in line
    finally:
        path.unlink()


# --- paths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["..", "a/../../b", "/a", "", ".", "a\\b", "C:\\a", "c:a", "a\nb", "a\x7f", "a\u202eb"]
)
def test_paths_that_lead_out(name: str) -> None:
    with pytest.raises(ValueError, match="is no path inside the folder"):
        inside(name)


@pytest.mark.parametrize("name", ["a", "a/b.c", "wheels/x-1.0+cpu.whl", "a b", "..a/b..", "ä/漢.bin"])
def test_paths_inside(name: str) -> None:
    assert inside(name) == name


MEMBERS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a member outside": (lambda stated: stated["members"][0].update(path="../../evil"), "members.0.path"),
    "a scale outside": (lambda stated: stated.update(scale="../x"), "scale"),
    "records of anything": (lambda stated: stated.update(records={"a": {"device_seconds": "long"}}), "records"),
}


@pytest.mark.parametrize(("change", "line"), MEMBERS.values(), ids=MEMBERS)
def test_members_of_a_bundle(
    change: Callable[[dict[str, Any]], Any],
    line: str,
    tokenised: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    monkeypatch.chdir(tokenised)
    member = {"path": "branches/a.json", "size": 1, "sha256": "0" * 64}
    stated: dict[str, Any] = {"kit": "1", "kind": "results", "scale": "tiny", "members": [member]}
    change(stated)
    (tmp_path / "a.tar").write_bytes(tarred("tiny-results/bundle.json", json.dumps(stated).encode()))
    said = refused(["unbundle", str(tmp_path / "a.tar")], capsys)
    assert f"bundle.json is damaged or of another version of the kit ({line}" in said
