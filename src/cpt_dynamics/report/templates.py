"""LaTeX from the templates of paper/templates/, so that its words and its looks are changed there."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path("paper/templates")


@cache
def _environment() -> "Environment":
    """`<< value >>` and `<% statement %>`, since LaTeX needs the braces; a name that is not given is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # what comes in is LaTeX already
    )
    made.filters["row"] = row
    return made


def row(cells: Sequence[str]) -> str:
    """Cells of a table's row; the `\\\\` before it would take a bracket or a star at its start as its own."""
    return ("{}" if cells[0].startswith(("[", "*")) else "") + " & ".join(cells)


def render(template: str, **values: object) -> str:
    """The template `<template>.tex` filled in."""
    return _environment().get_template(f"{template}.tex").render(**values)
