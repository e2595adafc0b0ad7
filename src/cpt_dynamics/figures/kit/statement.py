"""Statements about computed curves, in plain words."""

from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.figures.kit.result import Part

SYMBOLS = {r"D\_pt": r"\Dpt{}", r"D\_cpt": r"\Dcpt{}", "w1": "$w_1$"}


class Statement(Part):
    """What a figure shows, and whether it holds."""

    text: str
    holds: bool


def statement(text: str, holds: object) -> Statement:
    """A statement from anything that is true or false, such as numpy's."""
    return Statement(text=text, holds=bool(holds))


def sentence(text: str) -> str:
    """Plain text as LaTeX, with its symbols set as such."""
    latex = escape(text)
    for plain, symbol in SYMBOLS.items():
        latex = latex.replace(plain, symbol)
    return latex
