"""The words of the report about a figure."""

from dataclasses import dataclass, field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit import equations, published
from cpt_dynamics.figures.kit.latex import Cell, escape
from cpt_dynamics.fitting import Fit

NOTHING = Cell("", "--")
SETS = {Role.GENERAL: r"$D_\mathrm{pt}$", Role.STRONG: r"$D_\mathrm{cpt}$"}
PLAIN = {Role.GENERAL: "D_pt", Role.STRONG: "D_cpt"}


@dataclass(frozen=True)
class Text:
    """`shows` (what is drawn, and what to see), `paper` (what the paper shows there) and `notes` are LaTeX."""

    shows: str
    paper: str = ""
    notes: list[str] = field(default_factory=list)


def parameters(count: int) -> str:
    """A number of parameters, such as 332K or 1.72B."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= unit:
            return f"{count / unit:.3g}{letter}"
    return str(count)


def warned(fit: Fit, name: str) -> list[str]:
    """A note of what a fit warns of, if it does."""
    return [f"{name} warns: {escape('; '.join(fit.warnings))}."] if fit.warnings else []


def printed_shifts(figure: str) -> list[str]:
    """The shift terms that the paper prints in a figure, in its order."""
    return [equations.printed_shift(item.parameters, "S_1") for item in published.load() if item.figure == figure]
