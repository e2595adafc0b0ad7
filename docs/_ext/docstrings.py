"""Docstrings of this package as Sphinx wants them.

They are plain text with names in single backticks; parameters are lines such as `name : what it is` (in a section
`Parameters`) or `name: what it is`, with later lines indented. Sphinx reads reStructuredText, where some of the signs
in them mean something else.
"""

import inspect
import re
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

RULE = re.compile(r"-{3,}")
ENTRY = re.compile(r"(\*{0,2}\w[\w./<>]*(?:, \w[\w./<>]*)*) ?: (.*)")
CODE = re.compile(r"``([^`]+)``|`([^`]+)`")
BEFORE = re.compile(r"[\s'\"(\[{<\-/:]")
AFTER = re.compile(r"[\s'\")\]}>\-/\\:.,;!?]")
SEPARATOR = "\\ "
NAME = re.compile(r"[A-Za-z_][\w.]*(\(\))?")
# Types that read better under the names that the code gives them.
ALIASES = {
    stringify_annotation(hint, "smart"): name
    for hint, name in ((NDArray[np.float64], "Array"), (NDArray[np.int64], "IntegerArray"), (ArrayLike, "ArrayLike"))
} | {"<factory>": "..."}


def converted(lines: Iterable[str], names: Collection[str] = ()) -> list[str]:
    """A docstring as reStructuredText: sections as bold heads, lists of parameters as bullets.

    names: of the parameters or fields. `one: what it is. other: what it is.` in one paragraph becomes a list, too.
    """
    result: list[str] = []
    literal = False
    for paragraph in _paragraphs(lines):
        indented = all(line.startswith("    ") for line in paragraph)
        if literal and indented:
            result += [*paragraph, ""]
            continue
        literal = paragraph[-1].endswith("::")
        result += (
            _section(paragraph) if len(paragraph) > 1 and RULE.fullmatch(paragraph[1]) else _text(paragraph, names)
        )
    return result


def _paragraphs(lines: Iterable[str]) -> list[list[str]]:
    grouped = groupby(lines, key=lambda line: bool(line.strip()))
    return [[line.rstrip() for line in group] for filled, group in grouped if filled]


def _section(paragraph: list[str]) -> list[str]:
    """A head, its rule, and entries or text."""
    return [f"**{paragraph[0]}**", "", *(_entries(paragraph[2:]) or _text(paragraph[2:]))]


def _text(paragraph: list[str], names: Collection[str] = ()) -> list[str]:
    """Bullets where the lines are entries with hanging lines, or where sentences are about parameters; else text."""
    if any(line.startswith(" ") for line in paragraph) and (bullets := _entries(paragraph)):
        return bullets
    (_, text), *sentences = _sentences(" ".join(line.strip() for line in paragraph), names)
    return [*([inline(text), ""] if text else []), *_bullets(sentences)]


def _entries(paragraph: list[str]) -> list[str]:
    """Bullets, each a line `name: meaning` or `name : meaning` with indented continuation; none where one is not."""
    entries: list[str] = []
    for line in paragraph:
        if line.startswith(" ") and entries:
            entries[-1] += " " + line.strip()
        else:
            entries.append(line.strip())
    found = [ENTRY.fullmatch(entry) for entry in entries]
    return _bullets([(one[1], one[2]) for one in found if one]) if all(found) else []


def _bullets(entries: list[tuple[str, str]]) -> list[str]:
    return [*(f"- **{inline(name)}**: {inline(meaning)}" for name, meaning in entries), ""] if entries else []


def _sentences(text: str, names: Collection[str]) -> list[tuple[str, str]]:
    """("", what stands before the first parameter), then each parameter with what is said of it."""
    found: list[tuple[str, str]] = []
    start, name = 0, ""
    for match in re.finditer(r"(?:^|(?<=[.)] ))(\w+(?:, \w+)*): ", text):
        if set(match[1].split(", ")) <= set(names):
            found.append((name, text[start : match.start()].strip()))
            start, name = match.end(), match[1]
    return [*found, (name, text[start:].strip())]


def inline(text: str) -> str:
    """Names in backticks as references (plain code where there is no such object), all other signs as they are."""
    result, end = "", 0
    for match in CODE.finditer(text):
        code, before, after = match[1] or match[2], text[end : match.start()], text[match.end() : match.end() + 1]
        marked = f":py:obj:`{code}`" if NAME.fullmatch(code) else f"``{code}``"
        # Markup needs a blank or some sign on either side; an escaped blank is none on the page.
        result += _escaped(before) + (SEPARATOR if before and not BEFORE.match(before[-1]) else "") + marked
        result += SEPARATOR if after and not AFTER.match(after) else ""
        end = match.end()
    return result + _escaped(text[end:])


def _escaped(text: str) -> str:
    literal = "::" if text.endswith("::") else ""
    return re.sub(r"([\\*_|`])", r"\\\1", text.removesuffix("::")) + literal


def _docstring(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines, _names(of))


def _names(of: Any) -> set[str]:
    """Parameters of a function or fields of a class; none of anything else."""
    try:
        return set(inspect.signature(of).parameters)
    except (TypeError, ValueError):
        return set()


def _signature(
    app: Sphinx, what: str, name: str, of: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    return _short(signature), _short(returns)


def _short(annotation: str | None) -> str | None:
    for long, alias in ALIASES.items():
        annotation = annotation.replace(long, alias) if annotation else annotation
    return annotation


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
