"""Revisions of the Hub written into a configuration file, whose other text stays as it is."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from cpt_dynamics import files
from cpt_dynamics.config import Config, HuggingFace
from cpt_dynamics.corpora import cache, hub
from cpt_dynamics.errors import UserError

COMMIT = re.compile(r"[0-9a-f]{40}")
NULLS = ("", "null", "Null", "NULL", "~")
FAILED = ": not pinned: "  # in the line of an entry that could not be looked up
MERGE = "tag:yaml.org,2002:merge"


class _Entry(NamedTuple):
    """A place that states a revision or should: a commit goes to `text[start:end]`, as `form` puts it."""

    key: str
    repository: str
    kind: str
    pinned: str | None
    start: int
    end: int
    form: str


def pin(path: Path, config: Config, again: bool = False) -> list[str]:
    """Write the commits that branches `main` of the Hub are at into a YAML file; returns a line for each entry.

    Entries are data sets with source `huggingface` whose `revision` is null or missing, and names on the Hub without
    `@revision`: tokenizers and models. Comments, order and everything else in the file stay byte for byte. An entry
    whose commit cannot be looked up stays as it is, and its line says why after `FAILED`.

    path : a file of `config`; entries that another of its files states are left alone
    again : entries that are pinned to a commit are looked up, too, and those that moved are written anew
    """
    if cache.offline():
        raise UserError(f"{cache.offline()} forbids asking the Hub for revisions: unset it, or pin on another machine")
    with files.reading(path, "text in UTF-8", "mend it there"):
        text = path.read_bytes().decode()
    lines: list[str] = []
    edits: dict[int, tuple[int, str]] = {}  # by place, since an alias makes two entries of one
    for entry in _entries(text, config):
        if entry.pinned and not (again and COMMIT.fullmatch(entry.pinned)):
            continue
        line, commit = _look_up(entry)
        lines.append(line)
        if commit:
            edits[entry.start] = (entry.end, entry.form.format(commit))
    if edits:
        _write(path, text, edits)
    return lines


def _look_up(entry: _Entry) -> tuple[str, str | None]:
    """What is said of an entry, and the commit to write, if any."""
    try:
        found = hub.commit(entry.repository, entry.kind)
    except UserError as error:
        return f"{entry.key}{FAILED}{error}", None
    if entry.pinned is None:
        return f"{entry.key}: {entry.repository} pinned to {found}", found
    if entry.pinned == found:
        return f"{entry.key}: {entry.repository} is still at {found}", None
    return f"{entry.key}: {entry.repository} moved from {entry.pinned} to {found}", found


def _write(path: Path, text: str, edits: dict[int, tuple[int, str]]) -> None:
    for start, (end, new) in sorted(edits.items(), reverse=True):
        text = text[:start] + new + text[end:]
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:  # a way of writing YAML that was not thought of
        raise UserError(f"{path} cannot be edited in place ({error}): write the revisions by hand") from None
    with files.atomic(path) as temporary:
        temporary.write_bytes(text.encode())
        temporary.chmod(path.stat().st_mode)


def _entries(text: str, config: Config) -> Iterator[_Entry]:
    root = yaml.compose(text, yaml.SafeLoader)
    for name, corpus in _pairs(_value(root, "corpora")):
        spec = config.corpora.get(name)
        if isinstance(spec, HuggingFace):
            if entry := _revision(text, name, spec, corpus):
                yield entry
            yield from _name(text, f"corpora.{name}.tokenizer", _value(corpus, "tokenizer"))
    yield from _name(text, "tokenizer.pretrained", _value(_value(root, "tokenizer"), "pretrained"))
    for name, model in _pairs(_value(root, "models")):
        yield from _name(text, f"models.{name}.pretrained", _value(model, "pretrained"))


def _revision(text: str, name: str, spec: HuggingFace, corpus: yaml.Node) -> _Entry | None:
    key = f"corpora.{name}"
    stated, repository = _value(corpus, "revision"), _value(corpus, "repository")
    if isinstance(stated, yaml.ScalarNode):
        start, end = stated.start_mark.index, stated.end_mark.index
        if stated.value in NULLS and not stated.style:
            blank = "" if start and text[start - 1] in " \t" else " "  # nothing may stand behind the colon
            return _Entry(key, spec.repository, "dataset", None, start, end, blank + "{}")
        return _Entry(key, spec.repository, "dataset", stated.value, start, end, "{}")
    if repository is None:  # another file states it
        return None
    mapping, node = _holder(corpus, "repository")
    place, before = repository.end_mark.index, ", "
    if not mapping.flow_style:  # a line of its own, after the comment on this one
        place += len(text[place:].partition("\n")[0].rstrip("\r"))
        before = ("\r\n" if "\r\n" in text else "\n") + " " * node.start_mark.column
    return _Entry(key, spec.repository, "dataset", None, place, place, before + "revision: {}")


def _name(text: str, key: str, node: yaml.Node | None) -> Iterator[_Entry]:
    """An entry for `owner/name` or `owner/name@commit`; none for a folder."""
    if node is None or not isinstance(node.value, str) or Path(os.path.expanduser(node.value)).is_dir():
        return
    found = re.fullmatch(r"([\w.-]+(?:/[\w.-]+)?)(?:@(.+))?", node.value)
    if not found or node.value in NULLS:
        return
    start, end = node.start_mark.index, node.end_mark.index
    written = text[start:end]
    form = written.replace(node.value, f"{found[1]}@{{}}")
    if form != written:  # else it is written with escapes
        yield _Entry(key, found[1], "model", found[2], start, end, form)


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.tag != MERGE:
            yield str(key.value), value


def _value(node: yaml.Node | None, wanted: str) -> yaml.Node | None:
    """The value of a key of a mapping, or of what is merged into it (`<<`)."""
    for mapping in _mappings(node):
        for key, value in mapping.value:
            if key.tag != MERGE and key.value == wanted:
                return value
    return None


def _holder(node: yaml.Node, wanted: str) -> tuple[yaml.MappingNode, yaml.Node]:
    """The mapping that has a key, and the node of the key."""
    for mapping in _mappings(node):
        for key, _ in mapping.value:
            if key.tag != MERGE and key.value == wanted:
                return mapping, key
    raise KeyError(wanted)


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """A mapping and those that are merged into it, nearest first."""
    if not isinstance(node, yaml.MappingNode):
        return
    yield node
    for key, value in node.value:
        if key.tag == MERGE:
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from _mappings(merged)
