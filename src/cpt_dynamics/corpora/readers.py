"""Documents out of files that were written for something else: pages, articles, statutes, programs."""

import html.entities
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from cpt_dynamics.config import Reader
from cpt_dynamics.corpora import local
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import reading

ARTICLE = re.compile(r"^<doc [^\n]*>\n(.*?)^</doc>", re.MULTILINE | re.DOTALL)
# In this order. Lengths have bounds, since a text of nothing but beginnings would take long without.
MARKDOWN = (
    (re.compile(r"!\[[^][\n]{0,500}\]\([^()\n]{0,2000}\)"), ""),  # images
    (re.compile(r"\[([^][\n]{0,500})\]\([^()\n]{0,2000}\)"), r"\1"),  # links
    (re.compile(r"</?[a-zA-Z][^<>\n]{0,2000}>"), ""),
    (re.compile(r"^#{1,6} +", re.MULTILINE), ""),
)


def documents(raw: bytes, reader: Reader, where: str) -> Iterator[str]:
    """The documents of a file, in its order.

    raw : its bytes; `where` is what errors call it. One that does not match `reader.containing` has none. Text that is
    not UTF-8, or XML or JSON that cannot be read, raises `UserError`.
    """
    with reading(where, "text in UTF-8", "leave it out by the paths of the corpus"):
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    if reader.containing is None or re.search(reader.containing, text):
        yield from (found for found in _parts(text, reader, where) if len(found) >= reader.characters)


def _parts(text: str, reader: Reader, where: str) -> Iterator[str]:
    match reader.kind:
        case "wiki":
            # What lies behind the last end is in no article, and looking for its end would take long.
            yield from (_article(found, where) for found in ARTICLE.findall(text[: text.rfind("\n</doc>") + 7]))
        case "markdown":
            text = _without(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL), "<!--", "-->")
            for mark, kept in MARKDOWN:
                text = mark.sub(kept, text)
            yield text.strip()
        case "xml":
            yield _xml(text, reader, where)
        case "jsonl":
            for number, line in enumerate(text.split("\n"), 1):
                if line.strip():
                    yield _json(line, reader, f"{where} line {number}")
        case _:
            yield text


def _without(text: str, begin: str, end: str) -> str:
    """The text without what stands between two marks, and the marks; what has no end stays."""
    kept, at = [], 0
    while (first := text.find(begin, at)) >= 0 and (last := text.find(end, first + len(begin))) >= 0:
        kept.append(text[at:first])
        at = last + len(end)
    return "".join([*kept, text[at:]])


def _article(text: str, where: str) -> str:
    with reading(where, "what WikiExtractor writes", "leave it out by the paths of the corpus"):
        return html.unescape(text).strip()


def _xml(text: str, reader: Reader, where: str) -> str:
    """A line for each of the elements, in order; of one within another the outer counts."""
    parser = ElementTree.XMLParser()
    parser.entity.update({name.rstrip(";"): letter for name, letter in html.entities.html5.items()})
    with reading(where, "valid XML", "leave it out by the paths of the corpus"):
        root = ElementTree.fromstring(re.sub(r"\A\s*<\?xml[^>]*\?>", "", text), parser)
    lines: list[str] = []
    waiting = [root]  # no recursion: a document of foreign origin may be as deep as it likes
    while waiting:
        node = waiting.pop()
        if _name(node) in reader.without:
            continue
        if _name(node) in reader.elements:
            lines.append(" ".join("".join(_text(node, reader)).split()))
        else:
            waiting.extend(reversed(node))
    return "\n".join(filter(None, lines))


def _text(node: ElementTree.Element, reader: Reader) -> Iterator[str]:
    """The pieces of text of an element, without those of elements that are left out."""
    waiting: list[ElementTree.Element | str] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
            continue
        if _name(one) in reader.without:
            continue
        yield one.text or ""
        for child in reversed(one):
            waiting += [child.tail or "", child]


def _name(node: ElementTree.Element) -> str:
    """The name of an element without its namespace; comments and the like have none."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def _json(line: str, reader: Reader, where: str) -> str:
    with reading(where, "JSON", "one object a line is expected"):
        record = local.JSON.decode(line)
    values = [record.get(key) if isinstance(record, dict) else None for key in reader.elements]
    for key, value in zip(reader.elements, values, strict=True):
        if not isinstance(value, str):
            raise UserError(f"{where} has no text {key!r}: correct `elements` of the corpus")
        with reading(where, "text", f"mend {key!r} there"):  # half of a surrogate pair is none
            value.encode()
    return "\n".join(map(str, values))
