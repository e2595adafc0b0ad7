"""Text from installed distributions: what is read, and what is said when it is not what was asked for."""

import ast
import hashlib
import inspect
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpt_dynamics import config
from cpt_dynamics.config import Installed
from cpt_dynamics.corpora import documents, installed
from cpt_dynamics.errors import UserError

LONG = "A sentence that says something about the thing at hand, at length. " * 4
MODULE = f'''"""Module. {LONG}"""
import os


class Kept:
    """Class. {LONG}

    On.
        Indented more.
    """

    def method(self):
        """Method. {LONG}"""

    if True:
        async def inner(self): "Inner. {LONG}"; return 1  # stays


text = """Not a documentation string. {LONG}"""
# A comment that tells why the following is done, and
# goes on for a second line. {LONG}
value = "# not a comment"
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution `examplepackage` 1.0 in a folder that is on the path."""
    contents = {
        "examplepackage/__init__.py": MODULE,
        "examplepackage/_version.py": MODULE.replace("Module", "Generated"),
        "examplepackage/tests/test_it.py": MODULE.replace("import os", "import sys"),
        "examplepackage/stub.pyi": f"# {LONG}\ndef f() -> int: ...\n",
        "examplepackage-1.0.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: examplepackage\nVersion: 1.0\nLicense: MIT\n\nDescribed. {LONG}\n"
        ),
        "examplepackage-1.0.dist-info/licenses/LICENSE": f"Permitted. {LONG}\r\n",
        "../outside.py": MODULE.replace("Module", "Outside"),
    }
    site = tmp_path / "site"
    for name, text in contents.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(text.encode())
    record = "".join(f"{name},,\n" for name in reversed([*contents, "examplepackage-1.0.dist-info/RECORD"]))
    (site / "examplepackage-1.0.dist-info/RECORD").write_text(record)
    monkeypatch.syspath_prepend(str(site))
    return site


def spec(kind: str, **changes: object) -> Installed:
    return Installed.model_validate(
        {"source": "installed", "kind": kind, "distributions": {"examplepackage": "1.0"}, **changes}
    )


def read(kind: str) -> list[str]:
    return list(installed.read(spec(kind), {}))


def test_docstrings_are_those_of_the_module_its_classes_and_functions(package: Path) -> None:
    found = read("docstrings")
    assert [text.split(".")[0] for text in found] == ["Module", "Class", "Method", "Inner"]
    assert found[1].endswith("\n\nOn.\n    Indented more.")


def test_docstrings_agree_with_a_full_walk_of_the_syntax_tree() -> None:
    text = Path(ast.__file__).read_text(encoding="utf-8") + Path(inspect.__file__).read_text(encoding="utf-8")
    walked = {
        ast.get_docstring(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    } - {None}
    trimmed = {"\n".join(line.rstrip() for line in str(found).split("\n")).strip() for found in walked}
    assert {found.strip() for found in installed.docstrings(text)} == trimmed


def test_code_has_no_docstrings_and_still_parses(package: Path) -> None:
    (text,) = read("code")
    assert not list(installed.docstrings(text))
    assert "Not a documentation string." in text
    assert "# stays" in text
    names = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert names == {"Kept", "method"}


def test_code_of_a_large_module_keeps_its_meaning() -> None:
    text = Path(inspect.__file__).read_text(encoding="utf-8")
    (stripped,) = installed.code(text)

    def bare(tree: ast.Module) -> str:
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if not isinstance(body, list) or not isinstance(
                node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            ):
                continue
            if ast.get_docstring(node) is not None:
                body[0:1] = [] if len(body) > 1 else [ast.Pass()]
        return ast.dump(tree)

    assert bare(ast.parse(text)) == ast.dump(ast.parse(stripped))


def test_comments_leave_out_strings(package: Path) -> None:
    (text,) = read("comments")
    assert text.startswith("A comment that tells why the following is done, and\ngoes on")
    assert "not a comment" not in text
    assert "stays" not in text


def test_licence_headers_are_not_comments() -> None:
    text = "# Copyright 2020 Somebody\n# All rights reserved\n\n# why this is so\nx = 1\n"
    assert list(installed.comments(text)) == ["why this is so"]


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("tests", "import sys"),
        ("stubs", "# A sentence"),
        ("licences", "Permitted."),
        ("descriptions", "Described."),
    ],
)
def test_other_kinds_read_their_own_files(package: Path, kind: str, first: str) -> None:
    (text,) = read(kind)
    assert text.startswith(first)
    assert "\r" not in text


def test_no_text_is_of_two_kinds(package: Path) -> None:
    found = [text for kind in installed.KINDS for text in read(kind)]
    assert len(found) == len(set(found))


def test_record_states_versions_licences_and_files(package: Path, tmp_path: Path) -> None:
    source = documents.write("example", spec("licences"), tmp_path / "out")
    raw = (package / "examplepackage-1.0.dist-info/licenses/LICENSE").read_bytes()
    assert source["from"] == {"examplepackage": "1.0"}
    assert source["licences"] == {"examplepackage": "MIT"}
    assert source["files"] == [
        {
            "path": "examplepackage-1.0.dist-info/licenses/LICENSE",
            "bytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
    ]
    assert source["matches"] is None


def test_a_missing_distribution_is_an_error() -> None:
    with pytest.raises(UserError, match=r"nosuchpackage is not installed: install nosuchpackage==3\.1"):
        list(installed.read(spec("code", distributions={"nosuchpackage": "3.1"}), {}))


def test_a_missing_file_is_an_error(package: Path) -> None:
    (package / "examplepackage/__init__.py").unlink()
    with pytest.raises(UserError, match=r"__init__\.py is missing: install examplepackage again"):
        read("code")


def test_another_version_and_another_digest_are_said(
    package: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = spec("code", distributions={"examplepackage": "0.9"}, sha256="0" * 64)
    source = documents.write("example", wanted, tmp_path)
    assert source["matches"] is False
    version, digest = source["warnings"]
    assert "examplepackage 1.0 is installed, the corpus is defined on 0.9" in version
    assert source["sha256"] in digest
    assert version in caplog.text
    assert digest in caplog.text


def test_the_recorded_digest_matches(package: Path, tmp_path: Path) -> None:
    first = documents.write("example", spec("code"), tmp_path)
    again = documents.write("example", spec("code", sha256=first["sha256"]), tmp_path)
    assert again["matches"] is True
    assert again["warnings"] == []


def test_what_is_not_python_is_skipped_and_said(package: Path) -> None:
    (package / "examplepackage/__init__.py").write_text("def {{ name }}(): pass\n")
    record: dict[str, list[str]] = {}
    assert list(installed.read(spec("code"), record)) == []
    assert record["warnings"] == ["skipped, not Python that this version reads: examplepackage/__init__.py"]


@given(st.text(alphabet=" \t\nab'\\é", max_size=60))
def test_clean_is_cleandoc_without_trailing_blanks(text: str) -> None:
    expected = "\n".join(line.rstrip(" ") for line in inspect.cleandoc(text).split("\n")).strip("\n")
    assert installed.clean(text) == expected


@pytest.mark.parametrize("name", ["stubs", "licences", "descriptions"])
def test_default_corpora_are_what_is_recorded(name: str, tmp_path: Path) -> None:
    corpus = config.load([]).corpora[name]
    assert isinstance(corpus, Installed)
    try:
        other = {n: v for n, v in corpus.distributions.items() if metadata.version(n) != v}
    except metadata.PackageNotFoundError as error:
        pytest.skip(f"{error} is not installed")
    if other:
        pytest.skip(f"other versions than those of requirements.lock: {sorted(other)}")
    source = documents.write(name, corpus, tmp_path)
    assert source["matches"], source["warnings"]
    assert source["bytes"] > 100_000
