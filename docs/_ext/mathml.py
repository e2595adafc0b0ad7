"""Formulas as MathML, which browsers draw by themselves: no script, and nothing fetched from elsewhere."""

import re
from typing import Any

from docutils import core, nodes, utils
from sphinx.application import Sphinx
from sphinx.errors import SphinxError

OPTIONS = {
    "math_output": "MathML",
    "output_encoding": "unicode",
    "embed_stylesheet": False,
    "report_level": 5,
    "halt_level": 2,  # an unknown command is an error, not a red word on the page
}


def mathml(latex: str, block: bool) -> str:
    """A formula as a `<math>` element; a command that docutils does not know raises `SphinxError`."""
    document = utils.new_document("formula")
    formula = nodes.math_block("", latex) if block else nodes.paragraph("", "", nodes.math("", latex))
    document += formula
    try:
        page = core.publish_from_doctree(document, writer="html5", settings_overrides=OPTIONS | {"warning_stream": ""})
    except utils.SystemMessage as error:
        raise SphinxError(f"formula {latex!r}: {error}") from None
    found = re.search(r"<math.*?</math>", page, re.DOTALL)
    if found is None:
        raise SphinxError(f"formula {latex!r} gives no MathML")
    return found[0]


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), False))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{mathml(node.astext(), True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
