"""Text in git repositories: what is fetched, what is read of it, and what is said when it cannot be."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from worlds import REPOSITORY
from worlds.tiny import TINY

from cpt_dynamics import cli, config
from cpt_dynamics.config import Git, Http, Local, Reader
from cpt_dynamics.corpora import cache, documents, git, local, readers
from cpt_dynamics.errors import UserError

FILES = {
    "acts/b.txt": "the second act",
    "acts/a.txt": "the first act",
    "acts/old/c.txt": "an old act",
    "notes.md": "no act at all",
    "held/d.txt": "an act that is held out",
}


def run(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a link that leads out of it, a commit that is read and a later one that is not."""
    folder = tmp_path / "public/texts"
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (folder / "acts/z.txt").symlink_to("/etc/hostname")
    run(folder, "init", "--quiet")
    run(folder, "config", "uploadpack.allowFilter", "true")
    run(folder, "add", ".")
    run(folder, "commit", "--quiet", "-m", "first")
    (folder / "acts/a.txt").write_text("changed later", encoding="utf-8")
    run(folder, "commit", "--quiet", "-am", "second")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    for name in cache.OFFLINE:
        monkeypatch.delenv(name, raising=False)


def spec_of(repository: Path | str, **more: Any) -> Git:
    address = repository if isinstance(repository, str) else f"file://{repository}"
    commit = run(repository, "rev-parse", "HEAD^") if isinstance(repository, Path) else more.pop("commit")
    stated = {"source": "git", "paths": ["acts/**"], "reader": {"kind": "text"}, "repository": address}
    return Git.model_validate({**stated, "commit": commit, **more})


def texts(spec: Git) -> list[str]:
    return list(git.read(spec, {}))


def test_the_files_of_a_commit_are_read_in_order_of_path(repository: Path) -> None:
    record: dict[str, Any] = {}
    spec = spec_of(repository)
    assert list(git.read(spec, record)) == ["the first act", "the second act", "an old act"]
    assert record["revision"] == spec.commit
    assert [(one["number"], one["bytes"]) for one in record["files"]] == [(3, 37)]
    assert texts(spec_of(repository, paths=["*.md"])) == ["no act at all"]


def test_nothing_else_is_fetched(repository: Path) -> None:
    spec = spec_of(repository)
    git.fetch(spec)
    there = run(git.place(spec), "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").split()
    assert there.count("blob") == 3
    assert there.count("commit") == 1


def test_what_is_fetched_is_read_without_a_network(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(repository)
    git.fetch(spec)
    shutil.rmtree(repository)
    monkeypatch.setenv("CPT_DYNAMICS_OFFLINE", "1")
    assert len(texts(spec)) == 3
    with pytest.raises(UserError, match=r"is not in the cache .* forbids downloads"):
        texts(spec.model_copy(update={"paths": ["notes.md"]}))


def test_a_fetch_goes_on_where_it_was_broken_off(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(repository)
    monkeypatch.setattr(git, "BATCH", 1)
    asked: list[list[str]] = []
    real = git._fetch

    def breaking(spec: Git, *arguments: str, wanted: Any = ()) -> None:
        asked.append(list(wanted))
        if len(asked) == 3:  # the list of files, a file, and then no more
            raise UserError("the line went dead")
        real(spec, *arguments, wanted=wanted)

    monkeypatch.setattr(git, "_fetch", breaking)
    with pytest.raises(UserError, match="went dead"):
        git.fetch(spec)
    assert len(git.missing(spec) or []) == 2
    git.fetch(spec)
    assert git.missing(spec) == []
    assert [len(one) for one in asked] == [0, 1, 1, 1, 1]  # the list and the first file came once


@pytest.mark.parametrize("name", ["shallow.lock", "config.lock"])
def test_locks_of_a_git_that_was_killed_do_not_stand_in_the_way(repository: Path, name: str) -> None:
    git.fetch(spec_of(repository))
    (git.place(spec_of(repository)) / name).touch()
    later = run(repository, "rev-parse", "HEAD")
    assert texts(spec_of(f"file://{repository}", commit=later))[0] == "changed later"


def test_documents_to_hold_out_come_first(repository: Path, tmp_path: Path) -> None:
    spec = spec_of(repository, paths=["**/*.txt"], validation=["held/*"])
    source = documents.write("acts", spec, tmp_path / "acts")
    assert (source["held_out"], source["documents"]) == (1, 4)
    assert texts(spec)[0] == "an act that is held out"


@pytest.fixture
def served(repository: Path) -> Iterator[str]:
    """The address of a daemon on the loopback interface that serves the repository."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"]
    with subprocess.Popen([*command, f"--base-path={repository.parent}"], stderr=subprocess.DEVNULL) as daemon:
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"git://127.0.0.1:{port}/texts"
        daemon.terminate()


def test_a_daemon_serves(repository: Path, served: str) -> None:
    spec = spec_of(served, commit=run(repository, "rev-parse", "HEAD^"))
    assert texts(spec) == texts(spec_of(repository))


def test_a_server_without_filters_sends_all(repository: Path, served: str) -> None:
    run(repository, "config", "uploadpack.allowFilter", "false")
    spec = spec_of(served, commit=run(repository, "rev-parse", "HEAD^"))
    assert len(texts(spec)) == 3


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that writes a configuration whose corpus `code` is a repository."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()

    def write(spec: dict[str, Any]) -> None:
        raw = {**TINY, "corpora": {**TINY["corpora"], "code": spec}}
        (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"commit": "0" * 40}, r"texts at 000000000000 cannot be fetched \(.*\): look at address, commit and network"),
        ({"repository": "file:///nowhere/at/all"}, r"/nowhere/at/all at .* cannot be fetched"),
        ({"repository": "git://127.0.0.1:1/texts"}, r"127.0.0.1:1/texts at .* cannot be fetched"),
        ({"repository": "ext::sh -c date"}, r"corpora.code.git.repository: .* pattern"),
        ({"repository": "--upload-pack=date"}, r"corpora.code.git.repository: .* pattern"),
        ({"repository": "file:///a\0b"}, r"file:///a\\x00b' is no address: correct `repository`"),
        ({"commit": "main"}, r"corpora.code.git.commit: .* pattern"),
        ({"paths": ["acts/*.rst"]}, r"acts/\*\.rst matches no file: correct the pattern"),
        ({"reader": {"kind": "xml"}}, r"corpora.code.git.reader: `elements` goes with xml and jsonl"),
        ({"reader": {"kind": "text", "containing": "("}}, r"corpora.code.git.reader: containing: missing \)"),
        ({"reader": {"kind": "xml", "elements": ["p"]}}, r"acts/a\.txt is not valid XML"),
        ({"reader": {"kind": "jsonl", "elements": ["p"]}}, r"acts/a\.txt line 1 is not JSON"),
        ({"reader": {"kind": "text", "characters": 99}}, r"corpus code: no document was found in its source"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    change: dict[str, Any], line: str, repository: Path, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configured({**spec_of(repository).model_dump(), **change})
    assert cli.main(["documents", "code"]) == 2
    said = capsys.readouterr().err.strip().split("\n")[-1]
    assert re.search(line, said), said
    assert said.startswith("error: ")
    assert list(Path("data/corpora").rglob("*.parquet")) == []


@pytest.mark.parametrize(
    ("name", "raw", "line"),
    [
        (b"acts/\xff.txt", b"an act", None),
        (b"acts/\xff\x1b[2J.txt", b"\xff", r"acts/\\udcff\\x1b\[2J\.txt is not text in UTF-8"),
        (
            b"acts/p.txt",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            r"p\.txt is a pointer of Git LFS",
        ),
    ],
)
def test_files_of_odd_names_and_contents(
    name: bytes, raw: bytes, line: str | None, repository: Path, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(os.path.join(os.fsencode(repository), name), "wb") as file:
        file.write(raw)
    run(repository, "add", ".")
    run(repository, "commit", "--quiet", "-m", "third")
    run(repository, "commit", "--quiet", "--allow-empty", "-m", "fourth")
    configured(spec_of(repository).model_dump())
    assert cli.main(["documents", "code"]) == (2 if line else 0)
    assert re.search(line or "", capsys.readouterr().err)


def test_secrets_in_addresses_are_not_shown(
    repository: Path, configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_of(repository)
    spec = spec.model_copy(update={"repository": spec.repository.replace("file://", "file://me:hush@localhost")})
    cached = git.place(spec)
    git.fetch(spec_of(repository))
    shutil.copytree(git.place(spec_of(repository)), cached)
    configured(spec.model_dump())
    for command in (["documents", "code"], ["corpora", "list"], ["corpora", "list", "--json"]):
        assert cli.main(command) == 0
    source = Path("data/corpora/code/source.json").read_text(encoding="utf-8")
    assert "hush" not in source + "".join(capsys.readouterr())


def test_commands_know_repositories(repository: Path, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_of(repository)
    configured(spec.model_dump())
    assert cli.main(["corpora", "verify"]) == 1
    assert "code: in the cache: no; `cpt-dynamics corpora fetch code` brings it" in capsys.readouterr().out
    assert cli.main(["corpora", "fetch", "code"]) == 0
    assert cli.main(["corpora", "verify"]) == 0
    capsys.readouterr()
    cli.main(["corpora", "list", "--json"])
    row = next(one for one in json.loads(capsys.readouterr().out) if one["corpus"] == "code")
    assert (row["source"], row["cached"], row["from"]) == ("git", "yes", f"file://{repository} at {spec.commit[:12]}")
    assert cli.main(["documents", "code"]) == 0
    source = json.loads((Path("data/corpora") / "code/source.json").read_text(encoding="utf-8"))
    assert (source["source"], source["revision"], source["documents"]) == ("git", spec.commit, 3)


def test_a_damaged_file_is_found(repository: Path, configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_of(repository)
    git.fetch(spec)
    name = run(repository, "rev-parse", "HEAD^:acts/a.txt")
    for pack in git.place(spec).rglob("*.pack"):  # unpacked, so that one object can be exchanged
        raw = pack.read_bytes()
        pack.unlink()
        subprocess.run(["git", f"--git-dir={git.place(spec)}", "unpack-objects", "-q"], input=raw, check=True)
    place = git.place(spec) / "objects" / name[:2] / name[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob 13\0the first wct"))
    configured(spec.model_dump())
    assert cli.main(["documents", "code"]) == 2
    said = capsys.readouterr().err
    assert "acts/a.txt is damaged: delete this folder and fetch it again" in said


@pytest.mark.parametrize(
    ("reader", "raw", "found"),
    [
        ({"kind": "text"}, b"\xef\xbb\xbfa\r\nb", ["a\nb"]),
        ({"kind": "python"}, b"x = 1\n", ["x = 1\n"]),
        (
            {"kind": "markdown"},
            b"---\ntitle: t\n---\n# Head\n<!-- no -->See ![p](p.png)[this](http://a/b).<br/>\n",
            ["Head\nSee this."],
        ),
        (
            {"kind": "wiki", "characters": 9},
            b'<doc id="1" title="A">\nA &amp; B, long\n</doc>\n<doc id="2" title="C">\nshort\n</doc>\n',
            ["A & B, long"],
        ),
        (
            {"kind": "xml", "elements": ["p", "h"], "without": ["ref"]},
            b'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE a SYSTEM "a.dtd"><a xmlns="urn:x"><h>T&eacute;t</h>'
            b"<p>one <i>two</i><ref>3</ref>\n four</p><ref><p>no</p></ref><!-- p --><q>no</q><s><p>five</p></s></a>",
            ["T\u00e9t\none two four\nfive"],
        ),
        (
            {"kind": "jsonl", "elements": ["q", "a"]},
            b'{"q": "1+1", "a": "2"}\n\n{"q": "2", "a": "2"}',
            ["1+1\n2", "2\n2"],
        ),
        ({"kind": "jsonl", "elements": ["q"]}, b'{"q": "2", "n": ' + b"9" * 5000 + b"}", ["2"]),
        ({"kind": "text", "containing": "licenses/by/"}, b"all rights reserved", []),
        ({"kind": "text", "containing": "licenses/by/"}, b"see licenses/by/4.0", ["see licenses/by/4.0"]),
    ],
)
def test_readers(reader: dict[str, Any], raw: bytes, found: list[str]) -> None:
    assert list(readers.documents(raw, Reader.model_validate(reader), "a file")) == found


@pytest.mark.parametrize(
    ("reader", "raw", "line"),
    [
        ({"kind": "text"}, b"\xff", "a file is not text in UTF-8"),
        ({"kind": "xml", "elements": ["p"]}, b"<a><p></a>", "a file is not valid XML"),
        (
            {"kind": "xml", "elements": ["a"]},
            b"<!DOCTYPE a [<!ENTITY b '"
            + b"x" * 100000
            + b"'>"
            + b"".join(b"<!ENTITY b%d '%s'>" % (i, b"&b%d;" % (i - 1) * 50 if i else b"&b;" * 50) for i in range(6))
            + b"]><a>&b5;</a>",
            "a file is not valid XML",
        ),
        ({"kind": "jsonl", "elements": ["q"]}, b'{"q": 1}', "a file line 1 has no text 'q': correct `elements`"),
        ({"kind": "jsonl", "elements": ["q"]}, b'{"q": "\\ud800"}', "a file line 1 is not text"),
        ({"kind": "wiki"}, b"<doc id>\n&#" + b"9" * 5000 + b";\n</doc>\n", "a file is not what WikiExtractor writes"),
        ({"kind": "jsonl", "elements": ["q"]}, b"[" * 100000, "a file line 1 is not JSON"),
    ],
)
def test_what_a_reader_refuses(reader: dict[str, Any], raw: bytes, line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)):
        list(readers.documents(raw, Reader.model_validate(reader), "a file"))


def test_articles_without_an_end_take_no_time() -> None:
    raw = b"<doc id>\nA\n</doc>\n" + b"<doc id>\n" * 20000
    begin = time.process_time()
    assert list(readers.documents(raw, Reader(kind="wiki"), "a file")) == ["A"]
    assert time.process_time() - begin < 5


def test_xml_may_be_deep() -> None:
    raw = b"<a>" * 20000 + b"<p>deep</p>" + b"</a>" * 20000
    assert list(readers.documents(raw, Reader(kind="xml", elements=["p"]), "a file")) == ["deep"]


def test_the_recipe_is_read_where_the_folder_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.delenv("CPT_DYNAMICS_TEXTS", raising=False)
    corpora = config.load(["config/scales/prose.yaml"]).corpora
    for name, spec in corpora.items():
        assert isinstance(spec, Local)
        recipe = local.chosen(spec)
        assert isinstance(recipe, (Git, Http)), name
        assert (recipe.licence, recipe.description) == (spec.licence, spec.description)
        if isinstance(recipe, Git):
            assert f"{recipe.repository.removeprefix('https://').removesuffix('.git')} at {recipe.commit[:12]}" in (
                spec.description
            )
    monkeypatch.setenv("CPT_DYNAMICS_TEXTS", "/texts")
    assert all(local.chosen(spec) is spec for spec in corpora.values() if isinstance(spec, Local))
    others = config.load(["config/scales/gpu.yaml"]).corpora
    assert {name: getattr(spec, "otherwise", None) for name, spec in others.items()} == {
        name: getattr(spec, "otherwise", None) for name, spec in corpora.items()
    }


@pytest.mark.parametrize("piece", ["[", "![", "<!--", "<a", "[a](", "#", "<!-- -->", "---\n", "[" + "a" * 400])
def test_a_page_of_nothing_but_beginnings_is_read(piece: str) -> None:
    """Where looking for the end of each began anew, this would take hours."""
    page = piece.encode() * (2_000_000 // len(piece))
    assert len(list(readers.documents(page, Reader(kind="markdown"), "a file"))) <= 1


def test_a_file_that_memory_may_not_hold_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LONGEST", 13)
    with pytest.raises(UserError, match=r"acts/b\.txt is longer than 13 bytes: cut the text into documents"):
        texts(spec_of(repository))
