"""Statements about computed curves, in the words of the analysis, as LaTeX."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed

SYMBOLS = {r"D\_pt": r"\Dpt{}", r"D\_cpt": r"\Dcpt{}", "w1": "$w_1$"}


def sentence(text: str) -> Cell:
    """Plain text with its symbols set as such."""
    latex = escape(text)
    for plain, symbol in SYMBOLS.items():
        latex = latex.replace(plain, symbol)
    return Cell(text, latex)


def sources(laws: Mapping[str, Any]) -> str:
    """Where the laws of each strength of the shift come from, and the size of the shift."""
    parts = [
        f"{name.capitalize()}: {sentence(laws[name]['says']).latex} ({fixed(laws[name]['shift'], 3).latex} nats)"
        for name in ("strong", "moderate", "weak")
    ]
    return (
        r"Strengths are named by the size of the shift on \Dpt{} after the forward area of the scale's CPT at the"
        f" peak learning rate. {'. '.join(parts)}."
    )
