"""The words about Figure 12."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig12.result import Result
from cpt_dynamics.figures.kit.latex import number
from cpt_dynamics.figures.kit.text import SETS, Text


def text(data: FigureData, result: Result) -> Text:
    return Text(
        r"Equation~\ref{eq:law} fitted separately at each share of \Dpt{} in CPT; the curves of PT belong to every fit."
        " Below, the shift terms that the fits have. To see: whether the law holds at each ratio, and how the shift"
        " shrinks as more is replayed.",
        "the fitted equations at 33, 50 and 67\\,\\% replay, without $R^2$. Which equation belongs to which ratio is"
        " inferred from the sizes of their shifts, so their order is no independent evidence.",
        [_sizes(result, role) for role in SETS],
    )


def _sizes(result: Result, role: Role) -> str:
    shifts = (f"{number(fit[role].shift, 3).latex} ({ratio}\\,\\%)" for ratio, fit in result.fits.items())
    return (
        f"Fitted shift on {SETS[role]} at the end of the longest CPT, by replay ratio: {', '.join(shifts)} nats. Its"
        f" size changes by {number(result.trend[role].slope, 3).latex} nats per unit of the ratio (a line through these"
        " values)."
    )
