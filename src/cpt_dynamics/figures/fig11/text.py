"""The words about Figure 11."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig11.result import Result
from cpt_dynamics.figures.kit.latex import fixed, number
from cpt_dynamics.figures.kit.text import SETS, Text, printed_shifts, warned

NAMES = {Role.GENERAL: SETS[Role.GENERAL], Role.WEAK: "the domain of weak shift"}


def text(data: FigureData, result: Result) -> Text:
    notes = []
    for role, found in result.fits.items():
        notes.append(
            f"On {NAMES[role]} $R^2$ over CPT losses alone is {fixed(found.r2_continual, 4).latex}, and the fitted"
            f" shift at the end of the longest CPT is {number(found.end.shift, 3).latex} nats."
        )
        notes += warned(found.fit, f"The fit on {NAMES[role]}")
    return Text(
        r"Equation~\ref{eq:law} fitted to PT and to CPT on the domain of weak shift, under several schedules of the"
        " learning rate. To see: whether the same law holds for another domain, and how large its jump is on"
        r" \Dpt{}.",
        "the two fitted equations (106M parameters, Pile-of-Law) with shift terms"
        rf" {' and '.join(printed_shifts('fig11'))} on \Dpt{{}} and \Dcpt{{}}, without $R^2$.",
        notes,
    )
