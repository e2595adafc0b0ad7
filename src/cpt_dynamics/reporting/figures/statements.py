"""Statements about computed curves, in the words of the analysis, as LaTeX."""

from cpt_dynamics.reporting.latex import Cell, escape

SYMBOLS = {r"D\_pt": r"\Dpt{}", r"D\_cpt": r"\Dcpt{}", "w1": "$w_1$"}


def sentence(text: str) -> Cell:
    """Plain text with its symbols set as such."""
    latex = escape(text)
    for plain, symbol in SYMBOLS.items():
        latex = latex.replace(plain, symbol)
    return Cell(text, latex)
