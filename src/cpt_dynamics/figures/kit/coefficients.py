"""Coefficients as lines of text beside a figure, for laws whose equation is too long for one line."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from cpt_dynamics.figures.kit import equations, style

SYMBOLS = {
    "L0": "L_0",
    "A": "A",
    "alpha": r"\alpha",
    "C1": "C_1",
    "C2": "C_2",
    "a1": "a_1",
    "B": "B",
    "E": "E",
    "beta": r"\beta",
    "a2": "a_2",
}


def line(parameters: Mapping[str, float | None]) -> str:
    """ "L0 2.59  A 0.90 ..." as mathtext, in the order of `SYMBOLS`; a dash where a value is not printed."""
    parts = []
    for name, symbol in SYMBOLS.items():
        if name in parameters:
            value = parameters[name]
            parts.append(f"${symbol}$ {'–' if value is None else f'${equations.number(value)}$'}")
    return "   ".join(parts)


def block(ax: Axes, lines: Sequence[tuple[str, str, str]], indent: float = 0.105) -> None:
    """Lines of (name, text, colour) over the width of an axis without frame, from its top down."""
    ax.axis("off")
    for i, (name, text, colour) in enumerate(lines):
        y = 1 - (i + 0.5) / len(lines)
        look: style.Look = {"transform": ax.transAxes, "fontsize": style.SMALL, "color": colour, "va": "center"}
        ax.text(0, y, name, **look)
        ax.text(indent, y, text, **look)
