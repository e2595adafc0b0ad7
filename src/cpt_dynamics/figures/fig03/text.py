"""The words about Figure 3."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import Result
from cpt_dynamics.figures.kit.text import SETS, Text, warned


def text(data: FigureData, result: Result) -> Text:
    notes = []
    for role, found in result.fits.items():
        how = "carried over into CPT" if found.better_carry_over else "started anew at the transfer"
        notes.append(f"On {SETS[role]} the fit is better with the momentum of the annealing area {how}.")
        notes += warned(found.chosen.fit, f"The fit on {SETS[role]}")
    return Text(
        r"Equation~\ref{eq:law} fitted to all PT and CPT curves of the figure at once, one set of"
        " coefficients for each validation set. To see: whether the law follows the drop of each decay of the"
        " learning rate as well as the jump and the recovery after the transfer.",
        r"the fitted equations (coefficients beside ours in Table~\ref{tab:table_coefficients}) and their"
        r" $R^2$.",
        notes,
    )
