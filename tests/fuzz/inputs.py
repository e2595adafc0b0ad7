"""Inputs made from a valid file: its bytes damaged, or its values replaced by nasty ones; a strategy a kind of file."""

import copy
import csv
import io
import json
import math
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
Path = tuple[Any, ...]

# Names and texts that try to leave their folder, to reach a shell or a terminal, or to be no text at all.
TEXTS = [
    *("", " ", "-x", ".", "..", "../../x", "/etc/passwd", "a/b", "~nobody/x", "x" * 300, "ü" * 300, "x" * 20_000),
    *(
        "a\0b",
        "a\nb",
        "\x1b[31mred",
        "\x7f",
        "\u202ered",
        "\ud800",
        "`id`",
        "$(id)",
        "${HOME}",
        "{a}",
        "%s",
        "'\"",
        "\\",
    ),
    *("nan", "inf", "1e999", "1/0 * total", "9" * 30 + " * total", "1e12 * total", "null", "true", "0x1F", "٣"),
]
NUMBERS = [
    0,
    -1,
    1,
    -0.0,
    0.5,
    1e-320,
    1e308,
    -1e308,
    2**31,
    2**53 + 1,
    2**63,
    -(2**63),
    2**70,
    10**12,
    10**20,
    10**400,
]
VALUES: list[Any] = [None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, *NUMBERS, *TEXTS]
# What stands in the text as it is, where a value was; JSON is YAML, too.
RAW = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "9" * 5000,
    "-" + "9" * 5000,
    "[" * 100_000,
    '"\\ud800"',
    '{"a":1,"a":2}',
    "01",
    "",
]
RAW += ["[" * 900 + "]" * 900, '{"a":' * 5000 + "1" + "}" * 5000, '"\x1b[31m"', "\0"]
RAW_YAML = [
    "2001-99-99",
    '!!int "abc"',
    '!!float "x"',
    "!!timestamp x",
    '!!binary "@"',
    "!unknown x",
    "&a [*a]",
    "*nothing",
    ".inf",
]
RAW_YAML += [
    ".nan",
    "-.inf",
    "1:30:00",
    "2001-01-01",
    "!!python/object/apply:os.abort []",
    "!!set {a, b}",
    "{a: 1, a: 2}",
]
MARK = "@@raw@@"


@st.composite
def damaged(draw: Draw, raw: bytes) -> bytes:
    """Bytes with up to four edits: bits flipped, runs zeroed, cut, left out, repeated or put in."""
    for _ in range(draw(st.integers(1, 4))):
        if not raw:
            break
        at, size = draw(st.integers(0, len(raw) - 1)), draw(st.sampled_from([1, 1, 2, 4, 8, 64, 1000]))
        part = raw[at : at + size]
        new = draw(
            st.sampled_from(
                ["flip", "flip", "zero", "ones", "cut", "leave out", "repeat", "digits", "put in", "random"]
            )
        )
        if new == "cut":
            raw = raw[:at]
            continue
        put = {
            "flip": bytes([part[0] ^ 1 << draw(st.integers(0, 7))]) + part[1:],
            "zero": bytes(len(part)),
            "ones": b"\xff" * len(part),
            "leave out": b"",
            "repeat": part * 3,
            "digits": b"9" * len(part),
            "put in": draw(st.sampled_from([b"\0", b"\xff", b"\n", b'"', b"{", b"]", b"\xed\xa0\x80", b"\xef\xbb\xbf"]))
            + part,
            "random": draw(st.binary(min_size=1, max_size=8)) + part[8:],
        }[new]
        raw = raw[:at] + put + raw[at + size :]
    return raw


# --- trees: what JSON, YAML and the like hold ----------------------------------------------------------------------


def _paths(tree: Any, before: Path = ()) -> list[Path]:
    """The way to every value of a tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [before, *(path for key, value in inner for path in _paths(value, (*before, key)))]


def _at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def changed(draw: Draw, tree: Any) -> Any:
    """A tree in which up to three values or keys are others. The tree is changed in place."""
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(tree)
        path = paths[draw(st.integers(0, len(paths) - 1))]
        old = _at(tree, path)
        how = draw(
            st.sampled_from(
                ["value", "value", "value", "raw", "number", "swap", "wrap", "drop", "rename", "double", "random"]
            )
        )
        new: Any
        if how == "swap":
            new = json.loads(json.dumps(_at(tree, draw(st.sampled_from(paths)))))
        elif how == "wrap":
            new = [old] if draw(st.booleans()) else {"a": old}
        elif how == "raw":
            new = MARK
        elif how == "random":
            new = draw(st.one_of(st.text(max_size=20), st.floats(), st.integers()))
        elif how == "number" and isinstance(old, (int, float)) and not isinstance(old, bool):
            new = old * draw(st.sampled_from([-1, 0, 2, 10, 1000, 10**6, 10**15]))
        else:
            new = copy.deepcopy(draw(st.sampled_from(VALUES)))  # it may be changed in its turn
        if not path:
            tree = new if how not in ("drop", "rename", "double") else tree
            continue
        holder, key = _at(tree, path[:-1]), path[-1]
        if how == "drop":
            del holder[key]
        elif how == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from(TEXTS))] = holder.pop(key)
        elif how == "double" and isinstance(holder, list):
            holder.extend(holder[: draw(st.integers(1, 3))])
        else:
            holder[key] = new
    return tree


def _text(tree: Any, raw: str) -> bytes:
    """JSON with NaN, and `raw` wherever a value is to stand as it is."""
    return json.dumps(tree).replace(f'"{MARK}"', raw).encode("utf-8", "surrogatepass")


@st.composite
def _json(draw: Draw, raw: bytes, words: Sequence[str] = RAW) -> bytes:
    return _text(draw(changed(json.loads(raw))), draw(st.sampled_from(words)))


def _yaml(raw: bytes) -> st.SearchStrategy[bytes]:
    return _json(json.dumps(yaml.safe_load(raw), default=str).encode(), RAW + RAW_YAML)


@st.composite
def _jsonl(draw: Draw, raw: bytes) -> bytes:
    lines = draw(changed([json.loads(line) for line in raw.splitlines()[:20]]))
    word = draw(st.sampled_from(RAW))
    return b"\n".join(_text(line, word) for line in (lines if isinstance(lines, list) else [lines]))


@st.composite
def _csv(draw: Draw, raw: bytes) -> bytes:
    rows = list(csv.reader(raw.decode().splitlines()[:60]))
    rows = draw(changed(rows))
    out = io.StringIO()
    for row in rows if isinstance(rows, list) else [[rows]]:
        csv.writer(out).writerow(row if isinstance(row, list) else [row])
    return (
        out.getvalue()
        .replace(MARK, draw(st.sampled_from(["1e999", "9" * 500, "0x1", "1_000"])))
        .encode(errors="replace")
    )


# --- tables ----------------------------------------------------------------------------------------------------------

TYPES = [
    pa.string(),
    pa.int64(),
    pa.float64(),
    pa.bool_(),
    pa.binary(),
    pa.timestamp("ns"),
    pa.list_(pa.int8()),
    pa.null(),
]
CELLS: dict[str, list[Any]] = {
    "floating": [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e308, None],
    "integer": [0, -1, 2**31 - 1, 2**62, -(2**62), None],
    "string": ["", "../../x", "a\0b", "\x1b[31m", "x" * 20_000, None],
}


@st.composite
def _table(draw: Draw, raw: bytes) -> bytes:
    table = pq.read_table(io.BytesIO(raw))
    for _ in range(draw(st.integers(1, 2))):
        if not table.num_columns:
            break
        number = draw(st.integers(0, table.num_columns - 1))
        name, column = table.column_names[number], table.column(number)
        how = draw(st.sampled_from(["cells", "cells", "drop", "rename", "type", "twice", "none", "repeat", "schema"]))
        if how == "cells" and table.num_rows:
            kind = (
                "floating"
                if pa.types.is_floating(column.type)
                else "integer"
                if pa.types.is_integer(column.type)
                else "string"
            )
            cells = column.to_pylist()
            every = slice(None) if draw(st.booleans()) else slice(0, 1)
            cells[every] = [draw(st.sampled_from(CELLS[kind]))] * len(cells[every])
            table = table.set_column(number, name, pa.array(cells))
        elif how == "drop":
            table = table.remove_column(number)
        elif how == "rename":
            table = table.rename_columns(
                [draw(st.sampled_from(["", "x", "a\0b", "step"])) if n == name else n for n in table.column_names]
            )
        elif how == "type":
            table = table.set_column(number, name, pa.nulls(table.num_rows, draw(st.sampled_from(TYPES))))
        elif how == "twice":
            table = table.append_column(name, column)
        elif how == "none":
            table = table.slice(0, draw(st.integers(0, 1)))
        elif how == "repeat":
            table = pa.concat_tables([table, table])
        elif how == "schema":
            table = table.replace_schema_metadata(
                draw(st.sampled_from([{}, {b"schema": b"\xff\x1b"}, {b"pandas": b"{"}]))
            )
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


# --- archives and files with a header --------------------------------------------------------------------------------


@st.composite
def _tar(draw: Draw, raw: bytes) -> bytes:
    """The members of a tar with other names, kinds and contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(raw)) as given, tarfile.open(fileobj=out, mode="w") as tar:
        members = [(one, given.extractfile(one)) for one in given]
        chosen = draw(st.integers(0, len(members) - 1))
        for number, (info, content) in enumerate(members):
            data = content.read() if content else b""
            if number == chosen:
                how = draw(st.sampled_from(["name", "kind", "content", "drop", "twice"]))
                if how == "drop":
                    continue
                if how == "name":
                    info.name = draw(st.sampled_from(TEXTS)).replace("\0", "").encode("utf-8", "replace").decode()
                if how == "kind":
                    info.type = draw(
                        st.sampled_from(
                            [
                                tarfile.SYMTYPE,
                                tarfile.LNKTYPE,
                                tarfile.CHRTYPE,
                                tarfile.FIFOTYPE,
                                tarfile.DIRTYPE,
                                tarfile.GNUTYPE_SPARSE,
                                b"Z",
                            ]
                        )
                    )
                    info.linkname = draw(st.sampled_from(["/etc/passwd", "../x", ""]))
                if how == "content":
                    data = draw(_content(info.name, data))
                if how == "twice":
                    tar.addfile(info, io.BytesIO(data))
            info.size = len(data) if info.isreg() else info.size
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@st.composite
def _zip(draw: Draw, raw: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as given, zipfile.ZipFile(out, "w") as packed:
        for info in given.infolist():
            data, new = given.read(info), zipfile.ZipInfo(info.filename)
            how = draw(st.sampled_from(["name", "kind", "content", "as it is"]))
            if how == "name":
                new.filename = draw(st.sampled_from(TEXTS)).encode("utf-8", "replace").decode() or "a.txt"
            if how == "kind":
                new.external_attr = draw(st.sampled_from([0o120777, 0o020666, 0o010666])) << 16
            new.compress_type = draw(
                st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
            )
            packed.writestr(new, draw(_content(info.filename, data)) if how == "content" else data)
    return out.getvalue()


def _content(name: str, data: bytes) -> st.SearchStrategy[bytes]:
    return made_from(data, name) if data else st.binary(max_size=20)


@st.composite
def _safetensors(draw: Draw, raw: bytes) -> bytes:
    """The header with other values."""
    (size,) = struct.unpack("<Q", raw[:8])
    header = _text(draw(changed(json.loads(raw[8 : 8 + size]))), draw(st.sampled_from(RAW)))
    return struct.pack("<Q", draw(st.sampled_from([len(header)] * 4 + [0, 2**63]))) + header + raw[8 + size :]


KINDS: dict[str, Callable[[bytes], st.SearchStrategy[bytes]]] = {
    ".json": _json,
    ".yaml": _yaml,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _table,
    ".tar": _tar,
    ".zip": _zip,
    ".safetensors": _safetensors,
}


def made_from(seed: bytes, name: str) -> st.SearchStrategy[bytes]:
    """Inputs made from the content of a valid file; its name says by its ending what it holds."""
    kind = KINDS.get("." + name.rpartition(".")[2])
    short = st.sampled_from(
        [b"", b"\0", b"null", b"[]", b"{}", b"0", b'""', b"\xff\xfe", b"\xef\xbb\xbf", b"a" * 70_000]
    )
    damage = damaged(seed)
    if kind is None:
        return st.one_of(damage, damage, damage, short)
    other = kind(seed)
    return st.one_of(damage, damage, other, other, other, short)
