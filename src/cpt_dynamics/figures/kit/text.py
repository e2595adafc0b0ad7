"""The words of the report about a figure."""

from dataclasses import dataclass, field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.latex import Cell

NOTHING = Cell("", "--")
SETS = {Role.GENERAL: r"$D_\mathrm{pt}$", Role.STRONG: r"$D_\mathrm{cpt}$"}
PLAIN = {Role.GENERAL: "D_pt", Role.STRONG: "D_cpt"}


@dataclass(frozen=True)
class Text:
    """`shows` (what is drawn, and what to see), `paper` (what the paper shows there) and `notes` are LaTeX."""

    shows: str
    paper: str = ""
    notes: list[str] = field(default_factory=list)
