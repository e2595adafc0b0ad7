"""Text read from the Python packages that the pinned environment installs: no network is needed.

Text is taken from files as the wheels ship them, never from imported modules, so that it does not depend on
the platform or on the version of Python.
"""

import ast
import gc
import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from cpt_dynamics.config import Installed
from cpt_dynamics.errors import UserError, printable

SHORTEST = 200  # characters; shorter pieces are mostly signatures and one-line summaries
TEST_FOLDERS = {"tests", "test", "testing", "_testing"}
VARYING_FOLDERS = {"distutils"}  # numpy has it only below Python 3.12
# written at build time or chosen by platform
GENERATED = {
    "version.py", "_version.py", "versions.py", "__version__.py", "__about__.py", "__config__.py",
    "_build_info.py", "_distributor_init.py", "_distributor_init_local.py", "_version_meson.py",
    "_version_info.py",
}  # fmt: skip
LICENCE = re.compile(r"(licen[cs]e|copying|notice|copyright|authors)", re.IGNORECASE)


def read(spec: Installed, record: dict[str, Any]) -> Iterator[str]:
    """Yield the documents of `spec`, by name of distribution and by path of file.

    `record` receives `from` (distribution -> version found), `licences` (what each states), `files` (path,
    bytes and sha256 of every file read) and `warnings`. A distribution that is not installed raises
    `UserError`; another version than the one asked for, and a file that cannot be read as text or as Python,
    is a warning.
    """
    record.update({"from": {}, "licences": {}, "files": [], "warnings": []})
    extract = KINDS[spec.kind]
    skipped: list[str] = []
    for name in sorted(spec.distributions, key=str.lower):
        distribution = _find(name, spec.distributions[name], record)
        for file in sorted(distribution.files or [], key=lambda file: file.as_posix()):
            path = PurePosixPath(file.as_posix())
            if not _belongs(path, spec.kind):
                continue
            try:
                raw = Path(str(file.locate())).read_bytes()
            except FileNotFoundError:
                raise UserError(f"{file.locate()} is missing: install {name} again") from None
            record["files"].append({"path": str(path), "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()})
            try:
                pieces = list(extract(raw.decode().replace("\r\n", "\n")))
            # a template, another encoding, syntax of a later Python, or nested beyond what the parser takes
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                skipped.append(str(path))
                continue
            yield from (piece for piece in pieces if len(piece) >= SHORTEST)
    if skipped:
        record["warnings"].append(f"skipped, not Python that this version reads: {', '.join(skipped)}")


def _find(name: str, wanted: str, record: dict[str, Any]) -> metadata.Distribution:
    try:
        distribution = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise UserError(
            f"distribution {name} is not installed: install {name}=={wanted} or take it out of the corpus"
        ) from None
    if distribution.files is None:
        raise UserError(f"distribution {name} has no list of its files (RECORD): install {name}=={wanted} with pip")
    record["from"][distribution.name] = printable(distribution.version)
    record["licences"][distribution.name] = _licence(distribution.metadata)
    if distribution.version != wanted:
        record["warnings"].append(
            f"{name} {distribution.version} is installed, the corpus is defined on {wanted}: its text differs"
        )
    return distribution


def _licence(stated: metadata.PackageMetadata) -> str:
    def values(key: str) -> list[str]:
        return [value.strip() for value in stated.get_all(key) or []]

    classified = [c.rpartition(" :: ")[2] for c in values("Classifier") if c.startswith("License :: ")]
    first_lines = [value.partition("\n")[0] for value in values("License")]
    return printable(", ".join(values("License-Expression") or classified or first_lines)) or "not stated"


def _belongs(path: PurePosixPath, kind: str) -> bool:
    """Whether a file of a distribution is read for `kind`."""
    folders = path.parts[:-1]
    if path.is_absolute() or ".." in folders or not VARYING_FOLDERS.isdisjoint(folders):
        return False
    described = bool(folders) and folders[0].endswith(".dist-info")
    if kind == "descriptions":
        return described and path.name == "METADATA"
    if kind == "licences":
        return described and bool(LICENCE.search(path.name))
    if path.suffix != (".pyi" if kind == "stubs" else ".py") or path.name in GENERATED:
        return False
    in_tests = not TEST_FOLDERS.isdisjoint(folders) or path.name == "conftest.py" or path.name.startswith("test_")
    return in_tests == (kind == "tests")


def docstrings(text: str) -> Iterator[str]:
    """Documentation strings of a module, its classes and functions, in order, without their indentation."""
    for node, _ in _documented(text):
        yield clean(node.value.value)  # type: ignore[attr-defined]


def code(text: str) -> Iterator[str]:
    """The source of a module without its documentation strings; comments stay."""
    lines = text.encode().split(b"\n")
    for node, alone in reversed(list(_documented(text))):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
        needed = alone or after.lstrip().startswith(b";")
        rest = before + (b"pass" if needed else b"") + after
        lines[first : last + 1] = [rest] if rest.strip() else []
    yield re.sub(r"\n{3,}", "\n\n\n", b"\n".join(lines).decode().strip("\n") + "\n")


def _documented(text: str) -> Iterator[tuple[ast.Expr, bool]]:
    """Documentation strings in order of line, each with whether it is all there is in its body."""
    enabled = gc.isenabled()
    gc.disable()  # a syntax tree is thousands of new objects and no cycle: collecting takes half the time
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes are other people's business
            tree = ast.parse(text)
    finally:
        if enabled:
            gc.enable()
    stack: list[Any] = [tree]
    while stack:  # through bodies of statements only: expressions hold no documentation strings
        node = stack.pop()
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first, len(body) == 1
        for part in ("finalbody", "handlers", "orelse"):
            stack.extend(reversed(getattr(node, part, ())))
        stack.extend(reversed(body))


def clean(text: str) -> str:
    """A documentation string without the indentation of its second and later lines (PEP 257).

    `inspect.cleandoc` treats white space other than blanks differently from one Python to the next.
    """
    lines = text.replace("\r\n", "\n").expandtabs().split("\n")
    margins = [len(line) - len(line.lstrip(" ")) for line in lines[1:] if line.strip(" ")]
    margin = min(margins, default=0)
    cleaned = [lines[0].lstrip(" "), *(line[margin:] for line in lines[1:])]
    return "\n".join(line.rstrip(" ") for line in cleaned).strip("\n")


# strings are matched so that a "#" inside them is not taken for a comment
LEXEMES = re.compile(
    r"""(?P<comment>^[ \t]*\#[^\n]*)|\#[^\n]*"""
    r'''|"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\''''
    r"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""",
    re.DOTALL | re.MULTILINE,
)


def comments(text: str) -> Iterator[str]:
    """Comments that have lines of their own, an empty line between blocks, licence headers left out."""
    blocks: list[list[str]] = []
    end = -2
    for match in LEXEMES.finditer(text):
        if match["comment"] is None:
            continue
        if match.start() != end + 1:
            blocks.append([])
        end = match.end()
        blocks[-1].append(match["comment"].strip().lstrip("#!:").removeprefix(" ").rstrip())
    written = ["\n".join(block).strip("\n") for block in blocks]
    prose = [block for block in written if not re.search("copyright|licen[cs]e", block, re.IGNORECASE)]
    yield "\n\n".join(block for block in prose if re.search("[a-z]{3}", block))


def _description(text: str) -> Iterator[str]:
    """The long description of a METADATA file: what follows its header."""
    yield text.partition("\n\n")[2].strip("\n")


def _whole(text: str) -> Iterator[str]:
    yield text.strip("\n")


KINDS: dict[str, Callable[[str], Iterator[str]]] = {
    "docstrings": docstrings,
    "code": code,
    "tests": code,
    "comments": comments,
    "stubs": _whole,
    "licences": _whole,
    "descriptions": _description,
}
